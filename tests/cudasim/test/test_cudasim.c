/*
 * The emulator itself: that right kernels give right numbers in every order of threads, and that each kind of
 * wrong kernel or wrong host code it claims to find is found.
 */
#include "device_memory.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/half.h"
#include "test/kernels.h"

enum { N = 64, N_SEEDS = 20 };

static float in[N];

/* Runs a kernel of 64 threads over in; out (N) is the result. */
static void run(enum test_kernel kernel, uint64_t seed, float *out)
{
	set_schedule(seed);
	float *din = on_device(in, sizeof in), *dout = on_device(NULL, sizeof in);
	const struct test_args a = {din, dout, N};
	unsigned threads = kernel == TEST_REVERSE_WARP || kernel == TEST_REVERSE_WARP_RACE ? 32 : N;
	assert_int_equal(test_launch(kernel, &a, 1, threads, sizeof in, test_stream()), cudaSuccess);
	finish();
	assert_int_equal(cudaMemcpy(out, dout, sizeof in, cudaMemcpyDeviceToHost), cudaSuccess);
	cudaFree(din);
	cudaFree(dout);
	set_schedule(0);
}

/* In how many of N_SEEDS schedules thread i's result is not in[xor of i and mask]. */
static unsigned n_wrong(enum test_kernel kernel, unsigned n, unsigned mask)
{
	unsigned wrong = 0;
	for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
		float out[N];
		bool good = true;
		run(kernel, seed * 77, out);
		for (unsigned i = 0; i < n; i++)
			good = good && out[i] == in[i ^ mask];
		wrong += !good;
	}
	return wrong;
}

static void barriers_and_races(void **state)
{
	(void)state;
	assert_int_equal(n_wrong(TEST_REVERSE, 64, 63), 0);
	assert_int_equal(n_wrong(TEST_REVERSE_WARP, 32, 31), 0);
	assert_true(n_wrong(TEST_REVERSE_RACE, 64, 63) > N_SEEDS / 2);
	assert_true(n_wrong(TEST_REVERSE_WARP_RACE, 32, 31) > N_SEEDS / 2);
}

static void warp_operations(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
		float out[N];
		run(TEST_SHUFFLES, seed, out);
		for (unsigned w = 0; w < 2; w++) {
			float sum = 0, all = 0;
			for (unsigned i = 0; i < 32; i++)
				all += in[w * 32 + i];
			for (unsigned i = 0; i < 32; i++) {
				unsigned vote = (w * 32 + 31) % 3 == 0;
				sum += in[w * 32 + i];
				assert_true(out[w * 32 + i] ==
					    sum + 1000 * in[w * 32 + (i ^ 5)] + 100000 * all + (float)vote);
			}
		}
		run(TEST_EARLY_END, seed, out);
		for (unsigned i = 0; i < N; i++)
			assert_true(i % 2 ? isnan(out[i]) : out[i] == in[i]);
	}
}

/* What ends the process ends this one: true if fn did not come back. */
static bool dies(enum test_kernel kernel)
{
	fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		float out[N];
		signal(SIGABRT, SIG_DFL);
		signal(SIGSEGV, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		run(kernel, 0, out);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status);
}

static void broken_kernels_die(void **state)
{
	(void)state;
	assert_false(dies(TEST_REVERSE));
	assert_true(dies(TEST_DIVERGENT_SHUFFLE));
	assert_true(dies(TEST_DEADLOCK));
	assert_true(dies(TEST_BEYOND));
	assert_true(dies(TEST_BEYOND_SHARED));
}

static void shared_memory_is_fresh(void **state)
{
	(void)state;
	float *out = on_device(NULL, 3 * sizeof *out);
	const struct test_args a = {NULL, out, 0};
	assert_int_equal(test_launch(TEST_READ_SHARED, &a, 3, 1, 4, test_stream()), cudaSuccess);
	finish();
	float *got = from_device(out, 3 * sizeof *got);
	assert_true(isnan(got[0]) && isnan(got[1]) && isnan(got[2]));
	free(got);
	cudaFree(out);
}

