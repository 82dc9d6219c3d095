#include "cli/line_reader.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef HOKKU_LIBEDIT
#include <histedit.h>
#include <locale.h>
#include <wchar.h>
#endif

enum { HISTORY_LINES = 1000 };

struct line_reader {
	bool terminal, interrupted;
	int wake;
	size_t max_bytes; /* of a pipe's line */
	const char *prompt;
	struct strbuf line;
#ifdef HOKKU_LIBEDIT
	EditLine *edit;
	History *history;
	mbstate_t half;   /* of a character */
	bool typed_ahead; /* something was typed before the prompt */
#endif
};

/* Waits for a byte of standard input. 1: *c has it; 0: there are no more; -1: interrupted, or errno says. */
static int next_byte(struct line_reader *r, char *c)
{
	struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = r->wake, .events = POLLIN}};
	for (;;) {
		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue; /* the wake pipe has a byte, if it was that */
			return -1;
		}
		if (fds[1].revents) {
			char why;
			r->interrupted = read(r->wake, &why, 1) == 1;
			return -1;
		}
		if (!fds[0].revents)
			continue;
		ssize_t n = read(STDIN_FILENO, c, 1);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		return n < 0 ? -1 : n > 0;
	}
}

#ifdef HOKKU_LIBEDIT
static char *get_prompt(EditLine *edit)
{
	static char nothing[] = "";
	struct line_reader *r;
	union {
		const char *from;
		char *to;
	} prompt; /* libedit only reads it */
	if (el_get(edit, EL_CLIENTDATA, &r))
		return nothing;
	prompt.from = r->prompt;
	return prompt.to;
}

enum { CTRL_D = 4 };

/*
 * A character of UTF-8 that came in pieces; bytes that are none are left out. A Ctrl-D that was typed before
 * the prompt, when the terminal still took lines, comes as a zero byte on Linux.
 */
static int get_char(EditLine *edit, wchar_t *out)
{
	struct line_reader *r;
	char c;
	if (el_get(edit, EL_CLIENTDATA, &r))
		return -1;
	for (;;) {
		int n = next_byte(r, &c);
		if (n <= 0)
			return n;
		if (!c && r->typed_ahead)
			c = CTRL_D;
		bool first = mbsinit(&r->half);
		size_t used = mbrtowc(out, &c, 1, &r->half);
		if (used == (size_t)-1) {
			r->half = (mbstate_t){0};
			if (!first) /* what came before it is no character; it may be one, or begin one */
				used = mbrtowc(out, &c, 1, &r->half);
		}
		if (used == 1 || used == 0)
			return 1;
		if (used == (size_t)-1)
			r->half = (mbstate_t){0};
	}
}

static bool open_edit(struct line_reader *r)
{
	HistEvent event;
	if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1)
		setlocale(LC_CTYPE, "C.UTF-8");
	r->edit = el_init("hokku", stdin, stdout, stderr);
	r->history = history_init();
	if (!r->edit || !r->history)
		return false;
	history(r->history, &event, H_SETSIZE, HISTORY_LINES);
	history(r->history, &event, H_SETUNIQUE, 1);
	el_set(r->edit, EL_CLIENTDATA, r);
	el_set(r->edit, EL_PROMPT, get_prompt);
	el_set(r->edit, EL_EDITOR, "emacs");
	el_set(r->edit, EL_HIST, history, r->history);
	el_set(r->edit, EL_GETCFN, get_char);
	el_set(r->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
	el_source(r->edit, NULL); /* ~/.editrc, as other programs with libedit do */
	return true;
}

static void close_edit(struct line_reader *r)
{
	if (r->edit)
		el_end(r->edit);
	if (r->history)
		history_end(r->history);
}

