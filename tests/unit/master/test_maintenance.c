/* SPDX-License-Identifier: Apache-2.0 */
#include "support/master_world.h"

#include "master/maintenance.h"

#define H1 "{\"hostname\":\"H1\",\"ip\":\"127.0.0.1\"}" /* of the agent on link 1 */
#define WINDOW(machines)                                                                                                   \
    "{\"machine_ids\":[" machines "],\"unavailability\":{\"start\":{\"nanoseconds\":77},\"duration\":{\"nanoseconds\":5}}" \
    "}"

static request_id schedule(struct world *w, const char *windows)
{
    return world_operator(w,
                          "{\"type\":\"UPDATE_MAINTENANCE_SCHEDULE\",\"update_maintenance_schedule\":{\"schedule\":{"
                          "\"windows\":[%s]}}}",
                          windows);
}

static request_id start(struct world *w, const char *machines)
{
    return world_operator(w, "{\"type\":\"START_MAINTENANCE\",\"start_maintenance\":{\"machines\":[%s]}}", machines);
}

static request_id stop(struct world *w, const char *machines)
{
    return world_operator(w, "{\"type\":\"STOP_MAINTENANCE\",\"stop_maintenance\":{\"machines\":[%s]}}", machines);
}

static const Mesos__V1__Maintenance__ClusterStatus *status(struct world *w)
{
    return master_maintenance_status(w->m, w->arena);
}

static void answer(struct world *w, const char *framework, const char *verb, const char *id, const char *filters)
{
    char lower[64];
    size_t n = strlen(verb);
    for (size_t i = 0; i <= n; i++)
        lower[i] = (char)(verb[i] >= 'A' && verb[i] <= 'Z' ? verb[i] + 32 : verb[i]);
    request_id r = world_call(w, 9,
                              "{\"type\":\"%s\",\"framework_id\":{\"value\":\"%s\"},\"%s\":{\"inverse_offer_ids\":["
                              "{\"value\":\"%s\"}]%s}}",
                              verb, framework, lower, id, filters);
    assert_int_equal(world_status(w, r), 202);
    world_settle(w);
}

static const Mesos__V1__InverseOffer *asked(struct world *w, size_t nth)
{
    const Mesos__V1__Scheduler__Event *e = WORLD_EVENT(w, 9, INVERSE_OFFERS, nth);
    return e != NULL ? e->inverse_offers->inverse_offers[0] : NULL;
}

static void test_maintenance__refusals(void **state)
{
    (void)state;
    static const struct {
        const char *windows, *why;
    } cases[] = {
        {WINDOW(""), "List of machines in the maintenance window is empty"},
        {WINDOW("{}"), "Both 'hostname' and 'ip' for a machine are empty"},
        {WINDOW("{\"ip\":\"localhost\"}"), "Failed to parse the IP"},
        {WINDOW("{\"hostname\":\"a\"},{\"hostname\":\"A\"}"), "appears more than once in the schedule"},
        {WINDOW("{\"hostname\":\"a\"}") "," WINDOW("{\"hostname\":\"a\"}"), "appears more than once in the schedule"},
        {"{\"machine_ids\":[{\"hostname\":\"a\"}],\"unavailability\":{\"start\":{\"nanoseconds\":1},\"duration\":{"
         "\"nanoseconds\":-1}}}",
         "Unavailability 'duration' is negative"},
    };
    struct world *w = world_new();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        request_id r = schedule(w, cases[i].windows);
        assert_int_equal(world_status(w, r), 400);
        assert_non_null(strstr(world_text(w, r), cases[i].why));
        assert_int_equal(status(w)->n_draining_machines, 0);
    }
    assert_int_equal(world_status(w, start(w, "")), 400);
    assert_int_equal(world_status(w, start(w, H1)), 400); /* not in the schedule */
    assert_int_equal(world_status(w, stop(w, H1)), 400);
    assert_int_equal(world_status(w, schedule(w, WINDOW(H1 ",{\"hostname\":\"b\"}"))), 200);
    assert_int_equal(world_status(w, stop(w, H1)), 400); /* it is not down */
    assert_int_equal(world_status(w, start(w, H1)), 200);
    assert_int_equal(world_status(w, start(w, H1)), 400);
    assert_int_equal(world_status(w, schedule(w, "")), 400); /* one that is down may not be dropped */
    assert_int_equal(world_status(w, schedule(w, WINDOW(H1))), 200);
    assert_int_equal(status(w)->n_down_machines, 1);
    world_free(w);
}

