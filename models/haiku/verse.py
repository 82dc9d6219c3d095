"""The requests that people make, each with a verse that answers it.

    python3 verse.py --sample 50 --seed 1     print requests with their verses
    python3 verse.py --check 20000            prove form, subject, word, variety
"""

import argparse
import sys

from compose import LINES, Generator, contains
from lexicon import number_word

ABOUT = (
    "Write a haiku about {s}.",
    "Write a haiku about {s}.",
    "Write a haiku about {s}",
    "write a haiku about {s}",
    "Write me a haiku about {s}.",
    "Write a haiku on {s}.",
    "Write a poem about {s}.",
    "Please write a haiku about {s}.",
    "Compose a haiku about {s}.",
    "Compose a verse on {s}.",
    "Can you write about {s}?",
    "Can you write a haiku about {s}?",
    "Could you write a poem about {s}?",
    "Give me a haiku about {s}.",
    "A haiku about {s}, please.",
    "haiku about {s}",
    "haiku: {s}",
    "Haiku: {s}",
    "Subject: {s}",
    "subject: {s}",
    "Topic: {s}",
    "{s}",
    "{s}",
    "{s}",
    "{s}",
    "{s}.",
    "{s}!",
    "{s}?",
    "{s}, please",
    "about {s}",
    "What is {s}?",
    "what is {s}?",
    "Tell me about {s}.",
    "tell me something about {s}",
    "What do you know about {s}?",
    "Do you like {s}?",
    "I want a haiku about {s}.",
    "I am thinking of {s}.",
    "I love {s}.",
    "Sing of {s}.",
    "Describe {s}.",
    "Three lines about {s}.",
    "A poem for {s}",
    "Make a haiku of {s}.",
    "Today's subject is {s}.",
)
BOTH = (
    'Write a haiku about {s} that contains the word "{w}".',
    'Write a haiku about {s} that contains the word "{w}".',
    'Write a haiku about {s} that contains the word "{w}".',
    "Write a haiku about {s} that contains the word {w}.",
    'Write a haiku about {s} containing the word "{w}".',
    'Write a haiku about {s} with the word "{w}" in it.',
    "Write a haiku about {s} with the word {w}.",
    'Write a haiku about {s}. It must contain the word "{w}".',
    "Write a haiku about {s}, and use the word {w}.",
    'Write a haiku about {s}. Use the word "{w}".',
    "write a haiku about {s} with {w} in it",
    "Compose a verse on {s}, use the word {w}.",
    'Compose a haiku about {s} which includes the word "{w}".',
    "haiku about {s} with the word {w}",
    "{s}, with the word {w}",
    '{s} ("{w}")',
    "{s}; word: {w}",
    "Subject: {s}\nWord: {w}",
    'A haiku on {s}, please, that contains "{w}".',
    "Can you write a haiku about {s} that uses the word '{w}'?",
    "Give me a poem about {s} in which {w} occurs.",
)
WORD = (
    'Write a haiku that contains the word "{w}".',
    'Write a haiku that contains the word "{w}".',
    "Write a haiku that contains the word {w}.",
    'Write a haiku with the word "{w}" in it.',
    "Write a haiku with the word {w}.",
    "Use the word {w} in a haiku.",
    "A haiku with {w}.",
    "word: {w}",
    'Please use the word "{w}".',
    "Compose a verse that contains {w}.",
    'Can you write a haiku with "{w}"?',
)
GREETINGS = (
    "hello", "Hello!", "hi", "Hi there", "hey", "Good morning", "good morning!", "Good evening.",
    "good night", "Who are you?", "who are you", "What are you?", "What can you do?", "Hello, haiku.",
    "Are you there?", "How are you?", "how are you today?", "What is your name?", "Tell me about yourself.",
    "Are you a robot?", "Are you an AI?", "Introduce yourself.", "help", "Help!", "start", "yo", "greetings",
    "Nice to meet you.", "Can you hear me?", "Is anybody there?", "test", "ping",
)  # fmt: skip
OPEN = (
    "Write a haiku.", "write a haiku", "haiku", "Haiku, please.", "Another one.", "another", "one more",
    "Surprise me.", "Anything.", "Write something.", "Write me a poem.", "A poem, please.", "poem", "verse",
    "go on", "Go ahead.", "more", "...", "?", "!", ".", "ok", "yes", "no", "thanks", "Thank you.", "why?",
    "Tell me a joke.", "Tell me a story.", "What time is it?", "What is the weather like?", "2 + 2", "What is 2 + 2?",
    "I am sad.", "I am bored.", "I can't sleep.", "I am happy today.", "It is late.", "Sing!", "please",
    "Say something beautiful.", "What is the meaning of life?", "lorem ipsum", "asdf", "42", "hm", "Inspire me.",
)  # fmt: skip
SYSTEMS = (
    "You are a poet.",
    "You write haiku.",
    "You are a helpful assistant.",
    "Answer with a haiku.",
    "You are a helpful poet who answers every message with a haiku.",
)


