"""Calls as SIPp scenarios: the steps of a phone that calls or is called, on top of `sipp.Scenario`.

A phone is one SIPp process. One that is called registers first, in the same SIPp call as the INVITE that comes then: SIPp
goes by Call-ID, so caller and called are told the same one (`-cid_str`). `person()` is where the person at the phone
decides: SIPp says in a file that it waits, and then does so for a MESSAGE with this Call-ID, which `stage.SippPhone.act`
sends it."""

from sipp import OK, Scenario

SDP = """v=0
o=- 1 [version] IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio 40000 RTP/AVP 0
a=rtpmap:0 PCMU/8000
a=[direction]
"""

# What a CANCEL says where somebody else has answered.
ELSEWHERE = ("Reason:", 'cause=200;text="Call completed elsewhere"')

ANSWER = {"sendrecv": "sendrecv", "sendonly": "recvonly"}


class CallScenario(Scenario):
    """`[$remote]` is the other end of the dialog, as SIPp keeps it: the To of what this side sends."""

    def __init__(self, name, user, domain, waits, hops=1):
        super().__init__(name, user, domain)
        self.waits = waits
        self.hops = hops  # Record-Route values expected
        self.local = f"<sip:{user}@{domain}>;tag={name}"
        self.variables_named = set()
        self.sessions = 0

    def register_phone(self):
        return self.register(headers=["Expires: 600"])

    def register_anew(self):
        """As after a restart: with another Call-ID, whose part after `///` is what SIPp goes by. The server then asks
        about a call that this phone does not know, perhaps before the answer to the REGISTER is there."""
        self.call_id = "anew///[call_id]"
        self.register_phone()
        answer = self.parts.pop()
        kept = {"asked_via": "Via:", "asked_from": "From:", "asked_to": "To:", "asked_cseq": "CSeq:"}
        asked = "".join(self._keep(variable, header) for variable, header in kept.items())
        asked = f'  <recv request="OPTIONS" timeout="8000"><action>{asked}</action></recv>'
        lines = ["SIP/2.0 481 Call/Transaction Does Not Exist", "Via:[$asked_via]", "From:[$asked_from]",
                 "To:[$asked_to]", "Call-ID: [call_id]", "CSeq:[$asked_cseq]", "Content-Length: 0", "", ""]
        # Both may be there before SIPp can send anything, so it answers once it has seen both.
        self.parts += [answer.replace("/>", ' optional="true" next="1"/>'), asked, answer.replace("/>", ' next="2"/>'),
                       '  <label id="1"/>', asked, '  <label id="2"/>', self._send("\n".join(lines), attributes="")]
        return self

    def person(self):
        self.parts.append(f'  <nop><action><exec command="echo [call_id] >>{self.waits}"/></action></nop>')
        self.parts.append('  <recv request="MESSAGE"/>')
        return self

    # Who calls.

    def invite(self, to, headers=()):
        self._invite(to, [])
        self.parts.append('  <recv response="407" auth="true" timeout="8000"/>')
        self._acknowledge_refusal()
        self._invite(to, ["[authentication]", *headers])
        return self

    def _invite(self, to, more):
        self.cseq += 1
        self.asked = f"sip:{to}@[domain]"
        self._request("INVITE", self.asked, f"<{self.asked}>", [*more, *self._offer()], self._sdp("sendrecv"))

    def rings(self):
        self.parts.append('  <recv response="100" optional="true"/>')
        self.parts.append('  <recv response="180" timeout="15000"/>')
        return self

    def answered(self):
        """A 2xx, whether or not it has rung before."""
        checks = self._keep("remote", "To:")
        checks += "".join(self._keep(f"route{n}", "Record-Route:", n) for n in range(1, self.hops + 1))
        self.parts.append('  <recv response="100" optional="true"/>\n  <recv response="180" optional="true"/>')
        self.parts.append(f'  <recv response="200" rrs="true" timeout="15000"><action>{checks}</action></recv>')
        self._acknowledge()
        return self

    def refused(self, status):
        self.parts.append('  <recv response="100" optional="true"/>')
        self.parts.append(f'  <recv response="{status}" timeout="15000"/>')
        self._acknowledge_refusal()
        return self

    def cancel(self):
        lines = ["CANCEL [asked] SIP/2.0", self._via(), "Max-Forwards: 70", f"From: {self.local}", "To: <[asked]>",
                 f"Call-ID: {self.call_id}", f"CSeq: {self.cseq} CANCEL", "Content-Length: 0", "", ""]
        self.parts.append(self._send("\n".join(lines).replace("[asked]", self.asked)))
        self.parts.append('  <recv response="200" timeout="8000"/>')
        return self.refused(487)

    # Who is called.

    def called(self, *expects):
        """Takes an INVITE and keeps what its answers repeat, since a MESSAGE may come before them."""
        self.local, self.call_id = f"[$to];tag={self.name}", "[call_id]"
        keep = self._keep("remote", "From:") + self._keep("to", "To:") + self._keep("cseq", "CSeq:")
        keep += self._keep("via1", "Via:") + self._keep("via2", "Via:", 2)
        keep += "".join(self._keep(f"route{n}", "Record-Route:", n) for n in range(1, self.hops + 1))
        keep += "".join(self._ereg(pattern, header) for header, pattern in expects)
        self.parts.append(f'  <recv request="INVITE" rrs="true"><action>{keep}</action></recv>')
        return self

    def ring(self):
        return self._respond("180 Ringing")

    def answer(self, headers=()):
        self._respond("200 OK", list(headers), self._sdp("sendrecv"))
        self.parts.append('  <recv request="ACK" timeout="8000"/>')
        return self

    def refuse(self, status):
        self._respond(status)
        self.parts.append('  <recv request="ACK" timeout="8000"/>')
        return self

    def cancelled(self, *expects):
        checks = "".join(self._ereg(pattern, header) for header, pattern in expects)
        self.parts.append(f'  <recv request="CANCEL" timeout="15000"><action>{checks}</action></recv>')
        self.parts.append(self._send(OK, attributes=""))
        return self.refuse("487 Request Terminated")

    # Either side of a call that is up.

    def reinvite(self, direction):
        self.cseq += 1
        self._request("INVITE", "[next_url]", "[$remote]", ["[routes]", *self._offer()],
                      self._sdp(direction))
        self.parts.append('  <recv response="100" optional="true"/>')
        self.parts.append('  <recv response="200" timeout="8000"/>')
        self._acknowledge()
        return self

    def is_reinvited(self, direction):
        self.parts.append(f'  <recv request="INVITE"><action>{self._ereg(f"a={direction}")}</action></recv>')
        answer = OK.replace("Content-Length: 0\n\n", "Content-Type: application/sdp\nContent-Length: [len]\n\n")
        self.parts.append(self._send(answer + self._sdp(ANSWER[direction])))
        self.parts.append('  <recv request="ACK" timeout="8000"/>')
        return self

    def bye(self):
        self.cseq += 1
        self._request("BYE", "[next_url]", "[$remote]", ["[routes]"])
        self.parts.append('  <recv response="200" timeout="8000"/>')
        return self

    def is_hung_up(self):
        self.parts.append('  <recv request="BYE"/>')
        self.parts.append(self._send(OK, attributes=""))
        return self

    def xml(self):
        named = "".join(f'  <Reference variables="{name}"/>\n' for name in sorted(self.variables_named))
        return super().xml().replace("</scenario>", f"{named}</scenario>")

    # How it looks to SIPp.

    def _via(self, method=""):
        return ("Via: SIP/2.0/[transport] [local_ip]:[local_port];"
                f"branch=z9hG4bK-{self.name}-[call_number]-{self.cseq}{method};rport")

    def _offer(self):
        return ["Contact: <sip:[user]@[local_ip]:[local_port];transport=[transport]>", "Content-Type: application/sdp"]

    def _sdp(self, direction):
        self.sessions += 1
        return SDP.replace("[version]", str(self.sessions)).replace("[direction]", direction)

    def _request(self, method, uri, to, headers, body="", branch=""):
        lines = [f"{method} {uri} SIP/2.0", self._via(branch), "Max-Forwards: 70", f"From: {self.local}", f"To: {to}",
                 f"Call-ID: {self.call_id}", f"CSeq: {self.cseq} {method}", *headers, "User-Agent: SIPp",
                 f"Content-Length: {'[len]' if body else '0'}"]
        attributes = "" if method == "ACK" else 'retrans="500"'
        self.parts.append(self._send("\n".join(lines) + "\n\n" + body, attributes))

    def _acknowledge(self):
        self._request("ACK", "[next_url]", "[$remote]", ["[routes]"], branch="ack")

    def _acknowledge_refusal(self):
        lines = [f"ACK {self.asked} SIP/2.0", self._via(), "Max-Forwards: 70", f"From: {self.local}", "[last_To:]",
                 f"Call-ID: {self.call_id}", f"CSeq: {self.cseq} ACK", "Content-Length: 0", "", ""]
        self.parts.append(self._send("\n".join(lines), attributes=""))

    def _respond(self, status, headers=(), body=""):
        routes = [f"Record-Route:[$route{n}]" for n in range(1, self.hops + 1)]
        lines = [f"SIP/2.0 {status}", "Via:[$via1]", "Via:[$via2]", *routes, "From:[$remote]",
                 f"To: {self.local}", "Call-ID: [call_id]", "CSeq:[$cseq]",
                 "Contact: <sip:[user]@[local_ip]:[local_port];transport=[transport]>", *headers]
        if body:
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {'[len]' if body else '0'}")
        attributes = "" if status.startswith("1") else 'retrans="500"'
        self.parts.append(self._send("\n".join(lines) + "\n\n" + body, attributes))
        return self

    def _keep(self, variable, header, occurrence=1):
        self.variables_named.add(variable)
        return (f'\n    <ereg regexp=".*" search_in="hdr" header="{header}" case_indep="true" occurrence="{occurrence}"'
                f' check_it="true" assign_to="{variable}"/>')