static void test_maintenance__is_durable(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->hold_stores = true;
    request_id r = schedule(w, WINDOW(H1) "," WINDOW("{\"hostname\":\"b\"}"));
    assert_int_equal(world_status(w, r), 0);
    world_store_done(w, 0);
    assert_int_equal(world_status(w, r), 200);
    w->hold_stores = false;
    assert_int_equal(world_status(w, start(w, H1)), 200);
    world_restart(w);
    assert_int_equal(status(w)->n_draining_machines, 1);
    assert_int_equal(status(w)->n_down_machines, 1);
    assert_int_equal(master_maintenance_schedule(w->m, w->arena)->n_windows, 2);
    assert_null(world_agent(w, 1, WORLD_AGENT)); /* its machine is down */
    assert_true(WORLD_LINK(w, 1, Muster__Link__Refused, refused, 0)->shutdown);
    assert_int_equal(world_status(w, stop(w, H1)), 200);
    assert_int_equal(master_maintenance_schedule(w->m, w->arena)->n_windows, 1);
    world_forget(w);
    link_id again = 1;
    world_link_up(w, again + 100);
    world_link(w, again + 100,
               "{\"register\":{\"version\":\"t\",\"agent_info\":{\"hostname\":\"h1\",\"port\":1,\"resources\":[" WORLD_AGENT
               "]}}}");
    world_settle(w);
    assert_non_null(WORLD_LINK(w, again + 100, Muster__Link__Registered, registered, 0));
    world_free(w);
}

static void test_maintenance__offers_say_when_and_who_holds_something_is_asked(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    assert_non_null(world_agent(w, 2, WORLD_AGENT));
    const char *f = world_framework(w, 9, "");
    assert_non_null(world_framework(w, 10, ",\"roles\":[],\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]"));
    world_forget(w);
    assert_int_equal(world_status(w, schedule(w, WINDOW(H1))), 200);
    assert_non_null(WORLD_EVENT(w, 9, RESCIND, 0));
    assert_null(WORLD_EVENT(w, 9, RESCIND, 1)); /* the other agent's stays */
    assert_int_equal(world_offer(w, 9, 0)->unavailability->start->nanoseconds, 77);
    assert_string_equal(asked(w, 0)->agent_id->value, agent);
    assert_int_equal(asked(w, 0)->unavailability->duration->nanoseconds, 5);
    assert_null(asked(w, 1));
    assert_null(WORLD_EVENT(w, 10, INVERSE_OFFERS, 0)); /* it has nothing there */
    world_decline(w, 9, f, world_offer(w, 9, 0)->id->value, "3600");
    char *id = asked(w, 0)->id->value;
    world_advance(w, 60000);
    assert_null(asked(w, 1)); /* one at a time */
    world_forget(w);
    assert_int_equal(world_status(w, schedule(w, "")), 200);
    assert_string_equal(WORLD_EVENT(w, 9, RESCIND_INVERSE_OFFER, 0)->rescind_inverse_offer->inverse_offer_id->value, id);
    world_free(w);
}

