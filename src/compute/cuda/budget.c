#include "compute/cuda/budget.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/str.h"
#include "compute/cuda/late.h"
#include "compute/kv_blocks.h"

void *cuda_take(struct cuda_taker *t, enum ledger_class class, uint64_t count, uint64_t size,
		const char *what)
{
	void *p = NULL;
	if (!t->rc)
		t->rc = ledger_take(t->ledger, class, count, size, what, &p, t->err);
	return p;
}

/* What every path needs to draw tokens and to be told of a step. */
static void take_output(struct cuda *c, struct cuda_taker *t)
{
	const uint64_t rows = c->logit_rows, n_vocab = c->model->hp.n_vocab;
	c->logits = cuda_take(t, LEDGER_SCRATCH, rows, c->vocab_pitch * sizeof(float), "scratch");
	c->sample_x = cuda_take(t, LEDGER_SCRATCH, rows, n_vocab * sizeof(float), "scratch");
	c->sample_counts = cuda_take(t, LEDGER_SCRATCH, rows, n_vocab * sizeof(uint32_t), "scratch");
	c->drawn = cuda_take(t, LEDGER_SCRATCH, c->n_seqs, sizeof *c->drawn, "scratch");
	c->kept = cuda_take(t, LEDGER_SCRATCH, c->n_seqs, ((uint64_t)c->n_ctx + 1) * sizeof *c->kept,
			    "scratch");
	for (uint32_t i = 0; i < COMPUTE_MAX_AHEAD; i++)
		c->input.devices[i] = cuda_take(t, LEDGER_SCRATCH, c->input.bytes, 1, "scratch");
	late_take(c, t);
}

enum hokku_code budget_ask_driver(struct cuda *c, struct hokku_error *err)
{
	size_t free_bytes = 0, total = 0;
	CUDA_TRY(&c->device, err, cudaMemGetInfo(&free_bytes, &total));
	c->memory.device_free_bytes = free_bytes;
	c->memory.device_total_bytes = total;
	return HOKKU_OK;
}

enum hokku_code budget_take_weights(struct cuda *c, struct ledger *ledger, struct hokku_error *err)
{
	struct cuda_taker t = {ledger, err, HOKKU_OK};
	c->path->take_weights(c, &t);
	return t.rc;
}

enum hokku_code budget_take_rest(struct cuda *c, struct ledger *ledger, struct hokku_error *err)
{
	struct cuda_taker t = {ledger, err, HOKKU_OK};
	c->kv = cuda_take(&t, LEDGER_KV, model_kv_places(c->model), c->kv_layer_bytes, "KV cache");
	c->path->take_scratch(c, &t);
	take_output(c, &t);
	return t.rc;
}

/* What is kept free when KV memory takes all that is left: the driver takes memory too, when kernels first
 * run. */
static uint64_t reserve_bytes(const struct cuda *c)
{
	const uint64_t least = (uint64_t)512 << 20, part = c->memory.device_total_bytes / 64;
	return part > least ? part : least;
}

static uint64_t block_bytes(const struct cuda *c)
{
	return model_kv_places(c->model) * c->path->kv_block_bytes(c);
}

static enum hokku_code refuse(const struct cuda *c, const struct compute_params *p, const struct ledger *plan,
			      uint64_t available, struct hokku_error *err)
{
	char need[32], weights[32], kv[32], scratch[32], have[32], used[32], total[32], advice[96], why[96];
	uint64_t fixed = plan->bytes[LEDGER_WEIGHTS] + plan->bytes[LEDGER_SCRATCH];
	uint64_t required = ledger_total(plan),
		 in_use = c->memory.device_total_bytes - c->memory.device_free_bytes;
	why[0] = '\0';
	if (available < c->memory.device_free_bytes)
		snprintf(why, sizeof why, ", the limit that was set");
	else if (in_use)
		snprintf(why, sizeof why, "; %s of its %s are in use", str_bytes(in_use, used),
			 str_bytes(c->memory.device_total_bytes, total));
	return err_set(
		err, HOKKU_INSUFFICIENT_VRAM,
		"%s needs %s%" PRIu64 " bytes (%s: weights %s, KV %s for %u block%s, scratch %s); "
		"cuda:%d (%s) has %" PRIu64 " bytes available (%s%s)%s",
		c->model->name, plan->overflow ? "more than " : "", required, str_bytes(required, need),
		str_bytes(plan->bytes[LEDGER_WEIGHTS], weights), str_bytes(plan->bytes[LEDGER_KV], kv),
		c->n_kv_blocks, c->n_kv_blocks == 1 ? "" : "s",
		str_bytes(plan->bytes[LEDGER_SCRATCH], scratch), c->device.index, c->device.name, available,
		str_bytes(available, have), why,
		kv_blocks_advise(p, plan->bytes[LEDGER_WEIGHTS], fixed, block_bytes(c), available, advice));
}