static void launches_out_of_range(void **state)
{
	(void)state;
	const struct test_args a = {0};
	cudaStream_t s = test_stream();
	assert_int_equal(test_launch(TEST_REVERSE, &a, 0, 1, 0, s), cudaErrorInvalidConfiguration);
	assert_int_equal(test_launch(TEST_REVERSE, &a, 1, 0, 0, s), cudaErrorInvalidConfiguration);
	assert_int_equal(test_launch(TEST_REVERSE, &a, 1, 1025, 0, s), cudaErrorInvalidConfiguration);
	assert_int_equal(test_launch(TEST_REVERSE, &a, 1, 1, (48 << 10) + 1, s),
			 cudaErrorInvalidConfiguration);
	assert_int_equal(test_launch(TEST_REVERSE, &a, 1, 1, (227 << 10) + 1, s), cudaErrorInvalidValue);
	assert_int_equal(test_launch(TEST_REVERSE, &a, 1, 1, 0, NULL), cudaErrorInvalidResourceHandle);
	assert_int_equal(cudaGetLastError(), cudaSuccess);
}

/* Shared memory beyond what a kernel has unasked, to the last byte that there is. */
static void large_shared(void **state)
{
	(void)state;
	float *out = on_device(NULL, sizeof *out);
	const struct test_args a = {NULL, out, 0};
	assert_int_equal(test_launch(TEST_READ_SHARED, &a, 1, 1, 227 << 10, test_stream()), cudaSuccess);
	finish();
	float *got = from_device(out, sizeof *got);
	assert_true(isnan(got[0]));
	free(got);
	cudaFree(out);
}

/* What products.cpp says a step of a chain is, one product after another. */
static float chain(float c, const float *ab, size_t row, size_t column)
{
	const double cut = 0x1.8p36;
	double high = 0, low = 0;
	for (size_t k = 0; k < 16; k++) {
		double p = (double)ab[16 * row + k] * (double)ab[256 + 8 * k + column], h = (p + cut) - cut;
		high += h;
		low += p - h;
	}
	return (float)((double)c + (high + low));
}

/* A tensor-core product of halves whose sizes span 2^spread: exact but for the rounding, and no order of its
 * products shows. */
static void check_mma(int spread, bool cancels)
{
	float ab[16 * 16 + 16 * 8], start[16 * 8];
	for (uint32_t i = 0; i < sizeof ab / sizeof ab[0]; i++) {
		int size = (int)(i * 7 % (unsigned)(spread + 1)) - (spread > 15 ? 15 : spread);
		ab[i] = !cancels && i % 11 ? f32_from_f16(f16_from_f32(ldexpf(noise(5, i), size))) : 0;
	}
	for (uint32_t i = 0; i < sizeof start / sizeof start[0]; i++)
		start[i] = noise(6, i);
	/* large products that cancel, and what is then left, to its last bit */
	for (uint32_t k = 0; cancels && k < 9; k += 3)
		ab[k] = ab[256 + 8 * k] = ldexpf(1 + 0x1p-10f, k == 6 ? -spread / 2 : (spread + 1) / 2);
	if (cancels)
		ab[0] = -ab[0], start[0] = 0;
	float *dab = on_device(ab, sizeof ab);
	for (int permuted = 0; permuted < 2; permuted++) {
		float *out = on_device(start, sizeof start);
		const struct test_args a = {dab, out, 0};
		set_schedule((uint64_t)permuted);
		assert_int_equal(
			test_launch(permuted ? TEST_MMA_PERMUTED : TEST_MMA, &a, 1, 32, 0, test_stream()),
			cudaSuccess);
		finish();
		float *got = from_device(out, sizeof start);
		for (size_t i = 0; i < 16 * 8; i++) {
			float want = chain(start[i], ab, i / 8, i % 8);
			assert_memory_equal(&got[i], &want, sizeof want);
		}
		free(got);
		cudaFree(out);
	}
	cudaFree(dab);
	set_schedule(0);
}

static void mma(void **state)
{
	(void)state;
	for (int spread = 0; spread < 30; spread++)
		for (int cancels = 0; cancels < 2; cancels++)
			check_mma(spread, cancels);
}

/* The emulator's conversions are base/half.h's, at every half and wherever a float's rounding changes. */
static void halves(void **state)
{
	(void)state;
	for (uint32_t h = 0; h < 0x10000; h++) {
		float want = f32_from_f16((uint16_t)h), got = test_float_of_half((uint16_t)h);
		if (isnan(want)) {
			assert_true(isnan(got));
			continue;
		}
		assert_memory_equal(&got, &want, sizeof want);
		float next = f32_from_f16((uint16_t)(h + 1)),
		      middle = isfinite(next) ? (want + next) / 2 : want;
		const float tries[] = {want, middle, nextafterf(middle, INFINITY),
				       nextafterf(middle, -INFINITY)};
		for (int i = 0; i < 4; i++)
			assert_int_equal(test_half_of_float(tries[i]), f16_from_f32(tries[i]));
	}
	const float most[] = {65504,    65519.99f,       65520,     1e30f, INFINITY,
			      0x1p-25f, 0x1.000002p-25f, 0x1p-149f, -0.0f};
	for (size_t i = 0; i < sizeof most / sizeof most[0]; i++) {
		assert_int_equal(test_half_of_float(most[i]), f16_from_f32(most[i]));
		assert_int_equal(test_half_of_float(-most[i]), f16_from_f32(-most[i]));
	}
	assert_int_equal(test_half_of_float(NAN), 0x7FFF);
}

