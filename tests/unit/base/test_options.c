/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct flags {
    char *name;
    char *key;
    bool fast;
    bool notify;
    int64_t count;
    double ratio;
    int64_t timeout_ms;
    uint16_t port;
};

static const struct option_def defs[] = {
    {"name", OPTION_STRING, offsetof(struct flags, name), NULL, "The name.", OPTION_REQUIRED, 0, 0},
    {"secret_key", OPTION_STRING, offsetof(struct flags, key), NULL, "The key.", OPTION_FROM_FILE | OPTION_SECRET, 0, 0},
    {"fast", OPTION_BOOL, offsetof(struct flags, fast), "true", "Hurries.", 0, 0, 0},
    {"notify", OPTION_BOOL, offsetof(struct flags, notify), "false", "Tells.", 0, 0, 0},
    {"count", OPTION_INT, offsetof(struct flags, count), "7", "How many.", 0, 1, 100},
    {"ratio", OPTION_DOUBLE, offsetof(struct flags, ratio), "0.5", "How much.", 0, 0, 0},
    {"ping_timeout", OPTION_DURATION, offsetof(struct flags, timeout_ms), "15secs", "How long.", 0, 1000, 60000},
    {"port", OPTION_PORT, offsetof(struct flags, port), "5050", "Where.", 0, 0, 0},
};
#define COUNT (sizeof(defs) / sizeof(defs[0]))

static struct flags flags;
static struct err err;
static char **words;
static int word_count;
static char dir[] = "/tmp/muster-options-XXXXXX";

static int parse(char **argv)
{
    int argc = 0;
    while (argv[argc] != NULL)
        argc++;
    memset(&flags, 0xee, sizeof(flags));
    err.text[0] = '\0';
    return options_parse(defs, COUNT, &flags, argc, argv, &words, &word_count, &err);
}
#define PARSE(...) parse((char *[]){(char *)(uintptr_t) "prog", __VA_ARGS__, NULL})
#define W(text) ((char[]){text})

static void forget(void)
{
    options_free(defs, COUNT, &flags);
}

static void assert_refused(int rc, const char *text)
{
    assert_int_equal(rc, -EINVAL);
    assert_string_equal(err.text, text);
    forget();
}

/* A file in the test's folder; returns its path, good until the next call but three. */
static const char *write_file(const char *name, const char *text)
{
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
    return path;
}

static char *join(const char *a, const char *b)
{
    static char texts[4][512];
    static int next;
    char *text = texts[next++ % 4];
    size_t a_len = strlen(a), b_len = strlen(b);
    assert_true(a_len + b_len < sizeof(texts[0]));
    memmove(text, a, a_len); /* a may be an earlier result */
    memcpy(text + a_len, b, b_len + 1);
    return text;
}

static void test_parse__defaults(void **state)
{
    (void)state;
    assert_int_equal(PARSE(W("--name=x")), 0);
    assert_string_equal(flags.name, "x");
    assert_null(flags.key);
    assert_true(flags.fast);
    assert_false(flags.notify);
    assert_int_equal(flags.count, 7);
    assert_true(flags.ratio == 0.5);
    assert_int_equal(flags.timeout_ms, 15000);
    assert_int_equal(flags.port, 5050);
    assert_int_equal(word_count, 0);
    forget();
}

static void test_parse__forms_of_an_option(void **state)
{
    (void)state;
    assert_int_equal(PARSE(W("a"), W("--name"), W("--x"), W("--no-fast"), W("b"), W("--notify"),
                           W("--ping-timeout=1.5secs"), W("--port"), W("0"), W("--count=1"), W("--count=2"),
                           W("--ratio=-1e3"), W("--secret-key="), W("-"), W("--"), W("--count=3")),
                     0);
    assert_string_equal(flags.name, "--x");
    assert_string_equal(flags.key, "");
    assert_false(flags.fast);
    assert_true(flags.notify);
    assert_int_equal(flags.count, 2);
    assert_true(flags.ratio == -1000);
    assert_int_equal(flags.timeout_ms, 1500);
    assert_int_equal(flags.port, 0);
    assert_int_equal(word_count, 4);
    assert_string_equal(words[0], "a");
    assert_string_equal(words[1], "b");
    assert_string_equal(words[2], "-");
    assert_string_equal(words[3], "--count=3");
    forget();
    assert_int_equal(PARSE(W("--name=x"), W("--fast=false"), W("--notify"), W("true")), 0);
    assert_false(flags.fast);
    assert_true(flags.notify);
    assert_int_equal(word_count, 1);
    forget();
}

static void test_parse__errors_name_the_option(void **state)
{
    (void)state;
    assert_refused(PARSE(W("--count=1")), "--name is required");
    assert_refused(PARSE(W("--name=x"), W("--speed=1")), "unknown option --speed");
    assert_refused(PARSE(W("--name=x"), W("--nam=1")), "unknown option --nam");
    assert_refused(PARSE(W("--name=x"), W("--no-count")), "unknown option --no-count");
    assert_refused(PARSE(W("--name=x"), W("--count")), "--count needs a value");
    assert_refused(PARSE(W("--name=x"), W("--count=0")), "--count: must be from 1 to 100");
    assert_refused(PARSE(W("--name=x"), W("--count=x")), "--count: a whole number was expected");
    assert_refused(PARSE(W("--name=x"), W("--count=99999999999999999999")), "--count: the number is too large");
    assert_refused(PARSE(W("--name=x"), W("--fast=yes")), "--fast: true or false was expected");
    assert_refused(PARSE(W("--name=x"), W("--ratio=inf")), "--ratio: a number was expected");
    assert_refused(PARSE(W("--name=x"), W("--port=65536")), "--port: a port from 0 to 65535 was expected");
    assert_refused(PARSE(W("--name=x"), W("--port=-1")), "--port: a port from 0 to 65535 was expected");
    assert_refused(PARSE(W("--name=x"), W("--ping_timeout=5")), "--ping_timeout: a duration like 10secs was expected");
    assert_refused(PARSE(W("--name=x"), W("--ping_timeout=2mins")), "--ping_timeout: must be from 1secs to 1mins");
    assert_refused(PARSE(W("--name=x"), W("--ping_timeout=1000000001ns")), "--ping_timeout: finer than a millisecond");
    char *argv[] = {W("prog"), W("--name=x"), W("word"), NULL};
    assert_refused(options_parse(defs, COUNT, &flags, 3, argv, NULL, NULL, &err), "word is not an option");
}

