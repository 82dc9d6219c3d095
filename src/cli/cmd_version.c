#include <stdio.h>

#include "cli/cli.h"

static int run(int argc, char **argv);

const struct cmd cmd_version = {
	.name = "version",
	.usage = "version",
	.summary = "print the version",
	.help = "Example:\n"
		"  hokku version\n",
	.run = run,
};

static int run(int argc, char **argv)
{
	static const struct opt opts[] = {{0}};
	int n, rc = cli_parse(&cmd_version, opts, argc, argv, NULL, 0, &n);
	if (rc >= 0)
		return rc;
	printf("hokku %s\n", hokku_version());
	return cli_finish(EXIT_OK);
}
