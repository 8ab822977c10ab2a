/* SPDX-License-Identifier: Apache-2.0
 * arena.h - region allocator: what is born in one request, message or step dies with it, all at once. */
#pragma once

#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

struct arena;

/* bytes_max bounds what is handed out between two resets; 0 means 64 MiB. */
struct arena *arena_new(size_t bytes_max);
struct arena *arena_free(struct arena *a); /* accepts NULL, returns NULL */

/* Forgets everything handed out; keeps one block for reuse. */
void arena_reset(struct arena *a);

/* 16-byte aligned and zeroed. NULL when the bound would be passed; arena_must_* are for sizes that our own code
 * bounds and abort instead. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_must_alloc(struct arena *a, size_t size);
char *arena_strdup(struct arena *a, const char *s);
void *arena_memdup(struct arena *a, const void *data, size_t len);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define arena_new_array(a, type, n) ((type *)arena_must_alloc((a), sizeof(type) * (n)))
#define arena_new_one(a, type) arena_new_array(a, type, 1)

/* An allocator for protobuf-c unpacking into the arena; lives as long as the arena. free is a no-op. */
ProtobufCAllocator *arena_pb(struct arena *a);
