/* In which orders properties come that several `properties` declare. */
#include "base/rng.h"
#include "constrain/schema_try.h"

static void test_rows(void **state)
{
	(void)state;
	static const struct try_row rows[] = {
		/* what neither list orders comes either way */
		{"{\"allOf\":[{\"properties\":{\"a\":{},\"b\":{}}},{\"properties\":{\"x\":{},\"y\":{}}}],\"type\":\"object\"}",
		 {"{\"a\":1,\"b\":1,\"x\":1,\"y\":1}", "{\"x\":1,\"a\":1,\"y\":1,\"b\":1}",
		  "{\"x\":1,\"y\":1,\"a\":1}", "{\"y\":1,\"b\":1,\"other\":1}", "{}"},
		 {"{\"b\":1,\"a\":1}", "{\"y\":1,\"a\":1,\"x\":1}", "{\"x\":1,\"x\":1}",
		  "{\"other\":1,\"a\":1}"}},
		/* what is required is not left out for what stands behind it */
		{"{\"allOf\":[{\"properties\":{\"a\":{},\"b\":{}},\"required\":[\"a\"]},{\"properties\":{\"x\":{}}}],\"type\":\"object\"}",
		 {"{\"x\":1,\"a\":1,\"b\":1}", "{\"a\":1,\"x\":1}"},
		 {"{\"b\":1,\"a\":1}", "{\"x\":1}", "{\"b\":1}", "{\"x\":1,\"b\":1}"}},
		/* a name of both lists ties them together */
		{"{\"dependencies\":{\"c\":{\"properties\":{\"b\":{\"enum\":[1]}},\"required\":[\"b\"]}},"
		 "\"properties\":{\"a\":{},\"b\":{\"type\":\"integer\"},\"c\":{}},\"type\":\"object\",\"additionalProperties\":false}",
		 {"{\"a\":0,\"b\":1,\"c\":0}", "{\"b\":1,\"c\":0}", "{\"a\":0,\"b\":2}"},
		 {"{\"c\":0}", "{\"a\":0,\"b\":2,\"c\":0}", "{\"b\":1,\"a\":0}", "{\"c\":0,\"b\":1}"}},
		/* where two lists contradict each other, the first that is met is right */
		{"{\"allOf\":[{\"properties\":{\"a\":{},\"b\":{}}},{\"properties\":{\"b\":{},\"a\":{},\"c\":{}}}],\"type\":\"object\"}",
		 {"{\"a\":1,\"b\":1,\"c\":1}"},
		 {"{\"b\":1,\"a\":1}", "{\"c\":1,\"a\":1}"}},
		/* one order alone: nothing changes */
		{"{\"$ref\":\"#/$defs/x\",\"properties\":{\"b\":{},\"c\":{}},\"$defs\":{\"x\":{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{}}}}}",
		 {"{\"a\":1,\"b\":1,\"c\":1}"},
		 {"{\"b\":1,\"a\":1}", "{\"c\":1,\"b\":1}", "{\"c\":1,\"a\":1}"}},
		/* counted, and with something among the additional ones */
		{"{\"allOf\":[{\"properties\":{\"a\":{}}},{\"properties\":{\"b\":{}}}],\"type\":\"object\",\"minProperties\":2,\"maxProperties\":3}",
		 {"{\"b\":1,\"a\":1}", "{\"b\":1,\"x\":1}", "{\"b\":1,\"a\":1,\"x\":1}"},
		 {"{\"b\":1}", "{\"b\":1,\"a\":1,\"x\":1,\"y\":1}", "{\"x\":1,\"a\":1}"}},
		{"{\"allOf\":[{\"properties\":{\"a\":{}}},{\"properties\":{\"b\":{}}}],\"type\":\"object\",\"required\":[\"z\"]}",
		 {"{\"b\":1,\"a\":1,\"z\":1}", "{\"z\":1}"},
		 {"{\"b\":1,\"a\":1}", "{\"z\":1,\"a\":1}"}},
		/* schemas that do not hold together have their own orders */
		{"{\"oneOf\":[{\"properties\":{\"k\":{\"const\":1},\"a\":{}},\"required\":[\"k\",\"a\"]},"
		 "{\"properties\":{\"a\":{},\"k\":{\"const\":2}},\"required\":[\"k\",\"a\"]}],\"type\":\"object\"}",
		 {"{\"k\":1,\"a\":0}", "{\"a\":0,\"k\":2}"},
		 {"{\"k\":2,\"a\":0}", "{\"a\":0,\"k\":1}"}},
		/* an object that is given has the order in which it is written */
		{"{\"const\":{\"b\":1,\"a\":2},\"properties\":{\"a\":{},\"b\":{}}}",
		 {"{\"b\":1,\"a\":2}"},
		 {"{\"a\":2,\"b\":1}"}},
	};
	TRY_ROWS(rows);
}

/* ---- every order of every few names ---- */

enum { N = 5 };

struct drawn {
	bool before[N][N], required[N], declared[N];
	uint64_t at;
};

static uint32_t draw(struct drawn *d, uint32_t n)
{
	uint32_t words[4];
	rng_words(2, RNG_STREAM_TEST, d->at++, words);
	return words[0] % n;
}

