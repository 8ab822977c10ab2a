/* SPDX-License-Identifier: Apache-2.0 */
#include "master/shell.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/http/recordio.h"

#define CALL_BYTES_MAX ((size_t)256 << 20) /* what one decoded call of 8 MiB may grow to */

struct stored_token {
    struct list node;
    uint64_t token;
};

void master_shell_draw(void *out, size_t len)
{
    ssize_t n;
    do
        n = getrandom(out, len, 0);
    while (n < 0 && errno == EINTR);
    CHECK(n == (ssize_t)len); /* up to 256 bytes come at once */
}

void master_shell_draw_uuid(char text[37])
{
    uint8_t b[16];
    master_shell_draw(b, sizeof(b));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    (void)snprintf(text, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
                   b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]); /* always 36 */
}

/* -- effects ---------------------------------------------------------------------------------------------------- */

static void on_stored(void *ctx, uint64_t token, int result)
{
    struct master_shell *s = ctx;
    struct master_event in = {.type = MASTER_EVENT_STORE_DONE, .store_done = {.token = token, .result = result}};
    master_shell_step(s, &in);
}

static void on_stored_in_memory(void *ctx)
{
    struct master_shell *s = ctx;
    struct list *node;
    while ((node = list_pop_front(&s->stored)) != NULL) {
        struct stored_token *t = container_of(node, struct stored_token, node);
        uint64_t token = t->token;
        free(t);
        on_stored(s, token, 0);
    }
}

static void store(struct master_shell *s, const struct master_effect *e)
{
    if (s->store != NULL) {
        store_write(s->store, e->store.writes, e->store.count, e->store.token, on_stored, s);
        return;
    }
    struct stored_token *t = xmalloc(sizeof(*t));
    t->token = e->store.token;
    list_push_back(&s->stored, &t->node);
    if (!loop_timer_is_active(s->stored_timer))
        loop_timer_start(s->stored_timer, 0);
}

static void answer(struct http_exchange *x, int status, const char *text)
{
    if (text != NULL)
        http_reply_text(x, status, "%s", text);
    else
        http_reply(x, status, NULL, NULL, 0);
}

static void reply(struct master_shell *s, const struct master_effect *e)
{
    if (e->reply.request == s->current_request) {
        answer(s->current_exchange, e->reply.status, e->reply.text);
        s->current_request = 0;
        return;
    }
    struct master_shell_request *r = NULL;
    HASH_FIND(hh, s->requests, &e->reply.request, sizeof(e->reply.request), r);
    if (r == NULL)
        return;
    HASH_DEL(s->requests, r);
    if (r->exchange != NULL)
        answer(r->exchange, e->reply.status, e->reply.text);
    free(r);
}

static void carry_out(struct master_shell *s, const struct master_effect *e)
{
    switch (e->type) {
    case MASTER_EFFECT_LINK_SEND:
        master_shell_link_send(s, e->link_send.link, e->link_send.message);
        break;
    case MASTER_EFFECT_LINK_CLOSE:
        master_shell_link_close(s, e->link_close.link);
        break;
    case MASTER_EFFECT_STREAM_SEND:
        master_shell_stream_send(s, e->stream_send.stream, e->stream_send.event);
        break;
    case MASTER_EFFECT_STREAM_CLOSE:
        master_shell_stream_close(s, e->stream_close.stream);
        break;
    case MASTER_EFFECT_REPLY:
        reply(s, e);
        break;
    case MASTER_EFFECT_STORE:
        store(s, e);
        break;
    case MASTER_EFFECT_OPERATOR_EVENT:
        master_shell_observers_send(s, e);
        break;
    case MASTER_EFFECT_TRACE:
        if (e->trace.warning)
            log_warning("%s", e->trace.text);
        else
            log_info("%s", e->trace.text);
        break;
    case MASTER_EFFECT_FATAL:
        log_error("%s", e->fatal.text);
        s->exit_status = 1;
        s->is_ending = true;
        loop_stop(s->loop);
        break;
    }
}

void master_shell_step(struct master_shell *s, struct master_event *in)
{
    in->now_ms = loop_now_ms(s->loop);
    in->wall_ms = loop_wall_ms(s->loop);
    CHECK(master_step(s->core, in, &s->effects) == 0); /* we keep the contract of event.h */
    for (size_t i = 0; i < s->effects.count; i++)
        carry_out(s, &s->effects.items[i]);
}

static void on_request_closed(void *ctx, struct http_exchange *x)
{
    struct master_shell_request *r = ctx;
    (void)x;
    r->exchange = NULL; /* its reply still comes and frees it */
}

void master_shell_step_request(struct master_shell *s, struct master_event *in, request_id request, struct http_exchange *x)
{
    s->current_request = request;
    s->current_exchange = x;
    master_shell_step(s, in);
    if (s->current_request == 0)
        return;
    s->current_request = 0;
    struct master_shell_request *r = xcalloc(1, sizeof(*r));
    r->id = request;
    r->shell = s;
    r->exchange = x;
    HASH_ADD(hh, s->requests, id, sizeof(r->id), r);
    http_exchange_on_closed(x, on_request_closed, r);
}

