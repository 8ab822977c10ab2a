/* SPDX-License-Identifier: Apache-2.0 */
#include "support/master_world.h"

#include "master/snapshot.h"

#define AWARE ",\"failover_timeout\":1000,\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]"
#define UUID "aaaaaaaaaaaaaaaa"
#define UUID_BASE64 "YWFhYWFhYWFhYWFhYWFhYQ=="

static request_id about(struct world *w, const char *type, const char *body, const char *agent, const char *more)
{
    return world_operator(w, "{\"type\":\"%s\",\"%s\":{\"agent_id\":{\"value\":\"%s\"}%s}}", type, body, agent, more);
}

static request_id drain(struct world *w, const char *agent, const char *more)
{
    return about(w, "DRAIN_AGENT", "drain_agent", agent, more);
}

static request_id deactivate(struct world *w, const char *agent)
{
    return about(w, "DEACTIVATE_AGENT", "deactivate_agent", agent, "");
}

static request_id reactivate(struct world *w, const char *agent)
{
    return about(w, "REACTIVATE_AGENT", "reactivate_agent", agent, "");
}

static request_id mark_gone(struct world *w, const char *agent)
{
    return about(w, "MARK_AGENT_GONE", "mark_agent_gone", agent, "");
}

static void come_back(struct world *w, link_id link, const char *agent)
{
    world_link_up(w, link);
    world_link(w, link,
               "{\"reregister\":{\"version\":\"t\",\"agent_info\":{\"id\":{\"value\":\"%s\"},\"hostname\":\"h1\",\"port\":"
               "10001,\"resources\":[" WORLD_AGENT "]}}}",
               agent);
    world_settle(w);
}

static void acknowledge(struct world *w, const char *framework, const char *agent, const char *task)
{
    world_call(w, 9,
               "{\"type\":\"ACKNOWLEDGE\",\"framework_id\":{\"value\":\"%s\"},\"acknowledge\":{\"agent_id\":{\"value\":"
               "\"%s\"},\"task_id\":{\"value\":\"%s\"},\"uuid\":\"" UUID_BASE64 "\"}}",
               framework, agent, task);
    world_settle(w);
}

/* The only agent as GET_AGENTS shows it; valid until the next call. */
static const Mesos__V1__Master__Response__GetAgents__Agent *shown(struct world *w)
{
    const Mesos__V1__Master__Response__GetAgents *all = master_snapshot_agents(w->m, w->arena);
    return all->n_agents == 1 ? all->agents[0] : NULL;
}

struct scene {
    struct world *w;
    const char *agent, *f;
};

/* An agent with the task t1 of an aware framework on stream 9. */
static struct scene scene_new(const char *more)
{
    struct scene s = {.w = world_new()};
    s.agent = arena_strdup(s.w->arena, world_agent(s.w, 1, WORLD_AGENT));
    s.f = arena_strdup(s.w->arena, world_framework(s.w, 9, more));
    world_step(s.w, (struct master_event){.type = MASTER_EVENT_OBSERVERS, .observers = {.count = 1}});
    world_launch(s.w, 9, s.f, world_offer(s.w, 9, 0)->id->value, s.agent, "t1", WORLD_SMALL);
    world_advance(s.w, 10000);
    return s;
}

static void test_drain__deactivated_agent_makes_no_offers(void **state)
{
    (void)state;
    struct scene s = scene_new(AWARE);
    struct world *w = s.w;
    assert_int_equal(world_status(w, reactivate(w, s.agent)), 400); /* it is not deactivated */
    world_forget(w);
    assert_int_equal(world_status(w, deactivate(w, s.agent)), 200);
    assert_non_null(WORLD_EVENT(w, 9, RESCIND, 0));
    assert_null(WORLD_LINK(w, 1, Muster__Link__Drain, drain, 0)); /* its task goes on */
    world_report(w, 1, s.f, "t1", "TASK_FINISHED", UUID);
    world_advance(w, 60000);
    assert_int_equal(world_offer_count(w, 9), 0);
    assert_true(shown(w)->deactivated && !shown(w)->active && shown(w)->drain_info == NULL);
    world_restart(w);
    come_back(w, 2, s.agent);
    assert_true(shown(w)->deactivated);
    assert_non_null(world_framework(w, 9, ""));
    world_advance(w, 60000);
    assert_int_equal(world_offer_count(w, 9), 0);
    assert_int_equal(world_status(w, reactivate(w, s.agent)), 200);
    assert_int_equal(world_offer_count(w, 9), 1);
    assert_true(!shown(w)->deactivated && shown(w)->active);
    world_restart(w);
    come_back(w, 2, s.agent);
    assert_false(shown(w)->deactivated);
    world_free(w);
}

