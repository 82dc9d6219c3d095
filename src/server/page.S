/* The page of `GET /` as page/ builds it (page/dist/, committed), compressed by the build, and the policy that goes with it. */
	.section .rodata
	.globl hokku_page_begin
	.hidden hokku_page_begin
	.globl hokku_page_end
	.hidden hokku_page_end
	.globl hokku_page_policy
	.hidden hokku_page_policy
hokku_page_begin:
	.incbin HOKKU_PAGE_FILE, 0, 4
	.byte 0, 0, 0, 0 /* when it was compressed: the same source is to give the same program */
	.incbin HOKKU_PAGE_FILE, 8
hokku_page_end:
	.byte 0
hokku_page_policy:
	.incbin HOKKU_PAGE_POLICY_FILE
	.byte 0
	.section .note.GNU-stack, "", %progbits
