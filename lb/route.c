/* SPDX-License-Identifier: Apache-2.0
 * route.c - see route.h. Plain rtnetlink: one request, one answer, and the kernel answers at once. */
#include "lb/route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/map.h"

#define ANSWER_BYTES (64u << 10)

struct route {
    struct lb_prefix prefix;
    unsigned users;
    bool is_there, is_seen;
};

struct lb_routes {
    int fd;
    uint32_t sequence, metric;
    int loopback;
    struct map wanted; /* struct route by prefix */
};

static int prefix_family(const struct lb_prefix *prefix)
{
    return prefix->is_ipv6 ? AF_INET6 : AF_INET;
}

/* -- ranges ------------------------------------------------------------------------------------------------------ */

static bool is_loopback(uint32_t address)
{
    return address >> 24 == 127;
}

size_t lb_range_prefixes(struct vip_range range, struct lb_prefix out[LB_RANGE_PREFIXES_MAX])
{
    size_t count = 0;
    uint64_t at = range.first;
    while (at <= range.last && count < LB_RANGE_PREFIXES_MAX) {
        unsigned bits = 32;
        while (bits > 0) {
            uint64_t size = UINT64_C(1) << (33 - bits); /* of the next larger block */
            if (at % size != 0 || at + size - 1 > range.last ||
                is_loopback((uint32_t)at) != is_loopback((uint32_t)(at + size - 1)))
                break;
            bits--;
        }
        uint32_t first = htonl((uint32_t)at);
        if (!is_loopback((uint32_t)at)) {
            out[count] = (struct lb_prefix){.bits = (uint8_t)bits};
            memcpy(out[count++].ip, &first, 4);
        }
        at += UINT64_C(1) << (32 - bits);
    }
    return count;
}

/* -- netlink ----------------------------------------------------------------------------------------------------- */

struct route_request {
    struct nlmsghdr header;
    struct rtmsg route;
    char attributes[96];
};

static void put_attribute(struct route_request *q, unsigned short type, const void *data, size_t len)
{
    struct rtattr *a = (struct rtattr *)(void *)((char *)q + NLMSG_ALIGN(q->header.nlmsg_len));
    CHECK(NLMSG_ALIGN(q->header.nlmsg_len) + RTA_LENGTH(len) <= sizeof(*q));
    a->rta_type = type;
    a->rta_len = (unsigned short)RTA_LENGTH(len);
    memcpy(RTA_DATA(a), data, len);
    q->header.nlmsg_len = NLMSG_ALIGN(q->header.nlmsg_len) + (uint32_t)RTA_ALIGN(a->rta_len);
}

static int open_socket(void)
{
    struct sockaddr_nl local = {.nl_family = AF_NETLINK};
    struct timeval patience = {.tv_sec = 1}; /* the kernel answers inside the call; this is for the case that it does not */
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0) {
        int result = -errno;
        (void)close(fd);
        return result;
    }
    return fd;
}

static int send_request(struct lb_routes *r, struct route_request *q)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    q->header.nlmsg_seq = ++r->sequence;
    ssize_t sent = sendto(r->fd, q, q->header.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
    return sent < 0 ? -errno : 0;
}

/* Receives until the answer is complete: an acknowledgement or the end of a listing. Only the kernel can send here. */
static int receive(struct lb_routes *r, void (*each)(struct lb_routes *r, const struct nlmsghdr *m))
{
    char *buffer = xmalloc(ANSWER_BYTES);
    int result = 1;
    while (result > 0) {
        ssize_t len = recv(r->fd, buffer, ANSWER_BYTES, MSG_TRUNC);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0 || len > (ssize_t)ANSWER_BYTES) {
            result = len < 0 ? -errno : -EMSGSIZE;
            break;
        }
        unsigned left = (unsigned)len;
        for (const struct nlmsghdr *m = (const void *)buffer; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) {
            if (m->nlmsg_seq != r->sequence)
                continue; /* of a request whose answer did not come in time */
            if (m->nlmsg_type == NLMSG_ERROR)
                result = ((const struct nlmsgerr *)NLMSG_DATA(m))->error;
            else if (m->nlmsg_type == NLMSG_DONE)
                result = 0;
            else if (each != NULL)
                each(r, m);
            if (result <= 0)
                break;
        }
    }
    free(buffer);
    return result;
}

