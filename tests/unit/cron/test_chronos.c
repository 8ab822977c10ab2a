/* SPDX-License-Identifier: Apache-2.0
 * test_chronos.c - Chronos's API at the core: requests and what they are answered (facts: net-cron E). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "frameworks/cron/chronos_core.h"
#include "frameworks/cron/cron.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW_MS INT64_C(1774742400000) /* 2026-03-29T00:00:00Z */
#define TOKENS_MAX 64

struct world {
    struct zones *zones;
    struct cron *c;
    int64_t now_ms, wall_ms;
    request_id last_request;
    int status; /* of the last reply, 0: none */
    char *body;
};

static void feed(struct world *w, struct kit_event *in);

/* Everything that is stored is durable at once; nobody offers anything. */
static void handle(struct world *w, const struct kit_effects *out)
{
    uint64_t tokens[TOKENS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < out->count; i++) {
        const struct kit_effect *e = &out->items[i];
        if (e->type == KIT_EFFECT_STORE) {
            CHECK(count < TOKENS_MAX);
            tokens[count++] = e->store.token;
        } else if (e->type == KIT_EFFECT_REPLY) {
            free(w->body);
            w->status = e->reply.status;
            w->body = xstrndup(e->reply.body != NULL ? e->reply.body : "", e->reply.body_len);
        } else if (e->type == KIT_EFFECT_FATAL) {
            fail_msg("%s", e->text);
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct kit_event in = {.type = KIT_EVENT_STORE_DONE, .store_done = {.token = tokens[i]}};
        feed(w, &in);
    }
}

static void feed(struct world *w, struct kit_event *in)
{
    struct kit_effects out;
    in->now_ms = w->now_ms;
    in->wall_ms = w->wall_ms;
    assert_int_equal(cron_step(w->c, in, &out), 0);
    cron_check_invariants(w->c);
    handle(w, &out);
}

static void pass(struct world *w, int64_t ms)
{
    struct kit_event in = {.type = KIT_EVENT_TICK};
    w->now_ms += ms;
    w->wall_ms += ms;
    feed(w, &in);
}

static int setup_with(void **state, bool is_compat)
{
    struct world *w = xcalloc(1, sizeof(*w));
    w->zones = zones_new(zone_read_system, NULL);
    struct cron_config config = {.zones = w->zones, .seed = 7, .user = "root", .chronos_compat = is_compat};
    w->c = cron_new(&config);
    w->now_ms = 1000;
    w->wall_ms = NOW_MS;
    struct kit_event in = {.type = KIT_EVENT_STARTED};
    feed(w, &in);
    *state = w;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, false);
}

static int setup_compat(void **state)
{
    return setup_with(state, true);
}

static int teardown(void **state)
{
    struct world *w = *state;
    cron_free(w->c);
    zones_free(w->zones);
    free(w->body);
    free(w);
    return 0;
}

static int ask(struct world *w, struct chronos_request q, const char *body)
{
    struct err err = {""};
    json_t *json = body != NULL ? json_read(body, strlen(body), &err) : NULL;
    assert_true(body == NULL || json != NULL);
    q.body = json;
    struct cron_request r = {.id = ++w->last_request, .type = CRON_CHRONOS, .chronos = &q};
    struct kit_event in = {.type = KIT_EVENT_REQUEST, .request = &r};
    w->status = 0;
    feed(w, &in);
    json_decref(json);
    return w->status;
}

static int put(struct world *w, const char *body)
{
    bool is_dependent = strstr(body, "\"parents\"") != NULL;
    return ask(w, (struct chronos_request){.type = CHRONOS_PUT_JOB, .is_dependent = is_dependent}, body);
}

static int get(struct world *w, const char *name)
{
    return ask(w, (struct chronos_request){.type = CHRONOS_GET_JOB, .name = name}, NULL);
}

