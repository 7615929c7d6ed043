"""Signed URLs are requested byte for byte, and no secret of theirs is left in anything that a run writes."""

from __future__ import annotations

import base64
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clipcli import Classifier
from clipcli.outputs.readers import read_results
from tests.conftest import RunHere

HIDDEN = "s3cr3tVALUE"
SIGNED = f"?X-Amz-Credential=AKIA{HIDDEN}%2F2024%2Fs3&X-Amz-Signature={HIDDEN}&v=a%2Fb+c"
ANSWER = ("-m", "pocket", "-l", "cat", "-l", "dog")


class _Site(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))  # type: ignore[attr-defined]
        name = self.path.partition("?")[0]
        files: dict[str, bytes] = self.server.files  # type: ignore[attr-defined]
        if name == "/moved.jpg":
            self.send_response(302)
            self.send_header("Location", f"/photos%2Fa.jpg{SIGNED}")
            self.end_headers()
        elif name not in files:
            self.send_error(403 if "denied" in name else 404)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(files[name])))
            self.end_headers()
            if with_body:
                self.wfile.write(files[name])


@pytest.fixture(scope="module")
def server(photos: dict[str, Path]) -> Iterator[http.server.ThreadingHTTPServer]:
    file = io.BytesIO()
    Image.open(photos["cat"]).convert("RGB").resize((64, 64)).save(file, "JPEG")
    shard = io.BytesIO()
    with tarfile.open(fileobj=shard, mode="w") as archive:
        member = tarfile.TarInfo("m.jpg")
        member.size = len(file.getvalue())
        archive.addfile(member, io.BytesIO(file.getvalue()))
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    table = f"url\nphotos%2Fa.jpg{SIGNED}\ngone.jpg{SIGNED}\n"
    names = ("/photos%2Fa.jpg", "/b%20c.jpg", "/%C3%A9.jpg", "/(1)'~!$,;=:@+.jpg", "/50%25.jpg")
    site.files = {  # type: ignore[attr-defined]
        **dict.fromkeys(names, file.getvalue()), "/s.tar": shard.getvalue(), "/t.csv": table.encode(),
    }  # fmt: skip
    site.asked = []  # type: ignore[attr-defined]
    threading.Thread(target=site.serve_forever, daemon=True).start()
    yield site
    site.shutdown()


@pytest.fixture
def site(server: Any) -> str:
    server.asked.clear()
    return f"127.0.0.1:{server.server_port}"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        (f"photos%2Fa.jpg{SIGNED}", f"/photos%2Fa.jpg{SIGNED}"),
        ("b%20c.jpg", "/b%20c.jpg"),
        ("b c.jpg", "/b%20c.jpg"),
        ("é.jpg", "/%C3%A9.jpg"),
        ("%C3%A9.jpg", "/%C3%A9.jpg"),
        ("(1)'~!$,;=:@+.jpg", "/(1)'~!$,;=:@+.jpg"),
        ("50%25.jpg?q=%2B+%7e", "/50%25.jpg?q=%2B+%7e"),
    ],
)
def test_a_url_is_requested_byte_for_byte(written: str, sent: str, site: str, server: Any, run_here: RunHere) -> None:
    (done,) = run_here(("classify", f"http://{site}/{written}", *ANSWER, "-f", "jsonl"))
    assert (done.returncode, {path for path, _ in server.asked}) == (0, {sent})


def test_where_a_redirection_leads_is_requested_byte_for_byte(site: str, server: Any, run_here: RunHere) -> None:
    (done,) = run_here(("classify", f"http://{site}/moved.jpg", *ANSWER, "-f", "jsonl"))
    assert (done.returncode, server.asked[-1][0]) == (0, f"/photos%2Fa.jpg{SIGNED}")


def test_user_info_opens_the_door_and_is_not_written_down(site: str, server: Any, run_here: RunHere) -> None:
    (done,) = run_here(("classify", f"http://me:{HIDDEN}@{site}/b%20c.jpg", *ANSWER, "-f", "jsonl"))
    expected = base64.b64encode(f"me:{HIDDEN}".encode()).decode()
    assert {sent for _, sent in server.asked} == {f"Basic {expected}"}
    assert json.loads(done.stdout)["path"] == f"http://{site}/b%20c.jpg"


def urls(site: str) -> list[str]:
    names = ("photos%2Fa.jpg", "gone.jpg", "denied.jpg", "s.tar")
    return [*(f"http://me:{HIDDEN}@{site}/{name}{SIGNED}" for name in names), f"http://x:{HIDDEN}@127.0.0.1:9/a.jpg"]


