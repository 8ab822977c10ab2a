/* SPDX-License-Identifier: Apache-2.0
 * views_queue.c - deployments and the launch queue as the API shows them (facts: marathon 1.8, 1.10). */
#include <string.h>

#include "common/base/check.h"
#include "common/resource/resource.h"
#include "frameworks/marathon/core.h"

void marathon_view_action(const struct plan_action *a, struct json_writer *w)
{
    json_begin_object(w);
    json_kv_string(w, "action", marathon_action_name(a->action));
    json_kv_string(w, "app", a->app_id);
    json_end_object(w);
}

void marathon_view_steps(const struct plan *plan, struct json_writer *w)
{
    json_begin_array(w);
    for (size_t k = 0; k < plan->step_count; k++) {
        json_begin_object(w);
        json_put_key(w, "actions");
        json_begin_array(w);
        for (size_t n = 0; n < plan->steps[k].count; n++)
            marathon_view_action(&plan->steps[k].actions[n], w);
        json_end_array(w);
        json_end_object(w);
    }
    json_end_array(w);
}

static void write_current_actions(const struct marathon *m, const struct deployment *d, struct json_writer *w)
{
    json_put_key(w, "currentActions");
    json_begin_array(w);
    const struct plan_step *step = d->step < d->plan.step_count ? &d->plan.steps[d->step] : NULL;
    for (size_t n = 0; step && n < step->count; n++) {
        const struct plan_action *a = &step->actions[n];
        const struct service *s = marathon_service_get(m, a->app_id);
        json_begin_object(w);
        json_kv_string(w, "action", marathon_action_name(a->action));
        json_kv_string(w, "app", a->app_id);
        json_put_key(w, "readinessCheckResults");
        if (s) {
            marathon_view_readiness_results(s, w);
        } else {
            json_begin_array(w);
            json_end_array(w);
        }
        json_end_object(w);
    }
    json_end_array(w);
}

void marathon_view_deployment(const struct marathon *m, const struct deployment *d, struct json_writer *w)
{
    json_begin_object(w);
    json_kv_string(w, "id", d->id);
    marathon_put_time(w, "version", d->version_ms);
    json_put_key(w, "affectedApps");
    json_begin_array(w);
    for (size_t k = 0; k < d->plan.change_count; k++)
        json_put_string(w, d->plan.changes[k].app_id);
    json_end_array(w);
    json_put_key(w, "affectedPods");
    json_begin_array(w);
    json_end_array(w);
    json_put_key(w, "steps");
    marathon_view_steps(&d->plan, w);
    write_current_actions(m, d, w);
    json_kv_uint(w, "currentStep", d->step + 1);
    json_kv_uint(w, "totalSteps", d->plan.step_count);
    json_end_object(w);
}

static const char *reason_name(enum reason reason)
{
    static const char *const names[] = {
        "UnfulfilledRole",        "UnfulfilledConstraint", "NoCorrespondingReservationFound",
        "AgentMaintenance",       "InsufficientCpus",      "InsufficientMemory",
        "InsufficientDisk",       "InsufficientGpus",      "InsufficientPorts",
        "DeclinedScarceResources"};
    return names[reason];
}

/* Each step sees what the one before let through. */
static void write_funnel(const char *key, const uint64_t *declined, uint64_t processed, struct json_writer *w)
{
    json_put_key(w, key);
    json_begin_array(w);
    for (int r = 0; r < REASON_COUNT; r++) {
        json_begin_object(w);
        json_kv_string(w, "reason", reason_name((enum reason)r));
        json_kv_uint(w, "declined", declined[r]);
        json_kv_uint(w, "processed", processed);
        json_end_object(w);
        processed -= declined[r] < processed ? declined[r] : processed;
    }
    json_end_array(w);
}

static void write_summary(const struct service *s, struct json_writer *w)
{
    uint64_t last[REASON_COUNT] = {0};
    for (struct map_entry *e = map_first(&s->last_offers); e; e = map_next(e)) {
        const struct last_offer *o = map_value(e);
        if (o->reason != REASON_FITS)
            last[o->reason]++;
    }
    json_put_key(w, "processedOffersSummary");
    json_begin_object(w);
    json_kv_uint(w, "processedOffersCount", s->offers_processed);
    json_kv_uint(w, "unusedOffersCount", s->offers_unused);
    if (s->last_unused_ms)
        marathon_put_time(w, "lastUnusedOfferAt", s->last_unused_ms);
    if (s->last_used_ms)
        marathon_put_time(w, "lastUsedOfferAt", s->last_used_ms);
    write_funnel("rejectSummaryLastOffers", last, map_count(&s->last_offers), w);
    write_funnel("rejectSummaryLaunchAttempt", s->declined, s->offers_processed, w);
    json_end_object(w);
}

