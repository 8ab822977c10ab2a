/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/rng.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_numbers(void **state)
{
    (void)state;
    int64_t i = 5;
    uint64_t u = 5;
    double d = 5;
    bool b = true;
    assert_int_equal(text_to_int64("-9223372036854775808", &i), 0);
    assert_true(i == INT64_MIN);
    assert_int_equal(text_to_int64("9223372036854775807", &i), 0);
    assert_true(i == INT64_MAX);
    assert_int_equal(text_to_int64("9223372036854775808", &i), -ERANGE);
    assert_int_equal(text_to_int64("-9223372036854775809", &i), -ERANGE);
    assert_true(i == INT64_MAX); /* untouched */
    assert_int_equal(text_to_uint64("18446744073709551615", &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(text_to_uint64("18446744073709551616", &u), -ERANGE);
    assert_int_equal(text_to_uint64("99999999999999999999999x", &u), -EINVAL);
    static const char *const bad[] = {"", "-", "+1", " 1", "1 ", "1x", "0x1", "1.0", "--1", "1e3"};
    for (size_t n = 0; n < COUNT(bad); n++) {
        assert_int_equal(text_to_int64(bad[n], &i), -EINVAL);
        assert_int_equal(text_to_uint64(bad[n], &u), -EINVAL);
    }
    assert_int_equal(text_to_uint64("-1", &u), -EINVAL);
    assert_int_equal(text_to_double("-1.5e3", &d), 0);
    assert_true(d == -1500);
    assert_int_equal(text_to_double("1e999", &d), -ERANGE);
    static const char *const bad_doubles[] = {"", "inf", "nan", "0x1p3", " 1", "1 ", "1.5.", "e", "."};
    for (size_t n = 0; n < COUNT(bad_doubles); n++)
        assert_int_equal(text_to_double(bad_doubles[n], &d), -EINVAL);
    assert_int_equal(text_to_bool("0", &b), 0);
    assert_false(b);
    assert_int_equal(text_to_bool("true", &b), 0);
    assert_true(b);
    assert_int_equal(text_to_bool("yes", &b), -EINVAL);
    assert_int_equal(text_to_bool("", &b), -EINVAL);
}

static void test_base64__both_ways(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}};
    struct buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < COUNT(pairs); i++) {
        text_base64_encode(pairs[i][0], strlen(pairs[i][0]), &out);
        char *text = buf_steal_str(&out);
        assert_string_equal(text, pairs[i][1]);
        free(text);
    }
    struct rng r;
    rng_seed(&r, 1);
    for (size_t len = 0; len < 100; len++) {
        uint8_t data[100], back[100];
        for (size_t i = 0; i < len; i++)
            data[i] = (uint8_t)rng_next(&r);
        text_base64_encode(data, len, &out);
        size_t measured, got;
        assert_int_equal(text_base64_decode((const char *)buf_data(&out), buf_len(&out), NULL, &measured), 0);
        assert_int_equal(measured, len);
        assert_int_equal(text_base64_decode((const char *)buf_data(&out), buf_len(&out), back, &got), 0);
        assert_int_equal(got, len);
        assert_memory_equal(back, data, len);
        buf_clear(&out);
    }
    buf_deinit(&out);
}

