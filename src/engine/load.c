/* Loading: file, tokenizer, chat template, tensors, device, in this order; each can refuse. */
#include "engine/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "engine/need.h"
#include "engine/queue.h"
#include "engine/state.h"
#include "hf/folder.h"
#include "model/kind.h"

/* How far loading is when a stage begins, as parts of the whole: almost all time goes into the device's
 * weights. */
#define PART_TOKENIZER 0.01
#define PART_MODEL     0.05
#define PART_DEVICE    0.06

static bool has_file(const char *path, const char *name)
{
	char file[4096];
	struct stat s;
	int n = snprintf(file, sizeof file, "%s/%s", path, name);
	return n > 0 && (size_t)n < sizeof file && stat(file, &s) == 0 && S_ISREG(s.st_mode);
}

/* A folder with a tokenizer and no weights. */
static bool is_tokenizer(const char *path)
{
	return (has_file(path, "tokenizer.json") || has_file(path, "tokenizer.model")) &&
	       !has_file(path, "model.safetensors") && !has_file(path, "model.safetensors.index.json");
}

static void log_note(void *user, const char *text)
{
	(void)user;
	log_warn("%s", text);
}

static enum hokku_code open_folder(const char *path, bool vocab_only, struct gguf **g,
				   struct hokku_error *err)
{
	const struct observer observer = {.note = log_note};
	const struct hf_options o = {.dir = path, .vocab_only = vocab_only, .observer = &observer};
	struct hf_folder *folder;
	enum hokku_code rc = hf_open(&o, &folder, err);
	*g = rc ? NULL : hf_model(folder);
	return rc;
}

enum hokku_code engine_open_file(const char *path, struct gguf **g, struct hokku_error *err)
{
	if (path && has_file(path, "config.json")) /* a model as transformers writes it */
		return open_folder(path, false, g, err);
	if (path && is_tokenizer(path))
		return open_folder(path, true, g, err);
	if (path)
		return gguf_open_file(path, g, err);
	*g = NULL;
	struct str bytes = bundled_model();
	if (bytes.len == 0)
		return err_set(err, HOKKU_NOT_FOUND,
			       "this build holds no model of its own (models/haiku/haiku.gguf was "
			       "not there when it was built); name a GGUF file");
	return gguf_open_memory(bytes.ptr, bytes.len, "haiku.gguf (bundled)", g, err);
}

enum hokku_code engine_open_tok(const struct gguf *g, struct tok **t, struct chat *chat,
				struct str chat_template, struct hokku_error *err)
{
	const char *path = gguf_path(g);
	enum hokku_code rc = tok_create(g, t, err);
	if (!rc && chat)
		rc = chat_init(chat, g, chat_template, err);
	if (!rc)
		return rc;
	tok_destroy(*t);
	*t = NULL;
	if (file_kind_of(g) != FILE_VOCABULARY &&
	    file_kind_check(g, err)) /* a part lacks it, an adapter ... */
		return HOKKU_MODEL_LOAD_FAILED;
	/* Of a missing key the reader has named the file already. */
	bool named = err && strncmp(err->message, path, strlen(path)) == 0;
	return named ? rc : err_prefix(err, rc, "%s", path);
}

static void on_device_progress(void *user, uint64_t done, uint64_t all)
{
	engine_set_load_bytes(user, done, all);
	engine_set_load_part(user, PART_DEVICE + (double)done / (double)all * (1 - PART_DEVICE));
}

static bool is_stopped(void *user)
{
	return engine_is_stopped(user);
}

/* What the device is asked for rests on. */
static struct engine_config device_config(const struct engine *e)
{
	return (struct engine_config){
		.device = e->device,
		.n_ctx = e->config_ctx,
		.n_ctx_most = e->config_ctx_most,
		.ctx_whole = e->ctx_whole,
		.n_parallel = e->config_parallel,
		.n_threads = e->n_threads,
		.vram_limit = e->vram_limit,
		.ram_limit = e->ram_limit,
		.kv_bytes = e->kv_bytes,
		.kv_grows = e->kv_grows,
		.kv_contexts = e->kv_contexts,
		.cache = e->cache,
		.prompt_logprobs = e->prompt_logprobs,
	};
}

static enum hokku_code choose_context(struct engine *e, struct hokku_error *err)
{
	const struct engine_config config = device_config(e);
	struct engine_context found;
	enum hokku_code rc = engine_settle_context(&e->model, &config, &found, err);
	e->n_ctx = found.n_ctx;
	pthread_mutex_lock(&e->lock);
	e->n_ctx_wanted = found.n_ctx_wanted;
	pthread_mutex_unlock(&e->lock);
	return rc;
}

