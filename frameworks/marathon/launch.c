/* SPDX-License-Identifier: Apache-2.0
 * launch.c - offers to launches (facts: marathon 4.6, 1.10). Every offer is asked by every app that waits, oldest first,
 * and takes as many instances as fit; what is left over is declined. */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/resource/resource.h"
#include "frameworks/marathon/core.h"
#include "frameworks/marathon/task_info.h"
#include "frameworks/sdk/calls.h"
#include "frameworks/sdk/match.h"

#define LAST_OFFERS_MAX 256 /* agents per app that the debug view of the queue remembers */
#define OFFER_TEXT_BYTES_MAX (64u << 10)
#define UNSETTLED_REFUSE_S 1.0

struct offer_use { /* one offer of this step */
    const Mesos__V1__Offer *offer;
    struct resources *pool; /* what is left of it */
    Mesos__V1__TaskInfo **tasks;
    size_t task_count, task_capacity;
    struct offer_text *text; /* NULL until somebody needs it */
    struct arena *scratch;
};

static void decline(struct marathon *m, Mesos__V1__Offer *const *offers, const bool *used, size_t count, double refuse_s)
{
    struct arena *a = outbox_later_arena(m->outbox);
    const char **ids = arena_new_array(a, const char *, count);
    size_t n = 0;
    for (size_t k = 0; k < count; k++) {
        if (!used || !used[k])
            ids[n++] = offers[k]->id->value;
    }
    if (n == 0)
        return;
    m->totals.declines_total += n;
    outbox_call(m->outbox, sdk_call_decline(a, ids, n, refuse_s));
}

static void accept(struct marathon *m, const struct offer_use *u)
{
    struct arena *a = outbox_later_arena(m->outbox);
    const char *id = u->offer->id->value;
    Mesos__V1__TaskInfo **tasks = arena_memdup(a, u->tasks, u->task_count * sizeof(u->tasks[0]));
    /* the call goes out after this step: what it borrows lives as long as it does */
    Mesos__V1__Offer__Operation **launch = arena_new_one(a, Mesos__V1__Offer__Operation *);
    *launch = sdk_operation_launch(a, tasks, u->task_count);
    outbox_call(m->outbox, sdk_call_accept(a, &id, 1, launch, 1, -1));
}

static enum reason reason_of(enum sdk_match match)
{
    switch (match) {
    case SDK_MATCH_FITS:
        return REASON_FITS;
    case SDK_MATCH_E_CPUS:
        return REASON_CPUS;
    case SDK_MATCH_E_MEM:
        return REASON_MEM;
    case SDK_MATCH_E_DISK:
        return REASON_DISK;
    case SDK_MATCH_E_GPUS:
        return REASON_GPUS;
    case SDK_MATCH_E_PORTS:
        return REASON_PORTS;
    }
    CHECK(!"match");
}

/* The part of the offer that the app's acceptedResourceRoles allow; *owned says that the caller frees it. */
static struct resources *usable_pool(const struct marathon *m, const struct app *app, struct resources *pool, bool *owned)
{
    bool unreserved = !m->config.reserved_only, reserved = !m->config.unreserved_only;
    if (app->accepted_role_count > 0) {
        unreserved = reserved = false;
        for (size_t k = 0; k < app->accepted_role_count; k++) {
            bool is_star = strcmp(app->accepted_roles[k], "*") == 0;
            unreserved = unreserved || is_star;
            reserved = reserved || !is_star;
        }
    }
    *owned = !(unreserved && reserved);
    if (!*owned)
        return pool;
    return unreserved ? resources_unreserved(pool) : resources_reserved_to(pool, app->role);
}

static int64_t millis(double amount)
{
    return (int64_t)(amount * 1000 + 0.5);
}

static enum sdk_match take(struct marathon *m, const struct app *app, struct offer_use *u, uint32_t *ports,
                           struct resources **taken)
{
    uint32_t wanted[APP_PORTS_MAX];
    for (size_t k = 0; k < app->port_count; k++)
        wanted[k] = app->require_ports ? (uint32_t)app->ports[k].number : 0;
    struct sdk_need need = {.cpus_millis = millis(app->cpus),
                            .mem_millis = millis(app->mem),
                            .disk_millis = millis(app->disk),
                            .ports = wanted,
                            .port_count = app->port_count};
    bool owned;
    struct resources *pool = usable_pool(m, app, u->pool, &owned);
    enum sdk_match match = sdk_match_take(pool, &need, app->role, &m->rng, ports, taken);
    if (owned) {
        if (match == SDK_MATCH_FITS)
            resources_subtract(u->pool, *taken);
        (void)resources_free(pool);
    }
    return match;
}

static bool is_in_maintenance(const struct marathon *m, const Mesos__V1__Offer *offer)
{
    const Mesos__V1__Unavailability *u = offer->unavailability;
    if (u == NULL || u->start == NULL)
        return false;
    int64_t now_ns = m->wall_ms * 1000000, start = u->start->nanoseconds;
    if (now_ns < start)
        return false;
    return u->duration == NULL || now_ns - start < u->duration->nanoseconds;
}

