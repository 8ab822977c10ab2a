/* SPDX-License-Identifier: Apache-2.0
 * codec_json_out.c - messages to JSON (facts: mesos 0.4). */
#include <string.h>

#include "common/wire/codec_private.h"
#include "mesos/v1/agent.pb-c.h"
#include "mesos/v1/master.pb-c.h"

static void put_element(const ProtobufCFieldDescriptor *field, const void *element, struct json_writer *w)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        json_put_int(w, *(const int32_t *)element);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        json_put_uint(w, *(const uint32_t *)element);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        json_put_int(w, *(const int64_t *)element);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        json_put_uint(w, *(const uint64_t *)element);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        json_put_double(w, (double)*(const float *)element);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        json_put_double(w, *(const double *)element);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        json_put_bool(w, *(const protobuf_c_boolean *)element);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        json_put_string(w, wire_enum_name(field->descriptor, *(const int32_t *)element));
        break;
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(char *const *)element;
        json_put_string(w, text != NULL ? text : "");
        break;
    }
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *bytes = element;
        json_put_base64(w, bytes->data, bytes->len);
        break;
    }
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessage *message = *(ProtobufCMessage *const *)element;
        if (message != NULL) {
            wire_to_json(message, w);
        } else { /* a required message that our own code left out; it packs as an empty one as well */
            json_begin_object(w);
            json_end_object(w);
        }
        break;
    }
    }
}

static bool is_printed(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (field->label == PROTOBUF_C_LABEL_REQUIRED)
        return true;
    bool is_set;
    if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE) {
        const void *value = *(void *const *)wire_member(message, field->offset);
        is_set = value != NULL && value != field->default_value;
    } else {
        is_set = *(const protobuf_c_boolean *)wire_member(message, field->quantifier_offset);
    }
    return is_set || (field->default_value != NULL && !(field->flags & PROTOBUF_C_FIELD_FLAG_DEPRECATED));
}

static void put_map(const ProtobufCMessage *const *entries, size_t count, struct json_writer *w)
{
    json_begin_object(w);
    for (size_t i = 0; i < count; i++) {
        const ProtobufCFieldDescriptor *fields = entries[i]->descriptor->fields;
        const char *key = *(char *const *)wire_member(entries[i], fields[0].offset);
        json_put_key(w, key != NULL ? key : "");
        put_element(&fields[1], wire_member(entries[i], fields[1].offset), w);
    }
    json_end_object(w);
}

static void put_list(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, size_t count,
                     struct json_writer *w)
{
    const char *list = *(char *const *)wire_member(message, field->offset);
    size_t size = wire_element_size(field->type);
    json_put_key(w, field->name);
    if (wire_is_map(field)) {
        put_map((const ProtobufCMessage *const *)(const void *)list, count, w);
        return;
    }
    json_begin_array(w);
    for (size_t i = 0; i < count; i++)
        put_element(field, list + i * size, w);
    json_end_array(w);
}

/* Answers that list all there is: these lists are printed also when they are empty, as Mesos does, whose writers of these
 * answers are not those of the general rule (measured). */
static const struct listing {
    const ProtobufCMessageDescriptor *type;
    const char *fields[5];
} listings[] = {
    {&mesos__v1__master__response__get_tasks__descriptor, {"tasks", "completed_tasks", "unreachable_tasks"}},
    {&mesos__v1__master__response__get_executors__descriptor, {"executors"}},
    {&mesos__v1__master__response__get_frameworks__descriptor, {"frameworks", "completed_frameworks"}},
    {&mesos__v1__master__response__get_agents__descriptor, {"agents", "recovered_agents"}},
    {&mesos__v1__agent__response__get_tasks__descriptor,
     {"pending_tasks", "queued_tasks", "launched_tasks", "terminated_tasks", "completed_tasks"}},
    {&mesos__v1__agent__response__get_executors__descriptor, {"executors", "completed_executors"}},
    {&mesos__v1__agent__response__get_frameworks__descriptor, {"frameworks", "completed_frameworks"}},
};

static const struct listing *find_listing(const ProtobufCMessageDescriptor *type)
{
    for (size_t i = 0; i < sizeof(listings) / sizeof(listings[0]); i++)
        if (listings[i].type == type)
            return &listings[i];
    return NULL;
}

static bool is_listed(const struct listing *listing, const ProtobufCFieldDescriptor *field)
{
    for (size_t i = 0; listing != NULL && i < sizeof(listing->fields) / sizeof(listing->fields[0]); i++)
        if (listing->fields[i] != NULL && strcmp(listing->fields[i], field->name) == 0)
            return true;
    return false;
}

/* Recursion is as deep as the message, which a decoder or our own code bounded. */
void wire_to_json(const ProtobufCMessage *message, struct json_writer *w)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    const struct listing *listing = find_listing(type);
    json_begin_object(w);
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t count = *(const size_t *)wire_member(message, field->quantifier_offset);
            if (count > 0 || is_listed(listing, field))
                put_list(message, field, count, w);
        } else if (is_printed(message, field)) {
            json_put_key(w, field->name);
            put_element(field, wire_member(message, field->offset), w);
        }
    }
    json_end_object(w);
}
