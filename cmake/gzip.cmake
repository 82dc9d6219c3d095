# cmake -DFROM=FILE -DTO=FILE -P gzip.cmake: a file as gzip has it. CMake itself compresses: there need be no gzip on the machine.
file(ARCHIVE_CREATE OUTPUT "${TO}" PATHS "${FROM}" FORMAT raw COMPRESSION GZip COMPRESSION_LEVEL 9)
