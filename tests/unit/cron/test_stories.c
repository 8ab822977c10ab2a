/* SPDX-License-Identifier: Apache-2.0
 * Stories: the core of cron between an API user, a master, a store and two clocks. */
#include "tests/unit/cron/world.h"

#define RUNNING MESOS__V1__TASK_STATE__TASK_RUNNING
#define FINISHED MESOS__V1__TASK_STATE__TASK_FINISHED
#define FAILED MESOS__V1__TASK_STATE__TASK_FAILED
#define GONE MESOS__V1__TASK_STATE__TASK_GONE
#define DROPPED MESOS__V1__TASK_STATE__TASK_DROPPED
#define UNREACHABLE MESOS__V1__TASK_STATE__TASK_UNREACHABLE
#define RECONCILIATION MESOS__V1__TASK_STATUS__REASON__REASON_RECONCILIATION
#define RESTARTED MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_RESTARTED
#define MINUTE 60000
#define EVERY_MINUTE(more) ",\"schedules\":[{\"id\":\"s\",\"cron\":\"* * * * *\"" more "}]"

static void story__a_run_goes_from_the_api_to_the_history(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "one.two", ",\"env\":{\"A\":\"b\"}", "");
    assert_false(w.wants_offers);
    world_run(&w, "one.two");
    assert_string_equal(world_at(&w, "status"), "STARTING");
    assert_string_equal(world_at(&w, "completedAt"), "null");
    assert_true(w.wants_offers);
    world_offer(&w);
    assert_int_equal(world_alive(&w), 1);
    assert_false(w.wants_offers);
    const struct world_task *t = world_task(&w, 0);
    assert_memory_equal(t->id, "one_two_20231114221320", 22);
    assert_memory_equal(world_env(t, "MARATHON_APP_ID"), "/one/two/20231114221320", 23);
    assert_string_equal(world_env(t, "A"), "b");
    assert_string_equal(world_env(t, "MUSTER_JOB_ID"), "one.two");
    world_update(&w, 0, RUNNING);
    world_call(&w, CRON_LIST_RUNS, "one.two", NULL, NULL);
    assert_string_equal(world_at(&w, "0.status"), "ACTIVE");
    assert_string_equal(world_at(&w, "0.tasks.0.status"), "TASK_RUNNING");
    world_pass(&w, 5000);
    world_update(&w, 0, FINISHED);
    assert_int_equal(w.acknowledged, 2);
    world_call(&w, CRON_LIST_RUNS, "one.two", NULL, NULL);
    assert_int_equal(world_size_at(&w, ""), 0); /* ended runs leave at once */
    world_history(&w, "one.two");
    assert_string_equal(world_at(&w, "runs.0.status"), "SUCCESS");
    assert_string_equal(world_at(&w, "runs.0.durationMs"), "5000");
    assert_string_equal(world_at(&w, "runs.0.tasks.0.host"), "h1");
    assert_int_equal(world_published(&w, "job_run_finished"), 1);
    world_deinit(&w);
}

static void finish_first_task(struct world *w)
{
    w->while_reading = NULL;
    world_update(w, 0, FAILED);
}

/* A run that ends while the history is read is an active one in the answer, and in the next one an ended one. */
static void story__a_history_and_its_counts_are_of_one_moment(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "j", "", "");
    world_run(&w, "j");
    world_offer(&w);
    world_update(&w, 0, RUNNING);
    w.while_reading = finish_first_task;
    struct cron_request r = {.type = CRON_GET_JOB, .job_id = "j", .embed = CRON_EMBED_ACTIVE_RUNS | CRON_EMBED_HISTORY};
    world_request(&w, &r, NULL);
    assert_int_equal(world_size_at(&w, "activeRuns"), 1);
    assert_string_equal(world_at(&w, "history.failureCount"), "0");
    assert_string_equal(world_at(&w, "history.failedFinishedRuns"), "[]");
    world_request(&w, &r, NULL);
    assert_int_equal(world_size_at(&w, "activeRuns"), 0);
    assert_string_equal(world_at(&w, "history.failureCount"), "1");
    assert_memory_equal(world_at(&w, "history.failedFinishedRuns.0.id"), "20231114", 8);
    world_deinit(&w);
}

static void story__nothing_is_said_before_it_is_stored(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.hold_writes = true;
    struct cron_request r = {.type = CRON_CREATE_JOB, .with_schedules = true};
    world_request(&w, &r, "{\"id\":\"j\",\"run\":{\"cmd\":\"true\",\"cpus\":1,\"mem\":32,\"disk\":0}}");
    assert_int_equal(w.status, 0);
    world_confirm_writes(&w);
    assert_int_equal(w.status, 201);
    world_call(&w, CRON_CREATE_RUN, "j", NULL, NULL);
    world_confirm_writes(&w);
    world_offer(&w);
    assert_int_equal(world_alive(&w), 0); /* decided, not sent */
    world_confirm_writes(&w);
    assert_int_equal(world_alive(&w), 1);
    world_update(&w, 0, FINISHED);
    assert_int_equal(w.acknowledged, 0);
    world_confirm_writes(&w);
    assert_int_equal(w.acknowledged, 1);
    world_deinit(&w);
}

