/* SPDX-License-Identifier: Apache-2.0
 * api_operator.c - POST /api/v1: queries about this agent (facts: mesos 4). What this version does not do is 501, by name.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/api_containers.h"
#include "agent/drain.h"
#include "agent/files.h"
#include "agent/media.h"
#include "agent/permits.h"
#include "agent/view.h"
#include "common/base/check.h"
#include "common/wire/mesos_version.h"

typedef Mesos__V1__Agent__Call Call;
typedef Mesos__V1__Agent__Response Response;

#define CALL(x) MESOS__V1__AGENT__CALL__TYPE__##x
#define ANSWER(x) MESOS__V1__AGENT__RESPONSE__TYPE__##x
#define NEW(arena, type, init) memcpy(arena_new_one(arena, type), &(type)init, sizeof(type))

struct query {
    struct agent_shell *shell;
    struct http_exchange *x;
    struct arena *arena;
    const Call *call;
    Response *answer;
    int status; /* when not 200 */
    const char *text;
    bool is_empty; /* 200 without a body */
};

static void fail(struct query *q, int status, const char *text)
{
    q->status = status;
    q->text = text;
}

static void get_health(struct query *q)
{
    q->answer->get_health =
        NEW(q->arena, Mesos__V1__Agent__Response__GetHealth, MESOS__V1__AGENT__RESPONSE__GET_HEALTH__INIT);
    q->answer->get_health->healthy = true;
}

struct flag_list {
    struct arena *arena;
    Mesos__V1__Flag **at;
    size_t n;
};

static void add_flag(void *ctx, const char *name, const char *value)
{
    struct flag_list *l = ctx;
    Mesos__V1__Flag *f = NEW(l->arena, Mesos__V1__Flag, MESOS__V1__FLAG__INIT);
    f->name = arena_strdup(l->arena, name);
    f->value = arena_strdup(l->arena, value);
    l->at[l->n++] = f;
}

static void get_flags(struct query *q)
{
    struct flag_list l = {.arena = q->arena, .at = arena_new_array(q->arena, Mesos__V1__Flag *, agent_option_count)};
    options_each(agent_option_defs, agent_option_count, q->shell->options, add_flag, &l);
    q->answer->get_flags = NEW(q->arena, Mesos__V1__Agent__Response__GetFlags, MESOS__V1__AGENT__RESPONSE__GET_FLAGS__INIT);
    q->answer->get_flags->flags = l.at;
    q->answer->get_flags->n_flags = l.n;
}

static void get_version(struct query *q)
{
    Mesos__V1__VersionInfo *v = NEW(q->arena, Mesos__V1__VersionInfo, MESOS__V1__VERSION_INFO__INIT);
    v->version = arena_strdup(q->arena, MESOS_API_VERSION);
    v->git_tag = arena_strdup(q->arena, "muster-" MUSTER_VERSION);
    v->build_date = arena_strdup(q->arena, MESOS_BUILD_DATE);
    v->build_user = arena_strdup(q->arena, MESOS_BUILD_USER);
    v->has_build_time = true;
    v->build_time = MESOS_BUILD_TIME;
    q->answer->get_version =
        NEW(q->arena, Mesos__V1__Agent__Response__GetVersion, MESOS__V1__AGENT__RESPONSE__GET_VERSION__INIT);
    q->answer->get_version->version_info = v;
}

struct metric_list {
    struct arena *arena;
    Mesos__V1__Metric **at;
    size_t n, capacity;
};

static void add_metric(void *ctx, const char *name, double value)
{
    struct metric_list *l = ctx;
    if (l->n == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 128;
        Mesos__V1__Metric **grown = arena_new_array(l->arena, Mesos__V1__Metric *, capacity);
        for (size_t i = 0; i < l->n; i++)
            grown[i] = l->at[i];
        l->at = grown;
        l->capacity = capacity;
    }
    Mesos__V1__Metric *m = NEW(l->arena, Mesos__V1__Metric, MESOS__V1__METRIC__INIT);
    m->name = arena_strdup(l->arena, name);
    m->has_value = true;
    m->value = value;
    l->at[l->n++] = m;
}

static void get_metrics(struct query *q)
{
    if (q->call->get_metrics == NULL) {
        fail(q, 400, "Expecting 'get_metrics' to be present");
        return;
    }
    agent_shell_refresh(q->shell, q->arena);
    struct metric_list l = {.arena = q->arena};
    metrics_each(q->shell->metrics, add_metric, &l);
    q->answer->get_metrics =
        NEW(q->arena, Mesos__V1__Agent__Response__GetMetrics, MESOS__V1__AGENT__RESPONSE__GET_METRICS__INIT);
    q->answer->get_metrics->metrics = l.at;
    q->answer->get_metrics->n_metrics = l.n;
}

