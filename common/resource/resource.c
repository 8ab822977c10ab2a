/* SPDX-License-Identifier: Apache-2.0
 * resource.c - the set and its algebra. Wire and text forms are elsewhere. */
#include "common/resource/resource.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/resource/set.h"

/* -- entries -------------------------------------------------------------------------------------------------- */

/* Position of the item, or where it belongs. */
static size_t items_position(const struct resource_items *s, const char *item, bool *is_there)
{
    size_t low = 0, high = s->count;
    *is_there = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(s->item[middle], item);
        if (order == 0) {
            *is_there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void resource_items_add(struct resource_items *s, const char *item)
{
    bool is_there;
    size_t at = items_position(s, item, &is_there);
    if (is_there)
        return;
    s->item = xrealloc(s->item, (s->count + 1) * sizeof(*s->item));
    memmove(s->item + at + 1, s->item + at, (s->count - at) * sizeof(*s->item));
    s->item[at] = xstrdup(item);
    s->count++;
}

static void items_subtract(struct resource_items *from, const struct resource_items *what)
{
    size_t kept = 0;
    bool is_there;
    for (size_t i = 0; i < from->count; i++) {
        (void)items_position(what, from->item[i], &is_there);
        if (is_there)
            free(from->item[i]);
        else
            from->item[kept++] = from->item[i];
    }
    from->count = kept;
}

static bool items_contains(const struct resource_items *outer, const struct resource_items *inner)
{
    bool is_there = true;
    for (size_t i = 0; is_there && i < inner->count; i++)
        (void)items_position(outer, inner->item[i], &is_there);
    return is_there;
}

static void items_deinit(struct resource_items *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->item[i]);
    free(s->item);
}

static bool entry_is_empty(const struct resource_entry *e)
{
    switch (e->kind->type) {
    case MESOS__V1__VALUE__TYPE__SCALAR:
        return e->scalar.millis == 0 || e->scalar.pieces == 0;
    case MESOS__V1__VALUE__TYPE__RANGES:
        return e->ranges.count == 0;
    default:
        return e->items.count == 0;
    }
}

static void entry_deinit(struct resource_entry *e)
{
    if (e->kind->type == MESOS__V1__VALUE__TYPE__RANGES)
        ranges_deinit(&e->ranges);
    else if (e->kind->type == MESOS__V1__VALUE__TYPE__SET)
        items_deinit(&e->items);
    resource_kind_unref(e->kind);
}

static struct resource_entry entry_copy(const struct resource_entry *from)
{
    struct resource_entry e = *from;
    resource_kind_ref(e.kind);
    if (e.kind->type == MESOS__V1__VALUE__TYPE__RANGES) {
        ranges_copy(&e.ranges, &from->ranges);
    } else if (e.kind->type == MESOS__V1__VALUE__TYPE__SET) {
        e.items.item = xmalloc(from->items.count * sizeof(*e.items.item));
        for (size_t i = 0; i < from->items.count; i++)
            e.items.item[i] = xstrdup(from->items.item[i]);
    }
    return e;
}

/* Amounts of one identity go together; whole ones only with their equals. */
static bool entries_match(const struct resource_entry *a, const struct resource_entry *b)
{
    return resource_kind_is_same(a->kind, b->kind) &&
           (!resource_kind_is_whole(a->kind) || a->kind->type != MESOS__V1__VALUE__TYPE__SCALAR ||
            a->scalar.millis == b->scalar.millis);
}

static int64_t saturating_add(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static void entry_add(struct resource_entry *to, const struct resource_entry *what)
{
    switch (to->kind->type) {
    case MESOS__V1__VALUE__TYPE__SCALAR:
        if (resource_kind_is_whole(to->kind))
            to->scalar.pieces += what->scalar.pieces;
        else
            to->scalar.millis = saturating_add(to->scalar.millis, what->scalar.millis);
        break;
    case MESOS__V1__VALUE__TYPE__RANGES:
        ranges_add(&to->ranges, &what->ranges);
        break;
    default:
        for (size_t i = 0; i < what->items.count; i++)
            resource_items_add(&to->items, what->items.item[i]);
        break;
    }
}

static void entry_subtract(struct resource_entry *from, const struct resource_entry *what)
{
    switch (from->kind->type) {
    case MESOS__V1__VALUE__TYPE__SCALAR:
        if (resource_kind_is_whole(from->kind))
            from->scalar.pieces -= what->scalar.pieces < from->scalar.pieces ? what->scalar.pieces : from->scalar.pieces;
        else
            from->scalar.millis -= what->scalar.millis < from->scalar.millis ? what->scalar.millis : from->scalar.millis;
        break;
    case MESOS__V1__VALUE__TYPE__RANGES:
        ranges_subtract(&from->ranges, &what->ranges);
        break;
    default:
        items_subtract(&from->items, &what->items);
        break;
    }
}

static bool entry_contains(const struct resource_entry *outer, const struct resource_entry *inner)
{
    switch (outer->kind->type) {
    case MESOS__V1__VALUE__TYPE__SCALAR:
        return outer->scalar.pieces >= inner->scalar.pieces && outer->scalar.millis >= inner->scalar.millis;
    case MESOS__V1__VALUE__TYPE__RANGES:
        return ranges_contains(&outer->ranges, &inner->ranges);
    default:
        return items_contains(&outer->items, &inner->items);
    }
}

/* -- the set -------------------------------------------------------------------------------------------------- */

static struct resources *resources_sized(uint32_t capacity)
{
    struct resources *r = xmalloc(sizeof(*r) + capacity * sizeof(r->inlined[0]));
    r->count = 0;
    r->capacity = capacity;
    r->entries = r->inlined;
    return r;
}

struct resources *resources_new(void)
{
    return resources_sized(RESOURCES_INLINE);
}

void resources_clear(struct resources *r)
{
    for (uint32_t i = 0; i < r->count; i++)
        entry_deinit(&r->entries[i]);
    r->count = 0;
}

struct resources *resources_free(struct resources *r)
{
    if (r == NULL)
        return NULL;
    resources_clear(r);
    if (r->entries != r->inlined)
        free(r->entries);
    free(r);
    return NULL;
}

struct resources *resources_copy(const struct resources *r)
{
    struct resources *copy = resources_sized(r->count);
    for (uint32_t i = 0; i < r->count; i++)
        copy->entries[i] = entry_copy(&r->entries[i]);
    copy->count = r->count;
    return copy;
}

bool resources_is_empty(const struct resources *r)
{
    return r->count == 0;
}

static struct resource_entry *find_match(const struct resources *r, const struct resource_entry *e)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (entries_match(&r->entries[i], e))
            return &r->entries[i];
    return NULL;
}

static void append(struct resources *r, const struct resource_entry *e)
{
    if (r->count == r->capacity) {
        uint32_t capacity = r->capacity < RESOURCES_INLINE ? RESOURCES_INLINE : r->capacity * 2;
        struct resource_entry *entries = xmalloc(capacity * sizeof(*entries));
        memcpy(entries, r->entries, r->count * sizeof(*entries));
        if (r->entries != r->inlined)
            free(r->entries);
        r->entries = entries;
        r->capacity = capacity;
    }
    r->entries[r->count++] = *e;
}

/* The order of the others stays: what is written out must not depend on what was taken away before. */
static void drop(struct resources *r, struct resource_entry *e)
{
    entry_deinit(e);
    size_t at = (size_t)(e - r->entries);
    memmove(e, e + 1, (r->count - at - 1) * sizeof(*e));
    r->count--;
}

void resources_put(struct resources *r, struct resource_entry *e)
{
    struct resource_entry *there;
    if (entry_is_empty(e)) {
        entry_deinit(e);
    } else if ((there = find_match(r, e)) != NULL) {
        entry_add(there, e);
        entry_deinit(e);
    } else {
        append(r, e);
    }
}

void resources_add(struct resources *to, const struct resources *what)
{
    for (uint32_t i = 0, count = what->count; i < count; i++) {
        struct resource_entry *there = find_match(to, &what->entries[i]);
        if (there != NULL) {
            entry_add(there, &what->entries[i]);
        } else {
            struct resource_entry copy = entry_copy(&what->entries[i]);
            append(to, &copy);
        }
    }
}

void resources_subtract(struct resources *from, const struct resources *what)
{
    if (from == what) {
        resources_clear(from);
        return;
    }
    for (uint32_t i = 0; i < what->count; i++) {
        struct resource_entry *there = find_match(from, &what->entries[i]);
        if (there == NULL)
            continue;
        entry_subtract(there, &what->entries[i]);
        if (entry_is_empty(there))
            drop(from, there);
    }
}

bool resources_contains(const struct resources *outer, const struct resources *inner)
{
    for (uint32_t i = 0; i < inner->count; i++) {
        const struct resource_entry *there = find_match(outer, &inner->entries[i]);
        if (there == NULL || !entry_contains(there, &inner->entries[i]))
            return false;
    }
    return true;
}

bool resources_equal(const struct resources *a, const struct resources *b)
{
    return a->count == b->count && resources_contains(a, b) && resources_contains(b, a);
}

/* -- allocation and parts ------------------------------------------------------------------------------------- */

static bool roles_differ(const struct resource_kind *a, const struct resource_kind *b)
{
    if (a->allocation_role == NULL || b->allocation_role == NULL)
        return a->allocation_role != b->allocation_role;
    return strcmp(a->allocation_role, b->allocation_role) != 0;
}

static void set_allocation(struct resources *r, const char *role)
{
    bool is_mixed = false;
    for (uint32_t i = 1; i < r->count && !is_mixed; i++)
        is_mixed = roles_differ(r->entries[0].kind, r->entries[i].kind);
    for (uint32_t i = 0; i < r->count; i++) {
        struct resource_kind *k = r->entries[i].kind;
        r->entries[i].kind = resource_kind_allocated(k, role);
        resource_kind_unref(k);
    }
    if (!is_mixed)
        return;
    /* Entries that differed by their roles may be the same now. */
    uint32_t count = r->count;
    r->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct resource_entry e = r->entries[i]; /* put writes at or before i */
        resources_put(r, &e);
    }
}

