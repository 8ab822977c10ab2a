/* SPDX-License-Identifier: Apache-2.0
 * An operator takes agents out of service, while parts die. */
#include "sim/story.h"

static void ask(struct cluster *c, const char *type, const char *body, const char *id, const char *more)
{
    char call[512];
    snprintf(call, sizeof(call), "{\"type\":\"%s\",\"%s\":{\"agent_id\":{\"value\":\"%s\"}%s}}", type, body, id, more);
    sim_master_operator(c->master, call);
}

static size_t running_on(struct cluster *c, int i)
{
    return sim_host_running(sim_agent_host(c->agents[i]));
}

/* Two agents; the one with more tasks, by number. */
static int busier(struct cluster *c)
{
    return running_on(c, 0) >= running_on(c, 1) ? 0 : 1;
}

static void story_drain__tasks_move_to_the_other_agent(void **state)
{
    (void)state;
    struct cluster *c = story_begin(2, 1, 4);
    int i = busier(c);
    char *id = xstrdup(agent_id(sim_agent_core(c->agents[i])));
    ask(c, "DRAIN_AGENT", "drain_agent", id, ",\"max_grace_period\":{\"seconds\":1}");
    must_settle(c, 2 * MINUTE);
    assert_int_equal(running_on(c, i), 0);
    assert_int_equal(running_on(c, 1 - i), 4);
    assert_int_equal(sim_master_drain_state(c->master, id), MESOS__V1__DRAIN_STATE__DRAINED);
    ask(c, "REACTIVATE_AGENT", "reactivate_agent", id, "");
    run_for(c, SECOND);
    assert_int_equal(sim_master_drain_state(c->master, id), 0);
    free(id);
    story_end(c);
}

static void story_drain__master_and_agent_die_meanwhile(void **state)
{
    (void)state;
    struct cluster *c = story_begin(2, 1, 4);
    int i = busier(c);
    char *id = xstrdup(agent_id(sim_agent_core(c->agents[i])));
    ask(c, "DRAIN_AGENT", "drain_agent", id, "");
    run_for(c, 20); /* on its way to the disk, or just there */
    ask(c, "DRAIN_AGENT", "drain_agent", id, "");
    run_for(c, 200);
    world_restart_node(sim_master_node(c->master), 3 * SECOND);
    world_restart_node(sim_agent_node(c->agents[i]), 5 * SECOND);
    must_settle(c, 5 * MINUTE);
    assert_int_equal(running_on(c, i), 0);
    assert_int_equal(sim_master_drain_state(c->master, id), MESOS__V1__DRAIN_STATE__DRAINED);
    free(id);
    story_end(c);
}

static void story_drain__agent_that_was_cut_off_hears_of_it(void **state)
{
    (void)state;
    struct cluster *c = story_begin(2, 1, 4);
    int i = busier(c);
    char *id = xstrdup(agent_id(sim_agent_core(c->agents[i])));
    world_cut(c->world, sim_agent_node(c->agents[i]), sim_master_node(c->master), c->world->now_ms + 20 * SECOND);
    run_for(c, SECOND);
    ask(c, "DRAIN_AGENT", "drain_agent", id, "");
    run_for(c, 30 * SECOND);
    must_settle(c, 5 * MINUTE);
    assert_int_equal(running_on(c, i), 0);
    assert_int_equal(sim_master_drain_state(c->master, id), MESOS__V1__DRAIN_STATE__DRAINED);
    free(id);
    story_end(c);
}

static void story_gone__agent_comes_back_as_another(void **state)
{
    (void)state;
    struct cluster *c = story_begin(2, 1, 4);
    char *id = xstrdup(agent_id(sim_agent_core(c->agents[0])));
    ask(c, "MARK_AGENT_GONE", "mark_agent_gone", id, "");
    must_settle(c, 5 * MINUTE);
    assert_string_not_equal(agent_id(sim_agent_core(c->agents[0])), id);
    assert_int_equal(sim_master_drain_state(c->master, id), -1);
    free(id);
    story_end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(story_drain__tasks_move_to_the_other_agent),
        cmocka_unit_test(story_drain__master_and_agent_die_meanwhile),
        cmocka_unit_test(story_drain__agent_that_was_cut_off_hears_of_it),
        cmocka_unit_test(story_gone__agent_comes_back_as_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
