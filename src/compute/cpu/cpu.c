/*
 * "cpu": the fast path. Opening it reads the weights, lays them out for the kernels (pack.h) and sets aside
 * every byte that a step needs; steps allocate nothing and read no file. Bits depend on the model and the
 * tokens alone: not on threads, on the cut of a prompt, on the other sequences of a step, or on the
 * instruction set (tier.h).
 *
 * Memory is mapped zeroed and page by page: KV blocks that nobody has used cost address space only.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"
#include "base/str.h"
#include "compute/cpu/cache.h"
#include "compute/cpu/cpu.h"
#include "compute/kv_blocks.h"

enum { REGION_WEIGHTS, REGION_KV, REGION_SCRATCH, N_REGIONS };

/* Hands out pieces of a region; with base NULL it only counts, so that one function both measures and
 * assigns. */
struct carver {
	uint8_t *base;
	uint64_t used;
	bool overflow;
};

static void *carve(struct carver *v, uint64_t count, uint64_t size)
{
	uint64_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes) || bytes > UINT64_MAX / 4 - v->used) {
		v->overflow = true;
		return NULL;
	}
	void *p = v->base ? v->base + v->used : NULL;
	v->used += (bytes + 63) / 64 * 64;
	return p;
}

static uint32_t padded(uint32_t n)
{
	return (n + PANEL - 1) / PANEL * PANEL;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static enum hokku_code map_region(struct cpu *c, int region, const struct carver *v, const char *what,
				  struct hokku_error *err)
{
	enum { HUGE_PAGE = 2 << 20 };
	if (v->overflow || v->used > SIZE_MAX - 2 * HUGE_PAGE)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "the %s takes more bytes than a machine has", what);
	size_t bytes = (v->used + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE + HUGE_PAGE;
	void *p =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return err_set(err, HOKKU_OUT_OF_MEMORY,
			       "the %s takes %" PRIu64 " bytes; the system has none to give", what, v->used);
	madvise(p, bytes, MADV_HUGEPAGE); /* fewer misses of the address cache where the kernel has them */
	c->regions[region] = p;
	c->region_bytes[region] = bytes;
	return HOKKU_OK;
}

static uint8_t *region_base(const struct cpu *c, int region)
{
	return c->regions[region];
}

/* Adds w to the set. */
static enum hokku_code plan_matrix(struct product_set *set, const struct weight *w, struct hokku_error *err)
{
	struct packed *p = &set->m[set->n];
	if (!pack_plan(p, w))
		return err_set(
			err, HOKKU_MODEL_LOAD_FAILED,
			"tensor \"%.*s\": the device cpu has no kernel for %s; cpu:reference can run it",
			STR_ARG(w->tensor->name), w->fmt->name);
	set->n++;
	set->n_slabs += p->n_slabs;
	if (pack_is_quantised(p->kind))
		set->want_quant = true;
	else
		set->want_float = true;
	return HOKKU_OK;
}

static enum hokku_code plan_matrices(struct cpu *c, struct hokku_error *err)
{
	const struct model *m = c->model;
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		const struct weight *from = m->layers[l].w;
		struct cpu_layer *to = &c->layers[l];
		const struct {
			struct product_set *set;
			enum layer_role role;
		} all[] = {{&to->qkv, ROLE_WQ},     {&to->qkv, ROLE_WK},         {&to->qkv, ROLE_WV},
			   {&to->wo, ROLE_WO},      {&to->gate_up, ROLE_W_GATE}, {&to->gate_up, ROLE_W_UP},
			   {&to->down, ROLE_W_DOWN}};
		for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
			enum hokku_code rc = HOKKU_OK;
			if (from[all[i].role].tensor)
				rc = plan_matrix(all[i].set, &from[all[i].role], err);
			if (rc)
				return rc;
		}
	}
	return plan_matrix(&c->output, &m->w[ROLE_OUTPUT], err);
}

static void carve_set(struct product_set *set, struct carver *v)
{
	for (uint32_t i = 0; i < set->n; i++)
		set->m[i].data = carve(v, set->m[i].bytes, 1);
}

