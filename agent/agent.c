/* SPDX-License-Identifier: Apache-2.0
 * agent.c - the core as a whole: made, stepped, asked, freed. A step runs what is due, then takes its event, then settles
 * what that left, and ends with one write for everything that must be kept. */
#include "agent/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/checkpoint.h"
#include "agent/executors.h"
#include "agent/frameworks.h"
#include "agent/operations.h"
#include "agent/recovery.h"
#include "agent/sandboxes.h"
#include "agent/session.h"
#include "agent/tasks.h"
#include "agent/updates.h"
#include "common/base/check.h"
#include "common/wire/codec.h"

/* -- life cycle ----------------------------------------------------------------------------------------------- */

static const char *keep(struct arena *arena, const char *s)
{
    return s ? arena_strdup(arena, s) : NULL;
}

static void default_ms(int64_t *value, int64_t ms)
{
    if (*value <= 0)
        *value = ms;
}

static void copy_config(struct agent *a, const struct agent_config *config)
{
    struct arena *arena = a->config_arena;
    struct agent_config *c = &a->config;
    *c = *config;
    a->info = (Mesos__V1__AgentInfo *)wire_copy(&config->info->base, arena);
    a->info->id = NULL;
    c->info = a->info;
    c->ip = keep(arena, config->ip);
    c->work_dir = keep(arena, config->work_dir);
    c->version = keep(arena, config->version);
    c->domain_socket = keep(arena, config->domain_socket);
    c->libprocess_ip = keep(arena, config->libprocess_ip);
    struct launcher_env *env = arena_new_array(arena, struct launcher_env, config->executor_env_count + 1);
    for (size_t i = 0; i < config->executor_env_count; i++)
        env[i] =
            (struct launcher_env){keep(arena, config->executor_env[i].name), keep(arena, config->executor_env[i].value)};
    c->executor_env = env;
    if (c->container_pids_max == 0)
        c->container_pids_max = 4096;
    default_ms(&c->executor_registration_timeout_ms, 60 * 1000);
    default_ms(&c->executor_reregistration_timeout_ms, 2 * 1000);
    default_ms(&c->executor_shutdown_grace_ms, 5 * 1000);
    default_ms(&c->recovery_timeout_ms, 15 * 60 * 1000);
    default_ms(&c->registration_backoff_ms, 1000);
    default_ms(&c->gc_delay_ms, (int64_t)7 * 24 * 3600 * 1000);
}

struct agent *agent_new(const struct agent_config *config)
{
    struct agent *a = xcalloc(1, sizeof(*a));
    a->config_arena = arena_new(0);
    copy_config(a, config);
    rng_seed(&a->rng, config->seed);
    a->phase = AGENT_PHASE_STARTING;
    a->session.connect.kind = AGENT_TIMER_CONNECT;
    a->session.watchdog.kind = AGENT_TIMER_LINK;
    a->session.backoff_ms = a->config.registration_backoff_ms;
    a->executors_timer.kind = AGENT_TIMER_EXECUTORS;
    a->sandbox_timer.kind = AGENT_TIMER_SANDBOXES;
    heap_init(&a->timers);
    map_init(&a->frameworks);
    map_init(&a->streams);
    map_init(&a->containers);
    list_init(&a->completed_frameworks);
    list_init(&a->completed_executors);
    list_init(&a->sandboxes);
    map_init(&a->operations);
    list_init(&a->pending);
    return a;
}

struct agent *agent_free(struct agent *a)
{
    if (a == NULL)
        return NULL;
    agent_operations_deinit(a); /* takes timers off the heap, among which those of tasks and executors still are */
    for (struct map_entry *it = map_first(&a->frameworks); it != NULL; it = map_next(it))
        (void)agent_framework_free(map_value(it));
    for (struct list *it; (it = list_pop_front(&a->sandboxes)) != NULL;)
        agent_sandbox_free(container_of(it, struct agent_sandbox, link));
    for (struct list *it; (it = list_pop_front(&a->pending)) != NULL;)
        free(container_of(it, struct agent_pending, link));
    map_deinit(&a->frameworks);
    map_deinit(&a->streams);
    map_deinit(&a->containers);
    heap_deinit(&a->timers);
    free(a->session.master_hostname);
    free(a->exit_text);
    free(a->boot_id);
    free(a->id);
    free(a->writes);
    (void)arena_free(a->config_arena);
    free(a);
    return NULL;
}

