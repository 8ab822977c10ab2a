/* SPDX-License-Identifier: Apache-2.0
 * pairs.h - names with texts (labels, environments), sorted by name. */
#pragma once

#include "common/base/json.h"
#include "frameworks/kit/chunks.h"

struct pair {
    const char *key, *value;
};
struct pairs {
    struct pair *items;
    size_t count;
};

/* The members of a JSON object whose values are strings. NULL: none. */
struct pairs pairs_read(struct chunks *c, const json_t *object);
const char *pairs_get(const struct pairs *p, const char *key); /* NULL: absent */
void pairs_write(const struct pairs *p, struct json_writer *w);
