/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/containers.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/text.h"

enum { ID_BYTES_MAX = 242 };

/* -- ids ------------------------------------------------------------------------------------------------------ */

static int check_id(const char *id, struct err *err)
{
    if (id[0] == '\0')
        return err_set(err, -EINVAL, "ID must not be empty");
    if (strlen(id) > ID_BYTES_MAX)
        return err_set(err, -EINVAL, "ID must not be greater than %d characters", ID_BYTES_MAX);
    if (strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
        return err_set(err, -EINVAL, "'%s' is disallowed", id);
    for (const char *at = id; *at != '\0'; at++)
        if (iscntrl((unsigned char)*at) || *at == '/' || *at == '\\')
            return err_set(err, -EINVAL, "'%s' contains invalid characters", id);
    if (!text_is_valid_container_id(id))
        return err_set(err, -EINVAL, "'ContainerID.value' '%s' contains invalid characters", id);
    return 0;
}

const char *agent_container_path(const Mesos__V1__ContainerID *id, struct arena *arena, struct err *err)
{
    const char *path = "";
    int depth = 0;
    for (const Mesos__V1__ContainerID *at = id; at != NULL; at = at->parent, depth++) {
        if (depth == AGENT_CONTAINER_DEPTH_MAX) {
            (void)err_set(err, -EINVAL, "more than %d containers inside each other", AGENT_CONTAINER_DEPTH_MAX);
            return NULL;
        }
        if (check_id(at->value, err) < 0) {
            for (int i = 0; i < depth; i++)
                (void)err_wrap(err, -EINVAL, "'ContainerID.parent' is invalid");
            return NULL;
        }
        path = arena_printf(arena, "%s%s%s", at->value, path[0] ? "." : "", path);
    }
    return path;
}

Mesos__V1__ContainerID *agent_container_id(const char *path, struct arena *arena)
{
    Mesos__V1__ContainerID *outer = NULL;
    for (const char *at = path;;) {
        size_t len = strcspn(at, ".");
        Mesos__V1__ContainerID *id = arena_new_one(arena, Mesos__V1__ContainerID);
        mesos__v1__container_id__init(id);
        id->value = arena_printf(arena, "%.*s", (int)len, at);
        id->parent = outer;
        outer = id;
        if (at[len] == '\0')
            return outer;
        at += len + 1;
    }
}

/* -- the table ------------------------------------------------------------------------------------------------ */

void agent_containers_init(struct agent_containers *c, uint64_t seed)
{
    map_init(&c->by_path);
    map_init(&c->by_launcher_id);
    map_init(&c->roots);
    list_init(&c->ended);
    c->ended_count = 0;
    c->forgotten = NULL;
    rng_seed(&c->rng, seed);
}

static void forget(struct agent_containers *c, struct agent_container *one)
{
    if (c->forgotten != NULL)
        c->forgotten(c->ctx, one);
    (void)map_remove(&c->by_path, one->path);
    (void)map_remove(&c->by_launcher_id, one->launcher_id);
    list_remove(&one->in_root);
    struct list *root = map_get(&c->roots, one->root);
    if (root != NULL && list_is_empty(root)) {
        (void)map_remove(&c->roots, one->root);
        free(root);
    }
    if (one->state == AGENT_CONTAINER_ENDED)
        c->ended_count--;
    list_remove(&one->in_ended);
    free((char *)(uintptr_t)one->end.message);
    for (size_t i = 0; i < one->env_count; i++)
        free(one->env[i]);
    free(one->env);
    free(one->user);
    free(one->sandbox);
    free(one->path);
    free(one);
}

void agent_containers_deinit(struct agent_containers *c)
{
    c->forgotten = NULL;
    for (struct map_entry *e; (e = map_first(&c->by_path)) != NULL;)
        forget(c, map_value(e));
    map_deinit(&c->by_path);
    map_deinit(&c->by_launcher_id);
    map_deinit(&c->roots);
}

struct agent_container *agent_container_find(const struct agent_containers *c, const char *path)
{
    return map_get(&c->by_path, path);
}

struct agent_container *agent_container_of_launcher(const struct agent_containers *c, const char *launcher_id)
{
    return map_get(&c->by_launcher_id, launcher_id);
}

int agent_container_restore(struct agent_containers *c, const char *path, const char *launcher_id,
                            enum agent_container_kind kind, const char *root, const char *sandbox, bool has_tty,
                            struct agent_container **out)
{
    if (map_get(&c->by_path, path) != NULL || map_get(&c->by_launcher_id, launcher_id) != NULL)
        return -EEXIST;
    struct agent_container *one = xcalloc(1, sizeof(*one));
    CHECK(strlen(launcher_id) < sizeof(one->launcher_id) && (root == NULL || strlen(root) < sizeof(one->root)));
    strcpy(one->launcher_id, launcher_id);
    strcpy(one->root, root == NULL ? launcher_id : root);
    one->path = xstrdup(path);
    one->kind = kind;
    one->sandbox = xstrdup(sandbox);
    one->has_tty = has_tty;
    list_init(&one->in_ended);
    struct list *all = map_get(&c->roots, one->root);
    if (all == NULL) {
        all = xcalloc(1, sizeof(*all));
        list_init(all);
        (void)map_put(&c->roots, one->root, all);
    }
    list_push_back(all, &one->in_root);
    (void)map_put(&c->by_path, one->path, one);
    (void)map_put(&c->by_launcher_id, one->launcher_id, one);
    *out = one;
    return 0;
}

int agent_container_add(struct agent_containers *c, const char *path, enum agent_container_kind kind, const char *root,
                        const char *sandbox, bool has_tty, struct agent_container **out)
{
    uint8_t bytes[16];
    char launcher_id[UUID_TEXT_SIZE];
    if (map_get(&c->by_path, path) != NULL)
        return -EEXIST;
    if (map_count(&c->by_path) - c->ended_count >= AGENT_CONTAINERS_MAX)
        return -ENOSPC;
    rng_uuid(&c->rng, bytes, launcher_id);
    return agent_container_restore(c, path, launcher_id, kind, root, sandbox, has_tty, out);
}

void agent_container_set_environment(struct agent_container *one, const char *user, const struct launcher_env *env,
                                     size_t count)
{
    one->user = user != NULL ? xstrdup(user) : NULL;
    one->env = xcalloc(count + 1, sizeof(*one->env));
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(env[i].name) + strlen(env[i].value) + 2;
        one->env[i] = xmalloc(len);
        (void)snprintf(one->env[i], len, "%s=%s", env[i].name, env[i].value);
    }
    one->env_count = count;
}

