/* SPDX-License-Identifier: Apache-2.0
 * The program with its API, over real sockets and a real store; without a master. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/ready.h"

int marathon_main(int argc, char **argv);

static struct {
    char dir[64];
    pid_t pid;
    int port;
    int status; /* of the newest answer */
    char head[8192];
    char body[65536];
} server;

static void start(void)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    server.pid = fork();
    assert_true(server.pid >= 0);
    if (server.pid == 0) {
        char text[16];
        close(fds[0]);
        (void)snprintf(text, sizeof(text), "%d", fds[1]);
        setenv(READY_FD_VARIABLE, text, 1);
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 2);
        alarm(110); /* whatever happens to the test */
        const char *argv[] = {"marathon",   "--master", "127.0.0.1:1", "--http_port",  "0",
                              "--work_dir", server.dir, "--hostname",  "example.test", "--access_control_allow_origin",
                              "*",          NULL};
        exit(marathon_main(11, (char **)argv)); /* options are only read */
    }
    close(fds[1]);
    char line[128];
    size_t n = 0;
    struct pollfd p = {.fd = fds[0], .events = POLLIN};
    while (n < sizeof(line) - 1 && !memchr(line, '\n', n)) {
        assert_int_equal(poll(&p, 1, 40000), 1);
        ssize_t got = read(fds[0], line + n, sizeof(line) - 1 - n);
        assert_true(got > 0);
        n += (size_t)got;
    }
    close(fds[0]);
    line[n] = '\0';
    assert_int_equal(sscanf(line, "READY 127.0.0.1:%d", &server.port), 1);
}

static void stop(void)
{
    int status;
    pid_t pid = server.pid;
    server.pid = 0;
    assert_true(pid > 0); /* 0 would be everybody in our group */
    assert_int_equal(kill(pid, SIGTERM), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server.port)};
    struct timeval timeout = {.tv_sec = 10};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* headers: further ones, each with CR LF. */
static void ask(const char *method, const char *target, const char *headers, const char *body)
{
    static char text[131072];
    int fd = dial();
    int n = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: example.test:80\r\nConnection: close\r\n%s", method,
                     target, headers ? headers : "");
    if (body)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
    else
        n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
    assert_int_equal(write(fd, text, (size_t)n), n);
    size_t len = 0;
    for (ssize_t got; (got = read(fd, text + len, sizeof(text) - 1 - len)) > 0;)
        len += (size_t)got;
    close(fd);
    text[len] = '\0';
    char *end = strstr(text, "\r\n\r\n");
    assert_non_null(end);
    *end = '\0';
    assert_true((size_t)(end - text) < sizeof(server.head) - 3 && strlen(end + 4) < sizeof(server.body));
    strcpy(server.head, text);
    strcat(server.head, "\r\n");
    strcpy(server.body, end + 4);
    assert_int_equal(sscanf(text, "HTTP/1.1 %d", &server.status), 1);
}

static void expect(const char *method, const char *target, const char *body, int status, const char *part)
{
    ask(method, target, body ? "Content-Type: application/json\r\n" : NULL, body);
    if (server.status != status || (part && !strstr(server.body, part)))
        fail_msg("%s %s: %d %s, wanted %d with %s", method, target, server.status, server.body, status, part ? part : "-");
}

