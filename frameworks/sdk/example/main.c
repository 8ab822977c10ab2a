/* SPDX-License-Identifier: Apache-2.0
 * main.c - the smallest useful framework: runs one command to its end, prints its states, removes itself.
 * Usage: muster-example-framework HOST:PORT COMMAND */
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "common/real/loop_ev.h"
#include "frameworks/sdk/calls.h"
#include "frameworks/sdk/match.h"
#include "frameworks/sdk/sdk.h"

static struct {
    struct sdk_scheduler *scheduler;
    struct loop *loop;
    char name[8];
    char *command;
    bool is_launched;
    int exit_status;
} app = {.name = "example", .exit_status = 1};

static void on_offers(void *ctx, Mesos__V1__Offer *const *offers, size_t count)
{
    struct arena *arena = ctx;
    for (size_t i = 0; i < count; i++) {
        const char *id = offers[i]->id->value;
        struct resources *pool = sdk_match_pool(offers[i], NULL), *taken = NULL;
        struct sdk_need need = {.cpus_millis = 100, .mem_millis = 32000};
        if (!app.is_launched && pool && sdk_match_take(pool, &need, "*", NULL, NULL, &taken) == SDK_MATCH_FITS) {
            Mesos__V1__TaskID task_id = MESOS__V1__TASK_ID__INIT;
            Mesos__V1__CommandInfo command = MESOS__V1__COMMAND_INFO__INIT;
            Mesos__V1__TaskInfo task = MESOS__V1__TASK_INFO__INIT, *tasks = &task;
            command.value = app.command;
            task.name = task_id.value = app.name;
            task.task_id = &task_id;
            task.agent_id = offers[i]->agent_id;
            task.command = &command;
            task.n_resources = resources_to_wire(taken, RESOURCE_POST_REFINEMENT, arena, &task.resources);
            Mesos__V1__Offer__Operation *launch = sdk_operation_launch(arena, &tasks, 1);
            app.is_launched = sdk_scheduler_accept(app.scheduler, &id, 1, &launch, 1, -1) == 0;
        } else {
            (void)sdk_scheduler_decline(app.scheduler, &id, 1, -1); /* a lost decline only delays the next offer */
        }
        resources_free(taken);
        resources_free(pool);
        arena_reset(arena);
    }
}

static void on_update(void *ctx, const Mesos__V1__TaskStatus *status)
{
    (void)ctx;
    printf("%s: %s %s\n", status->task_id->value, wire_enum_name(&mesos__v1__task_state__descriptor, status->state),
           status->message ? status->message : "");
    fflush(stdout);
    (void)sdk_scheduler_acknowledge(app.scheduler, status); /* not delivered: the update comes again */
    switch (status->state) {
    case MESOS__V1__TASK_STATE__TASK_STAGING:
    case MESOS__V1__TASK_STATE__TASK_STARTING:
    case MESOS__V1__TASK_STATE__TASK_RUNNING:
    case MESOS__V1__TASK_STATE__TASK_KILLING:
        break;
    default:
        app.exit_status = status->state == MESOS__V1__TASK_STATE__TASK_FINISHED ? 0 : 1;
        (void)sdk_scheduler_teardown(app.scheduler); /* not delivered: the master removes us when we are gone */
    }
}

static void on_disconnected(void *ctx, const char *text)
{
    (void)ctx;
    fprintf(stderr, "%s, trying again\n", text);
}

static void on_error(void *ctx, const char *text)
{
    (void)ctx;
    fprintf(stderr, "the master ended this framework: %s\n", text);
    loop_stop(app.loop);
}

static void on_stopped(void *ctx)
{
    (void)ctx;
    loop_stop(app.loop);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s HOST:PORT COMMAND\n", argv[0]);
        return 2;
    }
    const char *masters[] = {argv[1]};
    Mesos__V1__FrameworkInfo framework = MESOS__V1__FRAMEWORK_INFO__INIT;
    struct passwd *user = getpwuid(geteuid());
    framework.user = user ? user->pw_name : app.name;
    framework.name = app.name;
    struct sdk_config config = {.session = {.masters = masters,
                                            .master_count = 1,
                                            .framework = &framework,
                                            .format = WIRE_PROTOBUF,
                                            .offers_wanted = true}};
    struct sdk_callbacks callbacks = {.offers = on_offers,
                                      .update = on_update,
                                      .disconnected = on_disconnected,
                                      .error = on_error,
                                      .stopped = on_stopped};
    struct err err = {0};
    struct arena *arena = arena_new(0);
    app.loop = loop_ev_new();
    app.command = argv[2];
    app.scheduler = sdk_scheduler_new(app.loop, &config, &callbacks, arena, &err);
    if (app.scheduler)
        loop_run(app.loop);
    else
        fprintf(stderr, "%s\n", err.text);
    sdk_scheduler_free(app.scheduler);
    loop_ev_free(app.loop);
    arena_free(arena);
    return app.exit_status;
}
