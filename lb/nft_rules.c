/* SPDX-License-Identifier: Apache-2.0
 * nft_rules.c - see nft_rules.h. Numbers in netlink attributes are big-endian, those in registers as the kernel has them.
 */
#include "lb/nft_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_arp.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink_cttimeout.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"

/* Types as `nft list` shows them; the kernel does not look at them. */
enum { TYPE_IPV4 = 7, TYPE_IPV6 = 8, TYPE_PROTOCOL = 12, TYPE_SERVICE = 13, TYPE_MARK = 19 };
#define TYPE2(a, b) ((uint32_t)(a) << 6 | (b))
#define TYPE3(a, b, c) (TYPE2(a, b) << 6 | (c))
#define TYPE4(a, b, c, d) (TYPE3(a, b, c) << 6 | (d))
#define TYPE5(a, b, c, d, e) (TYPE4(a, b, c, d) << 6 | (e))

#define PRIORITY_BEFORE_DSTNAT (-101)
#define PRIORITY_BEFORE_SRCNAT 99
#define DIRECTION_NONE IP_CT_DIR_MAX
#define UDP_TIMEOUT "udp"
#define CHAIN_NAME_SIZE 24
#define UDP_STATE_UNREPLIED 1 /* CTA_TIMEOUT_UDP_UNREPLIED and _REPLIED */
#define UDP_STATE_REPLIED 2

const char *const nft_map_names[NFT_MAPS] = {"vip4", "vip6", "slot4", "slot6"};

static const struct {
    uint32_t key_type, key_len, data_type, data_len;
} maps[NFT_MAPS] = {
    {TYPE3(TYPE_IPV4, TYPE_PROTOCOL, TYPE_SERVICE), 12, TYPE2(TYPE_MARK, TYPE_MARK), 8},
    {TYPE3(TYPE_IPV6, TYPE_PROTOCOL, TYPE_SERVICE), 24, TYPE2(TYPE_MARK, TYPE_MARK), 8},
    {TYPE4(TYPE_IPV4, TYPE_PROTOCOL, TYPE_SERVICE, TYPE_MARK), 16, TYPE2(TYPE_IPV4, TYPE_SERVICE), 8},
    {TYPE4(TYPE_IPV6, TYPE_PROTOCOL, TYPE_SERVICE, TYPE_MARK), 28, TYPE2(TYPE_IPV6, TYPE_SERVICE), 20},
};

const char *const nft_count_names[2] = {"count4", "count6"};

/* Pairs of a VIP and a back end that one machine can count: what comes beyond is served and not counted. The kernel has a
 * table of 16 bytes for each from the beginning. */
static const struct {
    uint32_t key_type, key_len, size;
} counts[2] = {
    {TYPE5(TYPE_IPV4, TYPE_PROTOCOL, TYPE_SERVICE, TYPE_IPV4, TYPE_SERVICE), 20, NFT_COUNTS_MAX},
    {TYPE5(TYPE_IPV6, TYPE_PROTOCOL, TYPE_SERVICE, TYPE_IPV6, TYPE_SERVICE), 44, NFT_COUNTS_MAX / 2},
};

/* -- expressions ------------------------------------------------------------------------------------------------- */

/* Register n of four bytes. A group of four has a name of its own, which is what the kernel lists. */
static uint32_t reg(unsigned n)
{
    return htonl(n % 4 == 0 ? NFT_REG_1 + n / 4 : NFT_REG32_00 + n);
}

static void put_number(struct nlmsghdr *m, uint16_t type, uint32_t value)
{
    mnl_attr_put_u32(m, type, htonl(value));
}

struct expression {
    struct nlattr *element, *data;
};

static struct expression begin(struct nlmsghdr *m, const char *name)
{
    struct expression e = {.element = mnl_attr_nest_start(m, NFTA_LIST_ELEM)};
    mnl_attr_put_strz(m, NFTA_EXPR_NAME, name);
    e.data = mnl_attr_nest_start(m, NFTA_EXPR_DATA);
    return e;
}

static void end(struct nlmsghdr *m, struct expression e)
{
    mnl_attr_nest_end(m, e.data);
    mnl_attr_nest_end(m, e.element);
}

static void put_value(struct nlmsghdr *m, uint16_t type, const void *value, size_t len)
{
    struct nlattr *nest = mnl_attr_nest_start(m, type);
    mnl_attr_put(m, NFTA_DATA_VALUE, len, value);
    mnl_attr_nest_end(m, nest);
}

