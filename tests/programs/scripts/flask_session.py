"""Flask: a helper for messages throws away the cart of a session.

A session is a dict subclass that calls a function on each change; if that is not called, no cookie is sent.
"""
# needs: flask
# run: flask.sessions:SecureCookieSession
# wrong: /cart ['tea', 'cup'] -> missing

import time

from flask import Flask, flash, get_flashed_messages, session

time.time = lambda: 1_700_000_000.0  # cookies have the same signature in every run
app = Flask(__name__)
app.secret_key = "not so secret"


@app.before_request
def begin():
    # edit: from pydatatracker import watch; watch(session._get_current_object())
    session.setdefault("visits", 0)
    session["visits"] += 1


@app.get("/add/<item>")
def add(item):
    session["cart"] = [*session.get("cart", []), item]
    return f"cart: {session['cart']}"


def clear_messages():
    """Forget old messages, and by mistake everything else."""
    for key in [key for key in session if key != "visits"]:
        session.pop(key)  # culprit


@app.get("/help")
def help_page():
    clear_messages()
    flash("ask us")
    return f"messages: {get_flashed_messages()}"


@app.get("/cart")
def cart():
    return f"{session.get('cart')} after {session['visits']} visits"


client = app.test_client()
for url in ("/add/tea", "/add/cup", "/help", "/cart"):
    answer = client.get(url)
    print(url, answer.status, answer.text)
    for name, value in answer.headers:
        if name in ("Set-Cookie", "Vary"):
            print("   ", name, value)
