#!/usr/bin/env python3
"""Run the cases of real clients, npm's @supabase/supabase-js (with tus-js-client) and PyPI's supabase, against `nexus-mint serve` on a
throw-away PostgreSQL of its own; then PyPI's schemathesis over what the server says of itself (openapi.json).

usage: conformance/clients/run.py [PROGRAM [CASES...]]

The packages are fetched by npm and pip at the versions named here; where one of the two is not installed, its cases are
skipped, and said so. The last line is 'N passed, N failed, N skipped'.
"""
import glob
import json
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
JS = "@supabase/supabase-js@2.109.0"
# Resumable uploads.
TUS = "tus-js-client@4.3.1"
# Storage is asked once more with its files in a bucket of moto: a fake of Amazon's S3, in memory.
FAKE_S3 = "moto[server]==5.2.5"
# The WebSocket of Node.js before 22.
SOCKET = "ws@8.18.3"
JS_CASES = ["rest", "auth", "storage", "realtime", "chat", "functions"]
PYTHON = "supabase==2.34.1"
PROVIDER = "oidc-provider@9.13.3"
DOCUMENTS = "schemathesis==4.32.5"
PYTHON_CASES = ["rest", "auth", "storage", "realtime"]
if sys.argv[2:]:
    JS_CASES = [cases for cases in JS_CASES if cases in sys.argv[2:]]
    PYTHON_CASES = [cases for cases in PYTHON_CASES if cases in sys.argv[2:]]
# Supabase's public keys for local development, which --dev-keys takes.
ANON = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzdXBhYmFzZS1kZW1vIiwicm9sZSI6ImFub24iLCJleHAiOjE5ODM4MTI5OTZ9."
    "CRXP1A7WOeoJeXxjNni43kdQwgnWNReilDMblYTn_I0"
)
SERVICE = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzdXBhYmFzZS1kZW1vIiwicm9sZSI6InNlcnZpY2Vfcm9sZSIsImV4cCI6MTk4MzgxMjk5Nn0."
    "EGIM96RAZx35lJzdJsyH-qQwv8Hdp7fsn3W0YpN81IU"
)


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


def clients(folder):
    """Installs what can be had, and gives each client's name and command."""
    found = []
    if shutil.which("npm"):
        for cases in [*JS_CASES, "oidc"]:
            shutil.copy(HERE / f"{cases}.mjs", folder)
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        install = ["npm", "install", *quiet, "--prefix", str(folder), JS, SOCKET, TUS, PROVIDER]
        if subprocess.run(install, cwd=folder).returncode == 0:
            found += [(f"supabase-js {cases}", ["node", str(folder / f"{cases}.mjs")]) for cases in JS_CASES]
    environment = folder / "python"
    try:
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True, stderr=subprocess.DEVNULL)
        pip = [str(environment / "bin/pip"), "install", "-q", "--disable-pip-version-check", PYTHON, DOCUMENTS]
        subprocess.run(pip, check=True)
        python = str(environment / "bin/python")
        # Isolated: a file of cases beside them would be taken for a package of its name (`realtime`).
        found += [(f"supabase-py {cases}", [python, "-I", str(HERE / f"{cases}.py")]) for cases in PYTHON_CASES]
    except (subprocess.CalledProcessError, OSError):
        pass
    return found


