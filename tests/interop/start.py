"""Starts a real server that was not written for this project, and runs the interop tests against it.

    python tests/interop/start.py litellm
    python tests/interop/start.py ogx --keep

Each server gets an environment of its own, in a folder outside the repository that is kept for the next time, and listens
on this machine only. It needs the network the first time, for pip. With `--keep` no tests are run: the server goes on until
Ctrl-C, and what to set for the tests is printed.
"""

import argparse
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120.0


class Ports(NamedTuple):
    """Where the server listens, and where it looks for a model: the tests start the embedded server there."""

    server: int
    upstream: int


class Server(NamedTuple):
    """One kind of server.

    `program` is in its environment; `config` and `variables` are formatted with `port`, `upstream`, `key` and `folder`.
    """

    packages: tuple[str, ...]
    python: tuple[str, ...]
    program: str
    arguments: tuple[str, ...]
    config: str
    variables: Mapping[str, str]
    ready: str


LITELLM = Server(
    packages=("litellm[proxy]",),
    python=("python3.11", "python3.12", "python3.13"),
    program="litellm",
    arguments=("--config", "{folder}/config.yaml", "--host", "127.0.0.1", "--port", "{port}"),
    config="""\
model_list:
  - model_name: gpt-4o
    litellm_params: {{model: openai/gpt-4o, api_base: "http://127.0.0.1:{upstream}/v1", api_key: sk-upstream}}
assistant_settings:
  custom_llm_provider: openai
  litellm_params: {{api_base: "http://127.0.0.1:{upstream}/v1", api_key: sk-upstream}}
litellm_settings: {{telemetry: false}}
""",
    variables={
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MASTER_KEY": "{key}",
        "OPENAI_API_BASE": "http://127.0.0.1:{upstream}/v1",
        "OPENAI_API_KEY": "sk-upstream",
    },
    ready="/health/liveliness",
)

OGX = Server(
    packages=(
        "ogx",
        "sqlalchemy[asyncio]",
        "aiosqlite",
        "mcp",
        "httpx2",
        "uvicorn",
        "opentelemetry-sdk",
        "opentelemetry-exporter-otlp-proto-http",
        "h11",
        "requests",
        "numpy",
        "pypdf",
        "chardet",
    ),
    python=("python3.12", "python3.13"),
    program="ogx",
    arguments=("run", "{folder}/config.yaml", "--insecure"),
    config="""\
version: 2
distro_name: interop
apis: [inference, responses, tool_runtime, vector_io, files, file_processors]
providers:
  inference:
  - provider_id: openai
    provider_type: remote::openai
    config: {{api_key: sk-upstream, base_url: "http://127.0.0.1:{upstream}/v1"}}
  responses:
  - provider_id: builtin
    provider_type: inline::builtin
    config: {{persistence: {{responses: {{table_name: responses, backend: sql}}}}}}
  tool_runtime: []
  vector_io: []
  files:
  - provider_id: localfs
    provider_type: inline::localfs
    config: {{storage_dir: "{folder}/files", metadata_store: {{table_name: files, backend: sql}}}}
  file_processors: []
storage:
  backends:
    kv: {{type: kv_sqlite, db_path: "{folder}/kv.db"}}
    sql: {{type: sql_sqlite, db_path: "{folder}/sql.db"}}
  stores:
    metadata: {{namespace: registry, backend: kv}}
    inference: {{table_name: inference, backend: sql}}
    conversations: {{table_name: conversations, backend: sql}}
    prompts: {{table_name: prompts, backend: sql}}
    connectors: {{table_name: connectors, backend: sql}}
registered_resources:
  models:
  - {{model_id: gpt-4o, provider_id: openai, provider_model_id: gpt-4o, model_type: llm, metadata: {{}}}}
server: {{host: 127.0.0.1, port: {port}}}
""",
    variables={"OGX_DIR": "{folder}"},
    ready="/v1/health",
)

