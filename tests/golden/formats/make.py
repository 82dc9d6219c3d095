#!/usr/bin/env python3
"""Golden files for the block formats, made by the numpy implementation in the `gguf` package.

    pip install gguf numpy && python3 tests/golden/formats/make.py

For each format: NAME.blocks.bin, raw blocks; NAME.values.bin, the float32 they stand for (little-endian). Where hokku
also writes the format: NAME.source.bin, float32, and NAME.quantised.bin, the blocks they become (F16 and BF16: those
are the .blocks).
"""
import os
import sys

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize, quantize

HERE = os.path.dirname(os.path.abspath(__file__))
RANDOM_BLOCKS = 8
# Zero, negative zero, the smallest and largest subnormal, one, the largest, infinities, a quiet NaN.
EDGE_SCALES = [0x0000, 0x8000, 0x0001, 0x03FF, 0x3C00, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00]
# Byte offsets of the float16 scales in a block.
SCALES = {T.Q8_0: [0], T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2],
          T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208]}
# What came later has random numbers of its own, so that what was there before keeps its bytes.
LATER = {T.Q2_K: [80, 82], T.Q3_K: [108], T.IQ4_NL: [0], T.IQ4_XS: [0]}


def save(name, kind, array):
    array.tofile(os.path.join(HERE, f"{name}.{kind}.bin"))


def set_scale(block, offset, half):
    block[offset:offset + 2] = np.array([half], dtype="<u2").view(np.uint8)


def blocks_of(t, scales, rng):
    """Random quants under sane scales, then the edges: each scale's edge values, with all quants 0 and all quants 1."""
    _, size = GGML_QUANT_SIZES[t]
    rows = []
    for _ in range(RANDOM_BLOCKS):
        block = rng.integers(0, 256, size, dtype=np.uint8)
        for offset in scales:
            set_scale(block, offset, np.array([rng.normal() * 0.02], dtype=np.float16).view(np.uint16)[0])
        rows.append(block)
    for which in scales:
        for half in EDGE_SCALES:
            block = rng.integers(0, 256, size, dtype=np.uint8)
            for offset in scales:
                set_scale(block, offset, half if offset == which else 0x2C00)
            rows.append(block)
    for fill in (0x00, 0xFF):
        block = np.full(size, fill, dtype=np.uint8)
        for offset in scales:
            set_scale(block, offset, 0x3555)
        rows.append(block)
    return np.stack(rows)


def halves(rng):
    """Floats around every way float16 and bfloat16 can round, and random ones."""
    f16 = np.array([0, 1, 2, 0x3FE, 0x3FF, 0x400, 0x401, 0x3BFF, 0x3C00, 0x3C01, 0x7BFE, 0x7BFF], dtype=np.uint16)
    f = f16.view(np.float16).astype(np.float32)
    mid = (f[:-1].astype(np.float64) + f[1:].astype(np.float64)) / 2
    mid = np.concatenate([mid, [65519.996, 65520.0, 2.0**-25, 2.0**-25 * 1.0001, 2.0**-26, 3.0**38, 1e-45]])
    mid = mid.astype(np.float32)
    around = np.concatenate([f, mid, np.nextafter(mid, np.float32(np.inf)), np.nextafter(mid, np.float32(0))])
    bits = rng.integers(0, 2**32, 256, dtype=np.uint32)
    bits = np.concatenate([bits, np.array([0x3F808000, 0x3F818000, 0x3F807FFF, 0x3F808001, 0x7F7FFFFF], np.uint32)])
    wild = bits.view(np.float32)
    wild = wild[np.isfinite(wild)]
    tame = rng.normal(size=256).astype(np.float32)
    values = np.concatenate([around, -around, wild, tame, np.array([np.inf, -np.inf], np.float32)])
    return values[:len(values) // 32 * 32]


def q8_0_source(rng):
    """Random blocks of many magnitudes, a zero block, exact ties (x.5 quants), a scale too large, scales too small."""
    rows = [rng.normal(size=32) * 10.0**e for e in range(-9, 5)]
    rows += [np.zeros(32), np.concatenate([[127], np.arange(31) - 15.5])]
    rows += [np.concatenate([[-254], np.arange(31) - 15])]
    rows += [np.full(32, 65504.0 * 127), np.full(32, 65504.0 * 128), np.full(32, 2.0**-24 * 127), np.full(32, 2.0**-26)]
    return np.stack(rows).astype(np.float32)


def main():
    rng = np.random.default_rng(20240607)
    np.seterr(all="ignore")  # infinities and NaNs are wanted
    for t in SCALES:
        blocks = blocks_of(t, SCALES[t], rng)
        save(t.name, "blocks", blocks)
        save(t.name, "values", dequantize(blocks, t).astype("<f4"))
    source = q8_0_source(rng)
    save("Q8_0", "source", source.astype("<f4"))
    save("Q8_0", "quantised", quantize(source, T.Q8_0))
    source = halves(rng).reshape(-1, 32)
    for t in (T.F16, T.BF16):
        save(t.name, "source", source.astype("<f4"))
        stored = quantize(source, t)
        save(t.name, "blocks", stored)
        save(t.name, "values", dequantize(stored.view(np.uint8), t).astype("<f4"))
    rng = np.random.default_rng(20261129)
    for t in LATER:
        blocks = blocks_of(t, LATER[t], rng)
        save(t.name, "blocks", blocks)
        save(t.name, "values", dequantize(blocks, t).astype("<f4"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
