/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/text.h"

/* jansson's parser and json_decref recurse, so the depth is known before they run. Strings are skipped; whether the rest
 * is JSON at all is left to the parser. */
static bool is_too_deep(const char *text, size_t len)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > JSON_DEPTH_MAX)
                return true;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return false;
}

json_t *json_read(const void *text, size_t len, struct err *err)
{
    if (len == 0) {
        (void)err_set(err, -EINVAL, "JSON: the text is empty");
        return NULL;
    }
    if (memchr(text, '\0', len) != NULL) {
        (void)err_set(err, -EINVAL, "JSON: a NUL byte in the text"); /* jansson takes some of them for the end */
        return NULL;
    }
    if (is_too_deep(text, len)) {
        (void)err_set(err, -EINVAL, "JSON: nested deeper than %d", JSON_DEPTH_MAX);
        return NULL;
    }
    json_error_t why;
    json_t *value = json_loadb(text, len, JSON_DECODE_ANY, &why);
    if (value == NULL)
        (void)err_set(err, -EINVAL, "JSON: line %d column %d: %s", why.line, why.column, why.text);
    return value;
}

static bool bit_get(const uint64_t *bits, int i)
{
    return bits[i / 64] >> (i % 64) & 1;
}

static void bit_put(uint64_t *bits, int i, bool on)
{
    uint64_t mask = UINT64_C(1) << (i % 64);
    bits[i / 64] = on ? bits[i / 64] | mask : bits[i / 64] & ~mask;
}

void json_writer_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out};
}

void json_writer_finish(const struct json_writer *w)
{
    CHECK(w->depth == 0 && !w->after_key);
}

/* Bookkeeping in front of an item of the present level. True when a comma belongs before it. */
static bool item_begins(struct json_writer *w, bool is_key)
{
    if (w->depth == 0) {
        CHECK(!is_key);
        return false;
    }
    int level = w->depth - 1;
    if (w->after_key) {
        CHECK(!is_key);
        w->after_key = false;
        return false;
    }
    CHECK(bit_get(w->is_object_bits, level) == is_key);
    bool comma = bit_get(w->has_item_bits, level);
    if (!comma)
        bit_put(w->has_item_bits, level, true);
    return comma;
}

static void put_literal(struct json_writer *w, const char *text, size_t len)
{
    bool comma = item_begins(w, false);
    uint8_t *to = buf_reserve(w->out, len + 1);
    if (to == NULL)
        return;
    if (comma)
        *to++ = ',';
    memcpy(to, text, len);
    buf_commit(w->out, len + comma);
}

static void level_begin(struct json_writer *w, bool is_object)
{
    put_literal(w, is_object ? "{" : "[", 1);
    CHECK(w->depth < JSON_WRITER_DEPTH_MAX);
    bit_put(w->is_object_bits, w->depth, is_object);
    bit_put(w->has_item_bits, w->depth, false);
    w->depth++;
}

static void level_end(struct json_writer *w, bool is_object)
{
    CHECK(w->depth > 0 && !w->after_key);
    w->depth--;
    CHECK(bit_get(w->is_object_bits, w->depth) == is_object);
    (void)buf_append_char(w->out, is_object ? '}' : ']'); /* overflow shows in the buf */
}

void json_begin_object(struct json_writer *w)
{
    level_begin(w, true);
}

void json_end_object(struct json_writer *w)
{
    level_end(w, true);
}

void json_begin_array(struct json_writer *w)
{
    level_begin(w, false);
}

