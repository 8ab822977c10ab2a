/* SPDX-License-Identifier: Apache-2.0
 * test_plan.c - the plan by events of the master's stream. Changes become words in a log:
 *
 *   +tcp 1.2.3.4:80 [10.0.0.1:31000 10.0.0.2:31000~]   a VIP and its back ends, ~ is draining
 *   -tcp 1.2.3.4:80                                     a VIP that is gone                                             */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/rng.h"
#include "common/wire/codec.h"
#include "lb/lb.h"

struct world {
    struct lb *lb;
    struct arena *arena;
    int64_t now_ms;
    unsigned received;
    char log[8192];
    char traces[8192];
    struct lb_endpoint checks[16];
    size_t check_count;
};

static void say(char *log, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void say(char *log, size_t size, const char *fmt, ...)
{
    size_t len = strlen(log);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(log + len, size - len, fmt, ap);
    va_end(ap);
}

static void note_change(struct world *w, const struct lb_change *change)
{
    char text[LB_ENDPOINT_TEXT_SIZE];
    lb_endpoint_format(&change->vip, text);
    if (w->log[0])
        say(w->log, sizeof(w->log), " ");
    say(w->log, sizeof(w->log), "%c%s %s", change->is_removed ? '-' : '+', lb_protocol_name(change->vip.protocol), text);
    if (change->is_removed)
        return;
    say(w->log, sizeof(w->log), " [");
    for (size_t i = 0; i < change->backend_count; i++) {
        lb_endpoint_format(&change->backends[i].at, text);
        say(w->log, sizeof(w->log), "%s%s%s", i ? " " : "", text, change->backends[i].is_draining ? "~" : "");
    }
    say(w->log, sizeof(w->log), "]");
}

static void step(struct world *w, struct lb_event *in)
{
    struct lb_effects out;
    in->now_ms = w->now_ms;
    assert_int_equal(lb_step(w->lb, in, &out), 0);
    lb_check_invariants(w->lb);
    for (size_t i = 0; i < out.count; i++) {
        const struct lb_effect *e = &out.items[i];
        if (e->type == LB_EFFECT_CHANGES)
            for (size_t k = 0; k < e->changes.count; k++)
                note_change(w, &e->changes.items[k]);
        else if (e->type == LB_EFFECT_TRACE)
            say(w->traces, sizeof(w->traces), "%s\n", e->text);
        else if (w->check_count < 16)
            w->checks[w->check_count++] = e->check;
    }
}

/* What the events since the last call have changed. */
static const char *flush(struct world *w)
{
    struct lb_event in = {.type = LB_EVENT_FLUSH};
    w->log[0] = '\0';
    step(w, &in);
    return w->log;
}

static void give(void *ctx, const struct picture_part *part)
{
    struct lb_event in = {.type = LB_EVENT_RECEIVED, .received = part};
    step(ctx, &in);
}

static void receive(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void receive(struct world *w, const char *fmt, ...)
{
    static char text[65536];
    struct err err = {0};
    va_list ap;
    va_start(ap, fmt);
    assert_true(vsnprintf(text, sizeof(text), fmt, ap) < (int)sizeof(text));
    va_end(ap);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    struct picture_told told;
    bool is_json = w->received++ % 2 == 0; /* it must make no difference */
    struct buf bytes;
    buf_init(&bytes, 0);
    arena_reset(w->arena);
    const ProtobufCMessage *event =
        wire_decode(WIRE_JSON, &mesos__v1__master__event__descriptor, text, strlen(text), w->arena, &err);
    if (event == NULL)
        fail_msg("%s in %s", err.text, text);
    assert_int_equal(wire_encode(is_json ? WIRE_JSON : WIRE_PROTOBUF, event, &bytes), 0);
    assert_int_equal(picture_read(is_json ? WIRE_JSON : WIRE_PROTOBUF, buf_data(&bytes), buf_len(&bytes), w->arena, give, w,
                                  &told, &err),
                     0);
    buf_deinit(&bytes);
}

#define AGENT(id, ip)                                                                                                      \
    "{'agent_info':{'hostname':'h','id':{'value':'" id "'}},'active':true,'version':'1','pid':'slave(1)@" ip ":5051'}"
#define FRAMEWORK(id, name)                                                                                                \
    "{'framework_info':{'id':{'value':'" id "'},'name':'" name "','user':'u'},'active':true,'connected':true,"             \
    "'recovered':false}"
#define TASK(id, agent, state, rest)                                                                                       \
    "{'name':'t','task_id':{'value':'" id "'},'framework_id':{'value':'F'},'agent_id':{'value':'" agent                    \
    "'},'state':'" state "','resources':[{'name':'ports','type':'RANGES','ranges':{'range':[{'begin':31000,'end':31001},"  \
    "{'begin':31500,'end':31500}]}}]" rest "}"
#define PICTURE(frameworks, agents, tasks)                                                                                 \
    "{'type':'SUBSCRIBED','subscribed':{'get_state':{'get_frameworks':{'frameworks':[" frameworks                          \
    "]},'get_agents':{'agents':[" agents "]},'get_tasks':{'tasks':[" tasks "]}}}}"
#define ADDED(task) "{'type':'TASK_ADDED','task_added':{'task':" task "}}"
#define DISCOVERY(number, protocol, labels)                                                                                \
    ",'discovery':{'visibility':'CLUSTER','name':'x','ports':{'ports':[{'number':" number ",'protocol':'" protocol         \
    "','labels':{'labels':[" labels "]}}]}}"
#define LABEL(key, value) "{'key':'" key "','value':'" value "'}"
#define VIP(value) LABEL("VIP_0", value)
#define HOST LABEL("network-scope", "host")
#define HOST_WEB(number) DISCOVERY(number, "tcp", VIP("/web:80") "," HOST)

static void update(struct world *w, const char *task, const char *state, const char *rest)
{
    receive(w,
            "{'type':'TASK_UPDATED','task_updated':{'framework_id':{'value':'F'},'state':'%s','status':{'task_id':"
            "{'value':'%s'},'state':'%s'%s}}}",
            state, task, state, rest);
}

static int setup_with(void **state, struct lb_config config)
{
    struct world *w = calloc(1, sizeof(*w));
    config.range = VIP_RANGE_MACHINE;
    config.seed = 1;
    w->lb = lb_new(&config);
    w->arena = arena_new(0);
    w->now_ms = 1000;
    *state = w;
    receive(w, PICTURE(FRAMEWORK("F", "marathon"), AGENT("A1", "10.0.0.1") "," AGENT("A2", "10.0.0.2"), ""));
    assert_string_equal(flush(w), "");
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, (struct lb_config){0});
}

static int setup_checks(void **state)
{
    return setup_with(state, (struct lb_config){.check_interval_ms = 1000});
}

static int setup_ipv6(void **state)
{
    return setup_with(state, (struct lb_config){.has_ipv6 = true});
}

static int teardown(void **state)
{
    struct world *w = *state;
    lb_free(w->lb);
    arena_free(w->arena);
    free(w);
    return 0;
}

/* The address of a name in the range of one machine. */
static const char *at(const char *name)
{
    static char text[LB_ENDPOINT_TEXT_SIZE];
    struct lb_endpoint e = lb_endpoint_of_ipv4(LB_TCP, vip_name_address4(name, VIP_RANGE_MACHINE), 0);
    lb_endpoint_format_ip(&e, text);
    return text;
}

#define assert_flush(w, ...)                                                                                               \
    do {                                                                                                                   \
        char expected_[4096];                                                                                              \
        (void)snprintf(expected_, sizeof(expected_), __VA_ARGS__);                                                         \
        assert_string_equal(flush(w), expected_);                                                                          \
    } while (0)

/* -- life of a back end ------------------------------------------------------------------------------------------ */

static void test_plan__task_appears_when_running_and_goes_when_over(void **state)
{
    struct world *w = *state;
    receive(w, ADDED(TASK("t1", "A1", "TASK_STAGING", HOST_WEB("31000"))));
    assert_flush(w, "%s", "");
    update(w, "t1", "TASK_STARTING", "");
    assert_flush(w, "%s", "");
    update(w, "t1", "TASK_RUNNING", "");
    assert_flush(w, "+tcp %s:80 [10.0.0.1:31000]", at("web.marathon"));
    update(w, "t1", "TASK_RUNNING", "");
    assert_flush(w, "%s", "");
    update(w, "t1", "TASK_KILLING", "");
    assert_flush(w, "+tcp %s:80 [10.0.0.1:31000~]", at("web.marathon"));
    update(w, "t1", "TASK_KILLED", "");
    assert_flush(w, "-tcp %s:80", at("web.marathon"));
    assert_int_equal(lb_get_statistics(w->lb).tasks, 0);
}

static void test_plan__health_decides_when_there_is_a_check(void **state)
{
    struct world *w = *state;
    receive(w, ADDED(TASK("t1", "A1", "TASK_STAGING",
                          HOST_WEB("31000") ",'health_check':{'type':'TCP','tcp':{'port':31000}}")));
    update(w, "t1", "TASK_RUNNING", "");
    assert_flush(w, "+tcp %s:80 [10.0.0.1:31000~]", at("web.marathon"));
    update(w, "t1", "TASK_RUNNING", ",'healthy':true");
    assert_flush(w, "+tcp %s:80 [10.0.0.1:31000]", at("web.marathon"));
    update(w, "t1", "TASK_RUNNING", ",'healthy':false");
    assert_flush(w, "+tcp %s:80 [10.0.0.1:31000~]", at("web.marathon"));
}

static void test_plan__state_ahead_of_the_status_counts(void **state)
{
    struct world *w = *state;
    receive(w, ADDED(TASK("t1", "A1", "TASK_RUNNING", HOST_WEB("31000"))));
    (void)flush(w);
    receive(w, "{'type':'TASK_UPDATED','task_updated':{'framework_id':{'value':'F'},'state':'TASK_FAILED','status':"
               "{'task_id':{'value':'t1'},'state':'TASK_RUNNING'}}}");
    assert_flush(w, "-tcp %s:80", at("web.marathon"));
}

static void test_plan__two_back_ends_in_one_change(void **state)
{
    struct world *w = *state;
    receive(w, ADDED(TASK("t1", "A2", "TASK_RUNNING", HOST_WEB("31000"))));
    receive(w, ADDED(TASK("t2", "A1", "TASK_RUNNING", HOST_WEB("31001"))));
    assert_flush(w, "+tcp %s:80 [10.0.0.1:31001 10.0.0.2:31000]", at("web.marathon"));
}

static void test_plan__removed_agent_takes_its_back_ends(void **state)
{
    struct world *w = *state;
    receive(w, ADDED(TASK("t1", "A1", "TASK_RUNNING", HOST_WEB("31000"))));
    receive(w, ADDED(TASK("t2", "A2", "TASK_RUNNING", HOST_WEB("31000"))));
    (void)flush(w);
    receive(w, "{'type':'AGENT_REMOVED','agent_removed':{'agent_id':{'value':'A1'}}}");
    assert_flush(w, "+tcp %s:80 [10.0.0.2:31000]", at("web.marathon"));
    update(w, "t2", "TASK_UNREACHABLE", "");
    assert_flush(w, "-tcp %s:80", at("web.marathon"));
}

static void test_plan__renamed_framework_moves_its_names(void **state)
{
    struct world *w = *state;
    receive(w, ADDED(TASK("t1", "A1", "TASK_RUNNING", HOST_WEB("31000"))));
    (void)flush(w);
    receive(w, "{'type':'FRAMEWORK_UPDATED','framework_updated':{'framework':" FRAMEWORK("F", "prod/hdfs") "}}");
    char expected[256], old[64];
    (void)snprintf(old, sizeof(old), "%s", at("web.marathon"));
    (void)snprintf(expected, sizeof(expected), "-tcp %s:80 +tcp %s:80 [10.0.0.1:31000]", old, at("web.prodhdfs"));
    assert_string_equal(flush(w), expected);
    receive(w, "{'type':'FRAMEWORK_REMOVED','framework_removed':{'framework_info':{'id':{'value':'F'},'name':'x',"
               "'user':'u'}}}");
    assert_flush(w, "-tcp %s:80", at("web.prodhdfs"));
}

/* -- where the back ends are ------------------------------------------------------------------------------------- */

static void test_plan__container_port_with_mapping_is_the_agents_port(void **state)
{
    struct world *w = *state;
    receive(w, ADDED(TASK("t1", "A1", "TASK_RUNNING",
                          DISCOVERY("8080", "tcp", VIP("/web:80")) ",'container':{'type':'DOCKER','docker':{'image':'i',"
                                                                   "'port_mappings':[{'host_port':31001,"
                                                                   "'container_port':8080,'protocol':'tcp'}]}}")));
    assert_flush(w, "+tcp %s:80 [10.0.0.1:31001]", at("web.marathon"));
}

static void test_plan__container_port_without_mapping_is_the_tasks_own(void **state)
{
    struct world *w = *state;
    receive(w, ADDED(TASK("t1", "A1", "TASK_STAGING", DISCOVERY("8080", "tcp", VIP("/web:80")))));
    update(w, "t1", "TASK_RUNNING",
           ",'container_status':{'network_infos':[{'ip_addresses':[{'ip_address':'9.0.0.5'},{'ip_address':'fd00::5'},"
           "{'ip_address':'bad'}]}]}");
    assert_flush(w, "+tcp %s:80 [9.0.0.5:8080]", at("web.marathon"));
}

static void test_plan__mapping_of_a_pod_comes_with_its_status(void **state)
{
    struct world *w = *state;
    receive(w, ADDED(TASK("t1", "A1", "TASK_STAGING", DISCOVERY("8080", "tcp", VIP("/web:80")))));
    update(w, "t1", "TASK_RUNNING",
           ",'container_status':{'network_infos':[{'ip_addresses':[{'ip_address':'9.0.0.5'}],'port_mappings':[{"
           "'host_port':31500,'container_port':8080}]}]}");
    assert_flush(w, "+tcp %s:80 [10.0.0.1:31500]", at("web.marathon"));
}

static void test_plan__task_label_names_an_offered_port(void **state)
{
    struct world *w = *state;
    receive(w, ADDED(TASK("t1", "A1", "TASK_RUNNING",
                          ",'labels':{'labels':[" LABEL("Vip_Port2", "udp:///dns:53") "," LABEL(
                              "VIP_PORT0", "tcp://1.2.3.4:80") "," LABEL("VIP_PORT9",
                                                                         "tcp:///no:1") "," LABEL("VIP_PORT1",
                                                                                                  "http:///no:1") "]}")));
    assert_flush(w, "+udp %s:53 [10.0.0.1:31500] +tcp 1.2.3.4:80 [10.0.0.1:31000]", at("dns.marathon"));
    assert_non_null(strstr(w->traces, "the task has no such port"));
    assert_int_equal(lb_get_statistics(w->lb).rejected_labels, 2);
}

static void test_plan__same_back_end_told_twice_counts_once(void **state)
{
    struct world *w = *state;
    receive(w, ADDED(TASK("t1", "A1", "TASK_RUNNING",
                          HOST_WEB("31000") ",'labels':{'labels':[" LABEL("VIP_PORT0", "tcp:///web:80") "]}")));
    assert_flush(w, "+tcp %s:80 [10.0.0.1:31000]", at("web.marathon"));
}

static void test_plan__ipv6(void **state)
{
    struct world *w = *state;
    receive(w, ADDED(TASK("t1", "A1", "TASK_STAGING",
                          DISCOVERY("8080", "tcp", VIP("/web:80") "," LABEL("vip2", "2001:db8::1:90")))));
    update(w, "t1", "TASK_RUNNING", ",'container_status':{'network_infos':[{'ip_addresses':[{'ip_address':'fd00::5'}]}]}");
    assert_flush(w, "+tcp fd01:c::cb8:74fe:906b:dee:80 [fd00::5:8080] +tcp 2001:db8::1:90 [fd00::5:8080]");
}

/* -- labels that cannot be used ---------------------------------------------------------------------------------- */

static void test_plan__bad_labels_are_left_out_alone(void **state)
{
    static const char *const bad[] = {"/web",           "/web:0",        "/web:65536",        ":80",          "/:80",
                                      "127.0.0.1:80",   "127.64.0.9:80", "0.0.0.0:80",        "224.0.0.1:80", "10.0.0.2:80",
                                      "169.254.1.1:80", "::1:80",        "255.255.255.255:1", "/web:x",       "$$:1"};
    struct world *w = *state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        receive(w,
                "{'type':'TASK_ADDED','task_added':{'task':{'name':'t','task_id':{'value':'b%zu'},'framework_id':"
                "{'value':'F'},'agent_id':{'value':'A1'},'state':'TASK_RUNNING','discovery':{'visibility':'CLUSTER',"
                "'ports':{'ports':[{'number':31000,'protocol':'tcp','labels':{'labels':[{'key':'VIP_0','value':'%s'},"
                "{'key':'VIP_1','value':'/good%zu:80'}]}}]}}}}}",
                i, bad[i], i);
        char name[64];
        (void)snprintf(name, sizeof(name), "good%zu.marathon", i);
        assert_flush(w, "+tcp %s:80 [10.0.0.1:31000]", at(name));
    }
}

