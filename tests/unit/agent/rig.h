/* SPDX-License-Identifier: Apache-2.0
 * rig.h - an agent's core on a bench: a disk, a master, executors and a launcher that do what the test says. Effects become
 * lines of text, so that the expected trace is the test. Every step ends with the core's own checks. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/agent.h"
#include "common/base/buf.h"
#include "common/base/check.h"
#include "common/base/map.h"
#include "common/wire/codec.h"

#define RIG_FRAMEWORK "f-1"
#define RIG_AGENT "m-S0"
#define RIG_STATUSES_MAX 4096

struct rig_blob {
    size_t len;
    uint8_t bytes[];
};

struct rig {
    struct agent *a;
    struct agent_effects fx;
    struct agent_config config;
    Mesos__V1__AgentInfo *info;
    struct arena *arena; /* lives as long as the rig */
    int64_t now_ms, wall_ms;
    struct map disk;      /* key to rig_blob */
    struct map executors; /* container id to executor id */
    int64_t writes_left;  /* batches the disk still takes; then they are lost, and not reported as done */
    bool hold_store;      /* writes stay in flight until rig_stored */
    uint64_t held[256];
    size_t held_count;
    struct buf trace;
    link_id link;
    uint64_t next_uuid, next_request;
    char uuids[RIG_STATUSES_MAX][16]; /* of the statuses the master got and has not acknowledged */
    char uuid_tasks[RIG_STATUSES_MAX][64];
    size_t uuid_count;
    char last_launch[8192];    /* environment of the newest launch, sorted as given, one per line */
    struct launcher_spec spec; /* newest; pointers end with the next step */
    int exit_status;
    char volumes_of[64];          /* the operation whose volumes were asked for last */
    uint8_t operation_status[16]; /* uuid of the newest operation status */
    bool partition_aware, no_checkpoint, ended;
    const char *boot_id;
};

/* -- wire helpers --------------------------------------------------------------------------------------------- */

#define RIG_JSON(r, type, text) rig_json(r, &type##__descriptor, text)
static inline void *rig_json(struct rig *r, const ProtobufCMessageDescriptor *type, const char *text)
{
    struct err err = {""};
    void *m = wire_decode(WIRE_JSON, type, text, strlen(text), r->arena, &err);
    if (m == NULL)
        fail_msg("%s in %s", err.text, text);
    return m;
}

static inline ProtobufCBinaryData rig_pack(struct rig *r, const void *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = arena_must_alloc(r->arena, len + 1);
    (void)protobuf_c_message_pack(message, bytes);
    return (ProtobufCBinaryData){.data = bytes, .len = len};
}

/* -- effects to text ------------------------------------------------------------------------------------------ */

static inline void rig_line(struct rig *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void rig_line(struct rig *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)buf_vprintf(&r->trace, fmt, ap);
    va_end(ap);
    (void)buf_append_char(&r->trace, '\n');
}

static inline void rig_step(struct rig *r, struct agent_event *in);

static inline const char *rig_state(int state)
{
    return wire_enum_name(&mesos__v1__task_state__descriptor, state) + strlen("TASK_");
}

static inline const char *rig_reason(const Mesos__V1__TaskStatus *s)
{
    if (!s->has_reason)
        return "";
    return wire_enum_name(&mesos__v1__task_status__reason__descriptor, (int)s->reason) + strlen("REASON");
}

