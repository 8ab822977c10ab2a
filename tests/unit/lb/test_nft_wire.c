/* SPDX-License-Identifier: Apache-2.0
 * test_nft_wire.c - answers over netlink, from bytes: what ends them, what is an error, and that they are read to their
 * end. Then the same with the kernel as the one who answers. */
#include <linux/netlink.h>

#include "tests/unit/lb/nft_world.h"

#define REQUEST_SEQUENCE 7u

/* Datagrams as the kernel makes them. */
struct bytes {
    _Alignas(4) uint8_t data[512];
    size_t len;
};

static void put(struct bytes *b, uint16_t type, uint16_t flags, uint32_t sequence, const void *payload, size_t len)
{
    struct nlmsghdr *m = (void *)(b->data + b->len);
    *m = (struct nlmsghdr){
        .nlmsg_len = (uint32_t)NLMSG_LENGTH(len), .nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = sequence};
    memcpy(NLMSG_DATA(m), payload, len);
    b->len += NLMSG_ALIGN(m->nlmsg_len);
}

static void put_item(struct bytes *b, uint16_t flags, uint32_t sequence)
{
    static const struct nfgenmsg head;
    put(b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM, NLM_F_MULTI | flags, sequence, &head, sizeof(head));
}

static void put_done(struct bytes *b, uint16_t flags, int32_t number)
{
    put(b, NLMSG_DONE, NLM_F_MULTI | flags, REQUEST_SEQUENCE, &number, sizeof(number));
}

static void put_error(struct bytes *b, int error)
{
    const struct nlmsgerr e = {.error = error};
    put(b, NLMSG_ERROR, 0, REQUEST_SEQUENCE, &e, sizeof(e));
}

struct seen {
    int items, give_up_at;
};

static int see(void *ctx, const struct nlmsghdr *m)
{
    struct seen *s = ctx;
    assert_int_equal(m->nlmsg_type, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM);
    return ++s->items == s->give_up_at ? -EDOM : 0;
}

static const struct nlmsghdr listing = {.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = REQUEST_SEQUENCE};
static const struct nlmsghdr change = {.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK, .nlmsg_seq = REQUEST_SEQUENCE};
static const struct nlmsghdr question = {.nlmsg_flags = NLM_F_REQUEST, .nlmsg_seq = REQUEST_SEQUENCE};

static struct nft_answer take(struct nft_answer a, const struct bytes *b)
{
    nft_answer_take(&a, b->data, b->len);
    return a;
}

static void test_a_listing(void **state)
{
    struct seen seen = {0};
    struct bytes first = {0}, second = {0}, last = {0};
    (void)state;
    put_item(&first, 0, REQUEST_SEQUENCE);
    put_item(&first, 0, REQUEST_SEQUENCE);
    put_item(&first, 0, REQUEST_SEQUENCE - 1); /* of a request before */
    put_item(&second, 0, REQUEST_SEQUENCE);
    put_done(&last, 0, 0);
    struct nft_answer a = take((struct nft_answer){.request = &listing, .each = see, .ctx = &seen}, &first);
    a = take(a, &second);
    assert_false(a.is_over);
    assert_int_equal(seen.items, 3);
    a = take(a, &last);
    assert_true(a.is_over);
    assert_int_equal(a.result, 0);
    a = take(a, &second); /* whatever comes behind is not this one's */
    assert_int_equal(seen.items, 3);
}

/* The mark is on some message in the middle; what follows belongs to this answer still. */
static void test_a_listing_that_changed_meanwhile(void **state)
{
    struct seen seen = {0};
    struct bytes first = {0}, last = {0}, only = {0};
    (void)state;
    put_item(&first, NLM_F_DUMP_INTR, REQUEST_SEQUENCE);
    put_item(&first, 0, REQUEST_SEQUENCE);
    put_done(&last, 0, 0);
    struct nft_answer a = take((struct nft_answer){.request = &listing, .each = see, .ctx = &seen}, &first);
    assert_false(a.is_over);
    assert_int_equal(a.result, -EINTR);
    assert_int_equal(seen.items, 1);
    a = take(a, &last);
    assert_true(a.is_over);
    assert_int_equal(a.result, -EINTR);
    put_done(&only, NLM_F_DUMP_INTR, 0); /* on the end */
    a = take((struct nft_answer){.request = &listing, .each = see, .ctx = &seen}, &only);
    assert_true(a.is_over);
    assert_int_equal(a.result, -EINTR);
}

static void test_an_error_at_the_end(void **state)
{
    struct seen seen = {0};
    struct bytes b = {0}, no_number = {0}, positive = {0};
    (void)state;
    put_item(&b, 0, REQUEST_SEQUENCE);
    put_done(&b, 0, -EMSGSIZE);
    struct nft_answer a = take((struct nft_answer){.request = &listing, .each = see, .ctx = &seen}, &b);
    assert_true(a.is_over);
    assert_int_equal(a.result, -EMSGSIZE);
    put(&no_number, NLMSG_DONE, NLM_F_MULTI, REQUEST_SEQUENCE, "", 0);
    a = take((struct nft_answer){.request = &listing}, &no_number);
    assert_true(a.is_over);
    assert_int_equal(a.result, 0);
    put_done(&positive, 0, 5); /* is a length */
    assert_int_equal(take((struct nft_answer){.request = &listing}, &positive).result, 0);
}

