"""What a random search could pass by, tried through beside the model: every way of a run, and every page of a short list."""

import functools
import itertools
from contextlib import closing

from model_beside import SIGHTS, seen
from model_reference import Helper, Hold, Job, Order, held
from model_runs import BesideRuns

WAYS = ("let go", "cancel", "leave", "delete")


def test_every_way_of_a_run_agrees_with_the_model() -> None:
    seen.clear()
    with closing(BesideRuns()) as beside:
        helper = beside.do(beside.create_assistant())
        held_in: tuple[Hold, ...] = ("first", "second", "never")
        ways = itertools.product((True, False), held_in, (True, False), WAYS)
        for tool, hold, streamed, way in ways:
            beside.do(_go(beside, helper, way, tool=tool, hold=hold, streamed=streamed))
    assert {name for name in SIGHTS if not seen[name]} == set()


async def _go(beside: BesideRuns, helper: Helper, way: str, *, tool: bool, hold: Hold, streamed: bool) -> None:
    talk = await beside.create_thread(["one"], {})
    job = await beside.start_run(talk, helper, tool=tool, hold=hold, streamed=streamed)
    assert isinstance(job, Job)
    if job.status == "requires_action" and hold == "second":
        for given in ("none", "unknown", "twice", "one missing", "right"):
            await beside.submit(job, given, streamed=streamed)
    await beside.add_message(talk, "user", "a message in between")
    await beside.start_run(talk, helper, tool=tool, hold=hold, streamed=streamed)
    if way == "cancel":
        await beside.cancel(job)
    elif way == "leave" and job.stream is not None:
        await beside.leave_stream(job, job.stream)
    elif way == "delete":
        await beside.change_thread(talk, {}, delete=True)
    if held(job):
        await beside.let_go(job)
    await beside.submit(job, "right", streamed=streamed)
    await beside.cancel(job)


def test_every_page_of_a_short_list_agrees_with_the_model() -> None:
    with closing(BesideRuns()) as beside:
        beside.do(_ask_for_every_page(beside))


async def _ask_for_every_page(beside: BesideRuns) -> None:
    talk = await beside.create_thread(["one", "two", "three", "four", "five"], {})
    await beside.change_message(talk, 1, {}, delete=True)
    await beside.add_message(talk, "user", "six")
    await beside.change_message(talk, 4, {}, delete=True)
    ever, ids = talk.note_ids, [note.id for note in talk.notes]
    assert (len(ever), len(ids)) == (6, 4)
    orders: tuple[Order, Order] = ("asc", "desc")
    messages = beside.client.threads.messages
    for limit, order, after, before in itertools.product(
        range(1, 6), orders, (None, *ever, talk.id), (None, *ever, "msg_none")
    ):
        given = {"after": after, "before": before}
        await beside.look_at_list(
            functools.partial(messages.list, talk.id, limit=limit, order=order),
            ever,
            ids,
            limit,
            order,
            {name: id for name, id in given.items() if id is not None},
            gone=False,
        )
