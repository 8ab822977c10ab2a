/* SPDX-License-Identifier: Apache-2.0 */
#include "master/agents.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "master/allocator.h"
#include "master/budget.h"
#include "master/departed.h"
#include "master/drain.h"
#include "master/frameworks.h"
#include "master/inverse.h"
#include "master/maintenance.h"
#include "master/offers.h"
#include "master/operations.h"
#include "master/registry.h"
#include "master/roles.h"
#include "master/send.h"
#include "master/snapshot.h"
#include "master/tasks.h"

#define LINK_VERSION 1

struct master_agent *master_agent_find(const struct master *m, const char *id)
{
    struct master_agent *a = NULL;
    HASH_FIND_STR(m->agents, id, a);
    return a;
}

static struct master_link *find_link(const struct master *m, link_id id)
{
    struct master_link *l = NULL;
    HASH_FIND(hh, m->links, &id, sizeof(id), l);
    return l;
}

/* The link is gone or will not be listened to any more. */
static void forget_link(struct master *m, struct master_link *l)
{
    if (l->agent != NULL)
        l->agent->link = NULL;
    HASH_DEL(m->links, l);
    free(l->peer_ip);
    free(l);
}

static void close_link(struct master *m, struct master_link *l)
{
    master_close_link(m, l->id);
    forget_link(m, l);
}

#define REFUSE(m, l, shutdown, ...)                                                                                        \
    do {                                                                                                                   \
        master_refuse_link((m), (l)->id, (shutdown), __VA_ARGS__);                                                         \
        forget_link((m), (l));                                                                                             \
    } while (0)

static void bind_link(struct master *m, struct master_agent *a, struct master_link *l)
{
    if (a->link == l)
        return;
    if (a->link != NULL)
        close_link(m, a->link); /* a newer connection of the same agent is the true one */
    if (l->agent != NULL)
        l->agent->link = NULL;
    a->link = l;
    a->link_serial = l->serial;
    l->agent = a;
}

/* -- the object ------------------------------------------------------------------------------------------------- */

static struct master_agent *new_agent(struct master *m, const char *id, enum master_agent_state state)
{
    struct master_agent *a = xcalloc(1, sizeof(*a));
    a->id = xstrdup(id);
    a->serial = ++m->next_serial;
    a->state = state;
    list_init(&a->offers);
    list_init(&a->tasks);
    list_init(&a->unreachable_tasks);
    list_init(&a->filters);
    list_init(&a->operations);
    list_init(&a->free_node);
    list_init(&a->dirty_node);
    list_init(&a->unreachable_node);
    list_init(&a->inverses);
    list_init(&a->inverse_node);
    a->ip = xstrdup("");
    a->version = xstrdup("");
    HASH_ADD_KEYPTR(hh, m->agents, a->id, strlen(a->id), a);
    return a;
}

static void address_of(const struct master_agent *a, char out[96])
{
    (void)snprintf(out, 96, "%s:%d", a->ip, a->info->has_port ? a->info->port : 5051); /* addresses are shorter */
}

void master_agent_set_state(struct master *m, struct master_agent *a, enum master_agent_state state)
{
    char address[96];
    if (a->state == MASTER_AGENT_CONNECTED)
        m->connected_count--;
    if (a->state == MASTER_AGENT_RECOVERED)
        m->recovered_count--;
    if (a->state == MASTER_AGENT_DISCONNECTED) {
        address_of(a, address);
        if (map_get(&m->disconnected, address) == a)
            (void)map_remove(&m->disconnected, address); /* was just found */
    }
    a->state = state;
    heap_remove(&m->agent_timers, &a->timer);
    if (state == MASTER_AGENT_CONNECTED) {
        m->connected_count++;
        a->pings_missed = 0;
        a->pong_awaited = false;
        /* Spread, so that agents which came together are not pinged together. */
        int64_t first = (int64_t)rng_below(&m->rng, (uint64_t)m->config.agent_ping_timeout_ms) + 1;
        heap_set(&m->agent_timers, &a->timer, m->now_ms + first);
    } else if (state == MASTER_AGENT_DISCONNECTED || state == MASTER_AGENT_RECOVERED) {
        heap_set(&m->agent_timers, &a->timer, m->now_ms + m->config.agent_reregister_timeout_ms);
    }
    if (state == MASTER_AGENT_RECOVERED)
        m->recovered_count++;
    if (state == MASTER_AGENT_DISCONNECTED) {
        address_of(a, address);
        (void)map_put(&m->disconnected, address, a); /* the newest one at an address counts */
    }
    master_allocator_refresh_agent(m, a);
}

