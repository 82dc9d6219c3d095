/*
 * What the backend does when things are not as they should be: devices that are not there or too old, memory
 * that does not suffice, formats without kernels, and a device that fails at every single call of an opening
 * and of a step. Nothing may leak, hang or pass as success. All of it on the path that a device gets and on
 * the plain one.
 */
#include "direct.h"
#include "small.h"

#include <pthread.h>
#include <unistd.h>

#include "compute/cuda/tile/tile.h"
#include "compute/plugin_abi.h"

static struct tiny_set set;
static char path[512];
static const char *forced; /* in HOKKU_CUDA_PATH; NULL: nothing */

static void force_path(const char *name)
{
	if (name)
		setenv("HOKKU_CUDA_PATH", name, 1);
	else
		unsetenv("HOKKU_CUDA_PATH");
}

static void assert_says(const struct hokku_error *err, const char *part)
{
	if (!strstr(err->message, part))
		fail_msg("the message \"%s\" lacks \"%s\"", err->message, part);
}

/* The call that failed: of the runtime, or one that launches a kernel. */
static void assert_names_a_call(const struct hokku_error *err)
{
	static const char *const rooms[] = {"): cuda", "): plain_", "): tile_", "): decode_"};
	bool named = false;
	for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++)
		named = named || strstr(err->message, rooms[i]);
	if (!named)
		fail_msg("the message \"%s\" names no call", err->message);
}

static void assert_nothing_left(void)
{
	assert_int_equal(cudasim_live_bytes(), 0);
	assert_int_equal(cudasim_live_pinned(), 0);
}

static void listing(void **state)
{
	(void)state;
	EMULATOR_ONLY();
	const struct compute_plugin *p = hokku_compute_plugin();
	struct compute_device_info info[3];
	struct hokku_error err = {0};
	struct cudasim_settings plain, s;
	struct compute_measured measured;
	cudasim_get(&plain);
	s = plain;
	assert_int_equal(p->abi, COMPUTE_PLUGIN_ABI);
	assert_string_equal(p->version, hokku_version());
	assert_string_equal(p->name, "cuda");
	s.n_devices = 2;
	s.cc = 75;
	cudasim_set(&s);
	cudasim_contexts();
	assert_int_equal(p->list_devices(info, 3, &err), 2);
	assert_int_equal(cudasim_contexts(), 0);
	assert_int_equal(info[1].index, 1);
	assert_string_equal(info[1].name, "emulated device 1");
	assert_int_equal(info[1].cc_major * 10 + info[1].cc_minor, 75);
	assert_int_equal(info[1].vram_bytes, plain.vram_bytes);
	assert_int_equal(info[1].driver_version, 13000);
	assert_true(info[1].usable);
	uint64_t free_bytes = 0;
	s.used_bytes = 1 << 20;
	cudasim_set(&s);
	assert_int_equal(p->free_bytes(1, &free_bytes, &err), HOKKU_OK);
	assert_int_equal(free_bytes, plain.vram_bytes - s.used_bytes);
	assert_int_equal(cudasim_contexts(), 1 << 1);
	assert_int_equal(p->free_bytes(2, &free_bytes, &err), HOKKU_INVALID_REQUEST);
	s.used_bytes = plain.used_bytes;
	s.cc = 72;
	cudasim_set(&s);
	memset(info, 0xFF, sizeof info);
	assert_int_equal(p->list_devices(info, 1, &err), 2);
	assert_false(info[0].usable);
	assert_int_equal(info[1].index, UINT32_MAX); /* only cap rows are written */
	s.n_devices = 0;
	cudasim_set(&s);
	assert_int_equal(p->list_devices(info, 3, &err), 0);
	s.driver_version = 12020;
	cudasim_set(&s);
	assert_int_equal(p->list_devices(info, 3, &err), -1);
	assert_says(&err, "serves CUDA 12.2; this plugin needs 13.0");
	s.driver_version = 0;
	cudasim_set(&s);
	assert_int_equal(p->list_devices(info, 3, &err), -1);
	assert_says(&err, "no NVIDIA driver");
	cudasim_set(&plain);
	s = plain;
	s.vram_bytes = 16 << 20; /* of which a measurement takes an eighth */
	cudasim_set(&s);
	assert_int_equal(p->measure(0, &measured, &err), HOKKU_OK);
	assert_true(measured.copy_bytes_per_s > 0 && measured.read_bytes_per_s > 0);
	assert_true(measured.pinned_bytes_per_s > 0 && measured.pageable_bytes_per_s > 0);
	assert_int_equal(p->measure(7, &measured, &err), HOKKU_INVALID_REQUEST);
	assert_nothing_left();
	s.vram_bytes = 100 << 10;
	cudasim_set(&s);
	assert_int_equal(p->measure(0, &measured, &err), HOKKU_INSUFFICIENT_VRAM);
	cudasim_set(&plain);
	assert_nothing_left();
}

