/* SPDX-License-Identifier: Apache-2.0
 * codec.h - any protobuf-c message to and from JSON and packed bytes, by its descriptor (facts: mesos 0.4). No code per
 * message. Map fields are repeated `XxxEntry {key = 1, value = 2}` messages and become JSON objects. */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/json.h"

#define WIRE_MESSAGE_BYTES_MAX (8u << 20)
#define WIRE_NESTING_MAX 32 /* messages within each other; with lists between, at most JSON_DEPTH_MAX levels of JSON */

enum wire_format { WIRE_JSON, WIRE_PROTOBUF };
const char *wire_media_type(enum wire_format format); /* "application/json", "application/x-protobuf" */

/* Parses one message into the arena (nothing to free). NULL on error: text for a 400 answer in err. Limits: 8 MiB,
 * 32 messages within each other, JSON depth 64 in what is ignored too, and the arena's own bound. Both formats give the
 * same guarantees:
 * - required fields are there, at every level;
 * - an enum field holds a value of its enum: an unknown one is dropped, in a required field it is an error;
 * - map entries have key and value, and no key twice (the last one wins);
 * - unknown fields are dropped;
 * - a field given twice: the last one wins, but a singular message given twice in protobuf is an error (no merging).
 * Strings are valid UTF-8 in JSON; in protobuf they are taken as they are, up to a NUL. Doubles may be infinite or NaN. */
ProtobufCMessage *wire_decode(enum wire_format format, const ProtobufCMessageDescriptor *type, const void *data, size_t len,
                              struct arena *arena, struct err *err);
#define wire_unpack(type_descriptor, data, len, arena, err)                                                                \
    wire_decode(WIRE_PROTOBUF, type_descriptor, data, len, arena, err)
/* The same from a JSON value that is parsed already. */
ProtobufCMessage *wire_from_json(const ProtobufCMessageDescriptor *type, const json_t *json, struct arena *arena,
                                 struct err *err);

/* Appends the message. 0, or -ENOBUFS and nothing is appended. */
int wire_encode(enum wire_format format, const ProtobufCMessage *message, struct buf *out);
void wire_to_json(const ProtobufCMessage *message, struct json_writer *w);

/* A deep copy in the arena, NULL at the arena's bound. */
ProtobufCMessage *wire_copy(const ProtobufCMessage *message, struct arena *arena);
/* Packed into malloc'd bytes, never NULL; the caller frees. */
uint8_t *wire_pack(const ProtobufCMessage *message, size_t *len);

/* Name of an enum value ("TASK_RUNNING"), "UNKNOWN" if there is none. */
const char *wire_enum_name(const ProtobufCEnumDescriptor *type, int value);