static void write_unused_offers(const struct service *s, struct json_writer *w)
{
    json_put_key(w, "lastUnusedOffers");
    json_begin_array(w);
    for (struct map_entry *e = map_first(&s->last_offers); e; e = map_next(e)) {
        const struct last_offer *o = map_value(e);
        if (o->text == NULL)
            continue;
        json_begin_object(w);
        json_put_key(w, "offer");
        json_put_raw(w, o->text->json, strlen(o->text->json));
        json_put_key(w, "reason");
        json_begin_array(w);
        json_put_string(w, reason_name(o->reason));
        json_end_array(w);
        marathon_put_time(w, "timestamp", o->at_ms);
        json_end_object(w);
    }
    json_end_array(w);
}

static int64_t provisioned_count(const struct service *s)
{
    int64_t count = 0;
    list_for_each(node, &s->instances) count +=
        container_of(node, struct instance, link)->condition == CONDITION_PROVISIONED;
    return count;
}

static void write_item(struct marathon *m, struct service *s, unsigned embed, struct json_writer *w)
{
    int64_t until = marathon_service_backoff_until(m, s);
    json_begin_object(w);
    json_kv_int(w, "count", s->tally[TALLY_SCHEDULED]);
    json_put_key(w, "delay");
    json_begin_object(w);
    json_kv_int(w, "timeLeftSeconds", until > 0 ? (until - m->now_ms + 999) / 1000 : 0);
    json_kv_bool(w, "overdue", until == 0);
    json_end_object(w);
    marathon_put_time(w, "since", s->queued_since_ms);
    write_summary(s, w);
    if (embed & MARATHON_EMBED_LAST_UNUSED_OFFERS)
        write_unused_offers(s, w);
    json_put_key(w, "app");
    app_write(s->app, true, w);
    json_kv_string(w, "role", s->app->role);
    json_end_object(w);
}

void marathon_view_queue(struct marathon *m, unsigned embed, struct json_writer *w)
{
    json_begin_object(w);
    json_put_key(w, "queue");
    json_begin_array(w);
    for (struct map_entry *e = map_first(&m->services); e; e = map_next(e)) {
        struct service *s = map_value(e);
        if (!s->is_deleted && (s->tally[TALLY_SCHEDULED] > 0 || provisioned_count(s) > 0))
            write_item(m, s, embed, w);
    }
    json_end_array(w);
    json_end_object(w);
}

static void write_ranges(const Mesos__V1__Value__Ranges *ranges, struct json_writer *w)
{
    json_put_key(w, "ranges");
    json_begin_array(w);
    for (size_t k = 0; k < ranges->n_range; k++) {
        json_begin_object(w);
        json_kv_uint(w, "begin", ranges->range[k]->begin);
        json_kv_uint(w, "end", ranges->range[k]->end);
        json_end_object(w);
    }
    json_end_array(w);
}

static void write_set(const Mesos__V1__Value__Set *set, struct json_writer *w)
{
    json_put_key(w, "set");
    json_begin_array(w);
    for (size_t k = 0; k < set->n_item; k++)
        json_put_string(w, set->item[k]);
    json_end_array(w);
}

void marathon_view_resource(const Mesos__V1__Resource *r, struct json_writer *w)
{
    json_begin_object(w);
    json_kv_string(w, "name", r->name);
    json_kv_string(w, "role", r->n_reservations > 0 ? r->reservations[r->n_reservations - 1]->role : "*");
    if (r->scalar)
        json_kv_number(w, "scalar", r->scalar->value);
    if (r->ranges)
        write_ranges(r->ranges, w);
    if (r->set)
        write_set(r->set, w);
    json_end_object(w);
}

void marathon_view_attribute(const Mesos__V1__Attribute *a, struct json_writer *w)
{
    json_begin_object(w);
    json_kv_string(w, "name", a->name);
    if (a->text)
        json_kv_string(w, "text", a->text->value);
    if (a->scalar)
        json_kv_number(w, "scalar", a->scalar->value);
    if (a->ranges)
        write_ranges(a->ranges, w);
    if (a->set)
        write_set(a->set, w);
    json_end_object(w);
}
