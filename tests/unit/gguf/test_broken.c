/*
 * Files that are wrong in one way each, and what is said about each. A message names the file, the byte, the
 * key or tensor, what was found and what is allowed.
 */
#include "gguf/builder.h"

/* Each case: its message, then its bytes. */
#define CASE(name, text)                           \
	static const char message_##name[] = text; \
	static void build_##name(struct strbuf *b)

/* ---- header ---- */

CASE(empty, "x.gguf: the file is empty; a GGUF file begins with \"GGUF\"")
{
	(void)b;
}

CASE(one_byte, "x.gguf: not a GGUF file: it begins with \"G\"; \"GGUF\" is wanted")
{
	strbuf_add_c(b, "G");
}

CASE(other_magic, "x.gguf: not a GGUF file: it begins with \"GGU\\x00\"; \"GGUF\" is wanted")
{
	strbuf_add(b, "GGU\0and more", 12);
}

CASE(lfs_pointer,
     "x.gguf: not a GGUF file: it looks like a Git LFS pointer; fetch the file itself with `git lfs pull`")
{
	strbuf_add_c(b, "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n");
}

CASE(zip, "x.gguf: not a GGUF file: it looks like a zip archive or a PyTorch checkpoint")
{
	strbuf_add_c(b, "PK\x03\x04 and the rest");
}

CASE(ggjt, "x.gguf: not a GGUF file: it looks like a GGJT file of the time before GGUF")
{
	strbuf_add_c(b, "tjgg");
	b_u32(b, 3);
}

CASE(old_adapter, "x.gguf: not a GGUF file: it looks like a LoRA adapter of the time before GGUF")
{
	strbuf_add_c(b, "algg");
	b_u32(b, 1);
}

CASE(old_session, "x.gguf: not a GGUF file: it looks like a session saved by llama.cpp, not a model")
{
	strbuf_add_c(b, "nsgg");
	b_u32(b, 9);
}

CASE(old_state, "x.gguf: not a GGUF file: it looks like a sequence's state saved by llama.cpp, not a model")
{
	strbuf_add_c(b, "qsgg");
	b_u32(b, 2);
}

#define OLD_IMATRIX                                                                                         \
	"x.gguf: not a GGUF file: it looks like an importance matrix of llama.cpp's; give the model's own " \
	"file"

CASE(old_imatrix, OLD_IMATRIX)
{
	b_u32(b, 168);
	b_u32(b, 18);
	strbuf_add_c(b, "blk.0.attn_k.weight");
}

CASE(old_imatrix_output, OLD_IMATRIX)
{
	b_u32(b, 169);
	b_u32(b, 13);
	strbuf_add_c(b, "output.weight");
}

CASE(no_old_imatrix, "x.gguf: not a GGUF file: it begins with \"\\xa8\\x00\\x00\\x00\"; \"GGUF\" is wanted")
{
	b_u32(b, 168);
	b_u32(b, 18);
}

CASE(web_page, "x.gguf: not a GGUF file: it looks like a web page")
{
	strbuf_add_c(b, "<!DOCTYPE html><title>404</title>");
}

CASE(gzip, "x.gguf: not a GGUF file: it looks like a gzip archive; unpack it first")
{
	strbuf_add(b, "\x1f\x8b\x08\x00", 4);
}

CASE(no_version, "x.gguf: byte 4: the version needs 4 bytes; the file has 2 more (is it cut short?)")
{
	strbuf_add(b, "GGUF\x03\x00", 6);
}

CASE(version_0, "x.gguf: byte 4: the GGUF version is 0; 2 and 3 can be read")
{
	b_header(b, 0, 0, 0);
}

CASE(version_1, "x.gguf: byte 4: the GGUF version is 1; 2 and 3 can be read")
{
	b_header(b, 1, 0, 0);
}

CASE(version_4, "x.gguf: byte 4: the GGUF version is 4; 2 and 3 can be read")
{
	b_header(b, 4, 0, 0);
}

CASE(big_endian_1,
     "x.gguf: byte 4: the file is big-endian (GGUF version 1); only little-endian files can be read")
{
	b_header(b, 0x01000000, 0, 0);
}

CASE(big_endian_2,
     "x.gguf: byte 4: the file is big-endian (GGUF version 2); only little-endian files can be read")
{
	b_header(b, 0x02000000, 0, 0);
}

