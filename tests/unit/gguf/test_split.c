/* Models in several files: any part opens all of them, with the keys, tensors and bytes of the whole file;
 * what does not belong together is named. */
#include <inttypes.h>
#include <unistd.h>

#include "gguf/builder.h"
#include "gguf/gguf_internal.h"
#include "gguf/writer.h"

enum { N_TENSORS = 7, MAX_PARTS = 5, ABSENT = -1 };

static char folder[] = "/tmp/hokku-split-XXXXXX";

static const struct {
	const char *name;
	enum tensor_type type;
	uint64_t dims[2];
} shapes[N_TENSORS] = {
	{"token_embd.weight", TENSOR_F32, {32, 3}},
	{"a", TENSOR_F32, {5, 1}},
	{"b", TENSOR_Q8_0, {64, 2}},
	{"c", TENSOR_F16, {3, 3}},
	{"d", TENSOR_F32, {1, 1}},
	{"e", TENSOR_Q4_0, {32, 40}},
	{"output.weight", TENSOR_F32, {32, 4}},
};

/* One file: tensors first .. first + n - 1 and what it says of itself. */
struct part {
	const char *name;
	int first, n;
	int no, count, total; /* ABSENT: the key is not there */
	bool all_keys;
	uint32_t alignment;             /* 0: not named */
	const char *key, *value;        /* one key more, or a string in the place of a number */
	const char *second_tensor_name; /* instead of the first's own */
	uint64_t seed;
};

static const char *in_folder(const char *name)
{
	static char path[4][512];
	static unsigned next;
	char *p = path[next++ % 4];
	snprintf(p, sizeof path[0], "%s/%s", folder, name);
	return p;
}

/* Another pattern for each tensor, and for each seed. */
static void fill(uint8_t *bytes, size_t n, int tensor, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(i * 7 + (size_t)tensor * 31 + seed + (i >> 8));
}

static void put_number(struct gguf_writer *w, const char *key, int value)
{
	const struct gguf_value v = {.type = GGUF_U16, .u64 = (uint64_t)value};
	if (value != ABSENT)
		gguf_put_value(w, key, &v);
}

static void write_part(const struct part *p)
{
	static const int32_t numbers[] = {3, -1, 7};
	static const struct str words[] = {STR_LIT("x"), STR_LIT(""), STR_LIT("three")};
	struct hokku_error err = {0};
	struct gguf_writer *w;
	uint8_t bytes[2048];
	assert_int_equal(gguf_writer_create(in_folder(p->name), &w, &err), HOKKU_OK);
	if (p->all_keys) {
		gguf_put_str(w, "general.architecture", STR_LIT("qwen2"));
		gguf_put_f32(w, "eps", 1e-6f);
		gguf_put_str_array(w, "words", words, 3);
		gguf_put_array(w, "numbers", GGUF_I32, numbers, 3);
	}
	if (p->alignment)
		gguf_put_u32(w, "general.alignment", p->alignment);
	if (p->key)
		gguf_put_str(w, p->key, str_c(p->value));
	put_number(w, "split.no", p->no);
	put_number(w, "split.count", p->count);
	if (p->total != ABSENT)
		gguf_put_i32(w, "split.tensors.count", p->total);
	for (int i = p->first; i < p->first + p->n; i++)
		gguf_put_tensor(
			w, i == p->first && p->second_tensor_name ? p->second_tensor_name : shapes[i].name,
			shapes[i].type, 2, shapes[i].dims);
	assert_int_equal(gguf_writer_begin_data(w, &err), HOKKU_OK);
	for (int i = p->first; i < p->first + p->n; i++) {
		const struct tensor_type_info *info = tensor_type_get(shapes[i].type);
		size_t n = shapes[i].dims[0] * shapes[i].dims[1] / info->block_elements * info->block_bytes;
		fill(bytes, n, i, p->seed);
		assert_int_equal(gguf_writer_data(w, bytes, n, &err), HOKKU_OK);
	}
	if (gguf_writer_finish(w, &err))
		fail_msg("%s", err.message);
	gguf_writer_destroy(w);
}

static void remove_all(const struct part *parts, int n)
{
	for (int i = 0; i < n; i++)
		unlink(in_folder(parts[i].name));
}