static inline void rig_on_send(struct rig *r, const Muster__Link__AgentToMaster *m)
{
    if (m->hello)
        rig_line(r, "> hello");
    if (m->register_)
        rig_line(r, "> register");
    if (m->reregister) {
        struct buf tasks;
        buf_init(&tasks, 0);
        for (size_t i = 0; i < m->reregister->n_tasks; i++) {
            const Mesos__V1__Task *t = (void *)wire_unpack(&mesos__v1__task__descriptor, m->reregister->tasks[i].data,
                                                           m->reregister->tasks[i].len, r->arena, NULL);
            assert_non_null(t);
            (void)buf_printf(&tasks, " %s:%s", t->task_id->value, rig_state((int)t->state));
        }
        assert_string_equal(m->reregister->agent_info->id->value, RIG_AGENT);
        if (m->reregister->n_total > 0 || m->reregister->n_operations > 0)
            (void)buf_printf(&tasks, " total=%zu operations=%zu", m->reregister->n_total, m->reregister->n_operations);
        rig_line(r, "> reregister frameworks=%zu executors=%zu%.*s", m->reregister->n_frameworks,
                 m->reregister->n_executors, (int)buf_len(&tasks), (const char *)buf_data(&tasks));
        buf_deinit(&tasks);
    }
    if (m->status_update) {
        const Mesos__V1__TaskStatus *s = m->status_update->status;
        assert_true(s->has_uuid && s->uuid.len == 16 && s->has_timestamp);
        assert_string_equal(s->agent_id->value, RIG_AGENT);
        rig_line(r, "> status %s %s%s", s->task_id->value, rig_state((int)s->state), rig_reason(s));
        assert_true(r->uuid_count < RIG_STATUSES_MAX);
        memcpy(r->uuids[r->uuid_count], s->uuid.data, 16);
        snprintf(r->uuid_tasks[r->uuid_count++], 64, "%s", s->task_id->value);
    }
    if (m->operation_status_update) {
        const Muster__Link__OperationStatusUpdate *u = m->operation_status_update;
        assert_true(u->operation_uuid.len == 16 && u->status->uuid->value.len == 16);
        memcpy(r->operation_status, u->status->uuid->value.data, 16);
        rig_line(r, "> operation %c %s%s%s total=%zu", u->operation_uuid.data[0],
                 wire_enum_name(&mesos__v1__operation_state__descriptor, (int)u->status->state) + strlen("OPERATION_"),
                 u->status->message ? ": " : "", u->status->message ? u->status->message : "", u->n_total);
    }
    if (m->exited_executor)
        rig_line(r, "> exited %s %d", m->exited_executor->executor_id->value, m->exited_executor->status);
    if (m->executor_message)
        rig_line(r, "> message %s %.*s", m->executor_message->executor_id->value, (int)m->executor_message->data.len,
                 (const char *)m->executor_message->data.data);
    if (m->pong)
        rig_line(r, "> pong %llu", (unsigned long long)m->pong->sequence);
    if (m->unregister)
        rig_line(r, "> unregister");
}

static inline void rig_on_stream(struct rig *r, stream_id stream, const Mesos__V1__Executor__Event *e)
{
    const char *type = wire_enum_name(&mesos__v1__executor__event__type__descriptor, (int)e->type);
    struct buf more;
    buf_init(&more, 0);
    if (e->launch)
        (void)buf_printf(&more, " %s", e->launch->task->task_id->value);
    if (e->launch_group) {
        for (size_t i = 0; i < e->launch_group->task_group->n_tasks; i++)
            (void)buf_printf(&more, " %s", e->launch_group->task_group->tasks[i]->task_id->value);
    }
    if (e->kill)
        (void)buf_printf(&more, " %s", e->kill->task_id->value);
    if (e->kill && e->kill->kill_policy)
        (void)buf_printf(&more, " grace=%lldms", (long long)e->kill->kill_policy->grace_period->nanoseconds / 1000000);
    if (e->acknowledged)
        (void)buf_printf(&more, " %s", e->acknowledged->task_id->value);
    if (e->message)
        (void)buf_printf(&more, " %.*s", (int)e->message->data.len, (const char *)e->message->data.data);
    rig_line(r, "stream %llu %s%.*s", (unsigned long long)stream, type, (int)buf_len(&more), (const char *)buf_data(&more));
    buf_deinit(&more);
}

static inline const char *rig_executor_of(struct rig *r, const char *container)
{
    const char *e = map_get(&r->executors, container);
    return e ? e : "?";
}

