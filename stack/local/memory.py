"""How much memory the stack takes: proportional set size, so that shared pages count once."""

import contextlib
import threading

import psutil


def of_tree(root: int) -> int:
    """Bytes of a process and its descendants (PSS on Linux; elsewhere the resident size, shared pages twice)."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(root)
        for process in [parent, *parent.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                info = process.memory_full_info()
                total += getattr(info, "pss", info.rss)
    return total


class Peak:
    """Samples the tree's memory every few seconds while the `with` block runs; `bytes` is the largest sample."""

    def __init__(self, root: int, seconds: float = 6) -> None:
        self.root, self.seconds, self.bytes = root, seconds, 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._ended.is_set():
            self.bytes = max(self.bytes, of_tree(self.root))
            self._ended.wait(self.seconds)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
