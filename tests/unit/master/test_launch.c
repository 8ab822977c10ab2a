/* SPDX-License-Identifier: Apache-2.0 */
#include "support/master_world.h"

#include "master/snapshot.h"

struct cluster {
    struct world *w;
    const char *agent, *framework, *offer;
};

static struct cluster cluster_new(const char *more)
{
    struct cluster c = {.w = world_new()};
    c.agent = world_agent(c.w, 1,
                          WORLD_AGENT ",{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":31000,"
                                      "\"end\":31009}]}}," WORLD_SCALAR("disk", 1000));
    c.framework = world_framework(c.w, 9, more);
    c.offer = world_offer(c.w, 9, 0)->id->value;
    return c;
}

static Mesos__V1__TaskInfo *run_task(struct world *w, size_t message, size_t task)
{
    Muster__Link__RunTasks *run = WORLD_LINK(w, 1, Muster__Link__RunTasks, run_tasks, message);
    struct err err;
    if (run == NULL || task >= run->n_tasks)
        return NULL;
    return (void *)wire_unpack(&mesos__v1__task_info__descriptor, run->tasks[task].data, run->tasks[task].len, w->arena,
                               &err);
}

static void test_launch__life_of_a_task(void **state)
{
    (void)state;
    struct cluster c = cluster_new("");
    struct world *w = c.w;
    world_forget(w);
    request_id r = world_launch(w, 9, c.framework, c.offer, c.agent, "t1", WORLD_SMALL);
    assert_int_equal(world_status(w, r), 202);
    Mesos__V1__TaskInfo *info = run_task(w, 0, 0);
    assert_string_equal(info->task_id->value, "t1");
    assert_string_equal(info->resources[0]->allocation_info->role, "*");

    world_forget(w);
    world_report(w, 1, c.framework, "t1", "TASK_RUNNING", "aaaaaaaaaaaaaaaa");
    Mesos__V1__TaskStatus *status = world_update(w, 9, 0);
    assert_int_equal(status->state, MESOS__V1__TASK_STATE__TASK_RUNNING);
    assert_string_equal(status->agent_id->value, c.agent); /* filled in */
    assert_int_equal(status->uuid.len, 16);

    world_call(w, 9,
               "{\"type\":\"ACKNOWLEDGE\",\"framework_id\":{\"value\":\"%s\"},\"acknowledge\":{\"agent_id\":{\"value\":"
               "\"%s\"},\"task_id\":{\"value\":\"t1\"},\"uuid\":\"YWFhYWFhYWFhYWFhYWFhYQ==\"}}",
               c.framework, c.agent);
    Muster__Link__AcknowledgeUpdate *ack = WORLD_LINK(w, 1, Muster__Link__AcknowledgeUpdate, acknowledge_update, 0);
    assert_memory_equal(ack->uuid.data, "aaaaaaaaaaaaaaaa", 16);

    /* The end: resources are free at the update, the task is kept until the acknowledgement. */
    world_forget(w);
    world_report(w, 1, c.framework, "t1", "TASK_FINISHED", "bbbbbbbbbbbbbbbb");
    world_advance(w, 6000);
    assert_int_equal(world_offer_count(w, 9), 1);
    assert_float_equal(world_scalar(world_offer(w, 9, 0)->resources, world_offer(w, 9, 0)->n_resources, "cpus"), 4, 1e-9);
    world_report(w, 1, c.framework, "t1", "TASK_FINISHED", "bbbbbbbbbbbbbbbb"); /* repeated: forwarded again */
    assert_non_null(world_update(w, 9, 1));
    world_forget(w);
    world_report(w, 1, c.framework, "t1", "TASK_RUNNING", "cccccccccccccccc");
    assert_null(world_update(w, 9, 0)); /* never out of a terminal state; the agent is told to stop */
    assert_memory_equal(WORLD_LINK(w, 1, Muster__Link__AcknowledgeUpdate, acknowledge_update, 0)->uuid.data,
                        "cccccccccccccccc", 16);
    world_call(w, 9,
               "{\"type\":\"ACKNOWLEDGE\",\"framework_id\":{\"value\":\"%s\"},\"acknowledge\":{\"agent_id\":{\"value\":"
               "\"%s\"},\"task_id\":{\"value\":\"t1\"},\"uuid\":\"YmJiYmJiYmJiYmJiYmJiYg==\"}}",
               c.framework, c.agent);
    struct arena *arena = arena_new(0);
    struct master_view view = master_view(w->m, NULL);
    Mesos__V1__Master__Response__GetTasks *tasks = master_snapshot_tasks(&view, arena);
    assert_int_equal(tasks->n_tasks, 0);
    assert_int_equal(tasks->n_completed_tasks, 1);
    assert_int_equal(tasks->completed_tasks[0]->state, MESOS__V1__TASK_STATE__TASK_FINISHED);
    assert_int_equal(tasks->completed_tasks[0]->n_statuses, 2);
    arena_free(arena);
    world_free(w);
}

