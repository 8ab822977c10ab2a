/* SPDX-License-Identifier: Apache-2.0
 * lookup.h - host names to addresses by the system's resolver, on a thread of its own because it blocks. */
#pragma once

#include <stddef.h>

#include "common/follow/address.h"
#include "common/port/loop.h"

#define LOOKUP_QUEUE_MAX 1024 /* further names are answered with no address at once */
#define LOOKUP_IPS_MAX 16     /* of one name; more are left out */

struct lookup;

/* done is called on the loop's thread, in a later turn; count 0: no address. */
struct lookup *lookup_new(struct loop *loop,
                          void (*done)(void *ctx, const char *host, const struct host_ip *ips, size_t count), void *ctx);
/* Waits for the look-up that is under way. */
struct lookup *lookup_free(struct lookup *l);
void lookup_start(struct lookup *l, const char *host);
