/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

static void test_recovery__running_executor_comes_back_and_nothing_happened(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_to_running(r, "t1", 1);
    rig_crash(r);
    rig_boot(r);
    rig_expect(r, "recover 1\n");
    rig_subscribe(r, "t1", 1); /* too early: it tries again */
    rig_expect(r, "reply 4 503\n");
    rig_container_started(r, "t1");
    rig_recovered(r);
    rig_expect(r, "limits t1 cpu=1100 quota=-1 soft=160 hard=160\n");
    rig_update(r, "t1", "t1", "RUNNING"); /* only SUBSCRIBE is served now */
    rig_expect(r, "reply 5 503\n");
    rig_subscribe(r, "t1", 2);
    rig_expect(r, "stream 2 open\nstream 2 SUBSCRIBED\nopen\n"); /* the last one is back: to the master at once */
    rig_link_up(r);
    rig_expect(r, "> hello\n> reregister frameworks=1 executors=0 t1:RUNNING\n");
    rig_registered(r, true);
    rig_expect(r, "");
    rig_kill(r, "t1");
    rig_expect(r, "stream 2 KILL t1\n");
    rig_free(r);
}

static void test_recovery__unacknowledged_update_is_sent_again(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_to_running(r, "t1", 1);
    rig_update(r, "t1", "t1", "RUNNING");
    rig_update(r, "t1", "t1", "FINISHED");
    rig_crash(r);
    rig_boot(r);
    rig_container_ended(r, "t1", LAUNCHER_END_EXITED, 0);
    rig_recovered(r);
    rig_link_up(r);
    rig_registered(r, true);
    rig_expect(r, "recover 1\nopen\n> hello\n> reregister frameworks=1 executors=0 t1:FINISHED\n> status t1 RUNNING\n");
    rig_acknowledge(r, "t1");
    rig_acknowledge(r, "t1");
    rig_expect(r, "> status t1 FINISHED\n");
    assert_int_equal(map_count(&r->disk), 3);
    rig_free(r);
}

static void test_recovery__executor_that_stays_away_is_given_up(void **state)
{
    (void)state;
    for (int aware = 0; aware < 2; aware++) {
        struct rig *r = rig_ready();
        r->partition_aware = aware;
        rig_run_to_running(r, "t1", 1);
        rig_crash(r);
        rig_boot(r);
        rig_container_started(r, "t1");
        rig_recovered(r);
        rig_expect(r, "recover 1\nlimits t1 cpu=1100 quota=-1 soft=160 hard=160\n");
        rig_wait(r, 4999); /* more than the bound of its retries */
        rig_expect(r, "");
        rig_wait(r, 1);
        rig_expect(r, "destroy t1\nopen\n");
        rig_container_ended(r, "t1", LAUNCHER_END_DESTROYED, 9);
        rig_link_up(r);
        rig_registered(r, true);
        rig_expect(r, aware ? "> hello\n> reregister frameworks=1 executors=0 t1:GONE\n"
                              "> status t1 GONE_EXECUTOR_REREGISTRATION_TIMEOUT\n"
                            : "> hello\n> reregister frameworks=1 executors=0 t1:LOST\n"
                              "> status t1 LOST_EXECUTOR_REREGISTRATION_TIMEOUT\n");
        rig_free(r);
    }
}

static void test_recovery__task_the_executor_never_got_is_dropped(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_command(r, "t1");
    rig_container_started(r, "t1");
    rig_crash(r);
    rig_boot(r);
    rig_container_started(r, "t1");
    rig_recovered(r);
    rig_subscribe(r, "t1", 2);
    rig_expect(r, "recover 1\nlimits t1 cpu=1100 quota=-1 soft=160 hard=160\nstream 2 open\nstream 2 SUBSCRIBED\nstream 2 "
                  "SHUTDOWN\nopen\n"); /* nothing left to do */
    rig_link_up(r);
    rig_registered(r, true);
    rig_expect(r, "> hello\n> reregister frameworks=1 executors=0 t1:DROPPED\n> status t1 DROPPED_AGENT_RESTARTED\n");
    rig_free(r);
}

