"""Node's clients, where Node is there: installed by npm into a folder of this user's cache, never into the tree."""

import json
import os
import shutil
import subprocess
from pathlib import Path

_PACKAGES = ("openai", "eventsource-parser")
_PEER = Path(__file__).with_name("peer.mjs")
NODE_SIDES = ("node openai", "node fetch + JSON.parse")


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "aiorunstream-benchmarks"


def why_not(*, install: bool) -> str | None:
    """Why Node's clients cannot be run; None where they can. With `install` they are installed where they are missing."""
    if shutil.which("node") is None:
        return "there is no Node"
    if all((_folder() / "node_modules" / package).is_dir() for package in _PACKAGES):
        return None
    npm = shutil.which("npm")
    if not install or npm is None:
        return "its packages are not installed" if npm else "there is no npm"
    _folder().mkdir(parents=True, exist_ok=True)
    (_folder() / "package.json").write_text('{"private": true}\n')
    command = [npm, "install", "--no-audit", "--no-fund", *_PACKAGES]
    done = subprocess.run(command, cwd=_folder(), capture_output=True, text=True, check=False, timeout=300)
    return None if done.returncode == 0 else f"npm failed: {done.stderr.strip().splitlines()[-1:]}"


def node_command(side: str, base_url: str) -> list[str]:
    """What starts a side in Node."""
    return ["node", str(_PEER), side, base_url, str(_folder())]


def versions() -> dict[str, str]:
    """Of Node and its packages."""
    told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    found = {"node": told.removeprefix("v")}
    for package in _PACKAGES:
        about = json.loads((_folder() / "node_modules" / package / "package.json").read_text())
        found[f"{package} (node)"] = about["version"]
    return found
