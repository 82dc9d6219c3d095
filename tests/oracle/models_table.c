/*
 * `models_table DIR`: what becomes of each golden model (golden/models, golden/archs), a line of JSON each,
 * for oracle/models.test.mjs, which makes the table of docs/models.md of it. Its fields are "architecture",
 * "name", and the steps "converted", "bound", "cpu:reference", "cpu", "cuda/plain", "cuda/tile" and
 * "cuda/decode", each with null where it took the model, else why it did not; what was not asked is left out.
 * A folder is converted and what comes of it bound; all else happens to the file that llama.cpp's converter
 * made. Paths are opened, those of CUDA on the emulator. Then a line of each architecture that hokku knows.
 * DIR is for files that are gone at the end.
 */
#include <unistd.h>

#include "arch_model.h"
#include "compute/cuda/decode/decode.h"
#include "compute/cuda/decode/decode_path.h"
#include "convert/convert.h"

static const char *directory;

/* How a step ended: null, or the reason. Messages name the file first; what follows is the reason. */
static json_t *ending(enum hokku_code rc, const struct hokku_error *err)
{
	const char *reason = strstr(err->message, " cannot do ");
	if (!rc)
		return json_null();
	return json_string(reason ? reason + strlen(" cannot do ") : err->message);
}

static struct compute_params params_of(const struct model *m, const char *device)
{
	return (struct compute_params){.model = m,
				       .device = device,
				       .n_threads = 1,
				       .n_ctx = 64,
				       .n_seqs = 1,
				       .n_kv_blocks = 2,
				       .n_batch = 64};
}

/* One path of the emulated device, by the name that HOKKU_CUDA_PATH takes. */
static void open_cuda(const struct model *m, json_t *row)
{
	static const char *const names[] = {"plain", "tile"};
	const struct compute_params p = params_of(m, "cuda");
	struct hokku_error err = {0};
	void *self;
	char column[32];
	for (size_t i = 0; i < 2; i++) {
		setenv("HOKKU_CUDA_PATH", names[i], 1);
		enum hokku_code rc = compute_cuda.open(&p, &self, &err);
		snprintf(column, sizeof column, "cuda/%s", names[i]);
		json_object_set_new(row, column, ending(rc, &err));
		if (strcmp(names[i], "tile") == 0 && !rc) {
			char lacks[MODEL_SUPPORT_TEXT];
			const char *why = decode_lacks(self, lacks);
			json_object_set_new(row, "cuda/decode",
					    decode_of(self) ? json_null()
							    : json_string(why ? why : "tables too large"));
		}
		if (!rc)
			compute_cuda.close(self);
	}
}

static enum hokku_code bind(const char *path, struct gguf **g, struct model *m, struct hokku_error *err)
{
	enum hokku_code rc = gguf_open_file(path, g, err);
	return rc ? rc : model_bind(m, *g, err);
}

/* The file at path, which is gone afterwards, through all that runs it. */
static void open_all(const char *path, json_t *row)
{
	static const char *const devices[] = {"cpu:reference", "cpu"};
	struct hokku_error err = {0};
	struct gguf *g = NULL;
	struct model m = {0};
	enum hokku_code rc = bind(path, &g, &m, &err);
	json_object_set_new(row, "bound", ending(rc, &err));
	for (size_t i = 0; i < 2 && !rc; i++) {
		const struct compute_params p = params_of(&m, devices[i]);
		struct compute *c;
		json_object_set_new(row, devices[i], ending(compute_open(&p, &c, &err), &err));
		compute_close(c);
	}
	if (!rc) {
		json_object_set_new(row, "architecture", json_string(m.arch_name));
		open_cuda(&m, row);
	}
	model_unbind(&m);
	gguf_close(g);
	unlink(path);
}

static void print(json_t *row)
{
	char *text = json_dumps(row, JSON_COMPACT);
	TINY_NEED(text);
	puts(text);
	free(text);
	json_decref(row);
}

/* golden/models has one folder, of no model of these: they are not converted. */
static void tell_tiny(const struct tiny_set *set, const struct tiny *t)
{
	char path[512];
	json_t *row = json_object();
	snprintf(path, sizeof path, "%s/%s.gguf", directory, t->name);
	tiny_write(set, t, "F16", path);
	json_object_set_new(row, "name", json_string(t->name));
	open_all(path, row);
	print(row);
}

/* Converts the folder; what comes of it, which is gone afterwards, must bind. */
static enum hokku_code convert(const char *folder, const char *path, struct hokku_error *err)
{
	const struct convert_options o = {.dir = folder, .out = path, .type = TENSOR_F16};
	struct gguf *g = NULL;
	struct model m = {0};
	enum hokku_code rc = convert_hf(&o, err);
	if (!rc)
		rc = bind(path, &g, &m, err);
	model_unbind(&m);
	gguf_close(g);
	unlink(path);
	return rc;
}

static void tell_arch(const struct arch_entry *a)
{
	char folder[256], path[300];
	struct hokku_error err = {0};
	json_t *row = json_object();
	snprintf(folder, sizeof folder, "%s/%s", directory, a->name);
	snprintf(path, sizeof path, "%s.gguf", folder);
	json_object_set_new(row, "name", json_string(a->name));
	arch_write_folder(a, folder, NULL);
	json_object_set_new(row, "converted", ending(convert(folder, path, &err), &err));
	arch_remove_folder(folder);
	arch_write_gguf(a, TENSOR_F16, path);
	open_all(path, row);
	print(row);
}

int main(int argc, char **argv)
{
	struct tiny_set tiny;
	struct arch_set set;
	if (argc != 2 || strlen(argv[1]) > 200) {
		fprintf(stderr, "usage: models_table DIR\n");
		return 2;
	}
	directory = argv[1];
	setenv("HOKKU_CUDA_WARM_UP", "off", 1);
	tiny_load(&tiny);
	for (size_t i = 0; i < tiny.n_models; i++)
		tell_tiny(&tiny, &tiny.models[i]);
	tiny_free(&tiny);
	arch_load(&set);
	for (size_t i = 0; i < set.n; i++)
		tell_arch(&set.entries[i]);
	arch_free(&set);
	for (const char *const *name = arch_names(); *name; name++)
		print(json_pack("{s:s}", "architecture", *name));
	return 0;
}
