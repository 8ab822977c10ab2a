/* SPDX-License-Identifier: Apache-2.0
 * up_secrets.c - `muster up --secure`: a credential for each part of the cluster and one for the person who runs it, below
 * the cluster's directory, readable by its owner alone. They are made once; a cluster that was secure stays so. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/up.h"
#include "common/auth/credentials.h"
#include "common/base/check.h"
#include "common/base/cleanup.h"

#define SECRET_BYTES 32

/* Principals. Each has its credential in a file of its name, the bare secret in NAME.secret for programs that have a flag
 * for the principal, and NAME.curl is what `curl --config` reads: a secret in its arguments would be seen by others. */
static const char *const principals[] = {CLUSTER_OPERATOR, "agent", "marathon", "cron", "dns", "lb"};
#define PRINCIPAL_COUNT (sizeof(principals) / sizeof(principals[0]))

static int write_whole(int fd, const uint8_t *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = write(fd, data + at, len - at);
        if (n < 0 && errno != EINTR)
            return -errno;
        at += n > 0 ? (size_t)n : 0;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

/* A reader sees the old file or the whole new one. */
static int write_file(const struct up *u, const char *name, const struct buf *text, struct err *err)
{
    char path[4096], fresh[4096];
    CHECK(snprintf(path, sizeof(path), "%s/%s", u->secrets, name) < (int)sizeof(path));
    CHECK(snprintf(fresh, sizeof(fresh), "%s/.%s.new", u->secrets, name) < (int)sizeof(fresh));
    (void)unlink(fresh); /* of a run that was killed here */
    cleanup_close int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = fd < 0 ? -errno : write_whole(fd, buf_data(text), buf_len(text));
    if (rc == 0 && rename(fresh, path) < 0)
        rc = -errno;
    return rc < 0 ? err_sys(err, rc, "%s", path) : 0;
}

static void wipe(struct buf *b)
{
    if (b->base != NULL)
        explicit_bzero(b->base, b->capacity);
    buf_deinit(b);
}

static int make_credential(const struct up *u, const char *principal, struct err *err)
{
    uint8_t raw[SECRET_BYTES];
    char name[64];
    struct buf json, bare, curl;
    CHECK(getrandom(raw, sizeof(raw), 0) == sizeof(raw)); /* up to 256 bytes come at once */
    buf_init(&json, 0);
    buf_init(&bare, 0);
    buf_init(&curl, 0);
    for (size_t i = 0; i < sizeof(raw); i++)
        (void)buf_printf(&bare, "%02x", raw[i]); /* far below the limit, as what follows */
    (void)buf_printf(&json, "{\"principal\":\"%s\",\"secret\":\"%.*s\"}\n", principal, (int)buf_len(&bare),
                     (const char *)buf_data(&bare));
    (void)buf_printf(&curl, "user = \"%s:%.*s\"\n", principal, (int)buf_len(&bare), (const char *)buf_data(&bare));
    (void)buf_append_char(&bare, '\n');
    (void)snprintf(name, sizeof(name), "%s.secret", principal);
    int rc = write_file(u, name, &bare, err);
    (void)snprintf(name, sizeof(name), "%s.curl", principal);
    if (rc == 0)
        rc = write_file(u, name, &curl, err);
    if (rc == 0)
        rc = write_file(u, principal, &json, err); /* last: where it is, all are */
    explicit_bzero(raw, sizeof(raw));
    wipe(&json);
    wipe(&bare);
    wipe(&curl);
    return rc;
}

static int load(const struct up *u, const char *principal, struct auth_credential *out, struct err *err)
{
    char path[4096];
    bool is_exposed;
    CHECK(snprintf(path, sizeof(path), "%s/%s", u->secrets, principal) < (int)sizeof(path));
    int rc = auth_credential_load(path, out, &is_exposed, err);
    if (rc == 0 && (is_exposed || strcmp(out->principal, principal) != 0)) {
        rc = err_set(err, -EPERM, is_exposed ? "%s can be read by others" : "%s is of another principal", path);
        auth_credential_deinit(out);
    }
    return rc;
}

/* The list of these principals, for who lets them in. */
static int write_list(const struct up *u, const char *name, size_t count, struct err *err)
{
    struct buf text;
    struct json_writer w;
    int rc = 0;
    buf_init(&text, 0);
    json_writer_init(&w, &text);
    json_begin_object(&w);
    json_put_key(&w, "credentials");
    json_begin_array(&w);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct auth_credential c;
        rc = load(u, principals[i], &c, err);
        if (rc < 0)
            break;
        json_begin_object(&w);
        json_kv_string(&w, "principal", c.principal);
        json_kv_string(&w, "secret", c.secret);
        json_end_object(&w);
        auth_credential_deinit(&c);
    }
    json_end_array(&w);
    json_end_object(&w);
    if (rc == 0)
        rc = write_file(u, name, &text, err);
    wipe(&text);
    return rc;
}

