/*
 * Loads a model and streams its answer:
 *
 *     stream "autumn rain"            the haiku model inside the library
 *     stream "autumn rain" FILE.gguf  a model of yours
 *
 * Build: cc stream.c $(pkg-config --cflags --libs hokku) -o stream
 */
#include <hokku.h>
#include <stdio.h>

/* Called with each piece of text as it is made; false would end the answer. */
static bool print_text(void *user, const char *text, size_t n_bytes, int32_t token)
{
	(void)user;
	(void)token;
	return fwrite(text, 1, n_bytes, stdout) == n_bytes && fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
	struct hokku *model;
	struct hokku_error err;
	struct hokku_result result;
	struct hokku_options options = HOKKU_OPTIONS_INIT;
	struct hokku_request request = HOKKU_REQUEST_INIT;
	struct hokku_message message = {"user", argc > 1 ? argv[1] : "autumn rain"};

	options.model_path = argc > 2 ? argv[2] : NULL;
	if (hokku_open(&options, &model, &err)) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	request.messages = &message;
	request.n_messages = 1;
	request.max_tokens = 200;
	enum hokku_code code = hokku_generate(model, &request, print_text, NULL, &result, &err);
	if (code)
		fprintf(stderr, "%s: %s\n", hokku_code_name(code), err.message);
	else
		fprintf(stderr, "\n%u tokens, the first after %.0f ms, seed %llu\n", result.tokens_out,
			result.ttft_ms, (unsigned long long)result.seed);
	hokku_close(model);
	return code != HOKKU_OK;
}