bool agent_container_started(struct agent_containers *c, const char *launcher_id, int pid)
{
    struct agent_container *one = map_get(&c->by_launcher_id, launcher_id);
    if (one == NULL)
        return false;
    if (one->state == AGENT_CONTAINER_STARTING)
        one->state = AGENT_CONTAINER_RUNNING;
    one->pid = pid;
    return true;
}

bool agent_container_ended(struct agent_containers *c, const char *launcher_id, const struct launcher_end *end)
{
    struct agent_container *one = map_get(&c->by_launcher_id, launcher_id);
    if (one == NULL || one->state == AGENT_CONTAINER_ENDED)
        return one != NULL;
    one->state = AGENT_CONTAINER_ENDED;
    one->end = *end;
    one->end.message = xstrdup(end->message);
    list_push_back(&c->ended, &one->in_ended);
    if (++c->ended_count > AGENT_CONTAINERS_ENDED_MAX)
        forget(c, container_of(c->ended.next, struct agent_container, in_ended));
    return true;
}

void agent_containers_root_ended(struct agent_containers *c, const char *launcher_id)
{
    struct list *all = map_get(&c->roots, launcher_id);
    if (all == NULL)
        return;
    struct list now;
    list_init(&now);
    for (struct list *n; (n = list_pop_front(all)) != NULL;)
        list_push_back(&now, n);
    (void)map_remove(&c->roots, launcher_id);
    free(all);
    /* Nobody can name them any more: those that still run are forgotten as well, the launcher ends them with the root. */
    for (struct list *n; (n = list_pop_front(&now)) != NULL;)
        forget(c, container_of(n, struct agent_container, in_root));
}

void agent_containers_inside_ended(struct agent_containers *c, const struct agent_container *standalone)
{
    struct list *all = map_get(&c->roots, standalone->root);
    list_for_each(it, all)
    {
        struct agent_container *one = container_of(it, struct agent_container, in_root);
        if (one != standalone)
            forget(c, one); /* the list stays: the standalone one is in it */
    }
}

void agent_container_remove(struct agent_containers *c, struct agent_container *one)
{
    CHECK(one->state == AGENT_CONTAINER_ENDED);
    forget(c, one);
}

void agent_containers_check_invariants(const struct agent_containers *c)
{
    size_t ended = 0, in_roots = 0;
    CHECK(map_count(&c->by_path) == map_count(&c->by_launcher_id));
    for (struct map_entry *e = map_first(&c->by_path); e != NULL; e = map_next(e)) {
        const struct agent_container *one = map_value(e);
        CHECK(map_get(&c->by_launcher_id, one->launcher_id) == one);
        CHECK(strcmp(map_key(e), one->path) == 0);
        CHECK(map_get(&c->roots, one->root) != NULL);
        CHECK((one->state == AGENT_CONTAINER_ENDED) == (one->end.message != NULL));
        ended += one->state == AGENT_CONTAINER_ENDED;
    }
    for (struct map_entry *e = map_first(&c->roots); e != NULL; e = map_next(e)) {
        const struct list *all = map_value(e);
        CHECK(!list_is_empty(all));
        list_for_each(it, all) in_roots++;
    }
    CHECK(in_roots == map_count(&c->by_path));
    CHECK(ended == c->ended_count && ended <= AGENT_CONTAINERS_ENDED_MAX);
}
