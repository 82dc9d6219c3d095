/* The public library: include/hokku.h over the engine. A generate call waits on the caller's thread while the
 * engine's thread calls back. */
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/rng.h"
#include "engine/conversation.h"
#include "engine/engine.h"
#include "engine/words.h"

struct hokku {
	struct engine *engine;
	struct hokku_info info;
	void (*on_progress)(void *user, double part);
	bool (*stopped)(void *user);
	void *user;
};

/* Copies the fields that a caller of another version knows into known, which holds this version's defaults.
 */
static enum hokku_code take_struct(const void *given, size_t given_bytes, void *known, size_t known_bytes,
				   const char *name, struct hokku_error *err)
{
	if (given_bytes < sizeof(size_t) || given_bytes > known_bytes)
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"struct_size of %s is %zu; this library (%s) knows %zu: start from the _INIT value",
			name, given_bytes, hokku_version(), known_bytes);
	memcpy(known, given, given_bytes);
	return HOKKU_OK;
}

static void on_state(void *user)
{
	struct hokku *h = user;
	struct engine_state state;
	engine_get_state(h->engine, &state);
	if (state.phase == ENGINE_LOADING || state.phase == ENGINE_READY)
		h->on_progress(h->user, state.load_part);
}

static bool is_stopped(void *user)
{
	struct hokku *h = user;
	return h->stopped(h->user);
}

static enum hokku_code take_cache_type(const char *field, const char *name, enum cache_type *out,
				       struct hokku_error *err)
{
	char quoted[64], list[CACHE_TYPES_TEXT];
	for (int t = CACHE_DEFAULT + 1; name && t < CACHE_N_TYPES; t++)
		if (strcmp(name, cache_type_name((enum cache_type)t)) == 0) {
			*out = (enum cache_type)t;
			return HOKKU_OK;
		}
	if (!name)
		return HOKKU_OK;
	return err_set(err, HOKKU_INVALID_REQUEST, "%s is %s; it is one of %s", field,
		       str_quote(str_c(name), quoted, sizeof quoted), cache_types_list(~0u, list));
}

enum hokku_code hokku_open(const struct hokku_options *options, struct hokku **out, struct hokku_error *err)
{
	struct hokku_options o = HOKKU_OPTIONS_INIT;
	*out = NULL;
	enum hokku_code rc =
		options ? take_struct(options, options->struct_size, &o, sizeof o, "hokku_options", err)
			: HOKKU_OK;
	if (!rc && o.n_parallel > ENGINE_MAX_PARALLEL)
		rc = err_set(err, HOKKU_INVALID_REQUEST, "n_parallel is %u; it takes 0 to %d", o.n_parallel,
			     ENGINE_MAX_PARALLEL);
	struct cache_types cache = {CACHE_DEFAULT, CACHE_DEFAULT};
	if (!rc)
		rc = take_cache_type("cache_type_k", o.cache_type_k, &cache.k, err);
	if (!rc)
		rc = take_cache_type("cache_type_v", o.cache_type_v, &cache.v, err);
	if (rc)
		return rc;
	struct hokku *h = calloc(1, sizeof *h);
	if (!h)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a handle");
	h->on_progress = o.on_progress;
	h->stopped = o.stopped;
	h->user = o.user;
	const struct engine_config config = {
		.model_path = o.model_path,
		.chat_template = o.chat_template ? str_c(o.chat_template) : (struct str){NULL, 0},
		.device = o.device,
		.n_ctx = o.n_ctx,
		.n_threads = o.n_threads,
		.vram_limit = o.vram_limit,
		.ram_limit = o.ram_limit,
		.kv_bytes = o.kv_bytes,
		.cache = cache,
		.n_parallel = o.n_parallel,
		.prompt_logprobs = true,
		.stopped = o.stopped ? is_stopped : NULL,
		.on_state = o.on_progress ? on_state : NULL,
		.user = h,
	};
	rc = engine_create(&config, &h->engine, err);
	if (!rc)
		rc = engine_wait_ready(h->engine, err);
	if (rc) {
		hokku_close(h);
		return rc;
	}
	struct engine_state state;
	engine_get_state(h->engine, &state);
	h->info = state.info;
	*out = h;
	return HOKKU_OK;
}

