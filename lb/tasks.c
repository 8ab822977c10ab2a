/* SPDX-License-Identifier: Apache-2.0
 * tasks.c - frameworks, agents and tasks as the master tells of them, and what each task brings to which VIP (facts:
 * net-cron C.2). */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "lb/state.h"

/* A master tells of the tasks of a returning agent in the same turn; this is far more. */
#define HELD_AFTER_RETURN_MS 5000

/* -- what a task brings ------------------------------------------------------------------------------------------ */

struct wanted {
    struct lb *lb;
    struct lb_task *task;
    struct lb_share **shares;
    size_t count;
};

static void share_free(struct lb *lb, struct lb_share *share)
{
    list_remove(&share->in_service);
    lb_service_changed(lb, share->service);
    lb_target_detach(lb, share);
    free(share);
}

static void want(struct wanted *w, const char *value, struct lb_endpoint at)
{
    struct lb_service *service = lb_service_get(w->lb, w->task, value, at.protocol, at.is_ipv6);
    if (service == NULL)
        return;
    for (size_t i = 0; i < w->count; i++)
        if (w->shares[i]->service == service && lb_endpoint_compare(&w->shares[i]->backend.at, &at) == 0)
            return;
    struct lb_share *share = xcalloc(1, sizeof(*share));
    share->service = service;
    share->backend.at = at;
    share->backend.is_draining = w->task->state != MESOS__V1__TASK_STATE__TASK_RUNNING || !w->task->is_healthy;
    lb_target_attach(w->lb, share);
    list_push_back(&service->shares, &share->in_service);
    lb_service_changed(w->lb, service);
    w->shares = xrealloc(w->shares, (w->count + 1) * sizeof(w->shares[0]));
    w->shares[w->count++] = share;
}

static uint16_t mapped_port(const struct lb_task *task, const struct lb_port *port)
{
    for (size_t i = 0; i < task->mapping_count; i++)
        if (task->mappings[i].protocol == port->protocol && task->mappings[i].container_port == port->number)
            return task->mappings[i].host_port;
    return 0;
}

static void want_port(struct wanted *w, const struct lb_port *port, const char *value)
{
    const struct lb_task *task = w->task;
    uint16_t host_port = port->is_host ? port->number : mapped_port(task, port);
    if (host_port != 0 || task->address_count == 0) { /* without addresses of its own a task is on the agent's network */
        struct lb_endpoint at = task->agent->address;
        at.protocol = port->protocol;
        at.port = host_port ? host_port : port->number;
        if (task->agent->has_address)
            want(w, value, at);
        return;
    }
    for (size_t i = 0; i < task->address_count; i++) {
        struct lb_endpoint at = task->addresses[i];
        at.protocol = port->protocol;
        at.port = port->number;
        want(w, value, at);
    }
}

static bool is_served(const struct lb_task *task)
{
    return (task->state == MESOS__V1__TASK_STATE__TASK_RUNNING || task->state == MESOS__V1__TASK_STATE__TASK_KILLING) &&
           task->framework->name != NULL;
}

/* Brings the shares up to date. The new ones are made before the old ones go, so that nothing vanishes in between. */
static void plan(struct lb *lb, struct lb_task *task)
{
    struct wanted w = {.lb = lb, .task = task};
    if (is_served(task))
        for (size_t i = 0; i < task->port_count; i++)
            for (size_t k = 0; k < task->ports[i].vip_count; k++)
                want_port(&w, &task->ports[i], task->ports[i].vips[k]);
    for (size_t i = 0; i < task->share_count; i++)
        share_free(lb, task->shares[i]);
    free(task->shares);
    task->shares = w.shares;
    task->share_count = w.count;
}

/* -- frameworks -------------------------------------------------------------------------------------------------- */

struct lb_framework *lb_framework_get(struct lb *lb, const char *id)
{
    struct lb_framework *framework = map_get(&lb->frameworks, id);
    if (framework == NULL) {
        framework = xcalloc(1, sizeof(*framework));
        framework->id = xstrdup(id);
        list_init(&framework->tasks);
        (void)map_put(&lb->frameworks, id, framework); /* was not there */
    }
    framework->seen = lb->picture;
    return framework;
}

void lb_framework_update(struct lb *lb, const Mesos__V1__FrameworkInfo *info)
{
    if (info->id == NULL)
        return;
    struct lb_framework *framework = lb_framework_get(lb, info->id->value);
    if (framework->name != NULL && strcmp(framework->name, info->name) == 0)
        return;
    free(framework->name);
    framework->name = xstrdup(info->name);
    list_for_each(it, &framework->tasks) plan(lb, container_of(it, struct lb_task, in_framework));
}

void lb_framework_remove(struct lb *lb, struct lb_framework *framework)
{
    list_for_each(it, &framework->tasks) lb_task_remove(lb, container_of(it, struct lb_task, in_framework));
    (void)map_remove(&lb->frameworks, framework->id);
    free(framework->id);
    free(framework->name);
    free(framework);
}

/* -- agents ------------------------------------------------------------------------------------------------------ */

struct lb_agent *lb_agent_get(struct lb *lb, const char *id)
{
    struct lb_agent *agent = map_get(&lb->agents, id);
    if (agent == NULL) {
        agent = xcalloc(1, sizeof(*agent));
        agent->id = xstrdup(id);
        list_init(&agent->tasks);
        (void)map_put(&lb->agents, id, agent); /* was not there */
    }
    agent->seen = lb->picture;
    return agent;
}

