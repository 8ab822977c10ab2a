/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frameworks/marathon/app.h"
#include "frameworks/marathon/selector.h"

static const struct app_context context = {.role = "*"};

/* Parses; on success *app, else the text of the first problem under path (NULL: none there). */
static bool parse(const char *text, const struct app *base, struct app **app, struct problems *p)
{
    struct err err;
    json_t *json = json_read(text, strlen(text), &err);
    if (json == NULL)
        fail_msg("%s: %s", text, err.text);
    problems_init(p);
    bool ok = app_from_json(json, base, NULL, &context, app, p);
    json_decref(json);
    return ok;
}

static struct app *must_parse(const char *text, const struct app *base)
{
    struct problems p;
    struct app *app = NULL;
    if (!parse(text, base, &app, &p)) {
        char *details = json_dumps(p.details, 0);
        fail_msg("%s: refused: %s", text, details);
    }
    problems_deinit(&p);
    return app;
}

static char *text_of(const struct app *app)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    app_write(app, false, &w);
    char *text = buf_steal_str(&b);
    buf_deinit(&b);
    return text;
}

static void expect_text(const struct app *app, const char *wanted)
{
    char *text = text_of(app);
    json_t *a = json_loads(text, 0, NULL), *b = json_loads(wanted, 0, NULL);
    assert_non_null(b);
    if (!json_equal(a, b))
        fail_msg("is:\n%s\nwanted:\n%s", text, wanted);
    json_decref(a);
    json_decref(b);
    free(text);
}

#define REST                                                                                                               \
    "\"disk\":0,\"gpus\":0,\"executor\":\"\",\"role\":\"*\",\"networks\":[{\"mode\":\"host\"}],\"requirePorts\":false,"    \
    "\"labels\":{},\"backoffSeconds\":1,\"backoffFactor\":1.15,\"maxLaunchDelaySeconds\":300,\"upgradeStrategy\":{"        \
    "\"minimumHealthCapacity\":1,\"maximumOverCapacity\":1},\"killSelection\":\"YOUNGEST_FIRST\",\"unreachableStrategy\":" \
    "{"                                                                                                                    \
    "\"inactiveAfterSeconds\":0,\"expungeAfterSeconds\":0}"

static void test_app__smallest_definition_gets_all_defaults(void **state)
{
    (void)state;
    struct app *app = must_parse("{\"id\":\"/t\",\"cmd\":\"sleep 10\"}", NULL);
    expect_text(app, "{\"id\":\"/t\",\"cmd\":\"sleep 10\",\"cpus\":1,\"mem\":128,\"instances\":1," REST
                     ",\"portDefinitions\":[{\"port\":0,\"name\":\"default\",\"protocol\":\"tcp\"}]}");
    (void)app_unref(app);
}

static void test_app__legacy_keys_become_canonical(void **state)
{
    (void)state;
    struct app *app = must_parse("{\"id\":\"a/../t/\",\"cmd\":\"sleep 10\",\"ports\":[0,8080],\"uris\":[\"http://h/a.tgz\","
                                 "\"http://h/b.sh\"],\"constraints\":[[\"hostname\",\"unique\"]],\"args\":null}",
                                 NULL);
    expect_text(app,
                "{\"id\":\"/t\",\"cmd\":\"sleep 10\",\"cpus\":1,\"mem\":128,\"instances\":1," REST
                ",\"portDefinitions\":[{\"port\":0,\"protocol\":\"tcp\"},{\"port\":8080,\"protocol\":\"tcp\"}],"
                "\"constraints\":[[\"hostname\",\"UNIQUE\"]],\"fetch\":[{\"uri\":\"http://h/a.tgz\",\"extract\":true,"
                "\"executable\":false,\"cache\":false},{\"uri\":\"http://h/b.sh\",\"extract\":false,\"executable\":false,"
                "\"cache\":false}]}");
    (void)app_unref(app);
}

