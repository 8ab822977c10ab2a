/* SPDX-License-Identifier: Apache-2.0
 * test_nft_count.c - numbers of connections on the kernel-NAT plane: the sums alone, then what the real kernel counts. */
#include "lb/nft_count.h"
#include "lb/nft_key.h"
#include "tests/unit/lb/nft_world.h"

/* -- keys, sums -------------------------------------------------------------------------------------------------- */

static void test_keys(void **state)
{
    const struct lb_endpoint all[] = {endpoint(LB_TCP, "1.2.3.4", 80), endpoint(LB_UDP, "255.0.0.1", 65535),
                                      endpoint(LB_TCP, "fd01:c::1", 1), endpoint(LB_UDP, "::", 53)};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        uint8_t key[NFT_KEY_BYTES_MAX];
        struct lb_endpoint vip, backend;
        size_t len = nft_put_vip(key, &all[i]);
        assert_int_equal(len, nft_vip_bytes(all[i].is_ipv6));
        assert_true(nft_get_vip(key, all[i].is_ipv6, &vip));
        assert_memory_equal(&vip, &all[i], sizeof(vip));
        for (size_t at = len - 8; at < len; at++) { /* another protocol, and bytes that must be zero */
            if (at == len - 4 || at == len - 3)
                continue;
            key[at] ^= 0x80;
            assert_false(nft_get_vip(key, all[i].is_ipv6, &vip));
            key[at] ^= 0x80;
        }
        assert_int_equal(nft_put_backend(key, &all[i]), nft_backend_bytes(all[i].is_ipv6));
        assert_true(nft_get_backend(key, all[i].is_ipv6, &backend));
        backend.protocol = all[i].protocol;
        assert_memory_equal(&backend, &all[i], sizeof(backend));
        key[nft_backend_bytes(all[i].is_ipv6) - 1] = 1;
        assert_false(nft_get_backend(key, all[i].is_ipv6, &backend));
    }
}

static void test_sums_go_on(void **state)
{
    struct nft_tallies t = {0};
    struct lb_endpoint b[3] = {endpoint(LB_TCP, "10.0.0.2", 1), endpoint(LB_TCP, "10.0.0.1", 2),
                               endpoint(LB_TCP, "10.0.0.1", 1)};
    const struct lb_endpoint none = {0};
    (void)state;
    assert_int_equal(nft_tallies_sum(&t), 0);
    assert_int_equal(nft_tallies_of(&t, &b[0]), 0);
    for (uint64_t i = 0; i < 3; i++)
        nft_tallies_note(&t, &b[i], 10 + i);
    nft_tallies_note(&t, &none, 5);
    nft_tallies_note(&t, &(struct lb_endpoint){.port = 9}, 0);
    assert_int_equal(t.count, 3); /* nothing is kept of those that never got anything */
    assert_int_equal(nft_tallies_sum(&t), 33);
    assert_int_equal(nft_tallies_refused(&t), 5);
    nft_tallies_note(&t, &b[1], 15); /* grew by four */
    nft_tallies_note(&t, &b[2], 3);  /* began anew */
    assert_int_equal(nft_tallies_of(&t, &b[1]), 15);
    assert_int_equal(nft_tallies_of(&t, &b[2]), 15);
    nft_tallies_restart(&t); /* a new counter that is at once beyond the old one must not be taken for it */
    nft_tallies_note(&t, &b[0], 100);
    nft_tallies_note(&t, &none, 1);
    assert_int_equal(nft_tallies_of(&t, &b[0]), 110);
    assert_int_equal(nft_tallies_refused(&t), 6);
    assert_int_equal(nft_tallies_sum(&t), 140);
    nft_tallies_remove(&t, &b[1]);
    nft_tallies_remove(&t, &b[1]); /* is not there any more */
    assert_int_equal(nft_tallies_of(&t, &b[1]), 0);
    assert_int_equal(nft_tallies_sum(&t), 140);
    nft_tallies_deinit(&t);
}

/* -- the kernel -------------------------------------------------------------------------------------------------- */

static int count_elements(void *ctx, const struct nlmsghdr *m)
{
    const struct nlattr *a[NFTA_SET_ELEM_LIST_ELEMENTS + 1], *e;
    nft_attributes(m, a, NFTA_SET_ELEM_LIST_ELEMENTS);
    if (a[NFTA_SET_ELEM_LIST_ELEMENTS] != NULL)
        mnl_attr_for_each_nested(e, a[NFTA_SET_ELEM_LIST_ELEMENTS])++ *(size_t *)ctx;
    return 0;
}

static size_t pairs_in_kernel(void)
{
    struct nft_socket s;
    size_t count = 0;
    assert_int_equal(nft_socket_open(&s, NULL), 0);
    for (int i = 0; i < 2; i++) {
        char buffer[NFT_REQUEST_BYTES];
        struct nlmsghdr *q = nft_request(&s, NFNL_SUBSYS_NFTABLES, NFT_MSG_GETSETELEM, NFPROTO_INET, NLM_F_DUMP, buffer);
        mnl_attr_put_strz(q, NFTA_SET_ELEM_LIST_TABLE, "muster_t");
        mnl_attr_put_strz(q, NFTA_SET_ELEM_LIST_SET, nft_count_names[i]);
        assert_int_equal(nft_ask(&s, q, count_elements, &count), 0);
    }
    nft_socket_close(&s);
    return count;
}

