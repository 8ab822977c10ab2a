/* SPDX-License-Identifier: Apache-2.0 */
#include "master/frameworks.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/text.h"
#include "master/allocator.h"
#include "master/authorize.h"
#include "master/calls.h"
#include "master/constraints.h"
#include "master/inverse.h"
#include "master/offers.h"
#include "master/operations.h"
#include "master/registry.h"
#include "master/roles.h"
#include "master/send.h"
#include "master/snapshot.h"
#include "master/tasks.h"

#define FAILOVER_MS_MAX (INT64_MAX / 4)

struct master_framework *master_framework_find(const struct master *m, const char *id)
{
    struct master_framework *f = NULL;
    HASH_FIND_STR(m->frameworks, id, f);
    return f;
}

struct master_framework *master_framework_find_completed(const struct master *m, const char *id)
{
    struct master_framework *f = NULL;
    HASH_FIND_STR(m->completed_frameworks, id, f);
    return f;
}

/* -- streams ---------------------------------------------------------------------------------------------------- */

static struct master_stream *find_stream(const struct master *m, stream_id id)
{
    struct master_stream *s = NULL;
    HASH_FIND(hh, m->streams, &id, sizeof(id), s);
    return s;
}

static void forget_stream(struct master *m, stream_id id)
{
    struct master_stream *s = find_stream(m, id);
    if (s == NULL)
        return;
    HASH_DEL(m->streams, s);
    free(s);
}

static void refuse_stream(struct master *m, stream_id id, const char *text)
{
    master_refuse_stream(m, id, text);
    master_trace_warning(m, "subscription refused: %s", text);
    forget_stream(m, id);
}

/* -- the object ------------------------------------------------------------------------------------------------- */

static unsigned capabilities_of(const Mesos__V1__FrameworkInfo *info)
{
    static const struct {
        Mesos__V1__FrameworkInfo__Capability__Type type;
        unsigned bit;
    } table[] = {
        {MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE, MASTER_CAN_PARTITION},
        {MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE, MASTER_CAN_MULTI_ROLE},
        {MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT, MASTER_CAN_REFINEMENT},
        {MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__TASK_KILLING_STATE, MASTER_CAN_KILLING},
        {MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__GPU_RESOURCES, MASTER_CAN_GPU},
        {MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__SHARED_RESOURCES, MASTER_CAN_SHARED},
        {MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__REVOCABLE_RESOURCES, MASTER_CAN_REVOCABLE},
        {MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__REGION_AWARE, MASTER_CAN_REGION},
    };
    unsigned bits = 0;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (master_framework_info_can(info, table[i].type))
            bits |= table[i].bit;
    return bits;
}

/* Takes a copy of info, which has an id. Returns whether anything changed. */
static bool set_info(struct master_framework *f, const Mesos__V1__FrameworkInfo *info)
{
    size_t len;
    uint8_t *packed = wire_pack(&info->base, &len);
    if (f->info != NULL && len == f->packed_info_len && memcmp(packed, f->packed_info, len) == 0) {
        free(packed);
        return false;
    }
    Mesos__V1__FrameworkInfo *copy = mesos__v1__framework_info__unpack(NULL, len, packed);
    CHECK(copy != NULL); /* just packed */
    if (f->info != NULL)
        mesos__v1__framework_info__free_unpacked(f->info, NULL);
    free(f->packed_info);
    f->info = copy;
    f->packed_info = packed;
    f->packed_info_len = len;
    f->capabilities = capabilities_of(copy);
    return true;
}

