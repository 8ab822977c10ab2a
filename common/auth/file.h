/* SPDX-License-Identifier: Apache-2.0
 * file.h - files that security depends on, read once at start-up, named by a flag. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"

#define AUTH_FILE_BYTES_MAX ((size_t)4 << 20)

struct auth_file {
    char *text; /* terminated; may hold NULs of its own */
    size_t len;
    bool is_exposed; /* everybody on this machine can read or write it */
};

/* Reads a regular file by its path, `/path` or `file:///path`. A value that is neither is -EINVAL: a secret on the command
 * line would be seen by everybody who can list processes. */
int auth_file_read(const char *value, struct auth_file *out, struct err *err);
/* Wipes and frees. */
void auth_file_deinit(struct auth_file *f);
