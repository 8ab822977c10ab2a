/* SPDX-License-Identifier: Apache-2.0
 * fuzz_codec_json.c - a scheduler's call as JSON; what is decoded survives both formats unchanged. */
#include <stdint.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "mesos/v1/scheduler.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode(enum wire_format format, const ProtobufCMessage *m, struct buf *out)
{
    buf_init(out, 8 * WIRE_MESSAGE_BYTES_MAX);
    CHECK(wire_encode(format, m, out) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ProtobufCMessageDescriptor *type = &mesos__v1__scheduler__call__descriptor;
    struct arena *arena = arena_new(0);
    struct err err = {""};
    ProtobufCMessage *m = wire_decode(WIRE_JSON, type, data, size, arena, &err);
    CHECK((m == NULL) == (err.text[0] != '\0'));
    if (m != NULL) {
        struct buf json, packed, again;
        encode(WIRE_JSON, m, &json);
        encode(WIRE_PROTOBUF, m, &packed);
        ProtobufCMessage *unpacked = wire_unpack(type, buf_data(&packed), buf_len(&packed), arena, &err);
        CHECK(unpacked != NULL);
        encode(WIRE_JSON, unpacked, &again);
        CHECK(buf_len(&json) == buf_len(&again) && memcmp(buf_data(&json), buf_data(&again), buf_len(&json)) == 0);
        buf_deinit(&again);
        ProtobufCMessage *read = wire_decode(WIRE_JSON, type, buf_data(&json), buf_len(&json), arena, &err);
        CHECK(read != NULL);
        encode(WIRE_JSON, wire_copy(read, arena), &again);
        CHECK(buf_len(&json) == buf_len(&again) && memcmp(buf_data(&json), buf_data(&again), buf_len(&json)) == 0);
        buf_deinit(&again);
        buf_deinit(&json);
        buf_deinit(&packed);
    }
    arena_free(arena);
    return 0;
}
