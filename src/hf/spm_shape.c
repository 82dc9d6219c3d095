/*
 * A tokenizer.json of SentencePiece's shape (Llama 2, Mistral, Gemma, Phi-3): model.type BPE whose tokens are
 * written with U+2581 for blanks, with or without byte tokens. Each component is read step by step; one that
 * would change the ids or the text in a way that nobody computes here is refused by its name.
 */
#include <stdio.h>

#include "hf/reader.h"
#include "hf/vocab.h"

#define BLANK "\xE2\x96\x81"
#define refuse(r, ...) \
	err_prefix((r)->err, err_set((r)->err, HOKKU_INVALID_REQUEST, __VA_ARGS__), "%s", (r)->path)

enum { MAX_DEPTH = 8, FIELD_BYTES = 128 };

/* What a component's steps are read into. */
struct shape {
	const struct hf_reader *r;
	struct vocab_text *text;
	bool prepends, replaces, metaspace;
	bool decodes_blanks;
};

typedef enum hokku_code step_fn(struct shape *s, const char *field, const struct jv *step);

/* A Sequence's steps one after another; a Sequence within one is no different. */
static enum hokku_code each_step(struct shape *s, const char *field, const struct jv *node, const char *list,
				 step_fn *read, unsigned depth)
{
	char name[FIELD_BYTES];
	const struct jv *steps = jv_get(node, list);
	if (jv_none(node))
		return HOKKU_OK;
	if (!str_eq_c(jv_str(jv_get(node, "type")), "Sequence") || !jv_is(steps, JV_ARRAY) ||
	    depth == MAX_DEPTH)
		return read(s, field, node);
	for (size_t i = 0; i < jv_len(steps); i++) {
		snprintf(name, sizeof name, "%.64s.%s[%zu]", field, list, i);
		enum hokku_code rc = each_step(s, name, jv_at(steps, i), list, read, depth + 1);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

static bool is_type(const struct jv *step, const char *type)
{
	return str_eq_c(jv_str(jv_get(step, "type")), type);
}

static bool has_text(const struct jv *step, const char *key, const char *text)
{
	return str_eq_c(jv_str(jv_get(step, key)), text);
}

static bool replaces(const struct jv *step, const char *from, const char *to)
{
	return is_type(step, "Replace") && has_text(jv_get(step, "pattern"), "String", from) &&
	       has_text(step, "content", to);
}

static enum hokku_code unknown_step(const struct shape *s, const char *field, const struct jv *step,
				    const char *known)
{
	char text[160];
	return refuse(s->r, "%s is %s; of a tokenizer of SentencePiece's shape hokku reads %s there", field,
		      jv_text(step, text, sizeof text), known);
}

/* ---- normalizer ---- */

static enum hokku_code read_normalizer(struct shape *s, const char *field, const struct jv *step)
{
	bool prepend = is_type(step, "Prepend") && has_text(step, "prepend", BLANK);
	if ((prepend && s->prepends) || (!prepend && !replaces(step, " ", BLANK)))
		return unknown_step(
			s, field, step,
			"one Prepend of \"\xE2\x96\x81\" and Replace of \" \" by \"\xE2\x96\x81\"");
	s->prepends = s->prepends || prepend;
	s->replaces = s->replaces || !prepend;
	return HOKKU_OK;
}

/* ---- pre_tokenizer ---- */

/* prepend_scheme, or of older files add_prefix_space. */
static enum hokku_code read_metaspace(struct shape *s, const char *field, const struct jv *step)
{
	static const char *const schemes[] = {"always", "first", "never"};
	char name[FIELD_BYTES + 24];
	bool prefix = true, split = true;
	const struct jv *scheme = jv_get(step, "prepend_scheme");
	unsigned which = 0;
	snprintf(name, sizeof name, "%s.add_prefix_space", field);
	enum hokku_code rc = hf_read_bool(s->r, name, jv_get(step, "add_prefix_space"), &prefix, NULL);
	snprintf(name, sizeof name, "%s.split", field);
	if (!rc)
		rc = hf_read_bool(s->r, name, jv_get(step, "split"), &split, NULL);
	if (rc)
		return rc;
	while (!jv_none(scheme) && which < 3 && !str_eq_c(jv_str(scheme), schemes[which]))
		which++;
	snprintf(name, sizeof name, "%s.prepend_scheme", field);
	if (which == 3)
		return hf_wrong(s->r, name, scheme, "\"always\", \"first\" or \"never\"");
	if (jv_none(scheme) && !prefix)
		which = 2;
	s->text->space_prefix = which < 2;
	s->text->prefix_first = which == 1;
	s->text->prefix_once = which < 2;
	s->text->split_at_spaces = s->text->split_at_spaces || split;
	s->metaspace = true;
	return HOKKU_OK;
}

static enum hokku_code read_pre_tokenizer(struct shape *s, const char *field, const struct jv *step)
{
	const struct jv *pattern = jv_get(step, "pattern");
	bool inverted = jv_is_true(jv_get(step, "invert"));
	if (is_type(step, "Metaspace") && has_text(step, "replacement", BLANK) && !s->metaspace &&
	    !s->prepends)
		return read_metaspace(s, field, step);
	/* There are no blanks left to cut at. */
	if (is_type(step, "Split") && has_text(pattern, "String", " ") && (s->replaces || s->metaspace) &&
	    !inverted)
		return HOKKU_OK;
	if (is_type(step, "Split") && has_text(pattern, "String", BLANK) &&
	    has_text(step, "behavior", "MergedWithNext") && (s->replaces || s->metaspace) && !inverted) {
		s->text->split_at_spaces = true;
		return HOKKU_OK;
	}
	return unknown_step(
		s, field, step,
		"Metaspace (beside no Prepend), Split at \" \" where no blanks are left, and Split "
		"at \"\xE2\x96\x81\" that merges with what follows");
}

/* ---- decoder ---- */

/* U+2581 to blanks, byte tokens to bytes. Whether the first blank goes (Strip, Metaspace) is asked of whoever
 * joins a text: hokku keeps it. */
static enum hokku_code read_decoder(struct shape *s, const char *field, const struct jv *step)
{
	int64_t start = 0, stop = 0;
	bool strip = is_type(step, "Strip") && has_text(step, "content", " ") &&
		     jv_int(jv_get(step, "start"), &start) && jv_int(jv_get(step, "stop"), &stop) &&
		     (start == 0 || start == 1) && stop == 0;
	bool blanks = replaces(step, BLANK, " ") ||
		      (is_type(step, "Metaspace") && has_text(step, "replacement", BLANK));
	if (!blanks && !strip && !is_type(step, "ByteFallback") && !is_type(step, "Fuse"))
		return unknown_step(
			s, field, step,
			"Replace of \"\xE2\x96\x81\" by \" \", Metaspace, ByteFallback, Fuse and Strip of one "
			"blank at the start");
	s->decodes_blanks = s->decodes_blanks || blanks;
	return HOKKU_OK;
}

/* ---- all of it ---- */

/* Whether some step is of the type. */
static bool holds(const struct jv *node, const char *list, const char *type, unsigned depth)
{
	const struct jv *steps = jv_get(node, list);
	bool found = is_type(node, type);
	for (size_t i = 0; i < jv_len(steps) && depth < MAX_DEPTH && !found; i++)
		found = holds(jv_at(steps, i), list, type, depth + 1);
	return found;
}

bool vocab_is_spm(const struct jv *tokenizer)
{
	const struct jv *normalizer = jv_get(tokenizer, "normalizer"),
			*pre = jv_get(tokenizer, "pre_tokenizer");
	return !holds(pre, "pretokenizers", "ByteLevel", 0) &&
	       (jv_is_true(jv_get(jv_get(tokenizer, "model"), "byte_fallback")) ||
		holds(pre, "pretokenizers", "Metaspace", 0) ||
		holds(normalizer, "normalizers", "Prepend", 0) ||
		holds(normalizer, "normalizers", "Replace", 0));
}

enum hokku_code vocab_read_spm_shape(const struct jv *tokenizer, const struct hf_reader *r,
				     struct vocab_text *out)
{
	struct shape s = {.r = r, .text = out};
	*out = (struct vocab_text){.join_by_merges = true};
	enum hokku_code rc = each_step(&s, "normalizer", jv_get(tokenizer, "normalizer"), "normalizers",
				       read_normalizer, 0);
	if (!rc)
		rc = each_step(&s, "pre_tokenizer", jv_get(tokenizer, "pre_tokenizer"), "pretokenizers",
			       read_pre_tokenizer, 0);
	if (!rc)
		rc = each_step(&s, "decoder", jv_get(tokenizer, "decoder"), "decoders", read_decoder, 0);
	if (rc)
		return rc;
	if (!s.replaces && !s.metaspace)
		return refuse(
			r, "neither normalizer nor pre_tokenizer makes \"\xE2\x96\x81\" of blanks (Replace, "
			   "Metaspace); hokku converts no other tokenizer with model.byte_fallback");
	if (!s.decodes_blanks)
		return refuse(
			r, "decoder makes no blanks of \"\xE2\x96\x81\" (Replace, Metaspace); the text would "
			   "be another than what was encoded");
	if (s.prepends)
		out->space_prefix = true;
	out->normalizes = s.replaces;
	out->prepends = s.prepends;
	return HOKKU_OK;
}
