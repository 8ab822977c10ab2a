/* SPDX-License-Identifier: Apache-2.0
 * api.c - HTTP: /v1/vips as DC/OS's network service answers it (facts: net-cron C.7; under /net as well, where DC/OS's
 * gateway has it), the same with everything that is known of each VIP, metrics, and which data plane is in use. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "common/base/sha1.h"
#include "common/base/text.h"
#include "lb/shell.h"

#define BODY_BYTES_MAX (512u << 20) /* of a listing of all VIPs */
#define VIP_TEXT_SIZE (VIP_NAME_MAX + 64)
#define NAMED_ZONE ".l4lb.thisdcos.directory"
#define METRICS_VIPS_MAX 1000 /* VIPs with series of their own in one answer */
#define METRICS_ROWS_MAX 20000

/* -- vips -------------------------------------------------------------------------------------------------------- */

static void format_vip(const struct lb_change *vip, char out[VIP_TEXT_SIZE])
{
    if (vip->name[0] != '\0')
        (void)snprintf(out, VIP_TEXT_SIZE, "%s" NAMED_ZONE ":%u", vip->name, vip->vip.port); /* fits */
    else
        lb_endpoint_format(&vip->vip, out);
}

struct vip_writer {
    struct lb_shell *shell;
    struct json_writer w;
    size_t skip, left; /* of a page */
};

static void put_endpoint(struct json_writer *w, const struct lb_endpoint *at)
{
    char ip[LB_ENDPOINT_TEXT_SIZE];
    lb_endpoint_format_ip(at, ip);
    json_kv_string(w, "ip", ip);
    json_kv_int(w, "port", at->port);
}

static void put_vip(void *ctx, const struct lb_change *vip)
{
    struct vip_writer *v = ctx;
    char text[VIP_TEXT_SIZE];
    format_vip(vip, text);
    json_begin_object(&v->w);
    json_kv_string(&v->w, "vip", text);
    json_kv_string(&v->w, "protocol", lb_protocol_name(vip->vip.protocol));
    json_put_key(&v->w, "backend");
    json_begin_array(&v->w);
    for (size_t i = 0; i < vip->backend_count; i++) {
        json_begin_object(&v->w);
        put_endpoint(&v->w, &vip->backends[i].at);
        json_end_object(&v->w);
    }
    json_end_array(&v->w);
    json_end_object(&v->w);
}

/* -- vips, with everything that is known of them ----------------------------------------------------------------- */

/* The numbers of one VIP, in the order of its back ends. */
struct numbers {
    const struct lb_change *vip;
    struct lb_counters total;
    struct lb_counters *backends;
};

static int find_backend(const void *key, const void *item)
{
    return lb_endpoint_compare(key, &((const struct lb_backend *)item)->at);
}

static void take_numbers(void *ctx, const struct lb_endpoint *backend, const struct lb_counters *counters)
{
    struct numbers *n = ctx;
    if (backend == NULL) {
        n->total = *counters;
        return;
    }
    const struct lb_backend *found =
        bsearch(backend, n->vip->backends, n->vip->backend_count, sizeof(struct lb_backend), find_backend);
    if (found != NULL)
        n->backends[found - n->vip->backends] = *counters;
}

/* The caller frees the back ends' numbers. */
static struct numbers read_numbers(struct lb_shell *s, const struct lb_change *vip)
{
    struct numbers n = {.vip = vip, .backends = xcalloc(vip->backend_count + 1, sizeof(struct lb_counters))};
    s->plane->ops->counters(s->plane, &vip->vip, take_numbers, &n);
    return n;
}

static void put_counters(struct json_writer *w, const struct lb_counters *c)
{
    json_kv_uint(w, "connections", c->connections);
    json_kv_uint(w, "active", c->active);
    json_kv_uint(w, "failures", c->failures);
    json_kv_uint(w, "bytes_in", c->bytes_in);
    json_kv_uint(w, "bytes_out", c->bytes_out);
}

