/* SPDX-License-Identifier: Apache-2.0 */
#include "master/answer.h"

#include <errno.h>

#include "common/base/check.h"
#include "master/snapshot.h"

void master_each_task(const struct master_framework *f, enum master_task_set which,
                      void (*fn)(void *ctx, const struct master_task *t), void *ctx)
{
    if (which == MASTER_TASKS_COMPLETED) {
        for (const struct list *it = f->completed.next; it != &f->completed; it = it->next)
            fn(ctx, container_of(it, struct master_task, node));
        return;
    }
    for (const struct master_task *t = which == MASTER_TASKS_LIVE ? f->tasks : f->unreachable; t != NULL; t = t->hh.next)
        fn(ctx, t);
}

static void each_of_all(const struct master_view *v, enum master_task_set which,
                        void (*fn)(void *ctx, const struct master_task *t), void *ctx)
{
    const struct master_framework *tables[] = {v->m->frameworks, v->m->completed_frameworks};
    for (size_t i = 0; i < 2; i++)
        for (const struct master_framework *f = tables[i]; f != NULL; f = f->hh.next)
            if (master_sees_framework(v, f->info))
                master_each_task(f, which, fn, ctx);
}

/* Fields of GetTasks, in the order of their numbers as Mesos writes them. */
static const struct section {
    const char *name;
    unsigned number;
    enum master_task_set which;
} sections[] = {
    {"tasks", 2, MASTER_TASKS_LIVE},
    {"completed_tasks", 3, MASTER_TASKS_COMPLETED},
    {"unreachable_tasks", 5, MASTER_TASKS_UNREACHABLE},
};

/* -- JSON ------------------------------------------------------------------------------------------------------- */

struct json_walk {
    const struct master_view *view;
    struct json_writer *w;
    struct arena *arena;
};

static void write_task(void *ctx, const struct master_task *t)
{
    struct json_walk *walk = ctx;
    arena_reset(walk->arena);
    if (!master_sees_task(walk->view, t, walk->arena))
        return;
    wire_to_json(&master_snapshot_task(t, walk->arena)->base, walk->w);
}

static void write_tasks(const struct master_view *v, struct arena *arena, struct json_writer *w)
{
    json_begin_object(w);
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        struct json_walk walk = {.view = v, .w = w, .arena = arena};
        json_put_key(w, sections[i].name);
        json_begin_array(w);
        each_of_all(v, sections[i].which, write_task, &walk);
        json_end_array(w);
    }
    json_end_object(w);
}

static void write_state(const struct master_view *v, struct arena *arena, struct json_writer *w)
{
    json_begin_object(w);
    json_put_key(w, "get_tasks");
    write_tasks(v, arena, w);
    arena_reset(arena);
    json_put_key(w, "get_executors");
    wire_to_json(&master_snapshot_executors(v, arena)->base, w);
    json_put_key(w, "get_frameworks");
    wire_to_json(&master_snapshot_frameworks(v, arena)->base, w);
    json_put_key(w, "get_agents");
    wire_to_json(&master_snapshot_agents(v->m, arena)->base, w);
    json_end_object(w);
}

/* -- protobuf ---------------------------------------------------------------------------------------------------- */

static void put_varint(struct buf *out, uint64_t v)
{
    uint8_t bytes[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        bytes[n++] = (uint8_t)(v | 0x80);
    bytes[n++] = (uint8_t)v;
    (void)buf_append(out, bytes, n); /* a full buffer is seen at the end */
}

static void put_tag(struct buf *out, unsigned number, unsigned wire_type)
{
    put_varint(out, number << 3 | wire_type);
}

static void put_message(struct buf *out, unsigned number, const ProtobufCMessage *message)
{
    put_tag(out, number, 2);
    put_varint(out, protobuf_c_message_get_packed_size(message));
    (void)wire_encode(WIRE_PROTOBUF, message, out); /* a full buffer is seen at the end */
}

static void put_bytes(struct buf *out, unsigned number, struct buf *inner)
{
    put_tag(out, number, 2);
    put_varint(out, buf_len(inner));
    (void)buf_append(out, buf_data(inner), buf_len(inner)); /* as above */
    out->overflowed = out->overflowed || inner->overflowed;
    buf_deinit(inner);
}

struct pack_walk {
    const struct master_view *view;
    struct buf *out;
    struct arena *arena;
    unsigned number;
};

static void pack_task(void *ctx, const struct master_task *t)
{
    struct pack_walk *walk = ctx;
    arena_reset(walk->arena);
    if (!master_sees_task(walk->view, t, walk->arena))
        return;
    put_message(walk->out, walk->number, &master_snapshot_task(t, walk->arena)->base);
}

static void pack_tasks(const struct master_view *v, struct arena *arena, struct buf *out)
{
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        struct pack_walk walk = {.view = v, .out = out, .arena = arena, .number = sections[i].number};
        each_of_all(v, sections[i].which, pack_task, &walk);
    }
}

