/*
 * Which template a file has, and ChatML. A template is ChatML when it behaves so: chat_init runs it over
 * probing lists of messages, whose contents would show any trimming, splitting or rewriting, and compares
 * what it writes with
 *
 *     [BOS] [<|im_start|>system\nDEFAULT<|im_end|>\n]  <|im_start|>ROLE\nCONTENT<|im_end|>\n ...
 *     <|im_start|>assistant\n
 *
 * DEFAULT and whether BOS comes first are read off the first probe. From then on that rule renders plain
 * messages, not the template: it works on token ids, where the words of a message cannot be taken for
 * markers. What is not plain, tools, template arguments and shapes of lists that the template treats
 * otherwise, is the template's.
 */
#include <stdio.h>
#include <stdlib.h>

#include "text/chat_internal.h"

static const char start_marker[] = "<|im_start|>", end_marker[] = "<|im_end|>";

/* Stand in for BOS and EOS; no template writes them by itself. */
static const char bos_probe[] = "\x01"
				"B\x01",
		  eos_probe[] = "\x01"
				"E\x01";

/* What families' templates hold, and what to call them. */
static const struct {
	const char *marker, *name;
} others[] = {
	/* clang-format off */
	{"<|start_header_id|>", "Llama 3"},
	{"[INST]", "Llama 2 or Mistral"},
	{"<start_of_turn>", "Gemma"},
	{"<|START_OF_TURN_TOKEN|>", "Command R"},
	{"<|channel|>", "Harmony"},
	{"<\uff5cUser\uff5c>", "DeepSeek"},
	{"<|user|>", "Zephyr or Phi-3"},
	{"<|im_sep|>", "Phi-4"},
	{"GPT4 Correct User", "OpenChat"},
	{"<|im_user|>", "Kimi"},
	{"### Instruction", "Alpaca"},
	{"USER: ", "Vicuna"},
	/* clang-format on */
};

/* The shapes of message lists. The first rows every ChatML template must render; where a later one is
 * rendered otherwise, lists of that shape are left to the template. A probe is one letter a message: s, u, a.
 */
enum {
	SHAPE_LATE_SYSTEM = 1,
	SHAPE_REPEATED = 2,
	SHAPE_ANSWERED = 4,
	SHAPE_ASSISTANT_FIRST = 8,
	SHAPE_ONLY_SYSTEM = 16
};
static const struct {
	const char *probe;
	unsigned shape;
} probes[] = {
	{"u", 0},
	{"su", 0},
	{"uau", 0},
	{"suau", 0},
	{"suauau", 0},
	{"usu", SHAPE_LATE_SYSTEM},
	{"suasu", SHAPE_LATE_SYSTEM},
	{"uu", SHAPE_REPEATED},
	{"uaau", SHAPE_REPEATED},
	{"ua", SHAPE_ANSWERED},
	{"suaua", SHAPE_ANSWERED},
	{"au", SHAPE_ASSISTANT_FIRST},
	{"sau", SHAPE_ASSISTANT_FIRST},
	{"s", SHAPE_ONLY_SYSTEM},
};
enum { N_PROBES = sizeof probes / sizeof *probes, MAX_PROBE_MESSAGES = 8 };

static struct str role_of(char letter)
{
	return letter == 's' ? STR_LIT("system") : letter == 'u' ? STR_LIT("user") : STR_LIT("assistant");
}

/* Anything done to a content shows: blanks and breaks at both ends, markers that some templates cut at. */
static const struct str contents[] = {
	STR_LIT(" \n one 'two' \"three\" \\n {{ four }} \t\n"),
	STR_LIT("\n<think>\nfive\n</think>\n\nsix</tool_call> <tool_response>\n "),
	STR_LIT("<tool_response> Seven, EIGHT.  </tool_response>"),
	STR_LIT("<|nine|> [gMASK] ### ten: \xE3\x80\x80"),
	STR_LIT(""),
	STR_LIT("eleven"),
};
enum { N_CONTENTS = sizeof contents / sizeof *contents };

