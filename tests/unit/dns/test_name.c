/* SPDX-License-Identifier: Apache-2.0
 * test_name.c - labels, hashes, wire forms (rows: facts net-cron A.1, A.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dns/name.h"

#define X20 "xxxxxxxxxxxxxxxxxxxx"
#define X60 X20 X20 X20
#define A20 "aaaaaaaaaaaaaaaaaaaa"
#define A60 A20 A20 A20
#define DASHES10 "----------"
#define DASHES56 DASHES10 DASHES10 DASHES10 DASHES10 DASHES10 "------"

static void test_label__both_styles(void **state)
{
    static const struct {
        const char *in, *rfc952, *rfc1123;
    } rows[] = {
        {"fd%gsf---gs7-f$gs--d7fddg-123", "fdgsf---gs7-fgs--d7fddg1", "fdgsf---gs7-fgs--d7fddg-123"},
        {"4abc123", "abc123", "4abc123"},
        {"-4abc123", "abc123", "4abc123"},
        {"89fdgsf---gs7-fgs--d7fddg-", "fdgsf---gs7-fgs--d7fddg", "89fdgsf---gs7-fgs--d7fddg"},
        {"##fdgsf---gs7-fgs--d7fddg123456789012345678901234567890123456789-123", "fdgsf---gs7-fgs--d7fddg1",
         "fdgsf---gs7-fgs--d7fddg1234567890123456789012345678901234567891"},
        {"chronos with a space AND MIXED CASE-2.0.1", "chronoswithaspaceandmixe", "chronoswithaspaceandmixedcase-2-0-1"},
        {"a.b.c.d.e", "a-b-c-d-e", "a-b-c-d-e"},
        {"a.c.d_de.", "a-c-d-de", "a-c-d-de"},
        {"---a---b", "a---b", "a---b"},
        {"-", "", ""},
        {"hello" DASHES56 "f", "hellof", "hello" DASHES56 "f"},
        {"hello" DASHES56 "--f", "hellof", "hellof"},
        {"aaaaaaaaaaaaaaaaaaaa----bcd----e", "aaaaaaaaaaaaaaaaaaaabcd-", "aaaaaaaaaaaaaaaaaaaa----bcd----e"},
        {A60 "a--b--", "aaaaaaaaaaaaaaaaaaaaaaaa", A60 "ab-"},
        {X60 "xx--y", "xxxxxxxxxxxxxxxxxxxxxxxx", X60 "xxy"},
        {"caf\xc3\xa9_x", "caf-x", "caf-x"},
        {"/foo/bar", "foobar", "foobar"},
        {"group_a/app-1", "group-aapp-1", "group-aapp-1"},
        {"123", "", "123"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[DNS_LABEL_MAX + 1];
        assert_int_equal(dns_label(DNS_LABEL_RFC952, rows[i].in, out), strlen(rows[i].rfc952));
        assert_string_equal(out, rows[i].rfc952);
        assert_int_equal(dns_label(DNS_LABEL_RFC1123, rows[i].in, out), strlen(rows[i].rfc1123));
        assert_string_equal(out, rows[i].rfc1123);
    }
}

static void test_domain_fragment__both_styles(void **state)
{
    static const struct {
        const char *in, *rfc952, *rfc1123;
    } rows[] = {
        {"pod_123$abc.marathon-0.6.0-dev.mesos", "pod-123abc.marathon-0.dev.mesos", "pod-123abc.marathon-0.6.0-dev.mesos"},
        {"a..c", "a.c", "a.c"},
        {"...", "", ""},
        {"(@ host . com", "host.com", "host.com"},
        {"MiXeDcase.CoM", "mixedcase.com", "mixedcase.com"},
        {"marathon-0.7.5", "marathon-0", "marathon-0.7.5"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[DNS_NAME_MAX + 1];
        assert_int_equal(dns_domain_fragment(DNS_LABEL_RFC952, rows[i].in, out), strlen(rows[i].rfc952));
        assert_string_equal(out, rows[i].rfc952);
        (void)dns_domain_fragment(DNS_LABEL_RFC1123, rows[i].in, out);
        assert_string_equal(out, rows[i].rfc1123);
    }
}

static void test_task_hash__known_ids(void **state)
{
    static const char *const rows[][2] = {
        {"test", "iffe9"},
        {"liquor-store.b8db9f73-562f-11e4-a088-c20493233aa5", "4dfjd"},
        {"liquor-store.b71166c1-562f-11e4-a088-c20493233aa5", "zasmd"},
        {"car-store.43758382-562f-11e4-a088-c20493233aa5", "zinaz"},
        {"", "5eh48"},
        {"a", "o556e"},
        {"web.0", "q9rt1"},
        {"nginx.instance-1.app", "njoc7"},
        {"nginx.1bc32344-3dda-11e4-a088-c20493233aa5", "6ud99"},
        {"toy-store.b8db9f73-562f-11e4-a088-c20493233aa5", "go588"},
        {"some-box.b8db9f73-562f-11e4-a088-c20493233aa5", "h3dyr"},
        {"ct:1489724100051:0:foo.bar.job:", "dgc1e"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[DNS_TASK_HASH_SIZE];
        dns_task_hash(rows[i][0], out);
        assert_string_equal(out, rows[i][1]);
    }
}

static void test_agent_tail__after_the_last_dash(void **state)
{
    char out[DNS_LABEL_MAX + 1];
    (void)state;
    dns_agent_tail("20160107-001256-134875658-5050-27524-S3", out);
    assert_string_equal(out, "s3");
    dns_agent_tail("NODASH", out);
    assert_string_equal(out, "nodash");
}

static void test_name__text_to_wire_and_back(void **state)
{
    uint8_t wire[DNS_NAME_MAX];
    char text[DNS_TEXT_SIZE];
    (void)state;
    assert_int_equal(dns_name_from_text("Web.Marathon.mesos", wire), 20);
    assert_memory_equal(wire, "\3web\10marathon\5mesos", 20);
    dns_name_to_text(wire, text);
    assert_string_equal(text, "web.marathon.mesos.");
    assert_int_equal(dns_name_from_text("mesos.", wire), 7);
    assert_int_equal(dns_name_from_text(".", wire), 1);
    assert_int_equal(dns_name_from_text("a..b", wire), 0);
    assert_int_equal(dns_name_from_text(".a", wire), 0);
    assert_int_equal(dns_name_from_text(X60 "xxx", wire), 65);
    assert_int_equal(dns_name_from_text(X60 "xxxx", wire), 0);
    assert_int_equal(dns_name_from_text(X60 "xxx." X60 "xxx." X60 "xxx." X60 "x", wire), 255);
    assert_int_equal(dns_name_from_text(X60 "xxx." X60 "xxx." X60 "xxx." X60 "xx", wire), 0);
    dns_name_to_text((const uint8_t *)"\4a.\\\1\0", text);
    assert_string_equal(text, "a\\.\\\\\\001.");
}

static void test_name__suffixes_end_at_labels(void **state)
{
    (void)state;
    assert_true(dns_name_is_under((const uint8_t *)"\3web\5mesos", 11, (const uint8_t *)"\5mesos", 7));
    assert_true(dns_name_is_under((const uint8_t *)"\5mesos", 7, (const uint8_t *)"\5mesos", 7));
    assert_false(dns_name_is_under((const uint8_t *)"\5mesos", 7, (const uint8_t *)"\3web\5mesos", 11));
    /* the bytes of "\5mesos" inside a label */
    assert_false(dns_name_is_under((const uint8_t *)"\7a\5mesos", 9, (const uint8_t *)"\5mesos", 7));
}

static void test_name__reverse(void **state)
{
    uint8_t wire[DNS_NAME_MAX];
    char text[DNS_TEXT_SIZE];
    (void)state;
    assert_int_equal(dns_name_reverse((const uint8_t *)"\x0a\x00\x01\xff", 4, wire), 25);
    dns_name_to_text(wire, text);
    assert_string_equal(text, "255.1.0.10.in-addr.arpa.");
    static const uint8_t six[16] = {0xfd, 0x01, [15] = 0x2b};
    assert_int_equal(dns_name_reverse(six, 16, wire), 74);
    dns_name_to_text(wire, text);
    assert_string_equal(text, "b.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.d.f.ip6.arpa.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_label__both_styles),
        cmocka_unit_test(test_domain_fragment__both_styles),
        cmocka_unit_test(test_task_hash__known_ids),
        cmocka_unit_test(test_agent_tail__after_the_last_dash),
        cmocka_unit_test(test_name__text_to_wire_and_back),
        cmocka_unit_test(test_name__suffixes_end_at_labels),
        cmocka_unit_test(test_name__reverse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
