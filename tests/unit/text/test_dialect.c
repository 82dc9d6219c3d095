/* The reader of dialects: the vectors of golden/dialects, each at every cut; limits; adversarial texts. */
#include "text/dialect_run.h"

#include "text/dialect_internal.h"

static struct jv_doc vectors, llama;

static void open_vectors(void)
{
	struct hokku_error err = {0};
	if (jv_read_file(TEST_GOLDEN_DIR "/dialects/vectors.json", 1 << 22, &vectors, &err) ||
	    jv_read_file(TEST_GOLDEN_DIR "/dialects/llama.json", 1 << 22, &llama, &err))
		fail_msg("%s", err.message);
}

/* The parts of a vector as seen_part writes them. */
static void expected(const struct jv *parts, struct strbuf *out)
{
	uint32_t call = 0;
	strbuf_clear(out);
	strbuf_add_c(out, "");
	for (size_t i = 0; i < jv_len(parts); i++) {
		const struct jv *p = jv_at(parts, i), *name = jv_get(p, "call"),
				*args = jv_get(p, "arguments");
		if (!name) {
			const char *kind = jv_get(p, "text") ? "text" : "thinking";
			strbuf_addf(out, "%s %s\n", kind, jv_get(p, kind)->text);
			continue;
		}
		strbuf_addf(out, "call %u %s\n", call, name->text);
		if (args)
			strbuf_addf(out, "args %u %s\n", call, args->text);
		if (!jv_is_true(jv_get(p, "cut")))
			strbuf_addf(out, "end %u\n", call);
		call++;
	}
}

static struct dialect_reading reading_of(const struct jv *vector)
{
	const struct jv *thinking = jv_get(vector, "thinking"), *tools = jv_get(vector, "tools");
	struct dialect_reading how = {
		.dialect = dialect_find(jv_get(vector, "dialect")->text),
		.tools = tools ? NULL : jv_get(&vectors.root, "tools"),
		.prompt = jv_str(jv_get(vector, "prompt")),
	};
	if (!thinking)
		how.thinking = dialect_thinking_find("think");
	else if (jv_is(thinking, JV_STRING))
		how.thinking = dialect_thinking_find(thinking->text);
	assert_non_null(how.dialect);
	return how;
}

static void every_vector_at_every_cut(void **state)
{
	(void)state;
	const struct jv *list = jv_get(&vectors.root, "vectors");
	struct strbuf want = {0};
	assert_true(jv_len(list) > 100);
	for (size_t i = 0; i < jv_len(list); i++) {
		const struct jv *v = jv_at(list, i);
		struct dialect_reading how = reading_of(v);
		struct str answer = jv_str(jv_get(v, "answer"));
		struct parts_seen s = seen_none();
		expected(jv_get(v, "parts"), &want);
		seen_run(&s, &how, answer, 0, answer.len + 1);
		if (strcmp(s.all.ptr, want.ptr) != 0)
			fail_msg("vector %zu, %s: %s\nmade\n%sinstead of\n%s", i, dialect_name(how.dialect),
				 answer.ptr, s.all.ptr, want.ptr);
		seen_run(&s, &how, answer, 0, 1);
		assert_string_equal(s.all.ptr, want.ptr);
		for (size_t cut = 1; cut < answer.len; cut++) {
			seen_run(&s, &how, answer, cut, answer.len);
			if (strcmp(s.all.ptr, want.ptr) != 0)
				fail_msg("vector %zu cut at %zu: %s\nmade\n%sinstead of\n%s", i, cut,
					 answer.ptr, s.all.ptr, want.ptr);
		}
		assert_true(s.whole_chars);
		strbuf_free(&s.all);
	}
	strbuf_free(&want);
}

/* ---- what llama.cpp's tests say of answers ---- */

struct summed {
	struct strbuf text, thought, calls; /* calls: as the vectors have them */
};

