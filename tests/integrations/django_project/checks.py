"""Checks of the Django integration, in a process of its own.

``python checks.py`` prints one JSON object with the traceback of each check, or null. ``python checks.py names`` prints
the names.
"""

import asyncio
import contextlib
import copy
import io
import json
import os
import pathlib
import pickle
import random
import sys
import traceback
import warnings

import django
import pytest
from django.conf import settings

warnings.simplefilter("error")


async def aview(request):
    from shop.models import Article

    if "auser" in request.GET:
        VIEW["user"] = str(await request.auser())
    article = await Article.objects.afirst()
    article.title = request.GET["title"]
    article.data["by"] = request.GET["title"]
    await article.asave()
    return django.http.HttpResponse("ok")


def view(request):
    from shop.models import Article

    if "user" in request.GET:
        VIEW["user"] = str(request.user)
    if "title" in request.GET:
        article = Article.objects.first()
        article.title = request.GET["title"]
        article.data["by"] = request.GET["title"]
        with contextlib.ExitStack() as stack:
            if "as" in request.GET:
                stack.enter_context(tracking_actor(request.GET["as"]))
            article.save()
    TRACKED["last"] = request.GET.get("title")
    if "raise" in request.GET:
        raise django.http.Http404
    return django.http.HttpResponse("ok")


settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:checks?mode=memory&cache=shared"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "shop"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    SECRET_KEY="checks",
    ALLOWED_HOSTS=["testserver"],
    ROOT_URLCONF=__name__,
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "pydatatracker.integrations.django.ActorMiddleware",
    ],
)
django.setup()

import django.http
from django import forms
from django.core import serializers
from django.core.management import call_command
from django.db import connection, connections, models, transaction
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.urls import path
from shop.models import Article, Author, Login, Proxy, Review, Untouched

from pydatatracker import MISSING, TrackedDict, TrackedList, _core, replay, tracking_actor
from pydatatracker.exporters import JsonLinesExporter
from pydatatracker.integrations.django import TrackedJSONField, TrackedModel, log_commits, on_commit, on_save
from pydatatracker.io import read_changes

urlpatterns = [path("view", view), path("aview", aview)]
VIEW: dict = {}
TRACKED = TrackedDict()


def scope_actor():
    scope = _core.scope_now()
    return None if scope is None else scope.actor


def brief(changes):
    return [(change.operation, change.pointer, change.before, change.after) for change in changes]


def paths(instance):
    return [(change.pointer, change.before, change.after) for change in instance.unsaved_changes()]


def made(**values):
    article = Article(**{"title": "a", "data": {"a": {"b": 1}}, **values})
    article.save()
    return article


@contextlib.contextmanager
def saves(model=TrackedModel, register=on_save):
    """Collect what is reported."""
    seen = []
    with register(model, lambda instance, changes: seen.extend(changes)):
        yield seen


def without_time(changes):
    return [change for change in changes if change.pointer != "/changed"]


def check_a_value_is_tracked_when_it_is_read():
    made()
    article = Article.objects.get()
    assert dict is type(article.__dict__["data"])
    assert TrackedDict is type(article.data) is type(article.data["a"])
    assert article.data is article.data
    article.notes = [{"x": 1}]
    assert TrackedList is type(article.notes)
    for scalar in (None, 1, "text", 1.5, True):
        article.notes = scalar
        assert scalar is article.notes
    untouched = Untouched(data={"a": {}})
    untouched.data["a"]["b"] = 1
    untouched.save()
    assert {"a": {"b": 1}} == Untouched.objects.get().data
    untouched.data.tracking_undo()
    assert {"a": {}} == untouched.data


def check_a_deleted_value_is_loaded_again():
    for model in (Article, Untouched):
        model(data={"a": 1}).save()
        item = model.objects.get()
        item.data["a"] = 2
        del item.data
        assert {"data"} == item.get_deferred_fields()
        with pytest.raises(AttributeError, match=f"'{model.__name__}' object has no attribute 'data'"):
            del item.data
        assert {"a": 1} == item.data
        item.data["b"] = 1
        item.save()
        assert {"a": 1, "b": 1} == model.objects.get().data


