/* SPDX-License-Identifier: Apache-2.0 */
#include "support/master_world.h"

#include "master/snapshot.h"

static Mesos__V1__Master__Response__GetFrameworks *frameworks(struct world *w)
{
    struct master_view view = master_view(w->m, NULL);
    return master_snapshot_frameworks(&view, w->arena);
}

static void subscribe_again(struct world *w, stream_id stream, const char *id, const char *more)
{
    world_subscribe(
        w, stream,
        "{\"type\":\"SUBSCRIBE\",\"framework_id\":{\"value\":\"%s\"},\"subscribe\":{\"framework_info\":{\"user\":"
        "\"u\",\"name\":\"again\",\"id\":{\"value\":\"%s\"}%s}}}",
        id, id, more);
    world_settle(w);
}

static void test_frameworks__subscribed_then_heartbeats(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->hold_stores = true;
    assert_null(world_framework(w, 9, "")); /* not before it is stored */
    world_store_done(w, 0);
    assert_int_equal(w->sent[w->sent_count - 3].event->type, MESOS__V1__SCHEDULER__EVENT__TYPE__SUBSCRIBED);
    assert_int_equal(w->sent[w->sent_count - 2].event->type, MESOS__V1__SCHEDULER__EVENT__TYPE__HEARTBEAT);
    Mesos__V1__Scheduler__Event__Subscribed *s = WORLD_EVENT(w, 9, SUBSCRIBED, 0)->subscribed;
    assert_float_equal(s->heartbeat_interval_seconds, 15, 1e-9);
    assert_string_equal(s->master_info->pid, "master@127.0.0.1:5050");
    assert_memory_equal(s->framework_id->value + 36, "-0000", 6);
    world_forget(w);
    world_advance(w, 45000);
    assert_non_null(WORLD_EVENT(w, 9, HEARTBEAT, 2));
    assert_null(WORLD_EVENT(w, 9, HEARTBEAT, 3));
    world_free(w);
}

