/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/cron/job.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"

struct job *job_new(void)
{
    struct job *j = xcalloc(1, sizeof(*j));
    j->refs = 1;
    j->max_launch_delay_s = JOB_MAX_LAUNCH_DELAY_S;
    j->active_deadline_s = -1;
    j->retries = -1;
    j->retry_delay_ms = JOB_RETRY_DELAY_MS;
    j->max_run_s = -1;
    j->kill_grace_s = -1;
    j->array_parallel = JOB_PARALLEL_DEFAULT;
    return j;
}

struct job *job_ref(struct job *j)
{
    j->refs++;
    return j;
}

struct job *job_unref(struct job *j)
{
    if (j == NULL || --j->refs > 0)
        return NULL;
    chunks_free(&j->chunks);
    free(j);
    return NULL;
}

struct schedule *schedule_copy(const struct schedule *s, struct chunks *chunks)
{
    struct schedule *copy = chunks_alloc(chunks, sizeof(*copy));
    *copy = *s;
    copy->id = chunks_strdup(chunks, s->id);
    copy->text = chunks_strdup(chunks, s->text);
    copy->timezone = chunks_strdup(chunks, s->timezone);
    return copy;
}

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool job_id_is_valid(const char *id)
{
    size_t n = strlen(id);
    if (n == 0 || n > JOB_ID_MAX || strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = id[i];
        if (!is_lower_or_digit(c) && !(c >= 'A' && c <= 'Z') && c != '_' && c != '.' && c != '-')
            return false;
    }
    return true;
}

bool job_id_is_metronome(const char *id)
{
    size_t n = strlen(id);
    if (n == 0 || n > JOB_ID_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (is_lower_or_digit(id[i]))
            continue;
        bool is_inside = i > 0 && i + 1 < n;
        bool is_dash = id[i] == '-' && is_inside && id[i - 1] != '.' && id[i + 1] != '.';
        bool is_dot = id[i] == '.' && is_inside && is_lower_or_digit(id[i - 1]) && is_lower_or_digit(id[i + 1]);
        if (!is_dash && !is_dot)
            return false;
    }
    return true;
}
