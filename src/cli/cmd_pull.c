/* hokku pull: a model by its name, from the hub into the cache. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cli/pull_model.h"
#include "hub/name.h"

static int run(int argc, char **argv);

const struct cmd cmd_pull = {
	.name = "pull",
	.usage = "pull NAME [OPTIONS]",
	.summary = "bring a model here by its name",
	.help = "NAME is hf.co/user/repo:Q4_K_M (or user/repo; a file, @REVISION), a short name as qwen3:4b, or the URL\n"
		"of a GGUF file. It goes into the cache that all programs of the hub share (HF_HUB_CACHE, HF_HOME, else\n"
		"~/.cache/huggingface/hub); what is opened is on standard output. What is there is not pulled again, a\n"
		"pull that was interrupted goes on where it was, and every file's checksum is checked. HF_TOKEN opens\n"
		"private and gated models, HF_ENDPOINT names another hub (docs/pull.md).\n\n"
		"Examples:\n"
		"  hokku pull qwen3:4b\n"
		"  hokku pull hf.co/Qwen/Qwen3-4B-GGUF:Q8_0\n"
		"  hokku run Qwen/Qwen3-4B-GGUF:Q8_0 -p \"Name three rivers.\"\n",
	.run = run,
};

static int pull(const struct pull_options *o, const char *name)
{
	struct hub_config config;
	struct hokku_error err;
	struct stat st;
	char *path = NULL, quoted[160];
	if (stat(name, &st) == 0) {
		fprintf(stderr, "hokku: %s is here; there is nothing to pull\n",
			str_quote(str_c(name), quoted, sizeof quoted));
		printf("%s\n", name);
		return cli_finish(EXIT_OK);
	}
	enum hokku_code rc = cli_hub_config(o, &config, &err);
	if (!rc)
		rc = cli_pull(&config, name, &path, &err);
	hub_config_free(&config);
	if (rc)
		return cli_find_failed(rc, &err);
	printf("%s\n", path);
	free(path);
	return cli_finish(EXIT_OK);
}

static int run(int argc, char **argv)
{
	struct pull_options o = {0};
	struct opt_table table = {0};
	const char *name = NULL;
	int n = 0;
	opt_add_hub(&table, &o);
	int rc = cli_parse(&cmd_pull, table.rows, argc, argv, &name, 1, &n);
	if (rc >= 0)
		return rc;
	if (!name)
		return cli_usage(&cmd_pull, "the NAME of a model is missing, as hf.co/user/repo:Q4_K_M");
	return pull(&o, name);
}
