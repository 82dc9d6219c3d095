/* SipHash-2-4 against the vectors of its authors' reference implementation, and the build's number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/build.h"
#include "base/hash.h"
#include "hokku.h"

static void siphash_is_the_authors(void **state)
{
	/* of the first n bytes 0, 1, 2 ... under the key 0, 1, ... 15 */
	static const struct {
		size_t n;
		uint64_t hash;
	} vectors[] = {
		{0, UINT64_C(0x726fdb47dd0e0e31)}, {1, UINT64_C(0x74f839c593dc67fd)},
		{2, UINT64_C(0x0d6c8009d9a94f5a)}, {7, UINT64_C(0xab0200f58b01d137)},
		{8, UINT64_C(0x93f5f5799a932462)}, {15, UINT64_C(0xa129ca6149be45e5)},
	};
	unsigned char bytes[16];
	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)i;
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
		assert_int_equal(siphash(UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908), bytes,
					 vectors[i].n),
				 vectors[i].hash);
}

static void a_build_has_a_number(void **state)
{
	char id[BUILD_ID_TEXT], again[BUILD_ID_TEXT];
	(void)state;
	build_id(id);
	build_id(again);
	assert_string_equal(id, again);
	size_t n = strlen(hokku_version());
	assert_memory_equal(id, hokku_version(), n);
	assert_int_equal(id[n], ' ');
	assert_int_equal(strspn(id + n + 1, "0123456789abcdef"), 40);
	assert_int_equal(strlen(id), n + 41);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_is_the_authors),
		cmocka_unit_test(a_build_has_a_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
