/* SPDX-License-Identifier: Apache-2.0
 * test_containers.c - the table of containers made by the operator API, and the records of their input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/attach.h"
#include "agent/containers.h"
#include "common/base/check.h"

struct bench {
    struct agent_containers table;
    struct arena *arena;
    int forgotten;
};

static void on_forgotten(void *ctx, const struct agent_container *one)
{
    struct bench *b = ctx;
    assert_non_null(one->path);
    b->forgotten++;
}

static int setup(void **state)
{
    struct bench *b = test_calloc(1, sizeof(*b));
    agent_containers_init(&b->table, 1);
    b->table.forgotten = on_forgotten;
    b->table.ctx = b;
    b->arena = arena_new(0);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    agent_containers_check_invariants(&b->table);
    agent_containers_deinit(&b->table);
    (void)arena_free(b->arena);
    test_free(b);
    return 0;
}

static const Mesos__V1__ContainerID *id_of(struct bench *b, const char *outer, const char *inner)
{
    Mesos__V1__ContainerID *ids = arena_new_array(b->arena, Mesos__V1__ContainerID, 2);
    mesos__v1__container_id__init(&ids[0]);
    mesos__v1__container_id__init(&ids[1]);
    ids[0].value = (char *)(uintptr_t)outer;
    ids[1].value = (char *)(uintptr_t)inner;
    ids[1].parent = &ids[0];
    return inner ? &ids[1] : &ids[0];
}

static void test_id__becomes_a_path_and_back(void **state)
{
    struct bench *b = *state;
    struct err err;
    assert_string_equal(agent_container_path(id_of(b, "a", NULL), b->arena, &err), "a");
    assert_string_equal(agent_container_path(id_of(b, "a", "b"), b->arena, &err), "a.b");
    const Mesos__V1__ContainerID *id = agent_container_id("a.b.c", b->arena);
    assert_string_equal(id->value, "c");
    assert_string_equal(id->parent->value, "b");
    assert_string_equal(id->parent->parent->value, "a");
    assert_null(id->parent->parent->parent);
}

static void test_id__hostile_ones_are_refused_in_mesos_words(void **state)
{
    struct bench *b = *state;
    static char longest[244];
    memset(longest, 'x', 243);
    const struct {
        const char *id, *text;
    } rows[] = {{"", "ID must not be empty"},
                {longest, "ID must not be greater than 242 characters"},
                {".", "'.' is disallowed"},
                {"..", "'..' is disallowed"},
                {"a/b", "'a/b' contains invalid characters"},
                {"a\\b", "'a\\b' contains invalid characters"},
                {"a\tb", "'a\tb' contains invalid characters"},
                {"a\x7f", "'a\x7f' contains invalid characters"},
                {"a.b", "'ContainerID.value' 'a.b' contains invalid characters"},
                {"a b", "'ContainerID.value' 'a b' contains invalid characters"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err = {""};
        char expected[600];
        assert_null(agent_container_path(id_of(b, rows[i].id, NULL), b->arena, &err));
        assert_string_equal(err.text, rows[i].text);
        assert_null(agent_container_path(id_of(b, rows[i].id, "x"), b->arena, &err));
        (void)snprintf(expected, sizeof(expected), "'ContainerID.parent' is invalid: %s", rows[i].text);
        assert_string_equal(err.text, expected);
    }
    struct err err = {""};
    Mesos__V1__ContainerID ids[AGENT_CONTAINER_DEPTH_MAX + 1];
    for (int i = 0; i <= AGENT_CONTAINER_DEPTH_MAX; i++) {
        mesos__v1__container_id__init(&ids[i]);
        ids[i].value = (char *)(uintptr_t) "x";
        ids[i].parent = i > 0 ? &ids[i - 1] : NULL;
    }
    assert_non_null(agent_container_path(&ids[AGENT_CONTAINER_DEPTH_MAX - 1], b->arena, &err));
    assert_null(agent_container_path(&ids[AGENT_CONTAINER_DEPTH_MAX], b->arena, &err));
}

static struct agent_container *add(struct bench *b, const char *path, enum agent_container_kind kind, const char *root)
{
    struct agent_container *one = NULL;
    assert_int_equal(agent_container_add(&b->table, path, kind, root, "/box", false, &one), 0);
    agent_containers_check_invariants(&b->table);
    return one;
}

static const struct launcher_end end_7 = {.reason = LAUNCHER_END_EXITED, .status = 7 << 8, .message = "over"};

static void test_life__from_start_to_removal(void **state)
{
    struct bench *b = *state;
    struct agent_container *one = add(b, "root.a", AGENT_CONTAINER_NESTED, "root"), *again = NULL;
    assert_int_equal(agent_container_add(&b->table, "root.a", AGENT_CONTAINER_NESTED, "root", "/box", false, &again),
                     -EEXIST);
    assert_int_equal(one->state, AGENT_CONTAINER_STARTING);
    assert_false(agent_container_started(&b->table, "nobody", 5));
    assert_true(agent_container_started(&b->table, one->launcher_id, 5));
    assert_int_equal(one->state, AGENT_CONTAINER_RUNNING);
    assert_true(agent_container_ended(&b->table, one->launcher_id, &end_7));
    assert_true(agent_container_ended(&b->table, one->launcher_id, &end_7)); /* told twice: nothing more */
    assert_int_equal(one->state, AGENT_CONTAINER_ENDED);
    assert_int_equal(one->end.status, 7 << 8);
    assert_true(agent_container_started(&b->table, one->launcher_id, 5)); /* late news do not wake it */
    assert_int_equal(one->state, AGENT_CONTAINER_ENDED);
    agent_containers_check_invariants(&b->table);
    agent_container_remove(&b->table, one);
    assert_null(agent_container_find(&b->table, "root.a"));
    assert_int_equal(b->forgotten, 1);
    (void)add(b, "root.a", AGENT_CONTAINER_NESTED, "root");
}

