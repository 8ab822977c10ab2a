/* SPDX-License-Identifier: Apache-2.0 */
#include "common/auth/token.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/auth/digest.h"
#include "common/auth/file.h"
#include "common/base/check.h"
#include "common/base/json.h"
#include "common/base/text.h"

#define KEY_BYTES_MIN 16u

struct auth_tokens {
    struct auth_digest *digest;
};

/* -- key -------------------------------------------------------------------------------------------------------- */

struct auth_tokens *auth_tokens_new(const void *key, size_t len)
{
    struct auth_tokens *t = xcalloc(1, sizeof(*t));
    t->digest = auth_digest_new(key, len);
    return t;
}

struct auth_tokens *auth_tokens_free(struct auth_tokens *t)
{
    if (t == NULL)
        return NULL;
    auth_digest_free(t->digest);
    free(t);
    return NULL;
}

int auth_tokens_load(const char *flag_value, struct auth_tokens **out, bool *is_exposed, struct err *err)
{
    struct auth_file f;
    int r = auth_file_read(flag_value, &f, err);
    if (r < 0)
        return r;
    *is_exposed = f.is_exposed;
    if (f.len < KEY_BYTES_MIN)
        r = err_set(err, -EINVAL, "%.200s: a key has at least %u bytes", flag_value, KEY_BYTES_MIN);
    else
        *out = auth_tokens_new(f.text, f.len);
    auth_file_deinit(&f);
    return r;
}

/* -- base64url without padding (RFC 7515, appendix C) ----------------------------------------------------------- */

static void put_url64(const void *data, size_t len, struct buf *out)
{
    size_t from = buf_len(out);
    text_base64_encode(data, len, out);
    char *at = (char *)out->base + out->start + from;
    size_t n = buf_len(out) - from;
    while (n > 0 && at[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++)
        at[i] = at[i] == '+' ? '-' : at[i] == '/' ? '_' : at[i];
    out->end = out->start + from + n;
}

/* NULL: not such text. */
static uint8_t *read_url64(const char *text, size_t len, struct arena *arena, size_t *out_len)
{
    char *standard = arena_must_alloc(arena, len + 4);
    size_t n = len;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '+' || text[i] == '/' || text[i] == '=')
            return NULL; /* of the other alphabet */
        standard[i] = (char)(text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i]);
    }
    while (n % 4 != 0)
        standard[n++] = '=';
    uint8_t *out = arena_must_alloc(arena, n + 1);
    return text_base64_decode(standard, n, out, out_len) == 0 ? out : NULL;
}

/* -- making ----------------------------------------------------------------------------------------------------- */

char *auth_token_make(const struct auth_tokens *t, const char *framework_id, const char *executor_id,
                      const char *container_id, struct arena *arena)
{
    static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    struct buf payload, token;
    struct json_writer w;
    uint8_t signature[AUTH_DIGEST_BYTES];
    buf_init(&payload, 0);
    buf_init(&token, 0);
    json_writer_init(&w, &payload);
    json_begin_object(&w);
    json_kv_string(&w, "cid", container_id);
    json_kv_string(&w, "eid", executor_id);
    json_kv_string(&w, "fid", framework_id);
    json_end_object(&w);
    put_url64(header, sizeof(header) - 1, &token);
    (void)buf_append_char(&token, '.'); /* ids are short: far below the limit */
    put_url64(buf_data(&payload), buf_len(&payload), &token);
    auth_digest(t->digest, &(struct auth_digest_part){buf_data(&token), buf_len(&token)}, 1, signature);
    (void)buf_append_char(&token, '.');
    put_url64(signature, sizeof(signature), &token);
    (void)buf_append_char(&token, '\0');
    char *out = arena_strdup(arena, (const char *)buf_data(&token));
    buf_deinit(&payload);
    buf_deinit(&token);
    return out;
}

/* -- reading ---------------------------------------------------------------------------------------------------- */

struct parts {
    size_t header, payload, signature; /* lengths */
};

/* Exactly two dots, nothing empty. */
static bool split(const char *text, size_t len, struct parts *out)
{
    const char *first = memchr(text, '.', len);
    const char *second = first != NULL ? memchr(first + 1, '.', len - (size_t)(first + 1 - text)) : NULL;
    if (second == NULL || memchr(second + 1, '.', len - (size_t)(second + 1 - text)) != NULL)
        return false;
    *out = (struct parts){(size_t)(first - text), (size_t)(second - first - 1), len - (size_t)(second + 1 - text)};
    return out->header > 0 && out->payload > 0 && out->signature > 0;
}

static bool is_signed(const struct auth_tokens *t, const char *text, const struct parts *p, struct arena *arena)
{
    uint8_t expected[AUTH_DIGEST_BYTES];
    size_t len, signed_len = p->header + 1 + p->payload;
    const uint8_t *given = read_url64(text + signed_len + 1, p->signature, arena, &len);
    auth_digest(t->digest, &(struct auth_digest_part){text, signed_len}, 1, expected);
    return given != NULL && text_equals_secret(expected, sizeof(expected), given, len);
}

static json_t *read_json(const char *text, size_t len, struct arena *arena)
{
    size_t json_len;
    const uint8_t *json = read_url64(text, len, arena, &json_len);
    json_t *v = json != NULL ? json_read(json, json_len, NULL) : NULL;
    if (v != NULL && !json_is_object(v)) {
        json_decref(v);
        return NULL;
    }
    return v;
}

static const char *check_header(const json_t *v)
{
    const char *alg = json_string_value(json_object_get(v, "alg"));
    const char *typ = json_string_value(json_object_get(v, "typ"));
    if (alg == NULL || strcmp(alg, "HS256") != 0)
        return "the token is not signed by HS256";
    if (typ != NULL && strcmp(typ, "JWT") != 0)
        return "the token is of another type";
    return json_object_get(v, "crit") != NULL ? "the token has critical extensions" : NULL;
}

static const char *take_claims(const json_t *v, int64_t now_s, struct arena *arena, struct auth_subject *out)
{
    const char *fid = json_string_value(json_object_get(v, "fid")), *eid = json_string_value(json_object_get(v, "eid"));
    const char *cid = json_string_value(json_object_get(v, "cid"));
    const json_t *exp = json_object_get(v, "exp");
    if (exp != NULL && !json_is_number(exp))
        return "the token's exp is not a number";
    if (exp != NULL && json_number_value(exp) <= (double)now_s)
        return "the token has expired";
    if (fid == NULL || eid == NULL || cid == NULL)
        return "the token has no claims of an executor";
    *out = (struct auth_subject){.framework_id = arena_strdup(arena, fid),
                                 .executor_id = arena_strdup(arena, eid),
                                 .container_id = arena_strdup(arena, cid)};
    return NULL;
}

int auth_token_read(const struct auth_tokens *t, const char *text, size_t len, int64_t now_s, struct arena *arena,
                    struct auth_subject *out, const char **why)
{
    struct parts p;
    *why = "not a token of this agent";
    if (len > AUTH_TOKEN_BYTES_MAX || !split(text, len, &p) || !is_signed(t, text, &p, arena))
        return -EACCES;
    json_t *header = read_json(text, p.header, arena);
    json_t *payload = read_json(text + p.header + 1, p.payload, arena);
    *why = header == NULL || payload == NULL ? "the token is not JSON" : check_header(header);
    if (*why == NULL)
        *why = take_claims(payload, now_s, arena, out);
    json_decref(header);
    json_decref(payload);
    return *why == NULL ? 0 : -EACCES;
}
