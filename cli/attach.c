/* SPDX-License-Identifier: Apache-2.0
 * attach.c - three requests make one session: the answer with the output, the body with the input, and the wait for how it
 * ends. The terminal's bytes are not looked at but for the keys that detach. */
#include "cli/attach.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/terminal.h"
#include "common/base/check.h"
#include "common/http/client.h"
#include "common/http/recordio.h"
#include "common/real/loop_ev.h"
#include "common/wire/codec.h"

#define FOREVER_MS (INT64_C(10) * 365 * 24 * 3600 * 1000)
#define START_MS 60000
#define END_MS 10000            /* between the end of the output and what the end was */
#define UNSENT_MAX (256u << 10) /* of input, then it is not read */
#define INPUT_SIZE (32u << 10)
#define RECORD_MAX (8u << 20)

enum { KEY_FIRST = 0x10, KEY_SECOND = 0x11 }; /* ctrl-p ctrl-q */

struct attachment {
    const struct attach_request *request;
    struct loop *loop;
    struct http_client *client;
    struct http_request http; /* what all three have in common */
    struct http_header headers[3];
    struct http_call *output, *input, *wait;
    struct recordio_reader reader;
    struct buf error_body;
    struct loop_fd *in_watch;
    struct loop_signal *signals[5];
    struct loop_timer *end_timer;
    struct attach_keys keys;
    int http_status;
    bool has_output_ended, has_status;
    int status;
    enum attach_outcome outcome;
    int result;
    struct err *err;
};

long attach_keys_feed(struct attach_keys *k, const unsigned char *in, size_t len, unsigned char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (k->has_first && in[i] == KEY_SECOND)
            return -1;
        if (k->has_first)
            out[n++] = KEY_FIRST;
        k->has_first = in[i] == KEY_FIRST;
        if (!k->has_first)
            out[n++] = in[i];
    }
    return (long)n;
}

static void stop(struct attachment *a, int result)
{
    a->result = result;
    loop_stop(a->loop);
}

static void check_end(struct attachment *a)
{
    if (!a->has_output_ended)
        return;
    if (a->has_status)
        stop(a, 0);
    else if (!loop_timer_is_active(a->end_timer))
        loop_timer_start(a->end_timer, END_MS);
}

static void on_end_timer(void *ctx)
{
    struct attachment *a = ctx;
    a->status = -1;
    stop(a, 0);
}

static void send_call(struct http_client *client, struct http_request *http, const Mesos__V1__Agent__Call *call,
                      const struct http_callbacks *callbacks, void *ctx, struct http_call **out)
{
    size_t len;
    uint8_t *packed = wire_pack(&call->base, &len);
    http->body = packed;
    http->body_len = len;
    *out = http_call_start(client, http, callbacks, ctx);
    free(packed);
}

/* -- input ---------------------------------------------------------------------------------------------------- */

static void send_input_call(struct attachment *a, Mesos__V1__Agent__Call__AttachContainerInput *input)
{
    if (a->input == NULL)
        return; /* the agent has ended it */
    Mesos__V1__Agent__Call call = MESOS__V1__AGENT__CALL__INIT;
    call.has_type = input->has_type = true;
    call.type = MESOS__V1__AGENT__CALL__TYPE__ATTACH_CONTAINER_INPUT;
    call.attach_container_input = input;
    size_t len;
    uint8_t *packed = wire_pack(&call.base, &len);
    struct buf record;
    buf_init(&record, RECORD_MAX);
    CHECK(recordio_append(&record, packed, len) == 0); /* far below the bound */
    http_call_send(a->input, buf_data(&record), buf_len(&record));
    buf_deinit(&record);
    free(packed);
}

static void send_io(struct attachment *a, Mesos__V1__Agent__ProcessIO *io)
{
    Mesos__V1__Agent__Call__AttachContainerInput input = MESOS__V1__AGENT__CALL__ATTACH_CONTAINER_INPUT__INIT;
    input.type = MESOS__V1__AGENT__CALL__ATTACH_CONTAINER_INPUT__TYPE__PROCESS_IO;
    input.process_io = io;
    io->has_type = true;
    send_input_call(a, &input);
}

