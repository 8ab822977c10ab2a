/* SPDX-License-Identifier: Apache-2.0
 * fuzz_dns_config.c - texts that people write: a configuration file of Mesos-DNS through all the checks of the flags and
 * back out as /v1/config, and a resolv.conf. What is taken is well formed. */
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/check.h"
#include "common/base/json.h"
#include "dns/mesos_dns_config.h"
#include "dns/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The file's values are the defaults of the flags, as in main.c. */
static void check_config(const char *text, size_t len)
{
    static struct dns_lists lists;
    struct mesos_dns_config config;
    struct dns_options options = {0};
    struct err err = {0};
    char *argv[] = {strdup("dns"), strdup("--master=10.0.0.1:5050"), NULL};
    if (mesos_dns_config_read(text, len, &config, &err) == 0) {
        struct option_def *defs = xmemdup(dns_option_defs, dns_option_count * sizeof(*defs));
        for (size_t i = 0; i < dns_option_count; i++)
            defs[i].value = config.values[i] ? config.values[i] : defs[i].value;
        bool has_master = strstr(text, "asters") != NULL;
        if (options_parse(defs, dns_option_count, &options, has_master ? 1 : 2, argv, NULL, NULL, &err) == 0 &&
            dns_options_check(&options, &lists, &err) == 0) {
            struct buf out;
            uint8_t wire[DNS_NAME_MAX];
            buf_init(&out, 1u << 24);
            mesos_dns_config_write(&options, &lists, &out);
            CHECK(!out.overflowed);
            json_t *root = json_read((const char *)buf_data(&out), buf_len(&out), &err);
            CHECK(root != NULL);
            json_decref(root);
            buf_deinit(&out);
            CHECK(dns_name_from_text(options.domain, wire) > 0);
            for (size_t z = 1; z < lists.zone_count; z++)
                CHECK(dns_name_from_text(lists.zones[z].name, wire) > 0 && lists.zones[z].resolver_count > 0);
        }
        options_free(defs, dns_option_count, &options);
        free(defs);
        mesos_dns_config_free(&config);
    } else {
        CHECK(err.text[0] != '\0');
    }
    free(argv[0]);
    free(argv[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_endpoint found[DNS_RESOLVERS_MAX];
    char *text = xmalloc(size + 1); /* exactly as long as it is */
    memcpy(text, data, size);
    text[size] = '\0';
    check_config(text, size);
    size_t count = dns_options_resolv_conf(text, found, DNS_RESOLVERS_MAX);
    CHECK(count <= DNS_RESOLVERS_MAX);
    for (size_t i = 0; i < count; i++)
        CHECK((found[i].ip.size == 4 || found[i].ip.size == 16) && found[i].port > 0);
    free(text);
    return 0;
}
