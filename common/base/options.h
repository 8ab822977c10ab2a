/* SPDX-License-Identifier: Apache-2.0
 * options.h - command-line flags from one table per program. The table fills a struct of typed fields, prints --help and
 * the sample configuration, and answers GET_FLAGS. Forms: --name=value, --name value, --name and --no-name for booleans;
 * dashes and underscores are the same; MUSTER_<NAME> in the environment; `--config FILE` (or MUSTER_CONFIG) with lines
 * `name = value` and `# comments`, at most 1 MiB. The command line wins over the environment, the environment over the
 * file. A value that starts with file:// is replaced by that file's content (without the last newline) for options that
 * carry OPTION_FROM_FILE. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

enum option_type {
    OPTION_STRING,   /* char *, NULL when there is no default */
    OPTION_BOOL,     /* bool */
    OPTION_INT,      /* int64_t, within min..max */
    OPTION_DOUBLE,   /* double */
    OPTION_DURATION, /* int64_t milliseconds; text as text_to_duration_ns */
    OPTION_PORT,     /* uint16_t; 0 allowed, meaning any free port */
};

enum { OPTION_REQUIRED = 1, OPTION_FROM_FILE = 2, OPTION_SECRET = 4 /* value is masked where options are shown */ };

struct option_def {
    const char *name; /* with underscores */
    enum option_type type;
    size_t offset;     /* of the field in the target struct */
    const char *value; /* default as text, NULL for none */
    const char *help;  /* one sentence */
    unsigned flags;
    int64_t min, max; /* OPTION_INT and OPTION_DURATION (ms); both 0: no bound */
};

enum { OPTIONS_E_HELP = 1 }; /* --help was given; the caller prints options_help and exits 0 */

/* Fills target from defaults, file, environment and argv[1..]. Words that are no options are moved to *positional (points
 * into argv, order kept; NULL: such words are an error). "--" ends the options. On error the text names the option.
 * Returns 0, OPTIONS_E_HELP or -EINVAL. options_free releases the strings either way. */
int options_parse(const struct option_def *defs, size_t count, void *target, int argc, char **argv, char ***positional,
                  int *positional_count, struct err *err);
void options_free(const struct option_def *defs, size_t count, void *target);

void options_help(const struct option_def *defs, size_t count, const char *usage, struct buf *out);
void options_sample(const struct option_def *defs, size_t count, const char *title,
                    struct buf *out); /* config/<role>.conf */
/* Calls fn(ctx, name, value text) for each option that has a value, in table order. Secrets come as "****". */
void options_each(const struct option_def *defs, size_t count, const void *target,
                  void (*fn)(void *ctx, const char *name, const char *value), void *ctx);
