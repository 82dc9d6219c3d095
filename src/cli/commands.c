#include "cli/cli.h"

#define CMD(name) extern const struct cmd cmd_##name;
#include "cli/commands.def"
#undef CMD

const struct cmd *const commands[] = {
#define CMD(name) &cmd_##name,
#include "cli/commands.def"
#undef CMD
	NULL,
};
