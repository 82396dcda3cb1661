"""What a kernel of `deaf_kernel` runs when it starts: it writes the stacks of its threads at each SIGUSR1."""

import faulthandler
import os
import signal
from pathlib import Path

from ipykernel.kernelapp import IPKernelApp

_kernel = Path(IPKernelApp.instance().connection_file).stem
_path = Path(os.environ["KERNEL_STACKS"], f"{_kernel}.{os.getpid()}")
faulthandler.register(signal.SIGUSR1, os.open(_path, os.O_WRONLY | os.O_CREAT))
