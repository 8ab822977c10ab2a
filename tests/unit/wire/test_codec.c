/* SPDX-License-Identifier: Apache-2.0
 * test_codec.c - data/ holds recorded messages of a Mesos 1.12.0, one a line, less two things that no v1 message says: the
 * agents' `checkpoint`, and the empty lists that its hand-written operator answers contain (`"completed_frameworks":[]`).
 */
#include "common/wire/codec.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mesos/v1/agent.pb-c.h"
#include "mesos/v1/executor.pb-c.h"
#include "mesos/v1/master.pb-c.h"
#include "mesos/v1/scheduler.pb-c.h"

#define CALL &mesos__v1__scheduler__call__descriptor
#define TASK &mesos__v1__task_info__descriptor

static struct arena *arena;
static struct err err;

static int set_up(void **state)
{
    (void)state;
    arena = arena_new(0);
    err.text[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena = arena_free(arena);
    return 0;
}

static void *decode(const ProtobufCMessageDescriptor *type, const char *json)
{
    ProtobufCMessage *m = wire_decode(WIRE_JSON, type, json, strlen(json), arena, &err);
    if (m == NULL)
        fail_msg("%s: %s", json, err.text);
    return m;
}

static void assert_refused(const ProtobufCMessageDescriptor *type, const char *json, const char *text)
{
    err.text[0] = '\0';
    assert_null(wire_decode(WIRE_JSON, type, json, strlen(json), arena, &err));
    if (strcmp(err.text, text) != 0)
        fail_msg("%s: \"%s\" instead of \"%s\"", json, err.text, text);
}

static char *to_json(const void *message)
{
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(wire_encode(WIRE_JSON, message, &out), 0);
    char *copy = arena_memdup(arena, "", 1);
    if (buf_len(&out) > 0) {
        copy = arena_alloc(arena, buf_len(&out) + 1);
        memcpy(copy, buf_data(&out), buf_len(&out));
    }
    buf_deinit(&out);
    return copy;
}

static void assert_json(const ProtobufCMessageDescriptor *type, const char *in, const char *out)
{
    assert_string_equal(to_json(decode(type, in)), out);
}

/* Through packed bytes, by our decoder. */
static ProtobufCMessage *repack(const ProtobufCMessage *message)
{
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(wire_encode(WIRE_PROTOBUF, message, &out), 0);
    ProtobufCMessage *again = wire_unpack(message->descriptor, buf_data(&out), buf_len(&out), arena, &err);
    if (again == NULL)
        fail_msg("%s", err.text);
    buf_deinit(&out);
    return again;
}

static void assert_json_equal(const char *a, const char *b)
{
    json_t *x = json_read(a, strlen(a), NULL), *y = json_read(b, strlen(b), NULL);
    assert_non_null(x);
    assert_non_null(y);
    char *first = json_dumps(x, JSON_SORT_KEYS | JSON_COMPACT), *second = json_dumps(y, JSON_SORT_KEYS | JSON_COMPACT);
    size_t at = 0;
    while (first[at] != '\0' && first[at] == second[at])
        at++;
    if (first[at] != second[at])
        fail_msg("...%.100s differs from ...%.100s", first + (at > 40 ? at - 40 : 0), second + (at > 40 ? at - 40 : 0));
    free(first);
    free(second);
    json_decref(x);
    json_decref(y);
}

static void test_recordings__come_out_as_they_went_in(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        const ProtobufCMessageDescriptor *type;
    } recordings[] = {
        {"master_responses", &mesos__v1__master__response__descriptor},
        {"agent_responses", &mesos__v1__agent__response__descriptor},
        {"scheduler_events", &mesos__v1__scheduler__event__descriptor},
        {"master_events", &mesos__v1__master__event__descriptor},
        {"executor_events", &mesos__v1__executor__event__descriptor},
        {"executor_calls", &mesos__v1__executor__call__descriptor},
    };
    size_t lines = 0;
    for (size_t i = 0; i < sizeof(recordings) / sizeof(recordings[0]); i++) {
        char path[512];
        (void)snprintf(path, sizeof(path), TEST_SOURCE_DIR "/tests/unit/wire/data/%s.jsonl", recordings[i].file);
        FILE *f = fopen(path, "re");
        assert_non_null(f);
        char *line = NULL;
        size_t size = 0;
        while (getline(&line, &size, f) > 0) {
            ProtobufCMessage *m = decode(recordings[i].type, line);
            assert_json_equal(to_json(m), line);
            assert_json_equal(to_json(repack(m)), line);
            assert_json_equal(to_json(wire_copy(m, arena)), line);
            json_t *tree = json_read(line, strlen(line), NULL);
            assert_json_equal(to_json(wire_from_json(recordings[i].type, tree, arena, &err)), line);
            json_decref(tree);
            arena_reset(arena);
            lines++;
        }
        free(line);
        (void)fclose(f); /* read only */
    }
    assert_true(lines > 40);
}

