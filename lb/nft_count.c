/* SPDX-License-Identifier: Apache-2.0
 * nft_count.c - see nft_count.h. */
#include "lb/nft_count.h"

#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "lb/nft_key.h"
#include "lb/nft_rules.h"

#define REMOVAL_BYTES (50u << 10) /* of one message; an element has at most 60 */
#define REQUESTS_AT_ONCE 16u      /* their answers wait in the socket, which has room for some forty */
#define PAIR_REQUEST_BYTES 192u   /* with the table's name */

/* -- sums of one VIP --------------------------------------------------------------------------------------------- */

void nft_tallies_deinit(struct nft_tallies *t)
{
    free(t->items);
    *t = (struct nft_tallies){0};
}

/* Where it is, or where it belongs. */
static size_t place_of(const struct nft_tallies *t, const struct lb_endpoint *backend)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (lb_endpoint_compare(&t->items[middle].backend, backend) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct nft_tally *find(const struct nft_tallies *t, const struct lb_endpoint *backend)
{
    size_t at = place_of(t, backend);
    return at < t->count && lb_endpoint_compare(&t->items[at].backend, backend) == 0 ? &t->items[at] : NULL;
}

static struct nft_tally *add(struct nft_tallies *t, const struct lb_endpoint *backend)
{
    size_t at = place_of(t, backend);
    if (t->count == t->capacity) {
        t->capacity = 2 * t->capacity + 4;
        t->items = xrealloc(t->items, t->capacity * sizeof(t->items[0]));
    }
    memmove(&t->items[at + 1], &t->items[at], (t->count++ - at) * sizeof(t->items[0]));
    t->items[at] = (struct nft_tally){.backend = *backend};
    return &t->items[at];
}

void nft_tallies_note(struct nft_tallies *t, const struct lb_endpoint *backend, uint64_t value)
{
    struct nft_tally *tally = backend->port == 0 ? &t->refused : find(t, backend);
    if (tally == NULL && value == 0)
        return;
    if (tally == NULL)
        tally = add(t, backend);
    if (value < tally->now)
        tally->before += tally->now;
    tally->now = value;
}

static void restart(struct nft_tally *tally)
{
    tally->before += tally->now;
    tally->now = 0;
}

void nft_tallies_restart(struct nft_tallies *t)
{
    restart(&t->refused);
    for (size_t i = 0; i < t->count; i++)
        restart(&t->items[i]);
}

void nft_tallies_remove(struct nft_tallies *t, const struct lb_endpoint *backend)
{
    struct nft_tally *tally = find(t, backend);
    if (tally == NULL)
        return;
    t->left += tally->before + tally->now;
    t->count--;
    memmove(tally, tally + 1, (size_t)(t->items + t->count - tally) * sizeof(*tally));
}

uint64_t nft_tallies_of(const struct nft_tallies *t, const struct lb_endpoint *backend)
{
    const struct nft_tally *tally = find(t, backend);
    return tally != NULL ? tally->before + tally->now : 0;
}

uint64_t nft_tallies_sum(const struct nft_tallies *t)
{
    uint64_t sum = t->left;
    for (size_t i = 0; i < t->count; i++)
        sum += t->items[i].before + t->items[i].now;
    return sum;
}

uint64_t nft_tallies_refused(const struct nft_tallies *t)
{
    return t->refused.before + t->refused.now;
}

/* -- the kernel's counters --------------------------------------------------------------------------------------- */

static void put_pair(struct nlmsghdr *m, const struct nft_pair *pair)
{
    uint8_t bytes[NFT_KEY_BYTES_MAX];
    size_t len = nft_put_vip(bytes, &pair->vip);
    len += nft_put_backend(bytes + len, &pair->backend);
    struct nlattr *element = mnl_attr_nest_start(m, NFTA_LIST_ELEM), *key = mnl_attr_nest_start(m, NFTA_SET_ELEM_KEY);
    mnl_attr_put(m, NFTA_DATA_VALUE, len, bytes);
    mnl_attr_nest_end(m, key);
    mnl_attr_nest_end(m, element);
}

static struct nlattr *begin_list(struct nlmsghdr *m, const char *table, bool is_ipv6)
{
    mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, table);
    mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, nft_count_names[is_ipv6]);
    return mnl_attr_nest_start(m, NFTA_SET_ELEM_LIST_ELEMENTS);
}