/* A pinned buffer that is changed before the copy ran gives the changed bytes; a pageable one does not. */
static void streams_are_lazy(void **state)
{
	(void)state;
	int *pinned = NULL, *to = on_device(NULL, sizeof *to), pageable = 1;
	assert_int_equal(cudaMallocHost((void **)&pinned, sizeof *pinned), cudaSuccess);
	*pinned = 1;
	assert_int_equal(cudaMemcpyAsync(to, pinned, 4, cudaMemcpyHostToDevice, test_stream()), cudaSuccess);
	*pinned = 2;
	finish();
	int *got = from_device(to, 4);
	assert_int_equal(*got, 2);
	free(got);
	assert_int_equal(cudaMemcpyAsync(to, &pageable, 4, cudaMemcpyHostToDevice, test_stream()),
			 cudaSuccess);
	pageable = 2;
	finish();
	got = from_device(to, 4);
	assert_int_equal(*got, 1);
	free(got);
	cudaStream_t other;
	cudaEvent_t event;
	assert_int_equal(cudaStreamCreateWithFlags(&other, 0), cudaSuccess);
	assert_int_equal(cudaEventCreateWithFlags(&event, 0), cudaSuccess);
	*pinned = 7;
	assert_int_equal(cudaMemcpyAsync(to, pinned, 4, cudaMemcpyHostToDevice, test_stream()), cudaSuccess);
	assert_int_equal(cudaEventRecord(event, test_stream()), cudaSuccess);
	assert_int_equal(cudaStreamWaitEvent(other, event, 0), cudaSuccess);
	assert_int_equal(cudaMemcpyAsync(pinned, to, 4, cudaMemcpyDeviceToHost, other), cudaSuccess);
	assert_int_equal(cudaStreamSynchronize(other), cudaSuccess);
	assert_int_equal(*pinned, 7);
	cudaEventDestroy(event);
	cudaStreamDestroy(other);
	cudaFreeHost(pinned);
	cudaFree(to);
}

static void memory_rules(void **state)
{
	(void)state;
	char host[16] = {0}, *device = on_device(NULL, 10);
	struct cudaPointerAttributes at;
	assert_int_equal(cudaMemcpy(device, host, 11, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
	assert_int_equal(cudaMemcpy(device, device, 5, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
	assert_int_equal(cudaMemcpy(host, host, 5, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
	assert_int_equal(cudaPointerGetAttributes(&at, device + 9), cudaSuccess);
	assert_int_equal(at.type, cudaMemoryTypeDevice);
	assert_int_equal(cudaPointerGetAttributes(&at, host), cudaSuccess);
	assert_int_equal(at.type, cudaMemoryTypeUnregistered);
	assert_int_equal(cudaFree(device + 1), cudaErrorInvalidValue);
	assert_int_equal(cudasim_live_bytes(), 10);
	assert_int_equal(cudaFree(device), cudaSuccess);
	assert_int_equal(cudasim_live_bytes(), 0);
	struct cudasim_settings plain, s;
	void *p;
	cudasim_get(&plain);
	s = plain;
	s.vram_bytes = 1000;
	cudasim_set(&s);
	assert_int_equal(cudaMalloc(&p, 1001), cudaErrorMemoryAllocation);
	assert_int_equal(cudaMalloc(&p, 1000), cudaSuccess);
	assert_int_equal(cudaFree(p), cudaSuccess);
	cudasim_set(&plain);
	cudaGetLastError();
}

int main(void)
{
	for (unsigned i = 0; i < N; i++)
		in[i] = (float)(i * i % 101 + 1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(barriers_and_races),
		cmocka_unit_test(warp_operations),
		cmocka_unit_test(broken_kernels_die),
		cmocka_unit_test(shared_memory_is_fresh),
		cmocka_unit_test(launches_out_of_range),
		cmocka_unit_test(large_shared),
		cmocka_unit_test(mma),
		cmocka_unit_test(halves),
		cmocka_unit_test(streams_are_lazy),
		cmocka_unit_test(memory_rules),
	};
	return cmocka_run_group_tests_name("cudasim", tests, NULL, NULL);
}
