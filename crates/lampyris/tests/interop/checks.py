"""The list of checks; each module adds its own with `@check`."""

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function
