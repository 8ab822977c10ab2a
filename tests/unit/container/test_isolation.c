/* SPDX-License-Identifier: Apache-2.0
 * test_isolation.c - what a container sees and may do. */
#include "world.h"

#include <sys/prctl.h>

enum { ALL = LAUNCHER_PID_NAMESPACE | LAUNCHER_MOUNT_NAMESPACE | LAUNCHER_SECCOMP | LAUNCHER_CAPABILITIES };

static const char *output_of(struct world *w, const char *id, const char *user, const char *shell)
{
    struct launcher_spec spec = world_spec(w, id, shell);
    spec.user = user;
    const struct world_container *c = world_do(w, &spec);
    if (c->started != 1)
        fail_msg("%s: %s", id, c->message);
    return world_read(w, id, "stdout");
}

static void test_isolation__no_descriptor_leaks(void **state)
{
    struct world *w = *state;
    int leak = open("/etc/passwd", O_RDONLY); /* not close-on-exec, as a careless library would */
    assert_string_equal(output_of(w, "fds", NULL, "for i in $(seq 0 99); do [ -h /proc/$$/fd/$i ] && echo $i; done; true"),
                        "0\n1\n2\n");
    (void)close(leak);
}

static void test_isolation__status_of_an_ordinary_user(void **state)
{
    struct world *w = *state;
    WORLD_NEEDS(w, ALL | LAUNCHER_SWITCH_USER);
    const char *text = output_of(w, "nobody", "nobody", "cat /proc/self/status");
    assert_non_null(strstr(text, "\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
                                 "CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\n"));
    assert_non_null(strstr(text, "\nNoNewPrivs:\t1\n"));
    assert_non_null(strstr(text, "\nSeccomp:\t2\n"));
    assert_non_null(strstr(text, "\nGroups:\t65534 \n") != NULL ? text : strstr(text, "\nGroups:\t \n"));
}

static void test_isolation__status_of_root(void **state)
{
    struct world *w = *state;
    WORLD_NEEDS(w, ALL | LAUNCHER_SWITCH_USER);
    const char *text = output_of(w, "root", "root", "cat /proc/self/status");
    /* The list in credentials.c: neither SYS_ADMIN, SYS_PTRACE, NET_ADMIN nor NET_RAW, MKNOD. */
    assert_non_null(strstr(text, "\nCapInh:\t0000000000000000\nCapPrm:\t00000000a00405fb\nCapEff:\t00000000a00405fb\n"
                                 "CapBnd:\t00000000a00405fb\nCapAmb:\t0000000000000000\n"));
    assert_non_null(strstr(text, "\nNoNewPrivs:\t1\n"));
}

static void test_isolation__root_cannot_change_the_machine(void **state)
{
    struct world *w = *state;
    WORLD_NEEDS(w, ALL | LAUNCHER_SWITCH_USER);
    const char *text = output_of(w, "machine", "root",
                                 "exec 2>/dev/null\n"
                                 "mount -t tmpfs none /mnt && echo mount\n"
                                 "umount /proc && echo umount\n"
                                 "unshare -m true && echo unshare\n"
                                 "unshare -U true && echo userns\n"
                                 "(echo 1 >/proc/sys/vm/drop_caches) && echo sysctl\n"
                                 "(echo h >/proc/sysrq-trigger) && echo sysrq\n"
                                 "(echo 1 >/sys/kernel/profiling) && echo sys\n"
                                 "mkdir /sys/fs/cgroup/x /sys/fs/cgroup/*/x && echo cgroup\n"
                                 "mknod /tmp/muster-node b 254 0 && echo mknod\n"
                                 "ls /dev/vda /dev/mem /dev/sda && echo disk\n"
                                 "hostname changed && echo hostname\n"
                                 "test -s /proc/keys && echo keys\n"
                                 "chmod 777 /dev && echo dev\n"
                                 "echo done\n");
    assert_string_equal(text, "done\n");
}

static void test_isolation__host_processes_are_invisible(void **state)
{
    struct world *w = *state;
    WORLD_NEEDS(w, LAUNCHER_PID_NAMESPACE);
    char shell[256];
    (void)snprintf(shell, sizeof(shell),
                   "echo $$; [ -e /proc/%1$d ] && echo seen; kill -0 %1$d 2>/dev/null && echo killed; "
                   "readlink /proc/1/exe /proc/1/cwd; readlink /proc/1/fd/3; echo done",
                   (int)getpid());
    assert_true(getpid() > 20);
    assert_string_equal(output_of(w, "pids", NULL, shell), "2\ndone\n");
}

