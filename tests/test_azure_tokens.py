"""Many who wait for one token: what one of them is told, all are; and what is left of it when they leave."""

import asyncio
import gc
import threading
import time
import traceback
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple, Self

import pytest

from aiorunstream import APITimeoutError, InvalidArgumentError
from aiorunstream.backends import _tokens
from aiorunstream.backends._credentials import Secret
from aiorunstream.backends._tokens import Tokens


class Token(NamedTuple):
    token: str
    expires_on: int


class Credential:
    """Gives what it is told to, once it is let; counts what it is asked, and who broke off."""

    def __init__(self, *gives: Token | Exception) -> None:
        self.gives = list(gives)
        self.may_give = asyncio.Event()
        self.asked = self.broke_off = 0

    async def get_token(self, *scopes: str) -> Token:
        assert scopes == ("scope",)
        self.asked += 1
        try:
            await self.may_give.wait()
        except asyncio.CancelledError:
            self.broke_off += 1
            raise
        given = self.gives.pop(0) if len(self.gives) > 1 else self.gives[0]
        if isinstance(given, Exception):
            raise given
        return given


def token(text: str, seconds: float = 3600) -> Token:
    return Token(text, int(time.time() + seconds))


def text_of(secret: object) -> str:
    assert isinstance(secret, Secret)
    return str(secret.bearer()).removeprefix("Bearer ")


def all_asking(tokens: Tokens, number: int = 3) -> list[asyncio.Task[Secret]]:
    return [asyncio.create_task(tokens.current()) for _ in range(number)]


async def all_waiting(tokens: Tokens, number: int) -> list[asyncio.Task[Secret]]:
    tasks = all_asking(tokens, number)
    await asyncio.sleep(0.01)
    assert not any(task.done() for task in tasks)
    return tasks


async def told(tasks: list[asyncio.Task[Secret]]) -> list[Secret | BaseException]:
    return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)


# -- all are told the same ---------------------------------------------------------------------------------------------


async def test_all_who_wait_get_the_one_error_of_the_credential_and_the_next_asks_again() -> None:
    credential = Credential(RuntimeError("no identity here"), token("two"))
    tokens = Tokens(credential, "scope")
    tasks = await all_waiting(tokens, 40)
    credential.may_give.set()
    errors = await told(tasks)
    assert credential.asked == 1
    assert {(type(error), str(error)) for error in errors} == {(RuntimeError, "no identity here")}
    assert text_of(await tokens.current()) == "two"
    assert credential.asked == 2


async def test_all_who_wait_get_a_token_that_ends_soon() -> None:
    credential = Credential(token("short", seconds=10))
    tasks = await all_waiting(Tokens(credential, "scope"), 40)
    credential.may_give.set()
    assert {text_of(secret) for secret in await told(tasks)} == {"short"}
    assert credential.asked == 1


class OddError(Exception):
    """Its constructor takes something else than `args`."""

    def __init__(self, name: str, *, code: int) -> None:
        super().__init__(f"no {name}")
        self.code = code


