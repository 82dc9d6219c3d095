/* Keys of an architecture, asked for by name; and the table of keys that may be there unasked. */
#include "model/keys.h"

#include <stdio.h>

enum hokku_code keys_init(struct keys *k, const struct gguf *file, const char *arch, struct arena *arena,
			  struct hokku_error *err)
{
	*k = (struct keys){.file = file, .arch = arch, .err = err};
	k->asked = arena_array(arena, gguf_n_kv(file) + 1, sizeof *k->asked);
	return k->asked ? HOKKU_OK : err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the table of keys");
}

const char *keys_name(const struct keys *k, const char *suffix, char name[KEY_BYTES])
{
	snprintf(name, KEY_BYTES, "%s.%s", k->arch, suffix);
	return name;
}

void keys_fail(struct keys *k, const char *format, ...)
{
	if (k->rc)
		return;
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	k->rc = err_set(k->err, HOKKU_MODEL_LOAD_FAILED, "%s", text);
}

/* The whole name, marked as asked for. */
static const char *ask(struct keys *k, const char *suffix, char name[KEY_BYTES])
{
	keys_name(k, suffix, name);
	for (uint64_t i = 0; i < gguf_n_kv(k->file); i++)
		if (str_eq_c(gguf_kv_at(k->file, i)->key, name))
			k->asked[i] = true;
	return name;
}

void keys_ask(struct keys *k, const char *suffix)
{
	char name[KEY_BYTES];
	ask(k, suffix, name);
}

bool keys_asked(const struct keys *k, const char *suffix)
{
	char name[KEY_BYTES];
	keys_name(k, suffix, name);
	for (uint64_t i = 0; i < gguf_n_kv(k->file); i++)
		if (k->asked[i] && str_eq_c(gguf_kv_at(k->file, i)->key, name))
			return true;
	return false;
}

/* found NULL: the key must be there. */
static uint32_t get_u32(struct keys *k, const char *suffix, uint32_t min, uint32_t max, uint32_t otherwise,
			bool *found)
{
	char name[KEY_BYTES];
	uint32_t value = otherwise;
	ask(k, suffix, name);
	if (k->rc)
		return otherwise;
	k->rc = gguf_get_u32(k->file, name, &value, found, k->err);
	if (!k->rc && (!found || *found) && (value < min || value > max))
		keys_fail(k, "%s is %u; hokku takes %u to %u", name, value, min, max);
	return k->rc ? otherwise : value;
}

/* Element i, a whole number of any type, from min to max; 0 and rc otherwise. */
static uint32_t element_u32(struct keys *k, const char *name, uint32_t i, const struct gguf_value *v,
			    uint32_t min, uint32_t max)
{
	bool negative = v->type != GGUF_U64 && v->i64 < 0; /* a smaller unsigned type never is */
	if (negative)
		keys_fail(k, "%s is %lld for layer %u; hokku takes %u to %u", name, (long long)v->i64, i, min,
			  max);
	else if (v->u64 < min || v->u64 > max)
		keys_fail(k, "%s is %llu for layer %u; hokku takes %u to %u", name,
			  (unsigned long long)v->u64, i, min, max);
	return k->rc ? 0 : (uint32_t)v->u64;
}

static bool is_whole(enum gguf_type type)
{
	return type != GGUF_F32 && type != GGUF_F64 && type != GGUF_BOOL && type != GGUF_STRING &&
	       type != GGUF_ARRAY;
}

/* The number that the array has for every layer. */
static uint32_t equal_u32(struct keys *k, const char *name, const struct gguf_array *a, uint32_t n_layers,
			  uint32_t min, uint32_t max)
{
	struct gguf_array_iter it;
	struct gguf_value v;
	uint32_t first = 0;
	if (!is_whole(a->type) || a->n != n_layers) {
		keys_fail(
			k,
			"%s is an array of %llu %s; hokku takes a whole number, or one for each of the %u layers",
			name, (unsigned long long)a->n, gguf_type_name(a->type), n_layers);
		return 0;
	}
	gguf_array_iter_init(&it, a);
	for (uint32_t i = 0; gguf_array_next(&it, &v) && !k->rc; i++) {
		uint32_t value = element_u32(k, name, i, &v, min, max);
		if (i == 0)
			first = value;
		else if (value != first)
			keys_fail(
				k,
				"%s is %u for layer 0 and %u for layer %u; for %s hokku takes one number for all layers",
				name, first, value, i, k->arch);
	}
	return first;
}

static uint32_t get_u32_of_layers(struct keys *k, const char *suffix, uint32_t n_layers, uint32_t min,
				  uint32_t max, uint32_t otherwise, bool *found)
{
	char name[KEY_BYTES];
	const struct gguf_value *v = gguf_find(k->file, keys_name(k, suffix, name));
	if (!v || v->type != GGUF_ARRAY || k->rc)
		return get_u32(k, suffix, min, max, otherwise, found);
	keys_ask(k, suffix);
	uint32_t value = equal_u32(k, name, &v->array, n_layers, min, max);
	return k->rc ? otherwise : value;
}

