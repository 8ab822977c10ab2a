/* SPDX-License-Identifier: Apache-2.0
 * reader.h - asks a master its large questions: one after the other to measure, or from several processes in a loop. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct reader_question {
    const char *name; /* of its figures */
    const char *head; /* request line and headers, without those of every request */
    const char *body; /* NULL: none */
};

#define READER_QUESTIONS 7
extern const struct reader_question reader_questions[READER_QUESTIONS];

/* Blocks until the whole answer was read. Microseconds; the answer's bytes with its head in *bytes. */
int64_t reader_ask_us(uint16_t port, const struct reader_question *q, uint64_t *bytes);

struct reader_pollers;
/* count processes, each asking again as soon as it has its answer. */
struct reader_pollers *reader_pollers_start(uint16_t port, const struct reader_question *q, size_t count);
/* Ends them. The number of whole answers they had, and the mean time of one. */
struct reader_pollers *reader_pollers_stop(struct reader_pollers *p, uint64_t *answers, double *mean_ms);
