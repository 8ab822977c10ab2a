/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/real/loop_ev.h"
#include "common/real/store_leveldb.h"

struct fixture {
    struct loop *loop;
    struct loop_timer *guard;
    char dir[64];
    struct store *store;
    uint64_t tokens[4096];
    int results[4096];
    size_t done, stop_after;
    char seen[4096];
    size_t items, item_bytes;
    bool close_in_done;
};

static void on_guard(void *ctx)
{
    (void)ctx;
    fail_msg("the loop was not stopped in time");
}

static void open_store(struct fixture *f)
{
    struct err err = {{0}};
    if (store_leveldb_open(f->loop, f->dir, &f->store, &err) != 0)
        fail_msg("%s", err.text);
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    f->loop = loop_ev_new();
    f->guard = loop_timer_add(f->loop, on_guard, f);
    loop_timer_start(f->guard, 20000);
    strcpy(f->dir, "/tmp/muster-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    open_store(f);
    *state = f;
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    loop_timer_remove(f->guard);
    loop_ev_free(f->loop);
    (void)nftw(f->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    test_free(f);
    return 0;
}

static void on_done(void *ctx, uint64_t token, int result)
{
    struct fixture *f = ctx;
    f->tokens[f->done] = token;
    f->results[f->done++] = result;
    if (f->close_in_done) {
        store_close(f->store);
        f->store = NULL;
        loop_stop(f->loop);
    }
    if (f->done == f->stop_after)
        loop_stop(f->loop);
}

static void on_item(void *ctx, const void *key, size_t key_len, const void *value, size_t value_len)
{
    struct fixture *f = ctx;
    f->items++;
    f->item_bytes += value_len;
    size_t at = strlen(f->seen);
    if (at + key_len + value_len + 3 < sizeof(f->seen))
        snprintf(f->seen + at, sizeof(f->seen) - at, "%.*s=%.*s ", (int)key_len, (const char *)key, (int)value_len,
                 (const char *)value);
}

static void put(struct fixture *f, uint64_t token, const char *key, const char *value)
{
    struct store_write w = {key, strlen(key), value, value ? strlen(value) : 0};
    store_write(f->store, &w, 1, token, on_done, f);
}

static void run_until(struct fixture *f, size_t done)
{
    f->stop_after = done;
    loop_run(f->loop);
}

static void test_scan__sees_writes_before_it_in_key_order(void **state)
{
    struct fixture *f = *state;
    put(f, 1, "b/2", "two");
    put(f, 2, "b/1", "one");
    put(f, 3, "a", "x");
    put(f, 4, "b/3", "");
    put(f, 5, "c", "y");
    put(f, 6, "b/2", NULL);
    store_scan(f->store, "b/", 2, on_item, 7, on_done, f);
    put(f, 8, "b/4", "later");
    assert_int_equal(f->done, 0); /* never inside the call */
    run_until(f, 8);
    for (uint64_t i = 0; i < 8; i++) {
        assert_int_equal(f->tokens[i], i + 1);
        assert_int_equal(f->results[i], 0);
    }
    assert_string_equal(f->seen, "b/1=one b/3= ");
}

static void test_reopen__finds_everything(void **state)
{
    struct fixture *f = *state;
    put(f, 1, "k", "v");
    put(f, 2, "gone", "v");
    put(f, 3, "gone", NULL);
    store_close(f->store); /* waits for the writes, tells nobody */
    open_store(f);
    store_scan(f->store, "", 0, on_item, 9, on_done, f);
    run_until(f, 1);
    assert_int_equal(f->tokens[0], 9);
    assert_string_equal(f->seen, "k=v ");
}

static void test_group_commit__thousands_of_writes_complete_in_order(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 0; i < 4000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%06u", (unsigned)i);
        put(f, i, key, "value");
    }
    run_until(f, 4000); /* one sync each would take far longer than the guard allows */
    for (uint64_t i = 0; i < 4000; i++)
        assert_int_equal(f->tokens[i], i);
}

static void test_scan__large_results_come_in_pieces(void **state)
{
    struct fixture *f = *state;
    char *large = test_malloc(1u << 20);
    memset(large, 'v', 1u << 20);
    for (uint64_t i = 0; i < 20; i++) {
        struct store_write w = {&i, sizeof(i), large, 1u << 20};
        store_write(f->store, &w, 1, i, on_done, f);
    }
    test_free(large);
    store_scan(f->store, "", 0, on_item, 99, on_done, f);
    run_until(f, 21);
    assert_int_equal(f->items, 20);
    assert_int_equal(f->item_bytes, 20u << 20);
}

static void test_write__many_keys_of_one_call_are_atomic_and_too_large_is_refused_alone(void **state)
{
    struct fixture *f = *state;
    char *large = test_calloc(1, (8u << 20) + 1);
    struct store_write w[] = {{"a", 1, "1", 1}, {"b", 1, large, (8u << 20) + 1}};
    store_write(f->store, w, 2, 1, on_done, f);
    put(f, 2, "c", "3");
    store_scan(f->store, "", 0, on_item, 3, on_done, f);
    run_until(f, 3);
    assert_int_equal(f->results[0], -EMSGSIZE);
    assert_int_equal(f->results[1], 0);
    assert_string_equal(f->seen, "c=3 ");
    test_free(large);
}

static void test_open__locked_or_strange_directory_is_named(void **state)
{
    struct fixture *f = *state;
    struct store *other = NULL;
    struct err err = {{0}};
    assert_int_equal(store_leveldb_open(f->loop, f->dir, &other, &err), -EBUSY);
    assert_non_null(strstr(err.text, f->dir));
    store_close(f->store);
    f->store = NULL;
    char path[128];
    snprintf(path, sizeof(path), "%s/CURRENT", f->dir);
    int fd = open(path, O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, "strange", 7), 7);
    close(fd);
    assert_int_equal(store_leveldb_open(f->loop, f->dir, &other, &err), -EINVAL);
    assert_non_null(strstr(err.text, f->dir));
    assert_true(store_leveldb_open(f->loop, "/nonexistent/a/b", &other, &err) < 0);
}

