/*
 * Dialects: how models write calls of tools and thinking into their answers. A dialect is a row of a table
 * (dialect_rows.c); dialect_probe chooses it by what the model's chat template writes for a conversation with
 * a call; a reader makes parts (text/parts.h) of an answer as it comes. docs/tools.md states each behaviour.
 *
 * Everything here is a pure function of what it is given: the same answer gives the same parts, however it is
 * cut into pieces.
 */
#ifndef TEXT_DIALECT_H
#define TEXT_DIALECT_H

#include "base/json.h"
#include "text/chat.h"
#include "text/parts.h"

enum {
	DIALECT_MAX_CALLS = 128,           /* of one answer; what looks like one more is text */
	DIALECT_MAX_NAME_BYTES = 256,      /* of a tool or a parameter; a longer one is none */
	DIALECT_MAX_HEADER_BYTES = 65536,  /* of a call before its tool is known */
	DIALECT_MAX_VALUE_BYTES = 1 << 20, /* of a parameter in markup whose type is not string */
	DIALECT_MAX_DEPTH = 1000,          /* of arguments */
	DIALECT_MAX_SPACE_BYTES = 64,      /* of white space before a marker that are the dialect's */
};

struct dialect;

const struct dialect *dialect_find(const char *name); /* NULL: there is none of that name */
const struct dialect *dialect_at(size_t i);           /* of the table, in order; NULL past the last */
const char *dialect_name(const struct dialect *d);    /* "hermes" */
const char *dialect_about(const struct dialect *d);   /* which models write so, for people */

/* What marks thinking. */
struct dialect_thinking {
	const char *name, *open, *close;
	bool anywhere; /* no text holds its markers: it may begin within text, and a closing one alone says
			  nothing */
};
const struct dialect_thinking *dialect_thinking_at(size_t i);           /* of the table; NULL past the last */
const struct dialect_thinking *dialect_thinking_find(const char *name); /* NULL: there is none */

/* Does the name of a control token stand in one of the two's markers, so that a reader has to see it? */
bool dialect_names(const struct dialect *d, const struct dialect_thinking *t, struct str name);

/* ---- choosing ---- */

/* How the template writes what the dialect leaves open. */
enum {
	DIALECT_SPACED = 1,      /* a blank behind : and , in arguments, as Python writes JSON */
	DIALECT_TIGHT = 2,       /* no blanks in what the dialect writes around arguments */
	DIALECT_SOFT_BREAKS = 4, /* the line breaks that some templates leave out */
};

struct dialect_found {
	const struct dialect *dialect; /* the row "generic" where the template knows no tools */
	const char *why;               /* what it was chosen by, for people */
	bool lists_tools;              /* the template tells the model which tools there are */
	bool writes_calls;             /* it writes the calls of messages */
	bool writes_several;           /* more than one call of a message */
	bool writes_results;           /* and the results of tools */
	bool short_ids;                /* it refuses ids of calls but of nine letters and digits */
	bool takes_system;             /* it writes system messages */
	bool exact;         /* calls are written in the dialect's own form: drawn in it, they are rendered
			       to the same text */
	bool exact_several; /* and so are several of a message */
	unsigned form;      /* DIALECT_SPACED ... */
	const struct dialect_thinking *thinking; /* never NULL: "think" where the template marks none */
	bool marks_thinking;
	bool opens_thinking; /* prompts end inside it, unless an argument says otherwise */
	const char
		*switch_argument; /* the template argument, true or false, that says whether to think; NULL */
	bool thinks_without; /* what it is where it is not given (of switch_argument; by the prompt's end) */
	const char *effort_argument; /* the one that says how much: "low", "high" ...; NULL */
	const char *effort_none;     /* its value for not at all; NULL */
	const char *budget_argument; /* the one that takes a number of tokens; NULL */
};

/* What c's template does. Never fails but for memory: a template that knows no tools is "generic". */
enum hokku_code dialect_probe(const struct chat *c, struct dialect_found *out, struct hokku_error *err);

/* The same for a dialect that is named: what the template writes in it, if it does. */
enum hokku_code dialect_probe_as(const struct chat *c, const struct dialect *d, struct dialect_found *out,
				 struct hokku_error *err);

/* ---- what a template leaves out ---- */

/* Does the template leave anything out of such a conversation? tools may be NULL. */
bool dialect_completes(const struct dialect_found *f, const struct jv *messages, const struct jv *tools);

/*
 * The messages with that put in, appended to out as a JSON array: tools that it does not list are told in the
 * system message (in the first user message where it takes none), calls that it does not write become text of
 * the assistant's contents (several where it writes one become a message each), results that it does not
 * write become messages of the user. Only tools that the template lists are still to be given to it. messages
 * are those that chat_message_read takes. OUT_OF_MEMORY.
 */
enum hokku_code dialect_complete(const struct dialect_found *f, const struct jv *messages,
				 const struct jv *tools, struct strbuf *out, struct hokku_error *err);

/* chat_render of the messages with what the template leaves out of them put in. f NULL: chat_render. */
enum hokku_code dialect_render(const struct dialect_found *f, const struct chat *c, const struct tok *t,
			       const struct chat_input *in, struct tok_ids *out, struct chat_told *told,
			       struct hokku_error *err);

/* The same as text, which is added to *out. */
enum hokku_code dialect_render_text(const struct dialect_found *f, const struct chat *c, const struct tok *t,
				    const struct chat_input *in, struct strbuf *out, struct chat_told *told,
				    struct hokku_error *err);

