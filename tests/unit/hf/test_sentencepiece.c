/* tokenizer.model: the wire format, SentencePiece's settings, and a vocabulary made of them. What it encodes
 * to is held to SentencePiece itself by tests/oracle/sentencepiece.test.mjs. */
#include "scratch.h"

#include <math.h>

#include "hf/sentencepiece.h"

#define BLANK "\xE2\x96\x81"

static struct strbuf b;

static void put_varint(struct strbuf *to, uint64_t n)
{
	do {
		unsigned char byte = (unsigned char)((n & 0x7F) | (n > 0x7F ? 0x80 : 0));
		strbuf_add(to, &byte, 1);
		n >>= 7;
	} while (n);
}

static void put_number(struct strbuf *to, unsigned field, uint64_t n)
{
	put_varint(to, field << 3);
	put_varint(to, n);
}

static void put_bytes(struct strbuf *to, unsigned field, const void *bytes, size_t n)
{
	put_varint(to, field << 3 | 2);
	put_varint(to, n);
	strbuf_add(to, bytes, n);
}

static void put_float(struct strbuf *to, unsigned field, float x)
{
	put_varint(to, field << 3 | 5);
	strbuf_add(to, &x, 4);
}

static void put_piece_n(const char *text, size_t n, float score, int type)
{
	struct strbuf piece = {0};
	put_bytes(&piece, 1, text, n);
	put_float(&piece, 2, score);
	if (type != 1)
		put_number(&piece, 3, (uint64_t)type);
	put_bytes(&b, 1, piece.ptr, piece.len);
	strbuf_free(&piece);
}

static void put_piece(const char *text, float score, int type)
{
	put_piece_n(text, strlen(text), score, type);
}

static void put_message(unsigned field, struct strbuf *message)
{
	put_bytes(&b, field, message->ptr, message->len);
	strbuf_free(message);
}

/* Eight pieces and BPE without byte tokens. */
static void begin(void)
{
	struct strbuf trainer = {0};
	strbuf_clear(&b);
	put_piece("<unk>", 0, 2);
	put_piece("<s>", 0, 3);
	put_piece("</s>", 0, 3);
	put_piece(BLANK "x" BLANK, 0, 4);
	put_piece("a", -1, 1);
	put_piece("b", -2, 1);
	put_piece("ab", -0.5f, 1);
	put_piece(BLANK, -3, 1);
	put_number(&trainer, 3, 2);
	put_message(2, &trainer);
}

static enum hokku_code read_bytes(struct sp_model *m, struct hokku_error *err, struct arena *arena)
{
	const struct hf_reader r = {"m.model", NULL, err};
	*err = (struct hokku_error){0};
	return sp_read((struct str){b.ptr ? b.ptr : "", b.len}, &r, arena, m);
}

static void refuse(enum hokku_code code, const char *wanted)
{
	struct sp_model m;
	struct hokku_error err;
	struct arena arena = {.chunk_bytes = 4096};
	enum hokku_code rc = read_bytes(&m, &err, &arena);
	arena_free(&arena);
	if (rc != code || !strstr(err.message, wanted))
		fail_msg("%s: found %s\n  wanted %s", hokku_code_name(rc), err.message, wanted);
}

static void accept(struct sp_model *m, struct arena *arena)
{
	struct hokku_error err;
	if (read_bytes(m, &err, arena))
		fail_msg("%s", err.message);
}

