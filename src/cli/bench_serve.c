/* `hokku bench serve`: what a server's clients see, while many of them ask at once. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "cli/cli.h"
#include "cli/load_client.h"
#include "cli/options_common.h"

static const struct cmd cmd = {
	.name = "bench serve",
	.usage = "bench serve URL [options]",
	.summary = "measure a server: times to first token, between tokens and to the end, under load",
	.help = "URL is http://HOST:PORT or https://HOST:PORT, with the path of a route or without; the route tells\n"
		"the API, else /health does: a hokku server is asked by POST /v1/generate, another by /v1/chat/completions.\n\n"
		"Either --clients ask one request after another, each when its last was answered, or requests\n"
		"come by themselves at --rate, at random (Poisson), however many still run; \"inf\" is all at once.\n"
		"The same seed is the same requests at the same moments, against every server.\n\n"
		"A length (of --input-len, --output-len) is a number, a range as 16-512 (all equally likely),\n"
		"exp:N (exponential of mean N, cut at 8 N), or the mean of a data set:\n"
		"sharegpt (161 in, 338 out), alpaca (19 in, 58 out).\n"
		"Prompts are random token ids where the server's vocabulary is known (a hokku server's, or\n"
		"--vocab-size) and the API takes ids, else as many short words: nearly a token each. How long they\n"
		"became tells the server's usage. Prompts are asked for as streams, the likeliest token each.\n\n"
		"With https:// the certificate must be the host's and of an authority that is known (the system's, or\n"
		"--cacert). The first answer on each connection has the handshake in its times.\n\n"
		"TTFT is the time from sending a request to the first piece of text, ITL from one piece to the\n"
		"next (a server may put several tokens in one), TPOT the time a token after the first, by answer.\n"
		"Exit code 1: a request failed; the figures are of those that did not.\n\n"
		"Examples:\n"
		"  hokku bench serve http://localhost:8080 --clients 32 --requests 500\n"
		"  hokku bench serve http://localhost:8000/v1/completions --rate 20 --input-len sharegpt \\\n"
		"    --output-len sharegpt --json\n",
};

enum { MAX_REQUESTS = 1 << 20, MAX_CLIENTS = 16384, MAX_KEY = 512, MAX_NAME = 256 };

struct bench_serve {
	const char *url_text, *api_name, *model, *key, *rate_text, *input_text, *output_text, *more_text;
	uint32_t n_requests, n_warmup, n_clients, timeout_s, n_vocab;
	bool clients_given, json;
	struct load_plan plan;
	struct load_url url;
	struct load_trust trust;
	const struct load_api *api;
	struct load_request request;
	struct jv_doc more, answer; /* of --extra-body; the server's own description */
	struct load_client *client;
	struct load_result result;
};

/* ---- what is asked ---- */

/* -1 to go on, or the exit code. */
static int take_lengths(const struct bench_serve *b, const char *option, const char *text, bool of_prompts,
			struct lengths *out)
{
	char quoted[96], names[160];
	(void)b;
	if (lengths_parse(text, of_prompts, out))
		return -1;
	return cli_usage(&cmd,
			 "%s is %s; it takes a number from 1 to %d, a range as 16-512, exp:N, or one of: %s",
			 option, str_quote(str_c(text), quoted, sizeof quoted), LOAD_MAX_LENGTH,
			 lengths_names(names, sizeof names));
}

static int take_rate(struct bench_serve *b)
{
	char *end, quoted[96];
	if (!b->rate_text)
		return -1;
	if (b->clients_given)
		return cli_usage(&cmd,
				 "--rate and --clients exclude each other: requests come by themselves, or "
				 "when one was answered");
	b->n_clients = 0;
	if (strcmp(b->rate_text, "inf") == 0)
		return -1;
	b->plan.rate = strtod(b->rate_text, &end);
	if (*end || end == b->rate_text || !(b->plan.rate >= 1e-3 && b->plan.rate <= 1e6))
		return cli_usage(&cmd,
				 "--rate is %s; it takes requests a second from 0.001 to 1000000, or inf",
				 str_quote(str_c(b->rate_text), quoted, sizeof quoted));
	return -1;
}