/* A member of the last body as text. */
static const char *member(struct world *w, const char *key)
{
    static char text[512];
    json_t *json = json_read(w->body, strlen(w->body), NULL);
    const json_t *v = json_object_get(json, key);
    char *dumped = v != NULL ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT) : xstrdup("absent");
    (void)snprintf(text, sizeof(text), "%s", dumped);
    free(dumped);
    json_decref(json);
    return text;
}

static void test_put__answers(void **state)
{
    static const struct {
        const char *body;
        int status;
        const char *says; /* in the message */
    } table[] = {
        {"{'name':'a','command':'x','schedule':'R/2090-01-01T00:00:00Z/P1D'}", 204, NULL},
        {"{'name':'A_b.c-d','command':'x','schedule':'R1//P'}", 204, NULL},
        {"{'name':'a b','command':'x'}", 400, "the job's name is invalid"},
        {"{'name':7,'command':'x'}", 400, "name"},
        {"{'command':'x'}", 400, "name"},
        {"{'name':'a'}", 400, "command"},
        {"{'name':'a','command':''}", 400, "command"},
        {"{'name':'a','command':'x','schedule':'FOO'}", 400, "FOO"},
        {"{'name':'n','command':'x','schedule':'R/1969-01-01/P1D'}", 400, "1970"},
        {"{'name':'a','command':'x','schedule':'R/1969-01-01/P1D'}", 204, NULL}, /* an update is not checked for that */
        {"{'name':'a','command':'x','scheduleTimeZone':'Mars'}", 400, "Mars"},
        {"{'name':'a','command':'x','cpus':-1}", 400, "cpus"},
        {"{'name':'a','command':'x','mem':'much'}", 400, "mem"},
        {"{'name':'a','command':'x','retries':1.5}", 400, "retries"},
        {"{'name':'a','command':'x','shell':'perhaps'}", 400, "shell"},
        {"{'name':'a','command':'x','arguments':'b'}", 400, "arguments"},
        {"{'name':'a','command':'x','arguments':[1]}", 400, "arguments"},
        {"{'name':'a','command':'x','environmentVariables':[{'name':'A'}]}", 400, "environmentVariables"},
        {"{'name':'a','command':'x','constraints':[['a','EQUALS']]}", 400, "constraint"},
        {"{'name':'a','command':'x','constraints':[['a','LIKE','(']]}", 400, "constraints"},
        {"{'name':'a','command':'x','container':{'type':'MESOS','volumes':[{'hostPath':'/a','containerPath':'b'}]}}", 400,
         "absolute"},
        {"{'name':'a','command':'x','fetch':[{}]}", 400, "fetch"},
        {"{'name':'a','command':'x','fetch':[{'uri':'b'}],'uris':['c']}", 400, "both uri"},
        {"{'name':'a','command':'x','fetch':[{'uri':'b'}],'uris':['b']}", 204, NULL},
        {"{'name':'a','command':'x','container':{'image':'busybox'}}", 400, "images are not supported"},
        {"{'name':'a','command':'x','container':{'type':'MESOS','network':'BRIDGE'}}", 400, "network"},
        {"{'name':'a','command':'x','container':{'type':'MESOS','volumes':[{'containerPath':'b'}]}}", 400, "volume"},
        {"{'name':'a','command':'x','executor':'e'}", 400, "executor"},
        {"{'name':'a','command':'x','nothing':{'we':['know']}}", 204, NULL},
        {"{'name':'p','command':'x','parents':['nobody']}", 400, "parent does not exist"},
        {"{'name':'p','command':'x','parents':[]}", 400, "parent does not exist"},
        {"{'name':'p','command':'x','parents':['a','a'],'schedule':'ignored'}", 204, NULL},
        {"{'name':'q','command':'x','parents':['p']}", 204, NULL},
        {"{'name':'p','command':'x','parents':['q']}", 500, "ycle"},
        {"{'name':'p','command':'x','parents':['p']}", 500, "ycle"},
        {"[]", 400, "object"},
    };
    struct world *w = *state;
    for (size_t i = 0; i < COUNT(table); i++) {
        char *body = xstrdup(table[i].body);
        for (char *p = body; *p != '\0'; p++)
            *p = *p == '\'' ? '"' : *p;
        int status = put(w, body);
        if (status != table[i].status || (table[i].says != NULL && strstr(w->body, table[i].says) == NULL) ||
            (table[i].says == NULL && w->body[0] != '\0'))
            fail_msg("%s: %d %s", table[i].body, status, w->body);
        free(body);
    }
}

