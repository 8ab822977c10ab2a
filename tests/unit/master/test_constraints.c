/* SPDX-License-Identifier: Apache-2.0 */
#include "support/master_world.h"

#include "master/constraints.h"
#include "master/snapshot.h"

static void *from_json(struct arena *arena, const ProtobufCMessageDescriptor *type, const char *text)
{
    struct err err = {""};
    void *message = wire_decode(WIRE_JSON, type, text, strlen(text), arena, &err);
    if (message == NULL)
        fail_msg("%s: %s", err.text, text);
    return message;
}

static const char agent_json[] =
    "{\"hostname\":\"host-12\",\"attributes\":[{\"name\":\"rack\",\"type\":\"TEXT\",\"text\":{\"value\":\"a\"}},"
    "{\"name\":\"rack\",\"type\":\"TEXT\",\"text\":{\"value\":\"b\"}},"
    "{\"name\":\"level\",\"type\":\"SCALAR\",\"scalar\":{\"value\":3}}],"
    "\"domain\":{\"fault_domain\":{\"region\":{\"name\":\"eu\"},\"zone\":{\"name\":\"eu-1\"}}}}";

#define ATTRIBUTE(name, predicate) "{\"selector\":{\"attribute_name\":\"" name "\"},\"predicate\":{" predicate "}}"
#define PSEUDO(type, predicate) "{\"selector\":{\"pseudoattribute_type\":\"" type "\"},\"predicate\":{" predicate "}}"
#define EQUALS(text) "\"text_equals\":{\"value\":\"" text "\"}"
#define NOT_EQUALS(text) "\"text_not_equals\":{\"value\":\"" text "\"}"
#define MATCHES(text) "\"text_matches\":{\"regex\":\"" text "\"}"
#define NOT_MATCHES(text) "\"text_not_matches\":{\"regex\":\"" text "\"}"
#define GROUP(list) "{\"attribute_constraints\":[" list "]}"
#define ALL(groups) "{\"role_constraints\":{\"*\":{\"groups\":[" groups "]}}}"

static void test_constraints__decide(void **state)
{
    (void)state;
    static const struct {
        const char *groups;
        bool allowed;
    } cases[] = {
        {GROUP(ATTRIBUTE("rack", "\"exists\":{}")), true},
        {GROUP(ATTRIBUTE("row", "\"exists\":{}")), false},
        {GROUP(ATTRIBUTE("row", "\"not_exists\":{}")), true},
        {GROUP(ATTRIBUTE("rack", "\"not_exists\":{}")), false},
        {GROUP(ATTRIBUTE("rack", EQUALS("b"))), true},
        {GROUP(ATTRIBUTE("rack", EQUALS("c"))), false},
        {GROUP(ATTRIBUTE("row", EQUALS("a"))), false},
        {GROUP(ATTRIBUTE("rack", NOT_EQUALS("b"))), false},
        {GROUP(ATTRIBUTE("rack", NOT_EQUALS("c"))), true},
        {GROUP(ATTRIBUTE("row", NOT_EQUALS("a"))), true},
        {GROUP(ATTRIBUTE("level", EQUALS("3"))), true}, /* tests of text hold for what is none */
        {GROUP(ATTRIBUTE("level", NOT_MATCHES("3"))), true},
        {GROUP(PSEUDO("HOSTNAME", MATCHES("host-\\\\d+"))), true},
        {GROUP(PSEUDO("HOSTNAME", MATCHES("ost"))), false}, /* the whole name */
        {GROUP(PSEUDO("HOSTNAME", NOT_MATCHES("host.*"))), false},
        {GROUP(PSEUDO("REGION", EQUALS("eu"))), true},
        {GROUP(PSEUDO("ZONE", EQUALS("eu-2"))), false},
        {GROUP(PSEUDO("ZONE", EQUALS("eu-1")) "," ATTRIBUTE("rack", EQUALS("c"))), false},
        {GROUP(PSEUDO("ZONE", EQUALS("eu-2")) "," ATTRIBUTE("rack", EQUALS("a"))), false},
        {GROUP(PSEUDO("ZONE", EQUALS("eu-2"))) "," GROUP(ATTRIBUTE("rack", EQUALS("a"))), true},
    };
    struct arena *arena = arena_new(0);
    const Mesos__V1__AgentInfo *agent = from_json(arena, &mesos__v1__agent_info__descriptor, agent_json);
    char *roles[] = {(char *)"*"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = {""};
        const Mesos__V1__Scheduler__OfferConstraints *all =
            from_json(arena, &mesos__v1__scheduler__offer_constraints__descriptor,
                      arena_printf(arena, "{\"role_constraints\":{\"*\":{\"groups\":[%s]}}}", cases[i].groups));
        if (master_constraints_check(all, roles, 1, &err) < 0)
            fail_msg("%s: %s", cases[i].groups, err.text);
        struct master_constraints *c = master_constraints_new(all, "*");
        if (master_constraints_allow(c, agent) != cases[i].allowed)
            fail_msg("%s", cases[i].groups);
        assert_null(master_constraints_free(c));
    }
    assert_true(master_constraints_allow(NULL, agent));
    arena_free(arena);
}

