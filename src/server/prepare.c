#include "server/prepare.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/field.h"

#include "text/stream.h"

/* Of a key's jobs: how many are here, and when one was last taken up, counted in jobs. */
struct prepare_key {
	uint32_t n_jobs;
	uint64_t last_turn;
};

struct prepare {
	struct engine *engine;
	struct prepare_chat defaults;
	void (*on_done)(void *user);
	void *user;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Under the lock. */
	struct prepare_job *first, **last; /* waiting */
	struct prepare_job *done, **done_last;
	uint32_t n_jobs, max_jobs;
	uint32_t n_ordered; /* jobs whose shapes are being compiled */
	size_t n_bytes;
	struct prepare_key *keys; /* (n_keys + 1) */
	uint64_t n_turns;
	bool stop;
};

/* Ids that a field gave. */
static enum hokku_code check_ids(const char *name, const int32_t *ids, size_t n, uint32_t n_vocab,
				 struct request_error *err)
{
	for (size_t i = 0; i < n; i++) {
		if ((uint32_t)ids[i] < n_vocab)
			continue;
		snprintf(err->field, sizeof err->field, "%.40s[%zu]", name, i);
		return err_set(&err->error, HOKKU_INVALID_REQUEST,
			       "%s is %" PRId32 "; this model's token ids run from 0 to %" PRIu32, err->field,
			       ids[i], n_vocab - 1);
	}
	return HOKKU_OK;
}

static enum hokku_code check_tokens(struct prepare_job *job, uint32_t n_vocab)
{
	const struct gen_request *r = &job->request;
	struct request_error *err = &job->err;
	enum hokku_code rc = HOKKU_OK;
	size_t first = 0;
	for (uint32_t p = 0; r->n_prompts > 1 && p < r->n_prompts && !rc; p++) {
		char name[64];
		snprintf(name, sizeof name, "%s[%u]", r->tokens_name, p);
		rc = check_ids(name, r->tokens + first, r->prompts[p].n_tokens, n_vocab, err);
		first += r->prompts[p].n_tokens;
	}
	if (!rc && r->n_prompts <= 1)
		rc = check_ids(r->tokens_name, r->tokens, r->n_tokens, n_vocab, err);
	return rc ? rc : check_ids(r->before_name, r->before, r->n_before, n_vocab, err);
}

/* made: arguments that follow from other fields, an object or nothing. */
static struct chat_input chat_input(const struct gen_request *r, const struct jv *made,
				    const struct prepare_chat *defaults)
{
	return (struct chat_input){
		.messages = r->messages,
		.n_messages = r->n_messages,
		.tools = r->tools,
		.kwargs = {defaults->kwargs, made, r->template_kwargs},
		.no_answer = r->no_answer_begun,
		.begun = r->begun,
		.now = r->has_now ? &r->now : defaults->now,
	};
}

/* A message by the request's own name for it; below 0: all of them. */
static void write_message_name(const struct gen_request *r, ptrdiff_t index, char name[64])
{
	if (index < 0)
		snprintf(name, 64, "messages");
	else if (!r->origins)
		snprintf(name, 64, "messages[%td]", index);
	else if (r->origins[index] == REQUEST_ORIGIN_SYSTEM)
		snprintf(name, 64, "system");
	else
		snprintf(name, 64, "messages.%" PRIu32, r->origins[index]);
}

/* The message at fault. */
static void name_message(const struct gen_request *r, ptrdiff_t index, struct request_error *err)
{
	struct hokku_error before = err->error;
	const char *what = strstr(before.message, ": ");
	write_message_name(r, index, err->field);
	if (r->origins && index >= 0 && what)
		err_set(&err->error, before.code, "%s%s", err->field, what);
}

/* Messages that came by another field, whose places are not theirs. */
static void name_field(const char *name, struct request_error *err)
{
	struct hokku_error before = err->error;
	const char *what = strstr(before.message, ": ");
	snprintf(err->field, sizeof err->field, "%s", name);
	if (what && strncmp(before.message, "messages", strlen("messages")) == 0)
		err_set(&err->error, before.code, "%s%s", name, what);
}

/* The same of a place in a tool, with which the message begins. */
static void name_tool(const struct request_form *form, const struct gen_request *r, struct request_error *err)
{
	struct request_error before = *err;
	size_t n = strlen(before.field);
	if (!form->name_tool || !n)
		return;
	form->name_tool(r, err->field);
	if (strncmp(before.error.message, before.field, n) == 0)
		err_set(&err->error, before.error.code, "%s%s", err->field, before.error.message + n);
}

