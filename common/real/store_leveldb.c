/* SPDX-License-Identifier: Apache-2.0
 * store_leveldb.c - one thread that owns the database, a queue of requests to it and a queue of completions back. All
 * writes that wait when the thread is free become one synced batch, so that a slow disk makes batches larger, not queues
 * longer. Completions come back through an eventfd that the loop watches: unlike posts they can be withdrawn by close. */
#include "common/real/store_leveldb.h"

#include <errno.h>
#include <leveldb/c.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/check.h"

#define KEY_BYTES_MAX (1u << 10)
#define VALUE_BYTES_MAX (8u << 20)
#define WRITE_BUFFER_SIZE (1u << 20) /* LevelDB's table in memory; there may be two */
#define CACHE_SIZE (256u << 10)      /* everything is read once, at start-up */
#define OPEN_FILES_MAX 64
#define BATCH_BYTES_MAX (8u << 20)            /* one batch takes what waits up to here (and always one request) */
#define PIECE_BYTES (1u << 20)                /* scans come back in pieces of this size */
#define PIECES_MAX 2                          /* not yet taken by the loop */
#define WAITING_BYTES_MAX ((size_t)512 << 20) /* a disk that is this far behind has failed */
#define DELETED UINT32_MAX

enum kind { KIND_WRITE, KIND_SCAN, KIND_ITEMS };

/* A request on its way to the thread, then the same object back as its completion. */
struct request {
    struct request *next;
    enum kind kind;
    uint64_t token;
    store_done_fn done;
    store_item_fn item;
    void *ctx;
    int result;
    uint8_t *data; /* KIND_SCAN: prefix, then the key to begin behind; else records: struct record, key, value */
    size_t len, capacity;
    size_t prefix_len, limit; /* KIND_SCAN */
};

struct record {
    uint32_t key_len, value_len; /* value_len DELETED: delete */
};

struct queue {
    struct request *first, **end;
};

struct store_leveldb {
    struct store base;
    struct loop *loop;
    struct loop_fd *watch;
    int event_fd;
    pthread_t thread;
    bool is_draining, is_closed; /* of the loop's thread: close inside a completion */

    /* the thread's own */
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_writeoptions_t *write_options;
    leveldb_readoptions_t *read_options;

    pthread_mutex_t lock; /* everything below */
    pthread_cond_t has_work, has_room;
    struct queue requests, completions;
    size_t waiting_bytes;
    int pieces; /* KIND_ITEMS in completions */
    int failed; /* the error of the first failed write, sticky */
    bool is_closing;
};

static void queue_init(struct queue *q)
{
    q->first = NULL;
    q->end = &q->first;
}

static void queue_push(struct queue *q, struct request *r)
{
    r->next = NULL;
    *q->end = r;
    q->end = &r->next;
}

static struct request *queue_pop(struct queue *q)
{
    struct request *r = q->first;
    if (r == NULL)
        return NULL;
    q->first = r->next;
    if (q->first == NULL)
        q->end = &q->first;
    return r;
}

static void request_free(struct request *r)
{
    free(r->data);
    free(r);
}

/* --- records --- */

static void append(struct request *r, const void *data, size_t len)
{
    if (len == 0)
        return;
    if (r->capacity - r->len < len) {
        size_t capacity = r->capacity ? r->capacity * 2 : 128;
        while (capacity < r->len + len)
            capacity *= 2;
        r->data = xrealloc(r->data, capacity);
        r->capacity = capacity;
    }
    memcpy(r->data + r->len, data, len);
    r->len += len;
}

static void append_record(struct request *r, const void *key, size_t key_len, const void *value, size_t value_len)
{
    struct record head = {(uint32_t)key_len, value ? (uint32_t)value_len : DELETED};
    append(r, &head, sizeof(head));
    append(r, key, key_len);
    if (value != NULL)
        append(r, value, value_len);
}

/* Reads the record at *at and moves on; false at the end. *value NULL: deleted. */
static bool next_record(const struct request *r, size_t *at, const char **key, size_t *key_len, const char **value,
                        size_t *value_len)
{
    if (*at == r->len)
        return false;
    struct record head;
    memcpy(&head, r->data + *at, sizeof(head));
    *key = (const char *)r->data + *at + sizeof(head);
    *key_len = head.key_len;
    *value = head.value_len == DELETED ? NULL : *key + head.key_len;
    *value_len = head.value_len == DELETED ? 0 : head.value_len;
    *at += sizeof(head) + *key_len + *value_len;
    return true;
}