static void story__every_minute_is_one_run(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "j", "", EVERY_MINUTE(""));
    assert_string_equal(world_at(&w, "schedules.0.nextRunAt"), "2023-11-14T22:14:00.000+0000");
    for (int k = 0; k < 10; k++) {
        world_pass(&w, MINUTE);
        world_flow(&w);
    }
    assert_int_equal(w.task_count, 10);
    assert_int_equal(world_ended(&w, "j", "SUCCESS"), 10);
    assert_string_equal(world_at(&w, "runs.9.dueAt"), "2023-11-14T22:14:00.000+0000");
    assert_string_equal(world_at(&w, "runs.8.intervalStart"), "2023-11-14T22:14:00.000+0000");
    assert_string_equal(world_at(&w, "runs.8.intervalEnd"), "2023-11-14T22:15:00.000+0000");
    world_deinit(&w);
}

static void story__a_restart_neither_repeats_nor_loses_a_moment(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "j", "", EVERY_MINUTE(""));
    world_pass(&w, 40000); /* 22:14:00: decided, in the queue */
    assert_true(w.wants_offers);
    world_restart(&w, 1000, true);
    assert_true(w.wants_offers);
    world_flow(&w);
    assert_int_equal(w.task_count, 1);
    world_restart(&w, 62000, true); /* over 22:15:00 */
    world_flow(&w);
    assert_int_equal(w.task_count, 2);
    world_restart(&w, 5 * MINUTE, true); /* the newest of five is late, the others were missed */
    world_flow(&w);
    assert_int_equal(w.task_count, 3);
    assert_int_equal(world_ended(&w, "j", "SKIPPED"), 1);
    assert_string_equal(world_at(&w, "runs.1.count"), "4");
    world_restart(&w, 60 * MINUTE, true);
    world_flow(&w);
    assert_int_equal(w.task_count, 4);
    world_deinit(&w);
}

static void story__what_was_missed_may_run_once_or_be_caught_up(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "skip", "", ",\"schedules\":[{\"id\":\"s\",\"cron\":\"0 * * * *\",\"startingDeadlineSeconds\":60}]");
    world_job(&w, "once", "",
              ",\"schedules\":[{\"id\":\"s\",\"cron\":\"0 * * * *\",\"startingDeadlineSeconds\":60,"
              "\"missedPolicy\":\"RUN_ONCE\"}]");
    world_job(&w, "each", "",
              ",\"schedules\":[{\"id\":\"s\",\"cron\":\"0 * * * *\",\"startingDeadlineSeconds\":60,"
              "\"missedPolicy\":\"CATCH_UP\",\"catchUpLimit\":3,\"concurrencyPolicy\":\"FORBID\"}]");
    world_restart(&w, 300 * MINUTE, true); /* five hours, until 03:13 */
    world_call(&w, CRON_LIST_RUNS, "skip", NULL, NULL);
    assert_int_equal(world_size_at(&w, ""), 0);
    world_call(&w, CRON_LIST_RUNS, "once", NULL, NULL);
    assert_int_equal(world_size_at(&w, ""), 1);
    assert_string_equal(world_at(&w, "0.trigger"), "CATCH_UP");
    world_call(&w, CRON_LIST_RUNS, "each", NULL, NULL);
    assert_int_equal(world_size_at(&w, ""), 3);
    assert_string_equal(world_at(&w, "0.dueAt"), "2023-11-15T01:00:00.000+0000");
    assert_string_equal(world_at(&w, "0.intervalStart"), "2023-11-15T00:00:00.000+0000");
    assert_string_equal(world_at(&w, "0.status"), "STARTING");
    assert_string_equal(world_at(&w, "1.status"), "INITIAL"); /* one after the other */
    world_flow(&w);
    assert_int_equal(world_ended(&w, "skip", "SKIPPED"), 1);
    assert_string_equal(world_at(&w, "runs.0.count"), "5");
    assert_int_equal(world_ended(&w, "once", "SUCCESS"), 1);
    assert_int_equal(world_ended(&w, "each", "SUCCESS"), 3);
    assert_int_equal(world_ended(&w, "each", "SKIPPED"), 1);
    world_restart(&w, 1000, true);
    world_flow(&w);
    assert_int_equal(w.task_count, 4);
    world_deinit(&w);
}

