/* The table of dialects, and of what marks thinking. docs/tools.md has it for people. */
#include "text/dialect_internal.h"

/* {"name": ..., "arguments": ...} as templates write it. */
#define OBJECT(args) "{\"name\": \"" NAME "\", \"" args "\": " ARGS "}"

#define RESPONSE_MARKERS                                                                   \
	{                                                                                  \
		"<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>" \
	}

/* DeepSeek's bars and low lines are wide ones. */
#define BAR "\uff5c"
#define LOW "\u2581"

#define DSML(section)                                                                                    \
	.body = BODY_MARKUP, .open = {"<" BAR "DSML" BAR section ">"},                                   \
	.close = "</" BAR "DSML" BAR section ">", .call = "<" BAR "DSML" BAR "invoke name=\"",           \
	.name_end = "\">", .call_end = "</" BAR "DSML" BAR "invoke>",                                    \
	.param = "<" BAR "DSML" BAR "parameter name=\"",                                                 \
	.key_end = {"s\" string=\"true\">", "j\" string=\"false\">"},                                    \
	.param_end = "</" BAR "DSML" BAR "parameter>", .write_begin = "<" BAR "DSML" BAR section ">\n",  \
	.write_call =                                                                                    \
		"<" BAR "DSML" BAR "invoke name=\"" NAME "\">\n" PARAMS "</" BAR "DSML" BAR "invoke>\n", \
	.write_end = "</" BAR "DSML" BAR section ">"

