/* SPDX-License-Identifier: Apache-2.0 */
#include "common/auth/acl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "common/base/map.h"

#define ENTRIES_MAX 65536u /* of all lists together */
#define VALUES_MAX 1048576u

enum object_kind {
    OBJECT_NAME, /* equal to the letter */
    OBJECT_ROLE, /* likewise, and `a/%` is every role below a */
    OBJECT_PATH, /* of an endpoint that can be guarded */
    OBJECT_ANY,  /* only ANY and NONE can be said */
};

static const struct {
    const char *list, *object;
    enum auth_action action;
    enum object_kind kind;
} lists[] = {
    {"register_frameworks", "roles", AUTH_REGISTER_FRAMEWORK, OBJECT_ROLE},
    {"run_tasks", "users", AUTH_RUN_TASK, OBJECT_NAME},
    {"teardown_frameworks", "framework_principals", AUTH_TEARDOWN_FRAMEWORK, OBJECT_NAME},
    {"reserve_resources", "roles", AUTH_RESERVE_RESOURCES, OBJECT_ROLE},
    {"unreserve_resources", "reserver_principals", AUTH_UNRESERVE_RESOURCES, OBJECT_NAME},
    {"create_volumes", "roles", AUTH_CREATE_VOLUME, OBJECT_ROLE},
    {"destroy_volumes", "creator_principals", AUTH_DESTROY_VOLUME, OBJECT_NAME},
    {"resize_volumes", "roles", AUTH_RESIZE_VOLUME, OBJECT_ROLE},
    {"create_block_disks", "roles", AUTH_CREATE_BLOCK_DISK, OBJECT_ROLE},
    {"destroy_block_disks", "roles", AUTH_DESTROY_BLOCK_DISK, OBJECT_ROLE},
    {"create_mount_disks", "roles", AUTH_CREATE_MOUNT_DISK, OBJECT_ROLE},
    {"destroy_mount_disks", "roles", AUTH_DESTROY_MOUNT_DISK, OBJECT_ROLE},
    {"destroy_raw_disks", "roles", AUTH_DESTROY_RAW_DISK, OBJECT_ROLE},
    {"get_endpoints", "paths", AUTH_GET_ENDPOINT, OBJECT_PATH},
    {"view_roles", "roles", AUTH_VIEW_ROLE, OBJECT_ROLE},
    {"update_weights", "roles", AUTH_UPDATE_WEIGHT, OBJECT_ROLE},
    {"get_quotas", "roles", AUTH_GET_QUOTA, OBJECT_ROLE},
    {"update_quotas", "roles", AUTH_UPDATE_QUOTA, OBJECT_ROLE},
    {"view_frameworks", "users", AUTH_VIEW_FRAMEWORK, OBJECT_NAME},
    {"view_tasks", "users", AUTH_VIEW_TASK, OBJECT_NAME},
    {"view_executors", "users", AUTH_VIEW_EXECUTOR, OBJECT_NAME},
    {"access_sandboxes", "users", AUTH_ACCESS_SANDBOX, OBJECT_NAME},
    {"access_mesos_logs", "logs", AUTH_ACCESS_LOG, OBJECT_ANY},
    {"view_flags", "flags", AUTH_VIEW_FLAGS, OBJECT_ANY},
    {"launch_nested_containers_as_user", "users", AUTH_LAUNCH_NESTED_CONTAINER, OBJECT_NAME},
    {"launch_nested_containers_under_parent_with_user", "users", AUTH_LAUNCH_NESTED_CONTAINER_UNDER, OBJECT_NAME},
    {"kill_nested_containers", "users", AUTH_KILL_NESTED_CONTAINER, OBJECT_NAME},
    {"wait_nested_containers", "users", AUTH_WAIT_NESTED_CONTAINER, OBJECT_NAME},
    {"remove_nested_containers", "users", AUTH_REMOVE_NESTED_CONTAINER, OBJECT_NAME},
    {"launch_nested_container_sessions_as_user", "users", AUTH_LAUNCH_NESTED_CONTAINER_SESSION, OBJECT_NAME},
    {"launch_nested_container_sessions_under_parent_with_user", "users", AUTH_LAUNCH_NESTED_CONTAINER_SESSION_UNDER,
     OBJECT_NAME},
    {"attach_containers_input", "users", AUTH_ATTACH_CONTAINER_INPUT, OBJECT_NAME},
    {"attach_containers_output", "users", AUTH_ATTACH_CONTAINER_OUTPUT, OBJECT_NAME},
    {"view_containers", "users", AUTH_VIEW_CONTAINER, OBJECT_NAME},
    {"set_log_level", "level", AUTH_SET_LOG_LEVEL, OBJECT_ANY},
    {"register_agents", "agents", AUTH_REGISTER_AGENT, OBJECT_ANY},
    {"update_maintenance_schedules", "machines", AUTH_UPDATE_MAINTENANCE_SCHEDULE, OBJECT_ANY},
    {"get_maintenance_schedules", "machines", AUTH_GET_MAINTENANCE_SCHEDULE, OBJECT_ANY},
    {"start_maintenances", "machines", AUTH_START_MAINTENANCE, OBJECT_ANY},
    {"stop_maintenances", "machines", AUTH_STOP_MAINTENANCE, OBJECT_ANY},
    {"get_maintenance_statuses", "machines", AUTH_GET_MAINTENANCE_STATUS, OBJECT_ANY},
    {"mark_agents_gone", "agents", AUTH_MARK_AGENT_GONE, OBJECT_ANY},
    {"drain_agents", "agents", AUTH_DRAIN_AGENT, OBJECT_ANY},
    {"deactivate_agents", "agents", AUTH_DEACTIVATE_AGENT, OBJECT_ANY},
    {"reactivate_agents", "agents", AUTH_REACTIVATE_AGENT, OBJECT_ANY},
    {"launch_standalone_containers", "users", AUTH_LAUNCH_STANDALONE_CONTAINER, OBJECT_NAME},
    {"kill_standalone_containers", "users", AUTH_KILL_STANDALONE_CONTAINER, OBJECT_NAME},
    {"wait_standalone_containers", "users", AUTH_WAIT_STANDALONE_CONTAINER, OBJECT_NAME},
    {"remove_standalone_containers", "users", AUTH_REMOVE_STANDALONE_CONTAINER, OBJECT_NAME},
    {"view_standalone_containers", "users", AUTH_VIEW_STANDALONE_CONTAINER, OBJECT_NAME},
    {"modify_resource_provider_configs", "resource_providers", AUTH_MODIFY_RESOURCE_PROVIDER_CONFIG, OBJECT_ANY},
    {"mark_resource_providers_gone", "resource_providers", AUTH_MARK_RESOURCE_PROVIDER_GONE, OBJECT_ANY},
    {"view_resource_providers", "resource_providers", AUTH_VIEW_RESOURCE_PROVIDER, OBJECT_ANY},
    {"prune_images", "images", AUTH_PRUNE_IMAGES, OBJECT_ANY},
};
#define LIST_COUNT (sizeof(lists) / sizeof(lists[0]))
_Static_assert(LIST_COUNT == AUTH_ACTION_COUNT, "every action has its list");

