/* Which build this is: bits may differ from one to the next. */
#ifndef BASE_BUILD_H
#define BASE_BUILD_H

enum { BUILD_ID_TEXT = 64 };

/* "0.1.0 1f0c...": the version, and the number that the linker gave to the program or shared object that this
 * function is part of, in which every change of the code shows; "0.1.0 unknown" where it gave none. */
void build_id(char out[BUILD_ID_TEXT]);

#endif
