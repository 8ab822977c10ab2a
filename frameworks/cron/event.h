/* SPDX-License-Identifier: Apache-2.0
 * event.h - what only cron has in its events: API requests as data. The rest is frameworks/kit/event.h. */
#pragma once

#include <jansson.h>

#include "frameworks/kit/event.h"

/* Which fields count depends on the type; the others are zero. */
enum cron_request_type {
    /* Metronome (facts: net-cron D.1) */
    CRON_LIST_JOBS,       /* embed, limit, after */
    CRON_CREATE_JOB,      /* body, with_schedules, dry_run */
    CRON_GET_JOB,         /* job_id, embed */
    CRON_PUT_JOB,         /* job_id, body, with_schedules, dry_run */
    CRON_DELETE_JOB,      /* job_id, stop_runs */
    CRON_LIST_SCHEDULES,  /* job_id */
    CRON_CREATE_SCHEDULE, /* job_id, body */
    CRON_GET_SCHEDULE,    /* job_id, schedule_id */
    CRON_PUT_SCHEDULE,    /* job_id, schedule_id, body */
    CRON_DELETE_SCHEDULE, /* job_id, schedule_id */
    CRON_CREATE_RUN,      /* job_id, body (may be NULL): arguments, environment */
    CRON_LIST_RUNS,       /* job_id */
    CRON_GET_RUN,         /* job_id, run_id */
    CRON_STOP_RUN,        /* job_id, run_id */
    CRON_GET_QUEUE,
    /* ours */
    CRON_GET_HISTORY,   /* job_id, run_id (NULL: all), limit, after */
    CRON_LIST_ALL_RUNS, /* limit, after */
    CRON_FIND_RUN,      /* run_id, of whichever job */
    CRON_GET_NEXT,      /* job_id, limit */
    CRON_GET_GRAPH,     /* job_id */
    /* Chronos (facts: net-cron E.1): `chronos` */
    CRON_CHRONOS,
};

enum cron_embed {
    CRON_EMBED_ACTIVE_RUNS = 1 << 0,
    CRON_EMBED_SCHEDULES = 1 << 1,
    CRON_EMBED_HISTORY = 1 << 2,
    CRON_EMBED_HISTORY_SUMMARY = 1 << 3,
};

struct chronos_request; /* chronos.h */

struct cron_request {
    request_id id; /* comes back in the reply */
    enum cron_request_type type;
    const char *job_id, *schedule_id, *run_id;
    const json_t *body;
    unsigned embed;
    bool with_schedules; /* v0: the body's schedules count */
    bool stop_runs, dry_run;
    int64_t limit;     /* 0: the default */
    const char *after; /* where the page before ended, NULL: from the first */
    const struct chronos_request *chronos;
};
