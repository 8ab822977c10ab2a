/* SPDX-License-Identifier: Apache-2.0
 * core.h - the parts of the core and what they share. For the files of this folder only.
 *
 *   entry    a job with everything that belongs to it: definition, progress of its schedule, live runs, counts
 *   run      one execution of a job: by its schedule, by hand, or after its parents. One task at a time (restarts are new
 *            tasks of the same run), or, for an array, one task per index
 *   graph    which jobs below one root run have ended, and how: children start by it, so that graphs of two runs never mix
 *
 * A run lives here until it has ended; then it is one record of the history, which is in the store only. */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/heap.h"
#include "common/base/json.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/rng.h"
#include "common/base/text.h"
#include "frameworks/cron/cron.h"
#include "frameworks/cron/durations.h"
#include "frameworks/cron/job.h"
#include "frameworks/kit/outbox.h"
#include "frameworks/kit/problems.h"

/* -- timers --------------------------------------------------------------------------------------------------- */

enum timer_kind { TIMER_DUE, TIMER_RUN, TIMER_TASK, TIMER_RECONCILE };
struct timer {
    struct heap_node node; /* key: monotonic ms, but of TIMER_DUE wall ms in a heap of its own */
    enum timer_kind kind;
};

/* -- tasks ------------------------------------------------------------------------------------------------------ */

enum task_state {
    TASK_CREATED, /* launch decided, nothing heard */
    TASK_STAGING,
    TASK_STARTING,
    TASK_RUNNING,
    TASK_UNREACHABLE, /* its agent is lost; may come back */
};
#define TASK_STATE_COUNT (TASK_UNREACHABLE + 1)

/* How a task ended. */
enum task_end {
    TASK_FINISHED,
    TASK_FAILED,
    TASK_KILLED,
    TASK_LOST,  /* with its agent, or nobody knows: may have run */
    TASK_NEVER, /* never got to its agent: it certainly did not run */
};

struct run;
struct task {
    struct list link; /* run->tasks */
    struct run *run;
    char *id;
    int64_t index;    /* of an array run, else 0 */
    unsigned attempt; /* from 1 */
    enum task_state state;
    char *agent_id, *hostname, *container_id; /* container_id NULL: not told yet */
    char *agent_address;                      /* "host:port" of its agent, NULL: unknown */
    int64_t launched_ms, started_ms;          /* wall; started 0: not yet */
    int64_t since_ms;                         /* monotonic, of the state */
    int64_t unreachable_ms;                   /* wall, 0: reachable */
    bool is_heard;                            /* of, since the launch */
    bool is_killed;                           /* kill asked for, repeated until it has ended */
    const char *kill_reason;                  /* static, or of the run */
    bool is_timed_out;                        /* killed for being too slow: a failure of its own */
    int64_t kill_next_ms;
    int64_t elements_processed; /* told through Chronos's API */
    struct timer timer;
};

struct ended_task { /* an earlier attempt of a run */
    char *id, *agent_id, *hostname, *container_id, *agent_address, *message;
    int64_t index;
    int64_t started_ms, ended_ms; /* wall; started 0: never */
    int64_t elements_processed;
    enum task_end how;
};
#define ENDED_TASKS_MAX 8 /* kept per run, the newest */

/* -- runs ------------------------------------------------------------------------------------------------------- */

#define RUN_ID_SIZE 24 /* yyyyMMddHHmmss and 5 characters, terminated */

enum run_trigger { TRIGGER_MANUAL, TRIGGER_SCHEDULE, TRIGGER_CATCH_UP, TRIGGER_PARENTS };

enum run_state {
    RUN_INITIAL,  /* waits: for runs that it replaces, or for the delay before a restart */
    RUN_STARTING, /* in the queue for an offer, or launched and not running */
    RUN_ACTIVE,   /* a task runs */
    RUN_SUCCESS,  /* these three only in the history */
    RUN_FAILED,
    RUN_SKIPPED,
};