void hokku_close(struct hokku *h)
{
	if (!h)
		return;
	engine_destroy(h->engine, 0);
	free(h);
}

void hokku_get_info(const struct hokku *h, struct hokku_info *out)
{
	*out = h->info;
}

void hokku_get_sampling(const struct hokku *h, struct hokku_sampling *out)
{
	struct sampling s;
	sampling_defaults(&s, SAMPLING_OWN, engine_advice(h->engine));
	*out = (struct hokku_sampling){
		.temperature = s.temperature,
		.top_k = s.top_k,
		.top_p = s.top_p,
		.min_p = s.min_p,
		.repetition_penalty = s.repetition_penalty,
		.frequency_penalty = s.frequency_penalty,
		.presence_penalty = s.presence_penalty,
	};
}

static enum hokku_code render_messages(const struct hokku *h, const struct hokku_request *r,
				       struct tok_ids *ids, struct hokku_error *err)
{
	struct chat_message *messages = calloc(r->n_messages, sizeof *messages);
	if (!messages)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %zu messages", r->n_messages);
	enum hokku_code rc = HOKKU_OK;
	for (size_t i = 0; i < r->n_messages && !rc; i++) {
		if (!r->messages[i].role || !r->messages[i].content)
			rc = err_set(err, HOKKU_INVALID_REQUEST, "the %s of message %zu is NULL",
				     r->messages[i].role ? "content" : "role", i);
		else
			messages[i] = (struct chat_message){.role = str_c(r->messages[i].role),
							    .content = str_c(r->messages[i].content)};
	}
	if (!rc)
		rc = chat_render(engine_chat(h->engine), engine_tok(h->engine),
				 &(struct chat_input){.messages = messages, .n_messages = r->n_messages}, ids,
				 NULL, err);
	free(messages);
	return rc;
}

/* The prompt as tokens, in ids, which the caller frees. */
static enum hokku_code make_tokens(const struct hokku *h, const struct hokku_request *r,
				   struct conversation *talk, struct tok_ids *ids, struct hokku_error *err)
{
	int n_given = !!r->prompt + !!r->tokens + !!r->messages + !!r->conversation;
	if (n_given != 1)
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"%d of prompt, tokens, messages and conversation are given; exactly one is wanted",
			n_given);
	if (r->conversation)
		return conversation_open(talk, h->engine, ids, err);
	if (r->messages)
		return render_messages(h, r, ids, err);
	if (r->prompt) {
		struct str text = {r->prompt, r->prompt_bytes ? r->prompt_bytes : strlen(r->prompt)};
		return tok_encode(engine_tok(h->engine), text, TOK_ADD_BOS, ids, err);
	}
	enum hokku_code rc = HOKKU_OK;
	for (size_t i = 0; i < r->n_tokens && !rc; i++)
		rc = tok_ids_push(ids, r->tokens[i], err);
	return rc;
}

/* One call of hokku_generate: shared by the caller's thread, which waits, and the engine's. */
struct call {
	struct hokku *h;
	hokku_on_text on_text;
	bool (*on_token)(void *user, const struct hokku_token *token);
	bool (*on_prompt)(void *user, const struct hokku_prompt_token *token);
	struct conversation *talk; /* NULL: there is none */
	void *user;
	bool refused; /* a callback returned false */
	sem_t done;
	enum hokku_code rc;
	struct hokku_error error;
	struct hokku_result result;
};

/* ---- to the caller what the engine knows by other names ---- */

static void name_top(const struct token_logprobs *l, struct hokku_token_logprob top[LOGPROBS_MAX_TOP])
{
	for (uint32_t i = 0; i < l->n_top; i++)
		top[i] = (struct hokku_token_logprob){l->top[i].token, l->top[i].logprob};
}

static bool tell_prompt(const struct call *c, const struct engine_event *event)
{
	struct hokku_token_logprob top[LOGPROBS_MAX_TOP];
	bool go_on = true;
	for (uint32_t i = 0; i < event->n_prompt && go_on; i++) {
		const struct prompt_logprob *p = &event->prompt[i];
		name_top(&p->logprobs, top);
		go_on = c->on_prompt(c->user,
				     &(struct hokku_prompt_token){.index = event->index + i,
								  .own = {p->token, p->logprobs.logprob},
								  .rank = p->rank,
								  .top = top,
								  .n_top = p->logprobs.n_top});
	}
	return go_on;
}

