/*
 * What the files of the reader share. An answer goes byte by byte through a machine whose state is a function
 * (step): dialect_reader.c has text, thinking and markers; dialect_json.c calls that are JSON;
 * dialect_tagged.c those with a name between markers and arguments as JSON or markup; dialect_harmony.c
 * messages with channels.
 *
 * Until a call's tool is known, all its bytes are kept (raw) and are text if it turns out to be none.
 */
#ifndef TEXT_DIALECT_INTERNAL_H
#define TEXT_DIALECT_INTERNAL_H

#include "text/dialect.h"

enum dialect_body {
	BODY_JSON,    /* objects with a name and arguments, one, several or in an array */
	BODY_MAP,     /* objects {NAME: ARGUMENTS} in an array */
	BODY_TAGGED,  /* NAME and arguments as JSON between markers */
	BODY_MARKUP,  /* NAME and parameters between markers */
	BODY_GEMMA,   /* call:NAME{key:<|"|>text<|"|>} */
	BODY_PYTHON,  /* [NAME(key='text')] */
	BODY_HARMONY, /* messages with channels and recipients */
};

enum {
	DIALECT_BARE = 1,          /* JSON without a marker may begin the answer */
	DIALECT_ENDS_THINKING = 2, /* a call may come out of thinking that was not closed */
	DIALECT_KNOWN_ONLY = 4,    /* the marker is common in texts: a tool not given is text */
	DIALECT_NUMBERED = 8,      /* "functions.NAME:0" */
	DIALECT_RECIPIENT = 16,    /* NAME may be "all", for people */
	DIALECT_LINES = 32,        /* values of parameters stand on lines of their own */
	DIALECT_ALSO_TAGGED = 64,  /* BODY_JSON: a name may come in place of JSON */
	DIALECT_TEXT_ENDS_THINKING =
		256,           /* a marker around text may come out of thinking that was not closed */
	DIALECT_CDATA = 512,   /* values may be written <![CDATA[...]]> */
	DIALECT_GENERIC = 128, /* for templates that know no tools */
};

/* What stands for what in the write_ texts. */
#define NAME    "\1"
#define ARGS    "\2" /* the arguments as JSON */
#define PARAMS  "\3" /* write_param for each */
#define KEY     "\4"
#define VALUE   "\5"
#define CALL_ID "\6" /* nine letters or digits */
#define INDEX   "\7" /* of the call, from 0 */
#define ORDINAL "\b" /* from 1 */
#define SOFT    "\v" /* a line break that some templates leave out, all of a row's together */
enum { OP_NAME = 1, OP_ARGS, OP_PARAMS, OP_KEY, OP_VALUE, OP_CALL_ID, OP_INDEX, OP_ORDINAL, OP_SOFT = '\v' };

struct dialect {
	const char *name, *about;
	enum dialect_body body;
	unsigned flags;
	const char *open[3]; /* of a section; the first is what shapes write */
	const char *close;   /* of a section; NULL: none */
	/* BODY_TAGGED, BODY_MARKUP. */
	const char *call, *call_end; /* of a call in a section; call NULL: the section is the call */
	const char *name_begin; /* what comes before it, an id, is skipped; NULL: the name follows at once */
	const char *name_end;   /* NULL: nothing stands between the name and what follows */
	const char *id;         /* begins a call's id, which is skipped up to name_end; NULL */
	/* BODY_MARKUP. The first byte of a key_end: 's' the value is a string, 'j' JSON, '?' as the schema
	 * says */
	const char *param, *key_end[8], *value, *param_end;
	const char *told[2]; /* what a template that writes no calls tells the model */
	const char *thinks;  /* what marks thinking where the template does not show it; NULL: <think> */
	const char *drop[4]; /* markers around text for people, which say nothing */
	/* As the template writes calls: before the first, each, between two, after the last; a parameter. */
	const char *write_begin, *write_call, *write_between, *write_end, *write_param;
};

/* ---- writing calls ---- */

struct dialect_call {
	struct str name;
	const struct jv *args; /* an object; NULL: there are none */
	struct str id;         /* what CALL_ID is */
	uint32_t index;
};

/* The calls of an assistant's message, DIALECT_MAX_CALLS at most: how many. args, to be freed, has the
 * arguments that are texts. */
size_t dialect_read_calls(const struct jv *message, struct dialect_call calls[DIALECT_MAX_CALLS],
			  struct jv_doc args[DIALECT_MAX_CALLS]);
/* Calls as a template of this form writes them. */
void dialect_write_calls(const struct dialect *d, unsigned form, const struct dialect_call *calls, size_t n,
			 struct strbuf *out);
void dialect_write_json(const struct jv *v, bool spaced, struct strbuf *out);
void dialect_write_notation(const struct dialect *d, const struct jv *v,
			    struct strbuf *out); /* a value within arguments */
/* The next piece of a write_ text: *op is 0, and the piece's literal in *literal, in the form; or an OP_. *at
 * goes on; false: it is at its end. */
bool dialect_write_next(const struct dialect *d, unsigned form, const char **at, char *op,
			struct strbuf *literal);

/* Has a message no id of a call that is not nine letters and digits? And messages, whose ids are such then.
 */
bool dialect_ids_fit(const struct jv *message);
enum hokku_code dialect_shorten_ids(const struct jv *messages, struct jv_doc *out, struct hokku_error *err);

/* ---- JSON, a byte at a time ---- */

struct json_scan {
	uint8_t state;
	bool key; /* the string is a name */
	uint8_t hex;
	const char *word; /* what is left of true, false, null */
	uint32_t depth;
	uint8_t arrays[(DIALECT_MAX_DEPTH + 7) / 8]; /* a bit a level: it is an array */
};

