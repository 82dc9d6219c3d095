/* The parts of `hokku bench serve` that need no server: events, figures, plans, bodies, answers, URLs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/load_api.h"
#include "cli/load_client.h"
#include "cli/load_stats.h"
#include "cli/sse.h"

/* ---- events ---- */

static void note_event(void *user, struct str type, struct str data)
{
	struct strbuf *all = user;
	strbuf_addf(all, "%.*s<", STR_ARG(type));
	strbuf_add(all, data.ptr, data.len);
	strbuf_add_c(all, ">");
}

/* The events of a stream that comes `step` bytes at a time, as "type<data>type<data>". */
static void expect_events(const char *stream, size_t n, size_t step, const char *want)
{
	struct sse s = {0};
	struct strbuf all = {0};
	for (size_t at = 0; at < n; at += step) {
		/* a copy of its own, so that a sanitizer sees what is read past it */
		size_t now = n - at < step ? n - at : step;
		char *piece = malloc(now);
		memcpy(piece, stream + at, now);
		assert_true(sse_take(&s, (struct str){piece, now}, note_event, &all));
		free(piece);
	}
	assert_string_equal(all.ptr ? all.ptr : "", want);
	strbuf_free(&all);
	sse_free(&s);
}

/* Of the standard's own examples and rules (HTML, 9.2.6), by hand. */
static void test_sse(void **state)
{
	static const struct {
		const char *stream, *events;
	} cases[] = {
		{"data: a\n\n", "message<a>"},
		{"data:a\n\n", "message<a>"},
		{"data:  a\n\n", "message< a>"},
		{"data: a\r\n\r\n", "message<a>"},
		{"data: a\r\r", "message<a>"},
		{"data: a\n\r\n", "message<a>"},
		{"data: a\r\n\ndata: b\n\n", "message<a>message<b>"},
		{"event: token\ndata: {\"t\":\":\"}\n\n", "token<{\"t\":\":\"}>"},
		{"event: token\n\ndata: a\n\n", "message<a>"},           /* an event without data is none */
		{"event: a\nevent: b\ndata: 1\n\n", "b<1>"},             /* the last one counts */
		{"data: a\ndata: b\ndata\n\n", "message<a\nb\n>"},       /* three lines */
		{"data\n\ndata\ndata\n\ndata:", "message<>message<\n>"}, /* the last is not ended */
		{": comment\n\ndata: a\n:\n\n", "message<a>"},
		{"id: 1\nretry: 10\ndata: a\nfoo: b\n\n", "message<a>"},
		{"\xEF\xBB\xBF"
		 "data: a\n\n",
		 "message<a>"},
		{"data: a\n\n\xEF\xBB\xBF"
		 "data: b\n\n",
		 "message<a>"}, /* not at the beginning: another name */
		{"DATA: a\n\n data: b\n\n", ""},
		{"data: a\n", ""},
		{"\n\n\r\r\n\n", ""},
		{"", ""},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t step = 1; step <= 8; step++)
			expect_events(cases[i].stream, strlen(cases[i].stream), step, cases[i].events);
	expect_events("data: \0b\n\n", 10, 3, "message<");
}

/* "data: xxx...", n_x of them, and a line's end where it is wanted. */
static bool take_line_of(struct sse *s, size_t n_x, bool ends)
{
	struct strbuf line = {0}, events = {0};
	strbuf_add_c(&line, "data: ");
	strbuf_reserve(&line, n_x);
	memset(line.ptr + line.len, 'x', n_x);
	line.len += n_x;
	strbuf_add(&line, "\n", ends);
	bool good = sse_take(s, (struct str){line.ptr, line.len}, note_event, &events);
	strbuf_free(&line);
	strbuf_free(&events);
	return good;
}

