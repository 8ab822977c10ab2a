/* SPDX-License-Identifier: Apache-2.0 */
#include "master/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "master/agents.h"
#include "master/departed.h"
#include "master/drain.h"
#include "master/frameworks.h"
#include "master/maintenance.h"
#include "master/quota.h"
#include "master/send.h"
#include "master/weights.h"
#include "muster/registry.pb-c.h"

#define AGENT_PREFIX "agent/"
#define FRAMEWORK_PREFIX "framework/"
#define DEPARTED_PREFIX "departed/"
#define WEIGHT_PREFIX "weight/"
#define QUOTA_PREFIX "quota/"
#define MAINTENANCE_PREFIX "maintenance/"

struct master_write *master_registry_begin(struct master *m, enum master_write_kind kind, const char *id)
{
    struct master_write *w = xcalloc(1, sizeof(*w));
    w->token = ++m->next_token;
    w->kind = kind;
    w->id = xstrdup(id);
    list_push_back(&m->writes, &w->node);
    return w;
}

void master_registry_set_message(struct master_write *w, const ProtobufCMessage *message)
{
    w->message = wire_pack(message, &w->message_len);
}

static void free_write(struct master_write *w)
{
    list_remove(&w->node);
    free(w->id);
    free(w->message);
    free(w);
}

/* The batch of the write: one effect, however many records it takes. They follow each other without other effects. */
static struct store_write *batch_add(struct master *m, const struct master_write *w)
{
    struct master_effect *e = m->out->count > 0 ? &m->out->items[m->out->count - 1] : NULL;
    if (e == NULL || e->type != MASTER_EFFECT_STORE || e->store.token != w->token) {
        e = master_effects_push(m->out, MASTER_EFFECT_STORE);
        e->store.token = w->token;
    }
    struct store_write *writes = arena_new_array(m->out->arena, struct store_write, e->store.count + 1);
    if (e->store.count > 0)
        memcpy(writes, e->store.writes, e->store.count * sizeof(*writes));
    e->store.writes = writes;
    return &writes[e->store.count++];
}

static void store_as(struct master *m, const struct master_write *w, const char *prefix, const char *id,
                     const ProtobufCMessage *value)
{
    struct store_write *write = batch_add(m, w);
    char *key = arena_printf(m->out->arena, "%s%s", prefix, id);
    write->key = key;
    write->key_len = strlen(key);
    if (value != NULL) {
        write->value_len = protobuf_c_message_get_packed_size(value);
        uint8_t *packed = arena_must_alloc(m->out->arena, write->value_len + 1);
        (void)protobuf_c_message_pack(value, packed); /* the size is known */
        write->value = packed;
    }
}

static void store(struct master *m, const struct master_write *w, const char *prefix, const ProtobufCMessage *value)
{
    store_as(m, w, prefix, w->id, value);
}

void master_registry_put_agent(struct master *m, struct master_write *w, const struct master_agent *a,
                               int64_t unreachable_ms)
{
    Muster__Registry__Agent record = MUSTER__REGISTRY__AGENT__INIT;
    record.info = a->info;
    record.version = a->version;
    record.ip = a->ip;
    record.has_registered_ms = true;
    record.registered_ms = a->registered_ms;
    record.has_unreachable_ms = unreachable_ms != 0;
    record.unreachable_ms = unreachable_ms;
    record.has_deactivated = record.deactivated = a->is_deactivated;
    record.drain = master_drain_wire(a, m->out->arena);
    record.has_drain_start_ms = record.drain != NULL;
    record.drain_start_ms = a->drain.start_ms;
    store(m, w, AGENT_PREFIX, &record.base);
}

void master_registry_delete_agent(struct master *m, struct master_write *w)
{
    store(m, w, AGENT_PREFIX, NULL);
}

void master_registry_depart_agent(struct master *m, struct master_write *w, bool gone)
{
    Muster__Registry__Departed record = MUSTER__REGISTRY__DEPARTED__INIT;
    record.departed_ms = m->wall_ms;
    record.has_gone = record.gone = gone;
    store(m, w, AGENT_PREFIX, NULL);
    store(m, w, DEPARTED_PREFIX, &record.base);
}

