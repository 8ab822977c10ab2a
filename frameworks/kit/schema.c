/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/kit/schema.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/check.h"

static void complain(struct problems *out, const char *path, const char *code)
{
    problems_add(out, path[0] ? path : "/", "%s", code);
}

static bool is_word(const struct schema *t, const char *s)
{
    for (const char *const *words = t->words; *words; words++) {
        if (t->is_exact ? strcmp(*words, s) == 0 : strcasecmp(*words, s) == 0)
            return true;
    }
    return false;
}

static void check_string(const struct schema *t, const json_t *v, const char *path, struct problems *out)
{
    if (!json_is_string(v)) {
        complain(out, path, "error.expected.jsstring");
        return;
    }
    const char *s = json_string_value(v);
    size_t len = json_string_length(v);
    if (strlen(s) != len)
        complain(out, path, "error.pattern");
    else if (t->words && !is_word(t, s))
        complain(out, path, "error.unknown.enum.literal");
    else if (len < t->length_min)
        complain(out, path, "error.minLength");
    else if (t->length_max && len > t->length_max)
        complain(out, path, "error.maxLength");
}

static void check_number(const struct schema *t, const json_t *v, const char *path, struct problems *out)
{
    if (!json_is_number(v)) {
        complain(out, path, "error.expected.jsnumber");
        return;
    }
    double d = json_number_value(v), min = t->min, max = t->max;
    bool is_int = t->kind == SCHEMA_INT;
    if (min == 0 && max == 0) {
        min = is_int ? -2147483648.0 : -1e15;
        max = is_int ? 2147483647.0 : 1e15;
    } else if (max == 0) {
        max = is_int ? 2147483647.0 : 1e15;
    }
    if (!isfinite(d) || (is_int && d != floor(d)))
        complain(out, path, is_int ? "error.expected.int" : "error.expected.jsnumber");
    else if (d < min)
        complain(out, path, "error.min");
    else if (d > max)
        complain(out, path, "error.max");
}

static void check_unknown(const struct schema *t, const json_t *v, const char *path, struct problems *out)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)v, key, value)
    {
        const struct schema_field *f = t->fields;
        while (f->name && strcmp(f->name, key) != 0)
            f++;
        if (f->name == NULL) {
            char below[PROBLEM_PATH_MAX];
            (void)snprintf(below, sizeof(below), "%s/%s", path, key); /* a long key is cut in the message */
            complain(out, below, "error.additionalProperties");
        }
    }
}

static void check_fields(const struct schema *t, const json_t *v, const char *path, struct problems *out)
{
    for (const struct schema_field *f = t->fields; f && f->name; f++) {
        char below[PROBLEM_PATH_MAX];
        (void)snprintf(below, sizeof(below), "%s/%s", path, f->name); /* table names are short */
        const json_t *value = json_object_get(v, f->name);
        if (value != NULL && !json_is_null(value))
            schema_check(&f->type, value, below, out);
        else if (f->is_required)
            complain(out, below, "error.path.missing");
    }
    if (t->is_closed)
        check_unknown(t, v, path, out);
}

static void check_array(const struct schema *t, const json_t *v, const char *path, struct problems *out)
{
    if (!json_is_array(v)) {
        complain(out, path, "error.expected.jsarray");
        return;
    }
    if (json_array_size(v) < t->length_min)
        complain(out, path, "error.minItems");
    if (t->length_max && json_array_size(v) > t->length_max) {
        complain(out, path, "error.maxItems");
        return;
    }
    for (size_t i = 0; i < json_array_size(v); i++) {
        char below[PROBLEM_PATH_MAX];
        (void)snprintf(below, sizeof(below), "%s(%zu)", path, i);
        schema_check(t->item, json_array_get(v, i), below, out);
    }
}

static void check_map(const struct schema *t, const json_t *v, const char *path, struct problems *out)
{
    if (!json_is_object(v)) {
        complain(out, path, "error.expected.jsobject");
        return;
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)v, key, value)
    {
        char below[PROBLEM_PATH_MAX];
        (void)snprintf(below, sizeof(below), "%s/%s", path, key); /* a long key is cut in the message */
        if (!json_is_null(value))
            schema_check(t->item, value, below, out);
    }
}

static void check_env(const json_t *v, const char *path, struct problems *out)
{
    if (json_is_object(v)) {
        if (!json_is_string(json_object_get(v, "secret")))
            complain(out, path, "error.expected.jsstring");
    } else if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v)) {
        complain(out, path, "error.expected.jsstring");
    }
}

void schema_check(const struct schema *t, const json_t *v, const char *path, struct problems *out)
{
    switch (t->kind) {
    case SCHEMA_STRING:
        check_string(t, v, path, out);
        return;
    case SCHEMA_INT:
    case SCHEMA_NUMBER:
        check_number(t, v, path, out);
        return;
    case SCHEMA_BOOL:
        if (!json_is_boolean(v))
            complain(out, path, "error.expected.jsboolean");
        return;
    case SCHEMA_OBJECT_OR_WORD:
        if (json_is_string(v)) {
            if (!is_word(t, json_string_value(v)))
                complain(out, path, "error.unknown.enum.literal");
            return;
        }
        /* fall through */
    case SCHEMA_OBJECT:
        if (!json_is_object(v))
            complain(out, path, "error.expected.jsobject");
        else
            check_fields(t, v, path, out);
        return;
    case SCHEMA_ARRAY:
        check_array(t, v, path, out);
        return;
    case SCHEMA_MAP:
        check_map(t, v, path, out);
        return;
    case SCHEMA_ENV:
        check_env(v, path, out);
        return;
    case SCHEMA_NUMBER_OR_WORD:
        if (!json_is_string(v))
            check_number(t, v, path, out);
        else if (!is_word(t, json_string_value(v)))
            complain(out, path, "error.unknown.enum.literal");
        return;
    case SCHEMA_ANY:
        return;
    }
    CHECK(!"kind of a schema");
}

json_t *schema_copy_without_nulls(const json_t *value)
{
    json_t *copy;
    if (json_is_object(value)) {
        copy = json_object();
        const char *key;
        json_t *v;
        json_object_foreach((json_t *)value, key, v)
        {
            if (!json_is_null(v))
                CHECK(json_object_set_new_nocheck(copy, key, schema_copy_without_nulls(v)) == 0);
        }
    } else if (json_is_array(value)) {
        copy = json_array();
        for (size_t i = 0; i < json_array_size(value); i++)
            CHECK(json_array_append_new(copy, schema_copy_without_nulls(json_array_get(value, i))) == 0);
    } else {
        copy = json_deep_copy(value);
    }
    CHECK(copy != NULL);
    return copy;
}
