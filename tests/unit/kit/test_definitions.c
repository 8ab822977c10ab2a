/* SPDX-License-Identifier: Apache-2.0
 * test_definitions.c - what definitions of apps and jobs are made of: memory, pairs, the schema and its problems. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "frameworks/kit/chunks.h"
#include "frameworks/kit/pairs.h"
#include "frameworks/kit/schema.h"

static json_t *json(const char *text)
{
    json_t *v = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (v == NULL)
        fail_msg("not JSON: %s", text);
    return v;
}

/* -- chunks ------------------------------------------------------------------------------------------------------- */

static void test_chunks__pieces_are_apart_aligned_and_zero(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 15, 16, 17, 100, 2000, 1, 500, 512, 513, 1024, 1, 1, 70000, 3};
    enum { N = sizeof(sizes) / sizeof(sizes[0]) };
    struct chunks c = {0};
    unsigned char *pieces[N];
    for (size_t i = 0; i < N; i++) {
        pieces[i] = chunks_alloc(&c, sizes[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(pieces[i][k], 0);
        memset(pieces[i], (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            if (pieces[i][k] != i + 1)
                fail_msg("piece %zu was overwritten at %zu", i, k);
    chunks_free(&c);
    assert_null(c.first);
    assert_string_equal(chunks_strdup(&c, "again"), "again");
    chunks_free(&c);
}

/* -- pairs -------------------------------------------------------------------------------------------------------- */

static void test_pairs__are_sorted_found_and_written(void **state)
{
    (void)state;
    struct chunks c = {0};
    json_t *object = json("{\"b\":\"2\",\"a\":\"1\",\"skipped\":7,\"c\":\"\"}");
    struct pairs p = pairs_read(&c, object);
    json_decref(object); /* copies */
    assert_int_equal(p.count, 3);
    assert_string_equal(p.items[0].key, "a");
    assert_string_equal(pairs_get(&p, "b"), "2");
    assert_string_equal(pairs_get(&p, "c"), "");
    assert_null(pairs_get(&p, "skipped"));
    assert_null(pairs_get(&p, "d"));
    struct buf b;
    struct json_writer w;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    pairs_write(&p, &w);
    char *text = buf_steal_str(&b);
    assert_string_equal(text, "{\"a\":\"1\",\"b\":\"2\",\"c\":\"\"}");
    free(text);
    struct pairs none = pairs_read(&c, NULL);
    assert_int_equal(none.count, 0);
    assert_null(pairs_get(&none, "a"));
    chunks_free(&c);
}

/* -- problems ----------------------------------------------------------------------------------------------------- */

static char *written(const struct problems *p)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    problems_write(p, &w);
    return buf_steal_str(&b);
}

static void test_problems__are_collected_by_path(void **state)
{
    (void)state;
    struct problems p;
    problems_init(&p);
    assert_false(problems_any(&p));
    char *text = written(&p);
    assert_string_equal(text, "{\"message\":\"Object is not valid\",\"details\":[]}");
    free(text);
    problems_add(&p, "/id", "must not be %s", "empty");
    problems_add(&p, "/cmd", "missing");
    problems_add(&p, "/id", "second");
    assert_true(problems_any(&p));
    p.is_schema = true;
    text = written(&p);
    assert_string_equal(text, "{\"message\":\"Invalid JSON\",\"details\":[{\"path\":\"/id\",\"errors\":[\"must not be "
                              "empty\",\"second\"]},{\"path\":\"/cmd\",\"errors\":[\"missing\"]}]}");
    free(text);
    assert_string_equal(problems_find(&p, "/id"), "must not be empty");
    assert_null(problems_find(&p, "/i"));
    problems_deinit(&p);
}

/* An answer must stay an answer, whatever a stranger has put into it. */
static void test_problems__are_bounded_and_always_json(void **state)
{
    (void)state;
    struct problems p;
    char path[64], text[2000];
    problems_init(&p);
    for (int i = 0; i < 3 * PROBLEMS_MAX; i++) {
        (void)snprintf(path, sizeof(path), "/env/%d", i);
        problems_add(&p, path, "wrong");
    }
    assert_int_equal(json_array_size(p.details), PROBLEMS_MAX);
    problems_deinit(&p);

    problems_init(&p);
    for (size_t i = 0; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa4", 3);
    problems_add(&p, "/a", "%s", text);      /* cut in the middle of a character, or not */
    problems_add(&p, "/a", "x%s", text);     /* the other way round */
    problems_add(&p, "/\xff\xfe", "a path"); /* no UTF-8 */
    char *whole = written(&p);
    json_t *back = json(whole);
    assert_int_equal(json_array_size(json_object_get(back, "details")), 2);
    assert_string_equal(problems_find(&p, "/"), "a path");
    json_decref(back);
    free(whole);
    problems_deinit(&p);
}

/* -- schema ------------------------------------------------------------------------------------------------------- */

static const char *const words[] = {"ON", "OFF", NULL};
static const struct schema word = {.kind = SCHEMA_STRING, .length_min = 2, .length_max = 4};
static const struct schema_field below[] = {{"n", {.kind = SCHEMA_INT, .min = 1, .max = 5}, true}, {0}};
static const struct schema_field all[] = {
    {"s", {.kind = SCHEMA_STRING, .length_min = 1, .length_max = 3}, false},
    {"w", {.kind = SCHEMA_STRING, .words = words}, false},
    {"x", {.kind = SCHEMA_STRING, .words = words, .is_exact = true}, false},
    {"i", {.kind = SCHEMA_INT, .min = -2, .max = 7}, false},
    {"j", {.kind = SCHEMA_INT}, false},
    {"p", {.kind = SCHEMA_INT, .min = 1}, false},
    {"d", {.kind = SCHEMA_NUMBER}, false},
    {"b", {.kind = SCHEMA_BOOL}, false},
    {"o", {.kind = SCHEMA_OBJECT, .fields = below, .is_closed = true}, false},
    {"a", {.kind = SCHEMA_ARRAY, .item = &word, .length_min = 1, .length_max = 2}, false},
    {"m", {.kind = SCHEMA_MAP, .item = &word}, false},
    {"e", {.kind = SCHEMA_MAP, .item = &(const struct schema){.kind = SCHEMA_ENV}}, false},
    {"nw", {.kind = SCHEMA_NUMBER_OR_WORD, .words = words, .min = 1}, false},
    {"ow", {.kind = SCHEMA_OBJECT_OR_WORD, .words = words, .fields = below}, false},
    {"any", {.kind = SCHEMA_ANY}, false},
    {0}};
static const struct schema top = {.kind = SCHEMA_OBJECT, .fields = all};

/* code NULL: nothing is wrong. */
static void expect(const char *text, const char *path, const char *code)
{
    struct problems p;
    json_t *v = json(text);
    problems_init(&p);
    schema_check(&top, v, "", &p);
    const char *found = code ? problems_find(&p, path) : NULL;
    if (code == NULL && problems_any(&p)) {
        char *told = written(&p);
        fail_msg("%s: %s", text, told);
    }
    if (code != NULL && (found == NULL || strcmp(found, code) != 0 || p.count != 1)) {
        char *told = written(&p);
        fail_msg("%s: %s, not %s at %s", text, told, code, path);
    }
    problems_deinit(&p);
    json_decref(v);
}

static void test_schema__accepts(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",
        "{\"unknown\":[{}]}",
        "{\"s\":null,\"i\":null,\"o\":null}",
        "{\"s\":\"abc\",\"w\":\"on\",\"x\":\"OFF\",\"i\":-2,\"j\":-2147483648,\"p\":2147483647,\"d\":-0.5,\"b\":false}",
        "{\"i\":7,\"j\":2147483647,\"i\":3.0}",
        "{\"o\":{\"n\":1},\"a\":[\"ab\"],\"m\":{\"k\":\"ab\",\"l\":null},\"nw\":1,\"ow\":\"off\"}",
        "{\"e\":{\"A\":\"\",\"B\":{\"secret\":\"s\"}},\"nw\":\"ON\",\"ow\":{\"n\":5},\"any\":[null]}",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        expect(good[i], NULL, NULL);
}

static void test_schema__says_where_and_what(void **state)
{
    (void)state;
    static const struct {
        const char *text, *path, *code;
    } cases[] = {
        {"[]", "/", "error.expected.jsobject"},
        {"{\"s\":1}", "/s", "error.expected.jsstring"},
        {"{\"s\":\"\"}", "/s", "error.minLength"},
        {"{\"s\":\"abcd\"}", "/s", "error.maxLength"},
        {"{\"s\":\"a\\u0000b\"}", "/s", "error.pattern"},
        {"{\"w\":\"maybe\"}", "/w", "error.unknown.enum.literal"},
        {"{\"x\":\"on\"}", "/x", "error.unknown.enum.literal"},
        {"{\"i\":\"1\"}", "/i", "error.expected.jsnumber"},
        {"{\"i\":1.5}", "/i", "error.expected.int"},
        {"{\"i\":-3}", "/i", "error.min"},
        {"{\"i\":8}", "/i", "error.max"},
        {"{\"j\":2147483648}", "/j", "error.max"},
        {"{\"p\":0}", "/p", "error.min"},
        {"{\"p\":2147483648}", "/p", "error.max"},
        {"{\"d\":1e16}", "/d", "error.max"},
        {"{\"b\":0}", "/b", "error.expected.jsboolean"},
        {"{\"o\":{}}", "/o/n", "error.path.missing"},
        {"{\"o\":{\"n\":null}}", "/o/n", "error.path.missing"},
        {"{\"o\":{\"n\":9}}", "/o/n", "error.max"},
        {"{\"o\":{\"n\":1,\"z\":1}}", "/o/z", "error.additionalProperties"},
        {"{\"a\":{}}", "/a", "error.expected.jsarray"},
        {"{\"a\":[]}", "/a", "error.minItems"},
        {"{\"a\":[\"ab\",\"ab\",\"a\"]}", "/a", "error.maxItems"},
        {"{\"a\":[\"ab\",7]}", "/a(1)", "error.expected.jsstring"},
        {"{\"m\":[]}", "/m", "error.expected.jsobject"},
        {"{\"m\":{\"k\":\"a\"}}", "/m/k", "error.minLength"},
        {"{\"e\":{\"A\":7}}", "/e/A", "error.expected.jsstring"},
        {"{\"e\":{\"A\":{\"secret\":7}}}", "/e/A", "error.expected.jsstring"},
        {"{\"e\":{\"A\":\"a\\u0000\"}}", "/e/A", "error.expected.jsstring"},
        {"{\"nw\":0}", "/nw", "error.min"},
        {"{\"nw\":\"x\"}", "/nw", "error.unknown.enum.literal"},
        {"{\"ow\":\"x\"}", "/ow", "error.unknown.enum.literal"},
        {"{\"ow\":7}", "/ow", "error.expected.jsobject"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect(cases[i].text, cases[i].path, cases[i].code);
}

static void test_schema__a_copy_has_no_nulls(void **state)
{
    (void)state;
    json_t *v = json("{\"a\":null,\"b\":[{\"c\":null,\"d\":1},\"x\"],\"e\":{\"f\":null}}");
    json_t *copy = schema_copy_without_nulls(v), *wanted = json("{\"b\":[{\"d\":1},\"x\"],\"e\":{}}");
    assert_true(json_equal(copy, wanted));
    json_decref(v); /* a deep copy outlives it */
    assert_true(json_equal(copy, wanted));
    json_decref(copy);
    json_decref(wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks__pieces_are_apart_aligned_and_zero),
        cmocka_unit_test(test_pairs__are_sorted_found_and_written),
        cmocka_unit_test(test_problems__are_collected_by_path),
        cmocka_unit_test(test_problems__are_bounded_and_always_json),
        cmocka_unit_test(test_schema__accepts),
        cmocka_unit_test(test_schema__says_where_and_what),
        cmocka_unit_test(test_schema__a_copy_has_no_nulls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
