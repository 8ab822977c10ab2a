/* SPDX-License-Identifier: Apache-2.0
 * api_containers.c - launches inside containers, sessions, waiting, signals, attachments: from calls to the launcher, and
 * the answers when its news come. */
#include "agent/api_containers.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/launch.h"
#include "agent/media.h"
#include "agent/permits.h"
#include "agent/view.h"
#include "common/base/check.h"
#include "common/base/text.h"

typedef Mesos__V1__Agent__Call Call;
typedef Mesos__V1__Agent__Response Response;

#define CALL(x) MESOS__V1__AGENT__CALL__TYPE__##x
#define STREAM_PENDING_MAX (1u << 20)

/* A launch that is answered when the launcher has news. */
struct pending_launch {
    struct agent_shell *shell;
    struct http_exchange *x; /* NULL: the client has gone */
    char launcher_id[UUID_TEXT_SIZE];
    bool is_session;
    struct agent_stream_format format;
};

/* One who waits for an end. */
struct pending_wait {
    struct list in_waits; /* a list of shell->waits */
    struct agent_shell *shell;
    struct http_exchange *x;
    char launcher_id[UUID_TEXT_SIZE];
    enum wire_format format;
    bool is_nested_call;
};

/* What a ContainerID names. */
struct target {
    const char *path;
    const char *launcher_id;               /* NULL: there is no such container */
    struct agent_container *made;          /* by this API, or: */
    const struct agent_executor *executor; /* of the outermost container; NULL when that is standalone */
    const struct agent_task *group_task;   /* a task of a group, inside the executor's container; NULL: none */
    const char *group_id;                  /* its own id there */
    struct agent_permit_object permit;
};

struct call {
    struct agent_shell *shell;
    struct http_exchange *x;
    const struct http_message *request;
    struct arena *arena;
    const char *field; /* of the call, for error texts */
};

void agent_api_containers_init(struct agent_shell *s, uint64_t seed)
{
    agent_containers_init(&s->containers, seed);
    agent_attachments_init(&s->attachments);
    map_init(&s->launches);
    map_init(&s->waits);
}

static void launch_free(struct pending_launch *l)
{
    (void)map_remove(&l->shell->launches, l->launcher_id);
    free(l);
}

static void wait_free(struct pending_wait *w)
{
    struct list *all = map_get(&w->shell->waits, w->launcher_id);
    list_remove(&w->in_waits);
    if (all != NULL && list_is_empty(all)) {
        (void)map_remove(&w->shell->waits, w->launcher_id);
        free(all);
    }
    free(w);
}

void agent_api_containers_deinit(struct agent_shell *s)
{
    for (struct map_entry *e; (e = map_first(&s->launches)) != NULL;)
        launch_free(map_value(e));
    CHECK(map_count(&s->waits) == 0); /* the stopped servers have told each of them */
    map_deinit(&s->launches);
    map_deinit(&s->waits);
    agent_attachments_deinit(&s->attachments);
    agent_containers_deinit(&s->containers);
}

/* -- names ---------------------------------------------------------------------------------------------------- */

/* A task of a group is told by its newest status; its container is inside the executor's. */
static const struct agent_task *find_group_task(const struct agent_executor *e, const char *id, struct arena *arena)
{
    for (struct map_entry *it = map_first(&e->tasks); it != NULL; it = map_next(it)) {
        const struct agent_task *t = map_value(it);
        const struct list *newest = t->update_count > 0 ? t->updates.prev : t->history.prev;
        if (newest == &t->updates || newest == &t->history)
            continue;
        const struct agent_update *u = container_of(newest, struct agent_update, link);
        const Mesos__V1__TaskStatus *status = agent_unpack(&mesos__v1__task_status__descriptor, u->status, u->len, arena);
        const Mesos__V1__ContainerID *c = status->container_status ? status->container_status->container_id : NULL;
        if (c != NULL && c->parent != NULL && strcmp(c->value, id) == 0)
            return t;
    }
    return NULL;
}

static const Mesos__V1__ContainerID *outermost(const Mesos__V1__ContainerID *id)
{
    while (id->parent != NULL)
        id = id->parent;
    return id;
}