/* ---- calls that come back ---- */

/* Why the prompt has a message's calls otherwise than they were drawn, though nobody changed them. */
/* clang-format off */
#define DIALECT_BACKS(X) \
	X(SAME, "")             /* it has them as they are drawn */ \
	X(PROMPT, "prompt")     /* what stood before the answer is rendered otherwise once there is more */ \
	X(THINKING, "thinking") /* the answer's thinking is left out, or rendered otherwise */ \
	X(FORM, "form")         /* the template writes a call in a form that none is drawn in */ \
	X(SEVERAL, "several")   /* the same of several in one answer */ \
	X(IDS, "ids")           /* calls hold ids, which the model draws, and a client has others */ \
	X(SPACE, "space")       /* the template writes blanks before the call */
/* clang-format on */
enum dialect_back {
#define BACK_X(name, text) DIALECT_BACK_##name,
	DIALECT_BACKS(BACK_X)
#undef BACK_X
};

const char *dialect_back_name(enum dialect_back why); /* the same as X's second */

struct dialect_back_ask {
	const struct dialect_found *found;
	const struct chat *chat;
	const struct tok *tok;
	const struct chat_input *in;
	const struct tok_ids *ids; /* what it was rendered to, from the first token on */
};

/* Of message i's calls; the messages are rendered up to it and with it. From the token *first on the prompt
 * has its answer, up to *end. SAME, and neither is set, where it has none or the template would not. */
enum dialect_back dialect_gives_back(const struct dialect_back_ask *ask, size_t i, uint32_t *first,
				     uint32_t *end);

/* ---- shapes ---- */

enum { DIALECT_THINKING_ENDS = 8 };

/* The markers at which a reader takes thinking to be over; calls: are they read? How many there are. */
size_t dialect_thinking_ends(const struct dialect *d, const struct dialect_thinking *t, bool calls,
			     const char *ends[DIALECT_THINKING_ENDS]);

enum dialect_choice {
	DIALECT_AUTO,     /* text, and calls where the model begins them */
	DIALECT_REQUIRED, /* calls and nothing else, one at least */
	DIALECT_NAMED,    /* one call of one tool */
};

enum dialect_thinks {
	DIALECT_NO_THINKING,
	DIALECT_THINKING_OPEN, /* the prompt has opened it: it comes first, up to its closing marker */
	DIALECT_MAY_THINK,     /* the model may open it, first */
};

struct dialect_shaping {
	const struct dialect_found *found;
	const struct tok
		*tok; /* markers that are control tokens of it are named as tokens; NULL: all are text */
	const struct jv *tools; /* in OpenAI's form */
	enum dialect_choice choice;
	struct str name; /* of DIALECT_NAMED */
	bool parallel;   /* more than one call */
	enum dialect_thinks thinks;
};

struct dialect_shape {
	struct strbuf text; /* a structural tag as XGrammar reads it (docs/constrain.md) */
	struct dialect_shape_schema {
		char *place; /* JSON pointer of a schema in it */
		char *field; /* whose it is: "tools[2].function.parameters" */
	} * schemas;
	size_t n_schemas, cap_schemas;
};

/*
 * What lets through exactly the dialect's calls of these tools, their arguments by the tools' schemas, in the
 * one form that the template gives back. INVALID_REQUEST: field names what cannot be kept to and err says why
 * (a name that is none of the tools; a schema that values in markup cannot be held to). With DIALECT_AUTO and
 * tools that are not strict the latter is no error: then the text is empty and the answer drawn freely.
 */
enum hokku_code dialect_shape(const struct dialect_shaping *how, struct dialect_shape *out, char field[128],
			      struct hokku_error *err);
void dialect_shape_free(struct dialect_shape *s);

/* A place in the shape's text that the compiler of shapes names, as the request's:
 * "tools[2].function.parameters" and the pointer that goes on in that schema. False: it is in no tool's
 * schema. */
bool dialect_shape_place(const struct dialect_shape *s, const char *place, char *out, size_t out_size);

/* ---- reading ---- */

struct dialect_reading {
	const struct dialect *dialect;
	const struct dialect_thinking *thinking; /* NULL: none is read, its markers are text */
	const struct jv *tools; /* in OpenAI's form, an array; NULL or empty: no calls are read. Outlives the
				   reader */
	struct str prompt;      /* what the answer follows; whether thinking is open is read off its end */
};

/* Takes a part; text is the caller's until it returns. Pieces end at whole characters where what came is
 * UTF-8. */
typedef void dialect_sink(void *user, const struct part *part);

struct dialect_reader;

/* NULL: no memory. */
struct dialect_reader *dialect_reader_new(const struct dialect_reading *how, dialect_sink *sink, void *user);
void dialect_reader_free(struct dialect_reader *r); /* NULL is allowed */

/* The next piece of the answer, control tokens by their names; then, once, its end. OUT_OF_MEMORY: what was
 * held is lost and the reader of no more use. */
enum hokku_code dialect_reader_feed(struct dialect_reader *r, struct str piece, struct hokku_error *err);
enum hokku_code dialect_reader_end(struct dialect_reader *r, struct hokku_error *err);

uint32_t dialect_reader_calls(const struct dialect_reader *r); /* how many have begun */
bool dialect_reader_thinks(const struct dialect_reader *r);    /* is what comes next thinking? */
/* Has something begun as a call, of which it is not yet known whether it is one? */
bool dialect_reader_undecided(const struct dialect_reader *r);

#endif