static int take_api(struct bench_serve *b)
{
	const char *names[16];
	size_t n = 0;
	char quoted[96];
	b->api = b->url.api;
	if (!b->api_name)
		return -1;
	b->api = load_api_find(b->api_name);
	for (const struct load_api *api = load_apis; api->name; api++)
		names[n++] = api->name;
	names[n] = NULL;
	const char *near = str_nearest(b->api_name, names);
	if (!b->api)
		return cli_usage(&cmd, "--api is %s; it takes generate, chat or completions%s%s%s",
				 str_quote(str_c(b->api_name), quoted, sizeof quoted),
				 near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	if (b->url.api && b->url.api != b->api)
		return cli_usage(&cmd, "--api is %s, and the URL is the route of %s; leave one of them out",
				 b->api_name, b->url.api->name);
	return -1;
}

/* A header of its own would be made of a line's end, and nothing of what no server takes. */
static int take_key(const struct bench_serve *b)
{
	size_t n = b->key ? strlen(b->key) : 0;
	for (size_t i = 0; i < n; i++)
		if (b->key[i] <= ' ' || b->key[i] > '~')
			return cli_usage(&cmd, "--api-key has a character that no key has, at place %zu",
					 i + 1);
	if (n > MAX_KEY)
		return cli_usage(&cmd, "--api-key is %zu bytes long; %d are allowed", n, MAX_KEY);
	return -1;
}

static int take_more(struct bench_serve *b)
{
	static const char *const ours[] = {"prompt", "messages", "stream"};
	struct hokku_error err;
	if (!b->more_text)
		return -1;
	if (jv_parse(str_c(b->more_text), JV_STRICT, &b->more, &err))
		return cli_usage(&cmd, "--extra-body is no JSON, at %s", err.message);
	if (b->more.root.type != JV_OBJECT)
		return cli_usage(&cmd, "--extra-body is no JSON object, as {\"top_p\": 0.9}");
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if (jv_get(&b->more.root, ours[i]))
			return cli_usage(&cmd, "--extra-body has \"%s\", which is the measurement's own",
					 ours[i]);
	b->request.more = &b->more.root;
	return -1;
}

static int take_options(struct bench_serve *b, int n_operands)
{
	struct hokku_error err;
	if (!n_operands)
		return cli_usage(&cmd, "it needs the server's URL, as http://localhost:8080");
	if (load_url_parse(b->url_text, &b->url, &err))
		return cli_usage(&cmd, "%s", err.message);
	if (b->model && (!*b->model || strlen(b->model) > MAX_NAME))
		return cli_usage(&cmd, "--model has %zu bytes; it takes 1 to %d", strlen(b->model), MAX_NAME);
	if (!b->url.tls && (b->trust.cacert || b->trust.insecure))
		return cli_usage(&cmd,
				 "%s is given, and the URL is http://%s: there is no certificate without TLS",
				 b->trust.cacert ? "--cacert" : "--insecure", b->url.place);
	if (b->trust.cacert && b->trust.insecure)
		return cli_usage(
			&cmd,
			"--cacert and --insecure exclude each other: whose certificates are accepted, or any");
	int code = take_api(b);
	if (code < 0)
		code = take_rate(b);
	if (code < 0)
		code = take_lengths(b, "--input-len", b->input_text, true, &b->plan.input);
	if (code < 0)
		code = take_lengths(b, "--output-len", b->output_text, false, &b->plan.output);
	if (code < 0)
		code = take_key(b);
	return code < 0 ? take_more(b) : code;
}

/* ---- what the server is ---- */

/* GET path as JSON into b->answer; false: it has no such thing. */
static bool describe(struct bench_serve *b, const char *path)
{
	struct strbuf body = {0};
	struct hokku_error err;
	int status;
	jv_doc_free(&b->answer);
	b->answer = (struct jv_doc){0};
	bool good =
		!load_client_get(b->client, path, &status, &body, &err) && status == 200 &&
		!jv_parse((struct str){body.ptr ? body.ptr : "", body.len}, JV_NONFINITE, &b->answer, &err);
	if (!good)
		b->answer = (struct jv_doc){0};
	strbuf_free(&body);
	return good;
}

/* A hokku server tells its vocabulary; OpenAI's API wants the name of a model. */
static enum hokku_code ask_server(struct bench_serve *b, struct hokku_error *err)
{
	int64_t n_vocab = 0;
	bool is_hokku = describe(b, "/health") && jv_int(jv_get(&b->answer.root, "vocab_size"), &n_vocab);
	if (!b->api)
		b->api = load_api_find(is_hokku ? "generate" : "chat");
	if (!b->n_vocab && n_vocab >= 10 && n_vocab <= INT32_MAX)
		b->n_vocab = (uint32_t)n_vocab;
	b->request.n_vocab = b->n_vocab;
	b->request.model = b->model;
	if (b->model || strcmp(b->api->name, "generate") == 0)
		return HOKKU_OK;
	if (describe(b, "/v1/models"))
		b->request.model =
			jv_str(jv_get(jv_at(jv_get(&b->answer.root, "data"), 0), "id")).ptr; /* may be NULL */
	if (!b->request.model)
		return err_set(err, HOKKU_NOT_FOUND,
			       "GET %s://%s%s/v1/models names no model; say which one with --model",
			       b->url.scheme, b->url.place, b->url.prefix);
	return HOKKU_OK;
}

static void on_progress(void *user, uint32_t done, uint32_t n)
{
	static int last = -1;
	int percent = (int)(100.0 * done / n);
	if (percent != last || done == n)
		cli_progress(user, (double)done / n);
	last = percent;
}

static enum hokku_code measure(struct bench_serve *b, struct hokku_error *err)
{
	enum hokku_code rc = load_client_create(&b->url, &b->trust, b->key, b->timeout_s, &b->client, err);
	if (!rc)
		rc = ask_server(b, err);
	struct load_run run = {.api = b->api,
			       .request = &b->request,
			       .first = b->n_requests, /* behind those that count: others */
			       .n = b->n_warmup,
			       .n_clients = b->n_clients ? b->n_clients : 1,
			       .on_progress = on_progress,
			       .user = "warming up"};
	if (!rc && b->n_warmup) {
		rc = load_client_run(b->client, &run, &b->result, err);
		bool interrupted = b->result.interrupted;
		load_result_free(&b->result);
		b->result = (struct load_result){.interrupted = interrupted};
	}
	run.first = 0;
	run.n = b->n_requests;
	run.n_clients = b->n_clients;
	run.user = "requests";
	if (!rc && !b->result.interrupted)
		rc = load_client_run(b->client, &run, &b->result, err);
	cli_progress(NULL, 1);
	return rc;
}

/* ---- what is told ---- */

struct row {
	const char *name, *title;
	struct summary s;
};

enum { N_ROWS = 4 };

static void summarise(struct load_result *r, struct row rows[N_ROWS])
{
	const struct {
		const char *name, *title;
		struct series *series;
	} all[N_ROWS] = {{"ttft_ms", "TTFT, ms", &r->ttft_ms},
			 {"itl_ms", "ITL, ms", &r->itl_ms},
			 {"tpot_ms", "TPOT, ms", &r->tpot_ms},
			 {"e2e_ms", "to the end, ms", &r->e2e_ms}};
	for (size_t i = 0; i < N_ROWS; i++)
		rows[i] = (struct row){all[i].name, all[i].title, series_summary(all[i].series)};
}

static double a_second(const struct load_result *r, uint64_t n)
{
	return r->seconds > 0 ? (double)n / r->seconds : 0;
}

static double busy_share(const struct load_result *r)
{
	return r->seconds > 0 ? r->busy_s / r->seconds : 0;
}

static void print_table(const struct bench_serve *b, const struct row *rows)
{
	const struct load_result *r = &b->result;
	char out[32], in[32], cached[32], arrivals[64];
	if (b->n_clients)
		snprintf(arrivals, sizeof arrivals, "%u client%s", b->n_clients,
			 b->n_clients == 1 ? "" : "s");
	else if (b->plan.rate > 0)
		snprintf(arrivals, sizeof arrivals, "%g requests/s (Poisson)", b->plan.rate);
	else
		snprintf(arrivals, sizeof arrivals, "all requests at once");
	printf("%s://%s%s%s%s%s\n", b->url.scheme, b->url.place, b->url.prefix, b->api->path,
	       b->request.model ? ", model " : "", b->request.model ? b->request.model : "");
	printf("%s, %u at a time at most; prompts of %s tokens", arrivals, r->peak, b->input_text);
	if (b->plan.n_shared)
		printf(" behind %u shared", b->plan.n_shared);
	printf(", answers of %s; seed %llu\n", b->output_text, (unsigned long long)b->plan.seed);
	printf("%u of %u requests complete, %u of them empty; %u failed; %.2f s\n", r->n_completed,
	       b->n_requests, r->n_empty, r->n_failed, r->seconds);
	printf("tokens: %s in (%s cached), %s out%s\n\n", str_thousands(r->tokens_in, in),
	       str_thousands(r->tokens_cached, cached), str_thousands(r->tokens_out, out),
	       r->n_usage == r->n_completed ? "" : ", by what came: the server did not tell of all");
	printf("%10.2f requests/s\n%10.1f tokens/s out\n%10.1f tokens/s in and out\n\n",
	       a_second(r, r->n_completed), a_second(r, r->tokens_out),
	       a_second(r, r->tokens_in + r->tokens_out));
	printf("%-16s %10s %10s %10s %10s %10s\n", "", "p50", "p90", "p99", "largest", "mean");
	for (size_t i = 0; i < N_ROWS; i++)
		printf("%-16s %10.2f %10.2f %10.2f %10.2f %10.2f\n", rows[i].title, rows[i].s.p50,
		       rows[i].s.p90, rows[i].s.p99, rows[i].s.largest, rows[i].s.mean);
	for (uint32_t i = 0; i < r->n_faults; i++)
		printf("%s%10u failed: %s\n", i ? "" : "\n", r->faults[i].n, r->faults[i].text);
}

static json_t *faults_json(const struct load_result *r)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < r->n_faults; i++)
		json_array_append_new(list, json_pack("{s:i, s:s}", "count", (int)r->faults[i].n, "message",
						      r->faults[i].text));
	return list;
}

