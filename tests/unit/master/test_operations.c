/* SPDX-License-Identifier: Apache-2.0
 * Operations of an ACCEPT, their feedback, and what becomes of them when agents and frameworks go. */
#include "support/master_world.h"

#include "master/snapshot.h"

#define CAPABLE                                                                                                            \
    ",\"roles\":[\"eng\"],\"capabilities\":[{\"type\":\"MULTI_ROLE\"},{\"type\":\"RESERVATION_REFINEMENT\"},"              \
    "{\"type\":\"SHARED_RESOURCES\"},{\"type\":\"PARTITION_AWARE\"}]"
#define RESERVED(name, amount, role)                                                                                       \
    "{\"name\":\"" name "\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" #amount                                            \
    "},\"reservations\":[{\"type\":\"DYNAMIC\","                                                                           \
    "\"role\":\"" role "\"}]}"
#define VOLUME_OF(amount, id, more)                                                                                        \
    "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" #amount "},\"reservations\":[{\"type\":\"DYNAMIC\","   \
    "\"role\":\"eng\"}],\"disk\":{\"persistence\":{\"id\":\"" id "\"},\"volume\":{\"container_path\":\"data\",\"mode\":"   \
    "\"RW\"}}" more "}"
#define VOLUME(amount, id) VOLUME_OF(amount, id, "")
#define SHARED ",\"shared\":{}"
#define OP(type, body, more) "{\"type\":\"" type "\"" more "," body "}"
#define RESERVE(list) OP("RESERVE", "\"reserve\":{\"resources\":[" list "]}", "")
#define RESERVE_ID(list, id) OP("RESERVE", "\"reserve\":{\"resources\":[" list "]}", ",\"id\":{\"value\":\"" id "\"}")
#define UNRESERVE_ID(list, id) OP("UNRESERVE", "\"unreserve\":{\"resources\":[" list "]}", ",\"id\":{\"value\":\"" id "\"}")
#define CREATE(list) OP("CREATE", "\"create\":{\"volumes\":[" list "]}", "")
#define CREATE_ID(list, id) OP("CREATE", "\"create\":{\"volumes\":[" list "]}", ",\"id\":{\"value\":\"" id "\"}")
#define DESTROY_ID(list, id) OP("DESTROY", "\"destroy\":{\"volumes\":[" list "]}", ",\"id\":{\"value\":\"" id "\"}")
#define TASK(id, agent_format, resources)                                                                                  \
    "{\"name\":\"n\",\"task_id\":{\"value\":\"" id "\"},\"agent_id\":{\"value\":\"" agent_format                           \
    "\"},\"resources\":[" resources "],\"command\":{\"value\":\"true\"}}"
#define LAUNCH(tasks) "{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[" tasks "]}}"

struct cluster {
    struct world *w;
    const char *agent, *framework;
};

static struct cluster cluster_new(const char *more)
{
    struct cluster c = {.w = world_new()};
    c.agent = world_agent(c.w, 1, WORLD_AGENT "," WORLD_SCALAR("disk", 1000));
    c.framework = world_framework(c.w, 9, more);
    return c;
}

/* Accepts the newest offer of the stream with these operations, in which %s is the agent. */
static void accept_with(struct cluster *c, const char *operations, const char *seconds)
{
    size_t n = world_offer_count(c->w, 9);
    assert_true(n > 0);
    const char *offer = world_offer(c->w, 9, n - 1)->id->value;
    char text[8192];
    size_t at = 0;
    for (const char *p = operations; *p != '\0'; p++) { /* the agent's id for every @ */
        if (*p == '@')
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s", c->agent);
        else
            text[at++] = *p;
        assert_true(at < sizeof(text));
    }
    text[at] = '\0';
    world_forget(c->w);
    world_call(c->w, 9,
               "{\"type\":\"ACCEPT\",\"framework_id\":{\"value\":\"%s\"},\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],"
               "\"filters\":{\"refuse_seconds\":%s},\"operations\":[%s]}}",
               c->framework, offer, seconds, text);
}

