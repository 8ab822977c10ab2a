/* SPDX-License-Identifier: Apache-2.0
 * nft_conntrack.c - see nft_conntrack.h. The listing is filtered in the kernel where it can (Linux 5.8), and here again. */
#include "lb/nft_conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "common/base/check.h"

#define FILTER_PROTOCOL (1u << 3) /* CTA_FILTER_FLAG(CTA_PROTO_NUM) of the kernel's own header */
#define LISTS_MAX 8               /* a listing may be cut short by changes */

struct sweep {
    nft_is_stale_fn is_stale;
    void *ctx;
    uint8_t *deletions; /* messages one behind the other */
    size_t len, capacity;
};

static bool read_tuple(const struct nlattr *nest, bool is_source, struct lb_endpoint *out)
{
    const struct nlattr *tuple[CTA_TUPLE_PROTO + 1], *ip[CTA_IP_V6_DST + 1], *proto[CTA_PROTO_DST_PORT + 1];
    nft_nested(nest, tuple, CTA_TUPLE_PROTO);
    nft_nested(tuple[CTA_TUPLE_IP], ip, CTA_IP_V6_DST);
    nft_nested(tuple[CTA_TUPLE_PROTO], proto, CTA_PROTO_DST_PORT);
    const struct nlattr *four = ip[is_source ? CTA_IP_V4_SRC : CTA_IP_V4_DST];
    const struct nlattr *six = ip[is_source ? CTA_IP_V6_SRC : CTA_IP_V6_DST];
    const struct nlattr *port = proto[is_source ? CTA_PROTO_SRC_PORT : CTA_PROTO_DST_PORT];
    *out = (struct lb_endpoint){.protocol = LB_UDP};
    if (!nft_attribute_is(proto[CTA_PROTO_NUM], 1) || mnl_attr_get_u8(proto[CTA_PROTO_NUM]) != IPPROTO_UDP ||
        !nft_attribute_is(port, 2))
        return false;
    out->port = ntohs(mnl_attr_get_u16(port));
    if (nft_attribute_is(four, 4)) {
        memcpy(out->ip, mnl_attr_get_payload(four), 4);
        return true;
    }
    out->is_ipv6 = 1;
    if (!nft_attribute_is(six, 16))
        return false;
    memcpy(out->ip, mnl_attr_get_payload(six), 16);
    return true;
}

static void add_deletion(struct sweep *w, const struct nlmsghdr *m, const struct nlattr *original, const struct nlattr *id)
{
    const struct nfgenmsg *head = mnl_nlmsg_get_payload(m);
    if (w->capacity - w->len < NFT_REQUEST_BYTES) {
        w->capacity = 2 * w->capacity + 16 * NFT_REQUEST_BYTES;
        w->deletions = xrealloc(w->deletions, w->capacity);
    }
    struct nlmsghdr *q = mnl_nlmsg_put_header(w->deletions + w->len);
    q->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
    q->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    struct nfgenmsg *to = mnl_nlmsg_put_extra_header(q, sizeof(*to));
    *to = (struct nfgenmsg){.nfgen_family = head->nfgen_family, .version = NFNETLINK_V0};
    if (mnl_attr_get_payload_len(original) > NFT_REQUEST_BYTES / 2)
        return; /* no tuple is that long */
    mnl_attr_put(q, CTA_TUPLE_ORIG | NLA_F_NESTED, mnl_attr_get_payload_len(original), mnl_attr_get_payload(original));
    if (nft_attribute_is(id, 4)) /* not the one that may have taken its place */
        mnl_attr_put_u32(q, CTA_ID, mnl_attr_get_u32(id));
    w->len += NLMSG_ALIGN(q->nlmsg_len);
}

static int look_at(void *ctx, const struct nlmsghdr *m)
{
    struct sweep *w = ctx;
    struct lb_endpoint vip, backend;
    const struct nlattr *a[CTA_ID + 1];
    nft_attributes(m, a, CTA_ID);
    if (a[CTA_TUPLE_ORIG] != NULL && a[CTA_TUPLE_REPLY] != NULL && read_tuple(a[CTA_TUPLE_ORIG], false, &vip) &&
        read_tuple(a[CTA_TUPLE_REPLY], true, &backend) && w->is_stale(w->ctx, &vip, &backend))
        add_deletion(w, m, a[CTA_TUPLE_ORIG], a[CTA_ID]);
    return 0;
}

static int list(struct nft_socket *s, struct sweep *w, uint8_t family, bool has_filter)
{
    char buffer[NFT_REQUEST_BYTES];
    struct nlmsghdr *q = nft_request(s, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, family, NLM_F_DUMP, buffer);
    if (has_filter) {
        struct nlattr *tuple = mnl_attr_nest_start(q, CTA_TUPLE_ORIG), *proto = mnl_attr_nest_start(q, CTA_TUPLE_PROTO);
        mnl_attr_put_u8(q, CTA_PROTO_NUM, IPPROTO_UDP);
        mnl_attr_nest_end(q, proto);
        mnl_attr_nest_end(q, tuple);
        struct nlattr *filter = mnl_attr_nest_start(q, CTA_FILTER);
        mnl_attr_put_u32(q, CTA_FILTER_ORIG_FLAGS, FILTER_PROTOCOL);
        mnl_attr_put_u32(q, CTA_FILTER_REPLY_FLAGS, 0);
        mnl_attr_nest_end(q, filter);
    }
    return nft_ask(s, q, look_at, w);
}

static int list_family(struct nft_socket *s, struct sweep *w, uint8_t family)
{
    size_t before = w->len;
    int result = list(s, w, family, true);
    for (int i = 0; i < LISTS_MAX && (result == -EINTR || result == -EOPNOTSUPP || result == -EINVAL); i++) {
        w->len = before;
        result = list(s, w, family, false);
    }
    return result;
}

int nft_conntrack_sweep(struct nft_socket *s, nft_is_stale_fn is_stale, void *ctx, struct err *err)
{
    struct sweep w = {.is_stale = is_stale, .ctx = ctx};
    int ended = 0, result = list_family(s, &w, AF_INET);
    result = result < 0 ? result : list_family(s, &w, AF_INET6);
    for (size_t at = 0; result == 0 && at < w.len;) {
        struct nlmsghdr *q = (struct nlmsghdr *)(void *)(w.deletions + at);
        q->nlmsg_seq = ++s->sequence;
        result = nft_ask(s, q, NULL, NULL);
        ended += result == 0;
        result = result == -ENOENT ? 0 : result; /* ended by itself */
        at += NLMSG_ALIGN(q->nlmsg_len);
    }
    free(w.deletions);
    return result < 0 ? err_sys(err, result, "UDP flows to back ends that have gone cannot be ended") : ended;
}