static float *carve_vector(struct carver *v, const struct weight *w)
{
	return w->tensor ? carve(v, padded(w->cols), sizeof(float)) : NULL;
}

static void carve_weights(struct cpu *c, struct carver *v)
{
	for (uint32_t l = 0; l < c->model->hp.n_layers; l++) {
		const struct weight *from = c->model->layers[l].w;
		struct cpu_layer *to = &c->layers[l];
		carve_set(&to->qkv, v);
		carve_set(&to->wo, v);
		carve_set(&to->gate_up, v);
		carve_set(&to->down, v);
		for (uint32_t i = 0; i < N_LAYER_ROLES; i++)
			if (!role_is_matrix(i))
				to->v[i] = carve_vector(v, &from[i]);
	}
	carve_set(&c->output, v);
	const struct weight *embedding = &c->model->w[ROLE_EMBEDDING];
	c->embedding = embedding->data;
	if (!c->embedding && !c->model->tied)
		c->embedding = c->embedding_copy = carve(v, embedding->rows, embedding->row_bytes);
	c->output_norm = carve_vector(v, &c->model->w[ROLE_OUTPUT_NORM]);
}

static void carve_threads(struct cpu *c, struct carver *v, uint32_t widest)
{
	c->threads = carve(v, c->n_threads, sizeof *c->threads);
	for (uint32_t i = 0; i < c->n_threads; i++) {
		struct thread_scratch s = {
			.row = carve(v, widest, sizeof(float)),
			.product =
				carve(v, SLABS_AT_ONCE * (c->tier->takes_tiles ? TILES_BLOCK : TOKEN_BLOCK),
				      SLAB_ROWS * sizeof(float)),
			.q = carve(v, ATTN_TILE_ROWS, c->head_stride * sizeof(float)),
			.acc = carve(v, ATTN_TILE_ROWS, c->head_stride * sizeof(float)),
			.scores = carve(v, ATTN_TILE_ROWS, COMPUTE_KV_BLOCK * sizeof(float)),
			.keys = carve(v, COMPUTE_KV_BLOCK, c->model->hp.head_dim * sizeof(float)),
			.values = carve(v, COMPUTE_KV_BLOCK, c->head_stride * sizeof(float)),
			.positions = carve(v, ATTN_TILE_ROWS, sizeof(uint32_t)),
		};
		if (v->base)
			c->threads[i] = s;
	}
}

/* Is what some layer adds to the residual more than a product? */
static bool adds_later(const struct model *m)
{
	for (uint32_t l = 0; l < m->hp.n_layers; l++)
		if (!cpu_adds_product(&m->layers[l], ROLE_BO, ROLE_ATTN_POST_NORM) ||
		    !cpu_adds_product(&m->layers[l], ROLE_B_DOWN, ROLE_FFN_POST_NORM))
			return true;
	return false;
}

static void carve_scratch(struct cpu *c, struct carver *v)
{
	const struct hparams *hp = &c->model->hp;
	uint64_t n = c->n_batch;
	uint32_t widest = max_u32(max_u32(padded(hp->d_model), padded(c->q_dim)), padded(hp->d_ff));
	c->tokens = carve(v, n, sizeof *c->tokens);
	c->outputs = carve(v, n, sizeof *c->outputs);
	c->tasks = carve(v, n * hp->n_kv_heads, sizeof *c->tasks);
	c->next_task = carve(v, hp->n_layers, sizeof *c->next_task);
	c->x = carve(v, n * c->d_stride, sizeof(float));
	c->q = carve(v, n * c->q_stride, sizeof(float));
	c->attended = carve(v, n * c->q_stride, sizeof(float));
	c->k = carve(v, n * c->kv_stride, sizeof(float));
	c->v = carve(v, n * c->kv_stride, sizeof(float));
	c->gate = carve(v, n * c->ff_stride, sizeof(float));
	c->up = carve(v, n * c->ff_stride, sizeof(float));
	c->rope_cos = carve(v, n * c->model->n_ropes, hp->head_dim / 2 * sizeof(float));
	c->rope_sin = carve(v, n * c->model->n_ropes, hp->head_dim / 2 * sizeof(float));
	c->y = c->pooled || adds_later(c->model) ? carve(v, n * c->d_stride, sizeof(float)) : NULL;
	c->acts.f = carve(v, n * widest, sizeof(float));
	c->acts.q = carve(v, n * (widest / CHUNK + 1), sizeof(struct qchunk));
	c->logits = carve(v, c->logit_rows, c->vocab_stride * sizeof(float));
	carve_threads(c, v, widest);
}