def check_the_dict_of_an_object_is_that_of_a_plain_one():
    made()
    article = Article.objects.get()
    article.title = "b"
    article.data["a"]["b"] = 2
    assert {"_state", *(field.attname for field in Article._meta.concrete_fields)} == {*vars(article)}
    values = {name: value for name, value in vars(article).items() if name != "_state"}
    assert article == Article(**values)
    for twin in (copy.copy(article), copy.deepcopy(article), pickle.loads(pickle.dumps(article))):
        assert {*vars(article)} == {*vars(twin)} - {"_django_version"}


def check_changes_since_the_load():
    made()
    article = Article.objects.get()
    assert [] == article.unsaved_changes()
    with tracking_actor("ann", ticket="T-1"):
        article.title = "b"
        article.data["a"]["b"] = 2
        article.data["a"]["b"] = 3
        article.data["c"] = [1]
        article.views = 1
        article.views = 0
    rows = article.unsaved_changes()
    assert [("/title", "a", "b"), ("/data/a/b", 1, 3), ("/data/c", MISSING, [1])] == paths(article)
    assert {("ann", "T-1", "shop_article", (article.pk,))} == {
        (row.actor, row.context["ticket"], row.table, row.primary_key) for row in rows
    }
    assert list is type(rows[2].after)
    article.notes = {"n": 1}
    assert "notes_json" == article.unsaved_changes()[-1].column
    article.save()
    assert [] == article.unsaved_changes()
    assert {"a": {"b": 3}, "c": [1]} == Article.objects.get().data


def check_save_reports_an_insert_an_update_and_a_delete():
    with saves() as seen:
        with tracking_actor("ann"):
            article = made()
        assert ("insert", "/data", MISSING, {"a": {"b": 1}}) in brief(seen)
        assert {"ann"} == {row.actor for row in seen}
        assert {(article.pk,)} == {row.primary_key for row in seen}
        seen.clear()
        with tracking_actor("bob"):
            article.data["a"]["b"] = 2
        with tracking_actor("job"):
            article.save()
        assert [("update", "/data/a/b", 1, 2)] == brief(without_time(seen))
        assert ["bob"] == [row.actor for row in without_time(seen)]
        seen.clear()
        article.save(update_fields=["title"])
        assert [] == seen
        pk = article.pk
        with tracking_actor("eve"):
            article.delete()
        assert ("delete", "/data", {"a": {"b": 2}}, MISSING) in brief(seen)
        assert {("eve", (pk,))} == {(row.actor, row.primary_key) for row in seen}


def check_update_fields():
    article = made()
    article.title, article.views = "b", 5
    article.data["a"]["b"] = 2
    with saves() as seen:
        article.save(update_fields=["title", "data"])
        assert [("update", "/title", "a", "b"), ("update", "/data/a/b", 1, 2)] == brief(seen)
        assert [("/views", 0, 5)] == paths(article)
        seen.clear()
        article.title = "c"
        article.save(update_fields={"views"})
        assert [("update", "/views", 0, 5)] == brief(seen)
        assert [("/title", "b", "c")] == paths(article)
        seen.clear()
        article.save()
        assert [("update", "/title", "b", "c")] == brief(without_time(seen))
    assert [] == article.unsaved_changes()
    author = Author.objects.create(name="x")
    article.author = author
    with saves() as seen:
        article.save(update_fields=["author"])
    assert [("update", "/author_id", None, author.pk)] == brief(seen)


def check_deferred_fields_cost_no_queries():
    made(notes={"n": 1})
    for queryset in (Article.objects.only("title"), Article.objects.defer("data", "notes")):
        article = queryset.get()
        with CaptureQueriesContext(connection) as queries:
            article.title = "b"
            article.data = {"new": 1}
            rows = paths(article)
        assert 0 == len(queries)
        assert [("/title", "a", "b"), ("/data", MISSING, {"new": 1})] == rows
        with CaptureQueriesContext(connection) as queries:
            article.notes["n"] = 2
        assert 1 == len(queries)
        assert ("/notes/n", 1, 2) in paths(article)
        with saves() as seen, CaptureQueriesContext(connection) as queries:
            article.save()
        assert 1 == len(queries), queries.captured_queries
        assert 3 == len(without_time(seen))
        Article.objects.update(title="a", notes={"n": 1})


