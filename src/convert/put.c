/* Keys on their way into a file. */
#include "convert/put.h"

/* llama.cpp's number of the file's type stands where its converter puts it. */
static void put_one(struct gguf_writer *w, const struct gguf_kv *kv, int file_type)
{
	gguf_put_value(w, kv->key.ptr, &kv->value);
	if (file_type >= 0 && str_eq_c(kv->key, "general.name"))
		gguf_put_u32(w, "general.file_type", (uint32_t)file_type);
}

void put_keys(struct gguf_writer *w, const struct gguf *model, int file_type)
{
	for (uint64_t i = 0; i < gguf_n_kv(model); i++)
		put_one(w, gguf_kv_at(model, i), file_type);
}

void put_list(struct gguf_writer *w, const struct hf_keys *k, int file_type)
{
	for (uint64_t i = 0; i < k->n; i++)
		put_one(w, &k->kv[i], file_type);
}

int file_type_of(enum tensor_type type)
{
	static const struct {
		enum tensor_type type;
		int file_type;
	} numbers[] = {
		{TENSOR_F32, 0},   {TENSOR_F16, 1},     {TENSOR_Q4_0, 2},    {TENSOR_Q4_1, 3},
		{TENSOR_Q8_0, 7},  {TENSOR_Q5_0, 8},    {TENSOR_Q5_1, 9},    {TENSOR_Q4_K, 14},
		{TENSOR_Q5_K, 16}, {TENSOR_Q6_K, 18},   {TENSOR_BF16, 32},   {TENSOR_Q2_K, 10},
		{TENSOR_Q3_K, 11}, {TENSOR_IQ4_NL, 25}, {TENSOR_IQ4_XS, 30},
	};
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (numbers[i].type == type)
			return numbers[i].file_type;
	return -1;
}
