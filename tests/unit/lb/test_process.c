/* SPDX-License-Identifier: Apache-2.0
 * test_process.c - the real `muster lb` as a process with the proxy plane, behind a master made of its event stream. The
 * back ends are sockets of the test that say their port and close. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/ready.h"
#include "common/base/vip_name.h"
#include "lb/main.h"
#include "support/fake_master.h"

#define AGENT                                                                                                              \
    "{\"agent_info\":{\"hostname\":\"h\",\"id\":{\"value\":\"A\"}},\"active\":true,\"version\":\"1\",\"pid\":"             \
    "\"slave(1)@127.0.0.1:5051\"}"
#define FRAMEWORK                                                                                                          \
    "{\"framework_info\":{\"user\":\"u\",\"name\":\"test\",\"id\":{\"value\":\"F\"}},\"active\":true,\"connected\":true,"  \
    "\"recovered\":false}"
/* printf: id, port, VIP */
#define TASK                                                                                                               \
    "{\"name\":\"t\",\"task_id\":{\"value\":\"%s\"},\"framework_id\":{\"value\":\"F\"},\"agent_id\":{\"value\":\"A\"},"    \
    "\"state\":\"TASK_RUNNING\",\"discovery\":{\"visibility\":\"CLUSTER\",\"name\":\"t\",\"ports\":{\"ports\":[{"          \
    "\"number\":%u,\"protocol\":\"tcp\",\"labels\":{\"labels\":[{\"key\":\"network-scope\",\"value\":\"host\"},{\"key\":"  \
    "\"VIP_0\",\"value\":\"%s\"}]}}]}}}"

static struct fake_master master;
static pid_t child;
static unsigned http_port;
static char vip_text[64]; /* a name and a port of this process alone */
static struct sockaddr_in vip;

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* -- back ends --------------------------------------------------------------------------------------------------- */

static struct {
    int fd;
    unsigned port;
} backends[2];

static void *serve(void *ctx)
{
    (void)ctx;
    for (;;) {
        struct pollfd fds[2] = {{backends[0].fd, POLLIN, 0}, {backends[1].fd, POLLIN, 0}};
        if (poll(fds, 2, -1) < 0)
            continue;
        for (int i = 0; i < 2; i++) {
            char text[16];
            int fd = fds[i].revents ? accept4(backends[i].fd, NULL, NULL, SOCK_CLOEXEC) : -1;
            if (fd < 0)
                continue;
            int len = snprintf(text, sizeof(text), "%u", backends[i].port);
            (void)send(fd, text, (size_t)len, MSG_NOSIGNAL);
            close(fd);
        }
    }
    return NULL;
}

static void backends_start(void)
{
    pthread_t thread;
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(a);
        backends[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_int_equal(bind(backends[i].fd, (struct sockaddr *)&a, sizeof(a)), 0);
        assert_int_equal(listen(backends[i].fd, 64), 0);
        assert_int_equal(getsockname(backends[i].fd, (struct sockaddr *)&a, &len), 0);
        backends[i].port = ntohs(a.sin_port);
    }
    assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
    (void)pthread_detach(thread); /* ends with the process */
}

/* What the VIP answers: the port of a back end, 0 when there is none. */
static unsigned ask_vip(void)
{
    char text[16] = "";
    struct timeval bound = {.tv_sec = 5};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound));
    ssize_t n = connect(fd, (struct sockaddr *)&vip, sizeof(vip)) == 0 ? recv(fd, text, sizeof(text) - 1, MSG_WAITALL) : 0;
    close(fd);
    return n > 0 ? (unsigned)strtoul(text, NULL, 10) : 0;
}

/* -- HTTP -------------------------------------------------------------------------------------------------------- */

static char body[1 << 20];

/* Sends the bytes as they are; the whole answer is in body. */
static void http_raw(const void *request, size_t request_len, bool half_closes)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)http_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval bound = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t len = 0;
    ssize_t n;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound));
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    (void)send(fd, request, request_len, MSG_NOSIGNAL);
    if (half_closes)
        (void)shutdown(fd, SHUT_WR);
    while (len < sizeof(body) - 1 && (n = recv(fd, body + len, sizeof(body) - 1 - len, 0)) > 0)
        len += (size_t)n;
    body[len] = '\0';
    close(fd);
}

static const char *http_get(const char *path, const char *headers)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)http_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char request[512];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t len = 0;
    ssize_t n;
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    int request_len =
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", path, headers);
    assert_int_equal(send(fd, request, (size_t)request_len, 0), request_len);
    while (len < sizeof(body) - 1 && (n = recv(fd, body + len, sizeof(body) - 1 - len, 0)) > 0)
        len += (size_t)n;
    body[len] = '\0';
    close(fd);
    const char *content = strstr(body, "\r\n\r\n");
    return content ? content + 4 : "";
}