static void set_kv_blocks(struct cuda *c, uint32_t n)
{
	c->n_kv_blocks = n;
	c->kv_layer_bytes = n * c->path->kv_block_bytes(c);
}

/* With the fewest KV blocks. */
static enum hokku_code count(struct cuda *c, const struct compute_params *p, struct ledger *plan,
			     struct compute_need *out, struct hokku_error *err)
{
	uint32_t n;
	enum hokku_code rc = budget_ask_driver(c, err);
	if (!rc)
		rc = kv_blocks_choose(p, block_bytes(c), 0, &n, err);
	if (rc)
		return rc;
	set_kv_blocks(c, n);
	rc = budget_take_weights(c, plan, err);
	if (!rc)
		rc = budget_take_rest(c, plan, err);
	uint64_t free_bytes = c->memory.device_free_bytes;
	out->available_bytes = p->vram_limit && p->vram_limit < free_bytes ? p->vram_limit : free_bytes;
	out->fits = !plan->overflow && ledger_total(plan) <= out->available_bytes;
	c->memory.device_free_before_bytes = free_bytes;
	return rc;
}

/* What is left beyond the fewest KV blocks goes to more. */
static enum hokku_code grow(struct cuda *c, const struct compute_params *p, const struct ledger *plan,
			    uint64_t available, struct hokku_error *err)
{
	uint64_t free_bytes = c->memory.device_free_bytes, reserve = reserve_bytes(c);
	uint64_t spare = free_bytes > reserve ? free_bytes - reserve : 0, required = ledger_total(plan);
	uint32_t n;
	spare = spare < available ? spare : available;
	enum hokku_code rc =
		kv_blocks_choose(p, block_bytes(c), spare > required ? spare - required : 0, &n, err);
	set_kv_blocks(c, n);
	return rc;
}

enum hokku_code budget_need(struct cuda *c, const struct compute_params *p, struct compute_need *out,
			    struct hokku_error *err)
{
	struct ledger plan = {0};
	enum hokku_code rc = count(c, p, &plan, out, err);
	if (!rc && out->fits)
		rc = grow(c, p, &plan, out->available_bytes, err);
	out->kv_block_bytes = block_bytes(c);
	out->memory = c->memory;
	out->memory.weight_bytes = plan.bytes[LEDGER_WEIGHTS];
	out->memory.scratch_bytes = plan.bytes[LEDGER_SCRATCH];
	out->memory.kv_bytes = plan.overflow ? UINT64_MAX / 4 : c->n_kv_blocks * out->kv_block_bytes;
	out->memory.n_kv_blocks = c->n_kv_blocks;
	out->memory.cache = c->cache;
	snprintf(out->device, sizeof out->device, "%s", c->text);
	return rc;
}

enum hokku_code budget_settle(struct cuda *c, const struct compute_params *p, struct hokku_error *err)
{
	struct ledger plan = {0};
	struct compute_need need = {0};
	enum hokku_code rc = count(c, p, &plan, &need, err);
	if (rc)
		return rc;
	c->weight_bytes = plan.bytes[LEDGER_WEIGHTS];
	c->load_room = plan.bytes[LEDGER_KV] + plan.bytes[LEDGER_SCRATCH];
	if (!need.fits)
		return refuse(c, p, &plan, need.available_bytes, err);
	return grow(c, p, &plan, need.available_bytes, err);
}

enum hokku_code budget_count_runtime(struct cuda *c, struct hokku_error *err)
{
	enum hokku_code rc = budget_ask_driver(c, err);
	uint64_t before = c->memory.device_free_before_bytes, now = c->memory.device_free_bytes;
	uint64_t fell = before > now ? before - now : 0, ours = ledger_total(&c->ledger);
	c->ledger.bytes[LEDGER_RUNTIME] = fell > ours ? fell - ours : 0;
	return rc;
}
