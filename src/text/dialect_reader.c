/*
 * The reader: text, thinking, the markers between them, and what every state of a call shares. White space
 * that touches a marker is the dialect's: after one all of it, before one the last DIALECT_MAX_SPACE_BYTES.
 */
#include <stdlib.h>

#include "text/dialect_internal.h"

/* ---- what goes out ---- */

enum { OUT_MAX = 1 << 16 };

/* Bytes at the end of out that begin a character and do not end it. */
static size_t unfinished(const struct strbuf *b)
{
	for (size_t back = 1; back <= 3 && back <= b->len; back++) {
		unsigned char c = (unsigned char)b->ptr[b->len - back];
		if ((c & 0xC0) == 0x80)
			continue;
		size_t n = c >= 0xF0 && c < 0xF8 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
		return c < 0xF8 && n > back ? back : 0;
	}
	return 0;
}

static void tell(struct dialect_reader *r, enum part_kind kind, struct str text)
{
	struct part part = {.kind = kind, .text = text};
	if (kind != PART_TEXT && kind != PART_THINKING)
		part.call = r->n_calls - 1;
	if (!r->no_memory)
		r->sink(r->user, &part);
}

static void flush(struct dialect_reader *r, bool all)
{
	if (r->out.failed)
		r->no_memory = true;
	if (r->no_memory || !r->out.len)
		return;
	size_t keep = all ? 0 : unfinished(&r->out), n = r->out.len - keep;
	if (n)
		tell(r, r->out_kind, (struct str){r->out.ptr, n});
	memmove(r->out.ptr, r->out.ptr + n, keep);
	r->out.len = keep;
}

void reader_emit(struct dialect_reader *r, enum part_kind kind, const char *bytes, size_t n)
{
	if (kind != r->out_kind)
		flush(r, true);
	r->out_kind = kind;
	strbuf_add(&r->out, bytes, n);
	if (r->out.len >= OUT_MAX)
		flush(r, false);
}

void reader_add(struct dialect_reader *r, struct strbuf *b, char c)
{
	strbuf_add(b, &c, 1);
	if (b->failed)
		r->no_memory = true;
}

void reader_arguments(struct dialect_reader *r, const char *bytes, size_t n)
{
	if (r->args_held) {
		strbuf_add(&r->args, bytes, n);
		if (r->args.failed)
			r->no_memory = true;
	} else {
		reader_emit(r, PART_ARGUMENTS, bytes, n);
	}
}

void reader_argument_byte(struct dialect_reader *r, char b)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt", hex[] = "0123456789abcdef";
	const char *at = b ? strchr(from, b) : NULL;
	if (at)
		reader_arguments(r, (char[]){'\\', to[at - from]}, 2);
	else if ((unsigned char)b < 0x20)
		reader_arguments(r, (char[]){'\\', 'u', '0', '0', hex[b >> 4 & 15], hex[b & 15]}, 6);
	else
		reader_arguments(r, &b, 1);
}

/* ---- text ---- */

static void say(struct dialect_reader *r, const char *bytes, size_t n)
{
	reader_emit(r, r->in_thinking ? PART_THINKING : PART_TEXT, bytes, n);
}

static void let_space_go(struct dialect_reader *r, uint32_t n)
{
	for (; n; n--) {
		say(r, &r->space[r->space_at], 1);
		r->space_at = (r->space_at + 1) % DIALECT_MAX_SPACE_BYTES;
		r->space_n--;
	}
}

/* A byte that is no part of a marker. */
static void plain(struct dialect_reader *r, char b)
{
	if (is_space(b)) {
		if (r->after_marker)
			return;
		if (r->space_n == DIALECT_MAX_SPACE_BYTES)
			let_space_go(r, 1);
		r->space[(r->space_at + r->space_n++) % DIALECT_MAX_SPACE_BYTES] = b;
		return;
	}
	let_space_go(r, r->space_n);
	say(r, &b, 1);
	r->after_marker = false;
	r->said = r->said || !r->in_thinking;
}

void reader_mark(struct dialect_reader *r)
{
	r->space_n = 0;
	r->after_marker = true;
	r->said = false;
}

/* ---- markers in text ---- */

static enum step opens_thinking(struct dialect_reader *r, char b)
{
	(void)b;
	reader_mark(r);
	r->in_thinking = true;
	return STEP_TAKEN;
}

