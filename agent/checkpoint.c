/* SPDX-License-Identifier: Apache-2.0
 * checkpoint.c - keys, records, and what waits for them. Keys are paths of ids; ids have no slash and at most 255 bytes, so
 * the longest key is about 800 bytes. */
#include "agent/checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/executors.h"
#include "agent/frameworks.h"
#include "agent/operations.h"
#include "agent/sandboxes.h"
#include "agent/tasks.h"
#include "agent/updates.h"
#include "common/base/check.h"
#include "common/base/text.h"
#include "common/wire/codec.h"

#define KEY_AGENT "agent"
#define KEY_BOOT "boot"
#define KEY_DRAIN "drain"
#define KEY_RESOURCES "resources"

static struct store_write *add_write(struct agent *a, const char *key)
{
    if (a->write_count == a->write_capacity) {
        a->write_capacity = a->write_capacity ? a->write_capacity * 2 : 16;
        a->writes = xrealloc(a->writes, a->write_capacity * sizeof(*a->writes));
    }
    struct store_write *w = &a->writes[a->write_count++];
    *w = (struct store_write){.key = key, .key_len = strlen(key)};
    return w;
}

static void put(struct agent *a, const char *key, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = arena_must_alloc(a->out->arena, len ? len : 1);
    protobuf_c_message_pack(message, bytes);
    struct store_write *w = add_write(a, key);
    w->value = bytes;
    w->value_len = len;
}

static ProtobufCBinaryData borrowed(const void *data, size_t len)
{
    /* only packed from, never written through */
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)data, .len = len};
}

static const char *key_framework(struct agent *a, const struct agent_framework *f)
{
    return arena_printf(a->out->arena, "framework/%s", f->id);
}

static const char *key_executor(struct agent *a, const struct agent_executor *e)
{
    return arena_printf(a->out->arena, "executor/%s/%s", e->framework->id, e->id);
}

static const char *key_task(struct agent *a, const struct agent_task *t)
{
    return arena_printf(a->out->arena, "task/%s/%s", t->framework->id, t->id);
}

static const char *key_update(struct agent *a, const struct agent_task *t, const struct agent_update *u)
{
    return arena_printf(a->out->arena, "update/%s/%s/%08" PRIx32, t->framework->id, t->id, u->sequence);
}

static const char *key_sandbox(struct agent *a, const char *container_id)
{
    return arena_printf(a->out->arena, "sandbox/%s", container_id);
}

static const char *key_operation(struct agent *a, const struct agent_operation *o)
{
    return arena_printf(a->out->arena, "operation/%016" PRIx64 "/%s", o->sequence, o->name);
}

void agent_checkpoint_agent(struct agent *a)
{
    size_t len;
    uint8_t *info = wire_pack(&a->info->base, &len);
    Muster__Checkpoint__Agent record = MUSTER__CHECKPOINT__AGENT__INIT;
    record.agent_info = borrowed(info, len);
    put(a, KEY_AGENT, &record.base);
    free(info);
}

void agent_checkpoint_boot(struct agent *a)
{
    Muster__Checkpoint__Boot record = MUSTER__CHECKPOINT__BOOT__INIT;
    record.boot_id = a->boot_id;
    put(a, KEY_BOOT, &record.base);
}

void agent_checkpoint_drain(struct agent *a)
{
    if (!a->drain.is_on) {
        (void)add_write(a, KEY_DRAIN);
        return;
    }
    Muster__Checkpoint__Drain record = MUSTER__CHECKPOINT__DRAIN__INIT;
    record.start_ms = a->drain.start_ms;
    record.has_max_grace_ns = a->drain.has_max_grace;
    record.max_grace_ns = a->drain.max_grace_ns;
    record.has_mark_gone = record.mark_gone = a->drain.mark_gone;
    put(a, KEY_DRAIN, &record.base);
}

void agent_checkpoint_framework(struct agent *a, const struct agent_framework *f)
{
    Muster__Checkpoint__Framework record = MUSTER__CHECKPOINT__FRAMEWORK__INIT;
    record.framework_info = borrowed(f->info, f->info_len);
    put(a, key_framework(a, f), &record.base);
}

void agent_checkpoint_executor(struct agent *a, const struct agent_executor *e)
{
    Muster__Checkpoint__Executor record = MUSTER__CHECKPOINT__EXECUTOR__INIT;
    record.executor_info = borrowed(e->info, e->info_len);
    record.container_id = (char *)(uintptr_t)e->container_id;
    record.has_command = e->command;
    record.command = e->command;
    record.has_builtin = e->builtin;
    record.builtin = e->builtin;
    record.directory = e->directory;
    record.has_ended = record.ended = e->state == AGENT_EXECUTOR_TERMINATED;
    record.has_served = record.served = e->served;
    record.has_memory_hard_bytes = true;
    record.memory_hard_bytes = e->memory_hard_bytes;
    put(a, key_executor(a, e), &record.base);
}

