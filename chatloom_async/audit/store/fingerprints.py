"""Digests of keys, key references and expectations, salted for one database.

The salt is random for each database and lies in it. So two databases cannot be compared with each other, and a key
of the length that Chatloom gives cannot be guessed. No key, and no text that may hold one, is stored.
"""

from hashlib import blake2b
from pathlib import Path

from ...wire.auth import ApiKey
from ..keys import KeyCommand, KeyEnv, KeyFile, KeyJson, KeyReference

SIZE = 16


def key_fingerprint(key: ApiKey, salt: bytes) -> str:
    """The same for the same key, in one database. In no other, and never the process-wide `ApiKey.fingerprint`."""
    return blake2b(key.reveal().encode(), key=salt, digest_size=SIZE).hexdigest()


def reference_digest(reference: KeyReference, salt: bytes) -> bytes:
    """The same for the same place of a key; for a key in code, the same for the same key.

    A relative path counts from the working directory. A command's arguments may be secrets, so they are digested too.
    """
    if isinstance(reference, ApiKey):
        return words_digest(("key", key_fingerprint(reference, salt)), salt)
    return words_digest(_words(reference), salt)


def expectation_digest(expect: tuple[str, ...] | None, salt: bytes) -> bytes:
    """The same for the same expected domains in the same order; None: nothing is expected."""
    return words_digest(("nothing",) if expect is None else ("domains", *expect), salt)


def words_digest(words: tuple[str, ...], salt: bytes) -> bytes:
    """Of these texts, in this order; their boundaries count."""
    digest = blake2b(key=salt, digest_size=SIZE)
    for word in words:
        raw = word.encode(errors="surrogatepass")
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.digest()


def _words(reference: KeyEnv | KeyJson | KeyFile | KeyCommand) -> tuple[str, ...]:
    if isinstance(reference, KeyEnv):
        return ("env", reference.name)
    if isinstance(reference, KeyJson):
        return ("json", reference.variable, reference.member)
    if isinstance(reference, KeyFile):
        return ("file", str(_absolute(reference.path)))
    return ("command", *reference.argv)


def _absolute(path: Path) -> Path:
    return path if str(path).startswith("~") else path.absolute()
