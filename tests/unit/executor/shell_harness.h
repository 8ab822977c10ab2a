/* SPDX-License-Identifier: Apache-2.0
 * shell_harness.h - the executor's shell and an agent made of our own HTTP server in one loop: the agent sends a script of
 * events, acknowledges updates, and writes down what it is told. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/text.h"
#include "common/http/recordio.h"
#include "common/http/server.h"
#include "common/real/loop_ev.h"
#include "common/wire/codec.h"
#include "executor/shell.h"

#define DEADLINE_MS 20000

struct agent {
    struct loop *loop;
    struct http_server *server;
    struct executor_shell *shell;
    struct loop_timer *deadline;
    struct http_exchange *stream;
    char sandbox[64];
    char log[4096];    /* "t1:RUNNING t1:FINISHED", one word per update that was new */
    char message[512]; /* of the newest update */
    uint8_t uuids[64][16];
    size_t uuid_count;
    const char *subscribed;       /* JSON */
    const char *script[8];        /* events to send after SUBSCRIBED, once */
    const char *wait_for, *event; /* when the log has this, send that; once */
    const char *cut_for;          /* when the log has this, cut the stream; once */
    int subscriptions;
    bool withholds_acks;
    size_t told_tasks, told_updates; /* by the newest SUBSCRIBE */
    int health_requests;
    bool is_finished, is_late;
    int exit_status;
};

static inline void send_event(struct agent *a, const char *json)
{
    struct err err = {0};
    struct buf packed, record;
    struct arena *arena = arena_new(0);
    ProtobufCMessage *event =
        wire_decode(WIRE_JSON, &mesos__v1__executor__event__descriptor, json, strlen(json), arena, &err);
    if (!event)
        fail_msg("%s in %s", err.text, json);
    buf_init(&packed, 0);
    buf_init(&record, 0);
    assert_int_equal(wire_encode(WIRE_PROTOBUF, event, &packed), 0);
    assert_int_equal(recordio_append(&record, buf_data(&packed), buf_len(&packed)), 0);
    if (a->stream)
        (void)http_stream_write(a->stream, buf_data(&record), buf_len(&record)); /* closed tells */
    buf_deinit(&packed);
    buf_deinit(&record);
    arena_free(arena);
}

static inline void on_stream_closed(void *ctx, struct http_exchange *x)
{
    struct agent *a = ctx;
    if (a->stream == x)
        a->stream = NULL;
}

static inline void acknowledge(struct agent *a, const Mesos__V1__TaskStatus *status)
{
    char json[512];
    struct buf uuid;
    buf_init(&uuid, 0);
    text_base64_encode(status->uuid.data, status->uuid.len, &uuid);
    char *text = buf_steal_str(&uuid);
    (void)snprintf(json, sizeof(json),
                   "{\"type\":\"ACKNOWLEDGED\",\"acknowledged\":{\"task_id\":{\"value\":\"%s\"},\"uuid\":\"%s\"}}",
                   status->task_id->value, text);
    free(text);
    buf_deinit(&uuid);
    send_event(a, json);
}

static inline void take_update(struct agent *a, const Mesos__V1__TaskStatus *status)
{
    size_t len = strlen(a->log);
    assert_int_equal(status->uuid.len, 16);
    for (size_t i = 0; i < a->uuid_count; i++)
        if (memcmp(a->uuids[i], status->uuid.data, 16) == 0) {
            acknowledge(a, status);
            return;
        }
    assert_true(a->uuid_count < 64);
    memcpy(a->uuids[a->uuid_count++], status->uuid.data, 16);
    (void)snprintf(a->message, sizeof(a->message), "%s", status->message ? status->message : "");
    (void)snprintf(a->log + len, sizeof(a->log) - len, "%s%s:%s%s", len ? " " : "", status->task_id->value,
                   wire_enum_name(&mesos__v1__task_state__descriptor, status->state) + strlen("TASK_"),
                   !status->has_healthy ? "" : (status->healthy ? "/healthy" : "/unhealthy"));
    if (!a->withholds_acks)
        acknowledge(a, status);
}

static inline void on_update(struct agent *a, const Mesos__V1__TaskStatus *status)
{
    take_update(a, status);
    if (a->wait_for && strstr(a->log, a->wait_for)) {
        a->wait_for = NULL;
        send_event(a, a->event);
    }
    if (a->cut_for && a->stream && strstr(a->log, a->cut_for)) {
        a->cut_for = NULL;
        http_exchange_abort(a->stream);
        a->stream = NULL;
        a->withholds_acks = false;
    }
}

