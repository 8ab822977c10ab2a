/* SPDX-License-Identifier: Apache-2.0
 * test_inner.c - containers inside others: sessions, terminals, and that they are as confined as what they are inside of.
 */
#include "world.h"

#include <poll.h>
#include <sys/socket.h>

struct output {
    char text[2][1 << 16]; /* stdout, stderr; terminated */
    size_t len[2];
    size_t total;
    bool has_ended;
};

/* Takes one packet; false at the end or after the time. */
static bool take_packet(int fd, struct output *o)
{
    static char packet[1 + LAUNCHER_PACKET_MAX];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, 10000) <= 0)
        return false;
    ssize_t n = recv(fd, packet, sizeof(packet), 0);
    if (n <= 0) {
        o->has_ended = true;
        return false;
    }
    assert_true(packet[0] == LAUNCHER_PACKET_STDOUT || packet[0] == LAUNCHER_PACKET_STDERR);
    int i = packet[0] == LAUNCHER_PACKET_STDERR;
    size_t room = sizeof(o->text[i]) - 1 - o->len[i], len = (size_t)n - 1 < room ? (size_t)n - 1 : room;
    memcpy(o->text[i] + o->len[i], packet + 1, len);
    o->len[i] += len;
    o->text[i][o->len[i]] = '\0';
    o->total += (size_t)n - 1;
    return true;
}

static void take_all(int fd, struct output *o)
{
    while (take_packet(fd, o))
        ;
    assert_true(o->has_ended);
}

static void take_until(int fd, struct output *o, const char *text)
{
    while (strstr(o->text[0], text) == NULL)
        if (!take_packet(fd, o))
            fail_msg("\"%s\" did not come: \"%s\" \"%s\"", text, o->text[0], o->text[1]);
}

static void give(int fd, char type, const void *data, size_t len)
{
    char packet[1 + LAUNCHER_PACKET_MAX];
    packet[0] = type;
    memcpy(packet + 1, data, len);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    assert_int_equal(poll(&p, 1, 10000), 1);
    assert_int_equal(send(fd, packet, len + 1, MSG_NOSIGNAL), len + 1);
}

static struct launcher_spec outer_spec(struct world *w, const char *shell)
{
    return world_spec(w, "outer", shell);
}

static void start_outer(struct world *w)
{
    struct launcher_spec spec = outer_spec(w, "echo mine > file; exec sleep 1000");
    world_launch(w, &spec);
    (void)world_await_start(w, "outer");
}

static struct launcher_spec session_spec(struct world *w, const char *id, const char *shell)
{
    struct launcher_spec spec = world_spec(w, id, shell);
    free((char *)spec.sandbox);
    char *sandbox = NULL;
    assert_true(asprintf(&sandbox, "%s/box/outer", w->work) > 0);
    spec.sandbox = sandbox;
    spec.parent = "outer";
    spec.session = true;
    return spec;
}

static int attach(struct world *w, const char *id)
{
    struct err err = {.text = ""};
    int fd = -1;
    if (w->launcher->ops->attach(w->launcher, id, &fd, &err) < 0)
        fail_msg("attach: %s", err.text);
    return fd;
}

static int start_session(struct world *w, const struct launcher_spec *spec)
{
    char id[64];
    (void)snprintf(id, sizeof(id), "%s", spec->container_id);
    world_launch(w, spec);
    (void)world_await_start(w, id);
    return attach(w, id);
}

/* Runs a command inside to its end. */
static struct world_container *run_inside(struct world *w, const char *id, const char *shell, struct output *o)
{
    struct launcher_spec spec = session_spec(w, id, shell);
    int fd = start_session(w, &spec);
    memset(o, 0, sizeof(*o));
    take_all(fd, o);
    close(fd);
    return world_await_end(w, id);
}

static struct output output;