static int change(struct lb_routes *r, unsigned short type, const struct lb_prefix *prefix)
{
    struct route_request q = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
                   .nlmsg_type = type,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
        .route = {.rtm_family = (unsigned char)prefix_family(prefix),
                  .rtm_dst_len = prefix->bits,
                  .rtm_table = RT_TABLE_LOCAL,
                  .rtm_protocol = LB_ROUTE_PROTOCOL,
                  .rtm_scope = prefix->is_ipv6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_HOST,
                  .rtm_type = RTN_LOCAL},
    };
    if (type == RTM_NEWROUTE)
        q.header.nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
    put_attribute(&q, RTA_DST, prefix->ip, prefix->is_ipv6 ? 16 : 4);
    put_attribute(&q, RTA_OIF, &r->loopback, sizeof(r->loopback));
    put_attribute(&q, RTA_PRIORITY, &r->metric, sizeof(r->metric));
    int result = send_request(r, &q);
    result = result < 0 ? result : receive(r, NULL);
    if ((type == RTM_NEWROUTE && result == -EEXIST) || (type == RTM_DELROUTE && result == -ESRCH))
        return 0;
    return result;
}

/* -- what is there ----------------------------------------------------------------------------------------------- */

static bool is_ours(const struct lb_routes *r, const struct nlmsghdr *m, struct lb_prefix *out)
{
    const struct rtmsg *route = NLMSG_DATA(m);
    uint32_t metric = 0;
    if (m->nlmsg_type != RTM_NEWROUTE || m->nlmsg_len < NLMSG_LENGTH(sizeof(*route)) ||
        route->rtm_protocol != LB_ROUTE_PROTOCOL || route->rtm_type != RTN_LOCAL)
        return false;
    *out = (struct lb_prefix){.is_ipv6 = route->rtm_family == AF_INET6, .bits = route->rtm_dst_len};
    unsigned left = (unsigned)RTM_PAYLOAD(m);
    for (const struct rtattr *a = RTM_RTA(route); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        size_t len = RTA_PAYLOAD(a);
        if (a->rta_type == RTA_DST && len <= sizeof(out->ip))
            memcpy(out->ip, RTA_DATA(a), len);
        else if (a->rta_type == RTA_PRIORITY && len == sizeof(metric))
            memcpy(&metric, RTA_DATA(a), len);
    }
    return metric == r->metric;
}

/* Strangers of our instance become routes without users. */
static void note(struct lb_routes *r, const struct nlmsghdr *m)
{
    struct lb_prefix prefix;
    if (!is_ours(r, m, &prefix))
        return;
    struct route *route = map_get_n(&r->wanted, &prefix, sizeof(prefix));
    if (route == NULL) {
        route = xcalloc(1, sizeof(*route));
        route->prefix = prefix;
        (void)map_put_n(&r->wanted, &prefix, sizeof(prefix), route); /* was not there */
    }
    route->is_seen = true;
}

static int list_family(struct lb_routes *r, int family)
{
    struct route_request q = {.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
                                         .nlmsg_type = RTM_GETROUTE,
                                         .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
                              .route = {.rtm_family = (unsigned char)family, .rtm_table = RT_TABLE_LOCAL}};
    int result = send_request(r, &q);
    result = result < 0 ? result : receive(r, note);
    return result == -EAFNOSUPPORT || (family == AF_INET6 && result == -EOPNOTSUPP) ? 0 : result;
}

static void drop(struct lb_routes *r, struct route *route)
{
    (void)map_remove_n(&r->wanted, &route->prefix, sizeof(route->prefix));
    free(route);
}