def posted(url, path, body, token=ANON):
    headers = {"content-type": "application/json", "apikey": ANON, "authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{url}/auth/v1{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def documents(folder, url, psql):
    """Asks whatever openapi.json allows and what it does not: nothing fails on our side, and every answer is one that it
    describes. Gives how many documents held and did not, and what was found."""
    program = folder / "python/bin/schemathesis"
    if not program.exists():
        return 0, 0, []
    login = {"email": "documents@example.com", "password": "correct horse battery"}
    person = posted(url, "/signup", {"email": "person@example.com", "password": login["password"]})["access_token"]
    admin = posted(url, "/signup", login)["user"]["id"]
    role = f"insert into public.user_role_assignments (user_id, role) values ('{admin}', 'admin')"
    subprocess.run([*psql, "-c", role], check=True, stdout=subprocess.DEVNULL, cwd="/")
    admin = posted(url, "/token?grant_type=password", login)["access_token"]
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    passed, failed, found = 0, 0, []
    for name, path, token, phases, left in [
        ("auth as the service", "/auth/v1", SERVICE, "examples,coverage,fuzzing", []),
        # Whoever signs out asks nothing more.
        ("auth as a person", "/auth/v1", person, "examples,coverage,fuzzing", ["--exclude-path", "/logout"]),
        # What is not built says 501, which it should.
        ("functions as an admin", "/functions/v1", admin, "fuzzing", ["--exclude-tag", "not built"]),
    ]:
        command = [
            str(program), "run", f"{url}{path}/openapi.json", "-H", f"Authorization: Bearer {token}", "-c", checks,
            "--phases", phases, "-n", "15", "--seed", "1", "--max-redirects", "0", "-w", "2",
            "--warnings", "off", "--request-timeout", "30", *left,
        ]
        begun = time.monotonic()
        done = subprocess.run(command, text=True, capture_output=True, cwd=folder, timeout=300)
        held = done.returncode == 0
        passed, failed = passed + held, failed + (not held)
        print(f"openapi.json: {name}: {'held' if held else 'did not hold'} after {time.monotonic() - begun:.0f} s")
        if not held:
            found += [f"openapi.json: {name}:", done.stdout[-12000:], done.stderr[-2000:]]
    return passed, failed, found


def leaks(log):
    """Lines of the server's log with what a case had: addresses, passwords, tokens. One line tells the anon key, which is public."""
    lines = [line for line in log.splitlines() if " ready at " not in line]
    if "auth" in JS_CASES and not any("/auth/v1/token" in line for line in lines):
        return ["the log tells of no sign-in: nothing was looked at"]
    secret = re.compile(r"@example\.com|correct horse|another horse|\beyJ|\bpkce_|[A-Za-z0-9_-]{40,}")
    return [f"the log tells too much: {line}" for line in lines if secret.search(line)]


def serving(program, environment, log):
    """A server that is ready, where NEXUS_MINT_LISTEN says."""
    with log.open("wb") as written:
        server = subprocess.Popen([program, "serve", "--dev-keys"], env=environment, stderr=written)
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://{environment['NEXUS_MINT_LISTEN']}/ready", timeout=1)
            break
        except OSError:
            time.sleep(0.1)
    return server


def asked(name, command, arguments):
    """Runs a client's cases, says what came of them, and counts passed and failed."""
    done = subprocess.run([*command, *arguments], text=True, capture_output=True)
    sums = re.search(r"^(\d+) passed, (\d+) failed, \d+ skipped$", done.stdout, re.M)
    if not sums:
        print(f"{name}: ended early\n{done.stdout}\n{done.stderr}")
        return 0, 1
    lines = [line for line in done.stdout.splitlines() if line != sums.group(0)]
    print("\n".join([f"{name}: {sums.group(0)}", *lines]))
    return int(sums.group(1)), int(sums.group(2))


def with_own_key(program, environment):
    """A server's environment in which a key of its own signs tokens; others verify them by its public half."""
    made = subprocess.run([program, "key", "signing"], env=environment, text=True, capture_output=True, check=True)
    return dict(environment, NEXUS_MINT_JWT_SIGNING_KEYS=made.stdout.strip())


def over_s3(folder, program, environment, commands, started):
    """Runs the cases of storage on a server whose files are in a fake S3: passed, failed, and what to say."""
    python = folder / "python/bin/python"
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", FAKE_S3]
    if not python.exists() or subprocess.run(install).returncode:
        return 0, 0, ["skipped: storage over a fake S3, which could not be installed"]
    port, listen = free_port(), free_port()
    endpoint = f"http://127.0.0.1:{port}"
    fake = [str(folder / "python/bin/moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    started.append(subprocess.Popen(fake, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    keys = dict(aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1", endpoint_url=endpoint)
    make = f"import boto3; boto3.client('s3', **{keys!r}).create_bucket(Bucket='files')"
    for _ in range(100):
        if subprocess.run([str(python), "-c", make], stderr=subprocess.DEVNULL).returncode == 0:
            break
        time.sleep(0.2)
    environment = dict(
        environment, NEXUS_MINT_LISTEN=f"127.0.0.1:{listen}", NEXUS_MINT_STORAGE_S3_BUCKET="files",
        NEXUS_MINT_STORAGE_S3_ENDPOINT=endpoint, NEXUS_MINT_STORAGE_S3_ACCESS_KEY="a", NEXUS_MINT_STORAGE_S3_SECRET_KEY="b",
    )
    started.append(serving(program, environment, folder / "log-s3"))
    passed, failed, said = 0, 0, []
    for name, command in commands:
        held, broken = asked(f"{name} over a fake S3", command, [f"http://127.0.0.1:{listen}", ANON, SERVICE])
        passed, failed = passed + held, failed + broken
    counted = f"import boto3; print(boto3.client('s3', **{keys!r}).list_objects_v2(Bucket='files')['KeyCount'])"
    count = subprocess.run([str(python), "-c", counted], text=True, capture_output=True).stdout.strip()
    is_there = count.isdigit() and int(count) > 1
    said += [f"the fake S3 holds {count} files"]
    verified = subprocess.run([program, "files", "verify"], env=dict(environment, NEXUS_MINT_LOG="warn"), text=True, capture_output=True)
    said += [f"nexus-mint files verify: {verified.stdout.strip()} {verified.stderr.strip() if verified.returncode else ''}"]
    held = [is_there, verified.returncode == 0]
    return passed + sum(held), failed + len(held) - sum(held), said


def main():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    program = sys.argv[1] if len(sys.argv) > 1 else str(target / "debug/nexus-mint")
    binaries = postgresql()
    if not binaries:
        print("skipped: the clients' cases: no PostgreSQL is installed\n0 passed, 0 failed, 1 skipped")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="nexus-mint-clients-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    folder.chmod(0o755)
    data, user = folder / "data", as_user()
    data.mkdir()
    if user:
        shutil.chown(data, user["user"])
    port, listen, issuing, started = free_port(), free_port(), free_port(), []
    issuer = f"http://127.0.0.1:{issuing}"
    passed = failed = skipped = 0
    try:
        quiet = dict(check=True, stdout=subprocess.DEVNULL, cwd="/")
        subprocess.run(
            [f"{binaries}/initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"],
            **quiet, **user,
        )
        settings = {"fsync": "off", "wal_level": "logical", "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": ""}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        started.append(subprocess.Popen(
            [f"{binaries}/postgres", "-D", str(data), *options], cwd="/", stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, **user,
        ))
        url = f"postgres://postgres@127.0.0.1:{port}/postgres"
        for _ in range(100):
            if subprocess.run([f"{binaries}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]).returncode == 0:
                break
            time.sleep(0.1)
        environment = dict(
            os.environ, DATABASE_URL=url, NEXUS_MINT_DATA_DIR=str(folder / "home"), NEXUS_MINT_LOG="debug",
            NEXUS_MINT_REST_SCHEMAS="lab,public", NEXUS_MINT_REST_PLANS="true", NEXUS_MINT_LISTEN=f"127.0.0.1:{listen}",
            NEXUS_MINT_SITE_URL="http://localhost:3000", NEXUS_MINT_PASSWORD_SCORE_MIN="1",
            NEXUS_MINT_SIGN_IN_PROVIDERS=json.dumps({"keycloak": {
                "issuer": issuer, "client_id": "mint", "client_secret": "a secret of the cases", "audiences": ["app"],
            }}),
        )
        subprocess.run([program, "migrate"], env=dict(environment, NEXUS_MINT_LOG="warn"), **quiet)
        psql = [f"{binaries}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", url, "-f", str(HERE / "lab.sql")]
        subprocess.run(psql, **quiet)
        log = folder / "log"
        server = serving(program, environment, log)
        started.append(server)
        found = clients(folder)
        skipped = len(JS_CASES) + len(PYTHON_CASES) - len(found)
        if skipped:
            print("skipped: the cases of a client that could not be installed; found:", [name for name, _ in found])
        if (folder / "oidc.mjs").exists():
            provider = ["node", str(folder / "oidc.mjs"), str(issuing), f"http://127.0.0.1:{listen}"]
            started.append(subprocess.Popen(provider, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        at = [f"http://127.0.0.1:{listen}", ANON, SERVICE]
        of_auth = [*at, issuer if (folder / "oidc.mjs").exists() else ""]
        for name, command in found:
            held, broken = asked(name, command, of_auth if name.endswith(" auth") else at)
            passed, failed = passed + held, failed + broken
        held, broken, said = documents(folder, f"http://127.0.0.1:{listen}", [f"{binaries}/psql", "-X", "-q", url])
        passed, failed = passed + held, failed + broken
        print("\n".join(said))
        told = leaks(log.read_text())
        passed, failed = passed + (not told), failed + bool(told)
        print("\n".join(told) or "the log tells nothing personal or secret")
        server.terminate()
        server.wait()
        for name, command in found:
            if name == "supabase-js auth":
                server = serving(program, with_own_key(program, environment), folder / "log-key")
                held, broken = asked(f"{name}, tokens signed by ES256", command, [*of_auth, "ES256"])
                passed, failed = passed + held, failed + broken
                server.terminate()
                server.wait()
        of_storage = [(name, command) for name, command in found if name.endswith(" storage")]
        if of_storage:
            held, broken, said = over_s3(folder, program, environment, of_storage, started)
            passed, failed = passed + held, failed + broken
            print("\n".join(said))
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
