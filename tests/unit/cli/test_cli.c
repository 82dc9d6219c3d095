/* The option parser: every kind of option, both spellings, ranges, variables, and what is said of mistakes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/options_common.h"

static struct {
	bool flag, given;
	const char *text;
	uint32_t n;
	uint64_t big, size;
	int32_t i;
	float x, open;
	const char *items[2];
	struct opt_list list;
} v;

static const struct opt opts[] = {
	{.name = "flag", .letter = 'g', .kind = OPT_FLAG, .target = &v.flag, .help = "a flag", .env = true},
	{.name = "text",
	 .letter = 't',
	 .kind = OPT_STRING,
	 .target = &v.text,
	 .metavar = "TEXT",
	 .help = "a text",
	 .env = true,
	 .given = &v.given},
	{.name = "count",
	 .kind = OPT_U32,
	 .target = &v.n,
	 .metavar = "N",
	 .help = "a count",
	 .min = 1,
	 .max = 10,
	 .env = true},
	{.name = "big",
	 .kind = OPT_U64,
	 .target = &v.big,
	 .metavar = "N",
	 .help = "a big number",
	 .fallback = "none"},
	{.name = "size",
	 .kind = OPT_BYTES,
	 .target = &v.size,
	 .metavar = "BYTES",
	 .help = "a size",
	 .fallback = "none"},
	{.name = "signed",
	 .kind = OPT_I32,
	 .target = &v.i,
	 .metavar = "N",
	 .help = "a signed number",
	 .min = -5,
	 .max = 5},
	{.name = "ratio",
	 .alias = "r-alias",
	 .kind = OPT_F32,
	 .target = &v.x,
	 .metavar = "X",
	 .help = "a ratio",
	 .min = 0,
	 .max = 1},
	{.name = "open",
	 .kind = OPT_F32,
	 .target = &v.open,
	 .metavar = "X",
	 .help = "above 0",
	 .max = 1,
	 .min_open = true},
	{.name = "item", .kind = OPT_LIST, .target = &v.list, .metavar = "TEXT", .help = "an item"},
	{0},
};

static const struct cmd cmd = {
	.name = "try", .usage = "try [A] [B]", .summary = "tries", .help = "Example:\n  hokku try\n"};

static const char *operands[2];
static int n_operands;
static char said[4096]; /* on stdout and stderr by the last parse */

/* Parses the words of line, split at spaces ('_' stands for a space, '~' for nothing). */
static int parse(const char *line)
{
	static char words[32][512];
	char *argv[33] = {"try"};
	int argc = 1;
	while (*line) {
		size_t n = strcspn(line, " "), m = 0;
		for (size_t i = 0; i < n; i++)
			if (line[i] != '~')
				words[argc][m++] = line[i] == '_' ? ' ' : line[i];
		words[argc][m] = '\0';
		argv[argc] = words[argc];
		argc++;
		line += n + (line[n] == ' ');
	}
	memset(&v, 0, sizeof v);
	v.list = (struct opt_list){.values = v.items, .max = 2};
	v.n = 3;
	char *text;
	size_t size;
	FILE *memory = open_memstream(&text, &size), *out = stdout, *err = stderr;
	stdout = stderr = memory;
	int rc = cli_parse(&cmd, opts, argc, argv, operands, 2, &n_operands);
	stdout = out;
	stderr = err;
	fclose(memory);
	snprintf(said, sizeof said, "%s", text);
	free(text);
	return rc;
}

static void expect_mistake(const char *line, const char *message)
{
	char wanted[512];
	assert_int_equal(parse(line), EXIT_USAGE);
	snprintf(wanted, sizeof wanted, "hokku try: %s (see hokku try --help)\n", message);
	assert_string_equal(said, wanted);
}

static void test_values(void **state)
{
	(void)state;
	assert_int_equal(parse(""), -1);
	assert_true(!v.flag && !v.given && v.n == 3 && n_operands == 0);
	assert_int_equal(
		parse("--flag --text a_b --count 7 --big 18446744073709551615 --signed -5 --ratio 0.5"), -1);
	assert_true(v.flag && v.given && v.n == 7 && v.big == UINT64_MAX && v.i == -5 && v.x == 0.5f);
	assert_string_equal(v.text, "a b");
	assert_int_equal(parse("--flag=false --text= --count=10 --r-alias=1e-1 --open=1 --signed=5"), -1);
	assert_true(!v.flag && v.n == 10 && v.x == 0.1f && v.open == 1 && v.i == 5);
	assert_string_equal(v.text, "");
	static const char *const flags[] = {"--flag=1", "--flag=true", "--flag=0", "--flag=false"};
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(parse(flags[i]), -1);
		assert_int_equal(v.flag, i < 2);
	}
	expect_mistake("--flag=", "--flag is \"\"; it takes 1 or 0, true or false");
	assert_int_equal(parse("-g -tabc"), -1);
	assert_true(v.flag);
	assert_string_equal(v.text, "abc");
	assert_int_equal(parse("-t -g"), -1); /* a value may look like an option */
	assert_true(!v.flag);
	assert_string_equal(v.text, "-g");
	assert_int_equal(parse("--count 1 --count 2"), -1); /* the last one wins */
	assert_int_equal(v.n, 2);
	assert_int_equal(parse("--item a --item=b"), -1);
	assert_int_equal(v.list.n, 2);
	assert_string_equal(v.items[0], "a");
	assert_string_equal(v.items[1], "b");
}

