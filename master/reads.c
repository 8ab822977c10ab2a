/* SPDX-License-Identifier: Apache-2.0
 * reads.c - see reads.h. A job is one question and the picture that answers it; a reader is one client of a job.
 *
 *     reader: waiting --(its job has a picture)--> ready <--> draining --(last piece)--> gone
 *
 * Ready readers stand in a line; in each turn of the loop the front ones get a piece, as long as there is time. */
#include "master/reads.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/check.h"
#include "common/base/list.h"

#define WHOLE_BYTES_MAX ((size_t)1 << 31) /* of a small answer */
#define PIECE_BYTES_MAX ((size_t)256 << 20)
#define KEPT 16          /* rendered pieces of a job that are at hand */
#define IDLE_US 150      /* a turn that took less had nothing else to do */
#define LOW_BYTES 65536u /* pending: the next piece may follow at once */

struct kept {
    size_t index;
    bool is_there;
    struct buf bytes;
};

struct job {
    struct list node; /* in reads.jobs, oldest first */
    struct master_reads *reads;
    char *name, *media_type, *principal;
    struct master_read read;
    bool has_picture;
    int64_t taken_ms;
    struct master_picture picture;
    struct list readers;
    struct kept kept[KEPT];
};

struct reader {
    struct list node;  /* in its job */
    struct list ready; /* in reads.ready */
    struct job *job;
    struct http_exchange *exchange;
    bool has_begun;
    size_t next;
};

struct master_reads {
    struct loop *loop;
    struct loop_timer *turn, *limit;
    struct list jobs, ready;
    size_t picture_count, reader_count;
    int64_t grace_ms;
    int64_t credit_us, end_us; /* what may be spent; when the last slice ended */
};

static int64_t now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* -- life -------------------------------------------------------------------------------------------------------- */

static void make_ready(struct reader *reader)
{
    struct master_reads *r = reader->job->reads;
    list_remove(&reader->ready);
    list_push_back(&r->ready, &reader->ready);
    if (!loop_timer_is_active(r->turn))
        loop_timer_start(r->turn, 0);
}

/* There is room for a picture again: those who wait for one are looked at. */
static void wake_waiting(struct master_reads *r)
{
    list_for_each(it, &r->jobs)
    {
        struct job *job = container_of(it, struct job, node);
        if (!job->has_picture)
            list_for_each(at, &job->readers) make_ready(container_of(at, struct reader, node));
    }
}

static void free_job(struct job *job)
{
    struct master_reads *r = job->reads;
    list_remove(&job->node);
    if (job->has_picture) {
        master_picture_deinit(&job->picture);
        r->picture_count--;
        wake_waiting(r);
    }
    for (size_t i = 0; i < KEPT; i++)
        buf_deinit(&job->kept[i].bytes);
    job->read.release(job->read.ctx);
    free(job->name);
    free(job->media_type);
    free(job->principal);
    free(job);
}

/* The last reader takes its job along. */
static void forget(struct reader *reader)
{
    struct job *job = reader->job;
    list_remove(&reader->node);
    list_remove(&reader->ready);
    job->reads->reader_count--;
    free(reader);
    if (list_is_empty(&job->readers))
        free_job(job);
}

static void on_closed(void *ctx, struct http_exchange *x)
{
    (void)x;
    forget(ctx);
}

static void cut_off(struct job *job)
{
    size_t n = 0;
    list_for_each(it, &job->readers) n++;
    for (; n > 0; n--) { /* the job goes with the last one */
        struct reader *reader = container_of(job->readers.next, struct reader, node);
        struct http_exchange *x = reader->exchange;
        forget(reader);
        http_exchange_abort(x);
    }
}

static void on_limit(void *ctx)
{
    struct master_reads *r = ctx;
    struct job *oldest = NULL;
    bool is_wanted = false;
    list_for_each(it, &r->jobs)
    {
        struct job *job = container_of(it, struct job, node);
        is_wanted = is_wanted || !job->has_picture;
        if (job->has_picture && (oldest == NULL || job->taken_ms < oldest->taken_ms))
            oldest = job;
    }
    if (oldest == NULL)
        return;
    int64_t age = loop_now_ms(r->loop) - oldest->taken_ms;
    bool is_full = is_wanted && r->picture_count >= READS_PICTURES_MAX;
    if (age >= READS_AGE_MAX_MS || (is_full && age >= r->grace_ms))
        cut_off(oldest);
    loop_timer_start(r->limit, r->grace_ms / 10);
}

/* -- serving ----------------------------------------------------------------------------------------------------- */

static bool take_picture(struct job *job)
{
    struct master_reads *r = job->reads;
    if (r->picture_count >= READS_PICTURES_MAX)
        return false; /* woken when there is room */
    int rc = job->read.fill(job->read.ctx, &job->picture);
    job->has_picture = true;
    job->taken_ms = loop_now_ms(r->loop);
    r->picture_count++;
    if (!loop_timer_is_active(r->limit))
        loop_timer_start(r->limit, r->grace_ms / 10);
    if (rc < 0)
        job->picture.count = 0; /* its readers are cut off, for they were promised nothing yet */
    return true;
}

static const struct buf *piece_of(struct job *job, size_t index)
{
    struct kept *k = &job->kept[index % KEPT];
    if (!k->is_there || k->index != index) {
        buf_clear(&k->bytes);
        CHECK(master_picture_render(&job->picture, index, &k->bytes) == 0); /* a piece is far below the bound */
        k->is_there = true;
        k->index = index;
    }
    return &k->bytes;
}

