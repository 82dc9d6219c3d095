/* The models' files: what the shelf has seen of them becomes the list of models. */
#include "server/hosting_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"

static struct hosted *find_file(const struct server *s, const char *name)
{
	for (struct hosted *h = s->hosted; h; h = h->next)
		if (strcmp(h->file.name, name) == 0)
			return h;
	return NULL;
}

/* What is on the shelf now becomes true; the model is not in memory. */
void hosting_take_look(struct hosted *h)
{
	struct hosted_file *f = &h->file;
	if (f->next_look) {
		free(f->look);
		f->look = f->next_look;
		f->print = f->next_print;
		f->next_look = NULL;
		f->load_err.code = HOKKU_OK;
		h->known_bytes = h->tried_bytes = 0;
		h->lack.code = HOKKU_OK;
		h->any_device = false;
	}
	h->closed = h->pinned = false;
	h->failure = f->look->err.code ? f->look->err : f->load_err;
	h->state = h->failure.code ? REGISTRY_FAILED : REGISTRY_UNLOADED;
	hosting_plan(h);
	if (h->state == REGISTRY_FAILED) {
		struct hokku_error err = h->failure;
		log_warn("model '%s' cannot be served: %s", f->name, err.message);
		err_prefix(&err, err.code, "model '%s' cannot be served", f->name);
		hosting_refuse_all(h, &err);
	}
}

static void add_file(struct server *s, struct shelf_model *m)
{
	struct hosted *h = calloc(1, sizeof *h), **end = &s->hosted;
	if (h)
		h->file.name = strdup(m->name);
	if (!h || !h->file.name || !m->look) {
		free(h ? h->file.name : NULL);
		free(h);
		return;
	}
	h->server = s;
	h->file.path = m->path;
	h->file.named = m->named;
	h->file.print = m->print;
	h->file.look = m->look;
	m->path = NULL;
	m->look = NULL;
	h->keep_ns = s->config.models_keep_alive_ns;
	while (*end)
		end = &(*end)->next;
	*end = h;
	hosting_take_look(h);
	log_info("model '%s' is %s", h->file.name, h->file.path);
}

/* The file is another one than that which was known. */
static void change_file(struct hosted *h, struct shelf_model *m)
{
	free(h->file.next_look);
	h->file.next_look = m->look;
	h->file.next_print = m->print;
	m->look = NULL;
	free(h->file.path);
	h->file.path = m->path;
	m->path = NULL;
	log_info("the file of model '%s' has changed", h->file.name);
	if (h->state == REGISTRY_UNLOADED || h->state == REGISTRY_FAILED)
		hosting_take_look(h);
	else
		h->closed = true; /* what is in memory goes when its requests are over; later ones get the new
				     one */
}

void hosting_free_model(struct hosted *h)
{
	free(h->file.name);
	free(h->file.path);
	free(h->file.look);
	free(h->file.next_look);
	free(h);
}

/* Out of the list, once nothing knows it any more. */
void hosting_drop_gone(struct server *s)
{
	for (struct hosted **at = &s->hosted; *at;) {
		struct hosted *h = *at;
		if (!h->file.gone || h->engine || h->retiring || h->n_running || h->n_waiting) {
			at = &h->next;
			continue;
		}
		*at = h->next;
		hosting_add_counters(&s->past, &h->past);
		hosting_free_model(h);
	}
}

static void lose_file(struct hosted *h)
{
	struct hokku_error err;
	h->file.gone = h->closed = true;
	log_info("the file of model '%s' is gone", h->file.name);
	err_set(&err, HOKKU_NOT_FOUND, "model '%s' not found: its file was removed", h->file.name);
	hosting_refuse_all(h, &err);
}

void hosting_take_list(struct server *s)
{
	struct shelf_list *list = shelf_take(s->shelf);
	if (!list)
		return;
	for (struct hosted *h = s->hosted; h; h = h->next) {
		bool there = false;
		for (uint32_t i = 0; i < list->n && !there; i++)
			there = strcmp(list->models[i].name, h->file.name) == 0;
		if (!there && !h->file.gone)
			lose_file(h);
	}
	hosting_drop_gone(s);
	for (uint32_t i = 0; i < list->n; i++) {
		struct hosted *h = find_file(s, list->models[i].name);
		if (!h)
			add_file(s, &list->models[i]);
		else if (list->models[i].look)
			change_file(h, &list->models[i]);
		if (h)
			h->file.gone = false; /* it is there again */
	}
	if (list->err.code && strcmp(list->err.message, s->shelf_err.message) != 0)
		log_warn("%s", list->err.message);
	if (list->n_left_out && list->n_left_out != s->n_left_out)
		log_warn("%" PRIu32
			 " files of --models-dir are passed over: there may be %d models, with names "
			 "of %d bytes",
			 list->n_left_out, SHELF_MAX_MODELS, MODEL_NAME_MAX_BYTES);
	s->shelf_err = list->err;
	s->n_left_out = list->n_left_out;
	s->shelf_number = list->number;
	shelf_list_free(list);
}
