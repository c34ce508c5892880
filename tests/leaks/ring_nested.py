"""Children that are added, changed, moved and removed leak nothing."""

from leaking import MUTATIONS, grows

from pydatatracker import track

doc = track({"rows": [], "by_name": {}}, tracking_max_changes=4096)
rows = doc["rows"]


def mutate(n):
    rows.append({"n": n, "tags": {1, 2}})
    rows[-1]["tags"].add(n)
    doc["by_name"][str(n % 50)] = rows[-1]
    rows[0], rows[-1] = rows[-1], rows[0]
    rows[-1]["n"] = -1
    del rows[20:]
    if n % 10 == 0:
        gone = rows.pop()
        gone["n"] = 0


grows(mutate, MUTATIONS // 10)
doc._check()
