#!/usr/bin/env python3
"""Run the REST corpus beside the repository against `nexus-mint rest`, on a throw-away PostgreSQL of its own.

usage: conformance/rest/run.py [FOLDER OF THE CORPUS] [PROGRAM]

The corpus is data of others that is not committed here; where it is not there, everything is skipped. Cases named in
exceptions.txt may fail and count as skipped. The last line is 'N passed, N failed, N skipped'.
"""
import glob
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def skip(why):
    print(f"skipped: the REST corpus: {why}")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)


def exceptions():
    lines = (HERE / "exceptions.txt").read_text().splitlines()
    return {line.split(" ", 1)[0]: line for line in lines if line and not line.startswith("#")}


def postgresql():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
    return found[-1] if found else os.path.dirname(shutil.which("initdb") or "")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def as_user():
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    try:
        import pwd
        pwd.getpwnam("postgres")
        return {"user": "postgres"}
    except KeyError:
        return {"user": "nobody"}


def main():
    corpus = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT.parent / "shared/conformance/rest")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    program = sys.argv[2] if len(sys.argv) > 2 else str(target / "debug/nexus-mint")
    if not (corpus / "run.py").exists():
        skip(f"{corpus} is not there")
    try:
        import yaml  # noqa: F401 (the corpus needs it)
    except ImportError:
        skip("Python has no yaml")
    binaries = postgresql()
    if not binaries:
        skip("no PostgreSQL is installed")
    if not list(Path(binaries).parent.glob("../../../share/postgresql/*/extension/pgcrypto.control")) and not glob.glob(
        "/usr/share/postgresql/*/extension/pgcrypto.control"
    ):
        skip("PostgreSQL has no pgcrypto")

    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    folder = Path(tempfile.mkdtemp(prefix="nexus-mint-rest-", dir=memory))
    user = as_user()
    if user:
        shutil.chown(folder, user["user"])
    port, server = free_port(), None
    try:
        run = dict(check=True, stdout=subprocess.DEVNULL, cwd=folder, **user)
        data = str(folder / "data")
        subprocess.run(
            [f"{binaries}/initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"], **run
        )
        settings = {
            "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "listen_addresses": "127.0.0.1",
            "port": port, "unix_socket_directories": "", "max_connections": 300,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        server = subprocess.Popen(
            [f"{binaries}/postgres", "-D", data, *options], cwd=folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user,
        )
        url = f"postgresql://postgres@127.0.0.1:{port}"
        environment = dict(os.environ, PATH=f"{os.environ['PATH']}:{binaries}")
        for _ in range(100):
            ready = subprocess.run([f"{binaries}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)])
            if ready.returncode == 0:
                break
            subprocess.run(["sleep", "0.1"])
        subprocess.run([sys.executable, corpus / "load.py", f"{url}/postgres", "rest"], check=True, env=environment)
        failures = folder / "failures"
        done = subprocess.run(
            [sys.executable, corpus / "run.py", "--db", f"{url}/rest", "--out", "/dev/fd/2", "--", program, "rest"],
            env=environment, text=True, capture_output=True,
        )
        failures = [line for line in done.stderr.splitlines() if re.match(r"\d+ ", line)]
        sys.stdout.write("".join(line + "\n" for line in done.stdout.splitlines()[:-1]))
        sums = re.search(r"(\d+) passed, (\d+) failed, (\d+) skipped", done.stdout)
        if not sums:
            sys.stdout.write(done.stdout + done.stderr)
            sys.exit(1)
        passed, failed, skipped = map(int, sums.groups())
    finally:
        if server:
            server.terminate()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)

    known = exceptions()
    unexpected = [line for line in failures if line.split(" ", 1)[0] not in known]
    expected = len(failures) - len(unexpected)
    failed, skipped = failed - expected, skipped + expected
    for line in unexpected:
        print(f"failed: {line[:400]}")
    still = {line.split(" ", 1)[0] for line in failures}
    for case in sorted(set(known) - still):
        print(f"failed: {case} holds now: take it off exceptions.txt")
        failed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed or not passed else 0)


main()
