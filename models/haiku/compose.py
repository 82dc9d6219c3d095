"""Composes verses: three lines with 5, 7 and 5 syllables by the lexicon.

Each line is a filling of a pattern of lexicon/patterns.txt; a theme keeps the
words together, the subject stands in one line word for word, the required word
in another (or, a number, before the subject itself).
"""

import random
import re
from collections import defaultdict, namedtuple

from lexicon import COUNT_CLASSES, FOLDER, THEMES, Lexicon, words_of

LINES = (5, 7, 5)
HOURS = "one two three four five six seven eight nine ten eleven twelve".split()
MASS, SINGULAR, PLURAL = "msp"
# The roles of the three lines, the likelier shapes more than once.
SHAPES = (
    ("scene", "action", "turn"),
    ("scene", "action", "turn"),
    ("scene", "action", "turn"),
    ("scene", "action", "tail"),
    ("action", "scene", "turn"),
    ("turn", "action", "scene"),
    ("action", "action", "turn"),
)
# Roles of a line that holds the required number, and how often.
NUMBER_ROLES = {"label": 3, "count": 4, "clock": 3}
# How often a line of a role is one of its fixed lines.
FIXED = {"scene": 0.2, "action": 0.2, "turn": 0.4}
# Words that may occur twice in a verse.
PLAIN = set(
    "a an the and or of in on at by to from over under past near behind between"
    " beyond with through i my me is it not no so still all one two three again"
    " for as if like until into above across down along inside outside what who".split()
)

Subject = namedtuple("Subject", "text cls number themes")
Leaf = namedtuple("Leaf", "kind cls text")  # text is None for a slot to fill


def guess_syllables(word):
    """Syllables of a word that no lexicon knows: its groups of vowels."""
    word = word.lower()
    n = len(re.findall(r"[aeiouy]+", word))
    if re.search(r"[^aeiouyl]e$", word):
        n -= 1
    return max(1, n)


# The numbers a noun phrase of each kind can have.
NUMBERS = dict(N="smp", D="smp", S="sm", A="sm", B="smp", P="p", M="m", n="s", p="p", m="m")
# Verb slots and the forms that may fill them.
VERB_SLOTS = {"v": ("v3", "vb"), "v3": ("v3",), "ving": ("vi",), "t": ("v3", "vb"), "ting": ("vi",)}
NOUN_KINDS = {SINGULAR: "n", PLURAL: "p", MASS: "m"}


def is_bare(subject):
    return not re.match(r"(the|an?|my) ", subject.text)


def can_host(slot, subject, want):
    """Whether a slot can take the subject, or a word with one of the wanted uses."""
    kind, arg = slot
    if kind in NUMBERS:
        if subject:
            fits = subject.cls in arg and subject.number in NUMBERS[kind]
            return fits and (is_bare(subject) or not kind.islower())
        numbers = {NOUN_KINDS[n] for n in NUMBERS[kind]} | ({"a"} if kind.isupper() else set())
        return any(k in numbers and c in arg for k, c in want)
    if subject:
        return False
    if kind == "a":
        return any(k == "a" and c in arg for k, c in want)
    return any(k in VERB_SLOTS.get(kind, ()) for k, _ in want)


class NoFit(Exception):
    """A pattern that cannot be filled as wanted."""


