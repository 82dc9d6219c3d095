"""The lexicon: words, their syllables, their classes and themes.

The files in lexicon/ are the source; this module reads them, derives the
inflected forms and answers two questions: how many syllables has a word
(``Lexicon.syllables``), and which words fit a slot of a pattern
(``Lexicon.pool``).

Conventions where speech varies: fire, hour, our, tired, wire and prayer have
one syllable; flower, power, every, evening and towards have two; family and
memory three. A verb in consonant + "le" loses a syllable before -ing
(trembling: two).
"""

import re
from collections import defaultdict
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "lexicon"
COUNT_CLASSES = ("animal person plant thing fixture device place room water sky sound food").split()
MASS_CLASSES = "weather light stuff idea".split()

THEMES = (
    "sea river mountain field garden city night home work machine travel music"
    " temple book love spring summer autumn winter"
).split()
RELATED = {
    "sea": "travel summer",
    "river": "spring summer",
    "mountain": "autumn winter river",
    "field": "summer autumn",
    "garden": "spring summer home",
    "city": "night work",
    "night": "city home",
    "home": "night winter love",
    "work": "city machine",
    "machine": "work night",
    "travel": "city sea",
    "music": "night city",
    "temple": "mountain garden",
    "book": "home night",
    "love": "home night",
    "spring": "garden river",
    "summer": "field garden sea",
    "autumn": "mountain field",
    "winter": "mountain home",
}
UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen"
    " fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def number_word(n):
    """0..99 in words: 42 -> forty-two."""
    if n < 20:
        return UNITS[n]
    return TENS[n // 10] + ("-" + UNITS[n % 10] if n % 10 else "")


def words_of(text):
    """The words of a text in lower case; a hyphen separates."""
    return [w.replace("’", "'") for w in WORD.findall(text.lower())]


def entries(path):
    """Yield (section, word, syllables) of a lexicon file."""
    section = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            count, words = line.split(":", 1)
            for item in words.split():
                word, _, own = item.partition("=")
                yield section, word, int(own or count)


def hisses(word):
    return bool(re.search(r"(s|x|z|ch|sh|[csxzg]e|che)$", word))


def add_s(word):
    """Plural of a noun and third person of a verb share their spelling rule."""
    if re.search(r"(s|x|z|ch|sh)$", word):
        return word + "es"
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + "s"


def add_ing(word):
    if word.endswith("ie"):
        return word[:-2] + "ying"
    if re.search(r"[^eoy]e$", word):
        return word[:-1] + "ing"
    if re.search(r"^[^aeiou]*[aeiou][bdgklmnprt]$", word):
        return word + word[-1] + "ing"
    return word + "ing"


def add_ed(word):
    if word.endswith("e"):
        return word + "d"
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ied"
    if re.search(r"^[^aeiou]*[aeiou][bdgklmnprt]$", word):
        return word + word[-1] + "ed"
    return word + "ed"


class Lexicon:
    """All words, and the pools that the slots of the patterns draw from."""

    def __init__(self):
        self.count = {}  # word -> syllables
        self.conflicts = []
        # (kind, class) -> {theme or "": {phrase: syllables}}
        self.slots = defaultdict(lambda: defaultdict(dict))
        self.kinds = defaultdict(set)  # phrase -> {(kind, class)}
        self.pools = {}
        self.noun_themes = defaultdict(set)
        for _, word, syl in entries(FOLDER / "other.txt"):
            self._count(word, syl)
        self._nouns()
        self.transitive = defaultdict(list)  # subject class -> [(group, object classes)]
        self._verbs()
        for section, word, syl in entries(FOLDER / "adjectives.txt"):
            self._count(word, syl)
            for cls in section.split():
                self._slot("a", cls, "", word, syl)

    def _count(self, word, syl):
        if " " in word:
            return
        if self.count.setdefault(word, syl) != syl:
            self.conflicts.append((word, self.count[word], syl))

    def _slot(self, kind, cls, theme, phrase, syl):
        self.slots[kind, cls][theme][phrase] = syl
        self.kinds[phrase].add((kind, cls))

    def _nouns(self):
        for section, word, syl in entries(FOLDER / "nouns.txt"):
            themes, cls = (s.strip() for s in section.split("|"))
            single, _, plural = word.partition("/")
            single, plural = single.replace("-", " "), plural.replace("-", " ")
            plural = plural or add_s(single)
            more = hisses(single) and plural == add_s(single) or plural in ("children", "oxen")
            self._count(single, syl)
            mass = cls in MASS_CLASSES
            for theme in themes.split():
                self._slot("m" if mass else "n", cls, theme, single, syl)
                self.noun_themes[single].add(theme)
                if not mass:
                    self._slot("p", cls, theme, plural, syl + more)
                    self.noun_themes[plural].add(theme)
            if not mass:
                self._count(plural, syl + more)

    def _verbs(self):
        groups = 0
        section_seen = None
        for section, word, syl in entries(FOLDER / "verbs.txt"):
            subject, _, objects = section.partition(">")
            forms = (word.split("/") + ["", "", ""])[:4]
            base = forms[0]
            third = forms[1] or add_s(base)
            ing = forms[2] or add_ing(base)
            past = forms[3] or add_ed(base)
            syls = (
                syl,
                syl + hisses(base),
                syl if re.search(r"[^aeiourwy]le$", base) else syl + 1,
                syl + bool(re.search(r"[td]e?$", base) and past.endswith("ed")),
            )
            for form, n in zip((base, third, ing, past), syls):
                self._count(form, n)
            if objects and section != section_seen:
                groups += 1
                for cls in subject.split():
                    self.transitive[cls].append((f"t{groups}", objects.split()))
            section_seen = section
            for cls in ([f"t{groups}"] if objects else subject.split()):
                for kind, form, n in zip(("vb", "v3", "vi"), (base, third, ing), syls):
                    self._slot(kind, cls, "", form, n)

    def syllables(self, text):
        """Syllables of a text, or None where a word is not in the lexicon."""
        total = 0
        for word in words_of(text):
            n = self.count.get(word)
            if n is None and word.endswith("'s") and word[:-2] in self.count:
                n = self.count[word[:-2]] + hisses(word[:-2])
            if n is None:
                return None
            total += n
        return total

    def pool(self, kind, cls, theme):
        """{syllables: [phrase, ...]} for a slot; words near the theme weigh more."""
        key = kind, cls, theme
        if key not in self.pools:
            by_theme = self.slots[kind, cls]
            weights = defaultdict(int)
            near = RELATED.get(theme, "").split()
            for name, words in by_theme.items():
                weight = 6 if name in (theme, "") else 1 if name in near or name == "any" else 0
                for phrase in words:
                    weights[phrase] += weight
            if sum(1 for w in weights.values() if w) < 8:
                weights = {phrase: 1 for words in by_theme.values() for phrase in words}
            syl = {p: self.syllables(p) for words in by_theme.values() for p in words}
            pool = defaultdict(list)
            for phrase, weight in weights.items():
                if weight:
                    pool[syl[phrase]].extend([phrase] * weight)
            self.pools[key] = dict(pool)
        return self.pools[key]
