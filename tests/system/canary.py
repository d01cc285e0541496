"""Secrets that must be nowhere, and a machine that must be as it was."""

import pathlib

import pytest

# Looked for in every log and every capture.
CANARY = "kanarienvogel-7Zq!"
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")


def assert_untold(lab, *secrets):
    """In no log of anybody's, at the level of debugging, nor on the wire in any of its forms."""
    needles = [text.encode(encoding) for text in secrets for encoding in ENCODINGS]
    needles += [needle.hex().encode() for needle in needles]
    for path in pathlib.Path(lab.client.directory).parent.rglob("*"):
        if path.is_file() and path.suffix in (".log", ".pcap", ".pcapng", ".err", ".json"):
            content = path.read_bytes()
            assert not any(needle in content for needle in needles), path


@pytest.fixture(autouse=True)
def nothing_is_left(lab, tern):
    """Around each test of a module that imports it."""
    before = lab.client.state()
    yield
    if tern.pids():
        tern.down()
        tern.wait_gone()
    assert lab.client.state() == before
    assert_untold(lab, CANARY)