static inline void rig_on_launch(struct rig *r, const struct launcher_spec *s)
{
    size_t at = 0;
    const char *executor = "?";
    r->last_launch[0] = '\0';
    for (size_t i = 0; i < s->env_count; i++) {
        if (strcmp(s->env[i].name, "MESOS_EXECUTOR_ID") == 0)
            executor = s->env[i].value;
        at +=
            (size_t)snprintf(r->last_launch + at, sizeof(r->last_launch) - at, "%s=%s\n", s->env[i].name, s->env[i].value);
        assert_true(at < sizeof(r->last_launch));
    }
    r->spec = *s;
    free(map_put(&r->executors, s->container_id, xstrdup(executor)));
    rig_line(r, "launch %s %s", executor, s->builtin_executor ? "builtin" : s->shell ? s->shell : s->argv[0]);
}

static inline void rig_store(struct rig *r, const struct agent_effect *e)
{
    for (size_t i = 0; i < e->store.count; i++) {
        const struct store_write *w = &e->store.writes[i];
        if (w->value == NULL && e->store.token != 0) {
            free(map_remove_n(&r->disk, w->key, w->key_len));
            continue;
        }
        struct rig_blob *b = xcalloc(1, sizeof(*b) + w->value_len);
        b->len = w->value_len;
        memcpy(b->bytes, w->value, w->value_len);
        free(map_put_n(&r->disk, w->key, w->key_len, b));
    }
}

static inline void rig_on_volumes(struct rig *r, const struct agent_effect *e)
{
    struct buf ids;
    buf_init(&ids, 0);
    for (size_t i = 0; i < e->volumes.count; i++)
        (void)buf_printf(&ids, " %s", e->volumes.list[i]->disk->persistence->id);
    rig_line(r, "%s volumes%s%.*s", e->volumes.is_create ? "make" : "remove", e->volumes.is_repeated ? " again" : "",
             (int)buf_len(&ids), (const char *)buf_data(&ids));
    buf_deinit(&ids);
    snprintf(r->volumes_of, sizeof(r->volumes_of), "%s", e->volumes.operation);
}

/* Held writes are on the disk's way: they are applied at once here, but the agent is told only by rig_stored. */
static inline void rig_effects(struct rig *r)
{
    uint64_t tokens[8];
    size_t token_count = 0;
    for (size_t i = 0; i < r->fx.count; i++) {
        const struct agent_effect *e = &r->fx.list[i];
        switch (e->type) {
        case AGENT_OUT_LINK_OPEN:
            r->link = e->link.link;
            rig_line(r, "open");
            break;
        case AGENT_OUT_LINK_SEND:
            assert_int_equal(e->link.link, r->link);
            rig_on_send(r, e->link.message);
            break;
        case AGENT_OUT_LINK_CLOSE:
            rig_line(r, "close");
            break;
        case AGENT_OUT_REPLY:
            rig_line(r, "reply %llu %d", (unsigned long long)e->reply.request, e->reply.status);
            break;
        case AGENT_OUT_STREAM_OPEN:
            rig_line(r, "stream %llu open", (unsigned long long)e->stream.stream);
            break;
        case AGENT_OUT_STREAM_SEND:
            rig_on_stream(r, e->stream.stream, e->stream.event);
            break;
        case AGENT_OUT_STREAM_CLOSE:
            rig_line(r, "stream %llu close", (unsigned long long)e->stream.stream);
            break;
        case AGENT_OUT_STORE:
            if (r->writes_left <= 0)
                break;
            r->writes_left--;
            rig_store(r, e);
            tokens[token_count++] = e->store.token;
            break;
        case AGENT_OUT_RECOVER:
            rig_line(r, "recover %zu", e->recover.count);
            break;
        case AGENT_OUT_LAUNCH:
            rig_on_launch(r, e->launch);
            break;
        case AGENT_OUT_UPDATE_LIMITS:
            rig_line(r, "limits %s cpu=%lld quota=%lld soft=%lld hard=%lld",
                     rig_executor_of(r, e->update_limits.container_id), (long long)e->update_limits.limits.cpu_millis,
                     (long long)e->update_limits.limits.cpu_quota_millis,
                     (long long)e->update_limits.limits.memory_soft_bytes >> 20,
                     (long long)e->update_limits.limits.memory_hard_bytes >> 20);
            break;
        case AGENT_OUT_DESTROY:
            rig_line(r, "destroy %s", rig_executor_of(r, e->destroy));
            break;
        case AGENT_OUT_REMOVE_SANDBOX:
            rig_line(r, "remove %s", rig_executor_of(r, e->remove_sandbox.container_id));
            break;
        case AGENT_OUT_VOLUMES:
            rig_on_volumes(r, e);
            break;
        case AGENT_OUT_TRACE:
            break;
        case AGENT_OUT_EXIT:
            r->ended = true;
            r->exit_status = e->exit.status;
            rig_line(r, "exit %d %s", e->exit.status, e->exit.text);
            break;
        }
    }
    assert_true(token_count <= 1);
    for (size_t i = 0; i < token_count; i++) {
        if (r->hold_store) {
            assert_true(r->held_count < 256);
            r->held[r->held_count++] = tokens[i];
            continue;
        }
        struct agent_event in = {.type = AGENT_IN_STORE_DONE, .store_done = {.token = tokens[i]}};
        rig_step(r, &in);
    }
}

