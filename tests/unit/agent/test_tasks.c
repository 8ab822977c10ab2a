/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

static void test_tasks__command_task_from_order_to_oblivion(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_command(r, "t1");
    rig_expect(r, "launch t1 builtin\n");
    rig_container_started(r, "t1");
    rig_subscribe(r, "t1", 7);
    rig_expect(r, "stream 7 open\nstream 7 SUBSCRIBED\nstream 7 LAUNCH t1\n");
    rig_update(r, "t1", "t1", "STARTING");
    rig_expect(r, "reply 2 202\nstream 7 ACKNOWLEDGED t1\n> status t1 STARTING\n");
    rig_acknowledge(r, "t1");
    rig_update(r, "t1", "t1", "RUNNING");
    rig_expect(r, "reply 3 202\nstream 7 ACKNOWLEDGED t1\n> status t1 RUNNING\n");
    rig_acknowledge(r, "t1");
    assert_int_equal(agent_task_state(r->a, RIG_FRAMEWORK, "t1"), MESOS__V1__TASK_STATE__TASK_RUNNING);
    rig_update(r, "t1", "t1", "FINISHED");
    rig_expect(
        r, "reply 4 202\nstream 7 ACKNOWLEDGED t1\nlimits t1 cpu=100 quota=-1 soft=32 hard=160\n> status t1 FINISHED\n");
    rig_acknowledge(r, "t1");
    assert_int_equal(agent_task_state(r->a, RIG_FRAMEWORK, "t1"), -1);
    rig_container_ended(r, "t1", LAUNCHER_END_EXITED, 0);
    rig_expect(r, "stream 7 close\n"); /* the master knows no executor of a command task */
    struct agent_counts c;
    agent_count(r->a, &c);
    assert_int_equal(c.frameworks, 0);
    assert_int_equal(c.finished, 1);
    assert_int_equal(map_count(&r->disk), 3); /* agent, boot, the sandbox's due time */
    rig_free(r);
}

static void test_tasks__nothing_starts_before_its_record_is_on_disk(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    r->hold_store = true;
    rig_run_command(r, "t1");
    rig_expect(r, "");
    rig_stored(r);
    rig_expect(r, "launch t1 builtin\n");
    rig_free(r);
}

static void test_tasks__second_task_is_delivered_only_when_on_disk(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_custom(r, "c1", "e");
    rig_container_started(r, "e");
    rig_subscribe(r, "e", 7);
    rig_expect(r, "launch e ./run\nstream 7 open\nstream 7 SUBSCRIBED\nstream 7 LAUNCH c1\n");
    r->hold_store = true;
    rig_run_custom(r, "c2", "e");
    rig_expect(r, "");
    rig_stored(r);
    rig_expect(r, "limits e cpu=2500 quota=-1 soft=320 hard=320\nstream 7 LAUNCH c2\n");
    rig_free(r);
}

static void test_tasks__group_goes_out_as_one(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    Mesos__V1__TaskInfo *tasks[] = {rig_task(r, "g1", ",\"command\":{\"value\":\"a\"}"),
                                    rig_task(r, "g2", ",\"command\":{\"value\":\"b\"}")};
    rig_run(r, tasks, 2, "pod");
    rig_expect(r, "launch pod builtin\n");
    rig_container_started(r, "pod");
    rig_subscribe(r, "pod", 7);
    rig_expect(r, "stream 7 open\nstream 7 SUBSCRIBED\nstream 7 LAUNCH_GROUP g1 g2\n");
    rig_free(r);
}

static void test_tasks__same_id_again_is_ignored(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_to_running(r, "t1", 1);
    rig_run_command(r, "t1");
    rig_expect(r, "");
    Mesos__V1__TaskInfo *t = rig_task(r, "t2", ",\"command\":{\"value\":\"a\"}");
    Mesos__V1__TaskInfo *twice[] = {t, t};
    rig_run(r, twice, 2, NULL);
    rig_expect(r, "launch t2 builtin\n");
    rig_free(r);
}

