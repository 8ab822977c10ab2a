/* SPDX-License-Identifier: Apache-2.0
 * Pure parts: rolling arithmetic, constraints, patterns, back-off, environment and TaskInfo. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frameworks/marathon/constraints.h"
#include "frameworks/marathon/launch_backoff.h"
#include "frameworks/marathon/rolling.h"
#include "frameworks/marathon/task_info.h"

static const struct app_context context = {.role = "*"};

static struct app *must_parse(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    struct problems p;
    struct app *app = NULL;
    problems_init(&p);
    if (json == NULL || !app_from_json(json, NULL, NULL, &context, &app, &p))
        fail_msg("%s: %s", text, p.details ? json_dumps(p.details, 0) : "no JSON");
    json_decref(json);
    return app;
}

/* Every worked example of the facts: what is decided first, then played to the end with each new instance becoming healthy.
 */
static void test_rolling__worked_examples(void **state)
{
    (void)state;
    static const struct {
        int64_t n;
        double h, o;
        int64_t old, healthy_min, capacity_max, kill, launch, peak, lowest;
    } cases[] = {
        {10, 1, 1, 10, 10, 20, 0, 10, 20, 10},
        {10, .5, 0, 10, 5, 10, 5, 0, 10, 5},
        {10, 1, 0, 10, 10, 11, 0, 1, 11, 10},
        {10, 0, 0, 10, 0, 10, 10, 0, 10, 0},
        {10, .5, .2, 10, 5, 12, 5, 2, 12, 5},
        {4, .75, .25, 4, 3, 5, 1, 1, 5, 3},
        {3, .7, .1, 3, 3, 4, 0, 1, 4, 3},
        {5, 1, .1, 5, 5, 6, 0, 1, 6, 5},
        {1, 1, 0, 1, 1, 2, 0, 1, 2, 1},
        {1, .5, 0, 1, 1, 2, 0, 1, 2, 1},
        {1, 0, 0, 1, 0, 1, 1, 0, 1, 0},
        {2, .5, .5, 2, 1, 3, 1, 1, 3, 1},
        {4, 1, 1, 10, 4, 8, 6, 0, 10, 4},
        {6, 1, 1, 2, 6, 12, 0, 6, 8, 2},
        {100, .07, .15, 100, 8, 114, 92, 14, 114, 8},
    };
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        struct rolling_limits l = rolling_limits(cases[k].n, cases[k].h, cases[k].o, cases[k].old);
        assert_int_equal(l.healthy_min, cases[k].healthy_min);
        assert_int_equal(l.capacity_max, cases[k].capacity_max);
        struct rolling_state s = {.instances = cases[k].n, .old_healthy = cases[k].old};
        struct rolling_decision d = rolling_decide(&l, &s);
        assert_int_equal(d.kill_old, cases[k].kill);
        assert_int_equal(d.launch, cases[k].launch);
        int64_t peak = cases[k].old, lowest = cases[k].old;
        int rounds = 0;
        while (!d.is_done) {
            assert_true(++rounds < 1000);
            s.old_healthy -= d.kill_old;
            s.dying += d.kill_old;
            s.fresh += d.launch;
            int64_t total = s.old_healthy + s.dying + s.fresh, healthy = s.old_healthy + s.fresh_healthy;
            peak = total > peak ? total : peak;
            lowest = healthy < lowest ? healthy : lowest;
            if (d.kill_old == 0 && d.launch == 0) { /* the world moves: one ends or one becomes healthy */
                if (s.dying > 0)
                    s.dying--;
                else if (s.fresh_healthy < s.fresh)
                    s.fresh_healthy++;
                else
                    fail_msg("case %zu is stuck", k);
            }
            d = rolling_decide(&l, &s);
        }
        assert_int_equal(peak, cases[k].peak);
        assert_int_equal(lowest, cases[k].lowest);
        assert_int_equal(s.fresh_healthy, cases[k].n);
    }
}

static void test_rolling__broken_old_instances_do_not_block(void **state)
{
    (void)state;
    struct rolling_limits l = rolling_limits(10, 1, 0, 0);
    struct rolling_state s = {.instances = 10, .old_unhealthy = 10};
    assert_int_equal(rolling_decide(&l, &s).kill_old, 0); /* without a result yet: they may turn out to be fine */
    s.old_stuck = 4;
    struct rolling_decision d = rolling_decide(&l, &s);
    assert_int_equal(d.kill_old, 4);
    assert_int_equal(d.launch, 0);
}