static void drop_amounts(struct master *m, struct master_agent *a)
{
    CHECK(!a->is_counted);
    (void)m;
    a->total = resources_free(a->total);
    a->free = resources_free(a->free);
    a->total_amounts = (struct quantities){0};
    a->is_overcommitted = false;
}

static void free_agent(struct master *m, struct master_agent *a)
{
    master_filters_remove_of_agent(m, a);
    master_budget_forget_agent(m, a);
    master_operations_forget(m, a);
    master_inverse_withdraw(m, a);
    CHECK(list_is_empty(&a->offers) && list_is_empty(&a->tasks) && a->executors == NULL);
    while (list_pop_front(&a->unreachable_tasks) != NULL)
        ; /* their frameworks keep them */
    list_remove(&a->free_node);
    list_remove(&a->dirty_node);
    list_remove(&a->unreachable_node);
    heap_remove(&m->agent_timers, &a->timer);
    HASH_DEL(m->agents, a);
    resources_free(a->total);
    resources_free(a->free);
    if (a->info != NULL)
        mesos__v1__agent_info__free_unpacked(a->info, NULL);
    free(a->id);
    free(a->ip);
    free(a->version);
    free(a);
}

struct master_agent *master_agents_recover(struct master *m, const Mesos__V1__AgentInfo *info, const char *ip,
                                           const char *version, int64_t registered_ms, int64_t unreachable_ms)
{
    if (master_agent_find(m, info->id->value) != NULL)
        return NULL;
    struct master_agent *a = new_agent(m, info->id->value, MASTER_AGENT_READMITTING);
    struct err err;
    if (master_agent_set_info(m, a, info, version, NULL, 0, &err) < 0) {
        master_fatal(m, "registry: agent %s: %s", a->id, err.text);
        return NULL;
    }
    drop_amounts(m, a); /* known again when it is back */
    free(a->ip);
    a->ip = xstrdup(ip);
    a->registered_ms = registered_ms;
    a->unreachable_ms = unreachable_ms;
    if (unreachable_ms == 0) {
        master_agent_set_state(m, a, MASTER_AGENT_RECOVERED);
        return a;
    }
    master_agent_set_state(m, a, MASTER_AGENT_UNREACHABLE);
    list_push_back(&m->unreachable_agents, &a->unreachable_node);
    m->unreachable_count++;
    return a;
}

/* -- going ------------------------------------------------------------------------------------------------------ */

static void leave(struct master *m, struct master_agent *a)
{
    if (a->link != NULL)
        close_link(m, a->link);
    master_agent_set_state(m, a, MASTER_AGENT_LEAVING);
    master_offers_return_of_agent(m, a, true);
}

static void start_unreachable(struct master *m, struct master_agent *a, const char *why)
{
    master_trace_warning(m, "agent %s is unreachable: %s", a->id, why);
    leave(m, a);
    a->unreachable_ms = m->wall_ms;
    master_registry_put_agent(m, master_registry_begin(m, MASTER_WRITE_UNREACHABLE, a->id), a, a->unreachable_ms);
}

static void start_removal(struct master *m, struct master_agent *a)
{
    leave(m, a);
    m->counters.agent_removals++;
    master_registry_depart_agent(m, master_registry_begin(m, MASTER_WRITE_FORGET_AGENT, a->id), false);
}

void master_agent_shut_down(struct master *m, struct master_agent *a, const char *why)
{
    if (a->state != MASTER_AGENT_CONNECTED && a->state != MASTER_AGENT_DISCONNECTED)
        return; /* it is refused when it comes */
    master_trace_warning(m, "agent %s is shut down: %s", a->id, why);
    if (a->link != NULL) {
        struct master_link *l = a->link;
        REFUSE(m, l, true, "agent %s is shut down: %s", a->id, why);
    }
    start_removal(m, a);
}

