"""How the program stands, for whoever looks after it: a page and JSON at ``/status``, Prometheus at ``/metrics``.

The promise: there are numbers and names of machines and models here, and nothing of anybody: no prompt, no seed, no
owner. With passwords both are behind the gate like everything else; a scraper logs in by ``Authorization: Basic``. In a
demo the gate lets everybody in, so there only this machine is answered.
"""

from collections.abc import Iterator
from html import escape
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from webui import __version__
from webui.settings import is_loopback
from webui.studio import Studio
from webui.tally import BOUNDS

if TYPE_CHECKING:
    from prometheus_client.core import Metric

NEEDED = "prometheus-client is not installed. Get it with: pip install 'reseed[ray]'"


def add(app: FastAPI, studio: Studio) -> None:
    """Add the two routes."""

    @app.get("/status")
    def status(request: Request) -> Response:
        """Say how queue and workers stand: a page for a browser, else JSON."""
        _must_be_let(studio, request)
        data = standing(studio)
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(_page(data), headers={"Cache-Control": "no-store"})
        return JSONResponse(data, headers={"Cache-Control": "no-store"})

    @app.get("/metrics")
    def metrics(request: Request) -> Response:
        """Say the same in the format of Prometheus."""
        _must_be_let(studio, request)
        try:
            from prometheus_client import CollectorRegistry, generate_latest
            from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
        except ImportError:
            raise HTTPException(501, NEEDED) from None
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(studio))
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def standing(studio: Studio) -> dict[str, Any]:
    """Say how queue and workers stand, and how long pictures took since the start."""
    tally = studio.jobs.tally
    return {
        "version": __version__,
        "queue": studio.jobs.counts(),
        "jobs": dict(tally.jobs),
        "pictures": {model: times.pictures for model, times in tally.times.items()},
        "secondsPerPicture": {model: round(times.mean or 0.0, 3) for model, times in tally.times.items()},
        "picturesFailed": tally.failed,
        "workers": [
            {
                "number": one.number,
                "state": one.state,
                "where": one.where,
                "model": one.model,
                "made": one.made,
                "lost": one.lost,
                "lastSeconds": round(one.seconds, 3),
                "trouble": one.trouble,
                "leftOut": list(one.left_out),
            }
            for one in studio.engine.standings()
        ],
    }


def _must_be_let(studio: Studio, request: Request) -> None:
    if not studio.settings.door.demo:
        return
    address = request.client.host if request.client is not None else ""
    # What comes through a proxy is not asked for by this machine, wherever the proxy runs.
    proxied = getattr(request.state, "proxied", False) or "x-real-ip" in request.headers
    if proxied or not is_loopback(address):
        raise HTTPException(403, "In a demo only the machine that it runs on may ask how it stands.")


class _Collector:
    """Reads the numbers when they are asked for: nothing is counted twice."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def collect(self) -> "Iterator[Metric]":
        """Yield the metrics."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        queue, tally = self.studio.jobs.counts(), self.studio.jobs.tally
        jobs = GaugeMetricFamily("reseed_jobs", "Jobs that have not ended", labels=["state"])
        for state in ("waiting", "running"):
            jobs.add_metric([state], queue[state])
        yield jobs
        yield GaugeMetricFamily("reseed_pictures_left", "Pictures of jobs that have not ended", queue["pictures_left"])
        yield GaugeMetricFamily("reseed_pictures_at_work", "Pictures being made", queue["pictures_at_work"])
        yield GaugeMetricFamily("reseed_held", "Whether a full disk holds the queue up", queue["held"])
        ended = CounterMetricFamily("reseed_jobs_ended", "Jobs since the start by how they ended", labels=["status"])
        for status, count in tally.jobs.items():
            ended.add_metric([status], count)
        yield ended
        seconds = HistogramMetricFamily("reseed_picture_seconds", "Seconds for a picture, saved", labels=["model"])
        for model, times in tally.times.items():
            sums = [*accumulate(times.counts)]
            edges = [*(str(bound) for bound in BOUNDS), "+Inf"]
            seconds.add_metric([model], list(zip(edges, map(float, sums), strict=True)), times.total)
        yield seconds
        workers = GaugeMetricFamily("reseed_workers", "Workers of the cluster", labels=["state"])
        standings = self.studio.engine.standings()
        for state in ("starting", "idle", "busy"):
            workers.add_metric([state], sum(one.state == state for one in standings))
        yield workers
        lost = CounterMetricFamily("reseed_workers_lost", "Processes of workers that were lost", labels=["worker"])
        for one in standings:
            lost.add_metric([str(one.number)], one.lost)
        yield lost


def _page(data: dict[str, Any]) -> str:
    """Draw the status as a page that looks again every five seconds."""
    queue = data["queue"]
    models = [
        f"{escape(model)}: {count} pictures, {data['secondsPerPicture'][model]:g} s each"
        for model, count in data["pictures"].items()
    ]
    names = ("number", "state", "where", "model", "made", "lost", "lastSeconds", "trouble", "leftOut")
    heads = ("", "state", "where", "model", "made", "lost", "last picture, s", "last trouble", "left out")
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(_cell(worker[name]))}</td>" for name in names) + "</tr>"
        for worker in data["workers"]
    )
    head = "".join(f"<th>{name}</th>" for name in heads)
    table = f"<table><tr>{head}</tr>{rows}</table>" if rows else "<p>This process makes the pictures.</p>"
    held = "<p>The disk is full: the queue waits until there is room.</p>" if queue["held"] else ""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="5">'
        "<title>Reseed: status</title><style>body{font:15px system-ui;margin:2em}td,th{padding:.2em .8em;"
        "text-align:left;vertical-align:top}:root{color-scheme:light dark}</style>"
        f"<h1>Reseed {escape(data['version'])}</h1><p>{queue['running']} jobs at work, {queue['waiting']} waiting; "
        f"{queue['pictures_left']} pictures left, {queue['pictures_at_work']} at work.</p>{held}"
        f"<p>{'<br>'.join(models) or 'Nothing was made since the start.'}</p><h2>Workers</h2>{table}</html>"
    )


def _cell(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
