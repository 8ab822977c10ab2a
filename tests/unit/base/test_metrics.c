/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/metrics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *as_json(struct metrics *m)
{
    struct buf out;
    struct json_writer w;
    buf_init(&out, 0);
    json_writer_init(&w, &out);
    metrics_write_json(m, &w);
    char *text = buf_steal_str(&out);
    buf_deinit(&out);
    return text;
}

static char *as_prometheus(struct metrics *m)
{
    struct buf out;
    buf_init(&out, 0);
    metrics_write_prometheus(m, &out);
    char *text = buf_steal_str(&out);
    buf_deinit(&out);
    return text;
}

static double answer(void *ctx)
{
    return *(double *)ctx;
}

static void test_metrics__both_forms(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metric *sent = metrics_add(m, "master/messages-sent", METRIC_COUNTER, "Sent.\nAll \\ of them.");
    double value = 2.5, nothing = (double)NAN;
    metrics_add_function(m, "master/load", METRIC_GAUGE, "Load.", answer, &value);
    metrics_add_function(m, "master/none", METRIC_GAUGE, "None.", answer, &nothing);
    metric_increment(sent, 40);
    assert_ptr_equal(metrics_add(m, "master/messages-sent", METRIC_COUNTER, "again"), sent);
    metric_increment(metrics_add(m, "master/messages-sent", METRIC_COUNTER, "again"), 2);
    struct metric *limit = metrics_add(m, "limit", METRIC_GAUGE, "Limit.");
    metric_set(limit, -(double)INFINITY);
    assert_true(isinf(metric_get(limit)));
    char *json = as_json(m), *text = as_prometheus(m);
    assert_string_equal(json, "{\"master/messages-sent\":42.0,\"master/load\":2.5,\"limit\":\"-Infinity\"}");
    assert_string_equal(text, "# HELP muster_master_messages_sent Sent.\\nAll \\\\ of them.\n"
                              "# TYPE muster_master_messages_sent counter\n"
                              "muster_master_messages_sent 42\n"
                              "# HELP muster_master_load Load.\n# TYPE muster_master_load gauge\nmuster_master_load 2.5\n"
                              "# HELP muster_limit Limit.\n# TYPE muster_limit gauge\nmuster_limit -Inf\n");
    free(json);
    free(text);
    assert_null(metrics_free(m));
    assert_null(metrics_free(NULL));
}

static void test_timer__statistics_of_the_newest_samples(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metric *t = metrics_add_timer(m, "run_ms", "Run.");
    char *json = as_json(m);
    assert_string_equal(json, "{}");
    free(json);
    for (int i = 0; i < 5000; i++)
        metric_sample_ms(t, 1e6); /* all of them are pushed out */
    for (int i = 1024; i > 0; i--)
        metric_sample_ms(t, i);
    assert_ptr_equal(metrics_add_timer(m, "run_ms", "Run."), t);
    json = as_json(m);
    assert_non_null(strstr(json, "{\"run_ms\":1.0,\"run_ms/count\":1024.0,\"run_ms/max\":1024.0,\"run_ms/min\":1.0,"
                                 "\"run_ms/p50\":512.5,"));
    free(json);
    char *text = as_prometheus(m);
    assert_non_null(strstr(text, "# TYPE muster_run_ms summary\nmuster_run_ms{quantile=\"0.5\"} 512.5\n"));
    assert_non_null(strstr(text, "muster_run_ms_sum 5000524800\nmuster_run_ms_count 6024\n"));
    free(text);
    metrics_free(m);
}

static void test_timer__percentiles(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metric *t = metrics_add_timer(m, "t", "T.");
    for (int i = 0; i <= 1000; i++)
        metric_sample_ms(t, i * 10 % 1001); /* 0 to 1000, shuffled */
    char *json = as_json(m);
    assert_non_null(
        strstr(json, "\"t/p50\":500.0,\"t/p90\":900.0,\"t/p95\":950.0,\"t/p99\":990.0,\"t/p999\":999.0,\"t/p9999\":999.9"));
    free(json);
    metrics_free(m);
}

static void count_one(void *ctx, const char *name, double value)
{
    (void)name;
    assert_true(isfinite(value) && value >= 0);
    ++*(int *)ctx;
}

static void test_timer__one_sample(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    metric_sample_ms(metrics_add_timer(m, "t", "T."), 3);
    char *json = as_json(m);
    assert_non_null(strstr(json, "\"t/p50\":3.0,"));
    assert_non_null(strstr(json, "\"t/p9999\":3.0}"));
    free(json);
    metrics_free(m);
}

static void test_system__all_values_are_there(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    int count = 0;
    metrics_add_system(m);
    metrics_add_system(m);
    metrics_each(m, count_one, &count);
    assert_int_equal(count, 9);
    metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics__both_forms),          cmocka_unit_test(test_timer__statistics_of_the_newest_samples),
        cmocka_unit_test(test_timer__percentiles),           cmocka_unit_test(test_timer__one_sample),
        cmocka_unit_test(test_system__all_values_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
