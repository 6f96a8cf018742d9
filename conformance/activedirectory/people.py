"""Run by the system's Python, which has Samba's library: makes the people and groups of the domain, or changes them.

    people.py SMB.CONF < COMMANDS     one JSON list a line: ["user", NAME, PASSWORD], ["group", NAME],
                                      ["member", GROUP, NAME], ["disable", NAME], ["expire", NAME], ["change", NAME]
"""

import json
import sys

from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB


def main() -> None:
    """Carries out the commands."""
    settings = LoadParm()
    settings.load(sys.argv[1])
    domain = SamDB(session_info=system_session(), lp=settings)
    named = "(sAMAccountName={})".format
    commands = {
        "user": domain.newuser,
        "group": domain.newgroup,
        "member": lambda group, name: domain.add_remove_group_members(group, [name], add_members_operation=True),
        "disable": lambda name: domain.disable_account(named(name)),
        # In the past from now on.
        "expire": lambda name: domain.setexpiry(named(name), -3600),
        # Has to change the password at the next login.
        "change": lambda name: domain.force_password_change_at_next_login(named(name)),
    }
    for line in sys.stdin:
        command, *rest = json.loads(line)
        commands[command](*rest)


if __name__ == "__main__":
    main()