CASE(big_endian_3,
     "x.gguf: byte 4: the file is big-endian (GGUF version 3); only little-endian files can be read")
{
	strbuf_add(b, "GGUF\0\0\0\3", 8);
	b_u64(b, 0);
	strbuf_add(b, "\0\0\0\0\0\0\0\1", 8);
}

CASE(no_counts, "x.gguf: byte 8: the number of tensors needs 8 bytes; the file has 0 more (is it cut short?)")
{
	strbuf_add(b, "GGUF\3\0\0\0", 8);
}

CASE(no_key_count,
     "x.gguf: byte 16: the number of keys needs 8 bytes; the file has 7 more (is it cut short?)")
{
	strbuf_add(b, "GGUF\3\0\0\0", 8);
	b_zeros(b, 8 + 7);
}

CASE(too_many_tensors,
     "x.gguf: byte 8: the number of tensors is 18446744073709551615; at most 65536 are allowed")
{
	b_header(b, 3, UINT64_MAX, 0);
}

CASE(more_tensors_than_bytes,
     "x.gguf: byte 8: the number of tensors is 2; the 26 bytes after the header hold at "
     "most 1 (is the file cut short?)")
{
	b_header(b, 3, 2, 0);
	b_zeros(b, 26);
}

CASE(too_many_keys, "x.gguf: byte 16: the number of keys is 4294967296; at most 65536 are allowed")
{
	b_header(b, 3, 0, 1ull << 32);
}

CASE(more_keys_than_bytes,
     "x.gguf: byte 16: the number of keys is 1; the 13 bytes after the header hold at most 0 "
     "(is the file cut short?)")
{
	b_header(b, 3, 0, 1);
	b_zeros(b, 13);
}

/* ---- keys ---- */

CASE(key_too_long, "x.gguf: byte 24: key 1 of 1: the key has 65536 bytes; at most 65535 are allowed")
{
	b_header(b, 3, 0, 1);
	b_u64(b, 65536);
	b_zeros(b, 70000);
}

CASE(key_past_end,
     "x.gguf: byte 32: key 1 of 1: the key needs 100 bytes; the file has 20 more (is it cut short?)")
{
	b_header(b, 3, 0, 1);
	b_u64(b, 100);
	b_zeros(b, 20);
}

CASE(key_empty, "x.gguf: byte 38: key 2 of 2: the key is empty")
{
	b_header(b, 3, 0, 2);
	b_key(b, "k", GGUF_U8), b_u8(b, 0);
	b_key(b, "", GGUF_U32);
	b_zeros(b, 8);
}

CASE(key_control,
     "x.gguf: byte 24: key 1 of 1: the key is \"a\\x1b[2Jb\"; it must be UTF-8 without control characters")
{
	b_header(b, 3, 0, 1);
	b_key_u32(b, "a\x1b[2Jb", 1);
}

CASE(key_not_utf8,
     "x.gguf: byte 24: key 1 of 1: the key is \"a\\xff\"; it must be UTF-8 without control characters")
{
	b_header(b, 3, 0, 1);
	b_key_u32(b, "a\xff", 1);
}

CASE(type_13, "x.gguf: byte 35: key \"key\": the value's type is 13; it must be 0 to 12")
{
	b_header(b, 3, 0, 1);
	b_key(b, "key", 13);
	b_u64(b, 0);
}

CASE(type_huge, "x.gguf: byte 35: key \"key\": the value's type is 4294967295; it must be 0 to 12")
{
	b_header(b, 3, 0, 1);
	b_key(b, "key", UINT32_MAX);
	b_u64(b, 0);
}

CASE(type_cut,
     "x.gguf: byte 35: key \"key\": the value's type needs 4 bytes; the file has 3 more (is it cut short?)")
{
	b_header(b, 3, 0, 1);
	b_str(b, "key");
	b_zeros(b, 3);
}

CASE(u64_cut, "x.gguf: byte 39: key \"key\": the value needs 8 bytes; the file has 7 more (is it cut short?)")
{
	b_header(b, 3, 0, 1);
	b_key(b, "key", GGUF_U64);
	b_zeros(b, 7);
}

CASE(bool_2, "x.gguf: byte 39: key \"key\": a bool is 2; it must be 0 or 1")
{
	b_header(b, 3, 0, 1);
	b_key(b, "key", GGUF_BOOL);
	b_u8(b, 2);
}