/* A line that does not end, and the data of an event, have a limit. */
static void test_sse_limits(void **state)
{
	(void)state;
	for (size_t over = 0; over < 2; over++) {
		struct sse s = {0};
		assert_int_equal(take_line_of(&s, SSE_MAX_BYTES - 6 + over, false), !over);
		sse_free(&s);
		size_t half = SSE_MAX_BYTES / 2; /* each line's end is kept */
		assert_true(take_line_of(&s, half - 1, true));
		assert_int_equal(take_line_of(&s, half - 1 + over, true), !over);
		sse_free(&s);
	}
}

/* ---- figures ---- */

static void expect_near(double got, double want)
{
	if (!(fabs(got - want) <= 1e-9 * fmax(1, fabs(want))))
		fail_msg("%.17g, not %.17g", got, want);
}

/* numpy.percentile([...], [50, 90, 95, 99]) of the same lists. */
static void test_summary(void **state)
{
	struct series s = {0}, more = {0};
	(void)state;
	assert_int_equal(series_summary(&s).n, 0);
	series_add(&s, 7.5);
	struct summary one = series_summary(&s);
	expect_near(one.p50, 7.5);
	expect_near(one.p99, 7.5);
	expect_near(one.largest, 7.5);
	series_clear(&s);
	static const double values[] = {15, 20, 35, 40, 50};
	for (size_t i = 5; i-- > 0;)
		series_add(&s, values[i]);
	struct summary five = series_summary(&s);
	assert_int_equal(five.n, 5);
	expect_near(five.mean, 32);
	expect_near(five.p50, 35);
	expect_near(five.p90, 46);
	expect_near(five.p95, 48);
	expect_near(five.p99, 49.6);
	expect_near(five.largest, 50);
	for (int i = 1; i <= 1000; i++)
		series_add(&more, i);
	series_clear(&s);
	series_add_all(&s, &more);
	struct summary thousand = series_summary(&s);
	expect_near(thousand.p50, 500.5);
	expect_near(thousand.p90, 900.1);
	expect_near(thousand.p95, 950.05);
	expect_near(thousand.p99, 990.01);
	expect_near(thousand.mean, 500.5);
	series_free(&s);
	series_free(&more);
}

/* ---- plans ---- */

static void test_lengths(void **state)
{
	static const struct {
		const char *text;
		uint32_t least, most;
		double mean;
	} good[] = {{"1", 1, 1, 1},
		    {"128", 128, 128, 128},
		    {"1048576", 1048576, 1048576, 1048576},
		    {"16-512", 16, 512, 264},
		    {"5-5", 5, 5, 5},
		    {"exp:200", 1, 1600, 200},
		    {"exp:1048576", 1, 1048576, 1048576},
		    {"sharegpt", 1, 1288, 161},
		    {"alpaca", 1, 152, 19}};
	static const char *const bad[] = {"",
					  "0",
					  "1048577",
					  "-5",
					  "5-",
					  "6-5",
					  "1-1048577",
					  "0-5",
					  "exp:",
					  "exp:0",
					  "exp:5x",
					  "128 ",
					  " 128",
					  "1e3",
					  "exp:-1",
					  "chat",
					  "+5",
					  "5-6-7",
					  "0x10",
					  "12.5",
					  "5 - 10",
					  "EXP:5",
					  "99999999999999999999"};
	struct lengths l;
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		if (!lengths_parse(good[i].text, true, &l))
			fail_msg("%s is refused", good[i].text);
		assert_int_equal(l.least, good[i].least);
		assert_int_equal(l.most, good[i].most);
		expect_near(l.mean, good[i].mean);
	}
	assert_true(lengths_parse("sharegpt", false, &l));
	expect_near(l.mean, 338);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (lengths_parse(bad[i], true, &l))
			fail_msg("\"%s\" is taken", bad[i]);
}

static void expect_mean(double sum, double n, double want, double tolerance)
{
	if (fabs(sum / n - want) > tolerance)
		fail_msg("a mean of %g, not %g", sum / n, want);
}

