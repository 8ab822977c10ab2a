/* SPDX-License-Identifier: Apache-2.0
 * supervise.c - the life of one container, seen from outside of it:
 *
 *   identity on disk -> sandbox, logs, user -> FETCHING -> groups, clone -> SETTING_UP -> RUNNING -> end record
 *
 * Any failure, the agent's wish (SIGUSR1), or want of memory leads to the end by the same road: kill, reap, remove the
 * groups, drain the logs, write the record. Whether the agent runs or not makes no difference here, but to a session.
 *
 * A container inside another one (spec.parent) is entered instead of made, and its program is the child itself. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/container/helper/child.h"
#include "agent/container/helper/fetch.h"
#include "agent/container/helper/helper.h"
#include "agent/container/helper/notify.h"
#include "agent/container/helper/oom.h"
#include "agent/container/helper/spec.h"
#include "agent/container/helper/stdio.h"
#include "agent/container/helper/strays.h"
#include "agent/container/shared/file.h"
#include "agent/container/shared/limits.h"
#include "agent/container/shared/process.h"
#include "agent/container/shared/record.h"
#include "agent/container/shared/usage.h"
#include "common/base/cleanup.h"

enum { REMOVE_TIMEOUT_MS = 10000 };

enum phase { PHASE_FETCHING, PHASE_SETTING_UP, PHASE_RUNNING, PHASE_ENDED };

struct supervisor {
    Muster__Container__Spec *spec;
    struct container_cgroups cgroups; /* own; count 0 until they were created */
    char group[CONTAINER_LEAF_SIZE];  /* their name */
    const char *mark;                 /* of a nested container */
    struct container_user user;
    enum phase phase;
    int signal_fd, sandbox_fd;
    int report_fd; /* of the fetcher, later of the child; -1: it ended */
    pid_t worker;  /* the fetcher, later the init; 0: none or reaped */
    bool is_destroyed, has_oom, has_failed, has_status;
    int status; /* of the program if has_status, otherwise of the init */
    int64_t fetch_deadline_ms;
    uint64_t memory_limit, memory_peak;
    char boot_id[CONTAINER_BOOT_ID_SIZE];
    uint64_t start, init_start;
    pid_t init_pid; /* after the program was executed */
    char fetch_text[FETCH_TEXT_MAX];
    size_t fetch_text_len;
    struct stdio stdio;
    struct oom_watch oom;
    struct notify notify;
    struct err failure;
};

static char oom_score_adj[16]; /* as the agent has it */

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with this clock */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int write_state(struct supervisor *s, struct err *err)
{
    Muster__Container__State state = MUSTER__CONTAINER__STATE__INIT;
    state.boot_id = s->boot_id;
    state.supervisor_pid = getpid();
    state.supervisor_start = s->start;
    if (s->init_pid > 0) {
        state.has_init_pid = state.has_init_start = 1;
        state.init_pid = s->init_pid;
        state.init_start = s->init_start;
    }
    state.parent = s->spec->parent;
    return container_record_write(HELPER_FD_DIRECTORY, "state", &state.base, false, err);
}

/* That of the other container, or a folder below it, made as far as it is missing. Everything there is the user's: no link
 * is followed. */
static int open_inner_sandbox(struct supervisor *s, struct err *err)
{
    cleanup_close int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (const char *rest = s->spec->sandbox; at >= 0 && *rest != '\0';) {
        char name[NAME_MAX + 1];
        size_t len = strcspn(rest, "/");
        if (len == 0) {
            rest++;
            continue;
        }
        if (len > NAME_MAX)
            return err_set(err, -ENAMETOOLONG, "sandbox %s", s->spec->sandbox);
        memcpy(name, rest, len);
        name[len] = '\0';
        rest += len;
        bool is_made = mkdirat(at, name, 0750) == 0;
        int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return err_sys(err, -errno, "sandbox %s: open %s", s->spec->sandbox, name);
        (void)close(at); /* only looked through */
        at = next;
        if (is_made && s->user.switches && fchown(at, s->user.uid, s->user.gid) < 0)
            return err_sys(err, -errno, "sandbox %s: give to the user", s->spec->sandbox);
    }
    s->sandbox_fd = steal_fd(&at);
    return s->sandbox_fd < 0 ? err_sys(err, -errno, "sandbox %s", s->spec->sandbox) : 0;
}

