/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <sys/resource.h>

#include "agent/launch.h"

static const char *expand(struct rig *r, const char *text, const char *executor)
{
    const char *at = strstr(text, "#");
    return at ? expand(r, arena_printf(r->arena, "%.*s%s%s", (int)(at - text), text, rig_container(r, executor), at + 1),
                       executor)
              : text;
}

static void test_environment__of_a_checkpointing_framework(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_custom(r, "c1", "e");
    assert_string_equal(r->last_launch,
                        expand(r,
                               "MESOS_FRAMEWORK_ID=f-1\n"
                               "MESOS_EXECUTOR_ID=e\n"
                               "MESOS_DIRECTORY=/var/lib/muster/slaves/m-S0/frameworks/f-1/executors/e/runs/#\n"
                               "MESOS_SANDBOX=/var/lib/muster/slaves/m-S0/frameworks/f-1/executors/e/runs/#\n"
                               "MESOS_SLAVE_ID=m-S0\n"
                               "MESOS_SLAVE_PID=slave(1)@10.0.0.7:5051\n"
                               "MESOS_AGENT_ENDPOINT=10.0.0.7:5051\n"
                               "MESOS_CHECKPOINT=1\n"
                               "MESOS_HTTP_COMMAND_EXECUTOR=0\n"
                               "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD=5secs\n"
                               "MESOS_RECOVERY_TIMEOUT=15mins\n"
                               "MESOS_SUBSCRIPTION_BACKOFF_MAX=2secs\n"
                               "LIBPROCESS_PORT=0\n",
                               "e"));
    rig_free(r);
}

static void test_environment__seed_first_command_last(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct launcher_env seed[] = {{"ZONE", "a"}, {"MESOS_CHECKPOINT", "seed"}, {"HOME", "/nowhere"}};
    r->config.executor_env = seed;
    r->config.executor_env_count = 3;
    r->config.domain_socket = "/run/agent.sock";
    r->config.libprocess_ip = "127.0.0.1";
    r->no_checkpoint = true;
    rig_boot(r);
    rig_recovered(r);
    rig_link_up(r);
    rig_registered(r, false);
    Mesos__V1__TaskInfo *t =
        rig_task(r, "t1",
                 ",\"command\":{\"value\":\"a\",\"environment\":{\"variables\":[{\"name\":\"ZONE\",\"value\":"
                 "\"b\"},{\"name\":\"MESOS_SANDBOX\",\"value\":\"mine\"}]}}");
    rig_run(r, &t, 1, NULL);
    assert_string_equal(r->last_launch,
                        expand(r,
                               "ZONE=b\n"
                               "MESOS_CHECKPOINT=0\n"
                               "HOME=/nowhere\n"
                               "MESOS_FRAMEWORK_ID=f-1\n"
                               "MESOS_EXECUTOR_ID=t1\n"
                               "MESOS_DIRECTORY=/var/lib/muster/slaves/m-S0/frameworks/f-1/executors/t1/runs/#\n"
                               "MESOS_SANDBOX=mine\n"
                               "MESOS_SLAVE_ID=m-S0\n"
                               "MESOS_SLAVE_PID=slave(1)@10.0.0.7:5051\n"
                               "MESOS_AGENT_ENDPOINT=10.0.0.7:5051\n"
                               "MESOS_HTTP_COMMAND_EXECUTOR=0\n"
                               "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD=5secs\n"
                               "MESOS_DOMAIN_SOCKET=/run/agent.sock\n"
                               "LIBPROCESS_IP=127.0.0.1\n"
                               "LIBPROCESS_PORT=0\n",
                               "t1"));
    rig_free(r);
}