/* What /v1/vips says when the back ends are these; 0: not there. */
static const char *expected(unsigned first, unsigned second)
{
    static char text[512];
    char rows[2][64] = {"", ""};
    uint16_t a = (uint16_t)first, b = (uint16_t)second;
    bool is_swapped = first != 0 && second != 0 && memcmp(&a, &b, sizeof(a)) > 0; /* sorted as bytes */
    unsigned low = is_swapped ? second : first, high = is_swapped ? first : second;
    if (low != 0)
        (void)snprintf(rows[0], sizeof(rows[0]), "{\"ip\":\"127.0.0.1\",\"port\":%u}", low);
    if (high != 0)
        (void)snprintf(rows[1], sizeof(rows[1]), "%s{\"ip\":\"127.0.0.1\",\"port\":%u}", low ? "," : "", high);
    const char *colon = strrchr(vip_text, ':');
    (void)snprintf(text, sizeof(text),
                   "[{\"vip\":\"%.*s.test.l4lb.thisdcos.directory%s\",\"protocol\":\"tcp\",\"backend\":[%s%s]}]",
                   (int)(colon - vip_text - 1), vip_text + 1, colon, rows[0], rows[1]);
    return text;
}

/* Waits until /v1/vips answers that; milliseconds it took. */
static int64_t wait_for(const char *text)
{
    char copy[512];
    int64_t start = now_ms();
    (void)snprintf(copy, sizeof(copy), "%s", text);
    while (strcmp(http_get("/v1/vips", ""), copy) != 0)
        if (now_ms() - start > 10000)
            fail_msg("%s\nis not\n%s", body, copy);
    return now_ms() - start;
}

/* -- life cycle -------------------------------------------------------------------------------------------------- */

static void run_lb(const char *extra_flag)
{
    char where[64], line[128] = "", ready[16];
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    (void)snprintf(where, sizeof(where), "--master=127.0.0.1:%u", master.port);
    (void)snprintf(ready, sizeof(ready), "%d", fds[1]);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)setenv(READY_FD_VARIABLE, ready, 1);
        (void)execl("/proc/self/exe", "lb", where, "--port=0", "--plane=proxy", "--vip_range=127.64.0.0/10",
                    "--proxy_threads=2", "--logging_level=error", extra_flag, NULL);
        _exit(127);
    }
    close(fds[1]);
    FILE *f = fdopen(fds[0], "r");
    assert_non_null(fgets(line, sizeof(line), f));
    fclose(f);
    assert_int_equal(sscanf(line, "READY 127.0.0.1:%u", &http_port), 1);
}

static void send_task(const char *id, unsigned port, const char *label)
{
    char text[2048];
    int len = snprintf(text, sizeof(text), "{\"type\":\"TASK_ADDED\",\"task_added\":{\"task\":");
    len += snprintf(text + len, sizeof(text) - (size_t)len, TASK, id, port, label);
    (void)snprintf(text + len, sizeof(text) - (size_t)len, "}}");
    fake_master_send(&master, text);
}

static void send_state(const char *id, const char *task_state)
{
    char text[1024];
    (void)snprintf(text, sizeof(text),
                   "{\"type\":\"TASK_UPDATED\",\"task_updated\":{\"framework_id\":{\"value\":\"F\"},\"state\":\"%s\","
                   "\"status\":{\"task_id\":{\"value\":\"%s\"},\"state\":\"%s\"}}}",
                   task_state, id, task_state);
    fake_master_send(&master, text);
}

/* A picture with these tasks' texts in it; the caller frees. */
static char *picture_of(const char *first, const char *second)
{
    char *text = malloc(8192);
    (void)snprintf(text, 8192,
                   "{\"type\":\"SUBSCRIBED\",\"subscribed\":{\"heartbeat_interval_seconds\":15,\"get_state\":{"
                   "\"get_agents\":{\"agents\":[" AGENT "]},\"get_frameworks\":{\"frameworks\":[" FRAMEWORK
                   "]},\"get_tasks\":{\"tasks\":[%s%s%s]}}}}",
                   first, *second ? "," : "", second);
    return text;
}

static int start(const char *extra_flag)
{
    char first[1024], second[1024];
    (void)snprintf(first, sizeof(first), TASK, "t1", backends[0].port, vip_text);
    (void)snprintf(second, sizeof(second), TASK, "t2", backends[1].port, vip_text);
    char *picture = picture_of(first, second);
    fake_master_start(&master, 0, picture);
    free(picture);
    run_lb(extra_flag);
    (void)wait_for(expected(backends[0].port, backends[1].port));
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return start(NULL);
}

static int setup_checking(void **state)
{
    (void)state;
    return start("--check_interval=100ms");
}