static void put_verbose_vip(void *ctx, const struct lb_change *vip)
{
    struct vip_writer *v = ctx;
    char text[VIP_TEXT_SIZE];
    if (v->skip > 0 || v->left == 0) {
        v->skip -= v->skip > 0;
        return;
    }
    v->left--;
    const char *problem = v->shell->plane->ops->problem(v->shell->plane, &vip->vip);
    format_vip(vip, text);
    json_begin_object(&v->w);
    json_kv_string(&v->w, "vip", text);
    json_kv_string(&v->w, "protocol", lb_protocol_name(vip->vip.protocol));
    put_endpoint(&v->w, &vip->vip);
    if (problem != NULL)
        json_kv_string(&v->w, "problem", problem);
    struct numbers n = read_numbers(v->shell, vip);
    put_counters(&v->w, &n.total);
    json_put_key(&v->w, "backend");
    json_begin_array(&v->w);
    for (size_t i = 0; i < vip->backend_count; i++) {
        json_begin_object(&v->w);
        put_endpoint(&v->w, &vip->backends[i].at);
        json_kv_int(&v->w, "weight", vip->backends[i].is_draining ? 0 : 1);
        json_kv_bool(&v->w, "ejected", n.backends[i].is_ejected);
        put_counters(&v->w, &n.backends[i]);
        json_end_object(&v->w);
    }
    free(n.backends);
    json_end_array(&v->w);
    json_end_object(&v->w);
}

/* -- answers ----------------------------------------------------------------------------------------------------- */

static void reply_json(struct http_exchange *x, struct buf *body)
{
    if (body->overflowed)
        http_reply_text(x, 500, "the answer is too large");
    else
        http_reply(x, 200, "application/json", buf_data(body), buf_len(body));
    buf_deinit(body);
}

/* A number of the query; fallback when it is not there. False: it is there and no such number, and that was answered. */
static bool read_number(struct http_exchange *x, const struct http_message *request, const char *name, size_t fallback,
                        size_t *out)
{
    const char *text = http_query(request, http_exchange_arena(x), name, 0);
    uint64_t value = fallback;
    if (text != NULL && text_to_uint64(text, &value) < 0) {
        http_reply_text(x, 400, "%s is not a number", name);
        return false;
    }
    *out = (size_t)value;
    return true;
}

static void make_etag(const struct lb_shell *s, struct buf *out)
{
    uint64_t state[2] = {s->start_id, s->generation};
    uint8_t digest[20];
    sha1(state, sizeof(state), digest);
    (void)buf_append_char(out, '"');
    text_base64_encode(digest, sizeof(digest), out);
    (void)buf_append(out, "\"", 2); /* with the terminator */
}

/* False when the client has it already, and was told so. */
static bool check_etag(struct lb_shell *s, struct http_exchange *x, const struct http_message *request)
{
    const char *known = http_header(request, "If-None-Match");
    struct buf etag;
    buf_init(&etag, 0);
    make_etag(s, &etag);
    const char *text = (const char *)buf_data(&etag);
    http_add_header(x, "ETag", text);
    bool is_known = known != NULL && strstr(known, text) != NULL;
    if (is_known)
        http_reply(x, 304, NULL, NULL, 0);
    buf_deinit(&etag);
    return !is_known;
}

static void get_vips(struct lb_shell *s, struct http_exchange *x, const struct http_message *request)
{
    struct vip_writer v = {.shell = s};
    struct buf body;
    bool is_verbose = http_query(request, http_exchange_arena(x), "verbose", 0) != NULL;
    if (is_verbose &&
        (!read_number(x, request, "offset", 0, &v.skip) || !read_number(x, request, "limit", SIZE_MAX, &v.left)))
        return;
    if (!is_verbose && !check_etag(s, x, request))
        return;
    buf_init(&body, BODY_BYTES_MAX);
    json_writer_init(&v.w, &body);
    json_begin_array(&v.w);
    lb_each_vip(s->core, is_verbose ? put_verbose_vip : put_vip, &v);
    json_end_array(&v.w);
    reply_json(x, &body);
}

static void get_version(struct http_exchange *x)
{
    struct buf body;
    struct json_writer w;
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_begin_object(&w);
    json_kv_string(&w, "Service", "muster-lb");
    json_kv_string(&w, "Version", MUSTER_VERSION);
    json_end_object(&w);
    reply_json(x, &body);
}

struct problem_count {
    struct lb_shell *shell;
    uint64_t count;
};

static void count_problem(void *ctx, const struct lb_change *vip)
{
    struct problem_count *p = ctx;
    p->count += p->shell->plane->ops->problem(p->shell->plane, &vip->vip) != NULL;
}

static uint64_t count_problems(struct lb_shell *s)
{
    struct problem_count p = {.shell = s};
    lb_each_vip(s->core, count_problem, &p);
    return p.count;
}

