/* SPDX-License-Identifier: Apache-2.0 */
#include "master/event.h"

#include <stdlib.h>

#include "common/base/check.h"

/* A step makes at most what one pass of offers or one lost agent makes; far above both. */
#define EFFECTS_BYTES_MAX ((size_t)1 << 30)

void master_effects_init(struct master_effects *out)
{
    *out = (struct master_effects){.arena = arena_new(EFFECTS_BYTES_MAX)};
}

void master_effects_deinit(struct master_effects *out)
{
    out->arena = arena_free(out->arena);
    free(out->items);
    *out = (struct master_effects){0};
}

void master_effects_reset(struct master_effects *out)
{
    arena_reset(out->arena);
    out->count = 0;
}

struct master_effect *master_effects_push(struct master_effects *out, enum master_effect_type type)
{
    if (out->count == out->capacity) {
        out->capacity = out->capacity ? out->capacity * 2 : 64;
        out->items = xrealloc(out->items, out->capacity * sizeof(*out->items));
    }
    struct master_effect *e = &out->items[out->count++];
    *e = (struct master_effect){.type = type};
    return e;
}
