"""Photographs and results in an object store and behind web addresses, against real servers on loopback."""

from __future__ import annotations

import functools
import http.server
import io
import json
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from clipcli.errors import ImageError, InputError
from clipcli.inputs.discover import Source, discover
from clipcli.outputs.readers import read_results
from clipcli.schemes import is_remote
from clipcli.storage.remote import attempted, list_url, read_url
from tests.conftest import RunHere
from tests.object_store import DroppingProxy, Store, running_store

COUNT = 1100  # objects: more than a page of a listing holds
ANSWER = ("--no-cache", "-m", "pocket", "-l", "cat", "-l", "dog")


def jpeg(photo: Image.Image, number: int = 0, side: int = 64) -> bytes:
    file = io.BytesIO()
    photo.resize((side, side), box=(number % 40, 0, 200 + number % 40, 200)).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture(scope="module")
def photo(photos: dict[str, Path]) -> Image.Image:
    return Image.open(photos["cat"]).convert("RGB")


@pytest.fixture(scope="module")
def store(photo: Image.Image) -> Iterator[Store]:
    """A store with a bucket of photographs, some in folders, more than a page of them, and what is no photograph."""
    with running_store() as started:
        put = functools.partial(started.client.put_object, Bucket="photos")
        started.client.create_bucket(Bucket="photos")
        data = jpeg(photo)
        for number in range(COUNT):
            put(Key=f"many/{number % 3}/{number:05}.jpg", Body=data)
        for number, name in enumerate(("b/one.jpg", "a.jpg", "b/two.png", "c d/é+%.jpg")):
            put(Key=f"few/{name}", Body=jpeg(photo, number, 200))
        put(Key="few/notes.txt", Body=b"no image")
        put(Key="few/.hidden.jpg", Body=data)
        put(Key="few/folder/", Body=b"")
        put(Key="odd/empty.jpg", Body=b"")
        put(Key="odd/text.jpg", Body=b"no image at all")
        put(Key="odd/whole.jpg", Body=data)
        yield started