static void pack_state(const struct master_view *v, struct arena *arena, struct buf *out)
{
    struct buf tasks;
    buf_init(&tasks, out->bytes_max);
    pack_tasks(v, arena, &tasks);
    put_bytes(out, 1, &tasks);
    arena_reset(arena);
    put_message(out, 2, &master_snapshot_executors(v, arena)->base);
    put_message(out, 3, &master_snapshot_frameworks(v, arena)->base);
    put_message(out, 4, &master_snapshot_agents(v->m, arena)->base);
}

/* -- answers ---------------------------------------------------------------------------------------------------- */

int master_answer_tasks(const struct master_view *v, enum wire_format format, struct arena *arena, struct buf *out)
{
    if (format == WIRE_JSON) {
        struct json_writer w;
        json_writer_init(&w, out);
        json_begin_object(&w);
        json_kv_string(&w, "type", "GET_TASKS");
        json_put_key(&w, "get_tasks");
        write_tasks(v, arena, &w);
        json_end_object(&w);
    } else {
        struct buf tasks;
        buf_init(&tasks, out->bytes_max);
        pack_tasks(v, arena, &tasks);
        put_tag(out, 1, 0);
        put_varint(out, MESOS__V1__MASTER__RESPONSE__TYPE__GET_TASKS);
        put_bytes(out, 13, &tasks);
    }
    return out->overflowed ? -ENOBUFS : 0;
}

int master_answer_state(const struct master_view *v, enum wire_format format, struct arena *arena, struct buf *out)
{
    if (format == WIRE_JSON) {
        struct json_writer w;
        json_writer_init(&w, out);
        json_begin_object(&w);
        json_kv_string(&w, "type", "GET_STATE");
        json_put_key(&w, "get_state");
        write_state(v, arena, &w);
        json_end_object(&w);
    } else {
        struct buf state;
        buf_init(&state, out->bytes_max);
        pack_state(v, arena, &state);
        put_tag(out, 1, 0);
        put_varint(out, MESOS__V1__MASTER__RESPONSE__TYPE__GET_STATE);
        put_bytes(out, 9, &state);
    }
    return out->overflowed ? -ENOBUFS : 0;
}

int master_answer_subscribed(const struct master_view *v, enum wire_format format, struct arena *arena, struct buf *out)
{
    if (format == WIRE_JSON) {
        struct json_writer w;
        json_writer_init(&w, out);
        json_begin_object(&w);
        json_kv_string(&w, "type", "SUBSCRIBED");
        json_put_key(&w, "subscribed");
        json_begin_object(&w);
        json_put_key(&w, "get_state");
        write_state(v, arena, &w);
        json_kv_double(&w, "heartbeat_interval_seconds", MASTER_HEARTBEAT_MS / 1000.0);
        json_end_object(&w);
        json_end_object(&w);
    } else {
        struct buf state, subscribed;
        buf_init(&state, out->bytes_max);
        buf_init(&subscribed, out->bytes_max);
        pack_state(v, arena, &state);
        put_bytes(&subscribed, 1, &state);
        put_tag(&subscribed, 2, 1);
        double seconds = MASTER_HEARTBEAT_MS / 1000.0;
        (void)buf_append(&subscribed, &seconds, sizeof(seconds)); /* little-endian, as everything we run on */
        put_tag(out, 1, 0);
        put_varint(out, MESOS__V1__MASTER__EVENT__TYPE__SUBSCRIBED);
        put_bytes(out, 2, &subscribed);
    }
    return out->overflowed ? -ENOBUFS : 0;
}
