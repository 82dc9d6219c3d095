"""The counter-based generator of the golden models: README.md has the recipe."""
import numpy as np


def philox(seed, stream, n_words):
    """n_words 32-bit words: Philox4x32-10, counter (index, 0, stream, 0), key (seed, 0)."""
    n = (n_words + 3) // 4
    mask, lo32 = np.uint64(0xFFFFFFFF), np.uint64(32)
    c = [np.arange(n, dtype=np.uint64), np.zeros(n, np.uint64), np.full(n, stream, np.uint64), np.zeros(n, np.uint64)]
    k0, k1 = seed, 0
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(p1 >> lo32) ^ c[1] ^ np.uint64(k0), p1 & mask, (p0 >> lo32) ^ c[3] ^ np.uint64(k1), p0 & mask]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, axis=1).astype(np.uint32).reshape(-1)[:n_words]


def uniform(seed, stream, n):
    """n float32 in [-1, 1), each a multiple of 2^-23."""
    words = philox(seed, stream, n)
    return ((words >> 8).astype(np.int64) - (1 << 23)).astype(np.float32) * np.float32(2.0**-23)


def shift_of(cols):
    """The k with 4^k <= cols < 4^(k+1): matrices have elements of about 2^-k."""
    k = 0
    while 4**(k + 1) <= cols:
        k += 1
    return k
