/*
 * The formats of JSON Schema that are regular languages, as patterns: what their RFC says, and of that what
 * ajv-formats takes as well. What cannot be told by a pattern (labels in Punycode, international mail
 * addresses and host names, regular expressions) is left out.
 */
#include <stdio.h>

#include "constrain/text.h"

/* RFC 3339. Days that are; hours, minutes and seconds; an offset of an hour or Z. */
#define DAYS_31   "(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])"
#define DAYS_30   "(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)"
#define DAYS_28   "02-(?:0[1-9]|1\\d|2[0-8])"
#define LEAP_YEAR "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
#define DATE      "(?:\\d{4}-(?:" DAYS_31 "|" DAYS_30 "|" DAYS_28 ")|" LEAP_YEAR "-02-29)"
#define HOUR      "(?:[01]\\d|2[0-3])"
#define FRACTION  "(?:\\.\\d+)?"
#define TIME      HOUR ":[0-5]\\d:[0-5]\\d" FRACTION "(?:[Zz]|[+-]" HOUR ":[0-5]\\d)"

#define DURATION_TIME "T(?:\\d+H(?:\\d+M(?:\\d+S)?)?|\\d+M(?:\\d+S)?|\\d+S)"
#define DURATION_DATE "(?:\\d+Y(?:\\d+M(?:\\d+D)?)?|\\d+M(?:\\d+D)?|\\d+D)"
#define DURATION      "P(?:\\d+W|" DURATION_DATE "(?:" DURATION_TIME ")?|" DURATION_TIME ")"

/* RFC 1123; none of the labels that RFC 5890 keeps for encodings ("xn--"): what they encode would have to be
 * valid. RFC 5321: a local part of 64 characters at most, dots between atoms, a domain of two labels or more.
 */
#define LABEL          "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#define NO_CODED_LABEL "(?!(?:[^@]*[@.])?[^.@]{2}--)"
#define HOSTNAME       NO_CODED_LABEL "(?=.{1,253}$)" LABEL "(?:\\." LABEL ")*"
#define ATOM           "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
#define EMAIL                                                                                              \
	"(?=[^@]{1,64}@.{1,253}$)(?!.*@(?:.*\\.)?[^.]{2}--)" ATOM "(?:\\." ATOM ")*@" LABEL "(?:\\." LABEL \
	")+"

#define OCTET "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define IPV4  OCTET "(?:\\." OCTET "){3}"
#define H16   "[0-9A-Fa-f]{1,4}"
#define LS32  "(?:" H16 ":" H16 "|" IPV4 ")"
#define IPV6                                                                                                 \
	"(?:(?:" H16 ":){6}" LS32 "|::(?:" H16 ":){5}" LS32 "|(?:" H16 ")?::(?:" H16 ":){4}" LS32            \
	"|(?:(?:" H16 ":){0,1}" H16 ")?::(?:" H16 ":){3}" LS32 "|(?:(?:" H16 ":){0,2}" H16 ")?::(?:" H16     \
	":){2}" LS32 "|(?:(?:" H16 ":){0,3}" H16 ")?::" H16 ":" LS32 "|(?:(?:" H16 ":){0,4}" H16 ")?::" LS32 \
	"|(?:(?:" H16 ":){0,5}" H16 ")?::" H16 "|(?:(?:" H16 ":){0,6}" H16 ")?::)"

#define UUID "[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"

/* RFC 3986; RFC 3987 adds MORE to the unreserved characters and PRIVATE to a query's. */
#define NOTHING ""
#define MORE                                                                                                        \
	"\\u{a0}-\\u{d7ff}\\u{f900}-\\u{fdcf}\\u{fdf0}-\\u{ffef}\\u{10000}-\\u{1fffd}\\u{20000}-\\u{2fffd}"         \
	"\\u{30000}-\\u{3fffd}\\u{40000}-\\u{4fffd}\\u{50000}-\\u{5fffd}\\u{60000}-\\u{6fffd}\\u{70000}-\\u{7fffd}" \
	"\\u{80000}-\\u{8fffd}\\u{90000}-\\u{9fffd}\\u{a0000}-\\u{afffd}\\u{b0000}-\\u{bfffd}\\u{c0000}-\\u{cfffd}" \
	"\\u{d0000}-\\u{dfffd}\\u{e1000}-\\u{efffd}"
#define PRIVATE             "\\u{e000}-\\u{f8ff}\\u{f0000}-\\u{ffffd}\\u{100000}-\\u{10fffd}"
#define CODED               "%[0-9A-Fa-f]{2}"
#define OF(more, also)      "(?:[A-Za-z0-9\\-._~!$&'()*+,;=" also more "]|" CODED ")"
#define PCHAR(more)         OF(more, ":@")
#define IP_FUTURE           "[Vv][0-9A-Fa-f]+\\.[A-Za-z0-9\\-._~!$&'()*+,;=:]+"
#define HOST(more)          "(?:\\[(?:" IPV6 "|" IP_FUTURE ")\\]|" OF(more, "") "*)"
#define AUTHORITY(more)     "//(?:" OF(more, ":") "*@)?" HOST(more) "(?::\\d*)?"
#define SEGMENTS(more)      "(?:/" PCHAR(more) "*)*"
#define ABSOLUTE(more)      "/(?:" PCHAR(more) "+" SEGMENTS(more) ")?"
#define TAIL(more, private) "(?:\\?" OF(more private, ":@/?") "*)?(?:#" OF(more, ":@/?") "*)?"
#define SCHEME              "[A-Za-z][A-Za-z0-9+\\-.]*:"
#define FROM_ROOT(more)     AUTHORITY(more) SEGMENTS(more) "|" ABSOLUTE(more)
#define URI(more, private) \
	SCHEME "(?:" FROM_ROOT(more) "|" PCHAR(more) "+" SEGMENTS(more) ")" TAIL(more, private)
