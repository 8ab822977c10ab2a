/* SPDX-License-Identifier: Apache-2.0
 * launch_stamp.c - the program that the containers of the launch bench run: prints when it began, and ends. */
#include <stdio.h>
#include <time.h>

int main(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with this clock */
    return printf("%lld\n", (long long)t.tv_sec * 1000000000 + t.tv_nsec) > 0 ? 0 : 1;
}