def check_the_queries_are_those_of_a_plain_model():
    Plain = type("Plain", (models.Model,), {
        "__module__": "shop.models", "title": models.CharField(max_length=20), "data": models.JSONField(default=dict),
        "Meta": type("Meta", (), {"app_label": "shop", "db_table": "shop_untouched2"}),
    })  # fmt: skip
    Ours = type("Ours", (TrackedModel, models.Model), {
        "__module__": "shop.models", "title": models.CharField(max_length=20), "data": TrackedJSONField(default=dict),
        "Meta": type("Meta", (), {"app_label": "shop", "db_table": "shop_untouched2", "managed": False}),
    })  # fmt: skip
    with connection.schema_editor() as editor:
        editor.create_model(Plain)
    found = []
    for cls in (Plain, Ours):
        with saves(), CaptureQueriesContext(connection) as queries:
            one = cls(title="a", data={"a": {}})
            one.save()
            one.data["a"]["b"] = 1
            one.title = "b"
            one.save()
            one.refresh_from_db()
            one = cls.objects.only("id").get(pk=one.pk)
            one.title = "c"
            one.save()
            one.data["x"] = 1
            one.save()
            cls.objects.filter(pk=one.pk).delete()
            two = cls.objects.create(title="x")
            two.delete()
        found.append([query["sql"].replace(str(one.pk), "?") for query in queries])
    assert len(found[0]) == len(found[1])
    assert [sql.split()[0] for sql in found[0]] == [sql.split()[0] for sql in found[1]]
    with connection.schema_editor() as editor:
        editor.delete_model(Plain)


def check_refresh_from_db():
    article = made()
    article.title = "b"
    article.data["a"]["b"] = 2
    Article.objects.update(views=7)
    article.refresh_from_db(fields=["views"])
    assert [("/title", "a", "b"), ("/data/a/b", 1, 2)] == paths(article)
    article.refresh_from_db(fields=["title"])
    assert [("/data/a/b", 1, 2)] == paths(article)
    old = article.data
    article.refresh_from_db()
    assert [] == article.unsaved_changes()
    assert (7, {"a": {"b": 1}}) == (article.views, article.data)
    old["a"]["b"] = 9
    assert [] == article.unsaved_changes()
    article.data["a"]["b"] = 3
    assert [("/data/a/b", 1, 3)] == paths(article)


def check_replaced_values():
    article = made()
    old = article.data
    article.data = {"new": {"x": 1}}
    old["a"]["b"] = 9
    article.data["new"]["x"] = 2
    assert [("/data", {"a": {"b": 9}}, {"new": {"x": 2}})] == [*paths(article)] or [
        ("/data", {"a": {"b": 1}}, {"new": {"x": 2}})
    ] == paths(article)
    article.save()
    assert {"new": {"x": 2}} == Article.objects.get().data
    article.notes = article.data
    article.save()
    article.data["both"] = 1
    assert [("/data/both", MISSING, 1), ("/notes/both", MISSING, 1)] == paths(article)


def check_expressions():
    article = made()
    article.views = models.F("views") + 1
    assert [("/views", 0, "F(views) + Value(1)")] == paths(article)
    with saves() as seen:
        article.save()
    assert "/views" in [row.pointer for row in seen]
    article.refresh_from_db()
    assert (1, []) == (article.views, article.unsaved_changes())
    article.views = 5
    assert [("/views", 1, 5)] == paths(article)