enum json_scanned {
	JSON_BAD,
	JSON_MORE,
	JSON_WHOLE,  /* with this byte */
	JSON_BEFORE, /* before this byte, which is not the value's */
};

void json_scan_begin(struct json_scan *j);
enum json_scanned json_scan_byte(struct json_scan *j, char b);
bool json_scan_in_text(const struct json_scan *j); /* inside a string, not in an escape */

/* A string's characters out of its bytes, escapes undone. */
struct json_unescape {
	uint8_t state, n;
	uint32_t code, high;
};
enum json_scanned json_unescape_byte(struct json_unescape *u, char b, char out[8], size_t *n);

/* ---- types ---- */

/* Bits of enum jv_type. */
enum { MAY_STRING = 1 << JV_STRING, MAY_ANY = (1 << (JV_OBJECT + 1)) - 1 };

/* The types of values that a schema allows, a bit each; 0: it does not say. root: where its references lead.
 */
unsigned dialect_kinds(const struct jv *root, const struct jv *schema);
const struct jv *dialect_referred(const struct jv *root,
				  const struct jv *schema); /* behind its $ref; may be NULL */

/* ---- the machine ---- */

enum step {
	STEP_TAKEN,
	STEP_AGAIN, /* the same byte to the state that is now */
	STEP_FAIL,  /* it does not belong to a call: see reader_fail */
};

typedef enum step step_fn(struct dialect_reader *r, char b);

enum { READER_MAX_MARKER = 64, READER_MAX_ALTS = 12 };

struct reader_alt {
	const char *literal;
	step_fn *then;
	char kind; /* of a key_end */
};

struct reader_tool {
	struct str name;
	const struct jv *function;
};

struct dialect_reader {
	const struct dialect *d;
	const struct dialect_thinking *thinking;
	struct reader_tool *tools; /* (n_tools) by name; NULL: no calls are read */
	size_t n_tools;
	dialect_sink *sink;
	void *user;
	step_fn *step;
	bool no_memory;

	/* what goes out: one kind of pieces, gathered */
	struct strbuf out;
	enum part_kind out_kind;

	/* text and thinking */
	bool in_thinking;
	bool after_marker;                   /* white space that comes now is the dialect's */
	bool said;                           /* text has come since the start, or since thinking or a call */
	char space[DIALECT_MAX_SPACE_BYTES]; /* held: a ring, what may turn out to stand before a marker */
	uint32_t space_at, space_n;
	char held[READER_MAX_MARKER]; /* the beginning of what may be a marker */
	uint32_t held_n;

	/* a call */
	struct strbuf raw;
	bool keeps_raw, in_call;
	uint32_t n_calls, n_section; /* calls of the answer; of the section */
	struct strbuf name, key, args, value;
	bool has_name, args_held; /* args_held: they came before the name and are in args */
	bool args_done;
	struct reader_alt alts[READER_MAX_ALTS];
	uint32_t n_alts;
	struct reader_alt *matched;
	const char *matched_open; /* of dialect.open */

	/* JSON */
	struct json_scan scan;
	struct json_unescape unescape;
	bool in_list, list_done, skips_key;
	uint32_t env_depth;
	struct strbuf *into; /* of a string that is being read */
	step_fn *after_string;

	/* markup */
	bool first_param, line_held, value_begun;
	const char *value_end; /* of a parameter's value */
	/* notations */
	uint32_t nest, code;
	uint8_t nests[(DIALECT_MAX_DEPTH + 7) / 8]; /* a bit a level: it is an array */
	bool comma, in_key;
	char quote;
	uint8_t escape;
	unsigned value_may; /* bits of enum jv_type: what the value may be by the tool's schema */
};

/* Where text and thinking are read, and where every failure ends. */
step_fn step_text;

void reader_mark(struct dialect_reader *r); /* a marker stood here: white space around it is not text */
void reader_emit(struct dialect_reader *r, enum part_kind kind, const char *bytes, size_t n);
void reader_arguments(struct dialect_reader *r, const char *bytes, size_t n); /* or held, see args_held */
void reader_argument_byte(struct dialect_reader *r, char b);                  /* inside a JSON string */
void reader_add(struct dialect_reader *r, struct strbuf *b, char c);
enum step reader_section_end(struct dialect_reader *r, enum step s); /* back to text */

/* The name is whole: is it one? False: no call can begin. */
bool reader_name_ok(struct dialect_reader *r);
bool reader_begin_call(struct dialect_reader *r); /* PART_CALL; false: it is none */
void reader_end_call(struct dialect_reader *r);   /* PART_CALL_END */
void reader_raw_begin(struct dialect_reader *r, const char *bytes, size_t n);
void reader_new_call(struct dialect_reader *r); /* forgets the last call's name and the rest */
const struct jv *reader_tool(const struct dialect_reader *r, struct str name); /* its function; NULL */

/* Waits for one of alternatives, white space before them skipped. */
void expect_none(struct dialect_reader *r);
void expect_add(struct dialect_reader *r, const char *literal, step_fn *then);
step_fn step_expect;

void json_begin(struct dialect_reader *r); /* after a section's opening */
step_fn step_json_list;
void json_args_begin(struct dialect_reader *r, step_fn *after); /* the next byte is their first */

void tagged_begin(struct dialect_reader *r);
void tagged_name(struct dialect_reader *r); /* a name comes now */
void gemma_begin(struct dialect_reader *r);
void python_begin(struct dialect_reader *r);
void harmony_begin(struct dialect_reader *r);
void harmony_markers(struct dialect_reader *r); /* adds those that count in a body */

/* What the answer's end makes of a state. */
void harmony_end(struct dialect_reader *r);

static inline bool is_space(char b)
{
	return b == ' ' || b == '\n' || b == '\r' || b == '\t';
}

#endif
