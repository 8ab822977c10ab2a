/* SPDX-License-Identifier: Apache-2.0
 * test_tasks.c - parts of TaskInfos, and what constraints see of an agent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "frameworks/kit/agent_value.h"
#include "frameworks/kit/shell.h"
#include "frameworks/kit/task_parts.h"
#include "tests/support/offer.h"

static struct pairs pairs_of(struct chunks *c, const char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    CHECK(json != NULL);
    struct pairs p = pairs_read(c, json);
    json_decref(json);
    return p;
}

static const char *value_of(const Mesos__V1__Environment *e, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < e->n_variables; i++) {
        if (strcmp(e->variables[i]->name, name) != 0)
            continue;
        assert_null(value); /* each name once */
        value = e->variables[i]->value;
    }
    return value;
}

/* -- environment -------------------------------------------------------------------------------------------------- */

static void test_task_env__later_values_win_at_the_first_place(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct chunks c = {0};
    struct task_env e;
    struct pairs own = pairs_of(&c, "{\"B\":\"own\",\"C\":\"3\"}");
    char name[] = "A";
    task_env_begin(&e, a);
    task_env_put(&e, name, "1");
    name[0] = '?'; /* copied */
    task_env_put(&e, "B", "2");
    task_env_put_pairs(&e, &own);
    Mesos__V1__Environment *env = task_env_end(&e);
    assert_int_equal(env->n_variables, 3);
    assert_string_equal(env->variables[0]->name, "A");
    assert_string_equal(env->variables[1]->name, "B");
    assert_string_equal(env->variables[1]->value, "own");
    assert_string_equal(env->variables[2]->value, "3");
    chunks_free(&c);
    (void)arena_free(a);
}

static void test_task_env__tells_a_task_about_itself(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct chunks c = {0};
    struct task_env e;
    struct pairs labels = pairs_of(&c, "{\"x.y--z\":\"v\",\"team_1\":\"\"}");
    struct task_context context = {.task_id = "t.1",
                                   .app_id = "/a/b",
                                   .host = "h1",
                                   .version_ms = 1700000000123,
                                   .cpus = 0.1,
                                   .mem = 128,
                                   .disk = 0,
                                   .labels = &labels};
    task_env_begin(&e, a);
    task_env_put_context(&e, &context);
    context.host_prefix = "P_";
    task_env_put_context(&e, &context);
    Mesos__V1__Environment *env = task_env_end(&e);
    static const char *const wanted[][2] = {
        {"MESOS_TASK_ID", "t.1"},
        {"MARATHON_APP_ID", "/a/b"},
        {"MARATHON_APP_VERSION", "2023-11-14T22:13:20.123Z"},
        {"MARATHON_APP_RESOURCE_CPUS", "0.1"},
        {"MARATHON_APP_RESOURCE_MEM", "128.0"},
        {"MARATHON_APP_RESOURCE_DISK", "0.0"},
        {"MARATHON_APP_RESOURCE_GPUS", "0"},
        {"MARATHON_APP_LABELS", "TEAM_1 X_Y_Z"},
        {"MARATHON_APP_LABEL_X_Y_Z", "v"},
        {"MARATHON_APP_LABEL_TEAM_1", ""},
        {"HOST", "h1"},
        {"P_HOST", "h1"},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        const char *value = value_of(env, wanted[i][0]);
        if (value == NULL || strcmp(value, wanted[i][1]) != 0)
            fail_msg("%s is %s", wanted[i][0], value ? value : "absent");
    }
    chunks_free(&c);
    (void)arena_free(a);
}

/* What does not fit into an environment is left out, not cut. */
static void test_task_env__leaves_out_large_labels(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct chunks c = {0};
    struct task_env e;
    char value[513];
    memset(value, 'v', 512);
    value[512] = '\0';
    json_t *json = json_pack("{s:s, s:s}", "big", value, "fits", value + 1);
    struct pairs labels = pairs_read(&c, json);
    json_decref(json);
    struct task_context context = {.task_id = "t", .app_id = "/a", .host = "h", .labels = &labels};
    task_env_begin(&e, a);
    task_env_put_context(&e, &context);
    Mesos__V1__Environment *env = task_env_end(&e);
    assert_string_equal(value_of(env, "MARATHON_APP_LABELS"), "FITS");
    assert_null(value_of(env, "MARATHON_APP_LABEL_BIG"));
    assert_int_equal(strlen(value_of(env, "MARATHON_APP_LABEL_FITS")), 511);
    chunks_free(&c);
    (void)arena_free(a);
}

/* -- the rest ----------------------------------------------------------------------------------------------------- */

