"""Measures the model through a running server: five figures and their floors.

    hokku serve -m models/haiku/haiku.gguf --port 8080 &
    python3 eval.py --url http://127.0.0.1:8080

Sixty minute words ("zero" to "fifty-nine") with five seeds each, at temperature
0.7, over a fixed list of subjects: 300 requests of the form
``Write a haiku about autumn rain that contains the word "forty-two".``
The exit status is 1 when a figure lies below its floor. --show prints verses.
"""

import argparse
import json
import sys
import urllib.request

from compose import LINES, contains
from lexicon import Lexicon, number_word

FLOORS = {
    "the word occurs": 97,
    "three lines": 98,
    "5-7-5 by the lexicon": 90,
    "the subject occurs": 90,
    "different verses": 95,
}
SUBJECTS = (
    "autumn rain", "the night train", "an old bicycle", "coffee", "my grandmother", "the sea", "first snow",
    "a spider", "crows", "the harbor", "silence", "an empty chair", "fireflies", "the moon", "morning fog",
    "bread", "a violin", "the mountains", "my neighbor", "computers", "a red umbrella", "winter", "an old temple",
    "lighthouse", "love", "the last bus", "sunflowers", "a love letter", "rust", "wild geese",
)  # fmt: skip
SEEDS = range(1, 6)


def requests():
    """Yield (subject, word, seed, prompt), the same 300 every time."""
    for minute in range(60):
        for seed in SEEDS:
            subject = SUBJECTS[(minute + 7 * seed) % len(SUBJECTS)]
            word = number_word(minute)
            yield subject, word, seed, f'Write a haiku about {subject} that contains the word "{word}".'


def judge(results):
    """The five figures, in percent, of [(subject, word, verse), ...]."""
    lexicon = Lexicon()
    count = dict.fromkeys(FLOORS, 0)
    for subject, word, verse in results:
        lines = verse.strip("\n").split("\n")
        count["the word occurs"] += contains(verse, word)
        count["three lines"] += len(lines) == 3 and all(line.strip() for line in lines)
        count["5-7-5 by the lexicon"] += tuple(lexicon.syllables(line) for line in lines) == LINES
        count["the subject occurs"] += contains(verse, subject)
    count["different verses"] = len({verse for _, _, verse in results})
    return {name: 100 * n / len(results) for name, n in count.items()}


def report(figures):
    """Print the figures beside their floors; True where all hold."""
    for name, percent in figures.items():
        short = "" if percent >= FLOORS[name] else "  SHORT"
        print(f"{name:22} {percent:6.1f} %   floor {FLOORS[name]} %{short}")
    return all(figures[name] >= floor for name, floor in FLOORS.items())


def ask(url, prompt, temperature, seed):
    body = {
        "messages": [{"role": "user", "content": prompt}],
        "temperature": temperature,
        "seed": seed,
        "max_tokens": 64,
        "stream": False,
    }
    request = urllib.request.Request(
        url + "/v1/generate", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["text"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--show", type=int, default=0, help="print every n-th verse")
    args = parser.parse_args()
    results = []
    for subject, word, seed, prompt in requests():
        verse = ask(args.url.rstrip("/"), prompt, args.temperature, seed)
        results.append((subject, word, verse))
        if args.show and len(results) % args.show == 0:
            print(f"> {prompt}\n{verse}\n")
    return 0 if report(judge(results)) else 1


if __name__ == "__main__":
    sys.exit(main())