static void test_output__unset_scalars_with_a_default_are_printed(void **state)
{
    (void)state;
    assert_json(&mesos__v1__command_info__descriptor, "{}", "{\"shell\":true}");
    assert_json(&mesos__v1__command_info__uri__descriptor, "{\"value\":\"a\"}", "{\"value\":\"a\",\"extract\":true}");
    assert_json(&mesos__v1__filters__descriptor, "{}", "{\"refuse_seconds\":5.0}");
    assert_json(&mesos__v1__environment__variable__descriptor, "{\"name\":\"N\"}", "{\"name\":\"N\",\"type\":\"VALUE\"}");
    /* deprecated ones only when they are set, also when set to the default */
    assert_json(&mesos__v1__resource__descriptor, "{\"name\":\"cpus\",\"type\":\"SCALAR\"}",
                "{\"name\":\"cpus\",\"type\":\"SCALAR\"}");
    assert_json(&mesos__v1__resource__descriptor, "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"role\":\"*\"}",
                "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"role\":\"*\"}");
}

static void test_output__empty_lists_are_omitted(void **state)
{
    (void)state;
    assert_json(&mesos__v1__labels__descriptor, "{\"labels\":[]}", "{}");
    assert_json(&mesos__v1__parameters__descriptor, "{\"parameter\":null}", "{}");
}

static void test_output__full_buffer_is_left_as_it_was(void **state)
{
    (void)state;
    ProtobufCMessage *m = decode(&mesos__v1__label__descriptor, "{\"key\":\"a long key\",\"value\":\"x\"}");
    for (int format = WIRE_JSON; format <= WIRE_PROTOBUF; format++) {
        struct buf out;
        buf_init(&out, 12);
        assert_int_equal(buf_append_str(&out, "before"), 0);
        assert_int_equal(wire_encode((enum wire_format)format, m, &out), -ENOBUFS);
        assert_int_equal(buf_len(&out), 6);
        assert_memory_equal(buf_data(&out), "before", 6);
        buf_deinit(&out);
    }
}

static void test_input__numbers(void **state)
{
    (void)state;
    assert_json(&mesos__v1__value__range__descriptor, "{\"begin\":\"31000\",\"end\":18446744073709551615}",
                "{\"begin\":31000,\"end\":18446744073709551615}");
    assert_json(&mesos__v1__value__range__descriptor, "{\"begin\":5.0,\"end\":1e3}", "{\"begin\":5,\"end\":1000}");
    assert_json(&mesos__v1__duration_info__descriptor, "{\"nanoseconds\":-9223372036854775808}",
                "{\"nanoseconds\":-9223372036854775808}");
    assert_json(&mesos__v1__value__scalar__descriptor, "{\"value\":\"0.1\"}", "{\"value\":0.1}");
    assert_json(&mesos__v1__value__scalar__descriptor, "{\"value\":\"Infinity\"}", "{\"value\":\"Infinity\"}");
    assert_json(&mesos__v1__value__scalar__descriptor, "{\"value\":\"-Infinity\"}", "{\"value\":\"-Infinity\"}");
    assert_json(&mesos__v1__value__scalar__descriptor, "{\"value\":1e300}", "{\"value\":1e+300}");
    const ProtobufCMessageDescriptor *scalar = &mesos__v1__value__scalar__descriptor,
                                     *range = &mesos__v1__value__range__descriptor;
    assert_refused(scalar, "{\"value\":true}", "Scalar: value: a number was expected");
    assert_refused(scalar, "{\"value\":\"\"}", "Scalar: value: a number was expected");
    assert_refused(scalar, "{\"value\":\"1 \"}", "Scalar: value: a number was expected");
    assert_refused(scalar, "{\"value\":\"0x10\"}", "Scalar: value: a number was expected");
    assert_refused(scalar, "{\"value\":1e999}", "Scalar: value: the number is out of range");
    assert_refused(scalar, "{\"value\":Infinity}", "Scalar: value: a number was expected");
    assert_refused(range, "{\"begin\":-1,\"end\":1}", "Range: begin: the number is out of range");
    assert_refused(range, "{\"begin\":1.5,\"end\":1}", "Range: begin: a whole number was expected");
    assert_refused(range, "{\"begin\":1,\"end\":18446744073709551616}", "Range: end: the number is out of range");
    assert_refused(&mesos__v1__health_check__descriptor, "{\"consecutive_failures\":4294967296}",
                   "HealthCheck: consecutive_failures: the number is out of range");
    assert_refused(&mesos__v1__duration_info__descriptor, "{\"nanoseconds\":9223372036854775808}",
                   "DurationInfo: nanoseconds: the number is out of range");
}

