/*
 * The tiny models of golden/archs, one or more of each architecture, made again from their recipe: as a
 * Hugging Face folder, and as the GGUF file that llama.cpp's own converter made of that folder (gguf.json
 * says which tensor became which). No weights are stored; README.md in golden/archs tells the recipe.
 */
#ifndef TEST_ARCH_MODEL_H
#define TEST_ARCH_MODEL_H

#include <sys/stat.h>

#include "tiny_model.h"

enum { ARCH_MAX_TENSORS = 256, ARCH_N_CTX = 512 };

struct arch_tensor {
	const char *name, *kind; /* transformers' name */
	uint32_t rows, cols;     /* rows 0: a vector */
	uint32_t stream;
};

struct arch_entry {
	const char *name;
	uint64_t seed;
	bool plus_one; /* norms are stored less one */
	int32_t *prompt, *greedy;
	uint32_t n_prompt, n_greedy;
	json_t *gguf, *list, *config; /* gguf.json, tensors.json, config.json */
	struct arch_tensor tensors[ARCH_MAX_TENSORS];
	size_t n_tensors;
};

struct arch_set {
	json_t *root;
	struct arch_entry *entries;
	size_t n;
};

GOLDEN_INLINE json_t *arch_json(const char *name, const char *file)
{
	char path[512];
	json_error_t err;
	snprintf(path, sizeof path, TEST_GOLDEN_DIR "/archs/%s/%s", name, file);
	json_t *value = json_load_file(path, 0, &err);
	if (!value)
		fprintf(stderr, "%s: %s\n", path, err.text);
	TINY_NEED(value);
	return value;
}

GOLDEN_INLINE void arch_load(struct arch_set *set)
{
	json_error_t err;
	*set = (struct arch_set){.root = json_load_file(TEST_GOLDEN_DIR "/archs/archs.json", 0, &err)};
	TINY_NEED(set->root);
	set->n = json_array_size(set->root);
	set->entries = calloc(set->n, sizeof *set->entries);
	for (size_t i = 0; i < set->n; i++) {
		json_t *e = json_array_get(set->root, i);
		struct arch_entry *a = &set->entries[i];
		a->name = json_string_value(json_object_get(e, "name"));
		a->seed = tiny_u32(e, "seed");
		a->plus_one = strstr(a->name, "emma") != NULL;
		a->prompt = tiny_ids(json_object_get(e, "prompt"), &a->n_prompt);
		a->greedy = tiny_ids(json_object_get(e, "greedy"), &a->n_greedy);
		a->gguf = arch_json(a->name, "gguf.json");
		a->list = arch_json(a->name, "tensors.json");
		a->config = arch_json(a->name, "config.json");
		a->n_tensors = json_array_size(a->list);
		TINY_NEED(a->n_tensors <= ARCH_MAX_TENSORS);
		for (size_t t = 0; t < a->n_tensors; t++) {
			json_t *row = json_array_get(a->list, t), *shape = json_array_get(row, 1);
			bool matrix = json_array_size(shape) == 2;
			a->tensors[t] = (struct arch_tensor){
				.name = json_string_value(json_array_get(row, 0)),
				.kind = json_string_value(json_array_get(row, 2)),
				.rows = matrix ? (uint32_t)json_integer_value(json_array_get(shape, 0)) : 0,
				.cols = (uint32_t)json_integer_value(json_array_get(shape, matrix)),
				.stream = (uint32_t)(100 + t),
			};
		}
	}
}

GOLDEN_INLINE void arch_free(struct arch_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		struct arch_entry *a = &set->entries[i];
		free(a->prompt);
		free(a->greedy);
		json_decref(a->gguf);
		json_decref(a->list);
		json_decref(a->config);
	}
	free(set->entries);
	json_decref(set->root);
}

GOLDEN_INLINE const struct arch_entry *arch_find(const struct arch_set *set, const char *name)
{
	for (size_t i = 0; i < set->n; i++)
		if (strcmp(set->entries[i].name, name) == 0)
			return &set->entries[i];
	fprintf(stderr, "there is no golden model %s\n", name);
	exit(1);
}

GOLDEN_INLINE size_t arch_elements(const struct arch_tensor *t)
{
	return (size_t)(t->rows ? t->rows : 1) * t->cols;
}

/* The tensor's numbers, which float16 holds; malloc'ed. */
GOLDEN_INLINE float *arch_values(const struct arch_entry *a, const struct arch_tensor *t)
{
	size_t n = arch_elements(t);
	uint32_t *words = malloc((n + 3) * sizeof *words);
	float *out = malloc(n * sizeof *out), scale = ldexpf(1.0f, 1 - tiny_shift(t->cols));
	TINY_NEED(words && out);
	const struct tiny of_seed = {.seed = a->seed};
	tiny_words(&of_seed, t->stream, n, words);
	for (size_t i = 0; i < n; i++) {
		float u = tiny_uniform(words[i]);
		if (strcmp(t->kind, "matrix") == 0)
			u *= scale;
		else if (strcmp(t->kind, "bias") == 0)
			u *= 0.5f;
		else
			u = a->plus_one ? nearbyintf(u * 256) / 1024 : u * 0.25f + 1;
		out[i] = f32_from_f16(f16_from_f32(u));
	}
	free(words);
	return out;
}