static void test_app__update_replaces_whole_keys_and_null_clears_nothing(void **state)
{
    (void)state;
    struct app *base =
        must_parse("{\"id\":\"/t\",\"cmd\":\"sleep 10\",\"env\":{\"A\":\"1\",\"B\":\"2\"},\"user\":\"nobody\","
                   "\"portDefinitions\":[]}",
                   NULL);
    struct app *app = must_parse("{\"env\":{\"C\":\"3\"},\"user\":null,\"instances\":4}", base);
    expect_text(app, "{\"id\":\"/t\",\"cmd\":\"sleep 10\",\"cpus\":1,\"mem\":128,\"instances\":4," REST
                     ",\"portDefinitions\":[],\"env\":{\"C\":\"3\"},\"user\":\"nobody\"}");
    assert_true(app_needs_restart(base, app));
    struct app *scaled = must_parse("{\"instances\":9}", base);
    assert_false(app_needs_restart(base, scaled));
    struct app *args = must_parse("{\"args\":[\"a\",\"b\"]}", base);
    assert_null(args->cmd);
    (void)app_unref(args);
    (void)app_unref(scaled);
    (void)app_unref(app);
    (void)app_unref(base);
}

static void test_app__order_of_labels_is_no_change(void **state)
{
    (void)state;
    struct app *a = must_parse("{\"id\":\"/t\",\"cmd\":\"sl\",\"labels\":{\"a\":\"1\",\"b\":\"2\"}}", NULL);
    struct app *b = must_parse("{\"id\":\"/t\",\"cmd\":\"sl\",\"labels\":{\"b\":\"2\",\"a\":\"1\"}}", NULL);
    assert_false(app_needs_restart(a, b));
    (void)app_unref(a);
    (void)app_unref(b);
}

static void test_app__stored_text_reads_back_the_same(void **state)
{
    (void)state;
    struct app *app = must_parse(
        "{\"id\":\"/t\",\"args\":[\"/bin/x\",\"y\"],\"healthChecks\":[{\"protocol\":\"TCP\",\"portIndex\":0},{\"protocol\":"
        "\"COMMAND\",\"command\":{\"value\":\"true\"}}],\"check\":{\"http\":{\"path\":\"/"
        "c\"}},\"resourceLimits\":{\"cpus\":2.5,\"mem\":"
        "\"unlimited\"},\"readinessChecks\":[{\"portName\":\"http\"}],\"portDefinitions\":["
        "{"
        "\"name\":\"http\",\"port\":0,\"labels\":{\"VIP_0\":\"/x:80\"}}],\"container\":{\"type\":\"MESOS\",\"volumes\":[{"
        "\"containerPath\":\"d\",\"hostPath\":\"/srv\",\"mode\":\"RO\"}]},\"unreachableStrategy\":\"disabled\","
        "\"taskKillGracePeriodSeconds\":5,\"dependencies\":[\"/"
        "db\",\"q\"],\"acceptedResourceRoles\":[\"*\"],\"fetch\":[{\"uri\":"
        "\"http://h/"
        "x\",\"destPath\":\"y\"}],\"killSelection\":\"oldest_first\",\"constraints\":[[\"rack\",\"LIKE\",\"r[0-9]+\"]]}",
        NULL);
    app->version_ms = 1700000000123;
    app->last_scaling_ms = 1700000000122;
    app->last_config_change_ms = 1700000000121;
    struct buf b;
    struct json_writer w;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    app_write(app, true, &w);
    struct app *back = app_from_stored(buf_data(&b), buf_len(&b), &context);
    assert_non_null(back);
    assert_int_equal(back->version_ms, app->version_ms);
    assert_int_equal(back->last_scaling_ms, app->last_scaling_ms);
    assert_int_equal(back->last_config_change_ms, app->last_config_change_ms);
    assert_false(app_needs_restart(app, back));
    struct app *copy = app_copy(app, &context);
    assert_false(app_needs_restart(app, copy));
    (void)app_unref(copy);
    (void)app_unref(back);
    (void)app_unref(app);
    buf_deinit(&b);
}

struct refusal {
    const char *text;
    const char *path;
    const char *part; /* of the message */
};

static void expect_refused(const struct refusal *r, bool is_schema)
{
    struct problems p;
    struct app *app = NULL;
    if (parse(r->text, NULL, &app, &p))
        fail_msg("%s: accepted", r->text);
    const char *message = problems_find(&p, r->path);
    if (message == NULL || strstr(message, r->part) == NULL || p.is_schema != is_schema) {
        char *details = json_dumps(p.details, 0);
        fail_msg("%s: %s", r->text, details);
    }
    problems_deinit(&p);
}

#define APP(rest) "{\"id\":\"/t\",\"cmd\":\"sleep 1\"," rest "}"

