/* SPDX-License-Identifier: Apache-2.0
 * test_cluster.c - event streams to names: tasks, agents, frameworks, masters, failovers (rules: facts net-cron A.2-A.4,
 * B.2, B.3, C.2, C.3). Events are written as JSON, and given as JSON or protobuf. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/dns_cluster.h"

static void test_cluster__task_without_discovery(void **state)
{
    (void)state;
    start();
    apply(ADDED(TASK(
        CAR, "car-store", "F", 0, "TASK_RUNNING",
        PORTS("{\"begin\":31364,\"end\":31365}") ",\"statuses\":[" STATUS(CAR, "TASK_RUNNING", "1.0", "10.3.0.5") "]")));
    assert_string_equal(names("car-store"),
                        "_car-store._tcp.marathon.mesos. car-store-zinaz-s0.marathon.slave.mesos.:31364\n"
                        "_car-store._tcp.marathon.mesos. car-store-zinaz-s0.marathon.slave.mesos.:31365\n"
                        "_car-store._tcp.marathon.slave.mesos. car-store-zinaz-s0.marathon.slave.mesos.:31364\n"
                        "_car-store._tcp.marathon.slave.mesos. car-store-zinaz-s0.marathon.slave.mesos.:31365\n"
                        "_car-store._udp.marathon.mesos. car-store-zinaz-s0.marathon.slave.mesos.:31364\n"
                        "_car-store._udp.marathon.mesos. car-store-zinaz-s0.marathon.slave.mesos.:31365\n"
                        "_car-store._udp.marathon.slave.mesos. car-store-zinaz-s0.marathon.slave.mesos.:31364\n"
                        "_car-store._udp.marathon.slave.mesos. car-store-zinaz-s0.marathon.slave.mesos.:31365\n"
                        "car-store-zinaz-s0.marathon.mesos. 10.3.0.5\n"
                        "car-store-zinaz-s0.marathon.slave.mesos. 1.2.3.10\n"
                        "car-store.marathon.agentip.dcos.thisdcos.directory. 1.2.3.10\n"
                        "car-store.marathon.autoip.dcos.thisdcos.directory. 10.3.0.5\n"
                        "car-store.marathon.containerip.dcos.thisdcos.directory. 10.3.0.5\n"
                        "car-store.marathon.mesos. 10.3.0.5\n"
                        "car-store.marathon.slave.mesos. 1.2.3.10\n");
    assert_string_equal(names("5.0.3.10.in-addr"), "5.0.3.10.in-addr.arpa. car-store-zinaz-s0.marathon.mesos.\n");
}

static void test_cluster__task_with_discovery(void **state)
{
    (void)state;
    start();
    apply(ADDED(TASK(
        LIQUOR, "ignored", "F", 1, "TASK_RUNNING",
        PORTS("{\"begin\":31111,\"end\":31111}") ",\"discovery\":{\"visibility\":\"CLUSTER\",\"name\":\"Liquor_Store\","
                                                 "\"ports\":{\"ports\":["
                                                 "{\"number\":80,\"name\":\"http\",\"protocol\":\"TCP\"},{\"number\":53}]}}"
                                                 ",\"statuses\":[" STATUS(LIQUOR, "TASK_RUNNING", "1.0", "10.3.0.1") "]")));
    /* the raw name as well; it differs from the clean one by more than case */
    assert_string_equal(names("marathon.mesos"),
                        "_http._liquor-store._tcp.marathon.mesos. liquor-store-4dfjd-s1.marathon.mesos.:80\n"
                        "_http._liquor_store._tcp.marathon.mesos. liquor_store-4dfjd-s1.marathon.mesos.:80\n"
                        "_liquor-store._tcp.marathon.mesos. liquor-store-4dfjd-s1.marathon.mesos.:53\n"
                        "_liquor-store._tcp.marathon.mesos. liquor-store-4dfjd-s1.marathon.mesos.:80\n"
                        "_liquor-store._udp.marathon.mesos. liquor-store-4dfjd-s1.marathon.mesos.:53\n"
                        "_liquor_store._tcp.marathon.mesos. liquor_store-4dfjd-s1.marathon.mesos.:53\n"
                        "_liquor_store._tcp.marathon.mesos. liquor_store-4dfjd-s1.marathon.mesos.:80\n"
                        "_liquor_store._udp.marathon.mesos. liquor_store-4dfjd-s1.marathon.mesos.:53\n"
                        "liquor-store-4dfjd-s1.marathon.mesos. 10.3.0.1\n"
                        "liquor-store.marathon.mesos. 10.3.0.1\n"
                        "liquor_store-4dfjd-s1.marathon.mesos. 10.3.0.1\n"
                        "liquor_store.marathon.mesos. 10.3.0.1\n"
                        "marathon.mesos. 1.2.3.9\n");
    assert_string_equal(names("_liquor-store._tcp.marathon.slave"),
                        "_liquor-store._tcp.marathon.slave.mesos. liquor-store-4dfjd-s1.marathon.slave.mesos.:31111\n");
    assert_string_equal(names("ignored"), "");
}

