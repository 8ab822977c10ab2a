/* SPDX-License-Identifier: Apache-2.0
 * store.h - port to durable key/value state. Writes are batched, atomic per batch and done in the order they were given;
 * the completion comes after the batch is on disk. Keys are ordered byte strings, at most 1 KiB; values at most 8 MiB.
 *
 * Implementations: common/real/store_leveldb.c (one machine), later ZooKeeper, and the simulator's. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct store_write {
    const void *key;
    size_t key_len;
    const void *value; /* NULL: delete the key */
    size_t value_len;
};

/* result: 0, or the negative errno of the failed write. -EMSGSIZE is for a value over the limit: nothing of that write was
 * done and it does not count as failed. After a failed write every later one fails as well: the owner must
 * stop acting on this state (crash, or give up leadership). */
typedef void (*store_done_fn)(void *ctx, uint64_t token, int result);
/* One call per key in key order, then done. Borrowed pointers. */
typedef void (*store_item_fn)(void *ctx, const void *key, size_t key_len, const void *value, size_t value_len);

struct store_range {
    const void *prefix; /* keys that start with it */
    size_t prefix_len;
    const void *after; /* and come behind this key; NULL: from the first */
    size_t after_len;
    size_t limit; /* keys at the most, 0: all */
};

struct store;
struct store_ops {
    /* Copies the writes. done is called on the loop's thread, never inside this call. */
    void (*write)(struct store *s, const struct store_write *writes, size_t count, uint64_t token, store_done_fn done,
                  void *ctx);
    /* Reads the keys of a range, which is copied. Completes after all writes given before it. */
    void (*scan)(struct store *s, const struct store_range *range, store_item_fn item, uint64_t token, store_done_fn done,
                 void *ctx);
    /* Waits for the writes given so far, then closes; no completion is called any more. */
    void (*close)(struct store *s);
};
struct store {
    const struct store_ops *ops;
};

static inline void store_write(struct store *s, const struct store_write *writes, size_t count, uint64_t token,
                               store_done_fn done, void *ctx)
{
    s->ops->write(s, writes, count, token, done, ctx);
}
static inline void store_scan_range(struct store *s, const struct store_range *range, store_item_fn item, uint64_t token,
                                    store_done_fn done, void *ctx)
{
    s->ops->scan(s, range, item, token, done, ctx);
}
/* Every key that starts with prefix. */
static inline void store_scan(struct store *s, const void *prefix, size_t prefix_len, store_item_fn item, uint64_t token,
                              store_done_fn done, void *ctx)
{
    struct store_range range = {.prefix = prefix, .prefix_len = prefix_len};
    store_scan_range(s, &range, item, token, done, ctx);
}
static inline void store_close(struct store *s)
{
    if (s)
        s->ops->close(s);
}