static struct master_framework *new_framework(struct master *m, const Mesos__V1__FrameworkInfo *info,
                                              enum master_framework_state state)
{
    struct master_framework *f = xcalloc(1, sizeof(*f));
    f->id = xstrdup(info->id->value);
    f->serial = ++m->next_serial;
    f->state = state;
    list_init(&f->completed);
    list_init(&f->offers);
    list_init(&f->executors);
    list_init(&f->operations);
    map_init(&f->operation_ids);
    list_init(&f->inverses);
    list_init(&f->pass_node);
    list_init(&f->pass_offers);
    list_init(&f->completed_node);
    list_init(&f->reconcile_node);
    (void)set_info(f, info); /* there was none */
    HASH_ADD_KEYPTR(hh, m->frameworks, f->id, strlen(f->id), f);
    return f;
}

static void free_framework(struct master *m, struct master_framework *f)
{
    master_reconcile_cancel(f);
    master_tasks_forget_all(m, f);
    master_operations_end_of_framework(m, f);
    map_deinit(&f->operation_ids);
    master_clients_unsubscribe(m, f);
    CHECK(f->client_count == 0 && list_is_empty(&f->offers) && list_is_empty(&f->executors));
    heap_remove(&m->failover_timers, &f->failover_timer);
    heap_remove(&m->heartbeat_timers, &f->heartbeat_timer);
    mesos__v1__framework_info__free_unpacked(f->info, NULL);
    free(f->packed_info);
    free(f->packed_constraints);
    free(f->clients);
    free(f->id);
    free(f);
}

static int64_t failover_timeout_ms(const struct master_framework *f)
{
    double seconds = f->info->has_failover_timeout ? f->info->failover_timeout : 0;
    if (seconds <= 0)
        return 0;
    return seconds * 1000 >= (double)FAILOVER_MS_MAX ? FAILOVER_MS_MAX : (int64_t)(seconds * 1000);
}

/* A framework nobody has heard of since this master began keeps its tasks at least as long as an agent has to come back:
 * the end of a master must not be the end of a framework. */
static void start_recovered_timer(struct master *m, struct master_framework *f)
{
    int64_t delay = failover_timeout_ms(f);
    if (f->disconnected_ms != 0) {
        delay -= m->wall_ms - f->disconnected_ms;
        delay = delay < 0 ? 0 : delay;
    } else if (delay < m->config.agent_reregister_timeout_ms) {
        delay = m->config.agent_reregister_timeout_ms;
    }
    heap_set(&m->failover_timers, &f->failover_timer, m->now_ms + delay);
}

void master_frameworks_recover(struct master *m, const Mesos__V1__FrameworkInfo *info, int64_t registered_ms,
                               int64_t disconnected_ms)
{
    if (master_framework_find(m, info->id->value) != NULL)
        return;
    struct master_framework *f = new_framework(m, info, MASTER_FRAMEWORK_RECOVERED);
    f->registered_ms = registered_ms;
    f->disconnected_ms = disconnected_ms;
    start_recovered_timer(m, f);
    master_clients_subscribe(m, f, NULL, 0, NULL);
}

struct master_framework *master_framework_from_agent(struct master *m, const Mesos__V1__FrameworkInfo *info)
{
    if (info->id == NULL || !text_is_valid_id(info->id->value) || master_framework_info_check(m, info) != NULL)
        return NULL;
    struct master_framework *f = new_framework(m, info, MASTER_FRAMEWORK_RECOVERED);
    f->registered_ms = m->wall_ms;
    start_recovered_timer(m, f);
    master_clients_subscribe(m, f, NULL, 0, NULL);
    struct master_write *w = master_registry_begin(m, MASTER_WRITE_RECORD, f->id);
    master_registry_put_framework(m, w, f->info, f->registered_ms, 0);
    master_snapshot_send_framework(m, f, MESOS__V1__MASTER__EVENT__TYPE__FRAMEWORK_ADDED);
    return f;
}

/* -- subscription ----------------------------------------------------------------------------------------------- */

