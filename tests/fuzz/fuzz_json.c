/* SPDX-License-Identifier: Apache-2.0
 * fuzz_json.c - both readers agree on what is JSON; what is read is written as ASCII on one line and reads back equal. */
#include <stdint.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "common/base/json_cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool cursor_accepts(const void *data, size_t size)
{
    struct json_cursor c;
    json_cursor_init(&c, data, size, NULL, NULL); /* skipping needs no arena */
    return json_cursor_skip(&c) == 0 && json_cursor_finish(&c) == 0;
}

/* Numbers that fit neither int64_t nor double: the cursor hands them on as text. */
static bool has_large_number(const uint8_t *data, size_t size)
{
    size_t digits = 0;
    for (size_t i = 0; i < size; i++) {
        digits = data[i] >= '0' && data[i] <= '9' ? digits + 1 : 0;
        if (digits >= 18 || data[i] == 'e' || data[i] == 'E')
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    json_t *value = json_read(data, size, &err);
    bool accepted = cursor_accepts(data, size);
    if (value == NULL) {
        CHECK(!accepted || has_large_number(data, size) || size == 0);
        return 0;
    }
    CHECK(accepted);
    struct buf out;
    struct json_writer w;
    buf_init(&out, 0);
    json_writer_init(&w, &out);
    json_put_value(&w, value);
    json_writer_finish(&w);
    if (!out.overflowed) {
        for (size_t i = 0; i < buf_len(&out); i++)
            CHECK(buf_data(&out)[i] >= 0x20 && buf_data(&out)[i] < 0x80);
        json_t *again = json_read(buf_data(&out), buf_len(&out), &err);
        CHECK(again != NULL && json_equal(value, again));
        json_decref(again);
    }
    json_decref(value);
    buf_deinit(&out);
    return 0;
}