static void test_session__output_and_status_come_back(void **state)
{
    struct world *w = *state;
    start_outer(w);
    const struct world_container *c = run_inside(w, "session", "cat file; pwd; echo wrong >&2; exit 7", &output);
    char expected[200];
    (void)snprintf(expected, sizeof(expected), "mine\n%s/box/outer\n", w->work);
    assert_string_equal(output.text[0], expected);
    assert_string_equal(output.text[1], "wrong\n");
    assert_int_equal(c->reason, LAUNCHER_END_EXITED);
    assert_int_equal(WEXITSTATUS(c->status), 7);
    assert_string_equal(world_read(w, "outer", "stdout"), ""); /* its output is not the other's */
}

static void test_session__input_reaches_the_program(void **state)
{
    struct world *w = *state;
    start_outer(w);
    struct launcher_spec spec = session_spec(w, "session", "cat; echo end");
    int fd = start_session(w, &spec);
    memset(&output, 0, sizeof(output));
    give(fd, LAUNCHER_PACKET_STDIN, "abc\n", 4);
    take_until(fd, &output, "abc\n");
    give(fd, LAUNCHER_PACKET_STDIN, "def\n", 4);
    give(fd, LAUNCHER_PACKET_STDIN, "", 0);
    take_all(fd, &output);
    close(fd);
    assert_string_equal(output.text[0], "abc\ndef\nend\n");
    (void)world_await_end(w, "session");
}

/* What the task itself sees of its confinement, and what a session sees. */
static void test_session__is_as_confined_as_its_container(void **state)
{
    static const char look[] =
        "for n in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$n; done;"
        "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp):?' /proc/self/status; grep -E '^Cap' /proc/self/status;"
        "cat /proc/self/cgroup | sed 's,/session.*,/,'; ls /proc/self/fd | wc -l; umask; ulimit -a";
    struct world *w = *state;
    char command[2048];
    (void)snprintf(command, sizeof(command), "(%s) > look; echo > done; exec sleep 1000", look);
    struct launcher_spec spec = outer_spec(w, command);
    spec.user = geteuid() == 0 ? "nobody" : NULL;
    world_launch(w, &spec);
    (void)world_await_start(w, "outer");
    for (int i = 0; i < 100 && world_read(w, "outer", "done")[0] == '\0'; i++)
        world_run(w, world_never, "", 50);
    char *own = strdup(world_read(w, "outer", "look"));
    spec = session_spec(w, "session", look);
    spec.user = geteuid() == 0 ? "nobody" : NULL;
    int fd = start_session(w, &spec);
    memset(&output, 0, sizeof(output));
    take_all(fd, &output);
    close(fd);
    assert_non_null(strstr(own, "NoNewPrivs:\t1"));
    assert_string_equal(output.text[0], own);
    assert_string_equal(output.text[1], "");
    free(own);
}

static void test_session__nothing_of_the_host_leaks_into_it(void **state)
{
    struct world *w = *state;
    WORLD_NEEDS(w, LAUNCHER_PID_NAMESPACE | LAUNCHER_MOUNT_NAMESPACE);
    start_outer(w);
    int lure = open("/etc/passwd", O_RDONLY); /* not close-on-exec, on purpose */
    (void)run_inside(w, "session",
                     "ls -l /proc/self/fd | grep -v 'proc\\|pipe:\\|^total' ; ls /proc | grep -c '^[0-9]'; "
                     "ls -d /proc/self/cwd/..; readlink /proc/self/exe",
                     &output);
    close(lure);
    assert_null(strstr(output.text[0], "passwd"));
    assert_null(strstr(output.text[0], "memfd"));
    assert_true(atoi(output.text[0]) < 10); /* init, sleep, and this pipeline: not the host's processes */
}

