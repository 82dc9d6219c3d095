/*
 * The table of devices, and the checks that stand before every backend: what comes through here is
 * well-formed, so a backend need not ask again.
 */
#include "compute/compute.h"

#include "compute/plugin.h"
#include "compute/sample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What --device takes, beside GPUs. "auto" is a GPU where one will do, else its row; compute_device() tells
 * what it became. */
#define DEVICES(X)             \
	X("auto", compute_cpu) \
	X("cpu", compute_cpu)  \
	X("cpu:reference", compute_cpu_reference)

static const struct {
	const char *name;
	const struct compute_backend *backend;
} devices[] = {
#define ROW(name_, backend_) {name_, &(backend_)},
	DEVICES(ROW)
#undef ROW
};

#define ROW(name_, backend_) name_,
static const char *const device_names[] = {DEVICES(ROW) NULL};
#undef ROW

_Static_assert((int)KV_MIN_WINDOW > (int)COMPUTE_KV_BLOCK, "the block in which a window begins is full");

enum {
	N_DEVICES = sizeof devices / sizeof devices[0],
	DEFAULT_BATCH = 512,
	MAX_CTX = 1 << 24,
	MAX_SEQS = 4096,
	MAX_THREADS = 1024,
};

/* A step from its submit to its collect. */
struct flight {
	struct compute_seq *seqs; /* (n) the caller's */
	uint32_t n, n_good;
	struct compute_seq *good; /* (n_seqs) those that run, where some are left out */
	uint32_t *good_index;     /* (n_seqs) of each of seqs that runs, among those */
	bool gathered;            /* the backend gets those, not the caller's */
	bool drawn_here;          /* some of their tokens are drawn by the host */
};

struct compute {
	const struct compute_backend *backend;
	void *self;
	struct compute_params params; /* defaults filled in; device is the one that runs */
	char device[16];              /* "cuda:N", for params */
	char why[sizeof((struct hokku_error *)0)->message]; /* "auto" chose so; "" */
	bool why_notable;
	/* (n_kv_blocks) each: in which step, and by which sequence, a block was last seen, and
	 * in which table. They let a step find blocks that two sequences write, or that a table names twice,
	 * without clearing anything. */
	uint64_t *written_at, *named_at, *tabled_at;
	uint64_t *slotted_at; /* (n_seqs) the same of places of histories */
	uint64_t stamp;       /* one more for each sequence that is checked; never repeats */
	struct flight flights[COMPUTE_MAX_AHEAD];
	uint32_t n_submitted, n_collected; /* flight number k is flights[k % COMPUTE_MAX_AHEAD] */
	uint32_t n_open;                   /* masks of the step that is being checked that follow */
	struct sampler *sampler;           /* for what the backend does not draw; NULL: it draws all */
	uint32_t *masks;                   /* (n_seqs, mask_words) that came late, for a device that waits */
};

const char *const *compute_device_names(void)
{
	return device_names;
}

static enum hokku_code find_backend(const char *device, const struct compute_backend **out,
				    struct hokku_error *err)
{
	for (size_t i = 0; i < N_DEVICES; i++)
		if (strcmp(device, devices[i].name) == 0) {
			*out = devices[i].backend;
			return HOKKU_OK;
		}
	if (strcmp(device, "cuda") == 0 || strncmp(device, "cuda:", 5) == 0)
		return plugin_backend(device, out, err);
	char quoted[64], known[128] = "";
	size_t used = 0;
	for (size_t i = 0; i < N_DEVICES && used < sizeof known; i++)
		used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
					 devices[i].name);
	const char *near = str_nearest(device, device_names);
	if (strncasecmp(device, "gpu", 3) == 0 || strncasecmp(device, "cuda", 4) == 0)
		near = "cuda";
	return err_set(err, HOKKU_INVALID_REQUEST,
		       "there is no device %s%s%s%s; hokku knows %s, cuda, cuda:N",
		       str_quote(str_c(device), quoted, sizeof quoted), near ? " (did you mean " : "",
		       near ? near : "", near ? "?)" : "", known);
}

