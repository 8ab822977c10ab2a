/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/helper/helper.h"

int container_supervise_main(void)
{
    return 1;
}
int container_sweep_main(void)
{
    return 1;
}
int container_probe_main(void)
{
    return 1;
}