static void test_session__its_end_ends_what_it_left_running(void **state)
{
    struct world *w = *state;
    start_outer(w);
    const struct world_container *c =
        run_inside(w, "session", "(trap '' HUP; exec sleep 998) & echo $!; exec >&- 2>&-; exit 3", &output);
    assert_int_equal(WEXITSTATUS(c->status), 3);
    (void)run_inside(w, "again", /* a signal is not an end yet: looked at again a bounded number of times */
                     "i=0; left() { cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep '^99[8]$'; }; "
                     "while [ $i -lt 300 ] && left > /dev/null; do i=$((i + 1)); done; left; echo looked",
                     &output);
    assert_string_equal(output.text[0], "looked\n");
    assert_false(world_find(w, "outer")->ended);
}

static void test_session__ends_when_nobody_is_attached_any_more(void **state)
{
    struct world *w = *state;
    start_outer(w);
    struct launcher_spec spec = session_spec(w, "session", "trap '' HUP TERM; setsid sleep 997 & cat; sleep 996");
    close(start_session(w, &spec));
    const struct world_container *c = world_await_end(w, "session");
    assert_int_equal(c->reason, LAUNCHER_END_DESTROYED);
    assert_false(world_find(w, "outer")->ended);
    assert_int_equal(world_system("pgrep -f '^sleep 99[67]'%s", "> /dev/null"), 256);
}

static void test_session__ends_with_its_container(void **state)
{
    struct world *w = *state;
    start_outer(w);
    struct launcher_spec spec = session_spec(w, "session", "sleep 1000");
    int fd = start_session(w, &spec);
    w->launcher->ops->destroy(w->launcher, "outer");
    (void)world_await_end(w, "outer");
    assert_true(WIFSIGNALED(world_await_end(w, "session")->status));
    close(fd);
    spec = session_spec(w, "late", "true");
    const struct world_container *c = world_do(w, &spec);
    assert_int_equal(c->reason, LAUNCHER_END_LAUNCH_FAILED);
    assert_non_null(strstr(c->message, "container outer does not run"));
}

static void test_session__a_slow_reader_holds_the_program_up(void **state)
{
    enum { BYTES = 8 << 20 };
    struct world *w = *state;
    start_outer(w);
    struct launcher_spec spec = session_spec(w, "session", "head -c 8388608 /dev/zero; echo > written");
    int fd = start_session(w, &spec);
    world_run(w, world_never, "", 300);
    assert_string_equal(world_read(w, "outer", "written"), ""); /* stuck: nobody has read */
    memset(&output, 0, sizeof(output));
    take_all(fd, &output);
    assert_int_equal(output.total, BYTES);
    close(fd);
    assert_int_equal(world_await_end(w, "session")->status, 0);
}