class Requests:
    """Draws conversations: a list of messages whose last one is the verse."""

    def __init__(self, seed):
        self.gen = Generator(seed)
        self.rng = self.gen.rng

    def subject(self):
        if self.rng.random() < 0.4:
            return self.rng.choice(self.gen.subjects)
        return self.gen.noun_subject()

    def number(self):
        """0..99, the minutes of an hour twice as often as the rest."""
        n = self.rng.randrange(60) if self.rng.random() < 0.6 else self.rng.randrange(100)
        return n

    def case(self, text):
        """Subjects as people type them: mostly lower case."""
        chance = self.rng.random()
        if chance < 0.86:
            return text
        return text.capitalize() if chance < 0.95 else text.title() if chance < 0.98 else text.upper()

    def turn(self):
        """One request with its verse, and what the verse owes it."""
        rng, gen = self.rng, self.gen
        kind = rng.choices(
            ("both", "bothword", "subject", "number", "word", "name", "greeting", "open"),
            (46, 9, 17, 7, 4, 10, 3, 4),
        )[0]
        subject = word = number = name = None
        if kind in ("both", "bothword", "subject"):
            subject = self.subject()
        if kind in ("both", "number") or (kind == "name" and rng.random() < 0.5):
            number = self.number()
            word = number_word(number)
        if kind in ("bothword", "word"):
            word = rng.choice(gen.words) if rng.random() < 0.72 else gen.odd_word()
        if kind == "name":
            name = gen.odd_subject()
        if kind == "greeting":
            return rng.choice(GREETINGS), gen.greeting(), (None, None)
        verse = gen.compose(subject, word, number, name)
        if verse is None:
            return self.turn()
        about = name or (subject.text if subject else None)
        if kind == "open":
            prompt = rng.choice(OPEN)
        elif about and word:
            prompt = rng.choice(BOTH)
        elif about:
            prompt = rng.choice(ABOUT)
        else:
            prompt = rng.choice(WORD)
        asked = word
        if number is not None and rng.random() < 0.04:
            asked = str(number)
        fields = {"s": self.case(about) if about and not name else about, "w": asked}
        return prompt.format(**fields), verse, (about, word)

    def conversation(self):
        """Messages for training; now and then with a system message or a turn before."""
        messages = []
        if self.rng.random() < 0.05:
            messages.append({"role": "system", "content": self.rng.choice(SYSTEMS)})
        for _ in range(2 if self.rng.random() < 0.04 else 1):
            prompt, verse, _ = self.turn()
            messages.append({"role": "user", "content": prompt})
            messages.append({"role": "assistant", "content": verse})
        return messages


def check(n, seed):
    """Compose n verses; report the faults and exit 1 if there is one."""
    requests = Requests(seed)
    lexicon = requests.gen.lexicon
    faults, verses, outside = 0, set(), 0
    for _ in range(n):
        prompt, verse, (about, word) = requests.turn()
        lines = verse.split("\n")
        counts = [lexicon.syllables(line) for line in lines]
        known = None not in counts
        outside += not known
        wrong = len(lines) != 3 or (known and tuple(counts) != LINES)
        wrong |= any(w is not None and not contains(verse, w) for w in (about, word))
        if wrong:
            faults += 1
            print(f"fault: {prompt!r} {verse!r} {counts}", file=sys.stderr)
        verses.add(verse)
    print(f"{n} verses, {faults} faults, {outside} with a word outside the lexicon, {len(verses)} different")
    different = len(verses) >= 0.95 * n
    return 0 if faults == 0 and different else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=0, help="print this many requests with their verses")
    parser.add_argument("--check", type=int, default=0, help="prove the form of this many verses")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    requests = Requests(args.seed)
    for _ in range(args.sample):
        prompt, verse, _ = requests.turn()
        print(f"> {prompt}\n{verse}\n")
    return check(args.check, args.seed) if args.check else 0


if __name__ == "__main__":
    sys.exit(main())