/* -- stepping ------------------------------------------------------------------------------------------------- */

static void on_timer(struct agent *a, struct agent_timer *t)
{
    switch (t->kind) {
    case AGENT_TIMER_CONNECT:
        agent_on_connect_timer(a);
        break;
    case AGENT_TIMER_LINK:
        agent_on_link_timer(a);
        break;
    case AGENT_TIMER_EXECUTORS:
        agent_on_executors_timer(a);
        break;
    case AGENT_TIMER_DEADLINE:
        agent_on_executor_deadline(a, container_of(t, struct agent_executor, deadline));
        break;
    case AGENT_TIMER_HEARTBEAT:
        agent_on_executor_heartbeat(a, container_of(t, struct agent_executor, heartbeat));
        break;
    case AGENT_TIMER_RETRY:
        agent_updates_on_retry(a, container_of(t, struct agent_task, retry));
        break;
    case AGENT_TIMER_SANDBOXES:
        agent_on_sandbox_timer(a);
        break;
    case AGENT_TIMER_OPERATION:
        agent_operation_on_retry(a, container_of(t, struct agent_operation, retry));
        break;
    }
}

static void on_durable(struct agent *a, const struct agent_pending *p)
{
    struct agent_task *t = p->task_id && p->framework_id ? agent_task_find(a, p->framework_id, p->task_id) : NULL;
    switch (p->kind) {
    case AGENT_PENDING_TASK:
        if (t != NULL)
            t->stored = true;
        if (t != NULL && t->executor != NULL)
            agent_executor_act(a, t->executor);
        break;
    case AGENT_PENDING_UPDATE:
        if (t != NULL)
            agent_updates_on_durable(a, t, p->sequence);
        break;
    case AGENT_PENDING_ACKNOWLEDGED:
        if (t != NULL)
            agent_updates_on_acknowledged(a, t);
        break;
    case AGENT_PENDING_OPERATION:
        agent_operation_on_durable(a, p->task_id);
        break;
    case AGENT_PENDING_WIPED: {
        struct agent_effect *effect = agent_emit(a, AGENT_OUT_EXIT);
        effect->exit.status = a->exit_status;
        effect->exit.text = arena_strdup(a->out->arena, a->exit_text);
        a->phase = AGENT_PHASE_ENDED;
        break;
    }
    }
}

static void on_store_done(struct agent *a, uint64_t token, int result)
{
    if (result != 0) {
        /* what is in memory is ahead of the disk and will stay so: only a restart from the disk is safe */
        struct agent_effect *effect = agent_emit(a, AGENT_OUT_EXIT);
        effect->exit.status = 1;
        effect->exit.text = arena_printf(a->out->arena, "the agent's state cannot be written: %s", strerror(-result));
        a->phase = AGENT_PHASE_ENDED;
        return;
    }
    while (!list_is_empty(&a->pending)) {
        struct agent_pending *p = container_of(a->pending.next, struct agent_pending, link);
        if (p->token > token)
            break;
        list_remove(&p->link);
        on_durable(a, p);
        free(p);
    }
}

static void on_event(struct agent *a, const struct agent_event *in)
{
    switch (in->type) {
    case AGENT_IN_STARTED:
        agent_on_started(a, in->started.items, in->started.count, in->started.boot_id);
        break;
    case AGENT_IN_STORE_DONE:
        on_store_done(a, in->store_done.token, in->store_done.result);
        break;
    case AGENT_IN_LINK_UP:
        agent_on_link_up(a, in->link.link);
        break;
    case AGENT_IN_LINK_MESSAGE:
        agent_on_link_message(a, in->link.link, in->link.message);
        break;
    case AGENT_IN_LINK_DOWN:
        agent_on_link_down(a, in->link.link, in->link.text);
        break;
    case AGENT_IN_EXECUTOR_CALL:
        agent_on_executor_call(a, in);
        break;
    case AGENT_IN_STREAM_CLOSED:
        agent_on_stream_closed(a, in->stream_closed);
        break;
    case AGENT_IN_CONTAINER_STARTED:
        agent_on_container_started(a, in->container.id, in->container.pid);
        break;
    case AGENT_IN_CONTAINER_ENDED:
        agent_on_container_ended(a, in->container.id, in->container.end);
        break;
    case AGENT_IN_CONTAINERS_RECOVERED:
        agent_on_containers_recovered(a);
        break;
    case AGENT_IN_SANDBOX_REMOVED:
        agent_on_sandbox_removed(a, in->sandbox_removed.container_id, in->sandbox_removed.result);
        break;
    case AGENT_IN_VOLUMES_DONE:
        agent_on_volumes_done(a, in->volumes_done.operation, in->volumes_done.result, in->volumes_done.text);
        break;
    case AGENT_IN_UNREGISTER:
        if (a->phase < AGENT_PHASE_RUNNING)
            a->unregister_wanted = true;
        else
            agent_session_leave(a, 0, AGENT_UNREGISTERED_TEXT);
        break;
    case AGENT_IN_TICK:
        break;
    }
}