static bool tell_token(const struct call *c, const struct engine_event *event)
{
	struct hokku_token_logprob top[LOGPROBS_MAX_TOP];
	const struct token_logprobs *l = event->logprobs;
	name_top(l, top);
	return c->on_token(c->user, &(struct hokku_token){.index = event->index,
							  .drawn = {event->token, l->logprob},
							  .top = top,
							  .n_top = l->n_top});
}

static void on_event(void *user, const struct engine_event *event)
{
	struct call *c = user;
	switch (event->kind) {
	case ENGINE_STARTED:
		break;
	case ENGINE_PROMPT:
		if (c->refused || tell_prompt(c, event))
			break;
		c->refused = true;
		engine_cancel(c->h->engine, event->request);
		break;
	case ENGINE_TOKEN:
		if (c->refused)
			break;
		if (event->logprobs)
			c->refused = !tell_token(c, event);
		if (event->text.len && c->on_text && !c->refused)
			c->refused = !c->on_text(c->user, event->text.ptr, event->text.len, event->token);
		if (c->talk && !c->refused)
			c->refused = !conversation_feed(c->talk, event->index, event->text);
		if (c->refused)
			engine_cancel(c->h->engine, event->request);
		break;
	case ENGINE_END:
		c->result = *event->result;
		if (c->talk)
			c->result.thinking_tokens = conversation_thinking(c->talk, c->result.tokens_out);
		if (c->talk && !c->refused)
			c->refused = !conversation_end(c->talk);
		if (c->refused)
			c->rc = err_set(&c->error, HOKKU_CANCELLED,
					"the callback ended the request with its last text");
		sem_post(&c->done);
		break;
	case ENGINE_ERROR:
		c->error = *event->error;
		c->rc = event->error->code;
		sem_post(&c->done);
		break;
	}
}

/* Members of both structs that have the same name. */
#define SAMPLER_FIELDS(X)    \
	X(repeat_last_n)     \
	X(typical_p)         \
	X(top_n_sigma)       \
	X(xtc_probability)   \
	X(xtc_threshold)     \
	X(dynatemp_range)    \
	X(dynatemp_exponent) \
	X(dry_multiplier)    \
	X(dry_base) X(dry_allowed_length) X(dry_penalty_last_n) X(mirostat) X(mirostat_tau) X(mirostat_eta)

static struct sampling to_sampling(const struct hokku_sampling *s, const struct hokku_samplers *more)
{
	return (struct sampling){
		.temperature = s->temperature,
		.top_k = s->top_k,
		.top_p = s->top_p,
		.min_p = s->min_p,
		.repetition_penalty = s->repetition_penalty,
		.frequency_penalty = s->frequency_penalty,
		.presence_penalty = s->presence_penalty,
#define SAMPLER_X(name) .name = more->name,
		SAMPLER_FIELDS(SAMPLER_X)
#undef SAMPLER_X
			.seed = s->has_seed ? s->seed : rng_os_seed(),
		.bias = s->logit_bias,
		.n_bias = s->n_logit_bias,
	};
}

enum hokku_code hokku_get_samplers(const struct hokku *h, struct hokku_samplers *out, struct hokku_error *err)
{
	struct hokku_samplers all = HOKKU_SAMPLERS_INIT, known = all;
	struct sampling s;
	size_t size = out->struct_size;
	enum hokku_code rc = take_struct(out, size, &known, sizeof known, "hokku_samplers", err);
	if (rc)
		return rc;
	sampling_defaults(&s, SAMPLING_OWN, engine_advice(h->engine));
#define SAMPLER_X(name) all.name = s.name;
	SAMPLER_FIELDS(SAMPLER_X)
#undef SAMPLER_X
	memcpy(out, &all, size);
	out->struct_size = size;
	return HOKKU_OK;
}

