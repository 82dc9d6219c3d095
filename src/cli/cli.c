#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"

static const char *kind_name(const struct opt *o)
{
	switch (o->kind) {
	case OPT_U32:
	case OPT_U64:
	case OPT_I32:
		return "a whole number";
	case OPT_F32:
		return "a number";
	case OPT_BYTES:
		return "bytes, as 8000000, 512M or 1.5GiB,";
	case OPT_CHOICE:
		return "one of";
	case OPT_FLAG:
	case OPT_STRING:
	case OPT_LIST:
		break;
	}
	return "a text";
}

/* What a number without a range of its own may be; empty where that is every number. */
static const char *widest_range(enum opt_kind kind)
{
	switch (kind) {
	case OPT_U32:
		return "from 0 to 4294967295";
	case OPT_U64:
	case OPT_BYTES:
		return "from 0 to 18446744073709551615";
	case OPT_I32:
		return "from -2147483647 to 2147483647";
	case OPT_F32:
	case OPT_FLAG:
	case OPT_STRING:
	case OPT_LIST:
	case OPT_CHOICE:
		break;
	}
	return "";
}

void cli_variable(const struct opt *o, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "HOKKU_%s", o->name);
	for (size_t i = 0; i < n && i < size - 1; i++)
		out[i] = out[i] == '-' ? '_' : (char)toupper((unsigned char)out[i]);
}

/* Control characters as escapes: a name steers no terminal, and a message is one line. */
static void add_visible(struct strbuf *b, const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		bool c1 = c[0] == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0; /* U+0080 to U+009F */
		if (*c == '\n' || *c == '\t')
			strbuf_add_c(b, *c == '\n' ? "\\n" : "\\t");
		else if (*c < 0x20 || *c == 0x7F)
			strbuf_addf(b, "\\x%02x", *c);
		else if (c1)
			strbuf_addf(b, "\\x%02x\\x%02x", c[0], c[1]);
		else
			strbuf_add(b, c, 1);
		c += c1;
	}
}

void cli_line(FILE *f, const char *before, const char *text, const char *after)
{
	struct strbuf b = {0};
	strbuf_add_c(&b, before);
	add_visible(&b, text);
	strbuf_add_c(&b, after);
	strbuf_add_c(&b, "\n");
	if (b.len)
		fwrite(b.ptr, 1, b.len, f); /* at once: standard error has no buffer */
	strbuf_free(&b);
}

int cli_usage(const struct cmd *cmd, const char *format, ...)
{
	char text[1024], before[64], after[64];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	snprintf(before, sizeof before, "hokku %s: ", cmd->name);
	snprintf(after, sizeof after, " (see hokku %s --help)", cmd->name);
	cli_line(stderr, before, text, after);
	return EXIT_USAGE;
}

int cli_fail(const struct hokku_error *err)
{
	cli_line(stderr, "hokku: ", err->message, "");
	return EXIT_FAILED;
}

