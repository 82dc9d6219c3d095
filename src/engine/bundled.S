/* The haiku model, as it stands in models/haiku/haiku.gguf, page-aligned so that the GGUF reader and the kernels meet
 * it as they meet a mapped file. Without the file (a tree in which it has not been trained yet) it is empty. */
	.section .rodata
	.balign 4096
	.globl hokku_bundled_begin
	.hidden hokku_bundled_begin
	.globl hokku_bundled_end
	.hidden hokku_bundled_end
hokku_bundled_begin:
#ifdef HOKKU_BUNDLED_FILE
	.incbin HOKKU_BUNDLED_FILE
#endif
hokku_bundled_end:
	.byte 0
	.section .note.GNU-stack, "", %progbits
