"""The points at which rackfish dies, by scenario: each step of each plan, and the override's own three."""

from dataclasses import dataclass, field

# Steps whose command to a device has a point of its own, between sending it and seeing what it brought.
SENT = {"supply-on", "supply-off", "host-off", "host-on", "host-reset", "host-cycle", "soft-off"}


@dataclass(frozen=True)
class Scenario:
    """A Reset of a kind of node from a state; `brings` are the transitions that it may make, once."""

    name: str
    kind: str
    reset: str
    steps: tuple[str, ...]
    on: bool = True
    dark: bool = False
    brings: dict[str, int] = field(default_factory=dict)
    # A step that can't be verified and is never sent twice: after a death right before it nobody knows.
    blind: str | None = None


SCENARIOS = (
    Scenario("pdu.restart", "pdu", "ForceRestart", ("supply-off", "boot", "supply-on", "started"),
             brings={"off": 1, "on": 1}),
    Scenario("pdu.on", "pdu", "On", ("boot", "supply-on", "started"), on=False, brings={"on": 1}),
    Scenario("ipmi.restart", "ipmi", "ForceRestart", ("boot", "host-reset", "started"), brings={"reset": 1},
             blind="host-reset"),
    Scenario("ipmi.cycle", "ipmi", "PowerCycle", ("boot", "host-cycle", "started"), brings={"off": 1, "on": 1},
             blind="host-cycle"),
    Scenario("ipmi.on", "ipmi", "On", ("controller", "boot", "host-on", "started"), on=False, brings={"on": 1}),
    Scenario("ipmi.graceful", "ipmi", "GracefulRestart", ("soft-off", "controller", "boot", "host-on", "started"),
             brings={"off": 1, "on": 1}),
    Scenario("mixed.dark", "mixed", "On", ("supply-on", "controller", "boot", "host-on", "started"),
             on=False, dark=True, brings={"on": 1, "mains_on": 1}),
    Scenario("mixed.full", "mixed", "FullPowerCycle",
             ("supply-off", "supply-on", "controller", "boot", "host-on", "started"),
             brings={"off": 1, "on": 1, "mains_off": 1, "mains_on": 1}),
)


def points(scenario: Scenario) -> list[str]:
    """All points that this scenario passes."""
    found = []
    for step in scenario.steps:
        found.append(f"{step}.intent")
        if step in SENT:
            found.append(f"{step}.sent")
        found.append(f"{step}.done")
    return ["override.armed", *found, "override.firing", "override.used"]


def allowed(scenario: Scenario, point: str) -> list[dict[str, int]]:
    """What may have been counted in the end."""
    nothing = {name: 0 for name in ("on", "off", "reset", "mains_on", "mains_off")}
    full = {**nothing, **scenario.brings}
    if scenario.kind == "pdu":
        full["mains_on"], full["mains_off"] = full["on"], full["off"]
    if scenario.blind and point == f"{scenario.blind}.intent":
        return [full, nothing]
    return [full]
