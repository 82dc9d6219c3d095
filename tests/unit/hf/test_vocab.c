/* A vocabulary out of a folder's files: added tokens get the ids that transformers gives them, whichever file
 * declares them; what two files say differently is told. Expected ids follow tokenizers 0.23's
 * AddedVocabulary::add_tokens and transformers 5's _from_pretrained. */
#include "scratch.h"

#include <sys/stat.h>

/* Five tokens, so that the next id is 5. */
#define MODEL                                                                                       \
	"\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"model\":{"         \
	"\"type\":\"BPE\",\"dropout\":null,\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"ab\":3,\"abc\":4}," \
	"\"merges\":[\"a b\",[\"ab\",\"c\"]]}"
#define TOKENIZER(added)         "{" MODEL ",\"added_tokens\":[" added "]}"
#define TOKEN(id, text, special) "{\"id\":" #id ",\"content\":\"" text "\",\"special\":" special "}"
#define END                      TOKEN(5, "<end>", "true")
#define ENTRY(id, text, special) "\"" id "\":{\"content\":\"" text "\",\"special\":" special "}"

static struct vocab v;

/* NULL: the folder has no such file. */
static void put_files(const char *tokenizer, const char *config, const char *map, const char *added)
{
	const char *const names[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
				     "added_tokens.json"};
	const char *const texts[] = {tokenizer, config, map, added};
	for (size_t i = 0; i < 4; i++) {
		drop(names[i]);
		if (texts[i])
			put_text(names[i], texts[i]);
	}
	notes[0] = '\0';
}

/* tokens: "TEXT:TYPE ..." from id 5 on; types n, c, u, and p for an unused one. */
static void expect_tokens(uint32_t n_vocab, const char *wanted)
{
	static const char letters[] = {[1] = 'n', [3] = 'c', [4] = 'u', [5] = 'p'};
	struct hokku_error err;
	struct strbuf b = {0};
	vocab_free(&v);
	if (vocab_read(&v, folder, n_vocab, &observer, &err))
		fail_msg("%s", err.message);
	for (uint32_t i = 5; i < v.n; i++)
		strbuf_addf(&b, "%s%.*s:%c", i > 5 ? " " : "", STR_ARG(v.tokens[i]), letters[v.types[i]]);
	assert_string_equal(b.ptr ? b.ptr : "", wanted);
	strbuf_free(&b);
}

static void refuse(uint32_t n_vocab, const char *message)
{
	struct vocab broken;
	struct hokku_error err = {0};
	enum hokku_code rc = vocab_read(&broken, folder, n_vocab, &observer, &err);
	if (rc != HOKKU_BAD_FILE || !strstr(err.message, message))
		fail_msg("code %s, found %s\n  wanted %s", hokku_code_name(rc), err.message, message);
}

static void test_tokenizer_json(void **state)
{
	(void)state;
	put_files(TOKENIZER(END "," TOKEN(6, "<tool>", "false") "," TOKEN(4, "abc", "true")), NULL, NULL,
		  NULL);
	expect_tokens(0, "<end>:c <tool>:u");
	assert_int_equal(v.types[4], VOCAB_CONTROL); /* a token of the vocabulary, which is added as well */
	expect_tokens(9, "<end>:c <tool>:u [PAD7]:p [PAD8]:p");
	expect_notes("");
	/* Its ids hold, in any order, whatever they leave free; the next token comes after all of them. */
	put_files(TOKENIZER(TOKEN(8, "<x>", "true") "," TOKEN(6, "<y>", "false")), "{\"eos_token\":\"<z>\"}",
		  NULL, NULL);
	expect_tokens(10, "[PAD5]:p <y>:u [PAD7]:p <x>:c <z>:c");
	expect_notes("");
	put_files(TOKENIZER(TOKEN(0, "x", "true")), NULL, NULL, NULL);
	refuse(0, "added token \"x\" has the id 0 of \"a\"");
	put_files(TOKENIZER(TOKEN(4, "a", "true")), NULL, NULL, NULL);
	refuse(0, "added token \"a\" has the id 4 of \"abc\"");
	put_files(TOKENIZER(TOKEN(9, "a", "true")), NULL, NULL, NULL);
	refuse(0, "added token \"a\" has the id 9; in the vocabulary it is 0");
	put_files(TOKENIZER(END "," TOKEN(5, "<x>", "true")), NULL, NULL, NULL);
	refuse(0, "added token \"<x>\" has the id 5 of \"<end>\"");
	put_files(TOKENIZER("{\"id\":5,\"content\":\"x\",\"special\":NaN}"), NULL, NULL, NULL);
	refuse(0, "tokenizer.json: added_tokens[0].special is NaN; true or false is wanted");
	put_files(TOKENIZER(END ",{\"id\":6,\"content\":\"x\",\"rstrip\":1}"), NULL, NULL, NULL);
	refuse(0, "tokenizer.json: added_tokens[1].rstrip is 1; true or false is wanted");
	put_files(TOKENIZER("{\"id\":1000000000000000019884624838656,\"content\":\"x\"}"), NULL, NULL, NULL);
	refuse(0, "token \"x\": its id must be an integer from 0 to 4194303; it is "
		  "1000000000000000019884624838656");
}