/* --- the thread --- */

/* LevelDB tells errors as text only. */
static int error_of(char *text)
{
    int rc = strstr(text, strerrordesc_np(ENOSPC)) ? -ENOSPC : -EIO;
    leveldb_free(text);
    return rc;
}

static void complete(struct store_leveldb *s, struct request *r)
{
    pthread_mutex_lock(&s->lock);
    bool was_empty = s->completions.first == NULL;
    queue_push(&s->completions, r);
    s->pieces += r->kind == KIND_ITEMS;
    pthread_mutex_unlock(&s->lock);
    if (was_empty)
        CHECK(eventfd_write(s->event_fd, 1) == 0); /* its counter cannot run over: it is one per drained queue */
}

static int commit(struct store_leveldb *s, const struct queue *batch)
{
    leveldb_writebatch_t *w = leveldb_writebatch_create();
    for (const struct request *r = batch->first; r != NULL; r = r->next) {
        const char *key, *value;
        size_t at = 0, key_len, value_len;
        while (next_record(r, &at, &key, &key_len, &value, &value_len)) {
            if (value != NULL)
                leveldb_writebatch_put(w, key, key_len, value, value_len);
            else
                leveldb_writebatch_delete(w, key, key_len);
        }
    }
    char *error = NULL;
    leveldb_write(s->db, s->write_options, w, &error);
    leveldb_writebatch_destroy(w);
    return error ? error_of(error) : 0;
}

static void do_writes(struct store_leveldb *s, struct queue *batch, size_t bytes, int failed)
{
    int result = failed ? failed : commit(s, batch);
    pthread_mutex_lock(&s->lock);
    s->waiting_bytes -= bytes;
    if (s->failed == 0)
        s->failed = result;
    pthread_mutex_unlock(&s->lock);
    for (struct request *r; (r = queue_pop(batch)) != NULL;) {
        r->result = r->result ? r->result : result;
        complete(s, r);
    }
}

/* Waits until the loop has taken earlier pieces. False: the store is being closed. */
static bool wait_for_room(struct store_leveldb *s)
{
    pthread_mutex_lock(&s->lock);
    while (s->pieces >= PIECES_MAX && !s->is_closing)
        pthread_cond_wait(&s->has_room, &s->lock);
    bool is_closing = s->is_closing;
    pthread_mutex_unlock(&s->lock);
    return !is_closing;
}

static struct request *new_piece(const struct request *scan)
{
    struct request *piece = xcalloc(1, sizeof(*piece));
    piece->kind = KIND_ITEMS;
    piece->item = scan->item;
    piece->ctx = scan->ctx;
    return piece;
}

/* Stands on the first key of the range. */
static void seek(leveldb_iterator_t *it, const struct request *r)
{
    const char *prefix = (const char *)r->data, *after = prefix + r->prefix_len;
    size_t after_len = r->len - r->prefix_len, key_len;
    leveldb_iter_seek(it, after_len > 0 ? after : prefix, after_len > 0 ? after_len : r->prefix_len);
    if (after_len == 0 || !leveldb_iter_valid(it))
        return;
    const char *key = leveldb_iter_key(it, &key_len);
    if (key_len == after_len && memcmp(key, after, key_len) == 0)
        leveldb_iter_next(it);
}

static int scan(struct store_leveldb *s, const struct request *r)
{
    leveldb_iterator_t *it = leveldb_create_iterator(s->db, s->read_options);
    struct request *piece = NULL;
    int rc = 0;
    size_t count = 0;
    for (seek(it, r); rc == 0 && leveldb_iter_valid(it) && (r->limit == 0 || count < r->limit); leveldb_iter_next(it)) {
        size_t key_len, value_len;
        const char *key = leveldb_iter_key(it, &key_len);
        if (key_len < r->prefix_len || (r->prefix_len > 0 && memcmp(key, r->data, r->prefix_len) != 0))
            break;
        const char *value = leveldb_iter_value(it, &value_len);
        if (piece == NULL)
            piece = new_piece(r);
        append_record(piece, key, key_len, value, value_len);
        count++;
        if (piece->len >= PIECE_BYTES) {
            complete(s, piece);
            piece = NULL;
            rc = wait_for_room(s) ? 0 : -ECANCELED;
        }
    }
    if (piece != NULL)
        complete(s, piece);
    char *error = NULL;
    leveldb_iter_get_error(it, &error);
    leveldb_iter_destroy(it);
    return error ? error_of(error) : rc;
}