/* The sandbox's parents are the agent's folders. Whatever stands at its own place must be a folder and not a link. */
static int make_sandbox(struct supervisor *s, struct err *err)
{
    const char *path = s->spec->sandbox;
    char part[4096];
    size_t len = strlen(path);
    if (s->spec->parent != NULL)
        return open_inner_sandbox(s, err);
    if (len >= sizeof(part))
        return err_set(err, -ENAMETOOLONG, "sandbox %s", path);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, i == len ? 0750 : 0755) < 0 && errno != EEXIST)
            return err_sys(err, -errno, "sandbox %s: create", part);
    }
    s->sandbox_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (s->sandbox_fd < 0)
        return err_sys(err, -errno, "sandbox %s: open", path);
    if (fchmod(s->sandbox_fd, 0750) < 0 || (s->user.switches && fchown(s->sandbox_fd, s->user.uid, s->user.gid) < 0))
        return err_sys(err, -errno, "sandbox %s: give to the user", path);
    return 0;
}

const int helper_ignored_signals[HELPER_IGNORED_COUNT] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGTSTP};

static int open_signals(struct err *err)
{
    for (size_t i = 0; i < HELPER_IGNORED_COUNT; i++)
        (void)signal(helper_ignored_signals[i], SIG_IGN); /* meant for the agent; we stay as long as the container */
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &set, NULL); /* arguments are valid */
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? err_sys(err, -errno, "signalfd") : fd;
}

static void fail(struct supervisor *s, const struct err *err)
{
    if (!s->has_failed)
        s->failure = *err;
    s->has_failed = true;
}

/* Groups with limits of its own, and the watch for want of memory. */
static int make_groups(struct supervisor *s, const struct container_cgroups *all, struct err *err)
{
    (void)snprintf(s->group, sizeof(s->group), "%s", s->spec->container_id);
    int rc = container_cgroup_create(all, s->group, err);
    if (rc < 0)
        return rc;
    s->cgroups = *all;
    struct launcher_limits limits = helper_spec_limits(s->spec);
    rc = container_limits_apply(&s->cgroups, s->group, &limits, true, err);
    if (rc == 0)
        oom_watch_open(&s->oom, &s->cgroups, s->group);
    return rc;
}

/* Who of the other container can be used to enter it: its init, or the program below if that is all that this user may look
 * at (an init that was not executed shows itself to root alone). A pidfd or a negative errno. */