static void test_plan__odd_ports_are_left_out(void **state)
{
    struct world *w = *state;
    receive(w, ADDED(TASK("t1", "A1", "TASK_RUNNING", DISCOVERY("0", "tcp", VIP("/a:80")))));
    receive(w, ADDED(TASK("t2", "A1", "TASK_RUNNING", DISCOVERY("31000", "udp,tcp", VIP("/a:80")))));
    receive(w, ADDED(TASK("t3", "A1", "TASK_RUNNING", DISCOVERY("70000", "tcp", VIP("/a:80")))));
    receive(w, ADDED(TASK("t4", "A1", "TASK_RUNNING",
                          DISCOVERY("31000", "tcp", VIP("/a:80") "," LABEL("network-scope", "moon")))));
    receive(w, ADDED(TASK("t5", "A1", "TASK_RUNNING", DISCOVERY("31000", "tcp", LABEL("Vip_0", "/a:80")))));
    assert_flush(w, "%s", "");
    assert_int_equal(lb_get_statistics(w->lb).rejected_labels, 4);
}

static void test_plan__one_task_cannot_have_endless_vips(void **state)
{
    struct world *w = *state;
    char labels[16384] = "";
    for (int i = 0; i < 100; i++)
        say(labels, sizeof(labels), "%s{'key':'VIP_%d','value':'/n%d:80'}", i ? "," : "", i, i);
    receive(w,
            "{'type':'TASK_ADDED','task_added':{'task':{'name':'t','task_id':{'value':'t'},'framework_id':{'value':'F'},"
            "'agent_id':{'value':'A1'},'state':'TASK_RUNNING','discovery':{'visibility':'CLUSTER','ports':{'ports':[{"
            "'number':31000,'protocol':'tcp','labels':{'labels':[%s]}}]}}}}}",
            labels);
    (void)flush(w);
    assert_int_equal(lb_get_statistics(w->lb).vips, LB_TASK_VIPS_MAX);
}

