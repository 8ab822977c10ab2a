/* SPDX-License-Identifier: Apache-2.0
 * launch.h - the parts of the launch bench. */
#pragma once

#include <stdint.h>

struct launch_times {
    double exec_ms;  /* from the wish to the first instruction of the program's main */
    double total_ms; /* to the moment its end is known and cleaned up after */
};

int64_t launch_now_ns(void);
int64_t launch_read_stamp(int fd); /* reads to the end, closes */
const char *launch_cgroup2(void);  /* where cgroup v2 is mounted */

/* root: a folder with `stamp` and mount points, for both. */
void launch_bare(const char *root, struct launch_times *out);
