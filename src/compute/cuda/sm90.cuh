/*
 * What tile products ask of a Hopper beyond ptx.cuh: barriers in shared memory, copies that arrive at them, and
 * products by warpgroups (wgmma), one small function each, with a twin for the emulator. The rules of ptx.cuh
 * hold here too. For sm_90a alone.
 *
 * Barriers (mbarrier): a barrier is in phase 0, 1, 0, ...; a phase ends when as many have arrived as barrier_init
 * said and as many bytes have come as barrier_expect said; barrier_wait(b, p) returns once phase p has ended (so
 * that with p = 1 it does not wait the first time).
 */
#ifndef COMPUTE_CUDA_SM90_CUH
#define COMPUTE_CUDA_SM90_CUH

#include "compute/cuda/ptx.cuh"

#ifdef CUDASIM
#include "twins/sm90.cuh" /* tests/cudasim */
#else

#include <cuda.h>

#define GRID_CONSTANT __grid_constant__

struct tensor_map {
	CUtensorMap map;
};

/* An address in shared memory: half as wide as a pointer, and known to be uniform where its parts are. */
typedef uint32_t shared_place;
static __device__ __forceinline__ shared_place place_in_shared(const void *p)
{
	return shared_offset(p);
}
/* True for one lane of the (whole) warp. */
static __device__ __forceinline__ bool elected(void)
{
	uint32_t yes;
	asm volatile("{\n\t.reg .pred p;\n\telect.sync _|p, 0xFFFFFFFF;\n\tselp.b32 %0, 1, 0, p;\n\t}" : "=r"(yes));
	return yes;
}
/* x, which all lanes of the warp have alike. */
static __device__ __forceinline__ uint32_t warp_uniform(uint32_t x)
{
	return __shfl_sync(FULL_WARP, x, 0);
}

static __device__ __forceinline__ void barrier_init(shared_place b, uint32_t count)
{
	asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(b), "r"(count) : "memory");
}
/* Once all are made: copies may arrive at them. */
static __device__ __forceinline__ void barrier_init_done(void)
{
	asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
	asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
/* What this thread wrote to shared memory is there for products by warpgroups, after a __syncthreads. */
static __device__ __forceinline__ void shared_written(void)
{
	asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
static __device__ __forceinline__ void barrier_arrive(shared_place b)
{
	asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(b) : "memory");
}
/* Arrives, and says how many bytes are to come in this phase. */
static __device__ __forceinline__ void barrier_expect(shared_place b, uint32_t bytes)
{
	asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(b), "r"(bytes)
		     : "memory");
}
static __device__ __forceinline__ void barrier_wait(shared_place b, uint32_t phase)
{
	asm volatile("{\n\t.reg .pred p;\n"
		     "again:\n\tmbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n\t"
		     "@p bra done;\n\tbra again;\ndone:\n\t}" ::"r"(b),
		     "r"(phase)
		     : "memory");
}
/* Brings bytes (whole sixteens) to shared memory; they count at the barrier. */
static __device__ __forceinline__ void copy_bulk(shared_place to, const void *from, uint32_t bytes, shared_place b)
{
	asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to),
		     "l"(__cvta_generic_to_global(from)), "r"(bytes), "r"(b)
		     : "memory");
}
/* Brings the box of 64 halves x box_rows at (col, row), swizzled by 128 bytes; outside the matrix it is zeros. */
static __device__ __forceinline__ void copy_box(shared_place to, const struct tensor_map *m, uint32_t col, uint32_t row,
						shared_place b)
{
	asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
		     "[%0], [%1, {%2, %3}], [%4];" ::"r"(to),
		     "l"(&m->map), "r"(col), "r"(row), "r"(b)
		     : "memory");
}
/* Four bytes; barrier_arrive_copied() arrives once all that this thread copied so have come. */
static __device__ __forceinline__ void copy_word(shared_place to, const void *from)
{
	asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(to),
		     "l"(__cvta_generic_to_global(from))
		     : "memory");
}
static __device__ __forceinline__ void barrier_arrive_copied(shared_place b)
{
	asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(b) : "memory");
}
/* Takes or gives registers, a whole warpgroup at a time. */
template <int REGISTERS> static __device__ __forceinline__ void registers_up(void)
{
	asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(REGISTERS));
}
template <int REGISTERS> static __device__ __forceinline__ void registers_down(void)
{
	asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(REGISTERS));
}

/* Products run behind: fence before the first of a group, commit after the last, wait until at most LEFT groups
 * are under way; settle keeps the compiler from reading sums before that. */