static void get_logging_level(struct query *q)
{
    q->answer->get_logging_level =
        NEW(q->arena, Mesos__V1__Agent__Response__GetLoggingLevel, MESOS__V1__AGENT__RESPONSE__GET_LOGGING_LEVEL__INIT);
    q->answer->get_logging_level->level = logging_toggle_level(q->shell->logging);
}

static void set_logging_level(struct query *q)
{
    const Mesos__V1__Agent__Call__SetLoggingLevel *call = q->call->set_logging_level;
    struct err err;
    if (call == NULL)
        fail(q, 400, "Expecting 'set_logging_level' to be present");
    else if (logging_toggle_set(q->shell->logging, call->level, call->duration->nanoseconds, &err) < 0)
        fail(q, 400, arena_strdup(q->arena, err.text));
    else
        q->is_empty = true;
}

/* There are no images yet, so none is left over. */
static void prune_images(struct query *q)
{
    q->is_empty = true;
}

static void list_files(struct query *q)
{
    if (q->call->list_files == NULL) {
        fail(q, 400, "Expecting 'list_files' to be present");
        return;
    }
    Mesos__V1__Agent__Response__ListFiles *answer =
        NEW(q->arena, Mesos__V1__Agent__Response__ListFiles, MESOS__V1__AGENT__RESPONSE__LIST_FILES__INIT);
    int rc = files_list(q->shell, q->call->list_files->path, q->arena, &answer->file_infos, &answer->n_file_infos);
    if (rc == FILES_E_TOO_MANY)
        fail(q, 400, "The directory has too many entries to list");
    else if (rc == FILES_E_NOT_DIRECTORY)
        fail(q, 400, "Not a directory");
    else if (rc != 0)
        fail(q, 404, "No such directory in a known sandbox");
    q->answer->list_files = answer;
}

static void read_file(struct query *q)
{
    const Mesos__V1__Agent__Call__ReadFile *call = q->call->read_file;
    int outcome;
    if (call == NULL) {
        fail(q, 400, "Expecting 'read_file' to be present");
        return;
    }
    int fd = files_open(q->shell, call->path, q->arena, false, &outcome);
    if (fd < 0) {
        fail(q, outcome == FILES_E_NOT_FILE ? 400 : 404,
             outcome == FILES_E_NOT_FILE ? "Not a regular file" : "No such file in a known sandbox");
        return;
    }
    Mesos__V1__Agent__Response__ReadFile *answer =
        NEW(q->arena, Mesos__V1__Agent__Response__ReadFile, MESOS__V1__AGENT__RESPONSE__READ_FILE__INIT);
    off_t size = lseek(fd, 0, SEEK_END);
    size_t want = call->has_length && call->length < FILES_READ_MAX ? (size_t)call->length : FILES_READ_MAX;
    uint8_t *bytes = arena_must_alloc(q->arena, want + 1);
    ssize_t n = call->offset < (uint64_t)INT64_MAX ? pread(fd, bytes, want, (off_t)call->offset) : 0;
    (void)close(fd);
    if (size < 0 || n < 0) {
        fail(q, 500, "The file cannot be read");
        return;
    }
    answer->size = (uint64_t)size;
    answer->data = (ProtobufCBinaryData){.data = bytes, .len = (size_t)n};
    q->answer->read_file = answer;
}

static void get_state(struct query *q)
{
    Mesos__V1__Agent__Response__GetState *state =
        NEW(q->arena, Mesos__V1__Agent__Response__GetState, MESOS__V1__AGENT__RESPONSE__GET_STATE__INIT);
    state->get_tasks = agent_view_tasks(q->shell->core, q->arena);
    state->get_executors = agent_view_executors(q->shell->core, q->arena);
    state->get_frameworks = agent_view_frameworks(q->shell->core, q->arena);
    q->answer->get_state = state;
}

static void get_tasks(struct query *q)
{
    q->answer->get_tasks = agent_view_tasks(q->shell->core, q->arena);
}

static void get_executors(struct query *q)
{
    q->answer->get_executors = agent_view_executors(q->shell->core, q->arena);
}

static void get_frameworks(struct query *q)
{
    q->answer->get_frameworks = agent_view_frameworks(q->shell->core, q->arena);
}

