/* tokenizer.json and tokenizer_config.json become a vocabulary; what stands beside its model is added.c. */
#include "hf/vocab.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

#define bad(r, ...)  err_prefix((r)->err, err_set((r)->err, HOKKU_BAD_FILE, __VA_ARGS__), "%s", (r)->path)
#define no_memory(r) err_set((r)->err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its vocabulary", (r)->path)

/* Nothing here computes another kind than BPE. */
static enum hokku_code check_type(const struct jv *model, const struct hf_reader *r)
{
	char found[96];
	const struct jv *type = jv_get(model, "type");
	if (!str_eq_c(jv_str(type), "BPE"))
		return bad(r, "model.type is %s; hokku converts BPE", jv_text(type, found, sizeof found));
	return HOKKU_OK;
}

/* What becomes of characters that are no token: with byte tokens their bytes, else the unknown token. */
static enum hokku_code check_fallback(const struct vocab *v, const struct jv *model,
				      const struct hf_reader *r, bool fallback)
{
	bool fuse = false;
	enum hokku_code rc = hf_read_bool(r, "model.fuse_unk", jv_get(model, "fuse_unk"), &fuse, NULL);
	if (rc)
		return rc;
	if (fallback && !v->spm)
		return bad(r, "model.byte_fallback is true; hokku converts byte-level BPE, which has none");
	if (v->spm && !fallback && !fuse && !jv_none(jv_get(model, "unk_token")))
		return bad(
			r,
			"model.fuse_unk is false and model.byte_fallback too; hokku puts one unknown token "
			"for a run of unknown characters, not one for each");
	return HOKKU_OK;
}

/* The parts of a BPE model that change its result must have the value that is computed with. */
static enum hokku_code check_model(struct vocab *v, const struct hf_reader *r)
{
	static const char *const empty[] = {"continuing_subword_prefix", "end_of_word_suffix"};
	char found[96], field[64];
	bool fallback = false;
	double dropout = 0;
	const struct jv *model = jv_get(&v->tokenizer.root, "model"), *drop = jv_get(model, "dropout");
	enum hokku_code rc =
		hf_read_bool(r, "model.byte_fallback", jv_get(model, "byte_fallback"), &fallback, NULL);
	if (!rc)
		rc = hf_read_bool(r, "model.ignore_merges", jv_get(model, "ignore_merges"), &v->ignore_merges,
				  NULL);
	if (!rc)
		rc = check_fallback(v, model, r, fallback);
	if (rc)
		return rc;
	for (size_t i = 0; i < 2; i++) {
		const struct jv *text = jv_get(model, empty[i]);
		snprintf(field, sizeof field, "model.%s", empty[i]);
		if (!jv_none(text) && !jv_is(text, JV_STRING))
			return hf_wrong(r, field, text, "a string");
		if (jv_str(text).len)
			return bad(r, "%s is %s; hokku converts tokenizers where it is empty", field,
				   jv_text(text, found, sizeof found));
	}
	if (!jv_none(drop) && (!jv_double(drop, &dropout) || dropout != 0))
		return bad(r,
			   "model.dropout is %s; hokku converts tokenizers that leave nothing to chance (0 "
			   "or null)",
			   jv_text(drop, found, sizeof found));
	return HOKKU_OK;
}

enum hokku_code vocab_read_id(const struct hf_reader *r, struct str token, const struct jv *id, uint32_t *out)
{
	char quoted[96], found[64];
	int64_t number;
	if (!jv_int(id, &number) || number < 0 || number >= HF_MAX_VOCAB)
		return bad(r, "token %s: its id must be an integer from 0 to %d; it is %s",
			   str_quote(token, quoted, sizeof quoted), HF_MAX_VOCAB - 1,
			   jv_text(id, found, sizeof found));
	*out = (uint32_t)number;
	return HOKKU_OK;
}

