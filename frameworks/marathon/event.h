/* SPDX-License-Identifier: Apache-2.0
 * event.h - what goes into and comes out of the Marathon core: events from scheduler, store, API, prober and clock; effects
 * for their shells. Plain data. Pointers inside an event are borrowed for the step; effects live until the next step. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "common/base/ids.h"
#include "mesos/v1/mesos.pb-c.h"
#include "mesos/v1/scheduler.pb-c.h"

/* -- events --------------------------------------------------------------------------------------------------- */

struct marathon_item { /* one stored key and its value */
    const void *key;
    size_t key_len;
    const void *value;
    size_t value_len;
};

/* One API call. Which fields count depends on the type; the others are zero. Ids in app_id are taken as they come out of
 * the URL (doubled and trailing slashes allowed); the core makes them canonical. body is the parsed JSON body. */
enum marathon_request_type {
    MARATHON_LIST_APPS,      /* filter_cmd, filter_id, filter_label, embed */
    MARATHON_CREATE_APP,     /* body, force */
    MARATHON_PUT_APPS,       /* body (array), force, partial */
    MARATHON_PATCH_APPS,     /* body (array), force */
    MARATHON_GET_APP,        /* app_id (may end in a star: all apps below), embed */
    MARATHON_PUT_APP,        /* app_id, body, force, partial */
    MARATHON_PATCH_APP,      /* app_id, body, force */
    MARATHON_DELETE_APP,     /* app_id, force */
    MARATHON_RESTART_APP,    /* app_id, force */
    MARATHON_LIST_VERSIONS,  /* app_id */
    MARATHON_GET_VERSION,    /* app_id, version */
    MARATHON_LIST_APP_TASKS, /* app_id (may end in a star) */
    MARATHON_KILL_APP_TASKS, /* app_id, host, scale, wipe, force */
    MARATHON_KILL_APP_TASK,  /* app_id, task_ids[0], scale, wipe, force */
    MARATHON_LIST_TASKS,     /* status_mask */
    MARATHON_KILL_TASKS,     /* body {"ids": [...]}, scale, wipe, force */
    MARATHON_LIST_DEPLOYMENTS,
    MARATHON_DELETE_DEPLOYMENT, /* deployment_id, force */
    MARATHON_GET_QUEUE,         /* embed */
    MARATHON_RESET_DELAY,       /* app_id */
    MARATHON_GET_GROUP,         /* app_id: the group, "/" for the root; embed */
};

enum marathon_embed {
    MARATHON_EMBED_TASKS = 1 << 0,
    MARATHON_EMBED_COUNTS = 1 << 1,
    MARATHON_EMBED_DEPLOYMENTS = 1 << 2,
    MARATHON_EMBED_READINESS = 1 << 3,
    MARATHON_EMBED_LAST_TASK_FAILURE = 1 << 4,
    MARATHON_EMBED_TASK_STATS = 1 << 5,
    MARATHON_EMBED_LAST_UNUSED_OFFERS = 1 << 6,
    MARATHON_EMBED_GROUP_GROUPS = 1 << 7,
    MARATHON_EMBED_GROUP_APPS = 1 << 8,
};

enum { MARATHON_STATUS_RUNNING = 1, MARATHON_STATUS_STAGING = 2 };

struct marathon_request {
    request_id id; /* comes back in the reply */
    enum marathon_request_type type;
    const char *app_id;
    const char *task_id;
    const char *version;
    const char *deployment_id;
    const json_t *body;
    const char *filter_cmd, *filter_id, *filter_label; /* NULL: no filter */
    const char *host;                                  /* NULL: any */
    unsigned embed;                                    /* MARATHON_EMBED_* */
    unsigned status_mask;                              /* MARATHON_STATUS_*; 0: all */
    bool force, scale, wipe, partial;
    const char *client_ip, *uri; /* for api_post_event */
};

