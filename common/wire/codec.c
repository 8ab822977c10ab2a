/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/codec.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec_private.h"

#define JSON_TEXT_BYTES_MAX (64u << 20) /* of a parsed value that is written out again; escapes make it larger */

const char *wire_media_type(enum wire_format format)
{
    return format == WIRE_JSON ? "application/json" : "application/x-protobuf";
}

const char *wire_enum_name(const ProtobufCEnumDescriptor *type, int value)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(type, value);
    return v != NULL ? v->name : "UNKNOWN";
}

void wire_path_push(struct wire_decoder *d, const char *name, long index)
{
    CHECK((size_t)d->path.depth < sizeof(d->path.steps) / sizeof(d->path.steps[0]));
    d->path.steps[d->path.depth].name = name;
    d->path.steps[d->path.depth].index = index;
    d->path.depth++;
}

void wire_path_pop(struct wire_decoder *d)
{
    CHECK(d->path.depth > 0);
    d->path.depth--;
}

/* Names and keys from the input become part of a line that people and logs read. */
static void replace_control_characters(char *s)
{
    for (; *s != '\0'; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

int wire_fail(struct wire_decoder *d, int code, const char *fmt, ...)
{
    char text[256], path[256] = "";
    size_t used = 0;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* a cut text is still a text */
    va_end(ap);
    for (int i = 0; i < d->path.depth && used < sizeof(path); i++) {
        const char *dot = i > 0 ? "." : "";
        int n = d->path.steps[i].index < 0 ? snprintf(path + used, sizeof(path) - used, "%s%s", dot, d->path.steps[i].name)
                                           : snprintf(path + used, sizeof(path) - used, "%s%s[%ld]", dot,
                                                      d->path.steps[i].name, d->path.steps[i].index);
        used += (size_t)n;
    }
    replace_control_characters(text);
    replace_control_characters(path);
    return err_set(d->err, code, "%s%s%s: %s", d->root->short_name, used > 0 ? ": " : "", path, text);
}

size_t wire_element_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM:
        return 4;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    }
    check_failed(__FILE__, __LINE__, "field type");
}

bool wire_is_map(const ProtobufCFieldDescriptor *field)
{
    if (field->label != PROTOBUF_C_LABEL_REPEATED || field->type != PROTOBUF_C_TYPE_MESSAGE)
        return false;
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    if (entry->n_fields != 2 || entry->fields[0].id != 1 || entry->fields[1].id != 2 ||
        entry->fields[0].type != PROTOBUF_C_TYPE_STRING || strcmp(entry->fields[0].name, "key") != 0 ||
        strcmp(entry->fields[1].name, "value") != 0)
        return false;
    size_t len = strlen(entry->short_name);
    return len > 5 && strcmp(entry->short_name + len - 5, "Entry") == 0;
}

ProtobufCMessage *wire_message_new(struct wire_decoder *d, const ProtobufCMessageDescriptor *type)
{
    CHECK(type->n_fields <= WIRE_FIELDS_MAX && type->sizeof_message <= WIRE_MESSAGE_STRUCT_MAX &&
          type->message_init != NULL);
    ProtobufCMessage *message = arena_alloc(d->arena, type->sizeof_message);
    if (message == NULL)
        (void)wire_fail(d, -ENOMEM, "too much to decode");
    else
        type->message_init(message);
    return message;
}

/* The flag that says whether a singular scalar is set; NULL for those that need none. */
static protobuf_c_boolean *presence_flag(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (field->label != PROTOBUF_C_LABEL_OPTIONAL || field->quantifier_offset == 0)
        return NULL;
    return wire_member(message, field->quantifier_offset);
}

/* What message_init says unset looks like, first enum values and defaults included. */
void wire_field_clear(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    _Alignas(16) char bytes[WIRE_MESSAGE_STRUCT_MAX];
    ProtobufCMessage *fresh = (ProtobufCMessage *)(void *)bytes;
    message->descriptor->message_init(fresh);
    bool is_list = field->label == PROTOBUF_C_LABEL_REPEATED;
    memcpy(wire_member(message, field->offset), wire_member(fresh, field->offset),
           is_list ? sizeof(void *) : wire_element_size(field->type));
    if (is_list)
        *(size_t *)wire_member(message, field->quantifier_offset) = 0;
    else if (presence_flag(message, field) != NULL)
        *presence_flag(message, field) = 0;
}

/* Lists hold 4, 8, 16... elements, so their length tells when they are full. */
static void *list_add(struct wire_decoder *d, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    size_t *count = wire_member(message, field->quantifier_offset);
    char **list = wire_member(message, field->offset);
    size_t n = *count, size = wire_element_size(field->type);
    if (n == 0 || (n >= 4 && (n & (n - 1)) == 0)) {
        char *larger = arena_alloc(d->arena, (n == 0 ? 4 : 2 * n) * size);
        if (larger == NULL) {
            (void)wire_fail(d, -ENOMEM, "too much to decode");
            return NULL;
        }
        if (n > 0)
            memcpy(larger, *list, n * size);
        *list = larger;
    }
    *count = n + 1;
    return *list + n * size;
}

