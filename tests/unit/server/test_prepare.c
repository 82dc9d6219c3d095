/* Requests made ready for the engine: token ids against a vocabulary, the thread and its limits. With the
 * bundled model's tokenizer and template. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/prepare.h"

static struct engine *engine;
static const struct prepare_chat no_defaults;
static int32_t n_vocab;

static int set_up(void **state)
{
	(void)state;
	struct hokku_error err;
	const struct engine_config config = {0};
	if (engine_create(&config, &engine, &err) || engine_wait_ready(engine, &err)) {
		fprintf(stderr, "%s\n", err.message);
		return -1;
	}
	n_vocab = (int32_t)tok_n_vocab(engine_tok(engine));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	engine_destroy(engine, 0);
	return 0;
}

static struct prepare_job job_of(const char *body)
{
	struct prepare_job job = {.form = &request_native};
	strbuf_add_c(&job.body, body);
	return job;
}

/* What comes of a body: "FIELD: MESSAGE", or the ids with blanks between and the stop texts. */
static const char *prepared(const char *body)
{
	static char text[512];
	struct strbuf b = {0};
	struct prepare_job job = job_of(body);
	prepare_run_job(&job, engine_tok(engine), engine_chat(engine), NULL, &no_defaults);
	assert_null(job.body.ptr);
	if (job.rc)
		strbuf_addf(&b, "%s: %s", job.err.field, job.err.error.message);
	for (size_t i = 0; !job.rc && i < job.ids.n; i++)
		strbuf_addf(&b, "%s%d", i ? " " : "", job.ids.ids[i]);
	if (job.stop_json.len)
		strbuf_addf(&b, " [%s]", job.stop_json.ptr);
	snprintf(text, sizeof text, "%s", b.ptr);
	prepare_job_free(&job);
	strbuf_free(&b);
	return text;
}

static const char *with_number(const char *format, int number)
{
	static char texts[2][256], *text;
	text = texts[text == texts[0]];
	const char *at = strchr(format, '#');
	snprintf(text, sizeof *texts, "%.*s%d%s", (int)(at - format), format, number, at + 1);
	return text;
}

static void test_ids(void **state)
{
	(void)state;
	char told[256];
	assert_string_equal(prepared("{\"prompt\":[0,5,0]}"), "0 5 0");
	assert_string_equal(prepared(with_number("{\"prompt\":[#]}", n_vocab - 1)),
			    with_number("#", n_vocab - 1));
	snprintf(told, sizeof told, "prompt[0]: prompt[0] is %d; this model's token ids run from 0 to %d",
		 n_vocab, n_vocab - 1);
	assert_string_equal(prepared(with_number("{\"prompt\":[#]}", n_vocab)), told);
	snprintf(told, sizeof told, "prompt[3]: prompt[3] is %d; this model's token ids run from 0 to %d",
		 n_vocab, n_vocab - 1);
	assert_string_equal(prepared(with_number("{\"prompt\":[0,1,2,#]}", n_vocab)), told);
	snprintf(told, sizeof told,
		 "logit_bias: logit_bias names token %d; this model's token ids run from 0 to %d", n_vocab,
		 n_vocab - 1);
	assert_string_equal(prepared(with_number("{\"prompt\":\"a\",\"logit_bias\":{\"#\":1}}", n_vocab)),
			    told);
	assert_string_equal(
		prepared(with_number("{\"prompt\":\"a\",\"logit_bias\":{\"0\":1,\"#\":1}}", n_vocab)), told);
	assert_null(strchr(
		prepared(with_number("{\"prompt\":\"a\",\"logit_bias\":{\"0\":1,\"#\":1}}", n_vocab - 1)),
		':'));
}

/* What a template says of a message is told by the request's own name for it, whatever the form made of it.
 */