static void story__a_year_away_is_no_million_of_steps(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "j", "", EVERY_MINUTE(",\"missedPolicy\":\"CATCH_UP\",\"catchUpLimit\":5"));
    world_restart(&w, INT64_C(366) * 24 * 60 * MINUTE, true);
    world_flow(&w);
    assert_int_equal(w.task_count, 5);
    assert_int_equal(world_ended(&w, "j", "SKIPPED"), 1);
    world_deinit(&w);
}

static void story__the_calendar_may_step(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "j", "", EVERY_MINUTE(""));
    world_pass(&w, MINUTE);
    world_flow(&w);
    assert_int_equal(w.task_count, 1);
    w.wall_ms -= 10 * MINUTE; /* back: nothing is decided again */
    world_pass(&w, 9 * MINUTE);
    world_flow(&w);
    assert_int_equal(w.task_count, 1);
    world_pass(&w, 2 * MINUTE);
    world_flow(&w);
    assert_int_equal(w.task_count, 2);
    w.wall_ms += 10 * MINUTE; /* forth: noticed within a minute, the newest runs, the others were missed */
    world_pass(&w, MINUTE);
    world_flow(&w);
    assert_int_equal(world_ended(&w, "j", "SKIPPED"), 1);
    world_deinit(&w);
}

/* A request may come before the tick: what was due is decided all the same. */
static void story__a_schedule_ends_behind_what_was_due(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "j", "", EVERY_MINUTE(""));
    w.now_ms += 3 * MINUTE;
    w.wall_ms += 3 * MINUTE;
    world_call(&w, CRON_PUT_SCHEDULE, "j", "s", "{\"id\":\"s\",\"cron\":\"* * * * *\",\"enabled\":false}");
    assert_int_equal(w.status, 200);
    world_pass(&w, 3 * MINUTE);
    world_flow(&w);
    assert_int_equal(w.task_count, 1);
    world_history(&w, "j");
    assert_string_equal(world_at(&w, "runs.1.count"), "2");
    assert_string_equal(world_at(&w, "runs.1.reason"), "missed: a later moment is due as well");
    assert_int_equal(world_size_at(&w, "runs"), 2);
    world_deinit(&w);
}

static void story__forbid_skips_and_replace_replaces(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "f", "", EVERY_MINUTE(",\"concurrencyPolicy\":\"FORBID\""));
    world_pass(&w, MINUTE);
    world_offer(&w);
    world_update(&w, 0, RUNNING);
    world_pass(&w, MINUTE);
    assert_int_equal(world_alive(&w), 1);
    assert_int_equal(world_ended(&w, "f", "SKIPPED"), 1);
    assert_int_equal(world_published(&w, "job_run_skipped"), 1);
    world_flow(&w);
    struct cron_request r = {.type = CRON_DELETE_JOB, .job_id = "f"};
    world_request(&w, &r, NULL);
    assert_int_equal(w.status, 200);
    world_job(&w, "r", "", EVERY_MINUTE(",\"concurrencyPolicy\":\"REPLACE\""));
    world_pass(&w, MINUTE);
    world_offer(&w);
    world_update(&w, 0, RUNNING);
    world_pass(&w, MINUTE);
    assert_true(world_task(&w, 0)->is_kill_asked);
    assert_false(w.wants_offers); /* never both at a time */
    world_update(&w, 0, MESOS__V1__TASK_STATE__TASK_KILLED);
    assert_true(w.wants_offers);
    assert_int_equal(world_ended(&w, "r", "FAILED"), 1);
    assert_string_equal(world_at(&w, "runs.0.reason"), "replaced by a later run");
    world_deinit(&w);
}

static void story__what_does_not_start_in_time_has_failed(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "j", "", ",\"schedules\":[{\"id\":\"s\",\"cron\":\"0 0 * * *\",\"startingDeadlineSeconds\":60}]");
    world_run(&w, "j"); /* by hand: no deadline */
    world_pass(&w, 120 * MINUTE);
    world_call(&w, CRON_LIST_RUNS, "j", NULL, NULL);
    assert_int_equal(world_size_at(&w, ""), 1);
    assert_int_equal(world_ended(&w, "j", "FAILED"), 1);
    assert_string_equal(world_at(&w, "runs.0.reason"), "did not start within its starting deadline");
    world_deinit(&w);
}

static void story__restarts_are_new_tasks_of_the_same_run(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "j", ",\"restart\":{\"policy\":\"ON_FAILURE\",\"retries\":2,\"delaySeconds\":10}", "");
    world_run(&w, "j");
    for (int k = 0; k < 3; k++) {
        assert_true(w.wants_offers);
        world_offer(&w);
        world_update(&w, 0, RUNNING);
        world_update(&w, 0, FAILED);
        assert_false(w.wants_offers);
        world_restart(&w, 1, true);
        world_pass(&w, 9998);
        assert_false(w.wants_offers);
        world_pass(&w, 2);
    }
    assert_int_equal(w.task_count, 3);
    assert_int_equal(world_ended(&w, "j", "FAILED"), 1);
    assert_int_equal(world_size_at(&w, "runs"), 1);
    assert_string_equal(world_at(&w, "runs.0.tasks.2.status"), "TASK_FAILED");
    world_deinit(&w);
}

