"""The story that tools/demo tells: a client between two networks, a gateway, a page behind it, and a
bystander."""

import hashlib
import json
import os
import pathlib
import struct
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/system"))

import lab as lab_module  # noqa: E402
from gateway import TernGateway, certificate_config  # noqa: E402
from pki import Pki  # noqa: E402
from lab import wait_until  # noqa: E402
from roaming import PAGE, RoamingLab  # noqa: E402

BOOK_OCTETS, BOOK_RATE = 3_000_000, "600k"
PROFILE = """\
[Gateway]
Address = {address}
Identity = vpn.example.com
CA = {ca}

[Local]
Identity = alice@example.com
Authentication = certificate
Certificate = {certificate}
PrivateKey = {key}

[Tunnel]
Routes = 10.9.0.0/24, fd09::/64
DNS = off
"""
COLOUR = sys.stdout.isatty()


def say(text):
    print(f"\n\033[1m{text}\033[0m" if COLOUR else f"\n{text}", flush=True)


def show(text):
    for line in text.rstrip().splitlines():
        print("    " + line, flush=True)


def expect(condition, otherwise):
    if not condition:
        raise AssertionError(otherwise)


def command(machine, *argv, env=None):
    """Show a command as a person would type it, with what it says."""
    name = pathlib.Path(str(argv[0])).name
    print(f"    {machine.name}$ {' '.join([name, *map(str, argv[1:])])}", flush=True)
    result = machine.run(*argv, env=env, check=False, timeout=60)
    show(result.stdout + result.stderr)
    return result


def packets(path, interfaces):
    """What a capture of several interfaces (pcapng) holds, counted by interface and kind."""
    data = path.read_bytes()
    counts = {}
    while data:
        block, length = struct.unpack_from("<II", data)
        if block == 6:
            number, _, _, captured = struct.unpack_from("<IIII", data, 8)
            where = interfaces[number], kind_of(data[28:28 + captured])
            counts[where] = counts.get(where, 0) + 1
        data = data[length:]
    return counts


def kind_of(frame):
    ether_type = struct.unpack_from("!H", frame, 12)[0]
    if ether_type == 0x0806:
        return "ARP"
    if ether_type == 0x86DD:
        neighbours = frame[20] == 58 or (frame[20] == 0 and frame[54] == 58)
        return "IPv6 neighbour discovery" if neighbours else "other"
    if ether_type != 0x0800 or frame[23] != 17:
        return "other"
    header = 14 + (frame[14] & 15) * 4
    ports = struct.unpack_from("!HH", frame, header)
    payload = frame[header + 8:]
    if 500 in ports:
        return "IKE (UDP 500)"
    if 4500 in ports:
        return "IKE (UDP 4500)" if payload[:4] == bytes(4) else "ESP (UDP 4500)"
    return "other"


def handovers(lab, tern, runtime):
    status = json.loads(lab.client.run(tern, "status", "--json", env=runtime).stdout)
    return status["handovers"], status["last_handover"]


def walk(lab, tern, runtime, book):
    """From Wi-Fi to cellular and back, while the book is on its way."""
    copy = lab.directory / "book.copy"
    say("A book is fetched through the tunnel; half-way the Wi-Fi is out of range.")
    with lab.client.spawn("/usr/bin/curl", "-sS", "--limit-rate", BOOK_RATE, "-o", copy,
                          "http://10.9.0.80/book") as fetching:
        for count, text, change in ((1, "Wi-Fi is gone", lab.link_down),
                                    (2, "Wi-Fi is back", lab.link_up)):
            size = count * BOOK_OCTETS // 3
            wait_until(lambda: copy.exists() and copy.stat().st_size > size, 30, "the book")
            change("wifi")
            wait_until(lambda: handovers(lab, tern, runtime)[0] == count, 20, "a handover")
            last = handovers(lab, tern, runtime)[1]
            show(f"{text}: from {last['from']} to {last['to']}, "
                 f"nothing heard for {last['gap_ms']:.0f} ms")
        expect(fetching.wait(60) == 0, "the connection inside broke")
    same = hashlib.sha256(copy.read_bytes()).digest() == hashlib.sha256(book).digest()
    expect(same, "the book arrived changed")
    show(f"The book is here, {len(book)} octets, by one TCP connection, and each octet is right.")


