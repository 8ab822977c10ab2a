/* SPDX-License-Identifier: Apache-2.0
 * up_example.c - deploys the example service through the public API, waits for its deployment on the event stream and asks
 * it once, as a person would. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/up.h"
#include "common/base/check.h"

#define EXAMPLE_ID "/hello"
#define EXAMPLE_WAIT_MS 30000
#define EVENT_BYTES_MAX (1u << 20)
/* The service listens a moment after its process started; nothing tells when. */
#define PROBE_PAUSE_MS 10
#define PROBES_MAX 500

static void request(struct up *u, const char *address, const char *method, const char *target, const char *body,
                    const struct http_callbacks *callbacks, bool stream)
{
    char ip[64];
    const char *colon = strrchr(address, ':');
    CHECK(colon != NULL && (size_t)(colon - address) < sizeof(ip));
    memcpy(ip, address, (size_t)(colon - address));
    ip[colon - address] = '\0';
    /* Our credential is for our own parts, not for what is probed beside them. */
    bool is_part = strcmp(address, up_address(u, "marathon")) == 0 || strcmp(address, up_address(u, "lb")) == 0;
    struct http_header headers[2];
    size_t header_count = 0;
    if (stream)
        headers[header_count++] = (struct http_header){"Accept", "text/event-stream"};
    if (is_part && cli_authorization() != NULL)
        headers[header_count++] = (struct http_header){"Authorization", cli_authorization()};
    struct http_request r = {
        .ip = ip,
        .port = (uint16_t)strtoul(colon + 1, NULL, 10),
        .method = method,
        .target = target,
        .headers = headers,
        .header_count = header_count,
        .content_type = body ? "application/json" : NULL,
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .timeout_ms = EXAMPLE_WAIT_MS,
    };
    struct http_call *call = http_call_start(u->client, &r, callbacks, u);
    if (stream)
        u->events = call;
}

static void probe(struct up *u);

/* -- the balanced address ------------------------------------------------------------------------------------------ */

static void ask_vip(struct up *u);

static void on_vip_probed(void *ctx, const struct http_message *response, int error, const char *why)
{
    struct up *u = ctx;
    (void)error;
    if (response != NULL && response->status == 200) {
        up_stands(u);
        return;
    }
    if (++u->probes < PROBES_MAX) {
        loop_timer_start(u->probe_again, PROBE_PAUSE_MS);
        return;
    }
    (void)snprintf(u->vip_problem, sizeof(u->vip_problem), "%s does not answer: %s", u->vip_url,
                   response ? http_reason(response->status) : why); /* cut if long */
    u->vip_url[0] = '\0';
    up_stands(u);
}

/* The address is the balancer's to say: it depends on which names there are. */
static bool read_vip(struct up *u, const json_t *vips)
{
    size_t i, len = strlen(UP_EXAMPLE_VIP_NAME);
    const json_t *vip;
    json_array_foreach(vips, i, vip)
    {
        const char *text = json_string_value(json_object_get(vip, "vip"));
        const char *ip = json_string_value(json_object_get(vip, "ip"));
        const char *problem = json_string_value(json_object_get(vip, "problem"));
        if (text == NULL || ip == NULL || strncmp(text, UP_EXAMPLE_VIP_NAME ":", len + 1) != 0 || strchr(ip, ':') != NULL)
            continue;
        if (problem != NULL)
            (void)snprintf(u->vip_problem, sizeof(u->vip_problem), "%s", problem); /* cut if long */
        else
            (void)snprintf(u->vip_url, sizeof(u->vip_url), "http://%s%s", ip,
                           strcmp(text + len, ":80") == 0 ? "" : text + len);
        return true;
    }
    return false;
}