static void send_data(struct attachment *a, const void *bytes, size_t len)
{
    Mesos__V1__Agent__ProcessIO io = MESOS__V1__AGENT__PROCESS_IO__INIT;
    Mesos__V1__Agent__ProcessIO__Data data = MESOS__V1__AGENT__PROCESS_IO__DATA__INIT;
    data.has_type = data.has_data = true;
    data.type = MESOS__V1__AGENT__PROCESS_IO__DATA__TYPE__STDIN;
    data.data = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)bytes, .len = len};
    io.type = MESOS__V1__AGENT__PROCESS_IO__TYPE__DATA;
    io.data = &data;
    send_io(a, &io);
}

static void send_size(struct attachment *a)
{
    Mesos__V1__Agent__ProcessIO io = MESOS__V1__AGENT__PROCESS_IO__INIT;
    Mesos__V1__Agent__ProcessIO__Control control = MESOS__V1__AGENT__PROCESS_IO__CONTROL__INIT;
    Mesos__V1__TTYInfo tty = MESOS__V1__TTYINFO__INIT;
    Mesos__V1__TTYInfo__WindowSize size = MESOS__V1__TTYINFO__WINDOW_SIZE__INIT;
    uint16_t rows, columns;
    if (!terminal_size(&rows, &columns))
        return;
    size.rows = rows;
    size.columns = columns;
    tty.window_size = &size;
    control.has_type = true;
    control.type = MESOS__V1__AGENT__PROCESS_IO__CONTROL__TYPE__TTY_INFO;
    control.tty_info = &tty;
    io.type = MESOS__V1__AGENT__PROCESS_IO__TYPE__CONTROL;
    io.control = &control;
    send_io(a, &io);
}

static void end_input(struct attachment *a, bool is_for_program)
{
    a->in_watch = loop_fd_remove(a->in_watch);
    if (is_for_program)
        send_data(a, "", 0);
    if (a->input != NULL && !a->request->takes_terminal) /* its size may still change */
        http_call_end_body(a->input);
}

static void on_typed(void *ctx, int fd, unsigned ready)
{
    (void)ready;
    struct attachment *a = ctx;
    unsigned char in[INPUT_SIZE], out[INPUT_SIZE + 1];
    ssize_t n = read(fd, in, sizeof(in));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        end_input(a, a->request->ends_input && !a->request->has_tty);
        return;
    }
    const unsigned char *bytes = in;
    long len = n;
    if (a->request->takes_terminal) {
        len = attach_keys_feed(&a->keys, in, (size_t)n, out);
        bytes = out;
    }
    if (len < 0) {
        a->outcome = ATTACH_DETACHED;
        stop(a, 0);
        return;
    }
    if (len > 0)
        send_data(a, bytes, (size_t)len);
    if (a->input != NULL && http_call_unsent(a->input) > UNSENT_MAX)
        loop_fd_set(a->in_watch, 0);
}

static void on_input_sent(void *ctx)
{
    struct attachment *a = ctx;
    if (a->in_watch != NULL)
        loop_fd_set(a->in_watch, LOOP_READ);
}

static void on_input_done(void *ctx, const struct http_message *response, int error, const char *text)
{
    struct attachment *a = ctx;
    (void)error;
    a->input = NULL;
    a->in_watch = loop_fd_remove(a->in_watch);
    if (response != NULL && response->status == 200)
        return;
    /* The output tells of an end; an input that was refused is worth a word. */
    if (response != NULL && response->status != 404)
        fprintf(stderr, "muster: input: %.*s\r\n", (int)response->body_len, (const char *)response->body);
    else if (response == NULL && !a->has_output_ended)
        fprintf(stderr, "muster: input: %s\r\n", text);
}