/* Moves the writes at the front of the queue into batch. Under the lock. */
static size_t take_writes(struct store_leveldb *s, struct queue *batch)
{
    size_t bytes = 0;
    while (s->requests.first != NULL && s->requests.first->kind == KIND_WRITE &&
           (bytes == 0 || bytes + s->requests.first->len <= BATCH_BYTES_MAX)) {
        struct request *r = queue_pop(&s->requests);
        bytes += r->len;
        queue_push(batch, r);
    }
    return bytes;
}

static void *thread_main(void *arg)
{
    struct store_leveldb *s = arg;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (s->requests.first == NULL && !s->is_closing)
            pthread_cond_wait(&s->has_work, &s->lock);
        if (s->requests.first == NULL)
            break;
        int failed = s->failed;
        if (s->requests.first->kind == KIND_WRITE) {
            struct queue batch;
            queue_init(&batch);
            size_t bytes = take_writes(s, &batch);
            pthread_mutex_unlock(&s->lock);
            do_writes(s, &batch, bytes, failed);
        } else {
            struct request *r = queue_pop(&s->requests);
            pthread_mutex_unlock(&s->lock);
            r->result = failed ? failed : scan(s, r);
            complete(s, r);
        }
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    leveldb_close(s->db);
    return NULL;
}

/* --- the loop's side --- */

