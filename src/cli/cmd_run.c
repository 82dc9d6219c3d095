/*
 * hokku run: one answer, streamed to standard output. The text is written on the engine's thread as it comes;
 * the main thread sleeps on a pipe into which the end of the answer and the interrupt signal both write.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "cli/chat_options.h"
#include "cli/engine_progress.h"
#include "cli/open_tok.h"
#include "cli/pull_model.h"
#include "cli/rule_options.h"
#include "cli/run_state.h"
#include "cli/shape_options.h"

enum { MAX_PROMPT_BYTES = 64 << 20 };

static int run(int argc, char **argv);

const struct cmd cmd_run = {
	.name = "run",
	.usage = "run [MODEL] [-p PROMPT | -f FILE] [OPTIONS]",
	.summary = "answer a prompt, streamed to standard output",
	.help = "MODEL is a GGUF file, a folder as transformers writes it, or a name as hokku pull takes them; without it\n"
		"the haiku model inside the program answers. A named model that is not here is pulled after a question, or\n"
		"with --pull. Without -p and -f the prompt is read from standard input; one line end (LF or CRLF) at the\n"
		"end of a file or of standard input is left out, and a byte order mark at its beginning. A model with a chat\n"
		"template gets the prompt as the user's message; --raw sends it as it is. Progress, timing and the\n"
		"seed go to standard error, if that is a terminal or with --verbose. Ctrl-C ends the answer (exit code 130).\n\n"
		"With --state FILE what the model has computed of prompt and answer is in FILE at the end, and is not\n"
		"computed again by the next run that names it: without -p and -f that goes on where this one ended, and a\n"
		"prompt must begin with all that FILE holds. The text is what one run would have given. FILE is good for\n"
		"the model, device and build of hokku that made it.\n\n"
		"Examples:\n"
		"  hokku run -p \"autumn rain\"\n"
		"  hokku run qwen2.5-0.5b-instruct-q8_0.gguf -p \"Name three rivers.\" --temperature 0 -n 64\n"
		"  git diff | hokku run model.gguf --system \"Write a commit message.\" -n 100\n"
		"  hokku run model.gguf --raw -f book.txt -n 0 --state book.state\n"
		"  hokku run model.gguf -p \"Is 7 prime?\" --choice yes --choice no\n",
	.run = run,
};

struct options {
	struct engine_config config;
	struct sampling sampling;
	const char *prompt, *file, *system, *state;
	uint32_t max_tokens;
	struct pull_options pull;
	struct chat_options chat;
	struct shape_options shape;
	bool given[OPT_N_SAMPLING], seed_given, max_tokens_given, raw, verbose;
	struct opt_list stop;
	const char *stops[ENGINE_MAX_STOP];
	struct rule_options rules;
};

/* The answer while it comes; written by the engine's thread until the end is in the pipe. */
struct answer {
	struct engine *engine;
	int write_error; /* errno of the write that failed */
	char last;       /* last byte written */
	bool ended;
	struct hokku_result result;
	struct hokku_error error;
};

/* What goes through the pipe. */
enum { INTERRUPTED = 'i', ENDED = 'e' };
static int wake[2] = {-1, -1};
static volatile sig_atomic_t generating;
static atomic_bool interrupted_loading; /* read by the engine's thread */

static void wake_main(char why)
{
	ssize_t n = write(wake[1], &why, 1);
	(void)n; /* two bytes at most ever go in */
}

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	int saved = errno;
	atomic_store(&interrupted_loading, !generating);
	wake_main(INTERRUPTED);
	errno = saved;
}

static bool is_interrupted(void *user)
{
	(void)user;
	return atomic_load(&interrupted_loading);
}

static void on_event(void *user, const struct engine_event *event)
{
	struct answer *a = user;
	switch (event->kind) {
	case ENGINE_STARTED:
	case ENGINE_PROMPT:
		break;
	case ENGINE_TOKEN:
		if (!event->text.len || a->write_error)
			break;
		if (fwrite(event->text.ptr, 1, event->text.len, stdout) != event->text.len ||
		    fflush(stdout)) {
			a->write_error = errno;
			engine_cancel(a->engine, event->request);
			break;
		}
		a->last = event->text.ptr[event->text.len - 1];
		break;
	case ENGINE_END:
		a->result = *event->result;
		a->ended = true;
		wake_main(ENDED);
		break;
	case ENGINE_ERROR:
		a->error = *event->error;
		wake_main(ENDED);
		break;
	}
}

