/* The file of API keys: bare keys, fields, limits, and every way in which a line can be wrong, told by its
 * number and without a key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

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

static const char *renew_path;

static enum hokku_code renew(struct keys *k, const char *text, const char *admin, struct hokku_error *err)
{
	FILE *f = fopen(renew_path, "w");
	fputs(text, f);
	fclose(f);
	return keys_renew(k, renew_path, admin, err);
}

/* Which number each of these secrets has now, as digits. */
static void counts(const struct keys *k, const char *numbers, const char *const *secrets)
{
	for (size_t i = 0; numbers[i]; i++)
		if (keys_find_bare(k, secrets[i]) != (uint32_t)(numbers[i] - '0'))
			fail_msg("%s is %u, not %c", secrets[i], keys_find_bare(k, secrets[i]), numbers[i]);
}

/* A file that is read again: each key keeps its number, whatever has become of it. */
static void test_renewed(void **state)
{
	(void)state;
	static const struct {
		const char *text, *numbers; /* of the secrets below */
	} steps[] = {
		{"name=a key=secret-9\nname=b key=secret-2 models=m admin=yes\nsecret-3\n",
		 "02300001"},                                                             /* another secret */
		{"name=a key=secret-2\nname=b key=secret-1\nsecret-3", "21300000"},       /* swapped */
		{"\n\nsecret-3\n\nname=b key=secret-2\nname=a key=secret-1", "12300000"}, /* lines moved */
		{"name=b key=secret-2\n", "02000000"},                                    /* two are gone */
		{"name=a key=secret-1\nname=b key=secret-2\nsecret-3", "12300000"},       /* and back */
		{"name=a key=secret-1\nname=d key=secret-4\nsecret-5\nname=b key=secret-2",
		 "12045000"}, /* new ones */
		{"name=other key=secret-1\nname=b key=secret-3",
		 "10200000"}, /* a has another name: it is by its secret */
		{"name=a key=secret-9\nname=x key=secret-1",
		 "60000001"}, /* its secret is no way to another's number */
		{"name=a key=secret-1\nname=b key=secret-2\nname=named key=secret-3",
		 "12300000"}, /* bare, and named now */
	};
	static const char *const secrets[] = {"secret-1", "secret-2", "secret-3", "secret-4",
					      "secret-5", "secret-6", "secret-7", "secret-9"};
	char path[] = "/tmp/hokku_keys.XXXXXX";
	struct hokku_error err = {.message = ""};
	struct keys *k =
		good("name=a key=secret-1 running=3 tokens_per_minute=9\nname=b key=secret-2\nsecret-3\n");
	static const uint32_t n_keys[] = {3, 3, 3, 3, 3, 5, 5, 6, 6}; /* after each step */
	close(mkstemp(path));
	renew_path = path;
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		if (renew(k, steps[i].text, NULL, &err))
			fail_msg("%zu: %s", i, err.message);
		assert_int_equal(keys_count(k), n_keys[i]);
		counts(k, steps[i].numbers, secrets);
	}
	/* What else a line says. */
	assert_int_equal(
		renew(k,
		      "name=a key=secret-1 models=x running=7\nname=b key=secret-2 tokens_per_minute=5 admin=yes",
		      NULL, &err),
		HOKKU_OK);
	assert_int_equal(keys_get(k, 1)->running, 7);
	assert_int_equal(keys_get(k, 1)->tokens_per_minute, KEYS_UNLIMITED);
	assert_int_equal(keys_get(k, 2)->tokens_per_minute, 5);
	assert_false(keys_may_use(keys_get(k, 1), "y"));
	assert_true(keys_may_use(keys_get(k, 1), "x"));
	assert_true(keys_have_admin(k) && keys_get(k, 2)->admin);
	assert_int_equal(keys_named(k, "line-3"), 0);
	assert_string_equal(keys_get(k, 3)->name, "line-3"); /* of what it has counted */
	/* The only administrator is gone, or is none any more: nobody takes that place. */
	assert_int_equal(renew(k, "name=a key=secret-1\nname=b key=secret-2", NULL, &err), HOKKU_OK);
	assert_true(keys_have_admin(k) && !keys_get(k, 1)->admin && !keys_get(k, 2)->admin);
	assert_int_equal(renew(k, "name=a key=secret-1", NULL, &err), HOKKU_OK);
	assert_true(keys_have_admin(k) && !keys_get(k, 1)->admin);
	/* What cannot be used changes nothing. */
	static const char *const wrong[] = {"", "name=a key=secret-1\nname=a key=secret-2",
					    "name=a key=short"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_int_equal(renew(k, wrong[i], NULL, &err), HOKKU_BAD_FILE);
		assert_null(strstr(err.message, "ecret"));
		counts(k, "10000000", secrets);
	}
	/* All of them new, and back. */
	assert_int_equal(renew(k, "name=q key=secret-7 running=2 models=m\n", NULL, &err), HOKKU_OK);
	counts(k, "00000070", secrets);
	assert_int_equal(keys_get(k, 7)->running, 2);
	assert_true(keys_may_use(keys_get(k, 7), "m") && !keys_may_use(keys_get(k, 7), "n"));
	assert_string_equal(keys_get(k, 7)->name, "q");
	assert_int_equal(renew(k, "name=a key=secret-1", NULL, &err), HOKKU_OK);
	remove(path);
	assert_int_equal(keys_renew(k, path, NULL, &err), HOKKU_NOT_FOUND);
	assert_non_null(strstr(err.message, "--api-key-file: "));
	counts(k, "10000000", secrets);
	keys_free(k);
}

