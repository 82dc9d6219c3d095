/* Which tokens may come and which end an answer, as options: --logit-bias and the rules of engine/rules.h;
 * and what breaks repetitions (engine/dry.h). */
#ifndef CLI_RULE_OPTIONS_H
#define CLI_RULE_OPTIONS_H

#include "cli/options_common.h"

enum { RULE_MAX_BIAS = 64 };

struct rule_options {
	struct token_rules rules;
	struct opt_list bias, stop_ids, allowed_ids, bad_words, breakers;
	const char *bias_texts[RULE_MAX_BIAS], *stop_texts[RULES_MAX_STOP_TOKENS],
		*allowed_texts[RULES_MAX_STOP_TOKENS], *bad_texts[RULES_MAX_BAD_WORDS],
		*breaker_texts[DRY_MAX_BREAKERS];
	struct str dry_breakers[DRY_MAX_BREAKERS]; /* (breakers.n) */
	bool no_breakers;
	struct hokku_logit_bias biases[RULE_MAX_BIAS];
	int32_t stop_tokens[RULES_MAX_STOP_TOKENS], allowed[RULES_MAX_STOP_TOKENS];
	struct tok_ids bad;
};

/* o is zeroed, and outlives t. */
void opt_add_rules(struct opt_table *t, struct rule_options *o);

/* After the options were read: fills biases and ids. Returns -1, or an exit code. */
int cli_read_rules(const struct cmd *command, struct rule_options *o);

/* With the model's words. cli_free_rules frees what they become. */
enum hokku_code cli_make_rules(struct rule_options *o, const struct tok *tok, struct hokku_error *err);
void cli_free_rules(struct rule_options *o);

#endif