static void test_operands(void **state)
{
	(void)state;
	assert_int_equal(parse("one --flag -"), -1);
	assert_int_equal(n_operands, 2);
	assert_string_equal(operands[0], "one");
	assert_string_equal(operands[1], "-");
	assert_int_equal(parse("-- --flag -g"), -1);
	assert_true(!v.flag && n_operands == 2);
	assert_string_equal(operands[0], "--flag");
	expect_mistake("a b c", "\"c\" is one word too many");
}

static void test_mistakes(void **state)
{
	(void)state;
	expect_mistake("--count 0", "--count is \"0\"; it takes a whole number from 1 to 10");
	expect_mistake("--count 11", "--count is \"11\"; it takes a whole number from 1 to 10");
	expect_mistake("--count ~", "--count is \"\"; it takes a whole number from 1 to 10");
	expect_mistake("--count 5x", "--count is \"5x\"; it takes a whole number from 1 to 10");
	expect_mistake("--count _5", "--count is \" 5\"; it takes a whole number from 1 to 10");
	expect_mistake("--count +5", "--count is \"+5\"; it takes a whole number from 1 to 10");
	expect_mistake("--count 4294967297",
		       "--count is \"4294967297\"; it takes a whole number from 1 to 10");
	expect_mistake("--big -1", "--big is \"-1\"; it takes a whole number from 0 to 18446744073709551615");
	expect_mistake(
		"--big 18446744073709551616",
		"--big is \"18446744073709551616\"; it takes a whole number from 0 to 18446744073709551615");
	expect_mistake("--signed -6", "--signed is \"-6\"; it takes a whole number from -5 to 5");
	expect_mistake("--signed --5", "--signed is \"--5\"; it takes a whole number from -5 to 5");
	expect_mistake("--ratio 1.01", "--ratio is \"1.01\"; it takes a number from 0 to 1");
	expect_mistake("--ratio nan", "--ratio is \"nan\"; it takes a number from 0 to 1");
	expect_mistake("--ratio 0.5.", "--ratio is \"0.5.\"; it takes a number from 0 to 1");
	expect_mistake("--r-alias 2", "--r-alias is \"2\"; it takes a number from 0 to 1");
	expect_mistake("--open 0", "--open is \"0\"; it takes a number more than 0 and at most 1");
	expect_mistake("--flag=maybe", "--flag is \"maybe\"; it takes 1 or 0, true or false");
	expect_mistake("--item a --item b --item c", "--item may be given 2 times at most");
	expect_mistake("--text", "--text needs a value (TEXT)");
	expect_mistake("-t", "-t needs a value (TEXT)");
	expect_mistake("--cuont 5", "there is no option --cuont; did you mean --count?");
	expect_mistake("--r-alais 5", "there is no option --r-alais; did you mean --r-alias?");
	expect_mistake("--hlep", "there is no option --hlep; did you mean --help?");
	expect_mistake("--zzzzzzzz", "there is no option --zzzzzzzz");
	expect_mistake("-z", "there is no option -z");
}

static void test_variables(void **state)
{
	(void)state;
	setenv("HOKKU_COUNT", "5", 1);
	setenv("HOKKU_FLAG", "1", 1);
	setenv("HOKKU_TEXT", "from_env", 1);
	setenv("HOKKU_BIG", "9", 1); /* has no variable */
	assert_int_equal(parse(""), -1);
	assert_true(v.n == 5 && v.flag && v.given && v.big == 0);
	assert_string_equal(v.text, "from_env");
	assert_int_equal(parse("--count 6 --flag=0"), -1);
	assert_true(v.n == 6 && !v.flag);
	setenv("HOKKU_COUNT", "", 1); /* as if it were absent */
	assert_int_equal(parse(""), -1);
	assert_int_equal(v.n, 3);
	setenv("HOKKU_COUNT", "eleven", 1);
	expect_mistake("", "HOKKU_COUNT is \"eleven\"; it takes a whole number from 1 to 10");
	unsetenv("HOKKU_COUNT");
	unsetenv("HOKKU_FLAG");
	unsetenv("HOKKU_TEXT");
	unsetenv("HOKKU_BIG");
}

