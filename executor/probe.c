/* SPDX-License-Identifier: Apache-2.0
 * probe.c - see probe.h. */
#include "executor/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/text.h"

#define FOREVER_MS (INT64_C(1) << 40) /* the core ends runs that take too long */

struct executor_probe {
    struct loop *loop;
    struct http_client *http;
    executor_check_id id;
    executor_probe_fn done;
    void *ctx;
    char *ip;
    uint16_t port;

    struct loop_fd *watcher; /* TCP */
    int fd;
    struct loop_timer *at_once; /* TCP: a result that was known inside start */
    int error;

    struct http_call *call; /* HTTP */
    char *path;
    int redirects;
    int status;     /* of the newest answer, 0: none */
    char *location; /* of the newest answer, NULL: none */
};

static void probe_free(struct executor_probe *p)
{
    loop_fd_remove(p->watcher);
    loop_timer_remove(p->at_once);
    if (p->fd >= 0)
        (void)close(p->fd); /* carried no data */
    free(p->ip);
    free(p->path);
    free(p->location);
    free(p);
}

static void finish(struct executor_probe *p, enum executor_check_result result, int value, const char *text)
{
    executor_probe_fn done = p->done;
    void *ctx = p->ctx;
    executor_check_id id = p->id;
    probe_free(p);
    done(ctx, id, result, value, text);
}

void executor_probe_cancel(struct executor_probe *p)
{
    if (p->call)
        http_call_cancel(p->call);
    probe_free(p);
}

/* -- TCP -------------------------------------------------------------------------------------------------------- */

static void on_tcp_known(void *ctx)
{
    struct executor_probe *p = ctx;
    int error = p->error;
    if (error == 0)
        finish(p, EXECUTOR_CHECK_CONNECTED, 0, NULL);
    else
        finish(p, EXECUTOR_CHECK_REFUSED, 0, strerror(error));
}

static void on_tcp_ready(void *ctx, int fd, unsigned ready)
{
    struct executor_probe *p = ctx;
    socklen_t len = sizeof(p->error);
    (void)ready;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &p->error, &len) < 0)
        p->error = errno;
    on_tcp_known(p);
}

static void start_tcp(struct executor_probe *p)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(p->port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(p->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    bool is_v6 = strchr(p->ip, ':');
    const struct sockaddr *address = is_v6 ? (const struct sockaddr *)&v6 : (const struct sockaddr *)&v4;
    p->fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || connect(p->fd, address, is_v6 ? sizeof(v6) : sizeof(v4)) < 0)
        p->error = errno;
    if (p->error == EINPROGRESS) {
        p->error = 0;
        p->watcher = loop_fd_add(p->loop, p->fd, LOOP_WRITE, on_tcp_ready, p);
        return;
    }
    p->at_once = loop_timer_add(p->loop, on_tcp_known, p);
    loop_timer_start(p->at_once, 0);
}

/* -- HTTP ------------------------------------------------------------------------------------------------------- */

static void start_http(struct executor_probe *p);

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* "host:port", "[v6]:port", without port 80, into ip and port. False: not an address we may ask. */
static bool parse_authority(const char *text, size_t len, char **ip, uint16_t *port)
{
    char host[64];
    const char *name = text, *after;
    size_t name_len;
    int64_t number = 80;
    unsigned char binary[16];
    if (len > 0 && text[0] == '[') {
        const char *end = memchr(text, ']', len);
        if (!end)
            return false;
        name = text + 1;
        name_len = (size_t)(end - name);
        after = end + 1;
    } else {
        const char *colon = memchr(text, ':', len);
        name_len = colon ? (size_t)(colon - text) : len;
        after = text + name_len;
    }
    if (name_len == 0 || name_len >= sizeof(host))
        return false;
    memcpy(host, name, name_len);
    host[name_len] = '\0';
    if (after < text + len) {
        char digits[8];
        size_t digits_len = (size_t)(text + len - after) - 1;
        if (*after != ':' || digits_len == 0 || digits_len >= sizeof(digits))
            return false;
        memcpy(digits, after + 1, digits_len);
        digits[digits_len] = '\0';
        if (text_to_int64(digits, &number) < 0 || number < 1 || number > UINT16_MAX)
            return false;
    }
    if (strcmp(host, "localhost") == 0)
        (void)snprintf(host, sizeof(host), "127.0.0.1"); /* fits */
    if (inet_pton(AF_INET, host, binary) != 1 && inet_pton(AF_INET6, host, binary) != 1)
        return false;
    *ip = xstrdup(host);
    *port = (uint16_t)number;
    return true;
}