static void test_app__wrong_types_are_refused_by_path(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"[]", "/", "jsobject"},
        {"{\"cmd\":\"x\"}", "/id", "error.path.missing"},
        {"{\"id\":5,\"cmd\":\"x\"}", "/id", "jsstring"},
        {"{\"id\":null,\"cmd\":\"x\"}", "/id", "error.path.missing"},
        {APP("\"cpus\":\"1\""), "/cpus", "jsnumber"},
        {APP("\"mem\":-1"), "/mem", "error.min"},
        {APP("\"instances\":1.5"), "/instances", "expected.int"},
        {APP("\"instances\":-1"), "/instances", "error.min"},
        {APP("\"instances\":1e300"), "/instances", "error.max"},
        {APP("\"env\":{\"A\":1}"), "/env/A", "jsstring"},
        {APP("\"env\":[]"), "/env", "jsobject"},
        {APP("\"labels\":{\"a\":{}}"), "/labels/a", "jsstring"},
        {APP("\"args\":\"x\""), "/args", "jsarray"},
        {APP("\"requirePorts\":1"), "/requirePorts", "jsboolean"},
        {APP("\"ports\":[70000]"), "/ports(0)", "error.max"},
        {APP("\"killSelection\":\"RANDOM\""), "/killSelection", "enum"},
        {APP("\"upgradeStrategy\":{\"minimumHealthCapacity\":2,\"maximumOverCapacity\":0}"),
         "/upgradeStrategy/minimumHealthCapacity", "error.max"},
        {APP("\"upgradeStrategy\":{\"minimumHealthCapacity\":1}"), "/upgradeStrategy/maximumOverCapacity", "missing"},
        {APP("\"unreachableStrategy\":\"never\""), "/unreachableStrategy", "enum"},
        {APP("\"healthChecks\":[{\"protocol\":\"FTP\"}]"), "/healthChecks(0)/protocol", "enum"},
        {APP("\"healthChecks\":[{\"intervalSeconds\":\"1\"}]"), "/healthChecks(0)/intervalSeconds", "jsnumber"},
        {APP("\"backoffFactor\":0.5"), "/backoffFactor", "error.min"},
        {APP("\"container\":{\"type\":\"RKT\"}"), "/container/type", "enum"},
        {APP("\"fetch\":[{}]"), "/fetch(0)/uri", "missing"},
        {APP("\"constraints\":[\"hostname\"]"), "/constraints(0)", "jsarray"},
    };
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++)
        expect_refused(&cases[k], true);
}

