/* SPDX-License-Identifier: Apache-2.0
 * test_fetch.c - URIs: what comes into the sandbox, and what must not. */
#include "world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static struct launcher_spec fetch_spec(struct world *w, const char *id, const struct launcher_uri *uris, size_t count,
                                       const char *shell)
{
    struct launcher_spec spec = world_spec(w, id, shell);
    spec.uris = uris;
    spec.uri_count = count;
    return spec;
}

static void assert_fetch_fails(struct world *w, const char *id, const struct launcher_uri *uris, size_t count,
                               const char *user, const char *text)
{
    struct launcher_spec spec = fetch_spec(w, id, uris, count, "true");
    spec.user = user;
    const struct world_container *c = world_do(w, &spec);
    assert_int_equal(c->reason, LAUNCHER_END_LAUNCH_FAILED);
    assert_int_equal(c->started, 0);
    if (strstr(c->message, text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text, c->message);
}

/* A file in the test's own folder; static text, a few at a time. */
static const char *file_in(struct world *w, const char *format)
{
    static char paths[4][160];
    static int next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof(paths[0]), format, w->root);
    return path;
}

static void test_fetch__local_files_are_copied(void **state)
{
    struct world *w = *state;
    assert_int_equal(world_system("echo data >%1$s/data.txt; echo 'exit 6' >%1$s/run.sh", w->root), 0);
    const struct launcher_uri uris[] = {
        {.value = file_in(w, "%s/data.txt")},
        {.value = file_in(w, "file://%s/data.txt"), .output_file = "deep/er/name"},
        {.value = file_in(w, "file://localhost%s/run.sh"), .executable = true},
    };
    struct launcher_spec spec = fetch_spec(w, "local", uris, 3, "cat data.txt deep/er/name; exec ./run.sh");
    const struct world_container *c = world_do(w, &spec);
    assert_string_equal(c->message, "Exited with status 6");
    assert_string_equal(world_read(w, "local", "stdout"), "data\ndata\n");
}

static void test_fetch__archives_are_unpacked(void **state)
{
    struct world *w = *state;
    assert_int_equal(
        world_system("cd %1$s && mkdir d && echo one >d/one && chmod 755 d/one && ln -s one d/link &&"
                     "tar -czf a.tar.gz d && tar -cJf b.txz d && tar -cf c.tar d && echo g | gzip >g.gz &&"
                     "python3 -c 'import zipfile; zipfile.ZipFile(\"z.zip\", \"w\").writestr(\"z/z\", \"zip\\n\")'",
                     w->root),
        0);
    const struct launcher_uri uris[] = {{.value = file_in(w, "%s/a.tar.gz"), .extract = true},
                                        {.value = file_in(w, "%s/z.zip"), .extract = true},
                                        {.value = file_in(w, "%s/g.gz"), .extract = true},
                                        {.value = file_in(w, "%s/c.tar"), .output_file = "c.tar"}};
    struct launcher_spec spec = fetch_spec(w, "archives", uris, 4, "cat d/one d/link z/z g; [ -x d/one ] && [ -f c.tar ]");
    if (LAUNCHER_SWITCH_USER & w->launcher->ops->isolation(w->launcher, &(const char *){NULL}))
        spec.user = "nobody";
    const struct world_container *c = world_do(w, &spec);
    assert_string_equal(c->message, "Exited with status 0");
    assert_string_equal(world_read(w, "archives", "stdout"), "one\none\nzip\ng\n");
    const struct launcher_uri xz[] = {{.value = file_in(w, "%s/b.txz"), .extract = true}};
    spec = fetch_spec(w, "xz", xz, 1, "cat d/one");
    assert_string_equal(world_do(w, &spec)->message, "Exited with status 0");
}

