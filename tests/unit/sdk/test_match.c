/* SPDX-License-Identifier: Apache-2.0
 * test_match.c - which needs fit into an offer, and which ports are picked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/wire/codec.h"
#include "frameworks/sdk/match.h"

static struct resources *pool_of(const char *resources_json)
{
    char json[2048];
    struct err err = {0};
    struct arena *arena = arena_new(0);
    (void)snprintf(json, sizeof(json),
                   "{\"id\":{\"value\":\"o1\"},\"framework_id\":{\"value\":\"f\"},\"agent_id\":{\"value\":\"a\"},"
                   "\"hostname\":\"h\",\"resources\":[%s]}",
                   resources_json);
    const Mesos__V1__Offer *offer =
        (const Mesos__V1__Offer *)wire_decode(WIRE_JSON, &mesos__v1__offer__descriptor, json, strlen(json), arena, &err);
    if (!offer)
        fail_msg("%s", err.text);
    struct resources *pool = sdk_match_pool(offer, &err);
    if (!pool)
        fail_msg("%s", err.text);
    arena_free(arena);
    return pool;
}

#define SCALAR(name, value) "{\"name\":\"" name "\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" value "}}"
#define PORTS(begin, end)                                                                                                  \
    "{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":" begin ",\"end\":" end "}]}}"
#define RESERVED(name, value, role)                                                                                        \
    "{\"name\":\"" name "\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" value                                              \
    "},\"reservations\":[{\"type\":\"STATIC\",\"role\":\"" role "\"}]}"
#define ALL SCALAR("cpus", "2") "," SCALAR("mem", "100") "," SCALAR("disk", "50") "," PORTS("31000", "31009")

static void test_match__first_missing_thing_is_told(void **state)
{
    static const uint32_t any[11] = {0};
    static const struct {
        struct sdk_need need;
        enum sdk_match result;
    } cases[] = {
        {{.cpus_millis = 2000, .mem_millis = 100000, .disk_millis = 50000, .ports = any, .port_count = 10}, SDK_MATCH_FITS},
        {{.cpus_millis = 2001, .mem_millis = 999999999}, SDK_MATCH_E_CPUS},
        {{.cpus_millis = 100, .mem_millis = 100001}, SDK_MATCH_E_MEM},
        {{.disk_millis = 50001}, SDK_MATCH_E_DISK},
        {{.gpus_millis = 1}, SDK_MATCH_E_GPUS},
        {{.ports = any, .port_count = 11}, SDK_MATCH_E_PORTS},
        {{0}, SDK_MATCH_FITS},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct resources *pool = pool_of(ALL), *before = resources_copy(pool), *taken = NULL;
        uint32_t ports[11];
        struct rng rng;
        rng_seed(&rng, 1);
        assert_int_equal(sdk_match_take(pool, &cases[i].need, "*", &rng, ports, &taken), cases[i].result);
        if (cases[i].result != SDK_MATCH_FITS)
            assert_true(resources_equal(pool, before));
        else
            assert_int_equal(resources_scalar_millis(taken, "cpus"), cases[i].need.cpus_millis);
        resources_free(taken);
        resources_free(before);
        resources_free(pool);
    }
}

static void test_match__pool_shrinks_until_nothing_fits(void **state)
{
    struct resources *pool = pool_of(ALL), *taken;
    struct sdk_need need = {.cpus_millis = 500, .mem_millis = 10000};
    int fitting = 0;
    (void)state;
    while (sdk_match_take(pool, &need, "*", NULL, NULL, &taken) == SDK_MATCH_FITS) {
        resources_free(taken);
        fitting++;
    }
    assert_int_equal(fitting, 4);
    assert_int_equal(resources_scalar_millis(pool, "cpus"), 0);
    assert_int_equal(resources_scalar_millis(pool, "mem"), 60000);
    resources_free(pool);
}

static void test_match__reserved_first_and_not_for_other_roles(void **state)
{
    struct resources *pool = pool_of(SCALAR("cpus", "1") "," RESERVED("cpus", "1", "web") "," RESERVED("cpus", "8", "db"));
    struct resources *taken = NULL;
    struct sdk_need need = {.cpus_millis = 1000};
    (void)state;
    assert_int_equal(sdk_match_take(pool, &(struct sdk_need){.cpus_millis = 3000}, "web", NULL, NULL, &taken),
                     SDK_MATCH_E_CPUS);
    assert_int_equal(sdk_match_take(pool, &need, "web", NULL, NULL, &taken), SDK_MATCH_FITS);
    struct resources *reserved = resources_reserved_to(taken, "web");
    assert_int_equal(resources_scalar_millis(reserved, "cpus"), 1000);
    resources_free(reserved);
    resources_free(taken);
    resources_free(pool);
}

static void test_ports__consecutive_with_wrap_around(void **state)
{
    static const struct resource_range range[] = {{100, 109}};
    static const uint32_t wanted[4] = {0};
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        uint32_t out[4];
        struct rng rng;
        rng_seed(&rng, seed);
        assert_int_equal(sdk_match_ports(range, 1, wanted, 4, &rng, out), SDK_MATCH_FITS);
        for (int i = 0; i < 4; i++) {
            assert_in_range(out[i], 100, 109);
            if (i > 0)
                assert_int_equal(out[i], out[i - 1] == 109 ? 100 : out[i - 1] + 1);
        }
    }
}

static void test_ports__fixed_and_dynamic_do_not_collide(void **state)
{
    static const struct resource_range ranges[] = {{100, 101}, {200, 201}};
    static const uint32_t wanted[] = {0, 201, 0, 100};
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        uint32_t out[4];
        struct rng rng;
        rng_seed(&rng, seed);
        assert_int_equal(sdk_match_ports(ranges, 2, wanted, 4, &rng, out), SDK_MATCH_FITS);
        assert_int_equal(out[1], 201);
        assert_int_equal(out[3], 100);
        assert_true((out[0] == 101 && out[2] == 200) || (out[0] == 200 && out[2] == 101));
    }
}

static void test_ports__refusals(void **state)
{
    static const struct resource_range ranges[] = {{100, 101}};
    static const struct resource_range high[] = {{65530, 65540}};
    static const uint32_t three[3] = {0}, other[] = {99}, twice[] = {100, 100}, one[] = {0};
    uint32_t out[3];
    struct rng rng;
    (void)state;
    rng_seed(&rng, 1);
    assert_int_equal(sdk_match_ports(ranges, 1, three, 3, &rng, out), SDK_MATCH_E_PORTS);
    assert_int_equal(sdk_match_ports(ranges, 1, other, 1, &rng, out), SDK_MATCH_E_PORTS);
    assert_int_equal(sdk_match_ports(ranges, 1, twice, 2, &rng, out), SDK_MATCH_E_PORTS);
    assert_int_equal(sdk_match_ports(high, 1, one, 1, &rng, out), SDK_MATCH_E_PORTS);
    assert_int_equal(sdk_match_ports(ranges, 0, one, 1, &rng, out), SDK_MATCH_E_PORTS);
}

static void test_ports__port_0_is_never_given(void **state)
{
    static const uint32_t any[1] = {0};
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct resources *pool = pool_of(PORTS("0", "1")), *taken = NULL;
        uint32_t port = 0;
        struct rng rng;
        rng_seed(&rng, seed);
        assert_int_equal(sdk_match_take(pool, &(struct sdk_need){.ports = any, .port_count = 1}, "*", &rng, &port, &taken),
                         SDK_MATCH_FITS);
        assert_int_equal(port, 1);
        resources_free(taken);
        resources_free(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match__first_missing_thing_is_told),
        cmocka_unit_test(test_match__pool_shrinks_until_nothing_fits),
        cmocka_unit_test(test_match__reserved_first_and_not_for_other_roles),
        cmocka_unit_test(test_ports__consecutive_with_wrap_around),
        cmocka_unit_test(test_ports__fixed_and_dynamic_do_not_collide),
        cmocka_unit_test(test_ports__refusals),
        cmocka_unit_test(test_ports__port_0_is_never_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