static enum line_end read_terminal(struct line_reader *r, struct hokku_error *err)
{
	HistEvent event;
	int n = 0;
	errno = 0;
	el_resize(r->edit);
	/* el_gets draws the prompt while the terminal still takes lines, and changes that only then: a Ctrl-D
	 * between the two would be a zero byte that nobody expects. So the change comes first, and what is
	 * there behind it was typed before. */
	el_set(r->edit, EL_PREP_TERM, 1);
	r->typed_ahead = poll(&(struct pollfd){.fd = STDIN_FILENO, .events = POLLIN}, 1, 0) > 0;
	const char *text = el_gets(r->edit, &n);
	if (r->interrupted) {
		el_reset(r->edit);
		return LINE_INTERRUPTED;
	}
	if (!text || n <= 0) {
		if (n < 0 && errno) {
			err_set(err, HOKKU_IO_ERROR, "standard input cannot be read: %s", strerror(errno));
			return LINE_FAILED;
		}
		return LINE_OVER;
	}
	strbuf_add(&r->line, text, (size_t)n);
	if (n > 1 || text[0] != '\n')
		history(r->history, &event, H_ENTER, text);
	return LINE_READ;
}
#else
static bool open_edit(struct line_reader *r)
{
	(void)r;
	return true;
}

static void close_edit(struct line_reader *r)
{
	(void)r;
}

/* As the terminal itself edits them. */
static enum line_end read_terminal(struct line_reader *r, struct hokku_error *err)
{
	char c;
	int n;
	fputs(r->prompt, stdout);
	fflush(stdout);
	while ((n = next_byte(r, &c)) == 1) {
		strbuf_add(&r->line, &c, 1);
		if (c == '\n')
			return LINE_READ;
	}
	if (r->interrupted)
		return LINE_INTERRUPTED;
	if (n < 0) {
		err_set(err, HOKKU_IO_ERROR, "standard input cannot be read: %s", strerror(errno));
		return LINE_FAILED;
	}
	return r->line.len ? LINE_READ : LINE_OVER;
}
#endif

struct line_reader *line_reader_open(bool terminal, int wake, size_t max_bytes, struct hokku_error *err)
{
	struct line_reader *r = calloc(1, sizeof *r);
	if (!r) {
		err_set(err, HOKKU_OUT_OF_MEMORY, "no memory to read lines");
		return NULL;
	}
	r->terminal = terminal;
	r->wake = wake;
	r->max_bytes = max_bytes;
	if (terminal && !open_edit(r)) {
		err_set(err, HOKKU_IO_ERROR, "the terminal cannot be set up to edit lines (is TERM right?)");
		line_reader_close(r);
		return NULL;
	}
	return r;
}

void line_reader_close(struct line_reader *r)
{
	if (!r)
		return;
	close_edit(r);
	strbuf_free(&r->line);
	free(r);
}

static enum line_end read_pipe(struct line_reader *r, struct hokku_error *err)
{
	for (;;) {
		errno = 0;
		clearerr(stdin);
		int c = getc(stdin);
		if (c == EOF && errno == EINTR && !feof(stdin))
			continue;
		if (c == EOF && (ferror(stdin) || errno)) {
			err_set(err, HOKKU_IO_ERROR, "standard input cannot be read: %s", strerror(errno));
			return LINE_FAILED;
		}
		if (c == EOF)
			return r->line.len ? LINE_READ : LINE_OVER;
		if (c != '\n' && r->line.len == r->max_bytes) { /* it may never end */
			err_set(err, HOKKU_INVALID_REQUEST,
				"a line has more than the %zu bytes that are allowed", r->max_bytes);
			return LINE_FAILED;
		}
		strbuf_add(&r->line, &(char){(char)c}, 1);
		if (c == '\n' || r->line.failed)
			return LINE_READ;
	}
}

enum line_end line_reader_next(struct line_reader *r, const char *prompt, struct str *line,
			       struct hokku_error *err)
{
	r->prompt = prompt;
	r->interrupted = false;
	strbuf_clear(&r->line);
	enum line_end end = r->terminal ? read_terminal(r, err) : read_pipe(r, err);
	if (end != LINE_READ)
		return end;
	if (r->line.failed) {
		err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a line");
		return LINE_FAILED;
	}
	*line = (struct str){r->line.ptr, r->line.len};
	if (str_ends(*line, STR_LIT("\n")))
		line->len--;
	if (str_ends(*line, STR_LIT("\r")))
		line->len--;
	return LINE_READ;
}