static Muster__Link__ApplyOperation *applied(struct world *w, size_t nth)
{
    return WORLD_LINK(w, 1, Muster__Link__ApplyOperation, apply_operation, nth);
}

/* The agent's answer to an operation; status uuid: 16 times the letter. */
static void finish_with(struct world *w, ProtobufCBinaryData uuid, char letter, Mesos__V1__OperationState state,
                        Mesos__V1__Resource **total, size_t n_total)
{
    uint8_t bytes[16];
    memset(bytes, letter, sizeof(bytes));
    Mesos__V1__UUID status_uuid = MESOS__V1__UUID__INIT;
    status_uuid.value = (ProtobufCBinaryData){.data = bytes, .len = sizeof(bytes)};
    Mesos__V1__OperationStatus status = MESOS__V1__OPERATION_STATUS__INIT;
    status.state = state;
    status.uuid = &status_uuid;
    Muster__Link__OperationStatusUpdate update = MUSTER__LINK__OPERATION_STATUS_UPDATE__INIT;
    update.operation_uuid = uuid;
    update.status = &status;
    update.total = total;
    update.n_total = n_total;
    Muster__Link__AgentToMaster message = MUSTER__LINK__AGENT_TO_MASTER__INIT;
    message.operation_status_update = &update;
    world_step(w,
               (struct master_event){.type = MASTER_EVENT_LINK_MESSAGE, .link_message = {.link = 1, .message = &message}});
}
#define FINISH(w, operation, letter)                                                                                       \
    finish_with((w), (operation)->operation_uuid, (letter), MESOS__V1__OPERATION_STATE__OPERATION_FINISHED, NULL, 0)

static Mesos__V1__OperationStatus *told(struct world *w, size_t nth)
{
    Mesos__V1__Scheduler__Event *e = WORLD_EVENT(w, 9, UPDATE_OPERATION_STATUS, nth);
    return e != NULL ? e->update_operation_status->status : NULL;
}

static size_t operation_count(struct world *w)
{
    struct arena *arena = arena_new(0);
    size_t n = master_snapshot_operations(w->m, arena)->n_operations;
    arena_free(arena);
    return n;
}

static double reserved_in(const Mesos__V1__Offer *offer, const char *name)
{
    double sum = 0;
    for (size_t i = 0; i < offer->n_resources; i++)
        if (offer->resources[i]->n_reservations > 0 && strcmp(offer->resources[i]->name, name) == 0)
            sum += offer->resources[i]->scalar->value;
    return sum;
}

