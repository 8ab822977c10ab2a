/* SPDX-License-Identifier: Apache-2.0
 * text.h - small text forms: numbers, base64, durations, ids, timestamps, UTF-8, percent-decoding. All parsers are strict:
 * the whole text must be used, anything left over is -EINVAL; values out of range are -ERANGE. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

int text_to_int64(const char *s, int64_t *out);
int text_to_uint64(const char *s, uint64_t *out);
int text_to_double(const char *s, double *out); /* finite only */
int text_to_bool(const char *s, bool *out);     /* true, false, 1, 0 */

/* base64, standard alphabet with padding. Decode: *len is the decoded length; out may be NULL to measure. */
void text_base64_encode(const void *data, size_t len, struct buf *out);
int text_base64_decode(const char *s, size_t s_len, uint8_t *out, size_t *len);

/* Durations as Mesos writes them: a decimal number followed by ns, us, ms, secs, mins, hrs, days, weeks
 * (facts: mesos 0.6). Result in nanoseconds. Format picks the largest unit that stays exact: "5secs", "15mins". */
int text_to_duration_ns(const char *s, int64_t *out);
#define TEXT_DURATION_SIZE 32
void text_format_duration_ns(int64_t ns, char out[TEXT_DURATION_SIZE]);

/* UTC `yyyy-MM-ddTHH:mm:ss.SSSZ`, from and to milliseconds since 1970. Parsing also takes times without fraction and
 * with an offset like +02:00. */
#define TEXT_TIME_SIZE 32
void text_format_time_ms(int64_t ms, char out[TEXT_TIME_SIZE]);
int text_to_time_ms(const char *s, int64_t *out);

/* Ids of tasks, executors, frameworks, volumes, agents: not empty, at most 255 bytes, not "." or "..", no control
 * characters, no '/' and no '\' (facts: mesos 1.15). */
bool text_is_valid_id(const char *s);
/* Container ids: as above, at most 242 bytes, also no '.' and no space (facts: mesos 4.3). */
bool text_is_valid_container_id(const char *s);
/* Role names (facts: mesos 6.6). */
bool text_is_valid_role(const char *s);

/* The first character of s as its code point. Returns its length in bytes, 1..4, or 0 when s does not start with a valid
 * UTF-8 sequence (overlong forms, surrogates and cut sequences are not valid). */
size_t text_utf8_next(const void *s, size_t len, uint32_t *code);
bool text_is_utf8(const void *s, size_t len);

/* Percent-decodes in place (a '+' becomes a space if plus_is_space); -EINVAL on a bad escape or an encoded NUL. */
int text_percent_decode(char *s, bool plus_is_space);

/* Equal without telling by the time it takes where they differ. For secrets and tokens. */
bool text_equals_secret(const void *a, size_t a_len, const void *b, size_t b_len);
