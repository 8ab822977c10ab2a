/* SPDX-License-Identifier: Apache-2.0
 * Persistent volumes on a real disk: made, kept, removed; links that lead elsewhere are not followed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/shell.h"
#include "common/base/check.h"
#include "common/real/loop_ev.h"
#include "common/wire/codec.h"

static struct {
    bool is_done;
    int result;
    char text[1024];
} answer;

/* In place of the shell: the answers end here. */
void agent_shell_event(struct agent_shell *s, struct agent_event *in)
{
    assert_int_equal(in->type, AGENT_IN_VOLUMES_DONE);
    answer.is_done = true;
    answer.result = in->volumes_done.result;
    snprintf(answer.text, sizeof(answer.text), "%s", in->volumes_done.text ? in->volumes_done.text : "");
    loop_stop(s->loop);
}

struct fixture {
    struct agent_shell shell;
    struct arena *arena;
    char root[64], work[80];
    uint64_t next;
};

static int sh(const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return system(text);
}

static void open_volumes(struct fixture *f)
{
    struct err err = {""};
    if (agent_volumes_new(&f->shell, &f->shell.volumes, &err) != 0)
        fail_msg("%s", err.text);
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->arena = arena_new(0);
    snprintf(f->root, sizeof(f->root), "/tmp/volumes.XXXXXX");
    assert_non_null(mkdtemp(f->root));
    snprintf(f->work, sizeof(f->work), "%s/work", f->root);
    assert_int_equal(mkdir(f->work, 0755), 0);
    f->shell.loop = loop_ev_new();
    f->shell.work_dir = f->work;
    open_volumes(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    f->shell.volumes = agent_volumes_free(f->shell.volumes);
    (void)loop_ev_free(f->shell.loop);
    assert_int_equal(sh("rm -rf '%s'", f->root), 0);
    arena_free(f->arena);
    free(f);
    return 0;
}

/* Runs the loop until an answer has come, or for this long. */
static void on_late(void *ctx)
{
    loop_stop(ctx);
}

static void run(struct fixture *f, int64_t ms)
{
    struct loop_timer *late = loop_timer_add(f->shell.loop, on_late, f->shell.loop);
    loop_timer_start(late, ms);
    loop_run(f->shell.loop);
    (void)loop_timer_remove(late);
}

/* source: "" or a member of disk. */
static int act(struct fixture *f, bool is_create, bool is_repeated, const char *role, const char *id, const char *source)
{
    struct err err = {""};
    const char *text = arena_printf(
        f->arena,
        "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},\"reservations\":[{\"type\":\"DYNAMIC\",\"role\":"
        "\"%s\"}],\"disk\":{\"persistence\":{\"id\":\"%s\"}%s}}",
        role, id, source);
    Mesos__V1__Resource *r =
        (void *)wire_decode(WIRE_JSON, &mesos__v1__resource__descriptor, text, strlen(text), f->arena, &err);
    if (r == NULL)
        fail_msg("%s", err.text);
    struct agent_effect e = {.type = AGENT_OUT_VOLUMES};
    e.volumes.operation = arena_printf(f->arena, "op%llu", (unsigned long long)++f->next);
    e.volumes.list = &r;
    e.volumes.count = 1;
    e.volumes.is_create = is_create;
    e.volumes.is_repeated = is_repeated;
    answer.is_done = false;
    agent_volumes_carry_out(f->shell.volumes, &e);
    assert_false(answer.is_done); /* never from inside the call */
    run(f, 10000);
    assert_true(answer.is_done);
    return answer.result;
}

static void test_volumes__are_made_where_mesos_has_them(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(act(f, true, false, "eng/fe", "v1", ""), 0);
    assert_int_equal(sh("test -d '%s/volumes/roles/eng fe/v1'", f->work), 0);
    assert_int_equal(act(f, true, false, "eng/fe", "v1", ""), 0); /* empty: it may as well be this one */
    assert_int_equal(sh("echo x >'%s/volumes/roles/eng fe/v1/file'", f->work), 0);
    assert_int_equal(act(f, true, false, "eng/fe", "v1", ""), -EEXIST);
    assert_non_null(strstr(answer.text, "not empty"));
    assert_int_equal(act(f, true, true, "eng/fe", "v1", ""), 0); /* after a crash a task may have been in it */
    assert_int_equal(sh("test -f '%s/volumes/roles/eng fe/v1/file'", f->work), 0);
}

static void test_volumes__of_path_and_mount_disks(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(sh("mkdir -p %1$s/work/disk1 %1$s/disk2 && echo x >%1$s/disk2/file", f->root), 0);
    const char *path = ",\"source\":{\"type\":\"PATH\",\"path\":{\"root\":\"disk1\"}}";
    const char *mount =
        arena_printf(f->arena, ",\"source\":{\"type\":\"MOUNT\",\"mount\":{\"root\":\"%s/disk2\"}}", f->root);
    assert_int_equal(act(f, true, false, "eng", "v1", path), 0);
    assert_int_equal(sh("test -d %s/disk1/volumes/roles/eng/v1", f->work), 0);
    assert_int_equal(act(f, false, false, "eng", "v1", path), 0);
    assert_int_equal(sh("test ! -e %s/disk1/volumes/roles/eng/v1", f->work), 0);
    assert_int_equal(act(f, true, false, "eng", "v2", mount), 0);
    assert_int_equal(act(f, false, false, "eng", "v2", mount), 0);
    assert_int_equal(sh("test -d %1$s/disk2 && test ! -e %1$s/disk2/file", f->root), 0); /* emptied before the answer */
    assert_int_equal(act(f, true, false, "eng", "v3", ",\"source\":{\"type\":\"PATH\",\"path\":{\"root\":\"/no/such\"}}"),
                     -ENOENT);
}

static void test_volumes__are_removed_with_all_that_is_in_them_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(act(f, true, false, "eng", "v1", ""), 0);
    assert_int_equal(sh("cd %1$s/volumes/roles/eng/v1 && mkdir -p a/b/c/d && echo x >a/b/c/d/e && mkdir %2$s/outside && "
                        "echo keep >%2$s/outside/file && ln -s %2$s/outside link && ln -s %2$s/outside a/link && "
                        "chmod 0 a/b/c && for i in $(seq 600); do : >f$i; done",
                        f->work, f->root),
                     0);
    assert_int_equal(act(f, false, false, "eng", "v1", ""), 0);
    assert_int_equal(sh("test ! -e %s/volumes/roles/eng/v1", f->work), 0);
    run(f, 1000);
    assert_int_equal(sh("test -z \"$(ls -A %s/volumes/removed)\"", f->work), 0);
    assert_int_equal(sh("test -f %s/outside/file", f->root), 0);
    assert_int_equal(act(f, false, true, "eng", "v1", ""), 0); /* told twice */
}