static __device__ __forceinline__ void wgmma_fence(void)
{
	asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
static __device__ __forceinline__ void wgmma_commit(void)
{
	asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int LEFT> static __device__ __forceinline__ void wgmma_wait(void)
{
	asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory");
}
template <int N> static __device__ __forceinline__ void wgmma_settle(float (&d)[N / 2])
{
#pragma unroll
	for (int i = 0; i < N / 2; i++)
		asm volatile("" : "+f"(d[i])::"memory");
}

/* The registers of operand A are all there before the fence. */
static __device__ __forceinline__ void wgmma_operand(uint32_t (&a)[8])
{
#pragma unroll
	for (int i = 0; i < 8; i++)
		asm volatile("" : "+r"(a[i])::"memory");
}

/* Where a k16 of a swizzled box starts, as wgmma wants it: 8 rows lie 1024 bytes apart. */
typedef uint64_t wgmma_box;
static __device__ __forceinline__ wgmma_box wgmma_box_of(shared_place b)
{
	return (uint64_t)(b >> 4) | (uint64_t)1 << 16 | (uint64_t)64 << 32 | (uint64_t)1 << 62;
}
static __device__ __forceinline__ wgmma_box wgmma_box_plus(wgmma_box b, uint32_t bytes)
{
	return b + (bytes >> 4);
}

#define WGMMA_D4(i)  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define WGMMA_D16(i) WGMMA_D4(i), WGMMA_D4(i + 4), WGMMA_D4(i + 8), WGMMA_D4(i + 12)
#define WGMMA_D32(i) WGMMA_D16(i), WGMMA_D16(i + 16)
#define WGMMA_0 \
	"%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
#define WGMMA_16 \
	"%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
#define WGMMA_32 \
	"%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
#define WGMMA_48 \
	"%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63,"
#define WGMMA_64 \
	"%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,"
#define WGMMA_80 \
	"%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95,"

/* d (64 rows x N) = the warpgroup's a (four registers a lane, 64 rows x 16) * b (N rows, 16 halves each)^T, added to
 * what d holds if add. Lane (g, t) of warp w holds d[4 j + 2 h + e] of row 16 w + 8 h + g, column 8 j + 2 t + e. */
template <int N>
static __device__ __forceinline__ void wgmma(float (&d)[N / 2], const uint32_t *a, wgmma_box b, bool add);

#define WGMMA(N, TEXT, A0, A1, A2, A3, B, ADD, ...)                                                             \
	template <>                                                                                            \
	__device__ __forceinline__ void wgmma<N>(float (&d)[N / 2], const uint32_t *a, wgmma_box b, bool add) \
	{                                                                                                      \
		asm volatile("{\n\t.reg .pred p;\n\tsetp.ne.b32 p, %" #ADD ", 0;\n\t"                            \
			     "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32.f16.f16 {" TEXT "}, "             \
			     "{%" #A0 ", %" #A1 ", %" #A2 ", %" #A3 "}, %" #B ", p, 1, 1, 0;\n\t}"             \
			     : __VA_ARGS__                                                                     \
			     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b),                                \
			       "r"((uint32_t)add));                                                            \
	}

WGMMA(8, "%0,%1,%2,%3",
      4, 5, 6, 7, 8, 9, WGMMA_D4(0))
WGMMA(16, "%0,%1,%2,%3,%4,%5,%6,%7",
      8, 9, 10, 11, 12, 13, WGMMA_D4(0), WGMMA_D4(4))
WGMMA(32, "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15",
      16, 17, 18, 19, 20, 21, WGMMA_D16(0))
WGMMA(64, WGMMA_0 "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31",
      32, 33, 34, 35, 36, 37, WGMMA_D32(0))
WGMMA(96, WGMMA_0 WGMMA_16 "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47",
      48, 49, 50, 51, 52, 53, WGMMA_D32(0), WGMMA_D16(32))
WGMMA(112, WGMMA_0 WGMMA_16 WGMMA_32 "%48,%49,%50,%51,%52,%53,%54,%55",
      56, 57, 58, 59, 60, 61, WGMMA_D32(0), WGMMA_D16(32), WGMMA_D4(48), WGMMA_D4(52))
WGMMA(128, WGMMA_0 WGMMA_16 WGMMA_32 "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63",
      64, 65, 66, 67, 68, 69, WGMMA_D32(0), WGMMA_D32(32))
WGMMA(160, WGMMA_0 WGMMA_16 WGMMA_32 WGMMA_48 "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79",
      80, 81, 82, 83, 84, 85, WGMMA_D32(0), WGMMA_D32(32), WGMMA_D16(64))
WGMMA(192, WGMMA_0 WGMMA_16 WGMMA_32 WGMMA_48 WGMMA_64 "%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95",
      96, 97, 98, 99, 100, 101, WGMMA_D32(0), WGMMA_D32(32), WGMMA_D32(64))
#undef WGMMA

#endif

/* Host. The map of a matrix of halves of `rows` rows, `pitch` halves each, for copies of boxes of box_rows rows. */
cudaError_t tensor_map_make(struct tensor_map *m, uint16_t *halves, uint32_t rows, uint32_t pitch, uint32_t box_rows);

#endif
