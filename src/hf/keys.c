/* Keys as llama.cpp's gguf-py/gguf/constants.py names them. */
#include "hf/keys.h"

#include <stdio.h>

#include "hf/sentencepiece.h"

static void add(struct hf_keys *k, const char *key, struct gguf_value value)
{
	if (k->n == k->cap) {
		uint64_t cap = k->cap ? 2 * k->cap : 32;
		struct gguf_kv *larger = arena_array(k->arena, cap, sizeof *larger);
		if (larger && k->n)
			memcpy(larger, k->kv, k->n * sizeof *larger);
		k->kv = larger ? larger : k->kv;
		k->cap = larger ? cap : k->cap;
		k->failed = k->failed || !larger;
	}
	char *copy = arena_strdup(k->arena, key, strlen(key));
	k->failed = k->failed || !copy;
	if (!k->failed)
		k->kv[k->n++] = (struct gguf_kv){.key = {copy, strlen(key)}, .value = value};
}

void hf_key_str(struct hf_keys *k, const char *key, struct str value)
{
	add(k, key, (struct gguf_value){.type = GGUF_STRING, .string = value});
}

static void add_u32(struct hf_keys *k, const char *key, uint32_t value)
{
	add(k, key, (struct gguf_value){.type = GGUF_U32, .u64 = value});
}

void hf_key_f32(struct hf_keys *k, const char *key, float value)
{
	add(k, key, (struct gguf_value){.type = GGUF_F32, .f64 = (double)value});
}

void hf_key_i32(struct hf_keys *k, const char *key, int32_t value)
{
	add(k, key, (struct gguf_value){.type = GGUF_I32, .i64 = value});
}

static void add_bool(struct hf_keys *k, const char *key, bool value)
{
	add(k, key, (struct gguf_value){.type = GGUF_BOOL, .u64 = value});
}

/* As an array's strings are encoded: the length in eight bytes, then the text. */
static void add_strings(struct hf_keys *k, const char *key, const struct str *values, uint64_t n)
{
	uint64_t n_bytes = 0;
	for (uint64_t i = 0; i < n; i++)
		n_bytes += 8 + values[i].len;
	uint8_t *data = arena_alloc(k->arena, n_bytes, 1), *at = data;
	k->failed = k->failed || !data;
	for (uint64_t i = 0; i < n && data; i++) {
		uint64_t len = values[i].len;
		memcpy(at, &len, 8);
		memcpy(at + 8, values[i].ptr, values[i].len);
		at += 8 + len;
	}
	add(k, key, (struct gguf_value){.type = GGUF_ARRAY, .array = {GGUF_STRING, n, data, n_bytes}});
}

void hf_shape_keys(struct hf_keys *k, const struct hf_shape *s, const char *name)
{
	enum { QUANTIZATION_VERSION = 2 }; /* of ggml's block formats */
	char key[128];
	char *copy = arena_strdup(k->arena, name, strlen(name));
	k->failed = k->failed || !copy;
	hf_key_str(k, "general.architecture", str_c(s->arch->gguf));
	hf_key_str(k, "general.type", STR_LIT("model"));
	hf_key_str(k, "general.name", str_c(copy ? copy : ""));
	add_u32(k, "general.quantization_version", QUANTIZATION_VERSION);
	for (const struct config_row *row = s->arch->config; row->config; row++) {
		const void *field = (const char *)s + row->offset;
		if (!row->gguf)
			continue;
		snprintf(key, sizeof key, "%s.%s", s->arch->gguf, row->gguf);
		if (row->is_float)
			hf_key_f32(k, key, *(const float *)field);
		else
			add_u32(k, key, *(const uint32_t *)field);
	}
	for (uint32_t i = 0; i < s->n_keys; i++) {
		const struct hf_key *extra = &s->keys[i];
		snprintf(key, sizeof key, "%s.%s", s->arch->gguf, extra->name);
		if (extra->type == HF_U32)
			add_u32(k, key, extra->u32);
		else if (extra->type == HF_F32)
			hf_key_f32(k, key, extra->f32);
		else if (extra->type == HF_STR)
			hf_key_str(k, key, str_c(extra->str));
		else
			add(k, key,
			    (struct gguf_value){.type = GGUF_ARRAY,
						.array = {GGUF_BOOL, s->n_layers, s->windowed, s->n_layers}});
	}
}

/* No key where there are none. */
static void add_u32s(struct hf_keys *k, const char *key, const uint32_t *ids, uint64_t n)
{
	if (n)
		add(k, key,
		    (struct gguf_value){.type = GGUF_ARRAY,
					.array = {GGUF_U32, n, (const uint8_t *)ids, n * sizeof *ids}});
}

