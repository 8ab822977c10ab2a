/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_launcher.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/map.h"
#include "sim/check.h"
#include "sim/sim_executor.h"
#include "sim/sim_net.h"

enum container_state { CONTAINER_STARTING, CONTAINER_RUNNING, CONTAINER_ENDED };

struct container {
    struct sim_host *host;
    char *id, *framework_id, *executor_id;
    enum container_state state;
    struct sim_executor *executor;
    struct launcher_end end; /* CONTAINER_ENDED: kept on disk */
    int pid;
    int64_t news_ms; /* when the newest news gets to the agent: never started after ended */
};

struct sim_host {
    struct sim_node node;
    struct sim_node *agent;
    const struct sim_launcher_events *events;
    struct map containers;
    char boot_id[32];
    uint32_t boots;
    int next_pid;
};

/* -- news for the agent --------------------------------------------------------------------------------------- */

struct news {
    struct container *c;
    bool is_end;
};

static void tell(void *ctx)
{
    struct news *n = ctx;
    struct sim_host *h = n->c->host;
    if (n->is_end)
        h->events->ended(h->agent, n->c->id, &n->c->end);
    else
        h->events->started(h->agent, n->c->id, n->c->pid);
    free(n);
}

/* The agent of now hears of it; one that is started later asks. */
static void send_news(struct container *c, bool is_end)
{
    struct sim_host *h = c->host;
    struct world *w = h->node.world;
    if (!h->agent->is_up)
        return;
    int64_t at = w->now_ms + world_draw(w, 0, 20);
    if (at < c->news_ms)
        at = c->news_ms;
    c->news_ms = at;
    struct news *n = xcalloc(1, sizeof(*n));
    *n = (struct news){c, is_end};
    world_after(w, at - w->now_ms, h->agent, tell, free, n);
}

static void see(struct container *c, enum sim_seen_type type, int status)
{
    struct sim_seen seen = {.type = type,
                            .node = &c->host->node,
                            .framework_id = c->framework_id,
                            .task_id = c->executor_id,
                            .container_id = c->id,
                            .exit_status = status};
    world_seen(c->host->node.world, &seen);
}

static void container_end(struct container *c, enum launcher_end_reason reason, int status, const char *message)
{
    if (c->state == CONTAINER_ENDED)
        return;
    bool has_run = c->state == CONTAINER_RUNNING;
    c->executor = sim_executor_free(c->executor);
    c->state = CONTAINER_ENDED;
    c->end = (struct launcher_end){.reason = reason, .status = status, .message = message, .memory_limit_bytes = 1 << 25};
    world_log(c->host->node.world, c->host->node.name, "container %.8s of %s ends: %s", c->id, c->executor_id, message);
    if (has_run)
        see(c, SIM_SEEN_CONTAINER_ENDED, 0);
    send_news(c, true);
}

static void on_executor_exited(void *ctx, int status)
{
    container_end(ctx, LAUNCHER_END_EXITED, status, "exited");
}

static void on_process_started(void *ctx)
{
    see(ctx, SIM_SEEN_PROCESS_STARTED, 0);
}

static void on_process_ended(void *ctx, int status)
{
    see(ctx, SIM_SEEN_PROCESS_ENDED, status);
}

static const struct sim_executor_ops executor_ops = {on_process_started, on_process_ended, on_executor_exited};

/* -- the launcher --------------------------------------------------------------------------------------------- */

static const char *variable(const struct launcher_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->env_count; i++)
        if (strcmp(spec->env[i].name, name) == 0)
            return spec->env[i].value;
    return "?";
}

struct start {
    struct container *c;
    struct launcher_spec spec;
};

static void free_start(void *ctx)
{
    struct start *s = ctx;
    for (size_t i = 0; i < s->spec.env_count; i++) {
        free((char *)s->spec.env[i].name);
        free((char *)s->spec.env[i].value);
    }
    free((void *)s->spec.env);
    free((char *)s->spec.sandbox);
    free(s);
}

