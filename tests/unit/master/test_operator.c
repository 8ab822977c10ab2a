/* SPDX-License-Identifier: Apache-2.0 */
#include "support/master_world.h"

static void test_operator__body_of_the_type_must_be_there(void **state)
{
    (void)state;
    static const struct {
        const char *call, *missing; /* NULL: complete */
    } cases[] = {
        {"{}", "'type'"},
        {"{\"type\":\"GET_METRICS\"}", "'get_metrics'"},
        {"{\"type\":\"MARK_AGENT_GONE\"}", "'mark_agent_gone'"},
        {"{\"type\":\"UPDATE_WEIGHTS\",\"get_metrics\":{}}", "'update_weights'"},
        {"{\"type\":\"GET_HEALTH\"}", NULL},
        {"{\"type\":\"GET_METRICS\",\"get_metrics\":{}}", NULL},
        {"{\"type\":\"UPDATE_WEIGHTS\",\"update_weights\":{}}", NULL},
    };
    struct arena *arena = arena_new(0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = {""};
        const Mesos__V1__Master__Call *call = (const void *)wire_decode(WIRE_JSON, &mesos__v1__master__call__descriptor,
                                                                        cases[i].call, strlen(cases[i].call), arena, &err);
        assert_non_null(call);
        assert_int_equal(master_operator_call_check(call, &err), cases[i].missing != NULL ? 400 : 0);
        if (cases[i].missing != NULL)
            assert_non_null(strstr(err.text, cases[i].missing));
    }
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operator__body_of_the_type_must_be_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