void resources_allocate(struct resources *r, const char *role)
{
    set_allocation(r, role);
}

void resources_unallocate(struct resources *r)
{
    set_allocation(r, NULL);
}

static bool is_unreserved(const struct resource_kind *k, const char *role)
{
    (void)role;
    return resource_kind_stack(k) == 0;
}

static bool is_reserved_to(const struct resource_kind *k, const char *role)
{
    const char *reserved = resource_kind_reserved_role(k);
    return reserved != NULL && (role == NULL || strcmp(reserved, role) == 0);
}

static bool is_reserved_to_ancestor(const struct resource_kind *k, const char *role)
{
    const char *reserved = resource_kind_reserved_role(k);
    if (reserved == NULL)
        return false;
    size_t len = strlen(reserved);
    return strncmp(role, reserved, len) == 0 && role[len] == '/';
}

static bool is_allocatable_to(const struct resource_kind *k, const char *role)
{
    return is_unreserved(k, role) || is_reserved_to(k, role) || is_reserved_to_ancestor(k, role);
}

static bool is_not_revocable(const struct resource_kind *k, const char *role)
{
    (void)role;
    return !k->is_revocable;
}

static struct resources *part(const struct resources *r, bool (*fits)(const struct resource_kind *, const char *),
                              const char *role)
{
    struct resources *out = resources_new();
    for (uint32_t i = 0; i < r->count; i++)
        if (fits(r->entries[i].kind, role)) {
            struct resource_entry copy = entry_copy(&r->entries[i]);
            append(out, &copy);
        }
    return out;
}

