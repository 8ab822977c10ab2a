/* SPDX-License-Identifier: Apache-2.0
 * resolve.h - host names to addresses by the system's resolver, on a thread of its own because it blocks (facts: net-cron
 * A.3). */
#pragma once

#include "common/port/loop.h"
#include "dns/book.h"

#define RESOLVE_QUEUE_MAX 1024 /* further names are answered with no address at once */

struct dns_resolve;

/* done is called on the loop's thread, in a later turn; count 0: no address. */
struct dns_resolve *dns_resolve_new(struct loop *loop,
                                    void (*done)(void *ctx, const char *host, const struct dns_ip *ips, size_t count),
                                    void *ctx);
/* Waits for the look-up that is under way. */
struct dns_resolve *dns_resolve_free(struct dns_resolve *r);
void dns_resolve_start(struct dns_resolve *r, const char *host);
