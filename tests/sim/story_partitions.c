/* SPDX-License-Identifier: Apache-2.0
 * Parts that cannot talk to each other for a while. */
#include "sim/story.h"

static void cut_agent(struct cluster *c, int64_t ms)
{
    world_cut(c->world, sim_agent_node(c->agents[0]), sim_master_node(c->master), c->world->now_ms + ms);
}

static void story_short_partition__nothing_happens(void **state)
{
    (void)state;
    struct cluster *c = story_begin(1, 1, 3);
    cut_agent(c, 50 * SECOND); /* the master waits 75 s */
    run_for(c, 2 * MINUTE);
    must_settle(c, 5 * MINUTE);
    assert_int_equal(counts.states[MESOS__V1__TASK_STATE__TASK_UNREACHABLE], 0);
    assert_int_equal(counts.containers_started, 3);
    assert_int_equal(counts.containers_ended, 0);
    story_end(c);
}

static void story_long_partition__tasks_come_back(void **state)
{
    (void)state;
    struct cluster *c = story_begin(1, 1, 3);
    cut_agent(c, 150 * SECOND); /* unreachable, but not for so long that the framework gives them up */
    run_for(c, 4 * MINUTE);
    must_settle(c, 5 * MINUTE);
    assert_int_equal(counts.states[MESOS__V1__TASK_STATE__TASK_UNREACHABLE], 3);
    assert_int_equal(counts.containers_started, 3);
    assert_int_equal(counts.containers_ended, 0);
    story_end(c);
}

static void story_very_long_partition__tasks_are_replaced_and_not_doubled(void **state)
{
    (void)state;
    struct cluster *c = story_begin(2, 1, 6);
    cut_agent(c, 10 * MINUTE);
    run_for(c, 11 * MINUTE);
    must_settle(c, 10 * MINUTE);
    assert_true(counts.states[MESOS__V1__TASK_STATE__TASK_UNREACHABLE] > 0);
    assert_int_equal(counts.containers_started - counts.containers_ended, 6);
    story_end(c);
}

static void story_master_restart_in_partition__tasks_come_back(void **state)
{
    (void)state;
    struct cluster *c = story_begin(1, 1, 3);
    cut_agent(c, 200 * SECOND);
    run_for(c, 100 * SECOND); /* unreachable now */
    world_restart_node(sim_master_node(c->master), 5 * SECOND);
    run_for(c, 3 * MINUTE);
    must_settle(c, 10 * MINUTE);
    assert_int_equal(counts.states[MESOS__V1__TASK_STATE__TASK_LOST], 0);
    assert_int_equal(counts.containers_ended, 0);
    story_end(c);
}

static void story_framework_cut_off__tasks_run_on(void **state)
{
    (void)state;
    struct cluster *c = story_begin(1, 1, 3);
    world_cut(c->world, sim_framework_node(c->frameworks[0]), sim_master_node(c->master), c->world->now_ms + 5 * MINUTE);
    run_for(c, 6 * MINUTE);
    must_settle(c, 5 * MINUTE);
    assert_int_equal(counts.containers_started, 3);
    assert_int_equal(counts.containers_ended, 0);
    story_end(c);
}

static void story_connections_break__again_and_again(void **state)
{
    (void)state;
    struct cluster *c = story_begin(3, 2, 4);
    for (int i = 0; i < 60; i++) {
        (void)sim_net_break_one(c->world, 500); /* now and then there is none */
        run_for(c, 2 * SECOND);
    }
    must_settle(c, 10 * MINUTE);
    assert_int_equal(counts.containers_started, 8);
    assert_int_equal(counts.containers_ended, 0);
    story_end(c);
}

/* Another machine got the address of one that is away: that one is out, and has to begin anew when it comes back. */
static void story_agent_replaced__ends_its_tasks_and_registers_anew(void **state)
{
    (void)state;
    struct cluster *c = story_begin(1, 1, 3);
    struct sim_agent_config config = {"agent1", "cpus:8;mem:8192;ports:[31000-31099]"};
    struct sim_agent *other = sim_agent_new(c->world, &config, sim_master_node(c->master));
    struct sim_node *first = sim_agent_node(c->agents[0]);
    c->agents[c->agent_count++] = other;
    memcpy(sim_agent_node(other)->ip, first->ip, sizeof(first->ip));
    char *id = xstrdup(agent_id(sim_agent_core(c->agents[0])));
    cut_agent(c, 30 * SECOND);
    world_restart_node(first, 20 * SECOND);
    run_for(c, 31 * SECOND); /* the master learns of the lost link at the end of the cut */
    world_crash_node(first);
    assert_true(sim_host_end_one(sim_agent_host(c->agents[0]), false)); /* nobody will ever acknowledge this end */
    run_for(c, 5 * SECOND);
    world_start_node(sim_agent_node(other));
    run_for(c, 10 * SECOND);
    snprintf(first->ip, sizeof(first->ip), "10.0.0.200"); /* the address it has from now on */
    world_start_node(first);
    run_for(c, MINUTE);
    must_settle(c, 20 * MINUTE);
    assert_string_not_equal(agent_id(sim_agent_core(c->agents[0])), id);
    assert_int_equal(counts.containers_started - counts.containers_ended, 3);
    free(id);
    story_end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(story_short_partition__nothing_happens),
        cmocka_unit_test(story_long_partition__tasks_come_back),
        cmocka_unit_test(story_very_long_partition__tasks_are_replaced_and_not_doubled),
        cmocka_unit_test(story_master_restart_in_partition__tasks_come_back),
        cmocka_unit_test(story_framework_cut_off__tasks_run_on),
        cmocka_unit_test(story_connections_break__again_and_again),
        cmocka_unit_test(story_agent_replaced__ends_its_tasks_and_registers_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
