/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/shared/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/container/shared/file.h"
#include "common/base/cleanup.h"

static int write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

int container_record_write(int dirfd, const char *name, const ProtobufCMessage *record, bool durable, struct err *err)
{
    uint8_t packed[CONTAINER_RECORD_BYTES_MAX];
    size_t len = protobuf_c_message_get_packed_size(record);
    if (len > sizeof(packed))
        return err_set(err, -EMSGSIZE, "record %s: %zu bytes are too many", name, len);
    (void)protobuf_c_message_pack(record, packed);

    char temporary[64];
    (void)snprintf(temporary, sizeof(temporary), "%s.new", name); /* names are ours and short */
    cleanup_close int fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, -errno, "record %s: create", name);
    int rc = write_all(fd, packed, len);
    if (rc == 0 && durable && fsync(fd) < 0)
        rc = -errno;
    if (rc == 0 && renameat(dirfd, temporary, dirfd, name) < 0)
        rc = -errno;
    if (rc == 0 && durable && fsync(dirfd) < 0)
        rc = -errno;
    if (rc < 0) {
        (void)unlinkat(dirfd, temporary, 0); /* the first error is the one to tell */
        return err_sys(err, rc, "record %s: write", name);
    }
    return 0;
}

static ProtobufCMessage *read_record(int dirfd, const char *name, const ProtobufCMessageDescriptor *type)
{
    uint8_t packed[CONTAINER_RECORD_BYTES_MAX + 1];
    long len = container_file_read(dirfd, name, (char *)packed, sizeof(packed));
    if (len < 0)
        return NULL;
    return protobuf_c_message_unpack(type, NULL, (size_t)len, packed);
}

Muster__Container__State *container_record_read_state(int dirfd)
{
    return (Muster__Container__State *)read_record(dirfd, "state", &muster__container__state__descriptor);
}

Muster__Container__End *container_record_read_end(int dirfd)
{
    return (Muster__Container__End *)read_record(dirfd, "end", &muster__container__end__descriptor);
}
