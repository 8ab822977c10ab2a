/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

static struct rig *subscribed(void)
{
    struct rig *r = rig_ready();
    rig_run_command(r, "t1");
    rig_container_started(r, "t1");
    rig_subscribe(r, "t1", 1);
    rig_forget_trace(r);
    return r;
}

static void test_updates__nobody_hears_before_the_disk_has_it(void **state)
{
    (void)state;
    struct rig *r = subscribed();
    r->hold_store = true;
    rig_update(r, "t1", "t1", "RUNNING");
    rig_expect(r, "reply 2 202\n"); /* accepted for processing, not acknowledged */
    assert_int_equal(agent_task_state(r->a, RIG_FRAMEWORK, "t1"), MESOS__V1__TASK_STATE__TASK_STAGING);
    rig_stored(r);
    rig_expect(r, "stream 1 ACKNOWLEDGED t1\n> status t1 RUNNING\n");
    assert_int_equal(agent_task_state(r->a, RIG_FRAMEWORK, "t1"), MESOS__V1__TASK_STATE__TASK_RUNNING);
    rig_free(r);
}

static void test_updates__one_in_flight_in_order(void **state)
{
    (void)state;
    struct rig *r = subscribed();
    rig_update(r, "t1", "t1", "STARTING");
    rig_update(r, "t1", "t1", "RUNNING");
    rig_update(r, "t1", "t1", "FINISHED");
    rig_expect(r, "reply 2 202\nstream 1 ACKNOWLEDGED t1\n> status t1 STARTING\n"
                  "reply 3 202\nstream 1 ACKNOWLEDGED t1\n"
                  "reply 4 202\nstream 1 ACKNOWLEDGED t1\nlimits t1 cpu=100 quota=-1 soft=32 hard=160\n");
    rig_acknowledge(r, "t1");
    rig_expect(r, "> status t1 RUNNING\n");
    rig_acknowledge(r, "t1");
    rig_expect(r, "> status t1 FINISHED\n");
    rig_acknowledge(r, "t1");
    rig_expect(r, "");
    rig_free(r);
}

static void test_updates__next_waits_for_the_acknowledgement_on_disk(void **state)
{
    (void)state;
    struct rig *r = subscribed();
    rig_update(r, "t1", "t1", "STARTING");
    rig_update(r, "t1", "t1", "RUNNING");
    rig_forget_trace(r);
    r->hold_store = true;
    rig_acknowledge(r, "t1");
    rig_wait(r, 20000);
    rig_expect(r, ""); /* neither the next, nor the acknowledged one again */
    rig_stored(r);
    rig_expect(r, "> status t1 RUNNING\n");
    rig_free(r);
}

static void test_updates__repeated_after_10_s_doubling_to_10_min(void **state)
{
    (void)state;
    struct rig *r = subscribed();
    rig_update(r, "t1", "t1", "RUNNING");
    rig_forget_trace(r);
    int64_t expected[] = {10000, 20000, 40000, 80000, 160000, 320000, 600000, 600000};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        for (int64_t left = expected[i] - 1; left > 0;) { /* with pings in between */
            int64_t part = left < 60000 ? left : 60000;
            rig_wait(r, part);
            rig_ping(r, 1, true);
            left -= part;
        }
        r->uuid_count = 0;
        rig_forget_trace(r);
        rig_wait(r, 1);
        rig_expect(r, "> status t1 RUNNING\n");
    }
    rig_free(r);
}

static void test_updates__sent_again_at_once_in_a_new_session(void **state)
{
    (void)state;
    struct rig *r = subscribed();
    rig_update(r, "t1", "t1", "RUNNING");
    rig_forget_trace(r);
    rig_reconnect(r);
    rig_expect(r, "open\n> hello\n> reregister frameworks=1 executors=0 t1:RUNNING\n> status t1 RUNNING\n");
    rig_free(r);
}

