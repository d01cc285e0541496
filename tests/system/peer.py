"""A program of ours that answers line by line: the other half of a test against Scapy."""

import os
import pathlib
import subprocess


class Peer:
    """NAME of the build directory, which comes from TERN_BUILD."""

    def __init__(self, name):
        self.name = name
        self.process = subprocess.Popen([pathlib.Path(os.environ["TERN_BUILD"]) / name],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(timeout=10) == 0
        self.process.stdout.close()

    def ask_line(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer, f"{self.name} died"
        return answer
