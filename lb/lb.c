/* SPDX-License-Identifier: Apache-2.0
 * lb.c - the core's step function: which event goes where, pictures as differences, deadlines, invariants. */
#include "lb/lb.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "lb/state.h"

/* -- effects ----------------------------------------------------------------------------------------------------- */

struct lb_effect *lb_effect(struct lb *lb, enum lb_effect_type type)
{
    if (lb->out.count == lb->effect_capacity) {
        lb->effect_capacity = lb->effect_capacity ? 2 * lb->effect_capacity : 16;
        lb->out.items = xrealloc(lb->out.items, lb->effect_capacity * sizeof(lb->out.items[0]));
    }
    struct lb_effect *effect = &lb->out.items[lb->out.count++];
    memset(effect, 0, sizeof(*effect));
    effect->type = type;
    return effect;
}

/* A picture with a bad label on each of a hundred thousand tasks must not fill the log. */
#define TRACES_MAX 100

void lb_trace(struct lb *lb, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    if (lb->out.count >= TRACES_MAX)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* long ones are cut */
    va_end(ap);
    lb_effect(lb, LB_EFFECT_TRACE)->text = arena_strdup(lb->arena, text);
}

/* -- pictures ---------------------------------------------------------------------------------------------------- */

static void hold_agent(struct lb *lb, const char *id)
{
    struct lb_agent *agent = map_get(&lb->agents, id);
    if (agent == NULL || agent->seen == lb->picture)
        return; /* nothing is known of it, so there is nothing to keep; or it is back already */
    agent->seen = lb->picture;
    agent->is_held = true;
    heap_set(&lb->held, &agent->held_until, lb->now_ms + lb->config.held_timeout_ms);
}

static void drop_unseen_tasks(struct lb *lb, struct lb_agent *agent)
{
    list_for_each(it, &agent->tasks)
    {
        struct lb_task *task = container_of(it, struct lb_task, in_agent);
        if (task->seen != lb->picture)
            lb_task_remove(lb, task);
    }
}

/* What the picture does not show is gone, but for the tasks of agents that the master still waits for. */
static void drop_unseen(struct lb *lb)
{
    struct map_entry *next;
    for (struct map_entry *e = map_first(&lb->agents); e != NULL; e = next) {
        struct lb_agent *agent = map_value(e);
        next = map_next(e);
        if (agent->seen != lb->picture)
            lb_agent_remove(lb, agent);
        else if (!agent->is_held)
            drop_unseen_tasks(lb, agent);
    }
    for (struct map_entry *e = map_first(&lb->frameworks); e != NULL; e = next) {
        struct lb_framework *framework = map_value(e);
        next = map_next(e);
        if (framework->seen != lb->picture && list_is_empty(&framework->tasks))
            lb_framework_remove(lb, framework);
    }
}

/* Nothing of the picture before is dropped until this one is complete. */
static void begin_picture(struct lb *lb)
{
    lb->picture++;
    lb->is_current = false;
    for (struct map_entry *e = map_first(&lb->agents); e != NULL; e = map_next(e)) {
        struct lb_agent *agent = map_value(e);
        agent->is_held = false;
        heap_remove(&lb->held, &agent->held_until);
    }
}

/* The time of an agent that was held is over: what it has not been told again is gone. */
static void end_holding(struct lb *lb)
{
    for (;;) {
        struct heap_node *node = heap_pop_due(&lb->held, lb->now_ms);
        if (node == NULL)
            return;
        struct lb_agent *agent = container_of(node, struct lb_agent, held_until);
        agent->is_held = false;
        drop_unseen_tasks(lb, agent);
    }
}

/* -- events ------------------------------------------------------------------------------------------------------ */

static void on_framework_removed(struct lb *lb, const Mesos__V1__FrameworkInfo *info)
{
    struct lb_framework *framework = info->id != NULL ? map_get(&lb->frameworks, info->id->value) : NULL;
    if (framework != NULL)
        lb_framework_remove(lb, framework);
}

