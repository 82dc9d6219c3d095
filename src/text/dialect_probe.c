/*
 * Which dialect a template writes: it renders a conversation with a call of a known tool with known
 * arguments, and the row whose own way to write that call stands in the text, the longest of them, is the
 * dialect. A template that writes it a little otherwise is read by the readers of all rows; one that writes
 * no calls, but tells the model of a row's marker, is that row's too.
 */
#include <stdio.h>

#include "text/chat_internal.h"
#include "text/dialect_internal.h"

#define PROBE_TOOL "probe_tool"
#define PROBE_ID   "call00001"
enum { MAX_PROBE_MESSAGES = 8 };

static const char tools_json[] =
	"[{\"type\": \"function\", \"function\": {\"name\": \"" PROBE_TOOL
	"\", \"description\": \"d\", \"parameters\": "
	"{\"type\": \"object\", \"properties\": {\"alpha\": {\"type\": \"string\", \"description\": \"d\"}, \"beta\": "
	"{\"type\": \"integer\", \"description\": \"d\"}}, \"required\": [\"alpha\", \"beta\"]}}}]";
static const char args_json[] = "{\"alpha\": \"probe value\", \"beta\": 2}";

#define USER    "{\"role\": \"user\", \"content\": \"probe-question\"}"
#define LONG_ID "call_0123456789abcdef"
#define CALLING(content)                                                                          \
	"[" USER ", {\"role\": \"assistant\", \"content\": " content ", \"reasoning_content\": "  \
	"\"probe-thought\", \"tool_calls\": [{\"id\": \"" PROBE_ID                                \
	"\", \"type\": \"function\", \"function\": {\"name\": \"" PROBE_TOOL                      \
	"\", \"arguments\": {\"alpha\": \"probe value\", \"beta\": 2}}}]}, {\"role\": \"tool\", " \
	"\"tool_call_id\": \"" PROBE_ID "\", \"name\": \"" PROBE_TOOL "\", \"content\": \"probe-result\"}]"

struct probing {
	const struct chat *c;
	struct jv_doc tools;
	const struct dialect *only; /* NULL: any */
	bool no_memory;
	bool endless; /* it took more than a trial may: no other is made */
};

static bool may_be(const struct probing *p, const struct dialect *d)
{
	return p->only ? d == p->only : !(d->flags & DIALECT_GENERIC);
}

static bool has(const struct strbuf *b, const char *what)
{
	return b->len && memmem(b->ptr, b->len, what, strlen(what)) != NULL;
}

/* The text of a rendering; false: the template would not. kwargs: JSON, NULL. */
static bool render(struct probing *p, const char *json, bool tools, const char *kwargs, struct strbuf *out)
{
	static const struct str specials[CHAT_N_SPECIALS] = {STR_LIT("<\x01"
								     "bos>"),
							     STR_LIT("<\x01"
								     "eos>")};
	static const struct jinja_time now = {2026, 1, 1, 0, 0, 0};
	struct jv_doc doc, arguments = {0};
	struct chat_message messages[MAX_PROBE_MESSAGES];
	struct chat_run run = {0};
	struct chat_told told;
	char field[64];
	strbuf_clear(out);
	if (p->endless || jv_parse(str_c(json), JV_STRICT, &doc, NULL))
		return false;
	bool ok = !kwargs || !jv_parse(str_c(kwargs), JV_STRICT, &arguments, NULL);
	struct chat_input in = {.messages = messages, .n_messages = jv_len(&doc.root), .now = &now};
	in.tools = tools ? &p->tools.root : NULL;
	in.trial = true;
	in.kwargs[0] = kwargs ? &arguments.root : NULL;
	for (size_t i = 0; ok && i < in.n_messages; i++)
		ok = !chat_message_read(jv_at(&doc.root, i), i, &messages[i], field, NULL);
	if (ok) {
		enum hokku_code rc = chat_run(p->c, specials, &in, &run, &told, NULL);
		p->no_memory = p->no_memory || rc == HOKKU_OUT_OF_MEMORY;
		p->endless = run.jinja && jinja_ran_out(run.jinja);
		ok = !rc;
		if (ok)
			strbuf_add(out, jinja_text(run.jinja).ptr, jinja_text(run.jinja).len);
		chat_run_deinit(&run);
	}
	jv_doc_free(&doc);
	jv_doc_free(&arguments);
	return ok && !out->failed;
}

