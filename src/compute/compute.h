/*
 * The one door to hardware. A backend runs forward passes ("steps") over a ragged batch of sequences:
 *
 *     open -> submit, collect, submit, collect ... -> close
 *
 * A step is computed between its submit and its collect; a device that runs ahead takes the next one
 * meanwhile, whose tokens may be those that the one under way will draw.
 *
 * The KV cache is paged: a sequence's position p lives in block blocks[p / COMPUTE_KV_BLOCK] of its block
 * table, of which it has one in each of the model's KV groups (model.kv_groups). The blocks are the same for
 * all groups: each has room for the layers of any, and serves one group of one sequence at a time. The caller
 * (the engine) owns the block tables and decides which blocks are whose; the backend owns the memory.
 *
 * Exactness: the logits of a token depend on the tokens before it in its own sequence and on nothing else:
 * not on the other sequences of the step, on how a prompt was cut into steps, or on the number of threads.
 *
 * Threads: one thread at a time uses a handle. Nothing is allocated in a step.
 */
#ifndef COMPUTE_COMPUTE_H
#define COMPUTE_COMPUTE_H

#include "base/build.h"
#include "base/error.h"
#include "compute/cache_type.h"
#include "model/model.h"

enum {
	COMPUTE_ABI = 8,
	COMPUTE_KV_BLOCK = 32,         /* positions a KV block */
	COMPUTE_MAX_BATCH = 2048,      /* most new tokens of one step */
	COMPUTE_MAX_LOGIT_BIAS = 1024, /* of a request; */
	COMPUTE_MAX_BIASES = 2048,     /* of a draw: with what the engine adds */
	COMPUTE_MAX_AHEAD = 2,         /* steps under way at most, on a device that runs ahead; else one */
	COMPUTE_NO_BLOCK = -1, /* as uint32_t, in a block table: these positions are out of all windows */
};

/* What a step gives of the hidden states of its tokens after the model's last norm, instead of logits or
 * beside them. */
enum compute_pooling {
	COMPUTE_POOL_OFF,
	COMPUTE_POOL_NONE, /* all: states is (n_tokens, d_model) */
	COMPUTE_POOL_LAST, /* the last token's: states is (d_model) */
	/* The mean over the sequence, however many steps it takes: states is (d_model) and holds the sum over
	 * positions 0 .. pos - 1 as the step before left it (at pos 0 anything); the step adds its tokens',
	 * in the order of positions, and divides by their number where `ends`. */
	COMPUTE_POOL_MEAN,
};

struct compute_params {
	const struct model *model; /* borrowed until close */
	const char *device; /* "cpu", "cpu:reference", "cuda", "cuda:N"; "auto": the first GPU that can be
			     * used, if the model fits it, else the CPU */
	uint32_t n_threads; /* CPU; 0: one a core this process may run on */
	uint32_t n_ctx;     /* most positions of a sequence */
	uint32_t n_seqs;    /* most sequences of a step */
	/* The fewest KV blocks; 0: ceil(n_ctx / COMPUTE_KV_BLOCK) for each of n_seqs in each KV group. */
	uint32_t n_kv_blocks;
	/* The most: a GPU gives to KV what it has left, up to so many blocks. 0: the fewest and no more. */
	uint32_t n_kv_blocks_max;
	uint64_t kv_bytes; /* other than 0: the whole blocks that fit in so much, whatever the two above say;
			    * INVALID_REQUEST if these are not the fewest */
	uint64_t vram_limit;   /* other than 0: most bytes of a GPU's memory for weights, KV and scratch */
	uint64_t ram_limit;    /* the same of the host's on a CPU; 0: what is available */
	uint32_t n_batch;      /* most new tokens of a step, COMPUTE_MAX_BATCH at most; 0: 512 */
	bool all_logits;       /* steps may ask for the logits of every token: scratch for it is set aside */
	bool pooled;           /* steps may ask for hidden states; the same */
	uint32_t n_open_masks; /* sequences of a step at most whose masks follow; the same */
	/* While weights are prepared: bytes done and all there are, done == all once and last. May be NULL.
	 */
	void (*on_progress)(void *user, uint64_t done, uint64_t all);
	/* Asked between two pieces of weights; true ends the opening (CANCELLED). May be NULL. */
	bool (*stopped)(void *user);
	void *user;
	/* Of host memory: so many KV blocks, where that is more than the fewest. Pages that no
	 * step has written take none. */
	uint32_t n_kv_blocks_host;
	/* How keys and values are stored; INVALID_REQUEST if the device cannot. */
	struct cache_types cache;
};

