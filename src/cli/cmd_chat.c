/*
 * hokku chat: a conversation, on a terminal with lines that are edited, through a pipe as a filter. Answers
 * are written on the engine's thread as they come (chat_answer.c); what is typed is taken apart by talk.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/rng.h"
#include "cli/chat_answer.h"
#include "cli/chat_options.h"
#include "cli/engine_progress.h"
#include "cli/line_reader.h"
#include "cli/open_tok.h"
#include "cli/pull_model.h"

static int run(int argc, char **argv);

const struct cmd cmd_chat = {
	.name = "chat",
	.usage = "chat [MODEL] [OPTIONS]",
	.summary = "a conversation, in the terminal or through a pipe",
	.help = "MODEL is a GGUF file, a folder as transformers writes it, or a name as hokku pull takes them; without it\n"
		"the haiku model inside the program answers. A named model that is not here is pulled after a question, or\n"
		"with --pull.\n\n"
		"On a terminal lines are edited, with a history (arrow keys, Ctrl-R). /help lists the commands: /system,\n"
		"/set, /show, /save, /load, /retry, /regen, /clear and /bye. \"\"\" before and behind a message lets it have\n"
		"several lines, as does a \\ at the end of each but the last; a message that begins with / is written //.\n"
		"Thinking is dimmed. Ctrl-C ends an answer; where nothing is answered, twice, the program, as Ctrl-D does.\n\n"
		"Where standard input or output is no terminal, each line is a message of the one conversation, or a\n"
		"command, and each answer goes to standard output when it has come, without its thinking; empty lines are\n"
		"passed over. The first error ends it (exit code 1). hokku run takes the whole input as one prompt.\n\n"
		"Speed, what the context holds and the seed go to standard error behind each answer, if that is a terminal\n"
		"or with --verbose.\n\n"
		"Examples:\n"
		"  hokku chat qwen3:4b\n"
		"  hokku chat model.gguf --system \"Answer in one sentence.\" --temperature 0\n"
		"  printf '%s\\n' 'autumn rain' '/save rain.json' | hokku chat\n",
	.run = run,
};

struct options {
	struct engine_config config;
	struct talk_settings settings;
	const char *system;
	struct pull_options pull;
	struct chat_options chat;
	bool given[OPT_N_SAMPLING], verbose;
};

/* The conversation while it goes on. */
struct session {
	const struct options *o;
	struct engine *engine;
	struct hokku_info info;
	struct talk talk;
	struct talk_settings settings, fallback;
	struct strbuf asked;  /* the last message that was asked, */
	bool is_asked;        /* which is in talk: it was answered */
	struct strbuf kept;   /* where the conversation was saved or loaded; empty: nowhere */
	uint64_t seed;        /* of the last answer, */
	bool has_seed;        /* where there is one, and no other seed was set since */
	uint32_t n_context;   /* tokens that the last answer left in the context */
	bool terminal, tells; /* tells: of each answer, and what commands did */
};

/* What goes through the pipe. */
static int wake[2] = {-1, -1};
static volatile sig_atomic_t phase; /* of: */
enum { LOADING, READING, READING_PIPE, ANSWERING };
static atomic_bool interrupted_loading; /* read by the engine's thread */

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	int saved = errno;
	const char why = CHAT_INTERRUPTED;
	if (phase == READING_PIPE)
		_exit(EXIT_INTERRUPTED);
	if (phase == LOADING && atomic_exchange(&interrupted_loading, true))
		_exit(EXIT_INTERRUPTED); /* it was asked to end, and does not */
	if (phase != LOADING) {
		ssize_t n = write(wake[1], &why, 1);
		(void)n; /* a pipe that is full of them wakes as well */
	}
	errno = saved;
}

static bool is_interrupted(void *user)
{
	(void)user;
	return atomic_load(&interrupted_loading);
}

