/* SPDX-License-Identifier: Apache-2.0
 * launcher.c - the launcher port on Linux containers. */
#include "agent/container/container.h"

#include <errno.h>

#include "agent/container/image.h"
#include "common/base/cleanup.h"

int container_launcher_open(struct loop *loop, const struct container_config *config, struct launcher **out,
                            struct err *err)
{
    (void)loop;
    (void)config;
    (void)out;
    cleanup_close int image = container_image_open(err);
    if (image < 0)
        return image;
    return err_set(err, -ENOSYS, "containers are not supported by this build");
}
