"""A tiny model in a GGUF file, for programs that want a llama with a SentencePiece vocabulary: random weights, so what it writes means nothing;
only its end token never comes by itself."""
import random
import struct

N_VOCAB, D, D_FF, N_HEADS, N_LAYERS = 512, 32, 64, 4, 2
WORDS = """the a to of and in is was it he she they you I that with for on as at his her one day there little girl boy big small said play went
home happy sad sun rain roof tree bird cat dog very up down not all out saw had were have so then mom dad friend liked wanted red blue book
What capital France believe meaning life joke about""".split()
U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5


def pieces(fim):
    """(text, score, type) of each token."""
    out = [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3)]
    out += [("<0x%02X>" % b, 0, 6) for b in range(256)]
    words = ["\u2581" + w for w in WORDS] + WORDS
    letters = ["\u2581"] + [chr(c) for c in range(33, 127)]
    seen = {p for p, _, _ in out}
    out += [("<|im_start|>", 0, 3), ("<|im_end|>", 0, 3)]
    marks = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"] if fim else []
    out += [(m, 0, 3) for m in marks]
    # A word is merged of its beginnings, the shorter ones first.
    for rank, w in enumerate(letters + [w[:n] for w in words for n in range(2, len(w) + 1)]):
        if w not in seen and len(out) < N_VOCAB:
            seen.add(w)
            out.append((w, -float(rank + 1), 1))
    while len(out) < N_VOCAB:
        out.append(("[unused%d]" % len(out), 0, 5))
    return out, marks


def string(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def key(name, kind, value):
    return string(name) + struct.pack("<I", kind) + value


def array(name, kind, values):
    return key(name, ARRAY, struct.pack("<IQ", kind, len(values)) + b"".join(values))


def write(path, name, temperature=None, fim=False, n_ctx=4096):
    tokens, marks = pieces(fim)
    u32 = lambda v: struct.pack("<I", v)
    f32 = lambda v: struct.pack("<f", v)
    keys = [
        key("general.architecture", STRING, string("llama")), key("general.name", STRING, string(name)),
        key("llama.block_count", U32, u32(N_LAYERS)), key("llama.context_length", U32, u32(n_ctx)),
        key("llama.embedding_length", U32, u32(D)), key("llama.feed_forward_length", U32, u32(D_FF)),
        key("llama.attention.head_count", U32, u32(N_HEADS)), key("llama.attention.head_count_kv", U32, u32(N_HEADS)),
        key("llama.attention.layer_norm_rms_epsilon", F32, f32(1e-5)), key("llama.rope.dimension_count", U32, u32(D // N_HEADS)),
        key("tokenizer.ggml.model", STRING, string("llama")),
        array("tokenizer.ggml.tokens", STRING, [string(t) for t, _, _ in tokens]),
        array("tokenizer.ggml.scores", F32, [f32(s) for _, s, _ in tokens]),
        array("tokenizer.ggml.token_type", I32, [u32(k) for _, _, k in tokens]),
        key("tokenizer.ggml.bos_token_id", U32, u32(1)), key("tokenizer.ggml.eos_token_id", U32, u32(2)),
        key("tokenizer.ggml.unknown_token_id", U32, u32(0)), key("tokenizer.ggml.add_bos_token", BOOL, b"\1"),
        key("tokenizer.chat_template", STRING, string(
            "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}")),
    ]
    if temperature is not None:
        keys.append(key("general.sampling.temp", F32, f32(temperature)))
    for mark, which in zip(marks, ("pre", "suf", "mid")):
        keys.append(key("tokenizer.ggml.fim_%s_token_id" % which, U32, u32([t for t, _, _ in tokens].index(mark))))

    draw = random.Random(7)
    # Channel 0 of every position is the same and large: by it control tokens and unused ones are never drawn.
    embedding = [[3.0 if c == 0 else draw.gauss(0, 1) for c in range(D)] for _ in tokens]
    last = [[(-30.0 if k in (2, 3, 5, 6) else 0.0) if c == 0 else draw.gauss(0, 0.5) for c in range(D)] for _, _, k in tokens]
    matrix = lambda rows, columns: [[0.0 if r == 0 and rows == D else draw.gauss(0, 0.3) for _ in range(columns)] for r in range(rows)]
    ones = [1.0] * D
    tensors = [("token_embd.weight", embedding), ("output_norm.weight", ones), ("output.weight", last)]
    for i in range(N_LAYERS):
        tensors += [("blk.%d.attn_norm.weight" % i, ones), ("blk.%d.ffn_norm.weight" % i, ones)]
        tensors += [("blk.%d.attn_%s.weight" % (i, w), matrix(D, D)) for w in ("q", "k", "v", "output")]
        tensors += [("blk.%d.ffn_gate.weight" % i, matrix(D_FF, D)), ("blk.%d.ffn_up.weight" % i, matrix(D_FF, D)), ("blk.%d.ffn_down.weight" % i, matrix(D, D_FF))]

    infos, data = b"", b""
    for tensor, values in tensors:
        rows = values if isinstance(values[0], list) else [values]
        dims = [len(rows[0])] + ([len(rows)] if isinstance(values[0], list) else [])
        infos += string(tensor) + u32(len(dims)) + b"".join(struct.pack("<Q", d) for d in dims) + u32(0) + struct.pack("<Q", len(data))
        data += b"".join(struct.pack("<%df" % len(r), *r) for r in rows)
        data += b"\0" * (-len(data) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(keys) + infos
    with open(path, "wb") as f:
        f.write(head + b"\0" * (-len(head) % 32) + data)
