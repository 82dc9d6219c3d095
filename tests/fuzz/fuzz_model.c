/* Any bytes as a model: bound or refused, and what is bound runs two steps on the reference without a fault.
 */
#include <stdlib.h>

#include "compute/compute.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const struct model *m)
{
	const struct compute_params params = {.model = m, .device = "cpu:reference", .n_ctx = 4, .n_seqs = 1};
	const struct sampling greedy = {.top_p = 1, .repetition_penalty = 1};
	const int32_t ids[] = {0, (int32_t)m->hp.n_vocab - 1, 0};
	const uint32_t blocks[] = {0};
	struct compute *c;
	if (compute_open(&params, &c, NULL))
		return;
	struct compute_seq seq = {.tokens = ids,
				  .n_tokens = 3,
				  .blocks = blocks,
				  .sampling = &greedy,
				  .history = ids,
				  .n_history = 3};
	for (int step = 0; step < 2; step++) {
		int32_t n_vocab = (int32_t)m->hp.n_vocab;
		if (compute_step(c, &seq, 1, NULL) || seq.token < -1 || seq.token >= n_vocab)
			abort(); /* a bound model has no reason to fail, whatever its weights are */
		if (seq.token == -1)
			break; /* weights that make every logit NaN leave nothing to draw */
		seq.pos = 3;
		seq.n_tokens = 1;
		seq.tokens = &seq.token;
	}
	compute_close(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gguf *g;
	struct model m;
	if (gguf_open_memory(data, size, "fuzz", &g, NULL))
		return 0;
	/* The weights are in the input, so their number is small; layers and heads only claim memory with
	 * them. */
	if (model_bind(&m, g, NULL) == HOKKU_OK) {
		run(&m);
		model_unbind(&m);
	}
	gguf_close(g);
	return 0;
}