static void test_input__booleans(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *uri = &mesos__v1__command_info__uri__descriptor;
    assert_json(uri, "{\"value\":\"a\",\"extract\":\"false\",\"cache\":\"true\",\"executable\":true}",
                "{\"value\":\"a\",\"executable\":true,\"extract\":false,\"cache\":true}");
    assert_refused(uri, "{\"value\":\"a\",\"cache\":1}", "URI: cache: true or false was expected");
    assert_refused(uri, "{\"value\":\"a\",\"cache\":\"yes\"}", "URI: cache: true or false was expected");
}

static void test_input__enums(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *status = &mesos__v1__task_status__descriptor;
    assert_json(status,
                "{\"task_id\":{\"value\":\"t\"},\"state\":\"TASK_RUNNING\",\"source\":\"SOURCE_NEW\",\"reason\":null}",
                "{\"task_id\":{\"value\":\"t\"},\"state\":\"TASK_RUNNING\"}");
    assert_refused(status, "{\"task_id\":{\"value\":\"t\"},\"state\":\"TASK_NEW\"}",
                   "TaskStatus: state: unknown value \"TASK_NEW\"");
    assert_refused(status, "{\"task_id\":{\"value\":\"t\"},\"state\":1}",
                   "TaskStatus: state: the name of an enum value was expected");
    assert_refused(status, "{\"task_id\":{\"value\":\"t\"},\"state\":\"TASK_RUNNIN\"}",
                   "TaskStatus: state: unknown value \"TASK_RUNNIN\"");
    Mesos__V1__Scheduler__Call *call = decode(CALL, "{\"type\":\"DANCE\"}");
    assert_false(call->has_type);
    assert_string_equal(wire_enum_name(&mesos__v1__task_state__descriptor, MESOS__V1__TASK_STATE__TASK_RUNNING),
                        "TASK_RUNNING");
    assert_string_equal(wire_enum_name(&mesos__v1__task_state__descriptor, 4711), "UNKNOWN");
}

static void test_input__bytes_are_base64(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *type = &mesos__v1__task_info__descriptor;
    const char *format = "{\"name\":\"n\",\"task_id\":{\"value\":\"t\"},\"agent_id\":{\"value\":\"a\"},\"data\":%s}";
    char text[512];
    (void)snprintf(text, sizeof(text), format, "\"aGVsb\\u0047\\u0038\\u003d\"");
    Mesos__V1__TaskInfo *task = decode(type, text);
    assert_true(task->has_data);
    assert_int_equal(task->data.len, 5);
    assert_memory_equal(task->data.data, "hello", 5);
    (void)snprintf(text, sizeof(text), format, "\"\"");
    task = decode(type, text);
    assert_true(task->has_data);
    assert_int_equal(task->data.len, 0);
    (void)snprintf(text, sizeof(text), format, "\"a\"");
    assert_refused(type, text, "TaskInfo: data: invalid base64");
    (void)snprintf(text, sizeof(text), format, "17");
    assert_refused(type, text, "TaskInfo: data: a base64 string was expected");
}