/* -- lost streams ------------------------------------------------------------------------------------------------ */

static void test_plan__lost_stream_changes_nothing_and_a_picture_is_a_difference(void **state)
{
    struct world *w = *state;
    receive(w, ADDED(TASK("t1", "A1", "TASK_RUNNING", HOST_WEB("31000"))));
    receive(w, ADDED(TASK("t2", "A2", "TASK_RUNNING", HOST_WEB("31000"))));
    (void)flush(w);
    struct lb_event lost = {.type = LB_EVENT_LOST};
    step(w, &lost);
    assert_flush(w, "%s", "");
    assert_false(lb_get_statistics(w->lb).is_current);
    update(w, "t1", "TASK_KILLED", ""); /* before the picture: not believed */
    assert_flush(w, "%s", "");
    receive(w, PICTURE(FRAMEWORK("F", "marathon"), AGENT("A1", "10.0.0.1") "," AGENT("A2", "10.0.0.2"),
                       TASK("t1", "A1", "TASK_RUNNING", HOST_WEB("31000")) "," TASK("t2", "A2", "TASK_RUNNING",
                                                                                    HOST_WEB("31000"))));
    assert_flush(w, "%s", "");
    receive(w, PICTURE(FRAMEWORK("F", "marathon"), AGENT("A1", "10.0.0.1") "," AGENT("A2", "10.0.0.2"),
                       TASK("t2", "A2", "TASK_RUNNING", HOST_WEB("31000")) "," TASK("t3", "A2", "TASK_RUNNING",
                                                                                    HOST_WEB("31001"))));
    assert_flush(w, "+tcp %s:80 [10.0.0.2:31000 10.0.0.2:31001]", at("web.marathon"));
}

