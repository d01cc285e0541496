"""The story that tools/demo tells: a client, a gateway, a page behind it, and a bystander."""

import pathlib
import struct
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/system"))

import lab as lab_module  # noqa: E402
from gateway import TernGateway, certificate_config  # noqa: E402
from pki import Pki  # noqa: E402
from lab import Lab, wait_until  # noqa: E402

PAGE = "The terns are back from the south."
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


def packets(path):
    """What a capture holds, counted by kind."""
    data = path.read_bytes()[24:]
    counts = {}
    while data:
        length = struct.unpack_from("<I", data, 8)[0]
        kind = kind_of(data[16:16 + length])
        counts[kind] = counts.get(kind, 0) + 1
        data = data[16 + length:]
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


def story(build):
    tern = build / "tern"
    with Lab() as lab:
        directory = lab.directory
        runtime = {"TERN_RUNTIME_DIR": str(directory / "run")}
        before = lab.client.state()
        say("Four machines, each a network namespace; nobody here is root.")
        show("client 192.0.2.10 --- router --- gateway 203.0.113.1 | 10.9.0.1 --- "
             "intranet 10.9.0.80")

        say("Behind the gateway there is a web page.")
        www = directory / "www"
        www.mkdir()
        (www / "index.html").write_text(f"<h1>{PAGE}</h1>\n")
        lab.intranet.spawn(sys.executable, "-m", "http.server", "80", "--bind", "10.9.0.80",
                           "--directory", www, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        curl = ("curl", "-sS", "--max-time", "5", "http://10.9.0.80/")
        wait_until(lambda: lab.intranet.run(*curl, check=False).returncode == 0, 10, "the page")
        show("The client cannot reach it:")
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
            profile.write_text(PROFILE.format(address=Lab.GATEWAY[0], ca=authority.file,
                                              certificate=ours.chain_file, key=ours.key_file))
            show("The client's profile:")
            show("".join(f"  {line}\n" for line in profile.read_text().splitlines()))

            with (lab.client.capture("up0") as outside, lab.intranet.capture("lan0") as within):
                say("The client connects; meanwhile somebody listens on its cable.")
                up = command(lab.client, tern, "up", profile, env=runtime)
                expect(up.returncode == 0, f"tern up ended with {up.returncode}")

                say("Through the tunnel, the same page:")
                page = command(lab.client, *curl)
                expect(PAGE in page.stdout, "the page did not arrive")

                say("What the client has to say about it:")
                status = command(lab.client, tern, "status", env=runtime)
                expect(status.returncode == 0, "tern status failed")

                say("And it leaves.")
                down = command(lab.client, tern, "down", env=runtime)
                expect(down.returncode == 0, "tern down failed")

        say("What the listener on the client's cable saw:")
        counts = packets(outside.path)
        show("\n".join(f"{count:6}  {kind}" for kind, count in sorted(counts.items())))
        expect(counts.get("ESP (UDP 4500)", 0) > 0, "no ESP crossed the wire")
        expect("other" not in counts, "something besides IKE and ESP crossed the wire")
        expect(within.contains(PAGE.encode()), "the page is not on the intranet's own cable")
        expect(not outside.contains(PAGE.encode()), "the page could be read on the wire")
        show(f'"{PAGE}" is to be found on the intranet\'s cable, and not on this one.')
        expect(lab.client.state() == before, "the client's routes, rules or addresses changed")
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