int lb_routes_repair(struct lb_routes *r, struct err *err)
{
    int mended = 0, first = 0;
    for (struct map_entry *e = map_first(&r->wanted); e != NULL; e = map_next(e))
        ((struct route *)map_value(e))->is_seen = false;
    int result = list_family(r, AF_INET);
    result = result < 0 ? result : list_family(r, AF_INET6);
    if (result < 0)
        return err_sys(err, result, "routes cannot be listed");
    for (struct map_entry *e = map_first(&r->wanted), *next; e != NULL; e = next) {
        struct route *route = map_value(e);
        next = map_next(e);
        route->is_there = route->is_seen;
        if (route->is_there == (route->users > 0))
            continue;
        result = change(r, route->users > 0 ? RTM_NEWROUTE : RTM_DELROUTE, &route->prefix);
        if (result < 0 && first == 0)
            first = err_sys(err, result, "route");
        route->is_there = result == 0;
        mended += result == 0;
        if (route->users == 0)
            drop(r, route);
    }
    return first < 0 ? first : mended;
}

/* -- wanted ones ------------------------------------------------------------------------------------------------- */

/* A metric by the instance, never 0 (which would be the kernel's own). */
static uint32_t metric_of(const char *instance)
{
    return (vip_phash2(instance, strlen(instance)) & 0xffffff) | 0x4d000000;
}

int lb_routes_new(const char *instance, struct lb_routes **out, struct err *err)
{
    int fd = open_socket();
    if (fd < 0)
        return err_sys(err, fd, "netlink");
    unsigned loopback = if_nametoindex("lo");
    if (loopback == 0) {
        int result = -errno;
        (void)close(fd);
        return err_sys(err, result, "interface lo");
    }
    struct lb_routes *r = xcalloc(1, sizeof(*r));
    r->fd = fd;
    r->loopback = (int)loopback;
    r->metric = metric_of(instance);
    map_init(&r->wanted);
    *out = r;
    return 0;
}

int lb_routes_add(struct lb_routes *r, const struct lb_prefix *prefix, struct err *err)
{
    struct route *route = map_get_n(&r->wanted, prefix, sizeof(*prefix));
    if (route == NULL) {
        route = xcalloc(1, sizeof(*route));
        route->prefix = *prefix;
        (void)map_put_n(&r->wanted, prefix, sizeof(*prefix), route); /* was not there */
    }
    if (route->users++ > 0 && route->is_there)
        return 0;
    int result = change(r, RTM_NEWROUTE, prefix);
    route->is_there = result == 0;
    return result < 0 ? err_sys(err, result, "local route") : 0;
}

void lb_routes_remove(struct lb_routes *r, const struct lb_prefix *prefix)
{
    struct route *route = map_get_n(&r->wanted, prefix, sizeof(*prefix));
    if (route == NULL || route->users == 0 || --route->users > 0)
        return;
    if (route->is_there)
        (void)change(r, RTM_DELROUTE, prefix); /* what stays is a stranger to the next repair */
    drop(r, route);
}

size_t lb_routes_count(const struct lb_routes *r)
{
    size_t count = 0;
    for (struct map_entry *e = map_first(&r->wanted); e != NULL; e = map_next(e))
        count += ((const struct route *)map_value(e))->is_there;
    return count;
}

struct lb_routes *lb_routes_free(struct lb_routes *r, bool is_final)
{
    if (r == NULL)
        return NULL;
    for (struct map_entry *e; (e = map_first(&r->wanted)) != NULL;) {
        struct route *route = map_value(e);
        if (is_final && route->is_there)
            (void)change(r, RTM_DELROUTE, &route->prefix); /* at the end; --clean tries again */
        drop(r, route);
    }
    map_deinit(&r->wanted);
    (void)close(r->fd);
    free(r);
    return NULL;
}

int lb_routes_clean(const char *instance, struct err *err)
{
    struct lb_routes *r;
    int result = lb_routes_new(instance, &r, err);
    if (result < 0)
        return result;
    result = lb_routes_repair(r, err); /* nothing is wanted */
    (void)lb_routes_free(r, false);
    return result < 0 ? result : 0;
}
