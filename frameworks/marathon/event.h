/* SPDX-License-Identifier: Apache-2.0
 * event.h - what only the Marathon core has in its events: API requests (KIT_EVENT_REQUEST) and probes of health and
 * readiness. The rest is frameworks/kit/event.h. */
#pragma once

#include <jansson.h>

#include "frameworks/kit/event.h"

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

/* KIT_EVENT_OWN */
struct marathon_probe_result {
    uint64_t probe_id;
    bool is_success;                 /* HTTP: 200 to 399; TCP: connected */
    int http_status;                 /* 0: none */
    const char *cause;               /* why it failed, for people; NULL on success */
    const char *content_type, *body; /* of readiness probes; may be NULL */
};

enum marathon_probe_kind { MARATHON_PROBE_HTTP, MARATHON_PROBE_TCP };

/* KIT_EFFECT_OWN; answered by a result of the same id. */
struct marathon_probe {
    uint64_t probe_id;
    enum marathon_probe_kind kind;
    const char *host; /* hostname of the agent or an address */
    uint16_t port;
    const char *path; /* HTTP */
    int64_t timeout_ms;
    bool want_body; /* at most 4 KiB of it */
};
