"""Trains the byte-level BPE vocabulary and writes tokenizer.json.

    python3 tokenizer.py --verses 20000 --out tokenizer.json

The format is Hugging Face's; the pre-tokenizer is Qwen2's. All 256 bytes are
in the vocabulary, so every text encodes. ``Tokenizer`` is a small encoder for
the training scripts, proven against nothing but its own file: engines and
transformers read the same tokenizer.json.
"""

import argparse
import json
import re
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

from lexicon import UNITS

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
VOCAB_SIZE = 6656
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# The same pattern for Python's re, which has no \p classes.
LETTER = r"[^\W\d_]"
SPLIT = re.compile(
    rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|(?:(?!{LETTER})[^\r\n\d])?{LETTER}+|\d|"
    r" ?(?:[^\s\w]|_)+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_alphabet():
    """GPT-2's map of the 256 bytes to printable characters."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, extra = {}, 0
    for byte in range(256):
        table[byte] = chr(byte) if byte in keep else chr(256 + extra)
        extra += byte not in keep
    return table


ALPHABET = byte_alphabet()


def pieces(text):
    """Pre-tokens of a text in the byte alphabet."""
    text = unicodedata.normalize("NFC", text)
    for piece in SPLIT.findall(text):
        yield "".join(ALPHABET[b] for b in piece.encode("utf-8"))


def train(counts, merges_wanted):
    """Byte pair encoding over {piece: count}: the list of merges."""
    words = [list(piece) for piece in counts]
    freqs = list(counts.values())
    pairs, where = Counter(), defaultdict(set)
    for i, word in enumerate(words):
        for pair in zip(word, word[1:]):
            pairs[pair] += freqs[i]
            where[pair].add(i)
    merges = []
    while len(merges) < merges_wanted and pairs:
        best = max(pairs, key=lambda p: (pairs[p], p))
        if pairs[best] < 2:
            break
        merges.append(best)
        for i in where.pop(best):
            word = words[i]
            for pair in zip(word, word[1:]):
                pairs[pair] -= freqs[i]
            words[i] = word = merge(word, best)
            for pair in zip(word, word[1:]):
                pairs[pair] += freqs[i]
                where[pair].add(i)
        pairs.pop(best, None)
    return merges


def merge(word, pair):
    out, i = [], 0
    while i < len(word):
        if i + 1 < len(word) and (word[i], word[i + 1]) == pair:
            out.append(word[i] + word[i + 1])
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out


class Tokenizer:
    """Encodes and decodes with a tokenizer.json."""

    def __init__(self, path):
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        self.vocab = data["model"]["vocab"]
        self.ranks = {tuple(m.split(" ")): i for i, m in enumerate(data["model"]["merges"])}
        self.special = {t["content"]: t["id"] for t in data["added_tokens"]}
        self.text = {i: piece for piece, i in self.vocab.items()}
        self.bytes = {c: b for b, c in ALPHABET.items()}
        self.cache = {}
        self.size = len(self.vocab) + len(self.special)

    def encode_piece(self, piece):
        ids = self.cache.get(piece)
        if ids is None:
            word = list(piece)
            while len(word) > 1:
                best = min(zip(word, word[1:]), key=lambda p: self.ranks.get(p, 1 << 30))
                if best not in self.ranks:
                    break
                word = merge(word, best)
            ids = self.cache[piece] = [self.vocab[w] for w in word]
        return ids

    def encode(self, text):
        """Ids of a text without special tokens."""
        return [i for piece in pieces(text) for i in self.encode_piece(piece)]

    def encode_chat(self, messages):
        """(ids, learn) of a conversation in ChatML; learn marks the verses and their ends."""
        start, end = self.special["<|im_start|>"], self.special["<|im_end|>"]
        newline = self.encode("\n")
        ids, learn = [], []
        for message in messages:
            head = [start] + self.encode(message["role"] + "\n")
            body = self.encode(message["content"]) + [end]
            own = message["role"] == "assistant"
            ids += head + body + newline
            learn += [0] * len(head) + [own] * len(body) + [0] * len(newline)
        return ids, learn

    def prompt(self, messages):
        """Ids that ask for the next verse."""
        ids, _ = self.encode_chat(messages)
        return ids + [self.special["<|im_start|>"]] + self.encode("assistant\n")

    def decode(self, ids):
        data = bytes(self.bytes[c] for i in ids if i in self.text for c in self.text[i])
        return data.decode("utf-8", "replace")


def corpus_counts(verses, seed):
    """Pieces of generated conversations; every lexicon word counts at least a little."""
    from verse import Requests

    requests = Requests(seed)
    counts = Counter()
    for _ in range(verses):
        for message in requests.conversation():
            counts.update(pieces(message["role"] + "\n"))
            counts.update(pieces(message["content"]))
    for phrase in requests.gen.lexicon.kinds:
        for word in phrase.split():
            counts[next(iter(pieces(" " + word)))] += 25
    for unit in UNITS[1:10]:
        counts["-" + unit] += 1000
    # Rare pieces (made-up words) teach letters, not words.
    return Counter({piece: n for piece, n in counts.items() if n >= 3})


def tokenizer_json(merges):
    vocab = {c: i for i, c in enumerate(ALPHABET[b] for b in range(256))}
    for a, b in merges:
        vocab.setdefault(a + b, len(vocab))
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": len(vocab) + i,
                "content": text,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for i, text in enumerate(SPECIALS)
        ],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
            ],
        },
        "post_processor": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": False,
            "use_regex": False,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": vocab,
            "merges": [f"{a} {b}" for a, b in merges],
        },
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verses", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--size", type=int, default=VOCAB_SIZE, help="tokens, special ones included")
    parser.add_argument("--out", default="tokenizer.json")
    args = parser.parse_args()
    counts = corpus_counts(args.verses, args.seed)
    merges = train(counts, args.size - 256 - len(SPECIALS))
    data = tokenizer_json(merges)
    Path(args.out).write_text(json.dumps(data, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    print(f"{len(data['model']['vocab']) + len(SPECIALS)} tokens from {len(counts)} pieces")


if __name__ == "__main__":
    main()