static void test_parse__sources_by_strength(void **state)
{
    (void)state;
    const char *path =
        write_file("a.conf", "# comment\n\n name =  from the file \r\ncount=11\nping-timeout = 2secs\nratio = 0.25");
    assert_int_equal(setenv("MUSTER_COUNT", "22", 1), 0);
    assert_int_equal(setenv("MUSTER_PING_TIMEOUT", "3secs", 1), 0);
    assert_int_equal(PARSE(W("--ping_timeout=4secs"), W("--config"), join(path, "")), 0);
    assert_string_equal(flags.name, "from the file");
    assert_true(flags.ratio == 0.25);
    assert_int_equal(flags.count, 22);
    assert_int_equal(flags.timeout_ms, 4000);
    forget();
    assert_int_equal(setenv("MUSTER_CONFIG", path, 1), 0);
    assert_int_equal(PARSE(W("--name=x")), 0);
    assert_true(flags.ratio == 0.25);
    forget();
    assert_int_equal(unsetenv("MUSTER_CONFIG"), 0);
    assert_int_equal(setenv("MUSTER_COUNT", "abc", 1), 0);
    assert_refused(PARSE(W("--name=x")), "--count (environment): a whole number was expected");
    assert_int_equal(unsetenv("MUSTER_COUNT"), 0);
    assert_int_equal(unsetenv("MUSTER_PING_TIMEOUT"), 0);
}

static void test_parse__bad_files(void **state)
{
    (void)state;
    const char *path = write_file("b.conf", "name = x\nspeed = 1\n");
    assert_refused(PARSE(join("--config=", path)), join(path, " line 2: no option is called \"speed\""));
    path = write_file("c.conf", "name\n");
    assert_refused(PARSE(join("--config=", path)), join(path, " line 1: `name = value` was expected"));
    path = write_file("d.conf", "name = x\ncount = 1000\n");
    assert_refused(PARSE(join("--config=", path)), "--count (configuration file): must be from 1 to 100");
    assert_refused(PARSE(W("--config=/nowhere/x")), "--config: /nowhere/x: No such file or directory");
}

static void test_parse__value_from_a_file(void **state)
{
    (void)state;
    const char *path = write_file("key", "the key\n\n");
    assert_int_equal(PARSE(join("--name=file://", path), join("--secret_key=file://", path)), 0);
    assert_string_equal(flags.key, "the key\n");
    assert_string_equal(flags.name, join("file://", path)); /* not an OPTION_FROM_FILE */
    forget();
    assert_refused(PARSE(W("--name=x"), W("--secret_key=file:///nowhere/x")),
                   "--secret_key: /nowhere/x: No such file or directory");
}

static void test_parse__help_comes_before_other_errors(void **state)
{
    (void)state;
    assert_int_equal(PARSE(W("--help")), OPTIONS_E_HELP);
    forget();
}

static void add_line(void *ctx, const char *name, const char *value)
{
    (void)buf_printf(ctx, "%s=%s\n", name, value);
}

static void test_show__values_help_and_sample(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(PARSE(W("--name=x"), W("--secret_key=s3cret"), W("--ratio=2")), 0);
    options_each(defs, COUNT, &flags, add_line, &out);
    forget();
    char *text = buf_steal_str(&out);
    assert_string_equal(
        text, "name=x\nsecret_key=****\nfast=true\nnotify=false\ncount=7\nratio=2\nping_timeout=15secs\nport=5050\n");
    free(text);
    options_help(defs, COUNT, "prog [options]", &out);
    text = buf_steal_str(&out);
    assert_non_null(strstr(text, "Usage: prog [options]\n"));
    assert_non_null(strstr(text, "--ping_timeout=DURATION            How long. [15secs]\n"));
    assert_non_null(strstr(text, "--name=TEXT                        The name. Required.\n"));
    free(text);
    options_sample(defs, COUNT, "prog", &out);
    text = buf_steal_str(&out);
    assert_non_null(strstr(text, "# prog\n\n# The name. Required.\n# name =\n"));
    assert_non_null(strstr(text, "\n# How long.\n# ping_timeout = 15secs\n"));
    free(text);
    buf_deinit(&out);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"a.conf", "b.conf", "c.conf", "d.conf", "key"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)unlink(join(join(dir, "/"), names[i])); /* may not have been written */
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse__defaults),
        cmocka_unit_test(test_parse__forms_of_an_option),
        cmocka_unit_test(test_parse__errors_name_the_option),
        cmocka_unit_test(test_parse__sources_by_strength),
        cmocka_unit_test(test_parse__bad_files),
        cmocka_unit_test(test_parse__value_from_a_file),
        cmocka_unit_test(test_parse__help_comes_before_other_errors),
        cmocka_unit_test(test_show__values_help_and_sample),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
