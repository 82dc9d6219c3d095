/* Files that are no model, or none that can be run, and what is said of each: by what it is and what it has.
 */
#include "model/kind.h"

#include "gguf/builder.h"
#include "model/model.h"

enum { MAX_ROWS = 32 };

/* A model of one layer, width 32, one head; changed before it is written. */
struct file {
	struct {
		char name[65];
		uint64_t cols, rows;
		uint32_t type;
	} tensors[MAX_ROWS];
	uint64_t n_tensors;
	struct strbuf kv;
	uint64_t n_kv;
};

static void add_tensor(struct file *f, const char *name, uint32_t type, uint64_t cols, uint64_t rows)
{
	snprintf(f->tensors[f->n_tensors].name, 65, "%s", name);
	f->tensors[f->n_tensors].type = type;
	f->tensors[f->n_tensors].cols = cols;
	f->tensors[f->n_tensors++].rows = rows;
}

static void add_str(struct file *f, const char *key, const char *value)
{
	b_key_str(&f->kv, key, value);
	f->n_kv++;
}

static void add_u32(struct file *f, const char *key, uint32_t value)
{
	b_key_u32(&f->kv, key, value);
	f->n_kv++;
}

static void add_u16(struct file *f, const char *key, uint16_t value)
{
	b_key(&f->kv, key, GGUF_U16), b_u16(&f->kv, value);
	f->n_kv++;
}

static void good_file(struct file *f)
{
	static const struct {
		const char *name;
		uint64_t rows;
	} tensors[] = {
		{"token_embd.weight", 8},      {"output_norm.weight", 0},
		{"blk.0.attn_norm.weight", 0}, {"blk.0.attn_q.weight", 32},
		{"blk.0.attn_q.bias", 0},      {"blk.0.attn_k.weight", 32},
		{"blk.0.attn_k.bias", 0},      {"blk.0.attn_v.weight", 32},
		{"blk.0.attn_v.bias", 0},      {"blk.0.attn_output.weight", 32},
		{"blk.0.ffn_norm.weight", 0},  {"blk.0.ffn_gate.weight", 32},
		{"blk.0.ffn_up.weight", 32},   {"blk.0.ffn_down.weight", 32},
	};
	*f = (struct file){0};
	for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++)
		add_tensor(f, tensors[i].name, tensors[i].rows ? TENSOR_Q4_0 : TENSOR_F32, 32,
			   tensors[i].rows);
	add_str(f, "general.architecture", "qwen2");
	add_u32(f, "qwen2.block_count", 1);
	add_u32(f, "qwen2.context_length", 64);
	add_u32(f, "qwen2.embedding_length", 32);
	add_u32(f, "qwen2.feed_forward_length", 32);
	add_u32(f, "qwen2.attention.head_count", 1);
	add_u32(f, "qwen2.attention.head_count_kv", 1);
	b_key(&f->kv, "qwen2.attention.layer_norm_rms_epsilon", GGUF_F32), b_f32(&f->kv, 1e-6f);
	b_key(&f->kv, "qwen2.rope.freq_base", GGUF_F32), b_f32(&f->kv, 1e6f);
	f->n_kv += 2;
}

static void *build(struct file *f, const char *name, struct gguf **g)
{
	struct strbuf b = {0};
	struct hokku_error err = {0};
	uint64_t offset = 0;
	b_header(&b, 3, f->n_tensors, f->n_kv);
	strbuf_add(&b, f->kv.ptr, f->kv.len);
	for (uint64_t i = 0; i < f->n_tensors; i++) {
		const uint64_t dims[2] = {f->tensors[i].cols, f->tensors[i].rows};
		b_tensor(&b, f->tensors[i].name, f->tensors[i].rows ? 2 : 1, dims, f->tensors[i].type,
			 offset);
		offset += 4096;
	}
	b_pad(&b, 32);
	b_zeros(&b, offset);
	void *copy = malloc(b.len);
	memcpy(copy, b.ptr, b.len);
	if (gguf_open_memory(copy, b.len, name, g, &err))
		fail_msg("%s", err.message);
	strbuf_free(&b);
	strbuf_free(&f->kv);
	return copy;
}

