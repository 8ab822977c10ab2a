/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/auth/acl.h"

static struct auth_acls *parse(const char *text)
{
    struct err err = {""};
    struct auth_acls *a = NULL;
    if (auth_acls_parse(text, strlen(text), &a, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    return a;
}

struct row {
    const char *principal, *object;
    bool allowed;
};

static void check(const char *text, enum auth_action action, const struct row *rows, size_t count)
{
    struct auth_acls *a = parse(text);
    for (size_t i = 0; i < count; i++) {
        struct auth_approver approver = auth_approver(a, rows[i].principal, action);
        if (auth_allows(a, rows[i].principal, action, rows[i].object) != rows[i].allowed ||
            auth_approves(&approver, rows[i].object) != rows[i].allowed)
            fail_msg("%s: row %zu (%s, %s)", text, i, rows[i].principal, rows[i].object);
    }
    auth_acls_free(a);
}
#define CHECK_ROWS(text, action, ...)                                                                                      \
    check(text, action, (const struct row[]){__VA_ARGS__}, sizeof((const struct row[]){__VA_ARGS__}) / sizeof(struct row))

static void test_acl__without_a_file_everything_is_allowed(void **state)
{
    (void)state;
    assert_true(auth_allows(NULL, NULL, AUTH_RUN_TASK, "root"));
    struct auth_approver approver = auth_approver(NULL, NULL, AUTH_RUN_TASK);
    assert_true(auth_approves(&approver, NULL));
}

static void test_acl__permissive_decides_what_no_entry_does(void **state)
{
    (void)state;
    CHECK_ROWS("{}", AUTH_RUN_TASK, {"a", "root", true}, {NULL, NULL, true});
    CHECK_ROWS("{\"permissive\":true}", AUTH_RUN_TASK, {"a", "root", true});
    CHECK_ROWS("{\"permissive\":false}", AUTH_RUN_TASK, {"a", "root", false}, {NULL, NULL, false});
    CHECK_ROWS("{\"permissive\":false,\"run_tasks\":[]}", AUTH_RUN_TASK, {"a", "root", false});
}

static void test_acl__first_entry_that_fits_both_decides(void **state)
{
    (void)state;
    CHECK_ROWS("{\"permissive\":false,\"run_tasks\":["
               "{\"principals\":{\"values\":[\"a\",\"b\"]},\"users\":{\"values\":[\"alice\"]}},"
               "{\"principals\":{\"values\":[\"a\"]},\"users\":{\"type\":\"NONE\"}},"
               "{\"principals\":{\"type\":\"ANY\"},\"users\":{\"values\":[\"guest\"]}},"
               "{\"principals\":{\"type\":\"NONE\"},\"users\":{\"values\":[\"root\"]}},"
               "{\"principals\":{\"type\":\"SOME\",\"values\":[\"c\"]},\"users\":{\"type\":\"ANY\"}}]}",
               AUTH_RUN_TASK, {"a", "alice", true}, {"b", "alice", true}, {"a", "guest", false},          /* the second */
               {"b", "guest", true}, {NULL, "guest", true}, {NULL, "alice", false}, {"c", "root", false}, /* the fourth */
               {"c", "alice", true}, {"c", NULL, true}, {"a", NULL, false}, {"b", NULL, false}, {"d", "alice", false},
               {"", "alice", false}, {"A", "alice", false});
}

static void test_acl__nobody_in_particular(void **state)
{
    (void)state;
    CHECK_ROWS("{\"permissive\":true,\"view_flags\":[{\"principals\":{\"values\":[\"a\"]},\"flags\":{\"type\":\"ANY\"}},"
               "{\"principals\":{\"type\":\"NONE\"},\"flags\":{\"type\":\"ANY\"}}]}",
               AUTH_VIEW_FLAGS, {"a", NULL, true}, {"b", NULL, false}, {NULL, NULL, false});
    CHECK_ROWS("{\"view_flags\":[{\"principals\":{\"type\":\"ANY\"},\"flags\":{\"type\":\"NONE\"}}]}", AUTH_VIEW_FLAGS,
               {"a", NULL, false}, {NULL, NULL, false});
}

static void test_acl__roles_below_a_role(void **state)
{
    (void)state;
    CHECK_ROWS("{\"permissive\":false,\"register_frameworks\":[{\"principals\":{\"values\":[\"a\"]},"
               "\"roles\":{\"values\":[\"dev/%\",\"ops\"]}}]}",
               AUTH_REGISTER_FRAMEWORK, {"a", "dev/x", true}, {"a", "dev/x/y", true}, {"a", "dev", false},
               {"a", "dev/", false}, {"a", "devil/x", false}, {"a", "x/dev/y", false}, {"a", "ops", true},
               {"a", "ops/x", false}, {"a", "dev/%", true}, {"a", "%", false}, {"b", "dev/x", false});
}

static void test_acl__lists_do_not_mix(void **state)
{
    (void)state;
    struct auth_acls *a = parse("{\"permissive\":false,\"kill_nested_containers\":[{\"principals\":{\"type\":\"ANY\"},"
                                "\"users\":{\"type\":\"ANY\"}}]}");
    for (int i = 0; i < AUTH_ACTION_COUNT; i++)
        assert_int_equal(auth_allows(a, "a", (enum auth_action)i, "x"), i == AUTH_KILL_NESTED_CONTAINER);
    auth_acls_free(a);
}

static void test_acl__bad_files(void **state)
{
    (void)state;
#define ANYBODY "\"principals\":{\"type\":\"ANY\"}"
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "JSON"},
        {"[]", "not an object"},
        {"{\"permissive\":\"no\"}", "permissive"},
        {"{\"permissive\":false,\"permissive\":true}", "duplicate"},
        {"{\"run_tasks\":[],\"run_tasks\":[]}", "duplicate"},
        {"{\"run_task\":[]}", "'run_task' is not the name"},
        {"{\"run_tasks\":{}}", "not a list"},
        {"{\"run_tasks\":[1]}", "run_tasks[0]"},
        {"{\"run_tasks\":[{" ANYBODY "}]}", "users: not there"},
        {"{\"run_tasks\":[{\"users\":{\"type\":\"ANY\"}}]}", "principals: not there"},
        {"{\"run_tasks\":[{" ANYBODY ",\"roles\":{\"type\":\"ANY\"}}]}", "neither principals nor users"},
        {"{\"run_tasks\":[{" ANYBODY ",\"users\":{}}]}", "neither type nor values"},
        {"{\"run_tasks\":[{" ANYBODY ",\"users\":{\"type\":\"any\"}}]}", "type is none"},
        {"{\"run_tasks\":[{" ANYBODY ",\"users\":{\"type\":\"ANY\",\"values\":[\"a\"]}}]}", "has no values"},
        {"{\"run_tasks\":[{" ANYBODY ",\"users\":{\"type\":\"SOME\"}}]}", "needs values"},
        {"{\"run_tasks\":[{" ANYBODY ",\"users\":{\"value\":[\"a\"]}}]}", "neither type nor values"},
        {"{\"run_tasks\":[{" ANYBODY ",\"users\":{\"values\":\"a\"}}]}", "not a list"},
        {"{\"run_tasks\":[{" ANYBODY ",\"users\":{\"values\":[1]}}]}", "not a text"},
        {"{\"view_flags\":[{" ANYBODY ",\"flags\":{\"values\":[\"a\"]}}]}", "only the types"},
        {"{\"get_endpoints\":[{" ANYBODY ",\"paths\":{\"values\":[\"/state\"]}}]}", "can be guarded"},
        {"{\"register_frameworks\":[{" ANYBODY ",\"roles\":{\"values\":[\"%\"]}}]}", "%"},
        {"{\"register_frameworks\":[{" ANYBODY ",\"roles\":{\"values\":[\"a/%/b\"]}}]}", "%"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err = {""};
        struct auth_acls *a = NULL;
        if (auth_acls_parse(rows[i].text, strlen(rows[i].text), &a, &err) == 0)
            fail_msg("taken: %s", rows[i].text);
        if (strstr(err.text, rows[i].why) == NULL)
            fail_msg("%s: '%s' does not say '%s'", rows[i].text, err.text, rows[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acl__without_a_file_everything_is_allowed),
        cmocka_unit_test(test_acl__permissive_decides_what_no_entry_does),
        cmocka_unit_test(test_acl__first_entry_that_fits_both_decides),
        cmocka_unit_test(test_acl__nobody_in_particular),
        cmocka_unit_test(test_acl__roles_below_a_role),
        cmocka_unit_test(test_acl__lists_do_not_mix),
        cmocka_unit_test(test_acl__bad_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
