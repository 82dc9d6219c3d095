#include "compute/cuda/decode/decode_path.h"

#include <stdlib.h>

#include "compute/cuda/decode/decode.h"
#include "compute/cuda/tile/tile.h"

struct decode_path {
	struct decode_handle *handle; /* NULL: the kernel cannot run the model */
	struct decode_handle *few;    /* of several sequences; NULL: the same */
};

struct decode_handle *decode_of(const struct cuda *c)
{
	return tile_of(c)->one->handle;
}

struct decode_handle *decode_few_of(const struct cuda *c)
{
	return tile_of(c)->one->few;
}

static bool is_one(const struct cuda *c)
{
	return c->input.n_tokens == 1 && decode_of(c);
}

static bool is_few(const struct cuda *c)
{
	return decode_takes_together(c, decode_few_of(c));
}

static enum hokku_code path_fits(struct cuda *c, struct hokku_error *err)
{
	struct decode_path *one = calloc(1, sizeof *one);
	if (!one)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the device cuda");
	enum hokku_code rc = tile_fits(c, err);
	if (rc)
		free(one);
	else
		tile_of(c)->one = one;
	return rc;
}

/* The matrices' shapes are known now, and not before. */
static void path_take_scratch(struct cuda *c, struct cuda_taker *t)
{
	struct decode_path *one = tile_of(c)->one;
	if (!t->rc && !one->handle)
		t->rc = decode_create(c, false, &one->handle, t->err);
	if (!t->rc && !one->few)
		t->rc = decode_create(c, true, &one->few, t->err);
	if (t->rc)
		return;
	tile_take_scratch(c, t);
	if (one->handle)
		decode_take(c, one->handle, t);
	if (one->few)
		decode_take(c, one->few, t);
}

static enum hokku_code path_prepare(struct cuda *c, struct hokku_error *err)
{
	struct decode_path *one = tile_of(c)->one;
	enum hokku_code rc = one->handle ? decode_prepare(c, one->handle, err) : HOKKU_OK;
	return !rc && one->few ? decode_prepare(c, one->few, err) : rc;
}

/* The kernel's arguments hold its token, or where that was drawn; its table it keeps. */
static bool path_alone(const struct cuda *c)
{
	return is_one(c) && (c->input.n_draws == 0 || decode_is_greedy(&c->input.draws[0]));
}

static void path_pack(struct cuda *c)
{
	if (!is_one(c) && !is_few(c))
		tile_pack(c);
}

static enum hokku_code path_layers(struct cuda *c, struct hokku_error *err)
{
	if (is_one(c))
		return decode_run(c, decode_of(c), err);
	return is_few(c) ? decode_run_together(c, decode_few_of(c), err) : tile_layers(c, err);
}

static enum hokku_code path_logits(struct cuda *c, uint32_t first, uint32_t n, struct hokku_error *err)
{
	return is_one(c) || is_few(c) ? HOKKU_OK /* they are there */ : tile_logits(c, first, n, err);
}

static void path_close(struct cuda *c)
{
	struct tile_handle *h = tile_of(c);
	if (h) {
		decode_destroy(h->one->handle);
		decode_destroy(h->one->few);
		free(h->one);
	}
	tile_destroy(c);
}

/* What of a model's specs the kernels carry out. */
static const struct spec_support tile_can = {
	.must = ROLE_BIT(WQ) | ROLE_BIT(WK) | ROLE_BIT(WV) | ROLE_BIT(WO) | ROLE_BIT(W_UP) | ROLE_BIT(W_DOWN),
	.roles = SPEC_ALL_ROLES,
	.features = SPEC_ALL_FEATURES & ~SPEC_OTHER_SHAPES,
};

const struct cuda_path cuda_path_tile = {
	.name = "tile",
	.min_cc = TILE_CC,
	.logit_rows = TILE_LOGIT_ROWS,
	.can = &tile_can,
	.fits = path_fits,
	.cache = tile_cache,
	.kv_block_bytes = tile_block_bytes,
	.take_weights = tile_take_weights,
	.take_scratch = path_take_scratch,
	.load = tile_load,
	.prepare = path_prepare,
	.alone = path_alone,
	.pack = path_pack,
	.input_words = tile_input_words,
	.layers = path_layers,
	.logits = path_logits,
	.close = path_close,
};
