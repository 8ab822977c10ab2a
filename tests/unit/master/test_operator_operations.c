/* SPDX-License-Identifier: Apache-2.0
 * Reservations and volumes that operators ask for: what is taken back from offers, when it is answered, what is refused. */
#include "support/master_world.h"

#include "common/auth/acl.h"

#define RESERVED_BY(name, amount, role, more)                                                                              \
    "{\"name\":\"" name "\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" #amount                                            \
    "},\"reservations\":[{\"type\":\"DYNAMIC\","                                                                           \
    "\"role\":\"" role "\"" more "}]}"
#define RESERVED(name, amount, role) RESERVED_BY(name, amount, role, "")
#define RESERVE(list)                                                                                                      \
    "{\"type\":\"RESERVE_RESOURCES\",\"reserve_resources\":{\"agent_id\":{\"value\":\"%s\"},\"resources\":[" list "]}}"
#define ON_AGENT "\"agent_id\":{\"value\":\"%s\"}"
#define UNRESERVE(list) "{\"type\":\"UNRESERVE_RESOURCES\",\"unreserve_resources\":{" ON_AGENT ",\"resources\":[" list "]}}"

static request_id ask(struct world *w, const char *principal, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    Mesos__V1__Master__Call *call = (void *)world_json(w, &mesos__v1__master__call__descriptor, fmt, ap);
    va_end(ap);
    request_id request = ++w->next_request;
    world_step(w, (struct master_event){.type = MASTER_EVENT_OPERATOR_CALL,
                                        .operator_call = {.request = request, .principal = principal, .call = call}});
    return request;
}

static void finish(struct world *w, link_id link, Mesos__V1__OperationState state)
{
    Muster__Link__ApplyOperation *op = WORLD_LINK(w, link, Muster__Link__ApplyOperation, apply_operation, 0);
    assert_non_null(op);
    uint8_t bytes[16] = {1};
    Mesos__V1__UUID uuid = MESOS__V1__UUID__INIT;
    uuid.value = (ProtobufCBinaryData){.data = bytes, .len = sizeof(bytes)};
    Mesos__V1__OperationStatus status = MESOS__V1__OPERATION_STATUS__INIT;
    status.state = state;
    status.uuid = &uuid;
    status.message = (char *)(uintptr_t) "why";
    Muster__Link__OperationStatusUpdate update = MUSTER__LINK__OPERATION_STATUS_UPDATE__INIT;
    update.operation_uuid = op->operation_uuid;
    update.status = &status;
    Muster__Link__AgentToMaster message = MUSTER__LINK__AGENT_TO_MASTER__INIT;
    message.operation_status_update = &update;
    world_step(
        w, (struct master_event){.type = MASTER_EVENT_LINK_MESSAGE, .link_message = {.link = link, .message = &message}});
}

static void test_operator__answered_when_the_agent_has_it(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    world_framework(w, 9, "");
    assert_int_equal(world_offer_count(w, 9), 1);
    world_forget(w);
    request_id r = ask(w, NULL, RESERVE(RESERVED("cpus", 1, "ops")), agent);
    assert_int_equal(world_status(w, r), 0);
    assert_non_null(WORLD_EVENT(w, 9, RESCIND, 0)); /* all was offered */
    assert_null(WORLD_LINK(w, 1, Muster__Link__ApplyOperation, apply_operation, 0)->framework_id);
    finish(w, 1, MESOS__V1__OPERATION_STATE__OPERATION_FINISHED);
    assert_int_equal(world_status(w, r), 202);
    assert_non_null(WORLD_LINK(w, 1, Muster__Link__AcknowledgeOperation, acknowledge_operation, 0));
    world_settle(w);
    Mesos__V1__Offer *offer = world_offer(w, 9, 0); /* the rest, at once */
    assert_float_equal(world_scalar(offer->resources, offer->n_resources, "cpus"), 3, 1e-9);
    world_forget(w);
    r = ask(w, NULL, UNRESERVE(RESERVED("cpus", 1, "ops")), agent);
    assert_null(WORLD_EVENT(w, 9, RESCIND, 0)); /* it was free */
    finish(w, 1, MESOS__V1__OPERATION_STATE__OPERATION_DROPPED);
    assert_int_equal(world_status(w, r), 409);
    world_free(w);
}

