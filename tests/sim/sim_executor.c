/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_executor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/wire/codec.h"
#include "executor/executor.h"
#include "sim/sim_net.h"

#define PROCESSES_MAX 16
#define QUIT_MS_MAX 500 /* of a process that heeds SIGTERM */

struct process {
    executor_process_id id;
    bool is_running, is_stubborn;
    int work_min_ms, work_max_ms, fail_ppm; /* max 0: runs on */
    int pending_signal;                     /* came before it ran */
    int64_t exit_ms;                        /* INT64_MAX: runs on */
    int exit_status;
};

struct sim_executor {
    struct sim_node *host, *agent;
    struct world *world;
    char name[24];
    struct executor *core;
    struct executor_effects out;
    const struct sim_executor_ops *ops;
    void *ctx;
    struct sim_conn *stream, *call;
    uint64_t stream_connection, call_connection; /* as the core numbers them */
    struct process processes[PROCESSES_MAX];
    size_t process_count;
    int64_t wake_ms;
    int refs; /* the owner, and what is scheduled */
    bool is_dead;
};

static void step(struct sim_executor *x, struct executor_event *in);

static void x_unref(struct sim_executor *x)
{
    if (--x->refs > 0)
        return;
    executor_effects_deinit(&x->out);
    free(x);
}

static void drop_ref(void *ctx)
{
    x_unref(ctx);
}

struct later {
    struct sim_executor *x;
    void (*fn)(struct sim_executor *x, uint64_t id);
    uint64_t id;
};

static void run_later(void *ctx)
{
    struct later *l = ctx;
    if (!l->x->is_dead)
        l->fn(l->x, l->id);
    x_unref(l->x);
    free(l);
}

static void drop_later(void *ctx)
{
    struct later *l = ctx;
    x_unref(l->x);
    free(l);
}

static void after(struct sim_executor *x, int64_t delay_ms, void (*fn)(struct sim_executor *, uint64_t), uint64_t id)
{
    struct later *l = xcalloc(1, sizeof(*l));
    *l = (struct later){x, fn, id};
    x->refs++;
    world_after(x->world, delay_ms, x->host, run_later, drop_later, l);
}

/* -- processes ------------------------------------------------------------------------------------------------ */

static struct process *find_process(struct sim_executor *x, uint64_t id)
{
    for (size_t i = 0; i < x->process_count; i++)
        if (x->processes[i].id == id)
            return &x->processes[i];
    return NULL;
}

static void on_process_exit(struct sim_executor *x, uint64_t id)
{
    struct process *p = find_process(x, id);
    if (p == NULL || !p->is_running || p->exit_ms > x->world->now_ms)
        return;
    int status = p->exit_status;
    *p = x->processes[--x->process_count];
    world_log(x->world, x->name, "process exits with status %d", status);
    x->ops->ended(x->ctx, status);
    struct executor_event in = {.type = EXECUTOR_EVENT_PROCESS_EXITED, .process = {.id = id, .status = status}};
    step(x, &in);
}

static void let_exit(struct sim_executor *x, struct process *p, int64_t delay_ms, int status)
{
    int64_t at = x->world->now_ms + delay_ms;
    if (at >= p->exit_ms)
        return;
    p->exit_ms = at;
    p->exit_status = status;
    after(x, delay_ms, on_process_exit, p->id);
}

static void signal_process(struct sim_executor *x, struct process *p, int signo)
{
    if (!p->is_running) {
        p->pending_signal = signo;
        return;
    }
    if (signo == SIGKILL)
        let_exit(x, p, world_draw(x->world, 0, 20), SIGKILL);
    else if (!p->is_stubborn)
        let_exit(x, p, world_draw(x->world, 0, QUIT_MS_MAX), signo);
}

static void on_process_start(struct sim_executor *x, uint64_t id)
{
    struct world *w = x->world;
    struct process *p = find_process(x, id);
    if (p == NULL)
        return;
    struct executor_event in = {.process = {.id = id}};
    if (world_chance(w, w->faults.launch_fail_ppm)) {
        *p = x->processes[--x->process_count];
        in.type = EXECUTOR_EVENT_PROCESS_FAILED;
        in.process.text = "no such program";
        step(x, &in);
        return;
    }
    p->is_running = true;
    x->ops->started(x->ctx);
    p->is_stubborn = world_chance(w, w->faults.stubborn_ppm);
    if (world_chance(w, w->faults.exit_ppm)) {
        static const int statuses[] = {0, 1 << 8, SIGSEGV};
        let_exit(x, p, world_draw(w, 0, w->faults.exit_ms_max), statuses[world_draw(w, 0, 2)]);
    }
    if (p->work_max_ms > 0)
        let_exit(x, p, world_draw(w, p->work_min_ms, p->work_max_ms), world_chance(w, (uint32_t)p->fail_ppm) ? 1 << 8 : 0);
    if (p->pending_signal != 0)
        signal_process(x, p, p->pending_signal);
    in.type = EXECUTOR_EVENT_PROCESS_STARTED;
    in.process.pid = 1000 + (int)id;
    step(x, &in);
}