/* Why this subscription cannot be (facts: mesos 1.2, 1.6), NULL if it can. */
static const char *check_subscription(struct master *m, const char *principal,
                                      const Mesos__V1__Scheduler__Call__Subscribe *s)
{
    const Mesos__V1__FrameworkInfo *info = s->framework_info;
    const char *why = master_framework_info_check(m, info);
    if (why != NULL)
        return why;
    char *const *roles, *single;
    size_t count = master_framework_info_roles(info, &roles, &single);
    if (s->n_suppressed_roles > count)
        return "there are more suppressed roles than roles";
    for (size_t i = 0; i < s->n_suppressed_roles; i++) {
        size_t j = 0;
        while (j < count && strcmp(roles[j], s->suppressed_roles[i]) != 0)
            j++;
        if (j == count)
            return arena_printf(m->out->arena, "suppressed role '%.300s' is not among the framework's roles",
                                s->suppressed_roles[i]);
    }
    const char *forbidden = master_forbidden_role(m, info, principal != NULL ? principal : info->principal);
    if (forbidden != NULL)
        return arena_printf(m->out->arena, "Not authorized to use role '%.300s'", forbidden);
    struct err err;
    if (master_constraints_check(s->offer_constraints, roles, count, &err) < 0)
        return arena_printf(m->out->arena, "%s", err.text);
    if (info->id == NULL)
        return NULL;
    if (master_framework_find_completed(m, info->id->value) != NULL)
        return "framework has been removed";
    const struct master_framework *f = master_framework_find(m, info->id->value);
    if (f != NULL && f->state == MASTER_FRAMEWORK_LEAVING)
        return "framework has been removed";
    const char *present = principal != NULL ? principal : info->principal;
    if (f != NULL && f->info->principal != NULL && present != NULL && strcmp(f->info->principal, present) != 0)
        return "the framework's principal must not change";
    return NULL;
}

/* The info as it is to be kept: with an id, and with what may not change taken from the present one. */
static Mesos__V1__FrameworkInfo *complete_info(struct master *m, const Mesos__V1__FrameworkInfo *asked,
                                               const char *principal)
{
    Mesos__V1__FrameworkInfo *info = arena_memdup(m->out->arena, asked, sizeof(*asked));
    if (info->id == NULL || info->id->value[0] == '\0') {
        info->id = master_wire_framework_id(
            m, arena_printf(m->out->arena, "%s-%04llu", m->id, (unsigned long long)m->next_framework++));
    }
    if (info->principal == NULL && principal != NULL)
        info->principal = (char *)principal;
    const struct master_framework *f = master_framework_find(m, info->id->value);
    if (f != NULL) {
        info->user = f->info->user;
        info->has_checkpoint = f->info->has_checkpoint;
        info->checkpoint = f->info->checkpoint;
        if (info->principal == NULL)
            info->principal = f->info->principal;
    }
    return info;
}

void master_frameworks_on_subscribe(struct master *m, stream_id stream, const char *principal,
                                    const Mesos__V1__Scheduler__Call *call)
{
    struct master_stream *s = xcalloc(1, sizeof(*s));
    s->id = stream;
    HASH_ADD(hh, m->streams, id, sizeof(s->id), s);
    const char *why = check_subscription(m, principal, call->subscribe);
    if (why != NULL) {
        refuse_stream(m, stream, why);
        return;
    }
    Mesos__V1__Scheduler__Call__Subscribe subscribe = *call->subscribe;
    subscribe.framework_info = complete_info(m, call->subscribe->framework_info, principal);
    Mesos__V1__Scheduler__Call kept = MESOS__V1__SCHEDULER__CALL__INIT; /* bodies of other calls are not kept */
    kept.framework_id = subscribe.framework_info->id;
    kept.subscribe = &subscribe;
    struct master_write *w = master_registry_begin(m, MASTER_WRITE_SUBSCRIBE, kept.framework_id->value);
    w->stream = stream;
    master_registry_set_message(w, &kept.base);
    const struct master_framework *f = master_framework_find(m, w->id);
    master_registry_put_framework(m, w, subscribe.framework_info, f != NULL ? f->registered_ms : m->wall_ms, 0);
}