SERVERS = {"litellm": LITELLM, "ogx": OGX}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("server", choices=sorted(SERVERS))
    parser.add_argument("--keep", action="store_true", help="run no tests, and go on until Ctrl-C")
    parser.add_argument("--upgrade", action="store_true", help="install the newest version")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where environments are kept")
    options = parser.parse_args()
    # A stop from outside takes the server down too.
    signal.signal(signal.SIGTERM, stop)
    server, name = SERVERS[options.server], options.server
    environment = installed(server, options.cache.resolve() / name, upgrade=options.upgrade)
    with tempfile.TemporaryDirectory(prefix=f"interop-{name}-") as folder:
        ports, key = Ports(free_port(), free_port()), f"sk-{secrets.token_hex(24)}"
        values = {"port": ports.server, "upstream": ports.upstream, "key": key, "folder": folder}
        process = started(server, environment, Path(folder), values)
        try:
            wait_until_ready(process, f"http://127.0.0.1:{ports.server}{server.ready}", Path(folder) / "log.txt")
            return go_on(name, told(name, ports, key, environment, server), keep=options.keep)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def stop(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "aiorunstream-interop"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def installed(server: Server, folder: Path, *, upgrade: bool) -> Path:
    """The folder of the programs of an environment that has the server."""
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    if not (programs / "python").exists():
        python = next((path for name in server.python if (path := usable(name))), None)
        if python is None:
            raise SystemExit(f"this server needs one of {', '.join(server.python)}")
        print(f"making {folder} with {python}", flush=True)
        subprocess.run([python, "-m", "venv", folder], check=True)
    if upgrade or not (programs / server.program).exists():
        print("installing; this takes a few minutes", flush=True)
        subprocess.run([programs / "python", "-m", "pip", "install", "-q", "--upgrade", *server.packages], check=True)
    return programs


def usable(name: str) -> str | None:
    """A Python that really runs: version managers put names on the path that do not."""
    places = [shutil.which(name), *map(str, sorted(Path.home().glob(f".pyenv/versions/{name[6:]}*/bin/python")))]
    for path in filter(None, places):
        if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return path
    return None


def started(server: Server, programs: Path, folder: Path, values: Mapping[str, object]) -> subprocess.Popen[bytes]:
    (folder / "config.yaml").write_text(server.config.format(**values))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "LITELLM_", "PYTHON"))}
    given = {name: value.format(**values) for name, value in server.variables.items()}
    path = f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"
    with (folder / "log.txt").open("wb") as log:
        return subprocess.Popen(
            [programs / server.program, *(argument.format(**values) for argument in server.arguments)],
            cwd=folder,
            env={**kept, **given, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up_at and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError:
            return  # it answers
        except OSError:
            time.sleep(0.5)
    raise SystemExit(f"the server did not start:\n{log.read_text(errors='replace')[-4000:]}")


def told(name: str, ports: Ports, key: str, programs: Path, server: Server) -> dict[str, str]:
    """What the tests are told, as environment variables."""
    code = f"import importlib.metadata as found; print(found.version({server.program!r}))"
    version = subprocess.run([programs / "python", "-c", code], capture_output=True, text=True, check=True).stdout
    return {
        f"INTEROP_{name.upper()}_URL": f"http://127.0.0.1:{ports.server}",
        f"INTEROP_{name.upper()}_KEY": key,
        f"INTEROP_{name.upper()}_VERSION": version.strip(),
        "INTEROP_UPSTREAM_PORT": str(ports.upstream),
    }


def go_on(name: str, variables: Mapping[str, str], *, keep: bool) -> int:
    if not keep:
        files = sorted((ROOT / "tests" / "interop").glob(f"test_{name}*.py"))
        command = [sys.executable, "-m", "pytest", "-s", "-m", "interop", *map(str, files)]
        return subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, check=False).returncode
    for variable, value in variables.items():
        print(f"export {variable}={value}", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
