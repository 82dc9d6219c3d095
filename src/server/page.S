/* The page of `GET /` as page/ builds it (page/dist/, committed), and the policy that goes with it. */
	.section .rodata
	.globl hokku_page_begin
	.hidden hokku_page_begin
	.globl hokku_page_end
	.hidden hokku_page_end
	.globl hokku_page_policy
	.hidden hokku_page_policy
hokku_page_begin:
	.incbin HOKKU_PAGE_FILE
hokku_page_end:
	.byte 0
hokku_page_policy:
	.incbin HOKKU_PAGE_POLICY_FILE
	.byte 0
	.section .note.GNU-stack, "", %progbits
