/*
 * A vocabulary that any byte-level BPE tokenizer accepts: the 256 byte characters, then words over a to z in
 * order of length, each the merge of two tokens before it, with and without a leading space; ChatML's special
 * tokens last.
 */
#include <stdio.h>

#include "convert/synth_internal.h"

static const char CHAT_TEMPLATE[] =
	"{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + "
	"'<|im_end|>' + "
	"'\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

static const char *const specials[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
enum { N_SPECIALS = 3, END_OF_TEXT = 0, IM_END = 2, N_LETTERS = 26 };

/* Words of `head` letters before and `tail` after the joint; a space stands as one letter of its own before.
 */
static const struct {
	bool space;
	unsigned head, tail;
} families[] = {
	{false, 1, 1}, {true, 0, 1}, {true, 0, 2}, {false, 2, 1}, {true, 0, 3}, {false, 2, 2}, {true, 0, 4},
};

struct maker {
	struct vocab *v;
	uint32_t n, limit; /* tokens made, tokens before the special ones */
	bool failed;
};

static void add(struct maker *m, const char *text, size_t n, int32_t type)
{
	char *copy = arena_strdup(&m->v->arena, text, n);
	if (!copy) {
		m->failed = true;
		return;
	}
	m->v->tokens[m->n] = (struct str){copy, n};
	m->v->types[m->n++] = type;
}

/* GPT-2's alphabet: printable Latin-1 stands for itself, other bytes for U+0100 and up; in the order of its
 * ids. */
static void add_bytes(struct maker *m)
{
	for (int pass = 0, other = 0; pass < 2; pass++) {
		for (int b = 0; b < 256; b++) {
			bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
			if (printable != (pass == 0))
				continue;
			int c = printable ? b : 256 + other++;
			char text[2] = {(char)(c < 0x80 ? c : 0xC0 | c >> 6), (char)(0x80 | (c & 0x3F))};
			add(m, text, c < 0x80 ? 1 : 2, VOCAB_NORMAL);
		}
	}
}

static void add_merge(struct maker *m, const char *head, size_t n_head, const char *tail, size_t n_tail)
{
	char text[32];
	memcpy(text, head, n_head);
	memcpy(text + n_head, tail, n_tail);
	add(m, text, n_head + n_tail, VOCAB_NORMAL);
	text[n_head] = ' ';
	memcpy(text + n_head + 1, tail, n_tail);
	char *copy = arena_strdup(&m->v->arena, text, n_head + 1 + n_tail);
	m->failed = m->failed || !copy;
	m->v->merges[m->v->n_merges++] = (struct str){copy, n_head + 1 + n_tail};
}

static void add_family(struct maker *m, bool space, unsigned n_head, unsigned n_tail)
{
	unsigned n = n_head + n_tail, count = 1;
	for (unsigned i = 0; i < n; i++)
		count *= N_LETTERS;
	for (unsigned k = 0; k < count && m->n < m->limit && !m->failed; k++) {
		char word[8];
		unsigned rest = k;
		for (unsigned i = n; i-- > 0; rest /= N_LETTERS)
			word[i] = (char)('a' + rest % N_LETTERS);
		if (space)
			add_merge(m, "\xC4\xA0", 2, word, n); /* U+0120, the space's character */
		else
			add_merge(m, word, n_head, word + n_head, n_tail);
	}
}

enum hokku_code synth_vocab(struct vocab *v, uint32_t n, struct hokku_error *err)
{
	*v = (struct vocab){.pre = "qwen2", .eot = -1, .unk = -1, .n = n, .arena = {.chunk_bytes = 1 << 20}};
	v->tokens = arena_array(&v->arena, n, sizeof *v->tokens);
	v->types = arena_array(&v->arena, n, sizeof *v->types);
	v->merges = arena_array(&v->arena, n, sizeof *v->merges);
	struct maker m = {.v = v, .limit = n - N_SPECIALS, .failed = !v->tokens || !v->types || !v->merges};
	if (!m.failed)
		add_bytes(&m);
	for (size_t i = 0; i < sizeof families / sizeof families[0] && !m.failed; i++)
		add_family(&m, families[i].space, families[i].head, families[i].tail);
	while (m.n < m.limit && !m.failed) { /* beyond some 950,000 words */
		char text[32];
		int length = snprintf(text, sizeof text, "[PAD%u]", m.n);
		add(&m, text, (size_t)length, VOCAB_UNUSED);
	}
	for (int i = 0; i < N_SPECIALS && !m.failed; i++)
		add(&m, specials[i], strlen(specials[i]), VOCAB_CONTROL);
	if (m.failed) {
		vocab_free(v);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a vocabulary of %u tokens", n);
	}
	v->bos = v->pad = m.limit + END_OF_TEXT;
	v->eos = m.limit + IM_END;
	v->chat_template = (struct str){CHAT_TEMPLATE, sizeof CHAT_TEMPLATE - 1};
	return HOKKU_OK;
}
