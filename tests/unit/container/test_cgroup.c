/* SPDX-License-Identifier: Apache-2.0
 * test_cgroup.c - which hierarchies are found and used, and the numbers that are written. */
#include "world.h"

#include "agent/container/shared/cgroup.h"
#include "agent/container/shared/limits.h"
#include "agent/container/shared/usage.h"

static void test_limits__formulas(void **state)
{
    (void)state;
    assert_int_equal(container_limits_cpu_shares(0), 2);
    assert_int_equal(container_limits_cpu_shares(100), 102);
    assert_int_equal(container_limits_cpu_shares(1000), 1024);
    assert_int_equal(container_limits_cpu_shares(64000), 65536);
    assert_int_equal(container_limits_cpu_weight(1), 1);
    assert_int_equal(container_limits_cpu_weight(1500), 150);
    assert_int_equal(container_limits_cpu_weight(1000000), 10000);
    assert_int_equal(container_limits_cpu_quota_us(1), 1000);
    assert_int_equal(container_limits_cpu_quota_us(500), 50000);
    assert_int_equal(container_limits_cpu_quota_us(2500), 250000);
    assert_int_equal(container_limits_memory(0), 32 << 20);
    assert_int_equal(container_limits_memory(33 << 20), 33 << 20);
}

/* A folder that stands in for mounted hierarchies, and a text of /proc/self/mountinfo that says so. */
struct host {
    char dir[64], mountinfo[4096];
    struct buf missing;
    struct container_cgroups groups;
};

static void host_run(struct host *h, const char *shell)
{
    char text[2048];
    (void)snprintf(text, sizeof(text), "cd '%s' && %s", h->dir, shell);
    assert_int_equal(system(text), 0);
}

/* lines: %1$s is the folder. */
static void host_detect(struct host *h, const char *lines)
{
    (void)snprintf(h->mountinfo, sizeof(h->mountinfo), lines, h->dir);
    buf_clear(&h->missing);
    container_cgroups_detect(h->mountinfo, "muster", &h->groups, &h->missing);
    assert_int_equal(buf_append_char(&h->missing, '\0'), 0);
}

static int host_setup(void **state)
{
    struct host *h = xcalloc(1, sizeof(*h));
    (void)snprintf(h->dir, sizeof(h->dir), "/tmp/muster-test-XXXXXX");
    assert_non_null(mkdtemp(h->dir));
    buf_init(&h->missing, 0);
    *state = h;
    return 0;
}

static int host_teardown(void **state)
{
    struct host *h = *state;
    host_run(h, "chmod -R u+w . && rm -rf \"$PWD\"");
    buf_deinit(&h->missing);
    free(h);
    return 0;
}

static void test_detect__v1(void **state)
{
    struct host *h = *state;
    host_run(h, "mkdir cpu,cpuacct memory freezer 'pids x'");
    host_detect(h, "26 1 254:0 / / rw - ext4 /dev/vda rw\n"
                   "31 30 0:28 / %1$s/cpu,cpuacct rw,relatime shared:1 - cgroup cgroup rw,cpu,cpuacct\n"
                   "32 30 0:29 / %1$s/memory rw,relatime - cgroup cgroup rw,memory\n"
                   "33 30 0:30 / %1$s/freezer rw,relatime - cgroup cgroup rw,freezer\n"
                   "34 30 0:31 / %1$s/pids\\040x rw,relatime - cgroup cgroup rw,pids\n"
                   "35 30 0:29 / %1$s/elsewhere rw,relatime - cgroup cgroup rw,memory\n");
    assert_string_equal((const char *)buf_data(&h->missing), "");
    assert_int_equal(h->groups.count, 3);
    assert_ptr_equal(container_cgroups_find(&h->groups, CONTAINER_CGROUP_CPU), &h->groups.at[0]);
    assert_ptr_equal(container_cgroups_find(&h->groups, CONTAINER_CGROUP_CPUACCT), &h->groups.at[0]);
    assert_null(container_cgroups_v2(&h->groups));
    const struct container_hierarchy *pids = container_cgroups_find(&h->groups, CONTAINER_CGROUP_PIDS);
    char expected[128];
    (void)snprintf(expected, sizeof(expected), "%s/pids x/muster", h->dir);
    assert_string_equal(pids->path, expected);
    assert_int_equal(pids->mount_length, strlen(expected) - strlen("/muster"));

    host_run(h, "mkdir memory/muster/c cpu,cpuacct/muster/c 'pids x/muster/c' && for f in cpu.shares cpu.cfs_quota_us; do "
                ": >cpu,cpuacct/muster/c/$f; done && for f in limit_in_bytes soft_limit_in_bytes memsw.limit_in_bytes; do "
                ": >memory/muster/c/memory.$f; done && : >'pids x/muster/c/pids.max'");
    struct launcher_limits limits = {
        .cpu_millis = 500, .cpu_quota_millis = 250, .memory_soft_bytes = 40 << 20, .memory_hard_bytes = 48 << 20};
    struct err err;
    assert_int_equal(container_limits_apply(&h->groups, "c", &limits, true, &err), 0);
    host_run(h, "test \"$(cd cpu,cpuacct/muster/c && cat cpu.shares; echo; cat cpu.cfs_quota_us)\" = \"512\n25000\"");
    host_run(h, "cd memory/muster/c && test $(cat memory.limit_in_bytes) = 50331648 &&"
                "test $(cat memory.soft_limit_in_bytes) = 41943040 && test $(cat memory.memsw.limit_in_bytes) = 50331648");
    host_run(h, "test $(cat 'pids x/muster/c/pids.max') = 4096");
}