static void store_free(struct store_leveldb *s)
{
    for (struct request *r; (r = queue_pop(&s->completions)) != NULL;)
        request_free(r);
    if (s->write_options != NULL)
        leveldb_writeoptions_destroy(s->write_options);
    if (s->read_options != NULL)
        leveldb_readoptions_destroy(s->read_options);
    if (s->options != NULL)
        leveldb_options_destroy(s->options);
    if (s->cache != NULL)
        leveldb_cache_destroy(s->cache);
    if (s->event_fd >= 0)
        (void)close(s->event_fd); /* an eventfd has nothing to lose */
    pthread_cond_destroy(&s->has_work);
    pthread_cond_destroy(&s->has_room);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static void deliver(struct store_leveldb *s, struct request *r)
{
    if (r->kind != KIND_ITEMS) {
        r->done(r->ctx, r->token, r->result);
        return;
    }
    const char *key, *value;
    size_t at = 0, key_len, value_len;
    while (!s->is_closed && next_record(r, &at, &key, &key_len, &value, &value_len))
        r->item(r->ctx, key, key_len, value, value_len);
    pthread_mutex_lock(&s->lock);
    s->pieces--;
    pthread_cond_signal(&s->has_room);
    pthread_mutex_unlock(&s->lock);
}

static void on_completions(void *ctx, int fd, unsigned ready)
{
    (void)ready;
    struct store_leveldb *s = ctx;
    eventfd_t count;
    (void)eventfd_read(fd, &count); /* only resets it: the queue says what there is */
    pthread_mutex_lock(&s->lock);
    struct queue now = s->completions;
    if (now.first == NULL)
        now.end = &now.first;
    queue_init(&s->completions);
    pthread_mutex_unlock(&s->lock);
    s->is_draining = true;
    for (struct request *r; (r = queue_pop(&now)) != NULL;) {
        if (!s->is_closed)
            deliver(s, r);
        request_free(r);
    }
    s->is_draining = false;
    if (s->is_closed)
        store_free(s);
}

static void submit(struct store_leveldb *s, struct request *r)
{
    pthread_mutex_lock(&s->lock);
    if (r->kind == KIND_WRITE) {
        s->waiting_bytes += r->len;
        if (s->waiting_bytes > WAITING_BYTES_MAX && s->failed == 0)
            s->failed = -ENOBUFS;
    }
    queue_push(&s->requests, r);
    pthread_cond_signal(&s->has_work);
    pthread_mutex_unlock(&s->lock);
}

static void leveldb_store_write(struct store *base, const struct store_write *writes, size_t count, uint64_t token,
                                store_done_fn done, void *ctx)
{
    struct request *r = xcalloc(1, sizeof(*r));
    *r = (struct request){.kind = KIND_WRITE, .token = token, .done = done, .ctx = ctx};
    for (size_t i = 0; i < count; i++) {
        CHECK(writes[i].key_len > 0 && writes[i].key_len <= KEY_BYTES_MAX);
        if (writes[i].value != NULL && writes[i].value_len > VALUE_BYTES_MAX)
            r->result = -EMSGSIZE;
    }
    for (size_t i = 0; i < count && r->result == 0; i++)
        append_record(r, writes[i].key, writes[i].key_len, writes[i].value, writes[i].value_len);
    submit((struct store_leveldb *)base, r);
}

static void leveldb_store_scan(struct store *base, const struct store_range *range, store_item_fn item, uint64_t token,
                               store_done_fn done, void *ctx)
{
    struct request *r = xcalloc(1, sizeof(*r));
    *r = (struct request){.kind = KIND_SCAN, .token = token, .done = done, .item = item, .ctx = ctx};
    r->prefix_len = range->prefix_len;
    r->limit = range->limit;
    append(r, range->prefix, range->prefix_len);
    append(r, range->after, range->after_len);
    submit((struct store_leveldb *)base, r);
}

static void leveldb_store_close(struct store *base)
{
    struct store_leveldb *s = (struct store_leveldb *)base;
    pthread_mutex_lock(&s->lock);
    s->is_closing = true;
    pthread_cond_signal(&s->has_work);
    pthread_cond_signal(&s->has_room);
    pthread_mutex_unlock(&s->lock);
    CHECK(pthread_join(s->thread, NULL) == 0);
    s->watch = loop_fd_remove(s->watch);
    s->is_closed = true;
    if (!s->is_draining)
        store_free(s);
}

static const struct store_ops ops = {
    .write = leveldb_store_write,
    .scan = leveldb_store_scan,
    .close = leveldb_store_close,
};

static int open_database(struct store_leveldb *s, const char *dir, struct err *err)
{
    s->options = leveldb_options_create();
    s->cache = leveldb_cache_create_lru(CACHE_SIZE);
    leveldb_options_set_create_if_missing(s->options, 1);
    leveldb_options_set_paranoid_checks(s->options, 1);
    leveldb_options_set_write_buffer_size(s->options, WRITE_BUFFER_SIZE);
    leveldb_options_set_max_open_files(s->options, OPEN_FILES_MAX);
    leveldb_options_set_cache(s->options, s->cache);
    s->write_options = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(s->write_options, 1);
    s->read_options = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(s->read_options, 1);
    leveldb_readoptions_set_fill_cache(s->read_options, 0);
    char *error = NULL;
    s->db = leveldb_open(s->options, dir, &error);
    if (error == NULL)
        return 0;
    int code = strstr(error, "lock ") ? -EBUSY : strstr(error, "Corruption") || strstr(error, "Invalid") ? -EINVAL : -EIO;
    const char *hint = code == -EBUSY ? " (another process uses it)" : "";
    (void)err_set(err, code, "store in directory %s: %s%s", dir, error, hint);
    leveldb_free(error);
    return code;
}

int store_leveldb_open(struct loop *loop, const char *dir, struct store **out, struct err *err)
{
    struct store_leveldb *s = xcalloc(1, sizeof(*s));
    s->base.ops = &ops;
    s->loop = loop;
    queue_init(&s->requests);
    queue_init(&s->completions);
    CHECK(pthread_mutex_init(&s->lock, NULL) == 0);
    CHECK(pthread_cond_init(&s->has_work, NULL) == 0 && pthread_cond_init(&s->has_room, NULL) == 0);
    s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    /* Signals are the loop's: neither our thread nor LevelDB's own may take them. */
    sigset_t all, before;
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    int rc = s->event_fd < 0 ? err_sys(err, -errno, "store in directory %s: eventfd", dir) : open_database(s, dir, err);
    if (rc == 0) {
        rc = -pthread_create(&s->thread, NULL, thread_main, s);
        if (rc != 0) {
            leveldb_close(s->db);
            (void)err_sys(err, rc, "store in directory %s: start its thread", dir);
        }
    }
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (rc != 0) {
        store_free(s);
        return rc;
    }
    (void)pthread_setname_np(s->thread, "store"); /* for people who look at threads */
    s->watch = loop_fd_add(loop, s->event_fd, LOOP_READ, on_completions, s);
    *out = &s->base;
    return 0;
}