static inline void on_request(void *ctx, struct http_exchange *x, const struct http_message *request)
{
    struct agent *a = ctx;
    if (strcmp(request->path, "/moved") == 0) {
        http_add_header(x, "Location", "/healthy");
        http_reply_text(x, 302, "there");
        return;
    }
    if (strcmp(request->path, "/healthy") == 0) {
        a->health_requests++;
        http_reply_text(x, 200, "fine");
        return;
    }
    assert_string_equal(request->path, "/api/v1/executor");
    assert_string_equal(http_header(request, "Content-Type"), "application/x-protobuf");
    assert_string_equal(http_header(request, "Authorization"), "Bearer the-token");
    struct err err = {0};
    const Mesos__V1__Executor__Call *call = (const Mesos__V1__Executor__Call *)wire_unpack(
        &mesos__v1__executor__call__descriptor, request->body, request->body_len, http_exchange_arena(x), &err);
    assert_non_null(call);
    if (call->type == MESOS__V1__EXECUTOR__CALL__TYPE__UPDATE) {
        http_reply(x, 202, NULL, NULL, 0);
        on_update(a, call->update->status);
        return;
    }
    assert_int_equal(call->type, MESOS__V1__EXECUTOR__CALL__TYPE__SUBSCRIBE);
    a->told_tasks = call->subscribe->n_unacknowledged_tasks;
    a->told_updates = call->subscribe->n_unacknowledged_updates;
    http_stream_begin(x, 200, "application/x-protobuf", 0);
    http_exchange_on_closed(x, on_stream_closed, a);
    a->stream = x;
    a->subscriptions++;
    send_event(a, a->subscribed);
    for (size_t i = 0; i < call->subscribe->n_unacknowledged_updates; i++)
        take_update(a, call->subscribe->unacknowledged_updates[i]->status);
    for (size_t i = 0; i < 8 && a->script[i] && a->subscriptions == 1; i++)
        send_event(a, a->script[i]);
}

static inline void on_finished(void *ctx, int exit_status)
{
    struct agent *a = ctx;
    a->is_finished = true;
    a->exit_status = exit_status;
    loop_stop(a->loop);
}

static inline void on_deadline(void *ctx)
{
    struct agent *a = ctx;
    a->is_late = true;
    loop_stop(a->loop);
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

#define SUBSCRIBED(type)                                                                                                   \
    "{\"type\":\"SUBSCRIBED\",\"subscribed\":{\"executor_info\":{\"type\":\"" type                                         \
    "\",\"executor_id\":{\"value\":\"executor\"}},\"framework_info\":{\"user\":\"root\",\"name\":\"f\",\"capabilities\":[" \
    "{"                                                                                                                    \
    "\"type\":\"TASK_KILLING_STATE\"}]},\"agent_info\":{\"hostname\":\"h\"},\"container_id\":{\"value\":\"container\"}}}"
#define TASK(id, command, more)                                                                                            \
    "{\"name\":\"n\",\"task_id\":{\"value\":\"" id "\"},\"agent_id\":{\"value\":\"a\"},\"command\":" command more "}"
#define SHELL(text) "{\"value\":\"" text "\"}"
#define LAUNCH(task) "{\"type\":\"LAUNCH\",\"launch\":{\"task\":" task "}}"
#define LAUNCH_GROUP(tasks) "{\"type\":\"LAUNCH_GROUP\",\"launch_group\":{\"task_group\":{\"tasks\":[" tasks "]}}}"
#define KILL(id, ms)                                                                                                       \
    "{\"type\":\"KILL\",\"kill\":{\"task_id\":{\"value\":\"" id                                                            \
    "\"},\"kill_policy\":{\"grace_period\":{\"nanoseconds\":" ms "000000}}}}"

static inline void agent_init(struct agent *a, const char *subscribed)
{
    struct http_server_config config = {.ip = "127.0.0.1"};
    struct err err = {0};
    memset(a, 0, sizeof(*a));
    a->subscribed = subscribed;
    (void)snprintf(a->sandbox, sizeof(a->sandbox), "/tmp/muster-test-executor-XXXXXX");
    assert_non_null(mkdtemp(a->sandbox));
    a->loop = loop_ev_new();
    assert_non_null(a->loop);
    assert_int_equal(http_server_start(a->loop, &config, on_request, a, &a->server, &err), 0);
    a->deadline = loop_timer_add(a->loop, on_deadline, a);
}

/* Runs until the executor has finished. */
static inline void run(struct agent *a)
{
    static const char *const environment[] = {"PATH=/usr/bin:/bin", "OUTER=yes", NULL};
    struct executor_shell_config config = {.core = {.framework_id = "framework",
                                                    .executor_id = "executor",
                                                    .sandbox = a->sandbox,
                                                    .container_ip = "127.0.0.1",
                                                    .environment = environment,
                                                    .checkpoint = true,
                                                    .recovery_timeout_ms = 10000,
                                                    .backoff_max_ms = 50,
                                                    .shutdown_grace_ms = 2100,
                                                    .seed = 3},
                                           .agent_ip = "127.0.0.1",
                                           .agent_port = http_server_port(a->server),
                                           .token = "the-token"};
    a->shell = executor_shell_new(a->loop, &config, on_finished, a);
    loop_timer_start(a->deadline, DEADLINE_MS);
    loop_run(a->loop);
    if (a->is_late)
        fail_msg("not finished in time; log: %s", a->log);
    assert_true(a->is_finished);
}

static inline void agent_deinit(struct agent *a)
{
    a->shell = executor_shell_free(a->shell);
    a->server = http_server_stop(a->server);
    a->deadline = loop_timer_remove(a->deadline);
    a->loop = loop_ev_free(a->loop);
    (void)nftw(a->sandbox, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void read_file(const struct agent *a, const char *name, char *out, size_t size)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", a->sandbox, name);
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("no file %s", path);
    size_t len = fread(out, 1, size - 1, file);
    out[len] = '\0';
    (void)fclose(file);
}

/* Has the process whose number is in a file ended, or does it within 5 s? A signal sent is not yet a process ended. */
static inline bool is_gone(const struct agent *a, const char *name)
{
    char text[64];
    read_file(a, name, text, sizeof(text));
    pid_t pid = (pid_t)strtol(text, NULL, 10);
    assert_true(pid > 1);
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return errno == ESRCH;
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    bool is_ended = poll(&poll_fd, 1, 5000) == 1;
    (void)close(fd);
    return is_ended;
}
