/* SPDX-License-Identifier: Apache-2.0 */
#include "master/registry.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "master/agents.h"
#include "master/frameworks.h"
#include "master/send.h"
#include "muster/registry.pb-c.h"

#define AGENT_PREFIX "agent/"
#define FRAMEWORK_PREFIX "framework/"

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

static void store(struct master *m, const struct master_write *w, const char *prefix, const ProtobufCMessage *value)
{
    struct store_write *write = arena_new_one(m->out->arena, struct store_write);
    char *key = arena_printf(m->out->arena, "%s%s", prefix, w->id);
    write->key = key;
    write->key_len = strlen(key);
    if (value != NULL) {
        write->value_len = protobuf_c_message_get_packed_size(value);
        uint8_t *packed = arena_must_alloc(m->out->arena, write->value_len + 1);
        (void)protobuf_c_message_pack(value, packed); /* the size is known */
        write->value = packed;
    }
    struct master_effect *e = master_effects_push(m->out, MASTER_EFFECT_STORE);
    e->store.token = w->token;
    e->store.writes = write;
    e->store.count = 1;
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
    store(m, w, AGENT_PREFIX, &record.base);
}

void master_registry_delete_agent(struct master *m, struct master_write *w)
{
    store(m, w, AGENT_PREFIX, NULL);
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

static bool has_prefix(const struct master_item *item, const char *prefix)
{
    size_t len = strlen(prefix);
    return item->key_len > len && memcmp(item->key, prefix, len) == 0;
}

void master_registry_recover(struct master *m, const struct master_item *item)
{
    struct err err;
    if (has_prefix(item, AGENT_PREFIX)) {
        Muster__Registry__Agent *record =
            (void *)wire_unpack(&muster__registry__agent__descriptor, item->value, item->value_len, m->out->arena, &err);
        if (record == NULL || record->info->id == NULL) {
            master_fatal(m, "registry: damaged record %.*s", (int)item->key_len, (const char *)item->key);
            return;
        }
        master_agents_recover(m, record->info, record->ip ? record->ip : "", record->version ? record->version : "",
                              record->registered_ms, record->unreachable_ms);
    } else if (has_prefix(item, FRAMEWORK_PREFIX)) {
        Muster__Registry__Framework *record = (void *)wire_unpack(&muster__registry__framework__descriptor, item->value,
                                                                  item->value_len, m->out->arena, &err);
        if (record == NULL || record->info->id == NULL) {
            master_fatal(m, "registry: damaged record %.*s", (int)item->key_len, (const char *)item->key);
            return;
        }
        master_frameworks_recover(m, record->info, record->registered_ms, record->disconnected_ms);
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
