/* SPDX-License-Identifier: Apache-2.0
 * directories.c - the tree of sandboxes:
 *
 *     work_dir/slaves/S/frameworks/F/executors/E/runs/{C, latest -> C}
 *
 * Everything above C is the agent's, C itself belongs to the task's user. Every step is taken by descriptor and without
 * following links. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/shell.h"
#include "common/base/check.h"
#include "common/base/cleanup.h"

#define STEPS_PER_TURN 256 /* names handled before the loop gets its turn */

struct agent_dirs {
    struct agent_shell *shell;
    int work_fd;
    struct loop_timer *timer;
    char *container_id, *directory; /* being removed, NULL: none */
    uint64_t next_name;
};

int agent_dirs_new(struct agent_shell *s, struct agent_dirs **out, struct err *err)
{
    int fd = open(s->work_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, -errno, "work directory %s", s->work_dir);
    struct agent_dirs *d = xcalloc(1, sizeof(*d));
    d->shell = s;
    d->work_fd = fd;
    /* a removal that was cut off left names behind which a count from 0 would meet */
    if (getrandom(&d->next_name, sizeof(d->next_name), GRND_NONBLOCK) < 0)
        d->next_name = 0;
    *out = d;
    return 0;
}

struct agent_dirs *agent_dirs_free(struct agent_dirs *d)
{
    if (d == NULL)
        return NULL;
    (void)loop_timer_remove(d->timer);
    (void)close(d->work_fd);
    free(d->container_id);
    free(d->directory);
    free(d);
    return NULL;
}