void json_end_array(struct json_writer *w)
{
    level_end(w, false);
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static size_t plain_run(const unsigned char *s, size_t len)
{
    size_t n = 0;
    while (n < len && is_plain(s[n]))
        n++;
    return n;
}

/* Reads one character that is not plain ASCII and writes its escape, at most 12 bytes. Returns the bytes read. */
static size_t put_escape(const unsigned char *s, size_t len, struct buf *out)
{
    static const char hex[] = "0123456789abcdef";
    static const char short_from[] = "\"\\\b\f\n\r\t";
    static const char short_to[] = "\"\\bfnrt";
    uint8_t *to = buf_reserve(out, 12);
    if (to == NULL)
        return 1;
    const char *at = s[0] != '\0' && s[0] < 0x80 ? strchr(short_from, s[0]) : NULL;
    if (at != NULL) {
        to[0] = '\\';
        to[1] = (uint8_t)short_to[at - short_from];
        buf_commit(out, 2);
        return 1;
    }
    uint32_t code;
    size_t used = text_utf8_next(s, len, &code);
    if (used == 0) {
        code = 0xfffd;
        used = 1;
    }
    uint32_t units[2] = {code, 0};
    size_t count = 1;
    if (code > 0xffff) {
        units[0] = 0xd800 + ((code - 0x10000) >> 10);
        units[1] = 0xdc00 + ((code - 0x10000) & 0x3ff);
        count = 2;
    }
    for (size_t i = 0; i < count; i++) {
        *to++ = '\\';
        *to++ = 'u';
        for (int shift = 12; shift >= 0; shift -= 4)
            *to++ = (uint8_t)hex[units[i] >> shift & 15];
    }
    buf_commit(out, 6 * count);
    return used;
}

/* The tail of a string whose first `done` bytes are plain and not yet written. */
static void put_string_body(struct buf *out, const unsigned char *s, size_t len, size_t done)
{
    while (len > 0) {
        (void)buf_append(out, s, done); /* overflow shows in the buf */
        s += done;
        len -= done;
        while (len > 0 && !is_plain(*s)) {
            size_t used = put_escape(s, len, out);
            s += used;
            len -= used;
        }
        done = plain_run(s, len);
    }
}

/* tail: what follows the closing quote, ':' after a key, '\0' for nothing. */
static void put_quoted(struct json_writer *w, const char *text, size_t len, bool comma, char tail)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t plain = plain_run(s, len);
    if (plain == len) {
        uint8_t *to = buf_reserve(w->out, len + 4);
        if (to == NULL)
            return;
        uint8_t *from = to;
        if (comma)
            *to++ = ',';
        *to++ = '"';
        if (len > 0)
            memcpy(to, s, len);
        to += len;
        *to++ = '"';
        if (tail)
            *to++ = (uint8_t)tail;
        buf_commit(w->out, (size_t)(to - from));
        return;
    }
    (void)buf_append_str(w->out, comma ? ",\"" : "\""); /* overflow shows in the buf */
    put_string_body(w->out, s, len, plain);
    (void)buf_append_char(w->out, '"');
    if (tail)
        (void)buf_append_char(w->out, tail);
}

void json_put_key(struct json_writer *w, const char *key)
{
    CHECK(w->depth > 0);
    bool comma = item_begins(w, true);
    put_quoted(w, key, strlen(key), comma, ':');
    w->after_key = true;
}

void json_put_string_n(struct json_writer *w, const char *s, size_t len)
{
    put_quoted(w, s, len, item_begins(w, false), '\0');
}

void json_put_string(struct json_writer *w, const char *s)
{
    json_put_string_n(w, s, strlen(s));
}