/* Agents of a machine that is down may not register. */
static bool is_machine_down(const struct master *m, const struct master_link *l, const Mesos__V1__AgentInfo *info)
{
    const struct master_machine *machine = master_machine_find(m, info->hostname, l->peer_ip);
    return machine != NULL && machine->is_down;
}

void master_agent_start_gone(struct master *m, struct master_agent *a, request_id request)
{
    master_trace_warning(m, "agent %s is marked gone", a->id);
    if (a->state == MASTER_AGENT_UNREACHABLE) {
        list_remove(&a->unreachable_node);
        m->unreachable_count--;
    }
    /* The link stays up: what it is to be told waits until it is durable. */
    master_agent_set_state(m, a, MASTER_AGENT_LEAVING);
    master_offers_return_of_agent(m, a, true);
    m->counters.agent_removals++;
    struct master_write *w = master_registry_begin(m, MASTER_WRITE_GONE, a->id);
    w->request = request;
    master_registry_depart_agent(m, w, true);
}

/* Keeps the number of unreachable agents bounded, here and in the registry. */
static void trim_unreachable(struct master *m)
{
    while (m->unreachable_count > MASTER_UNREACHABLE_AGENTS_MAX) {
        struct master_agent *old = container_of(m->unreachable_agents.next, struct master_agent, unreachable_node);
        master_registry_delete_agent(m, master_registry_begin(m, MASTER_WRITE_RECORD, old->id));
        m->unreachable_count--;
        free_agent(m, old);
    }
}

/* Those who watch and the schedulers hear that the agent is not there any more. */
static void send_removed(struct master *m, const struct master_agent *a)
{
    Mesos__V1__Master__Event *event = master_send_observers(m, MESOS__V1__MASTER__EVENT__TYPE__AGENT_REMOVED);
    if (event != NULL) {
        MASTER_WIRE(m, Mesos__V1__Master__Event__AgentRemoved, body, mesos__v1__master__event__agent_removed);
        body->agent_id = master_wire_agent_id(m, arena_strdup(m->out->arena, a->id));
        event->agent_removed = body;
    }
    master_send_agent_failure(m, a->id);
}

void master_agents_on_unreachable_stored(struct master *m, struct master_write *w)
{
    struct master_agent *a = master_agent_find(m, w->id);
    if (a == NULL || a->state != MASTER_AGENT_LEAVING)
        return;
    m->counters.agent_removals++;
    m->counters.agent_removals_unhealthy++;
    master_tasks_end_of_agent(m, a, MASTER_AGENT_END_UNREACHABLE);
    master_operations_end_of_agent(m, a, MESOS__V1__OPERATION_STATE__OPERATION_UNREACHABLE, "the agent is unreachable");
    master_filters_remove_of_agent(m, a);
    drop_amounts(m, a);
    master_agent_set_state(m, a, MASTER_AGENT_UNREACHABLE);
    list_push_back(&m->unreachable_agents, &a->unreachable_node);
    m->unreachable_count++;
    send_removed(m, a);
    trim_unreachable(m);
}

void master_agents_on_forgotten(struct master *m, struct master_write *w)
{
    struct master_agent *a = master_agent_find(m, w->id);
    if (a == NULL || a->state != MASTER_AGENT_LEAVING)
        return;
    master_tasks_end_of_agent(m, a, MASTER_AGENT_END_REMOVED);
    master_operations_end_of_agent(m, a, MESOS__V1__OPERATION_STATE__OPERATION_UNKNOWN, "the agent was removed");
    master_departed_add(m, a->id, false);
    send_removed(m, a);
    master_trace(m, "agent %s was removed", a->id);
    free_agent(m, a);
}

