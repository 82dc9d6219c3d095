/*
 * What `hokku bench serve` asks for: how long prompts and answers are, which tokens or words prompts are made
 * of, when requests come. All of it follows from the seed: the same plan on every machine, against every
 * server.
 */
#ifndef CLI_LOAD_PLAN_H
#define CLI_LOAD_PLAN_H

#include "base/error.h"
#include "base/str.h"

enum { LOAD_MAX_LENGTH = 1 << 20 };

/* Lengths: all the same, of a range, or exponential about a mean, cut at eight times the mean. */
struct lengths {
	enum { LENGTHS_FIXED, LENGTHS_UNIFORM, LENGTHS_EXPONENTIAL } kind;
	uint32_t least, most; /* FIXED: both are it */
	double mean;
};

/* "128", "16-512", "exp:200", or a name of load_named_lengths. of_prompts: which of a name's two. False: it
 * is none of them. */
bool lengths_parse(const char *text, bool of_prompts, struct lengths *out);

/* The names with what they stand for, "sharegpt (exp:161 in, exp:338 out), ..."; for messages. */
const char *lengths_names(char *out, size_t size);

struct load_plan {
	uint64_t seed;
	struct lengths input, output;
	uint32_t n_shared; /* tokens that all prompts begin with, before their own */
	double rate;       /* requests a second, Poisson */
};

uint32_t plan_input(const struct load_plan *p, uint32_t request); /* of its own, without the shared */
uint32_t plan_output(const struct load_plan *p, uint32_t request);

/* Seconds between a request's arrival and the one before. */
double plan_wait(const struct load_plan *p, uint32_t request);

/* Token i of a request's prompt, ids n_vocab / 10 to 9 n_vocab / 10: special tokens stand at the ends. */
uint32_t plan_token(const struct load_plan *p, uint32_t request, uint32_t i, uint32_t n_vocab);

/* The same as a word that most vocabularies have whole, with the blank before it. */
const char *plan_word(const struct load_plan *p, uint32_t request, uint32_t i);

#endif