static void test_kill__goes_to_the_executor_with_its_grace(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_to_running(r, "t1", 1);
    rig_kill(r, "t1");
    rig_kill(r, "t1"); /* every repetition is passed on */
    rig_expect(r, "stream 1 KILL t1\nstream 1 KILL t1\n");
    rig_update(r, "t1", "t1", "KILLED");
    rig_expect(r,
               "reply 4 202\nstream 1 ACKNOWLEDGED t1\nlimits t1 cpu=100 quota=-1 soft=32 hard=160\n> status t1 KILLED\n");
    rig_kill(r, "t1");
    rig_expect(r, ""); /* it has ended */
    rig_free(r);
}

static void test_kill__an_executor_that_does_not_get_to_it_dies_with_its_task(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_to_running(r, "t1", 1);
    rig_kill(r, "t1");
    rig_expect(r, "stream 1 KILL t1\n");
    rig_wait(r, 14900);
    rig_kill(r, "t1"); /* asking again does not put it off */
    rig_expect(r, "stream 1 KILL t1\n");
    rig_wait(r, 200);
    rig_expect(r, "destroy t1\n");
    rig_container_ended(r, "t1", LAUNCHER_END_DESTROYED, 9);
    rig_expect(r, "stream 1 close\n> status t1 KILLED_EXECUTOR_TERMINATED\n");
    rig_free(r);
}

static void test_kill__in_time_leaves_the_executor_alone(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_to_running(r, "t1", 1);
    rig_kill(r, "t1");
    rig_update(r, "t1", "t1", "KILLED");
    rig_acknowledge(r, "t1");
    rig_forget_trace(r);
    rig_wait(r, 20000);
    rig_expect(r, "");
    rig_free(r);
}

static void test_kill__before_the_launch_leaves_no_container(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    r->hold_store = true;
    rig_run_command(r, "t1");
    rig_kill(r, "t1");
    rig_stored(r);
    rig_expect(r, "> status t1 KILLED_TASK_KILLED_DURING_LAUNCH\n");
    rig_acknowledge(r, "t1");
    assert_int_equal(map_count(&r->disk), 2);
    rig_free(r);
}

static void test_kill__before_the_executor_subscribed_ends_it(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_command(r, "t1");
    rig_container_started(r, "t1");
    rig_kill(r, "t1");
    rig_expect(r, "launch t1 builtin\ndestroy t1\n> status t1 KILLED_TASK_KILLED_DURING_LAUNCH\n");
    rig_subscribe(r, "t1", 7); /* it comes all the same */
    rig_expect(r, "stream 7 open\nstream 7 SHUTDOWN\nstream 7 close\n");
    rig_container_ended(r, "t1", LAUNCHER_END_DESTROYED, 9);
    rig_acknowledge(r, "t1");
    rig_expect(r, "");
    assert_int_equal(map_count(&r->disk), 3);
    rig_free(r);
}

static void test_kill__one_of_a_queued_group_kills_the_group_and_spares_the_others(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    Mesos__V1__TaskInfo *first[] = {rig_task(r, "g1", ",\"command\":{\"value\":\"a\"}"),
                                    rig_task(r, "g2", ",\"command\":{\"value\":\"b\"}")};
    Mesos__V1__TaskInfo *second[] = {rig_task(r, "h1", ",\"command\":{\"value\":\"a\"}")};
    rig_run(r, first, 2, "pod");
    rig_run(r, second, 1, "pod");
    rig_forget_trace(r);
    rig_kill(r, "g2");
    rig_expect(r, "> status g1 KILLED_TASK_KILLED_DURING_LAUNCH\n> status g2 KILLED_TASK_KILLED_DURING_LAUNCH\n");
    rig_container_started(r, "pod");
    rig_subscribe(r, "pod", 7);
    rig_forget_trace(r);
    assert_int_equal(agent_task_state(r->a, RIG_FRAMEWORK, "h1"), MESOS__V1__TASK_STATE__TASK_STAGING);
    rig_free(r);
}

static void test_kill__unknown_task_is_disowned(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_kill(r, "nobody");
    rig_expect(r, "> status nobody LOST_EXECUTOR_TERMINATED\n"); /* the framework's abilities are unknown */
    rig_run_to_running(r, "t1", 1);
    r->uuid_count = 0;
    rig_kill(r, "nobody");
    rig_expect(r, "> status nobody DROPPED_EXECUTOR_TERMINATED\n");
    rig_free(r);
}