#define URI_REFERENCE(more, private)                                                                        \
	"(?:" SCHEME "(?:" FROM_ROOT(more) "|" PCHAR(more) "+" SEGMENTS(more) ")?|" FROM_ROOT(more) "|" OF( \
		more, "@") "+" SEGMENTS(more) ")?" TAIL(more, private)

/* RFC 6570, without the operators that it keeps for later and dots in names. */
#define VARIABLE     "(?:[A-Za-z0-9_]|" CODED ")+(?::[1-9]\\d{0,3}|\\*)?"
#define LITERAL      "[!#$&(-;=?-\\[\\]_a-z~" MORE PRIVATE "]"
#define URI_TEMPLATE "(?:" LITERAL "|" CODED "|\\{[+#./;?&]?" VARIABLE "(?:," VARIABLE ")*\\})*"

/* What ajv-formats has besides: an address of the web, by a name with a dot in it; RFC 4648's base64, whose
 * last bits are 0 where they say nothing. */
#define URL_LABEL "(?:[A-Za-z0-9]+-)*[A-Za-z0-9]+"
#define URL                                                                                  \
	"(?i:https?|ftp)://(?:" OF(NOTHING, ":") "+@)?" URL_LABEL "(?:\\." URL_LABEL         \
						 ")*\\.[A-Za-z]{2,}(?::\\d{2,5})?"           \
						 "(?:/" PCHAR(NOTHING) "*" SEGMENTS(NOTHING) \
							 TAIL(NOTHING, NOTHING) ")?"
#define BASE64 "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?"

/* RFC 6901 and its draft of relative ones. */
#define POINTER "(?:/(?:[^~/]|~[01])*)*"

static const struct {
	const char *name, *pattern;
} formats[] = {
	{"date-time", NULL}, /* these two have leap seconds besides */
	{"time", NULL},
	{"date", DATE},
	{"duration", DURATION},
	{"email", EMAIL},
	{"hostname", HOSTNAME},
	{"ipv4", IPV4},
	{"ipv6", IPV6},
	{"uuid", UUID},
	{"uri", URI(NOTHING, NOTHING)},
	{"uri-reference", URI_REFERENCE(NOTHING, NOTHING)},
	{"uri-template", URI_TEMPLATE},
	{"iri", URI(MORE, PRIVATE)},
	{"iri-reference", URI_REFERENCE(MORE, PRIVATE)},
	{"url", URL},
	{"byte", BASE64},
	{"json-pointer", POINTER},
	{"relative-json-pointer", "(?:0|[1-9]\\d*)(?:#|" POINTER ")"},
};

const char *rx_format_name(size_t i)
{
	return i < sizeof formats / sizeof *formats ? formats[i].name : NULL;
}

/*
 * A leap second is 23:59:60 in UTC, on the last of June or December; where it is elsewhere at that moment is
 * told for whole hours alone. On its side of the date line it is then that day's (an offset behind UTC) or
 * the next day's (one ahead).
 */
static void leap_seconds(bool with_date, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "%s(?:23:59:60" FRACTION "(?:[Zz]|[+-]00:00)",
				    with_date ? "\\d{4}-(?:06-30|12-31)[Tt]" : "");
	for (int h = 1; h < 24; h++)
		n += (size_t)snprintf(out + n, size - n, "|%02d:59:60" FRACTION "-%02d:00", 23 - h, h);
	n += (size_t)snprintf(out + n, size - n, ")|%s(?:", with_date ? "\\d{4}-(?:07-01|01-01)[Tt]" : "");
	for (int h = 1; h < 24; h++)
		n += (size_t)snprintf(out + n, size - n, "%s%02d:59:60" FRACTION "\\+%02d:00",
				      h > 1 ? "|" : "", h - 1, h);
	snprintf(out + n, size - n, ")");
}

bool rx_format(struct rx_pool *p, struct str name, rx *out)
{
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		char text[4096];
		const char *pattern = formats[i].pattern;
		if (!str_eq_c(name, formats[i].name))
			continue;
		if (!pattern) {
			bool with_date = i == 0;
			size_t n = (size_t)snprintf(text, sizeof text, "%s|",
						    with_date ? DATE "[Tt]" TIME : TIME);
			leap_seconds(with_date, text + n, sizeof text - n);
			pattern = text;
		}
		rx_pattern(p, RX_JSON, str_c(pattern), true, out, NULL); /* RX_NONE if the pool has failed */
		return true;
	}
	return false;
}