/* Each line is one TaskInfo (of agent %s) and a part of the reason it is refused for, NULL: it runs. */
static void test_launch__validation_table(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *why;
    } cases[] = {
        {"\"task_id\":{\"value\":\"a b\"},\"resources\":[" WORLD_SMALL "],\"command\":{\"value\":\"x\"}", NULL},
        {"\"task_id\":{\"value\":\"a/b\"},\"resources\":[" WORLD_SMALL "],\"command\":{\"value\":\"x\"}", "task id"},
        {"\"task_id\":{\"value\":\"..\"},\"resources\":[" WORLD_SMALL "],\"command\":{\"value\":\"x\"}", "task id"},
        {"\"task_id\":{\"value\":\"t\"},\"command\":{\"value\":\"x\"}", "no resources"},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SMALL "]", "command or an executor"},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SCALAR("cpus", -1) "],\"command\":{\"value\":\"x\"}",
         "resources"},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SCALAR("cpus", 99) "],\"command\":{\"value\":\"x\"}",
         "more than"},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SCALAR("gpus", 0.5) "],\"command\":{\"value\":\"x\"}",
         "gpus"},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SMALL "],\"command\":{\"value\":\"x\"},\"kill_policy\":"
         "{\"grace_period\":{\"nanoseconds\":-1}}",
         "grace_period"},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SMALL
         "],\"command\":{\"value\":\"x\"},\"max_completion_time\":"
         "{\"nanoseconds\":-1}",
         "max_completion_time"},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SMALL "],\"command\":{\"value\":\"x\"},\"health_check\":{}",
         "HealthCheck.type"},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SMALL "],\"command\":{\"value\":\"x\"},\"health_check\":"
         "{\"http\":{\"port\":1,\"path\":\"x\"}}",
         "path must start"},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SMALL "],\"command\":{\"value\":\"x\"},\"health_check\":"
         "{\"type\":\"TCP\"}",
         "needs tcp"},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SMALL "],\"command\":{\"value\":\"x\"},\"health_check\":"
         "{\"http\":{\"port\":1,\"path\":\"/\"}}",
         NULL},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SMALL "],\"command\":{\"value\":\"x\"},\"check\":{\"type\":"
         "\"HTTP\"}",
         "needs http"},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SMALL "],\"command\":{\"value\":\"x\",\"environment\":"
         "{\"variables\":[{\"name\":\"A\"}]}}",
         "needs a value"},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SMALL
         "],\"command\":{\"value\":\"x\"},\"container\":{\"type\":"
         "\"DOCKER\"}",
         "needs docker"},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SMALL
         "],\"command\":{\"value\":\"x\"},\"container\":{\"type\":"
         "\"MESOS\",\"volumes\":[{\"mode\":\"RW\",\"container_path\":\"p\"}]}",
         "exactly one"},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SMALL "],\"command\":{\"value\":\"x\"},\"limits\":{\"cpus\":"
         "{\"value\":0.5}}",
         "below the request"},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SMALL "],\"command\":{\"value\":\"x\"},\"limits\":{\"disk\":"
         "{\"value\":5}}",
         "cpus and mem"},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SMALL "],\"command\":{\"value\":\"x\"},\"limits\":{\"mem\":"
         "{\"value\":\"Infinity\"}}",
         NULL},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SMALL "],\"executor\":{\"executor_id\":{\"value\":\"e\"}}",
         "needs a command"},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SMALL "],\"executor\":{\"executor_id\":{\"value\":\"e\"},"
         "\"type\":\"DEFAULT\",\"command\":{\"value\":\"x\"}}",
         "CUSTOM"},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SMALL "],\"executor\":{\"executor_id\":{\"value\":\"e\"},"
         "\"framework_id\":{\"value\":\"other\"},\"command\":{\"value\":\"x\"}}",
         "framework_id"},
        {"\"task_id\":{\"value\":\"t\"},\"resources\":[" WORLD_SMALL "],\"executor\":{\"executor_id\":{\"value\":\"e\"},"
         "\"command\":{\"value\":\"x\"}}",
         NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cluster c = cluster_new("");
        world_forget(c.w);
        world_call(
            c.w, 9,
            "{\"type\":\"ACCEPT\",\"framework_id\":{\"value\":\"%s\"},\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],"
            "\"operations\":[{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[{\"name\":\"n\",\"agent_id\":{\"value\":"
            "\"%s\"},%s}]}}]}}",
            c.framework, c.offer, c.agent, cases[i].fields);
        Mesos__V1__TaskStatus *status = world_update(c.w, 9, 0);
        if (cases[i].why == NULL) {
            if (status != NULL)
                fail_msg("case %zu: %s", i, status->message);
            assert_non_null(run_task(c.w, 0, 0));
        } else {
            if (status == NULL || strstr(status->message, cases[i].why) == NULL)
                fail_msg("case %zu: %s", i, status ? status->message : "runs");
            assert_int_equal(status->state, MESOS__V1__TASK_STATE__TASK_ERROR);
            assert_int_equal(status->source, MESOS__V1__TASK_STATUS__SOURCE__SOURCE_MASTER);
            assert_int_equal(status->reason, MESOS__V1__TASK_STATUS__REASON__REASON_TASK_INVALID);
            assert_false(status->has_uuid);
            assert_null(run_task(c.w, 0, 0));
        }
        world_free(c.w);
    }
}

