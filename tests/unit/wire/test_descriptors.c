/* SPDX-License-Identifier: Apache-2.0
 * test_descriptors.c - the compiled messages against proto/mesos-v1.tsv, the table of the v1 API, row by row and back. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/map.h"
#include "unit/wire/descriptor_list.h"

#define COLUMNS 8
enum { PACKAGE, MESSAGE, FIELD, NUMBER, LABEL, TYPE, DEFAULT, NOTE };

struct fixture {
    struct map messages; /* qualified name -> descriptor */
    struct map enums;
    struct map covered; /* "<name>" of a type, "<name> <field>" of a field: seen in the table */
    int failures;
};

static int marker; /* a value for sets */

#define WRONG(f, ...) (print_error(__VA_ARGS__), print_error("\n"), (f)->failures++)

static const char *scalar_name(ProtobufCType type)
{
    static const char *const names[] = {
        [PROTOBUF_C_TYPE_INT32] = "int32",       [PROTOBUF_C_TYPE_SINT32] = "sint32",
        [PROTOBUF_C_TYPE_SFIXED32] = "sfixed32", [PROTOBUF_C_TYPE_INT64] = "int64",
        [PROTOBUF_C_TYPE_SINT64] = "sint64",     [PROTOBUF_C_TYPE_SFIXED64] = "sfixed64",
        [PROTOBUF_C_TYPE_UINT32] = "uint32",     [PROTOBUF_C_TYPE_FIXED32] = "fixed32",
        [PROTOBUF_C_TYPE_UINT64] = "uint64",     [PROTOBUF_C_TYPE_FIXED64] = "fixed64",
        [PROTOBUF_C_TYPE_FLOAT] = "float",       [PROTOBUF_C_TYPE_DOUBLE] = "double",
        [PROTOBUF_C_TYPE_BOOL] = "bool",         [PROTOBUF_C_TYPE_STRING] = "string",
        [PROTOBUF_C_TYPE_BYTES] = "bytes",
    };
    return names[type];
}

static const char *type_name(const ProtobufCFieldDescriptor *field)
{
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return ((const ProtobufCMessageDescriptor *)field->descriptor)->name;
    if (field->type == PROTOBUF_C_TYPE_ENUM)
        return ((const ProtobufCEnumDescriptor *)field->descriptor)->name;
    return scalar_name(field->type);
}

static void default_text(const ProtobufCFieldDescriptor *field, char *out, size_t size)
{
    const void *v = field->default_value;
    out[0] = '\0';
    if (v == NULL)
        return;
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
        (void)snprintf(out, size, "%" PRId32, *(const int32_t *)v);
        break;
    case PROTOBUF_C_TYPE_UINT32:
        (void)snprintf(out, size, "%" PRIu32, *(const uint32_t *)v);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        (void)snprintf(out, size, "%g", *(const double *)v);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        (void)snprintf(out, size, "%s", *(const protobuf_c_boolean *)v ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_ENUM:
        (void)snprintf(out, size, "%s", protobuf_c_enum_descriptor_get_value(field->descriptor, *(const int *)v)->name);
        break;
    case PROTOBUF_C_TYPE_STRING:
        (void)snprintf(out, size, "%s", (const char *)v);
        break;
    default:
        (void)snprintf(out, size, "?");
        break;
    }
}

static void cover(struct fixture *f, const char *type, const char *field)
{
    char key[512];
    (void)map_put(&f->covered, type, &marker);
    (void)snprintf(key, sizeof(key), "%s %s", type, field);
    if (map_put(&f->covered, key, &marker) != NULL)
        WRONG(f, "%s: twice in the table", key);
}

static void check_enum_value(struct fixture *f, const char *name, char *const row[COLUMNS])
{
    const ProtobufCEnumDescriptor *type = map_get(&f->enums, name);
    const ProtobufCEnumValue *value = type ? protobuf_c_enum_descriptor_get_value_by_name(type, row[FIELD]) : NULL;
    if (value == NULL || value->value != atoi(row[NUMBER]))
        WRONG(f, "%s.%s = %s: not compiled so", name, row[FIELD], row[NUMBER]);
    cover(f, name, row[FIELD]);
}

/* `map<string,X>` is our repeated entry message with key and value. */
static bool is_map_of(const ProtobufCFieldDescriptor *field, const char *map_type)
{
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return false;
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    char expected[256];
    if (entry->n_fields != 2 || strcmp(entry->fields[0].name, "key") != 0 || strcmp(entry->fields[1].name, "value") != 0)
        return false;
    (void)snprintf(expected, sizeof(expected), "map<%s,%s>", type_name(&entry->fields[0]), type_name(&entry->fields[1]));
    return strcmp(expected, map_type) == 0;
}