/* Fills the defaults and checks every number. */
static enum hokku_code check_params(struct compute_params *p, struct hokku_error *err)
{
	if (!p->model || !p->model->layers)
		return err_set(err, HOKKU_INTERNAL, "compute_open: there is no bound model");
	if (!p->n_batch)
		p->n_batch = DEFAULT_BATCH;
	const struct {
		const char *name;
		uint32_t value, min, max;
	} ranges[] = {
		{"n_ctx", p->n_ctx, 1, MAX_CTX},
		{"n_seqs", p->n_seqs, 1, MAX_SEQS},
		{"n_batch", p->n_batch, 1, COMPUTE_MAX_BATCH},
		{"n_threads", p->n_threads, 0, MAX_THREADS},
		{"n_open_masks", p->n_open_masks, 0, p->n_seqs},
	};
	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
		if (ranges[i].value < ranges[i].min || ranges[i].value > ranges[i].max)
			return err_set(err, HOKKU_INVALID_REQUEST, "%s is %u; it takes %u to %u",
				       ranges[i].name, ranges[i].value, ranges[i].min, ranges[i].max);
	for (uint32_t g = 0; g < p->model->n_kv_groups; g++)
		if (p->model->kv_groups[g].window && p->model->kv_groups[g].window < KV_MIN_WINDOW)
			return err_set(err, HOKKU_INTERNAL,
				       "KV group %u has a window of %u; it must be at least %d, or 0: none",
				       g, p->model->kv_groups[g].window, (int)KV_MIN_WINDOW);
	uint64_t per_seq = ((uint64_t)p->n_ctx + COMPUTE_KV_BLOCK - 1) / COMPUTE_KV_BLOCK;
	uint64_t n_blocks = p->n_kv_blocks ? p->n_kv_blocks : p->n_seqs * per_seq * p->model->n_kv_groups;
	if (p->n_kv_blocks_max && p->n_kv_blocks_max < n_blocks)
		return err_set(err, HOKKU_INTERNAL, "n_kv_blocks_max is %u; n_kv_blocks is %llu",
			       p->n_kv_blocks_max, (unsigned long long)n_blocks);
	if (n_blocks > UINT32_MAX)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "%u sequences of %u positions need %llu KV blocks; %u is the most", p->n_seqs,
			       p->n_ctx, (unsigned long long)n_blocks, UINT32_MAX);
	p->n_kv_blocks = (uint32_t)n_blocks;
	return HOKKU_OK;
}

static size_t mask_words(const struct compute *c)
{
	return ((size_t)c->params.model->hp.n_vocab + 31) / 32;
}

/* Once the backend has said how many KV blocks there are. */
static enum hokku_code keep_account(struct compute *c, struct hokku_error *err)
{
	struct compute_memory memory;
	compute_get_memory(c, &memory);
	c->params.n_kv_blocks = memory.n_kv_blocks;
	uint64_t n = memory.n_kv_blocks;
	c->written_at = calloc(n, sizeof *c->written_at);
	c->named_at = calloc(n, sizeof *c->named_at);
	c->tabled_at = calloc(n, sizeof *c->tabled_at);
	c->slotted_at = calloc(c->params.n_seqs, sizeof *c->slotted_at);
	bool good = c->written_at && c->named_at && c->tabled_at && c->slotted_at;
	if (!c->backend->all_stages) {
		c->sampler = sampler_create(c->params.model->hp.n_vocab);
		good = good && c->sampler;
	}
	if (c->params.n_open_masks && !c->backend->mask) {
		c->masks = calloc(c->params.n_seqs, mask_words(c) * sizeof *c->masks);
		good = good && c->masks;
	}
	for (uint32_t i = 0; i < COMPUTE_MAX_AHEAD; i++) {
		struct flight *f = &c->flights[i];
		f->good = calloc(c->params.n_seqs, sizeof *f->good);
		f->good_index = calloc(c->params.n_seqs, sizeof *f->good_index);
		good = good && f->good && f->good_index;
	}
	if (good)
		return HOKKU_OK;
	return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory to keep account of %u KV blocks",
		       memory.n_kv_blocks);
}

/* Errors of a GPU after which "auto" goes on with the CPU: there is none, it cannot be used, or the model is
 * too large or of a format without kernels. */
static bool cpu_may_do(enum hokku_code rc)
{
	return rc == HOKKU_NOT_FOUND || rc == HOKKU_DEVICE_ERROR || rc == HOKKU_INSUFFICIENT_VRAM ||
	       rc == HOKKU_MODEL_LOAD_FAILED;
}