/* Regular files in place of the kernel's: what is enabled cannot be read back, so the answer is prepared, and kept by
 * being read-only. Root would write it all the same, so this runs as somebody else. */
static void test_detect__v2(void **state)
{
    struct host *h = *state;
    host_run(h, "mkdir -p v2/muster && echo 'cpuset cpu io memory pids' >v2/cgroup.controllers &&"
                "echo 'cpu memory pids' >v2/cgroup.subtree_control && cp v2/cgroup.subtree_control v2/muster &&"
                "chmod 755 . && chmod 777 v2 v2/muster && chmod 444 v2/cgroup.* v2/muster/cgroup.*");
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
            _exit(20);
        host_detect(h, "30 22 0:27 / %1$s/v2 rw,relatime - cgroup2 cgroup2 rw\n");
        _exit(h->groups.count == 1 && h->groups.at[0].v2 && buf_len(&h->missing) == 1 &&
                      h->groups.at[0].controllers == (CONTAINER_CGROUP_CPU | CONTAINER_CGROUP_CPUACCT |
                                                      CONTAINER_CGROUP_MEMORY | CONTAINER_CGROUP_PIDS)
                  ? 0
                  : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static struct container_cgroups v2_groups(struct host *h)
{
    struct container_cgroups g = {.count = 1};
    (void)snprintf(g.at[0].path, sizeof(g.at[0].path), "%s/v2/muster", h->dir);
    g.at[0].v2 = true;
    g.at[0].controllers = CONTAINER_CGROUP_CPU | CONTAINER_CGROUP_CPUACCT | CONTAINER_CGROUP_MEMORY | CONTAINER_CGROUP_PIDS;
    return g;
}

static void test_limits__v2_files(void **state)
{
    struct host *h = *state;
    host_run(h,
             "mkdir -p v2/muster/c && cd v2/muster/c && for f in cpu.weight cpu.max memory.low memory.max memory.oom.group "
             "memory.swap.max pids.max; do : >$f; done");
    struct container_cgroups g = v2_groups(h);
    struct launcher_limits limits = {.cpu_millis = 500,
                                     .cpu_quota_millis = 250,
                                     .memory_soft_bytes = 40 << 20,
                                     .memory_hard_bytes = 48 << 20,
                                     .pids_max = -1};
    struct err err;
    assert_int_equal(container_limits_apply(&g, "c", &limits, true, &err), 0);
    host_run(h,
             "cd v2/muster/c && test \"$(cat cpu.max)\" = '25000 100000' && test $(cat cpu.weight) = 50 &&"
             "test $(cat memory.low) = 41943040 && test $(cat memory.max) = 50331648 && test $(cat memory.oom.group) = 1 &&"
             "test $(cat memory.swap.max) = 0 && test $(cat pids.max) = max");
    /* Later the hard limit is only raised. */
    limits.memory_hard_bytes = 40 << 20;
    assert_int_equal(container_limits_apply(&g, "c", &limits, false, &err), 0);
    host_run(h, "test $(cat v2/muster/c/memory.max) = 50331648");
    host_run(h, ": >v2/muster/c/memory.max && echo 50331648 >v2/muster/c/memory.max");
    limits.memory_hard_bytes = -1;
    assert_int_equal(container_limits_apply(&g, "c", &limits, false, &err), 0);
    host_run(h, "grep -q max v2/muster/c/memory.max");
    host_run(h, "rm v2/muster/c/pids.max");
    assert_int_equal(container_limits_apply(&g, "c", &limits, false, &err), -ENOENT);
    assert_non_null(strstr(err.text, "v2/muster/c/pids.max: write max: No such file or directory"));
}

static void test_usage__v2_files(void **state)
{
    struct host *h = *state;
    host_run(h, "mkdir -p v2/muster/c && cd v2/muster/c &&"
                "printf 'usage_usec 3000000\\nuser_usec 2000000\\nsystem_usec 1000000\\nnr_periods 5\\nnr_throttled 2\\n"
                "throttled_usec 500000\\n' >cpu.stat && printf 'anon 100\\nfile 200\\nfile_mapped 7\\n' >memory.stat &&"
                "echo 400 >memory.current && echo max >memory.max && echo 33554432 >memory.low && echo 999 >memory.peak &&"
                "printf 'low 0\\noom 4\\noom_kill 3\\noom_group_kill 1\\n' >memory.events &&"
                "printf '1\\n2\\n' >cgroup.procs && echo 3 >pids.current");
    struct container_cgroups g = v2_groups(h);
    struct launcher_usage u = {0};
    container_usage_read(&g, "c", &u);
    assert_true(u.has_cpu && u.has_memory);
    assert_true(u.cpu_user_secs == 2 && u.cpu_system_secs == 1 && u.cpu_throttled_secs == 0.5);
    assert_int_equal(u.cpu_periods, 5);
    assert_int_equal(u.cpu_throttled, 2);
    assert_int_equal(u.memory_rss_bytes, 100);
    assert_int_equal(u.memory_cache_bytes, 200);
    assert_int_equal(u.memory_total_bytes, 400);
    assert_true(u.memory_limit_bytes == UINT64_MAX);
    assert_int_equal(u.memory_soft_limit_bytes, 32 << 20);
    assert_int_equal(u.processes, 2);
    assert_int_equal(u.threads, 3);
    assert_int_equal(container_usage_memory_kills(&g, "c"), 3);
    assert_int_equal(container_usage_memory_peak(&g, "c"), 999);
    struct launcher_usage none = {0};
    container_usage_read(&g, "absent", &none);
    assert_false(none.has_cpu || none.has_memory);
}

static void test_detect__what_cannot_be_used_is_named(void **state)
{
    struct host *h = *state;
    host_run(h, "touch memory");
    host_detect(h, "32 30 0:29 / %1$s/memory rw,relatime - cgroup cgroup rw,memory\n"
                   "garbage\n - \n33 30 0:30 / - cgroup\n");
    assert_int_equal(h->groups.count, 0);
    assert_non_null(strstr((const char *)buf_data(&h->missing), "cgroup memory: /tmp/muster-test-"));
    assert_non_null(strstr((const char *)buf_data(&h->missing), "/memory/muster: Not a directory\n"));
}

static void test_create__failure_leaves_nothing(void **state)
{
    struct host *h = *state;
    host_run(h, "mkdir a b && touch b/c");
    struct container_cgroups g = {.count = 2};
    (void)snprintf(g.at[0].path, sizeof(g.at[0].path), "%s/a", h->dir);
    (void)snprintf(g.at[1].path, sizeof(g.at[1].path), "%s/b", h->dir);
    struct err err;
    assert_int_equal(container_cgroup_create(&g, "c", &err), -EEXIST);
    assert_non_null(strstr(err.text, "/b/c: create: File exists"));
    host_run(h, "test ! -e a/c");
    assert_int_equal(container_cgroup_remove(&g, "absent", 10, &err), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, host_setup, host_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits__formulas),         TEST(test_detect__v1),       TEST(test_detect__v2),
        TEST(test_detect__what_cannot_be_used_is_named), TEST(test_limits__v2_files), TEST(test_usage__v2_files),
        TEST(test_create__failure_leaves_nothing),
    };
    return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
