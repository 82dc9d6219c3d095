#include "engine/registry.h"

const char *registry_state_name(enum registry_state state)
{
	static const char *const names[REGISTRY_N_STATES] = {"unloaded", "loading", "loaded", "unloading",
							     "failed"};
	return names[state];
}

static bool takes_memory(const struct registry_model *m)
{
	return m->state == REGISTRY_LOADING || m->state == REGISTRY_LOADED || m->state == REGISTRY_UNLOADING;
}

/* Sums that stop at the largest number. */
static uint64_t add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

uint64_t registry_used(const struct registry *r, uint32_t place)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < r->n; i++)
		if (r->models[i].place == place && takes_memory(&r->models[i]))
			sum = add(sum, r->models[i].bytes);
	return sum;
}

/* May it be made to go for another? */
static bool may_go(const struct registry_model *m)
{
	return m->state == REGISTRY_LOADED && !m->pinned;
}

/* Is it on its way out? */
static bool goes(const struct registry_model *m)
{
	return m->state == REGISTRY_UNLOADING || (m->state == REGISTRY_LOADED && m->closed);
}

static bool is_over(const struct registry_model *m, uint64_t now_ns)
{
	return m->state == REGISTRY_LOADED && !m->n_running &&
	       (m->closed || (m->expires_ns != REGISTRY_NEVER && m->expires_ns <= now_ns));
}

/* The one that has waited longest at a place; NULL: none waits. */
static const struct registry_model *first_waiting(const struct registry *r, uint32_t place)
{
	const struct registry_model *first = NULL;
	for (uint32_t i = 0; i < r->n; i++) {
		const struct registry_model *m = &r->models[i];
		if (m->state == REGISTRY_UNLOADED && m->n_waiting && m->place == place &&
		    (!first || m->waiting_since < first->waiting_since))
			first = m;
	}
	return first;
}

/* Of those that may go the one that nobody uses, else any, used longest ago; NULL: there is none. */
static const struct registry_model *pick_victim(const struct registry *r, uint32_t place)
{
	const struct registry_model *best = NULL;
	for (uint32_t i = 0; i < r->n; i++) {
		const struct registry_model *m = &r->models[i];
		if (m->place != place || !may_go(m) || goes(m))
			continue;
		bool idler = best && !m->n_running && best->n_running;
		bool busier = best && m->n_running && !best->n_running;
		if (!best || idler || (!busier && m->used_ns < best->used_ns))
			best = m;
	}
	return best;
}

static uint64_t sum_of(const struct registry *r, uint32_t place, bool (*is)(const struct registry_model *m))
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < r->n; i++)
		if (r->models[i].place == place && is(&r->models[i]))
			sum = add(sum, r->models[i].bytes);
	return sum;
}

static bool stays(const struct registry_model *m)
{
	return takes_memory(m) && !may_go(m) && !goes(m);
}

static bool stays_for_now(const struct registry_model *m)
{
	return takes_memory(m) && !goes(m);
}

/* Of one place: what the model that has waited longest there needs. */
static struct registry_step serve_place(const struct registry *r, uint32_t place)
{
	const struct registry_model *m = first_waiting(r, place);
	uint64_t capacity = r->capacity[place];
	if (!m)
		return (struct registry_step){REGISTRY_NOTHING, 0};
	uint32_t number = (uint32_t)(m - r->models);
	if (add(sum_of(r, place, stays), m->bytes) > capacity)
		return (struct registry_step){REGISTRY_REFUSE, number};
	if (add(registry_used(r, place), m->bytes) <= capacity)
		return (struct registry_step){REGISTRY_LOAD, number};
	if (add(sum_of(r, place, stays_for_now), m->bytes) <= capacity)
		return (struct registry_step){REGISTRY_NOTHING, 0}; /* once those that go are gone */
	const struct registry_model *victim = pick_victim(r, place);
	if (!victim)
		return (struct registry_step){REGISTRY_NOTHING, 0};
	return (struct registry_step){victim->n_running ? REGISTRY_CLOSE : REGISTRY_UNLOAD,
				      (uint32_t)(victim - r->models)};
}

struct registry_step registry_next(const struct registry *r, uint64_t now_ns)
{
	bool loading = false;
	for (uint32_t i = 0; i < r->n; i++) {
		if (is_over(&r->models[i], now_ns))
			return (struct registry_step){REGISTRY_UNLOAD, i};
		loading |= r->models[i].state == REGISTRY_LOADING;
	}
	for (uint32_t place = 0; place < REGISTRY_PLACES && !loading; place++) {
		struct registry_step step = serve_place(r, place);
		if (step.act)
			return step;
	}
	return (struct registry_step){REGISTRY_NOTHING, 0};
}

uint32_t registry_in_the_way(const struct registry *r, uint32_t model, uint32_t *out, uint32_t cap)
{
	const struct registry_model *m = &r->models[model];
	uint32_t n = 0;
	if (m->bytes > r->capacity[m->place])
		return 0;
	for (uint32_t i = 0; i < r->n; i++) {
		if (i == model || r->models[i].place != m->place || !stays(&r->models[i]))
			continue;
		if (n < cap)
			out[n] = i;
		n++;
	}
	return n < cap ? n : cap;
}
