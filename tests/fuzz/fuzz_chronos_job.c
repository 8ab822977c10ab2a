/* SPDX-License-Identifier: Apache-2.0
 * fuzz_chronos_job.c - a job in Chronos's form: refused with a reason, or kept in the stored form and read back as the
 * same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/chronos_core.h"
#include "frameworks/cron/job_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *stored_text(const struct job *j)
{
    struct json_writer w;
    struct buf b;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    job_write_stored(j, &w);
    return buf_steal_str(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct zones *zones;
    struct cron c = {.wall_ms = INT64_C(1774742400000)};
    struct err err = {""};
    json_t *body = json_read(data, size, NULL);
    if (body == NULL)
        return 0;
    if (zones == NULL)
        zones = zones_new(zone_read_system, NULL);
    c.config.zones = zones;
    for (int version_2 = 0; version_2 < 2; version_2++) {
        struct job *j = chronos_read_job(&c, body, NULL, version_2 != 0, &err);
        if (j == NULL) {
            CHECK(err.text[0] != '\0');
            continue;
        }
        struct job_reading how = {.zones = zones, .wall_ms = c.wall_ms, .with_schedules = true};
        char *text = stored_text(j);
        struct job *again = job_from_stored(text, strlen(text), &how);
        CHECK(again != NULL);
        char *text_again = stored_text(again);
        CHECK(strcmp(text, text_again) == 0);
        free(text);
        free(text_again);
        job_unref(again);
        job_unref(j);
    }
    json_decref(body);
    return 0;
}