static void on_drained(void *ctx, struct http_exchange *x)
{
    (void)x;
    make_ready(ctx);
}

static void finish(struct reader *reader)
{
    struct http_exchange *x = reader->exchange;
    http_exchange_on_closed(x, NULL, NULL);
    forget(reader);
    http_stream_end(x);
}

/* One piece to one reader. */
static void serve(struct reader *reader)
{
    struct job *job = reader->job;
    struct http_exchange *x = reader->exchange;
    if (!job->has_picture && !take_picture(job))
        return;
    if (job->picture.count == 0) {
        http_exchange_on_closed(x, NULL, NULL);
        forget(reader);
        http_reply_text(x, 500, "The answer is too large");
        return;
    }
    if (!reader->has_begun) {
        http_stream_begin(x, 200, job->media_type, READS_PENDING_BYTES_MAX);
        reader->has_begun = true;
    }
    const struct buf *piece = piece_of(job, reader->next);
    if (http_stream_write(x, buf_data(piece), buf_len(piece)) < 0)
        return; /* closed follows */
    if (++reader->next == job->picture.count)
        finish(reader);
    else if (http_stream_pending(x) <= LOW_BYTES)
        make_ready(reader);
    else
        http_stream_on_drained(x, on_drained, reader);
}

/* While launches wait, the share; a loop with nothing else to do gives a whole slice each turn. */
static void on_turn(void *ctx)
{
    struct master_reads *r = ctx;
    int64_t begin = now_us(), elapsed = begin - r->end_us, end = begin;
    r->credit_us += elapsed * READS_SHARE_PERCENT / (100 - READS_SHARE_PERCENT);
    if (r->credit_us > READS_SLICE_MAX_US)
        r->credit_us = READS_SLICE_MAX_US;
    if (elapsed < IDLE_US && r->credit_us < READS_SLICE_US)
        r->credit_us = READS_SLICE_US;
    while (!list_is_empty(&r->ready) && end - begin < r->credit_us) {
        serve(container_of(list_pop_front(&r->ready), struct reader, ready));
        end = now_us();
    }
    r->credit_us -= end - begin;
    r->end_us = end;
    if (!list_is_empty(&r->ready))
        loop_timer_start(r->turn, 0);
}

/* -- questions --------------------------------------------------------------------------------------------------- */

static void answer_at_once(struct http_exchange *x, const struct master_read *read)
{
    struct master_picture p;
    struct buf body;
    buf_init(&body, WHOLE_BYTES_MAX);
    int rc = read->fill(read->ctx, &p);
    for (size_t i = 0; i < p.count && rc == 0; i++)
        rc = master_picture_render(&p, i, &body);
    if (rc < 0)
        http_reply_text(x, 500, "The answer is too large");
    else
        http_reply(x, 200, read->media_type, buf_data(&body), buf_len(&body));
    master_picture_deinit(&p);
    buf_deinit(&body);
    read->release(read->ctx);
}

static bool is_same(const struct job *job, const struct master_read *read)
{
    if (strcmp(job->name, read->name) != 0 || strcmp(job->media_type, read->media_type) != 0)
        return false;
    if (job->principal == NULL || read->principal == NULL)
        return job->principal == read->principal;
    return strcmp(job->principal, read->principal) == 0;
}

static struct job *job_of(struct master_reads *r, const struct master_read *read)
{
    list_for_each(it, &r->jobs)
    {
        struct job *job = container_of(it, struct job, node);
        if (!job->has_picture && is_same(job, read)) {
            read->release(read->ctx);
            return job;
        }
    }
    struct job *job = xcalloc(1, sizeof(*job));
    job->reads = r;
    job->read = *read;
    job->name = xstrdup(read->name);
    job->media_type = xstrdup(read->media_type);
    job->principal = read->principal != NULL ? xstrdup(read->principal) : NULL;
    list_init(&job->readers);
    for (size_t i = 0; i < KEPT; i++)
        buf_init(&job->kept[i].bytes, PIECE_BYTES_MAX);
    list_push_back(&r->jobs, &job->node);
    return job;
}

void master_reads_answer(struct master_reads *r, struct http_exchange *x, const struct master_read *read)
{
    if (read->is_small) {
        answer_at_once(x, read);
        return;
    }
    if (r->reader_count >= READS_MAX) {
        read->release(read->ctx);
        http_reply_text(x, 503, "Too many large answers are being read");
        return;
    }
    struct reader *reader = xcalloc(1, sizeof(*reader));
    reader->job = job_of(r, read);
    reader->exchange = x;
    list_init(&reader->ready);
    list_push_back(&reader->job->readers, &reader->node);
    r->reader_count++;
    http_exchange_on_closed(x, on_closed, reader);
    make_ready(reader);
}

struct master_reads *master_reads_new(struct loop *loop, int64_t grace_ms)
{
    struct master_reads *r = xcalloc(1, sizeof(*r));
    r->loop = loop;
    r->grace_ms = grace_ms != 0 ? grace_ms : READS_GRACE_MS;
    list_init(&r->jobs);
    list_init(&r->ready);
    r->turn = loop_timer_add(loop, on_turn, r);
    r->limit = loop_timer_add(loop, on_limit, r);
    return r;
}

struct master_reads *master_reads_free(struct master_reads *r)
{
    if (r == NULL)
        return NULL;
    while (!list_is_empty(&r->jobs))
        cut_off(container_of(r->jobs.next, struct job, node));
    r->turn = loop_timer_remove(r->turn);
    r->limit = loop_timer_remove(r->limit);
    free(r);
    return NULL;
}
