/* SPDX-License-Identifier: Apache-2.0
 * What ACLs allow, seen from outside of the core and, for calls whose effects are elsewhere, as questions. */
#include "support/master_world.h"

#include "master/authorize.h"
#include "master/legacy.h"
#include "master/snapshot.h"

#define ANYBODY "{\"type\":\"ANY\"}"
#define NOBODY "{\"type\":\"NONE\"}"
#define ANN "{\"values\":[\"ann\"]}"

/* A world whose master goes by these ACLs. */
static struct world *world_of(const char *acls_text, struct auth_acls **acls)
{
    struct err err = {""};
    struct master_config config;
    if (auth_acls_parse(acls_text, strlen(acls_text), acls, &err) < 0)
        fail_msg("%s", err.text);
    master_config_default(&config);
    config.seed = 7;
    config.hostname = "localhost";
    config.ip = "127.0.0.1";
    config.port = 5050;
    config.acls = *acls;
    struct world *w = world_new_with(&config);
    world_start(w, NULL);
    return w;
}

static void end(struct world *w, struct auth_acls *acls)
{
    world_free(w);
    auth_acls_free(acls);
}

static ProtobufCMessage *json(struct world *w, const ProtobufCMessageDescriptor *type, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    ProtobufCMessage *message = world_json(w, type, fmt, ap);
    va_end(ap);
    return message;
}

#define ANN_IN(role) ",\"principal\":\"ann\",\"roles\":[\"" role "\"],\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]"
#define BOB_IN(role) ",\"principal\":\"bob\",\"roles\":[\"" role "\"],\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]"

static void test_authorize__roles_of_frameworks(void **state)
{
    (void)state;
    struct auth_acls *acls;
    struct world *w = world_of("{\"permissive\":false,\"register_frameworks\":[{\"principals\":" ANN
                               ",\"roles\":{\"values\":[\"dev\",\"ops/%\"]}}]}",
                               &acls);
    assert_non_null(world_framework(w, 1, ANN_IN("dev")));
    assert_non_null(world_framework(w, 2, ANN_IN("ops/web")));
    assert_null(world_framework(w, 3, ANN_IN("ops")));
    assert_non_null(strstr(WORLD_EVENT(w, 3, ERROR, 0)->error->message, "Not authorized to use role 'ops'"));
    assert_null(world_framework(w, 4, BOB_IN("dev")));
    assert_null(world_framework(w, 5, ""));
    end(w, acls);
}

static request_id update_roles(struct world *w, const char *framework, const char *role)
{
    return world_call(w, 1,
                      "{\"type\":\"UPDATE_FRAMEWORK\",\"framework_id\":{\"value\":\"%s\"},\"update_framework\":{"
                      "\"framework_info\":{\"user\":\"u\",\"name\":\"f1\",\"principal\":\"ann\",\"id\":{\"value\":\"%s\"},"
                      "\"roles\":[\"%s\"],\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]}}}",
                      framework, framework, role);
}

static void test_authorize__update_of_a_framework(void **state)
{
    (void)state;
    struct auth_acls *acls;
    struct world *w = world_of("{\"permissive\":false,\"register_frameworks\":[{\"principals\":" ANN
                               ",\"roles\":{\"values\":[\"dev\",\"web\"]}}]}",
                               &acls);
    const char *f = arena_strdup(w->arena, world_framework(w, 1, ANN_IN("dev")));
    assert_int_equal(world_status(w, update_roles(w, f, "ops")), 403);
    request_id good = update_roles(w, f, "web");
    world_settle(w);
    assert_int_equal(world_status(w, good), 200);
    end(w, acls);
}

static void test_authorize__users_of_tasks(void **state)
{
    (void)state;
    struct auth_acls *acls;
    struct world *w = world_of("{\"run_tasks\":[{\"principals\":" ANN
                               ",\"users\":{\"values\":[\"guest\"]}},{\"principals\":" ANN ",\"users\":" NOBODY "}]}",
                               &acls);
    const char *agent = arena_strdup(w->arena, world_agent(w, 1, WORLD_AGENT));
    const char *f = arena_strdup(w->arena, world_framework(w, 9, ANN_IN("dev"))); /* user: u */
    world_settle(w);
    const char *offer = world_offer(w, 9, 0)->id->value;
    world_launch(w, 9, f, offer, agent, "t1", "");
    Mesos__V1__TaskStatus *status = world_update(w, 9, 0);
    assert_int_equal(status->state, MESOS__V1__TASK_STATE__TASK_ERROR);
    assert_int_equal(status->reason, MESOS__V1__TASK_STATUS__REASON__REASON_TASK_UNAUTHORIZED);
    assert_non_null(strstr(status->message, "'u'"));
    assert_null(WORLD_LINK(w, 1, Muster__Link__RunTasks, run_tasks, 0));
    end(w, acls);
}

