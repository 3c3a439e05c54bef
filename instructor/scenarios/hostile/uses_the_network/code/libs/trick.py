import contextlib
import socket


def listening():
    """Ports of the loopback that somebody listens on."""
    ports = {22, 25, 53, 80, 111, 443, 631, 3306, 5432, 6379, 8000, 8080, 8786, 8888, 9222}
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(name) as file:
            rows = [line.split() for line in list(file)[1:]]
            ports |= {int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A"}
    return ports


def sockets():
    """Names of local sockets, the abstract ones too."""
    with contextlib.suppress(OSError), open("/proc/net/unix") as file:
        for line in list(file)[1:]:
            parts = line.split()
            if len(parts) == 8:
                yield parts[7].replace("@", "\0", 1)


for port in listening():
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
        print(f"HOLE: connected to port {port}", flush=True)
for name in list(sockets())[:100]:
    with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(0.2)
        connection.connect(name)
        print("HOLE: connected to a local socket", flush=True)
with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_RAW, 1):
    print("HOLE: a raw socket", flush=True)
