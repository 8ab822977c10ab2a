/* SPDX-License-Identifier: Apache-2.0
 * launcher.c - the launcher port on Linux containers: starts supervisors and listens to them. What a supervisor does is in
 * helper/supervise.c. All news are told from a timer of their own, never from inside a call of the launcher. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/image.h"
#include "agent/container/launcher_state.h"
#include "agent/container/pack.h"
#include "agent/container/shared/file.h"
#include "agent/container/shared/limits.h"
#include "agent/container/shared/notice.h"
#include "agent/container/shared/record.h"
#include "agent/container/shared/usage.h"
#include "agent/container/spawn.h"
#include "agent/container/zygote.h"
#include "common/base/check.h"
#include "common/base/cleanup.h"

/* A supervisor needs milliseconds to end its container, and gives up by itself after 10 s on processes that the kernel
 * does not let go. One that does neither is stuck. */
enum { DESTROY_PATIENCE_MS = 20000 };

static struct container_launcher *launcher_of(struct launcher *base)
{
    return (struct container_launcher *)(void *)base; /* base is the first member */
}

/* ---- entries ---- */

struct container_entry *container_entry_new(struct container_launcher *l, const char *id)
{
    CHECK(map_get(&l->containers, id) == NULL); /* ids are drawn, each is launched once */
    struct container_entry *c = xcalloc(1, sizeof(*c));
    c->launcher = l;
    c->id = xstrdup(id);
    c->pidfd = -1;
    c->end.status = -1;
    list_init(&c->news_node);
    list_init(&c->zygote_node);
    list_init(&c->inner);
    list_init(&c->outer_node);
    (void)map_put(&l->containers, id, c); /* nothing was there */
    return c;
}

static void stop_watching(struct container_entry *c)
{
    c->watch = loop_fd_remove(c->watch);
    if (c->pidfd >= 0)
        (void)close(c->pidfd); /* nothing is written through it */
    c->pidfd = -1;
}

static void entry_free(struct container_entry *c)
{
    stop_watching(c);
    c->patience = loop_timer_remove(c->patience);
    list_remove(&c->news_node);
    list_remove(&c->zygote_node);
    list_remove(&c->outer_node);
    while (list_pop_front(&c->inner) != NULL)
        ; /* they were destroyed with its end, or the launcher closes */
    (void)map_remove(&c->launcher->containers, c->id);
    free(c->end_message);
    free(c->id);
    free(c);
}

void container_launcher_plan_news(struct container_launcher *l)
{
    if (!loop_timer_is_active(l->news_timer))
        loop_timer_start(l->news_timer, 0);
}

static void plan_news_of(struct container_entry *c)
{
    list_remove(&c->news_node);
    list_push_back(&c->launcher->news, &c->news_node);
    container_launcher_plan_news(c->launcher);
}

void container_entry_started(struct container_entry *c, int init_pid)
{
    if (c->init_pid != 0)
        return; /* told by the datagram and by the record */
    c->init_pid = init_pid;
    plan_news_of(c);
}

void container_entry_end(struct container_entry *c, enum launcher_end_reason reason, int status, const char *message,
                         int64_t memory_limit)
{
    CHECK(!c->is_ended);
    stop_watching(c);
    c->patience = loop_timer_remove(c->patience);
    c->is_ended = true;
    c->end_message = xstrdup(message);
    c->end = (struct launcher_end){
        .reason = reason, .status = status, .message = c->end_message, .memory_limit_bytes = memory_limit};
    if (reason == LAUNCHER_END_LOST && c->is_destroyed)
        c->end.reason = LAUNCHER_END_DESTROYED;
    list_remove(&c->outer_node);
    for (struct list *n; (n = list_pop_front(&c->inner)) != NULL;)
        container_entry_destroy(container_of(n, struct container_entry, outer_node));
    plan_news_of(c);
}

