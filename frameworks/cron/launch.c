/* SPDX-License-Identifier: Apache-2.0
 * launch.c - offers to launches. Runs that wait are asked oldest first, those of high priority before the others; one that
 * does not fit lets the next one try, but not without end: an offer is given up when too many in a row did not fit. */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/resource/resource.h"
#include "frameworks/cron/task_info.h"
#include "frameworks/kit/agent_value.h"
#include "frameworks/kit/pattern.h"
#include "frameworks/sdk/calls.h"
#include "frameworks/sdk/match.h"

#define MISSES_MAX 128 /* runs per offer that may be asked in vain */
#define UNSETTLED_REFUSE_S 1.0

struct offer_use { /* one offer of this step */
    const Mesos__V1__Offer *offer;
    const char *agent_address;
    struct resources *pool; /* what is left of it */
    Mesos__V1__TaskInfo **tasks;
    size_t task_count, task_capacity;
    size_t misses;
    struct arena *scratch;
};

static void decline(struct cron *c, Mesos__V1__Offer *const *offers, const bool *used, size_t count, double refuse_s)
{
    struct arena *a = outbox_later_arena(c->outbox);
    const char **ids = arena_new_array(a, const char *, count + 1);
    size_t n = 0;
    for (size_t k = 0; k < count; k++) {
        if (!used || !used[k])
            ids[n++] = offers[k]->id->value;
    }
    if (n == 0)
        return;
    c->totals.declines_total += n;
    cron_call(c, sdk_call_decline(a, ids, n, refuse_s));
}

static void accept(struct cron *c, const struct offer_use *u)
{
    struct arena *a = outbox_later_arena(c->outbox);
    const char *id = u->offer->id->value;
    Mesos__V1__TaskInfo **tasks = arena_memdup(a, u->tasks, u->task_count * sizeof(u->tasks[0]));
    Mesos__V1__Offer__Operation **launch = arena_new_one(a, Mesos__V1__Offer__Operation *);
    *launch = sdk_operation_launch(a, tasks, u->task_count);
    cron_call(c, sdk_call_accept(a, &id, 1, launch, 1, -1));
}

/* -- does it fit? -------------------------------------------------------------------------------------------------- */

static bool fits_constraint(const struct job_constraint *k, const struct offer_use *u)
{
    if (k->value == NULL)
        return true;
    const char *value = agent_value(u->offer, k->attribute, u->scratch);
    if (value == NULL)
        return k->op == JOB_UNLIKE;
    if (k->op == JOB_IS) {
        char *wanted = agent_value_canonical(k->value);
        bool is_equal = strcmp(value, wanted) == 0;
        free(wanted);
        return is_equal;
    }
    struct pattern *p = kit_pattern_new(k->value, NULL); /* was checked when the job was put */
    bool matches = p && pattern_matches(p, value);
    (void)pattern_free(p);
    return matches == (k->op == JOB_LIKE);
}

static int64_t millis(double amount)
{
    return (int64_t)(amount * 1000 + 0.5);
}

static struct resources *take(struct cron *c, const struct job *j, struct offer_use *u)
{
    struct sdk_need need = {.cpus_millis = millis(j->cpus),
                            .mem_millis = millis(j->mem),
                            .disk_millis = millis(j->disk),
                            .gpus_millis = j->gpus * 1000};
    struct resources *taken = NULL;
    for (size_t k = 0; k < j->constraint_count; k++) {
        if (!fits_constraint(&j->constraints[k], u))
            return NULL;
    }
    (void)sdk_match_take(u->pool, &need, c->config.role, &c->rng, NULL, &taken); /* taken tells */
    return taken;
}

/* -- launching ----------------------------------------------------------------------------------------------------- */

static const char *make_task_id(struct cron *c, const struct run *r, int64_t index, unsigned attempt, struct arena *a)
{
    char uuid[UUID_TEXT_SIZE];
    if (r->spec->chronos && !r->array && r->relaunches == 0) { /* ids are not used twice, even if a task never arrived */
        int64_t due_ms = r->due_ms ? r->due_ms : r->created_ms;
        const char *id = arena_printf(a, "ct:%lld:%u:%s:", (long long)due_ms, attempt - 1, r->spec->id);
        if (map_get(&c->tasks, id) == NULL) /* run twice by hand in one millisecond */
            return id;
    }
    rng_uuid(&c->rng, NULL, uuid);
    char *id = r->array ? arena_printf(a, "%s_%s.%lld.%s", r->spec->id, r->id, (long long)index, uuid)
                        : arena_printf(a, "%s_%s.%s", r->spec->id, r->id, uuid);
    for (size_t i = 0; i < strlen(r->spec->id); i++)
        id[i] = id[i] == '.' ? '_' : id[i]; /* as Marathon writes paths */
    return id;
}

static void unref_job(void *job)
{
    (void)job_unref(job);
}

