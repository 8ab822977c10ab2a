/* SPDX-License-Identifier: Apache-2.0
 * health.c - decisions of Marathon-level health checks and readiness checks (facts: marathon 4.9, 4.10). The probes
 * themselves are effects; at most config.probes_max of them are out at a time. */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/marathon/core.h"

#define FIRST_CHECK_MS 5000 /* the first one comes after this or the interval, whichever is shorter */

struct probe_target { /* one of them */
    struct check *check;
    struct readiness *readiness;
};

bool marathon_check_is_alive(const struct check *c)
{
    return c->last_success_ms > 0 && c->last_success_ms > c->last_failure_ms;
}

enum health marathon_health_of(const struct instance *i)
{
    enum health all = HEALTH_GOOD;
    for (size_t k = 0; k < i->spec->health_check_count; k++) {
        enum health one;
        const struct check *c = i->checks ? &i->checks[k] : NULL;
        if (app_check_is_mesos(i->spec->health_checks[k].protocol))
            one = i->mesos_health;
        else if (c == NULL || (c->last_success_ms == 0 && c->last_failure_ms == 0))
            one = HEALTH_NONE;
        else
            one = marathon_check_is_alive(c) ? HEALTH_GOOD : HEALTH_BAD;
        if (one == HEALTH_BAD)
            return HEALTH_BAD;
        if (one == HEALTH_NONE)
            all = HEALTH_NONE;
    }
    return all;
}

void marathon_health_publish(struct marathon *m, struct instance *i)
{
    enum health health = i->spec->health_check_count > 0 ? marathon_health_of(i) : HEALTH_NONE;
    if (health == i->health)
        return;
    i->health = health;
    marathon_publish_health(m, i, health);
}

static const char *target_host(const struct instance *i)
{
    return i->hostname;
}

static uint16_t port_of_check(const struct instance *i, const struct app_health_check *h)
{
    if (h->port >= 0)
        return (uint16_t)h->port;
    CHECK(h->port_index >= 0 && (size_t)h->port_index < i->spec->port_count);
    return (uint16_t)i->ports[h->port_index];
}

static uint64_t begin_probe(struct marathon *m, struct check *c, struct readiness *r)
{
    struct probe_target *t = xcalloc(1, sizeof(*t));
    *t = (struct probe_target){.check = c, .readiness = r};
    uint64_t id = ++m->next_probe_id;
    (void)map_put_n(&m->probes, &id, sizeof(id), t); /* ids are new */
    return id;
}

static void send_check(struct marathon *m, struct check *c)
{
    const struct app_health_check *h = &c->instance->spec->health_checks[c->index];
    struct arena *a = outbox_now_arena(m->outbox);
    struct marathon_probe *probe = arena_new_one(a, struct marathon_probe);
    struct kit_effect e = {.type = KIT_EFFECT_OWN, .own = probe};
    probe->probe_id = c->probe_id = begin_probe(m, c, NULL);
    probe->kind = h->protocol == APP_TCP ? MARATHON_PROBE_TCP : MARATHON_PROBE_HTTP;
    probe->host = arena_strdup(a, target_host(c->instance));
    probe->port = port_of_check(c->instance, h);
    probe->path = arena_strdup(a, h->path ? h->path : "/");
    probe->timeout_ms = h->timeout_s * 1000;
    outbox_now(m->outbox, &e);
}

static void send_readiness(struct marathon *m, struct readiness *r)
{
    const struct app *spec = r->instance->spec;
    const struct app_readiness_check *check = spec->readiness;
    struct arena *a = outbox_now_arena(m->outbox);
    struct marathon_probe *probe = arena_new_one(a, struct marathon_probe);
    struct kit_effect e = {.type = KIT_EFFECT_OWN, .own = probe};
    probe->probe_id = r->probe_id = begin_probe(m, NULL, r);
    probe->kind = MARATHON_PROBE_HTTP;
    probe->host = arena_strdup(a, target_host(r->instance));
    for (size_t k = 0; k < spec->port_count; k++) {
        if (spec->ports[k].name && strcmp(spec->ports[k].name, check->port_name) == 0)
            probe->port = (uint16_t)r->instance->ports[k];
    }
    probe->path = arena_strdup(a, check->path);
    probe->timeout_ms = check->timeout_s * 1000;
    probe->want_body = check->preserve_last_response;
    outbox_now(m->outbox, &e);
}

/* As many waiting probes as may be out. */
static void send_waiting(struct marathon *m)
{
    while (map_count(&m->probes) < (size_t)m->config.probes_max) {
        struct list *node = list_pop_front(&m->probes_waiting);
        if (node == NULL)
            return;
        struct probe_wait *w = container_of(node, struct probe_wait, link);
        if (w->check)
            send_check(m, w->check);
        else
            send_readiness(m, w->readiness);
    }
}

static void start_check(struct marathon *m, struct instance *i, size_t index)
{
    struct check *c = &i->checks[index];
    const struct app_health_check *h = &i->spec->health_checks[index];
    *c = (struct check){.instance = i, .index = index, .timer.kind = TIMER_CHECK};
    list_init(&c->wait.link);
    c->wait.check = c;
    if (app_check_is_mesos(h->protocol))
        return;
    int64_t interval_ms = h->interval_s * 1000;
    heap_set(&m->timers, &c->timer.node, m->now_ms + (interval_ms < FIRST_CHECK_MS ? interval_ms : FIRST_CHECK_MS));
}