/* Can it do the model, and store keys and values so? */
static enum hokku_code settle(const struct compute_backend *backend, struct compute_params *p,
			      struct hokku_error *err)
{
	char lacks[MODEL_SUPPORT_TEXT];
	if (backend->can && model_unsupported(p->model, backend->can, lacks))
		return err_set(err, HOKKU_MODEL_LOAD_FAILED, "%s cannot do %s", backend->name, lacks);
	if (backend->cache_types)
		return cache_types_settle(backend->name, backend->cache_types, CACHE_F32, &p->cache, err);
	return HOKKU_OK;
}

/* "auto": the first GPU that can be used, if the model fits it. */
static enum hokku_code open_gpu(struct compute *c, struct hokku_error *err)
{
	uint32_t index;
	enum hokku_code rc = plugin_first_usable(&c->backend, &index, err);
	if (rc)
		return rc;
	snprintf(c->device, sizeof c->device, "cuda:%u", index);
	c->params.device = c->device;
	rc = c->backend->open(&c->params, &c->self, err);
	if (!rc)
		snprintf(c->why, sizeof c->why, "it is the first GPU that hokku can use");
	return rc;
}

static enum hokku_code open_named(struct compute *c, const char *device, struct hokku_error *err)
{
	c->params.device = device;
	enum hokku_code rc = find_backend(device, &c->backend, err);
	if (!rc)
		rc = settle(c->backend, &c->params, err);
	return rc ? rc : c->backend->open(&c->params, &c->self, err);
}

static enum hokku_code open_auto(struct compute *c, struct hokku_error *err)
{
	struct hokku_error why = {0};
	enum hokku_code rc = open_gpu(c, &why);
	if (rc && !cpu_may_do(rc))
		return err_set(err, rc, "%s", why.message);
	if (!rc)
		return rc;
	memcpy(c->why, why.message, sizeof c->why);
	c->why_notable = rc != HOKKU_NOT_FOUND;
	return open_named(c, "cpu", err);
}

enum hokku_code compute_open(const struct compute_params *params, struct compute **out,
			     struct hokku_error *err)
{
	*out = NULL;
	struct compute_params p = *params;
	p.device = p.device ? p.device : "auto";
	enum hokku_code rc = check_params(&p, err);
	if (rc)
		return rc;
	struct compute *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a compute handle");
	c->params = p;
	rc = strcmp(p.device, "auto") == 0 ? open_auto(c, err) : open_named(c, p.device, err);
	if (rc)
		c->self = NULL;
	else
		rc = keep_account(c, err);
	if (!rc && p.model->file) /* weights of two files, or of half a download, are no model */
		rc = gguf_unchanged(p.model->file, err);
	if (rc) {
		compute_close(c);
		return rc;
	}
	*out = c;
	return HOKKU_OK;
}

/* ---- what it would take ---- */

uint64_t compute_memory_sum(const struct compute_memory *m)
{
	return m->weight_bytes + m->kv_bytes + m->scratch_bytes + m->graph_bytes + m->runtime_bytes;
}

static enum hokku_code need_named(const struct compute_params *params, const char *device,
				  struct compute_need *out, struct hokku_error *err)
{
	const struct compute_backend *backend;
	struct compute_params p = *params;
	p.device = device;
	enum hokku_code rc = find_backend(device, &backend, err);
	if (!rc)
		rc = settle(backend, &p, err);
	if (!rc && !backend->need)
		rc = err_set(err, HOKKU_INVALID_REQUEST, "the device %s does not tell what it would take",
			     device);
	return rc ? rc : backend->need(&p, out, err);
}

static enum hokku_code need_auto(const struct compute_params *p, struct compute_need *out,
				 struct hokku_error *err)
{
	const struct compute_backend *backend;
	char device[16];
	uint32_t index;
	enum hokku_code rc = plugin_first_usable(&backend, &index, err);
	if (!rc) {
		snprintf(device, sizeof device, "cuda:%u", index);
		rc = need_named(p, device, out, err);
	}
	if (rc ? cpu_may_do(rc) : !out->fits)
		return need_named(p, "cpu", out, err);
	return rc;
}

enum hokku_code compute_need(const struct compute_params *params, struct compute_need *out,
			     struct hokku_error *err)
{
	struct compute_params p = *params;
	const char *device = p.device ? p.device : "auto";
	*out = (struct compute_need){0};
	enum hokku_code rc = check_params(&p, err);
	if (rc)
		return rc;
	return strcmp(device, "auto") == 0 ? need_auto(&p, out, err) : need_named(&p, device, out, err);
}

