/*
 * dialect_shape, compiled by src/constrain: what each dialect's rows write of calls is let through and read
 * back as those calls; what is no call of these tools, or not by their schemas, is not. With markers as texts
 * and as control tokens.
 */
#include "text/dialect_run.h"

#include "text/vocab.h"

#include "base/rng.h"
#include "constrain/constrain.h"
#include "engine/rules.h"
#include "text/dialect_internal.h"

/* ---- a vocabulary: all bytes, an end, and every marker of every row as a control token ---- */

struct markers {
	struct tok *tok;
	uint32_t n;
	int32_t end;
};

static struct str bytes_of(void *user, uint32_t token)
{
	struct markers *m = user;
	return token < 256 ? tok_bytes(m->tok, (int32_t)token) : (struct str){"", 0};
}

static int32_t find(void *user, struct str name)
{
	return tok_find_special(((struct markers *)user)->tok, name);
}

static void open_markers(struct markers *m, const char *const *names)
{
	struct vocab v = v_new("gpt-2");
	struct hokku_error err;
	m->end = (int32_t)v_token(&v, "<|endoftext|>", TOK_CONTROL);
	for (; *names; names++)
		v_token(&v, *names, TOK_CONTROL);
	m->n = v.n_tokens;
	v_key_u32(&v, "tokenizer.ggml.eos_token_id", (uint32_t)m->end);
	m->tok = v_open(&v, &err);
	assert_non_null(m->tok);
}

static struct constrain_vocab *vocab_of(struct markers *m)
{
	const struct constrain_words words = {
		.user = m, .n = m->n, .bytes = bytes_of, .ends = &m->end, .n_ends = 1, .find = find};
	struct constrain_vocab *v;
	struct hokku_error err;
	if (constrain_vocab_new(&words, &v, &err))
		fail_msg("%s", err.message);
	return v;
}

/* ---- trying ---- */

static const char tools_json[] =
	"[{\"type\": \"function\", \"function\": {\"name\": \"find\", \"description\": \"d\", \"parameters\": {\"type\": "
	"\"object\", \"properties\": {\"place\": {\"type\": \"string\"}, \"days\": {\"type\": \"integer\", \"minimum\": 1}, "
	"\"unit\": {\"enum\": [\"km\", \"mi\"]}}, \"required\": [\"place\", \"days\"], \"additionalProperties\": false}}}, "
	"{\"type\": \"function\", \"function\": {\"name\": \"now\", \"description\": \"d\", \"parameters\": {\"type\": "
	"\"object\", \"properties\": {}, \"additionalProperties\": false}}}]";

struct trial {
	struct markers *m;
	struct constrain_vocab *v;
	struct jv_doc tools;
	struct constrain *c;
	struct dialect_shape shape;
	struct dialect_found found;
	const char *label;
};

static void compile(struct trial *t, const struct dialect *d, unsigned form, enum dialect_choice choice,
		    bool parallel, enum dialect_thinks thinks)
{
	struct hokku_error err = {0};
	struct constrain_fault fault;
	char field[128];
	t->found = (struct dialect_found){.dialect = d, .form = form, .thinking = dialect_thinking_at(0)};
	if (d->thinks)
		t->found.thinking = dialect_thinking_find(d->thinks);
	struct dialect_shaping how = {.found = &t->found,
				      .tok = t->m->tok,
				      .tools = &t->tools.root,
				      .choice = choice,
				      .name = STR_LIT("find"),
				      .parallel = parallel,
				      .thinks = thinks};
	if (dialect_shape(&how, &t->shape, field, &err))
		fail_msg("%s: %s", dialect_name(d), err.message);
	assert_true(t->shape.text.len > 0);
	const struct constrain_shape shape = {.kind = CONSTRAIN_STRUCTURE,
					      .text = {t->shape.text.ptr, t->shape.text.len}};
	if (constrain_new(t->v, &shape, NULL, &t->c, &fault, &err))
		fail_msg("%s, form %u, choice %d: %s\n%s", dialect_name(d), form, choice, err.message,
			 t->shape.text.ptr);
	t->label = dialect_name(d);
}

static void drop(struct trial *t)
{
	constrain_unref(t->c);
	dialect_shape_free(&t->shape);
}

/* Is text a whole answer of the shape? Control tokens by their names, the rest byte by byte. */
static bool lets_through(const struct trial *t, struct str text)
{
	struct constrain_walk *w = constrain_begin(t->c);
	bool ok = true;
	for (size_t i = 0; ok && i < text.len;) {
		int32_t token = (unsigned char)text.ptr[i];
		size_t n = 1;
		for (size_t k = 2; k <= READER_MAX_MARKER && i + k <= text.len; k++) {
			int32_t id = tok_find_special(t->m->tok, (struct str){text.ptr + i, k});
			if (id >= 0) {
				token = id;
				n = k;
			}
		}
		ok = constrain_take(w, token) == CONSTRAIN_TAKEN;
		i += n;
	}
	ok = ok && constrain_may_end(w);
	constrain_end(w);
	return ok;
}