static int parse(int argc, char **argv, struct options *o)
{
	struct opt_table table = {0};
	const char *model = NULL;
	int n = 0;
	opt_add(&table, &(struct opt){.name = "system",
				      .kind = OPT_STRING,
				      .target = &o->system,
				      .metavar = "TEXT",
				      .help = "the system message that goes first"});
	opt_add(&table, &(struct opt){.name = "max-tokens",
				      .letter = 'n',
				      .kind = OPT_U32,
				      .target = &o->settings.max_tokens,
				      .metavar = "N",
				      .help = "end each answer after N tokens",
				      .min = 0,
				      .max = INT32_MAX,
				      .fallback = "when the model ends it or the context is full"});
	opt_add_sampling(&table, &o->settings.sampling, o->given, &o->settings.seed_given);
	opt_add_chat(&table, &o->chat);
	opt_add_pull(&table, &o->pull);
	opt_add_engine(&table, &o->config);
	opt_add(&table,
		&(struct opt){.name = "verbose",
			      .letter = 'v',
			      .kind = OPT_FLAG,
			      .target = &o->verbose,
			      .help = "tell the model and of each answer, even if that is no terminal"});
	int rc = cli_parse(&cmd_chat, table.rows, argc, argv, &model, 1, &n);
	if (rc >= 0)
		return rc;
	o->config.model_path = n ? model : NULL;
	rc = cli_read_chat(&cmd_chat, &o->chat);
	o->config.chat_template = o->chat.source;
	return rc;
}

/* ---- asking ---- */

static void tell(const struct session *s, const struct chat_answer *a)
{
	const struct hokku_result *r = &a->result;
	/* Between the first token drawn and the last lie as many steps as tokens, less one; an end token adds
	 * one. */
	uint32_t steps = r->tokens_out - (r->stop != HOKKU_STOP_END && r->tokens_out > 0);
	bool dim = chat_may_dim(STDERR_FILENO);
	if (!s->tells)
		return;
	fprintf(stderr,
		"%s%u tokens, %.1f tokens/s, the first after %.1f ms; context %u of %u tokens (%u%%); seed "
		"%llu%s%s\n",
		dim ? CHAT_DIM : "", r->tokens_out, r->decode_ms > 0 ? steps / r->decode_ms * 1e3 : 0,
		r->ttft_ms, s->n_context, s->info.n_ctx, (unsigned)(100ull * s->n_context / s->info.n_ctx),
		(unsigned long long)r->seed, r->stop == HOKKU_STOP_LENGTH ? "; cut at max_tokens" : "",
		dim ? CHAT_PLAIN : "");
}

#define WHAT_TO_DO                                                                                            \
	"/clear begins anew, /retry with a shorter text takes the place of the last message, and hokku chat " \
	"--ctx N makes room for more, where the model has it"

/* Answers the messages there are, of which the last is the user's. What fails takes that message back. */
static int answer(struct session *s)
{
	struct chat_answer a = {.engine = s->engine, .terminal = s->terminal, .wake = {wake[0], wake[1]}};
	struct hokku_error err;
	s->seed = s->settings.sampling.seed;
	s->has_seed = true;
	phase = ANSWERING;
	enum hokku_code rc = chat_answer_run(&a, &s->talk, &s->settings, &s->o->chat, &err);
	phase = s->terminal ? READING : READING_PIPE;
	if (rc == HOKKU_CONTEXT_EXCEEDED)
		err_set(&err, rc, "the context is full: %.200s; " WHAT_TO_DO, a.error.message);
	else if (rc && rc != HOKKU_CANCELLED)
		err = a.error;
	struct str text = {a.text.ptr, a.text.len};
	bool keep = !rc || (a.interrupted && text.len);
	if (keep && talk_add(&s->talk, true, text, (struct str){a.thinking.ptr, a.thinking.len}, &err))
		rc = err.code;
	s->is_asked = keep;
	if (!keep)
		talk_cut(&s->talk, s->talk.n - 1);
	if (!rc) {
		s->n_context = a.result.prompt_tokens + a.result.tokens_out;
		if (s->n_context > s->info.n_ctx) /* the last token drawn has no place of its own */
			s->n_context = s->info.n_ctx;
		tell(s, &a);
		if (a.result.stop == HOKKU_STOP_CONTEXT)
			fprintf(stderr, "hokku: the context of %u tokens is full, and ended the answer; %s\n",
				s->info.n_ctx, WHAT_TO_DO);
	}
	int code = EXIT_OK;
	if (a.write_error && a.write_error != EPIPE) { /* of that the reader has had enough */
		err_set(&err, HOKKU_IO_ERROR, "standard output: %s", strerror(a.write_error));
		code = cli_fail(&err);
	} else if (a.interrupted && s->terminal) {
		fprintf(stderr, "%s\n",
			keep ? "(interrupted; what there is of the answer stays)"
			     : "(interrupted; the message is taken back, /retry asks it again)");
	} else if (a.interrupted) {
		code = EXIT_INTERRUPTED;
	} else if (rc && !a.write_error) {
		code = cli_fail(&err);
	}
	bool over = a.write_error || (code != EXIT_OK && !s->terminal);
	chat_answer_free(&a);
	return over ? code : -1;
}

