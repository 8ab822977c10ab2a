/* SPDX-License-Identifier: Apache-2.0
 * shell.c - see shell.h. */
#include "lb/shell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "common/base/check.h"
#include "common/base/log.h"

#define PROBLEMS_LOGGED_MAX 10 /* of one turn */
#define WATCH_PAUSE_MS 100     /* between repairs that the plane asks for: somebody else may write all the time */

static const struct lb_prefix named_ipv6 = {.is_ipv6 = 1, .bits = 64, .ip = {0xfd, 0x01, 0x00, 0x0c}};

static uint64_t draw(void)
{
    uint64_t value;
    CHECK(getrandom(&value, sizeof(value), 0) == (ssize_t)sizeof(value));
    return value;
}

static double precise_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* -- routes ------------------------------------------------------------------------------------------------------ */

/* The proxy binds to the addresses and nft rewrites only what has found a route. For ebpf the address is another one before
 * anybody asks for a route; there it keeps connections to VIPs that do not exist on this machine, which refuses them. */

static void add_route(struct lb_shell *s, const struct lb_prefix *prefix)
{
    struct err err = {0};
    if (lb_routes_add(s->routes, prefix, &err) == 0 || s->route_warned)
        return;
    s->route_warned = true; /* every VIP that suffers shows its problem */
    log_warning("addresses of VIPs cannot be made local: %s", err.text);
}

static struct lb_prefix host_prefix(const struct lb_endpoint *at)
{
    struct lb_prefix prefix = {.is_ipv6 = at->is_ipv6, .bits = at->is_ipv6 ? 128 : 32};
    memcpy(prefix.ip, at->ip, sizeof(prefix.ip));
    return prefix;
}

/* A VIP that is given by its address is outside the range and needs a route of its own, before it is applied. */
static void route_added(struct lb_shell *s, const struct lb_change *change)
{
    if (s->routes == NULL || change->is_removed || change->name[0] != '\0' ||
        map_get_n(&s->routed, &change->vip, sizeof(change->vip)) != NULL)
        return;
    struct lb_prefix prefix = host_prefix(&change->vip);
    (void)map_put_n(&s->routed, &change->vip, sizeof(change->vip), s); /* was not there */
    add_route(s, &prefix);
}

static void route_removed(struct lb_shell *s, const struct lb_change *change)
{
    if (s->routes == NULL || !change->is_removed || map_remove_n(&s->routed, &change->vip, sizeof(change->vip)) == NULL)
        return;
    struct lb_prefix prefix = host_prefix(&change->vip);
    lb_routes_remove(s->routes, &prefix);
}

static int start_routes(struct lb_shell *s, struct err *err)
{
    struct lb_prefix prefixes[LB_RANGE_PREFIXES_MAX];
    const struct lb_options *o = s->options;
    map_init(&s->routed);
    if (o->route == LB_ROUTE_OFF)
        return 0;
    int result = lb_routes_new(o->instance, &s->routes, err);
    if (result < 0)
        return o->route == LB_ROUTE_ON ? result : (log_warning("no local routes: %s", err->text), 0);
    size_t count = lb_range_prefixes(o->range, prefixes);
    if (o->ipv6 && count < LB_RANGE_PREFIXES_MAX)
        prefixes[count++] = named_ipv6;
    for (size_t i = 0; i < count; i++)
        if (o->route != LB_ROUTE_ON)
            add_route(s, &prefixes[i]);
        else if ((result = lb_routes_add(s->routes, &prefixes[i], err)) < 0)
            return err_wrap(err, result, "--local_route=on");
    return 0;
}

/* -- the data plane ---------------------------------------------------------------------------------------------- */

static void log_problems(struct lb_shell *s, const struct lb_change *changes, size_t count)
{
    unsigned logged = 0;
    for (size_t i = 0; i < count && logged < PROBLEMS_LOGGED_MAX; i++) {
        char text[LB_ENDPOINT_TEXT_SIZE];
        const char *problem = changes[i].is_removed ? NULL : s->plane->ops->problem(s->plane, &changes[i].vip);
        if (problem == NULL)
            continue;
        logged++;
        lb_endpoint_format(&changes[i].vip, text);
        log_warning("VIP %s%s%s (%s) does not work: %s", changes[i].name, changes[i].name[0] ? " at " : "", text,
                    lb_protocol_name(changes[i].vip.protocol), problem);
    }
    if (logged == PROBLEMS_LOGGED_MAX)
        log_warning("further problems are at /v1/vips?verbose");
}

