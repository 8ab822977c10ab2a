/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "frameworks/kit/pattern.h"

static void test_pattern__means_what_java_means(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"srv2.*", "srv2x", true},
        {"srv2.*", "xsrv2", false},
        {"a|b", "b", true},
        {"a|b", "ab", false},
        {"\\d+", "42", true},
        {"\\d+", "4a", false},
        {"[\\d.]+", "1.2", true},
        {"(?:x|y)z", "yz", true},
        {"host-\\w{2,3}", "host-ab", true},
        {"a\\.b", "a.b", true},
        {"a\\.b", "axb", false},
        {"[^a]b", "cb", true},
        {"a.b", "a\nb", false},
        {"(?<rack>r\\d)-(?<row>[a-f])", "r1-b", true},
        {"(?<rack>r\\d)-(?<row>[a-f])", "r1-g", false},
        {"r[1-3]*?", "r123", true},
        {"[]a]+", "]a]", true},
        {"[^]a]", "]", false},
        {"[a\\]b]+", "a]b", true},
        {"[a&]+", "&a", true},
        {"\\[x\\]", "[x]", true},
        {"^web-.*\\.example\\.com$", "web-1.example.com", true},
        {"\\(?<x>", "(<x>", true}, /* no group */
        {"(10|192)\\.\\d{1,3}(\\.\\d{1,3}){2}", "192.168.0.17", true},
    };
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        struct err err = {""};
        struct pattern *p = kit_pattern_new(cases[k].pattern, &err);
        if (p == NULL || pattern_matches(p, cases[k].text) != cases[k].matches)
            fail_msg("%s against %s: %s", cases[k].pattern, cases[k].text, err.text);
        (void)pattern_free(p);
    }
}

/* What would mean something else to the engine, or needs back-tracking. */
static void test_pattern__refusals(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "(a)\\1",
        "(?=a)",
        "(?!a)b",
        "(?<=a)b",
        "(?<!a)b",
        "(?>a)b",
        "(?i)a",
        "a++",
        "a*+",
        "a?+",
        "(((a{200}){200}){200})",
        "a{1001}",
        "(a",
        "a)",
        "[a",
        "[",
        "[^",
        "[^]",
        "\\",
        "*a",
        "a{1,600}{1,600}",
        "\\p{L}",
        "\\Qa.b\\E",
        "\\h",
        "\\v",
        "[a-z&&[^x]]",
        "[a-z&&x]",
        "[a[bc]]",
        "(?<x",
    };
    for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
        struct err err = {""};
        struct pattern *p = kit_pattern_new(bad[k], &err);
        if (p != NULL)
            fail_msg("%s was accepted", bad[k]);
        assert_true(err.text[0] != '\0');
    }
}

static void test_pattern__length_is_bounded(void **state)
{
    (void)state;
    char text[KIT_PATTERN_BYTES_MAX + 2];
    struct err err = {""};
    memset(text, 'a', sizeof(text));
    text[KIT_PATTERN_BYTES_MAX + 1] = '\0';
    assert_null(kit_pattern_new(text, &err));
    text[KIT_PATTERN_BYTES_MAX] = '\0';
    struct pattern *p = kit_pattern_new(text, &err);
    assert_non_null(p);
    assert_true(pattern_matches(p, text));
    (void)pattern_free(p);
    /* As many named groups as fit: each grows by a byte. */
    text[0] = '\0';
    while (strlen(text) + 6 <= KIT_PATTERN_BYTES_MAX)
        (void)strncat(text, "(?<n>)", sizeof(text) - strlen(text) - 1);
    p = kit_pattern_new(text, &err);
    assert_non_null(p);
    assert_true(pattern_matches(p, ""));
    (void)pattern_free(p);
}

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void test_pattern__no_expression_takes_long(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "(a+)+b",
        "(a|a)*b",
        "(.*)*b",
        "(.*a){30}b",
        "(a?){300}a{300}b",
        /* A class of many parts, asked for at hundreds of places at once. */
        ".*[\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xe2\x82\xac\xe2\x86\x92\xc4\x81\xc4\x93\xc4\xab\xc5\x8d\xc5\xab"
        "\xce\xb1\xce\xb3\xce\xb5\xce\xb7\xce\xb9\xce\xbb\xce\xbd\xd0\xb1\xd0\xb4\xd0\xb6\xd0\xb9\xd0\xbb"
        "a]{990}b",
    };
    enum { LEN = 20000 };
    char *text = xcalloc(1, LEN + 1);
    memset(text, 'a', LEN);
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        struct err err = {""};
        struct pattern *p = kit_pattern_new(cases[k], &err);
        if (p == NULL)
            fail_msg("%s: %s", cases[k], err.text);
        double before = seconds();
        assert_false(pattern_matches(p, text));
        if (seconds() - before > 20) /* about 0.2 s; exponential would be for ever, sanitizers are slow */
            fail_msg("%s takes %.1f s", cases[k], seconds() - before);
        (void)pattern_free(p);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pattern__means_what_java_means),
        cmocka_unit_test(test_pattern__refusals),
        cmocka_unit_test(test_pattern__length_is_bounded),
        cmocka_unit_test(test_pattern__no_expression_takes_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