void agent_checkpoint_task(struct agent *a, const struct agent_task *t)
{
    Muster__Checkpoint__Task record = MUSTER__CHECKPOINT__TASK__INIT;
    record.task_info = borrowed(t->info, t->info_len);
    record.executor_id = t->executor ? t->executor->id : NULL;
    put(a, key_task(a, t), &record.base);
}

void agent_checkpoint_update(struct agent *a, const struct agent_task *t, const struct agent_update *u)
{
    Muster__Checkpoint__Update record = MUSTER__CHECKPOINT__UPDATE__INIT;
    record.status = borrowed(u->status, u->len);
    record.has_acknowledged = record.acknowledged = u->acknowledged;
    put(a, key_update(a, t, u), &record.base);
}

void agent_checkpoint_sandbox(struct agent *a, const struct agent_sandbox *s)
{
    Muster__Checkpoint__Sandbox record = MUSTER__CHECKPOINT__SANDBOX__INIT;
    record.directory = s->directory;
    record.due_ms = s->due_ms;
    put(a, key_sandbox(a, s->container_id), &record.base);
}

void agent_checkpoint_operation(struct agent *a, const struct agent_operation *o)
{
    Muster__Checkpoint__Operation record = MUSTER__CHECKPOINT__OPERATION__INIT;
    record.framework_id = o->framework_id;
    record.info = borrowed(o->info, o->info_len);
    record.has_status = o->status != NULL;
    record.status = borrowed(o->status, o->status_len);
    put(a, key_operation(a, o), &record.base);
}

void agent_checkpoint_resources(struct agent *a)
{
    Muster__Checkpoint__Resources record = MUSTER__CHECKPOINT__RESOURCES__INIT;
    struct resources *dynamic = resources_dynamic(a->total);
    record.n_dynamic = resources_to_wire(dynamic, RESOURCE_POST_REFINEMENT, a->out->arena, &record.dynamic);
    put(a, KEY_RESOURCES, &record.base);
    resources_free(dynamic);
}

void agent_checkpoint_forget_operation(struct agent *a, const struct agent_operation *o)
{
    (void)add_write(a, key_operation(a, o));
}

void agent_checkpoint_forget_framework(struct agent *a, const struct agent_framework *f)
{
    (void)add_write(a, key_framework(a, f));
}

void agent_checkpoint_forget_executor(struct agent *a, const struct agent_executor *e)
{
    (void)add_write(a, key_executor(a, e));
}

void agent_checkpoint_forget_update(struct agent *a, const struct agent_task *t, const struct agent_update *u)
{
    (void)add_write(a, key_update(a, t, u));
}

void agent_checkpoint_forget_task(struct agent *a, const struct agent_task *t)
{
    (void)add_write(a, key_task(a, t));
    list_for_each(it, &t->history) agent_checkpoint_forget_update(a, t, container_of(it, struct agent_update, link));
    list_for_each(it, &t->updates) agent_checkpoint_forget_update(a, t, container_of(it, struct agent_update, link));
}

void agent_checkpoint_forget_sandbox(struct agent *a, const char *container_id)
{
    (void)add_write(a, key_sandbox(a, container_id));
}

void agent_checkpoint_forget_agent(struct agent *a)
{
    (void)add_write(a, KEY_AGENT);
    (void)add_write(a, KEY_BOOT);
    (void)add_write(a, KEY_DRAIN);
    for (struct map_entry *it = map_first(&a->operations); it != NULL; it = map_next(it))
        agent_checkpoint_forget_operation(a, map_value(it));
}

static char *copy_into(char **at, const char *s)
{
    if (s == NULL)
        return NULL;
    char *copy = *at;
    size_t size = strlen(s) + 1;
    memcpy(copy, s, size);
    *at += size;
    return copy;
}

void agent_checkpoint_then(struct agent *a, enum agent_pending_kind kind, const char *framework_id, const char *executor_id,
                           const char *task_id, uint32_t sequence)
{
    CHECK(a->write_count > 0);
    size_t size = sizeof(struct agent_pending);
    const char *ids[] = {framework_id, executor_id, task_id};
    for (size_t i = 0; i < 3; i++)
        size += ids[i] ? strlen(ids[i]) + 1 : 0;
    struct agent_pending *p = xcalloc(1, size);
    char *at = (char *)(p + 1);
    p->kind = kind;
    p->token = a->token;
    p->sequence = sequence;
    p->framework_id = copy_into(&at, framework_id);
    p->executor_id = copy_into(&at, executor_id);
    p->task_id = copy_into(&at, task_id);
    list_push_back(&a->pending, &p->link);
}

