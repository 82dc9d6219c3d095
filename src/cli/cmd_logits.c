/* `hokku logits`: what the model says after each token, as a NumPy file. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/options_common.h"
#include "cli/pull_model.h"
#include "compute/compute.h"
#include "engine/load.h"

static int run(int argc, char **argv);

const struct cmd cmd_logits = {
	.name = "logits",
	.usage = "logits [MODEL] --tokens ID,ID,... -o FILE [--all] [OPTIONS]",
	.summary = "run tokens through a model and write the logits as a NumPy file",
	.help = "FILE is NumPy format 1.0, float32 in C order, of shape (1, n_vocab): the logits after the last\n"
		"token; with --all of shape (n_tokens, n_vocab). They are as the model gave them: before any\n"
		"temperature or penalty. Without MODEL, a GGUF file, the haiku model inside hokku is run.\n\n"
		"Example:\n"
		"  hokku logits model.gguf --tokens 1,2,3 --all -o out.npy\n",
	.run = run,
};

enum { MAX_TOKENS = 1 << 20, NPY_HEADER_BYTES = 128 };

struct logits_options {
	const char *path, *out_path, *device;
	uint32_t chunk, n_threads, n_ctx; /* n_ctx 0: the model's own, as run and serve take it */
	uint64_t vram_limit, ram_limit, kv_bytes;
	struct cache_types cache;
	bool all;
	int32_t *tokens; /* (n_tokens) */
	uint32_t n_tokens;
};

/* "1,2,3": whole numbers, commas, nothing else. Returns -1 or an exit code. */
static int parse_tokens(const char *text, struct logits_options *o)
{
	size_t commas = 0;
	for (const char *p = text; *p; p++)
		commas += *p == ',';
	if (commas >= MAX_TOKENS)
		return cli_usage(&cmd_logits, "--tokens has %zu ids; it takes 1 to %d", commas + 1,
				 MAX_TOKENS);
	o->tokens = calloc(commas + 1, sizeof *o->tokens);
	if (!o->tokens)
		return cli_usage(&cmd_logits, "no memory for %zu token ids", commas + 1);
	for (const char *p = text;; p++) {
		char *end;
		errno = 0;
		unsigned long id = isdigit((unsigned char)*p) ? strtoul(p, &end, 10) : ULONG_MAX;
		if (id > INT32_MAX || errno || (*end != ',' && *end != '\0'))
			return cli_usage(
				&cmd_logits,
				"--tokens: id %u is \"%.*s\"; it takes whole numbers with commas between",
				o->n_tokens + 1, (int)strcspn(p, ","), p);
		o->tokens[o->n_tokens++] = (int32_t)id;
		if (*end == '\0')
			return -1;
		p = end;
	}
}

/* NumPy's format 1.0: magic, version, length of the header, and a Python dict padded with spaces so that the
 * data begins at a multiple of 64. */
static bool write_header(FILE *f, uint64_t rows, uint64_t cols)
{
	char header[NPY_HEADER_BYTES];
	memset(header, ' ', sizeof header);
	memcpy(header, "\x93NUMPY\x01\x00", 8);
	header[8] = NPY_HEADER_BYTES - 10;
	header[9] = 0;
	int n = snprintf(header + 10, sizeof header - 10,
			 "{'descr': '<f4', 'fortran_order': False, 'shape': (%llu, %llu), }",
			 (unsigned long long)rows, (unsigned long long)cols);
	header[10 + n] = ' ';
	header[NPY_HEADER_BYTES - 1] = '\n';
	return fwrite(header, sizeof header, 1, f) == 1;
}

static enum hokku_code write_failed(const struct logits_options *o, struct hokku_error *err)
{
	return err_set(err, HOKKU_IO_ERROR, "%s: %s", o->out_path, strerror(errno));
}

