/* SPDX-License-Identifier: Apache-2.0
 * test_shell.c - a master process with its real loop, store and sockets: what the core cannot show. Statuses and their
 * order, streams and their framing, links, the registry across a restart. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/master_world.h"

#include "common/base/ready.h"
#include "common/base/text.h"
#include "master/main.h"

#define BOUND_MS 20000

struct process {
    char dir[64];
    pid_t pid;
    int port;
};

static void process_start(struct process *p)
{
    int pipe_fds[2];
    char line[64] = "", number[16];
    assert_int_equal(pipe(pipe_fds), 0);
    p->pid = fork();
    if (p->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)snprintf(number, sizeof(number), "%d", pipe_fds[1]);
        setenv(READY_FD_VARIABLE, number, 1);
        char *argv[] = {(char *)"master",
                        (char *)"--port",
                        (char *)"0",
                        (char *)"--work_dir",
                        p->dir,
                        (char *)"--max_operator_event_stream_subscribers=2",
                        (char *)"--logging_level=ERROR",
                        NULL};
        _exit(master_main(7, argv));
    }
    close(pipe_fds[1]);
    struct pollfd ready = {.fd = pipe_fds[0], .events = POLLIN};
    assert_int_equal(poll(&ready, 1, BOUND_MS), 1);
    assert_true(read(pipe_fds[0], line, sizeof(line) - 1) > 6);
    close(pipe_fds[0]);
    p->port = atoi(strrchr(line, ':') + 1);
}

static void process_stop(struct process *p)
{
    int status;
    kill(p->pid, SIGTERM);
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int group_setup(void **state)
{
    struct process *p = calloc(1, sizeof(*p));
    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/muster-test-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    process_start(p);
    *state = p;
    return 0;
}

static int group_teardown(void **state)
{
    struct process *p = *state;
    char command[128];
    process_stop(p);
    (void)snprintf(command, sizeof(command), "rm -rf %s", p->dir);
    int r = system(command);
    free(p);
    return r;
}

/* -- a client that sees every byte ------------------------------------------------------------------------------ */

struct client {
    int fd;
    char text[1 << 16];
    size_t len;
};

static struct client *client_new(const struct process *p)
{
    struct client *c = calloc(1, sizeof(*c));
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)p->port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return c;
}

static void client_free(struct client *c)
{
    close(c->fd);
    free(c);
}

/* Reads until the text is there; fails after the bound or at the end of the connection. */
static const char *client_expect(struct client *c, const char *what)
{
    const char *at;
    while ((at = strstr(c->text, what)) == NULL) {
        struct pollfd readable = {.fd = c->fd, .events = POLLIN};
        if (poll(&readable, 1, BOUND_MS) != 1)
            fail_msg("no '%s' in: %s", what, c->text);
        ssize_t n = recv(c->fd, c->text + c->len, sizeof(c->text) - 1 - c->len, 0);
        if (n <= 0)
            fail_msg("closed without '%s': %s", what, c->text);
        c->len += (size_t)n;
        c->text[c->len] = '\0';
    }
    return at;
}

static bool client_is_closed(struct client *c)
{
    struct pollfd readable = {.fd = c->fd, .events = POLLIN};
    while (poll(&readable, 1, BOUND_MS) == 1) {
        ssize_t n = recv(c->fd, c->text + c->len, sizeof(c->text) - 1 - c->len, 0);
        if (n <= 0)
            return true;
        c->len += (size_t)n;
        c->text[c->len] = '\0';
    }
    return false;
}

static void client_send(struct client *c, const char *method, const char *path, const char *headers, const char *body)
{
    char *text;
    int len = asprintf(&text, "%s %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n%s", method, path, headers,
                       strlen(body), body);
    assert_int_equal(send(c->fd, text, (size_t)len, MSG_NOSIGNAL), len);
    free(text);
}

/* One request on a connection of its own; the status, and the whole answer in c. */
static int ask(const struct process *p, struct client **out, const char *method, const char *path, const char *headers,
               const char *body)
{
    struct client *c = client_new(p);
    char with_close[512];
    (void)snprintf(with_close, sizeof(with_close), "%sConnection: close\r\n", headers);
    client_send(c, method, path, with_close, body);
    assert_true(client_is_closed(c));
    int status = atoi(c->text + strlen("HTTP/1.1 "));
    if (out != NULL)
        *out = c;
    else
        client_free(c);
    return status;
}

