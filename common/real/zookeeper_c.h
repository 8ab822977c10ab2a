/* SPDX-License-Identifier: Apache-2.0
 * zookeeper_c.h - the ZooKeeper port on Apache's C client, single-threaded, driven by the loop: it never waits for a
 * server. */
#pragma once

#include "common/base/err.h"
#include "common/port/loop.h"
#include "common/port/zookeeper.h"

struct zookeeper_c_server {
    const char *host; /* name or address */
    uint16_t port;
};

struct zookeeper_c_config {
    const struct zookeeper_c_server *servers;
    size_t server_count;
    const char *user; /* NULL: no credentials; else scheme digest, for every session */
    const char *password;
    int64_t session_timeout_ms; /* wanted; servers grant 2 to 20 of their ticks */
};

/* Names are looked up here and once only, which waits for the system's resolver: for start-up. A server whose address
 * changes is found again after a restart of ours. Connecting happens on the loop; it never gives up. -EHOSTUNREACH when no
 * name has an address; some without one are left out with a warning. */
int zookeeper_c_open(struct loop *loop, const struct zookeeper_c_config *config, struct zookeeper **out, struct err *err);
