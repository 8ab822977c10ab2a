/* SPDX-License-Identifier: Apache-2.0
 * test_reads.c - large answers on a real loop and real sockets: who shares a picture, what is sent, who is cut off. The
 * body of an answer is the name of who asked, then LARGE bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/real/loop_ev.h"
#include "master/reads.h"

#define LARGE ((size_t)24 << 20) /* more than the buffers of a socket take */
#define GRACE_MS 300
#define CLIENTS_MAX 8

struct client {
    struct fixture *fixture;
    int fd;
    struct loop_fd *watch;
    char *text;
    size_t len;
    bool is_closed;
};

struct fixture {
    struct loop *loop;
    struct loop_timer *guard;
    struct http_server *server;
    struct master_reads *reads;
    struct client clients[CLIENTS_MAX];
    size_t client_count, awaited;
    size_t fills, releases, stop_at; /* stop_at: after so many fills */
    bool is_small;
};

struct question {
    struct fixture *fixture;
    char name[32];
};

static int fill(void *ctx, struct master_picture *p)
{
    struct question *q = ctx;
    if (++q->fixture->fills == q->fixture->stop_at)
        loop_stop(q->fixture->loop);
    master_picture_init(p, NULL);
    assert_int_equal(buf_printf(&p->frame, "%s:", q->name), 0);
    size_t len = q->fixture->is_small ? 10 : LARGE;
    memset(buf_reserve(&p->frame, len), 'x', len);
    buf_commit(&p->frame, len);
    return master_picture_finish(p);
}

static void release(void *ctx)
{
    struct question *q = ctx;
    q->fixture->releases++;
    free(q);
}

/* GET /PRINCIPAL */
static void handle(void *ctx, struct http_exchange *x, const struct http_message *request)
{
    struct fixture *f = ctx;
    struct question *q = xcalloc(1, sizeof(*q));
    q->fixture = f;
    (void)snprintf(q->name, sizeof(q->name), "%s", request->path + 1);
    const struct master_read read = {.name = "everything",
                                     .media_type = "text/plain",
                                     .principal = q->name[0] != '\0' ? q->name : NULL,
                                     .is_small = f->is_small,
                                     .fill = fill,
                                     .release = release,
                                     .ctx = q};
    master_reads_answer(f->reads, x, &read);
}

static void on_guard(void *ctx)
{
    (void)ctx;
    fail_msg("the loop was not stopped in time");
}

static int setup(void **state)
{
    struct err err;
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->loop = loop_ev_new();
    f->guard = loop_timer_add(f->loop, on_guard, f);
    loop_timer_start(f->guard, 20000);
    f->reads = master_reads_new(f->loop, GRACE_MS);
    const struct http_server_config config = {.ip = "127.0.0.1"};
    assert_int_equal(http_server_start(f->loop, &config, handle, f, &f->server, &err), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    f->reads = master_reads_free(f->reads);
    f->server = http_server_stop(f->server);
    for (size_t i = 0; i < f->client_count; i++) {
        (void)loop_fd_remove(f->clients[i].watch);
        close(f->clients[i].fd);
        free(f->clients[i].text);
    }
    loop_timer_remove(f->guard);
    loop_ev_free(f->loop);
    free(f);
    return 0;
}

static void on_readable(void *ctx, int fd, unsigned ready)
{
    struct client *c = ctx;
    (void)ready;
    ssize_t n = recv(fd, c->text + c->len, LARGE * 2 - c->len - 1, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0) {
        c->len += (size_t)n;
        return;
    }
    c->is_closed = true;
    c->watch = loop_fd_remove(c->watch);
    if (--c->fixture->awaited == 0)
        loop_stop(c->fixture->loop);
}

/* A client that has asked and reads nothing yet. */
static struct client *ask(struct fixture *f, const char *path)
{
    struct client *c = &f->clients[f->client_count++];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(http_server_port(f->server))};
    char text[128];
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *c = (struct client){.fixture = f, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .text = xcalloc(1, LARGE * 2)};
    assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof(to)), 0);
    int len = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", path);
    assert_int_equal(send(c->fd, text, (size_t)len, MSG_NOSIGNAL), len);
    return c;
}