/* The key of executors' tokens. */
static int make_key(const struct up *u, const char *name, struct err *err)
{
    uint8_t raw[SECRET_BYTES];
    struct buf text;
    CHECK(getrandom(raw, sizeof(raw), 0) == sizeof(raw)); /* up to 256 bytes come at once */
    buf_init(&text, 0);
    (void)buf_append(&text, raw, sizeof(raw)); /* far below the limit */
    int rc = write_file(u, name, &text, err);
    explicit_bzero(raw, sizeof(raw));
    wipe(&text);
    return rc;
}

/* What follows the master only reads, an agent only registers: who steals such a secret gets no more than that. */
static int write_acls(const struct up *u, struct err *err)
{
    static const struct {
        const char *action, *object;
    } changes[] = {
        {"register_frameworks", "roles"},
        {"run_tasks", "users"},
        {"teardown_frameworks", "framework_principals"},
        {"reserve_resources", "roles"},
        {"unreserve_resources", "reserver_principals"},
        {"create_volumes", "roles"},
        {"destroy_volumes", "creator_principals"},
        {"resize_volumes", "roles"},
        {"update_weights", "roles"},
        {"update_quotas", "roles"},
        {"set_log_level", "level"},
        {"update_maintenance_schedules", "machines"},
        {"start_maintenances", "machines"},
        {"stop_maintenances", "machines"},
        {"mark_agents_gone", "agents"},
        {"drain_agents", "agents"},
        {"deactivate_agents", "agents"},
        {"reactivate_agents", "agents"},
    };
    struct buf text;
    buf_init(&text, 0);
    /* far below the limit */
    (void)buf_append_str(&text, "{\"permissive\":true,\n\"register_agents\":["
                                "{\"principals\":{\"values\":[\"agent\"]},\"agents\":{\"type\":\"ANY\"}},"
                                "{\"principals\":{\"type\":\"NONE\"},\"agents\":{\"type\":\"ANY\"}}]");
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        (void)buf_printf(&text,
                         ",\n\"%s\":[{\"principals\":{\"values\":[\"agent\",\"dns\",\"lb\"]},\"%s\":{\"type\":"
                         "\"NONE\"}}]",
                         changes[i].action, changes[i].object);
    (void)buf_append_str(&text, "}\n");
    int rc = write_file(u, "acls", &text, err);
    buf_deinit(&text);
    return rc;
}

int up_secrets_prepare(struct up *u, struct err *err)
{
    char path[4096];
    struct stat st;
    CHECK(snprintf(u->secrets, sizeof(u->secrets), "%s/" CLUSTER_SECRETS, u->cluster.dir) < (int)sizeof(u->secrets));
    bool is_there = lstat(u->secrets, &st) == 0;
    if (!is_there && !u->secure)
        return 0;
    if (is_there && !u->secure) {
        fprintf(stderr, "muster up: the cluster in %s is a secure one and stays so\n", u->cluster.dir);
        u->secure = true;
    }
    if (!is_there && mkdir(u->secrets, 0700) < 0)
        return err_sys(err, -errno, "%s", u->secrets);
    if (is_there && (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0))
        return err_set(err, -EPERM, "%s: must be a directory of yours that nobody else can read", u->secrets);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < PRINCIPAL_COUNT; i++) {
        CHECK(snprintf(path, sizeof(path), "%s/%s", u->secrets, principals[i]) < (int)sizeof(path));
        if (access(path, F_OK) < 0)
            rc = make_credential(u, principals[i], err);
    }
    CHECK(snprintf(path, sizeof(path), "%s/executors.key", u->secrets) < (int)sizeof(path));
    if (rc == 0 && access(path, F_OK) < 0)
        rc = make_key(u, "executors.key", err);
    CHECK(snprintf(path, sizeof(path), "%s/acls", u->secrets) < (int)sizeof(path));
    if (rc == 0 && access(path, F_OK) < 0) /* then it may have been changed by hand */
        rc = write_acls(u, err);
    if (rc == 0)
        rc = write_list(u, "credentials", PRINCIPAL_COUNT, err);
    if (rc == 0)
        rc = write_list(u, "http_credentials", 1, err); /* what is not the master is for people only */
    CHECK(snprintf(path, sizeof(path), "%s/" CLUSTER_OPERATOR, u->secrets) < (int)sizeof(path));
    return rc == 0 ? cli_show_credential(path, err) : rc;
}
