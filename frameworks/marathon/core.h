/* SPDX-License-Identifier: Apache-2.0
 * core.h - the parts of the core and what they share. For the files of this folder only.
 *
 *   service     an app with everything that belongs to it: present definition, older versions, instances, back-off
 *   instance    one copy of an app: scheduled, launched as a task, replaced by the next incarnation when the task ends
 *   deployment  the way from one set of definitions to the next, step by step
 *
 * Decisions look at the present state, never at counted events: services that changed are "touched" and looked at again at
 * the end of the step, which makes a restart of the scheduler nothing special. */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/rng.h"
#include "common/base/text.h"
#include "frameworks/kit/outbox.h"
#include "frameworks/marathon/app.h"
#include "frameworks/marathon/constraints.h"
#include "frameworks/marathon/launch_backoff.h"
#include "frameworks/marathon/marathon.h"
#include "frameworks/marathon/rolling.h"

/* -- timers --------------------------------------------------------------------------------------------------- */

enum timer_kind { TIMER_INSTANCE, TIMER_SERVICE, TIMER_CHECK, TIMER_READINESS, TIMER_SCALE, TIMER_RECONCILE };
struct timer {
    struct heap_node node;
    enum timer_kind kind;
};

/* -- instances ------------------------------------------------------------------------------------------------ */

/* SCHEDULED -> PROVISIONED -> STAGING -> STARTING -> RUNNING -> KILLING -> terminal. From anywhere but SCHEDULED to
 * UNREACHABLE and back, from there to UNREACHABLE_INACTIVE. A terminal instance becomes SCHEDULED again or is gone. */
enum condition {
    CONDITION_SCHEDULED,
    CONDITION_PROVISIONED, /* launch decided, nothing heard */
    CONDITION_STAGING,
    CONDITION_STARTING,
    CONDITION_RUNNING,
    CONDITION_KILLING,
    CONDITION_UNREACHABLE,
    CONDITION_UNREACHABLE_INACTIVE, /* given up on: a replacement runs */
    CONDITION_FINISHED,
    CONDITION_FAILED,
    CONDITION_KILLED,
    CONDITION_ERROR,
    CONDITION_GONE,
    CONDITION_DROPPED,
    CONDITION_UNKNOWN,
};
#define CONDITION_COUNT (CONDITION_UNKNOWN + 1)
static inline bool condition_is_terminal(enum condition c)
{
    return c >= CONDITION_FINISHED;
}

/* What an instance counts as for its service; kept up to date so that nobody has to walk the instances. */
enum tally {
    TALLY_ALL,
    TALLY_ACTIVE,      /* meant to run, and not given up on */
    TALLY_FRESH,       /* active, of the present configuration */
    TALLY_FRESH_READY, /* ... healthy and ready */
    TALLY_OLD_HEALTHY, /* active, of an older configuration */
    TALLY_OLD_UNHEALTHY,
    TALLY_OLD_STUCK, /* ... of these: failing a check, or not running */
    TALLY_DYING,     /* to be removed once its task has ended */
    TALLY_SCHEDULED,
    TALLY_AWAITED, /* a deployment waits for it to become ready */
    TALLY_STAGED,  /* the four counts of the API */
    TALLY_RUNNING,
    TALLY_HEALTHY,
    TALLY_UNHEALTHY,
    TALLY_COUNT,
};

struct instance;
struct probe_wait { /* in the queue for a free probe; one of the two is set */
    struct list link;
    struct check *check;
    struct readiness *readiness;
};

struct check { /* state of one Marathon-level health check of one running instance */
    struct timer timer;
    struct instance *instance;
    size_t index;                                               /* in spec->health_checks */
    int64_t first_success_ms, last_success_ms, last_failure_ms; /* wall, 0: none */
    int64_t failures;                                           /* in a row */
    char *cause;
    uint64_t probe_id; /* in flight, 0: none */
    struct probe_wait wait;
};

struct readiness {
    struct timer timer;
    struct instance *instance;
    uint64_t probe_id;
    struct probe_wait wait;
    bool is_ready, has_response;
    int status;
    char *content_type, *body;
};

enum health { HEALTH_NONE, HEALTH_GOOD, HEALTH_BAD }; /* no result yet, and so on */

