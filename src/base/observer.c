#include "base/observer.h"

#include <stdarg.h>
#include <stdio.h>

void observer_note(const struct observer *o, const char *format, ...)
{
	if (!o || !o->note)
		return;
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	o->note(o->user, text);
}

void observer_progress(const struct observer *o, double part)
{
	if (o && o->progress)
		o->progress(o->user, part);
}

bool observer_stopped(const struct observer *o)
{
	return o && o->stopped && o->stopped(o->user);
}
