/* SPDX-License-Identifier: Apache-2.0
 * requests.h - what the requests*.c files and reads.c share. */
#pragma once

#include "frameworks/cron/core.h"

void cron_body_begin(struct buf *b, struct json_writer *w);
/* As cron_reply, but an overflowed body becomes an error. */
void cron_reply_body(struct cron *c, const struct cron_request *r, int status, struct buf *b, bool is_change);
/* NULL: a 404 was answered. */
struct entry *cron_need_job(struct cron *c, const struct cron_request *r);
struct entry *cron_need_schedule(struct cron *c, const struct cron_request *r);
struct run *cron_need_run(struct cron *c, const struct cron_request *r);
/* "next": [times]; remaining -1: any number. limit 0: the default. */
void cron_put_next(const struct schedule *s, int64_t after_ms, int64_t remaining, int64_t limit, struct json_writer *w);
void cron_request_write(struct cron *c, const struct cron_request *r);
