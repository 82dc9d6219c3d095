#include "hf/found.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "hf/hf.h"
#include "hf/reader.h"

#define MERGE "merge it into its base model (peft: merge_and_unload), save that and convert it"

static bool contains(struct str s, const char *part)
{
	return s.len && memmem(s.ptr, s.len, part, strlen(part));
}

/* ---- files ---- */

/* Weights in other clothes, the most telling first. */
static const struct {
	const char *start, *end;
	const char *advice;
} weights[] = {
	{"adapter_model", "", "an adapter (PEFT), which changes another model; " MERGE},
	{"", ".gguf", "a model in hokku's own format already; give it as MODEL"},
	{"pytorch_model", "",
	 "PyTorch's pickles, which hokku does not read since they can run code; load the "
	 "model in Python and save_pretrained(DIR, safe_serialization=True)"},
	{"consolidated", "",
	 "the layout of the model's maker; convert it with transformers and save_pretrained"},
	{"model-", ".safetensors", "shards without model.safetensors.index.json; fetch that file as well"},
	{"", ".safetensors", "no name of a whole model's weights (model.safetensors)"},
	{"tf_model", "", "TensorFlow's; load it with from_tf=True and save_pretrained"},
	{"flax_model", "", "Flax's; load it with from_flax=True and save_pretrained"},
	{"", ".bin",
	 "PyTorch's pickle, which hokku does not read since it can run code; load it in Python and "
	 "save_pretrained(DIR, safe_serialization=True)"},
	{"", ".pth",
	 "PyTorch's pickle, which hokku does not read since it can run code; convert it to safetensors"},
	{"", ".pt",
	 "PyTorch's pickle, which hokku does not read since it can run code; convert it to safetensors"},
	{"", ".ckpt", "a training's checkpoint; save the model with save_pretrained"},
	{"", ".onnx", "ONNX; hokku converts safetensors"},
};
enum { N_WEIGHTS = sizeof weights / sizeof weights[0] };

/* The first file of the folder, by name, that belongs to the most telling row; false if none does. */
static bool find_weights(const char *dir, char name[256], size_t *row)
{
	*row = N_WEIGHTS;
	DIR *d = opendir(dir);
	if (!d)
		return false;
	for (struct dirent *e; (e = readdir(d));) {
		struct str file = str_c(e->d_name);
		for (size_t i = 0; i <= *row && i < N_WEIGHTS; i++) {
			if (!str_starts(file, str_c(weights[i].start)) ||
			    !str_ends(file, str_c(weights[i].end)))
				continue;
			if (i < *row || strcmp(e->d_name, name) < 0)
				snprintf(name, 256, "%s", e->d_name);
			*row = i;
			break;
		}
	}
	closedir(d);
	return *row < N_WEIGHTS;
}

/* The base model that adapter_config.json names, quoted; "another model" where it names none. */
static const char *base_of(const char *dir, char out[160])
{
	char path[HF_PATH_BYTES];
	struct jv_doc doc;
	bool there;
	snprintf(out, 160, "another model");
	if (hf_read_json(dir, "adapter_config.json", HF_MAX_CONFIG_BYTES, path, &doc, &there, NULL))
		return out;
	struct str base = jv_str(jv_get(&doc.root, "base_model_name_or_path"));
	if (base.len)
		str_quote(base, out, 160);
	jv_doc_free(&doc);
	return out;
}

static bool has_file(const char *dir, const char *name)
{
	char path[HF_PATH_BYTES];
	bool there;
	return hf_join(dir, name, path, &there, NULL) == HOKKU_OK && there;
}

