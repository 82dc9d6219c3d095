/*
 * What a client of `hokku serve` sees, on a monotonic clock; and how long a program takes to its first
 * output.
 *
 *     gpu_client wait  PORT SECONDS               until /health is 200
 *     gpu_client haiku PORT                       a verse with the present minute in words, three tries
 *     gpu_client rate  PORT N_TOKENS RUNS         tokens a second of one stream, first token to last: the
 * median gpu_client ttft  PORT N_PROMPT RUNS         ms from the request to the first token: the median
 *     gpu_client first RUNS COMMAND [ARG...]      ms from the start of a program to its first output: the
 * median
 *
 * rate, ttft and first print the number and then the smallest and largest, on one line. Exit code 0: done; 1:
 * it failed, the reason is on stderr; 2: the command line is wrong. The server is on 127.0.0.1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { MAX_RUNS = 1000, LINE_BYTES = 64 << 10, TEXT_BYTES = 64 << 10, WARM_UPS = 2 };

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "gpu_client: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
	exit(1);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void print_median(double *figures, size_t n)
{
	qsort(figures, n, sizeof *figures, by_size);
	double median = n % 2 ? figures[n / 2] : (figures[n / 2 - 1] + figures[n / 2]) / 2;
	printf("%.3f %.3f %.3f\n", median, figures[0], figures[n - 1]);
}

static int dial(unsigned port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to)) {
		close(fd);
		return -1;
	}
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

static void send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t sent = write(fd, p, n);
		if (sent <= 0)
			die("the server took no request");
		p += sent;
		n -= (size_t)sent;
	}
}

/* One request under way: the server's lines, and when each came. */
struct stream {
	int fd;
	char buffer[LINE_BYTES];
	size_t n;
	uint64_t sent_ns, now_ns;
	/* of the answer */
	char text[TEXT_BYTES];
	size_t n_text;
	uint32_t n_tokens;
	uint64_t first_ns, last_ns;
	bool ended;
};

static void post(struct stream *s, unsigned port, json_t *body)
{
	char head[256], *text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	*s = (struct stream){.fd = dial(port)};
	if (s->fd < 0 || !text)
		die("cannot reach the server");
	int n = snprintf(head, sizeof head,
			 "POST /v1/generate HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
			 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
			 strlen(text));
	size_t n_text = strlen(text);
	char *all = malloc((size_t)n + n_text);
	if (!all)
		die("no memory");
	memcpy(all, head, (size_t)n);
	memcpy(all + n, text, n_text);
	s->sent_ns = clock_ns();
	send_all(s->fd, all, (size_t)n + n_text);
	free(all);
	free(text);
}

/* One event of the stream: {"t", "i", "id"} or the end. */
static void take_event(struct stream *s, const char *line)
{
	json_t *event = json_loads(line, 0, NULL);
	const char *t = json_string_value(json_object_get(event, "t"));
	if (!event || json_object_get(event, "code")) {
		errno = 0;
		die(line);
	}
	if (json_object_get(event, "id") && json_object_get(event, "i")) {
		s->last_ns = s->now_ns;
		if (!s->n_tokens++)
			s->first_ns = s->now_ns;
		size_t n = strlen(t ? t : "");
		if (t && s->n_text + n < sizeof s->text) {
			memcpy(s->text + s->n_text, t, n);
			s->n_text += n;
			s->text[s->n_text] = '\0';
		}
	}
	s->ended = s->ended || json_object_get(event, "stop_reason");
	json_decref(event);
}

/* Reads until the answer has ended. Chunk headers and event names are lines without a meaning here. */
static void read_answer(struct stream *s)
{
	while (!s->ended) {
		ssize_t got = read(s->fd, s->buffer + s->n, sizeof s->buffer - 1 - s->n);
		s->now_ns = clock_ns();
		if (got <= 0)
			die("the stream ended early");
		s->n += (size_t)got;
		s->buffer[s->n] = '\0';
		char *line = s->buffer, *end;
		while ((end = strchr(line, '\n'))) {
			*end = '\0';
			if (strncmp(line, "data: ", 6) == 0)
				take_event(s, line + 6);
			else if (strncmp(line, "HTTP/1.1 ", 9) == 0 && strncmp(line + 9, "200", 3) != 0)
				die(line);
			line = end + 1;
		}
		s->n -= (size_t)(line - s->buffer);
		memmove(s->buffer, line, s->n);
		if (s->n >= sizeof s->buffer - 1)
			die("a line of the stream is too long");
	}
	close(s->fd);
}

static void ask(struct stream *s, unsigned port, json_t *body)
{
	post(s, port, body);
	read_answer(s);
}

/* A prompt of n ids that no earlier one begins with; even the smallest model knows them. */
static json_t *id_prompt(uint32_t n)
{
	static uint32_t series;
	json_t *ids = json_array();
	series++;
	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(ids, json_integer((series * 7919 + i * 104729) % 6000 + 300));
	return ids;
}

static int cmd_wait(unsigned port, unsigned seconds)
{
	static const char request[] = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
	for (uint64_t start = clock_ns(); clock_ms_since(start) < seconds * 1e3; usleep(20000)) {
		char answer[64] = "";
		int fd = dial(port);
		if (fd < 0)
			continue;
		send_all(fd, request, sizeof request - 1);
		bool good =
			read(fd, answer, sizeof answer - 1) > 0 && strncmp(answer, "HTTP/1.1 200", 12) == 0;
		close(fd);
		if (good)
			return 0;
	}
	errno = 0;
	die("the server was not ready in time");
}