static void on_started(void *ctx)
{
    struct start *s = ctx;
    struct container *c = s->c;
    struct world *w = c->host->node.world;
    if (c->state == CONTAINER_STARTING && world_chance(w, w->faults.launch_fail_ppm)) {
        container_end(c, LAUNCHER_END_LAUNCH_FAILED, -1, "could not be started");
    } else if (c->state == CONTAINER_STARTING) {
        c->state = CONTAINER_RUNNING;
        c->pid = c->host->next_pid++;
        c->executor = sim_executor_new(&c->host->node, c->host->agent, c->executor_id, &s->spec, &executor_ops, c);
        see(c, SIM_SEEN_CONTAINER_STARTED, 0);
        send_news(c, false);
    }
    free_start(s);
}

void sim_launcher_launch(struct sim_host *h, const struct launcher_spec *spec)
{
    struct world *w = h->node.world;
    if (map_get(&h->containers, spec->container_id) != NULL) {
        world_violate(w, "6", "container %s is launched twice", spec->container_id);
        return;
    }
    struct container *c = xcalloc(1, sizeof(*c));
    c->host = h;
    c->id = xstrdup(spec->container_id);
    c->framework_id = xstrdup(variable(spec, "MESOS_FRAMEWORK_ID"));
    c->executor_id = xstrdup(variable(spec, "MESOS_EXECUTOR_ID"));
    (void)map_put(&h->containers, c->id, c); /* checked to be new */
    struct start *s = xcalloc(1, sizeof(*s));
    s->c = c;
    s->spec.sandbox = xstrdup(spec->sandbox);
    s->spec.env_count = spec->env_count;
    struct launcher_env *env = xcalloc(spec->env_count + 1, sizeof(*env));
    for (size_t i = 0; i < spec->env_count; i++)
        env[i] = (struct launcher_env){xstrdup(spec->env[i].name), xstrdup(spec->env[i].value)};
    s->spec.env = env;
    world_after(w, world_draw(w, 0, w->faults.start_ms_max), &h->node, on_started, free_start, s);
}

static void on_destroyed(void *ctx)
{
    container_end(ctx, LAUNCHER_END_DESTROYED, SIGKILL, "destroyed");
}

void sim_launcher_destroy(struct sim_host *h, const char *container_id)
{
    struct container *c = map_get(&h->containers, container_id);
    if (c != NULL && c->state != CONTAINER_ENDED)
        world_after(h->node.world, world_draw(h->node.world, 0, 100), &h->node, on_destroyed, NULL, c);
}

static void tell_recovered(void *ctx)
{
    struct sim_host *h = ctx;
    h->events->recovered(h->agent);
}

/* A record without a container: the agent died between the two, or the machine did. */
static struct container *lost_container(struct sim_host *h, const char *id)
{
    struct container *c = xcalloc(1, sizeof(*c));
    c->host = h;
    c->id = xstrdup(id);
    c->framework_id = xstrdup("?");
    c->executor_id = xstrdup("?");
    c->state = CONTAINER_ENDED;
    c->end = (struct launcher_end){.reason = LAUNCHER_END_LOST, .status = -1, .message = "no trace of it"};
    (void)map_put(&h->containers, id, c); /* checked to be new */
    return c;
}

static bool is_known(const char *id, const char *const *known, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(known[i], id) == 0)
            return true;
    return false;
}

void sim_launcher_recover(struct sim_host *h, const char *const *known, size_t count)
{
    int64_t last = h->node.world->now_ms;
    for (struct map_entry *e = map_first(&h->containers); e != NULL; e = map_next(e)) {
        struct container *c = map_value(e);
        if (c->state != CONTAINER_ENDED && !is_known(c->id, known, count))
            container_end(c, LAUNCHER_END_DESTROYED, SIGKILL, "destroyed, nobody knows it");
    }
    for (size_t i = 0; i < count; i++) {
        struct container *c = map_get(&h->containers, known[i]);
        if (c == NULL)
            c = lost_container(h, known[i]);
        if (c->state != CONTAINER_STARTING)
            send_news(c, c->state == CONTAINER_ENDED);
        last = c->news_ms > last ? c->news_ms : last;
    }
    world_after(h->node.world, last - h->node.world->now_ms, h->agent, tell_recovered, NULL, h);
}