static void end_of_call(struct summed *h, struct strbuf *args, bool *open, bool whole)
{
	if (*open)
		strbuf_add_json(&h->calls, args->ptr ? args->ptr : "", args->len);
	if (*open)
		strbuf_add_c(&h->calls, whole ? ",true]" : ",false]");
	*open = false;
	strbuf_clear(args);
}

struct summing {
	struct summed *sum;
	struct strbuf args;
	bool open;
};

static void sum_part(void *user, const struct part *p)
{
	struct summing *s = user;
	struct summed *h = s->sum;
	if (p->kind == PART_TEXT || p->kind == PART_THINKING) {
		strbuf_add(p->kind == PART_TEXT ? &h->text : &h->thought, p->text.ptr, p->text.len);
	} else if (p->kind == PART_CALL) {
		end_of_call(h, &s->args, &s->open, false);
		strbuf_add_c(&h->calls, h->calls.len ? ",[" : "[");
		strbuf_add_json(&h->calls, p->text.ptr, p->text.len);
		strbuf_add_c(&h->calls, ",");
		s->open = true;
	} else if (p->kind == PART_ARGUMENTS) {
		strbuf_add(&s->args, p->text.ptr, p->text.len);
	} else {
		end_of_call(h, &s->args, &s->open, true);
	}
}

static void sum(const struct dialect_reading *how, struct str answer, size_t step, struct summed *out)
{
	struct summing s = {.sum = out};
	struct dialect_reader *r = dialect_reader_new(how, sum_part, &s);
	for (size_t at = 0; at < answer.len; at += step) {
		size_t n = step < answer.len - at ? step : answer.len - at;
		assert_int_equal(dialect_reader_feed(r, (struct str){answer.ptr + at, n}, NULL), HOKKU_OK);
	}
	assert_int_equal(dialect_reader_end(r, NULL), HOKKU_OK);
	dialect_reader_free(r);
	end_of_call(out, &s.args, &s.open, false);
	strbuf_free(&s.args);
}

static bool is_field(const struct strbuf *b, const struct jv *v)
{
	return str_eq((struct str){b->ptr ? b->ptr : "", b->len},
		      jv_is(v, JV_STRING) ? jv_str(v) : (struct str){"", 0});
}

static void answers_that_llama_cpp_has(void **state)
{
	(void)state;
	const struct jv *list = jv_get(&llama.root, "vectors");
	assert_true(jv_len(list) > 200);
	for (size_t i = 0; i < jv_len(list); i++) {
		const struct jv *v = jv_at(list, i), *calls = jv_get(v, "calls");
		struct dialect_reading how = {.dialect = dialect_find(jv_get(v, "dialect")->text),
					      .thinking = dialect_thinking_find(jv_get(v, "thinking")->text),
					      .tools = jv_get(v, "tools") ? jv_get(&llama.root, "tools")
									  : NULL,
					      .prompt = jv_str(jv_get(v, "prompt"))};
		struct str answer = jv_str(jv_get(v, "answer"));
		struct strbuf want = {0};
		for (size_t k = 0; k < jv_len(calls); k++) {
			strbuf_add_c(&want, k ? "," : "");
			jv_write(jv_at(calls, k), &want);
		}
		for (size_t step = 1; step <= answer.len + 1; step += answer.len) {
			struct summed got = {0};
			sum(&how, answer, step, &got);
			if (!is_field(&got.text, jv_get(v, "text")) ||
			    !is_field(&got.thought, jv_get(v, "thought")) ||
			    !str_eq((struct str){got.calls.ptr, got.calls.len},
				    (struct str){want.ptr, want.len}))
				fail_msg("%s: %s\ntext %s\nthought %s\ncalls %s", dialect_name(how.dialect),
					 answer.ptr, got.text.ptr, got.thought.ptr, got.calls.ptr);
			strbuf_free(&got.text);
			strbuf_free(&got.thought);
			strbuf_free(&got.calls);
		}
		strbuf_free(&want);
	}
}

