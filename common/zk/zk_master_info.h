/* SPDX-License-Identifier: Apache-2.0
 * zk_master_info.h - what a master's node holds: MasterInfo as JSON with sorted keys (facts: mesos 8.4). Written so that
 * readers made for Mesos find the leader; read leniently, because it comes from outside. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

#define ZK_MASTER_INFO_BYTES_MAX (64u << 10) /* of what is read */
#define ZK_MASTER_TEXT_SIZE 256              /* of each text, with its terminator */

struct zk_master_info {
    char id[ZK_MASTER_TEXT_SIZE];
    char hostname[ZK_MASTER_TEXT_SIZE];
    char ip[46]; /* numeric; may be empty when read: then the hostname is to be used */
    uint16_t port;
    char version[ZK_MASTER_TEXT_SIZE]; /* may be empty when read */
    char region[ZK_MASTER_TEXT_SIZE];  /* of the fault domain; both or none */
    char zone[ZK_MASTER_TEXT_SIZE];
};

/* The texts must be valid UTF-8; ip an IPv4 address, or another: then the number "ip" is 0. 0 or -ENOBUFS. */
int zk_master_info_write(const struct zk_master_info *info, struct buf *out);
/* -EINVAL with what is wrong: it is no JSON object, there is no port, neither an address nor a hostname... */
int zk_master_info_read(const void *text, size_t len, struct zk_master_info *out, struct err *err);