static void expect(const struct trial *t, const char *text, bool through)
{
	if (lets_through(t, str_c(text)) != through)
		fail_msg("%s %s %s\n%s", t->label, through ? "refuses" : "lets through", text,
			 t->shape.text.ptr);
}

static void written(const struct trial *t, const char *const *args, size_t n, struct strbuf *out)
{
	struct jv_doc docs[2];
	struct dialect_call calls[2];
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(jv_parse(str_c(args[i]), JV_STRICT, &docs[i], NULL), HOKKU_OK);
		calls[i] = (struct dialect_call){.name = jv_get(&docs[i].root, "place") ||
									 jv_get(&docs[i].root, "days")
								 ? STR_LIT("find")
								 : STR_LIT("now"),
						 .args = &docs[i].root,
						 .id = STR_LIT("call00001"),
						 .index = (uint32_t)i};
	}
	strbuf_clear(out);
	dialect_write_calls(t->found.dialect, t->found.form, calls, n, out);
	/* what the prompt has, or what ends an answer by itself */
	if (t->found.dialect->flags & DIALECT_RECIPIENT)
		memmove(out->ptr, out->ptr + 3, out->len -= 2);
	if (t->found.dialect->flags & DIALECT_RECIPIENT)
		out->ptr[--out->len] = '\0';
	if (t->found.dialect->body == BODY_HARMONY)
		out->ptr[out->len -= 8] = '\0';
	for (size_t i = 0; i < n; i++)
		jv_doc_free(&docs[i]);
}

static const char *const good[] = {"{\"place\": \"a b\", \"days\": 3}", "{}"};
static const char *const with_unit[] = {"{\"place\": \"x\", \"days\": 12, \"unit\": \"km\"}"};
static const char *const bad[][1] = {
	{"{\"place\": \"x\", \"days\": 0}"},
	{"{\"days\": 1}"},
	{"{\"place\": \"x\", \"days\": 1, \"unit\": \"ft\"}"},
	{"{\"place\": \"x\", \"days\": 1, \"more\": 1}"},
	{"{\"place\": \"x\", \"days\": \"two\"}"},
};

static bool takes_several(const struct dialect *d)
{
	return !(d->flags & DIALECT_BARE) && d->body != BODY_HARMONY;
}

static void try_row(struct trial *t, const struct dialect *d, unsigned form)
{
	struct strbuf text = {0}, more = {0};
	compile(t, d, form, DIALECT_REQUIRED, true, DIALECT_NO_THINKING);
	written(t, good, 1, &text);
	expect(t, text.ptr, true);
	written(t, good + 1, 1, &text);
	expect(t, text.ptr, true);
	written(t, with_unit, 1, &text);
	expect(t, text.ptr, true);
	written(t, good, 2, &text);
	expect(t, text.ptr, takes_several(d));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		written(t, bad[i], 1, &text);
		expect(t, text.ptr, false);
	}
	expect(t, "", false);
	expect(t, "words", false);
	drop(t);
	compile(t, d, form, DIALECT_REQUIRED, false, DIALECT_NO_THINKING);
	written(t, good, 2, &text);
	expect(t, text.ptr, false);
	drop(t);
	compile(t, d, form, DIALECT_NAMED, true, DIALECT_NO_THINKING);
	written(t, good, 1, &text);
	expect(t, text.ptr, true);
	written(t, good + 1, 1, &text);
	expect(t, text.ptr, false);
	drop(t);
	compile(t, d, form, DIALECT_AUTO, true, DIALECT_NO_THINKING);
	written(t, good, 1, &text);
	expect(t, text.ptr, true);
	const char *before = d->body == BODY_HARMONY        ? "<|channel|>final<|message|>"
			     : d->flags & DIALECT_RECIPIENT ? "all\n"
							    : "";
	strbuf_addf(&more, "%swords < [ and { more", before);
	expect(t, more.ptr, true);
	if (takes_several(d) && !(d->flags & DIALECT_RECIPIENT)) {
		strbuf_clear(&more);
		strbuf_addf(&more, "words\n%s\n", text.ptr);
		expect(t, more.ptr, true);
		text.ptr[text.len / 2] = '\0'; /* it cannot end in a call, nor go on as text */
		strbuf_clear(&more);
		strbuf_addf(&more, "words\n%s", text.ptr);
		expect(t, more.ptr, false);
	}
	drop(t);
	strbuf_free(&text);
	strbuf_free(&more);
}

