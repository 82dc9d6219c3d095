/*
 * The template language. What its parts write is held against Python's jinja2 (tests/golden/jinja, which says
 * how it was made); here stand besides: where bytes come from, the limits, and what is said of errors.
 */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "text/jinja/internal.h"
#include "text/jinja/json.h"
#include "text/limits.h"

/* The variables of every test but the golden ones: what a request brings, and special tokens. */
static const char request_vars[] =
	"{\"x\": \"<|e|>\", \"s\": \"ab cd\", \"n\": 7, \"b\": true, \"list\": [\"<|e|>\", 1, \"z\"],"
	" \"d\": {\"<|e|>\": \"v\", \"k\": \"<|e|>\"}, \"json\": \"{\\\"a\\\": \\\"<|e|>\\\", \\\"n\\\": "
	"5}\","
	" \"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\", \"content\": "
	"\"<|e|>\"},"
	" {\"role\": \"user\", \"content\": \"more\"}]}";

/* What a run may take, where a test has less than the run's own. */
static uint64_t fewer_steps;
static size_t less_memory;

struct rendered {
	enum hokku_code rc;
	struct hokku_error err;
	struct strbuf text;  /* what was written */
	struct strbuf shown; /* with what is trusted in braces */
	bool refused;
	ptrdiff_t message;
};

static void set_vars(struct jinja_run *r, const struct jv *vars)
{
	for (uint32_t i = 0; i < vars->n; i++) {
		const struct jv *v = jv_value(vars, i);
		struct jinja_value made = jinja_from_json(r, v);
		if (str_eq_c(jv_key(vars, i), "messages")) {
			made = jinja_list(r);
			for (size_t k = 0; k < jv_len(v); k++) {
				struct jinja_value m = jinja_from_json(r, jv_at(v, k));
				jinja_mark_message(r, m, k);
				jinja_push(r, made, m);
			}
		}
		jinja_set(r, jv_key(vars, i), made);
	}
	jinja_set(r, STR_LIT("tok"), jinja_string(r, STR_LIT("<|t|>"), true));
}

static struct rendered render_with(struct str source, const struct jv *vars, const struct jinja_time *now)
{
	struct rendered out = {.message = -1};
	struct jinja *t;
	out.rc = jinja_compile(source, &t, &out.err);
	if (out.rc)
		return out;
	struct jinja_run *r = jinja_run_create();
	assert_non_null(r);
	assert_int_equal(r->max_steps, JINJA_MAX_STEPS);
	assert_int_equal(r->max_memory, JINJA_MAX_MEMORY_BYTES);
	if (fewer_steps)
		r->max_steps = fewer_steps;
	if (less_memory)
		r->max_memory = less_memory;
	set_vars(r, vars);
	if (now)
		jinja_set_now(r, now);
	out.rc = jinja_render(t, r, &out.err);
	out.refused = jinja_refused(r);
	out.message = jinja_message_index(r);
	if (!out.rc) {
		size_t n, at = 0;
		struct str text = jinja_text(r);
		const struct tok_part *parts = jinja_parts(r, &n);
		strbuf_add(&out.text, text.ptr, text.len);
		for (size_t i = 0; i < n; at += parts[i++].len) {
			assert_true(parts[i].len > 0 && (!i || parts[i].trusted != parts[i - 1].trusted));
			strbuf_add_c(&out.shown, parts[i].trusted ? "{" : "");
			strbuf_add(&out.shown, text.ptr + at, parts[i].len);
			strbuf_add_c(&out.shown, parts[i].trusted ? "}" : "");
		}
		assert_int_equal(at, text.len);
	}
	jinja_run_destroy(r);
	jinja_destroy(t);
	return out;
}

static struct rendered render(const char *source)
{
	struct jv_doc vars;
	assert_int_equal(jv_parse(str_c(request_vars), JV_STRICT, &vars, NULL), HOKKU_OK);
	struct rendered out = render_with(str_c(source), &vars.root, NULL);
	jv_doc_free(&vars);
	return out;
}

static void done(struct rendered *out)
{
	strbuf_free(&out->text);
	strbuf_free(&out->shown);
}

static const char *text_of(const struct strbuf *b)
{
	return b->ptr ? b->ptr : "";
}

/* ---- the language ---- */

