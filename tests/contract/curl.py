"""As much of curl as the README uses, for machines that have none: `python curl.py [-sS] [-X …] … URL`."""

import sys
import urllib.error
import urllib.request
from argparse import ArgumentParser, Namespace
from pathlib import Path

BOUNDARY = "----a-boundary-that-no-sample-contains"


def arguments() -> Namespace:
    parser = ArgumentParser(prog="curl")
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-S", action="store_true")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-X", dest="method")
    parser.add_argument("-d", dest="data")
    parser.add_argument("-F", dest="part")
    parser.add_argument("-r", dest="range")
    parser.add_argument("-w", dest="write_out", default="")
    parser.add_argument("url")
    return parser.parse_args()


def request_of(given: Namespace) -> urllib.request.Request:
    headers = dict(header.split(": ", 1) for header in given.headers)
    body = given.data.encode() if given.data is not None else None
    if given.part:
        body = multipart(given.part)
        headers["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"
    if given.range:
        headers["Range"] = f"bytes={given.range}"
    method = given.method or ("GET" if body is None else "POST")
    return urllib.request.Request(given.url, data=body, headers=headers, method=method)


def multipart(part: str) -> bytes:
    """`name=@path` as the one part of a form."""
    name, _, path = part.partition("=@")
    head = f'Content-Disposition: form-data; name="{name}"; filename="{Path(path).name}"'
    begin = f"--{BOUNDARY}\r\n{head}\r\nContent-Type: application/octet-stream\r\n\r\n"
    return begin.encode() + Path(path).read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()


def main() -> None:
    given = arguments()
    try:
        with urllib.request.urlopen(request_of(given), timeout=60) as answer:
            status, body = answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            status, body = refused.code, refused.read()
    sys.stdout.buffer.write(body)
    sys.stdout.write(given.write_out.replace("%{http_code}", str(status)).replace("\\n", "\n"))


if __name__ == "__main__":
    main()