struct instance {
    struct list link;       /* service->instances */
    struct list queue_link; /* service->scheduled */
    struct list dirty_link;
    struct service *service;
    struct app *spec;     /* what it runs, or will; of a scheduled one: what it ran last */
    char *id;             /* <safe app id>.instance-<uuid> */
    unsigned incarnation; /* of the present or next task */
    enum condition condition;
    bool is_decommissioned; /* gone for good once the task has ended */
    bool is_killed;         /* kill asked for, repeated until the task has ended */
    bool is_awaited;        /* see TALLY_AWAITED */
    bool is_stored;
    bool is_named;    /* by the caller of marathon_kill_victims, for its time only */
    unsigned tallies; /* bits of enum tally it counts for now */
    /* the present task; empty while scheduled */
    char *task_id, *agent_id, *hostname, *region, *zone, *address;
    char **values; /* one per constraint of spec, NULL entries: field absent */
    uint32_t *ports;
    int64_t staged_ms, started_ms, unreachable_ms; /* wall, 0: not yet */
    int64_t since_ms;                              /* monotonic time of the last change of condition */
    int64_t kill_next_ms;
    bool has_status;   /* heard of since launch */
    char *kill_reason; /* of a kill by a failed health check, else NULL */
    enum health mesos_health;
    bool has_check_result;
    int64_t check_result; /* of the general check: exit code, HTTP status or 0/1 for TCP */
    enum health health;   /* last one published */
    struct check *checks; /* one per health check of spec; those of Mesos unused */
    struct readiness *readiness;
    struct timer timer;
};

/* -- services ------------------------------------------------------------------------------------------------- */

struct version {
    int64_t version_ms;
    char *text; /* canonical JSON */
};

enum reason { /* why an offer was not used, in the order of the funnel (facts 1.10) */
              REASON_ROLE,
              REASON_CONSTRAINT,
              REASON_RESERVATION,
              REASON_MAINTENANCE,
              REASON_CPUS,
              REASON_MEM,
              REASON_DISK,
              REASON_GPUS,
              REASON_PORTS,
              REASON_SCARCE,
              REASON_FITS,
};
#define REASON_COUNT REASON_FITS

struct offer_text { /* an offer as the debug view of the queue shows it, shared by all apps that could not use it */
    unsigned refs;
    char json[];
};
struct offer_text *marathon_offer_text_unref(struct offer_text *t); /* accepts NULL, returns NULL */

struct last_offer { /* newest offer of one agent */
    enum reason reason;
    struct offer_text *text; /* NULL when it was used */
    int64_t at_ms;
};

struct service {
    struct list touched_link, waiting_link, spread_link;
    char id[APP_ID_SIZE];
    struct app *app; /* present definition; of a removed app the last one */
    bool is_deleted; /* no longer part of the root: goes when its instances have ended */
    bool is_touched;
    bool wants_trim;          /* more instances than wanted: end the surplus */
    struct version *versions; /* oldest first; beyond the maximum only those that instances still run */
    size_t version_count;
    struct list instances, scheduled;
    int64_t tally[TALLY_COUNT];
    struct deployment *deployment; /* that holds it, or NULL */
    struct launch_backoff backoff;
    struct timer timer;    /* end of the back-off */
    char *failure;         /* JSON of the last task failure, NULL */
    struct spread *spread; /* for the step that launches */
    /* launch attempt */
    int64_t queued_since_ms; /* wall */
    uint64_t offers_processed, offers_unused;
    uint64_t declined[REASON_COUNT];
    int64_t last_unused_ms, last_used_ms;
    struct map last_offers; /* agent id -> struct last_offer */
};

/* -- deployments ---------------------------------------------------------------------------------------------- */

enum action { ACTION_START, ACTION_STOP, ACTION_SCALE, ACTION_RESTART };

struct plan_action {
    enum action action;
    char *app_id;
    bool has_limits; /* restart under way */
    struct rolling_limits limits;
};
struct plan_step {
    struct plan_action *actions;
    size_t count;
};
struct plan_change { /* one app before and after */
    char *app_id;
    struct app *original, *target; /* NULL: did not exist, is removed */
    bool is_restart;               /* asked for, even if nothing differs */
    const char **kill;             /* instance ids to end first when scaling down */
    size_t kill_count;
};
struct plan {
    struct plan_change *changes;
    size_t change_count;
    struct plan_step *steps;
    size_t step_count;
};

