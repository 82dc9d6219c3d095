/* The table of pre-tokenizers: names, and the rules that they share. */
#ifndef TEXT_PRETOK_ROWS_H
#define TEXT_PRETOK_ROWS_H

#include "text/pretok_scan.h"

enum { PRETOK_RULES_MAX = 8 };

/* Rules that no regular expression does in linear time: the digits of a run, counted from its end, make
 * groups of three. A rule is PRETOK_GROUPS and one of these. */
#define PRETOK_GROUPS "#"
enum pretok_groups {
	PRETOK_BETWEEN = 'b',   /* (?=(\d{3})+(?!\d)): cuts between groups, not around the run */
	PRETOK_OF_WORDS = 'w',  /* \d{1,3}(?=(?:\d{3})*\b): only where no letter goes on after the run */
	PRETOK_OF_NUMBERS = 'n' /* any number (\p{N}) is a digit, whatever follows */
};

struct pretok_recipe {
	const struct pretok_family *family;  /* with it goes exactly one rule, which cuts all of any text */
	const char *rules[PRETOK_RULES_MAX]; /* applied one after the other; what a rule finds, and what lies
						between, are pieces */
};

struct pretok_row {
	const char *name;
	const struct pretok_recipe *recipe;
	bool nfc, ignore_merges, add_bos;
};

/* False: no such name. */
bool pretok_row_find(struct str name, struct pretok_row *row);

/* A name that is known, and whose vocabularies are of another kind than byte-level BPE. */
bool pretok_row_is_raw(struct str name);

#endif
