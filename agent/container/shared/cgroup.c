/* SPDX-License-Identifier: Apache-2.0
 * cgroup.c - files and folders of control groups. What the numbers mean is in limits.c and usage.c. */
#include "agent/container/shared/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/container/shared/file.h"
#include "common/base/cleanup.h"

static const struct {
    const char *name;
    unsigned bit;
} controllers[] = {
    {"cpu", CONTAINER_CGROUP_CPU},
    {"cpuacct", CONTAINER_CGROUP_CPUACCT},
    {"memory", CONTAINER_CGROUP_MEMORY},
    {"pids", CONTAINER_CGROUP_PIDS},
};
enum { CONTROLLER_COUNT = sizeof(controllers) / sizeof(controllers[0]) };

/* Is `word` one of the words of `text`, which are separated by any of `separators`? */
static bool has_word(const char *text, const char *word, const char *separators)
{
    size_t len = strlen(word);
    while (*text != '\0') {
        size_t n = strcspn(text, separators);
        if (n == len && memcmp(text, word, len) == 0)
            return true;
        text += n;
        text += strspn(text, separators);
    }
    return false;
}

static unsigned controllers_in(const char *text, const char *separators)
{
    unsigned found = 0;
    for (size_t i = 0; i < CONTROLLER_COUNT; i++)
        if (has_word(text, controllers[i].name, separators))
            found |= controllers[i].bit;
    return found;
}

/* mountinfo writes blanks and backslashes in paths as three octal digits. */
static void unescape(char *s)
{
    char *to = s;
    for (const char *from = s; *from != '\0';) {
        if (from[0] == '\\' && from[1] != '\0' && from[2] != '\0' && from[3] != '\0') {
            *to++ = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to++ = *from++;
        }
    }
    *to = '\0';
}

struct mount_line {
    char point[256], type[32], options[512];
};

static bool parse_line(const char *line, size_t len, struct mount_line *out)
{
    char text[2048];
    if (len >= sizeof(text))
        return false;
    memcpy(text, line, len);
    text[len] = '\0';
    char *rest = strstr(text, " - ");
    if (rest == NULL || sscanf(text, "%*s %*s %*s %*s %255s", out->point) != 1)
        return false;
    if (sscanf(rest + 3, "%31s %*s %511s", out->type, out->options) != 2)
        return false;
    unescape(out->point);
    return true;
}

/* Lets the children of the v2 group at `path` use `wanted`; returns those that they can use. */
static unsigned enable_controllers(const char *path, unsigned wanted)
{
    char file[320], text[512];
    (void)snprintf(file, sizeof(file), "%s/cgroup.subtree_control", path); /* path has at most 255 */
    for (size_t i = 0; i < CONTROLLER_COUNT; i++) {
        if (wanted & controllers[i].bit) {
            char value[32];
            (void)snprintf(value, sizeof(value), "+%s", controllers[i].name);
            (void)container_file_write(AT_FDCWD, file, value); /* what counts is read back below */
        }
    }
    if (container_file_read(AT_FDCWD, file, text, sizeof(text)) < 0)
        return 0;
    return controllers_in(text, " \n") & wanted;
}

/* Makes root below h->path, component by component, and appends it to the path. */
static int make_root(struct container_hierarchy *h, const char *root)
{
    unsigned usable = h->controllers;
    while (*root != '\0') {
        size_t n = strcspn(root, "/"), used = strlen(h->path);
        if (h->v2)
            usable = enable_controllers(h->path, usable);
        if (used + n + 2 > sizeof(h->path))
            return -ENAMETOOLONG;
        (void)snprintf(h->path + used, sizeof(h->path) - used, "/%.*s", (int)n, root);
        if (mkdir(h->path, 0755) < 0 && errno != EEXIST)
            return -errno;
        root += n;
        root += strspn(root, "/");
    }
    if (h->v2)
        h->controllers = enable_controllers(h->path, usable);
    return access(h->path, W_OK | X_OK) < 0 ? -errno : 0;
}

void container_cgroups_remove_root(const struct container_cgroups *g)
{
    for (size_t i = 0; i < g->count; i++) {
        char path[sizeof(g->at[i].path)];
        memcpy(path, g->at[i].path, sizeof(path));
        while (strlen(path) > g->at[i].mount_length && rmdir(path) == 0)
            *strrchr(path, '/') = '\0';
    }
}