#define RECOVERING                                                                                                         \
    "{'type':'SUBSCRIBED','subscribed':{'get_state':{'get_frameworks':{'frameworks':[" FRAMEWORK(                          \
        "F",                                                                                                               \
        "marathon") "]},'get_agents':{'agents':[" AGENT("A2",                                                              \
                                                        "10.0.0.2") "],'recovered_agents':[{'hostname':'h',"               \
                                                                    "'id':{'value':'A1'}}]},'get_tasks':{'tasks':[]}}}}"

static void test_plan__new_master_keeps_tasks_of_agents_it_waits_for(void **state)
{
    struct world *w = *state;
    receive(w, ADDED(TASK("t1", "A1", "TASK_RUNNING", HOST_WEB("31000"))));
    receive(w, ADDED(TASK("t2", "A1", "TASK_RUNNING", HOST_WEB("31001"))));
    receive(w, ADDED(TASK("t3", "A2", "TASK_RUNNING", HOST_WEB("31000"))));
    (void)flush(w);
    receive(w, RECOVERING);
    assert_flush(w, "+tcp %s:80 [10.0.0.1:31000 10.0.0.1:31001]", at("web.marathon")); /* A2 is back without t3 */
    receive(w, "{'type':'AGENT_ADDED','agent_added':{'agent':" AGENT("A1", "10.0.0.1") "}}");
    receive(w, ADDED(TASK("t1", "A1", "TASK_RUNNING", HOST_WEB("31000"))));
    assert_flush(w, "%s", "");
    w->now_ms = lb_next_deadline(w->lb);
    struct lb_event tick = {.type = LB_EVENT_TICK};
    step(w, &tick);
    assert_flush(w, "+tcp %s:80 [10.0.0.1:31000]", at("web.marathon")); /* t2 was not told again */
    assert_true(lb_next_deadline(w->lb) == INT64_MAX);
}