/* A vocabulary with holes: the next id is the number of its tokens, which another token has. */
static void test_holes(void **state)
{
	(void)state;
#define HOLES                                                                                         \
	"{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"model\":{\"type\":" \
	"\"BPE\","                                                                                    \
	"\"vocab\":{\"a\":0,\"b\":2},\"merges\":[]},\"added_tokens\":["
	put_files(HOLES "]}", "{\"eos_token\":\"<x>\"}", NULL, NULL);
	refuse(0, "model.vocab has 2 tokens with ids up to 2: added token \"<x>\" would get the id 2, which "
		  "\"b\" has");
	put_files(HOLES TOKEN(1, "<x>", "true") "]}", NULL, NULL, NULL);
	expect_tokens(0, "");
	assert_true(str_eq_c(v.tokens[1], "<x>"));
	assert_int_equal(v.n, 3);
}

/* Ids that do not hold: the first four are told one by one. */
static void test_many_moved(void **state)
{
	(void)state;
	put_files(
		TOKENIZER(""),
		"{\"added_tokens_decoder\":{" ENTRY("20", "<1>", "true") "," ENTRY(
			"21", "<2>",
			"true") "," ENTRY("22", "<3>",
					  "true") "," ENTRY("23", "<4>",
							    "true") "," ENTRY("24", "<5>",
									      "true") "," ENTRY("25", "<6>",
												"true") "}}",
		NULL, NULL);
	expect_tokens(0, "<1>:c <2>:c <3>:c <4>:c <5>:c <6>:c");
	assert_non_null(strstr(notes, "\"<4>\" has the id 23 there; transformers gives it 8"));
	assert_null(strstr(notes, "\"<5>\""));
	assert_non_null(strstr(notes, "2 added tokens more have other ids than transformers gives them\n"));
}

static void test_decoder(void **state)
{
	(void)state;
	/* By rising id, whatever their order; what tokenizer.json has is the same token. */
	put_files(TOKENIZER(END),
		  "{\"model_max_length\":1000000000000000019884624838656,\"added_tokens_decoder\":{" ENTRY(
			  "10", "<z>", "true") "," ENTRY("6", "<think>", "false") "," ENTRY("5", "<end>",
											    "true") "}}",
		  NULL, NULL);
	expect_tokens(8, "<end>:c <think>:u <z>:c");
	expect_notes(
		"tokenizer_config.json: added token \"<z>\" has the id 10 there; transformers gives it 7, "
		"which counts\n");
	/* An id that is another token's. */
	put_files(TOKENIZER(END), "{\"added_tokens_decoder\":{" ENTRY("3", "<x>", "false") "}}", NULL, NULL);
	expect_tokens(0, "<end>:c <x>:u");
	expect_notes(
		"tokenizer_config.json: added token \"<x>\" has the id 3 there; transformers gives it 6, "
		"which counts\n");
	put_files(TOKENIZER(END), "{\"added_tokens_decoder\":{" ENTRY("0", "<x>", "false") "}}", NULL, NULL);
	expect_tokens(0, "<end>:c <x>:u");
	expect_notes(
		"tokenizer_config.json: added token \"<x>\" has the id 0 there; transformers gives it 6, "
		"which counts\n");
	/* A token that is there already takes no new id. */
	put_files(
		TOKENIZER(END),
		"{\"eos_token\":\"<end>\",\"additional_special_tokens\":[\"<b>\"],\"added_tokens_decoder\":{" ENTRY(
			"6", "<a>", "false") "}}",
		NULL, NULL);
	expect_tokens(0, "<end>:c <a>:u <b>:c");
	expect_notes("");
	/* A text of the vocabulary stays where it is, and is matched as a whole from now on. */
	put_files(TOKENIZER(END), "{\"added_tokens_decoder\":{" ENTRY("3", "ab", "false") "}}", NULL, NULL);
	expect_tokens(0, "<end>:c");
	assert_int_equal(v.types[3], VOCAB_USER_DEFINED);
	expect_notes("");
	/* Special in one file is special. */
	put_files(
		TOKENIZER(END "," TOKEN(6, "<t>", "false")),
		"{\"added_tokens_decoder\":{" ENTRY("5", "<end>", "false") "," ENTRY("6", "<t>", "true") "}}",
		NULL, NULL);
	expect_tokens(0, "<end>:c <t>:c");
	expect_notes("tokenizer_config.json: added token \"<end>\" is not special there, and special "
		     "elsewhere: special counts\n"
		     "tokenizer_config.json: added token \"<t>\" is special there, and not special "
		     "elsewhere: special counts\n");
	/* No room in the model. */
	put_files(TOKENIZER(END), "{\"added_tokens_decoder\":{" ENTRY("6", "<x>", "true") "}}", NULL, NULL);
	expect_tokens(7, "<end>:c <x>:c");
	refuse(6,
	       "its highest token id is 6, of the added token \"<x>\"; vocab_size in config.json allows up "
	       "to 5");
	static const char *const wrong[][2] = {
		{"{\"added_tokens_decoder\":[]}",
		 "tokenizer_config.json: added_tokens_decoder is []; an object {id: token} is wanted"},
		{"{\"added_tokens_decoder\":{\"x\":{}}}",
		 "added_tokens_decoder has the key \"x\"; a token id from 0 to 4194303 is wanted"},
		{"{\"added_tokens_decoder\":{\"4194304\":{}}}", "the key \"4194304\"; a token id"},
		{"{\"added_tokens_decoder\":{\"\":{}}}", "the key \"\"; a token id"},
		{"{\"added_tokens_decoder\":{\"6\":{\"content\":NaN}}}",
		 "added_tokens_decoder.6.content is absent, empty or no string"},
		{"{\"added_tokens_decoder\":{\"6\":{\"content\":\"x\",\"special\":1}}}",
		 "added_tokens_decoder.6.special is 1; true or false is wanted"},
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		put_files(TOKENIZER(END), wrong[i][0], NULL, NULL);
		refuse(0, wrong[i][1]);
	}
}

