/* A tokenizer.model in the place of a tokenizer.json: its pieces become the vocabulary that added tokens are
 * counted on from, and their scores and types go with them. */
#include <stdlib.h>

#include "base/file.h"
#include "hf/sentencepiece.h"
#include "hf/vocab.h"

static enum hokku_code no_memory(const struct hf_reader *r)
{
	return err_set(r->err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its vocabulary", r->path);
}

/* {"model": {"vocab": {piece: id}}} */
static enum hokku_code make_document(struct vocab *v, const struct hf_reader *r)
{
	struct strbuf b = {0};
	strbuf_add_c(&b, "{\"model\":{\"vocab\":{");
	for (uint32_t i = 0; i < v->model->n; i++) {
		strbuf_add_c(&b, i ? "," : "");
		strbuf_add_json(&b, v->model->pieces[i].text.ptr, v->model->pieces[i].text.len);
		strbuf_addf(&b, ":%u", i);
	}
	strbuf_add_c(&b, "}}}");
	enum hokku_code rc = b.failed
				     ? no_memory(r)
				     : jv_parse((struct str){b.ptr, b.len}, JV_STRICT, &v->tokenizer, r->err);
	strbuf_free(&b);
	return rc;
}

enum hokku_code vocab_read_model(struct vocab *v, const struct hf_reader *r)
{
	char *bytes;
	size_t n;
	enum hokku_code rc = file_read_named(r->path, HF_MAX_TOKENIZER_BYTES, &bytes, &n, r->err);
	if (rc)
		return rc;
	char *copy = arena_strdup(&v->arena, bytes, n);
	free(bytes);
	struct sp_model *model = arena_array(&v->arena, 1, sizeof *model);
	if (!copy || !model)
		return no_memory(r);
	rc = sp_read((struct str){copy, n}, r, &v->arena, model);
	if (rc)
		return rc;
	v->model = model;
	v->spm = true;
	v->arch = "llama";
	v->text = (struct vocab_text){.space_prefix = model->add_dummy_prefix,
				      .remove_extra = model->remove_extra_whitespaces};
	v->unk = model->unk;
	v->bos = model->bos;
	v->eos = model->eos;
	v->pad = model->pad;
	return make_document(v, r);
}

/* A user-defined piece is written with blanks, which is how other programs look for it. */
static struct str with_blanks(struct vocab *v, struct str text)
{
	static const char blank[] = "\xE2\x96\x81";
	char *out = arena_alloc(&v->arena, text.len, 1);
	size_t n = 0;
	for (size_t i = 0; out && i < text.len;) {
		if (text.len - i >= 3 && memcmp(text.ptr + i, blank, 3) == 0) {
			out[n++] = ' ';
			i += 3;
		} else {
			out[n++] = text.ptr[i++];
		}
	}
	return (struct str){out, n};
}

enum hokku_code vocab_place_pieces(struct vocab *v, const struct hf_reader *r)
{
	v->scores = arena_array(&v->arena, v->n, sizeof *v->scores);
	if (!v->scores)
		return no_memory(r);
	for (uint32_t i = 0; i < v->n; i++)
		v->scores[i] = i < v->model->n ? v->model->pieces[i].score : 0;
	for (uint32_t i = 0; i < v->model->n; i++) {
		const struct sp_piece *p = &v->model->pieces[i];
		/* Another file may call a piece an added token: a user-defined one can become special so. */
		if (p->type != VOCAB_NORMAL &&
		    !(p->type == VOCAB_USER_DEFINED && v->types[i] == VOCAB_CONTROL))
			v->types[i] = p->type;
		if (p->type != VOCAB_USER_DEFINED)
			continue;
		v->tokens[i] = with_blanks(v, p->text);
		if (!v->tokens[i].ptr)
			return no_memory(r);
	}
	return HOKKU_OK;
}