#define TASK(id, res)                                                                                                      \
    "{\"name\":\"n\",\"task_id\":{\"value\":\"" id "\"},\"agent_id\":{\"value\":\"%s\"},\"resources\":[" res "]"

static void test_launch__a_bad_task_does_not_stop_the_next(void **state)
{
    (void)state;
    struct cluster c = cluster_new("");
    struct world *w = c.w;
    world_call(
        w, 9,
        "{\"type\":\"ACCEPT\",\"framework_id\":{\"value\":\"%s\"},\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],"
        "\"operations\":[{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[" TASK(
            "t1", WORLD_SCALAR(
                      "cpus",
                      3)) ",\"command\":{\"value\":\"x\"}}," TASK("t1", WORLD_SMALL) ",\"command\":{\"value\":\"x\"}}"
                                                                                     "," TASK("t2",
                                                                                              WORLD_SCALAR(
                                                                                                  "cpus",
                                                                                                  2)) ",\"command\":{"
                                                                                                      "\"value\":\"x\"}}"
                                                                                                      "," TASK("t3",
                                                                                                               WORLD_SCALAR(
                                                                                                                   "cpus",
                                                                                                                   1)) ",\""
                                                                                                                       "com"
                                                                                                                       "man"
                                                                                                                       "d\""
                                                                                                                       ":{"
                                                                                                                       "\"v"
                                                                                                                       "alu"
                                                                                                                       "e\""
                                                                                                                       ":\""
                                                                                                                       "x\""
                                                                                                                       "}}]"
                                                                                                                       "}}]"
                                                                                                                       "}}",
        c.framework, c.offer, c.agent, c.agent, c.agent, c.agent);
    assert_string_equal(world_update(w, 9, 0)->task_id->value, "t1"); /* the second of this name */
    assert_string_equal(world_update(w, 9, 1)->task_id->value, "t2"); /* does not fit */
    assert_null(world_update(w, 9, 2));
    assert_string_equal(run_task(w, 0, 0)->task_id->value, "t1");
    assert_string_equal(run_task(w, 0, 1)->task_id->value, "t3");
    world_free(w);
}