class QuotingError(Exception):
    """Made again from its `args`, it would say something else."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no {name}")


class SingularError(Exception):
    """Cannot be copied at all."""

    def __new__(cls, *args: object) -> Self:
        if not args:
            raise LookupError
        return super().__new__(cls, *args)

    def __reduce__(self) -> str:
        raise LookupError


def depth_of(error: BaseException) -> int:
    return len(traceback.extract_tb(error.__traceback__))


async def each_raises(error: Exception) -> list[BaseException]:
    async def ask() -> None:
        await tokens.current()

    credential = Credential(error)
    tokens = Tokens(credential, "scope")
    tasks = [asyncio.create_task(ask()) for _ in range(4)]
    await asyncio.sleep(0.01)
    credential.may_give.set()
    raised: list[BaseException] = []
    for task in tasks:
        await asyncio.wait([task])
        found = task.exception()
        assert found is not None
        assert type(found) is type(error)
        raised.append(found)
    return raised


@pytest.mark.parametrize("make", [
    lambda: RuntimeError("a", 1), lambda: OSError(5, "told", "a_file"), lambda: OddError("x", code=7),
    lambda: QuotingError("x"), lambda: InvalidArgumentError("x", argument="y"),
], ids=["plain", "system", "odd", "quoting", "ours"])  # fmt: skip
async def test_each_who_waits_gets_an_error_of_its_own_that_says_the_same(make: Callable[[], Exception]) -> None:
    error = make()
    error.__cause__ = cause = LookupError("deep down")
    error.add_note("a note")
    raised = await each_raises(error)
    assert len({id(one) for one in raised}) == len(raised)
    assert raised[-1] is error
    for one in raised:
        assert (str(one), one.args, vars(one)) == (str(error), error.args, vars(error))
        assert one.__cause__ is cause
        assert one.__notes__ == ["a note"]
    assert len({id(one.__notes__) for one in raised}) == len(raised)
    assert len({depth_of(one) for one in raised}) == 1, "nobody's frames are another's"


async def test_an_error_that_has_no_twin_is_raised_to_all() -> None:
    raised = await each_raises(SingularError("only one"))
    assert {id(one) for one in raised} == {id(raised[0])}


async def test_an_error_is_freed_when_it_is_dropped() -> None:
    class Failing:
        async def get_token(self, *scopes: str) -> Token:
            raise OddError("x", code=7)

    async def ask() -> "list[weakref.ref[BaseException]]":
        return [weakref.ref(error) for error in await told(all_asking(Tokens(Failing(), "scope")))]  # type: ignore[arg-type]

    gc.disable()
    try:
        errors = await ask()
        await asyncio.sleep(0)
        assert [error() for error in errors] == [None] * 3
    finally:
        gc.enable()


# -- leaving -----------------------------------------------------------------------------------------------------------


async def test_who_leaves_takes_the_token_from_nobody_and_who_is_last_ends_the_question() -> None:
    credential = Credential(token("one"))
    tokens = Tokens(credential, "scope")
    first, second, third = await all_waiting(tokens, 3)
    first.cancel()
    second.cancel()
    await asyncio.wait([first, second])
    assert (credential.asked, credential.broke_off) == (1, 0)
    third.cancel()
    await asyncio.wait([third])
    assert (credential.asked, credential.broke_off) == (1, 1)
    credential.may_give.set()
    assert text_of(await tokens.current()) == "one"
    assert credential.asked == 2


def test_no_task_is_left_when_the_last_who_waits_has_left() -> None:
    class Tidy:
        async def get_token(self, *scopes: str) -> Token:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.01)
            raise AssertionError

    loop = asyncio.new_event_loop()
    try:
        waiting = loop.create_task(Tokens(Tidy(), "scope").current())
        loop.call_later(0.01, waiting.cancel)
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(waiting)
        assert asyncio.all_tasks(loop) == set()
    finally:
        loop.close()


def test_a_token_that_was_asked_for_in_one_loop_serves_another() -> None:
    async def ask(tokens: Tokens) -> str:
        return text_of(await tokens.current())

    credential = Credential(RuntimeError("not yet"), token("one"))
    credential.may_give.set()
    tokens = Tokens(credential, "scope")
    with pytest.raises(RuntimeError, match="not yet"):
        asyncio.run(ask(tokens))
    assert [asyncio.run(ask(tokens)) for _ in range(2)] == ["one", "one"]
    assert credential.asked == 2


# -- refused tokens ----------------------------------------------------------------------------------------------------


async def test_a_token_that_is_refused_does_not_lend_its_end_to_the_one_before() -> None:
    credential = Credential(token("one", seconds=200), token("with a line end\n"), token("three"))
    credential.may_give.set()
    tokens = Tokens(credential, "scope")
    assert text_of(await tokens.current()) == "one"
    with pytest.raises(InvalidArgumentError, match="line ends"):
        await tokens.current()
    assert text_of(await tokens.current()) == "three"
    assert credential.asked == 3


# -- functions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_function_is_called_for_many_requests_at_once(*, is_async: bool) -> None:
    together, in_threads = asyncio.Barrier(3), threading.Barrier(3, timeout=5)

    async def later() -> str:
        await together.wait()
        return "one"

    def now() -> str:
        in_threads.wait()
        return "one"

    give: Callable[[], str | Awaitable[str]] = later if is_async else now
    answers = await told(all_asking(Tokens(give, "scope")))
    assert [text_of(secret) for secret in answers] == ["one"] * 3


async def test_a_function_that_fails_fails_its_own_request_only() -> None:
    gives: Iterator[LookupError | str] = iter([LookupError("once"), "two"])

    async def give() -> str:
        given = next(gives)
        if isinstance(given, str):
            return given
        raise given

    tokens = Tokens(give, "scope")
    first, second = await told(all_asking(tokens, 2))
    assert isinstance(first, LookupError)
    assert text_of(second) == "two"


# -- the clock ---------------------------------------------------------------------------------------------------------


async def never() -> str:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize("shared", [True, False])
async def test_a_credential_that_gives_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch, *, shared: bool) -> None:
    monkeypatch.setattr(_tokens, "GIVEN_WITHIN", 0.02)
    tokens = Tokens(Credential(token("one")) if shared else never, "scope")
    errors = await told(all_asking(tokens))
    assert {str(error) for error in errors} == {"the credential has given no token within 0.02 s"}
    assert [(type(error), getattr(error, "reason", "")) for error in errors] == [(APITimeoutError, "no token")] * 3


async def test_a_credentials_own_timeout_is_its_own() -> None:
    credential = Credential(TimeoutError("mine"))
    credential.may_give.set()
    with pytest.raises(TimeoutError, match="mine"):
        await Tokens(credential, "scope").current()