static void end_lb(int signo)
{
    int status = 0;
    (void)kill(child, signo);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (signo != SIGTERM)
        return;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int teardown(void **state)
{
    (void)state;
    end_lb(SIGTERM);
    fake_master_stop(&master);
    return 0;
}

/* -- tests ------------------------------------------------------------------------------------------------------- */

static void test_process__balances(void **state)
{
    unsigned seen[2] = {0};
    (void)state;
    for (int i = 0; i < 100; i++) {
        unsigned port = ask_vip();
        assert_true(port == backends[0].port || port == backends[1].port);
        seen[port == backends[1].port]++;
    }
    assert_true(seen[0] > 10 && seen[1] > 10);
}

static void test_process__a_dead_task_is_out_within_100_ms(void **state)
{
    (void)state;
    send_state("t1", "TASK_FAILED");
    assert_true(wait_for(expected(0, backends[1].port)) < 100);
    for (int i = 0; i < 20; i++)
        assert_int_equal(ask_vip(), backends[1].port);
    send_state("t2", "TASK_FAILED");
    assert_true(wait_for("[]") < 100);
    assert_int_equal(ask_vip(), 0);
    send_task("t3", backends[0].port, vip_text);
    assert_true(wait_for(expected(backends[0].port, 0)) < 100);
    assert_int_equal(ask_vip(), backends[0].port);
}

static void test_process__a_draining_one_is_listed_and_gets_nothing(void **state)
{
    char draining[128];
    (void)state;
    send_state("t1", "TASK_KILLING");
    (void)snprintf(draining, sizeof(draining), "\"port\":%u,\"weight\":0", backends[0].port);
    int64_t start_ms = now_ms();
    while (strstr(http_get("/v1/vips?verbose", ""), draining) == NULL)
        assert_true(now_ms() - start_ms < 10000);
    assert_string_equal(http_get("/v1/vips", ""), expected(backends[0].port, backends[1].port)); /* as DC/OS does */
    for (int i = 0; i < 20; i++)
        assert_int_equal(ask_vip(), backends[1].port);
}

static void test_process__a_lost_master_changes_nothing(void **state)
{
    char task[1024];
    uint16_t port = master.port;
    (void)state;
    fake_master_stop(&master);
    int64_t start_ms = now_ms();
    while (strstr(http_get("/v1/plane", ""), "\"is_current\":false") == NULL)
        assert_true(now_ms() - start_ms < 10000);
    assert_string_equal(http_get("/v1/vips", ""), expected(backends[0].port, backends[1].port));
    assert_true(ask_vip() != 0);
    /* Its successor knows of one of the tasks only. */
    (void)snprintf(task, sizeof(task), TASK, "t2", backends[1].port, vip_text);
    char *picture = picture_of(task, "");
    fake_master_start(&master, port, picture);
    free(picture);
    (void)wait_for(expected(0, backends[1].port));
    assert_int_equal(ask_vip(), backends[1].port);
}

static void test_process__a_killed_one_is_replaced(void **state)
{
    (void)state;
    end_lb(SIGKILL);
    assert_int_equal(ask_vip(), 0);
    run_lb(NULL);
    (void)wait_for(expected(backends[0].port, backends[1].port));
    assert_true(ask_vip() != 0);
}

static void test_process__checks(void **state)
{
    char down[128];
    unsigned dead = 1; /* nobody listens there, and nobody may */
    (void)state;
    send_task("t3", dead, vip_text);
    (void)snprintf(down, sizeof(down), "\"port\":%u,\"weight\":0", dead);
    int64_t start_ms = now_ms();
    while (strstr(http_get("/v1/vips?verbose", ""), down) == NULL)
        assert_true(now_ms() - start_ms < 10000);
    assert_non_null(strstr(http_get("/metrics", ""), "\nl4lb_unreachable_backends 1\n"));
}

static void test_process__http(void **state)
{
    char etag[256], header[512];
    (void)state;
    (void)http_get("/v1/vips", "");
    const char *found = strstr(body, "ETag: ");
    assert_non_null(found);
    assert_int_equal(sscanf(found, "ETag: %255s", etag), 1);
    (void)snprintf(header, sizeof(header), "If-None-Match: %s\r\n", etag);
    (void)http_get("/v1/vips", header);
    assert_non_null(strstr(body, "HTTP/1.1 304 "));
    send_state("t1", "TASK_FAILED");
    (void)wait_for(expected(0, backends[1].port));
    (void)http_get("/v1/vips", header);
    assert_non_null(strstr(body, "HTTP/1.1 200 "));

    assert_int_equal(ask_vip(), backends[1].port);
    const char *text = http_get("/net/v1/metrics", "");
    assert_non_null(strstr(text, "\nl4lb_vips 1\n"));
    assert_non_null(strstr(text, "\nl4lb_backends 1\n"));
    assert_non_null(strstr(text, "\nl4lb_plane_info{plane=\"proxy\"} 1\n"));
    assert_non_null(strstr(text, "\nmuster_lb_connected 1\n"));
    assert_non_null(strstr(text, "\nl4lb_backend_connections_total{vip=\""));
    assert_non_null(strstr(http_get("/metrics?offset=1", ""), "\nl4lb_vips_without_series 1\n"));
    assert_null(strstr(body, "l4lb_vip_connections_total{"));
    assert_string_equal(http_get("/v1/vips?verbose&offset=1", ""), "[]");
    assert_string_equal(http_get("/v1/vips?verbose&limit=0", ""), "[]");
    (void)http_get("/v1/vips?verbose&limit=x", "");
    assert_non_null(strstr(body, "HTTP/1.1 400 "));
    assert_non_null(strstr(http_get("/v1/version", ""), "\"Service\":\"muster-lb\""));
    text = http_get("/v1/plane", "");
    assert_non_null(strstr(text, "{\"plane\":\"proxy\",\"asked\":\"proxy\",\"left_out\":[]"));
    assert_non_null(strstr(text, "\"is_current\":true"));
    (void)http_get("/v1/nothing", "");
    assert_non_null(strstr(body, "HTTP/1.1 404 "));
    static const char post[] = "POST /v1/vips HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    http_raw(post, sizeof(post) - 1, false);
    assert_non_null(strstr(body, "HTTP/1.1 405 "));
}

static void test_process__a_port_in_use_is_that_vips_problem(void **state)
{
    struct sockaddr_in other = vip;
    char label[64];
    (void)state;
    other.sin_addr.s_addr = htonl(vip_name_address4("other.test", VIP_RANGE_MACHINE));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&other, sizeof(other)), 0);
    assert_int_equal(listen(fd, 1), 0);
    (void)snprintf(label, sizeof(label), "/other:%u", ntohs(vip.sin_port));
    send_task("t3", backends[0].port, label);
    int64_t start_ms = now_ms();
    while (strstr(http_get("/v1/vips?verbose", ""), "\"problem\":\"") == NULL)
        assert_true(now_ms() - start_ms < 10000);
    assert_non_null(strstr(http_get("/v1/plane", ""), "\"vips_with_problems\":1"));
    assert_true(ask_vip() != 0); /* the others work */
    close(fd);
}

