#include "server/hosted.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "engine/salts.h"
#include "server/hosting.h"
#include "server/state.h"

_Static_assert(KEYS_UNLIMITED == ENGINE_UNLIMITED, "limits go from keys to the engine as they are");
_Static_assert((int)SALTS_OWNERS == (int)KEYS_MAX + 1, "a key is an owner");

/* Once: which device it is, and why where nobody said; what the tokenizer's file left open. */
static void tell_device(struct hosted *h, const struct engine_state *state)
{
	if (state->phase != ENGINE_READY || h->device_told)
		return;
	char text[ENGINE_CONTEXT_TEXT];
	h->device_told = true;
	log_write(state->device_why_notable ? LOG_WARN : LOG_INFO, "computing on %s%s%s", state->info.device,
		  state->device_why ? ", because " : "", state->device_why ? state->device_why : "");
	if (engine_context_text(state, h->file.name, text))
		log_warn("%s", text);
	log_info("tokenizer %s", state->info.tokenizer);
	for (const char *const *note = state->tokenizer_notes; note && *note; note++)
		log_warn("%s", *note);
}

/* Once: the server stays, so that whoever asks learns why it answers nothing. */
static void tell_loss(struct hosted *h, const struct engine_state *state)
{
	if (state->phase != ENGINE_LOST || h->loss_told)
		return;
	h->loss_told = true;
	log_error("%s: %s; every request is refused from now on: restart the server when the device works "
		  "again",
		  hokku_code_name(state->failure.code), state->failure.message);
}

void hosted_tell(struct hosted *h, const struct engine_state *state)
{
	tell_device(h, state);
	tell_loss(h, state);
}

static void wake_loop(void *user)
{
	struct hosted *h = user;
	http_wake(h->server->http);
}

/* What the server's options give to prompts and shapes: answers differ where it does. */
static void tell_apart(const struct server_config *c, struct strbuf *out)
{
	char now[20];
	strbuf_add_c(out, "kwargs ");
	if (c->chat_kwargs)
		jv_write(c->chat_kwargs, out);
	if (c->chat_now)
		strbuf_addf(out, " now %s", (jinja_time_text(c->chat_now, now), now));
	if (c->engine.dialect)
		strbuf_addf(out, " dialect %s", dialect_name(c->engine.dialect));
	strbuf_add_c(out, c->thinking_is_text ? " thinking is text" : "");
	strbuf_add_c(out, c->keep_billing_header ? " billing" : "");
}

struct engine_limits hosted_limits(const struct server *s, uint32_t owner)
{
	if (owner > keys_count(s->keys))
		return (struct engine_limits){ENGINE_UNLIMITED, ENGINE_UNLIMITED, true};
	const struct key *key = keys_get(s->keys, owner);
	return (struct engine_limits){key->running, key->waiting, key->gone};
}

static enum hokku_code create_engine(struct hosted *h, struct hokku_error *err)
{
	struct server *s = h->server;
	struct engine_config config = s->config.engine;
	struct engine_limits *limits = calloc((size_t)s->n_owners + 1, sizeof *limits);
	struct strbuf apart = {0};
	tell_apart(&s->config, &apart);
	if (!limits || apart.failed) {
		free(limits);
		strbuf_free(&apart);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a model's server");
	}
	for (uint32_t i = 0; i < s->n_owners; i++)
		limits[i] = hosted_limits(s, i + 1);
	if (h->file.name)
		hosting_fit(h, &config);
	config.on_state = wake_loop;
	config.user = h;
	config.states = s->config.state_dir != NULL;
	config.prompt_logprobs = true;
	config.fingerprint_of = apart.ptr;
	config.owners = limits;
	config.n_owners = s->n_owners;
	enum hokku_code rc = engine_create(&config, &h->engine, err);
	strbuf_free(&apart);
	free(limits);
	return rc;
}

enum hokku_code hosted_open(struct hosted *h, struct hokku_error *err)
{
	struct server *s = h->server;
	if (!h->times.ttft.bounds) /* not again when it comes back into memory */
		metrics_times_init(&h->times);
	watchdog_init(&h->watchdog, (double)s->config.watchdog_timeout_s);
	enum hokku_code rc = create_engine(h, err);
	if (rc == HOKKU_OK)
		rc = prepare_create(h->engine,
				    &(struct prepare_chat){.kwargs = s->config.chat_kwargs,
							   .now = s->config.chat_now,
							   .thinking_is_text = s->config.thinking_is_text,
							   .model = h->file.name,
							   .responses = s->responses},
				    s->config.engine.max_queue + ENGINE_MAX_PARALLEL, s->n_owners, wake_loop,
				    h, &h->prepare, err);
	if (rc == HOKKU_OK && s->config.state_dir)
		rc = states_create(h->engine, s->config.state_dir, wake_loop, h, &h->states, err);
	return rc;
}

void hosted_close(struct hosted *h)
{
	prepare_destroy(h->prepare);
	states_destroy(h->states);
	engine_destroy(h->engine, 0);
	h->prepare = NULL;
	h->states = NULL;
	h->engine = NULL;
	h->model = NULL;
}

static void close_retiring(struct retiring *r)
{
	prepare_destroy(r->prepare);
	states_destroy(r->states);
	engine_destroy(r->engine, 0);
}

static void *run_retiring(void *arg)
{
	struct retiring *r = arg;
	struct server *s = r->server;
	close_retiring(r);
	atomic_store(&r->over, true);
	http_wake(s->http);
	return NULL;
}

bool hosted_retire(struct hosted *h)
{
	struct retiring *r = calloc(1, sizeof *r);
	h->n_ended = 0; /* what the engine called them means nothing to the next one */
	h->device_told = h->loss_told = h->stuck_told = false;
	if (!r) {
		hosted_close(h);
		return false;
	}
	*r = (struct retiring){h->prepare, h->states, h->engine, h->server, 0, false};
	h->prepare = NULL;
	h->states = NULL;
	h->engine = NULL;
	h->model = NULL;
	if (pthread_create(&r->thread, NULL, run_retiring, r)) {
		close_retiring(r);
		free(r);
		return false;
	}
	h->retiring = r;
	return true;
}

const char *hosted_model(struct hosted *h)
{
	struct engine_state state;
	if (h->file.name)
		return h->file.name;
	if (!h->model) {
		engine_get_state(h->engine, &state);
		h->model = state.info.name;
	}
	return h->model ? h->model : "";
}

struct hosted *hosted_of(struct server *s, struct http_request *r)
{
	return s->shelf ? hosting_of_query(s, r) : s->hosted;
}
