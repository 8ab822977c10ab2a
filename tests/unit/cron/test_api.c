/* SPDX-License-Identifier: Apache-2.0
 * Requests and answers of Metronome's API as a table (facts: net-cron D.1 to D.4), in the order in which they are made. */
#include "frameworks/cron/job.h"
#include "tests/unit/cron/world.h"

#define GOOD "\"run\":{\"cmd\":\"true\",\"cpus\":0.1,\"mem\":32,\"disk\":0}"
#define JOB(id, more) "{\"id\":\"" id "\"," GOOD more "}"
#define WITH(run) "{\"id\":\"x\",\"run\":{\"cmd\":\"true\",\"cpus\":0.1,\"mem\":32,\"disk\":0," run "}}"
#define SCHEDULE(id, more) "{\"id\":\"" id "\",\"cron\":\"0 3 * * *\"" more "}"

/* at: a path in the answer, is: what is there; NULL: the body is not looked at. */
static const struct pair_of {
    enum cron_request_type type;
    const char *job, *other, *body;
    int status;
    const char *at, *is;
} pairs_of_api[] = {
    /* jobs */
    {CRON_LIST_JOBS, NULL, NULL, NULL, 200, "", "[]"},
    {CRON_GET_JOB, "a", NULL, NULL, 404, "", "{\"id\":\"a\",\"message\":\"Job not found\"}"},
    {CRON_CREATE_JOB, NULL, NULL, JOB("a", ""), 201, "id", "a"},
    {CRON_CREATE_JOB, NULL, NULL, JOB("a", ""), 409, "", "{\"message\":\"Job with this id already exists\"}"},
    {CRON_GET_JOB, "a", NULL, NULL, 200, "schedules", "[]"},
    {CRON_GET_JOB, "a", NULL, NULL, 200, "run.maxLaunchDelay", "3600"},
    {CRON_GET_JOB, "a", NULL, NULL, 200, "run.restart", "{\"policy\":\"NEVER\"}"},
    {CRON_GET_JOB, "a", NULL, NULL, 200, "run.placement", "{\"constraints\":[]}"},
    {CRON_GET_JOB, "a", NULL, NULL, 200, "description", ""},
    /* validation */
    {CRON_CREATE_JOB, NULL, NULL, "[]", 422, "message", "Object is not valid"},
    {CRON_CREATE_JOB, NULL, NULL, "{\"id\":\"x\"}", 422, "details.0.path", "/run"},
    {CRON_CREATE_JOB, NULL, NULL, "{" GOOD "}", 422, "details.0.path", "/id"},
    {CRON_CREATE_JOB, NULL, NULL, JOB("X", ""), 422, "details.0.path", "/id"},
    {CRON_CREATE_JOB, NULL, NULL, JOB("x", ",\"nonsense\":1"), 422, "details.0.path", "/nonsense"},
    {CRON_CREATE_JOB, NULL, NULL, WITH("\"nonsense\":1"), 422, "details.0.path", "/run/nonsense"},
    {CRON_CREATE_JOB, NULL, NULL, "{\"id\":\"x\",\"run\":{\"cmd\":\"t\",\"mem\":32,\"disk\":0}}", 422, "details.0.path",
     "/run/cpus"},
    {CRON_CREATE_JOB, NULL, NULL, "{\"id\":\"x\",\"run\":{\"cmd\":\"t\",\"cpus\":0.001,\"mem\":32,\"disk\":0}}", 422,
     "details.0.path", "/run/cpus"},
    {CRON_CREATE_JOB, NULL, NULL, "{\"id\":\"x\",\"run\":{\"cmd\":\"t\",\"cpus\":1,\"mem\":31,\"disk\":0}}", 422,
     "details.0.path", "/run/mem"},
    {CRON_CREATE_JOB, NULL, NULL, "{\"id\":\"x\",\"run\":{\"cpus\":1,\"mem\":32,\"disk\":0}}", 422, "details.0.errors.0",
     "Cmd, Docker or UCR image must be specified"},
    {CRON_CREATE_JOB, NULL, NULL, WITH("\"docker\":{\"image\":\"i\"}"), 422, "details.0.errors.0",
     "Docker images are not supported yet"},
    {CRON_CREATE_JOB, NULL, NULL, WITH("\"env\":{\"A\":{\"secret\":\"s\"}}"), 422, "details.0.path", "/run/env/A"},
    {CRON_CREATE_JOB, NULL, NULL, WITH("\"gpus\":1"), 422, "details.0.path", "/run/gpus"},
    {CRON_CREATE_JOB, NULL, NULL, WITH("\"networks\":[{\"mode\":\"container\",\"name\":\"n\"}]"), 422, "details.0.path",
     "/run/networks(0)"},
    {CRON_CREATE_JOB, NULL, NULL, WITH("\"restart\":{\"policy\":\"ALWAYS\"}"), 422, "details.0.path",
     "/run/restart/policy"},
    {CRON_CREATE_JOB, NULL, NULL,
     WITH("\"placement\":{\"constraints\":[{\"attribute\":\"a\",\"operator\":\"LIKE\",\"value\":\"(\"}]}"), 422,
     "details.0.path", "/run/placement/constraints(0)/value"},
    /* dependencies */
    {CRON_CREATE_JOB, NULL, NULL, JOB("b", ",\"dependencies\":[{\"id\":\"no\"},{\"id\":\"a\"},{\"id\":\"nor\"}]"), 422, "",
     "{\"message\":\"Dependencies contain unknown jobs. unknown=[no,nor]\"}"},
    {CRON_CREATE_JOB, NULL, NULL, JOB("b", ",\"dependencies\":[{\"id\":\"a\"}]"), 201, "dependencies.0.id", "a"},
    {CRON_PUT_JOB, "a", NULL, JOB("a", ",\"dependencies\":[{\"id\":\"b\"}]"), 422, "",
     "{\"message\":\"Dependencies have a cycle.\"}"},
    {CRON_PUT_JOB, "a", NULL, JOB("a", ",\"dependencies\":[{\"id\":\"a\"}]"), 422, "message", "Dependencies have a cycle."},
    {CRON_DELETE_JOB, "a", NULL, NULL, 409, NULL, NULL},
    {CRON_CREATE_SCHEDULE, "b", NULL, SCHEDULE("ss", ""), 422, "details.0.errors.0",
     "Jobs may not have both schedules and dependencies"},
    {CRON_DELETE_JOB, "b", NULL, NULL, 200, "id", "b"},
    /* schedules */
    {CRON_LIST_SCHEDULES, "no", NULL, NULL, 404, "message", "Job not found"},
    {CRON_GET_SCHEDULE, "a", "s", NULL, 404, "", "{\"id\":\"s\",\"message\":\"Schedule not found\"}"},
    {CRON_PUT_SCHEDULE, "a", "ss", SCHEDULE("ss", ""), 404, "message", "Schedule not found"},
    {CRON_CREATE_SCHEDULE, "a", NULL, SCHEDULE("s", ""), 422, "details.0.path", "/id"}, /* two characters here */
    {CRON_CREATE_SCHEDULE, "a", NULL, "{\"id\":\"ss\"}", 422, "details.0.path", "/cron"},
    {CRON_CREATE_SCHEDULE, "a", NULL, "{\"id\":\"ss\",\"cron\":\"0 0 31 2 *\"}", 422, "details.0.path", "/cron"},
    {CRON_CREATE_SCHEDULE, "a", NULL, SCHEDULE("ss", ",\"timezone\":\"+02:00\""), 422, "details.0.path", "/timezone"},
    {CRON_CREATE_SCHEDULE, "a", NULL, SCHEDULE("ss", ",\"startingDeadlineSeconds\":59"), 422, "details.0.path",
     "/startingDeadlineSeconds"},
    {CRON_CREATE_SCHEDULE, "a", NULL, SCHEDULE("ss", ",\"timeZone\":\"x\",\"timezone\":\"Europe/Rome\""), 201, "nextRunAt",
     "2023-11-15T02:00:00.000+0000"},
    {CRON_CREATE_SCHEDULE, "a", NULL, SCHEDULE("ss", ""), 409, "message", "A schedule with id ss already exists"},
    {CRON_CREATE_SCHEDULE, "a", NULL, SCHEDULE("tt", ""), 409, "message", "Only one schedule supported at the moment"},
    {CRON_GET_SCHEDULE, "a", "ss", NULL, 200, "startingDeadlineSeconds", "900"},
    {CRON_GET_SCHEDULE, "a", "ss", NULL, 200, "concurrencyPolicy", "ALLOW"},
    {CRON_PUT_JOB, "a", NULL, JOB("zzz", ",\"description\":\"d\""), 200, "schedules.0.id", "ss"}, /* kept; the path's id */
    {CRON_PUT_JOB, "no", NULL, JOB("no", ""), 404, "message", "Job not found"},
    {CRON_PUT_SCHEDULE, "a", "ss", "{\"id\":\"other\",\"cron\":\"*/1 * * * *\"}", 200, "cron", "* * * * *"},
    {CRON_PUT_SCHEDULE, "a", "ss", "{\"id\":\"ss\",\"cron\":\"* * * * *\",\"enabled\":false}", 200, "enabled", "false"},
    {CRON_DELETE_SCHEDULE, "a", "ss", NULL, 200, NULL, NULL},
    {CRON_DELETE_SCHEDULE, "a", "ss", NULL, 404, "message", "Schedule not found"},
    {CRON_CREATE_JOB, NULL, NULL, JOB("c", ",\"schedules\":[" SCHEDULE("s", "") "]"), 201, "schedules.0.timezone", "UTC"},
    {CRON_CREATE_JOB, NULL, NULL, JOB("d", ",\"schedules\":[" SCHEDULE("s", "") "," SCHEDULE("t", "") "]"), 422,
     "details.0.errors.0", "Only one schedule supported at the moment"},
    /* runs */
    {CRON_CREATE_RUN, "no", NULL, NULL, 404, "message", "Job not found"},
    {CRON_LIST_RUNS, "a", NULL, NULL, 200, "", "[]"},
    {CRON_GET_RUN, "a", "r", NULL, 404, "", "{\"jobSpec\":\"a\",\"id\":\"r\",\"message\":\"Job Run not found\"}"},
    {CRON_STOP_RUN, "a", "r", NULL, 404, "message", "Job Run not found"},
    {CRON_STOP_RUN, "no", "r", NULL, 404, "message", "Job not found"},
    {CRON_CREATE_RUN, "a", NULL, NULL, 201, "jobId", "a"},
    {CRON_GET_QUEUE, NULL, NULL, NULL, 200, "0.jobId", "a"},
    {CRON_DELETE_JOB, "a", NULL, NULL, 409, "message", "There are active job runs. Override with stopCurrentJobRuns=true"},
    {CRON_DELETE_JOB, "no", NULL, NULL, 404, "message", "Job not found"},
    {CRON_GET_HISTORY, "no", NULL, NULL, 404, "message", "Job not found"},
    {CRON_GET_NEXT, "c", NULL, NULL, 200, "next.0", "2023-11-15T03:00:00.000Z"},
};