def check_copies_and_pickles():
    article = made()
    article.title = "b"
    article.data["a"]["b"] = 2
    want = [("/title", "a", "b"), ("/data", {"a": {"b": 1}}, {"a": {"b": 2}})]  # a JSON field as a whole
    once = pickle.loads(pickle.dumps(article))
    for twin in (once, copy.deepcopy(article), pickle.loads(pickle.dumps(once)), copy.deepcopy(once)):
        assert want == paths(twin), paths(twin)
        twin.data["a"]["b"] = 3
        assert ("/data", {"a": {"b": 1}}, {"a": {"b": 3}}) in paths(twin)
        assert article == twin
    assert [("/title", "a", "b"), ("/data/a/b", 1, 2)] == paths(article)
    shallow = copy.copy(article)
    assert {"/title", "/data"} == {pointer for pointer, _, _ in paths(shallow)}
    clean = pickle.loads(pickle.dumps(Article.objects.get()))
    assert [] == clean.unsaved_changes()
    clean.data["a"]["b"] = 4
    assert [("/data/a/b", 1, 4)] == paths(clean)
    new = pickle.loads(pickle.dumps(Article(title="n")))
    with saves() as seen:
        new.save()
    assert ("insert", "/title", MISSING, "n") in brief(seen)


def check_the_unsaved_changes_of_a_pickle_are_saved_and_logged():
    made()
    path = pathlib.Path("pickle.jsonl")
    for number, make in enumerate((copy.copy, copy.deepcopy, lambda article: pickle.loads(pickle.dumps(article)))):
        article = Article.objects.get()
        article.title, article.data = f"new {number}", {"number": number}
        twin = make(article)
        with JsonLinesExporter(path) as exporter, log_commits(Article, exporter), saves() as seen:
            twin.save(update_fields=["title"])
            assert ["/data"] == [change.pointer for change in without_time(twin.unsaved_changes())]
            twin.save(update_fields=["data"])
        assert ["/title", "/data"] == [change.pointer for change in seen]
        lines = [line for line in read_changes(path) if line.root == list(read_changes(path))[-1].root]
        assert ["", "/title", "/data"] == [line.pointer for line in lines]
        assert f"new {number}" == lines[1].after


def check_copies_and_pickles_of_what_was_not_kept():
    copies = (copy.copy, copy.deepcopy, lambda item: pickle.loads(pickle.dumps(item)))
    Login(password="p", data={"token": "t", "size": 1}).save()
    login = Login.objects.get()
    login.password = "secret"
    for make in copies:
        twin = make(login)
        assert "secret" == twin.password
        assert ["/password"] == [change.pointer for change in twin.unsaved_changes()]
        assert "secret" not in str(twin.unsaved_changes()[0].after)
    login.data["token"] = "secret"
    login.data["size"] = 2
    for make in copies:
        assert {"token": "secret", "size": 2} == make(login).data
        assert ["/password", "/data"] == [change.pointer for change in make(login).unsaved_changes()]
        assert "secret" not in str([change.after for change in make(login).unsaved_changes()])
    made()
    article = Article.objects.get()
    for number in range(5000):  # more than an object keeps
        article.data["a"]["b"] = number
    for make in copies:
        twin = make(article)
        assert {"a": {"b": 4999}} == twin.data
        assert ("/data", MISSING, {"a": {"b": 4999}}) in paths(twin)
    article.save()
    article.title = "b"
    article.save(update_fields=["title"])
    article.title = "c"
    article.data["a"]["b"] = 1
    assert {("/title", "b", "c"), ("/data", str({"a": {"b": 4999}}), str({"a": {"b": 1}}))} == {
        (pointer, str(before), str(after)) for pointer, before, after in paths(copy.deepcopy(article))
    }


def check_a_field_of_a_pickle_that_is_deleted():
    made()
    article = Article.objects.get()
    article.title, article.views = "b", 5
    twin = pickle.loads(pickle.dumps(article))
    del twin.title
    twin.views = 6
    assert [("/views", 0, 6)] == paths(twin)
    assert "a" == twin.title
    twin.title = "c"
    twin.save()
    assert ("c", 6) == Article.objects.values_list("title", "views").get()


def check_a_copy_by_its_primary_key():
    article = made()
    article.data["a"]["b"] = 2
    article.pk, article._state.adding = None, True
    with saves() as seen:
        article.save()
    assert ("insert", "/data", MISSING, {"a": {"b": 2}}) in brief(seen)
    assert 2 == Article.objects.count()


