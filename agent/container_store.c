/* SPDX-License-Identifier: Apache-2.0
 * container_store.c - what an agent remembers of the containers that the operator API made: nested and standalone ones run
 * on when it is started again, and how they ended is told until somebody removes them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/api_containers_internal.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "muster/checkpoint.pb-c.h"

#define KEY "container/"

static size_t make_key(const char *launcher_id, char out[sizeof(KEY) + UUID_TEXT_SIZE])
{
    strcpy(out, KEY);
    strcat(out, launcher_id); /* shorter than UUID_TEXT_SIZE */
    return strlen(out);
}

static void on_written(void *ctx, uint64_t token, int result)
{
    (void)ctx;
    (void)token;
    if (result != 0)
        log_error("the record of a container cannot be written: %s", strerror(-result));
}

static void write_record(struct agent_shell *s, const char *launcher_id, const void *value, size_t len, store_done_fn done,
                         void *ctx)
{
    char key[sizeof(KEY) + UUID_TEXT_SIZE];
    size_t key_len = make_key(launcher_id, key);
    struct store_write write = {.key = key, .key_len = key_len, .value = value, .value_len = len};
    store_write(s->store, &write, 1, 0, done != NULL ? done : on_written, ctx);
}

void container_store_put(struct agent_shell *s, const struct agent_container *one, store_done_fn done, void *ctx)
{
    Muster__Checkpoint__Container record = MUSTER__CHECKPOINT__CONTAINER__INIT;
    record.path = one->path;
    record.standalone = one->kind == AGENT_CONTAINER_STANDALONE;
    record.root = (char *)(uintptr_t)one->root;
    record.sandbox = one->sandbox;
    record.has_tty = true;
    record.tty = one->has_tty;
    record.user = one->user;
    record.env = one->env;
    record.n_env = one->env_count;
    if (one->state == AGENT_CONTAINER_ENDED) {
        record.has_end_reason = record.has_end_status = record.has_end_memory_limit = true;
        record.end_reason = (int32_t)one->end.reason;
        record.end_status = one->end.status;
        record.end_message = (char *)(uintptr_t)one->end.message;
        record.end_memory_limit = one->end.memory_limit_bytes;
    }
    size_t len;
    uint8_t *packed = wire_pack(&record.base, &len);
    write_record(s, one->launcher_id, packed, len, done, ctx);
    free(packed);
}

static void forgotten(void *ctx, const struct agent_container *one)
{
    if (one->kind != AGENT_CONTAINER_SESSION)
        write_record(ctx, one->launcher_id, NULL, 0, NULL, NULL);
}

void container_store_init(struct agent_shell *s)
{
    s->containers.forgotten = forgotten;
    s->containers.ctx = s;
}

static void restore(struct agent_shell *s, const char *launcher_id, const Muster__Checkpoint__Container *record)
{
    struct agent_container *one;
    enum agent_container_kind kind = record->standalone ? AGENT_CONTAINER_STANDALONE : AGENT_CONTAINER_NESTED;
    if (agent_container_restore(&s->containers, record->path, launcher_id, kind, record->standalone ? NULL : record->root,
                                record->sandbox, record->has_tty && record->tty, &one) != 0)
        return;
    one->user = record->user != NULL ? xstrdup(record->user) : NULL;
    one->env = xcalloc(record->n_env + 1, sizeof(*one->env));
    for (size_t i = 0; i < record->n_env; i++)
        one->env[one->env_count++] = xstrdup(record->env[i]);
    if (!record->has_end_reason)
        return;
    const struct launcher_end end = {.reason = (enum launcher_end_reason)record->end_reason,
                                     .status = record->has_end_status ? record->end_status : -1,
                                     .message = record->end_message != NULL ? record->end_message : "",
                                     .memory_limit_bytes = record->end_memory_limit};
    (void)agent_container_ended(&s->containers, launcher_id, &end);
}

static bool is_launcher_id(const char *id, size_t len)
{
    return len + 1 == UUID_TEXT_SIZE && text_is_valid_container_id(id);
}

void agent_api_containers_restore(struct agent_shell *s, const struct agent_item *items, size_t count)
{
    struct arena *arena = arena_new(SIZE_MAX / 2); /* bounded by what this agent has written */
    const size_t prefix = strlen(KEY);
    for (size_t i = 0; i < count; i++) {
        if (items[i].key_len <= prefix || memcmp(items[i].key, KEY, prefix) != 0)
            continue;
        const char *id = arena_printf(arena, "%.*s", (int)(items[i].key_len - prefix), (const char *)items[i].key + prefix);
        const Muster__Checkpoint__Container *record = (const void *)wire_unpack(
            &muster__checkpoint__container__descriptor, items[i].value, items[i].value_len, arena, NULL);
        if (record == NULL || !is_launcher_id(id, strlen(id)) || strlen(record->root) + 1 != UUID_TEXT_SIZE)
            log_error("the record of container %s cannot be read and is left alone", id);
        else
            restore(s, id, record);
    }
    (void)arena_free(arena);
}

const char *const *agent_api_containers_known(struct agent_shell *s, const char *const *cores, size_t *count,
                                              struct arena *arena)
{
    const char **all = arena_new_array(arena, const char *, *count + map_count(&s->containers.by_path) + 1);
    for (size_t i = 0; i < *count; i++)
        all[i] = cores[i];
    for (struct map_entry *e = map_first(&s->containers.by_path); e != NULL; e = map_next(e)) {
        const struct agent_container *one = map_value(e);
        if (one->state != AGENT_CONTAINER_ENDED)
            all[(*count)++] = one->launcher_id;
    }
    return all;
}

void agent_api_containers_recovered(struct agent_shell *s)
{
    for (bool is_changed = true; is_changed;) {
        is_changed = false;
        for (struct map_entry *e = map_first(&s->containers.roots); e != NULL && !is_changed; e = map_next(e)) {
            const char *root = map_key(e);
            if (map_get(&s->core->containers, root) != NULL || agent_container_of_launcher(&s->containers, root) != NULL)
                continue;
            char id[UUID_TEXT_SIZE];
            strcpy(id, root); /* it goes with its entry */
            agent_containers_root_ended(&s->containers, id);
            is_changed = true;
        }
    }
}
