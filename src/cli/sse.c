#include "cli/sse.h"

static void forget_event(struct sse *s)
{
	strbuf_clear(&s->type);
	strbuf_clear(&s->data);
	s->has_data = false;
}

void sse_clear(struct sse *s)
{
	strbuf_clear(&s->line);
	forget_event(s);
	s->after_cr = s->begun = false;
}

void sse_free(struct sse *s)
{
	strbuf_free(&s->line);
	strbuf_free(&s->type);
	strbuf_free(&s->data);
	*s = (struct sse){0};
}

static void add(struct strbuf *b, struct str s)
{
	strbuf_add(b, s.ptr, s.len);
}

static void dispatch(struct sse *s, sse_event *on_event, void *user)
{
	struct str type = {s->type.ptr, s->type.len}, data = {s->data.ptr, s->data.len};
	if (s->has_data) {
		data.len--; /* the LF behind the last line */
		on_event(user, type.len ? type : STR_LIT("message"), data);
	}
	forget_event(s);
}

/* One line without its end. */
static void take_line(struct sse *s, struct str line, sse_event *on_event, void *user)
{
	if (!line.len) {
		dispatch(s, on_event, user);
		return;
	}
	const char *colon = memchr(line.ptr, ':', line.len);
	struct str name = {line.ptr, colon ? (size_t)(colon - line.ptr) : line.len}, value = {"", 0};
	if (colon) {
		value = (struct str){colon + 1, line.len - name.len - 1};
		if (value.len && value.ptr[0] == ' ')
			value = (struct str){value.ptr + 1, value.len - 1};
	}
	if (str_eq_c(name, "event")) {
		strbuf_clear(&s->type);
		add(&s->type, value);
	} else if (str_eq_c(name, "data")) {
		add(&s->data, value);
		strbuf_add(&s->data, "\n", 1);
		s->has_data = true;
	}
}

static bool is_sound(const struct sse *s)
{
	return !s->line.failed && !s->type.failed && !s->data.failed && s->line.len <= SSE_MAX_BYTES &&
	       s->data.len <= SSE_MAX_BYTES;
}

static struct str without_mark(struct sse *s, struct str line)
{
	static const char mark[] = "\xEF\xBB\xBF";
	if (!s->begun && str_starts(line, (struct str){mark, 3}))
		line = (struct str){line.ptr + 3, line.len - 3};
	s->begun = true;
	return line;
}

bool sse_take(struct sse *s, struct str bytes, sse_event *on_event, void *user)
{
	while (bytes.len) {
		if (s->after_cr && bytes.ptr[0] == '\n')
			bytes = (struct str){bytes.ptr + 1, bytes.len - 1};
		s->after_cr = false;
		size_t n = 0;
		while (n < bytes.len && bytes.ptr[n] != '\n' && bytes.ptr[n] != '\r')
			n++;
		struct str part = {bytes.ptr, n};
		if (n == bytes.len) {
			add(&s->line, part);
			return is_sound(s);
		}
		if (s->line.len) { /* the rest of one that came in pieces */
			add(&s->line, part);
			part = (struct str){s->line.ptr, s->line.len};
		}
		if (!is_sound(s))
			return false;
		take_line(s, without_mark(s, part), on_event, user);
		strbuf_clear(&s->line);
		s->after_cr = bytes.ptr[n] == '\r';
		bytes = (struct str){bytes.ptr + n + 1, bytes.len - n - 1};
	}
	return is_sound(s);
}