static void put_picture(struct lb_shell *s, struct json_writer *w)
{
    struct lb_statistics t = lb_get_statistics(s->core);
    double age = master_stream_age_seconds(s->stream);
    json_put_key(w, "picture");
    json_begin_object(w);
    json_kv_string(w, "master", master_stream_address(s->stream));
    json_kv_bool(w, "is_current", master_stream_is_current(s->stream));
    json_put_key(w, "age_seconds");
    if (isnan(age))
        json_put_null(w);
    else
        json_put_number(w, age);
    json_kv_uint(w, "agents", t.agents);
    json_kv_uint(w, "tasks", t.tasks);
    json_kv_uint(w, "vips", t.vips);
    json_kv_uint(w, "backends", t.backends);
    json_end_object(w);
}

static void get_plane(struct lb_shell *s, struct http_exchange *x)
{
    struct buf body;
    struct json_writer w;
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_begin_object(&w);
    json_kv_string(&w, "plane", s->plane->ops->name);
    json_kv_string(&w, "asked", s->options->plane);
    json_put_key(&w, "left_out");
    json_begin_array(&w);
    for (size_t i = 0; i < s->choice.left_out_count; i++) {
        json_begin_object(&w);
        json_kv_string(&w, "plane", s->choice.left_out[i].name);
        json_kv_string(&w, "reason", s->choice.left_out[i].why.text);
        json_end_object(&w);
    }
    json_end_array(&w);
    json_kv_string(&w, "instance", s->options->instance);
    json_kv_string(&w, "vip_range", s->options->vip_range);
    json_kv_uint(&w, "local_routes", s->routes != NULL ? lb_routes_count(s->routes) : 0);
    json_kv_uint(&w, "vips_with_problems", count_problems(s));
    put_picture(s, &w);
    json_end_object(&w);
    reply_json(x, &body);
}

/* -- metrics ----------------------------------------------------------------------------------------------------- */

/* One labelled series: a VIP (backend -1) or one of its back ends. */
struct row {
    struct lb_counters counters;
    struct lb_endpoint backend;
    bool is_backend;
    uint32_t vip;
};

struct table {
    struct lb_shell *shell;
    size_t skip, vips, rows, left_out;
    char (*vip_texts)[VIP_TEXT_SIZE + 32];
    struct row *v;
};

static void add_rows(void *ctx, const struct lb_change *vip)
{
    struct table *t = ctx;
    char text[VIP_TEXT_SIZE];
    if (t->skip > 0 || t->vips == METRICS_VIPS_MAX || t->rows + vip->backend_count + 1 > METRICS_ROWS_MAX) {
        t->left_out += 1;
        t->skip -= t->skip > 0;
        return;
    }
    format_vip(vip, text);
    (void)snprintf(t->vip_texts[t->vips], sizeof(t->vip_texts[0]), "vip=\"%s\",family=\"%s\",protocol=\"%s\"", text,
                   vip->vip.is_ipv6 ? "ipv6" : "ipv4", lb_protocol_name(vip->vip.protocol)); /* fits */
    struct numbers n = read_numbers(t->shell, vip);
    t->v[t->rows++] = (struct row){.counters = n.total, .vip = (uint32_t)t->vips};
    for (size_t i = 0; i < vip->backend_count; i++)
        t->v[t->rows++] = (struct row){
            .counters = n.backends[i], .backend = vip->backends[i].at, .is_backend = true, .vip = (uint32_t)t->vips};
    free(n.backends);
    t->vips++;
}

static uint64_t row_value(const struct row *row, unsigned family)
{
    const uint64_t values[] = {row->counters.connections, row->counters.active, row->counters.failures,
                               row->counters.bytes_in, row->counters.bytes_out};
    return values[family];
}