/* Of the last messages with calls those that the prompt has otherwise than they were drawn. */
static void find_back(struct prepare_job *job, const struct tok *tok, const struct chat *chat,
		      const struct chat_input *in)
{
	const struct gen_request *r = &job->request;
	const struct dialect_back_ask ask = {job->dialect, chat, tok, in, &job->ids};
	size_t first = in->n_messages;
	for (uint32_t n = 0; first && n < PREPARE_MAX_BACK;)
		n += jv_len(jv_get(in->messages[--first].json, "tool_calls")) > 0;
	for (size_t i = first; i < in->n_messages; i++) {
		struct prepare_back *back = &job->back[job->n_back];
		back->why = dialect_gives_back(&ask, i, &back->first, &back->end);
		if (back->why == DIALECT_BACK_SAME)
			continue;
		write_message_name(r, (ptrdiff_t)i, back->message);
		job->n_back++;
	}
}

static enum hokku_code render(struct prepare_job *job, const struct tok *tok, const struct chat *chat,
			      const struct prepare_chat *defaults)
{
	const struct gen_request *r = &job->request;
	struct request_error *err = &job->err;
	struct chat_told told;
	const struct jv *made = job->calling.kwargs.root.n ? &job->calling.kwargs.root : NULL;
	const struct chat_input in = chat_input(r, made, defaults);
	enum hokku_code rc = dialect_render(job->dialect, chat, tok, &in, &job->ids, &told, &err->error);
	if (!rc && told.used_time)
		jinja_time_text(&told.time, job->template_date);
	/* A prompt that is longer is refused, and what takes many renderings of it is not done before. */
	bool may_fit = !job->served || job->ids.n <= job->served->n_ctx;
	if (!rc && r->cache_debug && job->dialect && !r->n_before && may_fit)
		find_back(job, tok, chat, &in);
	if (rc == HOKKU_INVALID_REQUEST && job->form->messages)
		name_field(job->form->messages, err);
	else if (rc == HOKKU_INVALID_REQUEST)
		name_message(r, told.message, err);
	return rc;
}

/* A text begins once, whatever stands before it: the prompt from `first` on begins, after n_before ids, with
 * no BOS token if those do, nor with a second one (a prompt that writes its name itself). */
static void drop_second_bos(struct tok_ids *ids, size_t first, size_t n_before, int32_t bos)
{
	size_t at = first + (n_before ? n_before : 1);
	if (bos < 0 || ids->n <= at || ids->ids[first] != bos || ids->ids[at] != bos)
		return;
	memmove(ids->ids + at, ids->ids + at + 1, (ids->n - at - 1) * sizeof *ids->ids);
	ids->n--;
}

/* Text with a gap: before it, behind it, and then the model fills it. */
static enum hokku_code encode_gap(const struct tok *tok, struct str before, struct str behind,
				  struct tok_ids *out, struct request_error *err)
{
	const int32_t marks[] = {tok_fim(tok, TOK_FIM_PREFIX), tok_fim(tok, TOK_FIM_SUFFIX),
				 tok_fim(tok, TOK_FIM_MIDDLE)};
	const struct str texts[] = {before, behind, {"", 0}};
	if (marks[0] < 0 || marks[1] < 0 || marks[2] < 0) {
		snprintf(err->field, sizeof err->field, "suffix");
		return err_set(&err->error, HOKKU_INVALID_REQUEST,
			       "suffix is given, but this model's vocabulary has no tokens that part a text "
			       "with a gap (tokenizer.ggml.fim_pre_token_id, fim_suf_token_id, "
			       "fim_mid_token_id)");
	}
	enum hokku_code rc = tok_encode(tok, (struct str){"", 0}, TOK_ADD_BOS, out, &err->error);
	for (int i = 0; i < 3 && !rc; i++) {
		rc = tok_ids_push(out, marks[i], &err->error);
		if (!rc)
			rc = tok_encode(tok, texts[i], 0, out, &err->error);
	}
	return rc;
}

static uint32_t count_chars(struct str text)
{
	uint32_t n = 0;
	for (size_t i = 0; i < text.len; i++)
		n += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
	return n;
}

