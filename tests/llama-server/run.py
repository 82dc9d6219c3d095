#!/usr/bin/python3
"""Runs llama-server's own HTTP tests against hokku and compares what passes with docs/llama-server-tests.md: run.py BUNDLE FOLDER HOKKU [--write]
[pytest's arguments]. BUNDLE is the git bundle of llama.cpp's sources in the npm package node-llama-cpp; they are unpacked under FOLDER and stay there.
Run are the files of which the page has a section. With --write its numbers are made new; its reasons are a person's."""
import os
import re
import socket
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(HERE, "..", "..", "docs", "llama-server-tests.md")
SECTION = re.compile(r"^## (test_\w+)$")
ROW = re.compile(r"^\| `(test_\w+)` \| (\d+) of (\d+) \| (.*?) ?\|$")


def unpack(bundle, folder):
    sources = os.path.join(folder, "llama.cpp")
    mark = os.path.join(sources, ".unpacked")
    if not os.path.exists(mark):
        os.makedirs(sources, exist_ok=True)
        git = lambda *args: subprocess.run(["git", "-C", sources, *args], check=True, stdout=subprocess.DEVNULL)
        git("init", "-q")
        git("fetch", "-q", os.path.abspath(bundle), "HEAD")
        git("checkout", "-q", "FETCH_HEAD", "--", "tools/server/tests", "models/templates")
        open(mark, "w").close()
    return os.path.join(sources, "tools", "server", "tests")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def results(tests, hokku, folder, arguments):
    """{(file, function): [passed, all]}; tests that llama.cpp itself leaves out are none."""
    out = os.path.abspath(os.path.join(folder, "results.xml"))
    if os.path.exists(out):
        os.remove(out)
    env = {**os.environ, "HOKKU": os.path.abspath(hokku), "LLAMA_SERVER_BIN_PATH": os.path.join(HERE, "launch.py"), "PORT": str(free_port()),
           "PYTHONPATH": os.pathsep.join([HERE, os.path.join(HERE, "stand_in"), tests]), "PYTHONDONTWRITEBYTECODE": "1"}
    with open(os.path.join(folder, "log"), "w") as log:
        subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "plugin", "-q", "--tb=short", "-m", "not slow", "--junitxml", out,
                        *arguments], cwd=tests, env=env, stdout=log, stderr=subprocess.STDOUT)
    counts = {}
    for case in ElementTree.parse(out).iter("testcase"):
        if case.find("skipped") is not None:
            continue
        count = counts.setdefault((case.get("classname").split(".")[-1], case.get("name").split("[")[0]), [0, 0])
        count[0] += case.find("failure") is None and case.find("error") is None
        count[1] += 1
    return counts


def main():
    write = "--write" in sys.argv
    bundle, folder, hokku, *more = [a for a in sys.argv[1:] if a != "--write"]
    with open(PAGE) as f:
        page = f.read().split("\n")
    files = ["unit/%s.py" % m.group(1) for m in map(SECTION.match, page) if m]
    os.makedirs(folder, exist_ok=True)
    counts = results(unpack(bundle, folder), hokku, folder, more or files)
    told, wrong, section, n_passed, n_all = [], [], "", 0, 0
    for line in page:
        section = SECTION.match(line).group(1) if SECTION.match(line) else section
        row = ROW.match(line)
        count = counts.pop((section, row.group(1)), None) if row else None
        if row and not count and not more:
            wrong.append("%s::%s has a row and was not run" % (section, row.group(1)))
        if count:
            passed, n = count
            n_passed, n_all = n_passed + passed, n_all + n
            if (passed, n) != (int(row.group(2)), int(row.group(3))):
                wrong.append("%s::%s: %d of %d pass; the page has %s of %s" % (section, row.group(1), passed, n, row.group(2), row.group(3)))
            if passed < n and not row.group(4):
                wrong.append("%s::%s: the page does not say why %d of %d fail" % (section, row.group(1), n - passed, n))
            line = "| `%s` | %d of %d | %s |" % (row.group(1), passed, n, row.group(4)) if write else line
        told.append(line)
    wrong += ["%s::%s: %d of %d pass; the page has no row for it" % (*key, *count) for key, count in counts.items()]
    if write:
        with open(PAGE, "w") as f:
            f.write("\n".join(told))
    print("".join(text + "\n" for text in wrong) + "llama-server's tests: %d of %d pass, %s (%s)" %
          (n_passed, n_all, "%d rows of docs/llama-server-tests.md say otherwise" % len(wrong) if wrong else "as docs/llama-server-tests.md says",
           os.path.join(folder, "log")))
    sys.exit(1 if wrong else 0)


main()
