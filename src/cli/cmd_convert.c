#include <string.h>

#include "cli/job.h"
#include "convert/convert.h"

static int run(int argc, char **argv);

const struct cmd cmd_convert = {
	.name = "convert",
	.usage = "convert DIR -o OUT.gguf [--type F32|F16|BF16|Q8_0] [--vocab-only] [--name NAME]",
	.summary = "turn a Hugging Face folder into a GGUF file",
	.help = "DIR holds config.json, *.safetensors, tokenizer.json, tokenizer_config.json and perhaps\n"
		"generation_config.json, as published, of an architecture of docs/models.md. Norms and biases\n"
		"stay F32;\n"
		"what Q8_0 cannot hold becomes F16, with a note. With --vocab-only the file holds the\n"
		"tokenizer alone, and tokenizer.json, or else tokenizer.model, is enough.\n\n"
		"Example:\n"
		"  hokku convert Qwen2.5-0.5B-Instruct -o qwen2.5-0.5b-q8_0.gguf --type Q8_0\n",
	.run = run,
};

static int run(int argc, char **argv)
{
	const char *out = NULL, *type = "F16", *name = NULL, *dir = NULL;
	bool vocab_only = false;
	const struct opt opts[] = {
		{.name = "output",
		 .letter = 'o',
		 .kind = OPT_STRING,
		 .target = &out,
		 .metavar = "FILE",
		 .help = "the GGUF file to write"},
		{.name = "type",
		 .letter = 't',
		 .kind = OPT_STRING,
		 .target = &type,
		 .metavar = "TYPE",
		 .help = "format of matrices: F32, F16, BF16 or Q8_0"},
		{.name = "vocab-only",
		 .kind = OPT_FLAG,
		 .target = &vocab_only,
		 .help = "the tokenizer without weights"},
		{.name = "name",
		 .kind = OPT_STRING,
		 .target = &name,
		 .metavar = "NAME",
		 .help = "general.name; the folder's if not given"},
		{0},
	};
	int n, rc = cli_parse(&cmd_convert, opts, argc, argv, &dir, 1, &n);
	if (rc >= 0)
		return rc;
	if (n == 0)
		return cli_usage(&cmd_convert, "the folder to convert is missing");
	if (!out)
		return cli_usage(&cmd_convert, "-o is missing: where the GGUF file goes");
	if (strcmp(out, "-") == 0)
		return cli_usage(&cmd_convert, "-o is -; a GGUF file cannot go through a pipe, name a file");
	enum tensor_type tensor_type;
	if (!tensor_type_by_name(str_c(type), &tensor_type) ||
	    (tensor_type != TENSOR_F32 && tensor_type != TENSOR_F16 && tensor_type != TENSOR_BF16 &&
	     tensor_type != TENSOR_Q8_0))
		return cli_usage(&cmd_convert, "--type is \"%s\"; it takes F32, F16, BF16 or Q8_0", type);
	struct convert_options options = {
		.dir = dir,
		.out = out,
		.name = name,
		.type = tensor_type,
		.vocab_only = vocab_only,
		.observer = cli_job("converting"),
	};
	struct hokku_error err;
	enum hokku_code code = convert_hf(&options, &err);
	return cli_job_end(code, &err, out);
}