static void test_close__inside_a_completion(void **state)
{
    struct fixture *f = *state;
    f->close_in_done = true;
    put(f, 1, "a", "1");
    put(f, 2, "b", "2");
    loop_run(f->loop);
    assert_int_equal(f->done, 1);
}

static void test_close__during_a_scan_that_nobody_takes(void **state)
{
    struct fixture *f = *state;
    char *large = test_calloc(1, 1u << 20);
    for (uint64_t i = 0; i < 10; i++) {
        struct store_write w = {&i, sizeof(i), large, 1u << 20};
        store_write(f->store, &w, 1, i, on_done, f);
    }
    test_free(large);
    store_scan(f->store, "", 0, on_item, 99, on_done, f);
    store_close(f->store);
    f->store = NULL;
    assert_int_equal(f->done, 0);
}

/* In a process of its own: the limit on file sizes makes the disk "full". */
static int fail_and_report(const char *dir)
{
    struct fixture f = {.loop = loop_ev_new()};
    strcpy(f.dir, dir);
    if (store_leveldb_open(f.loop, dir, &f.store, NULL) != 0)
        return 10;
    (void)signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {100000, 100000};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 11;
    put(&f, 1, "small", "fits");
    run_until(&f, 1);
    if (f.results[0] != 0)
        return 12;
    char *large = calloc(1, 200000);
    struct store_write w = {"large", 5, large, 200000};
    store_write(f.store, &w, 1, 2, on_done, &f);
    run_until(&f, 2);
    free(large);
    if (f.results[1] >= 0)
        return 13;
    put(&f, 3, "small", "again"); /* would fit */
    store_scan(f.store, "", 0, on_item, 4, on_done, &f);
    run_until(&f, 4);
    if (f.results[2] != f.results[1] || f.results[3] != f.results[1] || f.tokens[3] != 4)
        return 14;
    store_close(f.store);
    loop_ev_free(f.loop);
    return 0;
}

static void test_failure__is_sticky(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    f->store = NULL;
    pid_t pid = fork();
    if (pid == 0)
        _exit(fail_and_report(f->dir));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first, because it forks: no thread of LevelDB has been started in this process before */
        TEST(test_failure__is_sticky),
        TEST(test_scan__sees_writes_before_it_in_key_order),
        TEST(test_reopen__finds_everything),
        TEST(test_group_commit__thousands_of_writes_complete_in_order),
        TEST(test_scan__large_results_come_in_pieces),
        TEST(test_write__many_keys_of_one_call_are_atomic_and_too_large_is_refused_alone),
        TEST(test_open__locked_or_strange_directory_is_named),
        TEST(test_close__inside_a_completion),
        TEST(test_close__during_a_scan_that_nobody_takes),
    };
    return cmocka_run_group_tests_name("store_leveldb", tests, NULL, NULL);
}