static void test_defaults(void **state)
{
	(void)state;
	struct sp_model m;
	struct arena arena = {.chunk_bytes = 4096};
	begin();
	accept(&m, &arena);
	assert_int_equal(m.n, 8);
	assert_true(m.add_dummy_prefix && m.remove_extra_whitespaces && !m.byte_fallback);
	assert_true(m.unk == 0 && m.bos == 1 && m.eos == 2 && m.pad == -1);
	assert_true(str_eq_c(m.pieces[6].text, "ab"));
	assert_true(m.pieces[6].score == -0.5f && m.pieces[6].type == 1 && m.pieces[3].type == 4);
	/* Another trainer_spec adds to the first, and the last value of a field counts; unknown fields of
	 * every form. */
	struct strbuf more = {0}, normaliser = {0};
	put_number(&more, 41, 2);
	put_number(&more, 42, (uint64_t)-1);
	put_number(&more, 43, 4); /* no control piece */
	put_number(&more, 1000, 7);
	put_float(&more, 1001, 1);
	put_varint(&more, 1002 << 3 | 1);
	strbuf_add(&more, "12345678", 8);
	put_bytes(&more, 1003, "x", 1);
	put_message(2, &more);
	put_bytes(&normaliser, 1, "identity", 8);
	put_number(&normaliser, 3, 0);
	put_number(&normaliser, 4, 1);
	put_number(&normaliser, 4, 0);
	put_message(3, &normaliser);
	accept(&m, &arena);
	assert_true(m.bos == 2 && m.eos == -1 && m.pad == -1);
	assert_false(m.add_dummy_prefix || m.remove_extra_whitespaces);
	arena_free(&arena);
}

static void with_trainer(unsigned field, uint64_t value)
{
	struct strbuf trainer = {0};
	begin();
	put_number(&trainer, field, value);
	put_message(2, &trainer);
}

static void test_settings(void **state)
{
	(void)state;
	struct strbuf m = {0};
	static const char *const types[] = {[1] = "UNIGRAM", [3] = "WORD", [4] = "CHAR"};
	for (unsigned type = 1; type <= 4; type++) {
		char wanted[64];
		snprintf(wanted, sizeof wanted, "m.model: trainer_spec.model_type is %s; hokku reads BPE",
			 types[type]);
		with_trainer(3, type);
		if (type != 2)
			refuse(HOKKU_INVALID_REQUEST, wanted);
	}
	with_trainer(3, 9);
	refuse(HOKKU_INVALID_REQUEST, "trainer_spec.model_type is 9");
	strbuf_clear(&b); /* without a trainer_spec it is what SentencePiece takes it for */
	put_piece("<unk>", 0, 2);
	refuse(HOKKU_INVALID_REQUEST, "trainer_spec.model_type is UNIGRAM");
	with_trainer(24, 1);
	refuse(HOKKU_INVALID_REQUEST, "trainer_spec.treat_whitespace_as_suffix is true");
	with_trainer(35, 1);
	refuse(HOKKU_BAD_FILE,
	       "trainer_spec.byte_fallback is true, and 0 pieces are of type BYTE; it must be 256");
	begin();
	put_piece("<0x41>", 0, 6);
	refuse(HOKKU_BAD_FILE,
	       "trainer_spec.byte_fallback is false, and 1 pieces are of type BYTE; it must be 0");
	begin();
	put_bytes(&m, 1, "nmt_nfkc", 8);
	put_bytes(&m, 2, "\1\2\3", 3);
	put_message(3, &m);
	refuse(HOKKU_INVALID_REQUEST,
	       "normalizer_spec is \"nmt_nfkc\" with a table of 3 bytes (precompiled_charsmap)");
	begin();
	put_number(&m, 5, 0);
	put_message(3, &m);
	refuse(HOKKU_INVALID_REQUEST, "normalizer_spec.escape_whitespaces is false");
	begin();
	put_bytes(&m, 2, "\1", 1);
	put_message(5, &m);
	refuse(HOKKU_INVALID_REQUEST, "denormalizer_spec has a table of 1 bytes");
}