static void as_python_has_it(void **state)
{
	(void)state;
	struct jv_doc all;
	struct hokku_error err;
	if (jv_read_file(TEST_GOLDEN_DIR "/jinja/language.json", 1 << 20, &all, &err))
		fail_msg("%s", err.message);
	struct jinja_time now;
	assert_true(jinja_time_parse(jv_str(jv_get(&all.root, "now")), &now));
	const struct jv *rows = jv_get(&all.root, "rows");
	assert_true(jv_len(rows) > 200);
	for (size_t i = 0; i < jv_len(rows); i++) {
		const struct jv *row = jv_at(rows, i), *want = jv_get(row, "text");
		struct str source = jv_str(jv_get(row, "template"));
		struct rendered out = render_with(source, jv_get(&all.root, "vars"), &now);
		if (!want && !out.rc)
			fail_msg("%s: written \"%s\", is to fail", source.ptr, text_of(&out.text));
		if (want && out.rc)
			fail_msg("%s: %s", source.ptr, out.err.message);
		if (want && !str_eq((struct str){text_of(&out.text), out.text.len}, jv_str(want)))
			fail_msg("%s: written \"%s\", wanted \"%s\"", source.ptr, text_of(&out.text),
				 jv_str(want).ptr);
		done(&out);
	}
	jv_doc_free(&all);
}

/* ---- where bytes come from ---- */