static void start_process(struct sim_executor *x, executor_process_id id, const char *command)
{
    CHECK(x->process_count < PROCESSES_MAX);
    struct process *p = &x->processes[x->process_count++];
    *p = (struct process){.id = id, .exit_ms = INT64_MAX};
    if (command != NULL && sscanf(command, "work %d %d %d", &p->work_min_ms, &p->work_max_ms, &p->fail_ppm) != 3)
        p->work_max_ms = 0;
    after(x, world_draw(x->world, 0, x->world->faults.start_ms_max), on_process_start, id);
}

static void on_check_done(struct sim_executor *x, uint64_t id)
{
    struct executor_event in = {.type = EXECUTOR_EVENT_CHECK_DONE,
                                .check = {.id = id, .result = EXECUTOR_CHECK_EXITED, .value = 0}};
    step(x, &in);
}

/* -- the connections to the agent ----------------------------------------------------------------------------- */

static void on_stream_message(void *ctx, struct sim_conn *c, const struct sim_message *m)
{
    struct sim_executor *x = ctx;
    (void)c;
    struct executor_event in = {.connection = x->stream_connection};
    if (m->kind == SIM_ANSWER) {
        in.type = EXECUTOR_EVENT_STREAM_ANSWER;
        in.answer.status = m->status;
        in.answer.text = m->text;
        step(x, &in);
        return;
    }
    struct arena *a = arena_new(0);
    struct err err = {""};
    ProtobufCMessage *event = wire_unpack(&mesos__v1__executor__event__descriptor, m->body, m->len, a, &err);
    if (event == NULL) {
        world_violate(x->world, "wire", "the agent sent an executor what cannot be decoded: %s", err.text);
    } else {
        in.type = EXECUTOR_EVENT_STREAM_RECEIVED;
        in.received = (const Mesos__V1__Executor__Event *)event;
        step(x, &in);
    }
    arena_free(a);
}

static void on_stream_closed(void *ctx, struct sim_conn *c, const char *why)
{
    struct sim_executor *x = ctx;
    (void)c;
    x->stream = NULL;
    struct executor_event in = {.type = EXECUTOR_EVENT_STREAM_CLOSED, .connection = x->stream_connection};
    in.answer.text = why;
    step(x, &in);
}

static void call_done(struct sim_executor *x, int status, const char *text)
{
    x->call = NULL;
    struct executor_event in = {
        .type = EXECUTOR_EVENT_CALL_DONE, .connection = x->call_connection, .done = {.status = status, .text = text}};
    step(x, &in);
}

static void on_call_message(void *ctx, struct sim_conn *c, const struct sim_message *m)
{
    struct sim_executor *x = ctx;
    sim_close(c, x->host);
    call_done(x, m->status, m->text);
}

static void on_call_closed(void *ctx, struct sim_conn *c, const char *why)
{
    (void)c;
    call_done(ctx, 0, why);
}

static const struct sim_end_ops stream_ops = {on_stream_message, on_stream_closed};
static const struct sim_end_ops call_ops = {on_call_message, on_call_closed};

/* -- stepping ------------------------------------------------------------------------------------------------- */

static void close_connections(struct sim_executor *x)
{
    if (x->stream != NULL)
        sim_close(x->stream, x->host);
    if (x->call != NULL)
        sim_close(x->call, x->host);
    x->stream = x->call = NULL;
}

static void carry_out(struct sim_executor *x, const struct executor_effect *e)
{
    struct sim_message m = {.body = e->send.body, .len = e->send.body_len};
    struct process *p;
    switch (e->type) {
    case EXECUTOR_EFFECT_CONNECT:
        CHECK(x->stream == NULL);
        m.kind = SIM_SUBSCRIBE;
        x->stream_connection = e->connection;
        x->stream = sim_connect(x->host, x->agent, &m, &stream_ops, x);
        break;
    case EXECUTOR_EFFECT_CLOSE:
        close_connections(x);
        break;
    case EXECUTOR_EFFECT_SEND:
        CHECK(x->call == NULL || x->call_connection != e->connection); /* one is out at a time */
        sim_close(x->call, x->host);                                   /* its answer interests nobody */
        m.kind = SIM_CALL;
        x->call_connection = e->connection;
        x->call = sim_connect(x->host, x->agent, &m, &call_ops, x);
        break;
    case EXECUTOR_EFFECT_START:
        start_process(x, e->start.id, e->start.command.shell);
        break;
    case EXECUTOR_EFFECT_SIGNAL:
        p = find_process(x, e->signal.id);
        if (p != NULL)
            signal_process(x, p, e->signal.signo);
        break;
    case EXECUTOR_EFFECT_CHECK:
        after(x, world_draw(x->world, 0, 100), on_check_done, e->check.id);
        break;
    case EXECUTOR_EFFECT_CHECK_CANCEL:
        break; /* a late result of a check is for the core to ignore */
    case EXECUTOR_EFFECT_LOG:
        world_log(x->world, x->name, "%s", e->log);
        break;
    case EXECUTOR_EFFECT_EXIT:
        break; /* by the caller, it ends x */
    }
}

