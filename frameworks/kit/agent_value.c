/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/kit/agent_value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/check.h"
#include "common/base/text.h"
#include "common/resource/resource.h"

static const char *attribute_value(const Mesos__V1__Offer *offer, const char *field, struct arena *arena)
{
    for (size_t i = 0; i < offer->n_attributes; i++) {
        if (strcmp(offer->attributes[i]->name, field) != 0)
            continue;
        struct buf b;
        buf_init(&b, 0);
        attribute_format(offer->attributes[i], &b);
        char *text = buf_steal_str(&b);
        const char *copy = arena_strdup(arena, text);
        free(text);
        buf_deinit(&b);
        return copy;
    }
    return NULL;
}

const char *agent_value(const Mesos__V1__Offer *offer, const char *field, struct arena *arena)
{
    const Mesos__V1__DomainInfo__FaultDomain *domain = offer->domain ? offer->domain->fault_domain : NULL;
    if (strcmp(field, "hostname") == 0 || strcmp(field, "@hostname") == 0)
        return offer->hostname;
    if (strcmp(field, "@region") == 0)
        return domain ? domain->region->name : NULL;
    if (strcmp(field, "@zone") == 0)
        return domain ? domain->zone->name : NULL;
    return attribute_value(offer, field, arena);
}

/* Numbers are compared as scalar attributes are written: at most three decimals, halves to even. */
char *agent_value_canonical(const char *value)
{
    double d;
    if (text_to_double(value, &d) != 0 || fabs(d) > 1e15)
        return xstrdup(value);
    char text[64];
    (void)snprintf(text, sizeof(text), "%.3f", rint(d * 1000) / 1000); /* fits: 16 digits and 3 decimals */
    size_t n = strlen(text);
    while (n > 0 && text[n - 1] == '0')
        n--;
    if (n > 0 && text[n - 1] == '.')
        n--;
    return xstrndup(text, n);
}