static enum step closes_thinking(struct dialect_reader *r, char b)
{
	(void)b;
	reader_mark(r);
	r->in_thinking = false;
	return STEP_TAKEN;
}

/* A marker around text, which says nothing. */
static enum step dropped(struct dialect_reader *r, char b)
{
	(void)b;
	bool said = r->said;
	reader_mark(r);
	r->said = said;
	return STEP_TAKEN;
}

static void section_begins(struct dialect_reader *r, const char *marker)
{
	size_t n = strlen(marker);
	reader_new_call(r);
	r->matched_open = marker;
	r->n_section = 0;
	r->in_list = n && marker[n - 1] == '[';
	r->list_done = false;
	switch (r->d->body) {
	case BODY_JSON:
	case BODY_MAP:
		json_begin(r);
		break;
	case BODY_TAGGED:
	case BODY_MARKUP:
		tagged_begin(r);
		break;
	case BODY_GEMMA:
		gemma_begin(r);
		break;
	case BODY_PYTHON:
		python_begin(r);
		break;
	case BODY_HARMONY:
		break;
	}
}

static enum step opens_calls(struct dialect_reader *r, char b)
{
	(void)b;
	reader_raw_begin(r, r->held, r->held_n - 1); /* the last byte is added where it is taken */
	section_begins(r, r->matched_open);
	return STEP_TAKEN;
}

static void add(struct dialect_reader *r, const char *literal, step_fn *then)
{
	if (literal && *literal && r->n_alts < READER_MAX_ALTS)
		r->alts[r->n_alts++] = (struct reader_alt){literal, then, 0};
}

/* The markers that count here. */
static void markers(struct dialect_reader *r)
{
	const struct dialect *d = r->d;
	r->n_alts = 0;
	if (d->body == BODY_HARMONY) {
		harmony_markers(r);
		return;
	}
	if (r->thinking && r->in_thinking) {
		add(r, r->thinking->close, closes_thinking);
		for (size_t i = 0; i < 4 && d->flags & DIALECT_TEXT_ENDS_THINKING; i++)
			add(r, d->drop[i], closes_thinking);
		if (r->after_marker) /* what the template has opened, opened again */
			add(r, r->thinking->open, opens_thinking);
	} else if (r->thinking && (!r->said || r->thinking->anywhere)) {
		add(r, r->thinking->open, opens_thinking);
		add(r, r->thinking->close, closes_thinking);
	}
	bool calls = r->tools && (!r->in_thinking || d->flags & DIALECT_ENDS_THINKING);
	for (size_t i = 0; i < 3 && calls; i++)
		add(r, d->open[i], opens_calls);
	for (size_t i = 0; i < 4 && !r->in_thinking; i++)
		add(r, d->drop[i], dropped);
}

/* Of the alternatives: the one that held is; *partly: it begins some. */
static struct reader_alt *match(struct dialect_reader *r, bool *partly)
{
	*partly = false;
	for (uint32_t i = 0; i < r->n_alts; i++) {
		struct reader_alt *a = &r->alts[i];
		size_t n = strlen(a->literal);
		if (n < r->held_n || memcmp(a->literal, r->held, r->held_n) != 0)
			continue;
		if (n == r->held_n)
			return a;
		*partly = true;
	}
	return NULL;
}

enum step step_text(struct dialect_reader *r, char b)
{
	char bare = r->d->body == BODY_PYTHON ? '[' : '{';
	if (r->d->flags & DIALECT_BARE && r->tools && b == bare && !r->said && !r->held_n &&
	    !r->in_thinking) {
		reader_raw_begin(r, NULL, 0);
		section_begins(r, "");
		return STEP_AGAIN;
	}
	r->held[r->held_n++] = b;
	while (r->held_n) {
		bool partly;
		markers(r);
		struct reader_alt *a = match(r, &partly);
		if (a) {
			r->matched_open = a->literal;
			enum step s = a->then(r, b);
			r->held_n = 0;
			return s;
		}
		if (partly)
			break;
		plain(r, r->held[0]);
		memmove(r->held, r->held + 1, --r->held_n);
	}
	return STEP_TAKEN;
}

/* ---- alternatives inside calls ---- */

void expect_none(struct dialect_reader *r)
{
	r->n_alts = r->held_n = 0;
}

void expect_add(struct dialect_reader *r, const char *literal, step_fn *then)
{
	add(r, literal, then);
}

