#include <stdio.h>
#include <string.h>

#include "base/build.h"
#include "cli/cli.h"
#include "compute/cpu/tier.h"

static int run(int argc, char **argv);

const struct cmd cmd_version = {
	.name = "version",
	.usage = "version",
	.summary = "print version, build, compiler and features",
	.help = "The build is the number that the linker gave to the program: any change of the code changes it. Of the\n"
		"CPU's instruction sets those are told that the program has code for, the best first, and the one that\n"
		"this machine gets. Whether a GPU is used, `hokku devices` tells.\n\n"
		"Examples:\n"
		"  hokku version\n"
		"  hokku --version\n",
	.run = run,
};

#if defined __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

#if defined __x86_64__
#define MACHINE "x86-64"
#elif defined __aarch64__
#define MACHINE "arm64"
#else
#define MACHINE "another machine"
#endif

static const char *const features[] = {
	"TLS",
#if defined HOKKU_NO_NET
	"no pulling",
#else
	"pulling",
#endif
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
	"sanitizers",
#endif
#if !defined NDEBUG
	"assertions",
#endif
};

static int run(int argc, char **argv)
{
	static const struct opt opts[] = {{0}};
	char build[BUILD_ID_TEXT];
	int n, rc = cli_parse(&cmd_version, opts, argc, argv, NULL, 0, &n);
	if (rc >= 0)
		return rc;
	build_id(build);
	printf("hokku %s\nbuild: %s\ncompiler: %s, for %s\nfeatures: ", hokku_version(),
	       strchr(build, ' ') + 1, COMPILER, MACHINE);
	for (size_t i = 0; i < sizeof features / sizeof *features; i++)
		printf("%s%s", i ? ", " : "", features[i]);
	printf("\nCPU: ");
	for (size_t i = 0; cpu_tiers[i]; i++)
		printf("%s%s", i ? ", " : "", cpu_tiers[i]->name);
	const struct cpu_tier *tier = cpu_tier_get(NULL);
	printf("; here %s\n", tier ? tier->name : "none");
	return cli_finish(EXIT_OK);
}
