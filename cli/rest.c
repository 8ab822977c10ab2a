/* SPDX-License-Identifier: Apache-2.0
 * rest.c - talking to the schedulers' REST APIs: files that people hand in, and refusals shown to them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/base/cleanup.h"

#define FILE_BYTES_MAX (8u << 20)

/* Prints what the scheduler answered when it refused: its message, then one line a detail with the path of the field. */
static int refused(const char *command, const char *what, const struct cli_answer *a)
{
    const char *message = json_string_value(json_object_get(a->json, "message"));
    if (message == NULL)
        return cli_fail("%s %s: the scheduler answered %d", command, what, a->status);
    (void)cli_fail("%s %s: %s", command, what, message);
    const json_t *details = json_object_get(a->json, "details"), *detail, *text;
    size_t i, k;
    if (json_is_string(details))
        fprintf(stderr, "    %s\n", json_string_value(details));
    json_array_foreach(details, i, detail) json_array_foreach(json_object_get(detail, "errors"), k, text)
        fprintf(stderr, "    %s: %s\n", json_string_value(json_object_get(detail, "path")), json_string_value(text));
    return CLI_FAILED;
}

int cli_ask(const struct cli_target *t, const char *part, const char *command, const char *what, const char *method,
            const char *target, const char *body, struct cli_answer *a)
{
    char address[64];
    struct err err;
    memset(a, 0, sizeof(*a));
    if (cli_address(t, part, address, &err) < 0 || cli_request(address, method, target, body, a, &err) < 0)
        return cli_fail("%s %s: %s", command, what, err.text);
    return a->status >= 200 && a->status < 300 ? CLI_DONE : refused(command, what, a);
}

int cli_read_file(const char *command, const char *name, char **out)
{
    struct buf text;
    buf_init(&text, FILE_BYTES_MAX);
    cleanup_close int opened = strcmp(name, "-") == 0 ? -1 : open(name, O_RDONLY | O_CLOEXEC);
    int fd = strcmp(name, "-") == 0 ? STDIN_FILENO : opened, status = CLI_DONE;
    for (ssize_t n = 1; status == CLI_DONE && n > 0;) {
        uint8_t *to = buf_reserve(&text, 65536);
        n = fd < 0 ? -1 : to == NULL ? 0 : read(fd, to, 65536);
        if (to == NULL)
            status = cli_fail("%s: %s: larger than %u bytes", command, name, FILE_BYTES_MAX);
        else if (n < 0)
            status = cli_fail("%s: %s: %s", command, name, strerror(errno));
        else
            buf_commit(&text, (size_t)n);
    }
    if (status == CLI_DONE)
        *out = buf_steal_str(&text);
    buf_deinit(&text);
    return status;
}