#define JSON "Content-Type: application/json\r\n"
#define SUBSCRIBE "{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{\"user\":\"u\",\"name\":\"n\"%s}}}"

/* -- tests ------------------------------------------------------------------------------------------------------ */

static void test_shell__order_of_checks(void **state)
{
    static const struct {
        const char *method, *path, *headers, *body;
        int status;
        const char *text;
    } cases[] = {
        {"GET", "/api/v1/scheduler", "", "", 405, "Allow: POST"},
        {"POST", "/api/v1/scheduler", "", "{", 400, "Content-Type"},
        {"POST", "/api/v1/scheduler", "Content-Type: text/xml\r\n", "{", 415, NULL},
        {"POST", "/api/v1/scheduler", "Content-Type: APPLICATION/JSON\r\n", "{}", 415, NULL},
        {"POST", "/api/v1/scheduler", JSON, "{", 400, "parse"},
        {"POST", "/api/v1/scheduler", JSON, "{}", 400, "'type'"},
        {"POST", "/api/v1/scheduler", JSON, "{\"type\":\"NONSENSE\"}", 400, NULL},
        {"POST", "/api/v1/scheduler", JSON, "{\"type\":\"SUBSCRIBE\"}", 400, "'subscribe'"},
        {"POST", "/api/v1/scheduler", JSON "Accept: text/html\r\n",
         "{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{\"user\":\"u\",\"name\":\"n\"}}}", 406, NULL},
        {"POST", "/api/v1/scheduler", JSON "Mesos-Stream-Id: x\r\n",
         "{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{\"user\":\"u\",\"name\":\"n\"}}}", 400,
         "should not include"},
        {"POST", "/master/api/v1/scheduler/", JSON, "{\"type\":\"REVIVE\",\"framework_id\":{\"value\":\"x\"}}", 400,
         "cannot be found"},
        {"GET", "/api/v1", "", "", 405, "Allow: POST"},
        {"POST", "/api/v1/operator", JSON, "{\"type\":\"GET_HEALTH\"}", 200,
         "{\"type\":\"GET_HEALTH\",\"get_health\":{\"healthy\":true}}"},
        {"POST", "/api/v1", JSON, "{\"type\":\"GET_METRICS\"}", 400, "get_metrics"},
        {"POST", "/api/v1", JSON, "{\"type\":\"GET_METRICS\",\"get_metrics\":{}}", 200, "master/elected"},
        {"POST", "/api/v1", JSON, "{\"type\":\"UNKNOWN\"}", 501, "UNKNOWN"},
        {"POST", "/api/v1", JSON "Accept: application/x-protobuf\r\n", "{\"type\":\"GET_VERSION\"}", 200,
         "Content-Type: application/x-protobuf"},
        {"POST", "/api/v1", JSON, "{\"type\":\"GET_STATE\"}", 200, "get_agents"},
        {"POST", "/api/v1", JSON, "{\"type\":\"GET_MASTER\"}", 200, "master@127.0.0.1"},
        {"GET", "/master/redirect", "", "", 307, "Location: //127.0.0.1:"},
        {"GET", "/redirect/x", "", "", 404, NULL},
        {"GET", "/nothing", "", "", 404, NULL},
        {"GET", "/link", "", "", 426, "muster-link/1"},
        {"GET", "/health", "", "", 200, "Content-Length: 0"},
        {"GET", "/version/", "", "", 200, "\"version\":\"1."},
        {"GET", "/state?jsonp=f", "", "", 200, "text/javascript"},
        {"GET", "/tasks?jsonp=%3Cscript", "", "", 400, "not one of a function"},
        {"GET", "/slaves", "", "", 200, "recovered_slaves"},
        {"GET", "/roles", "", "", 200, "\"roles\""},
        {"GET", "/flags", "", "", 200, "work_dir"},
        {"GET", "/metrics", "", "", 200, "muster_master_elected 1"},
        {"GET", "/metrics/snapshot", "", "", 200, "\"master/elected\":1"},
        {"POST", "/teardown", "", "frameworkId=nobody", 400, "nobody"},
        {"GET", "/teardown", "", "", 405, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client *c;
        int status = ask(*state, &c, cases[i].method, cases[i].path, cases[i].headers, cases[i].body);
        if (status != cases[i].status || (cases[i].text != NULL && strstr(c->text, cases[i].text) == NULL))
            fail_msg("case %zu (%s %s): %s", i, cases[i].path, cases[i].body, c->text);
        client_free(c);
    }
}

/* Each record is one chunk: "<hex size>\r\n<length>\n<record>\r\n" (facts: mesos 13.1). */
static void test_shell__scheduler_stream_framing(void **state)
{
    struct client *c = client_new(*state);
    char body[256];
    (void)snprintf(body, sizeof(body), SUBSCRIBE, "");
    client_send(c, "POST", "/api/v1/scheduler", JSON, body);
    const char *head_end = client_expect(c, "\r\n\r\n");
    assert_non_null(strstr(c->text, "Transfer-Encoding: chunked"));
    assert_non_null(strstr(c->text, "Content-Type: application/json\r\n"));
    assert_null(strstr(c->text, "Content-Length"));
    assert_int_equal(strcspn(client_expect(c, "Mesos-Stream-Id: ") + strlen("Mesos-Stream-Id: "), "\r"), 36);
    (void)client_expect(c, "\"HEARTBEAT\"}\r\n");
    char *at = (char *)head_end + 4;
    unsigned long chunk = strtoul(at, &at, 16);
    assert_memory_equal(at, "\r\n", 2);
    char *record;
    unsigned long length = strtoul(at + 2, &record, 10);
    assert_int_equal(*record, '\n');
    assert_int_equal(chunk, (unsigned long)(record + 1 - (at + 2)) + length);
    assert_memory_equal(record + 1, "{\"type\":\"SUBSCRIBED\"", 20);
    assert_memory_equal(record + 1 + length, "\r\n17\r\n20\n{\"type\":\"HEARTBEAT\"}\r\n", 32);
    client_free(c);
}

static void copy_between(const char *text, const char *before, char end, char *out, size_t size)
{
    const char *from = strstr(text, before);
    assert_non_null(from);
    from += strlen(before);
    size_t len = (size_t)(strchr(from, end) - from);
    assert_true(len < size);
    memcpy(out, from, len);
    out[len] = '\0';
}

static void test_shell__weights_and_quota(void **state)
{
    static const struct {
        const char *method, *path, *body;
        int status;
        const char *found; /* in the answer */
    } cases[] = {
        {"GET", "/weights", "", 200, "[]"},
        {"PUT", "/weights", "[{\"role\":\"a\",\"weight\":2.5}]", 200, NULL},
        {"PUT", "/weights", "[{\"role\":\"a\",\"weight\":0}]", 400, "must be positive"},
        {"PUT", "/weights", "[]},\"type\":\"TEARDOWN\"", 400, NULL},
        {"PUT", "/weights", "7", 400, NULL},
        {"GET", "/master/weights", "", 200, "[{\"weight\":2.5,\"role\":\"a\"}]"},
        {"POST", "/weights", "[]", 405, "Allow: GET, PUT"},
        {"GET", "/quota", "", 200, "{}"},
        {"POST", "/quota",
         "{\"role\":\"a\",\"guarantee\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":3}}]}", 409,
         "overcommit"},
        {"POST", "/quota",
         "{\"role\":\"a\",\"force\":true,\"guarantee\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":3}}]}",
         200, NULL},
        {"GET", "/quota", "", 200, "\"limits\":{\"cpus\":{\"value\":3.0}}"},
        {"GET", "/roles", "", 200, "\"guarantee\":{\"cpus\":3.0}"},
        {"DELETE", "/quota", "", 400, NULL},
        {"DELETE", "/master/quota/b", "", 400, "has no quota set"},
        {"DELETE", "/quota/a", "", 200, NULL},
        {"GET", "/quota", "", 200, "{}"},
        {"PUT", "/quota", "{}", 405, "Allow: GET, POST, DELETE"},
        {"GET", "/maintenance/schedule", "", 200, "{}"},
        {"POST", "/maintenance/schedule",
         "{\"windows\":[{\"machine_ids\":[],\"unavailability\":{\"start\":{\"nanoseconds\":1}}}]}", 400,
         "List of machines in the maintenance window is empty"},
        {"POST", "/maintenance/schedule",
         "{\"windows\":[{\"machine_ids\":[{\"hostname\":\"h\"}],\"unavailability\":{\"start\":{\"nanoseconds\":1}}}]}", 200,
         NULL},
        {"GET", "/master/maintenance/schedule", "", 200, "\"hostname\":\"h\""},
        {"GET", "/maintenance/status", "", 200, "\"draining_machines\":[{\"id\":{\"hostname\":\"h\"}"},
        {"POST", "/machine/down", "[{\"hostname\":\"i\"}]", 400, "is not part of a maintenance schedule"},
        {"POST", "/machine/up", "[{\"hostname\":\"h\"}]", 400, "is not in DOWN mode"},
        {"POST", "/machine/down", "[{\"hostname\":\"h\"}]", 200, NULL},
        {"GET", "/maintenance/status", "", 200, "{\"down_machines\":[{\"hostname\":\"h\"}]}"},
        {"POST", "/machine/up", "[{\"hostname\":\"H\"}]", 200, NULL},
        {"GET", "/maintenance/status", "", 200, "{}"},
        {"GET", "/machine/up", "", 405, "Allow: POST"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client *c;
        int status = ask(*state, &c, cases[i].method, cases[i].path, JSON, cases[i].body);
        if (status != cases[i].status || (cases[i].found != NULL && strstr(c->text, cases[i].found) == NULL))
            fail_msg("%s %s %s: %d, %s", cases[i].method, cases[i].path, cases[i].body, status, c->text);
        client_free(c);
    }
}