enum step step_expect(struct dialect_reader *r, char b)
{
	if (!r->held_n && is_space(b))
		return STEP_TAKEN;
	bool partly;
	r->held[r->held_n++] = b;
	struct reader_alt *a = match(r, &partly);
	if (a) {
		r->held_n = 0;
		r->matched = a;
		return a->then(r, b);
	}
	if (partly)
		return STEP_TAKEN;
	r->held_n--;
	return STEP_FAIL;
}

enum step reader_section_end(struct dialect_reader *r, enum step s)
{
	reader_mark(r);
	r->held_n = 0;
	r->keeps_raw = false;
	strbuf_clear(&r->raw);
	r->step = step_text;
	return s;
}

/* ---- calls ---- */

void reader_raw_begin(struct dialect_reader *r, const char *bytes, size_t n)
{
	strbuf_clear(&r->raw);
	if (n)
		strbuf_add(&r->raw, bytes, n);
	r->keeps_raw = true;
}

void reader_new_call(struct dialect_reader *r)
{
	strbuf_clear(&r->name);
	strbuf_clear(&r->key);
	strbuf_clear(&r->args);
	strbuf_clear(&r->value);
	r->has_name = r->args_held = r->args_done = false;
	r->env_depth = 0;
}

static int by_name(const void *a, const void *b)
{
	const struct reader_tool *x = a, *y = b;
	size_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
	int order = n ? memcmp(x->name.ptr, y->name.ptr, n) : 0;
	return order ? order : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

const struct jv *reader_tool(const struct dialect_reader *r, struct str name)
{
	const struct reader_tool wanted = {.name = name};
	const struct reader_tool *found =
		r->tools ? bsearch(&wanted, r->tools, r->n_tools, sizeof wanted, by_name) : NULL;
	return found ? found->function : NULL;
}

/* False: no memory. */
static bool sort_tools(struct dialect_reader *r, const struct jv *tools)
{
	size_t n = jv_len(tools);
	if (!n)
		return true;
	r->tools = calloc(n, sizeof *r->tools);
	if (!r->tools)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct jv *tool = jv_at(tools, i), *f = jv_get(tool, "function");
		f = f ? f : tool;
		struct str name = jv_str(jv_get(f, "name"));
		r->tools[r->n_tools++] = (struct reader_tool){name.ptr ? name : (struct str){"", 0}, f};
	}
	qsort(r->tools, r->n_tools, sizeof *r->tools, by_name);
	return true;
}

/* "functions.NAME:3" */
static void unnumber(struct strbuf *name)
{
	static const char prefix[] = "functions.";
	size_t n = name->len;
	while (n && name->ptr[n - 1] >= '0' && name->ptr[n - 1] <= '9')
		n--;
	if (n && n < name->len && name->ptr[n - 1] == ':')
		name->ptr[name->len = n - 1] = '\0';
	if (str_starts((struct str){name->ptr, name->len}, STR_LIT(prefix))) {
		name->len -= sizeof prefix - 1;
		memmove(name->ptr, name->ptr + sizeof prefix - 1, name->len + 1);
	}
}

bool reader_name_ok(struct dialect_reader *r)
{
	if (r->d->flags & DIALECT_NUMBERED && r->name.len)
		unnumber(&r->name);
	struct str name = {r->name.ptr, r->name.len};
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.ptr[i] < 0x20)
			return false;
	bool must_be_known = r->in_thinking || r->d->flags & DIALECT_KNOWN_ONLY;
	return name.len && name.len <= DIALECT_MAX_NAME_BYTES && r->n_calls < DIALECT_MAX_CALLS &&
	       (!must_be_known || reader_tool(r, name));
}

bool reader_begin_call(struct dialect_reader *r)
{
	if (!reader_name_ok(r))
		return false;
	flush(r, true);
	r->in_thinking = false;
	reader_mark(r);
	r->keeps_raw = false;
	strbuf_clear(&r->raw);
	r->n_calls++;
	r->n_section++;
	r->in_call = true;
	tell(r, PART_CALL, (struct str){r->name.ptr, r->name.len});
	return true;
}

void reader_end_call(struct dialect_reader *r)
{
	flush(r, true);
	tell(r, PART_CALL_END, (struct str){"", 0});
	r->in_call = false;
	r->has_name = false;
}

static void take(struct dialect_reader *r, char b);

