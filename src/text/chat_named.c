/*
 * Templates of well-known families, for files that carry none (--chat-template NAME), written from the
 * formats as their makers publish them and under the names that llama-server gives them. Each is tried in
 * test_chat_named.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "text/chat.h"
#include "text/limits.h"

#define EACH         "{% for m in messages %}"
#define ANSWER(text) "{% endfor %}{% if add_generation_prompt %}" text "{% endif %}"

/* A system message that goes into the first user message. */
#define TAKE_SYSTEM                                                                             \
	"{% set ns = namespace(system='') %}{% for m in messages %}{% if m.role == 'system' %}" \
	"{% set ns.system = ns.system ~ m.content|trim %}{% endif %}{% endfor %}"

#define MISTRAL(before, user, close, answer)                                                                 \
	"{{ bos_token }}" TAKE_SYSTEM EACH "{% if m.role == 'user' %}" before "[INST]" user                  \
	"{% if ns.system %}{{ ns.system ~ '\n\n' }}{% set ns.system = '' %}{% endif %}{{ m.content }}" close \
	"[/INST]{% elif m.role == 'assistant' %}" answer " ~ eos_token }}{% endif %}{% endfor %}"

#define MISTRAL_V7(blank)                                                         \
	"{{ bos_token }}" EACH "{% if m.role == 'system' %}[SYSTEM_PROMPT]" blank \
	"{{ m.content }}[/SYSTEM_PROMPT]{% elif m.role == 'user' %}[INST]" blank  \
	"{{ m.content }}[/INST]{% else %}" blank "{{ m.content ~ eos_token }}{% endif %}{% endfor %}"