static void test_help(void **state)
{
	(void)state;
	assert_int_equal(parse("--help"), EXIT_OK);
	assert_string_equal(said,
			    "usage: hokku try [A] [B]\n\ntries\n\noptions:\n"
			    "  -g, --flag                 a flag\n"
			    "  -t, --text TEXT            a text\n"
			    "  --count N                  a count; from 1 to 10 (default 3)\n"
			    "  --big N                    a big number (default none)\n"
			    "  --size BYTES               a size (default none)\n"
			    "  --signed N                 a signed number; from -5 to 5 (default 0)\n"
			    "  --ratio, --r-alias X       a ratio; from 0 to 1 (default 0)\n"
			    "  --open X                   above 0; more than 0 and at most 1 (default 0)\n"
			    "  --item TEXT                an item (up to 2 times)\n"
			    "  -h, --help                 this text\n"
			    "\nvariables (an option on the command line wins):\n"
			    "  HOKKU_FLAG HOKKU_TEXT HOKKU_COUNT\n"
			    "\nExample:\n  hokku try\n");
	assert_int_equal(parse("-h"), EXIT_OK);
	assert_int_equal(parse("--ratio 0.5 --help"), EXIT_OK);
}

/* Units as GNU's tools read them. */
static void test_sizes(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"0", 0},
		{"18446744073709551615", UINT64_MAX},
		{"1k", 1024},
		{"512M", 512ull << 20},
		{"2G", 2ull << 30},
		{"1.5g", 3ull << 29},
		{"3Ki", 3072},
		{"3kib", 3072},
		{"1TiB", 1ull << 40},
		{"80GB", 80000000000},
		{"0.5kB", 500},
		{"7b", 7},
		{"0.1K", 102},
	};
	static const char *const bad[] = {"",    "-1",   "K",  "1.5", "1e9",  "0x10", "1KK",       "1Kx",
					  "1 K", "1.M.", "1P", "1iB", "1.5b", "9e9G", "99999999T", "inf"};
	char line[64], message[256];
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		snprintf(line, sizeof line, "--size %s", good[i].text);
		assert_int_equal(parse(line), -1);
		assert_int_equal(v.size, good[i].bytes);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(line, sizeof line, "--size=%s", bad[i]);
		for (char *c = line; *c; c++)
			*c = *c == ' ' ? '_' : *c;
		snprintf(message, sizeof message,
			 "--size is \"%s\"; it takes bytes, as 8000000, 512M or 1.5GiB, from 0 to "
			 "18446744073709551615",
			 bad[i]);
		expect_mistake(line, message);
	}
}

/* The tables that commands share hold what the engine's tables say. */
static void test_common(void **state)
{
	(void)state;
	struct opt_table t = {0};
	struct engine_config config = {0};
	struct sampling s;
	bool given[OPT_N_SAMPLING] = {false}, seed_given = false;
	opt_add_engine(&t, &config);
	opt_add_sampling(&t, &s, given, &seed_given);
	assert_int_equal(t.n, 9 + n_sampling_fields + 1);
	assert_null(t.rows[t.n].name);
	assert_true(s.temperature == 0.7f && s.top_p == 1 && s.repetition_penalty == 1 && s.top_k == 0);
	char *argv[] = {"try",
			"--temp",
			"0.25",
			"--top-k",
			"40",
			"--repeat-penalty",
			"1.5",
			"--seed",
			"12",
			"--ctx",
			"100",
			"--device",
			"cpu",
			"--threads",
			"2",
			"--vram-limit=2G",
			"--ram-limit=3G",
			"--kv-bytes=1M",
			"-ctk",
			"q8_0",
			"--cache-type-v=bf16"};
	assert_int_equal(cli_parse(&cmd, t.rows, 21, argv, NULL, 0, &n_operands), -1);
	assert_true(s.temperature == 0.25f && s.top_k == 40 && s.repetition_penalty == 1.5f && s.seed == 12);
	assert_true(given[0] && given[1] && !given[2] && !given[3] && given[4] && !given[5] && !given[6]);
	assert_true(seed_given && config.n_ctx == 100 && config.n_threads == 2);
	assert_true(config.ram_limit == 3ull << 30);
	assert_true(config.vram_limit == 2ull << 30 && config.kv_bytes == 1 << 20);
	assert_true(config.cache.k == CACHE_Q8_0 && config.cache.v == CACHE_BF16);
	assert_string_equal(config.device, "cpu");
	assert_int_equal(sampling_check(&s, 100, NULL), HOKKU_OK);
}

