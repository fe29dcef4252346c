"""Pickup: a third phone takes a call that rings at another, by calling `**EXTENSION`."""

import re

import baresip
import linphone
from checks import check
from programs import Failure, wait_until
from sipp_calls import ELSEWHERE
from stage import Stage, end
from watcher import DARK, IDLE, RINGING, UP


@check
def sipp_picks_up_from_linphone_by_replaces(run):
    """linphone knows Replaces: it gets the picker's INVITE with it, its person takes that, and it calls its own off."""
    with Stage(run, "replaces") as stage:
        alice, bob = stage.start(caller=linphone, called=baresip)
        alice.dial(stage.extension)
        stage.lamp.sees(RINGING)
        carol = stage.scenario("third").invite(f"**{stage.extension}").answered().person().bye()
        carol = stage.phone(carol)
        alice.accept()
        stage.lamp.sees(IDLE, why="replaced")
        bob.program.wait_for("^Reason: SIP;" + ELSEWHERE[1])
        wait_until(lambda: re.search(r"^Replaces: .*early-only", alice.messages.read_text(errors="replace"), re.M),
                   "Replaces at linphone")
        carol.act()
        carol.done()


@check
def sipp_picks_up_from_sipp_without_replaces(run):
    """The picker's call gets 480, and the call it takes comes to it, to be answered at once."""
    with Stage(run, "no-replaces") as stage:
        pickers_lamp = stage.watch(stage.user("third"))
        bob = stage.called(stage.scenario("called").register_phone().called().ring().cancelled(ELSEWHERE))
        alice = stage.phone(stage.scenario("caller").invite(stage.extension).rings().answered().person().bye())
        stage.lamp.sees(RINGING)
        carol = stage.scenario("third")
        carol.call_id = "pickup///[call_id]"
        carol.invite(f"**{stage.extension}").refused(480)
        carol.called(("Answer-Mode:", "Auto"), ("Call-Info:", "answer-after=0")).answer().is_hung_up()
        carol = stage.phone(carol)
        stage.lamp.sees(IDLE, why="cancelled")
        pickers_lamp.sees(UP)
        alice.act()
        pickers_lamp.sees(DARK)
        end(alice, bob, carol)


@check
def linphone_picks_up_from_baresip_without_replaces(run):
    """baresip knows no Replaces either; linphone does not answer by itself, so its person does."""
    with Stage(run, "bare-pickup") as stage:
        pickers_lamp = stage.watch(stage.user("third"))
        alice, bob, carol = stage.start(caller=baresip, called=baresip, third=linphone)
        pickers_lamp.sees(IDLE)
        alice.dial(stage.extension)
        stage.lamp.sees(RINGING)
        carol.dial(f"**{stage.extension}")
        pickers_lamp.sees(RINGING)
        carol.accept()
        pickers_lamp.sees(UP)
        stage.lamp.sees(IDLE, why="cancelled")
        bob.program.wait_for("^Reason: SIP;" + ELSEWHERE[1])
        for header in ("Answer-Mode: Auto", "Call-Info: .*answer-after=0"):
            if not re.search(f"^{header}", carol.messages.read_text(errors="replace"), re.M):
                raise Failure(f"the INVITE to linphone has no `{header}`")
        alice.hang_up()
        pickers_lamp.sees(IDLE)