void master_agents_on_gone_stored(struct master *m, struct master_write *w)
{
    struct master_agent *a = master_agent_find(m, w->id);
    CHECK(a != NULL && a->state == MASTER_AGENT_LEAVING); /* nothing leads out of LEAVING but what is stored for it */
    if (a->link != NULL) {
        struct master_link *l = a->link;
        REFUSE(m, l, true, "agent %s was marked gone by an operator", a->id);
    }
    bool was_unreachable = a->unreachable_ms != 0;
    master_tasks_end_of_agent(m, a, MASTER_AGENT_END_GONE);
    master_tasks_gone_with_agent(m, a);
    master_operations_end_of_agent(m, a, MESOS__V1__OPERATION_STATE__OPERATION_GONE_BY_OPERATOR,
                                   "the agent was marked gone by an operator");
    master_departed_add(m, a->id, true);
    if (!was_unreachable)
        send_removed(m, a);
    free_agent(m, a);
    if (w->request != 0)
        master_reply(m, w->request, 200, NULL);
}

/* -- coming ----------------------------------------------------------------------------------------------------- */

static void send_registered(struct master *m, struct master_agent *a, bool again)
{
    MASTER_WIRE(m, Muster__Link__Registered, body, muster__link__registered);
    body->agent_id = a->info->id;
    body->ping_timeout_total_ms = m->config.agent_ping_timeout_ms * m->config.max_agent_ping_timeouts;
    body->master_info = m->info;
    body->drain = master_drain_for_agent(a, m->out->arena);
    Muster__Link__MasterToAgent *message = master_send_link(m, a->link->id);
    *(again ? &message->reregistered : &message->registered) = body;
}

static void on_register(struct master *m, struct master_link *l, const Muster__Link__Register *message)
{
    m->counters.messages_register++;
    if (l->agent != NULL) { /* repeated: it is answered when stored, or was */
        if (l->agent->state == MASTER_AGENT_CONNECTED)
            send_registered(m, l->agent, false);
        return;
    }
    if (message->agent_info->id != NULL) {
        REFUSE(m, l, false, "a new agent has no id");
        return;
    }
    if (is_machine_down(m, l, message->agent_info)) {
        REFUSE(m, l, true, "machine %s is down for maintenance", message->agent_info->hostname);
        return;
    }
    char *id = arena_printf(m->out->arena, "%s-S%llu", m->id, (unsigned long long)m->next_agent++);
    struct master_agent *a = new_agent(m, id, MASTER_AGENT_ADMITTING);
    struct err err;
    if (master_agent_set_info(m, a, message->agent_info, message->version, message->total, message->n_total, &err) < 0) {
        REFUSE(m, l, false, "%s", err.text);
        free_agent(m, a);
        return;
    }
    free(a->ip);
    a->ip = xstrdup(l->peer_ip);
    a->registered_ms = m->wall_ms;
    bind_link(m, a, l);
    char address[96];
    address_of(a, address);
    struct master_agent *old = map_get(&m->disconnected, address);
    if (old != NULL) {
        m->counters.agent_removals_registered++;
        master_trace(m, "agent %s is replaced by %s", old->id, a->id);
        start_removal(m, old);
    }
    master_registry_put_agent(m, master_registry_begin(m, MASTER_WRITE_ADMIT, a->id), a, 0);
}

void master_agents_on_admitted(struct master *m, struct master_write *w)
{
    struct master_agent *a = master_agent_find(m, w->id);
    if (a == NULL || a->state != MASTER_AGENT_ADMITTING)
        return;
    m->counters.agent_registrations++;
    master_agent_set_state(m, a, a->link != NULL ? MASTER_AGENT_CONNECTED : MASTER_AGENT_DISCONNECTED);
    master_snapshot_send_agent_added(m, a);
    master_trace(m, "agent %s (%s) registered", a->id, a->info->hostname);
    if (a->link == NULL)
        return;
    send_registered(m, a, false);
    master_allocator_give_back(m, a, resources_new(), true);
}

/* May this agent be the one that has the id? */
static bool is_same_machine(const struct master_agent *a, const struct master_link *l, const Mesos__V1__AgentInfo *info)
{
    return strcmp(a->info->hostname, info->hostname) == 0 && (a->ip[0] == '\0' || strcmp(a->ip, l->peer_ip) == 0);
}

