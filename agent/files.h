/* SPDX-License-Identifier: Apache-2.0
 * files.h - reading what containers have written: browse, read, download, follow (facts: mesos 5.1). Everything a task can
 * do to its sandbox is expected: links are followed inside the sandbox only (openat2), only regular files are read, never
 * waiting for a pipe or a device. Reads are at most FILES_READ_MAX bytes at a time. */
#pragma once

#include "agent/shell.h"

#define FILES_READ_MAX (64u << 10)
#define FILES_ENTRIES_MAX 10000

enum { FILES_E_NOT_FOUND = 1, FILES_E_NOT_FILE, FILES_E_NOT_DIRECTORY, FILES_E_TOO_MANY };

/* Opens a path of a sandbox, virtual or real. A descriptor, or -errno with a FILES_E_* in *outcome. */
int files_open(struct agent_shell *s, const char *path, struct arena *arena, bool directory, int *outcome);

/* The entries of a directory in the order of names, paths as they were asked for. 0, -errno or FILES_E_*. */
int files_list(struct agent_shell *s, const char *path, struct arena *arena, Mesos__V1__FileInfo ***out, size_t *n);

/* files_stream.c: answers with the whole file; follow: and goes on as it grows, over rotation, until the client leaves. */
void files_send(struct agent_shell *s, struct http_exchange *x, const char *path, int fd, bool follow);
