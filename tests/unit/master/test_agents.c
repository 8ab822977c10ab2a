/* SPDX-License-Identifier: Apache-2.0 */
#include "support/master_world.h"

#include "master/snapshot.h"

#include <errno.h>

static void reregister(struct world *w, link_id link, const char *id, const char *host, const char *more)
{
    world_link_up(w, link);
    world_link(
        w, link,
        "{\"reregister\":{\"version\":\"t\",\"agent_info\":{\"id\":{\"value\":\"%s\"},\"hostname\":\"%s\",\"port\":10001,"
        "\"resources\":[" WORLD_AGENT "]}%s}}",
        id, host, more);
    world_settle(w);
}

/* The bytes of a Task as the agent reports it, as base64 in a JSON list of one. */
static char *task_report(struct world *w, const char *framework, const char *agent, const char *task, const char *state)
{
    struct err err;
    struct buf text;
    char json[1024];
    (void)snprintf(
        json, sizeof(json),
        "{\"name\":\"n\",\"task_id\":{\"value\":\"%s\"},\"framework_id\":{\"value\":\"%s\"},\"agent_id\":{\"value\":"
        "\"%s\"},\"state\":\"%s\",\"resources\":[" WORLD_SMALL "],\"status_update_state\":\"%s\",\"statuses\":[{"
        "\"task_id\":{\"value\":\"%s\"},\"state\":\"%s\"}]}",
        task, framework, agent, state, state, task, state);
    ProtobufCMessage *m = wire_decode(WIRE_JSON, &mesos__v1__task__descriptor, json, strlen(json), w->arena, &err);
    assert_non_null(m);
    size_t len;
    uint8_t *packed = wire_pack(m, &len);
    buf_init(&text, 0);
    struct json_writer jw;
    buf_append_str(&text, ",\"tasks\":");
    json_writer_init(&jw, &text);
    json_begin_array(&jw);
    json_put_base64(&jw, packed, len);
    json_end_array(&jw);
    free(packed);
    char *s = buf_steal_str(&text), *copy = arena_strdup(w->arena, s);
    free(s);
    buf_deinit(&text);
    return copy;
}

static size_t agent_count(struct world *w)
{
    struct arena *arena = arena_new(0);
    size_t n = master_snapshot_agents(w->m, arena)->n_agents;
    arena_free(arena);
    return n;
}

static void test_agents__registered_only_when_stored(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->hold_stores = true;
    assert_null(world_agent(w, 1, WORLD_AGENT));
    assert_int_equal(agent_count(w), 0);
    world_store_done(w, 0);
    assert_non_null(WORLD_LINK(w, 1, Muster__Link__Registered, registered, 0));
    assert_int_equal(agent_count(w), 1);
    world_free(w);
}

static void test_agents__failed_store_ends_the_master(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->hold_stores = true;
    (void)world_agent(w, 1, WORLD_AGENT);
    world_store_done(w, -EIO);
    assert_true(w->fatal);
    assert_null(WORLD_LINK(w, 1, Muster__Link__Registered, registered, 0));
    world_forget(w);
    (void)world_agent(w, 2, WORLD_AGENT); /* nothing is done any more */
    assert_int_equal(w->sent_count, 0);
    assert_true(master_next_deadline(w->m) == INT64_MAX);
    world_free(w);
}

