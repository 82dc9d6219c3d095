/* tokenizer.json and tokenizer_config.json become a vocabulary. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "hf/hf.h"

/* Where messages point. */
struct source {
	const char *path; /* of tokenizer.json */
	const struct observer *observer;
	struct hokku_error *err;
};

#define bad(s, ...)  err_prefix((s)->err, err_set((s)->err, HOKKU_BAD_FILE, __VA_ARGS__), "%s", (s)->path)
#define no_memory(s) err_set((s)->err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its vocabulary", (s)->path)

static struct str json_str(const json_t *v)
{
	return (struct str){json_string_value(v), json_string_length(v)};
}

/* The parts of a BPE model that change its result must have the value that GGUF takes for granted. */
static enum hokku_code check_model(const json_t *model, const char *pre, struct source *s)
{
	static const char *const empty[] = {"continuing_subword_prefix", "end_of_word_suffix"};
	char found[96];
	const json_t *type = json_object_get(model, "type");
	if (!json_is_string(type) || strcmp(json_string_value(type), "BPE") != 0)
		return bad(s, "model.type is %s; hokku converts BPE",
			   json_is_string(type) ? str_quote(json_str(type), found, sizeof found) : "absent");
	if (json_is_true(json_object_get(model, "byte_fallback")))
		return bad(s, "model.byte_fallback is true; hokku converts byte-level BPE, which has none");
	for (size_t i = 0; i < 2; i++) {
		const json_t *v = json_object_get(model, empty[i]);
		if (json_is_string(v) && json_string_length(v))
			return bad(s, "model.%s is %s; hokku converts tokenizers where it is empty", empty[i],
				   str_quote(json_str(v), found, sizeof found));
	}
	if (json_is_true(json_object_get(model, "ignore_merges")) && strcmp(pre, "llama-bpe") != 0)
		return bad(s,
			   "model.ignore_merges is true; among the pre-tokenizers only llama-bpe has that, "
			   "and this is %s",
			   pre);
	return HOKKU_OK;
}

static enum hokku_code take_id(const json_t *id, struct str token, uint64_t *out, struct source *s)
{
	char quoted[96];
	if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= HF_MAX_VOCAB)
		return bad(s, "token %s: its id must be an integer from 0 to %d",
			   str_quote(token, quoted, sizeof quoted), HF_MAX_VOCAB - 1);
	*out = (uint64_t)json_integer_value(id);
	return HOKKU_OK;
}

/* The highest id of the vocabulary and of the added tokens, plus one. */
static enum hokku_code count_ids(const json_t *vocab, const json_t *added, uint64_t *out, struct source *s)
{
	const char *key;
	json_t *id;
	uint64_t n = 0;
	json_object_foreach((json_t *)vocab, key, id)
	{
		enum hokku_code rc = take_id(id, str_c(key), &n, s);
		if (rc)
			return rc;
		*out = n + 1 > *out ? n + 1 : *out;
	}
	for (size_t i = 0; i < json_array_size(added); i++) {
		const json_t *token = json_array_get(added, i);
		const json_t *content = json_object_get(token, "content");
		if (!json_is_string(content) || json_string_length(content) == 0)
			return bad(s, "added_tokens[%zu].content is absent, empty or no string", i);
		enum hokku_code rc = take_id(json_object_get(token, "id"), json_str(content), &n, s);
		if (rc)
			return rc;
		*out = n + 1 > *out ? n + 1 : *out;
	}
	return HOKKU_OK;
}

static enum hokku_code fill_vocab(struct vocab *v, const json_t *vocab, struct source *s)
{
	const char *key;
	json_t *id;
	char one[96], two[96];
	json_object_foreach((json_t *)vocab, key, id)
	{
		size_t i = (size_t)json_integer_value(id);
		if (v->tokens[i].ptr)
			return bad(s, "tokens %s and %s both have the id %zu",
				   str_quote(v->tokens[i], one, sizeof one),
				   str_quote(str_c(key), two, sizeof two), i);
		v->tokens[i] = str_c(key);
		v->types[i] = VOCAB_NORMAL;
	}
	return HOKKU_OK;
}

