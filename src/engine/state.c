#include "engine/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/build.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/new_file.h"
#include "engine/call.h"
#include "engine/chain.h"
#include "engine/queue.h"
#include "engine/state_file.h"
#include "model/identity.h"

enum {
	WAIT_MS = 50,          /* between two questions whether to stop */
	SYNC_BYTES = 64 << 20, /* written between two syncs, so that the last one does not take long */
};

/* A save or restore under way. */
struct work {
	struct engine *e;
	const char *name;
	bool (*stopped)(void *user);
	void *user;
	uint64_t request, root;
	uint32_t owner;
	struct state_header h;
	int32_t *ids; /* (n_ids) */
	struct chain chain;
	uint8_t *slice; /* (n_slice blocks) */
	uint32_t n_slice;
	uint32_t first, n; /* blocks of the slice at hand */
	bool good;         /* all of the file is as it was written */
	sem_t computed;
	enum hokku_code rc; /* of what the engine's thread did */
	struct hokku_error err;
};

/* ---- which runs they belong to ---- */

static void fingerprint(struct engine *e)
{
	char build[BUILD_ID_TEXT];
	build_id(build);
	const struct fingerprint_of of = {
		.identity = e->identity,
		.build = build,
		.n_ctx = e->n_ctx,
		.chat_template = {e->chat_template, e->chat_template_bytes},
		.other = e->fingerprint_of,
	};
	fingerprint_make(&of, e->fingerprint);
}

enum hokku_code state_identify(struct engine *e, struct hokku_error *err)
{
	struct compute_kv_kind kind;
	const struct model *m = &e->model;
	uint64_t id, begin = clock_ns();
	enum hokku_code rc = model_identity(e->file, &id, err);
	if (rc)
		return rc;
	log_debug("the model is %016" PRIx64 ", read in %.1f ms", id, clock_ms_since(begin));
	struct state_identity *to = calloc(1, sizeof *to);
	e->identity = to;
	if (e->states)
		e->ended = calloc(STATE_ENDED, sizeof *e->ended);
	if (!to || (e->states && !e->ended))
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for what identifies states");
	compute_kv_describe(e->compute, &kind);
	for (uint32_t g = 0; g < m->n_kv_groups; g++)
		e->block_bytes[g] = compute_kv_bytes(e->compute, g);
	snprintf(to->text[STATE_MODEL], STATE_FIELD_BYTES, "%.60s, %.30s, %016" PRIx64, m->arch_name,
		 m->format_name, id);
	snprintf(to->text[STATE_BUILD], STATE_FIELD_BYTES, "%s", kind.build);
	snprintf(to->text[STATE_DEVICE], STATE_FIELD_BYTES, "%s", kind.device);
	snprintf(to->text[STATE_LAYOUT], STATE_FIELD_BYTES, "%s", kind.layout);
	snprintf(to->text[STATE_ROPE], STATE_FIELD_BYTES, "%u, %016" PRIx64, m->n_ropes,
		 model_rope_identity(m));
	snprintf(to->text[STATE_BLOCK], STATE_FIELD_BYTES, "%d", COMPUTE_KV_BLOCK);
	char *at = to->text[STATE_GROUPS];
	int n = snprintf(at, STATE_FIELD_BYTES, "%u, windows", m->n_kv_groups);
	for (uint32_t g = 0; g < m->n_kv_groups; g++)
		n += snprintf(at + n, STATE_FIELD_BYTES - (size_t)n, " %u", m->kv_groups[g].window);
	if (e->fingerprint_of)
		fingerprint(e);
	return HOKKU_OK;
}

static enum hokku_code check_able(const struct engine *e, struct hokku_error *err)
{
	if (!engine_tok(e))
		return err_set(err, HOKKU_NOT_READY, "the model is still being loaded");
	if (!e->states || e->no_prefix_cache)
		return err_set(err, HOKKU_INVALID_REQUEST, "states are neither saved nor restored here%s",
			       e->no_prefix_cache ? ", as the prefix cache is off" : "");
	return HOKKU_OK;
}

static enum hokku_code find_root(struct work *w, struct str salt, struct hokku_error *err)
{
	struct engine *e = w->e;
	if (w->owner >= e->owners.n || salt.len > SALTS_MAX_BYTES)
		return err_set(err, HOKKU_INVALID_REQUEST, "owner %u or a salt of %zu bytes is out of range",
			       w->owner, salt.len);
	pthread_mutex_lock(&e->lock);
	w->root = salts_root(&e->salts, w->owner, salt);
	pthread_mutex_unlock(&e->lock);
	return HOKKU_OK;
}