/* Keys and tensors of the joined parts against those of the whole file; then every tensor's bytes. */
static void same(const struct gguf *whole, const struct gguf *g)
{
	struct hokku_error err;
	uint8_t a[2048], b[2048];
	assert_int_equal(gguf_n_kv(g), gguf_n_kv(whole));
	for (uint64_t i = 0; i < gguf_n_kv(g); i++) {
		const struct gguf_kv *x = gguf_kv_at(whole, i), *y = gguf_kv_at(g, i);
		char key[64], left[128], right[128];
		assert_true(str_eq(x->key, y->key));
		gguf_describe(&x->value, left, sizeof left);
		gguf_describe(&y->value, right, sizeof right);
		assert_string_equal(left, right);
		if (x->value.type == GGUF_ARRAY)
			assert_memory_equal(x->value.array.data, y->value.array.data, x->value.array.n_bytes);
		snprintf(key, sizeof key, "%.*s", STR_ARG(x->key));
		assert_ptr_equal(gguf_find(g, key), &y->value);
	}
	assert_int_equal(gguf_n_tensors(g), gguf_n_tensors(whole));
	for (uint64_t i = 0; i < gguf_n_tensors(g); i++) {
		const struct gguf_tensor *x = gguf_tensor_at(whole, i), *y = gguf_tensor_at(g, i);
		char name[65];
		assert_true(str_eq(x->name, y->name) && x->type == y->type && x->n_bytes == y->n_bytes);
		assert_memory_equal(x->dims, y->dims, sizeof x->dims);
		snprintf(name, sizeof name, "%.*s", STR_ARG(x->name));
		assert_ptr_equal(gguf_find_tensor(g, name), y);
		assert_int_equal(gguf_read(whole, x->offset, a, x->n_bytes, &err), HOKKU_OK);
		assert_int_equal(gguf_read(g, y->offset, b, y->n_bytes, &err), HOKKU_OK);
		assert_memory_equal(a, b, x->n_bytes);
	}
	assert_int_equal(gguf_unchanged(g, &err), HOKKU_OK);
}

/* What opening `name` says; paths in the message without the folder. */
static enum hokku_code open_says(const char *name, char *out, size_t size)
{
	struct gguf *g = (void *)1;
	struct hokku_error err = {0};
	enum hokku_code rc = gguf_open_file(in_folder(name), &g, &err);
	size_t n = strlen(folder) + 1, at = 0;
	snprintf(out, size, "%s", "");
	if (!rc) {
		gguf_close(g);
		return rc;
	}
	assert_null(g);
	for (const char *p = err.message; *p && at + 1 < size;) {
		if (strncmp(p, folder, n - 1) == 0 && p[n - 1] == '/')
			p += n;
		else
			out[at++] = *p++;
	}
	out[at] = '\0';
	return rc;
}

/* NAME-0000I-of-0000N.gguf with the tensors from cuts[i] on, everything right. */
static void good_parts(struct part *parts, int n, const int *cuts)
{
	static char names[MAX_PARTS][64];
	for (int i = 0; i < n; i++) {
		snprintf(names[i], sizeof names[i], "m-%05d-of-%05d.gguf", i + 1, n);
		parts[i] = (struct part){.name = names[i],
					 .first = cuts[i],
					 .n = (i + 1 < n ? cuts[i + 1] : N_TENSORS) - cuts[i],
					 .no = i,
					 .count = n,
					 .total = N_TENSORS,
					 .all_keys = i == 0};
	}
}