/* A call may come out of thinking that was not closed, and is then held to its schema; nothing that begins as
 * one comes in thinking otherwise. */
static void try_call_in_thinking(struct trial *t, const struct dialect *d)
{
	static const enum dialect_choice choices[] = {DIALECT_AUTO, DIALECT_REQUIRED, DIALECT_NAMED};
	static const enum dialect_thinks thinks[] = {DIALECT_THINKING_OPEN, DIALECT_MAY_THINK};
	for (size_t i = 0; i < 6; i++) {
		enum dialect_choice choice = choices[i / 2];
		struct strbuf call = {0}, text = {0};
		compile(t, d, 5, choice, true, thinks[i % 2]);
		const char *open = i % 2 ? t->found.thinking->open : "", *close = t->found.thinking->close;
		written(t, good, 1, &call);
		const struct {
			const char *before, *behind;
			bool ok;
		} rows[] = {
			{"", call.ptr, true},     {"a <b> c ", call.ptr, true},
			{close, call.ptr, true},  {"a", close, choice == DIALECT_AUTO},
			{"a", d->open[0], false},
		};
		for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
			strbuf_clear(&text);
			strbuf_addf(&text, "%s%s%s", open, rows[k].before, rows[k].behind);
			expect(t, text.ptr, rows[k].ok);
			strbuf_addf(&text, "%s", d->open[0]);
			expect(t, text.ptr, false);
		}
		strbuf_clear(&text);
		strbuf_addf(&text, "%sa%sb%sc", open, close, call.ptr);
		expect(t, text.ptr, choice == DIALECT_AUTO);
		strbuf_free(&call);
		strbuf_free(&text);
		drop(t);
	}
}

static void try_thinking(struct trial *t, const struct dialect *d)
{
	const struct dialect_thinking *think;
	struct strbuf call = {0}, text = {0};
	compile(t, d, 5, DIALECT_REQUIRED, true, DIALECT_THINKING_OPEN);
	think = t->found.thinking;
	written(t, good, 1, &call);
	bool harmony = d->body == BODY_HARMONY;
	strbuf_addf(&text, "%sa <b> c\n%s\n%s", harmony ? think->open : "", think->close,
		    harmony ? "<|start|>assistant" : "");
	if (harmony)
		text.ptr[text.len - strlen("\n<|start|>assistant")] = '\0';
	if (harmony)
		strbuf_clear(&text),
			strbuf_addf(&text, "%sa <b> c%s<|start|>assistant", think->open, think->close);
	strbuf_addf(&text, "%s", call.ptr);
	expect(t, text.ptr, true);
	bool unclosed = d->flags & DIALECT_ENDS_THINKING;
	expect(t, call.ptr, harmony || unclosed);
	drop(t);
	if (unclosed)
		try_call_in_thinking(t, d);
	if (!harmony) {
		compile(t, d, 5, DIALECT_REQUIRED, true, DIALECT_MAY_THINK);
		expect(t, call.ptr, true);
		strbuf_clear(&text);
		strbuf_addf(&text, "%s\na\n%s\n\n%s", think->open, think->close, call.ptr);
		expect(t, text.ptr, true);
		drop(t);
	}
	strbuf_free(&call);
	strbuf_free(&text);
}

static void try_all(const char *const *names)
{
	struct markers m;
	open_markers(&m, names);
	struct trial t = {.m = &m, .v = vocab_of(&m)};
	assert_int_equal(jv_parse(STR_LIT(tools_json), JV_STRICT, &t.tools, NULL), HOKKU_OK);
	for (size_t i = 0; dialect_at(i); i++) {
		try_row(&t, dialect_at(i), DIALECT_SPACED | DIALECT_SOFT_BREAKS);
		try_row(&t, dialect_at(i), DIALECT_TIGHT);
		try_thinking(&t, dialect_at(i));
	}
	jv_doc_free(&t.tools);
	constrain_vocab_free(t.v);
	tok_destroy(m.tok);
}

static void markers_as_text(void **state)
{
	(void)state;
	try_all((const char *const[]){NULL});
}