/* Returns -1, or an exit code. */
static int check_state(const struct options *o)
{
	char quoted[96];
	bool prompt = o->prompt || o->file;
	if (o->state && !*o->state)
		return cli_usage(&cmd_run, "--state is empty; it takes the path of a file");
	if (o->max_tokens_given && o->max_tokens == 0 && !(o->state && prompt))
		return cli_usage(
			&cmd_run,
			"-n is 0; it takes 1 to %d (0 with --state and a prompt: it is only computed)",
			INT32_MAX);
	if (o->state && !prompt && !run_state_is_there(o->state))
		return cli_usage(
			&cmd_run,
			"there is no prompt, and --state names %s, which is not there; give a prompt "
			"with -p or -f",
			str_quote(str_c(o->state), quoted, sizeof quoted));
	return -1;
}

/* The rows of --help, in its order. */
static void add_options(struct opt_table *table, struct options *o)
{
	o->stop = (struct opt_list){.values = o->stops, .max = ENGINE_MAX_STOP};
	const struct opt rows[] = {
		{.name = "prompt",
		 .letter = 'p',
		 .kind = OPT_STRING,
		 .target = &o->prompt,
		 .metavar = "TEXT",
		 .help = "the prompt"},
		{.name = "file",
		 .letter = 'f',
		 .kind = OPT_STRING,
		 .target = &o->file,
		 .metavar = "FILE",
		 .help = "read the prompt from FILE; - is standard input"},
		{.name = "system",
		 .kind = OPT_STRING,
		 .target = &o->system,
		 .metavar = "TEXT",
		 .help = "the system message that goes first"},
		{.name = "raw",
		 .kind = OPT_FLAG,
		 .target = &o->raw,
		 .help = "send the prompt as it is, without the chat template"},
		{.name = "max-tokens",
		 .letter = 'n',
		 .kind = OPT_U32,
		 .target = &o->max_tokens,
		 .metavar = "N",
		 .help = "end after N tokens; 0, with --state: only compute the prompt",
		 .min = 0,
		 .given = &o->max_tokens_given,
		 .max = INT32_MAX,
		 .fallback = "until the model ends or the context is full"},
		{.name = "state",
		 .kind = OPT_STRING,
		 .target = &o->state,
		 .metavar = "FILE",
		 .help = "go on from the state in FILE, if it is there, and put into it what has come of it"},
		{.name = "stop",
		 .kind = OPT_LIST,
		 .target = &o->stop,
		 .metavar = "TEXT",
		 .help = "end before this text"},
	};
	const struct opt verbose = {.name = "verbose",
				    .letter = 'v',
				    .kind = OPT_FLAG,
				    .target = &o->verbose,
				    .help = "tell the model and the timing, even if that is no terminal"};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		opt_add(table, &rows[i]);
	opt_add_shape(table, &o->shape);
	opt_add_sampling(table, &o->sampling, o->given, &o->seed_given);
	opt_add_rules(table, &o->rules);
	opt_add_chat(table, &o->chat);
	opt_add_pull(table, &o->pull);
	opt_add_engine(table, &o->config);
	opt_add(table, &verbose);
}

/* Do the options go together? Returns -1, or an exit code. */
static int check_options(const struct options *o)
{
	if (o->prompt && o->file)
		return cli_usage(&cmd_run, "-p and -f are both given; one is wanted");
	if (o->system && o->raw)
		return cli_usage(&cmd_run, "--system needs the chat template that --raw leaves out");
	if (o->raw && (o->chat.name || o->chat.file))
		return cli_usage(&cmd_run, "--raw leaves out the chat template that is named");
	int rc = check_state(o);
	if (rc >= 0)
		return rc;
	if (!o->prompt && !o->file && !o->state && isatty(STDIN_FILENO))
		return cli_usage(&cmd_run, "there is no prompt; give one with -p, -f or through a pipe");
	for (uint32_t i = 0; i < o->stop.n; i++)
		if (!o->stops[i][0])
			return cli_usage(&cmd_run, "--stop is empty; it takes a text to stop at");
	return -1;
}

