"""Print, as JSON, on what the comparison runs; no host name."""

import datetime
import json
import os
import platform
import sys
from pathlib import Path


def processor() -> str:
    """Return the model of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def system() -> str:
    """Return the name and the version of the operating system."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return f"{platform.system()} {platform.release()}"


if __name__ == "__main__":
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    print(
        json.dumps(
            {
                "processor": processor(),
                "cores": os.cpu_count(),
                "load": load,
                "system": system(),
                "python": f"CPython {sys.version.split()[0]}",
                "date": datetime.date.today().isoformat(),
            }
        )
    )
