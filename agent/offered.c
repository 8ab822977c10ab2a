/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/offered.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire/codec.h"

static bool same_message(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    size_t a_len, b_len;
    uint8_t *a_bytes = wire_pack(a, &a_len), *b_bytes = wire_pack(b, &b_len);
    bool same = a_len == b_len && memcmp(a_bytes, b_bytes, a_len) == 0;
    free(a_bytes);
    free(b_bytes);
    return same;
}

static int compare_attributes(const Mesos__V1__AgentInfo *before, const Mesos__V1__AgentInfo *now, struct err *err)
{
    for (size_t i = 0; i < before->n_attributes; i++) {
        bool found = false;
        for (size_t j = 0; j < now->n_attributes && !found; j++)
            found = same_message(&before->attributes[i]->base, &now->attributes[j]->base);
        if (found)
            continue;
        struct buf text;
        buf_init(&text, 0);
        attribute_format(before->attributes[i], &text);
        int rc = err_set(err, -EINVAL, "its attribute %s was %.*s and is changed or gone", before->attributes[i]->name,
                         (int)buf_len(&text), (const char *)buf_data(&text));
        buf_deinit(&text);
        return rc;
    }
    return 0;
}

static int compare_resources(const Mesos__V1__AgentInfo *before, const Mesos__V1__AgentInfo *now, struct err *err)
{
    struct resources *was = resources_new(), *is = resources_new();
    int rc = resources_add_wire(was, before->resources, before->n_resources, err);
    if (rc == 0)
        rc = resources_add_wire(is, now->resources, now->n_resources, err);
    if (rc == 0 && !resources_contains(is, was)) {
        struct resources *missing = resources_copy(was);
        resources_subtract(missing, is);
        struct buf was_text, is_text, missing_text;
        buf_init(&was_text, 0);
        buf_init(&is_text, 0);
        buf_init(&missing_text, 0);
        resources_format(was, &was_text);
        resources_format(is, &is_text);
        resources_format(missing, &missing_text);
        rc = err_set(err, -EINVAL, "its resources were %.*s and are %.*s now, which lacks %.*s", (int)buf_len(&was_text),
                     (const char *)buf_data(&was_text), (int)buf_len(&is_text), (const char *)buf_data(&is_text),
                     (int)buf_len(&missing_text), (const char *)buf_data(&missing_text));
        buf_deinit(&was_text);
        buf_deinit(&is_text);
        buf_deinit(&missing_text);
        (void)resources_free(missing);
    }
    (void)resources_free(was);
    (void)resources_free(is);
    return rc;
}

int agent_offered_compatible(const Mesos__V1__AgentInfo *before, const Mesos__V1__AgentInfo *now, struct err *err)
{
    if (strcmp(before->hostname, now->hostname) != 0)
        return err_set(err, -EINVAL, "its hostname was %s and is %s now", before->hostname, now->hostname);
    if (before->port != now->port)
        return err_set(err, -EINVAL, "its port was %d and is %d now", before->port, now->port);
    if (before->domain != NULL && (now->domain == NULL || !same_message(&before->domain->base, &now->domain->base)))
        return err_set(err, -EINVAL, "its fault domain is changed or gone");
    int rc = compare_attributes(before, now, err);
    return rc != 0 ? rc : compare_resources(before, now, err);
}
