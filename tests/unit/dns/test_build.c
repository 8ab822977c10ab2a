/* SPDX-License-Identifier: Apache-2.0
 * test_build.c - which names things get, case by case: the tables of facts net-cron A.3, A.4 and B.3, and names that are
 * none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/dns_cluster.h"

/* -- where addresses come from (A.4) ----------------------------------------------------------------------------- */

#define NET(ips) "\"container_status\":{\"network_infos\":[" ips "]}"
#define INFO(ips) "{\"ip_addresses\":[" ips "]}"
#define IP(ip) "{\"ip_address\":\"" ip "\"}"
#define DOCKER(ip) "{\"key\":\"Docker.NetworkSettings.IPAddress\",\"value\":\"" ip "\"}"
#define MESOS(ip) "{\"key\":\"MesosContainerizer.NetworkSettings.IPAddress\",\"value\":\"" ip "\"}"
#define LABELS(labels) "\"labels\":{\"labels\":[" labels "]}"
#define RUNNING(time, more) "{\"task_id\":{\"value\":\"a\"},\"state\":\"TASK_RUNNING\",\"timestamp\":" time "," more "}"
#define STAGING(time, more) "{\"task_id\":{\"value\":\"a\"},\"state\":\"TASK_STAGING\",\"timestamp\":" time "," more "}"

static void test_build__sources_of_addresses(void **state)
{
#define N CLUSTER_NETINFO
#define M CLUSTER_MESOS
#define D CLUSTER_DOCKER
#define H CLUSTER_HOST
    static const struct {
        const char *statuses;
        enum dns_cluster_source sources[4];
        size_t count;
        const char *ips; /* "web.marathon.mesos. <ip>" each */
    } rows[] = {
        /* nothing of the sources asked for */
        {"", {N, M, D}, 3, ""},
        {"", {H}, 1, "1.2.3.10"},
        {RUNNING("1.0", LABELS(DOCKER("1.1.1.1"))), {N, M}, 2, ""},
        {RUNNING("1.0", LABELS(DOCKER("1.1.1.1"))), {N, M, D}, 3, "1.1.1.1"},
        {RUNNING("1.0", LABELS(MESOS("1.1.1.2") "," DOCKER("1.1.1.1"))), {M, D}, 2, "1.1.1.2"},
        {RUNNING("1.0", LABELS(MESOS("1.1.1.2") "," DOCKER("1.1.1.1"))), {D, M}, 2, "1.1.1.1"},
        /* several addresses of one network, several networks */
        {RUNNING("1.0", NET(INFO(IP("1.1.1.1") "," IP("1.1.1.2")))), {N}, 1, "1.1.1.1 1.1.1.2"},
        {RUNNING("1.0", NET(INFO(IP("1.1.1.1")) "," INFO(IP("1.1.1.2")))), {N}, 1, "1.1.1.1 1.1.1.2"},
        {RUNNING("1.0", NET("{}," INFO(IP("1.1.1.2")))), {N}, 1, "1.1.1.2"},
        /* host first, network first, both families */
        {RUNNING("1.0", NET(INFO(IP("1.1.1.1") "," IP("fd01:b::1:8000:2")))), {H, N}, 2, "1.2.3.10"},
        {RUNNING("1.0", NET(INFO(IP("1.1.1.1") "," IP("fd01:b::1:8000:2")))), {N, H}, 2, "1.1.1.1 fd01:b::1:8000:2"},
        /* what is no address does not count */
        {RUNNING("1.0", NET(INFO(IP("garbage")))), {N, H}, 2, "1.2.3.10"},
        {RUNNING("1.0", NET(INFO(IP("garbage") "," IP("1.1.1.3")))), {N, H}, 2, "1.1.1.3"},
        /* only running statuses, of those the newest; without time it is the oldest */
        {STAGING("9.0", NET(INFO(IP("1.1.1.1")))), {N, H}, 2, "1.2.3.10"},
        {RUNNING("1.0", LABELS(DOCKER("1.1.1.1"))) "," RUNNING("5.0", LABELS(DOCKER("2.4.6.8"))) "," RUNNING(
             "3.0", NET(INFO(IP("1.1.1.3")))) "," RUNNING("2.0",
                                                          LABELS(DOCKER("1.1.1.2"))) "," RUNNING("4.0",
                                                                                                 NET(INFO(IP("1.1.1.4")))),
         {D, N},
         2,
         "2.4.6.8"},
        {"{\"task_id\":{\"value\":\"a\"},\"state\":\"TASK_RUNNING\"," NET(INFO(IP("1.1.1.9"))) "}", {N}, 1, "1.1.1.9"},
        {RUNNING("0.0", NET(INFO(IP("1.1.1.8")))), {N}, 1, "1.1.1.8"},
        /* several labels, in order; a set for DNS */
        {RUNNING("1.0", LABELS(DOCKER("1.2.3.4") "," DOCKER("2.3.4.5"))), {D}, 1, "1.2.3.4 2.3.4.5"},
        {RUNNING("1.0", LABELS(DOCKER("1.2.3.4") "," DOCKER("1.2.3.4"))), {D}, 1, "1.2.3.4"},
    };
    (void)state;
    start();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static char event[8192], expected[1024];
        char ips[256], *rest = ips;
        size_t n = 0;
        memcpy(naming.sources, rows[i].sources, sizeof(rows[i].sources));
        naming.source_count = rows[i].count;
        (void)snprintf(event, sizeof(event), ADDED(TASK("a", "web", "F", 0, "TASK_RUNNING", ",\"statuses\":[%s]")),
                       rows[i].statuses);
        apply(event);
        (void)snprintf(ips, sizeof(ips), "%s", rows[i].ips);
        expected[0] = '\0';
        for (char *ip; (ip = strtok_r(rest, " ", &rest)) != NULL;)
            n += (size_t)snprintf(expected + n, sizeof(expected) - n, "web.marathon.mesos. %s\n", ip);
        if (strcmp(names("web.marathon.mesos."), expected) != 0)
            print_error("row %zu\n", i);
        assert_string_equal(names("web.marathon.mesos."), expected);
        assert_string_equal(names("web.marathon.slave.mesos."), "web.marathon.slave.mesos. 1.2.3.10\n"); /* always */
        assert_string_equal(names("web-o556e-s0.marathon.slave.mesos."), "web-o556e-s0.marathon.slave.mesos. 1.2.3.10\n");
    }
}