static void test_frameworks__refused_subscriptions(void **state)
{
    (void)state;
    static const struct {
        const char *more, *why;
    } cases[] = {
        {",\"roles\":[\"a\"]", "MULTI_ROLE"},
        {",\"role\":\"a\",\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]", "must not be set"},
        {",\"role\":\"-a\"", "not a valid role"},
        {",\"role\":\"a/../b\"", "not a valid role"},
        {",\"role\":\"a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s\"", "deeper"},
        {",\"roles\":[\"a\",\"a\"],\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]", "twice"},
        {",\"failover_timeout\":1e12", "failover_timeout"},
        {",\"offer_filters\":{\"*\":{\"min_allocatable_resources\":{\"quantities\":[{}]}}}", "empty quantities"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world *w = world_new();
        assert_null(world_framework(w, 9, cases[i].more));
        const char *why = WORLD_EVENT(w, 9, ERROR, 0)->error->message;
        if (strstr(why, cases[i].why) == NULL)
            fail_msg("case %zu: %s", i, why);
        assert_true(world_was_closed(w, MASTER_EFFECT_STREAM_CLOSE, 9));
        assert_int_equal(frameworks(w)->n_frameworks, 0);
        world_free(w);
    }
    struct world *w = world_new();
    char *large = malloc(400000);
    memset(large, 'x', 300000);
    memcpy(large, ",\"webui_url\":\"", 14);
    strcpy(large + 300000, "\"");
    assert_null(world_framework(w, 8, large));
    free(large);
    assert_non_null(world_framework(w, 9, ",\"failover_timeout\":-3")); /* as Mesos takes it */
    world_free(w);
}

static void test_frameworks__the_newer_scheduler_wins(void **state)
{
    (void)state;
    struct world *w = world_new();
    (void)world_agent(w, 1, WORLD_AGENT);
    const char *f = world_framework(w, 8, ",\"failover_timeout\":100");
    assert_int_equal(world_offer_count(w, 8), 1);
    world_forget(w);
    subscribe_again(w, 9, f, ",\"failover_timeout\":100");
    assert_string_equal(WORLD_EVENT(w, 8, ERROR, 0)->error->message, "Framework failed over");
    assert_true(world_was_closed(w, MASTER_EFFECT_STREAM_CLOSE, 8));
    assert_string_equal(WORLD_EVENT(w, 9, SUBSCRIBED, 0)->subscribed->framework_id->value, f);
    assert_null(WORLD_EVENT(w, 8, RESCIND, 0)); /* offers end silently */
    assert_int_equal(world_offer_count(w, 9), 1);
    /* The old stream's name is worth nothing now. */
    request_id r = world_call(w, 8, "{\"type\":\"REVIVE\",\"framework_id\":{\"value\":\"%s\"}}", f);
    assert_int_equal(world_status(w, r), 400);
    world_step(w, (struct master_event){.type = MASTER_EVENT_STREAM_CLOSED, .stream_closed = {.stream = 8}});
    r = world_call(w, 9, "{\"type\":\"REVIVE\",\"framework_id\":{\"value\":\"%s\"}}", f);
    assert_int_equal(world_status(w, r), 202);
    world_free(w);
}

static void test_frameworks__disconnected_until_the_deadline(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    const char *f = world_framework(w, 8, ",\"failover_timeout\":50");
    world_launch(w, 8, f, world_offer(w, 8, 0)->id->value, agent, "t1", WORLD_SMALL);
    world_step(w, (struct master_event){.type = MASTER_EVENT_STREAM_CLOSED, .stream_closed = {.stream = 8}});
    world_settle(w);
    request_id r = world_call(w, 8, "{\"type\":\"REVIVE\",\"framework_id\":{\"value\":\"%s\"}}", f);
    assert_int_equal(world_status(w, r), 403);
    world_advance(w, 49000);
    assert_null(WORLD_LINK(w, 1, Muster__Link__ShutdownFramework, shutdown_framework, 0));
    subscribe_again(w, 9, f, ",\"failover_timeout\":50");
    world_advance(w, 55000);
    assert_null(WORLD_LINK(w, 1, Muster__Link__ShutdownFramework, shutdown_framework, 0)); /* it is back */
    world_step(w, (struct master_event){.type = MASTER_EVENT_STREAM_CLOSED, .stream_closed = {.stream = 9}});
    world_advance(w, 51000);
    assert_non_null(WORLD_LINK(w, 1, Muster__Link__ShutdownFramework, shutdown_framework, 0));
    assert_int_equal(frameworks(w)->n_frameworks, 0);
    assert_int_equal(frameworks(w)->n_completed_frameworks, 1);
    world_forget(w);
    subscribe_again(w, 10, f, "");
    assert_string_equal(WORLD_EVENT(w, 10, ERROR, 0)->error->message, "framework has been removed");
    world_free(w);
}

static void test_frameworks__teardown(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    const char *f = world_framework(w, 9, "");
    world_step(w, (struct master_event){.type = MASTER_EVENT_OBSERVERS, .observers = {.count = 1}});
    world_launch(w, 9, f, world_offer(w, 9, 0)->id->value, agent, "t1", WORLD_SMALL);
    w->hold_stores = true;
    request_id r = world_call(w, 9, "{\"type\":\"TEARDOWN\",\"framework_id\":{\"value\":\"%s\"}}", f);
    assert_int_equal(world_status(w, r), 0); /* not before it is stored */
    world_store_done(w, 0);
    assert_int_equal(world_status(w, r), 202);
    assert_true(world_was_closed(w, MASTER_EFFECT_STREAM_CLOSE, 9));
    assert_non_null(WORLD_LINK(w, 1, Muster__Link__ShutdownFramework, shutdown_framework, 0));
    assert_null(world_update(w, 9, 0)); /* recorded, not sent */
    assert_non_null(world_operator_event(w, MESOS__V1__MASTER__EVENT__TYPE__FRAMEWORK_REMOVED, 0));
    assert_int_equal(world_operator_event(w, MESOS__V1__MASTER__EVENT__TYPE__TASK_UPDATED, 0)->task_updated->state,
                     MESOS__V1__TASK_STATE__TASK_KILLED);
    world_free(w);
}

static void test_frameworks__operator_teardown(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *f = world_framework(w, 9, "");
    Mesos__V1__FrameworkID id = MESOS__V1__FRAMEWORK_ID__INIT;
    Mesos__V1__Master__Call__Teardown body = MESOS__V1__MASTER__CALL__TEARDOWN__INIT;
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    id.value = (char *)"nobody";
    body.framework_id = &id;
    call.has_type = true;
    call.type = MESOS__V1__MASTER__CALL__TYPE__TEARDOWN;
    call.teardown = &body;
    world_step(w,
               (struct master_event){.type = MASTER_EVENT_OPERATOR_CALL, .operator_call = {.request = 71, .call = &call}});
    assert_int_equal(world_status(w, 71), 400);
    id.value = (char *)f;
    world_step(w,
               (struct master_event){.type = MASTER_EVENT_OPERATOR_CALL, .operator_call = {.request = 72, .call = &call}});
    world_settle(w);
    assert_int_equal(world_status(w, 72), 200);
    call.type = MESOS__V1__MASTER__CALL__TYPE__UNKNOWN;
    world_step(w,
               (struct master_event){.type = MASTER_EVENT_OPERATOR_CALL, .operator_call = {.request = 73, .call = &call}});
    assert_int_equal(world_status(w, 73), 501);
    world_free(w);
}

static void test_frameworks__survive_the_master(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *f = arena_strdup(w->arena, world_framework(w, 8, "")); /* failover_timeout 0 */
    const char *g = arena_strdup(w->arena, world_framework(w, 9, ",\"failover_timeout\":30"));
    world_step(w, (struct master_event){.type = MASTER_EVENT_STREAM_CLOSED, .stream_closed = {.stream = 9}});
    world_advance(w, 10000);
    world_restart(w);
    assert_int_equal(frameworks(w)->n_frameworks, 2);
    assert_true(frameworks(w)->frameworks[0]->recovered);
    world_advance(w, 21000); /* the deadline of g went on */
    assert_int_equal(frameworks(w)->n_frameworks, 1);
    assert_string_equal(frameworks(w)->completed_frameworks[0]->framework_info->id->value, g);
    subscribe_again(w, 10, f, ""); /* f was connected: the end of a master is not its end */
    assert_non_null(WORLD_EVENT(w, 10, SUBSCRIBED, 0));
    assert_false(frameworks(w)->frameworks[0]->recovered);
    world_free(w);
}

static void test_frameworks__closed_while_being_stored(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->hold_stores = true;
    (void)world_framework(w, 9, "");
    world_step(w, (struct master_event){.type = MASTER_EVENT_STREAM_CLOSED, .stream_closed = {.stream = 9}});
    world_store_done(w, 0);
    w->hold_stores = false;
    world_settle(w);
    assert_int_equal(frameworks(w)->n_frameworks, 0);
    assert_int_equal(w->store_count, 0); /* the record is gone again */
    world_free(w);
}

static void test_frameworks__update_framework(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        int status;
    } cases[] = {
        {"\"user\":\"u\",\"name\":\"new\",\"roles\":[\"b\"]", 200},
        {"\"user\":\"v\",\"name\":\"new\",\"roles\":[\"b\"]", 400},
        {"\"user\":\"u\",\"name\":\"new\",\"roles\":[\"b\"],\"checkpoint\":true", 400},
        {"\"user\":\"u\",\"name\":\"new\",\"roles\":[\"b\"],\"principal\":\"p\"", 400},
        {"\"user\":\"u\",\"name\":\"new\",\"roles\":[\"..\"]", 400},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world *w = world_new();
        (void)world_agent(w, 1, WORLD_AGENT);
        const char *f = world_framework(w, 9, ",\"roles\":[\"a\"],\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]");
        request_id r =
            world_call(w, 9,
                       "{\"type\":\"UPDATE_FRAMEWORK\",\"framework_id\":{\"value\":\"%s\"},\"update_framework\":"
                       "{\"framework_info\":{\"id\":{\"value\":\"%s\"},\"capabilities\":[{\"type\":\"MULTI_ROLE\"}],"
                       "%s}}}",
                       f, f, cases[i].fields);
        world_settle(w);
        assert_int_equal(world_status(w, r), cases[i].status);
        if (cases[i].status == 200) {
            assert_non_null(WORLD_EVENT(w, 9, RESCIND, 0)); /* role a was dropped */
            assert_string_equal(world_offer(w, 9, 1)->allocation_info->role, "b");
        }
        world_free(w);
    }
}

