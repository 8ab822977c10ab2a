/* SPDX-License-Identifier: Apache-2.0
 * zk_url.h - zk://[user:password@]host[:port][,host[:port]...]/path, as flags take it (facts: mesos 8.4). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

#define ZK_URL_SERVERS_MAX 32
#define ZK_URL_BYTES_MAX 4096
#define ZK_PORT_DEFAULT 2181

struct zk_server {
    char *host; /* a name or an address; an IPv6 one without its brackets */
    uint16_t port;
};

struct zk_url {
    char *user; /* both NULL: no credentials */
    char *password;
    struct zk_server servers[ZK_URL_SERVERS_MAX];
    size_t server_count;
    char *path; /* absolute, normal: no slash at the end, never the root alone */
};

/* The credentials end at the last '@' of the whole text: passwords may have '@', ':', ',' and '/', paths no '@'.
 * -EINVAL with what is wrong in err; the text never repeats the credentials. On success the owner calls zk_url_deinit. */
int zk_url_parse(const char *text, struct zk_url *out, struct err *err);
void zk_url_deinit(struct zk_url *u);
/* For logs and answers: the URL with the password as ****. 0 or -ENOBUFS. */
int zk_url_print(const struct zk_url *u, struct buf *out);

/* Absolute, no empty, "." or ".." part, no control character, UTF-8, shorter than ZOOKEEPER_PATH_BYTES_MAX, not the root.
 */
bool zk_path_is_valid(const char *path);
