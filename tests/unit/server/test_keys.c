/* The file of API keys: bare keys, fields, limits, and every way in which a line can be wrong, told by its
 * number and without a key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "engine/engine.h"
#include "server/keys.h"

static struct keys *good(const char *text)
{
	struct keys *k;
	struct hokku_error err = {.message = ""};
	if (keys_parse(str_c(text), "keys", &k, &err))
		fail_msg("%s", err.message);
	return k;
}

static void bad(const char *text, const char *message)
{
	struct keys *k;
	struct hokku_error err = {.message = ""};
	assert_int_equal(keys_parse(str_c(text), "keys", &k, &err), HOKKU_BAD_FILE);
	assert_null(k);
	assert_string_equal(err.message, message);
	assert_null(strstr(err.message, "ecret"));
}

/* Files as they were before there were fields: all of it is still true. */
static void test_bare(void **state)
{
	(void)state;
	struct keys *k =
		good("# keys\n\n  secret-one-1 \t\r\n#secret-no-key\nsecret==two\r\n\t\nsecret=3/+~!#\"");
	assert_int_equal(keys_count(k), 3);
	static const struct {
		const char *name, *secret;
		unsigned line;
	} rows[] = {{"line-3", "secret-one-1", 3},
		    {"line-5", "secret==two", 5},
		    {"line-7", "secret=3/+~!#\"", 7}};
	for (uint32_t i = 0; i < 3; i++) {
		const struct key *key = keys_get(k, i + 1);
		assert_string_equal(key->name, rows[i].name);
		assert_int_equal(keys_find_bare(k, rows[i].secret), i + 1);
		assert_int_equal(key->line, rows[i].line);
		assert_int_equal(key->running, KEYS_UNLIMITED);
		assert_int_equal(key->waiting, KEYS_UNLIMITED);
		assert_int_equal(key->tokens_per_minute, KEYS_UNLIMITED);
	}
	keys_free(k);
	keys_free(good("key=secret-9")); /* one word: a key, whatever it looks like */
	keys_free(NULL);
}

static void test_fields(void **state)
{
	(void)state;
	struct keys *k = good("name=team-a key=secret-a running=8 waiting=100 tokens_per_minute=60000\n"
			      "secret-bare\n"
			      "\ttokens_per_minute=1\t  key=secret=b=  \t name=B.b_b:9 \r\n"
			      "key=secret-c waiting=0 name=c\n");
	assert_int_equal(keys_count(k), 4);
	const struct key *a = keys_get(k, 1), *bare = keys_get(k, 2), *b = keys_get(k, 3),
			 *c = keys_get(k, 4);
	assert_string_equal(a->name, "team-a");
	assert_int_equal(keys_find_bare(k, "secret-a"), 1);
	assert_int_equal(a->running, 8);
	assert_int_equal(a->waiting, 100);
	assert_int_equal(a->tokens_per_minute, 60000);
	assert_string_equal(bare->name, "line-2");
	assert_string_equal(b->name, "B.b_b:9");
	assert_int_equal(keys_find_bare(k, "secret=b="), 3);
	assert_int_equal(b->tokens_per_minute, 1);
	assert_int_equal(b->running, KEYS_UNLIMITED);
	assert_int_equal(c->waiting, 0);
	keys_free(k);
}

