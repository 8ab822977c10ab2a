/* SPDX-License-Identifier: Apache-2.0
 * job_private.h - what the job_*.c files share. */
#pragma once

#include "frameworks/cron/job_json.h"

void job_check_schema(const json_t *json, struct problems *problems);
void schedule_check_schema(const json_t *json, struct problems *problems);
void job_check_supported(const json_t *json, struct problems *problems);

/* Words of the API, in the order of the enums. */
extern const char *const job_operator_words[3], *const concurrency_policy_words[3], *const missed_policy_words[3];

/* Fills the job from JSON whose types were checked. is_stored: it was accepted earlier. */
void job_read(struct job *j, const json_t *json, bool is_stored, struct problems *problems);
struct schedule *schedule_read(const json_t *json, const struct job_reading *how, bool is_stored, struct chunks *chunks,
                               const char *path, struct problems *problems);