static void test_input__shapes(void **state)
{
    (void)state;
    assert_json(CALL, " { \"type\" : \"TEARDOWN\" , \"x\" : [ { \"a\" : [ 1.5e3 , null ] } ] , \"type2\":\"\\u00e9\\\\\"} ",
                "{\"type\":\"TEARDOWN\"}");
    assert_refused(CALL, "[]", "Call: an object was expected");
    assert_refused(CALL, "", "Call: an object was expected");
    assert_refused(CALL, "{\"framework_id\":\"x\"}", "Call: framework_id: an object was expected");
    assert_refused(CALL, "{\"framework_id\":[{\"value\":\"x\"}]}", "Call: framework_id: an array was not expected");
    assert_refused(CALL, "{\"framework_id\":{\"value\":7}}", "Call: framework_id.value: a string was expected");
    assert_refused(CALL, "{\"framework_id\":{\"value\":{}}}", "Call: framework_id.value: a string was expected");
    assert_refused(CALL, "{\"accept\":{\"offer_ids\":[{\"value\":\"x\"},7]}}",
                   "Call: accept.offer_ids[1]: an object was expected");
    assert_refused(CALL, "{} {}", "JSON: line 1 column 4: something follows the value");
    assert_refused(CALL, "{\n\"a\":tru}", "JSON: line 2 column 5: true or false was expected");
    assert_refused(CALL, "{\"a\":1,}", "JSON: line 1 column 8: a string was expected");
    assert_refused(CALL, "{\"a\"}", "JSON: line 1 column 5: ':' was expected");
    assert_refused(CALL, "{\"a\":\"\\ud800\"}", "JSON: line 1 column 13: half of a surrogate pair");
    assert_refused(CALL, "{\"a\":\"\\u0000\"}", "JSON: line 1 column 13: NUL in a string");
    assert_refused(CALL, "{\"a\":\"\xff\"}", "JSON: line 1 column 7: invalid UTF-8");
    assert_refused(CALL, "{\"a\":\"x", "JSON: line 1 column 8: the string does not end");
    assert_json(&mesos__v1__framework_info__descriptor,
                "{\"user\":\"u\",\"name\":\"\\u00e9\xc3\xa9\",\"roles\":[\"a\",null,\"b\"]}",
                "{\"user\":\"u\",\"name\":\"\\u00e9\\u00e9\",\"failover_timeout\":0.0,\"checkpoint\":false,\"roles\":["
                "\"a\",\"b\"]}");
    assert_json(&mesos__v1__framework_info__descriptor, "{\"user\":\"u\",\"name\":\"n\",\"roles\":\"a\"}",
                "{\"user\":\"u\",\"name\":\"n\",\"failover_timeout\":0.0,\"checkpoint\":false,\"roles\":[\"a\"]}");
}

static void test_input__the_last_of_a_key_wins(void **state)
{
    (void)state;
    assert_json(&mesos__v1__label__descriptor, "{\"key\":\"a\",\"value\":\"x\",\"key\":\"b\",\"value\":null}",
                "{\"key\":\"b\"}");
    assert_refused(&mesos__v1__label__descriptor, "{\"key\":\"a\",\"key\":null}", "Label: required field key is missing");
    assert_json(&mesos__v1__labels__descriptor, "{\"labels\":[{\"key\":\"a\"}],\"labels\":[{\"key\":\"b\"}]}",
                "{\"labels\":[{\"key\":\"b\"}]}");
    assert_json(&mesos__v1__command_info__descriptor, "{\"shell\":false,\"shell\":null}", "{\"shell\":true}");
    Mesos__V1__Environment__Variable *v =
        decode(&mesos__v1__environment__variable__descriptor, "{\"name\":\"n\",\"type\":\"SECRET\",\"type\":\"NEW\"}");
    assert_false(v->has_type);
    assert_int_equal(v->type, MESOS__V1__ENVIRONMENT__VARIABLE__TYPE__VALUE);
}

static void test_input__required_fields_at_every_level(void **state)
{
    (void)state;
    assert_refused(TASK, "{\"name\":\"n\"}", "TaskInfo: required field task_id is missing");
    assert_refused(CALL, "{\"accept\":{\"operations\":[{\"launch\":{\"task_infos\":[{\"name\":\"n\",\"task_id\":{}}]}}]}}",
                   "Call: accept.operations[0].launch.task_infos[0].task_id: required field value is missing");
    static const uint8_t empty_task_id[] = {0x0a, 1, 'n', 0x12, 0};
    assert_null(wire_unpack(TASK, empty_task_id, sizeof(empty_task_id), arena, &err));
    assert_string_equal(err.text, "TaskInfo: task_id: required field value is missing");
}