static enum hokku_code open_as(const char *device, struct hokku_error *err)
{
	struct cuda_device d;
	*err = (struct hokku_error){0};
	return cuda_device_open(&d, device, err);
}

static void choosing(void **state)
{
	(void)state;
	EMULATOR_ONLY();
	struct hokku_error err;
	struct cudasim_settings plain, s;
	cudasim_get(&plain);
	assert_int_equal(open_as("cuda", &err), HOKKU_OK);
	assert_int_equal(open_as("cuda:0", &err), HOKKU_OK);
	assert_int_equal(open_as("cuda:1", &err), HOKKU_INVALID_REQUEST);
	assert_says(&err, "there is no device cuda:1; this machine has 1");
	static const char *const broken[] = {"cuda:", "cuda:x", "cuda:-1", "cuda:0x", "cuda:1024", "cuda: 0"};
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		assert_int_equal(open_as(broken[i], &err), HOKKU_INVALID_REQUEST);
		assert_says(&err, broken[i]);
	}
	s = plain;
	s.cc = 70;
	cudasim_set(&s);
	assert_int_equal(open_as("cuda", &err), HOKKU_DEVICE_ERROR);
	assert_says(&err, "has compute capability 7.0; hokku's kernels need 7.5");
	s.n_devices = 0;
	cudasim_set(&s);
	assert_int_equal(open_as("cuda", &err), HOKKU_DEVICE_ERROR);
	assert_says(&err, "shows no device");
	cudasim_set(&plain);
}

static enum hokku_code draw_one(struct direct *d, struct hokku_error *err);

static enum hokku_code open_tiny(struct direct *d, struct hokku_error *err)
{
	return direct_open(d, path, 64, 2, 0, 0, err);
}

/* The budget to the byte: what the ledger took suffices, one byte less is refused before anything is taken.
 */
static void budget(void **state)
{
	(void)state;
	EMULATOR_ONLY();
	struct direct d;
	struct hokku_error err = {0};
	struct compute_memory memory;
	struct cudasim_settings plain, s;
	cudasim_get(&plain);
	s = plain;
	assert_int_equal(open_tiny(&d, &err), HOKKU_OK);
	compute_cuda.get_memory(d.self, &memory);
	size_t all = memory.weight_bytes + memory.kv_bytes + memory.scratch_bytes;
	assert_int_equal(all, cudasim_live_bytes()); /* the ledger's sum is the device's own figure */
	const struct hparams *hp = &d.model.hp;
	/* float32; on the tile path as much in two halves, and heads of whole 32s */
	bool plain_path = strstr(compute_cuda.device(d.self), "plain path");
	assert_int_equal(memory.kv_bytes, (uint64_t)hp->n_layers * d.params.n_kv_blocks * COMPUTE_KV_BLOCK *
						  2 * hp->n_kv_heads * sizeof(float) *
						  (plain_path ? hp->head_dim : tile_hd(hp->head_dim)));
	assert_non_null(strstr(compute_cuda.device(d.self), "cuda:0 (emulated device 0"));
	direct_close(&d);
	assert_nothing_left();
	s.vram_bytes = all;
	cudasim_set(&s);
	assert_int_equal(open_tiny(&d, &err), HOKKU_OK);
	direct_close(&d);
	s.vram_bytes = all - 1;
	cudasim_set(&s);
	unsigned calls = cudasim_calls();
	assert_int_equal(open_tiny(&d, &err), HOKKU_INSUFFICIENT_VRAM);
	assert_in_range(cudasim_calls() - calls, 1, 6); /* asked, not taken */
	char number[32];
	snprintf(number, sizeof number, "%zu bytes available", all - 1);
	assert_says(&err, number);
	snprintf(number, sizeof number, "needs %zu bytes", all);
	assert_says(&err, number);
	direct_close(&d);
	assert_nothing_left();
	cudasim_set(&plain);
}

