#!/usr/bin/env python3
"""Golden logits: what Hugging Face transformers' Qwen2 computes in float32 for tiny random models.

    pip install torch transformers gguf numpy && python3 tests/golden/models/make.py

The weights are not stored: they come from a counter-based generator (Philox4x32-10) by the recipe in README.md, here in
numpy and in the tests in C (tests/unit/tiny_model.h). For block formats the recipe makes random blocks; what they stand
for is asked of the `gguf` package, and transformers computes with that.

Writes models.json (shapes, prompts, greedy continuations), NAME.FORMAT.npy (logits at all positions of the prompt),
NAME.FORMAT.bytes.npy (the same where the inputs of quantised matrices are rounded to bytes), and the folder hf/, a whole
Hugging Face model whose logits are hf.FORMAT.npy.
"""
import json
import os
import sys

import numpy as np
import torch
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize, quantize
from transformers import Qwen2Config, Qwen2ForCausalLM

from recipe import philox, shift_of, uniform

HERE = os.path.dirname(os.path.abspath(__file__))
N_GREEDY = 64

# Byte offset of d in a block; offset of the second half-float and by how many powers of two it is larger than d;
# log2 of the standard deviation of a block's elements for d = 1 (rounded).
BLOCKS = {
    T.Q8_0: (0, None, 0, 6), T.Q4_0: (0, None, 0, 2), T.Q4_1: (0, 2, 3, 2), T.Q5_0: (0, None, 0, 3),
    T.Q5_1: (0, 2, 4, 3), T.Q4_K: (0, 2, 3, 8), T.Q5_K: (0, 2, 4, 9), T.Q6_K: (208, None, 0, 10),
}
MIXED = [T.Q4_K, T.Q6_K, T.Q8_0, T.F16, T.Q5_0, T.BF16, T.Q4_1]

MODELS = [
    # name, seed, layers, d_model, heads, kv heads, d_ff, vocab, tied, rope base, eps, prompt length, formats
    ("gqa7", 1, 2, 448, 7, 1, 608, 320, True, 1e6, 1e-6, 40,
     ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]),
    ("mha128", 2, 3, 256, 2, 2, 512, 272, False, 1e4, 1e-6, 33, ["F32", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "MIXED"]),
    ("odd", 3, 2, 100, 5, 1, 172, 263, False, 5e5, 1e-5, 70, ["F32", "F16", "BF16"]),
    ("mha64", 4, 2, 192, 3, 3, 352, 256, True, 1e4, 1e-5, 100, ["F32"]),
    ("gqa7x128", 7, 1, 896, 7, 1, 160, 288, False, 1e6, 1e-6, 20, ["F32", "Q8_0"]),
]


