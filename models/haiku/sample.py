"""Samples from a checkpoint with PyTorch, before there is a GGUF file.

    python3 sample.py --run work/run --tokenizer work/tokenizer.json             eval.py's figures
    python3 sample.py --run ... --tokenizer ... --ask "autumn rain" "hello"      verses
"""

import argparse
import json
import sys
from pathlib import Path

import torch

from eval import judge, report, requests
from model import build
from tokenizer import Tokenizer


def generate(model, tokenizer, prompts, temperature, limit=64):
    """One verse a prompt, sampled together; rows stand at their own lengths."""
    rows = [tokenizer.prompt([{"role": "user", "content": p}]) for p in prompts]
    starts = [len(r) for r in rows]
    stop = {tokenizer.special["<|im_end|>"], tokenizer.special["<|endoftext|>"]}
    live = list(range(len(rows)))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for _ in range(limit):
            if not live:
                break
            width = max(len(rows[i]) for i in live)
            block = torch.tensor([rows[i] + [0] * (width - len(rows[i])) for i in live])
            last = torch.tensor([len(rows[i]) - 1 for i in live])
            hidden = model.hidden(block)[torch.arange(len(live)), last]
            logits = model.logits(hidden).float() / max(temperature, 1e-6)
            for i, token in zip(live, torch.multinomial(logits.softmax(-1), 1)[:, 0].tolist()):
                rows[i].append(token)
            live = [i for i in live if rows[i][-1] not in stop]
    return [tokenizer.decode(row[start:]) for row, start in zip(rows, starts)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=0, help="print every n-th verse")
    parser.add_argument("--ask", nargs="*", help="prompts to answer instead of the evaluation")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    run = Path(args.run)
    model = build(json.loads((run / "config.json").read_text()))
    model.load_state_dict(torch.load(run / "checkpoint.pt", map_location="cpu")["model"])
    tokenizer = Tokenizer(args.tokenizer)
    asked = list(requests())
    prompts = args.ask or [prompt for *_, prompt in asked]
    verses = generate(model, tokenizer, prompts, args.temperature)
    for i, (prompt, verse) in enumerate(zip(prompts, verses)):
        if args.ask or (args.show and i % args.show == 0):
            print(f"> {prompt}\n{verse}\n")
    if args.ask:
        return 0
    return 0 if report(judge([(s, w, v) for (s, w, *_), v in zip(asked, verses)])) else 1


if __name__ == "__main__":
    sys.exit(main())
