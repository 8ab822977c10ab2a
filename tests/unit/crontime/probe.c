/* SPDX-License-Identifier: Apache-2.0
 * probe.c - answers questions about time on standard output, for against_python.py. One question a line:
 *     offset ZONE UTC_S          the offset in seconds
 *     local ZONE LOCAL_S         kind (0 once, 1 gap, 2 twice), first and second instant
 *     interval ZONE UNTIL_S TEXT the moments up to UNTIL, on one line
 *     cron ZONE AFTER_S UNTIL_S EXPRESSION...    the moments in (AFTER, UNTIL], on one line */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frameworks/cron/time/cron_expr.h"
#include "frameworks/cron/time/iso8601.h"

static int answer_interval(struct zones *zones, const char *name, int64_t until_ms, const char *text)
{
    struct iso8601_interval i;
    struct err err = {""};
    if (iso8601_interval_parse(text, name, zones, zones_utc(zones), 0, &i, &err) != 0) {
        fprintf(stderr, "%s: %s\n", text, err.text);
        return -1;
    }
    int64_t at = iso8601_interval_moment(&i, 0);
    for (int64_t k = 1; at != ISO8601_NONE && at <= until_ms; at = iso8601_interval_moment(&i, k++))
        printf("%lld ", (long long)at / 1000);
    printf("\n");
    return 0;
}

static int answer(struct zones *zones, char *line)
{
    char *rest = line, *verb = strsep(&rest, " "), *name = strsep(&rest, " "), *number = strsep(&rest, " ");
    const struct zone *zone;
    struct err err = {""};
    if (number == NULL || zones_find(zones, name, &zone, &err) != 0) {
        fprintf(stderr, "%s: %s\n", verb, err.text);
        return -1;
    }
    int64_t ms = strtoll(number, NULL, 10) * 1000;
    if (strcmp(verb, "interval") == 0)
        return answer_interval(zones, name, ms, rest);
    if (strcmp(verb, "offset") == 0) {
        printf("%d\n", zone_offset_s(zone, ms));
    } else if (strcmp(verb, "local") == 0) {
        struct zone_instant i = zone_to_utc(zone, ms);
        printf("%d %lld %lld\n", i.kind, (long long)i.first_ms / 1000, (long long)i.second_ms / 1000);
    } else {
        struct cron_expr e;
        int64_t until = strtoll(strsep(&rest, " "), NULL, 10) * 1000;
        if (cron_expr_parse(rest, &e, &err) != 0) {
            fprintf(stderr, "%s: %s\n", rest, err.text);
            return -1;
        }
        for (ms = cron_expr_next(&e, zone, ms); ms <= until; ms = cron_expr_next(&e, zone, ms))
            printf("%lld ", (long long)ms / 1000);
        printf("\n");
    }
    return 0;
}

int main(void)
{
    char line[512];
    struct zones *zones = zones_new(zone_read_system, NULL);
    int rc = 0;
    while (rc == 0 && fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        rc = answer(zones, line);
    }
    zones_free(zones);
    return rc == 0 ? 0 : 1;
}
