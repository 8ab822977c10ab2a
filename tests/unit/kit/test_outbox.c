/* SPDX-License-Identifier: Apache-2.0
 * test_outbox.c - what may be said before the disk has it, and what must wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "frameworks/kit/outbox.h"
#include "frameworks/sdk/calls.h"

static void trace(struct outbox *o, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    outbox_text(o, KIT_EFFECT_TRACE, fmt, ap);
    va_end(ap);
}

static void publish(struct outbox *o, const char *type)
{
    struct buf b;
    buf_init(&b, 0);
    CHECK(buf_append_str(&b, "{}") == 0);
    outbox_publish(o, type, &b);
}

/* The step's effects as text: S<token>(keys), P<type>, T<text>, R<status>. */
static const char *said(struct outbox *o)
{
    static char text[1024];
    struct kit_effects out;
    struct buf b;
    buf_init(&b, 0);
    outbox_end(o, &out);
    for (size_t i = 0; i < out.count; i++) {
        const struct kit_effect *e = &out.items[i];
        CHECK(buf_append_str(&b, i > 0 ? " " : "") == 0);
        if (e->type == KIT_EFFECT_STORE) {
            CHECK(buf_printf(&b, "S%d(", (int)e->store.token) == 0);
            for (size_t k = 0; k < e->store.count; k++)
                CHECK(buf_printf(&b, "%s%s%s%.*s", k > 0 ? "," : "", e->store.writes[k].key,
                                 e->store.writes[k].value ? "=" : "!", (int)e->store.writes[k].value_len,
                                 e->store.writes[k].value ? (const char *)e->store.writes[k].value : "") == 0);
            CHECK(buf_append_str(&b, ")") == 0);
        } else if (e->type == KIT_EFFECT_PUBLISH) {
            CHECK(buf_printf(&b, "P%s", e->publish.event_type) == 0);
        } else if (e->type == KIT_EFFECT_TRACE) {
            CHECK(buf_printf(&b, "T%s", e->text) == 0);
        } else if (e->type == KIT_EFFECT_REPLY) {
            CHECK(buf_printf(&b, "R%d", e->reply.status) == 0);
        } else if (e->type == KIT_EFFECT_ACKNOWLEDGE) {
            CHECK(buf_printf(&b, "A%s", e->acknowledge.task_id) == 0);
        } else {
            CHECK(buf_append_str(&b, "?") == 0);
        }
    }
    char *steal = buf_steal_str(&b);
    (void)snprintf(text, sizeof(text), "%s", steal);
    free(steal);
    return text;
}

static void test_outbox__nothing_waits_without_a_write(void **state)
{
    (void)state;
    struct outbox *o = outbox_new("p/");
    outbox_begin(o);
    publish(o, "a");
    trace(o, "%d", 1);
    assert_string_equal(said(o), "Pa T1");
    outbox_begin(o);
    assert_string_equal(said(o), "");
    (void)outbox_free(o);
}

static void test_outbox__what_follows_a_write_waits_for_it(void **state)
{
    (void)state;
    struct outbox *o = outbox_new("p/");
    char value[] = "v";
    outbox_begin(o);
    publish(o, "a");
    outbox_write(o, "k", value, 1);
    outbox_write(o, "gone", NULL, 0);
    outbox_write_at(o, "q/k", "", 0);
    value[0] = 'x'; /* copied */
    trace(o, "now");
    assert_string_equal(said(o), "Tnow S1(p/k=v,p/gone!,q/k=)");
    outbox_begin(o); /* writes nothing itself, but must not overtake */
    publish(o, "b");
    trace(o, "at once");
    assert_string_equal(said(o), "Tat once");
    outbox_begin(o);
    outbox_write(o, "l", "w", 1);
    publish(o, "c");
    assert_string_equal(said(o), "S2(p/l=w)");
    outbox_begin(o);
    publish(o, "d");
    assert_string_equal(said(o), "");
    outbox_begin(o);
    outbox_stored(o, 1);
    publish(o, "e");
    assert_string_equal(said(o), "Pa Pb");
    outbox_begin(o);
    outbox_stored(o, 2);
    assert_string_equal(said(o), "Pc Pd Pe");
    (void)outbox_free(o);
}

static void test_outbox__a_later_token_confirms_earlier_writes(void **state)
{
    (void)state;
    struct outbox *o = outbox_new("p/");
    for (int i = 0; i < 3; i++) {
        outbox_begin(o);
        outbox_write(o, "k", "v", 1);
        publish(o, i == 0 ? "a" : i == 1 ? "b" : "c");
        (void)said(o);
    }
    outbox_begin(o);
    outbox_stored(o, 2);
    assert_string_equal(said(o), "Pa Pb");
    outbox_begin(o);
    outbox_stored(o, 2); /* again does no harm */
    assert_string_equal(said(o), "");
    (void)outbox_free(o); /* the third never went out */
}