static void on_vips(void *ctx, const struct http_message *response, int error, const char *why)
{
    static const struct http_callbacks callbacks = {.done = on_vip_probed};
    struct up *u = ctx;
    (void)error;
    json_t *root = response ? json_read(response->body, response->body_len, NULL) : NULL;
    bool is_known = read_vip(u, root);
    json_decref(root);
    if (u->vip_url[0] != '\0') {
        const char *authority = u->vip_url + strlen("http://");
        char address[sizeof(u->vip_url) + 4];
        (void)snprintf(address, sizeof(address), "%s%s", authority, strchr(authority, ':') ? "" : ":80"); /* fits */
        request(u, address, "GET", "/", NULL, &callbacks, false);
    } else if (is_known) {
        up_stands(u);
    } else if (++u->probes < PROBES_MAX) { /* the balancer has not heard of it yet */
        loop_timer_start(u->probe_again, PROBE_PAUSE_MS);
    } else {
        (void)snprintf(u->vip_problem, sizeof(u->vip_problem), "the balancer does not know it: %s",
                       response ? http_reason(response->status) : why);
        up_stands(u);
    }
}

static void ask_vip(struct up *u)
{
    static const struct http_callbacks callbacks = {.done = on_vips};
    request(u, up_address(u, "lb"), "GET", "/v1/vips?verbose", NULL, &callbacks, false);
}

/* -- one instance --------------------------------------------------------------------------------------------------- */

static void on_probed(void *ctx, const struct http_message *response, int error, const char *why)
{
    struct up *u = ctx;
    (void)error;
    if (response != NULL && response->status == 200) {
        u->instance_answers = true;
        u->probes = 0;
        if (u->lb) {
            ask_vip(u);
        } else {
            (void)snprintf(u->vip_problem, sizeof(u->vip_problem), "there is no balancer"); /* fits */
            up_stands(u);
        }
        return;
    }
    if (++u->probes >= PROBES_MAX) {
        up_finish(u, CLI_FAILED, "the example service at %s does not answer: %s", u->example_url,
                  response ? http_reason(response->status) : why);
        return;
    }
    loop_timer_start(u->probe_again, PROBE_PAUSE_MS);
}

static void on_probe_again(void *ctx)
{
    struct up *u = ctx;
    if (u->instance_answers)
        ask_vip(u);
    else
        probe(u);
}

static void probe(struct up *u)
{
    static const struct http_callbacks callbacks = {.done = on_probed};
    request(u, u->example_url + strlen("http://"), "GET", "/", NULL, &callbacks, false);
}

static void on_tasks(void *ctx, const struct http_message *response, int error, const char *why)
{
    struct up *u = ctx;
    (void)error;
    json_t *root = response ? json_read(response->body, response->body_len, NULL) : NULL;
    const json_t *task = json_array_get(json_object_get(root, "tasks"), 0);
    const json_t *port = json_array_get(json_object_get(task, "ports"), 0);
    const char *host = json_string_value(json_object_get(task, "host"));
    if (host == NULL || !json_is_integer(port)) {
        up_finish(u, CLI_FAILED, "the example service has no address: %s", response ? http_reason(response->status) : why);
    } else {
        (void)snprintf(u->example_url, sizeof(u->example_url), "http://%s:%lld", host, (long long)json_integer_value(port));
        probe(u);
    }
    json_decref(root);
}

static void ask_tasks(struct up *u)
{
    static const struct http_callbacks callbacks = {.done = on_tasks};
    request(u, up_address(u, "marathon"), "GET", "/v2/apps" EXAMPLE_ID "/tasks", NULL, &callbacks, false);
}

static void on_posted(void *ctx, const struct http_message *response, int error, const char *why)
{
    struct up *u = ctx;
    (void)error;
    if (response == NULL) {
        up_finish(u, CLI_FAILED, "deploying the example service: %s", why);
        return;
    }
    if (response->status == 409) { /* kept from an earlier run in this directory; it comes back by itself */
        (void)snprintf(u->example_name, sizeof(u->example_name), "%s", EXAMPLE_ID);
        up_stands(u);
        return;
    }
    const char *id = http_header(response, "Marathon-Deployment-Id");
    if (response->status != 201 || id == NULL) {
        up_finish(u, CLI_FAILED, "deploying the example service: %d %.*s", response->status,
                  (int)(response->body_len < 300 ? response->body_len : 300), (const char *)response->body);
        return;
    }
    (void)snprintf(u->example_name, sizeof(u->example_name), "%s", EXAMPLE_ID);
    (void)snprintf(u->deployment_id, sizeof(u->deployment_id), "%s", id);
    /* The success may have passed on the event stream already. */
    if (memmem(buf_data(&u->event_text), buf_len(&u->event_text), id, strlen(id)) != NULL)
        ask_tasks(u);
}