static void fill_permit(struct call *c, struct target *t)
{
    if (t->executor == NULL)
        return;
    const Mesos__V1__ExecutorInfo *info = agent_view_executor_info(t->executor, c->arena);
    t->permit.framework_id = t->executor->framework->id;
    t->permit.executor_id = t->executor->id;
    t->permit.user = info->command && info->command->user ? info->command->user : t->executor->framework->user;
}

/* The path is valid already. */
static void find_target(struct call *c, const Mesos__V1__ContainerID *id, const char *path, struct target *t)
{
    const struct agent_shell *s = c->shell;
    *t = (struct target){.path = path, .made = agent_container_find(&s->containers, path)};
    t->executor = map_get(&s->core->containers, outermost(id)->value);
    if (t->made != NULL) {
        t->launcher_id = t->made->launcher_id;
    } else if (t->executor != NULL && id->parent == NULL) {
        t->launcher_id = t->executor->container_id;
    } else if (t->executor != NULL && id->parent->parent == NULL &&
               (t->group_task = find_group_task(t->executor, id->value, c->arena)) != NULL) {
        t->launcher_id = t->executor->container_id;
        t->group_id = id->value;
    }
    fill_permit(c, t);
}

/* False when the request was answered. needs_parent: of the old calls and of what is always inside another. */
static bool take_id(struct call *c, const Mesos__V1__ContainerID *id, bool needs_parent, struct target *t)
{
    struct err err = {""};
    const char *path = agent_container_path(id, c->arena, &err);
    if (path == NULL) {
        http_reply_text(c->x, 400, "Failed to validate agent::Call: '%s.container_id' is invalid: %s", c->field, err.text);
        return false;
    }
    if (needs_parent && id->parent == NULL) {
        http_reply_text(c->x, 400, "Failed to validate agent::Call: Expecting '%s.container_id.parent' to be present",
                        c->field);
        return false;
    }
    find_target(c, id, path, t);
    return true;
}

static bool is_standalone(const struct target *t)
{
    return t->executor == NULL;
}

static void reply_forbidden(struct call *c)
{
    http_reply(c->x, 403, NULL, NULL, 0);
}

static void reply_unknown(struct call *c, const struct target *t)
{
    http_reply_text(c->x, 404, "Container '%s' cannot be found", t->path);
}

/* -- launching ------------------------------------------------------------------------------------------------ */

void agent_api_stream_begin(struct http_exchange *x, struct agent_stream_format format, size_t pending_max)
{
    if (format.is_recordio)
        http_add_header(x, "Message-Content-Type", wire_media_type(format.record));
    http_stream_begin(x, 200, format.is_recordio ? "application/recordio" : wire_media_type(format.record), pending_max);
}

static void on_launch_closed(void *ctx, struct http_exchange *x)
{
    (void)x;
    struct pending_launch *l = ctx;
    struct agent_shell *s = l->shell;
    l->x = NULL;
    if (l->is_session)
        s->launcher->ops->destroy(s->launcher, l->launcher_id);
}

static void begin_session(struct pending_launch *l)
{
    struct agent_shell *s = l->shell;
    struct err err = {""};
    if (l->x == NULL)
        return; /* it is being destroyed */
    http_exchange_on_closed(l->x, NULL, NULL);
    int rc = agent_attach_output(s, l->launcher_id, true, l->x, l->format, &err);
    if (rc == -ENOENT) { /* it has ended already, without output */
        agent_api_stream_begin(l->x, l->format, 0);
        http_stream_end(l->x);
    } else if (rc != 0) {
        s->launcher->ops->destroy(s->launcher, l->launcher_id);
        http_reply_text(l->x, 500, "%s", err.text);
    }
}

void agent_api_container_started(struct agent_shell *s, const char *launcher_id, int pid)
{
    (void)agent_container_started(&s->containers, launcher_id, pid);
    struct pending_launch *l = map_get(&s->launches, launcher_id);
    if (l == NULL)
        return;
    if (l->is_session)
        begin_session(l);
    else if (l->x != NULL)
        http_reply(l->x, 200, NULL, NULL, 0);
    launch_free(l);
}