static void test_cluster__discovery_without_name_counts_as_none(void **state)
{
    (void)state;
    start();
    apply(ADDED(TASK("a", "web", "F", 0, "TASK_RUNNING",
                     PORTS("{\"begin\":31000,\"end\":31000}") ",\"discovery\":{\"visibility\":\"CLUSTER\",\"ports\":{"
                                                              "\"ports\":[{\"number\":80}]}}")));
    assert_string_equal(names("_web._tcp.marathon.mesos"),
                        "_web._tcp.marathon.mesos. web-o556e-s0.marathon.slave.mesos.:31000\n");
    /* no network information: the agent's address */
    assert_string_equal(names("web-o556e-s0.marathon.mesos"), "web-o556e-s0.marathon.mesos. 1.2.3.10\n");
}

static void test_cluster__masters_agents_frameworks(void **state)
{
    const struct dns_cluster_master masters[] = {
        {{4, {1, 2, 3, 4}}, 5050}, {{4, {1, 2, 3, 5}}, 5050}, {{4, {1, 2, 3, 4}}, 5050}};
    const struct dns_cluster_master leader = {{4, {1, 2, 3, 6}}, 5050};
    (void)state;
    dns_cluster_set_masters(cluster, &leader, masters, 3);
    start();
    assert_string_equal(names("mesos."), "_leader._tcp.mesos. leader.mesos.:5050\n"
                                         "_leader._udp.mesos. leader.mesos.:5050\n"
                                         "_slave._tcp.mesos. slave.mesos.:5051\n"
                                         "leader.mesos. 1.2.3.6\n"
                                         "marathon.mesos. 1.2.3.9\n"
                                         "master.mesos. 1.2.3.4\nmaster.mesos. 1.2.3.5\nmaster.mesos. 1.2.3.6\n"
                                         "master0.mesos. 1.2.3.4\nmaster1.mesos. 1.2.3.5\nmaster2.mesos. 1.2.3.6\n"
                                         "slave.mesos. 1.2.3.10\nslave.mesos. 1.2.3.11\n");
    assert_string_equal(names(".zk"),
                        "zk-1.zk. 1.2.3.4\nzk-2.zk. 1.2.3.5\nzk-3.zk. 1.2.3.6\nzk-4.zk. 1.2.3.4\nzk-5.zk. 1.2.3.5\n");
    assert_string_equal(names("er.dcos.thisdcos"),
                        "leader.dcos.thisdcos.directory. 1.2.3.6\nmaster.dcos.thisdcos.directory. 1.2.3.4\n"
                        "master.dcos.thisdcos.directory. 1.2.3.5\nmaster.dcos.thisdcos.directory. 1.2.3.6\n");
    assert_string_equal(names("spartan"), "ns.spartan. 198.51.100.1\nready.spartan. 127.0.0.1\n");
    assert_string_equal(names("localhost"), "localhost. 127.0.0.1\n");
}