static void test_command_executor__is_made_as_frameworks_know_it(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    const Mesos__V1__TaskInfo *t = rig_task(r, "web.1",
                                            ",\"command\":{\"value\":\"echo started; sleep 1\",\"user\":\"www\"},"
                                            "\"kill_policy\":{\"grace_period\":{\"nanoseconds\":1000000000}},"
                                            "\"labels\":{\"labels\":[{\"key\":\"tier\",\"value\":\"front\"}]}");
    const Mesos__V1__ExecutorInfo *e = agent_launch_command_executor(NULL, t, "f-1", r->arena);
    struct buf json;
    buf_init(&json, 0);
    assert_int_equal(wire_encode(WIRE_JSON, &e->base, &json), 0);
    char *got = buf_steal_str(&json);
    assert_null(strstr(got, "\"type\":\"DEFAULT\""));
    assert_non_null(strstr(got, "\"executor_id\":{\"value\":\"web.1\"}"));
    assert_non_null(strstr(got, "\"name\":\"Command Executor (Task: web.1) (Command: sh -c 'echo started...')\""));
    assert_non_null(strstr(got, "\"source\":\"web.1\""));
    assert_non_null(strstr(got, "\"shutdown_grace_period\":{\"nanoseconds\":3000000000}"));
    assert_non_null(strstr(got, "\"user\":\"www\""));
    assert_non_null(strstr(got, "\"role\":\"web\""));
    assert_true(e->resources[0]->scalar->value == 0.1 && e->resources[1]->scalar->value == 32.0);
    free(got);
    buf_deinit(&json);
    rig_free(r);
}

static const char *refusal(struct rig *r, const char *more, bool group)
{
    const Mesos__V1__TaskInfo *t = rig_task(r, "t1", more);
    const Mesos__V1__ExecutorInfo *e =
        group         ? RIG_JSON(r, mesos__v1__executor_info, "{\"type\":\"DEFAULT\",\"executor_id\":{\"value\":\"p\"}}")
        : t->executor ? t->executor
                      : agent_launch_command_executor(NULL, t, "f-1", r->arena);
    return agent_launch_refusal(t, e, !group && t->executor == NULL, group, "svc", r->arena);
}

#define COMMAND ",\"command\":{\"value\":\"a\"}"
#define CONTAINER(x) COMMAND ",\"container\":{\"type\":\"MESOS\"," x "}"

