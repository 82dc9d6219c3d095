#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *kind_name(const struct opt *o)
{
	switch (o->kind) {
	case OPT_U32:
	case OPT_U64:
		return "a whole number";
	case OPT_F32:
		return "a number";
	default:
		return "a text";
	}
}

static void env_name(const struct opt *o, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "HOKKU_%s", o->name);
	for (size_t i = 0; i < n && i < size - 1; i++)
		out[i] = out[i] == '-' ? '_' : (char)toupper((unsigned char)out[i]);
}

int cli_usage(const struct cmd *cmd, const char *format, ...)
{
	fprintf(stderr, "hokku %s: ", cmd->name);
	va_list args;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, " (see hokku %s --help)\n", cmd->name);
	return EXIT_USAGE;
}

int cli_fail(const struct hokku_error *err)
{
	fprintf(stderr, "hokku: %s\n", err->message);
	return EXIT_FAILED;
}

int cli_finish(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	fprintf(stderr, "hokku: standard output: %s\n", strerror(errno));
	return code == EXIT_OK ? EXIT_FAILED : code;
}

void cli_progress(void *label, double part)
{
	static int is_terminal = -1;
	if (is_terminal < 0)
		is_terminal = isatty(STDERR_FILENO);
	if (!is_terminal)
		return;
	if (part >= 1)
		fprintf(stderr, "\r\033[K");
	else
		fprintf(stderr, "\r%s %3.0f%%", (const char *)label, part * 100);
	fflush(stderr);
}

static void print_range(FILE *out, const struct opt *o)
{
	if (o->min != 0 || o->max != 0)
		fprintf(out, " [%.10g to %.10g]", o->min, o->max);
}

static void print_default(const struct opt *o)
{
	switch (o->kind) {
	case OPT_U32:
		printf(" (default %u)", *(uint32_t *)o->target);
		break;
	case OPT_U64:
		printf(" (default %llu)", (unsigned long long)*(uint64_t *)o->target);
		break;
	case OPT_F32:
		printf(" (default %g)", (double)*(float *)o->target);
		break;
	case OPT_STRING:
		if (*(const char **)o->target)
			printf(" (default %s)", *(const char **)o->target);
		break;
	case OPT_FLAG:
		break;
	}
}

static int print_help(const struct cmd *cmd, const struct opt *opts)
{
	printf("usage: hokku %s\n\n%s\n", cmd->usage, cmd->summary);
	bool any_env = false;
	if (opts[0].name)
		printf("\noptions:\n");
	for (const struct opt *o = opts; o->name; o++) {
		char left[64];
		char letter[8] = "";
		if (o->letter)
			snprintf(letter, sizeof letter, "-%c, ", o->letter);
		snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, o->metavar ? " " : "",
			 o->metavar ? o->metavar : "");
		printf("  %-26s %s", left, o->help);
		print_range(stdout, o);
		print_default(o);
		printf("\n");
		any_env |= o->env;
	}
	printf("  %-26s this text\n", "-h, --help");
	if (any_env) {
		printf("\nvariables (an option on the command line wins):\n ");
		for (const struct opt *o = opts; o->name; o++) {
			char name[64];
			env_name(o, name, sizeof name);
			if (o->env)
				printf(" %s", name);
		}
		printf("\n");
	}
	printf("\n%s", cmd->help);
	return cli_finish(EXIT_OK);
}

/* Whole decimal numbers only: no sign, no spaces, nothing after it. */
static bool parse_u64(const char *text, uint64_t *out)
{
	char *end;
	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return *end == '\0' && errno == 0;
}

static bool parse_f64(const char *text, double *out)
{
	char *end;
	if (isspace((unsigned char)text[0]) || text[0] == '\0')
		return false;
	errno = 0;
	*out = strtod(text, &end);
	return *end == '\0' && isfinite(*out);
}

static bool in_range(const struct opt *o, double value)
{
	return (o->min == 0 && o->max == 0) || (value >= o->min && value <= o->max);
}