static void begin_reading(struct client *c)
{
    c->watch = loop_fd_add(c->fixture->loop, c->fd, LOOP_READ, on_readable, c);
    c->fixture->awaited++;
}

/* The answer was given in chunks, whole, and to this principal. */
static void assert_whole(const struct client *c, const char *name)
{
    char first[64];
    size_t count = 0;
    assert_true(c->is_closed);
    assert_non_null(strstr(c->text, "Transfer-Encoding: chunked"));
    (void)snprintf(first, sizeof(first), "\r\n%s:xxx", name);
    assert_non_null(strstr(c->text, first));
    for (size_t i = 0; i < c->len; i++)
        count += c->text[i] == 'x';
    assert_in_range(count, LARGE, LARGE + 16); /* "text/plain", "Expires" and such have one, too */
    assert_memory_equal(c->text + c->len - 5, "0\r\n\r\n", 5);
}

static void test_reads__same_question_of_the_same_principal_shares_a_picture(void **state)
{
    struct fixture *f = *state;
    static const char *const paths[] = {"/ann", "/bob", "/ann", "/", "/ann"};
    for (size_t i = 0; i < 5; i++)
        begin_reading(ask(f, paths[i]));
    loop_run(f->loop);
    assert_int_equal(f->fills, 3);
    assert_int_equal(f->releases, 5);
    for (size_t i = 0; i < 5; i++)
        assert_whole(&f->clients[i], paths[i] + 1);
}

static void test_reads__later_question_gets_a_newer_picture(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 2; i++) {
        begin_reading(ask(f, "/ann"));
        loop_run(f->loop);
    }
    assert_int_equal(f->fills, 2);
}

static void test_reads__small_answer_is_given_whole(void **state)
{
    struct fixture *f = *state;
    f->is_small = true;
    struct client *c = ask(f, "/ann");
    begin_reading(c);
    loop_run(f->loop);
    assert_non_null(strstr(c->text, "Content-Length: 14\r\n"));
    assert_non_null(strstr(c->text, "\r\n\r\nann:xxxxxxxxxx"));
    assert_int_equal(f->releases, 1);
}

/* As many as there may be pictures, and none of them reads: the fifth waits until the oldest is cut off. */
static void test_reads__slow_reader_makes_room_after_the_grace(void **state)
{
    struct fixture *f = *state;
    static const char *const slow[READS_PICTURES_MAX] = {"/a", "/b", "/c", "/d"};
    for (size_t i = 0; i < READS_PICTURES_MAX; i++)
        (void)ask(f, slow[i]);
    f->stop_at = READS_PICTURES_MAX;
    loop_run(f->loop);
    struct client *last = ask(f, "/ann");
    begin_reading(last);
    loop_run(f->loop);
    assert_whole(last, "ann");
    assert_int_equal(f->fills, READS_PICTURES_MAX + 1);
    assert_int_equal(f->releases, 2); /* the last one, and one of the slow ones */
}

static void test_reads__client_that_vanishes_takes_its_job_along(void **state)
{
    struct fixture *f = *state;
    struct client *gone = ask(f, "/ann");
    begin_reading(ask(f, "/bob"));
    close(gone->fd);
    gone->fd = -1;
    loop_run(f->loop);
    assert_whole(&f->clients[1], "bob");
    assert_int_equal(f->releases, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reads__same_question_of_the_same_principal_shares_a_picture),
        TEST(test_reads__later_question_gets_a_newer_picture),
        TEST(test_reads__small_answer_is_given_whole),
        TEST(test_reads__slow_reader_makes_room_after_the_grace),
        TEST(test_reads__client_that_vanishes_takes_its_job_along),
    };
    return cmocka_run_group_tests_name("reads", tests, NULL, NULL);
}
