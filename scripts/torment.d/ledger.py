"""What the server has acknowledged, kept outside it: who is published with which entity-tag, who is subscribed and was
told what, who is bound. A load changes all of it all the time; afterwards everything that was acknowledged must hold."""

import random
import re
import time

LIFE = 3600

# Whether a request that is repeated over a restart must get the answer it would have had.
REPEATS_OVER_A_RESTART = True


class Ledger:
    def __init__(self, agent, users=12, watchers=2, rng=None):
        self.agent, self.rng = agent, rng or random.Random(1)
        agent.on_notify = self.on_notify
        self.tags, self.lost, self.doubled, self.stale, self.refused = {}, [], [], [], 0
        self.changes, self.differed = 0, 0
        self.loading = False
        # Whether the network lets one NOTIFY overtake another.
        self.overtaken = False
        self.dialogs = {}
        self.users = [Publication(self, f"u{number}") for number in range(users)]
        self.watches = [Watch(self, f"w{number}-{user.name}", user) for user in self.users for number in range(watchers)]
        self.bindings = [Binding(self, f"r{number}") for number in range(users)]
        self.all = [*self.users, *self.watches, *self.bindings]

    def begin(self, seconds=30):
        """Everything once."""
        for one in self.all:
            one.change()
        return self.agent.pump(seconds, lambda: all(one.acknowledged for one in self.all) and self.is_quiet())

    def load(self, seconds):
        """Changes everything, as fast as it is acknowledged, for so long."""
        self.loading = True
        for one in self.all:
            one.go_on()
        self.agent.pump(seconds)
        self.loading = False

    def is_quiet(self):
        return not self.agent.pending and not any(one.later for one in self.all)

    def killed(self):
        """The server was killed: what is unanswered now is repeated to its next life."""
        for pending in self.agent.pending.values():
            pending.earlier = True

    def is_excused(self, answer):
        self.differed += answer.earlier
        return answer.earlier and not REPEATS_OVER_A_RESTART

    def settle(self, seconds=20):
        """After a restart: what was on its way is repeated until it is answered; then everything that was acknowledged is
        asked for."""
        if not self.agent.pump(seconds, lambda: self._retry() or self.is_quiet()):
            self.lost.append(f"{len(self.agent.pending)} requests are not answered {seconds} s after the restart")
        for one in self.all:
            one.verify()
        if not self.agent.pump(seconds, lambda: self._retry() or (self.is_quiet() and not self._stale())):
            self.stale += self._stale()
        return not (self.lost or self.doubled or self.stale)

    def _retry(self):
        now = time.monotonic()
        for one in self.all:
            if one.later and one.later <= now:
                one.later = 0
                one.retry()

    def _stale(self):
        return [f"{watch.name} was told {watch.told}, not {watch.of.shown}" for watch in self.watches
                if watch.told != watch.of.shown]

    def on_notify(self, message):
        watch = self.dialogs.get(message.get("call-id"))
        return watch.notified(message) if watch else 481

    def figures(self):
        return f"{self.changes} changes acknowledged, lost {len(self.lost)}, entity-tags doubled {len(self.doubled)}, " \
               f"lamps stale {len(self.stale)}, refused with 503 {self.refused}, " \
               f"repeats answered otherwise {self.differed}"


class Kept:
    """Something the server keeps for a user."""

    def __init__(self, ledger, name):
        self.ledger, self.agent, self.name = ledger, ledger.agent, name
        self.acknowledged, self.later, self.retry, self.tag = False, 0, None, ledger.agent.token("t")

    def go_on(self):
        if self.ledger.loading and not self.later:
            self.change()

    def is_put_off(self, answer, retry):
        """No answer or a 503 acknowledges nothing: it is tried again."""
        if answer is not None and answer.status != 503:
            return False
        self.ledger.refused += answer is not None
        found = re.match(r"\d+", answer.get("retry-after")) if answer else None
        self.later, self.retry = time.monotonic() + min(2, int(found.group()) if found else 1), retry
        return True


