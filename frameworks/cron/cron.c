/* SPDX-License-Identifier: Apache-2.0
 * cron.c - the step function: one event in, what follows from it, effects out. */
#include "frameworks/cron/cron.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/core.h"
#include "frameworks/sdk/calls.h"

#define RECONCILE_BATCH 1000
#define CALENDAR_CHECK_MS 60000 /* so late we see at the latest that the calendar was set */
#define DUES_PER_STEP_MAX 1000  /* the rest in the next step, so that others get their turn */

static int64_t or_default(int64_t value, int64_t otherwise)
{
    return value > 0 ? value : otherwise;
}

static void set_config(struct cron *c, const struct cron_config *config)
{
    struct cron_config *own = &c->config;
    *own = *config;
    own->role = xstrdup(config->role && config->role[0] ? config->role : "*");
    own->user = config->user ? xstrdup(config->user) : NULL;
    own->address = xstrdup(config->address ? config->address : "");
    own->history_count = or_default(config->history_count, 1000);
    own->task_launch_confirm_timeout_ms = or_default(config->task_launch_confirm_timeout_ms, 300000);
    own->task_launch_timeout_ms = or_default(config->task_launch_timeout_ms, 300000);
    own->kill_retry_timeout_ms = or_default(config->kill_retry_timeout_ms, 10000);
    own->task_lost_expunge_ms = or_default(config->task_lost_expunge_ms, 300000);
    own->reconciliation_interval_ms = or_default(config->reconciliation_interval_ms, 900000);
    own->decline_offer_duration_ms = or_default(config->decline_offer_duration_ms, 120000);
    own->runs_max = or_default(config->runs_max, 200000);
    own->chronos_failure_retry_ms = or_default(config->chronos_failure_retry_ms, 60000);
    own->chronos_cpus = config->chronos_cpus > 0 ? config->chronos_cpus : 0.1;
    own->chronos_mem = config->chronos_mem > 0 ? config->chronos_mem : 128;
    own->chronos_disk = config->chronos_disk > 0 ? config->chronos_disk : 256;
}

struct cron *cron_new(const struct cron_config *config)
{
    struct cron *c = xcalloc(1, sizeof(*c));
    CHECK(config->zones != NULL);
    set_config(c, config);
    rng_seed(&c->rng, config->seed);
    map_init(&c->entries);
    map_init(&c->runs);
    map_init(&c->tasks);
    map_init(&c->graphs);
    map_init(&c->reads);
    heap_init(&c->timers);
    heap_init(&c->due);
    c->reconcile_timer.kind = TIMER_RECONCILE;
    list_init(&c->queue);
    list_init(&c->queue_high);
    list_init(&c->dirty_entries);
    list_init(&c->dirty_runs);
    list_init(&c->dirty_graphs);
    c->outbox = outbox_new(CRON_STORE_PREFIX);
    return c;
}

struct cron *cron_free(struct cron *c)
{
    if (c == NULL)
        return NULL;
    for (struct map_entry *m; (m = map_first(&c->entries)) != NULL;) {
        struct entry *e = map_value(m);
        while (!list_is_empty(&e->runs))
            cron_run_free(c, container_of(e->runs.next, struct run, link));
        cron_entry_free(c, e);
    }
    for (struct map_entry *m; (m = map_first(&c->graphs)) != NULL;)
        cron_graph_free(c, map_value(m));
    cron_reads_free(c);
    map_deinit(&c->entries);
    map_deinit(&c->runs);
    map_deinit(&c->tasks);
    map_deinit(&c->graphs);
    map_deinit(&c->reads);
    heap_deinit(&c->timers);
    heap_deinit(&c->due);
    c->outbox = outbox_free(c->outbox);
    free(c->framework_id);
    free((char *)c->config.role);
    free((char *)c->config.user);
    free((char *)c->config.address);
    free(c);
    return NULL;
}

/* -- effects ------------------------------------------------------------------------------------------------------- */

void cron_trace(struct cron *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    outbox_text(c->outbox, KIT_EFFECT_TRACE, fmt, ap);
    va_end(ap);
}

void cron_fatal(struct cron *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    outbox_text(c->outbox, KIT_EFFECT_FATAL, fmt, ap);
    va_end(ap);
    c->is_failed = true;
}

void cron_call(struct cron *c, const Mesos__V1__Scheduler__Call *call)
{
    outbox_call(c->outbox, call);
}

/* -- events -------------------------------------------------------------------------------------------------------- */

static void on_started(struct cron *c, const struct kit_event *in)
{
    if (c->is_loaded || cron_load(c, in->started.items, in->started.item_count) != 0)
        return;
    c->is_loaded = true;
    heap_set(&c->timers, &c->reconcile_timer.node, c->now_ms + c->config.reconciliation_interval_ms);
    struct kit_effect e = {.type = KIT_EFFECT_START_SCHEDULER};
    e.framework_id = c->framework_id ? arena_strdup(outbox_now_arena(c->outbox), c->framework_id) : NULL;
    outbox_now(c->outbox, &e);
}