static void test_constraints__refusals(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "{\"role_constraints\":{\"other\":{\"groups\":[" GROUP(ATTRIBUTE("a", "\"exists\":{}")) "]}}}",
        "{\"role_constraints\":{\"*\":{\"groups\":[]}}}",
        ALL(GROUP("")),
        ALL(GROUP("{\"selector\":{},\"predicate\":{\"exists\":{}}}")),
        ALL(GROUP(
            "{\"selector\":{\"attribute_name\":\"a\",\"pseudoattribute_type\":\"ZONE\"},\"predicate\":{\"exists\":{}}}")),
        ALL(GROUP(PSEUDO("UNKNOWN", "\"exists\":{}"))),
        ALL(GROUP(ATTRIBUTE("a", ""))),
        ALL(GROUP(ATTRIBUTE("a", "\"exists\":{},\"not_exists\":{}"))),
        ALL(GROUP(ATTRIBUTE("a", MATCHES("(")))),
        ALL(GROUP(ATTRIBUTE("a", MATCHES("(a{50}){50}")))),
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world *w = world_new();
        world_subscribe(w, 9,
                        "{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{\"user\":\"u\",\"name\":\"f\"},"
                        "\"offer_constraints\":%s}}",
                        cases[i]);
        world_settle(w);
        if (WORLD_EVENT(w, 9, ERROR, 0) == NULL)
            fail_msg("%s is taken", cases[i]);
        world_free(w);
    }
}

static void test_constraints__offers_follow_them(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *first = world_agent(w, 1, WORLD_AGENT), *second = world_agent(w, 2, WORLD_AGENT);
    world_subscribe(w, 9,
                    "{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{\"user\":\"u\",\"name\":\"f\"},"
                    "\"offer_constraints\":" ALL(GROUP(PSEUDO("HOSTNAME", EQUALS("h2")))) "}}");
    world_settle(w);
    assert_int_equal(world_offer_count(w, 9), 1);
    assert_string_equal(world_offer(w, 9, 0)->agent_id->value, second);
    const char *f = WORLD_EVENT(w, 9, SUBSCRIBED, 0)->subscribed->framework_id->value;
    struct arena *arena = arena_new(0);
    const struct master_view view = master_view(w->m, NULL);
    const Mesos__V1__Master__Response__GetFrameworks *shown = master_snapshot_frameworks(&view, arena);
    assert_int_equal(shown->frameworks[0]->offer_constraints->n_role_constraints, 1);
    arena_free(arena);
    world_forget(w);
    request_id r = world_call(w, 9,
                              "{\"type\":\"UPDATE_FRAMEWORK\",\"framework_id\":{\"value\":\"%s\"},\"update_framework\":{"
                              "\"framework_info\":{\"user\":\"u\",\"name\":\"f\",\"id\":{\"value\":\"%s\"}}}}",
                              f, f);
    world_settle(w);
    assert_int_equal(world_status(w, r), 200);
    assert_int_equal(world_offer_count(w, 9), 1); /* without constraints the other fits, too */
    assert_string_equal(world_offer(w, 9, 0)->agent_id->value, first);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constraints__decide),
        cmocka_unit_test(test_constraints__refusals),
        cmocka_unit_test(test_constraints__offers_follow_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