/* The shape that r has; its text is r's. HOKKU_SHAPE_NONE: nothing is filled. */
static enum hokku_code read_shape(const struct hokku_request *r, struct constrain_shape *out,
				  struct hokku_error *err)
{
	static const enum constrain_kind kinds[] = {
		[HOKKU_SHAPE_JSON_OBJECT] = CONSTRAIN_JSON_OBJECT,
		[HOKKU_SHAPE_JSON_SCHEMA] = CONSTRAIN_JSON_SCHEMA,
		[HOKKU_SHAPE_GBNF] = CONSTRAIN_GBNF,
		[HOKKU_SHAPE_REGEX] = CONSTRAIN_REGEX,
		[HOKKU_SHAPE_CHOICE] = CONSTRAIN_CHOICE,
		[HOKKU_SHAPE_STRUCTURE] = CONSTRAIN_STRUCTURE,
	};
	static const enum constrain_space spaces[] = {
		[HOKKU_SPACE_COMPACT] = CONSTRAIN_COMPACT,
		[HOKKU_SPACE_FREE] = CONSTRAIN_FREE,
		[HOKKU_SPACE_SPACED] = CONSTRAIN_SPACED,
	};
	if (r->shape == HOKKU_SHAPE_NONE)
		return HOKKU_OK;
	if ((unsigned)r->shape >= sizeof kinds / sizeof *kinds)
		return err_set(err, HOKKU_INVALID_REQUEST, "shape is %d; there are 0 to %zu", (int)r->shape,
			       sizeof kinds / sizeof *kinds - 1);
	if (!r->shape_text && r->shape != HOKKU_SHAPE_JSON_OBJECT)
		return err_set(err, HOKKU_INVALID_REQUEST, "shape is %d and shape_text is NULL",
			       (int)r->shape);
	if ((unsigned)r->shape_space >= sizeof spaces / sizeof *spaces)
		return err_set(err, HOKKU_INVALID_REQUEST, "shape_space is %d; there are 0 to %zu",
			       (int)r->shape_space, sizeof spaces / sizeof *spaces - 1);
	const struct str text = {r->shape_text, r->shape_text_bytes};
	*out = (struct constrain_shape){
		.kind = kinds[r->shape],
		.text = !text.ptr  ? STR_LIT("")
			: text.len ? text
				   : str_c(text.ptr),
		.space = spaces[r->shape_space],
	};
	return HOKKU_OK;
}

/* *out NULL: the request has no shape. */
static enum hokku_code make_shape(const struct hokku *h, const struct hokku_request *r,
				  struct constrain **out, struct hokku_error *err)
{
	struct constrain_shape shape;
	*out = NULL;
	enum hokku_code rc = read_shape(r, &shape, err);
	if (rc || r->shape == HOKKU_SHAPE_NONE)
		return rc;
	rc = engine_make_shape(h->engine, &shape, out, NULL, err);
	return rc == HOKKU_INVALID_REQUEST ? err_prefix(err, rc, "shape_text") : rc;
}

/* The shape goes to the conversation, which has it behind thinking and beside calls. */
static enum hokku_code take_shape(const struct hokku_request *r, struct conversation *talk,
				  struct hokku_error *err)
{
	struct constrain_shape shape;
	enum hokku_code rc = read_shape(r, &shape, err);
	if (rc || r->shape == HOKKU_SHAPE_NONE)
		return rc;
	strbuf_add(&talk->shape_text, shape.text.ptr, shape.text.len);
	talk->ask.shape_field = "shape_text";
	talk->ask.shape_kind = shape.kind;
	talk->space = shape.space;
	return talk->shape_text.failed ? err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the shape")
				       : HOKKU_OK;
}

static enum hokku_code make_talk_shape(const struct hokku *h, const struct conversation *talk,
				       struct constrain **out, struct hokku_error *err)
{
	char field[64];
	struct constrain_fault fault;
	struct hokku_error why;
	*out = NULL;
	if (!talk->ask.shape_field)
		return HOKKU_OK;
	const struct constrain_shape shape = {
		.kind = talk->ask.shape_kind,
		.text = {talk->shape_text.ptr ? talk->shape_text.ptr : "", talk->shape_text.len},
		.space = talk->space};
	enum hokku_code rc = engine_make_shape(h->engine, &shape, out, &fault, &why);
	if (rc == HOKKU_INVALID_REQUEST && calling_refused(&talk->calling, fault.place, field))
		return HOKKU_OK; /* nobody was promised one */
	if (rc != HOKKU_INVALID_REQUEST)
		return rc ? err_set(err, rc, "%s", why.message) : HOKKU_OK;
	size_t n = field[0] && strncmp(why.message, fault.place, strlen(fault.place)) == 0
			   ? strlen(fault.place)
			   : 0;
	return field[0] ? err_set(err, rc, "%s%s", field, why.message + n)
			: err_set(err, rc, "%s: %s", talk->ask.shape_field,
				  calling_own_place(&talk->calling, why.message));
}

