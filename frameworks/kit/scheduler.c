/* SPDX-License-Identifier: Apache-2.0
 * scheduler.c - the connection to the master: its callbacks become events of the core. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/log.h"
#include "frameworks/kit/shell.h"

static void on_subscribed(void *ctx, const char *framework_id, const Mesos__V1__MasterInfo *master)
{
    struct kit_shell *s = ctx;
    struct kit_event in = {.type = KIT_EVENT_SUBSCRIBED};
    char address[320] = "";
    in.subscribed.framework_id = framework_id;
    if (master) {
        const Mesos__V1__DomainInfo__FaultDomain *domain = master->domain ? master->domain->fault_domain : NULL;
        (void)snprintf(address, sizeof(address), "%s:%u", master->hostname ? master->hostname : "", master->port);
        in.subscribed.master_region = domain ? domain->region->name : NULL;
    }
    in.subscribed.master = address;
    log_info("subscribed as framework %s with master %s", framework_id, address);
    kit_step(s, &in);
}

static size_t on_known_tasks(void *ctx, struct arena *arena, const struct sdk_task **tasks)
{
    struct kit_shell *s = ctx;
    return s->role->known_tasks(s->core, arena, tasks);
}

static void on_settled(void *ctx)
{
    struct kit_event in = {.type = KIT_EVENT_SETTLED};
    kit_step(ctx, &in);
}

static void on_offers(void *ctx, Mesos__V1__Offer *const *offers, size_t count)
{
    struct kit_event in = {.type = KIT_EVENT_OFFERS};
    in.offers.offers = offers;
    in.offers.count = count;
    kit_step(ctx, &in);
}

static void on_rescind(void *ctx, const char *offer_id)
{
    struct kit_event in = {.type = KIT_EVENT_RESCIND, .rescind = offer_id};
    kit_step(ctx, &in);
}

static void on_update(void *ctx, const Mesos__V1__TaskStatus *status)
{
    struct kit_event in = {.type = KIT_EVENT_UPDATE, .update = status};
    kit_step(ctx, &in);
}

static void on_failure(void *ctx, const char *agent_id, const char *executor_id, int status)
{
    struct kit_event in = {.type = KIT_EVENT_FAILURE};
    (void)status;
    in.failure.agent_id = agent_id;
    in.failure.executor_id = executor_id;
    kit_step(ctx, &in);
}

static void on_disconnected(void *ctx, const char *text)
{
    struct kit_event in = {.type = KIT_EVENT_DISCONNECTED};
    log_warning("%s, connecting again", text);
    kit_step(ctx, &in);
}

static void on_call_refused(void *ctx, Mesos__V1__Scheduler__Call__Type call, int status, const char *text)
{
    (void)ctx;
    log_warning("the master refused a %s call with status %d: %s",
                wire_enum_name(&mesos__v1__scheduler__call__type__descriptor, (int)call), status, text ? text : "");
}

static void on_error(void *ctx, const char *text)
{
    struct kit_shell *s = ctx;
    log_error("the master ended this framework: %s", text);
    s->has_failed = true;
    loop_stop(s->loop);
}

static Mesos__V1__FrameworkInfo__Capability *capability(struct arena *a, Mesos__V1__FrameworkInfo__Capability__Type type)
{
    Mesos__V1__FrameworkInfo__Capability *c = arena_new_one(a, Mesos__V1__FrameworkInfo__Capability);
    mesos__v1__framework_info__capability__init(c);
    c->has_type = 1;
    c->type = type;
    return c;
}

static Mesos__V1__FrameworkInfo *framework_info(struct kit_shell *s, struct arena *a)
{
    const struct kit_options *o = s->options;
    const struct passwd *self = getpwuid(geteuid());
    Mesos__V1__FrameworkInfo *f = arena_new_one(a, Mesos__V1__FrameworkInfo);
    mesos__v1__framework_info__init(f);
    f->user = arena_strdup(a, o->mesos_user ? o->mesos_user : self ? self->pw_name : "root");
    f->name = o->framework_name;
    f->hostname = o->hostname;
    f->webui_url = o->webui_url ? o->webui_url : arena_printf(a, "http://%s", s->address);
    f->has_checkpoint = 1;
    f->checkpoint = o->checkpoint;
    f->has_failover_timeout = 1;
    f->failover_timeout = (double)o->failover_timeout_s;
    f->principal = o->principal;
    f->roles = arena_new_array(a, char *, 1);
    f->roles[f->n_roles++] = o->mesos_role;
    f->capabilities = arena_new_array(a, Mesos__V1__FrameworkInfo__Capability *, 5);
    f->capabilities[f->n_capabilities++] = capability(a, MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE);
    f->capabilities[f->n_capabilities++] = capability(a, MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE);
    f->capabilities[f->n_capabilities++] =
        capability(a, MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT);
    f->capabilities[f->n_capabilities++] = capability(a, MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__REGION_AWARE);
    if (s->role->has_task_killing)
        f->capabilities[f->n_capabilities++] =
            capability(a, MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__TASK_KILLING_STATE);
    return f;
}

/* "host:port" or a comma list of them, with or without http:// in front. */
static size_t split_masters(struct arena *a, const char *text, const char *masters[SDK_MASTERS_MAX])
{
    char *list = arena_strdup(a, text), *save = NULL;
    size_t count = 0;
    for (char *one = strtok_r(list, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
        one += strncmp(one, "http://", 7) == 0 ? 7 : 0;
        one[strcspn(one, "/")] = '\0';
        if (count < SDK_MASTERS_MAX)
            masters[count++] = one;
    }
    return count;
}

/* A disk that answers late lets go of a burst of acknowledgements, and launches that find no room are missing for minutes:
 * what bounds the queue is the bytes (see session.h). */
#define CALLS_MAX 500000

int kit_start_scheduler(struct kit_shell *s, const char *framework_id, struct err *err)
{
    struct arena *a = arena_new(0);
    const char *masters[SDK_MASTERS_MAX];
    struct sdk_config config = {.session = {.masters = masters,
                                            .master_count = split_masters(a, s->options->master, masters),
                                            .framework = framework_info(s, a),
                                            .framework_id = framework_id,
                                            .format = WIRE_PROTOBUF,
                                            .offers_wanted = false,
                                            .calls_max = CALLS_MAX,
                                            .revive_interval_ms = s->options->min_revive_offers_interval},
                                .principal = s->options->principal,
                                .secret = s->options->secret};
    static const struct sdk_callbacks callbacks = {.subscribed = on_subscribed,
                                                   .known_tasks = on_known_tasks,
                                                   .settled = on_settled,
                                                   .offers = on_offers,
                                                   .rescind = on_rescind,
                                                   .update = on_update,
                                                   .failure = on_failure,
                                                   .disconnected = on_disconnected,
                                                   .call_refused = on_call_refused,
                                                   .error = on_error};
    s->scheduler = sdk_scheduler_new(s->loop, &config, &callbacks, s, err);
    (void)arena_free(a);
    return s->scheduler ? 0 : -EINVAL;
}