static void test_shell__calls_need_the_right_stream(void **state)
{
    struct client *stream = client_new(*state);
    char body[256], name[64], framework[128], headers[256];
    (void)snprintf(body, sizeof(body), SUBSCRIBE, "");
    client_send(stream, "POST", "/api/v1/scheduler", JSON, body);
    (void)client_expect(stream, "HEARTBEAT");
    copy_between(stream->text, "Mesos-Stream-Id: ", '\r', name, sizeof(name));
    copy_between(stream->text, "\"framework_id\":{\"value\":\"", '"', framework, sizeof(framework));
    (void)snprintf(body, sizeof(body), "{\"type\":\"SUPPRESS\",\"framework_id\":{\"value\":\"%s\"}}", framework);
    assert_int_equal(ask(*state, NULL, "POST", "/api/v1/scheduler", JSON, body), 400);
    assert_int_equal(ask(*state, NULL, "POST", "/api/v1/scheduler",
                         JSON "Mesos-Stream-Id: 00000000-0000-4000-8000-000000000000\r\n", body),
                     400);
    (void)snprintf(headers, sizeof(headers), JSON "Mesos-Stream-Id: %s\r\n", name);
    struct client *c;
    assert_int_equal(ask(*state, &c, "POST", "/api/v1/scheduler", headers, body), 202);
    assert_non_null(strstr(c->text, "Content-Length: 0"));
    assert_null(strstr(c->text, "Content-Type"));
    client_free(c);
    (void)snprintf(body, sizeof(body), "{\"type\":\"TEARDOWN\",\"framework_id\":{\"value\":\"%s\"}}", framework);
    assert_int_equal(ask(*state, NULL, "POST", "/api/v1/scheduler", headers, body), 202);
    (void)client_expect(stream, "\r\n0\r\n\r\n"); /* the end of the stream; the connection may be used on */
    client_free(stream);
}

