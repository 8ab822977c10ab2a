/* SPDX-License-Identifier: Apache-2.0 */
#include "support/master_world.h"

#include "master/quota.h"
#include "master/weights.h"

#define MULTI(role) ",\"roles\":[\"" role "\"],\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]"
#define RESERVED(name, amount, role)                                                                                       \
    "{\"name\":\"" name "\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" #amount                                            \
    "},\"reservations\":[{\"type\":\"STATIC\",\"role\":\"" role "\"}]}"

static request_id update_quota(struct world *w, const char *role, const char *guarantees, const char *limits,
                               const char *more)
{
    return world_operator(
        w,
        "{\"type\":\"UPDATE_QUOTA\",\"update_quota\":{\"quota_configs\":[{\"role\":\"%s\",\"guarantees\":{"
        "%s},\"limits\":{%s}}]%s}}",
        role, guarantees, limits, more);
}

static request_id set_quota(struct world *w, const char *role, const char *guarantee, const char *more)
{
    return world_operator(
        w, "{\"type\":\"SET_QUOTA\",\"set_quota\":{\"quota_request\":{\"role\":\"%s\",\"guarantee\":[%s]%s}}}", role,
        guarantee, more);
}

static request_id remove_quota(struct world *w, const char *role)
{
    return world_operator(w, "{\"type\":\"REMOVE_QUOTA\",\"remove_quota\":{\"role\":\"%s\"}}", role);
}

static request_id weights(struct world *w, const char *infos)
{
    return world_operator(w, "{\"type\":\"UPDATE_WEIGHTS\",\"update_weights\":{\"weight_infos\":[%s]}}", infos);
}

#define CPUS(n) "\"cpus\":{\"value\":" #n "}"
#define MEM(n) "\"mem\":{\"value\":" #n "}"

/* All that is offered on the stream now, of one name. */
static double offered(struct world *w, stream_id stream, const char *name)
{
    double sum = 0;
    const Mesos__V1__Offer *o;
    for (size_t i = 0; (o = world_offer(w, stream, i)) != NULL; i++) {
        bool is_out = true;
        const Mesos__V1__Scheduler__Event *e;
        for (size_t j = 0; (e = WORLD_EVENT(w, stream, RESCIND, j)) != NULL; j++)
            is_out &= strcmp(e->rescind->offer_id->value, o->id->value) != 0;
        sum += is_out ? world_scalar(o->resources, o->n_resources, name) : 0;
    }
    return sum;
}

static void test_quota__refusals(void **state)
{
    (void)state;
    static const struct {
        const char *role, *guarantees, *limits, *why;
    } cases[] = {
        {"a/b", CPUS(1), "", "Updating quota on nested role 'a/b' is not supported yet"},
        {"-a", CPUS(1), "", "Invalid 'QuotaConfig.role'"},
        {"a", "\"cpus\":{\"value\":-1}", "", "not negative"},
        {"a", "\"cpus\":{\"value\":1e13}", "", "greater than 1 trillion (1000000000000) are not supported"},
        {"a", "\"disk\":{\"value\":1e13}", "", "greater than 1 exabyte (1099511627776) are not supported"},
        {"a", CPUS(2), CPUS(1), "is not contained within"},
        {"a", CPUS(5), "", "exceed cluster capacity"},
        {"a", "\"gpus\":{\"value\":1}", "", "exceed cluster capacity"},
    };
    struct world *w = world_new();
    assert_non_null(world_agent(w, 1, WORLD_AGENT));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        /* one more than what could be wrong; nothing of it is taken when the other is refused */
        request_id r = update_quota(w, cases[i].role, cases[i].guarantees, cases[i].limits, "");
        assert_int_equal(world_status(w, r), 400);
        if (strstr(world_text(w, r), cases[i].why) == NULL)
            fail_msg("'%s' says nothing of '%s'", world_text(w, r), cases[i].why);
        assert_int_equal(master_quota_wire(w->m, w->arena)->n_configs, 0);
    }
    assert_int_equal(world_status(w, update_quota(w, "a", CPUS(5), "", ",\"force\":true")), 200);
    assert_int_equal(world_status(w, update_quota(w, "b", CPUS(1), "", "")), 400); /* there is none left */
    assert_int_equal(world_status(w, update_quota(w, "a", "", "", "")), 200);
    assert_int_equal(world_status(w, update_quota(w, "b", CPUS(1), "", "")), 200);
    world_free(w);
}

