/* SPDX-License-Identifier: Apache-2.0
 * http_bench.c - what the HTTP server costs: small keep-alive requests, and chunks of streams, per second of the server's
 * CPU time. The load comes from a child process, so that only the server is measured. Prints `figure NAME VALUE UNIT`. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/http/server.h"
#include "common/real/loop_ev.h"

#define CONNECTIONS 64
#define ROUNDS 8000
#define CHUNKS 4000000
#define CHUNKS_PER_TURN 200
#define STREAMS 20

struct bench {
    struct loop *loop;
    struct loop_timer *timer;
    struct http_exchange *streams[STREAMS];
    size_t stream_count, chunks;
};

static double cpu_seconds(void)
{
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int dial(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
    return fd;
}

/* One request on each connection, then the answers; over and over. */
static void load_requests(uint16_t port)
{
    static const char request[] =
        "POST /api/v1/scheduler HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "Accept: application/json\r\nMesos-Stream-Id: 0123456789abcdef\r\nContent-Length: 32\r\n\r\n"
        "{\"type\":\"DECLINE\",\"decline\":{}} ";
    int fds[CONNECTIONS];
    char answer[4096];
    for (int i = 0; i < CONNECTIONS; i++)
        fds[i] = dial(port);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CONNECTIONS; i++)
            CHECK(send(fds[i], request, sizeof(request) - 1, MSG_NOSIGNAL) == sizeof(request) - 1);
        for (int i = 0; i < CONNECTIONS; i++)
            CHECK(recv(fds[i], answer, sizeof(answer), 0) > 12 && memcmp(answer, "HTTP/1.1 202", 12) == 0);
    }
}

static void load_streams(uint16_t port)
{
    static const char request[] = "GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    static char answer[1u << 20];
    struct pollfd fds[STREAMS];
    for (int i = 0; i < STREAMS; i++) {
        fds[i] = (struct pollfd){.fd = dial(port), .events = POLLIN};
        CHECK(send(fds[i].fd, request, sizeof(request) - 1, MSG_NOSIGNAL) == sizeof(request) - 1);
    }
    for (int open = STREAMS; open > 0;) {
        CHECK(poll(fds, STREAMS, 20000) > 0);
        for (int i = 0; i < STREAMS; i++) {
            if (fds[i].revents != 0 && recv(fds[i].fd, answer, sizeof(answer), 0) <= 0) {
                fds[i].fd = -fds[i].fd;
                open--;
            }
        }
    }
}

static void on_write(void *ctx)
{
    static const char record[] =
        "95\n{\"type\":\"UPDATE\",\"update\":{\"status\":{\"task_id\":{\"value\":\"task-0000001\"},"
        "\"state\":\"TASK_RUNNING\"}}}  ";
    struct bench *b = ctx;
    for (size_t i = 0; i < b->stream_count; i++) {
        /* Ours is the faster side: a real writer would be cut off, this one waits. */
        if (http_stream_pending(b->streams[i]) > (1u << 20))
            continue;
        for (int n = 0; n < CHUNKS_PER_TURN; n++)
            CHECK(http_stream_write(b->streams[i], record, sizeof(record) - 1) == 0);
        b->chunks += CHUNKS_PER_TURN;
    }
    if (b->chunks < CHUNKS) {
        loop_timer_start(b->timer, 0);
        return;
    }
    while (b->stream_count > 0)
        http_exchange_abort(b->streams[--b->stream_count]);
}

static void handle(void *ctx, struct http_exchange *x, const struct http_message *m)
{
    struct bench *b = ctx;
    if (strcmp(m->path, "/stream") != 0) {
        http_reply(x, 202, NULL, NULL, 0);
        return;
    }
    http_stream_begin(x, 200, "application/json", 0);
    b->streams[b->stream_count++] = x;
    if (b->stream_count == STREAMS)
        loop_timer_start(b->timer, 0);
}

static void on_load_end(void *ctx, pid_t pid, int status)
{
    (void)pid;
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    loop_stop(ctx);
}

static double measure(struct bench *b, uint16_t port, void (*load)(uint16_t port))
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        load(port);
        _exit(0);
    }
    double before = cpu_seconds();
    struct loop_child *child = loop_child_add(b->loop, pid, on_load_end, b->loop);
    loop_run(b->loop);
    loop_child_remove(child);
    return cpu_seconds() - before;
}

int main(void)
{
    struct bench b = {.loop = loop_ev_new()};
    CHECK(b.loop != NULL);
    b.timer = loop_timer_add(b.loop, on_write, &b);
    struct http_server *server;
    struct err err;
    struct http_server_config config = {.ip = "127.0.0.1"};
    if (http_server_start(b.loop, &config, handle, &b, &server, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    uint16_t port = http_server_port(server);
    double seconds = measure(&b, port, load_requests);
    printf("figure http_requests_per_cpu_second %.0f requests/s\n", CONNECTIONS * ROUNDS / seconds);
    seconds = measure(&b, port, load_streams);
    printf("figure http_stream_chunks_per_cpu_second %.0f chunks/s\n", (double)b.chunks / seconds);
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    printf("figure http_bench_memory_peak %ld KiB\n", usage.ru_maxrss);
    http_server_stop(server);
    loop_timer_remove(b.timer);
    loop_ev_free(b.loop);
    return 0;
}