/* Braces show what is trusted. x and others hold what would be a special token's name, were it trusted. */
static const struct {
	const char *source, *shown;
} origins[] = {
	{"<|e|>", "{<|e|>}"},
	{"{{ '<|e|>' }}{{ x }}", "{<|e|>}<|e|>"},
	{"{{ x }}{{ tok }}{{ x }}", "<|e|>{<|t|>}<|e|>"},
	{"{{ '<' + x + '>' }}", "{<}<|e|>{>}"},
	{"{{ '<' ~ x ~ '>' ~ tok }}", "{<}<|e|>{><|t|>}"},
	{"{{ (x + '<|e|>')[3:8] }}", "|>{<|e}"},
	{"{{ ('<|e|>' + x)[::-1] }}", ">|e|<{>|e|<}"},
	{"{{ ('ab' ~ x)[1] }}{{ ('ab' ~ x)[2] }}", "{b}<"},
	{"{{ ('-' ~ x)|upper }}{{ x.title() }}{{ ('Q' ~ s)|lower }}{{ x|capitalize }}",
	 "{-}<|E|><|E|>{q}ab cd<|e|>"},
	{"{{ (' a ' ~ s ~ ' ')|trim }}{{ (x ~ ' ').strip() }}", "{a }ab cd<|e|>"},
	{"{{ x.replace('e', 't') }}{{ '<|q|>'.replace('q', x) }}", "<|{t}|>{<|}<|e|>{|>}"},
	{"{{ x|replace('|', '') }}{{ 'a-b'|replace('-', x) }}{{ x.replace('<|e|>', '<|e|>') }}",
	 "<e>{a}<|e|>{b<|e|>}"},
	{"{{ 'ab'.replace('', x) }}", "<|e|>{a}<|e|>{b}<|e|>"},
	{"{{ list|join('<|e|>') }}{{ tok.join(list[::2]) }}{{ [tok, x]|join(x) }}",
	 "<|e|>{<|e|>}1{<|e|>}z<|e|>{<|t|>}z{<|t|>}<|e|><|e|>"},
	{"{{ x.join(['a', 'b']) }}{{ x.split('|')[1] }}{{ ('<|' ~ x).split('|')|join('/') }}",
	 "{a}<|e|>{b}e{</}<{/}e{/}>"},
	{"{{ '%s<|e|>%s' % (x, tok) }}{{ '%s'|format(x) }}{{ x % () }}", "<|e|>{<|e|><|t|>}<|e|><|e|>"},
	{"{{ '{}<|e|>{!r}'.format(x, tok) }}{{ '{a}'.format(a=x) }}{{ '{:>7}'.format(x) }}",
	 "<|e|>{<|e|>}'{<|t|>}'<|e|>  <|e|>"},
	{"{{ '%5s' % tok }}{{ '%d' % n }}{{ '%d' % 3 }}", "{<|t|>}7{3}"},
	{"{{ d|tojson }}", "{\"<|e|>\": \"v\", \"k\": \"<|e|>\"}"},
	{"{{ {'<|e|>': x, 'a': tok}|tojson }}", "{\"{<|e|>}\": \"<|e|>\", \"{a}\": \"{<|t|>}\"}"},
	{"{{ [x, '<|e|>\n']|tojson }}{{ ['\"']|tojson }}", "[\"<|e|>\", \"{<|e|>\\n}\"][\"{\\\"}\"]"},
	{"{{ [x, '<|e|>'] }}{{ d }}", "['<|e|>', '{<|e|>}']{'<|e|>': 'v', 'k': '<|e|>'}"},
	{"{{ d.items()|list }}{{ d.keys()|first }}{{ d|dictsort|map('first')|join('') }}",
	 "[('<|e|>', 'v'), ('k', '<|e|>')]<|e|><|e|>k"},
	{"{{ n }}{{ n + 1 }}{{ 3 + 4 }}{{ n|string }}{{ 5|string }}{{ -n }}{{ n|abs }}{{ 1.5 }}",
	 "78{7}7{5}-77{1.5}"},
	{"{{ b }}{{ true }}{{ none }}{{ 1 == 1 }}", "TrueTrueNoneTrue"},
	{"{% for i in list %}{{ loop.index }}{% endfor %}{{ list|length }}{{ x|length }}", "{123}35"},
	{"{{ '12'|int }}{{ (n|string ~ '1')|int }}{{ '2.5'|float }}{{ s|int }}", "{12}71{2.50}"},
	{"{{ range(2)|join }}{{ range(n)|last }}", "{01}6"},
	{"{% set y %}<|e|>{{ x }}{% endset %}{{ y }}", "{<|e|>}<|e|>"},
	{"{% macro m(a, b='<|e|>') %}[{{ a }}{{ b }}]{% endmacro %}{{ m(x) }}{{ m(tok, x) }}",
	 "{[}<|e|>{<|e|>][<|t|>}<|e|>{]}"},
	{"{% macro w() %}({{ caller() }}){% endmacro %}{% call w() %}{{ x }}<|e|>{% endcall %}",
	 "{(}<|e|>{<|e|>)}"},
	{"{% filter upper %}<|e|>{{ x }}{% endfilter %}", "{<|E|>}<|E|>"},
	{"{% set ns = namespace(a='') %}{% for i in list %}{% set ns.a = ns.a ~ i ~ '<|e|>' %}{% endfor %}{{ "
	 "ns.a }}",
	 "<|e|>{<|e|>}1{<|e|>}z{<|e|>}"},
	{"{{ x if true else '<|e|>' }}{{ x or 'a' }}{{ '' or tok }}{{ q|default(x) }}{{ q|default('<|e|>') "
	 "}}",
	 "<|e|><|e|>{<|t|>}<|e|>{<|e|>}"},
	{"{{ x|first }}{{ (tok ~ x)|list|join }}{{ (x ~ tok)|reverse }}", "<{<|t|>}<|e|>{>|t|<}>|e|<"},
	{"{% for c in 'a' ~ x %}{{ c }}{% endfor %}", "{a}<|e|>"},
	{"{{ (x ~ '\n<|e|>')|indent(2) }}{{ 'a\nb'|indent(x) }}", "<|e|>\n  {<|e|>a}\n<|e|>{b}"},
	{"{{ (tok ~ x)|truncate(7, true, '', 0) }}{{ 'ab'|center(6) }}{{ x.center(7, '*') }}",
	 "{<|t|>}<|  {ab}  {*}<|e|>{*}"},
	{"{{ ('<' ~ x)|e }}{{ x|safe + '<' }}", "{&lt;}&lt;|e|&gt;<|e|>{&lt;}"},
	{"{{ (tok ~ x)|urlencode }}", "{%3C%7Ct%7C%3E}%3C%7Ce%7C%3E"},
	{"{{ json|from_json }}{{ (json|from_json).n }}", "{'a': '<|e|>', 'n': 5}5"},
	{"{{ (x ~ tok).partition('e')|join }}{{ (tok ~ '\n' ~ x).splitlines()|join }}",
	 "<|e|>{<|t|><|t|>}<|e|>"},
	{"{{ x.ljust(7, '.') }}{{ 'a'.zfill(3) }}{{ 'a\tb'.expandtabs(2) }}", "<|e|>{..}00{aa} {b}"},
	{"{{ x * 2 }}{{ tok * 2 }}{{ (x ~ 'a') * 2 }}", "<|e|><|e|>{<|t|><|t|>}<|e|>{a}<|e|>{a}"},
	{"{{ dict(a='<|e|>').a }}{{ dict(d)['k'] }}{{ d.get('z', '<|e|>') }}", "{<|e|>}<|e|>{<|e|>}"},
	{"{{ dict(**d)|list|join }}{{ dict(b=1)|first }}{{ [].sort() }}", "<|e|>k{b}None"},
	{"{% macro m() %}{{ kwargs|list|join(' ') }}{% endmacro %}{{ m(a=1, **d) }}", "{a }<|e|>{ }k"},
	{"{% set u = {} %}{% set _ = u.update(c=1, **d) %}{{ u|list|join }}", "{c}<|e|>k"},
	{"{{ messages[1].content }}{{ messages[1]['content'] ~ '' }}{{ "
	 "messages|map(attribute='content')|join('|') }}",
	 "<|e|><|e|>hi{|}<|e|>{|}more"},
	{"{{ messages|tojson|length > 0 }}{{ (messages[1]|tojson)[-8:] }}", "True\"<|e|>\"}"},
	{"{{ cycler(x, tok).next() }}{% set j = joiner(x) %}{{ j() }}{{ j() }}", "<|e|><|e|>"},
	{"{{ strftime_now('<|%%|>') }}", "{<|}%{|>}"},
	{"{{ x.removeprefix('<') }}{{ x.upper().lower() }}{{ x.casefold() }}{{ x.swapcase() }}",
	 "|e|><|e|><|e|><|E|>"},
	{"{{ '\\u00e9'|upper }}{{ ('\\u00df' ~ x)|upper }}", "{\xC3\x89SS}<|E|>"},
};

