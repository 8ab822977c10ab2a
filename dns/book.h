/* SPDX-License-Identifier: Apache-2.0
 * book.h - all records by name, on the publishing thread: the changing twin of the snapshot. Owners (a task, an agent, ...)
 * each have one set of records; replacing a set marks the names it touches, and book_publish renders those into a new
 * snapshot. The cost of a change is that of the names it touches, whatever the size of the book. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/zone.h"

/* 4 or 16 bytes. */
struct dns_ip {
    uint8_t size;
    uint8_t bytes[16];
};

struct book;
struct book_set; /* the records of one owner; NULL: none */

struct book *book_new(const struct zone_layout *layout);
struct book *book_free(struct book *b); /* every set was dropped before */

/* Collect the records of one owner, then put them in the place of what it had. Names are text; what is no name, or belongs
 * to no zone of ours, is left out: a bad name costs its own record and nothing else. */
void book_begin(struct book *b);
void book_put_ip(struct book *b, const char *name, const struct dns_ip *ip);
void book_put_srv(struct book *b, const char *name, const char *target, uint16_t port);
void book_put_ptr(struct book *b, const struct dns_ip *ip, const char *target);
/* The owner's new set; `old` is gone. */
struct book_set *book_commit(struct book *b, struct book_set *old);
void book_drop(struct book *b, struct book_set *set);

/* Renders what changed since the last time. False when nothing did, and then nothing is published. */
bool book_publish(struct book *b, struct zone_publisher *p, uint32_t serial);
/* Records over all names, duplicates of different owners counted. */
size_t book_record_count(const struct book *b);

/* For listings. */
enum book_kind { BOOK_A, BOOK_AAAA, BOOK_SRV, BOOK_PTR };
struct book_view {
    enum book_kind kind;
    const uint8_t *name;   /* wire form */
    struct dns_ip ip;      /* A, AAAA */
    const uint8_t *target; /* SRV, PTR */
    uint16_t port;
};
/* Every record of the book, name after name in the order they came up, distinct within a name and sorted by kind and value.
 */
void book_each(const struct book *b, void (*fn)(void *ctx, const struct book_view *view), void *ctx);
/* The records of one set in the order they were put. */
void book_set_each(const struct book_set *set, void (*fn)(void *ctx, const struct book_view *view), void *ctx);