void container_entry_put_inside(struct container_entry *c, struct container_entry *outer)
{
    list_push_back(&outer->inner, &c->outer_node);
}

void container_entry_end_from(struct container_entry *c, const Muster__Container__End *record)
{
    if (record->has_init_pid)
        container_entry_started(c, record->init_pid);
    container_entry_end(c, (enum launcher_end_reason)record->reason, record->status, record->message,
                        record->memory_limit_bytes);
}

/* ---- folders ---- */

int container_open_directory(struct container_launcher *l, const char *id)
{
    int fd = openat(l->containers_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void container_remove_directory(struct container_launcher *l, const char *id)
{
    static const char *const files[] = {"state", "state.new", "end", "end.new", "io"};
    cleanup_close int fd = container_open_directory(l, id);
    if (fd < 0)
        return;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        (void)unlinkat(fd, files[i], 0);                /* most are absent */
    (void)unlinkat(l->containers_fd, id, AT_REMOVEDIR); /* one that stays is found by the next recover */
}

static void keep_end(struct container_launcher *l, const char *id)
{
    char **slot = &l->kept[l->kept_next];
    l->kept_next = (l->kept_next + 1) % CONTAINER_ENDED_KEPT_MAX;
    if (*slot != NULL)
        container_remove_directory(l, *slot);
    free(*slot);
    *slot = xstrdup(id);
}

/* ---- news ---- */

static void tell_end(struct container_entry *c)
{
    struct container_launcher *l = c->launcher;
    if (c->is_unknown) {
        container_remove_directory(l, c->id);
    } else {
        keep_end(l, c->id);
        l->events.ended(l->events_ctx, c->id, &c->end);
    }
    bool is_awaited = c->is_awaited;
    entry_free(c);
    if (is_awaited)
        container_launcher_recover_one(l);
}

static void on_news(void *ctx)
{
    struct container_launcher *l = ctx;
    struct list now;
    list_init(&now);
    for (struct list *n; (n = list_pop_front(&l->news)) != NULL;)
        list_push_back(&now, n); /* what the callbacks add waits for the next turn */
    for (struct list *n; (n = list_pop_front(&now)) != NULL;) {
        struct container_entry *c = container_of(n, struct container_entry, news_node);
        if (c->init_pid != 0 && !c->is_told_started && !c->is_unknown) {
            c->is_told_started = true;
            l->events.started(l->events_ctx, c->id, c->init_pid);
        }
        if (c->is_ended)
            tell_end(c);
    }
    if (l->is_recovering && l->recover_pending == 0) {
        l->is_recovering = false;
        l->recovered(l->recovered_ctx);
    }
}

static void on_socket(void *ctx, int fd, unsigned ready)
{
    (void)ready;
    struct container_launcher *l = ctx;
    struct container_notice notice;
    while (recv(fd, &notice, sizeof(notice), MSG_DONTWAIT) == (ssize_t)sizeof(notice)) {
        notice.container_id[sizeof(notice.container_id) - 1] = '\0';
        struct container_entry *c = map_get(&l->containers, notice.container_id);
        if (c != NULL && !c->is_ended && notice.init_pid > 0)
            container_entry_started(c, notice.init_pid);
    }
}

static void on_gone(void *ctx, int fd, unsigned ready)
{
    (void)ready;
    struct container_entry *c = ctx;
    struct container_launcher *l = c->launcher;
    siginfo_t info;
    (void)waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG); /* reaps it if it is ours */
    on_socket(l, l->socket_fd, LOOP_READ);
    stop_watching(c);
    cleanup_close int directory = container_open_directory(l, c->id);
    Muster__Container__End *end = directory < 0 ? NULL : container_record_read_end(directory);
    if (end != NULL)
        container_entry_end_from(c, end);
    else if (directory >= 0 && !c->is_sweeping)
        container_entry_sweep(c);
    else
        container_entry_end(c, LAUNCHER_END_LOST, -1, "The supervisor of the container vanished without a record", 0);
    if (end != NULL)
        muster__container__end__free_unpacked(end, NULL);
}

static void on_out_of_patience(void *ctx)
{
    struct container_entry *c = ctx;
    if (c->pidfd >= 0)
        (void)container_pidfd_signal(c->pidfd, SIGKILL); /* the container's init dies with it; a sweep does the rest */
}

static void tell_to_end(struct container_entry *c)
{
    (void)container_pidfd_signal(c->pidfd, SIGUSR1); /* fails if it ended already, which we shall hear */
    c->patience = loop_timer_add(c->launcher->loop, on_out_of_patience, c);
    loop_timer_start(c->patience, DESTROY_PATIENCE_MS);
}

void container_entry_destroy(struct container_entry *c)
{
    if (c->is_ended || c->is_destroyed)
        return;
    c->is_destroyed = true;
    if (c->pidfd >= 0 && !c->is_sweeping)
        tell_to_end(c); /* otherwise as soon as there is somebody to tell */
}

void container_entry_watch(struct container_entry *c, int pidfd)
{
    c->pidfd = pidfd;
    c->watch = loop_fd_add(c->launcher->loop, pidfd, LOOP_READ, on_gone, c);
    if (c->is_destroyed && !c->is_sweeping)
        tell_to_end(c);
}

/* ---- starting ---- */

void container_launcher_complete_spec(struct container_launcher *l, Muster__Container__Spec *spec, struct arena *arena)
{
    spec->isolation = l->isolation;
    spec->n_hierarchies = l->cgroups.count;
    spec->hierarchies = arena_new_array(arena, Muster__Container__Hierarchy *, CONTAINER_HIERARCHIES_MAX);
    for (size_t i = 0; i < l->cgroups.count; i++) {
        const struct container_hierarchy *from = &l->cgroups.at[i];
        Muster__Container__Hierarchy *h = spec->hierarchies[i] = arena_new_one(arena, Muster__Container__Hierarchy);
        muster__container__hierarchy__init(h);
        h->path = (char *)from->path;
        h->mount_length = (uint32_t)from->mount_length;
        h->controllers = from->controllers;
        h->v2 = from->v2;
    }
    spec->visible = l->visible_dir;
    spec->hidden = arena_new_array(arena, char *, 2 + l->hidden_count);
    spec->hidden[spec->n_hidden++] = l->real_work_dir;
    spec->hidden[spec->n_hidden++] = l->runtime_dir;
    for (size_t i = 0; i < l->hidden_count; i++)
        spec->hidden[spec->n_hidden++] = l->hidden[i];
    if (l->isolation & LAUNCHER_SECCOMP) {
        spec->has_seccomp = 1;
        spec->seccomp.data = l->seccomp;
        spec->seccomp.len = l->seccomp_len;
    }
    spec->fetch_bytes_max = l->fetch_bytes_max;
    spec->fetch_timeout_ms = l->fetch_timeout_ms;
    /* Inside, a folder that is a link would lead to the hidden place, so the supervisor gets its real name. */
    size_t len = strlen(l->work_dir);
    if (spec->sandbox != NULL && strncmp(spec->sandbox, l->work_dir, len) == 0 && spec->sandbox[len] == '/')
        spec->sandbox = arena_printf(arena, "%s%s", l->real_work_dir, spec->sandbox + len);
}

/* Starts the helper for c and watches it. 0 or a negative errno. */
static int start_helper(struct container_entry *c, const char *mode, const Muster__Container__Spec *spec, int directory,
                        struct err *err)
{
    struct container_launcher *l = c->launcher;
    struct spawn_request r = {
        .mode = mode, .spec = spec, .image_fd = l->image_fd, .fetch_fd = l->fetch_fd, .directory_fd = directory};
    pid_t pid = container_spawn(&r, err);
    if (pid < 0)
        return pid;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0); /* not reaped before we do it: it is this process */
    if (pidfd < 0) {
        int rc = err_sys(err, -errno, "watch the supervisor");
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return rc;
    }
    container_entry_watch(c, pidfd);
    return 0;
}