static void get_agent(struct query *q)
{
    q->answer->get_agent = NEW(q->arena, Mesos__V1__Agent__Response__GetAgent, MESOS__V1__AGENT__RESPONSE__GET_AGENT__INIT);
    q->answer->get_agent->agent_info = (Mesos__V1__AgentInfo *)(uintptr_t)agent_view_info(q->shell->core);
    q->answer->get_agent->drain_config = agent_drain_config(q->shell->core, q->arena);
    if (q->answer->get_agent->drain_config != NULL) {
        Mesos__V1__TimeInfo *time = NEW(q->arena, Mesos__V1__TimeInfo, MESOS__V1__TIME_INFO__INIT);
        time->nanoseconds = q->shell->core->drain.start_ms * 1000000;
        q->answer->get_agent->estimated_drain_start_time = time;
    }
}

static Mesos__V1__Agent__Response__GetContainers__Container *container_entry(struct query *q,
                                                                             const struct agent_executor *e)
{
    Mesos__V1__Agent__Response__GetContainers__Container *c =
        NEW(q->arena, Mesos__V1__Agent__Response__GetContainers__Container,
            MESOS__V1__AGENT__RESPONSE__GET_CONTAINERS__CONTAINER__INIT);
    const Mesos__V1__ExecutorInfo *info = agent_view_executor_info(e, q->arena);
    c->framework_id = agent_wire_framework_id(q->arena, e->framework->id);
    c->executor_id = agent_wire_executor_id(q->arena, e->id);
    c->executor_name = info->name ? info->name : arena_strdup(q->arena, "");
    c->container_id = agent_wire_container_id(q->arena, e->container_id);
    c->container_status = NEW(q->arena, Mesos__V1__ContainerStatus, MESOS__V1__CONTAINER_STATUS__INIT);
    c->container_status->container_id = c->container_id;
    c->container_status->has_executor_pid = e->pid > 0;
    c->container_status->executor_pid = (uint32_t)e->pid;
    c->resource_statistics = agent_statistics(q->shell, e, q->arena);
    return c;
}

static void get_containers(struct query *q)
{
    const struct agent *a = q->shell->core;
    Mesos__V1__Agent__Response__GetContainers *answer =
        NEW(q->arena, Mesos__V1__Agent__Response__GetContainers, MESOS__V1__AGENT__RESPONSE__GET_CONTAINERS__INIT);
    answer->containers = arena_new_array(q->arena, Mesos__V1__Agent__Response__GetContainers__Container *,
                                         map_count(&a->containers) + agent_api_containers_count(q->shell) + 1);
    for (struct map_entry *it = map_first(&a->containers); it != NULL; it = map_next(it))
        answer->containers[answer->n_containers++] = container_entry(q, map_value(it));
    agent_api_containers_list(q->shell, q->x, q->call->get_containers, q->arena, answer);
    q->answer->get_containers = answer;
}

static void get_operations(struct query *q)
{
    q->answer->get_operations =
        NEW(q->arena, Mesos__V1__Agent__Response__GetOperations, MESOS__V1__AGENT__RESPONSE__GET_OPERATIONS__INIT);
}

static void get_resource_providers(struct query *q)
{
    q->answer->get_resource_providers = NEW(q->arena, Mesos__V1__Agent__Response__GetResourceProviders,
                                            MESOS__V1__AGENT__RESPONSE__GET_RESOURCE_PROVIDERS__INIT);
}

static const struct {
    Mesos__V1__Agent__Call__Type call;
    Mesos__V1__Agent__Response__Type answer;
    void (*fn)(struct query *q);
} queries[] = {
    {CALL(GET_HEALTH), ANSWER(GET_HEALTH), get_health},
    {CALL(GET_FLAGS), ANSWER(GET_FLAGS), get_flags},
    {CALL(GET_VERSION), ANSWER(GET_VERSION), get_version},
    {CALL(GET_METRICS), ANSWER(GET_METRICS), get_metrics},
    {CALL(GET_LOGGING_LEVEL), ANSWER(GET_LOGGING_LEVEL), get_logging_level},
    {CALL(SET_LOGGING_LEVEL), ANSWER(UNKNOWN), set_logging_level},
    {CALL(PRUNE_IMAGES), ANSWER(UNKNOWN), prune_images},
    {CALL(LIST_FILES), ANSWER(LIST_FILES), list_files},
    {CALL(READ_FILE), ANSWER(READ_FILE), read_file},
    {CALL(GET_STATE), ANSWER(GET_STATE), get_state},
    {CALL(GET_TASKS), ANSWER(GET_TASKS), get_tasks},
    {CALL(GET_EXECUTORS), ANSWER(GET_EXECUTORS), get_executors},
    {CALL(GET_FRAMEWORKS), ANSWER(GET_FRAMEWORKS), get_frameworks},
    {CALL(GET_AGENT), ANSWER(GET_AGENT), get_agent},
    {CALL(GET_CONTAINERS), ANSWER(GET_CONTAINERS), get_containers},
    {CALL(GET_OPERATIONS), ANSWER(GET_OPERATIONS), get_operations},
    {CALL(GET_RESOURCE_PROVIDERS), ANSWER(GET_RESOURCE_PROVIDERS), get_resource_providers},
};

