/* Token ids out of generation_config.json and config.json, for what the tokenizer's own files leave open.
 * transformers generates by the former where it is there. */
#include <inttypes.h>
#include <stdio.h>

#include "hf/reader.h"
#include "hf/vocab.h"

enum { MAX_ENDS = 16 };

/* Ids under one key of one file. */
struct ids {
	int64_t id[MAX_ENDS];
	size_t n;
};

/* A file's three. */
struct file_ids {
	struct ids bos, pad, ends;
};

static enum hokku_code read_ids(const struct hf_reader *r, const struct jv *root, const char *key,
				struct ids *out)
{
	const struct jv *value = jv_get(root, key);
	const bool list = jv_is(value, JV_ARRAY);
	size_t n = list ? jv_len(value) : !jv_none(value);
	char field[48];
	if (n > MAX_ENDS)
		return err_set(r->err, HOKKU_BAD_FILE, "%s: %s has %zu ids; at most %d are allowed", r->path,
			       key, n, MAX_ENDS);
	for (size_t i = 0; i < n; i++) {
		const struct jv *id = list ? jv_at(value, i) : value;
		snprintf(field, sizeof field, list ? "%s[%zu]" : "%s", key, i);
		if (!jv_int(id, &out->id[i]))
			return hf_wrong(r, field, id, "a token id (or a list of them)");
	}
	out->n = n;
	return HOKKU_OK;
}

/* An end that no token is never comes. It is left out where another end is left, or where another file's
 * count. */
static enum hokku_code check_ends(const struct hf_reader *r, const struct vocab *v, struct ids *ends,
				  bool counts)
{
	size_t n = 0;
	for (size_t i = 0; i < ends->n; i++)
		if (ends->id[i] >= 0 && ends->id[i] < v->n)
			ends->id[n++] = ends->id[i];
		else if (!counts || v->eos >= 0 || ends->n > 1)
			hf_note(r, "eos_token_id %" PRId64 " is left out: the vocabulary has %u tokens",
				ends->id[i], v->n);
	if (counts && n == 0 && ends->n && v->eos < 0)
		return err_set(r->err, HOKKU_BAD_FILE,
			       "%s: eos_token_id is %" PRId64 "; the vocabulary has %u tokens", r->path,
			       ends->id[0], v->n);
	ends->n = n;
	return HOKKU_OK;
}

/* Nothing needs the id of a padding token, nor of a first one that is not asked for. */
static void drop_strangers(const struct hf_reader *r, const struct vocab *v, const char *key, struct ids *ids)
{
	if (!ids->n || (ids->id[0] >= 0 && ids->id[0] < v->n))
		return;
	hf_note(r, "%s is %" PRId64 ", which is left out: the vocabulary has %u tokens", key, ids->id[0],
		v->n);
	ids->n = 0;
}

static enum hokku_code read_file(const char *dir, const char *name, const struct vocab *v,
				 const struct observer *observer, char path[HF_PATH_BYTES],
				 struct file_ids *out, struct hokku_error *err)
{
	struct jv_doc doc;
	bool there;
	const struct hf_reader r = {path, observer, err};
	enum hokku_code rc = hf_read_json(dir, name, HF_MAX_CONFIG_BYTES, path, &doc, &there, err);
	if (rc || !there)
		return rc;
	rc = read_ids(&r, &doc.root, "bos_token_id", &out->bos);
	if (!rc)
		rc = read_ids(&r, &doc.root, "pad_token_id", &out->pad);
	if (!rc)
		rc = read_ids(&r, &doc.root, "eos_token_id", &out->ends);
	if (!rc) {
		drop_strangers(&r, v, "bos_token_id", &out->bos);
		drop_strangers(&r, v, "pad_token_id", &out->pad);
	}
	jv_doc_free(&doc);
	return rc;
}

static bool has(const struct ids *ids, int64_t id)
{
	size_t i = 0;
	while (i < ids->n && ids->id[i] != id)
		i++;
	return i < ids->n;
}

/* The first of what the tokenizer, generation_config.json and config.json say. */
static void settle_id(int64_t *id, const char *key, const struct ids *generation, const struct ids *config,
		      const struct observer *observer)
{
	if (generation->n && config->n && generation->id[0] != config->id[0])
		observer_note(
			observer,
			"%s is %" PRId64 " in generation_config.json and %" PRId64 " in config.json: %s", key,
			generation->id[0], config->id[0],
			*id < 0 ? "the former counts" : "neither counts, the tokenizer names its token");
	if (*id < 0 && generation->n)
		*id = generation->id[0];
	if (*id < 0 && config->n)
		*id = config->id[0];
}

/* The tokenizer's end token goes first; GGUF has room for one more, eot. */
static void set_ends(struct vocab *v, const struct ids *ends, const struct observer *observer)
{
	if (v->eos >= 0 && ends->n && !has(ends, v->eos))
		observer_note(observer,
			      "the tokenizer's eos_token is the token %" PRId64
			      ", which is not among the ends of eos_token_id: it ends an answer too",
			      v->eos);
	if (v->eos < 0 && ends->n)
		v->eos = ends->id[0];
	for (size_t i = 0; i < ends->n; i++) {
		if (ends->id[i] == v->eos || ends->id[i] == v->eot)
			continue;
		if (v->eot < 0)
			v->eot = ends->id[i];
		else
			observer_note(observer,
				      "the end token %" PRId64 " is left out: GGUF names two, %" PRId64
				      " and %" PRId64,
				      ends->id[i], v->eos, v->eot);
	}
}

enum hokku_code vocab_read_ids(struct vocab *v, const char *dir, const struct observer *observer,
			       struct hokku_error *err)
{
	struct file_ids config = {0}, generation = {0};
	char paths[2][HF_PATH_BYTES];
	enum hokku_code rc = read_file(dir, "config.json", v, observer, paths[0], &config, err);
	if (!rc)
		rc = read_file(dir, "generation_config.json", v, observer, paths[1], &generation, err);
	if (!rc)
		rc = check_ends(&(struct hf_reader){paths[1], observer, err}, v, &generation.ends, true);
	if (!rc)
		rc = check_ends(&(struct hf_reader){paths[0], observer, err}, v, &config.ends,
				!generation.ends.n);
	if (rc)
		return rc;
	settle_id(&v->bos, "bos_token_id", &generation.bos, &config.bos, observer);
	settle_id(&v->pad, "pad_token_id", &generation.pad, &config.pad, observer);
	for (size_t i = 0; i < config.ends.n && generation.ends.n; i++)
		if (!has(&generation.ends, config.ends.id[i]) && config.ends.id[i] != v->eos)
			observer_note(observer,
				      "eos_token_id %" PRId64
				      " of config.json is not in generation_config.json, whose ends count",
				      config.ends.id[i]);
	set_ends(v, generation.ends.n ? &generation.ends : &config.ends, observer);
	return HOKKU_OK;
}
