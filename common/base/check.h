/* SPDX-License-Identifier: Apache-2.0
 * check.h - assertions about our own mistakes. They stay on in release builds. Input from outside is never a CHECK. */
#pragma once

#define CHECK(cond) ((cond) ? (void)0 : check_failed(__FILE__, __LINE__, #cond))

/* Prints the place and the condition to stderr and aborts. */
_Noreturn void check_failed(const char *file, int line, const char *what);

/* malloc and friends that abort when memory is out: we set our own bounds long before that. */
void *xmalloc(unsigned long size);
void *xcalloc(unsigned long count, unsigned long size);
void *xrealloc(void *old, unsigned long size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, unsigned long len);
void *xmemdup(const void *data, unsigned long len);