typedef void carve_fn(struct cpu *c, struct carver *v);

/* Measures with fn, maps, assigns with fn. */
static enum hokku_code take_region(struct cpu *c, int region, carve_fn *fn, const char *what, uint64_t *bytes,
				   struct hokku_error *err)
{
	struct carver v = {0};
	fn(c, &v);
	enum hokku_code rc = map_region(c, region, &v, what, err);
	if (rc)
		return rc;
	*bytes = v.used;
	v = (struct carver){.base = region_base(c, region)};
	fn(c, &v);
	return HOKKU_OK;
}

static void cpu_close(void *self)
{
	struct cpu *c = self;
	pool_destroy(c->pool);
	for (uint32_t i = 0; c->threads && i < c->n_threads; i++)
		sampler_destroy(c->threads[i].sampler);
	for (int i = 0; i < N_REGIONS; i++)
		if (c->regions[i])
			munmap(c->regions[i], c->region_bytes[i]);
	free(c->layers);
	free(c);
}

static void set_widths(struct cpu *c, const struct compute_params *p)
{
	const struct hparams *hp = &c->model->hp;
	c->q_dim = hp->n_heads * hp->head_dim;
	c->kv_dim = hp->n_kv_heads * hp->head_dim;
	c->d_stride = padded(hp->d_model);
	c->q_stride = padded(c->q_dim);
	c->kv_stride = padded(c->kv_dim);
	c->ff_stride = padded(hp->d_ff);
	c->vocab_stride = padded(hp->n_vocab);
	c->head_stride = padded(hp->head_dim);
	c->n_batch = p->n_batch;
	c->pooled = p->pooled;
	uint32_t most = p->all_logits ? p->n_batch : p->n_seqs;
	c->logit_rows = most < LOGIT_ROWS ? most : LOGIT_ROWS;
}

static enum hokku_code check_heads(const struct model *m, struct hokku_error *err)
{
	uint32_t group = m->hp.n_heads / m->hp.n_kv_heads;
	if (group > ATTN_TILE_ROWS)
		return err_set(
			err, HOKKU_MODEL_LOAD_FAILED,
			"%u heads share a KV head; the device cpu takes at most %d (cpu:reference takes any)",
			group, ATTN_TILE_ROWS);
	return HOKKU_OK;
}

static enum hokku_code choose_threads(struct cpu *c, uint32_t n_threads, struct hokku_error *err)
{
	c->tier = cpu_tier_get(NULL);
	if (!c->tier)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "HOKKU_CPU_TIER is \"%s\", which this machine or this build does not have",
			       getenv("HOKKU_CPU_TIER"));
	c->n_threads = n_threads ? n_threads : pool_cpus();
	snprintf(c->device, sizeof c->device, "cpu (%s, %u thread%s)", c->tier->name, c->n_threads,
		 c->n_threads == 1 ? "" : "s");
	return HOKKU_OK;
}

static struct carver carve_kv(const struct cpu *c, uint32_t n_blocks)
{
	struct carver v = {0};
	carve(&v, (uint64_t)model_kv_places(c->model) * n_blocks, c->kv_block_bytes);
	return v;
}

/* Blocks as many as were planned. */
static enum hokku_code take_kv(struct cpu *c, const struct compute_params *p, struct hokku_error *err)
{
	const struct hparams *hp = &p->model->hp;
	struct carver v = carve_kv(c, c->memory.n_kv_blocks);
	c->memory.kv_bytes = v.used;
	enum hokku_code rc = map_region(c, REGION_KV, &v, "KV cache", err);
	for (uint32_t l = 0; l < hp->n_layers && !rc; l++)
		c->layers[l].kv = region_base(c, REGION_KV) + c->kv_block_bytes * c->memory.n_kv_blocks *
								      p->model->layers[l].spec->kv_place;
	return rc;
}