CASE(string_too_long,
     "x.gguf: byte 39: key \"key\": the string has 67108865 bytes; at most 67108864 are allowed")
{
	b_header(b, 3, 0, 1);
	b_key(b, "key", GGUF_STRING);
	b_u64(b, 67108865);
}

CASE(string_length_max,
     "x.gguf: byte 39: key \"key\": the string has 18446744073709551615 bytes; at most 67108864 are allowed")
{
	b_header(b, 3, 0, 1);
	b_key(b, "key", GGUF_STRING);
	b_u64(b, UINT64_MAX);
	strbuf_add_c(b, "text");
}

CASE(string_past_end,
     "x.gguf: byte 47: key \"key\": the string needs 5 bytes; the file has 4 more (is it cut short?)")
{
	b_header(b, 3, 0, 1);
	b_key(b, "key", GGUF_STRING);
	b_u64(b, 5);
	strbuf_add_c(b, "text");
}

CASE(element_type_13, "x.gguf: byte 39: key \"key\": the array's element type is 13; it must be 0 to 12")
{
	b_header(b, 3, 0, 1);
	b_key(b, "key", GGUF_ARRAY);
	b_array(b, 13, 0);
}

CASE(array_too_long,
     "x.gguf: byte 43: key \"key\": the array has 67108865 elements; at most 67108864 are allowed")
{
	b_header(b, 3, 0, 1);
	b_key(b, "key", GGUF_ARRAY);
	b_array(b, GGUF_U8, 67108865);
}

/* 2^61 elements of 8 bytes are 2^64 bytes: 0, if nobody looks */
CASE(array_length_wraps,
     "x.gguf: byte 43: key \"key\": the array has 2305843009213693952 elements; at most 67108864 are allowed")
{
	b_header(b, 3, 0, 1);
	b_key(b, "key", GGUF_ARRAY);
	b_array(b, GGUF_U64, 1ull << 61);
}

CASE(array_past_end,
     "x.gguf: byte 51: key \"key\": the array needs 12 bytes; the file has 11 more (is it cut short?)")
{
	b_header(b, 3, 0, 1);
	b_key(b, "key", GGUF_ARRAY);
	b_array(b, GGUF_F32, 3);
	b_zeros(b, 11);
}

CASE(array_string_cut, "x.gguf: byte 70: key \"key\": a string of the array needs 9 bytes; the file has 3 "
		       "more (is it cut short?)")
{
	b_header(b, 3, 0, 1);
	b_key(b, "key", GGUF_ARRAY);
	b_array(b, GGUF_STRING, 2);
	b_str(b, "one");
	b_u64(b, 9);
	strbuf_add_c(b, "two");
}

CASE(array_bool_7, "x.gguf: byte 53: key \"key\": a bool is 7; it must be 0 or 1")
{
	b_header(b, 3, 0, 1);
	b_key(b, "key", GGUF_ARRAY);
	b_array(b, GGUF_BOOL, 3);
	b_u8(b, 0), b_u8(b, 1), b_u8(b, 7);
}

CASE(nested_5, "x.gguf: byte 87: key \"key\": arrays are nested 5 deep; at most 4 are allowed")
{
	b_header(b, 3, 0, 1);
	b_key(b, "key", GGUF_ARRAY);
	for (int i = 0; i < 4; i++)
		b_array(b, GGUF_ARRAY, 1);
	b_array(b, GGUF_U8, 0);
}

CASE(nested_bad_type, "x.gguf: byte 63: key \"key\": the array's element type is 99; it must be 0 to 12")
{
	b_header(b, 3, 0, 1);
	b_key(b, "key", GGUF_ARRAY);
	b_array(b, GGUF_ARRAY, 2);
	b_array(b, GGUF_U8, 0);
	b_array(b, 99, 0);
}

CASE(nested_past_end,
     "x.gguf: byte 63: key \"key\": the array needs 2 bytes; the file has 1 more (is it cut short?)")
{
	b_header(b, 3, 0, 1);
	b_key(b, "key", GGUF_ARRAY);
	b_array(b, GGUF_ARRAY, 1);
	b_array(b, GGUF_U16, 1);
	b_u8(b, 0);
}

CASE(key_twice, "x.gguf: byte 60: key \"a.b\": the same name stands at byte 24; each key may occur once")
{
	b_header(b, 3, 0, 3);
	b_key_u32(b, "a.b", 1);
	b_key_u32(b, "a", 2);
	b_key_str(b, "a.b", "1");
}