static void test_unknown_jobs__are_400(void **state)
{
    static const enum chronos_request_type types[] = {CHRONOS_GET_JOB,  CHRONOS_RUN_JOB, CHRONOS_DELETE_JOB,
                                                      CHRONOS_JOB_STAT, CHRONOS_MARK,    CHRONOS_PROGRESS,
                                                      CHRONOS_KILL_JOB};
    struct world *w = *state;
    for (size_t i = 0; i < COUNT(types); i++) {
        assert_int_equal(ask(w, (struct chronos_request){.type = types[i], .name = "x", .task_id = "t"}, NULL), 400);
        assert_string_equal(w->body, "{\"status\":\"Bad Request\",\"message\":\"Job 'x' not found\"}");
    }
}

/* The schedule is shown from the next moment on; what was shown or posted before keeps the progress and the month's end. */
static void test_schedule__is_rewritten_and_may_be_posted_back(void **state)
{
    struct world *w = *state;
    const char *first = "{\"name\":\"m\",\"command\":\"x\",\"schedule\":\"R5/2026-03-31T00:00:00Z/P1M\"}";
    assert_int_equal(put(w, first), 204);
    get(w, "m");
    assert_string_equal(member(w, "schedule"), "\"R5/2026-03-31T00:00:00.000Z/P1M\"");
    pass(w, 2 * INT64_C(86400000) + 1000);
    get(w, "m");
    assert_string_equal(member(w, "schedule"), "\"R4/2026-04-30T00:00:00.000Z/P1M\"");
    assert_int_equal(put(w, "{\"name\":\"m\",\"command\":\"y\",\"schedule\":\"R4/2026-04-30T00:00:00.000Z/P1M\"}"), 204);
    get(w, "m");
    assert_string_equal(member(w, "schedule"), "\"R4/2026-04-30T00:00:00.000Z/P1M\"");
    assert_string_equal(member(w, "command"), "\"y\"");
    assert_int_equal(put(w, first), 204);
    get(w, "m");
    assert_string_equal(member(w, "schedule"), "\"R4/2026-04-30T00:00:00.000Z/P1M\"");
    struct entry *e = cron_entry_find(w->c, "m");
    assert_int_equal(schedule_next(e->job->schedule, e->decided_ms + INT64_C(31) * 86400000),
                     NOW_MS + INT64_C(63) * 86400000);
    assert_int_equal(put(w, "{\"name\":\"m\",\"command\":\"y\",\"schedule\":\"R9/2026-04-30T00:00:00.000Z/P1M\"}"), 204);
    get(w, "m");
    assert_string_equal(member(w, "schedule"), "\"R9/2026-04-30T00:00:00.000Z/P1M\"");
}

/* As Chronos does it: only the new start is kept. */
static void test_compat__month_ends_drift(void **state)
{
    struct world *w = *state;
    assert_int_equal(put(w, "{\"name\":\"m\",\"command\":\"x\",\"concurrent\":true,"
                            "\"schedule\":\"R5/2026-03-31T00:00:00Z/P1M\"}"),
                     204);
    pass(w, 2 * INT64_C(86400000) + 1000);
    get(w, "m");
    assert_string_equal(member(w, "schedule"), "\"R4/2026-04-30T00:00:00.000Z/P1M\"");
    pass(w, 30 * INT64_C(86400000));
    get(w, "m");
    assert_string_equal(member(w, "schedule"), "\"R3/2026-05-30T00:00:00.000Z/P1M\"");
}

