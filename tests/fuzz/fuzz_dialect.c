/*
 * An answer behind two bytes: the dialect's number, and how it is read (bit 0: thinking is open, bit 1: none
 * is read, bit 2: no tools). Its parts are the same read whole, byte by byte and in pieces of seven; a call
 * that has an end has one JSON object for arguments; calls are numbered from 0; every piece holds whole
 * characters where the answer does.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/dialect.h"

#define CHECK(condition)          \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static const char tools_json[] =
	"[{\"name\": \"f\", \"parameters\": {\"properties\": {\"s\": {\"type\": \"string\"}, \"n\": {\"type\": \"integer\"}, \"u\": "
	"{\"type\": [\"string\", \"null\"]}}}}, {\"name\": \"g\"}]";

struct heard {
	struct strbuf all, args;
	int last;
	uint32_t n_calls;
	bool in_call, valid; /* the answer is UTF-8 */
};

static void hear(void *user, const struct part *p)
{
	struct heard *h = user;
	bool of_call = p->kind != PART_TEXT && p->kind != PART_THINKING;
	CHECK(p->text.len || p->kind == PART_CALL_END);
	CHECK(!h->valid || utf8_valid_prefix(p->text.ptr, p->text.len) == p->text.len);
	if (p->kind == PART_CALL) {
		CHECK(p->call == h->n_calls && h->n_calls < DIALECT_MAX_CALLS &&
		      p->text.len <= DIALECT_MAX_NAME_BYTES);
		h->n_calls++;
		h->in_call = true;
		strbuf_clear(&h->args);
	} else if (of_call) {
		CHECK(h->in_call && p->call + 1 == h->n_calls);
	} else {
		h->in_call = false;
	}
	if (p->kind == PART_ARGUMENTS)
		strbuf_add(&h->args, p->text.ptr, p->text.len);
	if (p->kind == PART_CALL_END) {
		struct jv_doc doc;
		if (!jv_parse((struct str){h->args.ptr, h->args.len}, JV_STRICT, &doc, NULL)) {
			CHECK(doc.root.type == JV_OBJECT);
			jv_doc_free(&doc);
		}
		h->in_call = false;
	}
	if (h->last != (int)p->kind)
		strbuf_addf(&h->all, "\n%d ", (int)p->kind);
	h->last = (int)p->kind;
	strbuf_add(&h->all, p->text.ptr, p->text.len);
}

static void read_answer(const struct dialect_reading *how, struct str answer, size_t step, struct heard *h)
{
	*h = (struct heard){.last = -1, .valid = utf8_valid_prefix(answer.ptr, answer.len) == answer.len};
	struct dialect_reader *r = dialect_reader_new(how, hear, h);
	CHECK(r);
	for (size_t at = 0; at < answer.len; at += step) {
		size_t n = step < answer.len - at ? step : answer.len - at;
		CHECK(dialect_reader_feed(r, (struct str){answer.ptr + at, n}, NULL) == HOKKU_OK);
	}
	CHECK(dialect_reader_end(r, NULL) == HOKKU_OK);
	CHECK(dialect_reader_calls(r) == h->n_calls);
	dialect_reader_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct jv_doc tools;
	size_t n_rows = 0, n_thinkings = 0;
	if (size < 2 || size > 1 << 16)
		return 0;
	if (!tools.root.n)
		CHECK(jv_parse(STR_LIT(tools_json), JV_STRICT, &tools, NULL) == HOKKU_OK);
	while (dialect_at(n_rows))
		n_rows++;
	while (dialect_thinking_at(n_thinkings))
		n_thinkings++;
	struct dialect_reading how = {.dialect = dialect_at(data[0] % n_rows),
				      .thinking = dialect_thinking_at((size_t)(data[1] >> 3) % n_thinkings)};
	if (data[1] & 1)
		how.prompt = str_c(how.thinking->open);
	if (data[1] & 2)
		how.thinking = NULL;
	if (!(data[1] & 4))
		how.tools = &tools.root;
	struct str answer = {(const char *)data + 2, size - 2};
	struct heard whole, other;
	read_answer(&how, answer, size, &whole);
	for (size_t step = 1; step <= 7; step += 6) {
		read_answer(&how, answer, step, &other);
		CHECK(str_eq((struct str){whole.all.ptr, whole.all.len},
			     (struct str){other.all.ptr, other.all.len}));
		strbuf_free(&other.all);
		strbuf_free(&other.args);
	}
	strbuf_free(&whole.all);
	strbuf_free(&whole.args);
	return 0;
}
