/*
 * "cuda": the backend on an NVIDIA device. Opening it settles the budget (budget.c) before any
 * memory is taken, then takes it through one ledger: for the weights, which are streamed in, and after that
 * all other, and runs two steps, so that what the driver takes is there too. A step allocates nothing. What
 * runs the layers is a row of the table of paths; drawing is the same for all. Memory
 * is the device's own: nothing is managed, mapped or left on the host.
 *
 * Bits depend on the model and the tokens alone; each kernel says how.
 */
#include "compute/cuda/budget.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "compute/cuda/idle.h"
#include "compute/cuda/late.h"

_Static_assert((int)CUDA_KV_BLOCK == (int)COMPUTE_KV_BLOCK, "kernels and engine cut the KV memory alike");
_Static_assert(sizeof(struct cuda_draw) % 8 == 0, "draws lie one after another");

/* Best first; the first that the device can run is taken. */
static const struct cuda_path *const paths[] = {&cuda_path_tile, &cuda_path_plain};
enum {
	N_PATHS = sizeof paths / sizeof paths[0],
	WARM_UP_TOKENS = 8,
	MANY_DRAWS = 17, /* more than clusters of eight blocks run at once on 132 multiprocessors */
};
_Static_assert((int)WARM_UP_TOKENS <= (int)CUDA_KV_BLOCK, "they lie in one block");

static uint32_t pitch(uint32_t n)
{
	return (n + CUDA_PITCH - 1) / CUDA_PITCH * CUDA_PITCH;
}

static void set_widths(struct cuda *c, const struct compute_params *p)
{
	const struct hparams *hp = &p->model->hp;
	c->n_ctx = p->n_ctx;
	c->n_seqs = p->n_seqs;
	c->n_batch = p->n_batch;
	c->pooled = p->pooled;
	c->cache = p->cache;
	c->tables_pitch = (p->n_ctx + CUDA_KV_BLOCK - 1) / CUDA_KV_BLOCK;
	c->logit_rows = p->all_logits ? p->n_batch : p->n_seqs; /* or as many as the path takes together */
	c->q_dim = hp->n_heads * hp->head_dim;
	c->kv_dim = hp->n_kv_heads * hp->head_dim;
	c->d_pitch = pitch(hp->d_model);
	c->q_pitch = pitch(c->q_dim);
	c->kv_pitch = pitch(c->kv_dim);
	c->ff_pitch = pitch(hp->d_ff);
	c->vocab_pitch = pitch(hp->n_vocab);
}

/* ---- closing, and the choice of a path ---- */

static void cuda_close(void *self)
{
	struct cuda *c = self;
	if (c->ledger.device)
		cudaSetDevice(c->device.index);
	if (c->stream) {
		cudaStreamSynchronize(c->stream); /* a step may be under way */
		cudaStreamDestroy(c->stream);
	}
	late_close(c);
	idle_close(c);
	if (c->path && c->path->close)
		c->path->close(c);
	ledger_free(&c->ledger);
	for (uint32_t i = 0; i < COMPUTE_MAX_AHEAD; i++) {
		cudaFreeHost(c->input.hosts[i]);
		cudaFreeHost(c->drawn_host[i]);
		if (c->done[i])
			cudaEventDestroy(c->done[i]);
		free(c->draws_of[i]);
	}
	free(c->kept_of);
	cudaGetLastError(); /* of a device that was lost: it has been reported */
	free(c);
}