static void test_shell__operator_stream(void **state)
{
    struct client *observers[3];
    for (size_t i = 0; i < 3; i++) {
        observers[i] = client_new(*state);
        client_send(observers[i], "POST", "/api/v1", JSON, "{\"type\":\"SUBSCRIBE\"}");
        (void)client_expect(observers[i], "\"SUBSCRIBED\"");
        (void)client_expect(observers[i], "HEARTBEAT");
    }
    (void)client_expect(observers[0], "\r\n0\r\n\r\n"); /* two are allowed: the oldest goes */
    struct client *framework = client_new(*state);
    char body[256];
    (void)snprintf(body, sizeof(body), SUBSCRIBE, "");
    client_send(framework, "POST", "/api/v1/scheduler", JSON, body);
    (void)client_expect(observers[1], "FRAMEWORK_ADDED");
    (void)client_expect(observers[2], "FRAMEWORK_ADDED");
    client_free(framework);
    (void)client_expect(observers[2], "FRAMEWORK_REMOVED"); /* failover_timeout 0 */
    for (size_t i = 0; i < 3; i++)
        client_free(observers[i]);
}

static void send_frame(struct client *c, const char *json)
{
    struct err err;
    struct arena *arena = arena_new(0);
    ProtobufCMessage *message =
        wire_decode(WIRE_JSON, &muster__link__agent_to_master__descriptor, json, strlen(json), arena, &err);
    assert_non_null(message);
    size_t len;
    uint8_t *packed = wire_pack(message, &len), head[4] = {0, 0, (uint8_t)(len >> 8), (uint8_t)len};
    assert_int_equal(send(c->fd, head, 4, MSG_NOSIGNAL), 4);
    assert_int_equal(send(c->fd, packed, len, MSG_NOSIGNAL), (ssize_t)len);
    free(packed);
    arena_free(arena);
}