static void test_operations__reserve_create_and_launch_in_one_accept(void **state)
{
    (void)state;
    struct cluster c = cluster_new(CAPABLE);
    struct world *w = c.w;
    accept_with(
        &c,
        RESERVE(RESERVED("cpus", 2, "eng") "," RESERVED("disk", 100, "eng")) "," CREATE(VOLUME(40, "v1")) "," LAUNCH(
            TASK("t1", "@", RESERVED("cpus", 1, "eng") "," WORLD_SCALAR("mem", 64) "," VOLUME(40, "v1"))),
        "0");
    assert_null(world_update(w, 9, 0)); /* no TASK_ERROR */
    Muster__Link__ApplyOperation *reserve = applied(w, 0), *create = applied(w, 1);
    assert_string_equal(reserve->framework_id->value, c.framework);
    assert_non_null(create);
    assert_non_null(WORLD_LINK(w, 1, Muster__Link__RunTasks, run_tasks, 0));
    Mesos__V1__Offer__Operation *op =
        (void *)wire_unpack(&mesos__v1__offer__operation__descriptor, create->info.data, create->info.len, w->arena, NULL);
    assert_int_equal(op->type, MESOS__V1__OFFER__OPERATION__TYPE__CREATE);
    assert_null(op->create->volumes[0]->allocation_info); /* the agent knows of no allocation */
    /* On the link the task comes behind what it uses. */
    size_t at_create = 0, at_run = 0;
    for (size_t i = 0; i < w->sent_count; i++)
        if (w->sent[i].type == MASTER_EFFECT_LINK_SEND && w->sent[i].link->apply_operation != NULL)
            at_create = i;
        else if (w->sent[i].type == MASTER_EFFECT_LINK_SEND && w->sent[i].link->run_tasks != NULL)
            at_run = i;
    assert_true(at_create < at_run);
    assert_int_equal(operation_count(w), 2);
    FINISH(w, reserve, 'a'); /* without an id the master acknowledges */
    Muster__Link__AcknowledgeOperation *ack =
        WORLD_LINK(w, 1, Muster__Link__AcknowledgeOperation, acknowledge_operation, 0);
    assert_memory_equal(ack->operation_uuid.data, reserve->operation_uuid.data, 16);
    assert_memory_equal(ack->status_uuid.data, "aaaaaaaaaaaaaaaa", 16);
    FINISH(w, create, 'b');
    assert_int_equal(operation_count(w), 0);
    world_advance(w, 2000);
    Mesos__V1__Offer *offer = world_offer(w, 9, 0);
    assert_float_equal(reserved_in(offer, "cpus"), 1, 1e-9);
    assert_float_equal(reserved_in(offer, "disk"), 60, 1e-9);
    assert_float_equal(world_scalar(offer->resources, offer->n_resources, "disk"), 960, 1e-9);
    world_free(w);
}

static void test_operations__reserved_is_offered_to_its_role_alone(void **state)
{
    (void)state;
    struct cluster c = cluster_new(CAPABLE);
    struct world *w = c.w;
    world_framework(w, 8, ""); /* role "*", without any capability */
    accept_with(&c, RESERVE(RESERVED("cpus", 3, "eng")), "100");
    world_advance(w, 2000);
    assert_int_equal(world_offer_count(w, 8), 1);
    Mesos__V1__Offer *offer = world_offer(w, 8, 0);
    assert_float_equal(world_scalar(offer->resources, offer->n_resources, "cpus"), 1, 1e-9);
    world_advance(w, 100000);
    Mesos__V1__Offer *own = world_offer(w, 9, 0);
    assert_float_equal(world_scalar(own->resources, own->n_resources, "cpus"), 3, 1e-9);
    world_free(w);
}

/* uuid: in base64, of the status of "op1". */
static void acknowledge(const struct cluster *c, const char *uuid)
{
    world_call(c->w, 9,
               "{\"type\":\"ACKNOWLEDGE_OPERATION_STATUS\",\"framework_id\":{\"value\":\"%s\"},"
               "\"acknowledge_operation_status\":{\"agent_id\":{\"value\":\"%s\"},\"operation_id\":{\"value\":\"op1\"},"
               "\"uuid\":\"%s\"}}",
               c->framework, c->agent, uuid);
}