static void test_missed__is_one_run_and_one_less(void **state)
{
    struct world *w = *state;
    assert_int_equal(put(w, "{\"name\":\"l\",\"command\":\"x\",\"schedule\":\"R3/2026-03-28T21:30:00Z/PT1H\"}"), 204);
    pass(w, 1000);
    get(w, "l");
    assert_string_equal(member(w, "schedule"), "\"R2/2026-03-29T00:30:00.000Z/PT1H\"");
    assert_int_equal(cron_entry_find(w->c, "l")->run_count, 1);
    /* Version 2 skips what is later than epsilon. */
    const char *late =
        "{\"name\":\"s\",\"command\":\"x\",\"schedule\":\"R3/2026-03-28T21:30:00Z/PT1H\",\"epsilon\":\"PT5M\"}";
    assert_int_equal(ask(w, (struct chronos_request){.type = CHRONOS_PUT_JOB, .is_version_2 = true}, late), 204);
    pass(w, 1000);
    assert_int_equal(cron_entry_find(w->c, "s")->run_count, 0);
    assert_int_equal(ask(w, (struct chronos_request){.type = CHRONOS_GET_JOB, .name = "s", .is_version_2 = true}, NULL),
                     200);
    assert_string_equal(member(w, "epsilon"), "\"PT5M\"");
}

static void test_counts__come_along_with_a_new_job_only(void **state)
{
    struct world *w = *state;
    const char *body =
        "{\"name\":\"c\",\"command\":\"x\",\"schedule\":\"R/2090-01-01/P1D\",\"successCount\":7,\"errorCount\":3,"
        "\"lastSuccess\":\"2026-01-02T03:04:05.000Z\",\"lastError\":\"2026-01-01T00:00:00.000Z\"}";
    assert_int_equal(put(w, body), 204);
    get(w, "c");
    assert_string_equal(member(w, "successCount"), "7");
    assert_string_equal(member(w, "lastSuccess"), "\"2026-01-02T03:04:05.000Z\"");
    assert_int_equal(put(w, "{\"name\":\"c\",\"command\":\"x\",\"schedule\":\"R/2090-01-01/P1D\",\"successCount\":70}"),
                     204);
    get(w, "c");
    assert_string_equal(member(w, "successCount"), "7");
    assert_string_equal(member(w, "errorCount"), "3");
}

static void test_delete__gives_children_a_schedule_or_parents(void **state)
{
    struct world *w = *state;
    assert_int_equal(put(w, "{\"name\":\"a\",\"command\":\"x\",\"schedule\":\"R7/2090-02-03T00:00:00Z/P2D\"}"), 204);
    assert_int_equal(put(w, "{\"name\":\"b\",\"command\":\"x\",\"parents\":[\"a\"]}"), 204);
    assert_int_equal(put(w, "{\"name\":\"c\",\"command\":\"x\",\"parents\":[\"b\",\"a\"],\"description\":\"kept\"}"), 204);
    assert_int_equal(ask(w, (struct chronos_request){.type = CHRONOS_DELETE_JOB, .name = "b"}, NULL), 204);
    get(w, "c");
    assert_string_equal(member(w, "parents"), "[\"a\"]");
    assert_int_equal(ask(w, (struct chronos_request){.type = CHRONOS_DELETE_JOB, .name = "a"}, NULL), 204);
    get(w, "c");
    assert_string_equal(member(w, "parents"), "absent");
    assert_string_equal(member(w, "schedule"), "\"R7/2090-02-03T00:00:00.000Z/P2D\"");
    assert_string_equal(member(w, "description"), "\"kept\"");
    assert_int_equal(get(w, "a"), 400);
}

