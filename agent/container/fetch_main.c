/* SPDX-License-Identifier: Apache-2.0
 * fetch_main.c - downloads and unpacking, in a process of its own that runs as the task's user. The supervisor has set the
 * limits: RLIMIT_FSIZE bounds each file, and here also the sum of what an archive holds. */
#include <archive.h>
#include <archive_entry.h>
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/container.h"
#include "common/base/cleanup.h"

enum {
    REDIRECTS_MAX = 10,
    CONNECT_TIMEOUT_SECS = 60,
    STALL_TIMEOUT_SECS = 60, /* facts: mesos 9.6 */
    ENTRIES_MAX = 1000000,
};

/* ---- download ---- */

static size_t on_content(char *data, size_t size, size_t count, void *ctx)
{
    (void)ctx;
    size_t len = size * count;
    for (size_t at = 0; at < len;) {
        ssize_t n = write(STDOUT_FILENO, data + at, len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            fprintf(stderr, "write: %s; ", strerror(errno));
            return 0;
        }
        at += (size_t)n;
    }
    return len;
}

static bool set_options(CURL *curl, const char *url, char *text)
{
    return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https,ftp,ftps") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https,ftp,ftps") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_SECS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALL_TIMEOUT_SECS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_USERAGENT, "muster/" MUSTER_VERSION) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_content) == CURLE_OK;
}

static int download(const char *url)
{
    char text[CURL_ERROR_SIZE] = "";
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        fputs("curl cannot be initialized\n", stderr);
        return 1;
    }
    CURL *curl = curl_easy_init();
    if (curl == NULL || !set_options(curl, url, text)) {
        fputs("curl cannot do what is needed\n", stderr);
        return 1;
    }
    CURLcode rc = curl_easy_perform(curl);
    long answer = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer);
    curl_easy_cleanup(curl);
    if (rc != CURLE_OK) {
        fprintf(stderr, "%s\n", text[0] != '\0' ? text : curl_easy_strerror(rc));
        return 1;
    }
    if (strncasecmp(url, "http", 4) == 0 && answer != 200) {
        fprintf(stderr, "the server answered %ld instead of 200\n", answer);
        return 1;
    }
    return 0;
}

/* ---- extract ---- */

static bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), k = strlen(suffix);
    return n > k && strcasecmp(s + n - k, suffix) == 0;
}

/* Only what the name promises: no format is guessed from hostile content. */
static bool support(struct archive *in, const char *name, bool *is_raw)
{
    static const struct {
        const char *suffix;
        int (*format)(struct archive *), (*filter)(struct archive *);
    } kinds[] = {
        {".tar", archive_read_support_format_tar, NULL},
        {".tgz", archive_read_support_format_tar, archive_read_support_filter_gzip},
        {".tar.gz", archive_read_support_format_tar, archive_read_support_filter_gzip},
        {".tbz2", archive_read_support_format_tar, archive_read_support_filter_bzip2},
        {".tar.bz2", archive_read_support_format_tar, archive_read_support_filter_bzip2},
        {".txz", archive_read_support_format_tar, archive_read_support_filter_xz},
        {".tar.xz", archive_read_support_format_tar, archive_read_support_filter_xz},
        {".zip", archive_read_support_format_zip, NULL},
        {".gz", archive_read_support_format_raw, archive_read_support_filter_gzip},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!ends_with(name, kinds[i].suffix))
            continue;
        *is_raw = kinds[i].format == archive_read_support_format_raw;
        return kinds[i].format(in) >= ARCHIVE_WARN && (kinds[i].filter == NULL || kinds[i].filter(in) >= ARCHIVE_WARN);
    }
    return false;
}

