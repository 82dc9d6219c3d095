/* Token ids out of config.json and generation_config.json, for what the tokenizer's own files leave open. */
#include <stdio.h>
#include <unistd.h>

#include "hf/hf.h"

enum { MAX_ENDS = 16 };

/* Ids under one key of one file. */
struct ids {
	uint32_t id[MAX_ENDS];
	size_t n;
};

static enum hokku_code read_ids(const json_t *root, const char *key, const struct vocab *v, const char *path,
				struct ids *out, struct hokku_error *err)
{
	const json_t *value = json_object_get(root, key);
	size_t n = json_is_array(value) ? json_array_size(value) : 1;
	out->n = 0;
	if (!value || json_is_null(value))
		return HOKKU_OK;
	if (n > MAX_ENDS)
		return err_set(err, HOKKU_BAD_FILE, "%s: %s has %zu ids; at most %d are allowed", path, key,
			       n, MAX_ENDS);
	for (size_t i = 0; i < n; i++) {
		const json_t *id = json_is_array(value) ? json_array_get(value, i) : value;
		json_int_t number = json_integer_value(id);
		if (!json_is_integer(id) || number < 0)
			return err_set(err, HOKKU_BAD_FILE, "%s: %s must be a token id or a list of them",
				       path, key);
		if (number >= (json_int_t)v->n)
			return err_set(err, HOKKU_BAD_FILE,
				       "%s: %s is %" JSON_INTEGER_FORMAT "; the vocabulary has %u tokens",
				       path, key, number, v->n);
		out->id[i] = (uint32_t)number;
	}
	out->n = n;
	return HOKKU_OK;
}

/* The tokenizer's end token goes first; GGUF has room for one more, eot. */
static void set_ends(struct vocab *v, const struct ids *ends, const struct observer *observer)
{
	if (v->eos < 0 && ends->n)
		v->eos = ends->id[0];
	for (size_t i = 0; i < ends->n; i++) {
		if (ends->id[i] == v->eos || ends->id[i] == v->eot)
			continue;
		if (v->eot < 0)
			v->eot = ends->id[i];
		else
			observer_note(observer, "the end token %u is left out: GGUF names two, %d and %d",
				      ends->id[i], (int)v->eos, (int)v->eot);
	}
}

enum hokku_code vocab_read_ids(struct vocab *v, const char *dir, const struct observer *observer,
			       struct hokku_error *err)
{
	static const char *const files[] = {"config.json", "generation_config.json"};
	struct ids ends = {.n = 0};
	enum hokku_code rc = HOKKU_OK;
	for (size_t i = 0; i < 2 && !rc; i++) {
		char path[4096];
		json_t *root = NULL;
		struct ids bos, pad, file_ends;
		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		if (access(path, F_OK) != 0)
			continue;
		rc = hf_json_read(path, HF_MAX_CONFIG_BYTES, &root, err);
		if (!rc)
			rc = read_ids(root, "bos_token_id", v, path, &bos, err);
		if (!rc)
			rc = read_ids(root, "pad_token_id", v, path, &pad, err);
		if (!rc)
			rc = read_ids(root, "eos_token_id", v, path, &file_ends, err);
		json_decref(root);
		if (rc)
			break;
		if (v->bos < 0 && bos.n)
			v->bos = bos.id[0];
		if (v->pad < 0 && pad.n)
			v->pad = pad.id[0];
		if (file_ends.n) /* the generation's list, where there is one, is the one transformers stops
				    at */
			ends = file_ends;
	}
	if (!rc)
		set_ends(v, &ends, observer);
	return rc;
}
