/* SPDX-License-Identifier: Apache-2.0 */
#include "common/auth/credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/auth/digest.h"
#include "common/base/check.h"
#include "common/base/json.h"
#include "common/base/map.h"
#include "common/base/text.h"

struct auth_credentials {
    struct auth_digest *digest;
    struct map principals; /* hash of the pair to the principal */
};

/* -- one pair --------------------------------------------------------------------------------------------------- */

static int check_part(const char *what, const char *s, size_t len, size_t len_max, struct err *err)
{
    if (len == 0)
        return err_set(err, -EINVAL, "the %s is empty", what);
    if (len > len_max)
        return err_set(err, -EINVAL, "the %s is longer than %zu bytes", what, len_max);
    if (!text_is_utf8(s, len))
        return err_set(err, -EINVAL, "the %s is not UTF-8", what);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            return err_set(err, -EINVAL, "the %s has a control character", what);
        if (s[i] == ':')
            return err_set(err, -EINVAL, "the %s has a colon, which HTTP basic authentication cannot carry", what);
    }
    return 0;
}

struct pair {
    const char *principal, *secret;
    size_t principal_len, secret_len;
};

static int check_pair(const struct pair *p, struct err *err)
{
    int r = check_part("principal", p->principal, p->principal_len, AUTH_PRINCIPAL_BYTES_MAX, err);
    return r < 0 ? r : check_part("secret", p->secret, p->secret_len, AUTH_SECRET_BYTES_MAX, err);
}

static int pair_of_json(const json_t *v, struct pair *out, struct err *err)
{
    const json_t *principal = json_object_get(v, "principal"), *secret = json_object_get(v, "secret");
    if (!json_is_string(principal) || !json_is_string(secret))
        return err_set(err, -EINVAL, "not an object with the texts 'principal' and 'secret'");
    *out = (struct pair){json_string_value(principal), json_string_value(secret), json_string_length(principal),
                         json_string_length(secret)};
    return check_pair(out, err);
}

/* `principal secret` and nothing else; blanks around. */
static int pair_of_line(const char *line, size_t len, struct pair *out, struct err *err)
{
    const char *word[2];
    size_t word_len[2], count = 0;
    for (size_t i = 0; i < len;) {
        size_t begin = i;
        while (i < len && line[i] != ' ' && line[i] != '\t')
            i++;
        if (i > begin) {
            if (count == 2)
                return err_set(err, -EINVAL, "more than two words");
            word[count] = line + begin;
            word_len[count++] = i - begin;
        }
        i += i < len;
    }
    if (count != 2)
        return err_set(err, -EINVAL, "not `principal secret`");
    *out = (struct pair){word[0], word[1], word_len[0], word_len[1]};
    return check_pair(out, err);
}

/* -- table ------------------------------------------------------------------------------------------------------ */

static void add(struct auth_credentials *c, const struct pair *p)
{
    uint8_t key[AUTH_DIGEST_BYTES];
    const struct auth_digest_part parts[] = {{p->principal, p->principal_len}, {":", 1}, {p->secret, p->secret_len}};
    auth_digest(c->digest, parts, 3, key);
    char *principal = xmalloc(p->principal_len + 1);
    memcpy(principal, p->principal, p->principal_len);
    principal[p->principal_len] = '\0';
    free(map_put_n(&c->principals, key, sizeof(key), principal));
}

static int parse_json(struct auth_credentials *c, const json_t *root, struct err *err)
{
    const json_t *list = json_object_get(root, "credentials");
    if (!json_is_array(list))
        return err_set(err, -EINVAL, "no list 'credentials'");
    struct pair p;
    for (size_t i = 0; i < json_array_size(list); i++) {
        int r = pair_of_json(json_array_get(list, i), &p, err);
        if (r < 0)
            return err_wrap(err, r, "credentials[%zu]", i);
        add(c, &p);
    }
    return 0;
}

static int parse_lines(struct auth_credentials *c, const char *text, size_t len, struct err *err)
{
    size_t number = 0;
    for (const char *at = text, *end = text + len; at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t line_len = (size_t)((stop != NULL ? stop : end) - at);
        size_t used = line_len > 0 && at[line_len - 1] == '\r' ? line_len - 1 : line_len;
        struct pair p;
        if (used > 0) {
            int r = pair_of_line(at, used, &p, err);
            if (r < 0)
                return err_wrap(err, r, "line %zu", number + 1);
            add(c, &p);
        }
        at += line_len + (stop != NULL);
    }
    return 0;
}

