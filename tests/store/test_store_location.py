"""Where a store is, and whether its disk can hold one."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowrun.store.location import MOUNTS, find_project, is_network_filesystem, store_root

TABLE = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /net rw - nfs4 server:/x rw,vers=4.2
31 30 8:2 / /net/local rw - xfs /dev/sdb rw
32 22 0:41 / /with\040space rw shared:2 master:3 - cifs //server/share rw
33 22 0:42 / /home/me/remote rw - fuse.sshfs me@host: rw
34 22 0:43 / /home/me/local rw - fuse.bindfs /x rw
35 22 0:44 / /vm rw - 9p drvfs rw,aname=drvfs,trans=fd,rfd=8
36 22 0:45 / /plan9 rw - 9p 10.0.0.1 rw,trans=tcp,port=564
37 22 0:46 / /twice rw - nfs server:/y rw
38 22 0:47 / /twice rw - tmpfs tmpfs rw
a line that is no mount
39 22 0:48 / /short rw - nfs
"""


@pytest.mark.parametrize(
    ("path", "network"),
    [
        ("/", False),
        ("/net", True),
        ("/net/a/b/.flowrun", True),
        ("/network", False),
        ("/net/local/a", False),
        ("/with space/x", True),
        ("/home/me/remote/x", True),
        ("/home/me/local/x", False),
        ("/vm/x", False),
        ("/plan9/x", True),
        ("/twice/x", False),
        ("/short/x", False),
    ],
)
def test_the_deepest_mount_decides(tmp_path: Path, path: str, network: bool) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE)
    assert is_network_filesystem(Path(path), table) is network


def test_without_a_mount_table_nothing_is_known(tmp_path: Path) -> None:
    assert not is_network_filesystem(tmp_path, tmp_path / "none")
    (tmp_path / "empty").write_text("")
    assert not is_network_filesystem(tmp_path, tmp_path / "empty")


def test_the_mount_table_is_linuxs_own() -> None:
    assert MOUNTS.as_posix() == "/proc/self/mountinfo"


@pytest.mark.parametrize("mark", ["flowrun.toml", ".flowrun", ".git"])
def test_the_project_is_the_nearest_marked_folder(tmp_path: Path, mark: str) -> None:
    inner = tmp_path / "a" / "b" / "c"
    inner.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    marked = tmp_path / "a" / "b"
    if mark == "flowrun.toml":
        (marked / mark).write_text("")
    else:
        (marked / mark).mkdir()
    assert find_project(inner / "film.yaml") == marked
    assert find_project(inner / ".." / "film.yaml") == marked
    assert find_project(tmp_path / "a" / "film.yaml") == tmp_path


def test_a_git_worktree_marks_too_but_a_file_named_like_the_store_does_not(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: elsewhere")
    inner = tmp_path / "a"
    inner.mkdir()
    (inner / ".flowrun").write_text("")
    assert find_project(inner / "film.yaml") == tmp_path


def test_without_any_mark_the_manifests_own_folder_is_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowrun.store.location.MARKS", ("no-such-mark",))
    assert find_project(tmp_path / "a" / "film.yaml") == tmp_path / "a"


def test_a_relative_manifest_counts_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flowrun.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    assert find_project(Path("film.yaml")) == tmp_path


def test_the_store_is_where_the_setting_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert store_root(tmp_path, None) == store_root(tmp_path, "") == tmp_path / ".flowrun"
    assert store_root(tmp_path, "/var/cache/flow") == Path("/var/cache/flow")
    assert store_root(tmp_path, "~/flow") == Path("/home/me/flow")
    assert store_root(tmp_path, "shared") == tmp_path / "shared"
