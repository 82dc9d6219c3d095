#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

/* A standard stream that the caller closed (`hokku run >&-`) is opened again, in the direction in which it
 * cannot be used: its number must not go to a model, a socket or a pipe, and using it stays an error that is
 * told. */
static void hold_standard_streams(void)
{
	static const int unusable[] = {O_WRONLY, O_RDONLY, O_RDONLY};
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", unusable[fd]) != fd)
			_exit(EXIT_FAILED);
}

static int help(FILE *out)
{
	fprintf(out, "hokku %s: runs language models from GGUF files\n\nusage: hokku COMMAND [OPTIONS]\n\n",
		hokku_version());
	cli_print_commands(out);
	fprintf(out,
		"\n`hokku COMMAND --help` tells more. Exit codes: 0 done, 1 failed, 2 wrong command line, "
		"130 interrupted.\n\nExample:\n  hokku run -p \"autumn rain\"\n");
	return out == stdout ? cli_finish(EXIT_OK) : EXIT_USAGE;
}

int main(int argc, char **argv)
{
	hold_standard_streams();
	if (argc < 2)
		return help(stderr);
	const char *name = argv[1];
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return help(stdout);
	if (strcmp(name, "help") == 0) {
		if (argc == 2)
			return help(stdout);
		static char flag[] = "--help";
		char *again[] = {argv[0], argv[2], flag, NULL};
		return main(3, again);
	}
	if (strcmp(name, "--version") == 0)
		name = "version";
	for (const struct cmd *const *c = commands; *c; c++)
		if (strcmp((*c)->name, name) == 0)
			return (*c)->run(argc - 1, argv + 1);
	return cli_unknown_command(name);
}
