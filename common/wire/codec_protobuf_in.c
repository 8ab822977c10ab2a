/* SPDX-License-Identifier: Apache-2.0
 * codec_protobuf_in.c - packed bytes into messages. protobuf-c can do that too, but it recurses as deep as the input says,
 * keeps unknown fields and unknown enum values, and does not tell what was wrong. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec_private.h"

enum { SKIPPED = 1 }; /* an enum value that we do not know */

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 }; /* the low three bits of a tag */

struct input {
    const uint8_t *at, *end;
};

static bool take_varint(struct input *in, uint64_t *out)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
        uint8_t byte = *in->at++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = v;
            return true;
        }
    }
    return false;
}

static bool take_bytes(struct input *in, struct input *out)
{
    uint64_t len;
    if (!take_varint(in, &len) || len > (uint64_t)(in->end - in->at))
        return false;
    *out = (struct input){in->at, in->at + len};
    in->at += len;
    return true;
}

static bool skip(struct input *in, unsigned wire_type)
{
    uint64_t ignored;
    struct input bytes;
    size_t size = wire_type == WIRE_64 ? 8 : 4;
    switch (wire_type) {
    case WIRE_VARINT:
        return take_varint(in, &ignored);
    case WIRE_BYTES:
        return take_bytes(in, &bytes);
    case WIRE_64:
    case WIRE_32:
        if ((size_t)(in->end - in->at) < size)
            return false;
        in->at += size;
        return true;
    default: /* groups, which no message of ours ever had */
        return false;
    }
}

static unsigned wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_32;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return WIRE_64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_BYTES;
    default:
        return WIRE_VARINT;
    }
}

/* Index of the field with that number, or -1. `guess` is tried first: fields come mostly in order. */
static int find_field(const ProtobufCMessageDescriptor *type, uint32_t number, unsigned guess)
{
    if (guess < type->n_fields && type->fields[guess].id == number)
        return (int)guess;
    unsigned low = 0, high = type->n_fields;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (type->fields[middle].id == number)
            return (int)middle;
        if (type->fields[middle].id > number)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

static int read_varint_element(struct wire_decoder *d, struct input *in, const ProtobufCFieldDescriptor *field,
                               void *element)
{
    uint64_t v;
    if (!take_varint(in, &v))
        return wire_fail(d, -EINVAL, "a broken number");
    uint32_t low = (uint32_t)v;
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        *(uint64_t *)element = v;
        return 0;
    case PROTOBUF_C_TYPE_SINT64:
        *(uint64_t *)element = v >> 1 ^ (UINT64_C(0) - (v & 1));
        return 0;
    case PROTOBUF_C_TYPE_SINT32:
        *(uint32_t *)element = low >> 1 ^ (0u - (low & 1));
        return 0;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)element = v != 0;
        return 0;
    default:
        *(uint32_t *)element = low;
        return 0;
    }
}

static int read_fixed_element(struct wire_decoder *d, struct input *in, size_t size, void *element)
{
    if ((size_t)(in->end - in->at) < size)
        return wire_fail(d, -EINVAL, "cut short");
    if (size == 4) {
        uint32_t v;
        memcpy(&v, in->at, 4);
        v = le32toh(v);
        memcpy(element, &v, 4);
    } else {
        uint64_t v;
        memcpy(&v, in->at, 8);
        v = le64toh(v);
        memcpy(element, &v, 8);
    }
    in->at += size;
    return 0;
}

static int read_message(struct wire_decoder *d, struct input in, ProtobufCMessage *message);

static int read_submessage(struct wire_decoder *d, struct input in, const ProtobufCMessageDescriptor *type,
                           ProtobufCMessage **element)
{
    /* Merging is what the format says, and no encoder makes use of; it would let a small input repeat large work. */
    if (*element != NULL)
        return wire_fail(d, -EINVAL, "a message that is given twice");
    *element = wire_message_new(d, type);
    return *element != NULL ? read_message(d, in, *element) : -ENOMEM;
}

static int read_bytes_element(struct wire_decoder *d, struct input *in, const ProtobufCFieldDescriptor *field,
                              void *element)
{
    struct input bytes;
    if (!take_bytes(in, &bytes))
        return wire_fail(d, -EINVAL, "cut short");
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return read_submessage(d, bytes, field->descriptor, element);
    size_t len = (size_t)(bytes.end - bytes.at);
    bool is_string = field->type == PROTOBUF_C_TYPE_STRING;
    uint8_t *copy = len + is_string > 0 ? arena_alloc(d->arena, len + is_string) : NULL; /* zeroed */
    if (copy == NULL && len + is_string > 0)
        return wire_fail(d, -ENOMEM, "too much to decode");
    if (len > 0)
        memcpy(copy, bytes.at, len);
    if (is_string)
        *(char **)element = (char *)copy;
    else
        *(ProtobufCBinaryData *)element = (ProtobufCBinaryData){len, copy};
    return 0;
}