/* How one sequence draws its tokens; ranges are checked by the engine before. docs/sampling.md has the stages
 * and their order. */
struct sampling {
	float temperature; /* 0: the largest logit, ties to the smaller id */
	int32_t top_k;     /* 0: off */
	float top_p;       /* 1: off */
	float min_p;       /* 0: off */
	float repetition_penalty;
	float frequency_penalty;
	float presence_penalty;
	/* Stages that not every device has: sampling_is_plain. */
	float top_n_sigma; /* 0 and less: off */
	float typical_p;   /* 0, 1: off */
	float xtc_probability, xtc_threshold;
	float dynatemp_range, dynatemp_exponent;
	int32_t mirostat; /* 0: off, 1, 2 */
	float mirostat_tau, mirostat_eta;
	/* The engine's alone: it makes windows of histories, and biases, of them. */
	int32_t repeat_last_n;
	float dry_multiplier, dry_base;
	int32_t dry_allowed_length, dry_penalty_last_n;
	uint64_t seed;
	const struct hokku_logit_bias *bias; /* (n_bias) */
	uint32_t n_bias;
};

/* Are top-k, top-p and min-p all that takes part beside temperature and penalties? A greedy draw always is.
 */
static inline bool sampling_is_plain(const struct sampling *p)
{
	return p->temperature == 0 || !(p->top_n_sigma > 0 || (p->typical_p > 0 && p->typical_p < 1) ||
					p->xtc_probability > 0 || p->dynatemp_range > 0 || p->mirostat);
}

struct token_logprobs;

struct compute_seq {
	/* in */
	const int32_t *tokens; /* (n_tokens) new tokens */
	/* Other than 0: the last of tokens, and of history, is what sequence from - 1 of the step that was
	 * submitted before this one draws; it is under way, and what stands there is not looked at. */
	uint32_t from;
	uint32_t n_tokens; /* at least 1 */
	uint32_t pos;      /* position of tokens[0] */
	/* KV blocks of positions 0 .. pos + n_tokens - 1, in order; those that new tokens lie in
	 * are this sequence's alone. One table a KV group, that
	 * of group g from blocks[g * blocks_pitch] on. A group with a window may have COMPUTE_NO_BLOCK for
	 * blocks that lie wholly behind the window of tokens[0]. */
	const uint32_t *blocks;
	uint32_t blocks_pitch;           /* of a model with one group anything */
	const struct sampling *sampling; /* NULL: no token is drawn after the last one */
	/* (n_history) prompt and answer so far, for the penalties; ids of no vocabulary entry do not count */
	const int32_t *history;
	/* Other than 0: the sequence's own number, in all its steps and in no other's; then a device may keep
	 * its history in place `slot`, below n_seqs, which no other sequence of the step has. */
	uint64_t id;
	uint32_t slot;
	uint32_t n_history;
	uint32_t n_prompt;    /* the first n_prompt of history are the prompt */
	const uint32_t *mask; /* NULL, or a bit a vocabulary entry: 1 allowed */
	/* The mask follows by compute_mask, while the step is under way: its draw alone waits for it. Nothing
	 * is fed from such a sequence. */
	bool mask_open;
	double *mirostat_mu; /* of mirostat, in and out; NULL: as at an answer's beginning */
	/* NULL, or where it goes how likely the token drawn was, and the n_chances (20 at most) likeliest,
	 * after all stages (logprobs.h): drawn by the host unless the device draws with all stages
	 * (compute_draws). */
	struct token_logprobs *chances;
	uint32_t n_chances;
	float *logits;   /* NULL, or where logits go, as the model gave them */
	bool all_logits; /* logits is (n_tokens, n_vocab) instead of (n_vocab), of the last token */
	enum compute_pooling pooling;
	float *states;             /* where what pooling says goes */
	bool ends;                 /* the sequence is complete with these tokens: COMPUTE_POOL_MEAN divides */
	struct hokku_error *error; /* NULL, or where it is said why this sequence alone was left out */
	/* out */
	enum hokku_code code; /* HOKKU_OK, or it was left out: nothing of it was touched */
	int32_t token;        /* drawn; untouched without sampling */
	float logprob; /* of the token under the model's own distribution (temperature 1, no penalties) */
};

