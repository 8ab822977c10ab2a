/* SPDX-License-Identifier: Apache-2.0
 * instances.c - life of an instance: made, counted, launched again after its task has ended, removed (facts:
 * marathon 4.5, 4.8). What the master says about its task comes in through updates.c. */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/marathon/core.h"

const char *marathon_condition_name(enum condition c)
{
    static const char *const names[CONDITION_COUNT] = {
        "Scheduled", "Provisioned", "Staging", "Starting", "Running", "Killing", "Unreachable", "UnreachableInactive",
        "Finished",  "Failed",      "Killed",  "Error",    "Gone",    "Dropped", "Unknown"};
    return names[c];
}

const char *marathon_condition_task_state(enum condition c)
{
    static const char *const names[CONDITION_COUNT] = {
        "TASK_STAGING", "TASK_STAGING",     "TASK_STAGING",     "TASK_STARTING", "TASK_RUNNING",
        "TASK_KILLING", "TASK_UNREACHABLE", "TASK_UNREACHABLE", "TASK_FINISHED", "TASK_FAILED",
        "TASK_KILLED",  "TASK_ERROR",       "TASK_GONE",        "TASK_DROPPED",  "TASK_UNKNOWN"};
    return names[c];
}

struct instance *marathon_instance_new(struct marathon *m, struct service *s, const char *id)
{
    struct instance *i = xcalloc(1, sizeof(*i));
    i->service = s;
    i->incarnation = 1;
    i->since_ms = m->now_ms;
    i->timer.kind = TIMER_INSTANCE;
    list_init(&i->queue_link);
    list_init(&i->dirty_link);
    if (id) {
        i->id = xstrdup(id);
    } else {
        char safe[APP_ID_SIZE], uuid[UUID_TEXT_SIZE], text[APP_ID_SIZE + UUID_TEXT_SIZE + 16];
        app_id_to_safe(s->id, safe);
        rng_uuid(&m->rng, NULL, uuid);
        (void)snprintf(text, sizeof(text), "%s.instance-%s", safe, uuid); /* sized for it */
        i->id = xstrdup(text);
    }
    list_push_back(&s->instances, &i->link);
    CHECK(map_put(&m->instances, i->id, i) == NULL);
    return i;
}

void marathon_instance_clear_task(struct instance *i)
{
    if (i->values) {
        for (size_t k = 0; k < i->spec->constraint_count; k++)
            free(i->values[k]);
    }
    free(i->values);
    free(i->task_id);
    free(i->agent_id);
    free(i->hostname);
    free(i->region);
    free(i->zone);
    free(i->address);
    free(i->ports);
    free(i->kill_reason);
    i->kill_reason = NULL;
    i->values = NULL;
    i->task_id = i->agent_id = i->hostname = i->region = i->zone = i->address = NULL;
    i->ports = NULL;
    i->staged_ms = i->started_ms = i->unreachable_ms = 0;
    i->has_status = i->is_killed = i->has_check_result = false;
    i->mesos_health = i->health = HEALTH_NONE;
}

static void set_tallies(struct instance *i, unsigned bits)
{
    struct service *s = i->service;
    for (int t = 0; t < TALLY_COUNT; t++)
        s->tally[t] += (int64_t)((bits >> t) & 1) - (int64_t)((i->tallies >> t) & 1);
    i->tallies = bits;
}

void marathon_instance_free(struct marathon *m, struct instance *i)
{
    marathon_health_stop(m, i);
    set_tallies(i, 0);
    list_remove(&i->link);
    marathon_instance_dequeue(m, i);
    list_remove(&i->dirty_link);
    heap_remove(&m->timers, &i->timer.node);
    (void)map_remove(&m->instances, i->id); /* was in it */
    marathon_instance_clear_task(i);
    (void)app_unref(i->spec);
    free(i->id);
    free(i);
}

/* `<instance id>._app.<incarnation>`, the present one only: of older incarnations nothing is expected any more. */
struct instance *marathon_instance_by_task(const struct marathon *m, const char *task_id)
{
    const char *end = strstr(task_id, "._app.");
    if (end == NULL)
        return NULL;
    struct instance *i = map_get_n(&m->instances, task_id, (size_t)(end - task_id));
    return i && i->task_id && strcmp(i->task_id, task_id) == 0 ? i : NULL;
}

bool marathon_instance_is_fresh(const struct instance *i)
{
    return i->condition == CONDITION_SCHEDULED || i->spec->last_config_change_ms >= i->service->app->last_config_change_ms;
}

