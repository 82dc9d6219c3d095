/*
 * Reads every block of a file's tensors and tells what no sound file holds: NaN, infinities, and zeros where
 * a download left a hole. Any GGUF file will do, whether hokku can run it or not; tensors of unknown types
 * are passed over.
 *
 * NaN and infinities are looked for in every element of F64, F32, F16 and BF16 and in every scale of a block
 * format: what is not finite there is not finite in the whole block.
 *
 * Zeros. A run is elements (blocks, in a block format) all of whose bytes are zero, one after another in the
 * file, also from one tensor into the next. Many are honest: vectors (a bias that training left alone), whole
 * rows of a matrix (tokens that were never used, neurons that were pruned), the same columns of its rows
 * (widths that were padded). A run is a fault if it is CHECK_ZERO_BYTES long and
 *   - begins or ends within a row of a matrix, and the row beside it does not end in, or begin with, the same
 * zeros (fewer than CHECK_CHANCE elements are chance); or
 *   - covers more than half of a matrix; or
 *   - lies in the weights of a norm, which would multiply everything by zero: CHECK_NORM of them or the whole
 * vector. Files are written and lost by pages of 4,096 bytes, so that a hole is no shorter. No training
 * leaves such zeros; a layer that was added in order to do nothing does.
 */
#ifndef MODEL_CHECK_H
#define MODEL_CHECK_H

#include "gguf/gguf.h"

enum {
	CHECK_ZERO_BYTES = 4096,
	CHECK_CHANCE = 33,
	CHECK_NORM = 256,
	CHECK_MAX_THREADS = 64,
};

enum check_kind { CHECK_NAN, CHECK_INFINITE, CHECK_ZEROS, CHECK_N_KINDS };

/* One for each kind in each tensor; zeros: one for each run. */
struct check_finding {
	const struct gguf_tensor *tensor;
	enum check_kind kind;
	/* Of NaN and infinities: elements; in a block format, blocks. Of zeros: bytes of the tensor. */
	uint64_t n;
	uint64_t first; /* element where the first of them begins */
	/* of zeros: bytes begin .. end - 1 of the file, of the whole run, which may touch other tensors as
	 * well */
	uint64_t begin, end;
};

struct check_params {
	const struct gguf *file;
	uint32_t n_threads; /* 0: one a CPU */
	void (*on_progress)(void *user, uint64_t done,
			    uint64_t all); /* bytes; from the calling thread; may be NULL */
	void *user;
};

struct check_result {
	struct check_finding
		*findings; /* (n) in the order of the file; each tensor's NaN, infinities, zeros */
	size_t n;
	uint64_t n_tensors, n_bytes; /* that were read */
	uint64_t n_unknown;          /* tensors of unknown types, which were not */
};

/* IO_ERROR if the file cannot be read, or was cut or written to meanwhile; what was found is lost then. */
enum hokku_code check_file(const struct check_params *p, struct check_result *out, struct hokku_error *err);
void check_free(struct check_result *r);

/* "NaN", "infinity", "zeros". */
const char *check_kind_name(enum check_kind kind);

#endif
