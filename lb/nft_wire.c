/* SPDX-License-Identifier: Apache-2.0
 * nft_wire.c - see nft_wire.h. */
#include "lb/nft_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/check.h"

#define ANSWER_BYTES (64u << 10)
#define BATCH_OVERHEAD 65536u /* what the kernel counts beside our bytes */

/* -- sockets ----------------------------------------------------------------------------------------------------- */

int nft_socket_open(struct nft_socket *s, struct err *err)
{
    static const int on = 1;
    *s = (struct nft_socket){.link = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC)};
    if (s->link == NULL)
        return errno == EPROTONOSUPPORT || errno == EAFNOSUPPORT ? err_set(err, -EOPNOTSUPP, "this kernel has no netfilter")
                                                                 : err_sys(err, -errno, "netlink");
    if (mnl_socket_bind(s->link, 0, MNL_SOCKET_AUTOPID) < 0) {
        int result = -errno;
        nft_socket_close(s);
        return err_sys(err, result, "netlink");
    }
    (void)mnl_socket_setsockopt(s->link, NETLINK_EXT_ACK, (void *)(uintptr_t)&on,
                                sizeof(on)); /* errors are only less exact without */
    /* Without it each error brings the whole message it is about, and a few large ones are more than the socket may hold:
     * then the answer would be that there was no room for the answer. */
    (void)mnl_socket_setsockopt(s->link, NETLINK_CAP_ACK, (void *)(uintptr_t)&on, sizeof(on));
    s->port = mnl_socket_get_portid(s->link);
    s->answer = xmalloc(ANSWER_BYTES);
    return 0;
}

void nft_socket_close(struct nft_socket *s)
{
    if (s->link != NULL)
        (void)mnl_socket_close(s->link); /* nothing is pending */
    free(s->answer);
    *s = (struct nft_socket){0};
}

/* -- attributes -------------------------------------------------------------------------------------------------- */

static void note(const struct nlattr *a, const struct nlattr **out, uint16_t max)
{
    uint16_t type = mnl_attr_get_type(a);
    if (type <= max)
        out[type] = a;
}

void nft_attributes(const struct nlmsghdr *message, const struct nlattr **out, uint16_t max)
{
    const struct nlattr *a;
    memset(out, 0, (max + 1u) * sizeof(*out));
    mnl_attr_for_each(a, message, sizeof(struct nfgenmsg)) note(a, out, max);
}

void nft_nested(const struct nlattr *nest, const struct nlattr **out, uint16_t max)
{
    const struct nlattr *a;
    memset(out, 0, (max + 1u) * sizeof(*out));
    if (nest != NULL)
        mnl_attr_for_each_nested(a, nest) note(a, out, max);
}

bool nft_attribute_says(const struct nlattr *a, const char *text)
{
    size_t len = strlen(text);
    return a != NULL && mnl_attr_get_payload_len(a) >= len &&
           strnlen(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a)) == len &&
           memcmp(mnl_attr_get_payload(a), text, len) == 0;
}

/* -- requests ---------------------------------------------------------------------------------------------------- */

struct nlmsghdr *nft_request(struct nft_socket *s, uint16_t subsystem, uint16_t type, uint8_t family, uint16_t flags,
                             void *buffer)
{
    struct nlmsghdr *m = mnl_nlmsg_put_header(buffer);
    m->nlmsg_type = (uint16_t)(subsystem << 8 | type);
    m->nlmsg_flags = NLM_F_REQUEST | flags;
    m->nlmsg_seq = ++s->sequence;
    struct nfgenmsg *head = mnl_nlmsg_put_extra_header(m, sizeof(*head));
    *head = (struct nfgenmsg){.nfgen_family = family, .version = NFNETLINK_V0};
    return m;
}

static int error_of(const struct nlmsghdr *m)
{
    return mnl_nlmsg_get_payload_len(m) < sizeof(struct nlmsgerr)
               ? -EBADMSG
               : ((const struct nlmsgerr *)mnl_nlmsg_get_payload(m))->error;
}

/* The end of a listing has a number: what it ended with. */
static int end_of(const struct nlmsghdr *m)
{
    int32_t number = 0;
    if (mnl_nlmsg_get_payload_len(m) >= sizeof(number))
        memcpy(&number, mnl_nlmsg_get_payload(m), sizeof(number));
    return number < 0 ? number : 0;
}