static void test_launch__rest_is_filtered_and_offered_later(void **state)
{
    (void)state;
    struct cluster c = cluster_new("");
    struct world *w = c.w;
    world_launch(w, 9, c.framework, c.offer, c.agent, "t1", WORLD_SMALL);
    world_forget(w);
    world_advance(w, 4999);
    assert_int_equal(world_offer_count(w, 9), 0); /* 5 s by default */
    world_advance(w, 2);
    assert_int_equal(world_offer_count(w, 9), 1);
    assert_float_equal(world_scalar(world_offer(w, 9, 0)->resources, world_offer(w, 9, 0)->n_resources, "cpus"), 3, 1e-9);
    world_free(w);
}

#define GROUP_EXECUTOR(id, more)                                                                                           \
    "{\"executor_id\":{\"value\":\"" id                                                                                    \
    "\"},\"type\":\"DEFAULT\",\"framework_id\":{\"value\":\"%s\"},\"resources\":[" WORLD_SCALAR(                           \
        "cpus", 0.1) "," WORLD_SCALAR("mem", 32) "," WORLD_SCALAR("disk", 10) "]" more "}"

static void launch_group(struct cluster *c, const char *offer, const char *executor, const char *tasks)
{
    char *text;
    assert_true(asprintf(&text,
                         "{\"type\":\"ACCEPT\",\"framework_id\":{\"value\":\"%s\"},\"accept\":{\"offer_ids\":[{\"value\":"
                         "\"%s\"}],\"operations\":[{\"type\":\"LAUNCH_GROUP\",\"launch_group\":{\"executor\":%s,"
                         "\"task_group\":{\"tasks\":[%s]}}}]}}",
                         c->framework, offer, executor, tasks) > 0);
    world_call(c->w, 9, "%s", text);
    free(text);
}