/* want: the whole message, or what it begins with where it ends in "..." */
static void refused(struct file *f, const char *name, const char *want, const char *kind_text)
{
	struct gguf *g;
	struct model m;
	struct hokku_error err = {0};
	char text[64];
	void *copy = build(f, name, &g);
	size_t n = strlen(want);
	bool whole = n < 3 || strcmp(want + n - 3, "...") != 0;
	assert_int_equal(model_bind(&m, g, &err), HOKKU_MODEL_LOAD_FAILED);
	if (whole ? strcmp(err.message, want) : strncmp(err.message, want, n - 3))
		fail_msg("\n said:   %s\n wanted: %s", err.message, want);
	assert_string_equal(file_kind_text(g, text, sizeof text), kind_text);
	bool is_model = file_kind_of(g) == FILE_MODEL;
	assert_true(is_model == (strcmp(kind_text, "a model") == 0));
	assert_true(is_model == (file_kind_check(g, &err) == HOKKU_OK));
	gguf_close(g);
	free(copy);
}

static void a_model_is_one(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct file f;
		struct gguf *g;
		struct model m;
		struct hokku_error err = {0};
		char text[64];
		good_file(&f);
		if (i) /* 0: joined again; 1: split into one file */
			add_u16(&f, "split.count", (uint16_t)(i - 1));
		void *copy = build(&f, "x.gguf", &g);
		if (model_bind(&m, g, &err))
			fail_msg("%s", err.message);
		assert_int_equal(file_kind_of(g), FILE_MODEL);
		assert_string_equal(file_kind_text(g, text, sizeof text), "a model");
		model_unbind(&m);
		gguf_close(g);
		free(copy);
	}
}

#define ALONE                                                                                                   \
	" of a split model, without the others: they are found beside a part that is given as a file; what is " \
	"in memory must be a whole model"

/* In memory, where there are no others: a file is opened with all its parts (gguf/test_split.c). */
static void parts_of_a_split_model(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		uint16_t no, count;
		const char *message, *kind;
	} cases[] = {
		{"a/m-00001-of-00003.gguf", 0, 3, "a/m-00001-of-00003.gguf: this is part 1 of 3" ALONE,
		 "part 1 of 3 of a split model"},
		{"x.gguf", 1, 3, "x.gguf: this is part 2 of 3" ALONE, "part 2 of 3 of a split model"},
		{"x.gguf", 2, 3, "x.gguf: this is part 3 of 3" ALONE, "part 3 of 3 of a split model"},
		{"x.gguf", 12344, 65535, "x.gguf: this is part 12345 of 65535" ALONE,
		 "part 12345 of 65535 of a split model"},
		{"x.gguf", 3, 3,
		 "x.gguf: split.no is 3 and split.count 3: the file says that it is a part of a split model, "
		 "and contradicts itself",
		 "a part of a split model"},
	};
	for (int whole = 0; whole < 2; whole++) /* part 1 has all keys, the others none */
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			struct file f = {0};
			if (whole)
				good_file(&f);
			add_u16(&f, "split.no", cases[i].no);
			add_u16(&f, "split.count", cases[i].count);
			refused(&f, cases[i].path, cases[i].message, cases[i].kind);
		}
}

