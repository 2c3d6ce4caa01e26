"""Everything that was found to knock the server over, at once: how much memory it takes, and who is still answered.

    python benchmarks/siege.py FOLDER [SECONDS]

Ingests the folder with the bundled pair into a store that is thrown away, starts the installed `query serve`, and goes
at it over the loopback, from one address: silent connections, dribbled bodies, originals that nobody reads, JPEGs of
many scans, WebPs of 196 megapixels, and thumbnails of a file that became one of 520. Meanwhile an honest client asks.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from PIL import Image

SCRIPTS = Path(sys.executable).parent
JPEG = {"Content-Type": "image/jpeg"}
SILENT, DRIBBLING, UNREAD, SENDING = 520, 64, 499, 8
MEMORY_MB = 1000


def main(folder: Path, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as place:
        pictures = Path(place, "pictures")
        shutil.copytree(folder, pictures)
        bombed = pictures / "zz-bombed.png"
        Image.new("RGB", (64, 64), "red").save(bombed)
        large = pictures / "zz-large.bmp"
        Image.effect_noise((2000, 2000), 90).convert("RGB").save(large)
        os.environ["WORDSIGHT_STORE"] = str(Path(place) / "store")
        subprocess.run([SCRIPTS / "ingest", "run", pictures, "--offline", "--collection", "siege"], check=True)
        Image.new("1", (26000, 20000)).save(bombed)
        server = subprocess.Popen([SCRIPTS / "query", "serve", "--port", "0"], stderr=subprocess.PIPE)
        try:
            told = server.stderr.readline().decode() if server.stderr else ""
            address = re.findall(r"http://\S+/", told)
            if not address:
                sys.exit(f"it did not start: {told}")
            besiege(address[0], server.pid, seconds)
        finally:
            server.terminate()
            server.wait()


def besiege(address: str, server: int, seconds: float) -> None:
    ids = {}
    with httpx.Client(base_url=address, timeout=60) as client:
        for one in client.get("/api/v1/pictures", params={"limit": 200, "sort": "-date"}).json()["results"]:
            ids[one["path"]] = one["id"]
        print(f"{memory(server):.0f} MB before; load {os.getloadavg()[0]:.1f}")
        calm, _ = honest(client, list(ids.values()), 3.0, Counter())
    over = threading.Event()
    peak = [0.0]
    answered: Counter[str] = Counter()

    def watch() -> None:
        while not over.wait(0.1):
            peak[0] = max(peak[0], memory(server))

    scans, scans_few = of_many_scans(300), of_many_scans(60)
    webp = encoded(Image.new("RGB", (16383, 12000)), "WEBP", quality=1, method=0)
    attacks: list[Callable[[], None]] = [
        lambda: hold(address, SILENT, b"", over),
        lambda: dribble(address, over),
        lambda: hold(address, UNREAD, request(address, f"GET /api/v1/pictures/{ids['zz-large.bmp']}/original"), over),
        *[lambda: send(address, scans, over, answered)] * 2,
        *[lambda: send(address, scans_few, over, answered)] * 2,
        *[lambda: send(address, webp, over, answered)] * SENDING,
        lambda: look(address, ids["zz-bombed.png"], over, answered),
    ]
    threads = [threading.Thread(target=target) for target in (watch, *attacks)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    honest_statuses: Counter[str] = Counter()
    with httpx.Client(base_url=address, timeout=60) as client:
        times, failed = honest(client, list(ids.values()), seconds, honest_statuses)
    over.set()
    for thread in threads:
        thread.join()
    for name, took in times.items():
        quiet = statistics.median(calm[name]) * 1000
        print(
            f"{name}: {len(took)} asked, median {statistics.median(took) * 1000:.0f} ms (quiet {quiet:.0f}), "
            f"slowest {max(took) * 1000:.0f} ms"
        )
    print(f"{seconds:.0f} s; load {os.getloadavg()[0]:.1f}")
    print(f"honest: {dict(honest_statuses)}; not answered: {failed}")
    print(f"attackers were told: {dict(answered)}")
    print(f"memory at the peak, server and decoders together: {peak[0]:.0f} MB (at most {MEMORY_MB} wanted)")
    time.sleep(5)
    print(f"{memory(server):.0f} MB afterwards")


def honest(
    client: httpx.Client, ids: list[str], seconds: float, statuses: Counter[str]
) -> tuple[dict[str, list[float]], int]:
    """The times of each kind of question, and how many were not answered at all."""
    picture = encoded(Image.effect_noise((600, 400), 90), "JPEG")
    kinds: dict[str, Callable[[int], httpx.Response]] = {
        "livez": lambda _: client.get("/livez"),
        "text": lambda turn: client.get("/api/v1/text", params={"q": ("ocean", "boat", "dog")[turn % 3]}),
        "thumbnail": lambda turn: client.get(f"/api/v1/pictures/{ids[turn % len(ids)]}/thumbnail?size=512"),
        "upload": lambda _: client.post("/api/v1/uploads", content=picture, headers=JPEG),
    }
    times: dict[str, list[float]] = {name: [] for name in kinds}
    failed, turn = 0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name, ask in kinds.items():
            begun = time.perf_counter()
            try:
                statuses[f"{name} {ask(turn).status_code}"] += 1
            except httpx.HTTPError:
                failed += 1
            times[name].append(time.perf_counter() - begun)
        turn += 1
    return times, failed


def encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def of_many_scans(scans: int) -> bytes:
    data = encoded(Image.new("L", (14000, 3000), 128), "JPEG", progressive=1)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * (scans - data.count(b"\xff\xda")) + data[-2:]


def request(address: str, line: str, *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", f"Host: {urlsplit(address).netloc}", *headers, "", ""]).encode()


def connection(address: str) -> socket.socket:
    parts = urlsplit(address)
    return socket.create_connection((parts.hostname, parts.port), timeout=30)


def hold(address: str, number: int, begin: bytes, over: threading.Event) -> None:
    """So many connections, renewed when the server ends them."""
    while not over.is_set():
        with ExitStack() as stack:
            for _ in range(number):
                with suppress(OSError):
                    stack.enter_context(made := connection(address))
                    made.sendall(begin)
                if over.is_set():
                    return
            over.wait(5)


def dribble(address: str, over: threading.Event) -> None:
    begin = request(address, "POST /api/v1/uploads", "Content-Type: image/jpeg", "Content-Length: 9000000")
    while not over.is_set():
        with ExitStack() as stack:
            slow = []
            for _ in range(DRIBBLING):
                with suppress(OSError):
                    slow.append(stack.enter_context(connection(address)))
                    slow[-1].sendall(begin)
            for _ in range(10):
                for one in slow:
                    with suppress(OSError):
                        one.sendall(b"x")
                if over.wait(0.5):
                    return


def send(address: str, data: bytes, over: threading.Event, answered: Counter[str]) -> None:
    with httpx.Client(base_url=address, timeout=60) as client:
        while not over.is_set():
            with suppress(httpx.HTTPError):
                answer = client.post("/api/v1/uploads", content=data, headers=JPEG)
                answered[f"{answer.status_code} {answer.json().get('code')}"] += 1


def look(address: str, id: str, over: threading.Event, answered: Counter[str]) -> None:
    with httpx.Client(base_url=address, timeout=60) as client:
        while not over.wait(0.05):
            with suppress(httpx.HTTPError):
                answered[f"thumbnail {client.get(f'/api/v1/pictures/{id}/thumbnail').status_code}"] += 1


def memory(server: int) -> float:
    """MB of a process and all below it, what they share counted once (PSS)."""
    total = 0
    for pid in family(server):
        with suppress(OSError):
            found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
            total += int(found[1]) if found else 0
    return total / 1000


def family(pid: int) -> list[int]:
    """It and its descendants."""
    children: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += map(int, (task / "children").read_text().split())
    return [pid, *(one for child in children for one in family(child))]


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 20.0)
