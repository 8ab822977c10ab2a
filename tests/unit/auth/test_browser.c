/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/auth/browser.h"

struct row {
    const char *method, *host, *origin, *site, *forwarded;
    bool passes;
};

static void check(const char *ip, const char *hostname, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *const values[] = {rows[i].host, rows[i].origin, rows[i].site, rows[i].forwarded};
        static const char *const names[] = {"Host", "origin", "Sec-Fetch-Site", "X-Forwarded-Host"};
        struct http_header headers[4];
        struct http_message m = {.method = rows[i].method, .headers = headers};
        for (size_t j = 0; j < 4; j++)
            if (values[j] != NULL)
                headers[m.header_count++] = (struct http_header){names[j], values[j]};
        if ((auth_browser_refusal(ip, hostname, &m) == NULL) != rows[i].passes)
            fail_msg("row %zu: %s %s", i, rows[i].method, rows[i].host);
    }
}
#define CHECK_ROWS(ip, hostname, rows) check(ip, hostname, rows, sizeof(rows) / sizeof((rows)[0]))

static void test_browser__names_on_loopback(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"GET", "127.0.0.1:5050", NULL, NULL, NULL, true},
        {"GET", "[::1]:5050", NULL, NULL, NULL, true},
        {"POST", "localhost:5050", NULL, NULL, NULL, true},
        {"GET", "LOCALHOST", NULL, NULL, NULL, true},
        {"GET", "node1:5050", NULL, NULL, NULL, true},
        {"GET", "leader.mesos:5050", NULL, NULL, NULL, true},
        {"GET", "a.localhost.", NULL, NULL, NULL, true},
        {"GET", NULL, NULL, NULL, NULL, true}, /* HTTP/1.0 */
        {"GET", "mine.example.org:5050", NULL, NULL, NULL, true},
        {"GET", "Mine.Example.ORG", NULL, NULL, NULL, true},
        {"GET", "evil.com:5050", NULL, NULL, NULL, false},
        {"GET", "evil.com.:5050", NULL, NULL, NULL, false},
        {"POST", "evil.com:5050", "http://evil.com:5050", NULL, NULL, false},
        {"GET", "127.0.0.1.evil.com", NULL, NULL, NULL, false},
        {"GET", "localhost.evil.com:5050", NULL, NULL, NULL, false},
        {"GET", "notmine.example.org", NULL, NULL, NULL, false},
    };
    CHECK_ROWS("127.0.0.1", "mine.example.org", rows);
    static const struct row elsewhere[] = {{"GET", "evil.com:5050", NULL, NULL, NULL, true}};
    CHECK_ROWS("192.0.2.1", NULL, elsewhere);
}

static void test_browser__writing_from_other_sites(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"POST", "10.0.0.1:5050", NULL, NULL, NULL, true}, /* no browser */
        {"POST", "10.0.0.1:5050", "http://10.0.0.1:5050", "same-origin", NULL, true},
        {"POST", "M:80", "http://m:80", NULL, NULL, true},
        {"POST", "10.0.0.1:5050", NULL, "none", NULL, true},
        {"POST", "10.0.0.1:5050", "https://ui.example.org", NULL, "ui.example.org", true}, /* behind a proxy */
        {"GET", "10.0.0.1:5050", "http://evil.com", "cross-site", NULL, true},             /* cannot read the answer */
        {"POST", "10.0.0.1:5050", "http://evil.com", NULL, NULL, false},
        {"POST", "10.0.0.1:5050", "http://10.0.0.1:8080", NULL, NULL, false}, /* what a task serves */
        {"POST", "10.0.0.1:5050", "http://10.0.0.1", NULL, NULL, false},
        {"POST", "10.0.0.1:5050", "null", NULL, NULL, false},
        {"POST", "10.0.0.1:5050", "", NULL, NULL, false},
        {"POST", NULL, "http://10.0.0.1", NULL, NULL, false},
        {"PUT", "10.0.0.1:5050", "http://10.0.0.1:5050.evil.com", NULL, NULL, false},
        {"DELETE", "10.0.0.1:5050", NULL, "cross-site", NULL, false},
        {"PATCH", "10.0.0.1:5050", NULL, "same-site", NULL, false},
        {"XYZ", "10.0.0.1:5050", "http://evil.com", NULL, NULL, false},
    };
    CHECK_ROWS("10.0.0.1", NULL, rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_browser__names_on_loopback),
        cmocka_unit_test(test_browser__writing_from_other_sites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