static void apply(struct lb_shell *s, const struct lb_change *changes, size_t count)
{
    double started = precise_ms();
    for (size_t i = 0; i < count; i++)
        route_added(s, &changes[i]);
    s->plane->ops->apply(s->plane, changes, count);
    for (size_t i = 0; i < count; i++)
        route_removed(s, &changes[i]);
    double took = precise_ms() - started;
    s->apply_ms_max = took > s->apply_ms_max ? took : s->apply_ms_max;
    if (s->apply_timer != NULL)
        metric_sample_ms(s->apply_timer, took);
    s->changes += count;
    s->generation++;
    log_problems(s, changes, count);
}

static void repair(struct lb_shell *s)
{
    struct err err = {0};
    if (!s->had_picture)
        return; /* what a former lb left serves until the plan is known */
    s->repairs++;
    int mended = s->plane->ops->repair(s->plane, &err);
    if (mended < 0) {
        s->repair_failures++;
        log_error("data plane %s cannot be repaired: %s", s->plane->ops->name, err.text);
    } else if (mended > 0) {
        s->mended_rules += (uint64_t)mended;
        log_info("data plane %s: %d things mended", s->plane->ops->name, mended);
    }
    mended = s->routes != NULL ? lb_routes_repair(s->routes, &err) : 0;
    if (mended > 0) {
        s->mended_routes += (uint64_t)mended;
        log_info("routes: %d mended", mended);
    } else if (mended < 0 && !s->route_warned) {
        s->route_warned = true;
        log_warning("addresses of VIPs cannot be made local: %s", err.text);
    }
}

static void on_repair_timer(void *ctx)
{
    struct lb_shell *s = ctx;
    repair(s);
    if (s->plane_watch != NULL)
        loop_fd_set(s->plane_watch, LOOP_READ);
    loop_timer_start(s->repair_timer, LB_REPAIR_INTERVAL_MS);
}

/* When somebody else has changed what is ours in the kernel, repair looks at what is there, and takes the notice away. */
static void on_plane_watch(void *ctx, int fd, unsigned ready)
{
    struct lb_shell *s = ctx;
    (void)fd;
    (void)ready;
    if (!s->plane->ops->advance(s->plane))
        return;
    loop_fd_set(s->plane_watch, 0);
    loop_timer_start(s->repair_timer, WATCH_PAUSE_MS);
}

static void start_watch(struct lb_shell *s)
{
    int fd = s->plane->ops->watch_fd != NULL ? s->plane->ops->watch_fd(s->plane) : -1;
    if (fd >= 0)
        s->plane_watch = loop_fd_add(s->loop, fd, LOOP_READ, on_plane_watch, s);
}

/* -- the core ---------------------------------------------------------------------------------------------------- */

static void carry_out(struct lb_shell *s, const struct lb_effects *effects)
{
    for (size_t i = 0; i < effects->count; i++) {
        const struct lb_effect *e = &effects->items[i];
        switch (e->type) {
        case LB_EFFECT_CHANGES:
            apply(s, e->changes.items, e->changes.count);
            break;
        case LB_EFFECT_CHECK:
            lb_prober_start(s->prober, &e->check);
            break;
        case LB_EFFECT_TRACE:
            log_info("%s", e->text);
            break;
        }
    }
}

static void step(struct lb_shell *s, struct lb_event event)
{
    struct lb_effects effects;
    event.now_ms = loop_now_ms(s->loop);
    (void)lb_step(s->core, &event, &effects); /* always 0 */
    carry_out(s, &effects);
}

static void on_part(void *ctx, const struct picture_part *part)
{
    step(ctx, (struct lb_event){.type = LB_EVENT_RECEIVED, .received = part});
}

static int on_record(void *ctx, enum wire_format format, const void *data, size_t len, struct picture_told *told,
                     struct err *err)
{
    struct lb_shell *s = ctx;
    return picture_read(format, data, len, s->arena, on_part, s, told, err);
}

static void on_checked(void *ctx, const struct lb_endpoint *target, bool is_up)
{
    step(ctx, (struct lb_event){.type = LB_EVENT_CHECKED, .checked = {.target = *target, .is_up = is_up}});
}

