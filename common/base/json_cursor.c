/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/json_cursor.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "common/base/text.h"

#define NUMBER_CHARS_MAX 512

void json_cursor_init(struct json_cursor *c, const void *text, size_t len, struct arena *arena, struct err *err)
{
    if (len == 0)
        text = ""; /* NULL in an empty buffer */
    *c = (struct json_cursor){.begin = text, .at = text, .end = (const char *)text + len, .arena = arena, .err = err};
}

int json_cursor_fail(struct json_cursor *c, int code, const char *what)
{
    size_t line = 1;
    const char *line_start = c->begin;
    for (const char *p = c->begin; p < c->at; p++)
        if (*p == '\n') {
            line++;
            line_start = p + 1;
        }
    return err_set(c->err, code, "JSON: line %zu column %zu: %s", line, (size_t)(c->at - line_start) + 1, what);
}

char json_cursor_peek(struct json_cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\r' || *c->at == '\t'))
        c->at++;
    return c->at < c->end ? *c->at : '\0';
}

int json_cursor_begin(struct json_cursor *c, char open)
{
    if (json_cursor_peek(c) != open)
        return json_cursor_fail(c, -EINVAL, open == '{' ? "an object was expected" : "an array was expected");
    if (c->depth == JSON_DEPTH_MAX)
        return json_cursor_fail(c, -EINVAL, "nested too deep");
    c->depth++;
    c->at++;
    return 0;
}

int json_cursor_next(struct json_cursor *c, char close, bool *first)
{
    char next = json_cursor_peek(c);
    bool is_first = *first;
    *first = false;
    if (next == close) {
        c->at++;
        c->depth--;
        return 0;
    }
    if (is_first)
        return 1;
    if (next != ',')
        return json_cursor_fail(c, -EINVAL, close == '}' ? "',' or '}' was expected" : "',' or ']' was expected");
    c->at++;
    return 1;
}

int json_cursor_key(struct json_cursor *c, struct json_slice *key)
{
    int rc = json_cursor_string(c, key);
    if (rc != 0)
        return rc;
    if (json_cursor_peek(c) != ':')
        return json_cursor_fail(c, -EINVAL, "':' was expected");
    c->at++;
    return 0;
}

static bool is_plain(unsigned char ch)
{
    return ch >= 0x20 && ch < 0x80 && ch != '"' && ch != '\\';
}

/* Moves over characters that stand for themselves; the cursor ends on a quote or a backslash. */
static int skip_unescaped(struct json_cursor *c)
{
    for (;;) {
        while (c->at < c->end && is_plain((unsigned char)*c->at))
            c->at++;
        if (c->at == c->end)
            return json_cursor_fail(c, -EINVAL, "the string does not end");
        if (*c->at == '"' || *c->at == '\\')
            return 0;
        if ((unsigned char)*c->at < 0x20)
            return json_cursor_fail(c, -EINVAL, "a control character in a string");
        uint32_t code;
        size_t used = text_utf8_next(c->at, (size_t)(c->end - c->at), &code);
        if (used == 0)
            return json_cursor_fail(c, -EINVAL, "invalid UTF-8");
        c->at += used;
    }
}

static int take_hex4(struct json_cursor *c, uint32_t *out)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++, c->at++) {
        char ch = c->at < c->end ? *c->at : '\0';
        uint32_t digit;
        if (ch >= '0' && ch <= '9')
            digit = (uint32_t)(ch - '0');
        else if ((ch | 32) >= 'a' && (ch | 32) <= 'f')
            digit = (uint32_t)((ch | 32) - 'a' + 10);
        else
            return json_cursor_fail(c, -EINVAL, "four hexadecimal digits were expected");
        v = v << 4 | digit;
    }
    *out = v;
    return 0;
}

/* Behind `\u`: one code point, from two escapes when it is a surrogate pair. */
static int take_code_point(struct json_cursor *c, uint32_t *out)
{
    uint32_t high, low;
    int rc = take_hex4(c, &high);
    if (rc != 0)
        return rc;
    if (high == 0)
        return json_cursor_fail(c, -EINVAL, "NUL in a string");
    if (high < 0xd800 || high > 0xdfff) {
        *out = high;
        return 0;
    }
    if (high >= 0xdc00 || c->end - c->at < 2 || c->at[0] != '\\' || c->at[1] != 'u')
        return json_cursor_fail(c, -EINVAL, "half of a surrogate pair");
    c->at += 2;
    rc = take_hex4(c, &low);
    if (rc != 0)
        return rc;
    if (low < 0xdc00 || low > 0xdfff)
        return json_cursor_fail(c, -EINVAL, "half of a surrogate pair");
    *out = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    return 0;
}

