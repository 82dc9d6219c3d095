#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/chat_options.h"
#include "cli/pull_model.h"
#include "cli/serve_models.h"
#include "server/http.h"
#include "server/server.h"

static int run(int argc, char **argv);

const struct cmd cmd_serve = {
	.name = "serve",
	.usage = "serve [MODEL...] [OPTIONS]",
	.summary = "answer requests over HTTP",
	.help = "MODEL is a GGUF file, a folder as transformers writes it, or a name as hokku pull takes them; without it\n"
		"the haiku model inside the program is served. When connections are accepted, one line on stderr says\n"
		"where: \"hokku: listening on http://127.0.0.1:8080\". The model is loaded after that; GET /health tells how\n"
		"far it is. SIGTERM and SIGINT let running requests finish for up to 5 seconds; a second one ends the\n"
		"program at once; SIGHUP has certificate and keys read again. docs/http.md is the manual of the API.\n\n"
		"With several MODELs, or --models-dir, each request names its model; one is loaded when it is asked for,\n"
		"and goes when nobody has asked for a while, or when another needs its memory.\n\n"
		"Examples:\n"
		"  hokku serve\n"
		"  hokku serve model.gguf --port 8000 --ctx 4096\n"
		"  hokku serve --models-dir ~/models --models-memory 12G\n"
		"  curl -N localhost:8080/v1/generate \\\n"
		"    -d '{\"messages\": [{\"role\": \"user\", \"content\": \"Write a haiku about autumn rain.\"}]}'\n",
	.run = run,
};

static const char *const log_levels[] = {"off", "error", "warn", "info", "debug", NULL};

/* What the command line and the variables say; a program runs one command, once. */
static struct {
	struct server_config config;
	bool metrics, port_given;
	const char *model, *format, *level, *prefix_cache, *dialect, *reasoning;
	const char *host_texts[HOSTS_MAX];
	struct opt_list hosts;
	const char *listen_texts[HTTP_MAX_HOSTS];
	struct opt_list listen;
	const char *origin_texts[ORIGINS_MAX];
	struct opt_list origins;
	struct chat_options chat;
	struct pull_options pull;
} chosen = {.format = "text",
	    .level = "info",
	    .prefix_cache = "on",
	    .reasoning = "auto",
	    .hosts = {.values = chosen.host_texts, .max = HOSTS_MAX},
	    .listen = {.values = chosen.listen_texts, .max = HTTP_MAX_HOSTS},
	    .origins = {.values = chosen.origin_texts, .max = ORIGINS_MAX}};