static void counting_works(const char *vip_ip, const char *backend_ip)
{
    struct servers s;
    struct numbers n;
    uint64_t hits[3] = {0};
    struct lb_plane *p = open_plane("t");
    struct lb_routes *routes = vip_routes();
    struct lb_endpoint vip = endpoint(LB_TCP, vip_ip, 80), other = endpoint(LB_TCP, vip_ip, 81);
    start_servers(&s, LB_TCP, backend_ip, 3);
    apply_one(p, &vip, &s);
    apply_one(p, &other, &s);
    for (int i = 0; i < 40; i++)
        hits[connect_through(&vip, &s, NULL, NULL)]++;        /* each with several packets */
    (void)connect_through(&s.backends[0].at, &s, NULL, NULL); /* past the VIP */
    (void)connect_through(&other, &s, NULL, NULL);
    n = read_numbers(p, &vip);
    assert_int_equal(n.vip.connections, 40);
    assert_int_equal(n.vip.failures, 0);
    assert_int_equal(n.count, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(connections_of(&n, &s.backends[i].at), hits[i]);
    assert_int_equal(read_numbers(p, &other).vip.connections, 1);
    s.backends[2].is_draining = true; /* is the VIP's still */
    apply_one(p, &vip, &s);
    n = read_numbers(p, &vip);
    assert_int_equal(connections_of(&n, &s.backends[2].at), hits[2]);
    s.count = 2; /* now it is not; the VIP's number stays, and nothing stays in the kernel */
    size_t before = pairs_in_kernel();
    apply_one(p, &vip, &s);
    n = read_numbers(p, &vip);
    assert_int_equal(n.vip.connections, 40);
    assert_int_equal(connections_of(&n, &s.backends[2].at), UINT64_MAX);
    assert_int_equal(pairs_in_kernel(), before - 1);
    assert_int_equal(p->ops->repair(p, NULL), 0);
    s.count = 3; /* it comes again, as a new one */
    s.backends[0].is_draining = s.backends[1].is_draining = true;
    s.backends[2].is_draining = false;
    apply_one(p, &vip, &s);
    assert_int_equal(connect_through(&vip, &s, NULL, NULL), 2);
    n = read_numbers(p, &vip);
    assert_int_equal(n.vip.connections, 41);
    assert_int_equal(connections_of(&n, &s.backends[2].at), 1);
    s.backends[2].is_draining = true;
    apply_one(p, &vip, &s);
    for (int i = 0; i < 3; i++)
        assert_int_equal(open_socket(&vip, false), -ECONNREFUSED);
    n = read_numbers(p, &vip);
    assert_int_equal(n.vip.connections, 41);
    assert_int_equal(n.vip.failures, 3);
    remove_one(p, &vip);
    assert_int_equal(pairs_in_kernel(), 1);
    assert_int_equal(read_numbers(p, &other).vip.connections, 1);
    stop_servers(&s);
    p->ops->close(p, true);
    (void)lb_routes_free(routes, true);
}

static void test_counting(void **state)
{
    (void)state;
    if (enter_namespace())
        counting_works("11.0.0.1", "127.0.0.1");
}

static void test_counting_ipv6(void **state)
{
    (void)state;
    if (enter_namespace())
        counting_works("fd01:c::1", "::1");
}

/* A flow is one, however many packets it has. */
static void test_udp_flows(void **state)
{
    struct servers s;
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_plane *p = open_plane("t");
    struct lb_routes *routes = vip_routes();
    struct lb_endpoint vip = endpoint(LB_UDP, "11.0.0.2", 53);
    start_servers(&s, LB_UDP, "127.0.0.1", 1);
    apply_one(p, &vip, &s);
    (void)advance_all(p);
    for (int i = 0; i < 3; i++) {
        int client = open_socket(&vip, false);
        for (int k = 0; k < 5; k++)
            (void)exchange_udp(client, &s);
        close(client);
    }
    struct numbers n = read_numbers(p, &vip);
    assert_int_equal(n.vip.connections, 3);
    assert_int_equal(connections_of(&n, &s.backends[0].at), 3);
    stop_servers(&s);
    p->ops->close(p, true);
    (void)lb_routes_free(routes, true);
}

/* The kernel's counters go with the table; a reload by us loses nothing, one by others what was not read yet. */
static void test_reloads(void **state)
{
    struct servers s;
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_plane *p = open_plane("t");
    struct lb_routes *routes = vip_routes();
    struct lb_endpoint vip = endpoint(LB_TCP, "11.0.0.1", 80);
    start_servers(&s, LB_TCP, "127.0.0.1", 1);
    apply_one(p, &vip, &s);
    for (int i = 0; i < 5; i++)
        (void)connect_through(&vip, &s, NULL, NULL);
    meddle("muster_t", "class"); /* the table is made anew, and nobody had asked for the numbers */
    assert_true(p->ops->repair(p, NULL) > 0);
    assert_int_equal(pairs_in_kernel(), 0);
    for (int i = 0; i < 7; i++) /* more than before, so that it cannot be told by the number */
        (void)connect_through(&vip, &s, NULL, NULL);
    assert_int_equal(read_numbers(p, &vip).vip.connections, 12);
    meddle("muster_t", NULL);
    assert_true(p->ops->repair(p, NULL) > 0);
    (void)connect_through(&vip, &s, NULL, NULL);
    struct numbers n = read_numbers(p, &vip);
    assert_int_equal(n.vip.connections, 13);
    assert_int_equal(connections_of(&n, &s.backends[0].at), 13);
    (void)connect_through(&vip, &s, NULL, NULL);
    assert_int_equal(read_numbers(p, &vip).vip.connections, 14);
    meddle("muster_t", "count4"); /* somebody takes only the counters */
    (void)p->ops->repair(p, NULL);
    (void)connect_through(&vip, &s, NULL, NULL);
    assert_int_equal(read_numbers(p, &vip).vip.connections, 15);
    p->ops->close(p, false); /* an lb that takes over goes on with what is in the kernel */
    p = open_plane("t");
    apply_one(p, &vip, &s);
    assert_int_equal(read_numbers(p, &vip).vip.connections, 1);
    stop_servers(&s);
    p->ops->close(p, true);
    (void)lb_routes_free(routes, true);
}

/* Fills the set with pairs of a VIP that nobody has. */
static void fill_counts(size_t count)
{
    struct nft_socket s;
    struct nft_batch b;
    struct err err = {0};
    struct lb_endpoint vip = endpoint(LB_TCP, "11.9.9.9", 80);
    nft_batch_init(&b);
    for (uint32_t i = 0; i < count;) {
        struct nlmsghdr *m = nft_batch_message(&b, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
        mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, "muster_t");
        mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, "count4");
        struct nlattr *list = mnl_attr_nest_start(m, NFTA_SET_ELEM_LIST_ELEMENTS);
        for (uint32_t end = i + 400; i < count && i < end; i++) {
            uint8_t key[NFT_KEY_BYTES_MAX];
            struct lb_endpoint backend = lb_endpoint_of_ipv4(LB_TCP, 0x0a000000 + i, 80);
            size_t len = nft_put_vip(key, &vip);
            len += nft_put_backend(key + len, &backend);
            struct nlattr *e = mnl_attr_nest_start(m, NFTA_LIST_ELEM), *k = mnl_attr_nest_start(m, NFTA_SET_ELEM_KEY);
            mnl_attr_put(m, NFTA_DATA_VALUE, len, key);
            mnl_attr_nest_end(m, k);
            k = mnl_attr_nest_start(m, NFTA_SET_ELEM_EXPR);
            mnl_attr_put_strz(m, NFTA_EXPR_NAME, "counter");
            mnl_attr_nest_end(m, k);
            mnl_attr_nest_end(m, e);
        }
        mnl_attr_nest_end(m, list);
        nft_batch_end_message(&b);
    }
    assert_int_equal(nft_socket_open(&s, &err), 0);
    if (nft_batch_send(&s, &b, false, &err) < 0)
        fail_msg("%s", err.text);
    nft_batch_deinit(&b);
    nft_socket_close(&s);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Connections go where they should, also when there is no room to count them. Reading costs no more than before. */
static void test_no_room_to_count(void **state)
{
    struct servers s;
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_plane *p = open_plane("t");
    struct lb_routes *routes = vip_routes();
    struct lb_endpoint vip = endpoint(LB_TCP, "11.0.0.1", 80), other = endpoint(LB_TCP, "11.0.0.1", 81);
    start_servers(&s, LB_TCP, "127.0.0.1", 1);
    apply_one(p, &vip, &s);
    apply_one(p, &other, &s);
    (void)connect_through(&other, &s, NULL, NULL);
    fill_counts(NFT_COUNTS_MAX - 1);
    for (int i = 0; i < 5; i++)
        (void)connect_through(&vip, &s, NULL, NULL);
    (void)connect_through(&other, &s, NULL, NULL);
    double started = now_ms();
    assert_int_equal(read_numbers(p, &vip).vip.connections, 0);
    assert_int_equal(read_numbers(p, &other).vip.connections, 2);
    printf("reading of two VIPs out of a full set: %.2f ms\n", now_ms() - started);
    remove_one(p, &other); /* makes room */
    (void)connect_through(&vip, &s, NULL, NULL);
    assert_int_equal(read_numbers(p, &vip).vip.connections, 1);
    stop_servers(&s);
    p->ops->close(p, true);
    (void)lb_routes_free(routes, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_sums_go_on),
        cmocka_unit_test(test_counting),
        cmocka_unit_test(test_counting_ipv6),
        cmocka_unit_test(test_udp_flows),
        cmocka_unit_test(test_reloads),
        cmocka_unit_test(test_no_room_to_count),
    };
    return cmocka_run_group_tests_name("nft_count", tests, NULL, NULL);
}
