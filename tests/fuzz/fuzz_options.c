/* SPDX-License-Identifier: Apache-2.0
 * fuzz_options.c - a configuration file; values that are taken can be shown. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct flags {
    char *name;
    bool fast;
    int64_t count;
    double ratio;
    int64_t timeout_ms;
    uint16_t port;
};

static const struct option_def defs[] = {
    {"name", OPTION_STRING, offsetof(struct flags, name), "x", "The name.", 0, 0, 0}, /* no OPTION_FROM_FILE: reads files */
    {"fast", OPTION_BOOL, offsetof(struct flags, fast), "true", "Hurries.", OPTION_SECRET, 0, 0},
    {"count", OPTION_INT, offsetof(struct flags, count), "7", "How many.", 0, -5, 100},
    {"ratio", OPTION_DOUBLE, offsetof(struct flags, ratio), "0.5", "How much.", 0, 0, 0},
    {"ping_timeout", OPTION_DURATION, offsetof(struct flags, timeout_ms), "15secs", "How long.", 0, 0, 0},
    {"port", OPTION_PORT, offsetof(struct flags, port), "5050", "Where.", OPTION_REQUIRED, 0, 0},
};
#define COUNT (sizeof(defs) / sizeof(defs[0]))

static void show(void *ctx, const char *name, const char *value)
{
    CHECK(name != NULL && value != NULL);
    *(size_t *)ctx += strlen(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("config", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    char path[64], program[] = "fuzz", option[] = "--config";
    CHECK(snprintf(path, sizeof(path), "/proc/self/fd/%d", fd) > 0);
    char *argv[] = {program, option, path, NULL};
    struct flags flags;
    struct err err = {""};
    size_t shown = 0;
    int rc = options_parse(defs, COUNT, &flags, 3, argv, NULL, NULL, &err);
    CHECK(rc == 0 || (rc == -EINVAL && err.text[0] != '\0'));
    if (rc == 0)
        options_each(defs, COUNT, &flags, show, &shown);
    options_free(defs, COUNT, &flags);
    (void)close(fd); /* memory only */
    return 0;
}
