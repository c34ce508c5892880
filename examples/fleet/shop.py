"""One process of the fleet: a shop whose prices and orders change.

    python shop.py web-1 --to s3
    python shop.py till-1 --to kafka

The first argument is the name of the host. The bucket, the endpoint and the brokers come from the environment.
"""

import argparse
import os
import random
from typing import Any

from pydatatracker import track, tracking_actor
from pydatatracker.exporters import KafkaExporter, S3Exporter

BUCKET = os.environ.get("FLEET_BUCKET", "audit")
TOPIC = os.environ.get("FLEET_TOPIC", "changes")


def exporter_of(way: str, host: str) -> Any:
    """Return the exporter of a process; both say which host it is on."""
    if way == "s3":
        endpoint = os.environ.get("AWS_ENDPOINT_URL")
        return S3Exporter(BUCKET, prefix="lake/", endpoint=endpoint, partition="day,host", host=host, batch_items=20)
    config = {"bootstrap.servers": os.environ["KAFKA_BROKERS"]}
    return KafkaExporter(TOPIC, config=config, headers={"host": host})


def work(shop: Any, rounds: int, r: random.Random) -> None:
    """Change prices and orders, each by somebody."""
    for n in range(rounds):
        with tracking_actor("importer", file=f"prices-{n}.csv"):
            for name in shop["prices"]:
                shop["prices"][name] = r.randint(1, 20)
        with tracking_actor(r.choice(["ann", "bob"]), request_id=f"r{n}"):
            shop["orders"].append({"item": r.choice(list(shop["prices"])), "count": r.randint(1, 3)})
            if n % 3 == 2:
                shop["orders"][0]["count"] += 1
                del shop["orders"][1]
        with tracking_actor("night"):
            shop["closed"] = not shop["closed"]


def main() -> None:
    """Run one process, and send what it changed before it ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("--to", choices=["s3", "kafka"], required=True)
    parser.add_argument("--rounds", type=int, default=12)
    given = parser.parse_args()
    shop = track({"prices": {"tea": 4, "cup/saucer": 9}, "orders": [], "closed": False})
    exporter = exporter_of(given.to, given.host)
    shop.tracking_add_observer(exporter)
    work(shop, given.rounds, random.Random(given.host))
    if not exporter.close(30):
        raise SystemExit(f"{given.host}: not everything was sent: {exporter.stats()}")


if __name__ == "__main__":
    main()
