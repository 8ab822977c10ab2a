/* SPDX-License-Identifier: Apache-2.0
 * problems.h - what is wrong with a definition, collected path by path for one 422 answer (facts: marathon 5). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "common/base/json.h"

#define PROBLEMS_MAX 100 /* further ones are dropped: an answer must not outgrow its question */
#define PROBLEM_PATH_MAX 256

struct problems {
    bool is_schema;  /* "Invalid JSON" (types, missing keys) instead of "Object is not valid" (rules) */
    json_t *details; /* [{"path": "/id", "errors": ["..."]}], NULL: none */
    size_t count;
};

void problems_init(struct problems *p);
void problems_deinit(struct problems *p);
static inline bool problems_any(const struct problems *p)
{
    return p->count > 0;
}
/* Adds a text under a path; texts of one path share an entry. */
void problems_add(struct problems *p, const char *path, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The first text under a path that starts with prefix, or NULL. For tests and one-line messages. */
const char *problems_find(const struct problems *p, const char *path);
/* {"message": ..., "details": [...]} */
void problems_write(const struct problems *p, struct json_writer *w);
