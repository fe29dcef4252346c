"""What a torment needs and this machine does not have."""

import os
import shutil
import subprocess


class Missing(Exception):
    """The torment is skipped, and says why."""


def need_root():
    if os.geteuid() != 0:
        raise Missing("it needs root")


def need(*commands):
    lacking = [command for command in commands if not shutil.which(command)]
    if lacking:
        raise Missing("there is no " + ", ".join(lacking))


def run(*command):
    """Runs a command that must succeed where the facility is there."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Missing(f"`{' '.join(command)}` fails: {(done.stderr or done.stdout).strip()[:200]}")
    return done.stdout
