/* /set of hokku chat: the table of sampling fields, and what there is besides. */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/plain_locale.h"
#include "cli/talk.h"

enum { MAX_NAMES = 40 };

/* Beside sampling_fields. */
static const struct own {
	const char *name, *takes;
} own[] = {
	{"max_tokens", "0 (no limit) to 2147483647"},
	{"seed", "0 to 18446744073709551615, or random"},
	{"thinking", "on, off or auto"},
	{"thinking_budget", "0 (no limit) to 2147483647"},
};
enum { MAX_TOKENS, SEED, THINKING, THINKING_BUDGET, N_OWN };
static_assert(sizeof own / sizeof *own == N_OWN, "a row each");

static const char *const thinking_names[] = {
	[HOKKU_THINKING_UNSAID] = "auto", [HOKKU_THINKING_OFF] = "off", [HOKKU_THINKING_ON] = "on"};

static bool read_whole(const char *text, uint64_t max, uint64_t *out)
{
	char *end;
	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || v > max)
		return false;
	*out = v;
	return true;
}

static bool set_own(struct talk_settings *s, const struct talk_settings *fallback, size_t row,
		    const char *value)
{
	uint64_t v = 0;
	bool again = strcmp(value, "default") == 0;
	switch (row) {
	case MAX_TOKENS:
	case THINKING_BUDGET: {
		uint32_t *to = row == MAX_TOKENS ? &s->max_tokens : &s->thinking_budget;
		if (!again && !read_whole(value, INT32_MAX, &v))
			return false;
		*to = !again              ? (uint32_t)v
		      : row == MAX_TOKENS ? fallback->max_tokens
					  : fallback->thinking_budget;
		return true;
	}
	case SEED:
		s->seed_given = again ? fallback->seed_given : strcmp(value, "random") != 0;
		if (again)
			s->sampling.seed = fallback->sampling.seed;
		else if (s->seed_given && !read_whole(value, UINT64_MAX, &s->sampling.seed))
			return false;
		return true;
	default:
		if (again)
			s->thinking = fallback->thinking;
		for (size_t i = 0; i < sizeof thinking_names / sizeof *thinking_names; i++)
			if (strcmp(value, thinking_names[i]) == 0) {
				s->thinking = (enum hokku_thinking)i;
				again = true;
			}
		return again;
	}
}

/* False: value is no number of the kind. Ranges are sampling_check's. */
static bool set_field(struct sampling *s, const struct sampling *fallback, const struct sampling_field *f,
		      const char *value)
{
	char *at = (char *)s + f->offset, *end;
	if (strcmp(value, "default") == 0) {
		memcpy(at, (const char *)fallback + f->offset, 4);
		return true;
	}
	errno = 0;
	if (f->kind == SAMPLING_INT) {
		long v = strtol(value, &end, 10);
		if (end == value || *end || errno || v > INT32_MAX || v < INT32_MIN)
			return false;
		*(int32_t *)at = (int32_t)v;
		return true;
	}
	double v = strtod_l(value, &end, plain_locale());
	*(float *)at = (float)v;
	return end != value && !*end && isfinite(v);
}

static enum hokku_code unknown_name(const char *name, struct hokku_error *err)
{
	const char *names[MAX_NAMES] = {0};
	char quoted[64];
	size_t n = 0;
	for (size_t i = 0; i < N_OWN; i++)
		names[n++] = own[i].name;
	for (size_t i = 0; i < n_sampling_fields && n + 1 < MAX_NAMES; i++)
		names[n++] = sampling_fields[i].name;
	const char *near = str_nearest(name, names);
	return err_set(err, HOKKU_INVALID_REQUEST, "there is no setting %s%s%s%s; /set alone lists them",
		       str_quote(str_c(name), quoted, sizeof quoted), near ? " (did you mean " : "",
		       near ? near : "", near ? "?)" : "");
}

enum hokku_code talk_set(struct talk_settings *s, const struct talk_settings *fallback, struct str typed,
			 struct hokku_error *err)
{
	char name[48], value[64], quoted[96];
	struct talk_settings next = *s;
	size_t n = 0;
	while (n < typed.len && !strchr(" \t\n", typed.ptr[n]))
		n++;
	snprintf(name, sizeof name, "%.*s", n < sizeof name ? (int)n : (int)sizeof name - 1, typed.ptr);
	for (char *c = name; *c; c++)
		*c = *c == '-' ? '_' : *c;
	struct str rest = {typed.ptr + n, typed.len - n};
	while (rest.len && strchr(" \t\n", rest.ptr[0]))
		rest = (struct str){rest.ptr + 1, rest.len - 1};
	bool fits = rest.len && rest.len < sizeof value && !memchr(rest.ptr, 0, rest.len);
	snprintf(value, sizeof value, "%.*s", fits ? (int)rest.len : 0, rest.ptr);
	const char *found = rest.len ? str_quote(rest, quoted, sizeof quoted) : "missing";
	for (size_t i = 0; i < N_OWN; i++) {
		if (strcmp(name, own[i].name) != 0)
			continue;
		if (!fits || !set_own(&next, fallback, i, value))
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "the value of %s is %s; it takes %s, or default", name, found,
				       own[i].takes);
		*s = next;
		return HOKKU_OK;
	}
	for (size_t i = 0; i < n_sampling_fields; i++) {
		const struct sampling_field *f = &sampling_fields[i];
		if (strcmp(name, f->name) != 0)
			continue;
		if (!fits || !set_field(&next.sampling, &fallback->sampling, f, value))
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "the value of %s is %s; it takes %s from %.10g to %.10g, or default",
				       name, found, f->kind == SAMPLING_INT ? "a whole number" : "a number",
				       f->min, f->max);
		enum hokku_code rc = sampling_check(&next.sampling, UINT32_MAX, err);
		if (!rc)
			*s = next;
		return rc;
	}
	return unknown_name(name, err);
}

void talk_print_settings(const struct talk_settings *s, FILE *out)
{
	for (size_t i = 0; i < n_sampling_fields; i++) {
		const struct sampling_field *f = &sampling_fields[i];
		fprintf(out, "  %-20s %-10.7g %s\n", f->name, sampling_get(&s->sampling, f), f->text);
	}
	fprintf(out, "  %-20s %-10u tokens of an answer at most; 0: no limit\n", own[MAX_TOKENS].name,
		s->max_tokens);
	if (s->seed_given)
		fprintf(out, "  %-20s %-10llu the same seed gives the same answer\n", own[SEED].name,
			(unsigned long long)s->sampling.seed);
	else
		fprintf(out, "  %-20s %-10s drawn for each answer\n", own[SEED].name, "random");
	fprintf(out, "  %-20s %-10s on, off, or auto: as the model's template has it\n", own[THINKING].name,
		thinking_names[s->thinking]);
	fprintf(out, "  %-20s %-10u tokens of thinking at most; 0: no limit\n", own[THINKING_BUDGET].name,
		s->thinking_budget);
}