/* Without added_tokens_decoder the two older files are read. */
static void test_older_files(void **state)
{
	(void)state;
	put_files(TOKENIZER(END), NULL,
		  "{\"eos_token\":{\"content\":\"<eos>\",\"lstrip\":false},\"additional_"
		  "special_tokens\":[\"<s1>\",{\"content\":\"<s2>\"}]}",
		  "{\"<s2>\":7,\"<plain>\":6}");
	/* added_tokens.json by rising id, then the named, then the extra ones. */
	expect_tokens(0, "<end>:c <plain>:u <s2>:c <eos>:c <s1>:c");
	assert_int_equal(v.eos, 8);
	expect_notes(
		"special_tokens_map.json: added token \"<s2>\" is special there, and not special elsewhere: "
		"special counts\n");
	/* The token that the map does not name any more is none. */
	put_files(TOKENIZER(END), "{\"eos_token\":\"<gone>\"}", "{\"eos_token\":\"<end>\"}", NULL);
	expect_tokens(0, "<end>:c");
	assert_int_equal(v.eos, 5);
	notes[0] = '\0';
	/* special_tokens_map.json goes before tokenizer_config.json. */
	put_files(TOKENIZER(END "," TOKEN(6, "<e2>", "true")), "{\"eos_token\":\"<end>\"}",
		  "{\"eos_token\":\"<e2>\"}", NULL);
	expect_tokens(0, "<end>:c <e2>:c");
	assert_int_equal(v.eos, 6);
	expect_notes(
		"special_tokens_map.json: eos_token is \"<e2>\", and \"<end>\" in tokenizer_config.json: "
		"this file counts, as there is no added_tokens_decoder\n");
	/* tokenizer.json's token takes the place of one that has its id. */
	put_files(TOKENIZER(END), NULL, NULL, "{\"<other>\":5}");
	expect_tokens(0, "<end>:c");
	expect_notes(
		"added_tokens.json: added token \"<other>\" is left out: its id 5 is that of \"<end>\" in "
		"tokenizer.json\n");
	put_files(TOKENIZER(END), NULL, NULL, "{\"<x>\":NaN,\"n\":1e99}");
	refuse(0, "added_tokens.json: token \"<x>\": its id must be an integer from 0 to 4194303; it is NaN");
	put_files(TOKENIZER(END), NULL, NULL, "{\"\":6}");
	refuse(0, "added_tokens.json: it has a token without text");
	put_files(TOKENIZER(END), NULL, "{\"eos_token\":NaN,\"unread\":NaN}", NULL);
	refuse(0, "special_tokens_map.json: eos_token is NaN; a string or an object with content is wanted");
	put_files(TOKENIZER(END), NULL, "{\"additional_special_tokens\":[\"<a>\",7]}", NULL);
	refuse(0, "special_tokens_map.json: additional_special_tokens[1] is 7; a string or an object");
	put_files(TOKENIZER(END), NULL, "{\"extra_special_tokens\":3}", NULL);
	refuse(0, "special_tokens_map.json: extra_special_tokens is 3; a list of tokens is wanted");
}

/* Beside it transformers does not read them: what only they have is a token all the same, and told. */
static void test_beside_decoder(void **state)
{
	(void)state;
	put_files(TOKENIZER(END),
		  "{\"eos_token\":\"<end>\",\"added_tokens_decoder\":{" ENTRY("5", "<end>", "true") "}}",
		  "{\"eos_token\":\"<e2>\",\"additional_special_tokens\":[\"<s>\",\"<end>\"]}",
		  "{\"<end>\":5,\"<think>\":7}");
	expect_tokens(0, "<end>:c <s>:c <think>:u");
	assert_int_equal(v.eos, 5);
	expect_notes(
		"special_tokens_map.json: eos_token is \"<e2>\", and \"<end>\" in tokenizer_config.json: "
		"that one counts, as it has added_tokens_decoder\n"
		"special_tokens_map.json: token \"<s>\" of additional_special_tokens is in no other file; "
		"transformers would not read this one beside added_tokens_decoder\n"
		"added_tokens.json: added token \"<think>\" is in no other file; transformers would not "
		"read this one beside added_tokens_decoder\n");
	/* null is said, too; a key that is absent is not. */
	put_files(TOKENIZER(END), "{\"eos_token\":null,\"added_tokens_decoder\":{}}",
		  "{\"eos_token\":\"<end>\",\"pad_token\":\"<end>\"}", NULL);
	expect_tokens(0, "<end>:c");
	assert_int_equal(v.eos, -1);
	assert_int_equal(v.pad, 5);
	expect_notes(
		"special_tokens_map.json: eos_token is \"<end>\", and null in tokenizer_config.json: that "
		"one counts, as it has added_tokens_decoder\n");
}

