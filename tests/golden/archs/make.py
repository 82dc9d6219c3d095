#!/usr/bin/env python3
"""Golden logits of tiny random models of every architecture that hokku knows: what Hugging Face transformers computes in
float32, and what llama.cpp's own converter makes of the same folder.

    pip install torch transformers gguf numpy && python3 tests/golden/archs/make.py [--llama.cpp DIR] [NAME...]

The weights are not stored: they come from a counter-based generator by the recipe of ../models/README.md, rounded to
float16; here in numpy, in the tests in C. Writes, for each model, NAME/config.json, NAME/tensors.json (names, shapes and
kinds of its tensors, in the order of the recipe's streams), NAME.npy (logits at all positions of the prompt), with a
checkout of llama.cpp NAME/gguf.json (the keys of the converter's file, and for each of its tensors which of the
folder's it is and what was done to it), and archs.json
(prompts, greedy continuations).
"""
import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location("recipe", os.path.join(HERE, "..", "models", "recipe.py"))
recipe = importlib.util.module_from_spec(spec)
spec.loader.exec_module(recipe)
N_GREEDY = 64
VOCAB = 261  # of ../models/hf/tokenizer.json

LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32)
YARN = dict(rope_type="yarn", factor=8.0, original_max_position_embeddings=32, beta_fast=32.0, beta_slow=1.0)


def long_factors(n, step):
    return [round(1 + step * i * i / n, 4) for i in range(n)]


def base(d, heads, kv, layers, ff, **more):
    """A config's common part; theta goes into rope_parameters."""
    theta = more.pop("theta", 10000.0)
    rope = more.pop("rope", dict(rope_type="default"))
    out = dict(vocab_size=VOCAB, hidden_size=d, num_attention_heads=heads, num_key_value_heads=kv,
               num_hidden_layers=layers, intermediate_size=ff, max_position_embeddings=512, rms_norm_eps=1e-5,
               tie_word_embeddings=False, bos_token_id=None, eos_token_id=260, pad_token_id=None, attention_dropout=0.0,
               rope_parameters=dict(rope, rope_theta=theta))
    out.update(more)
    return out


def per_layer_rope(config, sliding, full):
    return dict(config, rope_parameters={"sliding_attention": sliding, "full_attention": full})


def gemma3(d, heads, kv, layers, ff, window, local, full, **more):
    return per_layer_rope(base(d, heads, kv, layers, ff, sliding_window=window, **more),
                          dict(rope_type="default", rope_theta=local), full)


