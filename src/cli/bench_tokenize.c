/* `hokku bench tokenize`: how fast text becomes token ids, on one core. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/bench.h"
#include "cli/cli.h"
#include "cli/open_tok.h"

enum { MAX_FILE_BYTES = 64 << 20, SAMPLE_BYTES = 1 << 20, MAX_RUNS = 1000 };

/* Herman Melville, Moby-Dick (1851), chapter 1. */
static const char sample[] =
	"Call me Ishmael. Some years ago\xE2\x80\x94never mind how long precisely\xE2\x80\x94having little "
	"or no money in my "
	"purse, and nothing particular to interest me on shore, I thought I would sail about a little and "
	"see the watery "
	"part of the world. It is a way I have of driving off the spleen and regulating the circulation. "
	"Whenever I find "
	"myself growing grim about the mouth; whenever it is a damp, drizzly November in my soul; whenever I "
	"find myself "
	"involuntarily pausing before coffin warehouses, and bringing up the rear of every funeral I meet; "
	"and especially "
	"whenever my hypos get such an upper hand of me, that it requires a strong moral principle to "
	"prevent me from "
	"deliberately stepping into the street, and methodically knocking people\xE2\x80\x99s hats "
	"off\xE2\x80\x94then, I account "
	"it high time to get to sea as soon as I can. This is my substitute for pistol and ball. With a "
	"philosophical "
	"flourish Cato throws himself upon his sword; I quietly take to the ship. There is nothing "
	"surprising in this. If "
	"they but knew it, almost all men in their degree, some time or other, cherish very nearly the same "
	"feelings "
	"towards the ocean with me.\n\nThere now is your insular city of the Manhattoes, belted round by "
	"wharves as Indian "
	"isles by coral reefs\xE2\x80\x94"
	"commerce surrounds it with her surf. Right and left, the streets take you waterward. Its "
	"extreme downtown is the battery, where that noble mole is washed by waves, and cooled by breezes, "
	"which a few "
	"hours previous were out of sight of land. Look at the crowds of water-gazers there.\n\n";

static const struct cmd cmd = {
	.name = "bench tokenize",
	.usage = "bench tokenize [MODEL] [--file FILE] [--json]",
	.summary = "measure how fast text becomes token ids, on one core",
	.help = "Without MODEL, a GGUF file, the bundled haiku model's vocabulary is used. Without --file "
		"the text is a\n"
		"passage of English prose, repeated to 1 MiB. One untimed run goes first; the median of the "
		"others counts.\n\n"
		"Example:\n  hokku bench tokenize model.gguf --file README.md\n",
};

struct result {
	size_t n_bytes, n_tokens;
	uint32_t n_runs;
	double median_ms, min_ms, max_ms;
};

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static enum hokku_code measure(const struct tok *t, struct str text, struct result *r,
			       struct hokku_error *err)
{
	static double ms[MAX_RUNS];
	struct tok_ids ids = {0};
	enum hokku_code rc = HOKKU_OK;
	for (uint32_t i = 0; !rc && i <= r->n_runs; i++) {
		uint64_t start = clock_ns();
		ids.n = 0;
		rc = tok_encode(t, text, 0, &ids, err);
		if (i)
			ms[i - 1] = clock_ms_since(start);
	}
	qsort(ms, r->n_runs, sizeof *ms, compare);
	r->n_bytes = text.len;
	r->n_tokens = ids.n;
	r->min_ms = ms[0];
	r->median_ms = r->n_runs % 2 ? ms[r->n_runs / 2] : (ms[r->n_runs / 2 - 1] + ms[r->n_runs / 2]) / 2;
	r->max_ms = ms[r->n_runs - 1];
	tok_ids_free(&ids);
	return rc;
}

static void print(const struct tok *t, const struct result *r, bool json)
{
	double mb = (double)r->n_bytes * 1e-6;
	double rate = mb / (r->median_ms * 1e-3), slowest = mb / (r->max_ms * 1e-3),
	       fastest = mb / (r->min_ms * 1e-3);
	if (json) {
		printf("{\"tokenizer\": \"%s\", \"bytes\": %zu, \"tokens\": %zu, \"runs\": %u, \"mb_per_s\": "
		       "%.2f, "
		       "\"mb_per_s_min\": %.2f, \"mb_per_s_max\": %.2f, \"tokens_per_s\": %.0f}\n",
		       tok_kind(t), r->n_bytes, r->n_tokens, r->n_runs, rate, slowest, fastest,
		       (double)r->n_tokens / (r->median_ms * 1e-3));
		return;
	}
	char bytes[32], tokens[32];
	printf("%s: %s bytes, %s tokens (%.2f bytes a token)\n", tok_kind(t),
	       str_thousands(r->n_bytes, bytes), str_thousands(r->n_tokens, tokens),
	       r->n_tokens ? (double)r->n_bytes / (double)r->n_tokens : 0);
	printf("%.1f MB/s on one core (%.1f to %.1f in %u runs), %.2f million tokens/s\n", rate, slowest,
	       fastest, r->n_runs, (double)r->n_tokens / (r->median_ms * 1e3));
}

static enum hokku_code read_text(const char *file, char **text, size_t *n, struct hokku_error *err)
{
	if (file) {
		enum hokku_code rc = file_read(file, MAX_FILE_BYTES, text, n, err);
		if (!rc && *n == 0) {
			free(*text);
			return err_set(err, HOKKU_INVALID_REQUEST, "%s is empty", file);
		}
		return rc;
	}
	*n = SAMPLE_BYTES;
	*text = malloc(*n);
	if (!*text)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the text");
	for (size_t i = 0; i < *n; i++)
		(*text)[i] = sample[i % (sizeof sample - 1)];
	return HOKKU_OK;
}

int bench_tokenize(int argc, char **argv)
{
	const char *model = NULL, *file = NULL;
	bool json = false;
	struct result r = {.n_runs = 20};
	const struct opt rows[] = {
		{.name = "file",
		 .letter = 'f',
		 .kind = OPT_STRING,
		 .target = &file,
		 .metavar = "FILE",
		 .help = "the text to encode"},
		{.name = "runs",
		 .kind = OPT_U32,
		 .target = &r.n_runs,
		 .metavar = "N",
		 .help = "timed runs",
		 .min = 1,
		 .max = MAX_RUNS},
		{.name = "json", .kind = OPT_FLAG, .target = &json, .help = "print a JSON object"},
		{0},
	};
	int n = 0, code = cli_parse(&cmd, rows, argc, argv, &model, 1, &n);
	if (code >= 0)
		return code;
	struct hokku_error err;
	struct tok *t = NULL;
	char *text = NULL;
	size_t n_bytes = 0;
	enum hokku_code rc = read_text(file, &text, &n_bytes, &err);
	if (rc)
		return cli_fail(&err);
	rc = cli_open_tok(model, &t, NULL, (struct str){NULL, 0}, &err);
	if (!rc)
		rc = measure(t, (struct str){text, n_bytes}, &r, &err);
	if (!rc)
		print(t, &r, json);
	tok_destroy(t);
	free(text);
	return cli_finish(rc ? cli_fail(&err) : EXIT_OK);
}