void master_registry_delete_departed(struct master *m, struct master_write *w)
{
    store(m, w, DEPARTED_PREFIX, NULL);
}

void master_registry_put_framework(struct master *m, struct master_write *w, const Mesos__V1__FrameworkInfo *info,
                                   int64_t registered_ms, int64_t disconnected_ms)
{
    Muster__Registry__Framework record = MUSTER__REGISTRY__FRAMEWORK__INIT;
    record.info = (Mesos__V1__FrameworkInfo *)info; /* only read */
    record.has_registered_ms = true;
    record.registered_ms = registered_ms;
    record.has_disconnected_ms = disconnected_ms != 0;
    record.disconnected_ms = disconnected_ms;
    store(m, w, FRAMEWORK_PREFIX, &record.base);
}

void master_registry_delete_framework(struct master *m, struct master_write *w)
{
    store(m, w, FRAMEWORK_PREFIX, NULL);
}

void master_registry_put_weight(struct master *m, struct master_write *w, const Mesos__V1__WeightInfo *info)
{
    Muster__Registry__Weight record = MUSTER__REGISTRY__WEIGHT__INIT;
    record.info = (Mesos__V1__WeightInfo *)info; /* only read */
    store_as(m, w, WEIGHT_PREFIX, info->role, &record.base);
}

void master_registry_put_quota(struct master *m, struct master_write *w, const Mesos__V1__Quota__QuotaConfig *config,
                               bool keep)
{
    Muster__Registry__Quota record = MUSTER__REGISTRY__QUOTA__INIT;
    record.config = (Mesos__V1__Quota__QuotaConfig *)config; /* only read */
    store_as(m, w, QUOTA_PREFIX, config->role, keep ? &record.base : NULL);
}

void master_registry_put_maintenance(struct master *m, struct master_write *w,
                                     const Mesos__V1__Maintenance__Schedule *schedule, Mesos__V1__MachineID **down,
                                     size_t n_down)
{
    Muster__Registry__Maintenance record = MUSTER__REGISTRY__MAINTENANCE__INIT;
    record.schedule = (Mesos__V1__Maintenance__Schedule *)schedule; /* only read */
    record.n_down = n_down;
    record.down = down;
    master_registry_set_message(w, &record.base);
    store_as(m, w, MAINTENANCE_PREFIX, "schedule", &record.base);
}

int master_registry_read_maintenance(struct master *m, const struct master_write *w,
                                     const Mesos__V1__Maintenance__Schedule **schedule, Mesos__V1__MachineID ***down,
                                     size_t *n_down, struct err *err)
{
    const Muster__Registry__Maintenance *record = (const void *)wire_unpack(&muster__registry__maintenance__descriptor,
                                                                            w->message, w->message_len, m->out->arena, err);
    if (record == NULL)
        return -EINVAL;
    *schedule = record->schedule;
    *down = record->down;
    *n_down = record->n_down;
    return 0;
}

static bool has_prefix(const struct master_item *item, const char *prefix)
{
    size_t len = strlen(prefix);
    return item->key_len > len && memcmp(item->key, prefix, len) == 0;
}

static bool recover_agent(struct master *m, const char *id, const ProtobufCMessage *message)
{
    const Muster__Registry__Agent *record = (const void *)message;
    (void)id;
    if (record->info->id == NULL)
        return false;
    struct master_agent *a =
        master_agents_recover(m, record->info, record->ip ? record->ip : "", record->version ? record->version : "",
                              record->registered_ms, record->unreachable_ms);
    if (a != NULL)
        master_drain_recover(a, record->deactivated, record->drain, record->drain_start_ms);
    return true;
}

static bool recover_framework(struct master *m, const char *id, const ProtobufCMessage *message)
{
    const Muster__Registry__Framework *record = (const void *)message;
    (void)id;
    if (record->info->id == NULL)
        return false;
    master_frameworks_recover(m, record->info, record->registered_ms, record->disconnected_ms);
    return true;
}

static bool recover_departed(struct master *m, const char *id, const ProtobufCMessage *message)
{
    const Muster__Registry__Departed *record = (const void *)message;
    master_departed_recover(m, id, record->departed_ms, record->gone);
    return true;
}