static void print_json(const struct bench_serve *b, const struct row *rows)
{
	const struct load_result *r = &b->result;
	json_t *root = json_pack("{s:s++++, s:s, s:s?, s:o, s:o, s:s, s:s, s:i, s:I}", "url", b->url.scheme,
				 "://", b->url.place, b->url.prefix, b->api->path, "api", b->api->name,
				 "model", b->request.model, "clients",
				 b->n_clients ? json_integer(b->n_clients) : json_null(), "rate",
				 b->plan.rate > 0 ? json_real(b->plan.rate) : json_null(), "input_len",
				 b->input_text, "output_len", b->output_text, "shared_prefix",
				 (int)b->plan.n_shared, "seed", (json_int_t)b->plan.seed);
	json_t *counts = json_pack("{s:i, s:i, s:i, s:i, s:o, s:b, s:f, s:i}", "requests", (int)b->n_requests,
				   "completed", (int)r->n_completed, "empty", (int)r->n_empty, "failed",
				   (int)r->n_failed, "errors", faults_json(r), "interrupted", r->interrupted,
				   "duration_s", r->seconds, "peak_in_flight", (int)r->peak);
	json_t *tokens =
		json_pack("{s:I, s:I, s:I, s:I, s:s, s:f, s:f, s:f}", "tokens_in", (json_int_t)r->tokens_in,
			  "tokens_cached", (json_int_t)r->tokens_cached, "tokens_out",
			  (json_int_t)r->tokens_out, "events", (json_int_t)r->n_events, "tokens_from",
			  r->n_usage == r->n_completed ? "usage" : "events", "requests_per_s",
			  a_second(r, r->n_completed), "output_tokens_per_s", a_second(r, r->tokens_out),
			  "total_tokens_per_s", a_second(r, r->tokens_in + r->tokens_out));
	json_object_update(root, counts);
	json_object_update(root, tokens);
	json_decref(counts);
	json_decref(tokens);
	for (size_t i = 0; i < N_ROWS; i++)
		json_object_set_new(root, rows[i].name,
				    json_pack("{s:f, s:f, s:f, s:f, s:f}", "p50", rows[i].s.p50, "p90",
					      rows[i].s.p90, "p99", rows[i].s.p99, "max", rows[i].s.largest,
					      "mean", rows[i].s.mean));
	json_object_set_new(
		root, "client",
		json_pack("{s:f, s:f}", "busy_share", busy_share(r), "late_ms_max", r->late_ms_max));
	json_dumpf(root, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(root);
}

/* A client that has no time left measures itself. */
static void warn_busy(const struct load_result *r)
{
	if (busy_share(r) > 0.8 && r->seconds > 0.5)
		fprintf(stderr,
			"note: this client was busy %.0f%% of the time: its own delays are in the figures\n",
			100 * busy_share(r));
	if (r->late_ms_max > 10)
		fprintf(stderr, "note: requests left up to %.0f ms later than --rate has them\n",
			r->late_ms_max);
}

static int report(struct bench_serve *b)
{
	struct row rows[N_ROWS];
	const struct load_result *r = &b->result;
	summarise(&b->result, rows);
	(b->json ? print_json : print_table)(b, rows);
	warn_busy(r);
	if (r->interrupted)
		return EXIT_INTERRUPTED;
	if (!r->n_failed)
		return EXIT_OK;
	fprintf(stderr, "hokku: %u of %u requests failed; the first kind: %s\n", r->n_failed, b->n_requests,
		r->faults[0].text);
	return EXIT_FAILED;
}

/* What load the server is put under. */
static void add_load_options(struct opt_table *table, struct bench_serve *b)
{
	const struct opt rows[] = {
		{.name = "clients",
		 .letter = 'c',
		 .alias = "max-concurrency",
		 .kind = OPT_U32,
		 .target = &b->n_clients,
		 .given = &b->clients_given,
		 .metavar = "N",
		 .help = "requests at a time, each client's next when its last is answered",
		 .min = 1,
		 .max = MAX_CLIENTS},
		{.name = "rate",
		 .alias = "request-rate",
		 .kind = OPT_STRING,
		 .target = &b->rate_text,
		 .metavar = "R",
		 .help = "instead: requests a second, which come by themselves; or inf"},
		{.name = "requests",
		 .letter = 'n',
		 .alias = "num-prompts",
		 .kind = OPT_U32,
		 .target = &b->n_requests,
		 .metavar = "N",
		 .help = "requests that are measured",
		 .min = 1,
		 .max = MAX_REQUESTS},
		{.name = "warmup",
		 .alias = "num-warmups",
		 .kind = OPT_U32,
		 .target = &b->n_warmup,
		 .metavar = "N",
		 .help = "requests before them that are not",
		 .max = MAX_REQUESTS},
		{.name = "input-len",
		 .alias = "random-input-len",
		 .kind = OPT_STRING,
		 .target = &b->input_text,
		 .metavar = "LENGTH",
		 .help = "tokens of a prompt that are its own"},
		{.name = "output-len",
		 .alias = "random-output-len",
		 .kind = OPT_STRING,
		 .target = &b->output_text,
		 .metavar = "LENGTH",
		 .help = "tokens of an answer at most (max_tokens)"},
		{.name = "shared-prefix",
		 .alias = "random-prefix-len",
		 .kind = OPT_U32,
		 .target = &b->plan.n_shared,
		 .metavar = "N",
		 .help = "tokens before these that all prompts share",
		 .max = LOAD_MAX_LENGTH},
		{.name = "seed",
		 .kind = OPT_U64,
		 .target = &b->plan.seed,
		 .metavar = "N",
		 .help = "of lengths, prompts and arrivals",
		 .max = 1e15},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		opt_add(table, &rows[i]);
}

/* Which server, and how it is spoken to. */
static void add_server_options(struct opt_table *table, struct bench_serve *b)
{
	const struct opt rows[] = {
		{.name = "api",
		 .alias = "backend",
		 .kind = OPT_STRING,
		 .target = &b->api_name,
		 .metavar = "NAME",
		 .help = "generate (hokku's own), chat or completions (OpenAI's)",
		 .fallback = "by the URL, or by asking"},
		{.name = "model",
		 .letter = 'm',
		 .kind = OPT_STRING,
		 .target = &b->model,
		 .metavar = "NAME",
		 .help = "what requests name as their model",
		 .fallback = "the first of /v1/models"},
		{.name = "api-key",
		 .kind = OPT_STRING,
		 .target = &b->key,
		 .metavar = "KEY",
		 .env = true,
		 .help = "sent as Authorization: Bearer KEY"},
		{.name = "cacert",
		 .kind = OPT_STRING,
		 .target = &b->trust.cacert,
		 .metavar = "FILE",
		 .help = "authorities (PEM) whose word the server's certificate is taken on",
		 .fallback = "the system's"},
		{.name = "insecure",
		 .letter = 'k',
		 .kind = OPT_FLAG,
		 .target = &b->trust.insecure,
		 .help = "take any certificate"},
		{.name = "vocab-size",
		 .kind = OPT_U32,
		 .target = &b->n_vocab,
		 .metavar = "N",
		 .help = "ids that prompts of generate and completions are drawn from",
		 .fallback = "a hokku server's own, else words",
		 .min = 1,
		 .max = INT32_MAX},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		opt_add(table, &rows[i]);
}

/* What a request asks for, when it has failed, and how all is told. */
static void add_request_options(struct opt_table *table, struct bench_serve *b)
{
	const struct opt rows[] = {
		{.name = "temperature",
		 .kind = OPT_F32,
		 .target = &b->request.temperature,
		 .metavar = "T",
		 .help = "of sampling; 0: the likeliest token",
		 .min = 0,
		 .max = 100},
		{.name = "ignore-eos",
		 .kind = OPT_FLAG,
		 .target = &b->request.ignore_eos,
		 .help = "ask for answers that go on to their length; not every server knows it"},
		{.name = "extra-body",
		 .kind = OPT_STRING,
		 .target = &b->more_text,
		 .metavar = "JSON",
		 .help = "an object whose members go into each request, before ours of the same name"},
		{.name = "timeout",
		 .kind = OPT_U32,
		 .target = &b->timeout_s,
		 .metavar = "SECONDS",
		 .help = "without a byte of an answer, after which it has failed",
		 .min = 1,
		 .max = 86400},
		{.name = "json", .kind = OPT_FLAG, .target = &b->json, .help = "for programs"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		opt_add(table, &rows[i]);
}

int bench_serve(int argc, char **argv)
{
	struct bench_serve b = {.n_requests = 100,
				.n_clients = 1,
				.timeout_s = 600,
				.input_text = "128",
				.output_text = "128",
				.request = {.plan = &b.plan}};
	struct opt_table table = {0};
	add_load_options(&table, &b);
	add_server_options(&table, &b);
	add_request_options(&table, &b);
	struct hokku_error err;
	int n = 0, code = cli_parse(&cmd, table.rows, argc, argv, &b.url_text, 1, &n);
	if (code < 0)
		code = take_options(&b, n);
	if (code < 0)
		code = measure(&b, &err) ? cli_fail(&err) : report(&b);
	load_client_destroy(b.client);
	load_result_free(&b.result);
	jv_doc_free(&b.more);
	jv_doc_free(&b.answer);
	return cli_finish(code);
}