static void test_api__routes_and_errors(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target, *body;
        int status;
        const char *part;
    } cases[] = {
        {"GET", "/v2/apps", NULL, 200, "{\"apps\":[]}"},
        {"GET", "/v2/apps/", NULL, 200, "{\"apps\":[]}"},
        {"GET", "/v2/apps/x", NULL, 404, "{\"message\":\"App '/x' does not exist\"}"},
        {"GET", "/v2/apps//x/", NULL, 404, "{\"message\":\"App '/x' does not exist\"}"},
        {"GET", "/v2/apps/g/*", NULL, 404, "Group '/g' does not exist"},
        {"GET", "/v2/apps/x/versions", NULL, 404, "App '/x' does not exist"},
        {"GET", "/v2/apps/x/versions/now", NULL, 422, "Invalid timestamp provided 'now'."},
        {"GET", "/v2/apps/x/tasks", NULL, 404, "App '/x' does not exist"},
        {"DELETE", "/v2/apps/x/tasks/y.z", NULL, 404, "App '/x' does not exist"},
        {"DELETE", "/v2/apps/x/tasks?scale=true&wipe=true", NULL, 400, "You cannot use scale and wipe at the same time."},
        {"DELETE", "/v2/apps/x", NULL, 404, "App '/x' does not exist"},
        {"POST", "/v2/apps/x/restart", NULL, 404, "App '/x' does not exist"},
        {"GET", "/v2/apps/x/restart", NULL, 405, "{\"message\":\"Method Not Allowed\"}"},
        {"DELETE", "/v2/apps", NULL, 405, "Method Not Allowed"},
        {"PATCH", "/v2/apps/x", "{}", 404, "App '/x' does not exist"},
        {"PATCH", "/v2/apps", "[{\"id\":\"x\"}]", 404, "App '/x' does not exist"},
        {"PUT", "/v2/apps", "[{\"cmd\":\"x\"}]", 422, "No identifier"},
        {"PUT", "/v2/apps", "{}", 422, "error.expected.jsarray"},
        {"PUT", "/v2/apps/X", "{\"cmd\":\"x\"}", 422, "\"path\":\"/id\""},
        {"POST", "/v2/apps", "", 400, "Please specify data in JSON format"},
        {"POST", "/v2/apps", "5", 400, "Please specify data in JSON format"},
        {"POST", "/v2/apps", "{", 400, "{\"message\":\"Invalid JSON\",\"details\":\""},
        {"POST", "/v2/apps", "{\"id\":\"/x\"}", 422, "{\"message\":\"Object is not valid\",\"details\":[{\"path\":\"/\""},
        {"POST", "/v2/apps", "{\"id\":1}", 422,
         "{\"message\":\"Invalid JSON\",\"details\":[{\"path\":\"/id\",\"errors\":["},
        {"POST", "/v2/apps", "[]", 422, "error.expected.jsobject"},
        {"GET", "/v2/apps?label=a=b", NULL, 422, "Can not parse label selector"},
        {"GET", "/v2/tasks", NULL, 200, "{\"tasks\":[]}"},
        {"GET", "/v2/tasks?status=running&status[]=staging", NULL, 200, "{\"tasks\":[]}"},
        {"POST", "/v2/tasks/delete", "{\"ids\":[\"x\"]}", 400, "Invalid task id 'x'."},
        {"POST", "/v2/tasks/delete", "{\"ids\":[\"x.y\"]}", 200, "{\"tasks\":[]}"},
        {"POST", "/v2/tasks/delete", "{\"ids\":7}", 422, "list of task ids"},
        {"GET", "/v2/deployments", NULL, 200, "[]"},
        {"DELETE", "/v2/deployments/x", NULL, 404, "DeploymentPlan x does not exist"},
        {"GET", "/v2/queue", NULL, 200, "{\"queue\":[]}"},
        {"DELETE", "/v2/queue//x/delay", NULL, 404, "not found in tasks queue."},
        {"GET", "/v2/groups", NULL, 200, "{\"id\":\"/\""},
        {"GET", "/v2/groups//x", NULL, 404, "Group '/x' does not exist"},
        {"POST", "/v2/groups", "{\"id\":\"/x\"}", 422, "groups are not supported yet"},
        {"PUT", "/v2/groups/x", "{}", 422, "groups are not supported yet"},
        {"POST", "/v2/pods", "{}", 422, "pods are not supported yet"},
        {"GET", "/v2/plugins", NULL, 200, "{\"plugins\":[]}"},
        {"GET", "/v2/leader", NULL, 200, "{\"leader\":\"example.test:"},
        {"GET", "/v2/info", NULL, 200, "\"elected\":true"},
        {"GET", "/metrics", NULL, 200, "\"marathon.apps.active.gauge\":{\"value\":0}"},
        {"GET", "/metrics/prometheus", NULL, 200, "marathon_apps_active_gauge 0"},
        {"GET", "/ping", NULL, 200, "pong"},
        {"POST", "/ping", NULL, 405, "Method Not Allowed"},
        {"GET", "/v2/events", NULL, 405, "Method Not Allowed"},
        {"GET", "/v2/nothing", NULL, 404, "{\"message\":\"URI not found\"}"},
        {"GET", "/", NULL, 404, "URI not found"},
    };
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++)
        expect(cases[k].method, cases[k].target, cases[k].body, cases[k].status, cases[k].part);
}

static void test_api__media_types_and_headers(void **state)
{
    (void)state;
    ask("POST", "/v2/apps", "Content-Type: text/plain\r\n", "{}");
    assert_int_equal(server.status, 415);
    ask("GET", "/v2/tasks", "Accept: text/plain\r\n", NULL);
    assert_int_equal(server.status, 406);
    ask("GET", "/ping", "Accept: application/json\r\n", NULL);
    assert_string_equal(server.body, "\"pong\"");
    ask("GET", "/ping", "Accept: image/png\r\n", NULL);
    assert_int_equal(server.status, 204);
    ask("GET", "/v2/apps", NULL, NULL);
    assert_non_null(strstr(server.head, "Cache-Control: no-cache, no-store, must-revalidate\r\n"));
    assert_non_null(strstr(server.head, "X-Marathon-Leader: http://example.test:"));
    assert_non_null(strstr(server.head, "Access-Control-Allow-Origin: *\r\n"));
    assert_non_null(strstr(server.head, "Content-Type: application/json\r\n"));
    ask("HEAD", "/v2/apps", NULL, NULL);
    assert_int_equal(server.status, 200);
    assert_string_equal(server.body, "");
}