/* What an answer can tell of a prompt. text: as it was given; ptr NULL: tokens were. */
static void describe_prompt(struct prepare_job *job, const struct tok *tok, struct str text,
			    struct prepare_prompt *p)
{
	struct text_stream stream = {0};
	uint32_t n_chars = 0;
	p->text_at = job->texts.len;
	p->text.first = job->ids.ids[p->first];
	for (size_t i = p->first; i < p->first + p->n; i++) {
		struct str bytes = tok_bytes(tok, job->ids.ids[i]);
		if (tok_type(tok, job->ids.ids[i]) == TOK_CONTROL)
			continue;
		n_chars += count_chars(bytes);
		if (job->request.echo && !text.ptr)
			text_stream_push(&stream, bytes, &job->texts);
	}
	if (job->request.echo && text.ptr)
		strbuf_add(&job->texts, text.ptr, text.len);
	else if (job->request.echo)
		text_stream_finish(&stream, &job->texts);
	p->text.n_chars = text.ptr ? count_chars(text) : n_chars;
	p->text.n_surplus = n_chars > p->text.n_chars ? n_chars - p->text.n_chars : 0;
	p->text.text.len = job->texts.len - p->text_at;
}

/* Of a form that takes several. */
static enum hokku_code make_prompts(struct prepare_job *job, const struct tok *tok)
{
	const struct gen_request *r = &job->request;
	struct request_error *err = &job->err;
	const int32_t *next = r->tokens;
	enum hokku_code rc = HOKKU_OK;
	job->prompts = calloc(r->n_prompts, sizeof *job->prompts);
	if (!job->prompts)
		return err_set(&err->error, HOKKU_OUT_OF_MEMORY, "no memory for the prompts");
	for (uint32_t i = 0; i < r->n_prompts && !rc; i++) {
		const struct request_prompt *from = &r->prompts[i];
		struct prepare_prompt *p = &job->prompts[i];
		p->first = job->ids.n;
		for (size_t k = 0; k < from->n_tokens && !rc; k++)
			rc = tok_ids_push(&job->ids, *next++, &err->error);
		if (!rc && from->text.ptr && r->suffix.ptr)
			rc = encode_gap(tok, from->text, r->suffix, &job->ids, err);
		else if (!rc && from->text.ptr)
			rc = tok_encode(tok, from->text, TOK_ADD_BOS | TOK_PARSE_SPECIAL, &job->ids,
					&err->error);
		if (!rc && from->text.ptr)
			drop_second_bos(&job->ids, p->first, 0, tok_bos(tok));
		p->n = job->ids.n - p->first;
		if (!rc && p->n)
			describe_prompt(job, tok, from->text, p);
		if (err->field[0] || (rc ? rc != HOKKU_INVALID_REQUEST : p->n))
			continue;
		snprintf(err->field, sizeof err->field, r->n_prompts > 1 ? "prompt[%u]" : "prompt", i);
		if (!rc)
			rc = err_set(&err->error, HOKKU_INVALID_REQUEST, "%s gives no token at all",
				     err->field);
	}
	job->n_prompts = r->n_prompts;
	for (uint32_t i = 0; i < r->n_prompts && !rc; i++)
		job->prompts[i].text.text.ptr =
			job->texts.ptr ? job->texts.ptr + job->prompts[i].text_at : "";
	return !rc && job->texts.failed
		       ? err_set(&err->error, HOKKU_OUT_OF_MEMORY, "no memory for the prompts")
		       : rc;
}

/* Of a form that makes tokens by itself. */
static enum hokku_code encode_prompts(struct prepare_job *job, const struct tok *tok)
{
	struct gen_request *r = &job->request;
	struct request_error *err = &job->err;
	enum hokku_code rc = HOKKU_OK;
	job->n_prompts = r->n_encoded ? r->n_encoded : 1;
	job->prompts = calloc(job->n_prompts, sizeof *job->prompts);
	if (!job->prompts)
		return err_set(&err->error, HOKKU_OUT_OF_MEMORY, "no memory for the prompts");
	for (uint32_t i = 0; i < job->n_prompts && !rc; i++) {
		struct prepare_prompt *p = &job->prompts[i];
		p->first = job->ids.n;
		rc = job->form->encode(r, tok, i, &job->ids, err);
		p->n = job->ids.n - p->first;
		if (rc || p->n)
			continue;
		snprintf(err->field, sizeof err->field, job->n_prompts > 1 ? "prompt[%u]" : "prompt", i);
		rc = err_set(&err->error, HOKKU_INVALID_REQUEST, "%s gives no token at all", err->field);
	}
	return rc;
}