static void markers_as_tokens(void **state)
{
	(void)state;
	static const char *const names[] = {"[TOOL_CALLS]",
					    "[ARGS]",
					    "[CALL_ID]",
					    "[THINK]",
					    "[/THINK]",
					    "<|python_tag|>",
					    "<tool_call>",
					    "</tool_call>",
					    "<think>",
					    "</think>",
					    "<|tool_call>",
					    "<tool_call|>",
					    "<|\"|>",
					    "<|channel|>",
					    "<|message|>",
					    "<|start|>",
					    "<|end|>",
					    "<|call|>",
					    "<|return|>",
					    "<|START_ACTION|>",
					    "<|END_ACTION|>",
					    "<|START_THINKING|>",
					    "<|END_THINKING|>",
					    "<|START_RESPONSE|>",
					    "<|END_RESPONSE|>",
					    "<\uff5ctool\u2581calls\u2581begin\uff5c>",
					    "<\uff5ctool\u2581call\u2581begin\uff5c>",
					    "<\uff5ctool\u2581sep\uff5c>",
					    "<\uff5ctool\u2581call\u2581end\uff5c>",
					    "<\uff5ctool\u2581calls\u2581end\uff5c>",
					    "<|tool_call_start|>",
					    "<|tool_call_end|>",
					    "<|open|>",
					    "<|close|>",
					    "<|sep|>",
					    NULL};
	try_all(names);
}

/* ---- what is drawn ---- */

struct drawn {
	struct strbuf args, text;
	uint32_t n_begun, n_ended;
	struct strbuf name;
	const struct trial *t;
};

/* Are the arguments of the call that has ended by its tool's schema? */
static void check_call(struct drawn *h)
{
	struct jv_doc doc;
	struct hokku_error err = {0};
	int64_t days;
	bool find_tool = strcmp(h->name.ptr, "find") == 0;
	if (jv_parse((struct str){h->args.ptr, h->args.len}, JV_STRICT, &doc, &err))
		fail_msg("%s: %s: %s\n%s", h->t->label, err.message, h->args.ptr, h->text.ptr);
	const struct jv *unit = jv_get(&doc.root, "unit");
	bool ok = find_tool || strcmp(h->name.ptr, "now") == 0;
	if (find_tool)
		ok = jv_is(jv_get(&doc.root, "place"), JV_STRING) &&
		     jv_int(jv_get(&doc.root, "days"), &days) && days >= 1 &&
		     (!unit || str_eq_c(jv_str(unit), "km") || str_eq_c(jv_str(unit), "mi")) &&
		     doc.root.n == 2u + !!unit;
	else
		ok = ok && doc.root.n == 0;
	if (!ok)
		fail_msg("%s: %s(%s) out of\n%s", h->t->label, h->name.ptr, h->args.ptr, h->text.ptr);
	jv_doc_free(&doc);
}

static void hear(void *user, const struct part *p)
{
	struct drawn *h = user;
	if (p->kind == PART_CALL) {
		strbuf_clear(&h->name);
		strbuf_add(&h->name, p->text.ptr, p->text.len);
		strbuf_clear(&h->args);
		h->n_begun++;
	} else if (p->kind == PART_ARGUMENTS) {
		strbuf_add(&h->args, p->text.ptr, p->text.len);
	} else if (p->kind == PART_CALL_END) {
		check_call(h);
		h->n_ended++;
	}
}

static bool bit(const uint32_t *bits, uint32_t i)
{
	return bits[i / 32] >> i % 32 & 1;
}

/* One of the allowed tokens; rather one that goes on to an end than another letter of a text. */
static uint32_t draw(const uint32_t *bits, uint32_t n, uint64_t seed, uint64_t at)
{
	static const char endings[] = "\"'}]<)>\n";
	uint32_t r[4], allowed = 0;
	rng_words(seed, 0, at, r);
	for (uint32_t i = 256; i < n && r[0] % 2; i++)
		if (bit(bits, i))
			return i;
	for (size_t k = 0; k + 1 < sizeof endings && r[1] % 3; k++) {
		unsigned char c = (unsigned char)endings[(k + r[2]) % (sizeof endings - 1)];
		if (bit(bits, c))
			return c;
	}
	for (uint32_t i = 0; i < n; i++)
		allowed += bit(bits, i);
	if (!allowed)
		return n;
	allowed = r[3] % allowed;
	for (uint32_t i = 0;; i++)
		if (bit(bits, i) && !allowed--)
			return i;
}