static enum hokku_code run_probe(const struct chat *c, const char *probe, size_t first_content,
				 struct strbuf *out, struct hokku_error *err)
{
	static const struct str specials[CHAT_N_SPECIALS] = {STR_LIT(bos_probe), STR_LIT(eos_probe)};
	static const struct jinja_time now = {2026, 1, 1, 0, 0, 0};
	struct chat_message messages[MAX_PROBE_MESSAGES];
	struct chat_run run;
	struct chat_told told;
	size_t n = strlen(probe);
	for (size_t i = 0; i < n; i++)
		messages[i] = (struct chat_message){
			.role = role_of(probe[i]),
			.content = contents[(first_content + i) % N_CONTENTS],
		};
	strbuf_clear(out);
	enum hokku_code rc = chat_run(
		c, specials,
		&(struct chat_input){.messages = messages, .n_messages = n, .now = &now, .trial = true}, &run,
		&told, err);
	if (!rc) {
		struct str text = jinja_text(run.jinja);
		strbuf_add(out, text.ptr, text.len);
	}
	chat_run_deinit(&run);
	return rc;
}

static void add_message(struct strbuf *b, struct str role, struct str content)
{
	strbuf_addf(b, "%s%.*s\n", start_marker, STR_ARG(role));
	strbuf_add(b, content.ptr, content.len);
	strbuf_addf(b, "%s\n", end_marker);
}

/* What ChatML is for the probe. */
static void expected(const struct chat *c, const char *probe, size_t first_content, struct strbuf *out)
{
	strbuf_clear(out);
	if (c->adds_bos)
		strbuf_add_c(out, bos_probe);
	if (c->has_default_system && probe[0] != 's')
		add_message(out, STR_LIT("system"), str_c(c->default_system));
	for (size_t i = 0; probe[i]; i++)
		add_message(out, role_of(probe[i]), contents[(first_content + i) % N_CONTENTS]);
	strbuf_addf(out, "%sassistant\n", start_marker);
}

/* Reads c->adds_bos and the default system message off what the template wrote for the first probe. */
static enum hokku_code learn(struct chat *c, struct str written, struct hokku_error *err)
{
	struct str bos = STR_LIT(bos_probe);
	static const char head[] = "<|im_start|>system\n", tail[] = "<|im_end|>\n";
	if (str_starts(written, bos)) {
		c->adds_bos = true;
		written.ptr += bos.len;
		written.len -= bos.len;
	}
	if (!str_starts(written, STR_LIT(head)))
		return HOKKU_OK;
	written.ptr += sizeof head - 1;
	written.len -= sizeof head - 1;
	const char *end = memmem(written.ptr, written.len, tail, sizeof tail - 1);
	size_t n = end ? (size_t)(end - written.ptr) : written.len;
	if (n >= sizeof c->default_system || memchr(written.ptr, '\0', n))
		return err_set(err, HOKKU_BAD_FILE,
			       "its default system message has %zu bytes; %zu are allowed", n,
			       sizeof c->default_system - 1);
	memcpy(c->default_system, written.ptr, n);
	c->default_system[n] = '\0';
	c->has_default_system = true;
	return HOKKU_OK;
}

/* Not ChatML, and why is in why->message. No memory is passed up. */
static enum hokku_code probe_all(struct chat *c, struct hokku_error *why)
{
	struct strbuf got = {0}, want = {0};
	enum hokku_code rc = run_probe(c, probes[0].probe, 0, &got, why);
	if (!rc)
		rc = learn(c, (struct str){got.ptr, got.len}, why);
	for (size_t i = 0; !rc && i < N_PROBES; i++) {
		for (size_t first = 0; !rc && first < N_CONTENTS; first++) {
			rc = run_probe(c, probes[i].probe, first, &got, why);
			expected(c, probes[i].probe, first, &want);
			if (want.failed)
				rc = HOKKU_OUT_OF_MEMORY;
			bool same = !rc &&
				    str_eq((struct str){got.ptr, got.len}, (struct str){want.ptr, want.len});
			if (same || rc == HOKKU_OUT_OF_MEMORY)
				continue;
			if (probes[i].shape) {
				c->slow |= probes[i].shape;
				rc = HOKKU_OK;
				break;
			}
			if (!rc)
				rc = err_set(why, HOKKU_BAD_FILE, "it writes messages in another way");
		}
	}
	strbuf_free(&got);
	strbuf_free(&want);
	return rc;
}

