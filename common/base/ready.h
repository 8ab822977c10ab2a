/* SPDX-License-Identifier: Apache-2.0
 * ready.h - how a role tells the process that started it that it serves: one line `READY <ip>:<port>` on the descriptor
 * named by the environment variable MUSTER_READY_FD, and READY=1 to systemd's NOTIFY_SOCKET. Without either nothing
 * happens. */
#pragma once

#include <stdint.h>

#define READY_FD_VARIABLE "MUSTER_READY_FD"

/* Call once, when requests are answered. Takes the variables out of the environment and closes the descriptor. */
void ready_notify(const char *ip, uint16_t port);
