"""Asks the web server of this container for a path; prints the answer and fails unless it is 200."""

import os
import sys
import urllib.error
import urllib.request


def main(path: str) -> int:
    url = f"http://127.0.0.1:{os.environ.get('PORT') or '7012'}{path}"
    try:
        with urllib.request.urlopen(url, timeout=4) as answer:
            sys.stdout.write(answer.read().decode() + "\n")
            return 0
    except urllib.error.HTTPError as refused:
        sys.stdout.write(refused.read().decode() + "\n")
    except OSError as unreachable:
        sys.stdout.write(f"{unreachable}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "/livez"))
