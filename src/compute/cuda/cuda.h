/* The handle of the CUDA backend: what cuda.c sets up and a path (plain/, tile/ with decode/) runs. */
#ifndef COMPUTE_CUDA_CUDA_H
#define COMPUTE_CUDA_CUDA_H

#include "compute/cuda/kernels.h"
#include "compute/cuda/ledger.h"

/* Rows of logits that are computed, and drawn from, together, at most: the tile path reads the output matrix
 * once for so many. */
enum { PLAIN_LOGIT_ROWS = 32, TILE_LOGIT_ROWS = 128 };

/* What one step sends to the device in one copy; all parts lie in one buffer, here and there at the same
 * offsets, which each step has its own. Capacities are set at open. */
struct cuda_input {
	uint8_t *hosts[COMPUTE_MAX_AHEAD], *devices[COMPUTE_MAX_AHEAD]; /* of each step under way; pinned */
	uint8_t *host, *device;                                         /* of the step that is laid out */
	uint64_t bytes;
	uint64_t tokens_at, rows_at, draws_at, words_at; /* offsets */
	uint64_t n_words_max;
	struct cuda_token *tokens; /* (n_batch), all in host */
	uint32_t *rows;            /* (n_batch) tokens whose logits are wanted */
	struct cuda_draw *draws;   /* (n_seqs) */
	uint32_t *words;           /* block tables, biases, histories, masks */
	uint32_t n_tokens, n_rows, n_draws;
	uint32_t n_fed; /* tokens that the step before draws */
	bool logits;    /* some sequence wants them */
	bool states;    /* the same of hidden states */
	uint64_t n_words;
	uint32_t tables_pitch; /* words from one KV group's block table to the next's */
	uint32_t n_splits;     /* of the longest sequence */
};

/* A place for a sequence's history: whose it is, and how many ids of it lie there once all that was submitted
 * is done. */
struct cuda_kept {
	uint64_t id; /* 0: nobody's */
	uint32_t n;
};

struct cuda;
struct cuda_late;
struct cuda_idle;

/* What take functions take from: a ledger that only counts, or the device's. */
struct cuda_taker {
	struct ledger *ledger;
	struct hokku_error *err;
	enum hokku_code rc; /* of the first that failed; the rest is passed over */
};

/* count x size bytes; NULL while counting and after a failure. */
void *cuda_take(struct cuda_taker *t, enum ledger_class class, uint64_t count, uint64_t size,
		const char *what);

/* A way to run a model: how its weights and its KV memory lie on the device, and the kernels over them. The
 * table in cuda.c holds them, best first; the first that the device and the model allow is taken
 * (HOKKU_CUDA_PATH=NAME in the environment, for tests, allows that one alone). Functions are called in the
 * order they stand here; those called take_ run twice, first to count and then to take, and must ask for the
 * same both times. */
struct cuda_path {
	const char *name;
	int min_cc;
	const struct spec_support *can; /* what of a model's specs its kernels carry out */
	/* May this path run the model (c->model and the widths are set), whose specs it can do? If not, err
	 * says why: MODEL_LOAD_FAILED. Takes nothing. */
	enum hokku_code (*fits)(struct cuda *c, struct hokku_error *err);
	/* How this path would store keys and values, of a model that it may run but for that: fills what of
	 * *types is CACHE_DEFAULT; c->note, where it has a way less so. INVALID_REQUEST if it cannot. */
	enum hokku_code (*cache)(struct cuda *c, struct cache_types *types, struct hokku_error *err);
	uint32_t logit_rows; /* *_LOGIT_ROWS */
	/* Bytes that one KV block of COMPUTE_KV_BLOCK positions takes in one layer. Block b of layer l lies
	 * at cuda_kv(c, l) + b * this. */
	uint64_t (*kv_block_bytes)(const struct cuda *c);
	void (*take_weights)(struct cuda *c, struct cuda_taker *t);
	/* Brings the weights in, and waits for them. KV memory and scratch are not there yet: what loading
	 * takes for its time lies where they will (c->load_room). */
	enum hokku_code (*load)(struct cuda *c, const struct compute_params *p, struct hokku_error *err);
	void (*take_scratch)(struct cuda *c, struct cuda_taker *t);
	/* Once all memory is there; may be NULL. */
	enum hokku_code (*prepare)(struct cuda *c, struct hokku_error *err);
	/* Adds to the step's input (c->input) what the path itself needs of it; may be NULL. */
	void (*pack)(struct cuda *c);
	/* Words that pack adds at most; may be NULL: none. */
	uint64_t (*input_words)(const struct cuda *c);
	/* Does the device get all that it needs of the step by the path itself, and nobody reads the step's
	 * input there? Then it is not sent. NULL: no. */
	bool (*alone)(const struct cuda *c);
	/* From the step's input to what logits wants. */
	enum hokku_code (*layers)(struct cuda *c, struct hokku_error *err);
	/* Logits of the rows first .. first + n - 1 of the input's list (at most c->logit_rows) to c->logits.
	 */
	enum hokku_code (*logits)(struct cuda *c, uint32_t first, uint32_t n, struct hokku_error *err);
	/* Between the two, where some sequence of the step wants hidden states: queues what brings them to
	 * the host. NULL: the path has none to give, and is not taken where a step may ask (c->pooled). */
	enum hokku_code (*states)(struct cuda *c, const struct compute_seq *seqs, uint32_t n,
				  struct hokku_error *err);
	/* Frees what the path keeps on the host in c->own. The ledger's memory is freed after.
	 */
	void (*close)(struct cuda *c);
};
extern const struct cuda_path cuda_path_plain, cuda_path_tile;
extern const struct compute_backend compute_cuda;

