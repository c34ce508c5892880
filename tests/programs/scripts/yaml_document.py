"""ruamel.yaml: a merge of defaults replaces what the file says.

A mapping is a dict subclass that keeps comments and anchors beside the values.
"""
# needs: ruamel.yaml
# run: __main__:document
# wrong: /services/web/replicas 3 -> 1

import sys
from pathlib import Path

from ruamel.yaml import YAML

TEXT = """\
# what runs where
defaults: &defaults
  restart: always
services:
  web:
    <<: *defaults
    replicas: 3  # measured, do not lower
    ports: [80, 443]
"""


def complete(service: dict, **defaults: object) -> None:
    """Add what is missing; the arguments are the wrong way round."""
    service.update(defaults)  # culprit


yaml = YAML()
document = yaml.load(TEXT)
# edit: from pydatatracker import watch; watch(document)
web = document["services"]["web"]
web["image"] = "shop:1"
web.insert(0, "name", "web", comment="added")
web["ports"].append(8443)
complete(web, replicas=1, cpu="100m")
yaml.dump(document, sys.stdout)
with Path("stack.yml").open("w", encoding="utf-8") as file:
    yaml.dump(document, file)
print(list(web), dict(web)["restart"], type(web).__name__)
if web["replicas"] != 3:
    raise SystemExit("too few")
