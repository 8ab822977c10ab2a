/* SPDX-License-Identifier: Apache-2.0
 * resolve.h - the address of a host name. Asks the system's resolver and waits for it: for start-up and for commands, never
 * on a loop. */
#pragma once

#include "common/base/err.h"

#define RESOLVE_IP_SIZE 46 /* of an IPv6 address as text, with its terminator */

/* The numeric address of the name, or of the address it is. An IPv4 address if the host has one: everything of ours
 * listens on IPv4 unless told otherwise, while the resolver likes to name ::1 first for localhost. -EHOSTUNREACH with the
 * name in err. */
int resolve_host(const char *host, char ip[RESOLVE_IP_SIZE], struct err *err);