static int read_enum(struct wire_decoder *d, struct input *in, ProtobufCMessage *message,
                     const ProtobufCFieldDescriptor *field)
{
    uint64_t v;
    if (!take_varint(in, &v))
        return wire_fail(d, -EINVAL, "a broken number");
    int32_t value = (int32_t)(uint32_t)v;
    if (protobuf_c_enum_descriptor_get_value(field->descriptor, value) == NULL)
        return field->label != PROTOBUF_C_LABEL_REQUIRED ? SKIPPED : wire_fail(d, -EINVAL, "unknown value %d", value);
    int32_t *element = wire_field_add(d, message, field);
    if (element == NULL)
        return -ENOMEM;
    *element = value;
    return 0;
}

/* One value. 0, SKIPPED or an error. */
static int read_element(struct wire_decoder *d, struct input *in, ProtobufCMessage *message,
                        const ProtobufCFieldDescriptor *field)
{
    if (field->type == PROTOBUF_C_TYPE_ENUM)
        return read_enum(d, in, message, field);
    void *element = wire_field_add(d, message, field);
    if (element == NULL)
        return -ENOMEM;
    switch (wire_type_of(field->type)) {
    case WIRE_VARINT:
        return read_varint_element(d, in, field, element);
    case WIRE_BYTES:
        return read_bytes_element(d, in, field, element);
    default:
        return read_fixed_element(d, in, wire_element_size(field->type), element);
    }
}

/* Repeated scalars may come as one block of bytes. */
static int read_packed(struct wire_decoder *d, struct input *in, ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field)
{
    struct input block;
    if (!take_bytes(in, &block))
        return wire_fail(d, -EINVAL, "cut short");
    while (block.at < block.end) {
        int rc = read_element(d, &block, message, field);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static long index_of_next(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return -1;
    return (long)*(const size_t *)wire_member(message, field->quantifier_offset);
}

static int read_field(struct wire_decoder *d, struct input *in, ProtobufCMessage *message,
                      const ProtobufCFieldDescriptor *field, unsigned wire_type)
{
    unsigned expected = wire_type_of(field->type);
    if (wire_type == expected)
        return read_element(d, in, message, field);
    if (wire_type == WIRE_BYTES && field->label == PROTOBUF_C_LABEL_REPEATED)
        return read_packed(d, in, message, field);
    return wire_fail(d, -EINVAL, "wire type %u instead of %u", wire_type, expected);
}

static int read_fields(struct wire_decoder *d, struct input in, ProtobufCMessage *message, struct wire_field_set *seen)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    unsigned guess = 0;
    while (in.at < in.end) {
        uint64_t tag;
        if (!take_varint(&in, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
            return wire_fail(d, -EINVAL, "a broken field tag");
        unsigned wire_type = tag & 7;
        int index = find_field(type, (uint32_t)(tag >> 3), guess);
        if (index < 0) {
            if (!skip(&in, wire_type))
                return wire_fail(d, -EINVAL, "unknown field %u is broken", (unsigned)(tag >> 3));
            continue;
        }
        const ProtobufCFieldDescriptor *field = &type->fields[index];
        wire_path_push(d, field->name, index_of_next(message, field));
        int rc = read_field(d, &in, message, field, wire_type);
        if (rc < 0)
            return rc;
        wire_path_pop(d);
        if (rc == 0)
            wire_field_set_put(seen, (size_t)index, true);
        guess = (unsigned)index + (field->label != PROTOBUF_C_LABEL_REPEATED);
    }
    return 0;
}

/* The path holds one step per message that is open around this one. */
static int read_message(struct wire_decoder *d, struct input in, ProtobufCMessage *message)
{
    struct wire_field_set seen = {{0}};
    if (d->path.depth >= WIRE_NESTING_MAX)
        return wire_fail(d, -EINVAL, "nested too deep");
    int rc = read_fields(d, in, message, &seen);
    return rc != 0 ? rc : wire_message_finish(d, message, &seen);
}

ProtobufCMessage *wire_decode_protobuf(struct wire_decoder *d, const void *data, size_t len)
{
    ProtobufCMessage *message = wire_message_new(d, d->root);
    if (message == NULL)
        return NULL;
    struct input in = {data, (const uint8_t *)data + len};
    return read_message(d, in, message) == 0 ? message : NULL;
}