static void test_giving_up(void **state)
{
    struct seen seen = {.give_up_at = 2};
    struct bytes b = {0}, last = {0};
    (void)state;
    for (int i = 0; i < 4; i++)
        put_item(&b, 0, REQUEST_SEQUENCE);
    put_done(&last, 0, -EIO);
    struct nft_answer a = take((struct nft_answer){.request = &listing, .each = see, .ctx = &seen}, &b);
    assert_false(a.is_over);
    assert_int_equal(seen.items, 2);
    a = take(a, &last);
    assert_true(a.is_over);
    assert_int_equal(a.result, -EDOM); /* the first one */
}

static void test_single_answers(void **state)
{
    struct seen seen = {0};
    struct bytes item = {0}, ack = {0}, error = {0}, both = {0}, cut = {0};
    (void)state;
    put_item(&item, 0, REQUEST_SEQUENCE);
    put_error(&ack, 0);
    put_error(&error, -ENOENT);
    struct nft_answer a = take((struct nft_answer){.request = &question, .each = see, .ctx = &seen}, &item);
    assert_true(a.is_over);
    assert_int_equal(seen.items, 1);
    a = take((struct nft_answer){.request = &question, .each = see, .ctx = &seen}, &error);
    assert_true(a.is_over);
    assert_int_equal(a.result, -ENOENT);
    put_item(&both, 0, REQUEST_SEQUENCE);
    put_error(&both, 0);
    a = take((struct nft_answer){.request = &change}, &both);
    assert_true(a.is_over);
    assert_int_equal(a.result, 0);
    a = take((struct nft_answer){.request = &change}, &item);
    assert_false(a.is_over); /* the acknowledgement is to come */
    put(&cut, NLMSG_ERROR, 0, REQUEST_SEQUENCE, "x", 1);
    a = take((struct nft_answer){.request = &change}, &cut);
    assert_true(a.is_over);
    assert_int_equal(a.result, -EBADMSG);
}

/* Any bytes: nothing is read beyond them. */
static void test_cut_datagrams(void **state)
{
    struct bytes b = {0};
    (void)state;
    put_item(&b, 0, REQUEST_SEQUENCE);
    put_error(&b, -EPERM);
    put_done(&b, 0, -EPERM);
    for (size_t len = 0; len <= b.len; len++) {
        struct seen seen = {0};
        uint8_t *copy = malloc(len + 1);
        memcpy(copy, b.data, len);
        struct nft_answer a = {.request = &listing, .each = see, .ctx = &seen};
        nft_answer_take(&a, copy, len);
        free(copy);
    }
    for (size_t at = 0; at < b.len; at++)
        for (unsigned value = 0; value < 256; value += 51) {
            struct seen seen = {.give_up_at = -1};
            uint8_t *copy = malloc(b.len);
            memcpy(copy, b.data, b.len);
            copy[at] = (uint8_t)value;
            struct nft_answer a = {.request = &listing, .ctx = &seen};
            nft_answer_take(&a, copy, b.len);
            free(copy);
        }
}

static int stop_at_once(void *ctx, const struct nlmsghdr *m)
{
    (void)m;
    ++*(int *)ctx;
    return -EDOM;
}

/* A long listing that is given up at its first element: the socket is good for the next, which the kernel would refuse
 * while another is under way. */
static void test_the_kernel_is_read_to_the_end(void **state)
{
    struct nft_socket s;
    struct nft_batch b;
    uint32_t generation = 0;
    struct err err = {0};
    (void)state;
    if (!enter_namespace())
        return;
    assert_int_equal(nft_socket_open(&s, &err), 0);
    nft_batch_init(&b);
    nft_rules_put(&b, "muster_t", 0);
    assert_int_equal(nft_batch_send(&s, &b, false, &err), 0);
    nft_batch_deinit(&b);
    for (int i = 0; i < 3; i++) {
        char buffer[NFT_REQUEST_BYTES];
        int calls = 0;
        struct nlmsghdr *q = nft_request(&s, NFNL_SUBSYS_NFTABLES, NFT_MSG_GETRULE, NFPROTO_INET, NLM_F_DUMP, buffer);
        assert_int_equal(nft_ask(&s, q, stop_at_once, &calls), -EDOM);
        assert_int_equal(calls, 1);
        assert_int_equal(nft_generation(&s, &generation), 0);
    }
    nft_socket_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_listing),
        cmocka_unit_test(test_a_listing_that_changed_meanwhile),
        cmocka_unit_test(test_an_error_at_the_end),
        cmocka_unit_test(test_giving_up),
        cmocka_unit_test(test_single_answers),
        cmocka_unit_test(test_cut_datagrams),
        cmocka_unit_test(test_the_kernel_is_read_to_the_end),
    };
    return cmocka_run_group_tests_name("nft_wire", tests, NULL, NULL);
}
