/* SPDX-License-Identifier: Apache-2.0
 * ids.h - handles that a shell gives to its core. Plain numbers, never reused within a process, 0 is none. */
#pragma once

#include <stdint.h>

typedef uint64_t link_id;    /* a connected agent (master side) or master (agent side) */
typedef uint64_t stream_id;  /* an open event stream: scheduler, executor, operator */
typedef uint64_t request_id; /* an HTTP request that waits for its answer */