static void test_cluster__only_running_tasks(void **state)
{
    (void)state;
    start();
    apply(ADDED(TASK("a", "web", "F", 0, "TASK_STAGING", "")));
    assert_string_equal(names("web"), "");
    apply(UPDATED("a", "F", "TASK_RUNNING", STATUS("a", "TASK_RUNNING", "5.0", "10.0.0.1")));
    assert_string_equal(names("web.marathon.mesos"), "web.marathon.mesos. 10.0.0.1\n");
    apply(UPDATED("a", "F", "TASK_KILLING", STATUS("a", "TASK_KILLING", "6.0", "10.0.0.1")));
    assert_string_equal(names("web"), "");
    apply(UPDATED("a", "F", "TASK_KILLED", STATUS("a", "TASK_KILLED", "7.0", "10.0.0.1")));
    assert_int_equal(dns_cluster_task_count(cluster), 0);
    apply(ADDED(TASK("b", "web", "F", 0, "TASK_RUNNING", "")));
    apply(UPDATED("b", "F", "TASK_UNREACHABLE", STATUS("b", "TASK_UNREACHABLE", "8.0", "10.0.0.1")));
    assert_string_equal(names("web"), "");
    apply(UPDATED("b", "F", "TASK_RUNNING", STATUS("b", "TASK_RUNNING", "9.0", "10.0.0.1")));
    assert_string_equal(names("web.marathon.mesos"), "web.marathon.mesos. 10.0.0.1\n");
}

static void test_cluster__newest_running_status_has_the_address(void **state)
{
    (void)state;
    start();
    apply(ADDED(TASK("a", "web", "F", 0, "TASK_RUNNING",
                     ",\"statuses\":[" STATUS("a", "TASK_RUNNING", "5.0", "10.0.0.5") "," STATUS(
                         "a", "TASK_RUNNING", "7.0",
                         "10.0.0.7") "," STATUS("a", "TASK_RUNNING", "6.0",
                                                "10.0.0.6") "," STATUS("a", "TASK_STARTING", "9.0", "10.0.0.9") "]")));
    assert_string_equal(names("web.marathon.mesos"), "web.marathon.mesos. 10.0.0.7\n");
    apply(
        UPDATED("a", "F", "TASK_RUNNING", STATUS("a", "TASK_RUNNING", "6.5", "10.0.0.66"))); /* older than what is known */
    assert_string_equal(names("web.marathon.mesos"), "web.marathon.mesos. 10.0.0.7\n");
    apply(UPDATED("a", "F", "TASK_RUNNING", STATUS("a", "TASK_RUNNING", "8.0", "fd00::8")));
    assert_string_equal(names("web.marathon.mesos"), "web.marathon.mesos. fd00::8\n");
}

static void test_cluster__order_of_sources(void **state)
{
    (void)state;
    start();
    naming.sources[0] = CLUSTER_DOCKER;
    naming.sources[1] = CLUSTER_NETINFO;
    naming.source_count = 2;
    apply(ADDED(TASK("a", "web", "F", 0, "TASK_RUNNING",
                     ",\"statuses\":[{\"task_id\":{\"value\":\"a\"},\"state\":\"TASK_RUNNING\",\"labels\":{\"labels\":["
                     "{\"key\":\"Docker.NetworkSettings.IPAddress\",\"value\":\"2.4.6.8\"},"
                     "{\"key\":\"Docker.NetworkSettings.IPAddress\",\"value\":\"2.4.6.9\"},"
                     "{\"key\":\"Docker.NetworkSettings.IPAddress\",\"value\":\"garbage\"}]},\"container_status\":"
                     "{\"network_infos\":[{\"ip_addresses\":[{\"ip_address\":\"1.1.1.1\"}]}]}}]")));
    assert_string_equal(names("web.marathon.mesos"), "web.marathon.mesos. 2.4.6.8\nweb.marathon.mesos. 2.4.6.9\n");
    apply(ADDED(TASK("b", "none", "F", 0, "TASK_RUNNING", "")));
    assert_string_equal(names("none.marathon.mesos"), "");
    assert_string_equal(names("none.marathon.slave.mesos"), "none.marathon.slave.mesos. 1.2.3.10\n");
}

