#include "hf/reader.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum hokku_code hf_wrong(const struct hf_reader *r, const char *field, const struct jv *found,
			 const char *wanted_format, ...)
{
	char wanted[192], text[96];
	va_list args;
	va_start(args, wanted_format);
	vsnprintf(wanted, sizeof wanted, wanted_format, args);
	va_end(args);
	return err_set(r->err, HOKKU_BAD_FILE, "%s: %s is %s; %s is wanted", r->path, field,
		       jv_text(found, text, sizeof text), wanted);
}

void hf_note(const struct hf_reader *r, const char *format, ...)
{
	char text[400];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	observer_note(r->observer, "%s: %s", file_base_name(r->path), text);
}

enum hokku_code hf_read_bool(const struct hf_reader *r, const char *field, const struct jv *v, bool *out,
			     bool *given)
{
	if (given)
		*given = !jv_none(v);
	if (jv_none(v))
		return HOKKU_OK;
	if (!jv_is(v, JV_BOOL))
		return hf_wrong(r, field, v, "true or false");
	*out = jv_is_true(v);
	return HOKKU_OK;
}

enum hokku_code hf_read_u32(const struct hf_reader *r, const char *field, const struct jv *v, uint32_t min,
			    uint32_t max, uint32_t *out)
{
	int64_t number;
	if (!jv_int(v, &number) || number < min || number > max)
		return hf_wrong(r, field, v, "an integer from %u to %u", min, max);
	*out = (uint32_t)number;
	return HOKKU_OK;
}

enum hokku_code hf_read_positive(const struct hf_reader *r, const char *field, const struct jv *v, float *out)
{
	double number;
	if (!jv_double(v, &number) || !((float)number > 0) || !isfinite((float)number))
		return hf_wrong(r, field, v, "a number above 0");
	*out = (float)number;
	return HOKKU_OK;
}

enum hokku_code hf_join(const char *dir, const char *name, char out[HF_PATH_BYTES], bool *there,
			struct hokku_error *err)
{
	int n = snprintf(out, HF_PATH_BYTES, "%s/%s", dir, name);
	*there = false;
	if (n < 0 || n >= HF_PATH_BYTES)
		return err_set(err, HOKKU_INVALID_REQUEST, "the path %.64s... is longer than %d bytes", dir,
			       HF_PATH_BYTES - 1);
	struct stat st;
	char target[HF_PATH_BYTES];
	*there = access(out, F_OK) == 0;
	if (*there || (errno == ENOENT && lstat(out, &st) && errno == ENOENT))
		return HOKKU_OK;
	if (errno == ENOTDIR)
		return HOKKU_OK;
	/* What is there and cannot be had does not count as absent: it would say something. */
	ssize_t len = readlink(out, target, sizeof target - 1);
	if (len < 0)
		return err_set(err, HOKKU_IO_ERROR, "%s: %s", out,
			       strerror(errno == EINVAL ? EACCES : errno));
	target[len] = '\0';
	return err_set(err, HOKKU_NOT_FOUND,
		       "%s: it is a link to %s, which is not there; fetch the folder again", out, target);
}

enum hokku_code hf_read_json(const char *dir, const char *name, size_t max_bytes, char path[HF_PATH_BYTES],
			     struct jv_doc *out, bool *there, struct hokku_error *err)
{
	*out = (struct jv_doc){0};
	enum hokku_code rc = hf_join(dir, name, path, there, err);
	return rc || !*there ? rc : jv_read_named(path, max_bytes, out, err);
}
