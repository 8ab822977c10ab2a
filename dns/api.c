/* SPDX-License-Identifier: Apache-2.0
 * api.c - HTTP: what Mesos-DNS answers (facts: net-cron A.8), what DC/OS's network service answers about names (B.7; under
 * /net as well, where DC/OS's gateway has it), and metrics. */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "dns/dns.h"
#include "dns/mesos_dns_config.h"

#define BODY_BYTES_MAX (512u << 20) /* of a listing of all records */
#define JSON_TYPE "application/json"

/* -- asking ourselves ------------------------------------------------------------------------------------------- */

struct lookup {
    uint8_t answer[DNS_MESSAGE_MAX];
    size_t len, at;
    unsigned left; /* answers */
};

/* Asks the engine, as a client by TCP would. */
static void look_up(struct dns *d, const char *name, unsigned type, struct lookup *out)
{
    uint8_t packet[DNS_HEADER_BYTES + DNS_NAME_MAX + 4] = {0};
    struct dns_query_engine engine = {0};
    struct dns_question q;
    out->left = 0;
    size_t len = dns_name_from_text(name, packet + DNS_HEADER_BYTES);
    if (len == 0)
        return;
    dns_put16(packet + 4, 1);
    dns_put16(packet + DNS_HEADER_BYTES + len, type);
    dns_put16(packet + DNS_HEADER_BYTES + len + 2, DNS_CLASS_IN);
    rng_seed(&engine.rng, 0);
    if (dns_query_answer(&engine, dns_zone_current(d->publisher), packet, DNS_HEADER_BYTES + len + 4, true, out->answer,
                         &out->len, &q) != QUERY_ANSWER)
        return;
    out->left = dns_get16(out->answer + 6);
    out->at = DNS_HEADER_BYTES + len + 4;
}

static bool next_record(struct lookup *l, struct dns_record *r)
{
    if (l->left == 0 || dns_record_read(l->answer, l->len, l->at, r) < 0)
        return false;
    l->left--;
    l->at = r->end;
    return true;
}

static void ip_text(const struct lookup *l, const struct dns_record *r, char out[64])
{
    (void)inet_ntop(r->data_len == 4 ? AF_INET : AF_INET6, l->answer + r->data, out, 64); /* cannot fail */
}

/* -- Mesos-DNS -------------------------------------------------------------------------------------------------- */

static void reply_json(struct http_exchange *x, struct buf *body)
{
    if (body->overflowed)
        http_reply_text(x, 500, "the answer is too large");
    else
        http_reply(x, 200, JSON_TYPE, buf_data(body), buf_len(body));
    buf_deinit(body);
}

static void get_version(struct http_exchange *x, const char *service, const char *url)
{
    struct buf body;
    struct json_writer w;
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_begin_object(&w);
    json_kv_string(&w, "Service", service);
    json_kv_string(&w, "Version", MUSTER_VERSION);
    if (url)
        json_kv_string(&w, "URL", url);
    json_end_object(&w);
    reply_json(x, &body);
}

static void get_config(struct dns *d, struct http_exchange *x)
{
    struct buf body;
    buf_init(&body, 0);
    mesos_dns_config_write(d->options, &d->lists, &body);
    reply_json(x, &body);
}