static void any_part_opens_the_whole(void **state)
{
	(void)state;
	static const struct {
		int n, cuts[MAX_PARTS];
		uint32_t first_alignment, alignment; /* of part 1, of the others */
		bool all_keys;                       /* also in the others */
	} cases[] = {
		{2, {0, 3}, 0, 0, false},           {3, {0, 2, 5}, 0, 0, false},
		{3, {0, 0, 4}, 0, 0, false}, /* none in part 1 */
		{3, {0, 3, 7}, 0, 0, false}, /* none in the last */
		{5, {0, 1, 2, 3, 6}, 64, 0, false}, {2, {0, 3}, 64, 64, true},
		{2, {0, 6}, 32, 0, true},           {2, {0, 6}, 0, 32, false},
		{3, {0, 2, 5}, 4096, 4096, false},
	};
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		struct part parts[MAX_PARTS], single = {.name = "whole.gguf",
							.n = N_TENSORS,
							.no = ABSENT,
							.count = ABSENT,
							.total = ABSENT,
							.all_keys = true,
							.alignment = cases[c].first_alignment};
		struct hokku_error err = {0};
		struct gguf *whole, *g;
		int n = cases[c].n;
		good_parts(parts, n, cases[c].cuts);
		uint64_t all_bytes = 0;
		for (int i = 0; i < n; i++) {
			parts[i].alignment = i ? cases[c].alignment : cases[c].first_alignment;
			parts[i].all_keys |= cases[c].all_keys;
			write_part(&parts[i]);
		}
		write_part(&single);
		assert_int_equal(gguf_open_file(in_folder(single.name), &whole, &err), HOKKU_OK);
		assert_int_equal(gguf_n_parts(whole), 0);
		assert_null(gguf_part(whole, 0));
		for (int i = 0; i < n; i++) {
			uint64_t at;
			if (gguf_open_file(in_folder(parts[i].name), &g, &err))
				fail_msg("%s", err.message);
			same(whole, g);
			assert_false(gguf_is_assembled(g));
			assert_string_equal(gguf_path(g), in_folder(parts[0].name));
			assert_int_equal(gguf_alignment(g), gguf_alignment(whole));
			assert_int_equal(gguf_n_parts(g), n);
			assert_null(gguf_part(g, (uint32_t)n));
			all_bytes = 0;
			for (int k = 0; k < n; k++) {
				const struct gguf *part = gguf_part(g, (uint32_t)k);
				assert_string_equal(gguf_path(part), in_folder(parts[k].name));
				assert_int_equal(gguf_n_tensors(part), parts[k].n);
				assert_int_equal(gguf_part_of(g, all_bytes, &at), k);
				assert_int_equal(at, 0);
				all_bytes += gguf_file_bytes(part);
				assert_int_equal(gguf_part_of(g, all_bytes - 1, &at), k);
				assert_int_equal(at, gguf_file_bytes(part) - 1);
			}
			assert_int_equal(gguf_file_bytes(g), all_bytes);
			gguf_close(g);
		}
		gguf_close(whole);
		remove_all(parts, n);
		unlink(in_folder(single.name));
	}
}

/* Bytes that reach from one part into the next, and past the last. */
static void reads_cross_parts(void **state)
{
	(void)state;
	struct part parts[3];
	struct hokku_error err = {0};
	struct gguf *g;
	uint8_t all[16384], some[16384];
	size_t n = 0;
	good_parts(parts, 3, (const int[]){0, 2, 5});
	for (int i = 0; i < 3; i++) {
		write_part(&parts[i]);
		FILE *f = fopen(in_folder(parts[i].name), "rb");
		assert_non_null(f);
		n += fread(all + n, 1, sizeof all - n, f);
		fclose(f);
	}
	assert_int_equal(gguf_open_file(in_folder(parts[1].name), &g, &err), HOKKU_OK);
	assert_int_equal(gguf_file_bytes(g), n);
	for (size_t from = 0; from <= n; from += 37) {
		assert_int_equal(gguf_read(g, from, some, n - from, &err), HOKKU_OK);
		assert_memory_equal(some, all + from, n - from);
	}
	assert_int_equal(gguf_read(g, n, some, 0, &err), HOKKU_OK);
	assert_int_equal(gguf_read(g, n, some, 1, &err), HOKKU_IO_ERROR);
	gguf_close(g);
	remove_all(parts, 3);
}