/* What the options name is read: template, rules, shape. Returns -1, or an exit code. */
static int read_named(struct options *o)
{
	int rc = cli_read_chat(&cmd_run, &o->chat);
	o->config.chat_template = o->chat.source;
	if (rc >= 0)
		return rc;
	rc = cli_read_rules(&cmd_run, &o->rules);
	o->sampling.bias = o->rules.biases;
	o->sampling.n_bias = o->rules.bias.n;
	if (rc < 0)
		rc = cli_read_shape(&cmd_run, &o->shape);
	if (rc >= 0) {
		cli_free_chat(&o->chat);
		cli_free_shape(&o->shape);
	}
	return rc;
}

/* Returns -1, or an exit code. */
static int parse(int argc, char **argv, struct options *o)
{
	struct opt_table table = {0};
	const char *model = NULL;
	int n = 0;
	add_options(&table, o);
	int rc = cli_parse(&cmd_run, table.rows, argc, argv, &model, 1, &n);
	if (rc >= 0)
		return rc;
	o->config.model_path = n ? model : NULL;
	o->config.states = o->state != NULL;
	rc = check_options(o);
	if (rc >= 0)
		return rc;
	if (!o->seed_given)
		o->sampling.seed = rng_os_seed();
	return read_named(o);
}

/* The prompt's bytes; *owned is to be freed. */
static enum hokku_code read_prompt(const struct options *o, struct str *prompt, char **owned,
				   struct hokku_error *err)
{
	*owned = NULL;
	*prompt = (struct str){NULL, 0};
	if (o->state && !o->prompt && !o->file) /* it goes on from there */
		return HOKKU_OK;
	if (o->prompt) {
		*prompt = str_c(o->prompt);
		return HOKKU_OK;
	}
	size_t n;
	enum hokku_code rc = file_read(o->file ? o->file : "-", MAX_PROMPT_BYTES, owned, &n, err);
	if (rc)
		return rc;
	if (n && (*owned)[n - 1] == '\n')
		n -= n > 1 && (*owned)[n - 2] == '\r' ? 2 : 1;
	*prompt = (struct str){*owned, n};
	if (n >= 2 && (memcmp(*owned, "\xFF\xFE", 2) == 0 || memcmp(*owned, "\xFE\xFF", 2) == 0)) {
		free(*owned);
		*owned = NULL;
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "%s: it is UTF-16, as its byte order mark says; UTF-8 is wanted",
			       o->file ? o->file : "the prompt");
	}
	if (str_starts(*prompt, STR_LIT("\xEF\xBB\xBF"))) /* of UTF-8: an editor's, no part of the text */
		*prompt = (struct str){*owned + 3, n - 3};
	return HOKKU_OK;
}

static enum hokku_code make_tokens(const struct options *o, const struct engine *e, struct str prompt,
				   struct tok_ids *ids, struct hokku_error *err)
{
	const struct chat *chat = engine_chat(e);
	if (o->raw || (chat->kind == CHAT_NONE && !o->system))
		return tok_encode(engine_tok(e), prompt, TOK_ADD_BOS, ids, err);
	if (chat->kind == CHAT_NONE)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "the model has no chat template, so it takes no system message");
	if (prompt.len == 0)
		return err_set(err, HOKKU_INVALID_REQUEST, "the prompt is empty");
	struct chat_message messages[2] = {0};
	struct chat_told told;
	size_t n = 0;
	if (o->system)
		messages[n++] = (struct chat_message){.role = STR_LIT("system"), .content = str_c(o->system)};
	messages[n++] = (struct chat_message){.role = STR_LIT("user"), .content = prompt};
	const struct chat_input in = {
		.messages = messages, .n_messages = n, .kwargs = {o->chat.kwargs}, .now = o->chat.now};
	enum hokku_code rc = chat_render(chat, engine_tok(e), &in, ids, &told, err);
	if (rc == HOKKU_INVALID_REQUEST)
		err_prefix(err, rc, "the prompt cannot be sent as a message (--raw sends it as it is)");
	if (!rc && told.used_time && (o->verbose || isatty(STDERR_FILENO))) {
		char date[20];
		fprintf(stderr, "hokku: the prompt holds the date %s (--template-date sets another)\n",
			jinja_time_text(&told.time, date));
	}
	return rc;
}