static void draw_and_read(struct trial *t, bool must_call, uint64_t seed)
{
	enum { MOST = 4000 };
	struct drawn h = {.t = t};
	struct constrain_walk *w = constrain_begin(t->c);
	uint32_t bits[32];
	bool ended = false;
	for (uint64_t at = 0; at < MOST && !ended; at++) {
		assert_int_equal(constrain_mask(w, bits), CONSTRAIN_TAKEN);
		uint32_t token = draw(bits, t->m->n, seed, at);
		enum constrain_taken taken = constrain_take(w, (int32_t)token);
		ended = taken == CONSTRAIN_DONE;
		assert_true(ended || taken == CONSTRAIN_TAKEN);
		if (!ended)
			strbuf_add(&h.text, tok_bytes(t->m->tok, (int32_t)token).ptr,
				   tok_bytes(t->m->tok, (int32_t)token).len);
	}
	constrain_end(w);
	struct dialect_reading how = {.dialect = t->found.dialect,
				      .thinking = must_call ? t->found.thinking : NULL,
				      .tools = &t->tools.root,
				      .prompt = t->found.dialect->flags & DIALECT_RECIPIENT ? STR_LIT(">>>")
											    : STR_LIT("")};
	struct dialect_reader *r = dialect_reader_new(&how, hear, &h);
	dialect_reader_feed(r, (struct str){h.text.ptr, h.text.len}, NULL);
	dialect_reader_end(r, NULL);
	if (ended && ((must_call && !h.n_begun) || h.n_begun != h.n_ended) &&
	    dialect_reader_calls(r) < DIALECT_MAX_CALLS)
		fail_msg("%s: %u calls begun, %u ended, out of\n%s", t->label, h.n_begun, h.n_ended,
			 h.text.ptr);
	dialect_reader_free(r);
	strbuf_free(&h.text);
	strbuf_free(&h.args);
	strbuf_free(&h.name);
}

static void drawn_calls_are_read(void **state)
{
	(void)state;
	enum { SEEDS = 3 };
	static const char *const names[] = {"<tool_call>", "[TOOL_CALLS]", "<|\"|>",
					    "<|channel|>", "<|message|>",  NULL};
	struct markers m;
	open_markers(&m, names);
	struct trial t = {.m = &m, .v = vocab_of(&m)};
	assert_int_equal(jv_parse(STR_LIT(tools_json), JV_STRICT, &t.tools, NULL), HOKKU_OK);
	for (size_t i = 0; dialect_at(i); i++) {
		for (int must_call = 0; must_call <= 1; must_call++) {
			compile(&t, dialect_at(i), i % 2 ? 5 : 0, must_call ? DIALECT_REQUIRED : DIALECT_AUTO,
				true, DIALECT_NO_THINKING);
			for (uint64_t seed = 0; seed < SEEDS; seed++)
				draw_and_read(&t, must_call, seed * 100 + i);
			drop(&t);
		}
	}
	jv_doc_free(&t.tools);
	constrain_vocab_free(t.v);
	tok_destroy(m.tok);
}

static struct str token_text(const void *user, int32_t token)
{
	return tok_bytes(((const struct trial *)user)->m->tok, token);
}

enum { BUDGET = 6 };

/* The rules of thinking that has a budget; ids: what closes it. */
static struct rules *budget_of(struct trial *t, const struct dialect_reading *how, int32_t ids[64])
{
	struct str close = str_c(t->found.thinking->close);
	int32_t special = tok_find_special(t->m->tok, close);
	uint32_t n = special < 0 ? (uint32_t)close.len : 1, ends[32] = {0};
	struct hokku_error err;
	struct rules *r;
	for (uint32_t i = 0; i < n; i++)
		ids[i] = special < 0 ? (unsigned char)close.ptr[i] : special;
	const struct token_rules rules = {.thinking = {.max = BUDGET,
						       .close = close,
						       .close_ids = ids,
						       .n_close = n,
						       .how = how,
						       .bytes = token_text,
						       .user = t}};
	assert_int_equal(rules_new(&rules, NULL, 0, ends, t->m->n, &r, &err), HOKKU_OK);
	return r;
}

/* Draws an answer that begins inside thinking with a budget, and reads it whole and byte by byte. True: a
 * call came out of thinking that nothing closed. */