static void test_plan(void **state)
{
	enum { N = 20000 };
	struct load_plan p = {.seed = 5, .rate = 40, .n_shared = 3}, other = p;
	double in = 0, out = 0, wait = 0, squares = 0;
	uint32_t low = UINT32_MAX, high = 0, differ = 0;
	(void)state;
	lengths_parse("10-20", true, &p.input);
	lengths_parse("exp:100", false, &p.output);
	other = p;
	other.seed = 6;
	for (uint32_t i = 0; i < N; i++) {
		uint32_t n = plan_input(&p, i);
		double w = plan_wait(&p, i);
		assert_int_equal(n, plan_input(&p, i));
		low = n < low ? n : low;
		high = n > high ? n : high;
		in += n;
		out += plan_output(&p, i);
		wait += w;
		squares += w * w;
		differ += plan_input(&other, i) != n;
		assert_in_range(plan_output(&p, i), 1, 800);
		assert_true(w >= 0);
	}
	assert_int_equal(low, 10);
	assert_int_equal(high, 20);
	expect_mean(in, N, 15, 0.15);
	expect_mean(out, N, 100.5, 3); /* rounded up; what is cut at 8 means is a third of a thousandth */
	expect_mean(wait, N, 1.0 / 40, 1e-3);
	expect_mean(squares, N, 2.0 / 1600, 1e-4); /* exponential: twice the square of the mean */
	assert_in_range(differ, N * 8 / 10, N);
	for (uint32_t i = 0; i < 100; i++) {
		assert_in_range(plan_token(&p, 1, i, 1000), 100, 899);
		assert_int_equal(plan_token(&p, 1, i, 1000), plan_token(&p, 1, i, 1000));
	}
	uint32_t same = 0;
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(plan_token(&p, 1, i, 1000), plan_token(&p, 2, i, 1000));
	for (uint32_t i = 3; i < 103; i++)
		same += plan_token(&p, 1, i, 1000) == plan_token(&p, 2, i, 1000);
	assert_in_range(same, 0, 5);
	assert_string_equal(plan_word(&p, 1, 0), plan_word(&p, 9, 0));
	p.rate = 0;
	expect_near(plan_wait(&p, 1), 0);
}

/* ---- bodies ---- */

