/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

static void order(struct rig *r, const char *config)
{
    Muster__Link__MasterToAgent m = MUSTER__LINK__MASTER_TO_AGENT__INIT;
    Muster__Link__StopDraining stop = MUSTER__LINK__STOP_DRAINING__INIT;
    Muster__Link__Drain drain = MUSTER__LINK__DRAIN__INIT;
    if (config != NULL) {
        drain.config = RIG_JSON(r, mesos__v1__drain_config, config);
        drain.start_ms = r->wall_ms;
        m.drain = &drain;
    } else {
        m.stop_draining = &stop;
    }
    rig_from_master(r, &m);
}

/* A command task that runs on stream 7. */
static void run(struct rig *r, const char *id)
{
    rig_run_command(r, id);
    rig_container_started(r, id);
    rig_subscribe(r, id, 7);
    rig_update(r, id, id, "RUNNING");
    rig_acknowledge(r, id);
    rig_forget_trace(r);
}

static void test_drain__kill_is_reported_as_draining(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    run(r, "t1");
    order(r, "{}");
    rig_expect(r, "stream 7 KILL t1\n");
    rig_update(r, "t1", "t1", "KILLING");
    rig_acknowledge(r, "t1");
    rig_update(r, "t1", "t1", "KILLED");
    rig_expect(r, "reply 3 202\nstream 7 ACKNOWLEDGED t1\n> status t1 KILLING_AGENT_DRAINING\nreply 4 202\nstream 7 "
                  "ACKNOWLEDGED t1\nlimits t1 cpu=100 quota=-1 soft=32 hard=160\n> status t1 KILLED_AGENT_DRAINING\n");
    rig_free(r);
}

static void test_drain__grace_is_the_shorter_one(void **state)
{
    (void)state;
    static const struct {
        const char *policy, *config, *sent;
    } cases[] = {
        {"", "{}", ""},
        {"", "{\"max_grace_period\":{\"nanoseconds\":1000000000}}", " grace=1000ms"},
        {"", "{\"max_grace_period\":{\"nanoseconds\":60000000000}}", ""},
        {",\"kill_policy\":{\"grace_period\":{\"nanoseconds\":60000000000}}",
         "{\"max_grace_period\":{\"nanoseconds\":7000000000}}", " grace=7000ms"},
        {",\"kill_policy\":{\"grace_period\":{\"nanoseconds\":5000000}}",
         "{\"max_grace_period\":{\"nanoseconds\":7000000000}}", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rig *r = rig_ready();
        Mesos__V1__TaskInfo *t =
            rig_task(r, "t1", arena_printf(r->arena, ",\"command\":{\"value\":\"sleep 1000\"}%s", cases[i].policy));
        rig_run(r, &t, 1, NULL);
        rig_container_started(r, "t1");
        rig_subscribe(r, "t1", 7);
        rig_forget_trace(r);
        order(r, cases[i].config);
        rig_expect(r, arena_printf(r->arena, "stream 7 KILL t1%s\n", cases[i].sent));
        rig_free(r);
    }
}

static void test_drain__gone_for_those_who_know_the_state(void **state)
{
    (void)state;
    for (int aware = 0; aware < 2; aware++) {
        struct rig *r = rig_ready();
        r->partition_aware = aware != 0;
        run(r, "t1");
        order(r, "{\"mark_gone\":true}");
        rig_forget_trace(r);
        rig_update(r, "t1", "t1", "KILLED");
        rig_expect(r, arena_printf(r->arena,
                                   "reply 3 202\nstream 7 ACKNOWLEDGED t1\nlimits t1 cpu=100 quota=-1 soft=32 hard=160\n"
                                   "> status t1 %s_AGENT_DRAINING\n",
                                   aware ? "GONE_BY_OPERATOR" : "KILLED"));
        rig_acknowledge(r, "t1");
        assert_int_equal(agent_task_state(r->a, RIG_FRAMEWORK, "t1"), -1);
        rig_free(r);
    }
}

static void test_drain__other_ends_keep_their_reason(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    run(r, "t1");
    order(r, "{\"mark_gone\":true}");
    rig_forget_trace(r);
    rig_update(r, "t1", "t1", "FINISHED");
    rig_expect(
        r, "reply 3 202\nstream 7 ACKNOWLEDGED t1\nlimits t1 cpu=100 quota=-1 soft=32 hard=160\n> status t1 FINISHED\n");
    rig_free(r);
}

static void test_drain__task_that_was_not_delivered(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_command(r, "t1");
    rig_forget_trace(r);
    order(r, "{}");
    rig_expect(r, "destroy t1\n> status t1 KILLED_AGENT_DRAINING\n");
    rig_run_command(r, "t2"); /* crossed the order */
    rig_expect(r, "> status t2 KILLED_AGENT_DRAINING\n");
    rig_free(r);
}

static void test_drain__survives_a_restart_until_it_is_taken_back(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    run(r, "t1");
    order(r, "{\"max_grace_period\":{\"nanoseconds\":1000000000}}");
    rig_crash(r);
    rig_boot(r);
    rig_container_started(r, "t1");
    rig_recovered(r);
    rig_subscribe(r, "t1", 8);
    rig_expect(r, "recover 1\nlimits t1 cpu=1100 quota=-1 soft=160 hard=160\nstream 8 open\nstream 8 "
                  "SUBSCRIBED\nopen\nstream 8 KILL t1 grace=1000ms\n");
    rig_link_up(r);
    rig_registered(r, true); /* a master that does not drain it any more */
    rig_forget_trace(r);
    rig_update(r, "t1", "t1", "KILLED");
    rig_expect(r, "reply 4 202\nstream 8 ACKNOWLEDGED t1\nlimits t1 cpu=100 quota=-1 soft=32 hard=160\n> status t1 "
                  "KILLED\n");
    rig_acknowledge(r, "t1");
    run(r, "t2");
    rig_expect(r, "");
    rig_free(r);
}

static void test_drain__taken_back(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    order(r, "{}");
    size_t before = map_count(&r->disk);
    order(r, NULL);
    assert_int_equal(map_count(&r->disk), before - 1);
    run(r, "t1");
    rig_expect(r, "");
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drain__kill_is_reported_as_draining),
        cmocka_unit_test(test_drain__grace_is_the_shorter_one),
        cmocka_unit_test(test_drain__gone_for_those_who_know_the_state),
        cmocka_unit_test(test_drain__other_ends_keep_their_reason),
        cmocka_unit_test(test_drain__task_that_was_not_delivered),
        cmocka_unit_test(test_drain__survives_a_restart_until_it_is_taken_back),
        cmocka_unit_test(test_drain__taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
