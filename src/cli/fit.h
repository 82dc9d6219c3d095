/* What a model would take of each device of this machine and how fast it could be there: gathered, and shown
 * (cmd_fit.c, pull's notes). */
#ifndef CLI_FIT_H
#define CLI_FIT_H

#include "compute/plugin_abi.h"
#include "engine/fit.h"

enum { FIT_MAX_DEVICES = 64 };

/* A limit of speed; 0: not known. */
struct fit_limits {
	double read_bytes_per_s; /* of the device's memory */
	double ops_per_s;
	const char *ops_of; /* "float16 products", ... */
};

struct fit_device {
	char name[16];        /* "cpu", "cuda:0" */
	char text[160];       /* as compute_device says, or what the driver calls it */
	uint64_t total_bytes; /* of its memory; 0: not known */
	struct engine_fit fit;
	struct hokku_error err; /* code 0: fit is told */
	struct fit_limits limits;
	struct hokku_error unmeasured; /* code 0: limits were measured, or nobody asked for them */
};

struct fit_list {
	struct fit_device devices[FIT_MAX_DEVICES + 1];
	uint32_t n;
	bool measured;
	struct hokku_error no_gpu; /* code 0: a plugin could be asked */
};

/* The devices that config->device names (NULL: the CPU and every GPU that the plugin shows) and what m would
 * take of each. Errors are the model's: of a context that it has not, for example; what is wrong with a
 * device is told with it, or returned where it was named. */
enum hokku_code fit_gather(struct model *m, const struct engine_config *config, struct fit_list *out,
			   struct hokku_error *err);

/* Measures each device of the list that can run the model. Takes a second of a CPU, some of a GPU. */
void fit_measure(const struct model *m, const struct engine_config *config, struct fit_list *list);

/* How fast it could be at most: what its limit is. */
struct fit_speed {
	double tokens_per_s; /* 0: not known */
	bool by_memory;      /* else by operations */
};

/* All streams together, each of which draws its next token at a context of n_ctx positions. */
struct fit_speed fit_decode(const struct model *m, const struct fit_device *d, uint32_t n_ctx);

/* A prompt of n_ctx tokens. */
struct fit_speed fit_prefill(const struct model *m, const struct fit_device *d, uint32_t n_ctx);

#endif