static void test_quota__legacy_calls(void **state)
{
    (void)state;
    struct world *w = world_new();
    assert_non_null(world_agent(w, 1, WORLD_AGENT));
    assert_int_equal(world_status(w, set_quota(w, "a", "", "")), 400);
    assert_int_equal(world_status(w, set_quota(w, "a/b", WORLD_SCALAR("cpus", 1), "")), 400);
    assert_int_equal(world_status(w, set_quota(w, "a", RESERVED("cpus", 1, "x"), "")), 400);
    assert_int_equal(world_status(w, set_quota(w, "a", WORLD_SCALAR("cpus", 1) "," WORLD_SCALAR("cpus", 1), "")), 400);
    assert_int_equal(world_status(w, set_quota(w, "a", WORLD_SCALAR("cpus", 9), "")), 409);
    assert_int_equal(world_status(w, remove_quota(w, "a")), 400);
    assert_int_equal(world_status(w, set_quota(w, "a", WORLD_SCALAR("cpus", 9), ",\"force\":true")), 200);
    assert_int_equal(world_status(w, set_quota(w, "a", WORLD_SCALAR("cpus", 1), "")), 400); /* it has one */
    const Mesos__V1__Quota__QuotaStatus *status = master_quota_wire(w->m, w->arena);
    assert_int_equal(status->n_infos, 1);
    assert_float_equal(status->infos[0]->guarantee[0]->scalar->value, 9, 1e-9);
    assert_float_equal(status->configs[0]->limits[0]->value->value, 9, 1e-9);
    world_restart(w);
    assert_int_equal(master_quota_wire(w->m, w->arena)->n_configs, 1);
    assert_int_equal(world_status(w, remove_quota(w, "a")), 200);
    assert_int_equal(master_quota_wire(w->m, w->arena)->n_configs, 0);
    world_restart(w);
    assert_int_equal(master_quota_wire(w->m, w->arena)->n_configs, 0);
    world_free(w);
}

static void test_quota__limit_cuts_offers_until_something_comes_back(void **state)
{
    (void)state;
    struct world *w = world_new();
    assert_int_equal(world_status(w, update_quota(w, "a", "", CPUS(5), "")), 200);
    const char *first = world_agent(w, 1, WORLD_AGENT);
    assert_non_null(world_agent(w, 2, WORLD_AGENT));
    const char *f = world_framework(w, 9, MULTI("a/b")); /* a role below it counts */
    assert_float_equal(offered(w, 9, "cpus"), 5, 1e-9);
    assert_float_equal(offered(w, 9, "mem"), 2048, 1e-9);
    Mesos__V1__Offer *o = world_offer(w, 9, 0);
    if (strcmp(o->agent_id->value, first) != 0)
        o = world_offer(w, 9, 1);
    char *id = o->id->value;
    size_t cpus = (size_t)world_scalar(o->resources, o->n_resources, "cpus");
    assert_true(cpus == 1 || cpus == 4);
    world_forget(w);
    world_launch(w, 9, f, id, first, "t1", WORLD_SMALL);
    world_advance(w, 10000);
    double left = (double)cpus - 1;
    assert_float_equal(offered(w, 9, "cpus"), left, 1e-9); /* t1 counts */
    world_forget(w);
    world_report(w, 1, f, "t1", "TASK_FINISHED", "aaaaaaaaaaaaaaaa");
    world_advance(w, 10000);
    assert_float_equal(offered(w, 9, "cpus"), 1, 1e-9);
    world_free(w);
}

static void test_quota__new_limit_rescinds(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (link_id l = 1; l <= 3; l++)
        assert_non_null(world_agent(w, l, WORLD_AGENT));
    assert_non_null(world_framework(w, 9, MULTI("a")));
    assert_float_equal(offered(w, 9, "cpus"), 12, 1e-9);
    assert_int_equal(world_status(w, update_quota(w, "a", "", CPUS(6), "")), 200);
    assert_float_equal(offered(w, 9, "cpus"), 6, 1e-9);
    assert_int_equal(world_status(w, update_quota(w, "a", "", "", "")), 200);
    assert_float_equal(offered(w, 9, "cpus"), 12, 1e-9);
    world_free(w);
}