void *wire_field_add(struct wire_decoder *d, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return list_add(d, message, field);
    protobuf_c_boolean *flag = presence_flag(message, field);
    if (flag != NULL)
        *flag = 1;
    return wire_member(message, field->offset);
}

static const char **entry_key(ProtobufCMessage *entry)
{
    return wire_member(entry, entry->descriptor->fields[0].offset);
}

/* An absent key or value is the default of its type, as in any protobuf map. */
static int complete_map_entry(struct wire_decoder *d, ProtobufCMessage *entry)
{
    const ProtobufCFieldDescriptor *value = &entry->descriptor->fields[1];
    if (*entry_key(entry) == NULL)
        *entry_key(entry) = arena_alloc(d->arena, 1);
    if (*entry_key(entry) == NULL)
        return wire_fail(d, -ENOMEM, "too much to decode");
    void **member = wire_member(entry, value->offset);
    if (value->type == PROTOBUF_C_TYPE_STRING && *member == NULL)
        *member = arena_alloc(d->arena, 1);
    else if (value->type == PROTOBUF_C_TYPE_MESSAGE && *member == NULL)
        return wire_fail(d, -EINVAL, "the entry \"%.64s\" has no value", *entry_key(entry));
    else
        return 0;
    return *member != NULL ? 0 : wire_fail(d, -ENOMEM, "too much to decode");
}

struct map_place {
    ProtobufCMessage *entry;
    size_t index;
};

static int compare_places(const void *a, const void *b)
{
    const struct map_place *x = a, *y = b;
    int order = strcmp(*entry_key(x->entry), *entry_key(y->entry));
    return order != 0 ? order : x->index < y->index ? -1 : 1;
}

static bool has_duplicate_key(ProtobufCMessage *const *entries, size_t count)
{
    if (count > 8)
        return true; /* perhaps */
    for (size_t i = 1; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(*entry_key(entries[i]), *entry_key(entries[j])) == 0)
                return true;
    return false;
}

/* Keeps the last entry of each key, at the place of the first. By sorting: the keys come from outside, and nobody can
 * choose them so that this becomes slow. */
static void drop_duplicate_keys(ProtobufCMessage **entries, size_t *count)
{
    size_t n = *count, kept = 0;
    if (!has_duplicate_key(entries, n))
        return;
    struct map_place *places = xmalloc(n * sizeof(*places));
    for (size_t i = 0; i < n; i++) {
        places[i] = (struct map_place){entries[i], i};
        entries[i] = NULL;
    }
    qsort(places, n, sizeof(*places), compare_places);
    for (size_t i = 0, first = 0; i < n; i++) {
        if (strcmp(*entry_key(places[i].entry), *entry_key(places[first].entry)) != 0)
            first = i;
        entries[places[first].index] = places[i].entry;
    }
    free(places);
    for (size_t i = 0; i < n; i++)
        if (entries[i] != NULL)
            entries[kept++] = entries[i];
    *count = kept;
}

static int finish_map(struct wire_decoder *d, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    size_t *count = wire_member(message, field->quantifier_offset);
    ProtobufCMessage **entries = *(ProtobufCMessage ***)wire_member(message, field->offset);
    wire_path_push(d, field->name, -1);
    for (size_t i = 0; i < *count; i++) {
        int rc = complete_map_entry(d, entries[i]);
        if (rc != 0)
            return rc;
    }
    wire_path_pop(d);
    if (*count > 1)
        drop_duplicate_keys(entries, count);
    return 0;
}

int wire_message_finish(struct wire_decoder *d, ProtobufCMessage *message, const struct wire_field_set *seen)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if (field->label == PROTOBUF_C_LABEL_REQUIRED && !wire_field_set_has(seen, i))
            return wire_fail(d, -EINVAL, "required field %s is missing", field->name);
        if (field->label == PROTOBUF_C_LABEL_REPEATED && wire_field_set_has(seen, i) && wire_is_map(field)) {
            int rc = finish_map(d, message, field);
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}

ProtobufCMessage *wire_decode(enum wire_format format, const ProtobufCMessageDescriptor *type, const void *data, size_t len,
                              struct arena *arena, struct err *err)
{
    struct wire_decoder d = {.root = type, .arena = arena, .err = err};
    if (len > WIRE_MESSAGE_BYTES_MAX) {
        (void)wire_fail(&d, -EINVAL, "larger than %u bytes", WIRE_MESSAGE_BYTES_MAX);
        return NULL;
    }
    if (len == 0)
        data = ""; /* NULL in an empty buffer */
    return format == WIRE_JSON ? wire_decode_json(&d, data, len) : wire_decode_protobuf(&d, data, len);
}