/* ---- requests that have ended ---- */

/* Prompt and answer: what was drawn and told, an end token not counted. */
static uint32_t n_ids_of(const struct engine *e, const struct job *job)
{
	uint32_t n = job->seq.n_prompt + job->n_out;
	n = n < job->seq.n_ids ? n : job->seq.n_ids;
	return n < e->n_ctx ? n : e->n_ctx; /* one drawn behind a full context has no position */
}

void state_remember(struct engine *e, struct job *job)
{
	if (!e->ended || !job->started)
		return;
	struct ended_request *to = &e->ended[e->next_ended++ % STATE_ENDED];
	free(to->ids);
	*to = (struct ended_request){
		.id = job->id,
		.ids = job->seq.ids,
		.n_ids = n_ids_of(e, job),
		.n_prompt = job->seq.n_prompt - job->n_answered,
		.no_cache = !job->seq.hashes || job->no_cache,
		.owner = job->seq.owner,
		.root = job->seq.root,
	};
	job->seq.ids = NULL;
}

void state_forget_all(struct engine *e)
{
	for (uint32_t i = 0; e->ended && i < STATE_ENDED; i++)
		free(e->ended[i].ids);
	free(e->ended);
	free(e->identity);
	e->ended = NULL;
	e->identity = NULL;
}

/* ---- the engine's thread: blocks ---- */

static uint32_t n_full(uint32_t n_ids)
{
	return n_ids / COMPUTE_KV_BLOCK;
}

static void hold_all(struct work *w, const int32_t *ids, uint32_t n_ids, uint32_t n_prompt, uint64_t root)
{
	char found[32], wanted[32];
	uint32_t least = (n_ids - 1) / COMPUTE_KV_BLOCK; /* the last token may not have been computed */
	memcpy(w->ids, ids, n_ids * sizeof *ids);
	w->h.n_ids = n_ids;
	w->h.n_prompt = n_prompt;
	w->root = root;
	w->h.n_blocks = chain_find(&w->chain, &w->e->sched, root, ids, n_full(n_ids));
	if (!chain_leaves_room(&w->e->sched)) {
		chain_release(&w->chain, &w->e->sched);
		w->rc = err_set(
			&w->err, HOKKU_OVERLOADED,
			"the KV blocks of the request cannot be held while they are written: those that run "
			"need them; try again later");
	} else if (w->h.n_blocks < least)
		w->rc = err_set(
			&w->err, HOKKU_NOT_FOUND,
			"of the %s full KV blocks of the request %s are still in memory: the others were "
			"needed for something else; save its tokens, which are then computed again",
			str_thousands(least, wanted), str_thousands(w->h.n_blocks, found));
}

static void hold_request(struct engine *e, void *arg)
{
	struct work *w = arg;
	pthread_mutex_lock(&e->lock);
	struct job *job = e->jobs;
	while (job && (job->id != w->request || job->seq.owner != w->owner))
		job = job->next;
	pthread_mutex_unlock(&e->lock);
	if (job && !job->first_ns)
		w->rc = err_set(
			&w->err, HOKKU_NOT_FOUND,
			"the request has no answer yet: %u of the %u tokens of its prompt are computed",
			job->seq.n_done, job->seq.n_prompt);
	else if (job && (!job->seq.hashes || job->no_cache))
		w->rc = err_set(&w->err, HOKKU_NOT_FOUND,
				"the request keeps nothing in memory for others (cache_prompt is false)");
	else if (job)
		hold_all(w, job->seq.ids, n_ids_of(e, job), job->seq.n_prompt - job->n_answered,
			 job->seq.root);
	if (job)
		return;
	const struct ended_request *ended = NULL;
	for (uint32_t i = 0; i < STATE_ENDED; i++)
		if (e->ended[i].id == w->request && e->ended[i].owner == w->owner)
			ended = &e->ended[i];
	if (!ended)
		w->rc = err_set(&w->err, HOKKU_NOT_FOUND,
				"the request is not among those that run, nor the last %d that ended",
				STATE_ENDED);
	else if (ended->no_cache)
		w->rc = err_set(&w->err, HOKKU_NOT_FOUND,
				"the request kept nothing in memory for others (cache_prompt was false)");
	else
		hold_all(w, ended->ids, ended->n_ids, ended->n_prompt, ended->root);
}

