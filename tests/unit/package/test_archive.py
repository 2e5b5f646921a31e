"""Zips that depend on their content alone."""

from __future__ import annotations

import os

from infra.package.archive import unzip, write_zip


def test_times_and_rights_of_files_do_not_reach_the_zip(tmp_path):
    for name, when in (("early", 1_000_000_000), ("late", 1_700_000_000)):
        folder = tmp_path / name / "package"
        folder.mkdir(parents=True)
        (folder / "module.py").write_text("ANSWER = 42\n")
        os.utime(folder / "module.py", (when, when))
        write_zip(tmp_path / name, tmp_path / f"{name}.zip")

    assert (tmp_path / "early.zip").read_bytes() == (tmp_path / "late.zip").read_bytes()


def test_what_was_zipped_comes_out_again(tmp_path):
    source = tmp_path / "source" / "deep"
    source.mkdir(parents=True)
    (source / "module.py").write_text("ANSWER = 42\n")

    write_zip(tmp_path / "source", tmp_path / "archive.zip")
    unzip(tmp_path / "archive.zip", tmp_path / "out")

    assert (tmp_path / "out" / "deep" / "module.py").read_text() == "ANSWER = 42\n"
