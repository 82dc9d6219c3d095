#include "cli/pull_model.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/job.h"
#include "cli/needs.h"
#include "hub/name.h"
#include "hub/pull.h"

/* ---- options ---- */

void opt_add_offline(struct opt_table *t, struct pull_options *o)
{
	o->n_connections = HUB_CONNECTIONS;
	opt_add(t, &(struct opt){.name = "offline",
				 .kind = OPT_FLAG,
				 .target = &o->offline,
				 .env = true,
				 .help = "ask nothing of the hub: only what is here is found"});
}

void opt_add_hub(struct opt_table *t, struct pull_options *o)
{
	opt_add_offline(t, o);
	opt_add(t, &(struct opt){.name = "connections",
				 .kind = OPT_U32,
				 .target = &o->n_connections,
				 .metavar = "N",
				 .env = true,
				 .help = "connections over which a file comes at a time",
				 .min = 1,
				 .max = HUB_MAX_CONNECTIONS});
}

void opt_add_pull(struct opt_table *t, struct pull_options *o)
{
	opt_add(t, &(struct opt){.name = "pull",
				 .kind = OPT_FLAG,
				 .target = &o->pull,
				 .env = true,
				 .help = "pull a model that is not here without asking"});
	opt_add_hub(t, o);
}

enum hokku_code cli_hub_config(const struct pull_options *o, struct hub_config *c, struct hokku_error *err)
{
	enum hokku_code rc = hub_config_read(c, err);
	c->n_connections = o->n_connections;
	c->offline |= o->offline;
	return rc;
}

/* ---- progress ---- */

enum { REDRAW_MS = 100, RATE_MS = 1000 };
#define RATE_KEPT 0.7 /* of the rate before, when a second has passed */

struct drawing {
	const struct hub_config *config;
	struct observer job;
	uint64_t drawn_ns, rate_ns, rate_bytes;
	double rate;
	bool terminal, begun, asks;
};

const char *cli_pull_line(uint64_t done, uint64_t all, double rate, char out[128])
{
	char have[32], whole[32], left[48] = "";
	double exact = rate > 0 ? (double)(all - done) / rate + 0.5 : 0;
	uint64_t s = exact < 1e9 ? (uint64_t)exact : 1000000000;
	unsigned percent = all ? (unsigned)(100 * (double)done / (double)all) : 100;
	if (rate > 0 && s < 3600)
		snprintf(left, sizeof left, ", %.1f MB/s, %u:%02u left", rate * 1e-6, (unsigned)(s / 60),
			 (unsigned)(s % 60));
	else if (rate > 0 && s < 360000)
		snprintf(left, sizeof left, ", %.1f MB/s, %u:%02u:%02u left", rate * 1e-6,
			 (unsigned)(s / 3600), (unsigned)(s / 60 % 60), (unsigned)(s % 60));
	else if (rate > 0)
		snprintf(left, sizeof left, ", %.3f MB/s, days left", rate * 1e-6);
	snprintf(out, 128, "%u%%, %s of %s%s", percent, str_bytes(done, have), str_bytes(all, whole), left);
	return out;
}

static void measure(struct drawing *d, uint64_t done)
{
	uint64_t now = clock_ns();
	if (!d->begun || done < d->rate_bytes) {
		d->begun = true;
		d->rate_ns = now;
		d->rate_bytes = done;
	}
	double ms = (double)(now - d->rate_ns) * 1e-6;
	if (ms < RATE_MS)
		return;
	double rate = (double)(done - d->rate_bytes) / ms * 1e3;
	d->rate = d->rate > 0 ? d->rate * RATE_KEPT + rate * (1 - RATE_KEPT) : rate;
	d->rate_ns = now;
	d->rate_bytes = done;
}

static void on_progress(void *user, enum hub_phase phase, const char *file, uint64_t done, uint64_t all)
{
	struct drawing *d = user;
	char line[128];
	if (phase == HUB_BRINGING)
		measure(d, done);
	if (!d->terminal || (clock_ms_since(d->drawn_ns) < REDRAW_MS && done < all))
		return;
	d->drawn_ns = clock_ns();
	cli_pull_line(done, all, phase == HUB_BRINGING ? d->rate : 0, line);
	fprintf(stderr, "\r\033[K%s %.60s %s", phase == HUB_BRINGING ? "pulling" : "checking", file, line);
	fflush(stderr);
}