/* Runs the tokens chunk by chunk and writes each chunk's rows. */
static enum hokku_code compute_rows(const struct logits_options *o, const struct model *m, struct compute *c,
				    const uint32_t *blocks, float *logits, FILE *f, struct hokku_error *err)
{
	char label[] = "computing";
	for (uint32_t pos = 0; pos < o->n_tokens;) {
		uint32_t left = o->n_tokens - pos, n = left < o->chunk ? left : o->chunk;
		bool wanted = o->all || n == left;
		struct compute_seq seq = {
			.tokens = o->tokens + pos,
			.n_tokens = n,
			.pos = pos,
			.blocks = blocks,
			.logits = wanted ? logits : NULL,
			.all_logits = o->all,
		};
		enum hokku_code rc = compute_step(c, &seq, 1, err);
		if (rc)
			return rc;
		size_t rows = o->all ? n : 1;
		if (wanted && fwrite(logits, m->hp.n_vocab * sizeof *logits, rows, f) != rows)
			return write_failed(o, err);
		pos += n;
		cli_progress(label, (double)pos / o->n_tokens);
	}
	return HOKKU_OK;
}

static enum hokku_code write_file(const struct logits_options *o, const struct model *m, struct compute *c,
				  struct hokku_error *err)
{
	bool to_stdout = strcmp(o->out_path, "-") == 0;
	uint32_t n_blocks = (o->n_tokens + COMPUTE_KV_BLOCK - 1) / COMPUTE_KV_BLOCK;
	uint32_t *blocks = calloc(n_blocks, sizeof *blocks);
	float *logits = calloc((size_t)m->hp.n_vocab * (o->all ? o->chunk : 1), sizeof *logits);
	FILE *f = to_stdout ? stdout : fopen(o->out_path, "wb");
	enum hokku_code rc = HOKKU_OK;
	if (!blocks || !logits)
		rc = err_set(err, HOKKU_OUT_OF_MEMORY,
			     "no memory for the logits of %u tokens; try a smaller --chunk",
			     o->all ? o->chunk : 1);
	else if (!f || !write_header(f, o->all ? o->n_tokens : 1, m->hp.n_vocab))
		rc = write_failed(o, err);
	for (uint32_t i = 0; blocks && i < n_blocks; i++)
		blocks[i] = i;
	if (!rc)
		rc = compute_rows(o, m, c, blocks, logits, f, err);
	if (f && !to_stdout) {
		struct stat st;
		bool is_file = fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode);
		if (fclose(f) && !rc)
			rc = write_failed(o, err);
		if (rc && is_file)
			unlink(o->out_path); /* half a file must not look like a whole one */
	}
	free(blocks);
	free(logits);
	return rc;
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat x, y;
	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static enum hokku_code check(const struct logits_options *o, const struct model *m, struct hokku_error *err)
{
	char n_tokens[32], n_ctx[32];
	uint32_t most = o->n_ctx ? o->n_ctx : m->hp.n_ctx_train;
	if (o->n_ctx > m->hp.n_ctx_train)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "--ctx is %s; the model was trained for %s at most",
			       str_thousands(o->n_ctx, n_tokens), str_thousands(m->hp.n_ctx_train, n_ctx));
	if (o->n_tokens > most)
		return err_set(err, HOKKU_CONTEXT_EXCEEDED, "--tokens has %s ids; %s holds %s",
			       str_thousands(o->n_tokens, n_tokens),
			       o->n_ctx ? "--ctx" : "the model's context", str_thousands(most, n_ctx));
	if (o->path && is_same_file(o->path, o->out_path)) /* its weights are still to be read */
		return err_set(err, HOKKU_INVALID_REQUEST, "-o %s would overwrite the model", o->out_path);
	return HOKKU_OK;
}

/* The context that RoPE is chosen by (model_set_context): the one that run and serve would have. */
static uint32_t context_of(const struct logits_options *o, const struct model *m)
{
	uint32_t own =
		m->hp.n_ctx_train < ENGINE_DEFAULT_MAX_CTX ? m->hp.n_ctx_train : ENGINE_DEFAULT_MAX_CTX;
	if (o->n_ctx)
		return o->n_ctx;
	return o->n_tokens > own ? o->n_tokens : own;
}

