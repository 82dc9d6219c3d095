/* The options of commands that give an answer its shape (engine/shapes.h). */
#ifndef CLI_SHAPE_OPTIONS_H
#define CLI_SHAPE_OPTIONS_H

#include "cli/options_common.h"

enum { SHAPE_MAX_CHOICES = 256 };

/* Start from zeroes, add the options, parse, read. */
struct shape_options {
	const char *schema, *schema_file, *structure, *structure_file, *grammar, *grammar_file,
		*regex; /* as given; NULL */
	struct opt_list choice;
	const char *choices[SHAPE_MAX_CHOICES];
	bool json_object, free_space, spaced;
	const char *given; /* the option that gave the shape, as "--regex"; NULL: none did */
	struct constrain_shape shape;
	char *owned;
	struct strbuf text;
};

/* --json-schema, --json-schema-file, --json-object, --structural-tag, --structural-tag-file,
 * --json-space-free, --json-space-spaced, --grammar, --grammar-file, --regex and
 * --choice. */
void opt_add_shape(struct opt_table *t, struct shape_options *o);

/* Reads the file, if one is named, and fills shape. Returns -1, or an exit code after a message: two of them
 * are given, a file cannot be read. */
int cli_read_shape(const struct cmd *cmd, struct shape_options *o);
void cli_free_shape(struct shape_options *o);

/* Has it compiled; *out NULL where there is none. err names the option. */
enum hokku_code cli_make_shape(const struct shape_options *o, struct engine *e, struct constrain **out,
			       struct hokku_error *err);

#endif
