#include "engine/owners.h"

#include <stdlib.h>

enum hokku_code owners_check(const struct owner *o, uint32_t n, uint32_t n_free, struct hokku_error *err)
{
	uint32_t n_waiting = o->n_jobs - o->n_running, most = o->limits.max_running;
	uint32_t may_start = most > o->n_running ? most - o->n_running : 0;
	may_start = may_start < n_free ? may_start : n_free;
	if ((uint64_t)n_waiting + n <= (uint64_t)o->limits.max_waiting + may_start)
		return HOKKU_OK;
	return err_set(err, HOKKU_RATE_LIMITED,
		       "%u requests of this owner are waiting, as many as may; try again later", n_waiting);
}

uint32_t owners_share(const struct owners *o, uint32_t max_queue)
{
	uint32_t n = o->n_there;
	if (n == 0)
		return 0;
	return max_queue > n ? max_queue / n : 1;
}

bool owners_init(struct owners *o, const struct engine_limits *limits, uint32_t n)
{
	*o = (struct owners){.all = calloc((size_t)n + 1, sizeof *o->all), .n = n + 1};
	if (!o->all)
		return false;
	o->all[0].limits = (struct engine_limits){ENGINE_UNLIMITED, ENGINE_UNLIMITED, false};
	for (uint32_t i = 0; i < n; i++) {
		o->all[i + 1].limits.absent = true;
		owners_set(o, i + 1, &limits[i]);
	}
	return true;
}

void owners_set(struct owners *o, uint32_t owner, const struct engine_limits *limits)
{
	struct owner *of = &o->all[owner];
	if (owner && of->limits.absent && !limits->absent)
		o->n_there++;
	else if (owner && !of->limits.absent && limits->absent)
		o->n_there--;
	of->limits = *limits;
}

void owners_deinit(struct owners *o)
{
	free(o->all);
	*o = (struct owners){0};
}