static bool draw_thinking(struct trial *t, uint64_t seed)
{
	enum { MOST = 1500 };
	int32_t ids[64], answer[MOST];
	uint32_t bits[32], n = 0;
	const struct dialect_thinking *think = t->found.thinking;
	const struct dialect_reading how = {.dialect = t->found.dialect,
					    .thinking = think,
					    .tools = &t->tools.root,
					    .prompt = str_c(think->open)};
	struct rules *r = budget_of(t, &how, ids);
	struct drawn h = {.t = t};
	struct constrain_walk *w = constrain_begin(t->c);
	bool ended = false;
	while (n < MOST && !ended) {
		assert_int_equal(constrain_mask(w, bits), CONSTRAIN_TAKEN);
		uint32_t token = draw(rules_mask(r, answer, n, n, bits), t->m->n, seed, n);
		if (token == t->m->n)
			fail_msg("%s: nothing may come behind\n%s", t->label, h.text.ptr);
		ended = constrain_take(w, (int32_t)token) == CONSTRAIN_DONE;
		answer[n++] = (int32_t)token;
		if (!ended)
			strbuf_add(&h.text, token_text(t, (int32_t)token).ptr,
				   token_text(t, (int32_t)token).len);
	}
	constrain_end(w);
	rules_free(r);
	struct parts_seen all = seen_none(), cut = seen_none();
	struct str text = {h.text.ptr ? h.text.ptr : "", h.text.len};
	seen_run(&all, &how, text, 0, text.len ? text.len : 1);
	seen_run(&cut, &how, text, 0, 1);
	assert_string_equal(all.all.ptr, cut.all.ptr);
	/* What closes it is nobody's part; thinking has its budget, and no more than what closes it. */
	if (strstr(all.all.ptr, think->close))
		fail_msg("%s: %s", t->label, all.all.ptr);
	bool called = strncmp(all.all.ptr, "call", 4) == 0 ||
		      !memmem(text.ptr, text.len, think->close, strlen(think->close));
	size_t thought = strncmp(all.all.ptr, "thinking ", 9) ? 0 : strcspn(all.all.ptr, "\n") - 9;
	assert_true(thought <= (BUDGET + 1) * READER_MAX_MARKER);
	struct dialect_reader *reader = dialect_reader_new(&how, hear, &h);
	dialect_reader_feed(reader, text, NULL);
	dialect_reader_end(reader, NULL);
	if (ended && h.n_begun != h.n_ended)
		fail_msg("%s: %u calls begun, %u ended, out of\n%s", t->label, h.n_begun, h.n_ended,
			 text.ptr);
	called = called && h.n_begun;
	dialect_reader_free(reader);
	strbuf_free(&all.all);
	strbuf_free(&cut.all);
	strbuf_free(&h.text);
	strbuf_free(&h.args);
	strbuf_free(&h.name);
	return called;
}

/* Where a model calls out of its thinking, as some do not close it, the budget does not break the call. */
static void drawn_thinking_ends(void **state)
{
	(void)state;
	enum { SEEDS = 4 };
	static const char *const names[] = {"<tool_call>",  "</think>",         "<minimax:tool_call>",
					    "[TOOL_CALLS]", "<|END_THINKING|>", NULL};
	struct markers m;
	uint32_t n_called = 0;
	open_markers(&m, names);
	struct trial t = {.m = &m, .v = vocab_of(&m)};
	assert_int_equal(jv_parse(STR_LIT(tools_json), JV_STRICT, &t.tools, NULL), HOKKU_OK);
	for (size_t i = 0; dialect_at(i); i++) {
		const struct dialect *d = dialect_at(i);
		if (d->body == BODY_HARMONY || d->flags & DIALECT_RECIPIENT)
			continue; /* their prompts do not end inside thinking */
		for (int must_call = 0; must_call <= 1; must_call++) {
			compile(&t, d, i % 2 ? 5 : 0, must_call ? DIALECT_REQUIRED : DIALECT_AUTO, true,
				DIALECT_THINKING_OPEN);
			for (uint64_t seed = 0; seed < SEEDS; seed++)
				n_called += draw_thinking(&t, seed * 100 + i);
			drop(&t);
		}
	}
	assert_true(n_called > 4);
	jv_doc_free(&t.tools);
	constrain_vocab_free(t.v);
	tok_destroy(m.tok);
}

/* Strings that stand bare are held to their lengths and patterns, and read back as they are. */
static void strings_are_held(void **state)
{
	(void)state;
	static const char *const dialects[] = {"qwen3-coder",   "glm-4.5", "minimax-m2", "gemma-4",  "hermes",
					       "deepseek-v3.2", "kimi-k3", "seed-oss",   "minicpm5", NULL};
	static const char *const names[] = {"<tool_call>", NULL};
	static const char tools[] =
		"[{\"type\": \"function\", \"function\": {\"name\": \"find\", \"parameters\": {\"type\": \"object\", "
		"\"properties\": {\"place\": {\"type\": \"string\", \"minLength\": 3, \"maxLength\": 5, \"pattern\": "
		"\"^[ab\\\\n]*$\"}}, \"required\": [\"place\"], \"additionalProperties\": false}}}]";
	static const struct {
		const char *args[1];
		bool good;
	} rows[] = {{{"{\"place\": \"aba\"}"}, true},     {{"{\"place\": \"ababa\"}"}, true},
		    {{"{\"place\": \"\\na\\n\"}"}, true}, {{"{\"place\": \"ab\"}"}, false},
		    {{"{\"place\": \"ababab\"}"}, false}, {{"{\"place\": \"abc\"}"}, false},
		    {{"{\"place\": \"\"}"}, false}};
	struct markers m;
	open_markers(&m, names);
	struct trial t = {.m = &m, .v = vocab_of(&m)};
	struct strbuf text = {0};
	assert_int_equal(jv_parse(STR_LIT(tools), JV_STRICT, &t.tools, NULL), HOKKU_OK);
	for (size_t i = 0; dialects[i]; i++) {
		compile(&t, dialect_find(dialects[i]), 0, DIALECT_REQUIRED, true, DIALECT_NO_THINKING);
		for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
			written(&t, rows[k].args, 1, &text);
			expect(&t, text.ptr, rows[k].good);
		}
		drop(&t);
	}
	strbuf_free(&text);
	jv_doc_free(&t.tools);
	constrain_vocab_free(t.v);
	tok_destroy(m.tok);
}

