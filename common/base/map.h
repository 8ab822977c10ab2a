/* SPDX-License-Identifier: Apache-2.0
 * map.h - hash map from byte-string keys to pointers. Iteration is in insertion order, so that a step function that
 * walks it decides the same way in every run. Keys are copied; values belong to the caller. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct map_entry;

struct map {
    struct map_entry *entries; /* uthash head */
};

void map_init(struct map *m);
void map_deinit(struct map *m); /* drops the entries, not the values */
size_t map_count(const struct map *m);

void *map_get(const struct map *m, const char *key);
void *map_get_n(const struct map *m, const void *key, size_t len);
/* Puts value under key and returns the value that was there, or NULL. value must not be NULL. A replaced entry keeps
 * its place in the order. */
void *map_put(struct map *m, const char *key, void *value);
void *map_put_n(struct map *m, const void *key, size_t len, void *value);
/* Takes the entry out and returns its value, NULL if there is none. */
void *map_remove(struct map *m, const char *key);
void *map_remove_n(struct map *m, const void *key, size_t len);

/* Puts the entries into another order, that of their values; equal ones keep theirs. */
void map_sort(struct map *m, int (*compare)(const void *left, const void *right));

/* Iteration: for (struct map_entry *e = map_first(m); e; e = map_next(e)). The current entry may be removed if the
 * next one was fetched before. Keys are terminated strings as well. */
struct map_entry *map_first(const struct map *m);
struct map_entry *map_find(const struct map *m, const char *key); /* to begin in the middle; NULL: there is none */
struct map_entry *map_next(const struct map_entry *e);
const char *map_key(const struct map_entry *e);
void *map_value(const struct map_entry *e);