static void on_subscribed(struct cron *c, const struct kit_event *in)
{
    c->is_connected = true;
    c->is_settled = false;
    if (c->framework_id && strcmp(c->framework_id, in->subscribed.framework_id) == 0)
        return;
    free(c->framework_id);
    c->framework_id = xstrdup(in->subscribed.framework_id);
    cron_store_framework(c);
}

static void on_settled(struct cron *c)
{
    c->is_settled = true;
    c->demand_grew = true;
    c->is_wanting = false; /* say it again, whatever was said on the last connection */
    cron_tasks_resend_kills(c);
}

static void on_store_done(struct cron *c, const struct kit_event *in)
{
    if (in->store_done.result != 0)
        cron_fatal(c, "writing to the store failed: %s", strerror(-in->store_done.result));
    else
        outbox_stored(c->outbox, in->store_done.token);
}

static void dispatch(struct cron *c, const struct kit_event *in)
{
    switch (in->type) {
    case KIT_EVENT_STARTED:
        on_started(c, in);
        return;
    case KIT_EVENT_STORE_DONE:
        on_store_done(c, in);
        return;
    case KIT_EVENT_READ_DONE:
        cron_on_read_done(c, in);
        return;
    case KIT_EVENT_SUBSCRIBED:
        on_subscribed(c, in);
        return;
    case KIT_EVENT_OFFERS:
        cron_on_offers(c, in->offers.offers, in->offers.count);
        return;
    case KIT_EVENT_UPDATE:
        cron_on_update(c, in->update);
        return;
    case KIT_EVENT_DISCONNECTED:
        c->is_connected = c->is_settled = false;
        return;
    case KIT_EVENT_SETTLED:
        on_settled(c);
        return;
    case KIT_EVENT_REQUEST:
        cron_on_request(c, in->request);
        return;
    case KIT_EVENT_RESCIND: /* no offer is kept beyond its step: a launch on it gives a TASK_DROPPED */
    case KIT_EVENT_FAILURE: /* a hint; status updates follow for every task */
    case KIT_EVENT_TICK:
    case KIT_EVENT_OWN:
        return;
    }
    CHECK(!"type of an event");
}

/* -- time ---------------------------------------------------------------------------------------------------------- */

static void reconcile_some(struct cron *c, const struct sdk_task *tasks, size_t count)
{
    cron_call(c, sdk_call_reconcile(outbox_later_arena(c->outbox), tasks, count));
}

static void reconcile_all(struct cron *c)
{
    heap_set(&c->timers, &c->reconcile_timer.node, c->now_ms + c->config.reconciliation_interval_ms);
    if (!c->is_settled)
        return;
    struct sdk_task batch[RECONCILE_BATCH];
    size_t count = 0;
    for (struct map_entry *m = map_first(&c->tasks); m; m = map_next(m)) {
        const struct task *t = map_value(m);
        /* one whose launch was just sent is not known to the master for sure */
        if (t->state == TASK_CREATED)
            continue;
        batch[count++] = (struct sdk_task){.task_id = t->id, .agent_id = t->agent_id};
        if (count == RECONCILE_BATCH) {
            reconcile_some(c, batch, count);
            count = 0;
        }
    }
    if (count > 0)
        reconcile_some(c, batch, count);
    /* And without naming any: tasks that are no longer ours are told again, and killed again if that was lost before. */
    reconcile_some(c, NULL, 0);
}

static void on_timer(struct cron *c, struct timer *t)
{
    switch (t->kind) {
    case TIMER_RUN:
        cron_run_on_timer(c, container_of(t, struct run, timer));
        return;
    case TIMER_TASK:
        cron_task_on_timer(c, container_of(t, struct task, timer));
        return;
    case TIMER_RECONCILE:
        reconcile_all(c);
        return;
    case TIMER_DUE:
        break;
    }
    CHECK(!"kind of a timer");
}

static void run_timers(struct cron *c)
{
    for (struct heap_node *node; (node = heap_pop_due(&c->timers, c->now_ms)) != NULL;)
        on_timer(c, container_of(node, struct timer, node));
}

static void run_dues(struct cron *c)
{
    struct heap_node *node;
    for (int k = 0; k < DUES_PER_STEP_MAX && (node = heap_pop_due(&c->due, c->wall_ms)) != NULL; k++)
        cron_on_due(c, container_of(container_of(node, struct timer, node), struct entry, due));
}

