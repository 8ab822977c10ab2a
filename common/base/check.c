/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void check_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "CHECK failed at %s:%d: %s\n", file, line, what);
    abort();
}

void *xmalloc(unsigned long size)
{
    void *p = malloc(size ? size : 1);
    CHECK(p != NULL);
    return p;
}

void *xcalloc(unsigned long count, unsigned long size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    CHECK(p != NULL);
    return p;
}

void *xrealloc(void *old, unsigned long size)
{
    void *p = realloc(old, size ? size : 1);
    CHECK(p != NULL);
    return p;
}

char *xstrdup(const char *s)
{
    return xmemdup(s, strlen(s) + 1);
}

char *xstrndup(const char *s, unsigned long len)
{
    char *p = xmalloc(len + 1);
    memcpy(p, s, len);
    p[len] = '\0';
    return p;
}

void *xmemdup(const void *data, unsigned long len)
{
    void *p = xmalloc(len);
    if (len > 0)
        memcpy(p, data, len);
    return p;
}