/* Every beginning of an answer, as max_tokens may leave it: what is told is what was told of the whole. */
static void every_beginning(void **state)
{
	(void)state;
	const struct jv *list = jv_get(&vectors.root, "vectors");
	for (size_t i = 0; i < jv_len(list); i++) {
		struct dialect_reading how = reading_of(jv_at(list, i));
		struct str answer = jv_str(jv_get(jv_at(list, i), "answer"));
		for (size_t n = 0; n < answer.len; n++) {
			struct parts_seen whole = seen_none(), bytes = seen_none();
			seen_run(&whole, &how, (struct str){answer.ptr, n}, 0, n + 1);
			seen_run(&bytes, &how, (struct str){answer.ptr, n}, 0, 1);
			assert_string_equal(whole.all.ptr, bytes.all.ptr);
			strbuf_free(&whole.all);
			strbuf_free(&bytes.all);
		}
	}
}

static void rows_are_whole(void **state)
{
	(void)state;
	for (size_t i = 0; dialect_at(i); i++) {
		const struct dialect *d = dialect_at(i);
		assert_ptr_equal(dialect_find(dialect_name(d)), d);
		assert_true(dialect_about(d)[0] != '\0');
		bool tried = false;
		const struct jv *list = jv_get(&vectors.root, "vectors");
		for (size_t k = 0; k < jv_len(list); k++)
			tried = tried ||
				strcmp(jv_get(jv_at(list, k), "dialect")->text, dialect_name(d)) == 0;
		if (!tried)
			fail_msg("no vector has dialect %s", dialect_name(d));
	}
	assert_null(dialect_find("nobody"));
	assert_null(dialect_thinking_find("nobody"));
}

/* Two calls as the row writes them, in each form, are read as those calls. */
static void what_is_written_is_read(void **state)
{
	(void)state;
	static const char args_json[] =
		"{\"filename\": \"a b\", \"oldString\": \"x's \\\"q\\\"\", \"replaceAll\": true, \"n\": -1.5, "
		"\"list\": [1, {\"k\": \"v\"}], \"none\": null}";
	struct jv_doc args;
	assert_int_equal(jv_parse(STR_LIT(args_json), JV_STRICT, &args, NULL), HOKKU_OK);
	for (size_t i = 0; dialect_at(i); i++) {
		const struct dialect *d = dialect_at(i);
		assert_non_null(d->write_call);
		for (unsigned form = 0; form < 8; form++) {
			struct dialect_call calls[] = {
				{.name = STR_LIT("edit"), .args = &args.root, .id = STR_LIT("call00001")},
				{.name = STR_LIT("empty_args"), .id = STR_LIT("call00002"), .index = 1},
			};
			struct dialect_reading how = {.dialect = d, .tools = jv_get(&vectors.root, "tools")};
			struct strbuf text = {0}, want = {0};
			struct parts_seen s = seen_none();
			bool single = !d->write_between && d->flags & DIALECT_BARE;
			dialect_write_calls(d, form, calls, single ? 1 : 2, &text);
			seen_run(&s, &how, (struct str){text.ptr, text.len}, 0, text.len);
			const char *args_read = strstr(s.all.ptr, "args 0 ");
			struct jv_doc read;
			if (!args_read || strncmp(s.all.ptr, "call 0 edit\n", 12) != 0)
				fail_msg("%s, form %u: %s\nread as\n%s", dialect_name(d), form, text.ptr,
					 s.all.ptr);
			args_read += 7;
			size_t n = (size_t)(strchr(args_read, '\n') - args_read);
			assert_int_equal(jv_parse((struct str){args_read, n}, JV_STRICT, &read, NULL),
					 HOKKU_OK);
			struct strbuf a = {0}, b = {0};
			jv_write(&args.root, &a);
			jv_write(&read.root, &b);
			assert_string_equal(a.ptr, b.ptr);
			strbuf_addf(&want, "\nend 0\n%s",
				    single ? "" : "call 1 empty_args\nargs 1 {}\nend 1\n");
			if (strcmp(args_read + n, want.ptr) != 0)
				fail_msg("%s, form %u: %s\nread as\n%s", dialect_name(d), form, text.ptr,
					 s.all.ptr);
			jv_doc_free(&read);
			strbuf_free(&a);
			strbuf_free(&b);
			strbuf_free(&text);
			strbuf_free(&want);
			strbuf_free(&s.all);
		}
	}
	jv_doc_free(&args);
}

