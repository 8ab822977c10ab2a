/* SPDX-License-Identifier: Apache-2.0
 * test_vip_name.c - labels, hashes and the set of named addresses (values: facts net-cron B.3, C.3). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "common/base/rng.h"
#include "common/base/sha1.h"
#include "common/base/vip_name.h"

static void test_sha1__known_digests(void **state)
{
    static const struct {
        const char *text, *hex;
    } rows[] = {{"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
                {"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
                {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1"}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t digest[SHA1_BYTES];
        char hex[41];
        sha1(rows[i].text, strlen(rows[i].text), digest);
        for (unsigned b = 0; b < SHA1_BYTES; b++)
            (void)snprintf(hex + 2 * b, 3, "%02x", digest[b]);
        assert_string_equal(hex, rows[i].hex);
    }
}

static void test_vip_label__rules(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {{"89fdgsf---gs7-fgs--d7fddg---123", "89fdgsf---gs7-fgs--d7fddg---123"},
                {"-4abc123", "4abc123"},
                {"0-0", "0-0"},
                {"a.b", "a-b"},
                {"/group/App_1", "groupapp-1"},
                {"---", ""},
                {"abc-", "abc"},
                /* 61 letters, then dashes across the cut: letters that come later take their place */
                {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa--b--c--d",
                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabc"}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[VIP_LABEL_MAX + 1];
        assert_int_equal(vip_label(rows[i].in, strlen(rows[i].in), out), strlen(rows[i].out));
        assert_string_equal(out, rows[i].out);
    }
}

static void test_vip_name_clean__label_and_framework(void **state)
{
    static const struct {
        const char *label, *framework, *out;
    } rows[] = {{"/foo", "marathon", "foo.marathon"},
                {"/api.hello-world", "marathon", "api.hello-world.marathon"},
                {"/group/app", "marathon", "groupapp.marathon"},
                {"/foo", "prod/hdfs", "foo.prodhdfs"}};
    char out[VIP_NAME_MAX + 1];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(vip_name_clean(rows[i].label, rows[i].framework, out), 0);
        assert_string_equal(out, rows[i].out);
    }
    assert_int_equal(vip_name_clean("/", "marathon", out), -EINVAL);
}