/* Rows of each head in the order that llama.cpp has them in for RoPE in adjacent pairs. */
GOLDEN_INLINE void arch_permute(float *values, size_t rows, size_t cols, size_t n_heads)
{
	size_t half = rows / n_heads / 2;
	float *from = malloc(rows * cols * sizeof *from);
	TINY_NEED(from);
	memcpy(from, values, rows * cols * sizeof *from);
	for (size_t h = 0; h < n_heads; h++)
		for (size_t i = 0; i < 2 * half; i++)
			memcpy(values + (h * 2 * half + 2 * (i % half) + i / half) * cols,
			       from + (h * 2 * half + i) * cols, cols * sizeof *from);
	free(from);
}

/* One tensor of llama.cpp's file as floats: [transformers' name, what was done] or the numbers; malloc'ed. */
GOLDEN_INLINE float *arch_gguf_values(const struct arch_entry *a, const json_t *source, size_t *n)
{
	if (!json_is_string(json_array_get(source, 0))) {
		*n = json_array_size(source);
		float *out = malloc(*n * sizeof *out);
		TINY_NEED(out);
		for (size_t i = 0; i < *n; i++)
			out[i] = (float)json_number_value(json_array_get(source, i));
		return out;
	}
	const char *name = json_string_value(json_array_get(source, 0));
	const char *op = json_string_value(json_array_get(source, 1));
	const struct arch_tensor *t = a->tensors;
	while (strcmp(t->name, name) != 0)
		TINY_NEED(++t < a->tensors + a->n_tensors);
	float *out = arch_values(a, t);
	*n = arch_elements(t);
	unsigned n_heads;
	if (strcmp(op, "plus_one") == 0)
		for (size_t i = 0; i < *n; i++)
			out[i] += 1;
	else if (sscanf(op, "permute %u", &n_heads) == 1)
		arch_permute(out, t->rows ? t->rows : t->cols, t->rows ? t->cols : 1, n_heads);
	else
		TINY_NEED(strcmp(op, "same") == 0);
	return out;
}

GOLDEN_INLINE void arch_put_key(struct gguf_writer *w, const char *key, const json_t *value)
{
	if (json_is_boolean(value))
		gguf_put_bool(w, key, json_is_true(value));
	else if (json_is_integer(value))
		gguf_put_u32(w, key, (uint32_t)json_integer_value(value));
	else if (json_is_real(value))
		gguf_put_f32(w, key, (float)json_real_value(value));
	else if (json_is_string(value))
		gguf_put_str(w, key, str_c(json_string_value(value)));
	else {
		bool flags[64];
		TINY_NEED(json_array_size(value) <= 64);
		for (size_t i = 0; i < json_array_size(value); i++)
			flags[i] = json_is_true(json_array_get(value, i));
		gguf_put_array(w, key, GGUF_BOOL, flags, json_array_size(value));
	}
}

/* Writes the file that llama.cpp's converter made, F16 matrices as `type`. What that converter leaves out of
 * Mistral's files, the window, is put in: transformers has it. Its vocabulary is left out; `vocabulary`, if
 * not NULL, puts one of so many tokens. */
GOLDEN_INLINE void arch_write_gguf_with(const struct arch_entry *a, enum tensor_type type, const char *path,
					void (*vocabulary)(struct gguf_writer *w, uint32_t n_vocab))
{
	struct hokku_error err = {0};
	struct gguf_writer *w = NULL;
	TINY_NEED(gguf_writer_create(path, &w, &err) == HOKKU_OK);
	const char *key;
	json_t *value, *tensors = json_object_get(a->gguf, "tensors");
	json_object_foreach(json_object_get(a->gguf, "keys"), key, value) arch_put_key(w, key, value);
	if (strcmp(a->name, "mistral") == 0)
		arch_put_key(w, "llama.attention.sliding_window",
			     json_object_get(a->config, "sliding_window"));
	if (vocabulary)
		vocabulary(w, tiny_u32(a->config, "vocab_size"));
	for (size_t i = 0; i < json_array_size(tensors); i++) {
		json_t *row = json_array_get(tensors, i), *shape = json_array_get(row, 2);
		uint32_t n_dims = (uint32_t)json_array_size(shape);
		uint64_t dims[2];
		for (uint32_t d = 0; d < n_dims; d++)
			dims[d] = (uint64_t)json_integer_value(json_array_get(shape, d));
		gguf_put_tensor(w, json_string_value(json_array_get(row, 0)), n_dims == 2 ? type : TENSOR_F32,
				n_dims, dims);
	}
	TINY_NEED(gguf_writer_begin_data(w, &err) == HOKKU_OK);
	for (size_t i = 0; i < json_array_size(tensors); i++) {
		json_t *row = json_array_get(tensors, i);
		bool matrix = json_array_size(json_array_get(row, 2)) == 2;
		const struct format *f = format_get(matrix ? type : TENSOR_F32);
		size_t n;
		float *values = arch_gguf_values(a, json_array_get(row, 3), &n);
		size_t n_bytes = n / f->block_elements * f->block_bytes;
		uint8_t *data = malloc(n_bytes);
		TINY_NEED(data);
		f->quantise(values, data, n);
		TINY_NEED(gguf_writer_data(w, data, n_bytes, &err) == HOKKU_OK);
		free(data);
		free(values);
	}
	TINY_NEED(gguf_writer_finish(w, &err) == HOKKU_OK);
	gguf_writer_destroy(w);
}

