# What the language's parts write, by Debian's python3-jinja2 in the environment of transformers'
# apply_chat_template: python3 language.py > language.json
# A row: template, variables. Rows whose template fails are kept with "fails" (the words are not compared).
import datetime
import json

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_written"), [], [], body).set_lineno(line)

    def _written(self, caller):
        return caller()


CHANGES = {"append", "pop", "insert", "extend", "remove", "reverse", "clear", "update", "setdefault", "popitem"}


class Environment(ImmutableSandboxedEnvironment):
    # hokku lets templates change their own lists and dicts, as llama.cpp does
    def is_safe_attribute(self, obj, attr, value):
        return (isinstance(obj, (list, dict)) and attr in CHANGES) or super().is_safe_attribute(obj, attr, value)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment(now="2026-07-31T13:05:09"):
    env = Environment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda f: datetime.datetime.fromisoformat(now).strftime(f)
    return env


V = {
    "s": "Hello, World",
    "u": "häßlich ΣΑΣ ǆ 日本語 😀",
    "pad": "  \t x y \n ",
    "e": "",
    "n": 7,
    "big": 2**64 + 5,
    "floats": [1e300, 1e-300, 100.0, 1e16, 0.5, 123456.789],
    "z": 0,
    "f": 2.5,
    "b": True,
    "none_": None,
    "l": [3, 1, 2],
    "w": ["pear", "Apple", "fig", "apple"],
    "d": {"b": 1, "a": {"x": [1, 2.0, None, True]}, "c": "q\"uo'te"},
    "users": [
        {"name": "ann", "age": 31, "on": True, "at": {"city": "Rome"}},
        {"name": "Bob", "age": 25, "on": False, "at": {"city": "Oslo"}},
        {"name": "cid", "age": 31, "on": True, "at": {}},
    ],
    "tree": [{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3, "c": [{"v": 4, "c": []}]}]}, {"v": 5, "c": []}],
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi <b>"},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]},
        {"role": "tool", "content": "42"},
    ],
}

ROWS = [r for r in (open(__file__.replace("language.py", "language.txt"), encoding="utf-8").read()).split("\n====\n")]


def main():
    env, out = environment(), []
    for row in ROWS:
        source = row.replace("\\CR", "\r").replace("\\BLANK", " ")
        try:
            out.append({"template": source, "text": env.from_string(source).render(**json.loads(json.dumps(V)))})
        except Exception as e:
            out.append({"template": source, "fails": type(e).__name__})
    print(json.dumps({"vars": V, "now": "2026-07-31T13:05:09", "rows": out}, ensure_ascii=False, indent=0))


if __name__ == "__main__":
    main()
