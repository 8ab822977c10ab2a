/* SPDX-License-Identifier: Apache-2.0
 * api_launch.c - containers started by the operator API: sessions, others inside a container, standalone ones.
 *
 *     checked -> in the table -> on disk (no session) -> at the launcher -> answered when it has started or failed */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/api_containers_internal.h"
#include "agent/launch.h"
#include "agent/media.h"
#include "common/base/check.h"

/* A launch that is answered when the launcher has news. */
struct pending_launch {
    struct agent_shell *shell;
    struct http_exchange *x; /* NULL: the client has gone */
    char launcher_id[UUID_TEXT_SIZE];
    bool is_session;
    struct agent_stream_format format;
    struct arena *arena; /* of the spec, while the record is written */
    struct launcher_spec *spec;
};

static void launch_free(struct pending_launch *l)
{
    (void)map_remove(&l->shell->launches, l->launcher_id);
    (void)arena_free(l->arena);
    free(l);
}

void api_launches_free(struct agent_shell *s)
{
    for (struct map_entry *e; (e = map_first(&s->launches)) != NULL;)
        launch_free(map_value(e));
}

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

void api_launch_started(struct agent_shell *s, const char *launcher_id)
{
    struct pending_launch *l = map_get(&s->launches, launcher_id);
    if (l == NULL)
        return;
    if (l->is_session)
        begin_session(l);
    else if (l->x != NULL)
        http_reply(l->x, 200, NULL, NULL, 0);
    launch_free(l);
}

/* Room in the table under this id, or an answer. */
static struct agent_container *add(struct api_call *c, const struct api_target *t, enum agent_container_kind kind,
                                   const char *root, const char *sandbox, bool has_tty)
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

static bool check_command(struct api_call *c, const Mesos__V1__CommandInfo *command,
                          const Mesos__V1__ContainerInfo *container, const struct api_target *parent)
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
static bool find_parent(struct api_call *c, const Mesos__V1__ContainerID *id, struct api_target *parent)
{
    struct err err = {""};
    api_find_target(c, id->parent, agent_container_path(id->parent, c->arena, &err), parent);
    if (parent->launcher_id != NULL && (parent->made == NULL || parent->made->state == AGENT_CONTAINER_RUNNING) &&
        (parent->made != NULL || parent->executor->started))
        return true;
    http_reply_text(c->x, 500, "Parent container %s does not run", parent->path);
    return false;
}

/* It ended before anything was heard of its start. */
void api_launch_ended(struct agent_shell *s, const char *launcher_id, const struct launcher_end *end)
{
    struct pending_launch *l = map_get(&s->launches, launcher_id);
    if (l == NULL)
        return;
    if (l->x != NULL) {
        http_exchange_on_closed(l->x, NULL, NULL);
        if (end->reason == LAUNCHER_END_LAUNCH_FAILED || end->status < 0)
            http_reply_text(l->x, 500, "Failed to launch container: %s", end->message);
        else
            http_reply(l->x, 200, NULL, NULL, 0);
    }
    launch_free(l);
}

/* -- the calls ------------------------------------------------------------------------------------------------ */

static struct pending_launch *pend(struct api_call *c, struct agent_container *made, bool is_session,
                                   struct agent_stream_format format)
{
    struct pending_launch *l = xcalloc(1, sizeof(*l));
    *l = (struct pending_launch){.shell = c->shell, .x = c->x, .is_session = is_session, .format = format};
    strcpy(l->launcher_id, made->launcher_id);
    (void)map_put(&c->shell->launches, l->launcher_id, l);
    http_exchange_on_closed(c->x, on_launch_closed, l);
    return l;
}

/* In the container that the new one is inside of. arena: as long as the spec lives. */
static struct launcher_spec *spec_inside(struct api_call *c, const struct api_target *parent, const char *sandbox,
                                         const Mesos__V1__CommandInfo *command, const Mesos__V1__ContainerInfo *container,
                                         struct arena *arena)
{
    const struct agent *a = c->shell->core;
    if (parent->executor != NULL)
        return agent_launch_inside_spec(a, parent->executor, parent->group_task, sandbox, command, container, arena);
    const struct agent_container *root = agent_container_of_launcher(&c->shell->containers, parent->made->root);
    if (root == NULL)
        root = parent->made;
    return agent_launch_inside_standalone_spec(a, root->launcher_id, root->user, root->env, root->env_count, sandbox,
                                               command, container, arena);
}

static const char *sandbox_of(struct api_call *c, const struct api_target *t)
{
    const struct agent *a = c->shell->core;
    if (t->made != NULL)
        return t->made->sandbox;
    const char *sandbox = arena_printf(c->arena, "%s/%s", a->config.work_dir, t->executor->directory);
    return t->group_task == NULL ? sandbox : arena_printf(c->arena, "%s/containers/%s", sandbox, t->group_id);
}

static const char *root_of(const struct api_target *parent)
{
    return parent->executor != NULL ? parent->executor->container_id : parent->made->root;
}