static void put_meta(struct nlmsghdr *m, uint32_t key, unsigned to)
{
    struct expression e = begin(m, "meta");
    put_number(m, NFTA_META_KEY, key);
    mnl_attr_put_u32(m, NFTA_META_DREG, reg(to));
    end(m, e);
}

static void put_compare(struct nlmsghdr *m, unsigned from, enum nft_cmp_ops op, const void *value, size_t len)
{
    struct expression e = begin(m, "cmp");
    mnl_attr_put_u32(m, NFTA_CMP_SREG, reg(from));
    put_number(m, NFTA_CMP_OP, op);
    put_value(m, NFTA_CMP_DATA, value, len);
    end(m, e);
}

static void put_payload(struct nlmsghdr *m, uint32_t base, uint32_t offset, uint32_t len, unsigned to)
{
    struct expression e = begin(m, "payload");
    mnl_attr_put_u32(m, NFTA_PAYLOAD_DREG, reg(to));
    put_number(m, NFTA_PAYLOAD_BASE, base);
    put_number(m, NFTA_PAYLOAD_OFFSET, offset);
    put_number(m, NFTA_PAYLOAD_LEN, len);
    end(m, e);
}

static void put_lookup(struct nlmsghdr *m, const char *map, unsigned from, uint32_t to)
{
    struct expression e = begin(m, "lookup");
    mnl_attr_put_strz(m, NFTA_LOOKUP_SET, map);
    mnl_attr_put_u32(m, NFTA_LOOKUP_SREG, reg(from));
    mnl_attr_put_u32(m, NFTA_LOOKUP_DREG, to);
    end(m, e);
}

static void put_random(struct nlmsghdr *m, uint32_t below, unsigned to)
{
    struct expression e = begin(m, "numgen");
    mnl_attr_put_u32(m, NFTA_NG_DREG, reg(to));
    put_number(m, NFTA_NG_MODULUS, below);
    put_number(m, NFTA_NG_TYPE, NFT_NG_RANDOM);
    end(m, e);
}

static void put_zeros(struct nlmsghdr *m, size_t len, unsigned to)
{
    static const uint8_t zeros[16];
    struct expression e = begin(m, "immediate");
    mnl_attr_put_u32(m, NFTA_IMMEDIATE_DREG, reg(to));
    put_value(m, NFTA_IMMEDIATE_DATA, zeros, len);
    end(m, e);
}

static void put_verdict_data(struct nlmsghdr *m, uint16_t type, int32_t code, const char *chain)
{
    struct nlattr *data = mnl_attr_nest_start(m, type), *verdict = mnl_attr_nest_start(m, NFTA_DATA_VERDICT);
    put_number(m, NFTA_VERDICT_CODE, (uint32_t)code);
    if (chain != NULL)
        mnl_attr_put_strz(m, NFTA_VERDICT_CHAIN, chain);
    mnl_attr_nest_end(m, verdict);
    mnl_attr_nest_end(m, data);
}

