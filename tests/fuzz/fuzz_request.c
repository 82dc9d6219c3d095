/* Bodies of POST /v1/generate, /v1/chat/completions, /v1/completions, /v1/messages, /api/..., /v1/cancel,
 * /v1/state/... and of llama-server's routes: nothing may crash, and what is accepted keeps its promises. */
#include <math.h>
#include <stdlib.h>

#include "server/llama.h"
#include "server/ollama.h"
#include "server/states.h"

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* Of rules and breakers, texts that the tokenizer has to see first apart. */
static void check_rules(const struct gen_request *r)
{
	require(rules_check(&r->rules, UINT32_MAX, 0, NULL) == HOKKU_OK);
	require(r->n_bad_words <= RULES_MAX_BAD_WORDS && r->n_bias_texts <= COMPUTE_MAX_LOGIT_BIAS);
	for (uint32_t i = 0; i < r->n_bad_words; i++)
		require(r->bad_words[i].len >= 1 && r->bad_words[i].len <= RULES_MAX_BAD_WORD_BYTES);
	require(r->n_dry_breakers == 0 || r->has_dry_breakers);
	require(dry_check(r->dry_breakers, r->n_dry_breakers, NULL) == HOKKU_OK);
}

static void check_accepted(const struct gen_request *r)
{
	check_rules(r);
	require((r->prompt.ptr != NULL) + (r->tokens != NULL) + (r->messages != NULL) == 1);
	require(r->prompt.ptr == NULL || r->prompt.len > 0);
	require(strlen(r->id) <= REQUEST_MAX_ID_BYTES && r->n_stop <= ENGINE_MAX_STOP);
	require(utf8_valid_prefix(r->prompt.ptr, r->prompt.len) == r->prompt.len);
	for (size_t i = 0; i < r->n_tokens; i++)
		require(r->tokens[i] >= 0);
	for (uint32_t i = 0; i < r->n_stop; i++)
		require(r->stop[i].len >= 1 && r->stop[i].len <= ENGINE_MAX_STOP_BYTES);
	for (uint32_t i = 0; i < r->sampling.n_bias; i++)
		require(r->sampling.bias[i].token >= 0);
	/* The engine would take it: every token id exists in the largest vocabulary there can be. */
	require(sampling_check(&r->sampling, UINT32_MAX, NULL) == HOKKU_OK);
	require(r->n >= 1 && r->n <= REQUEST_MAX_N && r->n_top <= (r->logprobs ? LOGPROBS_MAX_TOP : 0));
	require(r->n_prompt_top <= (r->prompt_logprobs ? LOGPROBS_MAX_TOP : 0));
	require(r->shape_field || (!r->space_field && r->shape_text.len == 0));
	require(!r->shape_field || (r->shape_kind == CONSTRAIN_JSON_OBJECT) == (r->shape_text.len == 0));
	require(utf8_valid_prefix(r->shape_text.ptr, r->shape_text.len) == r->shape_text.len);
	require(!r->model || strlen(r->model) <= REQUEST_MAX_MODEL_BYTES);
	require(utf8_valid_prefix(r->warnings.ptr, r->warnings.len) == r->warnings.len);
}

/* What becomes the name of a file names no other folder, and one thing is saved. */
static void check_state(const struct gen_request *r, bool save)
{
	size_t n = strlen(r->name);
	require(n >= 1 && n <= REQUEST_MAX_NAME_BYTES && r->name[0] != '.' && !strchr(r->name, '/'));
	require((r->id[0] != 0) + (r->prompt.ptr != NULL) + (r->tokens != NULL) + (r->messages != NULL) ==
		save);
}

/* What asks for nothing is told that the model is there, in JSON. */
static void check_ollama(const struct gen_request *r, const struct request_form *form)
{
	struct strbuf told = {0};
	struct jv_doc doc;
	struct request_error err;
	bool asks = r->prompt.ptr || r->messages;
	require(r->model && strlen(r->model) <= REQUEST_MAX_MODEL_BYTES);
	require(!r->stream || form == &request_ollama_chat || form == &request_ollama_generate);
	if (form != &request_ollama_chat && form != &request_ollama_generate)
		return;
	if (asks)
		check_accepted(r);
	require(form->tell(&(struct request_told){.request = r}, &told, &err) == HOKKU_OK);
	require((told.len == 0) == asks);
	if (told.len) {
		require(jv_parse((struct str){told.ptr, told.len}, JV_STRICT, &doc, NULL) == HOKKU_OK);
		jv_doc_free(&doc);
	}
	strbuf_free(&told);
}

