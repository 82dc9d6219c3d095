/* hokku fit: does a model fit this machine, at which context, for how many, and how fast could it be? */
#include <stdio.h>

#include "cli/fit_show.h"
#include "cli/pull_model.h"
#include "model/kind.h"

static int run(int argc, char **argv);

const struct cmd cmd_fit = {
	.name = "fit",
	.usage = "fit [MODEL] [OPTIONS]",
	.summary = "tell whether a model fits this machine, and how fast it could be",
	.help = "For each device: what a server would take of its memory for --parallel requests at a time, each of a\n"
		"whole context (weights, KV, scratch, to the byte as /health then tells it), what is available, the\n"
		"largest context that fits and how many such requests; \"serve\" is what hokku serve takes without\n"
		"--kv-bytes. No weight is read. MODEL is a GGUF file, a folder as transformers writes it, or a name as\n"
		"hokku pull takes them: of one that is not here only the beginnings of its files are fetched. Without it\n"
		"the haiku model inside the program is looked at.\n\n"
		"Speeds are limits of models that are larger than a CPU's caches, not promises: decode reads all weights\n"
		"and the streams' KV memory for each token, prefill multiplies by all weights. They rest on what this\n"
		"machine is measured to do, for a second or two, with the same threads; of a GPU up to 1 GiB is taken for\n"
		"that time. --no-measure leaves them out. The exit code is 0 whether it fits or not; \"fits\" of --json\n"
		"tells.\n\n"
		"Examples:\n"
		"  hokku fit model.gguf --ctx 8192 --parallel 4\n"
		"  hokku fit qwen3:4b --cache-type-k q8_0 --cache-type-v q8_0\n",
	.run = run,
};

struct looking {
	struct engine_config config;
	bool json, no_measure;
};

static enum hokku_code look(void *user, const struct gguf *g, struct hokku_error *err)
{
	static struct fit_list list;
	const struct looking *l = user;
	struct model m = {0};
	enum hokku_code rc = file_kind_check(g, err);
	if (!rc)
		rc = model_bind(&m, g, err);
	if (!rc)
		rc = fit_gather(&m, &l->config, &list, err);
	if (!rc && !l->no_measure)
		fit_measure(&m, &l->config, &list);
	if (!rc && l->json)
		rc = fit_print_json(&m, gguf_file_bytes(g), &list, err);
	else if (!rc)
		fit_print_text(&m, gguf_file_bytes(g), &list);
	model_unbind(&m);
	return rc;
}

static int run(int argc, char **argv)
{
	/* As a server asks for it. */
	struct looking l = {.config = {.kv_grows = true, .prompt_logprobs = true}};
	struct pull_options hub = {0};
	struct opt_table table = {0};
	struct hokku_error err;
	const char *name = NULL;
	opt_add_ctx(&table, &l.config.n_ctx);
	opt_add(&table, &(struct opt){.name = "parallel",
				      .alias = "np",
				      .kind = OPT_U32,
				      .target = &l.config.n_parallel,
				      .metavar = "N",
				      .env = true,
				      .help = "requests at a time, each of a whole context",
				      .min = 1,
				      .max = ENGINE_MAX_PARALLEL,
				      .fallback = "1"});
	opt_add_device(&table, &(struct opt_device){.device = &l.config.device,
						    .device_fallback = "all that this machine has",
						    .n_threads = &l.config.n_threads,
						    .vram_limit = &l.config.vram_limit,
						    .ram_limit = &l.config.ram_limit,
						    .kv_bytes = &l.config.kv_bytes,
						    .kv_fallback = "what these requests take",
						    .cache = &l.config.cache});
	opt_add_offline(&table, &hub);
	opt_add(&table, &(struct opt){.name = "no-measure",
				      .kind = OPT_FLAG,
				      .target = &l.no_measure,
				      .help = "tell of memory alone"});
	opt_add(&table,
		&(struct opt){.name = "json", .kind = OPT_FLAG, .target = &l.json, .help = "for programs"});
	int n, code = cli_parse(&cmd_fit, table.rows, argc, argv, &name, 1, &n);
	if (code >= 0)
		return code;
	enum hokku_code rc = cli_look_model(&hub, name, look, &l, &err);
	return cli_finish(rc ? cli_find_failed(rc, &err) : EXIT_OK);
}