static void test_maps__are_objects(void **state)
{
    (void)state;
    static const char text[] = "{\"name\":\"n\",\"task_id\":{\"value\":\"t\"},\"agent_id\":{\"value\":\"a\"},"
                               "\"limits\":{\"cpus\":{\"value\":1.5},\"mem\":{\"value\":\"Infinity\"}}}";
    Mesos__V1__TaskInfo *task = decode(TASK, text);
    assert_int_equal(task->n_limits, 2);
    assert_string_equal(task->limits[0]->key, "cpus");
    assert_true(task->limits[0]->value->value == 1.5);
    assert_true(isinf(task->limits[1]->value->value));
    assert_string_equal(to_json(task), text);
    assert_string_equal(to_json(repack(&task->base)), text);
    assert_refused(TASK, "{\"limits\":[]}", "TaskInfo: limits: an object was expected");
    assert_refused(TASK, "{\"limits\":{\"cpus\":1}}", "TaskInfo: limits.cpus: an object was expected");
    assert_refused(TASK, "{\"limits\":{\"a\\n\":1}}", "TaskInfo: limits.a?: an object was expected");
    assert_refused(TASK, "{\"limits\":{\"cpus\":{}}}", "TaskInfo: limits.cpus: required field value is missing");
}

static void test_maps__last_of_a_key_wins_in_both_formats(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *type = &mesos__v1__volume__source__csivolume__static_provisioning__descriptor;
    char text[8192] = "{\"volume_context\":{";
    for (int i = 0; i < 200; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s\"k%d\":\"%d\"", i ? "," : "", i % 70, i);
    (void)strcat(
        text,
        ",\"gone\":null},\"volume_id\":\"v\",\"volume_capability\":{\"mount\":{},\"access_mode\":{\"mode\":\"UNKNOWN\"}}}");
    Mesos__V1__Volume__Source__CSIVolume__StaticProvisioning *m = decode(type, text);
    assert_int_equal(m->n_volume_context, 70);
    for (int i = 0; i < 70; i++) {
        char key[16], value[16];
        (void)snprintf(key, sizeof(key), "k%d", i);
        (void)snprintf(value, sizeof(value), "%d", i < 60 ? i + 140 : i + 70);
        assert_string_equal(m->volume_context[i]->key, key);
        assert_string_equal(m->volume_context[i]->value, value);
    }
    m->volume_context[3] = m->volume_context[69];
    m = (void *)repack(&m->base);
    assert_int_equal(m->n_volume_context, 69);
    assert_string_equal(m->volume_context[3]->key, "k69");
}

static void test_protobuf__map_entries_are_completed(void **state)
{
    (void)state;
    /* volume_context: {}, {key: "k"}; volume_id and volume_capability {access_mode {mode 0}} as required */
    const ProtobufCMessageDescriptor *type = &mesos__v1__volume__source__csivolume__static_provisioning__descriptor;
    uint8_t bytes[64];
    size_t len = 0;
    const ProtobufCFieldDescriptor *context = protobuf_c_message_descriptor_get_field_by_name(type, "volume_context");
    Mesos__V1__Volume__Source__CSIVolume__StaticProvisioning *base =
        decode(type, "{\"volume_id\":\"v\",\"volume_capability\":{\"access_mode\":{\"mode\":\"UNKNOWN\"}}}");
    len = protobuf_c_message_pack(&base->base, bytes);
    const uint8_t entries[] = {(uint8_t)(context->id << 3 | 2), 0, (uint8_t)(context->id << 3 | 2), 3, 0x0a, 1, 'k'};
    memcpy(bytes + len, entries, sizeof(entries));
    Mesos__V1__Volume__Source__CSIVolume__StaticProvisioning *m =
        (void *)wire_unpack(type, bytes, len + sizeof(entries), arena, &err);
    assert_non_null(m);
    assert_int_equal(m->n_volume_context, 2);
    assert_string_equal(m->volume_context[0]->key, "");
    assert_string_equal(m->volume_context[0]->value, "");
    assert_string_equal(m->volume_context[1]->key, "k");

    static const uint8_t no_value[] = {0x0a, 1, 'n', 0x7a, 3, 0x0a, 1, 'k'}; /* TaskInfo: name, limits {k} */
    assert_null(wire_unpack(TASK, no_value, sizeof(no_value), arena, &err));
}

static void assert_bytes_refused(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t len, const char *text)
{
    err.text[0] = '\0';
    assert_null(wire_unpack(type, bytes, len, arena, &err));
    assert_string_equal(err.text, text);
}

