/* Any file that can be opened can be checked, told what it is, and refused or bound; what is found lies in
 * it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "model/check.h"
#include "model/kind.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hokku_error err = {0};
	struct gguf *g = NULL;
	char text[64];
	if (gguf_open_memory(data, size, "fuzz-00001-of-00002.gguf", &g, &err))
		return 0;
	bool is_model = file_kind_of(g) == FILE_MODEL;
	if (is_model != (file_kind_check(g, &err) == HOKKU_OK) || !*file_kind_text(g, text, sizeof text))
		abort();
	struct check_result one, two;
	const struct check_params p = {.file = g, .n_threads = 1}, q = {.file = g, .n_threads = 2};
	if (check_file(&p, &one, &err) || check_file(&q, &two, &err))
		abort(); /* memory can be read */
	if (one.n != two.n || one.n_tensors + one.n_unknown != gguf_n_tensors(g))
		abort();
	for (size_t i = 0; i < one.n; i++) {
		const struct check_finding *f = &one.findings[i], *h = &two.findings[i];
		const struct gguf_tensor *t = f->tensor;
		if (t != h->tensor || f->kind != h->kind || f->n != h->n || f->first != h->first ||
		    f->begin != h->begin || f->end != h->end || !f->n || f->first >= t->n_elements)
			abort();
		if (f->kind == CHECK_ZEROS &&
		    (f->n > t->n_bytes || f->end > size || f->end - f->begin < CHECK_ZERO_BYTES))
			abort();
	}
	check_free(&one);
	check_free(&two);
	gguf_close(g);
	return 0;
}
