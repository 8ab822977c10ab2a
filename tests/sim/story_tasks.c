/* SPDX-License-Identifier: Apache-2.0
 * Tasks that end, are killed, or never come to run. */
#include "sim/story.h"

static void story_executor_lost__task_failed_and_replaced(void **state)
{
    (void)state;
    struct cluster *c = story_begin(1, 1, 2);
    assert_true(sim_host_end_one(sim_agent_host(c->agents[0]), false));
    must_settle(c, 2 * MINUTE);
    assert_int_equal(counts.states[MESOS__V1__TASK_STATE__TASK_FAILED], 1);
    assert_int_equal(counts.containers_started, 3);
    story_end(c);
}

static void story_memory_limit__reason_is_told(void **state)
{
    (void)state;
    struct cluster *c = story_begin(1, 1, 1);
    assert_true(sim_host_end_one(sim_agent_host(c->agents[0]), true));
    must_settle(c, 2 * MINUTE);
    assert_int_equal(counts.states[MESOS__V1__TASK_STATE__TASK_FAILED], 1);
    assert_int_equal(counts.last_reason, MESOS__V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION_MEMORY);
    story_end(c);
}

static void story_launch_fails__until_it_works(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(1, 1, 1, 2);
    world_add_check(c->world, &story_counter);
    c->world->faults.launch_fail_ppm = 1000000;
    run_for(c, 30 * SECOND);
    assert_int_equal(counts.containers_started, 0);
    assert_true(counts.states[MESOS__V1__TASK_STATE__TASK_FAILED] > 0);
    assert_int_equal(counts.last_reason, MESOS__V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED);
    must_settle(c, 2 * MINUTE);
    story_end(c);
}

static void story_kill__scale_down_and_up(void **state)
{
    (void)state;
    struct cluster *c = story_begin(2, 1, 6);
    sim_framework_set_wanted(c->frameworks[0], 2);
    must_settle(c, 2 * MINUTE);
    assert_int_equal(counts.states[MESOS__V1__TASK_STATE__TASK_KILLED], 4);
    assert_int_equal(counts.containers_ended, 4);
    sim_framework_set_wanted(c->frameworks[0], 6);
    must_settle(c, 2 * MINUTE);
    assert_int_equal(counts.containers_started, 10);
    story_end(c);
}

static void story_kill__a_task_that_ignores_it(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(1, 1, 1, 2);
    world_add_check(c->world, &story_counter);
    c->world->faults.stubborn_ppm = 1000000;
    run_for(c, 20 * SECOND);
    assert_int_equal(counts.states[MESOS__V1__TASK_STATE__TASK_RUNNING], 2);
    sim_framework_set_wanted(c->frameworks[0], 0);
    must_settle(c, 2 * MINUTE);
    assert_int_equal(counts.states[MESOS__V1__TASK_STATE__TASK_KILLED], 2);
    story_end(c);
}

static void story_kill_during_launch__ends_killed_once(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(1, 1, 1, 1);
    world_add_check(c->world, &story_counter);
    c->world->faults.start_ms_max = 10 * SECOND;
    while (sim_framework_first_task(c->frameworks[0]) == NULL)
        run_for(c, 10);
    run_for(c, 20); /* the launch is on its way, or the container starts */
    sim_framework_set_wanted(c->frameworks[0], 0);
    must_settle(c, 5 * MINUTE);
    assert_int_equal(counts.containers_started, counts.containers_ended);
    assert_true(counts.states[MESOS__V1__TASK_STATE__TASK_KILLED] >= 1);
    story_end(c);
}

/* The scheduler is too slow to acknowledge: the agent says it again, and again the same. */
static void story_slow_acknowledgement__update_is_repeated(void **state)
{
    (void)state;
    struct cluster *c = story_begin(1, 1, 1);
    sim_store_stall(sim_framework_store(c->frameworks[0]), c->world->now_ms + 45 * SECOND);
    assert_true(sim_host_end_one(sim_agent_host(c->agents[0]), false));
    run_for(c, 50 * SECOND);
    assert_true(counts.states[MESOS__V1__TASK_STATE__TASK_FAILED] > 1);
    must_settle(c, 5 * MINUTE);
    assert_int_equal(counts.containers_started, 2);
    story_end(c);
}

/* The scheduler dies between an update and its acknowledgement. */
static void story_framework_crash__update_is_told_to_the_next(void **state)
{
    (void)state;
    struct cluster *c = story_begin(1, 1, 1);
    sim_store_stall(sim_framework_store(c->frameworks[0]), c->world->now_ms + 5 * MINUTE);
    assert_true(sim_host_end_one(sim_agent_host(c->agents[0]), false));
    run_for(c, 2 * SECOND);
    assert_int_equal(counts.states[MESOS__V1__TASK_STATE__TASK_FAILED], 1);
    world_restart_node(sim_framework_node(c->frameworks[0]), SECOND);
    must_settle(c, 5 * MINUTE);
    assert_true(counts.states[MESOS__V1__TASK_STATE__TASK_FAILED] > 1);
    story_end(c);
}

static void story_two_frameworks__share_one_agent(void **state)
{
    (void)state;
    struct cluster *c = story_begin(1, 2, 4);
    sim_framework_set_wanted(c->frameworks[0], 0);
    must_settle(c, 5 * MINUTE);
    sim_framework_set_wanted(c->frameworks[0], 1);
    must_settle(c, 5 * MINUTE);
    check_resources_all_offered(c->world, NULL, NULL);
    must_hold(c);
    assert_int_equal(counts.containers_started, 9);
    story_end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(story_executor_lost__task_failed_and_replaced),
        cmocka_unit_test(story_memory_limit__reason_is_told),
        cmocka_unit_test(story_launch_fails__until_it_works),
        cmocka_unit_test(story_kill__scale_down_and_up),
        cmocka_unit_test(story_kill__a_task_that_ignores_it),
        cmocka_unit_test(story_kill_during_launch__ends_killed_once),
        cmocka_unit_test(story_slow_acknowledgement__update_is_repeated),
        cmocka_unit_test(story_framework_crash__update_is_told_to_the_next),
        cmocka_unit_test(story_two_frameworks__share_one_agent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
