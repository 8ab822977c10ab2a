/* SPDX-License-Identifier: Apache-2.0
 * image.h - the helper program, embedded. */
#pragma once

#include "common/base/err.h"

/* A sealed memory file with the helper, ready for execution. Returns the descriptor (close-on-exec) or a negative errno. */
int container_image_open(struct err *err);