void compute_close(struct compute *c)
{
	if (!c)
		return;
	if (c->self)
		c->backend->close(c->self);
	free(c->written_at);
	free(c->named_at);
	free(c->tabled_at);
	free(c->slotted_at);
	for (uint32_t i = 0; i < COMPUTE_MAX_AHEAD; i++) {
		free(c->flights[i].good);
		free(c->flights[i].good_index);
	}
	free(c->masks);
	sampler_destroy(c->sampler);
	free(c);
}

/* The step that was submitted `back` steps before the next one; NULL: it is not under way. */
static struct flight *flight_back(struct compute *c, uint32_t back)
{
	if (c->n_submitted - c->n_collected < back)
		return NULL;
	return &c->flights[(c->n_submitted - back) % COMPUTE_MAX_AHEAD];
}

static enum hokku_code check_tokens(const struct compute *c, const struct compute_seq *seq, uint32_t s,
				    struct hokku_error *err)
{
	if (!seq->tokens || seq->n_tokens < 1)
		return err_set(err, HOKKU_INTERNAL, "sequence %u of the step has no tokens", s);
	if (seq->pos > c->params.n_ctx || seq->n_tokens > c->params.n_ctx - seq->pos)
		return err_set(err, HOKKU_CONTEXT_EXCEEDED,
			       "sequence %u of the step would end at position %llu; the context holds %u", s,
			       (unsigned long long)seq->pos + seq->n_tokens, c->params.n_ctx);
	for (uint32_t i = 0; i < seq->n_tokens - (seq->from > 0); i++)
		if (seq->tokens[i] < 0 || (uint32_t)seq->tokens[i] >= c->params.model->hp.n_vocab)
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "token %u is id %d; the vocabulary has ids 0 to %u", seq->pos + i,
				       seq->tokens[i], c->params.model->hp.n_vocab - 1);
	return HOKKU_OK;
}

static uint32_t n_blocks_of(const struct compute_seq *seq)
{
	return (seq->pos + seq->n_tokens - 1) / COMPUTE_KV_BLOCK + 1;
}

/* Block i of a table: does it lie wholly behind the group's window of the sequence's first token? */
static bool is_left_behind(const struct kv_group *group, const struct compute_seq *seq, uint32_t i)
{
	uint32_t first_seen = group->window && seq->pos >= group->window ? seq->pos - group->window + 1 : 0;
	return i < first_seen / COMPUTE_KV_BLOCK;
}

/* Blocks this step writes must be this sequence's alone, and no block may stand twice in its tables: either
 * would be silent corruption of somebody's context. `first` is the stamp of the step's first table. */
static enum hokku_code check_table(struct compute *c, const struct compute_seq *seq, uint32_t s,
				   uint32_t group, uint64_t first, struct hokku_error *err)
{
	const uint32_t *table = seq->blocks + (uint64_t)group * seq->blocks_pitch;
	uint32_t first_written = seq->pos / COMPUTE_KV_BLOCK, n_blocks = n_blocks_of(seq);
	for (uint32_t i = 0; i < n_blocks; i++) {
		uint32_t b = table[i];
		if (b == (uint32_t)COMPUTE_NO_BLOCK &&
		    is_left_behind(&c->params.model->kv_groups[group], seq, i))
			continue;
		if (b >= c->params.n_kv_blocks)
			return err_set(err, HOKKU_INTERNAL, "KV block %u of sequence %u is %u; there are %u",
				       i, s, b, c->params.n_kv_blocks);
		if (c->tabled_at[b] == c->stamp)
			return err_set(err, HOKKU_INTERNAL,
				       "KV block %u stands twice in the tables of sequence %u", b, s);
		if (c->written_at[b] >= first || (i >= first_written && c->named_at[b] >= first))
			return err_set(err, HOKKU_INTERNAL,
				       "KV block %u is in the tables of two sequences (one is %u), and one "
				       "of them writes it",
				       b, s);
		c->tabled_at[b] = c->stamp;
	}
	return HOKKU_OK;
}

