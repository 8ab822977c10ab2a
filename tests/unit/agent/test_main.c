/* SPDX-License-Identifier: Apache-2.0
 * test_main.c - the whole agent as a process of its own against a master made of a few lines: a command task runs, its
 * files can be read, the agent is killed and finds the task again, and signs off. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/main.h"
#include "common/base/check.h"
#include "common/base/json.h"
#include "common/http/client.h"
#include "common/http/server.h"
#include "common/real/loop_ev.h"
#include "common/wire/codec.h"
#include "common/wire/link.h"
#include "muster/link.pb-c.h"

#define GUARD_MS 60000

struct bench {
    struct loop *loop;
    struct loop_timer *guard;
    struct http_server *server; /* of the master */
    struct http_client *client;
    struct link *link;
    struct arena *arena;
    char dir[64];
    pid_t agent;
    uint16_t agent_port;
    int ready_fd;
    struct loop_fd *ready;
    char ready_text[64];
    struct loop_child *child;
    int exit_status;
    bool exited;
    size_t registrations, reregistrations, unregistrations;
    size_t reregistered_tasks;
    int states[64]; /* of the statuses, in order */
    size_t state_count;
    int wanted_state;
    size_t wanted_reregistrations;
    int http_status;
    char *body;
    bool answered;
};

static void on_guard(void *ctx)
{
    (void)ctx;
    fail_msg("the agent did not do in time what the test waits for");
}

static void send_to_agent(struct bench *b, const Muster__Link__MasterToAgent *m)
{
    assert_non_null(b->link);
    assert_int_equal(link_send(b->link, &m->base), 0);
}

static void welcome(struct bench *b, bool again)
{
    Mesos__V1__AgentID id = MESOS__V1__AGENT_ID__INIT;
    id.value = (char *)(uintptr_t) "master-S0";
    Muster__Link__Registered registered = MUSTER__LINK__REGISTERED__INIT;
    registered.agent_id = &id;
    registered.ping_timeout_total_ms = 75000;
    Muster__Link__MasterToAgent m = MUSTER__LINK__MASTER_TO_AGENT__INIT;
    if (again)
        m.reregistered = &registered;
    else
        m.registered = &registered;
    send_to_agent(b, &m);
}

static void acknowledge(struct bench *b, const Muster__Link__StatusUpdate *update)
{
    Muster__Link__AcknowledgeUpdate ack = MUSTER__LINK__ACKNOWLEDGE_UPDATE__INIT;
    ack.framework_id = update->framework_id;
    ack.task_id = update->status->task_id;
    ack.uuid = update->status->uuid;
    Muster__Link__MasterToAgent m = MUSTER__LINK__MASTER_TO_AGENT__INIT;
    m.acknowledge_update = &ack;
    send_to_agent(b, &m);
}

static void on_message(void *ctx, const ProtobufCMessage *message)
{
    struct bench *b = ctx;
    const Muster__Link__AgentToMaster *m = (const void *)message;
    if (m->register_) {
        b->registrations++;
        welcome(b, false);
        loop_stop(b->loop);
    }
    if (m->reregister) {
        b->reregistrations++;
        b->reregistered_tasks = m->reregister->n_tasks;
        welcome(b, true);
        if (b->wanted_reregistrations == b->reregistrations)
            loop_stop(b->loop);
    }
    if (m->unregister)
        b->unregistrations++;
    if (m->status_update) {
        const Mesos__V1__TaskStatus *s = m->status_update->status;
        assert_true(b->state_count < 64);
        b->states[b->state_count++] = (int)s->state;
        if (s->message != NULL && (int)s->state == MESOS__V1__TASK_STATE__TASK_FAILED)
            print_message("failed: %s\n", s->message);
        acknowledge(b, m->status_update);
        if ((int)s->state == b->wanted_state)
            loop_stop(b->loop);
    }
}

static void on_link_closed(void *ctx, const char *why)
{
    (void)why;
    ((struct bench *)ctx)->link = NULL;
}

static void on_request(void *ctx, struct http_exchange *x, const struct http_message *request)
{
    static const struct link_callbacks callbacks = {.message = on_message, .closed = on_link_closed};
    struct bench *b = ctx;
    void *rest;
    size_t rest_len;
    int fd;
    assert_string_equal(request->path, "/link");
    assert_int_equal(http_upgrade(x, LINK_PROTOCOL, &fd, &rest, &rest_len), 0);
    b->link = link_free(b->link);
    b->link = link_new(b->loop, fd, rest, rest_len, &muster__link__agent_to_master__descriptor, 0, &callbacks, b);
    free(rest);
}