static char *put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t marks[] = {0, 0xc0, 0xe0, 0xf0};
    *to++ = (char)(marks[more] | code >> (6 * more));
    while (more-- > 0)
        *to++ = (char)(0x80 | (code >> (6 * more) & 0x3f));
    return to;
}

/* The cursor stands on a backslash. An escape is never shorter than what it stands for. */
static int take_escape(struct json_cursor *c, char **to)
{
    static const char from[] = "\"\\/bfnrt";
    static const char meaning[] = "\"\\/\b\f\n\r\t";
    char ch = ++c->at < c->end ? *c->at : '\0';
    const char *at = ch != '\0' ? strchr(from, ch) : NULL;
    if (at != NULL) {
        c->at++;
        *(*to)++ = meaning[at - from];
        return 0;
    }
    if (ch != 'u')
        return json_cursor_fail(c, -EINVAL, "an unknown escape");
    c->at++;
    uint32_t code = 0;
    int rc = take_code_point(c, &code);
    if (rc == 0)
        *to = put_utf8(*to, code);
    return rc;
}

/* Where the string that the cursor is in ends at the latest: its quote, or the end of the text. */
static const char *find_string_end(const struct json_cursor *c)
{
    const char *p = c->at;
    while (p < c->end && *p != '"')
        p += *p == '\\' ? 2 : 1;
    return p < c->end ? p : c->end;
}

/* start..at is read, at is on the first backslash. */
static int take_escaped_string(struct json_cursor *c, const char *start, struct json_slice *out)
{
    char *copy = arena_alloc(c->arena, (size_t)(find_string_end(c) - start) + 1);
    if (copy == NULL)
        return json_cursor_fail(c, -ENOMEM, "too much to decode");
    char *to = copy;
    for (;;) {
        memcpy(to, start, (size_t)(c->at - start));
        to += c->at - start;
        if (*c->at == '"')
            break;
        int rc = take_escape(c, &to);
        if (rc != 0)
            return rc;
        start = c->at;
        rc = skip_unescaped(c);
        if (rc != 0)
            return rc;
    }
    c->at++;
    *out = (struct json_slice){copy, (size_t)(to - copy)};
    return 0;
}

int json_cursor_string(struct json_cursor *c, struct json_slice *out)
{
    if (json_cursor_peek(c) != '"')
        return json_cursor_fail(c, -EINVAL, "a string was expected");
    const char *start = ++c->at;
    int rc = skip_unescaped(c);
    if (rc != 0)
        return rc;
    if (*c->at == '\\')
        return take_escaped_string(c, start, out);
    *out = (struct json_slice){start, (size_t)(c->at - start)};
    c->at++;
    return 0;
}

/* As json_cursor_string without a place for the result. */
static int skip_string(struct json_cursor *c)
{
    c->at++;
    for (;;) {
        int rc = skip_unescaped(c);
        if (rc != 0)
            return rc;
        if (*c->at == '"')
            break;
        char scratch[4];
        char *to = scratch;
        rc = take_escape(c, &to);
        if (rc != 0)
            return rc;
    }
    c->at++;
    return 0;
}

static size_t digit_run(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && text[n] >= '0' && text[n] <= '9')
        n++;
    return n;
}

size_t json_number_scan(const char *text, size_t len)
{
    size_t at = len > 0 && text[0] == '-';
    size_t digits = digit_run(text + at, len - at);
    if (digits == 0 || (digits > 1 && text[at] == '0'))
        return 0;
    at += digits;
    if (at < len && text[at] == '.') {
        digits = digit_run(text + at + 1, len - at - 1);
        if (digits == 0)
            return 0;
        at += 1 + digits;
    }
    if (at < len && (text[at] | 32) == 'e') {
        size_t sign = at + 1 < len && (text[at + 1] == '+' || text[at + 1] == '-');
        digits = digit_run(text + at + 1 + sign, len - at - 1 - sign);
        if (digits == 0)
            return 0;
        at += 1 + sign + digits;
    }
    return at;
}

int json_cursor_number(struct json_cursor *c, struct json_slice *out)
{
    (void)json_cursor_peek(c); /* for the blanks */
    size_t len = json_number_scan(c->at, (size_t)(c->end - c->at));
    if (len == 0)
        return json_cursor_fail(c, -EINVAL, "a value was expected");
    *out = (struct json_slice){c->at, len};
    c->at += len;
    return 0;
}

static bool take_word(struct json_cursor *c, const char *word, size_t len)
{
    (void)json_cursor_peek(c); /* for the blanks */
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, word, len) != 0)
        return false;
    c->at += len;
    return true;
}