static void on_wake(void *ctx)
{
    struct sim_executor *x = ctx;
    if (!x->is_dead && x->wake_ms <= x->world->now_ms) {
        x->wake_ms = INT64_MAX;
        struct executor_event in = {.type = EXECUTOR_EVENT_TICK};
        step(x, &in);
    }
    x_unref(x);
}

static void rearm(struct sim_executor *x)
{
    int64_t due = executor_next_deadline(x->core);
    if (due < x->world->now_ms)
        due = x->world->now_ms;
    if (due == INT64_MAX || due >= x->wake_ms)
        return;
    x->wake_ms = due;
    x->refs++;
    world_after(x->world, due - x->world->now_ms, x->host, on_wake, drop_ref, x);
}

static void step(struct sim_executor *x, struct executor_event *in)
{
    in->now_ms = x->world->now_ms;
    in->wall_ms = WORLD_WALL_MS + x->world->now_ms;
    (void)executor_step(x->core, in, &x->out); /* 0 always */
    executor_check_invariants(x->core);
    for (size_t i = 0; i < x->out.count; i++) {
        const struct executor_effect *e = &x->out.items[i];
        if (e->type == EXECUTOR_EFFECT_EXIT) {
            world_log(x->world, x->name, "executor exits with %d", e->exit_status);
            x->ops->exited(x->ctx, (e->exit_status & 0xff) << 8);
            return;
        }
        carry_out(x, e);
    }
    rearm(x);
}

static void on_birth(struct sim_executor *x, uint64_t id)
{
    (void)id;
    struct executor_event in = {.type = EXECUTOR_EVENT_START};
    step(x, &in);
}

static const char *variable(const struct launcher_spec *spec, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < spec->env_count; i++)
        if (strcmp(spec->env[i].name, name) == 0)
            value = spec->env[i].value;
    return value;
}

static int64_t duration_ms(const struct launcher_spec *spec, const char *name, int64_t otherwise_ms)
{
    int64_t ns;
    const char *text = variable(spec, name);
    return text != NULL && text_to_duration_ns(text, &ns) == 0 ? ns / 1000000 : otherwise_ms;
}

struct sim_executor *sim_executor_new(struct sim_node *host, struct sim_node *agent, const char *name,
                                      const struct launcher_spec *spec, const struct sim_executor_ops *ops, void *ctx)
{
    struct sim_executor *x = xcalloc(1, sizeof(*x));
    x->host = host;
    x->agent = agent;
    x->world = host->world;
    snprintf(x->name, sizeof(x->name), "%s", name);
    x->ops = ops;
    x->ctx = ctx;
    x->refs = 1;
    x->wake_ms = INT64_MAX;
    executor_effects_init(&x->out);
    const char *checkpoint = variable(spec, "MESOS_CHECKPOINT");
    struct executor_config config = {
        .framework_id = variable(spec, "MESOS_FRAMEWORK_ID"),
        .executor_id = variable(spec, "MESOS_EXECUTOR_ID"),
        .sandbox = spec->sandbox,
        .checkpoint = checkpoint != NULL && strcmp(checkpoint, "1") == 0,
        .recovery_timeout_ms = duration_ms(spec, "MESOS_RECOVERY_TIMEOUT", 15 * 60 * 1000),
        .backoff_max_ms = duration_ms(spec, "MESOS_SUBSCRIPTION_BACKOFF_MAX", 0),
        .shutdown_grace_ms = duration_ms(spec, "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", 5000),
        .seed = rng_next(&x->world->rng),
    };
    CHECK(config.framework_id != NULL && config.executor_id != NULL);
    x->core = executor_new(&config);
    after(x, world_draw(x->world, 0, x->world->faults.start_ms_max), on_birth, 0);
    return x;
}

struct sim_executor *sim_executor_free(struct sim_executor *x)
{
    if (x == NULL)
        return NULL;
    x->is_dead = true;
    close_connections(x);
    x->core = executor_free(x->core);
    x_unref(x);
    return NULL;
}