/* bad: owns what rules of the request's bad words become; the caller frees it. */
static enum hokku_code make_rules(const struct hokku *h, const struct hokku_token_rules *given,
				  struct token_rules *out, struct tok_ids *bad, struct hokku_error *err)
{
	struct hokku_token_rules r = HOKKU_TOKEN_RULES_INIT;
	*out = (struct token_rules){0};
	if (!given)
		return HOKKU_OK;
	enum hokku_code rc = take_struct(given, given->struct_size, &r, sizeof r, "hokku_token_rules", err);
	if (!rc && r.n_bad_words > RULES_MAX_BAD_WORDS)
		rc = err_set(err, HOKKU_INVALID_REQUEST, "bad_words has %u texts; %d are allowed",
			     r.n_bad_words, RULES_MAX_BAD_WORDS);
	for (uint32_t i = 0; i < r.n_bad_words && !rc; i++) {
		struct str word = str_c(r.bad_words[i] ? r.bad_words[i] : "");
		if (word.len < 1 || word.len > RULES_MAX_BAD_WORD_BYTES)
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "bad_words[%u] has %zu bytes; it takes 1 to %d", i, word.len,
				       RULES_MAX_BAD_WORD_BYTES);
		rc = words_ban(engine_tok(h->engine), word, bad, err);
		if (rc == HOKKU_INVALID_REQUEST)
			rc = err_prefix(err, rc, "bad_words[%u]", i);
	}
	*out = (struct token_rules){.min_tokens = r.min_tokens,
				    .ignore_eos = r.ignore_eos,
				    .include_stop = r.include_stop,
				    .stop_tokens = r.stop_tokens,
				    .n_stop_tokens = r.n_stop_tokens,
				    .allowed = r.allowed,
				    .n_allowed = r.n_allowed,
				    .bad_words = bad->ids,
				    .n_bad_ids = (uint32_t)bad->n};
	return rc;
}

/* Queues the request and waits for its end. */
static enum hokku_code submit_and_wait(struct call *c, const struct hokku_request *r,
				       const struct tok_ids *ids, const struct token_rules *rules,
				       struct hokku_error *err)
{
	struct constrain *shape;
	struct str stop[ENGINE_MAX_STOP], breakers[DRY_MAX_BREAKERS];
	struct hokku_samplers more = HOKKU_SAMPLERS_INIT;
	if (r->n_stop > ENGINE_MAX_STOP)
		return err_set(err, HOKKU_INVALID_REQUEST, "stop has %u texts; %d are allowed", r->n_stop,
			       ENGINE_MAX_STOP);
	for (uint32_t i = 0; i < r->n_stop; i++)
		stop[i] = str_c(r->stop[i] ? r->stop[i] : "");
	enum hokku_code rc = HOKKU_OK;
	if (r->samplers)
		rc = take_struct(r->samplers, r->samplers->struct_size, &more, sizeof more, "hokku_samplers",
				 err);
	if (!rc && more.n_dry_breakers > DRY_MAX_BREAKERS)
		rc = dry_check(NULL, more.n_dry_breakers, err);
	for (uint32_t i = 0; i < more.n_dry_breakers && more.dry_breakers && !rc; i++)
		breakers[i] = str_c(more.dry_breakers[i] ? more.dry_breakers[i] : "");
	if (!rc)
		rc = c->talk ? make_talk_shape(c->h, c->talk, &shape, err) : make_shape(c->h, r, &shape, err);
	if (rc)
		return rc;
	const struct engine_request request = {
		.tokens = ids->ids,
		.n_tokens = ids->n,
		.max_tokens = r->max_tokens,
		.logprobs = r->on_token != NULL,
		.n_top = r->n_top_logprobs,
		.prompt_logprobs = r->on_prompt != NULL,
		.n_prompt_top = r->n_top_prompt_logprobs,
		.sampling = to_sampling(&r->sampling, &more),
		.dry_breakers = more.dry_breakers ? breakers : NULL,
		.n_dry_breakers = more.n_dry_breakers,
		.stop = stop,
		.n_stop = r->n_stop,
		.rules = *rules,
		.shape = shape,
		.control_text = c->talk && c->talk->calling.reads ? ENGINE_MARKERS : ENGINE_HIDDEN,
		.on_event = on_event,
		.user = c,
	};
	uint64_t id;
	rc = engine_submit(c->h->engine, &request, &id, err);
	if (shape)
		constrain_unref(shape);
	if (rc)
		return rc;
	while (sem_wait(&c->done) && errno == EINTR) {
	}
	if (c->rc && err)
		*err = c->error;
	return c->rc;
}