static void story__a_launch_that_never_arrived_is_made_again(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "j", "", "");
    world_run(&w, "j");
    world_offer(&w);
    world_restart(&w, 1000, false);
    struct kit_event in = {.type = KIT_EVENT_SUBSCRIBED};
    in.subscribed.framework_id = "F1";
    world_step(&w, &in);
    struct arena *a = arena_new(0);
    const struct sdk_task *known;
    assert_int_equal(cron_known_tasks(w.c, a, &known), 1);
    assert_string_equal(known[0].task_id, w.tasks[0].id);
    arena_free(a);
    w.message = "Reconciliation: Task is unknown to the agent";
    world_tell(&w, &w.tasks[0], GONE, RECONCILIATION);
    assert_false(w.wants_offers); /* nothing before the end of the reconciliation */
    in = (struct kit_event){.type = KIT_EVENT_SETTLED};
    world_step(&w, &in);
    assert_true(w.wants_offers);
    world_offer(&w);
    assert_int_equal(w.task_count, 2);
    world_tell(&w, world_task(&w, 0), DROPPED, RESTARTED); /* certain: not even begun */
    assert_false(w.wants_offers);                          /* again, but not in a loop */
    world_pass(&w, 1000);
    world_offer(&w);
    assert_int_equal(w.task_count, 3);
    world_update(&w, 0, RUNNING);
    world_tell(&w, &w.tasks[2], GONE, RECONCILIATION); /* that one ran */
    assert_int_equal(world_ended(&w, "j", "FAILED"), 1);
    assert_false(w.wants_offers);
    world_deinit(&w);
}

/* The write of what the agent said failed, and after the restart the master only repeats it. */
static void story__task_whose_latest_state_is_gone_may_have_run(void **state)
{
    struct world w;
    (void)state;
    world_init(&w);
    world_job(&w, "j", "", "");
    world_run(&w, "j");
    world_offer(&w);
    world_restart(&w, 1000, true);
    w.message = "Reconciliation: Latest task state";
    world_tell(&w, &w.tasks[0], GONE, RECONCILIATION);
    assert_int_equal(world_ended(&w, "j", "FAILED"), 1);
    assert_false(w.wants_offers);
    world_deinit(&w);
}

static void story__unreachable_tasks_may_come_back(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "j", "", "");
    world_run(&w, "j");
    world_offer(&w);
    world_update(&w, 0, RUNNING);
    world_update(&w, 0, UNREACHABLE);
    world_pass(&w, 200000);
    world_update(&w, 0, RUNNING);
    world_pass(&w, 400000);
    assert_int_equal(world_ended(&w, "j", "FAILED"), 0);
    world_update(&w, 0, UNREACHABLE);
    world_pass(&w, 300001);
    assert_int_equal(world_ended(&w, "j", "FAILED"), 1);
    world_update(&w, 0, RUNNING); /* too late: nobody waits for it any more */
    assert_true(world_task(&w, 0)->is_kill_asked);
    world_deinit(&w);
}

static void story__too_long_is_killed(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "j", ",\"maxRunSeconds\":30", "");
    world_run(&w, "j");
    world_offer(&w);
    world_update(&w, 0, RUNNING);
    world_pass(&w, 29999);
    assert_false(world_task(&w, 0)->is_kill_asked);
    world_pass(&w, 1);
    assert_true(world_task(&w, 0)->is_kill_asked);
    world_update(&w, 0, MESOS__V1__TASK_STATE__TASK_KILLED);
    assert_int_equal(world_ended(&w, "j", "FAILED"), 1);
    assert_string_equal(world_at(&w, "runs.0.reason"), "ran longer than it may");
    world_deinit(&w);
}

static void story__kills_are_repeated_and_a_stopped_run_is_over(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "j", "", "");
    world_run(&w, "j");
    char id[64];
    (void)snprintf(id, sizeof(id), "%s", world_at(&w, "id"));
    world_offer(&w);
    world_update(&w, 0, RUNNING);
    world_call(&w, CRON_STOP_RUN, "j", id, NULL);
    assert_int_equal(w.status, 200);
    assert_string_equal(world_at(&w, "id"), id);
    assert_true(world_task(&w, 0)->is_kill_asked);
    world_task(&w, 0)->is_kill_asked = false;
    world_pass(&w, 10000);
    assert_true(world_task(&w, 0)->is_kill_asked);
    world_task(&w, 0)->is_kill_asked = false;
    world_restart(&w, 10, true);
    assert_true(world_task(&w, 0)->is_kill_asked);
    world_update(&w, 0, MESOS__V1__TASK_STATE__TASK_KILLED);
    world_call(&w, CRON_GET_RUN, "j", id, NULL);
    assert_int_equal(w.status, 404);
    struct cron_request r = {.type = CRON_GET_HISTORY, .job_id = "j", .run_id = id};
    world_request(&w, &r, NULL);
    assert_string_equal(world_at(&w, "reason"), "stopped through the API");
    world_deinit(&w);
}

