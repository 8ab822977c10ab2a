/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "common/base/pattern.h"

static void test_pattern__matches_the_whole_text(void **state)
{
    (void)state;
    static const struct {
        const char *expression, *text;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"abc", "abc", true},
        {"abc", "abcd", false},
        {"b", "abc", false},
        {".*b.*", "abc", true},
        {"a|bc|", "bc", true},
        {"a|bc|", "", true},
        {"a|bc", "c", false},
        {"(a|b)*c", "ababc", true},
        {"a+b?", "aaa", true},
        {"a+b?", "b", false},
        {"a{2,3}", "a", false},
        {"a{2,3}", "aaa", true},
        {"a{2,3}", "aaaa", false},
        {"a{2,}", "aaaaa", true},
        {"a{2}", "aa", true},
        {"a{x", "a{x", true},
        {"(ab){2}", "abab", true},
        {"[a-c]x", "bx", true},
        {"[^a-c]x", "bx", false},
        {"[^a-c]x", "dx", true},
        {"[]a]", "]", true},
        {"[a-]", "-", true},
        {"[\\d_]+", "12_3", true},
        {"[[:alpha:]]+", "abC", true},
        {"\\w+\\.\\s", "host.\t", true},
        {"\\W", "_", false},
        {"\\D\\S", "a1", true},
        {"a.c", "a\nc", false},
        {"^a$", "a", true},
        {"a^b", "ab", false},
        {"\\ba\\b.*", "a b", true},
        {"a\\Bb", "ab", true},
        {"\\x41\\x{e9}", "A\xc3\xa9", true},
        {"h.t", "h\xc3\xa4t", true},
        {".", "\xff", true},
        {"[\xc3\xa9-\xc3\xbc\xc3\xb6x\xc3\xa0]+", "\xc3\xa0\xc3\xb6\xc3\xbcx", true}, /* ranges that overlap */
        {"[\xc3\xa9-\xc3\xbc\xc3\xb6x\xc3\xa0]+", "\xc3\xa1", false},
        {"[\xc3\xa0-\xc3\xbf\xc3\xa5]", "\xc3\xa9", true}, /* one inside another */
        {"[^\xc3\xa9]", "\xc3\xaa", true},
        {"[^\xc3\xa9]", "\xc3\xa9", false},
        {"[a-\xc3\xa9]", "\x7f", true},
        {"(?:a)(?P<n>b)", "ab", true},
        {"a*?b+?", "aab", true},
        {"(a*)*", "aaa", true},
        {"(a*)+b", "c", false},
        {"(|a){3}", "aa", true},
        {"rack-\\d+", "rack-12", true},
        {"a\\|b\\\\", "a|b\\", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = {""};
        struct pattern *p = pattern_new(cases[i].expression, 100, &err);
        if (p == NULL)
            fail_msg("%s: %s", cases[i].expression, err.text);
        if (pattern_matches(p, cases[i].text) != cases[i].matches)
            fail_msg("'%s' and '%s'", cases[i].expression, cases[i].text);
        pattern_free(p);
    }
}

static void test_pattern__refusals(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "(",
        ")",
        "(a",
        "a)",
        "[a",
        "[b-a]",
        "*a",
        "a**",
        "a{2}{3}",
        "a{2}?{3}",
        "a*??",
        "a{3,2}",
        "a{1001}",
        "\\1",
        "\\y",
        "\\",
        "\\xZ",
        "\\x{1",
        "\\x{",
        "[\\x{1",
        "(?=a)",
        "(?i)a",
        "(?P<a",
        "[[:what:]]",
        "[\\q]",
        "((((((((((((((((((((((((((((((((((a))))))))))))))))))))))))))))))))))", /* too deep */
        "a{101}",
        "(a{50}){50}",
        "((((a{1000}){1000}){1000}){1000}){1000}", /* too large */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = {""};
        struct pattern *p = pattern_new(cases[i], 100, &err);
        if (p != NULL)
            fail_msg("'%s' is taken", cases[i]);
        assert_memory_equal(err.text, "regular expression: ", 20);
    }
}

static void test_pattern__no_expression_takes_long(void **state)
{
    (void)state;
    static const char *const cases[] = {"(a+)+b", "(a|a)*b",   "(a|aa)+b",
                                        "(.*)*b", "((a*)*)*b", "(((){1000}){1000}){1000}a*b"};
    char text[20001];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = {""};
        struct pattern *p = pattern_new(cases[i], 100, &err);
        assert_non_null(p);
        assert_false(pattern_matches(p, text)); /* would not come to an end by backtracking */
        pattern_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pattern__matches_the_whole_text),
        cmocka_unit_test(test_pattern__refusals),
        cmocka_unit_test(test_pattern__no_expression_takes_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