static void test_whose_message(void **state)
{
	(void)state;
	static const char source[] =
		"{% for m in messages %}{% if 'odd' in m.content %}{{ raise_exception('no odd ones') }}{% endif %}"
		"{{ m.content }}{% endfor %}";
#define USER(text) "{\"role\":\"user\",\"content\":\"" text "\"}"
#define ASKED(system, last) \
	"\"system\":\"" system "\",\"messages\":[" USER("a") "," CALLING "," RESULT(last) "]}"
#define CALLING \
	"{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"x\",\"name\":\"f\",\"input\":{}}]}"
#define RESULT(last)                                                                                                                             \
	"{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"x\",\"content\":\"c\"},{\"type\":\"text\",\"text\":\"" last \
	"\"}]}"
	static const struct {
		const struct request_form *form;
		const char *body, *field;
	} rows[] = {
		{&request_anthropic, "{\"max_tokens\":1," ASKED("s", "odd"), "messages.2"},
		{&request_anthropic, "{\"max_tokens\":1," ASKED("odd", "t"), "system"},
		{&request_anthropic_count, "{" ASKED("s", "odd"), "messages.2"},
		{&request_native, "{\"messages\":[" USER("a") "," USER("odd") "]}", "messages[1]"},
	};
	struct gguf *g;
	struct chat chat;
	struct hokku_error err;
	assert_int_equal(engine_open_file(NULL, &g, &err), HOKKU_OK);
	assert_int_equal(chat_init(&chat, g, str_c(source), &err), HOKKU_OK);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct prepare_job job = {.form = rows[i].form};
		size_t n = strlen(rows[i].field);
		strbuf_add_c(&job.body, rows[i].body);
		prepare_run_job(&job, engine_tok(engine), &chat, NULL, &no_defaults);
		assert_string_equal(job.err.field, rows[i].field);
		assert_int_equal(strncmp(job.err.error.message, rows[i].field, n), 0);
		assert_string_equal(job.err.error.message + n,
				    ": the model's chat template refuses it: no odd ones");
		prepare_job_free(&job);
	}
	chat_deinit(&chat);
	gguf_close(g);
}

static void test_texts(void **state)
{
	(void)state;
	struct tok_ids ids = {0};
	struct hokku_error err;
	struct strbuf wanted = {0};
	/* A prompt is taken as it is; messages go through the template. */
	assert_int_equal(tok_encode(engine_tok(engine), STR_LIT("autumn rain"), TOK_ADD_BOS, &ids, &err),
			 HOKKU_OK);
	for (size_t i = 0; i < ids.n; i++)
		strbuf_addf(&wanted, "%s%d", i ? " " : "", ids.ids[i]);
	assert_string_equal(prepared("{\"prompt\":\"autumn rain\"}"), wanted.ptr);
	const char *chat = prepared("{\"messages\":[{\"role\":\"user\",\"content\":\"autumn rain\"}]}");
	assert_non_null(strstr(chat, wanted.ptr));
	assert_true(strlen(chat) > wanted.len + 10);
	assert_string_equal(prepared("{\"prompt\":[1],\"stop\":\"a\"}"), "1 [\"a\"]");
	assert_string_equal(prepared("{\"prompt\":[1],\"stop\":[\"a\\\"\",\"\\n\",\"c\"]}"),
			    "1 [\"a\\\"\",\"\\n\",\"c\"]");
	assert_string_equal(prepared("{\"prompt\":[1],\"stop\":[]}"), "1");
	assert_non_null(strstr(prepared("{\"temperature\":1}"), "prompt: prompt is missing"));
	strbuf_free(&wanted);
	tok_ids_free(&ids);
}

/* ---- the thread ---- */

static sem_t done;

static void on_done(void *user)
{
	(void)user;
	sem_post(&done);
}

static void test_order(void **state)
{
	(void)state;
	enum { N = 20 };
	static struct prepare_job jobs[N];
	struct prepare *p;
	struct hokku_error err;
	int next = 0;
	sem_init(&done, 0, 0);
	assert_int_equal(prepare_create(engine, &no_defaults, N, 0, on_done, NULL, &p, &err), HOKKU_OK);
	for (int round = 0; round < 2; round++) {
		next = 0;
		for (int i = 0; i < N; i++) {
			jobs[i] = job_of(with_number("{\"prompt\":[#]}", i));
			if (i % 5 == 3)
				atomic_store(&jobs[i].abandoned, true);
			assert_true(prepare_submit(p, &jobs[i]));
		}
		for (int i = 0; i < N; i++)
			sem_wait(&done);
		for (struct prepare_job *job = prepare_take_done(p), *after; job; job = after) {
			after = job->next;
			assert_ptr_equal(job, &jobs[next]);
			assert_int_equal(job->rc, next % 5 == 3 ? HOKKU_CANCELLED : HOKKU_OK);
			if (!job->rc) {
				assert_int_equal(job->ids.n, 1);
				assert_int_equal(job->ids.ids[0], next);
			}
			prepare_job_free(job);
			next++;
		}
		assert_int_equal(next, N);
		assert_null(prepare_take_done(p));
	}
	prepare_destroy(p);
	prepare_destroy(NULL);
	sem_destroy(&done);
}