static void story__a_removed_job_takes_its_runs_along(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "j", "", EVERY_MINUTE(""));
    world_pass(&w, MINUTE);
    world_flow(&w);
    world_run(&w, "j");
    world_offer(&w);
    world_call(&w, CRON_DELETE_JOB, "j", NULL, NULL);
    assert_int_equal(w.status, 409);
    struct cron_request r = {.type = CRON_DELETE_JOB, .job_id = "j", .stop_runs = true};
    world_request(&w, &r, NULL);
    assert_int_equal(w.status, 200);
    world_call(&w, CRON_GET_JOB, "j", NULL, NULL);
    assert_int_equal(w.status, 404);
    world_restart(&w, 10, true); /* the run is still dying */
    assert_null(w.fatal);
    world_job(&w, "j", "", "");
    world_pass(&w, 5 * MINUTE);
    world_update(&w, 0, MESOS__V1__TASK_STATE__TASK_KILLED);
    assert_int_equal(w.task_count, 2);
    world_call(&w, CRON_LIST_RUNS, "j", NULL, NULL);
    assert_int_equal(world_size_at(&w, ""), 0);
    world_request(&w, &r, NULL);
    assert_int_equal(map_count(&w.store), 1); /* the framework's id: nothing is left behind */
    world_deinit(&w);
}

static void story__runs_keep_the_definition_they_began_with(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "j", ",\"env\":{\"V\":\"1\"}", "");
    world_run(&w, "j");
    world_call(&w, CRON_PUT_JOB, "j", NULL,
               "{\"id\":\"other\",\"run\":{\"cmd\":\"true\",\"cpus\":0.1,\"mem\":32,\"disk\":0,\"env\":{\"V\":\"2\"}}}");
    assert_int_equal(w.status, 200);
    assert_string_equal(world_at(&w, "id"), "j");
    world_restart(&w, 10, true);
    assert_null(w.fatal);
    world_run(&w, "j");
    world_offer(&w);
    assert_string_equal(world_env(world_task(&w, 0), "V"), "1");
    assert_string_equal(world_env(world_task(&w, 1), "V"), "2");
    world_flow(&w);
    size_t keys = 0;
    for (struct map_entry *e = map_first(&w.store); e; e = map_next(e))
        keys += strncmp(map_key(e), "cron/", 5) == 0;
    assert_int_equal(keys, 3); /* framework, job, progress */
    world_deinit(&w);
}

static void story__parameters_of_a_run(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "j", ",\"env\":{\"A\":\"1\",\"B\":\"1\"}", "");
    world_call(&w, CRON_CREATE_RUN, "j", NULL, "{\"args\":[\"x\",\"y z\"],\"env\":{\"B\":\"2\"}}");
    assert_int_equal(w.status, 201);
    world_restart(&w, 10, true);
    world_offer(&w);
    assert_string_equal(world_task(&w, 0)->info->command->value, "true x y z");
    assert_string_equal(world_env(world_task(&w, 0), "A"), "1");
    assert_string_equal(world_env(world_task(&w, 0), "B"), "2");
    world_call(&w, CRON_CREATE_RUN, "j", NULL, "{\"args\":[1]}");
    assert_int_equal(w.status, 422);
    world_call(&w, CRON_CREATE_RUN, "j", NULL, "{\"env\":{\"A=B\":\"1\"}}");
    assert_int_equal(w.status, 422);
    world_deinit(&w);
}

static void story__an_array_runs_every_index_once(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "a", ",\"array\":{\"count\":10000,\"parallel\":100}", "");
    world_run(&w, "a");
    uint8_t seen[10000] = {0};
    size_t looked = 0;
    for (int round = 0; round < 400; round++) {
        if (w.wants_offers)
            world_offer(&w);
        assert_true(world_alive(&w) <= 100);
        for (; looked < w.task_count; looked++) {
            assert_string_equal(world_env(&w.tasks[looked], "MUSTER_JOB_ARRAY_COUNT"), "10000");
            seen[strtoul(world_env(&w.tasks[looked], "MUSTER_JOB_ARRAY_INDEX"), NULL, 10)]++;
        }
        if (round == 10)
            world_restart(&w, 10, true);
        if (world_alive(&w) == 0)
            break;
        world_end_all(&w, FINISHED);
    }
    for (size_t k = 0; k < 10000; k++)
        assert_int_equal(seen[k], 1);
    assert_int_equal(world_ended(&w, "a", "SUCCESS"), 1);
    assert_string_equal(world_at(&w, "runs.0.array.succeeded"), "10000");
    world_deinit(&w);
}

