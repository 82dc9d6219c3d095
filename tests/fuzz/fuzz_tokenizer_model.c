/* A tokenizer.model of any bytes in a folder of its own: it is refused with a message, or its vocabulary
 * becomes a tokenizer that encodes texts. */
#include <stddef.h>
#include <stdint.h>

#include "hf/folder.h"
#include "hf/sentencepiece.h"
#include "scratch.h"
#include "text/tokenizer.h"

static void check_model(const struct sp_model *m)
{
	uint32_t n_unknown = 0;
	CHECK(m->n > 0 && m->n <= SP_MAX_PIECES && m->unk >= 0 && m->unk < m->n);
	for (uint32_t i = 0; i < m->n; i++) {
		const struct sp_piece *p = &m->pieces[i];
		CHECK(p->text.len > 0 && p->text.len <= SP_MAX_PIECE_BYTES);
		CHECK(utf8_valid_prefix(p->text.ptr, p->text.len) == p->text.len);
		CHECK(p->type >= 1 && p->type <= 6 && p->type != 5 && p->score == p->score);
		n_unknown += p->type == 2;
	}
	CHECK(n_unknown == 1);
}

static void encode(const struct tok *t, struct str text)
{
	struct tok_ids ids = {0};
	struct hokku_error err = {0};
	if (tok_encode(t, text, TOK_ADD_BOS, &ids, &err))
		CHECK(err.message[0]);
	for (size_t i = 0; i < ids.n; i++)
		CHECK(ids.ids[i] >= 0 && (uint32_t)ids.ids[i] < tok_n_vocab(t));
	tok_ids_free(&ids);
}

static void check_tokenizer(const struct sp_model *m)
{
	struct hokku_error err = {0};
	struct hf_folder *f;
	struct tok *t;
	const struct hf_options o = {.dir = scratch_dir, .vocab_only = true};
	if (hf_open(&o, &f, &err)) {
		CHECK(err.message[0]);
		return;
	}
	if (tok_create(hf_model(f), &t, &err)) {
		CHECK(err.message[0]);
	} else {
		CHECK(tok_n_vocab(t) == m->n);
		encode(t, STR_LIT("The quick\n \xE3\x81\x82 brown  fox \xFF"));
		for (uint32_t i = 0; i < m->n && i < 64; i++)
			encode(t, m->pieces[i].text);
		tok_destroy(t);
	}
	hf_close(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scratch_make(&(const char *){"tokenizer.model"}, 1);
	struct hokku_error err = {0};
	const struct hf_reader r = {"m", NULL, &err};
	struct arena arena = {.chunk_bytes = 4096};
	struct sp_model m;
	const struct str bytes = {size ? (const char *)data : "", size};
	if (sp_read(bytes, &r, &arena, &m)) {
		CHECK(strncmp(err.message, "m: ", 3) == 0 && err.message[3]);
	} else {
		check_model(&m);
		scratch_put(0, data, size);
		check_tokenizer(&m);
	}
	arena_free(&arena);
	return 0;
}
