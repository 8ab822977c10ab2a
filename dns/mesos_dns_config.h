/* SPDX-License-Identifier: Apache-2.0
 * mesos_dns_config.h - a configuration file of Mesos-DNS as defaults of our flags, and back as /v1/config shows it (facts:
 * net-cron A.8, A.9). Keys are matched in any case; keys that mean nothing are ignored. */
#pragma once

#include "common/base/buf.h"
#include "dns/options.h"

/* Texts for flags, by their place in dns_option_defs; NULL: the file says nothing. */
struct mesos_dns_config {
    char **values;
};

/* 0; -EINVAL with the key in err, also for what the file asks for and we do not have. */
int mesos_dns_config_read(const char *text, size_t len, struct mesos_dns_config *out, struct err *err);
void mesos_dns_config_free(struct mesos_dns_config *c);

/* The JSON object of /v1/config. */
void mesos_dns_config_write(const struct dns_options *o, const struct dns_lists *lists, struct buf *out);