/* The name with a dot at its end, lower case. */
static char *full_name(struct http_exchange *x, const char *text)
{
    size_t len = strlen(text);
    char *name = arena_printf(http_exchange_arena(x), "%s%s", text, len > 0 && text[len - 1] == '.' ? "" : ".");
    for (char *p = name; p && *p; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
    return name;
}

static void put_host(struct json_writer *w, const char *host, const char *ip)
{
    json_begin_object(w);
    json_kv_string(w, "host", host);
    json_kv_string(w, "ip", ip);
    json_end_object(w);
}

static void get_hosts(struct dns *d, struct http_exchange *x, const char *host, bool is_dcos)
{
    struct lookup *l = xmalloc(sizeof(*l));
    struct buf body;
    struct json_writer w;
    struct dns_record r;
    char ip[64];
    unsigned rows = 0;
    const char *name = full_name(x, host);
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_begin_array(&w);
    for (unsigned family = 0; family < (is_dcos ? 1u : 2u); family++) {
        look_up(d, name, family == 0 ? DNS_TYPE_A : DNS_TYPE_AAAA, l);
        for (; next_record(l, &r); rows++) {
            ip_text(l, &r, ip);
            put_host(&w, name, ip);
        }
    }
    if (rows == 0 && !is_dcos)
        put_host(&w, "", "");
    json_end_array(&w);
    free(l);
    reply_json(x, &body);
}

static void put_service(struct json_writer *w, const char *service, const char *host, const char *ip, unsigned port,
                        bool is_dcos)
{
    char text[8] = "";
    json_begin_object(w);
    json_kv_string(w, "service", service);
    json_kv_string(w, "host", host);
    if (!is_dcos || ip[0] != '\0')
        json_kv_string(w, "ip", ip);
    if (is_dcos) {
        json_kv_int(w, "port", port);
    } else {
        if (port > 0 || host[0] != '\0')
            (void)snprintf(text, sizeof(text), "%u", port);
        json_kv_string(w, "port", text);
    }
    json_end_object(w);
}

/* A row for each service record with an IPv4 address of its host, one more with an IPv6 address if there is one. */
static void put_services(struct dns *d, struct json_writer *w, const char *service, struct lookup *l,
                         const struct dns_record *r, bool is_dcos)
{
    uint8_t wire[DNS_NAME_MAX];
    char host[DNS_TEXT_SIZE], ip[64];
    struct lookup *addresses = xmalloc(sizeof(*addresses));
    struct dns_record a;
    unsigned rows = 0, port = dns_get16(l->answer + r->data + 4);
    if (dns_name_read(l->answer, l->len, r->data + 6, wire) > 0) {
        dns_name_to_text(wire, host);
        for (unsigned family = 0; family < (is_dcos ? 1u : 2u); family++) {
            look_up(d, host, family == 0 ? DNS_TYPE_A : DNS_TYPE_AAAA, addresses);
            if (!next_record(addresses, &a))
                continue;
            ip_text(addresses, &a, ip);
            put_service(w, service, host, ip, port, is_dcos);
            rows++;
        }
        if (rows == 0)
            put_service(w, service, host, "", port, is_dcos);
    }
    free(addresses);
}

static void get_services(struct dns *d, struct http_exchange *x, const char *service, bool is_dcos)
{
    struct lookup *l = xmalloc(sizeof(*l));
    struct buf body;
    struct json_writer w;
    struct dns_record r;
    unsigned rows = 0;
    buf_init(&body, 64u << 20);
    json_writer_init(&w, &body);
    json_begin_array(&w);
    look_up(d, full_name(x, service), DNS_TYPE_SRV, l);
    for (; next_record(l, &r); rows++)
        put_services(d, &w, service, l, &r, is_dcos);
    if (rows == 0 && !is_dcos)
        put_service(&w, "", "", "", 0, false);
    json_end_array(&w);
    free(l);
    reply_json(x, &body);
}

/* -- listings --------------------------------------------------------------------------------------------------- */

static void value_text(const struct dns_book_view *view, char out[DNS_TEXT_SIZE + 8])
{
    if (view->kind == BOOK_A || view->kind == BOOK_AAAA) {
        (void)inet_ntop(view->ip.size == 4 ? AF_INET : AF_INET6, view->ip.bytes, out, 64); /* cannot fail */
        return;
    }
    dns_name_to_text(view->target, out);
    if (view->kind == BOOK_SRV)
        (void)snprintf(out + strlen(out), 8, ":%u", view->port);
}

static const char *kind_text(enum dns_book_kind kind)
{
    static const char *const texts[] = {"A", "AAAA", "SRV", "PTR"};
    return texts[kind];
}

static void put_record(void *ctx, const struct dns_book_view *view)
{
    struct json_writer *w = ctx;
    char name[DNS_TEXT_SIZE], value[DNS_TEXT_SIZE + 8];
    dns_name_to_text(view->name, name);
    value_text(view, value);
    json_begin_object(w);
    json_kv_string(w, "name", name);
    json_kv_string(w, "host", value);
    json_kv_string(w, "rtype", kind_text(view->kind));
    json_end_object(w);
}

static void put_mesos_record(void *ctx, const struct dns_book_view *view)
{
    if (view->kind != BOOK_PTR)
        put_record(ctx, view);
}

static void put_tasks(struct json_writer *w, const struct dns_cluster_framework *f)
{
    list_for_each(it, &f->tasks)
    {
        const struct dns_cluster_task *t = container_of(it, struct dns_cluster_task, in_framework);
        if (!t->records)
            continue;
        json_begin_object(w);
        json_kv_string(w, "name", t->name);
        json_kv_string(w, "id", t->id);
        json_put_key(w, "records");
        json_begin_array(w);
        dns_book_set_each(t->records, put_mesos_record, w);
        json_end_array(w);
        json_end_object(w);
    }
}

static void get_enumerate(struct dns *d, struct http_exchange *x)
{
    struct map_entry *iterator = NULL;
    struct dns_cluster_framework *f;
    struct buf body;
    struct json_writer w;
    buf_init(&body, BODY_BYTES_MAX);
    json_writer_init(&w, &body);
    json_begin_object(&w);
    json_put_key(&w, "frameworks");
    json_begin_array(&w);
    while ((f = dns_cluster_framework_at(d->cluster, &iterator)) != NULL) {
        json_begin_object(&w);
        json_put_key(&w, "tasks");
        json_begin_array(&w);
        put_tasks(&w, f);
        json_end_array(&w);
        json_kv_string(&w, "name", f->name ? f->name : "");
        json_end_object(&w);
    }
    json_end_array(&w);
    json_end_object(&w);
    reply_json(x, &body);
}

struct grouping {
    struct json_writer *w;
    enum dns_book_kind kind;
    const uint8_t *name; /* of the open list */
    uint8_t domain[DNS_NAME_MAX];
    size_t domain_len;
};

/* Records of one kind as {name: [value, ...]}; those of a name come one after the other. */
static void put_grouped(void *ctx, const struct dns_book_view *view)
{
    struct grouping *g = ctx;
    char text[DNS_TEXT_SIZE + 8];
    size_t len = 0;
    while (view->name[len] != 0)
        len += (size_t)view->name[len] + 1;
    if (view->kind != g->kind || !dns_name_is_under(view->name, len + 1, g->domain, g->domain_len))
        return;
    if (view->name != g->name) {
        if (g->name)
            json_end_array(g->w);
        g->name = view->name;
        dns_name_to_text(view->name, text);
        json_put_key(g->w, text);
        json_begin_array(g->w);
    }
    value_text(view, text);
    json_put_string(g->w, text);
}

static void get_axfr(struct dns *d, struct http_exchange *x)
{
    static const char *const keys[] = {"As", "AAAAs", "SRVs"};
    const struct dns_options *o = d->options;
    struct buf body;
    struct json_writer w;
    buf_init(&body, BODY_BYTES_MAX);
    json_writer_init(&w, &body);
    json_begin_object(&w);
    json_kv_int(&w, "TTL", o->ttl);
    json_kv_int(&w, "Serial", dns_zone_current(d->publisher)->serial);
    json_kv_int(&w, "RefreshSeconds", o->refresh_seconds);
    json_kv_string(&w, "Mname", full_name(x, o->soa_mname));
    json_kv_string(&w, "Rname", full_name(x, o->soa_rname));
    json_kv_string(&w, "Domain", o->domain);
    json_put_key(&w, "Records");
    json_begin_object(&w);
    for (unsigned kind = BOOK_A; kind <= BOOK_SRV; kind++) {
        struct grouping g = {.w = &w, .kind = (enum dns_book_kind)kind};
        g.domain_len = dns_name_from_text(o->domain, g.domain);
        json_put_key(&w, keys[kind]);
        json_begin_object(&w);
        dns_book_each(d->book, put_grouped, &g);
        if (g.name)
            json_end_array(&w);
        json_end_object(&w);
    }
    json_end_object(&w);
    json_end_object(&w);
    reply_json(x, &body);
}

static void get_records(struct dns *d, struct http_exchange *x)
{
    struct buf body;
    struct json_writer w;
    buf_init(&body, BODY_BYTES_MAX);
    json_writer_init(&w, &body);
    json_begin_array(&w);
    dns_book_each(d->book, put_record, &w);
    json_end_array(&w);
    reply_json(x, &body);
}

static void put_node(struct json_writer *w, const char *ip, const char *hostname, const char *updated)
{
    json_begin_object(w);
    json_kv_string(w, "private_ip", ip);
    json_put_key(w, "public_ips");
    json_begin_array(w);
    json_end_array(w);
    json_kv_string(w, "hostname", hostname ? hostname : ip);
    json_kv_string(w, "updated", updated);
    json_end_object(w);
}

static const char *host_text(const struct dns_cluster_host *host, char out[64])
{
    if (!host || host->ips.count == 0)
        return NULL;
    return inet_ntop(host->ips.v[0].size == 4 ? AF_INET : AF_INET6, host->ips.v[0].bytes, out, 64);
}

/* Every machine once: agents, then masters that are none. What is followed is always of now, so that is when it was
 * updated (when the stream was last heard). */
static void get_nodes(struct dns *d, struct http_exchange *x)
{
    double age = master_stream_age_seconds(d->stream);
    int64_t wall_ms = loop_wall_ms(d->loop) - (isnan(age) ? 0 : (int64_t)(age * 1000));
    struct map_entry *iterator = NULL;
    const struct dns_cluster_agent *a;
    struct map seen;
    struct buf body;
    struct json_writer w;
    char ip[64], updated[40], seconds[32];
    time_t wall = (time_t)(wall_ms / 1000);
    struct tm tm;
    size_t master_count;
    const struct dns_cluster_master *masters = dns_cluster_masters(d->cluster, &master_count);
    (void)strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", gmtime_r(&wall, &tm));
    (void)snprintf(updated, sizeof(updated), "%s.%03dZ", seconds, (int)(wall_ms % 1000));
    map_init(&seen);
    buf_init(&body, BODY_BYTES_MAX);
    json_writer_init(&w, &body);
    json_begin_array(&w);
    while ((a = dns_cluster_agent_at(d->cluster, &iterator)) != NULL)
        if (a->is_listed && host_text(a->host, ip) && map_put(&seen, ip, d) == NULL)
            put_node(&w, ip, a->hostname, updated);
    for (size_t i = 0; i < master_count; i++) {
        (void)inet_ntop(masters[i].ip.size == 4 ? AF_INET : AF_INET6, masters[i].ip.bytes, ip, sizeof(ip));
        if (map_put(&seen, ip, d) == NULL)
            put_node(&w, ip, ip, updated);
    }
    json_end_array(&w);
    map_deinit(&seen);
    reply_json(x, &body);
}

/* -- routes ----------------------------------------------------------------------------------------------------- */

/* By zone, as DC/OS calls it (facts: net-cron B.8). */
static void put_zone_records(struct dns *d, struct buf *body)
{
    (void)buf_append_str(body, "# HELP dns_zone_records Records of a zone.\n# TYPE dns_zone_records gauge\n");
    for (size_t i = 0; i < d->layout.zone_count; i++) {
        char name[DNS_TEXT_SIZE];
        dns_name_to_text(d->layout.zones[i].name, name);
        name[strlen(name) - 1] = '\0'; /* the dot; no zone is the root */
        (void)buf_printf(body, "dns_zone_records{zone=\"%s\"} %zu\n", name, dns_book_zone_record_count(d->book, i));
    }
}

static void put_worker_failures(void *ctx, const struct dns_forward_server *server)
{
    static const char *const protocols[] = {"udp", "tcp"}, *const reasons[] = {"timeout", "connection", "answer"};
    char ip[64];
    (void)inet_ntop(server->endpoint->ip.size == 4 ? AF_INET : AF_INET6, server->endpoint->ip.bytes, ip, sizeof(ip));
    for (unsigned p = 0; p < 2; p++)
        for (unsigned r = 0; r < FORWARD_REASONS; r++)
            if (server->failures[p][r] > 0)
                (void)buf_printf(ctx,
                                 "dns_worker_failures_total{zone=\"%s\",protocol=\"%s\",upstream_address=\"%s:%u\","
                                 "reason=\"%s\"} %llu\n",
                                 server->zone[0] ? server->zone : ".", protocols[p], ip, server->endpoint->port, reasons[r],
                                 (unsigned long long)server->failures[p][r]);
}

static void put_forwarder_failures(struct dns *d, struct buf *body)
{
    if (!d->forward)
        return;
    (void)buf_append_str(body, "# HELP dns_forwarder_failures_total Questions that nobody had an answer to.\n"
                               "# TYPE dns_forwarder_failures_total counter\n");
    for (size_t i = 0; i < d->lists.zone_count; i++)
        (void)buf_printf(body, "dns_forwarder_failures_total{zone=\"%s\"} %llu\n", i == 0 ? "." : d->lists.zones[i].name,
                         (unsigned long long)dns_forward_zone_failures(d->forward, i));
    (void)buf_append_str(body, "# HELP dns_worker_failures_total Questions to a name server that were in vain.\n"
                               "# TYPE dns_worker_failures_total counter\n");
    dns_forward_each_server(d->forward, put_worker_failures, body);
}

static void get_metrics(struct dns *d, struct http_exchange *x, bool is_snapshot)
{
    struct buf body;
    buf_init(&body, 0);
    if (is_snapshot) {
        struct json_writer w;
        json_writer_init(&w, &body);
        metrics_write_json(d->metrics, &w);
        reply_json(x, &body);
        return;
    }
    metrics_write_prometheus(d->metrics, &body);
    put_zone_records(d, &body);
    put_forwarder_failures(d, &body);
    http_reply(x, 200, "text/plain; version=0.0.4", buf_data(&body), buf_len(&body));
    buf_deinit(&body);
}

/* The rest of path behind prefix, NULL when it does not begin with it or nothing follows. */
static const char *behind(const char *path, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(path, prefix, len) == 0 && path[len] != '\0' ? path + len : NULL;
}

static bool route_common(struct dns *d, struct http_exchange *x, const char *path, bool is_dcos)
{
    const char *rest;
    if ((rest = behind(path, "/v1/hosts/")) && !strchr(rest, '/'))
        get_hosts(d, x, rest, is_dcos);
    else if ((rest = behind(path, "/v1/services/")) && !strchr(rest, '/'))
        get_services(d, x, rest, is_dcos);
    else if (strcmp(path, "/metrics") == 0)
        get_metrics(d, x, false);
    else if (strcmp(path, "/metrics/snapshot") == 0)
        get_metrics(d, x, true);
    else
        return false;
    return true;
}

static void route_dcos(struct dns *d, struct http_exchange *x, const char *path)
{
    if (route_common(d, x, path, true))
        return;
    if (strcmp(path, "/v1/version") == 0)
        get_version(x, "dcos-dns", NULL);
    else if (strcmp(path, "/v1/config") == 0 || strcmp(path, "/v1/enumerate") == 0)
        http_reply_text(x, 501, "To be implemented...");
    else if (strcmp(path, "/v1/records") == 0 && d->options->enumeration_on)
        get_records(d, x);
    else if (strcmp(path, "/v1/nodes") == 0)
        get_nodes(d, x);
    else if (strcmp(path, "/v1/metrics") == 0 || strcmp(path, "/v1/metrics/default") == 0 ||
             strcmp(path, "/v1/metrics/dns") == 0 || strcmp(path, "/v1/metrics/mesos_listener") == 0)
        get_metrics(d, x, false); /* one registry for all of them */
    else
        http_reply_text(x, 404, "Not Found");
}

static void route_mesos(struct dns *d, struct http_exchange *x, const char *path)
{
    size_t len = strlen(path);
    if (behind(path, "/net/"))
        route_dcos(d, x, path + 4);
    else if (route_common(d, x, path, false))
        return;
    else if (strcmp(path, "/v1/version") == 0)
        get_version(x, "Mesos-DNS", "https://github.com/mesosphere/mesos-dns");
    else if (strcmp(path, "/v1/config") == 0)
        get_config(d, x);
    else if (strcmp(path, "/v1/enumerate") == 0 && d->options->enumeration_on)
        get_enumerate(d, x);
    else if (strcmp(path, "/v1/axfr") == 0 && d->options->enumeration_on)
        get_axfr(d, x);
    else if (behind(path, "/v1/hosts/") && len > 6 && strcmp(path + len - 6, "/ports") == 0)
        http_reply_text(x, 501, "To be implemented...");
    else
        http_reply_text(x, 404, "Not Found");
}

static bool is_read(struct http_exchange *x, const struct http_message *request)
{
    if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0)
        return true;
    http_add_header(x, "Allow", "GET, HEAD");
    http_reply_text(x, 405, "Method Not Allowed");
    return false;
}

