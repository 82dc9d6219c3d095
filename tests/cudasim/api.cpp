/*
 * Devices, memory and streams of the emulator.
 *
 * Streams are lazy: what is put into one runs only when the host waits for it, so a host that reuses a pinned
 * buffer too early, or forgets to wait, gets wrong numbers here as it may there. Device memory is fresh
 * poison (0xFF: NaN as floats), each allocation ends at a page that nobody may touch, and its bytes up to
 * there are checked when it is freed.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "emulator.h"

struct CUevent_st {
	bool pending = false; /* recorded, not reached yet */
	cudaStream_t stream = nullptr;
	double at_ms = 0;
};

struct operation {
	std::function<void()> run;
	cudaEvent_t wait = nullptr;
};

struct CUstream_st {
	std::deque<operation> queue;
	int device;
};

namespace
{

enum { PAGE = 4096, ALIGNMENT = 256 };

struct allocation {
	unsigned char *map;
	size_t map_bytes, bytes; /* map_bytes without the guard */
	int device;
};

struct state {
	struct cudasim_settings settings = {1, 90, (size_t)1 << 32, 0, 0, false, 13000, 0};
	std::map<uintptr_t, allocation> device, pinned;
	size_t device_bytes = 0, pinned_bytes = 0;
	std::vector<cudaStream_t> streams;
	std::set<const void *> loaded;                /* kernels that have run */
	std::map<const void *, size_t> shared_limits; /* of kernels that asked for more than usual */
	cudaError_t last = cudaSuccess, async = cudaSuccess;
	const char *fail_name = nullptr;
	unsigned fail_at = 0, fail_calls = 0, calls = 0, launches = 0;
	cudaError_t fail_error = cudaErrorLaunchFailure;
	unsigned evict_at = 0, questions = 0, hang_at = 0, copy_ms = 0;
	unsigned contexts = 0; /* bit i: of device i */
	char env_name[64];
};

size_t env_number(const char *name, size_t otherwise)
{
	const char *text = getenv(name);
	return text ? (size_t)strtoull(text, nullptr, 0) : otherwise;
}

state &sim(void)
{
	static state *s;
	if (s)
		return *s;
	s = new state;
	s->settings.n_devices = (unsigned)env_number("CUDASIM_DEVICES", s->settings.n_devices);
	s->settings.cc = (unsigned)env_number("CUDASIM_CC", s->settings.cc);
	s->settings.vram_bytes = env_number("CUDASIM_VRAM", s->settings.vram_bytes);
	s->settings.used_bytes = env_number("CUDASIM_USED", 0);
	s->settings.seed = env_number("CUDASIM_SEED", 0);
	s->settings.driver_version = (int)env_number("CUDASIM_DRIVER", 13000);
	s->evict_at = (unsigned)env_number("CUDASIM_EVICT", 0);
	s->copy_ms = (unsigned)env_number("CUDASIM_SLOW_COPY_MS", 0);
	s->hang_at = (unsigned)env_number("CUDASIM_HANG", 0);
	const char *fail = getenv("CUDASIM_FAIL"), *colon = fail ? strchr(fail, ':') : nullptr;
	if (colon) {
		snprintf(s->env_name, sizeof s->env_name, "%.*s", (int)(colon - fail), fail);
		s->fail_name = s->env_name;
		s->fail_at = (unsigned)strtoul(colon + 1, nullptr, 10);
	}
	return *s;
}

/* Any thread may call: one at a time is inside. Kernels run inside too. */
std::recursive_mutex entry;
#define LOCK std::lock_guard<std::recursive_mutex> lock(entry)

cudaError_t set(cudaError_t e)
{
	if (e)
		sim().last = e;
	return e;
}

/* True when this call is one that is to fail. */
bool injected(const char *name)
{
	state &s = sim();
	s.calls++;
	if (!s.fail_at || (s.fail_name && strcmp(s.fail_name, name) != 0))
		return s.fail_at && s.fail_calls >= s.fail_at; /* lost for everybody */
	return ++s.fail_calls >= s.fail_at;
}

/* The calling thread's device. */
thread_local int device_index = 0;

/* A call that needs no context. */
#define ASK(name)                                     \
	do {                                          \
		if (injected(name))                   \
			return set(sim().fail_error); \
	} while (0)

/* One that makes the context of the thread's device, where there is none. */
#define ENTER(name)                                   \
	do {                                          \
		sim().contexts |= 1u << device_index; \
		ASK(name);                            \
	} while (0)

cudaError_t check_driver(void)
{
	const cudasim_settings &c = sim().settings;
	if (c.driver_version < CUDART_VERSION)
		return set(cudaErrorInsufficientDriver);
	return c.n_devices ? cudaSuccess : set(cudaErrorNoDevice);
}

/* The allocation that holds p .. p + n - 1, or NULL. */
const allocation *find(const std::map<uintptr_t, allocation> &all, const void *p, size_t n)
{
	auto it = all.upper_bound((uintptr_t)p);
	if (it == all.begin())
		return nullptr;
	--it;
	uintptr_t from = (uintptr_t)p - it->first;
	return from <= it->second.bytes && n <= it->second.bytes - from ? &it->second : nullptr;
}

void protect(int how)
{
	for (auto &a : sim().device)
		mprotect(a.second.map, a.second.map_bytes, how);
}

void run_operation(operation &op)
{
	state &s = sim();
	if (s.settings.fence)
		protect(PROT_READ | PROT_WRITE);
	op.run();
	if (s.settings.fence)
		protect(PROT_NONE);
}

void drain(cudaStream_t stream);

void reach(cudaEvent_t e)
{
	while (e->pending && e->stream)
		drain(e->stream);
}

void drain(cudaStream_t stream)
{
	while (!stream->queue.empty()) {
		operation op = std::move(stream->queue.front());
		stream->queue.pop_front();
		if (op.wait)
			reach(op.wait);
		else
			run_operation(op);
	}
}

void drain_all(void)
{
	for (size_t i = 0; i < sim().streams.size(); i++)
		drain(sim().streams[i]);
}

bool known(cudaStream_t stream)
{
	for (cudaStream_t s : sim().streams)
		if (s == stream)
			return true;
	return false;
}

cudaError_t async_result(void)
{
	return set(sim().async);
}

/* Device memory that is not free. */
size_t used_bytes(void)
{
	const state &s = sim();
	return s.device_bytes + s.settings.used_bytes + s.loaded.size() * s.settings.kernel_bytes;
}

void *take(std::map<uintptr_t, allocation> &all, size_t n)
{
	allocation a;
	size_t room = (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	a.map_bytes = (room + PAGE - 1) / PAGE * PAGE;
	a.bytes = n;
	a.device = device_index;
	void *p = mmap(nullptr, a.map_bytes + PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return nullptr;
	a.map = (unsigned char *)p;
	mprotect(a.map + a.map_bytes, PAGE, PROT_NONE);
	cudasim_poison(a.map, a.map_bytes);
	unsigned char *start = a.map + a.map_bytes - room;
	all[(uintptr_t)start] = a;
	return start;
}

bool give(std::map<uintptr_t, allocation> &all, void *p)
{
	auto it = all.find((uintptr_t)p);
	if (it == all.end())
		return false;
	const allocation &a = it->second;
	mprotect(a.map, a.map_bytes, PROT_READ | PROT_WRITE);
	for (const unsigned char *b = (unsigned char *)p + a.bytes; b < a.map + a.map_bytes; b++)
		if (*b != CUDASIM_POISON)
			cudasim_die("something was written %zu bytes behind an allocation of %zu bytes",
				    (size_t)(b - (unsigned char *)p) - a.bytes, a.bytes);
	munmap(a.map, a.map_bytes + PAGE);
	all.erase(it);
	return true;
}

cudaError_t check_copy(const void *dst, const void *src, size_t n, cudaMemcpyKind kind)
{
	state &s = sim();
	bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
	bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
	if ((find(s.device, dst, n) != nullptr) != to_device ||
	    (find(s.device, src, n) != nullptr) != from_device)
		return cudaErrorInvalidValue;
	return cudaSuccess;
}

} // namespace

#define NAME_ROW(name, id, text) \
	case name:               \
		return #name;
#define TEXT_ROW(name, id, text) \
	case name:               \
		return text;

extern "C" {

const char *cudaGetErrorName(cudaError_t error)
{
	switch (error) {
		CUDASIM_ERRORS(NAME_ROW)
	}
	return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error)
{
	switch (error) {
		CUDASIM_ERRORS(TEXT_ROW)
	}
	return "unrecognized error code";
}

cudaError_t cudaGetLastError(void)
{
	LOCK;
	cudaError_t e = sim().last;
	sim().last = cudaSuccess;
	return e;
}

cudaError_t cudaGetDeviceCount(int *count)
{
	LOCK;
	*count = 0;
	ASK("cudaGetDeviceCount");
	if (cudaError_t e = check_driver())
		return e;
	*count = (int)sim().settings.n_devices;
	return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *prop, int device)
{
	LOCK;
	ASK("cudaGetDeviceProperties");
	const cudasim_settings &c = sim().settings;
	if (device < 0 || (unsigned)device >= c.n_devices)
		return set(cudaErrorInvalidDevice);
	memset(prop, 0, sizeof *prop);
	snprintf(prop->name, sizeof prop->name, "emulated device %d", device);
	prop->totalGlobalMem = c.vram_bytes;
	prop->major = (int)c.cc / 10;
	prop->minor = (int)c.cc % 10;
	prop->multiProcessorCount = 4;
	prop->cooperativeLaunch = 0; /* blocks run one after another */
	return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
	LOCK;
	ASK("cudaSetDevice");
	if (cudaError_t e = check_driver())
		return e;
	if (device < 0 || (unsigned)device >= sim().settings.n_devices)
		return set(cudaErrorInvalidDevice);
	device_index = device;
	sim().contexts |= 1u << device_index; /* since CUDA 12 */
	return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
	LOCK;
	*version = sim().settings.driver_version;
	return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
	LOCK;
	*version = CUDART_VERSION;
	return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
	LOCK;
	ENTER("cudaMemGetInfo");
	*total_bytes = sim().settings.vram_bytes;
	size_t used = used_bytes();
	*free_bytes = *total_bytes - (used < *total_bytes ? used : *total_bytes);
	return cudaSuccess;
}

cudaError_t cudaMalloc(void **p, size_t n)
{
	LOCK;
	state &s = sim();
	*p = nullptr;
	ENTER("cudaMalloc");
	size_t used = used_bytes();
	if (n > s.settings.vram_bytes || used > s.settings.vram_bytes - n)
		return set(cudaErrorMemoryAllocation);
	*p = take(s.device, n);
	if (!*p)
		return set(cudaErrorMemoryAllocation);
	s.device_bytes += n;
	if (s.settings.fence)
		protect(PROT_NONE);
	return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
	LOCK;
	state &s = sim();
	if (!p)
		return cudaSuccess;
	drain_all();
	const allocation *a = find(s.device, p, 0);
	size_t n = a ? a->bytes : 0;
	if (!give(s.device, p))
		return set(cudaErrorInvalidValue);
	s.device_bytes -= n;
	ENTER("cudaFree");
	return cudaSuccess;
}

cudaError_t cudaMallocHost(void **p, size_t n)
{
	LOCK;
	*p = nullptr;
	ENTER("cudaMallocHost");
	*p = take(sim().pinned, n);
	if (!*p)
		return set(cudaErrorMemoryAllocation);
	sim().pinned_bytes += n;
	return cudaSuccess;
}

cudaError_t cudaFreeHost(void *p)
{
	LOCK;
	if (!p)
		return cudaSuccess;
	drain_all();
	const allocation *a = find(sim().pinned, p, 0);
	size_t n = a ? a->bytes : 0;
	if (!give(sim().pinned, p))
		return set(cudaErrorInvalidValue);
	sim().pinned_bytes -= n;
	ENTER("cudaFreeHost");
	return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t n, enum cudaMemcpyKind kind, cudaStream_t st)
{
	LOCK;
	ENTER("cudaMemcpyAsync");
	if (kind == cudaMemcpyHostToDevice && sim().copy_ms)
		usleep(sim().copy_ms * 1000);
	if (!known(st))
		return set(cudaErrorInvalidResourceHandle);
	if (cudaError_t e = check_copy(dst, src, n, kind))
		return set(e);
	bool pinned_src = find(sim().pinned, src, n), pinned_dst = find(sim().pinned, dst, n);
	if (kind == cudaMemcpyHostToDevice && !pinned_src) { /* the driver takes a copy before it returns */
		auto copy = std::vector<char>((const char *)src, (const char *)src + n);
		st->queue.push_back({[dst, copy] { memcpy(dst, copy.data(), copy.size()); }});
		return cudaSuccess;
	}
	st->queue.push_back({[dst, src, n] { memcpy(dst, src, n); }});
	if (kind == cudaMemcpyDeviceToHost && !pinned_dst) /* and waits for the data */
		drain(st);
	return cudaSuccess;
}

cudaError_t cudaMemcpy(void *dst, const void *src, size_t n, enum cudaMemcpyKind kind)
{
	LOCK;
	ENTER("cudaMemcpy");
	if (cudaError_t e = check_copy(dst, src, n, kind))
		return set(e);
	drain_all();
	operation op = {[dst, src, n] { memcpy(dst, src, n); }};
	run_operation(op);
	return async_result();
}

cudaError_t cudaMemsetAsync(void *dst, int value, size_t n, cudaStream_t st)
{
	LOCK;
	ENTER("cudaMemsetAsync");
	if (!known(st))
		return set(cudaErrorInvalidResourceHandle);
	if (!find(sim().device, dst, n))
		return set(cudaErrorInvalidValue);
	st->queue.push_back({[dst, value, n] { memset(dst, value, n); }});
	return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *out, const void *p)
{
	LOCK;
	ENTER("cudaPointerGetAttributes");
	memset(out, 0, sizeof *out);
	if (sim().evict_at && ++sim().questions >= sim().evict_at) {
		out->type = cudaMemoryTypeHost;
		out->hostPointer = (void *)p;
	} else if (find(sim().device, p, 1)) {
		out->type = cudaMemoryTypeDevice;
		out->device = find(sim().device, p, 1)->device;
		out->devicePointer = (void *)p;
	} else if (find(sim().pinned, p, 1)) {
		out->type = cudaMemoryTypeHost;
		out->hostPointer = (void *)p;
	}
	return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *st, unsigned flags)
{
	LOCK;
	(void)flags;
	*st = nullptr;
	ENTER("cudaStreamCreateWithFlags");
	*st = new CUstream_st;
	(*st)->device = device_index;
	sim().streams.push_back(*st);
	return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t st)
{
	LOCK;
	if (!known(st))
		return set(cudaErrorInvalidResourceHandle);
	drain(st);
	auto &all = sim().streams;
	for (size_t i = 0; i < all.size(); i++)
		if (all[i] == st)
			all.erase(all.begin() + (long)i);
	delete st;
	return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t st)
{
	LOCK;
	ENTER("cudaStreamSynchronize");
	if (!known(st))
		return set(cudaErrorInvalidResourceHandle);
	drain(st);
	return async_result();
}

cudaError_t cudaStreamWaitEvent(cudaStream_t st, cudaEvent_t e, unsigned flags)
{
	LOCK;
	(void)flags;
	ENTER("cudaStreamWaitEvent");
	if (!known(st))
		return set(cudaErrorInvalidResourceHandle);
	operation op;
	op.wait = e;
	st->queue.push_back(op);
	return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void)
{
	LOCK;
	ENTER("cudaDeviceSynchronize");
	drain_all();
	return async_result();
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned flags)
{
	LOCK;
	(void)flags;
	*e = nullptr;
	ENTER("cudaEventCreateWithFlags");
	*e = new CUevent_st;
	return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
	LOCK;
	reach(e);
	delete e;
	return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t st)
{
	LOCK;
	ENTER("cudaEventRecord");
	if (!known(st))
		return set(cudaErrorInvalidResourceHandle);
	reach(e); /* recorded anew: the earlier record is over */
	e->pending = true;
	e->stream = st;
	st->queue.push_back({[e] {
		struct timespec t;
		clock_gettime(CLOCK_MONOTONIC, &t);
		e->at_ms = (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
		e->pending = false;
	}});
	return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
	LOCK;
	ENTER("cudaEventSynchronize");
	reach(e);
	return async_result();
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
	LOCK;
	ENTER("cudaEventElapsedTime");
	*ms = (float)(to->at_ms - from->at_ms);
	return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void *kernel, enum cudaFuncAttribute attribute, int value)
{
	LOCK;
	ENTER("cudaFuncSetAttribute");
	if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
	    value > CUDASIM_MAX_SHARED)
		return set(cudaErrorInvalidValue);
	sim().shared_limits[kernel] = (size_t)value;
	return cudaSuccess;
}

/* Blocks of a cluster, which the next launches of this thread have for one. */
static thread_local unsigned cluster_blocks = 1;

void cudasim_set_cluster(unsigned n)
{
	if (n < 1 || n > CUDASIM_MAX_CLUSTER)
		cudasim_die("a cluster of %u blocks; cudasim runs up to %d", n, CUDASIM_MAX_CLUSTER);
	cluster_blocks = n;
}

void cudasim_launch(const char *name, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t st,
		    void (*body)(const void *, const void *), const void *kernel, const void *args,
		    size_t n_args)
{
	LOCK;
	state &s = sim();
	struct cudasim_kernel k;
	if (n_args > sizeof k.args)
		cudasim_die("kernel %s takes %zu bytes of arguments; cudasim carries %zu", name, n_args,
			    sizeof k.args);
	s.contexts |= 1u << device_index;
	if (!known(st) || st->device != device_index) {
		s.last = cudaErrorInvalidResourceHandle;
		return;
	}
	auto asked = s.shared_limits.find(kernel);
	size_t most = asked == s.shared_limits.end() ? (size_t)CUDASIM_PLAIN_SHARED : asked->second;
	if (grid.x < 1 || grid.x > 0x7FFFFFFF || grid.y < 1 || grid.y > 65535 || grid.z < 1 ||
	    grid.z > 65535 || block.x < 1 || block.x > CUDASIM_MAX_THREADS * cluster_blocks || block.y != 1 ||
	    block.z != 1 || shared_bytes > most * cluster_blocks) {
		s.last = cudaErrorInvalidConfiguration;
		return;
	}
	k.name = name;
	k.grid = grid;
	k.block = block;
	k.cluster = cluster_blocks;
	k.shared_bytes = shared_bytes;
	k.body = body;
	k.kernel = kernel;
	memcpy(k.args, args, n_args);
	s.launches++;
	s.loaded.insert(kernel);
	uint64_t seed = s.settings.seed ? s.settings.seed + s.launches : 0;
	if (s.launches == s.hang_at)
		st->queue.push_back({[] {
			for (;;)
				pause();
		}});
	st->queue.push_back({[k, seed] {
		if (sim().async == cudaSuccess && injected("launch"))
			sim().async = sim().fail_error;
		if (sim().async == cudaSuccess)
			cudasim_execute(&k, seed);
	}});
}

void cudasim_get(struct cudasim_settings *out)
{
	LOCK;
	*out = sim().settings;
}

void cudasim_set(const struct cudasim_settings *s)
{
	LOCK;
	if (sim().settings.fence && !s->fence)
		protect(PROT_READ | PROT_WRITE);
	if (sim().settings.kernel_bytes != s->kernel_bytes)
		sim().loaded.clear();
	sim().settings = *s;
	if (s->fence)
		protect(PROT_NONE);
}

void cudasim_fail(const char *name, unsigned n, int error)
{
	LOCK;
	state &s = sim();
	s.fail_name = name;
	s.fail_at = n;
	s.fail_calls = 0;
	s.fail_error = (cudaError_t)error;
	if (n == 0)
		s.async = s.last = cudaSuccess;
}

void cudasim_evict(unsigned n)
{
	sim().evict_at = n;
	sim().questions = 0;
}

unsigned cudasim_calls(void)
{
	LOCK;
	return sim().calls;
}

size_t cudasim_live_bytes(void)
{
	LOCK;
	return sim().device_bytes;
}

size_t cudasim_live_pinned(void)
{
	LOCK;
	return sim().pinned_bytes;
}

unsigned cudasim_contexts(void)
{
	LOCK;
	unsigned contexts = sim().contexts;
	sim().contexts = 0;
	return contexts;
}

unsigned cudasim_launches(void)
{
	LOCK;
	return sim().launches;
}
}
