/* SPDX-License-Identifier: Apache-2.0
 * Jobs while cron, master and agents fail. What the checks of every world about cron ask (check_cron.h, cron_history.h) is
 * asked here too; the stories say what must come out where the checks leave a choice. */
#include "sim/check_cron.h"
#include "sim/story.h"

static struct sim_jobs jobs;

/* Another job: period 0: none. Works for so long, and well. */
static struct sim_job *job(const char *id, int period_s, int work_ms)
{
    struct sim_job *j = &jobs.items[jobs.count++];
    *j = (struct sim_job){.period_s = period_s,
                          .catch_up_limit = 10,
                          .deadline_s = 60,
                          .work_min_ms = work_ms,
                          .work_max_ms = work_ms,
                          .max_run_s = 3600,
                          .array_parallel = 1};
    (void)snprintf(j->id, sizeof(j->id), "%s", id); /* fits */
    return j;
}

/* The agents are registered and the jobs are there; the first moment comes ten seconds after the beginning. */
static struct cluster *begin(int agents)
{
    struct cluster *c = cluster_new(1, agents, 1, 0);
    world_add_check(c->world, &story_counter);
    cluster_add_cron(c, &jobs);
    run_for(c, 5 * SECOND);
    return c;
}

static void end(struct cluster *c)
{
    must_settle(c, 60 * MINUTE);
    story_end(c);
    jobs.count = 0;
}

static struct sim_node *cron(struct cluster *c)
{
    return sim_cron_node(c->cron);
}

/* Runs of a job that were launched for a moment between the n-th and the m-th, both included. */
static int launched(struct cluster *c, int number, int n, int m)
{
    const struct cron_seen_run *r;
    int count = 0;
    for (size_t i = 0; (r = check_cron_run_at(c->world, i)) != NULL; i++) {
        int64_t k = (r->due_ms - SIM_JOBS_FIRST_MS) / (jobs.items[number].period_s * SECOND);
        count += r->job == number && r->due_ms != 0 && k >= n && k <= m;
    }
    return count;
}

static int starts(struct cluster *c, int number)
{
    const struct cron_seen_run *r;
    int count = 0;
    for (size_t i = 0; (r = check_cron_run_at(c->world, i)) != NULL; i++)
        for (int k = 0; r->job == number && k < (jobs.items[number].array_count ? jobs.items[number].array_count : 1); k++)
            count += r->starts[k];
    return count;
}

/* -- missed moments --------------------------------------------------------------------------------------------- */

static void story_outage__moments_are_missed_as_each_job_wants(void **state)
{
    (void)state;
    job("skip", 10, 500);
    job("once", 10, 500)->missed = SIM_MISSED_RUN_ONCE;
    struct sim_job *all = job("all", 10, 500), *some = job("some", 10, 500);
    all->missed = some->missed = SIM_MISSED_CATCH_UP;
    some->catch_up_limit = 3;
    struct cluster *c = begin(2);
    run_for(c, 17 * SECOND); /* moments 0 and 1 */
    world_restart_node(cron(c), 65 * SECOND);
    run_for(c, 80 * SECOND); /* back between 7 and 8 */
    assert_int_equal(launched(c, 0, 2, 7), 1);
    assert_int_equal(launched(c, 0, 7, 7), 1); /* the newest is not late */
    assert_int_equal(launched(c, 1, 2, 7), 1);
    assert_int_equal(launched(c, 1, 7, 7), 1);
    assert_int_equal(launched(c, 2, 2, 7), 6);
    assert_int_equal(launched(c, 3, 2, 7), 3);
    assert_int_equal(launched(c, 3, 5, 7), 3);
    end(c);
}

static void story_outage_past_the_deadline__is_skipped_or_made_up_for(void **state)
{
    (void)state;
    job("skip", 300, 500);
    job("once", 300, 500)->missed = SIM_MISSED_RUN_ONCE;
    job("late", 300, 500)->deadline_s = 200;
    struct cluster *c = begin(1);
    world_restart_node(cron(c), 100 * SECOND); /* over moment 0 and its deadline */
    run_for(c, 2 * MINUTE);
    assert_int_equal(launched(c, 0, 0, 0), 0);
    assert_int_equal(launched(c, 1, 0, 0), 1);
    assert_int_equal(launched(c, 2, 0, 0), 1);
    end(c);
}

static void story_crash_between_decision_and_disk__decided_once_all_the_same(void **state)
{
    (void)state;
    job("j", 60, 500)->missed = SIM_MISSED_CATCH_UP;
    for (int lost_ms = 1; lost_ms <= 4096; lost_ms *= 2) {
        struct cluster *c = begin(1);
        run_for(c, 4 * SECOND);
        sim_store_stall(sim_cron_store(c->cron), c->world->now_ms + 3 * SECOND);
        run_for(c, 1 * SECOND + lost_ms); /* the moment has come; its decision may be on the disk, the launch may be out */
        world_restart_node(cron(c), 2 * SECOND);
        run_for(c, 30 * SECOND);
        assert_int_equal(launched(c, 0, 0, 0), 1);
        assert_int_equal(starts(c, 0), 1);
        must_settle(c, 60 * MINUTE);
        story_end(c);
    }
}

static void story_cut_off_past_the_deadline__does_not_start_any_more(void **state)
{
    (void)state;
    job("j", 600, 500);
    struct cluster *c = begin(1);
    world_cut(c->world, cron(c), sim_master_node(c->master), c->world->now_ms + 2 * MINUTE);
    run_for(c, 5 * MINUTE);
    assert_int_equal(launched(c, 0, 0, 0), 0);
    end(c);
}

