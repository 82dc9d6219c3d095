#include "engine/call.h"

#include "engine/queue.h"

static enum hokku_code check_taken(const struct engine *e, struct hokku_error *err)
{
	if (e->stopping || e->phase == ENGINE_STOPPED)
		return err_set(err, HOKKU_SHUTTING_DOWN, "the engine is stopping");
	if (e->phase == ENGINE_LOADING)
		return err_set(err, HOKKU_NOT_READY, "the model is still being loaded");
	if (e->phase != ENGINE_READY)
		return err_set(err, e->failure.code, "%s", e->failure.message);
	return HOKKU_OK;
}

enum hokku_code engine_call(struct engine *e, void (*run)(struct engine *e, void *arg), void *arg,
			    struct hokku_error *err)
{
	struct engine_call call = {.run = run, .arg = arg};
	pthread_mutex_lock(&e->lock);
	enum hokku_code rc = check_taken(e, err);
	if (!rc) {
		*e->calls_end = &call;
		e->calls_end = &call.next;
		pthread_cond_signal(&e->work);
		while (!call.over)
			pthread_cond_wait(&e->changed, &e->lock);
		if (call.code == HOKKU_SHUTTING_DOWN)
			rc = err_set(err, HOKKU_SHUTTING_DOWN, "the engine is stopping");
		else if (call.code)
			rc = err_set(err, call.code, "%s", e->failure.message);
	}
	pthread_mutex_unlock(&e->lock);
	return rc;
}

static struct engine_call *take_all(struct engine *e)
{
	pthread_mutex_lock(&e->lock);
	struct engine_call *all = e->calls;
	e->calls = NULL;
	e->calls_end = &e->calls;
	pthread_mutex_unlock(&e->lock);
	return all;
}

/* Whoever waits may take its call away at once. */
static void end(struct engine *e, struct engine_call *call, enum hokku_code code)
{
	pthread_mutex_lock(&e->lock);
	call->code = code;
	call->over = true;
	pthread_cond_broadcast(&e->changed);
	pthread_mutex_unlock(&e->lock);
}

void call_run_all(struct engine *e)
{
	for (struct engine_call *call = take_all(e), *next; call; call = next) {
		next = call->next;
		call->run(e, call->arg);
		end(e, call, HOKKU_OK);
	}
}

void call_refuse_all(struct engine *e, enum hokku_code code)
{
	for (struct engine_call *call = take_all(e), *next; call; call = next) {
		next = call->next;
		end(e, call, code);
	}
}
