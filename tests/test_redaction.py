"""URLs lose their secrets, and nothing but these, wherever they are shown or written."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcli.errors import ImageError, InputError
from clipcli.inputs.items import BadInput, FileInput
from clipcli.inputs.tar import Archive
from clipcli.redaction import redacted, redacted_foreign, redacted_reference

HIDDEN = "s3cr3tVALUE"

SIGNED = {
    "S3": f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA{HIDDEN}%2F20240101%2Fus-east-1%2Fs3%2Faws4_request"
          f"&X-Amz-Date=20240101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Security-Token={HIDDEN}"
          f"&X-Amz-Signature={HIDDEN}",
    "S3, version 2": f"AWSAccessKeyId=AKIA{HIDDEN}&Signature={HIDDEN}%3D&Expires=1700000000",
    "Google": f"X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential={HIDDEN}&X-Goog-Signature={HIDDEN}",
    "Google, version 2": f"GoogleAccessId={HIDDEN}@x.iam.gserviceaccount.com&Expires=17&Signature={HIDDEN}",
    "Azure": f"sv=2022-11-02&st=2024&se=2025-01-01T00%3A00%3A00Z&sr=b&sp=r&sig={HIDDEN}%3D",
    "CloudFront": f"Expires=17&Signature={HIDDEN}&Key-Pair-Id=K{HIDDEN}",
    "token": f"token={HIDDEN}",
    "password": f"user_password={HIDDEN}&api_key={HIDDEN}&access-token={HIDDEN}",
    "case and escapes": f"x-aMz-SIGNATURE={HIDDEN}&X%2DAmz%2DCredential={HIDDEN}&SIG={HIDDEN}",
    "HTML": f"x=1&amp;X-Amz-Signature={HIDDEN}",
}  # fmt: skip


@pytest.mark.parametrize("query", SIGNED.values(), ids=SIGNED.keys())
def test_a_signature_is_taken_out_and_the_rest_of_the_url_stays(query: str) -> None:
    assert redacted(f"https://h/a%2Fb/c.jpg?{query}").removesuffix("?x=1") == "https://h/a%2Fb/c.jpg"
    assert redacted(f"https://h/c.jpg?size=2&{query}&v=%2F").replace("&x=1", "") == "https://h/c.jpg?size=2&v=%2F"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"https://me:{HIDDEN}@h/a.jpg", "https://h/a.jpg"),
        (f"https://{HIDDEN}@h:8080/a.jpg", "https://h:8080/a.jpg"),
        (f"https://me:{HIDDEN}@x@h/a.jpg", "https://h/a.jpg"),
        (f"https://me:{HIDDEN}/x@h/a.jpg", "https://h/a.jpg"),
        (f"s3://AKIA:{HIDDEN}@bucket/a.jpg", "s3://bucket/a.jpg"),
        ("abfs://container@account.dfs.core.windows.net/a.jpg", "abfs://container@account.dfs.core.windows.net/a.jpg"),
        (f"abfs://container:{HIDDEN}@account/a.jpg", "abfs://container@account/a.jpg"),
        (f"https:/me:{HIDDEN}@h/a.jpg?sig={HIDDEN}", "https:/h/a.jpg"),
        (f"https://h/a.jpg#access_token={HIDDEN}", "https://h/a.jpg"),
        (f"https://h/a.jpg;jsessionid={HIDDEN}?v=1", "https://h/a.jpg?v=1"),
        (f"https://p/?u=https%3A%2F%2Fme%3A{HIDDEN}%40h%2Fa.jpg%3Fsig%3D{HIDDEN}", "https://p/?u=https%3A%2F%2Fh%2Fa.jpg"),
        (f"http://[::1]:80/a.jpg?token={HIDDEN}", "http://[::1]:80/a.jpg"),
    ],
)  # fmt: skip
def test_user_info_and_secrets_in_odd_places_are_taken_out(url: str, shown: str) -> None:
    assert redacted(url) == shown


@pytest.mark.parametrize(
    "harmless",
    [
        "https://h/@user/a.jpg?size=2&sp=3&se=4&expires=5&key=photos/a.jpg&policy=x&author=me",
        "https://h/a.jpg?", "https://h/a.jpg?&&x", "s3://b/what?.jpg", "s3://b/a#1.jpg", "https://h/50%.jpg?q=%zz",
        "photos/token=1&sig=2.jpg", "/photos/a?sig=1.jpg", "C:\\photos\\a.jpg", "user@host: no such file", "",
        "gs://b/a@b:c/d.jpg", "http://h:80/x@y",
    ],
)  # fmt: skip
def test_what_holds_no_secret_stays_byte_for_byte(harmless: str) -> None:
    assert redacted(harmless) == harmless


@given(st.text())
def test_any_text_without_a_url_stays_as_it_is(text: str) -> None:
    assert redacted(text.replace(":/", "")) == text.replace(":/", "")


@given(st.text(), st.sampled_from(["?", "&", ";", "#", "@", "://", ""]), st.text())
def test_redacting_twice_is_redacting_once(one: str, mark: str, two: str) -> None:
    once = redacted(f"https://{one}{mark}{two}")
    assert redacted(once) == once


@pytest.mark.parametrize(
    "text",
    [
        f"403, message='Forbidden', url='https://me:{HIDDEN}@h/a.jpg?sig={HIDDEN}'",
        f"Cannot connect to URL('https://h/a.jpg?X-Amz-Signature={HIDDEN}'), twice (https://h/b?token={HIDDEN}).",
        f"Max retries exceeded with url: /a.jpg?X-Amz-Credential={HIDDEN}&x=1 (Caused by)",
        f"Invalid config: {{'key': 'x', 'secret': '{HIDDEN}'}}",
        f"aws_secret_access_key={HIDDEN}, aws_session_token = {HIDDEN}",
        f"request headers Authorization: Bearer {HIDDEN}",
        f'{{"authorization": "AWS4-HMAC-SHA256 Credential={HIDDEN}, Signature={HIDDEN}"}}',
        f"DefaultEndpointsProtocol=https;AccountKey={HIDDEN}==",
    ],
)
def test_what_other_libraries_say_loses_its_secrets(text: str) -> None:
    assert HIDDEN not in redacted_foreign(text)


@pytest.mark.parametrize(
    "text", ["Unable to locate credentials", "tokenizer: no such file", "Cannot connect to host h:443 ssl:default [No]"]
)
def test_what_other_libraries_say_stays_where_there_is_no_secret(text: str) -> None:
    assert redacted_foreign(text) == text


def test_errors_lose_the_secrets_of_urls_also_on_their_way_between_processes() -> None:
    told = f"https://me:{HIDDEN}@h/a.jpg?sig={HIDDEN}: no such file"
    for error in (InputError(told), ImageError("not_found", told)):
        for each in (error, pickle.loads(pickle.dumps(error))):
            assert str(each) == "https://h/a.jpg: no such file"


def test_an_input_is_called_by_its_redacted_name_and_read_by_its_whole_url() -> None:
    url = f"https://h/a.jpg?sig={HIDDEN}"
    assert (FileInput(url, url).name, FileInput(url, url).path) == ("https://h/a.jpg", url)
    assert HIDDEN not in repr(FileInput(url, url)) + repr(Archive(url, url))
    assert BadInput(url, ImageError("empty", "")).name == "https://h/a.jpg"
    assert FileInput(f"b.jpg?sig={HIDDEN}", f"https://h/b.jpg?sig={HIDDEN}").name == "b.jpg"
    assert FileInput("b.jpg?sig=1", "photos/b.jpg?sig=1").name == "b.jpg?sig=1"


def test_a_name_that_is_relative_to_a_url_may_have_spaces() -> None:
    assert redacted_reference(f"my photo.jpg?token={HIDDEN}") == "my photo.jpg"
    assert redacted_reference(f"https://h/my photo's.jpg?token={HIDDEN}") == "https://h/my photo's.jpg"