static void test_named(void **state)
{
	(void)state;
	/* Added where no file has them, in transformers' order; special where the vocabulary has them. */
	put_files(
		TOKENIZER(""),
		"{\"pad_token\":\"<pad>\",\"eos_token\":{\"content\":\"<eos>\"},\"bos_token\":\"abc\","
		"\"unk_token\":null,\"image_token\":\"<img>\",\"extra_special_tokens\":{\"audio\":\"<aud>\"},"
		"\"additional_special_tokens\":[\"<add>\",\"\"],\"add_bos_token\":false,\"model_token\":NaN}",
		NULL, NULL);
	expect_tokens(0, "<eos>:c <pad>:c <img>:c <add>:c <aud>:c");
	assert_int_equal(v.bos, 4);
	assert_int_equal(v.eos, 5);
	assert_int_equal(v.pad, 6);
	assert_int_equal(v.unk, -1);
	assert_int_equal(v.types[4], VOCAB_CONTROL);
	expect_notes("");
	put_files(TOKENIZER(END), "{\"pad_token\":\"\",\"eos_token\":\"a\"}", NULL,
		  NULL); /* no text, no token */
	expect_tokens(0, "<end>:c");
	assert_int_equal(v.pad, -1);
	assert_int_equal(v.eos, 0);
	put_files(TOKENIZER(""), "{\"eos_token\":12}", NULL, NULL);
	refuse(0, "tokenizer_config.json: eos_token is 12; a string or an object with content is wanted");
	put_files(TOKENIZER(""), "{\"add_bos_token\":NaN}", NULL, NULL);
	refuse(0, "tokenizer_config.json: add_bos_token is NaN; true or false is wanted");
	put_files(TOKENIZER(""), "{\"chat_template\":NaN}", NULL, NULL);
	refuse(0, "tokenizer_config.json: chat_template is NaN; a string or a list of {name, template} is "
		  "wanted");
	put_files(TOKENIZER(""), "{\"chat_template\":[{\"name\":\"default\"}]}", NULL, NULL);
	refuse(0,
	       "tokenizer_config.json: chat_template[0] is {\"name\":\"default\"}; an object with name and");
}

/* The post-processor says whether a text begins with a special token. */
static void test_first_token(void **state)
{
	(void)state;
#define WITH_FIRST(text)                                                                           \
	"{" MODEL ",\"added_tokens\":[" END "],\"post_processor\":{\"single\":[{\"SpecialToken\":" \
	"{\"id\":\"" text "\"}}]}}"
	put_files(WITH_FIRST("<end>"), "{\"add_bos_token\":false}", NULL, NULL);
	expect_tokens(0, "<end>:c");
	assert_true(v.add_bos && v.bos == 5);
	expect_notes(
		"tokenizer_config.json: add_bos_token is false, but tokenizer.json's post_processor begins "
		"with a special token: that counts\n");
	put_files(TOKENIZER(END), "{\"bos_token\":\"<end>\",\"add_bos_token\":true}", NULL, NULL);
	expect_tokens(0, "<end>:c");
	assert_true(!v.add_bos && v.bos == 5);
	expect_notes(
		"tokenizer_config.json: add_bos_token is true, but tokenizer.json's post_processor begins "
		"without one: that counts\n");
	put_files(WITH_FIRST("<end>"), "{\"bos_token\":\"<end>\",\"add_bos_token\":true}", NULL, NULL);
	expect_tokens(0, "<end>:c");
	assert_true(v.add_bos);
	expect_notes("");
	put_files(WITH_FIRST("a"), NULL, NULL, NULL); /* the token 0 */
	expect_tokens(0, "<end>:c");
	assert_true(v.add_bos && v.bos == 0);
	put_files(WITH_FIRST("<none>"), NULL, NULL, NULL);
	refuse(0, "post_processor begins with \"<none>\", which is no token");
	put_files(WITH_FIRST("<end>"), "{\"bos_token\":\"abc\"}", NULL, NULL);
	refuse(0, "post_processor begins a text with \"<end>\", the token 5, but bos_token is the token 4;");
	/* RoBERTa's and BERT's say the same in other words; what ends a text ends no prompt. */
#define PROCESSOR(text) "{" MODEL ",\"added_tokens\":[" END "],\"post_processor\":" text "}"
	static const char *const types[] = {"RobertaProcessing", "BertProcessing"};
	for (size_t i = 0; i < 2; i++) {
		char text[1024];
		snprintf(text, sizeof text,
			 PROCESSOR("{\"type\":\"%s\",\"sep\":[\"abc\",4],\"cls\":[\"<end>\",5]}"), types[i]);
		put_files(text, NULL, NULL, NULL);
		expect_tokens(0, "<end>:c");
		assert_true(v.add_bos && v.bos == 5);
		expect_notes(
			"tokenizer.json: post_processor ends a text with \"abc\", which is left out: a prompt goes "
			"on\n");
	}
#define SPECIAL(id) "{\"SpecialToken\":{\"id\":\"" id "\"}}"
#define TEXT        "{\"Sequence\":{\"id\":\"A\"}}"
#define SINGLE(a, ids) \
	PROCESSOR("{\"type\":\"TemplateProcessing\",\"single\":[" a "],\"special_tokens\":{" ids "}}")
	put_files(SINGLE(TEXT "," SPECIAL("<end>"), ""), NULL, NULL, NULL);
	expect_tokens(0, "<end>:c");
	assert_true(!v.add_bos && v.bos < 0);
	expect_notes(
		"tokenizer.json: post_processor ends a text with \"<end>\", which is left out: a prompt goes on\n");
	put_files(SINGLE(SPECIAL("<end>") "," SPECIAL("abc") "," TEXT, ""), NULL, NULL, NULL);
	refuse(0,
	       "post_processor begins a text with 2 special tokens, \"<end>\" and \"abc\"; GGUF has room for one");
#define IDS(list) "\"<end>\":{\"id\":\"<end>\",\"ids\":[" list "],\"tokens\":[\"<end>\"]}"
	put_files(SINGLE(SPECIAL("<end>") "," TEXT, IDS("5")), NULL, NULL, NULL);
	expect_tokens(0, "<end>:c");
	assert_true(v.add_bos && v.bos == 5);
	expect_notes("");
	put_files(SINGLE(SPECIAL("<end>") "," TEXT, IDS("4")), NULL, NULL, NULL);
	refuse(0, "post_processor has the ids [4] for \"<end>\", which is the token 5");
	put_files(SINGLE(SPECIAL("<end>") "," TEXT, IDS("5,4")), NULL, NULL, NULL);
	refuse(0, "post_processor has the ids [5,4] for \"<end>\", which is the token 5");
}