static void test_quota__limit_below_consumption_needs_force(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    const char *f = world_framework(w, 9, MULTI("a"));
    world_launch(w, 9, f, world_offer(w, 9, 0)->id->value, agent, "t1", WORLD_SCALAR("cpus", 3));
    request_id r = update_quota(w, "a", "", CPUS(2), "");
    assert_int_equal(world_status(w, r), 400);
    assert_non_null(strstr(world_text(w, r), "consumption"));
    assert_int_equal(world_status(w, update_quota(w, "a", "", CPUS(3), "")), 200); /* what is offered does not count */
    assert_int_equal(world_status(w, update_quota(w, "a", "", CPUS(2), ",\"force\":true")), 200);
    world_free(w);
}

static void test_quota__guarantee_is_kept_free_and_served_first(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (link_id l = 1; l <= 3; l++)
        assert_non_null(world_agent(w, l, WORLD_AGENT));
    assert_int_equal(world_status(w, update_quota(w, "prod", CPUS(8) "," MEM(1024), "", "")), 200);
    assert_non_null(world_framework(w, 9, MULTI("dev")));
    assert_float_equal(offered(w, 9, "cpus"), 4, 1e-9); /* 8 of 12 wait for prod */
    assert_non_null(world_framework(w, 10, MULTI("prod/web")));
    world_advance(w, 1000);
    assert_float_equal(offered(w, 10, "cpus"), 8, 1e-9);
    assert_float_equal(offered(w, 9, "cpus"), 4, 1e-9);
    world_free(w);
}

static void test_quota__new_guarantee_takes_offers_of_others(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (link_id l = 1; l <= 2; l++)
        assert_non_null(world_agent(w, l, WORLD_AGENT));
    assert_non_null(world_framework(w, 9, MULTI("dev")));
    assert_float_equal(offered(w, 9, "cpus"), 8, 1e-9);
    assert_non_null(world_framework(w, 10, MULTI("prod")));
    assert_int_equal(world_status(w, update_quota(w, "prod", CPUS(3), "", "")), 200);
    world_advance(w, 1000);
    assert_true(offered(w, 10, "cpus") >= 3);
    world_free(w);
}

static void test_quota__reservations_count_and_are_offered(void **state)
{
    (void)state;
    struct world *w = world_new();
    assert_non_null(world_agent(w, 1, WORLD_AGENT "," RESERVED("cpus", 3, "a/b")));
    assert_int_equal(world_status(w, update_quota(w, "a", "", CPUS(2), "")), 400); /* 3 are reserved */
    assert_int_equal(world_status(w, update_quota(w, "a", "", CPUS(4), "")), 200);
    const char *f = world_framework(w, 9, MULTI("a/b"));
    assert_float_equal(offered(w, 9, "cpus"), 4, 1e-9); /* 3 reserved and one more */
    world_decline(w, 9, f, world_offer(w, 9, 0)->id->value, "3600");
    world_forget(w);
    assert_non_null(world_framework(w, 10, MULTI("a")));
    assert_float_equal(offered(w, 10, "cpus"), 1, 1e-9); /* what is reserved and free counts as well */
    world_free(w);
}

static void come_back(struct world *w, link_id link, const char *agent, int n)
{
    world_link_up(w, link);
    world_link(w, link,
               "{\"reregister\":{\"version\":\"t\",\"agent_info\":{\"id\":{\"value\":\"%s\"},\"hostname\":\"h%d\",\"port\":"
               "%d,\"resources\":[" WORLD_AGENT "]}}}",
               agent, n, 10000 + n);
    world_settle(w);
}

