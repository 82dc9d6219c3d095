/*
 * A model made of a script, in place of the rooms below the engine: the linker takes these definitions before
 * it looks into their libraries. The "device" sleeps for a set time a token and draws the tokens of the
 * script in turn, so that a test knows to the byte what must come out, and when. Included once by each test
 * that wants it.
 */
#ifndef TEST_ENGINE_FAKE_H
#define TEST_ENGINE_FAKE_H

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "engine/engine.h"
#include "hf/folder.h"
#include "model/identity.h"
#include "model/kind.h"

/* Tokens: 0 ends an answer, 1 is a control token, 2 begins a text where fake.has_bos; then these. */
static const char *const fake_pieces[] = {"<end>", "<ctl>", "<bos>", "a",    "b", "ab", " c", "\xE3",
					  "\x81",  "\x82",  "\xFF",  "STOP", "S", "T",  "OP", "hello world"};
enum {
	FAKE_END,
	FAKE_CTL,
	FAKE_BOS,
	FAKE_A,
	FAKE_B,
	FAKE_AB,
	FAKE_C,
	FAKE_E3,
	FAKE_81,
	FAKE_82,
	FAKE_FF,
	FAKE_STOP,
	FAKE_S,
	FAKE_T,
	FAKE_OP,
	FAKE_HELLO,
	FAKE_N_VOCAB
};

enum {
	FAKE_MAX_STEPS = 4096,
	FAKE_KV_BYTES = 100, /* of a block; */
	FAKE_KV_BLOCKS = 256,
};

static struct {
	/* set by the test, before the engine exists or while it is idle */
	int32_t script[64]; /* the answer's tokens; past its end always FAKE_A */
	uint32_t n_script;
	bool has_bos;
	uint32_t n_ctx_train;
	unsigned load_ms, token_us, step_us;
	uint32_t n_kv_blocks; /* 0: as many as were asked for */
	enum hokku_code load_code, tok_code, chat_code;
	/* the step that fails as a whole, counted from 1; 0: none */
	unsigned fail_step;
	enum hokku_code fail_code;
	int32_t fail_token; /* sequences that begin with it are left out with fail_code; 0: none */
	/* what happened; the engine's thread writes */
	atomic_uint n_steps;
	struct {
		uint32_t pos, n_tokens;
		int32_t token; /* the first of them */
		bool drew;
		uint32_t n_seqs;
	} steps[FAKE_MAX_STEPS];
	struct compute_params
		params; /* what the device was opened with; its pointers are not to be followed */
	/* of the device's memory */
	atomic_uint n_checks;
	atomic_bool check_fails, check_hangs;
	bool ahead; /* it runs ahead: two steps may be under way */
	atomic_uint most_under_way;
	uint8_t kv[FAKE_KV_BLOCKS][FAKE_KV_BYTES]; /* by their numbers; steps write nothing */
	/* while closed, a step waits */
	atomic_bool gate_closed;
	unsigned encode_us;           /* tok_encode takes so long */
	atomic_uint most_biases;      /* of a draw */
	atomic_uint n_masked, n_late; /* draws with a mask; of these those whose mask came after submit */
} fake;

/* Steps under way, the oldest first. */
static struct {
	struct compute_seq *seqs;
	uint32_t n;
	int32_t token; /* the first of the first: what goes in is not looked at later */
	/* Where each writes last: a device that waits reads that when it computes. */
	uint32_t blocks[ENGINE_MAX_PARALLEL];
	bool masked[ENGINE_MAX_PARALLEL];
	uint32_t masks[ENGINE_MAX_PARALLEL];     /* FAKE_N_VOCAB bits each */
	uint32_t forbidden[ENGINE_MAX_PARALLEL]; /* by biases */
} fake_flights[COMPUTE_MAX_AHEAD];
static atomic_uint fake_n_flights;

static bool fake_runs_ahead; /* what fake_reset makes of fake.ahead */

static inline void fake_sleep_us(uint64_t us)
{
	nanosleep(&(struct timespec){(time_t)(us / 1000000), (long)(us % 1000000 * 1000)}, NULL);
}