void marathon_health_start(struct marathon *m, struct instance *i)
{
    marathon_health_stop(m, i);
    if (i->spec->health_check_count > 0) {
        i->checks = xcalloc(i->spec->health_check_count, sizeof(i->checks[0]));
        for (size_t k = 0; k < i->spec->health_check_count; k++)
            start_check(m, i, k);
    }
    if (i->spec->readiness && i->is_awaited) {
        struct readiness *r = xcalloc(1, sizeof(*r));
        r->instance = i;
        r->timer.kind = TIMER_READINESS;
        list_init(&r->wait.link);
        r->wait.readiness = r;
        i->readiness = r;
        heap_set(&m->timers, &r->timer.node, m->now_ms);
    }
}

static void drop_probe(struct marathon *m, uint64_t *id)
{
    if (*id != 0)
        free(map_remove_n(&m->probes, id, sizeof(*id)));
    *id = 0;
}

void marathon_health_stop(struct marathon *m, struct instance *i)
{
    for (size_t k = 0; i->checks && k < i->spec->health_check_count; k++) {
        struct check *c = &i->checks[k];
        heap_remove(&m->timers, &c->timer.node);
        list_remove(&c->wait.link);
        drop_probe(m, &c->probe_id);
        free(c->cause);
    }
    free(i->checks);
    i->checks = NULL;
    struct readiness *r = i->readiness;
    if (r) {
        heap_remove(&m->timers, &r->timer.node);
        list_remove(&r->wait.link);
        drop_probe(m, &r->probe_id);
        free(r->content_type);
        free(r->body);
        free(r);
        i->readiness = NULL;
    }
}

void marathon_on_check_timer(struct marathon *m, struct check *c)
{
    const struct app_health_check *h = &c->instance->spec->health_checks[c->index];
    heap_set(&m->timers, &c->timer.node, m->now_ms + h->interval_s * 1000);
    /* Instances of older versions are probed as well, unlike in Marathon: a rolling restart leans on their health, also
     * after a restart of the scheduler, which forgets the results. */
    if (c->probe_id != 0 || !list_is_empty(&c->wait.link))
        return;
    list_push_back(&m->probes_waiting, &c->wait.link);
    send_waiting(m);
}

void marathon_on_readiness_timer(struct marathon *m, struct readiness *r)
{
    if (r->is_ready || !r->instance->is_awaited)
        return;
    heap_set(&m->timers, &r->timer.node, m->now_ms + r->instance->spec->readiness->interval_s * 1000);
    if (r->probe_id != 0 || !list_is_empty(&r->wait.link))
        return;
    list_push_back(&m->probes_waiting, &r->wait.link);
    send_waiting(m);
}

static void kill_unhealthy(struct marathon *m, struct instance *i, const struct check *c)
{
    if (i->condition != CONDITION_RUNNING || i->is_killed)
        return;
    char reason[256];
    (void)snprintf(reason, sizeof(reason), "Task was killed since health check failed. Reason: %s",
                   c->cause ? c->cause : ""); /* cut when long */
    free(i->kill_reason);
    i->kill_reason = xstrdup(reason);
    marathon_publish_unhealthy_kill(m, i, reason);
    marathon_kill(m, i, false);
}

static void on_failure(struct marathon *m, struct check *c, const char *cause)
{
    struct instance *i = c->instance;
    const struct app_health_check *h = &i->spec->health_checks[c->index];
    if (c->first_success_ms == 0 && m->wall_ms < i->started_ms + h->grace_s * 1000)
        return; /* still coming up: not even counted */
    bool was_alive = marathon_check_is_alive(c);
    bool had_result = c->last_success_ms > 0 || c->last_failure_ms > 0;
    int64_t before = c->failures++;
    c->last_failure_ms = m->wall_ms > c->last_success_ms ? m->wall_ms : c->last_success_ms;
    free(c->cause);
    c->cause = xstrdup(cause ? cause : "failed");
    marathon_publish_check_failed(m, i, h);
    if (was_alive || !had_result)
        marathon_publish_alive(m, i, false);
    /* The counter before this failure decides: the kill comes at failure number max + 1. */
    if (h->failures_max > 0 && before >= h->failures_max)
        kill_unhealthy(m, i, c);
}

static void on_success(struct marathon *m, struct check *c)
{
    bool was_alive = marathon_check_is_alive(c);
    if (c->first_success_ms == 0)
        c->first_success_ms = m->wall_ms;
    c->last_success_ms = m->wall_ms > c->last_failure_ms ? m->wall_ms : c->last_failure_ms + 1;
    c->failures = 0;
    if (!was_alive)
        marathon_publish_alive(m, c->instance, true);
}

static void on_readiness(struct readiness *r, const struct marathon_probe_result *result)
{
    const struct app_readiness_check *check = r->instance->spec->readiness;
    r->has_response = true;
    r->status = result->http_status ? result->http_status : 504;
    free(r->content_type);
    free(r->body);
    r->content_type = xstrdup(result->content_type ? result->content_type : "text/plain");
    r->body = xstrdup(result->body ? result->body : result->cause ? result->cause : "");
    for (size_t k = 0; k < check->ready_status_count; k++)
        r->is_ready = r->is_ready || check->ready_statuses[k] == result->http_status;
}

void marathon_on_probe_done(struct marathon *m, const struct marathon_probe_result *result)
{
    struct probe_target *t = map_remove_n(&m->probes, &result->probe_id, sizeof(result->probe_id));
    if (t == NULL) { /* of an instance that is gone */
        send_waiting(m);
        return;
    }
    struct instance *i = t->check ? t->check->instance : t->readiness->instance;
    if (t->check) {
        t->check->probe_id = 0;
        if (result->is_success)
            on_success(m, t->check);
        else
            on_failure(m, t->check, result->cause);
        marathon_health_publish(m, i);
    } else {
        t->readiness->probe_id = 0;
        on_readiness(t->readiness, result);
    }
    free(t);
    marathon_instance_changed(m, i, false);
    send_waiting(m);
}
