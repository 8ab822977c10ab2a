/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/json.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/rng.h"

struct fixture {
    struct buf out;
    struct json_writer w;
};

static void fixture_init(struct fixture *f, size_t bytes_max)
{
    buf_init(&f->out, bytes_max);
    json_writer_init(&f->w, &f->out);
}

static void assert_written(struct fixture *f, const char *expected)
{
    json_writer_finish(&f->w);
    assert_false(f->out.overflowed);
    char *text = buf_steal_str(&f->out);
    assert_string_equal(text, expected);
    free(text);
    json_writer_init(&f->w, &f->out);
}

static void assert_refused(const char *text, size_t len, const char *part)
{
    struct err err = {""};
    json_t *v = json_read(text, len, &err);
    if (v != NULL)
        fail_msg("accepted: %s", text);
    if (strstr(err.text, part) == NULL)
        fail_msg("%s: not in: %s", part, err.text);
}

static void test_read__any_value_that_fills_the_text(void **state)
{
    (void)state;
    static const char *const good[] = {"null", " true ", "-1", "1.5e3", "\"x\"", "[]", "{}", "[1,{\"a\":[]}]\n"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        json_t *v = json_read(good[i], strlen(good[i]), NULL);
        assert_non_null(v);
        json_decref(v);
    }
    static const char *const bad[] = {"nul",
                                      "1 2",
                                      "{} x",
                                      "[1,]",
                                      "{\"a\":1,}",
                                      "'x'",
                                      "[",
                                      "01",
                                      "\"\x01\"",
                                      "\"\xff\"",
                                      "\"\xed\xa0\x80\"",
                                      "\"\\ud800\"",
                                      "{1:2}",
                                      "NaN",
                                      "1e999",
                                      "99999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refused(bad[i], strlen(bad[i]), "line 1");
    assert_refused("", 0, "empty");
    assert_refused("1\0", 2, "NUL");
}

static void test_read__nul_in_a_string_is_refused(void **state)
{
    (void)state;
    static const char in_value[] = "\"a\\u0000b\"";
    static const char in_key[] = "{\"a\\u0000\":1}";
    assert_refused(in_value, sizeof(in_value) - 1, "u0000");
    assert_refused(in_key, sizeof(in_key) - 1, "u0000");
    assert_refused("\"a\0b\"", 5, "NUL");
}

static void test_read__last_duplicate_key_wins(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":1,\"a\":2}";
    json_t *v = json_read(text, sizeof(text) - 1, NULL);
    assert_int_equal(json_integer_value(json_object_get(v, "a")), 2);
    json_decref(v);
}

static void test_read__depth_is_bounded(void **state)
{
    (void)state;
    char text[4 * JSON_DEPTH_MAX];
    for (int depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        json_t *v = json_read(text, (size_t)(2 * depth), NULL);
        assert_int_equal(v != NULL, depth == JSON_DEPTH_MAX);
        json_decref(v);
    }
    memset(text, '[', sizeof(text));
    text[0] = '"';
    text[1] = '\\';
    text[2] = '"';
    text[sizeof(text) - 1] = '"';
    json_t *v = json_read(text, sizeof(text), NULL); /* brackets in a string do not nest */
    assert_non_null(v);
    json_decref(v);
}

static void test_write__commas_and_nesting(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 0);
    json_begin_object(&f.w);
    json_kv_string(&f.w, "a", "x");
    json_kv_int(&f.w, "b", INT64_MIN);
    json_put_key(&f.w, "c");
    json_begin_array(&f.w);
    json_put_null(&f.w);
    json_begin_array(&f.w);
    json_end_array(&f.w);
    json_begin_object(&f.w);
    json_end_object(&f.w);
    json_put_bool(&f.w, true);
    json_put_raw(&f.w, "[7]", 3);
    json_end_array(&f.w);
    json_kv_uint(&f.w, "d", UINT64_MAX);
    json_kv_bool(&f.w, "e\n", false);
    json_put_key(&f.w, "f");
    json_put_base64(&f.w, "\xff\xfe\x00", 3);
    json_end_object(&f.w);
    assert_written(&f, "{\"a\":\"x\",\"b\":-9223372036854775808,\"c\":[null,[],{},true,[7]],"
                       "\"d\":18446744073709551615,\"e\\n\":false,\"f\":\"//4A\"}");
    json_put_string(&f.w, "");
    assert_written(&f, "\"\"");
    buf_deinit(&f.out);
}

static void test_write__output_is_ascii_on_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain /text", "\"plain /text\""},
        {"q\"b\\n\n\r\t\b\f\x01\x1f\x7f", "\"q\\\"b\\\\n\\n\\r\\t\\b\\f\\u0001\\u001f\\u007f\""},
        {"\xc3\xa9", "\"\\u00e9\""},
        {"a\xe2\x82\xac"
         "b",
         "\"a\\u20acb\""},
        {"\xf0\x9f\x98\x80", "\"\\ud83d\\ude00\""},
        {"\xff", "\"\\ufffd\""},
        {"x\xe2\x82", "\"x\\ufffd\\ufffd\""},
        {"\xc0\x80z", "\"\\ufffd\\ufffdz\""},
        {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},
        {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
        {"\xe2\x80\xa8", "\"\\u2028\""},
    };
    struct fixture f;
    fixture_init(&f, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_put_string(&f.w, cases[i].in);
        assert_written(&f, cases[i].out);
    }
    json_put_string_n(&f.w, "a\0b", 3);
    assert_written(&f, "\"a\\u0000b\"");
    buf_deinit(&f.out);
}

