/* hokku show: what a model of the cache is, and where. */
#include <stdlib.h>
#include <sys/stat.h>

#include "cli/inspect.h"
#include "cli/pull_model.h"
#include "hub/inventory.h"
#include "hub/pull.h"

static int run(int argc, char **argv);

const struct cmd cmd_show = {
	.name = "show",
	.usage = "show NAME",
	.summary = "print what a model is, and where its files are",
	.help = "NAME as hokku list shows it, or a path. hokku inspect has more of what its file says.\n\n"
		"Example:\n"
		"  hokku show Qwen/Qwen3-4B-GGUF:Q4_K_M\n",
	.run = run,
};

/* The files of a model of the cache. */
static enum hokku_code print_files(const struct hub_config *c, const struct hub_name *name,
				   struct hokku_error *err)
{
	char commit[41], size[32], shown[HUB_MAX_URL];
	struct hub_files files;
	struct hub_choice choice;
	enum hokku_code rc = hub_cache_choose(c, name, commit, &files, &choice, err);
	if (!rc)
		printf("name:            %s\ncommit:          %s\n", hub_name_text(name, shown), commit);
	for (size_t i = 0; !rc && i < choice.n; i++) {
		const struct hub_file *f = &files.all[choice.index[i]];
		printf("file:            %s, %s%s%s\n", f->path, str_bytes(f->n_bytes, size),
		       *f->hash ? ", checksum " : "", f->hash);
	}
	hub_choice_free(&choice);
	hub_files_free(&files);
	return rc;
}

static enum hokku_code show(const char *text, struct hokku_error *err)
{
	struct hub_config config = {0};
	struct hub_name name = {.kind = HUB_PATH};
	struct stat st;
	struct gguf *g = NULL;
	char *path = NULL;
	enum hokku_code rc = HOKKU_OK;
	if (stat(text, &st) != 0) {
		rc = hub_config_read(&config, err);
		if (!rc)
			rc = hub_name_parse(text, &config, &name, err);
	}
	if (!rc && name.kind == HUB_REPO)
		rc = hub_cache_find(&config, &name, &path, err);
	else if (!rc && name.kind == HUB_URL)
		rc = hub_find_url(&config, text, &path, err);
	if (rc == HOKKU_NOT_FOUND && name.kind != HUB_PATH)
		rc = err_set(err, rc, "%s is not here; hokku pull brings it, hokku list shows what is", text);
	if (!rc)
		rc = engine_open_file(path ? path : text, &g, err);
	if (!rc && name.kind == HUB_REPO)
		rc = print_files(&config, &name, err);
	if (!rc) {
		printf("path:            %s\n", path ? path : text);
		inspect_summary_text(g);
	}
	gguf_close(g);
	free(path);
	hub_config_free(&config);
	return rc;
}

static int run(int argc, char **argv)
{
	const char *text = NULL;
	struct hokku_error err;
	const struct opt opts[] = {{0}};
	int n, code = cli_parse(&cmd_show, opts, argc, argv, &text, 1, &n);
	if (code >= 0)
		return code;
	if (!text)
		return cli_usage(&cmd_show, "the NAME of a model is missing, as hokku list shows it");
	return cli_finish(show(text, &err) ? cli_fail(&err) : EXIT_OK);
}