static void a_part_that_changes_is_told(void **state)
{
	(void)state;
	for (int changed = 0; changed < 3; changed++) {
		struct part parts[3];
		struct hokku_error err = {0};
		struct gguf *g;
		uint8_t byte;
		good_parts(parts, 3, (const int[]){0, 2, 5});
		for (int i = 0; i < 3; i++)
			write_part(&parts[i]);
		assert_int_equal(gguf_open_file(in_folder(parts[0].name), &g, &err), HOKKU_OK);
		const struct gguf_tensor *last = gguf_tensor_at(gguf_part(g, (uint32_t)changed), 0);
		assert_int_equal(truncate(in_folder(parts[changed].name), (off_t)last->offset), 0);
		assert_int_equal(gguf_unchanged(g, &err), HOKKU_IO_ERROR);
		assert_non_null(strstr(err.message, parts[changed].name));
		const struct gguf_tensor *t = gguf_tensor_at(g, (uint64_t)parts[changed].first);
		assert_int_equal(gguf_read(g, t->offset, &byte, 1, &err), HOKKU_IO_ERROR);
		assert_non_null(strstr(err.message, parts[changed].name));
		gguf_close(g);
		remove_all(parts, 3);
	}
}

/* ---- what does not belong together ---- */

#define P1 "m-00001-of-00003.gguf"
#define P2 "m-00002-of-00003.gguf"
#define P3 "m-00003-of-00003.gguf"

/* Part i of three good ones with one thing changed; want: what each of the three says when it is given. */
struct fault {
	const char *what;
	int i;
	void (*spoil)(struct part *p);
	const char *want[3];
};

static void no_part(struct part *p)
{
	p->name = "away.gguf";
}
static void again_first(struct part *p)
{
	p->no = 0;
	p->all_keys = true;
	p->first = 0;
	p->n = 2;
}
static void no_2(struct part *p)
{
	p->no = 2;
}
static void no_3(struct part *p)
{
	p->no = 3;
}
static void count_2(struct part *p)
{
	p->count = 2;
}
static void count_4(struct part *p)
{
	p->count = 4;
}
static void total_6(struct part *p)
{
	p->total = 6;
}
static void alignment_64(struct part *p)
{
	p->alignment = 64;
}
static void llama(struct part *p)
{
	p->key = "general.architecture";
	p->value = "llama";
}
static void stranger_key(struct part *p)
{
	p->key = "general.name";
	p->value = "other";
}
static void no_is_text(struct part *p)
{
	p->no = ABSENT;
	p->key = "split.no";
	p->value = "one";
}
static void no_no(struct part *p)
{
	p->no = ABSENT;
}
static void no_total(struct part *p)
{
	p->total = ABSENT;
}
static void whole_file(struct part *p)
{
	p->no = p->count = p->total = ABSENT;
}
static void one_less(struct part *p)
{
	p->n--;
}
static void same_tensor(struct part *p)
{
	p->second_tensor_name = "a";
}

