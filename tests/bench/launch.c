/* SPDX-License-Identifier: Apache-2.0
 * launch.c - how long a container takes to start: our launcher, `crun run` and a bare clone3 in turn, in the same run. The
 * program in it prints the time at which it began. Prints `figure NAME VALUE UNIT` lines, medians. Needs root and crun. */
#include "tests/bench/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/container/container.h"
#include "common/base/check.h"
#include "common/real/loop_ev.h"

enum { ROUNDS_MAX = 10000 };

int64_t launch_now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with this clock */
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t launch_read_stamp(int fd)
{
    char text[64] = "";
    size_t used = 0;
    ssize_t n;
    while (used < sizeof(text) - 1 && (n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
        used += (size_t)n;
    (void)close(fd);
    return strtoll(text, NULL, 10);
}

const char *launch_cgroup2(void)
{
    return access("/sys/fs/cgroup/unified", F_OK) == 0 ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup";
}

/* ---- ours ---- */

struct ours {
    struct loop *loop;
    struct launcher *launcher;
    char work_dir[128];
    const char *program;
    int64_t told_started, told_ended;
    int count;
};

static void on_started(void *ctx, const char *id, int pid)
{
    (void)id;
    (void)pid;
    ((struct ours *)ctx)->told_started = launch_now_ns();
}

static void on_ended(void *ctx, const char *id, const struct launcher_end *end)
{
    struct ours *o = ctx;
    if (end->reason != LAUNCHER_END_EXITED || end->status != 0) {
        fprintf(stderr, "container %s: %s\n", id, end->message);
        exit(1);
    }
    o->told_ended = launch_now_ns();
    loop_stop(o->loop);
}

static void on_recovered(void *ctx)
{
    loop_stop(((struct ours *)ctx)->loop);
}

static void open_ours(struct ours *o, const char *dir, const char *program)
{
    static char runtime[128]; /* on a tmpfs, where such records belong (/run) */
    (void)snprintf(o->work_dir, sizeof(o->work_dir), "%s/work", dir);
    (void)snprintf(runtime, sizeof(runtime), "/dev/shm/muster-bench-%d", (int)getpid());
    o->program = program;
    o->loop = loop_ev_new();
    CHECK(o->loop != NULL);
    struct container_config config = {.events = {.started = on_started, .ended = on_ended},
                                      .events_ctx = o,
                                      .work_dir = o->work_dir,
                                      .runtime_dir = runtime,
                                      .cgroup_root = "muster-bench"};
    struct err err;
    if (container_launcher_open(o->loop, &config, &o->launcher, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    const char *missing;
    (void)o->launcher->ops->isolation(o->launcher, &missing);
    fprintf(stderr, "missing isolation:\n%s", missing);
    o->launcher->ops->recover(o->launcher, NULL, 0, on_recovered, o);
    loop_run(o->loop);
}

static void launch_ours(struct ours *o, struct launch_times *out, double *told_ms)
{
    char id[32], sandbox[256], path[300];
    (void)snprintf(id, sizeof(id), "bench-%d", o->count++);
    (void)snprintf(sandbox, sizeof(sandbox), "%s/box/%s", o->work_dir, id);
    const char *argv[] = {o->program, NULL};
    struct launcher_spec spec = {
        .container_id = id,
        .sandbox = sandbox,
        .argv = argv,
        .limits = {
            .cpu_millis = 100, .cpu_quota_millis = -1, .memory_soft_bytes = 64 << 20, .memory_hard_bytes = 64 << 20}};
    int64_t begin = launch_now_ns();
    o->launcher->ops->launch(o->launcher, &spec);
    loop_run(o->loop);
    (void)snprintf(path, sizeof(path), "%s/stdout", sandbox);
    int64_t stamp = launch_read_stamp(open(path, O_RDONLY | O_CLOEXEC));
    out->exec_ms = (double)(stamp - begin) / 1e6;
    out->total_ms = (double)(o->told_ended - begin) / 1e6;
    *told_ms = (double)(o->told_started - begin) / 1e6;
}

/* ---- crun ---- */

struct peer {
    int ask, answer; /* pipes to the process that starts crun */
    pid_t pid;
};

static const char config_json[] =
    "{\"ociVersion\":\"1.0.0\",\"process\":{\"terminal\":false,\"user\":{\"uid\":0,\"gid\":0},\"args\":[\"/stamp\"],"
    "\"env\":[\"PATH=/bin\"],\"cwd\":\"/\",\"noNewPrivileges\":true,\"capabilities\":{"
    "\"bounding\":[\"CAP_KILL\",\"CAP_CHOWN\"],\"effective\":[\"CAP_KILL\",\"CAP_CHOWN\"],"
    "\"permitted\":[\"CAP_KILL\",\"CAP_CHOWN\"]}},"
    "\"root\":{\"path\":\"root\",\"readonly\":true},\"hostname\":\"c\",\"mounts\":["
    "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
    "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":[\"nosuid\",\"mode=755\",\"size=64k\"]},"
    "{\"destination\":\"/dev/"
    "pts\",\"type\":\"devpts\",\"source\":\"devpts\",\"options\":[\"nosuid\",\"noexec\",\"newinstance\","
    "\"ptmxmode=0666\",\"mode=0620\"]},"
    "{\"destination\":\"/dev/shm\",\"type\":\"tmpfs\",\"source\":\"shm\",\"options\":[\"nosuid\",\"nodev\",\"mode=1777\"]},"
    "{\"destination\":\"/"
    "sys\",\"type\":\"sysfs\",\"source\":\"sysfs\",\"options\":[\"nosuid\",\"nodev\",\"noexec\",\"ro\"]}],"
    "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"mount\"},"
    "{\"type\":\"cgroup\"}],"
    "\"resources\":{\"memory\":{\"limit\":67108864},\"cpu\":{\"shares\":102},\"pids\":{\"limit\":4096}},"
    "\"maskedPaths\":[\"/proc/acpi\",\"/proc/kcore\",\"/proc/keys\",\"/proc/timer_list\",\"/sys/firmware\"],"
    "\"readonlyPaths\":[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\",\"/proc/sysrq-trigger\"],"
    "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"kexec_load\",\"init_module\","
    "\"finit_module\",\"delete_module\",\"reboot\",\"swapon\",\"swapoff\",\"mount\",\"umount2\",\"keyctl\",\"add_key\","
    "\"bpf\",\"perf_event_open\",\"userfaultfd\"],\"action\":\"SCMP_ACT_ERRNO\"}]}}}";

static void run_crun(const char *dir, int count, struct launch_times *out)
{
    int ends[2];
    char id[32], state[128];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    (void)snprintf(id, sizeof(id), "bench-%d-%d", (int)getpid(), count);
    (void)snprintf(state, sizeof(state), "%s/crun", dir);
    int64_t begin = launch_now_ns();
    pid_t pid = vfork();
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)execlp("crun", "crun", "--root", state, "run", "--bundle", dir, id, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    int64_t stamp = launch_read_stamp(ends[0]);
    int status = 0;
    (void)waitpid(pid, &status, 0);
    out->total_ms = (double)(launch_now_ns() - begin) / 1e6;
    out->exec_ms = status == 0 && stamp > 0 ? (double)(stamp - begin) / 1e6 : -1;
}

/* crun refuses a cgroup2 mount with a controller beside v1, so it is started from where there is none. */
static void open_crun(struct peer *p, const char *dir)
{
    int ask[2], answer[2];
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/config.json", dir);
    FILE *f = fopen(path, "we");
    CHECK(f != NULL && fputs(config_json, f) >= 0 && fclose(f) == 0);
    CHECK(pipe2(ask, O_CLOEXEC) == 0 && pipe2(answer, O_CLOEXEC) == 0);
    p->pid = fork();
    if (p->pid == 0) {
        (void)close(ask[1]);
        CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
        (void)umount2("/sys/fs/cgroup/unified", MNT_DETACH); /* absent on other machines */
        int count;
        while (read(ask[0], &count, sizeof(count)) == (ssize_t)sizeof(count)) {
            struct launch_times t;
            run_crun(dir, count, &t);
            CHECK(write(answer[1], &t, sizeof(t)) == (ssize_t)sizeof(t));
        }
        _exit(0);
    }
    (void)close(ask[0]);
    (void)close(answer[1]);
    p->ask = ask[1];
    p->answer = answer[0];
}

static bool launch_crun(struct peer *p, int count, struct launch_times *out)
{
    CHECK(write(p->ask, &count, sizeof(count)) == (ssize_t)sizeof(count));
    CHECK(read(p->answer, out, sizeof(*out)) == (ssize_t)sizeof(*out));
    return out->exec_ms >= 0;
}

/* ---- figures ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(*values), compare);
    return count == 0 ? 0 : values[count / 2];
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s ROUNDS DIR STAMP_PROGRAM\n", argv[0]);
        return 2;
    }
    int rounds = atoi(argv[1]);
    CHECK(rounds > 0 && rounds <= ROUNDS_MAX);
    static double bare[2][ROUNDS_MAX], ours[2][ROUNDS_MAX], told[ROUNDS_MAX], crun[2][ROUNDS_MAX];
    char root[128];
    (void)snprintf(root, sizeof(root), "%s/root", argv[2]);
    struct ours o = {.count = 0};
    struct peer p;
    open_crun(&p, argv[2]);
    open_ours(&o, argv[2], argv[3]);
    int crun_count = 0;
    for (int i = -2; i < rounds; i++) { /* two to warm up */
        struct launch_times b, m, c;
        double told_ms;
        launch_bare(root, &b);
        launch_ours(&o, &m, &told_ms);
        bool has_crun = launch_crun(&p, i + 2, &c);
        if (i < 0)
            continue;
        bare[0][i] = b.exec_ms;
        bare[1][i] = b.total_ms;
        ours[0][i] = m.exec_ms;
        ours[1][i] = m.total_ms;
        told[i] = told_ms;
        if (has_crun) {
            crun[0][crun_count] = c.exec_ms;
            crun[1][crun_count++] = c.total_ms;
        }
    }
    (void)close(p.ask);
    (void)waitpid(p.pid, NULL, 0);
    o.launcher->ops->recover(o.launcher, NULL, 0, on_recovered, &o); /* forgets the records */
    loop_run(o.loop);
    o.launcher->ops->close(o.launcher);
    (void)loop_ev_free(o.loop);
    double b = median(bare[0], rounds), m = median(ours[0], rounds);
    printf("figure launch_exec_bare %.2f ms\nfigure launch_exec_muster %.2f ms\n", b, m);
    printf("figure launch_started_event_muster %.2f ms\n", median(told, rounds));
    printf("figure launch_exec_ratio_to_bare %.2f x\n", m / b);
    printf("figure launch_total_bare %.2f ms\nfigure launch_total_muster %.2f ms\n", median(bare[1], rounds),
           median(ours[1], rounds));
    if (crun_count == rounds) {
        double c = median(crun[0], rounds);
        printf("figure launch_exec_crun %.2f ms\nfigure launch_exec_ratio_to_crun %.2f x\n", c, m / c);
        printf("figure launch_total_crun %.2f ms\n", median(crun[1], rounds));
    } else {
        fprintf(stderr, "crun did not run %d of %d times; no figures of it\n", rounds - crun_count, rounds);
    }
    return 0;
}
