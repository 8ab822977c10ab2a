/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"

struct batch {
    struct list link; /* of the store's pending ones */
    struct sim_store *store;
    struct store_write *writes;
    size_t count;
    uint64_t token;
    bool fails;
    bool may_be_there; /* fails, but only after it got to the disk */
};

struct sim_store {
    struct sim_node *node;
    sim_store_done_fn done;
    struct sim_item *items; /* sorted by key */
    size_t count, capacity;
    struct list pending;
    int64_t last_ms; /* completion of the newest write */
    bool fail_next, has_failed;
};

struct sim_store *sim_store_new(struct sim_node *n, sim_store_done_fn done)
{
    struct sim_store *s = xcalloc(1, sizeof(*s));
    s->node = n;
    s->done = done;
    list_init(&s->pending);
    return s;
}

static void free_item(struct sim_item *item)
{
    free((void *)item->key);
    free((void *)item->value);
}

static void free_batch(struct batch *b)
{
    list_remove(&b->link);
    for (size_t i = 0; i < b->count; i++) {
        free((void *)b->writes[i].key);
        free((void *)b->writes[i].value);
    }
    free(b->writes);
    free(b);
}

struct sim_store *sim_store_free(struct sim_store *s)
{
    if (s == NULL)
        return NULL;
    CHECK(list_is_empty(&s->pending)); /* crashed before */
    for (size_t i = 0; i < s->count; i++)
        free_item(&s->items[i]);
    free(s->items);
    free(s);
    return NULL;
}

static int compare(const void *a, size_t a_len, const void *b, size_t b_len)
{
    size_t len = a_len < b_len ? a_len : b_len;
    int order = len > 0 ? memcmp(a, b, len) : 0;
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static void apply_one(struct sim_store *s, const struct store_write *w)
{
    size_t at = 0;
    int order = 1;
    while (at < s->count && (order = compare(s->items[at].key, s->items[at].key_len, w->key, w->key_len)) < 0)
        at++;
    bool is_there = at < s->count && order == 0;
    if (is_there) {
        free_item(&s->items[at]);
    } else if (w->value != NULL) {
        if (s->count == s->capacity) {
            s->capacity = s->capacity ? s->capacity * 2 : 16;
            s->items = xrealloc(s->items, s->capacity * sizeof(*s->items));
        }
        memmove(s->items + at + 1, s->items + at, (s->count - at) * sizeof(*s->items));
        s->count++;
    }
    if (w->value != NULL) {
        s->items[at] =
            (struct sim_item){xmemdup(w->key, w->key_len), w->key_len, xmemdup(w->value, w->value_len + 1), w->value_len};
    } else if (is_there) {
        memmove(s->items + at, s->items + at + 1, (s->count - at - 1) * sizeof(*s->items));
        s->count--;
    }
}

static void apply(struct batch *b)
{
    for (size_t i = 0; i < b->count; i++)
        apply_one(b->store, &b->writes[i]);
}

static void on_flushed(void *ctx)
{
    struct batch *b = ctx;
    struct sim_store *s = b->store;
    uint64_t token = b->token;
    int result = b->fails ? -EIO : 0;
    if (!b->fails || b->may_be_there)
        apply(b);
    free_batch(b);
    if (result != 0)
        world_log(s->node->world, s->node->name, "a write fails");
    s->done(s->node, token, result);
}

/* The node of this write crashed: sim_store_crash has freed the batch. */
static void on_forgotten(void *ctx)
{
    (void)ctx;
}

void sim_store_put(struct sim_store *s, const struct store_write *writes, size_t count, uint64_t token)
{
    struct world *w = s->node->world;
    struct batch *b = xcalloc(1, sizeof(*b));
    b->store = s;
    b->count = count;
    b->token = token;
    b->writes = xcalloc(count + 1, sizeof(*b->writes));
    for (size_t i = 0; i < count; i++) {
        b->writes[i] = writes[i];
        b->writes[i].key = xmemdup(writes[i].key, writes[i].key_len);
        if (writes[i].value != NULL) { /* a value of no bytes is not a deletion */
            b->writes[i].value = xmalloc(writes[i].value_len + 1);
            memcpy((void *)b->writes[i].value, writes[i].value, writes[i].value_len);
            ((char *)b->writes[i].value)[writes[i].value_len] = '\0';
        }
    }
    bool is_first_to_fail = !s->has_failed && (s->fail_next || world_chance(w, w->faults.store_fail_ppm));
    s->has_failed = s->has_failed || is_first_to_fail;
    s->fail_next = false;
    b->fails = s->has_failed;
    b->may_be_there = is_first_to_fail && rng_below(&w->rng, 2) == 0;
    int64_t at = w->now_ms + world_draw(w, 0, w->faults.store_ms_max);
    if (at < s->last_ms)
        at = s->last_ms;
    s->last_ms = at;
    list_push_back(&s->pending, &b->link);
    world_after(w, at - w->now_ms, s->node, on_flushed, on_forgotten, b);
}

size_t sim_store_items(struct sim_store *s, const struct sim_item **items)
{
    *items = s->items;
    return s->count;
}

void sim_store_crash(struct sim_store *s)
{
    uint64_t pending = 0;
    list_for_each(it, &s->pending) pending++;
    uint64_t kept = pending > 0 ? rng_below(&s->node->world->rng, pending + 1) : 0;
    list_for_each(it, &s->pending)
    {
        struct batch *b = container_of(it, struct batch, link);
        if (kept > 0 && !b->fails) {
            apply(b);
            kept--;
        } else {
            kept = 0;
        }
        free_batch(b);
    }
    s->fail_next = s->has_failed = false;
    s->last_ms = 0;
}

void sim_store_fail_next(struct sim_store *s)
{
    s->fail_next = true;
}

void sim_store_stall(struct sim_store *s, int64_t until_ms)
{
    if (s->last_ms < until_ms)
        s->last_ms = until_ms;
}
