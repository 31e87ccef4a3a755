"""The folders `operator/` and `runtime/` become the packages `tikv_operator` and `controller_runtime`, and nothing else.

`operator` is also a module of the standard library: a package of that name at the root of the repository would break
Python itself for whoever works there, and a developer's own virtual environment can hide it.
"""

from __future__ import annotations

import operator
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = (
    "tikv_operator/tikv/__init__.py",
    "controller_runtime/api/__init__.py",
    "controller_runtime/api/k8s/schemas.json",
    "tikv_operator/py.typed",
)


def python(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def test_operator_is_not_a_package() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_operator_is_the_standard_library_s() -> None:
    assert operator.__file__ is not None
    assert Path(operator.__file__).is_relative_to(sysconfig.get_paths()["stdlib"])


def test_python_works_in_the_repository_without_the_luck_of_site_packages() -> None:
    ran = python("-S", "-c", "import asyncio, operator; print(operator.__file__)")
    assert ran.returncode == 0, ran.stderr
    assert not Path(ran.stdout.strip()).is_relative_to(ROOT)


@pytest.mark.parametrize(("name", "target"), [("tikv_operator", "../operator"), ("controller_runtime", "../runtime")])
def test_sources_are_links(name: str, target: str) -> None:
    link = ROOT / "src" / name
    assert link.is_symlink()
    assert str(link.readlink()) == target


def test_importing_the_folder_s_name_fails_and_says_what_to_import() -> None:
    ran = python("-c", "import runtime")
    assert ran.returncode != 0
    assert "import this package as 'controller_runtime'" in ran.stderr


def test_every_folder_with_code_but_the_root_is_a_package() -> None:
    folders = {path.parent for name in ("operator", "runtime") for path in (ROOT / name).rglob("*.py")}
    missing = {folder for folder in folders if not (folder / "__init__.py").exists()}
    assert missing <= {ROOT / "operator"}


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Build an sdist, a wheel from a copy of the tree, and a wheel from the sdist, without any network."""
    folder = tmp_path_factory.mktemp("dist")
    tree = folder / "tree"
    ignored = shutil.ignore_patterns("*.egg-info", "__pycache__")
    for name in ("src", "operator", "runtime", "config"):
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)

    build_sdist = f"import setuptools.build_meta as backend; backend.build_sdist({str(folder)!r})"
    built = python("-c", build_sdist, cwd=tree)
    assert built.returncode == 0, built.stderr
    (sdist,) = folder.glob("*.tar.gz")
    return sdist, wheel_of(tree, folder / "from_tree"), wheel_of(sdist, folder / "from_sdist")


def wheel_of(source: Path, target: Path) -> Path:
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    built = python("-m", "pip", "wheel", *options, "--wheel-dir", str(target), str(source))
    assert built.returncode == 0, built.stderr
    (wheel,) = target.glob("*.whl")
    return wheel


def test_wheel_has_both_packages_and_not_the_folders(distributions: tuple[Path, Path, Path]) -> None:
    _, wheel, _ = distributions
    names = zipfile.ZipFile(wheel).namelist()
    assert set(MODULES) <= set(names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"tikv_operator", "controller_runtime"}
    assert "tikv_operator/__init__.py" not in names


def test_wheel_from_the_source_distribution_is_the_same(distributions: tuple[Path, Path, Path]) -> None:
    sdist, from_tree, from_sdist = distributions
    assert zipfile.ZipFile(from_tree).namelist() == zipfile.ZipFile(from_sdist).namelist()
    with tarfile.open(sdist) as archive:
        assert any(name.endswith("src/tikv_operator/tikv/__init__.py") for name in archive.getnames())


def test_wheels_have_the_sample_of_the_demo(distributions: tuple[Path, Path, Path]) -> None:
    sample = {f"tikv_operator/demo/sample/{path.name}" for path in (ROOT / "config/samples/basic").glob("*.yaml")}
    assert len(sample) == 3
    for wheel in distributions[1:]:
        assert sample <= set(zipfile.ZipFile(wheel).namelist())


def test_wheel_has_everything_that_is_imported_here(distributions: tuple[Path, Path, Path]) -> None:
    names = set(zipfile.ZipFile(distributions[1]).namelist())
    for package, folder in (("tikv_operator", "operator"), ("controller_runtime", "runtime")):
        for path in (ROOT / folder).rglob("*.py"):
            assert f"{package}/{path.relative_to(ROOT / folder)}" in names


def test_wheel_brings_the_pytest_plugin(distributions: tuple[Path, Path, Path]) -> None:
    wheel = zipfile.ZipFile(distributions[1])
    (entries,) = [name for name in wheel.namelist() if name.endswith("/entry_points.txt")]
    text = wheel.read(entries).decode()
    assert "[pytest11]\ncontroller_runtime_envtest = controller_runtime.envtest.plugin\n" in text