static int open_target(const struct supervisor *s, struct err *err)
{
    const Muster__Container__Spec *spec = s->spec;
    cleanup_close int fd = container_process_open(spec->parent_pid, spec->parent_start);
    if (fd < 0)
        return err_sys(err, fd, "container %s does not run", spec->parent);
    char path[64], text[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/pid", spec->parent_pid);
    if (readlink(path, text, sizeof(text)) >= 0 || errno != EACCES)
        return steal_fd(&fd);
    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", spec->parent_pid, spec->parent_pid);
    long n = container_file_read(AT_FDCWD, path, text, sizeof(text));
    pid_t child = n > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
    uint64_t start;
    if (child <= 0 || container_process_start(child, &start) < 0)
        return err_set(err, -ESRCH, "container %s: its program ended", spec->parent);
    cleanup_close int child_fd = container_process_open(child, start);
    /* Still its child now, so it was one when the descriptor was opened. */
    char again[64];
    if (child_fd < 0 || container_file_read(AT_FDCWD, path, again, sizeof(again)) <= 0 ||
        (pid_t)strtol(again, NULL, 10) != child || container_pidfd_signal(child_fd, 0) < 0)
        return err_set(err, -ESRCH, "container %s: its program ended", spec->parent);
    return steal_fd(&child_fd);
}

static pid_t enter(struct supervisor *s, struct child_plan *plan, const struct container_cgroups *all, struct err *err)
{
    struct container_cgroups own;
    container_cgroups_inner(all, s->spec->parent, s->spec->container_id, &own, s->group);
    int rc = container_cgroup_create(&own, s->group, err);
    if (rc < 0)
        return rc;
    s->cgroups = own;
    cleanup_close int target = open_target(s, err);
    if (target < 0)
        return target;
    plan->cgroups = all;
    plan->group = s->spec->parent;
    plan->target_fd = target;
    plan->program = CHILD_DIRECT;
    return child_enter(plan, err);
}

/* The far ends of stdio go to it. */
static int start_container(struct supervisor *s, const struct stdio_ends *far, struct err *err)
{
    struct container_cgroups all;
    helper_spec_cgroups(s->spec, &all);
    int rc = s->spec->parent == NULL ? make_groups(s, &all, err) : 0;
    int ends[2];
    if (rc < 0)
        return rc;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return err_sys(err, -errno, "pipe of the container's first process");
    struct child_plan plan = {.spec = s->spec,
                              .cgroups = &s->cgroups,
                              .user = &s->user,
                              .isolation = s->spec->isolation,
                              .program = s->spec->builtin_executor ? CHILD_EXECUTOR : CHILD_INIT,
                              .argv = helper_spec_argv(s->spec),
                              .envp = helper_spec_envp(s->spec),
                              .group = s->group,
                              .group_leaf = s->group,
                              .sandbox_fd = s->sandbox_fd,
                              .stdin_fd = far->in,
                              .stdout_fd = far->out,
                              .stderr_fd = far->error,
                              .terminal_fd = far->terminal,
                              .target_fd = -1,
                              .report_fd = ends[1],
                              .oom_score_adj = oom_score_adj};
    pid_t pid = s->spec->parent == NULL ? child_start(&plan, err) : enter(s, &plan, &all, err);
    (void)close(ends[1]);
    s->report_fd = ends[0];
    if (pid < 0)
        return pid;
    s->worker = pid;
    s->phase = PHASE_SETTING_UP;
    return 0;
}

/* Kept over the fetch for start_container. */
static struct stdio_ends far_ends = {-1, -1, -1, -1};

static void start_and_close_ends(struct supervisor *s)
{
    struct err err = {.text = ""};
    if (start_container(s, &far_ends, &err) < 0)
        fail(s, &err);
    stdio_close_ends(&far_ends); /* the container has its own; with it the pipes end */
}

static void begin(struct supervisor *s)
{
    struct err err = {.text = ""};
    int rc = container_user_find(s->spec->user, &s->user, &err);
    if (rc == 0)
        rc = make_sandbox(s, &err);
    if (rc == 0)
        rc = stdio_open(&s->stdio, s->spec, HELPER_FD_DIRECTORY, s->sandbox_fd, &s->user, &far_ends, &err);
    if (rc == 0 && s->spec->n_uris > 0) {
        s->phase = PHASE_FETCHING;
        s->fetch_deadline_ms = now_ms() + s->spec->fetch_timeout_ms;
        pid_t pid = fetch_start(s->spec, &s->user, s->sandbox_fd, far_ends.error, &s->report_fd, &err);
        s->worker = pid > 0 ? pid : 0;
        rc = pid < 0 ? pid : 0;
    } else if (rc == 0) {
        start_and_close_ends(s);
    }
    if (rc < 0)
        fail(s, &err);
}

/* Everything of the present phase gets SIGKILL; its end is heard of by SIGCHLD. */
static void kill_worker(struct supervisor *s)
{
    if (s->worker > 0)
        (void)kill(s->phase == PHASE_FETCHING ? -s->worker : s->worker, SIGKILL); /* not reaped, so the pid is ours */
    if (s->worker > 0 && s->phase == PHASE_FETCHING)
        (void)kill(s->worker, SIGKILL); /* it may not lead its group yet */
    if (s->cgroups.count > 0)
        container_cgroup_kill(&s->cgroups, s->group);
    if (s->spec->parent != NULL && s->init_pid > 0)
        strays_kill_session(s->init_pid, s->init_start, s->mark);
}

static void on_started(struct supervisor *s)
{
    if (s->phase != PHASE_SETTING_UP)
        return;
    s->phase = PHASE_RUNNING;
    s->init_pid = s->worker;
    stdio_started(&s->stdio);
    (void)container_process_start(s->init_pid, &s->init_start); /* a zombie still has it; 0 never matches */
    struct err err;
    if (write_state(s, &err) < 0) {
        fail(s, &err);
        kill_worker(s);
        return;
    }
    (void)snprintf(s->notify.notice.container_id, sizeof(s->notify.notice.container_id), "%s", s->spec->container_id);
    s->notify.notice.init_pid = s->init_pid;
    notify_send(&s->notify);
}

static void on_report(struct supervisor *s)
{
    struct child_report r;
    for (;;) {
        ssize_t n = read(s->report_fd, &r, sizeof(r));
        if (n == 0) { /* the executor was executed, or nobody is left */
            (void)close(s->report_fd);
            s->report_fd = -1;
            bool is_told_by_end = s->spec->builtin_executor || s->spec->parent != NULL;
            if (is_told_by_end && !s->has_failed && !s->is_destroyed && !s->has_oom)
                on_started(s);
            return;
        }
        if (n != (ssize_t)sizeof(r))
            return; /* nothing more now; reports come in one piece */
        r.text[sizeof(r.text) - 1] = '\0';
        if (r.kind == CHILD_REPORT_FAILED) {
            struct err err;
            fail(s, (err_set(&err, -EIO, "%s", r.text), &err));
        } else if (r.kind == CHILD_REPORT_STARTED) {
            on_started(s);
        } else if (r.kind == CHILD_REPORT_STATUS) {
            s->has_status = true;
            s->status = r.value;
        }
    }
}

static void on_fetch_text(struct supervisor *s)
{
    size_t room = sizeof(s->fetch_text) - 1 - s->fetch_text_len;
    ssize_t n = room == 0 ? 0 : read(s->report_fd, s->fetch_text + s->fetch_text_len, room);
    if (n > 0) {
        s->fetch_text_len += (size_t)n;
        return;
    }
    (void)close(s->report_fd);
    s->report_fd = -1;
}

static void on_fetch_end(struct supervisor *s, int status)
{
    while (s->report_fd >= 0)
        on_fetch_text(s); /* the writer is dead: this ends */
    s->worker = 0;
    if (status == 0 && !s->is_destroyed && !s->has_failed) {
        start_and_close_ends(s);
        return;
    }
    struct err err;
    if (WIFSIGNALED(status))
        (void)err_set(&err, -EIO, "the fetcher was killed by signal %d", WTERMSIG(status));
    else
        (void)err_set(&err, -EIO, "%s", s->fetch_text_len > 0 ? s->fetch_text : "the fetcher failed");
    fail(s, &err);
}

static void reap(struct supervisor *s)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != s->worker)
            continue;
        if (s->phase == PHASE_FETCHING) {
            on_fetch_end(s, status);
            continue;
        }
        if (s->report_fd >= 0)
            on_report(s);
        s->worker = 0;
        if (!s->has_status)
            s->status = status;
        s->phase = PHASE_ENDED;
    }
}