/* Decimal digits of v, right-aligned in end[-20..-1]; returns their start. */
static char *digits_before(char *end, uint64_t v)
{
    do {
        *--end = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    return end;
}

void json_put_uint(struct json_writer *w, uint64_t v)
{
    char text[20];
    char *from = digits_before(text + sizeof(text), v);
    put_literal(w, from, (size_t)(text + sizeof(text) - from));
}

void json_put_int(struct json_writer *w, int64_t v)
{
    char text[21];
    uint64_t magnitude = v < 0 ? UINT64_C(0) - (uint64_t)v : (uint64_t)v;
    char *from = digits_before(text + sizeof(text), magnitude);
    if (v < 0)
        *--from = '-';
    put_literal(w, from, (size_t)(text + sizeof(text) - from));
}

/* Values with at most six decimals, which is nearly all we ever print, without printf. Division of two exact integers
 * rounds as reading the decimal does, so the text reads back as v; below 4e9 neighbouring millionths are different
 * doubles, so it is the shortest as well. Returns the length, 0 when v is none of them. */
static size_t format_millionths(double v, bool keep_fraction, char *out)
{
    double magnitude = fabs(v);
    if (!(magnitude < 4e9) || (magnitude < 1e-4 && magnitude != 0))
        return 0;
    uint64_t millionths = (uint64_t)(magnitude * 1e6 + 0.5);
    if ((double)millionths / 1e6 != magnitude)
        return 0;
    char text[20];
    char *end = text + sizeof(text);
    char *from = digits_before(end, millionths / 1000000);
    size_t len = (size_t)(end - from);
    size_t at = 0;
    if (signbit(v) && (keep_fraction || magnitude != 0))
        out[at++] = '-';
    memcpy(out + at, from, len);
    at += len;
    unsigned fraction = (unsigned)(millionths % 1000000);
    if (fraction == 0 && !keep_fraction)
        return at;
    out[at++] = '.';
    unsigned scale = 100000;
    do {
        out[at++] = (char)('0' + fraction / scale);
        fraction %= scale;
        scale /= 10;
    } while (fraction > 0);
    return at;
}

/* At most 24 digits and signs plus ".0". */
static size_t format_double(double v, bool keep_fraction, char out[40])
{
    size_t len = format_millionths(v, keep_fraction, out);
    if (len > 0)
        return len;
    if (!keep_fraction && fabs(v) < 1e15 && v == floor(v))
        return (size_t)snprintf(out, 40, "%.0f", v);
    for (int precision = 15; precision <= 17; precision++) {
        len = (size_t)snprintf(out, 40, "%.*g", precision, v);
        if (strtod(out, NULL) == v)
            break;
    }
    if (keep_fraction && strpbrk(out, ".e") == NULL) {
        memcpy(out + len, ".0", 2);
        len += 2;
    }
    return len;
}

static void put_real(struct json_writer *w, double v, bool keep_fraction)
{
    char text[40];
    if (isnan(v))
        json_put_string(w, "NaN");
    else if (isinf(v))
        json_put_string(w, v > 0 ? "Infinity" : "-Infinity");
    else
        put_literal(w, text, format_double(v, keep_fraction, text));
}

void json_put_double(struct json_writer *w, double v)
{
    put_real(w, v, true);
}

void json_put_number(struct json_writer *w, double v)
{
    put_real(w, v, false);
}

void json_put_bool(struct json_writer *w, bool v)
{
    if (v)
        put_literal(w, "true", 4);
    else
        put_literal(w, "false", 5);
}

void json_put_null(struct json_writer *w)
{
    put_literal(w, "null", 4);
}

void json_put_base64(struct json_writer *w, const void *data, size_t len)
{
    put_literal(w, "\"", 1);
    text_base64_encode(data, len, w->out);
    (void)buf_append_char(w->out, '"'); /* overflow shows in the buf */
}

void json_put_raw(struct json_writer *w, const void *text, size_t len)
{
    CHECK(len > 0);
    put_literal(w, text, len);
}

/* Recursion ends at the writer's depth bound; trees from json_read are JSON_DEPTH_MAX deep at most. */
void json_put_value(struct json_writer *w, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: {
        const char *key;
        json_t *item;
        json_begin_object(w);
        json_object_foreach((json_t *)(uintptr_t)value, key, item)
        {
            json_put_key(w, key);
            json_put_value(w, item);
        }
        json_end_object(w);
        break;
    }
    case JSON_ARRAY:
        json_begin_array(w);
        for (size_t i = 0; i < json_array_size(value); i++)
            json_put_value(w, json_array_get(value, i));
        json_end_array(w);
        break;
    case JSON_STRING:
        json_put_string_n(w, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        json_put_int(w, json_integer_value(value));
        break;
    case JSON_REAL:
        json_put_double(w, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        json_put_bool(w, json_typeof(value) == JSON_TRUE);
        break;
    case JSON_NULL:
        json_put_null(w);
        break;
    }
}