static enum hokku_code open_device(struct engine *e, struct hokku_error *err)
{
	const struct engine_config config = device_config(e);
	struct compute_params params = engine_ask(&e->model, &config, e->n_ctx, e->n_parallel);
	e->n_open_masks = params.n_open_masks;
	params.on_progress = on_device_progress;
	params.stopped = is_stopped;
	params.user = e;
	engine_set_load_bytes(e, 0, 0);
	return compute_open(&params, &e->compute, err);
}

/* Before the device is known, the most; then what suits it. */
static void choose_parallel(struct engine *e)
{
	bool is_cpu = e->compute && strncmp(compute_device(e->compute), "cpu", 3) == 0;
	uint32_t n = engine_most_parallel(
		&(struct engine_config){.n_parallel = e->config_parallel, .kv_grows = e->kv_grows});
	if (is_cpu && e->kv_grows && !e->config_parallel)
		n = ENGINE_PARALLEL_CPU;
	pthread_mutex_lock(&e->lock);
	e->n_parallel = n;
	pthread_mutex_unlock(&e->lock);
}

static enum hokku_code set_aside_sched(struct engine *e, struct hokku_error *err)
{
	struct compute_memory memory;
	compute_get_memory(e->compute, &memory);
	struct sched_params params = {.n_seqs = e->n_parallel,
				      .n_ctx = e->n_ctx,
				      .n_batch = e->n_batch,
				      .n_blocks = memory.n_kv_blocks,
				      .n_groups = e->model.n_kv_groups,
				      .n_owners = e->owners.n - 1};
	for (uint32_t g = 0; g < params.n_groups; g++)
		params.windows[g] = e->model.kv_groups[g].window;
	bool room = sched_init(&e->sched, &params);
	e->row_logits = calloc((size_t)SCHED_MAX_ROWS * e->n_vocab, sizeof *e->row_logits);
	room = room && e->row_logits;
	if (room)
		queue_limit_owners(e);
	for (uint32_t i = 0; i < COMPUTE_MAX_AHEAD; i++) {
		struct flight *f = &e->flights[i];
		f->planned = calloc(e->n_parallel, sizeof(struct sched_seq *));
		f->steps = calloc(e->n_parallel, sizeof *f->steps);
		f->errors = calloc(e->n_parallel, sizeof *f->errors);
		f->logits = calloc((size_t)e->n_parallel * e->n_vocab,
				   sizeof *f->logits); /* pages come as they are used */
		room = room && f->planned && f->steps && f->errors && f->logits;
	}
	if (room)
		return HOKKU_OK;
	return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %u requests over %u KV blocks", e->n_parallel,
		       memory.n_kv_blocks);
}

static void wake_engine(void *user)
{
	struct engine *e = user;
	pthread_mutex_lock(&e->lock);
	pthread_cond_signal(&e->work);
	pthread_mutex_unlock(&e->lock);
}

static enum hokku_code set_aside_shapes(struct engine *e, struct hokku_error *err)
{
	e->shapes = shapes_create(e->tok, e->owners.n, &e->shape_limits);
	if (!e->shapes)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for shapes of answers");
	e->walks.shapes = e->shapes;
	e->walks.ahead = compute_runs_ahead(e->compute);
	e->walks.n_words = (e->n_vocab + 31) / 32;
	e->walks.on_ready = wake_engine;
	e->walks.user = e;
	return HOKKU_OK;
}

/* All that a request needs later, so that generating allocates nothing. */
static enum hokku_code set_aside(struct engine *e, struct hokku_error *err)
{
	size_t longest = 0;
	for (uint32_t id = 0; id < e->n_vocab; id++) {
		size_t n = tok_bytes(e->tok, (int32_t)id).len;
		longest = n > longest ? n : longest;
	}
	/* Each invalid byte becomes U+FFFD, three bytes; a held character of up to four comes on top. */
	e->max_piece = (longest + 4) * 3;
	size_t words = (size_t)e->n_vocab / 32 + 1; /* of a mask */
	e->end_mask = calloc(words, sizeof *e->end_mask);
	e->marker_mask = calloc(words, sizeof *e->marker_mask);
	bool room = strbuf_reserve(&e->decoded, e->max_piece) &&
		    strbuf_reserve(&e->shown, 2 * e->max_piece + ENGINE_MAX_STOP_BYTES) && e->end_mask &&
		    e->marker_mask;
	if (!room)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the text of a token");
	for (uint32_t id = 0; id < e->n_vocab; id++) {
		if (tok_is_end(e->tok, (int32_t)id))
			e->end_mask[id / 32] |= 1u << id % 32;
		if (tok_type(e->tok, (int32_t)id) == TOK_CONTROL &&
		    dialect_names(e->dialect.dialect, e->dialect.thinking, tok_bytes(e->tok, (int32_t)id)))
			e->marker_mask[id / 32] |= 1u << id % 32;
	}
	return set_aside_sched(e, err);
}

