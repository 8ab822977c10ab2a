/* SPDX-License-Identifier: Apache-2.0
 * Marathon's core as a framework among the others: what the operator wanted is so in the end. */
#include "sim/story.h"

static struct cluster *begin(int agents, int instances)
{
    struct cluster *c = cluster_new(1, agents, 0, 0);
    cluster_add_marathon(c, instances);
    world_add_check(c->world, &story_counter);
    must_settle(c, 3 * MINUTE);
    assert_int_equal(counts.containers_started, SIM_MARATHON_APPS * instances);
    return c;
}

static void story_marathon__scales_up_and_down(void **state)
{
    (void)state;
    struct cluster *c = begin(2, 2);
    sim_marathon_set_wanted(c->marathon, 0, 6);
    must_settle(c, 5 * MINUTE);
    assert_int_equal(counts.containers_started, 8);
    sim_marathon_set_wanted(c->marathon, 0, 1);
    sim_marathon_set_wanted(c->marathon, 1, 0);
    must_settle(c, 5 * MINUTE);
    assert_int_equal(counts.containers_ended, 7);
    story_end(c);
}

static void story_marathon_crash__tasks_run_on(void **state)
{
    (void)state;
    struct cluster *c = begin(2, 3);
    world_restart_node(sim_marathon_node(c->marathon), 20 * SECOND);
    must_settle(c, 5 * MINUTE);
    assert_int_equal(counts.containers_started, 6);
    assert_int_equal(counts.containers_ended, 0);
    story_end(c);
}

static void story_marathon_crash__in_the_middle_of_a_deployment(void **state)
{
    (void)state;
    for (int moment = 0; moment < 40; moment++) {
        struct cluster *c = cluster_new(1, 2, 0, 0);
        cluster_add_marathon(c, 3);
        world_add_check(c->world, &story_counter);
        c->world->faults.store_ms_max = 20;
        run_for(c, 100 + moment * 50);
        world_restart_node(sim_marathon_node(c->marathon), 500);
        must_settle(c, 10 * MINUTE);
        story_end(c);
    }
}

static void story_marathon__everything_restarts(void **state)
{
    (void)state;
    struct cluster *c = begin(2, 3);
    world_restart_node(sim_master_node(c->master), 3 * SECOND);
    world_restart_node(sim_agent_node(c->agents[0]), 2 * SECOND);
    world_restart_node(sim_agent_node(c->agents[1]), 4 * SECOND);
    world_restart_node(sim_marathon_node(c->marathon), SECOND);
    must_settle(c, 10 * MINUTE);
    assert_int_equal(counts.containers_started, 6);
    assert_int_equal(counts.containers_ended, 0);
    story_end(c);
}

static void story_marathon__a_task_that_ends_is_replaced(void **state)
{
    (void)state;
    struct cluster *c = begin(1, 1);
    assert_true(sim_host_end_one(sim_agent_host(c->agents[0]), true));
    must_settle(c, 5 * MINUTE);
    assert_int_equal(counts.containers_started, 3);
    story_end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(story_marathon__scales_up_and_down),
        cmocka_unit_test(story_marathon_crash__tasks_run_on),
        cmocka_unit_test(story_marathon_crash__in_the_middle_of_a_deployment),
        cmocka_unit_test(story_marathon__everything_restarts),
        cmocka_unit_test(story_marathon__a_task_that_ends_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