static void check_llama(const struct gen_request *r, const struct request_form *form)
{
	const struct llama_fields *f = &r->llama;
	if (form == &request_llama_tokenize || form == &request_llama_detokenize) {
		require(form == &request_llama_tokenize ? f->content != NULL : r->tokens_name != NULL);
		return;
	}
	require(form == &request_llama_infill ? f->prefix && f->suffix : f->prompt != NULL);
	require(form == &request_llama_infill || (r->n_encoded >= 1 && r->n_encoded <= REQUEST_MAX_PROMPTS));
	require(sampling_check(&r->sampling, UINT32_MAX, NULL) == HOKKU_OK);
	check_rules(r);
	require(r->n >= 1 && r->n <= REQUEST_MAX_N && r->n_stop <= ENGINE_MAX_STOP);
	require(r->n_top <= (r->logprobs ? LOGPROBS_MAX_TOP : 0) && (!r->no_answer || r->max_tokens == 1));
	for (uint32_t i = 0; i < r->n_stop; i++)
		require(r->stop[i].len >= 1 && r->stop[i].len <= ENGINE_MAX_STOP_BYTES);
	require(f->slot >= 0 && f->slot <= ENGINE_MAX_PARALLEL);
	require(f->fields.len == 0 || f->fields.ptr[f->fields.len - 1] == 0);
	require(utf8_valid_prefix(r->warnings.ptr, r->warnings.len) == r->warnings.len);
}

/* Every prompt is one thing, and tokens are those of all of them. */
static void check_completion(const struct gen_request *r)
{
	size_t n_tokens = 0;
	require(r->prompts && r->n_prompts >= 1 && r->n_prompts <= REQUEST_MAX_PROMPTS && !r->messages);
	for (uint32_t i = 0; i < r->n_prompts; i++) {
		require(r->prompts[i].text.ptr ? !r->prompts[i].n_tokens : r->prompts[i].n_tokens >= 1);
		n_tokens += r->prompts[i].n_tokens;
	}
	require(n_tokens == r->n_tokens && (n_tokens == 0 || !r->suffix.ptr));
	for (size_t i = 0; i < r->n_tokens; i++)
		require(r->tokens[i] >= 0);
	require(r->n >= 1 && r->n <= REQUEST_MAX_N && r->max_tokens >= 1);
	require(r->n_top <= (r->logprobs ? LOGPROBS_MAX_TOP : 0));
	require(r->n_prompt_top <= (r->prompt_logprobs ? LOGPROBS_MAX_TOP : 0));
	require(sampling_check(&r->sampling, UINT32_MAX, NULL) == HOKKU_OK);
	require(utf8_valid_prefix(r->warnings.ptr, r->warnings.len) == r->warnings.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str body = {(const char *)data, size};
	struct gen_request r;
	struct request_error err = {.field = "?"};
	const struct request_form *const forms[] = {&request_native,           &request_openai_chat,
						    &request_anthropic,        &request_anthropic_count_kept,
						    &request_state_save,       &request_state_restore,
						    &request_ollama_chat,      &request_ollama_generate,
						    api_ollama_show.form,      api_ollama_embed.form,
						    &request_llama_completion, &request_llama_infill,
						    &request_llama_tokenize,   &request_llama_detokenize,
						    &request_completion};
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (request_parse(body, forms[i], NULL, &r, &err) == HOKKU_OK) {
			if (forms[i] == &request_completion)
				check_completion(&r);
			else if (i < 4)
				check_accepted(&r);
			else if (i < 6)
				check_state(&r, forms[i] == &request_state_save);
			else if (i < 10)
				check_ollama(&r, forms[i]);
			else
				check_llama(&r, forms[i]);
			require(request_drop_prompt(&r));
		} else {
			require(err.error.message[0] != '\0' && strlen(err.field) < sizeof err.field);
			require(utf8_valid_prefix(err.field, strlen(err.field)) == strlen(err.field));
		}
		request_free(&r);
	}

	char id[REQUEST_MAX_ID_BYTES + 1] = "";
	struct strbuf warnings = {0};
	if (request_parse_cancel(body, id, &warnings, &err) == HOKKU_OK)
		require(id[0] != '\0');
	strbuf_free(&warnings);
	return 0;
}
