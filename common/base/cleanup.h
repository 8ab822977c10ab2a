/* SPDX-License-Identifier: Apache-2.0
 * cleanup.h - locals that release themselves at the end of their scope. */
#pragma once

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_fn(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_close_fn(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* nothing to be done about it at the end of a scope */
}

#define cleanup_free __attribute__((cleanup(cleanup_free_fn)))
#define cleanup_close __attribute__((cleanup(cleanup_close_fn)))
#define cleanup_with(fn) __attribute__((cleanup(fn)))

/* Takes the value out of a self-releasing local, so that the end of the scope leaves it alone. */
static inline int steal_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

static inline void *steal_ptr_fn(void *p)
{
    void *taken = *(void **)p;
    *(void **)p = NULL;
    return taken;
}
#define steal_ptr(p) ((__typeof__(*(p)))steal_ptr_fn(p))