static inline void rig_step(struct rig *r, struct agent_event *in)
{
    in->now_ms = r->now_ms;
    in->wall_ms = r->wall_ms;
    if (r->ended) {
        assert_int_not_equal(agent_step(r->a, in, &r->fx), 0);
        return;
    }
    assert_int_equal(agent_step(r->a, in, &r->fx), 0);
    agent_check_invariants(r->a);
    rig_effects(r);
}

static inline void rig_stored(struct rig *r)
{
    r->hold_store = false;
    for (size_t i = 0; i < r->held_count; i++) {
        struct agent_event in = {.type = AGENT_IN_STORE_DONE, .store_done = {.token = r->held[i]}};
        rig_step(r, &in);
    }
    r->held_count = 0;
}

/* The lines since the last call. */
#define rig_expect(r, text) rig_expect_at(r, text, __FILE__, __LINE__)
static inline void rig_expect_at(struct rig *r, const char *text, const char *file, int line)
{
    char *got = buf_steal_str(&r->trace);
    if (strcmp(got, text) != 0)
        print_error("expected:\n%sgot:\n%s", text, got);
    _assert_true(strcmp(got, text) == 0, "trace as expected", file, line);
    free(got);
}

static inline void rig_forget_trace(struct rig *r)
{
    buf_clear(&r->trace);
}

/* -- life cycle ----------------------------------------------------------------------------------------------- */

static inline void rig_boot(struct rig *r)
{
    size_t n = 0;
    struct agent_item *items = arena_new_array(r->arena, struct agent_item, map_count(&r->disk) + 1);
    for (struct map_entry *e = map_first(&r->disk); e != NULL; e = map_next(e)) {
        const struct rig_blob *b = map_value(e);
        items[n++] =
            (struct agent_item){.key = map_key(e), .key_len = strlen(map_key(e)), .value = b->bytes, .value_len = b->len};
    }
    r->config.info = r->info;
    r->a = agent_new(&r->config);
    struct agent_event in = {.type = AGENT_IN_STARTED, .started = {.items = items, .count = n, .boot_id = r->boot_id}};
    rig_step(r, &in);
}

static inline struct rig *rig_new(void)
{
    struct rig *r = xcalloc(1, sizeof(*r));
    r->arena = arena_new((size_t)1 << 30);
    agent_effects_init(&r->fx);
    buf_init(&r->trace, 0);
    map_init(&r->disk);
    map_init(&r->executors);
    r->writes_left = INT64_MAX;
    r->now_ms = 1000000;
    r->wall_ms = 1700000000000;
    r->boot_id = "boot-1";
    r->partition_aware = true;
    r->info = RIG_JSON(r, mesos__v1__agent_info,
                       "{\"hostname\":\"h1\",\"port\":5051,\"resources\":["
                       "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4}},"
                       "{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4096}}],"
                       "\"attributes\":[{\"name\":\"rack\",\"type\":\"TEXT\",\"text\":{\"value\":\"a\"}}]}");
    r->config = (struct agent_config){.ip = "10.0.0.7", .work_dir = "/var/lib/muster", .version = "0.1.0", .seed = 7};
    return r;
}

