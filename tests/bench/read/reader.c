/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/read/reader.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/check.h"
#include "tests/bench/agents.h"

#define POLLERS_MAX 16
#define TAIL 8
#define ANSWER_SECONDS_MAX 60

#define POST_JSON "POST /api/v1 HTTP/1.1\r\nContent-Type: application/json\r\n"

const struct reader_question reader_questions[READER_QUESTIONS] = {
    {"get_tasks", POST_JSON "Accept: application/json\r\n", "{\"type\":\"GET_TASKS\"}"},
    {"get_tasks_gzip", POST_JSON "Accept: application/json\r\nAccept-Encoding: gzip\r\n", "{\"type\":\"GET_TASKS\"}"},
    {"get_tasks_protobuf", POST_JSON "Accept: application/x-protobuf\r\n", "{\"type\":\"GET_TASKS\"}"},
    {"get_state", POST_JSON "Accept: application/json\r\n", "{\"type\":\"GET_STATE\"}"},
    {"get_state_protobuf", POST_JSON "Accept: application/x-protobuf\r\n", "{\"type\":\"GET_STATE\"}"},
    {"state", "GET /state HTTP/1.1\r\n", NULL},
    {"tasks", "GET /tasks?limit=-1 HTTP/1.1\r\n", NULL},
};

struct shared {
    _Atomic uint64_t answers[POLLERS_MAX], us[POLLERS_MAX];
};

struct reader_pollers {
    size_t count;
    pid_t pids[POLLERS_MAX];
    struct shared *shared;
};

static int connect_to(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct timeval limit = {.tv_sec = ANSWER_SECONDS_MAX};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        bench_fail("a reader cannot connect");
    return fd;
}

/* The answer ends with the connection. An answer of known length must have it; one in chunks must have the last chunk. */
static void check_whole(const char *head, uint64_t bytes, const char tail[TAIL])
{
    const char *end = strstr(head, "\r\n\r\n"), *length = strstr(head, "Content-Length: ");
    if (strncmp(head, "HTTP/1.1 200", 12) != 0 || end == NULL)
        bench_fail("a reader was refused");
    if (length != NULL && length < end) {
        if (strtoull(length + 16, NULL, 10) != bytes - (uint64_t)(end + 4 - head))
            bench_fail("a reader was cut off");
    } else if (memcmp(tail + TAIL - 5, "0\r\n\r\n", 5) != 0) {
        bench_fail("a reader was cut off inside a chunked answer");
    }
}

int64_t reader_ask_us(uint16_t port, const struct reader_question *q, uint64_t *bytes)
{
    static char piece[512u << 10];
    char request[1024], head[2048] = "", tail[TAIL] = "";
    int len = snprintf(request, sizeof(request), "%sHost: master\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                       q->head, q->body ? strlen(q->body) : 0, q->body ? q->body : "");
    int64_t from = bench_now_us();
    int fd = connect_to(port);
    if (write(fd, request, (size_t)len) != len)
        bench_fail("a reader cannot write");
    *bytes = 0;
    for (;;) {
        ssize_t n = recv(fd, piece, sizeof(piece), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            bench_fail("a reader has no answer in time");
        if (n == 0)
            break;
        size_t have = strlen(head), more = (size_t)n < sizeof(head) - 1 - have ? (size_t)n : sizeof(head) - 1 - have;
        if (*bytes < sizeof(head) - 1)
            memcpy(head + have, piece, more);
        size_t keep = (size_t)n < TAIL ? (size_t)n : TAIL;
        memmove(tail, tail + keep, TAIL - keep);
        memcpy(tail + TAIL - keep, piece + n - (ssize_t)keep, keep);
        *bytes += (uint64_t)n;
    }
    (void)close(fd);
    check_whole(head, *bytes, tail);
    return bench_now_us() - from;
}

static _Noreturn void poll_for_ever(uint16_t port, const struct reader_question *q, struct shared *s, size_t index)
{
    uint64_t bytes;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        s->us[index] += (uint64_t)reader_ask_us(port, q, &bytes);
        s->answers[index]++;
    }
}

struct reader_pollers *reader_pollers_start(uint16_t port, const struct reader_question *q, size_t count)
{
    CHECK(count <= POLLERS_MAX);
    struct reader_pollers *p = xcalloc(1, sizeof(*p));
    p->count = count;
    p->shared = mmap(NULL, sizeof(*p->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(p->shared != MAP_FAILED);
    for (size_t i = 0; i < count; i++) {
        p->pids[i] = fork();
        CHECK(p->pids[i] >= 0);
        if (p->pids[i] == 0)
            poll_for_ever(port, q, p->shared, i);
    }
    return p;
}

struct reader_pollers *reader_pollers_stop(struct reader_pollers *p, uint64_t *answers, double *mean_ms)
{
    uint64_t us = 0;
    *answers = 0;
    for (size_t i = 0; i < p->count; i++) {
        int status;
        (void)kill(p->pids[i], SIGKILL);
        if (waitpid(p->pids[i], &status, 0) == p->pids[i] && !WIFSIGNALED(status))
            bench_fail("a poller ended");
        *answers += p->shared->answers[i];
        us += p->shared->us[i];
    }
    *mean_ms = *answers > 0 ? (double)us / 1000 / (double)*answers : 0;
    (void)munmap(p->shared, sizeof(*p->shared));
    free(p);
    return NULL;
}
