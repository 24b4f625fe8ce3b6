"""The Responses bridge: threads and runs where a server has only `/responses`."""

from ._backend import AddMessages, ResponsesBackend
from ._keeping import MemoryThreadStore, ThreadStore
from ._modes import ThreadMode
from ._table import TABLE

__all__ = ["TABLE", "AddMessages", "MemoryThreadStore", "ResponsesBackend", "ThreadMode", "ThreadStore"]
