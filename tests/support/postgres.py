"""A real PostgreSQL in a folder, started and stopped at will.

It listens on the loopback interface.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

_USER = "nobody"


def binary(name: str) -> str | None:
    """Return the path of a program of PostgreSQL, or None."""
    places = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((str(place / name) for place in places if (place / name).exists()), None) or shutil.which(name)


class Postgres:
    """A database cluster in a folder of its own.

    The folder is not in pytest's: another run of pytest closes that one to other users.
    """

    def __init__(self) -> None:
        programs = [binary(name) for name in ("initdb", "postgres", "pg_ctl")]
        if None in programs:
            pytest.skip("PostgreSQL is not installed")
        self._initdb, self._postgres, self._ctl = programs
        folder = pathlib.Path(tempfile.mkdtemp(prefix="postgres-"))
        self._data = folder / "data"
        self._as: dict[str, object] = {}
        if os.getuid() == 0:  # PostgreSQL does not run as root
            import pwd

            user = pwd.getpwnam(_USER)
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            self._data.mkdir(parents=True)
            os.chown(self._data, user.pw_uid, user.pw_gid)
            folder.chmod(0o711)  # its user needs access to the folder
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        self._run(self._initdb, "-A", "trust", "-N", "-U", "me", "-E", "UTF8", "--locale=C", "-D", str(self._data))
        self.url = f"postgresql+psycopg://me@127.0.0.1:{self.port}/postgres"

    def _run(self, *args: str | None) -> None:
        subprocess.run(  # type: ignore[call-overload]
            args,
            check=True,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=60,
            **self._as,
        )

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories= -c fsync=off"
        self._run(self._ctl, "start", "-w", "-D", str(self._data), "-l", str(self._data / "log"), "-o", options)

    def stop(self, how: str = "fast") -> None:
        """Stop the server: fast closes connections, immediate is a crash."""
        self._run(self._ctl, "stop", "-w", "-D", str(self._data), "-m", how)

    def close(self) -> None:
        """Stop the server if it runs, and remove its folder."""
        try:
            self.stop("immediate")
        except subprocess.CalledProcessError:
            pass  # the test has stopped it
        shutil.rmtree(self._data.parent, ignore_errors=True)


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """Start a PostgreSQL, and stop it at the end."""
    server = Postgres()
    server.start()
    yield server
    server.close()
