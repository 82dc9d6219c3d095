/*
 * Loading by several threads in parcels of any size, on the emulator: what lies on the device afterwards is
 * the file's weights, in both layouts; a file that shrinks, a device that fails and a caller who has had
 * enough end it, and nothing is left behind.
 */
#include "device_memory.h"
#include "small.h"
#include "tiny_model.h"

#include <unistd.h>

#include "compute/cuda/load.h"
#include "compute/cuda/plain/plain_layout.h"
#include "compute/cuda/tile/tile_plan.h"
#include "compute/cuda/tile/tile_weights.h"
#include "frag_probe.h"

static struct tiny_set set;
static char path[512];

struct opened {
	struct gguf *file;
	struct model model;
	struct cuda c;
	struct compute_params params;
};

static void open_model(struct opened *o, const char *name, const char *format)
{
	struct hokku_error err = {0};
	*o = (struct opened){0};
	tiny_write(&set, tiny_find(&set, name), format, path);
	if (gguf_open_file(path, &o->file, &err) || model_bind(&o->model, o->file, &err) ||
	    cuda_device_open(&o->c.device, "cuda", &err))
		fail_msg("%s", err.message);
	o->c.model = &o->model;
	o->c.ledger.device = &o->c.device;
	assert_int_equal(cudaStreamCreateWithFlags(&o->c.stream, cudaStreamNonBlocking), cudaSuccess);
	if (tile_create(&o->c, &err))
		fail_msg("%s", err.message);
	struct ledger plan = {0};
	struct cuda_taker count = {&plan, &err, HOKKU_OK}, take = {&o->c.ledger, &err, HOKKU_OK};
	tile_take_weights(&o->c, &count);
	assert_int_equal(ledger_take_stock(&o->c.ledger, ledger_total(&plan), "weights", &err), HOKKU_OK);
	tile_take_weights(&o->c, &take);
	assert_int_equal(take.rc, HOKKU_OK);
	assert_int_equal(ledger_total(&o->c.ledger), ledger_total(&plan));
	assert_int_equal(o->c.ledger.stock_left, 0);
}

static void close_model(struct opened *o)
{
	tile_destroy(&o->c);
	cudaStreamDestroy(o->c.stream);
	ledger_free(&o->c.ledger);
	model_unbind(&o->model);
	gguf_close(o->file);
	unlink(path);
	assert_int_equal(cudasim_live_bytes(), 0);
	assert_int_equal(cudasim_live_pinned(), 0);
}

/* All matrices that lie in the file. */
static void list_all(struct opened *o, struct load_list *list)
{
	const struct tile_handle *h = tile_of(&o->c);
	const struct model *m = &o->model;
	if (!m->tied)
		load_add(list, &m->w[ROLE_OUTPUT], &h->output, tile_place); /* the list may be in any order */
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		const struct layer *from = &m->layers[l];
		const struct tile_layer *to = &h->layers[l];
		load_add(list, &from->w[ROLE_WQ], &to->m[ROLE_WQ], tile_place);
		load_add(list, &from->w[ROLE_WK], &to->m[ROLE_WK], tile_place);
		load_add(list, &from->w[ROLE_WV], &to->m[ROLE_WV], tile_place);
		load_add(list, &from->w[ROLE_WO], &to->m[ROLE_WO], tile_place);
		load_add(list, &from->w[ROLE_W_GATE], &to->m[ROLE_W_GATE], tile_place);
		load_add(list, &from->w[ROLE_W_UP], &to->m[ROLE_W_UP], tile_place);
		load_add(list, &from->w[ROLE_W_DOWN], &to->m[ROLE_W_DOWN], tile_place);
	}
	load_add(list, &m->w[ROLE_EMBEDDING], &h->embedding, tile_place);
}

/* The weights as float32, through the fragments. */
static void check_matrix(const struct tile_matrix *m, const struct weight *w)
{
	uint32_t pitch = m->n_units * (m->unit_bytes > 512 ? 256 : 32);
	size_t n_bytes = (size_t)m->n_tiles * 8 * pitch * sizeof(struct probed);
	struct probe_args a = {*m, on_device(NULL, n_bytes)};
	assert_int_equal(probe_frags(&a, test_stream()), cudaSuccess);
	finish();
	struct probed *got = from_device(a.out, n_bytes);
	float *want = malloc((size_t)w->rows * w->cols * sizeof *want);
	for (uint32_t r = 0; r < w->rows; r++)
		assert_int_equal(weight_floats(w, r, want + (size_t)r * w->cols, NULL), HOKKU_OK);
	for (uint32_t r = 0; r < w->rows; r++)
		for (uint32_t c = 0; c < w->cols; c++)
			if (got[(size_t)r * pitch + c].exact != want[(size_t)r * w->cols + c])
				fail_msg("%.*s: row %u, column %u", STR_ARG(w->tensor->name), r, c);
	free(want);
	free(got);
	cudaFree(a.out);
}