static void add_hierarchy(struct container_cgroups *g, const struct mount_line *m, const char *root, struct buf *missing)
{
    struct container_hierarchy h = {.v2 = strcmp(m->type, "cgroup2") == 0};
    (void)snprintf(h.path, sizeof(h.path), "%s", m->point); /* both have the same size */
    h.mount_length = strlen(h.path);
    if (h.v2) {
        char file[320], text[512];
        (void)snprintf(file, sizeof(file), "%s/cgroup.controllers", m->point);
        if (container_cgroups_v2(g) != NULL || container_file_read(AT_FDCWD, file, text, sizeof(text)) < 0)
            return;
        h.controllers = controllers_in(text, " \n");
    } else {
        h.controllers = controllers_in(m->options, ",");
        if (h.controllers == 0)
            return;
    }
    for (size_t i = 0; i < g->count; i++)
        h.controllers &= ~g->at[i].controllers; /* the same hierarchy mounted a second time */
    if ((h.controllers == 0 && !h.v2) || g->count == CONTAINER_HIERARCHIES_MAX)
        return;
    unsigned offered = h.controllers;
    /* Another agent that leaves may remove a shared parent just before we are in it. */
    int rc = make_root(&h, root);
    for (int again = 0; rc == -ENOENT && again < 3; again++) {
        h.path[h.mount_length] = '\0';
        rc = make_root(&h, root);
    }
    unsigned lost = rc < 0 ? offered : offered & ~h.controllers;
    for (size_t i = 0; i < CONTROLLER_COUNT; i++)
        if (lost & controllers[i].bit)
            (void)buf_printf(missing, "cgroup %s: %s: %s\n", controllers[i].name, h.path,
                             rc < 0 ? strerror(-rc) : "cannot be given to groups below"); /* a cut list is still a list */
    if (rc == 0)
        g->at[g->count++] = h;
}

void container_cgroups_detect(const char *mountinfo, const char *root, struct container_cgroups *out, struct buf *missing)
{
    struct container_cgroups g = {.count = 0};
    for (const char *line = mountinfo; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        struct mount_line m;
        if (parse_line(line, len, &m) && (strcmp(m.type, "cgroup") == 0 || strcmp(m.type, "cgroup2") == 0))
            add_hierarchy(&g, &m, root, missing);
        line += len + (line[len] == '\n');
    }
    for (size_t i = 0; i < g.count; i++)
        if (g.at[i].v2 && container_cgroups_find(&g, CONTAINER_CGROUP_CPUACCT) == NULL)
            g.at[i].controllers |= CONTAINER_CGROUP_CPUACCT;
    *out = g;
}

const struct container_hierarchy *container_cgroups_find(const struct container_cgroups *g,
                                                         enum container_controller controller)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->at[i].controllers & controller)
            return &g->at[i];
    return NULL;
}

const struct container_hierarchy *container_cgroups_v2(const struct container_cgroups *g)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->at[i].v2)
            return &g->at[i];
    return NULL;
}

static void path_of(const struct container_hierarchy *h, const char *id, const char *file, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%s/%s%s%s", h->path, id, file == NULL ? "" : "/", file == NULL ? "" : file);
}

int container_cgroup_create(const struct container_cgroups *g, const char *id, struct err *err)
{
    for (size_t i = 0; i < g->count; i++) {
        char path[PATH_MAX];
        path_of(&g->at[i], id, NULL, path);
        if (mkdir(path, 0755) < 0) {
            int rc = err_sys(err, -errno, "cgroup %s: create", path);
            while (i-- > 0) {
                path_of(&g->at[i], id, NULL, path);
                (void)rmdir(path); /* empty, just made */
            }
            return rc;
        }
    }
    return 0;
}

void container_cgroups_inner(const struct container_cgroups *g, const char *parent, const char *id,
                             struct container_cgroups *out, char leaf[CONTAINER_LEAF_SIZE])
{
    const struct container_hierarchy *v2 = container_cgroups_v2(g);
    out->count = 0;
    if (v2 != NULL)
        out->at[out->count++] = *v2;
    (void)snprintf(leaf, CONTAINER_LEAF_SIZE, "%s/%s", parent, id); /* ids are shorter than half of it */
}

static void kill_listed(const struct container_hierarchy *h, const char *id)
{
    cleanup_close int fd = container_cgroup_open(h, id, "cgroup.procs", O_RDONLY);
    cleanup_with(cleanup_free_fn) char *line = NULL;
    if (fd < 0)
        return;
    FILE *f = fdopen(fd, "r");
    if (f == NULL)
        return;
    (void)steal_fd(&fd);
    size_t size = 0;
    while (getline(&line, &size, f) > 0) {
        long pid = strtol(line, NULL, 10);
        if (pid > 0)                         /* 0: of a pid namespace that we do not see */
            (void)kill((pid_t)pid, SIGKILL); /* it may be gone already */
    }
    (void)fclose(f);
}

