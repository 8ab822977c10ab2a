/* SPDX-License-Identifier: Apache-2.0 */
#include "support/master_world.h"

static void test_offers__one_per_agent_with_everything(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    assert_non_null(world_framework(w, 9, ""));
    assert_int_equal(world_offer_count(w, 9), 1);
    Mesos__V1__Offer *offer = world_offer(w, 9, 0);
    assert_string_equal(offer->agent_id->value, agent);
    assert_string_equal(offer->hostname, "h1");
    assert_string_equal(offer->url->path, "/slave(1)");
    assert_int_equal(offer->url->address->port, 10001);
    assert_null(offer->allocation_info); /* without MULTI_ROLE */
    assert_float_equal(world_scalar(offer->resources, offer->n_resources, "cpus"), 4, 1e-9);
    world_forget(w);
    world_advance(w, 10000);
    assert_int_equal(world_offer_count(w, 9), 0); /* it has an owner */
    (void)world_agent(w, 2, WORLD_AGENT);
    assert_int_equal(world_offer_count(w, 9), 1); /* in the turn the agent came */
    world_free(w);
}

static void test_offers__multi_role_carries_allocation_info(void **state)
{
    (void)state;
    struct world *w = world_new();
    (void)world_agent(w, 1, WORLD_AGENT);
    (void)world_framework(w, 9, ",\"roles\":[\"a\",\"b/c\"],\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]");
    assert_int_equal(world_offer_count(w, 9), 1); /* one agent has one offer, not one per role */
    Mesos__V1__Offer *offer = world_offer(w, 9, 0);
    assert_string_equal(offer->allocation_info->role, "a");
    assert_string_equal(offer->resources[0]->allocation_info->role, "a");
    world_free(w);
}

static void test_offers__decline_is_remembered_until_it_ends(void **state)
{
    (void)state;
    struct world *w = world_new();
    (void)world_agent(w, 1, WORLD_AGENT);
    const char *f = world_framework(w, 9, "");
    world_decline(w, 9, f, world_offer(w, 9, 0)->id->value, "3");
    world_settle(w);
    world_forget(w);
    world_advance(w, 2999);
    assert_int_equal(world_offer_count(w, 9), 0);
    world_advance(w, 2);
    assert_int_equal(world_offer_count(w, 9), 1);
    world_free(w);
}

static void test_offers__filter_timeouts(void **state)
{
    (void)state;
    static const struct {
        const char *refuse;
        int64_t until_ms;
    } cases[] = {{"-1", 5000}, {"0", 1000}, {"0.001", 100}, {"1e300", 365LL * 24 * 3600 * 1000}, {"60", 60000}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world *w = world_new();
        (void)world_agent(w, 1, WORLD_AGENT);
        const char *f = world_framework(w, 9, "");
        world_decline(w, 9, f, world_offer(w, 9, 0)->id->value, cases[i].refuse);
        world_settle(w);
        world_forget(w);
        if (cases[i].until_ms > 100000) { /* far away: it is enough that it is the next thing but pings and heartbeats */
            world_advance(w, 30000);
            assert_int_equal(world_offer_count(w, 9), 0);
        } else {
            world_advance(w, cases[i].until_ms - 1);
            assert_int_equal(world_offer_count(w, 9), 0);
            world_advance(w, 1);
            assert_int_equal(world_offer_count(w, 9), 1);
        }
        world_free(w);
    }
}

static void test_offers__declined_by_one_goes_to_the_other(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *f = world_framework(w, 8, "");
    (void)world_framework(w, 9, "");
    (void)world_agent(w, 1, WORLD_AGENT);
    assert_int_equal(world_offer_count(w, 8), 1);
    assert_int_equal(world_offer_count(w, 9), 0);
    world_decline(w, 8, f, world_offer(w, 8, 0)->id->value, "60");
    world_settle(w);
    assert_int_equal(world_offer_count(w, 9), 1);
    world_free(w);
}

