/* SPDX-License-Identifier: Apache-2.0
 * nft_reach.c - see nft_reach.h. Connecting a datagram socket looks for a route and does nothing else. */
#include "lb/nft_reach.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOPBACK_NET 127u

/* A socket with this source, or -1. */
static int open_from(const struct lb_endpoint *source)
{
    struct sockaddr_storage a;
    socklen_t len = lb_endpoint_to_sockaddr(source, &a);
    int fd = socket(a.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

bool nft_has_ipv6(void)
{
    const struct lb_endpoint loopback = {.protocol = LB_UDP, .is_ipv6 = 1, .ip = {[15] = 1}};
    int fd = open_from(&loopback);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

size_t nft_count_unreachable(const struct lb_endpoint *vip, const struct lb_endpoint *backends, size_t count)
{
    size_t unreachable = 0;
    if (vip->is_ipv6 || vip->ip[0] != LOOPBACK_NET)
        return 0;
    const struct lb_endpoint source = lb_endpoint_of_ipv4(LB_UDP, LOOPBACK_NET << 24 | 1, 0);
    int fd = open_from(&source);
    for (size_t i = 0; i < count && fd >= 0; i++) {
        struct sockaddr_storage a;
        socklen_t len = lb_endpoint_to_sockaddr(&backends[i], &a);
        unreachable += connect(fd, (struct sockaddr *)&a, len) < 0 && errno == EINVAL;
    }
    if (fd >= 0)
        close(fd);
    return unreachable;
}