static void test_operator__nothing_is_rescinded_in_vain(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    world_framework(w, 9, "");
    world_forget(w);
    assert_int_equal(world_status(w, ask(w, NULL, RESERVE(RESERVED("cpus", 5, "ops")), agent)), 409);
    assert_null(WORLD_EVENT(w, 9, RESCIND, 0));
    world_free(w);
}

static void test_operator__refusals(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    assert_int_equal(world_status(w, ask(w, NULL, RESERVE(RESERVED("cpus", 1, "ops")), "nobody")), 400);
    assert_int_equal(world_status(w, ask(w, NULL, RESERVE(WORLD_SCALAR("cpus", 1)), agent)), 400);
    assert_int_equal(world_status(w, ask(w, NULL, RESERVE(""), agent)), 400);
    assert_int_equal(world_status(w, ask(w, "me", RESERVE(RESERVED("cpus", 1, "ops")), agent)), 400); /* no principal */
    assert_int_equal(world_status(w, ask(w, "me", RESERVE(RESERVED_BY("cpus", 1, "ops", ",\"principal\":\"you\"")), agent)),
                     400);
    assert_int_equal(world_status(w, ask(w, NULL,
                                         RESERVE("{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},\"role\":"
                                                 "\"ops\",\"reservation\":{},\"allocation_info\":{\"role\":\"ops\"}}"),
                                         agent)),
                     400);
    assert_int_equal(world_status(w, ask(w, NULL, UNRESERVE(RESERVED("cpus", 1, "ops")), agent)), 409);
    assert_int_equal(world_status(w, ask(w, NULL, "{\"type\":\"GROW_VOLUME\"}")), 400);
    assert_null(WORLD_LINK(w, 1, Muster__Link__ApplyOperation, apply_operation, 0));
    world_free(w);
}

static void test_operator__acls(void **state)
{
    (void)state;
    static const char text[] = "{\"permissive\":false,\"reserve_resources\":[{\"principals\":{\"values\":[\"me\"]},"
                               "\"roles\":{\"values\":[\"ops\"]}}]}";
    struct auth_acls *acls;
    struct err err = {""};
    if (auth_acls_parse(text, strlen(text), &acls, &err) < 0)
        fail_msg("%s", err.text);
    struct master_config config;
    master_config_default(&config);
    config.seed = 7;
    config.acls = acls;
    struct world *w = world_new_with(&config);
    world_start(w, NULL);
    const char *agent = world_agent(w, 1, WORLD_AGENT);
#define BY_ME(role) RESERVE(RESERVED_BY("cpus", 1, role, ",\"principal\":\"me\""))
    assert_int_equal(world_status(w, ask(w, "me", BY_ME("web"), agent)), 403);
    assert_int_equal(world_status(w, ask(w, NULL, BY_ME("ops"), agent)), 403);
    request_id r = ask(w, "me", BY_ME("ops"), agent);
    finish(w, 1, MESOS__V1__OPERATION_STATE__OPERATION_FINISHED);
    assert_int_equal(world_status(w, r), 202);
    assert_int_equal(
        world_status(w, ask(w, "me", UNRESERVE(RESERVED_BY("cpus", 1, "ops", ",\"principal\":\"me\"")), agent)), 403);
    world_free(w);
    auth_acls_free(acls);
}

static void test_operator__a_lost_agent_leaves_the_end_unknown(void **state)
{
    (void)state;
    struct world *w = world_new();
    const char *agent = world_agent(w, 1, WORLD_AGENT);
    request_id r = ask(w, NULL, RESERVE(RESERVED("cpus", 1, "ops")), agent);
    world_link_down(w, 1);
    assert_int_equal(world_status(w, r), 503);
    assert_int_equal(world_status(w, ask(w, NULL, RESERVE(RESERVED("cpus", 1, "ops")), agent)), 409);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operator__answered_when_the_agent_has_it),
        cmocka_unit_test(test_operator__nothing_is_rescinded_in_vain),
        cmocka_unit_test(test_operator__refusals),
        cmocka_unit_test(test_operator__acls),
        cmocka_unit_test(test_operator__a_lost_agent_leaves_the_end_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
