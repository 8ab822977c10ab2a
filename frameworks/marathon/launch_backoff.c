/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/marathon/launch_backoff.h"

void launch_backoff_add(struct launch_backoff *b, int64_t first_ms, double factor, int64_t max_ms, int64_t now_ms)
{
    if (b->delay_ms > 0 && now_ms > b->reference_ms + max_ms)
        launch_backoff_reset(b);
    double next = b->delay_ms > 0 ? (double)b->delay_ms * factor : (double)first_ms;
    b->delay_ms = next < (double)max_ms ? (int64_t)next : max_ms;
    b->reference_ms = now_ms;
}

void launch_backoff_advance(struct launch_backoff *b, int64_t now_ms)
{
    if (b->delay_ms > 0)
        b->reference_ms = now_ms;
}

void launch_backoff_reset(struct launch_backoff *b)
{
    *b = (struct launch_backoff){0};
}

int64_t launch_backoff_until(struct launch_backoff *b, int64_t max_ms, int64_t now_ms)
{
    if (b->delay_ms > 0 && now_ms > b->reference_ms + max_ms && now_ms > b->reference_ms + b->delay_ms)
        launch_backoff_reset(b);
    int64_t until = b->reference_ms + b->delay_ms;
    return b->delay_ms > 0 && until > now_ms ? until : 0;
}