static void test_isolation__shared_pid_namespace_sees_the_host(void **state)
{
    struct world *w = *state;
    char shell[128];
    (void)snprintf(shell, sizeof(shell), "[ -e /proc/%d ] && echo seen", (int)getpid());
    struct launcher_spec spec = world_spec(w, "shared", shell);
    spec.share_pid_namespace = true;
    (void)world_do(w, &spec);
    assert_string_equal(world_read(w, "shared", "stdout"), "seen\n");
}

static void test_isolation__other_sandboxes_are_invisible(void **state)
{
    struct world *w = *state;
    WORLD_NEEDS(w, LAUNCHER_MOUNT_NAMESPACE);
    struct launcher_spec other = world_spec(w, "other", "sleep 1000");
    world_launch(w, &other);
    (void)world_await_start(w, "other");
    char shell[512], expected[512];
    (void)snprintf(shell, sizeof(shell), "ls %1$s %1$s/box; ls -A %2$s; pwd; touch %1$s/x 2>/dev/null && echo wrote",
                   w->work, w->runtime);
    (void)snprintf(expected, sizeof(expected), "%1$s:\nbox\n\n%1$s/box:\nown\nshared\n%1$s/box/own\n", w->work);
    assert_string_equal(output_of(w, "own", NULL, shell), expected);
}

/* What the agent puts there later is seen as well: a socket is made anew by each agent. */
static void test_isolation__visible_folder_is_live_and_read_only(void **state)
{
    struct world *w = *state;
    WORLD_NEEDS(w, LAUNCHER_MOUNT_NAMESPACE);
    char shell[512];
    (void)snprintf(shell, sizeof(shell),
                   "while [ ! -e %1$s/new ]; do sleep 0.02; done; cat %1$s/new; touch %1$s/x 2>/dev/null || echo refused",
                   w->visible);
    struct launcher_spec spec = world_spec(w, "visible", shell);
    world_launch(w, &spec);
    (void)world_await_start(w, "visible");
    assert_int_equal(world_system("echo later >%1$s/tmp && mv %1$s/tmp %1$s/new", w->visible), 0);
    (void)world_await_end(w, "visible");
    assert_string_equal(world_read(w, "visible", "stdout"), "later\nrefused\n");
}

static void test_isolation__ipc_and_shm_are_own(void **state)
{
    struct world *w = *state;
    WORLD_NEEDS(w, LAUNCHER_IPC_NAMESPACE | LAUNCHER_MOUNT_NAMESPACE);
    char name[64];
    (void)snprintf(name, sizeof(name), "/dev/shm/muster-test-%d", (int)getpid());
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    const char *text = output_of(w, "shm", NULL, "ls -A /dev/shm; echo x >/dev/shm/y && cat /dev/shm/y");
    (void)unlink(name);
    assert_string_equal(text, "x\n");
    assert_int_equal(access("/dev/shm/y", F_OK), -1);
}

static void test_isolation__own_cgroups_only(void **state)
{
    struct world *w = *state;
    WORLD_NEEDS(w, LAUNCHER_CGROUP_MEMORY | LAUNCHER_CGROUP_NAMESPACE | LAUNCHER_MOUNT_NAMESPACE);
    assert_string_equal(output_of(w, "cgroups", NULL,
                                  "grep -q muster /proc/self/cgroup && echo seen\n"
                                  "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null"),
                        "67108864\n");
}

/* ---- mounts ---- */

static void test_mounts__are_made_in_the_sandbox(void **state)
{
    struct world *w = *state;
    WORLD_NEEDS(w, LAUNCHER_MOUNT_NAMESPACE);
    assert_int_equal(world_system("mkdir -p %1$s/volume %1$s/ro && echo content >%1$s/ro/file", w->work), 0);
    char volume[128], ro[128], file[128];
    (void)snprintf(volume, sizeof(volume), "%s/volume", w->work); /* in the folder that is hidden otherwise */
    (void)snprintf(ro, sizeof(ro), "%s/ro", w->work);
    (void)snprintf(file, sizeof(file), "%s/ro/file", w->work);
    const struct launcher_mount mounts[] = {
        {volume, "data/deep", false}, {ro, "ro", true}, {file, "single", true}, {volume, "/mnt", false}};
    struct launcher_spec spec = world_spec(w, "mounts",
                                           "echo new >data/deep/new; echo x 2>/dev/null >ro/y || echo refused; "
                                           "cat ro/file single; cat /mnt/new");
    spec.mounts = mounts;
    spec.mount_count = 4;
    const struct world_container *c = world_do(w, &spec);
    assert_string_equal(c->message, "Exited with status 0");
    assert_string_equal(world_read(w, "mounts", "stdout"), "refused\ncontent\ncontent\nnew\n");
    assert_int_equal(world_system("test \"$(cat %s/volume/new)\" = new", w->work), 0);
}