static void test_task_parts__are_absent_when_nothing_is_asked_for(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct chunks c = {0};
    struct pairs none = {0}, some = pairs_of(&c, "{\"k\":\"v\"}");
    assert_null(task_labels(&none, a));
    assert_string_equal(task_labels(&some, a)->labels[0]->value, "v");
    assert_null(task_kill_policy(-1, a));
    assert_int_equal(task_kill_policy(0, a)->grace_period->nanoseconds, 0);
    assert_int_equal(task_kill_policy(2.5, a)->grace_period->nanoseconds, 2500000000);
    assert_true(task_kill_policy(1e300, a)->grace_period->nanoseconds == INT64_MAX);
    assert_null(task_container(NULL, 0, a));
    Mesos__V1__Volume *v = task_host_volume("in", "/out", true, a);
    assert_int_equal(v->mode, MESOS__V1__VOLUME__MODE__RO);
    assert_int_equal(task_host_volume("in", "/out", false, a)->mode, MESOS__V1__VOLUME__MODE__RW);
    Mesos__V1__ContainerInfo *container = task_container(&v, 1, a);
    assert_int_equal(container->type, MESOS__V1__CONTAINER_INFO__TYPE__MESOS);
    assert_ptr_equal(container->volumes[0], v);
    Mesos__V1__CommandInfo__URI *u = task_uri("http://x/y.tgz", NULL, true, false, true, a);
    assert_true(u->extract && u->cache && !u->executable && u->output_file == NULL);
    char id[] = "t";
    Mesos__V1__TaskID *task_id = task_id_of(id, a);
    id[0] = '?';
    assert_string_equal(task_id->value, "t");
    chunks_free(&c);
    (void)arena_free(a);
}

/* -- agents ------------------------------------------------------------------------------------------------------- */

static void test_agent_value__fields_of_an_offer(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    Mesos__V1__Offer *o = support_offer(a, 1, "h1.example", "r1", 1, 1);
    assert_string_equal(agent_value(o, "hostname", a), "h1.example");
    assert_string_equal(agent_value(o, "@hostname", a), "h1.example");
    assert_string_equal(agent_value(o, "rack", a), "r1");
    assert_null(agent_value(o, "Rack", a));
    assert_null(agent_value(o, "@region", a));
    assert_null(agent_value(o, "@zone", a));
    Mesos__V1__DomainInfo domain = MESOS__V1__DOMAIN_INFO__INIT;
    Mesos__V1__DomainInfo__FaultDomain fault = MESOS__V1__DOMAIN_INFO__FAULT_DOMAIN__INIT;
    Mesos__V1__DomainInfo__FaultDomain__RegionInfo region = MESOS__V1__DOMAIN_INFO__FAULT_DOMAIN__REGION_INFO__INIT;
    Mesos__V1__DomainInfo__FaultDomain__ZoneInfo zone = MESOS__V1__DOMAIN_INFO__FAULT_DOMAIN__ZONE_INFO__INIT;
    region.name = (char *)"eu";
    zone.name = (char *)"eu-1";
    fault.region = &region;
    fault.zone = &zone;
    o->domain = &domain;
    assert_null(agent_value(o, "@zone", a)); /* a domain without fault domain */
    domain.fault_domain = &fault;
    assert_string_equal(agent_value(o, "@region", a), "eu");
    assert_string_equal(agent_value(o, "@zone", a), "eu-1");
    Mesos__V1__Attribute *rack = o->attributes[0];
    rack->type = MESOS__V1__VALUE__TYPE__SCALAR;
    Mesos__V1__Value__Scalar scalar = MESOS__V1__VALUE__SCALAR__INIT;
    scalar.value = 2.5;
    rack->scalar = &scalar;
    assert_string_equal(agent_value(o, "rack", a), "2.5");
    (void)arena_free(a);
}

static void test_agent_value__numbers_are_written_as_attributes_are(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"1", "1"},          {"1.0", "1"},      {"2.50", "2.5"},    {"0.0005", "0"},
                                           {"0.0015", "0.002"}, {"-3.10", "-3.1"}, {"1e3", "1000"},    {"100", "100"},
                                           {"r1", "r1"},        {"", ""},          {"1e300", "1e300"}, {"nan", "nan"},
                                           {"1.2.3", "1.2.3"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *got = agent_value_canonical(cases[i][0]);
        if (strcmp(got, cases[i][1]) != 0)
            fail_msg("%s becomes %s, not %s", cases[i][0], got, cases[i][1]);
        free(got);
    }
}

/* -- requests ----------------------------------------------------------------------------------------------------- */

static void test_json_type__with_and_without_parameters(void **state)
{
    (void)state;
    static const char *const good[] = {"application/json", "Application/JSON; charset=utf-8", "text/json \t;x",
                                       "application/json ;"};
    static const char *const bad[] = {"",           "application/jsonp", "application/jso",
                                      "text/plain", ";application/json", " application/json"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!kit_is_json_type(good[i]))
            fail_msg("'%s' is refused", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (kit_is_json_type(bad[i]))
            fail_msg("'%s' is taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_task_env__later_values_win_at_the_first_place),
        cmocka_unit_test(test_task_env__tells_a_task_about_itself),
        cmocka_unit_test(test_task_env__leaves_out_large_labels),
        cmocka_unit_test(test_task_parts__are_absent_when_nothing_is_asked_for),
        cmocka_unit_test(test_agent_value__fields_of_an_offer),
        cmocka_unit_test(test_agent_value__numbers_are_written_as_attributes_are),
        cmocka_unit_test(test_json_type__with_and_without_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