static void story__failed_indices_are_tried_again_or_end_the_run(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(
        &w, "a",
        ",\"array\":{\"count\":5,\"parallel\":2},\"restart\":{\"policy\":\"ON_FAILURE\",\"retries\":1,\"delaySeconds\":5}",
        "");
    world_run(&w, "a");
    for (int round = 0; round < 50 && world_published(&w, "job_run_failed") == 0; round++) {
        if (w.wants_offers)
            world_offer(&w);
        while (world_alive(&w) > 0) {
            struct world_task *t = world_task(&w, 0);
            bool is_bad = strcmp(world_env(t, "MUSTER_JOB_ARRAY_INDEX"), "3") == 0;
            world_tell(&w, t, is_bad ? FAILED : FINISHED, -1);
        }
        world_restart(&w, 1, true);
        world_pass(&w, 5000);
    }
    assert_int_equal(w.task_count, 6); /* index 3 twice */
    assert_int_equal(world_ended(&w, "a", "FAILED"), 1);
    assert_string_equal(world_at(&w, "runs.0.reason"), "1 of 5 indices failed");
    world_job(&w, "b", ",\"array\":{\"count\":1000,\"parallel\":2,\"onFailure\":\"STOP\"}", "");
    world_run(&w, "b");
    world_offer(&w);
    world_update(&w, 0, FAILED);
    assert_true(world_task(&w, 0)->is_kill_asked);
    world_end_all(&w, FINISHED);
    assert_int_equal(world_ended(&w, "b", "FAILED"), 1);
    assert_int_equal(w.task_count, 8);
    struct cron_request r = {.type = CRON_DELETE_JOB, .job_id = "b"};
    world_request(&w, &r, NULL);
    r.job_id = "a";
    world_request(&w, &r, NULL);
    assert_int_equal(map_count(&w.store), 1);
    world_deinit(&w);
}

/* -- graphs ----------------------------------------------------------------------------------------------------------- */

static void child(struct world *w, const char *id, const char *parents, const char *more)
{
    char text[512];
    (void)snprintf(text, sizeof(text), ",\"dependencies\":[%s]%s", parents, more);
    world_job(w, id, "", text);
}

/* The live task of a job, ended like this. */
static void end_one(struct world *w, const char *job, Mesos__V1__TaskState how)
{
    if (w->wants_offers)
        world_offer(w);
    for (size_t k = 0; k < w->task_count; k++) {
        if (!w->tasks[k].is_over && strcmp(world_env(&w->tasks[k], "MUSTER_JOB_ID"), job) == 0) {
            world_tell(w, &w->tasks[k], how, -1);
            return;
        }
    }
    fail_msg("no task of %s", job);
}

static size_t live(struct world *w, const char *job)
{
    world_call(w, CRON_LIST_RUNS, job, NULL, NULL);
    return world_size_at(w, "");
}

#define P(id) "{\"id\":\"" id "\"}"

static void story__graphs_of_two_runs_never_mix(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "a", "", "");
    child(&w, "b", P("a"), "");
    child(&w, "c", P("a"), "");
    child(&w, "d", P("b") "," P("c"), "");
    world_run(&w, "a");
    end_one(&w, "a", FINISHED);
    assert_int_equal(live(&w, "b"), 1);
    assert_int_equal(live(&w, "c"), 1);
    world_run(&w, "a"); /* a second one overtakes on one side */
    end_one(&w, "a", FINISHED);
    assert_int_equal(live(&w, "b"), 2);
    end_one(&w, "b", FINISHED);
    end_one(&w, "b", FINISHED); /* both of b, none of c */
    assert_int_equal(live(&w, "d"), 0);
    world_restart(&w, 10, true);
    assert_null(w.fatal);
    end_one(&w, "c", FINISHED);
    assert_int_equal(live(&w, "d"), 1);
    end_one(&w, "c", FINISHED);
    assert_int_equal(live(&w, "d"), 2);
    world_flow(&w);
    assert_int_equal(w.task_count, 8);
    struct cron_counts n;
    cron_get_counts(w.c, &n);
    assert_int_equal(n.graphs, 0);
    world_deinit(&w);
}