/* Shapes come back compiled, or with the field and the place that is at fault; those of one text are one. */
static void test_shapes(void **state)
{
	(void)state;
	static const struct {
		const char *body, *field, *message; /* NULL: it is taken */
	} rows[] = {
		{"{\"prompt\":[1],\"choice\":[\"a\",\"b\"]}", NULL, NULL},
		{"{\"prompt\":[1],\"guided_choice\":[\"a\",\"b\"]}", NULL, NULL},
		{"{\"prompt\":[1],\"regex\":\"(\"}", "regex", "regex: "},
		{"{\"prompt\":[1],\"json_schema\":{\"properties\":{\"a\":{\"type\":5}}}}", "json_schema",
		 "json_schema: /properties/a/type"},
		{"{\"prompt\":[1],\"regex\":\"a\"}", NULL, "abandoned"},
		{"{\"prompt\":[1]}", NULL, NULL},
	};
	enum { N = sizeof rows / sizeof *rows };
	struct prepare_job jobs[N];
	struct prepare *p;
	struct hokku_error err;
	sem_init(&done, 0, 0);
	assert_int_equal(prepare_create(engine, &no_defaults, N, 0, on_done, NULL, &p, &err), HOKKU_OK);
	for (int i = 0; i < N; i++) {
		jobs[i] = job_of(rows[i].body);
		atomic_store(&jobs[i].abandoned, i == 4);
		assert_true(prepare_submit(p, &jobs[i]));
	}
	for (int i = 0; i < N; i++)
		sem_wait(&done);
	for (int i = 0; i < N; i++) {
		if (i == 4) {
			assert_int_equal(jobs[i].rc, HOKKU_CANCELLED);
		} else if (rows[i].field) {
			assert_int_equal(jobs[i].rc, HOKKU_INVALID_REQUEST);
			assert_string_equal(jobs[i].err.field, rows[i].field);
			assert_non_null(strstr(jobs[i].err.error.message, rows[i].message));
		} else {
			assert_int_equal(jobs[i].rc, HOKKU_OK);
		}
		assert_int_equal(jobs[i].shape != NULL, i < 2);
	}
	/* A job that nobody waits for any more when the thread ends. */
	struct prepare_job late = job_of("{\"prompt\":[1],\"regex\":\"[a-z]{5,9}x\"}");
	assert_true(prepare_submit(p, &late));
	prepare_destroy(p);
	assert_true(late.rc == HOKKU_OK || late.rc == HOKKU_SHUTTING_DOWN || late.body.ptr);
	prepare_job_free(&late);
	for (int i = 0; i < N; i++)
		prepare_job_free(&jobs[i]);
	sem_destroy(&done);
}

/* A body that takes the thread so long that more can be handed over meanwhile: it reads SLOW_BYTES of a
 * string, and comes upon a byte that UTF-8 has not. */
#ifdef __SANITIZE_THREAD__
enum { SLOW_BYTES = 2 << 20 }; /* takes ten times as long there */
#else
enum { SLOW_BYTES = 8 << 20 };
#endif
static struct prepare_job slow_job(size_t n_bytes)
{
	struct prepare_job job = {.form = &request_native};
	strbuf_add_c(&job.body, "{\"prompt\":\"");
	assert_true(strbuf_reserve(&job.body, n_bytes));
	memset(job.body.ptr + job.body.len, ' ', n_bytes - job.body.len);
	if (n_bytes > SLOW_BYTES)
		job.body.ptr[SLOW_BYTES] = (char)0xFF;
	job.body.len = n_bytes;
	job.body.ptr[n_bytes] = '\0'; /* its string does not end */
	return job;
}

/* How many at a time, and how many bytes: one alone may be larger. What it had counts no more once it is
 * done. */
