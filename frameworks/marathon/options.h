/* SPDX-License-Identifier: Apache-2.0
 * options.h - the table of flags of `muster marathon`; it fills struct shell_options of shell.h. */
#pragma once

#include "common/base/options.h"

extern const struct option_def marathon_option_defs[];
extern const size_t marathon_option_count;