static void test_refusal__names_the_field(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    static const struct {
        const char *more, *field; /* NULL: supported */
        bool group;
    } rows[] = {
        {COMMAND, NULL, false},
        {",\"container\":{\"type\":\"MESOS\"}", "neither command nor executor", false},
        {COMMAND ",\"container\":{\"type\":\"DOCKER\",\"docker\":{\"image\":\"x\"}}", "container.type", false},
        {CONTAINER("\"mesos\":{\"image\":{\"type\":\"DOCKER\",\"docker\":{\"name\":\"x\"}}}"), "container.mesos.image",
         false},
        {CONTAINER("\"mesos\":{}"), NULL, false},
        {CONTAINER("\"hostname\":\"h\""), "container.hostname", false},
        {CONTAINER("\"network_infos\":[{}]"), NULL, false},
        {CONTAINER("\"network_infos\":[{\"name\":\"dcos\"}]"), "network_infos.name", false},
        {CONTAINER("\"network_infos\":[{\"port_mappings\":[{\"host_port\":1,\"container_port\":2}]}]"), "port_mappings",
         false},
        {CONTAINER("\"volumes\":[{\"mode\":\"RO\",\"container_path\":\"/data\",\"host_path\":\"/srv\"}]"), NULL, false},
        {CONTAINER(
             "\"volumes\":[{\"mode\":\"RW\",\"container_path\":\"data\",\"source\":{\"type\":\"HOST_PATH\",\"host_path\":{"
             "\"path\":\"/srv\"}}}]"),
         NULL, false},
        {CONTAINER("\"volumes\":[{\"mode\":\"RO\",\"container_path\":\"/data\",\"host_path\":\"srv\"}]"),
         "volumes.host_path", false},
        {CONTAINER("\"volumes\":[{\"mode\":\"RO\",\"container_path\":\"/a/../../b\",\"host_path\":\"/srv\"}]"),
         "volumes.container_path", false},
        {CONTAINER("\"volumes\":[{\"mode\":\"RO\",\"container_path\":\"/..x/y..\",\"host_path\":\"/srv\"}]"), NULL, false},
        {CONTAINER(
             "\"volumes\":[{\"mode\":\"RW\",\"container_path\":\"d\",\"source\":{\"type\":\"SECRET\",\"secret\":{}}}]"),
         "volumes.source.type", false},
        {CONTAINER("\"linux_info\":{\"effective_capabilities\":{}}"), "linux_info.effective_capabilities", false},
        {CONTAINER("\"linux_info\":{\"seccomp\":{\"unconfined\":true}}"), "linux_info.seccomp", false},
        {CONTAINER("\"linux_info\":{\"share_cgroups\":false}"), "linux_info.share_cgroups", false},
        {CONTAINER("\"linux_info\":{\"share_pid_namespace\":true}"), NULL, false},
        {CONTAINER("\"linux_info\":{\"ipc_mode\":\"SHARE_PARENT\"}"), "linux_info.ipc_mode", false},
        {CONTAINER("\"rlimit_info\":{\"rlimits\":[{\"type\":\"RLMT_NOFILE\",\"soft\":10,\"hard\":20}]}"), NULL, false},
        {CONTAINER("\"rlimit_info\":{\"rlimits\":[{\"type\":\"RLMT_NOFILE\",\"soft\":30,\"hard\":20}]}"), "rlimit_info",
         false},
        {CONTAINER("\"rlimit_info\":{\"rlimits\":[{\"soft\":10,\"hard\":20}]}"), "rlimit_info.rlimits.type", false},
        {CONTAINER("\"rlimit_info\":{\"rlimits\":[{\"type\":\"RLMT_CORE\",\"soft\":10}]}"), "both be set", false},
        {",\"command\":{\"value\":\"a\",\"environment\":{\"variables\":[{\"name\":\"P\",\"type\":\"SECRET\",\"secret\":{}}]"
         "}}",
         "environment.variables.secret", false},
        {COMMAND, NULL, true},
        {CONTAINER("\"volumes\":[{\"mode\":\"RO\",\"container_path\":\"/data\",\"host_path\":\"/srv\"}]"),
         "container.volumes", true},
        {CONTAINER("\"tty_info\":{}"), "tty_info", true},
        {",\"command\":{\"value\":\"a\",\"user\":\"root\"}", "command.user", true},
        {",\"command\":{\"value\":\"a\",\"user\":\"svc\"}", NULL, true},
        {",\"command\":{\"value\":\"a\",\"uris\":[{\"value\":\"http://x/y\"}]}", "command.uris", true},
        {",\"executor\":{\"executor_id\":{\"value\":\"e\"},\"command\":{}}", "executor.command is missing", false},
        {",\"executor\":{\"executor_id\":{\"value\":\"e\"},\"command\":{\"value\":\"a\"},\"container\":{\"type\":"
         "\"DOCKER\"}}",
         "executor.container.type", false},
        /* what a framework's own executor does with its tasks is its own affair */
        {",\"container\":{\"type\":\"DOCKER\",\"docker\":{\"image\":\"x\"}},\"executor\":{\"executor_id\":{\"value\":\"e\"}"
         ","
         "\"command\":{\"value\":\"a\"}}",
         NULL, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *why = refusal(r, rows[i].more, rows[i].group);
        if ((why == NULL) != (rows[i].field == NULL) || (why != NULL && strstr(why, rows[i].field) == NULL))
            fail_msg("%s: %s", rows[i].more, why ? why : "not refused");
    }
    Mesos__V1__TaskInfo *t = RIG_JSON(r, mesos__v1__task_info,
                                      "{\"name\":\"n\",\"task_id\":{\"value\":\"t\"},\"agent_id\":{\"value\":\"a\"}" COMMAND
                                      ",\"resources\":[{\"name\":\"gpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1}}]}");
    assert_non_null(
        strstr(agent_launch_refusal(t, agent_launch_command_executor(NULL, t, "f", r->arena), true, false, "svc", r->arena),
               "gpus"));
    rig_free(r);
}

static void test_spec__carries_mounts_rlimits_uris_and_argv(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    Mesos__V1__TaskInfo *t = rig_task(
        r, "c1",
        ",\"executor\":{\"executor_id\":{\"value\":\"e\"},\"command\":{\"shell\":false,\"value\":\"/bin/"
        "x\",\"arguments\":[\"x\","
        "\"-v\"],\"user\":\"www\",\"uris\":[{\"value\":\"http://h/a.tgz\"},{\"value\":\"/"
        "b\",\"executable\":true,\"extract\":"
        "false,\"output_file\":\"c\"}]},\"container\":{\"type\":\"MESOS\",\"volumes\":[{\"mode\":\"RO\",\"container_path\":"
        "\"/data\",\"host_path\":\"/"
        "srv\"}],\"rlimit_info\":{\"rlimits\":[{\"type\":\"RLMT_NOFILE\",\"soft\":10,\"hard\":20},{"
        "\"type\":\"RLMT_CORE\"}]},\"linux_info\":{\"share_pid_namespace\":true}}}");
    rig_run(r, &t, 1, NULL);
    const struct launcher_spec *s = &r->spec;
    assert_string_equal(s->user, "www");
    assert_string_equal(s->argv[0], "/bin/x");
    assert_string_equal(s->argv[1], "-v");
    assert_null(s->argv[2]);
    assert_int_equal(s->uri_count, 2);
    assert_true(s->uris[0].extract && !s->uris[0].executable);
    assert_true(!s->uris[1].extract && s->uris[1].executable);
    assert_string_equal(s->uris[1].output_file, "c");
    assert_int_equal(s->mount_count, 1);
    assert_true(s->mounts[0].read_only);
    assert_string_equal(s->mounts[0].target, "/data");
    assert_int_equal(s->rlimit_count, 2);
    assert_int_equal(s->rlimits[0].resource, RLIMIT_NOFILE);
    assert_true(s->rlimits[1].resource == RLIMIT_CORE && s->rlimits[1].hard == UINT64_MAX);
    assert_true(s->share_pid_namespace && !s->tty && !s->builtin_executor);
    rig_free(r);
}

static void test_limits__requests_and_limits(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        int64_t quota_millis, hard_mb;
    } rows[] = {
        {"", -1, 160},
        {",\"limits\":{\"cpus\":{\"value\":2}}", 2100, 160},
        {",\"limits\":{\"cpus\":{\"value\":\"Infinity\"},\"mem\":{\"value\":256}}", -1, 288},
        {",\"limits\":{\"mem\":{\"value\":\"Infinity\"}}", -1, -1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig *r = rig_ready();
        Mesos__V1__TaskInfo *t = rig_task(r, "t1", arena_printf(r->arena, COMMAND "%s", rows[i].more));
        rig_run(r, &t, 1, NULL);
        assert_int_equal(r->spec.limits.cpu_millis, 1100);
        assert_int_equal(r->spec.limits.cpu_quota_millis, rows[i].quota_millis);
        assert_int_equal(r->spec.limits.memory_soft_bytes, (int64_t)160 << 20);
        assert_int_equal(r->spec.limits.memory_hard_bytes, rows[i].hard_mb < 0 ? -1 : rows[i].hard_mb << 20);
        rig_free(r);
    }
    struct rig *r = rig_new();
    r->config.cpu_quota = true;
    rig_boot(r);
    rig_recovered(r);
    rig_link_up(r);
    rig_registered(r, false);
    rig_run_command(r, "t1");
    assert_int_equal(r->spec.limits.cpu_quota_millis, 1100);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment__of_a_checkpointing_framework),
        cmocka_unit_test(test_environment__seed_first_command_last),
        cmocka_unit_test(test_command_executor__is_made_as_frameworks_know_it),
        cmocka_unit_test(test_refusal__names_the_field),
        cmocka_unit_test(test_spec__carries_mounts_rlimits_uris_and_argv),
        cmocka_unit_test(test_limits__requests_and_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
