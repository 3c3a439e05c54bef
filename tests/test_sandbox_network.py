"""A worker of the sandbox talks to nobody over a network or a socket."""

import errno
import socket
from collections.abc import Iterator

import pytest

from helpers.labs import REFUSED, ask, linux_only, skip_without


@pytest.fixture
def server() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@linux_only
@pytest.mark.parametrize("only", [("seccomp",), ("namespaces",), ("landlock",), None])
def test_a_server_on_this_machine_is_out_of_reach(labs, only, offered, server):
    """No submission talks to anybody over the network, by each layer of it alone."""
    skip_without(offered, only[0] if only else "seccomp")
    lab = labs(*only) if only else labs(everything=True)
    code = f"import socket; socket.create_connection(('127.0.0.1', {server}), 2)"
    assert lab.run(code).get("number") in REFUSED


def test_the_server_of_these_tests_is_within_reach_without_the_layers(labs, server):
    """Else the test above would prove nothing."""
    code = f"import socket; socket.create_connection(('127.0.0.1', {server}), 2)"
    assert labs("limits").run(code) == {"result": None}


@linux_only
def test_no_socket_of_any_kind_by_the_filter_alone(labs, offered):
    """Kinds without an address, such as netlink and packets, are refused too, and pairs."""
    skip_without(offered, "seccomp")
    with labs("seccomp").worker() as worker:
        for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, 16, 17, 38):
            code = f"import socket; socket.socket({int(family)}, socket.SOCK_DGRAM)"
            assert ask(worker, code).get("number") == errno.EPERM
        assert ask(worker, "import socket; socket.socketpair()").get("number") == errno.EPERM