static void test_find(void **state)
{
	(void)state;
	struct keys *k = good("name=a key=secret-a\nsecret-bare\nname=b key=secret-b2\n");
	static const struct {
		const char *header;
		uint32_t number;
	} rows[] = {{"Bearer secret-a", 1},
		    {"bearer   secret-bare", 2},
		    {"Bearer secret-b2", 3},
		    {"Bearer secret-b", 0},
		    {"Bearer secret-b22", 0},
		    {"Bearer secret-a ", 0},
		    {"Bearer Secret-a", 0},
		    {"Basic secret-a", 0},
		    {"Bearer", 0},
		    {"Bearer ", 0},
		    {"Bearer a", 0},
		    {"secret-a", 0},
		    {"Bearer line-2", 0},
		    {NULL, 0},
		    {"", 0},
		    {"Bearer secret-asecret-a", 0}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(keys_find(k, rows[i].header), rows[i].number);
	assert_int_equal(keys_find_bare(k, "secret-bare"), 2);
	assert_int_equal(keys_find_bare(k, "Bearer secret-bare"), 0);
	assert_int_equal(keys_find_bare(k, " secret-bare"), 0);
	assert_int_equal(keys_find_bare(k, "secret-b2"), 3);
	assert_int_equal(keys_find_bare(k, ""), 0);
	assert_int_equal(keys_find_bare(k, NULL), 0);
	keys_free(k);
}

static void test_bad(void **state)
{
	(void)state;
	static const char fields[] =
		"; there are name, key, running, waiting, tokens_per_minute, models, admin";
	static const char twice[] = "name=a key=secret-a\n";
	char text[512];
	bad("", "keys has no key in it; a line is a key alone, or name=NAME key=KEY");
	bad("# secret\n\n", "keys has no key in it; a line is a key alone, or name=NAME key=KEY");
	bad("\nsecret7", "keys, line 2: the key has 7 bytes; it takes 8 to 256");
	bad("secr\xc3\xa9t-ecret", "keys, line 1: a key takes printable ASCII characters without spaces");
	bad("name=a key=secret7", "keys, line 1: the key has 7 bytes; it takes 8 to 256");
	bad("name=a key=secr\x01tsecret",
	    "keys, line 1: a key takes printable ASCII characters without spaces");
	bad("name=a key=", "keys, line 1: the key has 0 bytes; it takes 8 to 256");
	bad("name= key=secret-a",
	    "keys, line 1: the name has 0 bytes; it takes 1 to 64 out of A-Z a-z 0-9 - _ . :");
	bad("name=a/secret key=secret-a",
	    "keys, line 1: the name has 8 bytes; it takes 1 to 64 out of A-Z a-z 0-9 - _ . :");
	bad("name=a running=1", "keys, line 1: key is missing; fields are name=NAME key=KEY and limits");
	bad("key=secret-a running=1",
	    "keys, line 1: name is missing; fields are name=NAME key=KEY and limits");
	bad("running=1 waiting=1", "keys, line 1: name is missing; fields are name=NAME key=KEY and limits");
	bad("name=a name=b key=secret-a", "keys, line 1: name is given twice");
	bad("name=a key=secret-a key=secret-b", "keys, line 1: key is given twice");
	bad("running=1 name=a key=secret-a running=1", "keys, line 1: running is given twice");
	bad("team-a secret-a",
	    "keys, line 1: word 1 of it has no \"=\"; a line is a key alone, or fields: name=NAME key=KEY");
	bad("name=a secret-a",
	    "keys, line 1: word 2 of it has no \"=\"; a line is a key alone, or fields: name=NAME key=KEY");
	snprintf(text, sizeof text, "keys, line 1: field 2 of it is unknown%s", fields);
	bad("name=a c2secretV0LWE=", text);
	bad("name=a secret-a=1", text);
	bad("name=a =secret-a", text);
	snprintf(text, sizeof text, "keys, line 2: field 3 of it is unknown: did you mean waiting?%s",
		 fields);
	bad("secret-b\nname=a key=secret-a wating=secret", text);
	snprintf(text, sizeof text,
		 "keys, line 1: field 3 of it is unknown: did you mean tokens_per_minute?%s", fields);
	bad("name=a key=secret-a tokens_per_minutes=5", text);
	bad("name=a key=secret-a running=secret",
	    "keys, line 1: running is no whole number; it takes one from 1 to 256");
	/* Of another line. */
	snprintf(text, sizeof text, "%sname=a key=secret-b", twice);
	bad(text, "keys, line 2: the name a is that of line 1 too");
	snprintf(text, sizeof text, "%s\nname=b key=secret-a", twice);
	bad(text, "keys, line 3: the key is that of line 1 too");
	snprintf(text, sizeof text, "%ssecret-a", twice);
	bad(text, "keys, line 2: the key is that of line 1 too");
	bad("name=line-2 key=secret-a\nsecret-b", "keys, line 2: the name line-2 is that of line 1 too");
	/* Names are shown. */
	bad("name=secret-a key=secret-a", "keys, line 1: the name is the key itself, and names are shown");
	snprintf(text, sizeof text, "%sname=secret-a key=secret-b", twice);
	bad(text, "keys, line 2: it and line 1 have a name that is a key, and names are shown");
	bad("name=secret-b key=secret-a\nsecret-b",
	    "keys, line 2: it and line 1 have a name that is a key, and names are shown");
	assert_int_equal(ENGINE_MAX_PARALLEL, 256);
}

/* Lengths, numbers and counts at their limits, and past them. */
static void test_limits(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint64_t min, max;
	} numbers[] = {{"running", 1, ENGINE_MAX_PARALLEL},
		       {"waiting", 0, KEYS_MAX_WAITING},
		       {"tokens_per_minute", 1, KEYS_MAX_TOKENS}};
	char text[1024], wanted[512];
	struct hokku_error err;
	struct keys *k;
	for (size_t i = 0; i < 3; i++) {
		const uint64_t values[] = {numbers[i].min, numbers[i].max, numbers[i].max + 1, UINT32_MAX,
					   999999999999999};
		for (size_t v = 0; v < 5; v++) {
			snprintf(text, sizeof text, "name=a key=secret-a %s=%llu", numbers[i].name,
				 (unsigned long long)values[v]);
			/* as long as a key: it may be one, and is not shown */
			char shown[32];
			snprintf(shown, sizeof shown, "%llu", (unsigned long long)values[v]);
			snprintf(wanted, sizeof wanted,
				 "keys, line 1: %s is %s; it takes a whole number from %llu to %llu",
				 numbers[i].name,
				 strlen(shown) >= KEYS_MIN_BYTES ? "out of its range" : shown,
				 (unsigned long long)numbers[i].min, (unsigned long long)numbers[i].max);
			if (v < 2)
				keys_free(good(text));
			else
				bad(text, wanted);
		}
		static const char *const none[] = {"",    "-1",   "+1",  "1.5",
						   "1e3", "0x10", "1 0", "9999999999999999"};
		for (size_t v = 0; v < sizeof none / sizeof *none; v++) {
			snprintf(text, sizeof text, "name=a key=secret-a %s=%s", numbers[i].name, none[v]);
			assert_int_equal(keys_parse(str_c(text), "keys", &k, &err), HOKKU_BAD_FILE);
		}
	}
	keys_free(good("\xEF\xBB\xBFname=a key=secret-a\n"));
	bad("name=a key=secret-a running=0",
	    "keys, line 1: running is 0; it takes a whole number from 1 to 256");
	bad("name=a key=secret-a tokens_per_minute=0",
	    "keys, line 1: tokens_per_minute is 0; it takes a whole number from 1 to 100000000");
	for (size_t n = KEYS_MIN_BYTES - 1; n <= KEYS_MAX_BYTES + 1; n++) {
		bool fits = n >= KEYS_MIN_BYTES && n <= KEYS_MAX_BYTES;
		memset(text, 'k', n);
		text[n] = '\0';
		assert_int_equal(keys_parse(str_c(text), "keys", &k, &err), fits ? HOKKU_OK : HOKKU_BAD_FILE);
		keys_free(k);
	}
	for (size_t n = 0; n <= KEYS_MAX_NAME_BYTES + 1; n++) {
		bool fits = n >= 1 && n <= KEYS_MAX_NAME_BYTES;
		size_t at = (size_t)snprintf(text, sizeof text, "key=secret-a name=");
		memset(text + at, 'n', n);
		text[at + n] = '\0';
		assert_int_equal(keys_parse(str_c(text), "keys", &k, &err), fits ? HOKKU_OK : HOKKU_BAD_FILE);
		keys_free(k);
	}
	struct strbuf many = {0};
	for (int i = 0; i < KEYS_MAX; i++)
		strbuf_addf(&many, "secret-%d\n", i);
	k = good(many.ptr);
	assert_int_equal(keys_count(k), KEYS_MAX);
	assert_int_equal(keys_find(k, "Bearer secret-1023"), KEYS_MAX);
	keys_free(k);
	strbuf_add_c(&many, "secret-x\n");
	bad(many.ptr, "keys has more than 1024 keys");
	strbuf_free(&many);
}

