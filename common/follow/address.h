/* SPDX-License-Identifier: Apache-2.0
 * address.h - addresses of masters as people write them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/follow/follow.h"

struct host_ip {
    uint8_t size; /* 4 or 16 */
    uint8_t bytes[16];
};
/* A numeric address. 0 or -EINVAL. */
int host_ip_parse(const char *text, struct host_ip *out);

/* The host of host:port, without the brackets of IPv6; the port is 1 or more. The address is shorter than
 * FOLLOW_ADDRESS_SIZE. */
bool host_port_split(const char *address, char host[FOLLOW_ADDRESS_SIZE], uint16_t *port);

struct master_list {
    char items[FOLLOW_MASTERS_MAX][FOLLOW_ADDRESS_SIZE]; /* host:port; IPv6 in brackets */
    size_t count;
};
/* "host:port,host:port"; -EINVAL with the reason, naming the flag --master. Masters are the same when their addresses are,
 * however these are written; none may be there twice. */
int master_list_parse(const char *text, struct master_list *out, struct err *err);