def check_rollback_and_commit():
    article = made()
    with saves(register=on_commit) as committed, saves() as saved:
        with contextlib.suppress(KeyError), transaction.atomic():
            article.title = "b"
            article.save()
            raise KeyError
        assert (1, 0) == (len(without_time(saved)), len(committed))
        article.refresh_from_db()
        assert "a" == article.title
        with transaction.atomic():
            article.title = "c"
            article.save()
            with contextlib.suppress(KeyError), transaction.atomic():
                article.views = 9
                article.save()
                raise KeyError
            assert [] == committed
        assert [("update", "/title", "a", "c")] == brief(without_time(committed))
        article.refresh_from_db()
        article.title = "d"
        article.save()
        assert ("update", "/title", "c", "d") in brief(committed)


def check_a_function_that_raises():
    article = made()

    def refuse(instance, changes):
        raise PermissionError(changes[0].pointer)

    article.title = "b"
    with on_save(Article, refuse) as observer:
        with contextlib.suppress(PermissionError), transaction.atomic():
            article.save()
        assert "a" == Article.objects.get().title
        observer.remove()
        observer.remove()
    article.title = "c"
    article.save()
    for wrong, text in (((5, print), "not 5"), ((Author, print), "TrackedModel"), ((Article, 5), "cannot be called")):
        with pytest.raises(TypeError, match=text):
            on_save(*wrong)


def check_bulk_calls_are_not_seen_and_do_no_harm():
    with saves() as seen:
        Article.objects.bulk_create([Article(title="a", data={"a": {}}), Article(title="b")])
        Article.objects.update(views=3)
        first, _ = Article.objects.order_by("pk")
        first.data["a"]["b"] = 1
        first.views = 4
        Article.objects.bulk_update([first], ["data", "views"])
        assert [] == seen
        assert {"a": {"b": 1}} == Article.objects.get(pk=first.pk).data
        assert {"a": {"b": 1}} == Article.objects.values_list("data", flat=True).get(pk=first.pk)
        assert dict is type(Article.objects.values_list("data", flat=True).get(pk=first.pk))
        Article.objects.all().delete()
        assert [] == seen


def check_get_or_create_and_update_or_create():
    with saves() as seen:
        Article.objects.get_or_create(title="a", defaults={"data": {"a": 1}})
        assert ("insert", "/data", MISSING, {"a": 1}) in brief(seen)
        seen.clear()
        Article.objects.update_or_create(title="a", defaults={"data": {"a": 2}})
        assert ("/data", {"a": 1}, {"a": 2}) in [(r.pointer, r.before, r.after) for r in seen] or (
            "/data/a", 1, 2) in [(r.pointer, r.before, r.after) for r in seen], brief(seen)  # fmt: skip
    assert {"a": 2} == Article.objects.get(data__a=2).data


def check_signals_see_the_changes():
    seen = []

    def before(sender, instance, **_):
        seen.append(("pre", [row[0] for row in paths(instance)]))
        instance.views = 42

    def after(sender, instance, created, **_):
        seen.append(("post", created, [row[0] for row in paths(instance) if row[0] != "/changed"]))

    article = made()
    models.signals.pre_save.connect(before, sender=Article)
    models.signals.post_save.connect(after, sender=Article)
    try:
        article.title = "b"
        with saves() as reported:
            article.save()
    finally:
        models.signals.pre_save.disconnect(before, sender=Article)
        models.signals.post_save.disconnect(after, sender=Article)
    assert [("pre", ["/title"]), ("post", False, ["/title", "/views"])] == seen
    assert ["/title", "/views"] == [row.pointer for row in without_time(reported)]


def check_inheritance():
    with saves(Article) as seen:
        review = Review(title="a", stars=1, extra=[{"x": 1}])
        review.save()
        assert {"shop_article", "shop_review"} == {row.table for row in seen}
        assert {"insert"} == {row.operation for row in seen}
        review = Review.objects.get()
        seen.clear()
        review.stars, review.title = 2, "b"
        review.extra[0]["x"] = 2
        review.save()
        assert {("shop_article", "/title"), ("shop_review", "/stars"), ("shop_review", "/extra/0/x")} == {
            (row.table, row.pointer) for row in without_time(seen)
        }
        seen.clear()
        proxy = Proxy.objects.get()
        proxy.data["p"] = 1
        proxy.save()
        assert [("shop_article", "/data/p")] == [(row.table, row.pointer) for row in without_time(seen)]
    with saves(Review) as seen:
        proxy.title = "c"
        proxy.save()
    assert [] == seen