static int copy_data(struct archive *in, struct archive *out, uint64_t *left)
{
    for (;;) {
        const void *data;
        size_t len;
        int64_t offset;
        int rc = archive_read_data_block(in, &data, &len, &offset);
        if (rc == ARCHIVE_EOF)
            return 0;
        if (rc < ARCHIVE_WARN) {
            fprintf(stderr, "%s\n", archive_error_string(in));
            return 1;
        }
        if (len > *left) {
            fputs("the content is larger than allowed\n", stderr);
            return 1;
        }
        *left -= len;
        if (archive_write_data_block(out, data, len, offset) < ARCHIVE_WARN) {
            fprintf(stderr, "%s\n", archive_error_string(out));
            return 1;
        }
    }
}

static int extract_entry(struct archive *in, struct archive *out, struct archive_entry *entry, uint64_t *left)
{
    unsigned type = archive_entry_filetype(entry);
    bool is_link = archive_entry_hardlink(entry) != NULL;
    if (!is_link && type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK)
        return 0; /* devices, pipes, sockets: nothing a task's files need */
    archive_entry_set_perm(entry, archive_entry_perm(entry) & 0777);
    if (archive_write_header(out, entry) < ARCHIVE_WARN) {
        fprintf(stderr, "%s: %s\n", archive_entry_pathname(entry), archive_error_string(out));
        return 1;
    }
    int rc = archive_entry_size(entry) > 0 || !archive_entry_size_is_set(entry) ? copy_data(in, out, left) : 0;
    if (rc == 0 && archive_write_finish_entry(out) < ARCHIVE_WARN) {
        fprintf(stderr, "%s: %s\n", archive_entry_pathname(entry), archive_error_string(out));
        return 1;
    }
    return rc;
}

static int extract_all(struct archive *in, struct archive *out, const char *name, bool is_raw)
{
    struct rlimit limit;
    uint64_t left = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur : UINT64_MAX;
    for (int count = 0;; count++) {
        struct archive_entry *entry;
        int rc = archive_read_next_header(in, &entry);
        if (rc == ARCHIVE_EOF)
            return 0;
        if (rc < ARCHIVE_WARN) {
            fprintf(stderr, "%s\n", archive_error_string(in));
            return 1;
        }
        if (count == ENTRIES_MAX) {
            fprintf(stderr, "more than %d entries\n", ENTRIES_MAX);
            return 1;
        }
        char plain[NAME_MAX + 1];
        if (is_raw) { /* one file without a name of its own */
            (void)snprintf(plain, sizeof(plain), "%.*s", (int)(strlen(name) - strlen(".gz")), name);
            archive_entry_set_pathname(entry, plain);
            archive_entry_set_filetype(entry, AE_IFREG);
            archive_entry_set_perm(entry, 0644);
        }
        if (extract_entry(in, out, entry, &left) != 0)
            return 1;
    }
}

static int extract(const char *name)
{
    bool is_raw = false;
    struct archive *in = archive_read_new(), *out = archive_write_disk_new();
    int rc = 1;
    if (in == NULL || out == NULL || strlen(name) > NAME_MAX || strchr(name, '/') != NULL || !support(in, name, &is_raw))
        fprintf(stderr, "%s: not an archive that can be unpacked\n", name);
    else if (archive_write_disk_set_options(out, ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_PERM |
                                                     ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT |
                                                     ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS) != ARCHIVE_OK ||
             archive_read_open_fd(in, STDIN_FILENO, 64 * 1024) != ARCHIVE_OK)
        fprintf(stderr, "%s: %s\n", name, archive_error_string(in) != NULL ? archive_error_string(in) : "cannot be opened");
    else
        rc = extract_all(in, out, name, is_raw);
    if (out != NULL && archive_write_free(out) < ARCHIVE_WARN) /* modes and times of folders are set here */
        rc = 1;
    if (in != NULL)
        (void)archive_read_free(in); /* only read */
    return rc;
}

int container_fetch_main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "download") == 0)
        return download(argv[2]);
    if (argc == 3 && strcmp(argv[1], "extract") == 0)
        return extract(argv[2]);
    fputs("usage: fetch download URL | fetch extract NAME (run by the supervisors of containers)\n", stderr);
    return 2;
}