static uint64_t kv_bytes_of(const struct state_header *h)
{
	return h->file_bytes - h->header_bytes - STATE_SUM_BYTES;
}

static enum hokku_code check_chain(struct work *w)
{
	if (chain_is_good(&w->chain, &w->e->sched))
		return HOKKU_OK;
	return err_set(&w->err, HOKKU_DEVICE_ERROR,
		       "a step of the model failed meanwhile, and KV memory means nothing since");
}

/* Of each block its bytes in each group that has it, one after another. */
static void move_slice(struct work *w, bool out)
{
	struct engine *e = w->e;
	uint8_t *at = w->slice;
	w->rc = check_chain(w);
	for (uint32_t i = w->first; i < w->first + w->n && !w->rc; i++)
		for (uint32_t g = 0; g < w->h.n_groups && !w->rc; g++) {
			if (i < w->h.groups[g].first)
				continue;
			uint32_t block = w->chain.blocks[g][i];
			if (out)
				w->rc = compute_kv_read(e->compute, g, block, at, &w->err);
			else if (chain_is_new(&w->chain, &e->sched, g, i))
				w->rc = compute_kv_write(e->compute, g, block, at, &w->err);
			at += w->h.groups[g].block_bytes;
		}
}

static void read_slice(struct engine *e, void *arg)
{
	(void)e;
	move_slice(arg, true);
}

static void write_slice(struct engine *e, void *arg)
{
	(void)e;
	move_slice(arg, false);
}

static void take_blocks(struct engine *e, void *arg)
{
	struct work *w = arg;
	char wanted[32], found[32], bytes[32];
	uint32_t first[MODEL_MAX_KV_GROUPS] = {0}, more, n_free;
	for (uint32_t g = 0; g < w->h.n_groups; g++)
		first[g] = w->h.groups[g].first;
	if (chain_take(&w->chain, &e->sched, w->root, w->ids, w->h.n_blocks, first, &more, &n_free))
		return;
	w->rc = err_set(
		&w->err, HOKKU_OVERLOADED,
		"%s wants %s KV block%s more (of %s bytes in all); the requests that run leave %s: try again "
		"later",
		w->name, str_thousands(more, wanted), more == 1 ? "" : "s",
		str_thousands(kv_bytes_of(&w->h), bytes), str_thousands(n_free, found));
}

static void release_blocks(struct engine *e, void *arg)
{
	struct work *w = arg;
	w->rc = w->good ? check_chain(w) : HOKKU_OK;
	if (w->good && !w->rc)
		chain_keep(&w->chain, &e->sched, w->root, w->ids);
	chain_release(&w->chain, &e->sched);
}

/* ---- the caller's thread ---- */

/* run on the engine's thread, and what came of it. */
static enum hokku_code ask(struct work *w, void (*run)(struct engine *e, void *arg), struct hokku_error *err)
{
	w->rc = HOKKU_OK;
	enum hokku_code rc = engine_call(w->e, run, w, err);
	if (!rc && w->rc)
		rc = err_set(err, w->rc, "%s", w->err.message);
	return rc;
}

static enum hokku_code check_stopped(const struct work *w, struct hokku_error *err)
{
	if (w->stopped && w->stopped(w->user))
		return err_set(err, HOKKU_CANCELLED, "%s: it was told to end", w->name);
	return HOKKU_OK;
}

static enum hokku_code work_begin(struct work *w, uint32_t n_ids, struct hokku_error *err)
{
	w->ids = malloc((size_t)(n_ids ? n_ids : 1) * sizeof *w->ids);
	if (w->ids && chain_init(&w->chain, n_full(n_ids)))
		return HOKKU_OK;
	return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its tokens", w->name);
}

/* Once the header is known. */
static enum hokku_code take_slice(struct work *w, struct hokku_error *err)
{
	uint64_t bytes = 0;
	for (uint32_t g = 0; g < w->h.n_groups; g++)
		bytes += w->h.groups[g].block_bytes;
	uint64_t n = bytes && bytes < STATE_SLICE_BYTES ? STATE_SLICE_BYTES / bytes : 1;
	w->n_slice = n < w->h.n_blocks ? (uint32_t)n : w->h.n_blocks;
	w->slice = malloc(w->n_slice * bytes + 1);
	if (w->slice)
		return HOKKU_OK;
	return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for %u of its KV blocks", w->name,
		       w->n_slice);
}

