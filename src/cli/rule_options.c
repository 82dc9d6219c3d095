#include "cli/rule_options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "engine/words.h"

void opt_add_rules(struct opt_table *t, struct rule_options *o)
{
	o->bias = (struct opt_list){.values = o->bias_texts, .max = RULE_MAX_BIAS};
	o->stop_ids = (struct opt_list){.values = o->stop_texts, .max = RULES_MAX_STOP_TOKENS};
	o->allowed_ids = (struct opt_list){.values = o->allowed_texts, .max = RULES_MAX_STOP_TOKENS};
	o->bad_words = (struct opt_list){.values = o->bad_texts, .max = RULES_MAX_BAD_WORDS};
	o->breakers = (struct opt_list){.values = o->breaker_texts, .max = DRY_MAX_BREAKERS};
	const struct opt rows[] = {
		{.name = "logit-bias",
		 .kind = OPT_LIST,
		 .target = &o->bias,
		 .metavar = "ID=X",
		 .help = "add X to the logit of token ID; false: it is never drawn"},
		{.name = "min-tokens",
		 .kind = OPT_U32,
		 .target = &o->rules.min_tokens,
		 .metavar = "N",
		 .help = "before N tokens nothing ends the answer",
		 .min = 0,
		 .max = INT32_MAX,
		 .fallback = "0"},
		{.name = "ignore-eos",
		 .kind = OPT_FLAG,
		 .target = &o->rules.ignore_eos,
		 .help = "tokens that end an answer are not drawn"},
		{.name = "stop-token",
		 .kind = OPT_LIST,
		 .target = &o->stop_ids,
		 .metavar = "ID",
		 .help = "end before this token"},
		{.name = "include-stop",
		 .kind = OPT_FLAG,
		 .target = &o->rules.include_stop,
		 .help = "show the text or token that ends the answer too"},
		{.name = "allowed-token",
		 .kind = OPT_LIST,
		 .target = &o->allowed_ids,
		 .metavar = "ID",
		 .help = "draw no other tokens than those that are named so"},
		{.name = "bad-word",
		 .kind = OPT_LIST,
		 .target = &o->bad_words,
		 .metavar = "TEXT",
		 .help = "the tokens of TEXT never stand in the answer in a row"},
		{.name = "dry-sequence-breaker",
		 .kind = OPT_LIST,
		 .target = &o->breakers,
		 .metavar = "TEXT",
		 .help = "no repetition goes across TEXT; the word none: it may across any",
		 .fallback = "line ends, :, \", *"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		opt_add(t, &rows[i]);
}

/* A token id at the beginning of text; *end: what follows. */
static bool read_id(const char *text, int32_t *id, char **end)
{
	errno = 0;
	long n = strtol(text, end, 10);
	*id = (int32_t)n;
	return *end != text && !errno && n >= 0 && n <= INT32_MAX;
}

/* X of ID=X. */
static bool read_bias(const char *text, float *out)
{
	char *end;
	if (strcmp(text, "false") == 0) {
		*out = -INFINITY;
		return true;
	}
	*out = strtof(text, &end);
	return end != text && !*end && fabsf(*out) <= ENGINE_MAX_LOGIT_BIAS;
}

static int read_ids(const struct cmd *command, const char *name, const struct opt_list *texts, int32_t *ids)
{
	char quoted[64], *end;
	for (uint32_t i = 0; i < texts->n; i++)
		if (!read_id(texts->values[i], &ids[i], &end) || *end)
			return cli_usage(
				command, "--%s is %s; it takes a token id, a whole number from 0 to %d", name,
				str_quote(str_c(texts->values[i]), quoted, sizeof quoted), INT32_MAX);
	return -1;
}

int cli_read_rules(const struct cmd *command, struct rule_options *o)
{
	char quoted[64], *end;
	for (uint32_t i = 0; i < o->bias.n; i++) {
		const char *text = o->bias_texts[i];
		struct hokku_logit_bias *b = &o->biases[i];
		bool good = read_id(text, &b->token, &end);
		bool sign = *end == '+' || *end == '-'; /* as llama.cpp has it: 42+5, 42-5 */
		if (!good || (!sign && *end != '=') || !read_bias(sign ? end : end + 1, &b->bias))
			return cli_usage(
				command,
				"--logit-bias is %s; it takes a token id, = and a number from -%d to "
				"%d or false, as in 42=-5",
				str_quote(str_c(text), quoted, sizeof quoted), ENGINE_MAX_LOGIT_BIAS,
				ENGINE_MAX_LOGIT_BIAS);
	}
	for (uint32_t i = 0; i < o->bad_words.n; i++) {
		size_t n = strlen(o->bad_texts[i]);
		if (n < 1 || n > RULES_MAX_BAD_WORD_BYTES)
			return cli_usage(command, "--bad-word has %zu bytes; it takes 1 to %d", n,
					 RULES_MAX_BAD_WORD_BYTES);
	}
	bool none = o->breakers.n == 1 && strcmp(o->breaker_texts[0], "none") == 0;
	o->breakers.n = none ? 0 : o->breakers.n;
	o->no_breakers = none;
	for (uint32_t i = 0; i < o->breakers.n; i++) {
		o->dry_breakers[i] = str_c(o->breaker_texts[i]);
		if (o->dry_breakers[i].len < 1 || o->dry_breakers[i].len > DRY_MAX_BREAKER_BYTES)
			return cli_usage(command, "--dry-sequence-breaker has %zu bytes; it takes 1 to %d",
					 o->dry_breakers[i].len, DRY_MAX_BREAKER_BYTES);
	}
	int rc = read_ids(command, "stop-token", &o->stop_ids, o->stop_tokens);
	if (rc < 0)
		rc = read_ids(command, "allowed-token", &o->allowed_ids, o->allowed);
	o->rules.stop_tokens = o->stop_tokens;
	o->rules.n_stop_tokens = o->stop_ids.n;
	o->rules.allowed = o->allowed;
	o->rules.n_allowed = o->allowed_ids.n;
	return rc;
}

enum hokku_code cli_make_rules(struct rule_options *o, const struct tok *tok, struct hokku_error *err)
{
	enum hokku_code rc = HOKKU_OK;
	for (uint32_t i = 0; i < o->bad_words.n && !rc; i++) {
		rc = words_ban(tok, str_c(o->bad_texts[i]), &o->bad, err);
		if (rc == HOKKU_INVALID_REQUEST)
			rc = err_prefix(err, rc, "--bad-word");
	}
	o->rules.bad_words = o->bad.ids;
	o->rules.n_bad_ids = (uint32_t)o->bad.n;
	return rc;
}

void cli_free_rules(struct rule_options *o)
{
	tok_ids_free(&o->bad);
}