/* what: how messages name the source of the value ("--ctx", "HOKKU_CTX"). Returns -1, or an exit code. */
static int set_value(const struct cmd *cmd, const struct opt *o, const char *what, const char *text)
{
	uint64_t u = 0;
	double f = 0;
	bool ok = true;
	switch (o->kind) {
	case OPT_FLAG:
		ok = strcmp(text, "1") == 0 || strcmp(text, "true") == 0 || strcmp(text, "0") == 0 ||
		     strcmp(text, "false") == 0;
		if (!ok)
			return cli_usage(cmd, "%s is \"%s\"; it takes 1 or 0, true or false", what, text);
		*(bool *)o->target = text[0] == '1' || text[0] == 't';
		break;
	case OPT_STRING:
		*(const char **)o->target = text;
		break;
	case OPT_U32:
	case OPT_U64:
		ok = parse_u64(text, &u) && in_range(o, (double)u) && (o->kind == OPT_U64 || u <= UINT32_MAX);
		if (ok && o->kind == OPT_U32)
			*(uint32_t *)o->target = (uint32_t)u;
		else if (ok)
			*(uint64_t *)o->target = u;
		break;
	case OPT_F32:
		ok = parse_f64(text, &f) && in_range(o, f);
		if (ok)
			*(float *)o->target = (float)f;
		break;
	}
	if (!ok && (o->min != 0 || o->max != 0))
		return cli_usage(cmd, "%s is \"%s\"; it takes %s from %.10g to %.10g", what, text,
				 kind_name(o), o->min, o->max);
	if (!ok)
		return cli_usage(cmd, "%s is \"%s\"; it takes %s", what, text, kind_name(o));
	if (o->given)
		*o->given = true;
	return -1;
}

static int read_env(const struct cmd *cmd, const struct opt *opts)
{
	for (const struct opt *o = opts; o->name; o++) {
		char name[64];
		if (!o->env)
			continue;
		env_name(o, name, sizeof name);
		const char *value = getenv(name);
		if (!value || !*value)
			continue;
		int rc = set_value(cmd, o, name, value);
		if (rc >= 0)
			return rc;
	}
	return -1;
}

static int unknown_option(const struct cmd *cmd, const struct opt *opts, const char *name)
{
	const char *names[128];
	size_t n = 0;
	names[n++] = "help";
	for (const struct opt *o = opts; o->name && n < 127; o++)
		names[n++] = o->name;
	names[n] = NULL;
	const char *near = str_nearest(name, names);
	if (near)
		return cli_usage(cmd, "there is no option --%s; did you mean --%s?", name, near);
	return cli_usage(cmd, "there is no option --%s", name);
}

static const struct opt *find_long(const struct opt *opts, const char *name)
{
	for (const struct opt *o = opts; o->name; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

static const struct opt *find_letter(const struct opt *opts, char letter)
{
	for (const struct opt *o = opts; o->name; o++)
		if (o->letter == letter)
			return o;
	return NULL;
}

/* Takes the option at argv[*i], and its value; *i is left on the last word used. */
static int take_option(const struct cmd *cmd, const struct opt *opts, int argc, char **argv, int *i)
{
	const char *word = argv[*i];
	char name[64], what[72];
	const char *value = NULL;
	const struct opt *o;
	if (word[1] == '-') {
		const char *equals = strchr(word, '=');
		size_t n = equals ? (size_t)(equals - word - 2) : strlen(word + 2);
		if (n >= sizeof name)
			n = sizeof name - 1;
		memcpy(name, word + 2, n);
		name[n] = '\0';
		value = equals ? equals + 1 : NULL;
		if (strcmp(name, "help") == 0)
			return print_help(cmd, opts);
		o = find_long(opts, name);
		if (!o)
			return unknown_option(cmd, opts, name);
		snprintf(what, sizeof what, "--%s", name);
	} else {
		o = find_letter(opts, word[1]);
		if (!o && word[1] == 'h')
			return print_help(cmd, opts);
		if (!o)
			return cli_usage(cmd, "there is no option -%c", word[1]);
		snprintf(what, sizeof what, "-%c", word[1]);
		value = word[2] ? word + 2 : NULL;
	}
	if (o->kind == OPT_FLAG)
		return set_value(cmd, o, what, value ? value : "1");
	if (!value) {
		if (*i + 1 >= argc)
			return cli_usage(cmd, "%s needs a value (%s)", what, o->metavar);
		value = argv[++*i];
	}
	return set_value(cmd, o, what, value);
}

int cli_parse(const struct cmd *cmd, const struct opt *opts, int argc, char **argv, const char **operands,
	      int max_operands, int *n_operands)
{
	*n_operands = 0;
	int rc = read_env(cmd, opts);
	bool only_operands = false;
	for (int i = 1; i < argc && rc < 0; i++) {
		if (!only_operands && strcmp(argv[i], "--") == 0)
			only_operands = true;
		else if (!only_operands && argv[i][0] == '-' && argv[i][1])
			rc = take_option(cmd, opts, argc, argv, &i);
		else if (*n_operands < max_operands)
			operands[(*n_operands)++] = argv[i];
		else
			rc = cli_usage(cmd, "\"%s\" is one word too many", argv[i]);
	}
	return rc;
}