static const struct fault faults[] = {
	{"a part is missing",
	 1,
	 no_part,
	 {P1 ": this is part 1 of 3 of a split model; 1 of them is not beside it: " P2, NULL,
	  P3 ": this is part 3 of 3 of a split model; 1 of them is not beside it: " P2}},
	{"the first is missing",
	 0,
	 no_part,
	 {NULL, P2 ": this is part 2 of 3 of a split model; 1 of them is not beside it: " P1,
	  P3 ": this is part 3 of 3 of a split model; 1 of them is not beside it: " P1}},
	{"a part twice",
	 1,
	 again_first,
	 {P2 ": split.no is 0; 1 is wanted, of part 2: it is part 1 again, or has the name of another (" P1
	     " is that part)",
	  P2 ": split.no is 0, so this is part 1, its name says part 2; a name that ends in "
	     "-00001-of-00003.gguf is wanted, or the file is another",
	  P2 ": split.no is 0; 1 is wanted, of part 2: it is part 1 again, or has the name of another (" P1
	     " is that part)"}},
	{"another's number",
	 0,
	 no_2,
	 {P1 ": split.no is 2, so this is part 3, its name says part 1; a name that ends in "
	     "-00003-of-00003.gguf is wanted, or the file is another",
	  P1 ": split.no is 2; 0 is wanted, of part 1: it is part 3 again, or has the name of another (" P3
	     " is that part)",
	  P1 ": split.no is 2; 0 is wanted, of part 1: it is part 3 again, or has the name of another (" P3
	     " is that part)"}},
	{"a number past the count",
	 2,
	 no_3,
	 {P3 ": split.no is 3; 2 is wanted, of part 3 of 3",
	  P3 ": split.no is 3; 2 is wanted, of part 3 of 3",
	  P3 ": split.no is 3; with a split.count of 3 it must be 0 to 2"}},
	{"a count too small",
	 1,
	 count_2,
	 {P2 ": split.count is 2; 3 is wanted, as the files are named: it is a part of another model",
	  P2
	  ": split.count is 2, its name says that there are 3 parts; a name that ends in -00002-of-00002.gguf "
	  "is wanted, or the file is another",
	  P2 ": split.count is 2; 3 is wanted, as the files are named: it is a part of another model"}},
	{"a count too large",
	 0,
	 count_4,
	 {P1
	  ": split.count is 4, its name says that there are 3 parts; a name that ends in -00001-of-00004.gguf "
	  "is wanted, or the file is another",
	  P1 ": split.count is 4; 3 is wanted, as the files are named: it is a part of another model",
	  P1 ": split.count is 4; 3 is wanted, as the files are named: it is a part of another model"}},
	{"another sum of tensors",
	 2,
	 total_6,
	 {P3 ": split.tensors.count is 6; 7 is wanted, as in " P1 ": they are parts of different models",
	  P3 ": split.tensors.count is 6; 7 is wanted, as in " P1 ": they are parts of different models",
	  P3 ": split.tensors.count is 6; 7 is wanted, as in " P1 ": they are parts of different models"}},
	{"another alignment",
	 1,
	 alignment_64,
	 {P2 ": general.alignment is 64; 32 is wanted, as in " P1 ": they are parts of different models",
	  P2 ": general.alignment is 64; 32 is wanted, as in " P1 ": they are parts of different models",
	  P2 ": general.alignment is 64; 32 is wanted, as in " P1 ": they are parts of different models"}},
	{"another architecture",
	 2,
	 llama,
	 {P3 ": key \"general.architecture\" is string \"llama\"; string \"qwen2\" is wanted, as in " P1
	     ": they are parts of different models",
	  P3 ": key \"general.architecture\" is string \"llama\"; string \"qwen2\" is wanted, as in " P1
	     ": they are parts of different models",
	  P3 ": key \"general.architecture\" is string \"llama\"; string \"qwen2\" is wanted, as in " P1
	     ": they are parts of different models"}},
	{"a key of its own",
	 1,
	 stranger_key,
	 {P2 ": it has the key \"general.name\", which " P1 " has not: they are parts of different models",
	  P2 ": it has the key \"general.name\", which " P1 " has not: they are parts of different models",
	  P2 ": it has the key \"general.name\", which " P1 " has not: they are parts of different models"}},
	{"a number that is text",
	 1,
	 no_is_text,
	 {P2 ": byte 24: key \"split.no\" is string \"one\"; a whole number from 0 to 4294967295 is wanted",
	  P2 ": byte 24: key \"split.no\" is string \"one\"; a whole number from 0 to 4294967295 is wanted",
	  P2 ": byte 24: key \"split.no\" is string \"one\"; a whole number from 0 to 4294967295 is wanted"}},
	{"no number",
	 1,
	 no_no,
	 {P2 ": key split.no is missing; part 2 of 3 of a split model is wanted, and each part has that key",
	  P2 ": key \"split.no\" is missing; a whole number from 0 to 4294967295 is wanted",
	  P2
	  ": key split.no is missing; part 2 of 3 of a split model is wanted, and each part has that key"}},
	{"no sum of tensors",
	 0,
	 no_total,
	 {P1
	  ": key split.tensors.count is missing; part 1 of 3 of a split model is wanted, and each part has "
	  "that key",
	  P1
	  ": key split.tensors.count is missing; part 1 of 3 of a split model is wanted, and each part has "
	  "that key",
	  P1
	  ": key split.tensors.count is missing; part 1 of 3 of a split model is wanted, and each part has "
	  "that key"}},
	{"a whole file among them",
	 2,
	 whole_file,
	 {P3
	  ": key split.count is missing; part 3 of 3 of a split model is wanted, and each part has that key",
	  P3
	  ": key split.count is missing; part 3 of 3 of a split model is wanted, and each part has that key",
	  "" /* it is whole by itself */}},
	{"a tensor less",
	 1,
	 one_less,
	 {P1
	  ": split.tensors.count is 7, but the 3 parts hold 6 tensors: one of them is another model's, or was "
	  "split otherwise",
	  P1
	  ": split.tensors.count is 7, but the 3 parts hold 6 tensors: one of them is another model's, or was "
	  "split otherwise",
	  P1
	  ": split.tensors.count is 7, but the 3 parts hold 6 tensors: one of them is another model's, or was "
	  "split otherwise"}},
	{"a tensor in two parts",
	 2,
	 same_tensor,
	 {P3 ": tensor \"a\" is in " P1 " too; each tensor may be in one part: one of the files is another "
	     "model's, or was split otherwise",
	  P3 ": tensor \"a\" is in " P1 " too; each tensor may be in one part: one of the files is another "
	     "model's, or was split otherwise",
	  P3 ": tensor \"a\" is in " P1 " too; each tensor may be in one part: one of the files is another "
	     "model's, or was split otherwise"}},
};

