/* SPDX-License-Identifier: Apache-2.0
 * What agents report when they come back, and what schedulers are told of it. Each of these went wrong once. */
#include "sim/story.h"

static void cut_agent(struct cluster *c, int64_t ms)
{
    world_cut(c->world, sim_agent_node(c->agents[0]), sim_master_node(c->master), c->world->now_ms + ms);
}

static void wait_for_container(struct cluster *c)
{
    for (int i = 0; i < 20000 && counts.containers_started == 0; i++)
        run_for(c, 1);
    assert_int_equal(counts.containers_started, 1);
}

static void stall_framework(struct cluster *c, int64_t ms)
{
    sim_store_stall(sim_framework_store(c->frameworks[0]), c->world->now_ms + ms);
}

/* The stream of updates waits at STARTING while the task runs; a new master must not be ahead of it. */
static void story_master_restart__reconciliation_stays_behind_the_updates(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) { /* who is back first and who asks first is a matter of delays */
        struct cluster *c = cluster_new(seed, 1, 1, 1);
        world_add_check(c->world, &story_counter);
        c->world->faults.latency_ms_max = 400;
        wait_for_container(c);
        stall_framework(c, 20 * SECOND);
        run_for(c, 3 * SECOND);
        assert_int_equal(counts.states[MESOS__V1__TASK_STATE__TASK_RUNNING], 0);
        world_restart_node(sim_master_node(c->master), SECOND);
        run_for(c, 20 * SECOND);
        must_settle(c, 5 * MINUTE);
        assert_int_equal(counts.containers_started, 1);
        story_end(c);
    }
}

/* A task ends while its agent is out of reach and an older update is not acknowledged: the end is told last. */
static void story_task_ends_out_of_reach__updates_stay_in_order(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(1, 1, 1, 1);
    world_add_check(c->world, &story_counter);
    wait_for_container(c);
    stall_framework(c, 10 * SECOND);
    cut_agent(c, 150 * SECOND);
    run_for(c, 30 * SECOND);
    assert_true(sim_host_end_one(sim_agent_host(c->agents[0]), false));
    run_for(c, 3 * MINUTE);
    must_settle(c, 10 * MINUTE);
    assert_true(counts.states[MESOS__V1__TASK_STATE__TASK_UNREACHABLE] > 0);
    assert_true(counts.states[MESOS__V1__TASK_STATE__TASK_FAILED] > 0);
    story_end(c);
}

/* Launched into a partition, and the agent began anew before it heard of it. */
static void story_launch_lost_with_the_link__task_is_gone(void **state)
{
    (void)state;
    struct cluster *c = story_begin(1, 1, 1);
    cut_agent(c, 150 * SECOND);
    sim_framework_set_wanted(c->frameworks[0], 3);
    run_for(c, 60 * SECOND);
    world_restart_node(sim_agent_node(c->agents[0]), SECOND);
    run_for(c, 90 * SECOND);
    assert_int_equal(counts.states[MESOS__V1__TASK_STATE__TASK_UNREACHABLE], 3);
    must_settle(c, 10 * MINUTE);
    assert_int_equal(counts.states[MESOS__V1__TASK_STATE__TASK_GONE], 2);
    assert_int_equal(counts.containers_started, 3);
    story_end(c);
}

/* A partition and a crash at every moment of an agent's way back: reports that the partition held up arrive after newer
 * ones, and must not count. */
static void story_agent_returns__cut_off_at_every_moment(void **state)
{
    (void)state;
    for (int moment = 0; moment < 300; moment++) {
        struct cluster *c = story_begin(1, 1, 2);
        c->world->faults.latency_ms_max = 300;
        world_restart_node(sim_agent_node(c->agents[0]), 10);
        run_for(c, 10 + moment * 10);
        cut_agent(c, 20 * SECOND);
        sim_framework_set_wanted(c->frameworks[0], 4);
        run_for(c, 5 * SECOND);
        world_restart_node(sim_agent_node(c->agents[0]), 10 * SECOND);
        run_for(c, 70 * SECOND);
        must_settle(c, 15 * MINUTE);
        assert_int_equal(counts.containers_ended, 0);
        assert_int_equal(counts.containers_started, 4);
        story_end(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(story_master_restart__reconciliation_stays_behind_the_updates),
        cmocka_unit_test(story_task_ends_out_of_reach__updates_stay_in_order),
        cmocka_unit_test(story_launch_lost_with_the_link__task_is_gone),
        cmocka_unit_test(story_agent_returns__cut_off_at_every_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
