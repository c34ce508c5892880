"""The log of a fleet, from four processes to three answers.

    pip install "pydatatracker[s3,kafka,query,cli]"
    export AWS_ENDPOINT_URL=http://127.0.0.1:9000 AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... AWS_REGION=...
    export KAFKA_BROKERS=127.0.0.1:9092
    python fleet.py OUT

Two hosts write to the bucket ``audit``, and two to the topic ``changes``. Without KAFKA_BROKERS all write to the
bucket. The files land in OUT/landing, and become Parquet in folders of days and hosts in OUT/lake.
"""

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent


def python(*args: object) -> "subprocess.Popen[bytes]":
    """Start a Python program."""
    return subprocess.Popen([sys.executable, *map(str, args)])


def finish(*started: "subprocess.Popen[bytes]") -> None:
    """Wait for programs, and end if one of them failed."""
    statuses = [process.wait() for process in started]
    if any(statuses):
        raise SystemExit("a program failed")


def main() -> None:
    """Run the whole way."""
    out = pathlib.Path(sys.argv[1])
    out.mkdir(exist_ok=True)
    ways = ["s3", "kafka"] if "KAFKA_BROKERS" in os.environ else ["s3", "s3"]
    hosts = {"web-1": ways[0], "web-2": ways[0], "till-1": ways[1], "till/2": ways[1]}
    finish(*(python(HERE / "shop.py", host, "--to", way) for host, way in hosts.items()))
    finish(python(HERE / "land.py", out / "landing"))
    logs = sorted((out / "landing").rglob("*.jsonl*"))
    arguments = ["--to", "parquet", "--partition", "day,host", "-o", out / "lake"]
    finish(python("-m", "pydatatracker", "convert", *logs, *arguments))
    finish(python(HERE / "ask.py", out / "lake"))


if __name__ == "__main__":
    main()
