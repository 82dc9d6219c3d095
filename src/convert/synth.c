/* Shapes, types, and the road from them to a file. */
#include "convert/synth.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/rng.h"
#include "convert/output.h"
#include "convert/synth_internal.h"
#include "model/format.h"

/* The published config.json; Qwen2.5's with an output matrix of its own, as every measurement of the project
 * has it. */
#define BODY(type, d, ff, layers, heads, kv, vocab, ctx, theta, eps, tied)                                   \
	"{\"model_type\":\"" type "\",\"hidden_size\":" #d ",\"intermediate_size\":" #ff                     \
	",\"num_hidden_layers\":" #layers ",\"num_attention_heads\":" #heads ",\"num_key_value_heads\":" #kv \
	",\"vocab_size\":" #vocab ",\"max_position_embeddings\":" #ctx ",\"rope_theta\":" #theta             \
	",\"rms_norm_eps\":" #eps ",\"tie_word_embeddings\":" #tied
#define QWEN2_SHAPE(d, ff, layers, heads, kv, vocab) \
	BODY("qwen2", d, ff, layers, heads, kv, vocab, 32768, 1000000.0, 1e-06, false) "}"

static const struct {
	const char *name, *config;
} shapes[] = {
	{"qwen2.5-0.5b", QWEN2_SHAPE(896, 4864, 24, 14, 2, 151936)},
	{"qwen2.5-7b", QWEN2_SHAPE(3584, 18944, 28, 28, 4, 152064)},
	{"qwen3-0.6b",
	 BODY("qwen3", 1024, 3072, 28, 16, 8, 151936, 40960, 1000000.0, 1e-06, true) ",\"head_dim\":128}"},
	{"qwen3-4b",
	 BODY("qwen3", 2560, 9728, 36, 32, 8, 151936, 40960, 1000000.0, 1e-06, true) ",\"head_dim\":128}"},
	{"llama-3.1-8b",
	 BODY("llama", 4096, 14336, 32, 32, 8, 128256, 131072, 500000.0, 1e-05,
	      false) ",\"rope_scaling\":{\"rope_type\":"
		     "\"llama3\",\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
		     "\"original_max_position_embeddings\":8192}}"},
	{"phi-3-mini", BODY("phi3", 3072, 8192, 32, 32, 32, 32064, 4096, 10000.0, 1e-05,
			    false) ",\"sliding_window\":2047}"},
	{"gemma-3-4b", BODY("gemma3_text", 2560, 10240, 34, 8, 4, 262208, 131072, 1000000.0, 1e-06,
			    true) ",\"head_dim\":256,"
				  "\"sliding_window\":1024,\"query_pre_attn_scalar\":256,\"hidden_"
				  "activation\":\"gelu_pytorch_tanh\","
				  "\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":8.0}}"},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

/* more: the type of the tensors that a mix gives more bits. */
static const struct mix {
	const char *name;
	enum tensor_type type, more;
	int file_type;
	bool mixed;
} mixes[] = {
	{"Q4_K_M", TENSOR_Q4_K, TENSOR_Q6_K, 15, true},
	{"Q5_K_M", TENSOR_Q5_K, TENSOR_Q6_K, 17, true},
};
enum { N_MIXES = sizeof mixes / sizeof mixes[0] };

static const enum tensor_type plain[] = {
	TENSOR_F32,  TENSOR_F16,  TENSOR_BF16, TENSOR_Q8_0,   TENSOR_Q4_0,
	TENSOR_Q4_1, TENSOR_Q5_0, TENSOR_Q5_1, TENSOR_Q4_K,   TENSOR_Q5_K,
	TENSOR_Q6_K, TENSOR_Q2_K, TENSOR_Q3_K, TENSOR_IQ4_NL, TENSOR_IQ4_XS,
};
enum { N_PLAIN = sizeof plain / sizeof plain[0] };