def check_forms():
    class Form(forms.ModelForm):
        class Meta:
            model = Article
            fields = ["title", "views", "data", "notes"]

    article = made()
    hidden = {"initial-data": '{"a": {"b": 1}}'}  # of a field with a default that is a function
    form = Form(instance=Article.objects.get())
    assert "{&quot;a&quot;: {&quot;b&quot;: 1}}" in str(form["data"])
    with saves() as seen:
        form = Form({**hidden, "title": "a", "views": "0", "data": '{"a": {"b": 1}}', "notes": ""}, instance=article)
        assert form.is_valid(), form.errors
        assert [] == form.changed_data
        form.save()
        assert [] == without_time(seen)
        form = Form({**hidden, "title": "a", "views": "1", "data": '{"a": {"b": 2}}', "notes": "[1]"}, instance=article)
        assert ["views", "data", "notes"] == form.changed_data
        form.save()
    assert ["/views", "/data", "/notes"] == [
        row.pointer.partition("/b")[0].removesuffix("/a") for row in without_time(seen)
    ]
    article.data["a"]["b"] = 3
    article.full_clean()
    assert [row[0] for row in paths(article)] in (["/data/a/b"], ["/data"])


def check_serializers():
    article = made(notes=[{"x": 1}])
    _ = article.data, article.notes
    text = serializers.serialize("json", [article])
    assert '"data": {"a": {"b": 1}}' in text
    plain = serializers.serialize("python", [article])[0]["fields"]
    assert {"a": {"b": 1}} == plain["data"]
    [again] = serializers.deserialize("json", text.replace('"b": 1', '"b": 2'))
    again.save()
    assert {"a": {"b": 2}} == Article.objects.get().data


def check_migrations_are_those_of_a_json_field():
    printed = io.StringIO()
    call_command("makemigrations", "shop", stdout=printed, verbosity=0)
    call_command("makemigrations", "--check", "--dry-run", stdout=printed)
    text = pathlib.Path("shop/migrations/0001_initial.py").read_text("utf-8")
    assert "TrackedJSONField" not in text
    assert "models.JSONField(blank=True, default=dict)" in text
    assert "bases=(pydatatracker.integrations.django.TrackedModel, models.Model)" in text, text
    assert "pydatatracker.integrations.django.models" not in text
    field = TrackedJSONField(default=list, tracking_max_changes=7).clone()
    assert TrackedJSONField is type(field)
    field.name = "x"
    value = field.track([])
    for number in range(20):
        value.append(number)
    assert value.tracking_dropped == 13
    for wrong in ({"tracking_max_chang": 1}, {"tracking_name": "x"}):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            TrackedJSONField(**wrong)


def check_a_log():
    log = "audit.jsonl"
    with JsonLinesExporter(log, compact=True) as exporter, log_commits(TrackedModel, exporter):
        with tracking_actor("ann"):
            article = made()
            article.data["a"]["b"] = 2
            article.data["a"]["b"] = 3
            article.save(update_fields=["data"])
        pk = article.pk
        article = Article.objects.get()
        with tracking_actor("bob"):
            article.views = 1
            article.title = "b"
            article.save(update_fields=["views"])
            with contextlib.suppress(KeyError), transaction.atomic():
                article.title = "never"
                article.save()
                raise KeyError
            article.refresh_from_db()
            article.delete()
    lines = list(read_changes(log, strict=True))
    roots = list(dict.fromkeys(line.root for line in lines))
    assert [f"shop_article/{pk}"] * len(roots) == [line.data["name"] for line in lines if line.action == "init"]
    assert ["/data/a/b", "/data/a/b"] == [
        line.pointer for line in lines if line.method == "__setitem__" and line.action == "update"
    ][:2]
    assert {"a": {"b": 3}} == replay(log, root=roots[0])["data"]
    assert 1 == replay(log, root=roots[1])["views"]
    assert {} == replay(log, root=roots[-1])
    assert "never" not in pathlib.Path(log).read_text("utf-8")
    assert {"ann", "bob", ""} == {line.actor for line in lines}
    os.remove(log)