static void every_byte_keeps_its_origin(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof origins / sizeof *origins; i++) {
		struct rendered out = render(origins[i].source);
		if (out.rc)
			fail_msg("%s: %s", origins[i].source, out.err.message);
		if (strcmp(text_of(&out.shown), origins[i].shown) != 0)
			fail_msg("%s:\nis     %s\nwanted %s", origins[i].source, text_of(&out.shown),
				 origins[i].shown);
		done(&out);
	}
}

/* Whatever filter or method a value of the request goes through, alone, nothing of it becomes trusted. */
static void no_filter_makes_trust(void **state)
{
	(void)state;
	static const char *const calls[] = {
		"x|upper",
		"x|lower",
		"x|title",
		"x|capitalize",
		"x|trim",
		"x|string",
		"x|safe",
		"x|e",
		"x|forceescape",
		"x|list|string",
		"x|list|join",
		"x|reverse",
		"x|first",
		"x|last",
		"x|tojson",
		"x|tojson(indent=n)",
		"x|urlencode",
		"x|center(n)",
		"x|indent(n, b)",
		"x|truncate(n)",
		"x|wordcount",
		"x|length",
		"x|default(x)",
		"x|replace(x, x)",
		"x|format",
		"x|unique|join",
		"x|sort|join",
		"x|batch(n)|list",
		"x|map('upper')|join(x)",
		"x|select|join",
		"x|min",
		"x|max",
		"n|abs",
		"n|float",
		"n|int",
		"n|round",
		"n|string",
		"d|dictsort",
		"d|items|list",
		"d|tojson",
		"json|from_json",
		"d|string",
		"list|join",
		"list|tojson",
		"list|sum(start=x)|string if false else x",
		"x[1:]",
		"x[::-1]",
		"x[0]",
		"x ~ x",
		"x + x",
		"x * n",
		"x % ()",
		"x.format(x)",
		"x.join(list[:1])",
		"x.split('|')",
		"x.rsplit('|')",
		"x.partition('e')",
		"x.rpartition('e')",
		"x.splitlines()",
		"x.strip('<')",
		"x.lstrip('<')",
		"x.rstrip('>')",
		"x.upper()",
		"x.lower()",
		"x.title()",
		"x.capitalize()",
		"x.swapcase()",
		"x.casefold()",
		"x.center(n)",
		"x.ljust(n)",
		"x.rjust(n)",
		"x.zfill(n)",
		"x.expandtabs()",
		"x.removeprefix('<')",
		"x.removesuffix('>')",
		"x.find('e')",
		"x.count('e')",
		"x.isalpha()",
		"x.replace('e', x)",
		"d.items()",
		"d.keys()",
		"d.values()",
		"d.get('k')",
		"d.pop('k')",
		"d.copy()",
		"list.pop()",
		"list.index('z')",
		"messages[1]",
		"messages|tojson",
		"dict(d)",
		"(x, x)",
		"[x]",
		"{x: x}",
		"-n",
		"n + n",
		"n / n",
		"n ** n",
		"n // n",
		"n % n",
		"x if b",
		"x and x",
		"x or x",
		"x == x",
		"messages|map(attribute='content')|list",
		"messages|selectattr('role', 'eq', 'user')|list",
	};
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		char source[256];
		snprintf(source, sizeof source, "{{ %s }}", calls[i]);
		struct rendered out = render(source);
		if (out.rc)
			fail_msg("%s: %s", source, out.err.message);
		if (strcmp(text_of(&out.shown), text_of(&out.text)) != 0)
			fail_msg("%s: trusted in %s", source, text_of(&out.shown));
		done(&out);
	}
}

/* ---- errors ---- */