static enum hokku_code check_blocks(struct compute *c, const struct compute_seq *seq, uint32_t s,
				    uint64_t first, struct hokku_error *err)
{
	uint32_t n_groups = c->params.model->n_kv_groups;
	if (!seq->blocks)
		return err_set(err, HOKKU_INTERNAL, "sequence %u of the step has no block table", s);
	if (n_groups > 1 && seq->blocks_pitch < n_blocks_of(seq))
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u has tables of %u blocks, a KV group each; its tokens need %u", s,
			       seq->blocks_pitch, n_blocks_of(seq));
	c->stamp++;
	for (uint32_t g = 0; g < n_groups; g++) {
		enum hokku_code rc = check_table(c, seq, s, g, first, err);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

/* The sequence will run: whose tables follow must not write what it names. */
static void record_blocks(struct compute *c, const struct compute_seq *seq)
{
	uint32_t first_written = seq->pos / COMPUTE_KV_BLOCK, n_blocks = n_blocks_of(seq);
	for (uint32_t g = 0; g < c->params.model->n_kv_groups; g++)
		for (uint32_t i = 0; i < n_blocks; i++) {
			uint32_t b = seq->blocks[(uint64_t)g * seq->blocks_pitch + i];
			if (b == (uint32_t)COMPUTE_NO_BLOCK)
				continue;
			c->named_at[b] = c->stamp;
			if (i >= first_written)
				c->written_at[b] = c->stamp;
		}
}

/* What a caller promised about ranges is checked only where breaking it would read or write out of bounds, or
 * make the draw meaningless. */
static enum hokku_code check_sampling(const struct compute *c, const struct compute_seq *seq, uint32_t s,
				      struct hokku_error *err)
{
	const struct sampling *p = seq->sampling;
	const struct {
		const char *name;
		float value, min, max;
	} ranges[] = {
		{"temperature", p->temperature, 0, 100},
		{"top_p", p->top_p, 0, 1},
		{"min_p", p->min_p, 0, 1},
		{"repetition_penalty", p->repetition_penalty, 0, 10},
		{"frequency_penalty", p->frequency_penalty, -2, 2},
		{"presence_penalty", p->presence_penalty, -2, 2},
		{"top_n_sigma", p->top_n_sigma, -1, 100},
		{"typical_p", p->typical_p, 0, 1},
		{"xtc_probability", p->xtc_probability, 0, 1},
		{"xtc_threshold", p->xtc_threshold, 0, 1},
		{"dynatemp_range", p->dynatemp_range, 0, 100},
		{"dynatemp_exponent", p->dynatemp_exponent, 0, 100},
		{"mirostat", (float)p->mirostat, 0, 2},
		{"mirostat_tau", p->mirostat_tau, 0, 100},
		{"mirostat_eta", p->mirostat_eta, 0, 1},
	};
	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
		if (!(ranges[i].value >= ranges[i].min && ranges[i].value <= ranges[i].max)) /* NaN too */
			return err_set(err, HOKKU_INVALID_REQUEST, "%s is %g; it takes %g to %g",
				       ranges[i].name, (double)ranges[i].value, (double)ranges[i].min,
				       (double)ranges[i].max);
	if (p->top_k < 0)
		return err_set(err, HOKKU_INVALID_REQUEST, "top_k is %d; it takes 0 (off) and more",
			       p->top_k);
	if (p->n_bias > COMPUTE_MAX_BIASES || (p->n_bias && !p->bias))
		return err_set(err, HOKKU_INVALID_REQUEST, "logit_bias has %u entries; %d is the most",
			       p->n_bias, COMPUTE_MAX_BIASES);
	uint32_t n_vocab = c->params.model->hp.n_vocab;
	for (uint32_t i = 0; i < p->n_bias; i++)
		if (p->bias[i].token < 0 || (uint32_t)p->bias[i].token >= n_vocab || isnan(p->bias[i].bias))
			return err_set(
				err, HOKKU_INVALID_REQUEST,
				"logit_bias gives token %d the bias %g; the vocabulary has ids 0 to %u",
				p->bias[i].token, (double)p->bias[i].bias, n_vocab - 1);
	if (seq->n_history > c->params.n_ctx + 1)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "a history of %u tokens for the penalties; a context of %u has %u at most",
			       seq->n_history, c->params.n_ctx, c->params.n_ctx + 1);
	if (seq->n_prompt > seq->n_history || (seq->n_history && !seq->history))
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u has a history of %u tokens, %u of them prompt", s, seq->n_history,
			       seq->n_prompt);
	return HOKKU_OK;
}

/* Is the sequence's token drawn here, of the logits that the device gives? */
static bool by_host(const struct compute *c, const struct compute_seq *seq)
{
	return seq->sampling &&
	       (!compute_draws(c, seq->sampling) || (seq->chances && !c->backend->all_stages));
}

