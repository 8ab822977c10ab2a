/* SPDX-License-Identifier: Apache-2.0
 * follow.h - when and to whom to subscribe: a step function over the fate of the event stream (facts: mesos 3.3, net-cron
 * B.4). The masters are asked in turn; a redirect is followed at once; a stream that is silent for three heartbeats is
 * given up. Between failures a back-off with jitter, starting anew whenever a snapshot came. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FOLLOW_ADDRESS_SIZE 280 /* host:port */
#define FOLLOW_MASTERS_MAX 16
#define FOLLOW_BACKOFF_MIN_MS 100
#define FOLLOW_BACKOFF_MAX_MS 10000
#define FOLLOW_ANSWER_MS 10000 /* from connecting to the first record */
#define FOLLOW_REDIRECTS_MAX 4 /* in a row */

struct follow;

/* masters: host:port each, copied. */
struct follow *follow_new(const char *const *masters, size_t count, uint64_t seed);
struct follow *follow_free(struct follow *f);

enum follow_event_type {
    FOLLOW_TICK,   /* the deadline came; the first one starts */
    FOLLOW_ANSWER, /* status and Location of an answer that is no stream */
    FOLLOW_OPENED, /* the stream has begun */
    FOLLOW_RECORD, /* something was received on it */
    FOLLOW_CLOSED, /* the connection failed or ended */
    FOLLOW_BROKEN, /* what it said could not be read */
};

struct follow_event {
    enum follow_event_type type;
    int64_t now_ms;
    uint64_t connection; /* events of another one than the present are ignored */
    int status;
    const char *location; /* may be NULL */
    bool is_snapshot;
    double heartbeat_seconds;
};

/* At most one of each, to be done in this order. */
struct follow_effects {
    bool close;
    bool connect;
    uint64_t connection;
    const char *address; /* valid until the next step */
};

void follow_step(struct follow *f, const struct follow_event *in, struct follow_effects *out);
int64_t follow_next_deadline(const struct follow *f);
/* A complete picture was received on the present connection. */
bool follow_is_current(const struct follow *f);
/* host:port of the present connection. */
const char *follow_address(const struct follow *f);