static const struct {
	const char *name, *source;
} named[] = {
	{"chatml",
	 EACH "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n" ANSWER("<|im_start|>assistant\n")},
	{"chatglm3", "[gMASK]sop" EACH "<|{{ m.role }}|>\n {{ m.content }}" ANSWER("<|assistant|>")},
	{"chatglm4", "[gMASK]<sop>" EACH "<|{{ m.role }}|>\n{{ m.content }}" ANSWER("<|assistant|>\n")},
	{"command-r",
	 "{{ bos_token }}" EACH
	 "<|START_OF_TURN_TOKEN|>{% if m.role == 'system' %}<|SYSTEM_TOKEN|>{% elif m.role == 'user' %}"
	 "<|USER_TOKEN|>{% else %}<|CHATBOT_TOKEN|>{% endif %}{{ m.content|trim }}<|END_OF_TURN_TOKEN|>" ANSWER(
		 "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>")},
	{"deepseek", "{{ bos_token }}" EACH
		     "{% if m.role == 'system' %}{{ m.content }}{% elif m.role == 'user' %}### Instruction:\n"
		     "{{ m.content }}\n{% else %}### Response:\n{{ m.content }}\n<|EOT|>\n{% endif %}" ANSWER(
			     "### Response:\n")},
	{"deepseek2",
	 "{{ bos_token }}" EACH
	 "{% if m.role == 'system' %}{{ m.content ~ '\n\n' }}{% elif m.role == 'user' %}User: {{ m.content ~ "
	 "'\n\n' }}{% else %}Assistant: {{ m.content ~ eos_token }}{% endif %}" ANSWER("Assistant:")},
	{"deepseek3",
	 "{{ bos_token }}" EACH
	 "{% if m.role == 'system' %}{{ m.content ~ '\n\n' }}{% elif m.role == 'user' %}<\uff5cUser\uff5c>"
	 "{{ m.content }}{% else %}<\uff5cAssistant\uff5c>{{ m.content }}<\uff5cend\u2581of\u2581sentence\uff5c>"
	 "{% endif %}" ANSWER("<\uff5cAssistant\uff5c>")},
	{"exaone3", EACH
	 "{% if m.role == 'system' %}[|system|]{{ m.content|trim }}[|endofturn|]\n{% elif m.role == 'user' %}\n"
	 "[|user|]{{ m.content|trim ~ '\n' }}{% else %}[|assistant|]{{ m.content|trim }}[|endofturn|]\n"
	 "{% endif %}\n" ANSWER("[|assistant|]")},
	{"exaone4", EACH
	 "[|{{ m.role }}|]{% if m.role == 'assistant' %}{{ m.content|trim }}[|endofturn|]\n{% else %}\n"
	 "{{ m.content|trim }}{% if m.role == 'system' %}[|endofturn|]{% endif %}{{ '\n' }}{% endif %}\n" ANSWER(
		 "[|assistant|]")},
	{"falcon3", EACH "<|{{ m.role }}|>\n{{ m.content ~ '\n' }}" ANSWER("<|assistant|>\n")},
	{"gemma",
	 "{{ bos_token }}" TAKE_SYSTEM EACH
	 "{% if m.role != 'system' %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
	 "{% if m.role == 'user' and ns.system %}{{ ns.system ~ '\n\n' }}{% set ns.system = '' %}{% endif %}"
	 "{{ m.content|trim }}<end_of_turn>\n{% endif %}" ANSWER("<start_of_turn>model\n")},
	{"gpt-oss", EACH
	 "<|start|>{{ m.role }}{% if m.role == 'assistant' %}<|channel|>final{% endif %}<|message|>{{ m.content }}<|end|>" ANSWER(
		 "<|start|>assistant")},
	{"granite",
	 EACH "<|start_of_role|>{{ m.role }}<|end_of_role|>{{ m.content }}<|end_of_text|>\n" ANSWER(
		 "<|start_of_role|>assistant<|end_of_role|>")},
	{"llama2",
	 "{% set ns = namespace(system='') %}" EACH
	 "{% if m.role == 'system' %}{% set ns.system = '<<SYS>>\n' ~ m.content|trim ~ '\n<</SYS>>\n\n' %}"
	 "{% elif m.role == 'user' %}{{ bos_token ~ '[INST] ' ~ ns.system ~ m.content|trim ~ ' [/INST]' }}"
	 "{% set ns.system = '' %}{% else %}{{ ' ' ~ m.content|trim ~ ' ' ~ eos_token }}{% endif %}{% endfor %}"},
	{"llama3",
	 "{{ bos_token }}" EACH
	 "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content|trim }}<|eot_id|>" ANSWER(
		 "<|start_header_id|>assistant<|end_header_id|>\n\n")},
	{"llama4", "{{ bos_token }}" EACH
		   "<|header_start|>{{ m.role }}<|header_end|>\n\n{{ m.content|trim }}<|eot|>" ANSWER(
			   "<|header_start|>assistant<|header_end|>\n\n")},
	{"minicpm", EACH
	 "{% if m.role == 'user' %}<\u7528\u6237>{{ m.content|trim }}<AI>{% else %}{{ m.content|trim }}{% endif "
	 "%}{% endfor %}"},
	{"mistral-v1", MISTRAL(" ", " ", " ", " {{ m.content")},
	{"mistral-v3", MISTRAL("", " ", "", " {{ m.content|trim")},
	{"mistral-v3-tekken", MISTRAL("", "", "", "{{ m.content")},
	{"mistral-v7", MISTRAL_V7(" ")},
	{"mistral-v7-tekken", MISTRAL_V7("")},
	{"openchat",
	 "{{ bos_token }}" EACH
	 "{% if m.role == 'system' %}{{ m.content ~ '<|end_of_turn|>' }}{% else %}GPT4 Correct "
	 "{{ m.role|title }}: {{ m.content }}<|end_of_turn|>{% endif %}" ANSWER("GPT4 Correct Assistant:")},
	{"orion",
	 "{{ bos_token }}" TAKE_SYSTEM EACH
	 "{% if m.role == 'user' %}Human: {% if ns.system %}{{ ns.system ~ '\n\n' }}{% set ns.system = '' %}{% endif %}"
	 "{{ m.content }}\n\nAssistant: {{ eos_token }}{% elif m.role == 'assistant' %}{{ m.content ~ eos_token }}{% endif "
	 "%}{% endfor %}"},
	{"phi3", EACH "<|{{ m.role }}|>\n{{ m.content }}<|end|>\n" ANSWER("<|assistant|>\n")},
	{"phi4", EACH "<|im_start|>{{ m.role }}<|im_sep|>{{ m.content }}<|im_end|>" ANSWER(
			 "<|im_start|>assistant<|im_sep|>")},
	{"seed_oss", EACH
	 "<seed:bos>{{ m.role ~ '\n' ~ (m.content|trim if m.role == 'assistant' else m.content) }}<seed:eos>" ANSWER(
		 "<seed:bos>assistant\n")},
	{"vicuna", EACH
	 "{% if m.role == 'system' %}{{ m.content ~ '\n\n' }}{% elif m.role == 'user' %}USER: {{ m.content ~ '\n' }}"
	 "{% else %}ASSISTANT: {{ m.content }}</s>\n{% endif %}\n" ANSWER("ASSISTANT:")},
	{"vicuna-orca", EACH
	 "{% if m.role == 'system' %}SYSTEM: {{ m.content ~ '\n' }}{% elif m.role == 'user' %}USER: {{ m.content ~ '\n' }}"
	 "{% else %}ASSISTANT: {{ m.content }}</s>\n{% endif %}\n" ANSWER("ASSISTANT:")},
	{"zephyr", EACH "<|{{ m.role }}|>\n{{ m.content ~ eos_token ~ '\n' }}" ANSWER("<|assistant|>\n")},
};
enum { N_NAMED = sizeof named / sizeof *named };