static void take_message(struct nft_answer *a, const struct nlmsghdr *m)
{
    int result = 0;
    if (m->nlmsg_seq != a->request->nlmsg_seq || a->is_over)
        return; /* of a request that was given up */
    bool is_listing = (a->request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
    if (m->nlmsg_type == NLMSG_ERROR || m->nlmsg_type == NLMSG_DONE) {
        a->is_over = true;
        result = m->nlmsg_type == NLMSG_ERROR ? error_of(m) : end_of(m);
    } else {
        a->is_over = !is_listing && !(a->request->nlmsg_flags & NLM_F_ACK);
        if (a->each != NULL && a->result == 0 && mnl_nlmsg_get_payload_len(m) >= sizeof(struct nfgenmsg))
            result = a->each(a->ctx, m);
    }
    if (result == 0 && (m->nlmsg_flags & NLM_F_DUMP_INTR))
        result = -EINTR;
    a->result = a->result != 0 ? a->result : result;
}

void nft_answer_take(struct nft_answer *a, const void *datagram, size_t len)
{
    int left = (int)len;
    for (const struct nlmsghdr *m = datagram; nft_message_ok(m, left); m = mnl_nlmsg_next(m, &left))
        take_message(a, m);
}

ssize_t nft_receive(struct nft_socket *s, int flags)
{
    ssize_t len;
    do
        len = recv(mnl_socket_get_fd(s->link), s->answer, ANSWER_BYTES, flags | MSG_TRUNC);
    while (len < 0 && errno == EINTR);
    return len < 0 ? -errno : len > (ssize_t)ANSWER_BYTES ? -EMSGSIZE : len;
}

int nft_ask(struct nft_socket *s, const struct nlmsghdr *request, nft_each_fn each, void *ctx)
{
    struct nft_answer a = {.request = request, .each = each, .ctx = ctx};
    if (mnl_socket_sendto(s->link, request, request->nlmsg_len) < 0)
        return -errno;
    while (!a.is_over) {
        ssize_t len = nft_receive(s, 0);
        if (len < 0)
            return (int)len;
        nft_answer_take(&a, s->answer, (size_t)len);
    }
    return a.result;
}

int nft_ask_many(struct nft_socket *s, const void *requests, size_t len, size_t count, nft_each_fn each, void *items,
                 size_t item_bytes)
{
    const struct nlmsghdr *request = requests;
    int result = 0, left = (int)len;
    if (mnl_socket_sendto(s->link, requests, len) < 0)
        return -errno;
    for (size_t i = 0; i < count; i++, request = mnl_nlmsg_next(request, &left)) { /* answers come in order */
        struct nft_answer a = {.request = request, .each = each, .ctx = (char *)items + i * item_bytes};
        while (!a.is_over) {
            ssize_t got = nft_receive(s, 0);
            if (got < 0)
                return (int)got;
            nft_answer_take(&a, s->answer, (size_t)got);
        }
        if (result == 0 && a.result != -ENOENT)
            result = a.result;
    }
    return result;
}

static int note_generation(void *ctx, const struct nlmsghdr *m)
{
    const struct nlattr *a[NFTA_GEN_ID + 1];
    nft_attributes(m, a, NFTA_GEN_ID);
    if (!nft_attribute_is(a[NFTA_GEN_ID], 4))
        return -EBADMSG;
    *(uint32_t *)ctx = ntohl(mnl_attr_get_u32(a[NFTA_GEN_ID]));
    return 0;
}

int nft_generation(struct nft_socket *s, uint32_t *out)
{
    char buffer[NFT_REQUEST_BYTES];
    return nft_ask(s, nft_request(s, NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN, AF_UNSPEC, 0, buffer), note_generation, out);
}

/* -- batches ----------------------------------------------------------------------------------------------------- */

static struct nlmsghdr *add_header(struct nft_batch *b, uint16_t type, uint16_t flags, uint8_t family, uint16_t resource)
{
    if (b->capacity - b->len < 2 * NFT_MESSAGE_BYTES_MAX) {
        b->capacity = 2 * b->capacity + 2 * NFT_MESSAGE_BYTES_MAX;
        b->data = xrealloc(b->data, b->capacity);
    }
    struct nlmsghdr *m = mnl_nlmsg_put_header(b->data + b->len);
    m->nlmsg_type = type;
    m->nlmsg_flags = NLM_F_REQUEST | flags;
    m->nlmsg_seq = ++b->sequence;
    struct nfgenmsg *head = mnl_nlmsg_put_extra_header(m, sizeof(*head));
    *head = (struct nfgenmsg){.nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(resource)};
    return m;
}

void nft_batch_init(struct nft_batch *b)
{
    *b = (struct nft_batch){0};
    b->len = add_header(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES)->nlmsg_len;
}

void nft_batch_deinit(struct nft_batch *b)
{
    free(b->data);
    *b = (struct nft_batch){0};
}

struct nlmsghdr *nft_batch_message(struct nft_batch *b, uint16_t type, uint16_t flags)
{
    CHECK(b->open == NULL);
    b->open = add_header(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, NFPROTO_INET, 0);
    return b->open;
}

void nft_batch_end_message(struct nft_batch *b)
{
    CHECK(b->open != NULL && b->open->nlmsg_len <= 2 * NFT_MESSAGE_BYTES_MAX - 64);
    b->len += NLMSG_ALIGN(b->open->nlmsg_len);
    b->open = NULL;
}

/* What a message of a batch is about: "map vip4", "chain spare". */
static void name_object(const struct nft_batch *b, uint32_t sequence, struct err *err, int result)
{
    static const struct {
        uint16_t type, attribute;
        const char *kind;
    } kinds[] = {{NFT_MSG_NEWTABLE, NFTA_TABLE_NAME, "table"},
                 {NFT_MSG_DELTABLE, NFTA_TABLE_NAME, "table"},
                 {NFT_MSG_NEWCHAIN, NFTA_CHAIN_NAME, "chain"},
                 {NFT_MSG_NEWRULE, NFTA_RULE_CHAIN, "a rule of chain"},
                 {NFT_MSG_NEWSET, NFTA_SET_NAME, "map"},
                 {NFT_MSG_NEWOBJ, NFTA_OBJ_NAME, "object"},
                 {NFT_MSG_NEWSETELEM, NFTA_SET_ELEM_LIST_SET, "new elements of map"},
                 {NFT_MSG_DELSETELEM, NFTA_SET_ELEM_LIST_SET, "old elements of map"}};
    int left = (int)b->len;
    for (const struct nlmsghdr *m = (const void *)b->data; nft_message_ok(m, left); m = mnl_nlmsg_next(m, &left))
        for (size_t i = 0; m->nlmsg_seq == sequence && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
            const struct nlattr *a[NFTA_OBJ_NAME + 1];
            if (m->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | kinds[i].type))
                continue;
            nft_attributes(m, a, NFTA_OBJ_NAME);
            (void)err_sys(err, result, "nf_tables: %s %s", kinds[i].kind, mnl_attr_get_str(a[kinds[i].attribute]));
            return;
        }
    (void)err_sys(err, result, "nf_tables: transaction");
}

