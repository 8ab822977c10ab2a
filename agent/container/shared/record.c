/* SPDX-License-Identifier: Apache-2.0 */
#include "muster/container.pb-c.h"
#include "agent/container/shared/record.h"
