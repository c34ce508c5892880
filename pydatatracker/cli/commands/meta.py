"""Commands besides logs: ``schema``, ``seal-key`` and ``completion``."""

from __future__ import annotations

import click

from pydatatracker.cli.base import PROGRAM, cli, fail

__all__ = ["completion_command", "schema_command", "seal_key_command"]


@cli.command("schema", example=f"{PROGRAM} schema > change.schema.json")
def schema_command() -> None:
    """Print the JSON Schema of a line of a log."""
    import json

    from pydatatracker.io import schema

    click.echo(json.dumps(schema(), indent=2, ensure_ascii=False))


@cli.command("seal-key", example=f"{PROGRAM} seal-key audit.pem")
@click.argument("private", metavar="FILE")
@click.argument("public", metavar="[PUBLIC]", required=False)
def seal_key_command(private: str, public: str | None) -> None:
    """Make a pair of keys that signs the roots of a sealed log.

    The private key is for seal_key=, and readable by its owner only. The public key is for verify --seal --key; by
    default its file is named after FILE: audit.pub.pem. Prints the public key in hex. No file is overwritten.
    """
    import os

    from pydatatracker.io.keys import new_key

    root, extension = os.path.splitext(private)
    public = public or f"{root}.pub{extension or '.pem'}"
    try:
        click.echo(new_key(private, public))
    except OSError as error:
        fail(f"cannot write {error.filename or private}: {error.strerror or error}")
    except ImportError as error:
        fail(str(error))


@cli.command(
    "completion",
    example=f'eval "$({PROGRAM} completion bash)"\n{PROGRAM} completion zsh >> ~/.zshrc',
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print a script that makes a shell complete commands and options.

    To make it permanent, add it to the startup file of the shell.
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None  # click brings these three
    click.echo(found(cli, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE").source())