/* What the driver takes for kernels when they first run is there when the model has been opened, and counted:
 * the sum of all classes stays the driver's figure in steps of one token and of several. */
static void runtime_is_counted(void **state)
{
	(void)state;
	EMULATOR_ONLY();
	struct direct d;
	struct hokku_error err = {0};
	struct compute_memory memory;
	struct cudasim_settings plain, s;
	const struct sampling greedy = {.top_p = 1, .repetition_penalty = 1};
	const int32_t id = 1;
	cudasim_get(&plain);
	s = plain;
	s.kernel_bytes = 1 << 20;
	cudasim_set(&s);
	assert_int_equal(open_tiny(&d, &err), HOKKU_OK);
	compute_cuda.get_memory(d.self, &memory);
	assert_in_range(memory.runtime_bytes, 5 << 20, 50 << 20);
	struct compute_seq seq = {
		.tokens = &id, .n_tokens = 1, .blocks = direct_blocks(&d, 1), .sampling = &greedy};
	assert_int_equal(draw_one(&d, &err), HOKKU_OK);
	assert_int_equal(compute_cuda.step(d.self, &seq, 1, &err), HOKKU_OK);
	assert_int_equal(compute_cuda.check(d.self, &err), HOKKU_OK);
	compute_cuda.get_memory(d.self, &memory);
	assert_int_equal(memory.device_free_before_bytes - memory.device_free_bytes,
			 memory.weight_bytes + memory.kv_bytes + memory.scratch_bytes + memory.graph_bytes +
				 memory.runtime_bytes);
	direct_close(&d);
	cudasim_set(&plain);
	assert_nothing_left();
}

/* What may be taken is limited by hand as by the device; the message gives both figures and what would fit.
 */
static void limits(void **state)
{
	(void)state;
	struct direct d;
	struct hokku_error err = {0};
	struct compute_memory memory;
	assert_int_equal(open_tiny(&d, &err), HOKKU_OK);
	compute_cuda.get_memory(d.self, &memory);
	const uint64_t all = memory.weight_bytes + memory.kv_bytes + memory.scratch_bytes;
	const uint64_t block = memory.kv_bytes / memory.n_kv_blocks;
	struct compute_params p = d.params;
	struct compute_need need = {0};
	assert_true(direct_need_is_taken(&d));
	compute_cuda.close(d.self);
	for (uint64_t limit = all - 1; limit <= all + 1; limit++) {
		p.vram_limit = limit;
		assert_int_equal(compute_cuda.need(&p, &need, &err), HOKKU_OK);
		assert_int_equal(need.fits, limit >= all);
		assert_int_equal(need.available_bytes, limit);
		assert_int_equal(need.memory.weight_bytes + need.memory.kv_bytes + need.memory.scratch_bytes,
				 all);
	}
	p.vram_limit = all;
	assert_int_equal(compute_cuda.open(&p, &d.self, &err), HOKKU_OK);
	compute_cuda.close(d.self);
	p.vram_limit = all - 1;
	assert_int_equal(compute_cuda.open(&p, &d.self, &err), HOKKU_INSUFFICIENT_VRAM);
	char wanted[128];
	snprintf(wanted, sizeof wanted, "has %llu bytes available (", (unsigned long long)all - 1);
	assert_says(&err, wanted);
	assert_says(&err, ", the limit that was set)");
	/* a block for each of the contexts that the KV memory asked for would hold */
	const uint64_t contexts = p.n_kv_blocks / ((p.n_ctx + CUDA_KV_BLOCK - 1) / CUDA_KV_BLOCK);
	p.vram_limit = memory.weight_bytes + memory.scratch_bytes + contexts * block;
	assert_int_equal(compute_cuda.open(&p, &d.self, &err), HOKKU_INSUFFICIENT_VRAM);
	assert_says(&err, "the limit that was set); a context of 32 positions would fit");
	p.vram_limit = memory.weight_bytes;
	assert_int_equal(compute_cuda.open(&p, &d.self, &err), HOKKU_INSUFFICIENT_VRAM);
	assert_says(&err, "its weights alone do not fit");
	p.vram_limit = 0;
	p.kv_bytes = (uint64_t)1 << 40;
	assert_int_equal(compute_cuda.open(&p, &d.self, &err), HOKKU_INSUFFICIENT_VRAM);
	assert_says(&err, "bytes of KV memory would fit");
	p.kv_bytes = block * p.n_kv_blocks - 1;
	assert_int_equal(compute_cuda.open(&p, &d.self, &err), HOKKU_INVALID_REQUEST);
	assert_says(&err, "bytes of KV memory hold");
	assert_nothing_left();
	p.kv_bytes = block * (p.n_kv_blocks + 2) + 1;
	assert_int_equal(compute_cuda.open(&p, &d.self, &err), HOKKU_OK);
	compute_cuda.get_memory(d.self, &memory);
	assert_int_equal(memory.n_kv_blocks, p.n_kv_blocks + 2);
	direct_close(&d);
	assert_nothing_left();
}