static bool recover_weight(struct master *m, const char *id, const ProtobufCMessage *message)
{
    (void)id;
    return master_weights_recover(m, ((const Muster__Registry__Weight *)message)->info);
}

static bool recover_quota(struct master *m, const char *id, const ProtobufCMessage *message)
{
    (void)id;
    return master_quota_recover(m, ((const Muster__Registry__Quota *)message)->config);
}

static bool recover_maintenance(struct master *m, const char *id, const ProtobufCMessage *message)
{
    const Muster__Registry__Maintenance *record = (const void *)message;
    (void)id;
    return master_maintenance_recover(m, record->schedule, record->down, record->n_down);
}

/* The kinds of records, and who takes them. A handler gives false for a record that cannot be. */
static const struct {
    const char *prefix;
    const ProtobufCMessageDescriptor *type;
    bool (*fn)(struct master *m, const char *id, const ProtobufCMessage *record);
} kinds[] = {
    {AGENT_PREFIX, &muster__registry__agent__descriptor, recover_agent},
    {FRAMEWORK_PREFIX, &muster__registry__framework__descriptor, recover_framework},
    {DEPARTED_PREFIX, &muster__registry__departed__descriptor, recover_departed},
    {WEIGHT_PREFIX, &muster__registry__weight__descriptor, recover_weight},
    {QUOTA_PREFIX, &muster__registry__quota__descriptor, recover_quota},
    {MAINTENANCE_PREFIX, &muster__registry__maintenance__descriptor, recover_maintenance},
};

void master_registry_recover(struct master *m, const struct master_item *item)
{
    struct err err;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!has_prefix(item, kinds[i].prefix))
            continue;
        const ProtobufCMessage *record = wire_unpack(kinds[i].type, item->value, item->value_len, m->out->arena, &err);
        const char *id = arena_printf(m->out->arena, "%.*s", (int)item->key_len, (const char *)item->key);
        if (record == NULL || !kinds[i].fn(m, id + strlen(kinds[i].prefix), record))
            master_fatal(m, "registry: damaged record %s", id);
        return;
    }
}

static void dispatch(struct master *m, struct master_write *w)
{
    switch (w->kind) {
    case MASTER_WRITE_ADMIT:
        master_agents_on_admitted(m, w);
        break;
    case MASTER_WRITE_READMIT:
        master_agents_on_readmitted(m, w);
        break;
    case MASTER_WRITE_UNREACHABLE:
        master_agents_on_unreachable_stored(m, w);
        break;
    case MASTER_WRITE_FORGET_AGENT:
        master_agents_on_forgotten(m, w);
        break;
    case MASTER_WRITE_GONE:
        master_agents_on_gone_stored(m, w);
        break;
    case MASTER_WRITE_AGENT:
        master_drain_on_stored(m, w);
        break;
    case MASTER_WRITE_WEIGHTS:
        master_weights_on_stored(m, w);
        break;
    case MASTER_WRITE_QUOTA:
        master_quota_on_stored(m, w);
        break;
    case MASTER_WRITE_MAINTENANCE:
        master_maintenance_on_stored(m, w);
        break;
    case MASTER_WRITE_SUBSCRIBE:
        master_frameworks_on_subscription_stored(m, w);
        break;
    case MASTER_WRITE_UPDATE:
        master_frameworks_on_update_stored(m, w);
        break;
    case MASTER_WRITE_REMOVE_FRAMEWORK:
        master_frameworks_on_removal_stored(m, w);
        break;
    case MASTER_WRITE_RECORD:
        break;
    }
}

void master_registry_on_done(struct master *m, uint64_t token, int result)
{
    list_for_each(it, &m->writes)
    {
        struct master_write *w = container_of(it, struct master_write, node);
        if (w->token != token)
            continue;
        if (result < 0)
            master_fatal(m, "registry: a write failed: %s", strerror(-result));
        else
            dispatch(m, w);
        free_write(w);
        return;
    }
}

void master_registry_deinit(struct master *m)
{
    list_for_each(it, &m->writes) free_write(container_of(it, struct master_write, node));
}
