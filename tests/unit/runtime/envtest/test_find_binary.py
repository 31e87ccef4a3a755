"""Where a control plane's programs are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller_runtime.envtest import find_binary


@pytest.fixture(autouse=True)
def nothing_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)


def program(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_it_is_found_in_the_cache_folder(tmp_path: Path) -> None:
    path = program(tmp_path / "cache" / "controller-runtime" / "envtest", "etcd")
    assert find_binary("etcd") == path


def test_the_user_s_own_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "cache" / "controller-runtime" / "envtest", "etcd")
    own = program(tmp_path / "own", "etcd")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "own"))
    assert find_binary("etcd") == own


def test_what_the_user_has_not_comes_from_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = program(tmp_path / "cache" / "controller-runtime" / "envtest", "pd-server")
    program(tmp_path / "own", "etcd")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "own"))
    assert find_binary("pd-server") == cached


def test_a_folder_that_is_given_is_the_only_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "own", "etcd")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "own"))
    with pytest.raises(FileNotFoundError):
        find_binary("etcd", tmp_path / "given")


def test_a_file_that_is_no_program_is_not_taken(tmp_path: Path) -> None:
    program(tmp_path / "given", "etcd").chmod(0o644)
    with pytest.raises(FileNotFoundError):
        find_binary("etcd", tmp_path / "given")


def test_who_has_none_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", "/own")
    with pytest.raises(FileNotFoundError) as missing:
        find_binary("kube-apiserver")
    assert str(missing.value) == (
        f"kube-apiserver is not in /own or {tmp_path}/cache/controller-runtime/envtest: name the folder that has it in "
        "KUBEBUILDER_ASSETS (`setup-envtest use -p path` prints one), or build it with hack/envtest/build.sh"
    )
