/*
 * What an answer's text is made of, told as it comes: text for people, thinking, calls of tools. One answer's
 * parts follow one another in the order in which the model wrote them; pieces of a kind that stand side by
 * side are one (how an answer is cut into pieces means nothing).
 */
#ifndef TEXT_PARTS_H
#define TEXT_PARTS_H

#include "base/str.h"

enum part_kind {
	PART_TEXT,      /* a piece of what is for people */
	PART_THINKING,  /* a piece of what comes before it */
	PART_CALL,      /* a call begins; text: the whole name of the tool */
	PART_ARGUMENTS, /* a piece of the call's arguments, JSON when they are whole */
	PART_CALL_END, /* the call is whole: its arguments are one JSON object. Without it the answer ended in
			  the middle (max_tokens, a stop string) and they are cut */
};

struct part {
	enum part_kind kind;
	uint32_t call; /* of the last three: the call's number in the answer, from 0 */
	struct str text;
};

#endif