static bool is_other_region(const struct marathon *m, const struct app *app, const Mesos__V1__Offer *offer)
{
    if (m->master_region == NULL || offer->domain == NULL || offer->domain->fault_domain == NULL)
        return false;
    return strcmp(offer->domain->fault_domain->region->name, m->master_region) != 0 && !constraints_name_region(app);
}

/* Only instances of the present configuration count: older ones must not block their successors. */
static struct spread *spread_of(struct marathon *m, struct service *s)
{
    if (s->spread)
        return s->spread;
    s->spread = spread_new(s->app);
    list_push_back(&m->spreads, &s->spread_link);
    list_for_each(node, &s->instances)
    {
        const struct instance *i = container_of(node, struct instance, link);
        if (i->values && marathon_instance_is_fresh(i) && i->spec->constraint_count == s->app->constraint_count)
            spread_add(s->spread, (const char *const *)i->values);
    }
    return s->spread;
}

static enum reason check_agent(struct marathon *m, struct service *s, const struct offer_use *u, const char *const *values)
{
    const struct app *app = s->app;
    const char *role = u->offer->allocation_info ? u->offer->allocation_info->role : m->context.role;
    if (role && strcmp(role, app->role) != 0)
        return REASON_ROLE;
    if (is_other_region(m, app, u->offer))
        return REASON_CONSTRAINT;
    if (app->constraint_count > 0 && !spread_accepts(spread_of(m, s), values))
        return REASON_CONSTRAINT;
    return is_in_maintenance(m, u->offer) ? REASON_MAINTENANCE : REASON_FITS;
}