static void on_request(void *ctx, struct http_exchange *x, const struct http_message *request)
{
    if (is_read(x, request))
        route_mesos(ctx, x, request->path);
}

static void on_dcos_request(void *ctx, struct http_exchange *x, const struct http_message *request)
{
    if (is_read(x, request))
        route_dcos(ctx, x, behind(request->path, "/net/") ? request->path + 4 : request->path);
}

/* -- metrics ---------------------------------------------------------------------------------------------------- */

struct counts {
    struct dns_serve_counts udp, tcp;
    struct dns_forward_counts forward;
};

static struct counts read_counts(struct dns *d)
{
    struct counts c = {0};
    if (d->udp)
        dns_serve_udp_counts(d->udp, &c.udp);
    if (d->tcp)
        dns_serve_tcp_counts(d->tcp, &c.tcp);
    if (d->forward)
        dns_forward_counts(d->forward, &c.forward);
    return c;
}

#define READ(name, expression)                                                                                             \
    static double read_##name(void *ctx)                                                                                   \
    {                                                                                                                      \
        struct dns *d = ctx;                                                                                               \
        struct counts c = read_counts(d);                                                                                  \
        (void)c;                                                                                                           \
        return (double)(expression);                                                                                       \
    }
READ(queries_udp, c.udp.queries)
READ(queries_tcp, c.tcp.queries)
READ(answers, c.udp.answers + c.tcp.answers)
READ(denials, c.udp.denials + c.tcp.denials)
READ(errors, c.udp.errors + c.tcp.errors)
READ(refused, c.udp.refused + c.tcp.refused)
READ(dropped, c.udp.dropped + c.tcp.dropped)
READ(rate_limited, c.udp.limited)
READ(tcp_connections, d->tcp ? dns_serve_tcp_connections(d->tcp) : 0)
READ(forwarded, c.forward.questions)
READ(forward_cache_hits, c.forward.cache_hits)
READ(forward_joined, c.forward.joined)
READ(forward_sent, c.forward.sent)
READ(forward_answers, c.forward.answers)
READ(forward_timeouts, c.forward.timeouts)
READ(forward_server_failures, c.forward.server_failures)
READ(forward_bad_answers, c.forward.bad_answers)
READ(forward_overloads, c.forward.overloads)
READ(forward_pending, c.forward.pending)
READ(forward_cached, c.forward.cached)
READ(picture_age, master_stream_age_seconds(d->stream))
READ(connected, master_stream_is_current(d->stream))
READ(stream_events, master_stream_get_counts(d->stream).records)
READ(stream_attempts, master_stream_get_counts(d->stream).attempts)
READ(publications, d->publications)
READ(publish_ms_max, d->publish_ms_max)
READ(names, dns_zone_current(d->publisher)->entry_count)
READ(records, dns_book_record_count(d->book))
READ(left_out, dns_book_left_out(d->book))
READ(agents, dns_cluster_agent_count(d->cluster))
READ(frameworks, dns_cluster_framework_count(d->cluster))
READ(tasks, dns_cluster_task_count(d->cluster))