/* KV memory that may grow takes what is left, but for a reserve, up to its own limit and the one on all. */
static void growing(void **state)
{
	(void)state;
	EMULATOR_ONLY();
	struct direct d;
	struct hokku_error err = {0};
	struct compute_memory memory;
	struct cudasim_settings plain, s;
	cudasim_get(&plain);
	assert_int_equal(open_tiny(&d, &err), HOKKU_OK);
	compute_cuda.get_memory(d.self, &memory);
	assert_int_equal(memory.n_kv_blocks, d.params.n_kv_blocks);
	const uint64_t block = memory.kv_bytes / memory.n_kv_blocks, reserve = 512 << 20;
	const uint64_t all = memory.weight_bytes + memory.kv_bytes + memory.scratch_bytes;
	struct compute_params p = d.params;
	compute_cuda.close(d.self);
	struct compute_need need = {0};
	p.n_kv_blocks_max = p.n_kv_blocks + 100;
	const struct {
		uint64_t vram, limit;
		uint32_t more;
	} rows[] = {
		{all + reserve, 0, 0},
		{all + reserve + block - 1, 0, 0},
		{all + reserve + 5 * block, 0, 5},
		{all + reserve + 5 * block, all + 3 * block, 3},
		{all + reserve + 100 * block, 0, 100},
		{all + reserve + 101 * block, 0, 100},
		{all, 0, 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		s = plain;
		s.vram_bytes = rows[i].vram;
		cudasim_set(&s);
		p.vram_limit = rows[i].limit;
		assert_int_equal(compute_cuda.need(&p, &need, &err), HOKKU_OK);
		assert_int_equal(need.memory.n_kv_blocks, p.n_kv_blocks + rows[i].more);
		assert_int_equal(need.memory.kv_bytes, need.memory.n_kv_blocks * block);
		assert_int_equal(cudasim_live_bytes(), 0);
		assert_int_equal(compute_cuda.open(&p, &d.self, &err), HOKKU_OK);
		compute_cuda.get_memory(d.self, &memory);
		assert_int_equal(memory.n_kv_blocks, p.n_kv_blocks + rows[i].more);
		assert_int_equal(memory.kv_bytes, memory.n_kv_blocks * block);
		assert_int_equal(cudasim_live_bytes(),
				 memory.weight_bytes + memory.kv_bytes + memory.scratch_bytes);
		assert_int_equal(memory.device_total_bytes, rows[i].vram);
		assert_int_equal(memory.device_free_before_bytes, rows[i].vram);
		assert_int_equal(memory.device_free_bytes, rows[i].vram - cudasim_live_bytes());
		compute_cuda.close(d.self);
	}
	d.self = NULL;
	direct_close(&d);
	cudasim_set(&plain);
	assert_nothing_left();
}

/* Each allocation is looked at, when the model is opened and when it is asked for; what is not the device's
 * own memory is named, and the handle is of no more use. */
static void residency(void **state)
{
	(void)state;
	EMULATOR_ONLY();
	struct direct d;
	struct hokku_error err = {0};
	unsigned n = 0;
	enum hokku_code rc = HOKKU_DEVICE_ERROR;
	while (rc) { /* evict each in its turn */
		cudasim_evict(++n);
		rc = open_tiny(&d, &err);
		if (rc) {
			assert_int_equal(rc, HOKKU_DEVICE_ERROR);
			assert_says(&err, "are not in its own memory");
			direct_close(&d);
			assert_nothing_left();
		}
	}
	assert_int_equal(n - 1, ((struct cuda *)d.self)->ledger.n);
	assert_in_range(n - 1, 1, 25); /* weights are one: the driver rounds each up to 2 MiB */
	cudasim_evict(0);
	assert_int_equal(compute_cuda.check(d.self, &err), HOKKU_OK);
	assert_int_equal(draw_one(&d, &err), HOKKU_OK);
	cudasim_evict(1);
	assert_int_equal(compute_cuda.check(d.self, &err), HOKKU_DEVICE_ERROR);
	assert_says(&err, "cuda:0 (emulated device 0): the weights (weights, ");
	cudasim_evict(0);
	assert_int_equal(compute_cuda.check(d.self, &err), HOKKU_DEVICE_ERROR);
	assert_int_equal(draw_one(&d, &err), HOKKU_DEVICE_ERROR);
	assert_says(&err, "earlier; the model must be opened again");
	direct_close(&d);
	assert_nothing_left();
}

/* What the threads of a server do with a model that another one opened. */
static void *use_it(void *user)
{
	struct direct *d = user;
	struct hokku_error err = {0};
	int32_t token = 1;
	float p;
	enum hokku_code rc = draw_one(d, &err);
	if (!rc)
		rc = direct_greedy(d, 1, &token, 0, &p, &err);
	return rc ? user : NULL;
}

static void *check_it(void *user)
{
	struct direct *d = user;
	struct hokku_error err = {0};
	return compute_cuda.check(d->self, &err) ? user : NULL;
}

static void *close_it(void *user)
{
	struct direct *d = user;
	compute_cuda.close(d->self);
	d->self = NULL;
	return NULL;
}

/* On "cuda:1" no call of any thread is for device 0, whose context would take time and memory. */
static void second_device(void **state)
{
	(void)state;
	EMULATOR_ONLY();
	struct direct d;
	struct hokku_error err = {0};
	struct cudasim_settings plain, s;
	void *(*const threads[])(void *) = {use_it, check_it, close_it};
	cudasim_get(&plain);
	s = plain;
	s.n_devices = 2;
	cudasim_set(&s);
	assert_int_equal(open_tiny(&d, &err), HOKKU_OK);
	compute_cuda.close(d.self);
	d.params.device = "cuda:1";
	cudasim_contexts();
	assert_int_equal(compute_cuda.open(&d.params, &d.self, &err), HOKKU_OK);
	assert_non_null(strstr(compute_cuda.device(d.self), "cuda:1 (emulated device 1"));
	for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
		pthread_t thread;
		void *failed;
		assert_int_equal(pthread_create(&thread, NULL, threads[i], &d), 0);
		assert_int_equal(pthread_join(thread, &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(cudasim_contexts(), 1 << 1);
	direct_close(&d);
	cudasim_set(&plain);
	assert_nothing_left();
}

static bool stop_after(void *user)
{
	unsigned *left = user;
	return (*left)-- == 0;
}

static uint64_t last_done, last_all;

static void on_progress(void *user, uint64_t done, uint64_t all)
{
	(void)user;
	assert_true(done > last_done && done <= all);
	last_done = done;
	last_all = all;
}

/* Loading tells how far it is and can be stopped at each piece; nothing stays behind. */
static void stopping_an_opening(void **state)
{
	(void)state;
	struct direct d;
	struct hokku_error err = {0};
	struct compute_memory memory;
	assert_int_equal(open_tiny(&d, &err), HOKKU_OK);
	struct compute_params p = d.params;
	compute_cuda.close(d.self);
	last_done = 0;
	p.on_progress = on_progress;
	assert_int_equal(compute_cuda.open(&p, &d.self, &err), HOKKU_OK);
	compute_cuda.get_memory(d.self, &memory);
	assert_int_equal(last_done, last_all);
	assert_in_range(last_all, memory.weight_bytes / 2, memory.weight_bytes); /* rows are padded there */
	compute_cuda.close(d.self);
	p.on_progress = NULL;
	for (unsigned n = 0; n < 3; n++) {
		unsigned left = n;
		p.stopped = stop_after;
		p.user = &left;
		assert_int_equal(compute_cuda.open(&p, &d.self, &err), HOKKU_CANCELLED);
		assert_nothing_left();
	}
	direct_close(&d);
}

/* HOKKU_CUDA_PATH allows one path alone, and says what there is. */
static void forced_path(void **state)
{
	(void)state;
	struct direct d;
	struct hokku_error err = {0};
	force_path("plain");
	assert_int_equal(open_tiny(&d, &err), HOKKU_OK);
	assert_non_null(strstr(compute_cuda.device(d.self), "plain path"));
	direct_close(&d);
	force_path("plane");
	assert_int_equal(open_tiny(&d, &err), HOKKU_INVALID_REQUEST);
	assert_says(&err, "HOKKU_CUDA_PATH is \"plane\"; the paths are tile, plain");
	direct_close(&d);
	force_path(forced);
	assert_nothing_left();
}

/* What `name` (NULL: nothing forced) opens of the model in the file `from`: struct cuda_path.name, or NULL.
 */
static const char *path_of(const char *name, const char *from)
{
	struct direct d;
	struct hokku_error err = {0};
	const char *got = NULL;
	force_path(name);
	if (!direct_open(&d, from, 64, 2, 0, 0, &err))
		got = ((struct cuda *)d.self)->path->name;
	direct_close(&d);
	force_path(forced);
	return got;
}

/* Unasked, a model gets the best path that its device and its format allow. */
static void default_path(void **state)
{
	(void)state;
	static const char *const best_first[] = {"tile", "plain"};
	const char *want = NULL;
	for (size_t i = 0; i < sizeof best_first / sizeof best_first[0] && !want; i++)
		want = path_of(best_first[i], path);
	assert_non_null(want);
	assert_string_equal(path_of(NULL, path), want);
	EMULATOR_ONLY();
	static const struct {
		unsigned cc;
		const char *model, *format, *path;
	} rows[] = {
		{75, "odd", "F16", "plain"},      {89, "odd", "F16", "plain"},
		{90, "odd", "F16", "tile"},       {100, "odd", "F16", "plain"},
		{90, "odd", "F32", "tile"},       {90, "odd", "BF16", "tile"},
		{90, "gqa7x128", "Q8_0", "tile"}, {100, "gqa7x128", "Q8_0", "plain"},
		{90, "mha128", "Q4_K", "tile"},   {90, "mha128", "MIXED", "tile"},
	};
	struct cudasim_settings plain, s;
	char other[sizeof path + 8];
	cudasim_get(&plain);
	snprintf(other, sizeof other, "%s.other", path);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		s = plain;
		s.cc = rows[i].cc;
		cudasim_set(&s);
		tiny_write(&set, tiny_find(&set, rows[i].model), rows[i].format, other);
		assert_string_equal(path_of(NULL, other), rows[i].path);
		unlink(other);
	}
	cudasim_set(&plain);
	assert_nothing_left();
}

static enum hokku_code draw_one(struct direct *d, struct hokku_error *err)
{
	static const int32_t ids[] = {1, 2, 3};
	const struct sampling p = {.temperature = 1, .top_p = 0.9f, .repetition_penalty = 1};
	struct compute_seq seq = {
		.tokens = ids, .n_tokens = 3, .blocks = direct_blocks(d, 0), .sampling = &p};
	*err = (struct hokku_error){0};
	return compute_cuda.step(d->self, &seq, 1, err);
}

/* Calls of an opening, with the steps that it runs or without. */
static unsigned calls_of_opening(bool warm_up)
{
	struct direct d;
	struct hokku_error err = {0};
	unsigned n = cudasim_calls();
	if (!warm_up)
		setenv("HOKKU_CUDA_WARM_UP", "off", 1);
	assert_int_equal(open_tiny(&d, &err), HOKKU_OK);
	n = cudasim_calls() - n;
	unsetenv("HOKKU_CUDA_WARM_UP");
	direct_close(&d);
	return n;
}

/* The step from a call that fails to the next. Under the thread sanitizer one of three: which of them fails
 * is no question of threads. */
static unsigned every_call(void)
{
	return (unsigned)small_step(3);
}

/* Every call of opening fails once: an error that names the call, and nothing left behind. Of the steps that
 * it runs only some do: those of a step have a test of their own. */
static void failures_of_opening(void **state)
{
	(void)state;
	EMULATOR_ONLY();
	struct direct d;
	struct hokku_error err;
	unsigned n = calls_of_opening(true), without = calls_of_opening(false);
	assert_in_range(without, 50, n - 50);
	for (unsigned i = 1; i <= n; i += i < without - 10 || i > n - 10 ? every_call() : 9) {
		err = (struct hokku_error){0};
		cudasim_fail(NULL, i, cudaErrorLaunchFailure);
		assert_int_equal(open_tiny(&d, &err), HOKKU_DEVICE_ERROR);
		assert_says(&err, "unspecified launch failure (cudaErrorLaunchFailure)");
		assert_says(&err, "cuda");
		direct_close(&d);
		cudasim_fail(NULL, 0, 0);
		assert_nothing_left();
	}
}

/* Every call of a step, and every kernel, fails once: DEVICE_ERROR, then and ever after on that handle. */
static void failures_of_a_step(void **state)
{
	(void)state;
	EMULATOR_ONLY();
	static const char *const names[] = {NULL, "launch"};
	setenv("HOKKU_CUDA_WARM_UP", "off", 1); /* time */
	for (size_t k = 0; k < 2; k++) {
		bool failed = true;
		for (unsigned i = 1; failed; i += k ? 5 : every_call()) {
			struct direct d;
			struct hokku_error err = {0};
			assert_int_equal(open_tiny(&d, &err), HOKKU_OK);
			cudasim_fail(names[k], i, cudaErrorIllegalAddress);
			enum hokku_code rc = draw_one(&d, &err);
			failed = rc != HOKKU_OK;
			if (failed) {
				assert_int_equal(rc, HOKKU_DEVICE_ERROR);
				assert_says(&err, "cuda:0 (emulated device 0): ");
				assert_names_a_call(&err);
				assert_says(&err, "illegal memory access");
				cudasim_fail(NULL, 0, 0);
				assert_int_equal(draw_one(&d, &err), HOKKU_DEVICE_ERROR);
				assert_says(&err, "earlier; the model must be opened again");
			}
			cudasim_fail(NULL, 0, 0);
			direct_close(&d);
			assert_nothing_left();
			assert_true(i > 2 || failed);
		}
	}
	unsetenv("HOKKU_CUDA_WARM_UP");
}

/* Three greedy steps of one sequence, a second under way while the first is: the first error. */
static enum hokku_code draw_ahead(struct direct *d, uint32_t pos, struct hokku_error *err)
{
	static const struct sampling greedy = {.top_p = 1, .repetition_penalty = 1};
	static const int32_t token = 1;
	struct compute_seq seqs[3];
	enum hokku_code rc = HOKKU_OK;
	for (uint32_t i = 0; i < 3 && !rc; i++) {
		seqs[i] = (struct compute_seq){.tokens = &token,
					       .n_tokens = 1,
					       .from = i > 0,
					       .pos = pos + i,
					       .blocks = direct_blocks(d, 0),
					       .sampling = &greedy};
		rc = compute_cuda.submit(d->self, &seqs[i], 1, err);
		if (!rc && i)
			rc = compute_cuda.collect(d->self, &seqs[i - 1], 1, err);
	}
	return rc ? rc : compute_cuda.collect(d->self, &seqs[2], 1, err);
}

/* The same for steps that are under way, of the decode kernel. */
static void failures_ahead(void **state)
{
	(void)state;
	EMULATOR_ONLY();
	static const char *const names[] = {NULL, "launch"};
	char other[sizeof path + 8];
	snprintf(other, sizeof other, "%s.ahead", path);
	tiny_write(&set, tiny_find(&set, "gqa7"), "F16", other); /* of widths that the decode kernel takes */
	setenv("HOKKU_CUDA_WARM_UP", "off", 1);
	for (uint32_t k = 0; k < 2; k++) {
		unsigned i = 1;
		for (bool failed = true; failed; i += every_call()) {
			struct direct d;
			struct hokku_error err = {0};
			assert_int_equal(direct_open(&d, other, 64, 2, 0, 0, &err), HOKKU_OK);
			cudasim_fail(names[k], i, cudaErrorIllegalAddress);
			enum hokku_code rc = draw_ahead(&d, 0, &err);
			failed = rc != HOKKU_OK;
			if (failed) {
				assert_int_equal(rc, HOKKU_DEVICE_ERROR);
				assert_says(&err, "cuda:0 (emulated device 0): ");
				assert_names_a_call(&err);
				assert_says(&err, "illegal memory access");
				cudasim_fail(NULL, 0, 0);
				assert_int_equal(draw_ahead(&d, 3, &err), HOKKU_DEVICE_ERROR);
				assert_says(&err, "earlier; the model must be opened again");
			}
			cudasim_fail(NULL, 0, 0);
			direct_close(&d);
			assert_nothing_left();
		}
		assert_true(i > (k ? 3 : 12));
	}
	unsetenv("HOKKU_CUDA_WARM_UP");
	unlink(other);
}

/* A history longer than the context is refused and harms nothing. */
static void long_history(void **state)
{
	(void)state;
	struct direct d;
	struct hokku_error err = {0};
	int32_t history[66] = {0};
	const int32_t id = 1;
	const struct sampling p = {.top_p = 1, .repetition_penalty = 2};
	assert_int_equal(open_tiny(&d, &err), HOKKU_OK);
	struct compute_seq seq = {.tokens = &id,
				  .n_tokens = 1,
				  .blocks = direct_blocks(&d, 0),
				  .sampling = &p,
				  .history = history,
				  .n_history = 66};
	assert_int_equal(compute_cuda.step(d.self, &seq, 1, &err), HOKKU_INVALID_REQUEST);
	assert_says(&err, "66 tokens for the penalties; the device keeps 65");
	seq.n_history = 65;
	assert_int_equal(compute_cuda.step(d.self, &seq, 1, &err), HOKKU_OK);
	direct_close(&d);
}

int main(void)
{
	tiny_load(&set);
	snprintf(path, sizeof path, "%s/test_cuda_device.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	tiny_write(&set, tiny_find(&set, "odd"), "F16", path);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(budget),
		cmocka_unit_test(runtime_is_counted),
		cmocka_unit_test(limits),
		cmocka_unit_test(growing),
		cmocka_unit_test(residency),
		cmocka_unit_test(second_device),
		cmocka_unit_test(stopping_an_opening),
		cmocka_unit_test(failures_of_opening),
		cmocka_unit_test(failures_of_a_step),
		cmocka_unit_test(long_history),
	};
	const struct CMUnitTest common[] = {
		cmocka_unit_test(listing),        cmocka_unit_test(choosing),
		cmocka_unit_test(forced_path),    cmocka_unit_test(default_path),
		cmocka_unit_test(failures_ahead),
	};
	int failed = cmocka_run_group_tests_name("cuda devices", common, NULL, NULL);
	failed += cmocka_run_group_tests_name("cuda device", tests, NULL, NULL);
	forced = "plain";
	force_path(forced);
	failed += cmocka_run_group_tests_name("cuda device, plain path", tests, NULL, NULL);
	unlink(path);
	tiny_free(&set);
	return failed;
}