/* Where the engine has ended its memory has too. The ids are the caller's to free. */
static enum hokku_code work_end(struct work *w, enum hokku_code rc, struct hokku_error *err)
{
	struct hokku_error late;
	enum hokku_code released = w->chain.n ? ask(w, release_blocks, &late) : HOKKU_OK;
	if (!rc && released && w->good) /* restored, but cannot be found */
		rc = err_set(err, late.code, "%s", late.message);
	chain_deinit(&w->chain);
	free(w->slice);
	return rc;
}

/* ---- saving ---- */

static void on_event(void *user, const struct engine_event *event)
{
	struct work *w = user;
	if (event->kind == ENGINE_END) /* its blocks are its own still */
		w->h.n_blocks = chain_find(&w->chain, &w->e->sched, w->root, w->ids, n_full(w->h.n_ids));
	else if (event->kind == ENGINE_ERROR)
		w->rc = err_set(&w->err, event->error->code, "%s", event->error->message);
	if (event->kind == ENGINE_END || event->kind == ENGINE_ERROR)
		sem_post(&w->computed);
}

static bool wait_computed(struct work *w)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += WAIT_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return sem_timedwait(&w->computed, &until) == 0;
}

/* A request for one token that nobody is told. */
static enum hokku_code compute(struct work *w, const struct engine_saving *s, struct hokku_error *err)
{
	struct engine_request request = {
		.tokens = s->tokens,
		.n_tokens = s->n_tokens,
		.max_tokens = 1,
		.priority = s->priority,
		.owner = s->owner,
		.cache_salt = s->cache_salt,
		.on_event = on_event,
		.user = w,
	};
	uint64_t id;
	sampling_defaults(&request.sampling, SAMPLING_OWN, NULL);
	request.sampling.temperature = 0;
	if (s->n_tokens == 0)
		return err_set(err, HOKKU_INVALID_REQUEST, "%s has no tokens", w->name);
	w->h.n_ids = w->h.n_prompt = s->n_tokens < w->e->n_ctx ? (uint32_t)s->n_tokens : w->e->n_ctx;
	memcpy(w->ids, s->tokens, w->h.n_ids * sizeof *w->ids);
	sem_init(&w->computed, 0, 0);
	enum hokku_code rc = engine_submit(w->e, &request, &id, err); /* refuses what is longer */
	while (!rc && !wait_computed(w))
		if (w->stopped && w->stopped(w->user))
			engine_cancel(w->e, id);
	sem_destroy(&w->computed);
	if (!rc && w->rc)
		rc = err_set(err, w->rc, "%s", w->err.message);
	if (!rc && w->h.n_blocks < n_full(w->h.n_ids))
		rc = err_set(err, HOKKU_INTERNAL, "%s: KV blocks were lost while they were computed",
			     w->name);
	return rc;
}

static enum hokku_code write_all(const struct work *w, int fd, const void *bytes, size_t n,
				 struct hokku_error *err)
{
	char size[32];
	const char *at = bytes;
	while (n > 0) {
		ssize_t did = write(fd, at, n);
		if (did == 0)
			errno = ENOSPC;
		if (did == 0 || (did < 0 && errno != EINTR))
			return err_set(err, HOKKU_IO_ERROR, "%s of %s bytes cannot be written: %s", w->name,
				       str_thousands(w->h.file_bytes, size), strerror(errno));
		at += did > 0 ? did : 0;
		n -= did > 0 ? (size_t)did : 0;
	}
	return HOKKU_OK;
}

/* Told before anything is written, where the file system can tell. */
static enum hokku_code set_aside(const struct work *w, int fd, struct hokku_error *err)
{
	char size[32];
	if (fallocate(fd, 0, 0, (off_t)w->h.file_bytes) == 0 ||
	    (errno != ENOSPC && errno != EFBIG && errno != EDQUOT))
		return HOKKU_OK;
	return err_set(err, HOKKU_IO_ERROR, "%s takes %s bytes, for which there is no room: %s", w->name,
		       str_thousands(w->h.file_bytes, size), strerror(errno));
}

static enum hokku_code write_header(struct work *w, int fd, struct hokku_error *err)
{
	struct strbuf b = {0};
	state_put_header(&w->h, w->ids, &b);
	enum hokku_code rc =
		b.failed ? err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its header", w->name)
			 : write_all(w, fd, b.ptr, b.len, err);
	strbuf_free(&b);
	return rc;
}