static void test_operations__feedback_until_acknowledged(void **state)
{
    (void)state;
    struct cluster c = cluster_new(CAPABLE);
    struct world *w = c.w;
    accept_with(&c, RESERVE_ID(RESERVED("cpus", 1, "eng"), "op1"), "0");
    Muster__Link__ApplyOperation *op = applied(w, 0);
    world_forget(w);
    world_call(w, 9, "{\"type\":\"RECONCILE_OPERATIONS\",\"framework_id\":{\"value\":\"%s\"},\"reconcile_operations\":{}}",
               c.framework);
    assert_int_equal(told(w, 0)->state, MESOS__V1__OPERATION_STATE__OPERATION_PENDING);
    world_forget(w);
    FINISH(w, op, 'a');
    Mesos__V1__OperationStatus *status = told(w, 0);
    assert_int_equal(status->state, MESOS__V1__OPERATION_STATE__OPERATION_FINISHED);
    assert_string_equal(status->operation_id->value, "op1");
    assert_string_equal(status->agent_id->value, c.agent);
    assert_memory_equal(status->uuid->value.data, "aaaaaaaaaaaaaaaa", 16);
    assert_null(WORLD_LINK(w, 1, Muster__Link__AcknowledgeOperation, acknowledge_operation, 0));
    FINISH(w, op, 'a'); /* repeated by the agent: told again */
    assert_non_null(told(w, 1));
    world_forget(w);
    world_call(w, 9,
               "{\"type\":\"RECONCILE_OPERATIONS\",\"framework_id\":{\"value\":\"%s\"},\"reconcile_operations\":{"
               "\"operations\":[{\"operation_id\":{\"value\":\"op1\"}},{\"operation_id\":{\"value\":\"op2\"}}]}}",
               c.framework);
    assert_int_equal(told(w, 0)->state, MESOS__V1__OPERATION_STATE__OPERATION_FINISHED);
    assert_null(told(w, 0)->uuid);
    assert_int_equal(told(w, 1)->state, MESOS__V1__OPERATION_STATE__OPERATION_UNKNOWN);
    acknowledge(&c, "YmJiYmJiYmJiYmJiYmJiYg=="); /* another uuid */
    assert_int_equal(operation_count(w), 1);
    acknowledge(&c, "YWFhYWFhYWFhYWFhYWFhYQ==");
    assert_int_equal(operation_count(w), 0);
    assert_memory_equal(WORLD_LINK(w, 1, Muster__Link__AcknowledgeOperation, acknowledge_operation, 0)->status_uuid.data,
                        "aaaaaaaaaaaaaaaa", 16);
    world_forget(w);
    FINISH(w, op, 'a'); /* the acknowledgement was lost */
    assert_non_null(WORLD_LINK(w, 1, Muster__Link__AcknowledgeOperation, acknowledge_operation, 0));
    assert_null(told(w, 0));
    world_free(w);
}