/* One a thread, or one a row of logits where these are fewer. */
static enum hokku_code create_samplers(struct cpu *c, struct hokku_error *err)
{
	for (uint32_t i = 0; i < c->n_threads && i < c->logit_rows; i++) {
		struct sampler *s = c->threads[i].sampler = sampler_create(c->model->hp.n_vocab);
		if (!s)
			return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a sampler of %u tokens",
				       c->model->hp.n_vocab);
		c->memory.scratch_bytes += sampler_bytes(s);
	}
	return HOKKU_OK;
}

/* ---- the budget: what all that takes, counted before any of it is taken ---- */

#define TOO_MANY (UINT64_MAX / 4) /* bytes that no machine has */

/* What new things may take of the host's memory. */
static uint64_t available_bytes(const struct compute_params *p)
{
	uint64_t there = memory_available();
	if (p->ram_limit)
		return p->ram_limit;
	return there ? there : UINT64_MAX;
}

/* How many KV blocks there are: the fewest, and more where memory for them is left. */
static enum hokku_code count_kv(struct cpu *c, const struct compute_params *p, uint64_t fixed_bytes,
				struct compute_need *out, struct hokku_error *err)
{
	uint32_t *n = &c->memory.n_kv_blocks;
	out->kv_block_bytes = (uint64_t)c->kv_block_bytes * model_kv_places(c->model);
	enum hokku_code rc = kv_blocks_choose_host(p, out->kv_block_bytes, 0, n, err);
	if (rc)
		return rc;
	struct carver v = carve_kv(c, *n);
	uint64_t available = out->available_bytes;
	out->fits = !v.overflow && fixed_bytes <= available && v.used <= available - fixed_bytes;
	uint64_t spare = out->fits ? available - fixed_bytes - v.used : 0;
	rc = kv_blocks_choose_host(p, out->kv_block_bytes, spare, n, err);
	c->memory.kv_bytes = v.overflow ? TOO_MANY : carve_kv(c, *n).used;
	return rc;
}

static enum hokku_code count(struct cpu *c, const struct compute_params *p, struct compute_need *out,
			     struct hokku_error *err)
{
	struct carver weights = {0}, scratch = {0};
	const struct hparams *hp = &c->model->hp;
	uint32_t n_samplers = c->n_threads < c->logit_rows ? c->n_threads : c->logit_rows;
	carve_weights(c, &weights);
	carve_scratch(c, &scratch);
	c->memory.cache = p->cache;
	c->memory.weight_bytes = weights.used;
	c->memory.scratch_bytes = scratch.used + n_samplers * sampler_need(hp->n_vocab);
	c->kv_value_offset = cpu_cache_bytes(p->cache.k, hp->head_dim, hp->head_dim);
	c->kv_head_bytes = c->kv_value_offset + cpu_cache_bytes(p->cache.v, hp->head_dim, c->head_stride);
	c->kv_block_bytes = c->kv_head_bytes * hp->n_kv_heads;
	out->available_bytes = available_bytes(p);
	enum hokku_code rc = count_kv(c, p, c->memory.weight_bytes + c->memory.scratch_bytes, out, err);
	out->fits = out->fits && !weights.overflow && !scratch.overflow;
	out->memory = c->memory;
	snprintf(out->device, sizeof out->device, "%s", c->device);
	return rc;
}

static enum hokku_code refuse(const struct cpu *c, const struct compute_params *p,
			      const struct compute_need *need, struct hokku_error *err)
{
	const struct compute_memory *m = &need->memory;
	char all[32], weights[32], kv[32], scratch[32], have[32], advice[96];
	uint64_t fixed = m->weight_bytes + m->scratch_bytes, available = need->available_bytes;
	return err_set(err, HOKKU_INSUFFICIENT_MEMORY,
		       "%s needs %s%" PRIu64
		       " bytes (%s: weights %s, KV %s for %u block%s, scratch %s); the host "
		       "has %" PRIu64 " bytes of memory available (%s%s)%s",
		       c->model->name, m->kv_bytes == TOO_MANY ? "more than " : "", compute_memory_sum(m),
		       str_bytes(compute_memory_sum(m), all), str_bytes(m->weight_bytes, weights),
		       str_bytes(m->kv_bytes, kv), m->n_kv_blocks, m->n_kv_blocks == 1 ? "" : "s",
		       str_bytes(m->scratch_bytes, scratch), available, str_bytes(available, have),
		       p->ram_limit ? ", the limit that was set" : "",
		       kv_blocks_advise(p, m->weight_bytes, fixed, need->kv_block_bytes, available, advice));
}