static size_t sum_slice(const struct work *w, uint64_t *sum)
{
	size_t n = 0;
	for (uint32_t i = w->first; i < w->first + w->n; i++) {
		size_t bytes = (size_t)state_piece_bytes(&w->h, i);
		*sum = state_sum(*sum, w->slice + n, bytes);
		n += bytes;
	}
	return n;
}

/* The blocks from the first on, and the sum. */
static enum hokku_code write_blocks(struct work *w, int fd, struct hokku_error *err)
{
	uint64_t sum = w->h.sum, unsynced = 0;
	enum hokku_code rc = HOKKU_OK;
	for (w->first = 0; w->first < w->h.n_blocks && !rc; w->first += w->n) {
		w->n = w->h.n_blocks - w->first < w->n_slice ? w->h.n_blocks - w->first : w->n_slice;
		rc = check_stopped(w, err);
		if (!rc)
			rc = ask(w, read_slice, err);
		size_t bytes = rc ? 0 : sum_slice(w, &sum);
		if (!rc)
			rc = write_all(w, fd, w->slice, bytes, err);
		unsynced += bytes;
		if (unsynced >= SYNC_BYTES)
			unsynced = fdatasync(fd) ? unsynced : 0; /* an error comes with the last */
	}
	return rc ? rc : write_all(w, fd, &sum, sizeof sum, err);
}

static enum hokku_code write_file(struct work *w, const char *path, struct hokku_error *err)
{
	struct new_file f;
	enum hokku_code rc = take_slice(w, err);
	if (!rc)
		rc = new_file_create(&f, path, err);
	if (rc)
		return rc;
	rc = set_aside(w, f.fd, err);
	if (!rc)
		rc = write_header(w, f.fd, err);
	if (!rc)
		rc = write_blocks(w, f.fd, err);
	if (!rc)
		rc = new_file_finish(&f, err);
	new_file_close(&f);
	return rc;
}

static enum hokku_code describe(struct work *w, struct hokku_error *err)
{
	const struct engine *e = w->e;
	w->h.identity = *e->identity;
	w->h.n_groups = e->model.n_kv_groups;
	for (uint32_t g = 0; g < w->h.n_groups; g++)
		w->h.groups[g] = (struct state_group){e->block_bytes[g], w->chain.first[g]};
	if (state_measure(&w->h))
		return HOKKU_OK;
	return err_set(err, HOKKU_INTERNAL, "%s would be larger than any file", w->name);
}

enum hokku_code engine_save(struct engine *e, const struct engine_saving *s, struct engine_state_told *told,
			    struct hokku_error *err)
{
	struct work w = {.e = e,
			 .name = s->name,
			 .stopped = s->stopped,
			 .user = s->user,
			 .request = s->request,
			 .owner = s->owner};
	enum hokku_code rc = check_able(e, err);
	if (!rc)
		rc = find_root(&w, s->cache_salt, err);
	if (rc)
		return rc;
	rc = work_begin(&w, e->n_ctx + 1, err);
	if (!rc)
		rc = s->request ? ask(&w, hold_request, err) : compute(&w, s, err);
	if (!rc)
		rc = describe(&w, err);
	if (!rc)
		rc = write_file(&w, s->path, err);
	*told = (struct engine_state_told){.n_tokens = w.h.n_ids,
					   .n_prompt = w.h.n_prompt,
					   .n_kept = w.h.n_blocks * COMPUTE_KV_BLOCK,
					   .bytes = w.h.file_bytes};
	rc = work_end(&w, rc, err);
	free(w.ids);
	return rc;
}

/* ---- restoring ---- */

/* What no state of this engine's has, although its header is whole. */
static enum hokku_code check_fits(const struct work *w, struct hokku_error *err)
{
	const struct engine *e = w->e;
	char found[32], wanted[32], bytes[32], all[32];
	struct engine_state state;
	enum hokku_code rc = state_check_identity(&w->h.identity, e->identity, w->name, err);
	if (rc)
		return rc;
	engine_get_state(w->e, &state);
	if (w->h.n_ids > e->n_ctx)
		return err_set(
			err, HOKKU_CONTEXT_EXCEEDED,
			"%s has %s tokens, and keys and values of %s bytes; the context holds %s tokens, the "
			"KV memory %s bytes",
			w->name, str_thousands(w->h.n_ids, found), str_thousands(kv_bytes_of(&w->h), bytes),
			str_thousands(e->n_ctx, wanted), str_thousands(state.memory.kv_bytes, all));
	bool good = w->h.n_groups == e->model.n_kv_groups && w->h.n_blocks <= n_full(w->h.n_ids);
	for (uint32_t g = 0; g < w->h.n_groups && good; g++)
		good = w->h.groups[g].block_bytes == e->block_bytes[g] &&
		       w->h.groups[g].first <=
			       kv_behind(e->model.kv_groups[g].window, w->h.n_blocks * COMPUTE_KV_BLOCK);
	if (!good)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s breaks the rules of a state: its KV blocks are not those of "
			       "its tokens",
			       w->name);
	return HOKKU_OK;
}