static void markers_fit(void **state)
{
	(void)state;
	for (size_t i = 0; dialect_at(i); i++) {
		const struct dialect *d = dialect_at(i);
		const char *const all[] = {d->open[0],  d->open[1],    d->open[2],  d->close,   d->call,
					   d->call_end, d->id,         d->name_end, d->param,   d->param_end,
					   d->value,    d->name_begin, d->drop[0],  d->drop[1], d->drop[2],
					   d->drop[3],  d->key_end[0]};
		for (size_t k = 0; k < sizeof all / sizeof *all; k++)
			assert_true(!all[k] || (*all[k] && strlen(all[k]) < READER_MAX_MARKER));
	}
	for (size_t i = 0; dialect_thinking_at(i); i++) {
		assert_true(strlen(dialect_thinking_at(i)->open) < READER_MAX_MARKER);
		assert_true(strlen(dialect_thinking_at(i)->close) < READER_MAX_MARKER);
	}
}

/* ---- limits ---- */

static void fill(struct strbuf *b, const char *text, size_t times)
{
	for (size_t i = 0; i < times; i++)
		strbuf_add_c(b, text);
}

static struct dialect_reading hermes(void)
{
	return (struct dialect_reading){.dialect = dialect_find("hermes"),
					.thinking = dialect_thinking_find("think"),
					.tools = jv_get(&vectors.root, "tools")};
}

static uint32_t calls_in(const struct dialect_reading *how, const struct strbuf *b)
{
	struct parts_seen s = seen_none();
	struct dialect_reader *r = dialect_reader_new(how, seen_part, &s);
	assert_int_equal(dialect_reader_feed(r, (struct str){b->ptr, b->len}, NULL), HOKKU_OK);
	assert_int_equal(dialect_reader_end(r, NULL), HOKKU_OK);
	uint32_t n = dialect_reader_calls(r);
	dialect_reader_free(r);
	strbuf_free(&s.all);
	return n;
}

static void limits(void **state)
{
	(void)state;
	struct dialect_reading how = hermes();
	for (int over = -1; over <= 1; over++) {
		size_t extra = (size_t)over;
		struct strbuf calls = {0}, name = {0}, deep = {0};
		fill(&calls, "<tool_call>{\"name\": \"x\"}</tool_call>", DIALECT_MAX_CALLS + extra);
		assert_int_equal(calls_in(&how, &calls),
				 over > 0 ? DIALECT_MAX_CALLS : DIALECT_MAX_CALLS + over);
		fill(&name, "<tool_call>{\"name\": \"", 1);
		fill(&name, "n", DIALECT_MAX_NAME_BYTES + extra);
		fill(&name, "\"}</tool_call>", 1);
		assert_int_equal(calls_in(&how, &name), over <= 0);
		fill(&deep, "<tool_call>{\"name\": \"x\", \"arguments\": {\"a\": ", 1);
		fill(&deep, "[", DIALECT_MAX_DEPTH - 1 + extra);
		fill(&deep, "]", DIALECT_MAX_DEPTH - 1 + extra);
		fill(&deep, "}}</tool_call>", 1);
		struct parts_seen s = seen_none();
		seen_run(&s, &how, (struct str){deep.ptr, deep.len}, 0, deep.len);
		assert_int_equal(strstr(s.all.ptr, "end 0\n") != NULL, over <= 0);
		strbuf_free(&s.all);
		strbuf_free(&calls);
		strbuf_free(&name);
		strbuf_free(&deep);
	}
}

/* How long a call may be before its tool is known: 64 KiB from the first byte of its marker to the last of
 * its name. */
