/* SPDX-License-Identifier: Apache-2.0
 * planes.h - which data planes this program has, which of them this machine allows, and removing what a killed one left. */
#pragma once

#include "lb/options.h"
#include "lb/plane.h"

#define LB_PLANES_MAX 3

struct lb_choice {
    struct lb_plane *plane;
    struct {
        const char *name;
        struct err why;
    } left_out[LB_PLANES_MAX]; /* better ones, and why not */
    size_t left_out_count;
};

/* Starts the plane of --plane. A negative errno with the reason when it, or each with auto, cannot be. */
int lb_planes_start(const struct lb_options *o, uint64_t seed, struct lb_choice *out, struct err *err);

/* Removes what an lb of this instance left, of every plane and of the routes. A plane that this process may not look at
 * is told in notes, one line each. 0 or a negative errno. */
int lb_planes_clean(const struct lb_options *o, struct buf *notes, struct err *err);
