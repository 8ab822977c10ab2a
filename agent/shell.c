/* SPDX-License-Identifier: Apache-2.0
 * shell.c - the core's hands: effects become calls of the ports, callbacks of the ports become events. Decides nothing. */
#include "agent/shell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/api_containers.h"
#include "agent/view.h"
#include "common/base/check.h"
#include "common/base/log.h"

static void on_store_done(void *ctx, uint64_t token, int result)
{
    struct agent_event in = {.type = AGENT_IN_STORE_DONE, .store_done = {.token = token, .result = result}};
    agent_shell_event(ctx, &in);
}

static void on_recovered(void *ctx)
{
    struct agent_event in = {.type = AGENT_IN_CONTAINERS_RECOVERED};
    agent_shell_event(ctx, &in);
    agent_api_containers_recovered(ctx);
}

void agent_shell_started(void *ctx, const char *container_id, int pid)
{
    struct agent_shell *s = ctx;
    agent_api_container_started(s, container_id, pid);
    struct agent_event in = {.type = AGENT_IN_CONTAINER_STARTED, .container = {.id = container_id, .pid = pid}};
    if (map_get(&s->core->containers, container_id) != NULL)
        agent_shell_event(s, &in);
}

void agent_shell_ended(void *ctx, const char *container_id, const struct launcher_end *end)
{
    struct agent_shell *s = ctx;
    agent_api_container_ended(s, container_id, end);
    struct agent_event in = {.type = AGENT_IN_CONTAINER_ENDED, .container = {.id = container_id, .end = end}};
    if (map_get(&s->core->containers, container_id) != NULL)
        agent_shell_event(s, &in);
}

static void on_timer(void *ctx)
{
    struct agent_event in = {.type = AGENT_IN_TICK};
    agent_shell_event(ctx, &in);
}

static void launch(struct agent_shell *s, const struct launcher_spec *spec)
{
    struct err err = {""};
    const char *directory = spec->sandbox + strlen(s->work_dir) + 1;
    if (agent_dirs_prepare(s->dirs, directory, &err) != 0)
        log_error("%s", err.text); /* the launcher fails at the same place and says so to the framework */
    s->launcher->ops->launch(s->launcher, spec);
}

static void recover(struct agent_shell *s, const char *const *containers, size_t count)
{
    const char *const *known = agent_api_containers_known(s, containers, &count, s->effects.arena);
    s->launcher->ops->recover(s->launcher, known, count, on_recovered, s);
}

static void update_limits(struct agent_shell *s, const char *container_id, const struct launcher_limits *limits)
{
    struct err err = {""};
    int rc = s->launcher->ops->update(s->launcher, container_id, limits, &err);
    if (rc != 0 && rc != -ENOENT) /* gone: its end is on the way */
        log_warning("limits of container %s are not changed: %s", container_id, err.text);
}

static void stop(struct agent_shell *s, int status, const char *text)
{
    if (status == 0)
        log_info("%s", text);
    else
        log_error("%s", text);
    s->exit_status = status;
    s->stopped = true;
    loop_stop(s->loop);
}

static void carry_out(struct agent_shell *s, const struct agent_effect *e)
{
    switch (e->type) {
    case AGENT_OUT_LINK_OPEN:
        agent_connect_open(s->connect, e->link.link);
        break;
    case AGENT_OUT_LINK_SEND:
        agent_connect_send(s->connect, e->link.link, e->link.message);
        break;
    case AGENT_OUT_LINK_CLOSE:
        agent_connect_close(s->connect, e->link.link);
        break;
    case AGENT_OUT_REPLY:
        agent_api_executor_reply(s, e->reply.request, e->reply.status, e->reply.text);
        break;
    case AGENT_OUT_STREAM_OPEN:
        agent_api_executor_open(s, e->stream.request);
        break;
    case AGENT_OUT_STREAM_SEND:
        agent_api_executor_send(s, e->stream.stream, e->stream.event);
        break;
    case AGENT_OUT_STREAM_CLOSE:
        agent_api_executor_close(s, e->stream.stream);
        break;
    case AGENT_OUT_STORE:
        store_write(s->store, e->store.writes, e->store.count, e->store.token, on_store_done, s);
        break;
    case AGENT_OUT_RECOVER:
        recover(s, e->recover.containers, e->recover.count);
        break;
    case AGENT_OUT_LAUNCH:
        launch(s, e->launch);
        break;
    case AGENT_OUT_UPDATE_LIMITS:
        update_limits(s, e->update_limits.container_id, &e->update_limits.limits);
        break;
    case AGENT_OUT_DESTROY:
        s->launcher->ops->destroy(s->launcher, e->destroy);
        break;
    case AGENT_OUT_REMOVE_SANDBOX:
        agent_dirs_remove(s->dirs, e->remove_sandbox.container_id, e->remove_sandbox.path);
        break;
    case AGENT_OUT_VOLUMES:
        agent_volumes_carry_out(s->volumes, e);
        break;
    case AGENT_OUT_TRACE:
        if (log_get_level() <= e->trace.level)
            log_write(e->trace.level, "%s", e->trace.text);
        break;
    case AGENT_OUT_EXIT:
        stop(s, e->exit.status, e->exit.text);
        break;
    }
}