enum marathon_event_type {
    MARATHON_EVENT_STARTED, /* first event of a run: everything that is stored */
    MARATHON_EVENT_STORE_DONE,
    MARATHON_EVENT_SUBSCRIBED,
    MARATHON_EVENT_OFFERS,
    MARATHON_EVENT_RESCIND,
    MARATHON_EVENT_UPDATE,
    MARATHON_EVENT_FAILURE, /* an agent was removed or an executor ended */
    MARATHON_EVENT_DISCONNECTED,
    MARATHON_EVENT_SETTLED, /* reconciliation after the (re)subscription is complete: launching is safe */
    MARATHON_EVENT_REQUEST,
    MARATHON_EVENT_PROBE_DONE,
    MARATHON_EVENT_TICK, /* marathon_next_deadline has passed */
};

struct marathon_probe_result {
    uint64_t probe_id;
    bool is_success;                 /* HTTP: 200 to 399; TCP: connected */
    int http_status;                 /* 0: none */
    const char *cause;               /* why it failed, for people; NULL on success */
    const char *content_type, *body; /* of readiness probes; may be NULL */
};

struct marathon_event {
    enum marathon_event_type type;
    int64_t now_ms;  /* monotonic */
    int64_t wall_ms; /* since 1970, for records only */
    union {
        struct {
            const struct marathon_item *items;
            size_t item_count;
        } started;
        struct {
            uint64_t token;
            int result; /* 0 or negative errno */
        } store_done;
        struct {
            const char *framework_id;
            const char *master;        /* "host:port" for the event stream, may be NULL */
            const char *master_region; /* fault domain of the master, may be NULL */
        } subscribed;
        struct {
            Mesos__V1__Offer *const *offers;
            size_t count;
        } offers;
        const char *rescind; /* offer id */
        const Mesos__V1__TaskStatus *update;
        struct {
            const char *agent_id, *executor_id; /* either may be NULL */
        } failure;
        const struct marathon_request *request;
        struct marathon_probe_result probe_done;
    };
};

/* -- effects -------------------------------------------------------------------------------------------------- */

struct marathon_write {
    const char *key;
    const void *value; /* NULL: delete */
    size_t value_len;
};

struct marathon_header {
    const char *name, *value;
};

enum marathon_probe_kind { MARATHON_PROBE_HTTP, MARATHON_PROBE_TCP };

enum marathon_effect_type {
    MARATHON_EFFECT_START_SCHEDULER, /* subscribe, with this framework id or as a new framework */
    MARATHON_EFFECT_CALL,
    MARATHON_EFFECT_ACKNOWLEDGE, /* the update's state is durable */
    MARATHON_EFFECT_WANT_OFFERS, /* true also means: offers declined before are wanted again */
    MARATHON_EFFECT_STORE,
    MARATHON_EFFECT_REPLY,
    MARATHON_EFFECT_PROBE,
    MARATHON_EFFECT_PUBLISH, /* one event for the event stream */
    MARATHON_EFFECT_TRACE,
    MARATHON_EFFECT_FATAL, /* the process must end; a restart continues */
};

struct marathon_effect {
    enum marathon_effect_type type;
    union {
        const char *framework_id; /* START_SCHEDULER; NULL: new */
        const Mesos__V1__Scheduler__Call *call;
        struct {
            const char *agent_id, *task_id;
            const uint8_t *uuid;
            size_t uuid_len;
        } acknowledge;
        bool want_offers;
        struct { /* all or nothing, in the order of the effects; STORE_DONE brings the token back */
            uint64_t token;
            const struct marathon_write *writes;
            size_t count;
        } store;
        struct {
            request_id id;
            int status;
            const char *body; /* JSON, NULL: none */
            size_t body_len;
            const struct marathon_header *headers;
            size_t header_count;
        } reply;
        struct {
            uint64_t probe_id;
            enum marathon_probe_kind kind;
            const char *host; /* hostname of the agent or an address */
            uint16_t port;
            const char *path; /* HTTP */
            int64_t timeout_ms;
            bool want_body; /* at most 4 KiB of it */
        } probe;
        struct {
            const char *event_type;
            const char *json; /* one line */
        } publish;
        const char *text; /* TRACE, FATAL */
    };
};

/* Borrowed from the core until its next step. */
struct marathon_effects {
    const struct marathon_effect *items;
    size_t count;
};
