"""SIPp scenarios, written as steps instead of XML: every request of a phone is sent, challenged and sent again with its
digest, so one step here is four elements there. `Scenario.xml()` is an ordinary SIPp file and is kept with the logs.

SIPp fails a call on any message it does not expect, so a NOTIFY too many fails a scenario as surely as one too few."""

from xml.sax.saxutils import quoteattr

TOKEN = "[-A-Za-z0-9.!%*_+`'~]+"

# The answer to a NOTIFY.
OK = """SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[user]@[local_ip]:[local_port];transport=[transport]>
User-Agent: SIPp
Content-Length: 0

"""


class Scenario:
    def __init__(self, name, user, domain):
        self.name = name
        self.user = user
        self.domain = domain
        self.parts = []
        self.cseq = 0
        self.variables = 0
        self.labels = 0
        self.call_id = "[call_id]"

    # What a phone does.

    def register(self, contact=True, status=200, **checks):
        headers = ["Contact: <sip:[user]@[local_ip]:[local_port];transport=[transport]>"] if contact else []
        headers += checks.pop("headers", [])
        return self._challenged("REGISTER", "sip:[domain]", "[user]", headers, "", status, checks)

    def bind(self, expires):
        """A binding at a Contact that does not depend on the socket, so that a later call can remove it."""
        headers = ["Contact: <sip:[user]@127.0.0.1:9>", f"Expires: {expires}"]
        return self._challenged("REGISTER", "sip:[domain]", "[user]", headers, "", 200, {})

    def publish(self, expires, if_match=None, body="", status=200, **checks):
        headers = ["Event: presence", f"Expires: {expires}"]
        if if_match:
            headers.append(f"SIP-If-Match: {if_match}")
        if body:
            headers.append("Content-Type: application/pidf+xml")
        return self._challenged("PUBLISH", "sip:[user]@[domain]", "[user]", headers, body, status, checks)

    def subscribe(self, watched, package, accept, expires, in_dialog=False, status=200, **checks):
        headers = [f"Event: {package}", f"Accept: {accept}", f"Expires: {expires}",
                   "Contact: <sip:[user]@[local_ip]:[local_port];transport=[transport]>", *checks.pop("headers", [])]
        uri = "[next_url]" if in_dialog else f"sip:{watched}@[domain]"
        tag = "[peer_tag_param]" if in_dialog else ""
        if status == 200:
            checks.setdefault("expects", []).append(("Expires:", f"^ *{expires} *$"))
        return self._challenged("SUBSCRIBE", uri, watched, headers, "", status, checks, tag)

    def notified(self, *expects, state="active", body=()):
        """One NOTIFY, answered 200. `expects` are (header, pattern); `body` are patterns anywhere in it."""
        checks = [("Subscription-State:", state), *expects]
        actions = "".join(self._ereg(pattern, header) for header, pattern in checks)
        actions += "".join(self._ereg(pattern) for pattern in body)
        self.parts.append(f'  <recv request="NOTIFY" timeout="8000"><action>{actions}\n  </action></recv>')
        self.parts.append(self._send(OK, attributes=""))
        return self

    def notified_at_last(self, pattern):
        """A NOTIFY with this in it, perhaps after one that repeats the state before."""
        self.variables += 1
        self.labels += 1
        ereg = f'<ereg regexp={quoteattr(pattern)} search_in="msg" assign_to="v{self.variables}"/>'
        self.parts.append(f'  <recv request="NOTIFY" timeout="8000"><action>{ereg}</action></recv>')
        self.parts.append(self._send(OK, f'next="{self.labels}" test="v{self.variables}"'))
        self.notified(body=[pattern])
        self.parts.append(f'  <label id="{self.labels}"/>')
        return self

    def command(self, script):
        """Runs the shell script of this path, which SIPp starts and does not wait for."""
        self.parts.append(f'  <nop><action><exec command="sh {script}"/></action></nop>')
        return self

    def quiet(self, milliseconds):
        """Nothing may come in for so long."""
        self.parts.append(f'  <pause milliseconds="{milliseconds}"/>')
        return self

    def xml(self):
        parts = "\n".join(self.parts)
        used = "".join(f'  <Reference variables="v{n}"/>\n' for n in range(1, self.variables + 1))
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="{self.name}">\n{parts}\n{used}</scenario>\n'

    # How it looks to SIPp.

    def _challenged(self, method, uri, to, headers, body, status, checks, tag=""):
        def request(authentication):
            self.cseq += 1
            lines = [f"{method} {uri} SIP/2.0",
                     "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport",
                     "Max-Forwards: 70",
                     f"From: <sip:[user]@[domain]>;tag={self.name}-[pid]",
                     f"To: <sip:{to}@[domain]>{tag}",
                     f"Call-ID: {self.call_id}",
                     f"CSeq: {self.cseq} {method}",
                     *authentication, *headers,
                     "User-Agent: SIPp",
                     f"Content-Length: {'[len]' if body else '0'}"]
            self.parts.append(self._send("\n".join(lines) + "\n\n" + body))

        request([])
        self.parts.append('  <recv response="401" auth="true" timeout="8000"/>')
        request(["[authentication]"])
        actions = "".join(self._ereg(pattern, header) for header, pattern in checks.get("expects", []))
        actions += "".join(self._ereg(pattern, inverse=True) for pattern in checks.get("lacks", []))
        for variable, (header, pattern) in checks.get("keep", {}).items():
            actions += f'\n    <ereg regexp={quoteattr(pattern)} search_in="hdr" header="{header}"' \
                       f' check_it="true" assign_to="{variable}"/>'
        # The dialog's remote target is the Contact of the 2xx to the first request.
        routes = ' rrs="true"' if method == "SUBSCRIBE" and not tag else ""
        action = f"><action>{actions}\n  </action></recv>" if actions else "/>"
        self.parts.append(f'  <recv response="{status}" timeout="8000"{routes}{action}')
        return self

    def _send(self, message, attributes='retrans="500"'):
        text = message.replace("[user]", self.user).replace("[domain]", self.domain)
        return f"  <send {attributes}><![CDATA[\n{text}]]></send>"

    def _ereg(self, pattern, header=None, inverse=False):
        self.variables += 1
        where = f'search_in="hdr" header="{header}"' if header else 'search_in="msg"'
        check = "check_it_inverse" if inverse else "check_it"
        return f'\n    <ereg regexp={quoteattr(pattern)} {where} {check}="true" assign_to="v{self.variables}"/>'