static void test_plan__agent_that_never_returns_is_let_go(void **state)
{
    struct world *w = *state;
    receive(w, ADDED(TASK("t1", "A1", "TASK_RUNNING", HOST_WEB("31000"))));
    (void)flush(w);
    receive(w, RECOVERING);
    assert_flush(w, "%s", "");
    assert_int_equal(lb_next_deadline(w->lb), w->now_ms + 600000);
    w->now_ms += 600000;
    struct lb_event tick = {.type = LB_EVENT_TICK};
    step(w, &tick);
    assert_flush(w, "-tcp %s:80", at("web.marathon"));
}

/* -- names that meet --------------------------------------------------------------------------------------------- */

static void test_plan__colliding_names_end_alike_in_any_order(void **state)
{
    struct world *w = *state;
    const struct vip_range small = {0x7f400000, 0x7f400010};
    struct lb_config config = {.range = small, .seed = 1};
    char tables[2][2048];
    for (int order = 0; order < 2; order++) {
        lb_free(w->lb);
        w->lb = lb_new(&config);
        receive(w, PICTURE(FRAMEWORK("F", "marathon"), AGENT("A1", "10.0.0.1"), ""));
        for (int k = 0; k < 6; k++) {
            int i = order ? 5 - k : k;
            receive(w,
                    "{'type':'TASK_ADDED','task_added':{'task':{'name':'t','task_id':{'value':'t%d'},'framework_id':"
                    "{'value':'F'},'agent_id':{'value':'A1'},'state':'TASK_RUNNING','discovery':{'visibility':'CLUSTER',"
                    "'ports':{'ports':[{'number':%d,'protocol':'tcp','labels':{'labels':[{'key':'VIP','value':'/n%d:80'"
                    "}]}}]}}}}}",
                    i, 31000 + i, i);
            (void)flush(w);
        }
        /* one leaves: who had to give way goes back */
        update(w, "t0", "TASK_FINISHED", "");
        (void)flush(w);
        tables[order][0] = '\0';
        for (int i = 1; i < 6; i++) { /* told again by name */
            update(w, (char[]){'t', (char)('0' + i), 0}, "TASK_KILLING", "");
            say(tables[order], sizeof(tables[order]), "%s\n", flush(w));
        }
    }
    char *lines[2][5];
    for (int order = 0; order < 2; order++) {
        char *line = tables[order];
        for (int i = 0; i < 5; i++) {
            lines[order][i] = line;
            line = strchr(line, '\n') + 1;
            line[-1] = '\0';
        }
    }
    for (int i = 0; i < 5; i++)
        assert_string_equal(lines[0][i], lines[1][i]);
}