struct resources *resources_allocatable_to(const struct resources *r, const char *role)
{
    return part(r, is_allocatable_to, role);
}

struct resources *resources_unreserved(const struct resources *r)
{
    return part(r, is_unreserved, NULL);
}

struct resources *resources_reserved_to(const struct resources *r, const char *role)
{
    return part(r, is_reserved_to, role);
}

struct resources *resources_without_revocable(const struct resources *r)
{
    return part(r, is_not_revocable, NULL);
}

struct resources *resources_without_reservations(const struct resources *r)
{
    struct resources *out = resources_new();
    for (uint32_t i = 0; i < r->count; i++) {
        struct resource_entry copy = entry_copy(&r->entries[i]);
        struct resource_kind *k = copy.kind;
        copy.kind = resource_kind_without_reservations(k);
        resource_kind_unref(k);
        resources_put(out, &copy);
    }
    return out;
}

/* Moves from `left` what `from` has of it into `out`, with from's kind. Whole resources are not divided, so they are
 * nothing that plain amounts can be taken from. */
static void take(const struct resource_entry *from, struct resource_entry *left, struct resources *out)
{
    const struct resource_kind *k = from->kind;
    if (resource_kind_is_whole(k) || k->is_revocable || k->type != left->kind->type ||
        strcmp(k->name, left->kind->name) != 0)
        return;
    struct resource_entry got = entry_copy(from), rest = entry_copy(from);
    if (k->type == MESOS__V1__VALUE__TYPE__SCALAR) {
        got.scalar.millis = left->scalar.millis < from->scalar.millis ? left->scalar.millis : from->scalar.millis;
    } else {
        entry_subtract(&rest, left); /* got = from - (from - left) */
        entry_subtract(&got, &rest);
    }
    entry_deinit(&rest);
    entry_subtract(left, &got);
    resources_put(out, &got);
}