static void test_fetch__bad_uris_fail(void **state)
{
    struct world *w = *state;
    assert_int_equal(world_system("echo data >%1$s/data; echo no archive >%1$s/bad.tar.gz", w->root), 0);
    const char *data = file_in(w, "%s/data");
    assert_fetch_fails(w, "absent", &(struct launcher_uri){.value = "/no/such/file"}, 1, NULL,
                       "fetch /no/such/file: open: No such file or directory");
    assert_fetch_fails(w, "up", &(struct launcher_uri){.value = data, .output_file = "../x"}, 1, NULL, "bad output file");
    assert_fetch_fails(w, "inner", &(struct launcher_uri){.value = data, .output_file = "a/../../x"}, 1, NULL,
                       "bad output file");
    assert_fetch_fails(w, "absolute", &(struct launcher_uri){.value = data, .output_file = "/tmp/x"}, 1, NULL,
                       "bad output file");
    assert_fetch_fails(w, "folder", &(struct launcher_uri){.value = "/etc"}, 1, NULL, "not a regular file");
    assert_fetch_fails(w, "device", &(struct launcher_uri){.value = "/dev/zero"}, 1, NULL, "not a regular file");
    assert_fetch_fails(w, "scheme", &(struct launcher_uri){.value = "hdfs://x/y"}, 1, NULL, "only absolute paths");
    assert_fetch_fails(w, "relative", &(struct launcher_uri){.value = "x/y"}, 1, NULL, "only absolute paths");
    assert_fetch_fails(w, "archive", &(struct launcher_uri){.value = file_in(w, "%s/bad.tar.gz"), .extract = true}, 1, NULL,
                       "bad.tar.gz: ");
}

static void test_fetch__reads_only_what_the_user_may(void **state)
{
    struct world *w = *state;
    WORLD_NEEDS(w, LAUNCHER_SWITCH_USER);
    assert_int_equal(world_system("echo secret >%1$s/secret; chmod 600 %1$s/secret", w->root), 0);
    assert_fetch_fails(w, "secret", &(struct launcher_uri){.value = file_in(w, "%s/secret")}, 1, "nobody",
                       "Permission denied");
}

/* An archive plants links that lead out; what comes after must not go through them, be it a file or the same archive. */
static void test_fetch__links_do_not_lead_out(void **state)
{
    struct world *w = *state;
    assert_int_equal(
        world_system("cd %1$s && mkdir victim && echo data >data && python3 - <<'E'\n"
                     "import tarfile, io\n"
                     "def add(t, name, **k):\n"
                     "    i = tarfile.TarInfo(name); b = k.pop('data', b'')\n"
                     "    for n, v in k.items(): setattr(i, n, v)\n"
                     "    i.size = len(b); t.addfile(i, io.BytesIO(b))\n"
                     "t = tarfile.open('links.tar', 'w')\n"
                     "add(t, 'out', type=tarfile.SYMTYPE, linkname='%1$s/victim')\n"
                     "add(t, 'file', type=tarfile.SYMTYPE, linkname='%1$s/victim/file')\n"
                     "t.close()\n"
                     "t = tarfile.open('through.tar', 'w')\n"
                     "add(t, 'out', type=tarfile.SYMTYPE, linkname='%1$s/victim')\n"
                     "add(t, 'out/written', data=b'x')\n"
                     "t.close()\n"
                     "t = tarfile.open('dots.tar', 'w'); add(t, '../../../victim/dots', data=b'x'); t.close()\n"
                     "t = tarfile.open('root.tar', 'w'); add(t, '%1$s/victim/root', data=b'x'); t.close()\n"
                     "t = tarfile.open('hard.tar', 'w')\n"
                     "add(t, 'hard', type=tarfile.LNKTYPE, linkname='%1$s/data')\n"
                     "t.close()\n"
                     "t = tarfile.open('node.tar', 'w'); add(t, 'node', type=tarfile.BLKTYPE, devmajor=254)\n"
                     "add(t, 'suid', mode=0o6755, data=b'x'); t.close()\n"
                     "E",
                     w->root),
        0);
    const char *data = file_in(w, "%s/data");
    struct launcher_uri uris[] = {{.value = file_in(w, "%s/links.tar"), .extract = true},
                                  {.value = data, .output_file = "out/written"}};
    assert_fetch_fails(w, "folder", uris, 2, NULL, "out/written");
    uris[1].output_file = "file";
    assert_fetch_fails(w, "file", uris, 2, NULL, "output file file");
    assert_fetch_fails(w, "through", &(struct launcher_uri){.value = file_in(w, "%s/through.tar"), .extract = true}, 1,
                       NULL, "out");
    assert_fetch_fails(w, "dots", &(struct launcher_uri){.value = file_in(w, "%s/dots.tar"), .extract = true}, 1, NULL,
                       "..");
    assert_fetch_fails(w, "root", &(struct launcher_uri){.value = file_in(w, "%s/root.tar"), .extract = true}, 1, NULL,
                       "absolute");
    assert_fetch_fails(w, "hard", &(struct launcher_uri){.value = file_in(w, "%s/hard.tar"), .extract = true}, 1, NULL,
                       "hard");
    assert_int_equal(world_system("test -z \"$(ls -A %s/victim)\"", w->root), 0);
    const struct launcher_uri node[] = {{.value = file_in(w, "%s/node.tar"), .extract = true}};
    struct launcher_spec spec = fetch_spec(w, "node", node, 1, "[ ! -e node ] && stat -c %a suid");
    assert_int_equal(world_do(w, &spec)->status, 0);
    assert_string_equal(world_read(w, "node", "stdout"), "755\n");
}