static inline void rig_crash(struct rig *r)
{
    r->a = agent_free(r->a);
    r->held_count = 0;
    r->hold_store = false;
    r->uuid_count = 0;
    r->link = 0;
    r->ended = false;
    r->config.seed++;
    rig_forget_trace(r);
}

static inline void rig_free(struct rig *r)
{
    (void)agent_free(r->a);
    agent_effects_deinit(&r->fx);
    buf_deinit(&r->trace);
    for (struct map_entry *e = map_first(&r->disk); e != NULL; e = map_next(e))
        free(map_value(e));
    for (struct map_entry *e = map_first(&r->executors); e != NULL; e = map_next(e))
        free(map_value(e));
    map_deinit(&r->disk);
    map_deinit(&r->executors);
    (void)arena_free(r->arena);
    free(r);
}

/* -- time ----------------------------------------------------------------------------------------------------- */

static inline void rig_tick(struct rig *r)
{
    struct agent_event in = {.type = AGENT_IN_TICK};
    rig_step(r, &in);
}

/* Goes from deadline to deadline. */
static inline void rig_wait(struct rig *r, int64_t ms)
{
    int64_t end = r->now_ms + ms;
    while (!r->ended && agent_next_deadline(r->a) <= end) {
        int64_t at = agent_next_deadline(r->a);
        if (at > r->now_ms) {
            r->wall_ms += at - r->now_ms;
            r->now_ms = at;
        }
        rig_tick(r);
    }
    r->wall_ms += end - r->now_ms;
    r->now_ms = end;
}

/* -- the launcher --------------------------------------------------------------------------------------------- */

static inline void rig_recovered(struct rig *r)
{
    struct agent_event in = {.type = AGENT_IN_CONTAINERS_RECOVERED};
    rig_step(r, &in);
}

static inline const char *rig_container(struct rig *r, const char *executor)
{
    const char *found = NULL;
    for (struct map_entry *e = map_first(&r->executors); e != NULL; e = map_next(e)) {
        if (strcmp(map_value(e), executor) == 0)
            found = map_key(e); /* the newest */
    }
    assert_non_null(found);
    return found;
}

static inline void rig_container_started(struct rig *r, const char *executor)
{
    struct agent_event in = {.type = AGENT_IN_CONTAINER_STARTED,
                             .container = {.id = rig_container(r, executor), .pid = 4711}};
    rig_step(r, &in);
}

static inline void rig_container_ended(struct rig *r, const char *executor, enum launcher_end_reason reason, int status)
{
    struct launcher_end end = {.reason = reason, .status = status, .message = "m", .memory_limit_bytes = 64 << 20};
    struct agent_event in = {.type = AGENT_IN_CONTAINER_ENDED,
                             .container = {.id = rig_container(r, executor), .end = &end}};
    rig_step(r, &in);
}

/* -- the master ----------------------------------------------------------------------------------------------- */

static inline void rig_from_master(struct rig *r, const Muster__Link__MasterToAgent *m)
{
    struct agent_event in = {.type = AGENT_IN_LINK_MESSAGE, .link = {.link = r->link, .message = m}};
    rig_step(r, &in);
}

static inline void rig_link_up(struct rig *r)
{
    struct agent_event in = {.type = AGENT_IN_LINK_UP, .link = {.link = r->link}};
    rig_step(r, &in);
}

static inline void rig_link_down(struct rig *r)
{
    struct agent_event in = {.type = AGENT_IN_LINK_DOWN, .link = {.link = r->link, .text = "closed"}};
    rig_step(r, &in);
}

