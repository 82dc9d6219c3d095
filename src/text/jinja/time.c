/* strftime_now: the calendar in English, whatever the machine's language is. */
#include <stdio.h>
#include <time.h>

#include "text/jinja/internal.h"

static const char *const day_names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
					"Thursday", "Friday", "Saturday"};
static const char *const month_names[] = {"January",   "February", "March",    "April",
					  "May",       "June",     "July",     "August",
					  "September", "October",  "November", "December"};

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return days[month - 1] + (month == 2 && is_leap(year));
}

/* From 1 on. */
static int day_of_year(const struct jinja_time *t)
{
	int n = t->day;
	for (int m = 1; m < t->month; m++)
		n += days_in(t->year, m);
	return n;
}

/* Sunday is 0. */
static int day_of_week(const struct jinja_time *t)
{
	int y = t->year - 1;
	return (y * 365 + y / 4 - y / 100 + y / 400 + day_of_year(t)) % 7;
}

/* ISO 8601: the week with the year's first Thursday is week 1. */
static int iso_week(const struct jinja_time *t, int *year)
{
	int weekday = (day_of_week(t) + 6) % 7; /* Monday is 0 */
	int week = (day_of_year(t) - 1 - weekday + 10) / 7;
	*year = t->year;
	if (week < 1) {
		const struct jinja_time last = {.year = t->year - 1, .month = 12, .day = 31};
		return iso_week(&last, year);
	}
	if (week == 53) {
		const struct jinja_time next = {.year = t->year + 1, .month = 1, .day = 1};
		int first = (day_of_week(&next) + 6) % 7;
		if (first <= 3) {
			*year = t->year + 1;
			return 1;
		}
	}
	return week;
}

static int read_digits(const char *p, int n)
{
	int v = 0;
	for (int i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		v = v * 10 + (p[i] - '0');
	}
	return v;
}

bool jinja_time_parse(struct str s, struct jinja_time *out)
{
	if (s.len != 10 && s.len != 19)
		return false;
	const char *p = s.ptr;
	struct jinja_time t = {
		.year = read_digits(p, 4), .month = read_digits(p + 5, 2), .day = read_digits(p + 8, 2)};
	if (p[4] != '-' || p[7] != '-' || t.year < 1 || t.month < 1 || t.month > 12 || t.day < 1 ||
	    t.day > days_in(t.year, t.month))
		return false;
	if (s.len == 19) {
		t.hour = read_digits(p + 11, 2);
		t.minute = read_digits(p + 14, 2);
		t.second = read_digits(p + 17, 2);
		if ((p[10] != 'T' && p[10] != ' ') || p[13] != ':' || p[16] != ':' || t.hour < 0 ||
		    t.hour > 23 || t.minute < 0 || t.minute > 59 || t.second < 0 || t.second > 59)
			return false;
	}
	*out = t;
	return true;
}

const char *jinja_time_text(const struct jinja_time *t, char out[20])
{
	snprintf(out, 20, "%04u-%02u-%02uT%02u:%02u:%02u", (unsigned)t->year % 10000,
		 (unsigned)t->month % 100, (unsigned)t->day % 100, (unsigned)t->hour % 100,
		 (unsigned)t->minute % 100, (unsigned)t->second % 100);
	return out;
}

static void read_clock(struct jinja_run *r)
{
	time_t now = time(NULL);
	struct tm tm = {.tm_year = 70, .tm_mday = 1};
	localtime_r(&now, &tm);
	r->now = (struct jinja_time){tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
				     tm.tm_hour,        tm.tm_min,     tm.tm_sec};
	r->has_now = true;
}

/* How a field is padded: "%-d" not at all, "%_d" with blanks. */
static void add_number(struct jbuild *b, int v, int width, char pad, char flag)
{
	char text[16];
	if (flag == '-')
		width = 0;
	if (flag == '_')
		pad = ' ';
	if (flag == '0')
		pad = '0';
	snprintf(text, sizeof text, pad == '0' ? "%0*d" : "%*d", width, v);
	jb_text(b, text, false);
}

