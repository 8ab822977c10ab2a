/* SPDX-License-Identifier: Apache-2.0
 * check_offers.c - invariant 2: an offer has one owner and ends once, and only offers that are out launch tasks, once. */
#include <stdlib.h>

#include "common/base/check.h"
#include "sim/offer_book.h"

static void *new (struct world *w)
{
    struct offer_book *b = xcalloc(1, sizeof(*b));
    offer_book_init(b, w, true);
    return b;
}

static void free_state(void *state)
{
    offer_book_deinit(state);
    free(state);
}

static void seen(void *state, const struct sim_seen *s)
{
    offer_book_seen(state, s);
}

const struct sim_check check_offers = {.name = "offers", .new = new, .free = free_state, .seen = seen};
