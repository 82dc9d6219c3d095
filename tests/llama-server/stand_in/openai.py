"""Stands in for OpenAI's Python client, as far as llama-server's tests use it: requests whose answers are read by attributes. (The official client of
JavaScript is in tests/e2e/openai.test.mjs.)"""
import json

import requests


class Answer:
    """An object of JSON; what it lacks is None, as a field that may be absent is in the client's models."""

    def __init__(self, members):
        self.members = members

    def __getattr__(self, name):
        return wrap(self.members.get(name))

    def to_dict(self):
        return self.members


def wrap(value):
    if isinstance(value, dict):
        return Answer(value)
    return [wrap(v) for v in value] if isinstance(value, list) else value


class APIError(Exception):
    pass


class Route:
    def __init__(self, client, path):
        self.client, self.path = client, path

    def create(self, extra_body=None, extra_headers=None, **fields):
        body = {k: v for k, v in {**fields, **(extra_body or {})}.items() if v is not None}
        answer = requests.post(self.client.base_url + self.path, json=body, stream=bool(body.get("stream")),
                               headers={"Authorization": "Bearer " + self.client.api_key, **(extra_headers or {})})
        if answer.status_code != 200:
            raise APIError("%d: %s" % (answer.status_code, answer.text))
        return self.events(answer) if body.get("stream") else wrap(answer.json())

    def events(self, answer):
        for line in answer.iter_lines():
            if line.startswith(b"data: ") and line != b"data: [DONE]":
                event = json.loads(line[6:])
                if "error" in event:
                    raise APIError(event["error"])
                yield wrap(event)


class Group:
    pass


class OpenAI:
    def __init__(self, api_key, base_url):
        self.api_key, self.base_url = api_key, base_url.rstrip("/")
        self.completions = Route(self, "/completions")
        self.embeddings = Route(self, "/embeddings")
        self.responses = Route(self, "/responses")
        self.chat = Group()
        self.chat.completions = Route(self, "/chat/completions")
