/* SPDX-License-Identifier: Apache-2.0
 * test_picture.c - records of the master's stream as parts, in both formats, whole and broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "common/follow/picture.h"

static struct arena *arena, *message_arena;
static char said[1024];
static size_t counts[PICTURE_EVENT + 1];
static struct picture_told told;
static struct err err;

static void on_part(void *ctx, const struct picture_part *part)
{
    static const char *const names[] = {"begin", "agent", "recovered", "framework", "task", "end", "event"};
    size_t len = strlen(said);
    const char *what = part->type == PICTURE_TASK              ? part->task->task_id->value
                       : part->type == PICTURE_AGENT           ? part->agent->agent_info->hostname
                       : part->type == PICTURE_RECOVERED_AGENT ? part->recovered_agent->hostname
                       : part->type == PICTURE_FRAMEWORK       ? part->framework->name
                                                               : "";
    (void)ctx;
    counts[part->type]++;
    if (len < sizeof(said) - 64)
        (void)snprintf(said + len, sizeof(said) - len, "%s%s%s%.20s", len ? " " : "", names[part->type], *what ? ":" : "",
                       what);
}

static int read_bytes(enum wire_format format, const void *data, size_t len)
{
    said[0] = '\0';
    memset(counts, 0, sizeof(counts));
    err.text[0] = '\0';
    return picture_read(format, data, len, arena, on_part, NULL, &told, &err);
}

static struct buf encode(enum wire_format format, const char *json)
{
    struct buf bytes;
    char text[4096];
    buf_init(&bytes, 0);
    arena_reset(message_arena);
    assert_true(strlen(json) < sizeof(text));
    strcpy(text, json);
    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    const ProtobufCMessage *event =
        wire_decode(WIRE_JSON, &mesos__v1__master__event__descriptor, text, strlen(text), message_arena, &err);
    if (event == NULL)
        fail_msg("%s", err.text);
    assert_int_equal(wire_encode(format, event, &bytes), 0);
    return bytes;
}

static const char picture[] =
    "{'type':'SUBSCRIBED','subscribed':{'heartbeat_interval_seconds':7.5,'get_state':{"
    "'get_tasks':{'tasks':["
    "{'name':'t','task_id':{'value':'t1'},'framework_id':{'value':'F'},'agent_id':{'value':'A'},'state':'TASK_RUNNING'},"
    "{'name':'t','task_id':{'value':'t2'},'framework_id':{'value':'F'},'agent_id':{'value':'A'},'state':'TASK_STAGING'}],"
    "'unreachable_tasks':["
    "{'name':'t','task_id':{'value':'t3'},'framework_id':{'value':'F'},'agent_id':{'value':'A'},'state':'TASK_LOST'}],"
    "'completed_tasks':["
    "{'name':'t','task_id':{'value':'t4'},'framework_id':{'value':'F'},'agent_id':{'value':'A'},'state':'TASK_LOST'}]},"
    "'get_frameworks':{'frameworks':[{'framework_info':{'user':'u','name':'marathon'},'active':true,'connected':true,"
    "'recovered':false}]},"
    "'get_agents':{'recovered_agents':[{'hostname':'h2'}],'agents':[{'agent_info':{'hostname':'h1'},'active':true,"
    "'version':'1'}]}}}}";

static void test_picture__agents_then_frameworks_then_tasks(void **state)
{
    (void)state;
    for (int format = WIRE_JSON; format <= WIRE_PROTOBUF; format++) {
        struct buf bytes = encode((enum wire_format)format, picture);
        assert_int_equal(read_bytes((enum wire_format)format, buf_data(&bytes), buf_len(&bytes)), 0);
        assert_string_equal(said, "begin agent:h1 recovered:h2 framework:marathon task:t1 task:t2 task:t3 end");
        assert_true(told.is_snapshot);
        assert_true(told.heartbeat_seconds == 7.5);
        buf_deinit(&bytes);
    }
}

static void test_picture__other_events_are_whole(void **state)
{
    (void)state;
    for (int format = WIRE_JSON; format <= WIRE_PROTOBUF; format++) {
        struct buf bytes = encode((enum wire_format)format, "{'type':'HEARTBEAT'}");
        assert_int_equal(read_bytes((enum wire_format)format, buf_data(&bytes), buf_len(&bytes)), 0);
        assert_string_equal(said, "event");
        assert_false(told.is_snapshot);
        buf_deinit(&bytes);
    }
}

/* An empty picture would empty every plan: it must be said, not be a field that is missing. */
static void test_picture__without_content_is_no_picture(void **state)
{
    static const uint8_t bare[] = {0x08, MESOS__V1__MASTER__EVENT__TYPE__SUBSCRIBED};
    static const char json[] = "{\"type\":\"SUBSCRIBED\"}";
    (void)state;
    assert_int_equal(read_bytes(WIRE_PROTOBUF, bare, sizeof(bare)), -EPROTO);
    assert_int_equal(read_bytes(WIRE_JSON, json, sizeof(json) - 1), -EPROTO);
    assert_string_equal(said, "");
}