static void test_app__broken_rules_are_refused_by_path(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"{\"id\":\"/t\"}", "/", "must either contain one of"},
        {APP("\"args\":[\"a\"]"), "/", "must either contain one of"},
        {"{\"id\":\"/T\",\"cmd\":\"x\"}", "/id", "regular expression"},
        {"{\"id\":\"/a_b\",\"cmd\":\"x\"}", "/id", "regular expression"},
        {"{\"id\":\"/a/tasks\",\"cmd\":\"x\"}", "/id", "reserved"},
        {"{\"id\":\"/\",\"cmd\":\"x\"}", "/id", "root"},
        {APP("\"cpus\":0"), "/cpus", "0.001"},
        {APP("\"constraints\":[[\"hostname\",\"NEAR\"]]"), "/constraints(0)", "operator must be one of"},
        {APP("\"constraints\":[[\"hostname\"]]"), "/constraints(0)", "2 or 3 fields"},
        {APP("\"constraints\":[[\"hostname\",\"UNIQUE\",\"x\"]]"), "/constraints(0)", "UNIQUE does not accept a value"},
        {APP("\"constraints\":[[\"rack\",\"GROUP_BY\",\"x\"]]"), "/constraints(0)", "GROUP BY must define"},
        {APP("\"constraints\":[[\"rack\",\"MAX_PER\"]]"), "/constraints(0)", "MAX_PER requires"},
        {APP("\"constraints\":[[\"rack\",\"LIKE\"]]"), "/constraints(0)", "LIKE and UNLIKE require"},
        {APP("\"constraints\":[[\"rack\",\"LIKE\",\"(a\"]]"), "/constraints(0)", "is not a valid regular expression"},
        {APP("\"constraints\":[[\"rack\",\"IS\",\"a b\"]]"), "/constraints(0)", "IS only supports"},
        {APP("\"portDefinitions\":[{\"port\":80},{\"port\":80}]"), "/portDefinitions", "Ports must be unique."},
        {APP("\"portDefinitions\":[{\"name\":\"a\"},{\"name\":\"a\"}]"), "/portDefinitions", "Port names must be unique."},
        {APP("\"portDefinitions\":[{\"name\":\"A\"}]"), "/portDefinitions(0)/name", "regular expression"},
        {APP("\"ports\":[1],\"portDefinitions\":[{\"port\":2}]"), "/ports", "both ports and port definitions"},
        {APP("\"uris\":[\"u\"],\"fetch\":[{\"uri\":\"v\"}]"), "/uris", "may not be set in conjunction"},
        {APP("\"healthChecks\":[{\"portIndex\":1}]"), "/healthChecks(0)/portIndex", "must address an element"},
        {APP("\"healthChecks\":[{\"protocol\":\"COMMAND\"}]"), "/healthChecks(0)/command", "must be given"},
        {APP("\"healthChecks\":[{\"protocol\":\"MESOS_TCP\"},{\"protocol\":\"MESOS_HTTP\"}]"), "/healthChecks",
         "at most one Mesos health check"},
        {APP("\"unreachableStrategy\":{\"inactiveAfterSeconds\":5,\"expungeAfterSeconds\":1}"),
         "/unreachableStrategy/inactiveAfterSeconds", "less than or equal"},
        {APP("\"acceptedResourceRoles\":[\"x\"]"), "/acceptedResourceRoles", "can only contain"},
        {APP("\"acceptedResourceRoles\":[]"), "/acceptedResourceRoles", "must not be empty"},
        {APP("\"role\":\"x\""), "/role", "not supported yet"},
        {APP("\"dependencies\":[\"/t\"]"), "/dependencies", "cyclic"},
        {APP("\"check\":{}"), "/check", "exactly one of"},
        {APP("\"check\":{\"tcp\":{},\"http\":{}}"), "/check", "exactly one of"},
        {APP("\"check\":{\"tcp\":{\"portIndex\":1}}"), "/check/tcp", "must address an element"},
        {APP("\"check\":{\"exec\":{\"command\":{}}}"), "/check/exec/command", "either shell or argv"},
        {APP("\"resourceLimits\":{\"cpus\":0.5}"), "/resourceLimits/cpus", "must be at least"},
        {APP("\"healthChecks\":[{\"path\":\"/a b\"}]"), "/healthChecks(0)/path", "must not contain spaces"},
        {APP("\"healthChecks\":[{\"port\":0}]"), "/healthChecks(0)/portIndex", "must not be 0"},
        {APP("\"instances\":2,\"labels\":{\"MARATHON_SINGLE_INSTANCE_APP\":\"true\"}"), "/instances", "Single instance"},
        {APP("\"readinessChecks\":[{}]"), "/readinessChecks(0)/portName", "No port definition reference"},
        {APP("\"readinessChecks\":[{\"portName\":\"default\",\"timeoutSeconds\":30}]"),
         "/readinessChecks(0)/timeoutSeconds", "less than"},
    };
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++)
        expect_refused(&cases[k], false);
}