def logged(lines):
    """Return what a log leads to; it begins anew with each root."""
    states = {root: replay(lines, root=root) for root in dict.fromkeys(line.root for line in lines)}
    return [*states.values()][-1] if states else {}


def write_elsewhere(article):
    Article.objects.update(data={"elsewhere": 1})
    article.refresh_from_db(fields=["data"])
    article.data["after"] = 1
    article.save(update_fields=["data"])


STEPS = {
    "change data": lambda article, number: article.data.update({f"n{number % 3}": number}),
    "change notes": lambda article, number: article.notes.update({f"n{number % 3}": number}),
    "set data": lambda article, number: setattr(article, "data", {"set": number}),
    "set notes": lambda article, number: setattr(article, "notes", {"set": number}),
    "set title": lambda article, number: setattr(article, "title", str(number)),
    "set views": lambda article, number: setattr(article, "views", number),
    "share data": lambda article, number: setattr(article, "notes", article.data),
    "share notes": lambda article, number: setattr(article, "data", article.notes),
    "put data inside notes": lambda article, number: (
        article.data is article.notes or article.notes in article.data.values() or article.notes.update(x=article.data)
    ),
    "undo": lambda article, number: article.data.tracking_undo(),
    "delete data": lambda article, number: article.__delattr__("data") if "data" in vars(article) else None,
    "refresh data": lambda article, number: article.refresh_from_db(fields=["data"]),
    "refresh notes": lambda article, number: article.refresh_from_db(fields=["notes"]),
    "refresh": lambda article, number: article.refresh_from_db(),
    "written elsewhere": lambda article, number: write_elsewhere(article),
    "save title": lambda article, number: article.save(update_fields=["title"]),
    "save data": lambda article, number: article.save(update_fields=["data"]),
    "save notes and views": lambda article, number: article.save(update_fields=["notes", "views"]),
    "save": lambda article, number: article.save(),
}


def follow(steps):
    """Take the steps, and compare the log with the database after each save."""
    Article.objects.all().delete()
    pk = made(data={"k": 0}, notes={"k": 1}).pk
    article, lines = Article.objects.get(), []
    with log_commits(Article, lines.append):
        for number, step in enumerate([*steps, "change data", "save", "delete"]):
            if step != "delete":
                STEPS[step](article, number)
            else:
                article.delete()
            if lines and ("save" in step or step == "delete"):
                found = logged(lines)
                held = Article.objects.filter(pk=pk).values(*found).first() or {}
                assert held == found, (steps, held, found)
    return lines


def check_a_log_leads_to_what_the_database_holds():
    for steps in (
        ["set title", "set views", "save notes and views", "save title"],
        ["set views", "set title", "save title", "change data", "save data", "set title", "save title"],
        ["change notes", "written elsewhere", "save"],
        ["share notes", "change data", "save notes and views", "save data"],
        ["share data", "change notes", "delete data", "written elsewhere"],
        ["share data", "change notes", "refresh data", "change notes", "save notes and views"],
        ["put data inside notes", "change data", "refresh notes", "save data"],
        ["put data inside notes", "change data", "delete data", "change data", "save notes and views"],
        ["change data", "delete data", "change data", "save title", "change notes", "save"],
        ["set title", "share data", "save data", "undo", "save notes and views", "refresh data"],
    ):
        follow(steps)


def check_any_log_leads_to_what_the_database_holds():
    for seed in range(150):
        steps = random.Random(seed).choices([*STEPS], k=8)
        try:
            follow(steps)
        except Exception as error:
            if "undo" not in str(error) or isinstance(error, AssertionError):  # there was nothing to undo
                raise AssertionError(steps) from error


