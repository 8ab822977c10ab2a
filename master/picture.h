/* SPDX-License-Identifier: Apache-2.0
 * picture.h - a large answer as it is at one moment, to be written out piece by piece while the state goes on changing.
 *
 * Taking a picture copies the packed bytes of every task, which is cheap; making JSON of them is not, and is left to
 * master_picture_render, which can be called for any piece, in any order, by any number of readers. What stands around the
 * tasks is written at once. Pieces are small, so that no answer is ever whole in memory as JSON. Internal to master/. */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/json.h"
#include "master/state.h"

/* What a task looks like in this answer. */
typedef void (*master_picture_task_fn)(const Mesos__V1__Task *task, struct json_writer *w);

struct master_picture_piece {
    uint8_t *data;
    uint32_t len;
    bool is_tasks; /* records: uint32 length, packed mesos.v1.Task; else bytes of the answer */
    bool is_first; /* no comma before its first task */
};

struct master_picture {
    struct buf frame;     /* bytes that are in no piece yet */
    struct json_writer w; /* writes to frame */
    struct buf records;   /* tasks that are in no piece yet */
    bool is_first;        /* of records */
    master_picture_task_fn write_task;
    struct arena *scratch;
    struct master_picture_piece *pieces;
    size_t count, capacity;
};

/* write_task: NULL for an answer in protobuf. */
void master_picture_init(struct master_picture *p, master_picture_task_fn write_task);
void master_picture_deinit(struct master_picture *p);

/* For JSON: one more item of the array that w has begun and in which nothing else stands. */
void master_picture_add_task(struct master_picture *p, const struct master_task *t);
/* For protobuf: the task as field `number`, and the length of that. */
void master_picture_pack_task(struct master_picture *p, unsigned number, const struct master_task *t);
size_t master_picture_packed_size(unsigned number, const struct master_task *t);
/* Everything was added. -ENOBUFS: a part was too large. */
int master_picture_finish(struct master_picture *p);

/* Appends piece i. -ENOBUFS when out is too small. */
int master_picture_render(const struct master_picture *p, size_t i, struct buf *out);
