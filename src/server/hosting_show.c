#include "server/hosting_show.h"

#include <pthread.h>
#include <stdlib.h>

#include "engine/look.h"
#include "server/generate.h"
#include "server/hosting_internal.h"

enum { MAX_THREADS = 2 };

struct show {
	struct show *next;
	struct generation *g; /* its job is the thread's */
	char *path;
	uint32_t n_ctx; /* that it has, or would have */
	bool begun;
	pthread_t thread;
	atomic_bool over;
};

/* What a request for a model in memory finds there, opened for this one. */
struct opened {
	struct gguf *file;
	struct model_look look;
	struct tok *tok;
	struct chat chat;
	struct dialect_found dialect;
	struct sampling_advice advice;
};

static enum hokku_code open_all(const struct server_config *c, const char *path, struct opened *o,
				struct hokku_error *err)
{
	enum hokku_code rc = engine_open_file(path, &o->file, err);
	if (!rc)
		rc = engine_look(o->file, &c->engine, &o->look, err);
	if (!rc)
		rc = engine_open_tok(o->file, &o->tok, &o->chat, c->engine.chat_template, err);
	if (!rc)
		rc = c->engine.dialect ? dialect_probe_as(&o->chat, c->engine.dialect, &o->dialect, err)
				       : dialect_probe(&o->chat, &o->dialect, err);
	return rc;
}

static void pass_over(void *user, const char *text)
{
	(void)user;
	(void)text; /* loading tells it */
}

static void run_job(struct show *show)
{
	struct generation *g = show->g;
	struct prepare_job *job = &g->job;
	struct opened o = {0};
	job->rc = open_all(&g->server->config, show->path, &o, &job->err.error);
	if (!job->rc) {
		const struct hokku_info info = {.architecture = o.look.architecture,
						.format = o.look.format,
						.n_params = o.look.n_params,
						.n_ctx = show->n_ctx,
						.d_model = o.look.d_model};
		const struct request_served served = {.name = g->hosted->file.name,
						      .several = true,
						      .n_ctx = show->n_ctx,
						      .info = &info,
						      .file = o.file,
						      .advice = &o.advice,
						      .dialect = &o.dialect};
		sampling_read_advice(o.file, &o.advice, pass_over, NULL);
		job->served = &served;
		job->dialect = &o.dialect;
		prepare_run_job(job, o.tok, &o.chat, &o.advice, &(struct prepare_chat){0});
		job->served = NULL;
		job->dialect = NULL;
	}
	chat_deinit(&o.chat);
	tok_destroy(o.tok);
	gguf_close(o.file);
}

static void *run(void *arg)
{
	struct show *show = arg;
	struct server *s = show->g->server;
	if (atomic_load(&show->g->job.abandoned))
		show->g->job.rc =
			err_set(&show->g->job.err.error, HOKKU_CANCELLED, "the request was cancelled");
	else
		run_job(show);
	atomic_store(&show->over, true);
	http_wake(s->http);
	return NULL;
}

static void begin(struct show *show)
{
	show->begun = pthread_create(&show->thread, NULL, run, show) == 0;
}

static void begin_some(struct server *s)
{
	uint32_t n = 0;
	for (struct show *show = s->shows; show; show = show->next)
		n += show->begun;
	for (struct show *show = s->shows; show && n < MAX_THREADS; show = show->next)
		if (!show->begun) {
			begin(show);
			n++;
		}
}

bool show_submit(struct generation *g)
{
	struct server *s = g->server;
	struct show *show = calloc(1, sizeof *show), **end = &s->shows;
	if (show)
		show->path = strdup(g->hosted->file.path);
	if (!show || !show->path) {
		free(show);
		return false;
	}
	show->g = g;
	show->n_ctx = hosting_context(g->hosted);
	while (*end)
		end = &(*end)->next;
	*end = show;
	g->preparing = g->of_file = true;
	s->n_preparing++;
	http_set_user(g->client, g);
	begin_some(s);
	return true;
}

void show_take(struct server *s)
{
	for (struct show **at = &s->shows; *at;) {
		struct show *show = *at;
		if (!show->begun || !atomic_load(&show->over)) {
			at = &show->next;
			continue;
		}
		*at = show->next;
		pthread_join(show->thread, NULL);
		gen_take_job(show->g);
		free(show->path);
		free(show);
	}
	begin_some(s);
}

void show_stop(struct server *s)
{
	for (struct show *show = s->shows, *next; show; show = next) {
		next = show->next;
		if (show->begun)
			pthread_join(show->thread, NULL);
		free(show->path);
		free(show);
	}
	s->shows = NULL;
}
