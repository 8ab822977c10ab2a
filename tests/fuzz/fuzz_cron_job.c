/* SPDX-License-Identifier: Apache-2.0
 * Definitions of jobs in Metronome's JSON: whatever is accepted is stored and read back without a difference, and its
 * schedule can be asked. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/job_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *stored(const struct job *j)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, 2 * JOB_TEXT_BYTES_MAX);
    json_writer_init(&w, &b);
    job_write_stored(j, &w);
    CHECK(!b.overflowed);
    return buf_steal_str(&b);
}

static void use(const struct job *j)
{
    int64_t newest;
    bool is_exact;
    const struct schedule *s = j->schedule;
    if (s == NULL)
        return;
    int64_t next = schedule_next(s, 1700000000000);
    CHECK(next > 1700000000000);
    (void)schedule_between(s, 1700000000000, 1700086400000, 10, &newest, &is_exact); /* must only end */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct zones *zones;
    json_t *json = json_read(data, size, NULL);
    if (json == NULL)
        return 0;
    if (zones == NULL)
        zones = zones_new(zone_read_system, NULL);
    const struct job_reading how = {.zones = zones, .wall_ms = 1700000000000, .with_schedules = true};
    struct problems p;
    problems_init(&p);
    struct job *j = job_from_json(json, &how, &p);
    CHECK((j == NULL) == problems_any(&p));
    if (j) {
        char *text = stored(j);
        struct job *again = job_from_stored(text, strlen(text), &how);
        CHECK(again != NULL);
        char *twice = stored(again);
        CHECK(strcmp(text, twice) == 0);
        use(again);
        free(text);
        free(twice);
        (void)job_unref(again);
        (void)job_unref(j);
    }
    problems_deinit(&p);
    json_decref(json);
    return 0;
}
