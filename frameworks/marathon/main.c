/* SPDX-License-Identifier: Apache-2.0
 * main.c - the Marathon-compatible scheduler as a role of the program. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/options.h"
#include "common/real/loop_ev.h"
#include "common/real/store_leveldb.h"
#include "frameworks/marathon/options.h"
#include "frameworks/marathon/shell.h"

int marathon_main(int argc, char **argv);

static int check_features(const char *list, struct err *err)
{
    while (list && *list) {
        size_t n = strcspn(list, ",");
        if (n > 0 && !(n == strlen("task_killing") && strncmp(list, "task_killing", n) == 0))
            return err_set(err, -EINVAL, "--enable_features: %.*s is not supported yet", (int)n, list);
        list += n + (list[n] == ',');
    }
    return 0;
}

static int check_options(struct shell_options *o, struct err *err)
{
    static const char *const behaviors[] = {"any", "unreserved", "reserved"};
    bool known = false;
    int result = kit_check_options(&o->kit, err);
    if (result != 0)
        return result;
    if (strcmp(o->executor, "//cmd") != 0)
        return err_set(err, -EINVAL, "--executor: only //cmd is supported yet");
    if (o->local_port_min > o->local_port_max)
        return err_set(err, -EINVAL, "--local_port_min is above --local_port_max");
    for (size_t k = 0; k < 3; k++)
        known = known || strcmp(behaviors[k], o->roles_default_behavior) == 0;
    if (!known)
        return err_set(err, -EINVAL, "--accepted_resource_roles_default_behavior is one of any, unreserved, reserved");
    return check_features(o->enable_features, err);
}

static void on_probe_done(void *ctx, const struct marathon_probe_result *result)
{
    struct kit_event in = {.type = KIT_EVENT_OWN, .own = result};
    kit_step(ctx, &in);
}

static void on_own_effect(struct kit_shell *kit, const void *probe)
{
    struct shell *s = kit->ctx;
    prober_start(s->prober, probe);
}

static struct marathon *new_core(const struct shell_options *o)
{
    uint64_t seed = 0;
    CHECK(getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed)); /* ids of instances come from it */
    struct marathon_config config = {
        .role = o->kit.mesos_role,
        .user = kit_non_empty(o->kit.mesos_user),
        .hostname = o->kit.hostname,
        .env_vars_prefix = kit_non_empty(o->env_vars_prefix),
        .local_port_min = (uint16_t)o->local_port_min,
        .local_port_max = (uint16_t)o->local_port_max,
        .task_launch_confirm_timeout_ms = o->task_launch_confirm_timeout,
        .task_launch_timeout_ms = o->task_launch_timeout,
        .kill_retry_timeout_ms = o->kill_retry_timeout,
        .scale_apps_interval_ms = o->scale_apps_interval,
        .reconciliation_interval_ms = o->reconciliation_interval,
        .decline_offer_duration_ms = o->decline_offer_duration,
        .running_deployments_max = o->max_running_deployments,
        .probes_max = o->max_concurrent_health_checks,
        .unreserved_only = strcmp(o->roles_default_behavior, "unreserved") == 0,
        .reserved_only = strcmp(o->roles_default_behavior, "reserved") == 0,
        .seed = seed,
    };
    return marathon_new(&config);
}

static int start(struct kit_shell *kit, struct err *err)
{
    struct shell *s = kit->ctx;
    (void)err;
    s->kit = kit;
    kit->core = new_core(&s->options);
    s->client = http_client_new(kit->loop);
    s->prober = prober_new(kit->loop, s->client, on_probe_done, kit);
    return 0;
}

static void stop(struct kit_shell *kit)
{
    struct shell *s = kit->ctx;
    s->prober = prober_free(s->prober);
    s->client = s->client ? http_client_free(s->client) : NULL;
    kit->core = marathon_free(kit->core);
}

static int step(void *core, const struct kit_event *in, struct kit_effects *out)
{
    return marathon_step(core, in, out);
}

static int64_t next_deadline(const void *core)
{
    return marathon_next_deadline(core);
}

static size_t known_tasks(const void *core, struct arena *a, const struct sdk_task **out)
{
    return marathon_known_tasks(core, a, out);
}

static int run(struct shell *s)
{
    const struct kit_role role = {.name = "marathon",
                                  .store_prefix = MARATHON_STORE_PREFIX,
                                  .open_store = store_leveldb_open,
                                  .handle = api_handle,
                                  .step = step,
                                  .next_deadline = next_deadline,
                                  .known_tasks = known_tasks,
                                  .own = on_own_effect,
                                  .start = start,
                                  .stop = stop,
                                  .has_task_killing =
                                      s->options.enable_features && strstr(s->options.enable_features, "task_killing")};
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
    options_help(marathon_option_defs, marathon_option_count, "muster marathon --master HOST:PORT [options]", &b);
    fwrite(buf_data(&b), 1, buf_len(&b), stdout);
    buf_deinit(&b);
    return 0;
}

int marathon_main(int argc, char **argv)
{
    struct shell *s = xcalloc(1, sizeof(*s));
    struct err err = {0};
    log_init("marathon", LOG_LEVEL_INFO);
    int result = options_parse(marathon_option_defs, marathon_option_count, &s->options, argc, argv, NULL, NULL, &err);
    int status = 2;
    if (result == OPTIONS_E_HELP)
        status = print_help();
    else if (result != 0 || check_options(&s->options, &err) != 0)
        fprintf(stderr, "muster marathon: %s\n", err.text);
    else
        status = run(s);
    options_free(marathon_option_defs, marathon_option_count, &s->options);
    free(s);
    return status;
}
