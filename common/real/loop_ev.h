/* SPDX-License-Identifier: Apache-2.0
 * loop_ev.h - makes and frees the libev loop behind common/port/loop.h. For main.c files. */
#pragma once

#include "common/port/loop.h"

/* Ignores SIGPIPE for the process. NULL only when the kernel refuses (errno is set). */
struct loop *loop_ev_new(void);
/* What is still watched must not be touched any more: remove it before. */
struct loop *loop_ev_free(struct loop *l);
