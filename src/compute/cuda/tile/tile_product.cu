/* The host's side of tile products: shapes, and how the activations are told to the copies. */
#include "compute/cuda/tile/tile_product.cuh"

namespace
{

struct shape {
	uint32_t n, rows, ks, team;
	bool half, full;
};
const struct shape shapes[] = {
#define ROW(N, ROWS, KS, TEAM, HALF, FULL) {N, ROWS * 64, KS, TEAM, HALF, FULL},
	TILE_SHAPES(ROW)
#undef ROW
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

tile_product_runner *runner_of(uint32_t format)
{
	switch (format) {
	case CUDA_F16:
	case CUDA_BF16: /* F16 but for the rows' scales */
		return tile_product_f16;
	case CUDA_F32:
		return tile_product_f32;
	case CUDA_Q8_0:
		return tile_product_q8;
	case CUDA_Q4_0:
	case CUDA_Q4_1:
		return tile_product_q4;
	case CUDA_Q5_0:
	case CUDA_Q5_1:
		return tile_product_q5;
	case CUDA_Q4_K:
		return tile_product_k4;
	case CUDA_Q5_K:
		return tile_product_k5;
	case CUDA_Q6_K:
		return tile_product_k6;
	case CUDA_Q2_K:
		return tile_product_k2;
	case CUDA_IQ4_NL:
		return tile_product_iq4;
	default:
		return NULL;
	}
}

uint32_t row_patches(const struct tile_matrix *w, const struct shape *s)
{
	return (w->rows + s->rows - 1) / s->rows;
}

/* Is it a kernel of mode FULL alone? */
bool is_full(const struct tile_product_args *a, uint32_t format)
{
	return a->x.planes == 2 && format != CUDA_F16 && format != CUDA_BF16;
}

bool is_for(const struct shape *s, const struct tile_product_args *a)
{
	return is_full(a, a->part[0].w.format) ? s->full : s->half;
}

/* Parts first .. last - 1, which have one format, in shape s. */
cudaError_t launch(const struct tile_product_args *a, uint32_t first, uint32_t last, uint32_t s,
		   cudaStream_t stream)
{
	struct tile_product_launch l = {};
	cudaError_t e =
		tensor_map_make(&l.x_map, a->x.halves, a->n_tokens * a->x.planes, a->x.pitch, shapes[s].n);
	if (e)
		return e;
	uint32_t rows = 0;
	for (uint32_t i = 0; i < TILE_PRODUCT_MATRICES; i++) {
		if (first + i < last) {
			l.part[i] = a->part[first + i];
			rows += row_patches(&l.part[i].w, &shapes[s]);
		}
		l.row_patches_end[i] = rows;
	}
	l.sums = a->x.sums;
	l.out = a->out;
	l.planes = a->x.planes;
	l.sum_pitch = a->x.pitch / TILE_CHUNK;
	l.out_pitch = a->out_pitch;
	l.n_columns = a->n_tokens * a->x.planes;
	l.add = a->add;
	l.team = shapes[s].team;
	l.column_patches = (l.n_columns + shapes[s].n - 1) / shapes[s].n;
	l.n_patches = l.column_patches * rows;
	if (l.n_patches == 0)
		return cudaSuccess;
	tile_product_runner *run = runner_of(l.part[0].w.format);
	return run ? run(&l, l.part[0].w.format, s, a->n_sms, stream) : cudaErrorInvalidValue;
}

/* Roughly the nanoseconds that one tile of shape s takes, of a row of `chunks`, whose weights are `bytes`
 * each; fitted to times on one NVIDIA H100, teams' on an H200. Teams of eight have two crews at work in each
 * block. */
uint64_t tile_time(const struct shape *s, uint64_t chunks, uint64_t bytes, bool blocks)
{
	uint64_t n = s->n, crews = s->team < 4 ? s->team : 4;
	if (s->ks > 1) {
		uint64_t multiplying = chunks * (70 + (blocks ? n : n / 2)) / crews,
			 bringing = chunks * (bytes + 64 * n) / 50 / s->team;
		return (multiplying > bringing ? multiplying : bringing) + 1200 + 10 * n +
		       (s->team > 1 ? 600 + n * n : 0);
	}
	return blocks ? chunks * (200 + 13 * n / 10) + 500 + 45 * n
		      : chunks * (80 + 14 * n / 10) + 900 + 33 * n;
}

/* Tiles that are under way at once. Clusters lie within groups of 16 or 18 multiprocessors. */
uint64_t at_once(const struct tile_product_args *a, const struct shape *s)
{
	uint64_t n = s->team > 1 ? (a->n_sms - a->n_sms / 32) / s->team : a->n_sms;
	return n ? n : 1;
}

/* What shape s takes: the tiles of the busiest multiprocessor, one after another. Weights come from memory,
 * at 24 bytes a nanosecond to each, unless other tiles of the same rows brought them to the cache. */
uint64_t cost(const struct tile_product_args *a, uint32_t first, uint32_t last, const struct shape *s)
{
	const struct tile_matrix *w = &a->part[first].w;
	uint64_t rows = 0, columns = (a->n_tokens * a->x.planes + s->n - 1) / s->n;
	for (uint32_t i = first; i < last; i++)
		rows += row_patches(&a->part[i].w, s);
	uint64_t rounds = (rows * columns + at_once(a, s) - 1) / at_once(a, s);
	if (s->team > 1 && rounds > 1) /* nothing is brought ahead from patch to patch */
		return UINT64_MAX;
	uint64_t chunks = (w->cols + 31) / 32,
		 bytes = (uint64_t)s->rows / TILE_ROWS * w->n_units * w->unit_bytes; /* of weights */
	uint64_t time = tile_time(s, chunks, bytes / chunks, is_full(a, w->format));
	uint64_t stream = bytes / 24 / columns / s->team;
	return rounds * (time > stream ? time : stream);
}

uint32_t choose(const struct tile_product_args *a, uint32_t first, uint32_t last)
{
	uint32_t best = N_SHAPES;
	uint64_t least = 0;
	for (uint32_t s = 0; s < N_SHAPES; s++) {
		uint64_t c = cost(a, first, last, &shapes[s]);
		if (is_for(&shapes[s], a) && (best == N_SHAPES || c < least)) {
			best = s;
			least = c;
		}
	}
	return best;
}

/* Neighbours of one format go in one launch. shape N_SHAPES: chosen. */
cudaError_t run_all(const struct tile_product_args *a, uint32_t shape, cudaStream_t stream)
{
	for (uint32_t first = 0, last; first < a->n_parts; first = last) {
		for (last = first + 1;
		     last < a->n_parts && a->part[last].w.format == a->part[first].w.format;)
			last++;
		cudaError_t e =
			launch(a, first, last, shape < N_SHAPES ? shape : choose(a, first, last), stream);
		if (e)
			return e;
	}
	return cudaSuccess;
}

} // namespace

cudaError_t tile_product(const struct tile_product_args *a, cudaStream_t stream)
{
	return run_all(a, N_SHAPES, stream);
}

cudaError_t tile_product_shaped(const struct tile_product_args *a, uint32_t shape, cudaStream_t stream)
{
	if (shape >= N_SHAPES)
		return cudaErrorInvalidValue;
	return is_for(&shapes[shape], a) ? run_all(a, shape, stream) : cudaErrorInvalidConfiguration;
}
