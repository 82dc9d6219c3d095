"""Writes a trained checkpoint as a Hugging Face folder.

    python3 export.py --run work/run --tokenizer work/tokenizer.json --out work/haiku-hf

The folder loads in transformers (Qwen2ForCausalLM, float32) and is what
``hokku convert`` turns into GGUF.
"""

import argparse
import json
import shutil
import struct
from pathlib import Path

import torch

from tokenizer import Tokenizer

CHAT_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>'"
    " + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def write_json(path, data):
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_safetensors(path, tensors):
    """The safetensors format: header length, JSON header, float32 data."""
    header, offset, blobs = {"__metadata__": {"format": "pt"}}, 0, []
    for name in sorted(tensors):
        blob = tensors[name].float().contiguous().numpy().astype("<f4").tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(tensors[name].shape),
            "data_offsets": [offset, offset + len(blob)],
        }
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        file.writelines(blobs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, help="folder of train.py")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    run, out = Path(args.run), Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    special = Tokenizer(args.tokenizer).special
    end, turn_end = special["<|endoftext|>"], special["<|im_end|>"]

    config = json.loads((run / "config.json").read_text())
    config.update(bos_token_id=end, eos_token_id=turn_end, pad_token_id=end, torch_dtype="float32")
    write_json(out / "config.json", config)
    write_json(
        out / "generation_config.json",
        {
            "bos_token_id": end,
            "eos_token_id": [turn_end, end],
            "pad_token_id": end,
            "do_sample": True,
            "temperature": 0.7,
            "max_new_tokens": 64,
        },
    )
    write_json(
        out / "tokenizer_config.json",
        {
            "tokenizer_class": "Qwen2Tokenizer",
            "add_bos_token": False,
            "add_prefix_space": False,
            "bos_token": None,
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "unk_token": None,
            "model_max_length": config["max_position_embeddings"],
            "clean_up_tokenization_spaces": False,
            "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
            "chat_template": CHAT_TEMPLATE,
        },
    )
    shutil.copyfile(args.tokenizer, out / "tokenizer.json")
    state = torch.load(run / "checkpoint.pt", map_location="cpu")
    # The head is the embedding; transformers lists it twice.
    tensors = {name: t for name, t in state["model"].items() if name != "lm_head.weight"}
    write_safetensors(out / "model.safetensors", tensors)
    print(f"{out}: step {state['step']}, {state['seen'] / 1e6:.1f} M tokens")


if __name__ == "__main__":
    main()
