#include "cli/options_common.h"

#include <assert.h>

void opt_add(struct opt_table *t, const struct opt *row)
{
	assert(t->n < OPT_TABLE_MAX);
	t->rows[t->n++] = *row;
}

/* In the order of the enumeration. */
static const char *const cache_names[] = {
#define CACHE_X(name, text) text,
	CACHE_TYPES(CACHE_X)
#undef CACHE_X
		NULL};
_Static_assert(CACHE_DEFAULT == 0 && sizeof(enum cache_type) == sizeof(unsigned), "an OPT_CHOICE's target");

void opt_add_device(struct opt_table *t, const struct opt_device *to)
{
	const struct opt rows[] = {
		{.name = "device",
		 .kind = OPT_STRING,
		 .target = to->device,
		 .metavar = "NAME",
		 .env = true,
		 .help = "what computes: auto, cpu, cpu:reference, cuda, cuda:N",
		 .fallback = to->device_fallback ? to->device_fallback : "auto"},
		{.name = "threads",
		 .letter = 't',
		 .kind = OPT_U32,
		 .target = to->n_threads,
		 .metavar = "N",
		 .env = true,
		 .help = "threads that compute",
		 .min = 0,
		 .max = 1024,
		 .fallback = "one a core this process may use"},
		{.name = "vram-limit",
		 .kind = OPT_BYTES,
		 .target = to->vram_limit,
		 .metavar = "BYTES",
		 .env = true,
		 .help = "most that weights, KV and scratch may take of a GPU's memory, as 8000000, 512M, "
			 "1.5GiB",
		 .fallback = "what is free"},
		{.name = "ram-limit",
		 .kind = OPT_BYTES,
		 .target = to->ram_limit,
		 .metavar = "BYTES",
		 .env = true,
		 .help = "the same of the host's memory, on a CPU",
		 .fallback = "what is available"},
		{.name = "kv-bytes",
		 .kind = OPT_BYTES,
		 .target = to->kv_bytes,
		 .metavar = "BYTES",
		 .env = true,
		 .help = "KV memory",
		 .fallback = to->kv_fallback},
		{.name = "cache-type-k",
		 .alias = "ctk",
		 .kind = OPT_CHOICE,
		 .target = &to->cache->k,
		 .metavar = "TYPE",
		 .env = true,
		 .help = "how KV memory stores keys",
		 .choices = cache_names,
		 .fallback = "what the device computes with"},
		{.name = "cache-type-v",
		 .alias = "ctv",
		 .kind = OPT_CHOICE,
		 .target = &to->cache->v,
		 .metavar = "TYPE",
		 .env = true,
		 .help = "the same of values",
		 .choices = cache_names,
		 .fallback = "what the device computes with"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		opt_add(t, &rows[i]);
}

void cli_tell_device(const char *device, const char *why, bool notable, bool verbose)
{
	if (why && (notable || verbose))
		fprintf(stderr, "hokku: computing on %s, because %s\n", device, why);
}

void cli_tell_context(const struct engine_state *state)
{
	char text[ENGINE_CONTEXT_TEXT];
	if (engine_context_text(state, NULL, text))
		fprintf(stderr, "hokku: %s\n", text);
}

void opt_add_ctx(struct opt_table *t, uint32_t *n_ctx)
{
	opt_add(t, &(struct opt){.name = "ctx",
				 .letter = 'c',
				 .kind = OPT_U32,
				 .target = n_ctx,
				 .metavar = "N",
				 .env = true,
				 .help = "positions a request may use, prompt and answer",
				 .min = 0,
				 .max = 16777216,
				 .fallback = "the model's own, 32768 at most, or what fits"});
}

void opt_add_engine(struct opt_table *t, struct engine_config *config)
{
	opt_add_device(t,
		       &(struct opt_device){
			       .device = &config->device,
			       .n_threads = &config->n_threads,
			       .vram_limit = &config->vram_limit,
			       .ram_limit = &config->ram_limit,
			       .kv_bytes = &config->kv_bytes,
			       .kv_fallback = config->kv_grows ? "what a GPU has left; elsewhere one context"
							       : "one context",
			       .cache = &config->cache,
		       });
	opt_add_ctx(t, &config->n_ctx);
	opt_add(t, &(struct opt){.name = "no-jump-ahead",
				 .kind = OPT_FLAG,
				 .target = &config->no_jump_ahead,
				 .env = true,
				 .help = "draw each token, also where an answer's shape leaves but one"});
}

/* How the command line calls a sampling field, in the order of sampling_fields; the alias is the name other
 * programs use for it. */
static const struct {
	const char *field, *name, *alias;
} names[] = {
	{"temperature", "temperature", "temp"},
	{"top_k", "top-k", NULL},
	{"top_p", "top-p", NULL},
	{"min_p", "min-p", NULL},
	{"repetition_penalty", "repetition-penalty", "repeat-penalty"},
	{"frequency_penalty", "frequency-penalty", NULL},
	{"presence_penalty", "presence-penalty", NULL},
	{"repeat_last_n", "repeat-last-n", NULL},
	{"typical_p", "typical-p", "typical"},
	{"top_n_sigma", "top-n-sigma", "top-nsigma"},
	{"xtc_probability", "xtc-probability", NULL},
	{"xtc_threshold", "xtc-threshold", NULL},
	{"dynatemp_range", "dynatemp-range", NULL},
	{"dynatemp_exponent", "dynatemp-exponent", "dynatemp-exp"},
	{"dry_multiplier", "dry-multiplier", NULL},
	{"dry_base", "dry-base", NULL},
	{"dry_allowed_length", "dry-allowed-length", NULL},
	{"dry_penalty_last_n", "dry-penalty-last-n", NULL},
	{"mirostat", "mirostat", NULL},
	{"mirostat_tau", "mirostat-tau", "mirostat-ent"},
	{"mirostat_eta", "mirostat-eta", "mirostat-lr"},
};

static_assert(sizeof names / sizeof *names == OPT_N_SAMPLING, "one flag a field");

void opt_add_sampling(struct opt_table *t, struct sampling *s, bool *given, bool *seed_given)
{
	sampling_defaults(s, SAMPLING_OWN, NULL);
	assert(n_sampling_fields == sizeof names / sizeof *names);
	for (size_t i = 0; i < n_sampling_fields; i++) {
		const struct sampling_field *f = &sampling_fields[i];
		assert(strcmp(f->name, names[i].field) == 0);
		opt_add(t, &(struct opt){
				   .name = names[i].name,
				   .alias = names[i].alias,
				   .kind = f->kind == SAMPLING_INT ? OPT_I32 : OPT_F32,
				   .target = (char *)s + f->offset,
				   .metavar = f->kind == SAMPLING_INT ? "K" : "X",
				   .help = f->text,
				   .min = f->min,
				   .max = f->max,
				   .min_open = f->min_open,
				   .given = &given[i],
			   });
	}
	opt_add(t, &(struct opt){.name = "seed",
				 .letter = 's',
				 .kind = OPT_U64,
				 .target = &s->seed,
				 .metavar = "N",
				 .help = "the same seed gives the same answer",
				 .given = seed_given,
				 .fallback = "drawn"});
}