static const struct {
	const char *source, *message;
	enum hokku_code rc;
} errors[] = {
	{"a\nb {% include 'x' %}",
	 "line 2: the statement \"include\" is refused: a chat template stands alone", HOKKU_BAD_FILE},
	{"{% import 'x' as y %}", "line 1: the statement \"import\" is refused: a chat template stands alone",
	 HOKKU_BAD_FILE},
	{"\n\n{% do x %}", "line 3: the statement \"do\" is not known", HOKKU_BAD_FILE},
	{"{% endfor %}", "line 1: \"endfor\" ends what was never begun", HOKKU_BAD_FILE},
	{"{% else %}", "line 1: \"else\" stands outside an if", HOKKU_BAD_FILE},
	{"a\n{% if x %}\nb", "line 2: an if is never ended with endif", HOKKU_BAD_FILE},
	{"{{ x", "line 1: a {{ is never closed", HOKKU_BAD_FILE},
	{"{{ x %}", "line 1: a } that closes nothing", HOKKU_BAD_FILE},
	{"{{ x y }}", "line 1: \"y\" stands where the end of the tag is wanted", HOKKU_BAD_FILE},
	{"{{ 'x }}", "line 1: a text that begins with ' is never closed", HOKKU_BAD_FILE},
	{"{{ (1] }}", "line 1: a ] where ) is wanted", HOKKU_BAD_FILE},
	{"{{ a ? b }}", "line 1: \"?\" is not understood here", HOKKU_BAD_FILE},
	{"{% break %}", "line 1: a break outside a for", HOKKU_BAD_FILE},
	{"{{ 99999999999999999999 }}", "line 1: a whole number past 64 bits", HOKKU_BAD_FILE},
	{"{{ '\\ud800' }}", "line 1: an escape that is no character: U+D800", HOKKU_BAD_FILE},
	{"{{ '\\x4' }}", "line 1: an escape that wants 2 hexadecimal digits", HOKKU_BAD_FILE},
	{"\n{{ x|frobnicate }}", "line 2: there is no filter \"frobnicate\" here", HOKKU_INVALID_REQUEST},
	{"{{ x is frob }}", "line 1: there is no test \"frob\" here", HOKKU_INVALID_REQUEST},
	{"\n\n{{ x.frob() }}", "line 3: a str has no member \"frob\"", HOKKU_INVALID_REQUEST},
	{"{{ frob() }}", "line 1: \"frob\" is undefined", HOKKU_INVALID_REQUEST},
	{"{{ frob.x }}", "line 1: \"frob\" is undefined", HOKKU_INVALID_REQUEST},
	{"{{ x + 1 }}", "line 1: + cannot stand between a str and a int", HOKKU_INVALID_REQUEST},
	{"{{ x|join(a=1) }}", "line 1: join takes no argument \"a\"", HOKKU_INVALID_REQUEST},
	{"{{ x|replace('a') }}", "line 1: replace wants 2 arguments, and is not given all",
	 HOKKU_INVALID_REQUEST},
	{"{{ x.upper }}", "line 1: a function is written; is it to be called?", HOKKU_INVALID_REQUEST},
	{"{{ 9223372036854775807 + 1 }}", "line 1: a whole number past 64 bits", HOKKU_INVALID_REQUEST},
	{"{{ n / 0 }}", "line 1: a division by zero", HOKKU_INVALID_REQUEST},
	{"{{ strftime_now('%Q') }}", "line 1: strftime_now: %Q is not known", HOKKU_INVALID_REQUEST},
	{"{{ 'a'|from_json }}", "line 1: from_json: this is no JSON: \"a\"", HOKKU_INVALID_REQUEST},
	{"{{ raise_exception('Roles must alternate: ' ~ x) }}", "Roles must alternate: <|e|>",
	 HOKKU_INVALID_REQUEST},
};

static void errors_name_what_is_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		struct rendered out = render(errors[i].source);
		assert_int_equal(out.rc, errors[i].rc);
		assert_string_equal(out.err.message, errors[i].message);
		assert_int_equal(out.refused, strstr(errors[i].source, "raise") != NULL);
		done(&out);
	}
}

static const struct {
	const char *source;
	ptrdiff_t message;
} at_message[] = {
	{"{% for m in messages %}{% if m.role == 'assistant' %}{{ raise_exception('no') }}{% endif %}{% "
	 "endfor %}",
	 1},
	{"{% for m in messages[1:] %}{% for c in m.content %}{% if loop.index == 2 and m.role == 'user' %}"
	 "{{ raise_exception('no') }}{% endif %}{% endfor %}{% endfor %}",
	 2},
	{"{% macro m(x) %}{{ raise_exception(x) }}{% endmacro %}{% for m in messages|rejectattr('role', "
	 "'eq', 'user') %}"
	 "{% set r = m.role %}{% endfor %}{% for q in messages %}{% if loop.last %}{{ m('a') if false else "
	 "raise_exception('b') }}{% endif %}{% endfor %}",
	 2},
	{"{% if messages[0].role != 'system' %}{{ raise_exception('no') }}{% endif %}", 0},
	{"{% if messages[-1]['role'] == 'user' %}{{ raise_exception('no') }}{% endif %}", 2},
	{"{{ raise_exception('no') }}", -1},
	{"{% for m in messages %}{{ m.content + 1 if loop.index == 2 }}{% endfor %}", 1},
};

