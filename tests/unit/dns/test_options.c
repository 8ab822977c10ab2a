/* SPDX-License-Identifier: Apache-2.0
 * test_options.c - flags, and configuration files of Mesos-DNS (rows: facts net-cron A.9). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "dns/mesos_dns_config.h"

static struct dns_lists lists;

/* The result of a run with these flags beside a good --master unless there is one. */
static int check(const char *const *flags)
{
    struct dns_options o = {0};
    struct err err = {0};
    char *argv[16] = {NULL};
    int argc = 0;
    bool has_master = false;
    argv[argc++] = xstrdup("dns");
    for (size_t i = 0; flags[i]; i++) {
        has_master = has_master || strncmp(flags[i], "--master", 8) == 0;
        argv[argc++] = xstrdup(flags[i]);
    }
    if (!has_master)
        argv[argc++] = xstrdup("--master=10.0.0.1:5050");
    int result = options_parse(dns_option_defs, dns_option_count, &o, argc, argv, NULL, NULL, &err);
    if (result == 0)
        result = dns_options_check(&o, &lists, &err);
    options_free(dns_option_defs, dns_option_count, &o);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return result;
}
#define CHECK_FLAGS(...) check((const char *const[]){__VA_ARGS__, NULL})

static void test_options__masters(void **state)
{
    static const char *const bad[] = {
        "--master=a:0",     "--master=a:65536", "--master=1.2.3.4",
        "--master=",        "--master=a:1,a:1", "--master=[2001:0db8:0:0:0:0:0:1]:1,[2001:db8::1]:1",
        "--master=a:1,,b:1"};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_true(CHECK_FLAGS(bad[i]) < 0);
    assert_int_equal(CHECK_FLAGS("--master=1.2.3.4.5:6,b:1, [::1]:5050"), 0);
    assert_int_equal(lists.masters.count, 3);
}

static void test_options__resolvers_and_zones(void **state)
{
    static const char *const bad_resolvers[] = {"5.6.7.8:-1", "5.6.7.8:65536", "5.6.7.8:abc", "a", "1.2.3.4.5"};
    static const char *const bad_zones[] = {
        "=1.2.3.4", "mesos=1.2.3.4", "dc.mesos=1.2.3.4", "site.dc.mesos=1.2.3.4", "weave=", "abc.com=1.2.3.4;com=1.2.3.4",
        "weave",    "weave=x"};
    static const char *const good_zones[] = {"weave=1.2.3.4", "acdc.mesos=1.2.3.4:5353,[::1]:53",
                                             "abc.com=1.2.3.4;bc.com=1.2.3.4"};
    char flag[128];
    (void)state;
    for (size_t i = 0; i < sizeof(bad_resolvers) / sizeof(bad_resolvers[0]); i++) {
        (void)snprintf(flag, sizeof(flag), "--resolvers=%s", bad_resolvers[i]);
        assert_true(CHECK_FLAGS(flag) < 0);
    }
    assert_int_equal(CHECK_FLAGS("--resolvers=1.2.3.4,::1,1.2.3.4:5353"), 0);
    assert_int_equal(lists.zones[0].resolver_count, 3);
    assert_int_equal(lists.zones[0].resolvers[2].port, 5353);
    for (size_t i = 0; i < sizeof(bad_zones) / sizeof(bad_zones[0]); i++) {
        (void)snprintf(flag, sizeof(flag), "--zone_resolvers=%s", bad_zones[i]);
        assert_true(CHECK_FLAGS("--domain=dc.mesos", flag) < 0);
    }
    for (size_t i = 0; i < sizeof(good_zones) / sizeof(good_zones[0]); i++) {
        (void)snprintf(flag, sizeof(flag), "--zone_resolvers=%s", good_zones[i]);
        assert_int_equal(CHECK_FLAGS("--domain=dc.mesos", flag), 0);
    }
}