class Generator:
    """Composes verses; all chance comes from one random.Random."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.lexicon = Lexicon()
        self.patterns = defaultdict(list)  # role -> [[part, ...]]
        self.fixed = defaultdict(list)  # "turn!" ... -> [(text, themes)]
        self._read_patterns()
        self.hosting = {}  # (role, what) -> patterns that can take it
        self.literal = {}  # text -> syllables
        self.subjects = self._read_subjects()
        self.nouns = self._noun_subjects()
        self.names = [
            w
            for line in (FOLDER / "names.txt").read_text(encoding="utf-8").splitlines()
            if not line.startswith("#")
            for w in line.split()
        ]
        self.words = sorted(
            w
            for w, kinds in self.lexicon.kinds.items()
            if " " not in w and any(k in "npmav3vivb" for k, _ in kinds)
        )

    # ---- reading -------------------------------------------------------------

    def _read_patterns(self):
        role = ""
        for line in (FOLDER / "patterns.txt").read_text(encoding="utf-8").splitlines():
            if line.startswith("["):
                role = line.strip("[]")
            elif not line or line.startswith("#"):
                continue
            elif role.endswith("!") or role == "when" or role.startswith("self"):
                text, _, themes = line.partition("/")
                self.fixed[role].append((text, themes.split()))
            else:
                parts = []
                for literal, slot in re.findall(r"([^{}]+)|\{([^}]*)\}", line):
                    if literal:
                        parts.append(("", literal))
                    else:
                        kind, _, classes = slot.partition(":")
                        parts.append((kind, classes.split("|") if classes else []))
                self.patterns[role].append(parts)

    def _read_subjects(self):
        subjects = []
        for line in (FOLDER / "subjects.txt").read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                text, cls, number, themes = line.split("\t")
                subjects.append(Subject(text, cls, number, themes.split()))
        return subjects

    def _noun_subjects(self):
        """Every noun of the lexicon as a subject: bare, with article, with adjective."""
        subjects = []
        for (kind, cls), by_theme in self.lexicon.slots.items():
            number = {"n": SINGULAR, "p": PLURAL, "m": MASS}.get(kind)
            if number:
                for noun in {p: 0 for words in by_theme.values() for p in words}:
                    themes = sorted(self.lexicon.noun_themes[noun] - {"any"}) or list(THEMES)
                    subjects.append(Subject(noun, cls, number, themes))
        return subjects

    # ---- subjects ------------------------------------------------------------

    def noun_subject(self):
        """A noun, dressed the way people write it."""
        s = self.rng.choice(self.nouns)
        adjectives = [
            w for ws in self.lexicon.pool("a", s.cls, "").values() for w in ws
        ]
        text = s.text
        if self.rng.random() < 0.35:
            text = self.rng.choice(adjectives) + " " + text
        if s.number == SINGULAR and self.rng.random() < 0.55:
            text = article(self.rng.choice(("a", "a", "the", "my")), text)
        elif s.number != SINGULAR and self.rng.random() < 0.12:
            text = "the " + text
        return s._replace(text=text)

    def odd_word(self):
        """A name, or a word that nobody has written before."""
        if self.rng.random() < 0.45:
            return self.rng.choice(self.names)
        onset = "b bl br c ch cl d dr f fl g gr h j k l m n p pr qu r s sh sk st t tr v w y z".split()
        nucleus = "a e i o u ai ea oo ou y".split()
        coda = " ,n,r,s,l,m,t,nd,x,sk,th,ck,ng".split(",")
        word = "".join(
            self.rng.choice(onset) + self.rng.choice(nucleus) + self.rng.choice(coda).strip()
            for _ in range(self.rng.choice((1, 2, 2, 3)))
        )
        return word.capitalize() if self.rng.random() < 0.4 else word

    def odd_subject(self):
        """A subject of no known kind: an odd word, or words put together as people do."""
        rng = self.rng
        if rng.random() < 0.45:
            return self.odd_word()
        while True:
            one, two = rng.choice(self.nouns), rng.choice(self.nouns)
            phrase = rng.choice(
                (
                    f"{self.odd_word()} {one.text}",
                    f"{self.odd_word()} {self.odd_word()}",
                    f"{one.text} and {two.text}",
                    f"{one.text} {two.text}",
                    f"{one.text} in the {two.text}",
                    f"the {one.text} of the {two.text}",
                    f"the {one.text} of {self.odd_word()}",
                    f"the {one.text} to {self.odd_word()}",
                    f"my first {one.text}",
                    f"my {one.text}'s {two.text}",
                    f"the color {self.odd_word()}",
                    f"{rng.choice(self.words)} {one.text}",
                )
            )
            if self.syllables(phrase) <= 6:
                return phrase

    # ---- lines ---------------------------------------------------------------

    def phrase(self, kind, classes, ctx):
        """Leaves of a noun phrase; the subject of the verse takes the first that fits."""
        rng, subject = self.rng, ctx["subject"]
        if subject and not ctx["placed"] and can_host((kind, classes), subject, ()):
            return self.subject_phrase(kind, subject, ctx)
        if kind in "pP":
            classes = [c for c in classes if c in COUNT_CLASSES]
        # The required word may choose how the phrase is built.
        uses = [NOUN_KINDS[n] for n in NUMBERS[kind]] + ["a"] * kind.isupper()
        wanted = [(k, c) for k, c in ctx["want"] or () if k in uses and c in classes]
        if not classes:
            raise NoFit
        use, cls = rng.choice(wanted) if wanted else (None, rng.choice(classes))
        if wanted:
            ctx["want"] = None
        number = self.number_of(kind, use, cls)
        leaves = []
        if kind in "DS" or kind == "N" and number == MASS and rng.random() < 0.25:
            leaves.append(Leaf("lit", "", "the"))
        elif kind in "NA" and number == SINGULAR:
            leaves.append(Leaf("lit", "", self.determiner(cls)))
        if use == "a" or kind.isupper() and rng.random() < (0.6 if kind == "B" else 0.38):
            leaves.append(Leaf("a", cls, None))
        leaves.append(Leaf(NOUN_KINDS[number], cls, None))
        ctx["last"] = cls, number
        return leaves

    def subject_phrase(self, kind, subject, ctx):
        """The subject as it was asked for, with an article where a bare one needs it."""
        ctx["placed"] = True
        ctx["last"] = subject.cls, subject.number
        leaves = [Leaf("lit", "", subject.text)]
        if kind in "NDSA" and is_bare(subject) and (subject.number == SINGULAR or self.rng.random() < 0.3):
            definite = subject.number != SINGULAR or kind in "DS"
            leaves.insert(0, Leaf("lit", "", "the" if definite else self.determiner(subject.cls)))
        return leaves

    def number_of(self, kind, use, cls):
        """Singular, plural or mass for a phrase of a kind and a class of noun."""
        if use in ("n", "p", "m"):
            return {"n": SINGULAR, "p": PLURAL, "m": MASS}[use]
        if cls not in COUNT_CLASSES:
            if MASS not in NUMBERS[kind]:
                raise NoFit
            return MASS
        if kind in "mM":
            raise NoFit
        often = {"S": 0, "A": 0, "n": 0, "p": 1, "P": 1, "D": 0.15}.get(kind, 0.3)
        return PLURAL if self.rng.random() < often else SINGULAR

    def hosts(self, role, subject, want):
        """Patterns of a role with a slot for the subject or for the wanted (kind, class)."""
        key = role, subject and (subject.cls, subject.number, is_bare(subject)), want
        if key not in self.hosting:
            fits = [p for p in self.patterns[role] if any(can_host(slot, subject, want) for slot in p)]
            self.hosting[key] = fits or self.patterns[role]
        return self.hosting[key]

    def determiner(self, cls):
        own = ("my",) if cls in ("thing", "device", "person") else ()
        return self.rng.choice(("a", "a", "a", "a", "the", "the", "one") + own)

    def expand(self, parts, ctx):
        """The leaves of a pattern: literals and slots that one word fills."""
        rng = self.rng
        leaves, objects = [], []
        for kind, arg in parts:
            if kind == "":
                leaves.append(Leaf("lit", "", arg))
            elif kind in NUMBERS:
                leaves += self.phrase(kind, arg, ctx)
            elif kind == "a":
                leaves.append(Leaf("a", rng.choice(arg), None))
            elif kind in VERB_SLOTS:
                leaf, objects = self.verb(kind, arg[0] if arg else "", ctx)
                leaves.append(leaf)
            elif kind == "o":
                last = ctx["last"]
                leaves += self.phrase("N" if rng.random() < 0.6 else "D", objects, ctx)
                ctx["last"] = last
            elif kind in ("pl", "outpl", "inpl"):
                last = ctx["last"]
                where = rng.choice(("outpl", "outpl", "inpl")) if kind == "pl" else kind
                leaves += self.expand(rng.choice(self.patterns[where]), ctx)
                ctx["last"] = last
            elif kind == "when":
                text, themes = rng.choice(self.fixed["when"])
                if themes and ctx["theme"] not in themes:
                    raise NoFit
                leaves.append(Leaf("lit", "", text))
            elif kind == "adv":
                leaves.append(Leaf("lit", "", rng.choice(self.patterns["adv"])[0][1]))
            elif kind == "hr":
                leaves.append(Leaf("lit", "", rng.choice(HOURS)))
            elif kind in ("num", "w", "x"):
                leaves.append(Leaf("lit", "", ctx[kind]))
            else:
                raise ValueError(f"unknown slot {kind}")
        return leaves

    def verb(self, kind, how, ctx):
        """A verb that agrees with the last phrase: its leaf, and the classes of its object.

        ``how`` is "p" or "b" for the base form, "3" for the third person, or the
        class of another subject.
        """
        cls, number = ctx["last"]
        if kind in ("ving", "ting"):
            form = "vi"
        elif kind == "v3" or how == "3":
            form = "v3"
        elif how:
            form = "vb"
        else:
            form = "vb" if number == PLURAL else "v3"
        if how not in ("", "p", "b", "3"):
            cls = how
        if kind in ("t", "ting"):
            if cls not in self.lexicon.transitive:
                raise NoFit
            cls, objects = self.rng.choice(self.lexicon.transitive[cls])
            return Leaf(form, cls, None), objects
        if ("v3", cls) not in self.lexicon.slots:
            raise NoFit
        return Leaf(form, cls, None), []

    def force(self, leaves, word):
        """Put the required word into a leaf that takes it."""
        kinds = self.lexicon.kinds.get(word, ())
        fits = [i for i, leaf in enumerate(leaves) if leaf.text is None and (leaf.kind, leaf.cls) in kinds]
        if not fits:
            raise NoFit
        i = self.rng.choice(fits)
        leaves[i] = Leaf("lit", "", word)

    def syllables(self, text):
        """Syllables of a literal; words outside the lexicon are guessed."""
        if text not in self.literal:
            count = self.lexicon.count
            known = self.lexicon.syllables(text)
            guess = sum(count.get(w) or guess_syllables(w) for w in words_of(text))
            self.literal[text] = guess if known is None else known
            if text.startswith("'s"):
                self.literal[text] -= 1  # most words take the 's in their stride; line() checks
        return self.literal[text]

    def fill(self, leaves, target, theme):
        """Choose words so that the line has exactly the target's syllables."""
        rng = self.rng
        room = target
        pools = []
        for leaf in leaves:
            if leaf.text is not None:
                room -= self.syllables(leaf.text)
                pools.append(None)
            else:
                pools.append(self.lexicon.pool(leaf.kind, leaf.cls, theme))
        slots = [p for p in pools if p is not None]
        # reach[i]: the sums that the slots from i on can make
        reach = [{0}]
        for pool in reversed(slots):
            reach.append({s + n for s in reach[-1] for n in pool if s + n <= room})
        reach.reverse()
        if room not in reach[0]:
            raise NoFit
        words, i = [], 0
        for leaf, pool in zip(leaves, pools):
            if pool is None:
                words.append(leaf.text.strip())
                continue
            i += 1
            counts = [n for n in pool if room - n in reach[i]]
            n = rng.choices(counts, [len(pool[c]) for c in counts])[0]
            words.append(rng.choice(pool[n]))
            room -= n
        return tidy(words)

    def line(self, role, target, ctx, word=None):
        """A line of a role, or NoFit; ctx notes what it has placed."""
        rng = self.rng
        own = role + "!"
        free = word is None and not ctx["need_subject"]
        if free and own in self.fixed and rng.random() < FIXED[role]:
            fits = [
                text
                for text, themes in self.fixed[own]
                if (not themes or ctx["theme"] in themes) and self.syllables(text) == target
            ]
            if fits:
                return rng.choice(fits)
        patterns = self.patterns[role]
        want = frozenset(self.lexicon.kinds[word]) if word is not None else None
        if ctx["need_subject"] or want:
            patterns = self.hosts(role, ctx["subject"] if ctx["need_subject"] else None, want)
        for _ in range(40):
            trial = dict(ctx, want=want, last=("person", SINGULAR))
            try:
                leaves = self.expand(rng.choice(patterns), trial)
                if ctx["need_subject"] and not trial["placed"]:
                    continue
                if word is not None:
                    self.force(leaves, word)
                text = self.fill(leaves, target, ctx["theme"])
            except NoFit:
                continue
            if self.lexicon.syllables(text) not in (target, None):
                continue
            ctx.update(trial)
            return text
        raise NoFit

    # ---- verses --------------------------------------------------------------

    def special_role(self, word, number):
        """The role of the line that carries the required word, if one is needed."""
        rng = self.rng
        if number is not None:
            roles = dict(NUMBER_ROLES)
            if number < 2:
                roles["one" if number else "zero"] = 5
                del roles["count"]
            clock = roles.pop("clock")
            if number < 60:
                roles["clock" if number > 9 else "clock0"] = clock
            if number == 0:
                del roles["clock0"]
            return rng.choices(list(roles), list(roles.values()))[0]
        if word and word not in self.lexicon.kinds:
            return "word"
        return None

    def compose(self, subject=None, word=None, number=None, name=None):
        """A verse on a subject (or name) with a required word (or number), or None."""
        for _ in range(400):
            try:
                lines = self.attempt(subject, word, number, name)
            except NoFit:
                continue
            if self.good(lines, subject, word, number, name):
                return self.dress(lines)
        return None

    def attempt(self, subject, word, number, name):
        rng = self.rng
        theme = rng.choice(subject.themes) if subject else rng.choice(THEMES)
        if word in self.lexicon.noun_themes and not subject:
            theme = rng.choice(sorted(self.lexicon.noun_themes[word] - {"any"} or set(THEMES)))
        ctx = {"theme": theme, "subject": subject, "x": name}
        roles = list(rng.choice(SHAPES))
        special = self.special_role(word, number)
        order = [0, 1, 2]
        at_word = at_subject = None
        if special or word:
            at_word = rng.choice((0, 0, 1, 1, 2))
            ctx["num"] = ctx["w"] = word
            if special:
                roles[at_word] = special
        if special == "count" and subject and subject.number == PLURAL and is_bare(subject) and rng.random() < 0.4:
            at_subject = at_word  # so many of the subject itself
        elif subject or name:
            at_subject = rng.choice([i for i in order if i != at_word])
            if name:
                roles[at_subject] = "name"
        lines = [None, None, None]
        for i in sorted(order, key=lambda i: i != at_subject):
            forced = word if i == at_word and not special else None
            ctx["need_subject"] = i == at_subject and subject is not None
            ctx["placed"] = subject is None or i != at_subject
            lines[i] = self.line(roles[i], LINES[i], ctx, forced)
        return lines

    def good(self, lines, subject, word, number, name):
        """Form and content are as asked, and no strong word comes twice."""
        text = "\n".join(lines)
        for wanted in (subject.text if subject else None, word, name):
            if wanted and not contains(text, wanted):
                return False
        once = words_of(text)
        for wanted in (word, subject and subject.text, name):
            for w in words_of(wanted or ""):
                if w in once:
                    once.remove(w)
        strong = [root(w) for w in once if w not in PLAIN]
        if subject:
            strong += [root(w) for w in words_of(subject.text) if w not in PLAIN]
        return len(strong) == len(set(strong))

    def dress(self, lines):
        """Now and then a cutting dash ends the first or the second line."""
        lines = list(lines)
        if self.rng.random() < 0.3:
            lines[self.rng.choice((0, 0, 1))] += " —"
        return "\n".join(lines)

    def greeting(self):
        return "\n".join(self.rng.choice(self.fixed[f"self{i}"])[0] for i in (1, 2, 3))


def root(word):
    """A crude stem, so that "rain" and "rains" count as one word."""
    return re.sub(r"(ies|es|s|ing|ed|e|y)$", "", word) or word


def article(det, phrase):
    if det == "a" and phrase[0] in "aeiou" and not phrase.startswith(("uku", "one")):
        det = "an"
    return det + " " + phrase


def tidy(words):
    """Join words, set a/an, and keep commas where they belong."""
    text = re.sub(r" +", " ", " ".join(words))
    text = text.replace(" ,", ",").replace(" ?", "?").replace(" 's", "'s").strip()
    return re.sub(r"\ba (?=[aeiou])(?!uku|one\b)", "an ", text)


def contains(text, wanted):
    """Whether a phrase stands in a text as whole words, whatever the case."""
    return re.search(r"(?<![\w-])" + re.escape(wanted.lower()) + r"(?![\w-])", text.lower()) is not None
