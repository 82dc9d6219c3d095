#include "hub/name.h"

#include <ctype.h>
#include <stdio.h>

#define X_ROW(n, r, f, b) {.name = (n), .repo = (r), .file = (f), .n_bytes = (b)},
#define SHORT(n, r, f, b) X_ROW(n, r, f, b)
const struct hub_short hub_shorts[] = {
#include "hub/short.def"
	{0},
};

enum { MAX_SHORTS = sizeof hub_shorts / sizeof *hub_shorts, MAX_COMPONENT = 255 };

/* ---- what may be ---- */

static bool component_ok(struct str s)
{
	if (s.len == 0 || s.len > MAX_COMPONENT || str_eq_c(s, ".") || str_eq_c(s, ".."))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i],
			      next = i + 1 < s.len ? (unsigned char)s.ptr[i + 1] : 0;
		bool c1 = c == 0xc2 && next >= 0x80 && next < 0xa0; /* U+0080 to U+009F steer terminals too */
		if (c < ' ' || c == 0x7f || c == '\\' || c1)
			return false;
	}
	return utf8_valid_prefix(s.ptr, s.len) == s.len;
}

static bool components_ok(struct str path, bool (*ok)(struct str))
{
	for (;;) {
		const char *slash = memchr(path.ptr, '/', path.len);
		struct str first = {path.ptr, slash ? (size_t)(slash - path.ptr) : path.len};
		if (!ok(first))
			return false;
		if (!slash)
			return true;
		path = (struct str){slash + 1, path.len - first.len - 1};
	}
}

bool hub_file_name_ok(struct str path)
{
	return path.len && path.len <= HUB_MAX_FILE && components_ok(path, component_ok);
}

/* As the hub has it; "--" stands for the slash in the cache's names of folders. */
static bool word_ok(struct str s)
{
	if (s.len == 0 || strchr(".-", s.ptr[0]) || strchr(".-", s.ptr[s.len - 1]))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		bool twice = i && s.ptr[i] == s.ptr[i - 1] && strchr(".-", s.ptr[i]);
		if (!(isalnum((unsigned char)s.ptr[i]) || strchr("._-", s.ptr[i])) || twice)
			return false;
	}
	return true;
}

bool hub_repo_ok(struct str repo)
{
	const char *slash = memchr(repo.ptr, '/', repo.len);
	return repo.len <= HUB_MAX_REPO && slash &&
	       !memchr(slash + 1, '/', (size_t)(repo.ptr + repo.len - slash - 1)) &&
	       components_ok(repo, word_ok);
}

static bool revision_part_ok(struct str s)
{
	if (s.len == 0 || s.ptr[0] == '.' || s.ptr[0] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!(isalnum((unsigned char)s.ptr[i]) || strchr("._-+", s.ptr[i])) ||
		    (i && s.ptr[i] == '.' && s.ptr[i - 1] == '.'))
			return false;
	return true;
}

bool hub_revision_ok(struct str revision)
{
	return revision.len && revision.len <= HUB_MAX_REVISION && components_ok(revision, revision_part_ok);
}

/* ---- forms ---- */

static enum hokku_code bad(const char *text, const char *why, struct hokku_error *err)
{
	char quoted[160], shown[HUB_MAX_URL];
	return err_set(err, HOKKU_INVALID_REQUEST,
		       "%s names no model: %s; a name is hf.co/user/repo:Q4_K_M, user/repo, a short name as "
		       "qwen3:4b, or the path or URL of a GGUF file",
		       str_quote(str_c(str_hide_login(text, shown, sizeof shown)), quoted, sizeof quoted),
		       why);
}

static void put(char *to, struct str s)
{
	memcpy(to, s.ptr, s.len);
	to[s.len] = '\0';
}

static struct str cut_at(struct str *s, char c)
{
	const char *at = memchr(s->ptr, c, s->len);
	struct str rest = {NULL, 0};
	if (at) {
		rest = (struct str){at + 1, (size_t)(s->ptr + s->len - at - 1)};
		s->len = (size_t)(at - s->ptr);
	}
	return rest;
}

static enum hokku_code take_repo(struct hub_name *n, struct str repo, struct str revision, struct str want,
				 struct hokku_error *err)
{
	if (!hub_repo_ok(repo))
		return bad(n->text,
			   memchr(repo.ptr, '/', repo.len)
				   ? "user and repository are letters, digits, -, _ and single dots"
				   : "a repository is user/repo",
			   err);
	if (revision.ptr && !hub_revision_ok(revision))
		return bad(n->text, "what stands after @ is no branch, tag or commit", err);
	if (want.ptr && !hub_file_name_ok(want))
		return bad(n->text,
			   "what stands after the colon is no file of a repository, nor a part of one's name",
			   err);
	n->kind = HUB_REPO;
	put(n->repo, repo);
	put(n->revision, revision.ptr ? revision : STR_LIT("main"));
	put(n->want, want.ptr ? want : STR_LIT(""));
	return HOKKU_OK;
}

/* user/repo[@revision][:want] */
static enum hokku_code parse_repo(struct hub_name *n, struct str s, struct hokku_error *err)
{
	struct str want = cut_at(&s, ':'), revision = cut_at(&s, '@');
	if (want.ptr && !want.len)
		return bad(n->text, "nothing stands after the colon", err);
	return take_repo(n, s, revision, want, err);
}

/* user/repo[/(resolve|blob|tree)/REVISION[/FILE]] of an address; what comes after ? or # says how to show it.
 */
