from __future__ import annotations
def tell(passed, size, plots): return ""
