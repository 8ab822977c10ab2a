/* SPDX-License-Identifier: Apache-2.0 */
#include "master/answer.h"

#include <errno.h>

#include "common/base/check.h"
#include "master/snapshot.h"

#define SMALL_MAX 500

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

bool master_is_small(const struct master *m)
{
    size_t count = HASH_COUNT(m->agents) * 2; /* an agent takes about as long as two tasks */
    const struct master_framework *tables[] = {m->frameworks, m->completed_frameworks};
    for (size_t i = 0; i < 2; i++)
        for (const struct master_framework *f = tables[i]; f != NULL && count <= SMALL_MAX; f = f->hh.next)
            count += 1 + HASH_COUNT(f->tasks) + HASH_COUNT(f->unreachable) + f->completed_count;
    return count <= SMALL_MAX;
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

static void write_task(const Mesos__V1__Task *task, struct json_writer *w)
{
    wire_to_json(&task->base, w);
}

struct walk {
    const struct master_view *view;
    struct arena *arena;
    struct master_picture *picture;
    unsigned number; /* of the field, in protobuf */
    size_t size;
};

static bool sees(const struct walk *walk, const struct master_task *t)
{
    arena_reset(walk->arena);
    return master_sees_task(walk->view, t, walk->arena);
}

static void add_task(void *ctx, const struct master_task *t)
{
    struct walk *walk = ctx;
    if (sees(walk, t))
        master_picture_add_task(walk->picture, t);
}

static void write_tasks(const struct master_view *v, struct arena *arena, struct master_picture *p)
{
    struct walk walk = {.view = v, .arena = arena, .picture = p};
    json_begin_object(&p->w);
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        json_put_key(&p->w, sections[i].name);
        json_begin_array(&p->w);
        each_of_all(v, sections[i].which, add_task, &walk);
        json_end_array(&p->w);
    }
    json_end_object(&p->w);
}