int agent_step(struct agent *a, const struct agent_event *in, struct agent_effects *out)
{
    agent_effects_reset(out);
    if (a->phase == AGENT_PHASE_ENDED || (in->type == AGENT_IN_STARTED) != (a->phase == AGENT_PHASE_STARTING))
        return -EINVAL;
    a->out = out;
    a->now_ms = in->now_ms;
    a->wall_ms = in->wall_ms;
    a->token++;
    for (struct heap_node *n; (n = heap_pop_due(&a->timers, a->now_ms)) != NULL;)
        on_timer(a, container_of(n, struct agent_timer, node));
    on_event(a, in);
    agent_recovery_settle(a);
    agent_frameworks_trim(a);
    agent_checkpoint_flush(a);
    a->out = NULL;
    return 0;
}

int64_t agent_next_deadline(const struct agent *a)
{
    const struct heap_node *n = heap_peek(&a->timers);
    return n != NULL && a->phase != AGENT_PHASE_ENDED ? n->key_ms : INT64_MAX;
}

/* -- queries -------------------------------------------------------------------------------------------------- */

enum agent_phase agent_phase(const struct agent *a)
{
    return a->phase;
}

const char *agent_id(const struct agent *a)
{
    return a->id;
}

bool agent_is_registered(const struct agent *a)
{
    return agent_session_is_up(a);
}

static void count_task(const struct agent_task *t, struct agent_counts *c)
{
    c->updates_pending += t->update_count;
    switch (t->state) {
    case AGENT_STATE(STAGING):
        c->tasks_staging++;
        break;
    case AGENT_STATE(STARTING):
        c->tasks_starting++;
        break;
    case AGENT_STATE(KILLING):
        c->tasks_killing++;
        break;
    default:
        if (agent_state_is_terminal(t->state))
            c->tasks_terminal++;
        else
            c->tasks_running++;
        break;
    }
}

void agent_count(const struct agent *a, struct agent_counts *out)
{
    struct agent_counts c = a->counts;
    c.frameworks = map_count(&a->frameworks) - a->completed_framework_count;
    c.sandboxes_pending = a->sandbox_count;
    for (struct map_entry *i = map_first(&a->frameworks); i != NULL; i = map_next(i)) {
        const struct agent_framework *f = map_value(i);
        for (struct map_entry *j = map_first(&f->tasks); j != NULL; j = map_next(j))
            count_task(map_value(j), &c);
        for (struct map_entry *j = map_first(&f->executors); j != NULL; j = map_next(j)) {
            size_t *const by_state[] = {&c.executors_registering, &c.executors_running, &c.executors_terminating,
                                        &c.executors_terminated};
            ++*by_state[((const struct agent_executor *)map_value(j))->state];
        }
    }
    *out = c;
}

int agent_task_state(const struct agent *a, const char *framework_id, const char *task_id)
{
    const struct agent_task *t = agent_task_find(a, framework_id, task_id);
    return t ? t->state : -1;
}

const char *agent_container_of(const struct agent *a, const char *framework_id, const char *executor_id)
{
    const struct agent_executor *e = agent_executor_find(a, framework_id, executor_id);
    return e ? e->container_id : NULL;
}

/* -- invariants ----------------------------------------------------------------------------------------------- */

