/* SPDX-License-Identifier: Apache-2.0 */
#include "common/auth/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/cleanup.h"

static int read_whole(int fd, char *to, size_t size, size_t *len)
{
    while (*len < size) {
        ssize_t n = read(fd, to + *len, size - *len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return 0;
        if (n > 0)
            *len += (size_t)n;
    }
    return 0;
}

int auth_file_read(const char *value, struct auth_file *out, struct err *err)
{
    const char *path = strncmp(value, "file://", 7) == 0 ? value + 7 : value;
    if (path[0] != '/')
        return err_set(err, -EINVAL, "not the absolute path of a file, like /etc/muster/credentials");
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO must not hang us */
    if (fd < 0)
        return err_sys(err, -errno, "%.200s", path);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_sys(err, -errno, "%.200s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, -EINVAL, "%.200s is not a regular file", path);
    if (st.st_size > (off_t)AUTH_FILE_BYTES_MAX)
        return err_set(err, -EFBIG, "%.200s has more than %zu bytes", path, AUTH_FILE_BYTES_MAX);
    struct auth_file f = {.text = xmalloc((size_t)st.st_size + 1), .is_exposed = (st.st_mode & S_IRWXO) != 0};
    int r = read_whole(fd, f.text, (size_t)st.st_size, &f.len);
    f.text[f.len] = '\0';
    if (r < 0) {
        auth_file_deinit(&f);
        return err_sys(err, r, "%.200s", path);
    }
    *out = f;
    return 0;
}

void auth_file_deinit(struct auth_file *f)
{
    if (f->text != NULL)
        explicit_bzero(f->text, f->len);
    free(f->text);
    *f = (struct auth_file){0};
}