/* By the zygote if it can, otherwise directly. */
static int start_supervisor(struct container_entry *c, const Muster__Container__Spec *spec, int directory, struct err *err)
{
    int rc = container_zygote_ask(c, spec, directory, err);
    return rc == -EAGAIN ? start_helper(c, "supervise", spec, directory, err) : rc;
}

void container_entry_sweep(struct container_entry *c)
{
    struct container_launcher *l = c->launcher;
    struct arena *arena = arena_new(0);
    Muster__Container__Spec spec = MUSTER__CONTAINER__SPEC__INIT;
    spec.container_id = c->id;
    spec.sandbox = (char *)"";
    container_launcher_complete_spec(l, &spec, arena);
    struct err err = {.text = ""};
    cleanup_close int directory = container_open_directory(l, c->id);
    c->is_sweeping = true;
    if (directory < 0 || start_helper(c, "sweep", &spec, directory, &err) < 0)
        container_entry_end(c, LAUNCHER_END_LOST, -1, directory < 0 ? "The container has no record" : err.text, 0);
    arena_free(arena);
}

/* What the supervisor needs to know of the container that is entered. */
static int find_parent(struct container_entry *c, const struct launcher_spec *spec, Muster__Container__Spec *packed,
                       struct err *err)
{
    struct container_launcher *l = c->launcher;
    struct container_entry *outer = map_get(&l->containers, spec->parent);
    if (outer == NULL || outer->is_ended || outer->init_pid == 0)
        return err_set(err, -ENOENT, "container %s does not run", spec->parent);
    cleanup_close int directory = container_open_directory(l, outer->id);
    Muster__Container__State *state = directory < 0 ? NULL : container_record_read_state(directory);
    int rc = -ENOENT;
    if (state != NULL && state->has_init_pid && state->parent == NULL) {
        packed->has_parent_pid = packed->has_parent_start = 1;
        packed->parent_pid = state->init_pid;
        packed->parent_start = state->init_start;
        rc = 0;
    }
    if (state != NULL)
        muster__container__state__free_unpacked(state, NULL);
    if (rc == 0)
        container_entry_put_inside(c, outer);
    return rc < 0 ? err_set(err, rc, "container %s cannot be entered", spec->parent) : 0;
}