S, F = "sliding_attention", "full_attention"
# name, class of the config, class of the model, seed, prompt length, config
MODELS = [
    ("llama-mha", "LlamaConfig", "LlamaForCausalLM", 11, 80,
     base(96, 4, 4, 2, 160, rope=LLAMA3, theta=500000.0, head_dim=24)),
    ("llama-bias", "LlamaConfig", "LlamaForCausalLM", 12, 50,
     base(128, 4, 1, 3, 172, attention_bias=True, mlp_bias=True, tie_word_embeddings=True, head_dim=32)),
    ("llama-gqa", "LlamaConfig", "LlamaForCausalLM", 13, 40, base(256, 8, 2, 2, 512, head_dim=64, theta=10000.0)),
    ("mistral", "MistralConfig", "MistralForCausalLM", 14, 70, base(128, 8, 2, 3, 224, sliding_window=24, head_dim=16)),
    ("qwen3-gqa", "Qwen3Config", "Qwen3ForCausalLM", 15, 60,
     base(96, 4, 1, 3, 160, head_dim=32, theta=1e6, tie_word_embeddings=True)),
    ("qwen3-odd", "Qwen3Config", "Qwen3ForCausalLM", 16, 45, base(100, 5, 5, 2, 172, head_dim=20, theta=1e6)),
    ("phi3-window", "Phi3Config", "Phi3ForCausalLM", 17, 75,
     base(96, 4, 4, 3, 160, sliding_window=20, original_max_position_embeddings=512)),
    ("phi3-long", "Phi3Config", "Phi3ForCausalLM", 18, 70,
     base(128, 4, 2, 2, 224, original_max_position_embeddings=48, tie_word_embeddings=True, sliding_window=None,
          rope=dict(rope_type="longrope", partial_rotary_factor=0.75, original_max_position_embeddings=48,
                    short_factor=long_factors(12, 0.05), long_factor=long_factors(12, 0.8)))),
    ("phi3-short", "Phi3Config", "Phi3ForCausalLM", 19, 30,
     base(128, 4, 2, 2, 224, max_position_embeddings=1024, original_max_position_embeddings=256, sliding_window=None,
          rope=dict(rope_type="longrope", original_max_position_embeddings=256,
                    short_factor=long_factors(16, 0.05), long_factor=long_factors(16, 0.8)))),
    ("gemma-mqa", "GemmaConfig", "GemmaForCausalLM", 20, 50,
     base(96, 4, 1, 2, 160, head_dim=32, tie_word_embeddings=True, hidden_activation="gelu_pytorch_tanh")),
    ("gemma-mha", "GemmaConfig", "GemmaForCausalLM", 21, 40,
     base(80, 4, 4, 3, 172, head_dim=16, tie_word_embeddings=True, hidden_activation="gelu_pytorch_tanh")),
    ("gemma2-a", "Gemma2Config", "Gemma2ForCausalLM", 22, 80,
     base(96, 4, 2, 4, 160, head_dim=32, tie_word_embeddings=True, sliding_window=24, query_pre_attn_scalar=32,
          attn_logit_softcapping=5.0, final_logit_softcapping=3.0, hidden_activation="gelu_pytorch_tanh")),
    ("gemma2-b", "Gemma2Config", "Gemma2ForCausalLM", 23, 60,
     base(128, 4, 4, 3, 224, head_dim=16, tie_word_embeddings=True, sliding_window=33, query_pre_attn_scalar=16,
          attn_logit_softcapping=50.0, final_logit_softcapping=30.0, hidden_activation="gelu_pytorch_tanh")),
    ("gemma3-a", "Gemma3TextConfig", "Gemma3ForCausalLM", 24, 90,
     gemma3(96, 4, 1, 7, 160, 20, 10000.0, dict(rope_type="linear", factor=8.0, rope_theta=1e6), head_dim=32,
            tie_word_embeddings=True, query_pre_attn_scalar=32, hidden_activation="gelu_pytorch_tanh",
            layer_types=[S, S, S, S, S, F, S])),
    ("gemma3-b", "Gemma3TextConfig", "Gemma3ForCausalLM", 25, 60,
     gemma3(128, 4, 2, 6, 172, 33, 10000.0, dict(rope_type="default", rope_theta=1e6), head_dim=16,
            tie_word_embeddings=True, query_pre_attn_scalar=16, hidden_activation="gelu_pytorch_tanh",
            layer_types=[S, S, S, S, S, F])),
    ("ministral3-a", "Ministral3Config", "Ministral3ForCausalLM", 26, 100,
     base(96, 4, 1, 2, 160, head_dim=32, theta=1e6, sliding_window=None,
          rope=dict(YARN, llama_4_scaling_beta=0.1, mscale=1.0, mscale_all_dim=1.0))),
    ("ministral3-b", "Ministral3Config", "Ministral3ForCausalLM", 27, 60,
     base(128, 4, 4, 3, 224, head_dim=24, theta=1e5, tie_word_embeddings=True, sliding_window=None,
          rope=dict(YARN, factor=16.0, original_max_position_embeddings=16, llama_4_scaling_beta=0.2, mscale=1.0,
                    mscale_all_dim=1.0))),
    ("qwen2-yarn", "Qwen2Config", "Qwen2ForCausalLM", 28, 90, base(96, 6, 2, 2, 160, rope=YARN, theta=1e6)),
    ("granite-a", "GraniteConfig", "GraniteForCausalLM", 29, 50,
     base(96, 4, 2, 3, 160, embedding_multiplier=12.0, residual_multiplier=0.22, attention_multiplier=0.0625,
          logits_scaling=8.0, tie_word_embeddings=True)),
    ("granite-b", "GraniteConfig", "GraniteForCausalLM", 30, 40,
     base(128, 8, 1, 2, 172, embedding_multiplier=3.0, residual_multiplier=0.5, attention_multiplier=0.1,
          logits_scaling=3.0, attention_bias=True)),
    ("olmo2-a", "Olmo2Config", "Olmo2ForCausalLM", 31, 50, base(96, 4, 1, 2, 160, theta=500000.0)),
    ("olmo2-b", "Olmo2Config", "Olmo2ForCausalLM", 32, 40, base(100, 5, 5, 3, 172, theta=500000.0)),
    ("olmo3", "Olmo3Config", "Olmo3ForCausalLM", 33, 80,
     per_layer_rope(base(128, 4, 2, 5, 224, sliding_window=20, layer_types=[S, S, S, F, S]),
                    dict(rope_type="default", rope_theta=500000.0),
                    dict(YARN, rope_theta=500000.0, attention_factor=1.2079441541679836))),
    ("smollm3-a", "SmolLM3Config", "SmolLM3ForCausalLM", 34, 50,
     base(96, 4, 1, 5, 160, theta=5e6, tie_word_embeddings=True, use_sliding_window=False,
          no_rope_layers=[1, 1, 1, 0, 1])),
    ("smollm3-b", "SmolLM3Config", "SmolLM3ForCausalLM", 35, 40,
     base(128, 8, 8, 4, 172, theta=2e6, use_sliding_window=False, no_rope_layers=[1, 1, 1, 0])),
    ("exaone4-window", "Exaone4Config", "Exaone4ForCausalLM", 36, 80,
     base(96, 4, 1, 5, 160, head_dim=24, rope=LLAMA3, theta=1e6, sliding_window=20, sliding_window_pattern="LLLG",
          layer_types=[S, S, S, F, S])),
    ("exaone4-full", "Exaone4Config", "Exaone4ForCausalLM", 37, 60,
     base(128, 4, 4, 3, 172, head_dim=32, rope=LLAMA3, theta=1e6, sliding_window=None, layer_types=[F, F, F],
          tie_word_embeddings=True)),
]