/* model.vocab by id: *base (n), in the arena. */
static enum hokku_code read_base(struct vocab *v, const struct jv *vocab, const struct hf_reader *r,
				 struct str **base, uint32_t *n)
{
	char one[96], two[96];
	uint32_t id;
	*n = 0;
	if (!jv_is(vocab, JV_OBJECT) || vocab->n == 0)
		return bad(r, "model.vocab is absent or empty; it must be an object {token: id}");
	for (uint32_t i = 0; i < vocab->n; i++) {
		enum hokku_code rc = vocab_read_id(r, jv_key(vocab, i), jv_value(vocab, i), &id);
		if (rc)
			return rc;
		*n = id + 1 > *n ? id + 1 : *n;
	}
	*base = arena_array(&v->arena, *n, sizeof **base);
	if (!*base)
		return no_memory(r);
	for (uint32_t i = 0; i < vocab->n; i++) {
		vocab_read_id(r, jv_key(vocab, i), jv_value(vocab, i), &id);
		if ((*base)[id].ptr)
			return bad(r, "tokens %s and %s both have the id %u",
				   str_quote((*base)[id], one, sizeof one),
				   str_quote(jv_key(vocab, i), two, sizeof two), id);
		(*base)[id] = jv_key(vocab, i);
	}
	return HOKKU_OK;
}

/* llama.cpp's name for the ids that no token has. */
static enum hokku_code pad(struct vocab *v, const struct hf_reader *r)
{
	for (uint32_t i = 0; i < v->n; i++) {
		if (v->tokens[i].ptr)
			continue;
		char text[32];
		int n = snprintf(text, sizeof text, "[PAD%u]", i);
		char *copy = arena_strdup(&v->arena, text, (size_t)n);
		if (!copy)
			return no_memory(r);
		v->tokens[i] = (struct str){copy, (size_t)n};
		v->types[i] = VOCAB_UNUSED;
	}
	return HOKKU_OK;
}

/* As many ids as config.json says, of which every token must be one. */
static enum hokku_code settle_size(struct vocab *v, uint32_t n_base, uint32_t n_vocab,
				   const struct hf_reader *r)
{
	char quoted[96];
	const struct added_token *last = NULL;
	v->n = n_base;
	for (uint32_t i = 0; i < v->n_added; i++) {
		if (v->added[i].id < v->n)
			continue;
		last = &v->added[i];
		v->n = last->id + 1;
	}
	if (n_vocab && v->n > n_vocab && last)
		return bad(r,
			   "its highest token id is %u, of the added token %s; vocab_size in config.json "
			   "allows up "
			   "to %u",
			   v->n - 1, str_quote(last->text, quoted, sizeof quoted), n_vocab - 1);
	if (n_vocab && v->n > n_vocab)
		return bad(r, "its highest token id is %u; vocab_size in config.json allows up to %u",
			   v->n - 1, n_vocab - 1);
	v->n = n_vocab ? n_vocab : v->n;
	return HOKKU_OK;
}

/* "<0x0A>" */
static bool is_byte_name(struct str text)
{
	bool is = text.len == 6 && memcmp(text.ptr, "<0x", 3) == 0 && text.ptr[5] == '>';
	for (size_t i = 3; is && i < 5; i++)
		is = (text.ptr[i] >= '0' && text.ptr[i] <= '9') || (text.ptr[i] >= 'A' && text.ptr[i] <= 'F');
	return is;
}

/* model.unk_token is what is put for characters that are no token, whatever another file calls so. */
static enum hokku_code read_unknown(struct vocab *v, const struct hf_reader *r)
{
	char quoted[96];
	const struct jv *unk = jv_get(jv_get(&v->tokenizer.root, "model"), "unk_token");
	if (jv_none(unk))
		return HOKKU_OK;
	if (!jv_is(unk, JV_STRING))
		return hf_wrong(r, "model.unk_token", unk, "a string");
	v->unk = vocab_find(v, jv_str(unk));
	if (v->unk < 0)
		return bad(r, "model.unk_token is %s, which is no token",
			   str_quote(jv_str(unk), quoted, sizeof quoted));
	return HOKKU_OK;
}

/* The Rust tokenizers find such a token only with a blank before it, or at the beginning of a text. */
static void note_normalized(const struct vocab *v, const struct hf_reader *r)
{
	char quoted[96];
	for (uint32_t i = 0; i < v->n_added; i++) {
		const struct added_token *t = &v->added[i];
		if (!t->special || !t->normalized)
			continue;
		hf_note(r,
			"added token %s is special and normalized: where special tokens are asked for, it is found "
			"behind any character",
			str_quote(t->text, quoted, sizeof quoted));
		break;
	}
}

