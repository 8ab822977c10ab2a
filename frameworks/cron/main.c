/* SPDX-License-Identifier: Apache-2.0
 * main.c - the scheduler of jobs as a role of the program. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/real/loop_ev.h"
#include "common/real/store_leveldb.h"
#include "frameworks/cron/options.h"
#include "frameworks/cron/shell.h"

int cron_main(int argc, char **argv);

static struct cron *new_core(const struct cron_shell *s)
{
    const struct cron_shell_options *o = &s->options;
    uint64_t seed = 0;
    CHECK(getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed)); /* ids of runs and tasks come from it */
    struct cron_config config = {
        .role = o->kit.mesos_role,
        .user = kit_non_empty(o->kit.mesos_user),
        .zones = s->zones,
        .history_count = o->history_count,
        .task_launch_confirm_timeout_ms = o->task_launch_confirm_timeout,
        .task_launch_timeout_ms = o->task_launch_timeout,
        .kill_retry_timeout_ms = o->kill_retry_timeout,
        .task_lost_expunge_ms = o->task_lost_expunge,
        .reconciliation_interval_ms = o->reconciliation_interval,
        .decline_offer_duration_ms = o->decline_offer_duration,
        .runs_max = o->runs_max,
        .seed = seed,
        .chronos_cpus = o->chronos_cpus,
        .chronos_mem = o->chronos_mem,
        .chronos_disk = o->chronos_disk,
        .chronos_failure_retry_ms = o->failure_retry,
        .chronos_disable_after_failures = o->disable_after_failures,
        .chronos_compat = o->chronos_compat,
        .address = s->kit->address,
    };
    return cron_new(&config);
}

static int start(struct kit_shell *kit, struct err *err)
{
    struct cron_shell *s = kit->ctx;
    (void)err;
    s->kit = kit;
    s->started_ms = loop_wall_ms(kit->loop);
    s->zones = zones_new(zone_read_system, s->options.zoneinfo);
    kit->core = new_core(s);
    return 0;
}

static void stop(struct kit_shell *kit)
{
    struct cron_shell *s = kit->ctx;
    kit->core = cron_free(kit->core);
    s->zones = zones_free(s->zones);
}

static int step(void *core, const struct kit_event *in, struct kit_effects *out)
{
    return cron_step(core, in, out);
}

static int64_t next_deadline(const void *core)
{
    return cron_next_deadline(core);
}

static size_t known_tasks(const void *core, struct arena *a, const struct sdk_task **out)
{
    return cron_known_tasks(core, a, out);
}

static int run(struct cron_shell *s)
{
    const struct kit_role role = {.name = "cron",
                                  .store_prefix = CRON_STORE_PREFIX,
                                  .open_store = store_leveldb_open,
                                  .handle = cron_api_handle,
                                  .step = step,
                                  .next_deadline = next_deadline,
                                  .known_tasks = known_tasks,
                                  .start = start,
                                  .stop = stop};
    struct loop *loop = loop_ev_new();
    CHECK(loop != NULL);
    int status = kit_run(&role, &s->options.kit, loop, s);
    (void)loop_ev_free(loop);
    return status;
}

static int print_help(void)
{
    struct buf b;
    buf_init(&b, 0);
    options_help(cron_option_defs, cron_option_count, "muster cron --master HOST:PORT [options]", &b);
    fwrite(buf_data(&b), 1, buf_len(&b), stdout);
    buf_deinit(&b);
    return 0;
}

int cron_main(int argc, char **argv)
{
    struct cron_shell *s = xcalloc(1, sizeof(*s));
    struct err err = {0};
    log_init("cron", LOG_LEVEL_INFO);
    int result = options_parse(cron_option_defs, cron_option_count, &s->options, argc, argv, NULL, NULL, &err);
    int status = 2;
    if (result == OPTIONS_E_HELP)
        status = print_help();
    else if (result != 0 || kit_check_options(&s->options.kit, &err) != 0)
        fprintf(stderr, "muster cron: %s\n", err.text);
    else
        status = run(s);
    options_free(cron_option_defs, cron_option_count, &s->options);
    free(s);
    return status;
}