/* Which of the shared options are variables too, and under which name. */
static void test_common_variables(void **state)
{
	(void)state;
	static const char *const set[][2] = {{"HOKKU_DEVICE", "cuda:1"},   {"HOKKU_THREADS", "3"},
					     {"HOKKU_VRAM_LIMIT", "1K"},   {"HOKKU_KV_BYTES", "2K"},
					     {"HOKKU_CTX", "64"},          {"HOKKU_TEMPERATURE", "0.1"},
					     {"HOKKU_TOP_K", "9"},         {"HOKKU_SEED", "9"},
					     {"HOKKU_VRAM-LIMIT", "1000"}, {"HOKKU_CACHE_TYPE_K", "f16"}};
	enum { N = sizeof set / sizeof set[0] };
	struct opt_table t = {0};
	struct engine_config config = {0};
	struct sampling s;
	bool given[OPT_N_SAMPLING] = {false}, seed_given = false;
	char *argv[] = {"try"};
	opt_add_engine(&t, &config);
	opt_add_sampling(&t, &s, given, &seed_given);
	for (size_t i = 0; i < N; i++)
		setenv(set[i][0], set[i][1], 1);
	assert_int_equal(cli_parse(&cmd, t.rows, 1, argv, NULL, 0, &n_operands), -1);
	for (size_t i = 0; i < N; i++)
		unsetenv(set[i][0]);
	assert_string_equal(config.device, "cuda:1");
	assert_true(config.n_threads == 3 && config.vram_limit == 1024 && config.kv_bytes == 2048);
	assert_true(config.n_ctx == 64 && config.cache.k == CACHE_F16 && config.cache.v == CACHE_DEFAULT);
	assert_true(s.temperature == 0.7f && s.top_k == 0 && !seed_given);
}

/* Names of variables fill lines of 90 columns. */
static void test_help_wraps(void **state)
{
	(void)state;
	static bool flag;
	const char *const longest[] = {"abcdefghijklmnopqrstuvw", "abcdefghijklmnopqrstuvwx"};
	for (size_t more = 0; more < 2; more++) {
		struct opt rows[4] = {{0}};
		for (size_t i = 0; i < 3; i++)
			rows[i] = (struct opt){.name = i == 2 ? longest[more] : "abcdefghijklmnopqrstuv-",
					       .kind = OPT_FLAG,
					       .target = &flag,
					       .help = "a flag",
					       .env = true};
		char *argv[] = {"try", "-h"}, *text;
		size_t size;
		FILE *memory = open_memstream(&text, &size), *out = stdout;
		stdout = memory;
		assert_int_equal(cli_parse(&cmd, rows, 2, argv, NULL, 0, &n_operands), EXIT_OK);
		stdout = out;
		fclose(memory);
		const char *first = strstr(text, " HOKKU_"), *end = strchr(first, '\n');
		assert_int_equal(end - first, 2 * 30 + (more ? 0 : 30));
		free(text);
	}
}

/* What is said on stderr, where that is a terminal (CR and LF come as they were sent) or a file. */
static char *overhear(bool terminal, void (*talk)(void))
{
	static char heard[1024];
	int pair[2];
	if (terminal) {
		struct termios raw;
		pair[0] = posix_openpt(O_RDWR | O_NOCTTY);
		assert_true(pair[0] >= 0 && grantpt(pair[0]) == 0 && unlockpt(pair[0]) == 0);
		pair[1] = open(ptsname(pair[0]), O_RDWR | O_NOCTTY);
		assert_int_equal(tcgetattr(pair[1], &raw), 0);
		raw.c_oflag &= ~(tcflag_t)OPOST;
		assert_int_equal(tcsetattr(pair[1], TCSANOW, &raw), 0);
	} else {
		assert_int_equal(pipe(pair), 0);
	}
	int saved = dup(STDERR_FILENO);
	fflush(stderr);
	dup2(pair[1], STDERR_FILENO);
	talk();
	fflush(stderr);
	assert_int_equal(write(STDERR_FILENO, "#", 1), 1); /* the end: a terminal may bring it in pieces */
	dup2(saved, STDERR_FILENO);
	size_t n = 0;
	while (n == 0 || heard[n - 1] != '#') {
		ssize_t got = read(pair[0], heard + n, sizeof heard - n);
		assert_true(got > 0);
		n += (size_t)got;
	}
	heard[n - 1] = '\0';
	close(saved);
	close(pair[0]);
	close(pair[1]);
	return heard;
}