static enum hokku_code read_tokens(struct vocab *v, uint32_t n_vocab, const struct vocab_files *f,
				   struct str named[N_NAMED])
{
	const struct hf_reader *r = &f->tokenizer;
	const bool fallback = jv_is_true(jv_get(jv_get(&v->tokenizer.root, "model"), "byte_fallback"));
	struct str *base = NULL;
	uint32_t n_base = 0;
	enum hokku_code rc =
		read_base(v, jv_get(jv_get(&v->tokenizer.root, "model"), "vocab"), r, &base, &n_base);
	if (!rc)
		rc = vocab_collect_added(v, f, base, n_base, named);
	if (!rc)
		rc = settle_size(v, n_base, n_vocab, r);
	if (!rc && v->spm && !v->model)
		rc = read_unknown(v, r);
	if (!rc && v->text.prepends)
		note_normalized(v, r);
	if (rc)
		return rc;
	v->tokens = arena_array(&v->arena, v->n, sizeof *v->tokens);
	v->types = arena_array(&v->arena, v->n, sizeof *v->types);
	if (!v->tokens || !v->types)
		return no_memory(r);
	for (uint32_t i = 0; i < n_base; i++) {
		v->tokens[i] = base[i];
		v->types[i] = v->spm && fallback && is_byte_name(base[i]) ? VOCAB_BYTE : VOCAB_NORMAL;
	}
	for (uint32_t i = 0; i < v->n_added; i++) {
		v->tokens[v->added[i].id] = v->added[i].text;
		v->types[v->added[i].id] = v->added[i].special ? VOCAB_CONTROL : VOCAB_USER_DEFINED;
	}
	if (v->spm && v->unk >= 0 && v->unk < v->n && v->types[v->unk] == VOCAB_CONTROL)
		v->types[v->unk] = VOCAB_UNKNOWN;
	return pad(v, r);
}

/* A merge's two halves: of "a b", or of ["a", "b"]. */
static bool split_merge(const struct jv *merge, struct str half[2])
{
	if (jv_is(merge, JV_ARRAY)) {
		half[0] = jv_str(jv_at(merge, 0));
		half[1] = jv_str(jv_at(merge, 1));
		return jv_len(merge) == 2 && half[0].len && half[1].len;
	}
	struct str text = jv_str(merge);
	const char *space = text.len ? memchr(text.ptr, ' ', text.len) : NULL;
	if (!space)
		return false;
	half[0] = (struct str){text.ptr, (size_t)(space - text.ptr)};
	half[1] = (struct str){space + 1, text.len - half[0].len - 1};
	return half[0].len && half[1].len && !memchr(half[1].ptr, ' ', half[1].len);
}

/* GGUF joins the halves by a space; a space within one is written as the byte alphabet writes it. */
static struct str join_merge(struct vocab *v, const struct str half[2])
{
	char *out = arena_alloc(&v->arena, 2 * (half[0].len + half[1].len) + 1, 1);
	size_t n = 0;
	for (int h = 0; out && h < 2; h++) {
		if (h)
			out[n++] = ' ';
		for (size_t i = 0; i < half[h].len; i++) {
			if (half[h].ptr[i] == ' ') {
				out[n++] = '\xC4'; /* U+0120 */
				out[n++] = '\xA0';
			} else {
				out[n++] = half[h].ptr[i];
			}
		}
	}
	return (struct str){out, n};
}

/* All three texts of a merge must be tokens, or the tokenizer could not be what the file says. */
static enum hokku_code check_merge(const struct jv *vocab, const struct str half[2], size_t i,
				   struct strbuf *whole, const struct hf_reader *r)
{
	char quoted[96];
	strbuf_clear(whole);
	strbuf_add(whole, half[0].ptr, half[0].len);
	strbuf_add(whole, half[1].ptr, half[1].len);
	if (whole->failed)
		return no_memory(r);
	const struct str texts[3] = {half[0], half[1], {whole->ptr, whole->len}};
	for (size_t k = 0; k < 3; k++)
		if (!jv_get_str(vocab, texts[k]))
			return bad(r, "model.merges[%zu] needs the token %s, which is not in the vocabulary",
				   i, str_quote(texts[k], quoted, sizeof quoted));
	return HOKKU_OK;
}