static void test_base64__bad_texts(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Z", "Zg", "Zg=", "Zg===", "====", "=Zg=", "Z===", "Zg==Zg==", "Zh==", "Zm9=", "Zm9 ", "Zm-_", "\xff\xff\xff\xff"};
    size_t len = 77;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(text_base64_decode(bad[i], strlen(bad[i]), NULL, &len), -EINVAL);
    assert_int_equal(len, 77);
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
        const char *again;
    } cases[] = {
        {"5secs", 5000000000, "5secs"},
        {"15mins", 900000000000, "15mins"},
        {"0ns", 0, "0ns"},
        {"0weeks", 0, "0ns"},
        {"1.5hrs", 5400000000000, "90mins"},
        {"1weeks", 604800000000000, "1weeks"},
        {"-2secs", -2000000000, "-2secs"},
        {"0.1ms", 100000, "100us"},
        {"0.0000000001secs", 0, "0ns"},
        {"14days", 1209600000000000, "2weeks"},
        {"9223372036854775807ns", INT64_MAX, "9223372036854775807ns"},
        {"-9223372036854775808ns", INT64_MIN, "-9223372036854775808ns"},
        {"0.000000000000001653439153439153439weeks", 0, "0ns"},
    };
    char out[TEXT_DURATION_SIZE];
    int64_t ns;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(text_to_duration_ns(cases[i].text, &ns), 0);
        assert_true(ns == cases[i].ns);
        text_format_duration_ns(ns, out);
        assert_string_equal(out, cases[i].again);
    }
    static const char *const bad[] = {"",       "5",      "secs",    "5 secs", "5sec",   "5.secs",
                                      ".5secs", "5secs ", "1e3secs", "+1secs", "--1secs"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(text_to_duration_ns(bad[i], &ns), -EINVAL);
    assert_int_equal(text_to_duration_ns("20000weeks", &ns), -ERANGE);
    assert_int_equal(text_to_duration_ns("9223372036854775808ns", &ns), -ERANGE);
    assert_int_equal(text_to_duration_ns("99999999999999999999ns", &ns), -ERANGE);
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
        const char *again;
    } cases[] = {
        {"1970-01-01T00:00:00.000Z", 0, "1970-01-01T00:00:00.000Z"},
        {"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000Z"},
        {"2024-02-29T23:59:59.999Z", 1709251199999, "2024-02-29T23:59:59.999Z"},
        {"2000-03-01T00:00:00+02:00", 951861600000, "2000-02-29T22:00:00.000Z"},
        {"1969-12-31T23:59:59.1239-00:30", 1799123, "1970-01-01T00:29:59.123Z"},
        {"0000-01-01T00:00:00Z", -62167219200000, "0000-01-01T00:00:00.000Z"},
        {"9999-12-31T23:59:59.999Z", 253402300799999, "9999-12-31T23:59:59.999Z"},
    };
    char out[TEXT_TIME_SIZE];
    int64_t ms;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(text_to_time_ms(cases[i].text, &ms), 0);
        assert_true(ms == cases[i].ms);
        text_format_time_ms(ms, out);
        assert_string_equal(out, cases[i].again);
    }
    static const char *const bad[] = {"",
                                      "2024-01-01",
                                      "2024-01-01T00:00:00",
                                      "2024-01-01 00:00:00Z",
                                      "2024-1-01T00:00:00Z",
                                      "2024-01-01T00:00:00.Z",
                                      "2024-01-01T00:00:00Zx",
                                      "2024-01-01T00:00:00+0200",
                                      "2024-01-01T00:00:00+2:00",
                                      "+024-01-01T00:00:00Z",
                                      "2024-01-01T00:00Z"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(text_to_time_ms(bad[i], &ms), -EINVAL);
    static const char *const out_of_range[] = {"2023-02-29T00:00:00Z",     "1900-02-29T00:00:00Z", "2024-13-01T00:00:00Z",
                                               "2024-00-01T00:00:00Z",     "2024-04-31T00:00:00Z", "2024-01-00T00:00:00Z",
                                               "2024-01-01T24:00:00Z",     "2024-01-01T00:60:00Z", "2024-01-01T00:00:60Z",
                                               "2024-01-01T00:00:00+24:00"};
    for (size_t i = 0; i < COUNT(out_of_range); i++)
        assert_int_equal(text_to_time_ms(out_of_range[i], &ms), -ERANGE);
    text_format_time_ms(INT64_MIN, out);
    assert_string_equal(out, "-292275055-05-16T16:47:04.192Z");
    text_format_time_ms(INT64_MAX, out);
    assert_string_equal(out, "292278994-08-17T07:12:55.807Z");
}

