"""Calls between baresip and linphonec through the server, each with a watcher of the called phone's lamp."""

import baresip
import linphone
from checks import check
from stage import Stage
from watcher import HELD, IDLE, RINGING, UP


def call_hold_resume_and_hang_up(run, name, caller, called):
    with Stage(run, name) as stage:
        alice, bob = stage.start(caller=caller, called=called)
        alice.dial(stage.extension)
        stage.lamp.sees(RINGING)
        bob.accept()
        stage.lamp.sees(UP)
        bob.hold()
        stage.lamp.sees(HELD)
        bob.resume()
        stage.lamp.sees(UP)
        alice.hang_up()
        stage.lamp.sees(IDLE, why="remote-bye")
        # Once more, and refused.
        alice.dial(stage.extension)
        stage.lamp.sees(RINGING)
        bob.hang_up()
        stage.lamp.sees(IDLE, why="rejected")


@check
def baresip_calls_baresip(run):
    call_hold_resume_and_hang_up(run, "bare", baresip, baresip)


@check
def baresip_calls_linphone(run):
    call_hold_resume_and_hang_up(run, "mixed", baresip, linphone)