static void test_root__its_end_forgets_what_is_inside(void **state)
{
    struct bench *b = *state;
    (void)add(b, "root.a", AGENT_CONTAINER_NESTED, "root");
    (void)add(b, "root.a.b", AGENT_CONTAINER_SESSION, "root");
    struct agent_container *other = add(b, "other", AGENT_CONTAINER_STANDALONE, NULL);
    (void)add(b, "other.a", AGENT_CONTAINER_NESTED, other->launcher_id);
    agent_containers_root_ended(&b->table, "root");
    agent_containers_root_ended(&b->table, "root");
    agent_containers_check_invariants(&b->table);
    assert_null(agent_container_find(&b->table, "root.a"));
    assert_null(agent_container_find(&b->table, "root.a.b"));
    assert_int_equal(b->forgotten, 2);
    assert_true(agent_container_ended(&b->table, other->launcher_id, &end_7));
    agent_containers_inside_ended(&b->table, other);
    assert_null(agent_container_find(&b->table, "other.a"));
    assert_ptr_equal(agent_container_find(&b->table, "other"), other);
}

static void test_bounds__running_ones_are_refused_ended_ones_forgotten(void **state)
{
    struct bench *b = *state;
    char path[32];
    struct agent_container *one;
    for (int i = 0; i < AGENT_CONTAINERS_MAX; i++) {
        (void)snprintf(path, sizeof(path), "root.%d", i);
        assert_int_equal(agent_container_add(&b->table, path, AGENT_CONTAINER_SESSION, "root", "/box", false, &one), 0);
    }
    assert_int_equal(agent_container_add(&b->table, "root.more", AGENT_CONTAINER_SESSION, "root", "/box", false, &one),
                     -ENOSPC);
    for (int i = 0; i < AGENT_CONTAINERS_ENDED_MAX + 10; i++) {
        (void)snprintf(path, sizeof(path), "root.%d", i);
        one = agent_container_find(&b->table, path);
        assert_true(agent_container_ended(&b->table, one->launcher_id, &end_7));
    }
    assert_null(agent_container_find(&b->table, "root.9"));
    assert_non_null(agent_container_find(&b->table, "root.10"));
    (void)add(b, "root.more", AGENT_CONTAINER_SESSION, "root");
}

/* -- input ---------------------------------------------------------------------------------------------------- */

#define CALL(fields) "{\"type\":\"ATTACH_CONTAINER_INPUT\",\"attach_container_input\":{" fields "}}"
#define IO(fields) CALL("\"type\":\"PROCESS_IO\",\"process_io\":{" fields "}")
#define FIRST CALL("\"type\":\"CONTAINER_ID\",\"container_id\":{\"value\":\"c\"}")

static int give(struct bench *b, struct agent_input_parser *p, const char *record, const Mesos__V1__ContainerID **id)
{
    return agent_input_record(p, record, strlen(record), b->arena, id);
}

static void test_input__records_become_packets(void **state)
{
    struct bench *b = *state;
    struct agent_input_parser p;
    const Mesos__V1__ContainerID *id;
    size_t len;
    agent_input_init(&p, WIRE_JSON);
    assert_int_equal(give(b, &p, FIRST, &id), 1);
    assert_string_equal(id->value, "c");
    assert_null(agent_input_packet(&p, &len));
    assert_int_equal(give(b, &p, IO("\"type\":\"DATA\",\"data\":{\"type\":\"STDIN\",\"data\":\"YWJj\"}"), &id), 0);
    assert_int_equal(give(b, &p, IO("\"type\":\"CONTROL\",\"control\":{\"type\":\"HEARTBEAT\"}"), &id), 0);
    assert_int_equal(give(b, &p,
                          IO("\"type\":\"CONTROL\",\"control\":{\"type\":\"TTY_INFO\",\"tty_info\":{\"window_size\":"
                             "{\"rows\":70000,\"columns\":80}}}"),
                          &id),
                     0);
    assert_int_equal(give(b, &p, IO("\"type\":\"DATA\",\"data\":{\"type\":\"STDIN\",\"data\":\"\"}"), &id), 0);
    assert_memory_equal(agent_input_packet(&p, &len), "iabc", 4);
    assert_int_equal(len, 4);
    agent_input_taken(&p);
    const uint8_t *packet = agent_input_packet(&p, &len);
    struct launcher_window w;
    assert_int_equal(packet[0], LAUNCHER_PACKET_WINDOW);
    memcpy(&w, packet + 1, sizeof(w));
    assert_int_equal(w.rows, UINT16_MAX);
    assert_int_equal(w.columns, 80);
    agent_input_taken(&p);
    assert_int_equal(agent_input_packet(&p, &len)[0], LAUNCHER_PACKET_STDIN);
    assert_int_equal(len, 1);
    agent_input_taken(&p);
    assert_null(agent_input_packet(&p, &len));
    agent_input_deinit(&p);
}