static void check_all(const struct opened *o)
{
	const struct tile_handle *h = tile_of(&o->c);
	const struct model *m = &o->model;
	check_matrix(&h->embedding, &m->w[ROLE_EMBEDDING]);
	check_matrix(&h->output, &m->w[ROLE_OUTPUT]);
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		check_matrix(&h->layers[l].m[ROLE_WQ], &m->layers[l].w[ROLE_WQ]);
		check_matrix(&h->layers[l].m[ROLE_WK], &m->layers[l].w[ROLE_WK]);
		check_matrix(&h->layers[l].m[ROLE_WV], &m->layers[l].w[ROLE_WV]);
		check_matrix(&h->layers[l].m[ROLE_WO], &m->layers[l].w[ROLE_WO]);
		check_matrix(&h->layers[l].m[ROLE_W_GATE], &m->layers[l].w[ROLE_W_GATE]);
		check_matrix(&h->layers[l].m[ROLE_W_UP], &m->layers[l].w[ROLE_W_UP]);
		check_matrix(&h->layers[l].m[ROLE_W_DOWN], &m->layers[l].w[ROLE_W_DOWN]);
	}
}

/* Under the thread sanitizer one thread alone is of no interest, and one of three calls fails. */
static uint32_t fewest_threads(void)
{
	return test_small() ? 4 : 1;
}

/* The least parcels there are, and larger ones; one thread, some, and more than there are parcels. */
static void threads_and_parcels(void **state)
{
	(void)state;
	static const struct {
		const char *name, *format;
	} models[] = {{"odd", "F16"}, {"mha128", "Q6_K"}, {"gqa7", "Q5_0"}};
	struct hokku_error err = {0};
	for (uint32_t n_threads = fewest_threads(); n_threads <= LOAD_THREADS; n_threads += 3)
		for (uint64_t more = 0; more < 3; more++) {
			struct opened o;
			struct load_list list = {0};
			open_model(&o, models[more].name, models[more].format);
			list_all(&o, &list);
			struct load_how how = load_choose(&list, 0);
			assert_int_equal(how.n_threads, 1);
			how.n_threads = n_threads;
			how.parcel_bytes = (how.parcel_bytes << more) + 256 * more;
			if (load_run(&o.c, &list, how, &o.params, &err))
				fail_msg("%s", err.message);
			assert_null(list.items);
			check_all(&o);
			close_model(&o);
		}
}

/* Both paths take every format that there is; of one that is new they would name the tensor and the format.
 */
static void formats_without_kernels(void **state)
{
	(void)state;
	static const struct format other = {.type = TENSOR_N_TYPES, .name = "Q1_9", .block_elements = 1};
	struct hokku_error err = {0};
	struct opened o = {0};
	struct tile_matrix m;
	struct plain_matrix plain;
	for (const char *const *name = format_names(); *name; name++) {
		enum tensor_type type;
		assert_true(tensor_type_by_name(str_c(*name), &type));
		struct weight w = {.fmt = format_get(type), .rows = 8, .cols = 256};
		assert_true(tile_plan(&m, &w, 1) && tile_plan(&m, &w, 2) && plain_layout_plan(&plain, &w));
	}
	tiny_write(&set, tiny_find(&set, "mha128"), "Q2_K", path);
	if (gguf_open_file(path, &o.file, &err) || model_bind(&o.model, o.file, &err))
		fail_msg("%s", err.message);
	o.c.model = &o.model;
	assert_int_equal(tile_create(&o.c, &err), HOKKU_OK);
	tile_destroy(&o.c);
	o.model.w[ROLE_EMBEDDING].fmt = &other;
	assert_int_equal(tile_create(&o.c, &err), HOKKU_MODEL_LOAD_FAILED);
	assert_string_equal(
		err.message,
		"tensor \"token_embd.weight\": the device cuda has no tensor-core kernel for Q1_9");
	assert_false(plain_layout_plan(&plain, &o.model.w[ROLE_EMBEDDING]));
	model_unbind(&o.model);
	gguf_close(o.file);
	unlink(path);
}

