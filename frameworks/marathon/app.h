/* SPDX-License-Identifier: Apache-2.0
 * app.h - an app definition in canonical form (facts: marathon 2). Made from JSON by app_from_json, written back by
 * app_write. Immutable once it is shared: every version is an object of its own, counted, kept by the app it belongs to
 * and by the instances that run it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/json.h"
#include "frameworks/kit/chunks.h"
#include "frameworks/kit/pairs.h"
#include "frameworks/kit/problems.h"
#include "frameworks/marathon/app_id.h"

enum app_operator { APP_UNIQUE, APP_CLUSTER, APP_GROUP_BY, APP_LIKE, APP_UNLIKE, APP_MAX_PER, APP_IS };
struct app_constraint {
    const char *field;
    enum app_operator op;
    const char *value; /* NULL: none */
};

struct app_fetch {
    const char *uri, *dest_path; /* dest_path NULL: none */
    bool extract, executable, cache;
};

enum app_check_protocol { APP_HTTP, APP_HTTPS, APP_TCP, APP_COMMAND, APP_MESOS_HTTP, APP_MESOS_HTTPS, APP_MESOS_TCP };
struct app_health_check {
    enum app_check_protocol protocol;
    const char *path, *command; /* NULL: none */
    int port_index, port;       /* -1: none; port wins */
    int64_t grace_s, interval_s, timeout_s, delay_s, failures_max;
};
/* Runs in the agent: its result is not known here, unlike that of probes. */
static inline bool app_check_is_mesos(enum app_check_protocol p)
{
    return p >= APP_COMMAND;
}

/* A general check: its result is shown, nothing else follows from it. */
struct app_check {
    enum app_check_protocol protocol; /* APP_MESOS_HTTP, APP_MESOS_TCP or APP_COMMAND */
    const char *path, *shell;         /* NULL: none */
    const char **argv;                /* of a command without shell */
    size_t argv_count;
    int port_index, port; /* -1: none; port wins */
    int64_t interval_s, timeout_s, delay_s;
};

struct app_readiness_check {
    const char *name, *path, *port_name;
    int64_t interval_s, timeout_s;
    int *ready_statuses;
    size_t ready_status_count;
    bool preserve_last_response;
};

struct app_port {
    int number;           /* service port, real port with require_ports; 0 until assigned */
    const char *name;     /* NULL: none */
    const char *protocol; /* "tcp", "udp", "udp,tcp" */
    struct pairs labels;
};

struct app_volume { /* host volumes */
    const char *container_path, *host_path;
    bool is_read_only;
};

#define APP_TEXT_BYTES_MAX (1u << 20) /* of a canonical definition: stored values and plans must hold several */
#define APP_PORTS_MAX 256             /* of one app: what one offer match can carry */
#define APP_UNREACHABLE_DISABLED INT64_MAX

struct app {
    unsigned refs;
    struct chunks chunks; /* all memory below */
    const char *id;
    const char *cmd, *user, *role; /* cmd, user: NULL if none */
    const char **args;
    size_t arg_count;
    double cpus, mem, disk;       /* mem and disk in MB */
    double cpus_limit, mem_limit; /* resourceLimits: 0 none, INFINITY unlimited */
    int64_t instances;
    struct app_constraint *constraints;
    size_t constraint_count;
    const char **accepted_roles; /* acceptedResourceRoles */
    size_t accepted_role_count;
    struct pairs env, labels;
    const char *executor; /* "" or "//cmd" */
    struct app_fetch *fetch;
    size_t fetch_count;
    struct app_health_check *health_checks;
    size_t health_check_count;
    struct app_check *check;               /* NULL: none */
    struct app_readiness_check *readiness; /* NULL: none */
    struct app_port *ports;
    size_t port_count;
    bool require_ports;
    bool has_container; /* a MESOS container without image */
    struct app_volume *volumes;
    size_t volume_count;
    int64_t backoff_ms, backoff_max_ms;
    double backoff_factor;
    double minimum_health, maximum_over;
    bool kill_oldest_first;
    int64_t inactive_after_s, expunge_after_s; /* APP_UNREACHABLE_DISABLED: never */
    int64_t kill_grace_s;                      /* -1: none */
    const char **dependencies;                 /* absolute ids */
    size_t dependency_count;
    /* Set by the owner before the app is shared; milliseconds since 1970. */
    int64_t version_ms, last_scaling_ms, last_config_change_ms;
};

struct app_context {
    const char *role; /* default role, the only one for now */
    bool is_stored;   /* the definition was accepted earlier */
};

/* Makes an app from JSON. `base` is the stored app that an update is laid over (NULL: json is the whole definition), and
 * `id` the id that the URL gave (NULL: the body's). *out has one reference. false: problems tell why. */
bool app_from_json(const json_t *json, const struct app *base, const char *id, const struct app_context *context,
                   struct app **out, struct problems *problems);
/* Reads what app_write wrote, versions included. NULL: not such a text. */
struct app *app_from_stored(const void *text, size_t len, const struct app_context *context);

struct app *app_ref(struct app *a);
struct app *app_unref(struct app *a); /* accepts NULL, returns NULL */

/* A private copy to be changed before it is shared. */
struct app *app_copy(const struct app *a, const struct app_context *context);

/* Does going from one to the other need new tasks (facts 2.4)? */
bool app_needs_restart(const struct app *from, const struct app *to);

/* Bytes of the canonical JSON. */
size_t app_text_bytes(const struct app *a);

/* The members of the JSON object, without its braces, so that callers may add their own. */
void app_write_members(const struct app *a, bool with_version_info, struct json_writer *w);
void app_write(const struct app *a, bool with_version_info, struct json_writer *w);

/* Gives ports that are 0 a number: first those of `old` in order that the new definition does not name, then the lowest of
 * [min, max] that is_used does not know. false: the range is used up. Nothing to do with require_ports. */
bool app_assign_ports(struct app *a, const struct app *old, int min, int max, bool (*is_used)(void *ctx, int port),
                      void *ctx);

/* One element of healthChecks. */
void app_write_health_check(const struct app_health_check *c, struct json_writer *w);

const char *app_operator_name(enum app_operator op);
const char *app_check_protocol_name(enum app_check_protocol p);

/* Used by app*.c only. */
void *app_alloc(struct app *a, size_t size);
char *app_strdup(struct app *a, const char *s);
bool app_read(struct app *a, const json_t *json, const struct app_context *context, struct problems *problems);
void app_validate(const struct app *a, const struct app_context *context, struct problems *problems);
void app_check_schema(const json_t *json, bool is_update, struct problems *problems);
void app_check_supported(const json_t *json, struct problems *problems);
void app_normalise(json_t *json, struct problems *problems);
