/* SPDX-License-Identifier: Apache-2.0
 * What the agent has, through operations, crashes and reconnections. */
#include "rig.h"

#define RESERVED(amount)                                                                                                   \
    "{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" #amount "},\"reservations\":[{\"type\":\"DYNAMIC\","    \
    "\"role\":\"web\"}]}"
#define DISK(amount, more)                                                                                                 \
    "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" #amount "},\"reservations\":[{\"type\":\"DYNAMIC\","   \
    "\"role\":\"web\"}]" more "}"
#define PERSISTENT(id) ",\"disk\":{\"persistence\":{\"id\":\"" id "\"}," VOLUME_DATA "}"
#define VOLUME_DATA "\"volume\":{\"container_path\":\"data\",\"mode\":\"RW\"}"
#define VOLUME(amount, id) DISK(amount, PERSISTENT(id))
#define RESERVE(list) "{\"type\":\"RESERVE\",\"reserve\":{\"resources\":[" list "]}}"
#define CREATE(list) "{\"type\":\"CREATE\",\"create\":{\"volumes\":[" list "]}}"
#define DESTROY(list) "{\"type\":\"DESTROY\",\"destroy\":{\"volumes\":[" list "]}}"

static struct rig *ready_with_disk(void)
{
    struct rig *r = rig_new();
    r->info = RIG_JSON(r, mesos__v1__agent_info,
                       "{\"hostname\":\"h1\",\"port\":5051,\"resources\":["
                       "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4}},"
                       "{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4096}},"
                       "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1000}}]}");
    rig_boot(r);
    rig_recovered(r);
    rig_link_up(r);
    rig_registered(r, false);
    rig_forget_trace(r);
    return r;
}

/* The operation's uuid is 16 times the letter. */
static void apply(struct rig *r, char letter, const char *operation)
{
    uint8_t uuid[16];
    memset(uuid, letter, sizeof(uuid));
    Muster__Link__ApplyOperation body = MUSTER__LINK__APPLY_OPERATION__INIT;
    body.operation_uuid = (ProtobufCBinaryData){.data = uuid, .len = sizeof(uuid)};
    body.info = rig_pack(r, RIG_JSON(r, mesos__v1__offer__operation, operation));
    Muster__Link__MasterToAgent m = MUSTER__LINK__MASTER_TO_AGENT__INIT;
    m.apply_operation = &body;
    rig_from_master(r, &m);
}

static void acknowledge(struct rig *r, char letter)
{
    uint8_t uuid[16];
    memset(uuid, letter, sizeof(uuid));
    Muster__Link__AcknowledgeOperation body = MUSTER__LINK__ACKNOWLEDGE_OPERATION__INIT;
    body.operation_uuid = (ProtobufCBinaryData){.data = uuid, .len = sizeof(uuid)};
    body.status_uuid = (ProtobufCBinaryData){.data = r->operation_status, .len = 16};
    Muster__Link__MasterToAgent m = MUSTER__LINK__MASTER_TO_AGENT__INIT;
    m.acknowledge_operation = &body;
    rig_from_master(r, &m);
}

static void volumes_done(struct rig *r, int result)
{
    struct agent_event in = {
        .type = AGENT_IN_VOLUMES_DONE,
        .volumes_done = {.operation = r->volumes_of, .result = result, .text = result != 0 ? "no" : NULL}};
    rig_step(r, &in);
}

/* Crash and start, up to the report. */
static void restart(struct rig *r)
{
    rig_crash(r);
    rig_boot(r);
    rig_recovered(r);
    rig_link_up(r);
}

static void test_operations__a_reservation_is_durable_before_it_is_told(void **state)
{
    (void)state;
    struct rig *r = ready_with_disk();
    r->hold_store = true;
    apply(r, 'a', RESERVE(RESERVED(100)));
    rig_expect(r, "");
    rig_stored(r);
    rig_expect(r, "> operation a FINISHED total=0\n");
    apply(r, 'a', RESERVE(RESERVED(100))); /* the same again */
    rig_expect(r, "");
    rig_wait(r, 10000);
    rig_ping(r, 1, true);
    rig_expect(r, "> operation a FINISHED total=0\n> pong 1\n"); /* not acknowledged: sent again */
    restart(r);
    rig_expect(r, "recover 0\nopen\n> hello\n> reregister frameworks=0 executors=0 total=4 operations=1\n");
    rig_registered(r, true);
    rig_expect(r, "> operation a FINISHED total=0\n");
    acknowledge(r, 'b');
    acknowledge(r, 'a');
    rig_wait(r, 30000);
    rig_expect(r, "");
    restart(r);
    rig_expect(r, "recover 0\nopen\n> hello\n> reregister frameworks=0 executors=0 total=4 operations=0\n");
    rig_free(r);
}

