/* SPDX-License-Identifier: Apache-2.0
 * book.h - all records by name, on the publishing thread: the changing twin of the snapshot. Owners (a task, an agent, ...)
 * each have one set of records; replacing a set marks the names it touches, and dns_book_publish renders those into a new
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

struct dns_book;
struct dns_book_set; /* the records of one owner; NULL: none */

struct dns_book *dns_book_new(const struct dns_zone_layout *layout);
struct dns_book *dns_book_free(struct dns_book *b); /* every set was dropped before */

/* Collect the records of one owner, then put them in the place of what it had. Names are text; what is no name (a label
 * over 63 bytes, a name over 253), or belongs to no zone of ours, is left out and counted: a bad name costs its own record
 * and nothing else. */
void dns_book_begin(struct dns_book *b);
void dns_book_put_ip(struct dns_book *b, const char *name, const struct dns_ip *ip);
void dns_book_put_srv(struct dns_book *b, const char *name, const char *target, uint16_t port);
void dns_book_put_ptr(struct dns_book *b, const struct dns_ip *ip, const char *target);
/* The owner's new set; `old` is gone. */
struct dns_book_set *dns_book_commit(struct dns_book *b, struct dns_book_set *old);
void dns_book_drop(struct dns_book *b, struct dns_book_set *set);

/* Renders what changed since the last time. False when nothing did, and then nothing is published. */
bool dns_book_publish(struct dns_book *b, struct dns_zone_publisher *p, uint32_t serial);
/* Records over all names, duplicates of different owners counted. */
size_t dns_book_record_count(const struct dns_book *b);
size_t dns_book_zone_record_count(const struct dns_book *b, size_t zone); /* of layout->zones[zone] */
/* Records that present owners would have if their names were names. */
size_t dns_book_left_out(const struct dns_book *b);
void dns_book_leave_out(struct dns_book *b); /* counts one more, between begin and commit */

/* For listings. */
enum dns_book_kind { BOOK_A, BOOK_AAAA, BOOK_SRV, BOOK_PTR };
struct dns_book_view {
    enum dns_book_kind kind;
    const uint8_t *name;   /* wire form */
    struct dns_ip ip;      /* A, AAAA */
    const uint8_t *target; /* SRV, PTR */
    uint16_t port;
};
/* Every record of the book, name after name in the order they came up, distinct within a name and sorted by kind and value.
 */
void dns_book_each(const struct dns_book *b, void (*fn)(void *ctx, const struct dns_book_view *view), void *ctx);
/* The records of one set in the order they were put. */
void dns_book_set_each(const struct dns_book_set *set, void (*fn)(void *ctx, const struct dns_book_view *view), void *ctx);