void api_launch_session(struct api_call *c, const Mesos__V1__Agent__Call__LaunchNestedContainerSession *m)
{
    struct api_target t, parent;
    struct agent_stream_format format;
    if (!api_take_id(c, m->container_id, true, &t) || !agent_media_of_stream(c->x, c->request, &format) ||
        !find_parent(c, m->container_id, &parent) || !check_command(c, m->command, m->container, &parent))
        return;
    parent.permit.parent_user = parent.permit.user;
    if (!agent_permits_launch_nested_container_session(c->shell, c->x, &parent.permit)) {
        api_reply_forbidden(c);
        return;
    }
    struct launcher_spec *spec = spec_inside(c, &parent, sandbox_of(c, &parent), m->command, m->container, c->arena);
    struct agent_container *made = add(c, &t, AGENT_CONTAINER_SESSION, root_of(&parent), spec->sandbox, spec->tty);
    if (made == NULL)
        return;
    (void)pend(c, made, true, format);
    spec->container_id = made->launcher_id;
    spec->session = true;
    c->shell->launcher->ops->launch(c->shell->launcher, spec);
}

/* The record is on disk: an agent that dies from here on finds the container again. */
static void on_stored(void *ctx, uint64_t token, int result)
{
    (void)token;
    struct pending_launch *l = ctx;
    struct agent_shell *s = l->shell;
    struct agent_container *made = agent_container_of_launcher(&s->containers, l->launcher_id);
    if (made != NULL && result == 0) {
        s->launcher->ops->launch(s->launcher, l->spec);
        return;
    }
    if (l->x != NULL)
        http_reply_text(l->x, 500, "Failed to launch container: %s",
                        result == 0 ? "the container that it is inside of has ended" : "its record cannot be written");
    if (made != NULL) {
        const struct launcher_end end = {.reason = LAUNCHER_END_LAUNCH_FAILED, .status = -1, .message = ""};
        (void)agent_container_ended(&s->containers, l->launcher_id, &end);
        agent_container_remove(&s->containers, made);
    }
    launch_free(l);
}

static void store_and_launch(struct api_call *c, struct agent_container *made, struct launcher_spec *spec,
                             struct arena *arena)
{
    struct pending_launch *l = pend(c, made, false, (struct agent_stream_format){.is_recordio = false});
    spec->container_id = arena_strdup(arena, made->launcher_id);
    l->spec = spec;
    l->arena = arena;
    container_store_put(c->shell, made, on_stored, l);
}

void api_launch_nested(struct api_call *c, const Mesos__V1__ContainerID *id, const Mesos__V1__CommandInfo *command,
                       const Mesos__V1__ContainerInfo *container)
{
    struct api_target t, parent;
    if (!api_take_id(c, id, true, &t) || !find_parent(c, id, &parent) || !check_command(c, command, container, &parent))
        return;
    parent.permit.parent_user = parent.permit.user;
    if (!agent_permits_launch_nested_container(c->shell, c->x, &parent.permit)) {
        api_reply_forbidden(c);
        return;
    }
    struct arena *arena = arena_new(0);
    const char *sandbox = arena_printf(arena, "%s/containers/%s", sandbox_of(c, &parent), id->value);
    /* The call's own strings end with it. */
    command = (const void *)wire_copy(&command->base, arena);
    struct launcher_spec *spec = command == NULL ? NULL : spec_inside(c, &parent, sandbox, command, container, arena);
    struct agent_container *made =
        spec == NULL ? NULL : add(c, &t, AGENT_CONTAINER_NESTED, root_of(&parent), spec->sandbox, spec->tty);
    if (made == NULL) {
        (void)arena_free(arena);
        return;
    }
    if (spec->parent != NULL)
        spec->parent = arena_strdup(arena, spec->parent);
    if (spec->user != NULL)
        spec->user = arena_strdup(arena, spec->user);
    store_and_launch(c, made, spec, arena);
}

void api_launch_standalone(struct api_call *c, const Mesos__V1__Agent__Call__LaunchContainer *m)
{
    struct api_target t;
    if (!api_take_id(c, m->container_id, false, &t))
        return;
    const char *why = agent_launch_standalone_refusal(m, c->arena);
    if (why != NULL) {
        http_reply_text(c->x, 400, "Failed to validate agent::Call: launch_container.%s", why);
        return;
    }
    t.permit.user = m->command->user;
    if (!agent_permits_launch_standalone_container(c->shell, c->x, &t.permit)) {
        api_reply_forbidden(c);
        return;
    }
    if (t.executor != NULL) {
        http_reply_text(c->x, 400, "Container '%s' is that of an executor", t.path);
        return;
    }
    struct arena *arena = arena_new(0);
    const struct agent *a = c->shell->core;
    const char *sandbox = arena_printf(arena, "%s/containers/%s", a->config.work_dir, m->container_id->value);
    m = (const void *)wire_copy(&m->base, arena);
    struct launcher_spec *spec = m == NULL ? NULL : agent_launch_standalone_spec(a, m, sandbox, arena);
    struct agent_container *made =
        spec == NULL ? NULL : add(c, &t, AGENT_CONTAINER_STANDALONE, NULL, spec->sandbox, spec->tty);
    if (made == NULL) {
        (void)arena_free(arena);
        return;
    }
    agent_container_set_environment(made, spec->user, spec->env, spec->env_count);
    store_and_launch(c, made, spec, arena);
}