/* Each line: an operation (id "x"), and a part of the OPERATION_ERROR. */
static void test_operations__refusals(void **state)
{
    (void)state;
    static const struct {
        const char *more, *operation, *why;
    } cases[] = {
        {CAPABLE, RESERVE_ID(RESERVED("cpus", 5, "eng"), "x"), "needs cpus:5"},
        {CAPABLE, RESERVE_ID(RESERVED("cpus", 1, "ops"), "x"), "reserved to 'ops'"},
        {CAPABLE, RESERVE_ID(WORLD_SCALAR("cpus", 1), "x"), "not dynamically"},
        {CAPABLE, RESERVE_ID("", "x"), "no resources"},
        {CAPABLE, RESERVE_ID(RESERVED("cpus", -1, "eng"), "x"), "below zero"},
        {CAPABLE, RESERVE_ID(RESERVED("cpus", 1, "eng"), ".."), "id of the operation"},
        {CAPABLE, UNRESERVE_ID(RESERVED("cpus", 1, "eng"), "x"), "needs cpus(eng):1"},
        {CAPABLE, CREATE_ID(VOLUME(1, "v1"), "x"), "needs disk(eng):1"},
        {CAPABLE, CREATE_ID(VOLUME(1, "../v1"), "x"), "persistence id"},
        {CAPABLE, DESTROY_ID(VOLUME(1, "v1"), "x"), "needs disk"},
        {CAPABLE,
         OP("CREATE_DISK", "\"create_disk\":{\"source\":" WORLD_SCALAR("disk", 1) ",\"target_type\":\"MOUNT\"}",
            ",\"id\":{\"value\":\"x\"}"),
         "CSI"},
        {CAPABLE, OP("RESERVE", "\"create\":{\"volumes\":[]}", ",\"id\":{\"value\":\"x\"}"), "Expecting 'reserve'"},
        {CAPABLE ",\"principal\":\"p\"", RESERVE_ID(RESERVED("cpus", 1, "eng"), "x"), "no principal"},
        {",\"role\":\"eng\"", CREATE_ID(VOLUME_OF(1, "v1", SHARED), "x"), "SHARED_RESOURCES"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cluster c = cluster_new(cases[i].more);
        accept_with(&c, cases[i].operation, "0");
        Mesos__V1__OperationStatus *status = told(c.w, 0);
        if (status == NULL || status->message == NULL || strstr(status->message, cases[i].why) == NULL)
            fail_msg("case %zu: '%s' does not say '%s'", i, status && status->message ? status->message : "(nothing)",
                     cases[i].why);
        assert_int_equal(status->state, MESOS__V1__OPERATION_STATE__OPERATION_ERROR);
        assert_null(status->uuid);
        assert_null(applied(c.w, 0));
        world_advance(c.w, 2000); /* and all of it is offered again */
        Mesos__V1__Offer *offer = world_offer(c.w, 9, 0);
        assert_float_equal(world_scalar(offer->resources, offer->n_resources, "cpus"), 4, 1e-9);
        world_free(c.w);
    }
}

static void test_operations__a_failure_is_undone_by_the_agents_word(void **state)
{
    (void)state;
    struct cluster c = cluster_new(CAPABLE);
    struct world *w = c.w;
    accept_with(&c, RESERVE(RESERVED("disk", 10, "eng")) "," CREATE_ID(VOLUME(10, "v1"), "c"), "0");
    Muster__Link__ApplyOperation *reserve = applied(w, 0), *create = applied(w, 1);
    FINISH(w, reserve, 'a');
    static const char text[] =
        "{\"operation_uuid\":\"\",\"status\":{\"state\":\"OPERATION_FAILED\"},\"total\":[" WORLD_AGENT
        "," WORLD_SCALAR("disk", 990) "," RESERVED("disk", 10, "eng") "]}";
    struct err err;
    Muster__Link__OperationStatusUpdate *shape = (void *)wire_decode(
        WIRE_JSON, &muster__link__operation_status_update__descriptor, text, strlen(text), w->arena, &err);
    assert_non_null(shape);
    world_advance(w, 2000);
    world_forget(w);
    finish_with(w, create->operation_uuid, 'b', MESOS__V1__OPERATION_STATE__OPERATION_FAILED, shape->total, shape->n_total);
    assert_int_equal(told(w, 0)->state, MESOS__V1__OPERATION_STATE__OPERATION_FAILED);
    assert_non_null(WORLD_EVENT(w, 9, RESCIND, 0)); /* the offer had the volume in it */
    world_advance(w, 2000);
    Mesos__V1__Offer *offer = world_offer(w, 9, 0);
    assert_float_equal(reserved_in(offer, "disk"), 10, 1e-9);
    for (size_t i = 0; i < offer->n_resources; i++)
        assert_null(offer->resources[i]->disk);
    world_free(w);
}

static void test_operations__what_got_lost_on_the_way_is_dropped(void **state)
{
    (void)state;
    struct cluster c = cluster_new(CAPABLE);
    struct world *w = c.w;
    accept_with(&c, RESERVE_ID(RESERVED("cpus", 1, "eng"), "op1"), "0");
    world_link_down(w, 1);
    world_link_up(w, 2);
    world_link(w, 2,
               "{\"reregister\":{\"version\":\"t\",\"agent_info\":{\"hostname\":\"h1\",\"port\":10001,\"id\":{\"value\":"
               "\"%s\"},\"resources\":[" WORLD_AGENT "," WORLD_SCALAR("disk", 1000) "]}}}",
               c.agent);
    world_settle(w);
    assert_int_equal(told(w, 0)->state, MESOS__V1__OPERATION_STATE__OPERATION_DROPPED);
    assert_string_equal(told(w, 0)->operation_id->value, "op1");
    assert_int_equal(operation_count(w), 0);
    world_forget(w);
    world_advance(w, 6000);
    Mesos__V1__Offer *offer = world_offer(w, 9, 0);
    if (offer != NULL)
        assert_float_equal(reserved_in(offer, "cpus"), 0, 1e-9);
    world_free(w);
}

static void test_operations__a_new_master_takes_them_from_the_agent(void **state)
{
    (void)state;
    struct cluster c = cluster_new(CAPABLE ",\"failover_timeout\":1000");
    struct world *w = c.w;
    const char *agent = c.agent, *framework = c.framework;
    world_restart(w);
    world_link_up(w, 1);
    world_link(w, 1,
               "{\"reregister\":{\"version\":\"t\",\"agent_info\":{\"hostname\":\"h1\",\"port\":10001,\"id\":{\"value\":"
               "\"%s\"},\"resources\":[" WORLD_AGENT
               "," WORLD_SCALAR("disk", 1000) "]},\"total\":[" WORLD_SCALAR("cpus", 3) "," WORLD_SCALAR(
                   "mem", 1024) "," WORLD_SCALAR("disk", 1000) "," RESERVED("cpus", 1, "eng") "]}}",
               agent);
    world_settle(w);
    world_subscribe(w, 9,
                    "{\"type\":\"SUBSCRIBE\",\"framework_id\":{\"value\":\"%s\"},\"subscribe\":{\"framework_info\":{\"id\":"
                    "{\"value\":\"%s\"},\"user\":\"u\",\"name\":\"f\"" CAPABLE "}}}",
                    framework, framework);
    world_settle(w);
    assert_float_equal(reserved_in(world_offer(w, 9, 0), "cpus"), 1, 1e-9);
    world_free(w);
}

static void test_operations__end_with_the_agent_and_the_framework(void **state)
{
    (void)state;
    struct cluster c = cluster_new(CAPABLE);
    struct world *w = c.w;
    accept_with(&c, RESERVE_ID(RESERVED("cpus", 1, "eng"), "op1"), "0");
    Muster__Link__ApplyOperation *op = applied(w, 0);
    world_call(w, 9, "{\"type\":\"TEARDOWN\",\"framework_id\":{\"value\":\"%s\"}}", c.framework);
    world_settle(w);
    world_forget(w);
    FINISH(w, op, 'a'); /* nobody else is there to acknowledge */
    assert_non_null(WORLD_LINK(w, 1, Muster__Link__AcknowledgeOperation, acknowledge_operation, 0));
    assert_int_equal(operation_count(w), 0);
    world_free(w);

    c = cluster_new(CAPABLE);
    accept_with(&c, RESERVE_ID(RESERVED("cpus", 1, "eng"), "op1"), "0");
    c.w->mute_agents = true;
    world_advance(c.w, 200000);
    assert_int_equal(told(c.w, 0)->state, MESOS__V1__OPERATION_STATE__OPERATION_UNREACHABLE);
    assert_int_equal(operation_count(c.w), 0);
    world_free(c.w);
}

static void test_operations__shared_volumes(void **state)
{
    (void)state;
    struct cluster c = cluster_new(CAPABLE);
    struct world *w = c.w;
#define ON_VOLUME(id) TASK(id, "@", WORLD_SMALL "," VOLUME_OF(10, "v1", SHARED))
    accept_with(&c,
                RESERVE(RESERVED("disk", 10, "eng")) "," CREATE(VOLUME_OF(10, "v1", SHARED)) "," LAUNCH(
                    ON_VOLUME("t1") "," ON_VOLUME("t2")) "," DESTROY_ID(VOLUME_OF(10, "v1", SHARED), "d"),
                "0");
    assert_null(world_update(w, 9, 0));
    assert_string_equal(told(w, 0)->message, "a shared volume is in use");
    world_advance(w, 2000);
    assert_true(reserved_in(world_offer(w, 9, 0), "disk") == 10); /* offered while it is used */
    world_report(w, 1, c.framework, "t1", "TASK_FINISHED", "aaaaaaaaaaaaaaaa");
    world_report(w, 1, c.framework, "t2", "TASK_FINISHED", "bbbbbbbbbbbbbbbb");
    accept_with(&c, DESTROY_ID(VOLUME_OF(10, "v1", SHARED), "d"), "0");
    assert_null(told(w, 0));
    assert_non_null(applied(w, 0));
    world_free(w);
}

/* A task says how it uses a volume; it does not thereby become another one's. */
static void test_operations__a_task_does_not_change_the_volume(void **state)
{
    (void)state;
    struct cluster c = cluster_new(CAPABLE);
    struct world *w = c.w;
    accept_with(
        &c,
        RESERVE(RESERVED("disk", 10, "eng")) "," CREATE(VOLUME(10, "v1")) "," LAUNCH(
            TASK("t1", "@",
                 WORLD_SMALL
                 ","
                 "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":10},\"reservations\":[{\"type\":\"DYNAMIC\","
                 "\"role\":\"eng\"}],\"disk\":{\"persistence\":{\"id\":\"v1\",\"principal\":\"thief\"},\"volume\":"
                 "{\"container_path\":\"elsewhere\",\"mode\":\"RO\"}}}")),
        "0");
    assert_null(world_update(w, 9, 0));
    world_advance(w, 2000);
    world_decline(w, 9, c.framework, world_offer(w, 9, 0)->id->value, "0");
    world_forget(w);
    world_report(w, 1, c.framework, "t1", "TASK_FINISHED", "aaaaaaaaaaaaaaaa");
    world_advance(w, 5000);
    Mesos__V1__Offer *offer = world_offer(w, 9, 0);
    bool seen = false;
    for (size_t i = 0; i < offer->n_resources; i++) {
        if (offer->resources[i]->disk == NULL)
            continue;
        seen = true;
        assert_string_equal(offer->resources[i]->disk->volume->container_path, "data");
        assert_null(offer->resources[i]->disk->persistence->principal);
    }
    assert_true(seen);
    world_free(w);
}

