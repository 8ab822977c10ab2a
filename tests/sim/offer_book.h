/* SPDX-License-Identifier: Apache-2.0
 * offer_book.h - which offers a master has out, by what it was given and what it sent. Used by the checks of offers and of
 * resources. */
#pragma once

#include "common/base/map.h"
#include "common/resource/resource.h"
#include "sim/check.h"

struct offer {
    char *id, *framework_id, *agent_id;
    struct resources *resources; /* without allocation role */
    uint64_t step;               /* in which it was made */
};

struct offer_book {
    struct world *world;
    bool is_judge;    /* reports what breaks the rules */
    bool has_changed; /* in the newest step */
    uint64_t step;
    struct map offers;   /* id to struct offer, those that are out */
    struct map old;      /* ids of this incarnation that are not out any more */
    struct map streams;  /* stream number as text to framework id */
    struct map launches; /* framework/task to "accepted", "refused" or "sent" */
};

void offer_book_init(struct offer_book *b, struct world *w, bool is_judge);
void offer_book_deinit(struct offer_book *b);
void offer_book_seen(struct offer_book *b, const struct sim_seen *seen);