/* Lists of models: whole names, beginnings, and what no name may be written as. */
static void test_models(void **state)
{
	(void)state;
	struct keys *k = good("name=a key=secret-a models=haiku,qwen3*,Qwen2.5%200.5B,%2a%2C\n"
			      "name=b key=secret-b\nname=c key=secret-c models=*\n");
	static const struct {
		const char *model;
		bool a;
	} rows[] = {{"haiku", true},           {"haik", false},  {"haiku2", false},
		    {"Haiku", false},          {"qwen3", true},  {"qwen3-4b", true},
		    {"qwen", false},           {"qwen2", false}, {"Qwen2.5 0.5B", true},
		    {"Qwen2.5%200.5B", false}, {"*,", true},     {"", false},
		    {"haiku,qwen3", false},    {"*", false}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(keys_may_use(keys_get(k, 1), rows[i].model), rows[i].a);
		assert_true(keys_may_use(keys_get(k, 2), rows[i].model));
		assert_true(keys_may_use(keys_get(k, 3), rows[i].model));
	}
	keys_free(k);
	static const char empty[] = "keys, line 1: the list of models has a name without a character in it";
	static const char coded[] =
		"keys, line 1: the list of models takes printable ASCII characters, and %XX for any other byte";
	bad("name=a key=secret-a models=",
	    "keys, line 1: the list of models has 0 bytes; it takes 1 to 4096");
	bad("name=a key=secret-a models=,a", empty);
	bad("name=a key=secret-a models=a,", empty);
	bad("name=a key=secret-a models=a,,b", empty);
	bad("name=a key=secret-a models=a%2", coded);
	bad("name=a key=secret-a models=%", coded);
	bad("name=a key=secret-a models=a%zz", coded);
	bad("name=a key=secret-a models=\xc3\xa9", coded);
	bad("name=a key=secret-a models=a models=b", "keys, line 1: models is given twice");
	for (size_t n = KEYS_MAX_MODELS_BYTES - 1; n <= KEYS_MAX_MODELS_BYTES + 1; n++) {
		static char text[KEYS_MAX_MODELS_BYTES + 64];
		struct hokku_error err;
		size_t at = (size_t)snprintf(text, sizeof text, "name=a key=secret-a models=");
		memset(text + at, 'm', n);
		text[at + n] = '\0';
		assert_int_equal(keys_parse(str_c(text), "keys", &k, &err),
				 n <= KEYS_MAX_MODELS_BYTES ? HOKKU_OK : HOKKU_BAD_FILE);
		keys_free(k);
	}
}

