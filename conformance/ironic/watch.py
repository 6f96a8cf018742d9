"""Looks over Ironic's shoulder while the suite runs: no node may ever be put into maintenance."""

import threading

from api import Api


class Watch(threading.Thread):
    """Notes every node that is seen in maintenance, with Ironic's reason."""

    def __init__(self, api: Api) -> None:
        super().__init__(daemon=True)
        self._api, self._end, self._seen = api, threading.Event(), {}

    def run(self) -> None:
        while not self._end.wait(2):
            try:
                nodes = self._api.call("GET", "/v1/nodes/detail")["nodes"]
            except Exception:  # noqa: BLE001  the suite's own checks tell when Ironic does not answer
                continue
            for node in nodes:
                if node["maintenance"] or node["fault"]:
                    self._seen[node["name"]] = node["fault"] or node["maintenance_reason"]

    def stop(self) -> list[str]:
        """Ends the watch. Returns what was seen."""
        self._end.set()
        self.join(10)
        return [f"{name}: {reason}" for name, reason in self._seen.items()]
