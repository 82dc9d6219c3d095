/*
 * Added tokens. Those of tokenizer.json have the ids that it declares. transformers (5.x,
 * tokenization_utils_base.py) then adds what only its own files declare: added_tokens_decoder by rising id,
 * or, where there is none, special_tokens_map.json and added_tokens.json; then the named special tokens; then
 * the extra ones. tokenizers (0.23, added_vocabulary.rs) gives each of these the id that its text has
 * already, and a new text the next id after all others, whatever id a file declares: so ids declared there
 * that leave holes or collide do not hold, which a note tells.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/rng.h"
#include "hf/vocab.h"

enum { QUOTED = 96, MAX_MOVED_NOTES = 4 };

/* Tokens on their way in. */
struct adder {
	struct vocab *v;
	const struct vocab_files *f;
	const struct jv *vocab; /* model.vocab */
	const struct str *base; /* (n_base) */
	uint32_t n_base;
	uint32_t next; /* the id of the next new text */
	uint32_t cap;
	uint32_t n_moved;
};

static enum hokku_code no_memory(const struct adder *a)
{
	return err_set(a->f->tokenizer.err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its added tokens",
		       a->f->tokenizer.path);
}

/* ---- the list and its table ---- */

/* The slot that holds the text, or the empty one where it would go. */
static uint32_t *slot_of(const struct vocab *v, struct str text)
{
	uint32_t slot =
		(uint32_t)siphash(v->added_seed[0], v->added_seed[1], text.ptr, text.len) & v->added_mask;
	while (v->added_slots[slot] && !str_eq(v->added[v->added_slots[slot] - 1].text, text))
		slot = (slot + 1) & v->added_mask;
	return &v->added_slots[slot];
}

static struct added_token *find_added(const struct vocab *v, struct str text)
{
	uint32_t *slot = v->n_added ? slot_of(v, text) : NULL;
	return slot && *slot ? &v->added[*slot - 1] : NULL;
}

int64_t vocab_find(const struct vocab *v, struct str text)
{
	const struct added_token *t = find_added(v, text);
	int64_t id = -1;
	if (t)
		return t->id;
	jv_int(jv_get_str(jv_get(jv_get(&v->tokenizer.root, "model"), "vocab"), text), &id);
	return id;
}

static bool push(struct adder *a, struct added_token token)
{
	struct vocab *v = a->v;
	if (v->n_added == a->cap) {
		uint32_t cap = a->cap ? a->cap * 2 : 64;
		struct added_token *larger = arena_array(&v->arena, cap, sizeof *larger);
		uint32_t *slots = arena_array(&v->arena, 2 * (size_t)cap, sizeof *slots);
		if (!larger || !slots)
			return false;
		if (v->n_added)
			memcpy(larger, v->added, v->n_added * sizeof *larger);
		v->added = larger;
		v->added_slots = slots;
		v->added_mask = 2 * cap - 1;
		a->cap = cap;
		for (uint32_t i = 0; i < v->n_added; i++)
			*slot_of(v, larger[i].text) = i + 1;
	}
	v->added[v->n_added] = token;
	*slot_of(v, token.text) = v->n_added + 1;
	v->n_added++;
	return true;
}

/* tokenizers counts anew at the start of each call that adds tokens. */
static void begin_call(struct adder *a)
{
	a->next = a->vocab->n;
	for (uint32_t i = 0; i < a->v->n_added; i++)
		if (a->v->added[i].id >= a->next)
			a->next = a->v->added[i].id + 1;
}

/* ---- one token ---- */

static void note_moved(struct adder *a, const struct hf_reader *r, struct str text, uint32_t declared,
		       uint32_t id)
{
	char quoted[QUOTED];
	if (++a->n_moved <= MAX_MOVED_NOTES)
		hf_note(r, "added token %s has the id %u there; transformers gives it %u, which counts",
			str_quote(text, quoted, sizeof quoted), declared, id);
}

/* What a file says of a token. */
struct spec {
	struct str text;
	int64_t declared; /* the id; -1: none */
	bool special, normalized;
	unsigned strips;
};

static const char *const strip_names[] = {"lstrip", "rstrip", "single_word"}; /* bit i of ADDED_* */
enum { N_STRIPS = 3 };