static void test_frameworks__order_of_refusals(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *f = world_framework(w, 9, "");
    request_id r = world_call(w, 9, "{\"type\":\"REVIVE\",\"framework_id\":{\"value\":\"nobody\"}}");
    assert_int_equal(world_status(w, r), 400);
    r = world_call(w, 0, "{\"type\":\"REVIVE\",\"framework_id\":{\"value\":\"%s\"}}", f);
    assert_int_equal(world_status(w, r), 400);
    r = world_call(w, 9, "{\"type\":\"UNKNOWN\",\"framework_id\":{\"value\":\"%s\"}}", f);
    assert_int_equal(world_status(w, r), 501);
    r = world_call(w, 9,
                   "{\"type\":\"DECLINE_INVERSE_OFFERS\",\"framework_id\":{\"value\":\"%s\"},"
                   "\"decline_inverse_offers\":{}}",
                   f);
    assert_int_equal(world_status(w, r), 202);
    world_free(w);
}

static void test_call_check__what_must_be_there(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int status;
    } cases[] = {
        {"{}", 400},
        {"{\"type\":\"SUBSCRIBE\"}", 400},
        {"{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{\"user\":\"u\",\"name\":\"n\"}}}", 0},
        {"{\"type\":\"SUBSCRIBE\",\"framework_id\":{\"value\":\"a\"},\"subscribe\":{\"framework_info\":{\"user\":\"u\","
         "\"name\":"
         "\"n\"}}}",
         400},
        {"{\"type\":\"REVIVE\"}", 400},
        {"{\"type\":\"REVIVE\",\"framework_id\":{\"value\":\"a\"}}", 0},
        {"{\"type\":\"ACCEPT\",\"framework_id\":{\"value\":\"a\"}}", 400},
        {"{\"type\":\"KILL\",\"framework_id\":{\"value\":\"a\"}}", 400},
        {"{\"type\":\"ACKNOWLEDGE\",\"framework_id\":{\"value\":\"a\"},\"acknowledge\":{\"agent_id\":{\"value\":\"b\"},"
         "\"task_id\":{\"value\":\"c\"},\"uuid\":\"YQ==\"}}",
         400},
        {"{\"type\":\"UPDATE_FRAMEWORK\",\"framework_id\":{\"value\":\"a\"},\"update_framework\":{\"framework_info\":{"
         "\"user\":"
         "\"u\",\"name\":\"n\",\"id\":{\"value\":\"b\"}}}}",
         400},
    };
    struct arena *arena = arena_new(0);
    struct err err;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Mesos__V1__Scheduler__Call *call = (void *)wire_decode(WIRE_JSON, &mesos__v1__scheduler__call__descriptor,
                                                               cases[i].json, strlen(cases[i].json), arena, &err);
        assert_non_null(call);
        if (master_call_check(call, NULL, &err) != cases[i].status)
            fail_msg("case %zu", i);
    }
    arena_free(arena);
}