/* The rows that are the server's own. */
static const struct opt own_rows[] = {
	{.name = "model",
	 .letter = 'm',
	 .kind = OPT_STRING,
	 .target = &chosen.model,
	 .metavar = "FILE",
	 .env = true,
	 .help = "the same as MODEL",
	 .fallback = "the haiku model inside"},
	{.name = "host",
	 .kind = OPT_LIST,
	 .target = &chosen.listen,
	 .metavar = "ADDR",
	 .env = true,
	 .help = "names and addresses to listen on, with commas, and paths of Unix sockets, as /run/hokku.sock",
	 .fallback = "127.0.0.1"},
	{.name = "port",
	 .letter = 'p',
	 .kind = OPT_U32,
	 .target = &chosen.config.port,
	 .given = &chosen.port_given,
	 .metavar = "N",
	 .env = true,
	 .help = "port to listen on; 0 takes a free one",
	 .min = 0,
	 .max = 65535},
	{.name = "ssl-cert-file",
	 .kind = OPT_STRING,
	 .target = &chosen.config.ssl_cert_file,
	 .metavar = "FILE",
	 .env = true,
	 .help = "certificate (PEM, its chain behind it): TLS alone is spoken, but on Unix sockets",
	 .fallback = "none: plain HTTP"},
	{.name = "ssl-key-file",
	 .kind = OPT_STRING,
	 .target = &chosen.config.ssl_key_file,
	 .metavar = "FILE",
	 .env = true,
	 .help = "its private key (PEM, without a passphrase)"},
	{.name = "api-key-file",
	 .kind = OPT_STRING,
	 .target = &chosen.config.api_key_file,
	 .metavar = "FILE",
	 .env = true,
	 .help = "keys that clients must show, one a line, with what each may",
	 .fallback = "none: open to all"},
	{.name = "admin-key",
	 .kind = OPT_STRING,
	 .target = &chosen.config.admin_key,
	 .metavar = "KEY",
	 .env = true,
	 .help = "key that alone may use the routes of administrators; better as the variable, which others cannot see",
	 .fallback = "none: every key may"},
	{.name = "api-prefix",
	 .kind = OPT_STRING,
	 .target = &chosen.config.api_prefix,
	 .metavar = "PATH",
	 .env = true,
	 .help = "what all paths begin with, as /llm",
	 .fallback = "none"},
	{.name = "cors-origins",
	 .kind = OPT_LIST,
	 .target = &chosen.origins,
	 .metavar = "ORIGINS",
	 .env = true,
	 .help = "origins, with commas, whose pages may read answers (CORS), as https://app.example.org; localhost for this machine, * for all"},
	{.name = "allowed-hosts",
	 .kind = OPT_LIST,
	 .target = &chosen.hosts,
	 .metavar = "NAMES",
	 .env = true,
	 .help = "hosts, with commas, that requests and pages may name beside loopback; * for all"},
	{.name = "parallel",
	 .alias = "np",
	 .kind = OPT_U32,
	 .target = &chosen.config.engine.n_parallel,
	 .metavar = "N",
	 .env = true,
	 .help = "requests that run at a time; more wait",
	 .min = 1,
	 .max = ENGINE_MAX_PARALLEL,
	 .fallback = "64 on a GPU, 8 on a CPU"},
	{.name = "prefix-cache",
	 .kind = OPT_STRING,
	 .target = &chosen.prefix_cache,
	 .metavar = "on|off",
	 .env = true,
	 .help = "find beginnings of prompts again in KV memory"},
	{.name = "tool-dialect",
	 .kind = OPT_STRING,
	 .target = &chosen.dialect,
	 .metavar = "NAME",
	 .env = true,
	 .help = "how the model writes calls of tools (docs/tools.md)",
	 .fallback = "what its chat template writes"},
	{.name = "reasoning-format",
	 .kind = OPT_STRING,
	 .target = &chosen.reasoning,
	 .metavar = "auto|none",
	 .env = true,
	 .help = "thinking apart from the answer, or as the model writes it"},
	{.name = "state-dir",
	 .kind = OPT_STRING,
	 .target = &chosen.config.state_dir,
	 .metavar = "DIR",
	 .env = true,
	 .help = "folder for the states that requests save and restore",
	 .fallback = "none: they are refused"},
	{.name = "max-queue",
	 .kind = OPT_U32,
	 .target = &chosen.config.engine.max_queue,
	 .metavar = "N",
	 .env = true,
	 .help = "requests that may wait",
	 .min = 1,
	 .max = 100000},
	{.name = "itl-ms",
	 .kind = OPT_U32,
	 .target = &chosen.config.engine.itl_ms,
	 .metavar = "MS",
	 .env = true,
	 .help = "milliseconds that a step with prompts in it should take, while others wait for their next token",
	 .min = 1,
	 .max = ENGINE_MAX_ITL_MS},
	{.name = "max-connections",
	 .kind = OPT_U32,
	 .target = &chosen.config.max_connections,
	 .metavar = "N",
	 .env = true,
	 .help = "connections at a time",
	 .min = 1,
	 .max = 100000},
	{.name = "max-body",
	 .kind = OPT_BYTES,
	 .target = &chosen.config.max_body_bytes,
	 .metavar = "BYTES",
	 .env = true,
	 .help = "size of a request's body",
	 .min = 1024,
	 .max = 1073741824},
	{.name = "max-unread",
	 .kind = OPT_BYTES,
	 .target = &chosen.config.max_unread_bytes,
	 .metavar = "BYTES",
	 .env = true,
	 .help = "what a client may leave unread of a streamed answer; it is dropped past that",
	 .min = 65536,
	 .max = 1073741824},
	{.name = "idle-timeout",
	 .kind = OPT_F32,
	 .target = &chosen.config.idle_timeout_s,
	 .metavar = "S",
	 .env = true,
	 .help = "seconds a connection may stay without a request",
	 .min = 0.1,
	 .max = 86400},
	{.name = "read-timeout",
	 .kind = OPT_F32,
	 .target = &chosen.config.read_timeout_s,
	 .metavar = "S",
	 .env = true,
	 .help = "seconds from a request's first byte to its last",
	 .min = 0.1,
	 .max = 86400},
	{.name = "write-timeout",
	 .kind = OPT_F32,
	 .target = &chosen.config.write_timeout_s,
	 .metavar = "S",
	 .env = true,
	 .help = "seconds a client may take nothing of its answer",
	 .min = 0.1,
	 .max = 86400},
	{.name = "request-timeout",
	 .kind = OPT_F32,
	 .target = &chosen.config.request_timeout_s,
	 .metavar = "S",
	 .env = true,
	 .help = "seconds a request may take, waiting included; 0: no limit",
	 .min = 0,
	 .max = 1e6},
	{.name = "watchdog-timeout",
	 .kind = OPT_F32,
	 .target = &chosen.config.watchdog_timeout_s,
	 .metavar = "S",
	 .env = true,
	 .help = "seconds after which a step of the model counts as stuck; 0: never",
	 .min = 0,
	 .max = 86400},
	{.name = "response-store",
	 .kind = OPT_BYTES,
	 .target = &chosen.config.response_store_bytes,
	 .metavar = "BYTES",
	 .env = true,
	 .help = "memory for responses that later ones may go on from (/v1/responses); 0: none is kept",
	 .min = 0,
	 .max = 68719476736},
	{.name = "response-ttl",
	 .kind = OPT_F32,
	 .target = &chosen.config.response_ttl_s,
	 .metavar = "S",
	 .env = true,
	 .help = "seconds after its last use for which a response is kept",
	 .min = 0,
	 .max = 31536000},
	{.name = "keep-alive-interval",
	 .kind = OPT_F32,
	 .target = &chosen.config.keep_alive_s,
	 .metavar = "S",
	 .env = true,
	 .help = "seconds of silence before a comment is sent",
	 .min = 0.1,
	 .max = 3600},
	{.name = "keep-billing-header",
	 .kind = OPT_FLAG,
	 .target = &chosen.config.keep_billing_header,
	 .env = true,
	 .help = "/v1/messages: leave a system block that begins with x-anthropic-billing-header: in the prompt"},
	{.name = "metrics",
	 .kind = OPT_FLAG,
	 .target = &chosen.metrics,
	 .help = "GET /metrics, which is there without it too, as llama-server's option asks for it"},
	{.name = "metrics-vllm",
	 .kind = OPT_FLAG,
	 .target = &chosen.config.metrics_vllm,
	 .env = true,
	 .help = "GET /metrics tells the same under vLLM's names too, for routers and dashboards that read those"},
	{.name = "log-format",
	 .kind = OPT_STRING,
	 .target = &chosen.format,
	 .metavar = "text|json",
	 .env = true,
	 .help = "lines of the log for people, or each a JSON object"},
	{.name = "log-prompts",
	 .kind = OPT_FLAG,
	 .target = &chosen.config.log_prompts,
	 .env = true,
	 .help = "put a request's body, 64 KiB of it at most, into its line of the log"},
	{.name = "log-level",
	 .kind = OPT_STRING,
	 .target = &chosen.level,
	 .metavar = "LEVEL",
	 .env = true,
	 .help = "off, error, warn, info or debug"},
};

