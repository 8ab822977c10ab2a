/* SPDX-License-Identifier: Apache-2.0
 * test_recover.c - the agent goes away and comes back; supervisors vanish. */
#include "world.h"

#include <dirent.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <time.h>

static const char waits[] = "while [ ! -e go ]; do sleep 0.02; done; exit 5";

static void let_go(struct world *w, const char *id)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/box/%s/go", w->work, id);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    (void)close(fd);
}

static void start(struct world *w, const char *id)
{
    struct launcher_spec spec = world_spec(w, id, waits);
    world_launch(w, &spec);
    (void)world_await_start(w, id);
}

/* The agent is gone and is back, as a new process would be: nothing but the folders is known. */
static void restart(struct world *w)
{
    world_close(w);
    world_open(w);
    for (size_t i = 0; i < w->count; i++)
        w->containers[i].started = w->containers[i].ended = 0;
}

static bool exists(struct world *w, const char *id, const char *file)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/containers/%s/%s", w->runtime, id, file);
    return access(path, F_OK) == 0;
}

/* The supervisor tells nobody while the agent is away, but the folder does. */
static void await_record(struct world *w, const char *id, const char *file)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/containers/%s", w->runtime, id);
    int fd = inotify_init1(IN_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(inotify_add_watch(fd, path, IN_CREATE | IN_MOVED_TO) >= 0);
    while (!exists(w, id, file)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char events[4096];
        assert_int_equal(poll(&p, 1, 10000), 1);
        assert_true(read(fd, events, sizeof(events)) > 0);
    }
    (void)close(fd);
}

/* From the state letter of /proc/<pid>/stat on; NULL if there is no such process. Static. */
static const char *stat_of(pid_t pid)
{
    static char text[512];
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        (void)close(fd);
    if (n <= 0)
        return NULL;
    text[n] = '\0';
    return strrchr(text, ')') + 2;
}

static pid_t parent_of(pid_t pid)
{
    const char *stat = stat_of(pid);
    assert_non_null(stat);
    return (pid_t)atoi(stat + 2);
}

/* A zombie is gone: it is for the machine's init to reap what lost its parent. */
static void assert_gone(pid_t pid)
{
    const char *stat = stat_of(pid);
    assert_true(stat == NULL || stat[0] == 'Z' || stat[0] == 'X');
}

static void test_recover__running_container_goes_on(void **state)
{
    struct world *w = *state;
    start(w, "a");
    struct world_container *c = world_find(w, "a");
    int pid = c->init_pid;
    restart(w);
    const char *known[] = {"a"};
    world_recover(w, known, 1);
    assert_int_equal(world_await_start(w, "a")->started, 1);
    assert_int_equal(c->ended, 0);
    assert_int_equal(c->init_pid, pid);
    let_go(w, "a");
    (void)world_await_end(w, "a");
    assert_int_equal(c->reason, LAUNCHER_END_EXITED);
    assert_int_equal(WEXITSTATUS(c->status), 5);
    assert_int_equal(c->started, 1);
}

static void test_recover__end_in_between_is_told_once(void **state)
{
    struct world *w = *state;
    start(w, "a");
    world_close(w);
    let_go(w, "a");
    await_record(w, "a", "end");
    world_open(w);
    struct world_container *c = world_find(w, "a");
    const char *known[] = {"a"};
    world_recover(w, known, 1);
    assert_int_equal(c->ended, 1);
    assert_int_equal(c->reason, LAUNCHER_END_EXITED);
    assert_int_equal(WEXITSTATUS(c->status), 5);
}

/* An agent that died before it stored what it was told hears of it again, until it does not ask any more. */
static void test_recover__end_is_kept_until_forgotten(void **state)
{
    struct world *w = *state;
    start(w, "a");
    let_go(w, "a");
    (void)world_await_end(w, "a");
    restart(w);
    const char *known[] = {"a"};
    world_recover(w, known, 1);
    assert_int_equal(world_find(w, "a")->ended, 1);
    assert_int_equal(WEXITSTATUS(world_find(w, "a")->status), 5);
    restart(w);
    world_recover(w, NULL, 0);
    assert_int_equal(world_find(w, "a")->ended, 0);
    assert_false(exists(w, "a", "."));
    world_find(w, "a")->ended = 1; /* nothing to tear down */
}

static void test_recover__unknown_is_destroyed_in_silence(void **state)
{
    struct world *w = *state;
    start(w, "a");
    start(w, "b");
    int pid_a = world_find(w, "a")->init_pid, pid_b = world_find(w, "b")->init_pid;
    restart(w);
    const char *known[] = {"b"};
    world_recover(w, known, 1);
    assert_gone(pid_a);
    assert_int_equal(kill(pid_b, 0), 0);
    assert_int_equal(world_find(w, "a")->started + world_find(w, "a")->ended, 0);
    assert_false(exists(w, "a", "."));
    world_find(w, "a")->ended = 1;
}