static void print_model(struct engine *e, bool verbose)
{
	struct engine_state s;
	char bytes[32], params[32];
	engine_get_state(e, &s);
	cli_tell_device(s.info.device, s.device_why, s.device_why_notable, verbose);
	cli_tell_context(&s);
	cli_tell_notes(s.tokenizer_notes);
	if (!verbose)
		return;
	fprintf(stderr, "%s: %s, %s, %s parameters, %s; tokenizer %s; %s; context %u\n", s.info.name,
		s.info.architecture, s.info.format, str_thousands(s.info.n_params, params),
		str_bytes(s.info.weight_bytes, bytes), s.info.tokenizer, s.info.device, s.info.n_ctx);
}

static void print_timing(const struct hokku_result *r)
{
	/* Between the first token drawn and the last lie as many steps as tokens, less one; an end token adds
	 * one. */
	uint32_t steps = r->tokens_out - (r->stop != HOKKU_STOP_END && r->tokens_out > 0);
	double rate = r->decode_ms > 0 ? steps / r->decode_ms * 1e3 : 0;
	fprintf(stderr,
		"%u prompt tokens in %.1f ms, %u tokens in %.1f ms (%.1f tokens/s), the first after %.1f ms; "
		"seed %llu; "
		"stopped by: %s\n",
		r->prompt_tokens, r->prefill_ms, r->tokens_out, r->decode_ms, rate, r->ttft_ms,
		(unsigned long long)r->seed, hokku_stop_name(r->stop));
}

/* Sleeps until the answer has ended; an interrupt cancels it first. True if there was one. */
static bool wait_for_end(struct engine *e, uint64_t id)
{
	bool interrupted = false;
	char why = 0;
	while (why != ENDED) {
		ssize_t n = read(wake[0], &why, 1);
		if (n < 0 && errno != EINTR)
			break;
		if (n == 1 && why == INTERRUPTED) {
			interrupted = true;
			engine_cancel(e, id);
		}
	}
	generating = 0;
	return interrupted;
}

static int finish(const struct options *o, const struct answer *a, bool interrupted)
{
	if (a->write_error == EPIPE)
		return EXIT_OK; /* the reader has had enough */
	if (a->write_error) {
		fprintf(stderr, "hokku: standard output: %s\n", strerror(a->write_error));
		return EXIT_FAILED;
	}
	if (a->last && a->last != '\n')
		putchar('\n');
	int code = cli_finish(EXIT_OK);
	if (code != EXIT_OK)
		return code;
	if (interrupted)
		return EXIT_INTERRUPTED;
	if (!a->ended)
		return cli_fail(&a->error);
	if (o->verbose || isatty(STDERR_FILENO))
		print_timing(&a->result);
	return EXIT_OK;
}

/* What no option says is as the model's file would have it. */
static struct sampling sampling_of(const struct options *o, const struct engine *e)
{
	struct sampling s = o->sampling, fallback;
	sampling_defaults(&fallback, SAMPLING_OWN, engine_advice(e));
	for (size_t i = 0; i < n_sampling_fields; i++) {
		size_t at = sampling_fields[i].offset;
		if (!o->given[i])
			memcpy((char *)&s + at, (const char *)&fallback + at, 4);
	}
	return s;
}

/* Prompt or state as tokens; *n_answered: of the state's the last are an answer. */
static enum hokku_code make_all_tokens(const struct options *o, struct engine *e, struct str prompt,
				       struct tok_ids *ids, uint32_t *n_answered, struct hokku_error *err)
{
	enum hokku_code rc = HOKKU_OK;
	*n_answered = 0;
	if (prompt.ptr)
		rc = make_tokens(o, e, prompt, ids, err);
	if (!rc && o->state && run_state_is_there(o->state))
		rc = run_state_restore(e, o->state, ids, n_answered, is_interrupted, err);
	return rc;
}

/* What has come of the request, also of one that was interrupted, into the file. */
static int save_answer(const struct options *o, struct engine *e, uint64_t id, int code)
{
	struct hokku_error err;
	bool tell = o->verbose || isatty(STDERR_FILENO);
	if (!run_state_save(e, o->state, id, NULL, tell, NULL, &err))
		return code;
	int failed = cli_fail(&err);
	return code == EXIT_OK ? failed : code;
}