/* ---- what cannot be ---- */

#define TOOL(name, schema) \
	"[{\"type\": \"function\", \"function\": {\"name\": " name ", \"parameters\": " schema "}}]"
#define OBJECT(properties) "{\"type\": \"object\", \"properties\": {" properties "}}"

static const struct {
	const char *dialect, *tools;
	enum dialect_choice choice;
	const char *field, *message; /* NULL: no error, and no shape */
} refused[] = {
	{"hermes", "[]", DIALECT_AUTO, "tools", "tools is empty; a call needs one at least"},
	{"hermes", TOOL("\"a\"", "{}"), DIALECT_NAMED, "tool_choice",
	 "tool_choice names \"find\", which is none of the tools"},
	{"hermes", TOOL("5", "{}"), DIALECT_AUTO, "tools[0].function.name",
	 "tools[0].function.name is 5; it takes a name of 1 to 256 bytes"},
	{"hermes", TOOL("\"\"", "{}"), DIALECT_AUTO, "tools[0].function.name",
	 "tools[0].function.name is \"\"; it takes a name of 1 to 256 bytes"},
	{"hermes", "[{\"name\": \"a\"}, {\"name\": \"a b\"}]", DIALECT_AUTO, "tools[1].name",
	 "tools[1].name is \"a b\"; it takes no blanks, quotes and brackets, which models write around names"},
	{"hermes", TOOL("\"a\"", "{\"type\": \"string\"}"), DIALECT_REQUIRED, "tools[0].function.parameters",
	 "tools[0].function.parameters has the \"type\" \"string\"; the arguments of a call are an object"},
	{"mistral", TOOL("\"a\"", "{\"type\": [\"null\", \"array\"]}"), DIALECT_REQUIRED,
	 "tools[0].function.parameters",
	 "tools[0].function.parameters has the \"type\" [\"null\",\"array\"]; the arguments of a call are an object"},
	{"hermes", TOOL("\"a\"", "{\"type\": \"string\"}"), DIALECT_AUTO, NULL, NULL},
	{"hermes", TOOL("\"a\"", "[]"), DIALECT_AUTO, "tools[0].function.parameters",
	 "tools[0].function.parameters is []; it takes a JSON Schema of an object"},
	{"qwen3-coder", TOOL("\"a\"", OBJECT("\"x\": {\"type\": \"string\", \"format\": \"date\"}")),
	 DIALECT_REQUIRED, "tools[0].function.parameters/properties/x",
	 "tools[0].function.parameters/properties/x has \"format\", which the dialect qwen3-coder cannot hold text in "
	 "markup to; leave it out, or ask for no call of this tool"},
	{"qwen3-coder", TOOL("\"a\"", OBJECT("\"x\": {\"type\": \"string\", \"format\": \"date\"}")),
	 DIALECT_AUTO, NULL, NULL},
	{"glm-4.5", TOOL("\"a\"", OBJECT("\"x\": {\"type\": \"string\", \"minLength\": -1}")),
	 DIALECT_REQUIRED, "tools[0].function.parameters/properties/x",
	 "tools[0].function.parameters/properties/x has a \"minLength\" that is no count"},
	{"glm-4.5", TOOL("\"a\"", OBJECT("\"x\": {\"type\": \"string\", \"pattern\": 1}")), DIALECT_REQUIRED,
	 "tools[0].function.parameters/properties/x",
	 "tools[0].function.parameters/properties/x has a \"pattern\" that is no regular expression"},
	{"glm-4.5", TOOL("\"a\"", OBJECT("\"x\": {\"minLength\": 1}")), DIALECT_REQUIRED,
	 "tools[0].function.parameters/properties/x",
	 "tools[0].function.parameters/properties/x has \"minLength\", which the dialect glm-4.5 cannot hold text in "
	 "markup to; leave it out, or ask for no call of this tool"},
	{"qwen3-coder", TOOL("\"a\"", "{\"type\": \"object\", \"anyOf\": []}"), DIALECT_REQUIRED,
	 "tools[0].function.parameters",
	 "tools[0].function.parameters has \"anyOf\", which the dialect qwen3-coder cannot hold parameters to; leave it "
	 "out, or ask for no call of this tool"},
	{"glm-4.5", TOOL("\"a\"", "{\"type\": \"object\", \"required\": [\"y\"]}"), DIALECT_REQUIRED,
	 "tools[0].function.parameters",
	 "tools[0].function.parameters requires \"y\", which its properties do not declare"},
	{"gemma-4", TOOL("\"a\"", OBJECT("\"x\": {\"type\": \"array\"}")), DIALECT_REQUIRED,
	 "tools[0].function.parameters/properties/x",
	 "tools[0].function.parameters/properties/x says nothing of its items, and the dialect gemma-4 can be held to "
	 "declared ones only"},
	{"lfm2", TOOL("\"a\"", OBJECT("\"x\": {}")), DIALECT_REQUIRED,
	 "tools[0].function.parameters/properties/x",
	 "tools[0].function.parameters/properties/x allows values of several types, or does not say which, and the dialect "
	 "lfm2 can be held to one of them only"},
	{"gemma-4",
	 TOOL("\"a\"",
	      "{\"type\": \"object\", \"properties\": {\"x\": {\"$ref\": \"#/$defs/t\"}}, \"$defs\": {\"t\": {\"type\": "
	      "\"array\", \"items\": {\"$ref\": \"#/$defs/t\"}}}}"),
	 DIALECT_REQUIRED, "tools[0].function.parameters/properties/x",
	 "tools[0].function.parameters/properties/x has more than 10000 values, or some nested more than 32 deep, which the "
	 "dialect gemma-4 cannot be held to"},
};

