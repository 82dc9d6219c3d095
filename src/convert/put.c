/* What a folder says, as keys of a file. */
#include "convert/put.h"

#include <stdio.h>

void put_shape(struct gguf_writer *w, const struct hf_shape *s, const char *name, int file_type)
{
	enum { QUANTIZATION_VERSION = 2 }; /* of ggml's block formats */
	char key[128];
	gguf_put_str(w, "general.architecture", str_c(s->arch->gguf));
	gguf_put_str(w, "general.type", STR_LIT("model"));
	gguf_put_str(w, "general.name", str_c(name));
	if (file_type >= 0)
		gguf_put_u32(w, "general.file_type", (uint32_t)file_type);
	gguf_put_u32(w, "general.quantization_version", QUANTIZATION_VERSION);
	for (const struct config_row *row = s->arch->config; row->config; row++) {
		const void *field = (const char *)s + row->offset;
		if (!row->gguf)
			continue;
		snprintf(key, sizeof key, "%s.%s", s->arch->gguf, row->gguf);
		if (row->is_float)
			gguf_put_f32(w, key, *(const float *)field);
		else
			gguf_put_u32(w, key, *(const uint32_t *)field);
	}
	if ((uint64_t)s->head_dim * s->n_heads == s->d_model)
		return;
	snprintf(key, sizeof key, "%s.attention.key_length", s->arch->gguf);
	gguf_put_u32(w, key, s->head_dim);
	snprintf(key, sizeof key, "%s.attention.value_length", s->arch->gguf);
	gguf_put_u32(w, key, s->head_dim);
}

void put_vocab(struct gguf_writer *w, const struct vocab *v)
{
	const struct {
		const char *key;
		int64_t id;
	} ids[] = {
		{"tokenizer.ggml.bos_token_id", v->bos},     {"tokenizer.ggml.eos_token_id", v->eos},
		{"tokenizer.ggml.eot_token_id", v->eot},     {"tokenizer.ggml.unknown_token_id", v->unk},
		{"tokenizer.ggml.padding_token_id", v->pad},
	};
	gguf_put_str(w, "tokenizer.ggml.model", STR_LIT("gpt2"));
	gguf_put_str(w, "tokenizer.ggml.pre", str_c(v->pre));
	gguf_put_str_array(w, "tokenizer.ggml.tokens", v->tokens, v->n);
	gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, v->types, v->n);
	gguf_put_str_array(w, "tokenizer.ggml.merges", v->merges, v->n_merges);
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
		if (ids[i].id >= 0 && ids[i].id < v->n)
			gguf_put_u32(w, ids[i].key, (uint32_t)ids[i].id);
	gguf_put_bool(w, "tokenizer.ggml.add_bos_token", v->add_bos);
	if (v->chat_template.ptr)
		gguf_put_str(w, "tokenizer.chat_template", v->chat_template);
}

int file_type_of(enum tensor_type type)
{
	static const struct {
		enum tensor_type type;
		int file_type;
	} numbers[] = {
		{TENSOR_F32, 0},   {TENSOR_F16, 1},   {TENSOR_Q4_0, 2},  {TENSOR_Q4_1, 3},
		{TENSOR_Q8_0, 7},  {TENSOR_Q5_0, 8},  {TENSOR_Q5_1, 9},  {TENSOR_Q4_K, 14},
		{TENSOR_Q5_K, 16}, {TENSOR_Q6_K, 18}, {TENSOR_BF16, 32},
	};
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (numbers[i].type == type)
			return numbers[i].file_type;
	return -1;
}