/* What a handle holds, by class, and what the device's driver says. */
struct compute_memory {
	uint64_t weight_bytes, kv_bytes, scratch_bytes;
	uint64_t graph_bytes;   /* prepared sequences of kernels */
	uint64_t runtime_bytes; /* what the driver took beside all that while the model was opened: kernels
				 * and their stacks, streams, and the grain of its allocator; counted by its
				 * own figure */
	uint32_t n_kv_blocks;
	struct cache_types cache; /* as they are stored: never CACHE_DEFAULT */
	/* Of all processes, 0 on a CPU. The first as it was before the handle took anything, in the device's
	 * context. */
	uint64_t device_free_before_bytes, device_free_bytes, device_total_bytes;
};

struct compute;

/* Checks that every format of the model has kernels, sets aside all memory, reads and prepares the weights:
 * what becomes of the model's file afterwards is nothing to the handle. IO_ERROR if the file was cut or
 * written to meanwhile. What does not fit is refused before a weight is read, with both numbers and what
 * would fit: INSUFFICIENT_VRAM of a GPU, INSUFFICIENT_MEMORY of the host. */
enum hokku_code compute_open(const struct compute_params *params, struct compute **out,
			     struct hokku_error *err);
void compute_close(struct compute *c); /* NULL is allowed */

/* What compute_open would take, to the byte, nothing being taken. */
struct compute_need {
	char device[400];             /* as compute_device would say */
	struct compute_memory memory; /* graphs and runtime: 0, as nobody but the driver knows; where it does
				       * not fit KV is the fewest blocks */
	uint64_t kv_block_bytes;      /* of a KV block, with room for the layers of any group */
	uint64_t available_bytes;     /* of the device, or the limit that was set; UINT64_MAX: nobody knows */
	bool fits;
};

/* The bytes of all classes. */
uint64_t compute_memory_sum(const struct compute_memory *m);

/* Errors are those of compute_open, but for a lack of memory, which is no error here; INVALID_REQUEST also of
 * a device that cannot tell ("cpu:reference"). A GPU's context is made. Another handle may be at work. */
enum hokku_code compute_need(const struct compute_params *params, struct compute_need *out,
			     struct hokku_error *err);

/*
 * One forward pass over n sequences. A sequence that asks for what it may not is left out and told so in its
 * own code and error at once; the others run, with the bits of their lone runs. An error of the step itself
 * (there are too many sequences or tokens; of n sequences none could run: then the first's) is returned, and
 * nothing of it is under way; unless it is one of these kinds, no sequence's state has meaning any more.
 *
 * seqs, and what they point to for results (logits, states, error), stay in place until the step is
 * collected. A device that runs ahead has taken over all else; one that does not computes when it is asked
 * for the results, so that nothing may change before.
 */
enum hokku_code compute_submit(struct compute *c, struct compute_seq *seqs, uint32_t n,
			       struct hokku_error *err);

/* The mask of sequence s, which left it open, of the step that is collected next; copied. A mask that does
 * not come leaves its sequence without a token, and with the code CANCELLED. INTERNAL: there is none such, or
 * it has come. */
enum hokku_code compute_mask(struct compute *c, uint32_t s, const uint32_t *mask, struct hokku_error *err);

/* Waits for the oldest step under way and fills its sequences' results. An error is the device's, and then no
 * sequence's state has meaning any more. INTERNAL: nothing is under way. */
enum hokku_code compute_collect(struct compute *c, struct hokku_error *err);

/* Both, with nothing under way before. */
enum hokku_code compute_step(struct compute *c, struct compute_seq *seqs, uint32_t n,
			     struct hokku_error *err);

/* May a step be submitted while another is under way? */
bool compute_runs_ahead(const struct compute *c);

/* Does the device draw so itself? Where it does not the host does when the step is collected, with the same
 * bits: such a sequence gives room for its logits, has its mask with it, nothing goes on from it before it is
 * collected, and nothing that it points to changes until then. */
bool compute_draws(const struct compute *c, const struct sampling *sampling);

/* "cpu (avx512, 2 threads)". Lives as long as the handle. */
const char *compute_device(const struct compute *c);

