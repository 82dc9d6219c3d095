#include "base/build.h"

#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "hokku.h"

struct search {
	char *out;
	uintptr_t here; /* an address within the object that is looked for */
};

static uint32_t padded(uint32_t n)
{
	return (n + 3) / 4 * 4;
}

/* Notes: name's length, content's length, kind, then both, each padded to words. */
static void read_notes(const uint8_t *at, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	ElfW(Nhdr) note;
	while (n >= sizeof note) {
		memcpy(&note, at, sizeof note);
		size_t bytes = sizeof note + padded(note.n_namesz) + padded(note.n_descsz);
		if (bytes > n)
			return;
		const uint8_t *id = at + sizeof note + padded(note.n_namesz);
		size_t room = (BUILD_ID_TEXT - 1 - strlen(out)) / 2;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof "GNU" &&
		    memcmp(at + sizeof note, "GNU", sizeof "GNU") == 0) {
			char *to = out + strlen(out);
			for (size_t i = 0; i < note.n_descsz && i < room; i++) {
				*to++ = digits[id[i] >> 4];
				*to++ = digits[id[i] & 15];
			}
			*to = '\0';
			return;
		}
		at += bytes;
		n -= bytes;
	}
}

static int look_into(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct search *s = arg;
	bool is_it = false;
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];
		uintptr_t from = info->dlpi_addr + h->p_vaddr;
		is_it = is_it || (h->p_type == PT_LOAD && s->here >= from && s->here < from + h->p_memsz);
	}
	size_t before = strlen(s->out);
	for (int i = 0; is_it && i < info->dlpi_phnum && strlen(s->out) == before; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];
		if (h->p_type != PT_NOTE)
			continue;
		/* NOLINTNEXTLINE(performance-no-int-to-ptr): the loader tells addresses as numbers */
		read_notes((const uint8_t *)(info->dlpi_addr + h->p_vaddr), h->p_memsz, s->out);
	}
	return is_it;
}

void build_id(char out[BUILD_ID_TEXT])
{
	struct search s = {.out = out, .here = (uintptr_t)read_notes};
	size_t n = (size_t)snprintf(out, BUILD_ID_TEXT, "%s ", hokku_version());
	dl_iterate_phdr(look_into, &s);
	if (strlen(out) == n)
		snprintf(out + n, BUILD_ID_TEXT - n, "unknown");
}
