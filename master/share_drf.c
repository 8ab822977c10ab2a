/* SPDX-License-Identifier: Apache-2.0 */
#include "master/share_drf.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"

void share_init(struct share_node *node, const char *name, double weight, bool is_leaf)
{
    *node = (struct share_node){.name = name, .weight = weight, .is_leaf = is_leaf};
}

void share_deinit(struct share_node *node)
{
    CHECK(node->child_count == 0 && node->parent == NULL);
    free(node->children);
    node->children = NULL;
}

void share_attach(struct share_node *parent, struct share_node *node)
{
    CHECK(node->parent == NULL && node->active == 0);
    if (parent->child_count == parent->child_capacity) {
        parent->child_capacity = parent->child_capacity ? parent->child_capacity * 2 : 4;
        parent->children = xrealloc(parent->children, parent->child_capacity * sizeof(*parent->children));
    }
    parent->children[parent->child_count++] = node;
    parent->unsorted = true;
    node->parent = parent;
}

void share_detach(struct share_node *node)
{
    struct share_node *parent = node->parent;
    CHECK(parent != NULL && node->active == 0 && node->child_count == 0);
    size_t i = 0;
    while (parent->children[i] != node)
        i++;
    memmove(&parent->children[i], &parent->children[i + 1], (parent->child_count - i - 1) * sizeof(*parent->children));
    parent->child_count--;
    if (parent->displaced == node)
        parent->displaced = NULL;
    node->parent = NULL;
}

double share_value(const struct quantities *allocated, const struct quantities *total, double weight)
{
    double max = 0;
    for (size_t i = 0; i < allocated->count; i++) {
        if (allocated->item[i].millis <= 0)
            continue;
        int64_t all = quantities_get(total, allocated->item[i].name);
        if (all <= 0)
            continue;
        double share = (double)allocated->item[i].millis / (double)all;
        if (share > max)
            max = share;
    }
    return max / weight;
}

int share_compare(const struct share_node *a, const struct share_node *b)
{
    if ((a->active == 0) != (b->active == 0)) /* 1 */
        return a->active == 0 ? 1 : -1;
    if (a->share != b->share) /* 2 */
        return a->share < b->share ? -1 : 1;
    if (a->allocations != b->allocations) /* 3 */
        return a->allocations < b->allocations ? -1 : 1;
    return strcmp(a->name, b->name); /* 4 */
}

static void mark_displaced(struct share_node *node)
{
    struct share_node *parent = node->parent;
    if (parent == NULL || parent->unsorted || parent->displaced == node)
        return;
    if (parent->displaced == NULL)
        parent->displaced = node;
    else
        parent->unsorted = true;
}

void share_charge(struct share_node *leaf, const struct quantities *what, const struct quantities *total)
{
    for (struct share_node *n = leaf; n != NULL; n = n->parent) {
        quantities_add(&n->allocated, what);
        n->share = share_value(&n->allocated, total, n->weight);
        mark_displaced(n);
    }
}

void share_release(struct share_node *leaf, const struct quantities *what, const struct quantities *total)
{
    for (struct share_node *n = leaf; n != NULL; n = n->parent) {
        quantities_subtract(&n->allocated, what);
        n->share = share_value(&n->allocated, total, n->weight);
        mark_displaced(n);
    }
}

void share_count(struct share_node *leaf)
{
    for (struct share_node *n = leaf; n != NULL; n = n->parent) {
        n->allocations++;
        mark_displaced(n);
    }
}

void share_set_active(struct share_node *leaf, bool active)
{
    CHECK(leaf->is_leaf);
    if ((leaf->active != 0) == active)
        return;
    for (struct share_node *n = leaf; n != NULL; n = n->parent) {
        n->active = active ? n->active + 1 : n->active - 1;
        mark_displaced(n);
    }
}

/* Recursion is bounded: the tree is at most SHARE_DEPTH_MAX deep. */
void share_recompute(struct share_node *root, const struct quantities *total)
{
    root->share = share_value(&root->allocated, total, root->weight);
    root->unsorted = true;
    for (size_t i = 0; i < root->child_count; i++)
        share_recompute(root->children[i], total);
}

static int compare_pointers(const void *a, const void *b)
{
    return share_compare(*(struct share_node *const *)a, *(struct share_node *const *)b);
}

static void put_in_place(struct share_node *parent, struct share_node *node)
{
    struct share_node **c = parent->children;
    size_t i = 0;
    while (c[i] != node)
        i++;
    for (; i > 0 && share_compare(node, c[i - 1]) < 0; i--)
        c[i] = c[i - 1];
    for (; i + 1 < parent->child_count && share_compare(node, c[i + 1]) > 0; i++)
        c[i] = c[i + 1];
    c[i] = node;
}

static void sort_children(struct share_node *node)
{
    if (node->unsorted)
        qsort(node->children, node->child_count, sizeof(*node->children), compare_pointers);
    else if (node->displaced != NULL)
        put_in_place(node, node->displaced);
    node->unsorted = false;
    node->displaced = NULL;
}

bool share_walk(struct share_node *root, bool (*fn)(void *ctx, struct share_node *leaf), void *ctx)
{
    if (root->active == 0)
        return false;
    if (root->is_leaf)
        return fn(ctx, root);
    sort_children(root);
    for (size_t i = 0; i < root->child_count && root->children[i]->active > 0; i++)
        if (share_walk(root->children[i], fn, ctx))
            return true;
    return false;
}

static size_t depth_of(const struct share_node *n)
{
    size_t depth = 0;
    for (; n->parent != NULL; n = n->parent)
        depth++;
    return depth;
}

int share_order(const struct share_node *a, const struct share_node *b)
{
    size_t depth_a = depth_of(a), depth_b = depth_of(b);
    for (; depth_a > depth_b; depth_a--)
        a = a->parent;
    for (; depth_b > depth_a; depth_b--)
        b = b->parent;
    if (a == b)
        return 0;
    for (; a->parent != b->parent; a = a->parent, b = b->parent)
        ;
    return share_compare(a, b);
}
