# What single rooms need beyond room(): compile flags of single files, generated or embedded data.

# engine: the model inside the binary (src/engine/bundled.S), where it has been trained already.
file(GLOB bundled CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/models/haiku/haiku.gguf)
if(bundled)
	set_source_files_properties(src/engine/bundled.S PROPERTIES
		COMPILE_DEFINITIONS "HOKKU_BUNDLED_FILE=\"${bundled}\"" OBJECT_DEPENDS ${bundled})
endif()
# clang warns of C flags that mean nothing to an assembler.
set_source_files_properties(src/engine/bundled.S src/server/page.S PROPERTIES COMPILE_OPTIONS
	"$<$<C_COMPILER_ID:Clang>:-Wno-unused-command-line-argument>")

# server: the page inside the binary (src/server/page.S), as page/ has built it, compressed.
set(page ${PROJECT_SOURCE_DIR}/page/dist)
set(page_gzip ${CMAKE_CURRENT_BINARY_DIR}/page.gz)
add_custom_command(OUTPUT ${page_gzip} DEPENDS ${page}/index.html ${PROJECT_SOURCE_DIR}/cmake/gzip.cmake VERBATIM
	COMMAND ${CMAKE_COMMAND} -DFROM=${page}/index.html -DTO=${page_gzip} -P ${PROJECT_SOURCE_DIR}/cmake/gzip.cmake)
target_sources(hokku_server PRIVATE ${page_gzip})
set_source_files_properties(src/server/page.S PROPERTIES
	COMPILE_DEFINITIONS "HOKKU_PAGE_FILE=\"${page_gzip}\";HOKKU_PAGE_POLICY_FILE=\"${page}/policy.txt\""
	OBJECT_DEPENDS "${page_gzip};${page}/policy.txt")

# engine, server: their threads share lines; elsewhere CMakeLists.txt lets counters be plain.
if(HOKKU_COVERAGE)
	foreach(room engine server)
		target_compile_options(hokku_${room} PRIVATE -fprofile-update=atomic)
	endforeach()
endif()

# compute: the loops over all logits are written for the vectoriser.
set_source_files_properties(src/compute/passes.c PROPERTIES COMPILE_OPTIONS "$<$<NOT:$<CONFIG:Debug>>:-O3>")

# compute/cpu: the kernels' tiers are one source each, built for its instruction set; run-time dispatch picks one.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
	set(tier_avx2 -mavx2 -mfma -mf16c)
	set(tier_avx512 ${tier_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni)
	set(tier_amx ${tier_avx512} -mamx-tile -mamx-int8)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
	set(tier_neon_dotprod -march=armv8.2-a+dotprod)
endif()
set(tier_optimise $<$<NOT:$<CONFIG:Debug>>:-O3>)
if(HOKKU_SANITIZE) # see tier_body.h; the portable tier is the same source and keeps all checks and counts
	set(tier_optimise -O2 -fno-sanitize=undefined -fno-profile-arcs -fno-test-coverage)
endif()
if(HOKKU_SANITIZE STREQUAL "thread")
	list(APPEND tier_optimise -fno-sanitize=thread -DTIER_WATCHED) # tier_watched.h
endif()
foreach(tier avx2 avx512 amx neon neon_dotprod)
	set_source_files_properties(src/compute/cpu/tier_${tier}.c PROPERTIES COMPILE_OPTIONS
		"${tier_${tier}};${tier_optimise}")
endforeach()

# The kernels are large after inlining: with every check of the undefined-behaviour sanitizer one tier takes two
# minutes to compile. These four multiply the code most; the address sanitizer covers what they would find.
if(HOKKU_SANITIZE MATCHES "undefined")
	file(GLOB tiers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/compute/cpu/tier_*.c)
	set_property(SOURCE ${tiers} APPEND PROPERTY COMPILE_OPTIONS
		-fno-sanitize=null,alignment,object-size,pointer-overflow)
endif()
set_source_files_properties(src/compute/cpu/pack.c src/compute/cpu/product.c src/compute/cpu/forward.c PROPERTIES
	COMPILE_OPTIONS "$<$<NOT:$<CONFIG:Debug>>:-O3>")
