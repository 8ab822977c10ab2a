/* SPDX-License-Identifier: Apache-2.0
 * dns_cluster.h - for tests: a picture of a cluster with its book, fed with events written as JSON (given as JSON or
 * protobuf), and the names that come of it. Include after cmocka.h. */
#pragma once

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "dns/cluster.h"
#include "mesos/v1/master.pb-c.h"

static struct dns_zone_layout layout;
static struct dns_cluster_naming naming;
static struct dns_book *book;
static struct dns_cluster *cluster;
static struct arena *arena;
static struct dns_zone_publisher *publisher;
static enum wire_format format;
static int64_t now;

static int setup_as(enum wire_format with)
{
    static const struct dns_zone_soa soa = {"ns1.mesos", "root.ns1.mesos", 60, 600, 86400, 60};
    format = with;
    now = 1000;
    memset(&layout, 0, sizeof(layout));
    assert_int_equal(dns_zone_layout_add(&layout, "mesos", 60, 0, 1, true, &soa), 0);
    assert_int_equal(dns_zone_layout_add(&layout, "thisdcos.directory", 5, 1, 1, true, &soa), 0);
    assert_int_equal(dns_zone_layout_add(&layout, "spartan", 5, 1, 1, true, &soa), 0);
    assert_int_equal(dns_zone_layout_add(&layout, "zk", 5, 1, 1, true, &soa), 0);
    assert_int_equal(dns_zone_layout_add(&layout, "localhost", 5, 1, 1, true, &soa), 0);
    assert_int_equal(dns_zone_layout_add(&layout, "in-addr.arpa", 5, 1, 1, false, &soa), 0);
    naming = (struct dns_cluster_naming){.domain = "mesos",
                                         .sources = {CLUSTER_NETINFO, CLUSTER_MESOS, CLUSTER_HOST},
                                         .source_count = 3,
                                         .has_dcos = true,
                                         .vip_range = VIP_RANGE_CLUSTER,
                                         .soa_mname = "ns1.mesos"};
    book = dns_book_new(&layout);
    publisher = dns_zone_publisher_new(&layout);
    cluster = dns_cluster_new(&naming, book);
    arena = arena_new(0);
    return 0;
}

static inline int setup_json(void **state)
{
    (void)state;
    return setup_as(WIRE_JSON);
}

static inline int setup(void **state)
{
    (void)state;
    return setup_as(WIRE_PROTOBUF);
}

static inline int teardown(void **state)
{
    (void)state;
    dns_cluster_check_invariants(cluster);
    dns_cluster_free(cluster);
    dns_book_free(book);
    dns_zone_publisher_free(publisher);
    arena_free(arena);
    return 0;
}

static struct picture_told apply(const char *json)
{
    struct picture_told told;
    struct err err = {0};
    struct buf bytes;
    buf_init(&bytes, 0);
    ProtobufCMessage *m = wire_decode(WIRE_JSON, &mesos__v1__master__event__descriptor, json, strlen(json), arena, &err);
    if (!m)
        print_error("%s\n%s\n", err.text, json);
    assert_non_null(m);
    assert_int_equal(wire_encode(format, m, &bytes), 0);
    arena_reset(arena);
    assert_int_equal(dns_cluster_apply(cluster, format, buf_data(&bytes), buf_len(&bytes), now, arena, &told, &err), 0);
    buf_deinit(&bytes);
    dns_cluster_check_invariants(cluster);
    dns_cluster_flush(cluster);
    dns_cluster_check_invariants(cluster);
    (void)dns_book_publish(book, publisher, 1);
    return told;
}

struct listing {
    const char *filter; /* name must contain it */
    char *lines[4096];
    size_t count;
};

