/* SPDX-License-Identifier: Apache-2.0
 * Stories: the core between an API user, a master and a store. */
#include "tests/unit/marathon/world.h"

#define RUNNING MESOS__V1__TASK_STATE__TASK_RUNNING
#define FAILED MESOS__V1__TASK_STATE__TASK_FAILED
#define KILLED MESOS__V1__TASK_STATE__TASK_KILLED

static const char sleeper[] = "{\"id\":\"/s\",\"cmd\":\"sleep 1000\",\"cpus\":0.1,\"mem\":16,\"instances\":%d%s}";

static void post_sleeper(struct world *w, int instances, const char *more)
{
    char body[1024];
    (void)snprintf(body, sizeof(body), sleeper, instances, more);
    world_post(w, body);
    if (w->status != 201)
        fail_msg("%d %s", w->status, w->body);
}

static void story__scale_from_none_to_fifty_to_none(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    post_sleeper(&w, 0, "");
    assert_non_null(strstr(w.headers, "Location: /v2/apps/s\n"));
    assert_int_equal(world_published(&w, "deployment_success"), 1);
    assert_false(w.wants_offers);
    world_put(&w, "/s", "{\"instances\":50}", false);
    assert_int_equal(w.status, 200);
    assert_true(w.wants_offers);
    world_offer(&w, "h1", 4, 16000); /* one offer is enough: nothing throttles */
    assert_int_equal(world_alive(&w), 40);
    world_offer(&w, "h2", 4, 16000);
    assert_int_equal(world_alive(&w), 50);
    assert_false(w.wants_offers);
    assert_int_equal(world_published(&w, "deployment_success"), 1);
    world_run_all(&w);
    assert_int_equal(world_published(&w, "deployment_success"), 2);
    assert_int_equal(world_count(&w, "/s", "tasksRunning"), 50);
    assert_int_equal(world_count(&w, "/s", "tasks"), 50);
    assert_int_equal(world_count(&w, "/s", "deployments"), 0);
    world_put(&w, "/s", "{\"instances\":0}", false);
    assert_int_equal(world_count(&w, "/s", "deployments"), 1);
    world_run_all(&w);
    assert_int_equal(world_alive(&w), 0);
    assert_int_equal(world_count(&w, "/s", "deployments"), 0);
    assert_int_equal(world_published(&w, "deployment_success"), 3);
    world_deinit(&w);
}

static void story__every_ended_task_is_replaced_after_a_delay(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    post_sleeper(&w, 1, "");
    world_flow(&w);
    char first[300];
    (void)snprintf(first, sizeof(first), "%s", world_task(&w, 0)->id);
    assert_non_null(strstr(first, "._app.1"));
    world_update(&w, world_task(&w, 0), FAILED);
    assert_false(w.wants_offers); /* back-off of a second */
    world_get(&w, MARATHON_GET_QUEUE, NULL);
    assert_non_null(strstr(w.body, "\"overdue\": false") ? w.body : strstr(w.body, "\"overdue\":false"));
    world_get(&w, MARATHON_GET_APP, "/s");
    assert_non_null(strstr(w.body, "lastTaskFailure"));
    world_pass(&w, 999);
    assert_false(w.wants_offers);
    world_pass(&w, 1);
    assert_true(w.wants_offers);
    world_flow(&w);
    const char *second = world_task(&w, 0)->id;
    assert_memory_equal(first, second, strlen(first) - 1); /* the same instance, its next incarnation */
    assert_non_null(strstr(second, "._app.2"));
    struct marathon_request reset = {.type = MARATHON_RESET_DELAY, .app_id = "//s"};
    world_request(&w, &reset, NULL);
    assert_int_equal(w.status, 404); /* nothing waits */
    world_update(&w, world_task(&w, 0), FAILED);
    world_request(&w, &reset, NULL);
    assert_int_equal(w.status, 204);
    assert_true(w.wants_offers);
    world_flow(&w);
    assert_int_equal(world_running(&w), 1);
    world_deinit(&w);
}