static void what_does_not_belong_together(void **state)
{
	(void)state;
	static const char *const names[3] = {P1, P2, P3};
	for (size_t c = 0; c < sizeof faults / sizeof *faults; c++) {
		struct part parts[3];
		char text[700];
		good_parts(parts, 3, (const int[]){0, 2, 5});
		faults[c].spoil(&parts[faults[c].i]);
		for (int i = 0; i < 3; i++)
			write_part(&parts[i]);
		for (int i = 0; i < 3; i++) {
			const char *want = faults[c].want[i];
			if (!want)
				continue;
			enum hokku_code rc = open_says(names[i], text, sizeof text);
			if (strcmp(text, want) != 0)
				fail_msg("%s, given part %d\n said:   %s\n wanted: %s", faults[c].what, i + 1,
					 text, want);
			assert_int_equal(rc, !*want                       ? HOKKU_OK
					     : faults[c].spoil == no_part ? HOKKU_NOT_FOUND
									  : HOKKU_BAD_FILE);
		}
		remove_all(parts, 3);
	}
}

static void many_are_missing(void **state)
{
	(void)state;
	char text[700];
	const struct part lone = {.name = "m-00003-of-00007.gguf", .no = 2, .count = 7, .total = N_TENSORS};
	write_part(&lone);
	assert_int_equal(open_says(lone.name, text, sizeof text), HOKKU_NOT_FOUND);
	assert_string_equal(text,
			    "m-00003-of-00007.gguf: this is part 3 of 7 of a split model; 6 of them are not "
			    "beside it: m-00001-of-00007.gguf, m-00002-of-00007.gguf, "
			    "m-00004-of-00007.gguf, ...");
	unlink(in_folder(lone.name));
}

/* A part that is no GGUF file, or cut short, is told by its own name. */
static void a_broken_part(void **state)
{
	(void)state;
	struct part parts[3];
	char text[700];
	good_parts(parts, 3, (const int[]){0, 2, 5});
	for (int i = 0; i < 3; i++)
		write_part(&parts[i]);
	assert_int_equal(truncate(in_folder(P3), 40), 0);
	assert_int_equal(open_says(P1, text, sizeof text), HOKKU_BAD_FILE);
	assert_ptr_equal(strstr(text, P3 ": byte "), text);
	assert_int_equal(truncate(in_folder(P3), 0), 0);
	assert_int_equal(open_says(P2, text, sizeof text), HOKKU_BAD_FILE);
	assert_string_equal(text, P3 ": the file is empty; a GGUF file begins with \"GGUF\"");
	remove_all(parts, 3);
}