static void test_input__mistakes_get_their_status(void **state)
{
    struct bench *b = *state;
    static const struct {
        bool is_first;
        const char *record;
        int status;
    } rows[] = {
        {true, "nonsense", 400},
        {true, "{}", 400},
        {true, "{\"type\":\"GET_HEALTH\"}", 415},
        {true, "{\"type\":\"ATTACH_CONTAINER_INPUT\"}", 400},
        {true, CALL(""), 400},
        {true, IO(""), 400},
        {true, CALL("\"type\":\"CONTAINER_ID\""), 400},
        {false, FIRST, 400},
        {false, CALL("\"type\":\"PROCESS_IO\""), 400},
        {false, IO(""), 400},
        {false, IO("\"type\":\"UNKNOWN\""), 400},
        {false, IO("\"type\":\"DATA\""), 400},
        {false, IO("\"type\":\"DATA\",\"data\":{\"data\":\"YQ==\"}"), 400},
        {false, IO("\"type\":\"DATA\",\"data\":{\"type\":\"STDERR\",\"data\":\"YQ==\"}"), 400},
        {false, IO("\"type\":\"CONTROL\""), 400},
        {false, IO("\"type\":\"CONTROL\",\"control\":{}"), 400},
        {false, IO("\"type\":\"CONTROL\",\"control\":{\"type\":\"UNKNOWN\"}"), 400},
        {false, IO("\"type\":\"CONTROL\",\"control\":{\"type\":\"TTY_INFO\"}"), 400},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct agent_input_parser p;
        const Mesos__V1__ContainerID *id;
        size_t len;
        agent_input_init(&p, WIRE_JSON);
        if (!rows[i].is_first)
            assert_int_equal(give(b, &p, FIRST, &id), 1);
        assert_int_equal(give(b, &p, rows[i].record, &id), -EPROTO);
        if (p.status != rows[i].status)
            fail_msg("%s: %d %s", rows[i].record, p.status, p.text);
        assert_null(agent_input_packet(&p, &len));
        agent_input_deinit(&p);
    }
}

static void test_input__what_is_queued_has_a_bound(void **state)
{
    struct bench *b = *state;
    struct agent_input_parser p;
    const Mesos__V1__ContainerID *id;
    static char record[700 << 10];
    size_t len,
        at = (size_t)snprintf(record, sizeof(record), "%s",
                              "{\"type\":\"ATTACH_CONTAINER_INPUT\",\"attach_container_input\":{\"type\":\"PROCESS_IO\","
                              "\"process_io\":{\"type\":\"DATA\",\"data\":{\"type\":\"STDIN\",\"data\":\"");
    memset(record + at, 'A', 600 << 10);
    strcpy(record + at + (600 << 10), "\"}}}}");
    agent_input_init(&p, WIRE_JSON);
    assert_int_equal(give(b, &p, FIRST, &id), 1);
    int rc = 0, given = 0;
    struct arena *arena = arena_new((size_t)256 << 20);
    while ((rc = agent_input_record(&p, record, strlen(record), arena, &id)) == 0)
        assert_true(++given < 10);
    assert_int_equal(given, 6); /* 450 KiB each */
    assert_int_equal(p.status, 500);
    for (int i = 0; agent_input_packet(&p, &len) != NULL; i++) {
        assert_in_range(len, 2, 1 + LAUNCHER_PACKET_MAX);
        agent_input_taken(&p);
    }
    (void)arena_free(arena);
    agent_input_deinit(&p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_id__becomes_a_path_and_back),
        TEST(test_id__hostile_ones_are_refused_in_mesos_words),
        TEST(test_life__from_start_to_removal),
        TEST(test_root__its_end_forgets_what_is_inside),
        TEST(test_bounds__running_ones_are_refused_ended_ones_forgotten),
        TEST(test_input__records_become_packets),
        TEST(test_input__mistakes_get_their_status),
        TEST(test_input__what_is_queued_has_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
