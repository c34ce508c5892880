"""Flask: an extension loads its defaults over the configuration.

`Config` is a dict subclass; `from_mapping` stores each key inside Flask.
"""
# needs: flask
# run: flask.config:Config
# wrong: /MAX_ITEMS 25 -> 10

from flask import Flask, current_app, jsonify

DEFAULTS = {"MAX_ITEMS": 10, "CATALOG_NAME": "items"}


class Catalog:
    """An extension in the usual form."""

    def __init__(self, app: Flask) -> None:
        app.config.from_mapping(DEFAULTS)  # culprit
        app.extensions["catalog"] = self
        app.add_url_rule("/items", view_func=self.items)

    def items(self):
        shown = list(range(100))[: current_app.config["MAX_ITEMS"]]
        return jsonify(count=len(shown), last=shown[-1])


def create_app() -> Flask:
    app = Flask(__name__)
    # edit: from pydatatracker import watch; watch(app.config)
    app.config.from_mapping(MAX_ITEMS=25, TESTING=True, SESSION_COOKIE_NAME="shop")
    app.config.from_prefixed_env("SHOP")
    Catalog(app)
    return app


app = create_app()
answer = app.test_client().get("/items")
print(answer.status, answer.json)
print(sorted(key for key in app.config if key.isupper())[:5], type(app.config).__name__)
if answer.json["count"] != 25:
    raise SystemExit(f"expected 25 items, got {answer.json['count']}")
