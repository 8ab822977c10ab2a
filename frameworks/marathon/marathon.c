/* SPDX-License-Identifier: Apache-2.0
 * marathon.c - the step function: one event in, what follows from it, effects out. */
#include "frameworks/marathon/marathon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/marathon/core.h"
#include "frameworks/sdk/calls.h"

#define RECONCILE_BATCH 1000

static int64_t or_default(int64_t value, int64_t otherwise)
{
    return value > 0 ? value : otherwise;
}

static char *copy_or_null(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

static void set_config(struct marathon *m, const struct marathon_config *c)
{
    struct marathon_config *own = &m->config;
    *own = *c;
    own->role = xstrdup(c->role && c->role[0] ? c->role : "*");
    own->user = copy_or_null(c->user);
    own->hostname = copy_or_null(c->hostname);
    own->env_vars_prefix = copy_or_null(c->env_vars_prefix);
    if (own->local_port_max == 0) {
        own->local_port_min = 10000;
        own->local_port_max = 20000;
    }
    own->task_launch_confirm_timeout_ms = or_default(c->task_launch_confirm_timeout_ms, 300000);
    own->task_launch_timeout_ms = or_default(c->task_launch_timeout_ms, 300000);
    own->kill_retry_timeout_ms = or_default(c->kill_retry_timeout_ms, 30000);
    own->scale_apps_interval_ms = or_default(c->scale_apps_interval_ms, 300000);
    own->reconciliation_interval_ms = or_default(c->reconciliation_interval_ms, 600000);
    own->decline_offer_duration_ms = or_default(c->decline_offer_duration_ms, 120000);
    own->running_deployments_max = or_default(c->running_deployments_max, 100);
    own->probes_max = or_default(c->probes_max, 256);
    m->context.role = own->role;
}

struct marathon *marathon_new(const struct marathon_config *config)
{
    struct marathon *m = xcalloc(1, sizeof(*m));
    set_config(m, config);
    rng_seed(&m->rng, config->seed);
    map_init(&m->services);
    map_init(&m->instances);
    map_init(&m->deployments);
    map_init(&m->groups);
    map_init(&m->probes);
    heap_init(&m->timers);
    m->scale_timer.kind = TIMER_SCALE;
    m->reconcile_timer.kind = TIMER_RECONCILE;
    list_init(&m->touched_services);
    list_init(&m->touched_deployments);
    list_init(&m->dirty_instances);
    list_init(&m->waiting);
    list_init(&m->spreads);
    list_init(&m->probes_waiting);
    m->outbox = outbox_new(MARATHON_STORE_PREFIX);
    return m;
}

struct marathon *marathon_free(struct marathon *m)
{
    if (m == NULL)
        return NULL;
    for (struct map_entry *e; (e = map_first(&m->deployments)) != NULL;) {
        struct deployment *d = map_value(e);
        (void)map_remove(&m->deployments, d->id); /* is in it */
        marathon_deployment_free(d);
    }
    for (struct map_entry *e; (e = map_first(&m->services)) != NULL;) {
        struct service *s = map_value(e);
        while (!list_is_empty(&s->instances))
            marathon_instance_free(m, container_of(s->instances.next, struct instance, link));
        marathon_service_free(m, s);
    }
    map_deinit(&m->services);
    map_deinit(&m->instances);
    map_deinit(&m->deployments);
    map_deinit(&m->groups);
    map_deinit(&m->probes);
    heap_deinit(&m->timers);
    m->outbox = outbox_free(m->outbox);
    free(m->framework_id);
    free(m->master_region);
    free((char *)m->config.role);
    free((char *)m->config.user);
    free((char *)m->config.hostname);
    free((char *)m->config.env_vars_prefix);
    free(m);
    return NULL;
}

/* -- events ---------------------------------------------------------------------------------------------------- */

static void on_started(struct marathon *m, const struct kit_event *in)
{
    if (m->is_loaded || marathon_load(m, in->started.items, in->started.item_count) != 0)
        return;
    m->is_loaded = true;
    heap_set(&m->timers, &m->scale_timer.node, m->now_ms + m->config.scale_apps_interval_ms);
    heap_set(&m->timers, &m->reconcile_timer.node, m->now_ms + m->config.reconciliation_interval_ms);
    struct kit_effect e = {.type = KIT_EFFECT_START_SCHEDULER};
    e.framework_id = m->framework_id ? arena_strdup(outbox_now_arena(m->outbox), m->framework_id) : NULL;
    outbox_now(m->outbox, &e);
}

static void on_subscribed(struct marathon *m, const struct kit_event *in)
{
    bool is_new = m->framework_id == NULL;
    m->is_connected = true;
    m->is_settled = false;
    free(m->master_region);
    m->master_region = copy_or_null(in->subscribed.master_region);
    if (is_new || strcmp(m->framework_id, in->subscribed.framework_id) != 0) {
        free(m->framework_id);
        m->framework_id = xstrdup(in->subscribed.framework_id);
        marathon_store_framework(m);
    }
    marathon_publish_scheduler(m, is_new ? "scheduler_registered_event" : "scheduler_reregistered_event",
                               in->subscribed.master);
}

static void on_settled(struct marathon *m)
{
    m->is_settled = true;
    m->demand_grew = true;
    m->is_wanting = false; /* say it again, whatever was said on the last connection */
    marathon_kills_resend(m);
}

static void on_disconnected(struct marathon *m)
{
    if (m->is_connected)
        marathon_publish_scheduler(m, "scheduler_disconnected_event", NULL);
    m->is_connected = m->is_settled = false;
}

static void on_store_done(struct marathon *m, const struct kit_event *in)
{
    if (in->store_done.result != 0)
        marathon_fatal(m, "writing to the store failed: %s", strerror(-in->store_done.result));
    else
        outbox_stored(m->outbox, in->store_done.token);
}

static void dispatch(struct marathon *m, const struct kit_event *in)
{
    switch (in->type) {
    case KIT_EVENT_STARTED:
        on_started(m, in);
        return;
    case KIT_EVENT_STORE_DONE:
        on_store_done(m, in);
        return;
    case KIT_EVENT_SUBSCRIBED:
        on_subscribed(m, in);
        return;
    case KIT_EVENT_OFFERS:
        marathon_on_offers(m, in->offers.offers, in->offers.count);
        return;
    case KIT_EVENT_UPDATE:
        marathon_on_update(m, in->update);
        return;
    case KIT_EVENT_DISCONNECTED:
        on_disconnected(m);
        return;
    case KIT_EVENT_SETTLED:
        on_settled(m);
        return;
    case KIT_EVENT_REQUEST:
        marathon_on_request(m, in->request);
        return;
    case KIT_EVENT_OWN:
        marathon_on_probe_done(m, in->own);
        return;
    case KIT_EVENT_READ_DONE: /* nothing is read after the start */
        return;
    case KIT_EVENT_RESCIND: /* no offer is kept beyond its step: one that was used gives a TASK_DROPPED or TASK_LOST */
    case KIT_EVENT_FAILURE: /* a hint; status updates follow for every task */
    case KIT_EVENT_TICK:
        return;
    }
    CHECK(!"type of an event");
}

/* -- time -------------------------------------------------------------------------------------------------------- */

static void trim_all(struct marathon *m)
{
    heap_set(&m->timers, &m->scale_timer.node, m->now_ms + m->config.scale_apps_interval_ms);
    for (struct map_entry *e = map_first(&m->services); e; e = map_next(e)) {
        struct service *s = map_value(e);
        if (s->deployment || s->is_deleted || s->tally[TALLY_ACTIVE] == s->app->instances)
            continue;
        s->wants_trim = true;
        marathon_service_touch(m, s);
    }
}

static void reconcile_some(struct marathon *m, const struct sdk_task *tasks, size_t count)
{
    outbox_call(m->outbox, sdk_call_reconcile(outbox_later_arena(m->outbox), tasks, count));
}

static void reconcile_all(struct marathon *m)
{
    heap_set(&m->timers, &m->reconcile_timer.node, m->now_ms + m->config.reconciliation_interval_ms);
    if (!m->is_settled)
        return;
    struct sdk_task batch[RECONCILE_BATCH];
    size_t count = 0;
    for (struct map_entry *e = map_first(&m->instances); e; e = map_next(e)) {
        const struct instance *i = map_value(e);
        /* one whose launch was just sent is not known to the master for sure */
        if (i->task_id == NULL || i->condition == CONDITION_PROVISIONED)
            continue;
        batch[count++] = (struct sdk_task){.task_id = i->task_id, .agent_id = i->agent_id};
        if (count == RECONCILE_BATCH) {
            reconcile_some(m, batch, count);
            count = 0;
        }
    }
    if (count > 0)
        reconcile_some(m, batch, count);
    /* And without naming any: tasks that are no longer ours are told again, and killed again if that was lost before. */
    reconcile_some(m, NULL, 0);
}

static void on_timer(struct marathon *m, struct timer *t)
{
    switch (t->kind) {
    case TIMER_INSTANCE:
        marathon_instance_on_timer(m, container_of(t, struct instance, timer));
        return;
    case TIMER_SERVICE:
        marathon_service_queue(m, container_of(t, struct service, timer));
        return;
    case TIMER_CHECK:
        marathon_on_check_timer(m, container_of(t, struct check, timer));
        return;
    case TIMER_READINESS:
        marathon_on_readiness_timer(m, container_of(t, struct readiness, timer));
        return;
    case TIMER_SCALE:
        trim_all(m);
        return;
    case TIMER_RECONCILE:
        reconcile_all(m);
        return;
    }
    CHECK(!"kind of a timer");
}

static void run_timers(struct marathon *m)
{
    for (struct heap_node *node; (node = heap_pop_due(&m->timers, m->now_ms)) != NULL;)
        on_timer(m, container_of(node, struct timer, node));
}

/* -- the end of a step --------------------------------------------------------------------------------------------- */

/* Looks at everything that changed until nothing follows from it any more. */
static void settle(struct marathon *m)
{
    for (;;) {
        struct list *node = list_pop_front(&m->touched_services);
        if (node) {
            struct service *s = container_of(node, struct service, touched_link);
            s->is_touched = false;
            if (s->deployment)
                marathon_deployment_touch(m, s->deployment);
            else
                marathon_service_ensure(m, s);
            continue;
        }
        node = list_pop_front(&m->touched_deployments);
        if (node == NULL)
            return;
        struct deployment *d = container_of(node, struct deployment, touched_link);
        d->is_touched = false;
        marathon_deployment_advance(m, d);
    }
}

static void store_dirty(struct marathon *m)
{
    for (struct list *node; (node = list_pop_front(&m->dirty_instances)) != NULL;)
        marathon_store_instance(m, container_of(node, struct instance, dirty_link));
}

int marathon_step(struct marathon *m, const struct kit_event *in, struct kit_effects *out)
{
    m->now_ms = in->now_ms;
    m->wall_ms = in->wall_ms;
    m->kills_in_step = 0;
    outbox_begin(m->outbox);
    if (!m->is_failed)
        dispatch(m, in);
    if (!m->is_failed && m->is_loaded) {
        run_timers(m);
        settle(m);
        store_dirty(m);
        marathon_update_demand(m);
    }
    outbox_end(m->outbox, out);
    return m->is_failed ? -EIO : 0;
}

int64_t marathon_next_deadline(const struct marathon *m)
{
    const struct heap_node *first = m->is_loaded ? heap_peek(&m->timers) : NULL;
    return first ? first->key_ms : INT64_MAX;
}

/* -- queries ---------------------------------------------------------------------------------------------------------- */

const char *marathon_framework_id(const struct marathon *m)
{
    return m->framework_id;
}

size_t marathon_known_tasks(const struct marathon *m, struct arena *a, const struct sdk_task **out)
{
    struct sdk_task *list = arena_new_array(a, struct sdk_task, map_count(&m->instances) + 1);
    size_t count = 0;
    for (struct map_entry *e = map_first(&m->instances); e; e = map_next(e)) {
        const struct instance *i = map_value(e);
        if (i->task_id)
            list[count++] = (struct sdk_task){i->task_id, i->agent_id};
    }
    *out = list;
    return count;
}

void marathon_get_counts(const struct marathon *m, struct marathon_counts *out)
{
    *out = m->totals;
    out->deployments = map_count(&m->deployments);
    out->instances = map_count(&m->instances);
    for (struct map_entry *e = map_first(&m->services); e; e = map_next(e)) {
        const struct service *s = map_value(e);
        out->apps += !s->is_deleted;
        out->running += (uint64_t)s->tally[TALLY_RUNNING];
        out->staged += (uint64_t)s->tally[TALLY_STAGED];
        out->healthy += (uint64_t)s->tally[TALLY_HEALTHY];
        out->unhealthy += (uint64_t)s->tally[TALLY_UNHEALTHY];
        out->queued += (uint64_t)s->tally[TALLY_SCHEDULED];
    }
}

static void check_service(const struct marathon *m, const struct service *s)
{
    int64_t tally[TALLY_COUNT] = {0}, scheduled = 0;
    list_for_each(node, &s->instances)
    {
        const struct instance *i = container_of(node, struct instance, link);
        CHECK(i->service == s && i->spec != NULL && map_get(&m->instances, i->id) == i);
        CHECK((i->task_id == NULL) == (i->condition == CONDITION_SCHEDULED));
        CHECK(list_is_empty(&i->queue_link) == (i->condition != CONDITION_SCHEDULED));
        CHECK(!condition_is_terminal(i->condition));
        CHECK(list_is_empty(&i->dirty_link));
        for (int t = 0; t < TALLY_COUNT; t++)
            tally[t] += (i->tallies >> t) & 1;
        scheduled += i->condition == CONDITION_SCHEDULED;
    }
    CHECK(memcmp(tally, s->tally, sizeof(tally)) == 0);
    CHECK(s->tally[TALLY_SCHEDULED] == scheduled && list_is_empty(&s->scheduled) == (scheduled == 0));
    CHECK(s->app != NULL && s->spread == NULL);
    CHECK(s->deployment == NULL || map_get(&m->deployments, s->deployment->id) == s->deployment);
    /* without a deployment nothing is missing, ever */
    CHECK(s->deployment || s->is_deleted || s->tally[TALLY_ACTIVE] >= s->app->instances);
    CHECK(s->deployment || !s->is_deleted || s->tally[TALLY_ALL] == s->tally[TALLY_DYING]);
}

void marathon_check_invariants(const struct marathon *m)
{
    size_t instances = 0;
    if (m->is_failed || !m->is_loaded)
        return;
    CHECK(list_is_empty(&m->touched_services) && list_is_empty(&m->touched_deployments));
    for (struct map_entry *e = map_first(&m->services); e; e = map_next(e)) {
        const struct service *s = map_value(e);
        check_service(m, s);
        instances += (size_t)s->tally[TALLY_ALL];
    }
    CHECK(instances == map_count(&m->instances));
    CHECK(map_count(&m->probes) <= (size_t)m->config.probes_max);
    for (struct map_entry *e = map_first(&m->deployments); e; e = map_next(e)) {
        const struct deployment *d = map_value(e);
        CHECK(d->step < d->plan.step_count);
    }
}