void agent_checkpoint_flush(struct agent *a)
{
    if (a->write_count == 0)
        return;
    struct agent_effect *effect = agent_emit(a, AGENT_OUT_STORE);
    effect->store.writes = arena_memdup(a->out->arena, a->writes, a->write_count * sizeof(*a->writes));
    effect->store.count = a->write_count;
    effect->store.token = a->token;
    a->write_count = 0;
}

/* -- recovery ------------------------------------------------------------------------------------------------- */

struct recovery {
    struct agent *a;
    struct arena *arena;
    Mesos__V1__AgentInfo **info;
    char **boot_id;
};

/* Splits "name/a/b" after the name: up to n parts, each terminated, in the arena. False unless there are exactly n. */
static bool split_key(struct arena *arena, const struct agent_item *item, const char *name, char **parts, size_t n)
{
    size_t name_len = strlen(name);
    if (item->key_len <= name_len || memcmp(item->key, name, name_len) != 0)
        return false;
    char *text = arena_alloc(arena, item->key_len + 1);
    if (text == NULL)
        return false;
    memcpy(text, item->key, item->key_len);
    text += name_len;
    for (size_t i = 0; i < n; i++) {
        parts[i] = text;
        char *slash = strchr(text, '/');
        if ((slash != NULL) != (i + 1 < n))
            return false;
        if (slash != NULL) {
            *slash = '\0';
            text = slash + 1;
        }
        if (!text_is_valid_id(parts[i]))
            return false;
    }
    return true;
}

static int recover_agent(struct recovery *r, const struct agent_item *item, struct err *err)
{
    Muster__Checkpoint__Agent *record =
        (void *)wire_unpack(&muster__checkpoint__agent__descriptor, item->value, item->value_len, r->arena, err);
    if (record == NULL)
        return -EINVAL;
    Mesos__V1__AgentInfo *info = (void *)wire_unpack(&mesos__v1__agent_info__descriptor, record->agent_info.data,
                                                     record->agent_info.len, r->arena, err);
    if (info == NULL)
        return -EINVAL;
    if (info->id == NULL || !text_is_valid_id(info->id->value))
        return err_set(err, -EINVAL, "the agent's record has no id");
    *r->info = info;
    return 0;
}

static int recover_boot(struct recovery *r, const struct agent_item *item, struct err *err)
{
    Muster__Checkpoint__Boot *record =
        (void *)wire_unpack(&muster__checkpoint__boot__descriptor, item->value, item->value_len, r->arena, err);
    if (record == NULL)
        return -EINVAL;
    *r->boot_id = record->boot_id;
    return 0;
}

static int recover_drain(struct recovery *r, const struct agent_item *item, struct err *err)
{
    const Muster__Checkpoint__Drain *record =
        (const void *)wire_unpack(&muster__checkpoint__drain__descriptor, item->value, item->value_len, r->arena, err);
    if (record == NULL)
        return -EINVAL;
    r->a->drain = (struct agent_drain){.is_on = true,
                                       .mark_gone = record->mark_gone,
                                       .has_max_grace = record->has_max_grace_ns,
                                       .max_grace_ns = record->max_grace_ns,
                                       .start_ms = record->start_ms};
    return 0;
}

static int recover_framework(struct recovery *r, const struct agent_item *item, const char *id, struct err *err)
{
    Muster__Checkpoint__Framework *record =
        (void *)wire_unpack(&muster__checkpoint__framework__descriptor, item->value, item->value_len, r->arena, err);
    if (record == NULL)
        return -EINVAL;
    ProtobufCBinaryData packed = record->framework_info;
    Mesos__V1__FrameworkInfo *info =
        (void *)wire_unpack(&mesos__v1__framework_info__descriptor, packed.data, packed.len, r->arena, err);
    if (info == NULL)
        return -EINVAL;
    if (info->id == NULL || strcmp(info->id->value, id) != 0)
        return err_set(err, -EINVAL, "its info has another id");
    (void)agent_framework_restore(r->a, info, packed.data, packed.len);
    return 0;
}

