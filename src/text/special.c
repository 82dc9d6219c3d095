/*
 * Special tokens: which of them the file names by id, which end an answer, and, in a file without token
 * types, which tokens are control tokens at all. An id out of range is an error only where something needs
 * it: files carry ids of other vocabularies, or -1, for tokens that their models never use.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "text/tokenizer_internal.h"

static const char key_add_bos[] = "tokenizer.ggml.add_bos_token";

void tok_add_note(struct tok *t, const char *format, ...)
{
	if (t->n_notes == TOK_MAX_NOTES)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(t->notes[t->n_notes], TOK_NOTE_BYTES, format, args);
	va_end(args);
	t->note_list[t->n_notes] = t->notes[t->n_notes];
	t->n_notes++;
}

/* Every key that names a token. */
enum use { BOS, EOS, END, UNK, OTHER };
static const struct {
	const char *key;
	enum use use;
} ids[] = {
	/* clang-format off */
	{"tokenizer.ggml.bos_token_id", BOS},
	{"tokenizer.ggml.eos_token_id", EOS},
	{"tokenizer.ggml.eot_token_id", END},
	{"tokenizer.ggml.eom_token_id", END},
	{"tokenizer.ggml.unknown_token_id", UNK},
	{"tokenizer.ggml.seperator_token_id", OTHER},
	{"tokenizer.ggml.padding_token_id", OTHER},
	{"tokenizer.ggml.cls_token_id", OTHER},
	{"tokenizer.ggml.mask_token_id", OTHER},
	{"tokenizer.ggml.fim_pre_token_id", OTHER},
	{"tokenizer.ggml.fim_suf_token_id", OTHER},
	{"tokenizer.ggml.fim_mid_token_id", OTHER},
	{"tokenizer.ggml.fim_pad_token_id", OTHER},
	{"tokenizer.ggml.fim_rep_token_id", OTHER},
	{"tokenizer.ggml.fim_sep_token_id", OTHER},
	{"tokenizer.ggml.prefix_token_id", OTHER},
	{"tokenizer.ggml.suffix_token_id", OTHER},
	{"tokenizer.ggml.middle_token_id", OTHER},
	/* clang-format on */
};
enum { N_IDS = sizeof ids / sizeof *ids };
_Static_assert(N_IDS + 3 <= TOK_MAX_NOTES, "a note for each key, and the three others");

static const char *value_text(const struct gguf_value *v, char out[48])
{
	switch (v->type) {
	case GGUF_U8:
	case GGUF_U16:
	case GGUF_U32:
	case GGUF_U64:
		snprintf(out, 48, "%" PRIu64, v->u64);
		break;
	case GGUF_I8:
	case GGUF_I16:
	case GGUF_I32:
	case GGUF_I64:
		snprintf(out, 48, "%" PRId64, v->i64);
		break;
	default:
		snprintf(out, 48, "no whole number (%s)", gguf_type_name(v->type));
	}
	return out;
}

/* *id stays -1 where the key is absent, and where its value is no token and nothing needs it. */
static enum hokku_code read_id(const struct gguf *g, struct tok *t, const char *key, bool needed, int32_t *id,
			       struct hokku_error *err)
{
	uint32_t value;
	bool found;
	char text[48];
	*id = -1;
	const struct gguf_value *v = gguf_find(g, key);
	if (!v)
		return HOKKU_OK;
	enum hokku_code rc = gguf_get_u32(g, key, &value, &found, needed ? err : NULL);
	if (!rc && value < t->n_vocab)
		*id = (int32_t)value;
	else if (!needed)
		tok_add_note(t, "%s is %s, and the vocabulary has %" PRIu32 " tokens: it is not used", key,
			     value_text(v, text), t->n_vocab);
	else if (!rc)
		return err_set(err, HOKKU_BAD_FILE, "%s is %u; the vocabulary has %u tokens", key, value,
			       t->n_vocab);
	return needed ? rc : HOKKU_OK;
}

static void mark_end(struct tok *t, int32_t id)
{
	if (id >= 0)
		t->flags[id] |= TOK_FLAG_END;
}

