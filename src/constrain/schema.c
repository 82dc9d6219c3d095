/* schema_compile: memory, limits, refusals, and the order of things. The rest is in schema_*.c. */
#include "constrain/rx_internal.h"
#include "constrain/schema_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "constrain/pointer.h"

_Noreturn static void leave(struct schema *s, enum hokku_code rc)
{
	s->rc = rc;
	longjmp(s->jump, 1);
}

_Noreturn void schema_no_memory(struct schema *s)
{
	leave(s, err_set(s->err, HOKKU_OUT_OF_MEMORY, "no memory to compile the schema"));
}

void *schema_alloc(struct schema *s, size_t count, size_t size)
{
	size_t n;
	schema_work(s, count * size / 128); /* the memory that nobody has looked at yet costs time too */
	void *p = __builtin_mul_overflow(count, size, &n) ? NULL : arena_alloc(&s->arena, n ? n : 1, 8);
	if (!p)
		schema_no_memory(s);
	return p;
}

void *schema_grow(struct schema *s, void *array, uint32_t n, uint32_t *cap, size_t size)
{
	if (n < *cap)
		return array;
	uint32_t more = *cap ? *cap * 2 : 8;
	void *p = schema_alloc(s, more, size);
	if (n)
		memcpy(p, array, n * size);
	*cap = more;
	return p;
}

const struct jv *schema_here(const struct schema *s)
{
	if (s->n_busy)
		return s->lits[s->busy[s->n_busy - 1]].at;
	return s->writing > TERM_NONE ? s->lits[s->terms[s->writing].lits[0]].at : s->root;
}

_Noreturn static void used_up(struct schema *s)
{
	unsigned long long limit = s->p->limits.work;
	if (s->work > limit / 2)
		schema_refuse(
			s, s->root, NULL,
			"its alternatives multiply: bringing them together takes more than the %llu steps that one "
			"shape may; fewer anyOf, oneOf, not or if beside each other, or oneOf whose schemas exclude "
			"each other by a required property with a const, would do",
			limit);
	schema_refuse(s, s->root, NULL,
		      "its patterns, lengths and names take more than the memory or work that one shape may; "
		      "shorter patterns or smaller maxLength would do");
}

void schema_work(struct schema *s, uint64_t steps)
{
	s->work += steps;
	if (!rx_charge(s->p, steps))
		used_up(s);
}

void schema_refuse(struct schema *s, const struct jv *at, const char *keyword, const char *format, ...)
{
	char place[sizeof s->fault->place], text[400];
	struct strbuf pointer = {0};
	pointer_add(s->whole, at, &pointer);
	if (keyword) {
		strbuf_add_c(&pointer, "/");
		strbuf_add_c(&pointer, keyword);
	}
	pointer_cut(place, sizeof place, (struct str){pointer.ptr, pointer.failed ? 0 : pointer.len});
	strbuf_free(&pointer);
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (s->fault)
		memcpy(s->fault->place, place, sizeof place);
	leave(s, err_set(s->err, HOKKU_INVALID_REQUEST, "%s: %s", place[0] ? place : "the schema", text));
}

static rx plain_decimal(struct schema *s)
{
	struct rx_pool *p = s->p;
	uint64_t digit[4] = {(uint64_t)0x3ff << '0'}, from_1[4] = {(uint64_t)0x3fe << '0'};
	rx d = rx_byte_set(p, digit);
	rx whole = rx_or(p, rx_byte(p, '0'),
			 rx_cat(p, rx_byte_set(p, from_1), rx_repeat(p, d, 0, RX_UNBOUNDED)));
	rx behind = rx_cat(p, rx_byte(p, '.'), rx_repeat(p, d, 1, RX_UNBOUNDED));
	return rx_cat(p, rx_repeat(p, rx_byte(p, '-'), 0, 1), rx_cat(p, whole, rx_repeat(p, behind, 0, 1)));
}

