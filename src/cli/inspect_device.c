/* `hokku inspect --device`: opens the model as `hokku run` does, and shows what that takes of the device. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/engine_progress.h"
#include "cli/inspect.h"
#include "cli/options_common.h"

enum { N_CLASSES = 5 };

struct row {
	const char *name, *text;
	uint64_t bytes;
};

/* Returns the sum. */
static uint64_t list_classes(const struct compute_memory *m, struct row rows[N_CLASSES])
{
	const struct row all[N_CLASSES] = {
		/* clang-format off */
		{"weights", "weights", m->weight_bytes},
		{"kv", "KV", m->kv_bytes},
		{"scratch", "scratch", m->scratch_bytes},
		{"graphs", "graphs", m->graph_bytes},
		{"runtime", "runtime", m->runtime_bytes},
		/* clang-format on */
	};
	uint64_t sum = 0;
	for (size_t i = 0; i < N_CLASSES; i++) {
		rows[i] = all[i];
		sum += all[i].bytes;
	}
	return sum;
}

enum hokku_code inspect_device_open(struct engine_config *config, struct inspect_device *d,
				    struct hokku_error *err)
{
	enum hokku_code rc = cli_start_engine(config, &d->engine, err);
	if (!rc)
		engine_get_state(d->engine, &d->state);
	else
		inspect_device_close(d);
	return rc;
}

void inspect_device_close(struct inspect_device *d)
{
	engine_destroy(d->engine, 0);
	d->engine = NULL;
}

/* How much less is free than before the model was opened. */
static uint64_t taken(const struct compute_memory *m)
{
	return m->device_free_before_bytes > m->device_free_bytes
		       ? m->device_free_before_bytes - m->device_free_bytes
		       : 0;
}

void inspect_device_text(const struct inspect_device *d)
{
	const struct compute_memory *m = &d->state.memory;
	struct row rows[N_CLASSES];
	char number[32], bytes[32], left[32], before[32];
	uint64_t sum = list_classes(m, rows);
	printf("\nmemory on %s, with a context of %s:\n", d->state.info.device,
	       str_thousands(d->state.info.n_ctx, number));
	for (size_t i = 0; i < N_CLASSES; i++)
		printf("  %-8s %18s  %10s\n", rows[i].text, str_thousands(rows[i].bytes, number),
		       str_bytes(rows[i].bytes, bytes));
	printf("  %-8s %18s  %10s\n", "sum", str_thousands(sum, number), str_bytes(sum, bytes));
	printf("  KV: %s blocks of %d positions, keys %s, values %s\n", str_thousands(m->n_kv_blocks, number),
	       COMPUTE_KV_BLOCK, cache_type_name(m->cache.k), cache_type_name(m->cache.v));
	if (m->device_total_bytes)
		printf("  driver: %s free of %s, %s less than before the model was opened\n",
		       str_bytes(m->device_free_bytes, left), str_bytes(m->device_total_bytes, before),
		       str_bytes(taken(m), bytes));
	if (d->state.device_why)
		printf("  auto chose this device because %s\n", d->state.device_why);
}

void inspect_device_json(const struct inspect_device *d, struct strbuf *b)
{
	const struct compute_memory *m = &d->state.memory;
	struct row rows[N_CLASSES];
	uint64_t sum = list_classes(m, rows);
	strbuf_add_c(b, "  \"device\": {\n    \"name\": ");
	strbuf_add_json(b, d->state.info.device, strlen(d->state.info.device));
	strbuf_addf(b, ",\n    \"context\": %" PRIu32 ",\n    \"resident_bytes\": {", d->state.info.n_ctx);
	for (size_t i = 0; i < N_CLASSES; i++)
		strbuf_addf(b, "%s\"%s\": %" PRIu64, i ? ", " : "", rows[i].name, rows[i].bytes);
	strbuf_addf(
		b,
		"},\n    \"sum_bytes\": %" PRIu64 ",\n    \"kv_blocks\": %" PRIu32
		",\n    \"kv_block_positions\": %d,\n    \"cache_type_k\": \"%s\",\n    \"cache_type_v\": "
		"\"%s\",\n    \"driver\": ",
		sum, m->n_kv_blocks, COMPUTE_KV_BLOCK, cache_type_name(m->cache.k),
		cache_type_name(m->cache.v));
	if (m->device_total_bytes)
		strbuf_addf(b,
			    "{\"total_bytes\": %" PRIu64 ", \"free_bytes\": %" PRIu64
			    ", \"free_before_bytes\": %" PRIu64 ", \"taken_bytes\": %" PRIu64 "}",
			    m->device_total_bytes, m->device_free_bytes, m->device_free_before_bytes,
			    taken(m));
	else
		strbuf_add_c(b, "null");
	strbuf_add_c(b, "\n  },\n");
}