static inline void fake_reset(const int32_t *script, uint32_t n)
{
	memset(&fake, 0, sizeof fake);
	fake_n_flights = 0;
	fake.ahead = fake_runs_ahead;
	fake.n_ctx_train = 4096;
	if (n)
		memcpy(fake.script, script, n * sizeof *script);
	fake.n_script = n;
}

static int fake_object; /* what the handles point at */

enum hokku_code gguf_open_file(const char *path, struct gguf **out, struct hokku_error *err)
{
	if (strcmp(path, "missing.gguf") == 0)
		return err_set(err, HOKKU_NOT_FOUND, "missing.gguf: No such file or directory");
	*out = (struct gguf *)&fake_object;
	return HOKKU_OK;
}

enum hokku_code gguf_open_memory(const void *bytes, size_t n, const char *name, struct gguf **out,
				 struct hokku_error *err)
{
	(void)bytes;
	(void)n;
	return gguf_open_file(name, out, err);
}

enum hokku_code hf_open(const struct hf_options *o, struct hf_folder **out, struct hokku_error *err)
{
	*out = NULL;
	return err_set(err, HOKKU_NOT_FOUND, "%s: no folder is faked", o->dir);
}

struct gguf *hf_model(const struct hf_folder *f)
{
	(void)f;
	return NULL;
}

void gguf_close(struct gguf *g)
{
	(void)g;
}

void sampling_read_advice(const struct gguf *g, struct sampling_advice *out,
			  void (*note)(void *user, const char *text), void *user)
{
	(void)g, (void)note, (void)user;
	*out = (struct sampling_advice){0};
}

const char *gguf_path(const struct gguf *g)
{
	(void)g;
	return "fake.gguf";
}

enum file_kind file_kind_of(const struct gguf *g)
{
	(void)g;
	return FILE_MODEL;
}

enum hokku_code file_kind_check(const struct gguf *g, struct hokku_error *err)
{
	(void)g;
	(void)err;
	return HOKKU_OK;
}

enum hokku_code tok_create(const struct gguf *g, struct tok **out, struct hokku_error *err)
{
	(void)g;
	*out = NULL;
	if (fake.tok_code)
		return err_set(err, fake.tok_code, "the fake has no words");
	*out = (struct tok *)&fake_object;
	return HOKKU_OK;
}

void tok_destroy(struct tok *t)
{
	(void)t;
}

const char *tok_kind(const struct tok *t)
{
	(void)t;
	return "fake/fake";
}

const char *const *tok_notes(const struct tok *t)
{
	static const char *const notes[] = {"a note of the fake's", NULL};
	(void)t;
	return notes;
}

uint32_t tok_n_vocab(const struct tok *t)
{
	(void)t;
	return FAKE_N_VOCAB;
}

struct str tok_bytes(const struct tok *t, int32_t id)
{
	(void)t;
	return str_c(id < FAKE_N_VOCAB ? fake_pieces[id] : "");
}

enum tok_type tok_type(const struct tok *t, int32_t id)
{
	(void)t;
	return id <= FAKE_BOS ? TOK_CONTROL : TOK_NORMAL;
}

int32_t tok_bos(const struct tok *t)
{
	(void)t;
	return fake.has_bos ? FAKE_BOS : -1;
}

enum hokku_code tok_ids_push(struct tok_ids *ids, int32_t id, struct hokku_error *err)
{
	(void)err;
	ids->ids = realloc(ids->ids, (ids->n + 1) * sizeof *ids->ids);
	ids->ids[ids->n++] = id;
	return HOKKU_OK;
}

void tok_ids_free(struct tok_ids *ids)
{
	free(ids->ids);
	*ids = (struct tok_ids){0};
}

/* The longest token first; bytes that begin none are left out. */
enum hokku_code tok_encode(const struct tok *t, struct str text, unsigned flags, struct tok_ids *out,
			   struct hokku_error *err)
{
	(void)flags;
	fake_sleep_us(fake.encode_us);
	for (size_t i = 0; i < text.len;) {
		int32_t best = -1;
		size_t n = 0;
		for (int32_t id = FAKE_A; id < FAKE_N_VOCAB; id++) {
			struct str s = tok_bytes(t, id);
			if (s.len > n && s.len <= text.len - i && memcmp(s.ptr, text.ptr + i, s.len) == 0) {
				best = id;
				n = s.len;
			}
		}
		if (best >= 0)
			tok_ids_push(out, best, err);
		i += best >= 0 ? n : 1;
	}
	return HOKKU_OK;
}

