"""Scrapy: an add-on lowers the depth of every crawl: pages are missing.

`Settings` is a mapping with a dict of `SettingsAttribute` instances; the crawler works on a copy.
"""
# needs: scrapy
# run: scrapy.settings:Settings
# wrong: /attributes/DEPTH_LIMIT/value 0 -> 1

from pathlib import Path

import scrapy
from scrapy.crawler import CrawlerProcess

for n in range(4):
    Path(f"page{n}.html").write_text(
        f"<title>{n}</title><a href='page{n + 1}.html'>on</a>" if n < 3 else "<title>3</title>"
    )


class Polite:
    """An add-on for crawls that should be gentle."""

    def update_settings(self, settings):
        settings.set("DEPTH_LIMIT", 1, priority="addon")  # culprit
        settings["DOWNLOAD_DELAY"] = 0


class Pages(scrapy.Spider):
    name = "pages"

    async def start(self):
        yield scrapy.Request(Path("page0.html").absolute().as_uri())

    def parse(self, response):
        yield {"title": response.css("title::text").get()}
        yield from response.follow_all(css="a")


process = CrawlerProcess(
    {
        "LOG_ENABLED": False,
        "ADDONS": {Polite: 500},
        "FEEDS": {"pages.json": {"format": "json"}},
        "TELNETCONSOLE_ENABLED": False,
    }
)
crawler = process.create_crawler(Pages)
# edit: from pydatatracker import watch; watch(crawler.settings)
process.crawl(crawler)
process.start()
print(Path("pages.json").read_text())
print(crawler.settings["DEPTH_LIMIT"], crawler.settings.getpriority("DEPTH_LIMIT"), crawler.settings.frozen)
raise SystemExit(0 if crawler.stats.get_value("item_scraped_count") == 4 else 3)
