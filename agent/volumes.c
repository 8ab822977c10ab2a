/* SPDX-License-Identifier: Apache-2.0
 * volumes.c - persistent volumes on the disk (facts: mesos 6.5):
 *
 *     BASE/volumes/roles/ROLE/ID      a volume; BASE is work_dir, or the root of a PATH disk; "/" in ROLE is a space
 *     BASE/volumes/removed/UUID-N     destroyed ones, until they are empty
 *
 * A volume on a MOUNT disk is the root of that disk. Everything above ID is the agent's, ID and all below belongs to tasks:
 * every step is taken by descriptor and no link is followed. Destroying renames, which is one step for the disk; emptying
 * goes on afterwards, some names a turn, and is taken up again at the next start. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/launch.h"
#include "agent/shell.h"
#include "common/base/check.h"
#include "common/base/cleanup.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/text.h"

#define STEPS_PER_TURN 256 /* names handled before the loop gets its turn */

/* A directory to empty. */
struct job {
    struct list link;
    int fd;
    struct answer *answer; /* waits for it; NULL: nobody does */
};

/* What becomes of one operation. */
struct answer {
    struct list link;
    char *operation;
    size_t waiting; /* jobs */
    int result;
    char *text;
};

struct agent_volumes {
    struct agent_shell *shell;
    int work_fd;
    struct loop_timer *timer;
    struct list jobs, answers;
    uint64_t next_name;
};

/* -- places ----------------------------------------------------------------------------------------------------- */