static int answer_tokens(struct options *o, struct engine *e, const struct tok_ids *ids, uint32_t n_answered)
{
	struct answer a = {.engine = e};
	struct str stops[ENGINE_MAX_STOP];
	struct hokku_error err;
	uint64_t id;
	for (uint32_t i = 0; i < o->stop.n; i++)
		stops[i] = str_c(o->stops[i]);
	struct constrain *shape;
	if (cli_make_rules(&o->rules, engine_tok(e), &err) || cli_make_shape(&o->shape, e, &shape, &err))
		return cli_fail(&err);
	const struct engine_request request = {
		.tokens = ids->ids,
		.n_tokens = ids->n,
		.n_answered = n_answered,
		.max_tokens = o->max_tokens,
		.sampling = sampling_of(o, e),
		.stop = stops,
		.n_stop = o->stop.n,
		.rules = o->rules.rules,
		.dry_breakers = o->rules.breakers.n || o->rules.no_breakers ? o->rules.dry_breakers : NULL,
		.n_dry_breakers = o->rules.breakers.n,
		.shape = shape,
		.on_event = on_event,
		.user = &a,
	};
	generating = 1;
	enum hokku_code rc = engine_submit(e, &request, &id, &err);
	if (shape)
		constrain_unref(shape);
	if (rc)
		return cli_fail(&err);
	bool interrupted = wait_for_end(e, id);
	int code = finish(o, &a, interrupted);
	if (o->state && (a.ended || interrupted || a.write_error))
		code = save_answer(o, e, id, code);
	return code;
}

static int answer_prompt(struct options *o, struct engine *e, struct str prompt)
{
	struct tok_ids ids = {0};
	struct hokku_error err;
	uint32_t n_answered;
	int code = EXIT_FAILED;
	enum hokku_code rc = make_all_tokens(o, e, prompt, &ids, &n_answered, &err);
	if (!rc && o->max_tokens_given && o->max_tokens == 0) {
		rc = run_state_save(e, o->state, 0, &ids, o->verbose || isatty(STDERR_FILENO), is_interrupted,
				    &err);
		code = EXIT_OK;
	} else if (!rc) {
		code = answer_tokens(o, e, &ids, n_answered);
	}
	if (rc)
		code = rc == HOKKU_CANCELLED ? EXIT_INTERRUPTED : cli_fail(&err);
	tok_ids_free(&ids);
	return code;
}

static int run(int argc, char **argv)
{
	struct options o = {0};
	struct engine *e = NULL;
	struct hokku_error err;
	struct str prompt;
	char *owned, *path;
	int code = parse(argc, argv, &o);
	if (code >= 0)
		return code;
	if (o.state && run_state_check(o.state, &err))
		return cli_fail(&err);
	enum hokku_code rc = cli_find_model(&o.pull, o.config.model_path, &path, &err);
	if (rc)
		return cli_find_failed(rc, &err);
	o.config.model_path = path;
	if (read_prompt(&o, &prompt, &owned, &err)) {
		free(path);
		return cli_fail(&err);
	}
	if (pipe(wake)) {
		err_set(&err, HOKKU_IO_ERROR, "a pipe cannot be opened: %s", strerror(errno));
		free(owned);
		free(path);
		return cli_fail(&err);
	}
	/* A second Ctrl-C ends the program at once. */
	sigaction(SIGINT, &(struct sigaction){.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND},
		  NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a state that is too large is told of */
	o.config.stopped = is_interrupted;
	rc = cli_start_engine(&o.config, &e, &err);
	if (!rc)
		print_model(e, o.verbose);
	if (rc == HOKKU_CANCELLED)
		code = EXIT_INTERRUPTED;
	else
		code = rc ? cli_fail(&err) : answer_prompt(&o, e, prompt);
	engine_destroy(e, 0);
	cli_free_chat(&o.chat);
	cli_free_shape(&o.shape);
	cli_free_rules(&o.rules);
	close(wake[0]);
	close(wake[1]);
	free(owned);
	free(path);
	return code;
}