static void test_api__pairs(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    for (size_t k = 0; k < sizeof(pairs_of_api) / sizeof(pairs_of_api[0]); k++) {
        const struct pair_of *p = &pairs_of_api[k];
        world_call(&w, p->type, p->job, p->other, p->body);
        if (w.status != p->status || (p->at && strcmp(world_at(&w, p->at), p->is) != 0))
            fail_msg("row %zu (%s %s): %d %s, wanted %d with %s at \"%s\"", k, p->job ? p->job : "", p->body ? p->body : "",
                     w.status, w.body ? w.body : "", p->status, p->is ? p->is : "", p->at ? p->at : "");
    }
    world_deinit(&w);
}

static void test_api__embed(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_job(&w, "a", "", "");
    struct cron_request r = {.type = CRON_LIST_JOBS, .embed = CRON_EMBED_ACTIVE_RUNS | CRON_EMBED_HISTORY_SUMMARY};
    world_request(&w, &r, NULL);
    assert_string_equal(world_at(&w, "0.activeRuns"), ""); /* missing in lists, how the CLI tells "running" */
    assert_string_equal(world_at(&w, "0.historySummary.lastSuccessAt"), "null");
    r = (struct cron_request){.type = CRON_GET_JOB, .job_id = "a", .embed = CRON_EMBED_ACTIVE_RUNS};
    world_request(&w, &r, NULL);
    assert_string_equal(world_at(&w, "activeRuns"), "[]");
    world_run(&w, "a");
    world_flow(&w);
    r = (struct cron_request){.type = CRON_LIST_JOBS, .embed = CRON_EMBED_HISTORY};
    world_request(&w, &r, NULL);
    assert_string_equal(world_at(&w, "0.history.successCount"), "1");
    assert_string_equal(world_at(&w, "0.history.failedFinishedRuns"), "[]");
    assert_string_not_equal(world_at(&w, "0.history.successfulFinishedRuns.0.tasks.0"), "");
    world_deinit(&w);
}