/* The reader's text would repeat what is near the mistake, which may be a secret: only the place is told. */
static json_t *read_json(const char *text, size_t len, struct err *err)
{
    struct err full = {""};
    int line = 0, column = 0;
    json_t *root = json_read(text, len, &full);
    if (root == NULL && sscanf(full.text, "JSON: line %d column %d", &line, &column) == 2)
        (void)err_set(err, -EINVAL, "not JSON at line %d column %d", line, column);
    else if (root == NULL)
        (void)err_set(err, -EINVAL, "not JSON");
    return root;
}

static bool looks_like_json(const char *text, size_t len)
{
    size_t i = 0;
    while (i < len && (text[i] == ' ' || text[i] == '\t' || text[i] == '\r' || text[i] == '\n'))
        i++;
    return i < len && (text[i] == '{' || text[i] == '[');
}

static struct auth_credentials *credentials_new(void)
{
    struct auth_credentials *c = xcalloc(1, sizeof(*c));
    uint8_t key[AUTH_DIGEST_BYTES];
    CHECK(getrandom(key, sizeof(key), 0) == sizeof(key)); /* up to 256 bytes come at once */
    c->digest = auth_digest_new(key, sizeof(key));
    explicit_bzero(key, sizeof(key));
    map_init(&c->principals);
    return c;
}

int auth_credentials_of_pair(const char *pair, struct auth_credentials **out, struct err *err)
{
    const char *colon = strchr(pair, ':');
    if (colon == NULL)
        return err_set(err, -EINVAL, "not principal:secret");
    const struct pair p = {pair, colon + 1, (size_t)(colon - pair), strlen(colon + 1)};
    int r = check_pair(&p, err);
    if (r < 0)
        return r;
    *out = credentials_new();
    add(*out, &p);
    return 0;
}

int auth_credentials_parse(const char *text, size_t len, struct auth_credentials **out, struct err *err)
{
    struct auth_credentials *c = credentials_new();
    int r;
    if (looks_like_json(text, len)) {
        json_t *root = read_json(text, len, err);
        r = root == NULL ? -EINVAL : parse_json(c, root, err);
        json_decref(root);
    } else {
        r = parse_lines(c, text, len, err);
    }
    if (r == 0 && map_count(&c->principals) == 0)
        r = err_set(err, -EINVAL, "there is no credential");
    if (r < 0) {
        auth_credentials_free(c);
        return r;
    }
    *out = c;
    return 0;
}

struct auth_credentials *auth_credentials_free(struct auth_credentials *c)
{
    if (c == NULL)
        return NULL;
    for (struct map_entry *e = map_first(&c->principals); e != NULL; e = map_next(e))
        free(map_value(e));
    map_deinit(&c->principals);
    auth_digest_free(c->digest);
    free(c);
    return NULL;
}

size_t auth_credentials_count(const struct auth_credentials *c)
{
    return map_count(&c->principals);
}

const char *auth_credentials_find(const struct auth_credentials *c, const void *pair, size_t len)
{
    uint8_t key[AUTH_DIGEST_BYTES];
    auth_digest(c->digest, &(struct auth_digest_part){pair, len}, 1, key);
    return map_get_n(&c->principals, key, sizeof(key));
}

/* -- one to show ------------------------------------------------------------------------------------------------ */

static char *copy(const char *s, size_t len)
{
    char *to = xmalloc(len + 1);
    memcpy(to, s, len);
    to[len] = '\0';
    return to;
}

int auth_credential_parse(const char *text, size_t len, struct auth_credential *out, struct err *err)
{
    struct pair p;
    json_t *root = NULL;
    int r;
    if (looks_like_json(text, len)) {
        root = read_json(text, len, err);
        r = root == NULL ? -EINVAL : pair_of_json(root, &p, err);
    } else {
        while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
            len--;
        r = pair_of_line(text, len, &p, err);
    }
    if (r == 0)
        *out = (struct auth_credential){copy(p.principal, p.principal_len), copy(p.secret, p.secret_len)};
    json_decref(root);
    return r;
}

void auth_credential_deinit(struct auth_credential *c)
{
    if (c->secret != NULL)
        explicit_bzero(c->secret, strlen(c->secret));
    free(c->principal);
    free(c->secret);
    *c = (struct auth_credential){0};
}

char *auth_basic_value(const char *principal, const char *secret)
{
    struct buf pair, value;
    buf_init(&pair, 0);
    buf_init(&value, 0);
    (void)buf_printf(&pair, "%s:%s", principal, secret); /* far below the limit, as the next */
    (void)buf_append_str(&value, "Basic ");
    text_base64_encode(buf_data(&pair), buf_len(&pair), &value);
    explicit_bzero(pair.base, pair.capacity);
    buf_deinit(&pair);
    return buf_steal_str(&value);
}