static void story__a_failed_parent_is_a_reason_in_the_history_of_its_children(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "a", "", "");
    child(&w, "b", P("a"), "");
    child(&w, "c", P("b"), "");
    child(&w, "cleanup", P("a"), ",\"dependencyPolicy\":\"COMPLETION\"");
    world_run(&w, "a");
    end_one(&w, "a", FAILED);
    assert_int_equal(world_ended(&w, "b", "SKIPPED"), 1);
    assert_string_equal(world_at(&w, "runs.0.reason"), "parent a did not succeed");
    assert_int_equal(world_ended(&w, "c", "SKIPPED"), 1);
    assert_int_equal(live(&w, "cleanup"), 1);
    world_flow(&w);
    world_run(&w, "a");
    world_flow(&w);
    assert_int_equal(world_ended(&w, "c", "SUCCESS"), 1);
    world_deinit(&w);
}

static void story__a_child_of_two_roots_uses_each_success_once(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "a", "", "");
    world_job(&w, "b", "", "");
    child(&w, "c", P("a") "," P("b"), "");
    world_run(&w, "a");
    world_flow(&w);
    assert_int_equal(world_ended(&w, "c", "SUCCESS"), 0);
    world_pass(&w, 10);
    world_run(&w, "b");
    world_flow(&w);
    assert_int_equal(world_ended(&w, "c", "SUCCESS"), 1);
    world_pass(&w, 10);
    world_run(&w, "b"); /* the success of a is used up */
    world_flow(&w);
    assert_int_equal(world_ended(&w, "c", "SUCCESS"), 1);
    world_restart(&w, 10, true);
    world_run(&w, "a");
    world_flow(&w);
    assert_int_equal(world_ended(&w, "c", "SUCCESS"), 2);
    world_deinit(&w);
}

static void story__finite_intervals_and_month_ends(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "j", "", ",\"schedules\":[{\"id\":\"s\",\"interval\":\"R3/2023-11-14T22:14:00Z/PT1M\"}]");
    world_pass(&w, 10 * MINUTE);
    world_flow(&w);
    assert_int_equal(w.task_count, 3);
    world_restart(&w, 10 * MINUTE, true);
    world_flow(&w);
    assert_int_equal(w.task_count, 3);
    world_call(&w, CRON_GET_NEXT, "j", NULL, NULL);
    assert_int_equal(world_size_at(&w, "next"), 0);
    world_job(&w, "m", "", ",\"schedules\":[{\"id\":\"s\",\"interval\":\"R/2024-01-31T00:00:00Z/P1M\"}]");
    struct cron_request r = {.type = CRON_GET_NEXT, .job_id = "m", .limit = 3};
    world_request(&w, &r, NULL);
    assert_string_equal(world_at(&w, "next"),
                        "[\"2024-01-31T00:00:00.000Z\",\"2024-02-29T00:00:00.000Z\",\"2024-03-31T00:00:00.000Z\"]");
    world_deinit(&w);
}

static void story__the_history_is_bounded_and_comes_in_pages(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    (void)cron_free(w.c);
    w.config.history_count = 10;
    world_start_core(&w);
    world_up(&w);
    world_job(&w, "j", "", "");
    world_job(&w, "k", "", "");
    for (int k = 0; k < 15; k++) {
        world_run(&w, "j");
        world_flow(&w);
    }
    assert_int_equal(world_ended(&w, "j", "SUCCESS"), 10);
    assert_string_equal(world_at(&w, "runs.0.ordinal"), "15");
    struct cron_request r = {.type = CRON_GET_HISTORY, .job_id = "j", .limit = 4};
    world_request(&w, &r, NULL);
    char next[64];
    (void)snprintf(next, sizeof(next), "%s", world_at(&w, "next"));
    r.after = next;
    world_request(&w, &r, NULL);
    assert_string_equal(world_at(&w, "runs.0.ordinal"), "11");
    world_run(&w, "k");
    size_t total = 0;
    char after[300] = "";
    r = (struct cron_request){.type = CRON_LIST_ALL_RUNS, .limit = 3};
    for (int page = 0; page < 20; page++) {
        r.after = after[0] ? after : NULL;
        world_request(&w, &r, NULL);
        assert_int_equal(w.status, 200);
        total += world_size_at(&w, "runs");
        (void)snprintf(after, sizeof(after), "%s", world_at(&w, "next"));
        if (strcmp(after, "null") == 0)
            break;
    }
    assert_int_equal(total, 11); /* each once: ten ended ones, one live */
    world_deinit(&w);
}

static void story__placement(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "j",
              ",\"placement\":{\"constraints\":[{\"attribute\":\"rack\",\"operator\":\"EQ\",\"value\":\"r2\"},"
              "{\"attribute\":\"hostname\",\"operator\":\"LIKE\",\"value\":\"h[0-9]\"},"
              "{\"attribute\":\"zone\",\"operator\":\"UNLIKE\",\"value\":\"z\"}]}",
              "");
    assert_string_equal(world_at(&w, "run.placement.constraints.0.operator"), "IS");
    world_run(&w, "j");
    world_offer_rack(&w, "h1", NULL, 1, 100);
    world_offer_rack(&w, "h1", "r1", 1, 100);
    world_offer_rack(&w, "hx", "r2", 1, 100);
    assert_int_equal(w.task_count, 0);
    world_offer_rack(&w, "h1", "r2", 1, 100);
    assert_int_equal(w.task_count, 1);
    world_deinit(&w);
}