static void test_agents__refusals(void **state)
{
    (void)state;
    static const struct {
        const char *message, *why;
    } cases[] = {
        {"{\"pong\":{\"sequence\":1}}", "hello"},
        {"{\"hello\":{\"version\":\"x\",\"link_version\":0}}", "too old"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world *w = world_new();
        world_step(w, (struct master_event){.type = MASTER_EVENT_LINK_UP, .link_up = {.link = 1, .peer_ip = "127.0.0.1"}});
        world_link(w, 1, "%s", cases[i].message);
        Muster__Link__Refused *refused = WORLD_LINK(w, 1, Muster__Link__Refused, refused, 0);
        assert_non_null(strstr(refused->message, cases[i].why));
        assert_true(world_was_closed(w, MASTER_EFFECT_LINK_CLOSE, 1));
        world_link(w, 1, "{\"hello\":{\"version\":\"x\",\"link_version\":1}}"); /* was on its way: nobody listens */
        world_free(w);
    }
    struct world *w = world_new();
    assert_null(world_agent(w, 1, WORLD_SCALAR("cpus", -1)));
    assert_non_null(WORLD_LINK(w, 1, Muster__Link__Refused, refused, 0));
    const char *id = world_agent(w, 2, WORLD_AGENT);
    world_forget(w);
    reregister(w, 3, id, "elsewhere", "");
    assert_true(WORLD_LINK(w, 3, Muster__Link__Refused, refused, 0)->shutdown);
    assert_int_equal(
        world_step(w, (struct master_event){.type = MASTER_EVENT_LINK_UP, .link_up = {.link = 2, .peer_ip = "x"}}),
        -EPROTO);
    world_free(w);
}

static void test_agents__pings_end_in_unreachable_and_return(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    const char *f = world_framework(w, 9, ",\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]");
    world_launch(w, 9, f, world_offer(w, 9, 0)->id->value, agent, "t1", WORLD_SMALL);
    world_report(w, 1, f, "t1", "TASK_RUNNING", "aaaaaaaaaaaaaaaa");
    world_forget(w);
    w->mute_agents = true;
    world_advance(w, 60000);
    assert_null(world_update(w, 9, 0)); /* four missed */
    assert_int_equal(agent_count(w), 1);
    world_advance(w, 31000);
    Mesos__V1__TaskStatus *status = world_update(w, 9, 0);
    assert_int_equal(status->state, MESOS__V1__TASK_STATE__TASK_UNREACHABLE);
    assert_int_equal(status->reason, MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED);
    assert_non_null(status->unreachable_time);
    assert_string_equal(WORLD_EVENT(w, 9, FAILURE, 0)->failure->agent_id->value, agent);
    assert_true(world_was_closed(w, MASTER_EFFECT_LINK_CLOSE, 1));
    assert_int_equal(agent_count(w), 0);

    world_forget(w);
    reregister(w, 2, agent, "h1", task_report(w, f, agent, "t1", "TASK_RUNNING"));
    assert_non_null(WORLD_LINK(w, 2, Muster__Link__Registered, reregistered, 0));
    status = world_update(w, 9, 0);
    assert_int_equal(status->state, MESOS__V1__TASK_STATE__TASK_RUNNING);
    assert_int_equal(status->reason, MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_REREGISTERED);
    world_advance(w, 6000);
    assert_float_equal(world_scalar(world_offer(w, 9, 0)->resources, world_offer(w, 9, 0)->n_resources, "cpus"), 3, 1e-9);
    world_free(w);
}

static void test_agents__answered_pings_keep_it(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->mute_agents = true;
    (void)world_agent(w, 1, WORLD_AGENT);
    for (int i = 0; i < 40; i++) {
        world_forget(w);
        world_advance(w, 15000);
        Muster__Link__Ping *ping = WORLD_LINK(w, 1, Muster__Link__Ping, ping, 0);
        if (i % 5 == 4) /* one answer in five is enough */
            world_link(w, 1, "{\"pong\":{\"sequence\":%d}}", (int)ping->sequence);
    }
    assert_int_equal(agent_count(w), 1);
    world_free(w);
}

static void test_agents__lost_link_has_ten_minutes(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    const char *f = world_framework(w, 9, "");
    world_launch(w, 9, f, world_offer(w, 9, 0)->id->value, agent, "t1", WORLD_SMALL);
    world_report(w, 1, f, "t1", "TASK_RUNNING", "aaaaaaaaaaaaaaaa");
    world_forget(w);
    world_link_down(w, 1);
    world_advance(w, 599000);
    assert_null(world_update(w, 9, 0));
    reregister(w, 2, agent, "h1", task_report(w, f, agent, "t1", "TASK_RUNNING"));
    assert_null(world_update(w, 9, 0)); /* nobody missed anything */
    world_link_down(w, 2);
    world_advance(w, 601000);
    assert_int_equal(world_update(w, 9, 0)->state, MESOS__V1__TASK_STATE__TASK_LOST);
    world_free(w);
}

static void test_agents__unregister_and_replacement(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    const char *f = world_framework(w, 9, ",\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]");
    world_step(w, (struct master_event){.type = MASTER_EVENT_OBSERVERS, .observers = {.count = 1}});
    world_launch(w, 9, f, world_offer(w, 9, 0)->id->value, agent, "t1", WORLD_SMALL);
    world_link(w, 1, "{\"unregister\":{}}");
    world_settle(w);
    assert_int_equal(world_update(w, 9, 0)->state,
                     MESOS__V1__TASK_STATE__TASK_LOST); /* also for those aware of partitions */
    assert_non_null(world_operator_event(w, MESOS__V1__MASTER__EVENT__TYPE__AGENT_REMOVED, 0));
    reregister(w, 2, agent, "h1", "");
    assert_true(WORLD_LINK(w, 2, Muster__Link__Refused, refused, 0)->shutdown);

    const char *first = world_agent(w, 5, WORLD_AGENT);
    world_link_down(w, 5);
    world_link_up(w, 6);
    world_link(
        w, 6,
        "{\"register\":{\"version\":\"t\",\"agent_info\":{\"hostname\":\"h5\",\"port\":10005,\"resources\":[" WORLD_AGENT
        "]}}}");
    world_settle(w);
    assert_string_not_equal(WORLD_LINK(w, 6, Muster__Link__Registered, registered, 0)->agent_id->value, first);
    assert_int_equal(agent_count(w), 1);
    world_free(w);
}

static void test_agents__lost_launch_is_told(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    const char *f = world_framework(w, 9, ",\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]");
    world_launch(w, 9, f, world_offer(w, 9, 0)->id->value, agent, "t1", WORLD_SMALL);
    world_link_down(w, 1);
    reregister(w, 2, agent, "h1", "");
    assert_int_equal(world_update(w, 9, 0)->state, MESOS__V1__TASK_STATE__TASK_DROPPED);
    assert_int_equal(world_update(w, 9, 0)->reason, MESOS__V1__TASK_STATUS__REASON__REASON_RECONCILIATION);
    world_free(w);
}

static void test_agents__new_master_learns_tasks_from_agents(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = arena_strdup(w->arena, world_agent(w, 1, WORLD_AGENT));
    const char *f = arena_strdup(w->arena, world_framework(w, 9, ",\"failover_timeout\":100"));
    const char *stranger = "11111111-0000";
    world_restart(w);
    assert_int_equal(agent_count(w), 0);
    char *own = task_report(w, f, agent, "t1", "TASK_RUNNING");
    reregister(w, 2, agent, "h1", own);
    assert_int_equal(agent_count(w), 1);
    struct arena *arena = arena_new(0);
    struct master_view view = master_view(w->m, NULL);
    Mesos__V1__Master__Response__GetTasks *tasks = master_snapshot_tasks(&view, arena);
    assert_int_equal(tasks->n_tasks, 1);
    assert_int_equal(tasks->tasks[0]->state, MESOS__V1__TASK_STATE__TASK_RUNNING);
    arena_free(arena);
    /* Tasks of a framework that nobody knows: the agent is to end it. */
    reregister(w, 3, agent, "h1", task_report(w, stranger, agent, "t2", "TASK_RUNNING"));
    assert_string_equal(WORLD_LINK(w, 3, Muster__Link__ShutdownFramework, shutdown_framework, 0)->framework_id->value,
                        stranger);
    world_free(w);
}

static void test_agents__recovered_one_that_stays_away(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = arena_strdup(w->arena, world_agent(w, 1, WORLD_AGENT));
    world_restart(w);
    const char *f = world_framework(w, 9, ",\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]");
    world_call(w, 9,
               "{\"type\":\"RECONCILE\",\"framework_id\":{\"value\":\"%s\"},\"reconcile\":{\"tasks\":[{\"task_id\":"
               "{\"value\":\"t\"},\"agent_id\":{\"value\":\"%s\"}},{\"task_id\":{\"value\":\"u\"}}]}}",
               f, agent);
    assert_null(world_update(w, 9, 0)); /* it may still bring them */
    world_advance(w, 601000);
    assert_non_null(WORLD_EVENT(w, 9, FAILURE, 0));
    world_call(w, 9,
               "{\"type\":\"RECONCILE\",\"framework_id\":{\"value\":\"%s\"},\"reconcile\":{\"tasks\":[{\"task_id\":"
               "{\"value\":\"t\"},\"agent_id\":{\"value\":\"%s\"}},{\"task_id\":{\"value\":\"u\"}}]}}",
               f, agent);
    assert_int_equal(world_update(w, 9, 0)->state, MESOS__V1__TASK_STATE__TASK_UNREACHABLE);
    assert_int_equal(world_update(w, 9, 1)->state, MESOS__V1__TASK_STATE__TASK_UNKNOWN);
    world_restart(w); /* it is remembered as unreachable */
    assert_int_equal(agent_count(w), 0);
    reregister(w, 2, agent, "h1", "");
    assert_int_equal(agent_count(w), 1);
    world_free(w);
}

static void test_agents__less_than_its_tasks_use(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    const char *f = world_framework(w, 9, "");
    world_launch(w, 9, f, world_offer(w, 9, 0)->id->value, agent, "t1", WORLD_SCALAR("cpus", 3));
    world_link_down(w, 1);
    world_forget(w);
    world_link_up(w, 2);
    struct err err;
    char json[512];
    (void)snprintf(json, sizeof(json),
                   "{\"name\":\"n\",\"task_id\":{\"value\":\"t1\"},\"framework_id\":{\"value\":\"%s\"},"
                   "\"agent_id\":{\"value\":\"%s\"},\"state\":\"TASK_RUNNING\"}",
                   f, agent);
    ProtobufCMessage *task = wire_decode(WIRE_JSON, &mesos__v1__task__descriptor, json, strlen(json), w->arena, &err);
    size_t len;
    ProtobufCBinaryData bytes = {.data = wire_pack(task, &len)};
    bytes.len = len;
    char info[512];
    (void)snprintf(info, sizeof(info),
                   "{\"id\":{\"value\":\"%s\"},\"hostname\":\"h1\",\"port\":10001,\"resources\":[" WORLD_SCALAR(
                       "cpus", 2) "," WORLD_SCALAR("mem", 100) "]}",
                   agent);
    Muster__Link__Reregister body = MUSTER__LINK__REREGISTER__INIT;
    body.agent_info =
        (void *)wire_decode(WIRE_JSON, &mesos__v1__agent_info__descriptor, info, strlen(info), w->arena, &err);
    body.version = (char *)"t";
    body.n_tasks = 1;
    body.tasks = &bytes;
    Muster__Link__AgentToMaster message = MUSTER__LINK__AGENT_TO_MASTER__INIT;
    message.reregister = &body;
    world_step(w,
               (struct master_event){.type = MASTER_EVENT_LINK_MESSAGE, .link_message = {.link = 2, .message = &message}});
    free(bytes.data);
    world_advance(w, 10000);
    assert_int_equal(world_offer_count(w, 9), 0);
    world_report(w, 2, f, "t1", "TASK_FINISHED", "aaaaaaaaaaaaaaaa");
    world_advance(w, 1000);
    assert_int_equal(world_offer_count(w, 9), 1);
    assert_float_equal(world_scalar(world_offer(w, 9, 0)->resources, world_offer(w, 9, 0)->n_resources, "cpus"), 2, 1e-9);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agents__registered_only_when_stored),
        cmocka_unit_test(test_agents__failed_store_ends_the_master),
        cmocka_unit_test(test_agents__refusals),
        cmocka_unit_test(test_agents__pings_end_in_unreachable_and_return),
        cmocka_unit_test(test_agents__answered_pings_keep_it),
        cmocka_unit_test(test_agents__lost_link_has_ten_minutes),
        cmocka_unit_test(test_agents__unregister_and_replacement),
        cmocka_unit_test(test_agents__lost_launch_is_told),
        cmocka_unit_test(test_agents__new_master_learns_tasks_from_agents),
        cmocka_unit_test(test_agents__recovered_one_that_stays_away),
        cmocka_unit_test(test_agents__less_than_its_tasks_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
