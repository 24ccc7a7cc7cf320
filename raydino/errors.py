"""The one error that a user is meant to read.

Everything that is the user's to mend (a wrong path, a typo in a config, an artifact of another
version) is raised as ``UserError`` and printed by ``raydino.cli`` as one line with exit code 2.
Any other exception is ours: exit code 1 and a traceback.
"""


class UserError(Exception):
    """What is wrong, where it is, and what would be right.

    >>> str(UserError("no DICOM file found", where="scans/", remedy="pass the archive's top folder"))
    "scans/: no DICOM file found; pass the archive's top folder"
    """

    def __init__(self, what: str, *, where: object = None, remedy: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.remedy = remedy
        super().__init__(what, where, remedy)

    def __str__(self) -> str:
        line = self.what if self.where is None else f"{self.where}: {self.what}"
        return line if self.remedy is None else f"{line}; {self.remedy}"