/* Three lists that agree with one hidden order, and what is required. */
static void draw_schema(struct drawn *d, char *out)
{
	uint32_t hidden[N];
	memset(d->before, 0, sizeof d->before);
	memset(d->declared, 0, sizeof d->declared);
	for (uint32_t i = 0; i < N; i++) {
		uint32_t k = draw(d, i + 1);
		hidden[i] = hidden[k];
		hidden[k] = i;
		d->required[i] = draw(d, 4) == 0;
	}
	out += sprintf(out, "{\"type\":\"object\",\"allOf\":[");
	for (int list = 0; list < 3; list++) {
		uint32_t last = N;
		out += sprintf(out, "%s{\"properties\":{", list ? "," : "");
		for (uint32_t i = 0; i < N; i++) {
			uint32_t key = hidden[i];
			if (draw(d, 2))
				continue;
			out += sprintf(out, "%s\"%c\":{}", last < N ? "," : "", (char)('a' + key));
			if (last < N)
				d->before[last][key] = true;
			d->declared[key] = true;
			last = key;
		}
		out += sprintf(out, "}}");
	}
	out += sprintf(out, "],\"required\":[");
	for (uint32_t i = 0, n = 0; i < N; i++) {
		d->required[i] = d->required[i] && d->declared[i];
		if (d->required[i])
			out += sprintf(out, "%s\"%c\"", n++ ? "," : "", (char)('a' + i));
	}
	sprintf(out, "],\"propertyNames\":{\"pattern\":\"^[a-e]$\"}}");
	for (uint32_t k = 0; k < N; k++)
		for (uint32_t i = 0; i < N; i++)
			for (uint32_t j = 0; j < N; j++)
				d->before[i][j] |= d->before[i][k] && d->before[k][j];
}

static uint32_t n_taken, n_refused;

static void every_order(const struct drawn *d, struct constrain *c, const char *schema, uint32_t *keys,
			uint32_t n)
{
	char text[64] = "{", *at = text + 1;
	bool wanted = true, there[N] = {false};
	for (uint32_t i = 0; i < n; i++) {
		at += sprintf(at, "%s\"%c\":1", i ? "," : "", (char)('a' + keys[i]));
		there[keys[i]] = true;
		for (uint32_t k = 0; k < i; k++)
			wanted &= !d->before[keys[i]][keys[k]];
	}
	strcpy(at, "}");
	for (uint32_t i = 0; i < N; i++)
		wanted &= there[i] || !d->required[i];
	if (try_instance(c, str_c(text)) != wanted)
		fail_msg("%s %s %s", schema, wanted ? "does not take" : "takes", text);
	n_taken += wanted;
	n_refused += !wanted;
	for (uint32_t key = 0; key < N; key++) {
		if (there[key] || !d->declared[key])
			continue;
		keys[n] = key;
		every_order(d, c, schema, keys, n + 1);
	}
}

static void test_every_order(void **state)
{
	(void)state;
	struct drawn d = {.at = 0};
	for (int i = 0; i < 30; i++) {
		char schema[1024];
		uint32_t keys[N + 1];
		struct hokku_error err = {0};
		draw_schema(&d, schema);
		struct constrain *c = try_schema(str_c(schema), CONSTRAIN_COMPACT, NULL, &err);
		if (!c)
			fail_msg("%s: %s", schema, err.message);
		every_order(&d, c, schema, keys, 0);
		constrain_unref(c);
	}
	assert_true(n_taken > 300 && n_refused > 300);
}

/* n lists of one name each: 2^n nodes, as far as they are few. */
static bool takes_any_order(uint32_t n)
{
	char schema[2048] = "{\"type\":\"object\",\"allOf\":[", text[512] = "{", sorted[512] = "{";
	struct hokku_error err = {0};
	for (uint32_t i = 0; i < n; i++) {
		sprintf(schema + strlen(schema), "%s{\"properties\":{\"p%u\":{}}}", i ? "," : "", i);
		sprintf(text + strlen(text), "%s\"p%u\":1", i ? "," : "", n - 1 - i);
		sprintf(sorted + strlen(sorted), "%s\"p%u\":1", i ? "," : "", i);
	}
	strcat(schema, "]}");
	strcat(text, "}");
	strcat(sorted, "}");
	struct constrain *c = try_schema(str_c(schema), CONSTRAIN_COMPACT, NULL, &err);
	if (!c)
		fail_msg("%s: %s", schema, err.message);
	bool any = try_instance(c, str_c(text));
	assert_true(try_instance(c, str_c(sorted)));
	constrain_unref(c);
	return any;
}

static void test_limit(void **state)
{
	(void)state;
	assert_true(takes_any_order(2));
	assert_true(takes_any_order(6));
	assert_true(takes_any_order(7)); /* 128 nodes, 448 edges */
	assert_false(takes_any_order(8));
	assert_false(takes_any_order(40));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_every_order),
		cmocka_unit_test(test_limit),
	};
	return cmocka_run_group_tests(tests, try_begin, try_end);
}