static char *copy_or_null(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

static void fill_task(struct marathon *m, struct instance *i, const struct offer_use *u, const char *const *values,
                      const uint32_t *ports)
{
    struct service *s = i->service;
    const Mesos__V1__DomainInfo__FaultDomain *domain = u->offer->domain ? u->offer->domain->fault_domain : NULL;
    marathon_instance_dequeue(m, i);
    (void)app_unref(i->spec);
    i->spec = app_ref(s->app);
    size_t size = strlen(i->id) + 24;
    i->task_id = xmalloc(size);
    (void)snprintf(i->task_id, size, "%s._app.%u", i->id, i->incarnation); /* sized for it */
    i->agent_id = xstrdup(u->offer->agent_id->value);
    i->hostname = xstrdup(u->offer->hostname);
    i->region = copy_or_null(domain ? domain->region->name : NULL);
    i->zone = copy_or_null(domain ? domain->zone->name : NULL);
    i->ports = xmemdup(ports, (s->app->port_count + 1) * sizeof(ports[0]));
    if (s->app->constraint_count > 0) {
        i->values = xcalloc(s->app->constraint_count, sizeof(i->values[0]));
        for (size_t k = 0; k < s->app->constraint_count; k++)
            i->values[k] = copy_or_null(values[k]);
        spread_add(spread_of(m, s), values);
    }
    i->staged_ms = m->wall_ms;
}

static void launch(struct marathon *m, struct instance *i, struct offer_use *u, const char *const *values,
                   const uint32_t *ports, const struct resources *taken)
{
    struct arena *a = outbox_later_arena(m->outbox);
    Mesos__V1__Resource **wire;
    size_t wire_count = resources_to_wire(taken, RESOURCE_POST_REFINEMENT, a, &wire);
    fill_task(m, i, u, values, ports);
    marathon_keep_app(m, i->spec);
    struct task_request r = {.app = i->spec,
                             .task_id = i->task_id,
                             .agent_id = i->agent_id,
                             .hostname = arena_strdup(a, i->hostname),
                             .ports = i->ports,
                             .resources = wire,
                             .resource_count = wire_count,
                             .user = m->config.user,
                             .env_prefix = m->config.env_vars_prefix};
    r.task_id = arena_strdup(a, i->task_id);
    if (u->task_count == u->task_capacity) {
        u->task_capacity = u->task_capacity ? 2 * u->task_capacity : 16;
        u->tasks = xrealloc(u->tasks, u->task_capacity * sizeof(u->tasks[0]));
    }
    u->tasks[u->task_count++] = marathon_task_info(&r, a);
    m->totals.launches_total++;
    launch_backoff_advance(&i->service->backoff, m->now_ms);
    marathon_instance_set_condition(m, i, CONDITION_PROVISIONED);
}

static void write_offer(const Mesos__V1__Offer *offer, struct json_writer *w)
{
    json_begin_object(w);
    json_kv_string(w, "id", offer->id->value);
    json_kv_string(w, "hostname", offer->hostname);
    json_kv_string(w, "agentId", offer->agent_id->value);
    json_put_key(w, "resources");
    json_begin_array(w);
    for (size_t k = 0; k < offer->n_resources; k++)
        marathon_view_resource(offer->resources[k], w);
    json_end_array(w);
    json_put_key(w, "attributes");
    json_begin_array(w);
    for (size_t k = 0; k < offer->n_attributes; k++)
        marathon_view_attribute(offer->attributes[k], w);
    json_end_array(w);
    json_end_object(w);
}

struct offer_text *marathon_offer_text_unref(struct offer_text *t)
{
    if (t && --t->refs == 0)
        free(t);
    return NULL;
}

/* Written once per offer, however many apps could not use it. */
static struct offer_text *text_of_offer(struct offer_use *u)
{
    if (u->text == NULL) {
        struct buf b;
        struct json_writer w;
        buf_init(&b, OFFER_TEXT_BYTES_MAX);
        json_writer_init(&w, &b);
        write_offer(u->offer, &w);
        size_t n = b.overflowed ? 0 : buf_len(&b);
        u->text = xcalloc(1, sizeof(*u->text) + n + 3);
        u->text->refs = 1;
        memcpy(u->text->json, n ? (const char *)buf_data(&b) : "{}", n ? n : 2);
        buf_deinit(&b);
    }
    u->text->refs++;
    return u->text;
}

/* The newest offer of each agent, for people who ask why nothing starts. */
static void note_offer(struct marathon *m, struct service *s, struct offer_use *u, enum reason reason, bool was_used)
{
    s->offers_processed++;
    if (was_used) {
        s->last_used_ms = m->wall_ms;
    } else {
        s->offers_unused++;
        s->last_unused_ms = m->wall_ms;
        s->declined[reason]++;
    }
    const char *agent = u->offer->agent_id->value;
    struct last_offer *o = map_get(&s->last_offers, agent);
    if (o == NULL) {
        if (map_count(&s->last_offers) >= LAST_OFFERS_MAX)
            return;
        o = xcalloc(1, sizeof(*o));
        (void)map_put(&s->last_offers, agent, o); /* was not there */
    }
    (void)marathon_offer_text_unref(o->text);
    *o = (struct last_offer){.reason = was_used ? REASON_FITS : reason, .at_ms = m->wall_ms};
    o->text = was_used ? NULL : text_of_offer(u);
}

/* Launches what fits of one app. */
static void use_offer(struct marathon *m, struct service *s, struct offer_use *u)
{
    const char **values = constraint_values(s->app, u->offer, u->scratch);
    enum reason reason = REASON_FITS;
    bool was_used = false;
    while (!list_is_empty(&s->scheduled)) {
        uint32_t ports[APP_PORTS_MAX + 1];
        struct resources *taken = NULL;
        reason = check_agent(m, s, u, values);
        if (reason == REASON_FITS)
            reason = reason_of(take(m, s->app, u, ports, &taken));
        if (reason != REASON_FITS)
            break;
        struct instance *i = container_of(s->scheduled.next, struct instance, queue_link);
        launch(m, i, u, values, ports, taken);
        (void)resources_free(taken);
        was_used = true;
    }
    note_offer(m, s, u, reason, was_used);
}

static bool process_offer(struct marathon *m, const Mesos__V1__Offer *offer, struct arena *scratch)
{
    struct err err;
    struct offer_use u = {.offer = offer, .scratch = scratch, .pool = sdk_match_pool(offer, &err)};
    if (u.pool == NULL) {
        marathon_trace(m, "offer %s cannot be used: %s", offer->id->value, err.text);
        return false;
    }
    list_for_each(node, &m->waiting)
    {
        use_offer(m, container_of(node, struct service, waiting_link), &u);
    }
    if (u.task_count > 0)
        accept(m, &u);
    (void)resources_free(u.pool);
    (void)marathon_offer_text_unref(u.text);
    free(u.tasks);
    return u.task_count > 0;
}

void marathon_on_offers(struct marathon *m, Mesos__V1__Offer *const *offers, size_t count)
{
    m->totals.offers_total += count;
    if (!m->is_settled || list_is_empty(&m->waiting)) {
        double refuse_s = m->is_settled ? (double)m->config.decline_offer_duration_ms / 1000 : UNSETTLED_REFUSE_S;
        decline(m, offers, NULL, count, refuse_s);
        return;
    }
    bool *used = xcalloc(count + 1, sizeof(bool));
    struct arena *scratch = arena_new(0);
    for (size_t k = 0; k < count; k++) {
        used[k] = process_offer(m, offers[k], scratch);
        arena_reset(scratch);
    }
    (void)arena_free(scratch);
    for (struct list *node; (node = list_pop_front(&m->spreads)) != NULL;) {
        struct service *s = container_of(node, struct service, spread_link);
        s->spread = spread_free(s->spread);
    }
    decline(m, offers, used, count, (double)m->config.decline_offer_duration_ms / 1000);
    free(used);
}

void marathon_update_demand(struct marathon *m)
{
    if (!m->is_connected || !m->is_settled)
        return; /* before that nothing may be launched anyway */
    bool has_demand = !list_is_empty(&m->waiting);
    bool ask = has_demand && (!m->is_wanting || m->demand_grew);
    m->demand_grew = false;
    if (!ask && has_demand == m->is_wanting)
        return;
    m->is_wanting = has_demand;
    struct kit_effect e = {.type = KIT_EFFECT_WANT_OFFERS, .want_offers = has_demand};
    outbox_later(m->outbox, &e);
}