static void test_app__what_is_not_built_is_refused_by_name(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {APP("\"gpus\":1"), "/gpus", "not supported yet"},
        {APP("\"tty\":true"), "/tty", "not supported yet"},
        {APP("\"executor\":\"/x/y\""), "/executor", "not supported yet"},
        {APP("\"secrets\":{\"a\":{\"source\":\"b\"}}"), "/secrets", "not supported yet"},
        {APP("\"env\":{\"A\":{\"secret\":\"b\"}}"), "/env/A", "not supported yet"},
        {APP("\"container\":{\"docker\":{\"image\":\"x\"}}"), "/container/docker/image", "not supported yet"},
        {APP("\"container\":{\"type\":\"MESOS\",\"docker\":{\"image\":\"x\"}}"), "/container/docker/image",
         "not supported"},
        {APP("\"container\":{}"), "/container/docker", "not defined"},
        {APP("\"container\":{\"type\":\"MESOS\",\"linuxInfo\":{}}"), "/container/linuxInfo", "not supported yet"},
        {APP("\"container\":{\"type\":\"MESOS\",\"volumes\":[{\"containerPath\":\"d\",\"mode\":\"RW\",\"persistent\":{}}]"
             "}"),
         "/container/volumes(0)/persistent", "not supported yet"},
        {APP("\"networks\":[{\"mode\":\"container/bridge\"}]"), "/networks(0)", "not supported yet"},
        {APP("\"networks\":[{}]"), "/networks(0)", "not supported yet"},
        {APP("\"ipAddress\":{\"networkName\":\"x\"}"), "/ipAddress", "not supported yet"},
        {APP("\"residency\":{\"taskLostBehavior\":\"WAIT_FOREVER\"}"), "/residency", "not supported yet"},
        {APP("\"executorResources\":{\"cpus\":2}"), "/executorResources", "not supported yet"},
        {APP("\"check\":{\"http\":{\"scheme\":\"https\"}}"), "/check/http/scheme", "not supported yet"},
        {APP("\"healthChecks\":[{\"protocol\":\"MESOS_HTTPS\"}]"), "/healthChecks(0)/protocol", "not supported yet"},
        {APP("\"healthChecks\":[{\"ipProtocol\":\"IPv6\"}]"), "/healthChecks(0)/ipProtocol", "not supported"},
        {APP("\"healthChecks\":[{\"protocol\":\"HTTPS\"}]"), "/healthChecks(0)/protocol", "not supported yet"},
    };
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++)
        expect_refused(&cases[k], false);
}

static void test_app__published_examples(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        const char *path; /* of the refusal, NULL: accepted */
    } cases[] = {
        {"examples/Play.json", NULL},
        {"examples/PythonSimpleHTTPServer.json", NULL},
        {"examples/Rails.json", NULL},
        {"examples/Tomcat.json", NULL},
        {"examples/labels.json", NULL},
        {"examples/Tomcat-Docker.json", "/container/docker/image"},
        {"examples/bridge.json", "/container/docker/image"},
        {"examples/Group-1.json", "/groups"}, /* a group is no app */
        {"examples/Group-2.json", "/groups"},
        {"rest-api/app.json", "/secrets"},
        {"rest-api/app_patch.json", "/"},
        {"rest-api/app-check-http-example.json", NULL},
        {"rest-api/apps_create.json", "/"},
        {"rest-api/apps_patch.json", "/"},
        {"rest-api/app_list.json", "/id"},
        {"rest-api/app_task.json", "/id"},
        {"rest-api/app_tasks.json", "/id"},
        {"rest-api/deployment_steps.json", "/id"},
        {"rest-api/deployments.json", "/"},
        {"rest-api/deployments_result.json", "/id"},
        {"rest-api/group.json", "/id"},
        {"rest-api/info.json", "/id"},
        {"rest-api/pod.json", NULL}, /* checked below */
        {"rest-api/queue.json", "/id"},
        {"rest-api/tasks.json", "/id"},
    };
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        char path[512];
        (void)snprintf(path, sizeof(path), TEST_SOURCE_DIR "/tests/unit/marathon/data/%s", cases[k].file);
        json_error_t error;
        json_t *json = json_load_file(path, 0, &error);
        if (json == NULL)
            fail_msg("%s: %s", path, error.text);
        struct problems p;
        struct app *app = NULL;
        problems_init(&p);
        bool ok = app_from_json(json, NULL, NULL, &context, &app, &p);
        char *details = p.details ? json_dumps(p.details, 0) : strdup("");
        if (strcmp(cases[k].file, "rest-api/pod.json") == 0)
            assert_false(ok);
        else if (ok != (cases[k].path == NULL))
            fail_msg("%s: %s %s", cases[k].file, ok ? "accepted" : "refused", details);
        else if (cases[k].path && problems_find(&p, cases[k].path) == NULL)
            fail_msg("%s: %s", cases[k].file, details);
        free(details);
        (void)app_unref(app);
        problems_deinit(&p);
        json_decref(json);
    }
}

static bool is_even(void *ctx, int port)
{
    (void)ctx;
    return port % 2 == 0;
}

static void test_app__service_ports_are_kept_then_lowest_free(void **state)
{
    (void)state;
    struct app *old = must_parse(APP("\"ports\":[10100,10200,9]"), NULL);
    struct app *app = must_parse(APP("\"ports\":[0,10100,0,0]"), NULL);
    assert_true(app_assign_ports(app, old, 10000, 20000, is_even, NULL));
    assert_int_equal(app->ports[0].number, 10200); /* 10100 is named again, 9 is out of range */
    assert_int_equal(app->ports[2].number, 10001);
    assert_int_equal(app->ports[3].number, 10003);
    struct app *many = must_parse(APP("\"ports\":[0,0]"), NULL);
    assert_false(app_assign_ports(many, NULL, 10001, 10002, is_even, NULL));
    (void)app_unref(many);
    (void)app_unref(app);
    (void)app_unref(old);
}

