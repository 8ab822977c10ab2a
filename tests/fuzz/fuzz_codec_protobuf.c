/* SPDX-License-Identifier: Apache-2.0
 * fuzz_codec_protobuf.c - packed bytes of several messages (the first byte says which). What is decoded survives both
 * formats, and protobuf-c reads the same from the same bytes. */
#include <stdint.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "mesos/v1/agent.pb-c.h"
#include "mesos/v1/executor.pb-c.h"
#include "mesos/v1/master.pb-c.h"
#include "mesos/v1/scheduler.pb-c.h"
#include "muster/link.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode(enum wire_format format, const ProtobufCMessage *m, struct buf *out)
{
    buf_init(out, 16 * WIRE_MESSAGE_BYTES_MAX);
    CHECK(wire_encode(format, m, out) == 0);
}

static void check_equal(const struct buf *a, const struct buf *b)
{
    CHECK(buf_len(a) == buf_len(b) && (buf_len(a) == 0 || memcmp(buf_data(a), buf_data(b), buf_len(a)) == 0));
}

/* protobuf-c keeps enum values that it does not know, ours never lets them replace a known one. */
static bool has_unknown_enum(const ProtobufCMessage *m)
{
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &m->descriptor->fields[i];
        const char *member = (const char *)m + field->offset;
        bool is_list = field->label == PROTOBUF_C_LABEL_REPEATED;
        size_t count = is_list ? *(const size_t *)(const void *)((const char *)m + field->quantifier_offset) : 1;
        const char *values = is_list ? *(char *const *)(const void *)member : member;
        for (size_t j = 0; j < count; j++) {
            if (field->type == PROTOBUF_C_TYPE_ENUM &&
                protobuf_c_enum_descriptor_get_value(field->descriptor, ((const int *)(const void *)values)[j]) == NULL)
                return true;
            if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
                const ProtobufCMessage *child = ((ProtobufCMessage *const *)(const void *)values)[j];
                if (child != NULL && has_unknown_enum(child))
                    return true;
            }
        }
    }
    return false;
}

/* protobuf-c recurses without bound, but not deeper than our decoder went before. It keeps what ours drops, so its reading
 * is packed and read by ours once more. */
static void compare_with_protobuf_c(const ProtobufCMessage *m, const uint8_t *data, size_t size, struct arena *arena)
{
    struct err err;
    ProtobufCMessage *theirs = protobuf_c_message_unpack(m->descriptor, NULL, size, data);
    if (theirs == NULL)
        return; /* stricter than ours here and there */
    if (has_unknown_enum(theirs)) {
        protobuf_c_message_free_unpacked(theirs, NULL);
        return;
    }
    struct buf bytes, ours;
    encode(WIRE_PROTOBUF, theirs, &bytes);
    ProtobufCMessage *again = wire_unpack(m->descriptor, buf_data(&bytes), buf_len(&bytes), arena, &err);
    CHECK(again != NULL);
    buf_deinit(&bytes);
    encode(WIRE_PROTOBUF, again, &bytes);
    encode(WIRE_PROTOBUF, m, &ours);
    check_equal(&ours, &bytes);
    buf_deinit(&bytes);
    buf_deinit(&ours);
    protobuf_c_message_free_unpacked(theirs, NULL);
}

static void check_formats(const ProtobufCMessage *m, struct arena *arena)
{
    struct err err;
    struct buf packed, packed_again, json, json_again;
    encode(WIRE_PROTOBUF, m, &packed);
    encode(WIRE_JSON, m, &json);
    ProtobufCMessage *again = wire_unpack(m->descriptor, buf_data(&packed), buf_len(&packed), arena, &err);
    CHECK(again != NULL);
    encode(WIRE_PROTOBUF, wire_copy(again, arena), &packed_again);
    check_equal(&packed, &packed_again);
    /* JSON prints invalid UTF-8 as U+FFFD, so it equals only from the second time on */
    again = wire_decode(WIRE_JSON, m->descriptor, buf_data(&json), buf_len(&json), arena, &err);
    CHECK(again != NULL);
    encode(WIRE_JSON, again, &json_again);
    check_equal(&json, &json_again);
    buf_deinit(&packed);
    buf_deinit(&packed_again);
    buf_deinit(&json);
    buf_deinit(&json_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        &mesos__v1__scheduler__call__descriptor,    &mesos__v1__scheduler__event__descriptor,
        &mesos__v1__master__call__descriptor,       &mesos__v1__master__response__descriptor,
        &mesos__v1__agent__call__descriptor,        &mesos__v1__executor__call__descriptor,
        &muster__link__agent_to_master__descriptor, &muster__link__master_to_agent__descriptor,
        &mesos__v1__container_id__descriptor,       &mesos__v1__volume__descriptor,
    };
    if (size == 0)
        return 0;
    const ProtobufCMessageDescriptor *type = types[data[0] % (sizeof(types) / sizeof(types[0]))];
    struct arena *arena = arena_new(0);
    struct err err = {""};
    ProtobufCMessage *m = wire_unpack(type, data + 1, size - 1, arena, &err);
    CHECK((m == NULL) == (err.text[0] != '\0'));
    if (m != NULL) {
        compare_with_protobuf_c(m, data + 1, size - 1, arena);
        check_formats(m, arena);
    }
    arena_free(arena);
    return 0;
}
