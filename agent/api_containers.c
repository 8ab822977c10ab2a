/* SPDX-License-Identifier: Apache-2.0
 * api_containers.c - the calls about containers: what a ContainerID names, waiting for ends, signals, attachments. */
#include "agent/api_containers_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/media.h"
#include "agent/view.h"
#include "common/base/check.h"
#include "common/base/text.h"

typedef Mesos__V1__Agent__Call Call;
typedef Mesos__V1__Agent__Response Response;

#define CALL(x) MESOS__V1__AGENT__CALL__TYPE__##x

/* One who waits for an end. */
struct pending_wait {
    struct list in_waits; /* a list of shell->waits */
    struct agent_shell *shell;
    struct http_exchange *x;
    char launcher_id[UUID_TEXT_SIZE];
    enum wire_format format;
    bool is_nested_call;
};

void agent_api_containers_init(struct agent_shell *s, uint64_t seed)
{
    agent_containers_init(&s->containers, seed);
    agent_attachments_init(&s->attachments);
    container_store_init(s);
    map_init(&s->launches);
    map_init(&s->waits);
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
    api_launches_free(s);
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

static void fill_permit(struct api_call *c, struct api_target *t)
{
    if (t->executor == NULL) {
        const struct agent_container *root =
            t->made == NULL ? NULL : agent_container_of_launcher(&c->shell->containers, t->made->root);
        t->permit.user = root != NULL ? root->user : NULL;
        return;
    }
    const Mesos__V1__ExecutorInfo *info = agent_view_executor_info(t->executor, c->arena);
    t->permit.framework_id = t->executor->framework->id;
    t->permit.executor_id = t->executor->id;
    t->permit.user = info->command && info->command->user ? info->command->user : t->executor->framework->user;
}

/* The path is valid already. */
void api_find_target(struct api_call *c, const Mesos__V1__ContainerID *id, const char *path, struct api_target *t)
{
    const struct agent_shell *s = c->shell;
    *t = (struct api_target){.path = path, .made = agent_container_find(&s->containers, path)};
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
bool api_take_id(struct api_call *c, const Mesos__V1__ContainerID *id, bool needs_parent, struct api_target *t)
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
    api_find_target(c, id, path, t);
    return true;
}

static bool is_standalone(const struct api_target *t)
{
    return t->executor == NULL;
}

void api_reply_forbidden(struct api_call *c)
{
    http_reply(c->x, 403, NULL, NULL, 0);
}

static void reply_unknown(struct api_call *c, const struct api_target *t)
{
    http_reply_text(c->x, 404, "Container '%s' cannot be found", t->path);
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

void agent_api_container_started(struct agent_shell *s, const char *launcher_id, int pid)
{
    (void)agent_container_started(&s->containers, launcher_id, pid);
    api_launch_started(s, launcher_id);
}

void agent_api_container_ended(struct agent_shell *s, const char *launcher_id, const struct launcher_end *end)
{
    char id[UUID_TEXT_SIZE];
    CHECK(strlen(launcher_id) < sizeof(id));
    strcpy(id, launcher_id); /* the argument may go with its container */
    bool is_pending = map_get(&s->launches, id) != NULL;
    (void)agent_container_ended(&s->containers, id, end);
    answer_waits(s, id, end);
    api_launch_ended(s, id, end);
    struct agent_container *made = agent_container_of_launcher(&s->containers, id);
    if (made == NULL) {
        agent_containers_root_ended(&s->containers, id);
        return;
    }
    if (made->kind == AGENT_CONTAINER_STANDALONE)
        agent_containers_inside_ended(&s->containers, made);
    if (is_pending && end->reason == LAUNCHER_END_LAUNCH_FAILED)
        agent_container_remove(&s->containers, made); /* its id can be used again */
    else if (made->kind != AGENT_CONTAINER_SESSION)
        container_store_put(s, made, NULL, NULL);
}

/* -- waiting, signals, removal -------------------------------------------------------------------------------- */

static void on_wait_closed(void *ctx, struct http_exchange *x)
{
    (void)x;
    wait_free(ctx);
}

static void wait_for(struct api_call *c, const Mesos__V1__ContainerID *id, bool is_nested_call)
{
    struct api_target t;
    enum wire_format format;
    if (!api_take_id(c, id, is_nested_call, &t) || !agent_media_of_answer(c->x, c->request, &format))
        return;
    bool may = is_standalone(&t) ? agent_permits_wait_standalone_container(c->shell, c->x, &t.permit)
                                 : agent_permits_wait_nested_container(c->shell, c->x, &t.permit);
    if (!may) {
        api_reply_forbidden(c);
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

static void kill_one(struct api_call *c, const Mesos__V1__ContainerID *id, bool has_signal, int signo, bool is_nested_call)
{
    struct api_target t;
    if (!api_take_id(c, id, is_nested_call, &t))
        return;
    bool may = is_standalone(&t) ? agent_permits_kill_standalone_container(c->shell, c->x, &t.permit)
                                 : agent_permits_kill_nested_container(c->shell, c->x, &t.permit);
    if (!may) {
        api_reply_forbidden(c);
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

static void remove_one(struct api_call *c, const Mesos__V1__ContainerID *id, bool is_nested_call)
{
    struct api_target t;
    if (!api_take_id(c, id, is_nested_call, &t))
        return;
    bool may = is_standalone(&t) ? agent_permits_remove_standalone_container(c->shell, c->x, &t.permit)
                                 : agent_permits_remove_nested_container(c->shell, c->x, &t.permit);
    if (!may)
        api_reply_forbidden(c);
    else if (t.launcher_id != NULL && (t.made == NULL || t.made->state != AGENT_CONTAINER_ENDED))
        http_reply_text(c->x, 500, "Failed to remove container '%s': it has not terminated yet", t.path);
    else {
        if (t.made != NULL)
            agent_container_remove(&c->shell->containers, t.made);
        http_reply(c->x, 200, NULL, NULL, 0);
    }
}

/* -- attaching ------------------------------------------------------------------------------------------------ */

static void attach_output(struct api_call *c, const Mesos__V1__ContainerID *id)
{
    struct api_target t;
    struct agent_stream_format format;
    struct err err = {""};
    if (!api_take_id(c, id, false, &t) || !agent_media_of_stream(c->x, c->request, &format))
        return;
    if (!agent_permits_attach_container_output(c->shell, c->x, &t.permit))
        api_reply_forbidden(c);
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
    struct api_call c = {.shell = s, .x = x, .arena = arena};
    struct api_target t;
    const char *path = agent_container_path(id, arena, err);
    if (path == NULL) {
        (void)err_wrap(err, 0, "Failed to validate agent::Call: 'attach_container_input.container_id' is invalid");
        return 400;
    }
    api_find_target(&c, id, path, &t);
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
static bool expect(struct api_call *c, const char *field, const void *message)
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
    struct api_call c = {.shell = s, .x = x, .request = request, .arena = arena};
    switch (call->type) {
    case CALL(LAUNCH_NESTED_CONTAINER_SESSION):
        if (expect(&c, "launch_nested_container_session", call->launch_nested_container_session))
            api_launch_session(&c, call->launch_nested_container_session);
        return true;
    case CALL(LAUNCH_NESTED_CONTAINER):
        if (expect(&c, "launch_nested_container", call->launch_nested_container))
            api_launch_nested(&c, call->launch_nested_container->container_id, call->launch_nested_container->command,
                              call->launch_nested_container->container);
        return true;
    case CALL(LAUNCH_CONTAINER):
        if (!expect(&c, "launch_container", call->launch_container))
            return true;
        if (call->launch_container->container_id->parent == NULL)
            api_launch_standalone(&c, call->launch_container);
        else if (call->launch_container->n_resources > 0 || call->launch_container->n_limits > 0)
            http_reply_text(x, 400,
                            "Failed to validate agent::Call: launch_container.resources are not supported by this "
                            "agent for a container inside another, which is in the groups of that");
        else
            api_launch_nested(&c, call->launch_container->container_id, call->launch_container->command,
                              call->launch_container->container);
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

/* -- listing -------------------------------------------------------------------------------------------------- */

size_t agent_api_containers_count(const struct agent_shell *s)
{
    return map_count(&s->containers.by_path);
}

static Mesos__V1__Agent__Response__GetContainers__Container *
list_one(const struct api_call *c, const struct agent_container *made, const struct agent_executor *e)
{
    struct arena *arena = c->arena;
    Mesos__V1__Agent__Response__GetContainers__Container *out =
        arena_new_one(arena, Mesos__V1__Agent__Response__GetContainers__Container);
    mesos__v1__agent__response__get_containers__container__init(out);
    out->container_id = agent_container_id(made->path, arena);
    out->container_status = arena_new_one(arena, Mesos__V1__ContainerStatus);
    mesos__v1__container_status__init(out->container_status);
    out->container_status->container_id = out->container_id;
    out->container_status->has_executor_pid = made->pid > 0;
    out->container_status->executor_pid = (uint32_t)made->pid;
    if (e != NULL) {
        const Mesos__V1__ExecutorInfo *info = agent_view_executor_info(e, arena);
        out->framework_id = agent_wire_framework_id(arena, e->framework->id);
        out->executor_id = agent_wire_executor_id(arena, e->id);
        out->executor_name = info->name ? info->name : arena_strdup(arena, "");
    }
    return out;
}

void agent_api_containers_list(struct agent_shell *s, struct http_exchange *x,
                               const Mesos__V1__Agent__Call__GetContainers *call, struct arena *arena,
                               Mesos__V1__Agent__Response__GetContainers *answer)
{
    struct api_call c = {.shell = s, .x = x, .arena = arena};
    bool nested = call != NULL && call->has_show_nested && call->show_nested;
    bool standalone = call != NULL && call->has_show_standalone && call->show_standalone;
    for (struct map_entry *e = map_first(&s->containers.by_path); e != NULL && (nested || standalone); e = map_next(e)) {
        struct agent_container *made = map_value(e);
        struct api_target t = {.made = made, .executor = map_get(&s->core->containers, made->root)};
        bool is_outermost = made->kind == AGENT_CONTAINER_STANDALONE;
        if (made->state == AGENT_CONTAINER_ENDED || (is_outermost ? !standalone : !nested) ||
            (t.executor == NULL && !standalone))
            continue;
        fill_permit(&c, &t);
        bool may = t.executor == NULL ? agent_permits_view_standalone_container(s, x, &t.permit)
                                      : agent_permits_view_container(s, x, &t.permit);
        if (may)
            answer->containers[answer->n_containers++] = list_one(&c, made, t.executor);
    }
}
