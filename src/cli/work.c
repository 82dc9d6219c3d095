#include "cli/work.h"

#include <math.h>
#include <string.h>

/* A device keeps the whole embedding and reads single rows of it; a CPU keeps none that is in memory anyway.
 */
double work_step_bytes(const struct model *m, const char *device, uint64_t weight_bytes)
{
	const struct weight *e = &m->w[ROLE_EMBEDDING];
	bool on_device = strncmp(device, "cuda", 4) == 0;
	bool kept = !m->tied && (on_device || !e->data);
	return (double)weight_bytes - (kept ? (double)e->rows * (double)e->row_bytes : 0);
}

double work_positions_seen(const struct model *m, double from, double n)
{
	double all = 0;
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		double window = m->layers[l].spec->attn.window, below = n; /* tokens that see all before */
		if (window > 0)
			below = fmin(fmax(window - from, 0), n);
		all += below * from + 0.5 * below * (below + 1) + (n - below) * window;
	}
	return all;
}

double work_layer_ops(const struct model *m)
{
	double all = 0;
	for (uint32_t l = 0; l < m->hp.n_layers; l++)
		for (uint32_t r = 0; r < N_LAYER_ROLES; r++) {
			const struct weight *w = &m->layers[l].w[r];
			all += role_is_matrix(r) && w->tensor ? 2.0 * w->rows * w->cols : 0;
		}
	return all;
}

double work_output_ops(const struct model *m)
{
	return 2.0 * m->hp.d_model * m->hp.n_vocab;
}

double work_look_ops(const struct model *m)
{
	return 4.0 * m->hp.n_heads * m->hp.head_dim;
}

bool work_is_of_bytes(const struct model *m)
{
	return m->layers[0].w[ROLE_W_DOWN].fmt->block_elements > 1;
}