static void make_room(struct nft_socket *s, size_t len)
{
    int fd = mnl_socket_get_fd(s->link), bytes = len > INT32_MAX / 4 ? INT32_MAX / 4 : (int)len;
    bytes += (int)BATCH_OVERHEAD;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)); /* sending tells if that is too little */
}

int nft_batch_send(struct nft_socket *s, struct nft_batch *b, bool is_trial, struct err *err)
{
    int result = 0;
    size_t len = b->len;
    CHECK(b->open == NULL);
    if (!is_trial) /* a batch without its end is checked and given up */
        len += add_header(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES)->nlmsg_len;
    make_room(s, len);
    if (mnl_socket_sendto(s->link, b->data, len) < 0) {
        result = -errno;
        return result == -EMSGSIZE
                   ? err_set(err, result,
                             "nf_tables: a transaction of %zu bytes is more than this process may send at once "
                             "(net.core.wmem_max)",
                             len)
                   : err_sys(err, result, "nf_tables: transaction");
    }
    for (;;) { /* no news is good news: the kernel has answered before sending returned */
        ssize_t got = nft_receive(s, MSG_DONTWAIT);
        if (got < 0)
            return got == -EAGAIN ? result : result < 0 ? result : err_sys(err, (int)got, "nf_tables: answer");
        int left = (int)got;
        for (const struct nlmsghdr *m = (const void *)s->answer; nft_message_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
            const struct nlmsgerr *e = mnl_nlmsg_get_payload(m);
            if (m->nlmsg_type != NLMSG_ERROR || mnl_nlmsg_get_payload_len(m) < sizeof(*e) || e->error == 0 || result < 0)
                continue;
            result = e->error;
            name_object(b, e->msg.nlmsg_seq, err, result);
        }
    }
}
