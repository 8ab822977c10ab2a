/* SPDX-License-Identifier: Apache-2.0
 * request.c - one HTTP request, waited for, and the options that say where requests go. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "common/auth/credentials.h"
#include "common/base/check.h"
#include "common/base/options.h"
#include "common/base/resolve.h"
#include "common/base/text.h"
#include "common/http/client.h"
#include "common/real/loop_ev.h"

#define ANSWER_BYTES_MAX (256u << 20) /* the state of a large cluster */

struct waiting {
    struct loop *loop;
    struct cli_answer *out;
    struct err *err;
    const char *address;
    int result;
};

static char *authorization; /* of this run of the program */

int cli_show_credential(const char *path, struct err *err)
{
    struct auth_credential credential;
    bool is_exposed = false;
    int rc = auth_credential_load(path, &credential, &is_exposed, err);
    if (rc < 0)
        return err_wrap(err, rc, "--credential");
    if (is_exposed)
        fprintf(stderr, "muster: %s can be read by everybody on this machine; its mode should be 0600\n", path);
    free(authorization);
    authorization = auth_basic_value(credential.principal, credential.secret);
    auth_credential_deinit(&credential);
    return 0;
}

const char *cli_authorization(void)
{
    return authorization;
}

/* An answer that says who we are not. */
static int check_admission(const char *address, int status, struct err *err)
{
    if (status != 401)
        return 0;
    return err_set(err, -EACCES,
                   authorization != NULL ? "%s does not know this --credential" : "%s asks for a --credential", address);
}

static void on_done(void *ctx, const struct http_message *response, int error, const char *text)
{
    struct waiting *w = ctx;
    if (response == NULL) {
        w->result = err_set(w->err, error, "%s: %s", w->address, text);
    } else {
        w->out->status = response->status;
        (void)buf_append(&w->out->body, response->body, response->body_len); /* within its own limit */
        w->result = 0;
    }
    loop_stop(w->loop);
}

static int split_address(const char *address, char ip[64], uint16_t *port, struct err *err)
{
    const char *colon = strrchr(address, ':');
    int64_t number;
    if (colon == NULL || (size_t)(colon - address) >= 64 || text_to_int64(colon + 1, &number) < 0 || number < 1 ||
        number > 65535)
        return err_set(err, -EINVAL, "%s: not an address of the form ip:port", address);
    memcpy(ip, address, (size_t)(colon - address));
    ip[colon - address] = '\0';
    *port = (uint16_t)number;
    return 0;
}

int cli_request(const char *address, const char *method, const char *target, const char *body, struct cli_answer *out,
                struct err *err)
{
    char ip[64];
    uint16_t port;
    memset(out, 0, sizeof(*out));
    buf_init(&out->body, ANSWER_BYTES_MAX);
    int rc = split_address(address, ip, &port, err);
    if (rc < 0)
        return rc;
    struct loop *loop = loop_ev_new();
    if (loop == NULL)
        return err_sys(err, -errno, "event loop");
    struct http_client *client = http_client_new(loop);
    struct waiting w = {.loop = loop, .out = out, .err = err, .address = address, .result = -EIO};
    struct http_request request = {
        .ip = ip,
        .port = port,
        .method = method,
        .target = target,
        .content_type = body ? "application/json" : NULL,
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .body_bytes_max = ANSWER_BYTES_MAX,
        .headers = &(struct http_header){"Authorization", authorization},
        .header_count = authorization != NULL,
    };
    static const struct http_callbacks callbacks = {.done = on_done};
    (void)http_call_start(client, &request, &callbacks, &w); /* ends in on_done */
    loop_run(loop);
    http_client_free(client);
    loop_ev_free(loop);
    if (w.result == 0 && buf_len(&out->body) > 0)
        out->json = json_read(buf_data(&out->body), buf_len(&out->body), NULL);
    return w.result == 0 ? check_admission(address, out->status, err) : w.result;
}

static bool on_stream_headers(void *ctx, const struct http_message *response)
{
    struct waiting *w = ctx;
    w->out->status = response->status;
    return true;
}

static bool on_stream_data(void *ctx, const void *data, size_t len)
{
    struct waiting *w = ctx;
    if (w->out->status != 200)
        return true;
    return fwrite(data, 1, len, stdout) == len && fflush(stdout) == 0;
}

static void on_stream_done(void *ctx, const struct http_message *response, int error, const char *text)
{
    struct waiting *w = ctx;
    w->result = response != NULL || error == -ECANCELED ? 0 : err_set(w->err, error, "%s: %s", w->address, text);
    loop_stop(w->loop);
}

int cli_stream(const char *address, const char *target, int *status, struct err *err)
{
    char ip[64];
    uint16_t port;
    struct cli_answer answer = {0};
    int rc = split_address(address, ip, &port, err);
    if (rc < 0)
        return rc;
    struct loop *loop = loop_ev_new();
    if (loop == NULL)
        return err_sys(err, -errno, "event loop");
    struct http_client *client = http_client_new(loop);
    struct waiting w = {.loop = loop, .out = &answer, .err = err, .address = address, .result = -EIO};
    struct http_request request = {.ip = ip,
                                   .port = port,
                                   .method = "GET",
                                   .target = target,
                                   .headers = &(struct http_header){"Authorization", authorization},
                                   .header_count = authorization != NULL};
    static const struct http_callbacks callbacks = {
        .done = on_stream_done, .headers_done = on_stream_headers, .data = on_stream_data};
    (void)http_call_start(client, &request, &callbacks, &w); /* ends in on_stream_done */
    loop_run(loop);
    http_client_free(client);
    loop_ev_free(loop);
    *status = answer.status;
    return w.result == 0 ? check_admission(address, answer.status, err) : w.result;
}

