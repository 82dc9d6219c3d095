#include "server/states.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/field.h"

struct states {
	struct engine *engine;
	char *dir;
	void (*on_done)(void *user);
	void *user;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Under the lock. */
	struct states_job *first, **last; /* waiting */
	struct states_job *done, **done_last;
	struct states_job *at_hand;
	bool joined; /* the thread has ended: states_stop saw it */
	uint32_t n_waiting;
	bool stop;
};

/* ---- what requests take ---- */

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
	       c == '_' || c == '.';
}

enum hokku_code states_take_name(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	char found[96];
	struct str s = jv_is(v, JV_STRING) ? jv_str(v) : (struct str){NULL, 0};
	bool ok = s.len >= 1 && s.len <= REQUEST_MAX_NAME_BYTES && s.ptr[0] != '.';
	for (size_t i = 0; ok && i < s.len; i++)
		ok = is_name_char(s.ptr[i]);
	if (!ok)
		return bad(
			err, name,
			"is %s; it takes 1 to %d characters out of A-Z a-z 0-9 - _ . and none of them a dot at "
			"the beginning",
			field_describe(v, found), REQUEST_MAX_NAME_BYTES);
	memcpy(r->name, s.ptr, s.len);
	r->name[s.len] = '\0';
	return HOKKU_OK;
}

static enum hokku_code check_name(const struct gen_request *r, struct request_error *err)
{
	if (!r->name[0])
		return bad(err, "name", "is missing; it names the state");
	return HOKKU_OK;
}

static enum hokku_code check_save(struct gen_request *r, struct str stray, struct request_error *err)
{
	int given =
		(r->id[0] != '\0') + (r->prompt.ptr != NULL) + (r->tokens != NULL) + (r->messages != NULL);
	(void)stray;
	if (given == 0)
		return bad(err, "id", "is missing: give the id of a request, or prompt, tokens or messages");
	if (r->id[0] && r->cache_salt.len)
		return bad(err, "cache_salt",
			   "goes with prompt, tokens or messages; the request has its own");
	if (given > 1)
		return bad(err,
			   r->id[0]         ? "id"
			   : r->tokens_name ? r->tokens_name
					    : "prompt",
			   "is not all that says what is saved: give one of id, prompt, tokens and messages");
	if (!r->messages && (r->tools || r->template_kwargs || r->has_now))
		return bad(err,
			   r->tools     ? "tools"
			   : r->has_now ? "now"
					: "chat_template_kwargs",
			   "is for the chat template, which messages go through; the request has none");
	return check_name(r, err);
}

static enum hokku_code check_restore(struct gen_request *r, struct str stray, struct request_error *err)
{
	(void)stray;
	return check_name(r, err);
}

static const struct field save_fields[] = {
	/* clang-format off */
	{"name", states_take_name},
	{"model", field_model},
	{"id", field_id},
	{"prompt", field_prompt},
	{"tokens", field_tokens},
	{"messages", field_messages},
	{"tools", field_tools},
	{"chat_template_kwargs", field_template_kwargs},
	{"now", field_now},
	{"cache_salt", field_cache_salt},
	{"priority", field_priority},
	{NULL, NULL},
	/* clang-format on */
};
static const struct field restore_fields[] = {
	/* clang-format off */
	{"name", states_take_name},
	{"model", field_model},
	{"cache_salt", field_cache_salt},
	{NULL, NULL},
	/* clang-format on */
};

const struct request_form request_state_save = {
	.strict = true, .no_sampling = true, .fields = save_fields, .check = check_save};
const struct request_form request_state_restore = {
	.strict = true, .no_sampling = true, .fields = restore_fields, .check = check_restore};

/* ---- the work ---- */

static bool is_stopped(void *user)
{
	return atomic_load(&((struct states_job *)user)->stop);
}

/* Its folder is made with its first state. */
static enum hokku_code make_folder(const struct states *s, const struct states_job *job, char path[PATH_MAX],
				   struct hokku_error *err)
{
	int n = snprintf(path, PATH_MAX, "%s/%s", s->dir, job->folder);
	if (n >= PATH_MAX)
		return err_set(err, HOKKU_IO_ERROR, "the path of --state-dir is too long");
	if (job->save && mkdir(path, 0700) && errno != EEXIST)
		return err_set(err, HOKKU_IO_ERROR, "a folder of --state-dir cannot be made: %s",
			       strerror(errno));
	return HOKKU_OK;
}

static enum hokku_code run_job(struct states *s, struct states_job *job, struct hokku_error *err)
{
	char path[PATH_MAX], named[REQUEST_MAX_NAME_BYTES + 16];
	enum hokku_code rc = make_folder(s, job, path, err);
	if (rc)
		return rc;
	size_t n = strlen(path);
	if (snprintf(path + n, PATH_MAX - n, "/%s.state", job->name) >= (int)(PATH_MAX - n))
		return err_set(err, HOKKU_IO_ERROR, "the path of --state-dir is too long");
	const struct str salt = {job->cache_salt.ptr, job->cache_salt.len};
	snprintf(named, sizeof named, "state \"%s\"", job->name);
	if (!job->save)
		return engine_restore(s->engine,
				      &(struct engine_restoring){.owner = job->key,
								 .cache_salt = salt,
								 .path = path,
								 .name = named,
								 .stopped = is_stopped,
								 .user = job},
				      &job->told, err);
	const struct engine_saving saving = {
		.request = job->request,
		.tokens = job->ids.ids,
		.n_tokens = job->ids.n,
		.priority = job->priority,
		.owner = job->key,
		.cache_salt = salt,
		.path = path,
		.name = named,
		.stopped = is_stopped,
		.user = job,
	};
	return engine_save(s->engine, &saving, &job->told, err);
}

