"""What the errors of the operating system tell, whichever library passes them on."""

import errno

NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
BROKEN_HANDSHAKE = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)


def name_of(problem: BaseException) -> str:
    """What the operating system calls it, such as ECONNRESET, or else Python."""
    return errno.errorcode.get(getattr(problem, "errno", None) or 0, type(problem).__name__)