/* For those who ask what they are. */
static void keep_constraints(struct master_framework *f, const Mesos__V1__Scheduler__OfferConstraints *constraints)
{
    free(f->packed_constraints);
    f->packed_constraints = NULL;
    if (constraints != NULL)
        f->packed_constraints = wire_pack(&constraints->base, &f->packed_constraints_len);
}

static void send_subscribed(struct master *m, struct master_framework *f)
{
    MASTER_WIRE(m, Mesos__V1__Scheduler__Event__Subscribed, body, mesos__v1__scheduler__event__subscribed);
    body->framework_id = f->info->id;
    body->has_heartbeat_interval_seconds = true;
    body->heartbeat_interval_seconds = MASTER_HEARTBEAT_MS / 1000.0;
    body->master_info = m->info;
    master_send_framework(m, f, MESOS__V1__SCHEDULER__EVENT__TYPE__SUBSCRIBED)->subscribed = body;
    (void)master_send_framework(m, f, MESOS__V1__SCHEDULER__EVENT__TYPE__HEARTBEAT); /* it has no body */
    heap_set(&m->heartbeat_timers, &f->heartbeat_timer, m->now_ms + MASTER_HEARTBEAT_MS);
}

static void connect_framework(struct master *m, struct master_framework *f, struct master_stream *s)
{
    if (f->stream != 0) {
        stream_id old = f->stream;
        f->stream = 0;
        refuse_stream(m, old, "Framework failed over");
    }
    master_offers_return_of_framework(m, f);
    master_reconcile_cancel(f);
    heap_remove(&m->failover_timers, &f->failover_timer);
    f->state = MASTER_FRAMEWORK_CONNECTED;
    f->stream = s->id;
    f->under_pressure = false;
    f->disconnected_ms = 0;
    s->framework = f;
    send_subscribed(m, f);
    master_inverse_mark_for_framework(m, f);
}

/* The agents that run something of the framework learn its new info. */
static void broadcast_info(struct master *m, struct master_framework *f)
{
    uint64_t mark = ++m->next_mark;
    MASTER_WIRE(m, Muster__Link__UpdateFramework, update, muster__link__update_framework);
    update->framework_info.len = f->packed_info_len;
    update->framework_info.data = f->packed_info;
    for (struct master_task *t = f->tasks; t != NULL; t = t->hh.next) {
        if (t->agent == NULL || t->agent->mark == mark)
            continue;
        t->agent->mark = mark;
        Muster__Link__MasterToAgent *message = master_send_agent(m, t->agent);
        if (message != NULL)
            message->update_framework = update;
    }
}

void master_frameworks_on_subscription_stored(struct master *m, struct master_write *w)
{
    struct err err;
    Mesos__V1__Scheduler__Call *call =
        (void *)wire_unpack(&mesos__v1__scheduler__call__descriptor, w->message, w->message_len, m->out->arena, &err);
    CHECK(call != NULL); /* our own bytes */
    struct master_framework *f = master_framework_find(m, w->id);
    struct master_stream *s = find_stream(m, w->stream);
    if (s == NULL) { /* closed meanwhile: the record must say so again */
        struct master_write *again = master_registry_begin(m, MASTER_WRITE_RECORD, w->id);
        if (f == NULL)
            master_registry_delete_framework(m, again);
        else
            master_registry_put_framework(m, again, f->info, f->registered_ms, f->disconnected_ms);
        return;
    }
    const char *why = check_subscription(m, NULL, call->subscribe);
    if (why != NULL) { /* removed meanwhile */
        master_registry_delete_framework(m, master_registry_begin(m, MASTER_WRITE_RECORD, w->id));
        refuse_stream(m, w->stream, why);
        return;
    }
    bool is_new = f == NULL;
    if (is_new) {
        f = new_framework(m, call->subscribe->framework_info, MASTER_FRAMEWORK_DISCONNECTED);
        f->registered_ms = m->wall_ms;
    } else {
        (void)set_info(f, call->subscribe->framework_info); /* whether it changed matters to nobody here */
        f->reregistered_ms = m->wall_ms;
    }
    connect_framework(m, f, s);
    keep_constraints(f, call->subscribe->offer_constraints);
    master_clients_subscribe(m, f, call->subscribe->suppressed_roles, call->subscribe->n_suppressed_roles,
                             call->subscribe->offer_constraints);
    if (!is_new) /* unchanged, too: agents send again what the scheduler before never acknowledged */
        broadcast_info(m, f);
    master_snapshot_send_framework(
        m, f, is_new ? MESOS__V1__MASTER__EVENT__TYPE__FRAMEWORK_ADDED : MESOS__V1__MASTER__EVENT__TYPE__FRAMEWORK_UPDATED);
    master_trace(m, "framework %s (%s) %s", f->id, f->info->name, is_new ? "subscribed" : "subscribed again");
}

