"""Turns the text of a TOML file into its document, or into the words that say why it is none. It opens no file."""

import tomllib
from typing import Any


def toml_document(text: str) -> dict[str, Any] | str:
    """The document; a string says what is wrong with the text.

    Python's parser does not put everything into a TOMLDecodeError: it has no limit of its own to nesting, and passes on
    that Python reads no integer of thousands of digits.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        return f"not valid TOML: {problem}"
    except RecursionError:
        return "not usable TOML: it is nested too deeply"
    except ValueError:
        return "not usable TOML: an integer has too many digits"