/* Scores for programs that join by them: a token's earliest merge says when. Characters come after all of
 * them. */
static enum hokku_code make_scores(struct vocab *v, const struct jv *merges, const struct hf_reader *r)
{
	struct strbuf whole = {0};
	v->scores = arena_array(&v->arena, v->n, sizeof *v->scores);
	if (!v->scores)
		return no_memory(r);
	for (uint32_t i = 0; i < v->n; i++)
		v->scores[i] = v->types[i] == VOCAB_NORMAL ? -(float)v->n_merges - (float)i : 0;
	for (size_t i = jv_len(merges); i-- > 0;) {
		struct str half[2] = {{0}, {0}};
		int64_t id;
		if (!split_merge(jv_at(merges, i), half)) /* read_merges has looked at all of them */
			continue;
		strbuf_clear(&whole);
		strbuf_add(&whole, half[0].ptr, half[0].len);
		strbuf_add(&whole, half[1].ptr, half[1].len);
		id = whole.failed ? -1 : vocab_find(v, (struct str){whole.ptr, whole.len});
		if (id >= 0 && id < v->n)
			v->scores[id] = (float)-(int64_t)i;
	}
	enum hokku_code rc = whole.failed ? no_memory(r) : HOKKU_OK;
	strbuf_free(&whole);
	return rc;
}

static enum hokku_code read_merges(struct vocab *v, const struct hf_reader *r)
{
	const struct jv *model = jv_get(&v->tokenizer.root, "model");
	const struct jv *vocab = jv_get(model, "vocab"), *merges = jv_get(model, "merges");
	struct strbuf whole = {0};
	enum hokku_code rc = HOKKU_OK;
	if (!jv_is(merges, JV_ARRAY))
		return bad(r, "model.merges is absent or no array");
	const size_t n = jv_len(merges);
	v->merges = arena_array(&v->arena, n + 1, sizeof *v->merges);
	if (!v->merges)
		return no_memory(r);
	for (size_t i = 0; i < n && !rc; i++) {
		const struct jv *merge = jv_at(merges, i);
		struct str half[2];
		if (!split_merge(merge, half)) {
			rc = bad(r, "model.merges[%zu] is neither \"a b\" nor [\"a\", \"b\"]", i);
			break;
		}
		if (v->spm && (is_byte_name(half[0]) || is_byte_name(half[1])) &&
		    jv_is_true(jv_get(model, "byte_fallback"))) {
			rc = bad(r, "model.merges[%zu] joins the token of a byte, which hokku does not", i);
			break;
		}
		rc = check_merge(vocab, half, i, &whole, r);
		if (v->spm &&
		    (memchr(half[0].ptr, ' ', half[0].len) || memchr(half[1].ptr, ' ', half[1].len)))
			continue; /* there are no blanks in its text */
		struct str *out = &v->merges[v->n_merges++];
		*out = jv_is(merge, JV_STRING) ? jv_str(merge) : join_merge(v, half);
		if (!rc && !out->ptr)
			rc = no_memory(r);
	}
	strbuf_free(&whole);
	return rc || !v->spm ? rc : make_scores(v, merges, r);
}

/* ---- what begins and ends a text ---- */

/* What the post-processor puts around a single text: the first and second token before it, and one behind. */
struct around {
	struct str before[2], behind;
	const struct jv *ids; /* what the first stands for: its own ids, NULL: that of its name */
	size_t n_before;
};

static void add_before(struct around *a, struct str token, const struct jv *ids)
{
	if (a->n_before == 0)
		a->ids = ids;
	if (a->n_before < 2)
		a->before[a->n_before] = token;
	a->n_before++;
}