static void test_drain__answered_and_told_only_when_durable(void **state)
{
    (void)state;
    struct scene s = scene_new(AWARE);
    struct world *w = s.w;
    w->hold_stores = true;
    request_id r = drain(w, s.agent, "");
    assert_int_equal(world_status(w, r), 0);
    assert_null(WORLD_LINK(w, 1, Muster__Link__Drain, drain, 0));
    world_store_done(w, 0);
    assert_int_equal(world_status(w, r), 200);
    assert_non_null(WORLD_LINK(w, 1, Muster__Link__Drain, drain, 0));
    world_free(w);
}

static void test_drain__ends_when_the_last_update_is_acknowledged(void **state)
{
    (void)state;
    struct scene s = scene_new(AWARE);
    struct world *w = s.w;
    world_forget(w);
    assert_int_equal(world_status(w, drain(w, s.agent, ",\"max_grace_period\":{\"seconds\":2,\"nanos\":5}")), 200);
    const Muster__Link__Drain *told = WORLD_LINK(w, 1, Muster__Link__Drain, drain, 0);
    assert_int_equal(told->config->max_grace_period->nanoseconds, 2000000005);
    assert_int_equal(shown(w)->drain_info->state, MESOS__V1__DRAIN_STATE__DRAINING);
    assert_non_null(shown(w)->estimated_drain_start_time);
    assert_int_equal(world_status(w, reactivate(w, s.agent)), 400);
    world_report(w, 1, s.f, "t1", "TASK_KILLED", UUID);
    assert_int_equal(shown(w)->drain_info->state, MESOS__V1__DRAIN_STATE__DRAINING);
    acknowledge(w, s.f, s.agent, "t1");
    assert_int_equal(shown(w)->drain_info->state, MESOS__V1__DRAIN_STATE__DRAINED);
    world_restart(w);
    come_back(w, 2, s.agent);
    assert_int_equal(shown(w)->drain_info->state, MESOS__V1__DRAIN_STATE__DRAINED);
    assert_int_equal(world_status(w, reactivate(w, s.agent)), 200);
    assert_null(shown(w)->drain_info);
    assert_non_null(WORLD_LINK(w, 2, Muster__Link__StopDraining, stop_draining, 0));
    world_free(w);
}

static void test_drain__agent_that_was_away_is_told_on_its_return(void **state)
{
    (void)state;
    struct scene s = scene_new(AWARE);
    struct world *w = s.w;
    world_link_down(w, 1);
    assert_int_equal(world_status(w, drain(w, s.agent, "")), 200);
    assert_int_equal(world_status(w, reactivate(w, s.agent)), 400);
    world_restart(w);
    assert_int_equal(world_status(w, drain(w, s.agent, "")), 200); /* a recovered one */
    come_back(w, 2, s.agent);
    assert_non_null(WORLD_LINK(w, 2, Muster__Link__Registered, reregistered, 0)->drain);
    assert_int_equal(shown(w)->drain_info->state, MESOS__V1__DRAIN_STATE__DRAINED); /* t1 did not come back with it */
    world_link_down(w, 2);
    world_advance(w, 601000);
    assert_null(shown(w)); /* unreachable */
    world_forget(w);
    assert_int_equal(world_status(w, reactivate(w, s.agent)), 409);
    world_restart(w);
    come_back(w, 3, s.agent);
    assert_true(shown(w)->deactivated);
    world_free(w);
}

static void test_drain__gone_when_drained(void **state)
{
    (void)state;
    struct scene s = scene_new(AWARE);
    struct world *w = s.w;
    assert_int_equal(world_status(w, drain(w, s.agent, ",\"mark_gone\":true")), 200);
    world_report(w, 1, s.f, "t1", "TASK_GONE_BY_OPERATOR", UUID);
    acknowledge(w, s.f, s.agent, "t1");
    assert_null(shown(w));
    assert_true(WORLD_LINK(w, 1, Muster__Link__Refused, refused, 0)->shutdown);
    world_free(w);
}

static void test_drain__refusals(void **state)
{
    (void)state;
    struct scene s = scene_new(AWARE);
    struct world *w = s.w;
    assert_int_equal(world_status(w, drain(w, "nobody", "")), 400);
    assert_int_equal(world_status(w, deactivate(w, "nobody")), 400);
    assert_int_equal(world_status(w, reactivate(w, "nobody")), 400);
    assert_int_equal(world_status(w, mark_gone(w, "nobody")), 404);
    assert_int_equal(world_status(w, drain(w, s.agent, ",\"max_grace_period\":{\"seconds\":-1}")), 400);
    assert_int_equal(world_status(w, drain(w, s.agent, ",\"max_grace_period\":{\"seconds\":9223372036854775807}")), 400);
    assert_null(shown(w)->drain_info);
    w->hold_stores = true;
    request_id first = mark_gone(w, s.agent);
    assert_int_equal(world_status(w, mark_gone(w, s.agent)), 503);
    assert_int_equal(world_status(w, drain(w, s.agent, "")), 409);
    world_store_done(w, 0);
    assert_int_equal(world_status(w, first), 200);
    assert_int_equal(world_status(w, mark_gone(w, s.agent)), 200); /* already gone */
    world_free(w);
}

