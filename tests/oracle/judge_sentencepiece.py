"""SentencePiece itself, for sentencepiece.test.mjs.

train          prints a JSON line for each of a few small BPE models that SentencePiece trains here: its pieces, scores and
               types as GGUF numbers them, the two flags of its normaliser, the model as base64.
encode MODEL   reads JSON strings, a line each, and prints the ids of each.
"""
import base64, io, json, random, sys

import sentencepiece


SYMBOLS = ['<tool>', '</h1>', '\u2581\u2581', 'ab', 'abc', '\n', 'Hello', '[INST]', '\u2581x', 'é']


def sentences(seed):
    r = random.Random(seed)
    words = ('the of and to in is that for with haiku autumn rain frog pond old new snow moon blossom river naïve café über '
             'дождь осень старый пруд лягушка あめ あき ふる いけ かわず int for while return x1 y2 (a) {b} [c] + - = == 123 45').split()
    for _ in range(3000):
        yield ' '.join(r.choice(words) for _ in range(r.randint(1, 12))) + r.choice(['', '.', '!', '  ', ' ...'])


def train():
    kinds = [
        dict(vocab_size=800, byte_fallback=True),
        dict(vocab_size=500, byte_fallback=False),
        dict(vocab_size=700, byte_fallback=True, add_dummy_prefix=False, remove_extra_whitespaces=False,
             split_by_whitespace=False, max_sentencepiece_length=24),
        dict(vocab_size=600, byte_fallback=False, remove_extra_whitespaces=False, allow_whitespace_only_pieces=True),
        dict(vocab_size=700, byte_fallback=True, remove_extra_whitespaces=False, user_defined_symbols=SYMBOLS,
             control_symbols=['<c>'], pad_id=3),
        dict(vocab_size=700, byte_fallback=False, add_dummy_prefix=False, user_defined_symbols=SYMBOLS, bos_id=-1),
    ]
    for seed, kind in enumerate(kinds):
        out = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=sentences(seed), model_writer=out, model_type='bpe', normalization_rule_name='identity',
            hard_vocab_limit=False, minloglevel=2, **kind)
        p = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
        ids = range(p.get_piece_size())
        types = [2 if p.is_unknown(i) else 3 if p.is_control(i) else 6 if p.is_byte(i) else 5 if p.is_unused(i) else 1
                 for i in ids]
        print(json.dumps(dict(
            tokens=[p.id_to_piece(i) for i in ids], scores=[p.get_score(i) for i in ids], types=types,
            prefix=kind.get('add_dummy_prefix', True), extra=kind.get('remove_extra_whitespaces', True),
            model=base64.b64encode(out.getvalue()).decode())))


def encode(path):
    p = sentencepiece.SentencePieceProcessor(model_file=path)
    for line in sys.stdin:
        print(json.dumps(p.encode(json.loads(line))))


if __name__ == '__main__':
    train() if sys.argv[1] == 'train' else encode(sys.argv[2])