CASE(key_three_times, "x.gguf: byte 41: key \"z\": the same name stands at byte 24; each key may occur once")
{
	b_header(b, 3, 0, 5);
	b_key_u32(b, "z", 1);
	b_key_u32(b, "z", 1);
	b_key_u32(b, "a", 1);
	b_key_u32(b, "a", 1);
	b_key_u32(b, "z", 1);
}

CASE(alignment_i32, "x.gguf: byte 49: key \"general.alignment\": the value's type is i32; it must be u32")
{
	b_header(b, 3, 0, 1);
	b_key(b, "general.alignment", GGUF_I32);
	b_u32(b, 32);
}

CASE(alignment_array, "x.gguf: byte 49: key \"general.alignment\": the value's type is array; it must be u32")
{
	b_header(b, 3, 0, 1);
	b_key(b, "general.alignment", GGUF_ARRAY);
	b_array(b, GGUF_U32, 1);
	b_u32(b, 32);
}

CASE(alignment_0,
     "x.gguf: byte 53: key \"general.alignment\": the alignment is 0; it must be a power of two from 8 to "
     "65536")
{
	b_header(b, 3, 0, 1);
	b_key_u32(b, "general.alignment", 0);
}

CASE(alignment_4,
     "x.gguf: byte 53: key \"general.alignment\": the alignment is 4; it must be a power of two from 8 to "
     "65536")
{
	b_header(b, 3, 0, 1);
	b_key_u32(b, "general.alignment", 4);
}

CASE(alignment_48,
     "x.gguf: byte 53: key \"general.alignment\": the alignment is 48; it must be a power of two from 8 "
     "to 65536")
{
	b_header(b, 3, 0, 1);
	b_key_u32(b, "general.alignment", 48);
}

CASE(alignment_131072,
     "x.gguf: byte 53: key \"general.alignment\": the alignment is 131072; it must be a power of two "
     "from 8 to 65536")
{
	b_header(b, 3, 0, 1);
	b_key_u32(b, "general.alignment", 131072);
}

/* ---- tensors ---- */

CASE(name_too_long, "x.gguf: byte 24: tensor 1 of 1: the tensor's name has 65 bytes; at most 64 are allowed")
{
	b_header(b, 3, 1, 0);
	b_tensor(b, "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddE", DIMS(1), TENSOR_F32,
		 0);
}

CASE(name_empty, "x.gguf: byte 24: tensor 1 of 1: the tensor's name is empty")
{
	b_header(b, 3, 1, 0);
	b_tensor(b, "", DIMS(1), TENSOR_F32, 0);
}

CASE(name_control,
     "x.gguf: byte 24: tensor 1 of 1: the tensor's name is \"w\\n\"; it must be UTF-8 without control "
     "characters")
{
	b_header(b, 3, 1, 0);
	b_tensor(b, "w\n", DIMS(1), TENSOR_F32, 0);
}

CASE(dims_5, "x.gguf: byte 33: tensor \"w\": the number of dimensions is 5; at most 4 are allowed")
{
	b_header(b, 3, 1, 0);
	b_tensor(b, "w", DIMS(1, 1, 1, 1, 1), TENSOR_F32, 0);
}

CASE(dims_cut,
     "x.gguf: byte 45: tensor \"w\": a dimension needs 8 bytes; the file has 4 more (is it cut short?)")
{
	b_header(b, 3, 1, 0);
	b_str(b, "w");
	b_u32(b, 2);
	b_u64(b, 1);
	b_zeros(b, 4);
}

CASE(dim_0, "x.gguf: byte 45: tensor \"w\": dimension 1 is 0; it must be 1 to 1099511627776")
{
	b_header(b, 3, 1, 0);
	b_tensor(b, "w", DIMS(4, 0), TENSOR_F32, 0);
}

CASE(dim_huge,
     "x.gguf: byte 37: tensor \"w\": dimension 0 is 18446744073709551615; it must be 1 to 1099511627776")
{
	b_header(b, 3, 1, 0);
	b_tensor(b, "w", DIMS(UINT64_MAX), TENSOR_F32, 0);
}

CASE(dims_product, "x.gguf: byte 53: tensor \"w\": 1099511627776 x 2 elements in dimensions 0 to 2; at most "
		   "1099511627776 are allowed")
{
	b_header(b, 3, 1, 0);
	b_tensor(b, "w", DIMS(1u << 20, 1u << 20, 2), TENSOR_F32, 0);
}