/* -- checks ------------------------------------------------------------------------------------------------------ */

static void tick(struct world *w)
{
    struct lb_event in = {.type = LB_EVENT_TICK};
    int64_t next = lb_next_deadline(w->lb);
    if (next > w->now_ms)
        w->now_ms = next;
    w->check_count = 0;
    step(w, &in);
}

static void answer(struct world *w, struct lb_endpoint target, bool is_up)
{
    struct lb_event in = {.type = LB_EVENT_CHECKED};
    in.checked.target = target;
    in.checked.is_up = is_up;
    step(w, &in);
}

static void check_all(struct world *w, const char *down)
{
    for (int done = 0; done < 2; done++) {
        tick(w);
        for (size_t i = 0; i < w->check_count; i++) {
            char text[LB_ENDPOINT_TEXT_SIZE];
            lb_endpoint_format(&w->checks[i], text);
            answer(w, w->checks[i], strstr(down, text) == NULL);
        }
        done += w->check_count == 2;
    }
}

static void test_plan__failed_checks_drain_until_a_success(void **state)
{
    struct world *w = *state;
    receive(w, ADDED(TASK("t1", "A1", "TASK_RUNNING", HOST_WEB("31000"))));
    receive(w, ADDED(TASK("t2", "A2", "TASK_RUNNING", HOST_WEB("31000"))));
    assert_flush(w, "+tcp %s:80 [10.0.0.1:31000 10.0.0.2:31000]", at("web.marathon"));
    check_all(w, "10.0.0.1:31000");
    assert_flush(w, "%s", ""); /* once is not enough */
    check_all(w, "10.0.0.1:31000");
    assert_flush(w, "+tcp %s:80 [10.0.0.1:31000~ 10.0.0.2:31000]", at("web.marathon"));
    assert_int_equal(lb_get_statistics(w->lb).down_backends, 1);
    check_all(w, "10.0.0.1:31000 10.0.0.2:31000");
    check_all(w, "10.0.0.1:31000 10.0.0.2:31000");
    assert_flush(w, "+tcp %s:80 [10.0.0.1:31000 10.0.0.2:31000]", at("web.marathon")); /* all down: none is believed */
    check_all(w, "10.0.0.2:31000");
    assert_flush(w, "+tcp %s:80 [10.0.0.1:31000 10.0.0.2:31000~]", at("web.marathon"));
}