static int open_step(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

/* The directory `name` in `at`, made if it is missing. */
static int open_made(int at, const char *name)
{
    if (mkdirat(at, name, 0755) == 0) {
        if (fsync(at) != 0)
            return -errno;
    } else if (errno != EEXIST) {
        return -errno;
    }
    return open_step(at, name);
}

static bool is_mount_disk(const Mesos__V1__Resource *r)
{
    return r->disk->source != NULL && r->disk->source->type == MESOS__V1__RESOURCE__DISK_INFO__SOURCE__TYPE__MOUNT;
}

/* The disk's own directory: the agent's configuration names it, so links in it are meant. */
static int open_base(const struct agent_volumes *v, const Mesos__V1__Resource *r)
{
    const Mesos__V1__Resource__DiskInfo__Source *s = r->disk->source;
    const char *root = ".";
    if (s != NULL && s->path != NULL && s->path->root != NULL)
        root = s->path->root;
    else if (s != NULL && s->mount != NULL && s->mount->root != NULL)
        root = s->mount->root;
    int fd = openat(v->work_fd, root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

static int open_in_volumes(int base, const char *name)
{
    cleanup_close int volumes = open_made(base, "volumes");
    return volumes >= 0 ? open_made(volumes, name) : volumes;
}

static int open_role(int base, const char *role)
{
    cleanup_close int roles = open_in_volumes(base, "roles");
    if (roles < 0)
        return roles;
    cleanup_free char *name = agent_volume_role_name(role);
    return open_made(roles, name);
}

static const char *role_of(const Mesos__V1__Resource *r)
{
    return r->n_reservations > 0 ? r->reservations[r->n_reservations - 1]->role : NULL;
}

/* -- making ----------------------------------------------------------------------------------------------------- */

static int is_empty(int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    if (dir == NULL) {
        int rc = -errno;
        if (copy >= 0)
            (void)close(copy);
        return rc;
    }
    int names = 0;
    errno = 0;
    while (names <= 2 && readdir(dir) != NULL)
        names++;
    int rc = errno != 0 ? -errno : names <= 2;
    (void)closedir(dir);
    return rc;
}

static int create(const struct agent_volumes *v, const Mesos__V1__Resource *r, bool is_repeated)
{
    cleanup_close int base = open_base(v, r);
    if (base < 0 || is_mount_disk(r))
        return base < 0 ? base : 0;
    cleanup_close int role = open_role(base, role_of(r));
    if (role < 0)
        return role;
    if (mkdirat(role, r->disk->persistence->id, 0755) == 0)
        return fsync(role) == 0 ? 0 : -errno;
    if (errno != EEXIST)
        return -errno;
    /* Data of another volume must not become part of this one. */
    cleanup_close int fd = open_step(role, r->disk->persistence->id);
    if (fd < 0 || is_repeated)
        return fd < 0 ? fd : 0;
    int empty = is_empty(fd);
    return empty < 0 ? empty : empty ? 0 : -EEXIST;
}

/* -- removing --------------------------------------------------------------------------------------------------- */

static void add_job(struct agent_volumes *v, int fd, struct answer *answer)
{
    struct job *j = xcalloc(1, sizeof(*j));
    j->fd = fd;
    j->answer = answer;
    if (answer != NULL)
        answer->waiting++;
    list_push_back(&v->jobs, &j->link);
}

static int destroy(struct agent_volumes *v, const Mesos__V1__Resource *r, struct answer *answer, size_t index)
{
    cleanup_close int base = open_base(v, r);
    if (base < 0)
        return base;
    if (is_mount_disk(r)) { /* the root stays, so its emptying is waited for */
        add_job(v, steal_fd(&base), answer);
        return 0;
    }
    cleanup_close int role = open_role(base, role_of(r));
    cleanup_close int removed = role >= 0 ? open_in_volumes(base, "removed") : role;
    if (removed < 0)
        return removed;
    cleanup_free char *name = NULL;
    if (asprintf(&name, "%s-%zu", answer->operation, index) < 0)
        return -ENOMEM;
    if (renameat(role, r->disk->persistence->id, removed, name) != 0 && errno != ENOENT)
        return -errno; /* one that is not there was destroyed before a crash */
    if (fsync(role) != 0 || fsync(removed) != 0)
        return -errno;
    add_job(v, steal_fd(&removed), NULL);
    return 0;
}

static void finish_job(struct job *j, int result)
{
    if (result < 0)
        log_warning("what is left of a destroyed volume cannot be removed: %s", strerror(-result));
    if (j->answer != NULL) {
        j->answer->waiting--;
        if (result < 0 && j->answer->result == 0)
            j->answer->result = result;
    }
    list_remove(&j->link);
    (void)close(j->fd);
    free(j);
}

/* -- answers ---------------------------------------------------------------------------------------------------- */

static void free_answer(struct answer *w)
{
    list_remove(&w->link);
    free(w->operation);
    free(w->text);
    free(w);
}

/* The first answer that nothing is waited for; the core may ask for more volumes meanwhile. */
static bool answer_one(struct agent_volumes *v)
{
    list_for_each(it, &v->answers)
    {
        struct answer *w = container_of(it, struct answer, link);
        if (w->waiting > 0)
            continue;
        if (w->result < 0 && w->text == NULL)
            w->text = xstrdup(strerror(-w->result));
        struct agent_event in = {.type = AGENT_IN_VOLUMES_DONE,
                                 .volumes_done = {.operation = w->operation, .result = w->result, .text = w->text}};
        list_remove(&w->link);
        agent_shell_event(v->shell, &in);
        free_answer(w);
        return true;
    }
    return false;
}

static void on_timer(void *ctx)
{
    struct agent_volumes *v = ctx;
    while (answer_one(v))
        ;
    if (list_is_empty(&v->jobs))
        return;
    struct job *j = container_of(v->jobs.next, struct job, link);
    int n = agent_directory_empty(j->fd, STEPS_PER_TURN, &v->next_name);
    if (n <= 0)
        finish_job(j, n);
    loop_timer_start(v->timer, 0);
}

static char *explain(const Mesos__V1__Resource *r, bool is_create, int result)
{
    char *text = NULL;
    if (asprintf(&text, "persistent volume '%s' of role '%s' cannot be %s: %s", r->disk->persistence->id, role_of(r),
                 is_create ? "made" : "removed",
                 result == -EEXIST ? "its directory exists and is not empty" : strerror(-result)) < 0)
        return NULL;
    return text;
}

void agent_volumes_carry_out(struct agent_volumes *v, const struct agent_effect *e)
{
    struct answer *w = xcalloc(1, sizeof(*w));
    w->operation = xstrdup(e->volumes.operation);
    list_push_back(&v->answers, &w->link);
    for (size_t i = 0; i < e->volumes.count && w->result == 0; i++) {
        const Mesos__V1__Resource *r = e->volumes.list[i];
        CHECK(r->disk != NULL && r->disk->persistence != NULL && text_is_valid_id(r->disk->persistence->id) &&
              role_of(r) != NULL); /* a conversion of the core */
        w->result = e->volumes.is_create ? create(v, r, e->volumes.is_repeated) : destroy(v, r, w, i);
        if (w->result < 0)
            w->text = explain(r, e->volumes.is_create, w->result);
    }
    loop_timer_start(v->timer, 0);
}

/* -- life ------------------------------------------------------------------------------------------------------- */

int agent_volumes_new(struct agent_shell *s, struct agent_volumes **out, struct err *err)
{
    int fd = open(s->work_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, -errno, "work directory %s", s->work_dir);
    struct agent_volumes *v = xcalloc(1, sizeof(*v));
    v->shell = s;
    v->work_fd = fd;
    list_init(&v->jobs);
    list_init(&v->answers);
    v->timer = loop_timer_add(s->loop, on_timer, v);
    if (getrandom(&v->next_name, sizeof(v->next_name), GRND_NONBLOCK) < 0)
        v->next_name = 0;
    /* What was destroyed and not emptied before the last end. */
    cleanup_close int volumes = open_step(fd, "volumes");
    cleanup_close int removed = volumes >= 0 ? open_step(volumes, "removed") : volumes;
    if (removed >= 0) {
        add_job(v, steal_fd(&removed), NULL);
        loop_timer_start(v->timer, 0);
    }
    *out = v;
    return 0;
}

struct agent_volumes *agent_volumes_free(struct agent_volumes *v)
{
    if (v == NULL)
        return NULL;
    (void)loop_timer_remove(v->timer);
    list_for_each(it, &v->jobs)
    {
        struct job *j = container_of(it, struct job, link);
        list_remove(&j->link);
        (void)close(j->fd);
        free(j);
    }
    list_for_each(it, &v->answers) free_answer(container_of(it, struct answer, link));
    (void)close(v->work_fd);
    free(v);
    return NULL;
}