static void test_volumes__links_in_place_of_folders_are_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        sh("mkdir -p %1$s/outside %1$s/work/volumes/roles && ln -s %1$s/outside %1$s/work/volumes/roles/eng", f->root), 0);
    assert_true(act(f, true, false, "eng", "v1", "") < 0);
    assert_int_equal(sh("mkdir %1$s/work/volumes/roles/ops && ln -s %1$s/outside %1$s/work/volumes/roles/ops/v1 && "
                        "echo keep >%1$s/outside/file",
                        f->root),
                     0);
    assert_true(act(f, true, true, "ops", "v1", "") < 0);
    assert_int_equal(act(f, false, false, "ops", "v1", ""), 0); /* the link goes, not what it leads to */
    run(f, 300);
    assert_int_equal(sh("test -f %1$s/outside/file && test ! -e %1$s/work/volumes/roles/ops/v1", f->root), 0);
}

static void test_volumes__emptying_goes_on_at_the_next_start(void **state)
{
    struct fixture *f = *state;
    f->shell.volumes = agent_volumes_free(f->shell.volumes);
    assert_int_equal(sh("mkdir -p %s/volumes/removed/op1-0/a/b", f->work), 0);
    open_volumes(f);
    run(f, 500);
    assert_int_equal(sh("test -z \"$(ls -A %s/volumes/removed)\"", f->work), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_volumes__are_made_where_mesos_has_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_volumes__of_path_and_mount_disks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_volumes__are_removed_with_all_that_is_in_them_and_nothing_else, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_volumes__links_in_place_of_folders_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_volumes__emptying_goes_on_at_the_next_start, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