static void test_model(void **state)
{
	(void)state;
	static const char *const wrong[][2] = {
		{"\"byte_fallback\":NaN", "model.byte_fallback is NaN; true or false is wanted"},
		{"\"ignore_merges\":0", "model.ignore_merges is 0; true or false is wanted"},
		{"\"end_of_word_suffix\":7", "model.end_of_word_suffix is 7; a string is wanted"},
		{"\"dropout\":0.1",
		 "model.dropout is 0.1; hokku converts tokenizers that leave nothing to chance"},
		{"\"dropout\":NaN", "model.dropout is NaN;"},
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		char text[512];
		snprintf(text, sizeof text,
			 "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"model\":{"
			 "\"type\":\"BPE\",%s,\"vocab\":{\"a\":0},\"merges\":[]}}",
			 wrong[i][0]);
		put_files(text, NULL, NULL, NULL);
		refuse(0, wrong[i][1]);
	}
	put_files("\xEF\xBB\xBF{\"version\":NaN," MODEL "}", "\xEF\xBB\xBF{\"x\":-Infinity}",
		  "\xEF\xBB\xBF{\"y\":1e999}", "\xEF\xBB\xBF{\"<t>\":5}");
	expect_tokens(0, "<t>:u");
}

/* A blank within a merge's half is written as the byte alphabet has it. */
static void test_merges(void **state)
{
	(void)state;
	put_files(
		"{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"model\":{\"type\":\"BPE\","
		"\"vocab\":{\"a\":0,\" \":1,\" a\":2,\"long\":3,\" along\":4,\"a \":5,\"b\":6},\"merges\":[[\" \",\"a\"],"
		"[\" a\",\"long\"],[\"a\",\" \"]]}}",
		NULL, NULL, NULL);
	expect_tokens(0, "a :n b:n");
	assert_int_equal(v.n_merges, 3);
	assert_true(str_eq_c(v.merges[0], "\xC4\xA0 a"));
	assert_true(str_eq_c(v.merges[1], "\xC4\xA0\x61 long"));
	assert_true(str_eq_c(v.merges[2], "a \xC4\xA0"));
}

/* ---- of SentencePiece's shape ---- */

#define BLANK    "\xE2\x96\x81"
#define PREPEND  "{\"type\":\"Prepend\",\"prepend\":\"" BLANK "\"}"
#define REPLACE  "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" BLANK "\"}"
#define SEQUENCE "{\"type\":\"Sequence\",\"normalizers\":[" PREPEND "," REPLACE "]}"
#define DECODER                                                                                                      \
	"{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"" BLANK                \
	"\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" " \
	"\",\"start\":1,\"stop\":0}]}"
#define METASPACE(more) "{\"type\":\"Metaspace\",\"replacement\":\"" BLANK "\"" more "}"
#define SPM_VOCAB                                                                                            \
	"\"vocab\":{\"<unk>\":0,\"<0x41>\":1,\"" BLANK "\":2,\"a\":3,\"" BLANK "a\":4},\"merges\":[\"" BLANK \
	" a\"]"
#define SPM_MODEL(more) "{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":true," more SPM_VOCAB "}"
#define SPM(normalizer, pre, decoder, model)                                                                \
	"{\"normalizer\":" normalizer ",\"pre_tokenizer\":" pre ",\"decoder\":" decoder ",\"model\":" model \
	",\"added_tokens\":[" TOKEN(0, "<unk>", "true") ",{\"id\":5,\"content\":\"<t>\",\"special\":false," \
							"\"normalized\":true,\"lstrip\":true}]}"
#define FALLBACK SPM_MODEL("\"byte_fallback\":true,")