static void assert_mount_fails(struct world *w, const char *id, struct launcher_mount mount, const char *text)
{
    struct launcher_spec spec = world_spec(w, id, "true");
    spec.mounts = &mount;
    spec.mount_count = 1;
    const struct world_container *c = world_do(w, &spec);
    assert_int_equal(c->reason, LAUNCHER_END_LAUNCH_FAILED);
    if (strstr(c->message, text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text, c->message);
}

static void test_mounts__bad_ones_fail(void **state)
{
    struct world *w = *state;
    WORLD_NEEDS(w, LAUNCHER_MOUNT_NAMESPACE);
    assert_mount_fails(w, "proc", (struct launcher_mount){"/etc", "/proc/1", false}, "files of the kernel");
    assert_mount_fails(w, "sys", (struct launcher_mount){"/etc", "/sys/kernel", false}, "files of the kernel");
    assert_mount_fails(w, "absent", (struct launcher_mount){"/etc", "/no/such/place", false}, "No such file");
    assert_mount_fails(w, "source", (struct launcher_mount){"/no/such/source", "x", false}, "No such file");
    assert_mount_fails(w, "up", (struct launcher_mount){"/etc", "../../x", false}, "mount target ../../x");
    assert_mount_fails(w, "kind", (struct launcher_mount){"/etc/passwd", "/mnt", false}, "cannot cover");
    assert_mount_fails(w, "root", (struct launcher_mount){"/etc", "/", false}, "the root");
}

/* A target inside the sandbox is the user's: a link planted there must not lead a mount elsewhere (k8s CVE-2021-25741). */
static void test_mounts__links_in_the_sandbox_are_not_followed(void **state)
{
    struct world *w = *state;
    WORLD_NEEDS(w, LAUNCHER_MOUNT_NAMESPACE);
    assert_int_equal(world_system("mkdir -p %1$s/box/link && ln -s /etc %1$s/box/link/evil", w->work), 0);
    assert_mount_fails(w, "link", (struct launcher_mount){"/tmp", "evil/x", false}, "mount target evil/x");
    assert_int_equal(world_system("rm %1$s/box/link/evil && ln -s /etc %1$s/box/link/evil", w->work), 0);
    assert_int_equal(access("/etc/x", F_OK), -1);
}

static void test_mounts__volumes_are_given_to_the_user_and_links_refused(void **state)
{
    struct world *w = *state;
    WORLD_NEEDS(w, LAUNCHER_MOUNT_NAMESPACE);
    assert_int_equal(
        world_system("mkdir -p '%1$s/volumes/roles/eng fe/v1' && ln -s /etc '%1$s/volumes/roles/eng fe/v2'", w->work), 0);
    const struct launcher_mount mounts[] = {
        {.source = w->work, .beneath = "volumes/roles/eng fe/v1", .target = "data", .give = LAUNCHER_GIVE},
        {.source = w->work, .beneath = "volumes/roles/eng fe/v1", .target = "ro", .read_only = true}};
    struct launcher_spec spec = world_spec(w, "volume", "echo kept >data/file && cat ro/file; echo x 2>/dev/null >ro/y");
    spec.mounts = mounts;
    spec.mount_count = 2;
    const char *missing;
    bool switches = w->launcher->ops->isolation(w->launcher, &missing) & LAUNCHER_SWITCH_USER;
    if (switches)
        spec.user = "nobody";
    const struct world_container *c = world_do(w, &spec);
    assert_int_equal(c->reason, LAUNCHER_END_EXITED);
    assert_string_equal(world_read(w, "volume", "stdout"), "kept\n");
    if (switches)
        assert_int_equal(world_system("test \"$(stat -c %%U '%s/volumes/roles/eng fe/v1')\" = nobody", w->work), 0);
    assert_mount_fails(w, "linked",
                       (struct launcher_mount){.source = w->work, .beneath = "volumes/roles/eng fe/v2", .target = "data"},
                       "volume volumes/roles/eng fe/v2");
    assert_mount_fails(w, "above", (struct launcher_mount){.source = w->work, .beneath = "../x", .target = "data"},
                       "volume ../x");
}

/* ---- without root ---- */

static int run_rootless(void)
{
    if (prctl(PR_SET_DUMPABLE, 1) < 0)
        return 10;
    struct world *w = world_new();
    world_open(w);
    world_recover(w, NULL, 0);
    const char *missing;
    unsigned bits = w->launcher->ops->isolation(w->launcher, &missing);
    if ((bits & LAUNCHER_SWITCH_USER) || strstr(missing, "switch user: ") == NULL)
        return 11;
    if ((bits & LAUNCHER_CGROUP_MEMORY) || strstr(missing, "cgroup memory: ") == NULL)
        return 12;
    struct launcher_spec spec = world_spec(w, "a", "id -u; cat /proc/self/status | grep CapEff; exit 7");
    const struct world_container *c = world_do(w, &spec);
    if (c->reason != LAUNCHER_END_EXITED || WEXITSTATUS(c->status) != 7) {
        print_message("%s\n", c->message);
        return 13;
    }
    if (strcmp(world_read(w, "a", "stdout"), "65534\nCapEff:\t0000000000000000\n") != 0)
        return 14;
    spec = world_spec(w, "b", "true");
    spec.user = "root";
    c = world_do(w, &spec);
    if (c->reason != LAUNCHER_END_LAUNCH_FAILED || strstr(c->message, "only an agent run by root") == NULL)
        return 15;
    if (bits & LAUNCHER_USER_NAMESPACE) {
        spec = world_spec(w, "c", "echo $$; ls -A ../../../run; (echo x >/dev/null) && head -c1 /dev/zero | wc -c");
        (void)world_do(w, &spec);
        if (strcmp(world_read(w, "c", "stdout"), "2\nshared\n1\n") != 0)
            return 16;
    } else {
        print_message("no user namespaces here: %s", missing);
    }
    /* Without a namespace or group that would hold them, processes are found by their parents. */
    spec = world_spec(w, "d", "setsid sleep 1000 & echo $!; sleep 0.1; exit 0");
    spec.share_pid_namespace = true;
    (void)world_do(w, &spec);
    if (kill(atoi(world_read(w, "d", "stdout")), 0) == 0)
        return 17;
    void *state = w;
    (void)world_teardown(&state);
    return 0;
}

static void test_isolation__works_without_root(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
            _exit(20);
        _exit(run_rootless());
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_isolation__works_without_cgroups(void **state)
{
    struct world *w = *state;
    const char *missing;
    unsigned bits = w->launcher->ops->isolation(w->launcher, &missing);
    assert_int_equal(bits & (LAUNCHER_CGROUP_CPU | LAUNCHER_CGROUP_MEMORY | LAUNCHER_CGROUP_PIDS), 0);
    assert_non_null(strstr(missing, "cgroup cpu: "));
    assert_string_equal(output_of(w, "plain", NULL, "echo x"), "x\n");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_isolation__no_descriptor_leaks),
        TEST(test_isolation__status_of_an_ordinary_user),
        TEST(test_isolation__status_of_root),
        TEST(test_isolation__root_cannot_change_the_machine),
        TEST(test_isolation__host_processes_are_invisible),
        TEST(test_isolation__shared_pid_namespace_sees_the_host),
        TEST(test_isolation__other_sandboxes_are_invisible),
        TEST(test_isolation__visible_folder_is_live_and_read_only),
        TEST(test_isolation__ipc_and_shm_are_own),
        TEST(test_isolation__own_cgroups_only),
        TEST(test_mounts__are_made_in_the_sandbox),
        TEST(test_mounts__volumes_are_given_to_the_user_and_links_refused),
        TEST(test_mounts__bad_ones_fail),
        TEST(test_mounts__links_in_the_sandbox_are_not_followed),
        cmocka_unit_test(test_isolation__works_without_root),
        cmocka_unit_test_setup_teardown(test_isolation__works_without_cgroups, world_setup_without_cgroups, world_teardown),
    };
    return cmocka_run_group_tests_name("isolation", tests, NULL, NULL);
}