def story(build):
    tern = build / "tern"
    with RoamingLab(build) as lab:
        directory = lab.directory
        runtime = {"TERN_RUNTIME_DIR": str(directory / "run")}
        before = sorted(lab.client.state().splitlines())  # a network that comes back comes last
        say("A client with two networks, a router, a gateway, an intranet; nobody here is root.")
        show("client wifi0 192.168.10.10 --\\\n"
             "                             router (NAT) --- gateway 203.0.113.1 | 10.9.0.1 --- "
             "intranet 10.9.0.80\n"
             "client cell0 100.64.20.10 ---/        25 ms each way")

        say("Behind the gateway there is a web page, and a book.")
        lab.start_intranet()
        book = os.urandom(BOOK_OCTETS)
        (directory / "www/book").write_bytes(book)
        curl = ("curl", "-sS", "--max-time", "5", "http://10.9.0.80/")
        show("The client cannot reach them:")
        expect(command(lab.client, *curl).returncode != 0, "the page is reachable without a tunnel")

        say("The gateway starts, with a certificate for vpn.example.com.")
        pki = Pki(directory)
        authority = pki.authority("ecdsa256")
        ours = pki.client("ed25519", authority=authority)
        with TernGateway(lab.gateway, build) as gateway:
            gateway.start(certificate_config(pki.gateway("ecdsa256"), authority))
            show("tern-gateway: ready")
            profile = directory / "office.conf"
            profile.touch(mode=0o600)
            profile.write_text(PROFILE.format(address=lab.GATEWAY[0], ca=authority.file,
                                              certificate=ours.chain_file, key=ours.key_file))
            show("The client's profile:")
            show("".join(f"  {line}\n" for line in profile.read_text().splitlines()))

            with lab.capture() as outside, lab.intranet.capture("lan0") as within:
                say("The client connects; meanwhile somebody listens on both its networks.")
                up = command(lab.client, tern, "up", profile, env=runtime)
                expect(up.returncode == 0, f"tern up ended with {up.returncode}")

                say("Through the tunnel, the same page:")
                page = command(lab.client, *curl)
                expect(PAGE in page.stdout, "the page did not arrive")

                walk(lab, tern, runtime, book)

                say("What the client has to say about it:")
                status = command(lab.client, tern, "status", env=runtime)
                expect(status.returncode == 0, "tern status failed")

                say("And it leaves.")
                down = command(lab.client, tern, "down", env=runtime)
                expect(down.returncode == 0, "tern down failed")

        say("What the listener on the client's networks saw:")
        counts = packets(outside.path, lab.interfaces())
        show("\n".join(f"{count:6}  {interface}  {kind}"
                       for (interface, kind), count in sorted(counts.items())))
        for interface in lab.interfaces():
            expect(counts.get((interface, "ESP (UDP 4500)"), 0) > 0, f"no ESP on {interface}")
        expect("other" not in {kind for _, kind in counts},
               "something besides IKE and ESP crossed the wire")
        expect(within.contains(PAGE.encode()), "the page is not on the intranet's own cable")
        expect(not outside.contains(PAGE.encode()), "the page could be read on the wire")
        show(f'"{PAGE}" is to be found on the intranet\'s cable, and not on these.')
        expect(sorted(lab.client.state().splitlines()) == before,
               "the client's routes, rules or addresses changed")
        show("The client's routes, rules, addresses and resolver are as they were before.")
    say("That is all. Nothing of it is left on this machine.")


def main():
    if not lab_module.inside():
        return lab_module.enter([sys.executable, "-B", __file__, *sys.argv[1:]])
    try:
        story(pathlib.Path(sys.argv[1]).resolve())
    except (AssertionError, OSError, RuntimeError, subprocess.SubprocessError) as fault:
        print(f"\ndemo failed: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