/* -- UPDATE_FRAMEWORK ------------------------------------------------------------------------------------------- */

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

void master_frameworks_on_update(struct master *m, struct master_framework *f, request_id request,
                                 const Mesos__V1__Scheduler__Call *call)
{
    const Mesos__V1__FrameworkInfo *info = call->update_framework->framework_info;
    Mesos__V1__Scheduler__Call__Subscribe as_subscribe = MESOS__V1__SCHEDULER__CALL__SUBSCRIBE__INIT;
    as_subscribe.framework_info = (Mesos__V1__FrameworkInfo *)info; /* only read */
    as_subscribe.n_suppressed_roles = call->update_framework->n_suppressed_roles;
    as_subscribe.suppressed_roles = call->update_framework->suppressed_roles;
    as_subscribe.offer_constraints = call->update_framework->offer_constraints;
    const char *forbidden = master_forbidden_role(m, info, f->info->principal);
    if (forbidden != NULL) {
        master_reply(m, request, 403, "Not authorized to use role '%.300s'", forbidden);
        return;
    }
    const char *why = check_subscription(m, NULL, &as_subscribe);
    if (why == NULL && strcmp(info->user, f->info->user) != 0)
        why = "FrameworkInfo.user must not change";
    if (why == NULL && (info->has_checkpoint && info->checkpoint) != (f->info->has_checkpoint && f->info->checkpoint))
        why = "FrameworkInfo.checkpoint must not change";
    if (why == NULL && info->principal != NULL && !is_same_text(info->principal, f->info->principal))
        why = "FrameworkInfo.principal must not change";
    if (why != NULL) {
        master_reply(m, request, 400, "%s", why);
        return;
    }
    struct master_write *w = master_registry_begin(m, MASTER_WRITE_UPDATE, f->id);
    w->request = request;
    Mesos__V1__Scheduler__Call kept = MESOS__V1__SCHEDULER__CALL__INIT; /* bodies of other calls are not kept */
    kept.update_framework = call->update_framework;
    master_registry_set_message(w, &kept.base);
    Mesos__V1__FrameworkInfo *complete = complete_info(m, info, NULL);
    master_registry_put_framework(m, w, complete, f->registered_ms, 0);
}

