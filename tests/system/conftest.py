"""The suite moves itself into namespaces: whoever runs pytest needs no root, and the machine's own
routes, rules, addresses and resolver are compared before and after from outside. Where several tests
run at a time (pytest-xdist, -n), each worker has namespaces of its own, and sees no process and no
network of the others'."""

import os
import pathlib
import pwd
import shlex
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import lab as lab_module  # noqa: E402
from client import Tern  # noqa: E402
from gateway import TernGateway  # noqa: E402
from pki import Pki  # noqa: E402
from strongswan import StrongSwan  # noqa: E402
from traffic import Intranet  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]


def pytest_addoption(parser):
    parser.addoption("--build", default=os.environ.get("TERN_BUILD", str(ROOT / "build/release")),
                     help="the build directory whose tern and tern-gateway are tested")
    parser.addoption("--sanitize", action="store_true",
                     help="a selection for slower binaries: what is marked `sanitize`")
    parser.addoption("--size", type=int, default=100, help="megabytes of each transfer")
    parser.addoption("--full", action="store_true",
                     help="all repetitions: 100 IKE and 1000 Child SA rekeys, and the like")


def pytest_configure(config):
    config.addinivalue_line("markers", "sanitize: also worth running with the sanitizers")
    config.addinivalue_line("markers", "slow: takes more than ten seconds; begun first by workers")
    directory = pathlib.Path(config.getoption("--build")).resolve()
    for name in ("tern", "tern-gateway", "tern-link"):
        if not (directory / name).exists():
            pytest.exit(f"{directory}/{name} is not built", returncode=2)
    os.environ["TERN_BUILD"] = str(directory)
    if lab_module.inside():
        separate_workers(config)
        return
    # Everybody is root inside; pytest names its directory below /tmp after the user, who shall not
    # meet there what belongs to the machine's root or to another user.
    try:
        os.environ["LOGNAME"] = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        os.environ["LOGNAME"] = str(os.getuid())
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture:
        capture.suspend_global_capture(in_=True)
    code = lab_module.enter([sys.executable, "-m", "pytest", *config.invocation_params.args],
                            cwd=config.invocation_params.dir)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def separate_workers(config):
    """-n is a list of workers to be started by now; in a worker itself it is empty."""
    workers = config.getoption("tx", None)
    if workers:
        worker = shlex.join(lab_module.separate([sys.executable, "-B"]))
        config.option.tx = [f"popen//python={worker}"] * len(workers)


def pytest_collection_modifyitems(config, items):
    # The slow ones first: no worker has to be waited for at the end.
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    if not config.getoption("--sanitize"):
        return
    selected = [i for i in items if i.get_closest_marker("sanitize")]
    dropped = [i for i in items if not i.get_closest_marker("sanitize")]
    config.hook.pytest_deselected(items=dropped)
    items[:] = selected


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the last lines of every program's log in its lab."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and call.when in ("setup", "call"):
        directory = item.funcargs.get("tmp_path")
        for path in sorted(directory.rglob("*.log")) if directory else ():
            lines = path.read_text(errors="replace").splitlines()[-60:]
            report.sections.append((str(path.relative_to(directory)), "\n".join(lines)))


@pytest.fixture(scope="session")
def build():
    return pathlib.Path(os.environ["TERN_BUILD"])


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def authority(pki):
    """Where it does not matter which."""
    return pki.authority("ecdsa256")


@pytest.fixture
def lab(request, tmp_path):
    """The four machines; @pytest.mark.parametrize or `indirect` may ask for a NAT."""
    with lab_module.Lab(nat=getattr(request, "param", None) == "nat", directory=tmp_path) as it:
        yield it


@pytest.fixture
def strongswan(request, lab):
    """`indirect` may add settings."""
    with StrongSwan(lab.gateway, settings=getattr(request, "param", "")) as it:
        yield it


@pytest.fixture
def tern(lab, build):
    """The client on the lab's client machine."""
    with Tern(lab.client, build) as it:
        yield it


@pytest.fixture
def tern_gateway(lab, build):
    with TernGateway(lab.gateway, build) as it:
        yield it


@pytest.fixture
def intranet(lab):
    with Intranet(lab.intranet) as it:
        yield it


@pytest.fixture(scope="session")
def transfer_size(request):
    return request.config.getoption("--size") * 1_000_000


@pytest.fixture(scope="session")
def full(request):
    return request.config.getoption("--full")