static void start_readmission(struct master *m, struct master_agent *a, struct master_link *l,
                              const Muster__Link__Reregister *message)
{
    if (a->state == MASTER_AGENT_UNREACHABLE) {
        list_remove(&a->unreachable_node);
        m->unreachable_count--;
    }
    free(a->ip);
    a->ip = xstrdup(l->peer_ip);
    master_agent_set_state(m, a, MASTER_AGENT_READMITTING);
    bind_link(m, a, l);
    struct master_write *w = master_registry_begin(m, MASTER_WRITE_READMIT, a->id);
    w->link = l->id;
    master_registry_set_message(w, &message->base);
    master_registry_put_agent(m, w, a, 0);
}

static void finish_return(struct master *m, struct master_agent *a, const Muster__Link__Reregister *message)
{
    struct err err;
    size_t before_len, after_len;
    bool is_news = a->state != MASTER_AGENT_CONNECTED && a->state != MASTER_AGENT_DISCONNECTED;
    master_offers_return_of_agent(m, a, true);
    master_agent_set_state(m, a, MASTER_AGENT_READMITTING);
    cleanup_free uint8_t *before = wire_pack(&a->info->base, &before_len);
    if (master_agent_set_info(m, a, message->agent_info, message->version, message->total, message->n_total, &err) < 0) {
        struct master_link *l = a->link;
        REFUSE(m, l, false, "%s", err.text);
        master_agent_set_state(m, a, is_news ? MASTER_AGENT_RECOVERED : MASTER_AGENT_DISCONNECTED);
        return;
    }
    cleanup_free uint8_t *after = wire_pack(&a->info->base, &after_len);
    if (after_len != before_len || memcmp(after, before, after_len) != 0)
        master_registry_put_agent(m, master_registry_begin(m, MASTER_WRITE_RECORD, a->id), a, 0);
    a->reregistered_ms = m->wall_ms;
    m->counters.agent_reregistrations++;
    send_registered(m, a, true);
    master_agent_come_back(m, a, message);
    a->unreachable_ms = 0;
    if (is_news)
        master_snapshot_send_agent_added(m, a);
    master_trace(m, "agent %s (%s) registered again", a->id, a->info->hostname);
    master_drain_settle(m, a);
}

void master_agents_on_readmitted(struct master *m, struct master_write *w)
{
    struct master_agent *a = master_agent_find(m, w->id);
    if (a == NULL || a->state != MASTER_AGENT_READMITTING)
        return;
    if (a->link == NULL) { /* lost again meanwhile, or told twice */
        master_agent_set_state(m, a, MASTER_AGENT_RECOVERED);
        return;
    }
    if (a->link->id != w->link)
        return; /* a later report of the same agent is being stored */
    struct err err;
    Muster__Link__Reregister *message =
        (void *)wire_unpack(&muster__link__reregister__descriptor, w->message, w->message_len, m->out->arena, &err);
    CHECK(message != NULL); /* our own bytes */
    finish_return(m, a, message);
}

static void on_reregister(struct master *m, struct master_link *l, const Muster__Link__Reregister *message)
{
    m->counters.messages_reregister++;
    const Mesos__V1__AgentInfo *info = message->agent_info;
    if (info->id == NULL || !text_is_valid_id(info->id->value)) {
        REFUSE(m, l, false, "an agent that registers again has a valid id");
        return;
    }
    if (l->agent != NULL && strcmp(l->agent->id, info->id->value) != 0) {
        REFUSE(m, l, false, "one connection belongs to one agent");
        return;
    }
    if (master_departed_is_gone(m, info->id->value)) {
        REFUSE(m, l, true, "agent %s was marked gone by an operator", info->id->value);
        return;
    }
    if (master_departed_is_removed(m, info->id->value)) {
        REFUSE(m, l, true, "agent %s was removed", info->id->value);
        return;
    }
    if (is_machine_down(m, l, info)) {
        REFUSE(m, l, true, "machine %s is down for maintenance", info->hostname);
        return;
    }
    struct master_agent *a = master_agent_find(m, info->id->value);
    if (a != NULL && a->info != NULL && !is_same_machine(a, l, info)) {
        REFUSE(m, l, true, "agent %s is another machine", info->id->value);
        return;
    }
    if (a != NULL && l->serial < a->link_serial) {
        /* The agent gave this connection up before it opened the one it spoke on last. What was under way on it (a packet
         * sent again after a partition) is an old report: its tasks of today are not in it. */
        master_trace(m, "agent %s: a report on an old connection is ignored", a->id);
        close_link(m, l);
        return;
    }
    if (a != NULL && (a->state == MASTER_AGENT_LEAVING || a->state == MASTER_AGENT_ADMITTING)) {
        close_link(m, l); /* it will ask again when this is stored */
        return;
    }
    if (a == NULL) {
        a = new_agent(m, info->id->value, MASTER_AGENT_READMITTING);
        struct err err;
        if (master_agent_set_info(m, a, info, message->version, message->total, message->n_total, &err) < 0) {
            REFUSE(m, l, false, "%s", err.text);
            free_agent(m, a);
            return;
        }
        a->registered_ms = m->wall_ms;
        drop_amounts(m, a);
        start_readmission(m, a, l, message);
    } else if (a->state == MASTER_AGENT_UNREACHABLE || a->state == MASTER_AGENT_READMITTING) {
        start_readmission(m, a, l, message);
    } else {
        bind_link(m, a, l);
        finish_return(m, a, message);
    }
}