static void test_api__state_outlives_the_process(void **state)
{
    (void)state;
    expect("POST", "/v2/apps", "{\"id\":\"/g/kept\",\"cmd\":\"sleep 1\",\"labels\":{\"a\":\"b\"}}", 201, "\"port\":10000");
    assert_non_null(strstr(server.head, "Location: http://example.test:80/v2/apps/g/kept\r\n"));
    assert_non_null(strstr(server.head, "Marathon-Deployment-Id: "));
    expect("POST", "/v2/apps", "{\"id\":\"g/kept\",\"cmd\":\"sleep 1\"}", 409, "An app with id [/g/kept] already exists.");
    expect("PUT", "/v2/apps/g/kept", "{\"instances\":3}", 409, "\"deployments\":[{\"id\":");
    expect("PUT", "/v2/apps/g/kept?force=true", "{\"instances\":3}", 200, "deploymentId");
    expect("PUT", "/v2/apps/g/other", "{\"cmd\":\"x\",\"instances\":0}", 201, "deploymentId");
    stop();
    start();
    expect("GET", "/v2/apps//g/kept", NULL, 200, "\"instances\":3");
    expect("GET", "/v2/apps/g/kept/versions", NULL, 200, "\"versions\":[");
    expect("GET", "/v2/deployments", NULL, 200, "\"affectedApps\":[\"/g/kept\"]");
    expect("GET", "/v2/queue", NULL, 200, "\"count\":3");
    expect("GET", "/v2/apps?label=a==b&id=KEPT&cmd=sleep", NULL, 200, "/g/kept");
    expect("GET", "/v2/apps?id=nobody", NULL, 200, "{\"apps\":[]}");
    expect("GET", "/v2/apps/g/*", NULL, 200, "{\"*\":[{");
    expect("GET", "/v2/groups?embed=group.groups&embed=group.apps&embed=group.apps.counts", NULL, 200,
           "\"tasksRunning\":0");
    expect("DELETE", "/v2/apps/g/kept", NULL, 200, "deploymentId");
    expect("GET", "/v2/apps/g/kept", NULL, 404, NULL);
    expect("DELETE", "/v2/apps/g/other", NULL, 200, NULL);
    expect("GET", "/v2/apps", NULL, 200, "{\"apps\":[]}");
}

/* Reads until the text has come. */
static void await(int fd, char *text, size_t size, size_t *len, const char *part)
{
    while (!strstr(text, part)) {
        ssize_t got = read(fd, text + *len, size - 1 - *len);
        if (got <= 0)
            fail_msg("%s did not come: %s", part, text);
        *len += (size_t)got;
        text[*len] = '\0';
    }
}

static void test_api__event_stream_is_filtered(void **state)
{
    (void)state;
    static const char request[] =
        "GET /v2/events?event_type=event_stream_attached&event_type=deployment_success HTTP/1.1\r\n"
        "Host: x\r\nAccept: text/event-stream\r\n\r\n";
    char text[16384] = "";
    size_t len = 0;
    int fd = dial();
    assert_int_equal(write(fd, request, sizeof(request) - 1), sizeof(request) - 1);
    await(fd, text, sizeof(text), &len, "event: event_stream_attached\r\ndata: {");
    assert_non_null(strstr(text, "Content-Type: text/event-stream"));
    expect("POST", "/v2/apps", "{\"id\":\"/none\",\"cmd\":\"x\",\"instances\":0}", 201, NULL);
    await(fd, text, sizeof(text), &len, "event: deployment_success\r\ndata: {\"eventType\":\"deployment_success\"");
    assert_null(strstr(text, "api_post_event"));
    close(fd);
    expect("DELETE", "/v2/apps/none", NULL, 200, NULL);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(server.dir, "/tmp/marathon-api-XXXXXX");
    if (mkdtemp(server.dir) == NULL)
        return -1;
    start();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (server.pid > 0)
        stop();
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", server.dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_api__routes_and_errors),
        cmocka_unit_test(test_api__media_types_and_headers),
        cmocka_unit_test(test_api__state_outlives_the_process),
        cmocka_unit_test(test_api__event_stream_is_filtered),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
