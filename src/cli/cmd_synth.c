#include <string.h>
#include <strings.h>

#include "cli/job.h"
#include "convert/synth.h"

static int run(int argc, char **argv);

const struct cmd cmd_synth = {
	.name = "synth",
	.usage = "synth --shape NAME|CONFIG.json --type TYPE -o OUT.gguf [--seed N]",
	.summary = "make a model of a real shape with random weights",
	.help = "For measuring speed and memory without a download; what such a model writes means nothing.\n"
		"The same shape, type and seed give the same bytes. Shapes: qwen2.5-0.5b, qwen2.5-7b,\n"
		"qwen3-0.6b, qwen3-4b, llama-3.1-8b, phi-3-mini, gemma-3-4b, or the\n"
		"config.json of any model that `hokku convert` takes. Types: F32, F16, BF16, Q8_0, Q4_0, Q4_1,\n"
		"Q5_0, Q5_1, Q4_K, Q5_K, Q6_K, Q2_K, Q3_K, IQ4_NL, IQ4_XS, and the mixes Q4_K_M and Q5_K_M\n"
		"as llama.cpp makes them.\n\n"
		"Example:\n"
		"  hokku synth --shape qwen2.5-0.5b --type Q4_K_M -o synth.gguf && hokku bench synth.gguf\n",
	.run = run,
};

static bool is_one_of(const char *name, const char *const *names)
{
	while (*names && strcasecmp(name, *names) != 0)
		names++;
	return *names;
}

/* Of words that are in no list; -1 where they are. A config.json is the library's to judge. */
static int check_names(const char *shape, const char *type)
{
	char quoted[96];
	size_t n = strlen(shape);
	bool is_json = n > 5 && strcmp(shape + n - 5, ".json") == 0;
	if (!is_json && !is_one_of(shape, synth_shapes()))
		return cli_usage(&cmd_synth,
				 "--shape is %s; it takes one of those that --help lists, or a config.json",
				 str_quote(str_c(shape), quoted, sizeof quoted));
	if (!is_one_of(type, synth_types()))
		return cli_usage(&cmd_synth, "--type is %s; it takes one of those that --help lists",
				 str_quote(str_c(type), quoted, sizeof quoted));
	return -1;
}

static int run(int argc, char **argv)
{
	const char *shape = NULL, *type = NULL, *out = NULL, *none[1];
	uint64_t seed = 0;
	const struct opt opts[] = {
		{.name = "shape",
		 .kind = OPT_STRING,
		 .target = &shape,
		 .metavar = "SHAPE",
		 .help = "one of the shapes below, or a config.json"},
		{.name = "type",
		 .letter = 't',
		 .kind = OPT_STRING,
		 .target = &type,
		 .metavar = "TYPE",
		 .help = "format of matrices, or a mix of formats"},
		{.name = "output",
		 .letter = 'o',
		 .kind = OPT_STRING,
		 .target = &out,
		 .metavar = "FILE",
		 .help = "the GGUF file to write"},
		{.name = "seed",
		 .kind = OPT_U64,
		 .target = &seed,
		 .metavar = "N",
		 .help = "of the random weights"},
		{0},
	};
	int n, rc = cli_parse(&cmd_synth, opts, argc, argv, none, 0, &n);
	if (rc >= 0)
		return rc;
	if (!shape)
		return cli_usage(&cmd_synth, "--shape is missing: qwen2.5-0.5b, qwen2.5-7b or a config.json");
	if (!type)
		return cli_usage(&cmd_synth, "--type is missing: F16, Q8_0, Q4_K_M, ...");
	if (!out)
		return cli_usage(&cmd_synth, "-o is missing: where the GGUF file goes");
	if (strcmp(out, "-") == 0)
		return cli_usage(&cmd_synth, "-o is -; a GGUF file cannot go through a pipe, name a file");
	rc = check_names(shape, type);
	if (rc >= 0)
		return rc;
	struct synth_options options = {
		.shape = shape, .type = type, .out = out, .seed = seed, .observer = cli_job("writing")};
	struct hokku_error err;
	enum hokku_code code = synth_model(&options, &err);
	return cli_job_end(code, &err, out);
}
