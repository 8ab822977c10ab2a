/* SPDX-License-Identifier: Apache-2.0
 * stream.c - see stream.h. */
#include "common/follow/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/http/client.h"
#include "common/http/recordio.h"

#define KNOWN_MAX (2 * FOLLOW_MASTERS_MAX)
#define CONNECT_TIMEOUT_MS 3000

struct known_host {
    char name[FOLLOW_ADDRESS_SIZE];
    struct host_ip ip;
};

/* One connection. It outlives its closing by a callback when it is closed inside one of its own. */
struct connection {
    struct master_stream *owner; /* NULL: closed */
    struct http_call *call;
    struct recordio_reader reader;
    enum wire_format format;
    int status; /* not 200 */
    char *location;
    bool is_in_callback;
};

struct master_stream {
    struct master_stream_config config;
    struct master_list masters;
    struct http_client *http;
    struct lookup *lookup;
    struct follow *follow;
    struct loop_timer *timer;
    struct connection *connection; /* NULL: not connected */
    uint64_t number;               /* follow's number of it */
    char *authorization;
    struct known_host known[KNOWN_MAX];
    size_t known_count;
    bool had_picture;
    int64_t heard_ms; /* when the picture was last known to be right */
    struct master_stream_counts counts;
};

static void step(struct master_stream *s, struct follow_event event);

/* -- names ------------------------------------------------------------------------------------------------------ */

bool master_stream_find(const struct master_stream *s, const char *address, struct host_ip *ip, uint16_t *port)
{
    char host[FOLLOW_ADDRESS_SIZE];
    if (!host_port_split(address, host, port))
        return false;
    if (host_ip_parse(host, ip) == 0)
        return true;
    for (size_t i = 0; i < s->known_count; i++)
        if (strcasecmp(s->known[i].name, host) == 0) {
            *ip = s->known[i].ip;
            return true;
        }
    return false;
}

/* Nothing happens when the host is a number. */
static void look_up(struct master_stream *s, const char *address)
{
    char host[FOLLOW_ADDRESS_SIZE];
    struct host_ip ip;
    uint16_t port;
    if (host_port_split(address, host, &port) && host_ip_parse(host, &ip) < 0)
        lookup_start(s->lookup, host);
}

/* A name of a master, or of whoever a master named as the leader. */
static void on_found(void *ctx, const char *host, const struct host_ip *ips, size_t count)
{
    struct master_stream *s = ctx;
    size_t i = 0;
    if (count == 0) {
        log_warning("master %s: the name has no address", host);
        return;
    }
    while (i < s->known_count && strcasecmp(s->known[i].name, host) != 0)
        i++;
    if (i == KNOWN_MAX)
        i = 0; /* names that changed all the time: the first one is looked up again when it is needed */
    else if (i == s->known_count)
        s->known_count++;
    else if (memcmp(&s->known[i].ip, &ips[0], sizeof(ips[0])) == 0)
        return;
    (void)snprintf(s->known[i].name, sizeof(s->known[i].name), "%s", host); /* it came from such an array */
    s->known[i].ip = ips[0];
    s->config.changed(s->config.ctx, MASTER_STREAM_ADDRESSES);
}

/* -- a connection ----------------------------------------------------------------------------------------------- */

static void connection_free(struct connection *c)
{
    recordio_reader_deinit(&c->reader);
    free(c->location);
    free(c);
}

static void close_connection(struct master_stream *s)
{
    struct connection *c = s->connection;
    s->connection = NULL;
    if (!c)
        return;
    c->owner = NULL;
    if (c->is_in_callback)
        return;
    http_call_cancel(c->call);
    connection_free(c);
}

static int on_record(void *ctx, const void *data, size_t len)
{
    struct connection *c = ctx;
    struct master_stream *s = c->owner;
    struct picture_told told = {0};
    struct err err = {0};
    struct follow_event event = {.type = FOLLOW_RECORD};
    s->counts.records++;
    if (s->config.record(s->config.ctx, c->format, data, len, &told, &err) < 0) {
        log_error("master %s: %s", follow_address(s->follow), err.text);
        event.type = FOLLOW_BROKEN;
    }
    event.is_snapshot = told.is_snapshot;
    event.heartbeat_seconds = told.heartbeat_seconds;
    step(s, event);
    if (c->owner && follow_is_current(s->follow)) {
        s->heard_ms = loop_now_ms(s->config.loop);
        if (told.is_snapshot) {
            s->had_picture = true;
            s->config.changed(s->config.ctx, MASTER_STREAM_CURRENT);
        }
    }
    return c->owner ? 0 : 1;
}

static bool on_headers(void *ctx, const struct http_message *response)
{
    struct connection *c = ctx;
    const char *type = http_header(response, "Content-Type"), *location = http_header(response, "Location");
    if (response->status != 200) {
        c->status = response->status;
        c->location = location ? xstrdup(location) : NULL;
        return true;
    }
    const char *json = wire_media_type(WIRE_JSON);
    c->format = type && strncasecmp(type, json, strlen(json)) == 0 ? WIRE_JSON : WIRE_PROTOBUF;
    c->is_in_callback = true;
    step(c->owner, (struct follow_event){.type = FOLLOW_OPENED});
    c->is_in_callback = false;
    return c->owner != NULL;
}

static bool on_data(void *ctx, const void *data, size_t len)
{
    struct connection *c = ctx;
    if (c->status != 0)
        return true; /* the text of a refusal */
    c->is_in_callback = true;
    int result = recordio_feed(&c->reader, data, len, on_record, c);
    c->is_in_callback = false;
    return result == 0 && c->owner;
}

