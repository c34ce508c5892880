"""Commands about the program itself: ``schema`` and ``completion``."""

from __future__ import annotations

import click

from pydatatracker.cli.base import PROGRAM, cli

__all__ = ["completion_command", "schema_command"]


@cli.command("schema", example=f"{PROGRAM} schema > change.schema.json")
def schema_command() -> None:
    """Print the JSON Schema of a line of a log."""
    import json

    from pydatatracker.io import schema

    click.echo(json.dumps(schema(), indent=2, ensure_ascii=False))


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
