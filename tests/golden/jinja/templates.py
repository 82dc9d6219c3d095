# What real templates write for the conversations of conversations.json, by jinja2 in the environment of
# transformers' apply_chat_template (language.py): python3 templates.py FOLDER > templates.json
# FOLDER has the templates as NAME.jinja (tests/oracle/jinja.test.mjs says where they come from; they are data for tests and
# not kept here). Of each template the file keeps the SHA-256 of its source, and for each case eight hexadecimal digits of that
# of the text, "R" and the same of the words where the template refuses, or "F" where it fails.
import copy
import glob
import hashlib
import json
import os
import sys

import jinja2

import language

here = os.path.dirname(os.path.abspath(__file__))
C = json.load(open(os.path.join(here, "conversations.json"), encoding="utf-8"))


class Refused(jinja2.exceptions.TemplateError):
    pass


def raise_exception(message):
    raise Refused(message)


def cases():
    for name, messages in C["conversations"].items():
        for answer in (True, False):
            for tools in (None, C["tools"]):
                yield {"messages": messages, "add_generation_prompt": answer, "tools": tools, "documents": None}
    for kwargs in C["kwargs"]:
        for name in C["with_kwargs"]:
            tools = C["tools"] if "call" in name else None
            yield {"messages": C["conversations"][name], "add_generation_prompt": True, "tools": tools, "documents": None, **kwargs}


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def result(template, variables):
    try:
        return digest(template.render(**copy.deepcopy(variables), **C["trusted"]))[:8]
    except Refused as e:
        return "R" + digest(str(e))[:8]
    except Exception:
        return "F"


def main():
    env = language.environment(C["now"])
    env.globals["raise_exception"] = raise_exception
    env.filters["from_json"] = json.loads
    out = {}
    for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.jinja"))):
        source = open(path, encoding="utf-8", newline="").read()
        template = env.from_string(source)
        name = os.path.basename(path)[: -len(".jinja")]
        out[name] = {"source": digest(source), "texts": " ".join(result(template, v) for v in cases())}
    print(json.dumps(out, indent=0))


if __name__ == "__main__":
    main()
