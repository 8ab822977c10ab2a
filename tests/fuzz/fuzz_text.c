/* SPDX-License-Identifier: Apache-2.0
 * fuzz_text.c - every parser of text.h on the same text; what parses is formatted and parses to the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/json_cursor.h"
#include "common/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_forms(const char *s)
{
    char duration[TEXT_DURATION_SIZE], time[TEXT_TIME_SIZE];
    int64_t v, again;
    uint64_t u;
    double d;
    bool b;
    if (text_to_duration_ns(s, &v) == 0) {
        text_format_duration_ns(v, duration);
        CHECK(text_to_duration_ns(duration, &again) == 0 && again == v);
    }
    if (text_to_time_ms(s, &v) == 0) {
        text_format_time_ms(v, time);
        if (v >= INT64_C(-62167219200000) && v < INT64_C(253402300800000)) /* an offset leads out of the four-digit years */
            CHECK(text_to_time_ms(time, &again) == 0 && again == v);
    }
    if (text_to_int64(s, &v) == 0 && v >= 0 && s[0] != '-')
        CHECK(text_to_uint64(s, &u) == 0 && u == (uint64_t)v);
    (void)text_to_double(s, &d); /* for what the sanitizers say, here and below */
    (void)text_to_bool(s, &b);
    (void)text_is_valid_id(s);
    (void)text_is_valid_container_id(s);
    (void)text_is_valid_role(s);
}

static void check_numbers(const char *s, size_t len)
{
    struct json_slice number = {s, json_number_scan(s, len)};
    int64_t i;
    uint64_t u;
    double d, direct;
    if (number.len == 0)
        return;
    (void)json_number_to_int64(number, &i);
    (void)json_number_to_uint64(number, &u);
    if (number.len == len && json_number_to_double(number, &d) == 0)
        CHECK(text_to_double(s, &direct) == 0 && memcmp(&d, &direct, sizeof(d)) == 0);
}

static void check_base64(const char *s, size_t size)
{
    size_t len, again;
    if (text_base64_decode(s, size, NULL, &len) != 0)
        return;
    uint8_t *bytes = xmalloc(len + 1);
    struct buf out;
    buf_init(&out, 0);
    CHECK(text_base64_decode(s, size, bytes, &again) == 0 && again == len);
    text_base64_encode(bytes, len, &out);
    CHECK(buf_len(&out) == size && (size == 0 || memcmp(buf_data(&out), s, size) == 0)); /* one text for each value */
    buf_deinit(&out);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *s = xstrndup((const char *)data, size);
    check_forms(s);
    check_numbers(s, strlen(s));
    check_base64((const char *)data, size);
    (void)text_is_utf8(data, size);
    CHECK(text_equals_secret(data, size, s, strlen(s)) == (strlen(s) == size));
    size_t before = strlen(s);
    if (text_percent_decode(s, true) == 0)
        CHECK(strlen(s) <= before);
    free(s);
    return 0;
}