static void test_limits(void **state)
{
	(void)state;
	struct prepare_job a, b, c;
	struct prepare *p;
	struct hokku_error err;
	sem_init(&done, 0, 0);
	for (int by_bytes = 0; by_bytes < 2; by_bytes++) {
		size_t n = by_bytes ? PREPARE_MAX_BYTES - 18 : SLOW_BYTES;
		assert_int_equal(
			prepare_create(engine, &no_defaults, by_bytes ? 10 : 2, 0, on_done, NULL, &p, &err),
			HOKKU_OK);
		int n_refused = 0;
		/* On a crowded machine the first may be done before the third is there. */
		for (int tries = 0; tries < 40 && n_refused < 2; tries++) {
			a = slow_job(n);
			b = job_of("{\"prompt\":[1,2,3]}"); /* 18 bytes */
			c = job_of("{\"prompt\":[1]}");
			assert_int_equal(b.body.len, 18);
			assert_true(prepare_submit(p, &a));
			assert_true(prepare_submit(p, &b));
			bool taken = prepare_submit(p, &c);
			sem_wait(&done);
			sem_wait(&done);
			if (!taken) { /* there is room again */
				n_refused++;
				assert_true(prepare_submit(p, &c));
			}
			sem_wait(&done);
			assert_int_equal(a.rc, HOKKU_INVALID_REQUEST);
			assert_int_equal(b.rc, HOKKU_OK);
			assert_int_equal(c.rc, HOKKU_OK);
			assert_non_null(prepare_take_done(p));
			prepare_job_free(&a);
			prepare_job_free(&b);
			prepare_job_free(&c);
		}
		assert_int_equal(n_refused, 2);
		prepare_destroy(p);
	}
	assert_int_equal(prepare_create(engine, &no_defaults, 2, 0, on_done, NULL, &p, &err), HOKKU_OK);
	a = slow_job(PREPARE_MAX_BYTES + 1);
	assert_true(prepare_submit(p, &a));
	prepare_destroy(p); /* what waits or runs then is its owner's */
	prepare_job_free(&a);
	sem_destroy(&done);
}

/* Keys take turns, whoever brought many; one that has none here may always bring one. */
static void test_turns(void **state)
{
	(void)state;
	enum { N_JOBS = 6 };
	static const uint32_t keys[N_JOBS] = {1, 1, 1, 1, 2, 2}, wanted[N_JOBS] = {0, 4, 1, 5, 2, 3};
	struct prepare_job jobs[N_JOBS], first = slow_job(SLOW_BYTES), more = job_of("{\"prompt\":[1]}");
	struct prepare *p;
	struct hokku_error err;
	sem_init(&done, 0, 0);
	assert_int_equal(prepare_create(engine, &no_defaults, N_JOBS + 1, 3, on_done, NULL, &p, &err),
			 HOKKU_OK);
	first.key = 3; /* keeps the thread at work while the others come */
	assert_true(prepare_submit(p, &first));
	for (int i = 0; i < N_JOBS; i++) {
		jobs[i] = job_of("{\"prompt\":[1]}");
		jobs[i].key = keys[i];
		assert_true(prepare_submit(p, &jobs[i]));
	}
	more.key = 2;
	assert_false(prepare_submit(p, &more));
	more.key = 0;
	assert_true(prepare_submit(p, &more));
	for (int i = 0; i < N_JOBS + 2; i++)
		sem_wait(&done);
	struct prepare_job *job = prepare_take_done(p);
	assert_ptr_equal(job, &first);
	job = job->next;
	/* Of those that had no turn yet, first come, first served. */
	for (int i = 0, n = 0; i < N_JOBS + 1; i++, job = job->next) {
		assert_int_equal(job->rc, HOKKU_OK);
		if (job != &more)
			assert_ptr_equal(job, &jobs[wanted[n++]]);
		else
			assert_int_equal(i, 2);
	}
	assert_null(job);
	prepare_destroy(p);
	for (int i = 0; i < N_JOBS; i++)
		prepare_job_free(&jobs[i]);
	prepare_job_free(&first);
	prepare_job_free(&more);
	sem_destroy(&done);
}

/* ---- calls that come back ---- */

#define BACK_EACH "{% for m in messages %}<{{ m.role }}>{{ m.content or '' }}"
#define BACK_CALLS(before, args)                                             \
	"{% for t in m.tool_calls or [] %}" before                           \
	"<tool_call>\n{\"name\": \"{{ t.function.name }}\", \"arguments\": " \
	"{{ t.function.arguments|tojson" args " }}}\n</tool_call>{% endfor %}"