static void story__rolling_update_keeps_the_floor(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    post_sleeper(&w, 4, ",\"upgradeStrategy\":{\"minimumHealthCapacity\":0.75,\"maximumOverCapacity\":0.25}");
    world_flow(&w);
    assert_int_equal(world_running(&w), 4);
    world_put(&w, "s", "{\"env\":{\"A\":\"1\"}}", false);
    assert_int_equal(w.status, 200);
    size_t launched = w.task_count;
    for (int round = 0; round < 50 && world_count(&w, "/s", "deployments") > 0; round++) {
        if (w.wants_offers)
            world_offer(&w, "h1", 10, 10000);
        assert_true(world_alive(&w) <= 5);
        assert_true(world_running(&w) >= 3);
        for (size_t k = 0; k < w.task_count; k++) { /* one thing at a time */
            struct world_task *t = &w.tasks[k];
            if (!t->is_over && (t->is_kill_asked || t->state != RUNNING)) {
                world_update(&w, t, t->is_kill_asked ? KILLED : RUNNING);
                break;
            }
        }
    }
    assert_int_equal(world_count(&w, "/s", "deployments"), 0);
    assert_int_equal(world_running(&w), 4);
    assert_int_equal(w.task_count, launched + 4);
    world_get(&w, MARATHON_LIST_VERSIONS, "/s");
    json_t *json = json_loads(w.body, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(json, "versions")), 2);
    json_decref(json);
    world_deinit(&w);
}

static void story__scheduler_restart_in_the_middle_of_everything(void **state)
{
    (void)state;
    /* After each number of steps of a rolling update the process dies; whatever it was doing, it ends the same way. */
    for (int stop = 0; stop < 40; stop++) {
        struct world w;
        world_init(&w);
        post_sleeper(&w, 3, ",\"upgradeStrategy\":{\"minimumHealthCapacity\":0.5,\"maximumOverCapacity\":0.5}");
        world_flow(&w);
        world_put(&w, "/s", "{\"cmd\":\"sleep 2000\"}", false);
        for (int step = 0; step < 60; step++) {
            if (step == stop) {
                world_restart(&w, false);
                size_t before = w.task_count;
                world_offer(&w, "h1", 10, 10000);
                assert_int_equal(w.task_count, before); /* nothing is launched before it is settled */
                world_up(&w);
            }
            if (w.wants_offers && step % 2 == 0)
                world_offer(&w, "h1", 10, 10000);
            assert_true(world_running(&w) >= 2);
            for (size_t k = 0; k < w.task_count; k++) {
                struct world_task *t = &w.tasks[k];
                if (!t->is_over && (t->is_kill_asked || t->state != RUNNING)) {
                    world_update(&w, t, t->is_kill_asked ? KILLED : RUNNING);
                    break;
                }
            }
        }
        assert_int_equal(world_running(&w), 3);
        assert_int_equal(world_alive(&w), 3);
        for (size_t k = 0; k < 3; k++)
            assert_string_equal(world_task(&w, k)->info->command->value, "sleep 2000");
        assert_int_equal(world_count(&w, "/s", "deployments"), 0);
        world_deinit(&w);
    }
}

static void story__restart_of_a_checked_app_with_no_room(void **state)
{
    (void)state;
    /* {1, 0} and health checks: after a restart of the scheduler no health is known, and the update must still come to its
     * end without going below its floor. */
    struct world w;
    world_init(&w);
    w.answers_probes = true;
    post_sleeper(&w, 3,
                 ",\"upgradeStrategy\":{\"minimumHealthCapacity\":1,\"maximumOverCapacity\":0},\"healthChecks\":[{"
                 "\"protocol\":\"TCP\",\"intervalSeconds\":2}]");
    world_flow(&w);
    world_pass(&w, 5000);
    assert_int_equal(world_count(&w, "/s", "tasksHealthy"), 3);
    world_put(&w, "/s", "{\"cmd\":\"sleep 2000\"}", false);
    world_flow(&w);
    world_restart(&w, true);
    for (int round = 0; round < 20; round++) {
        world_pass(&w, 2000);
        assert_true(world_running(&w) >= 3);
        world_flow(&w);
        assert_true(world_alive(&w) <= 4);
    }
    assert_int_equal(world_count(&w, "/s", "deployments"), 0);
    assert_int_equal(world_running(&w), 3);
    for (size_t k = 0; k < 3; k++)
        assert_string_equal(world_task(&w, k)->info->command->value, "sleep 2000");
    world_deinit(&w);
}

