"""A conversation that a response of the embedded server is at work on: nothing is put into it, or taken out."""

from responses_site import Slow, first_word
from server_client import JSON, serving


async def test_no_item_is_taken_out_of_a_conversation_while_a_response_is_at_work_on_it() -> None:
    engine = Slow()
    async with serving(engine=engine) as (_, http):
        made = await http.post("/conversations", {"items": [{"role": "user", "content": "Before"}]})
        body: JSON = {"model": "parrot", "input": "Hello", "conversation": made["id"]}
        items = f"/conversations/{made['id']}/items"
        (item,) = (await http.get(items))["data"]
        async with http.stream("/responses", body) as response:
            await first_word(response)
            status, error = await http.refused("DELETE", f"{items}/{item['id']}")
            assert (status, error["code"], error["param"]) == (400, "conversation_locked", "conversation")
            status, _ = await http.refused("DELETE", f"{items}/msg_nowhere")
            assert status == 404
            engine.goes_on.set()
            await response.read()
        assert len((await http.get(items))["data"]) == 3
        assert (await http.ask("DELETE", f"{items}/{item['id']}"))[0] == 200
        assert len((await http.get(items))["data"]) == 2
