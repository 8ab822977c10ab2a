/* SPDX-License-Identifier: Apache-2.0
 * connect.c - from an address to a link: HTTP with Upgrade, at most a few redirects to the leading master. Waiting between
 * attempts is the core's. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/shell.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/resolve.h"
#include "common/base/text.h"
#include "common/wire/link.h"

#define REDIRECTS_MAX 4
#define CONNECT_TIMEOUT_MS 5000
#define ANSWER_TIMEOUT_MS 10000

struct address {
    char ip[INET6_ADDRSTRLEN];
    uint16_t port;
};

struct agent_connect {
    struct agent_shell *shell;
    struct http_client *client;
    struct address configured, target;
    char *name; /* the configured host, as redirects may repeat it */
    link_id id; /* 0: none wanted */
    int redirects;
    struct http_call *call;
    struct link *link;
};

/* Splits host:port or [v6]:port. */
static int split(const char *text, char *host, size_t size, uint16_t *port, struct err *err)
{
    const char *colon = strrchr(text, ':');
    const char *begin = text, *end = colon;
    uint64_t number;
    if (colon != NULL && text[0] == '[' && colon > text + 1 && colon[-1] == ']') {
        begin = text + 1;
        end = colon - 1;
    }
    if (colon == NULL || end <= begin || (size_t)(end - begin) >= size || text_to_uint64(colon + 1, &number) != 0 ||
        number == 0 || number > UINT16_MAX)
        return err_set(err, -EINVAL, "'%.100s' is not host:port", text);
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
    *port = (uint16_t)number;
    return 0;
}

static bool is_numeric(const char *host)
{
    uint8_t any[16];
    return inet_pton(AF_INET, host, any) == 1 || inet_pton(AF_INET6, host, any) == 1;
}

int agent_connect_new(struct agent_shell *s, const char *master, struct agent_connect **out, struct err *err)
{
    if (strncmp(master, "zk://", 5) == 0 || strncmp(master, "file://", 7) == 0)
        return err_set(err, -EINVAL, "--master %.100s: this version finds its master by host:port only", master);
    char host[256];
    struct address address = {0};
    int rc = split(master, host, sizeof(host), &address.port, err);
    if (rc == 0)
        rc = resolve_host(host, address.ip, err);
    if (rc != 0)
        return err_wrap(err, rc, "--master");
    struct agent_connect *c = xcalloc(1, sizeof(*c));
    c->shell = s;
    c->configured = address;
    c->name = xstrdup(host);
    c->client = http_client_new(s->loop);
    *out = c;
    return 0;
}

static void hang_up(struct agent_connect *c)
{
    if (c->call != NULL)
        http_call_cancel(c->call);
    c->call = NULL;
    c->link = link_free(c->link);
    c->id = 0;
}

struct agent_connect *agent_connect_free(struct agent_connect *c)
{
    if (c == NULL)
        return NULL;
    hang_up(c);
    (void)http_client_free(c->client);
    free(c->name);
    free(c);
    return NULL;
}

static void down(struct agent_connect *c, const char *text)
{
    link_id id = c->id;
    c->call = NULL;
    c->id = 0;
    struct agent_event in = {.type = AGENT_IN_LINK_DOWN, .link = {.link = id, .text = text}};
    agent_shell_event(c->shell, &in);
}

/* -- the link ------------------------------------------------------------------------------------------------- */

static void on_message(void *ctx, const ProtobufCMessage *message)
{
    struct agent_connect *c = ctx;
    struct agent_event in = {.type = AGENT_IN_LINK_MESSAGE, .link = {.link = c->id, .message = (const void *)message}};
    agent_shell_event(c->shell, &in);
}

static void on_closed(void *ctx, const char *why)
{
    struct agent_connect *c = ctx;
    c->link = NULL;
    down(c, why);
}

static void on_upgraded(void *ctx, const struct http_message *response, int fd, void *rest, size_t rest_len)
{
    static const struct link_callbacks callbacks = {.message = on_message, .closed = on_closed};
    struct agent_connect *c = ctx;
    c->call = NULL;
    const char *protocol = http_header(response, "Upgrade");
    if (protocol == NULL || strcmp(protocol, LINK_PROTOCOL) != 0) {
        (void)close(fd);
        free(rest);
        down(c, "the master's address speaks another protocol");
        return;
    }
    c->link = link_new(c->shell->loop, fd, rest, rest_len, &muster__link__master_to_agent__descriptor, 0, &callbacks, c);
    free(rest);
    struct agent_event in = {.type = AGENT_IN_LINK_UP, .link = {.link = c->id}};
    agent_shell_event(c->shell, &in);
}

