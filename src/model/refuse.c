#include "model/refuse.h"

#include <inttypes.h>
#include <stdio.h>

#include "model/arch.h"

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
	for (uint32_t i = 0; i < N_LAYER_ROLES; i++)
		if (str_eq_c(rest, layer_roles[i].name) && (m->arch->must | m->arch->may) >> i & 1)
			return true;
	return false;
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
	char list[256], quoted[80];
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
	if (n == 0)
		FAIL("tensor %s is missing; every %s model has it", name, m->arch_name);
	FAIL("tensor %s is missing; every %s model has it. Names in the file that none has (%" PRIu64
	     " of %" PRIu64 "): %s%s%s%s",
	     name, m->arch_name, n, gguf_n_tensors(m->file), list, n > SHOWN ? ", ..." : "", why ? "; " : "",
	     why ? why : "");
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