static void warn_request(void *user, const char *text)
{
	struct gen_request *r = user;
	field_warn(&r->warnings, text);
}

/* What r says of tools and thinking. */
static struct calling_ask ask_of(struct gen_request *r, const struct prepare_chat *defaults)
{
	return (struct calling_ask){
		.tools = r->tools,
		.choice = r->tool_choice,
		.tool_name = r->tool_name,
		.one_call = r->one_call,
		.thinking = r->thinking,
		.effort = r->effort,
		.budget = r->thinking_budget,
		.begun_bytes = r->begun.len,
		.thinking_is_text = defaults->thinking_is_text,
		.shape_field = r->shape_field,
		.shape_kind = r->shape_kind,
		.shape_text = &r->shape_text,
		.warn = warn_request,
		.user = r,
	};
}

static enum hokku_code make_tokens(struct prepare_job *job, const struct tok *tok, const struct chat *chat,
				   const struct prepare_chat *defaults)
{
	struct gen_request *r = &job->request;
	struct request_error *err = &job->err;
	enum hokku_code rc = check_tokens(job, tok_n_vocab(tok));
	if (!rc)
		rc = request_find_words(r, tok, err);
	if (rc)
		return rc;
	if (r->prompts)
		return make_prompts(job, tok);
	if (r->tokens) {
		job->ids = (struct tok_ids){r->tokens, r->n_tokens, r->n_tokens};
		r->tokens = NULL;
		r->n_tokens = 0;
		return HOKKU_OK;
	}
	if (job->form->untokenized)
		return HOKKU_OK;
	if (job->form->encode)
		return encode_prompts(job, tok);
	if (!r->messages && !r->prompt.ptr) /* of a form that can do without */
		return HOKKU_OK;
	const char *field = r->messages ? "messages" : "prompt";
	for (size_t i = 0; i < r->n_before && !rc; i++)
		rc = tok_ids_push(&job->ids, r->before[i], &err->error);
	struct calling_ask ask = ask_of(r, defaults);
	bool reads = !rc && r->messages && job->form->reads && job->dialect;
	if (reads)
		rc = calling_begin(&job->calling, &ask, job->dialect, err);
	if (!rc && r->messages)
		rc = render(job, tok, chat, defaults);
	else if (!rc && r->suffix.ptr)
		rc = encode_gap(tok, r->prompt, r->suffix, &job->ids, err);
	else if (!rc)
		rc = tok_encode(tok, r->prompt, TOK_ADD_BOS | (r->parse_special ? TOK_PARSE_SPECIAL : 0),
				&job->ids, &err->error);
	drop_second_bos(&job->ids, 0, r->n_before, tok_bos(tok));
	if (reads && !rc)
		rc = calling_go_on(&job->calling, &ask, job->dialect, tok, &job->ids, err);
	if (reads && rc)
		name_tool(job->form, r, err);
	r->shape_field = ask.shape_field;
	r->shape_kind = ask.shape_kind;
	if (ask.limit.max)
		r->rules.thinking = ask.limit;
	if (rc == HOKKU_INVALID_REQUEST && !r->messages && !err->field[0])
		snprintf(err->field, sizeof err->field, "%s", field);
	if (rc == HOKKU_OK && job->ids.n == 0) {
		snprintf(err->field, sizeof err->field, "%s", field);
		rc = err_set(&err->error, HOKKU_INVALID_REQUEST, "%s gives no token at all", field);
	}
	return rc;
}