static void test_cluster__parked_until_agent_and_framework_are_known(void **state)
{
    (void)state;
    apply(SUBSCRIBED("", "", "", TASK("a", "web", "F", 3, "TASK_RUNNING", "")));
    assert_string_equal(names("web"), "");
    apply("{\"type\":\"AGENT_ADDED\",\"agent_added\":{\"agent\":" AGENT(3) "}}");
    assert_string_equal(names("web"), "");
    apply("{\"type\":\"FRAMEWORK_ADDED\",\"framework_added\":{\"framework\":" FRAMEWORK("F", "a.B") "}}");
    assert_string_equal(names("web.a"), "web.a-b.agentip.dcos.thisdcos.directory. 1.2.3.13\n"
                                        "web.a-b.autoip.dcos.thisdcos.directory. 1.2.3.13\n"
                                        "web.a.b.mesos. 1.2.3.13\nweb.a.b.slave.mesos. 1.2.3.13\n");
    apply("{\"type\":\"FRAMEWORK_UPDATED\",\"framework_updated\":{\"framework\":" FRAMEWORK("F", "other") "}}");
    assert_string_equal(names("web.a"), "");
    assert_string_equal(names("web.other.mesos"), "web.other.mesos. 1.2.3.13\n");
    apply("{\"type\":\"FRAMEWORK_REMOVED\",\"framework_removed\":{\"framework_info\":{\"user\":\"u\",\"name\":\"other\","
          "\"id\":{\"value\":\"F\"}}}}");
    assert_int_equal(dns_cluster_task_count(cluster), 0);
    assert_string_equal(names("other"), "");
    apply("{\"type\":\"AGENT_REMOVED\",\"agent_removed\":{\"agent_id\":" AGENT_ID(3) "}}");
    assert_int_equal(dns_cluster_agent_count(cluster), 0);
    assert_string_equal(names("slave"), "");
}

static void test_cluster__failing_health_check(void **state)
{
    (void)state;
    start();
    apply(ADDED(TASK("a", "web", "F", 0, "TASK_RUNNING", "")));
    apply(UPDATED("a", "F", "TASK_RUNNING",
                  "{\"task_id\":{\"value\":\"a\"},\"state\":\"TASK_RUNNING\",\"timestamp\":2.0,\"healthy\":false}"));
    assert_string_equal(names("web"), "");
    apply(UPDATED("a", "F", "TASK_RUNNING",
                  "{\"task_id\":{\"value\":\"a\"},\"state\":\"TASK_RUNNING\",\"timestamp\":3.0,\"healthy\":true}"));
    assert_string_equal(names("web.marathon.mesos"), "web.marathon.mesos. 1.2.3.10\n");
    naming.serves_unhealthy = true;
    apply(UPDATED("a", "F", "TASK_RUNNING",
                  "{\"task_id\":{\"value\":\"a\"},\"state\":\"TASK_RUNNING\",\"timestamp\":4.0,\"healthy\":false}"));
    assert_string_equal(names("web.marathon.mesos"), "web.marathon.mesos. 1.2.3.10\n");
}

#define VIP_PORT(number, label, more)                                                                                      \
    ",\"discovery\":{\"visibility\":\"CLUSTER\",\"name\":\"web\",\"ports\":{\"ports\":[{\"number\":" number                \
    ",\"protocol\":\"tcp\",\"labels\":{\"labels\":[{\"key\":\"VIP_0\",\"value\":\"" label "\"}" more "]}}]}}"

static void test_cluster__named_vips(void **state)
{
    (void)state;
    start();
    apply(ADDED(TASK("a", "web", "F", 0, "TASK_RUNNING", VIP_PORT("8080", "/web:80", ""))));
    assert_string_equal(names("l4lb"), "web.marathon.l4lb.thisdcos.directory. 11.225.36.193\n");
    apply(ADDED(TASK("b", "web", "F", 1, "TASK_RUNNING", VIP_PORT("8080", "/web:80", ""))));
    apply(UPDATED("a", "F", "TASK_KILLING", STATUS("a", "TASK_KILLING", "6.0", "10.0.0.1")));
    apply(UPDATED("b", "F", "TASK_KILLED", STATUS("b", "TASK_KILLED", "6.0", "10.0.0.1")));
    /* draining still counts */
    assert_string_equal(names("l4lb"), "web.marathon.l4lb.thisdcos.directory. 11.225.36.193\n");
    apply(UPDATED("a", "F", "TASK_KILLED", STATUS("a", "TASK_KILLED", "7.0", "10.0.0.1")));
    assert_string_equal(names("l4lb"), "");
    /* IPv6 back ends give an IPv6 address; on the host's port it is the agent's address that counts */
    apply(
        ADDED(TASK("c", "web", "F", 0, "TASK_RUNNING",
                   VIP_PORT("8080", "/web:80", "") ",\"statuses\":[" STATUS("c", "TASK_RUNNING", "1.0", "fd01:b::9") "]")));
    assert_string_equal(names("l4lb"), "web.marathon.l4lb.thisdcos.directory. fd01:c::cb8:74fe:906b:dee\n");
    apply(
        ADDED(TASK("c", "web", "F", 0, "TASK_RUNNING",
                   VIP_PORT("8080", "/web:80", ",{\"key\":\"network-scope\",\"value\":\"host\"}") ",\"statuses\":[" STATUS(
                       "c", "TASK_RUNNING", "1.0", "fd01:b::9") "]")));
    assert_string_equal(names("l4lb"), "web.marathon.l4lb.thisdcos.directory. 11.225.36.193\n");
    assert_string_equal(names("web.marathon.autoip"), "web.marathon.autoip.dcos.thisdcos.directory. 1.2.3.10\n");
    /* by a task label, and an address as VIP has no name */
    apply(ADDED(
        TASK("d", "x", "F", 0, "TASK_RUNNING",
             ",\"labels\":{\"labels\":[{\"key\":\"VIP_PORT0\",\"value\":\"tcp://api.x:1\"},"
             "{\"key\":\"VIP_PORT1\",\"value\":\"tcp://1.2.3.4:1\"},{\"key\":\"VIP_PORT2\",\"value\":\"http://no:1\"}]}")));
    assert_string_equal(names("x.marathon.l4lb"), "api.x.marathon.l4lb.thisdcos.directory. 11.82.111.20\n");
}