GOLDEN_INLINE void arch_write_gguf(const struct arch_entry *a, enum tensor_type type, const char *path)
{
	arch_write_gguf_with(a, type, path, NULL);
}

/* The model's folder as transformers saves it, in float16, with the toy tokenizer of golden/models/hf.
 * vision: not NULL, as a class that reads pictures too has it: its name and model_type, the text's tensors
 * after `prefix`, and a tensor of the pictures' part. */
struct arch_vision {
	const char *class_name, *model_type, *prefix;
};

GOLDEN_INLINE void arch_copy(const char *dir, const char *file)
{
	char path[512];
	size_t n;
	snprintf(path, sizeof path, TEST_GOLDEN_DIR "/models/hf/%s", file);
	void *bytes = golden_read(path, &n);
	snprintf(path, sizeof path, "%s/%s", dir, file);
	FILE *f = fopen(path, "wb");
	TINY_NEED(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
	free(bytes);
}

GOLDEN_INLINE void arch_write_config(const struct arch_entry *a, const char *dir,
				     const struct arch_vision *vision)
{
	char path[512];
	json_t *config = json_incref(a->config);
	snprintf(path, sizeof path, "%s/config.json", dir);
	if (vision) {
		json_decref(config);
		config = json_pack("{s:[s],s:s,s:O,s:{s:s}}", "architectures", vision->class_name,
				   "model_type", vision->model_type, "text_config", a->config,
				   "vision_config", "model_type", "pixtral");
	}
	TINY_NEED(config && json_dump_file(config, path, JSON_REAL_PRECISION(17)) == 0);
	json_decref(config);
}

GOLDEN_INLINE void arch_write_folder(const struct arch_entry *a, const char *dir,
				     const struct arch_vision *vision)
{
	char path[512], name[192];
	mkdir(dir, 0777);
	arch_copy(dir, "tokenizer.json");
	arch_copy(dir, "tokenizer_config.json");
	arch_write_config(a, dir, vision);
	json_t *header = json_object();
	size_t at = 0;
	for (size_t i = 0; i <= a->n_tensors; i++) {
		const struct arch_tensor extra = {"vision_tower.patch_conv.weight", "matrix", 4, 8, 0};
		const struct arch_tensor *t = i < a->n_tensors ? &a->tensors[i] : &extra;
		if (i == a->n_tensors && !vision)
			break;
		bool inside = strncmp(t->name, "model.", 6) == 0;
		snprintf(name, sizeof name, "%s%s", vision && inside ? vision->prefix : "",
			 vision && inside && strncmp(vision->prefix, "model.", 6) == 0 ? t->name + 6
										       : t->name);
		size_t n = 2 * arch_elements(t);
		json_t *shape = t->rows ? json_pack("[i,i]", (int)t->rows, (int)t->cols)
					: json_pack("[i]", (int)t->cols);
		json_object_set_new(header, name,
				    json_pack("{s:s,s:o,s:[I,I]}", "dtype", "F16", "shape", shape,
					      "data_offsets", (json_int_t)at, (json_int_t)(at + n)));
		at += n;
	}
	char *text = json_dumps(header, JSON_COMPACT);
	uint64_t n_header = strlen(text);
	snprintf(path, sizeof path, "%s/model.safetensors", dir);
	FILE *f = fopen(path, "wb");
	TINY_NEED(f && fwrite(&n_header, 8, 1, f) == 1 && fwrite(text, 1, n_header, f) == n_header);
	for (size_t i = 0; i < a->n_tensors; i++) {
		size_t n = arch_elements(&a->tensors[i]);
		float *values = arch_values(a, &a->tensors[i]);
		for (size_t k = 0; k < n; k++) {
			uint16_t half = f16_from_f32(values[k]);
			TINY_NEED(fwrite(&half, 2, 1, f) == 1);
		}
		free(values);
	}
	if (vision) {
		const uint8_t zeros[4 * 8 * 2] = {0};
		TINY_NEED(fwrite(zeros, sizeof zeros, 1, f) == 1);
	}
	TINY_NEED(fclose(f) == 0);
	free(text);
	json_decref(header);
}

GOLDEN_INLINE void arch_remove_folder(const char *dir)
{
	static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json",
					    "tokenizer_config.json"};
	char path[512];
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		remove(path);
	}
	remove(dir);
}

#endif