static void on_event(struct lb *lb, const Mesos__V1__Master__Event *event)
{
    if (!lb->is_current)
        return; /* a stream begins with its picture */
    if (event->task_added != NULL)
        lb_task_update(lb, event->task_added->task);
    else if (event->task_updated != NULL)
        lb_task_status(lb, event->task_updated);
    else if (event->agent_added != NULL)
        lb_agent_update(lb, event->agent_added->agent);
    else if (event->agent_removed != NULL) {
        struct lb_agent *agent = map_get(&lb->agents, event->agent_removed->agent_id->value);
        if (agent != NULL)
            lb_agent_remove(lb, agent);
    } else if (event->framework_added != NULL)
        lb_framework_update(lb, event->framework_added->framework->framework_info);
    else if (event->framework_updated != NULL)
        lb_framework_update(lb, event->framework_updated->framework->framework_info);
    else if (event->framework_removed != NULL)
        on_framework_removed(lb, event->framework_removed->framework_info);
}

static void on_received(struct lb *lb, const struct picture_part *part)
{
    lb->current_at_ms = lb->now_ms;
    switch (part->type) {
    case PICTURE_BEGIN:
        begin_picture(lb);
        break;
    case PICTURE_AGENT:
        lb_agent_update(lb, part->agent);
        break;
    case PICTURE_RECOVERED_AGENT:
        if (part->recovered_agent->id != NULL)
            hold_agent(lb, part->recovered_agent->id->value);
        break;
    case PICTURE_FRAMEWORK:
        lb_framework_update(lb, part->framework);
        break;
    case PICTURE_TASK:
        lb_task_update(lb, part->task);
        break;
    case PICTURE_END:
        lb->is_current = true;
        drop_unseen(lb);
        break;
    case PICTURE_EVENT:
        on_event(lb, part->event);
        break;
    }
}

int lb_step(struct lb *lb, const struct lb_event *in, struct lb_effects *out)
{
    arena_reset(lb->arena);
    lb->out.count = 0;
    lb->now_ms = in->now_ms;
    switch (in->type) {
    case LB_EVENT_RECEIVED:
        on_received(lb, in->received);
        break;
    case LB_EVENT_LOST:
        lb->is_current = false;
        break;
    case LB_EVENT_CHECKED:
        lb_checks_on_checked(lb, &in->checked.target, in->checked.is_up);
        break;
    case LB_EVENT_FLUSH:
        lb_services_flush(lb);
        break;
    case LB_EVENT_TICK:
        end_holding(lb);
        lb_checks_start_due(lb);
        break;
    }
    *out = lb->out;
    return 0;
}

int64_t lb_next_deadline(const struct lb *lb)
{
    const struct heap_node *held = heap_peek(&lb->held), *check = heap_peek(&lb->checks);
    int64_t next = held != NULL ? held->key_ms : INT64_MAX;
    if (check != NULL && check->key_ms < next && lb->checks_in_flight < LB_CHECKS_IN_FLIGHT_MAX)
        next = check->key_ms;
    return next;
}

bool lb_has_changes(const struct lb *lb)
{
    return !list_is_empty(&lb->dirty);
}

/* -- life cycle -------------------------------------------------------------------------------------------------- */

struct lb *lb_new(const struct lb_config *config)
{
    struct lb *lb = xcalloc(1, sizeof(*lb));
    lb->config = *config;
    if (lb->config.held_timeout_ms == 0)
        lb->config.held_timeout_ms = 10 * 60 * 1000; /* what a master waits for its agents by default */
    if (lb->config.check_failures_max == 0)
        lb->config.check_failures_max = 2;
    rng_seed(&lb->rng, config->seed);
    map_init(&lb->frameworks);
    map_init(&lb->agents);
    map_init(&lb->tasks);
    map_init(&lb->services);
    map_init(&lb->names);
    map_init(&lb->targets);
    list_init(&lb->dirty);
    heap_init(&lb->held);
    heap_init(&lb->checks);
    lb->addresses = vip_names_new(config->range, lb_services_moved, lb);
    lb->arena = arena_new(1u << 30);
    return lb;
}

