/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/auth/credentials.h"
#include "common/auth/digest.h"
#include "common/auth/file.h"
#include "common/base/check.h"

static struct auth_credentials *parse(const char *text)
{
    struct err err = {""};
    struct auth_credentials *c = NULL;
    if (auth_credentials_parse(text, strlen(text), &c, &err) < 0)
        fail_msg("%s", err.text);
    return c;
}

static const char *find(const struct auth_credentials *c, const char *pair)
{
    return auth_credentials_find(c, pair, strlen(pair));
}

static void refuses(const char *text, size_t len, const char *why)
{
    struct err err = {""};
    struct auth_credentials *c = NULL;
    int r = auth_credentials_parse(text, len, &c, &err);
    if (r == 0)
        fail_msg("taken: %.*s", (int)len, text);
    if (strstr(err.text, why) == NULL)
        fail_msg("'%s' does not say '%s'", err.text, why);
    assert_null(strstr(err.text, "hunter2"));
}

static void test_credentials__json_list(void **state)
{
    (void)state;
    struct auth_credentials *c = parse(" {\"credentials\":[{\"principal\":\"ann\",\"secret\":\"one\"},"
                                       "{\"principal\":\"bob\",\"secret\":\"b c\\u00e9\"}], \"more\":1}");
    assert_int_equal(auth_credentials_count(c), 2);
    assert_string_equal(find(c, "ann:one"), "ann");
    assert_string_equal(find(c, "bob:b c\xc3\xa9"), "bob");
    assert_null(find(c, "ann:b c\xc3\xa9"));
    assert_null(find(c, "ann:on"));
    assert_null(find(c, "ann:onee"));
    assert_null(find(c, "ann:one:"));
    assert_null(find(c, ":"));
    assert_null(find(c, ""));
    assert_null(auth_credentials_find(c, "ann:one\0", 8));
    auth_credentials_free(c);
}

static void test_credentials__lines(void **state)
{
    (void)state;
    struct auth_credentials *c = parse("ann one\r\n\n  bob\ttwo  \nann three");
    assert_int_equal(auth_credentials_count(c), 3);
    assert_string_equal(find(c, "ann:one"), "ann");
    assert_string_equal(find(c, "ann:three"), "ann");
    assert_string_equal(find(c, "bob:two"), "bob");
    assert_null(find(c, "bob:two  "));
    auth_credentials_free(c);
}

static void test_credentials__bad_files_are_refused_without_their_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "no credential"},
        {"{\"credentials\":[]}", "no credential"},
        {"{}", "no list"},
        {"[]", "no list"},
        {"{\"credentials\":{}}", "no list"},
        {"{\"credentials\":[{\"principal\":\"a\",\"secret\":\"hunter2\"}", "JSON"},
        {"{\"credentials\":[{\"principal\":\"a\"}]}", "credentials[0]"},
        {"{\"credentials\":[{\"principal\":\"a\",\"secret\":\"hunter2\"},{\"principal\":1,\"secret\":\"hunter2\"}]}",
         "credentials[1]"},
        {"{\"credentials\":[{\"principal\":\"\",\"secret\":\"hunter2\"}]}", "principal is empty"},
        {"{\"credentials\":[{\"principal\":\"a\",\"secret\":\"\"}]}", "secret is empty"},
        {"{\"credentials\":[{\"principal\":\"a:b\",\"secret\":\"hunter2\"}]}", "colon"},
        {"{\"credentials\":[{\"principal\":\"a\",\"secret\":\"hunter2:\"}]}", "colon"},
        {"{\"credentials\":[{\"principal\":\"a\",\"secret\":\"hunter2\\u0000b\"}]}", "JSON"},
        {"{\"credentials\":[{\"principal\":\"a\",\"secret\":\"hunter2\\n\"}]}", "control"},
        {"a hunter2 c", "line 1: more than two"},
        {"a b\nhunter2", "line 2"},
        {"a b\x80", "UTF-8"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        refuses(rows[i].text, strlen(rows[i].text), rows[i].why);
    refuses("a b\0c", 5, "control");
}