/* The seed of the answer that comes: of /retry the last one's, of /regen another. */
enum seed_of { NEW_SEED, SAME_SEED, NEXT_SEED };

/* Returns -1 to go on, or an exit code. */
static int ask(struct session *s, struct str text, enum seed_of which)
{
	struct hokku_error err;
	uint64_t given = s->settings.sampling.seed;
	if (talk_add(&s->talk, false, text, (struct str){"", 0}, &err)) {
		int code = cli_fail(&err);
		return s->terminal ? -1 : code;
	}
	if (s->asked.ptr != text.ptr) {
		strbuf_clear(&s->asked);
		strbuf_add(&s->asked, text.ptr, text.len);
	}
	if (s->has_seed && which != NEW_SEED)
		s->settings.sampling.seed = s->seed + (which == NEXT_SEED);
	else if (!s->settings.seed_given)
		s->settings.sampling.seed = rng_os_seed();
	int code = answer(s);
	s->settings.sampling.seed = given;
	return code;
}

/* ---- commands ---- */

static void show(const struct session *s)
{
	char bytes[32], params[32];
	printf("%s: %s, %s, %s parameters, %s; %s\n", s->info.name, s->info.architecture, s->info.format,
	       str_thousands(s->info.n_params, params), str_bytes(s->info.weight_bytes, bytes),
	       s->info.device);
	printf("context: %u of %u tokens after the last answer; %zu messages\n", s->n_context, s->info.n_ctx,
	       s->talk.n);
	if (s->talk.system.len)
		printf("system message: %.*s\n", (int)s->talk.system.len, s->talk.system.ptr);
	else
		puts("system message: none of its own");
	talk_print_settings(&s->settings, stdout);
}

__attribute__((format(printf, 2, 3))) static void note(const struct session *s, const char *format, ...)
{
	va_list args;
	if (!s->tells)
		return;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
}

/* A path as it is typed: ~/ is the home of whoever types. */
static void read_path(struct str typed, struct strbuf *out)
{
	const char *home = getenv("HOME");
	if (home && str_starts(typed, STR_LIT("~/"))) {
		strbuf_add_c(out, home);
		typed = (struct str){typed.ptr + 1, typed.len - 1};
	}
	strbuf_add(out, typed.ptr, typed.len);
}

static enum hokku_code keep(struct session *s, struct str typed, bool load, struct hokku_error *err)
{
	struct strbuf path = {0};
	read_path(typed, &path);
	if (path.failed || memchr(path.ptr, 0, path.len)) {
		strbuf_free(&path);
		return err_set(err, HOKKU_INVALID_REQUEST, "the name of the file has a zero byte");
	}
	bool same = s->kept.ptr && strcmp(s->kept.ptr, path.ptr) == 0;
	enum hokku_code rc = load ? talk_load(&s->talk, path.ptr, err)
				  : talk_save(&s->talk, path.ptr, s->info.name, same, err);
	if (rc) {
		strbuf_free(&path);
		return rc;
	}
	strbuf_free(&s->kept);
	s->kept = path;
	if (load) {
		size_t last = talk_last_asked(&s->talk);
		s->n_context = 0;
		s->has_seed = false;
		s->is_asked = last < s->talk.n;
		strbuf_clear(&s->asked);
		if (s->is_asked)
			strbuf_add(&s->asked, s->talk.messages[last].content.ptr,
				   s->talk.messages[last].content.len);
	}
	note(s, "(%zu messages %s %s)\n", s->talk.n, load ? "from" : "in", path.ptr);
	return HOKKU_OK;
}

static enum hokku_code set_system(struct session *s, struct str text, struct hokku_error *err)
{
	size_t valid = utf8_valid_prefix(text.ptr, text.len);
	if (valid < text.len)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "byte %zu of the system message (0x%02x) is no UTF-8, which messages are "
			       "written in",
			       valid, (unsigned char)text.ptr[valid]);
	strbuf_clear(&s->talk.system);
	strbuf_add(&s->talk.system, text.ptr, text.len);
	return s->talk.system.failed ? err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the system message")
				     : HOKKU_OK;
}

