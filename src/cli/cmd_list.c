/* hokku list: the models of the cache. */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "cli/pull_model.h"
#include "hub/inventory.h"

static int run(int argc, char **argv);

const struct cmd cmd_list = {
	.name = "list",
	.usage = "list [--known] [--json]",
	.summary = "list the models that are here, by their names",
	.help = "Models of the hub's cache (HF_HUB_CACHE, HF_HOME), whatever program pulled them, each by a name that\n"
		"run, serve, show and rm take, and what has come of pulls that did not end; then files that were pulled\n"
		"by URLs, by their paths. --known lists the short names instead (docs/pull.md).\n\n"
		"Example:\n"
		"  hokku list\n",
	.run = run,
};

static const char *const kinds[] = {"gguf", "folder", "part", "url"};

static void print_text(const struct hub_inventory *v, const struct hub_config *c)
{
	char size[32], date[32];
	int width = 4;
	for (size_t i = 0; i < v->n; i++) {
		int n = (int)strlen(v->items[i].name);
		width = n > width ? n : width;
	}
	if (!v->n)
		fprintf(stderr, "hokku: there is no model in %s; hokku pull brings one\n", c->cache);
	else
		printf("%-*s  %10s  %-10s\n", width, "name", "size", "since");
	for (size_t i = 0; i < v->n; i++) {
		const struct hub_item *item = &v->items[i];
		time_t t = (time_t)item->used_s;
		struct tm tm;
		strftime(date, sizeof date, "%Y-%m-%d", localtime_r(&t, &tm));
		printf("%-*s  %10s  %-10s%s\n", width, item->name, str_bytes(item->n_bytes, size), date,
		       item->kind == HUB_ITEM_PART     ? "  not whole: hokku pull goes on with it"
		       : item->kind == HUB_ITEM_FOLDER ? "  folder"
						       : "");
	}
}

static void print_json(const struct hub_inventory *v)
{
	struct strbuf b = {0};
	strbuf_add_c(&b, "[");
	for (size_t i = 0; i < v->n; i++) {
		const struct hub_item *item = &v->items[i];
		strbuf_add_c(&b, i ? ",\n  {\"name\": " : "\n  {\"name\": ");
		strbuf_add_json(&b, item->name, strlen(item->name));
		strbuf_addf(&b, ", \"kind\": \"%s\", \"path\": ", kinds[item->kind]);
		strbuf_add_json(&b, item->path, strlen(item->path));
		strbuf_addf(&b, ", \"bytes\": %" PRIu64 ", \"files\": %" PRIu64, item->n_bytes,
			    item->n_files);
		if (*item->repo)
			strbuf_addf(&b, ", \"repo\": \"%s\"", item->repo);
		if (*item->commit)
			strbuf_addf(&b, ", \"commit\": \"%s\"", item->commit);
		strbuf_add_c(&b, "}");
	}
	strbuf_add_c(&b, v->n ? "\n]" : "]");
	printf("%s\n", b.failed ? "[]" : b.ptr);
	strbuf_free(&b);
}

static int list_known(bool json)
{
	char size[32];
	if (json)
		printf("[");
	else
		printf("%-14s  %10s  %s\n", "name", "about", "is");
	for (const struct hub_short *s = hub_shorts; s->name; s++) {
		if (json)
			printf("%s\n  {\"name\": \"%s\", \"repo\": \"%s\", \"file\": \"%s\", \"bytes_about\": %" PRIu64
			       "}",
			       s == hub_shorts ? "" : ",", s->name, s->repo, s->file, s->n_bytes);
		else
			printf("%-14s  %10s  %s:%s\n", s->name, str_bytes(s->n_bytes, size), s->repo,
			       s->file);
	}
	printf("%s", json ? "\n]\n" : "");
	return cli_finish(EXIT_OK);
}

static int run(int argc, char **argv)
{
	bool known = false, json = false;
	struct hub_config config;
	struct hub_inventory v = {0};
	struct hokku_error err;
	const struct opt opts[] = {
		{.name = "known",
		 .kind = OPT_FLAG,
		 .target = &known,
		 .help = "the short names that hokku pull knows"},
		{.name = "json", .kind = OPT_FLAG, .target = &json, .help = "for programs"},
		{0},
	};
	int n, code = cli_parse(&cmd_list, opts, argc, argv, NULL, 0, &n);
	if (code >= 0)
		return code;
	if (known)
		return list_known(json);
	enum hokku_code rc = hub_config_read(&config, &err);
	if (!rc)
		rc = hub_inventory_read(&config, &v, &err);
	if (!rc && json)
		print_json(&v);
	else if (!rc)
		print_text(&v, &config);
	hub_inventory_free(&v);
	hub_config_free(&config);
	return cli_finish(rc ? cli_fail(&err) : EXIT_OK);
}