static enum hokku_code run_options(const struct logits_options *o, struct hokku_error *err)
{
	struct gguf *g = NULL;
	struct model m = {0};
	struct compute *c = NULL;
	uint64_t begin = clock_ns();
	enum hokku_code rc = cli_open_file(o->path, &g, err);
	if (!rc)
		rc = model_bind(&m, g, err);
	if (!rc)
		rc = check(o, &m, err);
	if (!rc) {
		model_set_context(&m, context_of(o, &m));
		const struct compute_params params = {
			.model = &m,
			.device = o->device,
			.n_threads = o->n_threads,
			.n_ctx = o->n_tokens,
			.n_seqs = 1,
			.n_batch = o->chunk,
			.kv_bytes = o->kv_bytes,
			.cache = o->cache,
			.vram_limit = o->vram_limit,
			.ram_limit = o->ram_limit,
			.all_logits = o->all,
			.on_progress = cli_load_progress,
			.user = &begin,
		};
		rc = compute_open(&params, &c, err);
		cli_progress(NULL, 1);
	}
	if (!rc) {
		bool notable;
		const char *why = compute_why(c, &notable);
		cli_tell_device(compute_device(c), why, notable, false);
		rc = write_file(o, &m, c, err);
	}
	if (!rc)
		fprintf(stderr, "%u of %u positions x %u logits, %s\n", o->all ? o->n_tokens : 1, o->n_tokens,
			m.hp.n_vocab, compute_device(c));
	compute_close(c);
	model_unbind(&m);
	gguf_close(g);
	return rc;
}

static int run(int argc, char **argv)
{
	struct logits_options o = {.device = "auto", .chunk = 128};
	const char *tokens = NULL;
	const struct opt opts[] = {
		{.name = "tokens",
		 .kind = OPT_STRING,
		 .target = &tokens,
		 .metavar = "IDS",
		 .help = "token ids with commas between"},
		{.name = "output",
		 .letter = 'o',
		 .kind = OPT_STRING,
		 .target = &o.out_path,
		 .metavar = "FILE",
		 .help = "the NumPy file to write; - is stdout"},
		{.name = "all",
		 .kind = OPT_FLAG,
		 .target = &o.all,
		 .help = "logits at every position, not only after the last token"},
		{.name = "chunk",
		 .kind = OPT_U32,
		 .target = &o.chunk,
		 .metavar = "N",
		 .help = "tokens a step; the logits do not depend on it",
		 .min = 1,
		 .max = COMPUTE_MAX_BATCH},
		{.name = "ctx",
		 .letter = 'c',
		 .kind = OPT_U32,
		 .target = &o.n_ctx,
		 .metavar = "N",
		 .env = true,
		 .help = "positions a sequence may use: RoPE that depends on it is chosen by it",
		 .min = 0,
		 .max = 16777216,
		 .fallback = "the model's own, 32768 at most, or the tokens"},
	};
	struct opt_table table = {0};
	struct hokku_error err;
	for (size_t i = 0; i < sizeof opts / sizeof *opts; i++)
		opt_add(&table, &opts[i]);
	opt_add_device(&table, &(struct opt_device){.device = &o.device,
						    .n_threads = &o.n_threads,
						    .vram_limit = &o.vram_limit,
						    .ram_limit = &o.ram_limit,
						    .kv_bytes = &o.kv_bytes,
						    .kv_fallback = "what the tokens take",
						    .cache = &o.cache});
	int n, rc = cli_parse(&cmd_logits, table.rows, argc, argv, &o.path, 1, &n);
	if (rc >= 0)
		return rc;
	if (!tokens)
		return cli_usage(&cmd_logits, "--tokens is missing");
	if (!o.out_path)
		return cli_usage(&cmd_logits, "-o is missing: the file to write, or -");
	if (strcmp(o.out_path, "-") == 0 && isatty(STDOUT_FILENO))
		return cli_usage(&cmd_logits, "-o - would write a binary file to the terminal");
	rc = parse_tokens(tokens, &o);
	if (rc < 0)
		rc = run_options(&o, &err) ? cli_fail(&err) : EXIT_OK;
	free(o.tokens);
	return cli_finish(rc);
}
