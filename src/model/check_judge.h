/* Runs of zeros, put together over pieces and tensors, and which of them no sound file holds (check.h says
 * why). */
#ifndef MODEL_CHECK_JUDGE_H
#define MODEL_CHECK_JUDGE_H

#include "model/check.h"
#include "model/check_scan.h"

struct check_run {
	uint64_t begin, end; /* bytes of the file */
};
struct check_runs {
	struct check_run *list; /* (n) */
	size_t n, cap;
	bool failed; /* there was no memory for one */
};
void check_runs_add(struct check_runs *r, uint64_t begin, uint64_t end);

struct check_judge {
	const struct gguf *file;
	const struct gguf_tensor *const *tensors; /* (n) in the order of the file */
	uint64_t n;
};

/* Joins runs that meet, or have nothing but padding between them, and keeps those that are faults, in the
 * order of the file. IO_ERROR: the rows beside one could not be read. */
enum hokku_code check_judge_runs(const struct check_judge *j, struct check_runs *r, struct hokku_error *err);

/* What of the run lies in t. False: nothing. */
bool check_part_of(const struct check_run *run, const struct gguf_tensor *t,
		   const struct check_layout *layout, struct check_finding *out);

#endif