static void post_example(struct up *u)
{
    static const struct http_callbacks callbacks = {.done = on_posted};
    struct buf command, body;
    struct json_writer w;
    buf_init(&command, 0);
    buf_init(&body, 0);
    (void)buf_append_str(&command, "exec '");
    for (const char *p = u->self; *p; p++) /* within the default limit of the buffer */
        (void)(*p == '\'' ? buf_append_str(&command, "'\\''") : buf_append_char(&command, *p));
    (void)buf_append_str(&command, "' hello");
    char *cmd = buf_steal_str(&command);
    json_writer_init(&w, &body);
    json_begin_object(&w);
    json_kv_string(&w, "id", EXAMPLE_ID);
    json_kv_string(&w, "cmd", cmd);
    json_kv_int(&w, "instances", 2);
    json_kv_double(&w, "cpus", 0.1);
    json_kv_int(&w, "mem", 32);
    json_put_key(&w, "portDefinitions");
    json_begin_array(&w);
    json_begin_object(&w);
    json_kv_int(&w, "port", 0);
    json_kv_string(&w, "name", "http");
    json_put_key(&w, "labels");
    json_begin_object(&w);
    /* An ordinary user may not serve at port 80. */
    json_kv_string(&w, "VIP_0", geteuid() == 0 ? EXAMPLE_ID ":80" : EXAMPLE_ID ":8000");
    json_end_object(&w);
    json_end_object(&w);
    json_end_array(&w);
    json_end_object(&w);
    char *text = buf_steal_str(&body);
    request(u, up_address(u, "marathon"), "POST", "/v2/apps", text, &callbacks, false);
    free(text);
    free(cmd);
    buf_deinit(&command);
    buf_deinit(&body);
}

static bool on_events_open(void *ctx, const struct http_message *response)
{
    struct up *u = ctx;
    if (response->status != 200) {
        up_finish(u, CLI_FAILED, "events of the service scheduler: %d %s", response->status, http_reason(response->status));
        return false;
    }
    post_example(u);
    return true;
}

static bool on_events_data(void *ctx, const void *data, size_t len)
{
    struct up *u = ctx;
    if (u->stands || buf_append(&u->event_text, data, len) < 0)
        return false; /* nothing more is wanted from the stream */
    if (u->deployment_id[0] != '\0' && u->example_url[0] == '\0' &&
        memmem(buf_data(&u->event_text), buf_len(&u->event_text), u->deployment_id, strlen(u->deployment_id)) != NULL) {
        ask_tasks(u);
        return false;
    }
    return true;
}

static void on_events_done(void *ctx, const struct http_message *response, int error, const char *why)
{
    struct up *u = ctx;
    (void)response;
    u->events = NULL;
    if (error != -ECANCELED && !u->stands && u->example_url[0] == '\0')
        up_finish(u, CLI_FAILED, "events of the service scheduler ended: %s", why ? why : "closed");
}

void up_example_start(struct up *u)
{
    static const struct http_callbacks callbacks = {
        .done = on_events_done, .headers_done = on_events_open, .data = on_events_data};
    buf_init(&u->event_text, EVENT_BYTES_MAX);
    u->probe_again = loop_timer_add(u->loop, on_probe_again, u);
    request(u, up_address(u, "marathon"), "GET", "/v2/events?event_type=deployment_success", NULL, &callbacks, true);
}

void up_example_release(struct up *u)
{
    buf_deinit(&u->event_text);
    loop_timer_remove(u->probe_again);
    u->probe_again = NULL;
}