static void test_process__outlives_nonsense(void **state)
{
    static const char *const labels[] = {"",           ":",     "/x",     "/x:0",
                                         "/x:70000",   "/x:-1", "x:y:z",  "127.0.0.1:80",
                                         "0.0.0.0:80", "/:80",  "///:80", "/\\u00e9\\u2603:80",
                                         "::1:80"};
    unsigned char noise[4096];
    (void)state;
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "bad%zu", i);
        send_task(id, backends[0].port, labels[i]);
    }
    for (unsigned round = 0; round < 50; round++) {
        for (size_t i = 0; i < sizeof(noise); i++)
            noise[i] = (unsigned char)((i * 2654435761u + round * 40503u) >> 7);
        http_raw(noise, sizeof(noise), round % 2 == 0);
    }
    static const char odd[] = "GET /v1/vips?%zz&%00=\xff HTTP/1.1\r\nHost: x\r\n\r\n", cut[] = "GET /v1/vips HTTP/1.1\r\n";
    http_raw(odd, sizeof(odd) - 1, true);
    http_raw(cut, sizeof(cut) - 1, true);
    send_task("t9", backends[0].port, vip_text); /* the same back end again */
    (void)wait_for(expected(backends[0].port, backends[1].port));
    assert_true(ask_vip() != 0);
}

int main(int argc, char **argv)
{
    if (strcmp(argv[0], "lb") == 0)
        return lb_main(argc, argv);
    char name[16], clean[VIP_NAME_MAX + 1];
    unsigned number = (unsigned)getpid();
    (void)signal(SIGPIPE, SIG_IGN);
    (void)snprintf(name, sizeof(name), "p%u", number);
    (void)vip_name_clean(name, "test", clean);
    vip = (struct sockaddr_in){.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(vip_name_address4(clean, VIP_RANGE_MACHINE)),
                               .sin_port = htons((uint16_t)(20000 + number % 10000))};
    (void)snprintf(vip_text, sizeof(vip_text), "/%s:%u", name, ntohs(vip.sin_port));
    backends_start();
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_process__balances),
        TEST(test_process__a_dead_task_is_out_within_100_ms),
        TEST(test_process__a_draining_one_is_listed_and_gets_nothing),
        TEST(test_process__a_lost_master_changes_nothing),
        TEST(test_process__a_killed_one_is_replaced),
        cmocka_unit_test_setup_teardown(test_process__checks, setup_checking, teardown),
        TEST(test_process__http),
        TEST(test_process__a_port_in_use_is_that_vips_problem),
        TEST(test_process__outlives_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
