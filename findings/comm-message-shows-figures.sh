#!/usr/bin/env bash
# With ipykernel 7.4.0, comm 0.2.3 and matplotlib-inline 0.2.2 a message of any comm shows and closes the figures that a
# thread is still drawing, below whatever sent the message.
#
# The package comm triggers IPython's event "post_execute" after each message that it delivers, as after a cell. There
# the inline backend shows all open figures of pyplot, and closes them. A click on a widget, or a page that asks a
# widget for its state, so takes the figure out of the hands of a thread, which goes on in a new, empty one: its title
# stands in another figure than its lines, and the first one belongs to the widget's message, where no cell shows it.
#
# Seen:
#   figures of the thread: [1] before the message, [] after it
#   picture below:         comm_msg
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q ipykernel==7.4.0 ipython==9.18.1 comm==0.2.3 matplotlib-inline==0.2.2 \
  matplotlib==3.11.2 jupyter_client==8.10.0
cat > "$dir/figures.py" <<'PYTHON'
import time

from jupyter_client.manager import start_new_kernel

DRAW = """
import threading
import matplotlib.pyplot as pyplot
from comm import create_comm
comm = create_comm(target_name="any")
comm.on_msg(lambda message: None)
drawn, go_on, seen = threading.Event(), threading.Event(), []
def draw():
    pyplot.plot([1, 2, 3])
    seen.append(pyplot.get_fignums())
    drawn.set()
    go_on.wait(60)
    seen.append(pyplot.get_fignums())
thread = threading.Thread(target=draw)
"""
manager, client = start_new_kernel()
try:
    client.execute_interactive(DRAW, output_hook=lambda message: None)
    # The thread draws when this cell has ended: a cell would show the figure, too.
    client.execute_interactive("threading.Timer(1, thread.start).start()", output_hook=lambda message: None)
    comm_id = []
    client.execute_interactive(
        "print(comm.comm_id, end='')",
        output_hook=lambda m: m["msg_type"] == "stream" and comm_id.append(m["content"]["text"]),
    )
    time.sleep(4)  # drawn by now
    message = client.session.msg("comm_msg", {"comm_id": comm_id[0], "data": {}})
    client.shell_channel.send(message)
    below = None
    while below is None:
        told = client.get_iopub_msg(timeout=30)
        if told["msg_type"] == "display_data" and "image/png" in told["content"]["data"]:
            below = told["parent_header"]["msg_type"]
    found = []
    client.execute_interactive(
        "go_on.set(); thread.join(); print(*seen, end='')",
        output_hook=lambda m: m["msg_type"] == "stream" and found.append(m["content"]["text"]),
    )
    before, after = found[0].replace("] [", "]|[").split("|")
    print(f"figures of the thread: {before} before the message, {after} after it\npicture below:         {below}")
    assert (before, after, below) == ("[1]", "[]", "comm_msg"), "a message of a comm leaves the figures alone now"
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
PYTHON
"$dir/venv/bin/python" "$dir/figures.py"