static void test_marked__starts_children(void **state)
{
    struct world *w = *state;
    assert_int_equal(put(w, "{\"name\":\"a\",\"command\":\"x\",\"schedule\":\"R/2090-02-03T00:00:00Z/P2D\"}"), 204);
    assert_int_equal(put(w, "{\"name\":\"b\",\"command\":\"x\",\"parents\":[\"a\"]}"), 204);
    assert_int_equal(ask(w, (struct chronos_request){.type = CHRONOS_MARK, .name = "a"}, NULL), 200);
    assert_string_equal(w->body, "marked job a as successful: true");
    assert_int_equal(cron_entry_find(w->c, "b")->run_count, 1);
    get(w, "a");
    assert_string_equal(member(w, "successCount"), "1");
    assert_string_equal(member(w, "lastSuccess"), "\"2026-03-29T00:00:00.000Z\"");
}

static void test_run_by_hand__not_beside_another(void **state)
{
    struct world *w = *state;
    struct chronos_request run = {.type = CHRONOS_RUN_JOB, .name = "a", .arguments = "-v"};
    assert_int_equal(put(w, "{\"name\":\"a\",\"command\":\"x\",\"schedule\":\"R/2090-02-03T00:00:00Z/P2D\"}"), 204);
    assert_int_equal(ask(w, run, NULL), 204);
    assert_int_equal(ask(w, run, NULL), 204);
    assert_int_equal(cron_entry_find(w->c, "a")->run_count, 1);
    assert_int_equal(ask(w, (struct chronos_request){.type = CHRONOS_SUMMARY}, NULL), 200);
    assert_non_null(strstr(w->body, "\"state\":\"queued\""));
    assert_int_equal(ask(w, (struct chronos_request){.type = CHRONOS_KILL_JOB, .name = "a"}, NULL), 204);
    assert_int_equal(cron_entry_find(w->c, "a")->run_count, 0);
    run.name = "b";
    assert_int_equal(
        put(w, "{\"name\":\"b\",\"command\":\"x\",\"schedule\":\"R/2090-02-03T00:00:00Z/P2D\",\"concurrent\":true}"), 204);
    assert_int_equal(ask(w, run, NULL), 204);
    assert_int_equal(ask(w, run, NULL), 204);
    assert_int_equal(cron_entry_find(w->c, "b")->run_count, 2);
}

static void test_graphs(void **state)
{
    struct world *w = *state;
    assert_int_equal(put(w, "{\"name\":\"a\",\"command\":\"x\",\"schedule\":\"R/2090-02-03T00:00:00Z/P2D\"}"), 204);
    assert_int_equal(put(w, "{\"name\":\"b\",\"command\":\"x\",\"parents\":[\"a\"]}"), 204);
    assert_int_equal(ask(w, (struct chronos_request){.type = CHRONOS_GRAPH_CSV}, NULL), 200);
    assert_string_equal(w->body, "node,a,fresh,idle\nnode,b,fresh,idle\nlink,a,b\n");
    assert_int_equal(ask(w, (struct chronos_request){.type = CHRONOS_GRAPH_DOT}, NULL), 200);
    assert_string_equal(w->body, "digraph G {\n  \"a\";\n  \"b\";\n  \"a\" -> \"b\";\n}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_put__answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_jobs__are_400, setup, teardown),
        cmocka_unit_test_setup_teardown(test_schedule__is_rewritten_and_may_be_posted_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_compat__month_ends_drift, setup_compat, teardown),
        cmocka_unit_test_setup_teardown(test_missed__is_one_run_and_one_less, setup, teardown),
        cmocka_unit_test_setup_teardown(test_counts__come_along_with_a_new_job_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delete__gives_children_a_schedule_or_parents, setup, teardown),
        cmocka_unit_test_setup_teardown(test_marked__starts_children, setup, teardown),
        cmocka_unit_test_setup_teardown(test_run_by_hand__not_beside_another, setup, teardown),
        cmocka_unit_test_setup_teardown(test_graphs, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
