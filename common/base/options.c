/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "common/base/text.h"

#define FILE_BYTES_MAX (1u << 20)

/* Where the text of an option comes from, weakest first. */
enum source { FROM_NOWHERE, FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_ARGUMENT };

struct choice {
    enum source source;
    const char *text; /* not owned */
};

struct parse {
    const struct option_def *defs;
    size_t count;
    struct choice *choices; /* one per option */
    const char *config;     /* --config */
    char *config_text;      /* what it holds; choices point into it */
    bool wants_help;
    struct err *err;
};

/* Equal up to dashes and underscores. name is not terminated. */
static bool is_name(const char *def_name, const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = name[i] == '-' ? '_' : name[i];
        if (def_name[i] == '\0' || (def_name[i] == '-' ? '_' : def_name[i]) != c)
            return false;
    }
    return def_name[len] == '\0';
}

static const struct option_def *find_option(const struct parse *p, const char *name, size_t len)
{
    for (size_t i = 0; i < p->count; i++)
        if (is_name(p->defs[i].name, name, len))
            return &p->defs[i];
    return NULL;
}

static void choose(struct parse *p, const struct option_def *def, enum source source, const char *text)
{
    struct choice *c = &p->choices[def - p->defs];
    if (source >= c->source)
        *c = (struct choice){source, text};
}

/* A whole file as malloc'd text. */
static int read_file(const char *path, char **out, struct err *err)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return err_sys(err, -errno, "%s", path);
    char *text = xmalloc(FILE_BYTES_MAX + 1);
    size_t len = fread(text, 1, FILE_BYTES_MAX + 1, f);
    int rc = 0;
    if (ferror(f))
        rc = err_sys(err, -EIO, "%s", path);
    else if (len > FILE_BYTES_MAX)
        rc = err_set(err, -EINVAL, "%s: larger than %u bytes", path, FILE_BYTES_MAX);
    else if (memchr(text, '\0', len) != NULL)
        rc = err_set(err, -EINVAL, "%s: a NUL byte in the text", path);
    (void)fclose(f); /* read only */
    if (rc != 0) {
        free(text);
        return rc;
    }
    text[len] = '\0';
    *out = xrealloc(text, len + 1);
    return 0;
}

static char *trim(char *s)
{
    s += strspn(s, " \t\r");
    size_t len = strlen(s);
    while (len > 0 && strchr(" \t\r", s[len - 1]) != NULL)
        len--;
    s[len] = '\0';
    return s;
}

/* `name = value`, an empty line or a `# comment`. The line is cut into pieces in place. */
static int parse_config_line(struct parse *p, char *line, size_t number)
{
    line = trim(line);
    if (line[0] == '\0' || line[0] == '#')
        return 0;
    char *equals = strchr(line, '=');
    if (equals == NULL)
        return err_set(p->err, -EINVAL, "%s line %zu: `name = value` was expected", p->config, number);
    *equals = '\0';
    char *name = trim(line);
    const struct option_def *def = find_option(p, name, strlen(name));
    if (def == NULL)
        return err_set(p->err, -EINVAL, "%s line %zu: no option is called \"%.64s\"", p->config, number, name);
    choose(p, def, FROM_FILE, trim(equals + 1));
    return 0;
}

