/* SPDX-License-Identifier: Apache-2.0
 * message.c - questions about a message: headers, query parameters, negotiated types. */
#include "common/http/http.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "common/base/text.h"
#include "common/http/parse.h"

const char *http_header(const struct http_message *m, const char *name)
{
    for (size_t i = 0; i < m->header_count; i++) {
        if (strcasecmp(m->headers[i].name, name) == 0)
            return m->headers[i].value;
    }
    return NULL;
}

const char *http_query(const struct http_message *m, struct arena *a, const char *name, size_t index)
{
    for (const char *at = m->query ? m->query : ""; *at != '\0';) {
        size_t len = strcspn(at, "&");
        size_t key_len = strcspn(at, "&=");
        char *key = arena_alloc(a, len + 1);
        if (key == NULL)
            return NULL;
        memcpy(key, at, len);
        char *value = key + key_len;
        if (key_len < len)
            *value++ = '\0';
        at += len + (at[len] == '&');
        if (text_percent_decode(key, true) != 0 || strcmp(key, name) != 0)
            continue;
        if (index-- == 0)
            return text_percent_decode(value, true) == 0 ? value : NULL;
    }
    return NULL;
}

const char *http_reason(int status)
{
    switch (status) {
#define REASON(number, name, text)                                                                                         \
    case number:                                                                                                           \
        return #text;
        HTTP_STATUS_MAP(REASON)
#undef REASON
    default:
        return "Unknown";
    }
}

int http_put_header(struct buf *out, const char *name, const char *value)
{
    size_t name_len = strlen(name), value_len = strlen(value);
    uint8_t *to = buf_reserve(out, name_len + value_len + 4);
    if (to == NULL)
        return -ENOBUFS;
    memcpy(to, name, name_len);
    memcpy(to + name_len, ": ", 2);
    uint8_t *v = to + name_len + 2;
    for (size_t i = 0; i < value_len; i++)
        v[i] = (unsigned char)value[i] < ' ' || value[i] == 0x7f ? ' ' : (uint8_t)value[i];
    memcpy(v + value_len, "\r\n", 2);
    buf_commit(out, name_len + value_len + 4);
    return 0;
}

/* --- comma lists with weights --- */

static const char *skip_space(const char *s)
{
    return s + strspn(s, " \t");
}

/* Is the weight among the parameters of one list element zero? Other weights only order things, which we do not. */
static bool is_weight_zero(const char *at, const char *end)
{
    while (at < end) {
        at = skip_space(at + 1); /* behind the ';' */
        size_t len = strcspn(at, ";,");
        if (len > 2 && (at[0] == 'q' || at[0] == 'Q') && at[1] == '=')
            return at[2] == '0' && strspn(at + 2, "0.") >= strcspn(at + 2, ";, \t");
        at += len;
    }
    return false;
}

/* -1 not in this list, 0 refused, 1 allowed */
static int look_in_list(const char *list, const char *token, size_t token_len)
{
    for (const char *at = list; *at != '\0'; at += *at == ',') {
        at = skip_space(at);
        size_t name_len = strcspn(at, ";, \t");
        const char *end = at + strcspn(at, ",");
        const char *parameters = at + strcspn(at, ";,");
        if (name_len == token_len && strncasecmp(at, token, token_len) == 0)
            return is_weight_zero(parameters, end) ? 0 : 1;
        at = end;
    }
    return -1;
}

static int look_up(const struct http_message *m, const char *header, const char *token, size_t token_len)
{
    for (size_t i = 0; i < m->header_count; i++) {
        if (strcasecmp(m->headers[i].name, header) != 0)
            continue;
        int found = look_in_list(m->headers[i].value, token, token_len);
        if (found >= 0)
            return found;
    }
    return -1;
}

int http_list_allows(const struct http_message *m, const char *header, const char *token)
{
    return look_up(m, header, token, strlen(token));
}

static bool accepts(const struct http_message *m, const char *header, const char *type)
{
    int found = look_up(m, header, type, strlen(type));
    if (found >= 0)
        return found > 0;
    size_t main_len = strcspn(type, "/");
    char any[64];
    if (main_len + 3 <= sizeof(any)) {
        memcpy(any, type, main_len);
        memcpy(any + main_len, "/*", 3);
        found = look_up(m, header, any, main_len + 2);
        if (found >= 0)
            return found > 0;
    }
    return look_up(m, header, "*/*", 3) > 0;
}

int http_accept(const struct http_message *m, const char *const *types, size_t n)
{
    return http_accept_of(m, "Accept", types, n);
}

int http_accept_of(const struct http_message *m, const char *header, const char *const *types, size_t n)
{
    if (http_header(m, header) == NULL)
        return n > 0 ? 0 : -1;
    for (size_t i = 0; i < n; i++) {
        if (accepts(m, header, types[i]))
            return (int)i;
    }
    return -1;
}