static void on_signal(struct supervisor *s)
{
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGUSR1) {
            s->is_destroyed = true;
            kill_worker(s);
        }
    }
    reap(s);
}

static void on_oom(struct supervisor *s)
{
    oom_watch_clear(&s->oom);
    /* v1 tells before it kills, v2 also of other events. */
    bool is_v1 = s->oom.events == POLLIN;
    if (is_v1 || container_usage_memory_kills(&s->cgroups, s->group) > 0) {
        s->has_oom = true;
        kill_worker(s);
    }
}

/* One turn: waits for whatever there is to wait for, and handles it. */
static void turn(struct supervisor *s)
{
    enum { SIGNALS, REPORT, OOM, NOTIFY, STDIO, COUNT = STDIO + STDIO_POLLS };
    struct pollfd p[COUNT] = {
        [SIGNALS] = {.fd = s->signal_fd, .events = POLLIN},
        [REPORT] = {.fd = s->report_fd, .events = POLLIN},
        [OOM] = {.fd = s->has_oom ? -1 : s->oom.fd, .events = s->oom.events},
        [NOTIFY] = {.fd = s->notify.fd, .events = POLLOUT},
    };
    stdio_poll(&s->stdio, &p[STDIO]);
    int64_t left = s->phase == PHASE_FETCHING && !s->has_failed ? s->fetch_deadline_ms - now_ms() : -1;
    if (s->phase == PHASE_FETCHING && !s->has_failed && left <= 0) {
        struct err err;
        fail(s, (err_set(&err, -ETIMEDOUT, "fetching took more than %lld ms", (long long)s->spec->fetch_timeout_ms), &err));
        kill_worker(s);
        left = -1;
    }
    if (poll(p, COUNT, left > INT32_MAX ? INT32_MAX : (int)left) <= 0)
        return; /* time, or a signal that is ignored */
    if (p[OOM].revents)
        on_oom(s);
    if (p[REPORT].revents && s->phase == PHASE_FETCHING)
        on_fetch_text(s);
    else if (p[REPORT].revents)
        on_report(s);
    stdio_run(&s->stdio, &p[STDIO]);
    if (s->stdio.is_broken && !s->is_destroyed) {
        s->is_destroyed = true;
        kill_worker(s);
    }
    if (p[NOTIFY].revents)
        notify_send(&s->notify);
    if (p[SIGNALS].revents)
        on_signal(s);
}