static void list_record(void *ctx, const struct dns_book_view *view)
{
    struct listing *l = ctx;
    char name[DNS_TEXT_SIZE], value[DNS_TEXT_SIZE + 16] = "", line[3 * DNS_TEXT_SIZE];
    dns_name_to_text(view->name, name);
    if (!strstr(name, l->filter))
        return;
    if (view->target) {
        char target[DNS_TEXT_SIZE];
        dns_name_to_text(view->target, target);
        if (view->kind == BOOK_SRV)
            (void)snprintf(value, sizeof(value), "%s:%u", target, view->port);
        else
            (void)snprintf(value, sizeof(value), "%s", target);
    } else {
        (void)inet_ntop(view->ip.size == 4 ? AF_INET : AF_INET6, view->ip.bytes, value, sizeof(value));
    }
    (void)snprintf(line, sizeof(line), "%s %s\n", name, value);
    l->lines[l->count++] = strdup(line);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Records whose name contains filter, "name value" in sorted lines. */
static const char *names(const char *filter)
{
    static char text[1 << 18];
    struct listing *l = calloc(1, sizeof(*l));
    size_t n = 0;
    l->filter = filter;
    dns_book_each(book, list_record, l);
    qsort(l->lines, l->count, sizeof(char *), by_text);
    text[0] = '\0';
    for (size_t i = 0; i < l->count; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", l->lines[i]);
        free(l->lines[i]);
    }
    free(l);
    return text;
}

#define AGENT(n)                                                                                                           \
    "{\"agent_info\":{\"hostname\":\"h" #n "\",\"id\":{\"value\":\"20160107-001256-134875658-5050-27524-S" #n              \
    "\"}},\"active\":true,\"version\":\"1\",\"pid\":\"slave(1)@1.2.3.1" #n ":5051\"}"
#define AGENT_ID(n) "{\"value\":\"20160107-001256-134875658-5050-27524-S" #n "\"}"
#define FRAMEWORK(id, name)                                                                                                \
    "{\"framework_info\":{\"user\":\"u\",\"name\":\"" name "\",\"id\":{\"value\":\"" id                                    \
    "\"},\"hostname\":\"1.2.3.9\"},\"active\":true,\"connected\":true,\"recovered\":false}"
#define TASK(id, name, framework, agent, state, more)                                                                      \
    "{\"name\":\"" name "\",\"task_id\":{\"value\":\"" id "\"},\"framework_id\":{\"value\":\"" framework                   \
    "\"},\"agent_id\":" AGENT_ID(agent) ",\"state\":\"" state "\"" more "}"
#define STATUS(id, state, time, ip)                                                                                        \
    "{\"task_id\":{\"value\":\"" id "\"},\"state\":\"" state "\",\"timestamp\":" time                                      \
    ",\"container_status\":{\"network_infos\":[{\"ip_addresses\":[{\"ip_address\":\"" ip "\"}]}]}}"
#define SUBSCRIBED(agents, recovered, frameworks, tasks)                                                                   \
    "{\"type\":\"SUBSCRIBED\",\"subscribed\":{\"heartbeat_interval_seconds\":15,\"get_state\":{\"get_tasks\":{\"tasks\":"  \
    "[" tasks "]},\"get_frameworks\":{\"frameworks\":[" frameworks "]},\"get_agents\":{\"agents\":[" agents                \
    "],\"recovered_agents\":[" recovered "]}}}}"
#define ADDED(task) "{\"type\":\"TASK_ADDED\",\"task_added\":{\"task\":" task "}}"
#define UPDATED(id, framework, state, status)                                                                              \
    "{\"type\":\"TASK_UPDATED\",\"task_updated\":{\"framework_id\":{\"value\":\"" framework "\"},\"state\":\"" state       \
    "\",\"status\":" status "}}"
#define PORTS(ranges) ",\"resources\":[{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[" ranges "]}}]"
#define LIQUOR "liquor-store.b8db9f73-562f-11e4-a088-c20493233aa5"
#define CAR "car-store.43758382-562f-11e4-a088-c20493233aa5"

static inline void start(void)
{
    struct picture_told told = apply(SUBSCRIBED(AGENT(0) "," AGENT(1), "", FRAMEWORK("F", "marathon"), ""));
    assert_true(told.is_snapshot);
    assert_true(told.heartbeat_seconds > 14.9 && told.heartbeat_seconds < 15.1);
}
