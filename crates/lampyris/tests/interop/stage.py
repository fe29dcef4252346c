"""What a check about calls is played with: phones, the people at them, and a watcher of the called phone's lamp."""

import signal
import socket
from contextlib import ExitStack

import office
from programs import Failure, Program, need, wait_until
from sipp_calls import CallScenario
from watcher import DARK, IDLE, Watcher


class SippPhone:
    """A SIPp that takes part in the calls of one Call-ID, or of several that differ in the number they end with."""

    def __init__(self, run, scenario, call_id, transport="udp", calls=1, port=None):
        need("sipp")
        self.run, self.scenario, self.call_id = run, scenario, call_id
        self.acted = {}
        self.port = port or run.free_port()
        command = run.sipp_command(scenario, transport, self.port, calls)
        command += ["-cid_str", call_id, "-r", "10", "-deadcall_wait", "0"]
        self.program = Program(scenario.name, command, run.logs / f"{scenario.name}.screen", env={"TERM": "dumb"})

    def act(self, call_id=None):
        """The person at this phone does what comes next. It goes to the phone itself, not through the server."""
        call_id = call_id or self.call_id
        self.acted[call_id] = self.acted.get(call_id, 0) + 1
        wait_until(lambda: self._waits(call_id) >= self.acted[call_id], f"{self.scenario.name} waits for its person")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as person:
            person.bind(("127.0.0.1", 0))
            at = "127.0.0.1:%d" % person.getsockname()[1]
            person.sendto(f"MESSAGE sip:{self.scenario.user}@127.0.0.1:{self.port} SIP/2.0\r\n"
                          f"Via: SIP/2.0/UDP {at};branch=z9hG4bK{at}\r\nFrom: <sip:person@{at}>;tag=1\r\n"
                          f"To: <sip:{self.scenario.user}@127.0.0.1>\r\nCall-ID: {call_id}\r\nCSeq: 1 MESSAGE\r\n"
                          "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n".encode(), ("127.0.0.1", self.port))

    def _waits(self, call_id):
        waits = self.scenario.waits
        return waits.read_text().splitlines().count(call_id) if waits.exists() else 0

    def done(self, seconds=20):
        if self.program.ended(seconds) != 0:
            raise Failure(f"SIPp {self.scenario.name}: {self.run.why(self.scenario)}")

    def kill(self):
        self.program.stop(ask=signal.SIGKILL)


class Stage:
    """Ends what is left of its phones; a check that got through must have ended its watches as well as its calls."""

    def __init__(self, run, name):
        self.run, self.name = run, name
        self.extension = office.extension(name)
        self.phones, self.watches = ExitStack(), ExitStack()

    def __enter__(self):
        self.lamp = self.watch(self.extension)
        return self

    def __exit__(self, *why):
        try:
            self.watches.__exit__(*why)
        finally:
            self.phones.close()

    def watch(self, extension):
        """The lamp of an extension or user, none of whose phones is there yet."""
        lamp = self.watches.enter_context(Watcher(self.run, "lamp", extension))
        lamp.sees(DARK)
        return lamp

    def user(self, role):
        return f"{self.name}-{role}"

    # SIPp.

    def scenario(self, role, hops=1, suffix=""):
        name = self.user(role) + suffix
        return CallScenario(name, self.user(role), office.DOMAIN, self.run.logs / f"{name}.waits", hops)

    def phone(self, scenario, transport="udp", call="", **options):
        phone = SippPhone(self.run, scenario, f"{self.name}{call}", transport, **options)
        self.phones.callback(phone.program.stop)
        return phone

    def called(self, scenario, transport="udp", **options):
        """A phone that registers and waits; the lamp goes from dark to idle."""
        phone = self.phone(scenario, transport, **options)
        self.lamp.sees(IDLE)
        return phone

    # Real phones.

    def start(self, **kinds):
        """A phone for each role, of these modules; returned once all are registered, the called one among them."""
        phones = []
        for role, kind in kinds.items():
            phone = kind.Phone(self.run, self.user(role))
            self.phones.callback(phone.stop)
            phones.append(phone)
        for phone in phones:
            phone.ready()
        self.lamp.sees(IDLE)
        return phones


def end(*phones):
    for phone in phones:
        phone.done()
