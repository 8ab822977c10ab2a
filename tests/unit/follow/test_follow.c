/* SPDX-License-Identifier: Apache-2.0
 * test_follow.c - when the event stream is opened, given up, opened again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/follow/follow.h"

static struct follow *follow;
static struct follow_effects effects;

static int setup(void **state)
{
    static const char *const masters[] = {"10.0.0.1:5050", "10.0.0.2:5050"};
    (void)state;
    follow = follow_new(masters, 2, 3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    follow_free(follow);
    return 0;
}

static void step(struct follow_event event)
{
    follow_step(follow, &event, &effects);
}

static uint64_t start(int64_t now)
{
    step((struct follow_event){.type = FOLLOW_TICK, .now_ms = now});
    assert_true(effects.connect && !effects.close);
    return effects.connection;
}

static void test_follow__masters_are_asked_in_turn_with_back_off(void **state)
{
    int64_t now = 1000, last_wait = 0;
    (void)state;
    for (int i = 0; i < 12; i++) {
        uint64_t connection = start(now);
        assert_string_equal(effects.address, i % 2 == 0 ? "10.0.0.1:5050" : "10.0.0.2:5050");
        step((struct follow_event){.type = FOLLOW_CLOSED, .now_ms = now, .connection = connection});
        int64_t wait = follow_next_deadline(follow) - now;
        assert_in_range(wait, FOLLOW_BACKOFF_MIN_MS / 2, FOLLOW_BACKOFF_MAX_MS);
        step((struct follow_event){.type = FOLLOW_TICK, .now_ms = now + wait - 1});
        assert_false(effects.connect);
        now += wait;
        last_wait = wait;
    }
    assert_true(last_wait >= FOLLOW_BACKOFF_MAX_MS / 2);
    uint64_t connection = start(now); /* a snapshot starts the back-off anew */
    step((struct follow_event){.type = FOLLOW_OPENED, .now_ms = now, .connection = connection});
    step((struct follow_event){.type = FOLLOW_RECORD, .now_ms = now, .connection = connection, .is_snapshot = true});
    assert_true(follow_is_current(follow));
    step((struct follow_event){.type = FOLLOW_CLOSED, .now_ms = now, .connection = connection});
    assert_true(follow_next_deadline(follow) - now <= FOLLOW_BACKOFF_MIN_MS);
    assert_false(follow_is_current(follow));
}

static void test_follow__redirects_at_once_but_not_for_ever(void **state)
{
    uint64_t connection = start(0);
    (void)state;
    for (int i = 0; i < FOLLOW_REDIRECTS_MAX; i++) {
        step((struct follow_event){.type = FOLLOW_ANSWER,
                                   .connection = connection,
                                   .status = 307,
                                   .location = i % 2 ? "//10.0.0.7:5051/api/v1" : "http://10.0.0.7:5051/api/v1"});
        assert_true(effects.connect);
        assert_string_equal(effects.address, "10.0.0.7:5051");
        connection = effects.connection;
    }
    step((struct follow_event){
        .type = FOLLOW_ANSWER, .connection = connection, .status = 307, .location = "//10.0.0.7:5051"});
    assert_false(effects.connect);
    assert_true(follow_next_deadline(follow) > 0);
    static const char *const bad[] = {NULL, "", "/api/v1", "//", "//nowhere", "https://10.0.0.7:1/"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        connection = start(100000 * (int64_t)(i + 1));
        step((struct follow_event){.type = FOLLOW_ANSWER,
                                   .now_ms = 100000 * (int64_t)(i + 1),
                                   .connection = connection,
                                   .status = 307,
                                   .location = bad[i]});
        assert_false(effects.connect);
    }
}

static void test_follow__silent_stream_is_given_up(void **state)
{
    uint64_t connection = start(0);
    (void)state;
    step((struct follow_event){.type = FOLLOW_OPENED, .now_ms = 10, .connection = connection});
    step((struct follow_event){
        .type = FOLLOW_RECORD, .now_ms = 20, .connection = connection, .is_snapshot = true, .heartbeat_seconds = 2});
    assert_int_equal(follow_next_deadline(follow), 6020);
    step((struct follow_event){.type = FOLLOW_RECORD, .now_ms = 1020, .connection = connection});
    step((struct follow_event){.type = FOLLOW_TICK, .now_ms = 7019});
    assert_false(effects.close);
    step((struct follow_event){.type = FOLLOW_TICK, .now_ms = 7020});
    assert_true(effects.close && !effects.connect);
    assert_false(follow_is_current(follow));
    /* what still comes from it is nobody's */
    step((struct follow_event){.type = FOLLOW_RECORD, .now_ms = 7021, .connection = connection, .is_snapshot = true});
    assert_false(follow_is_current(follow));
}

static void test_follow__silent_connection_and_broken_stream(void **state)
{
    uint64_t connection = start(0);
    (void)state;
    step((struct follow_event){.type = FOLLOW_TICK, .now_ms = FOLLOW_ANSWER_MS});
    assert_true(effects.close);
    connection = start(FOLLOW_ANSWER_MS + 1000);
    step((struct follow_event){.type = FOLLOW_OPENED, .now_ms = 20000, .connection = connection});
    step((struct follow_event){.type = FOLLOW_BROKEN, .now_ms = 20001, .connection = connection});
    assert_true(effects.close);
    step((struct follow_event){.type = FOLLOW_CLOSED, .now_ms = 20002, .connection = connection - 1});
    assert_false(effects.close || effects.connect);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_follow__masters_are_asked_in_turn_with_back_off),
        TEST(test_follow__redirects_at_once_but_not_for_ever),
        TEST(test_follow__silent_stream_is_given_up),
        TEST(test_follow__silent_connection_and_broken_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