/* Buffers grow with the model, hold eight rows of any matrix, and stay in the room there is. */
static void how_is_chosen(void **state)
{
	(void)state;
	static const struct format f16 = {.block_elements = 1, .block_bytes = 2};
	struct weight big = {.fmt = &f16, .rows = 150000, .cols = 3584, .row_bytes = 7168};
	struct weight wide = {.fmt = &f16, .rows = 4, .cols = 200000, .row_bytes = 400000};
	struct weight small = {.fmt = &f16, .rows = 9, .cols = 100, .row_bytes = 200};
	struct tile_matrix to = {0};
	struct load_list list = {0};
	const uint64_t plenty = (uint64_t)1 << 40;
	load_add(&list, &small, &to, tile_place);
	struct load_how how = load_choose(&list, plenty);
	assert_int_equal(how.n_threads, 1);
	assert_int_equal(how.parcel_bytes, 1792); /* all there is, 1800, but aligned */
	load_add(&list, &big, &to, tile_place);
	how = load_choose(&list, plenty);
	assert_in_range(how.n_threads, 1, LOAD_THREADS);
	assert_int_equal(how.parcel_bytes, 1049856); /* a 1024th */
	uint32_t most = how.n_threads;
	how = load_choose(&list, 2 * how.parcel_bytes);
	assert_int_equal(how.n_threads, most < 2 ? most : 2);
	load_add(&list, &wide, &to, tile_place);
	how = load_choose(&list, 0);
	assert_int_equal(how.n_threads, 1);
	assert_int_equal(how.parcel_bytes, 1600000); /* four rows: there are no more */
	for (int i = 0; i < 20; i++)
		load_add(&list, &big, &to, tile_place);
	how = load_choose(&list, plenty);
	assert_int_equal(how.parcel_bytes, LOAD_PARCEL_BYTES_MAX);
	free(list.items);
}

static enum hokku_code load_by(struct opened *o, uint32_t n_threads, struct hokku_error *err)
{
	struct load_list list = {0};
	list_all(o, &list);
	struct load_how how = load_choose(&list, 0);
	how.n_threads = n_threads;
	*err = (struct hokku_error){0};
	return load_run(&o->c, &list, how, &o->params, err);
}

static void a_file_that_shrinks(void **state)
{
	(void)state;
	struct opened o;
	struct hokku_error err;
	open_model(&o, "odd", "F16");
	assert_int_equal(truncate(path, (off_t)gguf_data_offset(o.file) + 5000), 0);
	assert_int_equal(load_by(&o, 4, &err), HOKKU_IO_ERROR);
	assert_non_null(strstr(err.message, "it had"));
	close_model(&o);
}

/* Every call fails in turn; with several threads there is no telling which call that is. */
static void failures(void **state)
{
	(void)state;
	EMULATOR_ONLY();
	for (uint32_t n_threads = fewest_threads(); n_threads <= 4; n_threads += 3) {
		struct opened o;
		struct hokku_error err;
		open_model(&o, "odd", "F16");
		uint64_t before = ledger_total(&o.c.ledger);
		for (unsigned i = 1, failed = 1; failed; i += (unsigned)small_step(3)) {
			cudasim_fail(NULL, i, cudaErrorLaunchFailure);
			enum hokku_code rc = load_by(&o, n_threads, &err);
			failed = rc != HOKKU_OK;
			cudasim_fail(NULL, 0, 0);
			if (failed) {
				assert_int_equal(rc, HOKKU_DEVICE_ERROR);
				assert_non_null(strstr(err.message, "cudaErrorLaunchFailure"));
			}
			assert_true(failed || i > 40);
			assert_int_equal(ledger_total(&o.c.ledger), before);
			assert_int_equal(cudasim_live_pinned(), 0);
		}
		check_all(&o);
		close_model(&o);
	}
}

static uint64_t last_done;

static void on_progress(void *user, uint64_t done, uint64_t all)
{
	assert_true(done > last_done && done <= all);
	assert_int_equal(all, *(const uint64_t *)user);
	last_done = done;
}

static bool stopped(void *user)
{
	(void)user;
	return last_done > 0;
}

static void progress(void **state)
{
	(void)state;
	struct opened o;
	struct hokku_error err;
	uint64_t all = 0;
	open_model(&o, "odd", "F16");
	for (uint64_t i = 0; i < gguf_n_tensors(o.file); i++)
		if (gguf_tensor_at(o.file, i)->n_dims == 2)
			all += gguf_tensor_at(o.file, i)->n_bytes;
	o.params.on_progress = on_progress;
	o.params.user = &all;
	for (uint32_t n_threads = 1; n_threads <= 4; n_threads += 3) {
		last_done = 0;
		assert_int_equal(load_by(&o, n_threads, &err), HOKKU_OK);
		assert_int_equal(last_done, all);
	}
	o.params.stopped = stopped;
	last_done = 0;
	assert_int_equal(load_by(&o, 1, &err), HOKKU_CANCELLED);
	assert_in_range(last_done, 1, all - 1);
	o.params.on_progress = NULL;
	assert_int_equal(load_by(&o, 4, &err), HOKKU_CANCELLED);
	close_model(&o);
}

int main(void)
{
	tiny_load(&set);
	snprintf(path, sizeof path, "%s/test_cuda_load.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(how_is_chosen),
		cmocka_unit_test(threads_and_parcels),
		cmocka_unit_test(formats_without_kernels),
		cmocka_unit_test(a_file_that_shrinks),
		cmocka_unit_test(failures),
		cmocka_unit_test(progress),
	};
	int failed = cmocka_run_group_tests_name("cuda load", tests, NULL, NULL);
	tiny_free(&set);
	return failed;
}
