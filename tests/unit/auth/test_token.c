/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auth/digest.h"
#include "common/auth/token.h"
#include "common/base/check.h"
#include "common/base/text.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define NOW 1700000000

struct fixture {
    struct auth_tokens *tokens;
    struct arena *arena;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->tokens = auth_tokens_new(KEY, strlen(KEY));
    f->arena = arena_new(0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    auth_tokens_free(f->tokens);
    arena_free(f->arena);
    free(f);
    return 0;
}

static int read_token(struct fixture *f, const char *token, struct auth_subject *out, const char **why)
{
    return auth_token_read(f->tokens, token, strlen(token), NOW, f->arena, out, why);
}

static const char *url64(struct fixture *f, const void *data, size_t len)
{
    struct buf b;
    buf_init(&b, 0);
    text_base64_encode(data, len, &b);
    char *text = arena_printf(f->arena, "%.*s", (int)buf_len(&b), (const char *)buf_data(&b));
    buf_deinit(&b);
    text[strcspn(text, "=")] = '\0';
    for (char *at = text; *at != '\0'; at++)
        *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
    return text;
}

/* Signed by this key, whatever it says. */
static char *sign(struct fixture *f, const char *key, const char *header, const char *payload)
{
    uint8_t signature[AUTH_DIGEST_BYTES];
    char *text = arena_printf(f->arena, "%s.%s", url64(f, header, strlen(header)), url64(f, payload, strlen(payload)));
    struct auth_digest *d = auth_digest_new(key, strlen(key));
    auth_digest(d, &(struct auth_digest_part){text, strlen(text)}, 1, signature);
    auth_digest_free(d);
    return arena_printf(f->arena, "%s.%s", text, url64(f, signature, sizeof(signature)));
}

#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define CLAIMS "\"fid\":\"f\",\"eid\":\"e\",\"cid\":\"c\""

static void test_token__what_was_made_is_read(void **state)
{
    struct fixture *f = *state;
    struct auth_subject subject = {0};
    const char *why;
    char *token = auth_token_make(f->tokens, "f-0000", "e \"\xc3\xbc\"", "c-1", f->arena);
    assert_null(strpbrk(token, "+/= \n"));
    assert_int_equal(read_token(f, token, &subject, &why), 0);
    assert_string_equal(subject.framework_id, "f-0000");
    assert_string_equal(subject.executor_id, "e \"\xc3\xbc\"");
    assert_string_equal(subject.container_id, "c-1");
    assert_null(subject.principal);
}

/* RFC 7515, appendix A.1: not our claims, but a signature that others made. */
static void test_token__signatures_are_those_of_the_rfc(void **state)
{
    struct fixture *f = *state;
    static const uint8_t key[] = {3,   35,  53, 75,  43,  15, 165, 188, 131, 126, 6,   101, 119, 123, 166, 143,
                                  90,  179, 40, 230, 240, 84, 201, 40,  169, 15,  132, 178, 210, 80,  46,  191,
                                  211, 251, 90, 146, 210, 6,  71,  239, 150, 138, 180, 195, 119, 98,  61,  34,
                                  61,  46,  33, 114, 5,   46, 79,  8,   192, 205, 154, 245, 103, 208, 128, 163};
    static const char token[] =
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    struct auth_subject subject;
    const char *why;
    struct auth_tokens *tokens = auth_tokens_new(key, sizeof(key));
    assert_true(auth_token_read(tokens, token, strlen(token), NOW, f->arena, &subject, &why) < 0);
    assert_string_equal(why, "the token has expired");
    assert_true(auth_token_read(tokens, token, strlen(token), 1300000000, f->arena, &subject, &why) < 0);
    assert_string_equal(why, "the token has no claims of an executor");
    auth_tokens_free(tokens);
}

static void test_token__signed_but_not_for_us(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *header, *payload, *why; /* why NULL: it is read */
    } rows[] = {
        {HEADER, "{" CLAIMS "}", NULL},
        {"{\"alg\":\"HS256\"}", "{" CLAIMS ",\"exp\":1700000001,\"more\":[1]}", NULL},
        {HEADER, "{" CLAIMS ",\"exp\":1700000000}", "expired"},
        {HEADER, "{" CLAIMS ",\"exp\":\"never\"}", "exp"},
        {HEADER, "{\"fid\":\"f\",\"eid\":\"e\"}", "claims"},
        {HEADER, "{\"fid\":\"f\",\"eid\":\"e\",\"cid\":1}", "claims"},
        {HEADER, "[]", "JSON"},
        {HEADER, "{" CLAIMS, "JSON"},
        {HEADER, "{\"fid\":\"f\\u0000\",\"eid\":\"e\",\"cid\":\"c\"}", "JSON"},
        {"{\"alg\":\"none\"}", "{" CLAIMS "}", "HS256"},
        {"{\"alg\":\"hs256\"}", "{" CLAIMS "}", "HS256"},
        {"{\"alg\":\"RS256\"}", "{" CLAIMS "}", "HS256"},
        {"{\"typ\":\"JWT\"}", "{" CLAIMS "}", "HS256"},
        {"{\"alg\":\"HS256\",\"typ\":\"JWE\"}", "{" CLAIMS "}", "type"},
        {"{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "{" CLAIMS "}", "critical"},
        {"null", "{" CLAIMS "}", "JSON"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct auth_subject subject;
        const char *why;
        int r = read_token(f, sign(f, KEY, rows[i].header, rows[i].payload), &subject, &why);
        if ((r == 0) != (rows[i].why == NULL) || (r < 0 && strstr(why, rows[i].why) == NULL))
            fail_msg("row %zu: %d, %s", i, r, r < 0 ? why : "");
    }
}

static void test_token__not_signed_by_us(void **state)
{
    struct fixture *f = *state;
    struct auth_subject subject;
    const char *why;
    char *good = sign(f, KEY, HEADER, "{" CLAIMS "}");
    size_t len = strlen(good);
    const char *const rows[] = {
        "",
        "..",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        sign(f, "another key of 16 bytes", HEADER, "{" CLAIMS "}"),
        arena_printf(f->arena, "%s.", good),
        arena_printf(f->arena, ".%s", good),
        arena_printf(f->arena, "%s=", good),
        arena_printf(f->arena, " %s", good),
        arena_printf(f->arena, "%.*s", (int)len - 1, good),
        arena_printf(f->arena, "%.*s.", (int)(strrchr(good, '.') - good), good), /* no signature */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (read_token(f, rows[i], &subject, &why) == 0 || strcmp(why, "not a token of this agent") != 0)
            fail_msg("row %zu", i);
    for (size_t i = 0; i < len; i++) { /* any other character anywhere */
        char *bad = arena_strdup(f->arena, good);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        if (read_token(f, bad, &subject, &why) == 0)
            fail_msg("character %zu does not matter", i);
    }
    char *nul = arena_memdup(f->arena, good, len + 1);
    assert_true(auth_token_read(f->tokens, nul, len + 1, NOW, f->arena, &subject, &why) < 0); /* with a NUL behind it */
    char *longer = arena_printf(f->arena, "%s%*s", good, (int)AUTH_TOKEN_BYTES_MAX, "x");
    assert_true(read_token(f, longer, &subject, &why) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_token__what_was_made_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_token__signatures_are_those_of_the_rfc, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_token__signed_but_not_for_us, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_token__not_signed_by_us, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
