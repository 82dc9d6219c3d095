/*
 * API keys: a file with one key a line, alone or as fields:
 *
 *     3f9c24be...                          a bare key; its name is line-N
 *     name=team-a key=3f9c24be... running=8 waiting=100 tokens_per_minute=60000
 *
 * Words with blanks between are fields, in any order, each once; name and key must be there. An unknown one
 * is an error, so that a limit that an older hokku does not know is never passed over. Blank lines and lines
 * that begin with # do not count. Errors name the line and never show a key, nor what may be a misplaced one.
 *
 * Once the file is read no key is kept, only SHA-256 of each behind a random text of this process.
 */
#ifndef SERVER_KEYS_H
#define SERVER_KEYS_H

#include "base/error.h"
#include "base/str.h"

enum {
	KEYS_MAX = 1024,
	KEYS_NEW =
		256, /* that may come while the server runs (keys_renew); with the others KEYS_MAX at most */
	KEYS_MIN_BYTES = 8, /* of a key */
	KEYS_MAX_BYTES = 256,
	KEYS_MAX_NAME_BYTES = 64,
	KEYS_MAX_FILE_BYTES = 1024 * 1024,
	KEYS_MAX_WAITING = 1000000,
	KEYS_MAX_TOKENS = 100000000,  /* a minute */
	KEYS_MAX_MODELS_BYTES = 4096, /* of a list of models */
	KEYS_DIGEST_BYTES = 32,
};

#define KEYS_UNLIMITED UINT32_MAX

/* Beside their names: what a line may say of a key, where it is unsaid KEYS_UNLIMITED. */
struct key {
	uint8_t digest[KEYS_DIGEST_BYTES];
	uint64_t folder; /* of its states: a hash of the key that is the same in every process */
	char name[KEYS_MAX_NAME_BYTES + 1];
	unsigned line;
	uint32_t running;           /* requests at a time, 1 to ENGINE_MAX_PARALLEL; more wait */
	uint32_t waiting;           /* of these 0 to KEYS_MAX_WAITING */
	uint32_t tokens_per_minute; /* of prompts and answers, 1 to KEYS_MAX_TOKENS */
	char *models;               /* names with commas that it may use, percent-encoded; NULL: all */
	bool admin;                 /* may use the routes of administrators */
	bool bare;                  /* its line is the key alone */
	bool gone;                  /* the file has it no more (keys_renew): nobody shows it */
};

struct keys;

/* Reads path. No key at all, more than KEYS_MAX, a word that is no field, a number out of its range, a name
 * or a key that stands twice, and a name that is a key are errors. */
enum hokku_code keys_load(const char *path, struct keys **out, struct hokku_error *err);

/* The same of text, which is copied; path is for messages. */
enum hokku_code keys_parse(struct str text, const char *path, struct keys **out, struct hokku_error *err);
void keys_free(struct keys *k); /* NULL is allowed */

/* Adds the key of an administrator, whose name is "admin", to *k, which is made where it is NULL. A secret
 * that is no key, a key or a name that is there already are errors, and *k is as before. */
enum hokku_code keys_add_admin(struct keys **k, const char *secret, struct hokku_error *err);

/* Reads path again, with the administrator's key beside it (NULL: none). A key keeps its number, and is the
 * one of the same name, or else, where that has none, of the same secret: what it is and what it may is from
 * now on as the file says; its name stays. One that the file has no more is gone. One that is new gets a
 * number that no other has had, and so finds nothing of another's; where keys_most numbers are given, or its
 * name is that of one that was there, it does not count until a restart, which is told in the log. A file
 * that keys_load refuses is an error, and *k is as before. */
enum hokku_code keys_renew(struct keys *k, const char *path, const char *admin, struct hokku_error *err);

/* Whether one of the keys is an administrator's, or was: then no other may use the routes of administrators.
 */
bool keys_have_admin(const struct keys *k);

/* Whether key may use the model of this name: each of its list is a name, or the beginning of names where a *
 * ends it. */
bool keys_may_use(const struct key *key, const char *model);

/* How many there are. */
uint32_t keys_count(const struct keys *k);

/* The numbers that there will be at most. */
uint32_t keys_most(struct keys *k);

/* Key number 1 to keys_count. */
const struct key *keys_get(const struct keys *k, uint32_t number);

/* The number of the key of this name; 0: there is none. */
uint32_t keys_named(const struct keys *k, const char *name);

/* The number of the key in the Authorization header ("Bearer KEY"; NULL: there was none); 0: there is none
 * such. The time it takes tells nothing about how much of a key was right. */
uint32_t keys_find(const struct keys *k, const char *authorization);

/* The same of a key alone, as the header x-api-key has it; NULL: there was none. */
uint32_t keys_find_bare(const struct keys *k, const char *given);

#endif
