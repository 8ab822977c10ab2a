/* SPDX-License-Identifier: Apache-2.0
 * zone.h - time zones: UTC to local time and back, from the system's zoneinfo (TZif, RFC 8536). libc's functions are no
 * choice: they know one zone a process, through the environment. A table of zones reads each file once and keeps it.
 *
 * Instants are milliseconds since 1970 UTC. A local time is the milliseconds since 1970 of its fields read as if they were
 * UTC. Both may be of the years -9999..9999. Leap seconds are not counted (the "right/" zones are refused). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

#define ZONE_NAME_MAX 63           /* characters */
#define ZONE_FILE_BYTES_MAX 262144 /* the largest of tzdata has 4 KiB */
#define ZONES_MAX 4096             /* kept in one table; tzdata has about 600 names, and there are 2161 fixed offsets */
#define ZONE_OFFSET_MAX_S 64800    /* of fixed offsets, as Java's: 18 hours */

enum {
    ZONE_E_NAME = 1, /* not the name of a zone: malformed, unknown, or an offset */
    ZONE_E_FILE,     /* there is a file but it is no TZif that we can trust */
    ZONE_E_FULL,     /* ZONES_MAX */
};

struct zone; /* immutable; lives as long as its table */
struct zones;

/* Gives the file of a zone: fills data and returns its length, or a negative errno (-ENOENT: no such zone, -EFBIG). The
 * name has been checked by zone_name_is_valid. */
typedef int64_t zone_read_fn(void *ctx, const char *name, uint8_t *data, size_t size);

/* The system's. ctx is the folder, NULL means /usr/share/zoneinfo. Opens beneath that folder only. */
zone_read_fn zone_read_system;

struct zones *zones_new(zone_read_fn *read, void *ctx);
struct zones *zones_free(struct zones *z); /* accepts NULL, returns NULL */

/* Parts of letters, digits, '_', '+', '-' between slashes, each beginning with a letter, as zoneinfo has them. No dots, and
 * none of "posix/", "right/", "localtime", "posixrules", "Factory". */
bool zone_name_is_valid(const char *name);

/* By zoneinfo name, which are Java's region ids. 0 or ZONE_E_*, with the text in err. "UTC" needs no file. Offsets such as
 * "+02:00" and "Z" are refused, as Metronome does (facts: net-cron D.4). */
int zones_find(struct zones *z, const char *name, const struct zone **out, struct err *err);
/* As java.util.TimeZone: also Java's old three-letter ids with their old meanings (PST Los Angeles, BST Bangladesh), and
 * GMT[+-]h[h][[:]mm]; unknown text is refused and not taken for GMT (facts: net-cron E.3). */
int zones_find_java(struct zones *z, const char *name, const struct zone **out, struct err *err);
/* A fixed offset in seconds east of Greenwich, whole minutes, within ZONE_OFFSET_MAX_S: 0, ZONE_E_NAME or ZONE_E_FULL. */
int zones_find_offset(struct zones *z, int32_t offset_s, const struct zone **out);
const struct zone *zones_utc(const struct zones *z);

/* The name it was found by; fixed offsets have "+02:00". */
const char *zone_name(const struct zone *z);

/* Seconds east of Greenwich in force at that instant. */
int32_t zone_offset_s(const struct zone *z, int64_t utc_ms);
int64_t zone_to_local_ms(const struct zone *z, int64_t utc_ms);

enum zone_local_kind {
    ZONE_LOCAL_ONCE,
    ZONE_LOCAL_GAP,   /* clocks were put forward over it: it does not exist */
    ZONE_LOCAL_TWICE, /* clocks were put back over it */
};
struct zone_instant {
    enum zone_local_kind kind;
    int64_t first_ms;  /* the instant; of a gap its end, the first instant after the change */
    int64_t second_ms; /* of TWICE the later one, else first_ms */
};
struct zone_instant zone_to_utc(const struct zone *z, int64_t local_ms);

/* The first instant after utc_ms at which the offset changes, INT64_MAX if it never does again (before the year 9999). */
int64_t zone_next_change_ms(const struct zone *z, int64_t utc_ms);

/* For the fuzzer and tests: a zone from the bytes of a TZif file, outside of any table. 0 or ZONE_E_FILE. */
int zone_parse(const char *name, const uint8_t *data, size_t len, struct zone **out, struct err *err);
struct zone *zone_free(struct zone *z);