static void check_field(struct fixture *f, const char *name, char *const row[COLUMNS])
{
    static const char *const labels[] = {[PROTOBUF_C_LABEL_REQUIRED] = "required",
                                         [PROTOBUF_C_LABEL_OPTIONAL] = "optional",
                                         [PROTOBUF_C_LABEL_REPEATED] = "repeated"};
    const ProtobufCMessageDescriptor *type = map_get(&f->messages, name);
    const ProtobufCFieldDescriptor *field = type ? protobuf_c_message_descriptor_get_field_by_name(type, row[FIELD]) : NULL;
    cover(f, name, row[FIELD]);
    if (field == NULL) {
        WRONG(f, "%s.%s: not compiled", name, row[FIELD]);
        return;
    }
    char value[128];
    default_text(field, value, sizeof(value));
    bool is_map = strncmp(row[TYPE], "map<", 4) == 0;
    bool type_ok = is_map ? is_map_of(field, row[TYPE]) : strcmp(row[TYPE], type_name(field)) == 0;
    bool deprecated = (field->flags & PROTOBUF_C_FIELD_FLAG_DEPRECATED) != 0;
    if (field->id != strtoul(row[NUMBER], NULL, 10) || strcmp(row[LABEL], labels[field->label]) != 0 || !type_ok ||
        strcmp(row[DEFAULT], value) != 0 || deprecated != (strstr(row[NOTE], "deprecated") != NULL))
        WRONG(f, "%s.%s: table %s %s %s [%s] %s, compiled %u %s %s [%s]%s", name, row[FIELD], row[NUMBER], row[LABEL],
              row[TYPE], row[DEFAULT], row[NOTE], field->id, labels[field->label], type_name(field), value,
              deprecated ? " deprecated" : "");
    if (is_map && type_ok)
        (void)map_put(&f->covered, ((const ProtobufCMessageDescriptor *)field->descriptor)->name, &marker);
}

static void check_row(struct fixture *f, char *const row[COLUMNS])
{
    char name[256];
    (void)snprintf(name, sizeof(name), "%s.%s", row[PACKAGE], row[MESSAGE]);
    if (strcmp(row[LABEL], "value") == 0) {
        check_enum_value(f, name, row);
    } else if (strcmp(row[TYPE], "empty") == 0) {
        if (map_get(&f->messages, name) == NULL)
            WRONG(f, "%s: not compiled", name);
        (void)map_put(&f->covered, name, &marker);
    } else {
        check_field(f, name, row);
    }
}

static void split(char *line, char *row[COLUMNS])
{
    static char nothing[] = "";
    line[strcspn(line, "\r\n")] = '\0';
    for (int i = 0; i < COLUMNS; i++)
        row[i] = line != NULL ? strsep(&line, "\t") : nothing;
}

/* Ours alone: the well-known Duration is a table row's type, muster.* is no part of the API, entries stand for maps. */
static bool is_outside_the_table(const char *name)
{
    return strncmp(name, "mesos.v1.", 9) != 0;
}

static void check_nothing_else_is_compiled(struct fixture *f)
{
    char key[512];
    for (size_t i = 0; descriptor_list_messages[i] != NULL; i++) {
        const ProtobufCMessageDescriptor *type = descriptor_list_messages[i];
        if (is_outside_the_table(type->name))
            continue;
        if (map_get(&f->covered, type->name) == NULL) /* a message of only nested types has no row */
            if (type->n_fields > 0)
                WRONG(f, "%s: not in the table", type->name);
        size_t len = strlen(type->short_name);
        bool is_entry =
            len > 5 && strcmp(type->short_name + len - 5, "Entry") == 0 && map_get(&f->covered, type->name) != NULL;
        for (unsigned j = 0; j < type->n_fields && !is_entry; j++) {
            (void)snprintf(key, sizeof(key), "%s %s", type->name, type->fields[j].name);
            if (map_get(&f->covered, key) == NULL)
                WRONG(f, "%s: not in the table", key);
        }
    }
    for (size_t i = 0; descriptor_list_enums[i] != NULL; i++) {
        const ProtobufCEnumDescriptor *type = descriptor_list_enums[i];
        for (unsigned j = 0; j < type->n_value_names && !is_outside_the_table(type->name); j++) {
            (void)snprintf(key, sizeof(key), "%s %s", type->name, type->values_by_name[j].name);
            if (map_get(&f->covered, key) == NULL)
                WRONG(f, "%s: not in the table", key);
        }
    }
}

static void test_descriptors__equal_the_table(void **state)
{
    (void)state;
    struct fixture f = {0};
    map_init(&f.messages);
    map_init(&f.enums);
    map_init(&f.covered);
    for (size_t i = 0; descriptor_list_messages[i] != NULL; i++)
        (void)map_put(&f.messages, descriptor_list_messages[i]->name, (void *)(uintptr_t)descriptor_list_messages[i]);
    for (size_t i = 0; descriptor_list_enums[i] != NULL; i++)
        (void)map_put(&f.enums, descriptor_list_enums[i]->name, (void *)(uintptr_t)descriptor_list_enums[i]);
    FILE *table = fopen(TEST_SOURCE_DIR "/proto/mesos-v1.tsv", "re");
    assert_non_null(table);
    char line[1024];
    size_t rows = 0;
    assert_non_null(fgets(line, sizeof(line), table));
    assert_true(strncmp(line, "package\tmessage\tfield\tnumber\tlabel\ttype\tdefault\tnote", 50) == 0);
    while (fgets(line, sizeof(line), table) != NULL) {
        char *row[COLUMNS];
        split(line, row);
        check_row(&f, row);
        rows++;
    }
    (void)fclose(table); /* read only */
    assert_true(rows > 1000);
    check_nothing_else_is_compiled(&f);
    map_deinit(&f.messages);
    map_deinit(&f.enums);
    map_deinit(&f.covered);
    assert_int_equal(f.failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_descriptors__equal_the_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
