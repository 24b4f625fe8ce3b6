"""What the figures were taken on."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from . import node

_PACKAGES = ("aiorunstream", "aiohttp", "msgspec", "anyio", "openai", "httpx", "httpx-sse", "starlette", "uvloop")


def machine() -> dict[str, str]:
    """The processor, the system and the interpreter."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "optimized": str(sys.flags.optimize),
    }


def versions() -> dict[str, str]:
    """Of everything that takes part."""
    found: dict[str, str] = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    if node.why_not(install=False) is None:
        found |= node.versions()
    return found


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