static void start(struct call *c, struct agent_container *made, struct launcher_spec *spec, bool is_session,
                  struct agent_stream_format format)
{
    struct agent_shell *s = c->shell;
    struct pending_launch *l = xcalloc(1, sizeof(*l));
    *l = (struct pending_launch){.shell = s, .x = c->x, .is_session = is_session, .format = format};
    strcpy(l->launcher_id, made->launcher_id);
    (void)map_put(&s->launches, l->launcher_id, l);
    http_exchange_on_closed(c->x, on_launch_closed, l);
    spec->container_id = made->launcher_id;
    spec->session = is_session;
    s->launcher->ops->launch(s->launcher, spec);
}

/* Room in the table under this id, or an answer. */
static struct agent_container *add(struct call *c, const struct target *t, enum agent_container_kind kind, const char *root,
                                   const char *sandbox, bool has_tty)
{
    struct agent_container *made;
    int rc = agent_container_add(&c->shell->containers, t->path, kind, root, sandbox, has_tty, &made);
    if (rc == 0)
        return made;
    if (rc == -EEXIST)
        http_reply(c->x, 202, NULL, NULL, 0); /* facts: mesos 4.3 */
    else
        http_reply_text(c->x, 500, "There are %d containers of this kind already", AGENT_CONTAINERS_MAX);
    return NULL;
}

static bool check_command(struct call *c, const Mesos__V1__CommandInfo *command, const Mesos__V1__ContainerInfo *container,
                          const struct target *parent)
{
    const char *why = agent_launch_inside_refusal(command, container, c->arena);
    if (why == NULL && command->user != NULL && parent->permit.user != NULL &&
        strcmp(command->user, parent->permit.user) != 0)
        why = "command.user is not supported by this agent: a container runs as the user of that which it is inside of";
    if (why == NULL)
        return true;
    http_reply_text(c->x, 400, "Failed to validate agent::Call: %s.%s", c->field, why);
    return false;
}

/* The container that is to be entered, named by the parent of the new one's id. */
static bool find_parent(struct call *c, const Mesos__V1__ContainerID *id, struct target *parent)
{
    struct err err = {""};
    find_target(c, id->parent, agent_container_path(id->parent, c->arena, &err), parent);
    if (parent->launcher_id != NULL && (parent->made == NULL || parent->made->state == AGENT_CONTAINER_RUNNING) &&
        (parent->made != NULL || parent->executor->started))
        return true;
    http_reply_text(c->x, 500, "Parent container %s does not run", parent->path);
    return false;
}

static struct launcher_spec *spec_inside(struct call *c, const struct target *parent, const Mesos__V1__CommandInfo *command,
                                         const Mesos__V1__ContainerInfo *container)
{
    const struct agent *a = c->shell->core;
    const char *sandbox = parent->made ? parent->made->sandbox : NULL;
    if (parent->group_task != NULL)
        sandbox = arena_printf(c->arena, "%s/%s/containers/%s", a->config.work_dir, parent->executor->directory,
                               parent->group_id);
    return agent_launch_inside_spec(a, parent->executor, parent->group_task, sandbox, command, container, c->arena);
}

static void launch_session(struct call *c, const Call *call)
{
    const Mesos__V1__Agent__Call__LaunchNestedContainerSession *m = call->launch_nested_container_session;
    struct target t, parent;
    struct agent_stream_format format;
    if (!take_id(c, m->container_id, true, &t) || !agent_media_of_stream(c->x, c->request, &format) ||
        !find_parent(c, m->container_id, &parent) || !check_command(c, m->command, m->container, &parent))
        return;
    parent.permit.parent_user = parent.permit.user;
    if (!agent_permits_launch_nested_container_session(c->shell, c->x, &parent.permit)) {
        reply_forbidden(c);
        return;
    }
    if (parent.executor == NULL) {
        http_reply_text(c->x, 400, "Sessions in standalone containers are not supported by this agent");
        return;
    }
    struct launcher_spec *spec = spec_inside(c, &parent, m->command, m->container);
    struct agent_container *made =
        add(c, &t, AGENT_CONTAINER_SESSION, parent.executor->container_id, spec->sandbox, spec->tty);
    if (made != NULL)
        start(c, made, spec, true, format);
}

/* -- ends ----------------------------------------------------------------------------------------------------- */

