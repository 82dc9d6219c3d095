/* hokku rm: a model out of the cache. */
#include <sys/stat.h>
#include <unistd.h>

#include "cli/job.h"
#include "cli/pull_model.h"
#include "hub/inventory.h"

static int run(int argc, char **argv);

const struct cmd cmd_rm = {
	.name = "rm",
	.usage = "rm NAME [--yes]",
	.summary = "remove a model from the cache",
	.help = "NAME as hokku list shows it: user/repo:Q4_K_M removes the files of that model, as far as no other\n"
		"snapshot has them; user/repo removes all that is here of the repository, whatever program brought it. It\n"
		"asks first, unless --yes is given; where there is no terminal to ask, --yes must be.\n\n"
		"Example:\n"
		"  hokku rm Qwen/Qwen3-4B-GGUF:Q8_0\n",
	.run = run,
};

static enum hokku_code may_remove(const struct hub_name *name, const struct hub_removed *what, bool yes,
				  struct hokku_error *err)
{
	char shown[HUB_MAX_URL], size[32], question[HUB_MAX_URL + 64];
	if (yes)
		return HOKKU_OK;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"%s would be removed (%s); there is no terminal to ask, so --yes must be given",
			hub_name_text(name, shown), str_bytes(what->n_bytes, size));
	snprintf(question, sizeof question, "Remove %s (%s)? [y/N] ", hub_name_text(name, shown),
		 str_bytes(what->n_bytes, size));
	if (cli_ask(question, false))
		return HOKKU_OK;
	return err_set(err, HOKKU_CANCELLED, "nothing was removed");
}

static enum hokku_code remove_named(const char *text, bool yes, struct hub_removed *what,
				    struct hokku_error *err)
{
	static char label[] = "removing";
	struct hub_config config;
	struct hub_name name;
	struct observer job = cli_job(label);
	enum hokku_code rc = hub_config_read(&config, err);
	if (!rc)
		rc = hub_name_parse(text, &config, &name, err);
	if (!rc && name.kind != HUB_REPO)
		rc = err_set(err, HOKKU_INVALID_REQUEST,
			     "%s is no repository of the cache; remove the file itself, as with rm", text);
	if (!rc)
		rc = hub_remove_look(&config, &name, what, err);
	if (!rc)
		rc = may_remove(&name, what, yes, err);
	if (!rc)
		rc = hub_remove(&config, &name, &job, what, err);
	hub_config_free(&config);
	return rc;
}

static int run(int argc, char **argv)
{
	bool yes = false;
	const char *text = NULL;
	char size[32];
	struct hub_removed what = {0};
	struct hokku_error err;
	const struct opt opts[] = {
		{.name = "yes", .letter = 'y', .kind = OPT_FLAG, .target = &yes, .help = "do not ask"},
		{0},
	};
	int n, code = cli_parse(&cmd_rm, opts, argc, argv, &text, 1, &n);
	if (code >= 0)
		return code;
	if (!text)
		return cli_usage(&cmd_rm, "the NAME of a model is missing, as hokku list shows it");
	enum hokku_code rc = remove_named(text, yes, &what, &err);
	if (rc)
		return cli_find_failed(rc, &err);
	printf("removed %s, %s\n", text, str_bytes(what.n_bytes, size));
	return cli_finish(EXIT_OK);
}