struct resources *resources_find(const struct resources *pool, const struct resources *wanted, const char *role)
{
    static bool (*const order[])(const struct resource_kind *, const char *) = {is_reserved_to, is_reserved_to_ancestor,
                                                                                is_unreserved};
    struct resources *out = resources_new();
    for (uint32_t i = 0; i < wanted->count; i++) {
        struct resource_entry left = entry_copy(&wanted->entries[i]);
        for (size_t o = 0; o < sizeof(order) / sizeof(order[0]); o++)
            for (uint32_t j = 0; j < pool->count && !entry_is_empty(&left); j++)
                if (order[o](pool->entries[j].kind, role))
                    take(&pool->entries[j], &left, out);
        bool is_short = !entry_is_empty(&left);
        entry_deinit(&left);
        if (is_short)
            return resources_free(out);
    }
    return out;
}

/* -- amounts -------------------------------------------------------------------------------------------------- */

int64_t resources_scalar_millis(const struct resources *r, const char *name)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_entry *e = &r->entries[i];
        if (e->kind->type == MESOS__V1__VALUE__TYPE__SCALAR && strcmp(e->kind->name, name) == 0) {
            uint32_t times = e->kind->is_shared ? 1 : e->scalar.pieces; /* uses of a shared one are not more of it */
            int64_t amount;
            sum = saturating_add(sum, __builtin_mul_overflow(e->scalar.millis, times, &amount) ? INT64_MAX : amount);
        }
    }
    return sum;
}

/* The union over all entries of this name. The caller releases it. */
static struct ranges ranges_of(const struct resources *r, const char *name)
{
    struct ranges all;
    ranges_init(&all);
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_entry *e = &r->entries[i];
        if (e->kind->type == MESOS__V1__VALUE__TYPE__RANGES && strcmp(e->kind->name, name) == 0)
            ranges_add(&all, &e->ranges);
    }
    return all;
}

uint64_t resources_range_count(const struct resources *r, const char *name)
{
    struct ranges all = ranges_of(r, name);
    uint64_t count = ranges_values(&all);
    ranges_deinit(&all);
    return count;
}

size_t resources_ranges(const struct resources *r, const char *name, struct arena *a, struct resource_range **out)
{
    struct ranges all = ranges_of(r, name);
    size_t count = all.count;
    *out = arena_memdup(a, ranges_items(&all), count * sizeof(**out));
    ranges_deinit(&all);
    return count;
}

void resources_add_scalar(struct resources *r, const char *name, int64_t millis)
{
    CHECK(millis >= 0);
    struct resource_entry e = resource_entry_of(resource_kind_plain(name, MESOS__V1__VALUE__TYPE__SCALAR));
    e.scalar = (struct resource_scalar){millis, 1};
    resources_put(r, &e);
}

void resources_add_range(struct resources *r, const char *name, uint64_t begin, uint64_t end)
{
    struct resource_entry e = resource_entry_of(resource_kind_plain(name, MESOS__V1__VALUE__TYPE__RANGES));
    ranges_add_one(&e.ranges, begin, end);
    resources_put(r, &e);
}
