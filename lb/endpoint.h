/* SPDX-License-Identifier: Apache-2.0
 * endpoint.h - a protocol, an address and a port. Plain values without padding: they compare and hash as bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum lb_protocol { LB_TCP, LB_UDP };

struct lb_endpoint {
    uint8_t protocol; /* enum lb_protocol */
    uint8_t is_ipv6;  /* 0 or 1 */
    uint8_t ip[16];   /* network byte order; IPv4 uses four bytes, the rest is zero */
    uint16_t port;    /* host byte order */
};
_Static_assert(sizeof(struct lb_endpoint) == 20, "endpoints are compared as bytes");

#define LB_ENDPOINT_TEXT_SIZE 64

static inline int lb_endpoint_compare(const struct lb_endpoint *a, const struct lb_endpoint *b)
{
    return memcmp(a, b, sizeof(*a));
}

struct lb_endpoint lb_endpoint_of_ipv4(enum lb_protocol protocol, uint32_t address, uint16_t port);
/* Takes a numeric IPv4 or IPv6 address. 0 or -EINVAL. */
int lb_endpoint_parse_ip(const char *ip, struct lb_endpoint *out);

/* "1.2.3.4" and "1.2.3.4:80"; IPv6 without brackets, as DC/OS prints it. */
void lb_endpoint_format_ip(const struct lb_endpoint *e, char out[LB_ENDPOINT_TEXT_SIZE]);
void lb_endpoint_format(const struct lb_endpoint *e, char out[LB_ENDPOINT_TEXT_SIZE]);
const char *lb_protocol_name(uint8_t protocol); /* "tcp" or "udp" */

/* Fills the socket address, gives its length. */
socklen_t lb_endpoint_to_sockaddr(const struct lb_endpoint *e, struct sockaddr_storage *out);
/* protocol stays what it is. */
void lb_endpoint_from_sockaddr(const struct sockaddr_storage *from, struct lb_endpoint *out);

uint32_t lb_endpoint_ipv4(const struct lb_endpoint *e); /* host byte order */