static enum hokku_code set(struct session *s, struct str typed, struct hokku_error *err)
{
	struct talk_settings was = s->settings;
	enum hokku_code rc = talk_set(&s->settings, &s->fallback, typed, err);
	if (s->settings.seed_given != was.seed_given || s->settings.sampling.seed != was.sampling.seed)
		s->has_seed = false;
	return rc;
}

/* Takes back the last message, where it was answered, and all behind it; text: what is asked in its place. */
static int ask_again(struct session *s, struct str text, bool same)
{
	if (s->is_asked)
		talk_cut(&s->talk, talk_last_asked(&s->talk));
	s->is_asked = false;
	return ask(s, text.len ? text : (struct str){s->asked.ptr, s->asked.len},
		   text.len ? NEW_SEED
		   : same   ? SAME_SEED
			    : NEXT_SEED);
}

/* Returns -1 to go on, or an exit code. */
static int obey(struct session *s, enum talk_command command, struct str rest)
{
	struct hokku_error err;
	enum hokku_code rc = HOKKU_OK;
	switch (command) {
	case TALK_SAY:
		return rest.len ? ask(s, rest, NEW_SEED) : -1;
	case TALK_SYSTEM:
		rc = set_system(s, rest, &err);
		if (!rc)
			note(s, "(%s)\n",
			     rest.len ? "the system message is set" : "there is no system message now");
		break;
	case TALK_SET:
		if (rest.len)
			rc = set(s, rest, &err);
		else
			talk_print_settings(&s->settings, stdout);
		break;
	case TALK_SHOW:
		show(s);
		break;
	case TALK_SAVE:
	case TALK_LOAD:
		rc = keep(s, rest, command == TALK_LOAD, &err);
		break;
	case TALK_RETRY:
	case TALK_REGEN:
		if (s->asked.len || rest.len)
			return ask_again(s, rest, command == TALK_RETRY);
		rc = err_set(&err, HOKKU_INVALID_REQUEST, "nothing was asked yet that could be asked again");
		break;
	case TALK_CLEAR:
		talk_cut(&s->talk, 0);
		strbuf_clear(&s->asked);
		s->is_asked = false;
		s->n_context = 0;
		note(s, "(a new conversation)\n");
		break;
	case TALK_HELP:
		talk_print_help(stdout);
		break;
	case TALK_BYE:
		return EXIT_OK;
	}
	int code = rc ? cli_fail(&err) : cli_finish(EXIT_OK);
	return code == EXIT_OK || (rc && s->terminal) ? -1 : code;
}

/* ---- the loop ---- */

static int take(struct session *s, const struct talk_lines *lines)
{
	struct str text = {lines->text.ptr ? lines->text.ptr : "", lines->text.len}, rest = text;
	struct hokku_error err;
	enum talk_command command = TALK_SAY;
	if (lines->text.failed || (!lines->plain && talk_parse(text, &command, &rest, &err))) {
		int code = lines->text.failed ? cli_fail(&(struct hokku_error){HOKKU_OUT_OF_MEMORY,
									       "no memory for the message"})
					      : cli_fail(&err);
		return s->terminal ? -1 : code;
	}
	return obey(s, command, rest);
}

static int converse(struct session *s, struct line_reader *reader)
{
	struct talk_lines lines = {0};
	struct hokku_error err;
	struct str line;
	bool warned = false;
	int code = -1;
	while (code < 0) {
		bool more = lines.begun || lines.quoted;
		switch (line_reader_next(reader, more ? ". " : "> ", &line, &err)) {
		case LINE_READ:
			warned = false;
			if (talk_lines_add(&lines, line))
				code = take(s, &lines);
			break;
		case LINE_INTERRUPTED:
			fputs("\n", stdout);
			fflush(stdout);
			if (warned)
				code = EXIT_INTERRUPTED;
			else if (!more)
				fputs("(Ctrl-C again, Ctrl-D or /bye ends the conversation)\n", stderr);
			warned = !more;
			talk_lines_clear(&lines);
			break;
		case LINE_OVER:
			code = EXIT_OK;
			if (s->terminal)
				fputs("\n", stdout);
			else if (lines.quoted)
				code = cli_fail(&(struct hokku_error){
					HOKKU_INVALID_REQUEST,
					"the input ends inside a text that was begun with \"\"\""});
			else if (lines.begun && (code = take(s, &lines)) < 0)
				code = EXIT_OK;
			break;
		case LINE_FAILED:
			code = cli_fail(&err);
			break;
		}
	}
	talk_lines_free(&lines);
	return code;
}

