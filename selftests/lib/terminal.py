# SPDX-License-Identifier: GPL-2.0-only
"""A shell of a guest on the terminal of this program."""

import os
import select
import termios
import tty

import vm


def interactive(guest):
    """A shell on this terminal; returns its exit code."""
    size = os.get_terminal_size(0) if os.isatty(0) else (80, 24)
    env = {"TERM": os.environ.get("TERM", "dumb"), "COLUMNS": size[0],
           "LINES": size[1]}
    command = guest.spawn(f"stty cols {size[0]} rows {size[1]}; exec bash -i",
                          env=env, pty=True, sink=vm.echo_sink)
    saved = termios.tcgetattr(0) if os.isatty(0) else None
    try:
        if saved:
            tty.setraw(0)
        while command.running:
            if select.select([0], [], [], 0.1)[0]:
                data = os.read(0, 4096)
                # End of a piped input: what Ctrl-D is on a terminal.
                command.write(data or b"\4")
                if not data:
                    break
        return command.wait(3600).rc
    finally:
        if saved:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)
