#include "cli/load_plan.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"

/* Mean tokens of prompts and answers of two data sets, as Kwon and others give them ("Efficient memory
 * management for large language model serving with PagedAttention", SOSP 2023, figure 11). */
#define NAMED_LENGTHS(X)        \
	X("sharegpt", 161, 338) \
	X("alpaca", 19, 58)

static const struct {
	const char *name;
	uint32_t in, out;
} named[] = {
#define ROW(...) {__VA_ARGS__},
	NAMED_LENGTHS(ROW)
#undef ROW
};
enum { N_NAMED = sizeof named / sizeof named[0], TAIL = 8 };

static bool take_number(const char **text, uint32_t *out)
{
	char *end;
	if (!isdigit((unsigned char)**text))
		return false;
	errno = 0;
	unsigned long long n = strtoull(*text, &end, 10);
	*text = end;
	*out = (uint32_t)n;
	return !errno && n >= 1 && n <= LOAD_MAX_LENGTH;
}

static void set_exponential(struct lengths *l, uint32_t mean)
{
	uint32_t most = mean < LOAD_MAX_LENGTH / TAIL ? mean * TAIL : LOAD_MAX_LENGTH;
	*l = (struct lengths){LENGTHS_EXPONENTIAL, 1, most, mean};
}

bool lengths_parse(const char *text, bool of_prompts, struct lengths *out)
{
	uint32_t a, b;
	for (size_t i = 0; i < N_NAMED; i++)
		if (strcmp(text, named[i].name) == 0) {
			set_exponential(out, of_prompts ? named[i].in : named[i].out);
			return true;
		}
	if (strncmp(text, "exp:", 4) == 0) {
		text += 4;
		if (!take_number(&text, &a) || *text)
			return false;
		set_exponential(out, a);
		return true;
	}
	if (!take_number(&text, &a))
		return false;
	*out = (struct lengths){LENGTHS_FIXED, a, a, a};
	if (!*text)
		return true;
	if (*text++ != '-' || !take_number(&text, &b) || *text || b < a)
		return false;
	*out = (struct lengths){LENGTHS_UNIFORM, a, b, (a + (double)b) / 2};
	return true;
}

const char *lengths_names(char *out, size_t size)
{
	size_t n = 0;
	out[0] = '\0';
	for (size_t i = 0; i < N_NAMED && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%s (exp:%u in, exp:%u out)", i ? ", " : "",
				      named[i].name, named[i].in, named[i].out);
	return out;
}

/* What a number of the plan is for. */
enum purpose { FOR_INPUT, FOR_OUTPUT, FOR_ARRIVAL, FOR_PROMPT };

static void words(const struct load_plan *p, enum purpose purpose, uint32_t request, uint32_t i,
		  uint32_t out[4])
{
	rng_words(p->seed + ((uint64_t)purpose << 32), RNG_STREAM_LOAD, (uint64_t)request << 32 | i, out);
}

/* In [0, 1). */
static double unit(const struct load_plan *p, enum purpose purpose, uint32_t request)
{
	uint32_t w[4];
	words(p, purpose, request, 0, w);
	return rng_unit(w[0], w[1]);
}

static uint32_t draw(const struct load_plan *p, const struct lengths *l, enum purpose purpose,
		     uint32_t request)
{
	if (l->kind == LENGTHS_FIXED)
		return l->least;
	double u = unit(p, purpose, request);
	if (l->kind == LENGTHS_UNIFORM)
		return l->least + (uint32_t)(u * (l->most - l->least + 1.0));
	double x = ceil(-log(1 - u) * l->mean);
	return x < 1 ? 1 : x > l->most ? l->most : (uint32_t)x;
}

uint32_t plan_input(const struct load_plan *p, uint32_t request)
{
	return draw(p, &p->input, FOR_INPUT, request);
}

uint32_t plan_output(const struct load_plan *p, uint32_t request)
{
	return draw(p, &p->output, FOR_OUTPUT, request);
}

double plan_wait(const struct load_plan *p, uint32_t request)
{
	return p->rate > 0 ? -log(1 - unit(p, FOR_ARRIVAL, request)) / p->rate : 0;
}

/* 32 random bits for place i of a request's prompt; those of shared places are no request's own. */
static uint32_t prompt_bits(const struct load_plan *p, uint32_t request, uint32_t i)
{
	uint32_t w[4];
	words(p, FOR_PROMPT, i < p->n_shared ? UINT32_MAX : request, i / 4, w);
	return w[i % 4];
}

/* 0 .. n - 1 */
static uint32_t below(uint32_t bits, uint32_t n)
{
	return (uint32_t)((uint64_t)bits * n >> 32);
}

uint32_t plan_token(const struct load_plan *p, uint32_t request, uint32_t i, uint32_t n_vocab)
{
	uint32_t from = n_vocab / 10;
	return from + below(prompt_bits(p, request, i), n_vocab - 2 * from);
}

const char *plan_word(const struct load_plan *p, uint32_t request, uint32_t i)
{
	static const char *const list[] = {
		" the",   " of",    " and",   " to",    " in",  " is",   " that",  " for",  " it",   " as",
		" was",   " with",  " be",    " by",    " on",  " not",  " he",    " his",  " but",  " at",
		" are",   " this",  " have",  " from",  " or",  " had",  " one",   " all",  " were", " her",
		" she",   " there", " would", " their", " we",  " him",  " been",  " has",  " when", " who",
		" will",  " more",  " no",    " if",    " out", " so",   " said",  " what", " up",   " its",
		" about", " into",  " than",  " them",  " can", " only", " other", " new",  " some", " could",
		" time",  " these", " two",   " may",
	};
	return list[below(prompt_bits(p, request, i), sizeof list / sizeof list[0])];
}
