/* SPDX-License-Identifier: Apache-2.0
 * log.h - one line per event to stderr: time, level, component, sentence with key=value pairs. Shells log; cores and
 * library code below main do not (they return errors or emit trace effects). */
#pragma once

#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/* component is kept by pointer. Default: "muster" at INFO. */
void log_init(const char *component, enum log_level level);
/* debug, info, warning (or warn), error, in any case. 0 or -EINVAL. */
int log_parse_level(const char *text, enum log_level *level);
enum log_level log_get_level(void);
void log_set_level(enum log_level level);

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) (log_get_level() <= LOG_LEVEL_DEBUG ? log_write(LOG_LEVEL_DEBUG, __VA_ARGS__) : (void)0)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