static void story__many_that_do_not_fit_do_not_hide_one_that_does(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "big", ",\"user\":\"nobody\"", "");
    world_call(&w, CRON_PUT_JOB, "big", NULL,
               "{\"id\":\"big\",\"run\":{\"cmd\":\"true\",\"cpus\":50,\"mem\":32,\"disk\":0}}");
    world_job(&w, "small", "", "");
    for (int k = 0; k < 300; k++)
        world_run(&w, "big");
    world_run(&w, "small");
    for (int k = 0; k < 3 && w.task_count == 0; k++)
        world_offer_rack(&w, "h1", NULL, 2, 1000);
    assert_int_equal(w.task_count, 1);
    world_deinit(&w);
}

static void assert_ids(struct world *w, const char *const *ids, size_t count)
{
    char path[32];
    world_call(w, CRON_LIST_JOBS, NULL, NULL, NULL);
    assert_int_equal(world_size_at(w, ""), count);
    for (size_t k = 0; k < count; k++) {
        (void)snprintf(path, sizeof(path), "%zu.id", k); /* fits */
        assert_string_equal(world_at(w, path), ids[k]);
    }
}

static void story__a_restart_keeps_the_order_of_jobs(void **state)
{
    static const char *const all[] = {"z", "m", "a", "q", "b"}, *const later[] = {"z", "m", "q", "b", "a", "c"};
    (void)state;
    struct world w;
    world_init(&w);
    for (size_t k = 0; k < 5; k++)
        world_job(&w, all[k], "", "");
    assert_ids(&w, all, 5);
    world_restart(&w, 1000, true);
    assert_ids(&w, all, 5);
    world_call(&w, CRON_DELETE_JOB, "a", NULL, NULL);
    world_job(&w, "a", "", ""); /* another one of the same name, after a restart as well */
    world_restart(&w, 1000, true);
    world_job(&w, "c", "", "");
    assert_ids(&w, later, 6);
    world_restart(&w, 1000, true);
    assert_ids(&w, later, 6);
    world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(story__a_run_goes_from_the_api_to_the_history),
        cmocka_unit_test(story__a_history_and_its_counts_are_of_one_moment),
        cmocka_unit_test(story__nothing_is_said_before_it_is_stored),
        cmocka_unit_test(story__every_minute_is_one_run),
        cmocka_unit_test(story__a_restart_neither_repeats_nor_loses_a_moment),
        cmocka_unit_test(story__a_restart_keeps_the_order_of_jobs),
        cmocka_unit_test(story__what_was_missed_may_run_once_or_be_caught_up),
        cmocka_unit_test(story__a_year_away_is_no_million_of_steps),
        cmocka_unit_test(story__the_calendar_may_step),
        cmocka_unit_test(story__a_schedule_ends_behind_what_was_due),
        cmocka_unit_test(story__forbid_skips_and_replace_replaces),
        cmocka_unit_test(story__what_does_not_start_in_time_has_failed),
        cmocka_unit_test(story__restarts_are_new_tasks_of_the_same_run),
        cmocka_unit_test(story__a_launch_that_never_arrived_is_made_again),
        cmocka_unit_test(story__task_whose_latest_state_is_gone_may_have_run),
        cmocka_unit_test(story__unreachable_tasks_may_come_back),
        cmocka_unit_test(story__too_long_is_killed),
        cmocka_unit_test(story__kills_are_repeated_and_a_stopped_run_is_over),
        cmocka_unit_test(story__a_removed_job_takes_its_runs_along),
        cmocka_unit_test(story__runs_keep_the_definition_they_began_with),
        cmocka_unit_test(story__parameters_of_a_run),
        cmocka_unit_test(story__an_array_runs_every_index_once),
        cmocka_unit_test(story__failed_indices_are_tried_again_or_end_the_run),
        cmocka_unit_test(story__graphs_of_two_runs_never_mix),
        cmocka_unit_test(story__a_failed_parent_is_a_reason_in_the_history_of_its_children),
        cmocka_unit_test(story__a_child_of_two_roots_uses_each_success_once),
        cmocka_unit_test(story__finite_intervals_and_month_ends),
        cmocka_unit_test(story__the_history_is_bounded_and_comes_in_pages),
        cmocka_unit_test(story__placement),
        cmocka_unit_test(story__many_that_do_not_fit_do_not_hide_one_that_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