/* Flags that another file has set otherwise, and what no key carries. */
static void merge_flags(const struct hf_reader *r, struct added_token *t, const struct spec *s)
{
	char quoted[QUOTED];
	str_quote(s->text, quoted, sizeof quoted);
	if (t->special != s->special)
		hf_note(r, "added token %s is %sspecial there, and %sspecial elsewhere: special counts",
			quoted, s->special ? "" : "not ", s->special ? "not " : "");
	if (s->strips & ~t->strips & ADDED_SINGLE_WORD)
		hf_note(r, "added token %s: its single_word is left out; it will be found within words, too",
			quoted);
	t->special = t->special || s->special;
	t->strips |= s->strips;
}

static enum hokku_code add(struct adder *a, const struct hf_reader *r, const struct spec *s)
{
	char one[QUOTED], two[QUOTED];
	struct added_token *t = find_added(a->v, s->text);
	const struct jv *own = jv_get_str(a->vocab, s->text);
	bool holds = r == &a->f->tokenizer; /* its own declarations were checked */
	uint32_t id = t       ? t->id
		      : own   ? (uint32_t)strtoul(own->text, NULL, 10)
		      : holds ? (uint32_t)s->declared
			      : a->next;
	if (!t && !own && id < a->n_base && a->base[id].ptr)
		return err_set(r->err, HOKKU_BAD_FILE,
			       "%s: model.vocab has %u tokens with ids up to %u: added token %s would get "
			       "the id %u, which %s has",
			       a->f->tokenizer.path, a->vocab->n, a->n_base - 1,
			       str_quote(s->text, one, sizeof one), id,
			       str_quote(a->base[id], two, sizeof two));
	if (s->declared >= 0 && s->declared != id)
		note_moved(a, r, s->text, (uint32_t)s->declared, id);
	if (!t && !push(a, (struct added_token){s->text, id, s->special, s->normalized, 0}))
		return no_memory(a);
	a->next = !t && id >= a->next ? id + 1 : a->next;
	merge_flags(r, find_added(a->v, s->text), s);
	return HOKKU_OK;
}

/* A new token that the vocabulary's size has no room for. */
static enum hokku_code check_room(const struct adder *a)
{
	char quoted[QUOTED];
	const struct vocab *v = a->v;
	for (uint32_t i = 0; i < v->n_added; i++)
		if (v->added[i].id >= HF_MAX_VOCAB)
			return err_set(a->f->tokenizer.err, HOKKU_BAD_FILE,
				       "%s: added token %s would get the id %u; %d is the highest allowed",
				       a->f->tokenizer.path,
				       str_quote(v->added[i].text, quoted, sizeof quoted), v->added[i].id,
				       HF_MAX_VOCAB - 1);
	return HOKKU_OK;
}

/* ---- tokenizer.json ---- */

/* An id that is another token's, or a token that has another id, is a broken file: nobody could say which is
 * meant. */
static enum hokku_code check_collision(const struct adder *a, struct str text, uint32_t id)
{
	char one[QUOTED], two[QUOTED];
	const struct hf_reader *r = &a->f->tokenizer;
	const struct jv *own = jv_get_str(a->vocab, text);
	const struct str *holder = id < a->n_base && a->base[id].ptr ? &a->base[id] : NULL;
	for (uint32_t i = a->v->n_added; i-- > 0 && !holder && id < a->next;)
		holder = a->v->added[i].id == id ? &a->v->added[i].text : NULL;
	if (holder && !str_eq(*holder, text))
		return err_set(r->err, HOKKU_BAD_FILE, "%s: added token %s has the id %u of %s", r->path,
			       str_quote(text, one, sizeof one), id, str_quote(*holder, two, sizeof two));
	if (own && strtoul(own->text, NULL, 10) != id)
		return err_set(r->err, HOKKU_BAD_FILE,
			       "%s: added token %s has the id %u; in the vocabulary it is %s", r->path,
			       str_quote(text, one, sizeof one), id, own->text);
	return HOKKU_OK;
}