static void test_credentials__long_parts(void **state)
{
    (void)state;
    char text[6000];
    memset(text, 'p', sizeof(text));
    text[AUTH_PRINCIPAL_BYTES_MAX] = ' ';
    struct auth_credentials *c = NULL;
    assert_int_equal(auth_credentials_parse(text, AUTH_PRINCIPAL_BYTES_MAX + 1 + AUTH_SECRET_BYTES_MAX, &c, NULL), 0);
    auth_credentials_free(c);
    refuses(text, AUTH_PRINCIPAL_BYTES_MAX + 2 + AUTH_SECRET_BYTES_MAX, "secret is longer");
    text[AUTH_PRINCIPAL_BYTES_MAX] = 'p';
    text[AUTH_PRINCIPAL_BYTES_MAX + 1] = ' ';
    refuses(text, 400, "principal is longer");
}

static void test_credential__both_forms(void **state)
{
    (void)state;
    struct auth_credential one = {0};
    static const char json[] = "{\"principal\":\"ann\",\"secret\":\"s p\"}\n", line[] = "ann sp\n";
    assert_int_equal(auth_credential_parse(json, sizeof(json) - 1, &one, NULL), 0);
    assert_string_equal(one.principal, "ann");
    assert_string_equal(one.secret, "s p");
    auth_credential_deinit(&one);
    assert_int_equal(auth_credential_parse(line, sizeof(line) - 1, &one, NULL), 0);
    assert_string_equal(one.secret, "sp");
    auth_credential_deinit(&one);
    assert_true(auth_credential_parse("{\"credentials\":[]}", 18, &one, NULL) < 0);
    assert_true(auth_credential_parse("a b\nc d\n", 8, &one, NULL) < 0);
    assert_true(auth_credential_parse("", 0, &one, NULL) < 0);
}

/* RFC 7617, section 2 */
static void test_basic_value__is_the_rfcs_example(void **state)
{
    (void)state;
    char *value = auth_basic_value("Aladdin", "open sesame");
    assert_string_equal(value, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    free(value);
}

/* RFC 4231, test cases 2 and 1 */
static void test_digest__is_the_rfcs_example(void **state)
{
    (void)state;
    static const uint8_t jefe[] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
                                   0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27,
                                   0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
    uint8_t out[AUTH_DIGEST_BYTES];
    struct auth_digest *d = auth_digest_new("Jefe", 4);
    for (int i = 0; i < 2; i++) {
        const struct auth_digest_part parts[] = {{"what do ya want ", 16}, {"for nothing?", 12}};
        auth_digest(d, parts, 2, out);
        assert_memory_equal(out, jefe, sizeof(jefe));
    }
    auth_digest_free(d);
}

static void test_file__kinds(void **state)
{
    (void)state;
    char dir[] = "/tmp/muster_auth_XXXXXX", path[128], url[160];
    struct auth_file f = {0};
    struct err err = {""};
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/secret", dir);
    snprintf(url, sizeof(url), "file://%s", path);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs("a b", out);
    fclose(out);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(auth_file_read(url, &f, &err), 0);
    assert_string_equal(f.text, "a b");
    assert_false(f.is_exposed);
    auth_file_deinit(&f);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(auth_file_read(path, &f, &err), 0);
    assert_true(f.is_exposed);
    auth_file_deinit(&f);
    assert_int_equal(unlink(path), 0);
    assert_true(auth_file_read(path, &f, &err) < 0);
    assert_true(auth_file_read(dir, &f, &err) < 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_true(auth_file_read(path, &f, &err) < 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
    assert_true(auth_file_read("{\"principal\":\"a\",\"secret\":\"hunter2\"}", &f, &err) < 0);
    assert_null(strstr(err.text, "hunter2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_credentials__json_list),
        cmocka_unit_test(test_credentials__lines),
        cmocka_unit_test(test_credentials__bad_files_are_refused_without_their_secrets),
        cmocka_unit_test(test_credentials__long_parts),
        cmocka_unit_test(test_credential__both_forms),
        cmocka_unit_test(test_basic_value__is_the_rfcs_example),
        cmocka_unit_test(test_digest__is_the_rfcs_example),
        cmocka_unit_test(test_file__kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