static void test_updates__made_while_disconnected_go_out_on_return(void **state)
{
    (void)state;
    struct rig *r = subscribed();
    rig_link_down(r);
    rig_forget_trace(r);
    rig_update(r, "t1", "t1", "FINISHED");
    rig_expect(r, "reply 2 202\nstream 1 ACKNOWLEDGED t1\nlimits t1 cpu=100 quota=-1 soft=32 hard=160\n");
    rig_wait(r, 1000);
    rig_link_up(r);
    rig_registered(r, true);
    rig_expect(r, "open\n> hello\n> reregister frameworks=1 executors=0 t1:FINISHED\n> status t1 FINISHED\n");
    rig_free(r);
}

static void test_updates__same_uuid_again_is_only_acknowledged(void **state)
{
    (void)state;
    struct rig *r = subscribed();
    rig_update_uuid(r, "t1", "t1", "RUNNING", 77);
    rig_forget_trace(r);
    rig_update_uuid(r, "t1", "t1", "RUNNING", 77);
    rig_expect(r, "stream 1 ACKNOWLEDGED t1\nreply 3 202\n");
    rig_acknowledge(r, "t1");
    rig_update_uuid(r, "t1", "t1", "RUNNING", 77); /* from the history */
    rig_expect(r, "stream 1 ACKNOWLEDGED t1\nreply 4 202\n");
    r->hold_store = true;
    rig_update_uuid(r, "t1", "t1", "RUNNING", 78);
    rig_update_uuid(r, "t1", "t1", "RUNNING", 78); /* on its way to the disk */
    rig_expect(r, "reply 5 202\nreply 6 202\n");
    rig_free(r);
}

static void test_updates__wrong_acknowledgements_are_ignored(void **state)
{
    (void)state;
    struct rig *r = subscribed();
    rig_update(r, "t1", "t1", "RUNNING");
    rig_forget_trace(r);
    rig_acknowledge_uuid(r, "t1", "0123456789abcdef");
    rig_acknowledge_uuid(r, "other", r->uuids[0]);
    rig_wait(r, 10000);
    rig_expect(r, "> status t1 RUNNING\n");
    rig_free(r);
}

static void test_updates__nothing_is_taken_after_a_terminal_one(void **state)
{
    (void)state;
    struct rig *r = subscribed();
    rig_update(r, "t1", "t1", "FAILED");
    rig_update(r, "t1", "t1", "RUNNING");
    rig_acknowledge(r, "t1");
    rig_forget_trace(r);
    rig_update(r, "t1", "t1", "RUNNING"); /* the task is completed */
    rig_expect(r, "stream 1 ACKNOWLEDGED t1\nreply 4 202\n");
    assert_int_equal(r->uuid_count, 0);
    rig_free(r);
}

static void test_updates__pending_ones_are_bounded(void **state)
{
    (void)state;
    struct rig *r = subscribed();
    for (int i = 0; i < 256; i++)
        rig_update(r, "t1", "t1", i % 2 ? "RUNNING" : "STARTING");
    rig_forget_trace(r);
    rig_update(r, "t1", "t1", "RUNNING");
    rig_expect(r, "reply 258 503\n");
    rig_acknowledge(r, "t1");
    rig_forget_trace(r);
    rig_update(r, "t1", "t1", "RUNNING");
    rig_expect(r, "reply 259 202\nstream 1 ACKNOWLEDGED t1\n");
    rig_free(r);
}

static void expect_status(struct rig *r, const char *status, int expected)
{
    rig_call(r,
             arena_printf(r->arena,
                          "{\"type\":\"UPDATE\",\"executor_id\":{\"value\":\"t1\"},\"framework_id\":{\"value\":\"%s\"},"
                          "\"update\":{\"status\":{\"task_id\":{\"value\":\"t1\"}%s}}}",
                          RIG_FRAMEWORK, status),
             0);
    rig_expect(r, arena_printf(r->arena, "reply %llu %d\n", (unsigned long long)r->next_request, expected));
}

#define UUID ",\"uuid\":\"MDEyMzQ1Njc4OWFiY2RlZg==\""
#define SOURCE ",\"source\":\"SOURCE_EXECUTOR\""