static void story__restart_without_a_deployment_touches_nothing(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    post_sleeper(&w, 5, ",\"constraints\":[[\"hostname\",\"MAX_PER\",\"9\"]],\"healthChecks\":[{\"protocol\":\"TCP\"}]");
    if (w.wants_offers)
        world_offer(&w, "h1", 10, 10000);
    world_run_all(&w);
    world_put(&w, "/s", "{\"instances\":5}", true); /* ends the deployment that waits for health */
    struct arena *a = arena_new(0);
    world_restart(&w, false);
    const struct sdk_task *tasks;
    assert_int_equal(marathon_known_tasks(w.m, a, &tasks), 5);
    assert_string_equal(marathon_framework_id(w.m), "F1");
    world_up(&w);
    for (size_t k = 0; k < 5; k++)
        world_update(&w, world_task(&w, k), RUNNING); /* reconciliation */
    world_pass(&w, 4000);
    assert_int_equal(w.task_count, 5);
    for (size_t k = 0; k < 5; k++)
        assert_false(world_task(&w, k)->is_kill_asked);
    assert_int_equal(world_count(&w, "/s", "tasksRunning"), 5);
    (void)arena_free(a);
    world_deinit(&w);
}

static void story__nothing_is_told_before_it_is_stored(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.hold_writes = true;
    world_post(&w, "{\"id\":\"/s\",\"cmd\":\"sleep 1\"}");
    assert_int_equal(w.status, 0);
    assert_int_equal(world_published(&w, "api_post_event"), 0);
    world_confirm_writes(&w);
    assert_int_equal(w.status, 201);
    static const char *const order[] = {"api_post_event", "group_change_success", "deployment_info",
                                        "deployment_step_success", "deployment_info"};
    const char *at = strchr((const char *)buf_data(&w.published), '\n') + 1; /* after scheduler_registered_event */
    for (size_t k = 0; k < 5; k++) {
        assert_memory_equal(at, order[k], strlen(order[k]));
        at = strchr(at, '\n') + 1;
    }
    assert_true(w.wants_offers);
    world_offer(&w, "h1", 1, 1000);
    assert_int_equal(w.task_count, 0);
    world_confirm_writes(&w);
    assert_int_equal(w.task_count, 1);
    size_t before = w.acknowledged;
    world_update(&w, world_task(&w, 0), RUNNING);
    assert_int_equal(w.acknowledged, before);
    world_update(&w, world_task(&w, 0), RUNNING); /* a repetition does not overtake */
    assert_int_equal(w.acknowledged, before);
    world_confirm_writes(&w);
    assert_int_equal(w.acknowledged, before + 2);
    world_deinit(&w);
}

static void story__failed_write_is_the_end(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.hold_writes = true;
    world_post(&w, "{\"id\":\"/s\",\"cmd\":\"sleep 1\"}");
    struct kit_event in = {.type = KIT_EVENT_STORE_DONE};
    in.store_done.token = w.held_token;
    in.store_done.result = -5;
    world_step(&w, &in);
    assert_non_null(w.fatal);
    assert_int_equal(w.status, 0);
    world_deinit(&w);
}

static void story__kill_while_staging(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    post_sleeper(&w, 1, "");
    world_offer(&w, "h1", 1, 1000);
    char id[300];
    (void)snprintf(id, sizeof(id), "%s", world_task(&w, 0)->id);
    struct marathon_request r = {.type = MARATHON_KILL_APP_TASK, .app_id = "/s", .task_id = id};
    world_request(&w, &r, NULL);
    assert_int_equal(w.status, 200);
    assert_non_null(strstr(w.body, "TASK_STAGING"));
    assert_true(world_task(&w, 0)->is_kill_asked);
    world_run_all(&w);
    assert_true(w.wants_offers); /* a kill adds no delay */
    world_flow(&w);
    assert_int_equal(world_running(&w), 1);
    assert_non_null(strstr(world_task(&w, 0)->id, "._app.2"));
    (void)snprintf(id, sizeof(id), "%s", world_task(&w, 0)->id);
    r.wipe = true;
    world_request(&w, &r, NULL);
    world_run_all(&w);
    world_flow(&w);
    assert_non_null(strstr(world_task(&w, 0)->id, "._app.1")); /* another instance */
    world_request(&w, &r, NULL);
    assert_int_equal(w.status, 404);
    world_deinit(&w);
}

