/* SPDX-License-Identifier: Apache-2.0
 * chronos.h - requests of Chronos's API (facts: net-cron E) as data, for the shell that reads them off the wire and the
 * core that answers them. Chronos 3 has them below /v1/scheduler, Chronos 2 below /scheduler with some of its own. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

enum chronos_request_type {
    CHRONOS_PUT_JOB,     /* body, is_dependent */
    CHRONOS_LIST_JOBS,   /* */
    CHRONOS_SUMMARY,     /* */
    CHRONOS_SEARCH,      /* search_*, limit, offset */
    CHRONOS_GET_JOB,     /* name */
    CHRONOS_RUN_JOB,     /* name, arguments */
    CHRONOS_DELETE_JOB,  /* name */
    CHRONOS_JOB_STAT,    /* name */
    CHRONOS_MARK,        /* name */
    CHRONOS_PROGRESS,    /* name, task_id, body */
    CHRONOS_STATS,       /* quantile */
    CHRONOS_GRAPH_DOT,   /* */
    CHRONOS_GRAPH_CSV,   /* */
    CHRONOS_KILL_JOB,    /* name */
    CHRONOS_KILL_ALL,    /* version 2 */
    CHRONOS_TASK_RESULT, /* version 2: task_id, body */
};

#define CHRONOS_SEARCH_LIMIT 10

struct chronos_request {
    enum chronos_request_type type;
    bool is_version_2; /* epsilon and async count, and are shown */
    bool is_dependent;
    const char *name, *task_id;
    const char *arguments;                                 /* NULL: none */
    const char *quantile;                                  /* as in the path: "median", "95thPercentile" */
    const char *search_name, *search_command, *search_any; /* NULL or "": anything */
    int64_t limit, offset;
    const json_t *body;
};