/* ---- by what is written ---- */

static bool row_writes(const struct dialect *d, unsigned form, const struct strbuf *text, size_t *n)
{
	struct strbuf call = {0};
	struct jv_doc args;
	if (!d->write_call || jv_parse(STR_LIT(args_json), JV_STRICT, &args, NULL))
		return false;
	struct dialect_call c = {.name = STR_LIT(PROBE_TOOL), .args = &args.root, .id = STR_LIT(PROBE_ID)};
	dialect_write_calls(d, form, &c, 1, &call);
	bool found = call.len && !call.failed && memmem(text->ptr, text->len, call.ptr, call.len);
	*n = call.len;
	strbuf_free(&call);
	jv_doc_free(&args);
	return found;
}

static void by_writing(const struct probing *p, const struct strbuf *text, struct dialect_found *out)
{
	static const unsigned forms[] = {
		DIALECT_SPACED | DIALECT_SOFT_BREAKS, DIALECT_SPACED, DIALECT_SOFT_BREAKS, 0,
		DIALECT_TIGHT | DIALECT_SOFT_BREAKS,  DIALECT_TIGHT,
	};
	size_t longest = 0, n;
	for (size_t i = 0; dialect_at(i); i++) {
		for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
			if (!may_be(p, dialect_at(i)) || !row_writes(dialect_at(i), forms[f], text, &n) ||
			    n <= longest)
				continue;
			longest = n;
			out->dialect = dialect_at(i);
			out->form = forms[f];
			out->exact = true;
			out->why = "the template writes calls so";
		}
	}
}

/* ---- by what can be read ---- */

struct read_call {
	uint32_t n_calls, n_ends;
	bool name_right;
	struct strbuf args;
	size_t n_text;
};

static void hear(void *user, const struct part *part)
{
	struct read_call *h = user;
	switch (part->kind) {
	case PART_CALL:
		h->n_calls++;
		h->name_right = str_eq(part->text, STR_LIT(PROBE_TOOL));
		break;
	case PART_ARGUMENTS:
		strbuf_add(&h->args, part->text.ptr, part->text.len);
		break;
	case PART_CALL_END:
		h->n_ends++;
		break;
	default:
		h->n_text += part->text.len;
	}
}

/* Does the row's reader find the call in text? */
static bool row_reads(const struct probing *p, const struct dialect *d, struct str text, struct read_call *h)
{
	struct dialect_reading how = {.dialect = d, .tools = &p->tools.root};
	struct dialect_reader *r = dialect_reader_new(&how, hear, h);
	struct jv_doc args;
	if (!r)
		return false;
	dialect_reader_feed(r, text, NULL);
	dialect_reader_end(r, NULL);
	dialect_reader_free(r);
	if (h->n_calls != 1 || h->n_ends != 1 || !h->name_right ||
	    jv_parse((struct str){h->args.ptr, h->args.len}, JV_STRICT, &args, NULL))
		return false;
	int64_t beta;
	bool same = str_eq_c(jv_str(jv_get(&args.root, "alpha")), "probe value") &&
		    jv_int(jv_get(&args.root, "beta"), &beta) && beta == 2;
	jv_doc_free(&args);
	return same;
}

/* The answer in the text: from where it and a prompt for an answer are no longer the same, up to the result.
 */
static struct str answer_in(const struct strbuf *text, const struct strbuf *prompt)
{
	size_t at = 0;
	while (at < text->len && at < prompt->len && text->ptr[at] == prompt->ptr[at])
		at++;
	struct str answer = {text->ptr + at, text->len - at};
	const char *result = memmem(answer.ptr, answer.len, "probe-result", 12);
	if (result)
		answer.len = (size_t)(result - answer.ptr);
	return answer;
}

static void by_reading(const struct probing *p, const struct strbuf *text, const struct strbuf *prompt,
		       struct dialect_found *out)
{
	struct str answer = answer_in(text, prompt);
	size_t least = SIZE_MAX;
	for (size_t i = 0; dialect_at(i); i++) {
		struct read_call h = {0};
		if (may_be(p, dialect_at(i)) && row_reads(p, dialect_at(i), answer, &h) && h.n_text < least) {
			least = h.n_text;
			out->dialect = dialect_at(i);
			out->form = DIALECT_SOFT_BREAKS | (has(&h.args, "\": ") ? DIALECT_SPACED : 0);
			out->why = "calls as the template writes them are read so";
		}
		strbuf_free(&h.args);
	}
}