static void do_job(struct states *s, struct states_job *job)
{
	uint64_t begin = clock_ns();
	if (is_stopped(job))
		job->rc = err_set(&job->err, HOKKU_CANCELLED, "the request was cancelled");
	else
		job->rc = run_job(s, job, &job->err);
	job->ms = clock_ms_since(begin);
	if (!job->rc)
		log_info("state \"%s\" %s: %" PRIu32 " tokens, %" PRIu64 " bytes, %.1f ms", job->name,
			 job->save ? "saved" : "restored", job->told.n_tokens, job->told.bytes, job->ms);
}

static void *run(void *arg)
{
	struct states *s = arg;
	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		struct states_job *job = s->first;
		if (!job) {
			pthread_cond_wait(&s->wake, &s->lock);
			continue;
		}
		s->first = job->next;
		if (!s->first)
			s->last = &s->first;
		s->n_waiting--;
		s->at_hand = job;
		pthread_mutex_unlock(&s->lock);
		do_job(s, job);
		pthread_mutex_lock(&s->lock);
		s->at_hand = NULL;
		job->next = NULL;
		*s->done_last = job;
		s->done_last = &job->next;
		s->on_done(s->user);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- the loop's side ---- */

static enum hokku_code check_dir(const char *dir, struct hokku_error *err)
{
	struct stat st;
	if (stat(dir, &st))
		return err_set(err, errno == ENOENT ? HOKKU_NOT_FOUND : HOKKU_IO_ERROR, "--state-dir %s: %s",
			       dir, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(err, HOKKU_IO_ERROR, "--state-dir %s: is no folder", dir);
	if (access(dir, R_OK | W_OK | X_OK))
		return err_set(err, HOKKU_IO_ERROR, "--state-dir %s: files cannot be made there: %s", dir,
			       strerror(errno));
	return HOKKU_OK;
}

enum hokku_code states_create(struct engine *engine, const char *dir, void (*on_done)(void *user), void *user,
			      struct states **out, struct hokku_error *err)
{
	*out = NULL;
	enum hokku_code rc = check_dir(dir, err);
	if (rc)
		return rc;
	struct states *s = calloc(1, sizeof *s);
	if (s)
		s->dir = strdup(dir);
	if (!s || !s->dir) {
		free(s);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the thread of states");
	}
	s->engine = engine;
	s->on_done = on_done;
	s->user = user;
	s->last = &s->first;
	s->done_last = &s->done;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	int error = pthread_create(&s->thread, NULL, run, s);
	if (error) {
		pthread_cond_destroy(&s->wake);
		pthread_mutex_destroy(&s->lock);
		free(s->dir);
		free(s);
		return err_set(err, HOKKU_INTERNAL, "the thread of states cannot be started: %s",
			       strerror(error));
	}
	*out = s;
	return HOKKU_OK;
}

static void ask_to_stop(struct states *s)
{
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	if (s->at_hand)
		atomic_store(&s->at_hand->stop, true);
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

bool states_stop(struct states *s, uint32_t wait_ms)
{
	struct timespec until;
	if (!s)
		return true;
	ask_to_stop(s);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	s->joined = pthread_timedjoin_np(s->thread, NULL, &until) == 0;
	return s->joined;
}

void states_destroy(struct states *s)
{
	if (!s)
		return;
	if (!s->joined) {
		ask_to_stop(s);
		pthread_join(s->thread, NULL);
	}
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s->dir);
	free(s);
}

bool states_submit(struct states *s, struct states_job *job)
{
	pthread_mutex_lock(&s->lock);
	bool ok = s->n_waiting < STATES_MAX_WAITING;
	if (ok) {
		job->next = NULL;
		*s->last = job;
		s->last = &job->next;
		s->n_waiting++;
		pthread_cond_signal(&s->wake);
	}
	pthread_mutex_unlock(&s->lock);
	return ok;
}

struct states_job *states_take_done(struct states *s)
{
	pthread_mutex_lock(&s->lock);
	struct states_job *jobs = s->done;
	s->done = NULL;
	s->done_last = &s->done;
	pthread_mutex_unlock(&s->lock);
	return jobs;
}

void states_job_free(struct states_job *job)
{
	if (!job)
		return;
	tok_ids_free(&job->ids);
	strbuf_free(&job->cache_salt);
	free(job->told.tokens);
	free(job);
}

void states_answer(struct strbuf *b, const struct states_job *job)
{
	const struct engine_state_told *t = &job->told;
	strbuf_addf(b,
		    "{\"name\":\"%s\",\"tokens\":%" PRIu32 ",\"prompt_tokens\":%" PRIu32
		    ",\"kv_tokens\":%" PRIu32 ",\"bytes\":%" PRIu64 ",\"ms\":%.3f}\n",
		    job->name, t->n_tokens, t->n_prompt, t->n_kept, t->bytes, job->ms);
}