static void refusals_name_the_message(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof at_message / sizeof *at_message; i++) {
		struct rendered out = render(at_message[i].source);
		assert_int_equal(out.rc, HOKKU_INVALID_REQUEST);
		if (out.message != at_message[i].message)
			fail_msg("%s: %td", at_message[i].source, out.message);
		done(&out);
	}
}

/* ---- limits ---- */

/* "{{ " open n times, inner, close n times " }}" */
static struct rendered nested(const char *open, const char *inner, const char *close, size_t n)
{
	struct strbuf b = {0};
	strbuf_add_c(&b, "{{ ");
	for (size_t i = 0; i < n; i++)
		strbuf_add_c(&b, open);
	strbuf_add_c(&b, inner);
	for (size_t i = 0; i < n; i++)
		strbuf_add_c(&b, close);
	strbuf_add_c(&b, " }}");
	struct rendered out = render(b.ptr);
	strbuf_free(&b);
	return out;
}

/* n passes and one more fails with words. */
static void check_edge(struct rendered (*at)(size_t n), size_t n, const char *words)
{
	for (size_t more = 0; more < 2; more++) {
		struct rendered out = at(n + more);
		if (!more && out.rc)
			fail_msg("%zu: %s", n, out.err.message);
		if (more && (!out.rc || !strstr(out.err.message, words)))
			fail_msg("%zu: %s; wanted: %s", n + 1, out.rc ? out.err.message : "passes", words);
		done(&out);
	}
}

/* The greatest n below high that passes; the next fails with words. */
static size_t find_edge(struct rendered (*at)(size_t n), size_t high, const char *words)
{
	size_t low = 1;
	while (low + 1 < high) {
		size_t mid = low + (high - low) / 2;
		struct rendered out = at(mid);
		*(out.rc ? &high : &low) = mid;
		done(&out);
	}
	check_edge(at, low, words);
	return low;
}

static struct rendered nots(size_t n)
{
	return nested("not ", "x", "", n);
}

static struct rendered brackets(size_t n)
{
	return nested("[", "x", "]", n);
}

static struct rendered blocks(size_t n)
{
	struct strbuf b = {0};
	for (size_t i = 0; i < n; i++)
		strbuf_add_c(&b, "{% if b %}");
	for (size_t i = 0; i < n; i++)
		strbuf_add_c(&b, "{% endif %}");
	struct rendered out = render(b.ptr ? b.ptr : "");
	strbuf_free(&b);
	return out;
}

/* Each "+" makes the tree deeper, though nothing is nested in the source. */
static struct rendered sums(size_t n)
{
	struct strbuf b = {0};
	strbuf_add_c(&b, "{{ 1");
	for (size_t i = 0; i < n; i++)
		strbuf_add_c(&b, "+1");
	strbuf_add_c(&b, " }}");
	struct rendered out = render(b.ptr);
	strbuf_free(&b);
	return out;
}

static struct rendered recursion(size_t n)
{
	char source[160];
	snprintf(source, sizeof source,
		 "{%% macro m(i) %%}{%% if i %%}{{ m(i - 1) }}{%% endif %%}{%% endmacro %%}{{ m(%zu) }}", n);
	return render(source);
}

static struct rendered names(size_t n)
{
	struct strbuf b = {0};
	for (size_t i = 0; i < n; i++)
		strbuf_addf(&b, "{{ v%zu }}", i);
	struct rendered out = render(b.ptr ? b.ptr : "");
	strbuf_free(&b);
	return out;
}

static struct rendered size(size_t n)
{
	struct strbuf b = {0};
	strbuf_reserve(&b, n + 1);
	memset(b.ptr, 'x', n);
	b.ptr[n] = '\0';
	struct rendered out = render(b.ptr);
	strbuf_free(&b);
	return out;
}

static struct rendered ranges(size_t n)
{
	char source[64];
	snprintf(source, sizeof source, "{{ range(%zu)|length }}", n);
	return render(source);
}

static struct rendered memory(size_t n) /* of 16 KiB */
{
	char source[160];
	snprintf(source, sizeof source, "{%% set a = 'x' * 16384 %%}{{ ('' ~ (a * %zu))|length }}", n);
	return render(source);
}