static int open_step(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

/* Opens the directory of a relative path's first n components, making them if asked. n < 0: all but the last -n. */
static int open_parents(const struct agent_dirs *d, const char *path, int drop, bool make)
{
    int fd = open_step(d->work_fd, ".");
    char *copy = xstrdup(path), *save = NULL;
    int total = 1, done = 0;
    for (const char *p = path; *p; p++)
        total += *p == '/';
    for (char *name = strtok_r(copy, "/", &save); name != NULL && fd >= 0 && done < total - drop; done++) {
        if (make && mkdirat(fd, name, 0755) != 0 && errno != EEXIST) {
            int rc = -errno;
            (void)close(fd);
            fd = rc;
            break;
        }
        int next = open_step(fd, name);
        (void)close(fd);
        fd = next;
        name = strtok_r(NULL, "/", &save);
    }
    free(copy);
    return fd;
}

int agent_dirs_prepare(struct agent_dirs *d, const char *directory, struct err *err)
{
    cleanup_close int runs = open_parents(d, directory, 1, true);
    if (runs < 0)
        return err_sys(err, runs, "directories of sandbox %s", directory);
    const char *run = strrchr(directory, '/') + 1;
    (void)unlinkat(runs, "latest.new", 0); /* of a crash in between */
    if (symlinkat(run, runs, "latest.new") != 0 || renameat(runs, "latest.new", runs, "latest") != 0)
        return err_sys(err, -errno, "link latest beside sandbox %s", directory);
    return 0;
}

int agent_dirs_open(const struct agent_dirs *d, const char *directory)
{
    return open_parents(d, directory, 0, false);
}

/* -- removal -------------------------------------------------------------------------------------------------- */

/* Empties one directory. A sub-directory that is not empty is moved up to `top` and met there again, so that neither depth
 * nor descriptors grow with what a task has left behind. Returns the names handled, or -errno. */
static int empty_some(uint64_t *next_name, int top, int fd, bool is_top, int budget)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    if (dir == NULL) {
        int rc = -errno;
        if (copy >= 0)
            (void)close(copy);
        return rc;
    }
    int done = 0, rc = 0;
    for (const struct dirent *e; done < budget && rc == 0 && (errno = 0, e = readdir(dir)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        done++;
        if (unlinkat(fd, e->d_name, 0) == 0)
            continue;
        if (errno != EISDIR && errno != EPERM) {
            rc = -errno;
            break;
        }
        if (unlinkat(fd, e->d_name, AT_REMOVEDIR) == 0)
            continue;
        if (errno != ENOTEMPTY && errno != EEXIST) {
            rc = -errno;
            break;
        }
        if (!is_top) {
            char name[40];
            snprintf(name, sizeof(name), ".removing-%llu", (unsigned long long)++*next_name);
            if (renameat(fd, e->d_name, top, name) != 0)
                rc = -errno;
            continue;
        }
        cleanup_close int sub = open_step(fd, e->d_name);
        if (sub < 0) {
            rc = sub;
            break;
        }
        (void)fchmod(sub, 0700); /* a task may have taken our own permission away */
        int inner = empty_some(next_name, top, sub, false, budget - done);
        if (inner < 0)
            rc = inner;
        else
            done += inner;
    }
    (void)closedir(dir);
    return rc < 0 ? rc : done;
}

int agent_directory_empty(int fd, int budget, uint64_t *next_name)
{
    return empty_some(next_name, fd, fd, true, budget);
}

static void drop_link_and_parents(struct agent_dirs *d)
{
    const char *run = strrchr(d->directory, '/') + 1;
    cleanup_close int runs = open_parents(d, d->directory, 1, false);
    char target[256];
    ssize_t n = runs >= 0 ? readlinkat(runs, "latest", target, sizeof(target) - 1) : -1;
    if (n > 0 && (size_t)n == strlen(run) && memcmp(target, run, (size_t)n) == 0)
        (void)unlinkat(runs, "latest", 0);
    /* runs, E, executors, F: as far as they are empty; a run being prepared keeps them by its link */
    for (int drop = 2; drop <= 5; drop++) {
        char *path = xstrdup(d->directory);
        for (int i = 0; i < drop - 1; i++)
            *strrchr(path, '/') = '\0';
        cleanup_close int parent = open_parents(d, path, 1, false);
        int rc = parent >= 0 ? unlinkat(parent, strrchr(path, '/') + 1, AT_REMOVEDIR) : -1;
        free(path);
        if (rc != 0)
            break;
    }
}

static void finish(struct agent_dirs *d, int result)
{
    char *container_id = d->container_id;
    if (result == 0)
        drop_link_and_parents(d);
    free(d->directory);
    d->container_id = d->directory = NULL;
    struct agent_event in = {.type = AGENT_IN_SANDBOX_REMOVED,
                             .sandbox_removed = {.container_id = container_id, .result = result}};
    agent_shell_event(d->shell, &in);
    free(container_id);
}

static void on_timer(void *ctx)
{
    struct agent_dirs *d = ctx;
    cleanup_close int parent = open_parents(d, d->directory, 1, false);
    cleanup_close int top = parent >= 0 ? open_step(parent, strrchr(d->directory, '/') + 1) : parent;
    if (top == -ENOENT) {
        finish(d, 0);
        return;
    }
    if (top >= 0)
        (void)fchmod(top, 0700); /* as above */
    int n = top >= 0 ? empty_some(&d->next_name, top, top, true, STEPS_PER_TURN) : top;
    if (n < 0) {
        finish(d, n);
    } else if (n > 0) {
        loop_timer_start(d->timer, 0);
    } else {
        int rc = unlinkat(parent, strrchr(d->directory, '/') + 1, AT_REMOVEDIR) == 0 ? 0 : -errno;
        finish(d, rc);
    }
}

void agent_dirs_remove(struct agent_dirs *d, const char *container_id, const char *directory)
{
    CHECK(d->container_id == NULL); /* the core asks for one at a time */
    d->container_id = xstrdup(container_id);
    d->directory = xstrdup(directory);
    if (d->timer == NULL)
        d->timer = loop_timer_add(d->shell->loop, on_timer, d);
    loop_timer_start(d->timer, 0);
}