/* -- the machine ---------------------------------------------------------------------------------------------- */

static void host_tick(struct sim_node *n)
{
    (void)n;
}

static int64_t host_deadline(const struct sim_node *n)
{
    (void)n;
    return INT64_MAX;
}

static void host_accept(struct sim_node *n, struct sim_conn *c, const struct sim_message *first)
{
    (void)n;
    (void)c;
    (void)first;
    CHECK(false); /* nobody connects to a machine */
}

static void host_crash(struct sim_node *n)
{
    struct sim_host *h = (struct sim_host *)n;
    for (struct map_entry *e = map_first(&h->containers); e != NULL; e = map_next(e)) {
        struct container *c = map_value(e);
        if (c->state != CONTAINER_ENDED)
            container_end(c, LAUNCHER_END_LOST, -1, "the machine went down");
    }
}

static void host_start(struct sim_node *n)
{
    struct sim_host *h = (struct sim_host *)n;
    snprintf(h->boot_id, sizeof(h->boot_id), "boot-%u", ++h->boots);
}

static void host_free(struct sim_node *n)
{
    struct sim_host *h = (struct sim_host *)n;
    for (struct map_entry *e = map_first(&h->containers); e != NULL; e = map_next(e)) {
        struct container *c = map_value(e);
        free(c->id);
        free(c->framework_id);
        free(c->executor_id);
        free(c);
    }
    map_deinit(&h->containers);
    free(h);
}

static const struct sim_node_ops host_ops = {host_tick, host_deadline, host_accept, host_crash, host_start, host_free};

struct sim_host *sim_host_new(struct world *w, const char *name)
{
    struct sim_host *h = xcalloc(1, sizeof(*h));
    map_init(&h->containers);
    h->next_pid = 100;
    world_add_node(w, &h->node, &host_ops, name);
    world_start_node(&h->node);
    return h;
}

void sim_host_set_agent(struct sim_host *h, struct sim_node *agent, const struct sim_launcher_events *events)
{
    h->agent = agent;
    h->events = events;
}

struct sim_node *sim_host_node(struct sim_host *h)
{
    return &h->node;
}

const char *sim_host_boot_id(const struct sim_host *h)
{
    return h->boot_id;
}

static void on_power(void *ctx)
{
    struct sim_host *h = ctx;
    world_start_node(&h->node);
    world_start_node(h->agent);
}

void sim_host_reboot(struct sim_host *h, int64_t delay_ms)
{
    if (!h->node.is_up || !h->agent->is_up)
        return; /* a restart is under way */
    world_crash_node(h->agent);
    world_crash_node(&h->node);
    world_after(h->node.world, delay_ms, NULL, on_power, NULL, h);
}

bool sim_host_end_one(struct sim_host *h, bool by_memory)
{
    size_t running = sim_host_running(h);
    if (running == 0)
        return false;
    int64_t chosen = world_draw(h->node.world, 0, (int64_t)running - 1);
    for (struct map_entry *e = map_first(&h->containers); e != NULL; e = map_next(e)) {
        struct container *c = map_value(e);
        if (c->state != CONTAINER_RUNNING || chosen-- > 0)
            continue;
        if (by_memory)
            container_end(c, LAUNCHER_END_MEMORY, SIGKILL, "over its memory limit");
        else
            container_end(c, LAUNCHER_END_EXITED, SIGSEGV, "the executor crashed");
        return true;
    }
    return false;
}

void sim_host_each(const struct sim_host *h,
                   void (*fn)(void *ctx, const char *container_id, const char *framework_id, const char *executor_id),
                   void *ctx)
{
    for (struct map_entry *e = map_first(&h->containers); e != NULL; e = map_next(e)) {
        const struct container *c = map_value(e);
        if (c->state == CONTAINER_RUNNING)
            fn(ctx, c->id, c->framework_id, c->executor_id);
    }
}

size_t sim_host_running(const struct sim_host *h)
{
    size_t count = 0;
    for (struct map_entry *e = map_first(&h->containers); e != NULL; e = map_next(e))
        count += ((const struct container *)map_value(e))->state == CONTAINER_RUNNING;
    return count;
}
