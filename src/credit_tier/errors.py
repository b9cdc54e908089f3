"""Errors that a user meets: a stable code, where, what, and what to do next.

Every error of the package descends from :class:`CreditTierError`.
Row values, codes of enterprises and names never enter a message: column names and counts do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong.

    Parameters
    ----------
    code : stable identifier such as ``CT-CONTENT-003``; never reused for another meaning.
    where : file:line, table.column, or another place a person can go to; empty if there is none.
    what : what is wrong, without any row value.
    advice : what to do next.

    >>> str(Fault("CT-DATA-001", "penalties.csv", "the file is empty.", "Ask the department to send it again."))
    'CT-DATA-001 penalties.csv: the file is empty. Ask the department to send it again.'
    """

    code: str
    where: str
    what: str
    advice: str = ""

    def __str__(self) -> str:
        place = f" {self.where}:" if self.where else ""
        return f"{self.code}{place} {self.what} {self.advice}".rstrip()


class CreditTierError(Exception):
    """Base of all errors of this package; carries one fault or several found at once.

    Attributes
    ----------
    faults : tuple of :class:`Fault`, at least one.
    exit_code : process exit status when the command line ends with this error.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        super().__init__("\n".join(str(fault) for fault in faults))

    @property
    def code(self) -> str:
        """Return the code of the first fault."""
        return self.faults[0].code

    @classmethod
    def of(cls, code: str, *, where: str = "", what: str, advice: str = "") -> Self:
        """Build the error from one fault."""
        return cls(Fault(code, where, what, advice))


class UsageError(CreditTierError):
    """A command or function was called in a way that cannot work (exit 2)."""

    exit_code = 2


class ContentError(CreditTierError):
    """A declaration (YAML of a content room) is wrong."""


class DataError(CreditTierError):
    """Input data do not meet their contract."""


class LakeError(CreditTierError):
    """The lake cannot be opened or written (exit 4)."""

    exit_code = 4


class FeatureError(CreditTierError):
    """A feature cannot be computed as declared."""


class LearningError(CreditTierError):
    """A model cannot be trained, loaded or evaluated as declared."""


class RuleError(CreditTierError):
    """A rule pack is wrong, missing for a date, or asked for a fact that nobody gave."""


class DrawError(CreditTierError):
    """A draw cannot be planned or run."""


class RefusedError(CreditTierError):
    """The wish is understood and refused by policy (exit 3)."""

    exit_code = 3


class MachineError(CreditTierError):
    """The machine lacks something: a file, a right, disk space, a store (exit 4)."""

    exit_code = 4


class VerificationError(CreditTierError):
    """A record does not verify (exit 5)."""

    exit_code = 5