static void open_input(struct attachment *a)
{
    static const struct http_callbacks callbacks = {.done = on_input_done, .sent = on_input_sent};
    struct http_request http = a->http;
    http.content_type = "application/recordio";
    http.body_streams = true;
    http.timeout_ms = FOREVER_MS;
    a->headers[0] = (struct http_header){"Message-Content-Type", "application/x-protobuf"};
    a->input = http_call_start(a->client, &http, &callbacks, a);
    Mesos__V1__Agent__Call__AttachContainerInput input = MESOS__V1__AGENT__CALL__ATTACH_CONTAINER_INPUT__INIT;
    input.type = MESOS__V1__AGENT__CALL__ATTACH_CONTAINER_INPUT__TYPE__CONTAINER_ID;
    input.container_id = (Mesos__V1__ContainerID *)(uintptr_t)a->request->container;
    send_input_call(a, &input);
    if (a->request->takes_terminal)
        send_size(a);
    if (a->request->interactive)
        a->in_watch = loop_fd_add(a->loop, STDIN_FILENO, LOOP_READ, on_typed, a);
    else
        end_input(a, !a->request->has_tty);
}

/* -- the end -------------------------------------------------------------------------------------------------- */

static void on_wait_done(void *ctx, const struct http_message *response, int error, const char *text)
{
    struct attachment *a = ctx;
    (void)error;
    (void)text;
    a->wait = NULL;
    a->has_status = true;
    a->status = -1;
    struct arena *arena = arena_new(0);
    const Mesos__V1__Agent__Response *answer = NULL;
    if (response != NULL && response->status == 200)
        answer = (const void *)wire_decode(WIRE_PROTOBUF, &mesos__v1__agent__response__descriptor, response->body,
                                           response->body_len, arena, NULL);
    if (answer != NULL && answer->wait_container != NULL && answer->wait_container->has_exit_status)
        a->status = answer->wait_container->exit_status;
    (void)arena_free(arena);
    check_end(a);
}

static void open_wait(struct attachment *a)
{
    static const struct http_callbacks callbacks = {.done = on_wait_done};
    Mesos__V1__Agent__Call__WaitContainer wait = MESOS__V1__AGENT__CALL__WAIT_CONTAINER__INIT;
    Mesos__V1__Agent__Call call = MESOS__V1__AGENT__CALL__INIT;
    wait.container_id = (Mesos__V1__ContainerID *)(uintptr_t)a->request->container;
    call.has_type = true;
    call.type = MESOS__V1__AGENT__CALL__TYPE__WAIT_CONTAINER;
    call.wait_container = &wait;
    struct http_request http = a->http;
    http.fresh_connection = true;
    http.timeout_ms = FOREVER_MS;
    send_call(a->client, &http, &call, &callbacks, a, &a->wait);
}

/* -- output --------------------------------------------------------------------------------------------------- */

/* Everything, however slow the reader is: nothing else of the session is of use meanwhile. */
static bool write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            (void)poll(&p, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            return false;
        } else if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return true;
}

static int on_record(void *ctx, const void *data, size_t len)
{
    struct attachment *a = ctx;
    struct arena *arena = arena_new(0);
    const Mesos__V1__Agent__ProcessIO *io =
        (const void *)wire_decode(WIRE_PROTOBUF, &mesos__v1__agent__process_io__descriptor, data, len, arena, a->err);
    int rc = io == NULL ? -EPROTO : 0;
    if (io != NULL && io->data != NULL && io->data->has_data) {
        bool is_error = io->data->type == MESOS__V1__AGENT__PROCESS_IO__DATA__TYPE__STDERR;
        if (!write_all(is_error ? STDERR_FILENO : STDOUT_FILENO, io->data->data.data, io->data->data.len))
            rc = err_sys(a->err, -errno, "standard %s", is_error ? "error" : "output");
    }
    (void)arena_free(arena);
    return rc;
}

static bool on_output_data(void *ctx, const void *data, size_t len)
{
    struct attachment *a = ctx;
    if (a->http_status != 200) {
        (void)buf_append(&a->error_body, data, len); /* the beginning is enough */
        return true;
    }
    int rc = recordio_feed(&a->reader, data, len, on_record, a);
    if (rc != 0)
        stop(a, rc);
    return rc == 0;
}