/* May the path run on this device and with this model? */
static enum hokku_code try_path(struct cuda *c, const struct cuda_path *path, struct hokku_error *err)
{
	if (c->device.cc < path->min_cc)
		return err_set(err, HOKKU_DEVICE_ERROR,
			       "cuda:%d (%s) has compute capability %d.%d; the %s path needs %d.%d",
			       c->device.index, c->device.name, c->device.cc / 10, c->device.cc % 10,
			       path->name, path->min_cc / 10, path->min_cc % 10);
	char lacks[MODEL_SUPPORT_TEXT];
	if (model_unsupported(c->model, path->can, lacks))
		return err_set(err, HOKKU_MODEL_LOAD_FAILED, "cuda/%s cannot do %s", path->name, lacks);
	if (c->pooled && !path->states)
		return err_set(err, HOKKU_MODEL_LOAD_FAILED, "cuda/%s cannot do pooled output", path->name);
	enum hokku_code rc = path->fits(c, err);
	if (rc)
		return rc;
	struct cache_types types = c->cache;
	rc = path->cache(c, &types, err);
	if (rc) { /* told: the path that takes the model instead may be a far slower one */
		snprintf(c->note, sizeof c->note, ": %.120s", err->message);
		path->close(c);
		return rc;
	}
	c->path = path;
	c->logit_rows = c->logit_rows < path->logit_rows ? c->logit_rows : path->logit_rows;
	c->cache = types;
	return HOKKU_OK;
}

static enum hokku_code try_forced(struct cuda *c, const char *name, struct hokku_error *err)
{
	char known[64] = "", quoted[64];
	size_t used = 0;
	for (size_t i = 0; i < N_PATHS; i++) {
		if (strcmp(paths[i]->name, name) == 0)
			return try_path(c, paths[i], err);
		used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
					 paths[i]->name);
	}
	return err_set(err, HOKKU_INVALID_REQUEST, "HOKKU_CUDA_PATH is %s; the paths are %s",
		       str_quote(str_c(name), quoted, sizeof quoted), known);
}

static enum hokku_code choose_path(struct cuda *c, struct hokku_error *err)
{
	const char *forced = getenv("HOKKU_CUDA_PATH");
	enum hokku_code rc = HOKKU_INTERNAL;
	if (forced && *forced)
		rc = try_forced(c, forced, err);
	else /* of several errors the last one's is told: that path asks least */
		for (size_t i = 0; i < N_PATHS && rc; i++)
			rc = try_path(c, paths[i], err);
	if (rc)
		return rc;
	snprintf(c->text, sizeof c->text, "cuda:%d (%s, compute capability %d.%d, %s path%s)",
		 c->device.index, c->device.name, c->device.cc / 10, c->device.cc % 10, c->path->name,
		 c->note);
	return HOKKU_OK;
}

static enum hokku_code take_pinned(struct cuda *c, struct hokku_error *err)
{
	c->kept_of = calloc(c->n_seqs, sizeof *c->kept_of);
	if (!c->kept_of)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the device cuda");
	for (uint32_t i = 0; i < COMPUTE_MAX_AHEAD; i++) {
		CUDA_TRY(&c->device, err, cudaMallocHost((void **)&c->input.hosts[i], c->input.bytes));
		CUDA_TRY(&c->device, err,
			 cudaMallocHost((void **)&c->drawn_host[i], c->n_seqs * sizeof **c->drawn_host));
		CUDA_TRY(&c->device, err, cudaEventCreateWithFlags(&c->done[i], cudaEventDisableTiming));
		c->draws_of[i] = calloc(c->n_seqs, sizeof **c->draws_of);
		if (!c->draws_of[i])
			return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the device cuda");
	}
	return HOKKU_OK;
}

/* ---- a step ---- */

static enum hokku_code send_input(struct cuda *c, struct hokku_error *err)
{
	const struct cuda_input *in = &c->input;
	uint64_t bytes = in->words_at + in->n_words * sizeof(uint32_t);
	if (c->path->alone && c->path->alone(c))
		return HOKKU_OK;
	CUDA_TRY(&c->device, err,
		 cudaMemcpyAsync(in->device, in->host, bytes, cudaMemcpyHostToDevice, c->stream));
	const struct cuda_feed_args feed = {
		.tokens = (struct cuda_token *)(void *)(in->device + in->tokens_at),
		.drawn = c->drawn,
		.n = in->n_tokens,
	};
	if (in->n_fed)
		CUDA_TRY(&c->device, err, cuda_feed(&feed, c->stream));
	return HOKKU_OK;
}