static void read_around(const struct jv *processor, unsigned depth, struct around *a)
{
	enum { MAX_DEPTH = 8 };
	const struct jv *list = jv_get(processor, "processors"), *single = jv_get(processor, "single");
	struct str type = jv_str(jv_get(processor, "type"));
	bool text_came = false;
	for (size_t i = 0; i < jv_len(list) && depth < MAX_DEPTH; i++)
		read_around(jv_at(list, i), depth + 1, a);
	if (str_eq_c(type, "BertProcessing") || str_eq_c(type, "RobertaProcessing")) {
		add_before(a, jv_str(jv_at(jv_get(processor, "cls"), 0)), NULL);
		a->behind = jv_str(jv_at(jv_get(processor, "sep"), 0));
	}
	for (size_t i = 0; i < jv_len(single); i++) {
		const struct jv *special = jv_get(jv_at(single, i), "SpecialToken");
		struct str id = jv_str(jv_get(special, "id"));
		text_came = text_came || jv_get(jv_at(single, i), "Sequence");
		if (special && !text_came)
			add_before(a, id, jv_get(jv_get_str(jv_get(processor, "special_tokens"), id), "ids"));
		else if (special)
			a->behind = id;
	}
}

/* A text may begin with one token, which is that of its name, and end with none. */
static enum hokku_code check_around(const struct vocab *v, const struct around *a, const struct hf_reader *r)
{
	char one[96], two[96];
	int64_t id = 0, own = vocab_find(v, a->before[0]);
	str_quote(a->before[0], one, sizeof one);
	if (a->n_before > 1)
		return bad(
			r,
			"post_processor begins a text with %zu special tokens, %s and %s; GGUF has room for one",
			a->n_before, one, str_quote(a->before[1], two, sizeof two));
	if (a->n_before && own < 0)
		return bad(r, "post_processor begins with %s, which is no token", one);
	if (a->ids && (jv_len(a->ids) != 1 || !jv_int(jv_at(a->ids, 0), &id) || id != own))
		return bad(r, "post_processor has the ids %s for %s, which is the token %" PRId64,
			   jv_text(a->ids, two, sizeof two), one, own);
	if (a->behind.len)
		hf_note(r, "post_processor ends a text with %s, which is left out: a prompt goes on",
			str_quote(a->behind, two, sizeof two));
	return HOKKU_OK;
}

/* transformers 5 drops add_bos_token where there is a tokenizer.json: its post-processor says whether a text
 * begins with a special token. */
static enum hokku_code read_bos(struct vocab *v, const struct vocab_files *f)
{
	char quoted[96];
	bool asked = false, given;
	struct around around = {0};
	read_around(jv_get(&v->tokenizer.root, "post_processor"), 0, &around);
	struct str first = around.before[0];
	enum hokku_code rc = hf_read_bool(&f->config, "add_bos_token",
					  jv_get(&v->config.root, "add_bos_token"), &asked, &given);
	if (!rc)
		rc = check_around(v, &around, &f->tokenizer);
	if (rc)
		return rc;
	if (first.len) {
		int64_t id = vocab_find(v, first);
		if (v->bos >= 0 && v->bos != id)
			return bad(&f->tokenizer,
				   "post_processor begins a text with %s, the token %" PRId64
				   ", but bos_token is the token %" PRId64 "; GGUF has room for one",
				   str_quote(first, quoted, sizeof quoted), id, v->bos);
		v->bos = id;
		v->add_bos = true;
	}
	if (asked && v->bos < 0)
		return bad(&f->tokenizer, "add_bos_token is true, but there is no bos_token");
	if (v->model) { /* transformers puts it first there, unless it is told not to */
		v->add_bos = given ? asked : v->bos >= 0;
		return HOKKU_OK;
	}
	if (given && asked != v->add_bos)
		hf_note(&f->config,
			"add_bos_token is %s, but tokenizer.json's post_processor begins %s: that counts",
			asked ? "true" : "false", v->add_bos ? "with a special token" : "without one");
	return HOKKU_OK;
}

static enum hokku_code read_specials(struct vocab *v, const struct vocab_files *f,
				     const struct str named[N_NAMED])
{
	const struct {
		int name;
		int64_t *id;
	} ids[] = {{NAMED_BOS, &v->bos}, {NAMED_EOS, &v->eos}, {NAMED_PAD, &v->pad}, {NAMED_UNK, &v->unk}};
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
		/* all of these were added, so that each has an id */
		if (named[ids[i].name].ptr && (ids[i].name != NAMED_UNK || v->unk < 0))
			*ids[i].id = vocab_find(v, named[ids[i].name]);
	return read_bos(v, f);
}

/* ---- the chat template ---- */

