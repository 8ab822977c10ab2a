/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

static void test_session__fresh_agent_registers_and_stores_its_id(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_boot(r);
    rig_expect(r, "recover 0\n");
    rig_recovered(r);
    rig_expect(r, "open\n");
    rig_link_up(r);
    rig_expect(r, "> hello\n> register\n");
    assert_false(agent_is_registered(r->a));
    rig_registered(r, false);
    assert_true(agent_is_registered(r->a));
    assert_string_equal(agent_id(r->a), RIG_AGENT);
    assert_non_null(map_get(&r->disk, "agent"));
    rig_free(r);
}

static void test_session__lost_link_waits_at_most_a_second_then_reregisters(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_link_down(r);
    assert_false(agent_is_registered(r->a));
    assert_true(agent_next_deadline(r->a) <= r->now_ms + 1000);
    rig_wait(r, 1000);
    rig_expect(r, "open\n");
    rig_link_up(r);
    rig_expect(r, "> hello\n> reregister frameworks=0 executors=0\n");
    rig_registered(r, true);
    assert_true(agent_is_registered(r->a));
    rig_free(r);
}

static void test_session__failed_attempts_wait_longer_up_to_a_minute(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_boot(r);
    rig_recovered(r);
    int64_t longest = 0;
    for (int i = 0; i < 40; i++) {
        rig_link_down(r);
        int64_t wait = agent_next_deadline(r->a) - r->now_ms;
        int64_t bound = i < 6 ? 1000 << i : 60000;
        assert_in_range(wait, 0, bound);
        longest = wait > longest ? wait : longest;
        rig_wait(r, bound);
    }
    assert_true(longest > 20000);
    rig_free(r);
}

static void test_session__ping_is_answered_and_silence_ends_the_session(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_wait(r, 60000);
    rig_ping(r, 1, true);
    rig_expect(r, "> pong 1\n");
    rig_wait(r, 74999);
    rig_expect(r, "");
    rig_wait(r, 1);
    assert_false(agent_is_registered(r->a));
    rig_wait(r, 1000);
    rig_expect(r, "close\nopen\n");
    rig_free(r);
}

static void test_session__ping_that_says_disconnected_reregisters_on_the_same_link(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_ping(r, 9, false);
    rig_expect(r, "> pong 9\n> reregister frameworks=0 executors=0\n");
    rig_registered(r, true);
    assert_true(agent_is_registered(r->a));
    rig_free(r);
}

static void test_session__no_answer_to_the_registration_is_not_waited_for_for_ever(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_boot(r);
    rig_recovered(r);
    rig_link_up(r);
    rig_forget_trace(r);
    rig_wait(r, 61000);
    rig_expect(r, "close\nopen\n");
    rig_free(r);
}

static void test_session__another_agents_id_is_not_taken(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_link_down(r);
    rig_wait(r, 1000);
    rig_link_up(r);
    rig_forget_trace(r);
    rig_registered(r, false); /* an answer to a question not asked */
    rig_expect(r, "close\n");
    assert_false(agent_is_registered(r->a));
    rig_free(r);
}

static void refuse(struct rig *r, bool shutdown)
{
    Muster__Link__Refused refused = MUSTER__LINK__REFUSED__INIT;
    refused.message = (char *)(uintptr_t) "gone";
    refused.has_shutdown = true;
    refused.shutdown = shutdown;
    Muster__Link__MasterToAgent m = MUSTER__LINK__MASTER_TO_AGENT__INIT;
    m.refused = &refused;
    rig_from_master(r, &m);
}

static void test_session__refused_tries_again_and_keeps_its_tasks(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_to_running(r, "t1", 1);
    rig_link_down(r);
    rig_wait(r, 1000);
    rig_link_up(r);
    rig_forget_trace(r);
    refuse(r, false);
    rig_expect(r, "close\n");
    rig_wait(r, 2000);
    rig_expect(r, "open\n");
    assert_int_equal(agent_task_state(r->a, RIG_FRAMEWORK, "t1"), MESOS__V1__TASK_STATE__TASK_RUNNING);
    rig_free(r);
}

static void test_session__refused_for_good_ends_everything_and_forgets_itself(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_to_running(r, "t1", 1);
    rig_link_down(r);
    rig_wait(r, 1000);
    rig_link_up(r);
    rig_forget_trace(r);
    refuse(r, true);
    rig_expect(r, "close\nstream 1 SHUTDOWN\n");
    rig_wait(r, 5000);
    rig_expect(r, "destroy t1\n");
    rig_container_ended(r, "t1", LAUNCHER_END_DESTROYED, 9);
    rig_expect(r, "stream 1 close\nexit 1 the master refused this agent for good: gone\n");
    assert_null(map_get(&r->disk, "agent"));
    assert_int_equal(map_count(&r->disk), 1); /* the sandbox's due time */
    rig_free(r);
}

static void test_session__unregister_tells_the_master_and_ends(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_to_running(r, "t1", 1);
    struct agent_event in = {.type = AGENT_IN_UNREGISTER};
    rig_step(r, &in);
    rig_expect(r, "> unregister\nstream 1 SHUTDOWN\n");
    rig_link_down(r);
    rig_wait(r, 1000);
    rig_container_ended(r, "t1", LAUNCHER_END_EXITED, 0);
    rig_expect(r, "stream 1 close\nexit 0 unregistered as asked\n");
    rig_free(r);
}

static void test_session__unregister_during_recovery_waits_for_it(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_boot(r);
    struct agent_event in = {.type = AGENT_IN_UNREGISTER};
    rig_step(r, &in);
    rig_expect(r, "recover 0\n");
    rig_recovered(r);
    rig_expect(r, "exit 0 unregistered as asked\n");
    rig_free(r);
}

static void test_session__failed_write_stops_the_agent(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    r->hold_store = true;
    rig_run_command(r, "t1");
    struct agent_event in = {.type = AGENT_IN_STORE_DONE, .store_done = {.token = r->held[0], .result = -5}};
    rig_step(r, &in);
    rig_expect(r, "exit 1 the agent's state cannot be written: Input/output error\n");
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session__fresh_agent_registers_and_stores_its_id),
        cmocka_unit_test(test_session__lost_link_waits_at_most_a_second_then_reregisters),
        cmocka_unit_test(test_session__failed_attempts_wait_longer_up_to_a_minute),
        cmocka_unit_test(test_session__ping_is_answered_and_silence_ends_the_session),
        cmocka_unit_test(test_session__ping_that_says_disconnected_reregisters_on_the_same_link),
        cmocka_unit_test(test_session__no_answer_to_the_registration_is_not_waited_for_for_ever),
        cmocka_unit_test(test_session__another_agents_id_is_not_taken),
        cmocka_unit_test(test_session__refused_tries_again_and_keeps_its_tasks),
        cmocka_unit_test(test_session__refused_for_good_ends_everything_and_forgets_itself),
        cmocka_unit_test(test_session__unregister_tells_the_master_and_ends),
        cmocka_unit_test(test_session__unregister_during_recovery_waits_for_it),
        cmocka_unit_test(test_session__failed_write_stops_the_agent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
