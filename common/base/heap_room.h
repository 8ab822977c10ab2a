/* SPDX-License-Identifier: Apache-2.0
 * heap_room.h - memory for a lot that is about to be allocated in small pieces and to stay: as huge pages where the kernel
 * gives them. Each page of 4 KiB that is touched for the first time costs a fault, under a hypervisor several microseconds,
 * which can be more than what is then done with it. */
#pragma once

#include <stddef.h>

/* Prepares the heap for about `bytes` more; nothing below 8 MiB. What turns out not to be needed stays address space that
 * is never touched. A hint: where it cannot be followed nothing changes. For the main thread of a process, once or a few
 * times in its life; from the first time on the heap keeps up to `bytes` and 64 MiB of what is freed. */
void heap_room_prepare(size_t bytes);