static void describe(struct engine *e)
{
	const struct model *m = &e->model;
	struct compute_memory memory;
	compute_get_memory(e->compute, &memory);
	const struct hokku_info info = {
		.name = m->name,
		.architecture = m->arch_name,
		.format = m->format_name,
		.device = compute_device(e->compute),
		.tokenizer = tok_kind(e->tok),
		.n_vocab = m->hp.n_vocab,
		.n_ctx = e->n_ctx,
		.n_layers = m->hp.n_layers,
		.n_heads = m->hp.n_heads,
		.n_kv_heads = m->hp.n_kv_heads,
		.d_model = m->hp.d_model,
		.n_params = m->n_params,
		.weight_bytes = memory.weight_bytes,
		.kv_bytes = memory.kv_bytes,
		.scratch_bytes = memory.scratch_bytes + memory.graph_bytes + memory.runtime_bytes,
	};
	bool notable;
	const char *why = compute_why(e->compute, &notable);
	pthread_mutex_lock(&e->lock);
	e->info = info;
	e->memory = memory;
	e->device_why = why;
	e->device_why_notable = notable;
	e->tokenizer_notes = tok_notes(e->tok);
	pthread_mutex_unlock(&e->lock);
}

enum hokku_code engine_load(struct engine *e, struct hokku_error *err)
{
	enum hokku_code rc = engine_open_file(e->model_path, &e->file, err);
	if (rc)
		return rc;
	engine_set_load_part(e, PART_TOKENIZER);
	rc = file_kind_check(e->file, err);
	if (rc)
		return rc;
	rc = engine_open_tok(e->file, &e->tok, &e->chat,
			     (struct str){e->chat_template, e->chat_template_bytes}, err);
	if (rc)
		return rc;
	rc = e->forced_dialect ? dialect_probe_as(&e->chat, e->forced_dialect, &e->dialect, err)
			       : dialect_probe(&e->chat, &e->dialect, err);
	if (rc)
		return rc;
	sampling_read_advice(e->file, &e->advice, log_note, NULL);
	engine_set_load_part(e, PART_MODEL);
	rc = model_bind(&e->model, e->file, err);
	if (rc)
		return rc;
	e->n_vocab = e->model.hp.n_vocab;
	if (tok_n_vocab(e->tok) > e->n_vocab)
		return err_set(err, HOKKU_MODEL_LOAD_FAILED,
			       "%s: the tokenizer has %u tokens, the model only %u", gguf_path(e->file),
			       tok_n_vocab(e->tok), e->n_vocab);
	rc = choose_context(e, err);
	if (rc)
		return rc;
	engine_set_load_part(e, PART_DEVICE);
	choose_parallel(e);
	rc = open_device(e, err);
	if (rc)
		return rc;
	choose_parallel(e);
	rc = set_aside(e, err);
	if (!rc)
		rc = set_aside_shapes(e, err);
	if (!rc && (e->states || e->fingerprint_of))
		rc = state_identify(e, err);
	if (!rc)
		describe(e);
	return rc;
}

void engine_unload(struct engine *e)
{
	state_forget_all(e);
	shapes_destroy(e->shapes);
	e->shapes = NULL;
	compute_close(e->compute);
	e->compute = NULL;
	model_unbind(&e->model);
	tok_destroy(e->tok);
	chat_deinit(&e->chat);
	e->tok = NULL;
	gguf_close(e->file);
	e->file = NULL;
	sched_deinit(&e->sched);
	free(e->row_logits);
	e->row_logits = NULL;
	free(e->end_mask);
	free(e->marker_mask);
	e->end_mask = e->marker_mask = NULL;
	for (uint32_t i = 0; i < COMPUTE_MAX_AHEAD; i++) {
		free(e->flights[i].planned);
		free(e->flights[i].steps);
		free(e->flights[i].errors);
		free(e->flights[i].logits);
		e->flights[i] = (struct flight){0};
	}
	strbuf_free(&e->decoded);
	strbuf_free(&e->shown);
}
