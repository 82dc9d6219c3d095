#include "cli/run_state.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/new_file.h"
#include "engine/state.h"

bool run_state_is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

enum hokku_code run_state_check(const char *path, struct hokku_error *err)
{
	struct new_file f;
	enum hokku_code rc = new_file_create(&f, path, err);
	if (!rc)
		new_file_close(&f); /* nothing of it is left */
	return rc;
}

/* The state's tokens must be the prompt's first ones: the file will hold what follows them. */
static enum hokku_code check_begins(const struct engine_state_told *told, const struct tok_ids *ids,
				    const char *path, struct hokku_error *err)
{
	static const char fix[] = "name another file, or leave out the prompt to go on from this one";
	char there[32], here[32];
	size_t n = told->n_tokens < ids->n ? told->n_tokens : ids->n, same = 0;
	while (same < n && told->tokens[same] == ids->ids[same])
		same++;
	if (same == told->n_tokens)
		return HOKKU_OK;
	if (same == ids->n)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "%s has %s tokens, and the prompt only the first %s of them; %s", path,
			       str_thousands(told->n_tokens, there), str_thousands(ids->n, here), fix);
	return err_set(
		err, HOKKU_INVALID_REQUEST,
		"%s has %s tokens, and the prompt does not begin with them: token %zu is %d there and %d in "
		"the prompt; %s",
		path, str_thousands(told->n_tokens, there), same, told->tokens[same], ids->ids[same], fix);
}

enum hokku_code run_state_restore(struct engine *e, const char *path, struct tok_ids *ids,
				  uint32_t *n_answered, bool (*stopped)(void *user), struct hokku_error *err)
{
	struct engine_state_told told;
	*n_answered = 0;
	enum hokku_code rc = engine_restore(
		e, &(struct engine_restoring){.path = path, .name = path, .stopped = stopped}, &told, err);
	if (!rc && ids->n)
		rc = check_begins(&told, ids, path, err);
	else if (!rc) {
		for (uint32_t i = 0; i < told.n_tokens && !rc; i++)
			rc = tok_ids_push(ids, told.tokens[i], err);
		*n_answered = told.n_tokens - told.n_prompt;
	}
	free(told.tokens);
	return rc;
}

enum hokku_code run_state_save(struct engine *e, const char *path, uint64_t request,
			       const struct tok_ids *ids, bool tell, bool (*stopped)(void *user),
			       struct hokku_error *err)
{
	struct engine_state_told told;
	char tokens[32], bytes[32];
	struct engine_saving saving = {.request = request, .path = path, .name = path, .stopped = stopped};
	if (!request) {
		saving.tokens = ids->ids;
		saving.n_tokens = ids->n;
	}
	enum hokku_code rc = engine_save(e, &saving, &told, err);
	if (!rc && tell)
		fprintf(stderr, "hokku: %s holds %s tokens now, in %s bytes\n", path,
			str_thousands(told.n_tokens, tokens), str_thousands(told.bytes, bytes));
	return rc;
}