struct array_retry {       /* an index whose task failed and that gets another one */
    struct heap_node node; /* in waiting */
    struct list link;      /* in ready */
    int64_t index;
    unsigned attempt; /* of the task that failed */
};
struct array { /* progress of an array run; as large as what is going on, not as its count */
    int64_t count, parallel;
    int64_t next; /* every index below was given to a task once */
    int64_t succeeded, failed;
    struct heap waiting; /* retries before their time */
    struct list ready;
    size_t ready_count;
    uint8_t **failed_bits; /* by chunk of ARRAY_CHUNK indices, NULL: none failed in it */
};
#define ARRAY_CHUNK 4096

struct graph;
struct entry;
struct run {
    struct list link;       /* entry->runs, oldest first */
    struct list queue_link; /* waiting for offers */
    struct list dirty_link;
    struct entry *entry;
    struct job *spec; /* the definition it was made from */
    char id[RUN_ID_SIZE];
    enum run_trigger trigger;
    enum run_state state;
    int64_t ordinal;                            /* of the runs of this job, from 1 */
    int64_t due_ms;                             /* the moment it was decided for, 0: none */
    int64_t interval_start_ms, interval_end_ms; /* what it stands for: (start, end]; 0: no schedule */
    int64_t created_ms, started_ms;             /* wall; started 0: no task ran yet */
    struct chunks chunks;                       /* of the three below */
    const char **args;                          /* given with this run, put behind those of the job */
    size_t arg_count;
    struct pairs env;    /* likewise; wins over the job's */
    struct graph *graph; /* NULL: has no parents and no children yet */
    struct array *array; /* NULL: plain */
    struct list tasks;
    size_t task_count;
    struct ended_task ended[ENDED_TASKS_MAX]; /* oldest first */
    size_t ended_count;
    unsigned attempts;   /* tasks that counted as one, of a plain run */
    unsigned relaunches; /* tasks that never got to their agents */
    bool is_stored;
    bool is_stopping;     /* ends as soon as its last task has ended */
    bool waits_for_older; /* REPLACE: until the runs before it have ended */
    char *stop_reason;
    int64_t not_before_ms; /* monotonic; delay before a restart, 0: none */
    struct timer timer;
};

/* -- graphs ----------------------------------------------------------------------------------------------------- */

enum node_state { NODE_STARTED = 1, NODE_SUCCEEDED, NODE_FAILED, NODE_SKIPPED };
struct graph {
    char *id;         /* "<root job>/<root run>" */
    struct map nodes; /* job id -> enum node_state as a pointer-sized number */
    size_t live_runs;
    bool is_stored;
    struct list dirty_link;
};

/* -- entries ---------------------------------------------------------------------------------------------------- */

struct spec_version { /* a definition that is no longer the present one, but runs were made from it */
    struct list link;
    struct job *job;
    size_t runs;
};

struct entry {
    struct list dirty_link;
    struct job *job; /* present definition; of a removed one the last */
    bool is_deleted; /* goes when its runs have ended */
    bool is_dirty;   /* progress or counts are to be written */
    struct list runs;
    size_t run_count;
    struct list old_specs;
    /* children: the jobs that name this one as a parent, in the order they came to do so */
    struct entry **children;
    size_t child_count, child_capacity;
    /* progress of the schedule */
    struct timer due;    /* key: the next moment that is not decided */
    int64_t decided_ms;  /* every moment up to here is decided (wall); the first ones of an interval may be in the past */
    int64_t last_due_ms; /* the newest moment decided, 0: none yet */
    int64_t remaining;   /* runs left of a finite interval, -1: any number */
    struct map consumed; /* parent id -> completion of the run of it that started this job last, as a boxed int64_t */
    int64_t created;     /* number of this job among all, in the order of creation; 0: stored before there was one */
    /* counts and results, kept for good */
    int64_t next_ordinal;
    int64_t history_next, history_count; /* records in the store: number of the next one, and how many are kept */
    int64_t successes, failures, failures_in_row;
    int64_t last_success_ms, last_failure_ms; /* wall, 0: never; the completion */
    int64_t last_started_ms;
    struct durations *durations; /* of the last successful runs, since the process started; NULL: none */
};

