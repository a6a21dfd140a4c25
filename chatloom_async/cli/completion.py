"""`chatloom completion SHELL`: prints the script by which a shell completes commands and options. Installs nothing."""

import sys
from typing import Annotated, Literal

from cyclopts import Parameter


async def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish"], Parameter(help="The shell that is to complete: bash, zsh or fish.")
    ],
    /,
) -> int:
    """Print a script that lets a shell complete commands and options.

    Example: chatloom completion bash > ~/.local/share/bash-completion/completions/chatloom
    """
    from .app import command_line  # which names this module, but imports it only when it is asked for

    sys.stdout.write(command_line(None).generate_completion(shell=shell))
    return 0