/* One decoder only: the value is written out and read again. For small bodies inside others, not for hot paths. */
ProtobufCMessage *wire_from_json(const ProtobufCMessageDescriptor *type, const json_t *json, struct arena *arena,
                                 struct err *err)
{
    struct wire_decoder d = {.root = type, .arena = arena, .err = err};
    ProtobufCMessage *message = NULL;
    struct buf text;
    struct json_writer w;
    buf_init(&text, JSON_TEXT_BYTES_MAX);
    json_writer_init(&w, &text);
    json_put_value(&w, json);
    if (text.overflowed)
        (void)wire_fail(&d, -EINVAL, "larger than %u bytes", JSON_TEXT_BYTES_MAX);
    else
        message = wire_decode_json(&d, buf_data(&text), buf_len(&text));
    buf_deinit(&text);
    return message;
}

static int encode_protobuf(const ProtobufCMessage *message, struct buf *out)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *to = buf_reserve(out, size);
    if (to == NULL)
        return -ENOBUFS;
    if (size > 0)
        CHECK(protobuf_c_message_pack(message, to) == size);
    buf_commit(out, size);
    return 0;
}

int wire_encode(enum wire_format format, const ProtobufCMessage *message, struct buf *out)
{
    if (out->overflowed)
        return -ENOBUFS;
    if (format == WIRE_PROTOBUF)
        return encode_protobuf(message, out);
    size_t before = buf_len(out);
    struct json_writer w;
    json_writer_init(&w, out);
    wire_to_json(message, &w);
    if (!out->overflowed)
        return 0;
    out->end = out->start + before;
    return -ENOBUFS;
}

uint8_t *wire_pack(const ProtobufCMessage *message, size_t *len)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = xmalloc(size > 0 ? size : 1);
    CHECK(protobuf_c_message_pack(message, bytes) == size);
    *len = size;
    return bytes;
}

static bool copy_message(struct arena *arena, const ProtobufCMessage *from, ProtobufCMessage **out);

/* element holds the bits of the original; what it points to is copied. */
static bool copy_element(struct arena *arena, const ProtobufCFieldDescriptor *field, void *element)
{
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        ProtobufCMessage **message = element;
        return *message == NULL || copy_message(arena, *message, message);
    }
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        char **text = element;
        if (*text == NULL || *text == field->default_value)
            return true;
        size_t size = strlen(*text) + 1;
        char *copy = arena_alloc(arena, size);
        if (copy == NULL)
            return false;
        *text = memcpy(copy, *text, size);
        return true;
    }
    ProtobufCBinaryData *bytes = element;
    if (bytes->len == 0)
        return true;
    uint8_t *copy = arena_alloc(arena, bytes->len);
    if (copy == NULL)
        return false;
    bytes->data = memcpy(copy, bytes->data, bytes->len);
    return true;
}

static bool copy_field(struct arena *arena, const ProtobufCFieldDescriptor *field, ProtobufCMessage *to)
{
    void *member = wire_member(to, field->offset);
    bool has_pointers = field->type == PROTOBUF_C_TYPE_MESSAGE || field->type == PROTOBUF_C_TYPE_STRING ||
                        field->type == PROTOBUF_C_TYPE_BYTES;
    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return !has_pointers || copy_element(arena, field, member);
    size_t count = *(size_t *)wire_member(to, field->quantifier_offset);
    if (count == 0) {
        *(void **)member = NULL;
        return true;
    }
    size_t size = wire_element_size(field->type);
    char *list = arena_alloc(arena, count * size);
    if (list == NULL)
        return false;
    memcpy(list, *(void **)member, count * size);
    *(void **)member = list;
    for (size_t i = 0; has_pointers && i < count; i++)
        if (!copy_element(arena, field, list + i * size))
            return false;
    return true;
}

/* Recursion is as deep as the message, which a decoder or our own code bounded. */
static bool copy_message(struct arena *arena, const ProtobufCMessage *from, ProtobufCMessage **out)
{
    const ProtobufCMessageDescriptor *type = from->descriptor;
    ProtobufCMessage *to = arena_alloc(arena, type->sizeof_message);
    if (to == NULL)
        return false;
    memcpy(to, from, type->sizeof_message);
    to->n_unknown_fields = 0; /* ours never have any: the decoders drop them */
    to->unknown_fields = NULL;
    for (unsigned i = 0; i < type->n_fields; i++)
        if (!copy_field(arena, &type->fields[i], to))
            return false;
    *out = to;
    return true;
}

ProtobufCMessage *wire_copy(const ProtobufCMessage *message, struct arena *arena)
{
    ProtobufCMessage *copy = NULL;
    return copy_message(arena, message, &copy) ? copy : NULL;
}