void prepare_run_job(struct prepare_job *job, const struct tok *tok, const struct chat *chat,
		     const struct sampling_advice *advice, const struct prepare_chat *defaults)
{
	struct gen_request *r = &job->request;
	job->n_prompts = 1;
	job->rc = request_parse((struct str){job->body.ptr, job->body.len}, job->form, advice, r, &job->err);
	strbuf_free(&job->body);
	if (job->rc == HOKKU_OK && job->form->admit && job->served)
		job->rc = job->form->admit(r, job->served, &job->err);
	if (job->rc == HOKKU_OK && job->form->link)
		job->rc = job->form->link(r, &(struct request_memory){defaults->responses, job->key},
					  &job->err);
	if (job->rc == HOKKU_OK)
		job->rc = make_tokens(job, tok, chat, defaults);
	if (job->rc == HOKKU_OK && job->form->tell) {
		const struct request_told told = {.request = r,
						  .served = job->served,
						  .tok = tok,
						  .chat = chat,
						  .dialect = job->dialect,
						  .chat_input = chat_input(r, NULL, defaults),
						  .ids = &job->ids};
		job->rc = job->form->tell(&told, &job->told, &job->err);
	}
	if (job->rc == HOKKU_OK && !request_drop_prompt(r))
		job->rc = err_set(&job->err.error, HOKKU_OUT_OF_MEMORY, "no memory for the request");
	for (uint32_t i = 0; job->rc == HOKKU_OK && i < r->n_stop; i++) {
		if (i)
			strbuf_add_c(&job->stop_json, ",");
		strbuf_add_json(&job->stop_json, r->stop[i].ptr, r->stop[i].len);
	}
	if (job->rc)
		request_free(r);
}

/* Takes the first job of the key whose last turn is longest ago off the list; NULL: there is none. */
static struct prepare_job *take_next(struct prepare *p)
{
	struct prepare_job **best = &p->first;
	for (struct prepare_job **at = &p->first; *at; at = &(*at)->next)
		if (p->keys[(*at)->key].last_turn < p->keys[(*best)->key].last_turn)
			best = at;
	struct prepare_job *job = *best;
	if (!job)
		return NULL;
	*best = job->next;
	if (!*best)
		p->last = best;
	p->keys[job->key].last_turn = ++p->n_turns;
	return job;
}

/* Under the lock. */
static void give_back(struct prepare *p, struct prepare_job *job)
{
	p->n_jobs--;
	p->keys[job->key].n_jobs--;
	p->n_bytes -= job->n_bytes;
	job->next = NULL;
	*p->done_last = job;
	p->done_last = &job->next;
	p->on_done(p->user);
}

static void warn_free_calls(struct prepare_job *job)
{
	char text[480];
	snprintf(text, sizeof text, "calls are drawn freely, as a tool's schema cannot be enforced: %.350s",
		 job->err.error.message);
	text[utf8_valid_prefix(text, strlen(text))] = '\0';
	field_warn(&job->request.warnings, text);
}

