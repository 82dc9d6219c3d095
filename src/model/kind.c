#include "model/kind.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- what is asked of a file ---- */

static struct str text_of(const struct gguf *g, const char *key)
{
	const struct gguf_value *v = gguf_find(g, key);
	return v && v->type == GGUF_STRING ? v->string : (struct str){0};
}

/* An integer of any type that is not negative; 0 if there is none. */
static uint64_t number_of(const struct gguf *g, const char *key)
{
	uint32_t n = 0;
	bool found;
	return gguf_get_u32(g, key, &n, &found, NULL) ? 0 : n;
}

static bool is_part(const struct gguf *g)
{
	return number_of(g, "split.count") > 1; /* what was joined again has 0, a split of one file 1 */
}

static bool is_adapter(const struct gguf *g)
{
	if (str_eq_c(text_of(g, "general.type"), "adapter"))
		return true;
	for (uint64_t i = 0; i < gguf_n_tensors(g); i++) {
		struct str name = gguf_tensor_at(g, i)->name;
		if (str_ends(name, STR_LIT(".lora_a")) || str_ends(name, STR_LIT(".lora_b")))
			return true;
	}
	return false;
}

static bool is_projector(const struct gguf *g)
{
	return str_eq_c(text_of(g, "general.type"), "mmproj") ||
	       str_eq_c(text_of(g, "general.architecture"), "clip");
}

static bool is_imatrix(const struct gguf *g)
{
	return str_eq_c(text_of(g, "general.type"), "imatrix") || gguf_find(g, "imatrix.chunk_count") ||
	       gguf_find(g, "imatrix.datasets");
}

static bool is_control_vector(const struct gguf *g)
{
	return str_eq_c(text_of(g, "general.architecture"), "controlvector");
}

static bool is_vocabulary(const struct gguf *g)
{
	return gguf_n_tensors(g) == 0 && gguf_find(g, "tokenizer.ggml.model");
}

/* ---- the kinds ---- */

static const struct {
	bool (*is)(const struct gguf *g);
	const char *text, *instead;
} kinds[] = {
	[FILE_MODEL] = {NULL, "a model", NULL},
	[FILE_PART] = {is_part, NULL, NULL},
	[FILE_ADAPTER] =
		{is_adapter, "a LoRA adapter",
		 "it holds differences to the weights of a model; merge it into that one (llama.cpp's "
		 "llama-export-lora, or PEFT's merge_and_unload) and give the merged model"},
	[FILE_PROJECTOR] =
		{is_projector, "an encoder of images or sound (mmproj)",
		 "it goes beside a language model; hokku reads text: give the language model's own "
		 "file"},
	[FILE_IMATRIX] = {is_imatrix, "an importance matrix (imatrix)",
			  "it helps to quantise a model and holds none; give the model's own file"},
	[FILE_CONTROL_VECTOR] = {is_control_vector, "a control vector",
				 "it goes on top of a model and holds none; give the model's own file"},
	[FILE_VOCABULARY] =
		{is_vocabulary, "a vocabulary",
		 "it has no tensors, so it can be tokenized with but not run; give a file with the "
		 "weights"},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

enum file_kind file_kind_of(const struct gguf *g)
{
	for (int i = FILE_PART; i < N_KINDS; i++)
		if (kinds[i].is(g))
			return (enum file_kind)i;
	return FILE_MODEL;
}

/* From 1; 0 where the file contradicts itself. */
static uint64_t part_number(const struct gguf *g)
{
	uint64_t no = number_of(g, "split.no");
	return no < number_of(g, "split.count") ? no + 1 : 0;
}

const char *file_kind_text(const struct gguf *g, char *out, size_t size)
{
	enum file_kind kind = file_kind_of(g);
	if (kind == FILE_PART && part_number(g))
		snprintf(out, size, "part %" PRIu64 " of %" PRIu64 " of a split model", part_number(g),
			 number_of(g, "split.count"));
	else
		snprintf(out, size, "%s", kind == FILE_PART ? "a part of a split model" : kinds[kind].text);
	return out;
}

/* A file is opened with all its parts; what is in memory has no folder to look for the others in. */
static enum hokku_code refuse_part(const struct gguf *g, struct hokku_error *err)
{
	uint64_t part = part_number(g), n = number_of(g, "split.count");
	if (!part)
		return err_set(err, HOKKU_MODEL_LOAD_FAILED,
			       "%s: split.no is %" PRIu64 " and split.count %" PRIu64
			       ": the file says that it is a part of a split model, and contradicts itself",
			       gguf_path(g), number_of(g, "split.no"), n);
	return err_set(
		err, HOKKU_MODEL_LOAD_FAILED,
		"%s: this is part %" PRIu64 " of %" PRIu64
		" of a split model, without the others: they are found beside a part that is given as a "
		"file; what is in memory must be a whole model",
		gguf_path(g), part, n);
}

enum hokku_code file_kind_check(const struct gguf *g, struct hokku_error *err)
{
	enum file_kind kind = file_kind_of(g);
	if (kind == FILE_MODEL)
		return HOKKU_OK;
	if (kind == FILE_PART)
		return refuse_part(g, err);
	return err_set(err, HOKKU_MODEL_LOAD_FAILED, "%s: this is %s: %s", gguf_path(g), kinds[kind].text,
		       kinds[kind].instead);
}