/* The minute as a reader would say it: "forty-two". */
static void minute_word(char out[32])
{
	static const char *const ones[] = {"zero",    "one",     "two",       "three",    "four",
					   "five",    "six",     "seven",     "eight",    "nine",
					   "ten",     "eleven",  "twelve",    "thirteen", "fourteen",
					   "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
	static const char *const tens[] = {"", "", "twenty", "thirty", "forty", "fifty"};
	time_t now = time(NULL);
	struct tm local;
	localtime_r(&now, &local);
	unsigned minute = (unsigned)local.tm_min;
	if (minute < 20)
		snprintf(out, 32, "%s", ones[minute]);
	else
		snprintf(out, 32, "%s%s%s", tens[minute / 10], minute % 10 ? "-" : "",
			 minute % 10 ? ones[minute % 10] : "");
}

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);
	for (const char *p = text; (p = strcasestr(p, word)); p++) {
		bool starts = p == text || !strchr("abcdefghijklmnopqrstuvwxyz-", p[-1]);
		if (starts && (!p[n] || !strchr("abcdefghijklmnopqrstuvwxyz-", p[n])))
			return true;
	}
	return false;
}

static int cmd_haiku(unsigned port)
{
	static struct stream s;
	char word[32], text[160];
	minute_word(word);
	snprintf(text, sizeof text, "Write a haiku about autumn rain that contains the word \"%s\".", word);
	for (int i = 0; i < 3; i++) {
		ask(&s, port,
		    json_pack("{s:[{s:s, s:s}], s:f, s:i}", "messages", "role", "user", "content", text,
			      "temperature", 0.7, "max_tokens", 64));
		printf("%s\n", s.text);
		if (has_word(s.text, word))
			return 0;
	}
	errno = 0;
	die("none of three verses contained the word");
}

static double stream_rate(unsigned port, uint32_t n_tokens)
{
	static struct stream s;
	for (int tries = 0; tries < 20; tries++) { /* a random model may draw its end token */
		ask(&s, port,
		    json_pack("{s:o, s:i, s:f}", "prompt", id_prompt(1), "max_tokens", (int)n_tokens,
			      "temperature", 0.0));
		if (s.n_tokens == n_tokens)
			return (n_tokens - 1) / ((double)(s.last_ns - s.first_ns) * 1e-9);
	}
	errno = 0;
	die("20 answers were shorter than they were asked to be");
}

static int cmd_rate(unsigned port, uint32_t n_tokens, uint32_t runs)
{
	double figures[MAX_RUNS];
	for (uint32_t i = 0; i < WARM_UPS; i++)
		stream_rate(port, n_tokens);
	for (uint32_t i = 0; i < runs; i++)
		figures[i] = stream_rate(port, n_tokens);
	print_median(figures, runs);
	return 0;
}

static int cmd_ttft(unsigned port, uint32_t n_prompt, uint32_t runs)
{
	static struct stream s;
	double figures[MAX_RUNS];
	for (uint32_t i = 0; i < runs + WARM_UPS; i++) {
		ask(&s, port,
		    json_pack("{s:o, s:i, s:f}", "prompt", id_prompt(n_prompt), "max_tokens", 2,
			      "temperature", 0.0));
		if (!s.n_tokens) { /* its end token came first */
			i--;
			continue;
		}
		if (i >= WARM_UPS)
			figures[i - WARM_UPS] = (double)(s.first_ns - s.sent_ns) * 1e-6;
	}
	print_median(figures, runs);
	return 0;
}

/* Milliseconds to the first byte on its stdout. */
static double time_first(char **argv)
{
	int out[2], status;
	char byte;
	if (pipe(out))
		die("pipe");
	uint64_t start = clock_ns();
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		close(out[0]);
		close(out[1]);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(out[1]);
	bool spoke = read(out[0], &byte, 1) == 1;
	double ms = clock_ms_since(start);
	while (read(out[0], &byte, 1) == 1)
		;
	close(out[0]);
	errno = 0;
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) || !spoke)
		die("the program failed or said nothing");
	return ms;
}

static int cmd_first(uint32_t runs, char **argv)
{
	double figures[MAX_RUNS];
	time_first(argv);
	for (uint32_t i = 0; i < runs; i++)
		figures[i] = time_first(argv);
	print_median(figures, runs);
	return 0;
}

/* A whole number from 1 to most; 0 if it is none. */
static uint32_t number(const char *text, unsigned long most)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && n <= most ? (uint32_t)n : 0;
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";
	uint32_t a = argc > 2 ? number(argv[2], 65535) : 0, b = argc > 3 ? number(argv[3], 1 << 20) : 0;
	uint32_t c = argc > 4 ? number(argv[4], MAX_RUNS) : 0;
	if (strcmp(command, "wait") == 0 && a && b)
		return cmd_wait(a, b);
	if (strcmp(command, "haiku") == 0 && a)
		return cmd_haiku(a);
	if (strcmp(command, "rate") == 0 && a && b > 1 && c)
		return cmd_rate(a, b, c);
	if (strcmp(command, "ttft") == 0 && a && b && c)
		return cmd_ttft(a, b, c);
	if (strcmp(command, "first") == 0 && a && a <= MAX_RUNS && argc > 3)
		return cmd_first(a, argv + 3);
	fprintf(stderr, "usage: gpu_client wait PORT SECONDS | haiku PORT | rate PORT N_TOKENS RUNS | ttft "
			"PORT N_PROMPT "
			"RUNS | first RUNS COMMAND...\n");
	return 2;
}