bool tok_is_end(const struct tok *t, int32_t id)
{
	(void)t;
	return id == FAKE_END;
}

int32_t tok_find_special(const struct tok *t, struct str name)
{
	(void)t;
	(void)name;
	return -1; /* it has none */
}

void chat_deinit(struct chat *c)
{
	(void)c;
}

enum hokku_code chat_init(struct chat *c, const struct gguf *g, struct str source, struct hokku_error *err)
{
	(void)g;
	(void)source;
	*c = (struct chat){.kind = CHAT_NONE};
	return fake.chat_code ? err_set(err, fake.chat_code, "the fake does not chat") : HOKKU_OK;
}

enum hokku_code model_bind(struct model *m, const struct gguf *g, struct hokku_error *err)
{
	(void)g;
	(void)err;
	*m = (struct model){.arch_name = "fake", .name = "fake", .format_name = "F32"};
	m->hp.n_vocab = FAKE_N_VOCAB;
	m->hp.n_ctx_train = fake.n_ctx_train;
	m->n_kv_groups = 1;
	return HOKKU_OK;
}

void model_set_context(struct model *m, uint32_t n_ctx)
{
	(void)m;
	(void)n_ctx;
}

void model_group_kv(struct model *m)
{
	(void)m;
}

void model_unbind(struct model *m)
{
	(void)m;
}

enum hokku_code compute_open(const struct compute_params *params, struct compute **out,
			     struct hokku_error *err)
{
	fake.params = *params;
	for (unsigned i = 0; i < 10; i++) {
		fake_sleep_us(fake.load_ms * 100);
		params->on_progress(params->user, i + 1, 10);
	}
	if (fake.load_code)
		return err_set(err, fake.load_code, "the fake does not want to load");
	*out = (struct compute *)&fake_object;
	return HOKKU_OK;
}

enum hokku_code compute_need(const struct compute_params *params, struct compute_need *out,
			     struct hokku_error *err)
{
	(void)params;
	(void)out;
	return err_set(err, HOKKU_INVALID_REQUEST, "the fake does not tell what it would take");
}

void compute_close(struct compute *c)
{
	(void)c;
}

/* Waits until no step is under way: one may be, though all requests have ended. */
static inline void fake_wait_still(void)
{
	while (atomic_load(&fake_n_flights))
		fake_sleep_us(200);
}

static inline uint32_t fake_last_block(const struct compute_seq *seq)
{
	return seq->blocks[(seq->pos + seq->n_tokens - 1) / COMPUTE_KV_BLOCK];
}

bool compute_runs_ahead(const struct compute *c)
{
	(void)c;
	return fake.ahead;
}

bool compute_draws(const struct compute *c, const struct sampling *sampling)
{
	(void)c;
	(void)sampling;
	return true;
}