/* -- getting there -------------------------------------------------------------------------------------------- */

static void start_call(struct agent_connect *c);

/* Location: //host:port/path (facts: mesos 0.3). False when it does not lead on. */
static bool follow(struct agent_connect *c, const char *location)
{
    if (location == NULL || ++c->redirects > REDIRECTS_MAX)
        return false;
    const char *at = strstr(location, "//");
    if (at == NULL)
        return false;
    at += 2;
    char authority[300], host[256];
    size_t len = strcspn(at, "/?");
    if (len >= sizeof(authority))
        return false;
    memcpy(authority, at, len);
    authority[len] = '\0';
    struct address next = c->configured;
    if (split(authority, host, sizeof(host), &next.port, NULL) != 0)
        return false;
    if (is_numeric(host))
        memcpy(next.ip, host, strlen(host) + 1);
    else if (strcmp(host, c->name) != 0)
        return false; /* a new name would have to be resolved, which blocks */
    c->target = next;
    start_call(c);
    return true;
}

static void on_done(void *ctx, const struct http_message *response, int error, const char *text)
{
    (void)error;
    struct agent_connect *c = ctx;
    c->call = NULL;
    char why[256];
    if (response == NULL) {
        snprintf(why, sizeof(why), "%s:%u: %s", c->target.ip, c->target.port, text);
    } else if (response->status == 307 || response->status == 308 || response->status == 302) {
        if (follow(c, http_header(response, "Location")))
            return;
        snprintf(why, sizeof(why), "%s:%u leads elsewhere, to where this agent cannot follow (%.100s)", c->target.ip,
                 c->target.port, http_header(response, "Location") ? http_header(response, "Location") : "nowhere");
    } else if (response->status == 401 || response->status == 403) {
        snprintf(why, sizeof(why), "%s:%u lets no such agent in: %s", c->target.ip, c->target.port,
                 response->status == 403                 ? "its --acls do not let the principal of --credential register"
                 : c->shell->options->credential != NULL ? "it does not know the --credential of this agent"
                                                         : "it wants a --credential");
    } else {
        snprintf(why, sizeof(why), "%s:%u answered %d %s%s", c->target.ip, c->target.port, response->status,
                 http_reason(response->status), response->status == 503 ? " (no leader yet)" : "");
    }
    down(c, why);
}

static void start_call(struct agent_connect *c)
{
    const char *authorization = c->shell->access.master_authorization;
    const struct http_header headers[] = {
        {"Connection", "Upgrade"}, {"Upgrade", LINK_PROTOCOL}, {"Authorization", authorization}};
    static const struct http_callbacks callbacks = {.done = on_done, .upgraded = on_upgraded};
    struct http_request r = {.ip = c->target.ip,
                             .port = c->target.port,
                             .method = "GET",
                             .target = "/link",
                             .headers = headers,
                             .header_count = authorization != NULL ? 3 : 2,
                             .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                             .timeout_ms = ANSWER_TIMEOUT_MS,
                             .fresh_connection = true};
    c->call = http_call_start(c->client, &r, &callbacks, c);
}

void agent_connect_open(struct agent_connect *c, link_id link)
{
    hang_up(c);
    c->id = link;
    c->redirects = 0;
    c->target = c->configured;
    start_call(c);
}

void agent_connect_send(struct agent_connect *c, link_id link, const Muster__Link__AgentToMaster *message)
{
    if (c->id != link || c->link == NULL)
        return; /* down already, the news is on its way */
    size_t len = protobuf_c_message_get_packed_size(&message->base);
    if (len > LINK_FRAME_BYTES_MAX) {
        log_error("a message of %zu bytes is too large for the link to the master and is left out", len);
        return;
    }
    (void)link_send(c->link, &message->base); /* a link that is closing says so by its callback */
}

void agent_connect_close(struct agent_connect *c, link_id link)
{
    if (c->id == link)
        hang_up(c);
}