static void test_fetch__size_is_bounded(void **state)
{
    struct world *w = *state; /* at 64 MiB */
    assert_int_equal(world_system("cd %1$s && truncate -s 65M big && head -c 66M /dev/zero | gzip >bomb.gz &&"
                                  "truncate -s 40M a b && tar -czf sum.tgz a b",
                                  w->root),
                     0);
    assert_fetch_fails(w, "big", &(struct launcher_uri){.value = file_in(w, "%s/big")}, 1, NULL, "File too large");
    assert_fetch_fails(w, "bomb", &(struct launcher_uri){.value = file_in(w, "%s/bomb.gz"), .extract = true}, 1, NULL,
                       "larger than allowed");
    assert_fetch_fails(w, "sum", &(struct launcher_uri){.value = file_in(w, "%s/sum.tgz"), .extract = true}, 1, NULL,
                       "larger than allowed");
}

/* ---- a server with one answer for each connection ---- */

static pid_t serve(const char *answer, int *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            int c = accept(fd, NULL, NULL);
            char request[4096];
            if (c < 0 || read(c, request, sizeof(request)) <= 0)
                _exit(1);
            if (*answer == '\0')
                (void)pause();
            if (write(c, answer, strlen(answer)) < 0)
                _exit(1);
            (void)close(c);
        }
    }
    (void)close(fd);
    return pid;
}

static void stop(pid_t server)
{
    assert_int_equal(kill(server, SIGKILL), 0);
    assert_int_equal(waitpid(server, NULL, 0), server);
}

static void test_fetch__http(void **state)
{
    struct world *w = *state;
    int port;
    char url[128];
    pid_t server = serve("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", &port);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/a/name?q=1", port);
    const struct launcher_uri uri = {.value = url};
    struct launcher_spec spec = fetch_spec(w, "http", &uri, 1, "cat 'name?q=1'");
    const struct world_container *c = world_do(w, &spec);
    assert_string_equal(c->message, "Exited with status 0");
    assert_string_equal(world_read(w, "http", "stdout"), "hello");
    stop(server);
    assert_fetch_fails(w, "refused", &uri, 1, NULL, "127.0.0.1");

    server = serve("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", &port);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/x", port);
    assert_fetch_fails(w, "absent", &uri, 1, NULL, "404");
    stop(server);

    server = serve("HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n", &port);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/x", port);
    assert_fetch_fails(w, "redirect", &uri, 1, NULL, "rotocol");
    assert_string_equal(world_read(w, "redirect", "x"), "");
    stop(server);
}

static void test_fetch__destroy_does_not_wait_for_the_server(void **state)
{
    struct world *w = *state;
    int port;
    char url[128];
    pid_t server = serve("", &port);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/x", port);
    const struct launcher_uri uri = {.value = url};
    struct launcher_spec spec = fetch_spec(w, "slow", &uri, 1, "true");
    world_launch(w, &spec);
    world_run(w, world_never, "", 200);
    w->launcher->ops->destroy(w->launcher, "slow");
    const struct world_container *c = world_await_end(w, "slow");
    assert_int_equal(c->reason, LAUNCHER_END_DESTROYED);
    assert_int_equal(c->started, 0);
    stop(server);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "fetch") == 0)
        return container_fetch_main(argc - 1, argv + 1);
    const struct CMUnitTest tests[] = {
        TEST(test_fetch__local_files_are_copied),
        TEST(test_fetch__archives_are_unpacked),
        TEST(test_fetch__bad_uris_fail),
        TEST(test_fetch__reads_only_what_the_user_may),
        TEST(test_fetch__links_do_not_lead_out),
        TEST(test_fetch__size_is_bounded),
        TEST(test_fetch__http),
        TEST(test_fetch__destroy_does_not_wait_for_the_server),
    };
    return cmocka_run_group_tests_name("fetch", tests, NULL, NULL);
}