#define BACK_END "\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
#define BACK_CALL(args) \
	"{\"id\":\"x\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"" args "\"}}"
#define BACK_SAYS(more, calls) "{\"role\":\"assistant\"," more "\"tool_calls\":[" calls "]}"
#define BACK_RESULT            "{\"role\":\"tool\",\"tool_call_id\":\"x\",\"content\":\"r\"}"
#define BACK_ARGS              "{\\\"a\\\":1}"
#define BACK_ONE               BACK_SAYS("\"content\":null,", BACK_CALL(BACK_ARGS))
#define BACK_TWO               BACK_SAYS("\"content\":null,", BACK_CALL(BACK_ARGS) "," BACK_CALL(BACK_ARGS))

/* What cache_debug knows of calls that the prompt has otherwise than they were drawn, and where they lie. */
static void test_calls_back(void **state)
{
	(void)state;
	static const char plain[] = BACK_EACH BACK_CALLS("", "") BACK_END;
	static const struct {
		const char *source, *dialect, *messages,
			*want; /* of each "MESSAGE REASON", and the answer's text */
	} rows[] = {
		{plain, "hermes", BACK_ONE "," BACK_RESULT, ""},
		{plain, "hermes", BACK_TWO "," BACK_RESULT, ""},
		/* JSON of any form is rendered to one. */
		{plain, "hermes",
		 BACK_SAYS("\"content\":\"\",", BACK_CALL("{ \\\"a\\\" :1}")) "," BACK_RESULT, ""},
		{plain, "hermes", BACK_SAYS("\"content\":\"say\",", BACK_CALL(BACK_ARGS)) "," BACK_RESULT,
		 ""},
		/* No template that knows calls: they are ours. */
		{BACK_EACH BACK_END, "generic", BACK_ONE "," BACK_RESULT, ""},
		{BACK_EACH
		 "{% for t in m.tool_calls or [] %}<tool_call>{\"arguments\": {{ t.function.arguments|tojson }}, "
		 "\"name\": \"{{ t.function.name }}\"}</tool_call>{% endfor %}" BACK_END,
		 "hermes", BACK_ONE "," BACK_RESULT,
		 "messages[1] form <tool_call>{\"arguments\": {\"a\": 1}, \"name\": \"f\"}</tool_call>"},
		{BACK_EACH BACK_CALLS("{{ '\\n' }}", "") BACK_END, "hermes", BACK_ONE "," BACK_RESULT,
		 "messages[1] space \n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>"},
		/* Of two conversations the turn that is at fault. */
		{BACK_EACH BACK_CALLS("{{ '\n' if not m.content }}", "") BACK_END, "hermes",
		 BACK_SAYS("\"content\":\"say\",", BACK_CALL(BACK_ARGS)) "," BACK_RESULT "," BACK_ONE
									 "," BACK_RESULT,
		 "messages[3] space \n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>"},
		{BACK_EACH
		 "{% for t in m.tool_calls or [] %}{{ '; ' if not loop.first }}<tool_call>\n{\"name\": \"{{ t.function.name "
		 "}}\", \"arguments\": {{ t.function.arguments|tojson }}}\n</tool_call>{% endfor %}" BACK_END,
		 "hermes", BACK_TWO "," BACK_RESULT,
		 "messages[1] several <tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>; "
		 "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>"},
		{BACK_EACH BACK_CALLS(
			 "",
			 "") "\n{% endfor %}{% if add_generation_prompt %}<assistant><think>\n\n</think>{% endif %}",
		 "hermes", BACK_ONE "," BACK_RESULT,
		 "messages[1] prompt ool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>"},
		{plain, "hermes",
		 BACK_SAYS("\"content\":null,\"reasoning_content\":\"thought\",",
			   BACK_CALL(BACK_ARGS)) "," BACK_RESULT,
		 "messages[1] thinking <tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>"},
		{BACK_EACH
		 "{% if m.tool_calls %}[TOOL_CALLS][{% for t in m.tool_calls %}{\"name\": \"{{ t.function.name }}\", "
		 "\"arguments\": {{ t.function.arguments|tojson }}, \"id\": \"{{ t.id }}\"}{{ ', ' if not loop.last }}{% "
		 "endfor %}]{% endif %}" BACK_END,
		 "mistral", BACK_ONE "," BACK_RESULT,
		 "messages[1] ids [TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"a\": 1}, \"id\": \"x\"}]"},
		/* A template that does not take the messages before alone is not asked. */
		{"{% if messages|length < 3 %}{{ raise_exception('no') }}{% endif %}" BACK_EACH BACK_CALLS(
			 " ", "") BACK_END,
		 "hermes", BACK_ONE "," BACK_RESULT, ""},
	};
	struct gguf *g;
	struct hokku_error err;
	assert_int_equal(engine_open_file(NULL, &g, &err), HOKKU_OK);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct chat chat;
		struct dialect_found found;
		struct prepare_job job = {.form = &request_openai_chat, .dialect = &found};
		struct strbuf seen = {0};
		assert_int_equal(chat_init(&chat, g, str_c(rows[i].source), &err), HOKKU_OK);
		assert_int_equal(dialect_probe(&chat, &found, &err), HOKKU_OK);
		if (strcmp(dialect_name(found.dialect), rows[i].dialect) != 0 && *rows[i].want)
			fail_msg("row %zu: %s", i, dialect_name(found.dialect));
		for (int asks = 0; asks <= 1; asks++) {
			strbuf_addf(
				&job.body,
				"{\"cache_debug\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"q\"},%s]}",
				asks ? "true" : "false", rows[i].messages);
			prepare_run_job(&job, engine_tok(engine), &chat, NULL, &no_defaults);
			if (job.rc)
				fail_msg("row %zu: %s", i, job.err.error.message);
			for (uint32_t k = 0; k < job.n_back; k++) {
				const struct prepare_back *b = &job.back[k];
				strbuf_addf(&seen, "%s%s %s ", k ? " " : "", b->message,
					    dialect_back_name(b->why));
				for (uint32_t t = b->first; t < b->end; t++)
					strbuf_add(&seen, tok_bytes(engine_tok(engine), job.ids.ids[t]).ptr,
						   tok_bytes(engine_tok(engine), job.ids.ids[t]).len);
			}
			const char *got = seen.ptr ? seen.ptr : "", *want = asks ? rows[i].want : "";
			if (strcmp(got, want) != 0)
				fail_msg("row %zu: %s\nwanted %s", i, got, want);
			prepare_job_free(&job);
			job = (struct prepare_job){.form = &request_openai_chat, .dialect = &found};
		}
		strbuf_free(&seen);
		chat_deinit(&chat);
	}
	gguf_close(g);
}

