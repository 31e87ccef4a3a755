"""kubectl is a judge: what it prints against the real API server it prints against the embedded one.

Each transcript in `kubectl/` was recorded on the real one, and is run on whichever cluster is asked for. To record them anew
after a change of the commands or of the version:

    RECORD_TRANSCRIPTS=1 pytest tests/conformance/test_kubectl.py --cluster=real

and then read the difference. Which kubectl runs is said in `helpers.kubectl`: what a transcript shows, two of its versions print.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import shutil
import signal
from pathlib import Path

import pytest

from controller_runtime.envtest import Cluster
from helpers.kubectl import binary
from helpers.transcripts import Step, plain, read, write

FOLDER = Path(__file__).with_name("kubectl")
MANIFESTS = FOLDER / "manifests"
TRANSCRIPTS = sorted(FOLDER.glob("*.transcript"))
PATIENCE = 30.0

pytestmark = pytest.mark.kubectl


class Terminal:
    """A shell in a folder with the manifests, whose kubectl speaks to the cluster in a namespace of its own.

    Args:
        folder: an empty one, the working directory.
        home: where kubectl keeps what it has discovered.
    """

    def __init__(self, cluster: Cluster, namespace: str, folder: Path, home: Path) -> None:
        self._namespace = namespace
        self._folder = folder
        shutil.copytree(MANIFESTS, folder, dirs_exist_ok=True)
        (folder / "kubeconfig").write_text(cluster.kubeconfig(namespace=namespace))
        (folder / "bin").mkdir()
        (folder / "bin" / "kubectl").symlink_to(binary())
        self._environment = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(home),
            "KUBECONFIG": str(folder / "kubeconfig"),
            "NAMESPACE": namespace,
            "LC_ALL": "C",
        }

    async def run(self, command: str) -> Step:
        process = await asyncio.create_subprocess_shell(
            command,
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                output, _ = await process.communicate()
        except TimeoutError:
            pytest.fail(f"this takes too long: {command}")
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)  # with all that the shell has started
                await process.wait()
        assert process.returncode is not None
        text = plain(output.decode(), NAMESPACE=self._namespace, FOLDER=str(self._folder))
        return Step(command, text, process.returncode)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: discovery takes longer than anything else that kubectl does."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def terminal(cluster: Cluster, namespace: str, tmp_path: Path, home: Path) -> Terminal:
    return Terminal(cluster, namespace, tmp_path, home)


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
async def test_kubectl_prints_the_same(path: Path, terminal: Terminal, request: pytest.FixtureRequest) -> None:
    expected = read(path.read_text())
    seen = [await terminal.run(step.command) for step in expected]

    if os.environ.get("RECORD_TRANSCRIPTS"):
        assert request.config.getoption("--cluster") == "real", "transcripts are recorded on the real cluster only"
        path.write_text(write(seen))
    else:
        difference = list(
            difflib.unified_diff(
                write(expected).splitlines(), write(seen).splitlines(), "real", "seen", lineterm="", n=4
            )
        )
        assert not difference, "\n".join(["kubectl prints something else:", *difference])


async def test_get_watch_prints_each_change(terminal: Terminal) -> None:
    await terminal.run("kubectl create -f thing.yaml")
    watching = asyncio.create_task(
        terminal.run(
            "mkfifo seen; kubectl get things -w --output-watch-events > seen & sed -u '/DELETED/q' seen; kill $!"
        )
    )
    try:
        for command in ("kubectl scale thing a --replicas=4", "kubectl label thing a x=y", "kubectl delete thing a"):
            assert (await terminal.run(command)).code == 0
    finally:
        seen = await watching

    lines = [line.split()[:4] for line in seen.output.splitlines()]
    assert lines[0] == ["EVENT", "NAME", "SIZE", "COLOUR"]
    assert lines[1][:2] == ["ADDED", "a"]
    assert lines[-1] == ["DELETED", "a", "4", "red"]
