/* SPDX-License-Identifier: Apache-2.0
 * file.h - small files read and written at once: /proc, cgroups, records. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

/* Reads up to size - 1 bytes of a file under dirfd (AT_FDCWD for plain paths) and terminates them. Returns the length or a
 * negative errno; a longer file is cut. */
long container_file_read(int dirfd, const char *path, char *out, size_t size);

/* Writes text with one write, which is what cgroup and /proc files want. 0 or a negative errno. */
int container_file_write(int dirfd, const char *path, const char *text);

/* The number after `key` and a space at the start of a line; -ENOENT if there is none. */
int container_file_find(const char *text, const char *key, uint64_t *out);