static struct str first_line(struct str s)
{
	size_t n = 0;
	while (n < s.len && s.ptr[n] != '\n' && s.ptr[n] != '\r')
		n++;
	return (struct str){s.ptr, n};
}

/* What to call a template that is not ChatML. */
static void name_other(struct chat *c, struct str source)
{
	char quoted[64];
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		if (memmem(source.ptr, source.len, others[i].marker, strlen(others[i].marker))) {
			snprintf(c->name, sizeof c->name, "%s (it holds %s)", others[i].name,
				 others[i].marker);
			return;
		}
	}
	snprintf(c->name, sizeof c->name, "%s", str_quote(first_line(source), quoted, sizeof quoted));
}

/* ChatML, or any other that can be read. */
static enum hokku_code recognise(struct chat *c, struct str source)
{
	struct hokku_error why = {0};
	if (memmem(source.ptr, source.len, start_marker, sizeof start_marker - 1)) {
		struct chat as_chatml = *c;
		enum hokku_code rc = probe_all(&as_chatml, &why);
		if (rc == HOKKU_OUT_OF_MEMORY)
			return rc;
		if (!rc) {
			*c = as_chatml;
			c->kind = CHAT_CHATML;
			snprintf(c->name, sizeof c->name, "ChatML");
			return HOKKU_OK;
		}
	}
	c->kind = CHAT_JINJA;
	name_other(c, source);
	return HOKKU_OK;
}

static void read_specials(struct chat *c, const struct gguf *g)
{
	for (size_t i = 0; i < CHAT_N_SPECIALS; i++) {
		uint32_t id;
		bool found;
		c->specials[i] = -1;
		if (!gguf_get_u32(g, chat_specials[i].key, &id, &found, NULL) && found && id <= INT32_MAX)
			c->specials[i] = (int32_t)id;
	}
}

enum hokku_code chat_init(struct chat *c, const struct gguf *g, struct str source, struct hokku_error *err)
{
	bool found = true;
	enum hokku_code rc = HOKKU_OK;
	*c = (struct chat){.kind = CHAT_NONE, .name = "none"};
	c->forms = (struct chat_forms){true, true, true, true, true};
	read_specials(c, g);
	if (!source.ptr)
		rc = gguf_get_str(g, "tokenizer.chat_template", &source, &found, err);
	if (rc || !found || source.len == 0)
		return rc;
	struct hokku_error why = {0};
	strbuf_add(&c->source, source.ptr, source.len);
	rc = c->source.failed ? HOKKU_OUT_OF_MEMORY : jinja_compile(source, &c->jinja, &why);
	if (!rc)
		rc = recognise(c, source);
	if (rc == HOKKU_OUT_OF_MEMORY) {
		chat_deinit(c);
		return err_set(err, rc, "no memory to try the chat template");
	}
	if (rc) {
		c->kind = CHAT_BROKEN;
		snprintf(c->name, sizeof c->name, "%.150s", why.message);
		return HOKKU_OK;
	}
	chat_learn_forms(c);
	return HOKKU_OK;
}

void chat_deinit(struct chat *c)
{
	jinja_destroy(c->jinja);
	strbuf_free(&c->source);
	*c = (struct chat){.kind = CHAT_NONE, .name = "none"};
}

/* ---- rendering ---- */

/* "system", "user", "assistant" as a probe's letter; 0 for any other role. */
static char letter_of(struct str role)
{
	for (const char *l = "sua"; *l; l++)
		if (str_eq(role, role_of(*l)))
			return *l;
	return 0;
}