static struct rendered steps(size_t n)
{
	char source[64];
	snprintf(source, sizeof source, "{%% for i in range(%zu) %%}{%% endfor %%}", n);
	return render(source);
}

static void limits(void **state)
{
	(void)state;
	check_edge(nots, JINJA_MAX_NESTING - 4, "nested deeper than 200");
	check_edge(brackets, (JINJA_MAX_NESTING - 1) / 4, "nested deeper than 200");
	check_edge(blocks, (JINJA_MAX_NESTING - 1) / 2, "nested deeper than 200");
	check_edge(sums, JINJA_MAX_DEPTH - 2, "more than 1000 statements");
	assert_in_range(find_edge(recursion, 5000, "more than 1000 statements"), 100, 400);
	check_edge(names, JINJA_MAX_NAMES - 4, "more than 1024 names");
	check_edge(size, CHAT_MAX_TEMPLATE_BYTES, "262144 are allowed");
	check_edge(ranges, JINJA_MAX_RANGE, "more than 100000 numbers");
}

/* Below the limits that a run has of itself, which take seconds to reach. */
static void memory_is_limited(void **state)
{
	(void)state;
	less_memory = JINJA_MAX_MEMORY_BYTES / 64;
	size_t n = find_edge(memory, 2000, "more than 8388608 bytes of memory");
	assert_in_range(n, 80, 100);
	less_memory = 0;
}

static void steps_are_limited(void **state)
{
	(void)state;
	static const char *const endless[] = {
		"{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
		"{% for a in range(100000) %}{{ x in ('a' * 100000) }}{% endfor %}",
		"{% for a in range(100000) %}{% for b in range(10000) %}{{ a }}{% endfor %}{% endfor %}",
		"{% set ns = namespace(a='x') %}{% for i in range(100) %}{% set ns.a = ns.a ~ ns.a %}{% "
		"endfor %}{{ ns.a }}",
		"{{ 'a'.zfill(9000000000000) }}",
		"{{ 'a' * 9000000000000 }}",
		"{{ [1] * 9000000000000 }}",
		"{{ 'a'.center(9000000000000) }}",
		"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
		"{% for t in [[1]] recursive %}{{ loop([t]) }}{% endfor %}",
		"{% set l = [] %}{% for i in range(2000) %}{% set l2 = l.append(l) %}{% endfor %}{{ l }}",
		"{% set l = [1] %}{% for i in l %}{% set _ = l.append(i) %}{% endfor %}",
		"{% set d = {} %}{% set _ = d.update(a=d) %}{{ d|tojson }}",
	};
	fewer_steps = JINJA_MAX_STEPS / 100;
	less_memory = JINJA_MAX_MEMORY_BYTES / 16;
	for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
		struct rendered out = render(endless[i]);
		assert_int_equal(out.rc, HOKKU_INVALID_REQUEST);
		if (!strstr(out.err.message, "more than"))
			fail_msg("%s: %s", endless[i], out.err.message);
		done(&out);
	}
	fewer_steps = 10000;
	size_t once = find_edge(steps, 100000, "more than 10000 steps");
	assert_in_range(once, 9800, 9900);
	fewer_steps = 20000;
	assert_in_range(find_edge(steps, 100000, "more than 20000 steps"), 2 * once, 2 * once + 16);
	fewer_steps = less_memory = 0;
}

/* ---- the calendar ---- */

/* Long texts that are compared, hashed or looked for count by their length. */
static void long_texts_are_steps(void **state)
{
	(void)state;
	static const char *const sources[] = {
		"{% set a = 'a' * 2000000 %}{{ a.rfind('a' * 1000000 ~ 'b') }}",
		"{% set a = 'a' * 2000000 %}{% set d = {} %}{% for i in range(9) %}{{ d[a] }}{% endfor %}",
		"{% set a = 'a' * 2000000 %}{% set b = 'a' * 2000000 %}{% for i in range(9) %}{{ a == b }}{% endfor %}",
	};
	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
		struct hokku_error err;
		struct jinja *t;
		assert_int_equal(jinja_compile(str_c(sources[i]), &t, &err), HOKKU_OK);
		struct jinja_run *r = jinja_run_create();
		assert_non_null(r);
		r->max_steps = 200000;
		assert_int_equal(jinja_render(t, r, &err), HOKKU_INVALID_REQUEST);
		if (!strstr(err.message, "more than 200000 steps"))
			fail_msg("%s: %s", sources[i], err.message);
		jinja_run_destroy(r);
		jinja_destroy(t);
	}
}