static void test_kill__while_the_executor_is_away_is_made_good(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_to_running(r, "t1", 1);
    rig_stream_closed(r, 1);
    rig_kill(r, "t1");
    rig_expect(r, "");
    rig_subscribe(r, "t1", 2);
    rig_expect(r, "stream 2 open\nstream 2 SUBSCRIBED\nstream 2 KILL t1\n");
    rig_free(r);
}

static void test_framework__shutdown_ends_all_without_updates(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_to_running(r, "t1", 1);
    rig_run_command(r, "t2"); /* launched, not subscribed */
    rig_run_custom(r, "c1", "e");
    rig_container_started(r, "e");
    rig_subscribe(r, "e", 2);
    rig_forget_trace(r);
    rig_shutdown_framework(r);
    rig_expect(r, "stream 1 SHUTDOWN\ndestroy t2\nstream 2 SHUTDOWN\n");
    rig_update(r, "t1", "t1", "KILLED"); /* too late to tell anybody */
    rig_expect(r, "stream 1 ACKNOWLEDGED t1\nreply 5 202\n");
    rig_container_ended(r, "t1", LAUNCHER_END_EXITED, 0);
    rig_container_ended(r, "t2", LAUNCHER_END_DESTROYED, 9);
    rig_wait(r, 5000);
    rig_container_ended(r, "e", LAUNCHER_END_DESTROYED, 9);
    rig_expect(r, "stream 1 close\ndestroy e\n> exited e 9\nstream 2 close\n");
    struct agent_counts c;
    agent_count(r->a, &c);
    assert_int_equal(c.frameworks, 0);
    assert_int_equal(map_count(&r->disk), 5);
    rig_free(r);
}

static void test_framework__shutdown_does_not_wait_for_acknowledgements(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_to_running(r, "t1", 1);
    rig_container_ended(r, "t1", LAUNCHER_END_EXITED, 0); /* its last update is on the way */
    Mesos__V1__TaskInfo *t = rig_task(r, "t2", ",\"command\":{\"value\":\"a\"},\"container\":{\"type\":\"DOCKER\"}");
    rig_run(r, &t, 1, NULL); /* a refusal as well */
    rig_shutdown_framework(r);
    rig_forget_trace(r);
    struct agent_counts c;
    agent_count(r->a, &c);
    assert_int_equal(c.frameworks, 0);
    assert_int_equal(map_count(&r->disk), 3);
    rig_wait(r, 60000);
    rig_expect(r, ""); /* nothing is repeated */
    rig_free(r);
}

static void test_tasks__too_large_to_be_kept_is_refused(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    Mesos__V1__TaskInfo *t = rig_task(r, "t1", ",\"command\":{\"value\":\"a\"}");
    t->has_data = true;
    t->data = (ProtobufCBinaryData){.data = arena_new_array(r->arena, uint8_t, 7 << 20), .len = 7 << 20};
    rig_run(r, &t, 1, NULL);
    rig_expect(r, "> status t1 FAILED_CONTAINER_LAUNCH_FAILED\n");
    for (struct map_entry *e = map_first(&r->disk); e != NULL; e = map_next(e))
        assert_true(((const struct rig_blob *)map_value(e))->len < 4096);
    rig_free(r);
}

static void test_tasks__unsupported_is_refused_by_name(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    Mesos__V1__TaskInfo *t =
        rig_task(r, "t1",
                 ",\"command\":{\"value\":\"a\"},\"container\":{\"type\":\"MESOS\",\"mesos\":{\"image\":{"
                 "\"type\":\"DOCKER\",\"docker\":{\"name\":\"busybox\"}}}}");
    rig_run(r, &t, 1, NULL);
    rig_expect(r, "> status t1 FAILED_CONTAINER_LAUNCH_FAILED\n");
    rig_acknowledge(r, "t1");
    assert_int_equal(map_count(&r->disk), 2);
    rig_free(r);
}