/* 2^32 x 2^32 are 0 in 64 bits, if nobody looks */
CASE(dims_product_wraps,
     "x.gguf: byte 45: tensor \"w\": 4294967296 x 4294967296 elements in dimensions 0 to 1; at most "
     "1099511627776 are allowed")
{
	b_header(b, 3, 1, 0);
	b_tensor(b, "w", DIMS(1ull << 32, 1ull << 32), TENSOR_F32, 0);
}

CASE(tensor_type_cut,
     "x.gguf: byte 49: tensor \"wwwww\": the tensor's type needs 4 bytes; the file has 3 more (is "
     "it cut short?)")
{
	b_header(b, 3, 1, 0);
	b_str(b, "wwwww");
	b_u32(b, 1);
	b_u64(b, 1);
	b_zeros(b, 3);
}

/* Of a type that nobody knows nothing is known but where it begins. */
CASE(type_1000_cut,
     "x.gguf: byte 49: tensor \"w\": its offset is 0 and it takes 1 bytes; the file holds 0 bytes of "
     "tensor data (is it cut short?)")
{
	b_header(b, 3, 1, 0);
	b_tensor(b, "w", DIMS(1), 1000, 0);
}

CASE(type_negative_overlaps, "x.gguf: byte 82: tensor \"b\": its bytes begin at 96, inside those of tensor "
			     "\"a\" (96 to 97); tensors must "
			     "not overlap")
{
	b_header(b, 3, 2, 0);
	b_tensor(b, "a", DIMS(1), UINT32_MAX, 0);
	b_tensor(b, "b", DIMS(1), TENSOR_F32, 0);
	b_pad(b, 32);
	b_zeros(b, 32);
}

CASE(type_removed_rows,
     "x.gguf: byte 45: tensor \"w\": its rows have 48 elements; the type Q4_0_4_4 wants a multiple of 32")
{
	b_header(b, 3, 1, 0);
	b_tensor(b, "w", DIMS(48), 31, 0);
	b_pad(b, 32);
	b_zeros(b, 64);
}

CASE(row_not_whole_blocks,
     "x.gguf: byte 53: tensor \"w\": its rows have 300 elements; the type Q4_K wants a multiple of 256")
{
	b_header(b, 3, 1, 0);
	b_tensor(b, "w", DIMS(300, 256), TENSOR_Q4_K, 0);
}

CASE(scalar_in_blocks,
     "x.gguf: byte 37: tensor \"w\": its rows have 1 elements; the type Q8_0 wants a multiple of 32")
{
	b_header(b, 3, 1, 0);
	b_tensor(b, "w", 0, NULL, TENSOR_Q8_0, 0);
}

CASE(offset_misaligned,
     "x.gguf: byte 49: tensor \"w\": its offset is 33; it must be a multiple of the alignment, 32")
{
	b_header(b, 3, 1, 0);
	b_tensor(b, "w", DIMS(1), TENSOR_F32, 33);
	b_zeros(b, 100);
}

CASE(offset_misaligned_64,
     "x.gguf: byte 82: tensor \"w\": its offset is 32; it must be a multiple of the alignment, 64")
{
	b_header(b, 3, 1, 1);
	b_key_u32(b, "general.alignment", 64);
	b_tensor(b, "w", DIMS(1), TENSOR_F32, 32);
	b_zeros(b, 100);
}

CASE(offset_past_end,
     "x.gguf: byte 49: tensor \"w\": its offset is 128 and it takes 4 bytes; the file holds 64 bytes of "
     "tensor data (is it cut short?)")
{
	b_header(b, 3, 1, 0);
	b_tensor(b, "w", DIMS(1), TENSOR_F32, 128);
	b_pad(b, 32);
	b_zeros(b, 64);
}

CASE(offset_max,
     "x.gguf: byte 49: tensor \"w\": its offset is 18446744073709551584 and it takes 128 bytes; the file "
     "holds 64 bytes of tensor data (is it cut short?)")
{
	b_header(b, 3, 1, 0);
	b_tensor(b, "w", DIMS(32), TENSOR_F32, UINT64_MAX - 31);
	b_pad(b, 32);
	b_zeros(b, 64);
}

CASE(data_one_byte_short,
     "x.gguf: byte 49: tensor \"w\": its offset is 0 and it takes 34 bytes; the file holds 33 bytes "
     "of tensor data (is it cut short?)")
{
	b_header(b, 3, 1, 0);
	b_tensor(b, "w", DIMS(32), TENSOR_Q8_0, 0);
	b_pad(b, 32);
	b_zeros(b, 33);
}