enum hokku_code hf_check_folder(const char *dir, struct hokku_error *err)
{
	struct stat st;
	char magic[4] = "";
	if (!*dir)
		return err_set(err, HOKKU_INVALID_REQUEST, "the path of the folder is empty");
	if (stat(dir, &st))
		return err_set(err, errno == ENOENT || errno == ENOTDIR ? HOKKU_NOT_FOUND : HOKKU_IO_ERROR,
			       "%s: %s; a folder with a model's config.json is wanted", dir, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return HOKKU_OK;
	struct file f;
	if (file_open(dir, &f, NULL) == HOKKU_OK && f.size >= sizeof magic)
		file_read_at(&f, dir, 0, magic, sizeof magic, NULL);
	file_close(&f);
	return err_set(err, HOKKU_INVALID_REQUEST, "%s: is %s, not a folder with a model's config.json", dir,
		       memcmp(magic, "GGUF", sizeof magic) == 0 ? "a GGUF file already" : "a file");
}

enum hokku_code hf_explain_config(const char *dir, enum hokku_code code, struct hokku_error *err)
{
	char base[160];
	if (code != HOKKU_NOT_FOUND)
		return code;
	if (has_file(dir, "adapter_config.json"))
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"%s: it has no config.json, but adapter_config.json: it is an adapter (PEFT) of %s, "
			"not a model; " MERGE,
			dir, base_of(dir, base));
	if (has_file(dir, "params.json"))
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"%s: it has no config.json, but params.json: it is in the layout of the model's "
			"maker; hokku converts folders as transformers' save_pretrained writes them",
			dir);
	if (has_file(dir, "model_index.json"))
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "%s: it has no config.json, but model_index.json: it is a pipeline of several "
			       "models; hokku converts the folder of a language model",
			       dir);
	return code;
}

enum hokku_code hf_explain_weights(const char *dir, enum hokku_code code, struct hokku_error *err)
{
	char name[256];
	size_t row;
	bool has_index =
		has_file(dir, "model.safetensors.index.json"); /* then a shard is missing, and named */
	if (code != HOKKU_NOT_FOUND || has_index || !find_weights(dir, name, &row))
		return code;
	return err_set(err, HOKKU_NOT_FOUND,
		       "%s: holds neither model.safetensors nor model.safetensors.index.json, but %s: %s",
		       dir, name, weights[row].advice);
}

void hf_note_adapter(const char *dir, const struct observer *observer)
{
	char base[160];
	if (has_file(dir, "adapter_config.json"))
		observer_note(
			observer,
			"adapter_config.json is left out: the folder's own weights count; transformers would "
			"load %s and put the adapter on it",
			base_of(dir, base));
}

/* ---- tensors ---- */

/* Prefixes that programs put before every name. */
static const struct {
	const char *prefix, *reason;
} prefixes[] = {
	{"base_model.model.", ", as PEFT wraps a model; " MERGE},
	{"_orig_mod.", ", as torch.compile wraps a model; save model._orig_mod"},
	{"module.", ", as DataParallel wraps a model; save model.module"},
	{"model.language_model.",
	 ", as models with more than text have it; hokku converts language models alone"},
	{"language_model.", ", as models with more than text have it; hokku converts language models alone"},
	{"", "; rename the tensors"},
};

/* Parts of names of what is no plain weight. */
static const struct {
	const char *part, *reason;
} kinds[] = {
	{"lora_", " (a LoRA adapter's; " MERGE ")"},
	{".base_layer.", " (of a model with an adapter; " MERGE ")"},
	{".modules_to_save.", " (of a model with an adapter; " MERGE ")"},
	{".qweight", " (quantised as by GPTQ or AWQ; hokku converts plain weights)"},
	{".qzeros", " (quantised as by GPTQ or AWQ; hokku converts plain weights)"},
	{".g_idx", " (quantised as by GPTQ; hokku converts plain weights)"},
	{".weight_scale", " (quantised; hokku converts plain weights)"},
	{".weight_packed", " (quantised; hokku converts plain weights)"},
	{".absmax", " (quantised by bitsandbytes; hokku converts plain weights)"},
	{".quant_", " (quantised by bitsandbytes; hokku converts plain weights)"},
	{"_orig_mod.", " (as torch.compile wraps a model; save model._orig_mod)"},
	{"language_model.", " (as models with more than text have it; hokku converts language models alone)"},
};

const char *hf_why_tensor(struct str name)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (contains(name, kinds[i].part))
			return kinds[i].reason;
	return "";
}

/* "a.b.c" ends in "b.c", not in ".c" nor "c" alone of "bc". */
static bool ends_in(struct str name, struct str end)
{
	return str_ends(name, end) && (name.len == end.len || name.ptr[name.len - end.len - 1] == '.');
}

