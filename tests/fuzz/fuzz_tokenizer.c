/*
 * Two targets in one; the first byte says which.
 *   even: the rest is a GGUF file. A tokenizer made of it, and its chat template, take a few texts.
 *   odd:  the rest is a text for small fixed vocabularies, one a pre-tokenizer: the ids must spell the text
 * (in NFC where the pre-tokenizer wants that), and the streaming decoder must give the same however it is
 * cut.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/chat.h"
#include "text/nfc.h"
#include "text/stream.h"
#include "text/tokenizer.h"

#include "gguf_bytes.h"

/* The 256 bytes in GPT-2's alphabet, some merges, a control and a user-defined token. */
static struct tok *make(const char *pre)
{
	static const char *const merges[] = {"t h",
					     "th e",
					     "a a",
					     "aa aa",
					     "\xC4\xA0 the",
					     "1 2",
					     "\xC3\xA3 \xC4\xA3",
					     "\xC4\x8A \xC4\x8A"};
	enum { N_MERGES = 8, N = 256 + N_MERGES + 2 };
	struct strbuf b = {0};
	strbuf_add_c(&b, "GGUF");
	put_u32(&b, 3);
	put_u64(&b, 0);
	put_u64(&b, 5);
	put_key(&b, "tokenizer.ggml.model", GGUF_STRING);
	put_str(&b, "gpt2");
	put_key(&b, "tokenizer.ggml.pre", GGUF_STRING);
	put_str(&b, pre);
	put_key(&b, "tokenizer.ggml.tokens", GGUF_ARRAY);
	put_u32(&b, GGUF_STRING);
	put_u64(&b, N);
	for (unsigned byte = 0, other = 256; byte < 256; byte++) {
		unsigned c = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
				     ? byte
				     : other++;
		char text[3] = {(char)c, 0, 0};
		if (c >= 128) {
			text[0] = (char)(0xC0 | c >> 6);
			text[1] = (char)(0x80 | (c & 0x3F));
		}
		put_str(&b, text);
	}
	for (unsigned i = 0; i < N_MERGES; i++) {
		char joined[32];
		const char *blank = strchr(merges[i], ' ');
		size_t left = (size_t)(blank - merges[i]);
		memcpy(joined, merges[i], left);
		memcpy(joined + left, blank + 1, strlen(blank));
		put_str(&b, joined);
	}
	put_str(&b, "<|im_end|>");
	put_str(&b, "<tool>");
	put_key(&b, "tokenizer.ggml.token_type", GGUF_ARRAY);
	put_u32(&b, GGUF_I32);
	put_u64(&b, N);
	for (unsigned i = 0; i < N; i++)
		put_u32(&b, i == N - 2 ? TOK_CONTROL : i == N - 1 ? TOK_USER_DEFINED : TOK_NORMAL);
	put_key(&b, "tokenizer.ggml.merges", GGUF_ARRAY);
	put_u32(&b, GGUF_STRING);
	put_u64(&b, N_MERGES);
	for (unsigned i = 0; i < N_MERGES; i++)
		put_str(&b, merges[i]);
	struct gguf *g;
	struct tok *t;
	CHECK(gguf_open_memory(b.ptr, b.len, "fixed", &g, NULL) == HOKKU_OK);
	CHECK(tok_create(g, &t, NULL) == HOKKU_OK);
	gguf_close(g);
	strbuf_free(&b);
	return t;
}

static void check_stream(struct str text, unsigned cut)
{
	struct text_stream whole = {0}, parts = {0};
	struct strbuf a = {0}, b = {0};
	text_stream_push(&whole, text, &a);
	text_stream_finish(&whole, &a);
	for (size_t i = 0; i < text.len;) {
		size_t n = 1 + (cut = cut * 1103515245u + 12345u) / 65536u % 5;
		n = n < text.len - i ? n : text.len - i;
		text_stream_push(&parts, (struct str){text.ptr + i, n}, &b);
		CHECK(utf8_valid_prefix(b.ptr, b.len) == b.len);
		i += n;
	}
	text_stream_finish(&parts, &b);
	CHECK(str_eq((struct str){a.ptr, a.len}, (struct str){b.ptr, b.len}));
	CHECK(utf8_valid_prefix(a.ptr, a.len) == a.len);
	strbuf_free(&a);
	strbuf_free(&b);
}

