/* SPDX-License-Identifier: Apache-2.0
 * zones.c - the table of zones: names, Java's ids, fixed offsets. See zone.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/map.h"
#include "frameworks/cron/time/zone_private.h"

struct zones {
    struct map by_name; /* struct zone * */
    const struct zone *utc;
    zone_read_fn *read;
    void *read_ctx;
};

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool zone_name_is_valid(const char *name)
{
    static const char *const refused[] = {"localtime", "posixrules", "Factory"};
    bool at_part = true;
    size_t len = 0;
    for (const char *p = name; *p != '\0'; p++, len++) {
        if (len == ZONE_NAME_MAX || (at_part && !is_letter(*p)))
            return false;
        if (!is_letter(*p) && !is_digit(*p) && strchr("_+-/", *p) == NULL)
            return false;
        at_part = *p == '/';
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (strcmp(name, refused[i]) == 0)
            return false;
    }
    return !at_part && !starts_with(name, "posix/") && !starts_with(name, "right/");
}

static const struct zone *put_fixed(struct zones *z, const char *name, int32_t offset_s)
{
    struct zone *zone = xcalloc(1, sizeof(*zone));
    (void)snprintf(zone->name, sizeof(zone->name), "%s", name); /* ours, and short */
    zone->first_offset_s = offset_s;
    CHECK(map_put(&z->by_name, name, zone) == NULL);
    return zone;
}

struct zones *zones_new(zone_read_fn *read, void *ctx)
{
    struct zones *z = xcalloc(1, sizeof(*z));
    map_init(&z->by_name);
    z->read = read;
    z->read_ctx = ctx;
    z->utc = put_fixed(z, "UTC", 0);
    return z;
}

struct zones *zones_free(struct zones *z)
{
    if (z == NULL)
        return NULL;
    for (struct map_entry *e = map_first(&z->by_name); e != NULL; e = map_next(e))
        zone_free(map_value(e));
    map_deinit(&z->by_name);
    free(z);
    return NULL;
}

const struct zone *zones_utc(const struct zones *z)
{
    return z->utc;
}

static int read_zone(struct zones *z, const char *name, struct zone **out, struct err *err)
{
    uint8_t *data = xmalloc(ZONE_FILE_BYTES_MAX);
    int64_t len = z->read(z->read_ctx, name, data, ZONE_FILE_BYTES_MAX);
    int rc;
    if (len == -ENOENT || len == -EISDIR || len == -ENOTDIR)
        rc = err_set(err, ZONE_E_NAME, "there is no time zone %s; names are those of zoneinfo, like Europe/Rome", name);
    else if (len < 0)
        rc = err_set(err, ZONE_E_FILE, "time zone %s: read its file: %s", name, strerror((int)-len));
    else
        rc = zone_parse(name, data, (size_t)len, out, err);
    free(data);
    return rc;
}

int zones_find(struct zones *z, const char *name, const struct zone **out, struct err *err)
{
    if (!zone_name_is_valid(name))
        return err_set(err, ZONE_E_NAME,
                       "\"%.64s\" is not the name of a time zone; names are those of zoneinfo, like Europe/Rome", name);
    struct zone *zone = map_get(&z->by_name, name);
    if (zone == NULL) {
        if (map_count(&z->by_name) >= ZONES_MAX)
            return err_set(err, ZONE_E_FULL, "more than %d time zones are in use", ZONES_MAX);
        int rc = read_zone(z, name, &zone, err);
        if (rc != 0)
            return rc;
        CHECK(map_put(&z->by_name, name, zone) == NULL);
    }
    *out = zone;
    return 0;
}

int zones_find_offset(struct zones *z, int32_t offset_s, const struct zone **out)
{
    char name[16];
    int32_t size = offset_s < 0 ? -offset_s : offset_s;
    if (offset_s > ZONE_OFFSET_MAX_S || offset_s < -ZONE_OFFSET_MAX_S || offset_s % 60 != 0)
        return ZONE_E_NAME;
    if (offset_s == 0) {
        *out = z->utc;
        return 0;
    }
    (void)snprintf(name, sizeof(name), "%c%02d:%02d", offset_s < 0 ? '-' : '+', size / 3600, size / 60 % 60); /* fits */
    const struct zone *zone = map_get(&z->by_name, name);
    if (zone == NULL && map_count(&z->by_name) >= ZONES_MAX)
        return ZONE_E_FULL;
    *out = zone != NULL ? zone : put_fixed(z, name, offset_s);
    return 0;
}

/* -- Java's ids ------------------------------------------------------------------------------------------------- */

/* Meanings of before 1996, kept by Java for ever. EST, MST and HST are in zoneinfo with the same meaning. */
static const char *const java_ids[][2] = {
    {"ACT", "Australia/Darwin"},
    {"AET", "Australia/Sydney"},
    {"AGT", "America/Argentina/Buenos_Aires"},
    {"ART", "Africa/Cairo"},
    {"AST", "America/Anchorage"},
    {"BET", "America/Sao_Paulo"},
    {"BST", "Asia/Dhaka"},
    {"CAT", "Africa/Harare"},
    {"CNT", "America/St_Johns"},
    {"CST", "America/Chicago"},
    {"CTT", "Asia/Shanghai"},
    {"EAT", "Africa/Addis_Ababa"},
    {"ECT", "Europe/Paris"},
    {"IET", "America/Indiana/Indianapolis"},
    {"IST", "Asia/Kolkata"},
    {"JST", "Asia/Tokyo"},
    {"MIT", "Pacific/Apia"},
    {"NET", "Asia/Yerevan"},
    {"NST", "Pacific/Auckland"},
    {"PLT", "Asia/Karachi"},
    {"PNT", "America/Phoenix"},
    {"PRT", "America/Puerto_Rico"},
    {"PST", "America/Los_Angeles"},
    {"SST", "Pacific/Guadalcanal"},
    {"VST", "Asia/Ho_Chi_Minh"},
};

/* GMT+h, GMT+hh, GMT+h:mm, GMT+hh:mm, GMT+hmm, GMT+hhmm, and with minus. */
static bool java_offset(const char *name, int32_t *out)
{
    int digits[4], count = 0, colon_at = -1;
    if (!starts_with(name, "GMT") || (name[3] != '+' && name[3] != '-'))
        return false;
    for (const char *p = name + 4; *p != '\0'; p++) {
        if (*p == ':' && colon_at < 0 && (count == 1 || count == 2))
            colon_at = count;
        else if (is_digit(*p) && count < 4)
            digits[count++] = *p - '0';
        else
            return false;
    }
    if (count == 0 || (colon_at >= 0 && count - colon_at != 2))
        return false;
    int hour_digits = colon_at >= 0 ? colon_at : count <= 2 ? count : count - 2;
    int hours = hour_digits == 1 ? digits[0] : digits[0] * 10 + digits[1];
    int minutes = count > hour_digits ? digits[count - 2] * 10 + digits[count - 1] : 0;
    if (hours > 18 || minutes > 59)
        return false;
    *out = (hours * 3600 + minutes * 60) * (name[3] == '-' ? -1 : 1);
    return true;
}

int zones_find_java(struct zones *z, const char *name, const struct zone **out, struct err *err)
{
    int32_t offset;
    for (size_t i = 0; i < sizeof(java_ids) / sizeof(java_ids[0]); i++) {
        if (strcmp(name, java_ids[i][0]) == 0)
            return zones_find(z, java_ids[i][1], out, err);
    }
    if (java_offset(name, &offset) && zones_find_offset(z, offset, out) == 0)
        return 0;
    return zones_find(z, name, out, err);
}