static void story__kill_and_scale_ends_exactly_those(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    post_sleeper(&w, 5, "");
    world_flow(&w);
    char body[1024];
    (void)snprintf(body, sizeof(body), "{\"ids\":[\"%s\",\"%s\",\"x.y\"]}", w.tasks[1].id, w.tasks[3].id);
    struct marathon_request r = {.type = MARATHON_KILL_TASKS, .scale = true};
    world_request(&w, &r, body);
    assert_int_equal(w.status, 200);
    world_flow(&w);
    assert_int_equal(world_running(&w), 3);
    assert_true(w.tasks[1].is_over && w.tasks[3].is_over);
    assert_int_equal(world_count(&w, "/s", "instances"), 3);
    world_request(&w, &r, "{\"ids\":[\"nonsense\"]}");
    assert_int_equal(w.status, 400);
    world_deinit(&w);
}

static void story__slow_start_is_given_up(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    post_sleeper(&w, 1, "");
    world_offer(&w, "h1", 1, 1000);
    world_pass(&w, 299000);
    assert_false(world_task(&w, 0)->is_kill_asked);
    world_pass(&w, 2000);
    assert_true(world_task(&w, 0)->is_kill_asked);
    world_task(&w, 0)->is_kill_asked = false;
    world_pass(&w, 28000);
    assert_false(world_task(&w, 0)->is_kill_asked);
    world_pass(&w, 2000);
    assert_true(world_task(&w, 0)->is_kill_asked); /* repeated */
    world_run_all(&w);
    world_flow(&w);
    assert_int_equal(world_running(&w), 1);
    world_deinit(&w);
}

static void story__lost_agent_with_default_strategy(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    post_sleeper(&w, 2, "");
    world_flow(&w);
    struct world_task *lost = world_task(&w, 0);
    char id[300];
    (void)snprintf(id, sizeof(id), "%s", lost->id);
    world_update(&w, lost, MESOS__V1__TASK_STATE__TASK_UNREACHABLE);
    assert_true(w.wants_offers); /* replaced at once */
    world_flow(&w);
    assert_int_equal(world_running(&w), 2);
    for (size_t k = 0; k < w.task_count; k++) {
        if (strcmp(w.tasks[k].id, id) == 0)
            world_update(&w, &w.tasks[k], RUNNING); /* it comes back, unwanted */
    }
    assert_true(world_task(&w, 0)->is_kill_asked);
    world_run_all(&w);
    assert_int_equal(world_running(&w), 2);
    world_deinit(&w);
}

static void story__lost_agent_with_patience(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    post_sleeper(&w, 2, ",\"unreachableStrategy\":{\"inactiveAfterSeconds\":60,\"expungeAfterSeconds\":600}");
    world_flow(&w);
    world_update(&w, world_task(&w, 0), MESOS__V1__TASK_STATE__TASK_UNREACHABLE);
    world_pass(&w, 59000);
    assert_false(w.wants_offers);
    world_update(&w, world_task(&w, 0), RUNNING);
    assert_int_equal(world_count(&w, "/s", "tasksRunning"), 2);
    world_update(&w, world_task(&w, 0), MESOS__V1__TASK_STATE__TASK_UNREACHABLE);
    world_pass(&w, 61000);
    assert_true(w.wants_offers); /* inactive: replaced, still remembered */
    world_flow(&w);
    assert_int_equal(world_running(&w), 2);
    world_update(&w, world_task(&w, 0), RUNNING); /* it comes back: one too many, the youngest goes */
    assert_int_equal(world_running(&w), 3);
    size_t asked = 0;
    for (size_t k = 0; k < w.task_count; k++)
        asked += w.tasks[k].is_kill_asked;
    assert_int_equal(asked, 1);
    world_run_all(&w);
    assert_int_equal(world_running(&w), 2);
    world_update(&w, world_task(&w, 0), MESOS__V1__TASK_STATE__TASK_UNREACHABLE);
    world_pass(&w, 601000);
    world_flow(&w);
    assert_int_equal(world_count(&w, "/s", "tasks"), 2); /* expunged */
    world_deinit(&w);
}