bool marathon_instance_is_ready(const struct instance *i)
{
    if (i->condition != CONDITION_RUNNING || i->is_killed || marathon_health_of(i) != HEALTH_GOOD)
        return false;
    return i->spec->readiness == NULL || !i->is_awaited || (i->readiness && i->readiness->is_ready);
}

static unsigned bit(enum tally t, bool on)
{
    return on ? 1u << t : 0;
}

static unsigned tallies_of(const struct instance *i)
{
    bool is_scheduled = i->condition == CONDITION_SCHEDULED;
    bool is_active = !i->is_decommissioned && i->condition != CONDITION_UNREACHABLE_INACTIVE;
    bool is_fresh = marathon_instance_is_fresh(i), is_ready = marathon_instance_is_ready(i);
    bool has_checks = i->spec->health_check_count > 0;
    enum health health = i->condition == CONDITION_RUNNING && has_checks ? marathon_health_of(i) : HEALTH_NONE;
    bool is_stuck = i->condition != CONDITION_RUNNING || health == HEALTH_BAD;
    bool is_staged = i->condition == CONDITION_PROVISIONED || i->condition == CONDITION_STAGING;
    return bit(TALLY_ALL, true) | bit(TALLY_ACTIVE, is_active) | bit(TALLY_FRESH, is_active && is_fresh) |
           bit(TALLY_FRESH_READY, is_active && is_fresh && is_ready) |
           bit(TALLY_OLD_HEALTHY, is_active && !is_fresh && is_ready) |
           bit(TALLY_OLD_UNHEALTHY, is_active && !is_fresh && !is_ready) |
           bit(TALLY_OLD_STUCK, is_active && !is_fresh && is_stuck) | bit(TALLY_DYING, i->is_decommissioned) |
           bit(TALLY_SCHEDULED, is_scheduled) | bit(TALLY_AWAITED, is_active && i->is_awaited && !is_ready) |
           bit(TALLY_STAGED, is_staged) | bit(TALLY_RUNNING, i->condition == CONDITION_RUNNING) |
           bit(TALLY_HEALTHY, health == HEALTH_GOOD) | bit(TALLY_UNHEALTHY, health == HEALTH_BAD);
}

void marathon_instance_changed(struct marathon *m, struct instance *i, bool store)
{
    unsigned bits = tallies_of(i);
    if (bits != i->tallies) {
        set_tallies(i, bits);
        marathon_service_touch(m, i->service);
    }
    if (store && list_is_empty(&i->dirty_link))
        list_push_back(&m->dirty_instances, &i->dirty_link);
}

void marathon_instance_enqueue(struct marathon *m, struct instance *i)
{
    struct service *s = i->service;
    CHECK(i->condition == CONDITION_SCHEDULED && list_is_empty(&i->queue_link));
    if (list_is_empty(&s->scheduled)) {
        s->queued_since_ms = m->wall_ms;
        s->offers_processed = s->offers_unused = 0;
        memset(s->declined, 0, sizeof(s->declined));
        marathon_service_forget_offers(s);
    }
    list_push_back(&s->scheduled, &i->queue_link);
    m->demand_grew = true;
    marathon_service_queue(m, s);
}

void marathon_instance_dequeue(struct marathon *m, struct instance *i)
{
    if (list_is_empty(&i->queue_link))
        return;
    list_remove(&i->queue_link);
    if (list_is_empty(&i->service->scheduled))
        marathon_service_queue(m, i->service);
}

void marathon_instance_set_timer(struct marathon *m, struct instance *i)
{
    const struct marathon_config *c = &m->config;
    int64_t at = INT64_MAX;
    if (i->is_killed)
        at = i->kill_next_ms;
    else if (i->condition == CONDITION_PROVISIONED)
        at = i->since_ms + c->task_launch_confirm_timeout_ms;
    else if (i->condition == CONDITION_STAGING || i->condition == CONDITION_STARTING)
        at = i->since_ms + c->task_launch_timeout_ms;
    bool is_lost = i->condition == CONDITION_UNREACHABLE || i->condition == CONDITION_UNREACHABLE_INACTIVE;
    if (is_lost && i->spec->inactive_after_s != APP_UNREACHABLE_DISABLED) {
        int64_t after_s = i->condition == CONDITION_UNREACHABLE ? i->spec->inactive_after_s : i->spec->expunge_after_s;
        int64_t wait = i->unreachable_ms + after_s * 1000 - m->wall_ms;
        at = m->now_ms + (wait > 0 ? wait : 0);
    }
    if (at == INT64_MAX)
        heap_remove(&m->timers, &i->timer.node);
    else
        heap_set(&m->timers, &i->timer.node, at);
}