/* What a token's object says. prefix stands before the field's name in messages. */
static enum hokku_code read_token(const struct hf_reader *r, const char *prefix, const struct jv *token,
				  struct spec *out)
{
	char field[128];
	*out = (struct spec){.text = jv_str(jv_get(token, "content")), .declared = -1};
	if (out->text.len == 0)
		return err_set(r->err, HOKKU_BAD_FILE, "%s: %s.content is absent, empty or no string",
			       r->path, prefix);
	snprintf(field, sizeof field, "%s.special", prefix);
	enum hokku_code rc = hf_read_bool(r, field, jv_get(token, "special"), &out->special, NULL);
	for (unsigned i = 0; i < N_STRIPS && !rc; i++) {
		bool strip = false;
		snprintf(field, sizeof field, "%s.%s", prefix, strip_names[i]);
		rc = hf_read_bool(r, field, jv_get(token, strip_names[i]), &strip, NULL);
		out->strips |= (unsigned)strip << i;
	}
	out->normalized = !out->special;
	snprintf(field, sizeof field, "%s.normalized", prefix);
	if (!rc)
		rc = hf_read_bool(r, field, jv_get(token, "normalized"), &out->normalized, NULL);
	return rc;
}

static enum hokku_code add_tokenizers(struct adder *a)
{
	const struct hf_reader *r = &a->f->tokenizer;
	const struct jv *added = jv_get(&a->v->tokenizer.root, "added_tokens");
	if (!jv_none(added) && !jv_is(added, JV_ARRAY))
		return err_set(r->err, HOKKU_BAD_FILE, "%s: added_tokens is not an array", r->path);
	begin_call(a);
	for (size_t i = 0; i < jv_len(added); i++) {
		char prefix[48];
		struct spec s;
		uint32_t id = 0;
		snprintf(prefix, sizeof prefix, "added_tokens[%zu]", i);
		enum hokku_code rc = read_token(r, prefix, jv_at(added, i), &s);
		if (!rc)
			rc = vocab_read_id(r, s.text, jv_get(jv_at(added, i), "id"), &id);
		if (!rc)
			rc = check_collision(a, s.text, id);
		s.declared = id;
		if (!rc)
			rc = add(a, r, &s);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

/* ---- tokenizer_config.json, special_tokens_map.json, added_tokens.json ---- */

static int by_id(const void *x, const void *y)
{
	const struct spec *a = x, *b = y;
	return a->declared < b->declared ? -1 : a->declared > b->declared;
}

/* Adds them by rising id, as transformers does. Frees the list. */
static enum hokku_code add_sorted(struct adder *a, const struct hf_reader *r, struct spec *list, size_t n,
				  enum hokku_code rc)
{
	if (n)
		qsort(list, n, sizeof *list, by_id);
	for (size_t i = 0; i < n && !rc; i++)
		rc = add(a, r, &list[i]);
	free(list);
	return rc;
}

static enum hokku_code read_decoder_key(const struct hf_reader *r, struct str key, int64_t *out)
{
	char quoted[QUOTED];
	int64_t id = 0;
	bool ok = key.len > 0;
	for (size_t i = 0; i < key.len && ok; i++) {
		ok = key.ptr[i] >= '0' && key.ptr[i] <= '9';
		id = id * 10 + (key.ptr[i] - '0');
		ok = ok && id < HF_MAX_VOCAB;
	}
	if (!ok)
		return err_set(r->err, HOKKU_BAD_FILE,
			       "%s: added_tokens_decoder has the key %s; a token id from 0 to %d is wanted",
			       r->path, str_quote(key, quoted, sizeof quoted), HF_MAX_VOCAB - 1);
	*out = id;
	return HOKKU_OK;
}

static enum hokku_code add_decoder(struct adder *a, const struct jv *decoder)
{
	const struct hf_reader *r = &a->f->config;
	enum hokku_code rc = HOKKU_OK;
	if (!jv_is(decoder, JV_OBJECT))
		return hf_wrong(r, "added_tokens_decoder", decoder, "an object {id: token}");
	struct spec *list = calloc((size_t)decoder->n + 1, sizeof *list);
	if (!list)
		return no_memory(a);
	for (uint32_t i = 0; i < decoder->n && !rc; i++) {
		char prefix[64];
		int64_t id = 0;
		rc = read_decoder_key(r, jv_key(decoder, i), &id);
		snprintf(prefix, sizeof prefix, "added_tokens_decoder.%d", (int)id);
		if (!rc)
			rc = read_token(r, prefix, jv_value(decoder, i), &list[i]);
		list[i].declared = id;
	}
	return add_sorted(a, r, list, rc ? 0 : decoder->n, rc);
}

static bool is_named(const struct str named[N_NAMED], struct str text)
{
	size_t i = 0;
	while (i < N_NAMED && !(named[i].ptr && str_eq(named[i], text)))
		i++;
	return i < N_NAMED;
}

/* {text: id}. Beside an added_tokens_decoder transformers does not read the file. */
static enum hokku_code add_file(struct adder *a, const struct str named[N_NAMED], bool beside_decoder)
{
	char quoted[QUOTED], other[QUOTED];
	const struct hf_reader *r = &a->f->added_tokens;
	const struct jv *root = &a->v->added_tokens.root;
	const uint32_t n_before = a->v->n_added;
	enum hokku_code rc = HOKKU_OK;
	uint32_t n = 0;
	struct spec *list = calloc((size_t)root->n + 1, sizeof *list);
	if (!list)
		return no_memory(a);
	for (uint32_t i = 0; i < root->n && !rc; i++) {
		struct spec *d = &list[n];
		uint32_t id = 0;
		*d = (struct spec){.text = jv_key(root, i)};
		rc = d->text.len
			     ? vocab_read_id(r, d->text, jv_value(root, i), &id)
			     : err_set(r->err, HOKKU_BAD_FILE, "%s: it has a token without text", r->path);
		d->declared = id;
		if (rc)
			break;
		const struct added_token *known = find_added(a->v, d->text), *holder = NULL;
		for (uint32_t k = 0; k < n_before && !known && !holder; k++)
			/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): there are n_before of them */
			holder = a->v->added[k].id == id ? &a->v->added[k] : NULL;
		d->special = known ? known->special : is_named(named, d->text);
		str_quote(d->text, quoted, sizeof quoted);
		if (holder) /* transformers lets tokenizer.json's token take its place */
			hf_note(r, "added token %s is left out: its id %u is that of %s in tokenizer.json",
				quoted, id, str_quote(holder->text, other, sizeof other));
		else
			n++;
		if (!known && !holder && beside_decoder)
			hf_note(r,
				"added token %s is in no other file; transformers would not read this one "
				"beside added_tokens_decoder",
				quoted);
	}
	return add_sorted(a, r, list, rc ? 0 : n, rc);
}

/* A text, or an object with one. */
static enum hokku_code read_text(const struct hf_reader *r, const char *field, const struct jv *v,
				 struct str *out)
{
	const struct jv *text = jv_is(v, JV_OBJECT) ? jv_get(v, "content") : v;
	*out = jv_str(text);
	if (!jv_is(text, JV_STRING))
		return hf_wrong(r, field, v, "a string or an object with content");
	return HOKKU_OK;
}

/* One of the named special tokens, of which two files may speak: special_tokens_map.json goes first where
 * there is no added_tokens_decoder, and is not read where there is one. */
static enum hokku_code read_named(struct adder *a, const char *key, bool has_decoder, struct str *out)
{
	char one[QUOTED], two[QUOTED];
	const struct hf_reader *ours = &a->f->config, *rm = &a->f->special_map;
	const struct jv *config = jv_get(&a->v->config.root, key);
	const struct jv *map = jv_get(&a->v->special_map.root, key);
	struct str from_config = {NULL, 0}, from_map = {NULL, 0};
	enum hokku_code rc = jv_none(config) ? HOKKU_OK : read_text(ours, key, config, &from_config);
	if (!rc && !jv_none(map))
		rc = read_text(rm, key, map, &from_map);
	if (rc)
		return rc;
	bool map_counts = !jv_none(map) && (!has_decoder || !config);
	*out = map_counts ? from_map : from_config;
	if (config && !jv_none(map) && (jv_none(config) || !str_eq(from_config, from_map)))
		hf_note(rm, "%s is %s, and %s in tokenizer_config.json: %s", key,
			str_quote(from_map, one, sizeof one),
			jv_none(config) ? "null" : str_quote(from_config, two, sizeof two),
			map_counts ? "this file counts, as there is no added_tokens_decoder"
				   : "that one counts, as it has added_tokens_decoder");
	if (out->len == 0)
		*out = (struct str){NULL, 0};
	return HOKKU_OK;
}

/* A list of texts or objects, or an object {name: text}: all of them special tokens. */
static enum hokku_code add_extra(struct adder *a, const struct hf_reader *r, const char *key,
				 const struct jv *v, bool unread)
{
	char field[160], quoted[QUOTED];
	if (jv_none(v))
		return HOKKU_OK;
	if (!jv_is(v, JV_ARRAY) && !jv_is(v, JV_OBJECT))
		return hf_wrong(r, key, v, "a list of tokens");
	for (uint32_t i = 0; i < v->n; i++) {
		struct str text;
		snprintf(field, sizeof field, "%s[%u]", key, i);
		const struct jv *item = jv_is(v, JV_ARRAY) ? jv_at(v, i) : jv_value(v, i);
		enum hokku_code rc = read_text(r, field, item, &text);
		if (!rc && text.len == 0)
			continue; /* tokenizers adds no empty ones */
		if (!rc && unread && !find_added(a->v, text))
			hf_note(r,
				"token %s of %s is in no other file; transformers would not read this one "
				"beside added_tokens_decoder",
				str_quote(text, quoted, sizeof quoted), key);
		if (!rc)
			rc = add(a, r, &(struct spec){.text = text, .declared = -1, .special = true});
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

static const char *const named_keys[N_NAMED] = {
	[NAMED_BOS] = "bos_token",   [NAMED_EOS] = "eos_token", [NAMED_UNK] = "unk_token",
	[NAMED_SEP] = "sep_token",   [NAMED_PAD] = "pad_token", [NAMED_CLS] = "cls_token",
	[NAMED_MASK] = "mask_token",
};

/* Any other key of tokenizer_config.json that ends in _token and holds a text names a special token too. */
static enum hokku_code add_other_named(struct adder *a)
{
	const struct jv *root = &a->v->config.root;
	for (uint32_t i = 0; i < root->n; i++) {
		struct str key = jv_key(root, i), text = jv_str(jv_value(root, i));
		bool known = key.len < 6 || memcmp(key.ptr + key.len - 6, "_token", 6) != 0 || !text.len;
		for (size_t k = 0; k < N_NAMED; k++)
			known = known || str_eq_c(key, named_keys[k]);
		const struct spec s = {.text = text, .declared = -1, .special = true};
		enum hokku_code rc = known ? HOKKU_OK : add(a, &a->f->config, &s);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

static enum hokku_code add_specials(struct adder *a, const struct str named[N_NAMED], bool has_decoder)
{
	static const char *const lists[] = {"additional_special_tokens", "extra_special_tokens"};
	enum hokku_code rc = HOKKU_OK;
	for (size_t i = 0; i < N_NAMED && !rc; i++)
		if (named[i].ptr)
			rc = add(a, &a->f->config,
				 &(struct spec){.text = named[i], .declared = -1, .special = true});
	if (!rc)
		rc = add_other_named(a);
	for (size_t i = 0; i < 2 && !rc; i++) {
		rc = add_extra(a, &a->f->config, lists[i], jv_get(&a->v->config.root, lists[i]), false);
		if (!rc)
			rc = add_extra(a, &a->f->special_map, lists[i],
				       jv_get(&a->v->special_map.root, lists[i]), has_decoder);
	}
	return rc;
}

enum hokku_code vocab_collect_added(struct vocab *v, const struct vocab_files *f, const struct str *base,
				    uint32_t n_base, struct str named[N_NAMED])
{
	struct adder a = {.v = v,
			  .f = f,
			  .vocab = jv_get(jv_get(&v->tokenizer.root, "model"), "vocab"),
			  .base = base,
			  .n_base = n_base};
	const struct jv *decoder = jv_get(&v->config.root, "added_tokens_decoder");
	const bool has_decoder = !jv_none(decoder);
	v->added_seed[0] = rng_os_seed();
	v->added_seed[1] = rng_os_seed();
	enum hokku_code rc = add_tokenizers(&a);
	for (size_t i = 0; i < N_NAMED && !rc; i++)
		rc = read_named(&a, named_keys[i], has_decoder, &named[i]);
	begin_call(&a);
	if (!rc && has_decoder)
		rc = add_decoder(&a, decoder);
	if (!rc && !has_decoder)
		rc = add_file(&a, named, false);
	if (!rc)
		rc = add_specials(&a, named, has_decoder);
	if (!rc && has_decoder)
		rc = add_file(&a, named, true);
	if (!rc && a.n_moved > MAX_MOVED_NOTES)
		hf_note(&f->tokenizer, "%u added tokens more have other ids than transformers gives them",
			a.n_moved - MAX_MOVED_NOTES);
	return rc ? rc : check_room(&a);
}
