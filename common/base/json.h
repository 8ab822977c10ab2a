/* SPDX-License-Identifier: Apache-2.0
 * json.h - JSON in and out. Reading gives jansson values (owned by the caller, json_decref); writing appends to a buf
 * without building a tree. Output is pure ASCII on one line: everything else is escaped, because stream readers count
 * characters as bytes and split at newlines (facts: mesos 13.1 rules 3 and 4). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "common/base/buf.h"
#include "common/base/err.h"

#define JSON_DEPTH_MAX 64         /* of what is read: checked before jansson's recursive parser sees the text */
#define JSON_WRITER_DEPTH_MAX 256 /* of what is written: a read tree in several envelopes of ours */

/* Parses one value (any type) that fills the whole text. Duplicate keys: the last one wins. Strings are valid UTF-8
 * without NUL (an escaped one is refused, because strings become C strings). Integers must fit int64_t. NULL on error
 * with the line and column in err. The caller bounds len. */
json_t *json_read(const void *text, size_t len, struct err *err);

/* Writer. Commas are put by it. Misuse (value without key in an object, unbalanced ends) is a CHECK. A full buf shows
 * in buf->overflowed, the calls stay valid. */
struct json_writer {
    struct buf *out;
    uint64_t is_object_bits[JSON_WRITER_DEPTH_MAX / 64]; /* one bit per open level, 0 array 1 object */
    uint64_t has_item_bits[JSON_WRITER_DEPTH_MAX / 64];
    int depth;
    bool after_key;
};

void json_writer_init(struct json_writer *w, struct buf *out);
/* Ends must match begins: a CHECK otherwise. Call when the text is complete; optional. */
void json_writer_finish(const struct json_writer *w);
void json_begin_object(struct json_writer *w);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w);
void json_end_array(struct json_writer *w);
void json_put_key(struct json_writer *w, const char *key);
void json_put_string(struct json_writer *w, const char *s); /* UTF-8; invalid bytes become U+FFFD */
void json_put_string_n(struct json_writer *w, const char *s, size_t len);
void json_put_int(struct json_writer *w, int64_t v);
void json_put_uint(struct json_writer *w, uint64_t v);
/* Shortest form that reads back as the same double, always with a fraction or exponent (15.0, 0.1, 1e+20); NaN and
 * infinities as the quoted strings "NaN", "Infinity", "-Infinity". */
void json_put_double(struct json_writer *w, double v);
/* As json_put_double, but whole numbers without a fraction (15): the style of Marathon's answers. */
void json_put_number(struct json_writer *w, double v);
void json_put_bool(struct json_writer *w, bool v);
void json_put_null(struct json_writer *w);
void json_put_base64(struct json_writer *w, const void *data, size_t len); /* standard alphabet, padded */
void json_put_value(struct json_writer *w, const json_t *value);           /* a whole jansson tree */
void json_put_raw(struct json_writer *w, const void *text, size_t len);    /* one value that is JSON already */

/* key and value in one call */
#define json_kv_string(w, k, v) (json_put_key((w), (k)), json_put_string((w), (v)))
#define json_kv_int(w, k, v) (json_put_key((w), (k)), json_put_int((w), (v)))
#define json_kv_uint(w, k, v) (json_put_key((w), (k)), json_put_uint((w), (v)))
#define json_kv_double(w, k, v) (json_put_key((w), (k)), json_put_double((w), (v)))
#define json_kv_number(w, k, v) (json_put_key((w), (k)), json_put_number((w), (v)))
#define json_kv_bool(w, k, v) (json_put_key((w), (k)), json_put_bool((w), (v)))
#define json_kv_value(w, k, v) (json_put_key((w), (k)), json_put_value((w), (v)))