static void the_longest_header(void **state)
{
	(void)state;
	struct dialect_reading how = hermes();
	static const char before[] = "<tool_call>{", after[] = "\"name\":\"x\",\"arguments\":";
	for (int over = -1; over <= 1; over++) {
		struct strbuf b = {0};
		fill(&b, before, 1);
		fill(&b, " ", (size_t)(DIALECT_MAX_HEADER_BYTES + over) - strlen(before) - strlen(after));
		fill(&b, after, 1);
		fill(&b, "{}}</tool_call>", 1);
		assert_int_equal(calls_in(&how, &b), over <= 0);
		strbuf_free(&b);
	}
}

static void the_longest_value(void **state)
{
	(void)state;
	struct dialect_reading how = hermes();
	how.dialect = dialect_find("qwen3-coder");
	for (int over = 0; over <= 1; over++) {
		struct strbuf b = {0};
		struct parts_seen s = seen_none();
		fill(&b, "<tool_call><function=amount><parameter=orig>", 1);
		fill(&b, "1", (size_t)(DIALECT_MAX_VALUE_BYTES + over));
		fill(&b, "</parameter></function></tool_call>", 1);
		seen_run(&s, &how, (struct str){b.ptr, b.len}, 0, b.len);
		assert_int_equal(strstr(s.all.ptr, "end 0\n") != NULL, over <= 0);
		strbuf_free(&b);
		strbuf_free(&s.all);
	}
}

/* ---- work and memory ---- */

static size_t n_bytes;

static void count_part(void *user, const struct part *p)
{
	(void)user;
	n_bytes += p->text.len;
}

/* A megabyte of what nearly is a marker, and less of others through every dialect: all of it comes out, and
 * nothing is told that did not come. Work that grew with the square would take hours. */
static void a_megabyte_of_beginnings(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"<tool_cal",
		"<tool_call>",
		"<tool_call>{\"name\": \"",
		"<think",
		"</think>",
		"{",
		"[TOOL_CALLS]",
		"<|start|>",
		"<tool_call>{\"name\":\"x\",\"arguments\":{",
		" ",
		"\n",
		"<function=f>",
		"\xF0\x9F\x98",
	};
	for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
		struct strbuf b = {0};
		fill(&b, texts[k], (k ? 1 << 14 : 1 << 20) / strlen(texts[k]));
		for (size_t i = 0; dialect_at(i) && (k || i < 1); i++) {
			struct dialect_reading how = hermes();
			how.dialect = dialect_at(i);
			struct dialect_reader *r = dialect_reader_new(&how, count_part, NULL);
			n_bytes = 0;
			assert_int_equal(dialect_reader_feed(r, (struct str){b.ptr, b.len}, NULL), HOKKU_OK);
			assert_int_equal(dialect_reader_end(r, NULL), HOKKU_OK);
			assert_true(n_bytes <= b.len + 16 * DIALECT_MAX_CALLS);
			if (k == 0)
				assert_int_equal(n_bytes, b.len);
			dialect_reader_free(r);
		}
		strbuf_free(&b);
	}
}

static void open_thinking_is_told(void **state)
{
	(void)state;
	struct dialect_reading how = hermes();
	how.prompt = STR_LIT("<think>\n");
	struct dialect_reader *r = dialect_reader_new(&how, count_part, NULL);
	assert_true(dialect_reader_thinks(r));
	dialect_reader_feed(r, STR_LIT("a</thi"), NULL);
	assert_true(dialect_reader_thinks(r));
	dialect_reader_feed(r, STR_LIT("nk>"), NULL);
	assert_false(dialect_reader_thinks(r));
	dialect_reader_free(r);
	dialect_reader_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_vector_at_every_cut),
		cmocka_unit_test(answers_that_llama_cpp_has),
		cmocka_unit_test(every_beginning),
		cmocka_unit_test(rows_are_whole),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(markers_fit),
		cmocka_unit_test(limits),
		cmocka_unit_test(the_longest_header),
		cmocka_unit_test(the_longest_value),
		cmocka_unit_test(a_megabyte_of_beginnings),
		cmocka_unit_test(open_thinking_is_told),
	};
	open_vectors();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	jv_doc_free(&vectors);
	jv_doc_free(&llama);
	return failed;
}
