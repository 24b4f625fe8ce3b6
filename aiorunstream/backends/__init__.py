"""Who carries a call out: a server of the protocol over HTTP, or (with the bridge) something else."""

from ._base import Answer, Backend, Opened, Settings
from .http import HttpBackend

__all__ = ["Answer", "Backend", "HttpBackend", "Opened", "Settings"]