def matrix(seed, stream, rows, cols, t):
    """What the recipe's matrix stands for, as float32 (rows, cols)."""
    shift = shift_of(cols)
    if t in (T.F32, T.F16, T.BF16):
        values = (uniform(seed, stream, rows * cols) * np.float32(2.0**(1 - shift))).reshape(rows, cols)
        return dequantize(quantize(values, t), t) if t != T.F32 else values
    elements, size = GGML_QUANT_SIZES[t]
    n = rows * cols // elements
    blocks = philox(seed, stream, n * size // 4 + 1).view(np.uint8)[:n * size].reshape(n, size).copy()
    d_at, m_at, m_shift, deviation = BLOCKS[t]
    # The random half keeps its sign and seven bits of fraction; its exponent is the one that gives about 2^-shift.
    half = blocks[:, d_at:d_at + 2].copy().view("<u2")[:, 0].astype(np.int64)
    exponent = 15 - shift - deviation
    assert exponent >= 1, (t, shift)
    half = (half & 0x83F8) | exponent << 10
    if m_at is not None:
        # Q4_1, Q5_1 add m, the K formats take dmin * min away: both centre the elements.
        m = (half + (m_shift << 10)) ^ (0x8000 if t in (T.Q4_1, T.Q5_1) else 0)
        blocks[:, m_at:m_at + 2] = m.astype("<u2").reshape(n, 1).view(np.uint8)
    blocks[:, d_at:d_at + 2] = half.astype("<u2").reshape(n, 1).view(np.uint8)
    return dequantize(blocks, t).reshape(rows, cols)


def tensors(m):
    """(transformers' name, rows or None for a vector, cols, kind) in the order of the streams."""
    _, _, layers, d, heads, kv, ff, vocab, tied = m[:9]
    q, k = d, d // heads * kv
    out = [("model.embed_tokens.weight", vocab, d, "matrix"), ("model.norm.weight", None, d, "norm")]
    if not tied:
        out.append(("lm_head.weight", vocab, d, "matrix"))
    for layer in range(layers):
        for name, rows, cols, kind in [
                ("input_layernorm.weight", None, d, "norm"),
                ("self_attn.q_proj.weight", q, d, "matrix"), ("self_attn.q_proj.bias", None, q, "bias"),
                ("self_attn.k_proj.weight", k, d, "matrix"), ("self_attn.k_proj.bias", None, k, "bias"),
                ("self_attn.v_proj.weight", k, d, "matrix"), ("self_attn.v_proj.bias", None, k, "bias"),
                ("self_attn.o_proj.weight", d, q, "matrix"),
                ("post_attention_layernorm.weight", None, d, "norm"),
                ("mlp.gate_proj.weight", ff, d, "matrix"), ("mlp.up_proj.weight", ff, d, "matrix"),
                ("mlp.down_proj.weight", d, ff, "matrix")]:
            out.append((f"model.layers.{layer}.{name}", rows, cols, kind))
    return out


def state_of(m, format_name):
    seed, state, n_matrices = m[1], {}, 0
    for stream, (name, rows, cols, kind) in enumerate(tensors(m)):
        stream += 100
        if kind == "matrix":
            t = MIXED[n_matrices % len(MIXED)] if format_name == "MIXED" else T[format_name]
            n_matrices += 1
            value = matrix(seed, stream, rows, cols, t)
        elif kind == "norm":
            value = np.float32(1) + uniform(seed, stream, cols) * np.float32(0.25)
        else:
            value = uniform(seed, stream, cols) * np.float32(0.5)
        state[name] = torch.from_numpy(np.ascontiguousarray(value))
    if m[8]:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    return state


def build(m, format_name):
    _, _, layers, d, heads, kv, ff, vocab, tied, theta, eps = m[:11]
    config = Qwen2Config(vocab_size=vocab, hidden_size=d, intermediate_size=ff, num_hidden_layers=layers,
                         num_attention_heads=heads, num_key_value_heads=kv, rope_theta=theta, rms_norm_eps=eps,
                         tie_word_embeddings=tied, max_position_embeddings=256, attn_implementation="eager")
    model = Qwen2ForCausalLM(config).float().eval()
    model.load_state_dict(state_of(m, format_name), strict=True)
    return model


def round_activations(x):
    """x as int8 times a float32 scale for each 32: what an engine does that multiplies quantised weights by bytes."""
    groups = x.reshape(*x.shape[:-1], -1, 32)
    largest = groups.abs().amax(-1, keepdim=True)
    rounded = torch.round(groups * (127.0 / largest)) * (largest / 127.0)
    return torch.where(largest > 0, rounded, torch.zeros_like(groups)).reshape(x.shape)


def with_bytes(model, m, format_name):
    """The same model, but what enters a matrix in a block format is rounded to bytes first."""
    types = iter(MIXED * 100) if format_name == "MIXED" else None
    of = {}
    for name, rows, _, kind in tensors(m):
        if kind == "matrix":
            of[name] = next(types) if types else T[format_name]
    if m[8]:
        of["lm_head.weight"] = of["model.embed_tokens.weight"]
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and of[name + ".weight"] in BLOCKS:
            module.register_forward_pre_hook(lambda _, args: (round_activations(args[0]),))
    return model


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].float().numpy()


def greedy(model, ids):
    """N_GREEDY tokens without any cache, and how near the second candidate ever came, relative to the largest logit."""
    ids, nearest = list(ids), np.inf
    start = len(ids)
    for _ in range(N_GREEDY):
        row = logits_of(model, ids)[-1]
        second, first = np.sort(row)[-2:]
        nearest = min(nearest, float((first - second) / np.abs(row).max()))
        ids.append(int(row.argmax()))
    return ids[start:], nearest


def write_npy(name, logits):
    np.save(os.path.join(HERE, name + ".npy"), np.ascontiguousarray(logits.astype("<f4")))


