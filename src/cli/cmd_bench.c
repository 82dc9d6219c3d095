/* `hokku bench`: tokens a second, and what share of the machine's own limits that is. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/bench.h"
#include "cli/bench_batch.h"
#include "cli/options_common.h"
#include "cli/pull_model.h"
#include "cli/work.h"
#include "compute/cpu/measure.h"
#include "compute/plugin.h"

static int run(int argc, char **argv);

static const char *const parts[] = {"tokenize", "serve", NULL};

const struct cmd cmd_bench = {
	.name = "bench",
	.usage = "bench [MODEL] [options] | bench tokenize ... | bench serve URL ...",
	.summary = "measure how fast a model runs, and the machine's limits beside it",
	.help = "Prefill: one prompt of N random tokens, in steps of --batch. Decode: N tokens one after another from\n"
		"an empty context, each the likeliest. One run of each warms up; the table shows the median, the\n"
		"slowest and the fastest of the others. Bytes are the weights' (and the KV cache's), read once a\n"
		"step; operations are two a multiply-add. The limits are measured in the same minute, with the same\n"
		"threads or on the same GPU.\n"
		"With --seqs and --depth, decode is --decode steps of so many sequences, each with KV blocks of its\n"
		"own, which begin behind so many tokens; tokens a second are of all sequences. Those tokens are\n"
		"prefilled for real, once, each sequence others, in steps of --batch: the line \"fill\", which is\n"
		"timed once and not warmed up.\n"
		"Without MODEL it takes the bundled one. `hokku bench tokenize` measures the tokenizer,\n"
		"`hokku bench serve URL` a server.\n\n"
		"Example:\n"
		"  hokku bench model.gguf --threads 2 --json\n",
	.run = run,
	.words = parts,
	.has_parts = true,
};

enum { MAX_RUNS = 1000, MAX_TOKENS = 1 << 20, CPU_BATCH = 512, DEVICE_BATCH = 2048 };

/* What the machine can do at most; 0: unknown. */
struct limits {
	double read_bytes_per_s;
	double ops_per_s; /* of the arithmetic that the model's products are made of */
	char text[160];   /* for people */
	json_t *json;     /* for programs; NULL: nothing was measured */
};

struct bench {
	const char *path, *device;
	uint32_t n_threads, n_runs, n_prefill, n_decode, n_batch, n_seqs, depth;
	uint64_t vram_limit, ram_limit, kv_bytes;
	struct cache_types cache;
	bool json;
	struct gguf *file;
	struct model model;
	struct compute *compute;
	struct bench_batch prompt, batch; /* of prefill; of decode */
	uint32_t fill_batch;              /* most tokens of a step that fills the batch */
	double load_s;
	struct compute_memory memory;
	struct limits limits;
};

/* One line of the table. */
struct figure {
	const char *name;
	uint64_t n_tokens;
	double slowest, median, fastest; /* tokens a second */
	double bytes, ops;               /* of the whole run */
};

/* Makes the context of the device "cuda" or "cuda:N", so that the time to open a model is not the driver's.
 * What fails here fails again and is told then. */
