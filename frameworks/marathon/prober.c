/* SPDX-License-Identifier: Apache-2.0
 * prober.c - carries out probes of health and readiness: one HTTP GET or one TCP connection each, with a time-out over all
 * of it. How many are under way is the core's business. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/list.h"
#include "frameworks/marathon/resolver.h"
#include "frameworks/marathon/shell.h"

#define KEPT_BODY_BYTES 4096

struct prober {
    struct loop *loop;
    struct http_client *client;
    struct resolver *resolver;
    prober_done_fn done;
    void *ctx;
    struct list probes;
};

struct probe {
    struct list link;
    struct prober *prober;
    uint64_t id;
    enum marathon_probe_kind kind;
    uint16_t port;
    char *path;
    int64_t deadline_ms;
    bool want_body, is_found; /* is_found: its name is resolved, nothing else points to it but timers and calls */
    bool is_dead;             /* over, but the resolver still knows it */
    char address[RESOLVER_ADDRESS_SIZE]; /* "" when the name has none: then why says so */
    char why[128];
    /* HTTP */
    struct http_call *call;
    int status;
    char *content_type;
    char body[KEPT_BODY_BYTES + 1];
    size_t body_len;
    /* TCP */
    int fd;
    struct loop_fd *watch;
    struct loop_timer *timer;
};

static void free_probe(struct probe *p)
{
    list_remove(&p->link);
    p->watch = loop_fd_remove(p->watch);
    if (p->fd >= 0)
        (void)close(p->fd); /* nothing was written */
    p->fd = -1;
    p->timer = loop_timer_remove(p->timer);
    if (p->call)
        http_call_cancel(p->call);
    p->call = NULL;
    if (!p->is_found) {
        p->is_dead = true;
        return; /* on_address frees the rest */
    }
    free(p->path);
    free(p->content_type);
    free(p);
}

static void finish(struct probe *p, bool is_success, const char *cause)
{
    struct prober *owner = p->prober;
    struct marathon_probe_result result = {
        .probe_id = p->id, .is_success = is_success, .http_status = p->status, .cause = is_success ? NULL : cause};
    char text[256];
    if (cause) {
        (void)snprintf(text, sizeof(text), "%s", cause); /* it may live in the probe */
        result.cause = is_success ? NULL : text;
    }
    char *content_type = p->content_type ? xstrdup(p->content_type) : NULL;
    char *body = p->want_body ? xstrndup(p->body, p->body_len) : NULL;
    result.content_type = content_type;
    result.body = body;
    free_probe(p);
    owner->done(owner->ctx, &result);
    free(content_type);
    free(body);
}

/* -- HTTP -------------------------------------------------------------------------------------------------------- */

static void finish_http(struct probe *p)
{
    char cause[64];
    (void)snprintf(cause, sizeof(cause), "HTTP status %d", p->status);
    finish(p, p->status >= 200 && p->status < 400, cause);
}

static bool on_headers(void *ctx, const struct http_message *response)
{
    struct probe *p = ctx;
    const char *type = http_header(response, "Content-Type");
    p->status = response->status;
    p->content_type = type ? xstrdup(type) : NULL;
    return p->want_body; /* else it is over: the body does not matter, however long it is */
}

static bool on_data(void *ctx, const void *data, size_t len)
{
    struct probe *p = ctx;
    size_t room = KEPT_BODY_BYTES - p->body_len;
    size_t n = len < room ? len : room;
    memcpy(p->body + p->body_len, data, n);
    p->body_len += n;
    return p->body_len < KEPT_BODY_BYTES;
}

static void on_http_done(void *ctx, const struct http_message *response, int error, const char *text)
{
    struct probe *p = ctx;
    (void)response;
    p->call = NULL;
    if (p->status != 0) {
        finish_http(p);
        return;
    }
    finish(p, false, text ? text : strerror(error < 0 ? -error : EIO));
}

