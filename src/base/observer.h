/* What a task that takes a while tells its caller and asks of it. */
#ifndef BASE_OBSERVER_H
#define BASE_OBSERVER_H

#include <stdbool.h>

/* Every member may be NULL. */
struct observer {
	void *user;
	void (*progress)(void *user, double part); /* from 0 to 1, 1 exactly once and last */
	void (*note)(void *user,
		     const char *text); /* one line: a fallback that was taken, something left out */
	bool (*stopped)(void *user);    /* true: give up (CANCELLED), leaving no file */
};

/* NULL for the observer is allowed: nobody is told, and nobody stops it. A note is cut at 511 bytes. */
void observer_note(const struct observer *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
void observer_progress(const struct observer *o, double part);
bool observer_stopped(const struct observer *o);

#endif
