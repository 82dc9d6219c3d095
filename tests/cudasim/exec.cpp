/*
 * Runs one kernel: the threads of a block are fibers on one thread of the machine. A fiber runs until it
 * waits (for its block or its warp) or ends; so between two such points threads do not interleave, but their
 * order is free, and with a seed it is random: lanes within a warp, warps within a block, blocks within the
 * grid. A kernel that lacks a barrier then gives other bits for other seeds.
 *
 * Shared memory is all dynamic, freshly poisoned for each block (0xFF: NaN as floats) and ends at a guard.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emulator.h"

#ifndef __x86_64__
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
enum { STACK_BYTES = 128 << 10 };
#else
enum { STACK_BYTES = 64 << 10 };
#endif
enum { N_BARRIERS = 16 };
enum {
	WARP = 32,
	MAX_THREADS = CUDASIM_MAX_CLUSTER * CUDASIM_MAX_THREADS,
	MAX_WARPS = MAX_THREADS / WARP,
	GUARD = 4096
};
const uint64_t MAX_YIELDS = 100000000;

struct cudasim_thread *cudasim_now;
dim3 cudasim_block, cudasim_block_dim, cudasim_grid_dim;

namespace
{

#ifdef __x86_64__
struct context {
	void *sp;
};
#else
struct context {
	ucontext_t u;
};
#endif

struct fiber {
	struct cudasim_thread t; /* first: cudasim_now points at it */
	unsigned index, shuffles;
	struct context context;
	char *stack;
};

/* Lanes as bits. Every living lane is in exactly one of ready, at_warp, at_block. */
struct warp {
	unsigned living, ready, at_warp, at_block;
	unsigned mask; /* what the lanes at_warp wait for */
	unsigned yielded_to;
	unsigned at_barrier[N_BARRIERS]; /* of those with a number */
	unsigned ballots[2];
	uint64_t slots[2][WARP];
};

struct fiber fibers[MAX_THREADS];
struct warp warps[MAX_WARPS];
struct context scheduler;
const struct cudasim_kernel *kernel;
unsigned n_warps, n_living, n_at_block;
unsigned char *shared_end;
unsigned char *shared_base;
uint64_t random_state;
uint64_t n_yields; /* of the block */
unsigned n_at_barrier[N_BARRIERS];

#ifdef __x86_64__
/* Saves what the calling convention lets a function keep, changes stacks, takes it back there. It returns, on
 * a stack that it was not called on: the lanes of a warp mostly wait in the same place, to which the
 * processor expects a return (a jump instead, which leaves that expectation to the caller's own return, made
 * whole models a fifth slower). */
__attribute__((naked, noinline)) void change_stack(void **, void *)
{
	__asm__("pushq %rbp\n\tpushq %rbx\n\tpushq %r12\n\tpushq %r13\n\tpushq %r14\n\tpushq %r15\n\t"
		"movq %rsp, (%rdi)\n\tmovq %rsi, %rsp\n\t"
		"popq %r15\n\tpopq %r14\n\tpopq %r13\n\tpopq %r12\n\tpopq %rbx\n\tpopq %rbp\n\tret");
}
inline void change(struct context *from, struct context *to)
{
	change_stack(&from->sp, to->sp);
}
#else
inline void change(struct context *from, struct context *to)
{
	swapcontext(&from->u, &to->u);
}
#endif

uint32_t random_below(uint32_t n)
{
	random_state += 0x9E3779B97F4A7C15u; /* SplitMix64 (Steele, Lea, Flood 2014) */
	uint64_t z = random_state;
	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
	z = (z ^ z >> 27) * 0x94D049BB133111EBu;
	return (uint32_t)(((z ^ z >> 31) >> 32) * n >> 32);
}

__attribute__((noreturn)) void broken(const char *what)
{
	const struct fiber *f = (const struct fiber *)cudasim_now;
	fprintf(stderr, "cudasim: kernel %s, block (%u, %u, %u), thread %u: %s\n", kernel->name,
		cudasim_block.x, cudasim_block.y, cudasim_block.z, f->index, what);
	for (unsigned w = 0; w < n_warps; w++)
		fprintf(stderr, "  warp %u: living %08x, waiting for the warp %08x, for the block %08x\n", w,
			warps[w].living, warps[w].at_warp, warps[w].at_block);
	abort();
}

/* The first ready lane after `after`, and round. */
inline struct fiber *following_lane(unsigned w, unsigned after)
{
	unsigned ready = warps[w].ready, later = ready & ~1u << after;
	return &fibers[w * WARP + (unsigned)__builtin_ctz(later ? later : ready)];
}

struct fiber *choose_lane(unsigned w, unsigned after)
{
	if (!random_state)
		return following_lane(w, after);
	unsigned ready = warps[w].ready;
	for (unsigned skip = random_below((uint32_t)__builtin_popcount(ready)); skip; skip--)
		ready &= ready - 1;
	return &fibers[w * WARP + (unsigned)__builtin_ctz(ready)];
}

