/*
 * Free text that ends where something appears in it.
 *
 * Text T and then a mark e is read by one expression. T holds none of the marks; and none of those that would
 * be met first begins in T and is complete within e: such a beginning is what T must not end with.
 */
#include <string.h>

#include "constrain/rx_internal.h"
#include "constrain/structure_internal.h"

struct marks structure_join(struct structure *s, struct marks a, struct marks b)
{
	if (!a.n || !b.n)
		return a.n ? a : b;
	struct str *all = structure_alloc(s, (size_t)a.n + b.n, sizeof *all);
	memcpy(all, a.at, a.n * sizeof *all);
	memcpy(all + a.n, b.at, b.n * sizeof *all);
	return (struct marks){all, a.n + b.n};
}

struct marks structure_not_empty(struct structure *s, struct marks a)
{
	struct str *kept = structure_alloc(s, a.n, sizeof *kept);
	uint32_t n = 0;
	for (uint32_t i = 0; i < a.n; i++)
		if (a.at[i].len)
			kept[n++] = a.at[i];
	return (struct marks){kept, n};
}

bool structure_holds(struct str text, struct str part)
{
	return part.len <= text.len && memmem(text.ptr, text.len, part.ptr, part.len) != NULL;
}

rx structure_free(struct structure *s, const struct free_text *t)
{
	struct rx_pool *p = s->p;
	rx any = rx_and(p, rx_any_text(p, RX_RAW, t->min_chars, t->max_chars), t->also);
	if (!t->never.n)
		return any;
	rx holds = rx_cat(p, RX_ALL, rx_cat(p, structure_one_of(s, t->never), RX_ALL));
	return rx_and(p, any, rx_not(p, holds));
}

/* Beginnings of x that a text before next must not end with: what is left of x is then read within next. */
static void add_heads(struct structure *s, struct str x, struct str next, struct strbuf *heads, uint32_t *n)
{
	rx_charge(s->p, x.len);
	for (size_t i = 1; i < x.len; i++) {
		size_t rest = x.len - i;
		if (rest > next.len || memcmp(x.ptr + i, next.ptr, rest) != 0)
			continue;
		rx head = rx_literal(s->p, x.ptr, i);
		strbuf_add(heads, (const char *)&head, sizeof head);
		++*n;
	}
}

rx structure_free_then(struct structure *s, const struct free_text *t, struct marks first, struct str next)
{
	struct rx_pool *p = s->p;
	rx text = structure_free(s, t);
	struct strbuf heads = {0};
	uint32_t n = 0;
	for (uint32_t i = 0; i < first.n && !rx_failed(p); i++)
		add_heads(s, first.at[i], next, &heads, &n);
	if (n) {
		rx *all = heads.failed ? NULL : structure_alloc(s, n, sizeof *all), bad = RX_NONE;
		if (all) {
			memcpy(all, heads.ptr, n * sizeof *all);
			bad = rx_or_many(p, all, n);
		}
		p->failed |= !all;
		text = rx_and(p, text, rx_not(p, rx_cat(p, RX_ALL, bad)));
	}
	strbuf_free(&heads);
	return rx_cat(p, text, rx_literal(p, next.ptr, next.len));
}

rx structure_free_after(struct structure *s, const struct free_text *t, struct marks first,
			const struct after *after)
{
	if (!after)
		return structure_free(s, t);
	rx all = RX_NONE;
	if (after->ends)
		first = structure_join(s, structure_not_empty(s, after->texts), first);
	for (uint32_t i = 0; i < after->texts.n; i++)
		all = rx_or(s->p, all,
			    after->texts.at[i].len ? structure_free_then(s, t, first, after->texts.at[i])
						   : structure_free(s, t));
	return all;
}

/* What the members say beyond XGrammar's: what JSON Schema says of strings. */
static void read_more(struct structure *s, const struct jv *v, struct free_text *t)
{
	const struct jv *pattern = jv_get(v, "pattern");
	if (!jv_none(jv_get(v, "min_chars")))
		t->min_chars = (uint32_t)structure_int(s, v, "min_chars", 0, INT32_MAX);
	if (t->min_chars > t->max_chars)
		structure_refuse(s, v, "min_chars", "it is %u, above \"max_chars\", %u; no text is both",
				 (unsigned)t->min_chars, (unsigned)t->max_chars);
	if (!jv_none(pattern)) {
		enum hokku_code rc = rx_pattern(s->p, RX_RAW, structure_string(s, v, "pattern", false), false,
						&t->also, s->err);
		if (rc)
			structure_refuse_text(s, pattern, rc);
	}
}

void structure_put_any_text(struct structure *s, const struct jv *v, struct site site)
{
	struct marks excludes = structure_marks(s, jv_get(v, "excludes"), false);
	struct free_text t = {.never = structure_join(s, excludes, site.tag_ends),
			      .max_chars = RX_UNBOUNDED,
			      .also = RX_ALL};
	if (!jv_none(jv_get(v, "max_tokens")))
		structure_refuse(s, v, "max_tokens",
				 "tokens of free text are not counted here; max_chars counts its characters");
	if (!jv_none(jv_get(v, "max_chars")))
		t.max_chars = (uint32_t)structure_int(s, v, "max_chars", 0, INT32_MAX);
	read_more(s, v, &t);
	grammar_reads(s->g, site.from, site.to,
		      structure_free_after(s, &t, (struct marks){NULL, 0}, site.after));
}

void structure_put_any_tokens(struct structure *s, const struct jv *v, struct site site)
{
	const struct free_text t = {.max_chars = RX_UNBOUNDED, .also = RX_ALL};
	structure_check_excluded(s, jv_get(v, "exclude_tokens"));
	if (!jv_none(jv_get(v, "max_tokens")))
		structure_refuse(s, v, "max_tokens",
				 "tokens of free text are not counted here; max_chars of any_text counts its "
				 "characters");
	grammar_reads(s->g, site.from, site.to,
		      structure_free_after(s, &t, (struct marks){NULL, 0}, site.after));
}