/* ---- by what the model is told ---- */

static void by_marker(const struct strbuf *with, const struct strbuf *without, struct dialect_found *out)
{
	for (size_t i = 0; dialect_at(i) && !out->dialect; i++) {
		const struct dialect *d = dialect_at(i);
		bool tells = false;
		for (size_t k = 0; k < 2 && d->told[k]; k++)
			tells = tells || (has(with, d->told[k]) && !has(without, d->told[k]));
		if (!tells)
			continue;
		out->dialect = d;
		out->form = DIALECT_SPACED | DIALECT_SOFT_BREAKS;
		out->why = "the template tells the model of its marker";
	}
}

#define TWO_CALLS(content)                                                                                                        \
	"[" USER ", {\"role\": \"assistant\", \"content\": " content ", \"tool_calls\": ["                                        \
	"{\"id\": \"" PROBE_ID "\", \"type\": \"function\", \"function\": {\"name\": \"" PROBE_TOOL                               \
	"\", \"arguments\": {\"alpha\": "                                                                                         \
	"\"probe value\", \"beta\": 2}}}, {\"id\": \"call00002\", \"type\": \"function\", \"function\": {\"name\": \"" PROBE_TOOL \
	"\", \"arguments\": {\"alpha\": \"other value\", \"beta\": 3}}}]}, {\"role\": \"tool\", \"tool_call_id\": \"" PROBE_ID    \
	"\", \"name\": \"" PROBE_TOOL                                                                                             \
	"\", \"content\": \"probe-result\"}, {\"role\": \"tool\", \"tool_call_id\": \"call00002\", \"name\": \"" PROBE_TOOL       \
	"\", \"content\": \"other-result\"}]"

/* Does the template refuse ids as clients have them, of a conversation that it takes with others? */
static void find_short_ids(struct probing *p, const char *calling, struct dialect_found *out)
{
	struct strbuf json = {0}, text = {0};
	for (const char *at = calling, *id; at; at = id ? id + strlen(PROBE_ID) : NULL) {
		id = strstr(at, PROBE_ID);
		strbuf_add(&json, at, id ? (size_t)(id - at) : strlen(at));
		strbuf_add_c(&json, id ? LONG_ID : "");
	}
	out->short_ids = !json.failed && !render(p, json.ptr, true, NULL, &text);
	strbuf_free(&json);
	strbuf_free(&text);
}

/* Does the template write two calls of one message? */
static void find_several(struct probing *p, struct dialect_found *out)
{
	static const char *const twos[] = {TWO_CALLS("\"probe-content\""), TWO_CALLS("\"\""),
					   TWO_CALLS("null")};
	struct strbuf text = {0};
	struct jv_doc args[2];
	if (jv_parse(STR_LIT(args_json), JV_STRICT, &args[0], NULL))
		return;
	if (jv_parse(STR_LIT("{\"alpha\": \"other value\", \"beta\": 3}"), JV_STRICT, &args[1], NULL)) {
		jv_doc_free(&args[0]);
		return;
	}
	for (size_t i = 0; i < sizeof twos / sizeof *twos && !out->writes_several; i++)
		out->writes_several = render(p, twos[i], true, NULL, &text) && has(&text, "probe value") &&
				      has(&text, "other value");
	const struct dialect_call calls[] = {
		{.name = STR_LIT(PROBE_TOOL), .args = &args[0].root, .id = STR_LIT(PROBE_ID)},
		{.name = STR_LIT(PROBE_TOOL), .args = &args[1].root, .id = STR_LIT("call00002"), .index = 1},
	};
	struct strbuf written = {0};
	for (unsigned k = 0; k < 2 && out->exact && out->writes_several && !out->exact_several; k++) {
		unsigned form = k ? out->form ^ DIALECT_SOFT_BREAKS
				  : out->form; /* of what stands between calls alone */
		strbuf_clear(&written);
		dialect_write_calls(out->dialect, form, calls, 2, &written);
		out->exact_several = !written.failed && has(&text, written.ptr);
		out->form = out->exact_several ? form : out->form;
	}
	strbuf_free(&written);
	strbuf_free(&text);
	jv_doc_free(&args[0]);
	jv_doc_free(&args[1]);
}