/* As in DC/OS: one in the other is good, twice or over our own is not; both lists together. */
static void test_options__forward_zones(void **state)
{
    (void)state;
    assert_int_equal(CHECK_FLAGS("--zone_resolvers=weave=1.2.3.4",
                                 "--forward_zones=com=1.2.3.4;abc.com=1.2.3.5:5353;x.abc.com=1.2.3.6,1.2.3.7"),
                     0);
    assert_int_equal(lists.zone_count, 5);
    assert_string_equal(lists.zones[3].name, "abc.com");
    assert_int_equal(lists.zones[3].resolvers[0].port, 5353);
    assert_int_equal(lists.zones[4].resolver_count, 2);
    assert_true(CHECK_FLAGS("--forward_zones=com=1.2.3.4;COM=1.2.3.4") < 0);
    assert_true(CHECK_FLAGS("--zone_resolvers=com=1.2.3.4", "--forward_zones=com=1.2.3.5") < 0);
    assert_true(CHECK_FLAGS("--forward_zones=x.mesos=1.2.3.4") < 0);
    assert_true(CHECK_FLAGS("--forward_zones=com=") < 0);
}

static void test_options__node(void **state)
{
    (void)state;
    assert_int_equal(CHECK_FLAGS("--public_ips=1.2.3.4, 2001:db8::1"), 0);
    assert_int_equal(lists.public_ip_count, 2);
    assert_true(CHECK_FLAGS("--public_ips=1.2.3.4,") < 0);
    assert_true(CHECK_FLAGS("--public_ips=1.2.3.4:5") < 0);
    assert_int_equal(CHECK_FLAGS("--cluster_key=yhfq5kwxjt1dmh3cq1b8ph1tyheqh1c91tbkcmr1xy4rq5ucxhgy"), 0);
    assert_true(CHECK_FLAGS("--cluster_key=a.b") < 0);
    assert_true(CHECK_FLAGS("--cluster_key=a b") < 0);
    assert_true(CHECK_FLAGS("--cluster_key=") < 0);
}