/* A program that hokku is linked into may have set a locale of its own. */
static void numbers_are_of_no_locale(void **state)
{
	(void)state;
	locale_t german = newlocale(LC_NUMERIC_MASK, "de_DE.UTF-8", (locale_t)0);
	if (!german)
		skip();
	locale_t was = uselocale(german);
	struct rendered out = render("{{ 1.5 }} {{ '2.5'|float }} {{ '%.2f' % 0.5 }}");
	uselocale(was);
	freelocale(german);
	assert_int_equal(out.rc, HOKKU_OK);
	assert_string_equal(text_of(&out.text), "1.5 2.5 0.50");
	done(&out);
}

static void times(void **state)
{
	(void)state;
	static const struct {
		const char *text, *back; /* NULL: refused */
	} rows[] = {
		{"2026-07-31", "2026-07-31T00:00:00"},
		{"2026-07-31T23:59:59", "2026-07-31T23:59:59"},
		{"2026-07-31 01:02:03", "2026-07-31T01:02:03"},
		{"2024-02-29", "2024-02-29T00:00:00"},
		{"0001-01-01", "0001-01-01T00:00:00"},
		{"9999-12-31", "9999-12-31T00:00:00"},
		{"2023-02-29", NULL},
		{"2026-13-01", NULL},
		{"2026-00-01", NULL},
		{"2026-01-00", NULL},
		{"2026-04-31", NULL},
		{"0000-01-01", NULL},
		{"2026-7-31", NULL},
		{"2026-07-31T24:00:00", NULL},
		{"2026-07-31T00:60:00", NULL},
		{"2026-07-31T00:00:60", NULL},
		{"2026-07-31T00:00", NULL},
		{"2026-07-31Z00:00:00", NULL},
		{"today", NULL},
		{"", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct jinja_time t;
		char back[20];
		bool ok = jinja_time_parse(str_c(rows[i].text), &t);
		assert_int_equal(ok, rows[i].back != NULL);
		if (ok)
			assert_string_equal(jinja_time_text(&t, back), rows[i].back);
	}
}

static void the_clock_is_told(void **state)
{
	(void)state;
	struct hokku_error err;
	struct jinja_time used = {0}, given = {2020, 2, 29, 1, 2, 3};
	struct jinja *t;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
			jinja_compile(i ? STR_LIT("{{ strftime_now('%F') }}") : STR_LIT("x"), &t, &err),
			HOKKU_OK);
		struct jinja_run *r = jinja_run_create();
		if (i == 1)
			jinja_set_now(r, &given);
		assert_int_equal(jinja_render(t, r, &err), HOKKU_OK);
		assert_int_equal(jinja_used_time(r, &used), i > 0);
		if (i == 1)
			assert_true(str_eq_c(jinja_text(r), "2020-02-29") && used.second == 3);
		if (i == 2)
			assert_true(used.year >= 2026);
		jinja_run_destroy(r);
		jinja_destroy(t);
	}
}

static void one_template_many_runs(void **state)
{
	(void)state;
	struct hokku_error err;
	struct jinja *t;
	assert_int_equal(jinja_compile(STR_LIT("{% set _ = l.append(1) %}{{ l }}{{ late }}"), &t, &err),
			 HOKKU_OK);
	assert_true(jinja_names(t, STR_LIT("late")));
	assert_false(jinja_names(t, STR_LIT("later")));
	for (int i = 0; i < 3; i++) {
		struct jinja_run *r = jinja_run_create();
		jinja_set(r, STR_LIT("l"), jinja_list(r));
		jinja_set(r, STR_LIT("late"), jinja_int(1));
		jinja_set(r, STR_LIT("late"), jinja_int(i)); /* the last counts */
		assert_int_equal(jinja_render(t, r, &err), HOKKU_OK);
		char want[16];
		snprintf(want, sizeof want, "[1]%d", i);
		assert_true(str_eq_c(jinja_text(r), want));
		jinja_run_destroy(r);
	}
	jinja_destroy(t);
	jinja_destroy(NULL);
	jinja_run_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_python_has_it),
		cmocka_unit_test(every_byte_keeps_its_origin),
		cmocka_unit_test(no_filter_makes_trust),
		cmocka_unit_test(errors_name_what_is_wrong),
		cmocka_unit_test(refusals_name_the_message),
		cmocka_unit_test(limits),
		cmocka_unit_test(memory_is_limited),
		cmocka_unit_test(steps_are_limited),
		cmocka_unit_test(long_texts_are_steps),
		cmocka_unit_test(numbers_are_of_no_locale),
		cmocka_unit_test(times),
		cmocka_unit_test(the_clock_is_told),
		cmocka_unit_test(one_template_many_runs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