static void make_shared(struct schema *s)
{
	struct rx_pool *p = s->p;
	struct rx_number all = {0};
	rx quote = rx_byte(p, '"'), number = RX_NONE, text = rx_any_text(p, RX_JSON, 0, RX_UNBOUNDED);
	if (rx_number(p, &all, &number, NULL))
		number = RX_NONE;
	s->shared->any_text = text;
	s->shared->string_any = rx_cat(p, quote, rx_cat(p, text, quote));
	s->shared->number_any = number;
	s->shared->decimal_any = plain_decimal(s);
	s->shared->made = true;
}

static void begin(struct schema *s)
{
	struct rx_pool *p = s->p;
	uint64_t white[4] = {1ull << ' ' | 1ull << '\t' | 1ull << '\n' | 1ull << '\r'};
	s->space_rx =
		s->space == CONSTRAIN_FREE ? rx_repeat(p, rx_byte_set(p, white), 0, RX_UNBOUNDED) : RX_EMPTY;
	if (!s->shared->made)
		make_shared(s);
	s->any_text = s->shared->any_text;
	s->string_any = s->shared->string_any;
	s->number_any = s->shared->number_any;
	s->decimal_any = s->shared->decimal_any;
	schema_terms_init(s);
	s->any = schema_typed(s, T_ALL);
	s->none = schema_typed(s, 0);
	s->fuel = 4;
}

/*
 * Where additional properties are counted, or one of a kind has to be there, none may come twice. The walk
 * sees to that, which must never leave it without a way on: each name that was begun has to have endlessly
 * many ways on, in all objects of the text.
 */
static void settle_names(struct schema *s, bool alone)
{
	bool endless = alone;
	if (!s->counts && !s->wants_some)
		return;
	for (uint32_t i = 0; i < s->n_kinds && endless; i++)
		endless = rx_endless(s->p, s->kinds[i], SCHEMA_MAX_NAME_STATES);
	schema_work(s, 0);
	if (endless)
		grammar_distinct(s->g);
	else if (s->counts && alone)
		schema_refuse(
			s, s->counts, jv_get(s->counts, "minProperties") ? "minProperties" : NULL,
			"that so many additional properties have different names is enforced only where "
			"all objects of the schema have names that can go on for ever: patternProperties "
			"and propertyNames without maxLength, enum, or a pattern's end; names under "
			"properties would do");
	else if (s->counts)
		schema_refuse(
			s, s->counts, jv_get(s->counts, "minProperties") ? "minProperties" : NULL,
			"that so many additional properties have different names cannot be enforced in a "
			"structural tag; names under properties would do");
}

static void compile(struct schema *s, bool alone)
{
	begin(s);
	schema_scan(s);
	schema_emit(s, s->from, s->to, schema_term(s, s->root, LIT_SCHEMA, false));
	schema_emit_queue(s);
	settle_names(s, alone);
	schema_work(s, 0);
}

enum hokku_code schema_into(const struct schema_site *site, const struct jv *root, enum constrain_space space,
			    struct constrain_fault *fault, struct hokku_error *err)
{
	struct schema *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory to compile the schema");
	s->g = site->g;
	s->p = grammar_pool(site->g);
	s->from = site->from;
	s->to = site->to;
	s->whole = site->whole;
	s->shared = site->shared;
	s->root = root;
	s->space = space;
	s->fault = fault;
	s->err = err;
	if (setjmp(s->jump) == 0)
		compile(s, site->alone);
	enum hokku_code rc = s->rc;
	arena_free(&s->arena);
	free(s);
	return rc;
}

enum hokku_code schema_compile(struct grammar *g, const struct jv *root, enum constrain_space space,
			       struct constrain_fault *fault, struct hokku_error *err)
{
	rule_id r = grammar_rule(g, "root");
	struct schema_base_texts shared = {0};
	const struct schema_site site = {g, grammar_start(g, r), grammar_end(g, r), root, &shared, true};
	return schema_into(&site, root, space, fault, err);
}
