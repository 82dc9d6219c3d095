#include "cli/serve_models.h"

#include <errno.h>
#include <sys/stat.h>

#include "server/ollama.h"

/* A program runs one command, once. */
static struct {
	const char *keep_alive;
	bool dir_given, memory_given, keep_alive_given;
	const char *paths[SERVE_MAX_MODELS];
} chosen = {.keep_alive = "5m"};

void opt_add_models(struct opt_table *t, struct server_config *config)
{
	opt_add(t,
		&(struct
		  opt){.name = "models-dir",
		       .kind = OPT_STRING,
		       .target = &config->models_dir,
		       .metavar = "DIR",
		       .env = true,
		       .given = &chosen.dir_given,
		       .help = "folder whose models are served by their names, loaded when they are asked for",
		       .fallback = "none: MODEL alone"});
	opt_add(t, &(struct opt){.name = "models-memory",
				 .kind = OPT_BYTES,
				 .target = &config->models_memory,
				 .metavar = "BYTES",
				 .env = true,
				 .given = &chosen.memory_given,
				 .min = 1,
				 .max = 1e15,
				 .help = "host memory that all of several models may take together",
				 .fallback = "nine tenths of what is available at the start"});
	opt_add(t,
		&(struct
		  opt){.name = "models-keep-alive",
		       .kind = OPT_STRING,
		       .target = &chosen.keep_alive,
		       .metavar = "TIME",
		       .env = true,
		       .given = &chosen.keep_alive_given,
		       .help = "how long one of several models stays after its last request, as 5m or in seconds; "
			       "-1: until another needs its memory"});
}

/* Two names of one file would be two models. */
static int check_twice(const struct cmd *cmd, uint32_t n)
{
	struct stat a, b;
	char quoted[96];
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < i; k++)
			if (stat(chosen.paths[i], &a) == 0 && stat(chosen.paths[k], &b) == 0 &&
			    a.st_dev == b.st_dev && a.st_ino == b.st_ino)
				return cli_usage(cmd, "%s is given twice; give each model once",
						 str_quote(str_c(chosen.paths[i]), quoted, sizeof quoted));
	return -1;
}

static int check_dir(const struct cmd *cmd, const char *dir)
{
	struct stat st;
	struct hokku_error err;
	if (!dir)
		return -1;
	if (!*dir)
		return cli_usage(cmd, "--models-dir is empty; it takes the path of a folder");
	if (stat(dir, &st))
		err_set(&err, errno == ENOENT ? HOKKU_NOT_FOUND : HOKKU_IO_ERROR, "--models-dir %s: %s", dir,
			strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		err_set(&err, HOKKU_IO_ERROR, "--models-dir %s: is no folder", dir);
	else
		return -1;
	return cli_fail(&err);
}

int cli_choose_models(const struct cmd *cmd, const char *const *asked, int n, int (*find)(const char **model),
		      struct server_config *config)
{
	char quoted[96];
	bool several = n > 1 || config->models_dir;
	if (!several && (chosen.memory_given || chosen.keep_alive_given))
		return cli_usage(cmd,
				 "%s is for several models; there is one: give --models-dir, or more files",
				 chosen.memory_given ? "--models-memory" : "--models-keep-alive");
	if (!ollama_keep_alive_text(chosen.keep_alive, &config->models_keep_alive_ns))
		return cli_usage(cmd, "--models-keep-alive is %s; it takes a time as 5m or 1h30m, or seconds",
				 str_quote(str_c(chosen.keep_alive), quoted, sizeof quoted));
	int rc = check_dir(cmd, config->models_dir);
	for (int i = 0; i < n && rc < 0; i++) {
		chosen.paths[i] = asked[i];
		rc = find(&chosen.paths[i]);
	}
	if (rc < 0)
		rc = check_twice(cmd, (uint32_t)n);
	if (several) {
		config->model_paths = chosen.paths;
		config->n_model_paths = (uint32_t)n;
	} else {
		config->engine.model_path = n ? chosen.paths[0] : NULL;
	}
	return rc;
}