static void test_spm_shape(void **state)
{
	(void)state;
	put_files(SPM(SEQUENCE, "null", DECODER, FALLBACK), NULL, NULL, NULL);
	expect_tokens(0, "<t>:u");
	expect_notes("");
	assert_true(v.spm && v.text.space_prefix && v.text.join_by_merges && v.text.normalizes);
	assert_false(v.text.prefix_first || v.text.prefix_once || v.text.split_at_spaces || v.ignore_merges);
	assert_int_equal(v.unk, 0);
	const int32_t types[] = {VOCAB_UNKNOWN, VOCAB_BYTE,   VOCAB_NORMAL,
				 VOCAB_NORMAL,  VOCAB_NORMAL, VOCAB_USER_DEFINED};
	assert_memory_equal(v.types, types, sizeof types);
	const float scores[] = {0, 0, -3, -4, 0, 0}; /* the one merge has the rank 0 */
	assert_memory_equal(v.scores, scores, sizeof scores);
	assert_true(v.added[1].normalized && v.added[1].strips == ADDED_LSTRIP && !v.added[0].normalized);
	assert_true(str_eq_c(v.merges[0], BLANK " a"));
	/* A byte's name is one only where bytes are fallen back to. */
	put_files(SPM(REPLACE, METASPACE(""), DECODER, SPM_MODEL("\"ignore_merges\":true,")), NULL, NULL,
		  NULL);
	expect_tokens(0, "<t>:u");
	assert_int_equal(v.types[1], VOCAB_NORMAL);
	assert_true(v.text.space_prefix && v.text.prefix_once && v.text.split_at_spaces && v.ignore_merges);
	assert_false(v.text.prefix_first);
	put_files(SPM("null", METASPACE(",\"prepend_scheme\":\"first\",\"split\":false"), METASPACE(""),
		      FALLBACK),
		  NULL, NULL, NULL);
	expect_tokens(0, "<t>:u");
	assert_true(v.text.prefix_first && v.text.prefix_once && !v.text.split_at_spaces &&
		    !v.text.normalizes);
	put_files(SPM("null", METASPACE(",\"add_prefix_space\":false"), METASPACE(""), FALLBACK), NULL, NULL,
		  NULL);
	expect_tokens(0, "<t>:u");
	assert_false(v.text.space_prefix || v.text.prefix_once || v.text.prefix_first);
	/* What stands in tokenizer_config.json does not change what characters become that are no token. */
	put_files(SPM(SEQUENCE, "null", DECODER, FALLBACK), "{\"unk_token\":\"a\"}", NULL, NULL);
	expect_tokens(0, "<t>:u");
	assert_int_equal(v.unk, 0);
	put_files(
		"{\"normalizer\":" SEQUENCE ",\"decoder\":" DECODER ",\"model\":" FALLBACK
		",\"added_tokens\":[{\"id\":0,\"content\":\"<unk>\",\"special\":true,\"normalized\":true}]}",
		NULL, NULL, NULL);
	expect_tokens(0, "");
	expect_notes(
		"tokenizer.json: added token \"<unk>\" is special and normalized: where special tokens are asked "
		"for, it is found behind any character\n");
}

static void test_spm_refused(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{SPM("{\"type\":\"NFKC\"}", "null", DECODER, FALLBACK),
		 "tokenizer.json: normalizer is {\"type\":\"NFKC\"}; of a tokenizer of SentencePiece's shape hokku reads "
		 "one Prepend"},
		{SPM("{\"type\":\"Sequence\",\"normalizers\":[" PREPEND "," PREPEND "]}", "null", DECODER,
		     FALLBACK),
		 "normalizer.normalizers[1] is {\"type\":\"Prepend\""},
		{SPM("{\"type\":\"Prepend\",\"prepend\":\"_\"}", "null", DECODER, FALLBACK),
		 "normalizer is {"},
		{SPM("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"\"}", "null", DECODER, FALLBACK),
		 "normalizer is {\"type\":\"Precompiled\""},
		{SPM(SEQUENCE, "{\"type\":\"Whitespace\"}", DECODER, FALLBACK),
		 "pre_tokenizer is {\"type\":\"Whitespace\"}"},
		{SPM(SEQUENCE, METASPACE(""), DECODER, FALLBACK), "pre_tokenizer is {\"type\":\"Metaspace\""},
		{SPM("null", METASPACE(",\"prepend_scheme\":\"last\""), DECODER, FALLBACK),
		 "pre_tokenizer.prepend_scheme is \"last\"; \"always\", \"first\" or \"never\" is wanted"},
		{SPM("null", METASPACE(",\"split\":1"), DECODER, FALLBACK),
		 "pre_tokenizer.split is 1; true or false is wanted"},
		{SPM("null", "null", DECODER, FALLBACK), "neither normalizer nor pre_tokenizer makes"},
		{SPM(SEQUENCE, "null", "null", FALLBACK), "decoder makes no blanks of"},
		{SPM(SEQUENCE, "null", "{\"type\":\"WordPiece\"}", FALLBACK),
		 "decoder is {\"type\":\"WordPiece\"}"},
		{SPM(SEQUENCE, "null", "{\"type\":\"Strip\",\"content\":\" \",\"start\":2,\"stop\":0}",
		     FALLBACK),
		 "decoder is {\"type\":\"Strip\""},
		{SPM(SEQUENCE, "null", DECODER, "{\"type\":\"Unigram\"}"), "model.type is \"Unigram\""},
		{"{\"normalizer\":" REPLACE ",\"decoder\":" DECODER
		 ",\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\"," SPM_VOCAB "}}",
		 "model.fuse_unk is false and model.byte_fallback too"},
		{"{\"normalizer\":" REPLACE ",\"decoder\":" DECODER
		 ",\"model\":{\"type\":\"BPE\",\"unk_token\":\"x\",\"fuse_unk\":true," SPM_VOCAB "}}",
		 "model.unk_token is \"x\", which is no token"},
		{"{\"normalizer\":" REPLACE ",\"decoder\":" DECODER
		 ",\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"vocab\":{\"<0x41>\":0,\"a\":1,\"<0x41>a\":2},"
		 "\"merges\":[[\"<0x41>\",\"a\"]]}}",
		 "model.merges[0] joins the token of a byte"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct vocab broken;
		struct hokku_error err = {0};
		put_files(cases[i][0], NULL, NULL, NULL);
		if (!vocab_read(&broken, folder, 0, &observer, &err) || !strstr(err.message, cases[i][1]))
			fail_msg("case %zu: found %s\n  wanted %s", i, err.message, cases[i][1]);
	}
}