static void greet(const struct session *s)
{
	struct engine_state state;
	char bytes[32], params[32];
	engine_get_state(s->engine, &state);
	cli_tell_device(s->info.device, state.device_why, state.device_why_notable, s->o->verbose);
	cli_tell_context(&state);
	cli_tell_notes(state.tokenizer_notes);
	if (s->o->verbose || s->terminal)
		fprintf(stderr, "%s: %s, %s, %s parameters, %s; %s; context %u%s\n", s->info.name,
			s->info.architecture, s->info.format, str_thousands(s->info.n_params, params),
			str_bytes(s->info.weight_bytes, bytes), s->info.device, s->info.n_ctx,
			s->terminal ? "; /help lists the commands" : "");
}

/* What no option says is as the model's file would have it. */
static void take_settings(struct session *s)
{
	struct sampling own;
	s->settings = s->o->settings;
	sampling_defaults(&own, SAMPLING_OWN, engine_advice(s->engine));
	for (size_t i = 0; i < n_sampling_fields; i++) {
		size_t at = sampling_fields[i].offset;
		if (!s->o->given[i])
			memcpy((char *)&s->settings.sampling + at, (char *)&own + at, 4);
	}
	s->fallback = s->settings; /* what /set NAME default goes back to */
}

static int talk_with(const struct options *o, struct engine *e)
{
	struct session s = {.o = o, .engine = e};
	struct engine_state state;
	struct hokku_error err;
	engine_get_state(e, &state);
	s.info = state.info;
	s.terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	s.tells = o->verbose || isatty(STDERR_FILENO);
	if (engine_chat(e)->kind == CHAT_NONE) {
		err_set(&err, HOKKU_INVALID_REQUEST,
			"the model has no chat template, so it holds no conversation; --chat-template gives it "
			"one, and hokku run --raw lets it go on with a text");
		return cli_fail(&err);
	}
	take_settings(&s);
	if (o->system && set_system(&s, str_c(o->system), &err)) {
		talk_free(&s.talk);
		return cli_fail(&err);
	}
	struct line_reader *reader = line_reader_open(s.terminal, wake[0], LINE_MAX_BYTES, &err);
	if (!reader) {
		talk_free(&s.talk);
		return cli_fail(&err);
	}
	greet(&s);
	phase = s.terminal ? READING : READING_PIPE;
	int code = converse(&s, reader);
	line_reader_close(reader);
	talk_free(&s.talk);
	strbuf_free(&s.asked);
	strbuf_free(&s.kept);
	return code;
}

static int run(int argc, char **argv)
{
	struct options o = {0};
	struct engine *e = NULL;
	struct hokku_error err;
	char *path;
	int code = parse(argc, argv, &o);
	if (code >= 0)
		return code;
	enum hokku_code rc = cli_find_model(&o.pull, o.config.model_path, &path, &err);
	if (rc) {
		cli_free_chat(&o.chat);
		return cli_find_failed(rc, &err);
	}
	o.config.model_path = path;
	if (pipe(wake)) {
		err_set(&err, HOKKU_IO_ERROR, "a pipe cannot be opened: %s", strerror(errno));
		cli_free_chat(&o.chat);
		free(path);
		return cli_fail(&err);
	}
	phase = LOADING;
	sigaction(SIGINT, &(struct sigaction){.sa_handler = on_interrupt}, NULL);
	signal(SIGPIPE, SIG_IGN);
	o.config.stopped = is_interrupted;
	rc = cli_start_engine(&o.config, &e, &err);
	if (rc == HOKKU_CANCELLED)
		code = EXIT_INTERRUPTED;
	else
		code = rc ? cli_fail(&err) : talk_with(&o, e);
	engine_destroy(e, 0);
	cli_free_chat(&o.chat);
	close(wake[0]);
	close(wake[1]);
	free(path);
	return code;
}
