#!/usr/bin/python3
"""Stands in for llama-server: takes its options and becomes `hokku serve` with those that mean the same here. Whatever model is named, a tiny one of
its own (model.py) is served under the alias; what has no meaning here is passed over, and the tests that ask for it say so."""
import os
import sys
import tempfile

import model

FLAGS = {"--offline", "--cont-batching", "--embedding", "--reranking", "--metrics", "--kv-unified", "--swa-full", "--slots", "--no-slots", "--verbose",
         "--context-shift", "--no-ui", "--no-models-autoload", "--jinja", "--no-jinja", "--no-mmproj", "--no-cache-idle-slots", "--ui-mcp-proxy",
         "--backend_sampling"}


def read(argv):
    given, i = {}, 0
    while i < len(argv):
        flag = argv[i] in FLAGS
        given[argv[i]] = True if flag else argv[i + 1]
        i += 1 if flag else 2
    return given


def main():
    given = read(sys.argv[1:])
    folder = tempfile.mkdtemp(prefix="hokku-llama-")
    parallel = int(given.get("--parallel", 4))
    n_ctx = int(given.get("--ctx-size", 4096))
    if "--kv-unified" not in given:
        n_ctx //= parallel
    repo = given.get("--hf-repo", "")
    path = os.path.join(folder, "model.gguf")
    name = sorted(given.get("--alias", "tinyllama-2").split(","))[0]
    model.write(path, name, temperature=float(given["--temp"]) if "--temp" in given else None, fim="infill" in repo,
                n_ctx=n_ctx)
    args = [os.environ["HOKKU"], "serve", path, "--threads", "1", "--host", given.get("--host", "127.0.0.1"), "--port", given.get("--port", "8080"),
            "--parallel", str(parallel), "--ctx", str(n_ctx)]
    for theirs, ours in (("--slot-save-path", "--state-dir"), ("--chat-template", "--chat-template"), ("--chat-template-file", "--chat-template-file"),
                         ("--cors-origins", "--cors-origins")):
        if theirs in given:
            args += [ours, given[theirs]]
    if "--chat-template-file" in given: # it says so itself where nothing is said
        args += ["--chat-template-kwargs", '{"enable_thinking": %s}' % ("false" if given.get("--reasoning") == "off" else "true")]
    if "--api-key" in given:
        keys = os.path.join(folder, "keys")
        with open(keys, "w") as f:
            f.write("".join(k + "\n" for k in given["--api-key"].split(",")))
        os.chmod(keys, 0o600)
        args += ["--api-key-file", keys]
    os.execv(args[0], args)


main()