static inline void rig_registered(struct rig *r, bool again)
{
    Mesos__V1__AgentID id = MESOS__V1__AGENT_ID__INIT;
    id.value = (char *)(uintptr_t)RIG_AGENT;
    Muster__Link__Registered registered = MUSTER__LINK__REGISTERED__INIT;
    registered.agent_id = &id;
    registered.ping_timeout_total_ms = 75000;
    Muster__Link__MasterToAgent m = MUSTER__LINK__MASTER_TO_AGENT__INIT;
    if (again)
        m.reregistered = &registered;
    else
        m.registered = &registered;
    rig_from_master(r, &m);
}

static inline void rig_ping(struct rig *r, uint64_t sequence, bool connected)
{
    Muster__Link__Ping ping = MUSTER__LINK__PING__INIT;
    ping.sequence = sequence;
    ping.has_connected = true;
    ping.connected = connected;
    Muster__Link__MasterToAgent m = MUSTER__LINK__MASTER_TO_AGENT__INIT;
    m.ping = &ping;
    rig_from_master(r, &m);
}

/* From nothing to registered. */
static inline struct rig *rig_ready(void)
{
    struct rig *r = rig_new();
    rig_boot(r);
    rig_recovered(r);
    rig_link_up(r);
    rig_registered(r, false);
    rig_forget_trace(r);
    return r;
}

static inline void rig_reconnect(struct rig *r)
{
    rig_link_down(r);
    rig_wait(r, 1000);
    rig_link_up(r);
    rig_registered(r, true);
}

static inline const Mesos__V1__FrameworkInfo *rig_framework(struct rig *r)
{
    return RIG_JSON(r, mesos__v1__framework_info,
                    arena_printf(r->arena,
                                 "{\"user\":\"svc\",\"name\":\"marathon\",\"id\":{\"value\":\"%s\"},\"checkpoint\":%s%s}",
                                 RIG_FRAMEWORK, r->no_checkpoint ? "false" : "true",
                                 r->partition_aware ? ",\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]" : ""));
}

#define RIG_RESOURCES(cpus, mem)                                                                                           \
    "\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" #cpus                                   \
    "},\"allocation_info\":{\"role\":\"web\"}},"                                                                           \
    "{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" #mem "},\"allocation_info\":{\"role\":\"web\"}}]"

/* more: further members of TaskInfo as JSON, beginning with a comma, or "". */
static inline Mesos__V1__TaskInfo *rig_task(struct rig *r, const char *id, const char *more)
{
    return RIG_JSON(
        r, mesos__v1__task_info,
        arena_printf(
            r->arena,
            "{\"name\":\"n\",\"task_id\":{\"value\":\"%s\"},\"agent_id\":{\"value\":\"%s\"}," RIG_RESOURCES(1, 128) "%s}",
            id, RIG_AGENT, more));
}

static inline void rig_run(struct rig *r, Mesos__V1__TaskInfo *const *tasks, size_t n, const char *group_executor)
{
    Muster__Link__RunTasks run = MUSTER__LINK__RUN_TASKS__INIT;
    run.framework_info = rig_pack(r, rig_framework(r));
    run.n_tasks = n;
    run.tasks = arena_new_array(r->arena, ProtobufCBinaryData, n + 1);
    for (size_t i = 0; i < n; i++)
        run.tasks[i] = rig_pack(r, tasks[i]);
    if (group_executor != NULL) {
        run.has_group = run.group = true;
        run.has_executor = true;
        run.executor = rig_pack(
            r, RIG_JSON(r, mesos__v1__executor_info,
                        arena_printf(r->arena,
                                     "{\"type\":\"DEFAULT\",\"executor_id\":{\"value\":\"%s\"}," RIG_RESOURCES(0.1, 32) "}",
                                     group_executor)));
    }
    Muster__Link__MasterToAgent m = MUSTER__LINK__MASTER_TO_AGENT__INIT;
    m.run_tasks = &run;
    rig_from_master(r, &m);
}

static inline void rig_run_command(struct rig *r, const char *id)
{
    Mesos__V1__TaskInfo *t = rig_task(r, id, ",\"command\":{\"value\":\"sleep 1000\"}");
    rig_run(r, &t, 1, NULL);
}

