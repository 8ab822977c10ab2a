/* SPDX-License-Identifier: Apache-2.0
 * The agent's --resources in both its forms. */
#include "unit/resource/build.h"

#include <errno.h>

static void assert_parses(const char *flag, const char *role, const char *expected)
{
    struct resources *r = resources_new();
    struct err err = {""};
    if (resources_parse_flag(flag, role, r, &err) != 0)
        fail_msg("%s: %s", flag, err.text);
    assert_format(r, expected);
    resources_free(r);
}

static void test_resources_flag__text(void **state)
{
    (void)state;
    assert_parses("cpus:4;mem:1024;ports:[31000-32000]", "*", "cpus:4;mem:1024;ports:[31000-32000]");
    assert_parses(" cpus : 0.25 ; ports(web): [ 1-2, 3-4 ,7-7] ;", "*", "cpus:0.25;ports(web):[1-4,7-7]");
    assert_parses("cpus(*):1;cpus(eng):2;cpus:4;zones:{b,a}", "ops", "cpus:1;cpus(eng):2;cpus(ops):4;zones(ops):{a,b}");
    assert_parses("cpus:1;cpus:2;mem:0", "*", "cpus:3");
    assert_parses("", "*", "");
}

static void test_resources_flag__json(void **state)
{
    (void)state;
    assert_parses("[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2}},"
                  "{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":64.5},\"role\":\"*\"},"
                  "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":9},\"role\":\"eng\","
                  "\"disk\":{\"source\":{\"type\":\"PATH\",\"path\":{\"root\":\"/d\"}}}},"
                  "{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":1,\"end\":2}]},"
                  "\"reservations\":[{\"type\":\"STATIC\",\"role\":\"a/b\"}]}]",
                  "ops", "cpus(ops):2;mem:64.5;disk(eng):9;ports(a/b):[1-2]");
    assert_parses("[]", "*", "");
}

static void test_resources_flag__bad_ones_are_refused_whole(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "cpus",
        "cpus:x",
        "cpus:-1",
        "cpus:nan",
        "cpus:1e99",
        ":1",
        "(r):1",
        "cpus():1",
        "cpus(r:1",
        "cpus(a b/):1",
        "cpus(../x):1",
        "ports:[2-1]",
        "ports:[1]",
        "ports:[1-]",
        "ports:[18446744073709551616-1]",
        "cpus:1;cpus:[1-2]",
        "gpus:0.5",
        "mem:1;disk:",
        "{}",
        "[1]",
        "[{}]",
        "[{\"name\":\"cpus\"",
        "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":-2}}]",
        "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2},\"revocable\":{}}]",
        "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2},\"role\":\"r\",\"reservation\":{}}]",
        "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2},"
        "\"reservations\":[{\"type\":\"DYNAMIC\",\"role\":\"r\"}]}]",
        "[{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2},\"role\":\"r\","
        "\"disk\":{\"persistence\":{\"id\":\"x\"}}}]",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct resources *r = resources_new();
        struct err err = {""};
        if (resources_parse_flag(bad[i], "*", r, &err) != -EINVAL || err.text[0] == '\0' || !resources_is_empty(r))
            fail_msg("accepted: %s", bad[i]);
        resources_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resources_flag__text),
        cmocka_unit_test(test_resources_flag__json),
        cmocka_unit_test(test_resources_flag__bad_ones_are_refused_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