class Publication(Kept):
    def __init__(self, ledger, name):
        super().__init__(ledger, name)
        self.etag, self.shown, self.number, self.busy = None, None, 0, False

    def change(self):
        if not self.busy:
            self.number += 1
            self.publish(f"n{self.number}-{self.name}")

    def verify(self):
        """A refresh finds what was acknowledged."""
        if not self.busy:
            self.publish(None)

    def publish(self, note):
        body = "" if note is None else (
            f'<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:{self.name}@example.com">'
            f'<tuple id="t"><status><basic>open</basic></status><note>{note}</note></tuple></presence>')
        more = ["Event: presence", f"Expires: {LIFE}"]
        more += [f"SIP-If-Match: {self.etag}"] if self.etag else []
        more += ["Content-Type: application/pidf+xml"] if body else []
        self.busy, call_id = True, self.agent.token("pub")
        self.agent.request("PUBLISH", f"sip:{self.name}@example.com", self.name,
                           lambda answer: self.answered(answer, note, call_id), call_id, 1, self.tag, "", more, body)

    def answered(self, answer, note, call_id):
        self.busy = False
        if self.is_put_off(answer, lambda: self.publish(note)):
            return
        if answer.status != 200:
            if self.ledger.is_excused(answer):
                self.etag = None
                return self.publish(note or self.shown)
            self.ledger.lost.append(f"PUBLISH of {self.name} with {self.etag}: {answer.start}")
            self.etag = None
            return
        self.etag, self.acknowledged = answer.get("sip-etag"), True
        if self.ledger.tags.setdefault(self.etag, call_id) != call_id:
            self.ledger.doubled.append(self.etag)
        self.shown = note or self.shown
        self.ledger.changes += 1
        self.go_on()


class Watch(Kept):
    def __init__(self, ledger, name, of):
        super().__init__(ledger, name)
        self.of, self.told = of, None
        self.anew()

    def anew(self):
        self.ledger.dialogs.pop(getattr(self, "call_id", None), None)
        self.call_id, self.to_tag, self.cseq, self.notified_cseq, self.busy = self.agent.token("sub"), "", 0, 0, False
        self.ledger.dialogs[self.call_id] = self

    def change(self):
        if not self.busy:
            self.subscribe()

    verify = change

    def subscribe(self):
        self.busy, self.cseq = True, self.cseq + 1
        more = ["Event: presence", "Accept: application/pidf+xml", f"Expires: {LIFE}",
                f"Contact: <sip:{self.name}@{self.agent.host}:{self.agent.port}>"]
        self.agent.request("SUBSCRIBE", f"sip:{self.of.name}@example.com", self.name, self.answered, self.call_id,
                           self.cseq, self.tag, self.to_tag, more)

    def answered(self, answer):
        self.busy = False
        if self.is_put_off(answer, self.change):
            return
        if answer.status not in (200, 202):
            if self.ledger.is_excused(answer) and answer.status != 481:
                return self.subscribe()  # the dialog is there, as the next request must show
            self.ledger.lost.append(f"SUBSCRIBE {self.name}: {answer.start}")
            self.acknowledged = False
            return self.anew()
        self.to_tag, self.acknowledged = answer.tag("to"), True
        self.ledger.changes += 1
        # Not as fast as it can: each refresh is a NOTIFY too.
        if self.ledger.rng.random() < 0.3:
            self.go_on()

    def notified(self, message):
        cseq = int(message.get("cseq").split()[0])
        if cseq < self.notified_cseq:
            if self.ledger.overtaken:
                return 500  # RFC 3261 §12.2.2
            self.ledger.lost.append(f"NOTIFY to {self.name}: CSeq {cseq} after {self.notified_cseq}")
            return 500
        self.notified_cseq = cseq
        if message.get("subscription-state").startswith("terminated"):
            self.ledger.lost.append(f"{self.name} was told {message.get('subscription-state')}")
        found = re.search(r"<note[^>]*>(n\d+-[^<]*)</note>", message.body)
        self.told = found.group(1) if found else self.told
        return 200


class Binding(Kept):
    def __init__(self, ledger, name):
        super().__init__(ledger, name)
        self.call_id, self.cseq, self.busy, self.number = self.agent.token("reg"), 0, False, 0
        self.bound = None

    def change(self):
        if self.busy:
            return
        # Each time another Contact, and the one before taken back: the set is what was acknowledged last.
        self.number += 1
        contact = f"sip:{self.name}-{self.number}@{self.agent.host}:{self.agent.port}"
        more = [f"Contact: <{contact}>;expires={LIFE}"]
        more += [f"Contact: <{self.bound}>;expires=0"] if self.bound else []
        self.register(more, lambda answer: self.answered(answer, contact))

    def verify(self):
        if not self.busy:
            self.register([], self.asked)

    def register(self, more, done):
        self.busy, self.cseq = True, self.cseq + 1
        self.agent.request("REGISTER", "sip:example.com", self.name, done, self.call_id, self.cseq, self.tag, "", more)

    def answered(self, answer, contact):
        self.busy = False
        if self.is_put_off(answer, self.change):
            return
        if answer.status != 200:
            if self.ledger.is_excused(answer):
                return self.change()
            self.ledger.lost.append(f"REGISTER of {self.name}: {answer.start}")
            return
        self.bound, self.acknowledged = contact, True
        self.ledger.changes += 1
        self.go_on()

    def asked(self, answer):
        self.busy = False
        if self.is_put_off(answer, self.verify):
            return
        if not any(f"<{self.bound}>" in contact for contact in answer.contacts):
            self.ledger.lost.append(f"{self.name} is bound to {answer.contacts}, not {self.bound}")
