/* SPDX-License-Identifier: Apache-2.0
 * seccomp.h - the system call filter of all containers. */
#pragma once

#include "common/base/buf.h"
#include "common/base/err.h"

/* Appends the filter, compiled for this machine, as an array of struct sock_filter. */
int container_seccomp_compile(struct buf *out, struct err *err);