bool cli_ask(const char *question, bool otherwise)
{
	char line[16];
	fputs(question, stderr);
	fflush(stderr);
	if (!fgets(line, sizeof line, stdin))
		return false;
	return line[0] == 'y' || line[0] == 'Y' || (line[0] == '\n' && otherwise);
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

void cli_progress_bytes(const char *label, uint64_t done, uint64_t all, double seconds)
{
	static int last = -1;
	char have[32], whole[32];
	int percent = all ? (int)(100 * (double)done / (double)all) : 0;
	if (percent == last)
		return;
	last = percent;
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r\033[K");
	if (done < all)
		fprintf(stderr, "%s %3d%%, %s of %s, %.1f GB/s", label, percent, str_bytes(done, have),
			str_bytes(all, whole), seconds > 0 ? (double)done * 1e-9 / seconds : 0);
	fflush(stderr);
}

void cli_load_progress(void *begin_ns, uint64_t done, uint64_t all)
{
	cli_progress_bytes("loading", done, all, clock_ms_since(*(const uint64_t *)begin_ns) * 1e-3);
}

/* "from 0 to 1", "more than 0 and at most 1"; empty where every number is allowed. Returns out. */
static const char *range_text(const struct opt *o, char *out, size_t size)
{
	size_t used = 0;
	out[0] = '\0';
	for (const char *const *c = o->choices; c && *c && used < size; c++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", *c);
	if (o->min != 0 || o->max != 0)
		snprintf(out, size, o->min_open ? "more than %.10g and at most %.10g" : "from %.10g to %.10g",
			 o->min, o->max);
	return out;
}

/* "512", or "" where none is told. */
static void default_text(const struct opt *o, char *out, size_t size)
{
	const char *text = o->fallback;
	out[0] = '\0';
	switch (o->kind) {
	case OPT_U32:
		snprintf(out, size, "%u", *(uint32_t *)o->target);
		break;
	case OPT_U64:
	case OPT_BYTES:
		snprintf(out, size, "%llu", (unsigned long long)*(uint64_t *)o->target);
		break;
	case OPT_I32:
		snprintf(out, size, "%d", *(int32_t *)o->target);
		break;
	case OPT_F32:
		snprintf(out, size, "%g", (double)*(float *)o->target);
		break;
	case OPT_STRING:
		text = text ? text : *(const char **)o->target;
		break;
	case OPT_FLAG:
	case OPT_LIST:
	case OPT_CHOICE:
		break;
	}
	if (text)
		snprintf(out, size, "%s", text);
}

char *cli_option_text(const struct opt *o, char *out, size_t size)
{
	char range[80], preset[128];
	size_t n = (size_t)snprintf(out, size, "%s", o->help);
	if (*range_text(o, range, sizeof range) && n < size)
		n += (size_t)snprintf(out + n, size - n, "; %s", range);
	default_text(o, preset, sizeof preset);
	if (*preset && n < size)
		snprintf(out + n, size - n, " (default %s)", preset);
	else if (o->kind == OPT_LIST && n < size)
		snprintf(out + n, size - n, " (up to %u times)", ((const struct opt_list *)o->target)->max);
	return out;
}

static void print_option(const struct opt *o)
{
	char left[96], letter[8] = "", alias[40] = "", text[512];
	if (o->letter)
		snprintf(letter, sizeof letter, "-%c, ", o->letter);
	if (o->alias)
		snprintf(alias, sizeof alias, ", --%s", o->alias);
	snprintf(left, sizeof left, "%s--%s%s%s%s", letter, o->name, alias, o->metavar ? " " : "",
		 o->metavar ? o->metavar : "");
	if (strlen(left) > 26)
		printf("  %s\n%29s", left, "");
	else
		printf("  %-26s ", left);
	printf("%s\n", cli_option_text(o, text, sizeof text));
}

static int print_help(const struct cmd *cmd, const struct opt *opts)
{
	printf("usage: hokku %s\n\n%s\n\noptions:\n", cmd->usage, cmd->summary);
	bool any_env = false;
	for (const struct opt *o = opts; o->name; o++) {
		print_option(o);
		any_env |= o->env;
	}
	printf("  %-26s this text\n", "-h, --help");
	if (any_env) {
		printf("\nvariables (an option on the command line wins):\n ");
		size_t column = 1;
		for (const struct opt *o = opts; o->name; o++) {
			char name[64];
			cli_variable(o, name, sizeof name);
			if (!o->env)
				continue;
			if (column + strlen(name) > 90) {
				printf("\n ");
				column = 1;
			}
			column += 1 + strlen(name);
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

/* A number, which may have a fraction, and a unit: K, M, G, T, also as Ki and KiB, count in 1024; KB, MB, GB,
 * TB in 1000, as GNU's tools have it. Capital or small. */
static bool parse_bytes(const char *text, uint64_t *out)
{
	static const char letters[] = "kmgt";
	char *end;
	if (!isdigit((unsigned char)text[0]))
		return false;
	if (parse_u64(text, out))
		return true;
	double value = strtod(text, &end), unit = 1;
	if (strspn(text, "0123456789.") != (size_t)(end - text) || !*end) /* 1e9, 0x10; 1.5 bytes */
		return false;
	const char *letter = strchr(letters, tolower((unsigned char)*end));
	bool decimal = letter && tolower((unsigned char)end[1]) == 'b' && !end[2];
	for (const char *l = letters; letter && l <= letter; l++)
		unit *= decimal ? 1000 : 1024;
	if (letter)
		end++;
	if (letter && strcasecmp(end, "ib") != 0 && strcasecmp(end, "i") != 0 && !decimal && *end)
		return false;
	if (!letter && strcasecmp(end, "b") != 0)
		return false;
	value *= unit;
	*out = value < 0x1p63 ? (uint64_t)value : 0;
	return value < 0x1p63 && (letter || value == floor(value));
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

static bool parse_i32(const char *text, int32_t *out)
{
	uint64_t u;
	bool negative = text[0] == '-';
	if (!parse_u64(text + negative, &u) || u > INT32_MAX)
		return false;
	*out = negative ? -(int32_t)u : (int32_t)u;
	return true;
}

static bool in_range(const struct opt *o, double value)
{
	if (o->min == 0 && o->max == 0)
		return true;
	return (o->min_open ? value > o->min : value >= o->min) && value <= o->max;
}

static bool set_choice(const struct opt *o, const char *text)
{
	for (unsigned i = 0; o->choices[i]; i++)
		if (strcmp(text, o->choices[i]) == 0) {
			*(unsigned *)o->target = i + 1;
			return true;
		}
	return false;
}

static bool set_number(const struct opt *o, const char *text)
{
	uint64_t u = 0;
	int32_t i = 0;
	double f = 0;
	bool ok = false;
	switch (o->kind) {
	case OPT_U32:
		ok = parse_u64(text, &u) && in_range(o, (double)u) && u <= UINT32_MAX;
		if (ok)
			*(uint32_t *)o->target = (uint32_t)u;
		break;
	case OPT_U64:
		ok = parse_u64(text, &u) && in_range(o, (double)u);
		if (ok)
			*(uint64_t *)o->target = u;
		break;
	case OPT_BYTES:
		ok = parse_bytes(text, &u) && in_range(o, (double)u);
		if (ok)
			*(uint64_t *)o->target = u;
		break;
	case OPT_I32:
		ok = parse_i32(text, &i) && in_range(o, i);
		if (ok)
			*(int32_t *)o->target = i;
		break;
	case OPT_F32:
		ok = parse_f64(text, &f) && in_range(o, f);
		if (ok)
			*(float *)o->target = (float)f;
		break;
	case OPT_CHOICE:
		ok = set_choice(o, text);
		break;
	case OPT_FLAG:
	case OPT_STRING:
	case OPT_LIST:
		break;
	}
	return ok;
}

/* 1 and 0, true and false; anything else is -1. */
static int parse_flag(const char *text)
{
	if (strcmp(text, "1") == 0 || strcmp(text, "true") == 0)
		return 1;
	return strcmp(text, "0") == 0 || strcmp(text, "false") == 0 ? 0 : -1;
}

/* what: how messages name the source of the value ("--ctx", "HOKKU_CTX"). Returns -1, or an exit code. */
static int set_value(const struct cmd *cmd, const struct opt *o, const char *what, const char *text)
{
	char range[80], quoted[96];
	if (o->kind == OPT_FLAG) {
		int flag = parse_flag(text);
		if (flag < 0)
			return cli_usage(cmd, "%s is %s; it takes 1 or 0, true or false", what,
					 str_quote(str_c(text), quoted, sizeof quoted));
		*(bool *)o->target = flag;
	} else if (o->kind == OPT_STRING) {
		*(const char **)o->target = text;
	} else if (o->kind == OPT_LIST) {
		struct opt_list *list = o->target;
		if (list->n == list->max)
			return cli_usage(cmd, "%s may be given %u times at most", what, list->max);
		list->values[list->n++] = text;
	} else if (!set_number(o, text)) {
		if (!*range_text(o, range, sizeof range))
			snprintf(range, sizeof range, "%s", widest_range(o->kind));
		return cli_usage(cmd, "%s is %s; it takes %s%s%s", what,
				 str_quote(str_c(text), quoted, sizeof quoted), kind_name(o),
				 *range ? " " : "", range);
	}
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
		cli_variable(o, name, sizeof name);
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
	enum { MAX = 128 };
	const char *names[MAX];
	size_t n = 0;
	names[n++] = "help";
	for (const struct opt *o = opts; o->name && n < MAX - 2; o++) {
		names[n++] = o->name;
		if (o->alias)
			names[n++] = o->alias;
	}
	names[n] = NULL;
	const char *near = str_nearest(name, names);
	if (near)
		return cli_usage(cmd, "there is no option --%s; did you mean --%s?", name, near);
	return cli_usage(cmd, "there is no option --%s", name);
}

static const struct opt *find_long(const struct opt *opts, const char *name)
{
	for (const struct opt *o = opts; o->name; o++)
		if (strcmp(o->name, name) == 0 || (o->alias && strcmp(o->alias, name) == 0))
			return o;
	return NULL;
}

/* By two or three letters after one dash, as other programs write some names: they are aliases. */
static const struct opt *find_short(const struct opt *opts, const char *name)
{
	for (const struct opt *o = opts; o->name; o++)
		if (o->alias && strcmp(o->alias, name) == 0)
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
	} else if (word[2] && (!word[3] || !word[4]) && (o = find_short(opts, word + 1)) != NULL) {
		snprintf(what, sizeof what, "-%s", word + 1);
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

/* Who listens instead of a command's run. */
static struct {
	cli_told *told;
	void *user;
} listener;

void cli_tell(const struct cmd *cmd, cli_told *told, void *user)
{
	char name[64], word[64];
	char *argv[] = {name, NULL, NULL};
	listener.told = told;
	listener.user = user;
	snprintf(name, sizeof name, "%s", cmd->name);
	cmd->run(1, argv);
	argv[1] = word;
	for (const char *const *w = cmd->words; w && *w && cmd->has_parts; w++) {
		snprintf(word, sizeof word, "%s", *w);
		cmd->run(2, argv);
	}
	listener.told = NULL;
}

int cli_parse(const struct cmd *cmd, const struct opt *opts, int argc, char **argv, const char **operands,
	      int max_operands, int *n_operands)
{
	*n_operands = 0;
	if (listener.told) {
		listener.told(listener.user, cmd, opts, max_operands);
		return EXIT_OK;
	}
	int rc = read_env(cmd, opts);
	bool only_operands = false;
	char quoted[96];
	for (int i = 1; i < argc && rc < 0; i++) {
		if (!only_operands && strcmp(argv[i], "--") == 0)
			only_operands = true;
		else if (!only_operands && argv[i][0] == '-' && argv[i][1])
			rc = take_option(cmd, opts, argc, argv, &i);
		else if (*n_operands < max_operands)
			operands[(*n_operands)++] = argv[i];
		else
			rc = cli_usage(cmd, "%s is one word too many",
				       str_quote(str_c(argv[i]), quoted, sizeof quoted));
	}
	return rc;
}

void cli_print_commands(FILE *out)
{
	for (const struct cmd *const *c = commands; *c; c++)
		fprintf(out, "  %-12s %s\n", (*c)->name, (*c)->summary);
}

int cli_unknown_command(const char *name)
{
	enum { MAX = 64 };
	const char *names[MAX];
	size_t n = 0;
	for (const struct cmd *const *c = commands; *c && n < MAX - 1; c++)
		names[n++] = (*c)->name;
	names[n] = NULL;
	const char *near = str_nearest(name, names);
	char quoted[96];
	fprintf(stderr, "hokku: there is no command %s", str_quote(str_c(name), quoted, sizeof quoted));
	if (near)
		fprintf(stderr, "; did you mean \"%s\"?", near);
	fprintf(stderr, " (`hokku --help` lists them)\n");
	return EXIT_USAGE;
}