/* Added tokens are texts that match before the merges: special ones control the model, the others are text.
 */
static enum hokku_code fill_added(struct vocab *v, const json_t *vocab, const json_t *added, struct source *s)
{
	static const char *const strips[] = {"lstrip", "rstrip", "single_word"};
	char one[96], two[96];
	for (size_t k = 0; k < json_array_size(added); k++) {
		const json_t *token = json_array_get(added, k);
		struct str text = json_str(json_object_get(token, "content"));
		size_t i = (size_t)json_integer_value(json_object_get(token, "id"));
		str_quote(text, one, sizeof one);
		if (v->tokens[i].ptr && !str_eq(v->tokens[i], text))
			return bad(s, "added token %s has the id %zu of %s", one, i,
				   str_quote(v->tokens[i], two, sizeof two));
		const json_t *other = json_object_getn(vocab, text.ptr, text.len);
		if (other && (size_t)json_integer_value(other) != i)
			return bad(s,
				   "added token %s has the id %zu; in the vocabulary it is "
				   "%" JSON_INTEGER_FORMAT,
				   one, i, json_integer_value(other));
		v->tokens[i] = text;
		v->types[i] =
			json_is_true(json_object_get(token, "special")) ? VOCAB_CONTROL : VOCAB_USER_DEFINED;
		for (size_t f = 0; f < 3; f++)
			if (json_is_true(json_object_get(token, strips[f])))
				observer_note(
					s->observer,
					"added token %s: GGUF cannot carry its %s; spaces beside it will be "
					"tokens",
					one, strips[f]);
	}
	return HOKKU_OK;
}

/* llama.cpp's name for the ids that no token has. */
static enum hokku_code pad(struct vocab *v, struct source *s)
{
	for (uint32_t i = 0; i < v->n; i++) {
		if (v->tokens[i].ptr)
			continue;
		char text[32];
		int n = snprintf(text, sizeof text, "[PAD%u]", i);
		char *copy = arena_strdup(&v->arena, text, (size_t)n);
		if (!copy)
			return no_memory(s);
		v->tokens[i] = (struct str){copy, (size_t)n};
		v->types[i] = VOCAB_UNUSED;
	}
	return HOKKU_OK;
}

static enum hokku_code read_tokens(struct vocab *v, uint32_t n_vocab, struct source *s)
{
	const json_t *vocab = json_object_get(json_object_get(v->tokenizer, "model"), "vocab");
	const json_t *added = json_object_get(v->tokenizer, "added_tokens");
	uint64_t n = 0;
	if (!json_is_object(vocab) || json_object_size(vocab) == 0)
		return bad(s, "model.vocab is absent or empty; it must be an object {token: id}");
	if (added && !json_is_array(added) && !json_is_null(added))
		return bad(s, "added_tokens is not an array");
	enum hokku_code rc = count_ids(vocab, added, &n, s);
	if (rc)
		return rc;
	if (n_vocab && n > n_vocab)
		return bad(s,
			   "its highest token id is %" PRIu64 "; vocab_size in config.json allows up to %u",
			   n - 1, n_vocab - 1);
	v->n = n_vocab ? n_vocab : (uint32_t)n;
	v->tokens = arena_array(&v->arena, v->n, sizeof *v->tokens);
	v->types = arena_array(&v->arena, v->n, sizeof *v->types);
	if (!v->tokens || !v->types)
		return no_memory(s);
	rc = fill_vocab(v, vocab, s);
	if (!rc)
		rc = fill_added(v, vocab, added, s);
	return rc ? rc : pad(v, s);
}

