"""Writes training shards: conversations as token ids.

    python3 corpus.py --tokenizer work/tokenizer.json --out work/shards --first 0 --count 40

A shard holds ``ids`` (uint16, all conversations end to end), ``learn`` (bool,
the tokens that the loss counts) and ``ends`` (where each conversation ends).
Shard n is drawn with seed n: any process can write any shard.
"""

import argparse
from pathlib import Path

import numpy as np

from tokenizer import Tokenizer
from verse import Requests


def write_shard(path, requests, tokenizer, conversations):
    ids, learn, ends = [], [], []
    for _ in range(conversations):
        new_ids, new_learn = tokenizer.encode_chat(requests.conversation())
        ids += new_ids
        learn += new_learn
        ends.append(len(ids))
    part = path.with_suffix(".part.npz")
    np.savez(
        part,
        ids=np.array(ids, np.uint16),
        learn=np.array(learn, bool),
        ends=np.array(ends, np.int64),
    )
    part.rename(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--conversations", type=int, default=8192, help="per shard")
    args = parser.parse_args()
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(args.tokenizer)
    for n in range(args.first, args.first + args.count):
        path = out / f"{n:05d}.npz"
        if not path.exists():
            requests = Requests(1000 + n)
            write_shard(path, requests, tokenizer, args.conversations)
            print(path, flush=True)


if __name__ == "__main__":
    main()
