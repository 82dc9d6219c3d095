/* Members of formats, checked: what is not known, missing or of another kind is refused by its place. */
#include <stdio.h>
#include <string.h>

#include "constrain/rx_internal.h"
#include "constrain/structure_internal.h"

const char *structure_found(const struct jv *v, char out[64])
{
	static const char *const kinds[] = {
		[JV_NULL] = "null",         [JV_BOOL] = "a boolean", [JV_NUMBER] = "the number",
		[JV_STRING] = "the string", [JV_ARRAY] = "an array", [JV_OBJECT] = "an object",
	};
	char text[40];
	if (!v)
		return "missing";
	if (v->type == JV_STRING && !v->n)
		snprintf(out, 64, "empty");
	else if (v->type == JV_STRING || v->type == JV_NUMBER)
		snprintf(out, 64, "%s %s", kinds[v->type], jv_text(v, text, sizeof text));
	else
		snprintf(out, 64, "%s", kinds[v->type]);
	return out;
}

bool structure_bool(struct structure *s, const struct jv *v, const char *key, bool absent)
{
	char found[64];
	const struct jv *b = jv_get(v, key);
	if (jv_none(b))
		return absent;
	if (!jv_is(b, JV_BOOL))
		structure_refuse(s, b, NULL, "it is %s; true or false is wanted", structure_found(b, found));
	return jv_is_true(b);
}

int64_t structure_int(struct structure *s, const struct jv *v, const char *key, int64_t min, int64_t max)
{
	char found[64];
	int64_t n = 0;
	const struct jv *i = jv_get(v, key);
	if (!i)
		structure_refuse(s, v, NULL, "\"%s\" is missing; it takes a whole number", key);
	if (!jv_int(i, &n) || n < min || n > max)
		structure_refuse(s, i, NULL, "it is %s; a whole number from %lld to %lld is wanted",
				 structure_found(i, found), (long long)min, (long long)max);
	return n;
}

struct str structure_string(struct structure *s, const struct jv *v, const char *key, bool may_be_empty)
{
	char found[64];
	const struct jv *text = jv_get(v, key);
	if (!text)
		structure_refuse(s, v, NULL, "\"%s\" is missing; it takes a string", key);
	if (!jv_is(text, JV_STRING) || (!text->n && !may_be_empty))
		structure_refuse(s, text, NULL, "it is %s; a string%s is wanted",
				 structure_found(text, found), may_be_empty ? "" : " that is not empty");
	return jv_str(text);
}

const struct jv *structure_list(struct structure *s, const struct jv *v, const char *key)
{
	char found[64];
	const struct jv *list = jv_get(v, key);
	if (!list)
		structure_refuse(s, v, NULL, "\"%s\" is missing; it takes an array", key);
	if (!jv_is(list, JV_ARRAY) || !list->n)
		structure_refuse(s, list, NULL, "it is %s; an array of at least one is wanted",
				 jv_is(list, JV_ARRAY) ? "empty" : structure_found(list, found));
	return list;
}

struct str structure_mark(struct structure *s, const struct jv *v, bool may_be_empty)
{
	char found[64];
	if (!jv_is(v, JV_STRING) || (!v->n && !may_be_empty))
		structure_refuse(s, v, NULL, "it is %s; a string%s is wanted", structure_found(v, found),
				 may_be_empty ? "" : " that is not empty");
	if (v->n > STRUCTURE_MAX_MARK)
		structure_refuse(s, v, NULL, "it has %u bytes; what begins or ends free text may have %d",
				 (unsigned)v->n, STRUCTURE_MAX_MARK);
	return jv_str(v);
}

struct marks structure_marks(struct structure *s, const struct jv *list, bool may_be_empty)
{
	char found[64];
	if (jv_none(list))
		return (struct marks){NULL, 0};
	if (!jv_is(list, JV_ARRAY))
		structure_refuse(s, list, NULL, "it is %s; an array of strings is wanted",
				 structure_found(list, found));
	struct str *texts = structure_alloc(s, list->n, sizeof *texts);
	for (uint32_t i = 0; i < list->n; i++)
		texts[i] = structure_mark(s, &list->items[i], may_be_empty);
	return (struct marks){texts, list->n};
}

void structure_refuse_others(struct structure *s, const struct jv *v, const char *const *known)
{
	struct strbuf names = {0};
	for (uint32_t i = 0; i < v->n; i++) {
		const char *const *k = known;
		while (*k && !str_eq_c(jv_key(v, i), *k))
			k++;
		if (*k)
			continue;
		for (k = known; *k; k++)
			strbuf_addf(&names, "%s%s", k == known ? "" : ", ", *k);
		char text[200];
		snprintf(text, sizeof text, "%s", names.failed ? "" : names.ptr);
		strbuf_free(&names);
		structure_refuse(s, jv_value(v, i), NULL,
				 "this member is not known here, and so cannot be enforced; there are %s",
				 text);
	}
}

int32_t structure_token(struct structure *s, const struct jv *v)
{
	char found[64];
	int64_t n = -1;
	rx_charge(s->p, 1 + (jv_is(v, JV_STRING) ? s->vocab->n_tokens / 64 : 0));
	if (jv_is(v, JV_STRING) && v->n)
		n = rx_failed(s->p) ? 0 : vocab_find_token(s->vocab, jv_str(v));
	else if (!jv_int(v, &n) || n < 0)
		structure_refuse(s, v, NULL, "it is %s; a token's number or its text is wanted",
				 structure_found(v, found));
	if (n < 0)
		structure_refuse(s, v, NULL, "it is %s, and no token of the vocabulary is written so",
				 structure_found(v, found));
	if (n >= s->vocab->n_tokens)
		structure_refuse(s, v, NULL, "it is %s; the vocabulary's last token is %u",
				 structure_found(v, found), (unsigned)s->vocab->n_tokens - 1);
	return (int32_t)n;
}

bool structure_is_token(const struct jv *v)
{
	return str_eq_c(jv_str(jv_get(v, "type")), "token");
}

int32_t structure_opening_token(struct structure *s, const struct jv *v)
{
	char found[64];
	int32_t id = structure_token(s, v);
	if (vocab_is_end(s->vocab, id))
		structure_refuse(s, v, NULL,
				 "it is %s, which ends an answer wherever it comes, so that nothing could be "
				 "behind it",
				 structure_found(v, found));
	return id;
}

int32_t structure_token_format(struct structure *s, const struct jv *v)
{
	static const char *const known[] = {"type", "token", NULL};
	const struct jv *token = jv_get(v, "token");
	structure_refuse_others(s, v, known);
	if (!token)
		structure_refuse(s, v, NULL, "\"token\" is missing; it takes a token's number or its text");
	return structure_opening_token(s, token);
}

void structure_check_excluded(struct structure *s, const struct jv *list)
{
	char found[64];
	if (jv_none(list))
		return;
	if (!jv_is(list, JV_ARRAY))
		structure_refuse(s, list, NULL, "it is %s; an array of tokens is wanted",
				 structure_found(list, found));
	for (uint32_t i = 0; i < list->n; i++)
		if (vocab_bytes(s->vocab, structure_token(s, &list->items[i])).len)
			structure_refuse(
				s, &list->items[i], NULL,
				"it is %s, which has text, and free text may hold its bytes; \"excludes\" "
				"of any_text, dispatch or triggered_tags keeps texts out",
				structure_found(&list->items[i], found));
}