static void start_http(struct probe *p, int64_t timeout_ms)
{
    struct http_request request = {.ip = p->address,
                                   .port = p->port,
                                   .method = "GET",
                                   .target = p->path,
                                   .connect_timeout_ms = timeout_ms,
                                   .timeout_ms = timeout_ms,
                                   .fresh_connection = true};
    static const struct http_callbacks callbacks = {.done = on_http_done, .headers_done = on_headers, .data = on_data};
    p->call = http_call_start(p->prober->client, &request, &callbacks, p);
}

/* -- TCP ------------------------------------------------------------------------------------------------------------ */

static void on_connected(void *ctx, int fd, unsigned ready)
{
    struct probe *p = ctx;
    int error = 0;
    socklen_t len = sizeof(error);
    (void)ready;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    finish(p, error == 0, strerror(error));
}

static socklen_t fill_address(struct sockaddr_storage *out, const char *address, uint16_t port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return sizeof(*v4);
    }
    if (inet_pton(AF_INET6, address, &v6->sin6_addr) != 1)
        return 0;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    return sizeof(*v6);
}

static void start_tcp(struct probe *p)
{
    struct sockaddr_storage to;
    socklen_t len = fill_address(&to, p->address, p->port);
    p->fd = len ? socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) : -1;
    if (p->fd < 0 || (connect(p->fd, (struct sockaddr *)&to, len) != 0 && errno != EINPROGRESS)) {
        finish(p, false, len ? strerror(errno) : "not an address");
        return;
    }
    p->watch = loop_fd_add(p->prober->loop, p->fd, LOOP_WRITE, on_connected, p);
}

/* -- both ------------------------------------------------------------------------------------------------------------- */

static void on_timeout(void *ctx)
{
    finish(ctx, false, "timed out");
}

/* Results always come in a later turn: the core is in the middle of a step when it asks. */
static void start_later(void *ctx)
{
    struct probe *p = ctx;
    int64_t left = p->deadline_ms - loop_now_ms(p->prober->loop);
    p->timer = loop_timer_remove(p->timer);
    if (p->address[0] == '\0' || left <= 0) {
        finish(p, false, left <= 0 ? "timed out" : p->why);
        return;
    }
    p->timer = loop_timer_add(p->prober->loop, on_timeout, p);
    loop_timer_start(p->timer, left);
    if (p->kind == MARATHON_PROBE_HTTP)
        start_http(p, left);
    else
        start_tcp(p);
}

static void on_address(void *ctx, const char *address, const char *why)
{
    struct probe *p = ctx;
    p->is_found = true;
    if (p->is_dead) {
        free(p->path);
        free(p->content_type);
        free(p);
        return;
    }
    (void)snprintf(p->address, sizeof(p->address), "%s", address ? address : ""); /* sized for it */
    (void)snprintf(p->why, sizeof(p->why), "%s", why ? why : "");                 /* cut when long */
    p->timer = loop_timer_add(p->prober->loop, start_later, p);
    loop_timer_start(p->timer, 0);
}

struct prober *prober_new(struct loop *loop, struct http_client *client, prober_done_fn done, void *ctx)
{
    struct prober *p = xcalloc(1, sizeof(*p));
    *p = (struct prober){.loop = loop, .client = client, .resolver = resolver_new(loop), .done = done, .ctx = ctx};
    list_init(&p->probes);
    return p;
}

struct prober *prober_free(struct prober *p)
{
    if (p == NULL)
        return NULL;
    while (!list_is_empty(&p->probes)) {
        struct probe *probe = container_of(p->probes.next, struct probe, link);
        probe->is_found = true; /* the resolver goes as well, without callbacks */
        free_probe(probe);
    }
    p->resolver = resolver_free(p->resolver);
    free(p);
    return NULL;
}

void prober_start(struct prober *owner, const struct marathon_probe *e)
{
    struct probe *p = xcalloc(1, sizeof(*p));
    p->prober = owner;
    p->id = e->probe_id;
    p->kind = e->kind;
    p->port = e->port;
    p->path = xstrdup(e->path ? e->path : "/");
    p->deadline_ms = loop_now_ms(owner->loop) + e->timeout_ms;
    p->want_body = e->want_body;
    p->fd = -1;
    list_push_back(&owner->probes, &p->link);
    resolver_find(owner->resolver, e->host, on_address, p);
}