static void test_vip_value_parse__forms(void **state)
{
    struct vip_value v;
    unsigned index;
    (void)state;
    assert_int_equal(vip_value_parse("/foo:80", &v), 0);
    assert_false(v.is_ip);
    assert_int_equal(v.port, 80);
    assert_int_equal(v.name_len, 4);
    assert_int_equal(vip_value_parse("1.2.3.4:5000", &v), 0);
    assert_true(v.is_ip && !v.is_ipv6);
    assert_int_equal(vip_value_parse("fd01:c::1:80", &v), 0); /* split at the last colon */
    assert_true(v.is_ip && v.is_ipv6);
    assert_int_equal(v.port, 80);
    static const char *const bad[] = {"", ":", "foo", "foo:", ":80", "foo:0", "foo:65536", "foo:-1", "foo:8x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(vip_value_parse(bad[i], &v), -EINVAL);
    assert_true(vip_is_port_label("VIP_0") && vip_is_port_label("VIPfoo") && vip_is_port_label("vip_1"));
    assert_false(vip_is_port_label("Vip_0"));
    assert_true(vip_is_task_label("VIP_PORT3", &index));
    assert_int_equal(index, 3);
    assert_false(vip_is_task_label("VIP_PORT", &index));
    assert_false(vip_is_task_label("VIP_PORT-1", &index));
}

static uint32_t ip4(const char *text)
{
    struct in_addr a;
    assert_int_equal(inet_pton(AF_INET, text, &a), 1);
    return ntohl(a.s_addr);
}

static void test_vip_address__known_names(void **state)
{
    static const struct {
        const char *name;
        uint32_t hash;
        const char *small, *code, *configured;
    } rows[] = {{"foo.bar", 0x458a3a57, "11.0.0.37", "11.138.58.225", "11.138.58.156"},
                {"baz.qux", 0x945f407d, "11.0.0.39", "11.95.65.165", "11.95.65.17"},
                {"web.marathon", 0xcee123f3, "11.0.0.67", "11.225.37.143", "11.225.36.193"},
                {"nginx.marathon", 0x1b7f371b, "11.0.0.99", "11.127.55.81", "11.127.55.54"},
                {"api.hello-world.marathon", 0xe22e0631, "11.0.0.21", "11.46.7.245", "11.46.7.19"},
                {"a.b", 0xa0c5d157, "11.0.0.33", "11.197.210.151", "11.197.209.247"}};
    struct vip_range small, code;
    (void)state;
    assert_int_equal(vip_range_parse("11.0.0.0-11.0.0.254", &small), 0);
    assert_int_equal(vip_range_parse("11.0.0.0-11.255.255.254", &code), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(vip_phash2(rows[i].name, strlen(rows[i].name)), rows[i].hash);
        assert_int_equal(vip_name_address4(rows[i].name, small), ip4(rows[i].small));
        assert_int_equal(vip_name_address4(rows[i].name, code), ip4(rows[i].code));
        assert_int_equal(vip_name_address4(rows[i].name, VIP_RANGE_CLUSTER), ip4(rows[i].configured));
    }
    static const char *const six[][2] = {{"qux.ipv6", "fd01:c::6d6d:9c64:fd19:f251"},
                                         {"web.marathon", "fd01:c::cb8:74fe:906b:dee"},
                                         {"foo.bar", "fd01:c::6d7:a93:e041:647f"}};
    for (size_t i = 0; i < sizeof(six) / sizeof(six[0]); i++) {
        uint8_t got[16], want[16];
        vip_name_address6(six[i][0], got);
        assert_int_equal(inet_pton(AF_INET6, six[i][1], want), 1);
        assert_memory_equal(got, want, 16);
    }
}

static void test_vip_range_parse__forms(void **state)
{
    struct vip_range r;
    (void)state;
    assert_int_equal(vip_range_parse("127.64.0.0/10", &r), 0);
    assert_true(r.first == VIP_RANGE_MACHINE.first && r.last == VIP_RANGE_MACHINE.last);
    static const char *const bad[] = {"",    "11.0.0.0",   "11.0.0.0/0", "11.0.0.0/29", "11.0.0.9-11.0.0.1",
                                      "x/8", "11.0.0.0/8x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(vip_range_parse(bad[i], &r), -EINVAL);
}

static size_t moves;

static void on_moved(void *ctx, const char *name, uint32_t address)
{
    uint32_t found;
    (void)ctx;
    (void)name;
    (void)address;
    (void)found;
    moves++;
}

/* A range so small that names collide all the time: whatever the history, equal sets have equal addresses. */
static void test_vip_names__table_depends_on_the_set_alone(void **state)
{
    struct vip_range range = {ip4("11.0.0.0"), ip4("11.0.0.101")};
    struct rng rng;
    (void)state;
    rng_seed(&rng, 7);
    for (unsigned round = 0; round < 200; round++) {
        struct vip_names *grown = vip_names_new(range, on_moved, NULL), *fresh = vip_names_new(range, NULL, NULL);
        bool is_in[60] = {false};
        uint32_t address, other;
        char name[16];
        for (unsigned step = 0; step < 150; step++) {
            unsigned i = (unsigned)rng_below(&rng, 48);
            (void)snprintf(name, sizeof(name), "n%u", i);
            if (is_in[i])
                vip_names_remove(grown, name);
            else
                assert_int_equal(vip_names_add(grown, name, &address), 0);
            is_in[i] = !is_in[i];
        }
        for (unsigned i = 0; i < 60; i++)
            if (is_in[i]) {
                (void)snprintf(name, sizeof(name), "n%u", i);
                assert_int_equal(vip_names_add(fresh, name, &address), 0);
            }
        bool taken[101] = {false};
        for (unsigned i = 0; i < 60; i++) {
            (void)snprintf(name, sizeof(name), "n%u", i);
            assert_int_equal(vip_names_find(grown, name, &address), is_in[i] ? 0 : -ENOENT);
            if (!is_in[i])
                continue;
            assert_int_equal(vip_names_find(fresh, name, &other), 0);
            assert_int_equal(address, other);
            assert_false(taken[address - range.first]);
            taken[address - range.first] = true;
        }
        vip_names_free(grown);
        vip_names_free(fresh);
    }
    assert_true(moves > 0);
}

static void test_vip_names__counted_and_bounded(void **state)
{
    struct vip_names *n = vip_names_new((struct vip_range){0, 20}, NULL, NULL);
    uint32_t a, b;
    char name[16];
    (void)state;
    assert_int_equal(vip_names_add(n, "x", &a), 0);
    assert_int_equal(vip_names_add(n, "x", &b), 0);
    assert_int_equal(a, b);
    vip_names_remove(n, "x");
    assert_int_equal(vip_names_find(n, "x", &b), 0);
    for (int i = 0; i < 9; i++) {
        (void)snprintf(name, sizeof(name), "y%d", i);
        assert_int_equal(vip_names_add(n, name, &b), 0);
    }
    assert_int_equal(vip_names_add(n, "z", &b), -ENOSPC);
    vip_names_remove(n, "x");
    assert_int_equal(vip_names_count(n), 9);
    vip_names_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha1__known_digests),
        cmocka_unit_test(test_vip_label__rules),
        cmocka_unit_test(test_vip_name_clean__label_and_framework),
        cmocka_unit_test(test_vip_value_parse__forms),
        cmocka_unit_test(test_vip_address__known_names),
        cmocka_unit_test(test_vip_range_parse__forms),
        cmocka_unit_test(test_vip_names__table_depends_on_the_set_alone),
        cmocka_unit_test(test_vip_names__counted_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