static void test_write__doubles(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *as_double, *as_number;
    } cases[] = {
        {0, "0.0", "0"},
        {-0.0, "-0.0", "0"},
        {15, "15.0", "15"},
        {0.1, "0.1", "0.1"},
        {-2.5, "-2.5", "-2.5"},
        {0.1 + 0.2, "0.30000000000000004", "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333", "0.3333333333333333"},
        {1e20, "1e+20", "1e+20"},
        {1e14, "100000000000000.0", "100000000000000"},
        {5e9, "5000000000.0", "5000000000"},
        {1e15, "1e+15", "1e+15"},
        {1700000000.123456, "1700000000.123456", "1700000000.123456"},
        {0.000125, "0.000125", "0.000125"},
        {1e-6, "1e-06", "1e-06"},
        {DBL_MAX, "1.7976931348623157e+308", "1.7976931348623157e+308"},
        {DBL_TRUE_MIN, "4.94065645841247e-324", "4.94065645841247e-324"},
        {9007199254740993.0, "9007199254740992.0", "9007199254740992"},
        {(double)NAN, "\"NaN\"", "\"NaN\""},
        {(double)INFINITY, "\"Infinity\"", "\"Infinity\""},
        {-(double)INFINITY, "\"-Infinity\"", "\"-Infinity\""},
    };
    struct fixture f;
    fixture_init(&f, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_put_double(&f.w, cases[i].v);
        assert_written(&f, cases[i].as_double);
        json_put_number(&f.w, cases[i].v);
        assert_written(&f, cases[i].as_number);
    }
    buf_deinit(&f.out);
}

static double draw_double(struct rng *r)
{
    switch (rng_below(r, 4)) {
    case 0:
        return (double)rng_below(r, UINT64_C(5000000000000000)) / 1e6;
    case 1:
        return (double)rng_below(r, 100000) / 1000 - 20;
    case 2:
        return rng_unit(r) * 4e9;
    default: {
        double v;
        uint64_t bits = rng_next(r);
        memcpy(&v, &bits, sizeof(v));
        return isfinite(v) ? v : 1;
    }
    }
}

static void test_write__every_double_reads_back_and_no_shorter_text_would(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 7);
    struct fixture f;
    fixture_init(&f, 0);
    for (int i = 0; i < 200000; i++) {
        double v = draw_double(&r);
        if (i % 2 == 0)
            json_put_double(&f.w, v);
        else
            json_put_number(&f.w, v);
        char *text = buf_steal_str(&f.out);
        if (strtod(text, NULL) != v)
            fail_msg("%a printed as %s", v, text);
        char shorter[64];
        size_t digits = 0;
        for (const char *p = text + strspn(text, "-0."); *p != '\0' && *p != 'e'; p++)
            digits += *p != '.' && strcmp(p, "0") != 0;
        if (digits > 15) {
            (void)snprintf(shorter, sizeof(shorter), "%.15g", v);
            if (strtod(shorter, NULL) == v)
                fail_msg("%s instead of %s", text, shorter);
        }
        free(text);
    }
    buf_deinit(&f.out);
}

static void test_write__tree_reads_back_equal(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1,-2.5,\"\\u00e9\\ud83d\\ude00\",null,true,false,{}],\"b\":{\"c\":[[]]}}";
    struct fixture f;
    fixture_init(&f, 0);
    json_t *v = json_read(text, sizeof(text) - 1, NULL);
    assert_non_null(v);
    json_put_value(&f.w, v);
    assert_written(&f, text);
    json_decref(v);
    buf_deinit(&f.out);
}

static void test_write__full_buffer_is_reported_and_harmless(void **state)
{
    (void)state;
    for (size_t limit = 1; limit < 60; limit++) {
        struct fixture f;
        fixture_init(&f, limit);
        json_begin_object(&f.w);
        json_kv_string(&f.w, "k\n", "\xc3\xa9 and a text");
        json_kv_double(&f.w, "d", 1.0 / 3);
        json_put_key(&f.w, "b");
        json_put_base64(&f.w, "xyz", 3);
        json_end_object(&f.w);
        assert_int_equal(f.w.depth, 0);
        assert_true(f.out.overflowed);
        assert_true(buf_len(&f.out) <= limit);
        buf_deinit(&f.out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read__any_value_that_fills_the_text),
        cmocka_unit_test(test_read__nul_in_a_string_is_refused),
        cmocka_unit_test(test_read__last_duplicate_key_wins),
        cmocka_unit_test(test_read__depth_is_bounded),
        cmocka_unit_test(test_write__commas_and_nesting),
        cmocka_unit_test(test_write__output_is_ascii_on_one_line),
        cmocka_unit_test(test_write__doubles),
        cmocka_unit_test(test_write__every_double_reads_back_and_no_shorter_text_would),
        cmocka_unit_test(test_write__tree_reads_back_equal),
        cmocka_unit_test(test_write__full_buffer_is_reported_and_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
