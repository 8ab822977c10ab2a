/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

static const char *component = "muster";
static enum log_level current = LOG_LEVEL_INFO;

void log_init(const char *name, enum log_level level)
{
    component = name;
    current = level;
}

int log_parse_level(const char *text, enum log_level *level)
{
    static const struct {
        const char *name;
        enum log_level level;
    } names[] = {{"debug", LOG_LEVEL_DEBUG},
                 {"info", LOG_LEVEL_INFO},
                 {"warning", LOG_LEVEL_WARNING},
                 {"warn", LOG_LEVEL_WARNING},
                 {"error", LOG_LEVEL_ERROR}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcasecmp(text, names[i].name) == 0) {
            *level = names[i].level;
            return 0;
        }
    return -EINVAL;
}

enum log_level log_get_level(void)
{
    return current;
}

void log_set_level(enum log_level level)
{
    current = level;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    static const char *const marks[] = {"DEBUG", "INFO", "WARN", "ERROR"};
    if (level < current)
        return;
    char line[2048];
    struct timespec now;
    struct tm tm;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
    (void)gmtime_r(&now.tv_sec, &tm);
    size_t n = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(line + n, sizeof(line) - n, ".%03ldZ %-5s %s: ", now.tv_nsec / 1000000, marks[level], component);
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
    va_end(ap);
    size_t text = m < 0 ? 0 : (size_t)m;
    if (text > sizeof(line) - n - 2)
        text = sizeof(line) - n - 2;
    /* Text from outside must not forge lines. */
    for (size_t i = n; i < n + text; i++)
        if ((unsigned char)line[i] < 0x20)
            line[i] = ' ';
    line[n + text] = '\n';
    ssize_t written = write(STDERR_FILENO, line, n + text + 1);
    (void)written; /* a lost log line has no better place to be reported */
}
