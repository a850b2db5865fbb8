"""Cases of /storage/v1 by the PyPI package supabase. usage: storage.py URL ANON_KEY SERVICE_KEY"""
import struct
import sys
import urllib.request
import uuid
import zlib

from storage3.exceptions import StorageApiError
from supabase import create_client

url, anon_key, service_key = sys.argv[1:4]
service = create_client(url, service_key).storage
visitor = create_client(url, anon_key).storage
cases = []


def case(run):
    cases.append(run)
    return run


def bucket(**options):
    name = f"case-{uuid.uuid4()}"
    service.create_bucket(name, options=options)
    return name


def refused(run, code, message):
    try:
        run()
    except StorageApiError as error:
        assert (str(error.status), error.message) == (code, message), (error.status, error.message)
        return
    raise AssertionError("it was not refused")


@case
def buckets():
    name = bucket(public=False, file_size_limit=1000, allowed_mime_types=["text/plain"])
    found = service.get_bucket(name)
    assert (found.name, found.public, found.file_size_limit) == (name, False, 1000)
    assert name in [entry.name for entry in service.list_buckets()]
    service.update_bucket(name, {"public": True})
    assert service.get_bucket(name).public
    service.from_(name).upload("a.txt", b"text", {"content-type": "text/plain"})
    refused(lambda: service.delete_bucket(name), "409", "The bucket you tried to delete is not empty")
    service.empty_bucket(name)
    service.delete_bucket(name)
    refused(lambda: service.get_bucket(name), "404", "Bucket not found")


@case
def up_and_down():
    files = service.from_(bucket())
    files.upload("a/b.txt", b"text", {"content-type": "text/plain", "cache-control": "60"})
    assert files.download("a/b.txt") == b"text"
    refused(lambda: files.upload("a/b.txt", b"two"), "409", "The resource already exists")
    files.upload("a/b.txt", b"two", {"upsert": "true"})
    files.update("a/b.txt", b"three")
    assert files.download("a/b.txt") == b"three"
    assert files.exists("a/b.txt")
    assert files.info("a/b.txt")["size"] == 5


@case
def lists_moves_and_copies():
    files = service.from_(bucket())
    for path in ["a.txt", "b.txt", "c/d.txt"]:
        files.upload(path, path.encode())
    assert [entry["name"] for entry in files.list()] == ["a.txt", "b.txt", "c"]
    assert [entry["name"] for entry in files.list("c")] == ["d.txt"]
    files.move("a.txt", "e.txt")
    files.copy("e.txt", "f.txt")
    assert files.download("f.txt") == b"a.txt"
    assert sorted(entry["name"] for entry in files.remove(["e.txt", "f.txt"])) == ["e.txt", "f.txt"]


@case
def links():
    files = service.from_(bucket())
    files.upload("a b.txt", b"text")
    with urllib.request.urlopen(files.create_signed_url("a b.txt", 60)["signedURL"]) as answer:
        assert answer.read() == b"text"
    many = files.create_signed_urls(["a b.txt", "none"], 60)
    assert many[0]["signedURL"] and many[1]["error"]
    signed = files.create_signed_upload_url("c.txt")
    files.upload_to_signed_url("c.txt", signed["token"], b"by link")
    assert files.download("c.txt") == b"by link"


@case
def pictures():
    files = service.from_(bucket(public=True))
    pixels = zlib.compress(b"".join(b"\0" + bytes(3 * 300) for _ in range(200)))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 300, 200, 8, 2, 0, 0, 0)), (b"IDAT", pixels), (b"IEND", b"")]
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    files.upload("a.png", b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks), {"content-type": "image/png"})
    sides = lambda png: struct.unpack(">II", png[16:24])
    assert sides(files.download("a.png", {"transform": {"width": 100, "height": 100, "resize": "contain"}})) == (100, 67)
    for url in (
        files.get_public_url("a.png", {"transform": {"width": 60}}),
        files.create_signed_url("a.png", 60, {"transform": {"width": 60}})["signedURL"],
    ):
        with urllib.request.urlopen(url) as answer:
            assert sides(answer.read()) == (60, 40), url


@case
def in_public():
    name = bucket(public=True)
    service.from_(name).upload("a.txt", b"text", {"content-type": "text/plain"})
    with urllib.request.urlopen(visitor.from_(name).get_public_url("a.txt")) as answer:
        assert (answer.read(), answer.headers["content-type"]) == (b"text", "text/plain")
    policy = "new row violates row-level security policy"
    refused(lambda: visitor.from_(name).upload("b.txt", b"text"), "403", policy)


failed = 0
for run in cases:
    try:
        run()
    except Exception as error:  # noqa: BLE001 (whatever it is, it is told)
        failed += 1
        print(f"supabase-py: storage: {run.__name__}: {type(error).__name__}: {error}")
print(f"{len(cases) - failed} passed, {failed} failed, 0 skipped")
sys.exit(1 if failed else 0)
