/* SPDX-License-Identifier: Apache-2.0
 * job.h - the definition of a job in one form that both APIs share (facts: net-cron D.3, D.4, E.2). Immutable once it is
 * shared: counted, kept by its entry and by the runs that were made from it. What changes over time (the progress of the
 * schedule, counts, runs) is in core.h.
 *
 * Metronome's JSON, with our own keys added (job_json.h), can express every job; Chronos's JSON is another reading of the
 * same struct. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frameworks/cron/time/cron_expr.h"
#include "frameworks/cron/time/iso8601.h"
#include "frameworks/cron/time/zone.h"
#include "frameworks/kit/chunks.h"
#include "frameworks/kit/pairs.h"

#define JOB_ID_MAX 180                  /* bytes, so that ids of tasks fit what Mesos takes */
#define JOB_TEXT_BYTES_MAX (384u << 10) /* of a stored definition: it must fit a node of ZooKeeper */
#define JOB_ARRAY_MAX 10000000          /* indices of one array run */
#define JOB_PARALLEL_MAX 10000          /* tasks of one array run at a time */
#define JOB_PARALLEL_DEFAULT 100
#define JOB_PARENTS_MAX 256
#define JOB_CATCH_UP_MAX 1000
#define JOB_CATCH_UP_DEFAULT 10
#define JOB_NEVER INT64_MAX
#define JOB_MAX_LAUNCH_DELAY_S 3600 /* defaults */
#define JOB_RETRY_DELAY_MS 1000
#define JOB_STARTING_DEADLINE_MS 900000

enum job_operator { JOB_IS, JOB_LIKE, JOB_UNLIKE };
struct job_constraint {
    const char *attribute;
    enum job_operator op;
    const char *value; /* NULL: the constraint is ignored */
};

struct job_artifact {
    const char *uri, *output_file; /* output_file NULL: none */
    bool extract, executable, cache;
};

struct job_volume {
    const char *container_path, *host_path;
    bool is_read_only;
};

/* -- schedules -------------------------------------------------------------------------------------------------- */

enum schedule_kind { SCHEDULE_CRON, SCHEDULE_INTERVAL };
/* A moment is due while an earlier run is active: */
enum concurrency { CONCURRENCY_ALLOW, CONCURRENCY_FORBID, CONCURRENCY_REPLACE };
/* Moments that passed while nobody could decide them (the process was down, the clock stepped). The newest is no such
 * moment while its starting deadline has not passed: it is just late. */
enum missed_policy {
    MISSED_SKIP,     /* none of them runs */
    MISSED_RUN_ONCE, /* one run for all of them together, the newest included */
    MISSED_CATCH_UP, /* one run each, oldest first, at most the newest catch_up_max */
};

struct schedule {
    const char *id;
    enum schedule_kind kind;
    const char *text;     /* cron: normalised; interval: as it was given */
    const char *timezone; /* as given; cron: "UTC" if absent; interval: "" if absent */
    const struct zone *zone;
    union {
        struct cron_expr cron;
        struct iso8601_interval interval;
    };
    int64_t starting_deadline_ms; /* JOB_NEVER: none */
    enum concurrency concurrency;
    enum missed_policy missed;
    int64_t catch_up_max;
    bool is_enabled;
};

/* -- jobs ------------------------------------------------------------------------------------------------------- */

enum restart_policy { RESTART_NEVER, RESTART_ON_FAILURE };
enum array_policy { ARRAY_CONTINUE, ARRAY_STOP }; /* when an index has failed for good */
enum dependency_policy {
    DEPENDENCY_SUCCESS,    /* starts when its parents have succeeded */
    DEPENDENCY_COMPLETION, /* ... have ended, however */
};

/* What only Chronos's JSON has and what needs no carrying out. NULL in jobs made through the other API. */
struct job_chronos {
    const char *owner, *owner_name, *executor, *executor_flags, *task_info_data;
    const char *schedule_text; /* as it was posted */
    bool is_shell, is_high_priority, is_async, is_data_processing;
    bool gives_uris;         /* was written with `uris`, not with `fetch` */
    bool is_concurrent;      /* also of jobs with parents, which have no schedule to say so */
    bool is_fetched_command; /* the command is the address of a program: fetched and executed */
};

struct job {
    unsigned refs;
    struct chunks chunks; /* all memory below */
    const char *id;
    const char *description; /* NULL: none */
    const char *cmd, *user;  /* NULL: none */
    const char **args;
    size_t arg_count;
    double cpus, mem, disk; /* mem and disk in MB */
    int64_t gpus;
    struct pairs env, labels;
    struct job_constraint *constraints;
    size_t constraint_count;
    struct job_artifact *artifacts;
    size_t artifact_count;
    struct job_volume *volumes;
    size_t volume_count;
    const char *network; /* "host", NULL: nothing said */
    struct pairs network_labels;
    int64_t max_launch_delay_s;
    enum restart_policy restart;
    int64_t active_deadline_s; /* -1: none; no restart after so long since the run was created */
    int64_t retries;           /* restarts at the most, -1: any number */
    int64_t retry_delay_ms;    /* before a restart; doubles up to max_launch_delay_s unless is_fixed_delay */
    bool is_fixed_delay;
    int64_t max_run_s;   /* a task that runs longer is killed; -1: none */
    double kill_grace_s; /* -1: none */
    int64_t array_count; /* 0: no array */
    int64_t array_parallel;
    enum array_policy array_policy;
    struct schedule *schedule; /* NULL: none */
    const char **parents;      /* ids, in the order given */
    size_t parent_count;
    enum dependency_policy dependency_policy;
    bool is_soft_error; /* children may start although it failed */
    bool is_disabled;   /* no start by parents; schedules have their own switch */
    struct job_chronos *chronos;
    int64_t version_ms; /* when it was put, unique for one id; set before the job is shared */
};

struct job *job_new(void); /* one reference, all zero but the defaults of D.3 */
struct job *job_ref(struct job *j);
struct job *job_unref(struct job *j); /* accepts NULL, returns NULL */

struct schedule *schedule_copy(const struct schedule *s, struct chunks *chunks);

/* [\w.-]+ of Chronos, of which Metronome's pattern is a part; at most JOB_ID_MAX. */
bool job_id_is_valid(const char *id);
/* Metronome's: lower case, digits, single or several dashes and dots inside (facts D.3). */
bool job_id_is_metronome(const char *id);

/* -- schedule.c: pure -------------------------------------------------------------------------------------------- */

/* The first moment after after_ms, JOB_NEVER if none. Does not know how many runs of a finite interval are left. */
int64_t schedule_next(const struct schedule *s, int64_t after_ms);
/* The moments in (after_ms, until_ms]: their number, at most `most` are walked; *newest is the last of them all and
 * *is_exact says that all were walked. 0: none. */
uint64_t schedule_between(const struct schedule *s, int64_t after_ms, int64_t until_ms, uint64_t most, int64_t *newest,
                          bool *is_exact);
/* Do both mean the same moments? Then an update keeps the progress. */
bool schedule_has_same_moments(const struct schedule *a, const struct schedule *b);