/* A merge's two halves: of "a b", or of ["a", "b"]. */
static bool split_merge(const json_t *merge, struct str half[2])
{
	if (json_is_array(merge)) {
		if (json_array_size(merge) != 2 || !json_is_string(json_array_get(merge, 0)) ||
		    !json_is_string(json_array_get(merge, 1)))
			return false;
		half[0] = json_str(json_array_get(merge, 0));
		half[1] = json_str(json_array_get(merge, 1));
		return half[0].len && half[1].len;
	}
	if (!json_is_string(merge))
		return false;
	struct str text = json_str(merge);
	const char *space = memchr(text.ptr, ' ', text.len);
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
static enum hokku_code check_merge(const json_t *vocab, const struct str half[2], size_t i,
				   struct strbuf *whole, struct source *s)
{
	char quoted[96];
	strbuf_clear(whole);
	strbuf_add(whole, half[0].ptr, half[0].len);
	strbuf_add(whole, half[1].ptr, half[1].len);
	if (whole->failed)
		return no_memory(s);
	const struct str texts[3] = {half[0], half[1], {whole->ptr, whole->len}};
	for (size_t k = 0; k < 3; k++)
		if (!json_object_getn(vocab, texts[k].ptr, texts[k].len))
			return bad(s, "model.merges[%zu] needs the token %s, which is not in the vocabulary",
				   i, str_quote(texts[k], quoted, sizeof quoted));
	return HOKKU_OK;
}

static enum hokku_code read_merges(struct vocab *v, struct source *s)
{
	const json_t *model = json_object_get(v->tokenizer, "model");
	const json_t *vocab = json_object_get(model, "vocab"), *merges = json_object_get(model, "merges");
	struct strbuf whole = {0};
	enum hokku_code rc = HOKKU_OK;
	if (!json_is_array(merges))
		return bad(s, "model.merges is absent or no array");
	v->n_merges = json_array_size(merges);
	v->merges = arena_array(&v->arena, v->n_merges + 1, sizeof *v->merges);
	if (!v->merges)
		return no_memory(s);
	for (size_t i = 0; i < v->n_merges && !rc; i++) {
		const json_t *merge = json_array_get(merges, i);
		struct str half[2];
		if (!split_merge(merge, half)) {
			rc = bad(s, "model.merges[%zu] is neither \"a b\" nor [\"a\", \"b\"]", i);
			break;
		}
		rc = check_merge(vocab, half, i, &whole, s);
		v->merges[i] = json_is_string(merge) ? json_str(merge) : join_merge(v, half);
		if (!rc && !v->merges[i].ptr)
			rc = no_memory(s);
	}
	strbuf_free(&whole);
	return rc;
}

/* The id of a token by its text; -1 if there is none. Added tokens are asked first, as transformers does. */
static int64_t find_id(const struct vocab *v, struct str text)
{
	const json_t *added = json_object_get(v->tokenizer, "added_tokens");
	for (size_t i = 0; i < json_array_size(added); i++) {
		const json_t *token = json_array_get(added, i);
		if (str_eq(json_str(json_object_get(token, "content")), text))
			return (int64_t)json_integer_value(json_object_get(token, "id"));
	}
	const json_t *vocab = json_object_get(json_object_get(v->tokenizer, "model"), "vocab");
	const json_t *id = json_object_getn(vocab, text.ptr, text.len);
	return id ? (int64_t)json_integer_value(id) : -1;
}

/* A special token that tokenizer_config.json names: a text, or an object with its content. */
static enum hokku_code named_token(const struct vocab *v, const char *key, int64_t *out, struct source *s)
{
	char quoted[96];
	const json_t *entry = json_object_get(v->config, key);
	if (json_is_object(entry))
		entry = json_object_get(entry, "content");
	if (!json_is_string(entry))
		return HOKKU_OK;
	*out = find_id(v, json_str(entry));
	if (*out < 0)
		return bad(s, "it has no token %s, which tokenizer_config.json names as %s",
			   str_quote(json_str(entry), quoted, sizeof quoted), key);
	return HOKKU_OK;
}

/* What the post-processor puts before a single text, or an empty string. */
static struct str leading_special(const json_t *processor)
{
	const json_t *list = json_object_get(processor, "processors");
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct str found = leading_special(json_array_get(list, i));
		if (found.len)
			return found;
	}
	const json_t *first = json_array_get(json_object_get(processor, "single"), 0);
	const json_t *id = json_object_get(json_object_get(first, "SpecialToken"), "id");
	return json_is_string(id) ? json_str(id) : (struct str){0};
}

