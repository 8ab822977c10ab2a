/* SPDX-License-Identifier: Apache-2.0
 * Text forms out: for people, for old endpoints, for constraints; attributes in. */
#include "unit/resource/build.h"

#include <errno.h>

static char *text_of(struct buf *b)
{
    assert_false(b->overflowed);
    return buf_steal_str(b);
}

static void test_resources_text__old_endpoint_object(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    char *items[] = {arena_strdup(a, "b"), arena_strdup(a, "a")};
    Mesos__V1__Resource *list[] = {
        wire_scalar(a, "cpus", 1.5),
        wire_scalar(a, "cpus", 1),
        wire_ranges(a, "ports", 2, (struct resource_range[]){{5, 6}, {1, 2}}),
        wire_set(a, "zones", 2, items),
        wire_revocable(a, wire_scalar(a, "cpus", 3)),
    };
    wire_reserve(a, list[1], RESERVE_STATIC, "eng");
    struct resources *r = of_wire(list, 5);
    struct buf out;
    struct json_writer w;
    buf_init(&out, 0);
    json_writer_init(&w, &out);
    resources_write_legacy(r, &w);
    char *text = text_of(&out);
    assert_string_equal(text, "{\"gpus\":0.0,\"mem\":0.0,\"disk\":0.0,\"cpus\":2.5,\"ports\":\"[1-2, 5-6]\","
                              "\"zones\":\"{a, b}\",\"cpus_revocable\":3.0}");
    free(text);
    assert_format(r, "cpus:1.5;cpus(eng):1;ports:[1-2,5-6];zones:{a,b};cpus{REV}:3");
    resources_free(r);
    buf_deinit(&out);
    arena_free(a);
}

static void assert_attributes(const char *flag, const char *expected)
{
    struct arena *a = arena_new(0);
    Mesos__V1__Attribute **list;
    size_t n;
    struct err err = {""};
    if (attributes_parse_flag(flag, a, &list, &n, &err) != 0)
        fail_msg("%s", err.text);
    struct buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(buf_printf(&out, "%s%s=", i ? ";" : "", list[i]->name), 0);
        attribute_format(list[i], &out);
    }
    char *text = text_of(&out);
    assert_string_equal(text ? text : "", expected);
    free(text);
    buf_deinit(&out);
    arena_free(a);
}

static void test_attributes__parse_and_format(void **state)
{
    (void)state;
    assert_attributes("rack:abc; level : 10;ports:[1-5,7-9] ;half:0.5;url:http://x:80", "rack=abc;level=10;ports=[1-5,7-9];"
                                                                                        "half=0.5;url=http://x:80");
    assert_attributes("", "");
    assert_attributes("a:[x];b:[5-1];n:100;", "a=[x];b=[5-1];n=100");
    static const char *const bad[] = {"rack", ":x", "rack:", "set:{a,b}", " : "};
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        Mesos__V1__Attribute **list;
        size_t n;
        struct err err = {""};
        assert_int_equal(attributes_parse_flag(bad[i], a, &list, &n, &err), -EINVAL);
        assert_true(err.text[0] != '\0');
    }
    arena_free(a);
}

static void test_attributes__old_endpoint_object(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    Mesos__V1__Attribute **list;
    size_t n;
    assert_int_equal(attributes_parse_flag("rack:abc;level:10;ports:[1-5,7-9]", a, &list, &n, NULL), 0);
    struct buf out;
    struct json_writer w;
    buf_init(&out, 0);
    json_writer_init(&w, &out);
    attributes_write_legacy(list, n, &w);
    char *text = text_of(&out);
    assert_string_equal(text, "{\"rack\":\"abc\",\"level\":10.0,\"ports\":\"[1-5, 7-9]\"}");
    free(text);
    buf_deinit(&out);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resources_text__old_endpoint_object),
        cmocka_unit_test(test_attributes__parse_and_format),
        cmocka_unit_test(test_attributes__old_endpoint_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