struct lb *lb_free(struct lb *lb)
{
    if (lb == NULL)
        return NULL;
    for (struct map_entry *e; (e = map_first(&lb->frameworks)) != NULL;)
        lb_framework_remove(lb, map_value(e));
    for (struct map_entry *e; (e = map_first(&lb->agents)) != NULL;)
        lb_agent_remove(lb, map_value(e));
    for (struct map_entry *e; (e = map_first(&lb->services)) != NULL;)
        lb_service_free(lb, map_value(e));
    (void)vip_names_free(lb->addresses);
    map_deinit(&lb->frameworks);
    map_deinit(&lb->agents);
    map_deinit(&lb->tasks);
    map_deinit(&lb->services);
    map_deinit(&lb->names);
    map_deinit(&lb->targets);
    heap_deinit(&lb->held);
    heap_deinit(&lb->checks);
    arena_free(lb->arena);
    free(lb->out.items);
    free(lb);
    return NULL;
}

/* -- queries ----------------------------------------------------------------------------------------------------- */

static struct lb_change describe(const struct lb_service *service)
{
    return (struct lb_change){.vip = service->applied_vip,
                              .name = service->name != NULL ? service->name->name : "",
                              .backends = service->applied,
                              .backend_count = service->applied_count};
}

void lb_each_vip(const struct lb *lb, void (*fn)(void *ctx, const struct lb_change *vip), void *ctx)
{
    for (struct map_entry *e = map_first(&lb->services); e != NULL; e = map_next(e)) {
        const struct lb_service *service = map_value(e);
        struct lb_change vip = describe(service);
        if (service->is_applied)
            fn(ctx, &vip);
    }
}

static void count_vip(void *ctx, const struct lb_change *vip)
{
    struct lb_statistics *s = ctx;
    s->vips++;
    s->backends += vip->backend_count;
    for (size_t i = 0; i < vip->backend_count; i++)
        s->draining_backends += vip->backends[i].is_draining;
}

struct lb_statistics lb_get_statistics(const struct lb *lb)
{
    struct lb_statistics s = {.agents = map_count(&lb->agents),
                              .tasks = map_count(&lb->tasks),
                              .held_agents = lb->held.count,
                              .rejected_labels = lb->rejected_labels,
                              .is_current = lb->is_current,
                              .current_at_ms = lb->current_at_ms};
    lb_each_vip(lb, count_vip, &s);
    for (struct map_entry *e = map_first(&lb->targets); e != NULL; e = map_next(e))
        s.down_backends += ((const struct lb_target *)map_value(e))->is_down;
    return s;
}

void lb_check_invariants(const struct lb *lb)
{
    size_t task_shares = 0, service_shares = 0, in_flight = 0;
    for (struct map_entry *e = map_first(&lb->tasks); e != NULL; e = map_next(e)) {
        const struct lb_task *task = map_value(e);
        CHECK(strcmp(map_key(e), task->key) == 0);
        CHECK(map_get(&lb->agents, task->agent->id) == task->agent);
        CHECK(map_get(&lb->frameworks, task->framework->id) == task->framework);
        task_shares += task->share_count;
        for (size_t i = 0; i < task->share_count; i++) {
            const struct lb_share *share = task->shares[i];
            CHECK(map_get(&lb->services, share->service->key) == share->service);
            CHECK(share->backend.at.is_ipv6 == share->service->vip.is_ipv6);
            CHECK(share->backend.at.protocol == share->service->vip.protocol);
        }
    }
    for (struct map_entry *e = map_first(&lb->services); e != NULL; e = map_next(e)) {
        const struct lb_service *service = map_value(e);
        uint32_t address;
        list_for_each(it, &service->shares) service_shares++;
        CHECK(!list_is_empty(&service->shares) || !list_is_empty(&service->in_dirty));
        if (service->name != NULL && !service->vip.is_ipv6) {
            CHECK(vip_names_find(lb->addresses, service->name->name, &address) == 0);
            CHECK(address == lb_endpoint_ipv4(&service->vip));
        }
        for (size_t i = 1; i < service->applied_count; i++)
            CHECK(lb_endpoint_compare(&service->applied[i - 1].at, &service->applied[i].at) < 0);
    }
    CHECK(task_shares == service_shares);
    for (struct map_entry *e = map_first(&lb->targets); e != NULL; e = map_next(e)) {
        const struct lb_target *target = map_value(e);
        CHECK(!list_is_empty(&target->shares));
        CHECK(target->is_in_flight != heap_is_in(&target->due));
        in_flight += target->is_in_flight;
    }
    CHECK(in_flight == lb->checks_in_flight);
}
