/* SPDX-License-Identifier: Apache-2.0
 * codec_json_in.c - JSON text straight into messages, without a tree between (facts: mesos 0.4). */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/json_cursor.h"
#include "common/base/text.h"
#include "common/wire/codec_private.h"

enum { SKIPPED = 1 }; /* the value is as good as absent: null, or an enum name that we do not know */

static int slice_compare(struct json_slice s, const char *name)
{
    int rc = strncmp(s.text, name, s.len); /* slices of a cursor hold no NUL */
    return rc != 0 ? rc : name[s.len] != '\0' ? -1 : 0;
}

/* Index of the field, or -1. `guess` is where it stands when the fields come in the order of their numbers. */
static int find_field(const ProtobufCMessageDescriptor *type, struct json_slice name, unsigned guess)
{
    if (guess < type->n_fields && slice_compare(name, type->fields[guess].name) == 0)
        return (int)guess;
    unsigned low = 0, high = type->n_fields;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        unsigned index = type->fields_sorted_by_name[middle];
        int order = slice_compare(name, type->fields[index].name);
        if (order == 0)
            return (int)index;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

static const ProtobufCEnumValue *find_enum_value(const ProtobufCEnumDescriptor *type, struct json_slice name)
{
    unsigned low = 0, high = type->n_value_names;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        int order = slice_compare(name, type->values_by_name[middle].name);
        if (order == 0)
            return &type->values[type->values_by_name[middle].index];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static int read_enum(struct wire_decoder *d, struct json_cursor *c, const ProtobufCFieldDescriptor *field, void *element)
{
    struct json_slice name;
    if (json_cursor_peek(c) != '"')
        return wire_fail(d, -EINVAL, "the name of an enum value was expected");
    int rc = json_cursor_string(c, &name);
    if (rc != 0)
        return rc;
    const ProtobufCEnumValue *value = find_enum_value(field->descriptor, name);
    if (value != NULL) {
        *(int32_t *)element = value->value;
        return 0;
    }
    if (field->label != PROTOBUF_C_LABEL_REQUIRED)
        return SKIPPED;
    return wire_fail(d, -EINVAL, "unknown value \"%.*s\"", (int)(name.len < 64 ? name.len : 64), name.text);
}

static int read_string(struct wire_decoder *d, struct json_cursor *c, void *element)
{
    struct json_slice text;
    if (json_cursor_peek(c) != '"')
        return wire_fail(d, -EINVAL, "a string was expected");
    int rc = json_cursor_string(c, &text);
    if (rc != 0)
        return rc;
    char *copy = arena_alloc(d->arena, text.len + 1); /* zeroed */
    if (copy == NULL)
        return wire_fail(d, -ENOMEM, "too much to decode");
    memcpy(copy, text.text, text.len);
    *(char **)element = copy;
    return 0;
}

static int read_bytes(struct wire_decoder *d, struct json_cursor *c, void *element)
{
    struct json_slice text;
    ProtobufCBinaryData bytes = {0};
    if (json_cursor_peek(c) != '"')
        return wire_fail(d, -EINVAL, "a base64 string was expected");
    int rc = json_cursor_string(c, &text);
    if (rc != 0)
        return rc;
    if (text.len > 0) {
        bytes.data = arena_alloc(d->arena, text.len / 4 * 3 + 3);
        if (bytes.data == NULL)
            return wire_fail(d, -ENOMEM, "too much to decode");
    }
    if (text_base64_decode(text.text, text.len, bytes.data, &bytes.len) != 0)
        return wire_fail(d, -EINVAL, "invalid base64");
    *(ProtobufCBinaryData *)element = bytes;
    return 0;
}

/* A number, bare or in quotes. *is_word: quoted, and not a number as JSON has them. */
static int read_number_slice(struct wire_decoder *d, struct json_cursor *c, struct json_slice *number, bool *is_word)
{
    char kind = json_cursor_peek(c);
    int rc;
    *is_word = false;
    if (kind == '"') {
        rc = json_cursor_string(c, number);
        *is_word = rc == 0 && (number->len == 0 || json_number_scan(number->text, number->len) != number->len);
        return rc;
    }
    if (kind == '-' || (kind >= '0' && kind <= '9'))
        return json_cursor_number(c, number);
    return wire_fail(d, -EINVAL, "a number was expected");
}

static bool special_double(struct json_slice word, double *out)
{
    if (slice_compare(word, "Infinity") == 0)
        *out = (double)INFINITY;
    else if (slice_compare(word, "-Infinity") == 0)
        *out = -(double)INFINITY;
    else if (slice_compare(word, "NaN") == 0)
        *out = (double)NAN;
    else
        return false;
    return true;
}

static int read_double(struct wire_decoder *d, struct json_cursor *c, double *out)
{
    struct json_slice number;
    bool is_word;
    int rc = read_number_slice(d, c, &number, &is_word);
    if (rc != 0)
        return rc;
    if (is_word)
        return special_double(number, out) ? 0 : wire_fail(d, -EINVAL, "a number was expected");
    return json_number_to_double(number, out) == 0 ? 0 : wire_fail(d, -EINVAL, "the number is out of range");
}

/* The 64 bits of a whole number within min..max, where min < 0 makes it signed. */
static int read_whole(struct wire_decoder *d, struct json_cursor *c, int64_t min, uint64_t max, uint64_t *out)
{
    struct json_slice number;
    bool is_word;
    int64_t with_sign = 0;
    uint64_t without = 0;
    int rc = read_number_slice(d, c, &number, &is_word);
    if (rc != 0)
        return rc;
    if (is_word)
        return wire_fail(d, -EINVAL, "a number was expected");
    rc = min < 0 ? json_number_to_int64(number, &with_sign) : json_number_to_uint64(number, &without);
    if (rc == -EINVAL)
        return wire_fail(d, -EINVAL, "a whole number was expected");
    if (rc != 0 || with_sign < min || (with_sign > 0 && (uint64_t)with_sign > max) || without > max)
        return wire_fail(d, -EINVAL, "the number is out of range");
    *out = min < 0 ? (uint64_t)with_sign : without;
    return 0;
}

static int read_bool(struct wire_decoder *d, struct json_cursor *c, protobuf_c_boolean *out)
{
    struct json_slice word;
    bool value = false;
    char kind = json_cursor_peek(c);
    int rc = -EINVAL;
    if (kind == 't' || kind == 'f') {
        rc = json_cursor_bool(c, &value);
    } else if (kind == '"') {
        rc = json_cursor_string(c, &word);
        if (rc != 0)
            return rc;
        value = slice_compare(word, "true") == 0;
        if (!value && slice_compare(word, "false") != 0)
            return wire_fail(d, -EINVAL, "true or false was expected");
    } else {
        return wire_fail(d, -EINVAL, "true or false was expected");
    }
    if (rc == 0)
        *out = value;
    return rc;
}

static int read_message(struct wire_decoder *d, struct json_cursor *c, ProtobufCMessage *message);

static int read_new_message(struct wire_decoder *d, struct json_cursor *c, const ProtobufCMessageDescriptor *type,
                            void *element)
{
    if (json_cursor_peek(c) != '{')
        return wire_fail(d, -EINVAL, "an object was expected");
    ProtobufCMessage *message = wire_message_new(d, type);
    if (message == NULL)
        return -ENOMEM;
    *(ProtobufCMessage **)element = message;
    return read_message(d, c, message);
}

/* One value that is neither null nor of an enum. */
static int read_element(struct wire_decoder *d, struct json_cursor *c, const ProtobufCFieldDescriptor *field, void *element)
{
    uint64_t whole = 0;
    double real;
    int rc;
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        rc = read_whole(d, c, INT32_MIN, INT32_MAX, &whole);
        *(int32_t *)element = (int32_t)whole;
        return rc;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        rc = read_whole(d, c, 0, UINT32_MAX, &whole);
        *(uint32_t *)element = (uint32_t)whole;
        return rc;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return read_whole(d, c, INT64_MIN, INT64_MAX, element);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return read_whole(d, c, 0, UINT64_MAX, element);
    case PROTOBUF_C_TYPE_FLOAT:
        rc = read_double(d, c, &real);
        if (rc == 0)
            *(float *)element = (float)real;
        return rc;
    case PROTOBUF_C_TYPE_DOUBLE:
        return read_double(d, c, element);
    case PROTOBUF_C_TYPE_BOOL:
        return read_bool(d, c, element);
    case PROTOBUF_C_TYPE_STRING:
        return read_string(d, c, element);
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(d, c, element);
    case PROTOBUF_C_TYPE_MESSAGE:
        return read_new_message(d, c, field->descriptor, element);
    case PROTOBUF_C_TYPE_ENUM:
        break; /* add_enum */
    }
    check_failed(__FILE__, __LINE__, "field type");
}

static int add_enum(struct wire_decoder *d, struct json_cursor *c, ProtobufCMessage *message,
                    const ProtobufCFieldDescriptor *field)
{
    int32_t value = 0;
    int rc = read_enum(d, c, field, &value);
    if (rc != 0)
        return rc;
    int32_t *element = wire_field_add(d, message, field);
    if (element == NULL)
        return -ENOMEM;
    *element = value;
    return 0;
}

/* Adds one value to the field unless it is null or unknown. 0, SKIPPED or an error. */
static int add_value(struct wire_decoder *d, struct json_cursor *c, ProtobufCMessage *message,
                     const ProtobufCFieldDescriptor *field)
{
    if (json_cursor_peek(c) == 'n') {
        int rc = json_cursor_null(c);
        return rc != 0 ? rc : SKIPPED;
    }
    if (field->type == PROTOBUF_C_TYPE_ENUM)
        return add_enum(d, c, message, field);
    void *element = wire_field_add(d, message, field);
    return element != NULL ? read_element(d, c, field, element) : -ENOMEM;
}

static int read_array(struct wire_decoder *d, struct json_cursor *c, ProtobufCMessage *message,
                      const ProtobufCFieldDescriptor *field)
{
    bool first = true;
    int rc = json_cursor_begin(c, '[');
    if (rc != 0)
        return rc;
    for (long i = 0; (rc = json_cursor_next(c, ']', &first)) == 1; i++) {
        wire_path_push(d, field->name, i);
        rc = add_value(d, c, message, field);
        if (rc < 0)
            return rc;
        wire_path_pop(d);
    }
    return rc;
}

/* The value of a map key as an entry; none when it is null. */
static int read_map_value(struct wire_decoder *d, struct json_cursor *c, ProtobufCMessage *message,
                          const ProtobufCFieldDescriptor *field, char *key)
{
    const ProtobufCMessageDescriptor *type = field->descriptor;
    ProtobufCMessage *entry = wire_message_new(d, type);
    if (entry == NULL)
        return -ENOMEM;
    *(char **)wire_member(entry, type->fields[0].offset) = key;
    int rc = add_value(d, c, entry, &type->fields[1]);
    if (rc != 0)
        return rc;
    ProtobufCMessage **element = wire_field_add(d, message, field);
    if (element == NULL)
        return -ENOMEM;
    *element = entry;
    return 0;
}

static int read_map(struct wire_decoder *d, struct json_cursor *c, ProtobufCMessage *message,
                    const ProtobufCFieldDescriptor *field)
{
    bool first = true;
    if (json_cursor_peek(c) != '{')
        return wire_fail(d, -EINVAL, "an object was expected");
    int rc = json_cursor_begin(c, '{');
    if (rc != 0)
        return rc;
    while ((rc = json_cursor_next(c, '}', &first)) == 1) {
        struct json_slice slice;
        rc = json_cursor_key(c, &slice);
        if (rc != 0)
            return rc;
        char *key = arena_alloc(d->arena, slice.len + 1); /* zeroed */
        if (key == NULL)
            return wire_fail(d, -ENOMEM, "too much to decode");
        memcpy(key, slice.text, slice.len);
        wire_path_push(d, key, -1);
        rc = read_map_value(d, c, message, field, key);
        if (rc < 0)
            return rc;
        wire_path_pop(d);
    }
    return rc;
}

/* 0, SKIPPED (the field stays unset) or an error. */
static int read_field(struct wire_decoder *d, struct json_cursor *c, ProtobufCMessage *message,
                      const ProtobufCFieldDescriptor *field)
{
    char kind = json_cursor_peek(c);
    if (field->label != PROTOBUF_C_LABEL_REPEATED || kind == 'n')
        return kind == '[' ? wire_fail(d, -EINVAL, "an array was not expected") : add_value(d, c, message, field);
    if (wire_is_map(field))
        return read_map(d, c, message, field);
    if (kind == '[') {
        wire_path_pop(d); /* read_array names the field with the index */
        int rc = read_array(d, c, message, field);
        if (rc == 0)
            wire_path_push(d, field->name, -1);
        return rc;
    }
    return add_value(d, c, message, field); /* a list of one, written without brackets */
}

/* The path holds one step per message that is open around this one. */
static int read_message(struct wire_decoder *d, struct json_cursor *c, ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    struct wire_field_set seen = {{0}};
    unsigned guess = 0;
    bool first = true;
    if (d->path.depth >= WIRE_NESTING_MAX)
        return wire_fail(d, -EINVAL, "nested too deep");
    int rc = json_cursor_begin(c, '{');
    if (rc != 0)
        return rc;
    while ((rc = json_cursor_next(c, '}', &first)) == 1) {
        struct json_slice name;
        rc = json_cursor_key(c, &name);
        if (rc != 0)
            return rc;
        int index = find_field(type, name, guess);
        if (index < 0) {
            rc = json_cursor_skip(c);
            if (rc != 0)
                return rc;
            continue;
        }
        const ProtobufCFieldDescriptor *field = &type->fields[index];
        if (wire_field_set_has(&seen, (size_t)index))
            wire_field_clear(message, field); /* the same key again: the last one wins */
        wire_path_push(d, field->name, -1);
        rc = read_field(d, c, message, field);
        if (rc < 0)
            return rc;
        wire_path_pop(d);
        wire_field_set_put(&seen, (size_t)index, rc == 0);
        guess = (unsigned)index + 1;
    }
    return rc != 0 ? rc : wire_message_finish(d, message, &seen);
}

ProtobufCMessage *wire_decode_json(struct wire_decoder *d, const void *data, size_t len)
{
    struct json_cursor c;
    ProtobufCMessage *message = NULL;
    json_cursor_init(&c, data, len, d->arena, d->err);
    int rc = read_new_message(d, &c, d->root, &message);
    if (rc == 0)
        rc = json_cursor_finish(&c);
    return rc == 0 ? message : NULL;
}