/* tokenizer.json may be larger than the other files. */
static void test_sizes(void **state)
{
	(void)state;
	struct strbuf b = {0};
	put_files(TOKENIZER(END), NULL, NULL, NULL);
	strbuf_add_c(&b, TOKENIZER(END));
	assert_true(strbuf_reserve(&b, HF_MAX_CONFIG_BYTES + 1));
	while (b.len < HF_MAX_CONFIG_BYTES + 1)
		b.ptr[b.len++] = ' ';
	put("tokenizer.json", b.ptr, b.len);
	expect_tokens(0, "<end>:c");
	memcpy(b.ptr, "{}", 2);
	memset(b.ptr + 2, ' ', b.len - 2);
	put("tokenizer_config.json", b.ptr, b.len);
	refuse(0, "tokenizer_config.json: ");
	put("tokenizer_config.json", b.ptr, b.len - 1);
	expect_tokens(0, "<end>:c");
	strbuf_free(&b);
}

static void test_templates(void **state)
{
	(void)state;
	put_files(TOKENIZER(END), "{\"chat_template\":\"A\"}", NULL, NULL);
	put_text("chat_template.jinja", "A");
	expect_tokens(0, "<end>:c");
	expect_notes("");
	put_text("chat_template.jinja", "B");
	expect_tokens(0, "<end>:c");
	assert_true(str_eq_c(v.chat_template, "B"));
	expect_notes(
		"tokenizer_config.json: chat_template is another than chat_template.jinja, which counts\n");
	put_text("chat_template.jinja", "B\xC3");
	refuse(0, "chat_template.jinja: byte 1 is no UTF-8; a template in UTF-8 is wanted");
	put("chat_template.jinja", "\xFF\xFE{\0", 4);
	refuse(0,
	       "chat_template.jinja: byte 0 is no UTF-8 (the file is UTF-16); a template in UTF-8 is wanted");
	drop("chat_template.jinja");
	/* A processor's file, where there is no other; others by their names. */
	put_text("chat_template.json", "{\"chat_template\":\"C\"}");
	expect_tokens(0, "<end>:c");
	assert_true(str_eq_c(v.chat_template, "A"));
	expect_notes(
		"chat_template.json: chat_template is left out: the tokenizer has another, which counts\n");
	put_files(TOKENIZER(END), NULL, NULL, NULL);
	expect_tokens(0, "<end>:c");
	assert_true(str_eq_c(v.chat_template, "C"));
	expect_notes("");
	put_text("chat_template.json", "{\"chat_template\":[]}");
	refuse(0, "chat_template.json: chat_template is []; a string is wanted");
	drop("chat_template.json");
	char path[160];
	snprintf(path, sizeof path, "%s/additional_chat_templates", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	put_text("additional_chat_templates/tool_use.jinja", "D");
	put_text("additional_chat_templates/rag.jinja", "E");
	expect_tokens(0, "<end>:c");
	assert_null(v.chat_template.ptr);
	expect_notes(
		"additional_chat_templates: 2 of them, \"rag.jinja\" the first, are left out; only the default is "
		"kept\n");
	drop("additional_chat_templates/tool_use.jinja");
	drop("additional_chat_templates/rag.jinja");
	rmdir(path);
}

/* What is there and cannot be read is not absent: it would say something. */
static void test_unreadable(void **state)
{
	(void)state;
	static const char *const names[] = {"tokenizer_config.json", "special_tokens_map.json",
					    "added_tokens.json", "chat_template.jinja", "chat_template.json"};
	char path[160], message[320];
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct hokku_error err = {0};
		struct vocab broken;
		put_files(TOKENIZER(END), NULL, NULL, NULL);
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		assert_int_equal(symlink("../blobs/12ab", path), 0);
		assert_int_equal(vocab_read(&broken, folder, 0, &observer, &err), HOKKU_NOT_FOUND);
		snprintf(message, sizeof message,
			 "%s: it is a link to ../blobs/12ab, which is not there; fetch the folder again",
			 path);
		assert_string_equal(err.message, message);
		unlink(path);
		assert_int_equal(mkfifo(path, 0600), 0); /* which nobody writes to */
		assert_int_equal(vocab_read(&broken, folder, 0, &observer, &err), HOKKU_IO_ERROR);
		snprintf(message, sizeof message, "%s: is a device, pipe or socket, not a file", path);
		assert_string_equal(err.message, message);
		unlink(path);
	}
	put_text("tokenizer.json", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n");
	refuse(0, "tokenizer.json: it is a Git LFS pointer; fetch the file itself with `git lfs pull`");
}

static void read_ids(const char *tokenizer_config, const char *generation, const char *config)
{
	struct hokku_error err;
	put_files(TOKENIZER(END), tokenizer_config, NULL, NULL);
	expect_tokens(0, "<end>:c");
	put_text("generation_config.json", generation);
	put_text("config.json", config);
	notes[0] = '\0';
	if (vocab_read_ids(&v, folder, &observer, &err))
		fail_msg("%s", err.message);
}

static void test_ids(void **state)
{
	(void)state;
	read_ids(NULL, "{\"bos_token_id\":1,\"pad_token_id\":2,\"eos_token_id\":[0,3]}",
		 "{\"bos_token_id\":2,\"pad_token_id\":2,\"eos_token_id\":3}");
	assert_true(v.bos == 1 && v.pad == 2 && v.eos == 0 && v.eot == 3);
	expect_notes("bos_token_id is 1 in generation_config.json and 2 in config.json: the former counts\n");
	read_ids("{\"bos_token\":\"<end>\",\"eos_token\":\"<end>\"}",
		 "{\"bos_token_id\":0,\"eos_token_id\":0}", "{\"bos_token_id\":1,\"eos_token_id\":[0,1]}");
	assert_true(v.bos == 5 && v.eos == 5 && v.eot == 0);
	expect_notes(
		"bos_token_id is 0 in generation_config.json and 1 in config.json: neither counts, the "
		"tokenizer names its token\n"
		"eos_token_id 1 of config.json is not in generation_config.json, whose ends count\n"
		"the tokenizer's eos_token is the token 5, which is not among the ends of eos_token_id: it "
		"ends an answer too\n");
	/* Ids that nothing needs may be another model's. */
	read_ids(NULL, "{\"bos_token_id\":4294967295,\"pad_token_id\":-1,\"temperature\":NaN}",
		 "{\"pad_token_id\":6,\"eos_token_id\":5}");
	assert_true(v.bos == -1 && v.pad == -1 && v.eos == 5 && v.eot == -1);
	expect_notes(
		"config.json: pad_token_id is 6, which is left out: the vocabulary has 6 tokens\n"
		"generation_config.json: bos_token_id is 4294967295, which is left out: the vocabulary has "
		"6 tokens\n"
		"generation_config.json: pad_token_id is -1, which is left out: the vocabulary has 6 "
		"tokens\n");
	/* The token 0 is one like any other. */
	read_ids("{\"bos_token\":\"a\",\"eos_token\":\"a\"}",
		 "{\"bos_token_id\":1,\"pad_token_id\":0,\"eos_token_id\":1}", "{}");
	assert_true(v.bos == 0 && v.pad == 0 && v.eos == 0 && v.eot == 1);
	expect_notes(
		"the tokenizer's eos_token is the token 0, which is not among the ends of eos_token_id: it ends "
		"an answer too\n");
	/* Nor need an end that is no token be one, where another is left or another file's count. */
	read_ids(NULL, "{\"eos_token_id\":5}", "{\"eos_token_id\":151645}");
	assert_true(v.eos == 5 && v.eot == -1);
	expect_notes("config.json: eos_token_id 151645 is left out: the vocabulary has 6 tokens\n");
	read_ids("{\"eos_token\":\"<end>\"}", "{\"eos_token_id\":-1}", "{}");
	assert_true(v.eos == 5 && v.eot == -1);
	expect_notes("generation_config.json: eos_token_id -1 is left out: the vocabulary has 6 tokens\n");
	read_ids(NULL, "{\"eos_token_id\":[6,3]}", "{}");
	assert_true(v.eos == 3 && v.eot == -1);
	expect_notes("generation_config.json: eos_token_id 6 is left out: the vocabulary has 6 tokens\n");
	static const char *const wrong[][2] = {
		{"{\"eos_token_id\":[6,7]}", "eos_token_id is 6; the vocabulary has 6 tokens"},
		{"{", "line 1 column 1: "},
		{"{\"bos_token_id\":\"a\"}", "bos_token_id is \"a\"; a token id"},
		{"{\"eos_token_id\":6}", "eos_token_id is 6; the vocabulary has 6 tokens"},
		{"{\"eos_token_id\":-1}", "eos_token_id is -1; the vocabulary has 6 tokens"},
		{"{\"eos_token_id\":NaN}", "eos_token_id is NaN; a token id (or a list of them) is wanted"},
		{"{\"pad_token_id\":1e30}", "pad_token_id is 1e30; a token id"},
		{"{\"eos_token_id\":[0,1000000000000000019884624838656]}",
		 "eos_token_id[1] is 1000000000000000019884624838656; a token id"},
	};
	static const char *const files[] = {"generation_config.json", "config.json"};
	for (size_t i = 0; i < 2 * (sizeof wrong / sizeof *wrong); i++) {
		struct hokku_error err = {0};
		put_text(files[i % 2], wrong[i / 2][0]);
		put_text(files[1 - i % 2], "{}");
		v.eos = v.eot = -1;
		assert_int_equal(vocab_read_ids(&v, folder, &observer, &err), HOKKU_BAD_FILE);
		if (!strstr(err.message, wrong[i / 2][1]) || !strstr(err.message, files[i % 2]))
			fail_msg("%s lacks %s", err.message, wrong[i / 2][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokenizer_json), cmocka_unit_test(test_holes),
		cmocka_unit_test(test_many_moved),     cmocka_unit_test(test_decoder),
		cmocka_unit_test(test_older_files),    cmocka_unit_test(test_beside_decoder),
		cmocka_unit_test(test_named),          cmocka_unit_test(test_first_token),
		cmocka_unit_test(test_model),          cmocka_unit_test(test_templates),
		cmocka_unit_test(test_unreadable),     cmocka_unit_test(test_merges),
		cmocka_unit_test(test_spm_shape),      cmocka_unit_test(test_spm_refused),
		cmocka_unit_test(test_sizes),          cmocka_unit_test(test_ids),
	};
	int rc = cmocka_run_group_tests(tests, make_folder, drop_folder);
	vocab_free(&v);
	return rc;
}
