"""The models of the checks."""

from django.db import models

from pydatatracker.integrations.django import TrackedJSONField, TrackedModel


class Author(models.Model):
    name = models.CharField(max_length=20)


class Article(TrackedModel, models.Model):
    title = models.CharField(max_length=20, blank=True)
    views = models.IntegerField(default=0)
    data = TrackedJSONField(default=dict, blank=True)
    notes = TrackedJSONField(null=True, blank=True, db_column="notes_json")
    author = models.ForeignKey(Author, null=True, blank=True, on_delete=models.CASCADE)
    changed = models.DateTimeField(auto_now=True, null=True)


class Proxy(Article):
    class Meta:
        proxy = True


class Review(Article):  # with a table of its own
    stars = models.IntegerField(default=0)
    extra = TrackedJSONField(default=list)


class Login(TrackedModel, models.Model):
    tracking_options = {"tracking_redact": ["/password"]}
    password = models.CharField(max_length=20)
    data = TrackedJSONField(default=dict, tracking_redact=["/**/token"])


class Untouched(models.Model):  # only the field
    data = TrackedJSONField(default=dict)