static int launch(struct container_entry *c, const struct launcher_spec *spec, struct err *err)
{
    struct container_launcher *l = c->launcher;
    struct arena *arena = arena_new(0);
    Muster__Container__Spec *packed = NULL;
    int rc = container_pack_spec(spec, arena, &packed, err);
    if (rc == 0 && spec->parent != NULL)
        rc = find_parent(c, spec, packed, err);
    if (rc == 0 && mkdirat(l->containers_fd, c->id, 0700) < 0)
        rc = err_sys(err, -errno, "record of container %s: create", c->id);
    if (rc == 0) {
        container_launcher_complete_spec(l, packed, arena);
        if (spec->share_pid_namespace)
            packed->isolation &= ~(uint32_t)LAUNCHER_PID_NAMESPACE;
        cleanup_close int directory = container_open_directory(l, c->id);
        rc = directory < 0 ? err_sys(err, directory, "record of container %s: open", c->id)
                           : start_supervisor(c, packed, directory, err);
        if (rc < 0)
            container_remove_directory(l, c->id);
    }
    arena_free(arena);
    return rc;
}

static void on_launch(struct launcher *base, const struct launcher_spec *spec)
{
    struct container_entry *c = container_entry_new(launcher_of(base), spec->container_id);
    struct err err = {.text = ""};
    if (launch(c, spec, &err) < 0)
        container_entry_end(c, LAUNCHER_END_LAUNCH_FAILED, -1, err.text, 0);
}

/* ---- changes and questions ---- */