enum hokku_code hokku_generate(struct hokku *h, const struct hokku_request *request, hokku_on_text on_text,
			       void *user, struct hokku_result *result, struct hokku_error *err)
{
	uint64_t begin = clock_ns();
	struct hokku_request r = HOKKU_REQUEST_INIT;
	struct tok_ids ids = {0}, bad = {0};
	struct token_rules rules;
	enum hokku_code rc = take_struct(request, request->struct_size, &r, sizeof r, "hokku_request", err);
	if (rc)
		return rc;
	struct call call = {
		.h = h, .on_text = on_text, .on_token = r.on_token, .on_prompt = r.on_prompt, .user = user};
	sem_init(&call.done, 0, 0);
	struct conversation talk = {.given = HOKKU_CONVERSATION_INIT, .user = user};
	if (r.conversation) {
		call.talk = &talk;
		rc = take_struct(r.conversation, r.conversation->struct_size, &talk.given, sizeof talk.given,
				 "hokku_conversation", err);
		if (!rc)
			rc = take_shape(&r, &talk, err);
	}
	if (!rc)
		rc = make_tokens(h, &r, &talk, &ids, err);
	if (!rc)
		rc = make_rules(h, r.rules, &rules, &bad, err);
	if (!rc && talk.ask.limit.max)
		rules.thinking = talk.ask.limit;
	double before_ms = clock_ms_since(begin);
	if (!rc)
		rc = submit_and_wait(&call, &r, &ids, &rules, err);
	call.result.ttft_ms += before_ms; /* the engine counts from the moment it was asked */
	if (!rc && result)
		*result = call.result;
	sem_destroy(&call.done);
	conversation_close(&talk);
	tok_ids_free(&ids);
	tok_ids_free(&bad);
	return rc;
}

enum hokku_code hokku_tokenize(const struct hokku *h, const char *text, size_t n_bytes, bool parse_special,
			       int32_t *ids, size_t cap, size_t *n_out, struct hokku_error *err)
{
	struct tok_ids found = {0};
	enum hokku_code rc = tok_encode(engine_tok(h->engine), (struct str){text, n_bytes},
					parse_special ? TOK_PARSE_SPECIAL : 0, &found, err);
	if (!rc) {
		size_t n = found.n < cap ? found.n : cap;
		if (n)
			memcpy(ids, found.ids, n * sizeof *ids);
		*n_out = found.n;
	}
	tok_ids_free(&found);
	return rc;
}

enum hokku_code hokku_detokenize(const struct hokku *h, const int32_t *ids, size_t n_ids, char *text,
				 size_t cap, size_t *n_out, struct hokku_error *err)
{
	const struct tok *tok = engine_tok(h->engine);
	size_t n = 0;
	for (size_t i = 0; i < n_ids; i++) {
		if (ids[i] < 0 || (uint32_t)ids[i] >= h->info.n_vocab)
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "token %zu is %d; the vocabulary has 0 to %u", i, ids[i],
				       h->info.n_vocab - 1);
		struct str bytes = tok_bytes(tok, ids[i]);
		size_t room = n < cap ? cap - n : 0;
		if (bytes.len && room)
			memcpy(text + n, bytes.ptr, bytes.len < room ? bytes.len : room);
		n += bytes.len;
	}
	*n_out = n;
	return HOKKU_OK;
}
