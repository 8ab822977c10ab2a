/* SPDX-License-Identifier: Apache-2.0
 * zone_file.c - TZif (RFC 8536), version 2 and later: the block of 64-bit times and the footer. Names of the kinds of time,
 * leap seconds and the indicators of how a rule was written play no part here; their sizes are checked and they are passed
 * over. What breaks a rule of the format is refused whole: a wrong offset is worse than none. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/time/calendar.h"
#include "frameworks/cron/time/zone_private.h"

#define HEADER_BYTES 44
#define CHANGES_MAX 8192 /* tzdata's largest has about 250 */
#define TYPES_MAX 256
#define TYPE_BYTES 6
#define FIRST_S (INT64_C(-9999) * 31556952) /* changes before are of no interest */
#define LAST_S (INT64_C(9999) * 31556952)

struct header {
    uint8_t version;
    uint32_t isut_count, isstd_count, leap_count, time_count, type_count, char_count;
};

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t read_i64(const uint8_t *p)
{
    return (int64_t)((uint64_t)read_u32(p) << 32 | read_u32(p + 4));
}

static const char *read_header(const uint8_t *data, size_t len, struct header *out)
{
    if (len < HEADER_BYTES || memcmp(data, "TZif", 4) != 0)
        return "not a TZif file";
    out->version = data[4];
    out->isut_count = read_u32(data + 20);
    out->isstd_count = read_u32(data + 24);
    out->leap_count = read_u32(data + 28);
    out->time_count = read_u32(data + 32);
    out->type_count = read_u32(data + 36);
    out->char_count = read_u32(data + 40);
    if (out->version < '2')
        return "a TZif file of version 1, which has no rule for the future";
    if (out->time_count > CHANGES_MAX || out->type_count > TYPES_MAX || out->char_count > 65536 ||
        out->leap_count > 65536 || out->isut_count > TYPES_MAX || out->isstd_count > TYPES_MAX)
        return "too large";
    return NULL;
}

static size_t block_bytes(const struct header *h, size_t time_bytes)
{
    return h->time_count * (time_bytes + 1) + (size_t)h->type_count * TYPE_BYTES + h->char_count +
           h->leap_count * (time_bytes + 4) + h->isstd_count + h->isut_count;
}

static void append_change(struct zone *z, int64_t at_s, int32_t offset_s)
{
    int32_t before = z->change_count ? z->changes[z->change_count - 1].offset_s : z->first_offset_s;
    if (before == offset_s)
        return; /* another name, or summer time without a shift */
    z->changes[z->change_count++] = (struct zone_change){at_s, offset_s};
}

static const char *read_changes(struct zone *z, const struct header *h, const uint8_t *block)
{
    const uint8_t *times = block, *kinds = times + h->time_count * 8, *types = kinds + h->time_count;
    int64_t previous = INT64_MIN;
    if (h->type_count == 0)
        return "it has no kinds of time";
    if (h->leap_count > 0)
        return "it counts leap seconds";
    for (uint32_t i = 0; i < h->type_count; i++) {
        int32_t offset = (int32_t)read_u32(types + i * TYPE_BYTES);
        if (offset > ZONE_OFFSET_LIMIT_S || offset < -ZONE_OFFSET_LIMIT_S)
            return "an offset of more than a day";
    }
    z->first_offset_s = (int32_t)read_u32(types);
    z->changes = xcalloc((size_t)h->time_count + 1, sizeof(z->changes[0]));
    for (uint32_t i = 0; i < h->time_count; i++) {
        int64_t at = read_i64(times + (size_t)i * 8);
        if (i > 0 && at <= previous)
            return "its changes are out of order";
        if (kinds[i] >= h->type_count)
            return "a change to a kind of time that is not there";
        previous = at;
        int32_t offset = (int32_t)read_u32(types + kinds[i] * TYPE_BYTES);
        if (at < FIRST_S)
            z->first_offset_s = offset; /* "since the beginning": the oldest files say so with a change */
        else if (at <= LAST_S)
            append_change(z, at, offset);
        z->rule_from_s = at;
    }
    if (h->time_count == 0)
        z->rule_from_s = INT64_MIN;
    return NULL;
}

static const char *read_footer(struct zone *z, const uint8_t *data, size_t len)
{
    const uint8_t *end = len > 1 && data[0] == '\n' ? memchr(data + 1, '\n', len - 1) : NULL;
    if (end == NULL)
        return "it has no footer";
    if (zone_rule_parse((const char *)data + 1, (size_t)(end - data - 1), &z->rule) != 0)
        return "its rule for the future is malformed";
    if (!z->rule.exists)
        return NULL;
    if (z->rule_from_s == INT64_MIN || z->rule_from_s < FIRST_S) {
        z->rule_from_s = INT64_MIN;
        z->change_count = 0;
        return NULL;
    }
    if (z->rule_from_s > LAST_S) {
        z->rule.exists = false;
        return NULL;
    }
    /* Where table and rule meet, the rule holds: then both are one function of time, whatever the file says. */
    if (z->change_count > 0 && z->changes[z->change_count - 1].at_s == z->rule_from_s)
        z->change_count--;
    append_change(z, z->rule_from_s, zone_rule_offset_s(&z->rule, z->rule_from_s));
    return NULL;
}

static const char *parse(struct zone *z, const uint8_t *data, size_t len)
{
    struct header h;
    const char *problem = read_header(data, len, &h);
    if (problem != NULL)
        return problem;
    size_t skip = HEADER_BYTES + block_bytes(&h, 4);
    if (skip > len)
        return "it is cut short";
    data += skip;
    len -= skip;
    problem = read_header(data, len, &h);
    if (problem != NULL)
        return problem;
    size_t block = block_bytes(&h, 8);
    if (block > len - HEADER_BYTES)
        return "it is cut short";
    problem = read_changes(z, &h, data + HEADER_BYTES);
    return problem != NULL ? problem : read_footer(z, data + HEADER_BYTES + block, len - HEADER_BYTES - block);
}

int zone_parse(const char *name, const uint8_t *data, size_t len, struct zone **out, struct err *err)
{
    struct zone *z = xcalloc(1, sizeof(*z));
    CHECK(strlen(name) <= ZONE_NAME_MAX);
    memcpy(z->name, name, strlen(name));
    z->rule_from_s = INT64_MIN;
    const char *problem = parse(z, data, len);
    if (problem != NULL) {
        zone_free(z);
        return err_set(err, ZONE_E_FILE, "the file of time zone %s cannot be used: %s", name, problem);
    }
    *out = z;
    return 0;
}

struct zone *zone_free(struct zone *z)
{
    if (z == NULL)
        return NULL;
    free(z->changes);
    free(z);
    return NULL;
}