static enum hokku_code sample(struct cuda *c, uint32_t first, uint32_t n, struct hokku_error *err)
{
	if (c->is_drawn)
		return HOKKU_OK;
	bool greedy = true;
	for (uint32_t i = first; i < first + n; i++)
		greedy = greedy && c->input.draws[i].temperature == 0;
	const struct sample_args a = {
		.logits = c->logits,
		.draws =
			(const struct cuda_draw *)(const void *)(c->input.device + c->input.draws_at) + first,
		.words = cuda_words(c),
		.tokens = cuda_tokens(c),
		.kept = c->kept,
		.results = c->drawn,
		.x = c->sample_x,
		.counts = c->sample_counts,
		.n = n,
		.n_vocab = c->model->hp.n_vocab,
		.pitch = c->vocab_pitch,
		.kept_pitch = c->n_ctx + 1,
		.small_teams = greedy && n >= MANY_DRAWS,
		.teams_from = c->device.cc >= 90 ? SAMPLE_TEAMS_FROM : 0,
	};
	CUDA_TRY(&c->device, err, cuda_sample(&a, c->stream));
	return HOKKU_OK;
}

/* Where the step's rows of logits go, one after another: a place among the sequences. */
struct cursor {
	const struct compute_seq *seqs;
	uint32_t seq, token; /* the next row's */
	uint32_t n_draws;    /* so far */
};

/* Moves past the next row of logits; true if *to wants it. *draws: it is drawn from. */
static bool next_row(struct cursor *at, size_t n_vocab, float **to, bool *draws)
{
	for (;; at->seq++, at->token = 0) {
		const struct compute_seq *seq = &at->seqs[at->seq];
		bool all = seq->logits && seq->all_logits;
		if (!seq->logits && !seq->sampling)
			continue;
		if (!all)
			at->token = seq->n_tokens - 1;
		if (at->token >= seq->n_tokens)
			continue;
		*to = seq->logits ? seq->logits + (all ? at->token * n_vocab : 0) : NULL;
		bool last = ++at->token == seq->n_tokens;
		*draws = last && seq->sampling;
		if (last) {
			at->seq++;
			at->token = 0;
		}
		return *to != NULL;
	}
}

static enum hokku_code output_rows(struct cuda *c, struct cursor *at, uint32_t first, uint32_t n,
				   struct hokku_error *err)
{
	size_t n_vocab = c->model->hp.n_vocab;
	uint32_t first_draw = at->n_draws;
	enum hokku_code rc = c->path->logits(c, first, n, err);
	for (uint32_t i = 0; i < n && !rc; i++) {
		float *to;
		bool draws, wanted = next_row(at, n_vocab, &to, &draws);
		const struct cuda_draw *draw = &c->input.draws[at->n_draws];
		at->n_draws += draws;
		if (draws && draw->late)
			rc = late_set_aside(c, draw->slot, i, err);
		if (rc)
			return rc;
		if (wanted)
			rc = cuda_check(&c->device,
					cudaMemcpyAsync(to, c->logits + (uint64_t)i * c->vocab_pitch,
							n_vocab * sizeof *to, cudaMemcpyDeviceToHost,
							c->stream),
					"cudaMemcpyAsync", err);
	}
	if (!rc && at->n_draws > first_draw)
		rc = sample(c, first_draw, at->n_draws - first_draw, err);
	return rc;
}