static enum hokku_code plan(struct cpu *c, const struct compute_params *p, struct compute_need *out,
			    struct hokku_error *err)
{
	enum hokku_code rc = check_heads(c->model, err);
	c->layers = calloc(c->model->hp.n_layers, sizeof *c->layers);
	if (!rc && !c->layers)
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %u layers", c->model->hp.n_layers);
	if (!rc)
		rc = plan_matrices(c, err);
	if (!rc)
		rc = choose_threads(c, p->n_threads, err);
	return rc ? rc : count(c, p, out, err);
}

static enum hokku_code cpu_need(const struct compute_params *p, struct compute_need *out,
				struct hokku_error *err)
{
	struct cpu *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the device cpu");
	c->model = p->model;
	set_widths(c, p);
	enum hokku_code rc = plan(c, p, out, err);
	cpu_close(c);
	return rc;
}

static enum hokku_code set_up(struct cpu *c, const struct compute_params *p, struct hokku_error *err)
{
	struct compute_need need = {0};
	enum hokku_code rc = plan(c, p, &need, err);
	if (!rc && !need.fits)
		rc = refuse(c, p, &need, err);
	if (rc)
		return rc;
	c->pool = pool_create(c->n_threads, err);
	if (!c->pool)
		rc = HOKKU_OUT_OF_MEMORY;
	if (!rc)
		rc = take_region(c, REGION_WEIGHTS, carve_weights, "packed weights", &c->memory.weight_bytes,
				 err);
	if (!rc)
		rc = take_kv(c, p, err);
	if (!rc)
		rc = take_region(c, REGION_SCRATCH, carve_scratch, "step's scratch", &c->memory.scratch_bytes,
				 err);
	if (rc)
		return rc;
	rc = create_samplers(c, err);
	return rc ? rc : cpu_load(c, p, err);
}

static enum hokku_code cpu_open(const struct compute_params *p, void **self, struct hokku_error *err)
{
	struct cpu *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the device cpu");
	c->model = p->model;
	set_widths(c, p);
	enum hokku_code rc = set_up(c, p, err);
	if (rc) {
		cpu_close(c);
		return rc;
	}
	*self = c;
	return HOKKU_OK;
}

static enum hokku_code cpu_step(void *self, struct compute_seq *seqs, uint32_t n, struct hokku_error *err)
{
	(void)err; /* compute.c checked the step; nothing here can fail */
	cpu_forward(self, seqs, n);
	return HOKKU_OK;
}

static const char *cpu_device(const void *self)
{
	return ((const struct cpu *)self)->device;
}

static void cpu_get_memory(const void *self, struct compute_memory *out)
{
	*out = ((const struct cpu *)self)->memory;
}

/* Widths are the model's numbers. */
static const struct spec_support can = {
	.must = ROLE_BIT(WQ) | ROLE_BIT(WK) | ROLE_BIT(WV) | ROLE_BIT(WO) | ROLE_BIT(W_UP) | ROLE_BIT(W_DOWN),
	.roles = SPEC_ALL_ROLES,
	.features = SPEC_ALL_FEATURES & ~SPEC_OTHER_SHAPES,
};

const struct compute_backend compute_cpu = {
	.name = "cpu",
	.can = &can,
	.cache_types = CPU_CACHE_TYPES,
	.open = cpu_open,
	.close = cpu_close,
	.step = cpu_step,
	.device = cpu_device,
	.get_memory = cpu_get_memory,
	.kv_bytes = cpu_kv_bytes,
	.kv_read = cpu_kv_read,
	.kv_write = cpu_kv_write,
	.kv_describe = cpu_kv_describe,
	.need = cpu_need,
	.all_stages = true,
};
