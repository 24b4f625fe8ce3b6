"""Who carries a call out: a server of the protocol over HTTP, or (with the bridge) something else."""

from ._base import Answer, Backend, Opened, Settings
from .azure import AzureBackend
from .http import HttpBackend

__all__ = ["Answer", "AzureBackend", "Backend", "HttpBackend", "Opened", "Settings"]