static void on_done(void *ctx, const struct http_message *response, int error, const char *text)
{
    struct connection *c = ctx;
    struct master_stream *s = c->owner;
    (void)response;
    if (s) {
        struct follow_event event = {.type = FOLLOW_CLOSED};
        s->connection = NULL;
        c->owner = NULL;
        if (c->status != 0) {
            event.type = FOLLOW_ANSWER;
            event.status = c->status;
            event.location = c->location;
        } else if (!follow_is_current(s->follow)) {
            look_up(s, follow_address(s->follow)); /* it may have moved */
        }
        if (follow_is_current(s->follow))
            log_warning("lost the master at %s: %s; what is known of the cluster stays", follow_address(s->follow),
                        text ? text : strerror(-error));
        else if (c->status == 0 || (c->status != 307 && c->status != 503))
            log_debug("master at %s: status %d, %s", follow_address(s->follow), c->status, text ? text : "");
        step(s, event);
    }
    connection_free(c);
}

static void subscribe(struct master_stream *s, const char *address)
{
    static const struct http_callbacks callbacks = {.done = on_done, .headers_done = on_headers, .data = on_data};
    static const char body[] = "{\"type\":\"SUBSCRIBE\"}";
    char ip[INET6_ADDRSTRLEN];
    struct host_ip found;
    struct http_header headers[2] = {{"Accept", "application/x-protobuf, application/json;q=0.5"}};
    struct http_request request = {.ip = ip,
                                   .method = "POST",
                                   .target = "/api/v1",
                                   .headers = headers,
                                   .header_count = 1,
                                   .content_type = wire_media_type(WIRE_JSON),
                                   .body = body,
                                   .body_len = sizeof(body) - 1,
                                   .connect_timeout_ms = CONNECT_TIMEOUT_MS};
    if (!master_stream_find(s, address, &found, &request.port)) { /* looked up until the next attempt */
        look_up(s, address);
        step(s, (struct follow_event){.type = FOLLOW_CLOSED});
        return;
    }
    (void)inet_ntop(found.size == 4 ? AF_INET : AF_INET6, found.bytes, ip, sizeof(ip)); /* cannot fail */
    if (s->authorization)
        headers[request.header_count++] = (struct http_header){"Authorization", s->authorization};
    struct connection *c = xcalloc(1, sizeof(*c));
    c->owner = s;
    recordio_reader_init(&c->reader, MASTER_RECORD_BYTES_MAX);
    s->connection = c;
    s->counts.attempts++;
    c->call = http_call_start(s->http, &request, &callbacks, c);
}

static void step(struct master_stream *s, struct follow_event event)
{
    struct follow_effects effects;
    bool was_current = follow_is_current(s->follow);
    event.now_ms = loop_now_ms(s->config.loop);
    event.connection = s->number;
    follow_step(s->follow, &event, &effects);
    if (effects.close)
        close_connection(s);
    if (effects.connect) {
        s->number = effects.connection;
        subscribe(s, effects.address);
    }
    if (was_current && !follow_is_current(s->follow))
        s->config.changed(s->config.ctx, MASTER_STREAM_LOST);
    int64_t wait_ms = follow_next_deadline(s->follow) - loop_now_ms(s->config.loop);
    loop_timer_start(s->timer, wait_ms > 0 ? wait_ms : 0);
}

static void on_timer(void *ctx)
{
    step(ctx, (struct follow_event){.type = FOLLOW_TICK});
}

/* -- life cycle ------------------------------------------------------------------------------------------------- */

static char *make_authorization(const char *principal, const char *secret)
{
    struct buf plain, header;
    if (!principal)
        return NULL;
    buf_init(&plain, 0);
    buf_init(&header, 0);
    (void)buf_printf(&plain, "%s:%s", principal, secret ? secret : ""); /* far below the limit */
    (void)buf_append_str(&header, "Basic ");
    text_base64_encode(buf_data(&plain), buf_len(&plain), &header);
    buf_deinit(&plain);
    return buf_steal_str(&header);
}

struct master_stream *master_stream_new(const struct master_stream_config *config)
{
    const char *masters[FOLLOW_MASTERS_MAX];
    struct master_stream *s = xcalloc(1, sizeof(*s));
    s->config = *config;
    s->masters = *config->masters;
    s->config.masters = &s->masters;
    for (size_t i = 0; i < s->masters.count; i++)
        masters[i] = s->masters.items[i];
    s->authorization = make_authorization(config->principal, config->secret);
    s->config.principal = s->config.secret = NULL; /* borrowed until here */
    s->http = http_client_new(config->loop);
    s->lookup = lookup_new(config->loop, on_found, s);
    s->follow = follow_new(masters, s->masters.count, config->seed);
    s->timer = loop_timer_add(config->loop, on_timer, s);
    for (size_t i = 0; i < s->masters.count; i++)
        look_up(s, masters[i]);
    loop_timer_start(s->timer, 0);
    return s;
}

struct master_stream *master_stream_free(struct master_stream *s)
{
    if (!s)
        return NULL;
    close_connection(s);
    http_client_free(s->http);
    loop_timer_remove(s->timer);
    lookup_free(s->lookup);
    follow_free(s->follow);
    free(s->authorization);
    free(s);
    return NULL;
}

bool master_stream_is_current(const struct master_stream *s)
{
    return follow_is_current(s->follow);
}

const char *master_stream_address(const struct master_stream *s)
{
    return follow_address(s->follow);
}

double master_stream_age_seconds(const struct master_stream *s)
{
    return s->had_picture ? (double)(loop_now_ms(s->config.loop) - s->heard_ms) / 1000 : (double)NAN;
}

struct master_stream_counts master_stream_get_counts(const struct master_stream *s)
{
    return s->counts;
}
