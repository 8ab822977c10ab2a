/* SPDX-License-Identifier: Apache-2.0
 * schema.h - types and bounds of a JSON definition as a table, checked before anything reads the values. Says which key is
 * of the wrong type, not whether the whole makes sense: see app_validate.c. */
#pragma once

#include "frameworks/kit/problems.h"

enum schema_kind {
    SCHEMA_STRING, /* length_min, words, is_name */
    SCHEMA_INT,    /* min, max */
    SCHEMA_NUMBER, /* min, max */
    SCHEMA_BOOL,
    SCHEMA_OBJECT,         /* fields */
    SCHEMA_ARRAY,          /* item, items_min, items_max */
    SCHEMA_MAP,            /* object with free keys; item is the type of the values */
    SCHEMA_ENV,            /* a string or {"secret": "key"} */
    SCHEMA_NUMBER_OR_WORD, /* a number >= min or one of words */
    SCHEMA_OBJECT_OR_WORD, /* fields, or one of words */
    SCHEMA_ANY,
};

struct schema_field;
struct schema {
    enum schema_kind kind;
    const struct schema_field *fields; /* ends with a NULL name */
    const struct schema *item;
    double min, max;               /* both 0: int32 range, or any finite number */
    size_t length_min, length_max; /* of strings (bytes) and arrays; length_max 0: no bound */
    const char *const *words;      /* NULL-terminated; compared without case */
    bool is_closed;                /* of objects: other keys than fields are refused */
    bool is_exact;                 /* of words: case counts */
};
struct schema_field {
    const char *name;
    struct schema type;
    bool is_required;
};

/* Checks value, known at path ("" for the top), and adds a problem for each violation. Unknown keys are ignored
 * unless the object is closed. null counts as absent. */
void schema_check(const struct schema *type, const json_t *value, const char *path, struct problems *out);

/* A deep copy without nulls: everything after the schema check may treat absent and null alike. */
json_t *schema_copy_without_nulls(const json_t *value);
