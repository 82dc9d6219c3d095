/* What the files of this room share: where messages point while a file of the folder is read, and typed
 * questions that name the field, the value found and the value wanted. */
#ifndef HF_READER_H
#define HF_READER_H

#include "base/json.h"
#include "base/observer.h"

/* A file that is being read. */
struct hf_reader {
	const char *path;
	const struct observer *observer; /* may be NULL */
	struct hokku_error *err;
};

/* "PATH: FIELD is VALUE; WANTED is wanted", BAD_FILE. found NULL: absent. */
enum hokku_code hf_wrong(const struct hf_reader *r, const char *field, const struct jv *found,
			 const char *wanted_format, ...) __attribute__((format(printf, 4, 5)));

/* "NAME: " of the file and the note. */
void hf_note(const struct hf_reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* field names v, which may be NULL, in messages. An absent or null v leaves *out as it is and *given false;
 * given may be NULL. */
enum hokku_code hf_read_bool(const struct hf_reader *r, const char *field, const struct jv *v, bool *out,
			     bool *given);

/* v must be there. */
enum hokku_code hf_read_u32(const struct hf_reader *r, const char *field, const struct jv *v, uint32_t min,
			    uint32_t max, uint32_t *out);
enum hokku_code hf_read_positive(const struct hf_reader *r, const char *field, const struct jv *v,
				 float *out);

/* Whether the folder has the file, and its path. An over-long path is INVALID_REQUEST. */
enum { HF_PATH_BYTES = 4096 };
enum hokku_code hf_join(const char *dir, const char *name, char out[HF_PATH_BYTES], bool *there,
			struct hokku_error *err);

/* One of the folder's JSON files; *there false and an empty document where it has none. */
enum hokku_code hf_read_json(const char *dir, const char *name, size_t max_bytes, char path[HF_PATH_BYTES],
			     struct jv_doc *out, bool *there, struct hokku_error *err);

#endif