def written_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_no_secret_is_left_in_records_messages_partial_files_manifests_or_the_cache(
    site: str, run_here: RunHere, tmp_path: Path
) -> None:
    lines = [
        ("classify", *urls(site)[: 5 if name == "r.jsonl" else 4], *ANSWER, "-v", "-o", f"{tmp_path}/{name}")
        for name in ("r.jsonl", "r.csv", "r.parquet", "parts/")
    ]
    (tmp_path / "truth.csv").write_text("path,label\n" + "".join(f"{url},cat\n" for url in urls(site)[:2]), "utf-8")
    table = f"http://me:{HIDDEN}@{site}/t.csv{SIGNED}"
    done = run_here(
        *lines,
        ("classify", table, "--path-column", "url", *ANSWER, "-o", tmp_path / "t.jsonl"),
        ("classify", table, "--path-column", "no", *ANSWER),
        ("export", "images", *urls(site)[:4], "-m", "pocket", "-o", tmp_path / "e.npz"),
        ("matrix", *urls(site)[:4], "-m", "pocket", "-x", "a cat", "-o", tmp_path / "m.csv"),
        ("evaluate", tmp_path / "truth.csv", "-m", "pocket", "-l", "cat", "--json", tmp_path / "e.json"),
        ("report", tmp_path / "r.jsonl", "-o", tmp_path / "page.html"),
        ("sort", tmp_path / "r.jsonl", "--into", tmp_path / "sorted"),
        *(("classify", "x.png", "-m", "pocket", option, urls(site)[0]) for option in ("--labels", "-p", "-o")),
        ("classify", "x.png", *ANSWER, "-o", f"{urls(site)[0]}/"),
        *((command, urls(site)[0], "-o", tmp_path / "x.html") for command in ("report", "evaluate", "train")),
        ("classify", "x.png", "-l", "cat", "-m", urls(site)[0]),
        ("classify", "x.png", "-l", "cat", "-m", "ViT-B-32", "--pretrained", urls(site)[0]),
    )  # fmt: skip
    (tmp_path / "truth.csv").unlink()
    for each in done:
        assert HIDDEN not in each.stdout + each.stderr, each.args
        assert "Traceback" not in each.stderr
    assert [each.returncode for each in done[:5]] == [1] * 5
    assert HIDDEN.encode() not in written_below(tmp_path)
    host = f"http://{site}"
    found = [record.path for record in read_results(tmp_path / "r.jsonl")]
    assert found[:4] == [f"{host}/{name}?v=a%2Fb+c" for name in ("photos%2Fa.jpg", "gone.jpg", "denied.jpg")] + [
        f"{host}/s.tar?v=a%2Fb+c/m.jpg"
    ]
    assert [record.path for record in read_results(tmp_path / "t.jsonl")] == [
        "photos%2Fa.jpg?v=a%2Fb+c", "gone.jpg?v=a%2Fb+c",
    ]  # fmt: skip


def test_a_run_goes_on_with_urls_that_were_signed_anew(site: str, run_here: RunHere, tmp_path: Path) -> None:
    def line(signature: str) -> tuple[object, ...]:
        names = [f"http://{site}/{name}?X-Amz-Signature={signature}" for name in ("photos%2Fa.jpg", "b%20c.jpg")]
        return ("classify", *names, *ANSWER, "--part-size", "1", "-f", "jsonl", "-o", f"{tmp_path}/parts/")

    (first,) = run_here(line(f"{HIDDEN}1"))
    gone = sorted((tmp_path / "parts").glob("part-*"))[1]
    gone.unlink()
    (again,) = run_here((*line(f"{HIDDEN}2"), "--resume"))
    assert (first.returncode, again.returncode, gone.exists()) == (0, 0, True)
    assert HIDDEN.encode() not in written_below(tmp_path)


def test_results_of_others_lose_the_secrets_of_their_urls_when_they_are_read(tmp_path: Path) -> None:
    url = f"https://me:{HIDDEN}@h/a.jpg{SIGNED}"
    error = {"type": "unreadable", "message": f"cannot read {url}"}
    records = [{"path": url, "label": "cat", "probability": 1.0}, {"path": url, "error": error}]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records), "utf-8")
    assert HIDDEN not in repr(list(read_results(tmp_path / "r.jsonl")))


def test_the_library_keeps_secrets_out_of_results_warnings_and_errors(site: str, logged: list[str]) -> None:
    classifier = Classifier("pocket", ["cat", "dog"], cache=False)
    results = [result for url in urls(site)[:4] for result in classifier.classify(url)]
    assert len(results) == 4
    assert HIDDEN not in repr(results) + repr(logged)