static void test_offers__revive_clears_filters_and_suppression(void **state)
{
    (void)state;
    struct world *w = world_new();
    (void)world_agent(w, 1, WORLD_AGENT);
    const char *f = world_framework(w, 9, ",\"role\":\"a\"");
    world_decline(w, 9, f, world_offer(w, 9, 0)->id->value, "1000");
    world_call(w, 9, "{\"type\":\"SUPPRESS\",\"framework_id\":{\"value\":\"%s\"}}", f);
    world_settle(w);
    (void)world_agent(w, 2, WORLD_AGENT);
    world_forget(w);
    world_call(w, 9, "{\"type\":\"REVIVE\",\"framework_id\":{\"value\":\"%s\"},\"revive\":{\"roles\":[\"a\",\"b\"]}}", f);
    world_settle(w);
    assert_int_equal(world_offer_count(w, 9), 0); /* one role is not its own: the whole call counts for nothing */
    world_call(w, 9, "{\"type\":\"REVIVE\",\"framework_id\":{\"value\":\"%s\"},\"revive\":{\"roles\":[\"a\"]}}", f);
    world_settle(w);
    assert_int_equal(world_offer_count(w, 9), 2);
    world_free(w);
}

static void test_offers__accept_after_rescind_is_gone(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    const char *f = world_framework(w, 9, "");
    const char *offer = world_offer(w, 9, 0)->id->value;
    world_link_down(w, 1);
    assert_string_equal(WORLD_EVENT(w, 9, RESCIND, 0)->rescind->offer_id->value, offer);
    request_id r = world_launch(w, 9, f, offer, agent, "t1", WORLD_SMALL);
    assert_int_equal(world_status(w, r), 202);
    Mesos__V1__TaskStatus *status = world_update(w, 9, 0);
    assert_int_equal(status->state, MESOS__V1__TASK_STATE__TASK_LOST);
    assert_int_equal(status->reason, MESOS__V1__TASK_STATUS__REASON__REASON_INVALID_OFFERS);
    assert_false(status->has_uuid);
    world_free(w);
}

static void test_offers__accept_names_offers_of_others(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    (void)world_framework(w, 8, "");
    const char *thief = world_framework(w, 9, ",\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]");
    const char *offer = world_offer(w, 8, 0)->id->value;
    world_launch(w, 9, thief, offer, agent, "t1", WORLD_SMALL);
    assert_int_equal(world_update(w, 9, 0)->state, MESOS__V1__TASK_STATE__TASK_DROPPED);
    world_decline(w, 9, thief, offer, "1000");
    world_settle(w);
    assert_int_equal(world_offer_count(w, 8), 1); /* untouched: not made again */
    assert_int_equal(world_offer_count(w, 9), 0);
    world_free(w);
}

static void test_offers__named_twice_and_across_agents(void **state)
{
    (void)state;
    struct world *w = world_new();
    (void)world_agent(w, 1, WORLD_AGENT);
    (void)world_agent(w, 2, WORLD_AGENT);
    const char *f = world_framework(w, 9, "");
    const char *a = world_offer(w, 9, 0)->id->value, *b = world_offer(w, 9, 1)->id->value;
    world_call(w, 9,
               "{\"type\":\"ACCEPT\",\"framework_id\":{\"value\":\"%s\"},\"accept\":{\"offer_ids\":[{\"value\":\"%s\"},"
               "{\"value\":\"%s\"}],\"operations\":[{\"type\":\"RESERVE\",\"id\":{\"value\":\"op\"},\"reserve\":{}}]}}",
               f, a, b);
    Mesos__V1__OperationStatus *status = WORLD_EVENT(w, 9, UPDATE_OPERATION_STATUS, 0)->update_operation_status->status;
    assert_int_equal(status->state, MESOS__V1__OPERATION_STATE__OPERATION_ERROR);
    world_forget(w);
    world_advance(w, 200); /* both are offered again after the interval: no filter */
    assert_int_equal(world_offer_count(w, 9), 2);
    a = world_offer(w, 9, 0)->id->value;
    world_call(w, 9,
               "{\"type\":\"ACCEPT\",\"framework_id\":{\"value\":\"%s\"},\"accept\":{\"offer_ids\":[{\"value\":\"%s\"},"
               "{\"value\":\"%s\"}]}}",
               f, a, a);
    world_settle(w);
    world_forget(w);
    world_advance(w, 200);
    assert_int_equal(world_offer_count(w, 9), 1);
    world_free(w);
}

static void test_offers__expire(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct master_config config = w->config;
    world_free(w);
    config.offer_timeout_ms = 7000;
    w = world_new_with(&config);
    world_start(w, NULL);
    (void)world_agent(w, 1, WORLD_AGENT);
    (void)world_framework(w, 9, "");
    world_advance(w, 6999);
    assert_null(WORLD_EVENT(w, 9, RESCIND, 0));
    world_advance(w, 200);
    assert_non_null(WORLD_EVENT(w, 9, RESCIND, 0));
    assert_int_equal(world_offer_count(w, 9), 2);
    world_free(w);
}