static void names(void **state)
{
	(void)state;
	static const struct {
		const char *stem, *tail; /* of the second of two */
		bool found;
	} cases[] = {
		{"m", "-00002-of-00002.gguf", true},
		{"renamed, with blanks", "-00002-of-00002.gguf", true},
		{"", "-00002-of-00002.gguf", true},
		{"m-00001-of-00002", "-00002-of-00002.gguf", true},
		{"m-of-", "-00002-of-00002.gguf", true},
		{"m", ".gguf", false},
		{"m", "-00002-of-00002.bin", false},
		{"m", "-2-of-2.gguf", false},
		{"m", "-0002-of-0002.gguf", false},
		{"m", "00002-of-00002.gguf", false},
		{"m", "-00002_of_00002.gguf", false},
		{"m", "-of-00002.gguf", false},
		{"m", "-00002-of-.gguf", false},
		{"m", "-00002-of-00002", false},
	};
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		char name[2][64], text[700], want[700];
		struct part parts[2];
		good_parts(parts, 2, (const int[]){0, 3});
		snprintf(name[0], sizeof name[0], "%s-00001-of-00002.gguf", cases[c].stem);
		snprintf(name[1], sizeof name[1], "%s%s", cases[c].stem, cases[c].tail);
		for (int i = 0; i < 2; i++) {
			parts[i].name = name[i];
			write_part(&parts[i]);
		}
		enum hokku_code rc = open_says(name[1], text, sizeof text);
		snprintf(
			want, sizeof want,
			"%s: this is part 2 of 2 of a split model; its parts are found by their names, from "
			"NAME-00001-of-00002.gguf on: name this one NAME-00002-of-00002.gguf, and the others "
			"beside it likewise",
			name[1]);
		assert_string_equal(text, cases[c].found ? "" : want);
		assert_int_equal(rc, cases[c].found ? HOKKU_OK : HOKKU_BAD_FILE);
		remove_all(parts, 2);
	}
}

/* What was joined again has a count of 0, what was split into one file a count of 1. */
static void one_file(void **state)
{
	(void)state;
	static const struct {
		int no, count;
		const char *want;
	} cases[] = {
		{0, 0, ""},
		{0, 1, ""},
		{ABSENT, 1, ""},
		{ABSENT, 0, ""},
		{2, ABSENT, ""},
		{2, 0, ""},
		{1, 1, "x.gguf: split.no is 1; with a split.count of 1 it must be 0 to 0"},
	};
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		char text[700];
		const struct part p = {.name = "x.gguf",
				       .n = N_TENSORS,
				       .no = cases[c].no,
				       .count = cases[c].count,
				       .total = N_TENSORS};
		write_part(&p);
		assert_int_equal(open_says(p.name, text, sizeof text),
				 *cases[c].want ? HOKKU_BAD_FILE : HOKKU_OK);
		assert_string_equal(text, cases[c].want);
		unlink(in_folder(p.name));
	}
}

/* GGUF_MAX_PARTS - 1, GGUF_MAX_PARTS, one more. */
static void the_most_parts(void **state)
{
	(void)state;
	for (int n = (int)GGUF_MAX_PARTS - 1; n <= (int)GGUF_MAX_PARTS + 1; n++) {
		char name[64], text[700], want[700];
		bool fits = n <= (int)GGUF_MAX_PARTS;
		for (int i = 0; i < n; i++) {
			snprintf(name, sizeof name, "m-%05d-of-%05d.gguf", i + 1, n);
			const struct part p = {.name = name,
					       .first = i < N_TENSORS ? i : 0,
					       .n = i < N_TENSORS,
					       .no = i,
					       .count = n,
					       .total = N_TENSORS};
			write_part(&p);
		}
		snprintf(want, sizeof want,
			 "m-%05d-of-%05d.gguf: split.count is 513; at most 512 parts are allowed", n, n);
		assert_int_equal(open_says(name, text, sizeof text), fits ? HOKKU_OK : HOKKU_BAD_FILE);
		assert_string_equal(text, fits ? "" : want);
		for (int i = 0; i < n; i++) {
			snprintf(name, sizeof name, "m-%05d-of-%05d.gguf", i + 1, n);
			unlink(in_folder(name));
		}
	}
}

/* A part in memory with `n` tensors of one byte each; borrowed bytes. */
static struct gguf *in_memory(struct strbuf *b, uint32_t no, uint64_t n)
{
	struct hokku_error err = {0};
	struct gguf *g;
	char name[32];
	b_header(b, 3, n, 3);
	b_key_u32(b, "split.no", no);
	b_key_u32(b, "split.count", 2);
	b_key_u32(b, "split.tensors.count", (uint32_t)n + (no ? (uint32_t)GGUF_MAX_TENSORS / 2 : 0));
	for (uint64_t i = 0; i < n; i++) {
		const uint64_t dims[1] = {1};
		snprintf(name, sizeof name, "t%u.%" PRIu64, no, i);
		b_tensor(b, name, 1, dims, TENSOR_I8, 32 * i);
	}
	b_pad(b, 32);
	b_zeros(b, 32 * n);
	if (gguf_open_memory(b->ptr, b->len, no ? "second" : "first", &g, &err))
		fail_msg("%s", err.message);
	return g;
}