/* After the program: nothing of the container may run, hold a group, or have output in a pipe. */
static int clean_up(struct supervisor *s, struct err *err)
{
    int rc = 0;
    if (s->cgroups.count > 0) {
        if (s->spec->parent == NULL) {
            s->has_oom |= container_usage_memory_kills(&s->cgroups, s->group) > 0;
            s->memory_limit = container_usage_memory_limit(&s->cgroups, s->group);
            s->memory_peak = container_usage_memory_peak(&s->cgroups, s->group);
        }
        oom_watch_close(&s->oom);
        rc = container_cgroup_remove(&s->cgroups, s->group, REMOVE_TIMEOUT_MS, err);
    }
    if (s->spec->parent != NULL && s->init_pid > 0)
        strays_kill_session(s->init_pid, s->init_start,
                            s->mark); /* what was moved elsewhere, or all where there is no group */
    do {
        strays_kill();
    } while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
    while (stdio_finish(&s->stdio) && !s->is_destroyed)
        turn(s); /* until who is attached has taken the rest, or the agent loses patience */
    return rc;
}

static void describe_end(const struct supervisor *s, Muster__Container__End *end, char *message, size_t size)
{
    end->status = s->init_pid > 0 ? s->status : -1;
    if (s->has_oom) {
        end->reason = LAUNCHER_END_MEMORY;
        end->memory_limit_bytes = s->memory_limit == UINT64_MAX ? -1 : (int64_t)s->memory_limit;
        (void)snprintf(message, size, "Memory limit exceeded: limit %llu MB, maximum used %llu MB",
                       (unsigned long long)(s->memory_limit >> 20), (unsigned long long)(s->memory_peak >> 20));
    } else if (s->is_destroyed) {
        end->reason = LAUNCHER_END_DESTROYED;
        (void)snprintf(message, size, "Container was destroyed");
    } else if (s->has_failed) {
        end->reason = LAUNCHER_END_LAUNCH_FAILED;
        (void)snprintf(message, size, "%s", s->failure.text);
    } else if (s->init_pid == 0) {
        end->reason = LAUNCHER_END_LAUNCH_FAILED;
        (void)snprintf(message, size, "The container's first process ended before the program was executed");
    } else if (WIFSIGNALED(s->status)) {
        end->reason = LAUNCHER_END_EXITED;
        (void)snprintf(message, size, "Terminated by signal %d (%s)", WTERMSIG(s->status), strsignal(WTERMSIG(s->status)));
    } else {
        end->reason = LAUNCHER_END_EXITED;
        (void)snprintf(message, size, "Exited with status %d", WEXITSTATUS(s->status));
    }
}

static int write_end(const struct supervisor *s, const struct err *trouble)
{
    char message[1200];
    Muster__Container__End end = MUSTER__CONTAINER__END__INIT;
    describe_end(s, &end, message, sizeof(message));
    size_t used = strlen(message);
    if (trouble->text[0] != '\0')
        (void)snprintf(message + used, sizeof(message) - used, " (left behind: %s)", trouble->text);
    end.message = message;
    if (s->init_pid > 0) {
        end.has_init_pid = 1;
        end.init_pid = s->init_pid;
    }
    struct err err;
    return container_record_write(HELPER_FD_DIRECTORY, "end", &end.base, true, &err) < 0 ? 1 : 0;
}

/* The killer of last resort should take the container's processes first; the child sets itself back. */
static void avoid_oom_killer(void)
{
    (void)container_file_read(AT_FDCWD, "/proc/self/oom_score_adj", oom_score_adj, sizeof(oom_score_adj));
    (void)container_file_write(AT_FDCWD, "/proc/self/oom_score_adj", "-900"); /* not allowed to everybody */
}

int container_supervise_main(void)
{
    static struct supervisor s = {.signal_fd = -1, .sandbox_fd = -1, .report_fd = -1, .oom = {.fd = -1}};
    struct err err = {.text = ""};
    (void)prctl(PR_SET_NAME, "muster-super");
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* known since 3.4 */
    (void)umask(022);
    avoid_oom_killer();
    notify_init(&s.notify);
    stdio_init(&s.stdio);
    s.spec = helper_spec_read(&err);
    if (s.spec == NULL)
        return 1;
    if (s.spec->parent != NULL)
        s.mark = helper_spec_mark(s.spec);
    int rc = container_boot_id(s.boot_id);
    if (rc == 0)
        rc = container_process_start(getpid(), &s.start);
    /* From this record on the agent knows us. If it gave up on us before, the folder is gone and nothing was done. */
    if (rc < 0 || write_state(&s, &err) < 0)
        return 1;
    s.signal_fd = open_signals(&err);
    if (s.signal_fd < 0)
        fail(&s, &err);
    else
        begin(&s);
    while (s.phase != PHASE_ENDED && (s.worker > 0 || !s.has_failed))
        turn(&s);
    err.text[0] = '\0';
    (void)clean_up(&s, &err); /* what is left behind is told in the record */
    return write_end(&s, &err);
}