const char *const *synth_shapes(void)
{
	static const char *names[N_SHAPES + 1];
	for (size_t i = 0; i < N_SHAPES; i++)
		names[i] = shapes[i].name;
	return names;
}

const char *const *synth_types(void)
{
	static const char *names[N_MIXES + N_PLAIN + 1];
	for (size_t i = 0; i < N_PLAIN; i++)
		names[i] = tensor_type_get(plain[i])->name;
	for (size_t i = 0; i < N_MIXES; i++)
		names[N_PLAIN + i] = mixes[i].name;
	return names;
}

/* "a, b, c" */
static const char *join_names(const char *const *names, char *out, size_t size)
{
	size_t n = 0;
	for (size_t i = 0; names[i] && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%s", i ? ", " : "", names[i]);
	return out;
}

static enum hokku_code find_mix(const char *name, struct mix *out, struct hokku_error *err)
{
	char known[256];
	enum tensor_type type;
	for (size_t i = 0; i < N_MIXES; i++) {
		if (strcasecmp(name, mixes[i].name) == 0) {
			*out = mixes[i];
			return HOKKU_OK;
		}
	}
	bool is_type = tensor_type_by_name(str_c(name), &type);
	for (size_t i = 0; is_type && i < N_PLAIN; i++) {
		if (plain[i] == type) {
			*out = (struct mix){tensor_type_get(type)->name, type, type, file_type_of(type),
					    false};
			return HOKKU_OK;
		}
	}
	return err_set(err, HOKKU_INVALID_REQUEST, "the type is \"%.64s\"; it must be one of %s", name,
		       join_names(synth_types(), known, sizeof known));
}

static const char *known_shape(const char *name)
{
	for (size_t i = 0; i < N_SHAPES; i++)
		if (strcasecmp(name, shapes[i].name) == 0)
			return shapes[i].config;
	return NULL;
}

static enum hokku_code find_shape(const char *name, const struct observer *observer, struct hf_shape *out,
				  struct hokku_error *err)
{
	char known[256];
	struct jv_doc root = {0};
	enum hokku_code rc = HOKKU_OK;
	size_t n = strlen(name);
	if (known_shape(name))
		rc = jv_parse(str_c(known_shape(name)), JV_STRICT, &root, err);
	else if (n > 5 && strcmp(name + n - 5, ".json") == 0)
		rc = jv_read_file(name, HF_MAX_CONFIG_BYTES, &root, err);
	else
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "the shape is \"%.64s\"; it must be %s or a config.json's path", name,
			       join_names(synth_shapes(), known, sizeof known));
	if (!rc)
		rc = hf_shape_read(&root.root, name, observer, out, err);
	jv_doc_free(&root);
	if (!rc && out->n_vocab < SYNTH_MIN_VOCAB)
		rc = err_set(err, HOKKU_INVALID_REQUEST,
			     "%s: vocab_size is %u; a made-up vocabulary has at least %d tokens", name,
			     out->n_vocab, SYNTH_MIN_VOCAB);
	return rc;
}

/* llama.cpp's rule for the layers whose attn_v and ffn_down get more bits: the first and last eighth, and
 * every third between. */
static bool more_bits(uint32_t layer, uint32_t n)
{
	return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
}

/* The type whose blocks fit rows that those of `type` do not. */
static enum tensor_type fallback(enum tensor_type type, uint64_t cols)
{
	static const struct {
		enum tensor_type from, to;
	} table[] = {{TENSOR_Q4_K, TENSOR_Q5_0},   {TENSOR_Q5_K, TENSOR_Q5_1},
		     {TENSOR_Q6_K, TENSOR_Q8_0},   {TENSOR_Q2_K, TENSOR_IQ4_NL},
		     {TENSOR_Q3_K, TENSOR_IQ4_NL}, {TENSOR_IQ4_XS, TENSOR_IQ4_NL}};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (type == table[i].from && cols % tensor_type_get(type)->block_elements)
			type = table[i].to;
	return cols % tensor_type_get(type)->block_elements ? TENSOR_F16 : type;
}

