/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/kit/pattern.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/check.h"

struct kit_pattern {
    regex_t regex;
};

/* Reads {n}, {n,} or {n,m} at p and multiplies its bound into *product. Length, 0 when it is no interval. */
static size_t measure_interval(const char *p, unsigned long *product)
{
    char *end;
    if (p[0] != '{' || !isdigit((unsigned char)p[1]))
        return 0;
    unsigned long low = strtoul(p + 1, &end, 10), high = low;
    if (*end == ',' && isdigit((unsigned char)end[1]))
        high = strtoul(end + 1, &end, 10);
    else if (*end == ',')
        end++;
    if (*end != '}')
        return 0;
    unsigned long most = high > low ? high : low;
    *product = most > KIT_PATTERN_REPEATS_MAX ? KIT_PATTERN_REPEATS_MAX + 1 : *product * (most > 0 ? most : 1);
    return (size_t)(end - p) + 1;
}

/* The escape at p in POSIX terms; NULL when it has no meaning that can be matched. */
static const char *translate_escape(char c, bool in_class, char single[3])
{
    switch (c) {
    case 'd':
        return in_class ? "0-9" : "[0-9]";
    case 'D':
        return in_class ? NULL : "[^0-9]";
    case 'w':
        return in_class ? "[:alnum:]_" : "[[:alnum:]_]";
    case 'W':
        return in_class ? NULL : "[^[:alnum:]_]";
    case 's':
        return in_class ? "[:space:]" : "[[:space:]]";
    case 'S':
        return in_class ? NULL : "[^[:space:]]";
    default:
        break;
    }
    if (c == '\0' || isalnum((unsigned char)c) || (in_class && strchr("]^-\\[", c)))
        return NULL; /* back-references, anchors, classes of other dialects; in a class POSIX has no escapes */
    single[0] = '\\';
    single[1] = c;
    single[2] = '\0';
    return in_class ? single + 1 : single;
}

static int refuse(struct err *err, const char *what)
{
    return err_set(err, -EINVAL, "%s is not supported in a regular expression", what);
}

static int translate(const char *text, struct buf *out, struct err *err)
{
    unsigned long product = 1;
    bool in_class = false, after_atom = false;
    for (const char *p = text; *p != '\0'; p++) {
        char single[3];
        size_t n;
        if (*p == '\\') {
            const char *posix = translate_escape(p[1], in_class, single);
            if (posix == NULL)
                return refuse(err, in_class ? "this escape in brackets" : "this escape");
            (void)buf_append_str(out, posix); /* overflow is looked at in the end */
            p++;
            after_atom = true;
            continue;
        }
        if (in_class) {
            in_class = *p != ']';
            after_atom = true;
        } else if (*p == '[') {
            in_class = true;
            (void)buf_append_char(out, *p);
            if (p[1] == '^')
                (void)buf_append_char(out, *++p);
            if (p[1] == ']')
                (void)buf_append_char(out, *++p);
            continue;
        } else if (strncmp(p, "(?:", 3) == 0) {
            (void)buf_append_char(out, '(');
            p += 2;
            after_atom = false;
            continue;
        } else if (strncmp(p, "(?", 2) == 0) {
            return refuse(err, "(?");
        } else if ((n = measure_interval(p, &product)) > 0 || strchr("*+?", *p)) {
            if (!after_atom)
                return refuse(err, "a quantifier after nothing or after a quantifier");
            if (product > KIT_PATTERN_REPEATS_MAX)
                return err_set(err, -EINVAL, "the repeats of a regular expression multiply to more than %d",
                               KIT_PATTERN_REPEATS_MAX);
            n = n > 0 ? n : 1;
            (void)buf_append(out, p, n);
            p += n - 1;
            after_atom = false;
            continue;
        } else {
            after_atom = *p != '(' && *p != '|';
        }
        (void)buf_append_char(out, *p);
    }
    return out->overflowed ? refuse(err, "this length") : 0;
}

struct kit_pattern *kit_pattern_new(const char *text, struct err *err)
{
    if (strlen(text) > KIT_PATTERN_BYTES_MAX) {
        (void)err_set(err, -EINVAL, "a regular expression must not be longer than %d bytes", KIT_PATTERN_BYTES_MAX);
        return NULL;
    }
    struct buf b;
    buf_init(&b, 16 * KIT_PATTERN_BYTES_MAX);
    (void)buf_append_str(&b, "^(");
    struct kit_pattern *p = NULL;
    if (translate(text, &b, err) == 0) {
        (void)buf_append_str(&b, ")$");
        char *posix = buf_steal_str(&b);
        p = xcalloc(1, sizeof(*p));
        int result = regcomp(&p->regex, posix, REG_EXTENDED | REG_NOSUB);
        if (result != 0) {
            char why[128];
            (void)regerror(result, &p->regex, why, sizeof(why));
            (void)err_set(err, -EINVAL, "%s", why);
            free(p);
            p = NULL;
        }
        free(posix);
    }
    buf_deinit(&b);
    return p;
}

struct kit_pattern *kit_pattern_free(struct kit_pattern *p)
{
    if (p) {
        regfree(&p->regex);
        free(p);
    }
    return NULL;
}

bool kit_pattern_matches(const struct kit_pattern *p, const char *whole)
{
    return regexec(&p->regex, whole, 0, NULL, 0) == 0;
}