/* Why "auto" became this device, in words that follow "because"; NULL where a device was named. *notable: a
 * GPU is there, or half of what it needs, and was passed over. Lives as long as the handle. */
const char *compute_why(const struct compute *c, bool *notable);

/* The device's own figures are those of the opening, or of the last compute_check. */
void compute_get_memory(const struct compute *c, struct compute_memory *out);

/* Between steps: is all of it still in the device's own memory? DEVICE_ERROR says what is not, or how the
 * device failed; then the handle is of no more use. */
enum hokku_code compute_check(struct compute *c, struct hokku_error *err);

/* Bytes of what one KV block holds of a group: its positions in all layers of the group. */
uint64_t compute_kv_bytes(const struct compute *c, uint32_t group);

/* Copies what a KV block holds out of the device's memory, or into it; to and from are compute_kv_bytes.
 * Between steps: the block is one that no later step is to write, or to read meanwhile. DEVICE_ERROR: as of
 * a step. */
enum hokku_code compute_kv_read(struct compute *c, uint32_t group, uint32_t block, void *to,
				struct hokku_error *err);
enum hokku_code compute_kv_write(struct compute *c, uint32_t group, uint32_t block, const void *from,
				 struct hokku_error *err);

/* What the bits of a KV block depend on beside the model and the tokens. A handle may write what another
 * one has read where all texts are the same. */
struct compute_kv_kind {
	char build[BUILD_ID_TEXT]; /* the program or plugin that computes */
	char device[128];          /* whose sums they are: "cpu", "cuda, compute capability 9.0, tile path" */
	char layout[128];          /* types and order: "float32, 28 layers, 8 heads of 128 numbers, ..." */
};
void compute_kv_describe(const struct compute *c, struct compute_kv_kind *out);

/* What a backend is: a row in open.c's table. `self` is whatever open made. */
struct compute_backend {
	const char *name; /* what --device calls it */
	/* What of a model's specs it carries out; NULL: open says so itself, as it has several ways to run a
	 * model. */
	const struct spec_support *can;
	uint32_t cache_types; /* bits of those that it stores (cache_type.h); 0: open says so itself */
	enum hokku_code (*open)(const struct compute_params *params, void **self, struct hokku_error *err);
	void (*close)(void *self);
	/* Sequences that compute.c has found good, none with `from`; masks that were open are there. */
	enum hokku_code (*step)(void *self, struct compute_seq *seqs, uint32_t n, struct hokku_error *err);
	/* Of a device that runs ahead; NULL: it does not. `from` counts as in the submit before, whose
	 * sequences are the same until it is collected; steps are collected in their order. A sequence whose
	 * mask has not come by then has no sampling any more. */
	enum hokku_code (*submit)(void *self, const struct compute_seq *seqs, uint32_t n,
				  struct hokku_error *err);
	enum hokku_code (*mask)(void *self, uint32_t s, const uint32_t *mask, struct hokku_error *err);
	enum hokku_code (*collect)(void *self, struct compute_seq *seqs, uint32_t n, struct hokku_error *err);
	const char *(*device)(const void *self);
	void (*get_memory)(const void *self, struct compute_memory *out);
	enum hokku_code (*check)(void *self, struct hokku_error *err); /* NULL: nothing can go wrong */
	uint64_t (*kv_bytes)(const void *self, uint32_t group);
	enum hokku_code (*kv_read)(void *self, uint32_t group, uint32_t block, void *to,
				   struct hokku_error *err);
	enum hokku_code (*kv_write)(void *self, uint32_t group, uint32_t block, const void *from,
				    struct hokku_error *err);
	void (*kv_describe)(const void *self, struct compute_kv_kind *out);
	/* What open would take (compute_need), params being checked; NULL: it cannot tell. */
	enum hokku_code (*need)(const struct compute_params *params, struct compute_need *out,
				struct hokku_error *err);
	bool all_stages; /* it draws however sampling says; else only where that is plain */
};
extern const struct compute_backend compute_cpu;           /* cpu/: the fast path */
extern const struct compute_backend compute_cpu_reference; /* cpu/: plain loops in float32, the oracle */

/* NULL-terminated list of the built-in devices' names, for messages and help. Those of a plugin ("cuda",
 * "cuda:N") are found when they are asked for (plugin.h). */
const char *const *compute_device_names(void);

#endif
