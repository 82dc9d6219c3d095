/* What src/compute/cuda/decode/decode_ptx.cuh is on the emulator, which includes it: a twin of each of its
 * functions. The emulator runs a grid of one block. */
#ifndef CUDASIM_TWINS_DECODE_PTX_CUH
#define CUDASIM_TWINS_DECODE_PTX_CUH

static inline uint32_t thread_index(void)
{
	return threadIdx.x;
}
static inline uint32_t anew(uint32_t x)
{
	return x;
}
static inline void some_barrier(uint32_t id, uint32_t n_threads)
{
	cudasim_barrier(id, n_threads);
}
static inline void rest(void)
{
	cudasim_yield();
}
static inline bool barrier_nap(shared_place b, uint32_t phase)
{
	cudasim_yield();
	return ((uint32_t)cudasim_barrier_of(b)->bytes & 1u) != phase;
}
template <int N> static inline uint32_t shuffle_group(uint32_t v, uint32_t i)
{
	return __shfl_sync(0xFFFFFFFFu, v, (int)(threadIdx.x % 32 / N * N + i));
}
static inline uint2 load_shared_words(shared_place p)
{
	uint64_t v = *(const uint64_t *)p;
	return make_uint2((uint32_t)v, (uint32_t)(v >> 32));
}
static inline uint64_t policy_read_once(void)
{
	return 0;
}
static inline void copy_bulk_once(shared_place to, const void *from, uint32_t bytes, shared_place b, uint64_t)
{
	copy_bulk(to, from, bytes, b);
}
static inline void store_word(uint32_t *p, uint32_t v)
{
	*p = v;
}
static inline uint32_t load_word(const uint32_t *p)
{
	cudasim_yield();
	return *p;
}
static inline uint4 load_words(const uint32_t *p)
{
	cudasim_yield();
	return make_uint4(p[0], p[1], p[2], p[3]);
}
static inline uint2 load_two_words(const uint32_t *p)
{
	cudasim_yield();
	return make_uint2(p[0], p[1]);
}
static inline void store_tagged(uint64_t *p, uint32_t value, uint32_t tag)
{
	*p = (uint64_t)tag << 32 | value;
}
static inline uint64_t load_tagged(const uint64_t *p)
{
	cudasim_yield();
	return *p;
}
static inline ulonglong2 load_two_tagged(const uint64_t *p)
{
	cudasim_yield();
	return ulonglong2{p[0], p[1]};
}
static inline uint4 load_l2(const void *p)
{
	return *(const uint4 *)p;
}
/* There is none; but the place must be the device's. */
static inline void bring_to_l2(const void *p, uint32_t bytes)
{
	const volatile uint8_t *first = (const uint8_t *)p;
	(void)first[0];
	(void)first[bytes - 1];
}
static inline void give_up(void)
{
	abort();
}
#define LAUNCH_TOGETHER(kernel, grid, block, shared, stream, args) \
	(LAUNCH(kernel, grid, block, shared, stream, args), cudaGetLastError())

#endif