static void test_recover__no_record_is_lost(void **state)
{
    struct world *w = *state;
    restart(w);
    const char *known[] = {"never"};
    world_recover(w, known, 1);
    const struct world_container *c = world_find(w, "never");
    assert_int_equal(c->ended, 1);
    assert_int_equal(c->reason, LAUNCHER_END_LOST);
    assert_int_equal(c->status, -1);
}

static void test_recover__folder_without_record_never_ran(void **state)
{
    struct world *w = *state;
    world_close(w);
    assert_int_equal(
        world_system("mkdir -m 700 %1$s/containers/a %1$s/containers/b; touch %1$s/containers/a/state.new", w->runtime), 0);
    world_open(w);
    const char *known[] = {"a"};
    world_recover(w, known, 1);
    assert_int_equal(world_find(w, "a")->reason, LAUNCHER_END_LAUNCH_FAILED);
    assert_false(exists(w, "a", "."));
    assert_false(exists(w, "b", "."));
}

static void test_recover__garbage_in_records_is_survived(void **state)
{
    struct world *w = *state;
    world_close(w);
    assert_int_equal(world_system("mkdir -m 700 %1$s/containers/a; head -c 5000 /dev/urandom >%1$s/containers/a/state; "
                                  "head -c 100000 /dev/zero >%1$s/containers/a/end",
                                  w->runtime),
                     0);
    world_open(w);
    const char *known[] = {"a"};
    world_recover(w, known, 1);
    assert_int_equal(world_find(w, "a")->ended, 1);
    assert_int_equal(world_find(w, "a")->reason, LAUNCHER_END_LOST);
}

static void test_lost__supervisor_killed(void **state)
{
    struct world *w = *state;
    start(w, "a");
    struct world_container *c = world_find(w, "a");
    pid_t supervisor = parent_of(c->init_pid);
    assert_int_equal(kill(supervisor, SIGTERM), 0); /* meant for others: ignored */
    assert_int_equal(kill(supervisor, SIGHUP), 0);
    world_run(w, world_never, "", 30);
    assert_int_equal(c->ended, 0);
    assert_int_equal(kill(supervisor, SIGKILL), 0);
    (void)world_await_end(w, "a");
    assert_int_equal(c->reason, LAUNCHER_END_LOST);
    assert_int_equal(c->status, -1);
    assert_gone(c->init_pid);
}

static void test_lost__supervisor_killed_while_the_agent_is_away(void **state)
{
    struct world *w = *state;
    start(w, "a");
    struct world_container *c = world_find(w, "a");
    pid_t supervisor = parent_of(c->init_pid);
    world_close(w);
    assert_int_equal(kill(supervisor, SIGKILL), 0);
    assert_int_equal(waitpid(supervisor, NULL, 0), supervisor);
    world_open(w);
    c->started = 0;
    const char *known[] = {"a"};
    world_recover(w, known, 1);
    assert_int_equal(c->ended, 1);
    assert_int_equal(c->reason, LAUNCHER_END_LOST);
    assert_gone(c->init_pid);
}

/* A pid that belongs to somebody else by now must not be taken for the supervisor. */
static void test_recover__pid_alone_is_not_trusted(void **state)
{
    struct world *w = *state;
    start(w, "a");
    struct world_container *c = world_find(w, "a");
    pid_t supervisor = parent_of(c->init_pid);
    world_close(w);
    assert_int_equal(kill(supervisor, SIGKILL), 0);
    assert_int_equal(waitpid(supervisor, NULL, 0), supervisor);
    pid_t other = fork();
    if (other == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            (void)pause();
    }
    /* The same record, but with the pid of a process that lives: a record of field 2, a varint. */
    char text[512];
    (void)snprintf(text, sizeof(text),
                   "python3 - %%s/containers/a/state %d <<'E'\n"
                   "import sys\n"
                   "def varint(n):\n"
                   "    out = b''\n"
                   "    while n > 127:\n"
                   "        out += bytes([n & 127 | 128]); n >>= 7\n"
                   "    return out + bytes([n])\n"
                   "d = open(sys.argv[1], 'rb').read()\n"
                   "at = 2 + d[1]\n"
                   "assert d[at] == 0x10\n"
                   "end = at + 1\n"
                   "while d[end] & 128: end += 1\n"
                   "open(sys.argv[1], 'wb').write(d[:at + 1] + varint(int(sys.argv[2])) + d[end + 1:])\n"
                   "E",
                   (int)other);
    assert_int_equal(world_system(text, w->runtime), 0);
    world_open(w);
    c->started = 0;
    const char *known[] = {"a"};
    world_recover(w, known, 1);
    assert_int_equal(c->reason, LAUNCHER_END_LOST);
    assert_int_equal(waitpid(other, NULL, WNOHANG), 0); /* and nobody hurt it */
    assert_int_equal(kill(other, SIGKILL), 0);
    assert_int_equal(waitpid(other, NULL, 0), other);
}