/* The limit of a file's tensors is that of all parts' too. */
static void the_most_tensors(void **state)
{
	(void)state;
	const uint64_t half = GGUF_MAX_TENSORS / 2;
	for (int more = -1; more <= 1; more++) {
		struct strbuf bytes[2] = {{0}, {0}};
		struct hokku_error err = {0};
		struct gguf *g;
		uint64_t n = (uint64_t)((int64_t)half + more);
		/* The first says what the second says: half of the most, and n. */
		struct gguf *parts[2] = {in_memory(&bytes[0], 0, half), in_memory(&bytes[1], 1, n)};
		((struct gguf_kv *)(uintptr_t)gguf_kv_at(parts[0], 2))->value.u64 = half + n;
		enum hokku_code rc = gguf_join(parts, 2, &g, &err);
		if (more <= 0) {
			assert_int_equal(rc, HOKKU_OK);
			assert_int_equal(gguf_n_tensors(g), half + n);
			assert_non_null(gguf_find_tensor(g, "t1.7")->data);
		} else {
			assert_int_equal(rc, HOKKU_BAD_FILE);
			assert_string_equal(
				err.message,
				"first: the 2 parts hold 65537 tensors; at most 65536 are allowed");
			assert_null(g);
		}
		gguf_close(g);
		strbuf_free(&bytes[0]);
		strbuf_free(&bytes[1]);
	}
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : 1;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder); /* empty: each test has removed what it made */
}

/* Two parts as tests/fuzz/fuzz_split.c takes them: the first one's length in two bytes, then both. */
static void write_seed(const char *dir, size_t number, const struct part *parts)
{
	char path[600];
	uint8_t bytes[2][8192];
	size_t n[2];
	for (int i = 0; i < 2; i++) {
		write_part(&parts[i]);
		FILE *f = fopen(in_folder(parts[i].name), "rb");
		assert_non_null(f);
		n[i] = fread(bytes[i], 1, sizeof bytes[i], f);
		fclose(f);
		unlink(in_folder(parts[i].name));
	}
	snprintf(path, sizeof path, "%s/%02zu", dir, number);
	FILE *f = fopen(path, "wb");
	assert_non_null(f);
	const uint8_t length[2] = {(uint8_t)n[0], (uint8_t)(n[0] >> 8)};
	fwrite(length, 1, 2, f);
	fwrite(bytes[0], 1, n[0], f);
	fwrite(bytes[1], 1, n[1], f);
	fclose(f);
}

/* Two good parts, and such with each fault in the second. */
static int write_seeds(const char *dir)
{
	if (!mkdtemp(folder))
		return 1;
	for (size_t c = 0; c <= sizeof faults / sizeof *faults; c++) {
		struct part parts[2];
		good_parts(parts, 2, (const int[]){0, 3});
		parts[1].n = 2; /* small ones */
		parts[0].total = parts[1].total = 5;
		if (c > 0 && faults[c - 1].spoil == no_part) /* there are always two */
			continue;
		if (c > 0)
			faults[c - 1].spoil(&parts[1]);
		write_seed(dir, c, parts);
	}
	return rmdir(folder);
}

/* With --seeds DIR: writes the fuzz target's seeds. */
int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--seeds") == 0)
		return write_seeds(argv[2]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_part_opens_the_whole),
		cmocka_unit_test(reads_cross_parts),
		cmocka_unit_test(a_part_that_changes_is_told),
		cmocka_unit_test(what_does_not_belong_together),
		cmocka_unit_test(many_are_missing),
		cmocka_unit_test(a_broken_part),
		cmocka_unit_test(names),
		cmocka_unit_test(one_file),
		cmocka_unit_test(the_most_parts),
		cmocka_unit_test(the_most_tensors),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