/* A tensor whose name is PREFIX and the wanted one. */
static const struct st_tensor *find_prefixed(const struct safetensors *st, struct str name)
{
	for (uint64_t i = 0; i < st_n_tensors(st); i++)
		if (ends_in(st_tensor_at(st, i)->name, name))
			return st_tensor_at(st, i);
	return NULL;
}

/* A tensor that belongs to the same part of the model: "a.b.weight" -> "a.b.qweight",
 * "x.a.b.base_layer.weight". */
static const struct st_tensor *find_sibling(const struct safetensors *st, struct str name)
{
	size_t stem = name.len;
	while (stem > 0 && name.ptr[stem - 1] != '.')
		stem--;
	for (uint64_t i = 0; i < st_n_tensors(st) && stem > 0; i++) {
		struct str other = st_tensor_at(st, i)->name;
		if (memmem(other.ptr, other.len, name.ptr, stem))
			return st_tensor_at(st, i);
	}
	return NULL;
}

/* A tensor that lacks the beginning: "embed_tokens.weight" for "model.embed_tokens.weight". */
static const struct st_tensor *find_shorter(const struct safetensors *st, struct str name)
{
	for (uint64_t i = 0; i < st_n_tensors(st); i++) {
		struct str other = st_tensor_at(st, i)->name;
		if (other.len && other.len < name.len && str_ends(name, other) &&
		    name.ptr[name.len - other.len - 1] == '.')
			return st_tensor_at(st, i);
	}
	return NULL;
}

static enum hokku_code tell_prefix(const char *dir, struct str wanted, struct str found,
				   struct hokku_error *err)
{
	char one[160], two[160], quoted[96];
	struct str prefix = {found.ptr, found.len - wanted.len};
	size_t i = 0;
	while (!str_starts(prefix, str_c(prefixes[i].prefix)))
		i++;
	return err_set(err, HOKKU_BAD_FILE,
		       "%s: the weights have no tensor %s, but %s: names begin with %s%s", dir,
		       str_quote(wanted, one, sizeof one), str_quote(found, two, sizeof two),
		       str_quote(prefix, quoted, sizeof quoted), prefixes[i].reason);
}

enum hokku_code hf_no_tensor(const char *dir, const struct safetensors *st, const char *name,
			     struct hokku_error *err)
{
	char one[160], two[160];
	struct str wanted = str_c(name);
	const struct st_tensor *t = find_prefixed(st, wanted);
	str_quote(wanted, one, sizeof one);
	if (t)
		return tell_prefix(dir, wanted, t->name, err);
	t = find_sibling(st, wanted);
	if (t)
		return err_set(err, HOKKU_BAD_FILE, "%s: the weights have no tensor %s, but %s%s", dir, one,
			       str_quote(t->name, two, sizeof two), hf_why_tensor(t->name));
	const char *dot = strchr(name, '.');
	t = dot && dot[1] ? find_prefixed(st, str_c(dot + 1)) : NULL; /* "x.embed_tokens.weight" */
	if (t && str_ends(t->name, str_c(dot)) && contains(t->name, "."))
		return err_set(err, HOKKU_BAD_FILE, "%s: the weights have no tensor %s, but %s%s", dir, one,
			       str_quote(t->name, two, sizeof two), hf_why_tensor(t->name));
	t = find_shorter(st, wanted);
	if (t)
		return err_set(
			err, HOKKU_BAD_FILE,
			"%s: the weights have no tensor %s, but %s: they are a model's without its head, "
			"as a base class saves it; load it as a causal language model and save that",
			dir, one, str_quote(t->name, two, sizeof two));
	t = st_tensor_at(st, 0);
	if (!t)
		return err_set(err, HOKKU_BAD_FILE, "%s: the weights have no tensor %s, and none at all", dir,
			       one);
	return err_set(err, HOKKU_BAD_FILE,
		       "%s: the weights have no tensor %s; the first of their %llu is %s%s", dir, one,
		       (unsigned long long)st_n_tensors(st), str_quote(t->name, two, sizeof two),
		       hf_why_tensor(t->name));
}