static void test_times__every_day_of_five_centuries(void **state)
{
    (void)state;
    char out[TEXT_TIME_SIZE], previous[TEXT_TIME_SIZE] = "";
    for (int64_t day = -100000; day < 100000; day++) {
        int64_t ms = -1;
        text_format_time_ms(day * 86400000 + 1, out);
        assert_int_equal(text_to_time_ms(out, &ms), 0);
        assert_true(ms == day * 86400000 + 1);
        assert_true(strcmp(previous, out) < 0);
        memcpy(previous, out, sizeof(out));
    }
}

static void test_ids(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "task.1", "...", "with space", "\xc3\xa9", "a:b"};
    static const char *const bad[] = {"", ".", "..", "a/b", "a\\b", "a\n", "\x7f"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(text_is_valid_id(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(text_is_valid_id(bad[i]));
        assert_false(text_is_valid_container_id(bad[i]));
    }
    assert_true(text_is_valid_container_id("4a2c-x"));
    assert_false(text_is_valid_container_id("a.b"));
    assert_false(text_is_valid_container_id("a b"));
    char longest[257];
    memset(longest, 'x', sizeof(longest));
    longest[256] = '\0';
    assert_false(text_is_valid_id(longest));
    longest[255] = '\0';
    assert_true(text_is_valid_id(longest));
    longest[243] = '\0';
    assert_false(text_is_valid_container_id(longest));
    longest[242] = '\0';
    assert_true(text_is_valid_container_id(longest));
}

static void test_roles(void **state)
{
    (void)state;
    static const char *const good[] = {"*", "a", "a/b/c", "a-b", "...", "a*", "x/.y", "\xc3\xa9"};
    static const char *const bad[] = {"",    "/",   "/a", "a/",   "a//b", ".",    "..",    "a/..", "a/.",
                                      "a/*", "*/a", "-a", "a/-b", "a b",  "a\tb", "a\x0b", "a\x7f"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(text_is_valid_role(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(text_is_valid_role(bad[i]));
}

static void test_utf8(void **state)
{
    (void)state;
    assert_true(text_is_utf8("", 0));
    assert_true(text_is_utf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\xed\x9f\xbf", 17));
    static const char *const bad[] = {"\x80",
                                      "\xc1\xbf",
                                      "\xc3",
                                      "\xc3(",
                                      "\xe0\x9f\xbf",
                                      "\xe2\x82",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(text_is_utf8(bad[i], strlen(bad[i])));
}

static void test_percent_decode(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"a%20b", "a b"}, {"%2F%2f", "//"}, {"a+b", "a b"}, {"", ""}, {"%41%c3%A9", "A\xc3\xa9"}};
    char text[64];
    for (size_t i = 0; i < COUNT(pairs); i++) {
        strcpy(text, pairs[i][0]);
        assert_int_equal(text_percent_decode(text, true), 0);
        assert_string_equal(text, pairs[i][1]);
    }
    strcpy(text, "a+b");
    assert_int_equal(text_percent_decode(text, false), 0);
    assert_string_equal(text, "a+b");
    static const char *const bad[] = {"%", "%4", "%4g", "%g4", "a%00b", "%%41"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        strcpy(text, bad[i]);
        assert_int_equal(text_percent_decode(text, true), -EINVAL);
    }
}

static void test_equals_secret(void **state)
{
    (void)state;
    assert_true(text_equals_secret("", 0, "", 0));
    assert_true(text_equals_secret("abc", 3, "abc", 3));
    assert_false(text_equals_secret("abc", 3, "abd", 3));
    assert_false(text_equals_secret("abc", 3, "ab", 2));
    assert_false(text_equals_secret("abab", 4, "ab", 2));
    assert_false(text_equals_secret("", 0, "a", 1));
    assert_false(text_equals_secret("a", 1, "", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_base64__both_ways),
        cmocka_unit_test(test_base64__bad_texts),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_times__every_day_of_five_centuries),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_percent_decode),
        cmocka_unit_test(test_equals_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
