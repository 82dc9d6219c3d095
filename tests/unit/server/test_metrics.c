/* What /metrics is made of: text that a scraper reads back whatever a value holds, histograms, and a bound on
 * series. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/access.h"
#include "server/metrics.h"
#include "server/prom.h"

static void check_text(struct strbuf *b, const char *want)
{
	assert_false(b->failed);
	assert_string_equal(b->ptr, want);
	strbuf_clear(b);
}

static void test_escapes(void **state)
{
	(void)state;
	struct strbuf labels = {0}, out = {0};
	prom_label(&labels, "a", STR_LIT("x\"y\\z\n{,}= \xC3\xA9"));
	prom_label(&labels, "b", STR_LIT(""));
	prom_label(&labels, "c", ((struct str){"\xC3(\xFF\xE2\x82\0!", 7}));
	prom_sample(&out, "n", &labels, 3);
	check_text(
		&out,
		"n{a=\"x\\\"y\\\\z\\n{,}= \xC3\xA9\",b=\"\",c=\"\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD!"
		"\"} 3\n");
	prom_family(&out, "n", "gauge", "a \"quoted\" \\ and\ntwo lines");
	check_text(&out, "# HELP n a \"quoted\" \\\\ and\\ntwo lines\n# TYPE n gauge\n");
	strbuf_clear(&labels);
	prom_sample(&out, "n", &labels, 9007199254740992.0);
	prom_sample(&out, "n", &labels, 0.1);
	prom_sample(&out, "n", &labels, 123456789012345.0);
	check_text(&out, "n 9.00719925474099e+15\nn 0.1\nn 123456789012345\n");
	strbuf_free(&labels);
	strbuf_free(&out);
}

static void test_histogram(void **state)
{
	(void)state;
	static const double bounds[] = {0.5, 2};
	struct histogram h = {.bounds = bounds, .n_bounds = 2};
	struct strbuf labels = {0}, out = {0};
	const double values[] = {0, -1, 0.0 / 0.0, 0.5, 0.75, 2, 2.25, 1e300};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		histogram_add(&h, values[i]);
	assert_int_equal(histogram_count(&h), 8);
	h.sum = 5.5;
	prom_label(&labels, "model", STR_LIT("m"));
	prom_histogram(&out, "n", &labels, &h);
	check_text(&out,
		   "n_bucket{model=\"m\",le=\"0.5\"} 4\nn_bucket{model=\"m\",le=\"2\"} 6\n"
		   "n_bucket{model=\"m\",le=\"+Inf\"} 8\nn_sum{model=\"m\"} 5.5\nn_count{model=\"m\"} 8\n");
	strbuf_clear(&labels);
	prom_histogram(&out, "n", &labels, &h);
	check_text(
		&out,
		"n_bucket{le=\"0.5\"} 4\nn_bucket{le=\"2\"} 6\nn_bucket{le=\"+Inf\"} 8\nn_sum 5.5\nn_count 8\n");
	strbuf_free(&labels);
	strbuf_free(&out);
}

/* Each bound counts what is equal to it; those of all histograms ascend and fit. */
static void test_bounds(void **state)
{
	(void)state;
	struct metrics_times t;
	metrics_times_init(&t);
	struct histogram all[] = {HISTOGRAM_SECONDS, HISTOGRAM_STEP_SECONDS, HISTOGRAM_LENGTHS,
				  HISTOGRAM_SIZES, t.ttft};
	for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
		struct histogram *h = &all[k];
		assert_in_range(h->n_bounds, 1, HISTOGRAM_MAX_BOUNDS);
		for (uint32_t i = 0; i < h->n_bounds; i++) {
			assert_true(i == 0 || h->bounds[i] > h->bounds[i - 1]);
			histogram_add(h, h->bounds[i]);
			assert_int_equal(h->counts[i], 1);
		}
		histogram_add(h, h->bounds[h->n_bounds - 1] * 1.001);
		assert_int_equal(h->counts[h->n_bounds], 1);
	}
}

static uint64_t count_of(const struct metrics_requests *m, uint32_t owner, uint32_t route, unsigned outcome)
{
	return m->counts[owner] ? m->counts[owner][route * METRICS_N_OUTCOMES + outcome] : 0;
}

/* At the limit known series go on, and what would be a new one is counted with the others: nothing is lost.
 */
static void test_series(void **state)
{
	(void)state;
	struct metrics_requests m;
	assert_true(metrics_init(&m, 5, 2, 3));
	metrics_count(&m, 0, 0, HOKKU_OK);
	metrics_count(&m, 5, 1, HOKKU_NOT_FOUND); /* behind the last route: any path */
	assert_int_equal(m.n_series, 2);
	metrics_count(&m, 4, 2, METRICS_GONE);
	assert_int_equal(m.n_series, 3);
	assert_null(m.counts[3]);
	metrics_count(&m, 4, 2, HOKKU_OK);
	metrics_count(&m, 4, 1, HOKKU_OK);
	metrics_count(&m, 4, 2, METRICS_GONE);
	assert_int_equal(m.n_series, 3);
	assert_int_equal(count_of(&m, 0, 0, HOKKU_OK), 1);
	assert_int_equal(count_of(&m, 1, 5, HOKKU_NOT_FOUND), 1);
	assert_int_equal(count_of(&m, 2, 4, METRICS_GONE), 2);
	assert_int_equal(count_of(&m, 2, 4, HOKKU_OK), 0);
	assert_int_equal(count_of(&m, 3, 4, HOKKU_OK), 2);
	metrics_deinit(&m);
}

static void test_outcomes(void **state)
{
	(void)state;
	char name[32];
	assert_string_equal(metrics_outcome(HOKKU_OK, name), "ok");
	assert_string_equal(metrics_outcome(HOKKU_INVALID_REQUEST, name), "invalid_request");
	assert_string_equal(metrics_outcome(HOKKU_RATE_LIMITED, name), "rate_limited");
	assert_string_not_equal(metrics_outcome(METRICS_N_CODES - 1, name), "gone");
	assert_string_equal(metrics_outcome(METRICS_GONE, name), "gone");
	for (unsigned i = 0; i < METRICS_N_OUTCOMES; i++)
		assert_in_range(strlen(metrics_outcome(i, name)), 2, 30);
}

static void test_trace(void **state)
{
	(void)state;
	static const char *const good[] = {
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"00-00000000000000000000000000000001-0000000000000001-00",
		"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
		"fe-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff",
	};
	static const char *const bad[] = {
		"",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-012",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
		"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
		"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-mo re",
		"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-mor\xC3\xA9",
		"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more\n",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		"00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e47360-0f067aa0ba902b7-01",
	};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(access_is_trace(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(access_is_trace(bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escapes),  cmocka_unit_test(test_histogram),
		cmocka_unit_test(test_bounds),   cmocka_unit_test(test_series),
		cmocka_unit_test(test_outcomes), cmocka_unit_test(test_trace),
	};
	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