static enum hokku_code queue_step(struct cuda *c, const struct compute_seq *seqs, uint32_t n,
				  struct hokku_error *err)
{
	uint32_t now = c->n_submitted % COMPUTE_MAX_AHEAD;
	struct cursor at = {.seqs = seqs};
	CUDA_TRY(&c->device, err, cudaSetDevice(c->device.index));
	c->is_drawn = false;
	if (c->path->pack)
		c->path->pack(c);
	enum hokku_code rc = idle_begin(c, err);
	if (!rc)
		rc = send_input(c, err);
	if (!rc)
		rc = late_sent(c, now, err);
	if (!rc)
		rc = c->path->layers(c, err);
	if (!rc && c->input.states)
		rc = c->path->states(c, seqs, n, err);
	for (uint32_t i = 0; i < c->input.n_rows && !rc; i += c->logit_rows) {
		uint32_t left = c->input.n_rows - i;
		rc = output_rows(c, &at, i, left < c->logit_rows ? left : c->logit_rows, err);
	}
	if (rc)
		return rc;
	if (c->input.n_draws)
		CUDA_TRY(&c->device, err,
			 cudaMemcpyAsync(c->drawn_host[now], c->drawn, c->input.n_draws * sizeof *c->drawn,
					 cudaMemcpyDeviceToHost, c->stream));
	CUDA_TRY(&c->device, err, cudaEventRecord(c->done[now], c->stream));
	rc = idle_end(c, err);
	return rc ? rc : late_queued(c, now, err);
}

/* What a step that failed leaves: the failure, for all that follow. */
static enum hokku_code keep_failure(struct cuda *c, enum hokku_code rc, struct hokku_error *err)
{
	if (!rc)
		return rc;
	c->failed = true;
	return err_set(err, rc, "%s", c->failure.message);
}

static enum hokku_code cuda_submit(void *self, const struct compute_seq *seqs, uint32_t n,
				   struct hokku_error *err)
{
	struct cuda *c = self;
	if (c->failed)
		return err_set(err, HOKKU_DEVICE_ERROR, "%s, earlier; the model must be opened again",
			       c->failure.message);
	enum hokku_code rc = cuda_input_pack(c, seqs, n, err);
	if (rc)
		return rc;
	rc = queue_step(c, seqs, n, &c->failure);
	c->n_submitted += !rc;
	return keep_failure(c, rc, err);
}

static enum hokku_code wait_for(struct cuda *c, uint32_t now, struct hokku_error *err)
{
	CUDA_TRY(&c->device, err, cudaSetDevice(c->device.index));
	CUDA_TRY(&c->device, err, cudaEventSynchronize(c->done[now]));
	return idle_collect(c, err);
}

static enum hokku_code cuda_collect(void *self, struct compute_seq *seqs, uint32_t n, struct hokku_error *err)
{
	struct cuda *c = self;
	uint32_t now = c->n_collected % COMPUTE_MAX_AHEAD;
	if (c->failed)
		return err_set(err, HOKKU_DEVICE_ERROR, "%s", c->failure.message);
	enum hokku_code rc =
		cuda_check(&c->device, cudaSetDevice(c->device.index), "cudaSetDevice", &c->failure);
	if (!rc)
		rc = late_draw(c, now, &c->failure);
	if (!rc)
		rc = wait_for(c, now, &c->failure);
	rc = keep_failure(c, rc, err);
	c->n_collected++;
	for (uint32_t s = 0; s < n && !rc; s++)
		if (seqs[s].sampling) {
			const struct cuda_drawn *drawn = &c->drawn_host[now][c->draws_of[now][s]];
			seqs[s].token = drawn->token;
			seqs[s].logprob = drawn->logprob;
		}
	return rc ? rc : keep_failure(c, late_collect(c, now, seqs, &c->failure), err);
}

static enum hokku_code cuda_mask(void *self, uint32_t s, const uint32_t *mask, struct hokku_error *err)
{
	struct cuda *c = self;
	if (c->failed)
		return err_set(err, HOKKU_DEVICE_ERROR, "%s", c->failure.message);
	uint32_t now = c->n_collected % COMPUTE_MAX_AHEAD;
	return keep_failure(c, late_mask(c, now, s, mask, &c->failure), err);
}

static enum hokku_code cuda_step(void *self, struct compute_seq *seqs, uint32_t n, struct hokku_error *err)
{
	enum hokku_code rc = cuda_submit(self, seqs, n, err);
	return rc ? rc : cuda_collect(self, seqs, n, err);
}

