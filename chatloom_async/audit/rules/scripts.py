"""Describes the letters of a domain: the scripts that they belong to, and which of them look like Latin letters.

After Unicode's UTS #39 (mixed scripts, section 5.1; confusables), narrowed to the letters that fonts draw alike.
"""

import unicodedata
from typing import Final

CYRILLIC = (
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u051b\u051d\u04bb\u04cf\u043a\u0475\u04af"
)
GREEK = "\u03b1\u03bf\u03c1\u03bd\u03b9\u03ba\u03c5\u03b3\u03c7\u03c4\u03b7\u03c9\u03f3"
ARMENIAN = "\u0585\u0578\u057d\u0570\u0581\u0566\u0575\u0584"
LATIN = "\u0131\u0251\u0261\u0269"  # other letters than they seem: without a dot, script a and g, iota
PUNCTUATION = "\u2010\u2012\u2013\u2014\u2015\u2043\u2212\u2044\u2215\u29f8\ua789\u2236"  # dashes, slashes, colons
LOOKALIKES: Final = {
    **dict(zip(CYRILLIC, "aeopcyxijsdqwhlkvy", strict=True)),
    **dict(zip(GREEK, "aopvikuyxtnwj", strict=True)),
    **dict(zip(ARMENIAN, "onuhgqjp", strict=True)),
    **dict(zip(LATIN, "iagi", strict=True)),
    **dict(zip(PUNCTUATION, "-------///::", strict=True)),
}
TOGETHER: Final = (  # scripts that one language writes together (UTS #39, "highly restrictive")
    {"Latin", "Cjk", "Hiragana", "Katakana"},
    {"Latin", "Cjk", "Hangul"},
    {"Latin", "Cjk", "Bopomofo"},
)
SHARED: Final = {"Combining", "Modifier"}  # marks that belong to the letter before them


def scripts_of(label: str) -> tuple[str, ...]:
    """The scripts of the letters, in order of appearance. Digits and hyphens have none.

    Python knows no scripts, but Unicode's names begin with them: CYRILLIC SMALL LETTER A.
    """
    names = (unicodedata.name(letter, "") for letter in label if letter.isalpha())
    words = (name.replace("-", " ").partition(" ")[0].capitalize() for name in names)
    return tuple(dict.fromkeys(word for word in words if word and word not in SHARED))


def deception(host: str) -> str:
    """What the first label that may deceive consists of, as the end of a sentence; "" where no label does."""
    return next((told for label in host.split(".") if (told := _deception(label))), "")


def _deception(label: str) -> str:
    alike = [letter for letter in dict.fromkeys(label) if letter in LOOKALIKES]
    scripts = scripts_of(label)
    told = ", ".join(f'"{letter}" ({_name(letter)}) for "{LOOKALIKES[letter]}"' for letter in alike)
    if len(scripts) > 1 and not any(set(scripts) <= allowed for allowed in TOGETHER):
        return f"mixes {' and '.join(scripts)} letters{': ' if told else ''}{told}"
    if alike and (scripts == ("Latin",) or all(letter in LOOKALIKES for letter in label if letter.isalpha())):
        return f"holds characters that look like other ones: {told}"
    return ""


def _name(letter: str) -> str:
    return f"{unicodedata.name(letter).title()}, U+{ord(letter):04X}"


def looks_like(host: str) -> str:
    """The host as a reader may take it: every lookalike replaced by the character that it resembles."""
    return "".join(LOOKALIKES.get(letter, letter) for letter in host)
