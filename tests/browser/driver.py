"""A cell that shows turns in a `LiveView`, as the magic does."""

DRIVER = """\
import asyncio, time
import orchat
from orchat.chat.turn_streams import AsyncChatStream
from orchat.jupyter.kernel.coroutine_runner import deliver_comms_while_awaiting, wake_loop_on_interrupt
from orchat.jupyter.kernel.live_view.live_view import LiveView

class Showing:
    def __init__(self, view, model):
        self.view, self.model, self.began = view, model, time.monotonic()
    def start(self, question):
        self.view.start(self.model)
    def expect(self, asked):
        return self.view.expect(asked)
    def add(self, chunk):
        self.view.add(chunk)
    def called(self, calls, indexes):
        self.view.called(calls, indexes)
    def ask(self, call, tool, place):
        return self.view.ask(call, tool, place)
    def end(self, reply, error):
        self.view.end(reply, time.monotonic() - self.began, model=self.model)

cells = []

async def show(question="Hi", tools=None, **options):
    global view
    chat = orchat.Chat("some/model", tools=tools, show=False)
    view = LiveView(get_ipython(), on_stop=chat.stop, on_new_cell=cells.append, **options)
    async with wake_loop_on_interrupt(), deliver_comms_while_awaiting():
        return await AsyncChatStream(chat, question, {}, Showing(view, "some/model")).drain()
"""

# A page of a busy machine is waited for.
PATIENT_VIEWS = """
from orchat.jupyter.kernel.live_view import live_view, widget_channel
widget_channel._FIRST_MESSAGE_LIMIT = live_view._FIRST_ANSWER_LIMIT = 30
"""
PATIENT_DRIVER = DRIVER + PATIENT_VIEWS
PATIENT_LOAD = PATIENT_VIEWS.strip() + "\n%load_ext orchat"
