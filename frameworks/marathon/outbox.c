/* SPDX-License-Identifier: Apache-2.0
 * outbox.c - the words in which this core says its effects; see frameworks/kit/outbox.h. */
#include <stdarg.h>

#include "frameworks/marathon/core.h"

static void unref_app(void *app)
{
    (void)app_unref(app);
}

void marathon_keep_app(struct marathon *m, struct app *app)
{
    outbox_keep(m->outbox, app_ref(app), unref_app);
}

void marathon_trace(struct marathon *m, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    outbox_text(m->outbox, KIT_EFFECT_TRACE, fmt, ap);
    va_end(ap);
}

void marathon_fatal(struct marathon *m, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    outbox_text(m->outbox, KIT_EFFECT_FATAL, fmt, ap);
    va_end(ap);
    m->is_failed = true;
}