static void test_updates__validation(void **state)
{
    (void)state;
    struct rig *r = subscribed();
    r->hold_store = true;
    expect_status(r, ",\"state\":\"TASK_RUNNING\"" SOURCE, 400);                   /* no uuid */
    expect_status(r, ",\"state\":\"TASK_RUNNING\",\"uuid\":\"MDEy\"" SOURCE, 400); /* short uuid */
    expect_status(r, ",\"state\":\"TASK_RUNNING\"" UUID, 400);                     /* no source */
    expect_status(r, ",\"state\":\"TASK_RUNNING\",\"source\":\"SOURCE_AGENT\"" UUID, 400);
    expect_status(r, ",\"state\":\"TASK_STAGING\"" UUID SOURCE, 400);
    expect_status(r, ",\"state\":\"TASK_UNREACHABLE\"" UUID SOURCE, 400);
    expect_status(r, ",\"state\":\"TASK_RUNNING\",\"executor_id\":{\"value\":\"x\"}" UUID SOURCE, 400);
    expect_status(r, ",\"state\":\"TASK_RUNNING\",\"agent_id\":{\"value\":\"x\"}" UUID SOURCE, 400);
    expect_status(r, ",\"state\":\"TASK_RUNNING\",\"check_status\":{}" UUID SOURCE, 400);
    expect_status(r, ",\"state\":\"TASK_RUNNING\",\"check_status\":{\"type\":\"HTTP\",\"tcp\":{}}" UUID SOURCE, 400);
    expect_status(r, ",\"state\":\"TASK_RUNNING\",\"check_status\":{\"type\":\"HTTP\",\"http\":{}}" UUID SOURCE, 202);
    struct agent_counts c;
    agent_count(r->a, &c);
    assert_int_equal(c.invalid_updates, 10);
    assert_int_equal(c.valid_updates, 1);
    rig_free(r);
}

static void test_updates__history_keeps_one_per_run_of_equal_states(void **state)
{
    (void)state;
    struct rig *r = subscribed();
    for (int i = 0; i < 100; i++) {
        rig_update(r, "t1", "t1", i == 0 ? "STARTING" : "RUNNING");
        rig_acknowledge(r, "t1");
    }
    size_t kept = 0;
    for (struct map_entry *e = map_first(&r->disk); e != NULL; e = map_next(e))
        kept += strncmp(map_key(e), "update/", 7) == 0;
    assert_int_equal(kept, 2);
    rig_free(r);
}

static void test_updates__scheduler_that_came_back_is_told_at_once(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_command(r, "t1");
    rig_container_started(r, "t1");
    rig_subscribe(r, "t1", 1);
    rig_update(r, "t1", "t1", "STARTING");
    rig_forget_trace(r);
    Muster__Link__UpdateFramework update = MUSTER__LINK__UPDATE_FRAMEWORK__INIT;
    Muster__Link__MasterToAgent m = MUSTER__LINK__MASTER_TO_AGENT__INIT;
    update.framework_info = rig_pack(r, rig_framework(r));
    m.update_framework = &update;
    rig_from_master(r, &m);
    rig_expect(r, "> status t1 STARTING\n");
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_updates__scheduler_that_came_back_is_told_at_once),
        cmocka_unit_test(test_updates__nobody_hears_before_the_disk_has_it),
        cmocka_unit_test(test_updates__one_in_flight_in_order),
        cmocka_unit_test(test_updates__next_waits_for_the_acknowledgement_on_disk),
        cmocka_unit_test(test_updates__repeated_after_10_s_doubling_to_10_min),
        cmocka_unit_test(test_updates__sent_again_at_once_in_a_new_session),
        cmocka_unit_test(test_updates__made_while_disconnected_go_out_on_return),
        cmocka_unit_test(test_updates__same_uuid_again_is_only_acknowledged),
        cmocka_unit_test(test_updates__wrong_acknowledgements_are_ignored),
        cmocka_unit_test(test_updates__nothing_is_taken_after_a_terminal_one),
        cmocka_unit_test(test_updates__pending_ones_are_bounded),
        cmocka_unit_test(test_updates__validation),
        cmocka_unit_test(test_updates__history_keeps_one_per_run_of_equal_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
