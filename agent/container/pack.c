/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/pack.h"

#include <errno.h>
#include <string.h>

#include "agent/container/shared/notice.h"
#include "common/base/text.h"

enum { MOUNTS_MAX = 64, SPEC_BYTES_MAX = 8 << 20 };

/* Absolute, without empty, "." or ".." components and without a slash at the end. */
static bool is_plain_path(const char *path)
{
    if (path == NULL || path[0] != '/' || path[1] == '\0')
        return false;
    for (const char *at = path; *at == '/';) {
        size_t len = strcspn(++at, "/");
        if (len == 0 || (len == 1 && at[0] == '.') || (len == 2 && at[0] == '.' && at[1] == '.'))
            return false;
        at += len;
    }
    return true;
}

static int check(const struct launcher_spec *s, struct err *err)
{
    if (s->container_id == NULL || !text_is_valid_container_id(s->container_id) ||
        strlen(s->container_id) >= CONTAINER_ID_SIZE)
        return err_set(err, -EINVAL, "bad container id");
    if (!is_plain_path(s->sandbox))
        return err_set(err, -EINVAL, "sandbox \"%s\": not a plain absolute path", s->sandbox == NULL ? "" : s->sandbox);
    if (s->parent != NULL && (s->mount_count > 0 || s->builtin_executor))
        return err_set(err, -EINVAL, "a container inside another has no mounts and no executor of its own");
    if (s->session && s->parent == NULL)
        return err_set(err, -EINVAL, "a session is inside another container");
    if (!s->builtin_executor && s->shell == NULL && (s->argv == NULL || s->argv[0] == NULL || s->argv[0][0] == '\0'))
        return err_set(err, -EINVAL, "no command");
    if (s->mount_count > MOUNTS_MAX)
        return err_set(err, -EINVAL, "more than %d mounts", MOUNTS_MAX);
    for (size_t i = 0; i < s->mount_count; i++) {
        const struct launcher_mount *m = &s->mounts[i];
        if (m->source == NULL || m->source[0] != '/')
            return err_set(err, -EINVAL, "mount source \"%s\": not an absolute path", m->source == NULL ? "" : m->source);
        if (m->target == NULL || m->target[strspn(m->target, "/")] == '\0')
            return err_set(err, -EINVAL, "mount of %s: the target is empty or the root", m->source);
    }
    for (size_t i = 0; i < s->env_count; i++)
        if (s->env[i].name == NULL || s->env[i].name[0] == '\0' || strchr(s->env[i].name, '=') != NULL)
            return err_set(err, -EINVAL, "environment: bad name \"%s\"", s->env[i].name == NULL ? "" : s->env[i].name);
    return 0;
}

static void pack_command(const struct launcher_spec *s, struct arena *a, Muster__Container__Spec *out)
{
    if (s->builtin_executor) {
        static const char *const executor[] = {"muster", "executor"};
        out->n_argv = 2;
        out->argv = arena_memdup(a, executor, sizeof(executor));
        return;
    }
    if (s->shell != NULL) {
        const char *shell[] = {"/bin/sh", "-c", s->shell};
        out->n_argv = 3;
        out->argv = arena_memdup(a, shell, sizeof(shell));
        return;
    }
    while (s->argv[out->n_argv] != NULL)
        out->n_argv++;
    out->argv = arena_memdup(a, s->argv, out->n_argv * sizeof(*s->argv));
}

static void pack_lists(const struct launcher_spec *s, struct arena *a, Muster__Container__Spec *out)
{
    out->n_env = s->env_count;
    out->env = arena_new_array(a, char *, s->env_count);
    for (size_t i = 0; i < s->env_count; i++)
        out->env[i] = arena_printf(a, "%s=%s", s->env[i].name, s->env[i].value == NULL ? "" : s->env[i].value);
    out->n_uris = s->uri_count;
    out->uris = arena_new_array(a, Muster__Container__Uri *, s->uri_count);
    for (size_t i = 0; i < s->uri_count; i++) {
        Muster__Container__Uri *u = out->uris[i] = arena_new_one(a, Muster__Container__Uri);
        muster__container__uri__init(u);
        u->value = (char *)s->uris[i].value;
        u->output_file = (char *)s->uris[i].output_file;
        u->executable = s->uris[i].executable;
        u->extract = s->uris[i].extract;
    }
    out->n_mounts = s->mount_count;
    out->mounts = arena_new_array(a, Muster__Container__Mount *, s->mount_count);
    for (size_t i = 0; i < s->mount_count; i++) {
        Muster__Container__Mount *m = out->mounts[i] = arena_new_one(a, Muster__Container__Mount);
        muster__container__mount__init(m);
        m->source = (char *)s->mounts[i].source;
        m->target = (char *)s->mounts[i].target;
        m->read_only = s->mounts[i].read_only;
        m->beneath = (char *)s->mounts[i].beneath;
        m->has_give = s->mounts[i].give != LAUNCHER_GIVE_NOT;
        m->give = (uint32_t)s->mounts[i].give;
    }
    out->n_rlimits = s->rlimit_count;
    out->rlimits = arena_new_array(a, Muster__Container__Rlimit *, s->rlimit_count);
    for (size_t i = 0; i < s->rlimit_count; i++) {
        Muster__Container__Rlimit *r = out->rlimits[i] = arena_new_one(a, Muster__Container__Rlimit);
        muster__container__rlimit__init(r);
        r->resource = s->rlimits[i].resource;
        r->soft = s->rlimits[i].soft;
        r->hard = s->rlimits[i].hard;
    }
}

int container_pack_spec(const struct launcher_spec *spec, struct arena *arena, Muster__Container__Spec **out,
                        struct err *err)
{
    int rc = check(spec, err);
    if (rc < 0)
        return rc;
    Muster__Container__Spec *p = arena_new_one(arena, Muster__Container__Spec);
    muster__container__spec__init(p);
    p->container_id = (char *)spec->container_id;
    p->sandbox = (char *)spec->sandbox;
    p->user = (char *)spec->user;
    p->builtin_executor = spec->builtin_executor;
    p->log_bytes_max = spec->log_bytes_max;
    p->parent = (char *)spec->parent;
    p->has_tty = p->has_session = 1;
    p->tty = spec->tty;
    p->session = spec->session;
    p->has_rows = p->has_columns = spec->rows > 0 && spec->columns > 0;
    p->rows = spec->rows;
    p->columns = spec->columns;
    pack_command(spec, arena, p);
    pack_lists(spec, arena, p);
    p->limits = arena_new_one(arena, Muster__Container__Limits);
    muster__container__limits__init(p->limits);
    p->limits->cpu_millis = spec->limits.cpu_millis;
    p->limits->cpu_quota_millis = spec->limits.cpu_quota_millis;
    p->limits->memory_soft_bytes = spec->limits.memory_soft_bytes;
    p->limits->memory_hard_bytes = spec->limits.memory_hard_bytes;
    p->limits->pids_max = spec->limits.pids_max;
    if (muster__container__spec__get_packed_size(p) > SPEC_BYTES_MAX)
        return err_set(err, -EMSGSIZE, "the spec is larger than %d bytes", SPEC_BYTES_MAX);
    *out = p;
    return 0;
}