static void other_things(void **state)
{
	(void)state;
	static const struct {
		const char *key, *value, *tensor;
		const char *message, *kind;
	} cases[] = {
		{"general.type", "adapter", "blk.0.attn_q.weight.lora_a",
		 "x.gguf: this is a LoRA adapter: it holds...", "a LoRA adapter"},
		{"general.type", "model", "blk.0.attn_q.weight.lora_a",
		 "x.gguf: this is a LoRA adapter: it holds...", "a LoRA adapter"},
		{"general.name", "lora", "blk.0.attn_q.weight.lora_b",
		 "x.gguf: this is a LoRA adapter: it holds differences to the weights of a model; merge it "
		 "into that "
		 "one (llama.cpp's llama-export-lora, or PEFT's merge_and_unload) and give the merged model",
		 "a LoRA adapter"},
		{"general.type", "mmproj", "v.blk.0.attn_q.weight",
		 "x.gguf: this is an encoder of images or sound (mmproj): it goes beside...",
		 "an encoder of images or sound (mmproj)"},
		{"general.architecture", "clip", "v.blk.0.attn_q.weight",
		 "x.gguf: this is an encoder of images or sound (mmproj): it goes beside a language model; "
		 "hokku reads "
		 "text: give the language model's own file",
		 "an encoder of images or sound (mmproj)"},
		{"general.type", "imatrix", "blk.0.attn_q.weight.in_sum2",
		 "x.gguf: this is an importance matrix (imatrix): it helps to quantise a model and holds "
		 "none; give the "
		 "model's own file",
		 "an importance matrix (imatrix)"},
		{"imatrix.datasets", "wiki", "blk.0.attn_q.weight.in_sum2",
		 "x.gguf: this is an importance matrix (imatrix): it helps...",
		 "an importance matrix (imatrix)"},
		{"general.architecture", "controlvector", "direction.1",
		 "x.gguf: this is a control vector: it goes on top of a model and holds none; give the "
		 "model's own file",
		 "a control vector"},
		{"tokenizer.ggml.model", "gpt2", NULL,
		 "x.gguf: this is a vocabulary: it has no tensors, so it can be tokenized with but not run; "
		 "give a file "
		 "with the weights",
		 "a vocabulary"},
		{"general.architecture", "qwen2", NULL, "x.gguf: the file has no tensors: it holds no model",
		 "a model"},
		{"general.architecture", "bert", "token_embd.weight",
		 "x.gguf: general.architecture is \"bert\"; hokku knows qwen2...", "a model"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct file f = {0};
		add_str(&f, cases[i].key, cases[i].value);
		if (cases[i].tensor)
			add_tensor(&f, cases[i].tensor, TENSOR_F32, 32, 0);
		refused(&f, "x.gguf", cases[i].message, cases[i].kind);
	}
	struct file f = {0};
	add_u32(&f, "imatrix.chunk_count", 7);
	refused(&f, "x.gguf", "x.gguf: this is an importance matrix...", "an importance matrix (imatrix)");
}

/* prefix: before every tensor's name. */
static void wrapped(const char *prefix, const char *message)
{
	struct file f;
	char name[65];
	good_file(&f);
	for (uint64_t i = 0; i < f.n_tensors; i++) {
		snprintf(name, sizeof name, "%s%s", prefix, f.tensors[i].name);
		memcpy(f.tensors[i].name, name, sizeof name);
	}
	refused(&f, "x.gguf", message, "a model");
}

static void foreign_names_are_shown(void **state)
{
	(void)state;
	wrapped("_orig_mod.",
		"x.gguf: tensor token_embd.weight is missing; every qwen2 model has it. Names in the file "
		"that none has (14 of 14): \"_orig_mod.token_embd.weight\", "
		"\"_orig_mod.output_norm.weight\", ...; torch.compile wraps names so: take the weights "
		"out of the wrapper (._orig_mod) and convert them again");
	wrapped("base_model.model.",
		"x.gguf: tensor token_embd.weight is missing; every qwen2 model has it. Names in the file "
		"that none has (14 of 14): \"base_model.model.token_embd.weight\", "
		"\"base_model.model.output_norm.weight\", ...; PEFT wraps names so: ...");
	wrapped("module.",
		"x.gguf: tensor token_embd.weight is missing; every qwen2 model has it. Names in the file "
		"that none has (14 of 14): \"module.token_embd.weight\", "
		"\"module.output_norm.weight\", ...; torch's data parallelism wraps names so: ...");
	wrapped("mine/",
		"x.gguf: tensor token_embd.weight is missing; every qwen2 model has it. Names in the file "
		"that none has (14 of 14): \"mine/token_embd.weight\", \"mine/output_norm.weight\", ...");

	struct file f;
	good_file(&f);
	snprintf(f.tensors[0].name, 65, "model.embed_tokens.weight");
	refused(&f, "x.gguf",
		"x.gguf: tensor token_embd.weight is missing; every qwen2 model has it. Names in the file "
		"that none has (1 of 14): \"model.embed_tokens.weight\"; names are Hugging Face's: make the "
		"GGUF file "
		"with `hokku "
		"convert`",
		"a model");
	good_file(&f);
	snprintf(f.tensors[3].name, 65, "blk.0.attn_kv_a.weight");
	refused(&f, "x.gguf",
		"x.gguf: tensor blk.0.attn_q.weight is missing; every qwen2 model has it. Names in the file "
		"that none has (1 of 14): \"blk.0.attn_kv_a.weight\"",
		"a model");
	static const char *const near[] = {"blk..attn_q.weight", "blk.0", "blk.0attn_q.weight",
					   "blk.x.attn_q.weight"};
	for (size_t i = 0; i < sizeof near / sizeof *near; i++) {
		char want[256];
		good_file(&f);
		snprintf(f.tensors[3].name, 65, "%s", near[i]);
		snprintf(want, sizeof want,
			 "x.gguf: tensor blk.0.attn_q.weight is missing; every qwen2 model has it. Names in "
			 "the file that none has (1 of 14): \"%s\"",
			 near[i]);
		refused(&f, "x.gguf", want, "a model");
	}
	good_file(&f);
	snprintf(f.tensors[3].name, 65, "blk.1.attn_q.weight"); /* not foreign: a layer more */
	refused(&f, "x.gguf", "x.gguf: tensor blk.0.attn_q.weight is missing; every qwen2 model has it",
		"a model");
}

static void types_that_nobody_computes_with(void **state)
{
	(void)state;
	static const struct {
		uint32_t type;
		const char *text;
	} cases[] = {
		{4, "is stored as Q4_2 (type 4), which was removed from GGUF; Q4_0 took its place: take the "
		    "model's "
		    "Q4_0 file, or quantise it again"},
		{5, "is stored as Q4_3 (type 5), which was removed from GGUF; Q4_1 took its place: take..."},
		{31, "is stored as Q4_0_4_4 (type 31), which was removed from GGUF; Q4_0 took its place: "
		     "take..."},
		{32, "is stored as Q4_0_4_8 (type 32), which..."},
		{33, "is stored as Q4_0_8_8 (type 33), which..."},
		{36, "is stored as IQ4_NL_4_4 (type 36), which was removed from GGUF; IQ4_NL took its place: "
		     "take the model's IQ4_NL file, or quantise it again"},
		{37, "is stored as IQ4_NL_4_8 (type 37), which..."},
		{38, "is stored as IQ4_NL_8_8 (type 38), which..."},
		{TENSOR_MXFP4, "is stored as MXFP4, which hokku cannot compute with; it knows F32, ..."},
		{43,
		 "is stored as type 43, which is none of GGUF's types that this hokku has heard of; it "
		 "computes with "
		 "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K, Q2_K, Q3_K, IQ4_NL, IQ4_XS"},
		{UINT32_MAX, "is stored as type 4294967295, which..."},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct file f;
		char want[512];
		good_file(&f);
		f.tensors[13].type = cases[i].type;
		snprintf(want, sizeof want, "x.gguf: blk.0.ffn_down.weight %s", cases[i].text);
		refused(&f, "x.gguf", want, "a model");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_model_is_one),
		cmocka_unit_test(parts_of_a_split_model),
		cmocka_unit_test(other_things),
		cmocka_unit_test(foreign_names_are_shown),
		cmocka_unit_test(types_that_nobody_computes_with),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