/* Templates that refuse ids but of nine letters and digits get such, the same of a call and its result. */
static void test_short_ids(void **state)
{
	(void)state;
#define IDS_CHECK(id) "{% if " id "|length != 9 %}{{ raise_exception('nine') }}{% endif %}"
	static const char source[] = BACK_EACH
		"{% if m.role == 'tool' %}" IDS_CHECK("m.tool_call_id") "{{ m.tool_call_id }}{% endif %}{% for t in m.tool_calls or [] %}" IDS_CHECK(
			"t.id") "[TOOL_CALLS][{\"name\": \"{{ t.function.name }}\", \"arguments\": {{ t.function.arguments|tojson }}, \"id\": \"{{ t.id }}\"}]"
				"{% endfor %}" BACK_END;
	static const char *const ids[] = {"call_0123456789abcdef", "toolu_9", "abc456789", "a-c456789"};
	struct gguf *g;
	struct chat chat;
	struct dialect_found found;
	struct hokku_error err;
	assert_int_equal(engine_open_file(NULL, &g, &err), HOKKU_OK);
	assert_int_equal(chat_init(&chat, g, STR_LIT(source), &err), HOKKU_OK);
	assert_int_equal(dialect_probe(&chat, &found, &err), HOKKU_OK);
	assert_string_equal(dialect_name(found.dialect), "mistral");
	assert_true(found.short_ids);
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		struct prepare_job job = {.form = &request_openai_chat, .dialect = &found};
		struct strbuf text = {0};
		strbuf_addf(
			&job.body,
			"{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":null,"
			"\"tool_calls\":[{\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
			"{\"role\":\"tool\",\"tool_call_id\":\"%s\",\"content\":\"r\"}]}",
			ids[i], ids[i]);
		prepare_run_job(&job, engine_tok(engine), &chat, NULL, &no_defaults);
		if (job.rc)
			fail_msg("%s: %s", ids[i], job.err.error.message);
		for (size_t t = 0; t < job.ids.n; t++)
			strbuf_add(&text, tok_bytes(engine_tok(engine), job.ids.ids[t]).ptr,
				   tok_bytes(engine_tok(engine), job.ids.ids[t]).len);
		const char *call = strstr(text.ptr, "\"id\": \""), *result = strstr(text.ptr, "<tool>r");
		assert_true(call && result);
		assert_memory_equal(call + 7, result + 7, 9);
		assert_int_equal(strncmp(call + 7, ids[i], 9) == 0, i == 2); /* one that fits stays */
		strbuf_free(&text);
		prepare_job_free(&job);
	}
	chat_deinit(&chat);
	gguf_close(g);
}