static void test_pieces(void **state)
{
	(void)state;
	begin();
	put_piece("", 0, 1);
	refuse(HOKKU_BAD_FILE, "m.model: piece 8 has no text");
	begin();
	put_piece("\xC3", 0, 1);
	refuse(HOKKU_BAD_FILE, "piece 8, \"\\xc3\", is not UTF-8");
	begin();
	put_piece("c", NAN, 1);
	refuse(HOKKU_BAD_FILE, "piece 8, \"c\", has the score NaN");
	begin();
	put_piece("c", 0, 7);
	refuse(HOKKU_BAD_FILE, "piece 8, \"c\", has the type 7; 1 to 6 are known");
	begin();
	put_piece("c", 0, 5);
	refuse(HOKKU_INVALID_REQUEST, "piece 8, \"c\", is unused (type 5)");
	begin();
	put_piece("ab", 0, 1);
	refuse(HOKKU_BAD_FILE, "pieces 6 and 8 both are \"ab\"");
	begin();
	put_piece("<u>", 0, 2);
	refuse(HOKKU_BAD_FILE, "pieces 0 and 8 both are of type UNKNOWN; there must be one");
	strbuf_clear(&b);
	refuse(HOKKU_BAD_FILE, "it has no pieces; is it a tokenizer.model of SentencePiece?");
	struct strbuf trainer = {0};
	put_piece("a", 0, 1);
	put_number(&trainer, 3, 2);
	put_message(2, &trainer);
	refuse(HOKKU_BAD_FILE, "no piece is of type UNKNOWN");
}

static void test_limits(void **state)
{
	(void)state;
	struct sp_model m;
	struct arena arena = {.chunk_bytes = 1 << 20};
	char *text = malloc(SP_MAX_PIECE_BYTES + 1);
	assert_non_null(text);
	memset(text, 'x', SP_MAX_PIECE_BYTES + 1);
	for (int n = SP_MAX_PIECE_BYTES - 1; n <= SP_MAX_PIECE_BYTES; n++) {
		begin();
		put_piece_n(text, (size_t)n, 0, 1);
		accept(&m, &arena);
	}
	begin();
	put_piece_n(text, SP_MAX_PIECE_BYTES + 1, 0, 1);
	refuse(HOKKU_BAD_FILE, "piece 8 has 4097 bytes; 4096 are allowed");
	free(text);
	begin();
	for (uint32_t i = 8; i < SP_MAX_PIECES; i++) {
		char name[16];
		snprintf(name, sizeof name, "p%u", i);
		put_piece(name, 0, 1);
		if (i == SP_MAX_PIECES - 2) /* one less */
			accept(&m, &arena);
	}
	accept(&m, &arena);
	assert_int_equal(m.n, SP_MAX_PIECES);
	put_piece("more", 0, 1);
	refuse(HOKKU_BAD_FILE, "it has more than 524288 pieces");
	arena_free(&arena);
}

