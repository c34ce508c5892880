"""Run a notebook in a fresh kernel, from a process of its own.

The client of the kernel leaves open sockets and warnings behind. The process reads a JSON list from stdin: text is a new cell to run, and a number runs that cell again. It prints for each run the
number of the execution, the outputs, and the error, if there was one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["run_notebook"]


def run_notebook(steps: list[str | int], folder: Path) -> list[dict[str, Any]]:
    """Return ``count``, ``outputs`` and ``error`` of each step."""
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", __file__],
        input=json.dumps(steps),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def main() -> None:
    """Run the steps of stdin."""
    import nbclient
    import nbformat
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    manager = AsyncKernelManager()
    command = [sys.executable, "-P", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager._kernel_spec = KernelSpec(argv=command, display_name="this", language="python")
    book = nbformat.v4.new_notebook()
    client = nbclient.NotebookClient(book, timeout=60, km=manager)
    found = []
    with client.setup_kernel():
        for step in json.load(sys.stdin):
            if isinstance(step, str):
                book.cells.append(nbformat.v4.new_code_cell(step))
                step = len(book.cells) - 1
            cell, error = book.cells[step], None
            try:
                client.execute_cell(cell, step)
            except nbclient.exceptions.CellExecutionError as failure:
                error = str(failure)
            found.append({"count": cell.execution_count, "outputs": list(cell.outputs), "error": error})
    print(json.dumps(found))


if __name__ == "__main__":
    main()