static int recover_executor(struct recovery *r, const struct agent_item *item, char *const parts[2], struct err *err)
{
    Muster__Checkpoint__Executor *record =
        (void *)wire_unpack(&muster__checkpoint__executor__descriptor, item->value, item->value_len, r->arena, err);
    if (record == NULL)
        return -EINVAL;
    ProtobufCBinaryData packed = record->executor_info;
    Mesos__V1__ExecutorInfo *info =
        (void *)wire_unpack(&mesos__v1__executor_info__descriptor, packed.data, packed.len, r->arena, err);
    if (info == NULL)
        return -EINVAL;
    struct agent_framework *f = agent_framework_find(r->a, parts[0]);
    if (f == NULL)
        return err_set(err, -EINVAL, "its framework has no record");
    if (strcmp(info->executor_id->value, parts[1]) != 0 || strlen(record->container_id) + 1 != UUID_TEXT_SIZE ||
        !text_is_valid_container_id(record->container_id) || record->directory == NULL)
        return err_set(err, -EINVAL, "its info has another id, or its container is not named right");
    struct agent_executor *e = agent_executor_new(r->a, f, info, packed.data, packed.len, record->command, record->builtin,
                                                  record->container_id, record->directory);
    e->served = e->served_saved = record->served;
    e->memory_hard_bytes = record->memory_hard_bytes;
    if (record->ended) {
        (void)map_remove(&r->a->containers, e->container_id);
        e->state = AGENT_EXECUTOR_TERMINATED;
    } else {
        e->launched = true;
        e->recovered = true;
        r->a->recovering++;
    }
    return 0;
}

static int recover_task(struct recovery *r, const struct agent_item *item, char *const parts[2], struct err *err)
{
    Muster__Checkpoint__Task *record =
        (void *)wire_unpack(&muster__checkpoint__task__descriptor, item->value, item->value_len, r->arena, err);
    if (record == NULL)
        return -EINVAL;
    ProtobufCBinaryData packed = record->task_info;
    Mesos__V1__TaskInfo *info =
        (void *)wire_unpack(&mesos__v1__task_info__descriptor, packed.data, packed.len, r->arena, err);
    if (info == NULL)
        return -EINVAL;
    struct agent_framework *f = agent_framework_find(r->a, parts[0]);
    if (f == NULL || strcmp(info->task_id->value, parts[1]) != 0)
        return err_set(err, -EINVAL, "its framework has no record, or its info has another id");
    struct agent_executor *e = NULL;
    if (record->executor_id != NULL) {
        e = agent_executor_find(r->a, parts[0], record->executor_id);
        if (e == NULL)
            return err_set(err, -EINVAL, "its executor %s has no record", record->executor_id);
    }
    struct agent_task *t = agent_task_new(f, info, packed.data, packed.len);
    t->stored = t->sent = t->recovered = true;
    if (e != NULL)
        agent_task_attach(t, e);
    return 0;
}

static int recover_update(struct recovery *r, const struct agent_item *item, char *const parts[3], struct err *err)
{
    Muster__Checkpoint__Update *record =
        (void *)wire_unpack(&muster__checkpoint__update__descriptor, item->value, item->value_len, r->arena, err);
    if (record == NULL)
        return -EINVAL;
    Mesos__V1__TaskStatus *status =
        (void *)wire_unpack(&mesos__v1__task_status__descriptor, record->status.data, record->status.len, r->arena, err);
    if (status == NULL)
        return -EINVAL;
    struct agent_task *t = agent_task_find(r->a, parts[0], parts[1]);
    char *end;
    unsigned long sequence = strtoul(parts[2], &end, 16);
    if (t == NULL || *end != '\0' || sequence >= UINT32_MAX || !status->has_uuid ||
        status->uuid.len != AGENT_UPDATE_UUID_SIZE)
        return err_set(err, -EINVAL, "its task has no record, or it has no uuid");
    agent_updates_restore(r->a, t, (uint32_t)sequence, status, record->status.data, record->status.len,
                          record->acknowledged);
    return 0;
}

static int recover_sandbox(struct recovery *r, const struct agent_item *item, const char *container_id, struct err *err)
{
    Muster__Checkpoint__Sandbox *record =
        (void *)wire_unpack(&muster__checkpoint__sandbox__descriptor, item->value, item->value_len, r->arena, err);
    if (record == NULL)
        return -EINVAL;
    agent_sandbox_restore(r->a, container_id, record->directory, record->due_ms);
    return 0;
}

static int recover_resources(struct recovery *r, const struct agent_item *item, struct err *err)
{
    Muster__Checkpoint__Resources *record =
        (void *)wire_unpack(&muster__checkpoint__resources__descriptor, item->value, item->value_len, r->arena, err);
    return record != NULL ? agent_operations_restore_total(r->a, record->dynamic, record->n_dynamic, err) : -EINVAL;
}

