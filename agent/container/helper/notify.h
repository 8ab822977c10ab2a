/* SPDX-License-Identifier: Apache-2.0
 * notify.h - tells the running agent, if there is one, that a container started. The record on disk is written before, so
 * an agent that is away learns it from there; only one that is busy is waited for. */
#pragma once

#include "agent/container/shared/notice.h"

struct notify {
    int fd; /* connected and waiting for room: poll for writing; -1: nothing to do */
    struct container_notice notice;
};

void notify_init(struct notify *n);
/* Sends, or tries again after poll. Asks for the socket next to the container's folder (HELPER_FD_DIRECTORY). */
void notify_send(struct notify *n);