def kind_of(name, shape):
    if len(shape) == 2:
        return "matrix"
    return "bias" if name.endswith("bias") else "norm"


def fill(model, seed, plus_one):
    """The recipe's weights, in the order of the state's names; returns the list of tensors, and their values."""
    tensors, sources, state, tied = [], {}, model.state_dict(), model.config.tie_word_embeddings
    for name in sorted(state):
        shape = list(state[name].shape)
        if (tied and name == "lm_head.weight") or not state[name].is_floating_point():
            continue
        stream, kind = 100 + len(tensors), kind_of(name, shape)
        u = recipe.uniform(seed, stream, int(np.prod(shape))).reshape(shape)
        if kind == "matrix":
            value = u * np.float32(2.0**(1 - recipe.shift_of(shape[1])))
        elif kind == "norm" and plus_one:  # so that float16 holds it with the one that is added
            value = np.round(u * 256) / np.float32(1024)
        elif kind == "norm":
            value = u * np.float32(0.25) + np.float32(1)
        else:
            value = u * np.float32(0.5)
        sources[name] = value.astype(np.float16)
        state[name].copy_(torch.from_numpy(sources[name].astype(np.float32)))
        tensors.append([name, shape, kind])
    if tied:
        model.tie_weights()
    return tensors, sources


def logits_of(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float().numpy()


def greedy(model, ids):
    ids, nearest, start = list(ids), np.inf, len(ids)
    for _ in range(N_GREEDY):
        row = logits_of(model, ids)[-1]
        second, first = np.sort(row)[-2:]
        nearest = min(nearest, float((first - second) / np.abs(row).max()))
        ids.append(int(row.argmax()))
    return ids[start:], nearest


def write_json(path, value):
    """A list, or a dictionary's entries, a line each."""
    def lines(v, depth):
        if depth and isinstance(v, list) and len(v) > 4 and isinstance(v[0], list):
            return "[\n" + ",\n".join(json.dumps(x) for x in v) + "\n]"
        if isinstance(v, dict) and depth:
            return "{\n" + ",\n".join(f"{json.dumps(k)}: {lines(x, depth - 1)}" for k, x in v.items()) + "\n}"
        return json.dumps(v)
    with open(path, "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(x) for x in value) + "\n]\n" if isinstance(value, list)
                else lines(value, 2) + "\n")


def gguf_json(llama_cpp, folder, sources, config):
    """What llama.cpp's converter makes of the folder, but for the vocabulary."""
    sys.path.insert(0, os.path.join(llama_cpp, "gguf-py"))
    from gguf import GGUFReader
    out = os.path.join(folder, "llamacpp.gguf")
    code = (f"import sys; sys.argv = ['convert', {folder!r}, '--outtype', 'f16', '--outfile', {out!r}]\n"
            f"sys.path[:0] = [{llama_cpp!r}, {os.path.join(llama_cpp, 'gguf-py')!r}]\n"
            "import convert_hf_to_gguf as c\n"
            "from conversion.base import TextModel\n"
            "import conversion\n"
            "TextModel.get_vocab_base_pre = lambda self, t: 'qwen2'\n"
            "import importlib, pkgutil\n"
            "for m in pkgutil.iter_modules(conversion.__path__): importlib.import_module('conversion.' + m.name)\n"
            "def every(k):\n"
            "    for s in k.__subclasses__():\n"
            "        yield s; yield from every(s)\n"
            "for s in every(TextModel):\n"
            "    if 'set_vocab' in s.__dict__: s.set_vocab = lambda self: self._set_vocab_gpt2()\n"
            "c.main()\n")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if not os.path.exists(out):
        raise ValueError(run.stderr[-1500:])
    reader = GGUFReader(out)
    keys = {}
    for name, field in reader.fields.items():
        if not name.startswith(("GGUF.", "tokenizer.", "general.")) or name == "general.architecture":
            keys[name] = field.contents()
    return {"keys": keys, "tensors": [traced(t, sources, config) for t in reader.tensors]}