struct cuda {
	const struct model *model;
	const struct cuda_path *path;
	struct cuda_device device;
	struct ledger ledger;
	struct compute_memory memory; /* of it, what the driver says */
	char text[400];               /* what compute_device shows */
	char note[128];           /* ": " and what the types cost: a path before this one, a kernel; or "" */
	struct cache_types cache; /* how the path stores keys and values */
	uint32_t n_ctx, n_seqs, n_batch, n_kv_blocks, logit_rows;
	bool pooled;           /* steps may ask for hidden states */
	uint32_t tables_pitch; /* words of a block table of a whole context */
	uint32_t q_dim, kv_dim;
	uint32_t d_pitch, q_pitch, kv_pitch, ff_pitch, vocab_pitch; /* floats a row of activations */
	uint64_t kv_layer_bytes; /* of all blocks in one place for a layer */
	uint64_t weight_bytes;   /* as the budget has counted them */
	uint64_t load_room;      /* bytes of device memory that loading may take beside the weights */
	cudaStream_t stream;
	bool is_drawn; /* the path has drawn the step's token itself */
	bool failed;   /* a call failed in a step: the device's state means nothing any more */
	struct hokku_error failure;

	/* on the device, for every path */
	uint8_t *kv;              /* (KV places, n_kv_blocks) blocks, laid out by the path */
	float *logits;            /* (logit_rows, vocab_pitch) */
	float *sample_x;          /* (logit_rows, n_vocab) */
	uint32_t *sample_counts;  /* (logit_rows, n_vocab); zeros between steps */
	struct cuda_drawn *drawn; /* (n_seqs) */
	uint32_t *kept;           /* (n_seqs, n_ctx + 1) histories */

	struct cuda_late *late; /* draws whose masks follow */
	struct cuda_idle *idle; /* NULL: not measured */

	void *own; /* the path's, which makes and frees it */

	struct cuda_input input;
	/* Steps under way: step k is number k % COMPUTE_MAX_AHEAD of these. */
	uint32_t n_submitted, n_collected;
	struct cuda_drawn *drawn_host[COMPUTE_MAX_AHEAD]; /* (n_seqs) pinned */
	uint32_t *draws_of[COMPUTE_MAX_AHEAD]; /* (n_seqs) which draw is a sequence's; CUDA_NOTHING: none */
	struct cuda_kept *kept_of;             /* (n_seqs) places of histories */
	cudaEvent_t done[COMPUTE_MAX_AHEAD];   /* all of the step, its results on the host too */
};

/* kv.c: of struct compute_backend. */
uint64_t cuda_kv_bytes(const void *self, uint32_t group);
enum hokku_code cuda_kv_read(void *self, uint32_t group, uint32_t block, void *to, struct hokku_error *err);
enum hokku_code cuda_kv_write(void *self, uint32_t group, uint32_t block, const void *from,
			      struct hokku_error *err);
void cuda_kv_describe(const void *self, struct compute_kv_kind *out);

/* input.c: lays a step out. INVALID_REQUEST if a history is longer than there is room for. */
enum hokku_code cuda_input_pack(struct cuda *c, const struct compute_seq *seqs, uint32_t n,
				struct hokku_error *err);
/* Sets offsets, capacities and bytes, once the path is chosen; the buffers follow. */
void cuda_input_plan(struct cuda *c);

/* Address of a part of the input on the device. */
static inline const struct cuda_token *cuda_tokens(const struct cuda *c)
{
	return (const struct cuda_token *)(const void *)(c->input.device + c->input.tokens_at);
}
static inline const uint32_t *cuda_words(const struct cuda *c)
{
	return (const uint32_t *)(const void *)(c->input.device + c->input.words_at);
}

/* What a token's table (cuda_token.table) counts from in layer l: the tables of its KV group. */
static inline const uint32_t *cuda_tables(const struct cuda *c, uint32_t l)
{
	return cuda_words(c) + (uint64_t)c->model->layers[l].spec->kv_group * c->input.tables_pitch;
}

/* The KV memory of layer l. */
static inline uint8_t *cuda_kv(const struct cuda *c, uint32_t l)
{
	return c->kv + c->model->layers[l].spec->kv_place * c->kv_layer_bytes;
}

#endif
