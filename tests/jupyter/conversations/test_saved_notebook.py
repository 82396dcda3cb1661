"""A notebook that orchat 0.1 saved in JupyterLab (``saved-0.1.ipynb``) is read by each later one, and written alike."""

from __future__ import annotations

import json
from pathlib import Path

from orchat.errors import StateError
from orchat.jupyter.kernel.cell_storage.notebook_file import read_cells
from orchat.jupyter.kernel.conversations.notebook_conversations import NotebookConversations
from orchat.jupyter.kernel.conversations.restored_conversations import read_turns, restore_conversations
from orchat.jupyter.kernel.conversations.turn_serialization import encode_turn, split_record
from orchat.jupyter.panel.panel_serialization import from_entry, to_entry

SAVED = Path(__file__).parent / "saved-0.1.ipynb"
CELLS = json.loads(SAVED.read_text("utf-8"))["cells"]


def test_its_conversation_is_what_was_said() -> None:
    conversations = NotebookConversations()
    restored, failures = restore_conversations(conversations, read_cells(str(SAVED)))
    assert [(conversation.name, len(conversation.turns)) for conversation in restored] == [("notebook", 3)]
    assert failures == []
    messages = [message for turn in restored[0].turns for message in turn.messages]
    assert [(message.role.value, message.text) for message in messages] == [
        ("user", "Name a river like the Humber."),
        ("assistant", "The *Humber*."),
        ("user", "Where does it run?"),
        ("assistant", "It runs into the sea."),
        ("user", "When is high water?"),
        ("assistant", None),
        ("tool", None),
        ("assistant", "High at 14:10."),
    ]
    assert messages[3].reasoning is not None
    assert messages[3].reasoning.extra["reasoning_details"][0]["text"] == "It is a river. "
    assert messages[5].tool_calls[0].arguments == {"port": "Hull"}
    assert messages[6].tool_call_results[0].result == "14:10 at Hull"


def test_its_turns_are_written_as_they_were() -> None:
    records = list(read_turns(read_cells(str(SAVED))))
    cells = [cell for cell in CELLS if "turns" in cell["metadata"].get("orchat", {})]
    assert len(records) == len(cells) == 3
    for record, cell in zip(records, cells, strict=True):
        assert not isinstance(record, StateError)
        (output,) = cell["outputs"]
        plain, prompt = "".join(output["data"]["text/plain"]), "".join(cell["source"][1:])
        (stored,) = cell["metadata"]["orchat"]["turns"]["notebook"]
        again, pointer = split_record(encode_turn(record.turn, record.conversation, prompt, plain), 0)
        assert again.pop("digest")  # the first release had none, here and in the pointer
        assert pointer.pop("entry")
        assert json.dumps(again, sort_keys=True) == json.dumps(stored, sort_keys=True)
        assert pointer.keys() <= output["data"]["application/vnd.orchat.v1+json"]["turn"].keys()


def test_its_panel_is_read_and_written_as_it_was() -> None:
    entry = CELLS[4]["metadata"]["orchat"]["panels"]["1"]
    snapshot = from_entry(entry)
    assert [message.text for message in snapshot.chats["chat"].messages] == ["Speak.", "From the panel."]
    assert json.dumps(to_entry(snapshot), sort_keys=True) == json.dumps(entry, sort_keys=True)