/* Whom a launch asks for: the task's own user, the executor's, the framework's. */
static void test_authorize__every_user_that_a_task_runs_as(void **state)
{
    (void)state;
    static const struct {
        const char *task, *executor, *forbidden;
    } rows[] = {
        {"\"command\":{\"user\":\"guest\"}", NULL, NULL},
        {"\"command\":{\"user\":\"root\"}", NULL, "root"},
        {"\"command\":{\"value\":\"x\"}", NULL, "u"},
        {"\"executor\":{\"executor_id\":{\"value\":\"e\"},\"command\":{\"user\":\"guest\"}}", NULL, NULL},
        {"\"executor\":{\"executor_id\":{\"value\":\"e\"},\"command\":{\"user\":\"root\"}}", NULL, "root"},
        {"\"executor\":{\"executor_id\":{\"value\":\"e\"},\"command\":{\"value\":\"x\"}}", NULL, "u"},
        {"\"command\":{\"user\":\"guest\"}", "root", "root"},
        {"\"command\":{\"user\":\"root\"}", "guest", "root"},
        {"\"command\":{\"user\":\"guest\"}", "guest", NULL},
    };
    struct auth_acls *acls;
    struct world *w = world_of(
        "{\"permissive\":false,\"run_tasks\":[{\"principals\":" ANN ",\"users\":{\"values\":[\"guest\"]}}]}", &acls);
    Mesos__V1__FrameworkInfo framework = MESOS__V1__FRAMEWORK_INFO__INIT;
    framework.user = (char *)"u";
    framework.principal = (char *)"ann";
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        Mesos__V1__CommandInfo command = MESOS__V1__COMMAND_INFO__INIT;
        Mesos__V1__ExecutorInfo executor = MESOS__V1__EXECUTOR_INFO__INIT;
        command.user = (char *)rows[i].executor;
        executor.command = &command;
        const Mesos__V1__TaskInfo *task = (const void *)json(
            w, &mesos__v1__task_info__descriptor,
            "{\"name\":\"n\",\"task_id\":{\"value\":\"t\"},\"agent_id\":{\"value\":\"a\"},%s}", rows[i].task);
        const char *user = master_forbidden_user(w->m, &framework, task, rows[i].executor != NULL ? &executor : NULL);
        if ((user == NULL) != (rows[i].forbidden == NULL) || (user != NULL && strcmp(user, rows[i].forbidden) != 0))
            fail_msg("row %zu: %s", i, user);
    }
    end(w, acls);
}

#define RESERVED(role, by)                                                                                                 \
    "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},\"reservations\":[{\"type\":\"STATIC\",\"role\":"     \
    "\"top\"},{\"type\":\"DYNAMIC\",\"role\":\"" role "\",\"principal\":\"" by "\"}]}"
#define OLD_FORM(role, by)                                                                                                 \
    "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},\"role\":\"" role                                     \
    "\",\"reservation\":{\"principal\":\"" by "\"}}"
#define VOLUME(role, by)                                                                                                   \
    "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},\"role\":\"" role                                     \
    "\",\"disk\":{\"persistence\":{\"id\":\"v\",\"principal\":\"" by "\"}}}"
#define ON_AGENT "\"agent_id\":{\"value\":\"a\"},"