bool master_shell_write_record(struct master_shell *s, struct http_exchange *x, enum wire_format format,
                               const ProtobufCMessage *message)
{
    buf_clear(&s->message);
    buf_clear(&s->record);
    if (wire_encode(format, message, &s->message) < 0 ||
        recordio_append(&s->record, buf_data(&s->message), buf_len(&s->message)) < 0) {
        log_error("an event of more than %zu bytes was not sent", s->message.bytes_max);
        loop_timer_start(s->pressure, 0); /* not here: a step may be under way */
        return false;
    }
    (void)http_stream_write(x, buf_data(&s->record), buf_len(&s->record)); /* a cut-off stream is told by closed */
    return true;
}

/* -- time ------------------------------------------------------------------------------------------------------- */

static double thread_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

static void tick(struct master_shell *s)
{
    struct master_event in = {.type = MASTER_EVENT_TICK};
    double from = thread_ms();
    master_shell_step(s, &in);
    metric_sample_ms(s->allocation_ms, thread_ms() - from);
}

static void arm_deadline(struct master_shell *s)
{
    int64_t next = master_next_deadline(s->core), now = loop_now_ms(s->loop);
    if (next == INT64_MAX)
        loop_timer_stop(s->deadline);
    else
        loop_timer_start(s->deadline, next > now ? next - now : 0);
}

/* The end of a turn: one pass for everything that was stepped in it. */
static void before_sleep(void *ctx)
{
    struct master_shell *s = ctx;
    if (s->is_ending || !s->is_serving)
        return;
    if (master_next_deadline(s->core) <= loop_now_ms(s->loop))
        tick(s);
    arm_deadline(s);
}

static void on_deadline(void *ctx)
{
    (void)ctx; /* it was only to wake up: before_sleep does the work */
}

static void on_heartbeat(void *ctx)
{
    struct master_shell *s = ctx;
    Mesos__V1__Master__Event event = MESOS__V1__MASTER__EVENT__INIT;
    event.has_type = true;
    event.type = MESOS__V1__MASTER__EVENT__TYPE__HEARTBEAT;
    struct master_effect effect = {.type = MASTER_EFFECT_OPERATOR_EVENT, .operator_event = &event};
    master_shell_observers_send(s, &effect);
    if (s->observer_count > 0)
        loop_timer_start(s->heartbeat, MASTER_HEARTBEAT_MS);
}

static void set_pressure(struct master_shell *s, struct master_shell_stream *stream, bool on)
{
    stream->under_pressure = on;
    struct master_event in = {.type = MASTER_EVENT_STREAM_PRESSURE, .stream_pressure = {.stream = stream->id, .on = on}};
    master_shell_step(s, &in);
}

/* Runs only while somebody reads slowly, or once after an event that could not be written. */
static void on_pressure(void *ctx)
{
    struct master_shell *s = ctx;
    bool any = false;
    master_shell_streams_end_broken(s);
    master_shell_observers_end_broken(s);
    for (struct master_shell_stream *t = s->streams, *next; t != NULL; t = next) {
        next = t->hh.next;
        size_t pending = http_stream_pending(t->exchange);
        if (!t->under_pressure && pending > MASTER_STREAM_PRESSURE_BYTES)
            set_pressure(s, t, true);
        else if (t->under_pressure && pending < MASTER_STREAM_RELIEF_BYTES)
            set_pressure(s, t, false);
        any = any || t->under_pressure;
    }
    if (any)
        loop_timer_start(s->pressure, MASTER_PRESSURE_CHECK_MS);
}

/* -- life ------------------------------------------------------------------------------------------------------- */

struct recovery {
    struct master_shell *shell;
    void (*serving)(struct master_shell *s);
    struct master_item *items;
    size_t count, capacity;
};

static void on_item(void *ctx, const void *key, size_t key_len, const void *value, size_t value_len)
{
    struct recovery *r = ctx;
    if (r->count == r->capacity) {
        r->capacity = r->capacity ? r->capacity * 2 : 64;
        r->items = xrealloc(r->items, r->capacity * sizeof(*r->items));
    }
    r->items[r->count++] = (struct master_item){
        .key = xmemdup(key, key_len), .key_len = key_len, .value = xmemdup(value, value_len), .value_len = value_len};
}

static void on_recovered(void *ctx, uint64_t token, int result)
{
    struct recovery *r = ctx;
    struct master_shell *s = r->shell;
    (void)token;
    if (result < 0) {
        log_error("the registry cannot be read: %s", strerror(-result));
        s->exit_status = 1;
        s->is_ending = true;
        loop_stop(s->loop);
    } else {
        struct master_event in = {.type = MASTER_EVENT_STARTED, .started = {.items = r->items, .count = r->count}};
        master_shell_step(s, &in);
        s->is_serving = !s->is_ending;
        if (s->is_serving)
            r->serving(s);
    }
    for (size_t i = 0; i < r->count; i++) {
        free((void *)r->items[i].key);
        free((void *)r->items[i].value);
    }
    free(r->items);
    free(r);
}