/* ---- opening ---- */

/* Steps of tokens that mean nothing, as every path has them: several tokens and a draw by the sampler,
 * then a single token and a greedy draw, then (where there is room for two sequences) one of each of two. The
 * driver loads a kernel's code, and takes memory for its stacks (of all threads that the device can hold, so
 * a hundred bytes a thread are tens of MiB), when it first runs; after this most of it is there and
 * budget_count_runtime sees it, and a device that cannot run the model is told of now. What stays behind are
 * keys and values in blocks 0 and 1, which every sequence writes before it reads. HOKKU_CUDA_WARM_UP=off in
 * the environment, for tests, does without. */
static enum hokku_code warm_up(struct cuda *c, struct hokku_error *err)
{
	static const int32_t tokens[WARM_UP_TOKENS];
	static const uint32_t tables[MODEL_MAX_KV_GROUPS];
	static const struct sampling weighted = {.temperature = 1, .top_p = 1, .repetition_penalty = 1},
				     greedy = {.top_p = 1, .repetition_penalty = 1};
	const char *wanted = getenv("HOKKU_CUDA_WARM_UP");
	struct compute_seq seq = {.tokens = tokens, .blocks = tables, .blocks_pitch = 1};
	uint32_t others[MODEL_MAX_KV_GROUPS];
	if (wanted && strcmp(wanted, "off") == 0)
		return HOKKU_OK;
	seq.n_tokens = c->n_batch < WARM_UP_TOKENS ? c->n_batch : WARM_UP_TOKENS;
	seq.n_tokens = c->n_ctx < seq.n_tokens ? c->n_ctx : seq.n_tokens;
	seq.sampling = &weighted;
	enum hokku_code rc = cuda_step(c, &seq, 1, err);
	seq.n_tokens = 1;
	seq.sampling = &greedy;
	if (!rc)
		rc = cuda_step(c, &seq, 1, err);
	if (rc || c->n_seqs < 2 || c->n_batch < 2 || c->n_kv_blocks < 2)
		return rc;
	for (uint32_t g = 0; g < MODEL_MAX_KV_GROUPS; g++)
		others[g] = 1;
	struct compute_seq both[2] = {seq, seq};
	both[1].blocks = others;
	return cuda_step(c, both, 2, err);
}

/* KV memory is read by sixteens of bytes, of which some lie beyond the last position that was written and are
 * masked. HOKKU_CUDA_CLEAR_KV in the environment clears it all first: then a tool that looks for reads of
 * memory that nobody wrote tells of nothing but faults. */
static enum hokku_code clear_kv(struct cuda *c, struct hokku_error *err)
{
	if (getenv("HOKKU_CUDA_CLEAR_KV"))
		CUDA_TRY(&c->device, err,
			 cudaMemsetAsync(c->kv, 0, model_kv_places(c->model) * c->kv_layer_bytes, c->stream));
	return HOKKU_OK;
}

/* The device and the path: all that the budget asks. */
static enum hokku_code choose(struct cuda *c, const struct compute_params *p, struct hokku_error *err)
{
	enum hokku_code rc = cuda_device_open(&c->device, p->device ? p->device : "cuda", err);
	if (!rc)
		rc = choose_path(c, err);
	if (!rc)
		cuda_input_plan(c);
	return rc;
}