static void test_plan__answer_for_a_back_end_that_is_gone_is_ignored(void **state)
{
    struct world *w = *state;
    receive(w, ADDED(TASK("t1", "A1", "TASK_RUNNING", HOST_WEB("31000"))));
    (void)flush(w);
    tick(w);
    assert_int_equal(w->check_count, 1);
    struct lb_endpoint target = w->checks[0];
    update(w, "t1", "TASK_KILLED", "");
    (void)flush(w);
    answer(w, target, false);
    assert_true(lb_next_deadline(w->lb) == INT64_MAX);
}

/* -- at random --------------------------------------------------------------------------------------------------- */

/* Any order of events: the invariants hold (step checks them) and in the end nothing is left. */
static void test_plan__random_events_leave_nothing_behind(void **state)
{
    static const char *const states[] = {"TASK_STAGING", "TASK_RUNNING", "TASK_KILLING", "TASK_KILLED", "TASK_UNREACHABLE"};
    struct world *w = *state;
    struct rng rng;
    rng_seed(&rng, 7);
    for (int i = 0; i < 3000; i++) {
        char id[16];
        int number = (int)rng_below(&rng, 12);
        (void)snprintf(id, sizeof(id), "t%d", number);
        switch (rng_below(&rng, 6)) {
        case 0:
        case 1:
            receive(w,
                    "{'type':'TASK_ADDED','task_added':{'task':{'name':'t','task_id':{'value':'%s'},'framework_id':"
                    "{'value':'F'},'agent_id':{'value':'A%d'},'state':'%s','discovery':{'visibility':'CLUSTER','ports':{"
                    "'ports':[{'number':%d,'protocol':'tcp','labels':{'labels':[{'key':'VIP','value':'/n%d:80'}]}}]}}}}}",
                    id, 1 + number % 2, states[rng_below(&rng, 3)], 31000 + number, number % 4);
            break;
        case 2:
        case 3:
            update(w, id, states[rng_below(&rng, 5)], "");
            break;
        case 4:
            (void)flush(w);
            break;
        default:
            if (rng_below(&rng, 10) == 0)
                receive(w, "{'type':'AGENT_REMOVED','agent_removed':{'agent_id':{'value':'A1'}}}");
            else if (rng_below(&rng, 10) == 0)
                receive(w, RECOVERING);
            else
                receive(w, "{'type':'AGENT_ADDED','agent_added':{'agent':" AGENT("A1", "10.0.0.1") "}}");
        }
    }
    receive(w, PICTURE("", "", ""));
    (void)flush(w);
    struct lb_statistics s = lb_get_statistics(w->lb);
    assert_int_equal(s.vips + s.tasks + s.agents, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plan__task_appears_when_running_and_goes_when_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan__health_decides_when_there_is_a_check, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan__state_ahead_of_the_status_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan__two_back_ends_in_one_change, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan__removed_agent_takes_its_back_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan__renamed_framework_moves_its_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan__container_port_with_mapping_is_the_agents_port, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan__container_port_without_mapping_is_the_tasks_own, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan__mapping_of_a_pod_comes_with_its_status, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan__task_label_names_an_offered_port, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan__same_back_end_told_twice_counts_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan__ipv6, setup_ipv6, teardown),
        cmocka_unit_test_setup_teardown(test_plan__bad_labels_are_left_out_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan__odd_ports_are_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan__one_task_cannot_have_endless_vips, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan__lost_stream_changes_nothing_and_a_picture_is_a_difference, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_plan__new_master_keeps_tasks_of_agents_it_waits_for, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan__agent_that_never_returns_is_let_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan__colliding_names_end_alike_in_any_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan__failed_checks_drain_until_a_success, setup_checks, teardown),
        cmocka_unit_test_setup_teardown(test_plan__answer_for_a_back_end_that_is_gone_is_ignored, setup_checks, teardown),
        cmocka_unit_test_setup_teardown(test_plan__random_events_leave_nothing_behind, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