/* -- messages --------------------------------------------------------------------------------------------------- */

static void on_exited_executor(struct master *m, struct master_agent *a, const Muster__Link__ExitedExecutor *message)
{
    m->counters.messages_exited_executor++;
    struct master_framework *f = master_framework_find(m, message->framework_id->value);
    if (f == NULL)
        return;
    struct master_executor *e = master_executor_find(a, f, message->executor_id->value);
    if (e != NULL)
        master_executor_remove(m, e);
    Mesos__V1__Scheduler__Event *event = master_send_framework(m, f, MESOS__V1__SCHEDULER__EVENT__TYPE__FAILURE);
    if (event == NULL)
        return;
    MASTER_WIRE(m, Mesos__V1__Scheduler__Event__Failure, failure, mesos__v1__scheduler__event__failure);
    failure->agent_id = a->info->id;
    failure->executor_id = message->executor_id;
    failure->has_status = true;
    failure->status = message->status;
    event->failure = failure;
}

static void on_executor_message(struct master *m, struct master_agent *a, const Muster__Link__ExecutorMessage *message)
{
    m->counters.messages_executor_to_framework++;
    struct master_framework *f = master_framework_find(m, message->framework_id->value);
    bool is_small = message->data.len <= MASTER_DATA_BYTES_MAX;
    Mesos__V1__Scheduler__Event *event =
        f != NULL && is_small ? master_send_framework(m, f, MESOS__V1__SCHEDULER__EVENT__TYPE__MESSAGE) : NULL;
    if (event == NULL) {
        m->counters.dropped_messages++; /* best effort: facts 1.13 */
        return;
    }
    MASTER_WIRE(m, Mesos__V1__Scheduler__Event__Message, body, mesos__v1__scheduler__event__message);
    body->agent_id = a->info->id;
    body->executor_id = message->executor_id;
    body->data = message->data;
    event->message = body;
}

static void on_hello(struct master *m, struct master_link *l, const Muster__Link__Hello *hello)
{
    if (hello->link_version < LINK_VERSION) {
        REFUSE(m, l, false, "muster-link/%u is too old, this master speaks %d", hello->link_version, LINK_VERSION);
        return;
    }
    l->hello_seen = true;
    MASTER_WIRE(m, Muster__Link__Hello, answer, muster__link__hello);
    answer->version = (char *)m->config.version;
    answer->link_version = LINK_VERSION;
    master_send_link(m, l->id)->hello = answer;
}

static void on_agent_message(struct master *m, struct master_agent *a, const Muster__Link__AgentToMaster *message)
{
    if (message->status_update != NULL)
        master_tasks_on_status_update(m, a, message->status_update);
    if (message->exited_executor != NULL)
        on_exited_executor(m, a, message->exited_executor);
    if (message->executor_message != NULL)
        on_executor_message(m, a, message->executor_message);
    if (message->operation_status_update != NULL)
        master_operations_on_status(m, a, message->operation_status_update);
    if (message->pong != NULL && message->pong->sequence == a->ping_sequence) {
        a->pong_awaited = false;
        a->pings_missed = 0;
    }
    if (message->unregister != NULL) {
        m->counters.messages_unregister++;
        m->counters.agent_removals_unregistered++;
        start_removal(m, a);
    }
}