/* Of so many turns with calls as are told of, and one more. */
static void test_many_calls_back(void **state)
{
	(void)state;
	struct gguf *g;
	struct chat chat;
	struct dialect_found found;
	struct hokku_error err;
	assert_int_equal(engine_open_file(NULL, &g, &err), HOKKU_OK);
	assert_int_equal(chat_init(&chat, g, STR_LIT(BACK_EACH BACK_CALLS("{{ '\\n' }}", "") BACK_END), &err),
			 HOKKU_OK);
	assert_int_equal(dialect_probe(&chat, &found, &err), HOKKU_OK);
	for (uint32_t n = PREPARE_MAX_BACK - 1; n <= PREPARE_MAX_BACK + 1; n++) {
		struct prepare_job job = {.form = &request_openai_chat, .dialect = &found};
		char last[32];
		strbuf_add_c(&job.body,
			     "{\"cache_debug\":true,\"messages\":[{\"role\":\"user\",\"content\":\"q\"}");
		for (uint32_t i = 0; i < n; i++)
			strbuf_add_c(&job.body, "," BACK_ONE "," BACK_RESULT);
		strbuf_add_c(&job.body, "]}");
		prepare_run_job(&job, engine_tok(engine), &chat, NULL, &no_defaults);
		assert_int_equal(job.rc, HOKKU_OK);
		assert_int_equal(job.n_back, n < PREPARE_MAX_BACK ? n : PREPARE_MAX_BACK);
		snprintf(last, sizeof last, "messages[%u]", 2 * n - 1);
		assert_string_equal(job.back[job.n_back - 1].message, last);
		snprintf(last, sizeof last, "messages[%u]", 2 * (n - job.n_back) + 1);
		assert_string_equal(job.back[0].message, last);
		prepare_job_free(&job);
	}
	/* They are looked for in a prompt that the context holds alone: n - 1, n, n + 1. */
	size_t n_ids = 0;
	for (int more = -2; more <= 1; more++) {
		const struct request_served served = {.n_ctx = (uint32_t)((int)n_ids + more)};
		struct prepare_job job = {.form = &request_openai_chat, .dialect = &found};
		job.served = n_ids ? &served : NULL;
		strbuf_add_c(&job.body,
			     "{\"cache_debug\":true,\"messages\":[{\"role\":\"user\",\"content\":\"q\"}"
			     "," BACK_ONE "," BACK_RESULT "]}");
		prepare_run_job(&job, engine_tok(engine), &chat, NULL, &no_defaults);
		assert_int_equal(job.rc, HOKKU_OK);
		assert_int_equal(job.n_back, !n_ids || more >= 0);
		n_ids = job.ids.n;
		prepare_job_free(&job);
	}
	chat_deinit(&chat);
	gguf_close(g);
}

int main(void)
{
	if (bundled_model().len == 0) {
		fprintf(stderr, "skipped: no model was built in\n");
		return 77;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes), /* first: a thread that ends takes the engine's shapes with it
						*/
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_whose_message),
		cmocka_unit_test(test_calls_back),
		cmocka_unit_test(test_many_calls_back),
		cmocka_unit_test(test_short_ids),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_turns),
	};
	return cmocka_run_group_tests_name("prepare", tests, set_up, tear_down);
}
