/* SPDX-License-Identifier: Apache-2.0
 * fuzz_dns_event.c - any bytes as an event of the master's stream, and as a configuration file of Mesos-DNS. */
#include <string.h>

#include "common/base/check.h"
#include "dns/cluster.h"
#include "dns/mesos_dns_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct zone_soa soa = {"ns1.mesos", "root.ns1.mesos", 60, 600, 86400, 60};
    static const struct cluster_naming naming = {.domain = "mesos",
                                                 .sources = {CLUSTER_NETINFO, CLUSTER_HOST},
                                                 .source_count = 2,
                                                 .has_dcos = true,
                                                 .vip_range = {0x0b000000, 0x0bffffff},
                                                 .soa_mname = "ns1.mesos"};
    struct zone_layout layout = {0};
    struct err err = {0};
    struct mesos_dns_config config;
    if (size < 1)
        return 0;
    if (mesos_dns_config_read((const char *)data, size, &config, &err) == 0)
        mesos_dns_config_free(&config);
    CHECK(zone_layout_add(&layout, "mesos", 60, 0, 1, true, &soa) == 0);
    CHECK(zone_layout_add(&layout, "thisdcos.directory", 5, 1, 1, true, &soa) == 0);
    struct book *book = book_new(&layout);
    struct zone_publisher *publisher = zone_publisher_new(&layout);
    struct cluster *cluster = cluster_new(&naming, book);
    struct arena *arena = arena_new(0);
    /* The same bytes several times: what was kept from the first meets the second. */
    for (int64_t round = 0; round < 3; round++) {
        struct cluster_told told;
        (void)cluster_apply(cluster, data[0] == '{' ? WIRE_JSON : WIRE_PROTOBUF, data, size, round * 700000, arena, &told,
                            &err);
        cluster_check_invariants(cluster);
        cluster_tick(cluster, round * 700000);
        cluster_flush(cluster);
        cluster_check_invariants(cluster);
        (void)book_publish(book, publisher, 1);
    }
    cluster_free(cluster);
    book_free(book);
    zone_publisher_free(publisher);
    arena_free(arena);
    return 0;
}
