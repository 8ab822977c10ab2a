/* SPDX-License-Identifier: Apache-2.0
 * json_cursor.h - reads JSON text from left to right without building a tree; for decoders that know what they expect.
 * As strict as json_read: same grammar, JSON_DEPTH_MAX, valid UTF-8, no NUL in strings. Integers of any size are let
 * through as text. The text stays with the caller and outlives the cursor and the slices. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"

struct json_slice {
    const char *text; /* not terminated */
    size_t len;
};

struct json_cursor {
    const char *begin, *at, *end;
    int depth;
    struct arena *arena; /* for strings that have escapes */
    struct err *err;     /* may be NULL */
};

void json_cursor_init(struct json_cursor *c, const void *text, size_t len, struct arena *arena, struct err *err);

/* The first byte of the next value behind blanks: one of {["tfn-0123456789 in valid JSON; '\0' at the end of the text. */
char json_cursor_peek(struct json_cursor *c);

/* All that follow return 0 or a negative errno with the place in err: -EINVAL for bad text, -ENOMEM at the arena's bound.
 */

/* Enters an object ('{') or array ('['). */
int json_cursor_begin(struct json_cursor *c, char open);
/* Stands the cursor on the next item: 1, or 0 when the object or array was closed. *first is true before the first call and
 * belongs to the cursor. close is '}' or ']'. */
int json_cursor_next(struct json_cursor *c, char close, bool *first);
/* A key and its colon. */
int json_cursor_key(struct json_cursor *c, struct json_slice *key);
/* The slice is in the text, or in the arena when there were escapes. */
int json_cursor_string(struct json_cursor *c, struct json_slice *out);
int json_cursor_number(struct json_cursor *c, struct json_slice *out);
int json_cursor_bool(struct json_cursor *c, bool *out);
int json_cursor_null(struct json_cursor *c);
/* Any value; checked all the same. */
int json_cursor_skip(struct json_cursor *c);
/* Nothing but blanks may be left. */
int json_cursor_finish(struct json_cursor *c);
/* Puts "JSON: line L column C: " and the text into err. */
int json_cursor_fail(struct json_cursor *c, int code, const char *what);

/* Length of the JSON number that text starts with, 0 if none. */
size_t json_number_scan(const char *text, size_t len);
/* Of a slice that is one number. -EINVAL: not a whole number; -ERANGE: does not fit, longer than 512 characters included.
 * 5.0 and 1e3 are whole. */
int json_number_to_int64(struct json_slice number, int64_t *out);
int json_number_to_uint64(struct json_slice number, uint64_t *out);
int json_number_to_double(struct json_slice number, double *out);