static enum hokku_code start(struct cuda *c, const struct compute_params *p, struct hokku_error *err)
{
	enum hokku_code rc = choose(c, p, err);
	if (!rc)
		rc = budget_settle(c, p, err);
	if (rc)
		return rc;
	c->ledger.device = &c->device;
	CUDA_TRY(&c->device, err, cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking));
	rc = ledger_take_stock(&c->ledger, c->weight_bytes, "weights", err);
	if (!rc)
		rc = budget_take_weights(c, &c->ledger, err);
	if (!rc)
		rc = c->path->load(c, p, err);
	if (!rc)
		rc = budget_take_rest(c, &c->ledger, err);
	if (!rc)
		rc = take_pinned(c, err);
	if (!rc)
		rc = late_prepare(c, err);
	if (!rc)
		rc = idle_prepare(c, err);
	if (!rc && c->path->prepare)
		rc = c->path->prepare(c, err);
	if (rc)
		return rc;
	uint64_t counts = (uint64_t)c->logit_rows * c->model->hp.n_vocab * sizeof(uint32_t);
	CUDA_TRY(&c->device, err, cudaMemsetAsync(c->sample_counts, 0, counts, c->stream));
	rc = clear_kv(c, err);
	if (!rc)
		rc = warm_up(c, err);
	if (!rc)
		rc = budget_count_runtime(c, err);
	return rc ? rc : ledger_check_resident(&c->ledger, err);
}

/* NULL: no memory. */
static struct cuda *create(const struct compute_params *p, struct hokku_error *err)
{
	struct cuda *c = calloc(1, sizeof *c);
	if (c)
		c->late = calloc(1, sizeof *c->late);
	if (!c || !c->late) {
		free(c);
		err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the device cuda");
		return NULL;
	}
	c->model = p->model;
	c->late->n_max = p->n_open_masks;
	set_widths(c, p);
	return c;
}

static enum hokku_code cuda_need(const struct compute_params *p, struct compute_need *out,
				 struct hokku_error *err)
{
	struct cuda *c = create(p, err);
	if (!c)
		return HOKKU_OUT_OF_MEMORY;
	enum hokku_code rc = choose(c, p, err);
	if (!rc)
		rc = budget_need(c, p, out, err);
	cuda_close(c);
	return rc;
}

static enum hokku_code cuda_open(const struct compute_params *p, void **self, struct hokku_error *err)
{
	*self = NULL;
	struct cuda *c = create(p, err);
	if (!c)
		return HOKKU_OUT_OF_MEMORY;
	enum hokku_code rc = start(c, p, err);
	if (rc) {
		cuda_close(c);
		return rc;
	}
	*self = c;
	return HOKKU_OK;
}

static const char *cuda_text(const void *self)
{
	return ((const struct cuda *)self)->text;
}

static void cuda_get_memory(const void *self, struct compute_memory *out)
{
	const struct cuda *c = self;
	*out = c->memory;
	out->weight_bytes = c->ledger.bytes[LEDGER_WEIGHTS];
	out->kv_bytes = c->ledger.bytes[LEDGER_KV];
	out->scratch_bytes = c->ledger.bytes[LEDGER_SCRATCH];
	out->graph_bytes = c->ledger.bytes[LEDGER_GRAPHS];
	out->runtime_bytes = c->ledger.bytes[LEDGER_RUNTIME];
	out->n_kv_blocks = c->n_kv_blocks;
	out->cache = c->cache;
}

static enum hokku_code check_device(struct cuda *c, struct hokku_error *err)
{
	CUDA_TRY(&c->device, err, cudaSetDevice(c->device.index));
	enum hokku_code rc = ledger_check_resident(&c->ledger, err);
	return rc ? rc : budget_ask_driver(c, err);
}

static enum hokku_code cuda_check_state(void *self, struct hokku_error *err)
{
	struct cuda *c = self;
	if (!c->failed)
		c->failed = check_device(c, &c->failure) != HOKKU_OK;
	return c->failed ? err_set(err, HOKKU_DEVICE_ERROR, "%s", c->failure.message) : HOKKU_OK;
}

const struct compute_backend compute_cuda = {
	.name = "cuda",
	.open = cuda_open,
	.close = cuda_close,
	.step = cuda_step,
	.submit = cuda_submit,
	.mask = cuda_mask,
	.collect = cuda_collect,
	.device = cuda_text,
	.get_memory = cuda_get_memory,
	.check = cuda_check_state,
	.kv_bytes = cuda_kv_bytes,
	.kv_read = cuda_kv_read,
	.kv_write = cuda_kv_write,
	.kv_describe = cuda_kv_describe,
	.need = cuda_need,
};