static void launch(struct cron *c, struct run *r, struct offer_use *u, const struct resources *taken)
{
    struct arena *a = outbox_later_arena(c->outbox);
    unsigned attempt = r->attempts + 1;
    int64_t index = r->array ? array_take(r->array, &attempt) : 0;
    struct task *t = cron_task_new(c, r, index, make_task_id(c, r, index, attempt, a));
    Mesos__V1__Resource **wire;
    size_t wire_count = resources_to_wire(taken, RESOURCE_POST_REFINEMENT, a, &wire);
    t->attempt = attempt;
    t->agent_id = xstrdup(u->offer->agent_id->value);
    t->hostname = xstrdup(u->offer->hostname);
    t->agent_address = u->agent_address ? xstrdup(u->agent_address) : NULL;
    t->launched_ms = c->wall_ms;
    t->since_ms = c->now_ms;
    outbox_keep(c->outbox, job_ref(r->spec), unref_job);
    struct task_request q = {.run = r,
                             .task_id = arena_strdup(a, t->id),
                             .agent_id = t->agent_id,
                             .hostname = arena_strdup(a, t->hostname),
                             .index = index,
                             .attempt = attempt,
                             .resources = wire,
                             .resource_count = wire_count,
                             .user = c->config.user};
    if (u->task_count == u->task_capacity) {
        u->task_capacity = u->task_capacity ? 2 * u->task_capacity : 16;
        u->tasks = xrealloc(u->tasks, u->task_capacity * sizeof(u->tasks[0]));
    }
    u->tasks[u->task_count++] = cron_task_info(&q, a);
    c->totals.launches_total++;
    cron_task_set_state(c, t, TASK_CREATED);
    cron_run_changed(c, r);
    cron_run_settle(c, r);
}

/* As many tasks of the run as fit. false: not all that it wants. */
static bool use_offer(struct cron *c, struct run *r, struct offer_use *u)
{
    while (cron_run_wants_task(r)) {
        struct resources *taken = take(c, r->spec, u);
        if (taken == NULL)
            return false;
        launch(c, r, u, taken);
        (void)resources_free(taken);
    }
    return true;
}

static void use_for_queue(struct cron *c, struct list *queue, struct offer_use *u)
{
    list_for_each(node, queue)
    {
        if (u->misses >= MISSES_MAX)
            return;
        if (!use_offer(c, container_of(node, struct run, queue_link), u))
            u->misses++;
    }
}

static const char *address_of(const Mesos__V1__Offer *offer, struct arena *a)
{
    const Mesos__V1__Address *address = offer->url ? offer->url->address : NULL;
    if (address == NULL)
        return NULL;
    const char *host = address->hostname ? address->hostname : address->ip;
    return host ? arena_printf(a, "%s:%d", host, address->port) : NULL;
}

static bool process_offer(struct cron *c, const Mesos__V1__Offer *offer, struct arena *scratch, bool *was_crowded)
{
    struct err err;
    struct offer_use u = {.offer = offer, .scratch = scratch, .pool = sdk_match_pool(offer, &err)};
    if (u.pool == NULL) {
        cron_trace(c, "offer %s cannot be used: %s", offer->id->value, err.text);
        return false;
    }
    u.agent_address = address_of(offer, scratch);
    use_for_queue(c, &c->queue_high, &u);
    use_for_queue(c, &c->queue, &u);
    *was_crowded = *was_crowded || u.misses >= MISSES_MAX;
    if (u.task_count > 0)
        accept(c, &u);
    (void)resources_free(u.pool);
    free(u.tasks);
    return u.task_count > 0;
}

/* So many did not fit that those behind them were not asked: next time they are. */
static void rotate(struct list *queue)
{
    for (int k = 0; k < MISSES_MAX && !list_is_empty(queue); k++)
        list_push_back(queue, list_pop_front(queue));
}

void cron_on_offers(struct cron *c, Mesos__V1__Offer *const *offers, size_t count)
{
    c->totals.offers_total += count;
    if (!c->is_settled || c->queued_count == 0) {
        double refuse_s = c->is_settled ? (double)c->config.decline_offer_duration_ms / 1000 : UNSETTLED_REFUSE_S;
        decline(c, offers, NULL, count, refuse_s);
        return;
    }
    bool *used = xcalloc(count + 1, sizeof(bool)), was_crowded = false;
    struct arena *scratch = arena_new(0);
    for (size_t k = 0; k < count; k++) {
        used[k] = process_offer(c, offers[k], scratch, &was_crowded);
        arena_reset(scratch);
    }
    (void)arena_free(scratch);
    if (was_crowded)
        rotate(&c->queue);
    /* What crowds out others may fit into the same offer when it comes again soon. */
    decline(c, offers, used, count, was_crowded ? UNSETTLED_REFUSE_S : (double)c->config.decline_offer_duration_ms / 1000);
    free(used);
}

void cron_update_demand(struct cron *c)
{
    if (!c->is_connected || !c->is_settled)
        return; /* before that nothing may be launched anyway */
    bool has_demand = c->queued_count > 0;
    bool ask = has_demand && (!c->is_wanting || c->demand_grew);
    c->demand_grew = false;
    if (!ask && has_demand == c->is_wanting)
        return;
    c->is_wanting = has_demand;
    struct kit_effect e = {.type = KIT_EFFECT_WANT_OFFERS, .want_offers = has_demand};
    outbox_later(c->outbox, &e);
}