static void on_ready(void *ctx, int fd, unsigned ready)
{
    (void)ready;
    struct bench *b = ctx;
    ssize_t n = read(fd, b->ready_text, sizeof(b->ready_text) - 1);
    assert_true(n > 0);
    b->ready_text[n] = '\0';
    const char *colon = strrchr(b->ready_text, ':');
    assert_non_null(colon);
    b->agent_port = (uint16_t)atoi(colon + 1);
    b->ready = loop_fd_remove(b->ready);
    (void)close(fd);
    loop_stop(b->loop);
}

static void on_child(void *ctx, pid_t pid, int status)
{
    (void)pid;
    struct bench *b = ctx;
    b->exited = true;
    b->exit_status = status;
    loop_stop(b->loop);
}

static void run_for(struct bench *b)
{
    loop_timer_start(b->guard, GUARD_MS);
    loop_run(b->loop);
    loop_timer_stop(b->guard);
}

static void start_agent(struct bench *b)
{
    char master[32], work_dir[96], port[8], fd[8];
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    snprintf(master, sizeof(master), "127.0.0.1:%u", http_server_port(b->server));
    snprintf(work_dir, sizeof(work_dir), "%s/agent", b->dir);
    snprintf(port, sizeof(port), "%u", b->agent_port);
    snprintf(fd, sizeof(fd), "%d", pipe_fds[1]);
    const char *argv[] = {"agent",
                          "--master",
                          master,
                          "--port",
                          port,
                          "--work_dir",
                          work_dir,
                          "--resources",
                          "cpus:2;mem:512;disk:64;ports:[31000-31001]",
                          "--executor_reregistration_timeout",
                          "4secs",
                          NULL};
    b->agent = fork();
    assert_true(b->agent >= 0);
    if (b->agent == 0) {
        for (int i = 3; i < 256; i++) {
            if (i != pipe_fds[1])
                (void)close(i);
        }
        setenv("MUSTER_READY_FD", fd, 1);
        _exit(agent_main(11, (char **)(uintptr_t)argv));
    }
    (void)close(pipe_fds[1]);
    b->exited = false;
    b->child = loop_child_remove(b->child);
    b->child = loop_child_add(b->loop, b->agent, on_child, b);
    b->ready = loop_fd_add(b->loop, pipe_fds[0], LOOP_READ, on_ready, b);
    run_for(b);
    assert_false(b->exited);
}

static void await_exit(struct bench *b)
{
    while (!b->exited)
        run_for(b);
}

static void await_state(struct bench *b, int state)
{
    for (size_t i = 0; i < b->state_count; i++) {
        if (b->states[i] == state)
            return;
    }
    b->wanted_state = state;
    while (b->state_count == 0 || b->states[b->state_count - 1] != state)
        run_for(b);
}

static void on_answer(void *ctx, const struct http_message *response, int error, const char *text)
{
    struct bench *b = ctx;
    if (response == NULL)
        fail_msg("request: %d %s", error, text);
    b->answered = true;
    b->http_status = response->status;
    free(b->body);
    b->body = xmalloc(response->body_len + 1);
    memcpy(b->body, response->body, response->body_len);
    b->body[response->body_len] = '\0';
    loop_stop(b->loop);
}

static const char *request(struct bench *b, const char *method, const char *target, const char *body)
{
    static const struct http_callbacks callbacks = {.done = on_answer};
    struct http_request r = {.ip = "127.0.0.1",
                             .port = b->agent_port,
                             .method = method,
                             .target = target,
                             .content_type = body ? "application/json" : NULL,
                             .body = body,
                             .body_len = body ? strlen(body) : 0};
    (void)http_call_start(b->client, &r, &callbacks, b);
    for (b->answered = false; !b->answered;) /* statuses stop the loop as well */
        run_for(b);
    return b->body;
}

static void run_task(struct bench *b, const char *id, const char *command)
{
    char json[1024];
    snprintf(json, sizeof(json),
             "{\"name\":\"n\",\"task_id\":{\"value\":\"%s\"},\"agent_id\":{\"value\":\"master-S0\"},"
             "\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":0.1}},"
             "{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":64}}],\"command\":{\"value\":\"%s\"}}",
             id, command);
    struct err err = {""};
    const char *user = getenv("USER");
    const ProtobufCMessage *task =
        wire_decode(WIRE_JSON, &mesos__v1__task_info__descriptor, json, strlen(json), b->arena, &err);
    snprintf(json, sizeof(json), "{\"user\":\"%s\",\"name\":\"f\",\"id\":{\"value\":\"fw\"},\"checkpoint\":true}",
             geteuid() == 0 ? "root"
             : user         ? user
                            : "nobody");
    const ProtobufCMessage *framework =
        wire_decode(WIRE_JSON, &mesos__v1__framework_info__descriptor, json, strlen(json), b->arena, &err);
    assert_non_null(task);
    assert_non_null(framework);
    Muster__Link__RunTasks run = MUSTER__LINK__RUN_TASKS__INIT;
    ProtobufCBinaryData packed;
    packed.data = wire_pack(task, &packed.len);
    run.framework_info.data = wire_pack(framework, &run.framework_info.len);
    run.n_tasks = 1;
    run.tasks = &packed;
    Muster__Link__MasterToAgent m = MUSTER__LINK__MASTER_TO_AGENT__INIT;
    m.run_tasks = &run;
    b->state_count = 0;
    send_to_agent(b, &m);
    free(packed.data);
    free(run.framework_info.data);
}

