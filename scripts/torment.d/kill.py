"""kill -9 at random moments under load; everything that was acknowledged is asked for after each restart."""

import random
import statistics

from ledger import Ledger
from server import Server
from sip import Agent


def torment(run):
    rounds, rng = run.kills, random.Random(run.seed)
    server = Server(run.binary, run.scratch / "kill")
    server.start()
    agent = Agent(server.address)
    ledger = Ledger(agent, rng=rng)
    if not ledger.begin():
        return run.failed("kill -9", f"the load does not begin: {agent.unanswered} unanswered, {ledger.lost[:3]}")
    ready, survived = [], 0
    for number in range(1, rounds + 1):
        ledger.load(rng.uniform(0.005, 0.25))
        server.kill()
        ledger.killed()
        ready.append(server.start())
        if ledger.settle():
            survived += 1
        else:
            run.say(f"  kill {number}: {(ledger.lost + ledger.doubled + ledger.stale)[:40]}")
            run.keep(ledger)
        if number % 50 == 0:
            run.say(f"  {number} of {rounds}: {ledger.figures()}")
        if run.is_late():
            rounds = number
            break
    bugs = server.status()["bugs"]
    server.stop()
    agent.close()
    ms = sorted(1000 * second for second in ready)
    run.result("kill -9", rounds, survived, len(run.losses), f"{ledger.changes} changes acknowledged, entity-tags doubled "
               f"{run.doubled}, refused with 503 {ledger.refused}, repeats answered otherwise {ledger.differed}, bugs counted {bugs}, ready after {statistics.median(ms):.0f} "
               f"ms (p99 {ms[int(len(ms) * 0.99)]:.0f}, longest {ms[-1]:.0f})", ok=survived == rounds and not bugs)