static int parse_config(struct parse *p)
{
    if (p->config == NULL)
        return 0;
    int rc = read_file(p->config, &p->config_text, p->err);
    if (rc != 0)
        return err_wrap(p->err, -EINVAL, "--config");
    char *rest = p->config_text;
    for (size_t number = 1; rest != NULL; number++) {
        char *line = strsep(&rest, "\n");
        rc = parse_config_line(p, line, number);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static void parse_environment(struct parse *p)
{
    for (size_t i = 0; i < p->count; i++) {
        char name[128];
        CHECK(snprintf(name, sizeof(name), "MUSTER_%s", p->defs[i].name) < (int)sizeof(name));
        for (char *c = name; *c != '\0'; c++)
            *c = *c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
        const char *value = getenv(name);
        if (value != NULL)
            choose(p, &p->defs[i], FROM_ENVIRONMENT, value);
    }
}

/* The word after an option that needs one. */
static int take_value(struct parse *p, int argc, char **argv, int *i, const char **value)
{
    if (*i + 1 >= argc)
        return err_set(p->err, -EINVAL, "%s needs a value", argv[*i]);
    *value = argv[++*i];
    return 0;
}

/* argv[*i] starts with "--"; *i ends on the last word that belongs to it. */
static int parse_word(struct parse *p, int argc, char **argv, int *i)
{
    const char *name = argv[*i] + 2;
    size_t len = strcspn(name, "=");
    const char *value = name[len] == '=' ? name + len + 1 : NULL;
    const struct option_def *def = find_option(p, name, len);
    if (def == NULL && len == 4 && memcmp(name, "help", 4) == 0 && value == NULL) {
        p->wants_help = true;
        return 0;
    }
    if (def == NULL && len == 6 && memcmp(name, "config", 6) == 0) {
        p->config = value;
        return value != NULL ? 0 : take_value(p, argc, argv, i, &p->config);
    }
    if (def == NULL && value == NULL && len > 3 && memcmp(name, "no", 2) == 0 && (name[2] == '-' || name[2] == '_')) {
        def = find_option(p, name + 3, len - 3);
        if (def != NULL && def->type == OPTION_BOOL) {
            choose(p, def, FROM_ARGUMENT, "false");
            return 0;
        }
        def = NULL;
    }
    if (def == NULL)
        return err_set(p->err, -EINVAL, "unknown option --%.*s", (int)(len < 64 ? len : 64), name);
    int rc = 0;
    if (value == NULL && def->type == OPTION_BOOL)
        value = "true";
    else if (value == NULL)
        rc = take_value(p, argc, argv, i, &value);
    if (rc == 0)
        choose(p, def, FROM_ARGUMENT, value);
    return rc;
}

/* Words that are no options move to the front of argv[1..]. */
static int parse_arguments(struct parse *p, int argc, char **argv, char ***positional, int *positional_count)
{
    int kept = 0;
    bool options_ended = false;
    for (int i = 1; i < argc; i++) {
        char *word = argv[i];
        if (!options_ended && strcmp(word, "--") == 0) {
            options_ended = true;
            continue;
        }
        if (!options_ended && strncmp(word, "--", 2) == 0) {
            int rc = parse_word(p, argc, argv, &i);
            if (rc != 0)
                return rc;
            continue;
        }
        if (positional == NULL)
            return err_set(p->err, -EINVAL, "%s is not an option", word);
        argv[1 + kept++] = word;
    }
    if (positional != NULL) {
        *positional = argc > 0 ? argv + 1 : argv;
        *positional_count = kept;
    }
    return 0;
}

static int out_of_bounds(const struct option_def *def, struct err *err)
{
    if (def->type != OPTION_DURATION)
        return err_set(err, -EINVAL, "must be from %lld to %lld", (long long)def->min, (long long)def->max);
    char min[TEXT_DURATION_SIZE], max[TEXT_DURATION_SIZE] = "any length";
    int64_t ns;
    text_format_duration_ns(def->min * 1000000, min);
    if (!__builtin_mul_overflow(def->max, 1000000, &ns))
        text_format_duration_ns(ns, max);
    return err_set(err, -EINVAL, "must be from %s to %s", min, max);
}

static int set_whole(const struct option_def *def, int64_t value, int64_t *field, struct err *err)
{
    if ((def->min != 0 || def->max != 0) && (value < def->min || value > def->max))
        return out_of_bounds(def, err);
    *field = value;
    return 0;
}

static int set_string(const struct option_def *def, const char *text, char **field, struct err *err)
{
    static const char prefix[] = "file://";
    if ((def->flags & OPTION_FROM_FILE) == 0 || strncmp(text, prefix, sizeof(prefix) - 1) != 0) {
        *field = xstrdup(text);
        return 0;
    }
    int rc = read_file(text + sizeof(prefix) - 1, field, err);
    if (rc != 0)
        return rc;
    size_t len = strlen(*field);
    if (len > 0 && (*field)[len - 1] == '\n')
        (*field)[len - 1] = '\0';
    return 0;
}

static int set_number(const struct option_def *def, const char *text, void *field, struct err *err)
{
    int64_t whole;
    if (def->type == OPTION_DURATION) {
        if (text_to_duration_ns(text, &whole) != 0)
            return err_set(err, -EINVAL, "a duration like 10secs was expected");
        if (whole % 1000000 != 0)
            return err_set(err, -EINVAL, "finer than a millisecond");
        return set_whole(def, whole / 1000000, field, err);
    }
    int rc = text_to_int64(text, &whole);
    if (rc == -EINVAL)
        return err_set(err, -EINVAL, "a whole number was expected");
    if (def->type == OPTION_INT)
        return rc != 0 ? err_set(err, -EINVAL, "the number is too large") : set_whole(def, whole, field, err);
    if (rc != 0 || whole < 0 || whole > UINT16_MAX)
        return err_set(err, -EINVAL, "a port from 0 to 65535 was expected");
    *(uint16_t *)field = (uint16_t)whole;
    return 0;
}

static int set_field(const struct option_def *def, const char *text, void *target, struct err *err)
{
    void *field = (char *)target + def->offset;
    switch (def->type) {
    case OPTION_STRING:
        return set_string(def, text, field, err);
    case OPTION_BOOL:
        return text_to_bool(text, field) == 0 ? 0 : err_set(err, -EINVAL, "true or false was expected");
    case OPTION_DOUBLE:
        return text_to_double(text, field) == 0 ? 0 : err_set(err, -EINVAL, "a number was expected");
    case OPTION_INT:
    case OPTION_DURATION:
    case OPTION_PORT:
        return set_number(def, text, field, err);
    }
    check_failed(__FILE__, __LINE__, "option type");
}

static int apply(struct parse *p, void *target)
{
    static const char *const sources[] = {"", " (default)", " (configuration file)", " (environment)", ""};
    for (size_t i = 0; i < p->count; i++) {
        const struct option_def *def = &p->defs[i];
        const struct choice *c = &p->choices[i];
        if (c->source == FROM_NOWHERE) {
            if (def->flags & OPTION_REQUIRED)
                return err_set(p->err, -EINVAL, "--%s is required", def->name);
            continue;
        }
        if (set_field(def, c->text, target, p->err) != 0)
            return err_wrap(p->err, -EINVAL, "--%s%s", def->name, sources[c->source]);
    }
    return 0;
}

static void clear_strings(const struct option_def *defs, size_t count, void *target)
{
    for (size_t i = 0; i < count; i++)
        if (defs[i].type == OPTION_STRING)
            *(char **)((char *)target + defs[i].offset) = NULL;
}

int options_parse(const struct option_def *defs, size_t count, void *target, int argc, char **argv, char ***positional,
                  int *positional_count, struct err *err)
{
    struct parse p = {.defs = defs, .count = count, .config = getenv("MUSTER_CONFIG"), .err = err};
    p.choices = xcalloc(count > 0 ? count : 1, sizeof(*p.choices));
    clear_strings(defs, count, target);
    for (size_t i = 0; i < count; i++)
        if (defs[i].value != NULL)
            choose(&p, &defs[i], FROM_DEFAULT, defs[i].value);
    int rc = parse_arguments(&p, argc, argv, positional, positional_count);
    if (rc == 0 && p.wants_help)
        rc = OPTIONS_E_HELP;
    if (rc == 0)
        rc = parse_config(&p);
    if (rc == 0) {
        parse_environment(&p);
        rc = apply(&p, target);
    }
    free(p.config_text);
    free(p.choices);
    return rc;
}

void options_free(const struct option_def *defs, size_t count, void *target)
{
    for (size_t i = 0; i < count; i++)
        if (defs[i].type == OPTION_STRING)
            free(*(char **)((char *)target + defs[i].offset));
    clear_strings(defs, count, target);
}

static const char *type_word(enum option_type type)
{
    static const char *const words[] = {[OPTION_STRING] = "TEXT",   [OPTION_BOOL] = "BOOL",         [OPTION_INT] = "NUMBER",
                                        [OPTION_DOUBLE] = "NUMBER", [OPTION_DURATION] = "DURATION", [OPTION_PORT] = "PORT"};
    return words[type];
}

/* Overflow of out shows in out. */
static void help_line(const char *left, const char *help, const char *note, const char *value, struct buf *out)
{
    (void)buf_printf(out, "  %-34s %s", left, help);
    if (note != NULL)
        (void)buf_printf(out, " %s", note);
    if (value != NULL)
        (void)buf_printf(out, " [%s]", value);
    (void)buf_append_char(out, '\n');
}

void options_help(const struct option_def *defs, size_t count, const char *usage, struct buf *out)
{
    (void)buf_printf(out, "Usage: %s\n\n", usage); /* overflow of out shows in out, here and below */
    for (size_t i = 0; i < count; i++) {
        char left[128];
        (void)snprintf(left, sizeof(left), defs[i].type == OPTION_BOOL ? "--[no-]%s" : "--%s=%s", defs[i].name,
                       type_word(defs[i].type));
        help_line(left, defs[i].help, defs[i].flags & OPTION_REQUIRED ? "Required." : NULL, defs[i].value, out);
    }
    help_line("--config=FILE", "Reads options from a file of `name = value` lines.", NULL, NULL, out);
    help_line("--help", "Prints this text.", NULL, NULL, out);
    (void)buf_append_str(
        out, "\nEvery option can be given as MUSTER_<NAME> in the environment too. The command line wins over the\n"
             "environment, the environment over the file.\n");
}

void options_sample(const struct option_def *defs, size_t count, const char *title, struct buf *out)
{
    (void)buf_printf(out, "# %s\n", title); /* overflow shows in out, here and below */
    for (size_t i = 0; i < count; i++) {
        (void)buf_printf(out, "\n# %s%s\n", defs[i].help, defs[i].flags & OPTION_REQUIRED ? " Required." : "");
        (void)buf_printf(out, "# %s =%s%s\n", defs[i].name, defs[i].value != NULL ? " " : "",
                         defs[i].value != NULL ? defs[i].value : "");
    }
}

/* The value as text that parses to it again; NULL when there is none. scratch may hold it. */
static const char *value_text(const struct option_def *def, const void *target, struct buf *scratch)
{
    const void *field = (const char *)target + def->offset;
    struct json_writer w;
    char text[TEXT_DURATION_SIZE];
    json_writer_init(&w, scratch);
    switch (def->type) {
    case OPTION_STRING:
        return *(char *const *)field;
    case OPTION_BOOL:
        return *(const bool *)field ? "true" : "false";
    case OPTION_INT:
        json_put_int(&w, *(const int64_t *)field);
        break;
    case OPTION_DOUBLE:
        json_put_number(&w, *(const double *)field);
        break;
    case OPTION_DURATION:
        text_format_duration_ns(*(const int64_t *)field * 1000000, text); /* was parsed from nanoseconds: no overflow */
        (void)buf_append_str(scratch, text);                              /* fits */
        break;
    case OPTION_PORT:
        json_put_uint(&w, *(const uint16_t *)field);
        break;
    }
    (void)buf_append_char(scratch, '\0'); /* fits */
    return (const char *)buf_data(scratch);
}

void options_each(const struct option_def *defs, size_t count, const void *target,
                  void (*fn)(void *ctx, const char *name, const char *value), void *ctx)
{
    struct buf scratch;
    buf_init(&scratch, 0);
    for (size_t i = 0; i < count; i++) {
        const char *text = value_text(&defs[i], target, &scratch);
        if (text != NULL)
            fn(ctx, defs[i].name, defs[i].flags & OPTION_SECRET ? "****" : text);
        buf_clear(&scratch);
    }
    buf_deinit(&scratch);
}
