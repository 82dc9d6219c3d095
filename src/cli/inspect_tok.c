/* `hokku inspect`: the tokenizer that a file's metadata makes, what was left open, or why there is none. */
#include <stdio.h>

#include "cli/inspect.h"
#include "text/tokenizer.h"

void inspect_tokenizer_text(const struct gguf *g)
{
	struct tok *t = NULL;
	struct hokku_error err;
	char n[32];
	if (!gguf_find(g, "tokenizer.ggml.model"))
		return;
	if (tok_create(g, &t, &err)) {
		printf("\ntokenizer: none that hokku can use: %s\n", err.message);
		return;
	}
	printf("\ntokenizer: %s, %s tokens\n", tok_kind(t), str_thousands(tok_n_vocab(t), n));
	for (const char *const *note = tok_notes(t); *note; note++)
		printf("  warning: %s\n", *note);
	tok_destroy(t);
}

void inspect_tokenizer_json(const struct gguf *g, struct strbuf *out)
{
	struct tok *t = NULL;
	struct hokku_error err;
	strbuf_add_c(out, "  \"tokenizer\": ");
	if (!gguf_find(g, "tokenizer.ggml.model")) {
		strbuf_add_c(out, "null,\n");
		return;
	}
	if (tok_create(g, &t, &err)) {
		strbuf_add_c(out, "{\"error\": ");
		strbuf_add_json(out, err.message, strlen(err.message));
		strbuf_add_c(out, "},\n");
		return;
	}
	strbuf_addf(out, "{\"kind\": \"%s\", \"tokens\": %u, \"notes\": [", tok_kind(t), tok_n_vocab(t));
	for (const char *const *note = tok_notes(t); *note; note++) {
		strbuf_add_c(out, note == tok_notes(t) ? "" : ", ");
		strbuf_add_json(out, *note, strlen(*note));
	}
	strbuf_add_c(out, "]},\n");
	tok_destroy(t);
}
