"""One program, ``raydino``: verbs from a registry, errors as one line, exit codes 0, 1 and 2.

Each verb is one thin file in ``raydino.commands`` (the sibling packages bring ``adapt`` and
``audit`` through the entry-point group ``raydino.commands``). Those files import the heavy
libraries inside their function, so ``--help`` of any verb answers without importing torch.
"""

from __future__ import annotations

import signal
import sys
import traceback
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from raydino import __version__
from raydino.errors import UserError
from raydino.registry import Registry

COMMANDS = Registry(
    "command",
    "raydino.commands",
    {
        verb: f"raydino.commands.{verb.replace('-', '_')}:{verb.replace('-', '_')}"
        for verb in (
            "demo",
            "synth",
            "ingest",
            "pretrain",
            "import-weights",
            "export",
            "embed",
            "curate",
            "inspect",
            "compare",
            "show",
            "doctor",
            "plugins",
        )
    },
)
_ORDER = (
    *("demo", "synth", "ingest", "pretrain", "import-weights", "export", "embed", "curate"),
    *("adapt", "read", "serve", "audit", "inspect", "compare", "show", "doctor"),
)


class _Verbs(TyperGroup):
    """Looks a verb up in the registry when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        known = COMMANDS.plugins()
        return sorted(known, key=lambda verb: (_ORDER.index(verb) if verb in _ORDER else len(_ORDER), verb))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        plugin = COMMANDS.plugins().get(cmd_name)
        return None if plugin is None else _as_command(cmd_name, plugin.load())


def _as_command(verb: str, loaded: Any) -> Any:
    """A typer app stays a group of verbs; a function becomes one verb."""
    if isinstance(loaded, typer.Typer):
        command = typer.main.get_command(loaded)
    else:
        app = typer.Typer(add_completion=False, rich_markup_mode="rich")
        app.command(verb)(loaded)
        command = typer.main.get_command(app)
    command.name = verb
    return command


app = typer.Typer(
    name="raydino",
    cls=_Verbs,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="From a DICOM archive of chest radiographs to a self-supervised encoder, task adapters and a bias audit.\n\n"
    "Start with [bold]raydino demo[/bold]. Research use only, never a diagnosis.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"raydino {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    pass


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code: 0 good, 2 the user's fault, 1 ours."""
    try:
        outcome = app(arguments, standalone_mode=False)
    except UserError as error:
        print(f"raydino: {_one_line(error)}", file=sys.stderr)
        return 2
    except (typer.Abort, KeyboardInterrupt):
        print("raydino: stopped", file=sys.stderr)
        return 130
    except typer.Exit as error:
        return error.exit_code
    except TyperException as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        print(f"raydino: {_one_line(message)}; see raydino {' '.join(arguments[:1])} --help", file=sys.stderr)
        return 2
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except Exception:
        traceback.print_exc()
        print("raydino: this is a fault of raydino, not yours; please report the lines above", file=sys.stderr)
        return 1
    return outcome if isinstance(outcome, int) else 0


def _one_line(message: object) -> str:
    return " ".join(str(message).split())


def main() -> NoReturn:
    """The console script. SIGTERM unwinds like an exit, so that half-written artifacts are removed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(run(sys.argv[1:]))