/* ---- pulling ---- */

static void tell_plan(const struct hub_plan *plan)
{
	char shown[HUB_MAX_URL], all[32], here[48] = "", size[32];
	const struct hub_file *first = &plan->files->all[plan->choice->index[0]];
	if (plan->n_here)
		snprintf(here, sizeof here, ", %s of it here already", str_bytes(plan->n_here, size));
	fprintf(stderr, "hokku: pulling %s: %s%s, %zu file%s, %s%s\n", hub_name_text(plan->name, shown),
		plan->choice->folder ? "the folder of " : "", first->path, plan->choice->n,
		plan->choice->n == 1 ? "" : "s", str_bytes(plan->n_bytes, all), here);
}

static enum hokku_code on_begin(void *user, const struct hub_plan *plan, struct hokku_error *err)
{
	const struct drawing *d = user;
	tell_plan(plan);
	cli_tell_needs(d->config, plan);
	if (observer_stopped(&d->job))
		return err_set(err, HOKKU_CANCELLED, "interrupted");
	if (d->asks && !cli_ask("Pull it? [Y/n] ", true))
		return err_set(err, HOKKU_CANCELLED, "nothing was pulled");
	return HOKKU_OK;
}

static enum hokku_code pull_named(const struct hub_config *c, const struct hub_name *name, bool asks,
				  char **path, struct hokku_error *err)
{
	static char label[] = "pulling";
	struct drawing d = {
		.config = c, .terminal = isatty(STDERR_FILENO), .asks = asks, .job = cli_job(label)};
	const struct hub_pull p = {.config = c,
				   .name = name,
				   .observer = &d.job,
				   .begin = on_begin,
				   .progress = on_progress,
				   .user = &d};
	/* A connection that breaks, and a file that may not be so large, are told by what was called. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	enum hokku_code rc = hub_pull(&p, path, err);
	if (d.terminal)
		fprintf(stderr, "\r\033[K");
	cli_job_release();
	return rc;
}

enum hokku_code cli_pull(const struct hub_config *c, const char *name, char **path, struct hokku_error *err)
{
	struct hub_name parsed;
	*path = NULL;
	enum hokku_code rc = hub_name_parse(name, c, &parsed, err);
	if (!rc && parsed.kind == HUB_PATH)
		rc = err_set(err, HOKKU_NOT_FOUND,
			     "%s: there is no such file here, and as a path it names none of the hub",
			     HUB_SHOWN(name));
	return rc ? rc : pull_named(c, &parsed, false, path, err);
}

/* ---- models of commands ---- */

static enum hokku_code keep(const char *name, char **path, struct hokku_error *err)
{
	*path = strdup(name);
	return *path ? HOKKU_OK : err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a path");
}

/* o may be NULL: then nothing is pulled. */
static enum hokku_code find_named(const struct pull_options *o, const struct hub_config *c, const char *name,
				  char **path, struct hokku_error *err)
{
	struct hub_name parsed;
	enum hokku_code rc = hub_name_parse(name, c, &parsed, err);
	if (rc)
		return rc;
	if (parsed.kind == HUB_PATH)
		return keep(name, path, err); /* whoever opens it says that it is not there */
	rc = parsed.kind == HUB_URL ? hub_find_url(c, name, path, err)
				    : hub_cache_find(c, &parsed, path, err);
	if (rc != HOKKU_NOT_FOUND)
		return rc;
	if (c->offline)
		return err_prefix(err, rc, "offline, so nothing is pulled");
	bool asks = o && isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
	if (o && (o->pull || asks))
		return pull_named(c, &parsed, !o->pull, path, err);
	return err_set(err, rc, "%s is neither a file here nor in the cache (%s); %shokku pull %s%s", name,
		       c->cache, o ? "--pull brings it, or " : "", name, o ? "" : " brings it");
}

enum hokku_code cli_find_model(const struct pull_options *o, const char *name, char **path,
			       struct hokku_error *err)
{
	struct hub_config config;
	struct stat st;
	*path = NULL;
	if (!name)
		return HOKKU_OK;
	size_t n = strlen(name);
	bool is_path = strchr("/.~-", *name) || stat(name, &st) == 0 ||
		       (n > 5 && strcmp(name + n - 5, ".gguf") == 0 && !strchr(name, ':') &&
			!hub_name_has_host(name));
	if (is_path) /* whatever the settings of the hub are */
		return keep(name, path, err);
	enum hokku_code rc = o ? cli_hub_config(o, &config, err) : hub_config_read(&config, err);
	if (!rc)
		rc = find_named(o, &config, name, path, err);
	hub_config_free(&config);
	return rc;
}

enum hokku_code cli_find_here(const char *name, char **path, struct hokku_error *err)
{
	return cli_find_model(NULL, name, path, err);
}

enum hokku_code cli_open_file(const char *name, struct gguf **g, struct hokku_error *err)
{
	char *path;
	*g = NULL;
	enum hokku_code rc = cli_find_here(name, &path, err);
	if (!rc)
		rc = engine_open_file(path, g, err);
	free(path);
	return rc;
}

/* ---- models that are looked at ---- */

struct look_begin {
	cli_looked *fn;
	void *user;
	enum hokku_code rc; /* what it returned */
	struct hokku_error err;
	bool called;
};

static enum hokku_code on_look(void *user, const struct hub_plan *plan, struct hokku_error *err)
{
	struct look_begin *l = user;
	char size[32];
	l->called = true;
	l->rc = cli_open_heads(plan, l->fn, l->user, &l->err);
	if (l->rc == HOKKU_MODEL_LOAD_FAILED || l->rc == HOKKU_BAD_FILE)
		err_prefix(&l->err, l->rc, "of %s, which is not here (%s to pull), no more can be told",
			   plan->name->repo, str_bytes(plan->n_bytes, size));
	return err_set(err, HOKKU_CANCELLED, "it was only looked at");
}

static enum hokku_code look_on_hub(const struct hub_config *c, const struct hub_name *name, cli_looked *fn,
				   void *user, char **path, struct hokku_error *err)
{
	static char label[] = "looking";
	struct observer job = cli_job(label);
	struct look_begin l = {.fn = fn, .user = user};
	const struct hub_pull p = {.config = c, .name = name, .observer = &job, .begin = on_look, .user = &l};
	signal(SIGPIPE, SIG_IGN);
	enum hokku_code rc = hub_pull(&p, path, err);
	cli_job_release();
	if (!l.called)
		return rc;
	if (l.rc)
		*err = l.err;
	return l.rc;
}

static enum hokku_code open_and_look(const char *path, cli_looked *fn, void *user, struct hokku_error *err)
{
	struct gguf *g = NULL;
	enum hokku_code rc = engine_open_file(path, &g, err);
	if (!rc)
		rc = fn(user, g, err);
	gguf_close(g);
	return rc;
}

enum hokku_code cli_look_model(const struct pull_options *o, const char *name, cli_looked *fn, void *user,
			       struct hokku_error *err)
{
	struct hub_config config = {0};
	struct hub_name parsed;
	char *path = NULL;
	enum hokku_code rc = cli_find_here(name, &path, err);
	if (rc == HOKKU_NOT_FOUND && !cli_hub_config(o, &config, err) && !config.offline &&
	    !hub_name_parse(name, &config, &parsed, err) && parsed.kind != HUB_PATH) {
		rc = look_on_hub(&config, &parsed, fn, user, &path, err);
		hub_config_free(&config);
		if (rc || !path)
			return rc;
	} else {
		hub_config_free(&config);
	}
	if (!rc)
		rc = open_and_look(path, fn, user, err);
	free(path);
	return rc;
}

int cli_find_failed(enum hokku_code rc, const struct hokku_error *err)
{
	cli_fail(err);
	return rc == HOKKU_CANCELLED ? EXIT_INTERRUPTED : EXIT_FAILED;
}