static enum tensor_type tensor_type_of(const struct mix *mix, const struct hf_shape *s,
				       const struct tensor_iter *it, enum tensor_type *wanted)
{
	enum hf_part part = it->row->part;
	*wanted = TENSOR_F32;
	if (it->row->rows == SIDE_NONE)
		return TENSOR_F32;
	*wanted = mix->type;
	bool is_output = part == PART_OUTPUT || (part == PART_EMBEDDING && s->tied);
	bool in_layer = part == PART_ATTN_V || part == PART_FFN_DOWN;
	if (mix->mixed && (is_output || (in_layer && more_bits(it->layer, s->n_layers))))
		*wanted = mix->more;
	return fallback(*wanted, it->cols);
}

/* A synthesis under way. */
struct synthesis {
	const struct synth_options *o;
	struct hf_shape shape;
	struct mix mix;
	struct gguf_writer *writer;
	struct synth_buffers buffers;
	uint64_t n_elements, n_done;
	struct hokku_error *err;
};

/* One note for each pair of types, however many tensors it is taken for. */
static void note_fallback(const struct synthesis *s, const struct tensor_iter *it, enum tensor_type wanted,
			  enum tensor_type got, uint64_t *noted)
{
	uint64_t bit = UINT64_C(1) << wanted;
	if (wanted == got || *noted & bit)
		return;
	*noted |= bit;
	observer_note(&s->o->observer,
		      "%s and its like: rows of %" PRIu64 " are no multiple of %s's %u; written as %s",
		      it->gguf, it->cols, tensor_type_get(wanted)->name,
		      tensor_type_get(wanted)->block_elements, tensor_type_get(got)->name);
}

static enum hokku_code declare(struct synthesis *s, const struct vocab *v)
{
	char name[160], about[96];
	uint64_t noted = 0;
	/* Where a config.json lies must not show in the bytes. */
	if (known_shape(s->o->shape))
		snprintf(name, sizeof name, "synthetic %s %s", s->o->shape, s->mix.name);
	else
		snprintf(name, sizeof name, "synthetic %u x %u %s", s->shape.n_layers, s->shape.d_model,
			 s->mix.name);
	snprintf(about, sizeof about, "random weights, seed %" PRIu64, s->o->seed);
	struct arena arena = {0};
	struct hf_keys k = {.arena = &arena};
	hf_shape_keys(&k, &s->shape, name);
	hf_key_str(&k, "general.description", str_c(about));
	hf_vocab_keys(&k, v);
	put_list(s->writer, &k, s->mix.file_type);
	const bool complete = !k.failed;
	arena_free(&arena);
	if (!complete)
		return err_set(s->err, HOKKU_OUT_OF_MEMORY, "no memory for the keys of %s", s->o->out);
	for (uint32_t t = 0; t < N_HF_TABLES; t++) {
		const float *values;
		uint32_t n;
		const char *table = hf_table(&s->shape, t, &values, &n);
		if (n)
			gguf_put_tensor(s->writer, table, TENSOR_F32, 1, (const uint64_t[]){n});
	}
	for (struct tensor_iter it = {0}; tensor_iter_next(&s->shape, &it);) {
		const uint64_t dims[2] = {it.cols, it.rows};
		enum tensor_type wanted, type = tensor_type_of(&s->mix, &s->shape, &it, &wanted);
		note_fallback(s, &it, wanted, type, &noted);
		gguf_put_tensor(s->writer, it.gguf, type, it.row->rows == SIDE_NONE ? 1 : 2, dims);
		s->n_elements += it.rows * it.cols;
	}
	return gguf_writer_begin_data(s->writer, s->err);
}

static enum hokku_code write_tables(struct synthesis *s)
{
	enum hokku_code rc = HOKKU_OK;
	for (uint32_t t = 0; t < N_HF_TABLES && !rc; t++) {
		const float *values;
		uint32_t n;
		hf_table(&s->shape, t, &values, &n);
		if (n)
			rc = gguf_writer_data(s->writer, values, n * sizeof *values, s->err);
	}
	return rc;
}