static const struct dialect rows[] = {
	{
		.name = "hermes",
		.about = "Hermes 2 and 3, Qwen 2.5, QwQ, Qwen 3, MiMo, Granite 4, SmolLM3, Bielik, Reka",
		.body = BODY_JSON,
		.open = {"<tool_call>"},
		.close = "</tool_call>",
		.write_call = "<tool_call>\n" OBJECT("arguments") "\n</tool_call>",
		.write_between = SOFT,
	},
	{
		.name = "qwen3-coder",
		.about = "Qwen3-Coder, Qwen 3.5, Nemotron 3, Step 3.5",
		.body = BODY_MARKUP,
		.flags = DIALECT_LINES | DIALECT_ENDS_THINKING,
		.open = {"<tool_call>", "<function="},
		.close = "</tool_call>",
		.call = "<function=",
		.name_end = ">",
		.call_end = "</function>",
		.param = "<parameter=",
		.key_end = {"?>"},
		.param_end = "</parameter>",
		.write_call = "<tool_call>\n<function=" NAME ">\n" PARAMS "</function>\n</tool_call>",
		.write_param = "<parameter=" KEY ">\n" VALUE "\n</parameter>\n",
		.write_between = SOFT,
	},
	{
		.name = "llama3",
		.about = "Llama 3.1, 3.2, 3.3",
		.body = BODY_JSON,
		.flags = DIALECT_BARE | DIALECT_KNOWN_ONLY,
		.open = {"<|python_tag|>"},
		.write_call = OBJECT("parameters"),
	},
	{
		.name = "llama3-function",
		.about = "Llama 3 with user-defined functions, Functionary 3.1",
		.body = BODY_TAGGED,
		.open = {"<function="},
		.name_end = ">",
		.call_end = "</function>",
		.write_call = "<function=" NAME ">" ARGS "</function>",
	},
	{
		.name = "mistral",
		.about = "Mistral 7B v0.3, Nemo, Small before 3",
		.body = BODY_JSON,
		.flags = DIALECT_ALSO_TAGGED,
		.open = {"[TOOL_CALLS]"},
		.name_end = "[ARGS]",
		.id = "[CALL_ID]",
		.write_begin = "[TOOL_CALLS][",
		.write_call = "{\"name\": \"" NAME "\", \"arguments\": " ARGS ", \"id\": \"" CALL_ID "\"}",
		.write_between = ", ",
		.write_end = "]",
	},
	{
		.name = "mistral-args",
		.about = "Devstral, Magistral, Ministral 3",
		.body = BODY_JSON,
		.flags = DIALECT_ALSO_TAGGED,
		.open = {"[TOOL_CALLS]"},
		.name_end = "[ARGS]",
		.id = "[CALL_ID]",
		.write_call = "[TOOL_CALLS]" NAME "[ARGS]" ARGS,
	},
	{
		.name = "mistral-call-id",
		.about = "Mistral Small 3.2",
		.body = BODY_JSON,
		.flags = DIALECT_ALSO_TAGGED,
		.open = {"[TOOL_CALLS]"},
		.name_end = "[ARGS]",
		.id = "[CALL_ID]",
		.write_call = "[TOOL_CALLS]" NAME "[CALL_ID]" CALL_ID "[ARGS]" ARGS,
	},
	{
		.name = "phi4-mini",
		.about = "Phi-4-mini",
		.told = {"<|/tool|>"},
		.body = BODY_JSON,
		.open = {"<|tool_call|>"},
		.close = "<|/tool_call|>",
		.write_begin = "<|tool_call|>[",
		.write_call = OBJECT("arguments"),
		.write_between = ", ",
		.write_end = "]<|/tool_call|>",
	},
	{
		.name = "deepseek-r1",
		.about = "DeepSeek R1 and V3",
		.flags = DIALECT_ENDS_THINKING,
		.body = BODY_TAGGED,
		.open = {"<" BAR "tool" LOW "calls" LOW "begin" BAR ">"},
		.close = "<" BAR "tool" LOW "calls" LOW "end" BAR ">",
		.call = "<" BAR "tool" LOW "call" LOW "begin" BAR ">function<" BAR "tool" LOW "sep" BAR ">",
		.name_end = "```json",
		.call_end = "```<" BAR "tool" LOW "call" LOW "end" BAR ">",
		.write_begin = "<" BAR "tool" LOW "calls" LOW "begin" BAR ">",
		.write_call = "<" BAR "tool" LOW "call" LOW "begin" BAR ">function<" BAR "tool" LOW "sep" BAR
			      ">" NAME "\n```json\n" ARGS "\n```<" BAR "tool" LOW "call" LOW "end" BAR ">",
		.write_between = "\n",
		.write_end = "<" BAR "tool" LOW "calls" LOW "end" BAR ">",
	},
	{
		.name = "deepseek-v3.1",
		.about = "DeepSeek V3.1",
		.flags = DIALECT_ENDS_THINKING,
		.body = BODY_TAGGED,
		.open = {"<" BAR "tool" LOW "calls" LOW "begin" BAR ">"},
		.close = "<" BAR "tool" LOW "calls" LOW "end" BAR ">",
		.call = "<" BAR "tool" LOW "call" LOW "begin" BAR ">",
		.name_end = "<" BAR "tool" LOW "sep" BAR ">",
		.call_end = "<" BAR "tool" LOW "call" LOW "end" BAR ">",
		.write_begin = "<" BAR "tool" LOW "calls" LOW "begin" BAR ">",
		.write_call = "<" BAR "tool" LOW "call" LOW "begin" BAR ">" NAME "<" BAR "tool" LOW "sep" BAR
			      ">" ARGS "<" BAR "tool" LOW "call" LOW "end" BAR ">",
		.write_end = "<" BAR "tool" LOW "calls" LOW "end" BAR ">",
	},
	{
		.name = "deepseek-v3.2",
		.about = "DeepSeek V3.2",
		.flags = DIALECT_ENDS_THINKING,
		DSML("function_calls"),
		.write_param =
			"<" BAR "DSML" BAR "parameter name=\"" KEY VALUE "</" BAR "DSML" BAR "parameter>\n",
	},
	{
		.name = "deepseek-v4",
		.about = "DeepSeek V4",
		.flags = DIALECT_ENDS_THINKING,
		DSML("tool_calls"),
		.write_param =
			"<" BAR "DSML" BAR "parameter name=\"" KEY VALUE "</" BAR "DSML" BAR "parameter>\n",
	},
	{
		.name = "glm-4.5",
		.about = "GLM 4.5 to 4.7, Laguna",
		.body = BODY_MARKUP,
		.open = {"<tool_call>"},
		.param = "<arg_key>",
		.key_end = {"?</arg_key>"},
		.value = "<arg_value>",
		.param_end = "</arg_value>",
		.call_end = "</tool_call>",
		.write_call = "<tool_call>" NAME SOFT PARAMS "</tool_call>",
		.write_param = "<arg_key>" KEY "</arg_key>" SOFT "<arg_value>" VALUE "</arg_value>" SOFT,
		.write_between = SOFT,
	},
	{
		.name = "granite",
		.about = "Granite 3",
		.told = {"<|tool_call|>"},
		.body = BODY_JSON,
		.open = {"<|tool_call|>", "<tool_call>"},
		.drop = {"<response>", "</response>"},
		.write_begin = "<|tool_call|>[",
		.write_call = OBJECT("arguments"),
		.write_between = ", ",
		.write_end = "]",
	},
	{
		.name = "command-r7b",
		.about = "Command R7B, Command A, Cohere 2 MoE",
		.flags = DIALECT_TEXT_ENDS_THINKING,
		.thinks = "command",
		.body = BODY_JSON,
		.open = {"<|START_ACTION|>"},
		.close = "<|END_ACTION|>",
		.drop = RESPONSE_MARKERS,
		.write_begin = "<|START_ACTION|>[\n    ",
		.write_call = "{\"tool_call_id\": \"" INDEX "\", \"tool_name\": \"" NAME
			      "\", \"parameters\": " ARGS "}",
		.write_between = ",\n    ",
		.write_end = "\n]<|END_ACTION|>",
	},
	{
		.name = "command-r-plus",
		.about = "Command R, Command R+",
		.body = BODY_JSON,
		.open = {"Action:\n```json\n"},
		.close = "```",
		.write_begin = "Action:\n```json\n[\n    ",
		.write_call =
			"{\n        \"tool_name\": \"" NAME "\",\n        \"parameters\": " ARGS "\n    }",
		.write_between = ",\n    ",
		.write_end = "\n]\n```",
	},
	{
		.name = "harmony",
		.about = "gpt-oss",
		.thinks = "harmony",
		.body = BODY_HARMONY,
		.write_call = " to=functions." NAME "<|channel|>commentary json<|message|>" ARGS "<|call|>",
		.write_between = "<|start|>assistant",
	},
	{
		.name = "functionary-v3.2",
		.about = "Functionary 3.2",
		.body = BODY_TAGGED,
		.flags = DIALECT_RECIPIENT | DIALECT_KNOWN_ONLY,
		.open = {">>>"},
		.write_call = ">>>" NAME "\n" ARGS,
	},
	{
		.name = "firefunction",
		.about = "FireFunction 2",
		.body = BODY_JSON,
		.flags = DIALECT_KNOWN_ONLY,
		.open = {"functools["},
		.write_begin = " functools[",
		.write_call = OBJECT("arguments"),
		.write_between = ", ",
		.write_end = "]",
	},
	{
		.name = "kimi-k2",
		.about = "Kimi K2",
		.body = BODY_TAGGED,
		.flags = DIALECT_NUMBERED | DIALECT_ENDS_THINKING,
		.open = {"<|tool_calls_section_begin|>", "<|tool_call_begin|>"},
		.close = "<|tool_calls_section_end|>",
		.call = "<|tool_call_begin|>",
		.name_end = "<|tool_call_argument_begin|>",
		.call_end = "<|tool_call_end|>",
		.write_begin = "<|tool_calls_section_begin|>",
		.write_call = "<|tool_call_begin|>functions." NAME ":" INDEX
			      "<|tool_call_argument_begin|>" ARGS "<|tool_call_end|>",
		.write_end = "<|tool_calls_section_end|>",
	},
	{
		.name = "kimi-k3",
		.about = "Kimi K3",
		.flags = DIALECT_ENDS_THINKING | DIALECT_TEXT_ENDS_THINKING,
		.thinks = "kimi-k3",
		.body = BODY_MARKUP,
		.open = {"<|open|>tools<|sep|>"},
		.close = "<|close|>tools<|sep|>",
		.call = "<|open|>call tool=\"",
		.id = "\" index=\"",
		.name_end = "\"<|sep|>",
		.call_end = "<|close|>call<|sep|>",
		.param = "<|open|>argument key=\"",
		.key_end = {"s\" type=\"string\"<|sep|>", "j\" type=\"number\"<|sep|>",
			    "j\" type=\"integer\"<|sep|>", "j\" type=\"boolean\"<|sep|>",
			    "j\" type=\"object\"<|sep|>", "j\" type=\"array\"<|sep|>",
			    "j\" type=\"null\"<|sep|>"},
		.param_end = "<|close|>argument<|sep|>",
		.drop = {"<|open|>response<|sep|>", "<|close|>response<|sep|>", "<|close|>message<|sep|>"},
		.write_begin = "<|open|>tools<|sep|>",
		.write_call = "<|open|>call tool=\"" NAME "\" index=\"" ORDINAL "\"<|sep|>" PARAMS
			      "<|close|>call<|sep|>",
		.write_param = "<|open|>argument key=\"" KEY VALUE "<|close|>argument<|sep|>",
		.write_end = "<|close|>tools<|sep|>",
	},
	{
		.name = "minimax-m1",
		.about = "MiniMax M1",
		.body = BODY_JSON,
		.open = {"<tool_calls>"},
		.close = "</tool_calls>",
		.write_begin = "<tool_calls>\n",
		.write_call = OBJECT("arguments"),
		.write_between = "\n",
		.write_end = "\n</tool_calls>",
	},
	{
		.name = "apriel",
		.about = "Apriel, Hunyuan A13B, Jamba",
		.body = BODY_JSON,
		.open = {"<tool_calls>"},
		.close = "</tool_calls>",
		.write_begin = "<tool_calls>[",
		.write_call = "{\"name\": \"" NAME "\", \"arguments\": " ARGS ", \"id\": \"" CALL_ID "\"}",
		.write_between = ", ",
		.write_end = "]</tool_calls>",
	},
	{
		.name = "minimax-m2",
		.about = "MiniMax M2",
		.flags = DIALECT_ENDS_THINKING,
		.body = BODY_MARKUP,
		.open = {"<minimax:tool_call>"},
		.close = "</minimax:tool_call>",
		.call = "<invoke name=\"",
		.name_end = "\">",
		.call_end = "</invoke>",
		.param = "<parameter name=\"",
		.key_end = {"?\">"},
		.param_end = "</parameter>",
		.write_begin = "<minimax:tool_call>\n",
		.write_call = "<invoke name=\"" NAME "\">\n" PARAMS "</invoke>\n",
		.write_param = "<parameter name=\"" KEY "\">" VALUE "</parameter>\n",
		.write_end = "</minimax:tool_call>",
	},
	{
		.name = "nemotron",
		.about = "Nemotron Nano 2",
		.body = BODY_JSON,
		.open = {"<TOOLCALL>"},
		.close = "</TOOLCALL>",
		.write_begin = "<TOOLCALL>[",
		.write_call = OBJECT("arguments"),
		.write_between = ", ",
		.write_end = "]</TOOLCALL>",
	},
	{
		.name = "seed-oss",
		.about = "Seed-OSS",
		.thinks = "seed",
		.body = BODY_MARKUP,
		.open = {"<seed:tool_call>"},
		.close = "</seed:tool_call>",
		.call = "<function=",
		.name_end = ">",
		.call_end = "</function>",
		.param = "<parameter=",
		.key_end = {"?>"},
		.param_end = "</parameter>",
		.write_call =
			"<seed:tool_call>\n<function=" NAME ">\n" PARAMS "</function>\n</seed:tool_call>",
		.write_param = "<parameter=" KEY ">" VALUE "</parameter>\n",
		.write_between = "\n",
	},
	{
		.name = "hunyuan-3",
		.about = "Hunyuan 3",
		.thinks = "hunyuan-3",
		.body = BODY_MARKUP,
		.open = {"<tool_calls:opensource>"},
		.close = "</tool_calls:opensource>",
		.call = "<tool_call:opensource>",
		.name_end = "<tool_sep:opensource>",
		.call_end = "</tool_call:opensource>",
		.param = "<arg_key:opensource>",
		.key_end = {"?</arg_key:opensource>"},
		.value = "<arg_value:opensource>",
		.param_end = "</arg_value:opensource>",
		.write_begin = "<tool_calls:opensource>\n",
		.write_call = "<tool_call:opensource>" NAME "<tool_sep:opensource>\n" PARAMS
			      "</tool_call:opensource>\n",
		.write_param =
			"<arg_key:opensource>" KEY "</arg_key:opensource>\n<arg_value:opensource>" VALUE
			"</arg_value:opensource>\n",
		.write_end = "</tool_calls:opensource>",
	},
	{
		.name = "apertus",
		.about = "Apertus",
		.thinks = "apertus",
		.body = BODY_MAP,
		.open = {"<|tools_prefix|>"},
		.close = "<|tools_suffix|>",
		.write_begin = "<|tools_prefix|>[",
		.write_call = "{\"" NAME "\": " ARGS "}",
		.write_between = ", ",
		.write_end = "]<|tools_suffix|>",
	},
	{
		.name = "solar-open",
		.about = "Solar Open",
		.flags = DIALECT_TEXT_ENDS_THINKING,
		.thinks = "solar-open",
		.body = BODY_TAGGED,
		.open = {"<|tool_calls|>"},
		.close = "<|calls|>",
		.call = "<|tool_call:begin|>",
		.name_begin = "<|tool_call:name|>",
		.name_end = "<|tool_call:args|>",
		.call_end = "<|tool_call:end|>",
		.drop = {"<|content|>", "<|begin|>assistant", "<|end|>"},
		.write_begin = "<|tool_calls|>",
		.write_call = "<|tool_call:begin|>" CALL_ID "<|tool_call:name|>" NAME
			      "<|tool_call:args|>" ARGS "<|tool_call:end|>",
	},
	{
		.name = "gigachat",
		.about = "GigaChat 3",
		.body = BODY_JSON,
		.open = {"function call<|role_sep|>", "<|function_call|>"},
		.drop = {"<|message_sep|>"},
		.write_call = "<|message_sep|>\n\nfunction call<|role_sep|>\n" OBJECT("arguments"),
	},
	{
		.name = "gigachat-3.1",
		.about = "GigaChat 3.1",
		.body = BODY_JSON,
		.open = {"<|function_call|>", "function call<|role_sep|>"},
		.drop = {"<|message_sep|>"},
		.write_call = "<|function_call|>" OBJECT("arguments"),
	},
	{
		.name = "minicpm5",
		.about = "MiniCPM5",
		.flags = DIALECT_CDATA,
		.body = BODY_MARKUP,
		.open = {"<function name=\""},
		.name_end = "\">",
		.call_end = "</function>",
		.param = "<param name=\"",
		.key_end = {"?\">"},
		.param_end = "</param>",
		.write_call = "<function name=\"" NAME "\">" PARAMS "</function>",
		.write_param = "<param name=\"" KEY "\">" VALUE "</param>",
		.write_between = "\n",
	},
	{
		.name = "gemma-4",
		.about = "Gemma 4",
		.thinks = "gemma",
		.body = BODY_GEMMA,
		.open = {"<|tool_call>"},
		.close = "<tool_call|>",
		.write_call = "<|tool_call>call:" NAME ARGS "<tool_call|>",
	},
	{
		.name = "lfm2",
		.about = "LFM2",
		.body = BODY_PYTHON,
		.told = {"<|tool_list_start|>", "List of tools: ["},
		.open = {"<|tool_call_start|>"},
		.close = "<|tool_call_end|>",
		.write_begin = "<|tool_call_start|>[",
		.write_call = NAME "(" ARGS ")",
		.write_between = ", ",
		.write_end = "]<|tool_call_end|>",
	},
	{
		.name = "pythonic",
		.about = "Llama 4 and others that write calls as Python's",
		.body = BODY_PYTHON,
		.flags = DIALECT_BARE | DIALECT_KNOWN_ONLY,
		.open = {"<|python_start|>"},
		.close = "<|python_end|>",
		.write_begin = "[",
		.write_call = NAME "(" ARGS ")",
		.write_between = ", ",
		.write_end = "]",
	},
	{
		.name = "internlm2",
		.about = "InternLM 2.5 and 3",
		.body = BODY_JSON,
		.open = {"<|action_start|><|plugin|>"},
		.close = "<|action_end|>",
		.write_call = "<|action_start|><|plugin|>\n" OBJECT("parameters") "<|action_end|>",
		.write_between = "\n",
	},
	{
		.name = "generic",
		.about = "templates that know no tools: the prompt is ours",
		.body = BODY_JSON,
		.flags = DIALECT_GENERIC,
		.open = {"<tool_call>"},
		.close = "</tool_call>",
		.write_call = "<tool_call>\n" OBJECT("arguments") "\n</tool_call>",
		.write_between = "\n",
	},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

static const struct dialect_thinking thinkings[] = {
	{"think", "<think>", "</think>", false},
	{"seed", "<seed:think>", "</seed:think>", false},
	{"mistral", "[THINK]", "[/THINK]", false},
	{"command", "<|START_THINKING|>", "<|END_THINKING|>", true},
	{"gemma", "<|channel>thought", "<channel|>", true},
	{"apertus", "<|inner_prefix|>", "<|inner_suffix|>", true},
	{"apriel", "Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]", false},
	{"hunyuan-3", "<think:opensource>", "</think:opensource>", true},
	{"kimi-k3", "<|open|>think<|sep|>", "<|close|>think<|sep|>", true},
	{"kimi-vl", "\u25c1think\u25b7", "\u25c1/think\u25b7", false},
	{"minimax-m3", "<mm:think>", "</mm:think>", false},
	{"solar-open", "<|think|>", "<|end|>", true},
	{"exaone-deep", "<thought>", "</thought>", false},
	{"harmony", "<|channel|>analysis<|message|>", "<|end|>", false},
};
enum { N_THINKINGS = sizeof thinkings / sizeof *thinkings };

const struct dialect *dialect_at(size_t i)
{
	return i < N_ROWS ? &rows[i] : NULL;
}

const struct dialect *dialect_find(const char *name)
{
	for (size_t i = 0; i < N_ROWS; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

const char *dialect_name(const struct dialect *d)
{
	return d->name;
}

const char *dialect_about(const struct dialect *d)
{
	return d->about;
}

const struct dialect_thinking *dialect_thinking_at(size_t i)
{
	return i < N_THINKINGS ? &thinkings[i] : NULL;
}

const struct dialect_thinking *dialect_thinking_find(const char *name)
{
	for (size_t i = 0; i < N_THINKINGS; i++)
		if (strcmp(thinkings[i].name, name) == 0)
			return &thinkings[i];
	return NULL;
}
