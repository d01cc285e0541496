"""Who enters passwords, passphrases and PINs in the tests: a program that TERN_ASKPASS names, or
somebody at a terminal."""

import os
import re
import select
import termios


def askpass(tern, *answers):
    """A program that says one after the other, and notes what it was asked."""
    directory = tern.directory / "askpass"
    directory.mkdir()
    for number, answer in enumerate(answers):
        (directory / str(number)).write_text(answer)
    program = directory / "ask"
    program.write_text("#!/bin/sh\n"
                       f"cd {directory} || exit 1\n"
                       "echo \"$1\" >>asked\n"
                       "n=$(($(wc -l <asked) - 1))\n"
                       "[ -e $n ] || exit 1\n"
                       "cat $n\n")
    program.chmod(0o755)
    return {"TERN_ASKPASS": str(program)}, directory / "asked"


def on_terminal(lab, tern, profile, *answers, code=0, command="up"):
    """What a person sees who enters that, each at a question."""
    master, slave = os.openpty()
    options = ("--timeout", 20, "--log-level", "debug", "--log-file", tern.log)
    child = lab.client.spawn("setsid", "-c", "-w", *tern.command(
        command, profile, *(options if command == "up" else ())),
        env=tern.env, stdin=slave, stdout=slave, stderr=slave)
    seen = b""
    try:
        for answer in answers:
            start = len(seen)
            while not re.search(rb" for office( \(.*\))?: ", seen[start:]):
                ready, _, _ = select.select([master], [], [], 20)
                assert ready, seen
                seen += os.read(master, 4096)
            os.write(master, answer)
        assert child.wait(30) == code, seen
        while select.select([master], [], [], 0)[0]:
            seen += os.read(master, 4096)
        attributes = termios.tcgetattr(slave)
        assert attributes[3] & termios.ECHO, "the terminal does not show what is entered"
    finally:
        os.close(slave)
        os.close(master)
    return seen.decode(errors="replace")