static void test_operations__a_write_that_is_lost_leaves_nothing(void **state)
{
    (void)state;
    struct rig *r = ready_with_disk();
    r->writes_left = 0;
    apply(r, 'a', RESERVE(RESERVED(100)));
    rig_expect(r, "");
    r->writes_left = INT64_MAX;
    restart(r);
    rig_expect(r, "recover 0\nopen\n> hello\n> reregister frameworks=0 executors=0\n");
    rig_free(r);
}

static void test_operations__what_the_agent_has_not_got_is_dropped(void **state)
{
    (void)state;
    struct rig *r = ready_with_disk();
    apply(r, 'a', RESERVE(RESERVED(5000)));
    rig_expect(r, "> operation a DROPPED: the agent has not got these resources total=3\n");
    apply(r, 'b', "{\"type\":\"CREATE_DISK\"}");
    rig_expect(r, "> operation b DROPPED: disks of resource providers (CSI) are not supported by this cluster total=3\n");
    rig_free(r);
}

static void test_operations__volumes_are_made_after_the_record_and_again_after_a_crash(void **state)
{
    (void)state;
    struct rig *r = ready_with_disk();
    apply(r, 'a', RESERVE(DISK(10, "")));
    acknowledge(r, 'a');
    rig_forget_trace(r);
    apply(r, 'b', CREATE(VOLUME(10, "v1")));
    rig_expect(r, "make volumes v1\n");
    restart(r);
    rig_expect(r, "make volumes again v1\nrecover 0\nopen\n> hello\n"
                  "> reregister frameworks=0 executors=0 total=4 operations=1\n");
    rig_registered(r, true);
    volumes_done(r, 0);
    rig_expect(r, "> operation b FINISHED total=0\n");
    acknowledge(r, 'b');
    apply(r, 'c', DESTROY(VOLUME(10, "v1")));
    volumes_done(r, 0);
    rig_expect(r, "remove volumes v1\n> operation c FINISHED total=0\n");
    rig_free(r);
}

static void test_operations__a_volume_that_cannot_be_made_is_undone(void **state)
{
    (void)state;
    struct rig *r = ready_with_disk();
    apply(r, 'a', RESERVE(DISK(10, "")));
    acknowledge(r, 'a');
    apply(r, 'b', CREATE(VOLUME(10, "v1")));
    rig_forget_trace(r);
    volumes_done(r, -28);
    rig_expect(r, "> operation b FAILED: no total=4\n");
    acknowledge(r, 'b');
    apply(r, 'c', CREATE(VOLUME(10, "v2"))); /* the reserved disk is there again */
    rig_expect(r, "make volumes v2\n");
    rig_free(r);
}

static void test_operations__tasks_with_unknown_reservations_are_dropped(void **state)
{
    (void)state;
    struct rig *r = ready_with_disk();
    Mesos__V1__TaskInfo *t = RIG_JSON(r, mesos__v1__task_info,
                                      "{\"name\":\"n\",\"task_id\":{\"value\":\"t1\"},\"agent_id\":{\"value\":\"" RIG_AGENT
                                      "\"},\"resources\":[" RESERVED(100) "],\"command\":{\"value\":\"x\"}}");
    rig_run(r, &t, 1, NULL);
    rig_expect(r, "> status t1 DROPPED_RESOURCES_UNKNOWN\n");
    rig_free(r);
}

static void test_operations__reservations_that_do_not_fit_any_more_end_the_start(void **state)
{
    (void)state;
    struct rig *r = ready_with_disk();
    apply(r, 'a', RESERVE(RESERVED(100)));
    rig_crash(r);
    r->boot_id = "boot-2"; /* a host that came back smaller may be a new agent, but not with these */
    r->info = RIG_JSON(r, mesos__v1__agent_info,
                       "{\"hostname\":\"h1\",\"port\":5051,\"resources\":[{\"name\":\"mem\",\"type\":\"SCALAR\","
                       "\"scalar\":{\"value\":50}}]}");
    rig_boot(r);
    assert_true(r->ended);
    assert_int_equal(r->exit_status, 1);
    rig_forget_trace(r);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations__a_reservation_is_durable_before_it_is_told),
        cmocka_unit_test(test_operations__a_write_that_is_lost_leaves_nothing),
        cmocka_unit_test(test_operations__what_the_agent_has_not_got_is_dropped),
        cmocka_unit_test(test_operations__volumes_are_made_after_the_record_and_again_after_a_crash),
        cmocka_unit_test(test_operations__a_volume_that_cannot_be_made_is_undone),
        cmocka_unit_test(test_operations__tasks_with_unknown_reservations_are_dropped),
        cmocka_unit_test(test_operations__reservations_that_do_not_fit_any_more_end_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
