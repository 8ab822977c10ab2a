/* SPDX-License-Identifier: Apache-2.0
 * fuzz_kit_schema.c - any JSON against a table with every kind of entry: problems stay bounded and can be written as JSON,
 * and what is accepted is accepted without its nulls as well. */
#include <stdint.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "frameworks/kit/schema.h"

static const char *const words[] = {"ON", "OFF", NULL};
static const struct schema text = {.kind = SCHEMA_STRING, .length_min = 1, .length_max = 8};
static const struct schema_field inner[] = {{"n", {.kind = SCHEMA_INT, .min = 1, .max = 5}, true}, {0}};
static const struct schema_field fields[] = {
    {"s", {.kind = SCHEMA_STRING, .words = words}, false},
    {"i", {.kind = SCHEMA_INT}, false},
    {"d", {.kind = SCHEMA_NUMBER, .min = 0, .max = 9}, false},
    {"b", {.kind = SCHEMA_BOOL}, false},
    {"o", {.kind = SCHEMA_OBJECT, .fields = inner, .is_closed = true}, false},
    {"a", {.kind = SCHEMA_ARRAY, .item = &text, .length_max = 4}, false},
    {"m", {.kind = SCHEMA_MAP, .item = &text}, false},
    {"e", {.kind = SCHEMA_MAP, .item = &(const struct schema){.kind = SCHEMA_ENV}}, false},
    {"nw", {.kind = SCHEMA_NUMBER_OR_WORD, .words = words, .min = 1}, false},
    {"ow", {.kind = SCHEMA_OBJECT_OR_WORD, .words = words, .fields = inner}, false},
    {0}};
static const struct schema top = {.kind = SCHEMA_OBJECT, .fields = fields};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t check(const json_t *value)
{
    struct problems p;
    problems_init(&p);
    schema_check(&top, value, "", &p);
    size_t count = p.count;
    CHECK(json_array_size(p.details) <= PROBLEMS_MAX);
    struct buf b;
    struct json_writer w;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    problems_write(&p, &w);
    json_t *back = b.overflowed ? NULL : json_read(buf_data(&b), buf_len(&b), NULL);
    CHECK(back != NULL);
    json_decref(back);
    buf_deinit(&b);
    problems_deinit(&p);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *value = json_read(data, size, NULL);
    if (value == NULL)
        return 0;
    json_t *copy = schema_copy_without_nulls(value);
    if (check(value) == 0)
        CHECK(check(copy) == 0);
    json_decref(copy);
    json_decref(value);
    return 0;
}