struct deployment {
    struct list touched_link;
    bool is_touched;
    char id[UUID_TEXT_SIZE];
    int64_t version_ms;
    struct plan plan;
    size_t step; /* being done */
    bool is_started;
};

/* Longest chain of dependencies that begins at an app of the target root, 1: none. */
typedef size_t (*plan_layer_fn)(void *ctx, const char *app_id);
/* Fills plan->steps from plan->changes. */
void marathon_plan_build(struct plan *plan, plan_layer_fn layer, void *ctx);
void marathon_plan_deinit(struct plan *plan);
const char *marathon_action_name(enum action action);

/* -- the core ------------------------------------------------------------------------------------------------- */

struct marathon {
    struct marathon_config config; /* strings owned */
    struct app_context context;
    struct rng rng;
    int64_t now_ms, wall_ms; /* of the present step */
    bool is_loaded, is_connected, is_settled, is_failed;
    char *framework_id, *master_region;
    struct map services;       /* id -> struct service */
    struct map instances;      /* id -> struct instance */
    struct map deployments;    /* id -> struct deployment */
    struct map groups;         /* id -> number of apps below, as a pointer-sized count */
    uint16_t port_uses[65536]; /* service ports of the root */
    int64_t last_version_ms;
    int64_t instances_wanted; /* by all apps of the root together */
    struct heap timers;
    struct timer scale_timer, reconcile_timer;
    struct list touched_services, touched_deployments, dirty_instances;
    struct list waiting; /* services that may launch: scheduled instances and no back-off */
    struct list spreads; /* services with a spread in this step */
    struct list probes_waiting;
    struct map probes; /* probe id -> struct probe_target */
    uint64_t next_probe_id;
    bool demand_grew, is_wanting;
    int kills_in_step;
    const struct marathon_request *posting; /* whose change of one app is told as api_post_event when it is accepted */
    struct outbox *outbox;
    struct marathon_counts totals; /* the *_total members */
};

/* -- outbox.c: effects ---------------------------------------------------------------------------------------- */