int cron_step(struct cron *c, const struct kit_event *in, struct kit_effects *out)
{
    c->now_ms = in->now_ms;
    c->wall_ms = in->wall_ms;
    c->kills_in_step = 0;
    outbox_begin(c->outbox);
    if (in->type == KIT_EVENT_REQUEST && c->is_loaded && !c->is_failed)
        run_dues(c); /* the request may end a schedule, but not what was due before it came */
    if (!c->is_failed)
        dispatch(c, in);
    if (!c->is_failed && c->is_loaded) {
        run_timers(c);
        run_dues(c);
        cron_store_dirty(c);
        cron_update_demand(c);
    }
    outbox_end(c->outbox, out);
    return c->is_failed ? -EIO : 0;
}

int64_t cron_next_deadline(const struct cron *c)
{
    if (!c->is_loaded || c->is_failed)
        return INT64_MAX;
    const struct heap_node *timer = heap_peek(&c->timers), *due = heap_peek(&c->due);
    int64_t at = timer ? timer->key_ms : INT64_MAX;
    if (due) {
        int64_t wait = due->key_ms - c->wall_ms;
        wait = wait < 0 ? 0 : wait < CALENDAR_CHECK_MS ? wait : CALENDAR_CHECK_MS;
        at = c->now_ms + wait < at ? c->now_ms + wait : at;
    }
    return at;
}

/* -- queries ------------------------------------------------------------------------------------------------------- */

const char *cron_framework_id(const struct cron *c)
{
    return c->framework_id;
}

size_t cron_known_tasks(const struct cron *c, struct arena *a, const struct sdk_task **out)
{
    struct sdk_task *list = arena_new_array(a, struct sdk_task, map_count(&c->tasks) + 1);
    size_t count = 0;
    for (struct map_entry *m = map_first(&c->tasks); m; m = map_next(m)) {
        const struct task *t = map_value(m);
        list[count++] = (struct sdk_task){t->id, t->agent_id};
    }
    *out = list;
    return count;
}

void cron_get_counts(const struct cron *c, struct cron_counts *out)
{
    *out = c->totals;
    out->jobs = map_count(&c->entries);
    out->scheduled = c->scheduled_count;
    out->runs = c->run_count;
    out->queued = c->queued_count;
    out->tasks = map_count(&c->tasks);
    out->graphs = map_count(&c->graphs);
}

/* -- invariants ---------------------------------------------------------------------------------------------------- */

static void check_run(const struct cron *c, const struct run *r)
{
    size_t tasks = 0;
    list_for_each(node, &r->tasks)
    {
        const struct task *t = container_of(node, struct task, link);
        CHECK(t->run == r && map_get(&c->tasks, t->id) == t);
        CHECK(r->array ? t->index < r->array->next : t->index == 0);
        CHECK(!t->is_killed || heap_is_in(&t->timer.node));
        tasks++;
    }
    CHECK(map_get(&c->runs, r->id) == r);
    CHECK(tasks == r->task_count);
    CHECK(r->array || tasks <= 1); /* one task at a time */
    CHECK(!r->array || (int64_t)tasks <= r->array->parallel);
    CHECK(!r->is_stopping || tasks > 0); /* else it would have ended */
    CHECK(cron_run_wants_task(r) == !list_is_empty(&r->queue_link));
    CHECK(!r->waits_for_older || r->link.prev != &r->entry->runs);
    CHECK(!r->graph || map_get(&c->graphs, r->graph->id) == r->graph);
    if (r->array) {
        const struct array *a = r->array;
        size_t pending = a->ready_count + a->waiting.count;
        CHECK(r->is_stopping || a->next == a->succeeded + a->failed + (int64_t)(tasks + pending));
    }
}

static void check_entry(const struct cron *c, const struct entry *e, size_t *runs)
{
    size_t count = 0;
    int64_t last = 0;
    list_for_each(node, &e->runs)
    {
        const struct run *r = container_of(node, struct run, link);
        CHECK(r->entry == e && r->ordinal > last && r->ordinal < e->next_ordinal);
        last = r->ordinal;
        check_run(c, r);
        count++;
    }
    CHECK(count == e->run_count);
    CHECK(!e->is_deleted || count > 0);
    CHECK(!e->is_deleted || !heap_is_in(&e->due.node));
    CHECK(!heap_is_in(&e->due.node) || e->due.node.key_ms == cron_entry_next_due(e));
    *runs += count;
}

void cron_check_invariants(const struct cron *c)
{
    size_t runs = 0, live = 0;
    if (!c->is_loaded || c->is_failed)
        return;
    for (struct map_entry *m = map_first(&c->entries); m; m = map_next(m))
        check_entry(c, map_value(m), &runs);
    CHECK(runs == c->run_count);
    for (struct map_entry *m = map_first(&c->graphs); m; m = map_next(m)) {
        const struct graph *g = map_value(m);
        CHECK(g->live_runs > 0);
        live += g->live_runs;
    }
    CHECK(live <= runs);
}