static void test_maintenance__answers_are_recorded_and_asked_again(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    const char *f = world_framework(w, 9, "");
    world_launch(w, 9, f, world_offer(w, 9, 0)->id->value, agent, "t1", WORLD_AGENT);
    world_forget(w);
    assert_int_equal(world_status(w, schedule(w, WINDOW(H1))), 200);
    assert_int_equal(status(w)->draining_machines[0]->n_statuses, 0);
    answer(w, f, "DECLINE_INVERSE_OFFERS", "nonsense", "");
    assert_int_equal(status(w)->draining_machines[0]->n_statuses, 0);
    answer(w, f, "DECLINE_INVERSE_OFFERS", asked(w, 0)->id->value, ",\"filters\":{\"refuse_seconds\":100}");
    const Mesos__V1__Allocator__InverseOfferStatus *s = status(w)->draining_machines[0]->statuses[0];
    assert_int_equal(s->status, MESOS__V1__ALLOCATOR__INVERSE_OFFER_STATUS__STATUS__DECLINE);
    assert_string_equal(s->framework_id->value, f);
    world_advance(w, 99000);
    assert_null(asked(w, 1));
    world_advance(w, 2000);
    answer(w, f, "ACCEPT_INVERSE_OFFERS", asked(w, 1)->id->value, "");
    s = status(w)->draining_machines[0]->statuses[0];
    assert_int_equal(s->status, MESOS__V1__ALLOCATOR__INVERSE_OFFER_STATUS__STATUS__ACCEPT);
    world_advance(w, 6000); /* the default refusal is five seconds */
    assert_non_null(asked(w, 2));
    answer(w, f, "DECLINE_INVERSE_OFFERS", asked(w, 2)->id->value, ",\"filters\":{\"refuse_seconds\":100000}");
    world_call(w, 9, "{\"type\":\"REVIVE\",\"framework_id\":{\"value\":\"%s\"}}", f);
    world_settle(w);
    assert_non_null(asked(w, 3)); /* REVIVE takes refusals back */
    world_link_down(w, 1);
    assert_non_null(WORLD_EVENT(w, 9, RESCIND_INVERSE_OFFER, 0));
    world_free(w);
}

static void test_maintenance__down_removes_agents(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    const char *f = world_framework(w, 9, ",\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]");
    world_launch(w, 9, f, world_offer(w, 9, 0)->id->value, agent, "t1", WORLD_SMALL);
    assert_int_equal(world_status(w, schedule(w, WINDOW(H1))), 200);
    request_id r = world_operator(w, "{\"type\":\"DRAIN_AGENT\",\"drain_agent\":{\"agent_id\":{\"value\":\"%s\"}}}", agent);
    assert_int_equal(world_status(w, r), 400); /* one way at a time */
    assert_int_equal(world_status(w, start(w, H1)), 200);
    assert_true(WORLD_LINK(w, 1, Muster__Link__Refused, refused, 0)->shutdown);
    assert_int_equal(world_update(w, 9, 0)->state, MESOS__V1__TASK_STATE__TASK_LOST);
    assert_int_equal(world_update(w, 9, 0)->reason, MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED);
    world_free(w);
}

static void test_maintenance__failover_asks_the_new_scheduler(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    const char *f = world_framework(w, 9, ",\"failover_timeout\":1000");
    world_launch(w, 9, f, world_offer(w, 9, 0)->id->value, agent, "t1", WORLD_AGENT);
    assert_int_equal(world_status(w, schedule(w, WINDOW(H1))), 200);
    assert_non_null(asked(w, 0));
    world_step(w, (struct master_event){.type = MASTER_EVENT_STREAM_CLOSED, .stream_closed = {.stream = 9}});
    world_settle(w);
    world_subscribe(
        w, 19,
        "{\"type\":\"SUBSCRIBE\",\"framework_id\":{\"value\":\"%s\"},\"subscribe\":{\"framework_info\":{\"user\":"
        "\"u\",\"name\":\"f9\",\"failover_timeout\":1000,\"id\":{\"value\":\"%s\"}}}}",
        f, f);
    world_settle(w);
    assert_non_null(WORLD_EVENT(w, 19, INVERSE_OFFERS, 0));
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maintenance__refusals),
        cmocka_unit_test(test_maintenance__is_durable),
        cmocka_unit_test(test_maintenance__offers_say_when_and_who_holds_something_is_asked),
        cmocka_unit_test(test_maintenance__answers_are_recorded_and_asked_again),
        cmocka_unit_test(test_maintenance__down_removes_agents),
        cmocka_unit_test(test_maintenance__failover_asks_the_new_scheduler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
