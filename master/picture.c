/* SPDX-License-Identifier: Apache-2.0 */
#include "master/picture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec.h"

#define FRAME_BYTES_MAX ((size_t)1 << 30)
#define RECORDS_BYTES_MAX ((size_t)64 << 20)
#define PIECE_BYTES (8u << 10) /* of packed tasks; their JSON is about three times as long */

/* Field numbers of mesos.v1.Task that the packed bytes leave out. */
enum { FIELD_STATE = 6, FIELD_STATUSES = 8, FIELD_UPDATE_STATE = 9, FIELD_UPDATE_UUID = 10 };

/* -- pieces ------------------------------------------------------------------------------------------------------ */

static void push(struct master_picture *p, const uint8_t *data, size_t len, bool is_tasks, bool is_first)
{
    if (p->count == p->capacity) {
        p->capacity = p->capacity ? p->capacity * 2 : 16;
        p->pieces = xrealloc(p->pieces, p->capacity * sizeof(*p->pieces));
    }
    p->pieces[p->count++] = (struct master_picture_piece){
        .data = xmemdup(data, len), .len = (uint32_t)len, .is_tasks = is_tasks, .is_first = is_first};
}

static void flush_records(struct master_picture *p)
{
    if (buf_len(&p->records) == 0)
        return;
    push(p, buf_data(&p->records), buf_len(&p->records), true, p->is_first);
    buf_consume(&p->records, buf_len(&p->records));
    p->is_first = false;
}

/* In pieces that are not larger than those of tasks become. */
static void flush_frame(struct master_picture *p)
{
    while (buf_len(&p->frame) > 0) {
        size_t len = buf_len(&p->frame) < 3 * PIECE_BYTES ? buf_len(&p->frame) : 3 * PIECE_BYTES;
        push(p, buf_data(&p->frame), len, false, false);
        buf_consume(&p->frame, len);
    }
}

void master_picture_init(struct master_picture *p, master_picture_task_fn write_task)
{
    *p = (struct master_picture){.write_task = write_task, .scratch = arena_new(RECORDS_BYTES_MAX)};
    buf_init(&p->frame, FRAME_BYTES_MAX);
    buf_init(&p->records, RECORDS_BYTES_MAX);
    json_writer_init(&p->w, &p->frame);
}

void master_picture_deinit(struct master_picture *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->pieces[i].data);
    free(p->pieces);
    buf_deinit(&p->frame);
    buf_deinit(&p->records);
    arena_free(p->scratch);
    *p = (struct master_picture){0};
}

int master_picture_finish(struct master_picture *p)
{
    bool is_whole = !p->frame.overflowed && !p->records.overflowed;
    flush_records(p);
    flush_frame(p);
    return is_whole ? 0 : -ENOBUFS;
}

/* -- tasks ------------------------------------------------------------------------------------------------------- */

static size_t varint_size(uint64_t v)
{
    size_t n = 1;
    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

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

static size_t size_of(const struct master_task *t)
{
    size_t size = t->packed_len + 2; /* field numbers below 16 and states are one byte each */
    if (t->statuses_len == 0)
        return size;
    uint32_t len;
    for (uint32_t at = 0; at < t->statuses_len; at += (uint32_t)sizeof(len) + len) {
        memcpy(&len, t->statuses + at, sizeof(len));
        size += 1 + varint_size(len) + len;
    }
    return size + 2 + (t->has_uuid ? 2 + sizeof(t->uuid) : 0);
}

/* Fields may stand in any order; the state comes behind what does not change. */
static void put_task(struct buf *out, const struct master_task *t)
{
    uint32_t len;
    (void)buf_append(out, t->packed, t->packed_len); /* a full buffer is seen at the end */
    put_tag(out, FIELD_STATE, 0);
    put_varint(out, t->state);
    if (t->statuses_len == 0)
        return;
    for (uint32_t at = 0; at < t->statuses_len; at += (uint32_t)sizeof(len) + len) {
        memcpy(&len, t->statuses + at, sizeof(len));
        put_tag(out, FIELD_STATUSES, 2);
        put_varint(out, len);
        (void)buf_append(out, t->statuses + at + sizeof(len), len); /* as above */
    }
    put_tag(out, FIELD_UPDATE_STATE, 0);
    put_varint(out, t->update_state);
    if (t->has_uuid) {
        put_tag(out, FIELD_UPDATE_UUID, 2);
        put_varint(out, sizeof(t->uuid));
        (void)buf_append(out, t->uuid, sizeof(t->uuid)); /* as above */
    }
}

void master_picture_add_task(struct master_picture *p, const struct master_task *t)
{
    if (buf_len(&p->frame) > 0) {
        flush_records(p); /* of an array before */
        flush_frame(p);
        p->is_first = true;
    }
    uint32_t size = (uint32_t)size_of(t);
    (void)buf_append(&p->records, &size, sizeof(size)); /* a full buffer is seen at the end */
    put_task(&p->records, t);
    if (buf_len(&p->records) >= PIECE_BYTES)
        flush_records(p);
}

size_t master_picture_packed_size(unsigned number, const struct master_task *t)
{
    size_t size = size_of(t);
    return varint_size(number << 3) + varint_size(size) + size;
}

void master_picture_pack_task(struct master_picture *p, unsigned number, const struct master_task *t)
{
    put_tag(&p->frame, number, 2);
    put_varint(&p->frame, size_of(t));
    put_task(&p->frame, t);
    if (buf_len(&p->frame) >= 3 * PIECE_BYTES)
        flush_frame(p);
}

/* -- rendering --------------------------------------------------------------------------------------------------- */

int master_picture_render(const struct master_picture *p, size_t i, struct buf *out)
{
    const struct master_picture_piece *piece = &p->pieces[i];
    if (!piece->is_tasks)
        return buf_append(out, piece->data, piece->len);
    bool comma = !piece->is_first;
    uint32_t len;
    for (uint32_t at = 0; at < piece->len; at += (uint32_t)sizeof(len) + len) {
        struct err err;
        struct json_writer w;
        memcpy(&len, piece->data + at, sizeof(len));
        arena_reset(p->scratch);
        const Mesos__V1__Task *task =
            (const void *)wire_unpack(&mesos__v1__task__descriptor, piece->data + at + sizeof(len), len, p->scratch, &err);
        CHECK(task != NULL); /* our own bytes */
        if (comma)
            (void)buf_append_char(out, ','); /* a full buffer is seen at the end */
        json_writer_init(&w, out);
        p->write_task(task, &w);
        comma = true;
    }
    return out->overflowed ? -ENOBUFS : 0;
}
