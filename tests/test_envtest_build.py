"""hack/envtest/build.sh: builds what is missing, once; takes what the user has; says what it needs."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "hack" / "envtest" / "build.sh"
COMMANDS = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "pd-server")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the script with an empty cache folder and a `go` that only notes what it was asked to build."""
    tools = tmp_path / "tools"
    tools.mkdir()
    go = tools / "go"
    go.write_text(
        f'#!/bin/sh\necho "$PWD $*" >> {tmp_path}/built\n'
        'while [ $# -gt 1 ]; do [ "$1" = -o ] && printf "#!/bin/sh\\n" > "$2" && chmod +x "$2"; shift; done\n'
    )
    go.chmod(0o755)

    def run(*commands: str, assets: str = "", with_go: bool = True) -> subprocess.CompletedProcess[str]:
        path = f"{tools}:/usr/bin:/bin" if with_go else str(without_go(tmp_path))
        environment = {"PATH": path, "XDG_CACHE_HOME": str(tmp_path / "cache"), "KUBEBUILDER_ASSETS": assets}
        return subprocess.run([BUILD, *commands], env=environment, capture_output=True, text=True, check=False)

    return run


def without_go(folder: Path) -> Path:
    """Return a folder with the tools that the script uses, Go not among them."""
    tools = folder / "few"
    tools.mkdir()
    for name in ("sh", "awk", "dirname", "mkdir", "ln", "mv", "nice"):
        (found,) = [path for path in (Path("/usr/bin", name), Path("/bin", name)) if path.exists()][:1]
        (tools / name).symlink_to(found)
    return tools


def built(folder: Path) -> list[str]:
    """Return the names of what was built, in order."""
    lines = (folder / "built").read_text().splitlines() if (folder / "built").exists() else []
    return [match[1] for line in lines if (match := re.search(r"-o \S+/([a-z-]+)-v[0-9][^/ ]*\.\d+ ", line))]


def test_everything_is_built_once(run: Run, tmp_path: Path) -> None:
    first = run(*COMMANDS)
    assert first.returncode == 0, first.stderr
    folder = tmp_path / "cache" / "controller-runtime" / "envtest"
    assert first.stdout == f"{folder}\n"
    assert built(tmp_path) == list(COMMANDS)
    assert all(os.access(folder / name, os.X_OK) for name in COMMANDS)
    second = run(*COMMANDS)
    assert (second.returncode, second.stdout, second.stderr) == (0, first.stdout, "")
    assert built(tmp_path) == list(COMMANDS)


def test_by_default_it_is_what_an_api_server_needs(run: Run, tmp_path: Path) -> None:
    assert run().returncode == 0
    assert built(tmp_path) == ["etcd", "kube-apiserver"]


def test_pd_is_built_without_its_dashboard(run: Run, tmp_path: Path) -> None:
    assert run("pd-server").returncode == 0
    assert " -tags without_dashboard " in (tmp_path / "built").read_text()


def test_what_the_user_has_is_not_built(run: Run, tmp_path: Path) -> None:
    own = own_assets(tmp_path, "etcd", "kube-apiserver", "kubectl")
    done = run("etcd", "kube-apiserver", "kubectl", assets=str(own), with_go=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{own}\n", "")


def test_what_the_user_lacks_is_built_into_the_cache_folder(run: Run, tmp_path: Path) -> None:
    own = own_assets(tmp_path, "etcd", "kube-apiserver", "kubectl")
    done = run(*COMMANDS, assets=str(own))
    assert done.stdout.splitlines() == [str(own), str(tmp_path / "cache" / "controller-runtime" / "envtest")]
    assert built(tmp_path) == ["kube-controller-manager", "pd-server"]


def test_a_machine_without_go_is_told_so(run: Run) -> None:
    done = run("etcd", with_go=False)
    assert done.returncode == 1
    assert done.stderr == "Go is needed to build etcd; or name a folder that has it: KUBEBUILDER_ASSETS\n"


def test_a_folder_that_is_not_there_is_an_error(run: Run, tmp_path: Path) -> None:
    done = run(assets="/nowhere")
    assert (done.returncode, done.stderr) == (1, "KUBEBUILDER_ASSETS is no folder: /nowhere\n")
    assert built(tmp_path) == []


def test_a_command_that_is_unknown_is_an_error(run: Run) -> None:
    done = run("kubelet")
    assert done.returncode == 1
    assert done.stderr.startswith("kubelet is none of: etcd ")


@pytest.mark.parametrize("module", ["etcd", "kubernetes", "pd"])
def test_modules_have_no_code_but_blank_imports(module: str) -> None:
    folder = ROOT / "hack" / "envtest" / module
    assert {path.name for path in folder.iterdir()} == {"go.mod", "go.sum", "tools.go"}
    code = [line for line in (folder / "tools.go").read_text().splitlines() if line and not line.startswith("//")]
    assert code[0] == "package tools"
    assert all(re.fullmatch(r'import \(|\)|(import |\t)_ "[a-z0-9./-]+"', line) for line in code[1:])


def test_staging_modules_are_those_of_the_pinned_kubernetes() -> None:
    text = (ROOT / "hack" / "envtest" / "kubernetes" / "go.mod").read_text()
    (version,) = re.findall(r"^require k8s\.io/kubernetes v1\.(\S+)$", text, re.MULTILINE)
    replaced = re.findall(r"^\s*(?:replace )?(k8s\.io/\S+) => (\S+) v0\.(\S+)$", text, re.MULTILINE)
    assert len(replaced) > 20
    assert {(old == new, pinned) for old, new, pinned in replaced} == {(True, version)}


def own_assets(folder: Path, *names: str) -> Path:
    own = folder / "own"
    own.mkdir()
    for name in names:
        (own / name).write_text("#!/bin/sh\n")
        (own / name).chmod(0o755)
    return own
