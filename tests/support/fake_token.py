#!/usr/bin/python3
"""A tern-token for tests, with a card of three tries: speaks client/token/protocol.h on its standard
input. Beside it lie card.pin, card.tries (how many are left), card.der (one certificate or several,
card.1.der, ...), and card.key, which signs. What it was asked it notes in card.log.

Where a file card.pinpad is, PINs are entered there, and so is what it holds."""

import pathlib
import socket
import struct
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
KEY, PINPAD, WRONG, FEW, LAST, LOCKED, PSS = 1, 2, 4, 8, 16, 32, 64
OPEN, LOGIN, CERTIFICATE, SIGN = range(1, 5)
STATUS, DER, SIGNATURE, FAULT = range(65, 69)
LABEL = b"fake\x1b[31m card"


class Card:
    def __init__(self):
        self.logged_in = not (HERE / "card.pin").exists()

    def status(self, wrong=False):
        tries = int((HERE / "card.tries").read_text())
        flags = (KEY if self.logged_in else 0) | (WRONG if wrong else 0)
        flags |= {0: LOCKED, 1: LAST, 2: FEW}.get(tries, 0)
        flags |= PINPAD if (HERE / "card.pinpad").exists() else 0
        return bytes([STATUS, flags]) + struct.pack(">H", len(LABEL)) + LABEL

    def login(self, pin):
        tries = int((HERE / "card.tries").read_text())
        if (HERE / "card.pinpad").exists():
            pin = (HERE / "card.pinpad").read_bytes()
        good = tries > 0 and pin == (HERE / "card.pin").read_bytes()
        (HERE / "card.tries").write_text("3" if good else str(max(tries - 1, 0)))
        self.logged_in = good
        return self.status(not good)

    def certificate(self, index):
        path = HERE / ("card.der" if index == 0 else f"card.{index}.der")
        return bytes([DER]) + (path.read_bytes() if path.exists() else b"")

    def sign(self, body):
        """ECDSA on P-256 alone."""
        made = subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", HERE / "card.key"],
                              input=body[4:], capture_output=True, check=True).stdout
        at, raw = 2, b""
        for _ in "rs":
            length = made[at + 1]
            raw += made[at + 2:at + 2 + length].lstrip(b"\0").rjust(32, b"\0")
            at += 2 + length
        return bytes([SIGNATURE]) + raw

    def answer(self, message):
        kind, body = message[0], message[1:]
        with open(HERE / "card.log", "a", encoding="ascii") as log:
            log.write({OPEN: "open", LOGIN: f"login {len(body)}", CERTIFICATE: "certificate",
                       SIGN: "sign"}[kind] + "\n")
        if kind == OPEN:
            return self.status()
        if kind == LOGIN:
            return self.login(body)
        if kind == CERTIFICATE:
            return self.certificate(*struct.unpack(">H", body))
        return self.sign(body)


def main():
    peer = socket.socket(fileno=0)
    card = Card()
    while message := peer.recv(16384):
        peer.send(card.answer(message))


main()
