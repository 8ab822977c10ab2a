/* SPDX-License-Identifier: Apache-2.0
 * api_node.c - endpoints about the machine and the process of the master, not the cluster (facts: mesos 5.1): its files,
 * its log level, its load. Its log goes to where its standard error goes, so there is no file to be read. */
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "common/base/json.h"
#include "master/shell.h"

void master_shell_on_logging(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    logging_toggle_answer(s->logging, x, request);
}

void master_shell_on_system_stats(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    (void)s;
    (void)request;
    static const char *const loads[] = {"avg_load_1min", "avg_load_5min", "avg_load_15min"};
    double load[3] = {0};
    struct sysinfo info = {.mem_unit = 1};
    int n = getloadavg(load, 3);
    struct buf body;
    struct json_writer w;
    buf_init(&body, 4096);
    json_writer_init(&w, &body);
    json_begin_object(&w);
    for (int i = 0; i < n; i++)
        json_kv_double(&w, loads[i], load[i]);
    json_kv_int(&w, "cpus_total", sysconf(_SC_NPROCESSORS_ONLN));
    if (sysinfo(&info) == 0) {
        json_kv_int(&w, "mem_total_bytes", (int64_t)info.totalram * info.mem_unit);
        json_kv_int(&w, "mem_free_bytes", (int64_t)info.freeram * info.mem_unit);
    }
    json_end_object(&w);
    http_reply(x, 200, "application/json", buf_data(&body), buf_len(&body));
    buf_deinit(&body);
}

void master_shell_on_files(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    (void)s;
    const char *path = http_query(request, http_exchange_arena(x), "path", 0);
    if (path == NULL || *path == '\0')
        http_reply_text(x, 400, "Expecting 'path=value' in query.");
    else
        http_reply(x, 404, NULL, NULL, 0);
}

void master_shell_on_files_debug(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    (void)s;
    (void)request;
    http_reply(x, 200, "application/json", "{}", 2);
}