static inline void rig_run_custom(struct rig *r, const char *id, const char *executor)
{
    Mesos__V1__TaskInfo *t = rig_task(
        r, id,
        arena_printf(
            r->arena,
            ",\"executor\":{\"type\":\"CUSTOM\",\"executor_id\":{\"value\":\"%s\"},\"framework_id\":{\"value\":\"%s\"},"
            "\"command\":{\"value\":\"./run\"}," RIG_RESOURCES(0.5, 64) "}",
            executor, RIG_FRAMEWORK));
    rig_run(r, &t, 1, NULL);
}

static inline Mesos__V1__FrameworkID *rig_framework_id(struct rig *r)
{
    return RIG_JSON(r, mesos__v1__framework_id, "{\"value\":\"" RIG_FRAMEWORK "\"}");
}

static inline void rig_kill(struct rig *r, const char *task)
{
    Muster__Link__KillTask kill = MUSTER__LINK__KILL_TASK__INIT;
    kill.framework_id = rig_framework_id(r);
    kill.task_id = RIG_JSON(r, mesos__v1__task_id, arena_printf(r->arena, "{\"value\":\"%s\"}", task));
    Muster__Link__MasterToAgent m = MUSTER__LINK__MASTER_TO_AGENT__INIT;
    m.kill_task = &kill;
    rig_from_master(r, &m);
}

static inline void rig_shutdown_framework(struct rig *r)
{
    Muster__Link__ShutdownFramework shutdown = MUSTER__LINK__SHUTDOWN_FRAMEWORK__INIT;
    shutdown.framework_id = rig_framework_id(r);
    Muster__Link__MasterToAgent m = MUSTER__LINK__MASTER_TO_AGENT__INIT;
    m.shutdown_framework = &shutdown;
    rig_from_master(r, &m);
}

static inline void rig_shutdown_executor(struct rig *r, const char *executor)
{
    Muster__Link__ShutdownExecutor shutdown = MUSTER__LINK__SHUTDOWN_EXECUTOR__INIT;
    shutdown.framework_id = rig_framework_id(r);
    shutdown.executor_id = RIG_JSON(r, mesos__v1__executor_id, arena_printf(r->arena, "{\"value\":\"%s\"}", executor));
    Muster__Link__MasterToAgent m = MUSTER__LINK__MASTER_TO_AGENT__INIT;
    m.shutdown_executor = &shutdown;
    rig_from_master(r, &m);
}

static inline void rig_acknowledge_uuid(struct rig *r, const char *task, const void *uuid)
{
    Muster__Link__AcknowledgeUpdate ack = MUSTER__LINK__ACKNOWLEDGE_UPDATE__INIT;
    ack.framework_id = rig_framework_id(r);
    ack.task_id = RIG_JSON(r, mesos__v1__task_id, arena_printf(r->arena, "{\"value\":\"%s\"}", task));
    ack.uuid = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)uuid, .len = 16};
    Muster__Link__MasterToAgent m = MUSTER__LINK__MASTER_TO_AGENT__INIT;
    m.acknowledge_update = &ack;
    rig_from_master(r, &m);
}

/* Acknowledges the oldest status of the task that the master got. */
static inline void rig_acknowledge(struct rig *r, const char *task)
{
    for (size_t i = 0; i < r->uuid_count; i++) {
        if (strcmp(r->uuid_tasks[i], task) != 0)
            continue;
        char uuid[16];
        memcpy(uuid, r->uuids[i], 16);
        r->uuid_count--;
        memmove(r->uuids[i], r->uuids[i + 1], (r->uuid_count - i) * 16);
        memmove(r->uuid_tasks[i], r->uuid_tasks[i + 1], (r->uuid_count - i) * 64);
        rig_acknowledge_uuid(r, task, uuid);
        return;
    }
    fail_msg("no status of %s to acknowledge", task);
}

/* -- executors ------------------------------------------------------------------------------------------------ */

