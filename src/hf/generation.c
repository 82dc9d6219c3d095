/* generation_config.json's numbers of sampling, as llama.cpp's converter writes them: general.sampling.*.
 * What they may be is the business of whoever samples by them. */
#include "hf/keys.h"
#include "hf/reader.h"

static const struct {
	const char *config, *gguf;
	bool whole;
} rows[] = {
	{"top_k", "general.sampling.top_k", true},
	{"top_p", "general.sampling.top_p", false},
	{"min_p", "general.sampling.min_p", false},
	{"temperature", "general.sampling.temp", false},
	{"repetition_penalty", "general.sampling.penalty_repeat", false},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

static enum hokku_code take(const struct hf_reader *r, const struct jv *root, struct hf_keys *k)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		const struct jv *v = jv_get(root, rows[i].config);
		int64_t whole;
		double real;
		if (jv_none(v))
			continue;
		if (rows[i].whole) {
			if (!jv_int(v, &whole) || whole < INT32_MIN || whole > INT32_MAX)
				return hf_wrong(r, rows[i].config, v, "a whole number of 32 bits");
			hf_key_i32(k, rows[i].gguf, (int32_t)whole);
		} else {
			if (!jv_double(v, &real) || !(real >= -1e30 && real <= 1e30))
				return hf_wrong(r, rows[i].config, v, "a number");
			hf_key_f32(k, rows[i].gguf, (float)real);
		}
	}
	return HOKKU_OK;
}

enum hokku_code hf_generation_keys(struct hf_keys *k, const char *dir, const struct observer *observer,
				   struct hokku_error *err)
{
	char path[HF_PATH_BYTES];
	struct jv_doc doc;
	bool there, samples = true, given = false;
	const struct hf_reader r = {path, observer, err};
	enum hokku_code rc =
		hf_read_json(dir, "generation_config.json", HF_MAX_CONFIG_BYTES, path, &doc, &there, err);
	if (rc || !there)
		return rc;
	rc = hf_read_bool(&r, "do_sample", jv_get(&doc.root, "do_sample"), &samples, &given);
	for (size_t i = 0; i < N_ROWS && given && !samples; i++)
		if (!rc && !jv_none(jv_get(&doc.root, rows[i].config)))
			hf_note(&r, "%s is left out: do_sample is false", rows[i].config);
	if (!rc && samples)
		rc = take(&r, &doc.root, k);
	jv_doc_free(&doc);
	return rc;
}
