"""What both ends of a connection hold, and whether they agree."""

from lab import Timeout, wait_until


def agreed(tern, gateway):
    """tern's status, once it is up and each side has exactly one IKE SA and one Child SA, the same
    ones; else None. The gateway is strongSwan."""
    result = tern.run("status", "--json", code=None)
    status = tern.parsed(result) if result.returncode == 0 else None
    if not status or status["state"] != "up" or len(status["children"]) != 1:
        return None
    sas = gateway.sas()
    # charon keeps what is deleted for a moment; and for good where the IKE SA is rekeyed in the
    # very moment in which its time is over ("not found for delete" in its log).
    children = [child for child in gateway.children() if child["state"] != "DELETED"]
    if len(sas) != 1 or sas[0]["state"] != "ESTABLISHED":
        return None
    if len(children) != 1 or children[0]["state"] != "INSTALLED":
        return None
    ike, (ours,) = status["ike"], status["children"]
    same = ((ike["spi_i"], ike["spi_r"]) == (sas[0]["initiator-spi"], sas[0]["responder-spi"]) and
            (ours["spi_in"], ours["spi_out"]) == (children[0]["spi-out"], children[0]["spi-in"]))
    return status if same else None


def wait_agreed(tern, gateway, timeout=15):
    try:
        return wait_until(lambda: agreed(tern, gateway), timeout,
                          "one IKE SA and one Child SA, the same ones at both ends")
    except Timeout as error:
        raise AssertionError(f"{error}:\n{tern.status()}\n{gateway.sas()}") from None


def rekeys(status):
    """(of the IKE SA, of the newest Child SA)"""
    return status["ike"]["rekeys"], max((c["rekeys"] for c in status["children"]), default=0)


def wait_rekeyed(tern, ike, child, timeout=15):
    """Until that many lie behind us, and one Child SA is left."""
    def done():
        status = tern.status()
        return (len(status["children"]) == 1 and rekeys(status) == (ike, child)) and status
    return wait_until(done, timeout, f"{ike} rekeys of the IKE SA and {child} of the child")