int json_cursor_bool(struct json_cursor *c, bool *out)
{
    bool yes = take_word(c, "true", 4);
    if (!yes && !take_word(c, "false", 5))
        return json_cursor_fail(c, -EINVAL, "true or false was expected");
    *out = yes;
    return 0;
}

int json_cursor_null(struct json_cursor *c)
{
    return take_word(c, "null", 4) ? 0 : json_cursor_fail(c, -EINVAL, "null was expected");
}

/* Recursion is bounded by json_cursor_begin. */
int json_cursor_skip(struct json_cursor *c)
{
    struct json_slice slice;
    bool ignored, first = true;
    char kind = json_cursor_peek(c);
    if (kind == '"')
        return skip_string(c);
    if (kind == 't' || kind == 'f')
        return json_cursor_bool(c, &ignored);
    if (kind == 'n')
        return json_cursor_null(c);
    if (kind != '{' && kind != '[')
        return json_cursor_number(c, &slice);
    int rc = json_cursor_begin(c, kind);
    if (rc != 0)
        return rc;
    while ((rc = json_cursor_next(c, kind == '{' ? '}' : ']', &first)) == 1) {
        if (kind == '{') {
            if (json_cursor_peek(c) != '"')
                return json_cursor_fail(c, -EINVAL, "a string was expected");
            rc = skip_string(c);
            if (rc != 0)
                return rc;
            if (json_cursor_peek(c) != ':')
                return json_cursor_fail(c, -EINVAL, "':' was expected");
            c->at++;
        }
        rc = json_cursor_skip(c);
        if (rc != 0)
            return rc;
    }
    return rc;
}

int json_cursor_finish(struct json_cursor *c)
{
    (void)json_cursor_peek(c); /* for the blanks */
    return c->at == c->end ? 0 : json_cursor_fail(c, -EINVAL, "something follows the value");
}

int json_number_to_double(struct json_slice number, double *out)
{
    char text[NUMBER_CHARS_MAX + 1];
    if (number.len > NUMBER_CHARS_MAX)
        return -ERANGE;
    /* Few digits and no exponent are the rule: an exact integer over an exact power of ten is rounded once, correctly. */
    static const double scales[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    if (number.len <= 16) {
        int64_t digits = 0;
        size_t i = number.text[0] == '-', decimals = 0;
        bool in_fraction = false;
        for (; i < number.len; i++) {
            char ch = number.text[i];
            if (ch == '.') {
                in_fraction = true;
            } else if (ch >= '0' && ch <= '9') {
                digits = digits * 10 + (ch - '0');
                decimals += in_fraction;
            } else {
                break;
            }
        }
        if (i == number.len && digits < (INT64_C(1) << 53) && decimals < sizeof(scales) / sizeof(scales[0])) {
            double magnitude = (double)digits / scales[decimals];
            *out = number.text[0] == '-' ? -magnitude : magnitude;
            return 0;
        }
    }
    memcpy(text, number.text, number.len);
    text[number.len] = '\0';
    double v = strtod(text, NULL);
    if (!isfinite(v))
        return -ERANGE;
    *out = v;
    return 0;
}

/* Sign and magnitude of a whole number. */
static int to_whole(struct json_slice number, bool *negative, uint64_t *magnitude)
{
    size_t at = number.len > 0 && number.text[0] == '-';
    uint64_t v = 0;
    *negative = at == 1;
    for (; at < number.len && number.text[at] >= '0' && number.text[at] <= '9'; at++)
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(number.text[at] - '0'), &v))
            return -ERANGE;
    if (at < number.len) {
        double d;
        int rc = json_number_to_double(number, &d);
        if (rc != 0)
            return rc;
        d = fabs(d);
        if (d != floor(d))
            return -EINVAL;
        if (d >= 0x1p64)
            return -ERANGE;
        v = (uint64_t)d;
    }
    *magnitude = v;
    return 0;
}

int json_number_to_int64(struct json_slice number, int64_t *out)
{
    bool negative;
    uint64_t v;
    int rc = to_whole(number, &negative, &v);
    if (rc != 0)
        return rc;
    if (v > (uint64_t)INT64_MAX + negative)
        return -ERANGE;
    *out = negative ? (int64_t)(UINT64_C(0) - v) : (int64_t)v;
    return 0;
}

int json_number_to_uint64(struct json_slice number, uint64_t *out)
{
    bool negative;
    uint64_t v;
    int rc = to_whole(number, &negative, &v);
    if (rc != 0)
        return rc;
    if (negative && v > 0)
        return -ERANGE;
    *out = v;
    return 0;
}