static Mesos__V1__TaskResourceLimitation *memory_limitation(int64_t bytes, struct arena *arena)
{
    Mesos__V1__TaskResourceLimitation *l = arena_new_one(arena, Mesos__V1__TaskResourceLimitation);
    mesos__v1__task_resource_limitation__init(l);
    Mesos__V1__Resource *r = arena_new_one(arena, Mesos__V1__Resource);
    mesos__v1__resource__init(r);
    r->name = arena_strdup(arena, "mem");
    r->type = MESOS__V1__VALUE__TYPE__SCALAR;
    r->scalar = arena_new_one(arena, Mesos__V1__Value__Scalar);
    mesos__v1__value__scalar__init(r->scalar);
    r->scalar->value = (double)bytes / (1 << 20);
    l->n_resources = 1;
    l->resources = arena_memdup(arena, &r, sizeof(Mesos__V1__Resource *));
    return l;
}

/* The two answers have the same fields under the same numbers. */
static void reply_end(struct http_exchange *x, enum wire_format format, bool is_nested_call, const struct launcher_end *end)
{
    struct arena *arena = arena_new(0);
    Mesos__V1__Agent__Response__WaitContainer w = MESOS__V1__AGENT__RESPONSE__WAIT_CONTAINER__INIT;
    w.has_exit_status = end->status >= 0;
    w.exit_status = end->status;
    if (end->reason == LAUNCHER_END_MEMORY) {
        w.has_state = w.has_reason = true;
        w.state = MESOS__V1__TASK_STATE__TASK_FAILED;
        w.reason = MESOS__V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION_MEMORY;
        w.limitation = memory_limitation(end->memory_limit_bytes, arena);
    }
    if (end->reason != LAUNCHER_END_EXITED)
        w.message = arena_strdup(arena, end->message);
    Mesos__V1__Agent__Response__WaitNestedContainer n = MESOS__V1__AGENT__RESPONSE__WAIT_NESTED_CONTAINER__INIT;
    n.has_exit_status = w.has_exit_status;
    n.exit_status = w.exit_status;
    n.has_state = w.has_state;
    n.state = w.state;
    n.has_reason = w.has_reason;
    n.reason = w.reason;
    n.limitation = w.limitation;
    n.message = w.message;
    Response answer = MESOS__V1__AGENT__RESPONSE__INIT;
    answer.has_type = true;
    answer.type = is_nested_call ? MESOS__V1__AGENT__RESPONSE__TYPE__WAIT_NESTED_CONTAINER
                                 : MESOS__V1__AGENT__RESPONSE__TYPE__WAIT_CONTAINER;
    answer.wait_container = is_nested_call ? NULL : &w;
    answer.wait_nested_container = is_nested_call ? &n : NULL;
    struct buf out;
    buf_init(&out, 0);
    CHECK(wire_encode(format, &answer.base, &out) == 0); /* a few hundred bytes */
    http_reply(x, 200, wire_media_type(format), buf_data(&out), buf_len(&out));
    buf_deinit(&out);
    (void)arena_free(arena);
}

static void answer_waits(struct agent_shell *s, const char *launcher_id, const struct launcher_end *end)
{
    struct list *all;
    while ((all = map_get(&s->waits, launcher_id)) != NULL) {
        struct pending_wait *w = container_of(all->next, struct pending_wait, in_waits);
        reply_end(w->x, w->format, w->is_nested_call, end);
        wait_free(w);
    }
}

/* It ended before anything was heard of its start. */
static void answer_launch(struct pending_launch *l, const struct launcher_end *end)
{
    if (l->x != NULL) {
        http_exchange_on_closed(l->x, NULL, NULL);
        if (end->reason == LAUNCHER_END_LAUNCH_FAILED || end->status < 0)
            http_reply_text(l->x, 500, "Failed to launch container: %s", end->message);
        else
            http_reply(l->x, 200, NULL, NULL, 0);
    }
    launch_free(l);
}

void agent_api_container_ended(struct agent_shell *s, const char *launcher_id, const struct launcher_end *end)
{
    struct pending_launch *l = map_get(&s->launches, launcher_id);
    bool is_failed = l != NULL && end->reason == LAUNCHER_END_LAUNCH_FAILED;
    char id[UUID_TEXT_SIZE];
    CHECK(strlen(launcher_id) < sizeof(id));
    strcpy(id, launcher_id); /* the argument may go with its container */
    (void)agent_container_ended(&s->containers, id, end);
    answer_waits(s, id, end);
    if (l != NULL)
        answer_launch(l, end);
    struct agent_container *made = agent_container_of_launcher(&s->containers, id);
    if (made != NULL && is_failed)
        agent_container_remove(&s->containers, made); /* its id can be used again */
    if (made == NULL)
        agent_containers_root_ended(&s->containers, id);
}