def permuted(w, n_heads):
    """Rows of each head as llama.cpp has them for RoPE in adjacent pairs."""
    return w.reshape(n_heads, 2, w.shape[0] // n_heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def traced(tensor, sources, config):
    """[name, type, shape, where it comes from]: [transformers' name, what was done to it], or the numbers themselves."""
    data, shape = np.ascontiguousarray(tensor.data), [int(n) for n in tensor.shape]
    heads = {config.num_attention_heads, getattr(config, "num_key_value_heads", 0)} - {0, None}
    for name, value in sources.items():
        value = value if tensor.tensor_type.name == "F16" else value.astype(np.float32)
        if value.size != data.size:
            continue
        for op, done in [("same", lambda: value), ("plus_one", lambda: value + 1)] + [
                (f"permute {h}", lambda h=h: permuted(value, h)) for h in sorted(heads) if value.shape[0] % (2 * h) == 0]:
            if np.array_equal(done().reshape(-1), data.reshape(-1)):
                return [tensor.name, tensor.tensor_type.name, shape, [name, op]]
    if not tensor.name.startswith("rope_f"):
        raise ValueError(f"{tensor.name}: no tensor of the folder became it")
    return [tensor.name, tensor.tensor_type.name, shape, [float(x) for x in data.reshape(-1)]]


def make(entry, llama_cpp):
    name, config_class, model_class, seed, n_prompt, config = entry
    folder = os.path.join(HERE, name)
    os.makedirs(folder, exist_ok=True)
    config = getattr(transformers, config_class)(**config, attn_implementation="eager", dtype="float32")
    torch.manual_seed(0)
    model = getattr(transformers, model_class)(config).float().eval()
    nearest = 0
    while nearest < 1e-3:  # nearer than rounding could decide: another seed
        tensors, sources = fill(model, seed, "emma" in name)
        prompt = [int(w) % VOCAB for w in recipe.philox(seed, 99, n_prompt)]
        logits = logits_of(model, prompt)
        continuation, nearest = greedy(model, prompt)
        seed += 100
    seed -= 100
    np.save(os.path.join(HERE, name + ".npy"), np.ascontiguousarray(logits.astype("<f4")))
    write_json(os.path.join(folder, "tensors.json"), tensors)
    with tempfile.TemporaryDirectory() as saved:
        model.half().save_pretrained(saved)
        shutil.copy(os.path.join(saved, "config.json"), os.path.join(folder, "config.json"))
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(os.path.join(HERE, "..", "models", "hf", file), saved)
        if llama_cpp:
            write_json(os.path.join(folder, "gguf.json"), gguf_json(llama_cpp, saved, sources, config))
    return {"name": name, "seed": seed, "prompt": prompt, "greedy": continuation, "nearest": nearest,
            "largest": float(np.abs(logits).max())}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--llama.cpp", dest="llama_cpp")
    parser.add_argument("--one", action="store_true", help="print the entry instead of writing archs.json")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    torch.set_num_threads(2)
    entries = [m for m in MODELS if not args.names or m[0] in args.names]
    if args.one:
        print(json.dumps(make(entries[0], args.llama_cpp)))
        return
    made, running = [], []
    todo = list(entries)
    while todo or running:
        while todo and len(running) < max(1, (os.cpu_count() or 2) // 2):
            m = todo.pop(0)
            command = [sys.executable, __file__, "--one", m[0]] + (["--llama.cpp", args.llama_cpp] if args.llama_cpp else [])
            running.append((m[0], subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)))
        name, process = running.pop(0)
        out, err = process.communicate()
        if process.returncode:
            print(f"{name}: FAILED\n{err[-1500:]}", file=sys.stderr)
            continue
        made.append(json.loads(out.strip().splitlines()[-1]))
        print(f"{name}: largest {made[-1]['largest']:.3f}, nearest second {made[-1]['nearest']:.1e}", file=sys.stderr)
    path = os.path.join(HERE, "archs.json")
    kept = [e for e in (json.load(open(path)) if os.path.exists(path) else []) if e["name"] not in {m["name"] for m in made}]
    write_json(path, sorted(kept + made, key=lambda e: e["name"]))


if __name__ == "__main__":
    main()
