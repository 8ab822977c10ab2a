/* SPDX-License-Identifier: Apache-2.0
 * share_drf.h - whose turn is it? A tree of shares (roles, and below each role its frameworks) ordered by dominant
 * resource fairness (facts: mesos 7.2). Pure: knows no agents and no offers, decides nothing but an order.
 *
 * Order of siblings, first difference decides:
 *   1. a node with somebody active below it comes before one without
 *   2. lower share: max over scalar resources of allocated / cluster total, divided by the node's weight
 *   3. fewer allocations so far
 *   4. name, bytewise */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/resource/resource.h"

#define SHARE_DEPTH_MAX 20 /* levels of the tree, the root included */

struct share_node {
    struct share_node *parent;
    struct share_node **children; /* in order, unless displaced or unsorted says otherwise */
    size_t child_count, child_capacity;
    const char *name; /* owned by whoever embeds the node */
    double weight;
    double share;
    uint64_t allocations;
    struct quantities allocated;  /* of the whole subtree */
    size_t active;                /* active leaves in the subtree */
    struct share_node *displaced; /* the only child that may be out of place */
    bool unsorted;                /* children in any order */
    bool is_leaf;                 /* a taker; other nodes only group */
};

void share_init(struct share_node *node, const char *name, double weight, bool is_leaf);
void share_deinit(struct share_node *node);
void share_attach(struct share_node *parent, struct share_node *node); /* node has no children and nothing allocated */
void share_detach(struct share_node *node);                            /* the same */

/* The share as rule 2 has it; names with a total of zero or less do not count. */
double share_value(const struct quantities *allocated, const struct quantities *total, double weight);
int share_compare(const struct share_node *a, const struct share_node *b);

/* Books amounts on a leaf and everything above it. */
void share_charge(struct share_node *leaf, const struct quantities *what, const struct quantities *total);
void share_release(struct share_node *leaf, const struct quantities *what, const struct quantities *total);
/* One more allocation was made to the leaf (rule 3). */
void share_count(struct share_node *leaf);
void share_set_active(struct share_node *leaf, bool active);
/* The cluster's total or a weight changed: computes every share below root anew. */
void share_recompute(struct share_node *root, const struct quantities *total);

/* Calls fn for each active leaf in order until it returns true. fn may charge leaves; their new order counts from the next
 * walk on. Returns whether fn ended it. */
bool share_walk(struct share_node *root, bool (*fn)(void *ctx, struct share_node *leaf), void *ctx);
/* Which of two leaves of one tree would the walk visit first? Negative: a. */
int share_order(const struct share_node *a, const struct share_node *b);
