/* SPDX-License-Identifier: Apache-2.0
 * fuzz_dns_event.c - any bytes as an event of the master's stream, and as a configuration file of Mesos-DNS. */
#include <string.h>

#include "common/base/check.h"
#include "dns/cluster.h"
#include "dns/mesos_dns_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct dns_zone_soa soa = {"ns1.mesos", "root.ns1.mesos", 60, 600, 86400, 60};
    static const struct dns_cluster_naming naming = {.domain = "mesos",
                                                     .sources = {CLUSTER_NETINFO, CLUSTER_HOST},
                                                     .source_count = 2,
                                                     .has_dcos = true,
                                                     .vip_range = {0x0b000000, 0x0bffffff},
                                                     .soa_mname = "ns1.mesos"};
    struct dns_zone_layout layout = {0};
    struct err err = {0};
    struct mesos_dns_config config;
    if (size < 1)
        return 0;
    if (mesos_dns_config_read((const char *)data, size, &config, &err) == 0)
        mesos_dns_config_free(&config);
    CHECK(dns_zone_layout_add(&layout, "mesos", 60, 0, 1, true, &soa) == 0);
    CHECK(dns_zone_layout_add(&layout, "thisdcos.directory", 5, 1, 1, true, &soa) == 0);
    struct dns_book *book = dns_book_new(&layout);
    struct dns_zone_publisher *publisher = dns_zone_publisher_new(&layout);
    struct dns_cluster *cluster = dns_cluster_new(&naming, book);
    struct arena *arena = arena_new(0);
    /* The same bytes several times: what was kept from the first meets the second. */
    for (int64_t round = 0; round < 3; round++) {
        struct picture_told told;
        (void)dns_cluster_apply(cluster, data[0] == '{' ? WIRE_JSON : WIRE_PROTOBUF, data, size, round * 700000, arena,
                                &told, &err);
        dns_cluster_check_invariants(cluster);
        dns_cluster_tick(cluster, round * 700000);
        dns_cluster_flush(cluster);
        dns_cluster_check_invariants(cluster);
        (void)dns_book_publish(book, publisher, 1);
    }
    dns_cluster_free(cluster);
    dns_book_free(book);
    dns_zone_publisher_free(publisher);
    arena_free(arena);
    return 0;
}
