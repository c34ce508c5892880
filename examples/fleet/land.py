"""Land what the fleet sent as files of lines, in folders of hosts.

    python land.py landing

What is in the bucket is copied. Messages of Kafka become one file for each host and partition of the topic; the
position is committed when these files are complete. If the process dies in between, the next one lands the same
messages again, and the questions count them once.
"""

import contextlib
import os
import pathlib
import sys
from typing import IO, Any

from pydatatracker.query.partitions import folder_of

BUCKET = os.environ.get("FLEET_BUCKET", "audit")
TOPIC = os.environ.get("FLEET_TOPIC", "changes")


def land_objects(bucket: str, prefix: str, landing: pathlib.Path) -> int:
    """Copy the objects that are not there yet; return how many."""
    import obstore
    from obstore.store import S3Store

    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    options: dict[str, Any] = {"client_options": {"allow_http": True}} if endpoint.startswith("http:") else {}
    store = S3Store(bucket, **options)
    count = 0
    for page in store.list(prefix=prefix):
        for found in page:
            path = landing / found["path"]  # day=.../host=.../NAME.jsonl.gz
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                part = path.with_name(f".{path.name.partition('.jsonl')[0]}")  # if this process dies, it is no log
                part.write_bytes(obstore.get(store, found["path"]).bytes())
                part.rename(path)
                count += 1
    return count


def land_messages(
    brokers: str, topic: str, landing: pathlib.Path, *, group: str = "landing", most: int = 100_000
) -> int:
    """Write the messages since the last time to files; return how many.

    One process for a group: it takes all partitions of the topic, and at most ``most`` messages of each.
    """
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    settings = {"bootstrap.servers": brokers, "group.id": group, "enable.auto.commit": False}
    consumer = Consumer({**settings, "enable.partition.eof": True})
    count = 0
    try:
        numbers = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        for place in consumer.committed([TopicPartition(topic, n) for n in numbers], timeout=30):
            if place.offset < 0:  # nothing was committed yet
                place.offset = OFFSET_BEGINNING
            consumer.assign([place])
            landed, last = _land(consumer, f"{topic}-{place.partition}", landing, most)
            if landed:
                consumer.commit(offsets=[TopicPartition(topic, place.partition, last + 1)], asynchronous=False)
            count += landed
    finally:
        consumer.close()
    return count


def _land(consumer: Any, name: str, landing: pathlib.Path, most: int) -> tuple[int, int]:
    """Write a partition up to its end; return the number and the last offset."""
    from confluent_kafka import KafkaError

    files: dict[str, tuple[IO[bytes], pathlib.Path, int]] = {}
    count = last = 0
    with contextlib.ExitStack() as stack:
        while count < most:
            message = consumer.poll(30)
            if message is None:
                raise SystemExit("Kafka: no message in 30 seconds")
            if message.error() is not None:
                if message.error().code() == KafkaError._PARTITION_EOF:
                    break
                raise SystemExit(f"Kafka: {message.error()}")
            last = message.offset()
            host = dict(message.headers() or ()).get("host", b"").decode()
            if host not in files:
                folder = landing / folder_of(("host",), None, host)
                folder.mkdir(parents=True, exist_ok=True)
                part = folder / f".{name}-{last}"
                files[host] = stack.enter_context(part.open("wb")), part, last
            files[host][0].write(message.value() + b"\n")
            count += 1
        for file, _, _ in files.values():
            file.flush()
            os.fsync(file.fileno())
    for _, part, first in files.values():
        part.rename(part.with_name(f"{name}-{first:020}-{last:020}.jsonl"))
    return count, last


def main() -> None:
    """Land from whatever the environment names."""
    landing = pathlib.Path(sys.argv[1])
    if "KAFKA_BROKERS" in os.environ:
        print(land_messages(os.environ["KAFKA_BROKERS"], TOPIC, landing / "kafka"), "messages")
    print(land_objects(BUCKET, "lake/", landing / "s3"), "objects")


if __name__ == "__main__":
    main()