static void answer_probe(struct world *w, bool good)
{
    assert_true(w->probe_id != 0);
    struct marathon_probe_result result = {
        .probe_id = w->probe_id, .is_success = good, .http_status = good ? 200 : 500, .cause = good ? NULL : "status 500"};
    struct kit_event in = {.type = KIT_EVENT_OWN, .own = &result};
    w->probe_id = 0;
    w->probe_count = 0;
    world_step(w, &in);
}

static void story__unhealthy_task_is_killed_at_failure_max_plus_one(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    post_sleeper(&w, 1,
                 ",\"healthChecks\":[{\"protocol\":\"HTTP\",\"intervalSeconds\":10,\"maxConsecutiveFailures\":3,"
                 "\"gracePeriodSeconds\":100}]");
    world_flow(&w);
    assert_int_equal(world_count(&w, "/s", "deployments"), 1); /* waits for health */
    world_pass(&w, 5000);
    assert_int_equal(w.probe_port, world_task(&w, 0)->port);
    answer_probe(&w, false); /* within the grace period: not counted */
    assert_int_equal(world_count(&w, "/s", "tasksUnhealthy"), 0);
    world_pass(&w, 10000);
    answer_probe(&w, true);
    assert_int_equal(world_count(&w, "/s", "tasksHealthy"), 1);
    assert_int_equal(world_count(&w, "/s", "deployments"), 0);
    for (int failure = 1; failure <= 4; failure++) {
        assert_false(world_task(&w, 0)->is_kill_asked);
        world_pass(&w, 10000);
        answer_probe(&w, false);
        assert_int_equal(world_count(&w, "/s", "tasksUnhealthy"), failure < 4 || 1);
    }
    assert_true(world_task(&w, 0)->is_kill_asked);
    assert_int_equal(world_published(&w, "failed_health_check_event"), 4);
    assert_int_equal(world_published(&w, "unhealthy_instance_kill_event"), 1);
    world_run_all(&w);
    world_flow(&w);
    assert_int_equal(world_running(&w), 1);
    world_get(&w, MARATHON_GET_APP, "/s");
    assert_non_null(strstr(w.body, "health check failed"));
    world_deinit(&w);
}

static void story__deployment_waits_for_readiness(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    post_sleeper(&w, 1, ",\"readinessChecks\":[{\"portName\":\"default\",\"preserveLastResponse\":true}]");
    world_flow(&w);
    world_pass(&w, 1);
    answer_probe(&w, false);
    assert_int_equal(world_count(&w, "/s", "deployments"), 1);
    world_get(&w, MARATHON_LIST_DEPLOYMENTS, NULL);
    assert_non_null(strstr(w.body, "status 500"));
    world_pass(&w, 30000);
    answer_probe(&w, true);
    assert_int_equal(world_count(&w, "/s", "deployments"), 0);
    world_deinit(&w);
}

static void story__locks_force_and_rollback(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    post_sleeper(&w, 2, "");
    char blocker[64];
    (void)snprintf(blocker, sizeof(blocker), "%s", w.deployment);
    world_put(&w, "/s", "{\"instances\":3}", false);
    assert_int_equal(w.status, 409);
    assert_non_null(strstr(w.body, blocker));
    world_put(&w, "/s", "{\"instances\":3}", true);
    assert_int_equal(w.status, 200);
    assert_int_equal(world_published(&w, "deployment_failed"), 1);
    world_flow(&w);
    assert_int_equal(world_running(&w), 3);
    world_put(&w, "/s", "{\"cmd\":\"false\"}", false);
    char id[64];
    (void)snprintf(id, sizeof(id), "%s", w.deployment);
    struct marathon_request r = {.type = MARATHON_DELETE_DEPLOYMENT, .deployment_id = id};
    world_request(&w, &r, NULL);
    assert_int_equal(w.status, 200);
    world_flow(&w);
    assert_int_equal(world_running(&w), 3);
    for (size_t k = 0; k < 3; k++)
        assert_string_equal(world_task(&w, k)->info->command->value, "sleep 1000");
    world_request(&w, &r, NULL);
    assert_int_equal(w.status, 404);
    world_put(&w, "/s", "{\"cmd\":\"false\"}", false);
    (void)snprintf(id, sizeof(id), "%s", w.deployment);
    r.force = true;
    world_request(&w, &r, NULL);
    assert_int_equal(w.status, 202);
    assert_null(w.body);
    assert_int_equal(world_count(&w, "/s", "deployments"), 0);
    world_deinit(&w);
}