static void test_bodies(void **state)
{
	struct load_plan p = {.seed = 1,
			      .n_shared = 2,
			      .input = {LENGTHS_FIXED, 3, 3, 3},
			      .output = {LENGTHS_FIXED, 7, 7, 7}};
	struct load_request r = {.plan = &p, .n_vocab = 100, .model = "a \"b\""};
	struct hokku_error err;
	struct jv_doc body, more;
	struct strbuf out = {0};
	int64_t n;
	(void)state;
	load_api_body(load_api_find("generate"), &r, 4, &out);
	assert_int_equal(jv_parse((struct str){out.ptr, out.len}, JV_STRICT, &body, &err), HOKKU_OK);
	assert_int_equal(jv_len(jv_get(&body.root, "prompt")), 5);
	assert_true(jv_int(jv_at(jv_get(&body.root, "prompt"), 4), &n) && n == plan_token(&p, 4, 4, 100));
	assert_true(jv_int(jv_get(&body.root, "max_tokens"), &n) && n == 7);
	assert_true(jv_int(jv_get(&body.root, "temperature"), &n) && n == 0);
	assert_true(jv_is_true(jv_get(&body.root, "stream")));
	assert_null(jv_get(&body.root, "seed"));
	assert_null(jv_get(&body.root, "ignore_eos"));
	assert_null(jv_get(&body.root, "stream_options"));
	jv_doc_free(&body);
	strbuf_clear(&out);

	static const char extra[] =
		"{\"max_tokens\":9007199254740993,\"top_p\":0.50,\"x\":[null,true,\"\\u00e9\\n\",{\"y\":{},\"z\":[1,2]}]}";
	assert_int_equal(jv_parse(STR_LIT(extra), JV_STRICT, &more, &err), HOKKU_OK);
	r.more = &more.root;
	r.ignore_eos = true;
	r.temperature = 0.5f;
	load_api_body(load_api_find("openai-chat"), &r, 4, &out);
	assert_int_equal(jv_parse((struct str){out.ptr, out.len}, JV_STRICT, &body, &err), HOKKU_OK);
	const struct jv *content = jv_get(jv_at(jv_get(&body.root, "messages"), 0), "content");
	uint32_t blanks = 0;
	for (size_t i = 0; i < jv_str(content).len; i++)
		blanks += jv_str(content).ptr[i] == ' ';
	assert_int_equal(blanks, 4); /* five words */
	assert_true(jv_str(content).ptr[0] != ' ');
	assert_true(str_eq_c(jv_str(jv_get(&body.root, "model")), "a \"b\""));
	assert_true(jv_is_true(jv_get(jv_get(&body.root, "stream_options"), "include_usage")));
	assert_true(jv_is_true(jv_get(&body.root, "ignore_eos")));
	assert_true(jv_int(jv_get(&body.root, "seed"), &n) && n == 5);
	assert_true(jv_int(jv_get(&body.root, "max_tokens"), &n) &&
		    n == 9007199254740993); /* theirs, to the digit */
	char text[120];
	assert_string_equal(jv_text(jv_get(&body.root, "x"), text, sizeof text),
			    "[null,true,\"\xc3\xa9\\n\",{\"y\":{},\"z\":[1,2]}]");
	jv_doc_free(&body);
	jv_doc_free(&more);
	strbuf_clear(&out);

	r = (struct load_request){.plan = &p};
	load_api_body(load_api_find("completions"), &r, 4, &out);
	assert_int_equal(jv_parse((struct str){out.ptr, out.len}, JV_STRICT, &body, &err), HOKKU_OK);
	assert_true(jv_is(jv_get(&body.root, "prompt"), JV_STRING));
	assert_null(jv_get(&body.root, "model"));
	jv_doc_free(&body);
	strbuf_free(&out);
	assert_null(load_api_find("chats"));
}

/* ---- answers ---- */

struct event_case {
	const char *type, *data;
	bool text, ended;
	const char *error;
	int in, out, cached; /* -1: no usage */
};

static void expect_answers(const char *api, const struct event_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct event_case *c = &cases[i];
		struct load_answer a = {0};
		bool text = load_api_event(load_api_find(api), &a, str_c(c->type), str_c(c->data));
		if (text != c->text || a.ended != c->ended || strcmp(a.error, c->error) != 0 ||
		    a.n_events != text)
			fail_msg("%s: text %d, ended %d, error %s", c->data, text, a.ended, a.error);
		assert_int_equal(a.has_usage, c->in >= 0);
		if (c->in < 0)
			continue;
		assert_int_equal(a.tokens_in, c->in);
		assert_int_equal(a.tokens_out, c->out);
		assert_int_equal(a.tokens_cached, c->cached);
	}
}

