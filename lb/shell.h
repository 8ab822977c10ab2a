/* SPDX-License-Identifier: Apache-2.0
 * shell.h - owns the parts of `muster lb`: turns the stream, timers and sockets into the core's events and carries out its
 * effects. Only main.c knows the real loop. */
#pragma once

#include "common/base/map.h"
#include "common/base/metrics.h"
#include "common/follow/stream.h"
#include "common/http/server.h"
#include "lb/lb.h"
#include "lb/options.h"
#include "lb/planes.h"
#include "lb/probe.h"
#include "lb/route.h"

#define LB_REPAIR_INTERVAL_MS 30000

struct lb_shell {
    struct loop *loop;
    const struct lb_options *options;
    struct lb *core;
    struct lb_choice choice;
    struct lb_plane *plane;
    struct lb_routes *routes; /* NULL: none are made */
    struct map routed;        /* VIPs given by address, by endpoint: those with a route */
    struct master_stream *stream;
    struct lb_prober *prober;
    struct arena *arena; /* of the record that is read */
    struct loop_timer *tick_timer, *repair_timer;
    struct loop_fd *plane_watch; /* NULL: the plane has none */
    struct loop_idle *before_sleep;
    bool had_picture; /* the plane has been told of a whole plan */
    bool route_warned;
    uint64_t generation; /* of what the plane was told */
    uint64_t start_id;   /* distinguishes this process's generations from others' */

    uint64_t changes, repairs, repair_failures, mended_rules, mended_routes;
    double apply_ms_max;
    struct metric *apply_timer;

    struct http_server *api;
    struct metrics *metrics;
    struct lb_statistics statistics; /* of the request that is answered */
};

/* Everything but the HTTP server. 0 or a negative errno with the reason; then lb_shell_stop is still to be called. */
int lb_shell_start(struct lb_shell *s, struct loop *loop, const struct lb_options *options, struct err *err);
/* After the loop; copes with a half-done start. */
void lb_shell_stop(struct lb_shell *s);

/* api.c */
int lb_api_start(struct lb_shell *s, struct err *err);
void lb_api_stop(struct lb_shell *s);
