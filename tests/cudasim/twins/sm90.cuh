/* What src/compute/cuda/sm90.cuh is on the emulator, which includes it: a twin of each of its functions. */
#ifndef CUDASIM_TWINS_SM90_CUH
#define CUDASIM_TWINS_SM90_CUH

#define GRID_CONSTANT

typedef uintptr_t shared_place;
static inline shared_place place_in_shared(const void *p)
{
	return (uintptr_t)p;
}

/* A matrix of halves: rows `pitch` halves apart, of which the first `cols` are there. */
struct tensor_map {
	const uint16_t *base;
	uint32_t rows, cols, pitch, box_rows;
};

struct cudasim_barrier {
	uint16_t pending, count; /* still to arrive; to arrive in every phase */
	int32_t bytes;           /* twice those still to come, plus the phase */
};
static inline struct cudasim_barrier *cudasim_barrier_of(shared_place b)
{
	return (struct cudasim_barrier *)b;
}
static inline void cudasim_barrier_turn(struct cudasim_barrier *b)
{
	if (b->pending || b->bytes >> 1)
		return;
	b->bytes ^= 1;
	b->pending = b->count;
}
static inline void barrier_init(shared_place b, uint32_t count)
{
	*cudasim_barrier_of(b) = {(uint16_t)count, (uint16_t)count, 0};
}
static inline void barrier_init_done(void)
{
}
static inline void shared_written(void)
{
}
static inline void barrier_arrive(shared_place b)
{
	cudasim_barrier_of(b)->pending--;
	cudasim_barrier_turn(cudasim_barrier_of(b));
}
static inline void barrier_expect(shared_place b, uint32_t bytes)
{
	cudasim_barrier_of(b)->bytes += 2 * (int32_t)bytes;
	barrier_arrive(b);
}
static inline void cudasim_barrier_bytes(shared_place b, uint32_t bytes)
{
	cudasim_barrier_of(b)->bytes -= 2 * (int32_t)bytes;
	cudasim_barrier_turn(cudasim_barrier_of(b));
}
static inline void barrier_wait(shared_place b, uint32_t phase)
{
	while (((uint32_t)cudasim_barrier_of(b)->bytes & 1u) == phase)
		cudasim_yield();
}
static inline void copy_bulk(shared_place to, const void *from, uint32_t bytes, shared_place b)
{
	memcpy((void *)to, from, bytes);
	cudasim_barrier_bytes(b, bytes);
}
static inline void copy_box(shared_place to, const struct tensor_map *m, uint32_t col, uint32_t row,
			    shared_place b)
{
	for (uint32_t r = 0; r < m->box_rows; r++)
		for (uint32_t c = 0; c < 64; c++) {
			uint16_t *at = (uint16_t *)to + 64 * r + ((c / 8 ^ r % 8) * 8 + c % 8);
			*at = row + r < m->rows && col + c < m->cols
				      ? m->base[(uint64_t)(row + r) * m->pitch + col + c]
				      : (uint16_t)0;
		}
	cudasim_barrier_bytes(b, m->box_rows * 128);
}
static inline void copy_word(shared_place to, const void *from)
{
	memcpy((void *)to, from, 4);
}
static inline void barrier_arrive_copied(shared_place b)
{
	barrier_arrive(b);
}
template <int REGISTERS> static inline void registers_up(void)
{
}
template <int REGISTERS> static inline void registers_down(void)
{
}
static inline bool elected(void)
{
	return threadIdx.x % 32 == 0;
}
static inline uint32_t warp_uniform(uint32_t x)
{
	return x;
}
static inline void wgmma_fence(void)
{
}
static inline void wgmma_commit(void)
{
}
template <int LEFT> static inline void wgmma_wait(void)
{
}
template <int N> static inline void wgmma_settle(float (&d)[N / 2])
{
	(void)d;
}
static inline void wgmma_operand(uint32_t (&a)[8])
{
	(void)a;
}

typedef uintptr_t wgmma_box;
static inline wgmma_box wgmma_box_of(shared_place b)
{
	return b;
}
static inline wgmma_box wgmma_box_plus(wgmma_box b, uint32_t bytes)
{
	return b + bytes;
}
template <int N> static inline void wgmma(float (&d)[N / 2], const uint32_t *a, wgmma_box b, bool add)
{
	struct cudasim_wgmma own = {a, d, false};
	cudasim_wgmma_warp(cudasim_gather(FULL_WARP, (uint64_t)(uintptr_t)&own), &own, N, b, add);
}

#endif
