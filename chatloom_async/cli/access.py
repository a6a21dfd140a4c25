"""How the commands for one workspace get to it: the options for key and address, and the client they make."""

from pathlib import Path
from typing import Annotated

from attrs import frozen
from cyclopts import Parameter

from ..audit.keys import KeyFile, resolve_key
from ..client import AsyncChatloom
from ..wire.auth import ApiKey, api_key_or_error
from .terminal import read_stdin

BaseUrl = Annotated[
    str | None,
    Parameter(metavar="URL", help="Address of the API. Default: CHATLOOM_BASE_URL, else https://chatloom.app."),
]


def file_or_stdin(_: object, value: Path | None) -> None:
    """A validator: of all that begins with a hyphen, only - itself stands for something."""
    if value is not None and str(value) != "-" and str(value).startswith("-"):
        raise ValueError("This is neither a file nor an option of this command")


@Parameter(name="*")
@frozen
class Access:
    """The key is never an argument: other users of the machine can read those."""

    key_file: Annotated[
        Path | None,
        Parameter(
            help="File with the key, readable by its owner only; - is stdin. Default: CHATLOOM_API_KEY.",
            allow_leading_hyphen=True,
            validator=file_or_stdin,
        ),
    ] = None
    base_url: BaseUrl = None

    def files(self) -> list[tuple[str, Path]]:
        """The inputs that no output may overwrite."""
        return [] if self.key_file is None else [("the file of --key-file", self.key_file)]

    async def client(self) -> AsyncChatloom:
        """A client for the key's workspace. Raises ConfigurationError if there is no key."""
        key = None if self.key_file is None else await _key(self.key_file)
        if key is None or isinstance(key, ApiKey):
            return AsyncChatloom(key, base_url=self.base_url)
        raise key


FROM_ENVIRONMENT = Access()


async def _key(path: Path) -> ApiKey | Exception:
    if path == Path("-"):
        return api_key_or_error(read_stdin(one_line=True).removesuffix("\n").removesuffix("\r"))
    return await resolve_key(KeyFile(path))
