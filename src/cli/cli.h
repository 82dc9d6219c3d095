/*
 * Subcommands: one file each, cmd_NAME.c, one row each in commands.def. A command parses its options from a
 * table, calls the library, prints. Results go to stdout; progress, notes and errors to stderr.
 *
 * Exit codes: 0 done; 1 it failed (the reason is on stderr); 2 the command line is wrong; 130 interrupted.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdio.h>

#include "base/error.h"
#include "base/str.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

enum opt_kind { OPT_FLAG, OPT_STRING, OPT_U32, OPT_U64, OPT_BYTES, OPT_I32, OPT_F32, OPT_LIST, OPT_CHOICE };

/* What an OPT_LIST option fills: one text each time it is given; more than max is an error. */
struct opt_list {
	const char **values; /* (max), the command's */
	uint32_t n, max;
};

/* One option: `--name VALUE`, `--name=VALUE`, `-c VALUE`; also the variable HOKKU_NAME (upper case, _ for -)
 * where env is true. The row drives parsing, help and docs. target is a bool *, const char **, uint32_t *,
 * uint64_t * (OPT_U64, and OPT_BYTES: 8000000, 512M, 1.5GiB), int32_t *, float *, struct opt_list * or
 * (OPT_CHOICE) an enum's, which becomes 1 for the first of choices, 2 for the second. */
struct opt {
	const char *name; /* "ctx" without dashes */
	char letter;      /* 'p' or 0 */
	enum opt_kind kind;
	void *target;        /* of the kind's type (see below); holds the default */
	const char *metavar; /* "N"; NULL for a flag */
	const char *help;    /* one line */
	double min, max;     /* of numbers; both 0: any */
	bool env;
	bool *given;          /* set when the option or its variable was given; may be NULL */
	bool min_open;        /* min itself is not allowed */
	const char *alias;    /* a second long name, with one dash too where it is short; may be NULL */
	const char *fallback; /* what help says of the default instead of the target's value; may be NULL */
	const char *const *choices; /* NULL-terminated; of an OPT_CHOICE alone */
};

struct cmd {
	const char *name;
	const char *usage;                 /* "inspect FILE [--json]" */
	const char *summary;               /* one line for the list */
	const char *help;                  /* paragraphs under the options; holds an example */
	int (*run)(int argc, char **argv); /* argv[0] is the subcommand's name */
	const char *const
		*words; /* what the first operand may be, NULL-terminated; NULL: it is no word of ours */
	bool has_parts; /* each of words is a command of its own, as `bench serve` */
};

extern const struct cmd *const commands[]; /* NULL-terminated */

/* Parses argv against opts (terminated by a row whose name is NULL), collects operands (up to max_operands;
 * the rest is an error). `--` ends the options, "-" is an operand. --help prints help. Returns -1 to go on,
 * otherwise the exit code to return at once. Unknown options name the nearest one. */
int cli_parse(const struct cmd *cmd, const struct opt *opts, int argc, char **argv, const char **operands,
	      int max_operands, int *n_operands);

/* What a command takes, told to manuals and completions; opts live as long as the call. */
typedef void cli_told(void *user, const struct cmd *cmd, const struct opt *opts, int max_operands);

/* Calls told for cmd, which does not run, and for each of its parts behind it. */
void cli_tell(const struct cmd *cmd, cli_told *told, void *user);

/* "what it is for; from 0 to 1 (default 0.5)", as help has it. Returns out. */
char *cli_option_text(const struct opt *o, char *out, size_t size);

/* "HOKKU_CACHE_TYPE_K". */
void cli_variable(const struct opt *o, char *out, size_t size);

/* Prints a line in one write; control characters of text are escapes (\\n, \\x1b): names come from files and
 * from others. */
void cli_line(FILE *f, const char *before, const char *text, const char *after);

/* "hokku: MESSAGE" on stderr; returns the exit code for err (EXIT_FAILED). */
int cli_fail(const struct hokku_error *err);

/* "hokku NAME: MESSAGE (see hokku NAME --help)" on stderr; returns EXIT_USAGE. */
int cli_usage(const struct cmd *cmd, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* White space, as JSON has it. */
static inline bool cli_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Puts a question on stderr and reads a line: "y..." is yes, an empty one is `otherwise`, all else and the
 * end of the input no. */
bool cli_ask(const char *question, bool otherwise);

/* A progress line on stderr if it is a terminal, redrawn in place ("loading 42%"); part 1 wipes it. */
void cli_progress(void *label, double part);

/* The same of bytes: "loading 42%, 6.1 of 14.2 GiB, 21.3 GB/s". A percentage is drawn once. */
void cli_progress_bytes(const char *label, uint64_t done, uint64_t all, double seconds);

/* compute_params.on_progress, with the clock_ns of the beginning as user. */
void cli_load_progress(void *begin_ns, uint64_t done, uint64_t all);

/* For command names: prints "did you mean" if one is near; returns EXIT_USAGE. */
int cli_unknown_command(const char *name);

/* The list of commands, on out. */
void cli_print_commands(FILE *out);

/* Flushes stdout; a failed write (full disk, closed pipe) is EXIT_FAILED with its reason, else code. */
int cli_finish(int code);

#endif
