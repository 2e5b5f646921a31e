"""Zips whose bytes depend on their content alone, with bytecode beside the sources."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

# A zip cannot hold an earlier moment.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_READABLE = 0o644 << 16


def precompile(folder: Path, *, deployed_at: str) -> None:
    """Write bytecode for every module of `folder`.

    Lambda mounts code read-only, so a function without bytecode compiles all it imports at every
    cold start. The bytecode carries a hash that nobody checks: a zip keeps no times to compare.

    Parameters
    ----------
    deployed_at
        The folder's path on Lambda, which tracebacks show.
    """
    command = [sys.executable, "-I", "-m", "compileall", "-q", "-j", "1"]
    command += ["--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(folder), "-p", deployed_at, str(folder)]
    subprocess.run(command, check=True)  # noqa: S603 - our own interpreter and arguments


def write_zip(folder: Path, archive: Path) -> None:
    """Zip `folder` so that equal content gives equal bytes."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_suffix(".partial")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as opened:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                member = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
                member.compress_type = zipfile.ZIP_DEFLATED
                member.external_attr = _READABLE
                opened.writestr(member, path.read_bytes())
    os.replace(unfinished, archive)


def unzip(archive: Path, folder: Path) -> None:
    """Put the content of `archive` into `folder`."""
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