@pytest.fixture
def at_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Let this process find the store."""
    for name, value in store.variables.items():
        monkeypatch.setenv(name, value)
    return store


def names_in(url: str) -> list[str]:
    return [item.name for item in discover(Source((url,)))]


# --- what is a URL ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["s3://b/k", "gs://b/k", "az://c/k", "http://h/x.jpg", "HTTPS://h/x.jpg", "abfss://c@a/k"]
)
def test_places_are_known_by_their_scheme(name: str) -> None:
    assert is_remote(name)


@pytest.mark.parametrize("name", ["photos/a.jpg", "C:\\a.jpg", "odd://a", "file:///etc/passwd", "a//b", "", "s3:/b"])
def test_anything_else_is_a_name_on_disk(name: str) -> None:
    assert not is_remote(name)


# --- S3: listing and reading --------------------------------------------------------------------------------


def test_a_listing_of_several_pages_is_complete_and_in_order(at_store: Store) -> None:
    found = list(list_url("s3://photos/many"))
    assert found == [f"s3://photos/{key}" for key in sorted(at_store.keys("photos", "many/"))]
    assert len(found) == COUNT


def test_a_listing_asks_for_its_next_page_only_when_that_is_needed(
    at_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    asked: list[str] = []
    original = s3fs.S3FileSystem.call_s3

    def noted(self: Any, method: str, **options: Any) -> Any:
        asked.append(method)
        return original(self, method, **options)

    monkeypatch.setattr(s3fs.S3FileSystem, "call_s3", noted)
    names = iter(list_url("s3://photos/many/"))
    for _ in range(1000):
        next(names)
    assert asked == ["list_objects_v2"]
    next(names)
    assert asked == ["list_objects_v2"] * 2


def test_a_prefix_stands_for_the_photographs_below_it(at_store: Store) -> None:
    expected = [f"s3://photos/few/{name}" for name in ("a.jpg", "b/one.jpg", "b/two.png", "c d/é+%.jpg")]
    assert names_in("s3://photos/few") == names_in("s3://photos/few/") == expected


def test_a_whole_bucket_can_be_named(at_store: Store) -> None:
    assert len(names_in("s3://photos")) == COUNT + 4 + 3


def test_a_pattern_stands_for_what_matches(at_store: Store) -> None:
    assert names_in("s3://photos/few/b/*.jpg") == ["s3://photos/few/b/one.jpg"]
    with pytest.raises(InputError, match=r"s3://photos/few/\*\.bmp: no file matches this pattern"):
        names_in("s3://photos/few/*.bmp")


def test_a_prefix_without_photographs_is_refused(at_store: Store) -> None:
    with pytest.raises(InputError, match="s3://photos/none/: no images found"):
        names_in("s3://photos/none/")


def test_a_bucket_that_is_not_there_is_told(at_store: Store) -> None:
    with pytest.raises(InputError, match=r"s3://elsewhere/a/: cannot be listed \(no such bucket\)"):
        names_in("s3://elsewhere/a/")


def test_an_object_is_read_whole(at_store: Store) -> None:
    assert read_url("s3://photos/few/c d/é+%.jpg") == at_store.read("photos", "few/c d/é+%.jpg")


@pytest.mark.parametrize(
    ("key", "kind", "told"),
    [
        ("odd/missing.jpg", "not_found", "no such file"),
        ("odd/empty.jpg", "empty", "the file is empty (0 bytes)"),
    ],
)
def test_an_object_that_cannot_be_read_is_a_failure_of_its_own(at_store: Store, key: str, kind: str, told: str) -> None:
    with pytest.raises(ImageError) as caught:
        read_url(f"s3://photos/{key}")
    assert (caught.value.kind, str(caught.value)) == (kind, told)


# --- S3: from end to end ------------------------------------------------------------------------------------


def test_photographs_and_results_may_both_be_in_a_store(store: Store, run_here: RunHere, tmp_path: Path) -> None:
    command = ("classify", "s3://photos/odd", "s3://photos/few", *ANSWER, "--part-size", "3", "-o", "s3://photos/out")
    first, again, refused, local = run_here(
        command, (*command, "--resume"), command,
        ("classify", "s3://photos/odd", "s3://photos/few", *ANSWER, "--part-size", "3", "-o", f"{tmp_path}/out/"),
        **store.variables,
    )  # fmt: skip
    assert first.returncode == local.returncode == 1
    assert first.stderr.splitlines() == [
        "error: s3://photos/odd/empty.jpg: the file is empty (0 bytes)",
        "error: s3://photos/odd/text.jpg: not an image in a known format",
        "warning: 2 of 7 images failed",
    ]
    assert (again.returncode, again.stderr.splitlines()) == (
        1, ["warning: s3://photos/out: already complete, nothing to do", "warning: 2 of 7 images failed"],
    )  # fmt: skip
    assert refused.returncode == 2
    assert refused.stderr == (
        "error: cannot write s3://photos/out: it holds a complete run "
        "(replace it with --overwrite, or name another folder)\n"
    )
    parts = {key.rpartition("/")[2]: store.read("photos", key) for key in store.keys("photos", "out/")}
    here = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    of_one_run = dict.fromkeys(("started", "ended", "arguments"))
    manifests = [json.loads(each.pop("manifest.json")) | of_one_run for each in (parts, here)]
    assert (parts, manifests[0]) == (here, manifests[1])
    assert [record.error is None for record in read_results(tmp_path / "out")] == [False, False, *[True] * 5]


def test_a_run_into_a_store_goes_on_with_the_parts_that_are_missing(store: Store, run_here: RunHere) -> None:
    command = ("classify", "s3://photos/few", *ANSWER, "--part-size", "1", "-f", "jsonl", "-o", "s3://photos/resumed/")
    run_here(command, **store.variables)
    before = store.keys("photos", "resumed/part-")
    store.client.delete_object(Bucket="photos", Key=before[1])
    manifest = json.loads(store.read("photos", "resumed/manifest.json"))
    body = json.dumps({**manifest, "state": "running"}).encode()  # as a run that was killed leaves it
    store.client.put_object(Bucket="photos", Key="resumed/manifest.json", Body=body)
    (done,) = run_here((*command, "--resume", "-v"), **store.variables)
    assert done.returncode == 0
    assert "1 encoded" in done.stderr
    assert store.keys("photos", "resumed/part-") == before
    assert json.loads(store.read("photos", "resumed/manifest.json"))["records"] == 4


def test_one_missing_photograph_in_a_list_is_recorded_and_the_rest_goes_on(
    store: Store, run_here: RunHere, tmp_path: Path
) -> None:
    table = tmp_path / "list.csv"
    table.write_text("url\ns3://photos/few/a.jpg\ns3://photos/few/gone.jpg\n", "utf-8")
    (done,) = run_here(("classify", table, "--path-column", "url", *ANSWER, "-f", "jsonl"), **store.variables)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record.get("error", {}).get("type") for record in records] == [None, "not_found"]
    assert done.returncode == 1


@pytest.mark.parametrize("command", [("s3://photos/few",), ("s3://photos/few/a.jpg",)], ids=["listing", "reading"])
def test_without_credentials_one_line_says_what_to_do(
    store: Store, run_here: RunHere, command: tuple[str, ...]
) -> None:
    variables = {**store.variables, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    (done,) = run_here(("classify", *command, *ANSWER, "-f", "jsonl"), **variables)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: cannot use s3://photos: no credentials (")
    assert "FSSPEC_S3='{\"anon\": true}'" in done.stderr


@pytest.fixture(scope="module")
def strict_store() -> Iterator[Store]:
    """A store that looks at credentials, and knows nobody."""
    with running_store(INITIAL_NO_AUTH_ACTION_COUNT="0") as started:
        yield started


@pytest.mark.parametrize(
    "line",
    [("s3://photos/few",), ("s3://photos/few/a.jpg",), ("s3://photos/few/a.jpg", "-o", "s3://photos/out")],
    ids=["listing", "reading", "writing"],
)
def test_refused_credentials_are_told_in_one_line(
    strict_store: Store, run_here: RunHere, line: tuple[str, ...]
) -> None:
    (done,) = run_here(("classify", *line, *ANSWER, "-f", "jsonl"), **strict_store.variables)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: cannot use s3://photos: the credentials were refused (InvalidAccessKeyId); "
        "set valid ones as for the store's own tools\n"
    )


@pytest.fixture
def dropping(store: Store) -> Iterator[Callable[..., DroppingProxy]]:
    """Make ways to the store that drop connections."""
    made: list[DroppingProxy] = []

    def make(about: str, times: int) -> DroppingProxy:
        made.append(DroppingProxy(store, about, times))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


@pytest.mark.parametrize("about", [r"GET /photos/few/", r"GET /photos\?list", r"PUT /photos/dropped/"])
def test_a_connection_that_drops_is_made_again(
    store: Store, run_here: RunHere, dropping: Callable[..., DroppingProxy], about: str
) -> None:
    proxy = dropping(about, 1)
    variables = {**store.variables, "AWS_ENDPOINT_URL": proxy.address}
    command = ("classify", "s3://photos/few", *ANSWER, "--overwrite", "-o", "s3://photos/dropped")
    (done,) = run_here(command, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert sum(proxy.dropped.values()) >= 1
    assert json.loads(store.read("photos", "dropped/manifest.json"))["records"] == 4


def test_an_object_whose_connection_always_drops_is_a_failure_and_the_rest_goes_on(
    store: Store, run_here: RunHere, dropping: Callable[..., DroppingProxy]
) -> None:
    proxy = dropping(r"GET /photos/few/b/one.jpg", 1000)
    variables = {**store.variables, "AWS_ENDPOINT_URL": proxy.address}
    (done,) = run_here(("classify", "s3://photos/few", *ANSWER, "-f", "jsonl"), **variables)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record.get("error", {}).get("type") for record in records] == [None, "unreadable", None, None]
    assert done.returncode == 1


def test_a_shard_and_a_table_of_pictures_are_read_from_a_store(
    store: Store, run_here: RunHere, photo: Image.Image
) -> None:
    shard, table = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=shard, mode="w") as archive:
        for number in range(3):
            data = jpeg(photo, number)
            member = tarfile.TarInfo(f"{number}.jpg")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    pyarrow.parquet.write_table(pa.table({"image": [jpeg(photo, 7), b"no"], "id": ["x", "y"]}), table)
    store.client.put_object(Bucket="photos", Key="shards/0.tar", Body=shard.getvalue())
    store.client.put_object(Bucket="photos", Key="tables/0.parquet", Body=table.getvalue())
    command = ("classify", "s3://photos/shards/0.tar", "s3://photos/tables/*.parquet", *ANSWER, "-f", "jsonl")
    (done,) = run_here(command, **store.variables)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["path"] for record in records] == [
        *(f"s3://photos/shards/0.tar/{number}.jpg" for number in range(3)),
        "s3://photos/tables/0.parquet/0", "s3://photos/tables/0.parquet/1",
    ]  # fmt: skip
    assert ["error" in record for record in records] == [False, False, False, False, True]


def test_a_store_that_is_busy_for_long_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def answer() -> bool:
        deadline = time.monotonic() + 30
        while not caplog.messages and time.monotonic() < deadline:
            time.sleep(0.01)
        return True

    attempted(lambda: True, "https://example.org/fast.jpg")
    monkeypatch.setattr("clipcli.storage.slow_answers._PATIENCE", 0.05)
    assert attempted(answer, "https://user:secret@example.org/a/b.jpg?token=secret")
    assert caplog.messages == ["https://example.org is busy or does not answer; still trying (stop with Ctrl-C)"]


# --- the web ------------------------------------------------------------------------------------------------


class _Site(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/busy.jpg" and not self.server.asked:  # type: ignore[attr-defined]
            self.server.asked = True  # type: ignore[attr-defined]
            self.send_error(503)
            return
        if self.path == "/secret.jpg":
            self.send_error(403)
            return
        super().do_GET()


@pytest.fixture(scope="module")
def site(photo: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web server with some photographs, and a table that names them."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("a.jpg", "busy.jpg", "secret.jpg", "b c.jpg"):
        (folder / name).write_bytes(jpeg(photo))
    (folder / "list.csv").write_text("url,note\na.jpg,x\nb%20c.jpg,y\n", "utf-8")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Site, directory=folder))
    server.asked = False  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_web_addresses_are_inputs_and_each_that_fails_is_recorded(site: str, run_here: RunHere) -> None:
    names = [f"{site}/{name}" for name in ("a.jpg?size=2", "busy.jpg", "gone.jpg", "secret.jpg")]
    (done,) = run_here(("classify", *names, *ANSWER, "-f", "jsonl"))
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["path"] for record in records] == names
    told = [record.get("error", {}).get("message") for record in records]
    assert told == [None, None, "no such file", "access denied (403)"]


def test_a_table_on_the_web_names_photographs_beside_it(site: str, run_here: RunHere) -> None:
    (done,) = run_here(("classify", f"{site}/list.csv", "--path-column", "url", *ANSWER, "-f", "jsonl"))
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert ([record["path"] for record in records], done.returncode) == (["a.jpg", "b%20c.jpg"], 0)


def test_results_cannot_be_written_to_a_web_server(site: str, run_here: RunHere) -> None:
    (done,) = run_here(("classify", f"{site}/a.jpg", *ANSWER, "-o", f"{site}/out/"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"error: cannot write to {site}/out/: " in done.stderr


def test_a_scheme_whose_package_is_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(InputError, match=r"cannot use gs://: it needs an extra \(pip install 'clipcli\[gcs\]'"):
        list(discover(Source(("gs://bucket/a/",))))
