"""Phones that die in a call without a word: the server asks whether anybody is still there. It takes 10 s of silence and
then 32 s without an answer, so this check comes first and the others run beside it."""

import baresip
import linphone
import office
from checks import check
from programs import Server
from stage import Stage
from watcher import IDLE, RINGING, UP


@check
def phones_are_killed_and_found_out_by_probes(run):
    """The call of two dead phones ends, and that of one whose other side hangs up; that of two living ones, which answer
    the same question, goes on."""
    directory = run.logs / "silent"
    directory.mkdir()
    server = Server(run.server.binary, {**office.FILES, "beside.toml": office.SECRETS_TOML + office.PROBING_TOML}, directory)
    try:
        inner = run.beside(server, directory)
        with Stage(inner, "silent") as silent, Stage(inner, "dead") as dead, Stage(inner, "alive") as alive:
            carol, dave = alive.start(caller=baresip, called=linphone)
            carol.dial(alive.extension)
            alive.lamp.sees(RINGING)
            dave.accept()
            alive.lamp.sees(UP)
            for phone in call(silent):
                phone.kill()
            alice, bob = call(dead)
            bob.kill()
            alice.act()
            carol.program.wait_for("^OPTIONS sip:", 20)
            dead.lamp.sees(IDLE, 60, why="remote-bye")
            silent.lamp.sees(IDLE, 60, why="timeout")
            carol.hang_up()
            alive.lamp.sees(IDLE)
    finally:
        server.stop()


def call(stage):
    """Two SIPps in a call."""
    bob = stage.called(stage.scenario("called").register_phone().called().ring().person().answer().is_hung_up())
    alice = stage.phone(stage.scenario("caller").invite(stage.extension).rings().answered().person().bye())
    stage.lamp.sees(RINGING)
    bob.act()
    stage.lamp.sees(UP)
    return alice, bob