static bool on_output_head(void *ctx, const struct http_message *response)
{
    struct attachment *a = ctx;
    a->http_status = response->status;
    if (response->status != 200)
        return true;
    open_wait(a);
    open_input(a);
    if (a->request->takes_terminal && terminal_take(a->err) < 0) {
        stop(a, -ENOTTY);
        return false;
    }
    return true;
}

static void on_output_done(void *ctx, const struct http_message *response, int error, const char *text)
{
    struct attachment *a = ctx;
    a->output = NULL;
    if (error == -ECANCELED)
        return; /* by us, with a result */
    if (response == NULL) {
        stop(a, err_set(a->err, error, "%s: %s", a->request->agent, text));
    } else if (a->http_status != 200) {
        (void)buf_append_char(&a->error_body, '\0');
        stop(a, err_set(a->err, -EREMOTEIO, "%s answered %d: %s", a->request->agent, a->http_status,
                        (const char *)buf_data(&a->error_body)));
    } else {
        a->has_output_ended = true;
        check_end(a);
    }
}

/* -- signals -------------------------------------------------------------------------------------------------- */

static void on_window(void *ctx, int signo)
{
    (void)signo;
    send_size(ctx);
}

static void on_signal(void *ctx, int signo)
{
    struct attachment *a = ctx;
    a->outcome = ATTACH_SIGNALLED;
    a->status = signo;
    stop(a, 0);
}

static void watch_signals(struct attachment *a)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < 4; i++)
        a->signals[i] = loop_signal_add(a->loop, ends[i], on_signal, a);
    a->signals[4] = loop_signal_add(a->loop, SIGWINCH, on_window, a);
}

/* -- all ------------------------------------------------------------------------------------------------------ */

static int split(struct attachment *a, char ip[64], struct err *err)
{
    const char *agent = a->request->agent, *colon = strrchr(agent, ':');
    if (colon == NULL || (size_t)(colon - agent) >= 64)
        return err_set(err, -EINVAL, "%s: not an address of the form ip:port", agent);
    memcpy(ip, agent, (size_t)(colon - agent));
    ip[colon - agent] = '\0';
    a->http.ip = ip;
    a->http.port = (uint16_t)strtoul(colon + 1, NULL, 10);
    return 0;
}

static void close_all(struct attachment *a)
{
    terminal_give_back();
    a->in_watch = loop_fd_remove(a->in_watch);
    for (size_t i = 0; i < 5; i++)
        a->signals[i] = loop_signal_remove(a->signals[i]);
    a->end_timer = loop_timer_remove(a->end_timer);
    http_client_free(a->client);
    recordio_reader_deinit(&a->reader);
    buf_deinit(&a->error_body);
    loop_ev_free(a->loop);
}

int attach_run(const struct attach_request *request, enum attach_outcome *outcome, int *status, struct err *err)
{
    static const struct http_callbacks callbacks = {
        .done = on_output_done, .headers_done = on_output_head, .data = on_output_data};
    struct attachment a = {.request = request, .err = err, .result = -EIO, .outcome = ATTACH_ENDED};
    char ip[64];
    int rc = split(&a, ip, err);
    if (rc < 0)
        return rc;
    a.loop = loop_ev_new();
    if (a.loop == NULL)
        return err_sys(err, -errno, "event loop");
    a.client = http_client_new(a.loop);
    a.end_timer = loop_timer_add(a.loop, on_end_timer, &a);
    recordio_reader_init(&a.reader, RECORD_MAX);
    buf_init(&a.error_body, 512);
    a.http.method = "POST";
    a.http.target = "/api/v1";
    a.http.content_type = "application/x-protobuf";
    a.http.timeout_ms = START_MS;
    a.http.headers = a.headers;
    a.headers[0] = (struct http_header){"Accept", "application/x-protobuf"};
    a.headers[1] = (struct http_header){"Authorization", cli_authorization()};
    a.http.header_count = cli_authorization() != NULL ? 2 : 1;
    if (request->takes_terminal)
        watch_signals(&a);
    send_call(a.client, &a.http, request->output, &callbacks, &a, &a.output);
    loop_run(a.loop);
    close_all(&a);
    *outcome = a.outcome;
    *status = a.status;
    return a.result;
}