static void test_cluster__resubscription_replaces_the_picture(void **state)
{
    (void)state;
    start();
    apply(ADDED(TASK("a", "old", "F", 0, "TASK_RUNNING", "")));
    apply(ADDED(TASK("b", "kept", "F", 1, "TASK_RUNNING", "")));
    apply(SUBSCRIBED(AGENT(1), "", FRAMEWORK("F", "marathon"), TASK("b", "kept", "F", 1, "TASK_RUNNING", "")));
    assert_string_equal(names("old"), "");
    assert_string_equal(names("kept.marathon.mesos"), "kept.marathon.mesos. 1.2.3.11\n");
    assert_int_equal(dns_cluster_agent_count(cluster), 1);
}

static void test_cluster__failover_blanks_nothing(void **state)
{
    (void)state;
    start();
    apply(ADDED(TASK("a", "one", "F", 0, "TASK_RUNNING", "")));
    apply(ADDED(TASK("b", "two", "F", 0, "TASK_RUNNING", "")));
    apply(ADDED(TASK("c", "three", "F", 1, "TASK_RUNNING", "")));
    /* a new leader: it knows the agents from its registry only, and no framework and no task yet */
    apply(SUBSCRIBED("", "{\"hostname\":\"h0\",\"id\":" AGENT_ID(0) "},{\"hostname\":\"h1\",\"id\":" AGENT_ID(1) "}", "",
                     ""));
    assert_string_equal(names("one.marathon.mesos"), "one.marathon.mesos. 1.2.3.10\n");
    assert_string_equal(names("three.marathon.mesos"), "three.marathon.mesos. 1.2.3.11\n");
    now += 5000;
    apply("{\"type\":\"AGENT_ADDED\",\"agent_added\":{\"agent\":" AGENT(0) "}}");
    apply(ADDED(TASK("a", "one", "F", 0, "TASK_RUNNING", "")));
    assert_string_equal(names("two.marathon.mesos"), "two.marathon.mesos. 1.2.3.10\n");
    assert_int_equal(dns_cluster_next_deadline(cluster), now + CLUSTER_SETTLE_MS);
    now += CLUSTER_SETTLE_MS;
    dns_cluster_tick(cluster, now);
    apply("{\"type\":\"HEARTBEAT\"}");
    /* the agent is back and did not tell of b: gone; the other agent is still awaited */
    assert_string_equal(names("two.marathon.mesos"), "");
    assert_string_equal(names("one.marathon.mesos"), "one.marathon.mesos. 1.2.3.10\n");
    assert_string_equal(names("three.marathon.mesos"), "three.marathon.mesos. 1.2.3.11\n");
    now = 1000 + CLUSTER_RECOVERY_MS;
    dns_cluster_tick(cluster, now);
    apply("{\"type\":\"HEARTBEAT\"}");
    assert_string_equal(names("three.marathon.mesos"), "");
    assert_int_equal(dns_cluster_next_deadline(cluster), INT64_MAX);
    assert_int_equal(dns_cluster_agent_count(cluster), 1);
}