/* The address is in the pid, "slave(1)@10.0.0.1:5051" or "slave(1)@[fd00::1]:5051"; else the host name may be one. */
static int read_address(const Mesos__V1__Master__Response__GetAgents__Agent *agent, struct lb_endpoint *out)
{
    char host[LB_ENDPOINT_TEXT_SIZE];
    const char *at = agent->pid != NULL ? strrchr(agent->pid, '@') : NULL;
    const char *colon = at != NULL ? strrchr(at, ':') : NULL;
    if (colon != NULL) {
        const char *start = at + 1;
        size_t len = (size_t)(colon - start);
        if (len > 2 && start[0] == '[' && start[len - 1] == ']') {
            start++;
            len -= 2;
        }
        if (len < sizeof(host)) {
            (void)snprintf(host, sizeof(host), "%.*s", (int)len, start); /* fits */
            if (lb_endpoint_parse_ip(host, out) == 0)
                return 0;
        }
    }
    return lb_endpoint_parse_ip(agent->agent_info->hostname, out);
}

void lb_agent_update(struct lb *lb, const Mesos__V1__Master__Response__GetAgents__Agent *from)
{
    if (from->agent_info->id == NULL)
        return;
    struct lb_agent *agent = lb_agent_get(lb, from->agent_info->id->value);
    struct lb_endpoint address = {0};
    bool has_address = read_address(from, &address) == 0;
    if (!has_address)
        lb_trace(lb, "agent %.255s: no address is known of %.255s", agent->id, from->agent_info->hostname);
    if (agent->is_held)
        heap_set(&lb->held, &agent->held_until, lb->now_ms + HELD_AFTER_RETURN_MS);
    if (has_address == agent->has_address && lb_endpoint_compare(&address, &agent->address) == 0)
        return;
    agent->has_address = has_address;
    agent->address = address;
    list_for_each(it, &agent->tasks) plan(lb, container_of(it, struct lb_task, in_agent));
}

void lb_agent_remove(struct lb *lb, struct lb_agent *agent)
{
    list_for_each(it, &agent->tasks) lb_task_remove(lb, container_of(it, struct lb_task, in_agent));
    heap_remove(&lb->held, &agent->held_until);
    (void)map_remove(&lb->agents, agent->id);
    free(agent->id);
    free(agent);
}

/* -- tasks ------------------------------------------------------------------------------------------------------- */

/* Ids have no control characters, so the pair is unique. */
static char *make_key(struct lb *lb, const char *framework_id, const char *task_id)
{
    return arena_printf(lb->arena, "%s\n%s", framework_id, task_id);
}

static bool is_over(int state)
{
    switch (state) {
    case MESOS__V1__TASK_STATE__TASK_STAGING:
    case MESOS__V1__TASK_STATE__TASK_STARTING:
    case MESOS__V1__TASK_STATE__TASK_RUNNING:
    case MESOS__V1__TASK_STATE__TASK_KILLING:
        return false;
    default: /* unreachable ones too: when they come back, they are added anew */
        return true;
    }
}

static void read_health(struct lb_task *task, const Mesos__V1__TaskStatus *status)
{
    task->is_healthy = status != NULL && status->has_healthy ? status->healthy : !task->has_check;
}

static struct lb_task *new_task(struct lb *lb, const char *key, const Mesos__V1__Task *from)
{
    struct lb_task *task = xcalloc(1, sizeof(*task));
    task->key = xstrdup(key);
    task->framework = lb_framework_get(lb, from->framework_id->value);
    task->agent = lb_agent_get(lb, from->agent_id->value);
    list_push_back(&task->framework->tasks, &task->in_framework);
    list_push_back(&task->agent->tasks, &task->in_agent);
    (void)map_put(&lb->tasks, key, task); /* was not there */
    return task;
}

void lb_task_update(struct lb *lb, const Mesos__V1__Task *from)
{
    char *key = make_key(lb, from->framework_id->value, from->task_id->value);
    if (key == NULL)
        return;
    struct lb_task *task = map_get(&lb->tasks, key);
    if (task != NULL && strcmp(task->agent->id, from->agent_id->value) != 0) {
        lb_task_remove(lb, task); /* the id is used again */
        task = NULL;
    }
    if (is_over(from->state)) {
        if (task != NULL)
            lb_task_remove(lb, task);
        return;
    }
    if (task == NULL)
        task = new_task(lb, key, from);
    task->seen = lb->picture;
    task->state = from->state;
    task->has_check = from->health_check != NULL;
    lb_ports_read(lb, task, from);
    read_health(task, from->n_statuses > 0 ? from->statuses[from->n_statuses - 1] : NULL);
    plan(lb, task);
}

void lb_task_status(struct lb *lb, const Mesos__V1__Master__Event__TaskUpdated *update)
{
    char *key = make_key(lb, update->framework_id->value, update->status->task_id->value);
    struct lb_task *task = key != NULL ? map_get(&lb->tasks, key) : NULL;
    if (task == NULL)
        return; /* ended already, or of no interest */
    /* The state may be ahead of the status: an agent that knows of the end need not be waited for. */
    if (is_over(update->state)) {
        lb_task_remove(lb, task);
        return;
    }
    task->seen = lb->picture;
    task->state = update->state;
    lb_ports_read_status(task, update->status);
    read_health(task, update->status);
    plan(lb, task);
}

void lb_task_remove(struct lb *lb, struct lb_task *task)
{
    for (size_t i = 0; i < task->share_count; i++)
        share_free(lb, task->shares[i]);
    free(task->shares);
    lb_ports_free(task);
    list_remove(&task->in_framework);
    list_remove(&task->in_agent);
    (void)map_remove(&lb->tasks, task->key);
    free(task->key);
    free(task);
}