static Mesos__V1__DrainState drain_state(struct world *w)
{
    const Mesos__V1__Master__Response__GetAgents *all = master_snapshot_agents(w->m, w->arena);
    return all->agents[0]->drain_info->state;
}

static void test_operations__a_drain_waits_for_them(void **state)
{
    (void)state;
    struct cluster c = cluster_new(CAPABLE);
    struct world *w = c.w;
    accept_with(&c, RESERVE_ID(RESERVED("cpus", 1, "eng"), "op1"), "0");
    Muster__Link__ApplyOperation *first = applied(w, 0);
    world_advance(w, 2000);
    accept_with(&c, RESERVE(RESERVED("cpus", 1, "eng")), "0");
    Muster__Link__ApplyOperation *second = applied(w, 0);
    request_id request =
        world_operator(w, "{\"type\":\"DRAIN_AGENT\",\"drain_agent\":{\"agent_id\":{\"value\":\"%s\"}}}", c.agent);
    assert_int_equal(world_status(w, request), 200);
    FINISH(w, first, 'a');
    FINISH(w, second, 'b'); /* the master acknowledges */
    assert_int_equal(drain_state(w), MESOS__V1__DRAIN_STATE__DRAINING);
    acknowledge(&c, "YWFhYWFhYWFhYWFhYWFhYQ==");
    world_settle(w);
    assert_int_equal(drain_state(w), MESOS__V1__DRAIN_STATE__DRAINED);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations__reserve_create_and_launch_in_one_accept),
        cmocka_unit_test(test_operations__reserved_is_offered_to_its_role_alone),
        cmocka_unit_test(test_operations__feedback_until_acknowledged),
        cmocka_unit_test(test_operations__refusals),
        cmocka_unit_test(test_operations__a_failure_is_undone_by_the_agents_word),
        cmocka_unit_test(test_operations__what_got_lost_on_the_way_is_dropped),
        cmocka_unit_test(test_operations__a_new_master_takes_them_from_the_agent),
        cmocka_unit_test(test_operations__end_with_the_agent_and_the_framework),
        cmocka_unit_test(test_operations__shared_volumes),
        cmocka_unit_test(test_operations__a_task_does_not_change_the_volume),
        cmocka_unit_test(test_operations__a_drain_waits_for_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