/* Keeps a definition alive as long as the effects that wait. */
void marathon_keep_app(struct marathon *m, struct app *app);
void marathon_trace(struct marathon *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void marathon_fatal(struct marathon *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* -- state.c, load.c: what is stored --------------------------------------------------------------------------- */

void marathon_store_app(struct marathon *m, const struct service *s);
void marathon_forget_app(struct marathon *m, const struct service *s);
void marathon_store_version(struct marathon *m, const struct service *s, const struct version *v);
void marathon_forget_version(struct marathon *m, const struct service *s, int64_t version_ms);
void marathon_store_failure(struct marathon *m, const struct service *s);
void marathon_store_instance(struct marathon *m, struct instance *i);
void marathon_forget_instance(struct marathon *m, struct instance *i);
void marathon_store_deployment(struct marathon *m, const struct deployment *d);
void marathon_forget_deployment(struct marathon *m, const struct deployment *d);
void marathon_store_framework(struct marathon *m);
int marathon_load(struct marathon *m, const struct kit_item *items, size_t count);

/* -- services.c ------------------------------------------------------------------------------------------------ */

struct service *marathon_service_new(struct marathon *m, const char *id);
void marathon_service_free(struct marathon *m, struct service *s);
struct service *marathon_service_get(const struct marathon *m, const char *id);  /* also removed ones; or NULL */
struct service *marathon_service_find(const struct marathon *m, const char *id); /* of the root only */
/* Puts a definition into the root (NULL: takes the app out). Takes the reference. */
void marathon_service_set_app(struct marathon *m, struct service *s, struct app *app);
void marathon_service_add_version(struct marathon *m, struct service *s, const struct app *app);
void marathon_service_put_version(struct service *s, int64_t version_ms, char *text); /* takes the text; newest last */
const struct version *marathon_service_version(const struct service *s, int64_t version_ms);
void marathon_service_touch(struct marathon *m, struct service *s);
/* Without a deployment: as many instances as wanted. */
void marathon_service_ensure(struct marathon *m, struct service *s);
/* Adds instances that wait for offers. */
void marathon_service_schedule(struct marathon *m, struct service *s, int64_t count, bool is_awaited);
void marathon_service_recount(struct marathon *m, struct service *s);
void marathon_service_reset_backoff(struct marathon *m, struct service *s);
void marathon_service_forget_offers(struct service *s);
/* Puts the service into the list of those that may launch, or takes it out. */
void marathon_service_queue(struct marathon *m, struct service *s);
/* Time from which instances may be launched, 0: now. */
int64_t marathon_service_backoff_until(struct marathon *m, struct service *s);
bool marathon_group_exists(const struct marathon *m, const char *id);
int64_t marathon_next_version(struct marathon *m);

/* -- instances.c ----------------------------------------------------------------------------------------------- */

struct instance *marathon_instance_new(struct marathon *m, struct service *s, const char *id); /* NULL id: a new one */
void marathon_instance_free(struct marathon *m, struct instance *i);
struct instance *marathon_instance_by_task(const struct marathon *m, const char *task_id);
void marathon_instance_changed(struct marathon *m, struct instance *i, bool store); /* recount, touch, store */
void marathon_instance_set_condition(struct marathon *m, struct instance *i, enum condition c);
void marathon_instance_clear_task(struct instance *i);
void marathon_instance_enqueue(struct marathon *m, struct instance *i);
void marathon_instance_dequeue(struct marathon *m, struct instance *i);
void marathon_instance_remove(struct marathon *m, struct instance *i); /* published, forgotten, freed */
void marathon_instance_ended(struct marathon *m, struct instance *i, enum condition how, const char *message);
void marathon_instance_set_timer(struct marathon *m, struct instance *i);
void marathon_instance_on_timer(struct marathon *m, struct instance *i);
bool marathon_instance_is_fresh(const struct instance *i);
bool marathon_instance_is_ready(const struct instance *i);
const char *marathon_condition_name(enum condition c);       /* "Running" */
const char *marathon_condition_task_state(enum condition c); /* "TASK_RUNNING" */

/* -- updates.c: status updates of tasks --------------------------------------------------------------------------- */

void marathon_on_update(struct marathon *m, const Mesos__V1__TaskStatus *status);

/* -- kills.c -------------------------------------------------------------------------------------------------------- */

/* Ends the task; with decommission the instance as well, else a next incarnation follows. */
void marathon_kill(struct marathon *m, struct instance *i, bool decommission);
/* Ends `count` of the instances that match; the listed ids first. */
enum victims { VICTIMS_ALL, VICTIMS_ACTIVE, VICTIMS_OLD, VICTIMS_FRESH };
void marathon_kill_victims(struct marathon *m, struct service *s, enum victims which, int64_t count,
                           const char *const *named, size_t named_count);
void marathon_send_kill(struct marathon *m, struct instance *i);
void marathon_kills_resend(struct marathon *m);

/* -- launch.c ------------------------------------------------------------------------------------------------------- */

void marathon_on_offers(struct marathon *m, Mesos__V1__Offer *const *offers, size_t count);
void marathon_update_demand(struct marathon *m);

/* -- health.c ------------------------------------------------------------------------------------------------------- */

void marathon_health_start(struct marathon *m, struct instance *i); /* it runs */
void marathon_health_stop(struct marathon *m, struct instance *i);
enum health marathon_health_of(const struct instance *i); /* all checks taken together; GOOD without checks */
bool marathon_check_is_alive(const struct check *c);
void marathon_health_publish(struct marathon *m, struct instance *i);
void marathon_on_check_timer(struct marathon *m, struct check *c);
void marathon_on_readiness_timer(struct marathon *m, struct readiness *r);
void marathon_on_probe_done(struct marathon *m, const struct marathon_probe_result *result);

/* -- changes.c, deployments.c ------------------------------------------------------------------------------------------ */

struct outcome { /* of a change to the root */
    int status;  /* 0: accepted */
    char deployment_id[UUID_TEXT_SIZE];
    int64_t version_ms;
    struct buf error; /* JSON body when status is not 0; the caller deinits */
};
/* Checks, commits and starts a plan. Takes the changes over, whatever happens. Targets need no versions and ports yet. */
void marathon_change_root(struct marathon *m, struct plan_change *changes, size_t count, bool force, struct outcome *out);
void marathon_changes_free(struct plan_change *changes, size_t count);
void marathon_deployment_start(struct marathon *m, struct deployment *d);
void marathon_deployment_touch(struct marathon *m, struct deployment *d);
void marathon_deployment_advance(struct marathon *m, struct deployment *d);
void marathon_deployment_cancel(struct marathon *m, struct deployment *d);
void marathon_deployment_free(struct deployment *d);
/* The changes that undo it on top of the present root. */
struct plan_change *marathon_deployment_undo(struct marathon *m, const struct deployment *d, size_t *count);

/* -- views.c: JSON of the API --------------------------------------------------------------------------------------------
 */

void marathon_view_app(struct marathon *m, const struct service *s, unsigned embed, struct json_writer *w);
void marathon_view_task(const struct marathon *m, const struct instance *i, bool with_service_ports, struct json_writer *w);
bool marathon_view_has_task(const struct instance *i);
void marathon_view_deployment(const struct marathon *m, const struct deployment *d, struct json_writer *w);
void marathon_view_steps(const struct plan *plan, struct json_writer *w);
void marathon_view_action(const struct plan_action *a, struct json_writer *w);
void marathon_view_queue(struct marathon *m, unsigned embed, struct json_writer *w);
void marathon_view_group(struct marathon *m, const char *id, unsigned embed, struct json_writer *w);
void marathon_view_resource(const Mesos__V1__Resource *r, struct json_writer *w);
void marathon_view_attribute(const Mesos__V1__Attribute *a, struct json_writer *w);
void marathon_view_check_result(const struct instance *i, const struct check *c, struct json_writer *w);
void marathon_view_readiness_results(const struct service *s, struct json_writer *w);
void marathon_put_time(struct json_writer *w, const char *key, int64_t wall_ms);

/* -- publish.c: the event stream ------------------------------------------------------------------------------------------
 */

void marathon_publish_update(struct marathon *m, const struct instance *i, const char *task_status, const char *message);
void marathon_publish_instance(struct marathon *m, const struct instance *i, enum condition condition);
void marathon_publish_health(struct marathon *m, const struct instance *i, enum health health);
void marathon_publish_check_failed(struct marathon *m, const struct instance *i, const struct app_health_check *check);
void marathon_publish_alive(struct marathon *m, const struct instance *i, bool alive);
void marathon_publish_unhealthy_kill(struct marathon *m, const struct instance *i, const char *reason);
void marathon_publish_unknown(struct marathon *m, const char *task_id, enum condition condition);
void marathon_publish_deployment(struct marathon *m, const char *type, const struct deployment *d, const char *reason);
void marathon_publish_group_change(struct marathon *m, int64_t version_ms);
void marathon_publish_app_event(struct marathon *m, const char *type, const char *app_id); /* app_terminated_event ... */
void marathon_publish_checks(struct marathon *m, const struct app *old, const struct app *app);
void marathon_publish_post(struct marathon *m, const struct marathon_request *r, const struct app *app);
void marathon_publish_scheduler(struct marathon *m, const char *type, const char *master);

/* -- requests*.c
 * ----------------------------------------------------------------------------------------------------------- */

void marathon_on_request(struct marathon *m, const struct marathon_request *r);
void marathon_request_read(struct marathon *m, const struct marathon_request *r);
void marathon_request_write(struct marathon *m, const struct marathon_request *r);
void marathon_request_kill(struct marathon *m, const struct marathon_request *r);
/* Replies; body is emptied and released. Errors and reads go out at once, answers to changes after they are stored. */
void marathon_reply(struct marathon *m, const struct marathon_request *r, int status, struct buf *body, bool is_change,
                    const struct kit_header *headers, size_t header_count);
void marathon_reply_message(struct marathon *m, const struct marathon_request *r, int status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void marathon_reply_outcome(struct marathon *m, const struct marathon_request *r, struct outcome *o, int status,
                            const char *location);