static float get_f32(struct keys *k, const char *suffix, float min, float max, float otherwise, bool *found)
{
	char name[KEY_BYTES];
	float value = otherwise;
	ask(k, suffix, name);
	if (k->rc)
		return otherwise;
	k->rc = gguf_get_f32(k->file, name, &value, found, k->err);
	if (!k->rc && (!found || *found) && !(value >= min && value <= max)) /* NaN too */
		keys_fail(k, "%s is %g; hokku takes %g to %g", name, (double)value, (double)min, (double)max);
	return k->rc ? otherwise : value;
}

uint32_t keys_u32(struct keys *k, const char *suffix, uint32_t min, uint32_t max)
{
	return get_u32(k, suffix, min, max, min, NULL);
}

uint32_t keys_u32_of_layers(struct keys *k, const char *suffix, uint32_t n_layers, uint32_t min, uint32_t max)
{
	return get_u32_of_layers(k, suffix, n_layers, min, max, min, NULL);
}

uint32_t keys_u32_of_layers_or(struct keys *k, const char *suffix, uint32_t n_layers, uint32_t min,
			       uint32_t max, uint32_t otherwise)
{
	bool found;
	return get_u32_of_layers(k, suffix, n_layers, min, max, otherwise, &found);
}

float keys_f32(struct keys *k, const char *suffix, float min, float max)
{
	return get_f32(k, suffix, min, max, min, NULL);
}

uint32_t keys_u32_or(struct keys *k, const char *suffix, uint32_t min, uint32_t max, uint32_t otherwise)
{
	bool found;
	return get_u32(k, suffix, min, max, otherwise, &found);
}

float keys_f32_or(struct keys *k, const char *suffix, float min, float max, float otherwise)
{
	bool found;
	return get_f32(k, suffix, min, max, otherwise, &found);
}

bool keys_bool_or(struct keys *k, const char *suffix, bool otherwise)
{
	char name[KEY_BYTES];
	bool value = otherwise, found;
	ask(k, suffix, name);
	if (!k->rc)
		k->rc = gguf_get_bool(k->file, name, &value, &found, k->err);
	return value;
}

struct str keys_str_or(struct keys *k, const char *suffix, struct str otherwise)
{
	char name[KEY_BYTES];
	struct str value = otherwise;
	bool found;
	ask(k, suffix, name);
	if (!k->rc)
		k->rc = gguf_get_str(k->file, name, &value, &found, k->err);
	return value;
}

/* ---- what may be there unasked ---- */

/* Numbers that scale or bend a computation, with the value that does nothing. */
static const struct {
	const char *suffix;
	float neutral;
} neutral_keys[] = {
	{"rope.scale_linear", 1},
	{"rope.scaling.factor", 1},
	{"rope.scaling.attn_factor", 1},
	{"rope.scaling.yarn_log_multiplier", 0},
	{"attn_logit_softcapping", 0},
	{"final_logit_softcapping", 0},
	{"attention.max_alibi_bias", 0},
	{"attention.clamp_kqv", 0},
	{"logit_scale", 1},
	{"residual_scale", 1},
	{"embedding_scale", 1},
	{"expert_count", 0},
	{"expert_used_count", 0},
};

/* Keys that tell what a reader can know from elsewhere, or how the file was made. */
static const char *const told_keys[] = {
	"vocab_size",
	"rope.scaling.finetuned",
	"rope.scaling.original_context_length",
	"tensor_data_layout",
};

static bool is_told(const char *suffix)
{
	for (size_t i = 0; i < sizeof told_keys / sizeof told_keys[0]; i++)
		if (strcmp(suffix, told_keys[i]) == 0)
			return true;
	return false;
}

static void refuse_key(struct keys *k, const char *name, const char *suffix)
{
	if (is_told(suffix))
		return;
	for (size_t i = 0; i < sizeof neutral_keys / sizeof neutral_keys[0]; i++) {
		if (strcmp(suffix, neutral_keys[i].suffix) != 0)
			continue;
		float value = 0;
		k->rc = gguf_get_f32(k->file, name, &value, NULL, k->err);
		if (!(value == neutral_keys[i].neutral))
			keys_fail(k, "%s is %g; for %s hokku takes only %g", name, (double)value, k->arch,
				  (double)neutral_keys[i].neutral);
		return;
	}
	keys_fail(k,
		  "the file has the key %s, which hokku does not know for %s: it may change what the model "
		  "computes",
		  name, k->arch);
}

void keys_refuse_rest(struct keys *k)
{
	size_t n_arch = strlen(k->arch);
	for (uint64_t i = 0; i < gguf_n_kv(k->file) && !k->rc; i++) {
		struct str key = gguf_kv_at(k->file, i)->key;
		char name[KEY_BYTES];
		if (k->asked[i] || key.len <= n_arch + 1 || memcmp(key.ptr, k->arch, n_arch) != 0 ||
		    key.ptr[n_arch] != '.')
			continue;
		if (key.len >= KEY_BYTES) {
			char quoted[96];
			keys_fail(k, "the file has the key %s, which hokku does not know for %s",
				  str_quote(key, quoted, sizeof quoted), k->arch);
			return;
		}
		memcpy(name, key.ptr, key.len);
		name[key.len] = '\0';
		refuse_key(k, name, name + n_arch + 1);
	}
}