struct place { /* an agent as constraints see it */
    Mesos__V1__Offer offer;
    Mesos__V1__Attribute attribute, *attributes[1];
    Mesos__V1__Value__Text text;
};

static void place_init(struct place *p, const char *host, const char *rack)
{
    mesos__v1__offer__init(&p->offer);
    mesos__v1__attribute__init(&p->attribute);
    mesos__v1__value__text__init(&p->text);
    p->offer.hostname = (char *)host;
    p->attribute.name = (char *)"rack";
    p->attribute.type = MESOS__V1__VALUE__TYPE__TEXT;
    p->attribute.text = &p->text;
    p->text.value = (char *)rack;
    p->attributes[0] = &p->attribute;
    p->offer.attributes = p->attributes;
    p->offer.n_attributes = rack ? 1 : 0;
}

/* Places instances on agents in order ("h1/r1" is host and rack, "h1" has no rack) and says for each whether it was
 * accepted. */
static void expect_spread(const char *constraint, int instances, const char *const *agents, const char *wanted)
{
    char text[512];
    (void)snprintf(text, sizeof(text), "{\"id\":\"/t\",\"cmd\":\"sl\",\"instances\":%d,\"constraints\":[%s]}", instances,
                   constraint);
    struct app *app = must_parse(text);
    struct spread *spread = spread_new(app);
    struct arena *arena = arena_new(0);
    for (size_t k = 0; agents[k]; k++) {
        char host[32], *rack;
        (void)snprintf(host, sizeof(host), "%s", agents[k]);
        rack = strchr(host, '/');
        if (rack)
            *rack++ = '\0';
        struct place p;
        place_init(&p, host, rack);
        const char **values = constraint_values(app, &p.offer, arena);
        bool accepted = spread_accepts(spread, values);
        if (accepted != (wanted[k] == '+'))
            fail_msg("%s: agent %zu (%s)", constraint, k, agents[k]);
        if (accepted)
            spread_add(spread, values);
    }
    (void)arena_free(arena);
    (void)spread_free(spread);
    (void)app_unref(app);
}

static void test_constraints__operators(void **state)
{
    (void)state;
#define AGENTS(...) ((const char *const[]){__VA_ARGS__, NULL})
    expect_spread("[\"hostname\",\"UNIQUE\"]", 3, AGENTS("h1", "h1", "h2", "h2", "h3"), "+-+-+");
    expect_spread("[\"@hostname\",\"UNIQUE\",\"\"]", 3, AGENTS("h1", "h1", "h2"), "+-+");
    expect_spread("[\"rack\",\"UNIQUE\"]", 3, AGENTS("h1", "h1/a", "h2/a", "h3/b"), "-+-+");
    expect_spread("[\"rack\",\"CLUSTER\"]", 3, AGENTS("h1/a", "h2/b", "h3/a", "h4"), "+-+-");
    expect_spread("[\"rack\",\"CLUSTER\",\"b\"]", 3, AGENTS("h1/a", "h2/b", "h3/b"), "-++");
    expect_spread("[\"rack\",\"LIKE\",\"r[1-3]\"]", 3, AGENTS("h1/r1", "h2/r4", "h3/r33", "h4"), "+---");
    expect_spread("[\"rack\",\"UNLIKE\",\"r[1-3]\"]", 3, AGENTS("h1/r1", "h2/r4", "h3/r33", "h4"), "-+++");
    expect_spread("[\"rack\",\"MAX_PER\",\"2\"]", 5, AGENTS("h1/a", "h2/a", "h3/a", "h4/b", "h5"), "++-+-");
    expect_spread("[\"rack\",\"IS\",\"a\"]", 3, AGENTS("h1/a", "h2/b", "h3"), "+--");
    expect_spread("[\"rack\",\"GROUP_BY\"]", 9, AGENTS("h1/a", "h1/a", "h2/b", "h1/a", "h1/a", "h2/b"), "+++--+");
}

static void test_constraints__group_by_with_a_number(void **state)
{
    (void)state;
    /* 5 instances in 2 groups: 3 in the first that shows up, 2 in the second, no third one */
    expect_spread("[\"rack\",\"GROUP_BY\",\"2\"]", 5, AGENTS("h/a", "h/a", "h/a", "h/a", "h/b", "h/c", "h/b", "h/b"),
                  "+++-+-+-");
}

static void test_constraints__is_compares_numbers_as_attributes_are_written(void **state)
{
    (void)state;
    expect_spread("[\"rack\",\"IS\",\"2.50\"]", 3, AGENTS("h1/2.5", "h2/2.50", "h3/3"), "+--");
}