static void test_api__ids(void **state)
{
    (void)state;
    static const char *const good[] = {
        "a",         "a-a",   "a--a",      "a-a.a-a",
        "a--a.a--a", "a.a.a", "a1a.a1.a1", "a1234567890-a1234567890.a1234567890-a1234567890.a"};
    static const char *const bad[] = {"a-",    "a.",     "a1.a-", "a1.a1.", "-a",   ".a",    "-a1.a", "a1.-a",
                                      "a1-.a", ".a1.a1", "a?.a",  "a?a.a",  "a.a?", "a.a?a", "",      "A"};
    for (size_t k = 0; k < sizeof(good) / sizeof(good[0]); k++)
        assert_true(job_id_is_metronome(good[k]));
    for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
        assert_false(job_id_is_metronome(bad[k]));
}

static void find_run(struct world *w, const char *id)
{
    struct cron_request r = {.type = CRON_FIND_RUN, .run_id = id};
    world_request(w, &r, NULL);
}

/* Of whichever job, alive or far behind in a history of several pages. */
static void test_api__find_run(void **state)
{
    (void)state;
    struct world w;
    char first[64], live[64];
    world_init(&w);
    world_job(&w, "quiet", "", "");
    world_run(&w, "quiet");
    world_flow(&w);
    world_job(&w, "a", "", "");
    world_run(&w, "a");
    (void)snprintf(first, sizeof(first), "%s", world_at(&w, "id"));
    world_flow(&w);
    world_pass(&w, 600000);
    for (int k = 0; k < 350; k++) {
        world_run(&w, "a");
        world_flow(&w);
    }
    world_run(&w, "a");
    (void)snprintf(live, sizeof(live), "%s", world_at(&w, "id"));
    find_run(&w, live);
    assert_string_equal(world_at(&w, "status"), "STARTING");
    find_run(&w, first);
    assert_int_equal(w.status, 200);
    assert_string_equal(world_at(&w, "id"), first);
    assert_string_equal(world_at(&w, "status"), "SUCCESS");
    first[18] = first[18] == 'a' ? 'b' : 'a'; /* made in the same second, but not there */
    find_run(&w, first);
    assert_int_equal(w.status, 404);
    assert_string_equal(world_at(&w, "message"), "Job Run not found");
    find_run(&w, "20990101000000abcde");
    assert_int_equal(w.status, 404);
    world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_api__pairs),
        cmocka_unit_test(test_api__embed),
        cmocka_unit_test(test_api__ids),
        cmocka_unit_test(test_api__find_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