static enum hokku_code check_ids(const struct work *w, struct hokku_error *err)
{
	for (uint32_t i = 0; i < w->h.n_ids; i++)
		if (w->ids[i] < 0 || (uint32_t)w->ids[i] >= w->e->n_vocab)
			return err_set(
				err, HOKKU_BAD_FILE,
				"%s breaks the rules of a state: token %u is %d; the vocabulary has 0 to %u",
				w->name, i, w->ids[i], w->e->n_vocab - 1);
	return HOKKU_OK;
}

static enum hokku_code read_header(struct work *w, const struct file *f, struct hokku_error *err)
{
	uint8_t fixed[STATE_FIXED_BYTES];
	uint32_t n = 0;
	size_t have = f->size < sizeof fixed ? (size_t)f->size : sizeof fixed;
	enum hokku_code rc = file_read_at(f, w->name, 0, fixed, have, err);
	if (!rc)
		rc = state_read_fixed(fixed, have, f->size, w->name, &n, err);
	uint8_t *bytes = rc ? NULL : malloc(n);
	if (!rc && !bytes)
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its header", w->name);
	if (!rc)
		rc = file_read_at(f, w->name, 0, bytes, n, err);
	if (!rc)
		rc = state_read_header(bytes, n, f->size, w->name, &w->h, err);
	if (!rc)
		rc = check_fits(w, err);
	if (!rc)
		rc = work_begin(w, w->h.n_ids, err);
	if (!rc)
		state_read_ids(&w->h, bytes, w->ids);
	free(bytes);
	return rc ? rc : check_ids(w, err);
}

static enum hokku_code read_blocks(struct work *w, const struct file *f, struct hokku_error *err)
{
	uint64_t sum = w->h.sum, at = w->h.header_bytes, found;
	enum hokku_code rc = take_slice(w, err);
	if (!rc)
		rc = ask(w, take_blocks, err);
	for (w->first = 0; w->first < w->h.n_blocks && !rc; w->first += w->n) {
		w->n = w->h.n_blocks - w->first < w->n_slice ? w->h.n_blocks - w->first : w->n_slice;
		size_t bytes = 0;
		for (uint32_t i = w->first; i < w->first + w->n; i++)
			bytes += (size_t)state_piece_bytes(&w->h, i);
		rc = check_stopped(w, err);
		if (!rc)
			rc = file_read_at(f, w->name, at, w->slice, bytes, err);
		if (!rc)
			at += sum_slice(w, &sum);
		if (!rc)
			rc = ask(w, write_slice, err);
	}
	if (!rc)
		rc = file_read_at(f, w->name, at, &found, sizeof found, err);
	if (!rc)
		rc = state_check_sum(found, sum, "contents", w->name, err);
	w->good = !rc;
	return rc;
}

enum hokku_code engine_restore(struct engine *e, const struct engine_restoring *r,
			       struct engine_state_told *told, struct hokku_error *err)
{
	struct work w = {.e = e, .name = r->name, .stopped = r->stopped, .user = r->user, .owner = r->owner};
	struct file f;
	*told = (struct engine_state_told){0};
	enum hokku_code rc = check_able(e, err);
	if (!rc)
		rc = find_root(&w, r->cache_salt, err);
	if (!rc)
		rc = file_open(r->path, &f, err);
	if (rc == HOKKU_NOT_FOUND)
		return err_set(err, rc, "%s is not there", r->name);
	if (rc)
		return rc;
	rc = read_header(&w, &f, err);
	if (!rc)
		rc = read_blocks(&w, &f, err);
	file_close(&f);
	rc = work_end(&w, rc, err);
	if (rc) {
		free(w.ids);
		return rc;
	}
	*told = (struct engine_state_told){.n_tokens = w.h.n_ids,
					   .n_prompt = w.h.n_prompt,
					   .n_kept = w.h.n_blocks * COMPUTE_KV_BLOCK,
					   .bytes = w.h.file_bytes,
					   .tokens = w.ids};
	return HOKKU_OK;
}
