/*
 * The wire format is protocol buffers': fields of a number and one of four forms, in any order, unknown ones
 * passed over, of a field that stands twice the last counts (of messages, field by field). The numbers of
 * fields and their defaults are those of sentencepiece_model.proto. Every length is checked against what is
 * left.
 */
#include "hf/sentencepiece.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "hf/hf.h"

#define refuse(r, ...) \
	err_prefix((r)->err, err_set((r)->err, HOKKU_INVALID_REQUEST, __VA_ARGS__), "%s", (r)->path)
#define bad(r, ...) err_prefix((r)->err, err_set((r)->err, HOKKU_BAD_FILE, __VA_ARGS__), "%s", (r)->path)

/* ---- the wire ---- */

enum wire { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };

struct message {
	struct str bytes; /* what is left */
	const char *file; /* where the file begins, for offsets in messages */
	const struct hf_reader *r;
};

struct field {
	uint32_t number;
	enum wire wire;
	uint64_t value;   /* of a varint or of fixed width */
	struct str bytes; /* of a length */
};

static enum hokku_code broken(const struct message *m, const char *what)
{
	return bad(m->r, "byte %zu: %s; is it a tokenizer.model of SentencePiece?",
		   (size_t)(m->bytes.ptr - m->file), what);
}

static bool varint(struct message *m, uint64_t *out)
{
	*out = 0;
	for (unsigned shift = 0; shift < 64 && m->bytes.len; shift += 7) {
		unsigned char byte = (unsigned char)*m->bytes.ptr++;
		m->bytes.len--;
		*out |= (uint64_t)(byte & 0x7F) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

/* The next field; *more is false past the last. */
static enum hokku_code next_field(struct message *m, struct field *f, bool *more)
{
	uint64_t key, n;
	*more = m->bytes.len > 0;
	if (!*more)
		return HOKKU_OK;
	if (!varint(m, &key) || key >> 3 == 0 || key >> 3 > 0x1FFFFFFF)
		return broken(m, "there is no field here");
	*f = (struct field){.number = (uint32_t)(key >> 3), .wire = (enum wire)(key & 7)};
	switch (f->wire) {
	case WIRE_VARINT:
		return varint(m, &f->value) ? HOKKU_OK : broken(m, "a number has no end");
	case WIRE_64:
	case WIRE_32:
		n = f->wire == WIRE_64 ? 8 : 4;
		if (n > m->bytes.len)
			return broken(m, "a number is cut off");
		memcpy(&f->value, m->bytes.ptr, n);
		break;
	case WIRE_BYTES:
		if (!varint(m, &n) || n > m->bytes.len)
			return broken(m, "a field is longer than what holds it");
		f->bytes = (struct str){m->bytes.ptr, n};
		break;
	default:
		return broken(m, "a field has a form that SentencePiece does not use");
	}
	m->bytes.ptr += n;
	m->bytes.len -= n;
	return HOKKU_OK;
}

/* What a message's fields are read into: a row's form must be the field's. */
enum kind { KIND_BOOL, KIND_INT, KIND_FLOAT, KIND_TEXT, KIND_MESSAGE };
typedef enum hokku_code read_fn(struct message *m, void *out);
struct row {
	uint32_t number;
	enum kind kind;
	size_t offset; /* in what out points to */
	read_fn *read; /* of a message, into out itself */
};

static enum hokku_code read_message(struct message *m, const struct row *rows, size_t n_rows, void *out)
{
	static const enum wire wires[] = {WIRE_VARINT, WIRE_VARINT, WIRE_32, WIRE_BYTES, WIRE_BYTES};
	struct field f;
	bool more;
	enum hokku_code rc;
	while (!(rc = next_field(m, &f, &more)) && more) {
		const struct row *row = rows;
		while (row < rows + n_rows && row->number != f.number)
			row++;
		if (row == rows + n_rows)
			continue;
		if (f.wire != wires[row->kind])
			return broken(m, "a field has another form than SentencePiece gives it");
		void *to = (char *)out + row->offset;
		if (row->kind == KIND_BOOL)
			*(bool *)to = f.value != 0;
		else if (row->kind == KIND_INT)
			*(int64_t *)to = (int32_t)(uint32_t)f.value; /* negative ones are ten bytes long */
		else if (row->kind == KIND_FLOAT)
			memcpy(to, &f.value, sizeof(float));
		else if (row->kind == KIND_TEXT)
			*(struct str *)to = f.bytes;
		else
			rc = row->read(&(struct message){f.bytes, m->file, m->r}, out);
		if (rc)
			return rc;
	}
	return rc;
}

/* ---- SentencePiece's messages ---- */

struct normaliser {
	struct str name, charsmap;
	bool dummy_prefix, remove_extra, escape;
};

struct reading {
	struct sp_model *model;
	struct arena *arena;
	uint32_t cap;
	int64_t model_type, bos, eos, pad;
	bool byte_fallback, suffix;
	struct normaliser normaliser, denormaliser;
};

struct piece {
	struct str text;
	float score;
	int64_t type;
};

enum { MODEL_UNIGRAM = 1, MODEL_BPE, MODEL_WORD, MODEL_CHAR };

static enum hokku_code check_piece(const struct message *m, uint32_t id, const struct piece *p)
{
	char quoted[96];
	const struct hf_reader *r = m->r;
	str_quote(p->text, quoted, sizeof quoted);
	if (p->text.len == 0)
		return bad(r, "piece %u has no text", id);
	if (p->text.len > SP_MAX_PIECE_BYTES)
		return bad(r, "piece %u has %zu bytes; %d are allowed", id, p->text.len, SP_MAX_PIECE_BYTES);
	if (utf8_valid_prefix(p->text.ptr, p->text.len) != p->text.len)
		return bad(r, "piece %u, %s, is not UTF-8", id, quoted);
	if (isnan(p->score))
		return bad(r, "piece %u, %s, has the score NaN", id, quoted);
	if (p->type < VOCAB_NORMAL || p->type > VOCAB_BYTE)
		return bad(r, "piece %u, %s, has the type %" PRId64 "; 1 to 6 are known", id, quoted,
			   p->type);
	if (p->type == VOCAB_UNUSED)
		return refuse(
			r,
			"piece %u, %s, is unused (type 5): SentencePiece joins through such a piece and parts it "
			"again, which hokku does not",
			id, quoted);
	return HOKKU_OK;
}

static enum hokku_code read_piece(struct message *m, void *out)
{
	static const struct row rows[] = {{1, KIND_TEXT, offsetof(struct piece, text), NULL},
					  {2, KIND_FLOAT, offsetof(struct piece, score), NULL},
					  {3, KIND_INT, offsetof(struct piece, type), NULL}};
	struct reading *in = out;
	struct sp_model *model = in->model;
	struct piece p = {.type = VOCAB_NORMAL};
	enum hokku_code rc = read_message(m, rows, sizeof rows / sizeof *rows, &p);
	if (!rc)
		rc = check_piece(m, model->n, &p);
	if (rc)
		return rc;
	if (model->n == SP_MAX_PIECES)
		return bad(m->r, "it has more than %d pieces", SP_MAX_PIECES);
	if (model->n == in->cap) {
		uint32_t cap = in->cap ? 2 * in->cap : 1024;
		struct sp_piece *larger = arena_array(in->arena, cap, sizeof *larger);
		if (!larger)
			return err_set(m->r->err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its pieces",
				       m->r->path);
		if (model->n)
			memcpy(larger, model->pieces, model->n * sizeof *larger);
		model->pieces = larger;
		in->cap = cap;
	}
	model->pieces[model->n++] = (struct sp_piece){p.text, p.score, (int32_t)p.type};
	return HOKKU_OK;
}

static enum hokku_code read_trainer(struct message *m, void *out)
{
	static const struct row rows[] = {
		{3, KIND_INT, offsetof(struct reading, model_type), NULL},
		{24, KIND_BOOL, offsetof(struct reading, suffix), NULL},
		{35, KIND_BOOL, offsetof(struct reading, byte_fallback), NULL},
		{41, KIND_INT, offsetof(struct reading, bos), NULL},
		{42, KIND_INT, offsetof(struct reading, eos), NULL},
		{43, KIND_INT, offsetof(struct reading, pad), NULL},
	};
	return read_message(m, rows, sizeof rows / sizeof *rows, out);
}

static enum hokku_code read_normaliser(struct message *m, struct normaliser *out)
{
	static const struct row rows[] = {
		{1, KIND_TEXT, offsetof(struct normaliser, name), NULL},
		{2, KIND_TEXT, offsetof(struct normaliser, charsmap), NULL},
		{3, KIND_BOOL, offsetof(struct normaliser, dummy_prefix), NULL},
		{4, KIND_BOOL, offsetof(struct normaliser, remove_extra), NULL},
		{5, KIND_BOOL, offsetof(struct normaliser, escape), NULL},
	};
	return read_message(m, rows, sizeof rows / sizeof *rows, out);
}

static enum hokku_code read_normalizer_spec(struct message *m, void *out)
{
	return read_normaliser(m, &((struct reading *)out)->normaliser);
}

static enum hokku_code read_denormalizer_spec(struct message *m, void *out)
{
	return read_normaliser(m, &((struct reading *)out)->denormaliser);
}

/* ---- what of it is computed ---- */

static enum hokku_code check_settings(const struct reading *in, const struct hf_reader *r)
{
	static const char *const names[] = {
		[MODEL_UNIGRAM] = "UNIGRAM", [MODEL_WORD] = "WORD", [MODEL_CHAR] = "CHAR"};
	char quoted[64];
	if (in->model->n == 0)
		return bad(r, "it has no pieces; is it a tokenizer.model of SentencePiece?");
	if (in->model_type != MODEL_BPE && in->model_type >= MODEL_UNIGRAM && in->model_type <= MODEL_CHAR)
		return refuse(r, "trainer_spec.model_type is %s; hokku reads BPE", names[in->model_type]);
	if (in->model_type != MODEL_BPE)
		return refuse(r, "trainer_spec.model_type is %" PRId64 "; hokku reads BPE (2)",
			      in->model_type);
	if (in->suffix)
		return refuse(
			r, "trainer_spec.treat_whitespace_as_suffix is true; hokku puts blanks before words");
	if (in->normaliser.charsmap.len)
		return refuse(
			r,
			"normalizer_spec is %s with a table of %zu bytes (precompiled_charsmap); hokku reads "
			"models whose text is not changed by one (identity)",
			str_quote(in->normaliser.name, quoted, sizeof quoted), in->normaliser.charsmap.len);
	if (!in->normaliser.escape)
		return refuse(r,
			      "normalizer_spec.escape_whitespaces is false; hokku writes blanks as U+2581");
	if (in->denormaliser.charsmap.len)
		return refuse(
			r,
			"denormalizer_spec has a table of %zu bytes (precompiled_charsmap), which hokku does "
			"not apply",
			in->denormaliser.charsmap.len);
	return HOKKU_OK;
}

/* There is one unknown piece, and bytes are either all there or none. */
static enum hokku_code check_kinds(struct sp_model *m, const struct hf_reader *r)
{
	uint32_t n_bytes = 0;
	m->unk = -1;
	for (uint32_t i = 0; i < m->n; i++) {
		n_bytes += m->pieces[i].type == VOCAB_BYTE;
		if (m->pieces[i].type != VOCAB_UNKNOWN)
			continue;
		if (m->unk >= 0)
			return bad(r, "pieces %" PRId64 " and %u both are of type UNKNOWN; there must be one",
				   m->unk, i);
		m->unk = i;
	}
	if (m->unk < 0)
		return bad(r, "no piece is of type UNKNOWN; there must be one");
	if (n_bytes != (m->byte_fallback ? 256 : 0))
		return bad(r,
			   "trainer_spec.byte_fallback is %s, and %u pieces are of type BYTE; it must be %s",
			   m->byte_fallback ? "true" : "false", n_bytes, m->byte_fallback ? "256" : "0");
	return HOKKU_OK;
}

/* A piece by its text. */
struct named {
	struct str text;
	uint32_t id;
};

static int by_text(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	size_t n = x->text.len < y->text.len ? x->text.len : y->text.len;
	int order = memcmp(x->text.ptr, y->text.ptr, n);
	order = order ? order : x->text.len < y->text.len ? -1 : x->text.len > y->text.len;
	return order ? order : x->id < y->id ? -1 : x->id > y->id;
}

/* SentencePiece itself refuses a text that stands twice. */
static enum hokku_code check_twice(const struct sp_model *m, const struct hf_reader *r)
{
	char quoted[96];
	struct named *sorted = malloc(m->n * sizeof *sorted);
	enum hokku_code rc = HOKKU_OK;
	if (!sorted)
		return err_set(r->err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its pieces", r->path);
	for (uint32_t i = 0; i < m->n; i++)
		sorted[i] = (struct named){m->pieces[i].text, i};
	qsort(sorted, m->n, sizeof *sorted, by_text);
	for (uint32_t i = 1; i < m->n && !rc; i++)
		if (str_eq(sorted[i - 1].text, sorted[i].text))
			rc = bad(r, "pieces %u and %u both are %s", sorted[i - 1].id, sorted[i].id,
				 str_quote(sorted[i].text, quoted, sizeof quoted));
	free(sorted);
	return rc;
}

enum hokku_code sp_read(struct str bytes, const struct hf_reader *r, struct arena *arena,
			struct sp_model *out)
{
	static const struct row rows[] = {{1, KIND_MESSAGE, 0, read_piece},
					  {2, KIND_MESSAGE, 0, read_trainer},
					  {3, KIND_MESSAGE, 0, read_normalizer_spec},
					  {5, KIND_MESSAGE, 0, read_denormalizer_spec}};
	*out = (struct sp_model){0};
	struct reading in = {
		.model = out,
		.arena = arena,
		.model_type = MODEL_UNIGRAM,
		.bos = 1,
		.eos = 2,
		.pad = -1,
		.normaliser = {.dummy_prefix = true, .remove_extra = true, .escape = true},
		.denormaliser = {.escape = true},
	};
	enum hokku_code rc =
		read_message(&(struct message){bytes, bytes.ptr, r}, rows, sizeof rows / sizeof *rows, &in);
	if (!rc)
		rc = check_settings(&in, r);
	if (!rc)
		rc = check_twice(out, r);
	out->byte_fallback = in.byte_fallback;
	if (!rc)
		rc = check_kinds(out, r);
	out->add_dummy_prefix = in.normaliser.dummy_prefix;
	out->remove_extra_whitespaces = in.normaliser.remove_extra;
	const struct {
		int64_t id, *to;
	} ids[] = {{in.bos, &out->bos}, {in.eos, &out->eos}, {in.pad, &out->pad}};
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		bool is =
			ids[i].id >= 0 && ids[i].id < out->n && out->pieces[ids[i].id].type == VOCAB_CONTROL;
		*ids[i].to = is ? ids[i].id : -1;
	}
	return rc;
}