def make_tiny():
    out = []
    for m in MODELS:
        name, seed, vocab, n_prompt = m[0], m[1], m[7], m[11]
        prompt = [int(w) % vocab for w in philox(seed, 99, n_prompt)]
        entry = dict(zip(("name", "seed", "n_layers", "d_model", "n_heads", "n_kv_heads", "d_ff", "n_vocab", "tied",
                          "rope_theta", "norm_eps"), m[:11]))
        entry["prompt"] = prompt
        for format_name in m[12]:
            model = build(m, format_name)
            logits = logits_of(model, prompt)
            write_npy(f"{name}.{format_name}", logits)
            print(f"{name:9} {format_name:5} largest {np.abs(logits).max():8.3f} deviation {logits.std():.3f} "
                  f"distinct argmax {len(set(logits.argmax(-1)))}/{len(prompt)}", flush=True)
            if format_name not in ("F32", "F16", "BF16"):
                rounded = logits_of(with_bytes(model, m, format_name), prompt)
                write_npy(f"{name}.{format_name}.bytes", rounded)
                print(f"          activations as bytes: {np.abs(rounded - logits).max() / np.abs(logits).max():.2e} away")
            if format_name == "F32":
                entry["greedy"], nearest = greedy(model, prompt)
                ids = torch.tensor([prompt])
                cached = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=N_GREEDY,
                                        do_sample=False, eos_token_id=None, pad_token_id=0)[0, len(prompt):].tolist()
                assert cached == entry["greedy"], "generate() and the plain loop disagree"
                print(f"          greedy: {len(set(entry['greedy']))} distinct, nearest second {nearest:.2e}")
        entry["formats"] = m[12]
        out.append(entry)
    with open(os.path.join(HERE, "models.json"), "w") as f:
        rows = ",\n".join("  " + json.dumps(entry) for entry in out)
        f.write('{"mixed": ' + json.dumps([t.name for t in MIXED]) + ',\n "models": [\n' + rows + "\n ]}\n")


def byte_tokens():
    """The 256 characters of byte-level BPE, in GPT-2's order."""
    printable = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    others = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(others))]


def write_tokenizer(folder):
    """Qwen2's kind of tokenizer with a toy vocabulary: bytes, three merges, two special tokens."""
    tokens = byte_tokens() + ["th", "the", "in"]
    vocab = {token: i for i, token in enumerate(tokens)}
    special = ["<|endoftext|>", "<|im_end|>"]
    added = [{"id": len(tokens) + i, "content": s, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True} for i, s in enumerate(special)]
    pattern = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
               r"\s+(?!\S)|\s+")
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}]},
        "post_processor": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False, "vocab": vocab,
                  "merges": ["t h", "th e", "i n"]},
    }
    config = {"add_prefix_space": False, "bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
              "unk_token": None, "tokenizer_class": "Qwen2Tokenizer", "model_max_length": 256,
              "added_tokens_decoder": {str(a["id"]): {k: a[k] for k in a if k != "id"} for a in added}}
    for name, value in (("tokenizer.json", tokenizer), ("tokenizer_config.json", config)):
        with open(os.path.join(folder, name), "w") as f:
            json.dump(value, f, ensure_ascii=False, indent=1)
            f.write("\n")
    return len(tokens) + len(special)


def make_hf():
    """A folder as transformers saves it, in bfloat16; expected logits for each format `hokku convert` writes."""
    folder = os.path.join(HERE, "hf")
    os.makedirs(folder, exist_ok=True)
    vocab = write_tokenizer(folder)
    torch.manual_seed(20240607)
    config = Qwen2Config(vocab_size=vocab, hidden_size=96, intermediate_size=160, num_hidden_layers=2,
                         num_attention_heads=6, num_key_value_heads=2, rope_theta=1e6, rms_norm_eps=1e-6,
                         tie_word_embeddings=False, max_position_embeddings=256, initializer_range=0.15,
                         bos_token_id=None, eos_token_id=vocab - 1, use_sliding_window=False)
    config._attn_implementation = "eager"
    model = Qwen2ForCausalLM(config).float().eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 1:  # transformers starts norms at 1 and biases at 0; make them speak
                p.copy_((1 if "norm" in name else 0) + 0.3 * torch.randn_like(p))
    model.to(torch.bfloat16).save_pretrained(folder, safe_serialization=True)
    state = {name: p.detach().float() for name, p in model.state_dict().items()}
    model = Qwen2ForCausalLM(config).float().eval()  # a new one: the old one's RoPE tables went through bfloat16 too
    model.load_state_dict(state)
    ids = [int(w) % vocab for w in philox(6, 99, 48)]
    for format_name in ("F32", "F16", "BF16", "Q8_0"):
        t = T[format_name]
        for name, p in model.state_dict().items():
            if state[name].dim() == 2 and t != T.F32:
                p.copy_(torch.from_numpy(dequantize(quantize(state[name].numpy(), t), t).copy()))
        logits = logits_of(model, ids)
        print(f"hf        {format_name:5} largest {np.abs(logits).max():8.3f} deviation {logits.std():.3f}")
        write_npy(f"hf.{format_name}", logits)
        model.load_state_dict(state)
    with open(os.path.join(HERE, "hf.json"), "w") as f:
        json.dump({"prompt": ids}, f)
        f.write("\n")


def main():
    torch.set_num_threads(1)
    make_tiny()
    make_hf()
    return 0


if __name__ == "__main__":
    sys.exit(main())