enum hokku_code compute_submit(struct compute *c, struct compute_seq *seqs, uint32_t n,
			       struct hokku_error *err)
{
	(void)c;
	uint32_t n_good = 0;
	if (fake_n_flights == (fake.ahead ? COMPUTE_MAX_AHEAD : 1))
		return err_set(err, HOKKU_INTERNAL, "the fake has enough to do");
	for (uint32_t s = 0; s < n; s++) {
		const struct compute_seq *before =
			seqs[s].from && fake_n_flights ? &fake_flights[0].seqs[seqs[s].from - 1] : NULL;
		/* The sequence that is to fail begins with this token. */
		seqs[s].code =
			fake.fail_token && seqs[s].history[0] == fake.fail_token ? fake.fail_code : HOKKU_OK;
		n_good += !seqs[s].code;
		if (seqs[s].code)
			err_set(seqs[s].error, fake.fail_code, "the fake does not like this one");
		/* A token that is still being drawn is named so, and nothing else is. */
		else if (before ? before->pos + before->n_tokens != seqs[s].pos || !before->sampling
				: seqs[s].from || seqs[s].tokens[seqs[s].n_tokens - 1] < 0)
			return err_set(err, HOKKU_DEVICE_ERROR, "the fake was given a token that is none");
	}
	if (n_good == 0)
		return err_set(err, fake.fail_code, "%s", seqs[0].error->message);
	fake_flights[fake_n_flights].seqs = seqs;
	fake_flights[fake_n_flights].token = seqs[0].tokens[0];
	for (uint32_t s = 0; s < n; s++) {
		fake_flights[fake_n_flights].blocks[s] = fake_last_block(&seqs[s]);
		fake_flights[fake_n_flights].masked[s] = seqs[s].mask != NULL;
		fake_flights[fake_n_flights].forbidden[s] = 0;
		for (uint32_t i = 0; seqs[s].sampling && i < seqs[s].sampling->n_bias; i++)
			if (seqs[s].sampling->bias[i].bias == -INFINITY)
				fake_flights[fake_n_flights].forbidden[s] |=
					1u << seqs[s].sampling->bias[i].token;
		if (seqs[s].sampling && seqs[s].sampling->n_bias > atomic_load(&fake.most_biases))
			atomic_store(&fake.most_biases, seqs[s].sampling->n_bias);
		if (seqs[s].mask)
			fake_flights[fake_n_flights].masks[s] = *seqs[s].mask;
	}
	fake_flights[fake_n_flights++].n = n;
	if (fake_n_flights > atomic_load(&fake.most_under_way))
		atomic_store(&fake.most_under_way, fake_n_flights);
	return HOKKU_OK;
}

/* What follows is the likeliest, in the prompt and behind it; the others are told apart by their ids. */
static inline void fake_logits(const struct compute_seq *seq)
{
	uint32_t n = seq->all_logits ? seq->n_tokens : 1;
	for (uint32_t i = 0; i < n; i++) {
		int32_t next = i + 1 < n ? seq->tokens[i + 1] : seq->token;
		if (i + 1 == n && !seq->sampling) /* a piece of the prompt */
			next = seq->history[seq->pos + seq->n_tokens];
		for (int32_t t = 0; t < FAKE_N_VOCAB; t++)
			seq->logits[i * FAKE_N_VOCAB + (uint32_t)t] = t == next ? 2 : -(float)t;
	}
}

enum hokku_code compute_mask(struct compute *c, uint32_t s, const uint32_t *mask, struct hokku_error *err)
{
	(void)c;
	if (!fake_n_flights || s >= fake_flights[0].n || !fake_flights[0].seqs[s].mask_open)
		return err_set(err, HOKKU_DEVICE_ERROR, "the fake got a mask that nobody waits for");
	fake_flights[0].seqs[s].mask_open = false;
	fake_flights[0].masked[s] = true;
	fake_flights[0].masks[s] = *mask;
	atomic_fetch_add(&fake.n_late, 1);
	return HOKKU_OK;
}

/* The script's token, or the first that the mask allows and no bias forbids. */
static inline int32_t fake_draw(const struct compute_seq *seq, bool masked, uint32_t mask, uint32_t forbidden)
{
	const uint32_t all = FAKE_N_VOCAB < 32 ? (1u << FAKE_N_VOCAB % 32) - 1 : UINT32_MAX;
	uint32_t n_answer = seq->n_history - seq->n_prompt;
	int32_t token = n_answer < fake.n_script ? fake.script[n_answer] : FAKE_A;
	atomic_fetch_add(&fake.n_masked, masked);
	mask = masked ? mask : all;
	mask &= ~forbidden;
	if (!(masked || forbidden) || (token >= 0 && mask >> token & 1))
		return token;
	return mask ? __builtin_ctz(mask) : -1;
}