static enum hokku_code check_by_host(const struct compute_seq *seq, uint32_t s, struct hokku_error *err)
{
	if (!seq->logits)
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u is drawn on the host and gives no room for its logits", s);
	if (seq->mask_open)
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u is drawn on the host and leaves its mask open", s);
	return HOKKU_OK;
}

/* What hangs on another step: a token that one under way draws, a mask that comes later. */
static enum hokku_code check_waiting(struct compute *c, const struct compute_seq *seq, uint32_t s,
				     uint64_t first, struct hokku_error *err)
{
	struct flight *f = seq->from ? flight_back(c, 1) : NULL;
	if (seq->mask_open && (!seq->sampling || seq->mask))
		return err_set(err, HOKKU_INTERNAL, "sequence %u leaves its mask open and %s", s,
			       seq->mask ? "has one" : "draws nothing");
	if (seq->mask_open && c->n_open == c->params.n_open_masks)
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u leaves its mask open; the handle was opened for %u of a step", s,
			       c->params.n_open_masks);
	if (seq->id && seq->slot >= c->params.n_seqs)
		return err_set(err, HOKKU_INTERNAL, "sequence %u has slot %u; there are %u", s, seq->slot,
			       c->params.n_seqs);
	if (seq->id && c->slotted_at[seq->slot] >= first)
		return err_set(err, HOKKU_INTERNAL, "sequence %u has slot %u, as another of the step", s,
			       seq->slot);
	if (!seq->from)
		return HOKKU_OK;
	if (seq->n_history && seq->n_history != seq->pos + seq->n_tokens)
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u goes on from a token that is being drawn, and its history does "
			       "not end with it",
			       s);
	if (!f)
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u goes on from sequence %u of a step before, and none is under way",
			       s, seq->from - 1);
	const struct compute_seq *of = seq->from <= f->n ? &f->seqs[seq->from - 1] : NULL;
	/* good[] tells of masks that were open, though they have come */
	if (!of || of->code || !of->sampling || by_host(c, of) ||
	    f->good[f->good_index[seq->from - 1]].mask_open)
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u goes on from sequence %u of the step before, which %s", s,
			       seq->from - 1, of ? "gives no token" : "had fewer");
	return HOKKU_OK;
}

/* What the sequence wants to see: logits, hidden states. */
static enum hokku_code check_outputs(const struct compute *c, const struct compute_seq *seq, uint32_t s,
				     struct hokku_error *err)
{
	if (seq->all_logits && !seq->logits)
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u asks for all logits and gives no room for them", s);
	if (seq->all_logits && !c->params.all_logits)
		return err_set(
			err, HOKKU_INTERNAL,
			"sequence %u asks for all logits, but the handle was opened without all_logits", s);
	if (seq->pooling == COMPUTE_POOL_OFF)
		return HOKKU_OK;
	if (seq->pooling > COMPUTE_POOL_MEAN)
		return err_set(err, HOKKU_INTERNAL, "sequence %u asks for pooling %d, which is none", s,
			       (int)seq->pooling);
	if (!seq->states)
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u asks for hidden states and gives no room for them", s);
	if (!c->params.pooled)
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u asks for hidden states, but the handle was opened without pooled",
			       s);
	return HOKKU_OK;
}

static enum hokku_code check_seq(struct compute *c, const struct compute_seq *seq, uint32_t s, uint64_t first,
				 struct hokku_error *err)
{
	enum hokku_code rc = check_tokens(c, seq, s, err);
	if (!rc)
		rc = check_blocks(c, seq, s, first, err);
	if (!rc && seq->sampling)
		rc = check_sampling(c, seq, s, err);
	if (!rc)
		rc = check_waiting(c, seq, s, first, err);
	if (!rc && by_host(c, seq))
		rc = check_by_host(seq, s, err);
	return rc ? rc : check_outputs(c, seq, s, err);
}

/* Fills the sequences' codes. Returns how many are good; why: what is wrong with the first that is not. */
static uint32_t check_all(struct compute *c, struct compute_seq *seqs, uint32_t n, uint64_t *n_tokens,
			  struct hokku_error *why)
{
	uint64_t first = c->stamp + 1;
	uint32_t n_good = 0;
	struct hokku_error other;
	c->n_open = 0;
	for (uint32_t s = 0; s < n; s++) {
		struct hokku_error *err = s == n_good ? why : &other;
		seqs[s].code = check_seq(c, &seqs[s], s, first, err);
		if (seqs[s].code && seqs[s].error)
			*seqs[s].error = *err;
		if (seqs[s].code)
			continue;
		record_blocks(c, &seqs[s]);
		c->n_open += seqs[s].mask_open;
		if (seqs[s].id)
			c->slotted_at[seqs[s].slot] = c->stamp;
		*n_tokens += seqs[s].n_tokens;
		n_good++;
	}
	return n_good;
}