/* The next thread to run: of the same warp while one is ready, of any warp otherwise (with a seed: at times
 * of any warp). NULL: all have ended. */
struct fiber *choose(const struct fiber *last)
{
	unsigned w = last->index / WARP;
	bool move = random_state && random_below(8) == 0;
	if (warps[w].ready && !move)
		return choose_lane(w, last->index % WARP);
	unsigned first = random_state ? random_below(n_warps) : w;
	for (unsigned i = 0; i < n_warps; i++) {
		unsigned other = (first + i) % n_warps;
		if (warps[other].ready)
			return choose_lane(other, 31);
	}
	if (n_living)
		broken("deadlock: some threads wait for others that will never come");
	return NULL;
}

inline void run_next(struct fiber *self)
{
	unsigned w = self->index / WARP;
	struct fiber *next = warps[w].ready && !random_state ? following_lane(w, self->t.lane) : choose(self);
	if (next == self)
		return;
	cudasim_now = next ? &next->t : NULL;
	change(&self->context, next ? &next->context : &scheduler);
}

void release_block(void)
{
	for (unsigned w = 0; w < n_warps; w++) {
		warps[w].ready |= warps[w].at_block;
		warps[w].at_block = 0;
	}
	n_at_block = 0;
}

void release_warp(struct warp *w)
{
	if (w->at_warp && (w->at_warp & w->mask) == w->mask) {
		w->ready |= w->at_warp;
		w->at_warp = 0;
	}
}

/* Inlined into every operation of a warp: most of an emulated kernel's time is spent here. */
__attribute__((always_inline)) inline void sync_warp(struct fiber *self, unsigned mask)
{
	struct warp *w = &warps[self->index / WARP];
	unsigned bit = 1u << self->t.lane;
	if (!(mask & bit))
		broken("is not in the mask of its own warp operation");
	if (mask & ~w->living)
		broken("waits for lanes of its warp that have ended or never were");
	if (w->at_warp && w->mask != mask)
		broken("waits for other lanes than the lanes that wait already");
	w->mask = mask;
	w->ready &= ~bit;
	w->at_warp |= bit;
	release_warp(w);
	run_next(self);
}

/* Two sets of places: a lane that is ahead writes the other set, and cannot come round before all have read.
 */
__attribute__((always_inline)) inline const uint64_t *gather(unsigned mask, uint64_t value)
{
	struct fiber *self = (struct fiber *)cudasim_now;
	uint64_t *slots = warps[self->index / WARP].slots[self->shuffles++ & 1];
	slots[self->t.lane] = value;
	sync_warp(self, mask);
	return slots;
}

void fiber_main(void)
{
	struct fiber *self = (struct fiber *)cudasim_now;
	kernel->body(kernel->kernel, kernel->args);
	struct warp *w = &warps[self->index / WARP];
	unsigned bit = 1u << self->t.lane;
	w->living &= ~bit;
	w->ready &= ~bit;
	if (w->at_warp & w->mask && w->mask & bit)
		broken("ended while lanes of its warp wait for it");
	if (--n_living && n_at_block == n_living)
		release_block(); /* threads that ended count as arrived */
	run_next(self);
	abort(); /* nobody runs a fiber that ended */
}

void prepare(struct fiber *f)
{
	if (!f->stack) {
		void *p = mmap(NULL, STACK_BYTES + GUARD, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED || mprotect(p, GUARD, PROT_NONE) != 0)
			cudasim_die("no memory for a thread's stack");
		f->stack = (char *)p + GUARD;
	}
#ifdef __x86_64__
	/* not all at the same place of a page, where they would contend for the same lines of the cache */
	void **top = (void **)(void *)(f->stack + STACK_BYTES - 64 - f->index * 320 % 4096);
	top[0] = (void *)fiber_main; /* where ret goes; above it the place of a return address, aligned as
					after a call */
	top[1] = NULL;
	f->context.sp = top - 6;
#else
	getcontext(&f->context.u);
	f->context.u.uc_stack.ss_sp = f->stack;
	f->context.u.uc_stack.ss_size = STACK_BYTES;
	f->context.u.uc_link = NULL;
	makecontext(&f->context.u, fiber_main, 0);
#endif
}

void run_block(void)
{
	unsigned n = cudasim_block_dim.x;
	n_warps = (n + WARP - 1) / WARP;
	n_living = n;
	n_at_block = 0;
	n_yields = 0;
	memset(n_at_barrier, 0, sizeof n_at_barrier);
	for (unsigned w = 0; w < n_warps; w++) {
		unsigned lanes = n - w * WARP < WARP ? (1u << (n - w * WARP)) - 1 : ~0u;
		warps[w].living = warps[w].ready = lanes;
		warps[w].at_warp = warps[w].at_block = 0;
		memset(warps[w].at_barrier, 0, sizeof warps[w].at_barrier);
	}
	for (unsigned i = 0; i < n; i++) {
		struct fiber *f = &fibers[i];
		f->index = i;
		prepare(f);
		f->shuffles = 0;
		f->t.thread = dim3(i, 0, 0);
		f->t.lane = i % WARP;
	}
	cudasim_poison(shared_base, (size_t)(shared_end - shared_base));
	struct fiber *first = choose(&fibers[0]);
	cudasim_now = &first->t;
	change(&scheduler, &first->context);
}