/* -- the core --------------------------------------------------------------------------------------------------- */

struct cron {
    struct cron_config config; /* strings owned */
    struct rng rng;
    int64_t now_ms, wall_ms; /* of the present step */
    bool is_loaded, is_connected, is_settled, is_failed;
    char *framework_id;
    struct map entries; /* job id -> struct entry, in the order of creation */
    struct map runs;    /* run id -> struct run, of all jobs */
    struct map tasks;   /* task id -> struct task */
    struct map graphs;  /* graph id -> struct graph */
    struct heap timers; /* monotonic */
    struct heap due;    /* calendar */
    struct timer reconcile_timer;
    struct list queue_high, queue; /* runs that have something to launch, oldest first */
    struct list dirty_entries, dirty_runs, dirty_graphs;
    struct map reads; /* token -> struct read */
    uint64_t last_read;
    int64_t last_version_ms;
    int64_t last_created; /* the number of the newest job */
    bool demand_grew, is_wanting;
    int kills_in_step;
    struct outbox *outbox;
    struct cron_counts totals; /* the *_total members */
    size_t run_count, scheduled_count, queued_count;
};

/* -- cron.c, effects -------------------------------------------------------------------------------------------- */

void cron_trace(struct cron *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cron_fatal(struct cron *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cron_call(struct cron *c, const Mesos__V1__Scheduler__Call *call); /* in the later arena */

/* -- entries.c: jobs -------------------------------------------------------------------------------------------- */

struct entry *cron_entry_find(const struct cron *c, const char *id); /* NULL also for removed ones */
struct entry *cron_entry_get(const struct cron *c, const char *id);  /* also removed ones whose runs go on */
/* Creates the job or replaces its definition; takes the reference. Live runs keep theirs. The progress of the schedule is
 * kept if it means the same moments and was enabled before, else everything up to now counts as decided; of an interval,
 * everything before its start. Parents must exist and no cycle may come of it: see cron_entry_check_parents. */
struct entry *cron_entry_put(struct cron *c, struct job *job);
/* The job is gone at once; live runs of it must have been told to stop. Children must have been seen to. */
void cron_entry_remove(struct cron *c, struct entry *e);
enum { PARENTS_OK = 0, PARENTS_E_UNKNOWN, PARENTS_E_CYCLE };
/* unknown: the first one that does not exist. */
bool cron_entry_has_ancestor(const struct cron *c, const struct job *job, const char *wanted);
int cron_entry_check_parents(const struct cron *c, const struct job *job, const char **unknown);
void cron_entry_free(struct cron *c, struct entry *e);
void cron_entry_changed(struct cron *c, struct entry *e); /* write progress and counts at the end of the step */
/* For load.c: an entry with this definition, not linked to its parents yet; and the linking. */
struct entry *cron_entry_restore(struct cron *c, struct job *job);
void cron_entry_link(struct cron *c, struct entry *e);
/* A run of this definition is gone. */
void cron_entry_release_spec(struct cron *c, struct entry *e, const struct job *spec);
int64_t cron_next_version(struct cron *c);

/* -- due.c: moments --------------------------------------------------------------------------------------------- */

/* The next moment that will be decided, JOB_NEVER: none. Also of disabled schedules. */
int64_t cron_entry_next_due(const struct entry *e);
void cron_entry_set_due(struct cron *c, struct entry *e); /* puts it into the heap, or takes it out */
void cron_on_due(struct cron *c, struct entry *e);

/* -- runs.c ----------------------------------------------------------------------------------------------------- */

struct run_options {
    enum run_trigger trigger;
    int64_t due_ms, interval_start_ms, interval_end_ms;
    const json_t *args, *env; /* array and object of strings, or NULL; checked */
    struct graph *graph;
    bool waits_for_older;
};
struct run *cron_run_start(struct cron *c, struct entry *e, const struct run_options *o);
/* A bare one, for load.c; in its entry, in no queue. */
struct run *cron_run_new(struct cron *c, struct entry *e, struct job *spec, const char *id);
/* Its last task has ended and there will be no other: record, children, gone. */
void cron_run_finish(struct cron *c, struct run *r, bool is_success, const char *reason);
void cron_run_stop(struct cron *c, struct run *r, const char *reason); /* ends as FAILED once its tasks have ended */
struct run *cron_run_find(const struct cron *c, const struct entry *e, const char *id); /* of this job, alive */
void cron_run_on_timer(struct cron *c, struct run *r);
void cron_run_task_running(struct cron *c, struct task *t);
void cron_run_task_ended(struct cron *c, struct task *t, enum task_end how, const char *message); /* frees t */
void cron_run_free(struct cron *c, struct run *r);
void cron_run_queue(struct cron *c, struct run *r); /* into the queue if it has something to launch, or out of it */
bool cron_run_wants_task(const struct run *r);
void cron_run_changed(struct cron *c, struct run *r); /* write it at the end of the step */
void cron_run_settle(struct cron *c, struct run *r);  /* sets its timer */
const char *cron_run_state_name(enum run_state s);
const char *cron_run_trigger_name(enum run_trigger t);
/* A moment that does not run, as a record of the history. count: moments it stands for. */
struct skip {
    int64_t first_due_ms, last_due_ms;
    uint64_t count;
    bool is_count_exact;
    const char *reason;
    struct graph *graph;
};
void cron_run_skip(struct cron *c, struct entry *e, const struct skip *s);

/* -- tasks.c ---------------------------------------------------------------------------------------------------- */

struct task *cron_task_new(struct cron *c, struct run *r, int64_t index, const char *id);
void cron_task_free(struct cron *c, struct task *t);
void cron_task_kill(struct cron *c, struct task *t, const char *reason); /* reason outlives the task */
/* The newest ended tasks of a run are kept for its record. */
void cron_run_note_ended(struct cron *c, const struct task *t, enum task_end how, const char *message);
void cron_ended_task_deinit(struct ended_task *t);
void cron_task_set_state(struct cron *c, struct task *t, enum task_state s);
void cron_task_set_timer(struct cron *c, struct task *t);
void cron_task_on_timer(struct cron *c, struct task *t);
void cron_task_send_kill(struct cron *c, struct task *t);
void cron_tasks_resend_kills(struct cron *c);
const char *cron_task_state_name(const struct task *t); /* "TASK_RUNNING" */
const char *cron_task_end_name(enum task_end e);

/* -- updates.c, launch.c ---------------------------------------------------------------------------------------- */

void cron_on_update(struct cron *c, const Mesos__V1__TaskStatus *status);
void cron_on_offers(struct cron *c, Mesos__V1__Offer *const *offers, size_t count);
void cron_update_demand(struct cron *c);

/* -- array.c ---------------------------------------------------------------------------------------------------- */

struct array *array_new(int64_t count, int64_t parallel);
struct array *array_free(struct array *a); /* accepts NULL, returns NULL */
/* Is there an index to launch now, beside `live` tasks? Retries count as live ones, so that they stay few. */
bool array_has_next(const struct array *a, size_t live);
/* Takes it; *attempt is that of the new task. */
int64_t array_take(struct array *a, unsigned *attempt);
void array_retry(struct array *a, int64_t index, unsigned attempt, int64_t at_ms);
int64_t array_retry_ms(const struct array *a); /* when the next retry is due, INT64_MAX: none waits */
void array_wake(struct array *a, int64_t now_ms);
void array_fail(struct array *a, int64_t index);
bool array_has_failed(const struct array *a, int64_t index);
const uint8_t *array_chunk(const struct array *a, int64_t index); /* ARRAY_CHUNK / 8 bytes, NULL: none failed */
void array_load_chunk(struct array *a, int64_t chunk, const uint8_t *bits);
bool array_is_done(const struct array *a, size_t live);

/* -- graph.c ---------------------------------------------------------------------------------------------------- */

struct graph *cron_graph_get(struct cron *c, const char *id); /* NULL: there is none */
struct graph *cron_graph_new(struct cron *c, const char *id);
void cron_graph_join(struct cron *c, struct graph *g, struct run *r);
/* The run has ended: starts children, or says why not. Before the run leaves the graph. */
void cron_graph_advance(struct cron *c, struct run *r, bool is_success);
void cron_graph_leave(struct cron *c, struct run *r);
void cron_graph_free(struct cron *c, struct graph *g);
/* Children start as after a success, without a run (Chronos's PUT /job/success). */
void cron_graph_mark_success(struct cron *c, struct entry *e);

/* -- state.c, load.c -------------------------------------------------------------------------------------------- */

void cron_store_framework(struct cron *c);
void cron_store_job(struct cron *c, const struct entry *e);
void cron_forget_job(struct cron *c, struct entry *e); /* its history as well */
void cron_store_old_spec(struct cron *c, const struct job *j);
void cron_forget_old_spec(struct cron *c, const struct job *j);
void cron_store_dirty(struct cron *c);
void cron_forget_run(struct cron *c, struct run *r);
void cron_store_task(struct cron *c, const struct task *t); /* of arrays; plain runs hold theirs */
void cron_forget_task(struct cron *c, const struct task *t);
void cron_forget_index(struct cron *c, const struct run *r, int64_t index);
unsigned cron_bucket(const char *job_id); /* 0..255 */
void cron_store_array_retry(struct cron *c, const struct run *r, int64_t index, unsigned attempt);
void cron_store_array_chunk(struct cron *c, const struct run *r, int64_t index);
/* Adds a record and drops the oldest beyond the maximum. Empties and releases record. */
void cron_store_history(struct cron *c, struct entry *e, struct buf *record);
void cron_forget_graph(struct cron *c, const struct graph *g);
int cron_load(struct cron *c, const struct kit_item *items, size_t count);

/* -- views.c: JSON of the APIs ---------------------------------------------------------------------------------- */

void cron_view_run(const struct cron *c, const struct run *r, struct json_writer *w);
/* The records of the history: a whole run, and moments that did not run. */
void cron_view_ended_run(const struct cron *c, const struct run *r, enum run_state state, const char *reason,
                         struct json_writer *w);
void cron_view_skip(const struct cron *c, const struct entry *e, const struct skip *s, int64_t ordinal,
                    struct json_writer *w);
void cron_view_job(const struct cron *c, const struct entry *e, unsigned embed, bool is_list, struct json_writer *w);
void cron_view_job_members(const struct cron *c, const struct entry *e, unsigned embed, bool is_list,
                           struct json_writer *w);
void cron_view_runs(const struct cron *c, const struct entry *e, struct json_writer *w); /* live ones */
void cron_view_schedule(const struct entry *e, struct json_writer *w);
void cron_put_time(struct json_writer *w, const char *key, int64_t wall_ms); /* null if 0 */

/* -- publish.c: the event stream -------------------------------------------------------------------------------- */

void cron_publish_job(struct cron *c, const char *type, const struct entry *e);
void cron_publish_skip(struct cron *c, const struct entry *e, const struct skip *s);
void cron_publish_run(struct cron *c, const char *type, const struct run *r, enum run_state state, const char *reason);

/* -- requests*.c ------------------------------------------------------------------------------------------------ */

void cron_on_request(struct cron *c, const struct cron_request *r);
/* Replies; body is emptied and released. Errors and reads go out at once, answers to changes after they are stored. */
void cron_reply(struct cron *c, const struct cron_request *r, int status, struct buf *body, bool is_change);
void cron_reply_typed(struct cron *c, const struct cron_request *r, int status, const char *content_type, struct buf *body,
                      bool is_change);
void cron_reply_message(struct cron *c, const struct cron_request *r, int status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The `chronos` request: chronos_*.c. */
void cron_chronos_on_request(struct cron *c, const struct cron_request *r);

/* -- reads.c: answers that need the history --------------------------------------------------------------------- */

/* The request wants ended runs: it is answered when they are read. */
void cron_read_for(struct cron *c, const struct cron_request *r);
void cron_reads_free(struct cron *c);
void cron_on_read_done(struct cron *c, const struct kit_event *in);