/* tokenizer_config.json's: a text, or a list of which "default" counts. */
static enum hokku_code config_template(const struct vocab *v, const struct hf_reader *r, struct str *out)
{
	const struct jv *t = jv_get(&v->config.root, "chat_template");
	char field[64], quoted[96];
	if (!jv_none(t) && !jv_is(t, JV_STRING) && !jv_is(t, JV_ARRAY))
		return hf_wrong(r, "chat_template", t, "a string or a list of {name, template}");
	*out = jv_str(t);
	for (size_t i = 0; i < jv_len(t); i++) {
		struct str name = jv_str(jv_get(jv_at(t, i), "name"));
		struct str text = jv_str(jv_get(jv_at(t, i), "template"));
		snprintf(field, sizeof field, "chat_template[%zu]", i);
		if (!name.ptr || !text.ptr)
			return hf_wrong(r, field, jv_at(t, i), "an object with name and template");
		if (str_eq_c(name, "default"))
			*out = text;
		else
			observer_note(r->observer,
				      "the chat template named %s is left out; only \"default\" is kept",
				      str_quote(name, quoted, sizeof quoted));
	}
	return HOKKU_OK;
}

/* What a processor of more than text reads beside it, and older folders of such models have alone. */
static enum hokku_code processor_template(struct vocab *v, const char *dir, const struct hf_reader *r)
{
	char path[HF_PATH_BYTES];
	bool there;
	struct jv_doc doc;
	const struct hf_reader own = {path, r->observer, r->err};
	enum hokku_code rc =
		hf_read_json(dir, "chat_template.json", HF_MAX_CONFIG_BYTES, path, &doc, &there, r->err);
	if (rc || !there)
		return rc;
	const struct jv *t = jv_get(&doc.root, "chat_template");
	struct str text = jv_str(t);
	if (!jv_none(t) && !text.ptr)
		rc = hf_wrong(&own, "chat_template", t, "a string");
	else if (text.ptr && !v->chat_template.ptr)
		v->chat_template = (struct str){arena_strdup(&v->arena, text.ptr, text.len), text.len};
	else if (text.ptr && !str_eq(text, v->chat_template))
		hf_note(&own, "chat_template is left out: the tokenizer has another, which counts");
	if (!rc && text.ptr && !v->chat_template.ptr)
		rc = no_memory(r);
	jv_doc_free(&doc);
	return rc;
}

/* Templates that a client names; GGUF has room for one. */
static void note_more_templates(const char *dir, const struct hf_reader *r)
{
	char path[HF_PATH_BYTES], quoted[96], first[256] = "";
	size_t n = 0;
	snprintf(path, sizeof path, "%s/additional_chat_templates", dir);
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));) {
		if (!str_ends(str_c(e->d_name), STR_LIT(".jinja")))
			continue;
		if (n++ == 0 || strcmp(e->d_name, first) < 0)
			snprintf(first, sizeof first, "%s", e->d_name);
	}
	if (d)
		closedir(d);
	if (n)
		observer_note(
			r->observer,
			"additional_chat_templates: %zu of them, %s the first, are left out; only the default is kept",
			n, str_quote(str_c(first), quoted, sizeof quoted));
}

/* chat_template.jinja goes before tokenizer_config.json's, in transformers too. */
static enum hokku_code template_file(struct vocab *v, const char *dir, const struct hf_reader *r)
{
	char path[HF_PATH_BYTES];
	bool there = false;
	struct str other = v->chat_template;
	enum hokku_code rc = hf_join(dir, "chat_template.jinja", path, &there, r->err);
	if (rc || !there)
		return rc;
	char *text;
	size_t n;
	rc = file_read_named(path, HF_MAX_CONFIG_BYTES, &text, &n, r->err);
	if (rc)
		return rc;
	size_t valid = utf8_valid_prefix(text, n);
	bool utf16 = n >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0);
	if (valid < n)
		rc = err_set(r->err, HOKKU_BAD_FILE,
			     "%s: byte %zu is no UTF-8%s; a template in UTF-8 is wanted", path, valid,
			     utf16 ? " (the file is UTF-16)" : "");
	else
		v->chat_template = (struct str){arena_strdup(&v->arena, text, n), n};
	free(text);
	if (rc)
		return rc;
	if (!v->chat_template.ptr)
		return no_memory(r);
	if (other.ptr && !str_eq(other, v->chat_template))
		hf_note(r, "chat_template is another than chat_template.jinja, which counts");
	return HOKKU_OK;
}

