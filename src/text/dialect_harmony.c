/*
 * Harmony (gpt-oss): an answer is messages, each a header and a body:
 *
 *     <|channel|>analysis<|message|>THINKING<|end|><|start|>assistant<|channel|>final<|message|>TEXT
 *     <|start|>assistant<|channel|>commentary to=functions.NAME <|constrain|>json<|message|>{...}<|call|>
 *
 * The prompt ends with <|start|>assistant, so the first header begins at once. Bodies are read as text is,
 * with the markers below. What is addressed to a tool that is none of functions (python, browser.search), or
 * is no JSON, is thinking: nobody is called, and it is not for people.
 */
#include "text/dialect_internal.h"

enum { MAX_HEADER = 512 };

static const char starts[] = "<|start|>", message[] = "<|message|>", channel[] = "<|channel|>";

static step_fn step_header, step_first_header, step_call_body;

/* ---- bodies ---- */

static void begin_header(struct dialect_reader *r, const char *marker)
{
	reader_mark(r);
	r->in_thinking = false;
	reader_raw_begin(r, marker,
			 strlen(marker) - (*marker != '\0')); /* its last byte is added where it is taken */
	reader_new_call(r);
	r->step = step_header;
}

static enum step message_starts(struct dialect_reader *r, char b)
{
	(void)b;
	begin_header(r, starts);
	return STEP_TAKEN;
}

static enum step channel_starts(struct dialect_reader *r, char b)
{
	(void)b;
	begin_header(r, channel);
	return STEP_TAKEN;
}

static enum step message_ends(struct dialect_reader *r, char b)
{
	(void)b;
	reader_mark(r);
	r->in_thinking = false;
	return STEP_TAKEN;
}

void harmony_markers(struct dialect_reader *r)
{
	expect_add(r, starts, message_starts);
	expect_add(r, channel, channel_starts);
	expect_add(r, "<|end|>", message_ends);
	expect_add(r, "<|call|>", message_ends);
	expect_add(r, "<|return|>", message_ends);
}

/* ---- headers ---- */

/* What follows the last mark, up to white space or the next marker. */
static struct str after_last(struct str header, const char *mark)
{
	size_t n = strlen(mark);
	struct str found = {NULL, 0};
	for (size_t i = 0; i + n <= header.len; i++)
		if (memcmp(header.ptr + i, mark, n) == 0)
			found = (struct str){header.ptr + i + n, header.len - i - n};
	size_t len = 0;
	while (len < found.len && found.ptr[len] != '<' && !is_space(found.ptr[len]))
		len++;
	return (struct str){found.ptr, len};
}

static enum step header_ends(struct dialect_reader *r)
{
	static const char functions[] = "functions.";
	struct str header = {r->raw.ptr, r->raw.len}, to = after_last(header, " to="),
		   named = after_last(header, channel);
	bool to_person = !to.len || str_eq_c(to, "assistant") || str_eq_c(to, "user") || str_eq_c(to, "all");
	if (r->tools && str_starts(to, STR_LIT(functions))) {
		strbuf_add(&r->name, to.ptr + sizeof functions - 1, to.len - (sizeof functions - 1));
		r->has_name = reader_name_ok(r);
	}
	if (r->has_name) {
		r->step = step_call_body;
		return STEP_TAKEN;
	}
	reader_section_end(r, STEP_TAKEN);
	r->in_thinking = r->thinking && (!to_person || str_eq_c(named, "analysis"));
	return STEP_TAKEN;
}

static enum step step_header(struct dialect_reader *r, char b)
{
	static const size_t n = sizeof message - 1;
	if (r->raw.len >= MAX_HEADER)
		return STEP_FAIL;
	if (b != '>' || r->raw.len < n - 1 || memcmp(r->raw.ptr + r->raw.len - (n - 1), message, n - 1) != 0)
		return STEP_TAKEN;
	r->raw.len -= n - 1;
	return header_ends(r);
}

/* The answer's beginning: a header, or an answer without one. */
static enum step step_first_header(struct dialect_reader *r, char b)
{
	static const char *const beginnings[] = {" to=", channel, starts, message};
	size_t n = r->raw.len;
	for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
		const char *begins = beginnings[i];
		if (strlen(begins) <= n || (n && memcmp(begins, r->raw.ptr, n) != 0) || begins[n] != b)
			continue;
		if (begins[n + 1])
			return STEP_TAKEN;
		r->step = step_header;
		return begins == message ? STEP_AGAIN : STEP_TAKEN;
	}
	return STEP_FAIL;
}

void harmony_begin(struct dialect_reader *r)
{
	begin_header(r, "");
	r->step = step_first_header;
}

void harmony_end(struct dialect_reader *r)
{
	if (r->step != step_header && (r->step != step_first_header || r->raw.len < 2))
		return;
	r->keeps_raw = false; /* a header that was cut is not for people */
	r->step = step_text;
}

/* ---- calls ---- */

static enum step args_whole(struct dialect_reader *r, char b)
{
	(void)b;
	reader_end_call(r);
	return reader_section_end(r, STEP_TAKEN);
}

static enum step step_call_body(struct dialect_reader *r, char b)
{
	if (is_space(b))
		return STEP_TAKEN;
	if (b != '{' && b != '<') {
		reader_section_end(r, STEP_TAKEN);
		r->has_name = false;
		r->in_thinking = true;
		return STEP_AGAIN;
	}
	if (!reader_begin_call(r))
		return STEP_FAIL;
	if (b == '{') {
		json_args_begin(r, args_whole);
		return STEP_AGAIN;
	}
	reader_emit(r, PART_ARGUMENTS, "{}", 2);
	reader_end_call(r);
	return reader_section_end(r, STEP_AGAIN);
}