static void refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		struct jv_doc tools;
		struct hokku_error err = {0};
		struct dialect_shape shape;
		struct dialect_found found = {.dialect = dialect_find(refused[i].dialect),
					      .thinking = dialect_thinking_at(0)};
		char field[128];
		assert_int_equal(jv_parse(str_c(refused[i].tools), JV_STRICT, &tools, NULL), HOKKU_OK);
		struct dialect_shaping how = {.found = &found,
					      .tools = &tools.root,
					      .choice = refused[i].choice,
					      .name = STR_LIT("find")};
		enum hokku_code rc = dialect_shape(&how, &shape, field, &err);
		if (refused[i].message) {
			assert_int_equal(rc, HOKKU_INVALID_REQUEST);
			assert_string_equal(err.message, refused[i].message);
			assert_string_equal(field, refused[i].field);
		} else {
			assert_int_equal(rc, HOKKU_OK);
			assert_int_equal(shape.text.len, 0);
		}
		dialect_shape_free(&shape);
		jv_doc_free(&tools);
	}
}

/* A fault that the compiler finds in a schema is told as the request's. */
static void faults_have_the_requests_place(void **state)
{
	(void)state;
	static const char *const names[] = {NULL};
	static const char tools[] =
		"[{\"name\": \"ok\"}, {\"type\": \"function\", \"function\": {\"name\": \"a\", \"parameters\": {\"type\": "
		"\"object\", \"properties\": {\"x\": {\"type\": \"integer\", \"minimum\": \"y\"}}}}}]";
	for (size_t i = 0; dialect_at(i); i++) {
		struct markers m;
		struct jv_doc doc;
		struct hokku_error err = {0};
		struct dialect_shape shape;
		struct constrain_fault fault = {""};
		struct constrain *c = NULL;
		char field[256];
		open_markers(&m, names);
		struct constrain_vocab *v = vocab_of(&m);
		struct dialect_found found = {.dialect = dialect_at(i), .thinking = dialect_thinking_at(0)};
		assert_int_equal(jv_parse(STR_LIT(tools), JV_STRICT, &doc, NULL), HOKKU_OK);
		struct dialect_shaping how = {
			.found = &found, .tools = &doc.root, .choice = DIALECT_REQUIRED, .parallel = true};
		assert_int_equal(dialect_shape(&how, &shape, field, &err), HOKKU_OK);
		const struct constrain_shape text = {.kind = CONSTRAIN_STRUCTURE,
						     .text = {shape.text.ptr, shape.text.len}};
		assert_int_equal(constrain_new(v, &text, NULL, &c, &fault, &err), HOKKU_INVALID_REQUEST);
		if (!dialect_shape_place(&shape, fault.place, field, sizeof field) ||
		    strcmp(field, "tools[1].function.parameters/properties/x/minimum") != 0)
			fail_msg("%s: %s (%s)", dialect_name(dialect_at(i)), fault.place, err.message);
		assert_false(dialect_shape_place(&shape, "/format", field, sizeof field));
		dialect_shape_free(&shape);
		jv_doc_free(&doc);
		constrain_vocab_free(v);
		tok_destroy(m.tok);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(markers_as_text),
		cmocka_unit_test(markers_as_tokens),
		cmocka_unit_test(drawn_calls_are_read),
		cmocka_unit_test(drawn_thinking_ends),
		cmocka_unit_test(strings_are_held),
		cmocka_unit_test(refusals),
		cmocka_unit_test(faults_have_the_requests_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