/* What was kept is text; the byte at fault begins anew. */
static void fail(struct dialect_reader *r)
{
	char held[READER_MAX_MARKER];
	uint32_t n = r->keeps_raw ? 0 : r->held_n;
	memcpy(held, r->held, n);
	r->held_n = 0;
	r->step = step_text;
	r->in_call = r->has_name = false;
	if (r->keeps_raw) {
		r->keeps_raw = false;
		for (size_t i = 0; i < r->raw.len; i++)
			plain(r, r->raw.ptr[i]);
		strbuf_clear(&r->raw);
		return;
	}
	reader_mark(r);
	for (uint32_t i = 0; i < n; i++)
		take(r, held[i]);
}

static void take(struct dialect_reader *r, char b)
{
	for (;;) {
		enum step s = r->step(r, b);
		if (s == STEP_TAKEN) {
			if (r->keeps_raw)
				reader_add(r, &r->raw, b);
			if (r->keeps_raw && r->raw.len > DIALECT_MAX_HEADER_BYTES)
				fail(r);
			return;
		}
		if (s == STEP_FAIL)
			fail(r);
	}
}

/* ---- the door ---- */

static bool ends_with_marker(struct str prompt, const char *marker)
{
	while (prompt.len && is_space(prompt.ptr[prompt.len - 1]))
		prompt.len--;
	struct str m = str_c(marker);
	while (m.len && is_space(m.ptr[m.len - 1]))
		m.len--;
	return m.len && str_ends(prompt, m);
}

struct dialect_reader *dialect_reader_new(const struct dialect_reading *how, dialect_sink *sink, void *user)
{
	struct dialect_reader *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	r->d = how->dialect;
	r->thinking = how->thinking;
	if (!sort_tools(r, how->tools)) {
		free(r);
		return NULL;
	}
	r->sink = sink;
	r->user = user;
	r->step = step_text;
	if (r->thinking && ends_with_marker(how->prompt, r->thinking->open))
		r->in_thinking = r->after_marker = true;
	else if (r->thinking && ends_with_marker(how->prompt, r->thinking->close))
		r->after_marker = true;
	if (r->d->body == BODY_HARMONY)
		harmony_begin(r);
	if (r->d->flags & DIALECT_RECIPIENT && ends_with_marker(how->prompt, r->d->open[0])) {
		reader_raw_begin(r, NULL, 0);
		reader_new_call(r);
		tagged_begin(r);
	}
	return r;
}

void dialect_reader_free(struct dialect_reader *r)
{
	if (!r)
		return;
	strbuf_free(&r->out);
	strbuf_free(&r->raw);
	strbuf_free(&r->name);
	strbuf_free(&r->key);
	strbuf_free(&r->args);
	strbuf_free(&r->value);
	free(r->tools);
	free(r);
}

static enum hokku_code result(const struct dialect_reader *r, struct hokku_error *err)
{
	if (r->no_memory || r->out.failed || r->raw.failed)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory to read an answer's calls");
	return HOKKU_OK;
}

enum hokku_code dialect_reader_feed(struct dialect_reader *r, struct str piece, struct hokku_error *err)
{
	for (size_t i = 0; i < piece.len && !r->no_memory; i++)
		take(r, piece.ptr[i]);
	flush(r, false);
	return result(r, err);
}

/* A call whose tool is known is one that was cut; anything else that was kept is text. */
enum hokku_code dialect_reader_end(struct dialect_reader *r, struct hokku_error *err)
{
	if (r->d->body == BODY_HARMONY)
		harmony_end(r);
	if (r->keeps_raw && r->has_name && reader_begin_call(r)) {
		if (r->args_held && r->args.len)
			reader_emit(r, PART_ARGUMENTS, r->args.ptr, r->args.len);
	} else if (r->step != step_text && r->keeps_raw) {
		fail(r);
	} else if (r->step == step_text) {
		for (uint32_t i = 0; i < r->held_n; i++)
			plain(r, r->held[i]);
		r->held_n = 0;
	}
	let_space_go(r, r->space_n);
	flush(r, true);
	return result(r, err);
}

uint32_t dialect_reader_calls(const struct dialect_reader *r)
{
	return r->n_calls;
}

bool dialect_reader_thinks(const struct dialect_reader *r)
{
	return r->in_thinking;
}

bool dialect_reader_undecided(const struct dialect_reader *r)
{
	return r->keeps_raw;
}