/* The samples of a family must be together. */
static void write_rows(const struct table *t, struct buf *out)
{
    static const struct {
        const char *name, *kind, *help;
    } families[] = {
        {"connections_total", "counter", "Connections or UDP flows"},
        {"connections_active", "gauge", "Connections or UDP flows now, where the data plane sees them"},
        {"failures_total", "counter", "Connects that failed"},
        {"bytes_in_total", "counter", "Bytes from clients"},
        {"bytes_out_total", "counter", "Bytes to clients"},
    };
    for (unsigned f = 0; f < sizeof(families) / sizeof(families[0]); f++)
        for (unsigned is_backend = 0; is_backend < 2; is_backend++) {
            const char *of = is_backend ? "backend" : "vip";
            (void)buf_printf(out, "# HELP l4lb_%s_%s %s.\n# TYPE l4lb_%s_%s %s\n", of, families[f].name, families[f].help,
                             of, families[f].name, families[f].kind);
            for (size_t i = 0; i < t->rows; i++) {
                char backend[LB_ENDPOINT_TEXT_SIZE] = "";
                if (t->v[i].is_backend != is_backend)
                    continue;
                if (is_backend)
                    lb_endpoint_format(&t->v[i].backend, backend);
                (void)buf_printf(out, "l4lb_%s_%s{%s%s%s%s} %llu\n", of, families[f].name, t->vip_texts[t->v[i].vip],
                                 is_backend ? ",backend=\"" : "", backend, is_backend ? "\"" : "",
                                 (unsigned long long)row_value(&t->v[i], f));
            }
        }
}

static void write_gauge(struct buf *out, const char *name, const char *kind, const char *help, uint64_t value)
{
    (void)buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, kind, name, (unsigned long long)value);
}

/* The names that DC/OS has for what we have too. */
static void write_dcos_names(const struct lb_shell *s, struct buf *out)
{
    write_gauge(out, "l4lb_vips", "gauge", "VIPs.", s->statistics.vips);
    write_gauge(out, "l4lb_backends", "gauge", "Back ends of all VIPs.", s->statistics.backends);
    write_gauge(out, "l4lb_unreachable_backends", "gauge", "Back ends that fail this node's checks.",
                s->statistics.down_backends);
    write_gauge(out, "l4lb_unreachable_nodes", "gauge", "Agents that the master has not heard of since it leads.",
                s->statistics.held_agents);
    write_gauge(out, "l4lb_reconciled_routes_total", "counter", "Routes that were mended.", s->mended_routes);
}

static void get_metrics(struct lb_shell *s, struct http_exchange *x, const struct http_message *request)
{
    struct table t = {.shell = s};
    struct buf body;
    if (!read_number(x, request, "offset", 0, &t.skip))
        return;
    t.vip_texts = xcalloc(METRICS_VIPS_MAX, sizeof(t.vip_texts[0]));
    t.v = xcalloc(METRICS_ROWS_MAX, sizeof(t.v[0]));
    s->statistics = lb_get_statistics(s->core);
    lb_each_vip(s->core, add_rows, &t);
    buf_init(&body, BODY_BYTES_MAX);
    metrics_write_prometheus(s->metrics, &body);
    (void)buf_printf(&body,
                     "# HELP l4lb_plane_info The data plane in use.\n# TYPE l4lb_plane_info gauge\n"
                     "l4lb_plane_info{plane=\"%s\"} 1\n",
                     s->plane->ops->name);
    write_dcos_names(s, &body);
    write_gauge(&body, "l4lb_vips_without_series", "gauge",
                "VIPs beyond the limit of this answer; ?offset=N leaves out the first N.", t.left_out);
    write_rows(&t, &body);
    free(t.vip_texts);
    free(t.v);
    if (body.overflowed)
        http_reply_text(x, 500, "the answer is too large");
    else
        http_reply(x, 200, "text/plain; version=0.0.4", buf_data(&body), buf_len(&body));
    buf_deinit(&body);
}

static void get_snapshot(struct lb_shell *s, struct http_exchange *x)
{
    struct buf body;
    struct json_writer w;
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    s->statistics = lb_get_statistics(s->core);
    metrics_write_json(s->metrics, &w);
    reply_json(x, &body);
}

#define READ(name, expression)                                                                                             \
    static double read_##name(void *ctx)                                                                                   \
    {                                                                                                                      \
        struct lb_shell *s = ctx;                                                                                          \
        return (double)(expression);                                                                                       \
    }
READ(vips, s->statistics.vips)
READ(backends, s->statistics.backends)
READ(draining, s->statistics.draining_backends)
READ(down, s->statistics.down_backends)
READ(problems, count_problems(s))
READ(agents, s->statistics.agents)
READ(tasks, s->statistics.tasks)
READ(rejected, s->statistics.rejected_labels)
READ(changes, s->changes)
READ(apply_ms_max, s->apply_ms_max)
READ(repairs, s->repairs)
READ(repair_failures, s->repair_failures)
READ(mended, s->mended_rules)
READ(mended_routes, s->mended_routes)
READ(picture_age, master_stream_age_seconds(s->stream))
READ(connected, master_stream_is_current(s->stream))
READ(stream_records, master_stream_get_counts(s->stream).records)
READ(stream_attempts, master_stream_get_counts(s->stream).attempts)