static void test_gone__never_comes_back(void **state)
{
    (void)state;
    struct scene s = scene_new(AWARE);
    struct world *w = s.w;
    assert_int_equal(world_status(w, mark_gone(w, s.agent)), 200);
    assert_true(WORLD_LINK(w, 1, Muster__Link__Refused, refused, 0)->shutdown);
    assert_int_equal(world_update(w, 9, 0)->state, MESOS__V1__TASK_STATE__TASK_GONE_BY_OPERATOR);
    assert_int_equal(world_update(w, 9, 0)->reason, MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED_BY_OPERATOR);
    assert_non_null(world_operator_event(w, MESOS__V1__MASTER__EVENT__TYPE__AGENT_REMOVED, 0));
    assert_non_null(WORLD_EVENT(w, 9, FAILURE, 0));
    world_forget(w);
    world_call(w, 9,
               "{\"type\":\"RECONCILE\",\"framework_id\":{\"value\":\"%s\"},\"reconcile\":{\"tasks\":[{\"task_id\":"
               "{\"value\":\"other\"},\"agent_id\":{\"value\":\"%s\"}}]}}",
               s.f, s.agent);
    assert_int_equal(world_update(w, 9, 0)->state, MESOS__V1__TASK_STATE__TASK_GONE_BY_OPERATOR);
    world_restart(w);
    come_back(w, 2, s.agent);
    assert_true(WORLD_LINK(w, 2, Muster__Link__Refused, refused, 0)->shutdown);
    assert_null(shown(w));
    world_free(w);
}

static void test_gone__unaware_framework_sees_lost(void **state)
{
    (void)state;
    struct scene s = scene_new("");
    struct world *w = s.w;
    assert_int_equal(world_status(w, mark_gone(w, s.agent)), 200);
    assert_int_equal(world_update(w, 9, 0)->state, MESOS__V1__TASK_STATE__TASK_LOST);
    assert_int_equal(world_update(w, 9, 0)->reason, MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED);
    world_free(w);
}

static void test_gone__unreachable_agent(void **state)
{
    (void)state;
    struct scene s = scene_new(AWARE);
    struct world *w = s.w;
    world_link_down(w, 1);
    world_advance(w, 601000);
    assert_int_equal(world_update(w, 9, 0)->state, MESOS__V1__TASK_STATE__TASK_UNREACHABLE);
    assert_non_null(world_operator_event(w, MESOS__V1__MASTER__EVENT__TYPE__AGENT_REMOVED, 0));
    world_forget(w);
    assert_int_equal(world_status(w, mark_gone(w, s.agent)), 200);
    assert_int_equal(world_update(w, 9, 0)->state, MESOS__V1__TASK_STATE__TASK_GONE_BY_OPERATOR);
    assert_null(world_operator_event(w, MESOS__V1__MASTER__EVENT__TYPE__AGENT_REMOVED, 0)); /* it was removed before */
    come_back(w, 2, s.agent);
    assert_true(WORLD_LINK(w, 2, Muster__Link__Refused, refused, 0)->shutdown);
    world_free(w);
}

static void test_removed__is_durable(void **state)
{
    (void)state;
    struct scene s = scene_new(AWARE);
    struct world *w = s.w;
    world_link(w, 1, "{\"unregister\":{}}");
    world_settle(w);
    world_restart(w);
    come_back(w, 2, s.agent);
    assert_true(WORLD_LINK(w, 2, Muster__Link__Refused, refused, 0)->shutdown);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drain__deactivated_agent_makes_no_offers),
        cmocka_unit_test(test_drain__answered_and_told_only_when_durable),
        cmocka_unit_test(test_drain__ends_when_the_last_update_is_acknowledged),
        cmocka_unit_test(test_drain__agent_that_was_away_is_told_on_its_return),
        cmocka_unit_test(test_drain__gone_when_drained),
        cmocka_unit_test(test_drain__refusals),
        cmocka_unit_test(test_gone__never_comes_back),
        cmocka_unit_test(test_gone__unaware_framework_sees_lost),
        cmocka_unit_test(test_gone__unreachable_agent),
        cmocka_unit_test(test_removed__is_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
