/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/marathon/app_id.h"

#include <string.h>

#include "common/base/check.h"

static size_t drop_last_segment(char *out, size_t len)
{
    while (len > 0 && out[len - 1] != '/')
        len--;
    return len > 0 ? len - 1 : 0;
}

bool app_id_resolve(const char *raw, const char *base, char out[APP_ID_SIZE])
{
    size_t len = 0;
    if (raw[0] != '/' && strcmp(base, "/") != 0) {
        len = strlen(base);
        CHECK(len <= APP_ID_MAX);
        memcpy(out, base, len);
    }
    for (const char *p = raw; *p != '\0';) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            len = drop_last_segment(out, len);
        } else if (n > 0 && !(n == 1 && p[0] == '.')) {
            if (len + 1 + n > APP_ID_MAX)
                return false;
            out[len++] = '/';
            memcpy(out + len, p, n);
            len += n;
        }
        p += n;
        p += *p == '/';
    }
    if (len == 0)
        out[len++] = '/';
    out[len] = '\0';
    return true;
}

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Dot-separated parts of lower-case letters, digits and inner dashes. */
static bool is_segment(const char *s, size_t len)
{
    bool at_start = true;
    for (size_t i = 0; i < len; i++) {
        bool ends = i + 1 == len || s[i + 1] == '.';
        if (s[i] == '.') {
            if (at_start)
                return false;
            at_start = true;
            if (i + 1 == len)
                return false;
            continue;
        }
        if (!is_lower_or_digit(s[i]) && !(s[i] == '-' && !at_start && !ends))
            return false;
        at_start = false;
    }
    return len > 0;
}

const char *app_id_problem(const char *id)
{
    static const char *const reserved[] = {"restart", "tasks", "versions", ".", ".."};
    if (strcmp(id, "/") == 0)
        return "must not be the root path";
    const char *last = id + 1;
    for (const char *p = id; *p == '/';) {
        size_t n = strcspn(p + 1, "/");
        if (!is_segment(p + 1, n))
            return "must fully match regular expression '^(([a-z0-9]|[a-z0-9][a-z0-9\\-]*[a-z0-9])\\.)*([a-z0-9]|"
                   "[a-z0-9][a-z0-9\\-]*[a-z0-9])|(\\.|\\.\\.)$'";
        last = p + 1;
        p += 1 + n;
    }
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        if (strcmp(last, reserved[i]) == 0)
            return "must not end with any of the reserved keywords: restart, tasks, versions, ., ..";
    }
    return NULL;
}

bool app_id_is_below(const char *id, const char *group)
{
    if (strcmp(group, "/") == 0)
        return strcmp(id, "/") != 0;
    size_t n = strlen(group);
    return strncmp(id, group, n) == 0 && id[n] == '/';
}

void app_id_to_safe(const char *id, char out[APP_ID_SIZE])
{
    size_t i = 0;
    for (const char *p = id[0] == '/' ? id + 1 : id; *p != '\0'; p++)
        out[i++] = *p == '/' ? '_' : *p;
    out[i] = '\0';
}

void app_id_to_name(const char *id, char out[APP_ID_SIZE])
{
    size_t len = strlen(id), at = 0;
    for (size_t end = len; end > 0;) {
        size_t begin = end;
        while (begin > 0 && id[begin - 1] != '/')
            begin--;
        if (at > 0 && end > begin)
            out[at++] = '.';
        memcpy(out + at, id + begin, end - begin);
        at += end - begin;
        end = begin > 0 ? begin - 1 : 0;
    }
    out[at] = '\0';
}