static int on_update(struct launcher *base, const char *id, const struct launcher_limits *limits, struct err *err)
{
    struct container_launcher *l = launcher_of(base);
    const struct container_entry *c = map_get(&l->containers, id);
    if (c == NULL || c->is_ended)
        return err_set(err, -ENOENT, "container %s is not running", id);
    return container_limits_apply(&l->cgroups, id, limits, false, err);
}

static void on_destroy(struct launcher *base, const char *id)
{
    struct container_entry *c = map_get(&launcher_of(base)->containers, id);
    if (c != NULL)
        container_entry_destroy(c);
}

/* The program of a container: its init, or the first child of one that is ours. A pidfd or a negative errno. */
static int open_program(struct container_launcher *l, const char *id)
{
    cleanup_close int directory = container_open_directory(l, id);
    Muster__Container__State *state = directory < 0 ? NULL : container_record_read_state(directory);
    if (state == NULL)
        return -ENOENT;
    pid_t pid = state->has_init_pid ? state->init_pid : 0;
    uint64_t start = state->init_start;
    muster__container__state__free_unpacked(state, NULL);
    cleanup_close int fd = pid == 0 ? -ENOENT : container_process_open(pid, start);
    char path[64], text[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    if (fd < 0 || container_file_read(AT_FDCWD, path, text, sizeof(text)) <= 0)
        return -ENOENT;
    if (strcmp(text, "muster-init\n") != 0)
        return steal_fd(&fd);
    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    pid_t child = container_file_read(AT_FDCWD, path, text, sizeof(text)) > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
    if (child <= 0 || container_process_start(child, &start) < 0)
        return -ENOENT;
    int child_fd = container_process_open(child, start);
    return child_fd < 0 ? -ENOENT : child_fd;
}

static int on_signal(struct launcher *base, const char *id, int signo)
{
    struct container_launcher *l = launcher_of(base);
    struct container_entry *c = map_get(&l->containers, id);
    if (signo <= 0 || signo >= NSIG)
        return -EINVAL;
    if (c == NULL || c->is_ended || (c->init_pid == 0 && signo != SIGKILL))
        return -ENOENT;
    if (signo == SIGKILL) {
        container_entry_destroy(c);
        return 0;
    }
    cleanup_close int fd = open_program(l, id);
    return fd < 0 ? fd : container_pidfd_signal(fd, signo);
}

static int on_attach(struct launcher *base, const char *id, int *out, struct err *err)
{
    struct container_launcher *l = launcher_of(base);
    const struct container_entry *c = map_get(&l->containers, id);
    if (c == NULL || c->is_ended)
        return err_set(err, -ENOENT, "container %s does not run", id);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    cleanup_close int directory = container_open_directory(l, id);
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/io", directory);
    cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (directory < 0 || fd < 0)
        return err_sys(err, directory < 0 ? directory : -errno, "attach to container %s", id);
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
        if (errno == ENOENT)
            return err_set(err, -EOPNOTSUPP, "container %s was started without a terminal", id);
        return errno == ECONNREFUSED ? err_set(err, -ENOENT, "container %s does not run", id)
                                     : err_sys(err, -errno, "attach to container %s", id);
    }
    *out = steal_fd(&fd);
    return 0;
}

static int on_usage(struct launcher *base, const char *id, struct launcher_usage *out)
{
    struct container_launcher *l = launcher_of(base);
    const struct container_entry *c = map_get(&l->containers, id);
    if (c == NULL || c->is_ended)
        return -ENOENT;
    struct launcher_usage usage = {.timestamp = (double)loop_wall_ms(l->loop) / 1000.0};
    container_usage_read(&l->cgroups, id, &usage);
    *out = usage;
    return 0;
}

static unsigned on_isolation(struct launcher *base, const char **missing)
{
    struct container_launcher *l = launcher_of(base);
    *missing = l->missing;
    return l->isolation;
}

/* ---- life ---- */