static void find_dialect(struct probing *p, struct dialect_found *out)
{
	static const char *const callings[] = {CALLING("\"probe-content\""), CALLING("\"\""),
					       CALLING("null")};
	struct strbuf with = {0}, without = {0}, text = {0};
	bool rendered = render(p, "[" USER "]", true, NULL, &with);
	render(p, "[" USER "]", false, NULL, &without);
	out->lists_tools = rendered && has(&with, PROBE_TOOL);
	for (size_t i = 0; i < sizeof callings / sizeof *callings && !out->dialect; i++) {
		if (!render(p, callings[i], true, NULL, &text))
			continue;
		struct str answer = answer_in(&text, &with);
		bool called = memmem(answer.ptr, answer.len, "probe value", 11) != NULL;
		out->writes_results = out->writes_results || has(&text, "probe-result");
		if (called)
			by_writing(p, &text, out);
		if (called && !out->dialect)
			by_reading(p, &text, &with, out);
		out->writes_calls = out->writes_calls || (called && out->dialect);
		if (called && out->dialect)
			find_short_ids(p, callings[i], out);
	}
	if (!out->dialect && out->lists_tools && !p->only)
		by_marker(&with, &without, out);
	if (out->writes_calls)
		find_several(p, out);
	out->takes_system = render(p, "[{\"role\": \"system\", \"content\": \"probe-system\"}, " USER "]",
				   false, NULL, &text) &&
			    has(&text, "probe-system");
	strbuf_free(&with);
	strbuf_free(&without);
	strbuf_free(&text);
}

/* ---- thinking ---- */

static bool ends_with(const struct strbuf *b, const char *marker)
{
	struct str s = {b->ptr, b->len};
	while (s.len && is_space(s.ptr[s.len - 1]))
		s.len--;
	return str_ends(s, str_c(marker));
}

static bool mark_found(const struct strbuf *b, struct dialect_found *out)
{
	for (size_t i = dialect_thinking_at(1) ? 1 : 0; dialect_thinking_at(i);
	     i++) /* <think> last: it begins others */
		if (has(b, dialect_thinking_at(i)->open) && has(b, dialect_thinking_at(i)->close)) {
			out->thinking = dialect_thinking_at(i);
			return out->marks_thinking = true;
		}
	if (!has(b, dialect_thinking_at(0)->open) && !has(b, dialect_thinking_at(0)->close))
		return false;
	out->thinking = dialect_thinking_at(0);
	return out->marks_thinking = true;
}

/* Does the prompt differ by this argument? */
static bool differs(struct probing *p, const char *a, const char *b, struct strbuf *first,
		    struct strbuf *second)
{
	bool one = render(p, "[" USER "]", false, a, first), two = render(p, "[" USER "]", false, b, second);
	return one && two &&
	       !str_eq((struct str){first->ptr, first->len}, (struct str){second->ptr, second->len});
}

static void find_switch(struct probing *p, struct dialect_found *out, struct strbuf *on, struct strbuf *off)
{
	static const struct {
		const char *name, *on, *off;
	} switches[] = {
		{"enable_thinking", "{\"enable_thinking\": true}", "{\"enable_thinking\": false}"},
		{"thinking", "{\"thinking\": true}", "{\"thinking\": false}"},
	};
	struct strbuf plain = {0};
	for (size_t i = 0; i < sizeof switches / sizeof *switches && !out->switch_argument; i++) {
		if (!differs(p, switches[i].on, switches[i].off, on, off))
			continue;
		out->switch_argument = switches[i].name;
		out->thinks_without =
			render(p, "[" USER "]", false, NULL, &plain) &&
			str_eq((struct str){plain.ptr, plain.len}, (struct str){on->ptr, on->len});
		if (!out->marks_thinking && !mark_found(on, out))
			mark_found(off, out);
	}
	strbuf_free(&plain);
}

/* The prompt where the argument has this value, and the model may think. */
static bool with_effort(struct probing *p, const char *name, const char *value, struct strbuf *out)
{
	char kwargs[160];
	snprintf(kwargs, sizeof kwargs, "{\"enable_thinking\": true, \"thinking\": true, \"%s\": \"%s\"}",
		 name, value);
	return render(p, "[" USER "]", false, kwargs, out);
}