static void write_state(const struct master_view *v, struct arena *arena, struct master_picture *p)
{
    json_begin_object(&p->w);
    json_put_key(&p->w, "get_tasks");
    write_tasks(v, arena, p);
    arena_reset(arena);
    json_put_key(&p->w, "get_executors");
    wire_to_json(&master_snapshot_executors(v, arena)->base, &p->w);
    json_put_key(&p->w, "get_frameworks");
    wire_to_json(&master_snapshot_frameworks(v, arena)->base, &p->w);
    json_put_key(&p->w, "get_agents");
    wire_to_json(&master_view_agents(v, arena)->base, &p->w);
    json_end_object(&p->w);
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

static size_t varint_size(uint64_t v)
{
    size_t n = 1;
    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

static void put_tag(struct buf *out, unsigned number, unsigned wire_type)
{
    put_varint(out, number << 3 | wire_type);
}

static void put_head(struct buf *out, unsigned number, size_t size)
{
    put_tag(out, number, 2);
    put_varint(out, size);
}

/* Of a field whose number is below 16. */
static size_t field_size(size_t size)
{
    return 1 + varint_size(size) + size;
}

static void measure_task(void *ctx, const struct master_task *t)
{
    struct walk *walk = ctx;
    if (sees(walk, t))
        walk->size += master_picture_packed_size(walk->number, t);
}

static void pack_task(void *ctx, const struct master_task *t)
{
    struct walk *walk = ctx;
    if (sees(walk, t))
        master_picture_pack_task(walk->picture, walk->number, t);
}

static size_t walk_sections(const struct master_view *v, struct arena *arena, struct master_picture *p,
                            void (*fn)(void *ctx, const struct master_task *t))
{
    struct walk walk = {.view = v, .arena = arena, .picture = p};
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        walk.number = sections[i].number;
        each_of_all(v, sections[i].which, fn, &walk);
    }
    return walk.size;
}

/* The parts of GetState behind its tasks, built before the length of the whole is written. */
struct rest {
    size_t tasks_size;
    const ProtobufCMessage *parts[3];
    size_t sizes[3];
};

static size_t measure_state(const struct master_view *v, struct arena *scratch, struct arena *arena, struct rest *r)
{
    r->tasks_size = walk_sections(v, scratch, NULL, measure_task);
    r->parts[0] = &master_snapshot_executors(v, arena)->base;
    r->parts[1] = &master_snapshot_frameworks(v, arena)->base;
    r->parts[2] = &master_view_agents(v, arena)->base;
    size_t size = field_size(r->tasks_size);
    for (size_t i = 0; i < 3; i++) {
        r->sizes[i] = protobuf_c_message_get_packed_size(r->parts[i]);
        size += field_size(r->sizes[i]);
    }
    return size;
}

static void pack_state(const struct master_view *v, struct arena *scratch, const struct rest *r, struct master_picture *p)
{
    put_head(&p->frame, 1, r->tasks_size);
    (void)walk_sections(v, scratch, p, pack_task); /* as measured */
    for (size_t i = 0; i < 3; i++) {
        put_head(&p->frame, (unsigned)i + 2, r->sizes[i]);
        (void)wire_encode(WIRE_PROTOBUF, r->parts[i], &p->frame); /* a full buffer is seen at the end */
    }
}

/* -- answers ---------------------------------------------------------------------------------------------------- */

int master_answer_tasks(const struct master_view *v, enum wire_format format, struct arena *arena, struct master_picture *p)
{
    master_picture_init(p, write_task);
    if (format == WIRE_JSON) {
        json_begin_object(&p->w);
        json_kv_string(&p->w, "type", "GET_TASKS");
        json_put_key(&p->w, "get_tasks");
        write_tasks(v, arena, p);
        json_end_object(&p->w);
    } else {
        size_t size = walk_sections(v, arena, p, measure_task);
        put_tag(&p->frame, 1, 0);
        put_varint(&p->frame, MESOS__V1__MASTER__RESPONSE__TYPE__GET_TASKS);
        put_head(&p->frame, 13, size);
        (void)walk_sections(v, arena, p, pack_task); /* as measured */
    }
    return master_picture_finish(p);
}

int master_answer_state(const struct master_view *v, enum wire_format format, struct arena *arena, struct master_picture *p)
{
    master_picture_init(p, write_task);
    if (format == WIRE_JSON) {
        json_begin_object(&p->w);
        json_kv_string(&p->w, "type", "GET_STATE");
        json_put_key(&p->w, "get_state");
        write_state(v, arena, p);
        json_end_object(&p->w);
    } else {
        struct rest rest;
        size_t size = measure_state(v, p->scratch, arena, &rest);
        put_tag(&p->frame, 1, 0);
        put_varint(&p->frame, MESOS__V1__MASTER__RESPONSE__TYPE__GET_STATE);
        put_head(&p->frame, 9, size);
        pack_state(v, p->scratch, &rest, p);
    }
    return master_picture_finish(p);
}

int master_answer_subscribed(const struct master_view *v, enum wire_format format, struct arena *arena, struct buf *out)
{
    struct master_picture p;
    double seconds = MASTER_HEARTBEAT_MS / 1000.0;
    master_picture_init(&p, write_task);
    if (format == WIRE_JSON) {
        json_begin_object(&p.w);
        json_kv_string(&p.w, "type", "SUBSCRIBED");
        json_put_key(&p.w, "subscribed");
        json_begin_object(&p.w);
        json_put_key(&p.w, "get_state");
        write_state(v, arena, &p);
        json_kv_double(&p.w, "heartbeat_interval_seconds", seconds);
        json_end_object(&p.w);
        json_end_object(&p.w);
    } else {
        struct rest rest;
        size_t size = measure_state(v, p.scratch, arena, &rest);
        put_tag(&p.frame, 1, 0);
        put_varint(&p.frame, MESOS__V1__MASTER__EVENT__TYPE__SUBSCRIBED);
        put_head(&p.frame, 2, field_size(size) + 1 + sizeof(seconds));
        put_head(&p.frame, 1, size);
        pack_state(v, p.scratch, &rest, &p);
        put_tag(&p.frame, 2, 1);
        (void)buf_append(&p.frame, &seconds, sizeof(seconds)); /* little-endian, as everything we run on */
    }
    int r = master_picture_finish(&p);
    for (size_t i = 0; i < p.count && r == 0; i++)
        r = master_picture_render(&p, i, out);
    master_picture_deinit(&p);
    return r;
}