static enum hokku_code read_specials(struct vocab *v, struct source *s)
{
	const struct {
		const char *key;
		int64_t *id;
	} named[] = {{"bos_token", &v->bos},
		     {"eos_token", &v->eos},
		     {"pad_token", &v->pad},
		     {"unk_token", &v->unk}};
	for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
		enum hokku_code rc = named_token(v, named[i].key, named[i].id, s);
		if (rc)
			return rc;
	}
	struct str first = leading_special(json_object_get(v->tokenizer, "post_processor"));
	if (first.len) {
		int64_t id = find_id(v, first);
		if (v->bos < 0)
			v->bos = id;
		v->add_bos = id >= 0 && id == v->bos;
	}
	const json_t *asked = json_object_get(v->config, "add_bos_token");
	if (json_is_boolean(asked))
		v->add_bos = json_is_true(asked);
	if (v->add_bos && v->bos < 0)
		return bad(s, "add_bos_token is true, but there is no bos_token");
	return HOKKU_OK;
}

/* chat_template.jinja, or tokenizer_config.json's: a text, or a list of which "default" counts. */
static enum hokku_code read_template(struct vocab *v, const char *dir, struct source *s)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/chat_template.jinja", dir);
	if (access(path, F_OK) == 0) {
		char *text;
		size_t n;
		enum hokku_code rc = file_read(path, HF_MAX_CONFIG_BYTES, &text, &n, s->err);
		if (rc)
			return rc;
		v->chat_template = (struct str){arena_strdup(&v->arena, text, n), n};
		free(text);
		return v->chat_template.ptr ? HOKKU_OK : no_memory(s);
	}
	const json_t *t = json_object_get(v->config, "chat_template");
	for (size_t i = 0; i < json_array_size(t); i++) {
		const json_t *name = json_object_get(json_array_get(t, i), "name");
		const json_t *text = json_object_get(json_array_get(t, i), "template");
		if (json_is_string(name) && json_is_string(text) &&
		    strcmp(json_string_value(name), "default") == 0)
			v->chat_template = json_str(text);
		else
			observer_note(s->observer,
				      "the chat template named %s is left out; only \"default\" is kept",
				      json_is_string(name) ? json_string_value(name) : "by no text");
	}
	if (json_is_string(t))
		v->chat_template = json_str(t);
	return HOKKU_OK;
}

enum hokku_code vocab_read(struct vocab *v, const char *dir, uint32_t n_vocab,
			   const struct observer *observer, struct hokku_error *err)
{
	char path[4096], config[4096];
	struct source s = {path, observer, err};
	*v = (struct vocab){
		.bos = -1, .eos = -1, .eot = -1, .pad = -1, .unk = -1, .arena = {.chunk_bytes = 1 << 20}};
	snprintf(path, sizeof path, "%s/tokenizer.json", dir);
	snprintf(config, sizeof config, "%s/tokenizer_config.json", dir);
	enum hokku_code rc = hf_json_read(path, HF_MAX_TOKENIZER_BYTES, &v->tokenizer, err);
	if (!rc && access(config, F_OK) == 0)
		rc = hf_json_read(config, HF_MAX_CONFIG_BYTES, &v->config, err);
	if (!rc)
		rc = vocab_recognise(v->tokenizer, path, &v->pre, &v->arch, err);
	if (!rc)
		rc = check_model(json_object_get(v->tokenizer, "model"), v->pre, &s);
	if (!rc)
		rc = read_tokens(v, n_vocab, &s);
	if (!rc)
		rc = read_merges(v, &s);
	if (!rc)
		rc = read_specials(v, &s);
	if (!rc)
		rc = read_template(v, dir, &s);
	if (rc)
		vocab_free(v);
	return rc;
}

void vocab_free(struct vocab *v)
{
	json_decref(v->tokenizer);
	json_decref(v->config);
	arena_free(&v->arena);
	*v = (struct vocab){0};
}