CASE(no_data,
     "x.gguf: byte 49: tensor \"w\": its offset is 0 and it takes 4 bytes; the file holds 0 bytes of tensor "
     "data (is it cut short?)")
{
	b_header(b, 3, 1, 0);
	b_tensor(b, "w", DIMS(1), TENSOR_F32, 0);
}

CASE(overlap, "x.gguf: byte 82: tensor \"b\": its bytes begin at 128, inside those of tensor \"a\" (96 to "
	      "132); tensors "
	      "must not overlap")
{
	b_header(b, 3, 2, 0);
	b_tensor(b, "a", DIMS(9), TENSOR_F32, 0);
	b_tensor(b, "b", DIMS(9), TENSOR_F32, 32);
	b_pad(b, 32);
	b_zeros(b, 128);
}

CASE(overlap_same,
     "x.gguf: byte 82: tensor \"b\": its bytes begin at 128, inside those of tensor \"a\" (128 to 132); "
     "tensors must not overlap")
{
	b_header(b, 3, 2, 0);
	b_tensor(b, "a", DIMS(1), TENSOR_F32, 32);
	b_tensor(b, "b", DIMS(1), TENSOR_F32, 32);
	b_pad(b, 32);
	b_zeros(b, 64);
}

/* the wide one stands last in the list and first in the file */
CASE(overlap_inside,
     "x.gguf: byte 49: tensor \"a\": its bytes begin at 224, inside those of tensor \"c\" (128 to 384); "
     "tensors must not overlap")
{
	b_header(b, 3, 3, 0);
	b_tensor(b, "a", DIMS(8), TENSOR_F32, 96);
	b_tensor(b, "b", DIMS(8), TENSOR_F32, 256);
	b_tensor(b, "c", DIMS(64), TENSOR_F32, 0);
	b_pad(b, 32);
	b_zeros(b, 288);
}

CASE(tensor_twice,
     "x.gguf: byte 57: tensor \"w\": the same name stands at byte 24; each tensor may occur once")
{
	b_header(b, 3, 2, 0);
	b_tensor(b, "w", DIMS(1), TENSOR_F32, 0);
	b_tensor(b, "w", DIMS(1), TENSOR_F32, 32);
	b_pad(b, 32);
	b_zeros(b, 64);
}

CASE(info_cut, "x.gguf: byte 57: tensor \"w\": the tensor's offset needs 8 bytes; the file has 7 more (is it "
	       "cut short?)")
{
	b_header(b, 3, 1, 0);
	b_str(b, "w");
	b_u32(b, 2);
	b_u64(b, 1);
	b_u64(b, 1);
	b_u32(b, TENSOR_F32);
	b_zeros(b, 7);
}

/* ---- the tests ---- */

static const struct {
	const char *name, *message;
	void (*build)(struct strbuf *b);
} cases[] = {
#define ROW(name)                                   \
	{                                           \
#name, message_##name, build_##name \
	}
	ROW(empty),
	ROW(one_byte),
	ROW(other_magic),
	ROW(lfs_pointer),
	ROW(zip),
	ROW(ggjt),
	ROW(old_adapter),
	ROW(old_session),
	ROW(old_state),
	ROW(old_imatrix),
	ROW(old_imatrix_output),
	ROW(no_old_imatrix),
	ROW(web_page),
	ROW(gzip),
	ROW(no_version),
	ROW(version_0),
	ROW(version_1),
	ROW(version_4),
	ROW(big_endian_1),
	ROW(big_endian_2),
	ROW(big_endian_3),
	ROW(no_counts),
	ROW(no_key_count),
	ROW(too_many_tensors),
	ROW(more_tensors_than_bytes),
	ROW(too_many_keys),
	ROW(more_keys_than_bytes),
	ROW(key_too_long),
	ROW(key_past_end),
	ROW(key_empty),
	ROW(key_control),
	ROW(key_not_utf8),
	ROW(type_13),
	ROW(type_huge),
	ROW(type_cut),
	ROW(u64_cut),
	ROW(bool_2),
	ROW(string_too_long),
	ROW(string_length_max),
	ROW(string_past_end),
	ROW(element_type_13),
	ROW(array_too_long),
	ROW(array_length_wraps),
	ROW(array_past_end),
	ROW(array_string_cut),
	ROW(array_bool_7),
	ROW(nested_5),
	ROW(nested_bad_type),
	ROW(nested_past_end),
	ROW(key_twice),
	ROW(key_three_times),
	ROW(alignment_i32),
	ROW(alignment_array),
	ROW(alignment_0),
	ROW(alignment_4),
	ROW(alignment_48),
	ROW(alignment_131072),
	ROW(name_too_long),
	ROW(name_empty),
	ROW(name_control),
	ROW(dims_5),
	ROW(dims_cut),
	ROW(dim_0),
	ROW(dim_huge),
	ROW(dims_product),
	ROW(dims_product_wraps),
	ROW(tensor_type_cut),
	ROW(type_1000_cut),
	ROW(type_negative_overlaps),
	ROW(type_removed_rows),
	ROW(row_not_whole_blocks),
	ROW(scalar_in_blocks),
	ROW(offset_misaligned),
	ROW(offset_misaligned_64),
	ROW(offset_past_end),
	ROW(offset_max),
	ROW(data_one_byte_short),
	ROW(no_data),
	ROW(overlap),
	ROW(overlap_same),
	ROW(overlap_inside),
	ROW(tensor_twice),
	ROW(info_cut),
#undef ROW
};
enum { N_CASES = sizeof cases / sizeof *cases };
_Static_assert(N_CASES >= 40, "at least 40 broken files");