static inline void rig_call(struct rig *r, const char *json, stream_id stream)
{
    struct agent_event in = {
        .type = AGENT_IN_EXECUTOR_CALL,
        .executor = {.request = ++r->next_request, .stream = stream, .call = RIG_JSON(r, mesos__v1__executor__call, json)}};
    rig_step(r, &in);
}

/* tasks: JSON array members for unacknowledged_tasks; updates likewise. */
static inline void rig_subscribe_with(struct rig *r, const char *executor, stream_id stream, const char *tasks,
                                      const char *updates)
{
    rig_call(r,
             arena_printf(r->arena,
                          "{\"type\":\"SUBSCRIBE\",\"executor_id\":{\"value\":\"%s\"},\"framework_id\":{\"value\":\"%s\"},"
                          "\"subscribe\":{\"unacknowledged_tasks\":[%s],\"unacknowledged_updates\":[%s]}}",
                          executor, RIG_FRAMEWORK, tasks, updates),
             stream);
}

static inline void rig_subscribe(struct rig *r, const char *executor, stream_id stream)
{
    rig_subscribe_with(r, executor, stream, "", "");
}

static inline const char *rig_status_json(struct rig *r, const char *task, const char *state, uint64_t uuid)
{
    char text[17];
    snprintf(text, sizeof(text), "%016llu", (unsigned long long)uuid);
    struct buf b64;
    buf_init(&b64, 0);
    (void)buf_printf(&b64, "%s", "");
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < 16; i += 3) {
        uint32_t v = (uint32_t)(uint8_t)text[i] << 16;
        v |= i + 1 < 16 ? (uint32_t)(uint8_t)text[i + 1] << 8 : 0;
        v |= i + 2 < 16 ? (uint32_t)(uint8_t)text[i + 2] : 0;
        (void)buf_append_char(&b64, digits[v >> 18]);
        (void)buf_append_char(&b64, digits[v >> 12 & 63]);
        (void)buf_append_char(&b64, i + 1 < 16 ? digits[v >> 6 & 63] : '=');
        (void)buf_append_char(&b64, i + 2 < 16 ? digits[v & 63] : '=');
    }
    char *encoded = buf_steal_str(&b64);
    const char *json = arena_printf(r->arena,
                                    "{\"task_id\":{\"value\":\"%s\"},\"state\":\"TASK_%s\",\"source\":\"SOURCE_EXECUTOR\","
                                    "\"uuid\":\"%s\"}",
                                    task, state, encoded);
    free(encoded);
    buf_deinit(&b64);
    return json;
}

static inline void rig_update_uuid(struct rig *r, const char *executor, const char *task, const char *state, uint64_t uuid)
{
    rig_call(r,
             arena_printf(r->arena,
                          "{\"type\":\"UPDATE\",\"executor_id\":{\"value\":\"%s\"},\"framework_id\":{\"value\":\"%s\"},"
                          "\"update\":{\"status\":%s}}",
                          executor, RIG_FRAMEWORK, rig_status_json(r, task, state, uuid)),
             0);
}

static inline void rig_update(struct rig *r, const char *executor, const char *task, const char *state)
{
    rig_update_uuid(r, executor, task, state, ++r->next_uuid);
}

static inline void rig_stream_closed(struct rig *r, stream_id stream)
{
    struct agent_event in = {.type = AGENT_IN_STREAM_CLOSED, .stream_closed = stream};
    rig_step(r, &in);
}

/* A command task up to RUNNING, acknowledged; its executor's stream has this number. */
static inline void rig_run_to_running(struct rig *r, const char *task, stream_id stream)
{
    rig_run_command(r, task);
    if (map_count(&r->executors) == 0)
        return; /* the disk takes nothing any more */
    rig_container_started(r, task);
    rig_subscribe(r, task, stream);
    rig_update(r, task, task, "STARTING");
    if (r->uuid_count > 0)
        rig_acknowledge(r, task);
    rig_update(r, task, task, "RUNNING");
    if (r->uuid_count > 0)
        rig_acknowledge(r, task);
    rig_forget_trace(r);
}