static enum hokku_code check(const struct chat *c, const struct tok *t, const struct chat_input *in,
			     struct hokku_error *err)
{
	char quoted[64], field[64];
	if (c->kind == CHAT_NONE)
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"the model's file has no chat template; give a prompt instead of messages, or name a template "
			"with --chat-template");
	if (c->kind == CHAT_BROKEN)
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"the model's chat template cannot be used (%s); --chat-template puts another in its place",
			c->name);
	if (in->n_messages == 0 || in->n_messages > CHAT_MAX_MESSAGES)
		return err_set(err, HOKKU_INVALID_REQUEST, "messages holds %zu messages; 1 to %d are allowed",
			       in->n_messages, CHAT_MAX_MESSAGES);
	for (size_t i = 0; i < in->n_messages; i++) {
		const char *const *role = chat_roles;
		while (*role && !str_eq_c(in->messages[i].role, *role))
			role++;
		snprintf(field, sizeof field, "messages[%zu].role", i);
		if (!*role)
			return err_set(
				err, HOKKU_INVALID_REQUEST,
				"%s is %s; it takes \"system\", \"developer\", \"user\", \"assistant\", \"tool\" or "
				"\"function\"",
				field, str_quote(in->messages[i].role, quoted, sizeof quoted));
	}
	if (c->kind != CHAT_CHATML)
		return HOKKU_OK;
	bool starts = tok_find_special(t, STR_LIT(start_marker)) >= 0,
	     ends = tok_find_special(t, STR_LIT(end_marker)) >= 0;
	if (!starts || !ends)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "the model's chat template is ChatML, but its vocabulary has no token %s",
			       starts ? end_marker : start_marker);
	return HOKKU_OK;
}

/* Does ChatML's rule give what the template would? */
static bool is_plain(const struct chat *c, const struct chat_input *in)
{
	unsigned shape = 0;
	char last = 0;
	if (c->kind != CHAT_CHATML || in->tools || in->kwargs[0] || in->kwargs[1] || in->kwargs[2] ||
	    in->no_answer || in->begun.len)
		return false;
	for (size_t i = 0; i < in->n_messages; i++) {
		char letter = letter_of(in->messages[i].role);
		if (!letter || in->messages[i].json)
			return false;
		if (letter == 's' && i > 0)
			shape |= SHAPE_LATE_SYSTEM;
		if (letter == last)
			shape |= SHAPE_REPEATED;
		if (letter == 'a' && (i == 0 || last == 's'))
			shape |= SHAPE_ASSISTANT_FIRST;
		last = letter;
	}
	if (last == 'a')
		shape |= SHAPE_ANSWERED;
	if (last == 's')
		shape |= SHAPE_ONLY_SYSTEM;
	return !(shape & c->slow);
}

struct markers {
	int32_t start, end;
};

static enum hokku_code push_message(const struct tok *t, struct markers m, struct str role,
				    struct str content, struct strbuf *text, struct tok_ids *out,
				    struct hokku_error *err)
{
	strbuf_clear(text);
	strbuf_add(text, role.ptr, role.len);
	strbuf_add(text, "\n", 1);
	strbuf_add(text, content.ptr, content.len);
	if (text->failed)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a message of %zu bytes", content.len);
	enum hokku_code rc = tok_ids_push(out, m.start, err);
	if (!rc)
		rc = tok_encode(t, (struct str){text->ptr, text->len}, 0, out, err);
	if (!rc)
		rc = tok_ids_push(out, m.end, err);
	if (!rc)
		rc = tok_encode(t, STR_LIT("\n"), 0, out, err);
	return rc;
}