static void add_name(struct jbuild *b, const char *name, size_t n, char flag)
{
	for (size_t i = 0; i < n && name[i]; i++) {
		char c = name[i];
		c = (char)(flag == '^' && c >= 'a' && c <= 'z' ? c - 32 : c);
		jb_add(b, &c, 1, NULL, false);
	}
}

static void add_composed(struct jinja_run *r, struct jbuild *b, const char *format)
{
	jb_str(b, as_str(format_time(r, as_str(j_text(r, format)))));
}

/* One %x; false: it is not known. */
static bool add_field(struct jinja_run *r, struct jbuild *b, char c, char flag)
{
	static const struct {
		char c;
		const char *format;
	} composed[] = {
		{'D', "%m/%d/%y"}, {'x', "%m/%d/%y"}, {'F', "%Y-%m-%d"},    {'T', "%H:%M:%S"},
		{'X', "%H:%M:%S"}, {'R', "%H:%M"},    {'r', "%I:%M:%S %p"}, {'c', "%a %b %e %H:%M:%S %Y"}};
	const struct jinja_time *t = &r->now;
	int year, hour = t->hour % 12 ? t->hour % 12 : 12, week = day_of_week(t), yday = day_of_year(t);
	for (size_t i = 0; i < sizeof composed / sizeof *composed; i++) {
		if (composed[i].c == c) {
			add_composed(r, b, composed[i].format);
			return true;
		}
	}
	int iso = iso_week(t, &year);
	const struct {
		char c;
		int v, width;
		char pad;
	} numbers[] = {
		{'Y', t->year, 1, '0'},
		{'y', t->year % 100, 2, '0'},
		{'C', t->year / 100, 2, '0'},
		{'m', t->month, 2, '0'},
		{'d', t->day, 2, '0'},
		{'e', t->day, 2, ' '},
		{'H', t->hour, 2, '0'},
		{'k', t->hour, 2, ' '},
		{'I', hour, 2, '0'},
		{'l', hour, 2, ' '},
		{'M', t->minute, 2, '0'},
		{'S', t->second, 2, '0'},
		{'j', yday, 3, '0'},
		{'w', week, 1, '0'},
		{'u', week ? week : 7, 1, '0'},
		{'V', iso, 2, '0'},
		{'G', year, 1, '0'},
		{'g', year % 100, 2, '0'},
		{'f', 0, 6, '0'},
		{'U', (yday + 6 - week) / 7, 2, '0'},
		{'W', (yday + 6 - (week + 6) % 7) / 7, 2, '0'},
	};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		if (numbers[i].c == c) {
			add_number(b, numbers[i].v, numbers[i].width, numbers[i].pad, flag);
			return true;
		}
	}
	const struct {
		char c;
		const char *name;
		size_t n;
	} names[] = {
		{'A', day_names[week], 16},
		{'a', day_names[week], 3},
		{'B', month_names[t->month - 1], 16},
		{'b', month_names[t->month - 1], 3},
		{'h', month_names[t->month - 1], 3},
		{'p', t->hour < 12 ? "AM" : "PM", 2},
		{'P', t->hour < 12 ? "am" : "pm", 2},
		{'n', "\n", 1},
		{'t', "\t", 1},
		{'%', "%", 1},
		{'Z', "", 0},
		{'z', "", 0}, /* the date has no time zone */
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (names[i].c == c) {
			add_name(b, names[i].name, names[i].n, flag);
			return true;
		}
	}
	return false;
}

jval format_time(struct jinja_run *r, const struct jstr *format)
{
	struct jbuild b = jb_new(r);
	if (!r->has_now)
		read_clock(r);
	r->used_time = true;
	for (size_t i = 0; i < format->n; i++) {
		if (format->p[i] != '%') {
			jb_sub(&b, format, i, i + 1);
			continue;
		}
		char flag = i + 1 < format->n ? format->p[i + 1] : 0;
		flag = (char)(flag && strchr("-_0^#", flag) ? flag : 0);
		i += flag != 0;
		char c = ++i < format->n ? format->p[i] : 0;
		if (!c || !add_field(r, &b, c, flag))
			j_fail(r, "strftime_now: %%%c is not known", c ? c : ' ');
	}
	return jb_done(&b);
}