/* Process ids of agents: blanks around, exactly one @, IPv6 in brackets; otherwise the host name and port of the agent. */
static void test_build__process_ids_of_agents(void **state)
{
    static const struct {
        const char *pid, *slave, *srv;
    } rows[] = {
        {"slave(1)@1.2.3.4:5051", "slave.mesos. 1.2.3.4\n", "_slave._tcp.mesos. slave.mesos.:5051\n"},
        {"  slave(1)@1.2.3.4:5051  ", "slave.mesos. 1.2.3.4\n", "_slave._tcp.mesos. slave.mesos.:5051\n"},
        {"slave(1)@[2001:db8::1]:5052", "slave.mesos. 2001:db8::1\n", "_slave._tcp.mesos. slave.mesos.:5052\n"},
        {"slave(1)@x@1.2.3.4:5051", "slave.mesos. 9.9.9.9\n", "_slave._tcp.mesos. slave.mesos.:77\n"},
        {"1.2.3.4:5051", "slave.mesos. 9.9.9.9\n", "_slave._tcp.mesos. slave.mesos.:77\n"},
        {"slave(1)@1.2.3.4:70000", "slave.mesos. 9.9.9.9\n", "_slave._tcp.mesos. slave.mesos.:77\n"},
        {"slave(1)@:5051", "slave.mesos. 9.9.9.9\n", "_slave._tcp.mesos. slave.mesos.:77\n"},
        {"", "slave.mesos. 9.9.9.9\n", "_slave._tcp.mesos. slave.mesos.:77\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char event[2048];
        (void)snprintf(event, sizeof(event),
                       SUBSCRIBED("{\"agent_info\":{\"hostname\":\"9.9.9.9\",\"port\":77,\"id\":{\"value\":\"A-S0\"}},"
                                  "\"active\":true,\"version\":\"1\",\"pid\":\"%s\"}",
                                  "", "", ""),
                       rows[i].pid);
        apply(event);
        assert_string_equal(names("slave.mesos."), rows[i].slave);
        assert_string_equal(names("_slave"), rows[i].srv);
    }
}

/* An agent whose host has no address costs its own names and nobody else's; it is asked again. */
static void test_build__hosts_without_address(void **state)
{
    const struct dns_ip ip = {4, {9, 9, 9, 9}}, other = {4, {9, 9, 9, 8}};
    (void)state;
    apply(SUBSCRIBED("{\"agent_info\":{\"hostname\":\"h\",\"id\":" AGENT_ID(
                         5) "},\"active\":true,\"version\":\"1\",\"pid\":\"slave(1)@no.such.host:5051\"}," AGENT(0),
                     "", FRAMEWORK("F", "marathon"),
                     TASK("a", "lost", "F", 5, "TASK_RUNNING", "") "," TASK("b", "web", "F", 0, "TASK_RUNNING", "")));
    assert_string_equal(dns_cluster_next_host(cluster), "no.such.host");
    dns_cluster_resolved(cluster, "no.such.host", NULL, 0, now);
    apply("{\"type\":\"HEARTBEAT\"}");
    assert_string_equal(names("lost"), "");
    assert_string_equal(names("slave.mesos."), "slave.mesos. 1.2.3.10\nweb-78mt6-s0.marathon.slave.mesos. 1.2.3.10\n"
                                               "web.marathon.slave.mesos. 1.2.3.10\n");
    assert_null(dns_cluster_next_host(cluster));
    int64_t again = dns_cluster_next_deadline(cluster);
    assert_in_range(again - now, 500, 5000);
    now = again;
    dns_cluster_tick(cluster, now);
    assert_string_equal(dns_cluster_next_host(cluster), "no.such.host");
    dns_cluster_resolved(cluster, "no.such.host", &ip, 1, now);
    apply("{\"type\":\"HEARTBEAT\"}");
    assert_string_equal(names("lost.marathon.mesos."), "lost.marathon.mesos. 9.9.9.9\n");
    /* looked up again after a while: another address is taken, none leaves what is there */
    assert_int_equal(dns_cluster_next_deadline(cluster), now + CLUSTER_LOOKUP_MS);
    now += CLUSTER_LOOKUP_MS;
    dns_cluster_tick(cluster, now);
    assert_string_equal(dns_cluster_next_host(cluster), "no.such.host");
    dns_cluster_resolved(cluster, "no.such.host", NULL, 0, now);
    apply("{\"type\":\"HEARTBEAT\"}");
    assert_string_equal(names("lost.marathon.mesos."), "lost.marathon.mesos. 9.9.9.9\n");
    dns_cluster_resolved(cluster, "no.such.host", &other, 1, now);
    apply("{\"type\":\"HEARTBEAT\"}");
    assert_string_equal(names("lost.marathon.mesos."), "lost.marathon.mesos. 9.9.9.8\n");
}

/* -- sets -------------------------------------------------------------------------------------------------------- */

static void test_build__tasks_of_one_name(void **state)
{
    (void)state;
    start();
    apply(ADDED(
        TASK(LIQUOR, "liquor-store", "F", 0, "TASK_RUNNING",
             PORTS("{\"begin\":80,\"end\":80}") ",\"statuses\":[" STATUS(LIQUOR, "TASK_RUNNING", "1.0", "10.3.0.1") "]")));
    apply(ADDED(
        TASK("liquor-store.b71166c1-562f-11e4-a088-c20493233aa5", "liquor-store", "F", 1, "TASK_RUNNING",
             PORTS("{\"begin\":80,\"end\":80}") ",\"statuses\":[" STATUS("x", "TASK_RUNNING", "1.0", "10.3.0.2") "]")));
    assert_string_equal(names("liquor-store.marathon.mesos"),
                        "liquor-store.marathon.mesos. 10.3.0.1\nliquor-store.marathon.mesos. 10.3.0.2\n");
    assert_string_equal(names("_liquor-store._tcp.marathon.mesos"),
                        "_liquor-store._tcp.marathon.mesos. liquor-store-4dfjd-s0.marathon.slave.mesos.:80\n"
                        "_liquor-store._tcp.marathon.mesos. liquor-store-zasmd-s1.marathon.slave.mesos.:80\n");
    /* a third on the first one's address adds nothing but its own canonical names, and takes nothing away */
    apply(ADDED(TASK("c", "liquor-store", "F", 0, "TASK_RUNNING",
                     ",\"statuses\":[" STATUS("c", "TASK_RUNNING", "1.0", "10.3.0.1") "]")));
    assert_string_equal(names("liquor-store.marathon.mesos"),
                        "liquor-store.marathon.mesos. 10.3.0.1\nliquor-store.marathon.mesos. 10.3.0.2\n");
    apply(UPDATED("c", "F", "TASK_FINISHED", STATUS("c", "TASK_FINISHED", "2.0", "10.3.0.1")));
    assert_string_equal(names("liquor-store.marathon.mesos"),
                        "liquor-store.marathon.mesos. 10.3.0.1\nliquor-store.marathon.mesos. 10.3.0.2\n");
    apply(UPDATED("liquor-store.b71166c1-562f-11e4-a088-c20493233aa5", "F", "TASK_LOST",
                  STATUS("liquor-store.b71166c1-562f-11e4-a088-c20493233aa5", "TASK_LOST", "2.0", "10.3.0.2")));
    assert_string_equal(names("liquor-store.marathon.mesos"), "liquor-store.marathon.mesos. 10.3.0.1\n");
    assert_int_equal(dns_book_left_out(book), 0);
}

/* Discovery ports: with and without name and protocol, protocols cleaned, a port of the same number under both names. */
static void test_build__discovery_ports(void **state)
{
    (void)state;
    start();
    apply(
        ADDED(TASK("a", "ignored", "F", 0, "TASK_RUNNING",
                   PORTS("{\"begin\":31000,\"end\":31001}") ",\"discovery\":{\"visibility\":\"EXTERNAL\",\"name\":"
                                                            "\"web\",\"environment\":\"e\",\"location\":\"l\","
                                                            "\"version\":\"v\",\"ports\":{\"ports\":["
                                                            "{\"number\":80,\"name\":\"http\",\"protocol\":\"tcp\"},"
                                                            "{\"number\":81,\"name\":\"Ad Min\",\"protocol\":\"S_C.T!P\"},"
                                                            "{\"number\":53,\"protocol\":\"\"},{\"number\":0},"
                                                            "{\"number\":70000,\"protocol\":\"tcp\"}]}}")));
    assert_string_equal(names("web._"), "_ad\\032min._web._s-c-tp.marathon.mesos. web-o556e-s0.marathon.mesos.:81\n"
                                        "_http._web._tcp.marathon.mesos. web-o556e-s0.marathon.mesos.:80\n"
                                        "_web._s-c-tp.marathon.mesos. web-o556e-s0.marathon.mesos.:81\n"
                                        "_web._tcp.marathon.mesos. web-o556e-s0.marathon.mesos.:0\n"
                                        "_web._tcp.marathon.mesos. web-o556e-s0.marathon.mesos.:53\n"
                                        "_web._tcp.marathon.mesos. web-o556e-s0.marathon.mesos.:80\n"
                                        "_web._tcp.marathon.slave.mesos. web-o556e-s0.marathon.slave.mesos.:31000\n"
                                        "_web._tcp.marathon.slave.mesos. web-o556e-s0.marathon.slave.mesos.:31001\n"
                                        "_web._udp.marathon.mesos. web-o556e-s0.marathon.mesos.:0\n"
                                        "_web._udp.marathon.mesos. web-o556e-s0.marathon.mesos.:53\n"
                                        "_web._udp.marathon.slave.mesos. web-o556e-s0.marathon.slave.mesos.:31000\n"
                                        "_web._udp.marathon.slave.mesos. web-o556e-s0.marathon.slave.mesos.:31001\n");
}

static void test_build__frameworks(void **state)
{
    static const struct {
        const char *name, *names;
    } rows[] = {
        {"marathon", "marathon.mesos. 1.2.3.9\n"},
        {"marathon-0.7.5", "marathon-0.7.5.mesos. 1.2.3.9\n"},
        {"a..c", "a.c.mesos. 1.2.3.9\n"},
        {"(@ host . com", "host.com.mesos. 1.2.3.9\n"},
        {"...", ""},
        /* not to be taken for parts of the cluster */
        {"leader", ""},
        {"Leader", ""},
        {"master", ""},
        {"master0", ""},
        {"slave", ""},
        {"ns1", ""},
        {"masters", "masters.mesos. 1.2.3.9\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char event[1024];
        (void)snprintf(event, sizeof(event), SUBSCRIBED("", "", FRAMEWORK("F", "%s"), ""), rows[i].name);
        apply(event);
        assert_string_equal(names("mesos."), rows[i].names);
    }
    apply(SUBSCRIBED(AGENT(0), "", FRAMEWORK("F", "///"),
                     TASK("a", "leader", "F", 0, "TASK_RUNNING", "") "," TASK("b", "master", "F", 0, "TASK_RUNNING", "")));
    assert_string_equal(names("er."), ""); /* neither leader.mesos nor master.mesos, nor anything at DC/OS */
    assert_true(dns_book_left_out(book) > 0);
}

/* -- names that are none ----------------------------------------------------------------------------------------- */

static char *repeat(char c, size_t count)
{
    static char text[8][512];
    static unsigned next;
    char *out = text[next++ % 8];
    memset(out, c, count);
    out[count] = '\0';
    return out;
}

static void add_task(const char *name)
{
    char event[4096];
    (void)snprintf(event, sizeof(event),
                   ADDED(TASK("a", "%s", "F", 0, "TASK_RUNNING",
                              PORTS("{\"begin\":80,\"end\":80}") ",\"statuses\":[" STATUS("a", "TASK_RUNNING", "1.0",
                                                                                          "10.0.0.1") "]")),
                   name);
    apply(event);
}

static void test_build__odd_labels(void **state)
{
    char expected[1024], name[512];
    (void)state;
    start();
    /* ends in a dash: so do the names */
    (void)snprintf(name, sizeof(name), "%s--b--", repeat('a', 61));
    add_task(name);
    (void)snprintf(expected, sizeof(expected), "%sb-.marathon.mesos. 10.0.0.1\n", repeat('a', 61));
    assert_string_equal(names("b-.marathon.mesos"), expected);
    /* nothing is left of the label: no plain name, but the canonical one and the services */
    add_task("///");
    assert_string_equal(names("marathon.mesos."), "-o556e-s0.marathon.mesos. 10.0.0.1\n"
                                                  "_._tcp.marathon.mesos. -o556e-s0.marathon.slave.mesos.:80\n"
                                                  "_._udp.marathon.mesos. -o556e-s0.marathon.slave.mesos.:80\n"
                                                  "marathon.mesos. 1.2.3.9\n");
    assert_int_equal(dns_book_left_out(book), 2 + 3); /* .marathon.mesos and .slave; three at DC/OS */
    add_task("fine");
    assert_int_equal(dns_book_left_out(book), 0);
}

/* At the edges of what DNS can hold: left out and counted, and whatever else there is of the task is served. */
static void test_build__long_names(void **state)
{
    char name[512], expected[1024], event[2048];
    (void)state;
    start();
    /* 54 bytes are the most whose canonical name is whole; longer ones are cut in it, so services still have a target */
    for (size_t len = 52; len <= 63; len++) {
        add_task(repeat('n', len));
        (void)snprintf(expected, sizeof(expected), "%s-o556e-s0.marathon.mesos. 10.0.0.1\n",
                       repeat('n', len < 54 ? len : 54));
        assert_string_equal(names("-o556e-s0.marathon.mesos"), expected);
        (void)snprintf(expected, sizeof(expected), "%s.marathon.mesos. 10.0.0.1\n", repeat('n', len));
        assert_string_equal(names("nn.marathon.mesos"), expected);
        /* "_" and 63 more are no label */
        (void)snprintf(expected, sizeof(expected), "_%s._tcp.marathon.mesos. %s-o556e-s0.marathon.slave.mesos.:80\n",
                       repeat('n', len), repeat('n', len < 54 ? len : 54));
        assert_string_equal(names("_tcp.marathon.mesos"), len < 63 ? expected : "");
        assert_int_equal(dns_book_left_out(book), len < 63 ? 0 : 4);
    }
    /* a framework's name fills the rest: 253 is the most */
    add_task("web");
    for (size_t last = 40; last <= 63; last++) {
        (void)snprintf(name, sizeof(name), "%s.%s.%s.%s", repeat('x', 60), repeat('y', 60), repeat('z', 60),
                       repeat('w', last));
        (void)snprintf(event, sizeof(event),
                       "{\"type\":\"FRAMEWORK_UPDATED\",\"framework_updated\":{\"framework\":" FRAMEWORK("F", "%s") "}}",
                       name);
        apply(event);
        size_t total = strlen("web.") + strlen(name) + strlen(".mesos");
        (void)snprintf(expected, sizeof(expected), "web.%s.mesos. 10.0.0.1\n", name);
        char filter[600];
        (void)snprintf(filter, sizeof(filter), "web.%s.mesos.", name);
        assert_string_equal(names(filter), total <= 253 ? expected : "");
        assert_true(dns_book_left_out(book) > 0 || total < 240);
    }
    apply("{\"type\":\"FRAMEWORK_UPDATED\",\"framework_updated\":{\"framework\":" FRAMEWORK("F", "marathon") "}}");
    assert_int_equal(dns_book_left_out(book), 0);
    assert_string_equal(names("web.marathon.mesos"), "web.marathon.mesos. 10.0.0.1\n");
    /* raw discovery names and port names are not cut by anybody */
    (void)snprintf(event, sizeof(event),
                   ADDED(TASK("a", "x", "F", 0, "TASK_RUNNING",
                              ",\"discovery\":{\"visibility\":\"CLUSTER\",\"name\":\"%s\",\"ports\":{\"ports\":[{"
                              "\"number\":80,\"name\":\"%s\",\"protocol\":\"tcp\"}]}}")),
                   repeat('D', 400), repeat('p', 70));
    apply(event);
    (void)snprintf(expected, sizeof(expected), "%s.marathon.mesos. 1.2.3.10\n", repeat('d', 63));
    assert_string_equal(names("dd.marathon.mesos"), expected);
    assert_true(dns_book_left_out(book) > 4);
    apply("{\"type\":\"FRAMEWORK_REMOVED\",\"framework_removed\":{\"framework_info\":{\"user\":\"u\",\"name\":\"marathon\","
          "\"id\":{\"value\":\"F\"}}}}");
    assert_int_equal(dns_book_left_out(book), 0);
}

/* -- DC/OS (B.3) ------------------------------------------------------------------------------------------------- */

#define D_AGENT(n, ip)                                                                                                     \
    "{\"agent_info\":{\"hostname\":\"" ip "\",\"id\":{\"value\":\"D-S" #n                                                  \
    "\"}},\"active\":true,\"version\":\"1\",\"pid\":\"slave(1)@" ip ":5051\"}"

/* How each kind of task tells its ports: what Marathon writes for host, bridge and container networks, in Docker and in
 * Mesos's own containers. */
#define DOCKER_MAP(host, container)                                                                                        \
    ",\"container\":{\"type\":\"DOCKER\",\"docker\":{\"image\":\"i\",\"network\":\"BRIDGE\",\"port_mappings\":[{"          \
    "\"host_port\":" #host ",\"container_port\":" #container ",\"protocol\":\"tcp\"}]}}"
#define MESOS_MAP(host, container)                                                                                         \
    ",\"container\":{\"type\":\"MESOS\",\"network_infos\":[{\"name\":\"mesos-bridge\",\"port_mappings\":[{\"host_"         \
    "port\":" #host ",\"container_port\":" #container ",\"protocol\":\"tcp\"}]}]}"
#define DOCKER_PLAIN ",\"container\":{\"type\":\"DOCKER\",\"docker\":{\"image\":\"i\",\"network\":\"USER\"}}"
#define MESOS_PLAIN ",\"container\":{\"type\":\"MESOS\",\"network_infos\":[{\"name\":\"dcos\"}]}"

static void test_build__zones_of_dcos(void **state)
{
    static const struct {
        const char *name;
        unsigned agent;
        const char *ips; /* of the task */
        const char *container;
        bool is_mapped;
    } rows[] = {
        {"none-on-host", 4, "172.17.0.4", "", false},
        {"none-on-dcos", 4, "9.0.2.5", "", false},
        {"ucr-on-host", 3, "172.17.0.3", ",\"container\":{\"type\":\"MESOS\"}", false},
        {"ucr-on-bridge", 3, "172.31.254.3", MESOS_MAP(15263, 8080), true},
        {"ucr-on-dcos", 3, "9.0.1.6", MESOS_PLAIN, false},
        {"docker-on-host", 4, "172.17.0.4", ",\"container\":{\"type\":\"DOCKER\",\"docker\":{\"image\":\"i\"}}", false},
        {"docker-on-bridge", 4, "172.18.0.2", DOCKER_MAP(20560, 8080), true},
        {"docker-on-dcos", 4, "9.0.2.130", DOCKER_PLAIN, false},
        {"docker-on-ipv6", 4, "172.19.0.2 fd01:b::2:8000:0:2", DOCKER_PLAIN, false},
        {"pod-on-host", 4, "172.17.0.4", "", false},
        {"pod-on-bridge", 3, "172.31.254.4", MESOS_MAP(2254, 8080), true},
        {"pod-on-dcos", 3, "9.0.1.3", MESOS_PLAIN, false},
        {"no-address", 3, "", "", false},
    };
    (void)state;
    apply(SUBSCRIBED(D_AGENT(3, "172.17.0.3") "," D_AGENT(4, "172.17.0.4"), "", FRAMEWORK("F", "marathon"), ""));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char event[4096], ips[512], json[512] = "", agent[256], own[512] = "", autoip[512] = "", filter[64], copy[128];
        char *rest = copy;
        (void)snprintf(copy, sizeof(copy), "%s", rows[i].ips);
        (void)snprintf(agent, sizeof(agent), "172.17.0.%u\n", rows[i].agent);
        size_t n = 0, at = 0;
        for (char *ip; (ip = strtok_r(rest, " ", &rest)) != NULL;) {
            n += (size_t)snprintf(json + n, sizeof(json) - n, "%s{\"ip_address\":\"%s\"}", n ? "," : "", ip);
            at += (size_t)snprintf(own + at, sizeof(own) - at, "%s.marathon.containerip.dcos.thisdcos.directory. %s\n",
                                   rows[i].name, ip);
        }
        (void)snprintf(
            event, sizeof(event),
            "{\"type\":\"TASK_ADDED\",\"task_added\":{\"task\":{\"name\":\"%s\",\"task_id\":{\"value\":\"%s.1\"},"
            "\"framework_id\":{\"value\":\"F\"},\"agent_id\":{\"value\":\"D-S%u\"},\"state\":\"TASK_RUNNING\"%s,"
            "\"statuses\":[{\"task_id\":{\"value\":\"%s.1\"},\"state\":\"TASK_RUNNING\",\"container_status\":{"
            "\"network_infos\":[{\"ip_addresses\":[%s]}]}}]}}}",
            rows[i].name, rows[i].name, rows[i].agent, rows[i].container, rows[i].name, json);
        apply(event);
        (void)snprintf(filter, sizeof(filter), "%s.marathon.containerip", rows[i].name);
        assert_string_equal(names(filter), own);
        (void)snprintf(filter, sizeof(filter), "%s.marathon.agentip", rows[i].name);
        (void)snprintf(ips, sizeof(ips), "%s.marathon.agentip.dcos.thisdcos.directory. %s", rows[i].name, agent);
        assert_string_equal(names(filter), ips);
        (void)snprintf(filter, sizeof(filter), "%s.marathon.autoip", rows[i].name);
        if (rows[i].is_mapped || rows[i].ips[0] == '\0') {
            (void)snprintf(autoip, sizeof(autoip), "%s.marathon.autoip.dcos.thisdcos.directory. %s", rows[i].name, agent);
        } else {
            size_t out = 0; /* as containerip */
            for (const char *p = own; *p; p++) {
                bool is_zone = strncmp(p, "containerip", 11) == 0;
                out += (size_t)snprintf(autoip + out, sizeof(autoip) - out, is_zone ? "autoip" : "%c", *p);
                p += is_zone ? 10 : 0;
            }
        }
        assert_string_equal(names(filter), autoip);
    }
}

/* What this node is called. */
static void test_build__this_node(void **state)
{
    static const struct dns_ip node = {4, {10, 0, 0, 7}}, public_ips[] = {{4, {5, 6, 7, 8}}, {4, {5, 6, 7, 9}}};
    (void)state;
    naming.node_ips = &node;
    naming.node_ip_count = 1;
    naming.public_ips = public_ips;
    naming.public_ip_count = 2;
    start();
    assert_string_equal(names("thisnode"),
                        "public.thisnode.thisdcos.directory. 5.6.7.8\npublic.thisnode.thisdcos.directory. 5.6.7.9\n"
                        "thisnode.thisdcos.directory. 10.0.0.7\n");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_build__sources_of_addresses),
        TEST(test_build__process_ids_of_agents),
        TEST(test_build__hosts_without_address),
        TEST(test_build__tasks_of_one_name),
        TEST(test_build__discovery_ports),
        TEST(test_build__frameworks),
        TEST(test_build__odd_labels),
        TEST(test_build__long_names),
        TEST(test_build__zones_of_dcos),
        TEST(test_build__this_node),
    };
    (void)setup_json;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