static void test_messages(void **state)
{
	(void)state;
	int wrong = 0;
	for (size_t i = 0; i < N_CASES; i++) {
		struct strbuf b = {0};
		struct hokku_error err = {0};
		struct gguf *g = NULL;
		void *copy;
		cases[i].build(&b);
		enum hokku_code rc = b_open(&b, &copy, &g, &err);
		if (rc != HOKKU_BAD_FILE || g || strcmp(err.message, cases[i].message) != 0) {
			print_error("%s:\n  said:   %s\n  wanted: %s\n", cases[i].name,
				    rc ? err.message : "(opened)", cases[i].message);
			wrong++;
		}
		gguf_close(g);
		free(copy);
		strbuf_free(&b);
	}
	assert_int_equal(wrong, 0);
}

/* A name can say what the bytes do not. */
static void test_named_pieces(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		bool piece;
	} names[] = {{"m.gguf.part2of2", true},
		     {"d/m.gguf-split-b", true},
		     {"m-00002-of-00003.gguf", true},
		     {"parts/m.gguf", false},
		     {"m.gguf", false}};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct gguf *g;
		struct hokku_error err;
		assert_int_equal(gguf_open_memory("bits", 4, names[i].name, &g, &err), HOKKU_BAD_FILE);
		assert_true(names[i].piece ==
			    (strstr(err.message, "(a later piece of a file that was cut into "
						 "pieces is joined to the first with `cat`)") != NULL));
	}
}

/* An error struct is not asked for: the code alone must do. */
static void test_no_error_struct(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_CASES; i++) {
		struct strbuf b = {0};
		struct gguf *g = NULL;
		void *copy;
		cases[i].build(&b);
		assert_int_equal(b_open(&b, &copy, &g, NULL), HOKKU_BAD_FILE);
		free(copy);
		strbuf_free(&b);
	}
}

/* `gguf_broken --seeds DIR` writes the files as seeds for tests/fuzz/fuzz_gguf.c. */
static void write_seed(const char *folder, const char *name, const struct strbuf *b)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s.gguf", folder, name);
	FILE *f = b->len <= 4096 ? fopen(path, "wb") : NULL;
	if (!f)
		return;
	fwrite(b->len ? b->ptr : "", 1, b->len, f);
	fclose(f);
}

static int write_seeds(const char *folder)
{
	for (size_t i = 0; i < N_CASES; i++) {
		struct strbuf b = {0};
		cases[i].build(&b);
		write_seed(folder, cases[i].name, &b);
		strbuf_free(&b);
	}
	for (uint32_t version = 2; version <= 3; version++) {
		struct strbuf b = {0};
		b_rich(&b, version, version == 2 ? 5 : 0);
		write_seed(folder, version == 2 ? "rich_2" : "rich_3", &b);
		strbuf_free(&b);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--seeds") == 0)
		return write_seeds(argv[2]);
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_messages),
					   cmocka_unit_test(test_named_pieces),
					   cmocka_unit_test(test_no_error_struct)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