static void reply(struct outbox *o, int status, bool is_change)
{
    struct buf b;
    buf_init(&b, 0);
    CHECK(buf_append_str(&b, "{}") == 0);
    outbox_reply(o, &(struct outbox_reply){.id = 7, .status = status, .body = &b, .is_change = is_change});
}

static void test_outbox__answers_to_changes_wait_others_do_not(void **state)
{
    (void)state;
    struct outbox *o = outbox_new("p/");
    outbox_begin(o);
    outbox_write(o, "k", "v", 1);
    reply(o, 201, true);
    reply(o, 200, false);
    assert_string_equal(said(o), "R200 S1(p/k=v)");
    outbox_begin(o);
    outbox_stored(o, 1);
    assert_string_equal(said(o), "R201");
    (void)outbox_free(o);
}

static void test_outbox__an_answer_is_terminated_and_has_its_headers(void **state)
{
    (void)state;
    struct outbox *o = outbox_new("p/");
    struct kit_effects out;
    struct buf b;
    char name[] = "Location", value[] = "/x";
    struct kit_header h = {name, value};
    outbox_begin(o);
    buf_init(&b, 0);
    CHECK(buf_append_str(&b, "body") == 0);
    outbox_reply(o, &(struct outbox_reply){.id = 9, .status = 200, .body = &b, .headers = &h, .header_count = 1});
    name[0] = value[0] = '?';
    outbox_end(o, &out);
    assert_int_equal(out.count, 1);
    assert_int_equal(out.items[0].reply.id, 9);
    assert_int_equal(out.items[0].reply.body_len, 4);
    assert_string_equal(out.items[0].reply.body, "body");
    assert_string_equal(out.items[0].reply.headers[0].name, "Location");
    assert_string_equal(out.items[0].reply.headers[0].value, "/x");
    (void)outbox_free(o);
}

static int unrefs;

static void unref(void *object)
{
    unrefs += *(int *)object;
}

static void test_outbox__keeps_what_is_borrowed_until_it_is_said(void **state)
{
    (void)state;
    struct outbox *o = outbox_new("p/");
    int one = 1, ten = 10;
    unrefs = 0;
    outbox_begin(o);
    outbox_keep(o, &one, unref);
    outbox_write(o, "k", "v", 1);
    (void)said(o);
    outbox_begin(o);
    outbox_keep(o, &ten, unref);
    (void)said(o);
    outbox_begin(o);
    outbox_stored(o, 1);
    (void)said(o);
    assert_int_equal(unrefs % 10, 0); /* its effects live until the next step */
    outbox_begin(o);
    assert_int_equal(unrefs, 11);
    outbox_keep(o, &one, unref);
    outbox_write(o, "k", "v", 1);
    (void)said(o);
    (void)outbox_free(o);
    assert_int_equal(unrefs, 12);
}

static void acknowledge(struct outbox *o, const char *task_id, size_t uuid_len)
{
    Mesos__V1__TaskStatus status = MESOS__V1__TASK_STATUS__INIT;
    Mesos__V1__TaskID id = MESOS__V1__TASK_ID__INIT;
    Mesos__V1__AgentID agent = MESOS__V1__AGENT_ID__INIT;
    uint8_t uuid[16] = {1};
    id.value = (char *)task_id;
    agent.value = (char *)"S1";
    status.task_id = &id;
    status.agent_id = &agent;
    status.has_uuid = uuid_len > 0;
    status.uuid = (ProtobufCBinaryData){uuid_len, uuid};
    outbox_acknowledge(o, &status);
}

static void test_outbox__acknowledges_what_is_durable_and_asks_for_it(void **state)
{
    (void)state;
    struct outbox *o = outbox_new("p/");
    outbox_begin(o);
    acknowledge(o, "t1", 16);
    acknowledge(o, "none", 0); /* told by the master itself */
    outbox_write(o, "k", "v", 1);
    assert_string_equal(said(o), "S1(p/k=v)");
    outbox_begin(o);
    acknowledge(o, "t2", 16);
    outbox_stored(o, 1);
    assert_string_equal(said(o), "At1 At2");
    (void)outbox_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outbox__nothing_waits_without_a_write),
        cmocka_unit_test(test_outbox__what_follows_a_write_waits_for_it),
        cmocka_unit_test(test_outbox__a_later_token_confirms_earlier_writes),
        cmocka_unit_test(test_outbox__answers_to_changes_wait_others_do_not),
        cmocka_unit_test(test_outbox__an_answer_is_terminated_and_has_its_headers),
        cmocka_unit_test(test_outbox__keeps_what_is_borrowed_until_it_is_said),
        cmocka_unit_test(test_outbox__acknowledges_what_is_durable_and_asks_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