/* It has its name once it has served; 0: there is none. */
static pid_t zygote_of_this_process(void)
{
    DIR *proc = opendir("/proc");
    assert_non_null(proc);
    pid_t found = 0;
    for (struct dirent *e; found == 0 && (e = readdir(proc)) != NULL;) {
        char path[300], name[32];
        int pid, parent;
        char state;
        (void)snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
        FILE *f = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? fopen(path, "re") : NULL;
        if (f == NULL)
            continue;
        if (fscanf(f, "%d (%31[^)]) %c %d", &pid, name, &state, &parent) == 4 && parent == (int)getpid() && state != 'Z' &&
            strcmp(name, "muster-zygote") == 0)
            found = pid;
        (void)fclose(f);
    }
    (void)closedir(proc);
    return found;
}

/* Supervisors do not need the process they were forked from, and without it they are executed directly. */
static void test_zygote__killed(void **state)
{
    struct world *w = *state;
    start(w, "before");
    pid_t zygote = zygote_of_this_process();
    assert_true(zygote > 0);
    assert_int_equal(kill(zygote, SIGSTOP), 0); /* it takes the next request with it */
    struct launcher_spec spec = world_spec(w, "during", "exit 5");
    world_launch(w, &spec);
    world_run(w, world_never, "", 50);
    assert_int_equal(world_find(w, "during")->started, 0);
    assert_int_equal(kill(zygote, SIGKILL), 0);
    assert_int_equal(world_await_end(w, "during")->reason, LAUNCHER_END_LAUNCH_FAILED);
    start(w, "after");
    assert_int_equal(zygote_of_this_process(), 0);
    let_go(w, "before");
    let_go(w, "after");
    assert_int_equal(WEXITSTATUS(world_await_end(w, "before")->status), 5);
    assert_int_equal(WEXITSTATUS(world_await_end(w, "after")->status), 5);
}

static void test_zygote__destroy_before_its_answer(void **state)
{
    struct world *w = *state;
    start(w, "before");
    pid_t zygote = zygote_of_this_process();
    assert_true(zygote > 0);
    assert_int_equal(kill(zygote, SIGSTOP), 0);
    struct launcher_spec spec = world_spec(w, "a", "sleep 1000");
    world_launch(w, &spec);
    w->launcher->ops->destroy(w->launcher, "a");
    world_run(w, world_never, "", 30);
    assert_int_equal(world_find(w, "a")->ended, 0);
    assert_int_equal(kill(zygote, SIGCONT), 0);
    assert_int_equal(world_await_end(w, "a")->reason, LAUNCHER_END_DESTROYED);
    let_go(w, "before");
    assert_int_equal(WEXITSTATUS(world_await_end(w, "before")->status), 5);
}

static void test_open__second_agent_is_refused(void **state)
{
    struct world *w = *state;
    struct container_config config = {.work_dir = w->work, .runtime_dir = w->runtime, .cgroup_root = w->cgroup_root};
    struct launcher *second = NULL;
    struct err err;
    assert_int_equal(container_launcher_open(w->loop, &config, &second, &err), -EBUSY);
    assert_null(second);
    config.runtime_dir = "relative";
    assert_int_equal(container_launcher_open(w->loop, &config, &second, &err), -EINVAL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_recover__running_container_goes_on),
        TEST(test_recover__end_in_between_is_told_once),
        TEST(test_recover__end_is_kept_until_forgotten),
        TEST(test_recover__unknown_is_destroyed_in_silence),
        TEST(test_recover__no_record_is_lost),
        TEST(test_recover__folder_without_record_never_ran),
        TEST(test_recover__garbage_in_records_is_survived),
        TEST(test_recover__pid_alone_is_not_trusted),
        TEST(test_lost__supervisor_killed),
        TEST(test_lost__supervisor_killed_while_the_agent_is_away),
        TEST(test_zygote__killed),
        TEST(test_zygote__destroy_before_its_answer),
        TEST(test_open__second_agent_is_refused),
    };
    return cmocka_run_group_tests_name("recover", tests, NULL, NULL);
}