static void wake_device(const char *device)
{
	const struct compute_plugin *plugin;
	struct hokku_error err = {0};
	unsigned index = 0;
	uint64_t bytes;
	sscanf(device, "cuda:%u", &index);
	if (!plugin_get(&plugin, &err))
		plugin->free_bytes(index, &bytes, &err);
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* Positions of the two kinds of runs, and what a step takes. */
static enum hokku_code open_compute(struct bench *b, struct hokku_error *err)
{
	uint32_t most = b->n_batch;
	if (!most)
		most = strncmp(b->device, "cuda", 4) == 0 ? DEVICE_BATCH : CPU_BATCH;
	b->n_batch = min_u32(b->n_prefill, most);
	b->fill_batch = b->depth ? most : 1;
	uint64_t begin = clock_ns();
	const struct compute_params params = {
		.model = &b->model,
		.device = b->device,
		.n_threads = b->n_threads,
		.n_ctx = max_u32(b->n_prefill, b->depth + b->n_decode),
		.n_seqs = b->n_seqs,
		.n_kv_blocks = max_u32(b->prompt.n_blocks, b->batch.n_blocks),
		.n_batch = max_u32(b->n_batch, max_u32(b->fill_batch, b->n_seqs)),
		.kv_bytes = b->kv_bytes,
		.cache = b->cache,
		.vram_limit = b->vram_limit,
		.ram_limit = b->ram_limit,
		.on_progress = cli_load_progress,
		.user = &begin,
	};
	if (strncmp(b->device, "cuda", 4) == 0)
		wake_device(b->device);
	begin = clock_ns();
	enum hokku_code rc = compute_open(&params, &b->compute, err);
	cli_progress(NULL, 1);
	b->load_s = clock_ms_since(begin) * 1e-3;
	return rc;
}

static enum hokku_code open_model(struct bench *b, struct hokku_error *err)
{
	enum hokku_code rc;
	rc = cli_open_file(b->path, &b->file, err);
	if (!rc)
		rc = model_bind(&b->model, b->file, err);
	if (!rc)
		rc = bench_batch_init(&b->prompt, &b->model, 1, b->n_prefill, err);
	if (!rc)
		rc = bench_batch_init(&b->batch, &b->model, b->n_seqs, b->depth + b->n_decode, err);
	if (!rc)
		rc = open_compute(b, err);
	if (rc)
		return rc;
	bool notable;
	const char *why = compute_why(b->compute, &notable);
	cli_tell_device(compute_device(b->compute), why, notable, false);
	compute_get_memory(b->compute, &b->memory);
	return HOKKU_OK;
}

static void close_model(struct bench *b)
{
	compute_close(b->compute);
	bench_batch_deinit(&b->prompt);
	bench_batch_deinit(&b->batch);
	model_unbind(&b->model);
	gguf_close(b->file);
	json_decref(b->limits.json);
}

/* Seconds that one prompt takes, to the first token drawn. */
static enum hokku_code time_prefill(struct bench *b, double *seconds, struct hokku_error *err)
{
	uint64_t start = clock_ns();
	enum hokku_code rc =
		bench_batch_prefill(&b->prompt, b->compute, b->n_prefill, b->n_batch, true, NULL, err);
	*seconds = clock_ms_since(start) * 1e-3;
	return rc;
}

static enum hokku_code time_decode(struct bench *b, double *seconds, struct hokku_error *err)
{
	uint64_t start = clock_ns();
	enum hokku_code rc = bench_batch_decode(&b->batch, b->compute, b->depth, b->n_decode, err);
	*seconds = clock_ms_since(start) * 1e-3;
	return rc;
}

static void on_fill(double part)
{
	cli_progress("filling", part);
}

/* Once: the contexts that decode stands on. */
static enum hokku_code measure_fill(struct bench *b, struct figure *f, struct hokku_error *err)
{
	uint64_t start = clock_ns();
	enum hokku_code rc =
		bench_batch_prefill(&b->batch, b->compute, b->depth, b->fill_batch, false, on_fill, err);
	f->slowest = f->median = f->fastest = (double)f->n_tokens / (clock_ms_since(start) * 1e-3);
	return rc;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static enum hokku_code measure(struct bench *b, struct figure *f,
			       enum hokku_code (*time)(struct bench *, double *, struct hokku_error *),
			       struct hokku_error *err)
{
	double *rates = calloc(b->n_runs, sizeof *rates), seconds;
	if (!rates)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %u figures", b->n_runs);
	enum hokku_code rc = time(b, &seconds, err);
	for (uint32_t i = 0; !rc && i < b->n_runs; i++) {
		rc = time(b, &seconds, err);
		rates[i] = (double)f->n_tokens / seconds;
	}
	qsort(rates, b->n_runs, sizeof *rates, by_size);
	f->slowest = rates[0];
	f->fastest = rates[b->n_runs - 1];
	f->median =
		b->n_runs % 2 ? rates[b->n_runs / 2] : (rates[b->n_runs / 2 - 1] + rates[b->n_runs / 2]) / 2;
	free(rates);
	return rc;
}

static double step_bytes(const struct bench *b)
{
	return work_step_bytes(&b->model, compute_device(b->compute), b->memory.weight_bytes);
}

/* Bytes of the KV cache that decode reads. */
static double decode_kv_bytes(const struct bench *b)
{
	double positions = (double)b->memory.n_kv_blocks * COMPUTE_KV_BLOCK * b->model.hp.n_layers;
	double cached = (double)b->memory.kv_bytes / positions;
	return b->n_seqs * work_positions_seen(&b->model, b->depth, b->n_decode) * cached;
}

static void count_work(const struct bench *b, struct figure *prefill, struct figure *fill,
		       struct figure *decode)
{
	const struct model *m = &b->model;
	double layers = work_layer_ops(m), head = work_output_ops(m), look = work_look_ops(m);
	double n_fill = (double)fill->n_tokens, n_decode = (double)decode->n_tokens;
	prefill->ops = b->n_prefill * layers + head + work_positions_seen(m, 0, b->n_prefill) * look;
	fill->ops = n_fill * layers + b->n_seqs * work_positions_seen(m, 0, b->depth) * look;
	decode->ops =
		n_decode * (layers + head) + b->n_seqs * work_positions_seen(m, b->depth, b->n_decode) * look;
	prefill->bytes = ceil((double)b->n_prefill / b->n_batch) * step_bytes(b);
	fill->bytes = ceil(n_fill / b->fill_batch) * step_bytes(b);
	decode->bytes = b->n_decode * step_bytes(b) + decode_kv_bytes(b);
}

static enum hokku_code cpu_limits(struct bench *b, struct limits *l, struct hokku_error *err)
{
	struct cpu_limits m;
	enum hokku_code rc = cpu_measure(b->n_threads, &m, err);
	if (rc)
		return rc;
	l->read_bytes_per_s = m.read_bytes_per_s;
	l->ops_per_s = work_is_of_bytes(&b->model) ? m.byte_ops_per_s : m.float_ops_per_s;
	snprintf(l->text, sizeof l->text, "memory %.1f GB/s, float32 %.0f GFLOP/s, bytes %.0f GOP/s",
		 m.read_bytes_per_s * 1e-9, m.float_ops_per_s * 1e-9, m.byte_ops_per_s * 1e-9);
	l->json = json_pack("{s:i, s:s, s:f, s:f, s:f}", "threads", (int)m.n_threads, "tier", m.tier,
			    "read_bytes_per_s", m.read_bytes_per_s, "float_ops_per_s", m.float_ops_per_s,
			    "byte_ops_per_s", m.byte_ops_per_s);
	return HOKKU_OK;
}

static enum hokku_code device_limits(uint32_t index, struct limits *l, struct hokku_error *err)
{
	const struct compute_plugin *plugin;
	struct compute_measured m;
	enum hokku_code rc = plugin_get(&plugin, err);
	if (!rc)
		rc = plugin->measure(index, &m, err);
	if (rc)
		return rc;
	l->read_bytes_per_s = m.read_bytes_per_s;
	l->ops_per_s = m.matrix_ops_per_s;
	int n = snprintf(l->text, sizeof l->text, "memory %.0f GB/s (copies %.0f)", m.read_bytes_per_s * 1e-9,
			 m.copy_bytes_per_s * 1e-9);
	if (m.matrix_ops_per_s > 0)
		snprintf(l->text + n, sizeof l->text - (size_t)n, ", float16 products %.0f TFLOP/s",
			 m.matrix_ops_per_s * 1e-12);
	l->json = json_pack("{s:f, s:f, s:f, s:f, s:f}", "read_bytes_per_s", m.read_bytes_per_s,
			    "copy_bytes_per_s", m.copy_bytes_per_s, "pinned_bytes_per_s",
			    m.pinned_bytes_per_s, "pageable_bytes_per_s", m.pageable_bytes_per_s,
			    "matrix_ops_per_s", m.matrix_ops_per_s);
	return HOKKU_OK;
}

/* Those of the device that was opened; of the plain loops there are none. */
static enum hokku_code measure_limits(struct bench *b, struct hokku_error *err)
{
	const char *device = compute_device(b->compute);
	unsigned index;
	if (strncmp(device, "cpu (", 5) == 0)
		return cpu_limits(b, &b->limits, err);
	return sscanf(device, "cuda:%u", &index) == 1 ? device_limits(index, &b->limits, err) : HOKKU_OK;
}

static double memory_share(const struct bench *b, const struct figure *f)
{
	double limit = b->limits.read_bytes_per_s;
	return limit > 0 ? f->bytes * f->median / (double)f->n_tokens / limit : 0;
}

static double ops_share(const struct bench *b, const struct figure *f)
{
	double limit = b->limits.ops_per_s;
	return limit > 0 ? f->ops * f->median / (double)f->n_tokens / limit : 0;
}

static void print_share(const struct bench *b, const struct figure *f)
{
	double memory = memory_share(b, f), ops = ops_share(b, f);
	if (b->limits.json)
		printf("  %3.0f%% of %s", 100 * fmax(memory, ops), memory > ops ? "memory" : "arithmetic");
	printf("\n");
}

/* What a step of the decode runs is. */
static void print_step(const struct bench *b, const struct figure *decode)
{
	printf("\na step of decode: %u sequence%s at depths %u to %u", b->n_seqs, b->n_seqs == 1 ? "" : "s",
	       b->depth, b->depth + b->n_decode - 1);
	if (b->depth)
		printf(", filled by prefill");
	printf("; %.3f ms; it reads %.1f MB of weights and %.1f MB of KV cache\n",
	       1e3 * b->n_seqs / decode->median, step_bytes(b) * 1e-6,
	       decode_kv_bytes(b) / b->n_decode * 1e-6);
}

static void print_table(const struct bench *b, const struct figure *figures, size_t n)
{
	printf("%s, %s, %s\n", b->model.name, b->model.format_name, compute_device(b->compute));
	printf("weights %.1f MB, KV cache %.1f MB, scratch %.1f MB; prepared in %.2f s (%.2f GB/s)\n",
	       (double)b->memory.weight_bytes * 1e-6, (double)b->memory.kv_bytes * 1e-6,
	       (double)b->memory.scratch_bytes * 1e-6, b->load_s,
	       (double)b->memory.weight_bytes * 1e-9 / b->load_s);
	if (b->limits.json)
		printf("limits of this machine: %s\n", b->limits.text);
	printf("\n%-8s %7s %10s %21s %8s %9s\n", "", "tokens", "tokens/s", "slowest - fastest", "GB/s",
	       "GFLOP/s");
	for (size_t i = 0; i < n; i++) {
		const struct figure *f = &figures[i];
		if (!f->n_tokens)
			continue;
		double seconds = (double)f->n_tokens / f->median;
		printf("%-8s %7llu %10.1f %10.1f %10.1f %8.1f %9.1f", f->name,
		       (unsigned long long)f->n_tokens, f->median, f->slowest, f->fastest,
		       f->bytes / seconds * 1e-9, f->ops / seconds * 1e-9);
		print_share(b, f);
	}
	print_step(b, &figures[n - 1]);
}

static json_t *figure_json(const struct bench *b, const struct figure *f)
{
	double seconds = (double)f->n_tokens / f->median;
	json_t *j = json_pack("{s:I, s:f, s:f, s:f, s:f, s:f}", "tokens", (json_int_t)f->n_tokens,
			      "tokens_per_s", f->median, "slowest", f->slowest, "fastest", f->fastest,
			      "bytes_per_s", f->bytes / seconds, "ops_per_s", f->ops / seconds);
	if (b->limits.read_bytes_per_s > 0)
		json_object_set_new(j, "share_of_memory", json_real(memory_share(b, f)));
	if (b->limits.ops_per_s > 0)
		json_object_set_new(j, "share_of_arithmetic", json_real(ops_share(b, f)));
	return j;
}

/* What print_step says. */
static json_t *step_json(const struct bench *b, const struct figure *decode)
{
	json_t *filled_by = b->depth ? json_string("prefill") : json_null();
	return json_pack("{s:i, s:i, s:i, s:o, s:f, s:f, s:f}", "seqs", (int)b->n_seqs, "depth",
			 (int)b->depth, "depth_last", (int)(b->depth + b->n_decode - 1), "filled_by",
			 filled_by, "ms", 1e3 * b->n_seqs / decode->median, "weight_bytes", step_bytes(b),
			 "kv_bytes", decode_kv_bytes(b) / b->n_decode);
}

static void print_json(const struct bench *b, const struct figure *figures, size_t n)
{
	json_t *root =
		json_pack("{s:s, s:s, s:s, s:i, s:i, s:f, s:I, s:I, s:I}", "model", b->model.name, "format",
			  b->model.format_name, "device", compute_device(b->compute), "runs", (int)b->n_runs,
			  "batch", (int)b->n_batch, "load_s", b->load_s, "weight_bytes",
			  (json_int_t)b->memory.weight_bytes, "kv_bytes", (json_int_t)b->memory.kv_bytes,
			  "scratch_bytes", (json_int_t)b->memory.scratch_bytes);
	if (b->limits.json)
		json_object_set(root, "limits", b->limits.json);
	for (size_t i = 0; i < n; i++)
		if (figures[i].n_tokens)
			json_object_set_new(root, figures[i].name, figure_json(b, &figures[i]));
	json_object_set_new(root, "step", step_json(b, &figures[n - 1]));
	json_dumpf(root, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(root);
}

static enum hokku_code run_bench(struct bench *b, struct hokku_error *err)
{
	struct figure figures[] = {{.name = "prefill", .n_tokens = b->n_prefill},
				   {.name = "fill", .n_tokens = (uint64_t)b->n_seqs * b->depth},
				   {.name = "decode", .n_tokens = (uint64_t)b->n_seqs * b->n_decode}};
	enum hokku_code rc = open_model(b, err);
	if (!rc)
		rc = measure_limits(b, err);
	if (!rc)
		rc = measure(b, &figures[0], time_prefill, err);
	if (!rc && b->depth)
		rc = measure_fill(b, &figures[1], err);
	if (!rc)
		rc = measure(b, &figures[2], time_decode, err);
	if (rc)
		return rc;
	count_work(b, &figures[0], &figures[1], &figures[2]);
	(b->json ? print_json : print_table)(b, figures, 3);
	return HOKKU_OK;
}

static int run(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "tokenize") == 0)
		return bench_tokenize(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "serve") == 0)
		return bench_serve(argc - 1, argv + 1);
	struct bench b = {.device = "auto", .n_runs = 5, .n_prefill = 512, .n_decode = 64, .n_seqs = 1};
	const struct opt opts[] = {
		{.name = "runs",
		 .letter = 'n',
		 .kind = OPT_U32,
		 .target = &b.n_runs,
		 .metavar = "N",
		 .help = "timed runs of each",
		 .min = 1,
		 .max = MAX_RUNS},
		{.name = "prefill",
		 .kind = OPT_U32,
		 .target = &b.n_prefill,
		 .metavar = "N",
		 .help = "tokens of the prompt",
		 .min = 1,
		 .max = MAX_TOKENS},
		{.name = "decode",
		 .kind = OPT_U32,
		 .target = &b.n_decode,
		 .metavar = "N",
		 .help = "tokens drawn one after another",
		 .min = 1,
		 .max = MAX_TOKENS},
		{.name = "seqs",
		 .kind = OPT_U32,
		 .target = &b.n_seqs,
		 .metavar = "N",
		 .help = "sequences of a decode step",
		 .min = 1,
		 .max = COMPUTE_MAX_BATCH},
		{.name = "depth",
		 .kind = OPT_U32,
		 .target = &b.depth,
		 .metavar = "N",
		 .help = "tokens that each sequence holds before the first of them",
		 .max = MAX_TOKENS},
		{.name = "batch",
		 .kind = OPT_U32,
		 .target = &b.n_batch,
		 .metavar = "N",
		 .help = "most tokens of a prompt's step; 0: 512, 2048 on a GPU",
		 .max = COMPUTE_MAX_BATCH},
		{.name = "json", .kind = OPT_FLAG, .target = &b.json, .help = "for programs"},
	};
	struct opt_table table = {0};
	struct hokku_error err;
	opt_add_device(&table, &(struct opt_device){.device = &b.device,
						    .n_threads = &b.n_threads,
						    .vram_limit = &b.vram_limit,
						    .ram_limit = &b.ram_limit,
						    .kv_bytes = &b.kv_bytes,
						    .kv_fallback = "what the longer of the runs takes",
						    .cache = &b.cache});
	for (size_t i = 0; i < sizeof opts / sizeof *opts; i++)
		opt_add(&table, &opts[i]);
	int n, code = cli_parse(&cmd_bench, table.rows, argc, argv, &b.path, 1, &n);
	if (code >= 0)
		return code;
	code = run_bench(&b, &err) ? cli_fail(&err) : EXIT_OK;
	close_model(&b);
	return cli_finish(code);
}