/* -- waiting, signals, removal -------------------------------------------------------------------------------- */

static void on_wait_closed(void *ctx, struct http_exchange *x)
{
    (void)x;
    wait_free(ctx);
}

static void wait_for(struct call *c, const Mesos__V1__ContainerID *id, bool is_nested_call)
{
    struct target t;
    enum wire_format format;
    if (!take_id(c, id, is_nested_call, &t) || !agent_media_of_answer(c->x, c->request, &format))
        return;
    bool may = is_standalone(&t) ? agent_permits_wait_standalone_container(c->shell, c->x, &t.permit)
                                 : agent_permits_wait_nested_container(c->shell, c->x, &t.permit);
    if (!may) {
        reply_forbidden(c);
        return;
    }
    if (t.launcher_id == NULL || t.group_task != NULL) {
        reply_unknown(c, &t);
        return;
    }
    if (t.made != NULL && t.made->state == AGENT_CONTAINER_ENDED) {
        reply_end(c->x, format, is_nested_call, &t.made->end);
        return;
    }
    struct pending_wait *w = xcalloc(1, sizeof(*w));
    *w = (struct pending_wait){.shell = c->shell, .x = c->x, .format = format, .is_nested_call = is_nested_call};
    strcpy(w->launcher_id, t.launcher_id);
    struct list *all = map_get(&c->shell->waits, w->launcher_id);
    if (all == NULL) {
        all = xcalloc(1, sizeof(*all));
        list_init(all);
        (void)map_put(&c->shell->waits, w->launcher_id, all);
    }
    list_push_back(all, &w->in_waits);
    http_exchange_on_closed(c->x, on_wait_closed, w);
}

static void kill_one(struct call *c, const Mesos__V1__ContainerID *id, bool has_signal, int signo, bool is_nested_call)
{
    struct target t;
    if (!take_id(c, id, is_nested_call, &t))
        return;
    bool may = is_standalone(&t) ? agent_permits_kill_standalone_container(c->shell, c->x, &t.permit)
                                 : agent_permits_kill_nested_container(c->shell, c->x, &t.permit);
    if (!may) {
        reply_forbidden(c);
        return;
    }
    if (t.launcher_id == NULL || t.group_task != NULL) {
        http_reply_text(c->x, 404, "Container '%s' cannot be found (or is already killed)", t.path);
        return;
    }
    int rc = c->shell->launcher->ops->signal(c->shell->launcher, t.launcher_id, has_signal ? signo : SIGKILL);
    if (rc == 0)
        http_reply(c->x, 200, NULL, NULL, 0);
    else if (rc == -ENOENT || rc == -ESRCH)
        http_reply_text(c->x, 404, "Container '%s' cannot be found (or is already killed)", t.path);
    else if (rc == -EINVAL)
        http_reply_text(c->x, 400, "%d is not a signal", signo);
    else
        http_reply_text(c->x, 500, "Container '%s': %s", t.path, strerror(-rc));
}

static void remove_one(struct call *c, const Mesos__V1__ContainerID *id, bool is_nested_call)
{
    struct target t;
    if (!take_id(c, id, is_nested_call, &t))
        return;
    bool may = is_standalone(&t) ? agent_permits_remove_standalone_container(c->shell, c->x, &t.permit)
                                 : agent_permits_remove_nested_container(c->shell, c->x, &t.permit);
    if (!may)
        reply_forbidden(c);
    else if (t.launcher_id != NULL && (t.made == NULL || t.made->state != AGENT_CONTAINER_ENDED))
        http_reply_text(c->x, 500, "Failed to remove container '%s': it has not terminated yet", t.path);
    else {
        if (t.made != NULL)
            agent_container_remove(&c->shell->containers, t.made);
        http_reply(c->x, 200, NULL, NULL, 0);
    }
}

/* -- attaching ------------------------------------------------------------------------------------------------ */