static void close_fd(int fd)
{
    if (fd >= 0)
        (void)close(fd); /* nothing of it is written */
}

static void on_close(struct launcher *base)
{
    struct container_launcher *l = launcher_of(base);
    container_zygote_stop(l);
    for (struct map_entry *e; (e = map_first(&l->containers)) != NULL;)
        entry_free(map_value(e));
    map_deinit(&l->containers);
    l->socket_watch = loop_fd_remove(l->socket_watch);
    if (l->socket_fd >= 0)
        (void)unlinkat(l->runtime_fd, CONTAINER_SOCKET_NAME, 0); /* nobody listens any more */
    l->news_timer = loop_timer_remove(l->news_timer);
    for (size_t i = 0; i < CONTAINER_ENDED_KEPT_MAX; i++)
        free(l->kept[i]);
    container_cgroups_remove_root(&l->cgroups);
    close_fd(l->socket_fd);
    close_fd(l->containers_fd);
    close_fd(l->runtime_fd);
    close_fd(l->image_fd);
    close_fd(l->fetch_fd);
    close_fd(l->lock_fd);
    for (size_t i = 0; i < l->hidden_count; i++)
        free(l->hidden[i]);
    free(l->hidden);
    free(l->work_dir);
    free(l->real_work_dir);
    free(l->runtime_dir);
    free(l->visible_dir);
    free(l->cgroup_root);
    free(l->missing);
    free(l->seccomp);
    free(l);
}

static const struct launcher_ops ops = {
    .recover = container_launcher_recover,
    .launch = on_launch,
    .update = on_update,
    .signal = on_signal,
    .attach = on_attach,
    .destroy = on_destroy,
    .usage = on_usage,
    .isolation = on_isolation,
    .close = on_close,
};

/* Makes the folder and returns its real path, malloc'd. */
static int make_folder(const char *path, mode_t mode, char **out, struct err *err)
{
    if (path == NULL || path[0] != '/')
        return err_set(err, -EINVAL, "folder \"%s\": not an absolute path", path == NULL ? "" : path);
    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return err_sys(err, -errno, "folder %s: create", path);
    char *real = realpath(path, NULL);
    if (real == NULL)
        return err_sys(err, -errno, "folder %s", path);
    if (strcmp(real, "/") == 0) {
        free(real);
        return err_set(err, -EINVAL, "folder %s: must not be the root", path);
    }
    *out = real;
    return 0;
}

static int take_hidden(struct container_launcher *l, const struct container_config *config, struct err *err)
{
    l->hidden = xcalloc(config->hidden_count + 1, sizeof(*l->hidden));
    for (size_t i = 0; i < config->hidden_count; i++) {
        char *real = config->hidden[i][0] == '/' ? realpath(config->hidden[i], NULL) : NULL;
        if (real == NULL && config->hidden[i][0] == '/')
            return err_sys(err, -errno, "hidden path %s", config->hidden[i]);
        if (real == NULL || strcmp(real, "/") == 0) {
            free(real);
            return err_set(err, -EINVAL, "hidden path \"%s\": neither absolute nor below the root", config->hidden[i]);
        }
        l->hidden[l->hidden_count++] = real;
    }
    return 0;
}

