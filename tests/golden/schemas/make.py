#!/usr/bin/env python3
"""Small schemas drawn at random, and values that Python's jsonschema says are valid or not (2020-12).

    pip install jsonschema==4.26.0
    python3 make.py > schemas.json

A row: the schema; valid values, each as all its texts (a shape writes the properties of an object in one
order, which a judge of values knows nothing of); texts of values that are not valid. Texts are as Python
writes them without white space.
"""
import itertools
import json
import random

from jsonschema import Draft202012Validator

R = random.Random(16)
KEYS = ["a", "b", "c", "d"]
N_SCHEMAS, N_VALUES, MAX_TEXTS = 400, 10, 12


def leaf():
    return R.choice([
        {"type": "integer"}, {"type": "string"}, {"minimum": R.randint(-2, 3)}, {"exclusiveMaximum": R.randint(-1, 4)},
        {"multipleOf": R.choice([2, 3, 0.5])}, {"enum": [value(0) for _ in range(R.randint(1, 3))]}, {"const": value(0)},
        {"minLength": R.randint(0, 2), "maxLength": R.randint(0, 3)}, {"pattern": R.choice(["^x", "y$", "x", "^[xy]*$"])},
        {"type": R.choice(["number", "boolean", "null", "object", "array"])},
    ])


def some(depth, most):
    return [schema(depth) for _ in range(R.randint(1, most))]


def put(s, depth, unevaluated):
    """One keyword more."""
    d = depth - 1
    makers = {
        "properties": lambda: {k: schema(d) for k in R.sample(KEYS, R.randint(1, 3))},
        "required": lambda: R.sample(KEYS, R.randint(1, 2)),
        "additionalProperties": lambda: R.choice([False, False, True, leaf(), schema(d)]),
        "patternProperties": lambda: {R.choice(["^a", "b", "^[ab]$", "c|d", "."]): schema(d) for _ in range(R.randint(1, 2))},
        "propertyNames": lambda: R.choice([{"pattern": "^[a-c]"}, {"maxLength": 1}, {"enum": ["a", "b"]}, {"not": {"const": "c"}}]),
        "minProperties": lambda: R.randint(0, 3), "maxProperties": lambda: R.randint(0, 3),
        "minItems": lambda: R.randint(0, 3), "maxItems": lambda: R.randint(0, 3),
        "items": lambda: R.choice([leaf(), schema(d), False]), "prefixItems": lambda: some(d, 2),
        "contains": leaf, "minContains": lambda: R.randint(0, 2), "maxContains": lambda: R.randint(0, 2),
        "allOf": lambda: some(d, 3), "anyOf": lambda: some(d, 3), "oneOf": lambda: some(d, 3), "not": lambda: schema(d),
        "if": lambda: schema(d), "then": lambda: schema(d), "else": lambda: schema(d),
        "dependentRequired": lambda: {R.choice(KEYS): R.sample(KEYS, R.randint(0, 2))},
        "dependentSchemas": lambda: {R.choice(KEYS): schema(d)},
        "type": lambda: R.choice(["object", "array", "string", "number", ["object", "array"], ["string", "null"]]),
        "enum": lambda: [value(1) for _ in range(R.randint(1, 4))], "const": lambda: value(2),
        "$ref": lambda: R.choice(["#/$defs/x", "#/$defs/y"]),
    }
    if unevaluated:
        makers["unevaluatedProperties"] = makers["unevaluatedItems"] = lambda: R.choice([False, leaf()])
    k = R.choice(list(makers))
    s[k] = makers[k]()


def schema(depth, unevaluated=False):
    if depth <= 0 or R.random() < 0.25:
        return leaf()
    s = {}
    for _ in range(R.randint(1, 4)):
        put(s, depth, unevaluated)
    return s


def value(depth):
    r = R.random()
    if depth > 0 and r < 0.3:
        return {k: value(depth - 1) for k in R.sample(KEYS + ["e"], R.randint(0, 3))}
    if depth > 0 and r < 0.55:
        return [value(depth - 1) for _ in range(R.randint(0, 3))]
    return R.choice([None, True, False, 0, 1, 2, 3, -1, 1.5, 0.5, 6, "", "x", "y", "xy", "yx", "xxy"])


def orders(v):
    if isinstance(v, dict):
        for members in itertools.product(*[[(k, x) for x in orders(m)] for k, m in v.items()]):
            for p in itertools.permutations(members):
                yield dict(p)
    elif isinstance(v, list):
        yield from (list(items) for items in itertools.product(*[orders(m) for m in v]))
    else:
        yield v


def text(v):
    return json.dumps(v, separators=(",", ":"))


def row():
    s = schema(R.randint(1, 3), R.random() < 0.2)
    if "$ref" in text(s):
        s["$defs"] = {"x": schema(1), "y": schema(2)}
    judge, valid, invalid = Draft202012Validator(s), [], []
    for _ in range(N_VALUES):
        v = value(3)
        texts = [text(x) for x in itertools.islice(orders(v), MAX_TEXTS + 1)]
        if not judge.is_valid(v):
            invalid.append(texts[0])
        elif len(texts) <= MAX_TEXTS:
            valid.append(texts)
    return {"schema": s, "valid": valid, "invalid": invalid}


rows = []
while len(rows) < N_SCHEMAS:
    try:
        rows.append(row())
    except RecursionError:  # a schema that refers to itself without content
        pass
print("[" + ",\n".join(text(r) for r in rows) + "]")