/* Shared memory's end (to 16 bytes) lies at a page that nobody may touch. */
void place_shared(size_t bytes)
{
	static unsigned char *guard;
	if (!guard) {
		size_t most = ((size_t)CUDASIM_MAX_CLUSTER * CUDASIM_MAX_SHARED + GUARD - 1) / GUARD * GUARD;
		void *p =
			mmap(NULL, most + GUARD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			cudasim_die("no memory for shared memory");
		guard = (unsigned char *)p + most;
		mprotect(guard, GUARD, PROT_NONE);
	}
	shared_end = guard;
	shared_base = guard - (bytes + 15) / 16 * 16;
}

} // namespace

void cudasim_die(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fprintf(stderr, "cudasim: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	abort();
}

void cudasim_execute(const struct cudasim_kernel *k, uint64_t seed)
{
	kernel = k;
	random_state = seed;
	cudasim_grid_dim = k->grid;
	cudasim_block_dim = k->block;
	place_shared(k->shared_bytes);
	uint64_t n = (uint64_t)k->grid.x * k->grid.y * k->grid.z;
	/* A random order of blocks: a step coprime to their number, from a random start. */
	uint64_t at = seed ? random_below((uint32_t)(n < UINT32_MAX ? n : UINT32_MAX)) : 0, step = 1;
	if (seed && n > 2)
		for (step = 1 + random_below((uint32_t)(n - 1));;) {
			uint64_t a = step, b = n;
			while (b) {
				uint64_t rest = a % b;
				a = b;
				b = rest;
			}
			if (a == 1)
				break;
			step = step % (n - 1) + 1;
		}
	for (uint64_t i = 0; i < n; i++, at = (at + step) % n) {
		cudasim_block = dim3((unsigned)(at % k->grid.x), (unsigned)(at / k->grid.x % k->grid.y),
				     (unsigned)(at / k->grid.x / k->grid.y));
		run_block();
	}
	cudasim_now = NULL;
}

void cudasim_syncthreads(void)
{
	struct fiber *self = (struct fiber *)cudasim_now;
	struct warp *w = &warps[self->index / WARP];
	w->ready &= ~(1u << self->t.lane);
	w->at_block |= 1u << self->t.lane;
	if (++n_at_block == n_living)
		release_block();
	run_next(self);
}

void cudasim_barrier(unsigned id, unsigned n_threads)
{
	struct fiber *self = (struct fiber *)cudasim_now;
	if (id >= N_BARRIERS || n_threads % WARP)
		broken("a barrier has a number below 16 and whole warps");
	warps[self->index / WARP].ready &= ~(1u << self->t.lane);
	warps[self->index / WARP].at_barrier[id] |= 1u << self->t.lane;
	if (++n_at_barrier[id] == n_threads) {
		for (unsigned w = 0; w < n_warps; w++) {
			warps[w].ready |= warps[w].at_barrier[id];
			warps[w].at_barrier[id] = 0;
		}
		n_at_barrier[id] = 0;
	}
	run_next(self);
}

void cudasim_syncwarp(unsigned mask)
{
	sync_warp((struct fiber *)cudasim_now, mask);
}

void cudasim_yield(void)
{
	struct fiber *self = (struct fiber *)cudasim_now;
	unsigned own = self->index / WARP;
	if (++n_yields > MAX_YIELDS)
		broken("waits for memory that nobody will write");
	for (unsigned i = 1; i <= n_warps; i++) {
		unsigned w = (own + i) % n_warps;
		if (!warps[w].ready)
			continue;
		struct fiber *next = choose_lane(w, warps[w].yielded_to);
		warps[w].yielded_to = next->t.lane; /* everybody gets a turn */
		if (next != self) {
			cudasim_now = &next->t;
			change(&self->context, &next->context);
		}
		return;
	}
}

const uint64_t *cudasim_gather(unsigned mask, uint64_t value)
{
	return gather(mask, value);
}

uint64_t cudasim_shuffle(unsigned mask, uint64_t value, unsigned from)
{
	if (!(mask >> from & 1))
		broken("asks for the value of a lane outside the mask");
	return gather(mask, value)[from];
}

unsigned cudasim_ballot(unsigned mask, bool set)
{
	struct fiber *self = (struct fiber *)cudasim_now;
	struct warp *w = &warps[self->index / WARP];
	unsigned *votes = &w->ballots[self->shuffles++ & 1];
	if (!w->at_warp) /* the first to come */
		*votes = 0;
	if (set)
		*votes |= 1u << self->t.lane;
	sync_warp(self, mask);
	return *votes;
}

unsigned cudasim_cluster(void)
{
	return kernel->cluster;
}

void *cudasim_shared(void)
{
	return shared_base;
}
