#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

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