static int set_up(void **state)
{
    struct bench *b = xcalloc(1, sizeof(*b));
    struct err err = {""};
    strcpy(b->dir, "/tmp/muster-agent-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    b->loop = loop_ev_new();
    b->guard = loop_timer_add(b->loop, on_guard, b);
    b->arena = arena_new(0);
    b->client = http_client_new(b->loop);
    b->wanted_state = -1;
    struct http_server_config config = {.ip = "127.0.0.1"};
    assert_int_equal(http_server_start(b->loop, &config, on_request, b, &b->server, &err), 0);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    if (b->agent > 0 && !b->exited) {
        (void)kill(b->agent, SIGUSR1); /* ends its containers too */
        await_exit(b);
    }
    b->link = link_free(b->link);
    (void)http_client_free(b->client);
    (void)http_server_stop(b->server);
    (void)loop_child_remove(b->child);
    (void)loop_timer_remove(b->guard);
    (void)loop_ev_free(b->loop);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", b->dir);
    assert_int_equal(system(command), 0);
    (void)arena_free(b->arena);
    free(b->body);
    free(b);
    return 0;
}

static void register_agent(struct bench *b)
{
    start_agent(b);
    while (b->registrations == 0)
        run_for(b);
    assert_int_equal(b->registrations, 1);
    assert_int_equal(b->http_status, 0);
    (void)request(b, "GET", "/slave(1)/health", NULL);
    assert_int_equal(b->http_status, 200);
}

static void test_main__task_runs_and_its_files_are_served(void **state)
{
    struct bench *b = *state;
    register_agent(b);
    run_task(b, "t1", "echo hello there; echo oops >&2; exit 0");
    await_state(b, MESOS__V1__TASK_STATE__TASK_FINISHED);
    assert_int_equal(b->state_count, 3);
    assert_int_equal(b->states[0], MESOS__V1__TASK_STATE__TASK_STARTING);
    assert_int_equal(b->states[1], MESOS__V1__TASK_STATE__TASK_RUNNING);
    const char *stdout_path = "/frameworks/fw/executors/t1/runs/latest/stdout";
    char target[256];
    snprintf(target, sizeof(target), "/files/download?path=%s", stdout_path);
    assert_non_null(strstr(request(b, "GET", target, NULL), "hello there"));
    snprintf(target, sizeof(target), "/files/read?path=%s&offset=0", stdout_path);
    assert_non_null(strstr(request(b, "GET", target, NULL), "hello there"));
    assert_non_null(
        strstr(request(b, "GET", "/files/browse?path=/frameworks/fw/executors/t1/runs/latest", NULL), "/stderr"));
    (void)request(b, "GET", "/files/read?path=/frameworks/fw/executors/t1/runs/latest/../../../../../../../meta", NULL);
    assert_int_equal(b->http_status, 404);
    (void)request(b, "GET", "/files/read?path=/etc/passwd", NULL);
    assert_int_equal(b->http_status, 404);
    (void)request(b, "GET", "/files/read", NULL);
    assert_int_equal(b->http_status, 400);
    /* a gone executor stays visible with its directory */
    assert_non_null(strstr(request(b, "GET", "/state", NULL), "/executors/t1/runs/"));
    assert_non_null(strstr(request(b, "GET", "/metrics/snapshot", NULL), "\"slave/tasks_finished\":1.0"));
}

static void test_main__operator_api(void **state)
{
    struct bench *b = *state;
    register_agent(b);
    run_task(b, "t1", "sleep 1000");
    await_state(b, MESOS__V1__TASK_STATE__TASK_RUNNING);
    assert_non_null(strstr(request(b, "POST", "/api/v1", "{\"type\":\"GET_HEALTH\"}"), "\"healthy\":true"));
    assert_non_null(strstr(request(b, "POST", "/slave(1)/api/v1", "{\"type\":\"GET_TASKS\"}"), "TASK_RUNNING"));
    assert_non_null(strstr(request(b, "POST", "/api/v1", "{\"type\":\"GET_CONTAINERS\"}"), "executor_pid"));
    assert_non_null(strstr(request(b, "POST", "/api/v1", "{\"type\":\"GET_AGENT\"}"), "master-S0"));
    assert_non_null(strstr(request(b, "POST", "/api/v1", "{\"type\":\"GET_FLAGS\"}"), "work_dir"));
    assert_non_null(strstr(request(b, "GET", "/containers", NULL), "\"executor_id\":\"t1\""));
    (void)request(b, "POST", "/api/v1", "{\"type\":\"PRUNE_IMAGES\"}");
    assert_int_equal(b->http_status, 200);
    (void)request(b, "POST", "/api/v1", "{\"type\":\"MARK_RESOURCE_PROVIDER_GONE\"}");
    assert_int_equal(b->http_status, 501);
    assert_non_null(strstr(b->body, "MARK_RESOURCE_PROVIDER_GONE"));
    (void)request(b, "GET", "/api/v1", NULL);
    assert_int_equal(b->http_status, 405);
    (void)request(b, "POST", "/api/v1", "{");
    assert_int_equal(b->http_status, 400);
    (void)request(b, "GET", "/no/such/thing", NULL);
    assert_int_equal(b->http_status, 404);
    (void)request(
        b, "POST", "/api/v1/executor",
        "{\"type\":\"SUBSCRIBE\",\"framework_id\":{\"value\":\"x\"},\"executor_id\":{\"value\":\"y\"},\"subscribe\":{}}");
    assert_int_equal(b->http_status, 400);
}

static void test_main__killed_agent_finds_its_task_again(void **state)
{
    struct bench *b = *state;
    register_agent(b);
    run_task(b, "t1", "sleep 1000");
    await_state(b, MESOS__V1__TASK_STATE__TASK_RUNNING);
    (void)kill(b->agent, SIGKILL);
    await_exit(b);
    b->state_count = 0;
    b->wanted_reregistrations = 1;
    start_agent(b);
    while (b->reregistrations == 0)
        run_for(b);
    assert_int_equal(b->reregistered_tasks, 1);
    for (size_t i = 0; i < b->state_count; i++) /* nothing happened to it; its update may be repeated */
        assert_int_equal(b->states[i], MESOS__V1__TASK_STATE__TASK_RUNNING);
    assert_non_null(strstr(request(b, "GET", "/state", NULL), "TASK_RUNNING"));

    Mesos__V1__FrameworkID framework = MESOS__V1__FRAMEWORK_ID__INIT;
    framework.value = (char *)(uintptr_t) "fw";
    Mesos__V1__TaskID task = MESOS__V1__TASK_ID__INIT;
    task.value = (char *)(uintptr_t) "t1";
    Muster__Link__KillTask kill_task = MUSTER__LINK__KILL_TASK__INIT;
    kill_task.framework_id = &framework;
    kill_task.task_id = &task;
    Muster__Link__MasterToAgent m = MUSTER__LINK__MASTER_TO_AGENT__INIT;
    m.kill_task = &kill_task;
    send_to_agent(b, &m);
    await_state(b, MESOS__V1__TASK_STATE__TASK_KILLED);
}

static void test_main__signs_off_on_sigusr1(void **state)
{
    struct bench *b = *state;
    register_agent(b);
    run_task(b, "t1", "sleep 1000");
    await_state(b, MESOS__V1__TASK_STATE__TASK_RUNNING);
    (void)kill(b->agent, SIGUSR1);
    await_exit(b);
    assert_true(WIFEXITED(b->exit_status));
    assert_int_equal(WEXITSTATUS(b->exit_status), 0);
    assert_int_equal(b->unregistrations, 1);
}

static void test_main__bad_flags_are_usage_errors(void **state)
{
    (void)state;
    const char *none[] = {"agent", NULL};
    assert_int_equal(agent_main(1, (char **)(uintptr_t)none), 2);
    const char *unknown[] = {"agent", "--master=127.0.0.1:1", "--work_dir=/tmp/x", "--containerizers=docker", NULL};
    assert_int_equal(agent_main(4, (char **)(uintptr_t)unknown), 2);
    const char *zk[] = {"agent", "--master=zk://127.0.0.1:1/muster", "--work_dir=/tmp/muster-agent-none", "--port=0", NULL};
    assert_int_equal(agent_main(4, (char **)(uintptr_t)zk), 1);
    assert_int_equal(system("rm -rf /tmp/muster-agent-none"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_main__task_runs_and_its_files_are_served, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_main__operator_api, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_main__killed_agent_finds_its_task_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_main__signs_off_on_sigusr1, set_up, tear_down),
        cmocka_unit_test(test_main__bad_flags_are_usage_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