static const char *const paths[] = {"/containers",     "/containerizer/debug", "/files/debug",
                                    "/logging/toggle", "/metrics/snapshot",    "/monitor/statistics"};

enum entity_type { ENTITY_SOME, ENTITY_ANY, ENTITY_NONE };

struct entity {
    enum entity_type type;
    struct map values; /* SOME */
    struct map below;  /* SOME of roles: a for the value `a/%` */
};

struct entry {
    struct entity principals, objects;
};

struct auth_acls {
    bool permissive;
    struct {
        struct entry *entries;
        size_t count;
    } lists[AUTH_ACTION_COUNT];
    size_t entry_count, value_count;
};

/* -- evaluation ------------------------------------------------------------------------------------------------- */

static bool is_among(const struct entity *e, const char *value)
{
    if (map_get(&e->values, value) != NULL)
        return true;
    if (map_count(&e->below) == 0)
        return false;
    for (const char *slash = strchr(value, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
        if (slash[1] != '\0' && map_get_n(&e->below, value, (size_t)(slash - value)) != NULL)
            return true;
    return false;
}

/* Does the entry speak of this? NONE speaks of everybody, to refuse. value NULL stands for everything at once. */
static bool matches(const struct entity *e, const char *value)
{
    return e->type != ENTITY_SOME || (value != NULL && is_among(e, value));
}

static bool decide(const struct auth_acls *acls, const char *principal, enum auth_action action, const char *object)
{
    for (size_t i = 0; i < acls->lists[action].count; i++) {
        const struct entry *e = &acls->lists[action].entries[i];
        if (matches(&e->principals, principal) && matches(&e->objects, object))
            return e->principals.type != ENTITY_NONE && e->objects.type != ENTITY_NONE;
    }
    return acls->permissive;
}

bool auth_allows(const struct auth_acls *acls, const char *principal, enum auth_action action, const char *object)
{
    return acls == NULL || decide(acls, principal, action, object);
}

/* Whatever the object: the first entry that speaks of the principal speaks of all objects. */
static bool allows_all(const struct auth_acls *acls, const char *principal, enum auth_action action)
{
    for (size_t i = 0; i < acls->lists[action].count; i++) {
        const struct entry *e = &acls->lists[action].entries[i];
        if (matches(&e->principals, principal))
            return e->principals.type != ENTITY_NONE && e->objects.type == ENTITY_ANY;
    }
    return acls->permissive;
}

struct auth_approver auth_approver(const struct auth_acls *acls, const char *principal, enum auth_action action)
{
    return (struct auth_approver){.acls = acls,
                                  .principal = principal,
                                  .action = action,
                                  .allows_all = acls == NULL || allows_all(acls, principal, action)};
}

bool auth_approves(const struct auth_approver *a, const char *object)
{
    return a->allows_all || decide(a->acls, a->principal, a->action, object);
}

bool auth_acl_guards(const char *path)
{
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (strcmp(paths[i], path) == 0)
            return true;
    return false;
}

/* -- reading ---------------------------------------------------------------------------------------------------- */

static char present; /* what the sets hold */

static void entity_init(struct entity *e)
{
    map_init(&e->values);
    map_init(&e->below);
}

static void entity_deinit(struct entity *e)
{
    map_deinit(&e->values);
    map_deinit(&e->below);
}

static int add_value(struct auth_acls *a, struct entity *e, enum object_kind kind, const json_t *v, struct err *err)
{
    if (!json_is_string(v))
        return err_set(err, -EINVAL, "a value is not a text");
    if (++a->value_count > VALUES_MAX)
        return err_set(err, -E2BIG, "more than %u values", VALUES_MAX);
    const char *text = json_string_value(v);
    size_t len = json_string_length(v);
    if (kind == OBJECT_PATH && !auth_acl_guards(text))
        return err_set(err, -EINVAL, "'%.100s' is not the path of an endpoint that can be guarded", text);
    if (kind == OBJECT_ROLE && len > 2 && strcmp(text + len - 2, "/%") == 0)
        (void)map_put_n(&e->below, text, len - 2, &present);
    else if (kind == OBJECT_ROLE && strchr(text, '%') != NULL)
        return err_set(err, -EINVAL, "'%.100s': %% stands only for all roles below one, as in a/%%", text);
    else
        (void)map_put_n(&e->values, text, len, &present);
    return 0;
}

static int read_type(const json_t *v, bool has_values, enum entity_type *out, struct err *err)
{
    const char *type = json_is_string(v) ? json_string_value(v) : "";
    if (strcmp(type, "SOME") == 0)
        *out = ENTITY_SOME;
    else if (strcmp(type, "ANY") == 0)
        *out = ENTITY_ANY;
    else if (strcmp(type, "NONE") == 0)
        *out = ENTITY_NONE;
    else
        return err_set(err, -EINVAL, "type is none of ANY, NONE and SOME");
    if (has_values != (*out == ENTITY_SOME))
        return err_set(err, -EINVAL, has_values ? "type %s has no values" : "type %s needs values", type);
    return 0;
}

static int read_entity(struct auth_acls *a, struct entity *e, enum object_kind kind, json_t *v, struct err *err)
{
    const char *key;
    json_t *item;
    if (!json_is_object(v))
        return err_set(err, -EINVAL, "not there, or not an object");
    json_object_foreach(v, key, item) if (strcmp(key, "type") != 0 && strcmp(key, "values") != 0) return err_set(
        err, -EINVAL, "'%.100s' is neither type nor values", key);
    const json_t *type = json_object_get(v, "type"), *values = json_object_get(v, "values");
    if (type == NULL && values == NULL)
        return err_set(err, -EINVAL, "neither type nor values");
    int r = type != NULL ? read_type(type, values != NULL, &e->type, err) : 0;
    if (r == 0 && e->type == ENTITY_SOME && kind == OBJECT_ANY)
        r = err_set(err, -EINVAL, "only the types ANY and NONE are possible");
    if (r == 0 && values != NULL && !json_is_array(values))
        r = err_set(err, -EINVAL, "values is not a list");
    for (size_t i = 0; r == 0 && i < json_array_size(values); i++)
        r = add_value(a, e, kind, json_array_get(values, i), err);
    return r;
}

static int read_entry(struct auth_acls *a, struct entry *e, const char *object, enum object_kind kind, json_t *v,
                      struct err *err)
{
    const char *key;
    json_t *item;
    if (!json_is_object(v))
        return err_set(err, -EINVAL, "not an object");
    json_object_foreach(v, key, item) if (strcmp(key, "principals") != 0 && strcmp(key, object) != 0) return err_set(
        err, -EINVAL, "'%.100s' is neither principals nor %s", key, object);
    int r = read_entity(a, &e->principals, OBJECT_NAME, json_object_get(v, "principals"), err);
    if (r < 0)
        return err_wrap(err, r, "principals");
    r = read_entity(a, &e->objects, kind, json_object_get(v, object), err);
    return r < 0 ? err_wrap(err, r, "%s", object) : 0;
}

static int read_list(struct auth_acls *a, size_t which, json_t *v, struct err *err)
{
    size_t count = json_array_size(v);
    if (!json_is_array(v))
        return err_set(err, -EINVAL, "%s is not a list", lists[which].list);
    if (count > ENTRIES_MAX - a->entry_count)
        return err_set(err, -E2BIG, "more than %u entries", ENTRIES_MAX);
    a->entry_count += count;
    enum auth_action action = lists[which].action;
    struct entry *entries = xcalloc(count + 1, sizeof(*entries));
    a->lists[action].entries = entries;
    for (size_t i = 0; i < count; i++) {
        entity_init(&entries[i].principals);
        entity_init(&entries[i].objects);
        a->lists[action].count++;
        int r = read_entry(a, &entries[i], lists[which].object, lists[which].kind, json_array_get(v, i), err);
        if (r < 0)
            return err_wrap(err, r, "%s[%zu]", lists[which].list, i);
    }
    return 0;
}

static int read_member(struct auth_acls *a, const char *key, json_t *v, struct err *err)
{
    if (strcmp(key, "permissive") == 0) {
        if (!json_is_boolean(v))
            return err_set(err, -EINVAL, "permissive is neither true nor false");
        a->permissive = json_is_true(v);
        return 0;
    }
    for (size_t i = 0; i < LIST_COUNT; i++)
        if (strcmp(lists[i].list, key) == 0)
            return read_list(a, i, v, err);
    return err_set(err, -EINVAL, "'%.100s' is not the name of an action", key);
}

/* Of two lists of one name a reader would keep one: that must not decide who may do what. */
static int refuse_doubles(const char *text, size_t len, struct err *err)
{
    json_error_t error;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        return err_set(err, -EINVAL, "line %d: %.200s", error.line, error.text);
    json_decref(root);
    return 0;
}

int auth_acls_parse(const char *text, size_t len, struct auth_acls **out, struct err *err)
{
    json_t *root = json_read(text, len, err); /* first: it bounds the depth */
    if (root == NULL)
        return -EINVAL;
    struct auth_acls *a = xcalloc(1, sizeof(*a));
    a->permissive = true; /* as Mesos when the file does not say */
    const char *key;
    json_t *v;
    int r = json_is_object(root) ? refuse_doubles(text, len, err) : err_set(err, -EINVAL, "not an object");
    if (r == 0)
        json_object_foreach(root, key, v) if ((r = read_member(a, key, v, err)) < 0) break;
    json_decref(root);
    if (r < 0) {
        auth_acls_free(a);
        return r;
    }
    *out = a;
    return 0;
}

struct auth_acls *auth_acls_free(struct auth_acls *a)
{
    if (a == NULL)
        return NULL;
    for (size_t i = 0; i < AUTH_ACTION_COUNT; i++) {
        for (size_t j = 0; j < a->lists[i].count; j++) {
            entity_deinit(&a->lists[i].entries[j].principals);
            entity_deinit(&a->lists[i].entries[j].objects);
        }
        free(a->lists[i].entries);
    }
    free(a);
    return NULL;
}