/* Sets the next target from a Location. False: it is not followed. */
static bool follow(struct executor_probe *p)
{
    const char *location = p->location;
    if (!location)
        return false;
    if (location[0] == '/' && location[1] != '/') {
        free(p->path);
        p->path = xstrndup(location, strcspn(location, "#"));
        return true;
    }
    if (strncmp(location, "http://", 7) == 0)
        location += 7;
    else if (strncmp(location, "//", 2) == 0)
        location += 2;
    else
        return false;
    size_t len = strcspn(location, "/?#");
    char *ip;
    uint16_t port;
    if (!parse_authority(location, len, &ip, &port))
        return false;
    const char *rest = location + len;
    size_t rest_len = strcspn(rest, "#");
    char *path = xmalloc(rest_len + 2);
    path[0] = '/';
    memcpy(path + (rest[0] == '/' ? 0 : 1), rest, rest_len);
    path[rest_len + (rest[0] == '/' ? 0 : 1)] = '\0';
    free(p->ip);
    free(p->path);
    p->ip = ip;
    p->port = port;
    p->path = path;
    return true;
}

static void take_answer(struct executor_probe *p, const struct http_message *response)
{
    const char *location = http_header(response, "Location");
    p->status = response->status;
    free(p->location);
    p->location = location && strlen(location) <= 4096 ? xstrdup(location) : NULL;
}

/* The status is all that counts: the body is not read. */
static bool on_http_headers(void *ctx, const struct http_message *response)
{
    take_answer(ctx, response);
    return false;
}

static void on_http_done(void *ctx, const struct http_message *response, int error, const char *text)
{
    struct executor_probe *p = ctx;
    p->call = NULL;
    if (p->status == 0 && response)
        take_answer(p, response);
    if (p->status == 0) {
        finish(p, EXECUTOR_CHECK_FAILED, 0, text ? text : strerror(-error));
        return;
    }
    if (is_redirect(p->status) && follow(p)) {
        if (++p->redirects > EXECUTOR_PROBE_REDIRECTS_MAX) {
            finish(p, EXECUTOR_CHECK_FAILED, 0, "too many redirects");
            return;
        }
        start_http(p);
        return;
    }
    char status[32];
    (void)snprintf(status, sizeof(status), "HTTP status %d", p->status); /* fits */
    finish(p, EXECUTOR_CHECK_HTTP, p->status, status);
}

static bool on_http_data(void *ctx, const void *data, size_t len)
{
    (void)ctx;
    (void)data;
    (void)len;
    return false;
}

static void start_http(struct executor_probe *p)
{
    static const struct http_callbacks callbacks = {
        .done = on_http_done, .headers_done = on_http_headers, .data = on_http_data};
    struct http_request request = {.ip = p->ip,
                                   .port = p->port,
                                   .method = "GET",
                                   .target = p->path,
                                   .connect_timeout_ms = FOREVER_MS,
                                   .timeout_ms = FOREVER_MS,
                                   .fresh_connection = true};
    p->status = 0;
    p->call = http_call_start(p->http, &request, &callbacks, p);
}

struct executor_probe *executor_probe_start(struct loop *loop, struct http_client *http,
                                            const struct executor_effect *effect, executor_probe_fn done, void *ctx)
{
    struct executor_probe *p = xcalloc(1, sizeof(*p));
    p->loop = loop;
    p->http = http;
    p->id = effect->check.id;
    p->done = done;
    p->ctx = ctx;
    p->ip = xstrdup(effect->check.ip);
    p->port = effect->check.port;
    p->fd = -1;
    if (effect->check.kind == EXECUTOR_CHECK_KIND_TCP) {
        start_tcp(p);
    } else {
        p->path = xstrdup(effect->check.path);
        start_http(p);
    }
    return p;
}
