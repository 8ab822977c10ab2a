/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/event.h"

#include <stdlib.h>

/* A step makes at most what one lost connection or one recovery makes: every task of one machine once. */
#define EFFECTS_BYTES_MAX ((size_t)256 << 20)

void agent_effects_init(struct agent_effects *e)
{
    *e = (struct agent_effects){.arena = arena_new(EFFECTS_BYTES_MAX)};
}

void agent_effects_reset(struct agent_effects *e)
{
    arena_reset(e->arena);
    e->count = 0;
}

void agent_effects_deinit(struct agent_effects *e)
{
    e->arena = arena_free(e->arena);
    free(e->list);
    *e = (struct agent_effects){0};
}