static void test_protobuf__hostile_bytes(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *label = &mesos__v1__label__descriptor;
    static const uint8_t cut[] = {0x0a, 2, 'a'}, huge[] = {0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};
    static const uint8_t zero[] = {0x00, 0x01}, group[] = {0x53},
                         endless[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1};
    static const uint8_t wrong[] = {0x08, 0x01}, twice[] = {0x0a, 3, 0x0a, 1, 'a', 0x0a, 3, 0x0a, 1, 'b'};
    assert_bytes_refused(label, cut, sizeof(cut), "Label: key: cut short");
    assert_bytes_refused(label, huge, sizeof(huge), "Label: key: cut short");
    assert_bytes_refused(label, zero, sizeof(zero), "Label: a broken field tag");
    assert_bytes_refused(label, group, sizeof(group), "Label: unknown field 10 is broken");
    assert_bytes_refused(label, endless, sizeof(endless), "Label: a broken field tag");
    assert_bytes_refused(label, wrong, sizeof(wrong), "Label: key: wire type 0 instead of 2");
    assert_bytes_refused(CALL, twice, sizeof(twice), "Call: framework_id: a message that is given twice");
    static const uint8_t with_nul[] = {0x0a, 3, 'a', 0, 'b'};
    Mesos__V1__Label *l = (void *)wire_unpack(label, with_nul, sizeof(with_nul), arena, &err);
    assert_string_equal(l->key, "a");
}

static void test_protobuf__unknown_fields_and_enum_values_are_dropped(void **state)
{
    (void)state;
    /* TaskStatus: task_id {value t}, state 1, source 99 (unknown), field 1000 varint, 1001 fixed64, 1002 bytes, 1003
     * fixed32 */
    static const uint8_t bytes[] = {0x0a, 3, 0x0a, 1, 't', 0x10, 1,    0x48, 99,  0xc0, 0x3e, 5,    0xc9, 0x3e, 1, 2, 3,
                                    4,    5, 6,    7, 8,   0xd2, 0x3e, 2,    'x', 'y',  0xdd, 0x3e, 1,    2,    3, 4};
    Mesos__V1__TaskStatus *s = (void *)wire_unpack(&mesos__v1__task_status__descriptor, bytes, sizeof(bytes), arena, &err);
    if (s == NULL)
        fail_msg("%s", err.text);
    assert_int_equal(s->state, MESOS__V1__TASK_STATE__TASK_RUNNING);
    assert_false(s->has_source);
    assert_int_equal(s->base.n_unknown_fields, 0);
    static const uint8_t bad_state[] = {0x0a, 3, 0x0a, 1, 't', 0x10, 99};
    assert_bytes_refused(&mesos__v1__task_status__descriptor, bad_state, sizeof(bad_state),
                         "TaskStatus: state: unknown value 99");
}

/* ContainerID {value "c", parent ContainerID ...}: the one message that nests in itself. */
static size_t nested_container(uint8_t *out, size_t size, int depth)
{
    size_t at = size, len = 0;
    for (int i = 0; i < depth; i++) {
        if (i > 0) {
            uint8_t prefix[8];
            size_t n = 0;
            prefix[n++] = 0x12;
            for (size_t v = len;; v >>= 7) {
                prefix[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
                if (v <= 0x7f)
                    break;
            }
            at -= n;
            memcpy(out + at, prefix, n);
            len += n;
        }
        at -= 3;
        memcpy(out + at,
               "\x0a\x01"
               "c",
               3);
        len += 3;
    }
    memmove(out, out + at, len);
    return len;
}

static void test_nesting__is_bounded_in_both_formats(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *type = &mesos__v1__container_id__descriptor;
    uint8_t bytes[4096];
    for (int depth = WIRE_NESTING_MAX; depth <= WIRE_NESTING_MAX + 1; depth++) {
        size_t len = nested_container(bytes, sizeof(bytes), depth);
        ProtobufCMessage *m = wire_unpack(type, bytes, len, arena, &err);
        assert_int_equal(m != NULL, depth == WIRE_NESTING_MAX);
        if (m != NULL) {
            char *json = to_json(m);
            assert_string_equal(to_json(decode(type, json)), json);
        }
        char text[4096] = "";
        for (int i = 0; i < depth; i++)
            (void)strcat(text, i < depth - 1 ? "{\"value\":\"c\",\"parent\":" : "{\"value\":\"c\"");
        memset(text + strlen(text), '}', (size_t)depth);
        assert_int_equal(wire_decode(WIRE_JSON, type, text, strlen(text), arena, &err) != NULL, depth == WIRE_NESTING_MAX);
    }
    char deep[1000] = "{\"unknown\":";
    memset(deep + strlen(deep), '[', 300);
    assert_null(wire_decode(WIRE_JSON, type, deep, strlen(deep), arena, &err));
}

static void test_memory__small_input_cannot_take_much(void **state)
{
    (void)state;
    struct arena *small = arena_new(1u << 20);
    size_t len = 2 * 500000;
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len;
         i += 2) { /* TaskGroupInfo is not recursive; Labels {labels: [...]} without key would fail first */
        bytes[i] = 0x0a;
        bytes[i + 1] = 0;
    }
    assert_null(wire_unpack(&mesos__v1__value__ranges__descriptor, bytes, len, small, &err));
    const ProtobufCMessageDescriptor *set = &mesos__v1__value__set__descriptor; /* repeated string */
    assert_null(wire_unpack(set, bytes, len, small, &err));
    assert_non_null(strstr(err.text, "too much to decode"));
    free(bytes);
    arena_free(small);
    char *text = malloc(WIRE_MESSAGE_BYTES_MAX + 1);
    memset(text, ' ', WIRE_MESSAGE_BYTES_MAX + 1);
    assert_null(wire_decode(WIRE_JSON, set, text, WIRE_MESSAGE_BYTES_MAX + 1, arena, &err));
    assert_string_equal(err.text, "Set: larger than 8388608 bytes");
    free(text);
}