/* Ids of added tokens. */
static void add_ids(struct hf_keys *k, const char *key, const struct vocab *v,
		    bool (*is)(const struct added_token *t))
{
	uint32_t *ids = arena_array(k->arena, v->n_added, sizeof *ids);
	uint64_t n = 0;
	k->failed = k->failed || !ids;
	for (uint32_t i = 0; ids && i < v->n_added; i++)
		if (v->added[i].id < v->n && is(&v->added[i]))
			ids[n++] = v->added[i].id;
	add_u32s(k, key, ids, n);
}

/* SentencePiece looks for its user-defined pieces in the normalised text. */
static void add_user_defined(struct hf_keys *k, const struct vocab *v)
{
	uint32_t *ids = arena_array(k->arena, v->model->n, sizeof *ids);
	uint64_t n = 0;
	k->failed = k->failed || !ids;
	for (uint32_t i = 0; ids && i < v->model->n; i++)
		if (v->types[i] == VOCAB_USER_DEFINED && v->model->pieces[i].type == VOCAB_USER_DEFINED)
			ids[n++] = i;
	add_u32s(k, "tokenizer.hokku.normalized", ids, n);
}

static bool strips_left(const struct added_token *t)
{
	return t->strips & ADDED_LSTRIP;
}

static bool strips_right(const struct added_token *t)
{
	return t->strips & ADDED_RSTRIP;
}

static bool is_normalized(const struct added_token *t)
{
	return t->normalized && !t->special;
}

/* What GGUF has no word for is said in keys of our own; other programs pass over them. */
static void add_spm(struct hf_keys *k, const struct vocab *v)
{
	const struct {
		const char *key;
		bool value;
	} own[] = {
		{"tokenizer.hokku.join_by_merges", v->text.join_by_merges},
		{"tokenizer.hokku.space_prefix_first", v->text.prefix_first},
		{"tokenizer.hokku.space_prefix_once", v->text.prefix_once},
		{"tokenizer.hokku.split_at_spaces", v->text.split_at_spaces},
	};
	hf_key_str(k, "tokenizer.ggml.pre", STR_LIT("default"));
	add(k, "tokenizer.ggml.scores",
	    (struct gguf_value){
		    .type = GGUF_ARRAY,
		    .array = {GGUF_F32, v->n, (const uint8_t *)v->scores, v->n * sizeof *v->scores}});
	add_bool(k, "tokenizer.ggml.add_space_prefix", v->text.space_prefix);
	add_bool(k, "tokenizer.ggml.remove_extra_whitespaces", v->text.remove_extra);
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (own[i].value)
			add_bool(k, own[i].key, true);
	if (v->model)
		add_user_defined(k, v);
	else if (v->text.normalizes)
		add_ids(k, "tokenizer.hokku.normalized", v, is_normalized);
}

void hf_vocab_keys(struct hf_keys *k, const struct vocab *v)
{
	const struct {
		const char *key;
		int64_t id;
	} ids[] = {
		{"tokenizer.ggml.bos_token_id", v->bos},     {"tokenizer.ggml.eos_token_id", v->eos},
		{"tokenizer.ggml.eot_token_id", v->eot},     {"tokenizer.ggml.unknown_token_id", v->unk},
		{"tokenizer.ggml.padding_token_id", v->pad},
	};
	hf_key_str(k, "tokenizer.ggml.model", v->spm ? STR_LIT("llama") : STR_LIT("gpt2"));
	if (v->spm)
		add_spm(k, v);
	else {
		hf_key_str(k, "tokenizer.ggml.pre", str_c(v->pre));
		add_ids(k, "tokenizer.hokku.normalized", v, is_normalized);
	}
	/* Of the pre-tokenizers that recognise.c knows, only llama-bpe's row ignores merges by itself. */
	if (v->ignore_merges != (!v->spm && strcmp(v->pre, "llama-bpe") == 0))
		add_bool(k, "tokenizer.hokku.ignore_merges", v->ignore_merges);
	add_ids(k, "tokenizer.hokku.lstrip", v, strips_left);
	add_ids(k, "tokenizer.hokku.rstrip", v, strips_right);
	add_strings(k, "tokenizer.ggml.tokens", v->tokens, v->n);
	add(k, "tokenizer.ggml.token_type",
	    (struct gguf_value){
		    .type = GGUF_ARRAY,
		    .array = {GGUF_I32, v->n, (const uint8_t *)v->types, v->n * sizeof *v->types}});
	if (!v->spm || v->text.join_by_merges)
		add_strings(k, "tokenizer.ggml.merges", v->merges, v->n_merges);
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
		if (ids[i].id >= 0 && ids[i].id < v->n)
			add_u32(k, ids[i].key, (uint32_t)ids[i].id);
	add_bool(k, "tokenizer.ggml.add_bos_token", v->add_bos);
	if (v->chat_template.ptr)
		hf_key_str(k, "tokenizer.chat_template", v->chat_template);
}