void cli_answer_free(struct cli_answer *a)
{
    buf_deinit(&a->body);
    json_decref(a->json);
    a->json = NULL;
}

static int resolve(const char *address, char out[64], struct err *err)
{
    const char *text = address;
    if (strncmp(text, "http://", 7) == 0)
        text += 7;
    char host[256];
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
        return err_set(err, -EINVAL, "%s: not an address of the form host:port", address);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    size_t port_len = strcspn(colon + 1, "/");
    char ip[RESOLVE_IP_SIZE];
    int rc = resolve_host(host, ip, err);
    if (rc < 0)
        return rc;
    if (snprintf(out, 64, "%s:%.*s", ip, (int)port_len, colon + 1) >= 64)
        return err_set(err, -EINVAL, "%s: not an address", address);
    return 0;
}

int cli_address(const struct cli_target *t, const char *part, char out[64], struct err *err)
{
    const struct {
        const char *part, *given;
    } all[] = {{"master", t->master}, {"marathon", t->marathon}, {"cron", t->cron}, {"lb", t->lb}};
    const char *given = NULL;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(part, all[i].part) == 0)
            given = all[i].given;
    if (given != NULL)
        return resolve(given, out, err);
    char dir[3072];
    struct cluster c;
    int rc = cluster_dir(t->dir, dir, sizeof(dir), err);
    if (rc == 0)
        rc = cluster_load(dir, &c, err);
    if (rc == -ENOENT)
        return err_set(err, rc, "no cluster in %s: start one with `muster up`, or name one with --dir, --%s", dir, part);
    if (rc < 0)
        return rc;
    const struct cluster_role *role = cluster_find(&c, part);
    if (role == NULL || role->address[0] == '\0')
        rc = err_set(err, -ENOENT, "the cluster in %s has no running %s", dir, part);
    else
        (void)snprintf(out, 64, "%s", role->address);
    cluster_free(&c);
    return rc;
}

static const struct option_def target_options[] = {
    {"dir", OPTION_STRING, offsetof(struct cli_target, dir), NULL, "directory of the cluster", 0, 0, 0},
    {"master", OPTION_STRING, offsetof(struct cli_target, master), NULL, "host:port of the master", 0, 0, 0},
    {"marathon", OPTION_STRING, offsetof(struct cli_target, marathon), NULL, "host:port of the service scheduler", 0, 0, 0},
    {"cron", OPTION_STRING, offsetof(struct cli_target, cron), NULL, "host:port of the batch scheduler", 0, 0, 0},
    {"lb", OPTION_STRING, offsetof(struct cli_target, lb), NULL, "host:port of the balancer", 0, 0, 0},
    {"credential", OPTION_STRING, offsetof(struct cli_target, credential), NULL,
     "file with the principal and secret to show; default: that of the cluster in --dir", 0, 0, 0},
    {"json", OPTION_BOOL, offsetof(struct cli_target, json), "false", "print JSON", 0, 0, 0},
};
#define TARGET_OPTION_COUNT (sizeof(target_options) / sizeof(target_options[0]))
#define OPTIONS_MAX 20

/* The one that was named; else that of the cluster, which is for nobody else: not when an address was named. */
static int choose_credential(const struct cli_target *t, struct err *err)
{
    char dir[3072], path[4096];
    if (t->credential != NULL)
        return cli_show_credential(t->credential, err);
    if (t->master != NULL || t->marathon != NULL || t->cron != NULL || t->lb != NULL ||
        cluster_dir(t->dir, dir, sizeof(dir), NULL) < 0)
        return 0;
    (void)snprintf(path, sizeof(path), "%s/" CLUSTER_SECRETS "/" CLUSTER_OPERATOR, dir); /* fits */
    int rc = cli_show_credential(path, err);
    return rc == -ENOENT || rc == -EACCES ? 0 : rc; /* open to everybody, or somebody else's */
}

int cli_parse(int argc, char **argv, const char *usage, const struct option_def *more, size_t more_count,
              struct cli_target *t, char ***words, int *word_count)
{
    struct err err;
    struct option_def all[OPTIONS_MAX];
    size_t count = TARGET_OPTION_COUNT + more_count;
    CHECK(count <= OPTIONS_MAX);
    memcpy(all, target_options, sizeof(target_options));
    if (more_count > 0)
        memcpy(all + TARGET_OPTION_COUNT, more, more_count * sizeof(*more));
    memset(t, 0, sizeof(*t));
    int rc = options_parse(all, count, t, argc, argv, words, word_count, &err);
    if (rc == 0)
        rc = choose_credential(t, &err);
    if (rc == 0)
        return 0;
    cli_target_free(t);
    if (rc != OPTIONS_E_HELP)
        return cli_usage("%s", err.text);
    struct buf help;
    buf_init(&help, 0);
    options_help(all, count, usage, &help);
    fwrite(buf_data(&help), 1, buf_len(&help), stdout);
    buf_deinit(&help);
    return -1;
}

void cli_target_free(struct cli_target *t)
{
    options_free(target_options, TARGET_OPTION_COUNT, t); /* the options of single commands are no strings */
}