static void progress(void)
{
	cli_progress("reading", 0);
	cli_progress("reading", 0.424);
	cli_progress("reading", 1);
}

static void progress_bytes(void)
{
	cli_progress_bytes("loading", 0, 0, 1); /* of nothing: done */
	cli_progress_bytes("loading", 1 << 20, 4 << 20, 0);
	cli_progress_bytes("loading", (1 << 20) + 1, 4 << 20, 1); /* the same percentage: not again */
	cli_progress_bytes("loading", 31ull << 27, 4ull << 30, 0.5);
	cli_progress_bytes("loading", 4ull << 30, 4ull << 30, 1);
}

static void test_progress(void **state)
{
	(void)state;
	assert_string_equal(overhear(true, progress), "\rreading   0%\rreading  42%\r\033[K");
	assert_string_equal(overhear(true, progress_bytes),
			    "\r\033[K"
			    "\r\033[Kloading  25%, 1.0 MiB of 4.0 MiB, 0.0 GB/s"
			    "\r\033[Kloading  96%, 3.9 GiB of 4.0 GiB, 8.3 GB/s"
			    "\r\033[K");
	assert_string_equal(overhear(false, progress_bytes), "");
}

static void tell(void)
{
	cli_tell_device("cpu", NULL, true, true);
	cli_tell_device("cpu", "it is quiet", false, false);
	cli_tell_device("cpu", "it matters", true, false);
	cli_tell_device("cpu", "it was asked", false, true);
}

static void test_tell_device(void **state)
{
	(void)state;
	assert_string_equal(overhear(false, tell), "hokku: computing on cpu, because it matters\n"
						   "hokku: computing on cpu, because it was asked\n");
}

static struct {
	const struct opt *rows;
	int argc, code;
	char **argv;
} current;

static void parse_current(void)
{
	current.code = cli_parse(&cmd, current.rows, current.argc, current.argv, NULL, 0, &n_operands);
}

/* A type that is none is told of with all that are; short names have one dash or two, and their value after
 * them. */
static void test_cache_types(void **state)
{
	(void)state;
	static const struct {
		char *argv[4];
		int argc, code;
		const char *message;
	} cases[] = {
		{{"try", "-ctv", "q8_0"}, 3, -1, NULL},
		{{"try", "--ctv", "q8_0"}, 3, -1, NULL},
		{{"try", "--ctv=q8_0"}, 2, -1, NULL},
		{{"try", "-ctv", "q4_0"},
		 3,
		 EXIT_USAGE,
		 "-ctv is \"q4_0\"; it takes one of f32, f16, bf16, f16x2, q8_0 (see"},
		{{"try", "--cache-type-v="},
		 2,
		 EXIT_USAGE,
		 "--cache-type-v is \"\"; it takes one of f32, f16"},
		{{"try", "--cache-type-v", "Q8_0"},
		 3,
		 EXIT_USAGE,
		 "--cache-type-v is \"Q8_0\"; it takes one of"},
		{{"try", "-ctv"}, 2, EXIT_USAGE, "-ctv needs a value (TYPE)"},
		{{"try", "-ctvq8_0"}, 2, EXIT_USAGE, "-c is \"tvq8_0\"; it takes a whole number"},
		{{"try", "-ctw", "q8_0"}, 3, EXIT_USAGE, "-c is \"tw\"; it takes a whole number"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct opt_table t = {0};
		struct engine_config config = {0};
		opt_add_engine(&t, &config);
		current.rows = t.rows;
		current.argc = cases[i].argc;
		current.argv = (char **)(uintptr_t)cases[i].argv;
		char *heard = overhear(false, parse_current);
		assert_int_equal(current.code, cases[i].code);
		if (cases[i].message && !strstr(heard, cases[i].message))
			fail_msg("heard\n  %s\nwanted\n  %s", heard, cases[i].message);
		assert_int_equal(config.cache.v, cases[i].message ? CACHE_DEFAULT : CACHE_Q8_0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),      cmocka_unit_test(test_operands),
		cmocka_unit_test(test_mistakes),    cmocka_unit_test(test_variables),
		cmocka_unit_test(test_help),        cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_common),      cmocka_unit_test(test_common_variables),
		cmocka_unit_test(test_help_wraps),  cmocka_unit_test(test_progress),
		cmocka_unit_test(test_tell_device), cmocka_unit_test(test_cache_types),
	};
	return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