static void send_answer(struct http_exchange *x, const Response *answer, enum wire_format format)
{
    struct buf out;
    buf_init(&out, (size_t)64 << 20);
    if (wire_encode(format, &answer->base, &out) == 0)
        http_reply(x, 200, wire_media_type(format), buf_data(&out), buf_len(&out));
    else
        http_reply_text(x, 500, "The answer is too large");
    buf_deinit(&out);
}

static bool permits(struct query *q, struct http_exchange *x)
{
    const Call *c = q->call;
    if (!agent_permits_query(q->shell, x, c->type))
        return false;
    if (c->type == CALL(LIST_FILES) && c->list_files != NULL)
        return agent_permits_access_sandbox(q->shell, x, c->list_files->path, q->arena);
    if (c->type == CALL(READ_FILE) && c->read_file != NULL)
        return agent_permits_access_sandbox(q->shell, x, c->read_file->path, q->arena);
    return true;
}

static void answer_query(struct query *q, struct http_exchange *x, enum wire_format format)
{
    if (!permits(q, x)) {
        http_reply_text(x, 403, "403 Forbidden");
        return;
    }
    const char *name = wire_enum_name(&mesos__v1__agent__call__type__descriptor, (int)q->call->type);
    fail(q, 501, arena_printf(q->arena, "%s is not supported by this version", name));
    Response answer = MESOS__V1__AGENT__RESPONSE__INIT;
    q->answer = &answer;
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        if (queries[i].call != q->call->type)
            continue;
        q->status = 200;
        answer.has_type = true;
        answer.type = queries[i].answer;
        queries[i].fn(q);
    }
    if (q->status == 200 && q->is_empty)
        http_reply(x, 200, NULL, NULL, 0);
    else if (q->status == 200)
        send_answer(x, &answer, format);
    else
        http_reply_text(x, q->status, "%s", q->text);
}

static void answer_call(struct query *q, struct http_exchange *x, const struct http_message *request, enum wire_format in)
{
    enum wire_format out;
    struct err err = {""};
    q->call = (const void *)wire_decode(in, &mesos__v1__agent__call__descriptor, request->body, request->body_len, q->arena,
                                        &err);
    if (q->call == NULL)
        http_reply_text(x, 400, "Failed to parse the body: %s", err.text);
    else if (!q->call->has_type)
        http_reply_text(x, 400, "Failed to validate agent::Call: Expecting 'type' to be present");
    else if (q->call->type == CALL(ATTACH_CONTAINER_INPUT))
        http_reply_text(x, 415, "Expecting 'Content-Type' of application/recordio for ATTACH_CONTAINER_INPUT call");
    else if (!agent_api_containers(q->shell, x, request, q->call, q->arena) && agent_media_of_answer(x, request, &out))
        answer_query(q, x, out);
}

void agent_api_operator(struct agent_shell *s, struct http_exchange *x, const struct http_message *request)
{
    /* the arena is bounded by what the core holds */
    struct query q = {.shell = s, .x = x, .arena = arena_new(SIZE_MAX / 2), .status = 200};
    struct agent_media media;
    if (strcmp(request->method, "POST") != 0) {
        http_add_header(x, "Allow", "POST");
        http_reply_text(x, 405, "Expecting one of { 'POST' }, but received '%.20s'", request->method);
    } else if (agent_phase(s->core) < AGENT_PHASE_RUNNING) {
        http_reply_text(x, 503, "Agent has not finished recovery");
    } else if (agent_media_of_call(x, request, &media)) {
        if (media.in_is_stream)
            agent_attach_input(s, x, media.in);
        else
            answer_call(&q, x, request, media.in);
    }
    (void)arena_free(q.arena);
}
