"""logging: a second configuration switches off an existing logger.

A logger is an instance; `dictConfig` sets `disabled`, `level` and `handlers` of all loggers it does not name.
"""
# run: __main__:log
# wrong: /disabled False -> True

import logging
import logging.config
from pathlib import Path


def handlers(path: str) -> dict:
    return {"file": {"class": "logging.FileHandler", "filename": path, "formatter": "short"}}


CONFIG = {
    "version": 1,
    "formatters": {"short": {"format": "%(levelname)s %(name)s %(message)s"}},
    "handlers": handlers("shop.log"),
    "loggers": {"shop": {"handlers": ["file"], "level": "DEBUG"}},
}

log = logging.getLogger("shop.orders")
# edit: from pydatatracker import watch; watch(log)
logging.config.dictConfig(CONFIG | {"disable_existing_loggers": False})
log.warning("order %s", 1)


METRICS = {"version": 1, "handlers": {"out": {"class": "logging.StreamHandler"}}, "root": {"handlers": ["out"]}}


def start_metrics() -> None:
    """Configure a logger of its own, and silence all others."""
    logging.config.dictConfig(METRICS)  # culprit


start_metrics()
log.warning("order %s", 2)
logging.warning("at the end")
log.setLevel(logging.ERROR)
print(log.disabled, log.level, log.isEnabledFor(logging.ERROR), Path("shop.log").read_text())
raise SystemExit(4 if log.disabled else 0)