static void find_effort(struct probing *p, struct dialect_found *out, struct strbuf *high,
			struct strbuf *other)
{
	static const char *const names[] = {"reasoning_effort", "thinking_effort"};
	static const char *const others[] = {"low", "max", "none", "no_think"};
	for (size_t i = 0; i < sizeof names / sizeof *names && !out->effort_argument; i++) {
		if (!jinja_names(p->c->jinja, str_c(names[i])) || !with_effort(p, names[i], "high", high))
			continue;
		for (size_t k = 0; k < sizeof others / sizeof *others; k++) {
			if (!with_effort(p, names[i], others[k], other) ||
			    str_eq((struct str){high->ptr, high->len}, (struct str){other->ptr, other->len}))
				continue;
			out->effort_argument = names[i];
			bool closes = ends_with(high, out->thinking->open) &&
				      !ends_with(other, out->thinking->open);
			if (k >= 2 && closes)
				out->effort_none = others[k];
		}
	}
	static const char some[] = "{\"thinking_budget\": 512}", none[] = "{\"thinking_budget\": 0}";
	if (jinja_names(p->c->jinja, STR_LIT("thinking_budget")) && differs(p, some, none, high, other))
		out->budget_argument = "thinking_budget";
}

static void find_thinking(struct probing *p, struct dialect_found *out)
{
	static const char thought[] = "[" USER ", {\"role\": \"assistant\", \"content\": \"probe-content\", "
				      "\"reasoning_content\": \"probe-thought\"}, " USER "]";
	struct strbuf a = {0}, b = {0};
	const char *usual = out->dialect ? out->dialect->thinks : NULL;
	out->thinking = usual ? dialect_thinking_find(usual) : dialect_thinking_at(0);
	bool found = render(p, "[" USER "]", false, NULL, &a) && mark_found(&a, out);
	if (!found && render(p, CALLING("\"\""), true, NULL, &a))
		found = mark_found(&a, out);
	if (!found && render(p, thought, false, NULL, &a))
		mark_found(&a, out);
	find_switch(p, out, &a, &b);
	find_effort(p, out, &a, &b);
	if (render(p, "[" USER "]", false, NULL, &a))
		out->opens_thinking = out->marks_thinking && ends_with(&a, out->thinking->open);
	if (!out->switch_argument)
		out->thinks_without = out->opens_thinking;
	if (out->dialect &&
	    out->dialect->body == BODY_HARMONY) { /* its channels are read whatever is asked */
		out->thinking = dialect_thinking_find(usual);
		out->marks_thinking = out->thinks_without = true;
		out->opens_thinking = false;
	}
	strbuf_free(&a);
	strbuf_free(&b);
}

static enum hokku_code probe(const struct chat *c, const struct dialect *only, struct dialect_found *out,
			     struct hokku_error *err)
{
	struct probing p = {.c = c, .only = only};
	*out = (struct dialect_found){.thinking = dialect_thinking_at(0)};
	if (jv_parse(STR_LIT(tools_json), JV_STRICT, &p.tools, NULL))
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory to try the chat template");
	if (c->kind == CHAT_CHATML || c->kind == CHAT_JINJA) {
		find_dialect(&p, out);
		find_thinking(&p, out);
	}
	if (!out->dialect) {
		out->dialect = only ? only : dialect_find("generic");
		out->form = DIALECT_SPACED | DIALECT_SOFT_BREAKS;
		out->why =
			p.endless ? "the template takes more than a short conversation may, and was tried no "
				    "further"
			: only    ? "it was asked for"
				  : "the template knows no tools";
		out->lists_tools = only && out->lists_tools && !(only->flags & DIALECT_GENERIC);
		out->writes_calls = out->writes_several = false;
		out->writes_results = out->writes_results && out->lists_tools;
	}
	jv_doc_free(&p.tools);
	if (p.no_memory)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory to try the chat template");
	return HOKKU_OK;
}

enum hokku_code dialect_probe(const struct chat *c, struct dialect_found *out, struct hokku_error *err)
{
	return probe(c, NULL, out, err);
}

enum hokku_code dialect_probe_as(const struct chat *c, const struct dialect *d, struct dialect_found *out,
				 struct hokku_error *err)
{
	return probe(c, d, out, err);
}