static void test_backoff__grows_and_is_forgotten(void **state)
{
    (void)state;
    struct launch_backoff b = {0};
    assert_int_equal(launch_backoff_until(&b, 300000, 1000), 0);
    launch_backoff_add(&b, 1000, 2, 3000, 1000);
    assert_int_equal(launch_backoff_until(&b, 3000, 1000), 2000);
    assert_int_equal(launch_backoff_until(&b, 3000, 2000), 0);
    launch_backoff_add(&b, 1000, 2, 3000, 2000);
    assert_int_equal(launch_backoff_until(&b, 3000, 2000), 4000);
    launch_backoff_advance(&b, 2500);
    assert_int_equal(launch_backoff_until(&b, 3000, 2500), 4500);
    launch_backoff_add(&b, 1000, 2, 3000, 3000);
    assert_int_equal(launch_backoff_until(&b, 3000, 3000), 6000); /* at the cap */
    assert_int_equal(launch_backoff_until(&b, 3000, 6001), 0);    /* not renewed: forgotten */
    launch_backoff_add(&b, 1000, 2, 3000, 7000);
    assert_int_equal(launch_backoff_until(&b, 3000, 7000), 8000);
    launch_backoff_add(&b, 0, 1.15, 3000, 20000); /* none wanted */
    assert_int_equal(launch_backoff_until(&b, 3000, 20000), 0);
    /* facts 4.7: 1 s * 1.15^n is at the cap of 300 s with the 42nd failure in a row */
    struct launch_backoff c = {0};
    for (int n = 1; n <= 42; n++) {
        launch_backoff_add(&c, 1000, 1.15, 300000, 0);
        assert_int_equal(c.delay_ms == 300000, n == 42);
    }
}

static const char *get_env(const Mesos__V1__Environment *env, const char *name)
{
    const char *found = NULL;
    for (size_t k = 0; k < env->n_variables; k++) {
        if (strcmp(env->variables[k]->name, name) == 0) {
            assert_null(found); /* once */
            found = env->variables[k]->value;
        }
    }
    return found;
}

static void expect_env(const Mesos__V1__Environment *env, const char *name, const char *wanted)
{
    const char *value = get_env(env, name);
    if ((value == NULL) != (wanted == NULL) || (value && strcmp(value, wanted) != 0))
        fail_msg("%s is %s, wanted %s", name, value ? value : "absent", wanted ? wanted : "absent");
}

static void test_task_info__environment_of_an_app(void **state)
{
    (void)state;
    struct app *app =
        must_parse("{\"id\":\"/a/b\",\"cmd\":\"sl\",\"cpus\":0.1,\"portDefinitions\":[{\"port\":10007,\"name\":"
                   "\"http-api\"},{\"port\":0,\"protocol\":\"udp,tcp\"}],\"labels\":{\"x.y--z\":\"v\",\"A\":\"b\"},"
                   "\"env\":{\"HOST\":\"mine\",\"FREE\":\"1\"}}");
    app->version_ms = 1700000000123;
    uint32_t ports[] = {31001, 31002};
    struct arena *a = arena_new(0);
    struct task_request r = {
        .app = app, .task_id = "a_b.instance-1._app.1", .agent_id = "S1", .hostname = "h1", .ports = ports};
    Mesos__V1__Environment *env = marathon_task_environment(&r, a);
    expect_env(env, "MESOS_TASK_ID", "a_b.instance-1._app.1");
    expect_env(env, "MARATHON_APP_ID", "/a/b");
    expect_env(env, "MARATHON_APP_VERSION", "2023-11-14T22:13:20.123Z");
    expect_env(env, "MARATHON_APP_RESOURCE_CPUS", "0.1");
    expect_env(env, "MARATHON_APP_RESOURCE_MEM", "128.0");
    expect_env(env, "MARATHON_APP_RESOURCE_DISK", "0.0");
    expect_env(env, "MARATHON_APP_RESOURCE_GPUS", "0");
    expect_env(env, "MARATHON_APP_LABELS", "A X_Y_Z");
    expect_env(env, "MARATHON_APP_LABEL_X_Y_Z", "v");
    expect_env(env, "MARATHON_APP_ENFORCE_GROUP_ROLE", "FALSE");
    expect_env(env, "HOST", "mine"); /* the app's own wins */
    expect_env(env, "FREE", "1");
    expect_env(env, "PORT", "31001");
    expect_env(env, "PORT0", "31001");
    expect_env(env, "PORT1", "31002");
    expect_env(env, "PORTS", "31001,31002");
    expect_env(env, "PORT_10007", "31001");
    expect_env(env, "PORT_31002", "31002");
    expect_env(env, "PORT_HTTP-API", "31001");
    expect_env(env, "PORT_HTTP_API", "31001");
    r.env_prefix = "FOO_";
    env = marathon_task_environment(&r, a);
    expect_env(env, "FOO_PORT0", "31001");
    expect_env(env, "FOO_HOST", "h1");
    expect_env(env, "PORT0", NULL);
    expect_env(env, "MARATHON_APP_ID", "/a/b");
    struct app *bare = must_parse("{\"id\":\"/t\",\"cmd\":\"sl\",\"ports\":[]}");
    r.app = bare;
    r.env_prefix = NULL;
    env = marathon_task_environment(&r, a);
    expect_env(env, "PORT", NULL);
    expect_env(env, "PORTS", NULL);
    expect_env(env, "MARATHON_APP_LABELS", "");
    (void)app_unref(bare);
    (void)app_unref(app);
    (void)arena_free(a);
}