void container_cgroup_kill(const struct container_cgroups *g, const char *id)
{
    const struct container_hierarchy *v2 = container_cgroups_v2(g);
    if (v2 != NULL && container_cgroup_write(v2, id, "cgroup.kill", "1", NULL) == 0)
        return;
    /* Without cgroup.kill (v1, or before 5.14): nobody inside may fork any more, then one pass finds them all. */
    const struct container_hierarchy *pids = container_cgroups_find(g, CONTAINER_CGROUP_PIDS);
    if (pids != NULL)
        (void)container_cgroup_write(pids, id, "pids.max", "0", NULL); /* missing only if the group is */
    if (g->count > 0)
        kill_listed(pids != NULL ? pids : &g->at[0], id);
}

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with this clock */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Groups of containers inside, whose supervisors are gone or have not come to it yet. Only empty ones go. */
static void remove_inner(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        if (e->d_type == DT_DIR && e->d_name[0] != '.')
            (void)unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR);
    (void)closedir(dir); /* only read */
}

/* Waits for the event that the v2 group has no process any more. */
static void wait_unpopulated(const struct container_hierarchy *h, const char *id, int64_t deadline)
{
    cleanup_close int fd = container_cgroup_open(h, id, "cgroup.events", O_RDONLY);
    while (fd >= 0) {
        char text[256];
        uint64_t populated = 0;
        ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
        if (n <= 0)
            return;
        text[n] = '\0';
        int64_t left = deadline - now_ms();
        if (container_file_find(text, "populated", &populated) < 0 || populated == 0 || left <= 0)
            return;
        struct pollfd p = {.fd = fd, .events = POLLPRI};
        (void)poll(&p, 1, (int)left); /* the text is read again whatever it says */
    }
}

int container_cgroup_remove(const struct container_cgroups *g, const char *id, int timeout_ms, struct err *err)
{
    int64_t deadline = now_ms() + timeout_ms;
    long pause_us = 200;
    for (size_t i = 0; i < g->count;) {
        char path[PATH_MAX];
        path_of(&g->at[i], id, NULL, path);
        if (rmdir(path) == 0 || errno == ENOENT) {
            i++;
            continue;
        }
        if (errno != EBUSY)
            return err_sys(err, -errno, "cgroup %s: remove", path);
        if (now_ms() >= deadline)
            return err_set(err, -EBUSY, "cgroup %s: processes do not end", path);
        container_cgroup_kill(g, id);
        const struct container_hierarchy *v2 = container_cgroups_v2(g);
        if (v2 != NULL)
            wait_unpopulated(v2, id, deadline);
        if (g->at[i].v2)
            remove_inner(path);
        /* v1 tells nobody when a group becomes empty, and a dying process leaves it a moment after its parent was told. */
        struct timespec pause = {.tv_nsec = pause_us * 1000};
        (void)nanosleep(&pause, NULL);
        pause_us = pause_us < 20000 ? pause_us * 2 : pause_us;
    }
    return 0;
}

int container_cgroup_open(const struct container_hierarchy *h, const char *id, const char *file, int flags)
{
    char path[PATH_MAX];
    path_of(h, id, file, path);
    int fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int container_cgroup_write(const struct container_hierarchy *h, const char *id, const char *file, const char *value,
                           struct err *err)
{
    char path[PATH_MAX];
    path_of(h, id, file, path);
    int rc = container_file_write(AT_FDCWD, path, value);
    return rc < 0 ? err_sys(err, rc, "cgroup %s: write %s", path, value) : 0;
}

long container_cgroup_read(const struct container_hierarchy *h, const char *id, const char *file, char *out, size_t size)
{
    char path[PATH_MAX];
    path_of(h, id, file, path);
    return container_file_read(AT_FDCWD, path, out, size);
}

int container_cgroup_read_number(const struct container_hierarchy *h, const char *id, const char *file, uint64_t *out)
{
    char text[64];
    long n = container_cgroup_read(h, id, file, text, sizeof(text));
    if (n < 0)
        return (int)n;
    uint64_t value = strncmp(text, "max", 3) == 0 ? UINT64_MAX : strtoull(text, NULL, 10);
    *out = value >= (UINT64_C(1) << 62) ? UINT64_MAX : value;
    return 0;
}
