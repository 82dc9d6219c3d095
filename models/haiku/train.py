"""Trains the haiku model on the shards of corpus.py.

    python3 train.py --tokenizer work/tokenizer.json --shards work/shards \\
        --out work/run --tokens 50e6

Batches hold conversations of nearly the same length, the loss counts verse
tokens only, AdamW's rate rises for a moment and then falls along a cosine to
zero at --tokens, or at --minutes where that comes first. A checkpoint is
written every two minutes; --resume goes on from it, also with other limits.
On a CPU the products run in bfloat16.
"""

import argparse
import json
import math
import random
import time
from pathlib import Path

import numpy as np
import torch

from model import CONFIG, CrossEntropy, build
from tokenizer import Tokenizer

HELD_OUT = 99999  # the shard that training never sees


def batches(path, tokens, rng):
    """Batches of a shard: (ids, flat positions that predict, their targets).

    Rows of a batch are nearly equally long. Few shapes occur (even lengths, one
    batch size a length, targets in multiples of 64): a CPU compiles its products
    for each shape anew.
    """
    shard = np.load(path)
    ids, learn, ends = (shard[k] for k in ("ids", "learn", "ends"))
    starts = np.concatenate(([0], ends[:-1]))
    sizes = ends - starts
    order = sorted(range(len(ends)), key=lambda i: (sizes[i], rng.random()))
    groups, group = [], []
    for i in order:
        length = (sizes[i] + 1) // 2 * 2
        while len(group) >= tokens // length:
            cut = tokens // length
            groups.append((group[:cut], (max(sizes[j] for j in group[:cut]) + 1) // 2 * 2))
            group = group[cut:]
        group.append(i)
    rng.shuffle(groups)
    for group, length in groups:
        block = np.zeros((len(group), length), np.int64)
        marks = np.zeros((len(group), length), bool)
        for row, i in enumerate(group):
            block[row, : sizes[i]] = ids[starts[i] : ends[i]]
            marks[row, : sizes[i]] = learn[starts[i] : ends[i]]
        rows, columns = np.nonzero(marks)
        whole = len(rows) // 64 * 64
        rows, columns = rows[:whole], columns[:whole]
        yield (
            torch.from_numpy(block),
            torch.from_numpy(rows * length + columns - 1),
            torch.from_numpy(block[rows, columns]),
        )


def stream(folder, tokens, seed, done):
    """Endless batches; shards in order, from the first again after the last."""
    count = 0
    while True:
        paths = sorted(p for p in folder.glob("?????.npz") if p.stem != f"{HELD_OUT:05d}")
        path = paths[count % len(paths)]
        if count >= done:
            for batch in batches(path, tokens, random.Random(seed * 1_000_003 + count)):
                yield count, batch
        count += 1


def loss_of(model, batch, device):
    ids, positions, targets = (t.to(device) for t in batch)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        hidden = model.hidden(ids).flatten(0, 1)[positions]
        return CrossEntropy.apply(model.logits(hidden), targets)


def evaluate(model, folder, device):
    """Loss per verse token on the held-out shard."""
    total = count = 0
    with torch.no_grad():
        for batch in batches(folder / f"{HELD_OUT:05d}.npz", 4096, random.Random(0)):
            total += loss_of(model, batch, device).item() * len(batch[2])
            count += len(batch[2])
    return total / count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--shards", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--tokens", type=float, default=50e6)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="of training, all runs together")
    parser.add_argument("--batch", type=int, default=4096, help="tokens a step")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--warmup", type=int, default=300, help="steps")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device(args.device)
    out, folder = Path(args.out), Path(args.shards)
    out.mkdir(parents=True, exist_ok=True)
    config = dict(CONFIG, vocab_size=Tokenizer(args.tokenizer).size)
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    model = build(config).to(device)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=args.rate, betas=(0.9, 0.98), foreach=True)
    step = seen = shard = seconds = 0
    if args.resume:
        state = torch.load(out / "checkpoint.pt", map_location=device)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, seen, shard, seconds = state["step"], state["seen"], state["shard"] + 1, state["seconds"]
    print(f"{sum(p.numel() for p in model.parameters())} parameters on {device}", flush=True)

    def save():
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "step": step,
            "seen": seen,
            "shard": shard,
            "seconds": seconds + time.time() - begun,
        }
        torch.save(state, out / "part.pt")
        (out / "part.pt").rename(out / "checkpoint.pt")

    begun = noted = saved = time.time()
    losses, since = [], seen
    for shard, batch in stream(folder, args.batch, args.seed, shard):
        spent = seconds + time.time() - begun
        progress = max(seen / args.tokens, spent / 60 / args.minutes)
        if progress >= 1:
            break
        rate = args.rate * min(1, (step + 1) / args.warmup) * 0.5 * (1 + math.cos(math.pi * progress))
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = loss_of(model, batch, device)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        seen += batch[0].numel()
        losses.append(loss.detach())
        if step % 100 == 0:
            now = time.time()
            mean = torch.stack(losses).mean().item()
            speed = (seen - since) / (now - noted)
            note = f"step {step} tokens {seen / 1e6:.2f}M loss {mean:.4f} rate {rate:.2e}"
            print(f"{note} {speed:.0f} tokens/s", flush=True)
            losses, since, noted = [], seen, now
        if time.time() - saved > 120:
            save()
            saved = time.time()
    save()
    print(f"held-out loss {evaluate(model, folder, device):.4f}, {seconds + time.time() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