static void test_recovery__task_the_executor_has_is_kept(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_command(r, "t1");
    rig_container_started(r, "t1");
    rig_subscribe(r, "t1", 1);
    rig_crash(r);
    rig_boot(r);
    rig_container_started(r, "t1");
    rig_recovered(r);
    rig_subscribe_with(r, "t1", 2, "{\"name\":\"n\",\"task_id\":{\"value\":\"t1\"},\"agent_id\":{\"value\":\"a\"}}",
                       arena_printf(r->arena, "{\"status\":%s}", rig_status_json(r, "t1", "STARTING", 50)));
    rig_expect(r, "recover 1\nlimits t1 cpu=1100 quota=-1 soft=160 hard=160\nstream 2 open\nstream 2 "
                  "SUBSCRIBED\nopen\nstream 2 ACKNOWLEDGED t1\n");
    rig_link_up(r);
    rig_registered(r, true);
    rig_expect(r, "> hello\n> reregister frameworks=1 executors=0 t1:STARTING\n> status t1 STARTING\n");
    rig_free(r);
}

static void test_recovery__crash_between_record_and_launch(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    r->hold_store = true;
    rig_run_command(r, "t1"); /* on disk, but the agent has not heard of it */
    rig_expect(r, "");
    rig_crash(r);
    rig_boot(r);
    rig_recovered(r); /* the launcher has no such container */
    rig_link_up(r);
    rig_registered(r, true);
    rig_expect(r, "recover 1\nopen\n> hello\n> reregister frameworks=1 executors=0 t1:DROPPED\n"
                  "> status t1 DROPPED_AGENT_RESTARTED\n");
    rig_acknowledge(r, "t1");
    assert_null(map_get(&r->disk, "framework/" RIG_FRAMEWORK));
    rig_free(r);
}

static void test_recovery__after_a_reboot_all_runs_are_over(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_to_running(r, "t1", 1);
    rig_run_custom(r, "c1", "e");
    rig_crash(r);
    r->boot_id = "boot-2";
    rig_boot(r);
    rig_recovered(r);
    rig_link_up(r);
    rig_registered(r, true);
    rig_expect(r, "recover 0\nopen\n> hello\n> reregister frameworks=1 executors=0 t1:GONE c1:GONE\n"
                  "> status t1 GONE_AGENT_RESTARTED\n> status c1 GONE_AGENT_RESTARTED\n");
    rig_acknowledge(r, "t1");
    rig_acknowledge(r, "c1");
    assert_null(map_get(&r->disk, "framework/" RIG_FRAMEWORK));
    rig_free(r);
}

static void test_recovery__idle_custom_executor_is_kept(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_custom(r, "c1", "e");
    rig_container_started(r, "e");
    rig_subscribe(r, "e", 1);
    rig_update(r, "e", "c1", "FINISHED");
    rig_acknowledge(r, "c1");
    rig_crash(r);
    rig_boot(r);
    rig_container_started(r, "e");
    rig_recovered(r);
    rig_subscribe(r, "e", 2);
    rig_expect(r, "recover 1\nlimits e cpu=500 quota=-1 soft=64 hard=192\nstream 2 open\nstream 2 SUBSCRIBED\nopen\n");
    rig_link_up(r);
    rig_registered(r, true);
    rig_forget_trace(r);
    rig_run_custom(r, "c2", "e");
    rig_expect(r, "limits e cpu=1500 quota=-1 soft=192 hard=192\nstream 2 LAUNCH c2\n");
    rig_free(r);
}

static void test_recovery__sandboxes_stay_due(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_to_running(r, "t1", 1);
    rig_update(r, "t1", "t1", "FINISHED");
    rig_acknowledge(r, "t1");
    rig_container_ended(r, "t1", LAUNCHER_END_EXITED, 0);
    rig_crash(r);
    r->wall_ms += (int64_t)8 * 24 * 3600 * 1000;
    rig_boot(r);
    rig_tick(r);
    rig_expect(r, "recover 0\nremove t1\n");
    rig_free(r);
}

static void expect_exit(struct rig *r, const char *part)
{
    char *got = buf_steal_str(&r->trace);
    if (strncmp(got, "exit 1 ", 7) != 0 || strstr(got, part) == NULL)
        fail_msg("'%s' is not in: %s", part, got);
    free(got);
}

static struct rig *restarted_with(const char *info, const char *boot_id)
{
    struct rig *r = rig_ready();
    rig_run_to_running(r, "t1", 1);
    rig_crash(r);
    r->boot_id = boot_id;
    r->info = RIG_JSON(r, mesos__v1__agent_info, info);
    rig_boot(r);
    return r;
}

#define RESOURCES(cpus)                                                                                                    \
    "\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" #cpus "}},"                             \
    "{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4096}}]"
#define RACK ",\"attributes\":[{\"name\":\"rack\",\"type\":\"TEXT\",\"text\":{\"value\":\"a\"}}]"

