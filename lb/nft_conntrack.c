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
#define TRIES_MAX 8               /* a listing may be cut short by changes */
#define DELETIONS_AT_ONCE 16u     /* their answers wait in the socket */

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

static void add_deletion(struct nft_flows *f, const struct nlmsghdr *m, const struct nlattr *original,
                         const struct nlattr *id)
{
    const struct nfgenmsg *head = mnl_nlmsg_get_payload(m);
    if (mnl_attr_get_payload_len(original) > NFT_REQUEST_BYTES / 2)
        return; /* no tuple is that long */
    if (f->capacity - f->len < NFT_REQUEST_BYTES) {
        f->capacity = 2 * f->capacity + 16 * NFT_REQUEST_BYTES;
        f->deletions = xrealloc(f->deletions, f->capacity);
    }
    struct nlmsghdr *q = nft_request(f->deletion, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE, head->nfgen_family,
                                     NLM_F_ACK, f->deletions + f->len);
    mnl_attr_put(q, CTA_TUPLE_ORIG | NLA_F_NESTED, mnl_attr_get_payload_len(original), mnl_attr_get_payload(original));
    if (nft_attribute_is(id, 4)) /* not the one that may have taken its place */
        mnl_attr_put_u32(q, CTA_ID, mnl_attr_get_u32(id));
    f->len += NLMSG_ALIGN(q->nlmsg_len);
    f->count++;
}

static int look_at(void *ctx, const struct nlmsghdr *m)
{
    struct nft_flows *f = ctx;
    struct lb_endpoint vip, backend;
    const struct nlattr *a[CTA_ID + 1];
    nft_attributes(m, a, CTA_ID);
    if (a[CTA_TUPLE_ORIG] != NULL && a[CTA_TUPLE_REPLY] != NULL && read_tuple(a[CTA_TUPLE_ORIG], false, &vip) &&
        read_tuple(a[CTA_TUPLE_REPLY], true, &backend) && map_get_n(&f->now, &vip, sizeof(vip)) != NULL &&
        !f->leads(f->ctx, &vip, &backend))
        add_deletion(f, m, a[CTA_TUPLE_ORIG], a[CTA_ID]);
    return 0;
}

static int ask(struct nft_flows *f)
{
    struct nlmsghdr *q =
        nft_request(&f->listing, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, f->family, NLM_F_DUMP, f->request);
    if (f->has_filter) {
        struct nlattr *tuple = mnl_attr_nest_start(q, CTA_TUPLE_ORIG), *proto = mnl_attr_nest_start(q, CTA_TUPLE_PROTO);
        mnl_attr_put_u8(q, CTA_PROTO_NUM, IPPROTO_UDP);
        mnl_attr_nest_end(q, proto);
        mnl_attr_nest_end(q, tuple);
        struct nlattr *filter = mnl_attr_nest_start(q, CTA_FILTER);
        mnl_attr_put_u32(q, CTA_FILTER_ORIG_FLAGS, FILTER_PROTOCOL);
        mnl_attr_put_u32(q, CTA_FILTER_REPLY_FLAGS, 0);
        mnl_attr_nest_end(q, filter);
    }
    f->answer = (struct nft_answer){.request = q, .each = look_at, .ctx = f};
    return mnl_socket_sendto(f->listing.link, q, q->nlmsg_len) < 0 ? -errno : 0;
}

/* Of one slice; those that ended by themselves meanwhile are no error. */
static int end_stale(struct nft_flows *f)
{
    int result = 0;
    const uint8_t *at = f->deletions;
    for (size_t done = 0; done < f->count && result == 0;) {
        const uint8_t *first = at;
        size_t count = f->count - done < DELETIONS_AT_ONCE ? f->count - done : DELETIONS_AT_ONCE;
        for (size_t i = 0; i < count; i++)
            at += NLMSG_ALIGN(((const struct nlmsghdr *)(const void *)at)->nlmsg_len);
        result = nft_ask_many(f->deletion, first, (size_t)(at - first), count, NULL, NULL, 0);
        done += count;
    }
    f->count = f->len = 0;
    return result;
}

int nft_flows_open(struct nft_flows *f, struct nft_socket *deletion, nft_leads_fn leads, void *ctx, struct err *err)
{
    *f = (struct nft_flows){.deletion = deletion, .leads = leads, .ctx = ctx};
    map_init(&f->now);
    map_init(&f->next);
    return nft_socket_open(&f->listing, err);
}

void nft_flows_close(struct nft_flows *f)
{
    map_deinit(&f->now);
    map_deinit(&f->next);
    nft_socket_close(&f->listing);
    free(f->deletions);
    *f = (struct nft_flows){0};
}

int nft_flows_fd(const struct nft_flows *f)
{
    return mnl_socket_get_fd(f->listing.link);
}

void nft_flows_add(struct nft_flows *f, const struct lb_endpoint *vip)
{
    (void)map_put_n(&f->next, vip, sizeof(*vip), f); /* a set: any value */
}

static int begin_family(struct nft_flows *f, uint8_t family)
{
    f->family = family;
    f->has_filter = true;
    f->tries = 0;
    return ask(f);
}

static int give_up(struct nft_flows *f, int result, struct err *err)
{
    f->family = 0;
    map_deinit(&f->now);
    map_init(&f->now);
    return err_sys(err, result, "UDP flows to back ends that have gone cannot be ended");
}

int nft_flows_begin(struct nft_flows *f, struct err *err)
{
    if (f->family != 0 || map_count(&f->next) == 0)
        return 0;
    map_deinit(&f->now);
    f->now = f->next;
    map_init(&f->next);
    int result = begin_family(f, AF_INET);
    return result < 0 ? give_up(f, result, err) : 0;
}

/* What comes behind a listing that is over. As nft_flows_step, but the errors are given as they are. */
static int go_on(struct nft_flows *f, struct err *err)
{
    int result = f->answer.result;
    if ((result == -EINTR || result == -EOPNOTSUPP || result == -EINVAL) && f->tries++ < TRIES_MAX) {
        f->has_filter = result == -EINTR && f->has_filter; /* older kernels do not know it */
        result = ask(f);
        return result < 0 ? result : 1;
    }
    if (result < 0)
        return result;
    if (f->family == AF_INET) {
        result = begin_family(f, AF_INET6);
        return result < 0 ? result : 1;
    }
    f->family = 0;
    result = nft_flows_begin(f, err);
    return result < 0 ? result : f->family != 0;
}

int nft_flows_step(struct nft_flows *f, struct err *err)
{
    if (f->family == 0)
        return 0;
    ssize_t len = nft_receive(&f->listing, MSG_DONTWAIT);
    if (len == -EAGAIN)
        return 1;
    int result = (int)len;
    if (result >= 0) {
        nft_answer_take(&f->answer, f->listing.answer, (size_t)len);
        result = end_stale(f);
    }
    if (result >= 0)
        result = f->answer.is_over ? go_on(f, err) : 1;
    return result < 0 ? give_up(f, result, err) : result;
}