static void test_authorize__operators(void **state)
{
    (void)state;
    static const struct {
        const char *principal, *call;
        bool allowed;
    } rows[] = {
        {"ann", "\"type\":\"GET_HEALTH\"", true},
        {"ann", "\"type\":\"GET_FLAGS\"", true},
        {"bob", "\"type\":\"GET_FLAGS\"", false},
        {NULL, "\"type\":\"GET_FLAGS\"", false},
        {"ann", "\"type\":\"SET_LOGGING_LEVEL\"", false},
        {"ann", "\"type\":\"DRAIN_AGENT\"", true},
        {"bob", "\"type\":\"DRAIN_AGENT\"", false},
        {"ann", "\"type\":\"MARK_AGENT_GONE\"", false},
        {"ann", "\"type\":\"START_MAINTENANCE\"", false},
        {"ann", "\"type\":\"UPDATE_WEIGHTS\",\"update_weights\":{\"weight_infos\":[{\"role\":\"dev\",\"weight\":2}]}",
         true},
        {"ann",
         "\"type\":\"UPDATE_WEIGHTS\",\"update_weights\":{\"weight_infos\":[{\"role\":\"dev\",\"weight\":2},{\"role\":"
         "\"ops\","
         "\"weight\":2}]}",
         false},
        {"ann", "\"type\":\"UPDATE_QUOTA\",\"update_quota\":{\"quota_configs\":[{\"role\":\"dev\"}]}", true},
        {"ann", "\"type\":\"UPDATE_QUOTA\",\"update_quota\":{\"quota_configs\":[{\"role\":\"dev\"},{\"role\":\"ops\"}]}",
         false},
        {"ann", "\"type\":\"REMOVE_QUOTA\",\"remove_quota\":{\"role\":\"ops\"}", false},
        {"ann", "\"type\":\"SET_QUOTA\",\"set_quota\":{\"quota_request\":{\"role\":\"ops\"}}", false},
        {"ann",
         "\"type\":\"RESERVE_RESOURCES\",\"reserve_resources\":{" ON_AGENT "\"resources\":[" RESERVED("dev", "ann") "]}",
         true},
        {"ann",
         "\"type\":\"RESERVE_RESOURCES\",\"reserve_resources\":{" ON_AGENT "\"resources\":[" OLD_FORM("dev", "ann") "]}",
         true},
        {"ann",
         "\"type\":\"RESERVE_RESOURCES\",\"reserve_resources\":{" ON_AGENT
         "\"resources\":[" RESERVED("dev", "ann") "," OLD_FORM("ops", "ann") "]}",
         false},
        {"ann",
         "\"type\":\"RESERVE_RESOURCES\",\"reserve_resources\":{" ON_AGENT
         "\"source\":[" RESERVED("dev", "bob") "],\"resources\":[" RESERVED("dev", "ann") "]}",
         false},
        {"ann",
         "\"type\":\"UNRESERVE_RESOURCES\",\"unreserve_resources\":{" ON_AGENT
         "\"resources\":[" RESERVED("ops", "ann") "]}",
         true},
        {"ann",
         "\"type\":\"UNRESERVE_RESOURCES\",\"unreserve_resources\":{" ON_AGENT
         "\"resources\":[" OLD_FORM("dev", "bob") "]}",
         false},
        {"ann", "\"type\":\"CREATE_VOLUMES\",\"create_volumes\":{" ON_AGENT "\"volumes\":[" VOLUME("dev", "ann") "]}",
         true},
        {"ann", "\"type\":\"CREATE_VOLUMES\",\"create_volumes\":{" ON_AGENT "\"volumes\":[" VOLUME("ops", "ann") "]}",
         false},
        {"ann", "\"type\":\"DESTROY_VOLUMES\",\"destroy_volumes\":{" ON_AGENT "\"volumes\":[" VOLUME("ops", "ann") "]}",
         true},
        {"ann", "\"type\":\"DESTROY_VOLUMES\",\"destroy_volumes\":{" ON_AGENT "\"volumes\":[" VOLUME("dev", "bob") "]}",
         false},
        {"ann",
         "\"type\":\"GROW_VOLUME\",\"grow_volume\":{\"volume\":" VOLUME("dev", "bob") ",\"addition\":" RESERVED("dev",
                                                                                                                "x") "}",
         true},
        {"ann",
         "\"type\":\"SHRINK_VOLUME\",\"shrink_volume\":{\"volume\":" VOLUME("ops", "ann") ",\"subtract\":{\"value\":1}}",
         false},
    };
    static const char *const roles[] = {"update_weights", "update_quotas", "reserve_resources", "create_volumes",
                                        "resize_volumes"};
    struct buf text;
    buf_init(&text, 0);
    (void)buf_printf(&text, "{\"permissive\":false,\"view_flags\":[{\"principals\":" ANN ",\"flags\":" ANYBODY "}],");
    (void)buf_printf(&text, "\"drain_agents\":[{\"principals\":" ANN ",\"agents\":" ANYBODY "}],");
    (void)buf_printf(&text, "\"unreserve_resources\":[{\"principals\":" ANN ",\"reserver_principals\":" ANN "}],");
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
        (void)buf_printf(&text, "\"%s\":[{\"principals\":" ANN ",\"roles\":{\"values\":[\"dev\"]}}],", roles[i]);
    (void)buf_printf(&text, "\"destroy_volumes\":[{\"principals\":" ANN ",\"creator_principals\":" ANN "}]}");
    char *acls_text = buf_steal_str(&text);
    struct auth_acls *acls;
    struct world *w = world_of(acls_text, &acls);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const Mesos__V1__Master__Call *call =
            (const void *)json(w, &mesos__v1__master__call__descriptor, "{%s}", rows[i].call);
        if (master_may_operate(w->m, rows[i].principal, call) != rows[i].allowed)
            fail_msg("row %zu: %s: %s", i, rows[i].principal, rows[i].call);
    }
    end(w, acls);
    free(acls_text);
}