/* What is new never has the name that another one had, nor one of its figures; and there is an end to it. */
static void test_renewed_names(void **state)
{
	(void)state;
	char path[] = "/tmp/hokku_keys.XXXXXX", text[KEYS_NEW * 32 + 64], secret[32];
	struct hokku_error err;
	struct keys *k = good("secret-1\nname=line-7 key=secret-2\nname=secret-nobody-shows key=secret-3");
	close(mkstemp(path));
	renew_path = path;
	/* the bare one goes, another one stands in its line */
	assert_int_equal(renew(k, "secret-4\nname=line-7 key=secret-2", NULL, &err), HOKKU_OK);
	assert_int_equal(keys_count(k), 4);
	assert_string_equal(keys_get(k, 1)->name, "line-1");
	assert_true(keys_get(k, 1)->gone);
	assert_string_equal(keys_get(k, 4)->name, "line-1-2");
	assert_int_equal(keys_find_bare(k, "secret-4"), 4);
	/* of a bare one that is gone, though somebody is called so now; and a key that was a name */
	assert_int_equal(
		renew(k, "name=line-1 key=secret-5\nname=n key=secret-nobody-shows\nname=line-7 key=secret-2",
		      NULL, &err),
		HOKKU_OK);
	assert_int_equal(keys_count(k), 4);
	assert_int_equal(keys_find_bare(k, "secret-5"), 0);
	assert_int_equal(keys_find_bare(k, "secret-nobody-shows"), 0);
	/* as many as may come */
	assert_int_equal(keys_most(k), 3 + KEYS_NEW);
	size_t at = 0;
	for (int i = 0; i < KEYS_NEW; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "name=k%d key=secret-k%d\n", i, i);
	assert_int_equal(renew(k, text, NULL, &err), HOKKU_OK);
	assert_int_equal(keys_count(k), keys_most(k));
	for (int i = 0; i < KEYS_NEW; i++) {
		snprintf(secret, sizeof secret, "secret-k%d", i);
		assert_int_equal(keys_find_bare(k, secret), i < KEYS_NEW - 1 ? 5 + i : 0);
	}
	assert_int_equal(keys_most(k), 3 + KEYS_NEW);
	remove(path);
	keys_free(k);
}

/* --admin-key is no line of the file. */
static void test_renewed_admin(void **state)
{
	(void)state;
	char path[] = "/tmp/hokku_keys.XXXXXX";
	struct hokku_error err = {.message = ""};
	struct keys *k = good("name=a key=secret-1\n");
	close(mkstemp(path));
	renew_path = path;
	assert_int_equal(keys_add_admin(&k, "secret-admin", &err), HOKKU_OK);
	assert_int_equal(renew(k, "name=a key=secret-2\n", "secret-admin", &err), HOKKU_OK);
	assert_int_equal(keys_find_bare(k, "secret-admin"), 2);
	assert_int_equal(keys_find_bare(k, "secret-2"), 1);
	assert_true(keys_have_admin(k));
	assert_int_equal(renew(k, "name=a key=secret-admin\n", "secret-admin", &err), HOKKU_INVALID_REQUEST);
	assert_int_equal(renew(k, "name=q key=secret-7\n", "secret-admin", &err),
			 HOKKU_OK); /* beside a new one */
	assert_int_equal(keys_find_bare(k, "secret-2"), 0);
	assert_int_equal(keys_find_bare(k, "secret-7"), 3);
	assert_int_equal(keys_find_bare(k, "secret-admin"), 2);
	keys_free(k);
	remove(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bare),          cmocka_unit_test(test_fields),
		cmocka_unit_test(test_find),          cmocka_unit_test(test_bad),
		cmocka_unit_test(test_limits),        cmocka_unit_test(test_load),
		cmocka_unit_test(test_models),        cmocka_unit_test(test_admin),
		cmocka_unit_test(test_digests),       cmocka_unit_test(test_renewed),
		cmocka_unit_test(test_renewed_names), cmocka_unit_test(test_renewed_admin),
	};
	return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