void master_frameworks_on_update_stored(struct master *m, struct master_write *w)
{
    struct err err;
    Mesos__V1__Scheduler__Call *call =
        (void *)wire_unpack(&mesos__v1__scheduler__call__descriptor, w->message, w->message_len, m->out->arena, &err);
    CHECK(call != NULL); /* our own bytes */
    struct master_framework *f = master_framework_find(m, w->id);
    if (f == NULL || f->state == MASTER_FRAMEWORK_LEAVING) {
        master_registry_delete_framework(m, master_registry_begin(m, MASTER_WRITE_RECORD, w->id));
        master_reply(m, w->request, 409, "Framework %s was removed meanwhile", w->id);
        return;
    }
    bool changed = set_info(f, complete_info(m, call->update_framework->framework_info, NULL));
    struct list *it, *next;
    char *const *roles, *single;
    size_t count = master_framework_info_roles(f->info, &roles, &single);
    for (it = f->offers.next; it != &f->offers; it = next) {
        struct master_offer *o = container_of(it, struct master_offer, framework_node);
        size_t i = 0;
        next = it->next;
        while (i < count && strcmp(roles[i], o->client->role->name) != 0)
            i++;
        if (i == count)
            master_offer_return(m, o, true, true);
    }
    keep_constraints(f, call->update_framework->offer_constraints);
    master_clients_subscribe(m, f, call->update_framework->suppressed_roles, call->update_framework->n_suppressed_roles,
                             call->update_framework->offer_constraints);
    if (changed) {
        broadcast_info(m, f);
        master_snapshot_send_framework(m, f, MESOS__V1__MASTER__EVENT__TYPE__FRAMEWORK_UPDATED);
    }
    master_reply(m, w->request, 200, NULL);
}

/* -- disconnection and removal ---------------------------------------------------------------------------------- */

void master_frameworks_on_stream_closed(struct master *m, stream_id stream)
{
    struct master_stream *s = find_stream(m, stream);
    struct master_framework *f = s != NULL ? s->framework : NULL;
    forget_stream(m, stream);
    if (f == NULL || f->stream != stream)
        return;
    f->stream = 0;
    master_reconcile_cancel(f);
    heap_remove(&m->heartbeat_timers, &f->heartbeat_timer);
    if (f->state != MASTER_FRAMEWORK_CONNECTED)
        return;
    f->state = MASTER_FRAMEWORK_DISCONNECTED;
    f->disconnected_ms = m->wall_ms;
    master_clients_refresh(m, f);
    master_offers_return_of_framework(m, f);
    int64_t timeout = failover_timeout_ms(f);
    master_trace(m, "framework %s disconnected, kept for %lld ms", f->id, (long long)timeout);
    if (timeout == 0) {
        master_framework_remove(m, f, 0, 0);
        return;
    }
    heap_set(&m->failover_timers, &f->failover_timer, m->now_ms + timeout);
    struct master_write *w = master_registry_begin(m, MASTER_WRITE_RECORD, f->id);
    master_registry_put_framework(m, w, f->info, f->registered_ms, f->disconnected_ms);
    master_snapshot_send_framework(m, f, MESOS__V1__MASTER__EVENT__TYPE__FRAMEWORK_UPDATED);
}

void master_frameworks_on_pressure(struct master *m, stream_id stream, bool on)
{
    struct master_stream *s = find_stream(m, stream);
    if (s == NULL || s->framework == NULL || s->framework->stream != stream)
        return;
    s->framework->under_pressure = on;
    master_clients_refresh(m, s->framework);
}

void master_framework_remove(struct master *m, struct master_framework *f, request_id request, int status)
{
    bool was_leaving = f->state == MASTER_FRAMEWORK_LEAVING;
    master_inverse_forget_framework(m, f);
    f->state = MASTER_FRAMEWORK_LEAVING;
    master_reconcile_cancel(f);
    heap_remove(&m->failover_timers, &f->failover_timer);
    if (!was_leaving) {
        master_clients_refresh(m, f);
        master_offers_return_of_framework(m, f);
    }
    struct master_write *w = master_registry_begin(m, MASTER_WRITE_REMOVE_FRAMEWORK, f->id);
    w->request = request;
    w->status = status;
    master_registry_delete_framework(m, w);
}

