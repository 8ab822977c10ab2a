/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/kit/pattern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "common/base/buf.h"

/* Behind a [ that begins a class: the length up to its end, -EINVAL: it is not for us. The class as a whole means the same
 * to both, as long as nothing in it is a class of its own or an operator. An unended one is for the engine to refuse. */
static ssize_t measure_class(const char *p, struct err *err)
{
    const char *at = p + (p[0] == '^');
    for (bool first = true; *at != '\0' && (*at != ']' || first); first = false, at++) {
        if (*at == '\\' && at[1] != '\0') {
            at++;
        } else if (*at == '[' && at[1] != ':') {
            return err_set(err, -EINVAL, "regular expression: a class inside a class is not supported");
        } else if (*at == '[') {
            const char *end = strstr(at, ":]");
            at = end ? end + 1 : at;
        } else if (*at == '&' && at[1] == '&') {
            return err_set(err, -EINVAL, "regular expression: && in a class is not supported");
        }
    }
    return at - p + (*at == ']');
}

/* (?<name>...) is (?P<name>...) to the engine; (?<= and (?<! look behind, which it refuses. */
static bool is_named_group(const char *p)
{
    return strncmp(p, "(?<", 3) == 0 && p[3] != '=' && p[3] != '!';
}

static int translate(const char *p, struct buf *out, struct err *err)
{
    while (*p != '\0') {
        size_t n = 1;
        if (p[0] == '\\' && p[1] == 'v')
            return err_set(err, -EINVAL, "regular expression: \\v is not supported"); /* a class there, a character here */
        if (p[0] == '\\' && p[1] != '\0') {
            n = 2;
        } else if (p[0] == '[') {
            ssize_t behind = measure_class(p + 1, err);
            if (behind < 0)
                return -EINVAL;
            n = 1 + (size_t)behind;
        } else if (is_named_group(p)) {
            (void)buf_append_str(out, "(?P"); /* bounded below */
            p += 2;
        }
        (void)buf_append(out, p, n);
        p += n;
    }
    return 0;
}

struct pattern *kit_pattern_new(const char *text, struct err *err)
{
    if (strlen(text) > KIT_PATTERN_BYTES_MAX) {
        (void)err_set(err, -EINVAL, "a regular expression must not be longer than %d bytes", KIT_PATTERN_BYTES_MAX);
        return NULL;
    }
    struct buf b;
    struct pattern *p = NULL;
    buf_init(&b, 2 * KIT_PATTERN_BYTES_MAX); /* a group grows by one byte */
    if (translate(text, &b, err) == 0) {
        char *expression = buf_steal_str(&b);
        p = pattern_new(expression, KIT_PATTERN_STEPS_MAX, err);
        free(expression);
    }
    buf_deinit(&b);
    return p;
}