static int teardown(struct world *w, const char *principal, const char *framework)
{
    static request_id next = 500000;
    const Mesos__V1__Master__Call *call =
        (const void *)json(w, &mesos__v1__master__call__descriptor,
                           "{\"type\":\"TEARDOWN\",\"teardown\":{\"framework_id\":{\"value\":\"%s\"}}}", framework);
    request_id id = ++next;
    world_step(w, (struct master_event){.type = MASTER_EVENT_OPERATOR_CALL,
                                        .operator_call = {.request = id, .principal = principal, .call = call}});
    world_settle(w);
    return world_status(w, id);
}

static void test_authorize__teardown_of_a_principals_frameworks(void **state)
{
    (void)state;
    struct auth_acls *acls;
    struct world *w =
        world_of("{\"teardown_frameworks\":[{\"principals\":{\"values\":[\"boss\"]},\"framework_principals\":" ANN
                 "},{\"principals\":" NOBODY ",\"framework_principals\":" ANYBODY "}]}",
                 &acls);
    const char *anns = arena_strdup(w->arena, world_framework(w, 1, ANN_IN("dev")));
    const char *bobs = arena_strdup(w->arena, world_framework(w, 2, BOB_IN("dev")));
    assert_int_equal(teardown(w, "ann", anns), 403);
    assert_int_equal(teardown(w, NULL, anns), 403);
    assert_int_equal(teardown(w, "boss", bobs), 403);
    assert_int_equal(teardown(w, "boss", anns), 200);
    assert_int_equal(teardown(w, "boss", "nobodys"), 400);
    end(w, acls);
}

/* A reader sees frameworks of user u and tasks of user u, not those that run as root. */
static void test_authorize__views(void **state)
{
    (void)state;
    struct auth_acls *acls;
    struct world *w =
        world_of("{\"view_frameworks\":[{\"principals\":" ANN ",\"users\":{\"values\":[\"u\"]}},{\"principals\":" ANN
                 ",\"users\":" NOBODY "}],\"view_tasks\":[{\"principals\":" ANN
                 ",\"users\":{\"values\":[\"v\"]}},{\"principals\":" ANN ",\"users\":" NOBODY
                 "}],\"view_roles\":[{\"principals\":" ANN ",\"roles\":{\"values\":[\"dev\"]}},{\"principals\":" ANN
                 ",\"roles\":" NOBODY "}]}",
                 &acls);
    world_step(w, (struct master_event){.type = MASTER_EVENT_OBSERVERS, .observers = {.count = 1}});
    const char *agent = arena_strdup(w->arena, world_agent(w, 1, WORLD_AGENT));
    const char *f = arena_strdup(w->arena, world_framework(w, 9, BOB_IN("dev")));
    world_settle(w);
    world_launch(w, 9, f, world_offer(w, 9, 0)->id->value, agent, "t1",
                 "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1}},{\"name\":\"mem\",\"type\":\"SCALAR\","
                 "\"scalar\":{\"value\":32}}");
    world_settle(w);
    struct master_view ann = master_view(w->m, "ann"), bob = master_view(w->m, "bob"), nobody = master_view(w->m, NULL);
    assert_int_equal(master_snapshot_frameworks(&ann, w->arena)->n_frameworks, 1);
    assert_int_equal(master_snapshot_tasks(&ann, w->arena)->n_tasks, 0); /* the task runs as u */
    assert_int_equal(master_snapshot_tasks(&bob, w->arena)->n_tasks, 1);
    assert_int_equal(master_snapshot_tasks(&nobody, w->arena)->n_tasks, 1);
    assert_int_equal(master_snapshot_roles(&ann, w->arena)->n_roles, 1);
    size_t seen_by_ann = 0, seen_by_bob = 0, about_tasks = 0;
    for (size_t i = 0; i < w->sent_count; i++) {
        if (w->sent[i].type != MASTER_EFFECT_OPERATOR_EVENT)
            continue;
        const struct master_effect effect = {.type = MASTER_EFFECT_OPERATOR_EVENT,
                                             .operator_event = w->sent[i].operator_event,
                                             .framework_user = w->sent[i].framework_user,
                                             .task_user = w->sent[i].task_user};
        seen_by_ann += master_sees_event(&ann, &effect);
        seen_by_bob += master_sees_event(&bob, &effect);
        about_tasks += w->sent[i].operator_event->type == MESOS__V1__MASTER__EVENT__TYPE__TASK_ADDED ||
                       w->sent[i].operator_event->type == MESOS__V1__MASTER__EVENT__TYPE__TASK_UPDATED;
    }
    assert_true(about_tasks > 0);
    assert_int_equal(seen_by_bob, seen_by_ann + about_tasks);
    end(w, acls);
}