static void test_app_id__forms(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *base, *wanted;
    } cases[] = {
        {"/a/b", "/", "/a/b"},   {"a", "/", "/a"},        {"//a//b/", "/", "/a/b"}, {"../x", "/g/h", "/g/x"},
        {"./x", "/g", "/g/x"},   {"/a/../b", "/", "/b"},  {"", "/", "/"},           {"/../..", "/", "/"},
        {"b", "/g/h", "/g/h/b"}, {"/a/./b", "/", "/a/b"},
    };
    char out[APP_ID_SIZE];
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        assert_true(app_id_resolve(cases[k].raw, cases[k].base, out));
        assert_string_equal(out, cases[k].wanted);
    }
    static const char *const good[] = {"/a", "/a-b.c/0", "/x/y.z", "/9"};
    static const char *const bad[] = {"/a_b", "/A", "/-a", "/a-", "/a..b", "/.a", "/a.", "/a b", "/a/restart", "/\xc3\xa9"};
    for (size_t k = 0; k < sizeof(good) / sizeof(good[0]); k++)
        assert_null(app_id_problem(good[k]));
    for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
        assert_non_null(app_id_problem(bad[k]));
    char longest[300];
    memset(longest, 'a', sizeof(longest));
    longest[0] = '/';
    longest[APP_ID_MAX] = '\0';
    assert_true(app_id_resolve(longest, "/", out));
    longest[APP_ID_MAX] = 'a';
    longest[APP_ID_MAX + 1] = '\0';
    assert_false(app_id_resolve(longest, "/", out));
    app_id_to_safe("/a/b-c/d", out);
    assert_string_equal(out, "a_b-c_d");
    app_id_to_name("/a/b-c/d", out);
    assert_string_equal(out, "d.b-c.a");
    app_id_to_name("/a", out);
    assert_string_equal(out, "a");
}

static void test_selector__operators(void **state)
{
    (void)state;
    struct app *app = must_parse(APP("\"labels\":{\"env\":\"prod\",\"tier\":\"web\",\"odd key\":\"x\"}"), NULL);
    static const struct {
        const char *text;
        bool matches;
    } cases[] = {
        {"env", true},
        {"none", false},
        {"env==prod", true},
        {"env==test", false},
        {"env!=test", true},
        {"env!=prod", false},
        {"none!=x", false},
        {"env in (a, prod)", true},
        {"env in (a)", false},
        {"env notin (a)", true},
        {"env notin (prod)", false},
        {"none notin (a)", false},
        {"env==prod,tier", true},
        {"env==prod,tier==x", false},
        {"odd\\ key==x", true},
    };
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        assert_true(selector_is_valid(cases[k].text));
        if (selector_matches(cases[k].text, &app->labels) != cases[k].matches)
            fail_msg("%s", cases[k].text);
    }
    static const char *const bad[] = {"",        ",",   "a=b",  "a==", "a in b", "a in (",
                                      "a in (b", "a b", "a,,b", "==x", "a in ()"};
    for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
        if (selector_is_valid(bad[k]))
            fail_msg("%s", bad[k]);
    }
    (void)app_unref(app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_app__smallest_definition_gets_all_defaults),
        cmocka_unit_test(test_app__legacy_keys_become_canonical),
        cmocka_unit_test(test_app__update_replaces_whole_keys_and_null_clears_nothing),
        cmocka_unit_test(test_app__order_of_labels_is_no_change),
        cmocka_unit_test(test_app__stored_text_reads_back_the_same),
        cmocka_unit_test(test_app__wrong_types_are_refused_by_path),
        cmocka_unit_test(test_app__broken_rules_are_refused_by_path),
        cmocka_unit_test(test_app__what_is_not_built_is_refused_by_name),
        cmocka_unit_test(test_app__published_examples),
        cmocka_unit_test(test_app__service_ports_are_kept_then_lowest_free),
        cmocka_unit_test(test_app_id__forms),
        cmocka_unit_test(test_selector__operators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
