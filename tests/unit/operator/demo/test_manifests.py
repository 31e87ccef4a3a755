"""Reading manifests: order, namespaces, and one clear line for everything that is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tikv_operator.demo.manifests import ManifestError, load


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file


def manifest(name: str, extra: str = "") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n{extra}"


def test_documents_keep_their_order_and_empty_ones_are_skipped(tmp_path: Path) -> None:
    file = write(tmp_path, "all.yaml", f"---\n{manifest('a')}---\n---\n{manifest('b')}")
    assert [found["metadata"]["name"] for found in load([file])] == ["a", "b"]


def test_a_folder_is_read_in_order_of_names_without_its_kustomization(tmp_path: Path) -> None:
    write(tmp_path, "10-b.yaml", manifest("b"))
    write(tmp_path, "00-a.yml", manifest("a"))
    write(tmp_path, "kustomization.yaml", "resources: []\n")
    write(tmp_path, "notes.txt", "hello")
    assert [found["metadata"]["name"] for found in load([tmp_path])] == ["a", "b"]


def test_a_missing_namespace_is_filled_in_and_a_given_one_kept(tmp_path: Path) -> None:
    file = write(tmp_path, "all.yaml", f"{manifest('a')}---\n{manifest('b', '  namespace: own')}")
    assert [found["metadata"]["namespace"] for found in load([file], namespace="given")] == ["given", "own"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not YAML"),
        ("- a\n", "not a Kubernetes manifest but list"),
        ("kind: Pod\nmetadata: {name: a}\n", "apiVersion is missing"),
        ("apiVersion: v1\nmetadata: {name: a}\n", "kind is missing"),
        ("apiVersion: v1\nkind: Pod\n", r"metadata\.name is missing"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {}\n", r"metadata\.name is missing"),
    ],
)
def test_what_is_no_manifest_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ManifestError, match=rf"bad\.yaml.*{message}"):
        load([write(tmp_path, "bad.yaml", text)])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none\.yaml: No such file"):
        load([tmp_path / "none.yaml"])