static void test_cluster__host_names_are_resolved_once(void **state)
{
    const struct dns_ip ip = {4, {9, 9, 9, 9}};
    (void)state;
    apply(SUBSCRIBED(
        "{\"agent_info\":{\"hostname\":\"h\",\"id\":{\"value\":\"A-S0\"}},\"active\":true,\"version\":\"1\",\"pid\":"
        "\"slave(1)@some.host:5051\"}",
        "", FRAMEWORK("F", "marathon"), ""));
    assert_string_equal(names("slave"), "");
    assert_string_equal(dns_cluster_next_host(cluster), "some.host");
    assert_null(dns_cluster_next_host(cluster));
    dns_cluster_resolved(cluster, "some.host", &ip, 1, now);
    apply("{\"type\":\"HEARTBEAT\"}");
    assert_string_equal(names("slave"), "_slave._tcp.mesos. slave.mesos.:5051\nslave.mesos. 9.9.9.9\n");
    dns_cluster_resolved(cluster, "nobody", &ip, 1, now);
}

static void test_cluster__recorded_stream(void **state)
{
    char line[1 << 16], path[512];
    (void)state;
    (void)snprintf(path, sizeof(path), "%s/tests/unit/dns/subscribe.jsonl", TEST_SOURCE_DIR);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    unsigned count = 0;
    while (fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        apply(line);
        if (count++ < 2) {
            assert_string_equal(names("web.sample."), "web.sample.agentip.dcos.thisdcos.directory. 127.0.0.1\n"
                                                      "web.sample.autoip.dcos.thisdcos.directory. 127.0.0.1\n"
                                                      "web.sample.containerip.dcos.thisdcos.directory. 127.0.0.1\n"
                                                      "web.sample.l4lb.thisdcos.directory. 11.147.189.107\n"
                                                      "web.sample.mesos. 127.0.0.1\n"
                                                      "web.sample.slave.mesos. 127.0.0.1\n");
            assert_string_equal(names("_http._web"), "_http._web._tcp.sample.mesos. web-e844k-s0.sample.mesos.:31005\n");
        } else {
            assert_string_equal(names("web.sample.mesos."), "");
        }
    }
    fclose(f);
    assert_int_equal(count, 4);
}

static void test_cluster__garbage_is_refused(void **state)
{
    struct picture_told told;
    struct err err = {0};
    static const char *const bad[] = {"\x08",
                                      "\x08\x01\x12\x05",
                                      "\x08\x01\x12\x02\x0a\x09",
                                      "\x0b",
                                      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                                      "\x08\x01\x12\x08\x0a\x06\x22\x04\x0a\x02\xff\xff"};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(dns_cluster_apply(cluster, WIRE_PROTOBUF, bad[i], strlen(bad[i]), 0, arena, &told, &err), -EPROTO);
    assert_int_equal(dns_cluster_apply(cluster, WIRE_JSON, "{", 1, 0, arena, &told, &err), -EPROTO);
}

int main(void)
{
#define TEST(f)                                                                                                            \
    cmocka_unit_test_setup_teardown(f, setup, teardown),                                                                   \
    {                                                                                                                      \
#f "/json", f, setup_json, teardown, NULL                                                                          \
    }
    const struct CMUnitTest tests[] = {
        TEST(test_cluster__task_without_discovery),
        TEST(test_cluster__task_with_discovery),
        TEST(test_cluster__discovery_without_name_counts_as_none),
        TEST(test_cluster__masters_agents_frameworks),
        TEST(test_cluster__only_running_tasks),
        TEST(test_cluster__newest_running_status_has_the_address),
        TEST(test_cluster__order_of_sources),
        TEST(test_cluster__parked_until_agent_and_framework_are_known),
        TEST(test_cluster__failing_health_check),
        TEST(test_cluster__named_vips),
        TEST(test_cluster__resubscription_replaces_the_picture),
        TEST(test_cluster__failover_blanks_nothing),
        TEST(test_cluster__host_names_are_resolved_once),
        TEST(test_cluster__recorded_stream),
        TEST(test_cluster__garbage_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