static void move_timer(struct agent_shell *s)
{
    int64_t deadline = agent_next_deadline(s->core);
    if (deadline == INT64_MAX) {
        loop_timer_stop(s->timer);
        return;
    }
    int64_t delay = deadline - loop_now_ms(s->loop);
    loop_timer_start(s->timer, delay > 0 ? delay : 0);
}

void agent_shell_event(struct agent_shell *s, struct agent_event *in)
{
    if (s->stopped)
        return;
    in->now_ms = loop_now_ms(s->loop);
    in->wall_ms = loop_wall_ms(s->loop);
    int rc = agent_step(s->core, in, &s->effects);
    CHECK(rc == 0);
    /* No port calls back from inside a call, so no step begins before this one's effects are carried out. */
    for (size_t i = 0; i < s->effects.count; i++)
        carry_out(s, &s->effects.list[i]);
    move_timer(s);
}

/* -- starting: what the store holds, gathered in memory once -------------------------------------------------- */

struct gathering {
    struct agent_shell *shell;
    struct arena *arena;
    struct agent_item *items;
    size_t count, capacity;
    char *boot_id;
};

static void gather_item(void *ctx, const void *key, size_t key_len, const void *value, size_t value_len)
{
    struct gathering *g = ctx;
    if (g->count == g->capacity) {
        g->capacity = g->capacity ? g->capacity * 2 : 64;
        g->items = xrealloc(g->items, g->capacity * sizeof(*g->items));
    }
    g->items[g->count++] = (struct agent_item){.key = arena_memdup(g->arena, key, key_len ? key_len : 1),
                                               .key_len = key_len,
                                               .value = arena_memdup(g->arena, value, value_len ? value_len : 1),
                                               .value_len = value_len};
}

static void gathered(void *ctx, uint64_t token, int result)
{
    (void)token;
    struct gathering *g = ctx;
    struct agent_shell *s = g->shell;
    if (result != 0) {
        stop(s, 1, strerror(-result));
    } else {
        agent_api_containers_restore(s, g->items, g->count);
        struct agent_event in = {.type = AGENT_IN_STARTED,
                                 .started = {.items = g->items, .count = g->count, .boot_id = g->boot_id}};
        agent_shell_event(s, &in);
    }
    (void)arena_free(g->arena);
    free(g->items);
    free(g->boot_id);
    free(g);
}

void agent_shell_start(struct agent_shell *s, const struct agent_config *config, const char *boot_id)
{
    s->core = agent_new(config);
    agent_effects_init(&s->effects);
    agent_api_containers_init(s, config->seed ^ 0x636f6e7461696e65);
    s->timer = loop_timer_add(s->loop, on_timer, s);
    s->begun_ms = loop_now_ms(s->loop);
    s->begun_wall_ms = loop_wall_ms(s->loop);
    s->logging = logging_toggle_new(s->loop);
    struct gathering *g = xcalloc(1, sizeof(*g));
    g->shell = s;
    g->arena = arena_new(SIZE_MAX / 2); /* bounded by what this agent has written */
    g->boot_id = xstrdup(boot_id);
    store_scan(s->store, "", 0, gather_item, 0, gathered, g);
}

void agent_shell_stop(struct agent_shell *s)
{
    s->stopped = true;
    CHECK(map_count(&s->exchanges) == 0);
    map_deinit(&s->exchanges);
    s->timer = loop_timer_remove(s->timer);
    agent_api_containers_deinit(s);
    logging_toggle_free(s->logging);
    s->logging = NULL;
    agent_effects_deinit(&s->effects);
    s->core = agent_free(s->core);
    s->allocated = resources_free(s->allocated);
}

void agent_shell_refresh(struct agent_shell *s, struct arena *arena)
{
    agent_count(s->core, &s->counts);
    (void)resources_free(s->allocated);
    s->allocated = agent_view_allocated(s->core, arena);
}