static enum hokku_code parse_address(struct hub_name *n, struct str s, struct hokku_error *err)
{
	static const char *const views[] = {"resolve", "blob", "tree", "raw", NULL};
	cut_at(&s, '?');
	cut_at(&s, '#');
	while (s.len && s.ptr[s.len - 1] == '/')
		s.len--;
	struct str rest = s, user = rest;
	rest = cut_at(&user, '/');
	struct str repo = rest, view = {NULL, 0};
	if (rest.ptr)
		view = cut_at(&repo, '/');
	if (!view.ptr)
		return parse_repo(n, s, err);
	struct str whole = {s.ptr, user.len + 1 + repo.len}, revision = cut_at(&view, '/');
	struct str file = revision.ptr ? cut_at(&revision, '/') : (struct str){NULL, 0};
	for (size_t i = 0; views[i]; i++)
		if (str_eq_c(view, views[i]) && revision.ptr)
			return take_repo(n, whole, revision, file, err);
	return bad(n->text, "a page of the hub is user/repo, or /resolve/main/FILE after it", err);
}

static bool cut_prefix(struct str *s, const char *prefix)
{
	if (!str_starts(*s, str_c(prefix)))
		return false;
	s->ptr += strlen(prefix);
	s->len -= strlen(prefix);
	return true;
}

/* Past the host of the hub that everybody means. */
static bool cut_known_host(struct str *s)
{
	static const char *const hosts[] = {"hf.co/", "huggingface.co/", "www.huggingface.co/", NULL};
	for (size_t i = 0; hosts[i]; i++)
		if (cut_prefix(s, hosts[i]))
			return true;
	return false;
}

bool hub_name_has_host(const char *text)
{
	struct str s = str_c(text);
	return cut_known_host(&s);
}

/* Past the hub's host, with or without the scheme. */
static bool cut_host(struct str *s, const struct hub_config *c)
{
	struct str rest = *s;
	size_t n = strlen(c->endpoint);
	if (str_starts(rest, str_c(c->endpoint)) && rest.len > n && rest.ptr[n] == '/') {
		*s = (struct str){rest.ptr + n + 1, rest.len - n - 1};
		return true;
	}
	if (!cut_prefix(&rest, "https://"))
		cut_prefix(&rest, "http://");
	if (!cut_known_host(&rest))
		return false;
	*s = rest;
	return true;
}

static enum hokku_code parse_url(struct hub_name *n, struct str s, struct hokku_error *err)
{
	cut_at(&s, '#');
	cut_at(&s, '?');
	if (n->text[strcspn(n->text, " \t\r\n\\")] || strlen(n->text) > HUB_MAX_URL - 1)
		return bad(n->text, "no URL holds spaces or backslashes, or is longer than 4095 bytes", err);
	if (!str_ends(s, STR_LIT(".gguf")))
		return bad(n->text, "of other hosts than the hub only files that end in .gguf can be pulled",
			   err);
	n->kind = HUB_URL;
	return HOKKU_OK;
}

/* A bare word: the table's, by its name or its family's. */
static enum hokku_code parse_short(struct hub_name *n, struct hokku_error *err)
{
	const char *names[MAX_SHORTS];
	char quoted[96];
	size_t len = strlen(n->text), count = 0;
	for (const struct hub_short *s = hub_shorts; s->name; s++) {
		names[count++] = s->name;
		bool family = strncmp(s->name, n->text, len) == 0 && s->name[len] == ':';
		if (strcmp(s->name, n->text) != 0 && !family)
			continue;
		n->known = s;
		return take_repo(n, str_c(s->repo), (struct str){NULL, 0}, str_c(s->file), err);
	}
	names[count] = NULL;
	char shown[HUB_MAX_URL];
	const char *near = str_nearest(n->text, names);
	return err_set(err, HOKKU_NOT_FOUND,
		       "%s is neither a file here nor a short name of a model%s%s%s; a name is "
		       "hf.co/user/repo:Q4_K_M, user/repo, or the path or URL of a GGUF file (hokku list "
		       "--known shows the short names)",
		       str_quote(str_c(str_hide_login(n->text, shown, sizeof shown)), quoted, sizeof quoted),
		       near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

enum hokku_code hub_name_parse(const char *text, const struct hub_config *c, struct hub_name *out,
			       struct hokku_error *err)
{
	struct str s = str_c(text);
	*out = (struct hub_name){.text = text};
	if (!*text)
		return bad(text, "it is empty", err);
	if (cut_host(&s, c))
		return parse_address(out, s, err);
	if (str_starts(s, STR_LIT("https://")) || str_starts(s, STR_LIT("http://")))
		return parse_url(out, s, err);
	if (strstr(text, "://"))
		return bad(text, "of URLs only http:// and https:// are pulled", err);
	if (strchr("/.~", *text))
		return HOKKU_OK; /* a path */
	struct str before = s;
	cut_at(&before, ':');
	cut_at(&before, '@');
	const char *slash = memchr(before.ptr, '/', before.len);
	if (slash && !memchr(slash + 1, '/', (size_t)(before.ptr + before.len - slash - 1)))
		return parse_repo(out, s, err);
	if (slash || str_ends(s, STR_LIT(".gguf")))
		return HOKKU_OK;
	return parse_short(out, err);
}

const char *hub_name_text(const struct hub_name *n, char *out)
{
	if (n->kind != HUB_REPO)
		str_hide_login(n->text, out, HUB_MAX_URL);
	else
		snprintf(out, HUB_MAX_URL, "%s%s%s%s%s", n->repo, strcmp(n->revision, "main") ? "@" : "",
			 strcmp(n->revision, "main") ? n->revision : "", *n->want ? ":" : "", n->want);
	return out;
}