static void test_answers(void **state)
{
	static const struct event_case own[] = {
		{"started", "{\"prompt_tokens\":5}", false, false, "", -1, 0, 0},
		{"token", "{\"t\":\"\",\"i\":0,\"id\":5}", true, false, "", -1, 0, 0},
		{"end",
		 "{\"tokens_out\":3,\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":3,\"prompt_tokens_details\":{"
		 "\"cached_tokens\":2}}}",
		 false, true, "", 5, 3, 2},
		{"error", "{\"code\":\"CANCELLED\",\"message\":\"it was\"}", false, false,
		 "\"CANCELLED: it was\"", -1, 0, 0},
		{"token", "{\"t\":", false, false, "an event is no JSON: \"{\\\"t\\\":\"", -1, 0, 0},
		{"other", "[]", false, false, "", -1, 0, 0},
	};
	static const struct event_case chat[] = {
		{"message", "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}", false,
		 false, "", -1, 0, 0},
		{"message",
		 "{\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}],\"usage\":null}",
		 true, false, "", -1, 0, 0},
		{"message", "{\"choices\":[{\"delta\":{\"reasoning_content\":\"a\"}}]}", true, false, "", -1,
		 0, 0},
		{"message", "{\"choices\":[{\"delta\":{\"tool_calls\":[{}]}}]}", true, false, "", -1, 0, 0},
		{"message", "{\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}", false, true, "",
		 -1, 0, 0},
		{"message", "{\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":8}}", false,
		 false, "", 7, 8, 0},
		{"message", "{\"choices\":[],\"usage\":{\"prompt_tokens\":-7,\"completion_tokens\":1e99}}",
		 false, false, "", 0, 0, 0},
		{"message", "[DONE]", false, true, "", -1, 0, 0},
		{"message", "{\"error\":{\"message\":\"no\",\"code\":null}}", false, false, "\"no\"", -1, 0,
		 0},
		{"message", "{\"error\":{\"message\":\"n\\no\",\"code\":503}}", false, false, "\"n\\no\"", -1,
		 0, 0},
		{"message", "{\"error\":\"plain\"}", false, false, "\"plain\"", -1, 0, 0},
		{"message", "{\"error\":{\"odd\":1}}", false, false, "{\"odd\":1}", -1, 0, 0},
		{"message", "{\"object\":\"error\",\"message\":\"gone\"}", false, false, "\"gone\"", -1, 0,
		 0},
		{"message", "null", false, false, "", -1, 0, 0},
		{"message", "{\"choices\":{\"0\":1}}", false, false, "", -1, 0, 0},
		{"message", "", false, false, "an event is no JSON: \"\"", -1, 0, 0},
	};
	static const struct event_case completions[] = {
		{"message", "{\"choices\":[{\"text\":\"a\",\"finish_reason\":\"stop\"}]}", true, true, "", -1,
		 0, 0},
		{"message", "{\"choices\":[{\"text\":\"\"}]}", false, false, "", -1, 0, 0},
	};
	(void)state;
	expect_answers("generate", own, sizeof own / sizeof *own);
	expect_answers("chat", chat, sizeof chat / sizeof *chat);
	expect_answers("completions", completions, sizeof completions / sizeof *completions);
}

static void test_refusals(void **state)
{
	static const struct {
		int status;
		const char *body, *want;
	} cases[] = {
		{503, "{\"error\":{\"code\":\"OVERLOADED\",\"message\":\"full\"}}",
		 "status 503: \"OVERLOADED: full\""},
		{404, "{\"detail\":\"Not Found\"}", "status 404: \"Not Found\""},
		{400, "{\"object\":\"error\",\"message\":\"bad\",\"code\":400}", "status 400: \"bad\""},
		{502, "<html>\n", "status 502: \"<html>\\n\""},
		{500, "", "status 500: \"\""},
		{418, "{\"x\":1}", "status 418: {\"x\":1}"},
	};
	char text[LOAD_ERROR_BYTES], *longer = calloc(1, 4001);
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		load_api_refusal(cases[i].status, str_c(cases[i].body), text);
		assert_string_equal(text, cases[i].want);
	}
	for (size_t i = 0; i + 1 < 4000; i += 2)
		memcpy(longer + i, "\xc3\xa9", 2);
	for (size_t cut = 0; cut < 4; cut++) { /* where it is cut, a character stays whole */
		load_api_refusal(500, str_c(longer + 2 * cut), text);
		assert_int_equal(utf8_valid_prefix(text, strlen(text)), strlen(text));
		struct load_answer a = {0};
		struct strbuf data = {0};
		strbuf_addf(&data, "{\"error\":{\"message\":\"%s%s\"}}", "xyz" + cut % 4, longer);
		load_api_event(load_api_find("chat"), &a, STR_LIT("message"),
			       (struct str){data.ptr, data.len});
		assert_int_equal(utf8_valid_prefix(a.error, strlen(a.error)), strlen(a.error));
		assert_true(strlen(a.error) > 200);
		strbuf_free(&data);
	}
	free(longer);
}