static int recover_operation(struct recovery *r, const struct agent_item *item, char *const parts[2], struct err *err)
{
    Muster__Checkpoint__Operation *record =
        (void *)wire_unpack(&muster__checkpoint__operation__descriptor, item->value, item->value_len, r->arena, err);
    if (record == NULL)
        return -EINVAL;
    char *end;
    unsigned long long sequence = strtoull(parts[0], &end, 16);
    if (*end != '\0')
        return err_set(err, -EINVAL, "its key has no sequence number");
    return agent_operation_restore(r->a, sequence, parts[1], record, err);
}

static bool key_is(const struct agent_item *item, const char *key)
{
    return item->key_len == strlen(key) && memcmp(item->key, key, item->key_len) == 0;
}

/* Records refer to others, so they are read in passes: what is referred to comes first. */
static int recover_item(struct recovery *r, const struct agent_item *item, int pass, struct err *err)
{
    char *parts[3];
    switch (pass) {
    case 0:
        if (key_is(item, KEY_AGENT))
            return recover_agent(r, item, err);
        return key_is(item, KEY_BOOT) ? recover_boot(r, item, err) : 0;
    case 1:
        if (split_key(r->arena, item, "sandbox/", parts, 1))
            return recover_sandbox(r, item, parts[0], err);
        if (key_is(item, KEY_DRAIN))
            return recover_drain(r, item, err);
        if (split_key(r->arena, item, "operation/", parts, 2))
            return recover_operation(r, item, parts, err);
        return split_key(r->arena, item, "framework/", parts, 1) ? recover_framework(r, item, parts[0], err) : 0;
    case 2:
        return split_key(r->arena, item, "executor/", parts, 2) ? recover_executor(r, item, parts, err) : 0;
    case 3:
        return split_key(r->arena, item, "task/", parts, 2) ? recover_task(r, item, parts, err) : 0;
    default:
        return split_key(r->arena, item, "update/", parts, 3) ? recover_update(r, item, parts, err) : 0;
    }
}

static int recover_passes(struct recovery *r, const struct agent_item *items, size_t count, int from, int to,
                          struct err *err)
{
    for (int pass = from; pass <= to; pass++) {
        for (size_t i = 0; i < count; i++) {
            int rc = recover_item(r, &items[i], pass, err);
            if (rc != 0)
                return err_wrap(err, rc, "checkpoint %.*s", (int)items[i].key_len, (const char *)items[i].key);
        }
    }
    return 0;
}

int agent_checkpoint_identity(struct agent *a, const struct agent_item *items, size_t count, Mesos__V1__AgentInfo **info,
                              char **boot_id, struct err *err)
{
    struct recovery r = {.a = a, .arena = a->out->arena, .info = info, .boot_id = boot_id};
    return recover_passes(&r, items, count, 0, 0, err);
}

int agent_checkpoint_recover_resources(struct agent *a, const struct agent_item *items, size_t count, struct err *err)
{
    struct recovery r = {.a = a, .arena = a->out->arena};
    for (size_t i = 0; i < count; i++)
        if (key_is(&items[i], KEY_RESOURCES))
            return recover_resources(&r, &items[i], err);
    return 0;
}

int agent_checkpoint_recover(struct agent *a, const struct agent_item *items, size_t count, struct err *err)
{
    struct recovery r = {.a = a, .arena = a->out->arena};
    return recover_passes(&r, items, count, 1, 4, err);
}

/* The sandboxes of the forgotten runs stay on the list of what is to be removed. */
void agent_checkpoint_forget_runs(struct agent *a, const struct agent_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *parts[2];
        if (split_key(a->out->arena, &items[i], "sandbox/", parts, 1)) {
            struct recovery r = {.a = a, .arena = a->out->arena};
            (void)recover_sandbox(&r, &items[i], parts[0], NULL); /* one that cannot be read names nothing to remove */
            continue;
        }
        if (split_key(a->out->arena, &items[i], "executor/", parts, 2)) {
            Muster__Checkpoint__Executor *record = (void *)wire_unpack(
                &muster__checkpoint__executor__descriptor, items[i].value, items[i].value_len, a->out->arena, NULL);
            if (record != NULL && record->directory != NULL && !record->ended)
                agent_sandbox_retire(a, record->container_id, record->directory);
        }
        if (key_is(&items[i], KEY_RESOURCES))
            continue; /* volumes stay */
        struct store_write *w = add_write(a, "");
        w->key = arena_memdup(a->out->arena, items[i].key, items[i].key_len);
        w->key_len = items[i].key_len;
    }
}