static int open_runtime(struct container_launcher *l, struct err *err)
{
    l->runtime_fd = open(l->runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (l->runtime_fd < 0)
        return err_sys(err, -errno, "folder %s: open", l->runtime_dir);
    struct stat st;
    if (fstat(l->runtime_fd, &st) < 0 || st.st_uid != geteuid() || fchmod(l->runtime_fd, 0700) < 0)
        return err_set(err, -EPERM, "folder %s: does not belong to the agent's user", l->runtime_dir);
    l->lock_fd = openat(l->runtime_fd, "launcher.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (l->lock_fd < 0)
        return err_sys(err, -errno, "folder %s: lock", l->runtime_dir);
    if (flock(l->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(err, errno == EWOULDBLOCK ? -EBUSY : -errno, "folder %s: another agent uses it", l->runtime_dir);
    if (mkdirat(l->runtime_fd, "containers", 0700) < 0 && errno != EEXIST)
        return err_sys(err, -errno, "folder %s/containers: create", l->runtime_dir);
    l->containers_fd = openat(l->runtime_fd, "containers", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return l->containers_fd < 0 ? err_sys(err, -errno, "folder %s/containers: open", l->runtime_dir) : 0;
}

static int open_socket(struct container_launcher *l, struct err *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/" CONTAINER_SOCKET_NAME, l->runtime_fd);
    (void)unlinkat(l->runtime_fd, CONTAINER_SOCKET_NAME, 0); /* of a run that was killed; the lock says it is ours */
    cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
        return err_sys(err, -errno, "socket %s/" CONTAINER_SOCKET_NAME, l->runtime_dir);
    l->socket_fd = steal_fd(&fd);
    l->socket_watch = loop_fd_add(l->loop, l->socket_fd, LOOP_READ, on_socket, l);
    return 0;
}

static int open_all(struct container_launcher *l, const struct container_config *config, struct err *err)
{
    int rc = make_folder(config->work_dir, 0755, &l->real_work_dir, err);
    if (rc == 0)
        rc = make_folder(config->runtime_dir, 0700, &l->runtime_dir, err);
    if (rc == 0 && config->visible_dir != NULL)
        rc = make_folder(config->visible_dir, 0755, &l->visible_dir, err);
    if (rc == 0)
        rc = take_hidden(l, config, err);
    if (rc == 0)
        rc = open_runtime(l, err);
    if (rc == 0)
        rc = open_socket(l, err);
    if (rc == 0 && (l->image_fd = container_image_open(err)) < 0)
        rc = l->image_fd;
    if (rc < 0)
        return rc;
    const char *fetch = config->fetch_program == NULL ? "/proc/self/exe" : config->fetch_program;
    l->fetch_fd = open(fetch, O_RDONLY | O_CLOEXEC);
    if (l->fetch_fd < 0)
        return err_sys(err, -errno, "fetcher %s", fetch);
    if ((rc = container_boot_id(l->boot_id)) < 0)
        return err_sys(err, rc, "boot id");
    rc = container_isolation_detect(l, config->without_cgroups, err);
    return rc == 0 ? container_zygote_start(l, err) : rc;
}

int container_launcher_open(struct loop *loop, const struct container_config *config, struct launcher **out,
                            struct err *err)
{
    struct container_launcher *l = xcalloc(1, sizeof(*l));
    l->base.ops = &ops;
    l->loop = loop;
    l->events = config->events;
    l->events_ctx = config->events_ctx;
    l->runtime_fd = l->containers_fd = l->lock_fd = l->socket_fd = l->image_fd = l->fetch_fd = -1;
    l->work_dir = xstrdup(config->work_dir == NULL ? "" : config->work_dir);
    l->cgroup_root = xstrdup(config->cgroup_root == NULL ? "muster" : config->cgroup_root);
    l->fetch_bytes_max = config->fetch_bytes_max > 0 ? config->fetch_bytes_max : INT64_C(16) << 30;
    l->fetch_timeout_ms = config->fetch_timeout_ms > 0 ? config->fetch_timeout_ms : 30 * 60 * 1000;
    map_init(&l->containers);
    list_init(&l->news);
    list_init(&l->zygote.waiting);
    l->zygote.socket_fd = -1;
    l->news_timer = loop_timer_add(loop, on_news, l);
    for (size_t n = strlen(l->work_dir); n > 1 && l->work_dir[n - 1] == '/'; n--)
        l->work_dir[n - 1] = '\0';
    int rc = open_all(l, config, err);
    if (rc < 0) {
        on_close(&l->base);
        return rc;
    }
    *out = &l->base;
    return 0;
}