static void test_session__a_slow_program_holds_the_writer_up(void **state)
{
    struct world *w = *state;
    start_outer(w);
    struct launcher_spec spec = session_spec(w, "session", "read x; cat | wc -c");
    int fd = start_session(w, &spec);
    char packet[1 + LAUNCHER_PACKET_MAX];
    memset(packet, 'x', sizeof(packet));
    packet[0] = LAUNCHER_PACKET_STDIN;
    size_t sent = 0;
    for (int idle = 0; idle < 3;) { /* the program sleeps in read: the line has no end yet */
        if (send(fd, packet, sizeof(packet), MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
            sent += sizeof(packet) - 1;
            assert_in_range(sent, 0, 4 << 20);
        } else {
            assert_int_equal(errno, EAGAIN);
            idle++;
            world_run(w, world_never, "", 50);
        }
        if (sent > (2u << 20))
            break; /* `read` takes byte by byte; what it took is bounded by the time here */
    }
    give(fd, LAUNCHER_PACKET_STDIN, "\n12345", 6);
    give(fd, LAUNCHER_PACKET_STDIN, "", 0);
    memset(&output, 0, sizeof(output));
    take_all(fd, &output);
    assert_string_equal(output.text[0], "5\n");
    close(fd);
    (void)world_await_end(w, "session");
}

static void test_terminal__is_one_and_has_a_size(void **state)
{
    struct world *w = *state;
    start_outer(w);
    struct launcher_spec spec =
        session_spec(w, "session",
                     "test -t 0 && test -t 1 && test -t 2 && tty; trap 'stty size' WINCH; echo > /dev/tty ready; "
                     "until read x; do :; done; echo got $x; stty size; exit 5"); /* the signal may interrupt read */
    spec.tty = true;
    int fd = start_session(w, &spec);
    memset(&output, 0, sizeof(output));
    take_until(fd, &output, "ready");
    assert_non_null(strstr(output.text[0], "/dev/pts/"));
    const struct launcher_window window = {.rows = 33, .columns = 44};
    give(fd, LAUNCHER_PACKET_WINDOW, &window, sizeof(window));
    take_until(fd, &output, "33 44");
    memset(&output, 0, sizeof(output));
    give(fd, LAUNCHER_PACKET_STDIN, "line\n", 5);
    take_all(fd, &output);
    assert_non_null(strstr(output.text[0], "got line"));
    assert_non_null(strstr(output.text[0], "33 44"));
    close(fd);
    assert_int_equal(WEXITSTATUS(world_await_end(w, "session")->status), 5);
}

static void test_terminal__interrupts_and_ends_its_input(void **state)
{
    struct world *w = *state;
    struct launcher_spec spec = outer_spec(w, "exec sleep 1000");
    spec.user = geteuid() == 0 ? "nobody" : NULL;
    world_launch(w, &spec);
    (void)world_await_start(w, "outer");
    spec = session_spec(w, "session", "trap 'echo int' INT; echo ready; cat; echo end; cat; exit 4");
    spec.tty = true;
    spec.user = geteuid() == 0 ? "nobody" : NULL;
    int fd = start_session(w, &spec);
    memset(&output, 0, sizeof(output));
    take_until(fd, &output, "ready");
    give(fd, LAUNCHER_PACKET_STDIN, "x\n", 2);
    take_until(fd, &output, "x\r\nx\r\n"); /* cat has begun */
    give(fd, LAUNCHER_PACKET_STDIN, "\x03", 1);
    take_until(fd, &output, "int");
    take_until(fd, &output, "end");
    give(fd, LAUNCHER_PACKET_STDIN, "\x04", 1);
    take_all(fd, &output);
    close(fd);
    assert_int_equal(WEXITSTATUS(world_await_end(w, "session")->status), 4);
}

static void test_terminal__of_a_container_of_its_own_is_logged_and_attachable(void **state)
{
    struct world *w = *state;
    struct launcher_spec spec = world_spec(w, "outer", "tty; read x; echo got $x; read x; exit 6");
    spec.tty = true;
    world_launch(w, &spec);
    (void)world_await_start(w, "outer");
    int fd = attach(w, "outer");
    memset(&output, 0, sizeof(output));
    give(fd, LAUNCHER_PACKET_STDIN, "line\n", 5);
    take_until(fd, &output, "got line");
    close(fd); /* which does not end it */
    fd = attach(w, "outer");
    give(fd, LAUNCHER_PACKET_STDIN, "more\n", 5);
    take_all(fd, &output);
    close(fd);
    assert_int_equal(WEXITSTATUS(world_await_end(w, "outer")->status), 6);
    assert_non_null(strstr(world_read(w, "outer", "stdout"), "/dev/pts/0"));
    assert_non_null(strstr(world_read(w, "outer", "stdout"), "got line"));
    struct err err;
    int none;
    spec = world_spec(w, "plain", "exec sleep 1000");
    world_launch(w, &spec);
    (void)world_await_start(w, "plain");
    assert_int_equal(w->launcher->ops->attach(w->launcher, "plain", &none, &err), -EOPNOTSUPP);
    assert_int_equal(w->launcher->ops->attach(w->launcher, "outer", &none, &err), -ENOENT);
}

static void test_inner__without_session_has_logs_and_outlives_the_agent(void **state)
{
    struct world *w = *state;
    start_outer(w);
    struct launcher_spec spec = session_spec(w, "inner", "echo begun; while [ ! -e ../../go ]; do sleep 0.1; done; exit 9");
    free((char *)spec.sandbox);
    char *sandbox = NULL;
    assert_true(asprintf(&sandbox, "%s/box/outer/containers/one", w->work) > 0);
    spec.sandbox = sandbox;
    spec.session = false;
    world_launch(w, &spec);
    (void)world_await_start(w, "inner");
    world_close(w);
    world_open(w);
    memset(w->containers, 0, sizeof(w->containers));
    w->count = 0;
    const char *const known[] = {"outer", "inner"};
    world_recover(w, known, 2);
    (void)world_await_start(w, "inner");
    assert_int_equal(world_system("touch %s/box/outer/go", w->work), 0);
    assert_int_equal(WEXITSTATUS(world_await_end(w, "inner")->status), 9);
    assert_string_equal(world_read(w, "outer/containers/one", "stdout"), "begun\n");
}

static void test_inner__a_link_in_the_sandbox_is_not_followed(void **state)
{
    struct world *w = *state;
    struct launcher_spec spec = outer_spec(w, "ln -s /tmp containers; echo > done; exec sleep 1000");
    world_launch(w, &spec);
    (void)world_await_start(w, "outer");
    for (int i = 0; i < 100 && world_read(w, "outer", "done")[0] == '\0'; i++)
        world_run(w, world_never, "", 50);
    spec = session_spec(w, "inner", "true");
    free((char *)spec.sandbox);
    char *sandbox = NULL;
    assert_true(asprintf(&sandbox, "%s/box/outer/containers/one", w->work) > 0);
    spec.sandbox = sandbox;
    spec.session = false;
    const struct world_container *c = world_do(w, &spec);
    assert_int_equal(c->reason, LAUNCHER_END_LAUNCH_FAILED);
    assert_non_null(strstr(c->message, "open containers: "));
    assert_int_not_equal(access("/tmp/one", F_OK), 0);
}

static void test_signal__reaches_the_program(void **state)
{
    struct world *w = *state;
    struct launcher_spec spec = outer_spec(w, "trap 'exit 21' USR2; echo > ready; while :; do sleep 0.05; done");
    world_launch(w, &spec);
    (void)world_await_start(w, "outer");
    for (int i = 0; i < 100 && world_read(w, "outer", "ready")[0] == '\0'; i++)
        world_run(w, world_never, "", 50);
    assert_int_equal(w->launcher->ops->signal(w->launcher, "outer", 0), -EINVAL);
    assert_int_equal(w->launcher->ops->signal(w->launcher, "outer", NSIG), -EINVAL);
    assert_int_equal(w->launcher->ops->signal(w->launcher, "nobody", SIGUSR2), -ENOENT);
    assert_int_equal(w->launcher->ops->signal(w->launcher, "outer", SIGUSR2), 0);
    assert_int_equal(WEXITSTATUS(world_await_end(w, "outer")->status), 21);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_session__output_and_status_come_back),
        TEST(test_session__input_reaches_the_program),
        TEST(test_session__is_as_confined_as_its_container),
        TEST(test_session__nothing_of_the_host_leaks_into_it),
        TEST(test_session__its_end_ends_what_it_left_running),
        /* without a group of its own: only the session id leads to what it left */
        cmocka_unit_test_setup_teardown(test_session__its_end_ends_what_it_left_running, world_setup_without_cgroups,
                                        world_teardown),
        TEST(test_session__ends_when_nobody_is_attached_any_more),
        TEST(test_session__ends_with_its_container),
        TEST(test_session__a_slow_reader_holds_the_program_up),
        TEST(test_session__a_slow_program_holds_the_writer_up),
        TEST(test_terminal__is_one_and_has_a_size),
        TEST(test_terminal__interrupts_and_ends_its_input),
        TEST(test_terminal__of_a_container_of_its_own_is_logged_and_attachable),
        TEST(test_inner__without_session_has_logs_and_outlives_the_agent),
        TEST(test_inner__a_link_in_the_sandbox_is_not_followed),
        TEST(test_signal__reaches_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