/* ---- URLs ---- */

static void test_urls(void **state)
{
	static const struct {
		const char *text, *place, *host, *prefix, *api;
		int port;
	} good[] = {
		{"http://localhost:8080", "localhost:8080", "localhost", "", NULL, 8080},
		{"http://localhost", "localhost:80", "localhost", "", NULL, 80},
		{"http://localhost:8080/", "localhost:8080", "localhost", "", NULL, 8080},
		{"http://h:1/v1", "h:1", "h", "", NULL, 1},
		{"http://h:1/v1/", "h:1", "h", "", NULL, 1},
		{"http://h:1/a/v1", "h:1", "h", "/a", NULL, 1},
		{"http://h:1/a/b/", "h:1", "h", "/a/b", NULL, 1},
		{"http://h:1/v1/generate", "h:1", "h", "", "generate", 1},
		{"http://h:1/a/v1/chat/completions", "h:1", "h", "/a", "chat", 1},
		{"http://h:1/v1/completions", "h:1", "h", "", "completions", 1},
		{"http://[::1]:65535", "[::1]:65535", "::1", "", NULL, 65535},
		{"https://h", "h:443", "h", "", NULL, 443},
		{"HTTPS://h:8443/a/v1/completions", "h:8443", "h", "/a", "completions", 8443},
		{"https://[::1]/v1", "[::1]:443", "::1", "", NULL, 443},
	};
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"localhost:8080", "does not begin with http://"},
		{"", "does not begin with http://"},
		{"https://", "names no host"},
		{"httpss://h", "does not begin with http:// or https://"},
		{"unix:/h", "does not begin with http://"},
		{"ftp://h", "does not begin with http://"},
		{"http://", "names no host"},
		{"http://:80", "names no host"},
		{"http://h:0", "its port is none"},
		{"http://h:65536", "none"},
		{"http://h:x", "it is none"},
		{"http://u:p@h", "more than a host"},
		{"http://h/?x=1", "more than a host"},
		{"http://h/#a", "more than a host"},
		{"http://h h/", "it is none"},
	};
	struct load_url u;
	struct hokku_error err;
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		if (load_url_parse(good[i].text, &u, &err))
			fail_msg("%s: %s", good[i].text, err.message);
		assert_string_equal(u.place, good[i].place);
		assert_string_equal(u.host, good[i].host);
		assert_string_equal(u.prefix, good[i].prefix);
		assert_int_equal(u.port, good[i].port);
		assert_int_equal(u.tls, strncasecmp(good[i].text, "https", 5) == 0);
		assert_string_equal(u.scheme, u.tls ? "https" : "http");
		assert_string_equal(u.api ? u.api->name : "", good[i].api ? good[i].api : "");
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(load_url_parse(bad[i].text, &u, &err), HOKKU_INVALID_REQUEST);
		if (!strstr(err.message, bad[i].why))
			fail_msg("%s: %s", bad[i].text, err.message);
	}
	char text[900] = "http://", *at = text + 7;
	memset(at, 'h', 255); /* n, and n + 1 */
	assert_int_equal(load_url_parse(text, &u, &err), HOKKU_OK);
	at[255] = 'h';
	assert_int_equal(load_url_parse(text, &u, &err), HOKKU_INVALID_REQUEST);
	memset(at, 0, 256);
	memcpy(at, "h/", 2);
	memset(at + 2, 'p', 510);
	assert_int_equal(load_url_parse(text, &u, &err), HOKKU_OK);
	assert_int_equal(strlen(u.prefix), 511);
	at[512] = 'p';
	assert_int_equal(load_url_parse(text, &u, &err), HOKKU_INVALID_REQUEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sse),     cmocka_unit_test(test_sse_limits),
		cmocka_unit_test(test_summary), cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_plan),    cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_answers), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_urls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