static void tell_agents_of_removal(struct master *m, struct master_framework *f)
{
    uint64_t mark = ++m->next_mark;
    MASTER_WIRE(m, Muster__Link__ShutdownFramework, shutdown, muster__link__shutdown_framework);
    shutdown->framework_id = master_wire_framework_id(m, arena_strdup(m->out->arena, f->id));
    for (struct master_task *t = f->tasks; t != NULL; t = t->hh.next) {
        if (t->agent == NULL || t->agent->mark == mark)
            continue;
        t->agent->mark = mark;
        Muster__Link__MasterToAgent *message = master_send_agent(m, t->agent);
        if (message != NULL)
            message->shutdown_framework = shutdown;
    }
    list_for_each(it, &f->executors)
    {
        struct master_agent *a = container_of(it, struct master_executor, framework_node)->agent;
        if (a->mark == mark)
            continue;
        a->mark = mark;
        Muster__Link__MasterToAgent *message = master_send_agent(m, a);
        if (message != NULL)
            message->shutdown_framework = shutdown;
    }
}

static void remember_completed(struct master *m, struct master_framework *f)
{
    HASH_ADD_KEYPTR(hh, m->completed_frameworks, f->id, strlen(f->id), f);
    list_push_back(&m->completed_order, &f->completed_node);
    while (HASH_COUNT(m->completed_frameworks) > m->config.max_completed_frameworks) {
        struct master_framework *old = container_of(m->completed_order.next, struct master_framework, completed_node);
        list_remove(&old->completed_node);
        HASH_DEL(m->completed_frameworks, old);
        free_framework(m, old);
    }
}

void master_frameworks_on_removal_stored(struct master *m, struct master_write *w)
{
    struct master_framework *f = master_framework_find(m, w->id);
    if (f != NULL) {
        tell_agents_of_removal(m, f);
        master_tasks_end_of_framework(m, f);
        master_operations_end_of_framework(m, f);
        if (f->stream != 0) {
            master_effects_push(m->out, MASTER_EFFECT_STREAM_CLOSE)->stream_close.stream = f->stream;
            forget_stream(m, f->stream);
            f->stream = 0;
        }
        heap_remove(&m->heartbeat_timers, &f->heartbeat_timer);
        master_clients_unsubscribe(m, f);
        f->state = MASTER_FRAMEWORK_COMPLETED;
        f->unregistered_ms = m->wall_ms;
        HASH_DEL(m->frameworks, f);
        master_snapshot_send_framework_removed(m, f);
        master_trace(m, "framework %s removed", f->id);
        remember_completed(m, f);
    }
    if (w->request != 0)
        master_reply(m, w->request, w->status, NULL);
}

void master_frameworks_on_timers(struct master *m)
{
    struct heap_node *node;
    while ((node = heap_pop_due(&m->failover_timers, m->now_ms)) != NULL) {
        struct master_framework *f = container_of(node, struct master_framework, failover_timer);
        master_trace(m, "framework %s did not come back in time", f->id);
        master_framework_remove(m, f, 0, 0);
    }
    while ((node = heap_pop_due(&m->heartbeat_timers, m->now_ms)) != NULL) {
        struct master_framework *f = container_of(node, struct master_framework, heartbeat_timer);
        (void)master_send_framework(m, f, MESOS__V1__SCHEDULER__EVENT__TYPE__HEARTBEAT); /* it has no body */
        heap_set(&m->heartbeat_timers, &f->heartbeat_timer, m->now_ms + MASTER_HEARTBEAT_MS);
    }
}

void master_frameworks_deinit(struct master *m)
{
    struct master_framework *f, *next;
    HASH_ITER(hh, m->frameworks, f, next)
    {
        HASH_DEL(m->frameworks, f);
        free_framework(m, f);
    }
    HASH_ITER(hh, m->completed_frameworks, f, next)
    {
        HASH_DEL(m->completed_frameworks, f);
        free_framework(m, f);
    }
    struct master_stream *s, *s_next;
    HASH_ITER(hh, m->streams, s, s_next)
    {
        HASH_DEL(m->streams, s);
        free(s);
    }
}