static void add_metrics(struct lb_shell *s)
{
    static const struct {
        const char *name;
        enum metric_kind kind;
        double (*read)(void *ctx);
        const char *help;
    } rows[] = {
        {"lb/vips", METRIC_GAUGE, read_vips, "VIPs."},
        {"lb/backends", METRIC_GAUGE, read_backends, "Back ends of all VIPs."},
        {"lb/backends_draining", METRIC_GAUGE, read_draining, "Of those, that get no new connections."},
        {"lb/backends_down", METRIC_GAUGE, read_down, "Back ends that fail this node's checks."},
        {"lb/vips_with_problems", METRIC_GAUGE, read_problems, "VIPs that the data plane cannot serve."},
        {"lb/agents", METRIC_GAUGE, read_agents, "Agents known."},
        {"lb/tasks", METRIC_GAUGE, read_tasks, "Tasks known."},
        {"lb/rejected_labels", METRIC_COUNTER, read_rejected, "VIP labels that could not be used."},
        {"lb/changes", METRIC_COUNTER, read_changes, "Changes of VIPs given to the data plane."},
        {"lb/apply_ms_max", METRIC_GAUGE, read_apply_ms_max, "Longest time that the data plane took for a change."},
        {"lb/repairs", METRIC_COUNTER, read_repairs, "Comparisons of the data plane with the plan."},
        {"lb/repair_failures", METRIC_COUNTER, read_repair_failures, "Of those, that could not be made."},
        {"lb/mended", METRIC_COUNTER, read_mended, "Things in the data plane that were mended."},
        {"lb/mended_routes", METRIC_COUNTER, read_mended_routes, "Routes that were mended."},
        {"lb/picture_age_seconds", METRIC_GAUGE, read_picture_age, "Seconds since the plan was last known to be right."},
        {"lb/connected", METRIC_GAUGE, read_connected, "1 while the master's event stream is followed."},
        {"lb/stream_events", METRIC_COUNTER, read_stream_records, "Events received from the master."},
        {"lb/stream_attempts", METRIC_COUNTER, read_stream_attempts, "Subscriptions tried."},
    };
    s->metrics = metrics_new();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        metrics_add_function(s->metrics, rows[i].name, rows[i].kind, rows[i].help, rows[i].read, s);
    s->apply_timer =
        metrics_add_timer(s->metrics, "lb/apply_ms", "Time that the data plane took for the changes of a turn.");
    metrics_add_system(s->metrics);
}

/* -- routes ------------------------------------------------------------------------------------------------------ */

static void on_request(void *ctx, struct http_exchange *x, const struct http_message *request)
{
    struct lb_shell *s = ctx;
    const char *path = strncmp(request->path, "/net/", 5) == 0 ? request->path + 4 : request->path;
    if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
        http_add_header(x, "Allow", "GET, HEAD");
        http_reply_text(x, 405, "Method Not Allowed");
    } else if (strcmp(path, "/v1/vips") == 0) {
        get_vips(s, x, request);
    } else if (strcmp(path, "/v1/version") == 0) {
        get_version(x);
    } else if (strcmp(path, "/v1/plane") == 0) {
        get_plane(s, x);
    } else if (strcmp(path, "/metrics") == 0 || strcmp(path, "/v1/metrics") == 0 || strcmp(path, "/v1/metrics/l4lb") == 0) {
        get_metrics(s, x, request);
    } else if (strcmp(path, "/metrics/snapshot") == 0) {
        get_snapshot(s, x);
    } else {
        http_reply_text(x, 404, "Not Found");
    }
}

int lb_api_start(struct lb_shell *s, struct err *err)
{
    struct http_server_config config = {.ip = s->options->ip, .port = s->options->port, .connections_max = 1024};
    add_metrics(s);
    return http_server_start(s->loop, &config, on_request, s, &s->api, err);
}

void lb_api_stop(struct lb_shell *s)
{
    if (s->api != NULL)
        http_server_stop(s->api);
    s->apply_timer = NULL;
    metrics_free(s->metrics);
}
