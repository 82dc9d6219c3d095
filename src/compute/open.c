/*
 * The table of devices: a handle is opened on one of them and closed, and what that would take is told.
 */
#include "compute/handle.h"
#include "compute/plugin.h"

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