static enum hokku_code render_chatml(const struct chat *c, const struct tok *t, const struct chat_input *in,
				     struct tok_ids *out, struct hokku_error *err)
{
	const struct markers m = {tok_find_special(t, STR_LIT(start_marker)),
				  tok_find_special(t, STR_LIT(end_marker))};
	struct strbuf text = {0};
	enum hokku_code rc = HOKKU_OK;
	if (c->adds_bos && tok_bos(t) >= 0)
		rc = tok_ids_push(out, tok_bos(t), err);
	if (!rc && c->has_default_system && letter_of(in->messages[0].role) != 's')
		rc = push_message(t, m, STR_LIT("system"), str_c(c->default_system), &text, out, err);
	for (size_t i = 0; !rc && i < in->n_messages; i++)
		rc = push_message(t, m, in->messages[i].role, in->messages[i].content, &text, out, err);
	if (!rc)
		rc = tok_ids_push(out, m.start, err);
	if (!rc)
		rc = tok_encode(t, STR_LIT("assistant\n"), 0, out, err);
	strbuf_free(&text);
	return rc;
}

/* Runs the template with the special tokens of t. */
static enum hokku_code run_for(const struct chat *c, const struct tok *t, const struct chat_input *in,
			       struct chat_run *run, struct chat_told *told, struct hokku_error *err)
{
	struct str specials[CHAT_N_SPECIALS] = {0};
	for (size_t i = 0; i < CHAT_N_SPECIALS; i++)
		if (c->specials[i] >= 0 && (uint32_t)c->specials[i] < tok_n_vocab(t))
			specials[i] = tok_piece(t, c->specials[i]);
	return chat_run(c, specials, in, run, told, err);
}

/* What the template wrote and the beginning of the answer, as one text. */
static enum hokku_code encode_run(const struct tok *t, const struct chat_run *run, struct str begun,
				  struct tok_ids *out, struct hokku_error *err)
{
	size_t n;
	struct str prompt = jinja_text(run->jinja);
	const struct tok_part *parts = jinja_parts(run->jinja, &n);
	if (!begun.len)
		return tok_encode_parts(t, prompt, parts, n, 0, out, err);
	struct strbuf text = {0};
	struct tok_part *all = malloc((n + 1) * sizeof *all);
	strbuf_add(&text, prompt.ptr, prompt.len);
	strbuf_add(&text, begun.ptr, begun.len);
	enum hokku_code rc = !all || text.failed
				     ? err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the prompt")
				     : HOKKU_OK;
	if (!rc) {
		memcpy(all, parts, n * sizeof *all);
		all[n] = (struct tok_part){begun.len, false};
		rc = tok_encode_parts(t, (struct str){text.ptr, text.len}, all, n + 1, 0, out, err);
	}
	strbuf_free(&text);
	free(all);
	return rc;
}

enum hokku_code chat_render(const struct chat *c, const struct tok *t, const struct chat_input *in,
			    struct tok_ids *out, struct chat_told *told, struct hokku_error *err)
{
	struct chat_told unheard;
	told = told ? told : &unheard;
	*told = (struct chat_told){.message = -1};
	enum hokku_code rc = check(c, t, in, err);
	if (rc)
		return rc;
	size_t n_before = out->n;
	if (is_plain(c, in)) {
		rc = render_chatml(c, t, in, out, err);
	} else {
		struct chat_run run;
		rc = run_for(c, t, in, &run, told, err);
		if (!rc)
			rc = encode_run(t, &run, in->begun, out, err);
		chat_run_deinit(&run);
	}
	if (rc)
		out->n = n_before;
	return rc;
}

enum hokku_code chat_render_text(const struct chat *c, const struct tok *t, const struct chat_input *in,
				 struct strbuf *out, struct chat_told *told, struct hokku_error *err)
{
	struct chat_told unheard;
	struct chat_run run;
	told = told ? told : &unheard;
	*told = (struct chat_told){.message = -1};
	enum hokku_code rc = check(c, t, in, err);
	if (rc)
		return rc;
	rc = run_for(c, t, in, &run, told, err);
	if (!rc) {
		struct str text = jinja_text(run.jinja);
		strbuf_add(out, text.ptr, text.len);
		strbuf_add(out, in->begun.ptr, in->begun.len);
		if (out->failed)
			rc = err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the prompt of %zu bytes",
				     text.len);
	}
	chat_run_deinit(&run);
	return rc;
}