static void test_copy__is_deep_and_bounded(void **state)
{
    (void)state;
    static const char text[] =
        "{\"name\":\"n\",\"task_id\":{\"value\":\"t\"},\"agent_id\":{\"value\":\"a\"},\"resources\":[{\"name\":\"cpus\","
        "\"type\":\"SCALAR\",\"scalar\":{\"value\":1.0}}],\"data\":\"aGVsbG8=\"}";
    struct arena *other = arena_new(0), *tiny = arena_new(64);
    ProtobufCMessage *copy = wire_copy(decode(TASK, text), other);
    assert_null(wire_copy(copy, tiny));
    arena_reset(arena);
    (void)arena_alloc(arena, 10000); /* overwrites with zeroes what the original was made of */
    assert_string_equal(to_json(copy), text);
    arena_free(tiny);
    arena_free(other);
    size_t len;
    uint8_t *packed = wire_pack(decode(&mesos__v1__label__descriptor, "{\"key\":\"k\"}"), &len);
    assert_int_equal(len, 3);
    assert_memory_equal(packed, "\x0a\x01k", 3);
    free(packed);
}

static void test_input__nothing_at_all(void **state)
{
    (void)state;
    assert_null(wire_decode(WIRE_JSON, CALL, NULL, 0, arena, &err));
    Mesos__V1__Scheduler__Call *call = (void *)wire_unpack(CALL, NULL, 0, arena, &err);
    assert_non_null(call);
    assert_false(call->has_type);
    assert_string_equal(to_json(call), "{}");
}

static void test_media_types(void **state)
{
    (void)state;
    assert_string_equal(wire_media_type(WIRE_JSON), "application/json");
    assert_string_equal(wire_media_type(WIRE_PROTOBUF), "application/x-protobuf");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_recordings__come_out_as_they_went_in),
        TEST(test_output__unset_scalars_with_a_default_are_printed),
        TEST(test_output__empty_lists_are_omitted),
        TEST(test_output__full_buffer_is_left_as_it_was),
        TEST(test_input__numbers),
        TEST(test_input__booleans),
        TEST(test_input__enums),
        TEST(test_input__bytes_are_base64),
        TEST(test_input__shapes),
        TEST(test_input__the_last_of_a_key_wins),
        TEST(test_input__required_fields_at_every_level),
        TEST(test_maps__are_objects),
        TEST(test_maps__last_of_a_key_wins_in_both_formats),
        TEST(test_protobuf__map_entries_are_completed),
        TEST(test_protobuf__hostile_bytes),
        TEST(test_protobuf__unknown_fields_and_enum_values_are_dropped),
        TEST(test_nesting__is_bounded_in_both_formats),
        TEST(test_memory__small_input_cannot_take_much),
        TEST(test_copy__is_deep_and_bounded),
        TEST(test_input__nothing_at_all),
        TEST(test_media_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
