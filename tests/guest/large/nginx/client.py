"""Asks the guest's nginx for 10 000 files over eight connections, and looks at every answer."""

import gzip
import http.client
import os
import threading
import time
from collections import Counter
from pathlib import Path

THREADS, REQUESTS = 8, 1250
LARGE = b"".join(b"line %d of a file that nginx sends\n" % i for i in range(1, 2001))
SMALL = b"hello from nginx\n"


def wait_for(name):
    while not os.path.exists(name):
        time.sleep(0.05)


def ask(connection, number, seen):
    """One request; its kind depends on its number."""
    path, headers, want, status = [
        ("/", {}, SMALL, 200), ("/large.txt", {}, LARGE, 200), (f"/computed?{number}", {}, b"/computed?%d 127.0.0.1\n" % number, 200),
        ("/large.txt", {"Accept-Encoding": "gzip"}, LARGE, 200), ("/proxy/index.html", {}, SMALL, 200),
        ("/", {}, SMALL, 200), ("/", {}, SMALL, 200), ("/", {}, SMALL, 200)][number % 8]
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    packed = answer.getheader("Content-Encoding") == "gzip"
    if packed != bool(headers):
        seen["wrong encoding"] += 1
    if packed:
        body = gzip.decompress(body)
    elif answer.getheader("Content-Length") != str(len(want)):
        seen["wrong length"] += 1
    seen[answer.status if answer.status == status and body == want else "wrong"] += 1
    if answer.will_close:
        connection.close()


def client(total):
    seen = Counter()
    connection = http.client.HTTPConnection("127.0.0.1", int(Path("port").read_text()), timeout=120)
    try:
        for number in range(REQUESTS // 2):
            ask(connection, number, seen)
        half.wait()
        if threading.current_thread() is threads[0]:
            Path("half").touch()
            wait_for("reloaded")
        half.wait()
        connection.close()
        for number in range(REQUESTS // 2, REQUESTS):
            ask(connection, number, seen)
        connection.request("GET", "/large.txt", headers={"Range": "bytes=5-20"})
        answer = connection.getresponse()
        seen["range"] += answer.status == 206 and answer.read() == LARGE[5:21]
        for path, status in ("/none", 404), ("/moved", 301):
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            seen[path] += answer.status == status
    except Exception as error:
        seen[repr(error)] += 1
        half.abort()
    total.append(seen)


wait_for("started")
half, total = threading.Barrier(THREADS), []
threads = [threading.Thread(target=client, args=(total,)) for _ in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
text = "".join(f"{what}: {count}\n" for what, count in sorted(sum(total, Counter()).items(), key=str))
Path("done.new").write_text(text)
Path("done.new").rename("done")