struct str chat_named(const char *name)
{
	for (size_t i = 0; i < N_NAMED; i++)
		if (strcmp(named[i].name, name) == 0)
			return str_c(named[i].source);
	return (struct str){NULL, 0};
}

const char *chat_name(size_t i)
{
	return i < N_NAMED ? named[i].name : NULL;
}

enum hokku_code chat_read_file(const char *path, struct str *source, char **owned, struct hokku_error *err)
{
	size_t n = 0;
	enum hokku_code rc = file_read(path, CHAT_MAX_TEMPLATE_BYTES, owned, &n, err);
	if (rc)
		return err_prefix(err, rc, "the chat template");
	*source = (struct str){*owned, n};
	if (!n)
		return err_set(err, HOKKU_BAD_FILE, "the chat template %s is empty", path);
	return HOKKU_OK;
}

enum hokku_code chat_find(const char *wanted, struct str *source, char **owned, struct hokku_error *err)
{
	const char *names[N_NAMED + 1] = {0};
	char quoted[80];
	struct strbuf list = {0};
	*owned = NULL;
	*source = chat_named(wanted);
	if (source->ptr)
		return HOKKU_OK;
	if (strstr(wanted, "{{") || strstr(wanted, "{%")) {
		*source = str_c(wanted);
		return HOKKU_OK;
	}
	if (strchr(wanted, '/') || access(wanted, F_OK) == 0)
		return chat_read_file(wanted, source, owned, err);
	for (size_t i = 0; i < N_NAMED; i++) {
		names[i] = named[i].name;
		strbuf_addf(&list, "%s%s", i ? ", " : "", named[i].name);
	}
	const char *near = str_nearest(wanted, names);
	str_quote(str_c(wanted), quoted, sizeof quoted);
	enum hokku_code rc;
	if (near)
		rc = err_set(err, HOKKU_NOT_FOUND,
			     "the chat template %s is neither a name known here nor a file; is \"%s\" meant?",
			     quoted, near);
	else
		rc = err_set(err, HOKKU_NOT_FOUND, "the chat template %s is neither a file nor one of %s",
			     quoted, list.ptr ? list.ptr : "the names known here");
	strbuf_free(&list);
	return rc;
}
