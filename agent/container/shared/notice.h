/* SPDX-License-Identifier: Apache-2.0
 * notice.h - the datagram from a supervisor to the agent. Both are of this machine; the version is in the size. */
#pragma once

#include <stdint.h>

#define CONTAINER_SOCKET_NAME "launcher.sock"

enum { CONTAINER_ID_SIZE = 256 };

struct container_notice {
    char container_id[CONTAINER_ID_SIZE];
    int32_t init_pid;
};