/* What the backend gets: the sequences themselves, or the good ones alone. */
static struct compute_seq *seqs_of(const struct flight *f)
{
	return f->gathered ? f->good : f->seqs;
}

/* The good ones beside each other, where some are left out or wait for masks; `from` counted in what the
 * backend had before. */
static void gather_good(struct compute *c, struct flight *f)
{
	const struct flight *before = flight_back(c, 1);
	uint32_t n = 0;
	f->gathered = f->n_good != f->n || c->n_open > 0;
	f->drawn_here = false;
	for (uint32_t s = 0; s < f->n; s++) {
		struct compute_seq *seq = &f->seqs[s];
		if (seq->code)
			continue;
		if (seq->from)
			seq->from = before->good_index[seq->from - 1] + 1;
		f->good_index[s] = n;
		f->good[n] = *seq;
		if (by_host(c, seq)) {
			f->good[n].sampling = NULL;
			f->gathered = f->drawn_here = true;
		}
		n++;
	}
}

bool compute_draws(const struct compute *c, const struct sampling *sampling)
{
	return c->backend->all_stages || sampling_is_plain(sampling);
}

bool compute_runs_ahead(const struct compute *c)
{
	return c->backend->submit != NULL;
}

enum hokku_code compute_submit(struct compute *c, struct compute_seq *seqs, uint32_t n,
			       struct hokku_error *err)
{
	uint32_t most = compute_runs_ahead(c) ? COMPUTE_MAX_AHEAD : 1;
	struct flight *f = &c->flights[c->n_submitted % COMPUTE_MAX_AHEAD];
	if (c->n_submitted - c->n_collected == most)
		return err_set(err, HOKKU_INTERNAL, "%u steps are under way; %s takes no more", most,
			       compute_device(c));
	if (n < 1 || n > c->params.n_seqs)
		return err_set(err, HOKKU_INTERNAL, "a step of %u sequences; it takes 1 to %u", n,
			       c->params.n_seqs);
	uint64_t n_tokens = 0;
	struct hokku_error why;
	uint32_t n_good = check_all(c, seqs, n, &n_tokens, &why);
	if (n_good == 0)
		return err_set(err, why.code, "%s", why.message);
	if (n_tokens > c->params.n_batch)
		return err_set(err, HOKKU_INTERNAL, "a step of %llu tokens; the handle takes %u",
			       (unsigned long long)n_tokens, c->params.n_batch);
	f->seqs = seqs;
	f->n = n;
	f->n_good = n_good;
	gather_good(c, f);
	if (c->backend->submit) {
		enum hokku_code rc = c->backend->submit(c->self, seqs_of(f), n_good, err);
		if (rc)
			return rc;
	}
	c->n_submitted++;
	return HOKKU_OK;
}

/* For a device that is asked for the step when it is collected, and gets the mask with it. */
static enum hokku_code keep_mask(struct compute *c, const struct flight *f, uint32_t s, const uint32_t *mask)
{
	uint32_t *to = c->masks + f->good_index[s] * mask_words(c);
	memcpy(to, mask, mask_words(c) * sizeof *mask);
	f->good[f->good_index[s]].mask = to;
	return HOKKU_OK;
}

enum hokku_code compute_mask(struct compute *c, uint32_t s, const uint32_t *mask, struct hokku_error *err)
{
	struct flight *f = &c->flights[c->n_collected % COMPUTE_MAX_AHEAD];
	bool under_way = c->n_submitted != c->n_collected;
	if (!under_way || s >= f->n || f->seqs[s].code || !f->seqs[s].mask_open)
		return err_set(err, HOKKU_INTERNAL,
			       "no mask of sequence %u is open in the step that is collected next", s);
	enum hokku_code rc = c->backend->mask ? c->backend->mask(c->self, f->good_index[s], mask, err)
					      : keep_mask(c, f, s, mask);
	f->seqs[s].mask_open = rc != HOKKU_OK;
	return rc;
}

