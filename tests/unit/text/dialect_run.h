/* Runs the reader of text/dialect.h and writes its parts, those of a kind side by side as one, a line each.
 */
#ifndef TEST_TEXT_DIALECT_RUN_H
#define TEST_TEXT_DIALECT_RUN_H

#include "gguf/builder.h"

#include "text/dialect.h"

struct parts_seen {
	struct strbuf all; /* "text TEXT\n", "call 0 NAME\n", "args 0 JSON\n", "end 0\n" */
	int last;          /* kind; -1: none */
	uint32_t call;
	bool whole_chars; /* every piece was */
};

static inline void seen_part(void *user, const struct part *p)
{
	static const char *const names[] = {"text", "thinking", "call", "args", "end"};
	struct parts_seen *s = user;
	bool joins = s->last == (int)p->kind && (p->kind == PART_TEXT || p->kind == PART_THINKING ||
						 (p->kind == PART_ARGUMENTS && s->call == p->call));
	if (!joins) {
		if (s->last >= 0)
			strbuf_add_c(&s->all, "\n");
		strbuf_add_c(&s->all, names[p->kind]);
		if (p->kind != PART_TEXT && p->kind != PART_THINKING)
			strbuf_addf(&s->all, " %u", p->call);
		if (p->kind != PART_CALL_END)
			strbuf_add_c(&s->all, " ");
	}
	s->last = (int)p->kind;
	s->call = p->call;
	strbuf_add(&s->all, p->text.ptr, p->text.len);
	if (utf8_valid_prefix(p->text.ptr, p->text.len) != p->text.len)
		s->whole_chars = false;
}

static inline struct parts_seen seen_none(void)
{
	return (struct parts_seen){.last = -1, .whole_chars = true};
}

/* The answer in pieces of step bytes, the first of first (0: of step). */
static inline void seen_run(struct parts_seen *s, const struct dialect_reading *how, struct str answer,
			    size_t first, size_t step)
{
	struct hokku_error err = {0};
	strbuf_clear(&s->all);
	s->last = -1;
	struct dialect_reader *r = dialect_reader_new(how, seen_part, s);
	assert_non_null(r);
	for (size_t at = 0; at < answer.len;) {
		size_t n = at == 0 && first ? first : step;
		n = n < answer.len - at ? n : answer.len - at;
		char *copy = malloc(n); /* so that a sanitizer sees what is read past a piece */
		assert_non_null(copy);
		memcpy(copy, answer.ptr + at, n);
		assert_int_equal(dialect_reader_feed(r, (struct str){copy, n}, &err), HOKKU_OK);
		free(copy);
		at += n;
	}
	assert_int_equal(dialect_reader_end(r, &err), HOKKU_OK);
	if (s->last >= 0)
		strbuf_add_c(&s->all, "\n");
	else
		strbuf_add_c(&s->all, "");
	dialect_reader_free(r);
}

#endif