int nft_counts_are_there(struct nft_socket *s, const char *table)
{
    char buffer[NFT_REQUEST_BYTES];
    struct nlmsghdr *q = nft_request(s, NFNL_SUBSYS_NFTABLES, NFT_MSG_GETSET, NFPROTO_INET, 0, buffer);
    mnl_attr_put_strz(q, NFTA_SET_TABLE, table);
    mnl_attr_put_strz(q, NFTA_SET_NAME, nft_count_names[0]);
    int result = nft_ask(s, q, NULL, NULL);
    return result == -ENOENT ? 0 : result < 0 ? result : 1;
}

static int take_count(void *ctx, const struct nlmsghdr *m)
{
    struct nft_pair *pair = ctx;
    const struct nlattr *top[NFTA_SET_ELEM_LIST_ELEMENTS + 1], *list[NFTA_LIST_ELEM + 1], *a[NFTA_SET_ELEM_EXPR + 1];
    const struct nlattr *expression[NFTA_EXPR_DATA + 1], *counter[NFTA_COUNTER_PACKETS + 1];
    nft_attributes(m, top, NFTA_SET_ELEM_LIST_ELEMENTS);
    nft_nested(top[NFTA_SET_ELEM_LIST_ELEMENTS], list, NFTA_LIST_ELEM);
    nft_nested(list[NFTA_LIST_ELEM], a, NFTA_SET_ELEM_EXPR);
    nft_nested(a[NFTA_SET_ELEM_EXPR], expression, NFTA_EXPR_DATA);
    nft_nested(expression[NFTA_EXPR_DATA], counter, NFTA_COUNTER_PACKETS);
    if (!nft_attribute_says(expression[NFTA_EXPR_NAME], "counter") || !nft_attribute_is(counter[NFTA_COUNTER_PACKETS], 8))
        return 0; /* put there by somebody else */
    pair->is_counted = true;
    pair->connections = be64toh(mnl_attr_get_u64(counter[NFTA_COUNTER_PACKETS]));
    return 0;
}

int nft_counts_read(struct nft_socket *s, const char *table, struct nft_pair *pairs, size_t count)
{
    char buffer[REQUESTS_AT_ONCE * PAIR_REQUEST_BYTES];
    for (size_t i = 0; i < count;) {
        size_t len = 0, first = i;
        for (; i < count && i < first + REQUESTS_AT_ONCE; i++) {
            struct nlmsghdr *q = nft_request(s, NFNL_SUBSYS_NFTABLES, NFT_MSG_GETSETELEM, NFPROTO_INET, 0, buffer + len);
            struct nlattr *list = begin_list(q, table, pairs[i].vip.is_ipv6);
            put_pair(q, &pairs[i]);
            mnl_attr_nest_end(q, list);
            len += NLMSG_ALIGN(q->nlmsg_len);
            pairs[i].is_counted = false;
            pairs[i].connections = 0;
        }
        int result = nft_ask_many(s, buffer, len, i - first, take_count, &pairs[first], sizeof(pairs[0]));
        if (result < 0)
            return result;
    }
    return 0;
}

static int compare_pairs(const void *a, const void *b)
{
    const struct nft_pair *x = a, *y = b;
    int families = x->vip.is_ipv6 - y->vip.is_ipv6, vips = lb_endpoint_compare(&x->vip, &y->vip);
    return families != 0 ? families : vips != 0 ? vips : lb_endpoint_compare(&x->backend, &y->backend);
}

size_t nft_counts_put_removal(struct nft_batch *b, const char *table, struct nft_pair *pairs, size_t count)
{
    size_t removed = 0;
    struct nlmsghdr *m = NULL;
    struct nlattr *list = NULL;
    unsigned is_ipv6 = 0; /* the open message's */
    if (count > 0)        /* there is no array then, and qsort wants one */
        qsort(pairs, count, sizeof(pairs[0]), compare_pairs);
    for (size_t i = 0; i < count; i++) {
        if (!pairs[i].is_counted || (i > 0 && compare_pairs(&pairs[i - 1], &pairs[i]) == 0))
            continue;
        if (m != NULL && (is_ipv6 != pairs[i].vip.is_ipv6 || m->nlmsg_len > REMOVAL_BYTES)) {
            mnl_attr_nest_end(m, list);
            nft_batch_end_message(b);
            m = NULL;
        }
        if (m == NULL) {
            m = nft_batch_message(b, NFT_MSG_DELSETELEM, 0);
            is_ipv6 = pairs[i].vip.is_ipv6;
            list = begin_list(m, table, is_ipv6);
        }
        put_pair(m, &pairs[i]);
        removed++;
    }
    if (m != NULL) {
        mnl_attr_nest_end(m, list);
        nft_batch_end_message(b);
    }
    return removed;
}