static void test_wire(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n;
		const char *wanted;
	} cases[] = {
		{"\x80", 1, "byte 1: there is no field here; is it a tokenizer.model of SentencePiece?"},
		{"\x00", 1, "there is no field here"},
		{"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11, "there is no field here"},
		{"\x0A\x05\x00", 3, "byte 2: a field is longer than what holds it"},
		{"\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11, "a field is longer than what holds it"},
		{"\x0A", 1, "a field is longer than what holds it"},
		{"\x0B", 1, "byte 1: a field has a form that SentencePiece does not use"},
		{"\x0D\x00\x00\x00", 4, "a number is cut off"},
		{"\x09\x00\x00\x00\x00\x00\x00\x00", 8, "a number is cut off"},
		{"\x08\x80", 2, "a number has no end"},
		{"\x08\x01", 2, "byte 2: a field has another form than SentencePiece gives it"},
		{"\x0A\x02\x10\x01", 4, "a field has another form than SentencePiece gives it"},
		{"<html>", 6, "is it a tokenizer.model of SentencePiece?"},
		{"version https://git-lfs", 23, "is it a tokenizer.model of SentencePiece?"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		strbuf_clear(&b);
		strbuf_add(&b, cases[i].bytes, cases[i].n);
		refuse(HOKKU_BAD_FILE, cases[i].wanted);
	}
	/* Cut at every byte: an error, or what came before the cut. */
	begin();
	for (size_t n = b.len; n-- > 0;) {
		struct sp_model m;
		struct hokku_error err;
		struct arena arena = {.chunk_bytes = 4096};
		b.len = n;
		if (read_bytes(&m, &err, &arena) ? err.message[0] == '\0' : m.n > 8)
			fail_msg("cut at byte %zu", n);
		arena_free(&arena);
	}
}

/* ---- a folder without tokenizer.json ---- */

static void test_folder(void **state)
{
	(void)state;
	struct vocab v;
	struct hokku_error err = {0};
	begin();
	put("tokenizer.model", b.ptr, b.len);
	put_text("tokenizer_config.json",
		 "{\"unk_token\":\"a\",\"bos_token\":\"<s>\",\"added_tokens_decoder\":{"
		 "\"3\":{\"content\":\"" BLANK "x" BLANK "\",\"special\":false},"
		 "\"8\":{\"content\":\"<tool>\",\"special\":false,\"rstrip\":true},"
		 "\"9\":{\"content\":\"<end>\",\"special\":true}}}");
	if (vocab_read(&v, folder, 12, &observer, &err))
		fail_msg("%s", err.message);
	assert_true(v.spm && v.model && v.n == 12 && v.text.space_prefix && v.text.remove_extra);
	assert_false(v.text.join_by_merges);
	assert_true(v.unk == 0 && v.bos == 1 && v.eos == 2 && v.add_bos);
	const int32_t types[12] = {VOCAB_UNKNOWN,      VOCAB_CONTROL, VOCAB_CONTROL, VOCAB_USER_DEFINED,
				   VOCAB_CONTROL,      VOCAB_NORMAL,  VOCAB_NORMAL,  VOCAB_NORMAL,
				   VOCAB_USER_DEFINED, VOCAB_CONTROL, VOCAB_UNUSED,  VOCAB_UNUSED};
	for (uint32_t i = 0; i < 12; i++)
		if (v.types[i] != types[i])
			fail_msg("token %u has the type %d, not %d", i, v.types[i], types[i]);
	assert_true(str_eq_c(v.tokens[3], " x ") && str_eq_c(v.tokens[8], "<tool>"));
	assert_true(v.scores[6] == -0.5f && v.scores[8] == 0);
	vocab_free(&v);
	put_text("tokenizer_config.json", "{\"add_bos_token\":false}");
	assert_int_equal(vocab_read(&v, folder, 0, &observer, &err), HOKKU_OK);
	assert_true(v.n == 8 && !v.add_bos && v.bos == 1);
	vocab_free(&v);
	/* Beside a tokenizer.json it is not read; a broken one is named. */
	put_text("tokenizer.json", "{}");
	assert_int_not_equal(vocab_read(&v, folder, 0, &observer, &err), HOKKU_OK);
	assert_non_null(strstr(err.message, "tokenizer.json: model.type is absent"));
	drop("tokenizer.json");
	put("tokenizer.model", "\x0B", 1);
	assert_int_equal(vocab_read(&v, folder, 0, &observer, &err), HOKKU_BAD_FILE);
	assert_non_null(strstr(err.message, "tokenizer.model: byte 1: a field has a form"));
	drop("tokenizer.model");
	assert_int_equal(vocab_read(&v, folder, 0, &observer, &err), HOKKU_NOT_FOUND);
	assert_non_null(strstr(err.message, "tokenizer.json"));
}

static int drop_all(void **state)
{
	strbuf_free(&b);
	return drop_folder(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_settings),
		cmocka_unit_test(test_pieces),   cmocka_unit_test(test_limits),
		cmocka_unit_test(test_wire),     cmocka_unit_test(test_folder),
	};
	return cmocka_run_group_tests(tests, make_folder, drop_all);
}