static void story__removed_app_takes_its_tasks_along(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    post_sleeper(&w, 3, "");
    world_flow(&w);
    struct marathon_request r = {.type = MARATHON_DELETE_APP, .app_id = "s", .force = true};
    world_request(&w, &r, NULL);
    assert_int_equal(w.status, 200);
    world_get(&w, MARATHON_GET_APP, "/s");
    assert_int_equal(w.status, 404);
    world_restart(&w, true); /* in between */
    for (size_t k = 0; k < w.task_count; k++)
        assert_true(w.tasks[k].is_kill_asked);
    world_run_all(&w);
    assert_int_equal(world_alive(&w), 0);
    assert_int_equal(world_published(&w, "app_terminated_event"), 1);
    for (struct map_entry *e = map_first(&w.store); e; e = map_next(e))
        assert_string_equal(map_key(e), MARATHON_STORE_PREFIX "framework"); /* nothing else is left */
    world_deinit(&w);
}

static void story__dependencies_start_first(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct marathon_request r = {.type = MARATHON_PUT_APPS, .partial = true};
    world_request(&w, &r,
                  "[{\"id\":\"g/web\",\"cmd\":\"web\",\"dependencies\":[\"/g/db\"]},{\"id\":\"g/db\",\"cmd\":\"db\"}]");
    assert_int_equal(w.status, 200);
    world_offer(&w, "h1", 10, 10000);
    assert_int_equal(world_alive(&w), 1);
    assert_string_equal(world_task(&w, 0)->info->command->value, "db");
    world_run_all(&w);
    world_flow(&w);
    assert_int_equal(world_running(&w), 2);
    world_request(&w, &r, "[{\"id\":\"/g/db\",\"dependencies\":[\"/g/web\"]}]");
    assert_int_equal(w.status, 422);
    assert_non_null(strstr(w.body, "cyclic"));
    world_post(&w, "{\"id\":\"/g\",\"cmd\":\"x\"}");
    assert_int_equal(w.status, 422); /* a group has that id */
    world_post(&w, "{\"id\":\"/g/db/x\",\"cmd\":\"x\"}");
    assert_int_equal(w.status, 422); /* an app is above */
    struct marathon_request g = {.type = MARATHON_GET_GROUP, .app_id = "/"};
    world_request(&w, &g, NULL);
    assert_int_equal(w.status, 200);
    assert_non_null(strstr(w.body, "\"/g/web\""));
    world_deinit(&w);
}

static void story__constraints_hold_over_offers(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    post_sleeper(&w, 3, ",\"constraints\":[[\"hostname\",\"UNIQUE\"],[\"rack\",\"LIKE\",\"r[0-9]\"]]");
    world_offer_rack(&w, "h1", "r1", 10, 10000);
    world_offer_rack(&w, "h1", "r1", 10, 10000);
    world_offer_rack(&w, "h2", "x1", 10, 10000);
    assert_int_equal(world_alive(&w), 1);
    struct marathon_request q = {.type = MARATHON_GET_QUEUE, .embed = MARATHON_EMBED_LAST_UNUSED_OFFERS};
    world_request(&w, &q, NULL);
    assert_non_null(strstr(w.body, "UnfulfilledConstraint"));
    assert_non_null(strstr(w.body, "lastUnusedOffers"));
    world_offer_rack(&w, "h3", "r3", 10, 10000);
    world_offer_rack(&w, "h4", "r4", 10, 10000);
    assert_int_equal(world_alive(&w), 3);
    world_run_all(&w);
    world_put(&w, "/s", "{\"env\":{\"A\":\"1\"}}", false); /* older ones do not block their successors */
    world_offer_rack(&w, "h1", "r1", 10, 10000);
    assert_int_equal(world_alive(&w), 4);
    world_deinit(&w);
}