static void test_launch__group_all_or_nothing(void **state)
{
    (void)state;
    struct cluster c = cluster_new("");
    struct world *w = c.w;
    char executor[512], tasks[2048];
    (void)snprintf(executor, sizeof(executor), GROUP_EXECUTOR("e", ""), c.framework);
    (void)snprintf(tasks, sizeof(tasks), TASK("a", WORLD_SMALL) "}," TASK("b", WORLD_SCALAR("cpus", 9)) "}", c.agent,
                   c.agent);
    launch_group(&c, c.offer, executor, tasks);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(world_update(w, 9, i)->state, MESOS__V1__TASK_STATE__TASK_ERROR);
        assert_int_equal(world_update(w, 9, i)->reason, MESOS__V1__TASK_STATUS__REASON__REASON_TASK_GROUP_INVALID);
    }
    assert_null(WORLD_LINK(w, 1, Muster__Link__RunTasks, run_tasks, 0));
    world_forget(w);
    world_advance(w, 6000);
    c.offer = world_offer(w, 9, 0)->id->value;
    (void)snprintf(tasks, sizeof(tasks), TASK("a", WORLD_SMALL) "}," TASK("b", WORLD_SMALL) "}", c.agent, c.agent);
    launch_group(&c, c.offer, executor, tasks);
    Muster__Link__RunTasks *run = WORLD_LINK(w, 1, Muster__Link__RunTasks, run_tasks, 0);
    assert_true(run->group);
    assert_int_equal(run->n_tasks, 2);
    assert_true(run->has_executor);
    world_forget(w);
    world_advance(w, 6000);
    Mesos__V1__Offer *offer = world_offer(w, 9, 0);
    assert_float_equal(world_scalar(offer->resources, offer->n_resources, "cpus"), 1.9, 1e-9);
    assert_string_equal(offer->executor_ids[0]->value, "e");
    /* The same executor takes more tasks and costs nothing again; a different one under its id is refused. */
    (void)snprintf(tasks, sizeof(tasks), TASK("c", WORLD_SMALL) "}", c.agent);
    launch_group(&c, offer->id->value, executor, tasks);
    assert_null(world_update(w, 9, 0));
    world_forget(w);
    world_advance(w, 6000);
    offer = world_offer(w, 9, 0);
    assert_float_equal(world_scalar(offer->resources, offer->n_resources, "cpus"), 0.9, 1e-9);
    (void)snprintf(executor, sizeof(executor), GROUP_EXECUTOR("e", ",\"name\":\"other\""), c.framework);
    (void)snprintf(tasks, sizeof(tasks), TASK("d", WORLD_SCALAR("cpus", 0.5)) "}", c.agent);
    launch_group(&c, offer->id->value, executor, tasks);
    assert_non_null(strstr(world_update(w, 9, 0)->message, "another executor"));
    /* It ends at the agent: its resources are free, the scheduler hears of it. */
    world_forget(w);
    world_link(w, 1,
               "{\"exited_executor\":{\"framework_id\":{\"value\":\"%s\"},\"executor_id\":{\"value\":\"e\"},\"status\":9}}",
               c.framework);
    assert_int_equal(WORLD_EVENT(w, 9, FAILURE, 0)->failure->status, 9);
    world_free(w);
}

static void test_launch__kill(void **state)
{
    (void)state;
    struct cluster c = cluster_new(",\"failover_timeout\":100");
    struct world *w = c.w;
    world_launch(w, 9, c.framework, c.offer, c.agent, "t1", WORLD_SMALL);
    world_forget(w);
    world_call(w, 9,
               "{\"type\":\"KILL\",\"framework_id\":{\"value\":\"%s\"},\"kill\":{\"task_id\":{\"value\":\"t1\"},"
               "\"agent_id\":{\"value\":\"other\"}}}",
               c.framework);
    assert_null(WORLD_LINK(w, 1, Muster__Link__KillTask, kill_task, 0)); /* wrong agent */
    world_call(w, 9,
               "{\"type\":\"KILL\",\"framework_id\":{\"value\":\"%s\"},\"kill\":{\"task_id\":{\"value\":\"t1\"},"
               "\"kill_policy\":{\"grace_period\":{\"nanoseconds\":5}}}}",
               c.framework);
    assert_int_equal(WORLD_LINK(w, 1, Muster__Link__KillTask, kill_task, 0)->kill_policy->grace_period->nanoseconds, 5);
    world_call(w, 9, "{\"type\":\"KILL\",\"framework_id\":{\"value\":\"%s\"},\"kill\":{\"task_id\":{\"value\":\"none\"}}}",
               c.framework);
    assert_int_equal(world_update(w, 9, 0)->reason, MESOS__V1__TASK_STATUS__REASON__REASON_RECONCILIATION);
    /* Wanted while the agent is away: it hears of it when it is back. */
    world_link_down(w, 1);
    world_call(w, 9, "{\"type\":\"KILL\",\"framework_id\":{\"value\":\"%s\"},\"kill\":{\"task_id\":{\"value\":\"t1\"}}}",
               c.framework);
    world_link_up(w, 2);
    world_link(w, 2,
               "{\"reregister\":{\"version\":\"t\",\"agent_info\":{\"id\":{\"value\":\"%s\"},\"hostname\":\"h1\",\"port\":"
               "10001,\"resources\":[" WORLD_AGENT "]}}}",
               c.agent);
    world_settle(w);
    assert_null(WORLD_LINK(w, 2, Muster__Link__KillTask, kill_task, 0)); /* it does not have the task any more */
    assert_int_equal(world_update(w, 9, 1)->state, MESOS__V1__TASK_STATE__TASK_LOST);
    world_free(w);
}