/* Control tokens by which models end a turn or a text. */
static bool is_end_name(struct str piece)
{
	static const char *const names[] = {
		"<|im_end|>",
		"<|endoftext|>",
		"<|eot_id|>",
		"<|eom_id|>",
		"<|end_of_text|>",
		"<|end|>",
		"<|return|>",
		"<|call|>",
		"<|flush|>",
		"<|calls|>",
		"<turn|>",
		"<|tool_response>",
		"<end_of_turn>",
		"</s>",
		"<|END_OF_TURN_TOKEN|>",
		"<|endofturn|>",
		"<|end_of_turn|>",
		"<\uff5cend\u2581of\u2581sentence\uff5c>",
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (str_eq_c(piece, names[i]))
			return true;
	return false;
}

/* Where answers are several messages (Harmony, Solar Open), "<|end|>" ends one of them, and others the
 * answer. */
static bool has_messages(const struct tok *t)
{
	static const char *const pairs[][2] = {{"<|return|>", "<|call|>"}, {"<|flush|>", "<|calls|>"}};
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		bool has[2] = {false, false};
		for (uint32_t id = 0; id < t->n_vocab; id++)
			for (size_t k = 0; k < 2; k++)
				has[k] = has[k] || str_eq_c(tok_piece(t, (int32_t)id), pairs[i][k]);
		if (has[0] && has[1])
			return true;
	}
	return false;
}

/* "<|name|>", the bars ASCII or full-width: how the families of byte-level vocabularies write control tokens.
 * The signs <| and |> alone are ordinary. */
static bool is_control_name(struct str piece)
{
	static const struct {
		const char *open, *close;
	} marks[] = {{"<|", "|>"}, {"<\uff5c", "\uff5c>"}};
	for (size_t m = 0; m < sizeof marks / sizeof *marks; m++) {
		struct str open = str_c(marks[m].open), close = str_c(marks[m].close);
		if (piece.len <= open.len + close.len || !str_starts(piece, open) ||
		    memcmp(piece.ptr + piece.len - close.len, close.ptr, close.len) != 0)
			continue;
		for (size_t i = open.len; i < piece.len - close.len; i++) {
			char c = piece.ptr[i];
			if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
				return true;
		}
	}
	return false;
}

/* A file without token types: its control tokens are those it names by id, and by their names the others. */
static void guess_controls(struct tok *t)
{
	uint32_t n = 0;
	for (uint32_t id = 0; id < t->n_vocab; id++) {
		struct str piece = tok_piece(t, (int32_t)id);
		unsigned byte;
		if (is_end_name(piece) || is_control_name(piece))
			t->flags[id] = TOK_CONTROL | (t->flags[id] & TOK_FLAG_END);
		else if (t->spm && spm_byte_name(piece, &byte))
			t->flags[id] = TOK_BYTE;
		n += (t->flags[id] & TOK_TYPE_MASK) == TOK_CONTROL;
	}
	tok_add_note(t,
		     "tokenizer.ggml.token_type is missing: the tokens that other keys name and those called "
		     "like <|this|> are taken for control tokens, %" PRIu32 " in all",
		     n);
}

enum hokku_code tok_read_specials(const struct gguf *g, struct tok *t, bool has_types,
				  struct hokku_error *err)
{
	bool found;
	enum hokku_code rc = gguf_get_bool(g, key_add_bos, &t->add_bos, &found, err);
	for (size_t i = 0; !rc && i < N_IDS; i++) {
		int32_t id;
		bool needed = ids[i].use == EOS || (ids[i].use == BOS && t->add_bos);
		rc = read_id(g, t, ids[i].key, needed, &id, err);
		if (rc || id < 0)
			continue;
		if (ids[i].use == UNK)
			t->unk = id;
		if (!has_types && (ids[i].use == BOS || ids[i].use == EOS || ids[i].use == END))
			t->flags[id] = TOK_CONTROL | (t->flags[id] & TOK_FLAG_END);
		if (ids[i].use == EOS || ids[i].use == END)
			mark_end(t, id);
		if (ids[i].use == BOS)
			t->bos = id;
		if (ids[i].use == EOS)
			t->eos = id;
	}
	if (rc)
		return rc;
	if (!has_types) {
		guess_controls(t);
		if (t->spm && t->unk >= 0)
			t->flags[t->unk] = TOK_UNKNOWN;
	}
	/* What ends an answer is a control token, whatever the file calls it: else a message could hold it.
	 */
	bool messages = has_messages(t);
	for (uint32_t id = 0; id < t->n_vocab; id++) {
		unsigned type = t->flags[id] & TOK_TYPE_MASK;
		struct str piece = tok_piece(t, (int32_t)id);
		if ((type == TOK_CONTROL || type == TOK_USER_DEFINED) && is_end_name(piece) &&
		    !(messages && str_eq_c(piece, "<|end|>")))
			mark_end(t, (int32_t)id);
		if (type == TOK_USER_DEFINED && (t->flags[id] & TOK_FLAG_END))
			t->flags[id] = TOK_CONTROL | TOK_FLAG_END;
	}
	return rc;
}