/* On a thread of the engine's: the shape is there, or it is known why not. */
static void on_shape(struct shape_order *order)
{
	struct prepare_job *job = order->user;
	struct prepare *p = job->prepare;
	job->shape = order->made;
	job->rc = order->rc;
	job->err.error = order->err;
	bool refused = order->rc == HOKKU_INVALID_REQUEST;
	const char *place = order->fault.place;
	bool lenient = refused && calling_refused(&job->calling, place, job->err.field);
	if (refused && job->err.field[0] && strncmp(order->err.message, place, strlen(place)) == 0)
		err_set(&job->err.error, order->rc, "%s%s", job->err.field,
			order->err.message + strlen(place)); /* as the request has it */
	if (refused)
		name_tool(job->form, &job->request, &job->err);
	if (lenient) {
		warn_free_calls(job);
		job->err.field[0] = '\0';
		job->rc = HOKKU_OK;
	} else if (refused && !job->err.field[0]) {
		snprintf(job->err.field, sizeof job->err.field, "%s", job->request.shape_field);
		err_set(&job->err.error, order->rc, "%s: %s", job->err.field,
			calling_own_place(&job->calling, order->err.message));
	}
	strbuf_free(&job->request.shape_text);
	if (job->rc)
		request_free(&job->request);
	pthread_mutex_lock(&p->lock);
	give_back(p, job);
	p->n_ordered--;
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

/* A hard shape takes its time on a thread that nobody else waits for. */
static void order_shape(struct prepare *p, struct prepare_job *job)
{
	const struct gen_request *r = &job->request;
	job->prepare = p;
	job->order = (struct shape_order){
		.task = {.owner = job->key},
		.shape = {.kind = r->shape_kind,
			  .text = {r->shape_text.ptr ? r->shape_text.ptr : "", r->shape_text.len},
			  .space = r->shape_space},
		.abandoned = &job->abandoned,
		.done = on_shape,
		.user = job,
	};
	engine_order_shape(p->engine, &job->order);
}

static void run_job(struct prepare *p, struct prepare_job *job)
{
	struct engine_state state;
	engine_get_state(p->engine, &state);
	const char *model = p->defaults.model;
	const struct request_served served = {.name = model ? model : state.info.name,
					      .several = model != NULL,
					      .n_ctx = state.info.n_ctx,
					      .info = &state.info,
					      .file = engine_file(p->engine),
					      .advice = engine_advice(p->engine),
					      .dialect = engine_dialect(p->engine)};
	job->served = &served;
	job->dialect = engine_dialect(p->engine);
	prepare_run_job(job, engine_tok(p->engine), engine_chat(p->engine), served.advice, &p->defaults);
	job->served = NULL;
}

static void *run(void *arg)
{
	struct prepare *p = arg;
	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		struct prepare_job *job = take_next(p);
		if (!job) {
			pthread_cond_wait(&p->wake, &p->lock);
			continue;
		}
		job->n_bytes = job->body.len;
		pthread_mutex_unlock(&p->lock);
		if (atomic_load(&job->abandoned))
			job->rc = err_set(&job->err.error, HOKKU_CANCELLED, "the request was cancelled");
		else
			run_job(p, job);
		bool shaped = job->rc == HOKKU_OK && job->request.shape_field && !job->told.len;
		pthread_mutex_lock(&p->lock);
		p->n_ordered += shaped;
		if (!shaped) {
			give_back(p, job);
			continue;
		}
		pthread_mutex_unlock(&p->lock);
		order_shape(p, job);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

enum hokku_code prepare_create(struct engine *engine, const struct prepare_chat *defaults, uint32_t max_jobs,
			       uint32_t n_keys, void (*on_done)(void *user), void *user, struct prepare **out,
			       struct hokku_error *err)
{
	*out = NULL;
	struct prepare *p = calloc(1, sizeof *p);
	if (p)
		p->keys = calloc((size_t)n_keys + 1, sizeof *p->keys);
	if (!p || !p->keys) {
		free(p);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the tokenizing thread");
	}
	p->engine = engine;
	p->defaults = *defaults;
	p->max_jobs = max_jobs;
	p->on_done = on_done;
	p->user = user;
	p->last = &p->first;
	p->done_last = &p->done;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	int error = pthread_create(&p->thread, NULL, run, p);
	if (error) {
		pthread_cond_destroy(&p->wake);
		pthread_mutex_destroy(&p->lock);
		free(p->keys);
		free(p);
		return err_set(err, HOKKU_INTERNAL, "the tokenizing thread cannot be started: %s",
			       strerror(error));
	}
	*out = p;
	return HOKKU_OK;
}

void prepare_destroy(struct prepare *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	engine_close_shapes(p->engine);
	pthread_mutex_lock(&p->lock);
	while (p->n_ordered)
		pthread_cond_wait(&p->wake, &p->lock);
	pthread_mutex_unlock(&p->lock);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p->keys);
	free(p);
}

bool prepare_submit(struct prepare *p, struct prepare_job *job)
{
	pthread_mutex_lock(&p->lock);
	bool ok = p->keys[job->key].n_jobs == 0 ||
		  (p->n_jobs < p->max_jobs && p->n_bytes + job->body.len <= PREPARE_MAX_BYTES);
	if (ok) {
		job->next = NULL;
		*p->last = job;
		p->last = &job->next;
		p->n_jobs++;
		p->keys[job->key].n_jobs++;
		p->n_bytes += job->body.len;
		pthread_cond_signal(&p->wake);
	}
	pthread_mutex_unlock(&p->lock);
	return ok;
}

struct prepare_job *prepare_take_done(struct prepare *p)
{
	pthread_mutex_lock(&p->lock);
	struct prepare_job *jobs = p->done;
	p->done = NULL;
	p->done_last = &p->done;
	pthread_mutex_unlock(&p->lock);
	return jobs;
}

void prepare_drop_shape(struct prepare_job *job)
{
	if (job->shape)
		constrain_unref(job->shape);
	job->shape = NULL;
}

void prepare_job_free(struct prepare_job *job)
{
	prepare_drop_shape(job);
	strbuf_free(&job->body);
	strbuf_free(&job->stop_json);
	strbuf_free(&job->told);
	strbuf_free(&job->texts);
	free(job->prompts);
	calling_free(&job->calling);
	request_free(&job->request);
	tok_ids_free(&job->ids);
}
