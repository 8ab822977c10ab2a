/* SPDX-License-Identifier: Apache-2.0
 * test_launch.c - how containers start and end. */
#include "world.h"

static void test_launch__exit_status_is_kept(void **state)
{
    struct world *w = *state;
    struct launcher_spec spec = world_spec(w, "status", "echo out; echo err >&2; exit 7");
    const struct world_container *c = world_do(w, &spec);
    assert_string_equal(c->message, "Exited with status 7");
    assert_int_equal(c->reason, LAUNCHER_END_EXITED);
    assert_int_equal(c->started, 1);
    assert_true(WIFEXITED(c->status) && WEXITSTATUS(c->status) == 7);
    assert_string_equal(world_read(w, "status", "stdout"), "out\n");
    assert_string_equal(world_read(w, "status", "stderr"), "err\n");
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "fetch") == 0)
        return container_fetch_main(argc - 1, argv + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_launch__exit_status_is_kept, world_setup, world_teardown),
    };
    return cmocka_run_group_tests_name("launch", tests, NULL, NULL);
}