static enum hokku_code read_template(struct vocab *v, const char *dir, const struct hf_reader *r)
{
	enum hokku_code rc = config_template(v, r, &v->chat_template);
	if (!rc)
		rc = template_file(v, dir, r);
	if (!rc)
		rc = processor_template(v, dir, r);
	note_more_templates(dir, r);
	return rc;
}

/* ---- all of it ---- */

/* Which of the two kinds of BPE it is, and how it cuts text. */
static enum hokku_code recognise(struct vocab *v, const struct hf_reader *r)
{
	v->spm = vocab_is_spm(&v->tokenizer.root);
	if (!v->spm)
		return vocab_recognise(&v->tokenizer.root, r->path, &v->pre, &v->arch, r->err);
	v->arch = "llama"; /* of a folder without config.json: the architecture that most of them have */
	return vocab_read_spm_shape(&v->tokenizer.root, r, &v->text);
}

static enum hokku_code read_files(struct vocab *v, const char *dir, char paths[4][HF_PATH_BYTES],
				  struct hokku_error *err)
{
	const struct {
		const char *name;
		size_t max_bytes;
		struct jv_doc *doc;
	} files[4] = {
		{"tokenizer.json", HF_MAX_TOKENIZER_BYTES, &v->tokenizer}, /* else tokenizer.model */
		{"tokenizer_config.json", HF_MAX_CONFIG_BYTES, &v->config},
		{"special_tokens_map.json", HF_MAX_CONFIG_BYTES, &v->special_map},
		{"added_tokens.json", HF_MAX_CONFIG_BYTES, &v->added_tokens},
	};
	bool there, instead = false;
	enum hokku_code rc = hf_join(dir, files[0].name, paths[0], &there, err);
	if (!rc && !there)
		rc = hf_join(dir, "tokenizer.model", paths[0], &instead, err);
	if (!rc && !there && !instead)
		rc = hf_join(dir, files[0].name, paths[0], &there, err);
	if (!rc && instead)
		rc = vocab_read_model(v, &(struct hf_reader){paths[0], NULL, err});
	else if (!rc) /* one of them must be there */
		rc = jv_read_named(paths[0], files[0].max_bytes, files[0].doc, err);
	for (size_t i = 1; i < 4 && !rc; i++)
		rc = hf_read_json(dir, files[i].name, files[i].max_bytes, paths[i], files[i].doc, &there,
				  err);
	return rc;
}

enum hokku_code vocab_read(struct vocab *v, const char *dir, uint32_t n_vocab,
			   const struct observer *observer, struct hokku_error *err)
{
	char paths[4][HF_PATH_BYTES];
	struct str named[N_NAMED] = {0};
	const struct vocab_files f = {{paths[0], observer, err},
				      {paths[1], observer, err},
				      {paths[2], observer, err},
				      {paths[3], observer, err}};
	*v = (struct vocab){
		.bos = -1, .eos = -1, .eot = -1, .pad = -1, .unk = -1, .arena = {.chunk_bytes = 1 << 20}};
	enum hokku_code rc = read_files(v, dir, paths, err);
	if (!rc && !v->model)
		rc = check_type(jv_get(&v->tokenizer.root, "model"), &f.tokenizer);
	if (!rc && !v->model)
		rc = recognise(v, &f.tokenizer);
	if (!rc && !v->model)
		rc = check_model(v, &f.tokenizer);
	if (!rc)
		rc = read_tokens(v, n_vocab, &f, named);
	if (!rc)
		rc = v->model ? vocab_place_pieces(v, &f.tokenizer) : read_merges(v, &f.tokenizer);
	if (!rc)
		rc = read_specials(v, &f, named);
	if (!rc)
		rc = read_template(v, dir, &f.config);
	if (rc)
		vocab_free(v);
	return rc;
}

void vocab_free(struct vocab *v)
{
	jv_doc_free(&v->tokenizer);
	jv_doc_free(&v->config);
	jv_doc_free(&v->special_map);
	jv_doc_free(&v->added_tokens);
	arena_free(&v->arena);
	*v = (struct vocab){0};
}