static void test_shell__agent_link_and_restart(void **state)
{
    struct process *p = *state;
    struct client *agent = client_new(p), *c;
    client_send(agent, "GET", "/link", "Connection: Upgrade\r\nUpgrade: muster-link/1\r\n", "");
    (void)client_expect(agent, "101 Switching Protocols");
    (void)client_expect(agent, "\r\n\r\n");
    send_frame(agent, "{\"hello\":{\"version\":\"t\",\"link_version\":1}}");
    send_frame(agent,
               "{\"register\":{\"version\":\"t\",\"agent_info\":{\"hostname\":\"h\",\"resources\":[" WORLD_AGENT "]}}}");
    struct client *framework = client_new(p);
    char body[256];
    (void)snprintf(body, sizeof(body), SUBSCRIBE, ",\"failover_timeout\":1000");
    client_send(framework, "POST", "/api/v1/scheduler", JSON, body);
    (void)client_expect(framework, "\"OFFERS\"");
    assert_int_equal(ask(p, &c, "GET", "/slaves", "", ""), 200);
    assert_non_null(strstr(c->text, "\"hostname\":\"h\""));
    client_free(c);
    client_free(agent);
    (void)client_expect(framework, "\"RESCIND\"");
    process_stop(p);
    assert_true(client_is_closed(framework));
    client_free(framework);
    process_start(p);
    assert_int_equal(ask(p, &c, "GET", "/state", "", ""), 200);
    assert_non_null(strstr(strstr(c->text, "\"recovered_slaves\""), "\"hostname\":\"h\""));
    assert_non_null(strstr(c->text, "\"recovered\":true"));
    client_free(c);
}

static void test_shell__broken_links_are_closed(void **state)
{
    struct client *c = client_new(*state);
    client_send(c, "GET", "/link", "Connection: Upgrade\r\nUpgrade: muster-link/1\r\n", "");
    (void)client_expect(c, "\r\n\r\n");
    assert_int_equal(send(c->fd, "\xff\xff\xff\xff garbage", 12, MSG_NOSIGNAL), 12);
    assert_true(client_is_closed(c));
    client_free(c);
    assert_int_equal(ask(*state, NULL, "GET", "/health", "", ""), 200);
}

static void test_main__wrong_flags(void **state)
{
    (void)state;
    static const char *const cases[] = {"--nonsense=1", "--zk=zk://a/b", "--registry=other",
                                        "--port=99999", "--weights=a",   "--min_allocatable_resources=x",
                                        "extra"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            char *argv[] = {(char *)"master", (char *)"--port=0", (char *)"--registry=in_memory", (char *)cases[i], NULL};
            (void)!freopen("/dev/null", "w", stderr);
            _exit(master_main(4, argv));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 0)
            fail_msg("%s is taken", cases[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shell__order_of_checks),
        cmocka_unit_test(test_shell__scheduler_stream_framing),
        cmocka_unit_test(test_shell__calls_need_the_right_stream),
        cmocka_unit_test(test_shell__operator_stream),
        cmocka_unit_test(test_shell__agent_link_and_restart),
        cmocka_unit_test(test_shell__broken_links_are_closed),
        cmocka_unit_test(test_shell__weights_and_quota),
        cmocka_unit_test(test_main__wrong_flags),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
