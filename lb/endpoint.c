/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

struct lb_endpoint lb_endpoint_of_ipv4(enum lb_protocol protocol, uint32_t address, uint16_t port)
{
    struct lb_endpoint e = {.protocol = (uint8_t)protocol, .port = port};
    address = htonl(address);
    memcpy(e.ip, &address, sizeof(address));
    return e;
}

int lb_endpoint_parse_ip(const char *ip, struct lb_endpoint *out)
{
    uint8_t binary[16] = {0};
    bool is_ipv4 = inet_pton(AF_INET, ip, binary) == 1;
    if (!is_ipv4 && inet_pton(AF_INET6, ip, binary) != 1)
        return -EINVAL;
    out->is_ipv6 = !is_ipv4;
    memcpy(out->ip, binary, sizeof(binary));
    return 0;
}

void lb_endpoint_format_ip(const struct lb_endpoint *e, char out[LB_ENDPOINT_TEXT_SIZE])
{
    if (inet_ntop(e->is_ipv6 ? AF_INET6 : AF_INET, e->ip, out, LB_ENDPOINT_TEXT_SIZE) == NULL)
        out[0] = '\0';
}

void lb_endpoint_format(const struct lb_endpoint *e, char out[LB_ENDPOINT_TEXT_SIZE])
{
    lb_endpoint_format_ip(e, out);
    size_t len = strlen(out);
    (void)snprintf(out + len, LB_ENDPOINT_TEXT_SIZE - len, ":%u", e->port); /* 45 + 6 characters at most */
}

const char *lb_protocol_name(uint8_t protocol)
{
    return protocol == LB_UDP ? "udp" : "tcp";
}

socklen_t lb_endpoint_to_sockaddr(const struct lb_endpoint *e, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (e->is_ipv6) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(e->port);
        memcpy(&six->sin6_addr, e->ip, 16);
        return sizeof(*six);
    }
    struct sockaddr_in *four = (struct sockaddr_in *)out;
    four->sin_family = AF_INET;
    four->sin_port = htons(e->port);
    memcpy(&four->sin_addr, e->ip, 4);
    return sizeof(*four);
}

void lb_endpoint_from_sockaddr(const struct sockaddr_storage *from, struct lb_endpoint *out)
{
    memset(out->ip, 0, sizeof(out->ip));
    out->is_ipv6 = from->ss_family == AF_INET6;
    if (out->is_ipv6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
        memcpy(out->ip, &six->sin6_addr, 16);
        out->port = ntohs(six->sin6_port);
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)from;
        memcpy(out->ip, &four->sin_addr, 4);
        out->port = ntohs(four->sin_port);
    }
}

uint32_t lb_endpoint_ipv4(const struct lb_endpoint *e)
{
    uint32_t address;
    memcpy(&address, e->ip, sizeof(address));
    return ntohl(address);
}