void marathon_instance_set_condition(struct marathon *m, struct instance *i, enum condition c)
{
    if (i->condition != c) {
        i->condition = c;
        i->since_ms = m->now_ms;
        if (c != CONDITION_RUNNING && !condition_is_terminal(c))
            marathon_health_stop(m, i);
        marathon_publish_instance(m, i, c);
    }
    marathon_instance_set_timer(m, i);
    marathon_instance_changed(m, i, true);
}

void marathon_instance_remove(struct marathon *m, struct instance *i)
{
    struct service *s = i->service;
    marathon_forget_instance(m, i);
    marathon_instance_free(m, i);
    marathon_service_touch(m, s);
}

static bool is_failure(enum condition c)
{
    return c == CONDITION_FAILED || c == CONDITION_ERROR || c == CONDITION_GONE || c == CONDITION_DROPPED ||
           c == CONDITION_UNKNOWN;
}

static void note_failure(struct marathon *m, struct instance *i, enum condition how, const char *message)
{
    struct service *s = i->service;
    struct buf b;
    struct json_writer w;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    json_kv_string(&w, "appId", s->id);
    json_kv_string(&w, "host", i->hostname ? i->hostname : "");
    json_kv_string(&w, "message", message ? message : "");
    json_kv_string(&w, "state", marathon_condition_task_state(how));
    json_kv_string(&w, "taskId", i->task_id ? i->task_id : "");
    marathon_put_time(&w, "timestamp", m->wall_ms);
    marathon_put_time(&w, "version", i->spec->version_ms);
    if (i->agent_id)
        json_kv_string(&w, "slaveId", i->agent_id);
    json_end_object(&w);
    free(s->failure);
    s->failure = b.overflowed ? NULL : buf_steal_str(&b);
    buf_deinit(&b);
    marathon_store_failure(m, s);
}

static void delay_next_launch(struct marathon *m, struct service *s)
{
    launch_backoff_add(&s->backoff, s->app->backoff_ms, s->app->backoff_factor, s->app->backoff_max_ms, m->now_ms);
    marathon_service_queue(m, s);
}

void marathon_instance_ended(struct marathon *m, struct instance *i, enum condition how, const char *message)
{
    struct service *s = i->service;
    bool by_health = how == CONDITION_KILLED && i->kill_reason != NULL;
    if (is_failure(how) || by_health) {
        note_failure(m, i, how, by_health ? i->kill_reason : message);
        m->totals.failures_total++;
    }
    marathon_health_stop(m, i);
    i->condition = how;
    i->since_ms = m->now_ms;
    marathon_publish_instance(m, i, how);
    if (i->is_decommissioned) {
        marathon_instance_remove(m, i);
        return;
    }
    if (is_failure(how) || how == CONDITION_FINISHED)
        delay_next_launch(m, s);
    marathon_instance_clear_task(i);
    i->incarnation++;
    i->condition = CONDITION_SCHEDULED;
    (void)app_unref(i->spec);
    i->spec = app_ref(s->app);
    marathon_instance_enqueue(m, i);
    marathon_instance_set_timer(m, i);
    marathon_instance_changed(m, i, true);
}

/* Given up on: a replacement is made, the task may still come back. */
static void become_inactive(struct marathon *m, struct instance *i)
{
    marathon_instance_set_condition(m, i, CONDITION_UNREACHABLE_INACTIVE);
    if (i->spec->expunge_after_s <= i->spec->inactive_after_s)
        marathon_kill(m, i, true);
}

void marathon_instance_on_timer(struct marathon *m, struct instance *i)
{
    bool is_lost = i->condition == CONDITION_UNREACHABLE || i->condition == CONDITION_UNREACHABLE_INACTIVE;
    if (is_lost && i->spec->inactive_after_s != APP_UNREACHABLE_DISABLED) {
        if (i->condition == CONDITION_UNREACHABLE)
            become_inactive(m, i);
        else
            marathon_kill(m, i, true); /* of an unreachable instance: forgotten at once */
        return;
    }
    if (i->is_killed) {
        marathon_send_kill(m, i);
        return;
    }
    if (i->condition == CONDITION_PROVISIONED || i->condition == CONDITION_STAGING || i->condition == CONDITION_STARTING) {
        marathon_trace(m, "task %s took too long to start and is killed", i->task_id);
        marathon_kill(m, i, false);
    }
}
