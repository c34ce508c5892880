"""celery: a plug-in sends all tasks to a queue that nobody reads.

`app.conf` is a chain of dicts behind attributes; a change goes into the first of them.
"""
# needs: celery
# run: __main__:app
# wrong: /changes/task_default_queue 'fast' -> 'reports'

from celery import Celery

app = Celery("shop", broker="memory://", backend="cache+memory://")
app.conf.update(task_default_queue="fast", task_serializer="json", accept_content=["json"])
app.finalize()
assert app.conf.task_default_queue == "fast"
# edit: from pydatatracker import watch; watch(app.conf)
app.conf.timezone = "UTC"
app.conf["result_expires"] = 60


class Reports:
    """A plug-in that should only route its own tasks."""

    settings = {"task_default_queue": "reports", "task_ignore_result": True}

    def __init__(self, app: Celery) -> None:
        app.conf.update(self.settings)  # culprit


@app.task(name="shop.price")
def price(n):
    return n * 3


Reports(app)
price.apply_async((4,))
with app.connection_for_read() as connection:
    for name in ("fast", "reports"):
        queue = connection.SimpleQueue(name)
        print(name, queue.qsize(), [queue.get_nowait().payload[0] for _ in range(queue.qsize())])
        queue.close()
print(app.conf.task_default_queue, app.conf.result_expires, app.conf.maps[0] is app.conf.changes)
print(sorted(app.conf.changes))