static void test_quota__new_master_waits_for_its_agents(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *one = arena_strdup(w->arena, world_agent(w, 1, WORLD_AGENT));
    const char *two = arena_strdup(w->arena, world_agent(w, 2, WORLD_AGENT));
    assert_int_equal(world_status(w, update_quota(w, "prod", CPUS(1), "", "")), 200);
    world_restart(w);
    assert_non_null(world_framework(w, 9, MULTI("dev")));
    come_back(w, 3, one, 1);
    world_advance(w, 60000);
    assert_int_equal(world_offer_count(w, 9), 0);
    come_back(w, 4, two, 2);
    assert_float_equal(offered(w, 9, "cpus"), 7, 1e-9);
    world_restart(w);
    assert_non_null(world_framework(w, 9, MULTI("dev")));
    come_back(w, 3, one, 1);
    world_advance(w, 599000);
    assert_int_equal(world_offer_count(w, 9), 0);
    world_advance(w, 2000); /* ten minutes are enough */
    assert_float_equal(offered(w, 9, "cpus"), 3, 1e-9);
    world_free(w);
}

static void test_weights__refusals(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "{\"weight\":2}",
        "{\"weight\":2,\"role\":\"a b\"}",
        "{\"weight\":0,\"role\":\"a\"}",
        "{\"weight\":-1,\"role\":\"a\"}",
        "{\"weight\":2,\"role\":\"a\"},{\"weight\":0,\"role\":\"b\"}",
        "{\"weight\":2,\"role\":\"a\"},{\"weight\":3,\"role\":\"a\"}",
    };
    struct world *w = world_new();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(world_status(w, weights(w, cases[i])), 400);
        assert_int_equal(master_weights_wire(w->m, w->arena)->n_weight_infos, 0);
    }
    world_free(w);
}

static void test_weights__are_durable_and_move_shares(void **state)
{
    (void)state;
    struct world *w = world_new();
    assert_int_equal(world_status(w, weights(w, "{\"weight\":0.5,\"role\":\"a\"},{\"weight\":3,\"role\":\"a/b\"}")), 200);
    world_restart(w);
    assert_int_equal(master_weights_wire(w->m, w->arena)->n_weight_infos, 2);
    assert_int_equal(world_status(w, weights(w, "{\"weight\":3,\"role\":\"b\"}")), 200);
    assert_non_null(world_framework(w, 9, MULTI("a")));
    assert_non_null(world_framework(w, 10, MULTI("b")));
    for (link_id l = 1; l <= 14; l++)
        assert_non_null(world_agent(w, l, WORLD_AGENT));
    assert_float_equal(offered(w, 10, "cpus"), 6 * offered(w, 9, "cpus"), 1e-9);
    world_forget(w);
    assert_int_equal(world_status(w, weights(w, "{\"weight\":1,\"role\":\"b\"},{\"weight\":1,\"role\":\"a\"}")), 200);
    assert_float_equal(offered(w, 10, "cpus"), 28, 1e-9); /* all was rescinded and shared anew */
    assert_float_equal(offered(w, 9, "cpus"), 28, 1e-9);
    world_free(w);
}

static void test_weights__answered_when_durable(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->hold_stores = true;
    request_id r = weights(w, "{\"weight\":2,\"role\":\"a\"}");
    request_id q = update_quota(w, "a", CPUS(1), "", ",\"force\":true");
    assert_int_equal(world_status(w, r), 0);
    assert_int_equal(master_weights_wire(w->m, w->arena)->n_weight_infos, 0);
    world_store_done(w, 0);
    assert_int_equal(world_status(w, r), 200);
    assert_int_equal(world_status(w, q), 0);
    world_store_done(w, 0);
    assert_int_equal(world_status(w, q), 200);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quota__refusals),
        cmocka_unit_test(test_quota__legacy_calls),
        cmocka_unit_test(test_quota__limit_cuts_offers_until_something_comes_back),
        cmocka_unit_test(test_quota__new_limit_rescinds),
        cmocka_unit_test(test_quota__limit_below_consumption_needs_force),
        cmocka_unit_test(test_quota__guarantee_is_kept_free_and_served_first),
        cmocka_unit_test(test_quota__new_guarantee_takes_offers_of_others),
        cmocka_unit_test(test_quota__reservations_count_and_are_offered),
        cmocka_unit_test(test_quota__new_master_waits_for_its_agents),
        cmocka_unit_test(test_weights__refusals),
        cmocka_unit_test(test_weights__are_durable_and_move_shares),
        cmocka_unit_test(test_weights__answered_when_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
