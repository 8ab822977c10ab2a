/* SPDX-License-Identifier: Apache-2.0
 * codec_private.h - what the decoders and encoders of codec.c share: fields in memory as protobuf-c lays them out. */
#pragma once

#include <stdbool.h>

#include "common/wire/codec.h"

/* Of one message type; both are a matter of our own .proto files. */
#define WIRE_FIELDS_MAX 128
#define WIRE_MESSAGE_STRUCT_MAX 2048

/* Where a decoder is, for error texts: `accept.operations[2].launch`. */
struct wire_path {
    struct {
        const char *name;
        long index; /* -1: not in a list */
    } steps[WIRE_NESTING_MAX + 2];
    int depth;
};

/* One call of a decoder. */
struct wire_decoder {
    const ProtobufCMessageDescriptor *root;
    struct arena *arena;
    struct err *err;
    struct wire_path path;
};

/* One bit per field of a message. */
struct wire_field_set {
    uint64_t bits[WIRE_FIELDS_MAX / 64];
};

static inline bool wire_field_set_has(const struct wire_field_set *s, size_t i)
{
    return s->bits[i / 64] >> (i % 64) & 1;
}
static inline void wire_field_set_put(struct wire_field_set *s, size_t i, bool on)
{
    uint64_t mask = UINT64_C(1) << (i % 64);
    s->bits[i / 64] = on ? s->bits[i / 64] | mask : s->bits[i / 64] & ~mask;
}

void wire_path_push(struct wire_decoder *d, const char *name, long index);
void wire_path_pop(struct wire_decoder *d);
/* "<type>: <path>: <text>"; returns code. */
int wire_fail(struct wire_decoder *d, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Bytes of one element of a field. */
size_t wire_element_size(ProtobufCType type);
bool wire_is_map(const ProtobufCFieldDescriptor *field);
static inline void *wire_member(const ProtobufCMessage *message, unsigned offset)
{
    return (char *)(uintptr_t)message + offset;
}

ProtobufCMessage *wire_message_new(struct wire_decoder *d, const ProtobufCMessageDescriptor *type);
/* Back to unset. */
void wire_field_clear(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
/* The place for a value of the field: a singular field becomes set, a repeated one gets one more element. NULL and err at
 * the arena's bound. */
void *wire_field_add(struct wire_decoder *d, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
/* At the end of a message: required fields, map entries. `seen` are the fields that were in the input. */
int wire_message_finish(struct wire_decoder *d, ProtobufCMessage *message, const struct wire_field_set *seen);

ProtobufCMessage *wire_decode_json(struct wire_decoder *d, const void *data, size_t len);
ProtobufCMessage *wire_decode_protobuf(struct wire_decoder *d, const void *data, size_t len);