enum hokku_code compute_collect(struct compute *c, struct hokku_error *err)
{
	(void)c;
	struct compute_seq *seqs = fake_flights[0].seqs, *seq = &seqs[0];
	uint32_t n_tokens = 0, n = fake_flights[0].n;
	for (uint32_t s = 0; s < n; s++)
		n_tokens += seqs[s].n_tokens;
	while (atomic_load(&fake.gate_closed))
		fake_sleep_us(200);
	bool masked[ENGINE_MAX_PARALLEL];
	uint32_t masks[ENGINE_MAX_PARALLEL], forbidden[ENGINE_MAX_PARALLEL];
	memcpy(forbidden, fake_flights[0].forbidden, sizeof forbidden);
	memcpy(masked, fake_flights[0].masked, sizeof masked);
	memcpy(masks, fake_flights[0].masks, sizeof masks);
	for (uint32_t s = 0; s < n && !fake.ahead; s++)
		if (!seqs[s].code && fake_last_block(&seqs[s]) != fake_flights[0].blocks[s])
			return err_set(err, HOKKU_DEVICE_ERROR, "a block table changed under the fake");
	fake_sleep_us(fake.step_us + (uint64_t)fake.token_us * n_tokens);
	unsigned i = atomic_load(&fake.n_steps);
	if (i < FAKE_MAX_STEPS) {
		fake.steps[i].pos = seq->pos;
		fake.steps[i].n_tokens = seq->n_tokens;
		fake.steps[i].token = fake_flights[0].token;
		fake.steps[i].drew = seq->sampling != NULL;
		fake.steps[i].n_seqs = n;
	}
	atomic_store(&fake.n_steps, i + 1);
	fake_flights[0] = fake_flights[1];
	fake_n_flights--;
	if (fake.fail_step == i + 1)
		return err_set(err, fake.fail_code, "the fake device failed");
	for (uint32_t s = 0; s < n; s++) {
		if (!seqs[s].code && seqs[s].mask_open)
			seqs[s].code = HOKKU_CANCELLED;
		else if (!seqs[s].code && seqs[s].sampling)
			seqs[s].token = fake_draw(&seqs[s], masked[s], masks[s], forbidden[s]);
		if (!seqs[s].code && seqs[s].logits)
			fake_logits(&seqs[s]);
	}
	return HOKKU_OK;
}

const char *compute_device(const struct compute *c)
{
	(void)c;
	return "fake device";
}

const char *compute_why(const struct compute *c, bool *notable)
{
	(void)c;
	*notable = false;
	return NULL;
}

void compute_get_memory(const struct compute *c, struct compute_memory *out)
{
	(void)c;
	*out = (struct compute_memory){.weight_bytes = 1,
				       .kv_bytes = 2,
				       .scratch_bytes = 3,
				       .n_kv_blocks =
					       fake.n_kv_blocks ? fake.n_kv_blocks : fake.params.n_kv_blocks};
}

enum hokku_code compute_check(struct compute *c, struct hokku_error *err)
{
	(void)c;
	while (atomic_load(&fake.check_hangs))
		fake_sleep_us(200);
	atomic_fetch_add(&fake.n_checks, 1);
	return atomic_load(&fake.check_fails) ? err_set(err, HOKKU_DEVICE_ERROR, "the fake's memory is gone")
					      : HOKKU_OK;
}

enum hokku_code model_identity(const struct gguf *g, uint64_t *out, struct hokku_error *err)
{
	(void)g;
	(void)err;
	*out = 0x5eed;
	return HOKKU_OK;
}

uint64_t model_rope_identity(const struct model *m)
{
	(void)m;
	return 1;
}

uint64_t compute_kv_bytes(const struct compute *c, uint32_t group)
{
	(void)c;
	(void)group;
	return FAKE_KV_BYTES;
}

static uint8_t *fake_kv(uint32_t block)
{
	return fake.kv[block % FAKE_KV_BLOCKS];
}

enum hokku_code compute_kv_read(struct compute *c, uint32_t group, uint32_t block, void *to,
				struct hokku_error *err)
{
	(void)c;
	(void)group;
	(void)err;
	memcpy(to, fake_kv(block), FAKE_KV_BYTES);
	return HOKKU_OK;
}

enum hokku_code compute_kv_write(struct compute *c, uint32_t group, uint32_t block, const void *from,
				 struct hokku_error *err)
{
	(void)c;
	(void)group;
	(void)err;
	memcpy(fake_kv(block), from, FAKE_KV_BYTES);
	return HOKKU_OK;
}

void compute_kv_describe(const struct compute *c, struct compute_kv_kind *out)
{
	(void)c;
	*out = (struct compute_kv_kind){.build = "fake build", .device = "fake", .layout = "fake layout"};
}

#endif