static void test_reconcile__implicit_and_explicit(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    const char *f = world_framework(w, 9, ",\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]");
    world_launch(w, 9, f, world_offer(w, 9, 0)->id->value, agent, "t1", WORLD_SMALL);
    world_report(w, 1, f, "t1", "TASK_RUNNING", "aaaaaaaaaaaaaaaa");
    world_forget(w);
    world_call(w, 9, "{\"type\":\"RECONCILE\",\"framework_id\":{\"value\":\"%s\"},\"reconcile\":{}}", f);
    assert_int_equal(world_update(w, 9, 0)->state, MESOS__V1__TASK_STATE__TASK_RUNNING);
    assert_int_equal(world_update(w, 9, 0)->reason, MESOS__V1__TASK_STATUS__REASON__REASON_RECONCILIATION);
    assert_int_equal(world_update(w, 9, 0)->source, MESOS__V1__TASK_STATUS__SOURCE__SOURCE_MASTER);
    assert_false(world_update(w, 9, 0)->has_uuid);
    static const struct {
        const char *task, *agent;
        Mesos__V1__TaskState state;
    } cases[] = {
        {"t1", NULL, MESOS__V1__TASK_STATE__TASK_RUNNING},
        {"t2", "known", MESOS__V1__TASK_STATE__TASK_GONE},
        {"t2", "strange", MESOS__V1__TASK_STATE__TASK_UNKNOWN},
        {"t2", NULL, MESOS__V1__TASK_STATE__TASK_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        world_forget(w);
        char with_agent[256] = "";
        if (cases[i].agent != NULL)
            (void)snprintf(with_agent, sizeof(with_agent), ",\"agent_id\":{\"value\":\"%s\"}",
                           strcmp(cases[i].agent, "known") == 0 ? agent : cases[i].agent);
        world_call(w, 9,
                   "{\"type\":\"RECONCILE\",\"framework_id\":{\"value\":\"%s\"},\"reconcile\":{\"tasks\":[{\"task_id\":"
                   "{\"value\":\"%s\"}%s}]}}",
                   f, cases[i].task, with_agent);
        assert_int_equal(world_update(w, 9, 0)->state, cases[i].state);
    }
    world_free(w);
}

/* Two thousand five hundred tasks: in parts, and none while the reader is slow. */
static void test_reconcile__long_answers_wait_for_their_reader(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_SCALAR("cpus", 4000) "," WORLD_SCALAR("mem", 1000));
    const char *f = world_framework(w, 9, "");
    struct buf text;
    buf_init(&text, 0);
    for (int i = 0; i < 2500; i++)
        buf_printf(&text,
                   "%s{\"name\":\"n\",\"task_id\":{\"value\":\"t%d\"},\"agent_id\":{\"value\":\"%s\"},\"resources\":"
                   "[" WORLD_SCALAR("cpus", 1) "],\"command\":{\"value\":\"x\"}}",
                   i > 0 ? "," : "", i, agent);
    char *tasks = buf_steal_str(&text);
    world_call(w, 9,
               "{\"type\":\"ACCEPT\",\"framework_id\":{\"value\":\"%s\"},\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],"
               "\"operations\":[{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[%s]}}]}}",
               f, world_offer(w, 9, 0)->id->value, tasks);
    free(tasks);
    world_forget(w);
    world_call(w, 9, "{\"type\":\"RECONCILE\",\"framework_id\":{\"value\":\"%s\"},\"reconcile\":{}}", f);
    assert_non_null(world_update(w, 9, 999));
    assert_null(world_update(w, 9, 1000));
    world_step(w,
               (struct master_event){.type = MASTER_EVENT_STREAM_PRESSURE, .stream_pressure = {.stream = 9, .on = true}});
    world_settle(w);
    assert_null(world_update(w, 9, 1000));
    world_report(w, 1, f, "t1000", "TASK_FAILED", "aaaaaaaaaaaaaaaa"); /* the next in turn ends and is acknowledged */
    world_call(w, 9,
               "{\"type\":\"ACKNOWLEDGE\",\"framework_id\":{\"value\":\"%s\"},\"acknowledge\":{\"agent_id\":{\"value\":"
               "\"%s\"},\"task_id\":{\"value\":\"t1000\"},\"uuid\":\"YWFhYWFhYWFhYWFhYWFhYQ==\"}}",
               f, agent);
    world_step(w,
               (struct master_event){.type = MASTER_EVENT_STREAM_PRESSURE, .stream_pressure = {.stream = 9, .on = false}});
    world_settle(w);
    assert_non_null(world_update(w, 9, 2499)); /* 2499 answers and the end */
    assert_null(world_update(w, 9, 2500));
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frameworks__subscribed_then_heartbeats),
        cmocka_unit_test(test_frameworks__refused_subscriptions),
        cmocka_unit_test(test_frameworks__the_newer_scheduler_wins),
        cmocka_unit_test(test_frameworks__disconnected_until_the_deadline),
        cmocka_unit_test(test_frameworks__teardown),
        cmocka_unit_test(test_frameworks__operator_teardown),
        cmocka_unit_test(test_frameworks__survive_the_master),
        cmocka_unit_test(test_frameworks__closed_while_being_stored),
        cmocka_unit_test(test_frameworks__update_framework),
        cmocka_unit_test(test_frameworks__order_of_refusals),
        cmocka_unit_test(test_call_check__what_must_be_there),
        cmocka_unit_test(test_reconcile__implicit_and_explicit),
        cmocka_unit_test(test_reconcile__long_answers_wait_for_their_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