static void disconnected(struct master *m, struct master_agent *a)
{
    master_agent_set_state(m, a, MASTER_AGENT_DISCONNECTED);
    master_offers_return_of_agent(m, a, true);
    master_operations_on_disconnected(m, a);
    master_trace(m, "agent %s disconnected", a->id);
}

/* A refusal closes the connection, and the agent that was connected by it is not any more: it may be another one than the
 * report names, or have changed its address. */
static void on_report(struct master *m, struct master_link *l, const Muster__Link__Reregister *message)
{
    const char *bound = l->agent != NULL ? arena_strdup(m->out->arena, l->agent->id) : NULL;
    on_reregister(m, l, message);
    struct master_agent *a = bound != NULL ? master_agent_find(m, bound) : NULL;
    if (a != NULL && a->state == MASTER_AGENT_CONNECTED && a->link == NULL)
        disconnected(m, a);
}

void master_agents_on_link_message(struct master *m, link_id link, const Muster__Link__AgentToMaster *message)
{
    struct master_link *l = find_link(m, link);
    if (l == NULL)
        return; /* on its way while we closed the link */
    if (!l->hello_seen) {
        if (message->hello != NULL)
            on_hello(m, l, message->hello);
        else
            REFUSE(m, l, false, "the first frame must be hello");
        return;
    }
    if (message->register_ != NULL)
        on_register(m, l, message->register_);
    else if (message->reregister != NULL)
        on_report(m, l, message->reregister);
    else if (l->agent != NULL && l->agent->state == MASTER_AGENT_CONNECTED)
        on_agent_message(m, l->agent, message);
    else
        m->counters.dropped_messages++;
}

int master_agents_on_link_up(struct master *m, link_id link, const char *peer_ip)
{
    if (find_link(m, link) != NULL)
        return -EPROTO;
    struct master_link *l = xcalloc(1, sizeof(*l));
    l->id = link;
    l->serial = ++m->next_serial;
    l->peer_ip = xstrdup(peer_ip);
    HASH_ADD(hh, m->links, id, sizeof(l->id), l);
    return 0;
}

void master_agents_on_link_down(struct master *m, link_id link)
{
    struct master_link *l = find_link(m, link);
    if (l == NULL)
        return;
    struct master_agent *a = l->agent;
    forget_link(m, l);
    if (a != NULL && a->state == MASTER_AGENT_CONNECTED)
        disconnected(m, a); /* else what is being stored for it looks for the link when it is done */
}

void master_agent_hang_up(struct master *m, struct master_agent *a, const char *why)
{
    master_trace_warning(m, "agent %s must report anew: %s", a->id, why);
    close_link(m, a->link);
    disconnected(m, a);
}

/* -- time ------------------------------------------------------------------------------------------------------- */

static void on_ping_due(struct master *m, struct master_agent *a)
{
    if (a->pong_awaited && ++a->pings_missed >= m->config.max_agent_ping_timeouts) {
        start_unreachable(m, a, "it does not answer pings");
        return;
    }
    MASTER_WIRE(m, Muster__Link__Ping, ping, muster__link__ping);
    ping->sequence = ++a->ping_sequence;
    master_send_link(m, a->link->id)->ping = ping;
    a->pong_awaited = true;
    heap_set(&m->agent_timers, &a->timer, m->now_ms + m->config.agent_ping_timeout_ms);
}

void master_agents_on_timers(struct master *m)
{
    struct heap_node *node;
    while ((node = heap_pop_due(&m->agent_timers, m->now_ms)) != NULL) {
        struct master_agent *a = container_of(node, struct master_agent, timer);
        if (a->state == MASTER_AGENT_CONNECTED)
            on_ping_due(m, a);
        else
            start_unreachable(m, a, "it did not come back in time");
    }
}

void master_agents_deinit(struct master *m)
{
    struct master_link *l, *next_link;
    HASH_ITER(hh, m->links, l, next_link)
    forget_link(m, l);
    struct master_agent *a, *next;
    HASH_ITER(hh, m->agents, a, next)
    free_agent(m, a);
    map_deinit(&m->disconnected);
}
