"""Transfers: the called phone gives its call away. The REFER and its NOTIFYs pass inside the call's dialog; the lamps of
who gives and who gets tell it."""

import baresip
import linphone
from checks import check
from stage import Stage
from watcher import HELD, IDLE, RINGING, UP


def blind(run, name, kind):
    with Stage(run, name) as stage:
        carols_lamp = stage.watch(stage.user("third"))
        alice, bob, carol = stage.start(caller=kind, called=kind, third=kind)
        carols_lamp.sees(IDLE)
        alice.dial(stage.extension)
        stage.lamp.sees(RINGING)
        bob.accept()
        stage.lamp.sees(UP)
        bob.transfer(stage.user("third"))
        carols_lamp.sees(RINGING)
        carol.accept()
        carols_lamp.sees(UP)
        stage.lamp.sees(IDLE)
        alice.hang_up()
        carols_lamp.sees(IDLE)


@check
def baresip_transfers_a_call(run):
    blind(run, "bare-transfer", baresip)


@check
def linphone_transfers_a_call(run):
    blind(run, "lin-transfer", linphone)


@check
def linphone_transfers_a_call_after_asking(run):
    """The call that is transferred to is replaced: Carol keeps her one call, and then has it with Alice."""
    with Stage(run, "attended") as stage:
        carols_lamp = stage.watch(stage.user("third"))
        alice, bob, carol = stage.start(caller=linphone, called=linphone, third=linphone)
        carols_lamp.sees(IDLE)
        alice.dial(stage.extension)
        stage.lamp.sees(RINGING)
        bob.accept()
        stage.lamp.sees(UP)
        bob.hold()
        stage.lamp.sees(HELD)
        bob.dial(stage.user("third"))
        carols_lamp.sees(RINGING)
        # For chan_sip's devices hold wins over the second call.
        for second in ("trying", "early"):
            stage.lamp.sees((f"confirmed held, {second}", "open On hold"))
        carol.accept()
        carols_lamp.sees(UP)
        both = ("confirmed, confirmed held", "open On hold")
        stage.lamp.sees(both)
        bob.transfer_to_other_call(1, 2)
        # linphone answers 180 to what replaces its call, ends that, and then answers 200 by itself.
        carols_lamp.sees(("confirmed, early", "open Ringing"))
        carols_lamp.comes_to(UP, through=[RINGING])
        stage.lamp.comes_to(IDLE, through=[both, HELD])
        alice.hang_up()
        carols_lamp.sees(IDLE)
