/*
 * The Jinja template language, as far as published chat templates use it, with the meaning that Python's
 * jinja2 gives it in the environment of transformers' apply_chat_template (trim_blocks, lstrip_blocks,
 * break and continue, generation blocks, tojson, raise_exception, strftime_now). What is not here (include,
 * import, extends, block, autoescape, a few filters) is refused by its name and line.
 *
 * A template is compiled once and is then immutable; any number of threads may render it. A run is one
 * rendering by one thread: it owns the values it is given and the text it makes.
 *
 * Every byte of the text knows where it came from. Trusted are the template's own literals and what the
 * caller says is (special tokens); whatever an operation makes of a string, each byte keeps its origin. The
 * text comes as parts for tok_encode_parts, so that nothing a request brings can become a special token.
 *
 * A template is not trusted with the machine: steps, nesting, memory and output have limits (text/limits.h).
 */
#ifndef TEXT_JINJA_H
#define TEXT_JINJA_H

#include "base/error.h"
#include "base/str.h"
#include "text/tokenizer.h"

struct jinja;

/* source is copied. BAD_FILE: the template is malformed or uses what is not here; the message begins with
 * "line N: ". */
enum hokku_code jinja_compile(struct str source, struct jinja **out, struct hokku_error *err);
void jinja_destroy(struct jinja *t); /* NULL is allowed */

/* A value of a run. Made by the functions below alone; copied freely; valid as long as its run. */
struct jinja_value {
	uint8_t type;
	bool trusted; /* of a number: may its digits be part of a special token's name? */
	union {
		bool b;
		int64_t i;
		double f;
		void *p;
	} as;
};

struct jinja_run;
struct jinja_run *jinja_run_create(void); /* NULL: no memory */
void jinja_run_destroy(struct jinja_run *r);

/* Less than JINJA_MAX_STEPS and JINJA_MAX_MEMORY_BYTES. */
void jinja_limit(struct jinja_run *r, uint64_t max_steps, size_t max_memory_bytes);
/* Did it end because of them? */
bool jinja_ran_out(const struct jinja_run *r);

/* Where memory ends, the run remembers it and jinja_render says so. A string's bytes are not copied: they
 * must outlive the run. */
struct jinja_value jinja_none(void);
struct jinja_value jinja_bool(bool b);
struct jinja_value jinja_int(int64_t i);
struct jinja_value jinja_float(double f);
struct jinja_value jinja_big_int(struct jinja_run *r,
				 struct str digits); /* one past 64 bits: written as it is */
struct jinja_value jinja_string(struct jinja_run *r, struct str s, bool trusted);
struct jinja_value jinja_list(struct jinja_run *r);
struct jinja_value jinja_dict(struct jinja_run *r);
void jinja_push(struct jinja_run *r, struct jinja_value list, struct jinja_value v);
void jinja_put(struct jinja_run *r, struct jinja_value dict, struct str key, struct jinja_value v);

/* v as the filter tojson writes it. */
struct jinja_value jinja_to_json(struct jinja_run *r, struct jinja_value v);

/* A message of the conversation, so that a refusal can name it: see jinja_message_index. */
void jinja_mark_message(struct jinja_run *r, struct jinja_value dict, size_t index);

/* A variable of the template. name is not copied. */
void jinja_set(struct jinja_run *r, struct str name, struct jinja_value v);

/* The calendar that strftime_now reads; without it, the machine's clock and time zone. */
struct jinja_time {
	int year, month, day, hour, minute, second; /* month and day from 1 */
};
void jinja_set_now(struct jinja_run *r, const struct jinja_time *now);

/* "2026-07-31" or "2026-07-31T23:59:58" (a blank for the T is allowed), from year 1 to 9999. False: it is
 * not. */
bool jinja_time_parse(struct str s, struct jinja_time *out);
const char *jinja_time_text(const struct jinja_time *t, char out[20]); /* "2026-07-31T23:59:58" */

/* Once a run. INVALID_REQUEST: the template refused (raise_exception; jinja_refused is then true and the
 * message is the template's own words), failed on these values, or went over a limit; OUT_OF_MEMORY. */
enum hokku_code jinja_render(const struct jinja *t, struct jinja_run *r, struct hokku_error *err);

/* What was written; valid until the run is destroyed. The parts are those of the text, in order. */
struct str jinja_text(const struct jinja_run *r);
const struct tok_part *jinja_parts(const struct jinja_run *r, size_t *n);

/* What is to be told after a rendering, whatever its result. */
bool jinja_refused(const struct jinja_run *r);
ptrdiff_t jinja_message_index(const struct jinja_run *r); /* the message being written when it failed; -1 */
bool jinja_used_time(const struct jinja_run *r, struct jinja_time *out); /* strftime_now was called */

/* Does the template read this variable at all? (It may set it first.) */
bool jinja_names(const struct jinja *t, struct str name);

#endif