static void test_task_info__message(void **state)
{
    (void)state;
    struct app *app = must_parse(
        "{\"id\":\"/a/b\",\"args\":[\"/bin/x\",\"y\"],\"user\":\"web\",\"portDefinitions\":[{\"port\":0,\"name\":\"p\","
        "\"protocol\":\"udp,tcp\",\"labels\":{\"VIP_0\":\"/"
        "x:80\"}}],\"healthChecks\":[{\"protocol\":\"HTTP\"},{\"protocol\":"
        "\"MESOS_HTTP\",\"path\":\"/"
        "ok\",\"delaySeconds\":2}],\"check\":{\"tcp\":{}},\"resourceLimits\":{\"mem\":\"unlimited\"},"
        "\"taskKillGracePeriodSeconds\":7,\"labels\":{\"l\":\"v\"},"
        "\"fetch\":[{\"uri\":\"http://h/"
        "x\",\"executable\":true}],\"container\":{\"type\":\"MESOS\",\"volumes\":[{\"containerPath\":"
        "\"d\",\"hostPath\":\"/srv\",\"mode\":\"RO\"}]}}");
    uint32_t ports[] = {31001};
    struct arena *a = arena_new(0);
    struct task_request r = {
        .app = app, .task_id = "t", .agent_id = "S1", .hostname = "h1", .ports = ports, .user = "other"};
    Mesos__V1__TaskInfo *t = marathon_task_info(&r, a);
    assert_string_equal(t->name, "b.a");
    assert_string_equal(t->task_id->value, "t");
    assert_string_equal(t->agent_id->value, "S1");
    assert_int_equal(t->command->shell, 0);
    assert_string_equal(t->command->value, "/bin/x");
    assert_int_equal(t->command->n_arguments, 2);
    assert_string_equal(t->command->user, "web");
    assert_true(t->command->uris[0]->executable && t->command->uris[0]->extract);
    assert_int_equal(t->discovery->ports->n_ports, 2);
    assert_string_equal(t->discovery->ports->ports[0]->protocol, "udp");
    assert_int_equal(t->discovery->ports->ports[1]->number, 31001);
    assert_string_equal(t->discovery->ports->ports[1]->labels->labels[0]->key, "VIP_0");
    assert_string_equal(t->health_check->http->path, "/ok");
    assert_int_equal(t->health_check->http->port, 31001);
    assert_true(t->health_check->delay_seconds == 2.0);
    assert_int_equal(t->kill_policy->grace_period->nanoseconds, 7000000000);
    assert_int_equal(t->check->tcp->port, 31001);
    assert_int_equal(t->n_limits, 1);
    assert_string_equal(t->limits[0]->key, "mem");
    assert_true(isinf(t->limits[0]->value->value));
    assert_string_equal(t->labels->labels[0]->value, "v");
    assert_string_equal(t->container->volumes[0]->host_path, "/srv");
    assert_int_equal(t->container->volumes[0]->mode, MESOS__V1__VOLUME__MODE__RO);
    (void)app_unref(app);
    (void)arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rolling__worked_examples),
        cmocka_unit_test(test_rolling__broken_old_instances_do_not_block),
        cmocka_unit_test(test_constraints__operators),
        cmocka_unit_test(test_constraints__group_by_with_a_number),
        cmocka_unit_test(test_constraints__is_compares_numbers_as_attributes_are_written),
        cmocka_unit_test(test_backoff__grows_and_is_forgotten),
        cmocka_unit_test(test_task_info__environment_of_an_app),
        cmocka_unit_test(test_task_info__message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