#define CPUS_OF(role, type)                                                                                                \
    "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},\"reservations\":[{\"type\":\"" type                  \
    "\",\"role\":\"" role "\"}]}"

static size_t roles_in(Mesos__V1__Resource *const *list, size_t n, const char *role)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += list[i]->n_reservations > 0 && strcmp(list[i]->reservations[0]->role, role) == 0;
    return count;
}

/* Of /slaves, as text. */
static char *slave_text(const struct master_view *v)
{
    struct buf text;
    struct json_writer writer;
    buf_init(&text, 0);
    json_writer_init(&writer, &text);
    legacy_write_agent(v, v->m->agents, true, NULL, &writer);
    return buf_steal_str(&text);
}

static void test_authorize__reservations_of_roles_that_are_not_seen(void **state)
{
    (void)state;
    struct auth_acls *acls;
    struct world *w = world_of("{\"view_roles\":[{\"principals\":" ANN
                               ",\"roles\":{\"values\":[\"dev\"]}},{\"principals\":" ANN ",\"roles\":" NOBODY "}]}",
                               &acls);
    const char *agent =
        arena_strdup(w->arena, world_agent(w, 1, WORLD_AGENT "," CPUS_OF("dev", "STATIC") "," CPUS_OF("secret", "STATIC")));
    world_settle(w);
    for (size_t i = 0; i < 2; i++)
        world_operator(
            w,
            "{\"type\":\"RESERVE_RESOURCES\",\"reserve_resources\":{\"agent_id\":{\"value\":\"%s\"},\"resources\":["
            "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},\"reservations\":[{\"type\":\"DYNAMIC\","
            "\"role\":\"%s\"}]}]}}",
            agent, i == 0 ? "dev" : "secret");
    struct master_view ann = master_view(w->m, "ann"), bob = master_view(w->m, "bob");
    const struct {
        const struct master_view *view;
        size_t secrets, operations;
    } rows[] = {{&bob, 1, 2}, {&ann, 0, 1}, {&bob, 1, 2}}; /* the last: filtering left the core as it was */
    for (size_t i = 0; i < 3; i++) {
        const Mesos__V1__Master__Response__GetAgents__Agent *a = master_view_agents(rows[i].view, w->arena)->agents[0];
        assert_true(roles_in(a->total_resources, a->n_total_resources, "dev") > 0);
        assert_int_equal(roles_in(a->total_resources, a->n_total_resources, "secret") > 0, rows[i].secrets);
        assert_int_equal(roles_in(a->agent_info->resources, a->agent_info->n_resources, "secret") > 0, rows[i].secrets);
        assert_int_equal(master_view_operations(rows[i].view, w->arena)->n_operations, rows[i].operations);
        char *text = slave_text(rows[i].view);
        assert_non_null(strstr(text, "\"dev\":{"));
        assert_int_equal(strstr(text, "secret") != NULL, rows[i].secrets);
        free(text);
    }
    end(w, acls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_authorize__roles_of_frameworks),
        cmocka_unit_test(test_authorize__update_of_a_framework),
        cmocka_unit_test(test_authorize__users_of_tasks),
        cmocka_unit_test(test_authorize__every_user_that_a_task_runs_as),
        cmocka_unit_test(test_authorize__operators),
        cmocka_unit_test(test_authorize__teardown_of_a_principals_frameworks),
        cmocka_unit_test(test_authorize__views),
        cmocka_unit_test(test_authorize__reservations_of_roles_that_are_not_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
