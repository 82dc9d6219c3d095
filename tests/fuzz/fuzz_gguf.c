/* Any bytes: they are refused with a message, or everything in them can be walked. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gguf/gguf.h"

static uint64_t walk(const struct gguf_value *v, int depth)
{
	uint64_t sum = v->type;
	if (v->type == GGUF_STRING) {
		for (size_t i = 0; i < v->string.len; i++)
			sum += (unsigned char)v->string.ptr[i];
	} else if (v->type == GGUF_ARRAY) {
		struct gguf_array_iter it;
		struct gguf_value element;
		uint64_t n = 0;
		gguf_array_iter_init(&it, &v->array);
		for (; gguf_array_next(&it, &element); n++)
			sum += walk(&element, depth + 1);
		if (n != v->array.n || depth > 4)
			abort(); /* what was accepted at opening must be walkable to its end */
	}
	return sum;
}

static void ask(const struct gguf *g, const char *key)
{
	struct hokku_error err;
	uint32_t u32;
	float f32;
	bool yes, found;
	struct str s;
	struct gguf_array array;
	(void)gguf_get_u32(g, key, &u32, &found, &err);
	(void)gguf_get_f32(g, key, &f32, NULL, &err);
	(void)gguf_get_bool(g, key, &yes, &found, &err);
	(void)gguf_get_str(g, key, &s, NULL, &err);
	(void)gguf_get_array(g, key, GGUF_STRING, &array, &found, &err);
}

static uint64_t check_tensor(const struct gguf *g, const struct gguf_tensor *t, const uint8_t *data,
			     size_t size)
{
	uint64_t sum = 0;
	const uint8_t *p = t->data;
	if (p < data || t->n_bytes > size || p + t->n_bytes > data + size || t->offset % gguf_alignment(g))
		abort();
	if (!t->n_bytes != (!tensor_type_get(t->type) && !tensor_type_removed(t->type, NULL)))
		abort(); /* the size is known of every type that is known */
	for (uint64_t i = 0; i < t->n_bytes; i++)
		sum += p[i];
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hokku_error err = {0};
	struct gguf *g = NULL;
	if (gguf_open_memory(data, size, "fuzz", &g, &err)) {
		if (g || !err.message[0])
			abort();
		return 0;
	}
	volatile uint64_t sum = gguf_trailing_bytes(g) + gguf_data_offset(g);
	for (uint64_t i = 0; i < gguf_n_kv(g); i++) {
		const struct gguf_kv *kv = gguf_kv_at(g, i);
		char *key = strndup(kv->key.ptr, kv->key.len);
		if (!key || gguf_find(g, key) != &kv->value)
			abort();
		sum += walk(&kv->value, 1);
		ask(g, key);
		free(key);
	}
	for (uint64_t i = 0; i < gguf_n_tensors(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		char *name = strndup(t->name.ptr, t->name.len);
		if (!name || gguf_find_tensor(g, name) != t)
			abort();
		sum += check_tensor(g, t, data, size);
		free(name);
	}
	gguf_close(g);
	return 0;
}
