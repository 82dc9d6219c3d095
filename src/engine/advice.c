/* How a model's maker would have it sampled: general.sampling.* of its file, the keys that llama.cpp's
 * converter makes of generation_config.json. */
#include <math.h>
#include <stdio.h>

#include "engine/request.h"

#define PREFIX "general.sampling."

static const struct {
	const char *key, *field;
} keys[] = {
	{PREFIX "temp", "temperature"},
	{PREFIX "top_k", "top_k"},
	{PREFIX "top_p", "top_p"},
	{PREFIX "min_p", "min_p"},
	{PREFIX "penalty_repeat", "repetition_penalty"},
	{PREFIX "penalty_last_n", "repeat_last_n"},
	{PREFIX "xtc_probability", "xtc_probability"},
	{PREFIX "xtc_threshold", "xtc_threshold"},
	{PREFIX "mirostat", "mirostat"},
	{PREFIX "mirostat_tau", "mirostat_tau"},
	{PREFIX "mirostat_eta", "mirostat_eta"},
};

struct reading {
	const struct gguf *g;
	struct sampling_advice *out;
	void (*note)(void *user, const char *text);
	void *user;
};

static void tell(const struct reading *r, const char *text)
{
	char line[640];
	snprintf(line, sizeof line, "%s; what it recommends for sampling is left out", text);
	if (r->note)
		r->note(r->user, line);
}

static size_t row_of(const char *field)
{
	size_t i = 0;
	while (strcmp(sampling_fields[i].name, field) != 0)
		i++;
	return i;
}

static void take(const struct reading *r, const char *key, size_t row)
{
	const struct sampling_field *f = &sampling_fields[row];
	char *at = (char *)&r->out->values + f->offset, text[256];
	struct hokku_error err;
	float value = 0;
	bool found = false;
	if (gguf_get_f32(r->g, key, &value, &found, &err)) {
		tell(r, err.message);
		return;
	}
	if (!found)
		return;
	bool low = f->min_open ? (double)value <= f->min : (double)value < f->min;
	bool whole = f->kind != SAMPLING_INT || value == floorf(value);
	if (low || (double)value > f->max || !whole || (f->kind == SAMPLING_INT && value >= 0x1p31f)) {
		snprintf(text, sizeof text, "%s is %.9g; it takes %s%s %.10g to %.10g", key, (double)value,
			 f->kind == SAMPLING_INT ? "a whole number" : "a number",
			 f->min_open ? " above" : " from", f->min, f->max);
		tell(r, text);
		return;
	}
	if (f->kind == SAMPLING_INT)
		*(int32_t *)at = (int32_t)value;
	else
		*(float *)at = value;
	r->out->given |= 1u << row;
}

static bool is_known(struct str key)
{
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (str_eq_c(key, keys[i].key))
			return true;
	return false;
}

void sampling_read_advice(const struct gguf *g, struct sampling_advice *out,
			  void (*note)(void *user, const char *text), void *user)
{
	const struct reading r = {g, out, note, user};
	const struct str prefix = STR_LIT(PREFIX);
	char text[256], quoted[160];
	*out = (struct sampling_advice){0};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		take(&r, keys[i].key, row_of(keys[i].field));
	for (uint64_t i = 0; i < gguf_n_kv(g); i++) {
		struct str key = gguf_kv_at(g, i)->key;
		if (key.len < prefix.len || memcmp(key.ptr, prefix.ptr, prefix.len) != 0 || is_known(key))
			continue;
		snprintf(text, sizeof text, "%s asks for a stage of sampling that there is none of here",
			 str_quote(key, quoted, sizeof quoted));
		tell(&r, text);
	}
}