/* Vectors and plain floats are drawn from a table of evenly spaced values; sqrt(3) makes their deviation
 * sigma. */
static float prepare(struct synthesis *s, const struct tensor_iter *it, enum tensor_type type)
{
	float sigma = 1.0f / sqrtf((float)it->cols);
	if (it->row->part == PART_NORM)
		synth_table(&s->buffers, type, 1.0f, 0.2f);
	else if (it->row->part == PART_BIAS)
		synth_table(&s->buffers, type, 0.0f, 0.1f);
	else if (!synth_kind_get(type)->make)
		synth_table(&s->buffers, type, 0.0f, sigma * 1.7320508f);
	return sigma;
}

static enum hokku_code write_tensor(struct synthesis *s, const struct tensor_iter *it)
{
	enum tensor_type wanted, type = tensor_type_of(&s->mix, &s->shape, it, &wanted);
	struct synth_random random = synth_random_for(s->o->seed, it->layer, it->ordinal);
	float sigma = prepare(s, it, type);
	enum hokku_code rc = HOKKU_OK;
	for (uint64_t left = it->rows * it->cols; left && !rc;) {
		size_t n = left < SYNTH_CHUNK ? (size_t)left : SYNTH_CHUNK;
		if (observer_stopped(&s->o->observer))
			return err_set(s->err, HOKKU_CANCELLED, "interrupted; %s was not written", s->o->out);
		size_t n_bytes = synth_fill(&s->buffers, &random, type, sigma, n);
		rc = gguf_writer_data(s->writer, s->buffers.blocks, n_bytes, s->err);
		left -= n;
		s->n_done += n;
		if (s->n_done < s->n_elements)
			observer_progress(&s->o->observer, (double)s->n_done / (double)s->n_elements);
	}
	return rc;
}

enum { MAX_ELEMENT_BYTES = 4 }; /* of any type */

static enum hokku_code allocate(struct synth_buffers *b, struct hokku_error *err)
{
	b->random = malloc(2 * SYNTH_CHUNK + 16);
	b->blocks = malloc((size_t)SYNTH_CHUNK * MAX_ELEMENT_BYTES);
	b->floats = malloc(65536 * sizeof *b->floats);
	b->table = malloc((size_t)65536 * MAX_ELEMENT_BYTES);
	if (b->random && b->blocks && b->floats && b->table)
		return HOKKU_OK;
	return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %d elements", SYNTH_CHUNK);
}

enum hokku_code synth_model(const struct synth_options *o, struct hokku_error *err)
{
	struct synthesis s = {.o = o, .err = err};
	struct vocab v = {0};
	enum hokku_code rc = find_mix(o->type, &s.mix, err);
	if (!rc)
		rc = find_shape(o->shape, &o->observer, &s.shape, err);
	if (!rc)
		rc = allocate(&s.buffers, err);
	if (!rc)
		rc = synth_vocab(&v, s.shape.n_vocab, err);
	if (!rc && !known_shape(o->shape))
		rc = output_check_file(o->out, o->shape, err);
	if (!rc)
		rc = gguf_writer_create(o->out, &s.writer, err);
	if (!rc)
		rc = declare(&s, &v);
	if (!rc)
		rc = write_tables(&s);
	struct tensor_iter it = {0};
	while (!rc && tensor_iter_next(&s.shape, &it))
		rc = write_tensor(&s, &it);
	if (!rc)
		rc = gguf_writer_finish(s.writer, err);
	if (!rc)
		observer_progress(&o->observer, 1);
	gguf_writer_destroy(s.writer);
	vocab_free(&v);
	free(s.buffers.random);
	free(s.buffers.blocks);
	free(s.buffers.floats);
	free(s.buffers.table);
	return rc;
}