/* Those whose masks have not come draw nothing. */
static void drop_open(struct flight *f)
{
	for (uint32_t s = 0; s < f->n; s++) {
		struct compute_seq *seq = &f->seqs[s];
		if (seq->code || !seq->mask_open)
			continue;
		struct hokku_error err;
		f->good[f->good_index[s]].sampling = NULL;
		seq->code = err_set(seq->error ? seq->error : &err, HOKKU_CANCELLED,
				    "sequence %u has drawn nothing: its mask has not come", s);
	}
}

/* What the backend has filled in, where it had copies. */
static void take_results(struct flight *f)
{
	for (uint32_t s = 0; s < f->n; s++) {
		if (f->seqs[s].code)
			continue;
		f->seqs[s].token = f->good[f->good_index[s]].token;
		f->seqs[s].logprob = f->good[f->good_index[s]].logprob;
	}
}

/* Of the last rows of logits what the device could not. */
static void draw_here(struct compute *c, struct flight *f)
{
	for (uint32_t s = 0; s < f->n; s++) {
		struct compute_seq *seq = &f->seqs[s];
		if (seq->code || !by_host(c, seq))
			continue;
		size_t row = seq->all_logits ? seq->n_tokens - 1 : 0;
		sampler_draw(c->sampler, seq->logits + row * c->params.model->hp.n_vocab,
			     (uint64_t)seq->pos + seq->n_tokens, seq);
	}
}

enum hokku_code compute_collect(struct compute *c, struct hokku_error *err)
{
	if (c->n_submitted == c->n_collected)
		return err_set(err, HOKKU_INTERNAL, "no step is under way");
	struct flight *f = &c->flights[c->n_collected++ % COMPUTE_MAX_AHEAD];
	drop_open(f);
	enum hokku_code rc = c->backend->collect ? c->backend->collect(c->self, seqs_of(f), f->n_good, err)
						 : c->backend->step(c->self, seqs_of(f), f->n_good, err);
	if (f->gathered)
		take_results(f);
	if (!rc && f->drawn_here)
		draw_here(c, f);
	return rc;
}

enum hokku_code compute_step(struct compute *c, struct compute_seq *seqs, uint32_t n, struct hokku_error *err)
{
	if (c->n_submitted != c->n_collected)
		return err_set(err, HOKKU_INTERNAL, "a step is under way");
	enum hokku_code rc = compute_submit(c, seqs, n, err);
	return rc ? rc : compute_collect(c, err);
}

const char *compute_device(const struct compute *c)
{
	return c->backend->device(c->self);
}

const char *compute_why(const struct compute *c, bool *notable)
{
	*notable = c->why_notable;
	return c->why[0] ? c->why : NULL;
}

void compute_get_memory(const struct compute *c, struct compute_memory *out)
{
	c->backend->get_memory(c->self, out);
}

enum hokku_code compute_check(struct compute *c, struct hokku_error *err)
{
	return c->backend->check ? c->backend->check(c->self, err) : HOKKU_OK;
}

/* ---- the bytes of KV blocks ---- */

uint64_t compute_kv_bytes(const struct compute *c, uint32_t group)
{
	return c->backend->kv_bytes(c->self, group);
}

static enum hokku_code check_kv(const struct compute *c, uint32_t group, uint32_t block,
				struct hokku_error *err)
{
	if (group < c->params.model->n_kv_groups && block < c->params.n_kv_blocks)
		return HOKKU_OK;
	return err_set(err, HOKKU_INTERNAL,
		       "there is no KV block %u of KV group %u; there are %u blocks and %u groups", block,
		       group, c->params.n_kv_blocks, c->params.model->n_kv_groups);
}

enum hokku_code compute_kv_read(struct compute *c, uint32_t group, uint32_t block, void *to,
				struct hokku_error *err)
{
	enum hokku_code rc = check_kv(c, group, block, err);
	return rc ? rc : c->backend->kv_read(c->self, group, block, to, err);
}

enum hokku_code compute_kv_write(struct compute *c, uint32_t group, uint32_t block, const void *from,
				 struct hokku_error *err)
{
	enum hokku_code rc = check_kv(c, group, block, err);
	return rc ? rc : c->backend->kv_write(c->self, group, block, from, err);
}

void compute_kv_describe(const struct compute *c, struct compute_kv_kind *out)
{
	c->backend->kv_describe(c->self, out);
}
