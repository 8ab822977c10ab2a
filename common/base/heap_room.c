/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/heap_room.h"

#include <limits.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define BYTES_MIN ((size_t)8 << 20)
#define BYTES_MAX ((size_t)1 << 30)
#define KEPT_BYTES ((size_t)64 << 20)
#define HUGE_PAGE ((uintptr_t)2 << 20)
#define PROBE_BYTES ((size_t)4 << 20) /* makes the heap grow, and is below MAPPED_FROM_BYTES */
#define MAPPED_FROM_BYTES ((size_t)8 << 20)
#define TOP_PAD_BYTES ((size_t)128 << 10) /* glibc's own */

void heap_room_prepare(size_t bytes)
{
    if (bytes < BYTES_MIN)
        return;
    if (bytes > BYTES_MAX)
        bytes = BYTES_MAX;
    if (mallopt(M_MMAP_THRESHOLD, (int)MAPPED_FROM_BYTES) == 0 ||
        mallopt(M_TRIM_THRESHOLD, (int)(bytes + KEPT_BYTES)) == 0 || mallopt(M_TOP_PAD, (int)bytes) == 0)
        return; /* an allocator that knows it not */
    uintptr_t before = (uintptr_t)sbrk(0);
    void *probe = malloc(PROBE_BYTES); /* the compiler may not leave it out: */
    __asm__ volatile("" : : "r"(probe) : "memory");
    uintptr_t after = (uintptr_t)sbrk(0), begin = (before + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    if (probe != NULL && after > begin)
        (void)madvise((void *)begin, after - begin, MADV_HUGEPAGE); /* a hint */
    free(probe);
    (void)mallopt(M_TOP_PAD, (int)TOP_PAD_BYTES); /* it was accepted above */
}