static void story__mesos_health_decides(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    post_sleeper(&w, 1, ",\"healthChecks\":[{\"protocol\":\"COMMAND\",\"command\":{\"value\":\"true\"}}]");
    world_flow(&w);
    assert_int_equal(world_count(&w, "/s", "deployments"), 1);
    struct world_task *t = world_task(&w, 0);
    world_tell(&w, t->id, t->agent, RUNNING, 1);
    assert_int_equal(world_count(&w, "/s", "tasksHealthy"), 1);
    assert_int_equal(world_count(&w, "/s", "deployments"), 0);
    world_tell(&w, t->id, t->agent, RUNNING, 0);
    assert_int_equal(world_count(&w, "/s", "tasksUnhealthy"), 1);
    assert_false(t->is_kill_asked); /* Mesos does that */
    world_deinit(&w);
}

static void story__lost_connection_loses_no_kill(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    post_sleeper(&w, 1, "");
    world_flow(&w);
    struct kit_event in = {.type = KIT_EVENT_DISCONNECTED};
    world_step(&w, &in);
    world_put(&w, "/s", "{\"instances\":0}", false);
    assert_int_equal(w.status, 200);
    assert_false(world_task(&w, 0)->is_kill_asked);
    world_up(&w);
    assert_true(world_task(&w, 0)->is_kill_asked);
    world_run_all(&w);
    assert_int_equal(world_count(&w, "/s", "deployments"), 0);
    world_deinit(&w);
}

static void story__instances_are_bounded_over_all_apps(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct marathon_request r = {.type = MARATHON_PUT_APPS, .partial = true};
    world_request(&w, &r, "[{\"id\":\"/a\",\"cmd\":\"x\",\"instances\":100001}]");
    assert_int_equal(w.status, 422);
    char body[2048] = "[";
    for (int k = 0; k < 11; k++)
        (void)snprintf(body + strlen(body), sizeof(body) - strlen(body),
                       "%s{\"id\":\"/a%d\",\"cmd\":\"x\",\"instances\":99999}", k ? "," : "", k);
    strcat(body, "]");
    world_request(&w, &r, body);
    assert_int_equal(w.status, 422);
    assert_non_null(strstr(w.body, "All apps together"));
    world_deinit(&w);
}

static void story__many_tasks_at_once(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    post_sleeper(&w, 2000, ",\"ports\":[]");
    for (int k = 0; k < 40 && w.wants_offers; k++)
        world_offer(&w, "h1", 10, 100000);
    assert_int_equal(world_alive(&w), 2000);
    world_run_all(&w);
    assert_int_equal(world_count(&w, "/s", "deployments"), 0);
    world_put(&w, "/s", "{\"instances\":0}", false);
    for (int k = 0; k < 10; k++) { /* kills go out in portions */
        world_run_all(&w);
        world_pass(&w, 200);
    }
    assert_int_equal(world_alive(&w), 0);
    assert_int_equal(world_count(&w, "/s", "deployments"), 0);
    world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(story__scale_from_none_to_fifty_to_none),
        cmocka_unit_test(story__every_ended_task_is_replaced_after_a_delay),
        cmocka_unit_test(story__rolling_update_keeps_the_floor),
        cmocka_unit_test(story__scheduler_restart_in_the_middle_of_everything),
        cmocka_unit_test(story__restart_of_a_checked_app_with_no_room),
        cmocka_unit_test(story__restart_without_a_deployment_touches_nothing),
        cmocka_unit_test(story__nothing_is_told_before_it_is_stored),
        cmocka_unit_test(story__failed_write_is_the_end),
        cmocka_unit_test(story__kill_while_staging),
        cmocka_unit_test(story__kill_and_scale_ends_exactly_those),
        cmocka_unit_test(story__slow_start_is_given_up),
        cmocka_unit_test(story__lost_agent_with_default_strategy),
        cmocka_unit_test(story__lost_agent_with_patience),
        cmocka_unit_test(story__unhealthy_task_is_killed_at_failure_max_plus_one),
        cmocka_unit_test(story__deployment_waits_for_readiness),
        cmocka_unit_test(story__locks_force_and_rollback),
        cmocka_unit_test(story__removed_app_takes_its_tasks_along),
        cmocka_unit_test(story__dependencies_start_first),
        cmocka_unit_test(story__constraints_hold_over_offers),
        cmocka_unit_test(story__mesos_health_decides),
        cmocka_unit_test(story__lost_connection_loses_no_kill),
        cmocka_unit_test(story__instances_are_bounded_over_all_apps),
        cmocka_unit_test(story__many_tasks_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
