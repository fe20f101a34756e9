"""The errors a user can cause or mend. Each carries one line that says what, with which value, and what to do."""


class UserError(Exception):
    """Something the user can mend. The command line prints the one line and exits with status 2."""


class MissingPackage(UserError):
    """An optional package is not installed."""

    def __init__(self, package: str, fix: str) -> None:
        super().__init__(f"needs {package}: {fix}")


class BitstreamError(UserError):
    """Bytes that are not a stream this decoder can read: foreign, truncated, damaged, or of another checkpoint."""


class PictureError(UserError):
    """A picture file that cannot be read; the message names the file."""


class CodecError(Exception):
    """A codec or an external program failed on one picture. The run records it in that cell and goes on."""