static void check_text(const struct tok *t, bool is_nfc, struct str text, unsigned flags)
{
	struct tok_ids ids = {0};
	struct strbuf back = {0}, normal = {0};
	struct str want = text;
	CHECK(tok_encode(t, text, flags, &ids, NULL) == HOKKU_OK);
	for (size_t i = 0; i < ids.n; i++) {
		CHECK(ids.ids[i] >= 0 && (uint32_t)ids.ids[i] < tok_n_vocab(t));
		CHECK((flags & TOK_PARSE_SPECIAL) || tok_type(t, ids.ids[i]) != TOK_CONTROL);
		struct str bytes = tok_bytes(t, ids.ids[i]);
		strbuf_add(&back, bytes.ptr, bytes.len);
	}
	bool is_valid = utf8_valid_prefix(text.ptr, text.len) == text.len;
	if (is_nfc && is_valid)
		CHECK(nfc(text, &normal, &want, NULL) == HOKKU_OK);
	/* Around an added token the two sides are normalised apart, so that only a text without marks need be
	 * equal. */
	bool has_added =
		memmem(text.ptr, text.len, "<tool>", 6) || memmem(text.ptr, text.len, "<|im_end|>", 10);
	if (!is_nfc || (is_valid && !has_added))
		CHECK(str_eq(want, (struct str){back.ptr, back.len}));
	strbuf_free(&back);
	strbuf_free(&normal);
	tok_ids_free(&ids);
}

static void fuzz_text(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"default",      "gpt-2",       "qwen2",     "llama-bpe",
					    "deepseek-llm", "gpt-4o",      "tiny_aya",  "superbpe",
					    "kimi-k2",      "deepseek-v3", "chameleon", "afmoe"};
	enum { N_NAMES = sizeof names / sizeof *names };
	static struct tok *toks[N_NAMES];
	struct str text = {(const char *)data, size};
	for (unsigned i = 0; i < N_NAMES; i++) {
		if (!toks[i])
			toks[i] = make(names[i]);
		check_text(toks[i], i == 2, text, 0);
		check_text(toks[i], i == 2, text, TOK_PARSE_SPECIAL);
	}
	check_stream(text, (unsigned)size);
}

static void fuzz_file(const uint8_t *data, size_t size)
{
	struct gguf *g = NULL;
	struct tok *t = NULL;
	struct chat c;
	struct hokku_error err = {0};
	if (gguf_open_memory(data, size, "fuzz", &g, &err))
		return;
	if (tok_create(g, &t, &err)) {
		CHECK(t == NULL && err.message[0]);
		gguf_close(g);
		return;
	}
	bool has_chat = chat_init(&c, g, (struct str){NULL, 0}, &err) == HOKKU_OK;
	gguf_close(g);
	static const char *const texts[] = {"the aaaa  12\n\n<|im_end|>e\xCC\x81\xFF <tool>", "",
					    "\xF0\x9F\x98\x80's"};
	struct tok_ids ids = {0};
	for (unsigned i = 0; i < 6; i++)
		(void)tok_encode(t, str_c(texts[i % 3]), (i < 3 ? TOK_PARSE_SPECIAL : 0) | TOK_ADD_BOS, &ids,
				 &err);
	for (size_t i = 0; i < ids.n; i++)
		CHECK(ids.ids[i] >= 0 && (uint32_t)ids.ids[i] < tok_n_vocab(t));
	const struct chat_message message = {.role = STR_LIT("user"), .content = STR_LIT("the")};
	if (has_chat)
		(void)chat_render(&c, t, &(struct chat_input){.messages = &message, .n_messages = 1}, &ids,
				  NULL, &err);
	if (has_chat)
		chat_deinit(&c);
	(void)tok_is_end(t, 0);
	(void)tok_find_special(t, STR_LIT("<|im_end|>"));
	tok_ids_free(&ids);
	tok_destroy(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > 1 << 16)
		return 0;
	if (data[0] % 2)
		fuzz_text(data + 1, size - 1);
	else
		fuzz_file(data + 1, size - 1);
	return 0;
}
