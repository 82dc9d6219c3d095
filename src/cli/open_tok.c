#include "cli/open_tok.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/pull_model.h"

enum hokku_code cli_open_tok(const char *path, struct tok **t, struct chat *chat, struct str chat_template,
			     struct hokku_error *err)
{
	struct gguf *g = NULL;
	*t = NULL;
	enum hokku_code rc = cli_open_file(path, &g, err);
	if (!rc)
		rc = engine_open_tok(g, t, chat, chat_template, err);
	gguf_close(g);
	if (!rc)
		cli_tell_notes(tok_notes(*t));
	return rc;
}

void cli_tell_notes(const char *const *notes)
{
	for (; notes && *notes; notes++)
		cli_line(stderr, "hokku: warning: ", *notes, "");
}

int cli_each_line(const char *path, int (*on_line)(void *user, struct str line, size_t number), void *user)
{
	struct hokku_error err;
	bool is_stdin = strcmp(path, "-") == 0;
	FILE *f = is_stdin ? stdin : fopen(path, "r");
	if (!f) {
		err_set(&err, HOKKU_IO_ERROR, "%s: %s", path, strerror(errno));
		return cli_fail(&err);
	}
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int code = EXIT_OK;
	for (size_t number = 1; code == EXIT_OK && (n = getline(&line, &cap, f)) >= 0; number++) {
		if (n && line[n - 1] == '\n')
			n--;
		code = on_line(user, (struct str){line, (size_t)n}, number);
	}
	if (code == EXIT_OK && ferror(f)) {
		err_set(&err, HOKKU_IO_ERROR, "%s: %s", is_stdin ? "standard input" : path, strerror(errno));
		code = cli_fail(&err);
	}
	free(line);
	if (!is_stdin)
		fclose(f);
	return code;
}
