/* SPDX-License-Identifier: Apache-2.0
 * app_names.h - under which names and balanced addresses a service is reached. */
#pragma once

#include "cli/cli.h"

/* {"names": ["web.marathon.mesos"], "vips": [{"name", "address"?, "port", "protocol", "problem"?}]}: what the app's
 * definition declares; addresses from the balancer, when it can be asked. The caller drops the reference. */
json_t *app_names(const struct cli_target *t, const json_t *app);
void app_names_print(const json_t *names);
