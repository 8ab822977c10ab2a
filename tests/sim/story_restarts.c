/* SPDX-License-Identifier: Apache-2.0
 * A part dies and comes back: nobody's tasks notice. */
#include "sim/story.h"

static void story_agent_crash__tasks_run_on(void **state)
{
    (void)state;
    struct cluster *c = story_begin(1, 1, 3);
    world_restart_node(sim_agent_node(c->agents[0]), 5 * SECOND);
    must_settle(c, 2 * MINUTE);
    assert_int_equal(counts.containers_started, 3);
    assert_int_equal(counts.containers_ended, 0);
    story_end(c);
}

static void story_agent_crash__exit_meanwhile_is_told(void **state)
{
    (void)state;
    struct cluster *c = story_begin(1, 1, 1);
    struct sim_host *host = sim_agent_host(c->agents[0]);
    world_restart_node(sim_agent_node(c->agents[0]), 5 * SECOND);
    assert_true(sim_host_end_one(host, false));
    must_settle(c, 2 * MINUTE);
    assert_int_equal(counts.states[MESOS__V1__TASK_STATE__TASK_FAILED], 1);
    assert_int_equal(counts.containers_started, 2);
    story_end(c);
}

static void story_agent_crash__before_anything_is_stored(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(1, 1, 1, 3);
    world_add_check(c->world, &story_counter);
    sim_store_stall(sim_agent_store(c->agents[0]), c->world->now_ms + 20 * SECOND);
    run_for(c, 5 * SECOND);
    assert_int_equal(counts.containers_started, 0); /* no container before its record */
    world_restart_node(sim_agent_node(c->agents[0]), SECOND);
    must_settle(c, 15 * MINUTE);
    story_end(c);
}

static void story_master_restart__kills_and_starts_nothing(void **state)
{
    (void)state;
    struct cluster *c = story_begin(3, 2, 4);
    world_restart_node(sim_master_node(c->master), 10 * SECOND);
    must_settle(c, 5 * MINUTE);
    assert_int_equal(counts.containers_started, 8);
    assert_int_equal(counts.containers_ended, 0);
    story_end(c);
}

static void story_master_restart__together_with_an_agent(void **state)
{
    (void)state;
    struct cluster *c = story_begin(2, 1, 4);
    world_restart_node(sim_master_node(c->master), 10 * SECOND);
    world_restart_node(sim_agent_node(c->agents[0]), 20 * SECOND);
    must_settle(c, 5 * MINUTE);
    assert_int_equal(counts.containers_started, 4);
    assert_int_equal(counts.containers_ended, 0);
    story_end(c);
}

static void story_master_store_fails__it_starts_again(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(1, 1, 1, 2);
    world_add_check(c->world, &story_counter);
    sim_store_fail_next(sim_master_store(c->master));
    must_settle(c, 5 * MINUTE);
    assert_true(sim_master_node(c->master)->incarnation > 1);
    story_end(c);
}

static void story_framework_failover__keeps_its_tasks(void **state)
{
    (void)state;
    struct cluster *c = story_begin(2, 1, 5);
    char *id = xstrdup(sim_framework_id(c->frameworks[0]));
    world_restart_node(sim_framework_node(c->frameworks[0]), 30 * SECOND);
    must_settle(c, 5 * MINUTE);
    assert_string_equal(sim_framework_id(c->frameworks[0]), id);
    assert_int_equal(counts.containers_started, 5);
    assert_int_equal(counts.containers_ended, 0);
    free(id);
    story_end(c);
}

static void story_reboot__tasks_are_replaced(void **state)
{
    (void)state;
    struct cluster *c = story_begin(1, 1, 3);
    char *id = xstrdup(agent_id(sim_agent_core(c->agents[0])));
    sim_host_reboot(sim_agent_host(c->agents[0]), 40 * SECOND);
    must_settle(c, 5 * MINUTE);
    assert_string_equal(agent_id(sim_agent_core(c->agents[0])), id);
    assert_int_equal(counts.containers_started, 6);
    free(id);
    story_end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(story_agent_crash__tasks_run_on),
        cmocka_unit_test(story_agent_crash__exit_meanwhile_is_told),
        cmocka_unit_test(story_agent_crash__before_anything_is_stored),
        cmocka_unit_test(story_master_restart__kills_and_starts_nothing),
        cmocka_unit_test(story_master_restart__together_with_an_agent),
        cmocka_unit_test(story_master_store_fails__it_starts_again),
        cmocka_unit_test(story_framework_failover__keeps_its_tasks),
        cmocka_unit_test(story_reboot__tasks_are_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