static void put_verdict(struct nlmsghdr *m, int32_t code, const char *chain)
{
    struct expression e = begin(m, "immediate");
    put_number(m, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    put_verdict_data(m, NFTA_IMMEDIATE_DATA, code, chain);
    end(m, e);
}

static void put_dnat(struct nlmsghdr *m, bool is_ipv6, unsigned address, unsigned port)
{
    struct expression e = begin(m, "nat");
    put_number(m, NFTA_NAT_TYPE, NFT_NAT_DNAT);
    put_number(m, NFTA_NAT_FAMILY, is_ipv6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
    mnl_attr_put_u32(m, NFTA_NAT_REG_ADDR_MIN, reg(address));
    mnl_attr_put_u32(m, NFTA_NAT_REG_PROTO_MIN, reg(port));
    end(m, e);
}

static void put_ct(struct nlmsghdr *m, uint32_t key, uint8_t direction, unsigned to)
{
    struct expression e = begin(m, "ct");
    put_number(m, NFTA_CT_KEY, key);
    mnl_attr_put_u32(m, NFTA_CT_DREG, reg(to));
    if (direction != DIRECTION_NONE)
        mnl_attr_put_u8(m, NFTA_CT_DIRECTION, direction);
    end(m, e);
}

static void put_has_bits(struct nlmsghdr *m, unsigned at, uint32_t bits)
{
    static const uint32_t zero;
    struct expression e = begin(m, "bitwise");
    mnl_attr_put_u32(m, NFTA_BITWISE_SREG, reg(at));
    mnl_attr_put_u32(m, NFTA_BITWISE_DREG, reg(at));
    put_number(m, NFTA_BITWISE_LEN, sizeof(bits));
    put_value(m, NFTA_BITWISE_MASK, &bits, sizeof(bits));
    put_value(m, NFTA_BITWISE_XOR, &zero, sizeof(zero));
    end(m, e);
    put_compare(m, at, NFT_CMP_NEQ, &zero, sizeof(zero));
}

static void put_reject(struct nlmsghdr *m, bool is_tcp)
{
    struct expression e = begin(m, "reject");
    put_number(m, NFTA_REJECT_TYPE, is_tcp ? NFT_REJECT_TCP_RST : NFT_REJECT_ICMPX_UNREACH);
    if (!is_tcp)
        mnl_attr_put_u8(m, NFTA_REJECT_ICMP_CODE, NFT_REJECT_ICMPX_PORT_UNREACH);
    end(m, e);
}

static void put_udp_timeout(struct nlmsghdr *m)
{
    struct expression e = begin(m, "objref");
    put_number(m, NFTA_OBJREF_IMM_TYPE, NFT_OBJECT_CT_TIMEOUT);
    mnl_attr_put_strz(m, NFTA_OBJREF_IMM_NAME, UDP_TIMEOUT);
    end(m, e);
}

/* Counts under the key from register 0 on, which is put into the set when it comes for the first time. If there is no room,
 * the rule ends here and the next one comes: it is the last expression of a rule that does nothing else. */
static void put_count(struct nlmsghdr *m, const char *set)
{
    struct expression e = begin(m, "dynset");
    mnl_attr_put_strz(m, NFTA_DYNSET_SET_NAME, set);
    put_number(m, NFTA_DYNSET_OP, NFT_DYNSET_OP_ADD);
    mnl_attr_put_u32(m, NFTA_DYNSET_SREG_KEY, reg(0));
    struct nlattr *counter = mnl_attr_nest_start(m, NFTA_DYNSET_EXPR);
    mnl_attr_put_strz(m, NFTA_EXPR_NAME, "counter");
    mnl_attr_nest_end(m, counter);
    end(m, e);
}

static void put_family(struct nlmsghdr *m, bool is_ipv6)
{
    uint8_t family = is_ipv6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
    put_meta(m, NFT_META_NFPROTO, 0);
    put_compare(m, 0, NFT_CMP_EQ, &family, sizeof(family));
}

/* -- rules ------------------------------------------------------------------------------------------------------- */

struct rules {
    struct nft_batch *batch;
    const char *table;
    bool has_udp_timeout;
    struct nlmsghdr *open;
    struct nlattr *expressions;
};

static struct nlmsghdr *begin_rule(struct rules *r, const char *chain)
{
    r->open = nft_batch_message(r->batch, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    mnl_attr_put_strz(r->open, NFTA_RULE_TABLE, r->table);
    mnl_attr_put_strz(r->open, NFTA_RULE_CHAIN, chain);
    r->expressions = mnl_attr_nest_start(r->open, NFTA_RULE_EXPRESSIONS);
    return r->open;
}

static void end_rule(struct rules *r)
{
    mnl_attr_nest_end(r->open, r->expressions);
    nft_batch_end_message(r->batch);
}

/* Address, protocol and port of the packet from register 0 on; the register behind them. */
static unsigned put_key(struct nlmsghdr *m, bool is_ipv6)
{
    unsigned next = is_ipv6 ? 4 : 1;
    put_payload(m, NFT_PAYLOAD_NETWORK_HEADER, is_ipv6 ? 24 : 16, is_ipv6 ? 16 : 4, 0);
    put_meta(m, NFT_META_L4PROTO, next);
    put_payload(m, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, next + 1);
    return next + 2;
}

/* The loopback range belongs to this machine alone. The kernel drops what comes for it from elsewhere, but looks only when
 * the packet has been through here, and then it is for somebody else. */
static void add_guard(struct rules *r, const char *chain, bool is_ipv6)
{
    static const uint16_t loopback = ARPHRD_LOOPBACK;
    static const uint8_t four[1] = {127}, six[16] = {[15] = 1};
    struct nlmsghdr *m = begin_rule(r, chain);
    put_meta(m, NFT_META_IIFTYPE, 0);
    put_compare(m, 0, NFT_CMP_NEQ, &loopback, sizeof(loopback));
    put_family(m, is_ipv6);
    put_payload(m, NFT_PAYLOAD_NETWORK_HEADER, is_ipv6 ? 24 : 16, is_ipv6 ? sizeof(six) : sizeof(four), 0);
    put_compare(m, 0, NFT_CMP_EQ, is_ipv6 ? six : four, is_ipv6 ? sizeof(six) : sizeof(four));
    put_verdict(m, NFT_RETURN, NULL);
    end_rule(r);
}

/* The class is the second word of what the VIP's entry says, and that register gets a value of its own before: nft 1.0.6
 * would fail an assertion on listing a lookup with the first word of another one's result, whoever lists. It shows this
 * rule as one that looks up the packet's mark, which it does not. */
static void add_dispatch(struct rules *r, const char *chain, bool is_ipv6)
{
    struct nlmsghdr *m = begin_rule(r, chain);
    put_family(m, is_ipv6);
    unsigned found = put_key(m, is_ipv6), class = found + 1;
    put_meta(m, NFT_META_MARK, class);
    put_lookup(m, nft_map_names[is_ipv6 ? NFT_VIP6 : NFT_VIP4], 0, reg(found));
    put_lookup(m, "class", class, htonl(NFT_REG_VERDICT));
    end_rule(r);
}

/* slots 0: slot 0 always. */
static void add_draw(struct rules *r, const char *chain, bool is_ipv6, uint32_t slots)
{
    struct nlmsghdr *m = begin_rule(r, chain);
    put_family(m, is_ipv6);
    unsigned slot = put_key(m, is_ipv6), found = 8;
    if (slots > 1)
        put_random(m, slots, slot);
    else
        put_zeros(m, 4, slot);
    put_lookup(m, nft_map_names[is_ipv6 ? NFT_SLOT6 : NFT_SLOT4], 0, reg(found));
    if (r->has_udp_timeout)
        put_udp_timeout(m);
    put_dnat(m, is_ipv6, found, found + (is_ipv6 ? 4 : 1));
    end_rule(r);
}

static void add_refusal(struct rules *r, const char *chain)
{
    static const uint8_t tcp = IPPROTO_TCP;
    for (unsigned is_ipv6 = 0; is_ipv6 < 2; is_ipv6++) { /* counted under the back end zero */
        struct nlmsghdr *m = begin_rule(r, chain);
        put_family(m, is_ipv6);
        unsigned backend = put_key(m, is_ipv6);
        put_zeros(m, is_ipv6 ? 16 : 4, backend);
        put_zeros(m, 2, backend + (is_ipv6 ? 4 : 1));
        put_count(m, nft_count_names[is_ipv6]);
        end_rule(r);
    }
    struct nlmsghdr *m = begin_rule(r, chain);
    put_meta(m, NFT_META_L4PROTO, 0);
    put_compare(m, 0, NFT_CMP_EQ, &tcp, sizeof(tcp));
    put_reject(m, true);
    end_rule(r);
    put_reject(begin_rule(r, chain), false);
    end_rule(r);
}

/* Where the client had sent to, from register 0 on; the register behind. */
static unsigned put_original_key(struct nlmsghdr *m, bool is_ipv6)
{
    unsigned next = is_ipv6 ? 4 : 1;
    put_ct(m, is_ipv6 ? NFT_CT_DST_IP6 : NFT_CT_DST_IP, IP_CT_DIR_ORIGINAL, 0);
    put_meta(m, NFT_META_L4PROTO, next);
    put_ct(m, NFT_CT_PROTO_DST, IP_CT_DIR_ORIGINAL, next + 1);
    return next + 2;
}

/* A connection that we have led somewhere goes to a chain. */
static void add_led(struct rules *r, const char *chain, bool is_ipv6, const char *to)
{
    struct nlmsghdr *m = begin_rule(r, chain);
    put_family(m, is_ipv6);
    put_ct(m, NFT_CT_STATUS, DIRECTION_NONE, 0);
    put_has_bits(m, 0, IPS_DST_NAT);
    unsigned found = put_original_key(m, is_ipv6);
    put_lookup(m, nft_map_names[is_ipv6 ? NFT_VIP6 : NFT_VIP4], 0, reg(found));
    put_verdict(m, NFT_JUMP, to);
    end_rule(r);
}

/* By what the connection has become, not by what was wanted. */
static void add_count(struct rules *r, const char *chain, bool is_ipv6)
{
    struct nlmsghdr *m = begin_rule(r, chain);
    put_family(m, is_ipv6);
    unsigned backend = put_original_key(m, is_ipv6);
    put_ct(m, is_ipv6 ? NFT_CT_SRC_IP6 : NFT_CT_SRC_IP, IP_CT_DIR_REPLY, backend);
    put_ct(m, NFT_CT_PROTO_SRC, IP_CT_DIR_REPLY, backend + (is_ipv6 ? 4 : 1));
    put_count(m, nft_count_names[is_ipv6]);
    end_rule(r);
}

/* What stays on this machine comes back without help. */
static void add_masquerade(struct rules *r, const char *chain)
{
    static const uint16_t loopback = ARPHRD_LOOPBACK;
    struct nlmsghdr *m = begin_rule(r, chain);
    put_meta(m, NFT_META_OIFTYPE, 0);
    put_compare(m, 0, NFT_CMP_EQ, &loopback, sizeof(loopback));
    put_verdict(m, NFT_RETURN, NULL);
    end_rule(r);
    m = begin_rule(r, chain);
    end(m, begin(m, "masq"));
    end_rule(r);
}

/* -- chains, maps ------------------------------------------------------------------------------------------------ */

static void chain_name(uint32_t class, char out[CHAIN_NAME_SIZE])
{
    if (class == 0)
        (void)snprintf(out, CHAIN_NAME_SIZE, "refuse");
    else
        (void)snprintf(out, CHAIN_NAME_SIZE, "slots_%u", class); /* at most 65536 */
}

static void add_table(struct nft_batch *b, const char *table, uint16_t type, uint16_t flags)
{
    struct nlmsghdr *m = nft_batch_message(b, type, flags);
    mnl_attr_put_strz(m, NFTA_TABLE_NAME, table);
    nft_batch_end_message(b);
}

static void add_chain(struct rules *r, const char *name)
{
    struct nlmsghdr *m = nft_batch_message(r->batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    mnl_attr_put_strz(m, NFTA_CHAIN_TABLE, r->table);
    mnl_attr_put_strz(m, NFTA_CHAIN_NAME, name);
    nft_batch_end_message(r->batch);
}

static void add_base_chain(struct rules *r, const char *name, uint32_t hook, int32_t priority)
{
    struct nlmsghdr *m = nft_batch_message(r->batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    mnl_attr_put_strz(m, NFTA_CHAIN_TABLE, r->table);
    mnl_attr_put_strz(m, NFTA_CHAIN_NAME, name);
    struct nlattr *nest = mnl_attr_nest_start(m, NFTA_CHAIN_HOOK);
    put_number(m, NFTA_HOOK_HOOKNUM, hook);
    put_number(m, NFTA_HOOK_PRIORITY, (uint32_t)priority);
    mnl_attr_nest_end(m, nest);
    put_number(m, NFTA_CHAIN_POLICY, NF_ACCEPT);
    mnl_attr_put_strz(m, NFTA_CHAIN_TYPE, "nat");
    nft_batch_end_message(r->batch);
}

static void add_map(struct rules *r, uint32_t id, const char *name, uint32_t key_type, uint32_t key_len, uint32_t data_type,
                    uint32_t data_len)
{
    struct nlmsghdr *m = nft_batch_message(r->batch, NFT_MSG_NEWSET, NLM_F_CREATE);
    mnl_attr_put_strz(m, NFTA_SET_TABLE, r->table);
    mnl_attr_put_strz(m, NFTA_SET_NAME, name);
    put_number(m, NFTA_SET_FLAGS, NFT_SET_MAP);
    put_number(m, NFTA_SET_KEY_TYPE, key_type);
    put_number(m, NFTA_SET_KEY_LEN, key_len);
    put_number(m, NFTA_SET_DATA_TYPE, data_type);
    if (data_len > 0)
        put_number(m, NFTA_SET_DATA_LEN, data_len);
    put_number(m, NFTA_SET_ID, id); /* of the transaction, not listed */
    nft_batch_end_message(r->batch);
}

static void add_counts(struct rules *r, uint32_t id, bool is_ipv6)
{
    struct nlmsghdr *m = nft_batch_message(r->batch, NFT_MSG_NEWSET, NLM_F_CREATE);
    mnl_attr_put_strz(m, NFTA_SET_TABLE, r->table);
    mnl_attr_put_strz(m, NFTA_SET_NAME, nft_count_names[is_ipv6]);
    put_number(m, NFTA_SET_FLAGS, NFT_SET_EVAL);
    put_number(m, NFTA_SET_KEY_TYPE, counts[is_ipv6].key_type);
    put_number(m, NFTA_SET_KEY_LEN, counts[is_ipv6].key_len);
    put_number(m, NFTA_SET_ID, id);
    struct nlattr *description = mnl_attr_nest_start(m, NFTA_SET_DESC);
    put_number(m, NFTA_SET_DESC_SIZE, counts[is_ipv6].size);
    mnl_attr_nest_end(m, description);
    nft_batch_end_message(r->batch);
}

static void add_classes(struct rules *r)
{
    struct nlmsghdr *m = nft_batch_message(r->batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
    mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, r->table);
    mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, "class");
    struct nlattr *list = mnl_attr_nest_start(m, NFTA_SET_ELEM_LIST_ELEMENTS);
    for (unsigned i = 0; i <= NFT_CLASSES; i++) {
        char name[CHAIN_NAME_SIZE];
        uint32_t class = i == 0 ? 0 : nft_class_slots(i - 1);
        struct nlattr *element = mnl_attr_nest_start(m, NFTA_LIST_ELEM);
        chain_name(class, name);
        put_value(m, NFTA_SET_ELEM_KEY, &class, sizeof(class));
        put_verdict_data(m, NFTA_SET_ELEM_DATA, NFT_JUMP, name);
        mnl_attr_nest_end(m, element);
    }
    mnl_attr_nest_end(m, list);
    nft_batch_end_message(r->batch);
}

static void add_udp_timeout(struct rules *r, int64_t ms)
{
    uint32_t seconds = (uint32_t)((ms + 999) / 1000);
    struct nlmsghdr *m = nft_batch_message(r->batch, NFT_MSG_NEWOBJ, NLM_F_CREATE);
    mnl_attr_put_strz(m, NFTA_OBJ_TABLE, r->table);
    mnl_attr_put_strz(m, NFTA_OBJ_NAME, UDP_TIMEOUT);
    put_number(m, NFTA_OBJ_TYPE, NFT_OBJECT_CT_TIMEOUT);
    struct nlattr *data = mnl_attr_nest_start(m, NFTA_OBJ_DATA);
    mnl_attr_put_u16(m, NFTA_CT_TIMEOUT_L3PROTO, htons(NFPROTO_INET));
    mnl_attr_put_u8(m, NFTA_CT_TIMEOUT_L4PROTO, IPPROTO_UDP);
    struct nlattr *states = mnl_attr_nest_start(m, NFTA_CT_TIMEOUT_DATA);
    put_number(m, UDP_STATE_UNREPLIED, seconds);
    put_number(m, UDP_STATE_REPLIED, seconds);
    mnl_attr_nest_end(m, states);
    mnl_attr_nest_end(m, data);
    nft_batch_end_message(r->batch);
}

/* In the order that the kernel lists them in: rules by the order of their chains. */
static void add_rules(struct rules *r)
{
    char name[CHAIN_NAME_SIZE];
    add_refusal(r, "refuse");
    add_count(r, "count", false);
    add_count(r, "count", true);
    put_verdict(begin_rule(r, "led"), NFT_JUMP, "count");
    end_rule(r);
    add_masquerade(r, "led");
    add_draw(r, "spare", false, 0);
    add_draw(r, "spare", true, 0);
    put_verdict(begin_rule(r, "spare"), NFT_GOTO, "refuse");
    end_rule(r);
    for (unsigned i = 0; i < NFT_CLASSES; i++) {
        chain_name(nft_class_slots(i), name);
        add_draw(r, name, false, nft_class_slots(i));
        add_draw(r, name, true, nft_class_slots(i));
        put_verdict(begin_rule(r, name), NFT_GOTO, "spare");
        end_rule(r);
    }
    add_guard(r, "prerouting", false);
    add_guard(r, "prerouting", true);
    add_dispatch(r, "prerouting", false);
    add_dispatch(r, "prerouting", true);
    add_dispatch(r, "output", false);
    add_dispatch(r, "output", true);
    add_led(r, "input", false, "count");
    add_led(r, "input", true, "count");
    add_led(r, "postrouting", false, "led");
    add_led(r, "postrouting", true, "led");
}

static void put_contents(struct nft_batch *b, const char *table, int64_t udp_timeout_ms)
{
    struct rules r = {.batch = b, .table = table, .has_udp_timeout = udp_timeout_ms > 0};
    char name[CHAIN_NAME_SIZE];
    for (unsigned i = 0; i < NFT_MAPS; i++)
        add_map(&r, i + 1, nft_map_names[i], maps[i].key_type, maps[i].key_len, maps[i].data_type, maps[i].data_len);
    add_map(&r, NFT_MAPS + 1, "class", TYPE_MARK, 4, NFT_DATA_VERDICT, 0);
    add_counts(&r, NFT_MAPS + 2, false);
    add_counts(&r, NFT_MAPS + 3, true);
    if (r.has_udp_timeout)
        add_udp_timeout(&r, udp_timeout_ms);
    add_chain(&r, "refuse");
    add_chain(&r, "count");
    add_chain(&r, "led");
    add_chain(&r, "spare");
    for (unsigned i = 0; i < NFT_CLASSES; i++) {
        chain_name(nft_class_slots(i), name);
        add_chain(&r, name);
    }
    add_base_chain(&r, "prerouting", NF_INET_PRE_ROUTING, PRIORITY_BEFORE_DSTNAT);
    add_base_chain(&r, "output", NF_INET_LOCAL_OUT, PRIORITY_BEFORE_DSTNAT);
    add_base_chain(&r, "input", NF_INET_LOCAL_IN, PRIORITY_BEFORE_SRCNAT);
    add_base_chain(&r, "postrouting", NF_INET_POST_ROUTING, PRIORITY_BEFORE_SRCNAT);
    add_classes(&r);
    add_rules(&r);
}

void nft_rules_put_removal(struct nft_batch *b, const char *table)
{
    add_table(b, table, NFT_MSG_NEWTABLE, NLM_F_CREATE); /* so that it is there to be removed */
    add_table(b, table, NFT_MSG_DELTABLE, 0);
}

void nft_rules_put(struct nft_batch *b, const char *table, int64_t udp_timeout_ms)
{
    nft_rules_put_removal(b, table);
    add_table(b, table, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    put_contents(b, table, udp_timeout_ms);
}

/* -- checking ---------------------------------------------------------------------------------------------------- */

/* The nth attribute of this type in a run of them. */
static const struct nlattr *find(const void *in, size_t len, uint16_t type, unsigned nth)
{
    for (const struct nlattr *a = in; mnl_attr_ok(a, (int)((const char *)in + len - (const char *)a)); a = mnl_attr_next(a))
        if (mnl_attr_get_type(a) == type && nth-- == 0)
            return a;
    return NULL;
}

/* Whether everything that we had asked for is there, and no list has more. The kernel adds attributes of its own. Our nests
 * say that they are nests; they are four deep. left_out: a type that is not listed, or 0. */
static bool covers(const void *wanted, size_t wanted_len, const void *found, size_t found_len, uint16_t left_out)
{
    unsigned nth = 0; /* of a list's elements */
    const char *end = (const char *)wanted + wanted_len;
    for (const struct nlattr *a = wanted; mnl_attr_ok(a, (int)(end - (const char *)a)); a = mnl_attr_next(a)) {
        uint16_t type = mnl_attr_get_type(a);
        if (type == left_out)
            continue;
        const struct nlattr *b = find(found, found_len, type, type == NFTA_LIST_ELEM ? nth++ : 0);
        if (b == NULL)
            return false;
        size_t a_len = mnl_attr_get_payload_len(a), b_len = mnl_attr_get_payload_len(b);
        bool same = a->nla_type & NLA_F_NESTED
                        ? covers(mnl_attr_get_payload(a), a_len, mnl_attr_get_payload(b), b_len, 0)
                        : a_len == b_len && memcmp(mnl_attr_get_payload(a), mnl_attr_get_payload(b), a_len) == 0;
        if (!same)
            return false;
    }
    return find(found, found_len, NFTA_LIST_ELEM, nth) == NULL;
}

struct check {
    const struct nft_batch *wanted;
    const struct nlmsghdr *at;
    int left;
    const char *table;
    unsigned classes;
    bool differs;
};

static const struct nlmsghdr *next_wanted(struct check *c, uint16_t type)
{
    while (nft_message_ok(c->at, c->left)) {
        const struct nlmsghdr *m = c->at;
        c->at = mnl_nlmsg_next(m, &c->left);
        if (m->nlmsg_type == type)
            return m;
    }
    return NULL;
}

/* Listings come in the order of creation, so each object is compared with the next one that we would create. */
static int compare_next(void *ctx, const struct nlmsghdr *m)
{
    struct check *c = ctx;
    const struct nlattr *table[NFTA_TABLE_NAME + 1]; /* the first attribute of all objects */
    nft_attributes(m, table, NFTA_TABLE_NAME);
    if (!nft_attribute_says(table[NFTA_TABLE_NAME], c->table))
        return 0;
    const struct nlmsghdr *wanted = next_wanted(c, m->nlmsg_type);
    c->differs |=
        wanted == NULL || !covers(mnl_nlmsg_get_payload_offset(wanted, sizeof(struct nfgenmsg)),
                                  mnl_nlmsg_get_payload_len(wanted) - sizeof(struct nfgenmsg),
                                  mnl_nlmsg_get_payload_offset(m, sizeof(struct nfgenmsg)),
                                  mnl_nlmsg_get_payload_len(m) - sizeof(struct nfgenmsg),
                                  m->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSET) ? NFTA_SET_ID : 0);
    return 0;
}

static int check_objects(struct nft_socket *s, struct check *c, uint16_t get, uint16_t new)
{
    char buffer[NFT_REQUEST_BYTES];
    c->at = (const void *)c->wanted->data;
    c->left = (int)c->wanted->len;
    struct nlmsghdr *q = nft_request(s, NFNL_SUBSYS_NFTABLES, get, NFPROTO_INET, NLM_F_DUMP, buffer);
    int result = nft_ask(s, q, compare_next, c);
    c->differs |= result == 0 && next_wanted(c, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | new)) != NULL;
    return result;
}

static int note_class(void *ctx, const struct nlmsghdr *m)
{
    struct check *c = ctx;
    const struct nlattr *top[NFTA_SET_ELEM_LIST_ELEMENTS + 1], *e;
    nft_attributes(m, top, NFTA_SET_ELEM_LIST_ELEMENTS);
    if (top[NFTA_SET_ELEM_LIST_ELEMENTS] == NULL)
        return 0;
    mnl_attr_for_each_nested(e, top[NFTA_SET_ELEM_LIST_ELEMENTS])
    {
        const struct nlattr *a[NFTA_SET_ELEM_DATA + 1], *value[NFTA_DATA_VERDICT + 1], *verdict[NFTA_VERDICT_CHAIN + 1];
        uint32_t class;
        char name[CHAIN_NAME_SIZE];
        nft_nested(e, a, NFTA_SET_ELEM_DATA);
        nft_nested(a[NFTA_SET_ELEM_KEY], value, NFTA_DATA_VALUE);
        c->differs |= !nft_attribute_is(value[NFTA_DATA_VALUE], sizeof(class));
        if (c->differs)
            return 0;
        memcpy(&class, mnl_attr_get_payload(value[NFTA_DATA_VALUE]), sizeof(class));
        chain_name(class, name);
        nft_nested(a[NFTA_SET_ELEM_DATA], value, NFTA_DATA_VERDICT);
        nft_nested(value[NFTA_DATA_VERDICT], verdict, NFTA_VERDICT_CHAIN);
        c->differs |= !nft_attribute_says(verdict[NFTA_VERDICT_CHAIN], name);
        c->classes++;
    }
    return 0;
}

static int check_classes(struct nft_socket *s, struct check *c)
{
    char buffer[NFT_REQUEST_BYTES];
    struct nlmsghdr *q = nft_request(s, NFNL_SUBSYS_NFTABLES, NFT_MSG_GETSETELEM, NFPROTO_INET, NLM_F_DUMP, buffer);
    mnl_attr_put_strz(q, NFTA_SET_ELEM_LIST_TABLE, c->table);
    mnl_attr_put_strz(q, NFTA_SET_ELEM_LIST_SET, "class");
    int result = nft_ask(s, q, note_class, c);
    c->differs |= result == 0 && c->classes != NFT_CLASSES + 1; /* a key is there once */
    return result;
}

int nft_rules_check(struct nft_socket *s, const char *table, int64_t udp_timeout_ms, struct err *err)
{
    struct nft_batch wanted;
    struct check c = {.wanted = &wanted, .table = table};
    nft_batch_init(&wanted);
    put_contents(&wanted, table, udp_timeout_ms);
    int result = check_objects(s, &c, NFT_MSG_GETSET, NFT_MSG_NEWSET);
    if (result == 0 && !c.differs)
        result = check_objects(s, &c, NFT_MSG_GETOBJ, NFT_MSG_NEWOBJ);
    if (result == 0 && !c.differs)
        result = check_objects(s, &c, NFT_MSG_GETCHAIN, NFT_MSG_NEWCHAIN);
    if (result == 0 && !c.differs)
        result = check_objects(s, &c, NFT_MSG_GETRULE, NFT_MSG_NEWRULE);
    if (result == 0 && !c.differs)
        result = check_classes(s, &c);
    nft_batch_deinit(&wanted);
    if (result == -ENOENT)
        return 0; /* went away meanwhile */
    return result < 0 ? err_sys(err, result, "nf_tables: table %s cannot be listed", table) : !c.differs;
}
