/* SPDX-License-Identifier: Apache-2.0
 * options.h - the table of flags of `muster cron`; it fills struct cron_shell_options of shell.h. */
#pragma once

#include "common/base/options.h"

extern const struct option_def cron_option_defs[];
extern const size_t cron_option_count;
