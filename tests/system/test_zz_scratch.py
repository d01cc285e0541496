import pytest, re, json
import test_ecn as T
from lab import wait_until
@pytest.mark.parametrize("n", range(80))
def test_x(request, lab, tern, n):
    T.start(request, "strongswan")
    with lab.client.capture("up0") as outer, lab.intranet.capture("lan0") as arrived:
        T.up(lab, tern, 1)
        got = T.ping_all(lab.client, lab.INTRANET)
    if got != T.MARKS * 2:
        for name, c in (("outer", outer), ("arrived", arrived)):
            import subprocess
            print(name, subprocess.run(["tshark", "-n", "-t", "ad", "-r", str(c.path)], capture_output=True, text=True).stdout)
        print(tern.log.read_text())
        print(json.dumps(tern.status(), indent=1))
        assert 0, got
