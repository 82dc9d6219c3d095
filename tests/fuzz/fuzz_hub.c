/*
 * What a hub and a person say: a name of a model, the list of a repository's files, the heads of answers.
 * What is taken of it becomes paths, addresses and headers: nothing that is taken may leave its folder or
 * hold what breaks a line.
 */
#include <stdio.h>
#include <stdlib.h>

#include "hub/choose.h"
#include "hub/hash.h"
#include "hub/http.h"

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* No component is "..", none is empty, nothing is absolute or breaks a line. */
static void require_safe(const char *path)
{
	char around[HUB_MAX_FILE + 3];
	require(*path && strlen(path) <= HUB_MAX_FILE);
	snprintf(around, sizeof around, "/%s/", path);
	require(!strstr(around, "/../") && !strstr(around, "//") && !strstr(around, "/./"));
	for (const char *c = path; *c; c++)
		require((unsigned char)*c >= ' ' && *c != '\\');
}

static void try_name(const char *text)
{
	static const struct hub_config config = {.endpoint = (char *)"https://hub.test"};
	struct hub_name n, again;
	char shown[HUB_MAX_URL];
	if (hub_name_parse(text, &config, &n, NULL) || n.kind != HUB_REPO)
		return;
	require_safe(n.repo);
	require_safe(n.revision);
	require(strchr(n.repo, '/') == strrchr(n.repo, '/') && !strstr(n.repo, "--"));
	if (*n.want)
		require_safe(n.want);
	/* What it is called means it. */
	require(hub_name_parse(hub_name_text(&n, shown), &config, &again, NULL) == HOKKU_OK);
	require(strcmp(again.repo, n.repo) == 0 && strcmp(again.revision, n.revision) == 0 &&
		strcmp(again.want, n.want) == 0);
}

static void try_choice(const struct hub_files *files, const char *want)
{
	struct hub_choice c;
	uint64_t n_bytes = 0;
	if (hub_choose("u/r", files, want, &c, NULL))
		return;
	require(c.n > 0);
	for (size_t i = 0; i < c.n; i++) {
		require(c.index[i] < files->n);
		n_bytes += files->all[c.index[i]].n_bytes;
		for (size_t j = 0; j < i; j++)
			require(c.index[i] != c.index[j]);
	}
	require(n_bytes == c.n_bytes);
	hub_choice_free(&c);
}

static void try_list(const char *text, size_t n)
{
	static const struct hub_name name = {.repo = "u/r", .revision = "main"};
	struct hub_repo repo;
	if (hub_repo_read(&name, (struct str){text, n}, &repo, NULL))
		return;
	require(hub_is_hash(repo.commit) && strlen(repo.commit) == 40);
	for (size_t i = 0; i < repo.files.n; i++) {
		require_safe(repo.files.all[i].path);
		require(!*repo.files.all[i].hash || hub_is_hash(repo.files.all[i].hash));
		try_choice(&repo.files, repo.files.all[i].path);
	}
	try_choice(&repo.files, "");
	try_choice(&repo.files, "safetensors");
	try_choice(&repo.files, "Q8_0");
	hub_repo_free(&repo);
}

static void try_head(const char *text, size_t n)
{
	struct http_headers h = {0};
	for (const char *end; n; n -= (size_t)(end - text), text = end) {
		const char *lf = memchr(text, '\n', n);
		end = lf ? lf + 1 : text + n;
		http_take_header(&h, text, (size_t)(end - text));
	}
	require(memchr(h.location, 0, sizeof h.location) && memchr(h.etag, 0, sizeof h.etag) &&
		memchr(h.content_range, 0, sizeof h.content_range));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > 1 << 16)
		return 0;
	/* Each in a piece of memory of its own, so that a byte too far is seen. */
	char *text = malloc(size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (data[0] == 'n')
		try_name(text);
	else if (data[0] == 'l')
		try_list(text, size - 1);
	else
		try_head(text, size - 1);
	free(text);
	return 0;
}