static void on_tick(void *ctx)
{
    step(ctx, (struct lb_event){.type = LB_EVENT_TICK});
}

static void on_stream_changed(void *ctx, enum master_stream_change change)
{
    struct lb_shell *s = ctx;
    if (change == MASTER_STREAM_LOST)
        step(s, (struct lb_event){.type = LB_EVENT_LOST});
    if (change != MASTER_STREAM_CURRENT)
        return;
    if (lb_has_changes(s->core))
        step(s, (struct lb_event){.type = LB_EVENT_FLUSH});
    if (!s->had_picture) {
        if (s->generation == 0)
            apply(s, NULL, 0); /* an empty plan is one too: what a former lb left goes */
        s->had_picture = true;
        repair(s);
    }
    struct lb_statistics t = lb_get_statistics(s->core);
    log_info("follows the master at %s: %llu agents, %llu tasks, %llu VIPs with %llu back ends",
             master_stream_address(s->stream), (unsigned long long)t.agents, (unsigned long long)t.tasks,
             (unsigned long long)t.vips, (unsigned long long)t.backends);
}

/* Once a turn: whatever came in it is one change of the data plane. */
static void on_before_sleep(void *ctx)
{
    struct lb_shell *s = ctx;
    if (s->had_picture && lb_has_changes(s->core))
        step(s, (struct lb_event){.type = LB_EVENT_FLUSH});
    int64_t deadline_ms = lb_next_deadline(s->core), now_ms = loop_now_ms(s->loop);
    if (deadline_ms == INT64_MAX)
        loop_timer_stop(s->tick_timer);
    else
        loop_timer_start(s->tick_timer, deadline_ms > now_ms ? deadline_ms - now_ms : 0);
}

/* -- life cycle -------------------------------------------------------------------------------------------------- */

static void log_choice(const struct lb_shell *s)
{
    for (size_t i = 0; i < s->choice.left_out_count; i++)
        log_info("data plane %s is left out: %s", s->choice.left_out[i].name, s->choice.left_out[i].why.text);
    log_info("data plane %s", s->plane->ops->name);
}

int lb_shell_start(struct lb_shell *s, struct loop *loop, const struct lb_options *options, struct err *err)
{
    *s = (struct lb_shell){.loop = loop, .options = options, .start_id = draw()};
    int result = lb_planes_start(options, draw(), &s->choice, err);
    if (result < 0)
        return result;
    s->plane = s->choice.plane;
    log_choice(s);
    result = start_routes(s, err);
    if (result < 0)
        return result;
    s->core = lb_new(&(struct lb_config){.range = options->range,
                                         .has_ipv6 = options->ipv6,
                                         .check_interval_ms = options->check_interval_ms,
                                         .check_failures_max = (unsigned)options->check_failures,
                                         .seed = draw()});
    s->arena = arena_new(0);
    s->prober = lb_prober_new(loop, options->check_timeout_ms, on_checked, s);
    s->tick_timer = loop_timer_add(loop, on_tick, s);
    s->repair_timer = loop_timer_add(loop, on_repair_timer, s);
    s->before_sleep = loop_before_sleep_add(loop, on_before_sleep, s);
    start_watch(s);
    loop_timer_start(s->repair_timer, LB_REPAIR_INTERVAL_MS);
    s->stream = master_stream_new(&(struct master_stream_config){.loop = loop,
                                                                 .masters = &options->masters,
                                                                 .principal = options->principal,
                                                                 .secret = options->secret,
                                                                 .seed = draw(),
                                                                 .record = on_record,
                                                                 .changed = on_stream_changed,
                                                                 .ctx = s});
    return 0;
}

void lb_shell_stop(struct lb_shell *s)
{
    bool is_final = !s->options->keep_on_exit;
    s->stream = master_stream_free(s->stream);
    s->prober = lb_prober_free(s->prober);
    if (s->before_sleep != NULL)
        loop_before_sleep_remove(s->before_sleep);
    loop_timer_remove(s->tick_timer);
    loop_timer_remove(s->repair_timer);
    loop_fd_remove(s->plane_watch);
    if (s->plane != NULL) {
        s->plane->ops->close(s->plane, is_final);
        map_deinit(&s->routed);
    }
    s->routes = lb_routes_free(s->routes, is_final);
    s->core = lb_free(s->core);
    if (s->arena != NULL)
        arena_free(s->arena);
}