def check_what_is_saved_late_is_logged_with_its_actor():
    made()
    article, lines = Article.objects.get(), []
    with log_commits(Article, lines.append):
        with tracking_actor("ann"):
            article.title = "b"
        with tracking_actor("bob"):
            article.views = 1
            article.save(update_fields=["views"])
            article.save(update_fields=["title"])
            article.data["a"]["b"] = 2
            article.save()
    assert [("init", "", ""), ("update", "/views", "bob"), ("init", "", ""), ("update", "/title", "ann")] == [
        (line.action, line.pointer, line.actor) for line in lines[:4]
    ]
    assert "a" == lines[0].after["title"] == lines[2].after["title"]
    assert lines[0].root == lines[1].root != lines[2].root
    assert {lines[2].root} == {line.root for line in lines[2:]}
    assert ("b", 1, {"a": {"b": 2}}) == tuple(logged(lines)[name] for name in ("title", "views", "data"))


def check_redaction():
    log = "secrets.jsonl"
    with JsonLinesExporter(log) as exporter, log_commits(Login, exporter), saves(Login) as seen:
        login = Login(password="secret1", data={"a": {"token": "secret2", "b": 1}})
        login.save()
        login = Login.objects.get()
        login.password = "secret3"
        login.data["a"]["token"] = "secret4"
        login.data["a"]["b"] = 2
        login.save()
        login.delete()
    assert "secret" not in pathlib.Path(log).read_text("utf-8")
    assert "secret" not in str([(row.before, row.after, row.change) for row in seen])
    assert ["insert", "update", "delete"] == [row.operation for row in seen if row.pointer == "/password"]
    os.remove(log)


def login(client):
    from django.contrib.auth.models import User

    user, _ = User.objects.get_or_create(username="carol")
    client.force_login(user)


def check_the_user_is_the_actor():
    made()
    with saves() as seen:
        for query, logged_in, actor in (
            ("title=b", False, "anonymous"),
            ("title=c", True, "carol"),
            ("title=d&user=1", True, "carol"),
            ("title=e&as=job", True, "job"),
            ("title=f&user=1&raise=1", True, "carol"),
        ):
            client = Client()
            if logged_in:
                login(client)
            seen.clear()
            client.get(f"/view?{query}", headers={"x-request-id": "r" * 300})
            assert actor == {row.pointer: row.actor for row in seen}["/title"], (query, brief(seen))
            assert scope_actor() is None
            assert "r" * 200 == seen[0].context["request_id"] if query.startswith("title=d") else True
            last = TRACKED.last_change()
            assert ("" if actor == "job" else actor) == last.actor, (query, last.actor)
            assert "r" * 200 == last.context["request_id"]


def check_a_request_that_asks_for_no_user_costs_nothing():
    client = Client()
    login(client)
    with CaptureQueriesContext(connection) as queries:
        answer = client.get("/view")
    assert 0 == len(queries), queries.captured_queries
    assert not answer.has_header("Vary")
    answer = client.get("/view?user=1")
    assert "carol" == VIEW.pop("user")
    assert "Cookie" == answer["Vary"]


def check_async_requests():
    made()

    async def main():
        for query, logged_in, actor in (
            ("title=b", False, "anonymous"),
            ("title=c", True, "carol"),
            ("title=d&auser=1", True, "carol"),
        ):
            client = AsyncClient()
            if logged_in:
                from asgiref.sync import sync_to_async

                await sync_to_async(login)(client)
            seen.clear()
            await client.get(f"/aview?{query}", headers={"x-request-id": "r1"})
            assert actor == {row.pointer: row.actor for row in seen}["/title"], query
            assert {"r1"} == {row.context.get("request_id") for row in seen}
            assert scope_actor() is None

    with saves() as seen:
        asyncio.run(main())
    assert "carol" == VIEW.pop("user")


CHECKS = {name.removeprefix("check_"): check for name, check in list(globals().items()) if name.startswith("check_")}


def main():
    if sys.argv[1:] == ["names"]:
        print(json.dumps(list(CHECKS)))
        return
    keep = connection.cursor()  # the database lives as long as a connection
    call_command("migrate", run_syncdb=True, verbosity=0)
    found = {}
    for name, check in CHECKS.items():
        for model in (Review, Article, Author, Login, Untouched):
            model.objects.all().delete()
        try:
            check()
            found[name] = None
        except BaseException:
            found[name] = traceback.format_exc()
    keep.close()
    connections.close_all()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