static void bad_admin(struct keys *k, const char *secret, const char *message)
{
	struct hokku_error err = {.message = ""};
	struct keys *before = k;
	uint32_t n = k ? keys_count(k) : 0;
	assert_int_equal(keys_add_admin(&k, secret, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, message);
	assert_null(strstr(err.message, "ecret"));
	assert_ptr_equal(k, before);
	assert_true(!k || keys_count(k) == n);
}

static void test_admin(void **state)
{
	(void)state;
	struct hokku_error err;
	struct keys *k =
		good("name=a key=secret-a\nname=b key=secret-b admin=yes\nname=c key=secret-c admin=no\n");
	assert_true(keys_have_admin(k));
	assert_false(keys_get(k, 1)->admin);
	assert_true(keys_get(k, 2)->admin);
	assert_false(keys_get(k, 3)->admin);
	keys_free(k);
	bad("name=a key=secret-a admin=true", "keys, line 1: admin takes yes or no");
	bad("name=a key=secret-a admin=", "keys, line 1: admin takes yes or no");

	k = good("name=a key=secret-a\nsecret-bare\n");
	assert_false(keys_have_admin(k));
	bad_admin(k, "secret-a",
		  "--admin-key is that of a in the key file too; take another, or give that one admin=yes");
	bad_admin(k, "secret7",
		  "--admin-key has 7 bytes; it takes 8 to 256 printable ASCII characters without spaces");
	bad_admin(
		NULL, "secret with spaces",
		"--admin-key has a character that no key has, at place 7; it takes printable ASCII characters without "
		"spaces");
	bad_admin(NULL, "",
		  "--admin-key has 0 bytes; it takes 8 to 256 printable ASCII characters without spaces");
	assert_int_equal(keys_add_admin(&k, "secret-admin", &err), HOKKU_OK);
	assert_true(keys_have_admin(k));
	assert_int_equal(keys_find(k, "Bearer secret-admin"), 3);
	assert_true(keys_get(k, 3)->admin);
	assert_int_equal(keys_get(k, 3)->running, KEYS_UNLIMITED);
	assert_int_equal(keys_named(k, "admin"), 3);
	assert_int_equal(keys_named(k, "line-2"), 2);
	assert_int_equal(keys_named(k, "nobody"), 0);
	keys_free(k);
	k = good("secret-bare\nname=admin key=secret-a\n");
	bad_admin(
		k, "another-one",
		"line 2 of the key file has the name admin, which is that of --admin-key; rename it, or give it "
		"admin=yes");
	keys_free(k);
	k = good("name=some-name key=secret-a\n");
	bad_admin(k, "some-name",
		  "--admin-key is the name of line 1 of the key file, and names are shown; take another");
	keys_free(k);

	k = NULL; /* no file */
	assert_int_equal(keys_add_admin(&k, "secret-admin", &err), HOKKU_OK);
	assert_int_equal(keys_count(k), 1);
	assert_int_equal(keys_find_bare(k, "secret-admin"), 1);
	keys_free(k);

	struct strbuf many = {0};
	for (int i = 0; i < KEYS_MAX - 1; i++)
		strbuf_addf(&many, "secret-%d\n", i);
	k = good(many.ptr);
	assert_int_equal(keys_add_admin(&k, "secret-admin", &err), HOKKU_OK);
	assert_int_equal(keys_count(k), KEYS_MAX);
	keys_free(k);
	strbuf_add_c(&many, "secret-x\n");
	k = good(many.ptr);
	bad_admin(k, "the-admins", "--admin-key is one more than the 1024 keys allowed");
	keys_free(k);
	strbuf_free(&many);
}

/* What is kept is not the key, nor the same in two processes. */
static void test_digests(void **state)
{
	(void)state;
	struct keys *a = good("name=a key=secret-a\n"), *b = good("name=a key=secret-a\n");
	const struct key *one = keys_get(a, 1), *other = keys_get(b, 1);
	assert_int_not_equal(memcmp(one->digest, other->digest, sizeof one->digest), 0);
	assert_null(memmem(one, sizeof *one, "secret-a", 8));
	assert_int_equal(one->folder, other->folder);
	keys_free(a);
	keys_free(b);
}

static void test_load(void **state)
{
	(void)state;
	char path[] = "/tmp/hokku_keys.XXXXXX";
	struct hokku_error err;
	struct keys *k;
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");
	fputs("name=a key=secret-a\n", f);
	fclose(f);
	assert_int_equal(keys_load(path, &k, &err), HOKKU_OK);
	assert_int_equal(keys_find(k, "Bearer secret-a"), 1);
	keys_free(k);
	assert_int_equal(keys_load("/nowhere/keys", &k, &err), HOKKU_NOT_FOUND);
	assert_null(k);
	f = fopen(path, "w");
	for (int i = 0; i < KEYS_MAX_FILE_BYTES / 8 + 1; i++)
		fputs("#######\n", f);
	fclose(f);
	assert_int_not_equal(keys_load(path, &k, &err), HOKKU_OK);
	assert_non_null(strstr(err.message, path));
	remove(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bare),   cmocka_unit_test(test_fields), cmocka_unit_test(test_find),
		cmocka_unit_test(test_bad),    cmocka_unit_test(test_limits), cmocka_unit_test(test_load),
		cmocka_unit_test(test_models), cmocka_unit_test(test_admin),  cmocka_unit_test(test_digests),
	};
	return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