static void add_metrics(struct dns *d)
{
    static const struct {
        const char *name;
        enum metric_kind kind;
        double (*read)(void *ctx);
        const char *help;
    } rows[] = {
        {"dns/queries_udp", METRIC_COUNTER, read_queries_udp, "Packets received by UDP."},
        {"dns/queries_tcp", METRIC_COUNTER, read_queries_tcp, "Messages received by TCP."},
        {"dns/answers", METRIC_COUNTER, read_answers, "Answers with records from our zones."},
        {"dns/denials", METRIC_COUNTER, read_denials, "Answers that a name or its data does not exist in our zones."},
        {"dns/errors", METRIC_COUNTER, read_errors, "Answers to questions that are malformed or not supported."},
        {"dns/refused", METRIC_COUNTER, read_refused, "Questions from outside the allowed networks."},
        {"dns/dropped", METRIC_COUNTER, read_dropped, "Packets without an answer."},
        {"dns/rate_limited", METRIC_COUNTER, read_rate_limited, "Questions beyond a client's rate."},
        {"dns/tcp_connections", METRIC_GAUGE, read_tcp_connections, "Open TCP connections."},
        {"dns/forwarded", METRIC_COUNTER, read_forwarded, "Questions about other names."},
        {"dns/forward_cache_hits", METRIC_COUNTER, read_forward_cache_hits, "Of those, answered from memory."},
        {"dns/forward_joined", METRIC_COUNTER, read_forward_joined, "Of those, joined to the same question under way."},
        {"dns/forward_sent", METRIC_COUNTER, read_forward_sent, "Questions to other name servers."},
        {"dns/forward_answers", METRIC_COUNTER, read_forward_answers, "Good answers of other name servers."},
        {"dns/forward_timeouts", METRIC_COUNTER, read_forward_timeouts, "Forwarded questions given up."},
        {"dns/forward_server_failures", METRIC_COUNTER, read_forward_server_failures, "Failure answers of name servers."},
        {"dns/forward_bad_answers", METRIC_COUNTER, read_forward_bad_answers, "Answers that did not fit their question."},
        {"dns/forward_overloads", METRIC_COUNTER, read_forward_overloads, "Questions beyond the limit of those under way."},
        {"dns/forward_pending", METRIC_GAUGE, read_forward_pending, "Forwarded questions under way."},
        {"dns/forward_cached", METRIC_GAUGE, read_forward_cached, "Forwarded answers kept."},
        {"dns/picture_age_seconds", METRIC_GAUGE, read_picture_age, "Seconds since the names were last known to be right."},
        {"dns/connected", METRIC_GAUGE, read_connected, "1 while the master's event stream is followed."},
        {"dns/stream_events", METRIC_COUNTER, read_stream_events, "Events received from the master."},
        {"dns/stream_attempts", METRIC_COUNTER, read_stream_attempts, "Subscriptions tried."},
        {"dns/publications", METRIC_COUNTER, read_publications, "New snapshots of the zones."},
        {"dns/publish_ms_max", METRIC_GAUGE, read_publish_ms_max, "Longest time from events to their snapshot."},
        {"dns/names", METRIC_GAUGE, read_names, "Names served."},
        {"dns/records", METRIC_GAUGE, read_records, "Records of all names."},
        {"dns/records_left_out", METRIC_GAUGE, read_left_out, "Records whose names are none, too long for one."},
        {"dns/agents", METRIC_GAUGE, read_agents, "Agents known."},
        {"dns/frameworks", METRIC_GAUGE, read_frameworks, "Frameworks known."},
        {"dns/tasks", METRIC_GAUGE, read_tasks, "Tasks known."},
    };
    d->metrics = metrics_new();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        metrics_add_function(d->metrics, rows[i].name, rows[i].kind, rows[i].help, rows[i].read, d);
    metrics_add_system(d->metrics);
}

/* -- life cycle ------------------------------------------------------------------------------------------------- */

int dns_api_start(struct dns *d, struct err *err)
{
    const struct dns_options *o = d->options;
    const char *ip = o->http_ip ? o->http_ip : o->ip;
    struct http_server_config config = {.ip = ip, .port = o->http_port, .connections_max = 1024};
    add_metrics(d);
    int result = 0;
    if (o->http_on)
        result = http_server_start(d->loop, &config, on_request, d, &d->api, err);
    if (result == 0 && o->dcos_http_port >= 0) {
        config.port = (uint16_t)o->dcos_http_port;
        result = http_server_start(d->loop, &config, on_dcos_request, d, &d->dcos_api, err);
    }
    return result;
}

void dns_api_stop(struct dns *d)
{
    if (d->api)
        http_server_stop(d->api);
    if (d->dcos_api)
        http_server_stop(d->dcos_api);
    metrics_free(d->metrics);
}