static bool set_log_level(const char *name)
{
	for (int i = 0; log_levels[i]; i++) {
		if (strcmp(log_levels[i], name) == 0) {
			log_level_set((enum log_level)i);
			return true;
		}
	}
	return false;
}

static void on_listening(const char *url)
{
	fprintf(stderr, "hokku: listening on %s\n", url);
}

/* The operands or --model; an operand wins over the variable, as all of the command line does. *n: operands.
 */
static int choose_model(const char **operands, int *n)
{
	const char *operand = *n ? operands[0] : NULL;
	char first[96], second[96];
	/* A value out of the environment is the environment's own string. */
	if (operand && chosen.model && chosen.model != getenv("HOKKU_MODEL"))
		return cli_usage(&cmd_serve,
				 "the model is given twice, as --model %s and as %s; give it once",
				 str_quote(str_c(chosen.model), first, sizeof first),
				 str_quote(str_c(operand), second, sizeof second));
	if (!operand && chosen.model)
		operands[(*n)++] = chosen.model;
	return -1;
}

/* How answers are told apart. Returns -1, or an exit code after a message. */
static int choose_reading(struct server_config *config)
{
	const char *names[64] = {NULL};
	config->thinking_is_text = strcmp(chosen.reasoning, "none") == 0;
	if (!config->thinking_is_text && strcmp(chosen.reasoning, "auto") != 0 &&
	    strcmp(chosen.reasoning, "deepseek") != 0)
		return cli_usage(&cmd_serve, "--reasoning-format is \"%s\"; it takes auto or none",
				 chosen.reasoning);
	if (!chosen.dialect)
		return -1;
	config->engine.dialect = dialect_find(chosen.dialect);
	if (config->engine.dialect)
		return -1;
	for (size_t i = 0; i + 1 < sizeof names / sizeof *names && dialect_at(i); i++)
		names[i] = dialect_name(dialect_at(i));
	const char *near = str_nearest(chosen.dialect, names);
	return cli_usage(&cmd_serve, "--tool-dialect is \"%s\", which is none of docs/tools.md's%s%s%s",
			 chosen.dialect, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static enum hokku_code add_host(void *to, const char *text, struct hokku_error *err)
{
	return hosts_add(to, text, err);
}

static enum hokku_code add_origin(void *to, const char *text, struct hokku_error *err)
{
	return origins_add(to, text, err);
}

/* Each text of the list goes through add. As everywhere, the command line wins over the variable, which was
 * put into the list first. */
static int choose_list(const struct opt_list *list, const char *option, const char *variable,
		       enum hokku_code (*add)(void *to, const char *text, struct hokku_error *err), void *to)
{
	struct hokku_error err;
	const char *given = getenv(variable);
	uint32_t i = list->n > 1 && list->values[0] == given;
	for (; i < list->n; i++)
		if (add(to, list->values[i], &err))
			return cli_usage(&cmd_serve, "%s: %s", list->values[i] == given ? variable : option,
					 err.message);
	return -1;
}

/* Hosts with commas, each apart; of a --host given again and again, all. */
static struct {
	const char *hosts[HTTP_MAX_HOSTS];
	uint32_t n;
} listened;

static enum hokku_code check_listen(const char *host, struct hokku_error *err)
{
	if (!*host)
		return err_set(err, HOKKU_INVALID_REQUEST, "a name is empty");
	for (uint32_t i = 0; i < listened.n; i++)
		if (strcmp(listened.hosts[i], host) == 0)
			return err_set(err, HOKKU_INVALID_REQUEST, "%.200s is given twice", host);
	if (listened.n == HTTP_MAX_HOSTS)
		return err_set(err, HOKKU_INVALID_REQUEST, "more than %d are given", HTTP_MAX_HOSTS);
	return HOKKU_OK;
}

static enum hokku_code add_listen(void *to, const char *list, struct hokku_error *err)
{
	(void)to;
	for (const char *at = list;; at++) {
		size_t n = strcspn(at, ","), skip = strspn(at, " \t");
		size_t from = skip < n ? skip : n, end = n;
		while (end > from && (at[end - 1] == ' ' || at[end - 1] == '\t'))
			end--;
		char *host = strndup(at + from, end - from);
		if (!host)
			return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a name");
		enum hokku_code rc = check_listen(host, err);
		if (rc) {
			free(host);
			return rc;
		}
		listened.hosts[listened.n++] = host; /* as long as the program */
		at += n;
		if (!*at)
			return HOKKU_OK;
	}
}

/* Sockets that a service manager hands over are what is listened on; what says otherwise is not passed over.
 */
static int take_inherited(struct server_config *config)
{
	struct hokku_error err;
	char quoted[96];
	if (inherited_read(&config->inherited, &err))
		return cli_usage(&cmd_serve, "%s", err.message);
	bool host = listened.n > 0;
	if (!config->inherited.n || (!host && !chosen.port_given))
		return -1;
	const char *variable = getenv(host ? "HOKKU_HOST" : "HOKKU_PORT");
	return cli_usage(
		&cmd_serve,
		"the service manager hands over %u socket%s (LISTEN_FDS; the first is %s) to listen on, and %s%s "
		"is given too; leave it out, or let no sockets be handed over",
		config->inherited.n, config->inherited.n == 1 ? "" : "s",
		str_quote(str_c(config->inherited.names[0]), quoted, sizeof quoted),
		host ? "--host" : "--port", variable ? (host ? " (or HOKKU_HOST)" : " (or HOKKU_PORT)") : "");
}

/* Both files, or neither. */
static int choose_tls(const struct server_config *config)
{
	if (!config->ssl_cert_file == !config->ssl_key_file)
		return -1;
	return cli_usage(
		&cmd_serve,
		"--ssl-%s-file is given without --ssl-%s-file; TLS takes both, a certificate and its key",
		config->ssl_cert_file ? "cert" : "key", config->ssl_cert_file ? "key" : "cert");
}

enum { MAX_PREFIX_BYTES = 128 };

/* A path of plain characters, which no client and no proxy writes in another way. */
static int choose_prefix(const char *prefix)
{
	char quoted[160];
	size_t n = prefix ? strlen(prefix) : 0;
	bool ok = n >= 2 && n <= MAX_PREFIX_BYTES && prefix[0] == '/' && prefix[n - 1] != '/' &&
		  !strstr(prefix, "//") && !strstr(prefix, "/.");
	for (size_t i = 0; ok && i < n; i++)
		ok = isalnum((unsigned char)prefix[i]) || strchr("/-._~", prefix[i]);
	if (!prefix || ok)
		return -1;
	return cli_usage(
		&cmd_serve,
		"--api-prefix is %s; it takes a path of 2 to %d characters out of A-Z a-z 0-9 - . _ ~ /, as /llm "
		"or /models/v2, that does not end with a stroke and has no part that is empty or begins with a dot",
		str_quote(str_c(prefix), quoted, sizeof quoted), MAX_PREFIX_BYTES);
}

/* A model that is not there is told, or pulled, before anything listens. Returns -1, or an exit code. */
static int find_model(const char **model)
{
	struct hokku_error err;
	struct file file;
	char *path, config[4096];
	enum hokku_code rc = cli_find_model(&chosen.pull, *model, &path, &err);
	if (rc)
		return cli_find_failed(rc, &err);
	*model = path; /* until the program ends */
	int n = path ? snprintf(config, sizeof config, "%s/config.json", path) : 0;
	if (!path || (n > 0 && (size_t)n < sizeof config && access(config, R_OK) == 0))
		return -1;
	if (file_open(path, &file, &err))
		return cli_fail(&err);
	file_close(&file);
	return -1;
}

static int run(int argc, char **argv)
{
	struct server_config *config = &chosen.config;
	struct opt_table table = {0};
	struct hokku_error err;
	const char *operands[SERVE_MAX_MODELS];
	int n;
	server_defaults(config);
	for (size_t i = 0; i < sizeof own_rows / sizeof *own_rows; i++)
		opt_add(&table, &own_rows[i]);
	opt_add_chat(&table, &chosen.chat);
	opt_add_pull(&table, &chosen.pull);
	opt_add_engine(&table, &config->engine);
	opt_add_models(&table, config);
	int rc = cli_parse(&cmd_serve, table.rows, argc, argv, operands, SERVE_MAX_MODELS, &n);
	if (rc < 0)
		rc = choose_model(operands, &n);
	if (rc < 0)
		rc = choose_list(&chosen.hosts, "--allowed-hosts", "HOKKU_ALLOWED_HOSTS", add_host,
				 &config->hosts);
	if (rc < 0)
		rc = choose_list(&chosen.origins, "--cors-origins", "HOKKU_CORS_ORIGINS", add_origin,
				 &config->origins);
	if (rc < 0)
		rc = choose_list(&chosen.listen, "--host", "HOKKU_HOST", add_listen, NULL);
	if (listened.n) {
		config->listen = listened.hosts;
		config->n_listen = listened.n;
	}
	if (rc < 0)
		rc = take_inherited(config);
	if (rc < 0)
		rc = choose_prefix(config->api_prefix);
	if (rc < 0)
		rc = choose_tls(config);
	if (rc < 0)
		rc = cli_read_chat(&cmd_serve, &chosen.chat);
	if (rc >= 0)
		return rc;
	if (!set_log_level(chosen.level))
		return cli_usage(&cmd_serve,
				 "--log-level is \"%s\"; it takes off, error, warn, info or debug",
				 chosen.level);
	if (strcmp(chosen.format, "text") != 0 && strcmp(chosen.format, "json") != 0)
		return cli_usage(&cmd_serve, "--log-format is \"%s\"; it takes text or json", chosen.format);
	log_format_set(strcmp(chosen.format, "json") == 0 ? LOG_JSON : LOG_TEXT);
	if (strcmp(chosen.prefix_cache, "on") != 0 && strcmp(chosen.prefix_cache, "off") != 0)
		return cli_usage(&cmd_serve, "--prefix-cache is \"%s\"; it takes on or off",
				 chosen.prefix_cache);
	if (config->state_dir && strcmp(chosen.prefix_cache, "off") == 0)
		return cli_usage(&cmd_serve,
				 "--state-dir needs the prefix cache, which --prefix-cache off leaves out");
	if (config->state_dir && !*config->state_dir)
		return cli_usage(&cmd_serve, "--state-dir is empty; it takes the path of a folder");
	rc = choose_reading(config);
	if (rc >= 0)
		return rc;
	config->engine.no_prefix_cache = strcmp(chosen.prefix_cache, "off") == 0;
	config->engine.chat_template = chosen.chat.source;
	config->chat_kwargs = chosen.chat.kwargs;
	config->chat_now = chosen.chat.now;
	config->on_listening = on_listening;
	const char *check_ms = getenv("HOKKU_TEST_CHECK_MS"); /* tests alone: nobody else has a reason */
	config->engine.check_ms = check_ms ? (uint32_t)strtoul(check_ms, NULL, 10) : 0;
	rc = cli_choose_models(&cmd_serve, operands, n, find_model, config);
	if (rc >= 0)
		return rc;
	if (server_run(config, &err))
		return cli_fail(&err);
	return EXIT_OK;
}