/* -- one at a time ---------------------------------------------------------------------------------------------- */

/* The agent is unreachable after 75 s: a run on it may go on, so nothing else of the job may. */
static void story_partition__what_is_forbidden_waits_for_the_unreachable_one(void **state)
{
    (void)state;
    job("f", 60, 240 * SECOND)->concurrency = SIM_FORBID;
    struct cluster *c = begin(2);
    run_for(c, 8 * SECOND);
    assert_int_equal(starts(c, 0), 1);
    for (int i = 0; i < c->agent_count; i++)
        if (sim_host_running(sim_agent_host(c->agents[i])) > 0)
            world_cut(c->world, sim_agent_node(c->agents[i]), sim_master_node(c->master), c->world->now_ms + 150 * SECOND);
    run_for(c, 200 * SECOND);
    assert_int_equal(counts.states[MESOS__V1__TASK_STATE__TASK_UNREACHABLE], 1);
    assert_int_equal(starts(c, 0), 1);
    run_for(c, 2 * MINUTE); /* it has ended, the next moment is run */
    assert_int_equal(starts(c, 0), 2);
    end(c);
}

static void story_replace__starts_when_the_old_one_has_ended(void **state)
{
    (void)state;
    job("r", 30, 100 * SECOND)->concurrency = SIM_REPLACE;
    struct cluster *c = begin(2);
    run_for(c, 20 * SECOND);
    world_restart_node(sim_master_node(c->master), 30 * SECOND); /* no kill gets through */
    run_for(c, 3 * MINUTE);
    assert_true(starts(c, 0) >= 4);
    assert_true(counts.states[MESOS__V1__TASK_STATE__TASK_KILLED] >= 3);
    end(c);
}

/* -- agents that forget ------------------------------------------------------------------------------------------ */

/* A launch may have been carried out on an agent that is gone for good: it counts as a try. */
static void story_agent_gone_while_launching__is_not_tried_without_a_retry(void **state)
{
    (void)state;
    for (int retries = 0; retries < 2; retries++) {
        job("j", 600, 30 * SECOND)->retries = retries;
        struct cluster *c = begin(1);
        run_for(c, 7 * SECOND);
        assert_int_equal(starts(c, 0), 1);
        sim_host_reboot(sim_agent_host(c->agents[0]), 10 * SECOND);
        run_for(c, 2 * MINUTE);
        assert_int_equal(starts(c, 0), 1 + retries);
        end(c);
    }
}

/* -- graphs ------------------------------------------------------------------------------------------------------ */

/* Whenever cron dies around the end of the parents: each child runs once in each instance. */
static void story_crash_around_the_end_of_parents__children_run_once(void **state)
{
    (void)state;
    for (int at_ms = 0; at_ms < 2000; at_ms += 100) {
        job("a", 20, 2 * SECOND);
        struct sim_job *b = job("b", 0, 500), *d = job("d", 0, 500);
        b->parents[b->parent_count++] = 0;
        d->parents[d->parent_count++] = 0;
        d->parents[d->parent_count++] = 1;
        struct cluster *c = begin(2);
        sim_store_stall(sim_cron_store(c->cron), c->world->now_ms + 7500); /* what follows is late on the disk */
        run_for(c, 6500 + at_ms);
        world_restart_node(cron(c), SECOND);
        run_for(c, 28 * SECOND);
        assert_int_equal(starts(c, 0), 2); /* two moments */
        assert_int_equal(starts(c, 1), 2);
        assert_int_equal(starts(c, 2), 2);
        end(c);
    }
}

/* -- arrays ------------------------------------------------------------------------------------------------------ */

static void story_everything_restarts__an_array_runs_each_index_once(void **state)
{
    (void)state;
    struct sim_job *a = job("a", 0, 1500);
    a->array_count = 60;
    a->array_parallel = 4;
    a->runs_by_hand = 1;
    struct cluster *c = begin(2);
    for (int i = 0; i < 6; i++) {
        world_restart_node(i % 2 ? cron(c) : sim_master_node(c->master), SECOND);
        run_for(c, 3 * SECOND);
        world_restart_node(sim_agent_node(c->agents[i % 2]), SECOND);
        run_for(c, 3 * SECOND);
    }
    run_for(c, 10 * MINUTE);
    assert_int_equal(starts(c, 0), 60);
    assert_int_equal(counts.states[MESOS__V1__TASK_STATE__TASK_FAILED], 0);
    end(c);
}

static int forget_jobs(void **state)
{
    (void)state;
    jobs.count = 0;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(story_outage__moments_are_missed_as_each_job_wants, forget_jobs),
        cmocka_unit_test_setup(story_outage_past_the_deadline__is_skipped_or_made_up_for, forget_jobs),
        cmocka_unit_test_setup(story_crash_between_decision_and_disk__decided_once_all_the_same, forget_jobs),
        cmocka_unit_test_setup(story_cut_off_past_the_deadline__does_not_start_any_more, forget_jobs),
        cmocka_unit_test_setup(story_partition__what_is_forbidden_waits_for_the_unreachable_one, forget_jobs),
        cmocka_unit_test_setup(story_replace__starts_when_the_old_one_has_ended, forget_jobs),
        cmocka_unit_test_setup(story_agent_gone_while_launching__is_not_tried_without_a_retry, forget_jobs),
        cmocka_unit_test_setup(story_crash_around_the_end_of_parents__children_run_once, forget_jobs),
        cmocka_unit_test_setup(story_everything_restarts__an_array_runs_each_index_once, forget_jobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