/* Every cut, and every byte changed: an error, or something else that is well-formed; and no end without a beginning. */
static void test_picture__broken_bytes(void **state)
{
    struct buf bytes = encode(WIRE_PROTOBUF, picture);
    size_t len = buf_len(&bytes);
    uint8_t *copy = malloc(len);
    (void)state;
    for (size_t cut = 0; cut < len; cut++) {
        memcpy(copy, buf_data(&bytes), cut);
        if (read_bytes(WIRE_PROTOBUF, copy, cut) == 0)
            assert_int_equal(cut, 0); /* an event of no type */
        assert_int_equal(counts[PICTURE_END], 0);
    }
    for (size_t i = 0; i < len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(copy, buf_data(&bytes), len);
            copy[i] ^= (uint8_t)(1u << bit);
            (void)read_bytes(WIRE_PROTOBUF, copy, len);
            assert_true(counts[PICTURE_END] <= counts[PICTURE_BEGIN]);
            assert_true(counts[PICTURE_BEGIN] + counts[PICTURE_EVENT] <= 1);
        }
    free(copy);
    buf_deinit(&bytes);
}

/* 100,000 tasks: as one message it would be refused, and take hundreds of megabytes. */
static void test_picture__of_a_large_cluster(void **state)
{
    enum { TASKS = 100000 };
    static Mesos__V1__Task *tasks[TASKS];
    Mesos__V1__TaskID task_id = MESOS__V1__TASK_ID__INIT;
    Mesos__V1__FrameworkID framework_id = MESOS__V1__FRAMEWORK_ID__INIT;
    Mesos__V1__AgentID agent_id = MESOS__V1__AGENT_ID__INIT;
    Mesos__V1__Task task = MESOS__V1__TASK__INIT;
    Mesos__V1__Master__Response__GetTasks list = MESOS__V1__MASTER__RESPONSE__GET_TASKS__INIT;
    Mesos__V1__Master__Response__GetState get_state = MESOS__V1__MASTER__RESPONSE__GET_STATE__INIT;
    Mesos__V1__Master__Event__Subscribed subscribed = MESOS__V1__MASTER__EVENT__SUBSCRIBED__INIT;
    Mesos__V1__Master__Event event = MESOS__V1__MASTER__EVENT__INIT;
    char id[200];
    size_t len;
    (void)state;
    memset(id, 'x', sizeof(id) - 1);
    id[sizeof(id) - 1] = '\0';
    task_id.value = framework_id.value = agent_id.value = task.name = id;
    task.task_id = &task_id;
    task.framework_id = &framework_id;
    task.agent_id = &agent_id;
    for (size_t i = 0; i < TASKS; i++)
        tasks[i] = &task;
    list.n_tasks = TASKS;
    list.tasks = tasks;
    get_state.get_tasks = &list;
    subscribed.get_state = &get_state;
    event.type = MESOS__V1__MASTER__EVENT__TYPE__SUBSCRIBED;
    event.has_type = true;
    event.subscribed = &subscribed;
    uint8_t *bytes = wire_pack(&event.base, &len);
    assert_true(len > 8 * WIRE_MESSAGE_BYTES_MAX);
    if (read_bytes(WIRE_PROTOBUF, bytes, len) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(counts[PICTURE_TASK], TASKS);
    assert_int_equal(counts[PICTURE_END], 1);
    free(bytes);
}

static int setup(void **state)
{
    (void)state;
    arena = arena_new(1u << 20); /* one item at a time */
    message_arena = arena_new(0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    arena_free(message_arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_picture__agents_then_frameworks_then_tasks),
        cmocka_unit_test(test_picture__other_events_are_whole),
        cmocka_unit_test(test_picture__without_content_is_no_picture),
        cmocka_unit_test(test_picture__broken_bytes),
        cmocka_unit_test(test_picture__of_a_large_cluster),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
