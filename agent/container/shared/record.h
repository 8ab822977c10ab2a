/* SPDX-License-Identifier: Apache-2.0
 * record.h - the files that a supervisor keeps. A record is replaced whole, by rename: a reader sees the old one, the new
 * one or none. */
#pragma once

#include <stdbool.h>

#include "common/base/err.h"
#include "muster/container.pb-c.h"

enum { CONTAINER_RECORD_BYTES_MAX = 64 * 1024 };

/* durable: on disk before the return, the name included. -ENOENT when the folder was removed. */
int container_record_write(int dirfd, const char *name, const ProtobufCMessage *record, bool durable, struct err *err);

/* NULL when there is none or it cannot be parsed. Free with muster__container__*__free_unpacked(m, NULL). */
Muster__Container__State *container_record_read_state(int dirfd);
Muster__Container__End *container_record_read_end(int dirfd);