static void test_recovery__changed_agent_may_only_have_more(void **state)
{
    (void)state;
    struct rig *r = restarted_with("{\"hostname\":\"h1\",\"port\":5051," RESOURCES(8) RACK "}", "boot-1");
    rig_expect(r, "recover 1\n");
    rig_free(r);
    r = restarted_with("{\"hostname\":\"h1\",\"port\":5051," RESOURCES(2) RACK "}", "boot-1");
    expect_exit(r, "lacks cpus:2");
    rig_free(r);
    r = restarted_with("{\"hostname\":\"h1\",\"port\":5051," RESOURCES(4) "}", "boot-1");
    expect_exit(r, "attribute rack was a");
    rig_free(r);
    r = restarted_with("{\"hostname\":\"h2\",\"port\":5051," RESOURCES(4) RACK "}", "boot-1");
    expect_exit(r, "hostname was h1 and is h2 now");
    rig_free(r);
    r = restarted_with("{\"hostname\":\"h1\",\"port\":5052," RESOURCES(4) RACK "}", "boot-1");
    expect_exit(r, "port was 5051 and is 5052 now");
    assert_non_null(map_get(&r->disk, "agent")); /* nothing was touched */
    rig_free(r);
}

static void test_recovery__changed_after_a_reboot_becomes_a_new_agent(void **state)
{
    (void)state;
    struct rig *r = restarted_with("{\"hostname\":\"h1\",\"port\":5051," RESOURCES(2) "}", "boot-2");
    rig_recovered(r);
    rig_link_up(r);
    rig_expect(r, "recover 0\nopen\n> hello\n> register\n");
    assert_int_equal(map_count(&r->disk), 2); /* boot, and the old sandbox's due time */
    rig_free(r);
}

static void test_recovery__unreadable_record_is_named(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_to_running(r, "t1", 1);
    rig_crash(r);
    struct rig_blob *b = map_get(&r->disk, "task/" RIG_FRAMEWORK "/t1");
    assert_non_null(b);
    b->len = 1;
    rig_boot(r);
    expect_exit(r, "checkpoint task/" RIG_FRAMEWORK "/t1");
    rig_free(r);
}

static void test_recovery__runs_without_an_agent_are_refused(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_to_running(r, "t1", 1);
    rig_crash(r);
    free(map_remove(&r->disk, "agent"));
    rig_boot(r);
    expect_exit(r, "not the agent they ran on");
    rig_free(r);
}

/* Whatever prefix of an agent's writes a crash leaves, the next run can read it and comes to rest. */
static void test_recovery__from_a_crash_after_any_write(void **state)
{
    (void)state;
    for (int crash_at = 1; crash_at < 16; crash_at++) {
        struct rig *r = rig_ready();
        r->writes_left = crash_at;
        rig_run_to_running(r, "t1", 1);
        if (r->uuid_count == 0 && r->writes_left > 0) {
            rig_update(r, "t1", "t1", "FINISHED");
            if (r->uuid_count > 0)
                rig_acknowledge(r, "t1");
            rig_container_ended(r, "t1", LAUNCHER_END_EXITED, 0);
        }
        r->writes_left = INT64_MAX;
        rig_crash(r);
        rig_boot(r);
        assert_false(r->ended);
        rig_recovered(r); /* its container is gone */
        rig_link_up(r);
        rig_registered(r, true);
        for (int i = 0; i < 4 && r->uuid_count > 0; i++)
            rig_acknowledge(r, "t1");
        struct agent_counts c;
        agent_count(r->a, &c);
        assert_int_equal(c.frameworks, 0);
        assert_int_equal(c.updates_pending, 0);
        assert_null(map_get(&r->disk, "framework/" RIG_FRAMEWORK));
        rig_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recovery__running_executor_comes_back_and_nothing_happened),
        cmocka_unit_test(test_recovery__unacknowledged_update_is_sent_again),
        cmocka_unit_test(test_recovery__executor_that_stays_away_is_given_up),
        cmocka_unit_test(test_recovery__task_the_executor_never_got_is_dropped),
        cmocka_unit_test(test_recovery__task_the_executor_has_is_kept),
        cmocka_unit_test(test_recovery__crash_between_record_and_launch),
        cmocka_unit_test(test_recovery__after_a_reboot_all_runs_are_over),
        cmocka_unit_test(test_recovery__idle_custom_executor_is_kept),
        cmocka_unit_test(test_recovery__sandboxes_stay_due),
        cmocka_unit_test(test_recovery__changed_agent_may_only_have_more),
        cmocka_unit_test(test_recovery__changed_after_a_reboot_becomes_a_new_agent),
        cmocka_unit_test(test_recovery__unreadable_record_is_named),
        cmocka_unit_test(test_recovery__runs_without_an_agent_are_refused),
        cmocka_unit_test(test_recovery__from_a_crash_after_any_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
