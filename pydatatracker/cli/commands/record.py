"""Commands that make a log: ``run`` and ``demo``."""

from __future__ import annotations

import sys

import click

from pydatatracker.cli.base import PROGRAM, cli, fail

__all__ = ["demo_command", "run_command"]


@cli.command(
    "run",
    context_settings={"allow_interspersed_args": False},
    options_metavar="[OPTIONS]",
    example=f"{PROGRAM} run --log changes.jsonl shop.py --fast\n{PROGRAM} run -m shop.server",
)
@click.option(
    "--log",
    default="changes.jsonl",
    show_default=True,
    envvar="PYDATATRACKER_LOG",
    metavar="FILE",
    help="The log; changes are appended.",
)
@click.option(
    "--stack/--no-stack", default=None, help="Record the calls that led to each change (25 frames). On by default."
)
@click.option("--snapshots", is_flag=True, help="Record the data before and after each change, as text.")
@click.option(
    "--watch",
    multiple=True,
    metavar="NAME",
    help="Remember data of the program: settings:CONFIG, shop.models:Order (a class), __main__, 'shop.*'. Repeatable.",
)
@click.option(
    "--redact", multiple=True, metavar="GLOB", help="Withhold these values from the log, as in '/users/*/email'."
)
@click.option("--no-redact", is_flag=True, help="Write the values of passwords, tokens and the like, too.")
@click.option("--seal", is_flag=True, help="Seal each line, so that edits are found by verify --seal.")
@click.option("--seal-key", metavar="FILE", help="With --seal: the private key that signs, from seal-key.")
@click.option("-m", "module", is_flag=True, help="SCRIPT is the name of a module, as for python -m.")
@click.argument("program", metavar="SCRIPT")
@click.argument("arguments", metavar="[ARGS]...", nargs=-1, type=click.UNPROCESSED)
def run_command(
    log: str,
    stack: bool | None,
    snapshots: bool,
    watch: tuple[str, ...],
    redact: tuple[str, ...],
    no_redact: bool,
    seal: bool,
    seal_key: str | None,
    module: bool,
    program: str,
    arguments: tuple[str, ...],
) -> None:
    """Run a Python program unchanged and log every change of its tracked data.

    The program starts as by `python SCRIPT ARGS`, with the same interpreter, and its exit status is passed on.
    PYDATATRACKER_LOG=FILE in the environment does the same without this command.

    Values are withheld from the log where a name has one of these words: password, passwd, secret, token, api_key,
    private_key, authorization, cookie, credential.
    """
    from pydatatracker.cli.programs import launch

    if seal_key is not None and not seal:
        raise click.UsageError("--seal-key needs --seal", click.get_current_context())
    try:
        how = launch.environment(
            log,
            stack=stack,
            snapshots=snapshots,
            watch=watch,
            redact=redact,
            names=not no_redact,
            seal=seal,
            seal_key=seal_key,
        )
        status = launch.replace(program, arguments, log, how, module=module)
    except launch.CannotRun as error:
        fail(str(error))
    raise click.exceptions.Exit(status)


@cli.command("demo", example=f"{PROGRAM} demo")
def demo_command() -> None:
    """Trace an error back to the line that caused it, in a small example.

    The program and its log are kept in a new temporary folder.
    """
    from pydatatracker.cli.programs import demo

    status = demo.play(sys.stdout)
    if status:
        fail(f"the demonstration ended with exit status {status}")