static void test_tasks__refused_custom_executor_is_taken_back_from_the_master(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    Mesos__V1__TaskInfo *t = rig_task(r, "t1",
                                      ",\"executor\":{\"executor_id\":{\"value\":\"e\"},\"command\":{\"value\":\"a\"},"
                                      "\"container\":{\"type\":\"DOCKER\",\"docker\":{\"image\":\"x\"}}}");
    rig_run(r, &t, 1, NULL);
    rig_expect(r, "> exited e -1\n> status t1 FAILED_CONTAINER_LAUNCH_FAILED\n");
    rig_free(r);
}

static void test_tasks__history_and_completed_ones_are_bounded(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    for (int i = 0; i < 1200; i++) {
        char id[16];
        snprintf(id, sizeof(id), "t%d", i);
        rig_run_to_running(r, id, (stream_id)i + 1);
        rig_update(r, id, id, "FINISHED");
        rig_acknowledge(r, id);
        rig_container_ended(r, id, LAUNCHER_END_EXITED, 0);
        rig_forget_trace(r);
    }
    struct agent_counts c;
    agent_count(r->a, &c);
    assert_int_equal(c.finished, 1200);
    assert_int_equal(c.sandboxes_pending, 1200);
    rig_free(r); /* the bounds themselves are invariants, checked after every step */
}

static void test_sandboxes__are_removed_a_week_after_the_end_one_at_a_time(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    for (int i = 0; i < 2; i++) {
        const char *id = i ? "t2" : "t1";
        rig_run_to_running(r, id, (stream_id)i + 1);
        rig_update(r, id, id, "FINISHED");
        rig_acknowledge(r, id);
        rig_container_ended(r, id, LAUNCHER_END_EXITED, 0);
    }
    rig_link_down(r); /* nobody pings */
    rig_forget_trace(r);
    for (int i = 0; i < 7 * 24; i++) {
        rig_wait(r, 3600 * 1000 - 1);
        rig_link_down(r);
    }
    rig_forget_trace(r);
    rig_wait(r, 7 * 24);
    rig_expect(r, "remove t1\n");
    struct agent_event in = {.type = AGENT_IN_SANDBOX_REMOVED, .sandbox_removed = {.container_id = rig_container(r, "t1")}};
    rig_step(r, &in);
    rig_tick(r);
    rig_expect(r, "remove t2\n");
    in.sandbox_removed.container_id = rig_container(r, "t2");
    in.sandbox_removed.result = -1;
    rig_step(r, &in);
    struct agent_counts c;
    agent_count(r->a, &c);
    assert_int_equal(c.sandboxes_removed, 1);
    assert_int_equal(c.sandboxes_failed, 1);
    assert_int_equal(map_count(&r->disk), 2);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tasks__command_task_from_order_to_oblivion),
        cmocka_unit_test(test_tasks__nothing_starts_before_its_record_is_on_disk),
        cmocka_unit_test(test_tasks__second_task_is_delivered_only_when_on_disk),
        cmocka_unit_test(test_tasks__group_goes_out_as_one),
        cmocka_unit_test(test_tasks__same_id_again_is_ignored),
        cmocka_unit_test(test_kill__goes_to_the_executor_with_its_grace),
        cmocka_unit_test(test_kill__an_executor_that_does_not_get_to_it_dies_with_its_task),
        cmocka_unit_test(test_kill__in_time_leaves_the_executor_alone),
        cmocka_unit_test(test_kill__before_the_launch_leaves_no_container),
        cmocka_unit_test(test_kill__before_the_executor_subscribed_ends_it),
        cmocka_unit_test(test_kill__one_of_a_queued_group_kills_the_group_and_spares_the_others),
        cmocka_unit_test(test_kill__unknown_task_is_disowned),
        cmocka_unit_test(test_kill__while_the_executor_is_away_is_made_good),
        cmocka_unit_test(test_framework__shutdown_ends_all_without_updates),
        cmocka_unit_test(test_framework__shutdown_does_not_wait_for_acknowledgements),
        cmocka_unit_test(test_tasks__too_large_to_be_kept_is_refused),
        cmocka_unit_test(test_tasks__unsupported_is_refused_by_name),
        cmocka_unit_test(test_tasks__refused_custom_executor_is_taken_back_from_the_master),
        cmocka_unit_test(test_tasks__history_and_completed_ones_are_bounded),
        cmocka_unit_test(test_sandboxes__are_removed_a_week_after_the_end_one_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