static void on_nothing_to_recover(void *ctx)
{
    on_recovered(ctx, 0, 0);
}

void master_shell_init(struct master_shell *s)
{
    list_init(&s->observers);
    list_init(&s->stored);
    buf_init(&s->message, MASTER_STREAM_BYTES_MAX);
    buf_init(&s->record, MASTER_STREAM_BYTES_MAX + 32);
    s->arena = arena_new(CALL_BYTES_MAX);
    master_effects_init(&s->effects);
    s->started_wall_ms = loop_wall_ms(s->loop);
    s->deadline = loop_timer_add(s->loop, on_deadline, s);
    s->heartbeat = loop_timer_add(s->loop, on_heartbeat, s);
    s->pressure = loop_timer_add(s->loop, on_pressure, s);
    s->stored_timer = loop_timer_add(s->loop, on_stored_in_memory, s);
    s->before_sleep = loop_before_sleep_add(s->loop, before_sleep, s); /* before those of the server, which flush */
    s->metrics = metrics_new();
    s->logging = logging_toggle_new(s->loop);
    s->reads = master_reads_new(s->loop, 0);
}

/* Listens and makes the core. The address must be known first: others see it. */
static int make_core(struct master_shell *s, struct err *err)
{
    const struct master_options *o = s->options;
    struct master_config config;
    struct http_server_config server = {.ip = o->ip, .port = o->port, .connections_max = 100000};
    int r = http_server_start(s->loop, &server, master_shell_on_request, s, &s->server, err);
    if (r < 0)
        return r;
    s->port = o->advertise_port != 0 ? o->advertise_port : http_server_port(s->server);
    (void)snprintf(s->ip, sizeof(s->ip), "%s", o->advertise_ip != NULL ? o->advertise_ip : o->ip);
    (void)snprintf(s->hostname, sizeof(s->hostname), "%s", o->hostname != NULL ? o->hostname : s->ip);
    master_config_default(&config);
    config.hostname = s->hostname;
    config.ip = s->ip;
    config.port = s->port;
    config.agent_ping_timeout_ms = o->agent_ping_timeout;
    config.max_agent_ping_timeouts = (int)o->max_agent_ping_timeouts;
    config.agent_reregister_timeout_ms = o->agent_reregister_timeout;
    config.allocation_interval_ms = o->allocation_interval;
    config.offer_timeout_ms = o->offer_timeout;
    config.min_allocatable_resources = o->min_allocatable_resources;
    config.weights = o->weights;
    config.roles = o->roles;
    config.root_submissions = o->root_submissions;
    config.acls = s->access.acls;
    config.max_completed_frameworks = (size_t)o->max_completed_frameworks;
    config.max_completed_tasks_per_framework = (size_t)o->max_completed_tasks_per_framework;
    config.max_unreachable_tasks_per_framework = (size_t)o->max_unreachable_tasks_per_framework;
    master_shell_draw(&config.seed, sizeof(config.seed));
    s->core = master_new(&config, err);
    if (s->core == NULL)
        return -EINVAL;
    return 0;
}

int master_shell_start(struct master_shell *s, void (*serving)(struct master_shell *s), struct err *err)
{
    int r = make_core(s, err);
    if (r < 0)
        return r;
    master_shell_metrics_add(s);
    struct recovery *recovery = xcalloc(1, sizeof(*recovery));
    recovery->shell = s;
    recovery->serving = serving;
    if (s->store != NULL)
        store_scan(s->store, "", 0, on_item, 0, on_recovered, recovery);
    else
        loop_post(s->loop, on_nothing_to_recover, recovery);
    return 0;
}

void master_shell_stop(struct master_shell *s)
{
    s->is_ending = true;
    master_shell_links_free(s);
    master_shell_streams_free(s);
    master_shell_observers_free(s);
    s->reads = master_reads_free(s->reads);
    s->server = s->server != NULL ? http_server_stop(s->server) : NULL;
    struct master_shell_request *r, *next;
    HASH_ITER(hh, s->requests, r, next)
    {
        HASH_DEL(s->requests, r);
        free(r);
    }
    struct list *node;
    while ((node = list_pop_front(&s->stored)) != NULL)
        free(container_of(node, struct stored_token, node));
    s->before_sleep = loop_before_sleep_remove(s->before_sleep);
    s->deadline = loop_timer_remove(s->deadline);
    s->heartbeat = loop_timer_remove(s->heartbeat);
    s->pressure = loop_timer_remove(s->pressure);
    s->stored_timer = loop_timer_remove(s->stored_timer);
    s->core = master_free(s->core);
    s->metrics = metrics_free(s->metrics);
    logging_toggle_free(s->logging);
    s->logging = NULL;
    master_effects_deinit(&s->effects);
    buf_deinit(&s->message);
    buf_deinit(&s->record);
    s->arena = arena_free(s->arena);
}