static void test_launch__stale_status_updates(void **state)
{
    (void)state;
    struct cluster c = cluster_new("");
    struct world *w = c.w;
    world_forget(w);
    world_link(
        w, 1,
        "{\"status_update\":{\"framework_id\":{\"value\":\"%s\"},\"status\":{\"task_id\":{\"value\":\"t\"},\"state\":"
        "\"TASK_RUNNING\"}}}",
        c.framework);
    assert_null(world_update(w, 9, 0)); /* no uuid */
    world_report(w, 1, c.framework, "t", "TASK_RUNNING", "aaaaaaaaaaaaaaaa");
    assert_non_null(world_update(w, 9, 0)); /* unknown here: the scheduler may know it */
    world_report(w, 1, "nobody", "t", "TASK_RUNNING", "aaaaaaaaaaaaaaaa");
    assert_string_equal(WORLD_LINK(w, 1, Muster__Link__ShutdownFramework, shutdown_framework, 0)->framework_id->value,
                        "nobody");
    world_free(w);
}

/* More than a frame can hold: a launch goes in several, one task or group that is too large is refused. */
static void test_launch__large_ones_fit_into_frames(void **state)
{
    (void)state;
    struct cluster c = cluster_new("");
    struct world *w = c.w;
    char *data = malloc((2u << 20) + 1024), *text = malloc((size_t)9 << 20);
    static const size_t sizes[] = {1500000, 1500000, 1500000, 1500000, (2u << 20) + 900};
    size_t len = (size_t)sprintf(text,
                                 "{\"type\":\"ACCEPT\",\"framework_id\":{\"value\":\"%s\"},\"accept\":{\"offer_ids\":[{"
                                 "\"value\":\"%s\"}],\"operations\":[{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[",
                                 c.framework, c.offer);
    for (size_t i = 0; i < 5; i++) {
        memset(data, 'x', sizes[i]);
        data[sizes[i]] = '\0';
        len += (size_t)sprintf(text + len,
                               "%s{\"name\":\"n\",\"task_id\":{\"value\":\"t%zu\"},\"agent_id\":{\"value\":\"%s\"},"
                               "\"resources\":[" WORLD_SCALAR("cpus", 0.1) "],\"command\":{\"value\":\"%s\"}}",
                               i > 0 ? "," : "", i, c.agent, data);
    }
    strcpy(text + len, "]}}]}}");
    world_forget(w);
    world_call(w, 9, "%s", text);
    assert_int_equal(WORLD_LINK(w, 1, Muster__Link__RunTasks, run_tasks, 0)->n_tasks, 2);
    assert_int_equal(WORLD_LINK(w, 1, Muster__Link__RunTasks, run_tasks, 1)->n_tasks, 2);
    assert_non_null(strstr(world_update(w, 9, 0)->message, "bytes"));
    for (size_t i = 0; i < w->sent_count; i++)
        if (w->sent[i].type == MASTER_EFFECT_LINK_SEND)
            assert_true(protobuf_c_message_get_packed_size(&w->sent[i].link->base) < (8u << 20));
    free(data);
    free(text);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_launch__life_of_a_task),
        cmocka_unit_test(test_launch__validation_table),
        cmocka_unit_test(test_launch__a_bad_task_does_not_stop_the_next),
        cmocka_unit_test(test_launch__rest_is_filtered_and_offered_later),
        cmocka_unit_test(test_launch__group_all_or_nothing),
        cmocka_unit_test(test_launch__kill),
        cmocka_unit_test(test_launch__large_ones_fit_into_frames),
        cmocka_unit_test(test_launch__stale_status_updates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
