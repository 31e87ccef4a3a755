"""The command line: `run`, `demo`, `crds`, `version`.

A mistake of the user (a kubeconfig that is missing, a file that is no manifest) is one line on standard error and exit code
2; a demo that does not reach an end state is exit code 1.
"""

from __future__ import annotations

import asyncio
import dataclasses
import enum
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import uvloop

from controller_runtime.client import ClientError, ConfigError
from tikv_operator.api.manifests import crd_manifests
from tikv_operator.app import PDAccess, RunOptions, run_operator
from tikv_operator.common.settings_file import SettingsError, load_settings
from tikv_operator.demo.manifests import ManifestError
from tikv_operator.demo.stage import DemoOptions, run_demo
from tikv_operator.volume.clouds import Cloud, CloudUnusable

__all__ = ["app", "main"]

T = TypeVar("T")

app = typer.Typer(
    name="tikv-operator",
    help="A Kubernetes operator for TiKV.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class LogFormat(enum.StrEnum):
    """How log lines are written."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(enum.StrEnum):
    """The least important line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig", envvar=None, help="Kubeconfig file. Default: $KUBECONFIG, in-cluster, ~/.kube/config."
    ),
]
SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", help="TOML file with settings (see docs/settings.md) that differ from the defaults."),
]


@app.command()
def run(
    kubeconfig: Kubeconfig = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.")] = None,
    leader_elect: Annotated[bool, typer.Option(help="Work only while holding the lease.")] = True,
    leader_election_namespace: Annotated[
        str | None,
        typer.Option(help="Namespace of the lease. Default: the operator's own, or `default` out of a cluster."),
    ] = None,
    metrics_bind_address: Annotated[str, typer.Option(help="Where /metrics is served; 0 for nowhere.")] = ":8080",
    health_probe_bind_address: Annotated[
        str, typer.Option(help="Where /healthz and /readyz are served; 0 for nowhere.")
    ] = ":8081",
    max_concurrent_reconciles: Annotated[int | None, typer.Option(min=1, help="Workers of each controller.")] = None,
    default_prestop_checker_image: Annotated[
        str | None, typer.Option(help="Image of the pre-stop checker where a group names none.")
    ] = None,
    pd_access: Annotated[
        PDAccess, typer.Option(help="How PD is reached: directly, or through the API server's service proxy.")
    ] = PDAccess.AUTO,
    volume_modifier: Annotated[
        list[Cloud] | None,
        typer.Option(help="Change volumes through the API of this cloud, too (repeatable; see docs/volumes.md)."),
    ] = None,
    settings_file: SettingsFile = None,
    log_format: Annotated[LogFormat, typer.Option(help="How log lines are written.")] = LogFormat.CONSOLE,
    log_level: Annotated[LogLevel, typer.Option(help="The least important line that is written.")] = LogLevel.INFO,
) -> None:
    """Run the operator until it is told to stop."""
    overrides: dict[str, Any] = {}
    if max_concurrent_reconciles is not None:
        overrides["workers"] = max_concurrent_reconciles
    if default_prestop_checker_image is not None:
        overrides["default_prestop_image"] = default_prestop_checker_image
    with _user_errors():
        settings = dataclasses.replace(load_settings(settings_file), **overrides)
        _execute(
            run_operator(
                RunOptions(
                    kubeconfig=kubeconfig,
                    context=context,
                    leader_elect=leader_elect,
                    leader_election_namespace=leader_election_namespace,
                    metrics_bind_address=metrics_bind_address,
                    health_probe_bind_address=health_probe_bind_address,
                    pd_access=pd_access,
                    volume_modifiers=tuple(volume_modifier or ()),
                    settings=settings,
                    log_format=log_format.value,
                    log_level=log_level.value,
                )
            )
        )


@app.command()
def demo(
    file: Annotated[
        list[Path] | None,
        typer.Option("--file", "-f", help="Manifests (file or folder, repeatable); default: the sample."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Create, then stay up for kubectl until Ctrl-C.")] = False,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds that each wait may take at most.")] = 90.0,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="For manifests that name none.")] = "default",
    kubeconfig: Annotated[
        Path | None,
        typer.Option("--kubeconfig-out", help="Where --keep writes the kubeconfig. Default: a temporary file."),
    ] = None,
    settings_file: SettingsFile = None,
    log_file: Annotated[Path | None, typer.Option(help="Where the operator's log goes. Default: nowhere.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Save the summary as a picture.")] = None,
) -> None:
    """Create, scale, roll and delete a TiKV cluster on an embedded API server, without any other program."""
    with _user_errors():
        options = DemoOptions(
            files=tuple(file or ()),
            keep=keep,
            timeout=timeout,
            namespace=namespace,
            kubeconfig_out=kubeconfig,
            settings_file=settings_file,
            log_file=log_file,
            svg=svg,
        )
        succeeded = _execute(run_demo(options))
    raise typer.Exit(0 if succeeded else 1)


@app.command()
def crds(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write one file per kind into this folder.")
    ] = None,
) -> None:
    """Print the CustomResourceDefinitions, or write them into a folder."""
    manifests = crd_manifests()
    if output is None:
        typer.echo("---\n".join(manifests.values()), nl=False)
        return
    with _user_errors():
        output.mkdir(parents=True, exist_ok=True)
        for name, text in manifests.items():
            (output / name).write_text(text, encoding="utf-8")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(distribution_version("tikv-operator"))


@contextmanager
def _user_errors() -> Iterator[None]:
    """Turn an error of the user (or a file that cannot be used) into one line and exit code 2, a refusal of the API server
    into one line and exit code 1.
    """
    try:
        yield
    except (CloudUnusable, ConfigError, ManifestError, SettingsError) as error:
        typer.echo(f"tikv-operator: {error}", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        if error.filename is None:
            raise
        typer.echo(f"tikv-operator: {error.filename}: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    except ClientError as error:
        typer.echo(f"tikv-operator: {error}", err=True)
        raise typer.Exit(1) from None


def _execute(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def main() -> None:
    """Entry point of the console script."""
    app()