static void check_task(const struct agent_task *t)
{
    size_t n = 0;
    uint32_t last = 0;
    bool durable = true;
    for (const struct list *it = t->updates.next; it != &t->updates; it = it->next, n++) {
        const struct agent_update *u = container_of(it, struct agent_update, link);
        CHECK(n == 0 || u->sequence > last);
        CHECK(durable || !u->durable); /* the disk keeps the order */
        CHECK(n == 0 || !u->acknowledged);
        CHECK(!agent_state_is_terminal(u->state) || it->next == &t->updates);
        last = u->sequence;
        durable = u->durable;
    }
    CHECK(n == t->update_count && n <= AGENT_TASK_UPDATES_MAX + 1);
    CHECK(!t->in_flight || (n > 0 && container_of(t->updates.next, struct agent_update, link)->durable));
    CHECK(!heap_is_in(&t->retry.node) || t->in_flight);
    n = 0;
    for (const struct list *it = t->history.next; it != &t->history; it = it->next)
        n++;
    CHECK(n == t->history_count && n <= AGENT_TASK_HISTORY_MAX);
    CHECK(agent_state_is_terminal(t->accepted_state) || !agent_state_is_terminal(t->state));
    CHECK(t->executor == NULL || map_get(&t->executor->tasks, t->id) == t);
    CHECK(t->executor != NULL || agent_state_is_terminal(t->accepted_state));
    /* terminal and acknowledged tasks are not here any more */
    CHECK(t->update_count > 0 || !agent_state_is_terminal(t->state));
}

static void check_executor(const struct agent *a, const struct agent_executor *e)
{
    CHECK(e->state < AGENT_EXECUTOR_COMPLETED);
    CHECK((map_get(&a->containers, e->container_id) == e) == (e->state < AGENT_EXECUTOR_TERMINATED));
    CHECK(e->state != AGENT_EXECUTOR_TERMINATED || (e->stream == 0 && map_count(&e->tasks) > 0));
    CHECK(e->stream == 0 || map_get_n(&a->streams, &e->stream, sizeof(e->stream)) == e);
    CHECK(e->stream == 0 || e->state == AGENT_EXECUTOR_RUNNING || e->state == AGENT_EXECUTOR_TERMINATING);
    CHECK((e->stream != 0) == heap_is_in(&e->heartbeat.node));
    CHECK(e->launched || e->state == AGENT_EXECUTOR_REGISTERING || e->state == AGENT_EXECUTOR_TERMINATED);
    for (struct map_entry *it = map_first(&e->tasks); it != NULL; it = map_next(it)) {
        const struct agent_task *t = map_value(it);
        CHECK(t->executor == e && t->framework == e->framework);
        CHECK(e->state != AGENT_EXECUTOR_TERMINATED || agent_state_is_terminal(t->accepted_state));
    }
    for (const struct list *it = e->queue.next; it != &e->queue; it = it->next) {
        const struct agent_task *t = container_of(it, struct agent_task, queue_link);
        CHECK(t->executor == e && !t->sent && !agent_state_is_terminal(t->accepted_state));
    }
}

void agent_check_invariants(const struct agent *a)
{
    size_t completed = 0, executors = 0, recovering = 0, containers = 0, streams = 0, remembered = 0;
    if (a->phase == AGENT_PHASE_ENDED)
        return; /* a record that could not be read leaves half a picture; nothing is done with it any more */
    for (struct map_entry *i = map_first(&a->frameworks); i != NULL; i = map_next(i)) {
        const struct agent_framework *f = map_value(i);
        completed += f->completed;
        CHECK(f->completed == (map_count(&f->executors) == 0 && map_count(&f->tasks) == 0));
        for (struct map_entry *j = map_first(&f->executors); j != NULL; j = map_next(j)) {
            const struct agent_executor *e = map_value(j);
            CHECK(e->framework == f);
            check_executor(a, e);
            executors++;
            recovering += e->recovered;
            containers += e->state < AGENT_EXECUTOR_TERMINATED;
            streams += e->stream != 0;
        }
        for (struct map_entry *j = map_first(&f->tasks); j != NULL; j = map_next(j)) {
            CHECK(((const struct agent_task *)map_value(j))->framework == f);
            check_task(map_value(j));
        }
        remembered += f->completed_executor_count;
        CHECK(f->completed_executor_count <= AGENT_COMPLETED_EXECUTORS_MAX);
    }
    CHECK(completed == a->completed_framework_count && completed <= AGENT_COMPLETED_FRAMEWORKS_MAX);
    CHECK(executors == a->executor_count);
    CHECK(recovering == a->recovering);
    CHECK(containers == map_count(&a->containers));
    CHECK(streams == map_count(&a->streams));
    CHECK(remembered == a->completed_executor_count && remembered <= AGENT_COMPLETED_TOTAL_MAX);
    CHECK(a->session.state == AGENT_SESSION_IDLE || a->session.link != 0);
    CHECK(a->session.state != AGENT_SESSION_REGISTERED || a->id != NULL);
    CHECK(a->write_count == 0);
}
