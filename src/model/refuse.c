#include "model/refuse.h"

#include <inttypes.h>
#include <stdio.h>

#include "model/arch.h"

enum { NAME_BYTES = 64 };

#define FAIL(...) return err_set(err, HOKKU_MODEL_LOAD_FAILED, __VA_ARGS__)

const char *refuse_join(const char *const *list, char *out, size_t size)
{
	size_t used = 0;
	out[0] = '\0';
	for (size_t i = 0; list[i] && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", list[i]);
	return out;
}

/* Whether a model of this architecture may have a tensor of this name, in whatever layer. */
static bool is_known_name(const struct model *m, struct str name)
{
	for (uint32_t i = 0; i < N_MODEL_ROLES; i++)
		if (str_eq_c(name, model_roles[i].name) && (i <= ROLE_OUTPUT || m->arch->may_model >> i & 1))
			return true;
	size_t at = 4;
	if (!str_starts(name, STR_LIT("blk.")))
		return false;
	while (at < name.len && name.ptr[at] >= '0' && name.ptr[at] <= '9')
		at++;
	if (at == 4 || at == name.len || name.ptr[at] != '.')
		return false;
	struct str rest = {name.ptr + at + 1, name.len - at - 1};
	uint64_t holds = m->arch->must | m->arch->may;
	for (uint32_t i = 0; i < N_LAYER_ROLES; i++)
		if (str_eq_c(rest, layer_roles[i].name) && holds >> i & 1)
			return true;
	for (uint32_t i = 0; i < N_FUSED_ROWS; i++)
		if (str_eq_c(rest, fused_rows[i].name) && holds >> fused_rows[i].roles[0] & 1)
			return true;
	return false;
}

/* The tensor that could stand for a missing one of a layer and for its neighbours, which are missing too;
 * NULL: none could. */
static const char *holder_of(const struct model *m, const char *name, char out[NAME_BYTES])
{
	unsigned layer;
	int at = 0;
	if (sscanf(name, "blk.%u.%n", &layer, &at) != 1 || at == 0)
		return NULL;
	for (uint32_t i = 0; i < N_FUSED_ROWS; i++) {
		const struct fused_row *f = &fused_rows[i];
		bool is_part = false, none = true;
		for (uint32_t k = 0; k < f->n; k++) {
			const char *part = layer_roles[f->roles[k]].name;
			snprintf(out, NAME_BYTES, "blk.%u.%s", layer, part);
			is_part = is_part || strcmp(part, name + at) == 0;
			none = none && !gguf_find_tensor(m->file, out);
		}
		snprintf(out, NAME_BYTES, "blk.%u.%s", layer, f->name);
		if (is_part && none && !gguf_find_tensor(m->file, out))
			return out;
	}
	return NULL;
}

/* What names that are not ours come from, and what to do. */
static const struct {
	const char *begin, *why;
} foreign[] = {
	{"_orig_mod.", "torch.compile wraps names so: take the weights out of the wrapper (._orig_mod) and "
		       "convert them again"},
	{"module.",
	 "torch's data parallelism wraps names so: take the weights out of the wrapper (.module) and "
	 "convert them again"},
	{"base_model.",
	 "PEFT wraps names so: merge the adapter into its model (merge_and_unload) and convert "
	 "that"},
	{"model.", "names are Hugging Face's: make the GGUF file with `hokku convert`"},
	{"transformer.", "names are Hugging Face's: make the GGUF file with `hokku convert`"},
	{"lm_head.", "names are Hugging Face's: make the GGUF file with `hokku convert`"},
	{"layers.", "names are those of the model's own training code: convert its Hugging Face form"},
};

enum hokku_code refuse_missing(const struct model *m, const char *name, struct hokku_error *err)
{
	enum { SHOWN = 2 };
	char list[256], quoted[80], lacks[3 * NAME_BYTES], fused[NAME_BYTES];
	const char *holder = holder_of(m, name, fused);
	const char *why = NULL;
	size_t used = 0;
	uint64_t n = 0;
	for (uint64_t i = 0; i < gguf_n_tensors(m->file); i++) {
		struct str found = gguf_tensor_at(m->file, i)->name;
		if (is_known_name(m, found))
			continue;
		if (n < SHOWN)
			used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", n ? ", " : "",
						 str_quote(found, quoted, sizeof quoted));
		for (size_t k = 0; k < sizeof foreign / sizeof *foreign && !why; k++)
			if (str_starts(found, str_c(foreign[k].begin)))
				why = foreign[k].why;
		n++;
	}
	if (holder)
		snprintf(lacks, sizeof lacks,
			 "tensor %s is missing, and so is %s, which could hold it; every %s "
			 "model has one of them",
			 name, holder, m->arch_name);
	else
		snprintf(lacks, sizeof lacks, "tensor %s is missing; every %s model has it", name,
			 m->arch_name);
	if (n == 0)
		FAIL("%s", lacks);
	FAIL("%s. Names in the file that none has (%" PRIu64 " of %" PRIu64 "): %s%s%s%s", lacks, n,
	     gguf_n_tensors(m->file), list, n > SHOWN ? ", ..." : "", why ? "; " : "", why ? why : "");
}

enum hokku_code refuse_type(const struct gguf_tensor *t, const char *name, struct hokku_error *err)
{
	char known[160], unknown[16];
	enum tensor_type instead;
	const char *label = tensor_type_label(t->type, unknown);
	refuse_join(format_names(), known, sizeof known);
	if (tensor_type_removed(t->type, &instead)) {
		const char *took_over = tensor_type_get(instead)->name;
		FAIL("%s is stored as %s (type %d), which was removed from GGUF; %s took its place: "
		     "take the model's %s file, or quantise it again",
		     name, label, (int)t->type, took_over, took_over);
	}
	if (!tensor_type_get(t->type))
		FAIL("%s is stored as %s, which is none of GGUF's types that this hokku has heard of; it "
		     "computes with %s",
		     name, label, known);
	FAIL("%s is stored as %s, which hokku cannot compute with; it knows %s", name, label, known);
}
