"""Calls between SIPp and SIPp through the server, each with a watcher of the called phone's lamp.

The two phones wait for each other only through the server; a check tells a phone when its person acts, and goes on once
the watcher has seen what must come of it."""

from checks import check
from stage import Stage, end
from watcher import DARK, DIALLING, HELD, IDLE, RINGING, TRYING, UP


@check
def sipp_calls_sipp_answer_and_bye(run):
    with Stage(run, "answered") as stage:
        bob = stage.called(stage.scenario("called").register_phone()
                           .called().ring().person().answer().is_hung_up())
        callers_lamp = stage.watch(stage.user("caller"))
        alice = stage.phone(stage.scenario("caller").invite(stage.extension).rings().answered().person().bye())
        for shown in (TRYING, DIALLING):
            callers_lamp.sees(shown)
        stage.lamp.sees(RINGING)
        bob.act()
        callers_lamp.sees(UP)
        stage.lamp.sees(UP)
        alice.act()
        stage.lamp.sees(IDLE, why="remote-bye")
        callers_lamp.sees(DARK)
        end(alice, bob)


@check
def sipp_calls_sipp_busy(run):
    with Stage(run, "busy") as stage:
        bob = stage.called(stage.scenario("called").register_phone().called().ring().person().refuse("486 Busy Here"))
        alice = stage.phone(stage.scenario("caller").invite(stage.extension).rings().refused(486))
        stage.lamp.sees(RINGING)
        bob.act()
        stage.lamp.sees(IDLE, why="rejected")
        end(alice, bob)


@check
def sipp_calls_sipp_no_answer_then_cancel(run):
    with Stage(run, "cancelled") as stage:
        bob = stage.called(stage.scenario("called").register_phone().called().ring().cancelled())
        alice = stage.phone(stage.scenario("caller").invite(stage.extension).rings().person().cancel())
        stage.lamp.sees(RINGING)
        alice.act()
        stage.lamp.sees(IDLE, why="cancelled")
        end(alice, bob)


@check
def sipp_calls_sipp_hold_and_resume(run):
    """First the called phone holds, then the caller, whose hold is no matter of the called phone's lamp."""
    with Stage(run, "held") as stage:
        bob = stage.called(stage.scenario("called").register_phone().called().ring().person().answer()
                           .person().reinvite("sendonly").person().reinvite("sendrecv")
                           .is_reinvited("sendonly").is_reinvited("sendrecv").person().bye())
        alice = stage.phone(stage.scenario("caller").invite(stage.extension).rings().answered()
                             .is_reinvited("sendonly").is_reinvited("sendrecv")
                             .person().reinvite("sendonly").reinvite("sendrecv").is_hung_up())
        stage.lamp.sees(RINGING)
        for shown in (UP, HELD, UP):
            bob.act()
            stage.lamp.sees(shown)
        alice.act()
        bob.act()
        stage.lamp.sees(IDLE, why="local-bye")
        end(alice, bob)


@check
def sipp_calls_sipp_two_calls_at_once(run):
    """The lamp shows both: ringing while in use, and in use until the last one is over."""
    with Stage(run, "twice") as stage:
        bob = stage.called(stage.scenario("called").register_phone().called().ring().person().answer().is_hung_up(),
                           calls=2, call="-%u")
        first = stage.scenario("caller", suffix="-1").invite(stage.extension).rings().answered().person().bye()
        first = stage.phone(first, call="-1")
        stage.lamp.sees(RINGING)
        bob.act(first.call_id)
        stage.lamp.sees(UP)
        second = stage.scenario("third", suffix="-2").invite(stage.extension).rings().answered().person().bye()
        second = stage.phone(second, call="-2")
        stage.lamp.sees(("confirmed, early", "open Ringing"))
        bob.act(second.call_id)
        stage.lamp.sees(("confirmed, confirmed", "open On the phone"))
        first.act()
        stage.lamp.sees(UP)
        first.done()
        second.act()
        stage.lamp.sees(IDLE, why="remote-bye")
        end(second, bob)


@check
def sipp_calls_sipp_udp_to_tcp(run):
    """Two Record-Route values, one for each side; each side's later requests find their way."""
    with Stage(run, "stream") as stage:
        bob = stage.called(stage.scenario("called", hops=2).register_phone().called().ring().answer()
                           .is_reinvited("sendrecv").bye(), "tcp")
        alice = stage.phone(stage.scenario("caller", hops=2).invite(stage.extension).rings().answered()
                             .person().reinvite("sendrecv").is_hung_up())
        stage.lamp.sees(RINGING)
        stage.lamp.sees(UP)
        alice.act()
        stage.lamp.sees(IDLE, why="local-bye")
        end(alice, bob)
        stage.lamp.sees(DARK)


@check
def sipp_is_killed_and_its_session_ends(run):
    """Both phones die in a call: the lamp goes dark when the session that they agreed on is over."""
    with Stage(run, "session") as stage:
        bob = stage.called(stage.scenario("called").register_phone().called().ring().person()
                           .answer(["Session-Expires: 2;refresher=uac"]).is_hung_up())
        alice = stage.phone(stage.scenario("caller").invite(stage.extension).rings().answered().is_hung_up())
        stage.lamp.sees(RINGING)
        bob.act()
        stage.lamp.sees(UP)
        bob.kill()
        alice.kill()
        stage.lamp.sees(IDLE, why="timeout")


@check
def sipp_is_killed_and_registers_anew(run):
    """A phone that was restarted in a call is asked about it as soon as it registers; it knows of none."""
    with Stage(run, "restarted") as stage:
        bob = stage.called(stage.scenario("called").register_phone().called().ring().person().answer().is_hung_up())
        alice = stage.phone(stage.scenario("caller").invite(stage.extension).rings().answered().is_hung_up())
        stage.lamp.sees(RINGING)
        bob.act()
        stage.lamp.sees(UP)
        bob.kill()
        again = stage.phone(stage.scenario("called", suffix="-again").register_anew(), port=bob.port)
        stage.lamp.sees(IDLE, why="error")
        again.done()
        alice.kill()