static void test_options__domain_sources_networks(void **state)
{
    (void)state;
    assert_int_equal(CHECK_FLAGS("--domain=1-awesome.domain.e"), 0);
    assert_int_equal(CHECK_FLAGS("--domain=single-name"), 0);
    assert_true(CHECK_FLAGS("--domain=") < 0);
    assert_true(CHECK_FLAGS("--domain=.invalid.com") < 0);
    assert_true(CHECK_FLAGS("--domain=invalid.com.") < 0);
    assert_int_equal(CHECK_FLAGS("--ip_sources=host,netinfo"), 0);
    assert_int_equal(lists.sources[0], CLUSTER_HOST);
    assert_true(CHECK_FLAGS("--ip_sources=host,nowhere") < 0);
    assert_true(CHECK_FLAGS("--ip_sources=") < 0);
    assert_true(CHECK_FLAGS("--allow=10.0.0.0/33") < 0);
    assert_int_equal(CHECK_FLAGS("--allow=10.1.0.0/16,192.0.2.128/25,fd00::/8,0.0.0.0/0"), 0);
    lists.allow_count = 3; /* without the last */
    static const struct {
        struct dns_ip ip;
        bool is_in;
    } rows[] = {{{4, {10, 1, 2, 3}}, true},     {{4, {10, 2, 0, 0}}, false}, {{4, {192, 0, 2, 128}}, true},
                {{4, {192, 0, 2, 127}}, false}, {{16, {0xfd, 1}}, true},     {{16, {0xfc, 1}}, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(dns_network_has(lists.allow, lists.allow_count, &rows[i].ip), rows[i].is_in);
    const struct dns_network all = {{4, {0}}, 0};
    assert_true(dns_network_has(&all, 1, &rows[0].ip));
}

static void test_options__resolv_conf(void **state)
{
    struct dns_endpoint out[3];
    (void)state;
    assert_int_equal(dns_options_resolv_conf("# nameserver 9.9.9.9\nnameserver 1.2.3.4\n search x\n nameserver\t::1 # six\n"
                                             "nameserver nonsense\nnameserver 1.2.3.5",
                                             out, 3),
                     3);
    assert_int_equal(out[0].ip.bytes[0], 1);
    assert_int_equal(out[1].ip.size, 16);
    assert_int_equal(out[2].ip.bytes[3], 5);
    assert_int_equal(dns_options_resolv_conf("", out, 3), 0);
}

static const char *value_of(const struct mesos_dns_config *c, const char *option)
{
    for (size_t i = 0; i < dns_option_count; i++)
        if (strcmp(dns_option_defs[i].name, option) == 0)
            return c->values[i] ? c->values[i] : "(none)";
    return "(no such option)";
}

static void test_config__file_of_dcos(void **state)
{
    static const char text[] =
        "{\"zk\":\"zk://zk-1.zk:2181/"
        "mesos\",\"masters\":[\"10.0.0.1:5050\",\"10.0.0.2:5050\"],\"refreshSeconds\":30,\"TTL\":60,"
        "\"domain\":\"mesos\",\"PORT\":61053,\"resolvers\":[\"8.8.8.8\",\"8.8.4.4:54\"],\"timeout\":5,\"listener\":\"0.0.0."
        "0\","
        "\"email\":\"root.mesos-dns.mesos\",\"IPSources\":[\"host\",\"netinfo\"],\"SetTruncateBit\":true,\"SOARname\":\"me@"
        "ns1.mesos\","
        "\"zoneResolvers\":{\"weave\":[\"1.2.3.4\"],\"x.y\":[\"1.2.3.5:53\",\"1.2.3.6\"]},\"externalOn\":false,"
        "\"mesosHTTPSOn\":false,\"caCertFile\":\"\",\"mesosCredentials\":{\"principal\":\"p\",\"secret\":\"s\"}}";
    struct mesos_dns_config c;
    struct err err = {0};
    (void)state;
    assert_int_equal(mesos_dns_config_read(text, sizeof(text) - 1, &c, &err), 0);
    assert_string_equal(value_of(&c, "master"), "10.0.0.1:5050,10.0.0.2:5050");
    assert_string_equal(value_of(&c, "port"), "61053");
    assert_string_equal(value_of(&c, "timeout"), "5secs");
    assert_string_equal(value_of(&c, "resolvers"), "8.8.8.8,8.8.4.4:54");
    assert_string_equal(value_of(&c, "zone_resolvers"), "weave=1.2.3.4;x.y=1.2.3.5:53,1.2.3.6");
    assert_string_equal(value_of(&c, "ip_sources"), "host,netinfo");
    assert_string_equal(value_of(&c, "soa_rname"), "me.ns1.mesos");
    assert_string_equal(value_of(&c, "external_on"), "false");
    assert_string_equal(value_of(&c, "ip"), "0.0.0.0");
    assert_string_equal(value_of(&c, "secret"), "s");
    assert_string_equal(value_of(&c, "vip_range"), "(none)");
    mesos_dns_config_free(&c);
}

static void test_config__bad_files(void **state)
{
    static const char *const bad[] = {"",
                                      "[]",
                                      "{",
                                      "{\"port\":\"53\"}",
                                      "{\"port\":1.5}",
                                      "{\"masters\":\"a:1\"}",
                                      "{\"masters\":[1]}",
                                      "{\"masters\":[\"a:1,b:2\"]}",
                                      "{\"zoneResolvers\":{\"x\":1}}",
                                      "{\"zoneResolvers\":{\"x;y\":[]}}",
                                      "{\"dnson\":1}",
                                      "{\"domain\":1}",
                                      "{\"mesosHTTPSOn\":true}",
                                      "{\"certFile\":\"/x\"}",
                                      "{\"mesosAuthentication\":\"iam\"}"};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct mesos_dns_config c;
        struct err err = {0};
        assert_true(mesos_dns_config_read(bad[i], strlen(bad[i]), &c, &err) < 0);
        assert_true(err.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options__masters),
        cmocka_unit_test(test_options__resolvers_and_zones),
        cmocka_unit_test(test_options__domain_sources_networks),
        cmocka_unit_test(test_options__forward_zones),
        cmocka_unit_test(test_options__node),
        cmocka_unit_test(test_options__resolv_conf),
        cmocka_unit_test(test_config__file_of_dcos),
        cmocka_unit_test(test_config__bad_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