static void test_offers__too_little_is_not_offered(void **state)
{
    (void)state;
    struct world *w = world_new();
    (void)world_agent(w, 1, WORLD_SCALAR("cpus", 0.001) "," WORLD_SCALAR("mem", 31));
    (void)world_framework(w, 9, "");
    assert_int_equal(world_offer_count(w, 9), 0);
    (void)world_agent(w, 2, WORLD_SCALAR("mem", 32));
    assert_int_equal(world_offer_count(w, 9), 1);
    /* A framework's own minimum replaces the master's. */
    (void)world_framework(w, 10,
                          ",\"offer_filters\":{\"*\":{\"min_allocatable_resources\":{\"quantities\":[{\"quantities\":"
                          "{\"cpus\":{\"value\":0.001}}}]}}}");
    assert_int_equal(world_offer_count(w, 10), 1);
    world_free(w);
}

static void test_offers__reservations_go_to_their_role(void **state)
{
    (void)state;
    struct world *w = world_new();
    (void)world_framework(w, 8, ",\"role\":\"other\"");
    (void)world_framework(w, 9, ",\"role\":\"eng/fe\",\"capabilities\":[{\"type\":\"RESERVATION_REFINEMENT\"}]");
    (void)world_agent(w, 1,
                      WORLD_AGENT ",{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2},\"reservations\":"
                                  "[{\"type\":\"STATIC\",\"role\":\"eng\"}]}");
    /* eng/fe comes first (fewest, then by name) and takes all; then nothing is left for the other. */
    assert_int_equal(world_offer_count(w, 9), 1);
    assert_float_equal(world_scalar(world_offer(w, 9, 0)->resources, world_offer(w, 9, 0)->n_resources, "cpus"), 6, 1e-9);
    assert_int_equal(world_offer_count(w, 8), 0);
    world_forget(w);
    (void)world_agent(w, 2,
                      WORLD_AGENT ",{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2},\"reservations\":"
                                  "[{\"type\":\"STATIC\",\"role\":\"eng\"}]}");
    /* Now it is the other's turn for what is free; the reserved part still goes to its own. */
    assert_float_equal(world_scalar(world_offer(w, 8, 0)->resources, world_offer(w, 8, 0)->n_resources, "cpus"), 4, 1e-9);
    assert_float_equal(world_scalar(world_offer(w, 9, 0)->resources, world_offer(w, 9, 0)->n_resources, "cpus"), 2, 1e-9);
    world_free(w);
}

static void test_offers__slow_reader_gets_none(void **state)
{
    (void)state;
    struct world *w = world_new();
    (void)world_framework(w, 9, "");
    world_step(w,
               (struct master_event){.type = MASTER_EVENT_STREAM_PRESSURE, .stream_pressure = {.stream = 9, .on = true}});
    (void)world_agent(w, 1, WORLD_AGENT);
    assert_int_equal(world_offer_count(w, 9), 0);
    world_step(w,
               (struct master_event){.type = MASTER_EVENT_STREAM_PRESSURE, .stream_pressure = {.stream = 9, .on = false}});
    world_settle(w);
    assert_int_equal(world_offer_count(w, 9), 1);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offers__one_per_agent_with_everything),
        cmocka_unit_test(test_offers__multi_role_carries_allocation_info),
        cmocka_unit_test(test_offers__decline_is_remembered_until_it_ends),
        cmocka_unit_test(test_offers__filter_timeouts),
        cmocka_unit_test(test_offers__declined_by_one_goes_to_the_other),
        cmocka_unit_test(test_offers__revive_clears_filters_and_suppression),
        cmocka_unit_test(test_offers__accept_after_rescind_is_gone),
        cmocka_unit_test(test_offers__accept_names_offers_of_others),
        cmocka_unit_test(test_offers__named_twice_and_across_agents),
        cmocka_unit_test(test_offers__expire),
        cmocka_unit_test(test_offers__too_little_is_not_offered),
        cmocka_unit_test(test_offers__reservations_go_to_their_role),
        cmocka_unit_test(test_offers__slow_reader_gets_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