static void attach_output(struct call *c, const Mesos__V1__ContainerID *id)
{
    struct target t;
    struct agent_stream_format format;
    struct err err = {""};
    if (!take_id(c, id, false, &t) || !agent_media_of_stream(c->x, c->request, &format))
        return;
    if (!agent_permits_attach_container_output(c->shell, c->x, &t.permit))
        reply_forbidden(c);
    else if (t.launcher_id == NULL)
        reply_unknown(c, &t);
    else if (t.made != NULL && t.made->state == AGENT_CONTAINER_STARTING)
        http_reply_text(c->x, 500, "Container '%s' does not run yet", t.path);
    else if (agent_attach_output(c->shell, t.launcher_id, false, c->x, format, &err) != 0)
        http_reply_text(c->x, 500, "Failed to attach to the output of container '%s': %s", t.path, err.text);
}

int agent_api_container_for_input(struct agent_shell *s, struct http_exchange *x, const Mesos__V1__ContainerID *id,
                                  struct arena *arena, const char **launcher_id, struct err *err)
{
    struct call c = {.shell = s, .x = x, .arena = arena};
    struct target t;
    const char *path = agent_container_path(id, arena, err);
    if (path == NULL) {
        (void)err_wrap(err, 0, "Failed to validate agent::Call: 'attach_container_input.container_id' is invalid");
        return 400;
    }
    find_target(&c, id, path, &t);
    if (!agent_permits_attach_container_input(s, x, &t.permit)) {
        err->text[0] = '\0';
        return 403;
    }
    if (t.launcher_id == NULL) {
        (void)err_set(err, 0, "Container '%s' cannot be found", path);
        return 404;
    }
    if (t.made != NULL && t.made->state != AGENT_CONTAINER_RUNNING) {
        (void)err_set(err, 0, "Container '%s' does not run", path);
        return 500;
    }
    *launcher_id = t.launcher_id;
    return 0;
}

/* -- calls ---------------------------------------------------------------------------------------------------- */

/* False when the message of the call's type is missing, which was answered. */
static bool expect(struct call *c, const char *field, const void *message)
{
    c->field = field;
    if (message != NULL)
        return true;
    http_reply_text(c->x, 400, "Failed to validate agent::Call: Expecting '%s' to be present", field);
    return false;
}

bool agent_api_containers(struct agent_shell *s, struct http_exchange *x, const struct http_message *request,
                          const Call *call, struct arena *arena)
{
    struct call c = {.shell = s, .x = x, .request = request, .arena = arena};
    switch (call->type) {
    case CALL(LAUNCH_NESTED_CONTAINER_SESSION):
        if (expect(&c, "launch_nested_container_session", call->launch_nested_container_session))
            launch_session(&c, call);
        return true;
    case CALL(ATTACH_CONTAINER_OUTPUT):
        if (expect(&c, "attach_container_output", call->attach_container_output))
            attach_output(&c, call->attach_container_output->container_id);
        return true;
    case CALL(WAIT_CONTAINER):
        if (expect(&c, "wait_container", call->wait_container))
            wait_for(&c, call->wait_container->container_id, false);
        return true;
    case CALL(WAIT_NESTED_CONTAINER):
        if (expect(&c, "wait_nested_container", call->wait_nested_container))
            wait_for(&c, call->wait_nested_container->container_id, true);
        return true;
    case CALL(KILL_CONTAINER):
        if (expect(&c, "kill_container", call->kill_container))
            kill_one(&c, call->kill_container->container_id, call->kill_container->has_signal, call->kill_container->signal,
                     false);
        return true;
    case CALL(KILL_NESTED_CONTAINER):
        if (expect(&c, "kill_nested_container", call->kill_nested_container))
            kill_one(&c, call->kill_nested_container->container_id, call->kill_nested_container->has_signal,
                     call->kill_nested_container->signal, true);
        return true;
    case CALL(REMOVE_CONTAINER):
        if (expect(&c, "remove_container", call->remove_container))
            remove_one(&c, call->remove_container->container_id, false);
        return true;
    case CALL(REMOVE_NESTED_CONTAINER):
        if (expect(&c, "remove_nested_container", call->remove_nested_container))
            remove_one(&c, call->remove_nested_container->container_id, true);
        return true;
    default:
        return false;
    }
}
